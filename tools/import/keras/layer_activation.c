/* layer_activation.c: activation functions by name, serialised or as layers. */
#include <math.h>
#include <string.h>

#include "keras.h"

kt *hone__k_unary(kctx *c, kt *t, const char *op)
{
    int form = hone__kt_best(t);
    return hone__kt_like(c, t, form, hone__k1(c, op, hone__kt_get(c, t, form)));
}

static kt *same_form(kctx *c, kt *t, hone__value *v) { return hone__kt_like(c, t, hone__kt_best(t), v); }

static hone__value *value_of(kctx *c, kt *t) { return hone__kt_get(c, t, hone__kt_best(t)); }

static kt *with_float(kctx *c, kt *t, const char *op, const char *name, double a)
{
    return same_form(c, t, hone__emit(&c->b, op, op, HONE__INS(value_of(c, t)), HONE__ATTRS(hone__a_float(name, a))));
}

static kt *with_floats(kctx *c, kt *t, const char *op, const char *an, double a, const char *bn, double b)
{
    return same_form(
        c, t,
        hone__emit(&c->b, op, op, HONE__INS(value_of(c, t)), HONE__ATTRS(hone__a_float(an, a), hone__a_float(bn, b))));
}

static kt *clip(kctx *c, kt *t, double low, double high)
{
    hone__value *min = isinf(low) ? NULL : hone__k_scalar(c, low, HONE_F32);
    hone__value *max = isinf(high) ? NULL : hone__k_scalar(c, high, HONE_F32);
    return same_form(c, t, hone__emit(&c->b, "Clip", "clip", HONE__INS(value_of(c, t), min, max), HONE__NO_ATTRS));
}

static hone__value *number(kctx *c, double v) { return hone__k_scalar(c, v, HONE_F32); }

kt *hone__k_softmax(kctx *c, kt *t, int64_t axis, const char *op)
{
    if (!t) return NULL;
    int form = t->form[K_FLAT] ? K_PLAIN : hone__kt_best(t);
    int a = hone__kaxis(c, axis, t->rank);
    hone__value *x = hone__kt_get(c, t, form);
    x = hone__emit(&c->b, op, op, HONE__INS(x), HONE__ATTRS(hone__a_int("axis", hone__kt_axis(t, form, a))));
    return hone__kt_like(c, t, form, x);
}

/* max(x, 0) up to `top`, slope below `threshold` */
static kt *general_relu(kctx *c, kt *t, double slope, double top, double threshold)
{
    if (threshold == 0) {
        if (slope == 0) return isinf(top) ? hone__k_unary(c, t, "Relu") : clip(c, t, 0, top);
        kt *y = with_float(c, t, "LeakyRelu", "alpha", slope);
        return isinf(top) ? y : clip(c, y, -INFINITY, top);
    }
    hone__value *x = value_of(c, t), *limit = number(c, threshold);
    hone__value *above = isinf(top) ? x : value_of(c, clip(c, t, -INFINITY, top));
    hone__value *below = slope == 0 ? number(c, 0) : hone__k2(c, "Mul", hone__k2(c, "Sub", x, limit), number(c, slope));
    hone__value *on = hone__k2(c, "GreaterOrEqual", x, limit);
    return same_form(c, t, hone__emit(&c->b, "Where", "where", HONE__INS(on, above, below), HONE__NO_ATTRS));
}

static kt *gated(kctx *c, kt *t, const char *op)
{
    hone__value *x = value_of(c, t);
    return same_form(c, t, hone__k2(c, "Mul", x, hone__k1(c, op, x)));
}

static kt *gelu(kctx *c, kt *t, bool approximate)
{
    hone__attr a = hone__a_string("approximate", approximate ? "tanh" : "none");
    return same_form(c, t, hone__emit(&c->b, "Gelu", "gelu", HONE__INS(value_of(c, t)), HONE__ATTRS(a)));
}

static kt *glu(kctx *c, kt *t, int64_t axis)
{
    hone__value *half[2];
    int a = hone__kaxis(c, axis, t->rank);
    if (t->dims[a] < 0 || t->dims[a] % 2) {
        hone__k_shape_error(c, "glu halves axis %d of an input of shape %s", a, hone__k_dims(c, t));
        return NULL;
    }
    hone__emit_multi(&c->b, "Split", "split", HONE__INS(hone__kt_plain(c, t)),
                     HONE__ATTRS(hone__a_int("axis", a), hone__a_int("num_outputs", 2)), half, 2);
    kt *y = hone__kt_like(c, t, K_PLAIN, hone__k2(c, "Mul", half[0], hone__k1(c, "Sigmoid", half[1])));
    if (y) y->dims[a] /= 2;
    return y;
}

