/* tile_store_avx512.h: from 16 int32 sums to what hone__tile_i8_args asks for. Only for *_avx512vnni.c files. */
#ifndef HONE_KERNELS_TILE_STORE_AVX512_H
#define HONE_KERNELS_TILE_STORE_AVX512_H

#include <immintrin.h>

#include "kernels/tile/tile.h"

#define INLINE static inline __attribute__((always_inline))

/* For VPERMD: the lanes of `in` closed up. One index serves all rows of a tile: VPCOMPRESSD takes many times as long as
 * VPERMD, so even the index does without it where the kept lanes are at most two runs. */
INLINE __m512i closing(__mmask16 in)
{
    const __m512i each = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    unsigned m = in;
    if (m == 0xffff || m == 0) return each;
    unsigned skip = (unsigned)__builtin_ctz(m), run = (unsigned)__builtin_ctz(~(m >> skip)), rest = m >> skip >> run;
    __m512i at = _mm512_add_epi32(each, _mm512_set1_epi32((int)skip));
    if (!rest) return at;
    unsigned gap = (unsigned)__builtin_ctz(rest), second = (unsigned)__builtin_ctz(~(rest >> gap));
    if (rest >> gap >> second) return _mm512_maskz_compress_epi32(in, each);
    __mmask16 behind = (__mmask16)(0xffffu << run);
    return _mm512_mask_add_epi32(at, behind, at, _mm512_set1_epi32((int)gap));
}

enum output { OUT_I32, OUT_F32, OUT_Q };

/* What a tile's stores need, with what is absent made harmless: + -0, * 1, clip to infinities. */
typedef struct sink {
    __m512 lo, hi, q_inv, q_lo, q_hi;
    __m512i q_zp;
    int clip_first; /* OUT_Q: lo and hi are not yet part of q_lo and q_hi */
} sink;

/* Rounding is monotonic, so that with q_inv > 0 clipping to [lo, hi] and scaling is scaling and clipping to
 * [lo q_inv, hi q_inv]. */
INLINE sink sink_of(const hone__tile_i8_args *t)
{
    float inf = __builtin_inff(), lo = t->clip ? t->lo : -inf, hi = t->clip ? t->hi : inf, q_lo = t->q_lo,
          q_hi = t->q_hi;
    int joined = t->q_inv > 0 && lo < hi;
    if (joined) {
        q_lo = lo * t->q_inv > q_lo ? lo * t->q_inv : q_lo;
        q_hi = hi * t->q_inv < q_hi ? hi * t->q_inv : q_hi;
        if (q_lo > t->q_hi) q_lo = t->q_hi;
        if (q_hi < t->q_lo) q_hi = t->q_lo;
    }
    return (sink){_mm512_set1_ps(lo),
                  _mm512_set1_ps(hi),
                  _mm512_set1_ps(t->q_inv),
                  _mm512_set1_ps(q_lo),
                  _mm512_set1_ps(q_hi),
                  _mm512_set1_epi32(t->q_zp),
                  !joined};
}

/* NaN passes MAX and MIN as their second operand, converts to 0x80000000 and leaves the zero point in the low byte. */
INLINE __m128i quantized(const sink *k, __m512 v)
{
    v = _mm512_min_ps(k->q_hi, _mm512_max_ps(k->q_lo, _mm512_mul_ps(v, k->q_inv)));
    return _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(v), k->q_zp));
}

/* One vector. lane_terms: lane_scale, lane_bias, row_mul and residual may be there. */
INLINE void store(const hone__tile_i8_args *t, const sink *k, enum output kind, int lane_terms, __m512i acc, size_t r,
                  size_t lane, size_t at, __mmask16 in, __mmask16 out, __m512 scale, __m512 bias)
{
    if (lane_terms && t->row_mul) {
        __m512i sums = _mm512_loadu_si512(t->lane_sum + lane);
        acc = _mm512_add_epi32(acc, _mm512_mullo_epi32(_mm512_set1_epi32(t->row_mul[r]), sums));
    }
    if (lane_terms && t->row_sum) {
        __m512i mul = _mm512_loadu_si512(t->lane_mul + lane);
        acc = _mm512_add_epi32(acc, _mm512_mullo_epi32(_mm512_set1_epi32(t->row_sum[r]), mul));
    }
    if (in != 0xffff) acc = _mm512_maskz_compress_epi32(in, acc);
    if (kind == OUT_I32) {
        _mm512_mask_storeu_epi32(t->out_i32 + at, out, acc);
        return;
    }
    __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale);
    if (lane_terms && t->lane_scale) v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(in, t->lane_scale + lane));
    v = _mm512_add_ps(v, bias);
    if (lane_terms && t->lane_bias) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(in, t->lane_bias + lane));
    if (lane_terms && t->residual) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(out, t->residual + at));
    if (kind != OUT_Q || k->clip_first)
        v = _mm512_min_ps(k->hi, _mm512_max_ps(k->lo, v)); /* the second operand is the result when either is NaN */
    if (kind == OUT_F32 && out == 0xffff)
        _mm512_storeu_ps(t->out_f32 + at, v);
    else if (kind == OUT_F32)
        _mm512_mask_storeu_ps(t->out_f32 + at, out, v);
    else if (out == 0xffff)
        _mm_storeu_si128((__m128i *)(void *)(t->out_q + at), quantized(k, v));
    else
        _mm_mask_storeu_epi8(t->out_q + at, out, quantized(k, v));
}

#endif
