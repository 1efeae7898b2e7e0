/* ops_math.c: element by element operations, reductions and products of keras.ops and TensorFlow's functions. */
#include <math.h>
#include <string.h>

#include "keras_ops.h"

const json_t *hone__kop_arg(const klayer *l, const kcall *call, int index, const char *names)
{
    char name[64];
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, "|");
        if (n < sizeof name) {
            memcpy(name, p, n);
            name[n] = 0;
            const json_t *v = json_object_get(call->kwargs, name);
            if (!v && strcmp(name, "name") != 0) v = json_object_get(l->config, name);
            if (v && !json_is_null(v)) return v;
        }
        p += n + (p[n] == '|');
    }
    const json_t *v = call->args && index >= 0 ? json_array_get(call->args, (size_t)index) : NULL;
    return json_is_null(v) ? NULL : v;
}

kt *hone__kop_tensor(kctx *c, const klayer *l, kcall *call, int index, const char *names, bool needed)
{
    const json_t *v = hone__kop_arg(l, call, index, names);
    kt *t = v ? hone__kcall_tensor(c, call, v) : NULL;
    if (!t && !call->args && index < call->in_count) t = call->in[index];
    if (!t && needed) hone__k_refuse(c, "argument %d (%s) is neither a tensor nor a number", index, names);
    return t;
}

double hone__kop_num(const klayer *l, const kcall *call, int index, const char *names, double otherwise)
{
    return hone__kjson_num(hone__kop_arg(l, call, index, names), otherwise);
}

bool hone__kop_bool(const klayer *l, const kcall *call, int index, const char *names, bool otherwise)
{
    return hone__kop_num(l, call, index, names, otherwise) != 0;
}

/* floor(x / y) */
static kt *floor_div(kctx *c, kt *x, kt *y)
{
    return hone__k_unary(c, hone__k_binary(c, "Div", hone__kt_cast(c, x, HONE_F32), y), "Floor");
}

hone_status hone__kop_binary(kctx *c, klayer *l, kcall *call)
{
    static const char *const ops[] = {
        "Add",  "Sub",         "Mul", "Div", "Pow", "Max",  "Min", "Equal", "Greater", "GreaterOrEqual",
        "Less", "LessOrEqual", "And", "Or",  "Xor", "Equal"};
    kt *x = hone__kop_tensor(c, l, call, 0, "x1|x|a", true), *y = hone__kop_tensor(c, l, call, 1, "x2|y|b", true), *z;
    int v = l->kind->variant;
    if (!x || !y) return c->b.status;
    if (x->number && y->number) return hone__k_refuse(c, "an operation on two constants");
    if (v == 3 && x->dtype != HONE_F32) x = hone__kt_cast(c, x, HONE_F32);
    if (v == 3 && y->dtype != HONE_F32) y = hone__kt_cast(c, y, HONE_F32);
    if (v >= 12 && v <= 14) x = hone__kt_cast(c, x, HONE_BOOL), y = hone__kt_cast(c, y, HONE_BOOL);
    if (v == 16)
        z = hone__k_binary(c, "Sub", x, hone__k_binary(c, "Mul", floor_div(c, x, y), y));
    else if (v == 17)
        z = floor_div(c, x, y);
    else if (v == 18)
        z = hone__k_binary(c, "Sub", x, y), z = hone__k_binary(c, "Mul", z, z);
    else
        z = hone__k_binary(c, ops[v], x, y);
    if (z && v == 15) z->dtype = HONE_BOOL, z = hone__k_unary(c, z, "Not");
    if (z && v >= 7 && v <= 15) z->dtype = HONE_BOOL;
    return hone__k_return(c, call, z);
}

static kt *times(kctx *c, kt *t, double factor)
{
    int form = hone__kt_best(t);
    return hone__kt_like(c, t, form, hone__k2(c, "Mul", hone__kt_get(c, t, form), hone__k_scalar(c, factor, HONE_F32)));
}

