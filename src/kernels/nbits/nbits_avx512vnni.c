/* nbits_avx512vnni.c: four rows of weights, read in place, times up to four rows of activations. Chunks of 64 bytes;
 * the integer sums of a lane are exact, lanes are scaled and added in fp32. */
#include <immintrin.h>
#include <string.h>

#include "kernels/nbits/nbits_parts.h"

#define INLINE static inline __attribute__((always_inline))
enum { CHUNK = 64, LANES = 16, ROWS = HONE__NBITS_ROWS, W = HONE__NBITS_WEIGHT_ROWS };

void hone__nbits_arrange_avx512vnni(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums)
{
    const __m512i ones = _mm512_set1_epi8(1), zero = _mm512_setzero_si512();
    for (size_t c = 0; c < chunks; c++, sums += LANES) {
        __m512i a = _mm512_loadu_si512(q), b;
        q += 64;
        if (bits == 8) {
            _mm512_storeu_si512(to, a);
            _mm512_storeu_si512(sums, _mm512_dpbusd_epi32(zero, ones, a));
            to += 64;
            continue;
        }
        b = _mm512_loadu_si512(q);
        q += 64;
        __m512i even = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)), _mm512_cvtepi16_epi8(b), 1);
        __m512i odd = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(_mm512_srli_epi16(a, 8))),
                                         _mm512_cvtepi16_epi8(_mm512_srli_epi16(b, 8)), 1);
        _mm512_storeu_si512(to, even);
        _mm512_storeu_si512(to + 64, odd);
        _mm512_storeu_si512(sums, _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, ones, even), ones, odd));
        to += 128;
    }
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
    __m512i v[2];
} chunk;

INLINE chunk load_chunk(const hone__nbits_tile *t, const source *s, int r, size_t c, int bits)
{
    const uint8_t *from = t->w + (size_t)r * t->w_rs + c * CHUNK;
    _mm_prefetch((const char *)from + s->ahead, _MM_HINT_T0);
    __m512i w = _mm512_loadu_si512(c < s->whole ? from : s->tail[r]);
    if (bits == 8) return (chunk){{_mm512_xor_si512(w, _mm512_set1_epi8((char)t->flip)), w}};
    const __m512i low = _mm512_set1_epi8(15);
    return (chunk){{_mm512_and_si512(w, low), _mm512_and_si512(_mm512_srli_epi16(w, 4), low)}};
}

INLINE __m512i chunk_dot(__m512i acc, chunk w, const int8_t *q, int bits)
{
    acc = _mm512_dpbusd_epi32(acc, w.v[0], _mm512_loadu_si512(q));
    return bits == 8 ? acc : _mm512_dpbusd_epi32(acc, w.v[1], _mm512_loadu_si512(q + 64));
}

/* Of four vectors, the sum of each four lanes: [r0, r1, r2, r3] in every 128 bits. */
INLINE __m512i quads(const __m512i *acc)
{
    __m512i s01 = _mm512_add_epi32(_mm512_unpacklo_epi32(acc[0], acc[1]), _mm512_unpackhi_epi32(acc[0], acc[1]));
    __m512i s23 = _mm512_add_epi32(_mm512_unpacklo_epi32(acc[2], acc[3]), _mm512_unpackhi_epi32(acc[2], acc[3]));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(s01, s23), _mm512_unpackhi_epi64(s01, s23));
}

/* The first four of n numbers. */
INLINE __m128 load_some(const float *p, size_t n)
{
    return n >= 4 ? _mm_loadu_ps(p) : _mm_maskz_loadu_ps((__mmask8)((1u << n) - 1), p);
}

