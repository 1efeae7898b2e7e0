/* half.c: weights as float16 or bfloat16 behind a Cast: half the bytes in the file. */
#include <math.h>

#include "kernels/convert/convert.h"
#include "weights.h"

static hone_status narrow(hone__quant *q, const hone__tensor *t, bool f16, hone__tensor *half, hone__weight *w)
{
    const float *x = t->data;
    double error = 0, norm = 0;
    for (size_t i = 0; f16 && i < t->count; i++)
        if (fabsf(x[i]) > 65504) {
            w->reason = "holds numbers beyond float16";
            return HONE_OK;
        }
    HONE__TRY(hone__tensor_scratch(&q->scratch, f16 ? HONE_F16 : HONE_BF16, t->rank, t->dims, half));
    uint16_t *y = hone__tensor_write(half);
    if (f16)
        hone__f32_to_f16(x, y, t->count);
    else
        hone__f32_to_bf16(x, y, t->count);
    for (size_t i = 0; i < t->count; i++) {
        double d = x[i] - (f16 ? hone__f16_to_f32_one(y[i]) : hone__bf16_to_f32_one(y[i]));
        error += d * d;
        norm += (double)x[i] * x[i];
    }
    hone__tensor_idle(t);
    hone__tensor_idle(half);
    w->after = half->bytes;
    w->error = norm > 0 ? sqrt(error / norm) : 0;
    w->to = f16 ? "float16" : "bfloat16";
    return HONE_OK;
}

hone_status hone__quant_half(hone__quant *q, hone__node *node, int input, hone__weight *w)
{
    const hone__value *from = node->inputs[input];
    const hone__quant_made *made = hone__quant_made_of(q, from);
    hone__tensor half;
    w->again = made != NULL;
    if (made) return hone__node_set_input(node, input, made->codes);
    HONE__TRY(narrow(q, from->constant, q->options->precision == HONE_PRECISION_FP16, &half, w));
    if (w->reason) return HONE_OK;
    hone__graph *g = from->graph;
    hone__value *v = hone__value_constant(g, w->name, &half);
    hone__node *cast = v ? hone__node_new(g, hone__quant_place(from, node), "", "Cast", "", &v, 1, 1) : NULL;
    if (!cast) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_int(cast, "to", HONE_F32));
    HONE__TRY(hone__quant_keep(q, from, cast->outputs[0], NULL));
    return hone__node_set_input(node, input, cast->outputs[0]);
}
