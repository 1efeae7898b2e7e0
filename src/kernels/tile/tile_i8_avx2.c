/* tile_i8_avx2.c: int8 tiles without VNNI: the even and the odd bytes of a group of four widened to int16, VPMADDWD on
 * each, so that nothing saturates. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

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

enum { ORDERED = 2 };

/* Four weights: the even ones as int16 in one dword, the odd ones in the next. */
INLINE weight_t ordered_weight(const uint8_t *p)
{
    int32_t even, odd;
    memcpy(&even, p, 4);
    memcpy(&odd, p + 4, 4);
    return (weight_t){_mm256_set1_epi32(even), _mm256_set1_epi32(odd)};
}

#include "kernels/tile/tile_i8_vex.h"

/* Four rows of 16 bytes to 16 groups of four, in four vectors. */
INLINE void interleave(const __m128i *row, __m128i *to)
{
    __m128i lo01 = _mm_unpacklo_epi8(row[0], row[1]), hi01 = _mm_unpackhi_epi8(row[0], row[1]);
    __m128i lo23 = _mm_unpacklo_epi8(row[2], row[3]), hi23 = _mm_unpackhi_epi8(row[2], row[3]);
    to[0] = _mm_unpacklo_epi16(lo01, lo23), to[1] = _mm_unpackhi_epi16(lo01, lo23);
    to[2] = _mm_unpacklo_epi16(hi01, hi23), to[3] = _mm_unpackhi_epi16(hi01, hi23);
}

void hone__tile_pack_i8_avx2(const hone__tile_pack_args *p)
{
    const __m128i each = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m128i flip =
        _mm_and_si128(_mm_set1_epi8((char)p->flip), _mm_cmpgt_epi8(_mm_set1_epi8((char)p->lanes), each));
    size_t k = p->channels * p->taps, tap = 0;
    const uint8_t *base = p->src;
    uint8_t *to = p->panel;
    for (size_t at = 0; at < k; at += 4, to += p->panel_rs) {
        __m128i row[4], out[4];
        for (size_t j = 0; j < 4; j++) {
            if (at + j >= k) {
                row[j] = _mm_setzero_si128();
                continue;
            }
            row[j] = _mm_xor_si128(load_first(base + p->tap[tap], p->lanes), flip);
            if (++tap == p->taps) tap = 0, base += p->src_rs;
        }
        interleave(row, out);
        for (size_t i = 0; i < p->width / 4; i++) _mm_storeu_si128((__m128i *)(void *)(to + 16 * i), out[i]);
    }
}

/* Groups of four, widened as ordered_weight reads them. */
INLINE void store_wide(uint8_t *to, __m128i groups, int is_signed, size_t n)
{
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    groups = _mm_shuffle_epi8(groups, order);
    __m256i v = is_signed ? _mm256_cvtepi8_epi16(groups) : _mm256_cvtepu8_epi16(groups);
    uint8_t bytes[32];
    if (n >= 4) {
        _mm256_storeu_si256((__m256i *)(void *)to, v);
        return;
    }
    _mm256_storeu_si256((__m256i *)(void *)bytes, v);
    memcpy(to, bytes, n * 8);
}

INLINE void store_narrow(uint8_t *to, __m128i groups, size_t n)
{
    uint8_t bytes[16];
    if (n >= 4) {
        _mm_storeu_si128((__m128i *)(void *)to, groups);
        return;
    }
    _mm_storeu_si128((__m128i *)(void *)bytes, groups);
    memcpy(to, bytes, n * 4);
}

INLINE void order_weights(const uint8_t *w, size_t channels, size_t taps, int is_signed, uint8_t *to, int wide)
{
    if (taps == 1) { /* groups lie as they are stored */
        for (size_t c = 0; c < channels; c += 16) {
            __m128i groups = load_first(w + c, channels - c);
            if (wide)
                store_wide(to + 2 * c, groups, is_signed, (channels - c + 3) / 4);
            else
                store_narrow(to + c, groups, (channels - c + 3) / 4);
        }
        return;
    }
    for (size_t c = 0; c < channels; c += 4)
        for (size_t t = 0; t < taps; t += 16) {
            size_t n = taps - t < 16 ? taps - t : 16;
            __m128i row[4], out[4];
            for (size_t j = 0; j < 4; j++)
                row[j] = c + j < channels ? load_first(w + (c + j) * taps + t, n) : _mm_setzero_si128();
            interleave(row, out);
            uint8_t *group = to + (c / 4 * taps + t) * (wide ? 8 : 4);
            for (size_t i = 0; i * 4 < n; i++) {
                if (wide)
                    store_wide(group + i * 32, out[i], is_signed, n - i * 4);
                else
                    store_narrow(group + i * 16, out[i], n - i * 4);
            }
        }
}

void hone__tile_order_weights_avx2(const uint8_t *w, size_t channels, size_t taps, int is_signed, uint8_t *to)
{
    order_weights(w, channels, taps, is_signed, to, 1);
}

void hone__tile_order_weights_avxvnni(const uint8_t *w, size_t channels, size_t taps, int is_signed, uint8_t *to)
{
    order_weights(w, channels, taps, is_signed, to, 0);
}

void hone__tile_second_u8_avx2(const uint8_t *from, size_t from_rs, size_t rows, size_t n, uint8_t *to, size_t to_rs)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i += 16) {
            __m128i v = load_second(from + r * from_rs + 2 * i, n - i);
            uint8_t *out = to + r * to_rs + i;
            if (n - i >= 16) {
                _mm_storeu_si128((__m128i *)(void *)out, v);
                continue;
            }
            store_first_bytes(out, (uint64_t)_mm_cvtsi128_si64(v), n - i < 8 ? n - i : 8);
            if (n - i > 8) store_first_bytes(out + 8, (uint64_t)_mm_extract_epi64(v, 1), n - i - 8);
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
