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
    size_t chunks, whole; /* all of a row's; those that it fills */
    size_t ahead;         /* from what is read to what is fetched */
} source;

INLINE void set_source(const hone__nbits_tile *t, source *s)
{
    size_t left = t->bytes % CHUNK;
    s->whole = t->bytes / CHUNK;
    s->chunks = s->whole + (left > 0);
    s->ahead = hone__nbits_ahead(t);
    for (size_t r = 0; left && r < W; r++) {
        memset(s->tail[r], 0, CHUNK);
        memcpy(s->tail[r], t->w + r * t->w_rs + s->whole * CHUNK, left);
    }
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

/* Of four vectors, the sum of each four lanes: [r0, r1, r2, r3] in both halves. */
INLINE __m256i quads(const __m256i *acc)
{
    __m256i s01 = _mm256_add_epi32(_mm256_unpacklo_epi32(acc[0], acc[1]), _mm256_unpackhi_epi32(acc[0], acc[1]));
    __m256i s23 = _mm256_add_epi32(_mm256_unpacklo_epi32(acc[2], acc[3]), _mm256_unpackhi_epi32(acc[2], acc[3]));
    return _mm256_add_epi32(_mm256_unpacklo_epi64(s01, s23), _mm256_unpackhi_epi64(s01, s23));
}

/* The first two of n numbers. */
INLINE __m128 load_two(const float *p, size_t n)
{
    return n >= 2 ? _mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)(const void *)p)) : _mm_load_ss(p);
}

/* Four rows' scales of two blocks, as quads lays out their sums. */
INLINE __m256 chunk_scales(const hone__nbits_tile *t, size_t first)
{
    const float *p = t->scales + first;
    size_t left = t->blocks - first, rs = t->block_rs;
    __m128 lo = _mm_unpacklo_ps(load_two(p, left), load_two(p + rs, left));
    __m128 hi = _mm_unpacklo_ps(load_two(p + 2 * rs, left), load_two(p + 3 * rs, left));
    return _mm256_set_m128(_mm_movehl_ps(hi, lo), _mm_movelh_ps(lo, hi));
}

INLINE __m256i load_zeros(const hone__nbits_tile *t, int r, size_t first, size_t count, __m256i spread)
{
    size_t left = t->blocks - first;
    __m256i in = first_bits(left < count ? left : count);
    return _mm256_permutevar8x32_epi32(_mm256_maskload_epi32(t->zeros + (size_t)r * t->block_rs + first, in), spread);
}

/* What a lane's sum starts at. */
INLINE __m256i load_start(const hone__nbits_x *x, size_t c, __m256i z, int zeros)
{
    __m256i start = load256(x->starts + c * LANES);
    return zeros ? _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_mullo_epi32(start, z)) : start;
}

/* Two blocks in a chunk: the first ones and the second ones are summed by themselves. */
INLINE void small_blocks(const hone__nbits_tile *t, int bits, int rows, int zeros)
{
    const __m256i spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    source s;
    __m256 sum[ROWS];
    set_source(t, &s);
#pragma GCC unroll 2
    for (int m = 0; m < rows; m++) sum[m] = _mm256_setzero_ps();
    for (size_t c = 0; c < s.chunks; c++) {
        __m256i acc[ROWS][W];
#pragma GCC unroll 4
        for (int r = 0; r < W; r++) {
            chunk w = load_chunk(t, &s, r, c, bits);
            __m256i z = zeros ? load_zeros(t, r, 2 * c, 2, spread) : _mm256_setzero_si256();
#pragma GCC unroll 2
            for (int m = 0; m < rows; m++)
                acc[m][r] =
                    chunk_dot(load_start(t->x + m, c, z, zeros), w, t->x[m].q + c * (bits == 8 ? 32 : 64), bits);
        }
        __m256 ws = chunk_scales(t, 2 * c);
#pragma GCC unroll 2
        for (int m = 0; m < rows; m++) {
            __m256 xs = _mm256_loadu_ps(t->x[m].lane_scales + c * LANES);
            __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(quads(acc[m])), xs);
            sum[m] = _mm256_add_ps(sum[m], _mm256_mul_ps(scaled, ws));
        }
    }
#pragma GCC unroll 2
    for (int m = 0; m < rows; m++)
        _mm_storeu_ps(t->out + m * W, _mm_add_ps(_mm256_castps256_ps128(sum[m]), _mm256_extractf128_ps(sum[m], 1)));
}

