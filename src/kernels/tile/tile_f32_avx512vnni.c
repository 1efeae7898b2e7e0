/* tile_f32_avx512vnni.c: fp32 tiles of up to 6 rows x 64 lanes, or 12 x 16, in AVX-512 registers. Weights are broadcast
 * from where they are stored, lanes are vectors. */
#include "kernels/tile/tile_store_avx512.h"
#include "kernels/tile/tile_tiers.h"

enum { MAX_ROWS = 12 };

/* Products of R rows and V vectors; the last vector is loaded under `last`. */
#define PRODUCTS(R, V)                                                                                               \
    __m512 acc[R][V];                                                                                                \
    _Pragma("GCC unroll 12") for (int r = 0; r < R; r++) _Pragma("GCC unroll 4") for (int v = 0; v < V; v++)         \
        acc[r][v] = _mm512_setzero_ps();                                                                             \
    const float *a[R];                                                                                               \
    _Pragma("GCC unroll 12") for (int r = 0; r < R; r++) a[r] = t->a + (size_t)r * t->a_rs;                          \
    const float *base = t->b;                                                                                        \
    size_t k = 0;                                                                                                    \
    for (size_t c = 0; c < t->channels; c++, base += t->b_rs) {                                                      \
        for (size_t tap = 0; tap < t->taps; tap++, k++) {                                                            \
            const float *row = base + t->tap[tap];                                                                   \
            __m512 b[V];                                                                                             \
            _Pragma("GCC unroll 4") for (int v = 0; v < V - 1; v++) b[v] = _mm512_loadu_ps(row + 16 * v);            \
            b[V - 1] = _mm512_maskz_loadu_ps(last, row + 16 * (V - 1));                                              \
            _Pragma("GCC unroll 12") for (int r = 0; r < R; r++)                                                     \
            {                                                                                                        \
                __m512 w = _mm512_set1_ps(a[r][k]);                                                                  \
                _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) acc[r][v] = _mm512_fmadd_ps(w, b[v], acc[r][v]); \
            }                                                                                                        \
        }                                                                                                            \
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

/* The whole of the common case: every lane kept, one add and one clip. */
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
            __m512 x = _mm512_add_ps(acc[r * vectors + v], bias);
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
        int simple = t->alpha == 1.0f && !t->accumulate && !t->lane_bias && !t->residual;                            \
        if (simple && t->keep == all) {                                                                              \
            store_plain(t, R, V, &acc[0][0], last);                                                                  \
        } else if (simple) {                                                                                         \
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

void hone__tile_f32_avx512vnni(const hone__tile_f32_args *t)
{
    size_t vectors = (t->lanes + 15) / 16, rest = t->lanes - (vectors - 1) * 16;
    tiles[t->rows - 1][vectors - 1](t, (__mmask16)((1u << rest) - 1));
}

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
