/* ops_math.c: arguments, and element by element operations of keras.ops and TensorFlow's functions. */
#define _GNU_SOURCE /* M_PI */
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

hone_dtype hone__kop_dtype(const kctx *c, const klayer *l, const kcall *call, hone_dtype otherwise)
{
    const json_t *v = json_object_get(call->kwargs, "dtype");
    if (!v && c->keras_major >= 3) v = json_object_get(l->config, "dtype");
    return hone__kdtype(v, otherwise);
}

int hone__kop_list(const json_t *v, double *out, int max)
{
    const json_t *config = json_object_get(v, "config");
    if (json_is_object(v) && config) v = json_object_get(config, "value");
    if (json_is_number(v)) {
        out[0] = json_number_value(v);
        return fabs(out[0]) <= K_MAX_DIM ? 1 : -1;
    }
    int n = (int)json_array_size(v);
    if (!json_is_array(v) || json_array_size(v) > (size_t)max) return -1;
    for (int i = 0; i < n; i++) {
        const json_t *one = json_array_get(v, (size_t)i);
        out[i] = json_is_null(one) ? -1 : hone__kjson_num(one, NAN);
        if (!(fabs(out[i]) <= K_MAX_DIM)) return -1;
    }
    return n;
}

int hone__kop_tensors(kctx *c, const klayer *l, kcall *call, int index, const char *names, kt **out, int max)
{
    const json_t *list = hone__kop_arg(l, call, index, names);
    int n = 0;
    if (!list || !json_is_array(list) || hone__kcall_ref(c, call, list)) { /* the inputs are the list */
        for (; n < call->in_count && n < max; n++) out[n] = call->in[n];
        return call->in_count > max ? -1 : n;
    }
    if (json_array_size(list) > (size_t)max) return -1;
    for (size_t i = 0; i < json_array_size(list); i++)
        if ((out[n] = hone__kcall_tensor(c, call, json_array_get(list, i)))) n++;
    return n == (int)json_array_size(list) ? n : -1;
}

double hone__kop_num(const klayer *l, const kcall *call, int index, const char *names, double otherwise)
{
    return hone__kjson_num(hone__kop_arg(l, call, index, names), otherwise);
}

