/* tile_i8_avxvnni.c: int8 tiles with the 256-bit VPDPBUSD. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define NAME(f) f##_avxvnni

typedef __m256i weight_t, lanes_t;

INLINE weight_t make_weight(__m256i w, int a_unsigned)
{
    (void)a_unsigned;
    return w;
}

INLINE lanes_t make_lanes(__m256i x, int a_unsigned)
{
    (void)a_unsigned;
    return x;
}

INLINE __m256i dot(__m256i acc, weight_t w, lanes_t x, int a_unsigned)
{
    return a_unsigned ? _mm256_dpbusd_avx_epi32(acc, w, x) : _mm256_dpbusd_avx_epi32(acc, x, w);
}

enum { ORDERED = 1 };

INLINE weight_t ordered_weight(const uint8_t *p)
{
    int32_t w;
    memcpy(&w, p, 4);
    return _mm256_set1_epi32(w);
}

#include "kernels/tile/tile_i8_vex.h"
