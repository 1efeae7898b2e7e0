/* layer_norm.c: normalisation layers, with the statistics and parameters that training left. */
#include <math.h>
#include <string.h>

#include "keras.h"

static hone__value *filled(kctx *c, int64_t n, float v)
{
    float *data = hone__k_alloc(c, (size_t)n * sizeof *data);
    if (!data) return NULL;
    for (int64_t i = 0; i < n; i++) data[i] = v;
    return hone__emit_f32(&c->b, "", data, 1, &n);
}

typedef struct batch_weights {
    kweight gamma, beta, mean, variance;
    bool scale, center;
} batch_weights;

/* Each of one axis, or of all axes of the input where it is normalised over several. */
static bool take_batch(kctx *c, klayer *l, int rank, const int64_t *n, batch_weights *w)
{
    int i = 0;
    memset(w, 0, sizeof *w);
    w->scale = hone__kcfg_bool(l, "scale", true), w->center = hone__kcfg_bool(l, "center", true);
    if (w->scale && !hone__kw_take(c, l, "", i++, "gamma", rank, n, &w->gamma)) return false;
    if (w->center && !hone__kw_take(c, l, "", i++, "beta", rank, n, &w->beta)) return false;
    if (!hone__kw_take(c, l, "", i++, "moving_mean", rank, n, &w->mean)) return false;
    return hone__kw_take(c, l, "", i++, "moving_variance", rank, n, &w->variance);
}

static kt *batch_node(kctx *c, klayer *l, kt *t, int form, const batch_weights *w, int64_t n, double epsilon)
{
    hone__value *scale = w->scale ? hone__kw_emit(c, l, &w->gamma) : hone__kw_cached(l, l, "ones");
    hone__value *bias = w->center ? hone__kw_emit(c, l, &w->beta) : hone__kw_cached(l, l, "zeros");
    if (!scale) hone__kw_remember(c, l, l, "ones", scale = filled(c, n, 1));
    if (!bias) hone__kw_remember(c, l, l, "zeros", bias = filled(c, n, 0));
    hone__value *y = hone__emit(&c->b, "BatchNormalization", "batch_norm",
                                HONE__INS(hone__kt_get(c, t, form), scale, bias, hone__kw_emit(c, l, &w->mean),
                                          hone__kw_emit(c, l, &w->variance)),
                                HONE__ATTRS(hone__a_float("epsilon", epsilon)));
    return hone__kt_like(c, t, form, y);
}

/* The channel is not where the operator wants it: x * s + b with s and b worked out here, of shape `dims`. */
static kt *batch_affine(kctx *c, klayer *l, kt *t, const batch_weights *w, int rank, const int64_t *dims,
                        double epsilon)
{
    hone__value *scale = hone__kw_cached(l, l, "scale"), *shift = hone__kw_cached(l, l, "shift");
    if (!scale) {
        float *gamma = w->scale ? hone__kw_floats(c, &w->gamma) : NULL,
              *beta = w->center ? hone__kw_floats(c, &w->beta) : NULL;
        float *mean = hone__kw_floats(c, &w->mean), *variance = hone__kw_floats(c, &w->variance);
        if (c->b.status != HONE_OK) return NULL;
        for (size_t i = 0; i < w->mean.count; i++) {
            double s = (gamma ? gamma[i] : 1) / sqrt((double)variance[i] + epsilon);
            mean[i] = (float)((beta ? beta[i] : 0) - mean[i] * s);
            variance[i] = (float)s;
        }
        scale = hone__emit_f32(&c->b, "scale", variance, rank, dims);
        shift = hone__emit_f32(&c->b, "shift", mean, rank, dims);
        hone__kw_remember(c, l, l, "scale", scale);
        hone__kw_remember(c, l, l, "shift", shift);
    }
    return hone__kt_like(c, t, K_PLAIN, hone__k2(c, "Add", hone__k2(c, "Mul", hone__kt_plain(c, t), scale), shift));
}