/* Sorts, and finds a threshold as Keras 3 does: from the running sums (Martins & Astudillo 2016 use the values). */
static kt *sparsemax(kctx *c, kt *t, int64_t axis)
{
    int a = hone__kaxis(c, axis, t->rank);
    int64_t n = t->dims[a];
    if (n < 1 || n > 65536 || a != t->rank - 1) {
        hone__k_refuse(c, "sparsemax over axis %d of shape %s: only a known last axis", a, hone__k_dims(c, t));
        return NULL;
    }
    hone__value *x = hone__kt_plain(c, t), *top[2];
    float *steps = hone__k_alloc(c, (size_t)n * sizeof *steps);
    if (!steps) return NULL;
    for (int64_t i = 0; i < n; i++) steps[i] = (float)(i + 1);
    hone__emit_multi(&c->b, "TopK", "sort", HONE__INS(x, hone__k_int(c, n)), HONE__ATTRS(hone__a_int("axis", a)), top,
                     2);
    hone__value *sum = hone__k2(c, "CumSum", top[0], hone__emit_scalar_i64(&c->b, a));
    hone__value *scaled = hone__k2(c, "Mul", top[0], hone__emit_f32(&c->b, "", steps, 1, &n));
    hone__value *in = hone__k2(c, "Greater", hone__k2(c, "Add", scaled, number(c, 1)), sum);
    hone__value *count = hone__k_reduce(c, "ReduceSum", hone__k_cast(c, in, HONE_F32), (int64_t[]){a}, 1, true);
    hone__value *kept = hone__emit(&c->b, "Where", "where", HONE__INS(in, sum, number(c, 0)), HONE__NO_ATTRS);
    hone__value *total = hone__k_reduce(c, "ReduceSum", kept, (int64_t[]){a}, 1, true);
    hone__value *tau = hone__k2(c, "Div", hone__k2(c, "Sub", total, number(c, 1)), count);
    return hone__kt_like(c, t, K_PLAIN, hone__k1(c, "Relu", hone__k2(c, "Sub", x, tau)));
}

static double arg(const json_t *args, const char *key, double otherwise)
{
    return hone__kjson_num(json_object_get(args, key), otherwise);
}

static double slope_arg(const json_t *args, double otherwise)
{
    return arg(args, "negative_slope", arg(args, "alpha", otherwise));
}

/* The rarer ones, put together from simple operators. */
static kt *composed(kctx *c, const char *s, const json_t *args, kt *t)
{
    hone__value *x = value_of(c, t), *y = NULL;
    if (strcmp(s, "tanh_shrink") == 0)
        y = hone__k2(c, "Sub", x, hone__k1(c, "Tanh", x));
    else if (strcmp(s, "log_sigmoid") == 0)
        y = hone__k1(c, "Neg", hone__k1(c, "Softplus", hone__k1(c, "Neg", x)));
    else if (strcmp(s, "squareplus") == 0) {
        hone__value *root =
            hone__k1(c, "Sqrt", hone__k2(c, "Add", hone__k2(c, "Mul", x, x), number(c, arg(args, "b", 4))));
        y = hone__k2(c, "Mul", hone__k2(c, "Add", x, root), number(c, 0.5));
    } else if (strcmp(s, "sparse_sigmoid") == 0) {
        return with_floats(c, t, "HardSigmoid", "alpha", 0.5, "beta", 0.5);
    } else if (strcmp(s, "sparse_plus") == 0) { /* 0 up to -1, ((x + 1) / 2)^2 up to 1, then x */
        hone__value *half = hone__emit(&c->b, "HardSigmoid", "half", HONE__INS(x),
                                       HONE__ATTRS(hone__a_float("alpha", 0.5), hone__a_float("beta", 0.5)));
        hone__value *on = hone__k2(c, "Less", x, number(c, 1));
        y = hone__emit(&c->b, "Where", "where", HONE__INS(on, hone__k2(c, "Mul", half, half), x), HONE__NO_ATTRS);
    } else if (strcmp(s, "threshold") == 0) {
        hone__value *on = hone__k2(c, "Greater", x, number(c, arg(args, "threshold", 0)));
        double other = arg(args, "default_value", arg(args, "value", 0));
        y = hone__emit(&c->b, "Where", "where", HONE__INS(on, x, number(c, other)), HONE__NO_ATTRS);
    } else {
        hone__k_refuse(c, "activation '%s' is not one of Keras's, and code from a file is never executed", s);
        return NULL;
    }
    return same_form(c, t, y);
}

