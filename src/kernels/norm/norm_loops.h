/* norm_loops.h: the row operations in the words of simd_<tier>.h; NAME(f) is the tier's name of f. */
#include "kernels/norm/norm_parts.h"

#define INF __builtin_inff()

/* A NaN lane is noticed apart, because MAXPS and MINPS lose it. */
float NAME(hone__row_max)(const float *x, size_t n)
{
    vf best = set1(-INF);
    vm nan = NO_LANES;
    for (size_t i = 0; i < n; i += W) {
        vf v = keep_first(load_n(x + i, n - i), n - i, set1(-INF));
        nan = either(nan, is_nan(v));
        best = max2(v, best);
    }
    return any(nan) ? __builtin_nanf("") : max_lanes(best);
}

float NAME(hone__row_min)(const float *x, size_t n)
{
    vf best = set1(INF);
    vm nan = NO_LANES;
    for (size_t i = 0; i < n; i += W) {
        vf v = keep_first(load_n(x + i, n - i), n - i, set1(INF));
        nan = either(nan, is_nan(v));
        best = min2(v, best);
    }
    return any(nan) ? __builtin_nanf("") : min_lanes(best);
}

/* Adds expr over the row; lanes beyond n must give 0. */
#define SUM(expr)                                                             \
    double total = 0;                                                         \
    for (size_t from = 0; from < n; from += HONE__SUM_BLOCK) {                \
        size_t end = n - from < HONE__SUM_BLOCK ? n : from + HONE__SUM_BLOCK; \
        vf s0 = set1(0), s1 = set1(0);                                        \
        for (size_t i = from; i < end; i += 2 * W) {                          \
            size_t at = i, left = end - i;                                    \
            s0 = add(s0, expr);                                               \
            if (left <= W) break;                                             \
            at += W, left -= W;                                               \
            s1 = add(s1, expr);                                               \
        }                                                                     \
        total += sum_lanes(add(s0, s1));                                      \
    }                                                                         \
    return total

INLINE vf exp_lane(const float *x, vf top, float *y, size_t left)
{
    vf v = v_exp(sub(load_n(x, left), top));
    if (y) store_n(y, v, left);
    return keep_first(v, left, set1(0));
}

INLINE vf square_lane(const float *x, vf centre, size_t left)
{
    vf v = sub(load_n(x, left), centre);
    return keep_first(mul(v, v), left, set1(0));
}

double NAME(hone__exp_sum)(const float *x, float top, float *y, size_t n)
{
    vf t = set1(top);
    SUM(exp_lane(x + at, t, y ? y + at : NULL, left));
}

double NAME(hone__row_sum)(const float *x, size_t n) { SUM(load_n(x + at, left)); }
double NAME(hone__row_sum_abs)(const float *x, size_t n) { SUM(magnitude(load_n(x + at, left))); }

double NAME(hone__row_sum_squares)(const float *x, float centre, size_t n)
{
    vf c = set1(centre);
    SUM(square_lane(x + at, c, left));
}

void NAME(hone__normalise)(const float *x, float mean, float inv, const float *gamma, const float *beta, float *y,
                           size_t n)
{
    vf m = set1(mean), s = set1(inv);
    for (size_t i = 0; i < n; i += W) {
        vf v = mul(sub(load_n(x + i, n - i), m), s);
        if (gamma) v = mul(v, load_n(gamma + i, n - i));
        if (beta) v = add(v, load_n(beta + i, n - i));
        store_n(y + i, v, n - i);
    }
}

void NAME(hone__fold)(hone__reduce kind, const float *x, float *acc, size_t n)
{
    for (size_t i = 0; i < n; i += W) {
        vf v = load_n(x + i, n - i), a = load_n(acc + i, n - i);
        if (kind == HONE__REDUCE_MAX)
            a = larger(a, v);
        else if (kind == HONE__REDUCE_MIN)
            a = smaller(a, v);
        else if (kind == HONE__REDUCE_PROD)
            a = mul(a, v);
        else if (kind == HONE__REDUCE_SUMSQ || kind == HONE__REDUCE_L2)
            a = add(a, mul(v, v));
        else if (kind == HONE__REDUCE_L1)
            a = add(a, magnitude(v));
        else
            a = add(a, v);
        store_n(acc + i, a, n - i);
    }
}
