/* vec.h: element-wise functions on contiguous fp32.
 * Tolerance: exact for abs neg relu clip leaky floor ceil round sign square add sub mul div max min sqrt reciprocal;
 * 4 ulp for exp log log1p expm1 sigmoid tanh erf silu, 8 for softplus mish elu selu celu; gelu, hard_swish 8 ulp or
 * 2^-21 absolute; results below 2^-126, and products of x with such a factor, within 1e-42. NaN in gives NaN out;
 * infinities give the limits. In place is fine. */
#ifndef HONE_KERNELS_VEC_H
#define HONE_KERNELS_VEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef enum hone__unary {
    HONE__ABS = 0,
    HONE__NEG,
    HONE__EXP,
    HONE__LOG,
    HONE__SQRT,
    HONE__RECIPROCAL,
    HONE__RSQRT,
    HONE__SIGMOID,
    HONE__TANH,
    HONE__ERF,
    HONE__RELU,
    HONE__CLIP,  /* min(max(x, a), b) */
    HONE__LEAKY, /* x < 0 ? a * x : x */
    HONE__ELU,   /* x < 0 ? a * (exp(x) - 1) : x */
    HONE__SELU,  /* b * (x > 0 ? x : a * (exp(x) - 1)) */
    HONE__CELU,  /* max(0, x) + min(0, a * (exp(x / a) - 1)) */
    HONE__SOFTPLUS,
    HONE__SOFTSIGN,
    HONE__SILU,
    HONE__GELU,
    HONE__GELU_TANH,
    HONE__HARD_SIGMOID, /* a * x + b in 0..1 */
    HONE__HARD_SWISH,
    HONE__MISH,
    HONE__THRESHOLDED_RELU, /* x > a ? x : 0 */
    HONE__AFFINE,           /* a * x + b */
    HONE__SCALED_TANH,      /* a * tanh(b * x) */
    HONE__SIN,
    HONE__COS,
    HONE__TAN,
    HONE__ASIN,
    HONE__ACOS,
    HONE__ATAN,
    HONE__SINH,
    HONE__COSH,
    HONE__ASINH,
    HONE__ACOSH,
    HONE__ATANH,
    HONE__FLOOR,
    HONE__CEIL,
    HONE__ROUND, /* half to even */
    HONE__SIGN,
    HONE__SQUARE,
    HONE__LOG1P,
    HONE__EXPM1,
    HONE__UNARY_COUNT
} hone__unary;

void hone__vec_unary(hone__unary op, const float *x, float *y, size_t n, float a, float b);
float hone__unary_scalar(hone__unary op, float x, float a, float b); /* the reference, through libm */

typedef enum hone__binary {
    HONE__ADD = 0,
    HONE__SUB,
    HONE__MUL,
    HONE__DIV,
    HONE__MAX, /* NaN if either is NaN */
    HONE__MIN,
    HONE__POW,
    HONE__FMOD,  /* C's fmod: sign of a */
    HONE__MOD,   /* Python's: sign of b */
    HONE__PRELU, /* a < 0 ? a * b : a */
    HONE__SQUARED_DIFFERENCE,
    HONE__BINARY_COUNT
} hone__binary;

/* y[i] = op(a[i * a_step], b[i * b_step]); steps 0 or 1. */
void hone__vec_binary(hone__binary op, const float *a, size_t a_step, const float *b, size_t b_step, float *y,
                      size_t n);
float hone__binary_scalar(hone__binary op, float a, float b);

/* y[i] = x[i] * scale + shift: two roundings, never fused. */
void hone__vec_scale_shift(const float *x, float scale, float shift, float *y, size_t n);

#endif
