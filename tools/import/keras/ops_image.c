/* ops_image.c: convolutions, pooling and image functions of keras.ops and TensorFlow: their arguments become the
 * settings of the layer that does the same. */
#include <stdio.h>
#include <string.h>

#include "keras_ops.h"

static kt *image(kctx *c, klayer *l, kcall *call)
{
    return hone__kop_tensor(c, l, call, 0, "inputs|input|images|image|value|x", true);
}

/* A number, one per spatial axis, or one per axis of the tensor ([1, h, w, 1], [1, 1, h, w]). */
static json_t *spatial(const json_t *v, int nd, bool first, int otherwise)
{
    json_t *list = json_array();
    size_t n = json_array_size(v), skip = n == (size_t)nd + 2 ? (first ? 2 : 1) : 0;
    for (int i = 0; i < nd; i++) {
        const json_t *one = !json_is_array(v) ? v : n == 1 ? json_array_get(v, 0) : json_array_get(v, skip + (size_t)i);
        json_array_append_new(list, one && !json_is_null(one) ? json_copy((json_t *)(uintptr_t)one)
                                                              : json_integer(otherwise));
    }
    if (n > 1 && n != (size_t)nd && n != (size_t)nd + 2) json_array_clear(list); /* refused by who reads it */
    return list;
}

static bool is_first(const klayer *l, const kcall *call)
{
    const char *s = json_string_value(hone__kop_arg(l, call, -1, "data_format"));
    return s && (strcmp(s, "channels_first") == 0 || strncmp(s, "NC", 2) == 0);
}

/* The settings of a layer with a window, by the names that layers use. */
static json_t *window_config(kctx *c, const klayer *l, const kcall *call, int nd, json_t *kernel, const char *size_key)
{
    bool first = is_first(l, call);
    const json_t *strides = hone__kop_arg(l, call, -1, "strides|stride");
    const char *padding = json_string_value(hone__kop_arg(l, call, -1, "padding"));
    json_t *config = json_object();
    if (c->made) json_array_append_new(c->made, config);
    json_object_set_new(config, size_key, kernel);
    bool pooling = strcmp(size_key, "pool_size") == 0;
    if (strides || !pooling) json_object_set_new(config, "strides", spatial(strides, nd, first, 1));
    if (!pooling)
        json_object_set_new(config, "dilation_rate",
                            spatial(hone__kop_arg(l, call, -1, "dilation_rate|dilations|rate"), nd, first, 1));
    const char *lower = padding && strcmp(padding, "SAME") == 0    ? "same"
                        : padding && strcmp(padding, "VALID") == 0 ? "valid"
                        : padding                                  ? padding
                        : hone__kop_arg(l, call, -1, "padding")    ? "given number by number"
                                                                   : "valid";
    json_object_set_new(config, "padding", json_string(lower));
    json_object_set_new(config, "data_format", json_string(first ? "channels_first" : "channels_last"));
    return config;
}

static json_t *sizes(const kt *kernel, int nd)
{
    json_t *list = json_array();
    for (int i = 0; i < nd; i++) json_array_append_new(list, json_integer(kernel->dims[i]));
    return list;
}

static bool view_channels(kctx *c, const klayer *like, kt *t, int nd, kview *v)
{
    if (!hone__kview_of(c, like, t, nd, v)) return false;
    if (v->channels < 1) hone__k_shape_error(c, "the number of channels is not known");
    return c->b.status == HONE_OK;
}

/* [spatial..., a, b] -> [b, a, spatial...] */
static hone__value *kernel_first(kctx *c, kt *kernel, int nd)
{
    int64_t perm[5] = {nd + 1, nd};
    for (int i = 0; i < nd; i++) perm[i + 2] = i;
    return hone__k_transpose(c, hone__kt_f32(c, kernel), nd + 2, perm);
}

/* [spatial..., in, multiplier] -> [in * multiplier, 1, spatial...] */
static hone__value *depthwise_first(kctx *c, kt *kernel, int nd)
{
    int64_t perm[5] = {nd, nd + 1}, dims[5] = {kernel->dims[nd] * kernel->dims[nd + 1], 1};
    for (int i = 0; i < nd; i++) perm[i + 2] = i, dims[i + 2] = kernel->dims[i];
    return hone__k_reshape(c, hone__k_transpose(c, hone__kt_f32(c, kernel), nd + 2, perm), nd + 2, dims);
}

