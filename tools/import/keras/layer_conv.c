/* layer_conv.c: Conv, DepthwiseConv, SeparableConv and Conv*Transpose in one to three dimensions.
 * Kernels become [out, in / groups, spatial...] once, here. */
#include <stdio.h>
#include <string.h>

#include "keras.h"

bool hone__kview_of(kctx *c, const klayer *l, kt *t, int nd, kview *v)
{
    memset(v, 0, sizeof *v);
    if (t->rank != nd + 2) {
        hone__k_shape_error(c, "input of shape %s, expected %d dimensions", hone__k_dims(c, t), nd + 2);
        return false;
    }
    v->first = hone__kcfg_first(c, l), v->nd = nd, v->batch = t->dims[0];
    v->channels = v->first ? t->dims[1] : t->dims[nd + 1];
    for (int i = 0; i < nd; i++) v->size[i] = t->dims[i + (v->first ? 2 : 1)];
    t = hone__kt_cast(c, t, HONE_F32);
    v->x = v->first ? hone__kt_plain(c, t) : hone__kt_moved(c, t);
    return c->b.status == HONE_OK;
}

kt *hone__kview_back(kctx *c, const kview *v, hone__value *x, int64_t channels, const int64_t *size)
{
    int64_t dims[5] = {v->batch};
    for (int i = 0; i < v->nd; i++) dims[i + (v->first ? 2 : 1)] = size[i];
    dims[v->first ? 1 : v->nd + 1] = channels;
    return hone__kt_new(c, v->first ? K_PLAIN : K_MOVED, x, HONE_F32, v->nd + 2, dims);
}

void hone__k_window(kctx *c, const char *padding, int64_t size, int64_t kernel, int64_t stride, int64_t *begin,
                    int64_t *end, int64_t *out, bool *automatic)
{
    *begin = *end = 0;
    if (strcmp(padding, "same") == 0) {
        *out = size < 0 ? -1 : (size + stride - 1) / stride;
        int64_t total = size < 0 ? kernel - 1 : (*out - 1) * stride + kernel - size;
        if (size < 0 && stride > 1 && kernel > 1) *automatic = true;
        if (total > 0) *begin = total / 2, *end = total - total / 2;
        return;
    }
    if (strcmp(padding, "causal") == 0)
        *begin = kernel - 1;
    else if (strcmp(padding, "valid") != 0)
        hone__k_refuse(c, "padding '%s'", padding);
    *out = size < 0 ? -1 : (size + *begin - kernel) / stride + 1;
    if (size >= 0 && size + *begin < kernel)
        hone__k_shape_error(c, "a window of %lld does not fit an axis of %lld", (long long)kernel, (long long)size);
}

bool hone__kwindow_read(kctx *c, const klayer *l, const kview *v, kwindow *w)
{
    int nd = v->nd;
    memset(w, 0, sizeof *w);
    if (hone__kcfg(l, "kernel_size"))
        hone__kcfg_ints(c, l, "kernel_size", nd, 1, 1, 1 << 20, w->kernel);
    else { /* Keras 1 */
        static const char *const old[3][3] = {
            {"filter_length"}, {"nb_row", "nb_col"}, {"kernel_dim1", "kernel_dim2", "kernel_dim3"}};
        for (int i = 0; i < nd; i++) w->kernel[i] = hone__kcfg_int(c, l, old[nd - 1][i], 1, 1, 1 << 20);
    }
    hone__kcfg_ints(c, l, "strides", nd, 1, 1, 1 << 20, w->stride);
    hone__kcfg_ints(c, l, "dilation_rate", nd, 1, 1, 1 << 20, w->dilation);
    const char *padding = hone__kcfg_text(l, "padding", "valid");
    for (int i = 0; i < nd && c->b.status == HONE_OK; i++)
        hone__k_window(c, padding, v->size[i], (w->kernel[i] - 1) * w->dilation[i] + 1, w->stride[i], &w->pads[i],
                       &w->pads[i + nd], &w->out[i], &w->automatic);
    return c->b.status == HONE_OK;
}

