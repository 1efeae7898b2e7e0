/* op_binary.c: element-wise operators with two broadcast inputs (Min, Max, Sum and Mean: any number). float32 runs on
 * the vector kernels; other types go element by element through double or int64, which holds every one of them. */
#include <math.h>
#include <string.h>

#include "broadcast.h"
#include "infer.h"
#include "string_values.h"
#include "kernels/vec/vec.h"

typedef enum kind {
    ADD,
    SUB,
    MUL,
    DIV,
    POW,
    MIN,
    MAX,
    FMOD,
    MOD,
    PRELU,
    EQUAL,
    LESS,
    LESS_EQUAL,
    GREATER,
    GREATER_EQUAL,
    AND,
    OR,
    XOR,
    BIT_AND,
    BIT_OR,
    BIT_XOR,
    SHIFT_LEFT,
    SHIFT_RIGHT
} kind;

static bool compares(kind k) { return k >= EQUAL && k <= XOR; }

static hone_status infer_same_type(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_equal_types(x, 0, 1));
    x->out[0].dtype = x->in[0].dtype ? x->in[0].dtype : x->in[1].dtype;
    return hone__broadcast(&x->in[0].shape, &x->in[1].shape, &x->out[0].shape);
}

static hone_status infer_pow(hone__infer *x) /* the exponent may have another type */
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    x->out[0].dtype = x->in[0].dtype;
    return hone__broadcast(&x->in[0].shape, &x->in[1].shape, &x->out[0].shape);
}

static hone_status infer_compare(hone__infer *x)
{
    HONE__TRY(infer_same_type(x));
    x->out[0].dtype = HONE_BOOL;
    return HONE_OK;
}

static hone_status infer_logic(hone__infer *x)
{
    HONE__TRY(infer_compare(x));
    if (x->in[0].dtype && x->in[0].dtype != HONE_BOOL)
        return hone__fail(HONE_E_SHAPE, "inputs are %s, expected bool", hone_dtype_name(x->in[0].dtype));
    return HONE_OK;
}

static double f64(kind k, double a, double b)
{
    switch (k) {
    case ADD: return a + b;
    case SUB: return a - b;
    case MUL: return a * b;
    case DIV: return a / b;
    case POW: return pow(a, b);
    case MIN: return a != a || b != b ? NAN : a < b ? a : b;
    case MAX: return a != a || b != b ? NAN : a > b ? a : b;
    case FMOD: return fmod(a, b);
    case MOD: {
        double m = fmod(a, b); /* Python's: the sign of b */
        return m != 0 && (m < 0) != (b < 0) ? m + b : m == 0 ? copysign(m, b) : m;
    }
    case PRELU: return a < 0 ? a * b : a;
    case EQUAL: return a == b;
    case LESS: return a < b;
    case LESS_EQUAL: return a <= b;
    case GREATER: return a > b;
    case GREATER_EQUAL: return a >= b;
    case AND: return a != 0 && b != 0;
    case OR: return a != 0 || b != 0;
    default: return (a != 0) != (b != 0);
    }
}

static uint64_t power(uint64_t base, int64_t exponent)
{
    if (exponent < 0) return base == 1 ? 1 : base == UINT64_MAX ? (exponent & 1 ? base : 1) : 0;
    uint64_t r = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) r *= base;
    return r;
}

/* `u`: the type is uint64, whose upper half does not fit an int64 */
static int64_t divide(int64_t a, int64_t b, bool u)
{
    if (!b) return 0;
    if (u) return (int64_t)((uint64_t)a / (uint64_t)b);
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t modulo(int64_t a, int64_t b, bool u, bool c_style)
{
    if (!b) return 0;
    if (u) return (int64_t)((uint64_t)a % (uint64_t)b);
    if (b == -1) return 0;
    int64_t m = a % b;
    return !c_style && m && (m < 0) != (b < 0) ? m + b : m;
}

static int64_t i64(kind k, int64_t a, int64_t b, bool u)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    bool less = u ? x < y : a < b;
    switch (k) {
    case ADD: return (int64_t)(x + y);
    case SUB: return (int64_t)(x - y);
    case MUL: return (int64_t)(x * y);
    case DIV: return divide(a, b, u);
    case POW: return (int64_t)power(x, b);
    case MIN: return less ? a : b;
    case MAX: return less ? b : a;
    case FMOD: return modulo(a, b, u, true);
    case MOD: return modulo(a, b, u, false);
    case PRELU: return a < 0 ? (int64_t)(x * y) : a;
    case EQUAL: return a == b;
    case LESS: return less;
    case LESS_EQUAL: return less || a == b;
    case GREATER: return !less && a != b;
    case GREATER_EQUAL: return !less;
    case AND: return a && b;
    case OR: return a || b;
    case XOR: return !a != !b;
    case BIT_AND: return a & b;
    case BIT_OR: return a | b;
    case BIT_XOR: return a ^ b;
    case SHIFT_LEFT: return y > 63 ? 0 : (int64_t)(x << y);
    default: return u || a >= 0 ? (y > 63 ? 0 : (int64_t)(x >> y)) : a >> (y > 63 ? 63 : y); /* the sign fills up */
    }
}