static bool take_operands(kctx *c, klayer *l, kcall *call, kt **t, kt **kernel, int *nd)
{
    *t = image(c, l, call);
    *kernel = hone__kop_tensor(c, l, call, 1, "kernel|depthwise_kernel|depthwise_filter|filters|filter", true);
    if (!*t || !*kernel) return false;
    *nd = (*t)->rank - 2;
    if (*nd < 1 || *nd > 3 || (*kernel)->rank != *nd + 2 || !hone__kt_known(*kernel, 0))
        hone__k_shape_error(c, "an image of shape %s and a kernel of shape %s", hone__k_dims(c, *t),
                            hone__k_dims(c, *kernel));
    return c->b.status == HONE_OK;
}

enum { CONV, DEPTHWISE, SEPARABLE, TRANSPOSED };

hone_status hone__kop_conv(kctx *c, klayer *l, kcall *call)
{
    kt *t, *kernel;
    kview v;
    kwindow w, one = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    int nd, kind = l->kind->variant;
    klayer like = *l;
    if (!take_operands(c, l, call, &t, &kernel, &nd)) return c->b.status;
    like.config = window_config(c, l, call, nd, sizes(kernel, nd), "kernel_size");
    if (!view_channels(c, &like, t, nd, &v) || !hone__kwindow_read(c, &like, &v, &w)) return c->b.status;
    int64_t in = kernel->dims[nd], out = kernel->dims[nd + 1];
    if (kind == CONV) {
        int64_t groups = in > 0 ? v.channels / in : 0;
        if (groups < 1 || v.channels % in || out % groups)
            return hone__k_shape_error(c, "%lld channels and a kernel for %lld", (long long)v.channels, (long long)in);
        hone__value *y = hone__kconv_emit(c, &v, &w, v.x, kernel_first(c, kernel, nd), NULL, groups);
        return hone__k_return(c, call, hone__kview_back(c, &v, y, out, w.out));
    }
    if (in != v.channels || out > K_MAX_DIM / in)
        return hone__k_shape_error(c, "%lld channels and a kernel for %lld", (long long)v.channels, (long long)in);
    hone__value *y = hone__kconv_emit(c, &v, &w, v.x, depthwise_first(c, kernel, nd), NULL, in);
    out *= in;
    if (kind == SEPARABLE) {
        kt *point = hone__kop_tensor(c, l, call, 2, "pointwise_kernel|pointwise_filter", true);
        if (!point || point->rank != nd + 2 || point->dims[nd] != out || !hone__kt_known(point, 0))
            return c->b.status ? c->b.status : hone__k_shape_error(c, "a pointwise kernel of another shape");
        y = hone__kconv_emit(c, &v, &one, y, kernel_first(c, point, nd), NULL, 1);
        out = point->dims[nd + 1];
    }
    return hone__k_return(c, call, hone__kview_back(c, &v, y, out, w.out));
}

hone_status hone__kop_conv_transpose(kctx *c, klayer *l, kcall *call)
{
    kt *t, *kernel;
    kview v;
    ktransposed w;
    int nd;
    klayer like = *l;
    double shape[5];
    if (!take_operands(c, l, call, &t, &kernel, &nd)) return c->b.status;
    json_t *config = window_config(c, l, call, nd, sizes(kernel, nd), "kernel_size");
    const json_t *extra = hone__kop_arg(l, call, -1, "output_padding"),
                 *size = hone__kop_arg(l, call, -1, "output_shape");
    if (extra) json_object_set_new(config, "output_padding", spatial(extra, nd, false, 0));
    if (!hone__kop_arg(l, call, -1, "padding")) json_object_set_new(config, "padding", json_string("same"));
    like.config = config;
    if (!view_channels(c, &like, t, nd, &v) || !hone__ktransposed_read(c, &like, &v, &w)) return c->b.status;
    int64_t filters = kernel->dims[nd];
    if (kernel->dims[nd + 1] != v.channels)
        return hone__k_shape_error(c, "%lld channels and a kernel for %lld", (long long)v.channels,
                                   (long long)kernel->dims[nd + 1]);
    int n = size ? hone__kop_list(size, shape, 5) : 0;
    if (size && n != nd && n != nd + 2) return hone__k_refuse(c, "an output shape that is not a list of numbers");
    for (int i = 0; i < nd && size; i++)
        if ((int64_t)shape[n == nd ? i : i + (v.first ? 2 : 1)] != w.out[i])
            return hone__k_refuse(c, "an output shape other than the layer's");
    return hone__k_return(c, call, hone__ktransposed_emit(c, &v, &w, kernel_first(c, kernel, nd), NULL, filters));
}