hone__value *hone__kconv_emit(kctx *c, const kview *v, const kwindow *w, hone__value *x, hone__value *kernel,
                              hone__value *bias, int64_t groups)
{
    size_t nd = (size_t)v->nd;
    hone__attr pads = w->automatic ? hone__a_string("auto_pad", "SAME_UPPER") : hone__a_ints("pads", w->pads, nd * 2);
    return hone__emit(&c->b, "Conv", "conv", HONE__INS(x, kernel, bias),
                      HONE__ATTRS(hone__a_ints("kernel_shape", w->kernel, nd), hone__a_ints("strides", w->stride, nd),
                                  hone__a_ints("dilations", w->dilation, nd), hone__a_int("group", groups), pads));
}

/* Keras [spatial..., in, out] -> [out, in, spatial...]. Keras 1 held channels_first kernels as ONNX does. */
static hone__value *take_kernel(kctx *c, klayer *l, int *index, const char *name, const kview *v,
                                const int64_t *spatial, int64_t in, int64_t out)
{
    kweight w;
    int nd = v->nd, rank = nd + 2;
    int64_t dims[5], to[5], perm[5];
    bool old = c->keras_major == 1, old_first = old && v->first, old_1d = old && nd == 1;
    to[0] = out, to[1] = in, perm[0] = nd + 1, perm[1] = nd;
    for (int i = 0; i < nd; i++) dims[i] = to[i + 2] = spatial[i], perm[i + 2] = i;
    dims[nd] = in, dims[nd + 1] = out;
    if (old_first) { /* stored as it is used */
        memcpy(dims, to, sizeof dims);
        for (int i = 0; i < rank; i++) perm[i] = i;
    }
    int64_t file[5] = {spatial[0], 1, in, out};
    if (old_1d ? !hone__kw_take(c, l, "", (*index)++, name, 4, file, &w)
               : !hone__kw_take(c, l, "", (*index)++, name, rank, dims, &w))
        return NULL;
    c->flip = c->theano ? (old_first ? ((1u << rank) - 1) & ~3u : (1u << nd) - 1) : 0;
    hone__value *k = hone__kw_permuted(c, l, &w, "kernel", rank, dims, perm, rank, to);
    c->flip = 0;
    return k;
}

static hone__value *take_bias(kctx *c, klayer *l, int index, int64_t n)
{
    kweight w;
    if (!hone__kcfg_bool(l, "use_bias", true)) return NULL;
    return hone__kw_take(c, l, "", index, "bias", 1, &n, &w) ? hone__kw_emit(c, l, &w) : NULL;
}

static hone_status need_channels(kctx *c, const kview *v)
{
    if (v->channels < 0) return hone__k_shape_error(c, "the number of channels is not known");
    return c->b.status;
}

hone_status hone__klayer_conv(kctx *c, klayer *l, kcall *call)
{
    kview v;
    kwindow w;
    int index = 0, nd = l->kind->variant;
    if (!hone__kview_of(c, l, call->in[0], nd, &v) || !hone__kwindow_read(c, l, &v, &w)) return c->b.status;
    HONE__TRY(need_channels(c, &v));
    int64_t filters = hone__kcfg_int(c, l, "filters", 0, 1, K_MAX_DIM),
            groups = hone__kcfg_int(c, l, "groups", 1, 1, K_MAX_DIM);
    if (c->b.status != HONE_OK) return c->b.status;
    if (v.channels % groups || filters % groups)
        return hone__k_shape_error(c, "%lld channels and %lld filters do not divide into %lld groups",
                                   (long long)v.channels, (long long)filters, (long long)groups);
    hone__value *kernel = take_kernel(c, l, &index, "kernel", &v, w.kernel, v.channels / groups, filters);
    hone__value *bias = take_bias(c, l, index, filters);
    if (c->b.status != HONE_OK) return c->b.status;
    kt *y = hone__kview_back(c, &v, hone__kconv_emit(c, &v, &w, v.x, kernel, bias, groups), filters, w.out);
    return hone__k_return(c, call, hone__k_activation(c, l, hone__kcfg(l, "activation"), y));
}