/* tf.keras only: statistics for each place of several axes. */
static hone_status batch_axes(kctx *c, klayer *l, kcall *call, kt *t, const json_t *given, double epsilon)
{
    batch_weights w;
    int64_t axes[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    int n = hone__kaxes(c, given, t->rank, axes);
    for (int i = 0; i < t->rank; i++) dims[i] = 1;
    for (int i = 0; i < n; i++) {
        dims[axes[i]] = t->dims[axes[i]];
        if (dims[axes[i]] < 1)
            return hone__k_shape_error(c, "axis %d of shape %s is not known", (int)axes[i], hone__k_dims(c, t));
    }
    if (!take_batch(c, l, t->rank, dims, &w)) return c->b.status;
    return hone__k_return(c, call, batch_affine(c, l, t, &w, t->rank, dims, epsilon));
}

hone_status hone__klayer_batch_norm(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32), *y;
    batch_weights w;
    const json_t *given = hone__kcfg(l, "axis");
    if (hone__kcfg_int(c, l, "mode", 0, 0, 2) != 0) return hone__k_refuse(c, "mode %d of Keras 1: only 0", 1);
    if (!t || t->rank < 2) return hone__k_shape_error(c, "an input of rank below 2");
    double epsilon = hone__kcfg_num(c, l, "epsilon", 1e-3);
    if (json_is_array(given) && json_array_size(given) != 1) return batch_axes(c, l, call, t, given, epsilon);
    int axis = hone__kjson_axis(c, given, -1, t->rank);
    int64_t n = t->dims[axis], dims[HONE_MAX_RANK];
    if (n < 1) return hone__k_shape_error(c, "axis %d of shape %s is not known", axis, hone__k_dims(c, t));
    if (!take_batch(c, l, 1, &n, &w)) return c->b.status;
    bool last = axis == t->rank - 1 && t->rank >= 3;
    for (int i = 0; i < t->rank - axis; i++) dims[i] = i ? 1 : n;
    if (axis == 1 && !last)
        y = batch_node(c, l, t, K_PLAIN, &w, n, epsilon);
    else if (last && (t->form[K_MOVED] || t->rank >= 4))
        y = batch_node(c, l, t, K_MOVED, &w, n, epsilon);
    else
        y = batch_affine(c, l, t, &w, t->rank - axis, dims, epsilon);
    return hone__k_return(c, call, y);
}

/* The axes of a setting, and whether they are the last ones without a gap. */
static int trailing_axes(kctx *c, const json_t *given, const kt *t, int64_t *axes, bool *trailing)
{
    json_t *last = given ? NULL : json_integer(-1);
    int n = hone__kaxes(c, given ? given : last, t->rank, axes);
    json_decref(last);
    *trailing = n > 0;
    for (int i = 0; i < n; i++) *trailing = *trailing && axes[i] == t->rank - n + i;
    return n;
}

/* A parameter over `axes`, with 1 for the others so that it broadcasts; `aligned`: against the last axes as it is. */
static hone__value *take_over_axes(kctx *c, klayer *l, int index, const char *name, const kt *t, const int64_t *axes,
                                   int n, bool aligned)
{
    kweight w;
    int64_t dims[HONE_MAX_RANK], shaped[HONE_MAX_RANK];
    for (int i = 0; i < n; i++) dims[i] = t->dims[axes[i]];
    if (!hone__kw_take(c, l, "", index, name, n, dims, &w)) return NULL;
    if (aligned) return hone__kw_emit(c, l, &w);
    int rank = t->rank - (int)axes[0], k = 0;
    for (int i = 0; i < rank; i++) shaped[i] = k < n && axes[k] == axes[0] + i ? w.dims[k++] : 1;
    return hone__kw_shaped(c, l, &w, rank, shaped);
}

/* A parameter over the last axis, which lies second. */
static hone__value *take_over_moved(kctx *c, klayer *l, int index, const char *name, const kt *t)
{
    kweight w;
    int64_t n = t->dims[t->rank - 1], dims[HONE_MAX_RANK];
    if (!hone__kw_take(c, l, "", index, name, 1, &n, &w)) return NULL;
    for (int i = 0; i < t->rank - 1; i++) dims[i] = i ? 1 : n;
    return hone__kw_shaped(c, l, &w, t->rank - 1, dims);
}

enum { NORM_LAYER, NORM_RMS };

/* x * rsqrt(spread + epsilon), where spread is the variance (of x - mean) or the mean square. */
static hone__value *rescaled(kctx *c, hone__value *x, hone__value *spread_of, const int64_t *axes, int n,
                             double epsilon)
{
    hone__value *square = hone__k2(c, "Mul", spread_of, spread_of);
    hone__value *spread = hone__k_reduce(c, "ReduceMean", square, axes, (size_t)n, true);
    hone__value *root = hone__k1(c, "Sqrt", hone__k2(c, "Add", spread, hone__k_scalar(c, epsilon, HONE_F32)));
    return hone__k2(c, "Div", x, root);
}

