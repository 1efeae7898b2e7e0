/* vec_loops.h: the loops of vec.h in the words of simd_<tier>.h. Before it, the including file defines NAME(f) as the
 * tier's name of f. Functions without a vector form go to the scalar ones. */
#include "kernels/vec/vec_parts.h"

#define EACH(expr)                      \
    for (size_t i = 0; i < n; i += W) { \
        vf v = load_n(x + i, n - i);    \
        store_n(y + i, expr, n - i);    \
    }                                   \
    return

INLINE vf below_zero(vf v, vf yes, vf no) { return choose(lt(v, set1(0)), yes, no); }

static void simple(hone__unary op, const float *x, float *y, size_t n, float a, float b)
{
    vf va = set1(a), vb = set1(b);
    switch (op) {
    case HONE__ABS: EACH(magnitude(v));
    case HONE__NEG: EACH(negative(v));
    case HONE__SQRT: EACH(root(v));
    case HONE__RECIPROCAL: EACH(quot(set1(1), v));
    case HONE__RSQRT: EACH(quot(set1(1), root(v)));
    case HONE__RELU: EACH(below_zero(v, set1(0), v));
    case HONE__CLIP: EACH(min2(vb, max2(va, v)));
    case HONE__LEAKY: EACH(below_zero(v, mul(va, v), v));
    case HONE__HARD_SIGMOID: EACH(clamp(add(mul(va, v), vb), 0, 1));
    case HONE__HARD_SWISH: EACH(gated(v, clamp(add(mul(v, set1(1.0f / 6)), set1(0.5f)), 0, 1)));
    case HONE__THRESHOLDED_RELU: EACH(choose(either(lt(va, v), is_nan(v)), v, set1(0)));
    case HONE__AFFINE: EACH(add(mul(va, v), vb));
    case HONE__FLOOR: EACH(down(v));
    case HONE__CEIL: EACH(up(v));
    case HONE__ROUND: EACH(nearest(v));
    case HONE__SQUARE: EACH(mul(v, v));
    default: hone__vec_unary_scalar(op, x, y, n, a, b);
    }
}

void NAME(hone__vec_unary)(hone__unary op, const float *x, float *y, size_t n, float a, float b)
{
    vf va = set1(a), vb = set1(b);
    switch (op) {
    case HONE__EXP: EACH(v_exp(v));
    case HONE__LOG: EACH(v_log(v));
    case HONE__SIGMOID: EACH(v_sigmoid(v));
    case HONE__TANH: EACH(v_tanh(v));
    case HONE__ERF: EACH(v_erf(v));
    case HONE__ELU: EACH(below_zero(v, mul(va, v_expm1(v)), v));
    case HONE__SELU: EACH(mul(vb, choose(lt(set1(0), v), v, mul(va, v_expm1(v)))));
    case HONE__CELU: EACH(below_zero(v, mul(va, v_expm1(quot(v, va))), v));
    case HONE__SOFTPLUS: EACH(v_softplus(v));
    case HONE__SILU: EACH(gated(v, v_sigmoid(v)));
    case HONE__GELU: EACH(v_gelu(v));
    case HONE__GELU_TANH: EACH(v_gelu_tanh(v));
    case HONE__MISH: EACH(v_mish(v));
    case HONE__SCALED_TANH: EACH(mul(va, v_tanh(mul(vb, v))));
    case HONE__LOG1P: EACH(v_log1p(v));
    case HONE__EXPM1: EACH(v_expm1(v));
    default: simple(op, x, y, n, a, b);
    }
}
#undef EACH

INLINE vf operand(const float *p, size_t step, size_t i, size_t n) { return step ? load_n(p + i, n - i) : set1(*p); }

#define EACH(expr)                                                     \
    for (size_t i = 0; i < n; i += W) {                                \
        vf u = operand(a, a_step, i, n), v = operand(b, b_step, i, n); \
        store_n(y + i, expr, n - i);                                   \
    }                                                                  \
    return

void NAME(hone__vec_binary)(hone__binary op, const float *a, size_t a_step, const float *b, size_t b_step, float *y,
                            size_t n)
{
    if (!n) return;
    float first_a = a[0], first_b = b[0]; /* y may be what a step of 0 reads */
    if (!a_step) a = &first_a;
    if (!b_step) b = &first_b;
    switch (op) {
    case HONE__ADD: EACH(add(u, v));
    case HONE__SUB: EACH(sub(u, v));
    case HONE__MUL: EACH(mul(u, v));
    case HONE__DIV: EACH(quot(u, v));
    case HONE__MAX: EACH(larger(u, v));
    case HONE__MIN: EACH(smaller(u, v));
    case HONE__PRELU: EACH(below_zero(u, mul(u, v), u));
    case HONE__SQUARED_DIFFERENCE: EACH(mul(sub(u, v), sub(u, v)));
    default: hone__vec_binary_scalar(op, a, a_step, b, b_step, y, n);
    }
}
#undef EACH

void NAME(hone__vec_scale_shift)(const float *x, float scale, float shift, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += W) store_n(y + i, add(mul(load_n(x + i, n - i), set1(scale)), set1(shift)), n - i);
}
