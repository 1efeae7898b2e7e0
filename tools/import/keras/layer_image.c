/* layer_image.c: UpSampling, Resizing, CenterCrop and AutoContrast. What ONNX's Resize does not do as TensorFlow does
 * becomes two products with matrices of weights worked out here. */
#define _GNU_SOURCE /* M_PI */
#include <math.h>
#include <string.h>

#include "keras.h"

enum { BICUBIC, LANCZOS3, LANCZOS5, GAUSSIAN, MITCHELL, AREA, TRIANGLE, KEYS };

static double kernel(int kind, double x)
{
    x = fabs(x);
    double radius = kind == LANCZOS3 ? 3 : 5;
    switch (kind) {
    case LANCZOS3:
    case LANCZOS5:
        if (x > radius) return 0;
        return x <= 1e-3 ? 1 : radius * sin(M_PI * x) * sin(M_PI * x / radius) / (M_PI * M_PI * x * x);
    case GAUSSIAN: return x >= 1.5 ? 0 : exp(-x * x / (2 * 0.5 * 0.5));
    case TRIANGLE: return x < 1 ? 1 - x : 0;
    case KEYS: return x >= 2 ? 0 : x >= 1 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : ((1.5 * x - 2.5) * x) * x + 1;
    default: /* Mitchell, B = C = 1/3 */
        if (x >= 2) return 0;
        if (x >= 1) return (((-7.0 / 18) * x + 2) * x - 10.0 / 3) * x + 16.0 / 9;
        return (((7.0 / 6) * x - 2) * x) * x + 8.0 / 9;
    }
}

static double radius_of(int kind)
{
    return kind == LANCZOS3 ? 3 : kind == LANCZOS5 ? 5 : kind == GAUSSIAN ? 1.5 : kind == TRIANGLE ? 1 : 2;
}

/* TensorFlow's ResizeBicubic: Keys' kernel with a = -0.5 in a table of 1024 steps, half pixel centres. */
static void row_bicubic(float *row, int64_t i, int64_t in, float scale)
{
    float at = ((float)i + 0.5f) * scale - 0.5f, floor_at = floorf(at), sum = 0, w[4];
    int64_t first = (int64_t)floor_at - 1;
    long step = lrintf((at - floor_at) * 1024);
    for (int k = 0; k < 4; k++) {
        long d = k == 0 || k == 1 ? step : 1024 - step;
        double x = (double)d / 1024;
        if (k == 0 || k == 3)
            x += 1, w[k] = (float)((-0.5 * x + 2.5) * x - 4) * (float)x + 2.0f;
        else
            w[k] = (float)((1.5 * x - 2.5) * x * x + 1);
        if (first + k < 0 || first + k >= in) w[k] = 0;
        sum += w[k];
    }
    for (int k = 0; k < 4; k++)
        if (w[k] != 0) row[first + k] += w[k] / sum;
}

static void row_area(float *row, int64_t i, int64_t in, double scale)
{
    double from = (double)i * scale, to = from + scale;
    for (int64_t k = (int64_t)from; k < in && (double)k < to; k++) {
        double a = (double)k > from ? (double)k : from, b = (double)(k + 1) < to ? (double)(k + 1) : to;
        if (b > a) row[k] = (float)((b - a) / scale);
    }
}

static void row_filter(float *row, int64_t i, int64_t in, double scale, int kind, bool antialias)
{
    double at = ((double)i + 0.5) * scale, wide = antialias && scale > 1 ? scale : 1, reach = radius_of(kind) * wide,
           sum = 0;
    int64_t from = (int64_t)ceil(at - reach - 0.5), to = (int64_t)floor(at + reach - 0.5);
    from = from < 0 ? 0 : from, to = to > in - 1 ? in - 1 : to;
    for (int64_t k = from; k <= to; k++) sum += kernel(kind, ((double)k + 0.5 - at) / wide);
    for (int64_t k = from; k <= to && fabs(sum) > 1e-30; k++)
        row[k] = (float)(kernel(kind, ((double)k + 0.5 - at) / wide) / sum);
}