hone_status hone__klayer_layer_norm(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    int64_t axes[HONE_MAX_RANK];
    bool trailing, rms = l->kind->variant == NORM_RMS, odd = !rms && hone__kcfg_bool(l, "rms_scaling", false);
    if (!t || t->rank < 1) return hone__k_shape_error(c, "a scalar input");
    int n = trailing_axes(c, hone__kcfg(l, "axis"), t, axes, &trailing), index = 0;
    for (int i = 0; i < n; i++)
        if (t->dims[axes[i]] < 1)
            return hone__k_shape_error(c, "axis %d of shape %s is not known", (int)axes[i], hone__k_dims(c, t));
    if (n == 0) return hone__k_shape_error(c, "no axis");
    double epsilon = hone__kcfg_num(c, l, "epsilon", rms ? 1e-6 : 1e-3);
    bool has_scale = rms || odd || hone__kcfg_bool(l, "scale", true),
         has_shift = !rms && !odd && hone__kcfg_bool(l, "center", true);
    bool moved = trailing && n == 1 && hone__kt_only_moved(t);
    int form = moved ? K_MOVED : K_PLAIN;
    hone__value *scale = NULL, *shift = NULL, *x = hone__kt_get(c, t, form), *y;
    if (has_scale)
        scale = moved ? take_over_moved(c, l, index++, "gamma", t)
                      : take_over_axes(c, l, index++, "gamma", t, axes, n, rms);
    if (has_shift)
        shift = moved ? take_over_moved(c, l, index++, "beta", t)
                      : take_over_axes(c, l, index++, "beta", t, axes, n, false);
    if (c->b.status != HONE_OK) return c->b.status;
    if (moved) axes[0] = 1;
    if (!moved && !rms && !odd && trailing && n == 1) {
        if (!scale && !(scale = hone__kw_cached(l, l, "ones")))
            hone__kw_remember(c, l, l, "ones", scale = filled(c, t->dims[axes[0]], 1));
        y = hone__emit(&c->b, "LayerNormalization", "layer_norm", HONE__INS(x, scale, shift),
                       HONE__ATTRS(hone__a_int("axis", -1), hone__a_float("epsilon", epsilon)));
    } else {
        hone__value *centered =
            rms ? x : hone__k2(c, "Sub", x, hone__k_reduce(c, "ReduceMean", x, axes, (size_t)n, true));
        y = rescaled(c, rms || odd ? x : centered, centered, axes, n, epsilon);
        if (scale) y = hone__k2(c, "Mul", y, scale);
        if (shift) y = hone__k2(c, "Add", y, shift);
    }
    kt *out = hone__kt_like(c, t, form, y);
    for (int i = 0; rms && !moved && out && i < n; i++) /* its scale lies against the last axes, and may widen them */
        if (out->dims[t->rank - n + i] == 1) out->dims[t->rank - n + i] = t->dims[axes[i]];
    return hone__k_return(c, call, out);
}

hone_status hone__klayer_group_norm(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    kweight w;
    if (!t || t->rank < 2) return hone__k_shape_error(c, "an input of rank below 2");
    int axis = hone__kaxis(c, hone__kcfg_int(c, l, "axis", -1, -16, 16), t->rank), index = 0, rank = t->rank;
    int64_t n = t->dims[axis], groups = hone__kcfg_int(c, l, "groups", 32, -1, K_MAX_DIM);
    if (groups == -1) groups = n;
    if (n < 1 || groups < 1 || n % groups)
        return hone__k_shape_error(c, "%lld channels in %lld groups", (long long)n, (long long)groups);
    bool last = axis == rank - 1 && rank > 2;
    if (axis == 0) return hone__k_refuse(c, "axis 0: the batch's own axis");
    bool between = !last && axis != 1; /* then the axis is brought to the front of the others, and back */
    int form = last ? K_MOVED : K_PLAIN;
    int64_t perm[HONE_MAX_RANK], inverse[HONE_MAX_RANK], back[HONE_MAX_RANK] = {0};
    for (int i = 0; i < rank; i++) perm[i] = !between || i == 0 || i > axis ? i : i == 1 ? axis : i - 1;
    for (int i = 0; i < rank; i++) inverse[perm[i]] = i;
    hone__value *x = hone__kt_get(c, t, form);
    if (between) x = hone__k_transpose(c, x, rank, perm);
    hone__value *ones = hone__kw_cached(l, l, "ones"), *zeros = hone__kw_cached(l, l, "zeros");
    if (!ones) hone__kw_remember(c, l, l, "ones", ones = filled(c, groups, 1));
    if (!zeros) hone__kw_remember(c, l, l, "zeros", zeros = filled(c, groups, 0));
    hone__value *y = hone__emit(&c->b, "InstanceNormalization", "normalize",
                                HONE__INS(hone__k_reshape(c, x, 3, (int64_t[]){0, groups, -1}), ones, zeros),
                                HONE__ATTRS(hone__a_float("epsilon", hone__kcfg_num(c, l, "epsilon", 1e-3))));
    int unknown = 0;
    for (int i = 1; i < rank; i++) {
        back[between ? inverse[i] : hone__kt_axis(t, form, i)] = t->dims[i];
        unknown += t->dims[i] < 0;
    }
    y = unknown > 1 ? hone__k2(c, "Reshape", y, hone__k1(c, "Shape", x)) : hone__k_reshape(c, y, rank, back);
    int64_t dims[HONE_MAX_RANK];
    for (int i = 0; i < rank - 1; i++) dims[i] = i ? 1 : n;
    if (hone__kcfg_bool(l, "scale", true) && hone__kw_take(c, l, "", index++, "gamma", 1, &n, &w))
        y = hone__k2(c, "Mul", y, hone__kw_shaped(c, l, &w, rank - 1, dims));
    if (hone__kcfg_bool(l, "center", true) && hone__kw_take(c, l, "", index++, "beta", 1, &n, &w))
        y = hone__k2(c, "Add", y, hone__kw_shaped(c, l, &w, rank - 1, dims));
    if (between) y = hone__k_transpose(c, y, rank, inverse);
    return hone__k_return(c, call, hone__kt_like(c, t, form, y));
}