/* ---- pooling: variant 0 average, 1 maximum, 2 as the argument says ---- */

hone_status hone__kop_pool(kctx *c, klayer *l, kcall *call)
{
    kt *t = image(c, l, call);
    if (!t) return c->b.status;
    int nd = t->rank - 2;
    if (nd < 1 || nd > 3) return hone__k_shape_error(c, "an image of shape %s", hone__k_dims(c, t));
    const json_t *window = hone__kop_arg(l, call, 1, "pool_size|ksize|window_shape");
    const char *type = json_string_value(hone__kop_arg(l, call, -1, "pooling_type"));
    bool max = l->kind->variant == 1 || (l->kind->variant == 2 && type && strcmp(type, "MAX") == 0);
    const json_t *dilations = hone__kop_arg(l, call, -1, "dilations|dilation_rate");
    double d[5];
    int n = dilations ? hone__kop_list(dilations, d, 5) : 0;
    for (int i = 0; i < n; i++)
        if (d[i] != 1) n = -1;
    if (n < 0 || !window) return hone__k_refuse(c, "a window with holes, or none");
    klayer like = *l;
    like.config = window_config(c, l, call, nd, spatial(window, nd, is_first(l, call), 1), "pool_size");
    like.kind = &(klayer_kind){.name = l->kind->name, .variant = nd + (max ? 4 : 0)};
    if (l->kind->variant == 2 && !hone__kop_arg(l, call, -1, "strides"))
        json_object_set_new((json_t *)(uintptr_t)like.config, "strides", json_integer(1));
    kcall one = {.model = call->model, .in = &t, .in_count = 1};
    hone_status status = hone__klayer_pool(c, &like, &one);
    call->out[0] = one.out[0], call->out_count = one.out_count;
    return status;
}

/* variant 4: maximum */
hone_status hone__kop_adaptive_pool(kctx *c, klayer *l, kcall *call)
{
    kt *t = image(c, l, call);
    if (!t) return c->b.status;
    int nd = t->rank - 2;
    if (nd < 1 || nd > 3) return hone__k_shape_error(c, "an image of shape %s", hone__k_dims(c, t));
    klayer like = *l;
    like.kind = &(klayer_kind){.name = l->kind->name, .variant = nd + l->kind->variant};
    kcall one = {.model = call->model, .in = &t, .in_count = 1};
    hone_status status = hone__klayer_adaptive_pool(c, &like, &one);
    call->out[0] = one.out[0], call->out_count = one.out_count;
    return status;
}

/* ---- images ---- */

static hone_status as_layer(kctx *c, klayer *l, kcall *call, kt *t, json_t *config,
                            hone_status (*fn)(kctx *, klayer *, kcall *))
{
    klayer like = *l;
    if (c->made) json_array_append_new(c->made, config);
    json_object_set_new(config, "data_format", json_string(is_first(l, call) ? "channels_first" : "channels_last"));
    like.config = config;
    kcall one = {.model = call->model, .in = &t, .in_count = 1};
    hone_status status = fn(c, &like, &one);
    call->out[0] = one.out[0], call->out_count = one.out_count;
    return status;
}

hone_status hone__kop_resize(kctx *c, klayer *l, kcall *call)
{
    static const char *const kept[] = {"antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_value"};
    kt *t = image(c, l, call);
    double size[2];
    if (!t) return c->b.status;
    const char *method = json_string_value(hone__kop_arg(l, call, -1, "interpolation|method"));
    if (hone__kop_list(hone__kop_arg(l, call, 1, "size"), size, 2) != 2)
        return hone__k_refuse(c, "a size that is not two numbers");
    if (hone__kop_bool(l, call, -1, "preserve_aspect_ratio", false))
        return hone__k_refuse(c, "an aspect ratio that is kept");
    json_t *config =
        json_pack("{s:f,s:f,s:s}", "height", size[0], "width", size[1], "interpolation", method ? method : "bilinear");
    for (size_t i = 0; config && i < sizeof kept / sizeof kept[0]; i++) {
        const json_t *v = hone__kop_arg(l, call, -1, kept[i]);
        if (v) json_object_set(config, kept[i], (json_t *)(uintptr_t)v);
    }
    if (!config) return hone__builder_fail(&c->b, hone__out_of_memory(64));
    HONE__TRY(as_layer(c, l, call, t, config, hone__klayer_resizing));
    bool nearest = method && strcmp(method, "nearest") == 0;
    if (nearest && call->out[0]) call->out[0] = hone__kt_cast(c, call->out[0], t->dtype);
    return c->b.status;
}