static kt *plus(kctx *c, kt *t, double term)
{
    int form = hone__kt_best(t);
    return hone__kt_like(c, t, form, hone__k2(c, "Add", hone__kt_get(c, t, form), hone__k_scalar(c, term, HONE_F32)));
}

hone_status hone__kop_unary(kctx *c, klayer *l, kcall *call)
{
    static const char *const ops[] = {"Neg",   "Abs",        "Exp",  "Log",  "Sqrt", "Sin",  "Cos",   "Tan",
                                      "Sinh",  "Cosh",       "Asin", "Acos", "Atan", "Sign", "Floor", "Ceil",
                                      "Round", "Reciprocal", "Erf",  "Not",  "Tanh", "IsNaN"};
    kt *t = hone__kop_tensor(c, l, call, 0, "x|input|features|a", true), *y;
    int v = l->kind->variant;
    if (!t) return c->b.status;
    if (v == 16 && hone__kop_num(l, call, 1, "decimals", 0) != 0) return hone__k_refuse(c, "rounding to decimals");
    bool keeps = v < 2 || v == 13 || v == 19 || v == 22 || v == 28;
    if (!keeps) t = hone__kt_cast(c, t, HONE_F32);
    if (v == 19) t = hone__kt_cast(c, t, HONE_BOOL);
    switch (v) {
    case 22: y = hone__k_binary(c, "Mul", t, t); break;
    case 23: y = hone__k_unary(c, hone__k_unary(c, t, "Sqrt"), "Reciprocal"); break;
    case 24: y = hone__k_unary(c, plus(c, t, 1), "Log"); break;
    case 25: y = plus(c, hone__k_unary(c, t, "Exp"), -1); break;
    case 26: y = times(c, hone__k_unary(c, t, "Log"), 1 / log(2)); break;
    case 27: y = times(c, hone__k_unary(c, t, "Log"), 1 / log(10)); break;
    case 28: y = hone__kt_like(c, t, hone__kt_best(t), hone__kt_get(c, t, hone__kt_best(t))); break;
    default: y = hone__k_unary(c, t, ops[v]);
    }
    if (y && v == 21) y->dtype = HONE_BOOL;
    if (y) y->mask = NULL;
    return hone__k_return(c, call, y);
}

hone_status hone__kop_activation(kctx *c, klayer *l, kcall *call)
{
    static const char *const names[] = {
        "relu",        "relu6",      "sigmoid", "softmax",     "log_softmax",    "softplus",     "softsign",
        "silu",        "gelu",       "elu",     "selu",        "leaky_relu",     "hard_sigmoid", "hard_silu",
        "log_sigmoid", "hard_tanh",  "celu",    "glu",         "tanh_shrink",    "soft_shrink",  "hard_shrink",
        "threshold",   "squareplus", "mish",    "sparse_plus", "sparse_sigmoid", "sparsemax"};
    static const char *const settings[] = {"axis",          "alpha", "negative_slope", "approximate", "threshold",
                                           "default_value", "b"};
    kt *t = hone__kop_tensor(c, l, call, 0, "x|features|logits|input", true);
    json_t *args = json_object();
    if (c->made) json_array_append_new(c->made, args);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const json_t *v = hone__kop_arg(l, call, -1, settings[i]);
        if (v) json_object_set(args, settings[i], (json_t *)(uintptr_t)v);
    }
    return hone__k_return(c, call, hone__k_named_activation(c, names[l->kind->variant], args, t));
}

static kt *reduce(kctx *c, kt *t, const char *op, const int64_t *axes, int n, bool keep)
{
    int64_t dims[HONE_MAX_RANK], physical[HONE_MAX_RANK];
    bool gone[HONE_MAX_RANK] = {false}, spatial = true;
    int rank = 0, form = K_PLAIN, last = t->rank - 1;
    for (int i = 0; i < n; i++) gone[axes[i]] = true;
    for (int i = 1; i < last; i++) spatial = spatial && gone[i];
    if (t->form[K_MOVED] && !gone[0] && (keep || (spatial && !gone[last]) || (gone[last] && !spatial))) form = K_MOVED;
    for (int i = 0; i < n; i++) physical[i] = hone__kt_axis(t, form, (int)axes[i]);
    for (int i = 0; i < t->rank; i++)
        if (!gone[i] || keep) dims[rank++] = gone[i] ? 1 : t->dims[i];
    hone__value *x = hone__k_reduce(c, op, hone__kt_get(c, t, form), physical, (size_t)n, keep);
    return hone__kt_new(c, keep ? form : K_PLAIN, x, t->dtype, rank, dims);
}