/* x / max(norm, 1e-12) over the axes. */
hone_status hone__klayer_unit_norm(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    int64_t axes[HONE_MAX_RANK];
    bool trailing;
    if (!t || t->rank < 1) return hone__k_shape_error(c, "a scalar input");
    int n = trailing_axes(c, hone__kcfg(l, "axis"), t, axes, &trailing);
    int form = hone__kt_only_moved(t) ? K_MOVED : K_PLAIN;
    for (int i = 0; i < n; i++) axes[i] = hone__kt_axis(t, form, (int)axes[i]);
    hone__value *x = hone__kt_get(c, t, form), *norm = hone__k_reduce(c, "ReduceL2", x, axes, (size_t)n, true);
    norm = hone__k2(c, "Max", norm, hone__k_scalar(c, 1e-12, HONE_F32));
    return hone__k_return(c, call, hone__kt_like(c, t, form, hone__k2(c, "Div", x, norm)));
}

/* The wrapped layer with its kernel as training left it. */
hone_status hone__klayer_spectral(kctx *c, klayer *l, kcall *call)
{
    klayer *inner = hone__klayer_child(c, l, "layer", "layer");
    /* its own state lies among the weights of a frozen layer */
    if (inner && l->source.owned && inner->source.list == l->source.list)
        hone__kw_leave_out(c, &inner->source, "vector_u");
    return hone__k_return(c, call, hone__klayer_apply(c, inner, call->in[0]));
}

/* keras.applications' ConvNeXt: x times one weight per channel. */
hone_status hone__klayer_layer_scale(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    kweight w;
    int64_t dims[HONE_MAX_RANK];
    if (!t || t->rank < 2) return hone__k_shape_error(c, "an input of rank below 2");
    int64_t n = t->dims[t->rank - 1];
    if (!hone__kw_take(c, l, "", 0, "gamma", 1, &n, &w)) return c->b.status;
    int form = t->form[K_MOVED] && !t->form[K_PLAIN] ? K_MOVED : K_PLAIN, rank = form == K_MOVED ? t->rank - 1 : 1;
    for (int i = 0; i < rank; i++) dims[i] = i ? 1 : w.dims[0];
    hone__value *y = hone__k2(c, "Mul", hone__kt_get(c, t, form), hone__kw_shaped(c, l, &w, rank, dims));
    return hone__k_return(c, call, hone__kt_like(c, t, form, y));
}

/* keras.applications' InceptionResNetV2: a + b * scale. */
hone_status hone__klayer_scaled_sum(kctx *c, klayer *l, kcall *call)
{
    if (call->in_count != 2) return hone__k_shape_error(c, "%d inputs, expected 2", call->in_count);
    kt *b = hone__kt_cast(c, call->in[1], HONE_F32);
    int form = hone__kt_best(b);
    hone__value *scale = hone__k_scalar(c, hone__kcfg_num(c, l, "scale", 1), HONE_F32);
    b = hone__kt_like(c, b, form, hone__k2(c, "Mul", hone__kt_get(c, b, form), scale));
    return hone__k_return(c, call, hone__k_binary(c, "Add", call->in[0], b));
}
