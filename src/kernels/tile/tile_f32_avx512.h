/* tile_f32_avx512.h: tiles of up to 6 rows x 64 lanes, or 12 x 16, in AVX-512 registers. Weights are broadcast from
 * where they are stored, lanes are vectors. The including file defines MULTIPLY_ADD(sum, weight, lanes) on vectors of
 * 32-bit words: fp32 numbers, or pairs of bfloat16 numbers along k. */
#include "kernels/tile/tile_store_avx512.h"
#include "kernels/tile/tile_tiers.h"

enum { MAX_ROWS = 12 };

/* Row `row` of b, whose last vector is LAST, times the k-th weights of R rows. */
#define STEP(R, V, LAST)                                                                                      \
    {                                                                                                         \
        __m512 b[V];                                                                                          \
        _Pragma("GCC unroll 4") for (int v = 0; v < V - 1; v++) b[v] = _mm512_loadu_ps(row + 16 * v);         \
        b[V - 1] = LAST;                                                                                      \
        _Pragma("GCC unroll 12") for (int r = 0; r < R; r++)                                                  \
        {                                                                                                     \
            __m512 w = _mm512_set1_ps(a[r][k]);                                                               \
            _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) acc[r][v] = MULTIPLY_ADD(acc[r][v], w, b[v]); \
        }                                                                                                     \
        k++;                                                                                                  \
    }
#define LOOPS(R, V, LAST)                                                                \
    if (taps == 1)                                                                       \
        for (const float *row = base + *tap; k < channels; row += b_rs) STEP(R, V, LAST) \
    else                                                                                 \
        for (; channels; channels--, base += b_rs)                                       \
            for (size_t i = 0; i < taps; i++) {                                          \
                const float *row = base + tap[i];                                        \
                STEP(R, V, LAST)                                                         \
            }

/* Products of R rows and V vectors. The products fill both multipliers: one tap has a loop of its own, with fewer other
 * instructions, and a load under a mask, which takes a place beside them, is for strips whose last vector is short. */
#define PRODUCTS(R, V)                                                                                       \
    __m512 acc[R][V];                                                                                        \
    _Pragma("GCC unroll 12") for (int r = 0; r < R; r++) _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) \
        acc[r][v] = _mm512_setzero_ps();                                                                     \
    const float *a[R], *base = t->b;                                                                         \
    _Pragma("GCC unroll 12") for (int r = 0; r < R; r++) a[r] = t->a + (size_t)r * t->a_rs;                  \
    const size_t *tap = t->tap;                                                                              \
    size_t k = 0, channels = t->channels, taps = t->taps, b_rs = t->b_rs;                                    \
    if (last == 0xffff) {                                                                                    \
        LOOPS(R, V, _mm512_loadu_ps(row + 16 * (V - 1)))                                                     \
    } else {                                                                                                 \
        LOOPS(R, V, _mm512_maskz_loadu_ps(last, row + 16 * (V - 1)))                                         \
    }

INLINE __m512 finish(const hone__tile_f32_args *t, __m512 v, size_t r, size_t lane, size_t at, __mmask16 in,
                     __mmask16 out)
{
    if (t->alpha != 1.0f) v = _mm512_mul_ps(v, _mm512_set1_ps(t->alpha));
    if (t->lane_bias) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(in, t->lane_bias + lane));
    v = _mm512_maskz_compress_ps(in, v);
    if (t->accumulate) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(out, t->out + at));
    if (t->row_bias) v = _mm512_add_ps(v, _mm512_set1_ps(t->row_bias[r]));
    if (t->residual) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(out, t->residual + at));
    if (t->clip) /* the second operand is the result when either is NaN */
        v = _mm512_min_ps(_mm512_set1_ps(t->hi), _mm512_max_ps(_mm512_set1_ps(t->lo), v));
    return v;
}

/* Every lane kept, and nothing done to it. */
INLINE void store_raw(const hone__tile_f32_args *t, int rows, int vectors, const __m512 *acc, __mmask16 last)
{
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        float *out = t->out + (size_t)r * t->out_rs;
#pragma GCC unroll 4
        for (int v = 0; v < vectors - 1; v++) _mm512_storeu_ps(out + 16 * v, acc[r * vectors + v]);
        if (last == 0xffff)
            _mm512_storeu_ps(out + 16 * (vectors - 1), acc[r * vectors + vectors - 1]);
        else
            _mm512_mask_storeu_ps(out + 16 * (vectors - 1), last, acc[r * vectors + vectors - 1]);
    }
}

