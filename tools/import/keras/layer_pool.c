/* layer_pool.c: pooling with windows, over everything, and to a given size. */
#include <string.h>

#include "keras.h"

/* ONNX Runtime merges a Pad with zeros into a following pool, where padding means -infinity or nothing at all. The
 * smallest number above zero keeps them apart and changes no result. */
static void keep_pad(kctx *c, hone__value *x)
{
    hone__node *pad = x ? x->producer : NULL;
    if (!pad || !hone__node_is(pad, "Pad") || (pad->input_count > 2 && pad->inputs[2])) return;
    if (strcmp(hone__node_string(pad, "mode", "constant"), "constant") != 0) return;
    hone__value *tiny = hone__k_scalar(c, 1.4e-45, HONE_F32);
    if (tiny) hone__builder_fail(&c->b, hone__node_set_input(pad, 2, tiny));
}

kt *hone__k_pool(kctx *c, klayer *l, kt *t, int nd, bool max, const int64_t *pool, const int64_t *stride,
                 const char *padding)
{
    kview v;
    int64_t pads[6] = {0}, out[3];
    bool automatic = false;
    if (!hone__kview_of(c, l, t, nd, &v)) return NULL;
    for (int i = 0; i < nd && c->b.status == HONE_OK; i++)
        hone__k_window(c, padding, v.size[i], pool[i], stride[i], &pads[i], &pads[i + nd], &out[i], &automatic);
    keep_pad(c, v.x);
    size_t n = (size_t)nd;
    hone__attr pad = automatic ? hone__a_string("auto_pad", "SAME_UPPER") : hone__a_ints("pads", pads, n * 2);
    hone__value *y =
        hone__emit(&c->b, max ? "MaxPool" : "AveragePool", "pool", HONE__INS(v.x),
                   HONE__ATTRS(hone__a_ints("kernel_shape", pool, n), hone__a_ints("strides", stride, n), pad));
    return c->b.status == HONE_OK ? hone__kview_back(c, &v, y, v.channels, out) : NULL;
}

/* variant: dimensions, + 4 for the maximum */
hone_status hone__klayer_pool(kctx *c, klayer *l, kcall *call)
{
    int nd = l->kind->variant & 3;
    int64_t pool[3], stride[3];
    hone__kcfg_ints(c, l, "pool_size", nd, 2, 1, 1 << 20, pool);
    memcpy(stride, pool, sizeof stride);
    if (hone__kcfg(l, "strides")) hone__kcfg_ints(c, l, "strides", nd, 1, 1, 1 << 20, stride);
    if (c->b.status != HONE_OK) return c->b.status;
    const char *padding = hone__kcfg_text(l, "padding", "valid");
    return hone__k_return(c, call, hone__k_pool(c, l, call->in[0], nd, l->kind->variant & 4, pool, stride, padding));
}

static kt *masked_mean(kctx *c, kt *t, kt *mask, bool keep)
{
    int64_t dims[3] = {t->dims[0], keep ? 1 : t->dims[2], t->dims[2]};
    hone__value *m = hone__k_unsqueeze(c, hone__k_cast(c, hone__kt_plain(c, mask), HONE_F32), 2);
    hone__value *sum =
        hone__k_reduce(c, "ReduceSum", hone__k2(c, "Mul", hone__kt_plain(c, t), m), (int64_t[]){1}, 1, keep);
    hone__value *count = hone__k_reduce(c, "ReduceSum", m, (int64_t[]){1}, 1, keep);
    return hone__kt_new(c, K_PLAIN, hone__k2(c, "Div", sum, count), HONE_F32, keep ? 3 : 2, dims);
}

hone_status hone__klayer_global_pool(kctx *c, klayer *l, kcall *call)
{
    int nd = l->kind->variant & 3;
    bool max = l->kind->variant & 4, first = hone__kcfg_first(c, l), keep = hone__kcfg_bool(l, "keepdims", false);
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    if (!t || t->rank != nd + 2)
        return hone__k_shape_error(c, "input of shape %s, expected %d dimensions", t ? hone__k_dims(c, t) : "?",
                                   nd + 2);
    kt *mask = nd == 1 && !max ? hone__kcall_mask(c, call, "mask", 0) : NULL;
    if (mask && first) return hone__k_refuse(c, "a mask with channels_first");
    if (mask) return hone__k_return(c, call, masked_mean(c, t, mask, keep));
    int channel = first ? 1 : nd + 1, form = !first && (t->form[K_MOVED] || nd > 1) ? K_MOVED : K_PLAIN;
    int64_t dims[5] = {t->dims[0]}, axes[3];
    for (int i = 1; i < nd + 2; i++) dims[i] = i == channel ? t->dims[i] : 1;
    hone__value *x = hone__kt_get(c, t, form);
    if (form == K_MOVED || first) {
        x = hone__k1(c, max ? "GlobalMaxPool" : "GlobalAveragePool", x);
        if (!keep) x = hone__emit(&c->b, "Flatten", "flatten", HONE__INS(x), HONE__ATTRS(hone__a_int("axis", 1)));
    } else {
        for (int i = 0; i < nd; i++) axes[i] = i + 1;
        x = hone__k_reduce(c, max ? "ReduceMax" : "ReduceMean", x, axes, (size_t)nd, keep);
    }
    if (keep) return hone__k_return(c, call, hone__kt_new(c, form, x, HONE_F32, nd + 2, dims));
    dims[1] = t->dims[channel];
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, HONE_F32, 2, dims));
}

/* One axis split into `out` windows from floor(i * n / out) to ceil((i + 1) * n / out), each reduced. */
static hone__value *adapt_axis(kctx *c, hone__value *x, int axis, int64_t n, int64_t out, bool max)
{
    hone__value **parts = hone__k_alloc(c, (size_t)out * sizeof *parts);
    int64_t axes[1] = {axis};
    if (!parts || n == out) return x;
    for (int64_t i = 0; i < out; i++) {
        int64_t from = i * n / out, to = ((i + 1) * n + out - 1) / out;
        parts[i] =
            hone__k_reduce(c, max ? "ReduceMax" : "ReduceMean", hone__k_slice(c, x, axis, from, to, 1), axes, 1, true);
    }
    return out == 1 ? parts[0] : hone__k_concat(c, parts, (int)out, axis);
}

hone_status hone__klayer_adaptive_pool(kctx *c, klayer *l, kcall *call)
{
    kview v;
    int nd = l->kind->variant & 3;
    int64_t out[3];
    bool max = l->kind->variant & 4, divides = true;
    hone__kcfg_ints(c, l, "output_size", nd, 1, 1, 4096, out);
    if (!hone__kview_of(c, l, call->in[0], nd, &v)) return c->b.status;
    int64_t kernel[3];
    for (int i = 0; i < nd; i++) {
        if (v.size[i] < out[i])
            return hone__k_shape_error(c, "an axis of %lld adapted to %lld", (long long)v.size[i], (long long)out[i]);
        divides = divides && v.size[i] % out[i] == 0;
        kernel[i] = v.size[i] / out[i];
    }
    if (divides) return hone__k_return(c, call, hone__k_pool(c, l, call->in[0], nd, max, kernel, kernel, "valid"));
    hone__value *x = v.x;
    for (int i = 0; i < nd; i++) x = adapt_axis(c, x, i + 2, v.size[i], out[i], max);
    return hone__k_return(c, call, hone__kview_back(c, &v, x, v.channels, out));
}
