/* tile_store_avx2.h: parts of vectors from and to memory, kept lanes side by side, and from int32 sums to what
 * hone__tile_i8_args asks for. Only for *_avx2.c and *_avxvnni.c files. */
#ifndef HONE_KERNELS_TILE_STORE_AVX2_H
#define HONE_KERNELS_TILE_STORE_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "kernels/tile/tile.h"

#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif

INLINE __m256i first_bits(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : (int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Where a tile's kept lanes go in each row: those of vector v, closed up by the index `closed`, from element at[v] on.
 * whole: all eight may be written, because what lies behind the kept ones is the next vector's. */
typedef struct kept {
    __m256i closed[2];
    size_t at[2], count[2];
    int whole[2];
} kept;

/* For VPERMD: the lanes of m closed up, run by run. */
INLINE __m256i closing(unsigned m)
{
    const __m256i each = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    if (m == 0xff || m == 0) return each;
    int gap = __builtin_ctz(m), before = 0;
    __m256i at = _mm256_add_epi32(each, _mm256_set1_epi32(gap));
    for (m >>= gap; m; m >>= gap) {
        int run = __builtin_ctz(~m);
        m >>= run;
        before += run;
        if (!m) break;
        gap = __builtin_ctz(m);
        __m256i behind = _mm256_cmpgt_epi32(each, _mm256_set1_epi32(before - 1));
        at = _mm256_add_epi32(at, _mm256_and_si256(behind, _mm256_set1_epi32(gap)));
    }
    return at;
}

INLINE void set_kept(uint64_t keep, int vectors, kept *k) /* by pointer: structures come back in slow string copies */
{
    size_t total = (size_t)__builtin_popcountll(keep), at = 0;
    for (int v = 0; v < vectors; v++) {
        unsigned m = (unsigned)(keep >> (8 * v) & 0xff);
        k->closed[v] = closing(m);
        k->at[v] = at;
        k->count[v] = (size_t)__builtin_popcount(m);
        k->whole[v] = at + 8 <= total;
        at += k->count[v];
    }
}

/* The first n <= 8: a masked store takes a dozen cycles on some processors. */
INLINE void store_first_f32(float *p, __m256 v, size_t n)
{
    __m128 part = _mm256_castps256_ps128(v);
    if (n == 8) {
        _mm256_storeu_ps(p, v);
        return;
    }
    if (n & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps(v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, part);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (n & 1) _mm_store_ss(p, part);
}

INLINE void store_first_bytes(uint8_t *p, uint64_t bytes, size_t n)
{
    if (n == 8) {
        memcpy(p, &bytes, 8);
        return;
    }
    if (n & 4) memcpy(p, &bytes, 4), bytes >>= 32, p += 4;
    if (n & 2) memcpy(p, &bytes, 2), bytes >>= 16, p += 2;
    if (n & 1) *p = (uint8_t)bytes;
}

/* The first n of 16 bytes, zeros behind them; reads nothing else. */
INLINE __m128i load_first(const uint8_t *p, size_t n)
{
    uint64_t lo = 0, hi = 0;
    if (n >= 16) return _mm_loadu_si128((const __m128i *)(const void *)p);
    if (n >= 8) {
        memcpy(&lo, p, 8);
        if (n > 8) {
            memcpy(&hi, p + n - 8, 8);
            hi >>= 8 * (16 - n);
        }
        return _mm_set_epi64x((long long)hi, (long long)lo);
    }
    if (n >= 4) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + n - 4, 4);
        return _mm_cvtsi64_si128((long long)(a | (uint64_t)b << (8 * (n - 4))));
    }
    for (size_t i = 0; i < n; i++) lo |= (uint64_t)p[i] << (8 * i);
    return _mm_cvtsi64_si128((long long)lo);
}

/* The first n of 16 bytes that lie two apart, of which 2 n - 1 are read; what lies behind them is undefined. */
INLINE __m128i load_second(const uint8_t *p, size_t n)
{
    const __m128i low = _mm_set1_epi16(0xff);
    size_t left = n > 16 ? 32 : 2 * n - 1;
    __m128i a = load_first(p, left), b = left > 16 ? load_first(p + 16, left - 16) : low;
    return _mm_packus_epi16(_mm_and_si128(a, low), _mm_and_si128(b, low));
}

enum output { OUT_I32, OUT_F32, OUT_Q };

/* What the stores of a tile need, with what is absent made harmless: clip to infinities. Rounding is monotonic, so that
 * with q_inv > 0 clipping to [lo, hi] and scaling is scaling and clipping to [lo q_inv, hi q_inv]. */
typedef struct sink {
    float lo, hi, q_lo, q_hi;
    int clip_first; /* OUT_Q: lo and hi are not yet part of q_lo and q_hi */
} sink;

INLINE void set_sink(const hone__tile_i8_args *t, sink *k)
{
    float inf = __builtin_inff();
    k->lo = t->clip ? t->lo : -inf, k->hi = t->clip ? t->hi : inf;
    k->q_lo = t->q_lo, k->q_hi = t->q_hi;
    k->clip_first = t->clip && t->out_q && !(t->q_inv > 0 && k->lo < k->hi);
    if (!t->clip || !t->out_q || k->clip_first) return;
    float lo = k->lo * t->q_inv, hi = k->hi * t->q_inv;
    k->q_lo = lo > t->q_hi ? t->q_hi : lo > t->q_lo ? lo : t->q_lo;
    k->q_hi = hi < t->q_lo ? t->q_lo : hi < t->q_hi ? hi : t->q_hi;
}

/* NaN passes MAX and MIN as their second operand, converts to 0x80000000 and leaves the zero point in the low byte. */
INLINE uint64_t quantized(const hone__tile_i8_args *t, const sink *k, __m256 x)
{
    const __m256i order = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1,
                                           -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    x = _mm256_mul_ps(x, _mm256_set1_ps(t->q_inv));
    x = _mm256_min_ps(_mm256_set1_ps(k->q_hi), _mm256_max_ps(_mm256_set1_ps(k->q_lo), x));
    __m256i v = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(t->q_zp));
    v = _mm256_shuffle_epi8(v, order);
    return (uint64_t)_mm_cvtsi128_si64(_mm_unpacklo_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
}

/* Scaled sums whose kept lanes come first go to element `at`; n are kept, and `write` (>= n) may be written. residual:
 * is one there? */
INLINE void store_scaled(const hone__tile_i8_args *t, const sink *k, enum output kind, int residual, __m256 x,
                         size_t at, size_t n, size_t write)
{
    if (residual) x = _mm256_add_ps(x, _mm256_maskload_ps(t->residual + at, first_bits(n)));
    if (kind == OUT_F32 || k->clip_first) /* the second operand is the result when either is NaN */
        x = _mm256_min_ps(_mm256_set1_ps(k->hi), _mm256_max_ps(_mm256_set1_ps(k->lo), x));
    if (kind == OUT_F32)
        store_first_f32(t->out_f32 + at, x, residual ? n : write);
    else
        store_first_bytes(t->out_q + at, quantized(t, k, x), write);
}

#endif
