/* nbits_vex.h: four rows of weights times up to two rows of activations in 256-bit registers, chunks of 32 bytes. The
 * including file defines NAME(f) and dot(acc, w unsigned, q signed, bits), exact for 8-bit and for 4-bit values. */
#include "kernels/nbits/nbits_parts.h"

enum { CHUNK = 32, LANES = 8, ROWS = 2, W = HONE__NBITS_WEIGHT_ROWS };

INLINE __m256i load256(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

INLINE __m256i first_bits(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : (int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Where chunks are read: what is left of the rows behind the last whole chunk stands in `tail`, zeros behind it. */
typedef struct source {
    uint8_t tail[W][CHUNK];
    size_t whole, ahead; /* chunks; bytes from what is read to what is fetched */
} source;

INLINE void set_source(const hone__nbits_tile *t, source *s)
{
    size_t left = t->bytes % CHUNK;
    s->whole = t->bytes / CHUNK;
    s->ahead = hone__nbits_ahead(t);
    if (!left) return;
    memset(s->tail, 0, sizeof s->tail);
    for (size_t r = 0; r < W; r++) memcpy(s->tail[r], t->w + r * t->w_rs + s->whole * CHUNK, left);
}

/* One chunk of a row as unsigned values; 4-bit: the even ones and the odd ones. */
typedef struct chunk {
    __m256i v[2];
} chunk;

INLINE chunk load_chunk(const hone__nbits_tile *t, const source *s, int r, size_t c, int bits)
{
    const uint8_t *from = t->w + (size_t)r * t->w_rs + c * CHUNK;
    _mm_prefetch((const char *)from + s->ahead, _MM_HINT_T0);
    __m256i w = load256(c < s->whole ? from : s->tail[r]);
    if (bits == 8) return (chunk){{_mm256_xor_si256(w, _mm256_set1_epi8((char)t->flip)), w}};
    const __m256i low = _mm256_set1_epi8(15);
    return (chunk){{_mm256_and_si256(w, low), _mm256_and_si256(_mm256_srli_epi16(w, 4), low)}};
}

INLINE __m256i chunk_dot(__m256i acc, chunk w, const int8_t *q, int bits)
{
    acc = dot(acc, w.v[0], load256(q), bits);
    return bits == 8 ? acc : dot(acc, w.v[1], load256(q + 32), bits);
}

/* The sums of four vectors side by side. */
INLINE void store_sums(__m256 (*sum)[W], int rows, float *out)
{
    for (int m = 0; m < rows; m++) {
        __m256 v = _mm256_hadd_ps(_mm256_hadd_ps(sum[m][0], sum[m][1]), _mm256_hadd_ps(sum[m][2], sum[m][3]));
        _mm_storeu_ps(out + m * W, _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1)));
    }
}

/* Eight of n numbers, zeros behind them. */
INLINE __m256 load_some(const float *p, size_t n)
{
    return n >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first_bits(n));
}

/* Several blocks in a chunk: `count` (a power of two) of them, LANES / count lanes each. */
INLINE void small_blocks(const hone__nbits_tile *t, int bits, int rows, int zeros)
{
    size_t chunks = (t->bytes + CHUNK - 1) / CHUNK, count = CHUNK / t->block_bytes;
    const __m256i spread =
        _mm256_srl_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm_cvtsi32_si128(__builtin_ctzll(LANES / count)));
    source s;
    set_source(t, &s);
    __m256 sum[ROWS][W];
#pragma GCC unroll 8
    for (int i = 0; i < rows * W; i++) sum[i / W][i % W] = _mm256_setzero_ps();
    for (size_t c = 0; c < chunks; c++) {
        size_t first = c * count, left = t->blocks - first;
#pragma GCC unroll 4
        for (int r = 0; r < W; r++) {
            chunk w = load_chunk(t, &s, r, c, bits);
            __m256 ws = _mm256_permutevar8x32_ps(load_some(t->scales + (size_t)r * t->block_rs + first, left), spread);
            __m256i z = _mm256_setzero_si256();
            if (zeros)
                z = _mm256_permutevar8x32_epi32(_mm256_maskload_epi32(t->zeros + (size_t)r * t->block_rs + first,
                                                                      first_bits(left < count ? left : count)),
                                                spread);
#pragma GCC unroll 2
            for (int m = 0; m < rows; m++) {
                const hone__nbits_x *x = t->x + m;
                __m256i acc = load256(x->starts + c * LANES);
                if (zeros) acc = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_mullo_epi32(acc, z));
                acc = chunk_dot(acc, w, x->q + c * (bits == 8 ? 32 : 64), bits);
                __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(x->lane_scales + c * LANES), ws);
                sum[m][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc), scale, sum[m][r]);
            }
        }
    }
    store_sums(sum, rows, t->out);
}

/* Blocks of whole chunks. */
INLINE void large_blocks(const hone__nbits_tile *t, int bits, int rows)
{
    size_t chunks = (t->bytes + CHUNK - 1) / CHUNK, per_block = (t->block_bytes + CHUNK - 1) / CHUNK;
    source s;
    set_source(t, &s);
    __m256 sum[ROWS][W];
#pragma GCC unroll 8
    for (int i = 0; i < rows * W; i++) sum[i / W][i % W] = _mm256_setzero_ps();
    for (size_t b = 0; b < t->blocks; b++) {
        size_t from = b * per_block, end = chunks - from < per_block ? chunks : from + per_block;
#pragma GCC unroll 4
        for (int r = 0; r < W; r++) {
            __m256i acc[ROWS];
#pragma GCC unroll 2
            for (int m = 0; m < rows; m++) {
                uint32_t start = (uint32_t)t->x[m].block_starts[b];
                if (t->zeros) start *= 0 - (uint32_t)t->zeros[(size_t)r * t->block_rs + b];
                acc[m] = _mm256_zextsi128_si256(_mm_cvtsi32_si128((int32_t)start));
            }
            for (size_t c = from; c < end; c++) {
                chunk w = load_chunk(t, &s, r, c, bits);
#pragma GCC unroll 2
                for (int m = 0; m < rows; m++)
                    acc[m] = chunk_dot(acc[m], w, t->x[m].q + c * (bits == 8 ? 32 : 64), bits);
            }
#pragma GCC unroll 2
            for (int m = 0; m < rows; m++) {
                __m256 scale = _mm256_set1_ps(t->x[m].scales[b] * t->scales[(size_t)r * t->block_rs + b]);
                sum[m][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[m]), scale, sum[m][r]);
            }
        }
    }
    store_sums(sum, rows, t->out);
}

#define FORMS(R)                                             \
    static void rows_##R(const hone__nbits_tile *t)          \
    {                                                        \
        int small = t->block_bytes < CHUNK && t->blocks > 1; \
        if (small && t->bits == 4 && !t->zeros)              \
            small_blocks(t, 4, R, 0);                        \
        else if (small && t->bits == 4)                      \
            small_blocks(t, 4, R, 1);                        \
        else if (small && !t->zeros)                         \
            small_blocks(t, 8, R, 0);                        \
        else if (small)                                      \
            small_blocks(t, 8, R, 1);                        \
        else if (t->bits == 4)                               \
            large_blocks(t, 4, R);                           \
        else                                                 \
            large_blocks(t, 8, R);                           \
    }
FORMS(1)
FORMS(2)

void NAME(hone__nbits_tile)(const hone__nbits_tile *t)
{
    static void (*const forms[ROWS])(const hone__nbits_tile *) = {rows_1, rows_2};
    forms[t->rows - 1](t);
}
