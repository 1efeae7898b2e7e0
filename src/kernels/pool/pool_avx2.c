/* pool_avx2.c: line operations in AVX2. */
#include <immintrin.h>

#include "kernels/pool/pool_parts.h"

/* NaN of either side. MAXPS gives its second operand when either is NaN: a NaN in b comes through, one in a is put
 * back. */
static inline __m256 larger(__m256 a, __m256 b)
{
    return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

static inline __m256i first_lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

void hone__max_into_f32_avx2(const float *x, float *y, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, larger(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
    if (i == n) return;
    __m256i m = first_lanes(n - i);
    _mm256_maskstore_ps(y + i, m, larger(_mm256_maskload_ps(y + i, m), _mm256_maskload_ps(x + i, m)));
}

void hone__pair_max_f32_avx2(const float *x, float *y, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 a = _mm256_loadu_ps(x + 2 * i), b = _mm256_loadu_ps(x + 2 * i + 8);
        __m256 m = larger(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd));
        _mm256_storeu_ps(y + i, _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(m), 0xd8)));
    }
    hone__pair_max_f32_scalar(x + 2 * i, y + i, n - i);
}

void hone__add_into_f32_avx2(const float *x, float *y, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
    if (i == n) return;
    __m256i m = first_lanes(n - i);
    _mm256_maskstore_ps(y + i, m, _mm256_add_ps(_mm256_maskload_ps(y + i, m), _mm256_maskload_ps(x + i, m)));
}

void hone__max_into_u8_avx2(const uint8_t *x, uint8_t flip, uint8_t *y, size_t n)
{
    const __m256i f = _mm256_set1_epi8((char)flip);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i v = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(x + i)), f);
        _mm256_storeu_si256((__m256i *)(y + i), _mm256_max_epu8(v, _mm256_loadu_si256((const __m256i *)(y + i))));
    }
    hone__max_into_u8_scalar(x + i, flip, y + i, n - i);
}

void hone__pair_max_u8_avx2(const uint8_t *x, uint8_t *y, size_t n)
{
    const __m256i low = _mm256_set1_epi16(0xff);
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(x + 2 * i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(x + 2 * i + 32));
        a = _mm256_max_epu8(_mm256_and_si256(a, low), _mm256_srli_epi16(a, 8));
        b = _mm256_max_epu8(_mm256_and_si256(b, low), _mm256_srli_epi16(b, 8));
        _mm256_storeu_si256((__m256i *)(y + i), _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xd8));
    }
    hone__pair_max_u8_scalar(x + 2 * i, y + i, n - i);
}
