/* quantize_avx2.c: quantisation loops in AVX2. */
#include "kernels/vec/simd_avx2.h"

#include "kernels/quantize/quantize_parts.h"

void hone__minmax_avx2(const float *x, size_t n, float *lo, float *hi)
{
    vf least = set1(*lo), most = set1(*hi);
    size_t i = 0;
    for (; i + W <= n; i += W) { /* MIN and MAX give their second operand when the first is NaN */
        vf v = _mm256_loadu_ps(x + i);
        least = min2(v, least);
        most = max2(v, most);
    }
    *lo = min_lanes(least);
    *hi = max_lanes(most);
    hone__minmax_scalar(x + i, n - i, lo, hi);
}

/* The low bytes of eight dwords. */
INLINE __m128i low_bytes(vi v)
{
    const vi order = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1, -1,
                                      -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    v = _mm256_shuffle_epi8(v, order);
    return _mm_unpacklo_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

void hone__to_bytes_avx2(const float *x, size_t n, float scale, int32_t zp, int32_t lo, int32_t hi, uint8_t *out)
{
    vf s = set1(scale), least = set1((float)(lo - zp)), most = set1((float)(hi - zp));
    vi z = _mm256_set1_epi32(zp);
    size_t i = 0;
    for (; i + W <= n; i += W) {
        vf v = quot(_mm256_loadu_ps(x + i), s);
        v = min2(max2(choose(is_nan(v), set1(0), v), least), most);
        _mm_storel_epi64((__m128i *)(void *)(out + i), low_bytes(_mm256_add_epi32(_mm256_cvtps_epi32(v), z)));
    }
    hone__to_bytes_scalar(x + i, n - i, scale, zp, lo, hi, out + i);
}

void hone__from_bytes_avx2(const uint8_t *x, int is_signed, size_t n, float scale, int32_t zp, float *y)
{
    vi z = _mm256_set1_epi32(zp);
    size_t i = 0;
    for (; i + W <= n; i += W) {
        __m128i b = _mm_loadl_epi64((const __m128i *)(const void *)(x + i));
        vi v = is_signed ? _mm256_cvtepi8_epi32(b) : _mm256_cvtepu8_epi32(b);
        _mm256_storeu_ps(y + i, mul(_mm256_cvtepi32_ps(_mm256_sub_epi32(v, z)), set1(scale)));
    }
    hone__from_bytes_scalar(x + i, is_signed, n - i, scale, zp, y + i);
}

float hone__magnitude_avx2(const float *x, size_t n, int *finite)
{
    vf top = set1(0), limit = set1(3.4028235e38f);
    vm bad = NO_LANES;
    for (size_t i = 0; i < n; i += W) {
        vf v = bit_and(load_n(x + i, n - i), bits(0x7fffffffu));
        bad = either(bad, _mm256_cmp_ps(v, limit, _CMP_NLE_UQ));
        top = max2(v, top);
    }
    if (any(bad)) *finite = 0;
    return max_lanes(top);
}

int32_t hone__scaled_avx2(const float *x, size_t n, float inv, int8_t *q)
{
    vi sum = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + W <= n; i += W) {
        vi v = _mm256_cvtps_epi32(mul(_mm256_loadu_ps(x + i), set1(inv)));
        v = _mm256_max_epi32(_mm256_min_epi32(v, _mm256_set1_epi32(127)), _mm256_set1_epi32(-127));
        sum = _mm256_add_epi32(sum, v);
        _mm_storel_epi64((__m128i *)(void *)(q + i), low_bytes(v));
    }
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(s) + hone__scaled_scalar(x + i, n - i, inv, q + i);
}

void hone__add_bytes_avx2(const hone__add_bytes_args *a, size_t from, size_t n)
{
    enum { BLOCK = 512 };
    float v[2][BLOCK];
    int32_t low = a->is_signed[2] ? -128 : 0;
    vf lo = set1(a->lo), hi = set1(a->hi);
    for (size_t at = from; at < from + n; at += BLOCK) {
        size_t count = from + n - at < BLOCK ? from + n - at : BLOCK;
        for (int k = 0; k < 2; k++)
            hone__from_bytes_avx2(a->x[k] + at, a->is_signed[k], count, a->scale[k], a->zp[k], v[k]);
        for (size_t i = 0; i < count; i += W) /* MIN and MAX give their second operand when either is NaN */
            store_n(v[0] + i, min2(hi, max2(lo, add(load_n(v[0] + i, count - i), load_n(v[1] + i, count - i)))),
                    count - i);
        hone__to_bytes_avx2(v[0], count, a->scale[2], a->zp[2], low, low + 255, a->y + at);
    }
}
