/* convolution.c: Conv into DynamicQuantizeLinear -> ConvInteger -> Cast -> Mul -> Add: int8 weights with a scale per
 * output channel, activations quantised at run time. Values read by several convolutions are quantised once. */
#include <math.h>

#include "weights.h"

/* A dot product shorter than this costs less than quantising what goes into it (measured: see docs/numbers.md). */
enum { SHORTEST = 16 };

/* Nor does quantising a value pay that enters fewer products than this (measured: there, too). */
enum { FEWEST_USES = 64 };

/* In how many products of the convolution an element of its input takes part. */
static size_t uses_of_input(const hone__node *conv, const hone__tensor *w)
{
    size_t n = 0;
    const int64_t *strides = hone__node_ints(conv, "strides", &n);
    size_t uses = (size_t)w->dims[0] / (size_t)hone__node_int(conv, "group", 1);
    for (int i = 2; i < w->rank; i++) uses *= (size_t)w->dims[i];
    for (size_t i = 0; i < n; i++) uses /= (size_t)strides[i];
    return uses;
}

static hone__node *quantized_already(const hone__value *x)
{
    for (size_t i = 0; i < x->use_count; i++)
        if (hone__node_is(x->uses[i].node, "DynamicQuantizeLinear") && x->uses[i].node->graph == x->graph)
            return x->uses[i].node;
    return NULL;
}

static hone_status quantize_input(hone__node *conv, hone__node **out)
{
    hone__value *x = conv->inputs[0];
    *out = quantized_already(x);
    if (*out) { /* it must run before every reader */
        for (const hone__node *n = conv; n; n = n->next)
            if (n == *out) hone__node_move(*out, conv);
        return HONE_OK;
    }
    *out = hone__node_new(conv->graph, conv, "", "DynamicQuantizeLinear", "", &x, 1, 3);
    return *out ? HONE_OK : HONE_E_MEMORY;
}

static hone_status codes_of(const hone__tensor *t, hone__tensor *codes, hone__tensor *scales, hone__weight *w)
{
    size_t channels = (size_t)t->dims[0], per = t->count / channels;
    int64_t shape[HONE_MAX_RANK] = {(int64_t)channels};
    for (int i = 1; i < t->rank - 1; i++) shape[i] = 1;
    HONE__TRY(hone__tensor_new(HONE_I8, t->rank, t->dims, codes));
    hone_status s = hone__tensor_new(HONE_F32, t->rank - 1, shape, scales); /* [O, 1, 1] against [N, O, H, W] */
    if (s != HONE_OK) {
        hone__tensor_release(codes);
        return s;
    }
    double error = 0, norm = 0;
    for (size_t c = 0; c < channels; c++)
        ((float *)hone__tensor_write(scales))[c] = hone__quant_row_s8(
            (const float *)t->data + c * per, per, (int8_t *)hone__tensor_write(codes) + c * per, &error, &norm);
    w->after = codes->bytes + scales->bytes;
    w->error = norm > 0 ? sqrt(error / norm) : 0;
    w->to = "int8";
    return HONE_OK;
}

static hone_status make(hone__quant *q, const hone__node *conv, hone__weight *w)
{
    hone__tensor codes, scales;
    HONE__TRY(codes_of(conv->inputs[1]->constant, &codes, &scales, w));
    w->reason = hone__quant_too_coarse(w->error, false);
    if (w->reason) {
        hone__tensor_release(&codes);
        hone__tensor_release(&scales);
        return HONE_OK;
    }
    hone__value *cv = hone__value_constant(conv->graph, w->name, &codes),
                *sv = hone__value_constant(conv->graph, "", &scales);
    return cv && sv ? hone__quant_keep(q, conv->inputs[1], cv, sv) : HONE_E_MEMORY;
}

static hone_status bias_constant(hone__graph *g, const hone__value *bias, int rank, hone__value **out)
{
    int64_t shape[HONE_MAX_RANK] = {(int64_t)bias->constant->count, 1, 1, 1, 1};
    float *data;
    *out = hone__new_f32(g, bias->name, rank - 1, shape, &data);
    if (!*out) return HONE_E_MEMORY;
    memcpy(data, bias->constant->data, bias->constant->bytes);
    return HONE_OK;
}

hone_status hone__quant_convolution(hone__quant *q, hone__node *conv, hone__weight *w)
{
    const hone__tensor *t = conv->inputs[1]->constant;
    hone__value *bias = hone__input(conv, 2);
    size_t dot = t->count / (size_t)t->dims[0];
    if (dot < SHORTEST)
        w->reason = "sums fewer than 16 products: float is faster";
    else if (t->dims[1] == 1 && hone__node_int(conv, "group", 1) > 1)
        w->reason = "depthwise: float is faster";
    else if (uses_of_input(conv, t) < FEWEST_USES)
        w->reason = "each input enters fewer than 64 products: float is faster";
    else if (bias && !bias->constant)
        w->reason = "its bias is computed";
    if (w->reason) return HONE_OK;
    hone__node *quantize;
    HONE__TRY(quantize_input(conv, &quantize)); /* swept away again where nobody comes to read it */
    w->again = hone__quant_made_of(q, conv->inputs[1]) != NULL;
    if (!w->again) HONE__TRY(make(q, conv, w));
    if (w->reason) return HONE_OK;
    hone__graph *g = conv->graph;
    hone__value *cv = hone__quant_made_of(q, conv->inputs[1])->codes,
                *sv = hone__quant_made_of(q, conv->inputs[1])->scales, *end;
    hone__value **qo = quantize->outputs;
    hone__node *ci = hone__node_new(g, conv, "", "ConvInteger", conv->name, (hone__value *[]){qo[0], cv, qo[2]}, 3, 1);
    hone__node *cast = ci ? hone__node_new(g, conv, "", "Cast", "", ci->outputs, 1, 1) : NULL;
    hone__node *scale = cast ? hone__node_new(g, conv, "", "Mul", "", (hone__value *[]){qo[1], sv}, 2, 1) : NULL;
    hone__node *mul =
        scale ? hone__node_new(g, conv, "", "Mul", "", (hone__value *[]){cast->outputs[0], scale->outputs[0]}, 2, 1)
              : NULL;
    if (!mul) return HONE_E_MEMORY;
    for (int i = 0; i < conv->attr_count; i++) HONE__TRY(hone__node_set_attr(ci, &conv->attrs[i]));
    HONE__TRY(hone__node_set_int(cast, "to", HONE_F32));
    end = mul->outputs[0];
    if (bias) {
        hone__value *b;
        HONE__TRY(bias_constant(g, bias, t->rank, &b));
        hone__node *add = hone__node_new(g, conv, "", "Add", "", (hone__value *[]){end, b}, 2, 1);
        if (!add) return HONE_E_MEMORY;
        end = add->outputs[0];
    }
    return hone__value_replace_uses(conv->outputs[0], end);
}
