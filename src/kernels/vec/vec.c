/* vec.c: the element-wise functions through libm: the reference of every faster tier. */
#include "kernels/vec/vec.h"

#include <math.h>

#include "kernels/dispatch.h"
#include "kernels/vec/vec_parts.h"

static float sign(float x) { return isnan(x) ? x : (float)((x > 0) - (x < 0)); }

static float softplus(float x) { return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)); }

static float clip(float x, float lo, float hi)
{
    if (x < lo) x = lo;
    return x > hi ? hi : x;
}

static float sigmoid(float x)
{
    if (x >= 0) return 1 / (1 + expf(-x));
    float e = expf(x);
    return e / (1 + e);
}

static float gelu(float x)
{
    if (x < -15) return isinf(x) ? -0.0f : 0.5f * x * erfcf(-x * 0.70710678f);
    return x < -1 ? 0.5f * x * erfcf(-x * 0.70710678118654752f) : 0.5f * x * (1 + erff(x * 0.70710678118654752f));
}

static float gelu_tanh(float x)
{
    /* 0.5 (1 + tanh u) = sigmoid(2 u) */
    return x == -INFINITY ? -0.0f : x * sigmoid(2 * 0.79788456080286536f * (x + 0.044715f * x * x * x));
}

static float mish(float x) { return x == -INFINITY ? -0.0f : x * tanhf(softplus(x)); }

static float celu(float x, float a) { return x < 0 ? a * expm1f(x / a) : x; }

float hone__unary_scalar(hone__unary op, float x, float a, float b)
{
    switch (op) {
    case HONE__ABS: return fabsf(x);
    case HONE__NEG: return -x;
    case HONE__EXP: return expf(x);
    case HONE__LOG: return logf(x);
    case HONE__SQRT: return sqrtf(x);
    case HONE__RECIPROCAL: return 1 / x;
    case HONE__RSQRT: return 1 / sqrtf(x);
    case HONE__SIGMOID: return sigmoid(x);
    case HONE__TANH: return tanhf(x);
    case HONE__ERF: return erff(x);
    case HONE__RELU: return x < 0 ? 0 : x;
    case HONE__CLIP: return clip(x, a, b);
    case HONE__LEAKY: return x < 0 ? a * x : x;
    case HONE__ELU: return x < 0 ? a * expm1f(x) : x;
    case HONE__SELU: return b * (x > 0 ? x : a * expm1f(x));
    case HONE__CELU: return celu(x, a);
    case HONE__SOFTPLUS: return softplus(x);
    case HONE__SOFTSIGN: return isinf(x) ? sign(x) : x / (1 + fabsf(x));
    case HONE__SILU: return x == -INFINITY ? -0.0f : x * sigmoid(x);
    case HONE__GELU: return gelu(x);
    case HONE__GELU_TANH: return gelu_tanh(x);
    case HONE__HARD_SIGMOID: return clip(a * x + b, 0, 1);
    case HONE__HARD_SWISH: return x == -INFINITY ? -0.0f : x * clip(x * (1.0f / 6) + 0.5f, 0, 1);
    case HONE__MISH: return mish(x);
    case HONE__THRESHOLDED_RELU: return x > a || isnan(x) ? x : 0;
    case HONE__AFFINE: return a * x + b;
    case HONE__SCALED_TANH: return a * tanhf(b * x);
    case HONE__SIN: return sinf(x);
    case HONE__COS: return cosf(x);
    case HONE__TAN: return tanf(x);
    case HONE__ASIN: return asinf(x);
    case HONE__ACOS: return acosf(x);
    case HONE__ATAN: return atanf(x);
    case HONE__SINH: return sinhf(x);
    case HONE__COSH: return coshf(x);
    case HONE__ASINH: return asinhf(x);
    case HONE__ACOSH: return acoshf(x);
    case HONE__ATANH: return atanhf(x);
    case HONE__FLOOR: return floorf(x);
    case HONE__CEIL: return ceilf(x);
    case HONE__ROUND: return rintf(x);
    case HONE__SIGN: return sign(x);
    case HONE__SQUARE: return x * x;
    case HONE__LOG1P: return log1pf(x);
    case HONE__EXPM1: return expm1f(x);
    case HONE__UNARY_COUNT: break;
    }
    return x;
}