kt *hone__k_named_activation(kctx *c, const char *s, const json_t *args, kt *t)
{
    static const char *const simple[][2] = {
        {"relu", "Relu"},       {"tanh", "Tanh"},           {"sigmoid", "Sigmoid"},
        {"exponential", "Exp"}, {"softplus", "Softplus"},   {"softsign", "Softsign"},
        {"mish", "Mish"},       {"hard_silu", "HardSwish"}, {"hard_swish", "HardSwish"}};
    if (!t || c->b.status != HONE_OK) return NULL;
    t = hone__kt_cast(c, t, HONE_F32);
    if (!t) return NULL;
    bool has_args = json_object_size(args) > 0;
    if (strcmp(s, "linear") == 0) return t;
    if (strcmp(s, "relu") == 0 && has_args)
        return general_relu(c, t, slope_arg(args, 0), arg(args, "max_value", INFINITY), arg(args, "threshold", 0));
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
        if (strcmp(s, simple[i][0]) == 0) return hone__k_unary(c, t, simple[i][1]);
    if (strcmp(s, "softmax") == 0) return hone__k_softmax(c, t, (int64_t)arg(args, "axis", -1), "Softmax");
    if (strcmp(s, "log_softmax") == 0) return hone__k_softmax(c, t, (int64_t)arg(args, "axis", -1), "LogSoftmax");
    if (strcmp(s, "relu6") == 0) return clip(c, t, 0, 6);
    if (strcmp(s, "hard_tanh") == 0) return clip(c, t, -1, 1);
    if (strcmp(s, "silu") == 0 || strcmp(s, "swish") == 0) return gated(c, t, "Sigmoid");
    if (strcmp(s, "gelu") == 0) return gelu(c, t, arg(args, "approximate", 0) != 0);
    if (strcmp(s, "glu") == 0) return glu(c, t, (int64_t)arg(args, "axis", -1));
    if (strcmp(s, "sparsemax") == 0) return sparsemax(c, t, (int64_t)arg(args, "axis", -1));
    if (strcmp(s, "elu") == 0) return with_float(c, t, "Elu", "alpha", arg(args, "alpha", 1));
    if (strcmp(s, "celu") == 0) return with_float(c, t, "Celu", "alpha", arg(args, "alpha", 1));
    if (strcmp(s, "leaky_relu") == 0) return with_float(c, t, "LeakyRelu", "alpha", slope_arg(args, 0.2));
    if (strcmp(s, "selu") == 0)
        return with_floats(c, t, "Selu", "alpha", 1.6732632423543772, "gamma", 1.0507009873554805);
    if (strcmp(s, "hard_sigmoid") == 0) /* Keras 3 changed the slope from 0.2 */
        return with_floats(c, t, "HardSigmoid", "alpha", c->keras_major < 3 ? 0.2 : 1.0 / 6, "beta", 0.5);
    if (strcmp(s, "hard_shrink") == 0)
        return with_floats(c, t, "Shrink", "lambd", arg(args, "threshold", 0.5), "bias", 0);
    if (strcmp(s, "soft_shrink") == 0) {
        double limit = arg(args, "threshold", 0.5);
        return with_floats(c, t, "Shrink", "lambd", limit, "bias", limit);
    }
    return composed(c, s, args, t);
}

kt *hone__k_activation(kctx *c, klayer *l, const json_t *spec, kt *t)
{
    if (!t || !spec || json_is_null(spec)) return t;
    if (json_is_string(spec)) {
        const char *name = json_string_value(spec), *after = strrchr(name, '>'); /* "package>function" is custom */
        if (after) {
            hone__k_refuse(c, "activation '%s' is custom code, which is never executed", name);
            return NULL;
        }
        return hone__k_named_activation(c, name, NULL, t);
    }
    const char *class_name = hone__json_text(spec, "class_name");
    const json_t *config = json_object_get(spec, "config");
    if (class_name && strcmp(class_name, "function") == 0 && json_is_string(config))
        return hone__k_named_activation(c, json_string_value(config), NULL, t);
    if (class_name && hone__klayer_kind_find(class_name)) {
        klayer *child = hone__klayer_child_of(c, l, spec, "activation", "activation");
        return hone__klayer_apply(c, child, t);
    }
    if (class_name && json_is_object(config) && strcmp(class_name, "__lambda__") != 0)
        return hone__k_named_activation(c, class_name, config, t);
    hone__k_refuse(c, "its activation is Python code (%s), which is never executed: use one of Keras's activations",
                   class_name ? class_name : "of no known class");
    return NULL;
}

