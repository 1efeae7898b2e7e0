/* gemm_avx2.c: matrix-vector parts and the 32-bit transpose in AVX2. */
#include <immintrin.h>
#include <string.h>

#include "kernels/gemm/gemm_parts.h"

#define INLINE static inline __attribute__((always_inline))

INLINE __m256i tail8(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

enum kind { F32, F16, BF16 };

INLINE __m256 widen(__m128i v, enum kind kind)
{
    if (kind == F16) return _mm256_cvtph_ps(v);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}

/* Eight elements from `at` on. */
INLINE __m256 load(const void *p, size_t at, enum kind kind)
{
    if (kind == F32) return _mm256_loadu_ps((const float *)p + at);
    return widen(_mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)p + at)), kind);
}

/* n < 8 of them, zeros behind. */
INLINE __m256 load_tail(const void *p, size_t at, size_t n, enum kind kind)
{
    uint16_t part[8] = {0};
    if (kind == F32) return _mm256_maskload_ps((const float *)p + at, tail8(n));
    memcpy(part, (const uint16_t *)p + at, n * sizeof *part);
    return widen(_mm_loadu_si128((const __m128i *)(const void *)part), kind);
}

INLINE void axpy_rows(const float *a, size_t a_cs, const void *b, size_t at, size_t b_rs, size_t n, float *y, int rows,
                      enum kind kind)
{
    __m256 w[8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) w[r] = _mm256_set1_ps(a[(size_t)r * a_cs]);
    size_t j = 0;
    for (; j + 8 <= n; j += 8) {
        __m256 v = _mm256_loadu_ps(y + j);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) v = _mm256_fmadd_ps(w[r], load(b, at + (size_t)r * b_rs + j, kind), v);
        _mm256_storeu_ps(y + j, v);
    }
    if (j < n) {
        __m256i m = tail8(n - j);
        __m256 v = _mm256_maskload_ps(y + j, m);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
            v = _mm256_fmadd_ps(w[r], load_tail(b, at + (size_t)r * b_rs + j, n - j, kind), v);
        _mm256_maskstore_ps(y + j, m, v);
    }
}

INLINE void axpy(const float *a, size_t a_cs, const void *b, size_t b_rs, size_t k, size_t n, float *y, enum kind kind)
{
    size_t i = 0;
    for (; i + 8 <= k; i += 8) axpy_rows(a + i * a_cs, a_cs, b, i * b_rs, b_rs, n, y, 8, kind);
    for (; i < k; i++) axpy_rows(a + i * a_cs, a_cs, b, i * b_rs, b_rs, n, y, 1, kind);
}

void hone__axpy_f32_avx2(const float *a, size_t a_cs, const float *b, size_t b_rs, size_t k, size_t n, float *y)
{
    axpy(a, a_cs, b, b_rs, k, n, y, F32);
}

void hone__axpy_16_avx2(const float *a, size_t a_cs, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t n,
                        float *y)
{
    if (bf16)
        axpy(a, a_cs, b, b_rs, k, n, y, BF16);
    else
        axpy(a, a_cs, b, b_rs, k, n, y, F16);
}

INLINE float sum8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

INLINE void dot(const float *a, const void *b, size_t b_rs, size_t k, size_t rows, float *out, enum kind kind)
{
    for (size_t r = 0; r < rows; r++) {
        size_t at = r * b_rs, i = 0;
        __m256 acc[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
        for (; i + 32 <= k; i += 32)
#pragma GCC unroll 4
            for (size_t v = 0; v < 4; v++)
                acc[v] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8 * v), load(b, at + i + 8 * v, kind), acc[v]);
        for (; i + 8 <= k; i += 8) acc[0] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), load(b, at + i, kind), acc[0]);
        if (i < k)
            acc[0] =
                _mm256_fmadd_ps(_mm256_maskload_ps(a + i, tail8(k - i)), load_tail(b, at + i, k - i, kind), acc[0]);
        out[r] = sum8(_mm256_add_ps(_mm256_add_ps(acc[0], acc[1]), _mm256_add_ps(acc[2], acc[3])));
    }
}

void hone__dot_f32_avx2(const float *a, const float *b, size_t b_rs, size_t k, size_t rows, float *out)
{
    dot(a, b, b_rs, k, rows, out, F32);
}

void hone__dot_16_avx2(const float *a, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t rows, float *out)
{
    if (bf16)
        dot(a, b, b_rs, k, rows, out, BF16);
    else
        dot(a, b, b_rs, k, rows, out, F16);
}

