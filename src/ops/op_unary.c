/* op_unary.c: element-wise operators with one input. float32 runs on the vector kernels; other floats go through
 * double and integers through int64, element by element. */
#include <math.h>
#include <string.h>

#include "infer.h"
#include "kernels/vec/vec.h"

enum { PIECE = 1 << 13 };

typedef struct params {
    hone__unary op;
    float a, b;
} params;

static hone_status infer_any(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}

static hone_status infer_float(hone__infer *x)
{
    HONE__TRY(infer_any(x));
    return hone__infer_float(x, 0);
}

static double unary_f64(params p, double x)
{
    double a = p.a, b = p.b;
    switch (p.op) {
    case HONE__ABS: return fabs(x);
    case HONE__NEG: return -x;
    case HONE__EXP: return exp(x);
    case HONE__LOG: return log(x);
    case HONE__SQRT: return sqrt(x);
    case HONE__RECIPROCAL: return 1 / x;
    case HONE__SIGMOID: return 1 / (1 + exp(-x));
    case HONE__TANH: return tanh(x);
    case HONE__ERF: return erf(x);
    case HONE__RELU: return x > 0 || x != x ? x : 0;
    case HONE__LEAKY: return x < 0 ? a * x : x;
    case HONE__ELU: return x < 0 ? a * expm1(x) : x;
    case HONE__SELU: return b * (x > 0 ? x : a * expm1(x));
    case HONE__CELU: return fmax(0, x) + fmin(0, a * expm1(x / a));
    case HONE__SOFTPLUS: return x > 30 ? x : log1p(exp(x));
    case HONE__SOFTSIGN: return x / (1 + fabs(x));
    case HONE__SILU: return x / (1 + exp(-x));
    case HONE__GELU: return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
    case HONE__GELU_TANH: return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case HONE__HARD_SIGMOID: return fmax(0, fmin(1, a * x + b));
    case HONE__HARD_SWISH: return x * fmax(0, fmin(1, x / 6 + 0.5));
    case HONE__MISH: return x * tanh(log1p(exp(x)));
    case HONE__THRESHOLDED_RELU: return x > a ? x : 0;
    case HONE__SIN: return sin(x);
    case HONE__COS: return cos(x);
    case HONE__TAN: return tan(x);
    case HONE__ASIN: return asin(x);
    case HONE__ACOS: return acos(x);
    case HONE__ATAN: return atan(x);
    case HONE__SINH: return sinh(x);
    case HONE__COSH: return cosh(x);
    case HONE__ASINH: return asinh(x);
    case HONE__ACOSH: return acosh(x);
    case HONE__ATANH: return atanh(x);
    case HONE__FLOOR: return floor(x);
    case HONE__CEIL: return ceil(x);
    case HONE__ROUND: return nearbyint(x);
    case HONE__SIGN: return x != x ? x : (double)((x > 0) - (x < 0));
    default: return hone__unary_scalar(p.op, (float)x, p.a, p.b);
    }
}

static int64_t unary_i64(params p, int64_t x)
{
    switch (p.op) {
    case HONE__ABS: return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
    case HONE__NEG: return (int64_t)(0 - (uint64_t)x);
    case HONE__RELU: return x < 0 ? 0 : x;
    case HONE__SIGN: return (x > 0) - (x < 0);
    default: return x;
    }
}

typedef struct job {
    params p;
    const hone__tensor *in;
    hone__tensor *out;
} job;

static void piece(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    hone_dtype d = j->in->dtype;
    const void *x = j->in->data;
    void *y = (void *)(uintptr_t)j->out->data;
    (void)thread;
    if (d == HONE_F32) {
        hone__vec_unary(j->p.op, (const float *)x + begin, (float *)y + begin, end - begin, j->p.a, j->p.b);
        return;
    }
    if (hone__dtype_is_int(d)) {
        for (size_t i = begin; i < end; i++)
            hone__element_set_i64(d, y, i, unary_i64(j->p, hone__element_i64(d, x, i)));
        return;
    }
    for (size_t i = begin; i < end; i++) hone__element_set_f64(d, y, i, unary_f64(j->p, hone__element_f64(d, x, i)));
}

static hone_status apply(hone__run *r, params p)
{
    job j = {p, r->in[0], r->out[0]};
    hone__pool_run(r->pool, r->in[0]->count, PIECE, piece, &j);
    return HONE_OK;
}

#define UNARY(row, name_, enum_, infer_)                                                   \
    static hone_status run_##row(hone__run *r) { return apply(r, (params){.op = enum_}); } \
    const hone__op hone__op_##row = {"", name_, infer_, NULL, run_##row, HONE__OP_INPLACE};