/* Integer results wrap to their type, as C and NumPy have it. */
static void store_wrapped(hone_dtype d, void *y, size_t i, int64_t v)
{
    switch (hone__dtype_bits(d)) {
    case 8: ((uint8_t *)y)[i] = (uint8_t)v; break;
    case 16: ((uint16_t *)y)[i] = (uint16_t)v; break;
    case 32: ((uint32_t *)y)[i] = (uint32_t)v; break;
    case 64: ((uint64_t *)y)[i] = (uint64_t)v; break;
    default: hone__element_set_i64(d, y, i, v); break;
    }
}

typedef struct job {
    kind k;
    hone__binary fast;
    const hone__tensor *a, *b;
    void *y;
    hone_dtype out;
} job;

static void run_f32(void *ctx, size_t out, const size_t *at, const size_t *step, size_t n)
{
    const job *j = ctx;
    hone__vec_binary(j->fast, (const float *)j->a->data + at[0], step[0], (const float *)j->b->data + at[1], step[1],
                     (float *)j->y + out, n);
}

static bool equal_strings(const hone__tensor *a, size_t i, const hone__tensor *b, size_t k)
{
    return hone__string_same(((const hone__string *)a->data)[i], ((const hone__string *)b->data)[k]);
}

static void run_any(void *ctx, size_t out, const size_t *at, const size_t *step, size_t n)
{
    const job *j = ctx;
    hone_dtype da = j->a->dtype, db = j->b->dtype;
    bool floats = hone__dtype_is_float(da) || hone__dtype_is_float(db), u = da == HONE_U64;
    for (size_t i = 0; i < n; i++) {
        size_t pa = at[0] + i * step[0], pb = at[1] + i * step[1];
        if (da == HONE_STRING) {
            ((uint8_t *)j->y)[out + i] = equal_strings(j->a, pa, j->b, pb);
        } else if (floats) {
            double v = f64(j->k, hone__tensor_f64(j->a, pa), hone__tensor_f64(j->b, pb));
            if (hone__dtype_is_int(j->out))
                store_wrapped(j->out, j->y, out + i, hone__element_i64(HONE_F64, &v, 0));
            else
                hone__element_set_f64(j->out, j->y, out + i, v);
        } else {
            int64_t v = i64(j->k, hone__element_i64(da, j->a->data, pa), hone__element_i64(db, j->b->data, pb), u);
            store_wrapped(j->out, j->y, out + i, v);
        }
    }
}

/* 0: no vector kernel */
static int vector_kernel(kind k, hone__binary *op)
{
    static const hone__binary map[] = {
        [ADD] = HONE__ADD, [SUB] = HONE__SUB, [MUL] = HONE__MUL,   [DIV] = HONE__DIV, [POW] = HONE__POW,
        [MIN] = HONE__MIN, [MAX] = HONE__MAX, [FMOD] = HONE__FMOD, [MOD] = HONE__MOD, [PRELU] = HONE__PRELU};
    if (compares(k) || k >= BIT_AND) return 0;
    *op = map[k];
    return 1;
}

static hone_status apply(hone__run *r, kind k, const hone__tensor *a, const hone__tensor *b, hone__tensor *y)
{
    job j = {k, HONE__ADD, a, b, (void *)(uintptr_t)y->data, y->dtype};
    hone__bcast w;
    hone__bcast_init(&w, y, (const hone__tensor *[]){a, b}, 2);
    bool fast = vector_kernel(k, &j.fast) && a->dtype == HONE_F32 && b->dtype == HONE_F32;
    hone__bcast_run(&w, r->pool, fast ? run_f32 : run_any, &j);
    return HONE_OK;
}