hone_status hone__kop_reduce(kctx *c, klayer *l, kcall *call)
{
    static const char *const ops[] = {"ReduceMean", "ReduceSum",  "ReduceMax",
                                      "ReduceMin",  "ReduceProd", "ReduceLogSumExp"};
    kt *t = hone__kop_tensor(c, l, call, 0, "x|input_tensor", true);
    if (!t) return c->b.status;
    int64_t axes[HONE_MAX_RANK];
    const json_t *given = hone__kop_arg(l, call, 1, "axis|axes");
    int v = l->kind->variant, n = given ? hone__kaxes(c, given, t->rank, axes) : t->rank;
    bool keep = hone__kop_bool(l, call, 2, "keepdims|keep_dims", false);
    if (!given)
        for (int i = 0; i < n; i++) axes[i] = i;
    if (n == 0) return hone__k_refuse(c, "a reduction over no axes");
    if (v >= 8) { /* any, all */
        kt *b = reduce(c, hone__kt_cast(c, hone__kt_cast(c, t, HONE_BOOL), HONE_I32),
                       v == 8 ? "ReduceMax" : "ReduceMin", axes, n, keep);
        return hone__k_return(c, call, hone__kt_cast(c, b, HONE_BOOL));
    }
    if (t->dtype == HONE_BOOL) t = hone__kt_cast(c, t, HONE_I32);
    if (v == 0 || v >= 5) t = hone__kt_cast(c, t, HONE_F32);
    if (v < 6) return hone__k_return(c, call, reduce(c, t, ops[v], axes, n, keep));
    kt *d = hone__k_binary(c, "Sub", t, reduce(c, t, "ReduceMean", axes, n, true));
    if (!d) return c->b.status;
    kt *y = reduce(c, hone__k_binary(c, "Mul", d, d), "ReduceMean", axes, n, keep);
    return hone__k_return(c, call, v == 7 && y ? hone__k_unary(c, y, "Sqrt") : y);
}

hone_status hone__kop_arg_extreme(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x|input", true);
    const json_t *given = hone__kop_arg(l, call, 1, "axis");
    if (!t || t->rank < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "a scalar input");
    if (!given && !call->kwargs) return hone__k_refuse(c, "argmax over all axes");
    int axis = hone__kaxis(c, (int64_t)hone__kjson_num(given, 0), t->rank), rank = 0;
    bool keep = hone__kop_bool(l, call, 2, "keepdims", false);
    int64_t dims[HONE_MAX_RANK];
    for (int i = 0; i < t->rank; i++)
        if (i != axis || keep) dims[rank++] = i == axis ? 1 : t->dims[i];
    hone__value *y = hone__emit(&c->b, l->kind->variant ? "ArgMin" : "ArgMax", "arg", HONE__INS(hone__kt_plain(c, t)),
                                HONE__ATTRS(hone__a_int("axis", axis), hone__a_int("keepdims", keep)));
    hone_dtype dtype = c->keras_major >= 3 ? HONE_I32 : HONE_I64;
    return hone__k_return(c, call, hone__kt_cast(c, hone__kt_new(c, K_PLAIN, y, HONE_I64, rank, dims), dtype));
}