/* [out, in], or its transpose */
static hone__value *weights(kctx *c, int kind, int64_t in, int64_t out, bool antialias, bool transposed)
{
    if (in > 8192 || out > 8192) {
        hone__k_refuse(c, "an interpolation of %lld to %lld elements", (long long)in, (long long)out);
        return NULL;
    }
    float *m = hone__k_alloc(c, (size_t)(in * out) * sizeof *m), *t = hone__k_alloc(c, (size_t)(in * out) * sizeof *t);
    if (!m || !t) return NULL;
    for (int64_t i = 0; i < out; i++) {
        if (kind == BICUBIC)
            row_bicubic(m + i * in, i, in, (float)in / (float)out);
        else if (kind == AREA)
            row_area(m + i * in, i, in, (double)in / (double)out);
        else
            row_filter(m + i * in, i, in, (double)in / (double)out, kind, antialias);
    }
    if (!transposed) return hone__emit_f32(&c->b, "resize_rows", m, 2, (int64_t[]){out, in});
    for (int64_t i = 0; i < out; i++)
        for (int64_t k = 0; k < in; k++) t[k * out + i] = m[i * in + k];
    return hone__emit_f32(&c->b, "resize_columns", t, 2, (int64_t[]){in, out});
}

/* A factor that makes `to` elements of `from`, rounding included. */
static float factor_of(int64_t from, int64_t to)
{
    float f = (float)to / (float)from;
    while ((int64_t)floorf((float)from * f) < to) f = nextafterf(f, INFINITY);
    return f;
}

static hone__value *emit_resize(kctx *c, hone__value *x, const int64_t *from, const int64_t *to, bool linear)
{
    hone__value *scales = NULL, *sizes = NULL;
    if (from[0] > 0 && from[1] > 0) {
        float f[4] = {1, 1, factor_of(from[0], to[0]), factor_of(from[1], to[1])};
        scales = hone__emit_f32(&c->b, "scales", f, 1, (int64_t[]){4});
    } else {
        hone__value *parts[2] = {hone__k_shape_of(c, x, 0, 2), hone__k_ints(c, to, 2)};
        sizes = hone__k_concat(c, parts, 2, 0);
    }
    return hone__emit(&c->b, "Resize", "resize", HONE__INS(x, NULL, scales, sizes),
                      HONE__ATTRS(hone__a_string("mode", linear ? "linear" : "nearest"),
                                  hone__a_string("coordinate_transformation_mode", "half_pixel"),
                                  hone__a_string("nearest_mode", "round_prefer_ceil")));
}

/* x: [batch, channels, height, width] */
static hone__value *resize(kctx *c, hone__value *x, const int64_t *from, const int64_t *to, const char *method,
                           bool antialias)
{
    static const char *const names[] = {"bicubic", "lanczos3", "lanczos5", "gaussian", "mitchellcubic", "area"};
    bool linear = strcmp(method, "bilinear") == 0;
    int kind = linear && antialias ? TRIANGLE : -1;
    if (strcmp(method, "nearest") == 0 || (linear && !antialias)) return emit_resize(c, x, from, to, linear);
    for (int i = 0; i < 6; i++)
        if (strcmp(method, names[i]) == 0) kind = i == 0 && antialias ? KEYS : i;
    if (kind < 0)
        hone__k_refuse(c, "interpolation '%s'", method);
    else if (from[0] < 0 || from[1] < 0)
        hone__k_refuse(c, "interpolation '%s' of an image of unknown size", method);
    if (c->b.status != HONE_OK) return NULL;
    x = hone__k2(c, "MatMul", x, weights(c, kind, from[1], to[1], antialias, true));
    return hone__k2(c, "MatMul", weights(c, kind, from[0], to[0], antialias, false), x);
}