int hone__kop_axis(kctx *c, const klayer *l, const kcall *call, int index, const char *names, int otherwise, int rank)
{
    return hone__kjson_axis(c, hone__kop_arg(l, call, index, names), otherwise, rank);
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

static kt *negated(kctx *c, kt *on)
{
    if (on) on->dtype = HONE_BOOL;
    return on ? hone__k_unary(c, on, "Not") : NULL;
}

static kt *tested(kctx *c, const char *op, kt *x, double v)
{
    kt *y = hone__k_binary_num(c, op, x, v);
    if (y) y->dtype = HONE_BOOL;
    return y;
}

/* The angle of (x, y). */
static kt *arctan2(kctx *c, kt *y, kt *x)
{
    kt *angle = hone__k_unary(c, hone__k_binary(c, "Div", y, x), "Atan"), *pi = hone__kt_scalar(c, M_PI, HONE_F32);
    kt *half = hone__k_where(c, tested(c, "Less", y, 0), hone__kt_scalar(c, -M_PI, HONE_F32), pi);
    kt *left = hone__k_where(c, tested(c, "Less", x, 0), hone__k_binary(c, "Add", angle, half), angle);
    kt *upright = hone__k_binary_num(c, "Mul", hone__k_unary(c, y, "Sign"), M_PI / 2);
    return hone__k_where(c, tested(c, "Equal", x, 0), upright, left);
}

/* max + log(1 + base^-|difference|), in units of that logarithm */
static kt *log_add(kctx *c, kt *x, kt *y, double unit)
{
    kt *d = hone__k_binary(c, "Sub", x, y), *small = hone__k_binary_num(c, "Mul", hone__k_unary(c, d, "Abs"), -unit);
    kt *more = hone__k_unary(c, hone__k_binary_num(c, "Add", hone__k_unary(c, small, "Exp"), 1), "Log");
    if (unit != 1) more = hone__k_binary_num(c, "Div", more, unit);
    kt *nan = hone__k_unary(c, d, "IsNaN"), *z = hone__k_binary(c, "Add", hone__k_binary(c, "Max", x, y), more);
    if (nan) nan->dtype = HONE_BOOL;
    return hone__k_where(c, nan, hone__k_binary(c, "Add", x, y), z);
}

static kt *divide_no_nan(kctx *c, kt *x, kt *y)
{
    kt *zero = hone__kt_scalar(c, 0, HONE_F32), *z = hone__k_binary(c, "Div", x, y);
    return hone__k_where(c, tested(c, "Equal", y, 0), zero, z);
}

/* 0, the second argument or 1, as the first is below, at or above 0 */
static kt *heaviside(kctx *c, kt *x, kt *y)
{
    kt *up = hone__k_where(c, tested(c, "Greater", x, 0), hone__kt_scalar(c, 1, HONE_F32), y);
    return hone__k_where(c, tested(c, "Less", x, 0), hone__kt_scalar(c, 0, HONE_F32), up);
}

static kt *is_close(kctx *c, const klayer *l, const kcall *call, kt *x, kt *y)
{
    double rtol = hone__kop_num(l, call, 2, "rtol", 1e-5), atol = hone__kop_num(l, call, 3, "atol", 1e-8);
    kt *d = hone__k_unary(c, hone__k_binary(c, "Sub", x, y), "Abs"), *bound = hone__k_unary(c, y, "Abs");
    bound = hone__k_binary_num(c, "Add", hone__k_binary_num(c, "Mul", bound, rtol), atol);
    return hone__k_binary(c, "LessOrEqual", d, bound);
}

/* The sign of the first over the remainder of the absolute values. */
static kt *truncated_mod(kctx *c, kt *x, kt *y)
{
    kt *a = hone__k_unary(c, x, "Abs"), *b = hone__k_unary(c, y, "Abs");
    kt *rest = hone__k_binary(c, "Sub", a, hone__k_binary(c, "Mul", floor_div(c, a, b), b));
    return hone__k_binary(c, "Mul", hone__k_unary(c, x, "Sign"), rest);
}

enum {
    B_DIV = 3,
    B_EQUAL = 7,
    B_AND = 12,
    B_XOR = 14,
    B_NOT_EQUAL,
    B_MOD,
    B_FLOOR_DIV,
    B_SQUARED_DIFFERENCE,
    B_ARCTAN2,
    B_LOGADDEXP,
    B_LOGADDEXP2,
    B_DIVIDE_NO_NAN,
    B_HYPOT,
    B_HEAVISIDE,
    B_ISCLOSE,
    B_FMOD,
    B_BIAS
};

/* Elements of shapes are followed through sums, differences and products. */
static void follow_ints(kctx *c, int v, const kt *x, const kt *y, kt *z)
{
    const json_t *nx = x->number, *ny = y->number;
    if (!z || z->rank != 0 || v > 2 || (!x->ints && !nx) || (!y->ints && !ny)) return;
    double a = nx ? hone__kjson_num(nx, -1) : (double)x->ints[0], b = ny ? hone__kjson_num(ny, -1) : (double)y->ints[0],
           r = v == 0   ? a + b
               : v == 1 ? a - b
                        : a * b;
    int64_t *out = hone__k_alloc(c, sizeof *out);
    if (!out) return;
    *out = a < 0 || b < 0 || r < 0 || r > K_MAX_DIM || r != floor(r) ? -1 : (int64_t)r;
    z->ints = out;
}

static kt *binary(kctx *c, klayer *l, kcall *call, int v, kt *x, kt *y)
{
    static const char *const ops[] = {
        "Add",  "Sub",         "Mul", "Div", "Pow", "Max",  "Min", "Equal", "Greater", "GreaterOrEqual",
        "Less", "LessOrEqual", "And", "Or",  "Xor", "Equal"};
    kt *z;
    switch (v) {
    case B_MOD: return hone__k_binary(c, "Sub", x, hone__k_binary(c, "Mul", floor_div(c, x, y), y));
    case B_FLOOR_DIV: return floor_div(c, x, y);
    case B_SQUARED_DIFFERENCE: z = hone__k_binary(c, "Sub", x, y); return z ? hone__k_binary(c, "Mul", z, z) : NULL;
    case B_ARCTAN2: return arctan2(c, x, y);
    case B_LOGADDEXP: return log_add(c, x, y, 1);
    case B_LOGADDEXP2: return log_add(c, x, y, log(2));
    case B_DIVIDE_NO_NAN: return divide_no_nan(c, x, y);
    case B_HYPOT:
        z = hone__k_binary(c, "Add", hone__k_binary(c, "Mul", x, x), hone__k_binary(c, "Mul", y, y));
        return z ? hone__k_unary(c, z, "Sqrt") : NULL;
    case B_HEAVISIDE: return heaviside(c, x, y);
    case B_ISCLOSE: return is_close(c, l, call, x, y);
    case B_FMOD: return truncated_mod(c, x, y);
    case B_BIAS: return hone__k_binary(c, "Add", x, y);
    case B_NOT_EQUAL: return negated(c, hone__k_binary(c, "Equal", x, y));
    default:
        z = hone__k_binary(c, ops[v], x, y);
        follow_ints(c, v, x, y, z);
        return z;
    }
}

hone_status hone__kop_binary(kctx *c, klayer *l, kcall *call)
{
    int v = l->kind->variant;
    bool tf_atan2 = v == B_ARCTAN2 && c->keras_major < 3; /* its first argument is y, the second x */
    kt *x = tf_atan2 ? hone__kop_tensor(c, l, call, 0, "y", true)
                     : hone__kop_tensor(c, l, call, 0, "x1|x|a|value", true),
       *y =
           tf_atan2 ? hone__kop_tensor(c, l, call, 1, "x", true) : hone__kop_tensor(c, l, call, 1, "x2|y|b|bias", true);
    if (!x || !y) return c->b.status;
    if (x->number && y->number) return hone__k_refuse(c, "an operation on two constants");
    if (v == B_DIV || v >= B_ARCTAN2) x = hone__kt_cast(c, x, HONE_F32), y = hone__kt_cast(c, y, HONE_F32);
    if (v >= B_AND && v <= B_XOR) x = hone__kt_cast(c, x, HONE_BOOL), y = hone__kt_cast(c, y, HONE_BOOL);
    kt *z = binary(c, l, call, v, x, y);
    if (z && ((v >= B_EQUAL && v <= B_NOT_EQUAL) || v == B_ISCLOSE)) z->dtype = HONE_BOOL;
    return hone__k_return(c, call, z);
}

static kt *times(kctx *c, kt *t, double factor) { return hone__k_binary_num(c, "Mul", t, factor); }

static kt *plus(kctx *c, kt *t, double term) { return hone__k_binary_num(c, "Add", t, term); }

static kt *is_infinite(kctx *c, kt *t, bool negative, bool positive)
{
    int form = hone__kt_best(t);
    hone__value *x =
        hone__emit(&c->b, "IsInf", "is_infinite", HONE__INS(hone__kt_get(c, t, form)),
                   HONE__ATTRS(hone__a_int("detect_negative", negative), hone__a_int("detect_positive", positive)));
    kt *y = hone__kt_like(c, t, form, x);
    if (y) y->dtype = HONE_BOOL;
    return y;
}

static kt *is_finite(kctx *c, kt *t)
{
    kt *nan = hone__k_unary(c, t, "IsNaN");
    if (nan) nan->dtype = HONE_BOOL;
    return negated(c, hone__k_binary(c, "Or", nan, is_infinite(c, t, true, true)));
}

static kt *truncated(kctx *c, kt *t)
{
    return hone__k_where(c, tested(c, "Less", t, 0), hone__k_unary(c, t, "Ceil"), hone__k_unary(c, t, "Floor"));
}

/* sin(pi x) / (pi x), 1 at 0 */
static kt *sinc(kctx *c, kt *t)
{
    kt *a = times(c, t, M_PI), *y = hone__k_binary(c, "Div", hone__k_unary(c, a, "Sin"), a);
    return hone__k_where(c, tested(c, "Equal", t, 0), hone__kt_scalar(c, 1, HONE_F32), y);
}

static kt *rounded(kctx *c, kt *t, double decimals)
{
    double factor = pow(10, decimals);
    return hone__k_binary_num(c, "Div", hone__k_unary(c, times(c, t, factor), "Round"), factor);
}

static kt *copied(kctx *c, kt *t)
{
    kt *y = hone__kt_like(c, t, hone__kt_best(t), hone__kt_get(c, t, hone__kt_best(t)));
    if (y) y->ints = t->ints;
    return y;
}

enum {
    U_ABS = 1,
    U_SIGN = 13,
    U_ROUND = 16,
    U_NOT = 19,
    U_ISNAN = 21,
    U_ASINH,
    U_ACOSH,
    U_ATANH,
    U_SQUARE,
    U_RSQRT,
    U_LOG1P,
    U_EXPM1,
    U_LOG2,
    U_LOG10,
    U_COPY,
    U_ISFINITE,
    U_ISINF,
    U_ISPOSINF,
    U_ISNEGINF,
    U_EXP2,
    U_CBRT,
    U_TRUNC,
    U_DEG2RAD,
    U_RAD2DEG,
    U_SINC,
    U_ERFC
};

static kt *unary(kctx *c, kt *t, int v)
{
    static const char *const ops[] = {"Neg",  "Abs",  "Exp",  "Log",   "Sqrt",  "Sin",   "Cos",  "Tan",   "Sinh",
                                      "Cosh", "Asin", "Acos", "Atan",  "Sign",  "Floor", "Ceil", "Round", "Reciprocal",
                                      "Erf",  "Not",  "Tanh", "IsNaN", "Asinh", "Acosh", "Atanh"};
    kt *a;
    switch (v) {
    case U_SQUARE: return hone__k_binary(c, "Mul", t, t);
    case U_RSQRT: return hone__k_unary(c, hone__k_unary(c, t, "Sqrt"), "Reciprocal");
    case U_LOG1P: return hone__k_unary(c, plus(c, t, 1), "Log");
    case U_EXPM1: return plus(c, hone__k_unary(c, t, "Exp"), -1);
    case U_LOG2: return times(c, hone__k_unary(c, t, "Log"), 1 / log(2));
    case U_LOG10: return times(c, hone__k_unary(c, t, "Log"), 1 / log(10));
    case U_COPY: return copied(c, t);
    case U_ISFINITE: return is_finite(c, t);
    case U_ISINF: return is_infinite(c, t, true, true);
    case U_ISPOSINF: return is_infinite(c, t, false, true);
    case U_ISNEGINF: return is_infinite(c, t, true, false);
    case U_EXP2: return hone__k_unary(c, times(c, t, log(2)), "Exp");
    case U_CBRT:
        a = hone__k_binary_num(c, "Pow", hone__k_unary(c, t, "Abs"), 1.0 / 3);
        return hone__k_binary(c, "Mul", hone__k_unary(c, t, "Sign"), a);
    case U_TRUNC: return truncated(c, t);
    case U_DEG2RAD: return times(c, t, M_PI / 180);
    case U_RAD2DEG: return times(c, t, 180 / M_PI);
    case U_SINC: return sinc(c, t);
    case U_ERFC: return plus(c, times(c, hone__k_unary(c, t, "Erf"), -1), 1);
    default: return hone__k_unary(c, t, ops[v]);
    }
}

hone_status hone__kop_unary(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x|input|features|a|value|tensor", true);
    int v = l->kind->variant;
    if (!t) return c->b.status;
    double decimals = v == U_ROUND ? hone__kop_num(l, call, 1, "decimals", 0) : 0;
    bool keeps = v <= U_ABS || v == U_SIGN || v == U_NOT || v == U_SQUARE || v == U_COPY,
         whole = t->dtype != HONE_F32 && (v == U_TRUNC || (v == U_ROUND && decimals >= 0));
    if (!(fabs(decimals) <= 30)) return hone__k_refuse(c, "rounding to %g decimals", decimals);
    if (whole) return hone__k_return(c, call, copied(c, t));
    if (!keeps) t = hone__kt_cast(c, t, HONE_F32);
    if (v == U_NOT) t = hone__kt_cast(c, t, HONE_BOOL);
    kt *y = decimals != 0 ? rounded(c, t, decimals) : unary(c, t, v);
    if (y && (v == U_ISNAN || (v >= U_ISFINITE && v <= U_ISNEGINF))) y->dtype = HONE_BOOL;
    return hone__k_return(c, call, y);
}

/* NaN and infinities become numbers. */
hone_status hone__kop_nan_to_num(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x", true);
    const double most = 3.4028234663852886e38;
    if (!t) return c->b.status;
    if (t->dtype != HONE_F32) return hone__k_return(c, call, copied(c, t));
    double nan = hone__kop_num(l, call, 1, "nan", 0), high = hone__kop_num(l, call, 2, "posinf", most),
           low = hone__kop_num(l, call, 3, "neginf", -most);
    kt *is_nan = hone__k_unary(c, t, "IsNaN");
    if (is_nan) is_nan->dtype = HONE_BOOL;
    kt *y = hone__k_where(c, is_nan, hone__kt_scalar(c, nan, HONE_F32), t);
    y = hone__k_where(c, is_infinite(c, t, false, true), hone__kt_scalar(c, high, HONE_F32), y);
    return hone__k_return(c, call,
                          hone__k_where(c, is_infinite(c, t, true, false), hone__kt_scalar(c, low, HONE_F32), y));
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

kt *hone__k_where(kctx *c, kt *on, kt *x, kt *y)
{
    int rank;
    int64_t dims[HONE_MAX_RANK];
    if (!on || !x || !y) return NULL;
    hone_dtype dtype = x->dtype == y->dtype      ? x->dtype
                       : x->number && !y->number ? y->dtype
                       : y->number && !x->number ? x->dtype
                                                 : HONE_F32;
    if ((x->number && x->dtype == HONE_F32) || (y->number && y->dtype == HONE_F32)) dtype = HONE_F32;
    on = hone__kt_cast(c, on, HONE_BOOL), x = hone__kt_cast(c, x, dtype), y = hone__kt_cast(c, y, dtype);
    kt both = {.dtype = dtype};
    if (!on || !x || !y || !hone__k_broadcast(c, x, y, &both.rank, both.dims)) return NULL;
    if (!hone__k_broadcast(c, on, &both, &rank, dims)) return NULL;
    int form =
        on->rank == rank && x->rank == rank && y->rank == rank && rank >= 3 && x->form[K_MOVED] ? K_MOVED : K_PLAIN;
    hone__value *z = hone__emit(
        &c->b, "Where", "where",
        HONE__INS(hone__kt_get(c, on, form), hone__kt_get(c, x, form), hone__kt_get(c, y, form)), HONE__NO_ATTRS);
    return hone__kt_new(c, form, z, dtype, rank, dims);
}

hone_status hone__kop_where(kctx *c, klayer *l, kcall *call)
{
    kt *on = hone__kop_tensor(c, l, call, 0, "condition", true), *x = hone__kop_tensor(c, l, call, 1, "x1|x", true),
       *y = hone__kop_tensor(c, l, call, 2, "x2|y", true);
    return hone__k_return(c, call, hone__k_where(c, on, x, y));
}

/* Limits that are numbers are Clip's own; others broadcast. */
hone_status hone__kop_clip(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x|t", true),
       *low = hone__kop_tensor(c, l, call, 1, "x_min|clip_value_min", true),
       *high = hone__kop_tensor(c, l, call, 2, "x_max|clip_value_max", true);
    if (!t || !low || !high) return c->b.status;
    if (!low->number || !high->number)
        return hone__k_return(c, call, hone__k_binary(c, "Min", hone__k_binary(c, "Max", t, low), high));
    if (t->dtype != HONE_F32 && (low->dtype == HONE_F32 || high->dtype == HONE_F32) && c->keras_major >= 3)
        t = hone__kt_cast(c, t, HONE_F32);
    int form = hone__kt_best(t);
    hone__value *y = hone__emit(&c->b, "Clip", "clip",
                                HONE__INS(hone__kt_get(c, t, form), hone__kt_plain(c, hone__kt_cast(c, low, t->dtype)),
                                          hone__kt_plain(c, hone__kt_cast(c, high, t->dtype))),
                                HONE__NO_ATTRS);
    return hone__k_return(c, call, hone__kt_like(c, t, form, y));
}

hone_status hone__kop_cast(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x", true);
    hone_dtype dtype = hone__kdtype(hone__kop_arg(l, call, 1, "dtype|DstT"), HONE_UNDEFINED);
    if (dtype == HONE_UNDEFINED || dtype == HONE_STRING) return hone__k_refuse(c, "a cast to an unknown type");
    kt *y = hone__kt_cast(c, t, dtype);
    if (y == t)
        y = copied(c, t);
    else if (y && t->ints && dtype != HONE_F32)
        y->ints = t->ints;
    return hone__k_return(c, call, y);
}

/* variant 1: product, spelled out step by step, for ONNX's own operator is too young for most engines */
static kt *running_product(kctx *c, kt *t, int axis)
{
    enum { MOST = 256 };
    int64_t n = t->dims[axis];
    if (n < 1 || n > MOST) {
        hone__k_refuse(c, "a running product over %lld elements", (long long)n);
        return NULL;
    }
    hone__value *x = hone__kt_plain(c, t), *parts[MOST];
    for (int64_t i = 0; i < n; i++) {
        parts[i] = hone__k_slice(c, x, axis, i, i + 1, 1);
        if (i) parts[i] = hone__k2(c, "Mul", parts[i - 1], parts[i]);
    }
    return hone__kt_like(c, t, K_PLAIN, n == 1 ? parts[0] : hone__k_concat(c, parts, (int)n, axis));
}

hone_status hone__kop_cumsum(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x", true);
    const json_t *given = hone__kop_arg(l, call, 1, "axis");
    bool exclusive = hone__kop_bool(l, call, -1, "exclusive", false),
         reverse = hone__kop_bool(l, call, -1, "reverse", false);
    if (!t) return c->b.status;
    if (t->dtype == HONE_BOOL) t = hone__kt_cast(c, t, HONE_I32);
    if (!given && c->keras_major >= 3) t = hone__k_reshaped(c, t, 1, (int64_t[]){-1}); /* of all elements in a row */
    if (!t || t->rank < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "a scalar input");
    int axis = hone__kjson_axis(c, given, 0, t->rank);
    if (l->kind->variant) {
        if (exclusive || reverse) return hone__k_refuse(c, "a running product that is exclusive or reversed");
        return hone__k_return(c, call, running_product(c, t, axis));
    }
    hone__value *y =
        hone__emit(&c->b, "CumSum", "running_sum", HONE__INS(hone__kt_plain(c, t), hone__k_scalar(c, axis, HONE_I64)),
                   HONE__ATTRS(hone__a_int("exclusive", exclusive), hone__a_int("reverse", reverse)));
    return hone__k_return(c, call, hone__kt_like(c, t, K_PLAIN, y));
}
