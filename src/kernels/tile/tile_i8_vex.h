/* tile_i8_vex.h: int8 tiles of up to 6 rows x 16 lanes in 256-bit registers. The including file defines NAME(f), the
 * types of a prepared weight and of prepared lanes, how they are made and multiplied, and in how many bytes
 * order_weights keeps each weight (see tile_i8_avx2.c). */
#include "kernels/tile/tile_store_avx2.h"
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

/* What depends on a row and a lane together. */
INLINE __m256i corrected(const hone__tile_i8_args *t, __m256i acc, int r, int v)
{
    if (t->row_mul) {
        __m256i sums = _mm256_loadu_si256((const __m256i *)(const void *)(t->lane_sum + 8 * v));
        acc = _mm256_add_epi32(acc, _mm256_mullo_epi32(_mm256_set1_epi32(t->row_mul[r]), sums));
    }
    if (t->row_sum) {
        __m256i mul = _mm256_loadu_si256((const __m256i *)(const void *)(t->lane_mul + 8 * v));
        acc = _mm256_add_epi32(acc, _mm256_mullo_epi32(_mm256_set1_epi32(t->row_sum[r]), mul));
    }
    return acc;
}

/* lane_terms: lane_scale, lane_bias, row_mul, row_sum or residual may be there. */
INLINE void store_rows(const hone__tile_i8_args *t, int rows, int vectors, const __m256i *acc, enum output kind,
                       int closes, int lane_terms)
{
    kept k;
    sink s;
    set_kept(t->keep, vectors, &k);
    set_sink(t, &s);
    for (int r = 0; r < rows; r++) {
        __m256 scale = _mm256_set1_ps(t->row_scale ? t->row_scale[r] : 1.0f);
        __m256 bias = _mm256_set1_ps(t->row_bias ? t->row_bias[r] : -0.0f);
        __m256i add = _mm256_set1_epi32(t->row_add ? t->row_add[r] : 0);
        for (int v = 0; v < vectors; v++) {
            __m256i sum = _mm256_add_epi32(acc[r * vectors + v], add);
            size_t write = k.whole[v] ? 8 : k.count[v], at = (size_t)r * t->out_rs + k.at[v];
            if (lane_terms) sum = corrected(t, sum, r, v);
            if (kind == OUT_I32) {
                if (closes) sum = _mm256_permutevar8x32_epi32(sum, k.closed[v]);
                store_first_f32((float *)(void *)(t->out_i32 + at), _mm256_castsi256_ps(sum), write);
                continue;
            }
            __m256 x = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale);
            __m256i in = first_bits(t->lanes - 8 * (size_t)v);
            if (lane_terms && t->lane_scale) x = _mm256_mul_ps(x, _mm256_maskload_ps(t->lane_scale + 8 * v, in));
            x = _mm256_add_ps(x, bias);
            if (lane_terms && t->lane_bias) x = _mm256_add_ps(x, _mm256_maskload_ps(t->lane_bias + 8 * v, in));
            if (closes) x = _mm256_permutevar8x32_ps(x, k.closed[v]);
            store_scaled(t, &s, kind, lane_terms && t->residual, x, at, k.count[v], write);
        }
    }
}

INLINE void store_kind(const hone__tile_i8_args *t, int rows, int vectors, const __m256i *acc, enum output kind)
{
    int closes = t->keep != ((uint64_t)1 << t->lanes) - 1;
    if (t->row_mul || t->row_sum || t->lane_scale || t->lane_bias || t->residual)
        store_rows(t, rows, vectors, acc, kind, 1, 1);
    else if (closes)
        store_rows(t, rows, vectors, acc, kind, 1, 0);
    else
        store_rows(t, rows, vectors, acc, kind, 0, 0);
}

/* hone__tile_adds: scaled sums are added to what is there. */
INLINE void store_added(const hone__tile_i8_args *t, int rows, int vectors, const __m256i *acc)
{
    for (int v = 0; v < vectors; v++) {
        size_t left = t->lanes - 8 * (size_t)v;
        const __m256i in = first_bits(left);
        const __m256 lane = _mm256_maskload_ps(t->lane_scale + 8 * v, in);
        for (int r = 0; r < rows; r++) {
            float *out = t->out_f32 + (size_t)r * t->out_rs + 8 * v;
            __m256i sum = _mm256_add_epi32(acc[r * vectors + v], _mm256_set1_epi32(t->row_add ? t->row_add[r] : 0));
            __m256 x = _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_set1_ps(t->row_scale[r])), lane);
            if (left >= 8)
                _mm256_storeu_ps(out, _mm256_add_ps(x, _mm256_loadu_ps(out)));
            else
                _mm256_maskstore_ps(out, in, _mm256_add_ps(x, _mm256_maskload_ps(out, in)));
        }
    }
}