hone_status hone__klayer_upsampling(kctx *c, klayer *l, kcall *call)
{
    kview v;
    int nd = l->kind->variant;
    int64_t factor[3], size[3];
    float scales[5] = {1, 1, 1, 1, 1};
    const char *method = hone__kcfg_text(l, "interpolation", "nearest");
    hone__kcfg_ints(c, l, "size", nd, 2, 1, 4096, factor);
    if (!hone__kview_of(c, l, call->in[0], nd, &v)) return c->b.status;
    bool known = true;
    for (int i = 0; i < nd; i++) {
        if (v.size[i] > K_MAX_DIM / factor[i])
            return hone__k_shape_error(c, "an output axis of %lld x %lld", (long long)v.size[i], (long long)factor[i]);
        size[i] = v.size[i] < 0 ? -1 : v.size[i] * factor[i], scales[i + 2] = (float)factor[i];
        known = known && size[i] > 0;
    }
    bool nearest = strcmp(method, "nearest") == 0, linear = strcmp(method, "bilinear") == 0;
    hone__value *x;
    if (nearest || (linear && !known)) {
        hone__value *s = hone__emit_f32(&c->b, "scales", scales, 1, (int64_t[]){nd + 2});
        x = hone__emit(
            &c->b, "Resize", "resize", HONE__INS(v.x, NULL, s),
            HONE__ATTRS(hone__a_string("mode", nearest ? "nearest" : "linear"), hone__a_string("nearest_mode", "floor"),
                        hone__a_string("coordinate_transformation_mode", nearest ? "asymmetric" : "half_pixel")));
    } else
        x = resize(c, v.x, v.size, size, method, false);
    return hone__k_return(c, call, hone__kview_back(c, &v, x, v.channels, size));
}

static int64_t at_least(int64_t v, int64_t low) { return v < low ? low : v; }

/* Cuts (or pads) an image to the target's aspect ratio around its middle. */
static hone__value *to_aspect(kctx *c, const klayer *l, hone__value *x, int64_t *size, const int64_t *to, bool crop)
{
    int64_t h = size[0], w = size[1];
    int64_t ideal_h = (int64_t)((float)(w * to[0]) / (float)to[1]),
            ideal_w = (int64_t)((float)(h * to[1]) / (float)to[0]);
    if (crop) {
        int64_t ch = at_least(ideal_h < h ? ideal_h : h, 1), cw = at_least(ideal_w < w ? ideal_w : w, 1),
                y0 = (h - ch) / 2, x0 = (w - cw) / 2;
        if (ch != h) x = hone__k_slice(c, x, 2, y0, y0 + ch, 1);
        if (cw != w) x = hone__k_slice(c, x, 3, x0, x0 + cw, 1);
        size[0] = ch, size[1] = cw;
        return x;
    }
    int64_t dy = (at_least(ideal_h, h) - h) / 2, dx = (at_least(ideal_w, w) - w) / 2,
            pads[8] = {0, 0, dy, dx, 0, 0, dy, dx};
    if (ideal_h > 1 << 24 || ideal_w > 1 << 24) {
        hone__k_shape_error(c, "an image padded to %lld x %lld", (long long)ideal_h, (long long)ideal_w);
        return NULL;
    }
    size[0] = h + 2 * dy, size[1] = w + 2 * dx;
    return dy || dx ? hone__k_pad(c, x, 4, pads, hone__kcfg_num(c, l, "fill_value", 0)) : x;
}

hone_status hone__klayer_resizing(kctx *c, klayer *l, kcall *call)
{
    kview v;
    int64_t to[2] = {hone__kcfg_int(c, l, "height", 1, 1, 1 << 20), hone__kcfg_int(c, l, "width", 1, 1, 1 << 20)};
    bool crop = hone__kcfg_bool(l, "crop_to_aspect_ratio", false),
         pad = hone__kcfg_bool(l, "pad_to_aspect_ratio", false);
    if (!hone__kview_of(c, l, call->in[0], 2, &v)) return c->b.status;
    if ((crop || pad) && (v.size[0] < 0 || v.size[1] < 0))
        return hone__k_refuse(c, "an aspect ratio of an image of unknown size");
    hone__value *x = v.x;
    if (crop || pad) x = to_aspect(c, l, x, v.size, to, crop);
    if (c->b.status != HONE_OK) return c->b.status;
    x = resize(c, x, v.size, to, hone__kcfg_text(l, "interpolation", "bilinear"),
               hone__kcfg_bool(l, "antialias", false));
    return hone__k_return(c, call, hone__kview_back(c, &v, x, v.channels, to));
}

