/* tile_f32_avx2.c: fp32 tiles of up to 6 rows x 16 lanes, or 8 x 8, in AVX2 registers. */
#include <immintrin.h>

#include "kernels/tile/tile_tiers.h"

#define INLINE static inline __attribute__((always_inline))
enum { MAX_ROWS = 8 };

INLINE __m256i first_bits(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Every lane kept, one add and one clip; the last vector has `last` lanes. */
INLINE void store_plain(const hone__tile_f32_args *t, int rows, int vectors, const __m256 *acc, size_t last)
{
    float inf = __builtin_inff();
    __m256 lo = _mm256_set1_ps(t->clip ? t->lo : -inf), hi = _mm256_set1_ps(t->clip ? t->hi : inf);
    for (int r = 0; r < rows; r++) {
        float *out = t->out + (size_t)r * t->out_rs;
        __m256 bias = _mm256_set1_ps(t->row_bias ? t->row_bias[r] : -0.0f);
        for (int v = 0; v < vectors; v++) { /* the second operand is the result when either is NaN */
            __m256 x = _mm256_add_ps(acc[r * vectors + v], bias);
            x = _mm256_min_ps(hi, _mm256_max_ps(lo, x));
            if (v < vectors - 1 || last == 8)
                _mm256_storeu_ps(out + 8 * v, x);
            else
                _mm256_maskstore_ps(out + 8 * v, first_bits(last), x);
        }
    }
}

static __attribute__((noinline)) void store_all(const hone__tile_f32_args *t, int rows, int vectors, const __m256 *acc)
{
    uint64_t all = ((uint64_t)1 << t->lanes) - 1;
    if (t->keep == all && t->alpha == 1.0f && !t->accumulate && !t->lane_bias && !t->residual) {
        store_plain(t, rows, vectors, acc, t->lanes - (size_t)(vectors - 1) * 8);
        return;
    }
    for (int r = 0; r < rows; r++) hone__tile_f32_finish(t, (size_t)r, (const float *)(acc + r * vectors));
}

#define TILE(R, V)                                                                                                   \
    static void tile_##R##x##V(const hone__tile_f32_args *t, __m256i last)                                           \
    {                                                                                                                \
        __m256 acc[R][V], copy[R * V];                                                                               \
        _Pragma("GCC unroll 8") for (int r = 0; r < R; r++) _Pragma("GCC unroll 2") for (int v = 0; v < V; v++)      \
            acc[r][v] = _mm256_setzero_ps();                                                                         \
        const float *a[R], *base = t->b;                                                                             \
        _Pragma("GCC unroll 8") for (int r = 0; r < R; r++) a[r] = t->a + (size_t)r * t->a_rs;                       \
        size_t k = 0;                                                                                                \
        int whole = t->lanes == 8 * V;                                                                               \
        for (size_t c = 0; c < t->channels; c++, base += t->b_rs) {                                                  \
            for (size_t tap = 0; tap < t->taps; tap++, k++) {                                                        \
                const float *row = base + t->tap[tap];                                                               \
                __m256 b[V];                                                                                         \
                if (V > 1) b[0] = _mm256_loadu_ps(row);                                                              \
                b[V - 1] = whole ? _mm256_loadu_ps(row + 8 * (V - 1)) : _mm256_maskload_ps(row + 8 * (V - 1), last); \
                _Pragma("GCC unroll 8") for (int r = 0; r < R; r++)                                                  \
                {                                                                                                    \
                    __m256 w = _mm256_set1_ps(a[r][k]);                                                              \
                    _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) acc[r][v] =                                  \
                        _mm256_fmadd_ps(w, b[v], acc[r][v]);                                                         \
                }                                                                                                    \
            }                                                                                                        \
        }                                                                                                            \
        _Pragma("GCC unroll 8") for (int r = 0; r < R; r++) _Pragma("GCC unroll 2") for (int v = 0; v < V; v++)      \
            copy[r * V + v] = acc[r][v];                                                                             \
        store_all(t, R, V, copy);                                                                                    \
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
