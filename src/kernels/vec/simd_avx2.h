/* simd_avx2.h: the vector words that vec_math.h is written in, as AVX2 with FMA. Only for *_avx2.c files. */
#ifndef HONE_KERNELS_SIMD_AVX2_H
#define HONE_KERNELS_SIMD_AVX2_H

#include <immintrin.h>
#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

enum { W = 8 }; /* lanes */
typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm;

INLINE vi first_bits(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= W ? W : (int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE vm first_lanes(size_t n) { return _mm256_castsi256_ps(first_bits(n)); }
INLINE vf load_n(const float *p, size_t n)
{
    return n >= W ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first_bits(n));
}
INLINE void store_n(float *p, vf v, size_t n)
{
    if (n >= W)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, first_bits(n), v);
}
INLINE vf keep_first(vf v, size_t n, vf other) { return _mm256_blendv_ps(other, v, first_lanes(n)); }

INLINE vf set1(float x) { return _mm256_set1_ps(x); }
INLINE vf add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
INLINE vf mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf quot(vf a, vf b) { return _mm256_div_ps(a, b); }
INLINE vf fmadd(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vf root(vf a) { return _mm256_sqrt_ps(a); }
/* b where either is NaN, as the instruction does */
INLINE vf max2(vf a, vf b) { return _mm256_max_ps(a, b); }
INLINE vf min2(vf a, vf b) { return _mm256_min_ps(a, b); }
INLINE vf bit_and(vf a, vf b) { return _mm256_and_ps(a, b); }
INLINE vf bit_or(vf a, vf b) { return _mm256_or_ps(a, b); }
INLINE vf bit_xor(vf a, vf b) { return _mm256_xor_ps(a, b); }
INLINE vf bits(unsigned u) { return _mm256_castsi256_ps(_mm256_set1_epi32((int)u)); }
INLINE vm lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
INLINE vm eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
INLINE vm is_nan(vf a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
INLINE vf choose(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, m); }
INLINE vf nearest(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE vf down(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE vf up(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
INLINE vf power_of(vi n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
/* x * 2^n for an integer-valued n in [-250, 250]: in two steps, so that both factors are normal numbers */
INLINE vf times_power(vf x, vf n)
{
    vi whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return mul(mul(x, power_of(half)), power_of(_mm256_sub_epi32(whole, half)));
}
/* x > 0 and finite: x = m * 2^e with m in [1, 2) */
INLINE vf normal(vf x, vm *small)
{
    *small = lt(x, set1(1.17549435e-38f));
    return choose(*small, mul(x, set1(8388608.0f)), x);
}
INLINE vf exponent(vf x)
{
    vm small;
    vi e = _mm256_srli_epi32(_mm256_castps_si256(normal(x, &small)), 23);
    vf v = _mm256_cvtepi32_ps(_mm256_sub_epi32(e, _mm256_set1_epi32(127)));
    return choose(small, sub(v, set1(23)), v);
}
INLINE vf mantissa(vf x)
{
    vm small;
    return bit_or(bit_and(normal(x, &small), bits(0x7fffffu)), set1(1));
}
INLINE float sum_lanes(vf v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float max_lanes(vf v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
INLINE float min_lanes(vf v)
{
    __m128 s = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_min_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_min_ss(s, _mm_movehdup_ps(s)));
}
INLINE int any(vm m) { return _mm256_movemask_ps(m) != 0; }
INLINE vm either(vm a, vm b) { return _mm256_or_ps(a, b); }
#define NO_LANES _mm256_setzero_ps()

#endif
