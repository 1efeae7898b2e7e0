/* tile_f32_avx2.c: fp32 tiles of up to 6 rows x 16 lanes, or 8 x 8, in AVX2 registers. */
#include "kernels/tile/tile_store_avx2.h"
#include "kernels/tile/tile_tiers.h"

enum { MAX_ROWS = 8 };

/* One add and one clip. */
INLINE void store_plain(const hone__tile_f32_args *t, int rows, int vectors, const __m256 *acc)
{
    float inf = __builtin_inff();
    __m256 lo = _mm256_set1_ps(t->clip ? t->lo : -inf), hi = _mm256_set1_ps(t->clip ? t->hi : inf);
    kept k;
    set_kept(t->keep, vectors, &k);
    for (int r = 0; r < rows; r++) {
        float *out = t->out + (size_t)r * t->out_rs;
        __m256 bias = _mm256_set1_ps(t->row_bias ? t->row_bias[r] : -0.0f);
        for (int v = 0; v < vectors; v++) { /* the second operand is the result when either is NaN */
            __m256 x = _mm256_add_ps(acc[r * vectors + v], bias);
            x = _mm256_min_ps(hi, _mm256_max_ps(lo, x));
            x = _mm256_permutevar8x32_ps(x, k.closed[v]);
            store_first_f32(out + k.at[v], x, k.whole[v] ? 8 : k.count[v]);
        }
    }
}

/* The same where all vectors are full and every lane is kept. */
INLINE void store_whole(const hone__tile_f32_args *t, int rows, int vectors, const __m256 *acc)
{
    float inf = __builtin_inff();
    __m256 lo = _mm256_set1_ps(t->clip ? t->lo : -inf), hi = _mm256_set1_ps(t->clip ? t->hi : inf);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        float *out = t->out + (size_t)r * t->out_rs;
        __m256 bias = _mm256_set1_ps(t->row_bias ? t->row_bias[r] : -0.0f);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            _mm256_storeu_ps(out + 8 * v,
                             _mm256_min_ps(hi, _mm256_max_ps(lo, _mm256_add_ps(acc[r * vectors + v], bias))));
    }
}

/* Whatever has been asked for; what is added may be the output itself, so that nothing is written behind kept lanes. */
INLINE void store_full(const hone__tile_f32_args *t, int rows, int vectors, const __m256 *acc)
{
    kept k;
    set_kept(t->keep, vectors, &k);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            size_t at = (size_t)r * t->out_rs + k.at[v];
            __m256i in = first_bits(t->lanes - 8 * (size_t)v), out = first_bits(k.count[v]);
            __m256 x = _mm256_mul_ps(acc[r * vectors + v], _mm256_set1_ps(t->alpha));
            if (t->lane_bias) x = _mm256_add_ps(x, _mm256_maskload_ps(t->lane_bias + 8 * v, in));
            x = _mm256_permutevar8x32_ps(x, k.closed[v]);
            if (t->accumulate) x = _mm256_add_ps(x, _mm256_maskload_ps(t->out + at, out));
            if (t->row_bias) x = _mm256_add_ps(x, _mm256_set1_ps(t->row_bias[r]));
            if (t->residual) x = _mm256_add_ps(x, _mm256_maskload_ps(t->residual + at, out));
            if (t->clip) x = _mm256_min_ps(_mm256_set1_ps(t->hi), _mm256_max_ps(_mm256_set1_ps(t->lo), x));
            store_first_f32(t->out + at, x, k.count[v]);
        }
}

static __attribute__((noinline)) void store_rest(const hone__tile_f32_args *t, int rows, int vectors, const __m256 *acc)
{
    if (t->alpha != 1.0f || t->accumulate || t->lane_bias || t->residual)
        store_full(t, rows, vectors, acc);
    else
        store_plain(t, rows, vectors, acc);
}

/* Rows are reached from every third one, so that a tile needs few address registers. */
#define WEIGHT(r) _mm256_set1_ps(*((r) < 3 ? a0 + (r) * rs : (r) < 6 ? a3 + ((r) - 3) * rs : a6 + ((r) - 6) * rs))
#define STEP(R, V, LAST)                                                                                         \
    {                                                                                                            \
        __m256 b[V];                                                                                             \
        if (V > 1) b[0] = _mm256_loadu_ps(row);                                                                  \
        b[V - 1] = LAST;                                                                                         \
        _Pragma("GCC unroll 8") for (int r = 0; r < R; r++)                                                      \
        {                                                                                                        \
            __m256 w = WEIGHT(r);                                                                                \
            _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) acc[r][v] = _mm256_fmadd_ps(w, b[v], acc[r][v]); \
        }                                                                                                        \
        a0++, a3++, a6++;                                                                                        \
    }