/* [spatial..., in, multiplier] -> [in * multiplier, 1, spatial...] */
static hone__value *take_depthwise(kctx *c, klayer *l, int *index, const kview *v, const kwindow *w, int64_t multiplier)
{
    kweight kernel;
    int nd = v->nd;
    int64_t dims[5], to[5], perm[5];
    to[0] = v->channels * multiplier, to[1] = 1, perm[0] = nd, perm[1] = nd + 1;
    for (int i = 0; i < nd; i++) dims[i] = to[i + 2] = w->kernel[i], perm[i + 2] = i;
    dims[nd] = v->channels, dims[nd + 1] = multiplier;
    if (!hone__kw_take(c, l, "", (*index)++, "depthwise_kernel", nd + 2, dims, &kernel)) return NULL;
    return hone__kw_permuted(c, l, &kernel, "depthwise", nd + 2, dims, perm, nd + 2, to);
}

static int64_t multiplier_of(kctx *c, const klayer *l, const kview *v)
{
    int64_t m = hone__kcfg_int(c, l, "depth_multiplier", 1, 1, 1 << 20);
    if (v->channels > K_MAX_DIM / m)
        hone__k_shape_error(c, "%lld x %lld channels", (long long)v->channels, (long long)m);
    return m;
}

hone_status hone__klayer_depthwise(kctx *c, klayer *l, kcall *call)
{
    kview v;
    kwindow w;
    int index = 0;
    if (!hone__kview_of(c, l, call->in[0], l->kind->variant, &v) || !hone__kwindow_read(c, l, &v, &w))
        return c->b.status;
    HONE__TRY(need_channels(c, &v));
    int64_t multiplier = multiplier_of(c, l, &v), out = v.channels * multiplier;
    hone__value *kernel = take_depthwise(c, l, &index, &v, &w, multiplier);
    hone__value *bias = take_bias(c, l, index, out);
    if (c->b.status != HONE_OK) return c->b.status;
    kt *y = hone__kview_back(c, &v, hone__kconv_emit(c, &v, &w, v.x, kernel, bias, v.channels), out, w.out);
    return hone__k_return(c, call, hone__k_activation(c, l, hone__kcfg(l, "activation"), y));
}

hone_status hone__klayer_separable(kctx *c, klayer *l, kcall *call)
{
    kview v;
    kwindow w, one = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    int index = 0;
    if (!hone__kview_of(c, l, call->in[0], l->kind->variant, &v) || !hone__kwindow_read(c, l, &v, &w))
        return c->b.status;
    HONE__TRY(need_channels(c, &v));
    int64_t filters = hone__kcfg_int(c, l, "filters", 0, 1, K_MAX_DIM), multiplier = multiplier_of(c, l, &v);
    int64_t middle = v.channels * multiplier;
    hone__value *depth = take_depthwise(c, l, &index, &v, &w, multiplier);
    hone__value *point = take_kernel(c, l, &index, "pointwise_kernel", &v, one.kernel, middle, filters);
    hone__value *bias = take_bias(c, l, index, filters);
    if (c->b.status != HONE_OK) return c->b.status;
    hone__value *x = hone__kconv_emit(c, &v, &w, v.x, depth, NULL, v.channels);
    kt *y = hone__kview_back(c, &v, hone__kconv_emit(c, &v, &one, x, point, bias, 1), filters, w.out);
    return hone__k_return(c, call, hone__k_activation(c, l, hone__kcfg(l, "activation"), y));
}

/* Keras's output length, and the pads and output_padding that give it. */
static void transpose_axis(kctx *c, const klayer *l, bool same, int64_t size, int64_t kernel, int64_t dilation,
                           int64_t stride, int64_t extra, int64_t *begin, int64_t *end, int64_t *add, int64_t *out)
{
    int64_t wide = (kernel - 1) * dilation + 1, total, at = size < 0 ? 1 : size;
    (void)l;
    if (extra < 0)
        *out = same ? at * stride : at * stride + (wide > stride ? wide - stride : 0);
    else
        *out = (at - 1) * stride + wide - (same ? 2 * (wide / 2) : 0) + extra;
    total = (at - 1) * stride + wide - *out;
    *begin = *end = *add = 0;
    if (total >= 0)
        *begin = same ? total / 2 : 0, *end = total - *begin;
    else
        *add = -total;
    if (*out < 1) hone__k_shape_error(c, "an output of %lld elements", (long long)*out);
    if (size < 0) *out = -1;
}

