/* simd_avx512.h: the vector words that vec_math.h is written in, as AVX-512. Only for *_avx512*.c files. */
#ifndef HONE_KERNELS_SIMD_AVX512_H
#define HONE_KERNELS_SIMD_AVX512_H

#include <immintrin.h>
#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

enum { W = 16 }; /* lanes */
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

INLINE vm first_lanes(size_t n) { return n >= W ? 0xffff : (vm)((1u << n) - 1); }
INLINE vf load_n(const float *p, size_t n)
{
    return n >= W ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(first_lanes(n), p);
}
/* Whole vectors go without a mask: a load that follows cannot be served from a masked store still on its way. */
INLINE void store_n(float *p, vf v, size_t n)
{
    if (n >= W)
        _mm512_storeu_ps(p, v);
    else
        _mm512_mask_storeu_ps(p, first_lanes(n), v);
}
INLINE vf keep_first(vf v, size_t n, vf other) { return _mm512_mask_mov_ps(other, first_lanes(n), v); }

INLINE vf set1(float x) { return _mm512_set1_ps(x); }
INLINE vf add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf quot(vf a, vf b) { return _mm512_div_ps(a, b); }
INLINE vf fmadd(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vf root(vf a) { return _mm512_sqrt_ps(a); }
/* b where either is NaN, as the instruction does */
INLINE vf max2(vf a, vf b) { return _mm512_max_ps(a, b); }
INLINE vf min2(vf a, vf b) { return _mm512_min_ps(a, b); }
INLINE vf bit_and(vf a, vf b) { return _mm512_and_ps(a, b); }
INLINE vf bit_or(vf a, vf b) { return _mm512_or_ps(a, b); }
INLINE vf bit_xor(vf a, vf b) { return _mm512_xor_ps(a, b); }
INLINE vf bits(unsigned u) { return _mm512_castsi512_ps(_mm512_set1_epi32((int)u)); }
INLINE vm lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
INLINE vm eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
INLINE vm is_nan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
INLINE vf choose(vm m, vf yes, vf no) { return _mm512_mask_mov_ps(no, m, yes); }
INLINE vf nearest(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vf down(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE vf up(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
/* x * 2^n for an integer-valued n, with one rounding also into subnormals */
INLINE vf times_power(vf x, vf n) { return _mm512_scalef_ps(x, n); }
/* x > 0 and finite: x = m * 2^e with m in [1, 2) */
INLINE vf exponent(vf x) { return _mm512_getexp_ps(x); }
INLINE vf mantissa(vf x) { return _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero); }
INLINE float sum_lanes(vf v) { return _mm512_reduce_add_ps(v); }
INLINE float max_lanes(vf v) { return _mm512_reduce_max_ps(v); }
INLINE float min_lanes(vf v) { return _mm512_reduce_min_ps(v); }
INLINE int any(vm m) { return m != 0; }
INLINE vm either(vm a, vm b) { return (vm)(a | b); }
#define NO_LANES ((vm)0)

#endif