/* ---- layers ---- */

hone_status hone__klayer_activation(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__k_activation(c, l, hone__kcfg(l, "activation"), call->in[0]);
    if (t == call->in[0]) t = hone__kt_like(c, t, hone__kt_best(t), hone__kt_get(c, t, hone__kt_best(t)));
    return hone__k_return(c, call, t);
}

enum { ACT_RELU, ACT_LEAKY, ACT_ELU, ACT_THRESHOLDED, ACT_SOFTMAX };

static kt *masked_softmax(kctx *c, kt *t, kt *mask, const json_t *axis)
{
    if (mask) { /* Keras adds -3e38 where the mask is false */
        hone__value *off =
            hone__emit(&c->b, "Where", "mask", HONE__INS(hone__kt_plain(c, mask), number(c, 0), number(c, -3.4e38 / 2)),
                       HONE__NO_ATTRS);
        t = hone__kt_like(c, t, K_PLAIN, hone__k2(c, "Add", hone__kt_plain(c, t), off));
    }
    if (!json_is_array(axis) || json_array_size(axis) == 1)
        return hone__k_softmax(c, t, (int64_t)hone__kjson_num(axis, -1), "Softmax");
    int64_t axes[HONE_MAX_RANK];
    int n = hone__kaxes(c, axis, t->rank, axes);
    hone__value *x = hone__kt_plain(c, t);
    hone__value *sum = hone__k_reduce(c, "ReduceLogSumExp", x, axes, (size_t)n, true);
    return hone__kt_like(c, t, K_PLAIN, hone__k1(c, "Exp", hone__k2(c, "Sub", x, sum)));
}

hone_status hone__klayer_advanced(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32), *y = NULL;
    if (!t) return c->b.status;
    switch (l->kind->variant) {
    case ACT_RELU:
        y = general_relu(c, t, hone__kcfg_num(c, l, "negative_slope", 0), hone__kcfg_num(c, l, "max_value", INFINITY),
                         hone__kcfg_num(c, l, "threshold", 0));
        break;
    case ACT_LEAKY: y = with_float(c, t, "LeakyRelu", "alpha", hone__kcfg_num(c, l, "negative_slope", 0.3)); break;
    case ACT_ELU: y = with_float(c, t, "Elu", "alpha", hone__kcfg_num(c, l, "alpha", 1)); break;
    case ACT_THRESHOLDED: y = with_float(c, t, "ThresholdedRelu", "alpha", hone__kcfg_num(c, l, "theta", 1)); break;
    default: {
        kt *mask = NULL;
        const json_t *given = json_object_get(call->kwargs, "mask");
        if (given && !json_is_null(given))
            mask = hone__kcall_ref(c, call, given);
        else if (call->in_count > 1)
            mask = call->in[1];
        if (!mask && t->mask) return hone__k_refuse(c, "a Softmax over a masked sequence: apply the mask explicitly");
        y = masked_softmax(c, t, mask, hone__kcfg(l, "axis"));
    }
    }
    return hone__k_return(c, call, y);
}

hone_status hone__klayer_prelu(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    kweight w;
    int64_t dims[HONE_MAX_RANK], shared[HONE_MAX_RANK], perm[HONE_MAX_RANK], to[HONE_MAX_RANK];
    if (!t || t->rank < 2) return hone__k_shape_error(c, "an input of rank below 2");
    int rank = t->rank - 1;
    for (int i = 0; i < rank; i++) dims[i] = t->dims[i + 1];
    const json_t *axes = hone__kcfg(l, "shared_axes");
    int n = axes && json_array_size(axes) ? hone__kaxes(c, axes, t->rank, shared) : 0;
    for (int i = 0; i < n; i++)
        if (shared[i] > 0) dims[shared[i] - 1] = 1;
    if (!hone__kw_take(c, l, "", 0, "alpha", rank, dims, &w)) return c->b.status;
    int form = t->form[K_MOVED] ? K_MOVED : K_PLAIN;
    hone__value *slope;
    if (form == K_MOVED) { /* [spatial..., channels] -> [channels, spatial...] */
        for (int i = 0; i < rank; i++) perm[i] = i == 0 ? rank - 1 : i - 1, to[i] = w.dims[perm[i]];
        slope = hone__kw_permuted(c, l, &w, "moved", rank, w.dims, perm, rank, to);
    } else
        slope = hone__kw_emit(c, l, &w);
    return hone__k_return(c, call, hone__kt_like(c, t, form, hone__k2(c, "PRelu", hone__kt_get(c, t, form), slope)));
}