UNARY(abs, "Abs", HONE__ABS, infer_any)
UNARY(neg, "Neg", HONE__NEG, infer_any)
UNARY(sign, "Sign", HONE__SIGN, infer_any)
UNARY(relu, "Relu", HONE__RELU, infer_any)
UNARY(exp, "Exp", HONE__EXP, infer_float)
UNARY(log, "Log", HONE__LOG, infer_float)
UNARY(sqrt, "Sqrt", HONE__SQRT, infer_float)
UNARY(reciprocal, "Reciprocal", HONE__RECIPROCAL, infer_float)
UNARY(sigmoid, "Sigmoid", HONE__SIGMOID, infer_float)
UNARY(tanh, "Tanh", HONE__TANH, infer_float)
UNARY(erf, "Erf", HONE__ERF, infer_float)
UNARY(softplus, "Softplus", HONE__SOFTPLUS, infer_float)
UNARY(softsign, "Softsign", HONE__SOFTSIGN, infer_float)
UNARY(hard_swish, "HardSwish", HONE__HARD_SWISH, infer_float)
UNARY(mish, "Mish", HONE__MISH, infer_float)
UNARY(sin, "Sin", HONE__SIN, infer_float)
UNARY(cos, "Cos", HONE__COS, infer_float)
UNARY(tan, "Tan", HONE__TAN, infer_float)
UNARY(asin, "Asin", HONE__ASIN, infer_float)
UNARY(acos, "Acos", HONE__ACOS, infer_float)
UNARY(atan, "Atan", HONE__ATAN, infer_float)
UNARY(sinh, "Sinh", HONE__SINH, infer_float)
UNARY(cosh, "Cosh", HONE__COSH, infer_float)
UNARY(asinh, "Asinh", HONE__ASINH, infer_float)
UNARY(acosh, "Acosh", HONE__ACOSH, infer_float)
UNARY(atanh, "Atanh", HONE__ATANH, infer_float)
UNARY(floor, "Floor", HONE__FLOOR, infer_float)
UNARY(ceil, "Ceil", HONE__CEIL, infer_float)
UNARY(round, "Round", HONE__ROUND, infer_float)

/* With attributes. */
#define UNARY_AB(row, name_, enum_, a_, b_)                                                  \
    static hone_status run_##row(hone__run *r) { return apply(r, (params){enum_, a_, b_}); } \
    const hone__op hone__op_##row = {"", name_, infer_float, NULL, run_##row, HONE__OP_INPLACE};

UNARY_AB(leaky_relu, "LeakyRelu", HONE__LEAKY, hone__node_float(r->node, "alpha", 0.01f), 0)
UNARY_AB(elu, "Elu", HONE__ELU, hone__node_float(r->node, "alpha", 1.0f), 0)
UNARY_AB(celu, "Celu", HONE__CELU, hone__node_float(r->node, "alpha", 1.0f), 0)
UNARY_AB(selu, "Selu", HONE__SELU, hone__node_float(r->node, "alpha", 1.67326319217681884765625f),
         hone__node_float(r->node, "gamma", 1.05070102214813232421875f))
UNARY_AB(hard_sigmoid, "HardSigmoid", HONE__HARD_SIGMOID, hone__node_float(r->node, "alpha", 0.2f),
         hone__node_float(r->node, "beta", 0.5f))
UNARY_AB(thresholded_relu, "ThresholdedRelu", HONE__THRESHOLDED_RELU, hone__node_float(r->node, "alpha", 1.0f), 0)

static hone_status run_gelu(hone__run *r)
{
    bool tanh_form = !strcmp(hone__node_string(r->node, "approximate", "none"), "tanh");
    return apply(r, (params){.op = tanh_form ? HONE__GELU_TANH : HONE__GELU});
}
const hone__op hone__op_gelu = {"", "Gelu", infer_float, NULL, run_gelu, HONE__OP_INPLACE};

/* Swish: x * sigmoid(alpha * x) */
static hone_status run_swish(hone__run *r)
{
    float alpha = hone__node_float(r->node, "alpha", 1.0f);
    if (alpha == 1.0f) return apply(r, (params){.op = HONE__SILU});
    hone_dtype d = r->in[0]->dtype;
    for (size_t i = 0; i < r->in[0]->count; i++) {
        double x = hone__tensor_f64(r->in[0], i);
        hone__element_set_f64(d, hone__out_data(r, 0), i, x / (1 + exp(-alpha * x)));
    }
    return HONE_OK;
}
const hone__op hone__op_swish = {"", "Swish", infer_float, NULL, run_swish, HONE__OP_INPLACE};

static hone_status infer_bool(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    x->out[0] = (hone__type){HONE_BOOL, x->in[0].shape};
    return HONE_OK;
}

static hone_status run_not(hone__run *r)
{
    const uint8_t *x = r->in[0]->data;
    uint8_t *y = hone__out_data(r, 0);
    for (size_t i = 0; i < r->in[0]->count; i++) y[i] = !x[i];
    return HONE_OK;
}
static hone_status infer_not(hone__infer *x)
{
    HONE__TRY(infer_bool(x));
    if (x->in[0].dtype && x->in[0].dtype != HONE_BOOL)
        return hone__fail(HONE_E_SHAPE, "input is %s, expected bool", hone_dtype_name(x->in[0].dtype));
    return HONE_OK;
}
const hone__op hone__op_not = {"", "Not", infer_not, NULL, run_not, HONE__OP_INPLACE};

static hone_status run_is_nan(hone__run *r)
{
    uint8_t *y = hone__out_data(r, 0);
    for (size_t i = 0; i < r->in[0]->count; i++) y[i] = isnan(hone__tensor_f64(r->in[0], i)) != 0;
    return HONE_OK;
}
const hone__op hone__op_is_nan = {"", "IsNaN", infer_bool, NULL, run_is_nan, 0};

static hone_status run_is_inf(hone__run *r)
{
    uint8_t *y = hone__out_data(r, 0);
    bool neg = hone__node_int(r->node, "detect_negative", 1), pos = hone__node_int(r->node, "detect_positive", 1);
    for (size_t i = 0; i < r->in[0]->count; i++) {
        double x = hone__tensor_f64(r->in[0], i);
        y[i] = isinf(x) && (x > 0 ? pos : neg);
    }
    return HONE_OK;
}
const hone__op hone__op_is_inf = {"", "IsInf", infer_bool, NULL, run_is_inf, 0};
