/* tile_i8_vex.h: int8 tiles of up to 6 rows x 16 lanes in 256-bit registers. The including file defines NAME(f), the
 * types of a prepared weight and of prepared lanes, and how they are made and multiplied (see tile_i8_avx2.c). */
#include <string.h>

#include "kernels/tile/tile_tiers.h"

enum { MAX_ROWS = 6 };

INLINE int32_t word(const uint8_t *p)
{
    int32_t w;
    memcpy(&w, p, 4);
    return w;
}

/* The last n < 4 bytes of a row, zeros above. */
INLINE int32_t last_word(const uint8_t *p, size_t n)
{
    uint32_t w = 0;
    for (size_t i = 0; i < n; i++) w |= (uint32_t)p[i] << (8 * i);
    return (int32_t)w;
}

static __attribute__((noinline)) void store_all(const hone__tile_i8_args *t, int rows, int vectors, const __m256i *acc)
{
    int plain = !t->row_mul && !t->row_sum && !t->lane_scale && !t->lane_bias && !t->residual && t->out_f32;
    if (plain && t->keep == ((uint64_t)1 << t->lanes) - 1 && t->lanes % 8 == 0) {
        float inf = __builtin_inff();
        __m256 lo = _mm256_set1_ps(t->clip ? t->lo : -inf), hi = _mm256_set1_ps(t->clip ? t->hi : inf);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++) {
                __m256i s = _mm256_add_epi32(acc[r * vectors + v], _mm256_set1_epi32(t->row_add ? t->row_add[r] : 0));
                __m256 x = _mm256_mul_ps(_mm256_cvtepi32_ps(s), _mm256_set1_ps(t->row_scale ? t->row_scale[r] : 1));
                x = _mm256_add_ps(x, _mm256_set1_ps(t->row_bias ? t->row_bias[r] : -0.0f));
                _mm256_storeu_ps(t->out_f32 + (size_t)r * t->out_rs + 8 * v, _mm256_min_ps(hi, _mm256_max_ps(lo, x)));
            }
        return;
    }
    for (int r = 0; r < rows; r++) hone__tile_i8_finish(t, (size_t)r, (const uint32_t *)(acc + r * vectors));
}

#define STEP(R, V, U, W)                                                                                \
    {                                                                                                   \
        lanes_t x[V];                                                                                   \
        _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) x[v] =                                      \
            make_lanes(_mm256_loadu_si256((const __m256i *)(const void *)(b + 32 * v)), U);             \
        _Pragma("GCC unroll 6") for (int r = 0; r < R; r++)                                             \
        {                                                                                               \
            weight_t w = make_weight(_mm256_set1_epi32(W), U);                                          \
            _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) acc[r][v] = dot(acc[r][v], w, x[v], U); \
        }                                                                                               \
    }

#define TILE(R, V, U)                                                                                           \
    static void tile_##R##x##V##_##U(const hone__tile_i8_args *t)                                               \
    {                                                                                                           \
        __m256i acc[R][V], copy[R * V];                                                                         \
        _Pragma("GCC unroll 6") for (int r = 0; r < R; r++) _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) \
            acc[r][v] = _mm256_setzero_si256();                                                                 \
        const uint8_t *a[R], *b = t->panel;                                                                     \
        _Pragma("GCC unroll 6") for (int r = 0; r < R; r++) a[r] = t->a + (size_t)r * t->a_rs;                  \
        size_t whole = t->k & ~(size_t)3, k = 0;                                                                \
        for (; k < whole; k += 4, b += t->width * 4) STEP(R, V, U, word(a[r] + k))                              \
        if (k < t->k) STEP(R, V, U, last_word(a[r] + k, t->k - k))                                              \
        _Pragma("GCC unroll 6") for (int r = 0; r < R; r++) _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) \
            copy[r * V + v] = acc[r][v];                                                                        \
        store_all(t, R, V, copy);                                                                               \
    }

#define TILES(R) TILE(R, 1, 0) TILE(R, 2, 0) TILE(R, 1, 1) TILE(R, 2, 1)
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)

typedef void (*tile_fn)(const hone__tile_i8_args *);
#define ROW(R, U) {tile_##R##x1_##U, tile_##R##x2_##U}
#define TABLE(U) {ROW(1, U), ROW(2, U), ROW(3, U), ROW(4, U), ROW(5, U), ROW(6, U)}
static const tile_fn tiles[2][MAX_ROWS][2] = {TABLE(0), TABLE(1)};

void NAME(hone__tile_i8)(const hone__tile_i8_args *t)
{
    tiles[t->a_unsigned != 0][t->rows - 1][(t->lanes + 7) / 8 - 1](t);
}
