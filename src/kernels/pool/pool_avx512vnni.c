/* pool_avx512vnni.c: line operations in AVX-512, tails under masks. */
#include <immintrin.h>

#include "kernels/pool/pool_parts.h"

static inline __mmask16 tail16(size_t n) { return n >= 16 ? 0xffff : (__mmask16)((1u << n) - 1); }
static inline __mmask64 tail64(size_t n) { return n >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << n) - 1; }

/* Whole vectors are stored without a mask: lines are read back at once, and a load cannot be served from a masked store
 * still on its way. */
static inline void store_f32(float *y, __m512 v, size_t n)
{
    if (n >= 16)
        _mm512_storeu_ps(y, v);
    else
        _mm512_mask_storeu_ps(y, tail16(n), v);
}

static inline void store_u8(uint8_t *y, __m512i v, size_t n)
{
    if (n >= 64)
        _mm512_storeu_si512(y, v);
    else
        _mm512_mask_storeu_epi8(y, tail64(n), v);
}

/* NaN of either side: a NaN in b comes through MAXPS, one in a is put back. */
static inline __m512 larger(__m512 a, __m512 b)
{
    return _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a);
}

void hone__max_into_f32_avx512vnni(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = tail16(n - i);
        store_f32(y + i, larger(_mm512_maskz_loadu_ps(m, y + i), _mm512_maskz_loadu_ps(m, x + i)), n - i);
    }
}

void hone__pair_max_f32_avx512vnni(const float *x, float *y, size_t n)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    for (size_t i = 0; i < n; i += 16) {
        size_t rest = 2 * (n - i);
        __m512 a = _mm512_maskz_loadu_ps(tail16(rest), x + 2 * i);
        __m512 b = _mm512_maskz_loadu_ps(rest > 16 ? tail16(rest - 16) : 0, x + 2 * i + 16);
        __m512 v = larger(_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b));
        store_f32(y + i, v, n - i);
    }
}

void hone__add_into_f32_avx512vnni(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = tail16(n - i);
        store_f32(y + i, _mm512_add_ps(_mm512_maskz_loadu_ps(m, y + i), _mm512_maskz_loadu_ps(m, x + i)), n - i);
    }
}

void hone__max_into_u8_avx512vnni(const uint8_t *x, uint8_t flip, uint8_t *y, size_t n)
{
    const __m512i f = _mm512_set1_epi8((char)flip);
    for (size_t i = 0; i < n; i += 64) {
        __mmask64 m = tail64(n - i);
        __m512i v = _mm512_xor_si512(_mm512_maskz_loadu_epi8(m, x + i), f);
        store_u8(y + i, _mm512_max_epu8(v, _mm512_maskz_loadu_epi8(m, y + i)), n - i);
    }
}

void hone__pair_max_u8_avx512vnni(const uint8_t *x, uint8_t *y, size_t n)
{
    const __m512i low = _mm512_set1_epi16(0xff);
    for (size_t i = 0; i < n; i += 32) {
        __m512i v = _mm512_maskz_loadu_epi8(tail64(2 * (n - i)), x + 2 * i);
        v = _mm512_max_epu8(_mm512_and_si512(v, low), _mm512_srli_epi16(v, 8));
        __mmask32 m = n - i >= 32 ? 0xffffffffu : (1u << (n - i)) - 1;
        _mm256_mask_storeu_epi8(y + i, m, _mm512_cvtepi16_epi8(v));
    }
}

/* v[i] = max(x[2 i], x[2 i + 1]) of the 32 elements a, b */
static inline __m512 pairs(__m512 a, __m512 b)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    return larger(_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b));
}

/* 16 columns from `at` on, merged over k rows; elements from `end` on are not read. */
static inline __attribute__((always_inline)) __m512 merged_f32(const float *x, size_t x_rs, size_t k, size_t at,
                                                               size_t end)
{
    __mmask16 m = end <= at ? 0 : tail16(end - at);
    __m512 v = _mm512_maskz_loadu_ps(m, x + at);
#pragma GCC unroll 3
    for (size_t r = 1; r < k; r++) v = larger(v, _mm512_maskz_loadu_ps(m, x + r * x_rs + at));
    return v;
}

void hone__square_max_f32_avx512vnni(const float *x, size_t x_rs, size_t k, size_t rows, size_t cols, float *y)
{
    for (size_t r = 0; r < rows; r++, x += k * x_rs, y += cols)
        for (size_t i = 0; i < cols; i += 16) {
            size_t at = i * k, end = cols * k;
            __m512 v;
            if (k == 2) {
                v = pairs(merged_f32(x, x_rs, 2, at, end), merged_f32(x, x_rs, 2, at + 16, end));
            } else {
                v = pairs(merged_f32(x, x_rs, 4, at, end), merged_f32(x, x_rs, 4, at + 16, end));
                v = pairs(v, pairs(merged_f32(x, x_rs, 4, at + 32, end), merged_f32(x, x_rs, 4, at + 48, end)));
            }
            _mm512_mask_storeu_ps(y + i, tail16(cols - i), v);
        }
}

void hone__square_max_u8_avx512vnni(const uint8_t *x, size_t x_rs, uint8_t flip, size_t k, size_t rows, size_t cols,
                                    uint8_t *y)
{
    const __m512i f = _mm512_set1_epi8((char)flip);
    size_t step = 64 / k;
    for (size_t r = 0; r < rows; r++, x += k * x_rs, y += cols)
        for (size_t i = 0; i < cols; i += step) {
            const uint8_t *p = x + i * k;
            size_t left = cols - i < step ? cols - i : step;
            __mmask64 in = tail64(left * k);
            __m512i v = _mm512_xor_si512(_mm512_maskz_loadu_epi8(in, p), f);
            for (size_t n = 1; n < k; n++)
                v = _mm512_max_epu8(v, _mm512_xor_si512(_mm512_maskz_loadu_epi8(in, p + n * x_rs), f));
            v = _mm512_max_epu8(v, _mm512_srli_epi16(v, 8));
            if (k == 2) {
                __m256i b = _mm512_cvtepi16_epi8(_mm512_xor_si512(v, f));
                _mm256_mask_storeu_epi8(y + i, (__mmask32)(~(uint32_t)0 >> (32 - left)), b);
            } else {
                v = _mm512_max_epu8(v, _mm512_srli_epi32(v, 16));
                _mm_mask_storeu_epi8(y + i, tail16(left), _mm512_cvtepi32_epi8(_mm512_xor_si512(v, f)));
            }
        }
}

double hone__sum_f32_avx512vnni(const float *x, size_t n)
{
    enum { BLOCK = 4096 };
    double total = 0;
    for (size_t from = 0; from < n; from += BLOCK) {
        size_t end = n - from < BLOCK ? n : from + BLOCK, i = from;
        __m512 a = _mm512_setzero_ps(), b = a;
        for (; i + 32 <= end; i += 32) {
            a = _mm512_add_ps(a, _mm512_loadu_ps(x + i));
            b = _mm512_add_ps(b, _mm512_loadu_ps(x + i + 16));
        }
        for (; i < end; i += 16) a = _mm512_add_ps(a, _mm512_maskz_loadu_ps(tail16(end - i), x + i));
        total += (double)_mm512_reduce_add_ps(_mm512_add_ps(a, b));
    }
    return total;
}