hone_status hone__klayer_center_crop(kctx *c, klayer *l, kcall *call)
{
    kview v;
    int64_t to[2] = {hone__kcfg_int(c, l, "height", 1, 1, 1 << 20), hone__kcfg_int(c, l, "width", 1, 1, 1 << 20)};
    if (!hone__kview_of(c, l, call->in[0], 2, &v)) return c->b.status;
    if (v.size[0] < 0 || v.size[1] < 0) return hone__k_refuse(c, "the middle of an image of unknown size");
    int64_t dy = v.size[0] - to[0], dx = v.size[1] - to[1];
    hone__value *x = v.x;
    if (dy >= 0 && dx >= 0) {
        if (dy) x = hone__k_slice(c, x, 2, dy / 2, dy / 2 + to[0], 1);
        if (dx) x = hone__k_slice(c, x, 3, dx / 2, dx / 2 + to[1], 1);
    } else {
        x = to_aspect(c, l, x, v.size, to, true);
        x = resize(c, x, v.size, to, "bilinear", false);
    }
    return hone__k_return(c, call, hone__kview_back(c, &v, x, v.channels, to));
}

/* Keras 3 leaves the image alone at inference; before, it was resized around its middle. */
hone_status hone__klayer_random_crop(kctx *c, klayer *l, kcall *call)
{
    kview v;
    if (c->keras_major >= 3) return hone__klayer_identity(c, l, call);
    int64_t to[2] = {hone__kcfg_int(c, l, "height", 1, 1, 1 << 20), hone__kcfg_int(c, l, "width", 1, 1, 1 << 20)};
    if (!hone__kview_of(c, l, call->in[0], 2, &v)) return c->b.status;
    if (v.size[0] < 0 || v.size[1] < 0) return hone__k_refuse(c, "an image of unknown size");
    hone__value *x = to_aspect(c, l, v.x, v.size, to, true);
    x = resize(c, x, v.size, to, "bilinear", false);
    return hone__k_return(c, call, hone__kview_back(c, &v, x, v.channels, to));
}

hone__value *hone__k_ranged(kctx *c, hone__value *x, double from, double to, double new_from, double new_to)
{
    if (from == new_from && to == new_to) return x;
    x = hone__k2(c, "Div", hone__k2(c, "Sub", x, hone__k_scalar(c, from, HONE_F32)),
                 hone__k_scalar(c, to - from, HONE_F32));
    x = hone__k2(c, "Mul", x, hone__k_scalar(c, new_to - new_from, HONE_F32));
    return hone__k2(c, "Add", x, hone__k_scalar(c, new_from, HONE_F32));
}

/* Each channel of each image over the whole range; one of equal pixels (0 / 0 here) stays as it is. */
hone_status hone__klayer_auto_contrast(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    const json_t *range = hone__kcfg(l, "value_range");
    if (!t || t->rank != 4) return hone__k_shape_error(c, "an input that is no batch of images");
    double from = range ? hone__kjson_num(json_array_get(range, 0), 0) : 0,
           to = range ? hone__kjson_num(json_array_get(range, 1), 255) : 255;
    if (!(from < to)) return hone__k_refuse(c, "a value range from %g to %g", from, to);
    int form = hone__kt_only_moved(t) ? K_MOVED : K_PLAIN;
    int64_t axes[2] = {hone__kt_axis(t, form, 1), hone__kt_axis(t, form, 2)};
    hone__value *given = hone__kt_get(c, t, form), *x = hone__k_ranged(c, given, from, to, 0, 255);
    hone__value *low = hone__k_reduce(c, "ReduceMin", x, axes, 2, true), *top = hone__k_scalar(c, 255, HONE_F32);
    hone__value *scale =
        hone__k2(c, "Div", top, hone__k2(c, "Sub", hone__k_reduce(c, "ReduceMax", x, axes, 2, true), low));
    hone__value *offset = hone__k2(c, "Mul", hone__k1(c, "Neg", low), scale);
    hone__value *y = hone__k2(c, "Add", hone__k2(c, "Mul", x, scale), offset);
    y = hone__emit(&c->b, "Clip", "clip", HONE__INS(y, hone__k_scalar(c, 0, HONE_F32), top), HONE__NO_ATTRS);
    y = hone__k_ranged(c, y, 0, 255, from, to);
    y = hone__emit(&c->b, "Where", "flat", HONE__INS(hone__k1(c, "IsNaN", y), given, y), HONE__NO_ATTRS);
    return hone__k_return(c, call, hone__kt_like(c, t, form, y));
}