/* Four rows' scales of the blocks of a chunk, as quads lays out their sums: `order` is theirs. */
INLINE __m512 chunk_scales(const hone__nbits_tile *t, size_t first, __m512i order)
{
    const float *p = t->scales + first;
    size_t left = t->blocks - first;
    __m512 v = _mm512_castps128_ps512(load_some(p, left));
    v = _mm512_insertf32x4(v, load_some(p + t->block_rs, left), 1);
    v = _mm512_insertf32x4(v, load_some(p + 2 * t->block_rs, left), 2);
    v = _mm512_insertf32x4(v, load_some(p + 3 * t->block_rs, left), 3);
    return _mm512_permutexvar_ps(order, v);
}

INLINE __m512i load_zeros(const hone__nbits_tile *t, int r, size_t first, size_t count, __m512i spread)
{
    size_t left = t->blocks - first;
    __mmask16 in = (__mmask16)((1u << (left < count ? left : count)) - 1);
    return _mm512_permutexvar_epi32(spread, _mm512_maskz_loadu_epi32(in, t->zeros + (size_t)r * t->block_rs + first));
}

/* What a lane's sum starts at. */
INLINE __m512i load_start(const hone__nbits_x *x, size_t c, __m512i z, int zeros)
{
    __m512i start = _mm512_loadu_si512(x->starts + c * LANES);
    return zeros ? _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_mullo_epi32(start, z)) : start;
}

/* Lane i of a vector belongs to block i / (lanes of a block). */
INLINE __m512i block_of_lane(size_t count)
{
    return _mm512_srl_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                            _mm_cvtsi32_si128(__builtin_ctzll(LANES / count)));
}

/* `count` blocks of whole quads in a chunk, 2 or 4: the blocks at each place in a chunk are summed by themselves. */
INLINE void small_blocks(const hone__nbits_tile *t, int bits, int rows, int zeros, size_t count)
{
    const __m512i spread = block_of_lane(count);
    const __m512i order = count == 4 ? _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)
                                     : _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 1, 5, 9, 13, 1, 5, 9, 13);
    source s;
    __m512 sum[ROWS];
    set_source(t, &s);
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++) sum[m] = _mm512_setzero_ps();
    for (size_t c = 0; c < s.chunks; c++) {
        __m512i acc[ROWS][W];
#pragma GCC unroll 4
        for (int r = 0; r < W; r++) {
            chunk w = load_chunk(t, &s, r, c, bits);
            __m512i z = zeros ? load_zeros(t, r, c * count, count, spread) : _mm512_setzero_si512();
#pragma GCC unroll 4
            for (int m = 0; m < rows; m++)
                acc[m][r] =
                    chunk_dot(load_start(t->x + m, c, z, zeros), w, t->x[m].q + c * (bits == 8 ? 64 : 128), bits);
        }
        __m512 ws = chunk_scales(t, c * count, order);
#pragma GCC unroll 4
        for (int m = 0; m < rows; m++) {
            __m512i v = quads(acc[m]);
            if (count == 2) v = _mm512_add_epi32(v, _mm512_shuffle_i32x4(v, v, 0xb1));
            __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_loadu_ps(t->x[m].lane_scales + c * LANES));
            sum[m] = _mm512_add_ps(sum[m], _mm512_mul_ps(scaled, ws));
        }
    }
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++) {
        __m128 p0 = _mm512_castps512_ps128(sum[m]), p1 = _mm512_extractf32x4_ps(sum[m], 1),
               p2 = _mm512_extractf32x4_ps(sum[m], 2), p3 = _mm512_extractf32x4_ps(sum[m], 3);
        _mm_storeu_ps(t->out + m * W,
                      count == 2 ? _mm_add_ps(p0, p2) : _mm_add_ps(_mm_add_ps(p0, p1), _mm_add_ps(p2, p3)));
    }
}