/* The whole of the common case: every lane kept, one add (of a bias or of what is there) and one clip. */
INLINE void store_plain(const hone__tile_f32_args *t, int rows, int vectors, const __m512 *acc, __mmask16 last)
{
    __m512 lo = _mm512_set1_ps(t->clip ? t->lo : -__builtin_inff()),
           hi = _mm512_set1_ps(t->clip ? t->hi : __builtin_inff());
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        float *out = t->out + (size_t)r * t->out_rs;
        __m512 bias = _mm512_set1_ps(t->row_bias ? t->row_bias[r] : -0.0f);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            __m512 there = bias;
            if (t->accumulate) there = _mm512_maskz_loadu_ps(v < vectors - 1 ? 0xffff : last, out + 16 * v);
            __m512 x = _mm512_add_ps(acc[r * vectors + v], there);
            x = _mm512_min_ps(hi, _mm512_max_ps(lo, x));
            if (v < vectors - 1)
                _mm512_storeu_ps(out + 16 * v, x);
            else
                _mm512_mask_storeu_ps(out + 16 * v, last, x);
        }
    }
}

/* The same where some lanes are dropped: what a vector writes behind its kept lanes belongs to the next one. */
INLINE void store_kept(const hone__tile_f32_args *t, int rows, int vectors, const __m512 *acc)
{
    float inf = __builtin_inff();
    __m512 lo = _mm512_set1_ps(t->clip ? t->lo : -inf), hi = _mm512_set1_ps(t->clip ? t->hi : inf);
    __m512i closed[4];
    __mmask16 out[4];
    size_t offset[4], at = 0, total = (size_t)__builtin_popcountll(t->keep);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        __mmask16 in = (__mmask16)(t->keep >> (16 * v));
        unsigned count = (unsigned)__builtin_popcount(in);
        closed[v] = closing(in);
        out[v] = at + 16 <= total ? 0xffff : (__mmask16)((1u << count) - 1);
        offset[v] = at;
        at += count;
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        float *row = t->out + (size_t)r * t->out_rs;
        __m512 bias = _mm512_set1_ps(t->row_bias ? t->row_bias[r] : -0.0f);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            __m512 x = _mm512_min_ps(hi, _mm512_max_ps(lo, _mm512_add_ps(acc[r * vectors + v], bias)));
            _mm512_mask_storeu_ps(row + offset[v], out[v], _mm512_permutexvar_ps(closed[v], x));
        }
    }
}

static __attribute__((noinline)) void store_spilled(const hone__tile_f32_args *t, int rows, int vectors,
                                                    const __m512 *acc)
{
    for (int r = 0; r < rows; r++) {
        size_t at = (size_t)r * t->out_rs;
        for (int v = 0; v < vectors; v++) {
            __mmask16 in = (__mmask16)(t->keep >> (16 * v));
            unsigned count = (unsigned)__builtin_popcount(in);
            __mmask16 out = (__mmask16)((1u << count) - 1);
            _mm512_mask_storeu_ps(t->out + at, out,
                                  finish(t, acc[r * vectors + v], (size_t)r, (size_t)v * 16, at, in, out));
            at += count;
        }
    }
}

#define TILE(R, V)                                                                                                   \
    static void tile_##R##x##V(const hone__tile_f32_args *t, __mmask16 last)                                         \
    {                                                                                                                \
        PRODUCTS(R, V)                                                                                               \
        uint64_t all = t->lanes == 64 ? ~(uint64_t)0 : ((uint64_t)1 << t->lanes) - 1;                                \
        int simple = t->alpha == 1.0f && !t->lane_bias && !t->residual;                                              \
        if (simple && t->keep == all && !t->accumulate && !t->row_bias && !t->clip) {                                \
            store_raw(t, R, V, &acc[0][0], last);                                                                    \
        } else if (simple && t->keep == all && !(t->accumulate && t->row_bias)) {                                    \
            store_plain(t, R, V, &acc[0][0], last);                                                                  \
        } else if (simple && !t->accumulate) {                                                                       \
            store_kept(t, R, V, &acc[0][0]);                                                                         \
        } else {                                                                                                     \
            __m512 copy[R * V];                                                                                      \
            _Pragma("GCC unroll 12") for (int r = 0; r < R; r++) _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) \
                copy[r * V + v] = acc[r][v];                                                                         \
            store_spilled(t, R, V, copy);                                                                            \
        }                                                                                                            \
    }

#define TILES(R) TILE(R, 1) TILE(R, 2) TILE(R, 3) TILE(R, 4)
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
TILE(7, 1)
TILE(8, 1)
TILE(9, 1)
TILE(10, 1)
TILE(11, 1)
TILE(12, 1)

typedef void (*tile_fn)(const hone__tile_f32_args *, __mmask16);
#define ROW(R) {tile_##R##x1, tile_##R##x2, tile_##R##x3, tile_##R##x4}
static const tile_fn tiles[MAX_ROWS][4] = {
    ROW(1),     ROW(2),     ROW(3),     ROW(4),      ROW(5),      ROW(6),
    {tile_7x1}, {tile_8x1}, {tile_9x1}, {tile_10x1}, {tile_11x1}, {tile_12x1},
};

INLINE void run_tile(const hone__tile_f32_args *t)
{
    size_t vectors = (t->lanes + 15) / 16, rest = t->lanes - (vectors - 1) * 16;
    tiles[t->rows - 1][vectors - 1](t, (__mmask16)((1u << rest) - 1));
}