static kt *swapped(kctx *c, kt *t)
{
    int64_t perm[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    for (int i = 0; i < t->rank; i++) perm[i] = i;
    if (t->rank >= 2) perm[t->rank - 1] = t->rank - 2, perm[t->rank - 2] = t->rank - 1;
    for (int i = 0; i < t->rank; i++) dims[i] = t->dims[perm[i]];
    return hone__kt_new(c, K_PLAIN, hone__k_transpose(c, hone__kt_plain(c, t), t->rank, perm), t->dtype, t->rank, dims);
}

hone_status hone__kop_matmul(kctx *c, klayer *l, kcall *call)
{
    kt *x = hone__kt_cast(c, hone__kop_tensor(c, l, call, 0, "x1|a", true), HONE_F32);
    kt *y = hone__kt_cast(c, hone__kop_tensor(c, l, call, 1, "x2|b", true), HONE_F32);
    if (!x || !y) return c->b.status;
    if (x->rank < 2 || y->rank < 2)
        return hone__k_refuse(c, "matmul of shapes %s and %s", hone__k_dims(c, x), hone__k_dims(c, y));
    if (hone__kop_bool(l, call, -1, "transpose_a", false)) x = swapped(c, x);
    if (hone__kop_bool(l, call, -1, "transpose_b", false)) y = swapped(c, y);
    int64_t k = x->dims[x->rank - 1], m = y->dims[y->rank - 2];
    if (k >= 0 && m >= 0 && k != m)
        return hone__k_shape_error(c, "matmul of shapes %s and %s", hone__k_dims(c, x), hone__k_dims(c, y));
    kt a = *x, b = *y;
    int rank;
    int64_t dims[HONE_MAX_RANK];
    a.dims[a.rank - 1] = a.dims[a.rank - 2] = b.dims[b.rank - 1] = b.dims[b.rank - 2] = 1;
    if (!hone__k_broadcast(c, &a, &b, &rank, dims)) return c->b.status;
    dims[rank - 2] = x->dims[x->rank - 2], dims[rank - 1] = y->dims[y->rank - 1];
    hone__value *z = hone__k2(c, "MatMul", hone__kt_plain(c, x), hone__kt_plain(c, y));
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, z, HONE_F32, rank, dims));
}

hone_status hone__kop_einsum(kctx *c, klayer *l, kcall *call)
{
    const char *eq = json_string_value(hone__kop_arg(l, call, -1, "subscripts|equation"));
    if (!eq) eq = json_string_value(hone__kop_arg(l, call, 0, "subscripts"));
    if (!eq) return hone__k_refuse(c, "an einsum whose equation the file does not hold; EinsumDense or ops.einsum keep it");
    const char *arrow = eq ? strstr(eq, "->") : NULL;
    if (!arrow || strchr(eq, '.') || strchr(eq, ' ') || call->in_count > 8)
        return hone__k_refuse(c, "equation '%s'", eq);
    hone__value *in[8];
    int64_t size[128], dims[HONE_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < 128; i++) size[i] = -2;
    const char *p = eq;
    for (int i = 0; i < call->in_count; i++, p++) {
        kt *t = hone__kt_cast(c, call->in[i], HONE_F32);
        int axis = 0;
        for (; *p && *p != ',' && *p != '-'; p++, axis++)
            if (axis < t->rank && *p > 0 && size[(int)*p] < 0) size[(int)*p] = t->dims[axis];
        if (axis != t->rank)
            return hone__k_shape_error(c, "equation '%s' does not fit shape %s", eq, hone__k_dims(c, t));
        in[i] = hone__kt_plain(c, t);
    }
    for (p = arrow + 2; *p; p++) {
        if (*p < 0 || size[(int)*p] == -2 || rank >= HONE_MAX_RANK) return hone__k_refuse(c, "equation '%s'", eq);
        dims[rank++] = size[(int)*p];
    }
    hone__value *y =
        hone__emit(&c->b, "Einsum", "einsum", in, call->in_count, HONE__ATTRS(hone__a_string("equation", eq)));
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, y, HONE_F32, rank, dims));
}

