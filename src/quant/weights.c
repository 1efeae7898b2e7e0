/* weights.c: walks the graph, decides per weight, tells what became of it. */
#include "weights.h"

#include <math.h>

#include "ops/eval.h"

/* Below these an int8 form saves nothing worth its overhead: a layer's own scales, quantising the activations. */
enum { SMALL = 1024 };
#define LEAST 1e-30f

void hone__quant_tell(const hone__quant *q, const hone__weight *w)
{
    if (!q->fn) return;
    hone_weight_change c = {.name = w->name,
                            .op = w->node->op,
                            .from = hone_dtype_name(w->from),
                            .to = w->reason ? hone_dtype_name(w->from) : w->to,
                            .bytes_before = w->before,
                            .bytes_after = w->reason ? w->before : w->after,
                            .error = w->reason ? 0 : w->error,
                            .reason = w->reason ? w->reason : ""};
    q->fn(q->ctx, &c);
}

float hone__quant_row_s8(const float *x, size_t n, int8_t *codes, double *error, double *norm)
{
    float top = 0;
    for (size_t i = 0; i < n; i++) top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    float scale = top >= LEAST ? top / 127 : 1; /* below, the scale itself would lose its digits */
    for (size_t i = 0; i < n; i++) {
        float v = nearbyintf(x[i] / scale);
        v = v > 127 ? 127 : v < -127 ? -127 : v;
        codes[i] = (int8_t)v;
        double d = (double)x[i] - (double)v * scale;
        *error += d * d;
        *norm += (double)x[i] * x[i];
    }
    return scale;
}

static bool finite_all(const hone__tensor *t)
{
    const float *p = t->data;
    for (size_t i = 0; i < t->count; i++)
        if (!isfinite(p[i])) return false;
    return true;
}

static hone_status consider(hone__quant *q, hone__node *n)
{
    bool linear = hone__node_is(n, "MatMul"), conv = hone__node_is(n, "Conv");
    const hone__tensor *t = linear || conv ? hone__constant_input(n, 1) : NULL;
    hone_precision p = q->options->precision;
    if (!t || t->dtype != HONE_F32 || !t->count) return HONE_OK;
    hone__weight w = {.node = n, .name = n->inputs[1]->name, .from = t->dtype, .before = t->bytes};
    if (!finite_all(t))
        w.reason = "holds infinities or NaN";
    else if (p == HONE_PRECISION_FP16 || p == HONE_PRECISION_BF16)
        HONE__TRY(hone__quant_half(q, n, &w));
    else if (t->count < SMALL)
        w.reason = "fewer than 1024 weights: nothing to gain";
    else if (linear)
        HONE__TRY(hone__quant_linear(q, n, &w));
    else
        HONE__TRY(hone__quant_convolution(q, n, &w));
    hone__quant_tell(q, &w);
    return HONE_OK;
}

static hone_status check(const hone_optimize_options *o)
{
    bool power = o->block >= 16 && o->block <= 256 && !(o->block & (o->block - 1));
    if (o->block && !power)
        return hone__fail(HONE_E_ARGUMENT, "block is %d, expected 16, 32, 64, 128, 256 or 0 for a whole row", o->block);
    return HONE_OK;
}

hone_status hone__quant_weights(hone__model *model, const hone_optimize_options *options, hone_change_fn fn, void *ctx)
{
    hone__quant q = {model, options, fn, ctx};
    HONE__TRY(check(options));
    if (options->precision == HONE_PRECISION_FP32) return HONE_OK;
    if (options->calibration) {
        if (options->precision != HONE_PRECISION_INT8)
            return hone__fail(HONE_E_ARGUMENT, "calibration data only serve precision int8");
        HONE__TRY(hone__quant_static(&q, options->calibration));
        HONE__TRY(hone__graph_infer(model->graph));
    }
    for (hone__node *n = model->graph->first, *next; n; n = next) {
        next = n->next;
        HONE__TRY(consider(&q, n));
    }
    hone__graph_sweep(model->graph);
    return HONE_OK;
}