bool hone__ktransposed_read(kctx *c, const klayer *l, const kview *v, ktransposed *w)
{
    int nd = v->nd;
    int64_t extra[3] = {-1, -1, -1};
    const char *padding = hone__kcfg_text(l, "padding", "valid");
    bool same = strcmp(padding, "same") == 0;
    memset(w, 0, sizeof *w);
    if (!same && strcmp(padding, "valid") != 0) hone__k_refuse(c, "padding '%s'", padding);
    hone__kcfg_ints(c, l, "kernel_size", nd, 1, 1, 1 << 20, w->kernel);
    hone__kcfg_ints(c, l, "strides", nd, 1, 1, 1 << 20, w->stride);
    hone__kcfg_ints(c, l, "dilation_rate", nd, 1, 1, 1 << 20, w->dilation);
    if (hone__kcfg(l, "output_padding")) hone__kcfg_ints(c, l, "output_padding", nd, 0, 0, 1 << 20, extra);
    for (int i = 0; i < nd && c->b.status == HONE_OK; i++)
        transpose_axis(c, l, same, v->size[i], w->kernel[i], w->dilation[i], w->stride[i], extra[i], &w->pads[i],
                       &w->pads[i + nd], &w->add[i], &w->out[i]);
    return c->b.status == HONE_OK;
}

kt *hone__ktransposed_emit(kctx *c, const kview *v, const ktransposed *w, hone__value *kernel, hone__value *bias,
                           int64_t filters)
{
    size_t n = (size_t)v->nd;
    hone__value *y =
        hone__emit(&c->b, "ConvTranspose", "conv_transpose", HONE__INS(v->x, kernel, bias),
                   HONE__ATTRS(hone__a_ints("kernel_shape", w->kernel, n), hone__a_ints("strides", w->stride, n),
                               hone__a_ints("dilations", w->dilation, n), hone__a_ints("pads", w->pads, n * 2),
                               hone__a_ints("output_padding", w->add, n)));
    return hone__kview_back(c, v, y, filters, w->out);
}

hone_status hone__klayer_conv_transpose(kctx *c, klayer *l, kcall *call)
{
    kview v;
    kweight k;
    ktransposed w;
    int nd = l->kind->variant;
    int64_t dims[5], to[5], perm[5];
    if (!hone__kview_of(c, l, call->in[0], nd, &v)) return c->b.status;
    HONE__TRY(need_channels(c, &v));
    if (!hone__ktransposed_read(c, l, &v, &w)) return c->b.status;
    int64_t filters = hone__kcfg_int(c, l, "filters", 0, 1, K_MAX_DIM);
    for (int i = 0; i < nd; i++) dims[i] = to[i + 2] = w.kernel[i], perm[i + 2] = i;
    dims[nd] = filters, dims[nd + 1] = v.channels; /* Keras: [spatial..., out, in]; ONNX: [in, out, spatial...] */
    to[0] = v.channels, to[1] = filters, perm[0] = nd + 1, perm[1] = nd;
    if (!hone__kw_take(c, l, "", 0, "kernel", nd + 2, dims, &k)) return c->b.status;
    c->flip = c->theano ? (1u << nd) - 1 : 0;
    hone__value *kernel = hone__kw_permuted(c, l, &k, "kernel", nd + 2, dims, perm, nd + 2, to);
    c->flip = 0;
    kt *t = hone__ktransposed_emit(c, &v, &w, kernel, take_bias(c, l, 1, filters), filters);
    return hone__k_return(c, call, hone__k_activation(c, l, hone__kcfg(l, "activation"), t));
}