INLINE float sum8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* Blocks of less than a quad. */
INLINE void tiny_blocks(const hone__nbits_tile *t, int bits, int rows, int zeros)
{
    size_t count = CHUNK / t->block_bytes;
    const __m256i spread =
        _mm256_srl_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm_cvtsi32_si128(__builtin_ctzll(LANES / count)));
    source s;
    set_source(t, &s);
    for (int r = 0; r < W; r++) {
        __m256 sum[ROWS];
        for (int m = 0; m < rows; m++) sum[m] = _mm256_setzero_ps();
        for (size_t c = 0; c < s.chunks; c++) {
            size_t first = c * count, left = t->blocks - first;
            chunk w = load_chunk(t, &s, r, c, bits);
            __m256i in = first_bits(left < count ? left : count);
            __m256 ws = _mm256_maskload_ps(t->scales + (size_t)r * t->block_rs + first, in);
            __m256i z = zeros ? load_zeros(t, r, first, count, spread) : _mm256_setzero_si256();
            ws = _mm256_permutevar8x32_ps(ws, spread);
            for (int m = 0; m < rows; m++) {
                __m256i acc = load_start(t->x + m, c, z, zeros);
                acc = chunk_dot(acc, w, t->x[m].q + c * (bits == 8 ? 32 : 64), bits);
                __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(t->x[m].lane_scales + c * LANES), ws);
                sum[m] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc), scale, sum[m]);
            }
        }
        for (int m = 0; m < rows; m++) t->out[m * W + r] = sum8(sum[m]);
    }
}

/* Blocks of whole chunks, one after the other. */
INLINE void large_blocks(const hone__nbits_tile *t, int bits, int rows)
{
    size_t per_block = (t->block_bytes + CHUNK - 1) / CHUNK, rs = t->block_rs;
    source s;
    __m128 sum[ROWS];
    set_source(t, &s);
#pragma GCC unroll 2
    for (int m = 0; m < rows; m++) sum[m] = _mm_setzero_ps();
    for (size_t b = 0, from = 0; b < t->blocks; b++, from += per_block) {
        size_t end = s.chunks - from < per_block ? s.chunks : from + per_block;
        __m256i acc[ROWS][W];
#pragma GCC unroll 8
        for (int i = 0; i < rows * W; i++) acc[i / W][i % W] = _mm256_setzero_si256();
        for (size_t c = from; c < end; c++)
#pragma GCC unroll 4
            for (int r = 0; r < W; r++) {
                chunk w = load_chunk(t, &s, r, c, bits);
#pragma GCC unroll 2
                for (int m = 0; m < rows; m++)
                    acc[m][r] = chunk_dot(acc[m][r], w, t->x[m].q + c * (bits == 8 ? 32 : 64), bits);
            }
        const float *p = t->scales + b;
        __m128 ws = _mm_setr_ps(p[0], p[rs], p[2 * rs], p[3 * rs]);
#pragma GCC unroll 2
        for (int m = 0; m < rows; m++) {
            __m256i all = quads(acc[m]);
            __m128i v = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
            __m128i start = _mm_set1_epi32(t->x[m].block_starts[b]);
            if (t->zeros) {
                const int32_t *z = t->zeros + b;
                start = _mm_mullo_epi32(start, _mm_setr_epi32(-z[0], -z[rs], -z[2 * rs], -z[3 * rs]));
            }
            __m128 scaled = _mm_mul_ps(_mm_cvtepi32_ps(_mm_add_epi32(v, start)), _mm_set1_ps(t->x[m].scales[b]));
            sum[m] = _mm_add_ps(sum[m], _mm_mul_ps(scaled, ws));
        }
    }
#pragma GCC unroll 2
    for (int m = 0; m < rows; m++) _mm_storeu_ps(t->out + m * W, sum[m]);
}

#define SMALL(BITS, R, ZEROS)                \
    {                                        \
        if (t->block_bytes == CHUNK / 2)     \
            small_blocks(t, BITS, R, ZEROS); \
        else                                 \
            tiny_blocks(t, BITS, R, ZEROS);  \
    }

#define FORMS(R)                                             \
    static void rows_##R(const hone__nbits_tile *t)          \
    {                                                        \
        int small = t->block_bytes < CHUNK && t->blocks > 1; \
        if (small && t->bits == 4 && !t->zeros)              \
            SMALL(4, R, 0)                                   \
        else if (small && t->bits == 4)                      \
            SMALL(4, R, 1)                                   \
        else if (small && !t->zeros)                         \
            SMALL(8, R, 0)                                   \
        else if (small)                                      \
            SMALL(8, R, 1)                                   \
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