#define BINARY(row, name_, kind_, infer_, flags_)                                                         \
    static hone_status run_##row(hone__run *r) { return apply(r, kind_, r->in[0], r->in[1], r->out[0]); } \
    const hone__op hone__op_##row = {"", name_, infer_, NULL, run_##row, flags_};
#define BOTH (HONE__OP_INPLACE | HONE__OP_INPLACE1)

BINARY(add, "Add", ADD, infer_same_type, BOTH)
BINARY(sub, "Sub", SUB, infer_same_type, BOTH)
BINARY(mul, "Mul", MUL, infer_same_type, BOTH)
BINARY(div, "Div", DIV, infer_same_type, BOTH)
BINARY(pow, "Pow", POW, infer_pow, HONE__OP_INPLACE)
BINARY(prelu, "PRelu", PRELU, infer_same_type, HONE__OP_INPLACE)
BINARY(equal, "Equal", EQUAL, infer_compare, HONE__OP_STRINGS)
BINARY(less, "Less", LESS, infer_compare, 0)
BINARY(less_or_equal, "LessOrEqual", LESS_EQUAL, infer_compare, 0)
BINARY(greater, "Greater", GREATER, infer_compare, 0)
BINARY(greater_or_equal, "GreaterOrEqual", GREATER_EQUAL, infer_compare, 0)
BINARY(and, "And", AND, infer_logic, BOTH)
BINARY(or, "Or", OR, infer_logic, BOTH)
BINARY(xor, "Xor", XOR, infer_logic, BOTH)
BINARY(bitwise_and, "BitwiseAnd", BIT_AND, infer_same_type, BOTH)
BINARY(bitwise_or, "BitwiseOr", BIT_OR, infer_same_type, BOTH)
BINARY(bitwise_xor, "BitwiseXor", BIT_XOR, infer_same_type, BOTH)
BINARY(mod, "Mod", hone__node_int(r->node, "fmod", 0) ? FMOD : MOD, infer_same_type, BOTH)
BINARY(bit_shift, "BitShift", strcmp(hone__node_string(r->node, "direction", ""), "LEFT") ? SHIFT_RIGHT : SHIFT_LEFT,
       infer_same_type, BOTH)

static hone_status run_bitwise_not(hone__run *r)
{
    const uint8_t *x = r->in[0]->data;
    uint8_t *y = hone__out_data(r, 0);
    for (size_t i = 0; i < r->in[0]->bytes; i++) y[i] = (uint8_t)~x[i];
    return HONE_OK;
}
static hone_status infer_bitwise_not(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}
const hone__op hone__op_bitwise_not = {"", "BitwiseNot", infer_bitwise_not, NULL, run_bitwise_not, HONE__OP_INPLACE};

/* Any number of inputs: folded from the left into the output. */
static hone_status infer_variadic(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1 << 20));
    x->out[0] = x->in[0];
    for (int i = 1; i < x->input_count; i++) {
        HONE__TRY(hone__infer_equal_types(x, 0, i));
        HONE__TRY(hone__broadcast(&x->out[0].shape, &x->in[i].shape, &x->out[0].shape));
    }
    return HONE_OK;
}

static hone_status variadic(hone__run *r, kind k)
{
    if (r->input_count == 1) {
        if (r->in[0]->bytes) memcpy(hone__out_data(r, 0), r->in[0]->data, r->in[0]->bytes);
        return HONE_OK;
    }
    HONE__TRY(apply(r, k, r->in[0], r->in[1], r->out[0]));
    for (int i = 2; i < r->input_count; i++) HONE__TRY(apply(r, k, r->out[0], r->in[i], r->out[0]));
    return HONE_OK;
}

static hone_status run_min(hone__run *r) { return variadic(r, MIN); }
static hone_status run_max(hone__run *r) { return variadic(r, MAX); }
static hone_status run_sum(hone__run *r) { return variadic(r, ADD); }
static hone_status run_mean(hone__run *r)
{
    HONE__TRY(variadic(r, ADD));
    hone__tensor *y = r->out[0];
    for (size_t i = 0; i < y->count; i++)
        hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, hone__tensor_f64(y, i) / r->input_count);
    return HONE_OK;
}
const hone__op hone__op_min = {"", "Min", infer_variadic, NULL, run_min, 0};
const hone__op hone__op_max = {"", "Max", infer_variadic, NULL, run_max, 0};
const hone__op hone__op_sum = {"", "Sum", infer_variadic, NULL, run_sum, 0};
const hone__op hone__op_mean = {"", "Mean", infer_variadic, NULL, run_mean, 0};
