/* tile_bf16_avx512bf16.c: tiles of bfloat16 pairs with VDPBF16PS: two products a lane, summed in fp32. */
#include <immintrin.h>

#define MULTIPLY_ADD(sum, w, b) \
    _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(w), (__m512bh)_mm512_castps_si512(b))
#include "kernels/tile/tile_f32_avx512.h"

void hone__tile_bf16_avx512bf16(const hone__tile_f32_args *t) { run_tile(t); }

/* Rounds to nearest even; NaN stays NaN. Denormals become zero, as they do in VDPBF16PS. */
void hone__tile_narrow_bf16_avx512bf16(const float *x, size_t n, uint16_t *to)
{
    for (size_t i = 0; i < n; i += 16) {
        size_t left = n - i < 16 ? n - i : 16;
        __mmask16 in = (__mmask16)(0xffffu >> (16 - left));
        _mm256_mask_storeu_epi16(to + i, in, (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(in, x + i)));
    }
}

void hone__tile_pair_rows_avx512bf16(const uint16_t *even, const uint16_t *odd, size_t n, uint32_t *to)
{
    for (size_t i = 0; i < n; i += 16) {
        size_t left = n - i < 16 ? n - i : 16;
        __mmask16 in = (__mmask16)(0xffffu >> (16 - left));
        __m512i v = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(in, even + i));
        if (odd)
            v = _mm512_or_si512(v, _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(in, odd + i)), 16));
        _mm512_mask_storeu_epi32(to + i, in, v);
    }
}