static float mod(float a, float b)
{
    float r = fmodf(a, b);
    if (r == 0) return copysignf(r, b);
    return (r < 0) != (b < 0) ? r + b : r;
}

float hone__binary_scalar(hone__binary op, float a, float b)
{
    switch (op) {
    case HONE__ADD: return a + b;
    case HONE__SUB: return a - b;
    case HONE__MUL: return a * b;
    case HONE__DIV: return a / b;
    case HONE__MAX: return isnan(a) || a > b ? a : b;
    case HONE__MIN: return isnan(a) || a < b ? a : b;
    case HONE__POW: return powf(a, b);
    case HONE__FMOD: return fmodf(a, b);
    case HONE__MOD: return mod(a, b);
    case HONE__PRELU: return a < 0 ? a * b : a;
    case HONE__SQUARED_DIFFERENCE: return (a - b) * (a - b);
    case HONE__BINARY_COUNT: break;
    }
    return a;
}

void hone__vec_unary_scalar(hone__unary op, const float *x, float *y, size_t n, float a, float b)
{
    for (size_t i = 0; i < n; i++) y[i] = hone__unary_scalar(op, x[i], a, b);
}

void hone__vec_binary_scalar(hone__binary op, const float *a, size_t a_step, const float *b, size_t b_step, float *y,
                             size_t n)
{
    if (!n) return;
    float first_a = a[0], first_b = b[0]; /* y may be what a step of 0 reads */
    for (size_t i = 0; i < n; i++) y[i] = hone__binary_scalar(op, a_step ? a[i] : first_a, b_step ? b[i] : first_b);
}

void hone__vec_scale_shift_scalar(const float *x, float scale, float shift, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] * scale + shift;
}

static const hone__vec_table scalar = {
    .unary = hone__vec_unary_scalar,
    .binary = hone__vec_binary_scalar,
    .scale_shift = hone__vec_scale_shift_scalar,
};

static hone__vec_table tables[HONE__TIERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (int tier = 0; tier < HONE__TIERS; tier++) {
        hone__vec_table *t = &tables[tier];
        *t = scalar;
#if defined(__x86_64__)
#define HONE_VARIANT(from, slot, value) \
    if (tier >= (from)) t->slot = (value);
#include "kernels/vec/variants_x86.def"
#undef HONE_VARIANT
#endif
    }
}

const hone__vec_table *hone__vec_table_of(hone__tier tier)
{
    pthread_once(&once, build);
    return &tables[hone__tier_slot(tier)];
}

void hone__vec_unary(hone__unary op, const float *x, float *y, size_t n, float a, float b)
{
    hone__vec_table_of(hone__cpu_tier())->unary(op, x, y, n, a, b);
}

void hone__vec_binary(hone__binary op, const float *a, size_t a_step, const float *b, size_t b_step, float *y, size_t n)
{
    const hone__vec_table *t = hone__vec_table_of(hone__cpu_tier());
    float e = op == HONE__POW && n && !b_step ? *b : 0; /* squares and cubes are all over normalisations and GELU */
    if (e == 2 || (e == 3 && y != a)) {
        t->binary(HONE__MUL, a, a_step, a, a_step, y, n);
        if (e == 3) t->binary(HONE__MUL, y, 1, a, a_step, y, n);
        return;
    }
    t->binary(op, a, a_step, b, b_step, y, n);
}

void hone__vec_scale_shift(const float *x, float scale, float shift, float *y, size_t n)
{
    hone__vec_table_of(hone__cpu_tier())->scale_shift(x, scale, shift, y, n);
}
