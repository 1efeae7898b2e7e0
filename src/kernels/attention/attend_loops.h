/* attend_loops.h: scores to weights in the words of simd_<tier>.h and vec_math.h; NAME(f) is the tier's name of f. */
#include "kernels/attention/attend_parts.h"

enum { CHAINS = 4 }; /* vectors at a time, each with a maximum and a sum of its own */
#define EACH_CHAIN _Pragma("GCC unroll 4") for (int c = 0; c < CHAINS; c++)

/* 2^x for x <= 0: 0 where fp32 has no smaller number, NaN for NaN. x = n + r with |r| <= 1/2. Step by step over the
 * chains: one after the other they would wait for their own results. */
INLINE void power_below(vf *x)
{
    static const float steps[] = {0.00133988744f, 0.00961843736f, 0.0555033247f, 0.240226479f, 0.693147203f, 1};
    vf n[CHAINS], p[CHAINS];
    EACH_CHAIN x[c] = max2(set1(-150), x[c]);
    EACH_CHAIN n[c] = nearest(x[c]);
    EACH_CHAIN x[c] = sub(x[c], n[c]);
    EACH_CHAIN p[c] = set1(0.000153533619f);
    _Pragma("GCC unroll 6") for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) EACH_CHAIN p[c] =
        fmadd(p[c], x[c], set1(steps[i]));
    EACH_CHAIN x[c] = times_power(p[c], n[c]);
}

INLINE float largest(const float *s, size_t n, float most)
{
    vf best[CHAINS];
    size_t i = 0;
    EACH_CHAIN best[c] = set1(most);
    for (; i + CHAINS * W <= n; i += CHAINS * W) EACH_CHAIN best[c] = max2(load_n(s + i + c * W, W), best[c]);
    for (; i < n; i += W) best[0] = max2(keep_first(load_n(s + i, n - i), n - i, best[0]), best[0]);
    return max_lanes(max2(max2(best[0], best[1]), max2(best[2], best[3])));
}

float NAME(hone__attend_weigh)(float *s, size_t n, float *most)
{
    vf top = set1(*most = largest(s, n, *most)), sum[CHAINS];
    size_t i = 0;
    EACH_CHAIN sum[c] = set1(0);
    for (; i + CHAINS * W <= n; i += CHAINS * W) {
        vf e[CHAINS];
        EACH_CHAIN e[c] = sub(load_n(s + i + c * W, W), top);
        power_below(e);
        EACH_CHAIN store_n(s + i + c * W, e[c], W);
        EACH_CHAIN sum[c] = add(sum[c], e[c]);
    }
    if (i < n) {
        vf e[CHAINS];
        EACH_CHAIN e[c] = i + c * W < n ? sub(load_n(s + i + c * W, n - i - c * W), top) : set1(0);
        power_below(e);
        EACH_CHAIN if (i + c * W < n)
        {
            store_n(s + i + c * W, e[c], n - i - c * W);
            sum[c] = add(sum[c], keep_first(e[c], n - i - c * W, set1(0)));
        }
    }
    return sum_lanes(add(add(sum[0], sum[1]), add(sum[2], sum[3])));
}
