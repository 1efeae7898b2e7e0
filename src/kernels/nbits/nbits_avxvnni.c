/* nbits_avxvnni.c: the tile with the 256-bit VPDPBUSD. */
#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define NAME(f) f##_avxvnni

INLINE __m256i dot(__m256i acc, __m256i w, __m256i q, int bits)
{
    (void)bits;
    return _mm256_dpbusd_avx_epi32(acc, w, q);
}

#include "kernels/nbits/nbits_vex.h"
