/* vec_math.h: elementary functions in the words of simd_<tier>.h, which the including file chooses before. Errors in
 * units of the last place, measured by tests/kernels/test_vec.c: exp, log, tanh, erf, sigmoid, expm1, log1p <= 4. */
#ifndef HONE_KERNELS_VEC_MATH_H
#define HONE_KERNELS_VEC_MATH_H

INLINE vf magnitude(vf x) { return bit_and(x, bits(0x7fffffffu)); }
INLINE vf sign_bit(vf x) { return bit_and(x, bits(0x80000000u)); }
INLINE vf negative(vf x) { return bit_xor(x, bits(0x80000000u)); }

/* Keeps NaN: it stands second. */
INLINE vf clamp(vf x, float lo, float hi) { return min2(set1(hi), max2(set1(lo), x)); }

/* x = n ln 2 + r, |r| <= ln 2 / 2; returns exp(r) - 1. ln 2 in two parts, the first with few bits. */
INLINE vf reduced_expm1(vf x, vf *n)
{
    *n = nearest(mul(x, set1(1.44269504f)));
    vf r = fmadd(*n, set1(-0.693359375f), x);
    r = fmadd(*n, set1(2.12194440e-4f), r);
    vf p = fmadd(set1(1.9875691500e-4f), r, set1(1.3981999507e-3f));
    p = fmadd(p, r, set1(8.3334519073e-3f));
    p = fmadd(p, r, set1(4.1665795894e-2f));
    p = fmadd(p, r, set1(1.6666665459e-1f));
    p = fmadd(p, r, set1(5.0000001201e-1f));
    return fmadd(mul(p, r), r, r);
}

INLINE vf v_exp(vf x)
{
    vf n, q = reduced_expm1(clamp(x, -104, 89), &n);
    return times_power(add(q, set1(1)), n);
}

/* 2^n q + (2^n - 1), at half the scale because 2^128 does not exist. */
INLINE vf v_expm1(vf x)
{
    vf n, q = reduced_expm1(clamp(x, -30, 89), &n);
    vf s = times_power(set1(0.5f), n), r = fmadd(s, q, sub(s, set1(0.5f)));
    r = add(r, r);
    return choose(lt(magnitude(x), set1(1e-4f)), fmadd(mul(x, x), set1(0.5f), x), r);
}

INLINE vf v_log(vf x)
{
    vf m = mantissa(x), e = exponent(x);
    vm high = lt(set1(1.41421356f), m);
    m = choose(high, mul(m, set1(0.5f)), m);
    e = choose(high, add(e, set1(1)), e);
    vf f = sub(m, set1(1)), z = mul(f, f);
    vf p = fmadd(set1(7.0376836292e-2f), f, set1(-1.1514610310e-1f));
    p = fmadd(p, f, set1(1.1676998740e-1f));
    p = fmadd(p, f, set1(-1.2420140846e-1f));
    p = fmadd(p, f, set1(1.4249322787e-1f));
    p = fmadd(p, f, set1(-1.6668057665e-1f));
    p = fmadd(p, f, set1(2.0000714765e-1f));
    p = fmadd(p, f, set1(-2.4999993993e-1f));
    p = fmadd(p, f, set1(3.3333331174e-1f));
    vf y = fmadd(e, set1(-2.12194440e-4f), mul(mul(p, f), z));
    y = fmadd(z, set1(-0.5f), y);
    y = fmadd(e, set1(0.693359375f), add(f, y));
    vf inf = set1(__builtin_inff());
    y = choose(eq(x, inf), inf, y);
    y = choose(eq(x, set1(0)), negative(inf), y);
    y = choose(lt(x, set1(0)), set1(__builtin_nanf("")), y);
    return choose(is_nan(x), x, y);
}

/* log(u) with u = 1 + x rounded, and what the rounding lost */
INLINE vf v_log1p(vf x)
{
    vf u = add(x, set1(1)), lost = quot(sub(x, sub(u, set1(1))), u);
    vf y = add(v_log(u), lost);
    y = choose(eq(u, set1(1)), x, y);
    vf inf = set1(__builtin_inff());
    y = choose(eq(x, inf), inf, y);
    return choose(eq(x, set1(-1)), negative(inf), y);
}

INLINE vf v_tanh(vf x)
{
    vf e = v_expm1(mul(clamp(magnitude(x), 0, 10), set1(2)));
    vf t = bit_or(quot(e, add(e, set1(2))), sign_bit(x));
    return choose(lt(magnitude(x), set1(1e-4f)), x, t);
}

INLINE vf v_sigmoid(vf x)
{
    vf e = v_exp(bit_or(x, bits(0x80000000u)));
    return quot(choose(lt(x, set1(0)), e, set1(1)), add(e, set1(1)));
}

/* Two minimax polynomials: x + x P(x^2) below 0.921875, 1 - exp(-x + Q(x)) above. */
INLINE vf v_erf(vf x)
{
    vf a = magnitude(x), s = mul(a, a);
    vf p = fmadd(set1(-5.96761703e-4f), s, set1(4.99119423e-3f));
    p = fmadd(p, s, set1(-2.67681349e-2f));
    p = fmadd(p, s, set1(1.12819925e-1f));
    p = fmadd(p, s, set1(-3.76125336e-1f));
    p = fmadd(p, s, set1(1.28379166e-1f));
    p = fmadd(p, x, x);
    vf t = clamp(a, 0, 10), r = fmadd(set1(-1.72853470e-5f), t, set1(3.83197126e-4f));
    vf u = fmadd(set1(-3.88396438e-3f), t, set1(2.42546219e-2f));
    r = fmadd(r, mul(t, t), u);
    r = fmadd(r, t, set1(-1.06777877e-1f));
    r = fmadd(r, t, set1(-6.34846687e-1f));
    r = fmadd(r, t, set1(-1.28717512e-1f));
    r = fmadd(r, t, negative(t));
    r = bit_or(sub(set1(1), v_exp(r)), sign_bit(x));
    return choose(lt(set1(0.921875f), a), r, p);
}

/* x * gate where the gate is 0 at minus infinity */
INLINE vf gated(vf x, vf gate) { return mul(max2(set1(-1e30f), x), gate); }

INLINE vf v_softplus(vf x)
{
    vf l = v_log1p(v_exp(bit_or(x, bits(0x80000000u))));
    return add(max2(set1(0), x), l);
}

/* tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2) */
INLINE vf v_mish(vf x)
{
    vf e = v_exp(clamp(x, -104, 20)), n = mul(e, add(e, set1(2)));
    return gated(x, quot(n, add(n, set1(2))));
}

INLINE vf v_gelu(vf x)
{
    vf g = add(v_erf(mul(x, set1(0.70710678f))), set1(1));
    return gated(x, mul(g, set1(0.5f)));
}

INLINE vf v_gelu_tanh(vf x)
{
    vf u = mul(clamp(x, -100, 100), set1(1.59576912f)), c = mul(x, x);
    return gated(x, v_sigmoid(mul(u, fmadd(clamp(c, 0, 1e10f), set1(0.044715f), set1(1)))));
}

INLINE vf larger(vf a, vf b) { return choose(is_nan(a), a, max2(a, b)); }
INLINE vf smaller(vf a, vf b) { return choose(is_nan(a), a, min2(a, b)); }

#endif