/* tf.compat.v1.image.resize_bilinear (variant 0) and resize_nearest_neighbor (1) */
hone_status hone__kop_old_resize(kctx *c, klayer *l, kcall *call)
{
    kt *t = image(c, l, call);
    double size[2];
    kview v;
    klayer like = *l;
    if (!t) return c->b.status;
    like.config = NULL;
    if (hone__kop_list(hone__kop_arg(l, call, -1, "size"), size, 2) != 2 || !(size[0] >= 1 && size[1] >= 1))
        return hone__k_refuse(c, "a size that is not two numbers");
    if (!view_channels(c, &like, t, 2, &v)) return c->b.status;
    bool corners = hone__kop_bool(l, call, -1, "align_corners", false),
         half = hone__kop_bool(l, call, -1, "half_pixel_centers", false), nearest = l->kind->variant;
    int64_t to[2] = {(int64_t)size[0], (int64_t)size[1]};
    hone__value *parts[2] = {hone__k_shape_of(c, v.x, 0, 2), hone__k_ints(c, to, 2)};
    hone__value *y =
        hone__emit(&c->b, "Resize", "resize", HONE__INS(v.x, NULL, NULL, hone__k_concat(c, parts, 2, 0)),
                   HONE__ATTRS(hone__a_string("mode", nearest ? "nearest" : "linear"),
                               hone__a_string("coordinate_transformation_mode", corners ? "align_corners"
                                                                                : half  ? "half_pixel"
                                                                                        : "asymmetric"),
                               hone__a_string("nearest_mode", corners || half ? "round_prefer_ceil" : "floor")));
    return hone__k_return(c, call, hone__kview_back(c, &v, y, v.channels, to));
}

/* The weights of TensorFlow's rgb_to_grayscale. */
hone_status hone__kop_grayscale(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, image(c, l, call), HONE_F32);
    static const float rgb[3] = {0.2989f, 0.587f, 0.114f};
    int64_t axes[1], dims[3] = {3, 1, 1};
    if (!t) return c->b.status;
    bool first = is_first(l, call);
    axes[0] = first ? t->rank - 3 : t->rank - 1;
    if (t->rank < 3 || t->dims[axes[0]] != 3) return hone__k_shape_error(c, "an image of shape %s", hone__k_dims(c, t));
    int rank = first ? 3 : 1;
    kt *w = hone__kt_new(c, K_PLAIN, hone__emit_f32(&c->b, "rgb", rgb, rank, dims), HONE_F32, rank, dims);
    return hone__k_return(c, call, hone__k_reduced(c, hone__k_binary(c, "Mul", t, w), "ReduceSum", axes, 1, true));
}

/* Offsets from the two given (or reckoned) ends of an axis: how much is added (or cut) before and behind. */
static bool box_axis(kctx *c, const klayer *l, const kcall *call, const char *before, const char *behind,
                     const char *target, int64_t size, int sign, int64_t *out)
{
    double a = hone__kop_num(l, call, -1, before, -1), b = hone__kop_num(l, call, -1, behind, -1),
           to = hone__kop_num(l, call, -1, target, -1);
    double change = sign * (to - (double)size);
    if (a < 0 && b < 0) return hone__k_refuse(c, "a box without a place"), false;
    if (to >= 0 && size >= 0 && a < 0) a = change - b;
    if (to >= 0 && size >= 0 && b < 0) b = change - a;
    if (!(a >= 0 && b >= 0 && a <= 1 << 20 && b <= 1 << 20) || a != (double)(int64_t)a || b != (double)(int64_t)b)
        hone__k_refuse(c, "a box that does not fit an image of %lld", (long long)size);
    else
        out[0] = (int64_t)a, out[1] = (int64_t)b;
    return c->b.status == HONE_OK;
}