/* Blocks of less than a quad. */
INLINE void tiny_blocks(const hone__nbits_tile *t, int bits, int rows, int zeros)
{
    size_t count = CHUNK / t->block_bytes;
    const __m512i spread = block_of_lane(count);
    source s;
    set_source(t, &s);
    for (int r = 0; r < W; r++) {
        __m512 sum[ROWS];
        for (int m = 0; m < rows; m++) sum[m] = _mm512_setzero_ps();
        for (size_t c = 0; c < s.chunks; c++) {
            size_t first = c * count, left = t->blocks - first;
            chunk w = load_chunk(t, &s, r, c, bits);
            __mmask16 in = (__mmask16)((1u << (left < count ? left : count)) - 1);
            __m512 ws = _mm512_maskz_loadu_ps(in, t->scales + (size_t)r * t->block_rs + first);
            __m512i z = zeros ? load_zeros(t, r, first, count, spread) : _mm512_setzero_si512();
            ws = _mm512_permutexvar_ps(spread, ws);
            for (int m = 0; m < rows; m++) {
                __m512i acc = load_start(t->x + m, c, z, zeros);
                acc = chunk_dot(acc, w, t->x[m].q + c * (bits == 8 ? 64 : 128), bits);
                __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(t->x[m].lane_scales + c * LANES), ws);
                sum[m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), scale, sum[m]);
            }
        }
        for (int m = 0; m < rows; m++) t->out[m * W + r] = _mm512_reduce_add_ps(sum[m]);
    }
}

/* Blocks of whole chunks, one after the other. */
INLINE void large_blocks(const hone__nbits_tile *t, int bits, int rows)
{
    size_t per_block = (t->block_bytes + CHUNK - 1) / CHUNK, rs = t->block_rs;
    source s;
    __m128 sum[ROWS];
    set_source(t, &s);
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++) sum[m] = _mm_setzero_ps();
    for (size_t b = 0, from = 0; b < t->blocks; b++, from += per_block) {
        size_t end = s.chunks - from < per_block ? s.chunks : from + per_block;
        __m512i acc[ROWS][W];
#pragma GCC unroll 4
        for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
            for (int r = 0; r < W; r++) acc[m][r] = _mm512_setzero_si512();
        for (size_t c = from; c < end; c++)
#pragma GCC unroll 4
            for (int r = 0; r < W; r++) {
                chunk w = load_chunk(t, &s, r, c, bits);
#pragma GCC unroll 4
                for (int m = 0; m < rows; m++)
                    acc[m][r] = chunk_dot(acc[m][r], w, t->x[m].q + c * (bits == 8 ? 64 : 128), bits);
            }
        const float *p = t->scales + b;
        __m128 ws = _mm_setr_ps(p[0], p[rs], p[2 * rs], p[3 * rs]);
#pragma GCC unroll 4
        for (int m = 0; m < rows; m++) {
            __m512i all = quads(acc[m]);
            __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
            __m128i v = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
            __m128i start = _mm_set1_epi32(t->x[m].block_starts[b]);
            if (t->zeros) {
                const int32_t *z = t->zeros + b;
                start = _mm_mullo_epi32(start, _mm_setr_epi32(-z[0], -z[rs], -z[2 * rs], -z[3 * rs]));
            }
            __m128 scaled = _mm_mul_ps(_mm_cvtepi32_ps(_mm_add_epi32(v, start)), _mm_set1_ps(t->x[m].scales[b]));
            sum[m] = _mm_add_ps(sum[m], _mm_mul_ps(scaled, ws));
        }
    }
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++) _mm_storeu_ps(t->out + m * W, sum[m]);
}

#define SMALL(BITS, R, ZEROS)                   \
    {                                           \
        if (t->block_bytes == CHUNK / 4)        \
            small_blocks(t, BITS, R, ZEROS, 4); \
        else if (t->block_bytes == CHUNK / 2)   \
            small_blocks(t, BITS, R, ZEROS, 2); \
        else                                    \
            tiny_blocks(t, BITS, R, ZEROS);     \
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
FORMS(3)
FORMS(4)

void hone__nbits_tile_avx512vnni(const hone__nbits_tile *t)
{
    static void (*const forms[ROWS])(const hone__nbits_tile *) = {rows_1, rows_2, rows_3, rows_4};
    forms[t->rows - 1](t);
}