hone_status hone__kop_where(kctx *c, klayer *l, kcall *call)
{
    kt *on = hone__kt_cast(c, hone__kop_tensor(c, l, call, 0, "condition", true), HONE_BOOL);
    kt *x = hone__kop_tensor(c, l, call, 1, "x1|x", true), *y = hone__kop_tensor(c, l, call, 2, "x2|y", true);
    int rank;
    int64_t dims[HONE_MAX_RANK];
    if (!on || !x || !y) return c->b.status;
    hone_dtype dtype = x->dtype == y->dtype ? x->dtype : HONE_F32;
    x = hone__kt_cast(c, x, dtype), y = hone__kt_cast(c, y, dtype);
    kt both = {.dtype = dtype};
    if (!hone__k_broadcast(c, x, y, &both.rank, both.dims)) return c->b.status;
    if (!hone__k_broadcast(c, on, &both, &rank, dims)) return c->b.status;
    hone__value *z =
        hone__emit(&c->b, "Where", "where",
                   HONE__INS(hone__kt_plain(c, on), hone__kt_plain(c, x), hone__kt_plain(c, y)), HONE__NO_ATTRS);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, z, dtype, rank, dims));
}

hone_status hone__kop_clip(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x|t", true);
    double low = hone__kop_num(l, call, 1, "x_min|clip_value_min", NAN),
           high = hone__kop_num(l, call, 2, "x_max|clip_value_max", NAN);
    if (!t) return c->b.status;
    if (isnan(low) || isnan(high)) return hone__k_refuse(c, "limits that are not numbers");
    int form = hone__kt_best(t);
    hone__value *y = hone__emit(
        &c->b, "Clip", "clip",
        HONE__INS(hone__kt_get(c, t, form), hone__k_scalar(c, low, t->dtype), hone__k_scalar(c, high, t->dtype)),
        HONE__NO_ATTRS);
    return hone__k_return(c, call, hone__kt_like(c, t, form, y));
}

hone_status hone__kop_cast(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x", true);
    hone_dtype dtype = hone__kdtype(hone__kop_arg(l, call, 1, "dtype|DstT"), HONE_UNDEFINED);
    if (dtype == HONE_UNDEFINED || dtype == HONE_STRING) return hone__k_refuse(c, "a cast to an unknown type");
    kt *y = hone__kt_cast(c, t, dtype);
    return hone__k_return(c, call,
                          y == t ? hone__kt_like(c, t, hone__kt_best(t), hone__kt_get(c, t, hone__kt_best(t))) : y);
}

hone_status hone__kop_cumsum(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x", true);
    const json_t *axis = hone__kop_arg(l, call, 1, "axis");
    if (!t) return c->b.status;
    if (!axis) return hone__k_refuse(c, "a running sum over the flattened value");
    hone__value *at = hone__k_scalar(c, hone__kaxis(c, (int64_t)hone__kjson_num(axis, 0), t->rank), HONE_I64);
    return hone__k_return(c, call, hone__kt_like(c, t, K_PLAIN, hone__k2(c, "CumSum", hone__kt_plain(c, t), at)));
}

hone_status hone__kop_normalize(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, hone__kop_tensor(c, l, call, 0, "x", true), HONE_F32);
    int64_t axes[HONE_MAX_RANK];
    const json_t *given = hone__kop_arg(l, call, 1, "axis");
    if (!t) return c->b.status;
    if (hone__kop_num(l, call, 2, "order", 2) != 2) return hone__k_refuse(c, "a norm other than the second");
    if (!given) axes[0] = t->rank - 1;
    int n = given ? hone__kaxes(c, given, t->rank, axes) : 1;
    hone__value *x = hone__kt_plain(c, t), *norm = hone__k_reduce(c, "ReduceL2", x, axes, (size_t)n, true);
    double epsilon = hone__kop_num(l, call, 3, "epsilon", 1e-7);
    norm = hone__k2(c, "Max", norm, hone__k_scalar(c, epsilon, HONE_F32));
    return hone__k_return(c, call, hone__kt_like(c, t, K_PLAIN, hone__k2(c, "Div", x, norm)));
}
