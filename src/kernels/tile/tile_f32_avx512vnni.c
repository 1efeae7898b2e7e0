/* tile_f32_avx512vnni.c: fp32 tiles in AVX-512, and rows copied with their padding. */
#define MULTIPLY_ADD(sum, w, b) _mm512_fmadd_ps(w, b, sum)
#include "kernels/tile/tile_f32_avx512.h"

void hone__tile_f32_avx512vnni(const hone__tile_f32_args *t) { run_tile(t); }

/* Bits [first, last) of 32, counted from a position that may lie before or behind them. */
INLINE uint32_t bits_between(ptrdiff_t first, ptrdiff_t last)
{
    if (first < 0) first = 0;
    if (last > 32) last = 32;
    if (first >= last) return 0;
    return (~(uint32_t)0 >> (32 - (last - first))) << first;
}

/* 16 elements from p of which those in `in` exist; step 2: every second of the 32 */
INLINE __m512 load_step(const float *p, uint32_t in, size_t step)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    __m512 a = _mm512_maskz_loadu_ps((__mmask16)in, p);
    if (step == 1) return a;
    return _mm512_permutex2var_ps(a, even, _mm512_maskz_loadu_ps((__mmask16)(in >> 16), p + 16));
}

INLINE void copy_rows(const float *from, size_t from_rs, size_t step, size_t rows, size_t n, size_t left, size_t width,
                      float *to)
{
    enum { CHUNKS = 16 };
    uint32_t in[CHUNKS];
    size_t chunks = (width + 15) / 16;
    ptrdiff_t shift = (ptrdiff_t)left, count = (ptrdiff_t)n, s = (ptrdiff_t)step;
    for (size_t first = 0; first < chunks; first += CHUNKS) { /* wide rows in passes, without spill */
        size_t end = chunks - first < CHUNKS ? chunks : first + CHUNKS;
        for (size_t c = first; c < end; c++) {
            ptrdiff_t at = s * ((ptrdiff_t)(c * 16) - shift);
            in[c - first] = bits_between(-at, s * (count - 1) + 1 - at);
        }
        for (size_t r = 0; r < rows; r++)
            for (size_t c = first; c < end; c++) {
                ptrdiff_t at = s * ((ptrdiff_t)(c * 16) - shift);
                __m512 v = load_step(from + r * from_rs + at, in[c - first], step);
                float *out = to + r * width + c * 16;
                if (chunks <= CHUNKS || c * 16 + 16 <= width)
                    _mm512_storeu_ps(out, v);
                else
                    _mm512_mask_storeu_ps(out, (__mmask16)((1u << (width - c * 16)) - 1), v);
            }
    }
}

/* Padding needs no stores of its own: elements that do not exist load as zeros. Rows ascend, so that what a vector
 * writes behind its row is overwritten by the next. The short loops here take a third longer where they straddle cache
 * lines. */
__attribute__((aligned(64))) void hone__tile_copy_rows_f32_avx512vnni(const float *from, size_t from_rs, size_t step,
                                                                      size_t rows, size_t n, size_t left, size_t width,
                                                                      float *to)
{
    if (step == 1)
        copy_rows(from, from_rs, 1, rows, n, left, width, to);
    else
        copy_rows(from, from_rs, 2, rows, n, left, width, to);
}