/* variant 0: padding, 1: cropping; to a box in the names of keras.ops.image or of tf.image */
hone_status hone__kop_image_box(kctx *c, klayer *l, kcall *call)
{
    kt *t = image(c, l, call);
    int64_t y[2] = {0, 0}, x[2] = {0, 0};
    if (!t) return c->b.status;
    if (t->rank != 4) return hone__k_shape_error(c, "an image of shape %s, expected 4 dimensions", hone__k_dims(c, t));
    bool first = is_first(l, call), crop = l->kind->variant;
    int64_t h = t->dims[first ? 2 : 1], w = t->dims[first ? 3 : 2];
    if (!box_axis(c, l, call, crop ? "top_cropping|offset_height" : "top_padding|offset_height",
                  crop ? "bottom_cropping" : "bottom_padding", "target_height", h, crop ? -1 : 1, y) ||
        !box_axis(c, l, call, crop ? "left_cropping|offset_width" : "left_padding|offset_width",
                  crop ? "right_cropping" : "right_padding", "target_width", w, crop ? -1 : 1, x))
        return c->b.status;
    json_t *config = json_pack("{s:[[I,I],[I,I]]}", crop ? "cropping" : "padding", (json_int_t)y[0], (json_int_t)y[1],
                               (json_int_t)x[0], (json_int_t)x[1]);
    if (!config) return hone__builder_fail(&c->b, hone__out_of_memory(64));
    klayer like = *l;
    like.kind = &(klayer_kind){.name = l->kind->name, .variant = crop ? 6 : 2};
    return as_layer(c, &like, call, t, config, hone__klayer_pad_crop);
}

/* variant 0: depth to space, 1: space to depth */
hone_status hone__kop_depth_space(kctx *c, klayer *l, kcall *call)
{
    kt *t = image(c, l, call);
    double block = hone__kop_num(l, call, 1, "block_size", 0);
    kview v;
    if (!t) return c->b.status;
    if (!(block >= 1 && block <= 1 << 15)) return hone__k_refuse(c, "blocks of %g", block);
    klayer like = *l;
    json_t *config = json_pack("{s:s}", "data_format", is_first(l, call) ? "channels_first" : "channels_last");
    if (c->made) json_array_append_new(c->made, config);
    like.config = config;
    if (!view_channels(c, &like, t, 2, &v)) return c->b.status;
    int64_t n = (int64_t)block, channels = l->kind->variant ? v.channels * n * n : v.channels / (n * n), size[2];
    for (int i = 0; i < 2; i++) {
        if (l->kind->variant ? v.size[i] > 0 && v.size[i] % n : v.size[i] > K_MAX_DIM / n)
            return hone__k_shape_error(c, "blocks of %lld in an image of %lld", (long long)n, (long long)v.size[i]);
        size[i] = v.size[i] < 0 ? -1 : l->kind->variant ? v.size[i] / n : v.size[i] * n;
    }
    if (channels < 1 || channels > K_MAX_DIM || (!l->kind->variant && v.channels % (n * n)))
        return hone__k_shape_error(c, "blocks of %lld in %lld channels", (long long)n, (long long)v.channels);
    hone__value *y = hone__emit(&c->b, l->kind->variant ? "SpaceToDepth" : "DepthToSpace", "blocks", HONE__INS(v.x),
                                HONE__ATTRS(hone__a_int("blocksize", n)));
    return hone__k_return(c, call, hone__kview_back(c, &v, y, channels, size));
}

/* tf.image.per_image_standardization: (x - mean) / max(deviation, 1 / sqrt(elements)) */
hone_status hone__kop_standardize(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, image(c, l, call), HONE_F32);
    int64_t axes[3];
    if (!t || t->rank < 3) return c->b.status ? c->b.status : hone__k_refuse(c, "an image of rank below 3");
    double n = 1;
    for (int i = 0; i < 3; i++) {
        axes[i] = t->rank - 3 + i, n *= (double)t->dims[axes[i]];
        if (t->dims[axes[i]] < 1) return hone__k_refuse(c, "an image of unknown size");
    }
    kt *d = hone__k_binary(c, "Sub", t, hone__k_reduced(c, t, "ReduceMean", axes, 3, true));
    if (!d) return c->b.status;
    kt *root =
        hone__k_unary(c, hone__k_reduced(c, hone__k_binary(c, "Mul", d, d), "ReduceMean", axes, 3, true), "Sqrt");
    root = hone__k_binary_num(c, "Max", root, 1 / __builtin_sqrt(n));
    return hone__k_return(c, call, hone__k_binary(c, "Div", d, root));
}
