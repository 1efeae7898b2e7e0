/* tile_i8_avx2.c: int8 tiles without VNNI: the even and the odd bytes of a group of four widened to int16, VPMADDWD on
 * each, so that nothing saturates. */
#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define NAME(f) f##_avx2

typedef struct halves {
    __m256i even, odd;
} weight_t, lanes_t;

INLINE struct halves widen(__m256i v, int is_unsigned)
{
    if (is_unsigned) return (struct halves){_mm256_and_si256(v, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(v, 8)};
    return (struct halves){_mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), _mm256_srai_epi16(v, 8)};
}

INLINE weight_t make_weight(__m256i w, int a_unsigned) { return widen(w, a_unsigned); }
INLINE lanes_t make_lanes(__m256i x, int a_unsigned) { return widen(x, !a_unsigned); }

INLINE __m256i dot(__m256i acc, weight_t w, lanes_t x, int a_unsigned)
{
    (void)a_unsigned;
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(x.even, w.even));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(x.odd, w.odd));
}

#include "kernels/tile/tile_i8_vex.h"

/* 16 bytes of a row, of which `lanes` may be read; zero beyond. */
INLINE __m128i load_row(const uint8_t *p, size_t lanes, __m128i flip)
{
    if (lanes == 16) return _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)p), flip);
    uint8_t bytes[16] = {0};
    memcpy(bytes, p, lanes);
    for (size_t i = 0; i < lanes; i++) bytes[i] ^= (uint8_t)_mm_cvtsi128_si32(flip);
    return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

void hone__tile_pack_i8_avx2(const hone__tile_pack_args *p)
{
    const __m128i flip = _mm_set1_epi8((char)p->flip);
    size_t k = p->channels * p->taps, tap = 0;
    const uint8_t *base = p->src;
    uint8_t *to = p->panel;
    for (size_t at = 0; at < k; at += 4, to += p->panel_rs) {
        __m128i row[4];
        for (size_t j = 0; j < 4; j++) {
            if (at + j >= k) {
                row[j] = _mm_setzero_si128();
                continue;
            }
            row[j] = load_row(base + p->tap[tap], p->lanes, flip);
            if (++tap == p->taps) tap = 0, base += p->src_rs;
        }
        __m128i lo01 = _mm_unpacklo_epi8(row[0], row[1]), hi01 = _mm_unpackhi_epi8(row[0], row[1]);
        __m128i lo23 = _mm_unpacklo_epi8(row[2], row[3]), hi23 = _mm_unpackhi_epi8(row[2], row[3]);
        _mm_storeu_si128((__m128i *)(void *)to, _mm_unpacklo_epi16(lo01, lo23));
        _mm_storeu_si128((__m128i *)(void *)(to + 16), _mm_unpackhi_epi16(lo01, lo23));
        if (p->width <= 8) continue;
        _mm_storeu_si128((__m128i *)(void *)(to + 32), _mm_unpacklo_epi16(hi01, hi23));
        _mm_storeu_si128((__m128i *)(void *)(to + 48), _mm_unpackhi_epi16(hi01, hi23));
    }
}

void hone__tile_sums_i8_avx2(const uint8_t *a, size_t a_rs, size_t rows, size_t k, int is_signed, int32_t *sums)
{
    const __m256i flip = _mm256_set1_epi8(is_signed ? (char)0x80 : 0), zero = _mm256_setzero_si256();
    for (size_t r = 0; r < rows; r++) {
        __m256i acc = zero;
        size_t i = 0;
        for (; i + 32 <= k; i += 32) { /* sums of absolute differences from 0, of bytes made unsigned */
            __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(a + r * a_rs + i));
            acc = _mm256_add_epi64(acc, _mm256_sad_epu8(_mm256_xor_si256(v, flip), zero));
        }
        uint64_t part[4];
        memcpy(part, &acc, sizeof part);
        uint32_t rest = 0;
        for (size_t t = i; t < k; t++) rest += is_signed ? (uint32_t)(int8_t)a[r * a_rs + t] : a[r * a_rs + t];
        uint32_t total = (uint32_t)(part[0] + part[1] + part[2] + part[3]) + rest;
        sums[r] = (int32_t)(total - (is_signed ? (uint32_t)i * 128u : 0));
    }
}