#define LOOPS(R, V, LAST)                                                                           \
    if (taps == 1)                                                                                  \
        for (const float *row = base + *tap; channels; channels--, row += t->b_rs) STEP(R, V, LAST) \
    else                                                                                            \
        for (; channels; channels--, base += t->b_rs)                                               \
            for (size_t i = 0; i < taps; i++) {                                                     \
                const float *row = base + tap[i];                                                   \
                STEP(R, V, LAST)                                                                    \
            }

#define TILE(R, V)                                                                                              \
    static void tile_##R##x##V(const hone__tile_f32_args *t, __m256i last)                                      \
    {                                                                                                           \
        __m256 acc[R][V], copy[R * V];                                                                          \
        _Pragma("GCC unroll 8") for (int r = 0; r < R; r++) _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) \
            acc[r][v] = _mm256_setzero_ps();                                                                    \
        size_t rs = t->a_rs, taps = t->taps, channels = t->channels;                                            \
        const size_t *tap = t->tap;                                                                             \
        const float *a0 = t->a, *a3 = a0 + 3 * rs, *a6 = a0 + 6 * rs, *base = t->b;                             \
        if (t->lanes == 8 * V) {                                                                                \
            LOOPS(R, V, _mm256_loadu_ps(row + 8 * (V - 1)))                                                     \
        } else {                                                                                                \
            LOOPS(R, V, _mm256_maskload_ps(row + 8 * (V - 1), last))                                            \
        }                                                                                                       \
        int simple = t->alpha == 1.0f && !t->accumulate && !t->lane_bias && !t->residual;                       \
        if (simple && t->lanes == 8 * V && t->keep == ((uint64_t)1 << (8 * V)) - 1) {                           \
            store_whole(t, R, V, &acc[0][0]);                                                                   \
            return;                                                                                             \
        }                                                                                                       \
        _Pragma("GCC unroll 8") for (int r = 0; r < R; r++) _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) \
            copy[r * V + v] = acc[r][v];                                                                        \
        store_rest(t, R, V, copy);                                                                              \
    }

#define TILES(R) TILE(R, 1) TILE(R, 2)
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
TILE(7, 1)
TILE(8, 1)

typedef void (*tile_fn)(const hone__tile_f32_args *, __m256i);
#define ROW(R) {tile_##R##x1, tile_##R##x2}
static const tile_fn tiles[MAX_ROWS][2] = {ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), {tile_7x1}, {tile_8x1}};

void hone__tile_f32_avx2(const hone__tile_f32_args *t)
{
    size_t vectors = (t->lanes + 7) / 8;
    tiles[t->rows - 1][vectors - 1](t, first_bits(t->lanes - (vectors - 1) * 8));
}

/* Which of the eight columns from `at` on lie in [0, n). */
INLINE __m256i inside(ptrdiff_t at, ptrdiff_t n)
{
    __m256i column = _mm256_add_epi32(_mm256_set1_epi32((int)at), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_setzero_si256(), column),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), column));
}

/* Eight columns of a row from `at` on, every second one at step 2; zeros where there are none. */
INLINE __m256 load_columns(const float *row, ptrdiff_t at, ptrdiff_t end, size_t step)
{
    __m256 a = _mm256_maskload_ps(row + at, inside(at, end));
    if (step == 1) return a;
    __m256 b = _mm256_maskload_ps(row + at + 8, inside(at + 8, end));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88)), 0xd8));
}

INLINE void copy_rows(const float *from, size_t from_rs, size_t step, size_t rows, size_t n, size_t left, size_t width,
                      float *to)
{
    ptrdiff_t s = (ptrdiff_t)step, end = n ? s * ((ptrdiff_t)n - 1) + 1 : 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < width; i += 8)
            _mm256_storeu_ps(to + r * width + i,
                             load_columns(from + r * from_rs, s * ((ptrdiff_t)i - (ptrdiff_t)left), end, step));
}

/* Padding needs no stores of its own: columns that do not exist load as zeros. Rows ascend, so that what a vector
 * writes behind its row is overwritten by the next. */
void hone__tile_copy_rows_f32_avx2(const float *from, size_t from_rs, size_t step, size_t rows, size_t n, size_t left,
                                   size_t width, float *to)
{
    if (step == 1)
        copy_rows(from, from_rs, 1, rows, n, left, width, to);
    else
        copy_rows(from, from_rs, 2, rows, n, left, width, to);
}
