/* nbits_avx2.c: the tile without VNNI. 4-bit values cannot saturate VPMADDUBSW (15 * 127 * 2); 8-bit ones are
 * widened to int16 first. */
#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define NAME(f) f##_avx2

INLINE __m256i dot(__m256i acc, __m256i w, __m256i q, int bits)
{
    if (bits == 4) return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(w, q), _mm256_set1_epi16(1)));
    __m256i we = _mm256_and_si256(w, _mm256_set1_epi16(0xff)), wo = _mm256_srli_epi16(w, 8);
    __m256i qe = _mm256_srai_epi16(_mm256_slli_epi16(q, 8), 8), qo = _mm256_srai_epi16(q, 8);
    return _mm256_add_epi32(acc, _mm256_add_epi32(_mm256_madd_epi16(we, qe), _mm256_madd_epi16(wo, qo)));
}

#include "kernels/nbits/nbits_vex.h"

void hone__nbits_arrange_avx2(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums)
{
    const __m256i ones = _mm256_set1_epi8(1);
    for (size_t c = 0; c < chunks; c++, sums += LANES) {
        __m256i a = load256(q), s;
        q += 32;
        if (bits == 8) {
            _mm256_storeu_si256((__m256i *)(void *)to, a);
            to += 32;
            s = dot(_mm256_setzero_si256(), ones, a, 4);
        } else {
            __m256i b = load256(q);
            q += 32;
            __m256i even = _mm256_packs_epi16(_mm256_srai_epi16(_mm256_slli_epi16(a, 8), 8),
                                              _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8));
            __m256i odd = _mm256_packs_epi16(_mm256_srai_epi16(a, 8), _mm256_srai_epi16(b, 8));
            even = _mm256_permute4x64_epi64(even, 0xd8);
            odd = _mm256_permute4x64_epi64(odd, 0xd8);
            _mm256_storeu_si256((__m256i *)(void *)to, even);
            _mm256_storeu_si256((__m256i *)(void *)(to + 32), odd);
            to += 64;
            s = dot(dot(_mm256_setzero_si256(), ones, even, 4), ones, odd, 4);
        }
        _mm256_storeu_si256((__m256i *)(void *)sums, s);
    }
}
