/* quantize_avx512vnni.c: quantisation loops in AVX-512. */
#include "kernels/vec/simd_avx512.h"

#include "kernels/quantize/quantize_parts.h"

void hone__minmax_avx512vnni(const float *x, size_t n, float *lo, float *hi)
{
    vf least = set1(*lo), most = set1(*hi);
    for (size_t i = 0; i < n; i += W) { /* MIN and MAX give their second operand when the first is NaN */
        vf v = keep_first(load_n(x + i, n - i), n - i, set1(__builtin_nanf("")));
        least = min2(v, least);
        most = max2(v, most);
    }
    *lo = min_lanes(least);
    *hi = max_lanes(most);
}

void hone__to_bytes_avx512vnni(const float *x, size_t n, float scale, int32_t zp, int32_t lo, int32_t hi, uint8_t *out)
{
    vf s = set1(scale), least = set1((float)(lo - zp)), most = set1((float)(hi - zp));
    __m512i z = _mm512_set1_epi32(zp);
    for (size_t i = 0; i < n; i += W) {
        vf v = quot(load_n(x + i, n - i), s);
        v = min2(max2(choose(is_nan(v), set1(0), v), least), most);
        __m128i b = _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(v), z));
        _mm_mask_storeu_epi8(out + i, first_lanes(n - i), b);
    }
}

void hone__from_bytes_avx512vnni(const uint8_t *x, int is_signed, size_t n, float scale, int32_t zp, float *y)
{
    __m512i z = _mm512_set1_epi32(zp);
    for (size_t i = 0; i < n; i += W) {
        __m128i b = _mm_maskz_loadu_epi8(first_lanes(n - i), x + i);
        __m512i v = is_signed ? _mm512_cvtepi8_epi32(b) : _mm512_cvtepu8_epi32(b);
        store_n(y + i, mul(_mm512_cvtepi32_ps(_mm512_sub_epi32(v, z)), set1(scale)), n - i);
    }
}

float hone__magnitude_avx512vnni(const float *x, size_t n, int *finite)
{
    vf top = set1(0), limit = set1(3.4028235e38f);
    vm bad = 0;
    for (size_t i = 0; i < n; i += W) {
        vf v = bit_and(load_n(x + i, n - i), bits(0x7fffffffu));
        bad = (vm)(bad | _mm512_cmp_ps_mask(v, limit, _CMP_NLE_UQ));
        top = max2(v, top);
    }
    if (bad) *finite = 0;
    return max_lanes(top);
}

int32_t hone__scaled_avx512vnni(const float *x, size_t n, float inv, int8_t *q)
{
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += W) {
        __m512i v = _mm512_cvtps_epi32(mul(load_n(x + i, n - i), set1(inv)));
        v = _mm512_max_epi32(_mm512_min_epi32(v, _mm512_set1_epi32(127)), _mm512_set1_epi32(-127));
        sum = _mm512_add_epi32(sum, v);
        _mm_mask_storeu_epi8(q + i, first_lanes(n - i), _mm512_cvtepi32_epi8(v));
    }
    return _mm512_reduce_add_epi32(sum);
}

INLINE vf from_bytes(const uint8_t *x, vm in, int is_signed, __m512i zp, vf scale)
{
    __m128i b = _mm_maskz_loadu_epi8(in, x);
    __m512i v = is_signed ? _mm512_cvtepi8_epi32(b) : _mm512_cvtepu8_epi32(b);
    return mul(_mm512_cvtepi32_ps(_mm512_sub_epi32(v, zp)), scale);
}

void hone__add_bytes_avx512vnni(const hone__add_bytes_args *a, size_t from, size_t n)
{
    float low = (float)((a->is_signed[2] ? -128 : 0) - a->zp[2]);
    const vf lo = set1(a->lo), hi = set1(a->hi), least = set1(low), most = set1(low + 255);
    const vf scale[3] = {set1(a->scale[0]), set1(a->scale[1]), set1(a->scale[2])};
    const __m512i zp[3] = {_mm512_set1_epi32(a->zp[0]), _mm512_set1_epi32(a->zp[1]), _mm512_set1_epi32(a->zp[2])};
    for (size_t at = from; at < from + n; at += W) {
        vm in = first_lanes(from + n - at);
        vf v = add(from_bytes(a->x[0] + at, in, a->is_signed[0], zp[0], scale[0]),
                   from_bytes(a->x[1] + at, in, a->is_signed[1], zp[1], scale[1]));
        /* the second operand is the result when either is NaN; a NaN converts to 0x80000000, whose low byte is 0 */
        v = quot(min2(hi, max2(lo, v)), scale[2]);
        v = min2(most, max2(least, v));
        __m128i b = _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(v), zp[2]));
        if (in == 0xffff)
            _mm_storeu_si128((__m128i *)(void *)(a->y + at), b);
        else
            _mm_mask_storeu_epi8(a->y + at, in, b);
    }
}