void hone__widen_16_avx2(const uint16_t *x, int bf16, size_t n, float *y)
{
    size_t i = 0;
    if (bf16)
        for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, load(x, i, BF16));
    else
        for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, load(x, i, F16));
    hone__widen_16_scalar(x + i, bf16, n - i, y + i);
}

static void transpose_8x8(const uint32_t *src, size_t src_rs, uint32_t *dst, size_t dst_rs)
{
    __m256 r[8], t[8];
    for (size_t i = 0; i < 8; i++) r[i] = _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)(src + i * src_rs)));
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int h = 0; h < 2; h++) {
        r[4 * h] = _mm256_shuffle_ps(t[4 * h], t[4 * h + 2], 0x44);
        r[4 * h + 1] = _mm256_shuffle_ps(t[4 * h], t[4 * h + 2], 0xee);
        r[4 * h + 2] = _mm256_shuffle_ps(t[4 * h + 1], t[4 * h + 3], 0x44);
        r[4 * h + 3] = _mm256_shuffle_ps(t[4 * h + 1], t[4 * h + 3], 0xee);
    }
    for (size_t i = 0; i < 4; i++) {
        __m256 low = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20), high = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
        _mm256_storeu_si256((__m256i *)(dst + i * dst_rs), _mm256_castps_si256(low));
        _mm256_storeu_si256((__m256i *)(dst + (i + 4) * dst_rs), _mm256_castps_si256(high));
    }
}

void hone__transpose_32_avx2(const uint32_t *src, size_t src_rs, size_t rows, size_t cols, uint32_t *dst, size_t dst_rs)
{
    size_t r8 = rows & ~(size_t)7, c8 = cols & ~(size_t)7;
    for (size_t c = 0; c < c8; c += 8)
        for (size_t r = 0; r < r8; r += 8) transpose_8x8(src + r * src_rs + c, src_rs, dst + c * dst_rs + r, dst_rs);
    hone__transpose_32_scalar(src + c8, src_rs, r8, cols - c8, dst + c8 * dst_rs, dst_rs);
    hone__transpose_32_scalar(src + r8 * src_rs, src_rs, rows - r8, cols, dst + r8, dst_rs);
}

/* Two rows of 8 bytes, widened and paired: lane j holds (b[0][j], b[1][j]) as int16. */
INLINE __m256i pair_rows(__m128i r0, __m128i r1, int is_unsigned)
{
    __m128i both = _mm_unpacklo_epi8(r0, r1);
    return is_unsigned ? _mm256_cvtepu8_epi16(both) : _mm256_cvtepi8_epi16(both);
}

void hone__axpy_i8_avx2(const uint8_t *a, int a_unsigned, const uint8_t *b, size_t b_rs, uint8_t flip, size_t k,
                        size_t n, int32_t *y, int32_t *sums)
{
    const __m128i flips = _mm_set1_epi8((char)flip);
    size_t whole = n & ~(size_t)7, pairs = k & ~(size_t)1;
    for (size_t i = 0; i < pairs; i += 2) {
        int32_t w0 = a_unsigned ? a[i] : (int8_t)a[i], w1 = a_unsigned ? a[i + 1] : (int8_t)a[i + 1];
        __m256i w = _mm256_set1_epi32((int32_t)((uint32_t)(w0 & 0xffff) | (uint32_t)w1 << 16));
        for (size_t j = 0; j < whole; j += 8) {
            const uint8_t *p = b + i * b_rs + j;
            __m128i r0 = _mm_xor_si128(_mm_loadl_epi64((const __m128i *)p), flips);
            __m128i r1 = _mm_xor_si128(_mm_loadl_epi64((const __m128i *)(p + b_rs)), flips);
            __m256i v = _mm256_madd_epi16(pair_rows(r0, r1, !a_unsigned), w);
            _mm256_storeu_si256((__m256i *)(y + j), _mm256_add_epi32(_mm256_loadu_si256((__m256i *)(y + j)), v));
            if (!sums) continue;
            v = _mm256_madd_epi16(pair_rows(r0, r1, !a_unsigned), _mm256_set1_epi16(1));
            _mm256_storeu_si256((__m256i *)(sums + j), _mm256_add_epi32(_mm256_loadu_si256((__m256i *)(sums + j)), v));
        }
    }
    hone__axpy_i8_scalar(a, a_unsigned, b + whole, b_rs, flip, pairs, n - whole, y + whole, sums ? sums + whole : NULL);
    hone__axpy_i8_scalar(a + pairs, a_unsigned, b + pairs * b_rs, b_rs, flip, k - pairs, n, y, sums);
}