static __attribute__((noinline)) void store_all(const hone__tile_i8_args *t, int rows, int vectors, const __m256i *acc)
{
    if (hone__tile_adds(t)) {
        store_added(t, rows, vectors, acc);
        return;
    }
    if (t->out_q)
        store_kind(t, rows, vectors, acc, OUT_Q);
    else if (t->out_f32)
        store_kind(t, rows, vectors, acc, OUT_F32);
    else
        store_kind(t, rows, vectors, acc, OUT_I32);
}

/* WEIGHT: row r's, prepared */
#define STEP(R, V, U, WEIGHT)                                                                           \
    {                                                                                                   \
        lanes_t x[V];                                                                                   \
        _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) x[v] =                                      \
            make_lanes(_mm256_loadu_si256((const __m256i *)(const void *)(b + 32 * v)), U);             \
        _Pragma("GCC unroll 6") for (int r = 0; r < R; r++)                                             \
        {                                                                                               \
            weight_t w = WEIGHT;                                                                        \
            _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) acc[r][v] = dot(acc[r][v], w, x[v], U); \
        }                                                                                               \
    }

#define TILE(R, V, U)                                                                                                 \
    static void tile_##R##x##V##_##U(const hone__tile_i8_args *t)                                                     \
    {                                                                                                                 \
        __m256i acc[R][V], copy[R * V];                                                                               \
        _Pragma("GCC unroll 6") for (int r = 0; r < R; r++) _Pragma("GCC unroll 2") for (int v = 0; v < V; v++)       \
            acc[r][v] = _mm256_setzero_si256();                                                                       \
        const uint8_t *a[R], *b = t->panel;                                                                           \
        _Pragma("GCC unroll 6") for (int r = 0; r < R; r++) a[r] = t->a + (size_t)r * t->a_rs;                        \
        size_t whole = t->k & ~(size_t)3, k = 0;                                                                      \
        for (; k < whole; k += 4, b += t->width * 4) STEP(R, V, U, make_weight(_mm256_set1_epi32(word(a[r] + k)), U)) \
        if (k < t->k) STEP(R, V, U, make_weight(_mm256_set1_epi32(last_word(a[r] + k, t->k - k)), U))                 \
        _Pragma("GCC unroll 6") for (int r = 0; r < R; r++) _Pragma("GCC unroll 2") for (int v = 0; v < V; v++)       \
            copy[r * V + v] = acc[r][v];                                                                              \
        store_all(t, R, V, copy);                                                                                     \
    }

/* The same over an image of groups of four. */
#define IMAGE(R, V, U)                                                                                          \
    static void image_##R##x##V##_##U(const hone__tile_i8_args *t)                                              \
    {                                                                                                           \
        __m256i acc[R][V], copy[R * V];                                                                         \
        _Pragma("GCC unroll 6") for (int r = 0; r < R; r++) _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) \
            acc[r][v] = _mm256_setzero_si256();                                                                 \
        const uint8_t *a[R], *base = t->panel;                                                                  \
        _Pragma("GCC unroll 6") for (int r = 0; r < R; r++) a[r] = t->a + (size_t)r * t->a_rs;                  \
        size_t k = 0;                                                                                           \
        for (size_t c = 0; c < t->channels; c++, base += t->b_rs * 4)                                           \
            for (size_t tap = 0; tap < t->taps; tap++, k += 4 * ORDERED) {                                      \
                const uint8_t *b = base + t->tap[tap] * 4;                                                      \
                STEP(R, V, U, ordered_weight(a[r] + k))                                                         \
            }                                                                                                   \
        _Pragma("GCC unroll 6") for (int r = 0; r < R; r++) _Pragma("GCC unroll 2") for (int v = 0; v < V; v++) \
            copy[r * V + v] = acc[r][v];                                                                        \
        store_all(t, R, V, copy);                                                                               \
    }

#define TILES(R) \
    IMAGE(R, 1, 0) IMAGE(R, 2, 0) IMAGE(R, 1, 1) IMAGE(R, 2, 1) TILE(R, 1, 0) TILE(R, 2, 0) TILE(R, 1, 1) TILE(R, 2, 1)
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

#define IMAGE_ROW(R, U) {image_##R##x1_##U, image_##R##x2_##U}
#define IMAGE_TABLE(U) \
    {IMAGE_ROW(1, U), IMAGE_ROW(2, U), IMAGE_ROW(3, U), IMAGE_ROW(4, U), IMAGE_ROW(5, U), IMAGE_ROW(6, U)}
static const tile_fn images[2][MAX_ROWS][2] = {IMAGE_TABLE(0), IMAGE_TABLE(1)};

void NAME(hone__tile_i8_image)(const hone__tile_i8_args *t)
{
    images[t->a_unsigned != 0][t->rows - 1][(t->lanes + 7) / 8 - 1](t);
}
