/* nbits_avx512vnni.c: four rows of weights, read in place, times up to four rows of activations. Chunks of 64 bytes;
 * the integer sums of a lane are exact, lanes are scaled and added in fp32. */
#include <immintrin.h>
#include <string.h>

#include "kernels/nbits/nbits_parts.h"

#define INLINE static inline __attribute__((always_inline))
enum {
    CHUNK = 64,
    LANES = 16,
    AHEAD = 12288 /* bytes of prefetch */,
    ROWS = HONE__NBITS_ROWS,
    W = HONE__NBITS_WEIGHT_ROWS
};

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

/* The sums of four vectors side by side: each always in the same order. */
INLINE void store_sums(__m512 (*sum)[W], int rows, float *out)
{
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++) {
        __m256 half[W];
#pragma GCC unroll 4
        for (int r = 0; r < W; r++)
            half[r] = _mm256_add_ps(_mm512_castps512_ps256(sum[m][r]), _mm512_extractf32x8_ps(sum[m][r], 1));
        __m256 v = _mm256_hadd_ps(_mm256_hadd_ps(half[0], half[1]), _mm256_hadd_ps(half[2], half[3]));
        _mm_storeu_ps(out + m * W, _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1)));
    }
}

INLINE void clear_sums(__m512 (*sum)[W], int rows)
{
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int r = 0; r < W; r++) sum[m][r] = _mm512_setzero_ps();
}

/* The first eight of n numbers, zeros behind them. */
INLINE __m512 load_some(const float *p, size_t n)
{
    if (n >= 8) return _mm512_zextps256_ps512(_mm256_loadu_ps(p));
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

/* Several blocks in a chunk: `count` (a power of two) of them, lanes / count lanes each. */
INLINE void small_blocks(const hone__nbits_tile *t, int bits, int rows, int zeros)
{
    size_t count = CHUNK / t->block_bytes;
    const __m512i spread = _mm512_srl_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                            _mm_cvtsi32_si128(__builtin_ctzll(LANES / count)));
    source s;
    __m512 sum[ROWS][W];
    set_source(t, &s);
    clear_sums(sum, rows);
    for (size_t c = 0; c < s.chunks; c++) {
        size_t first = c * count, left = t->blocks - first;
#pragma GCC unroll 4
        for (int r = 0; r < W; r++) {
            size_t at = (size_t)r * t->block_rs + first;
            chunk w = load_chunk(t, &s, r, c, bits);
            __m512 ws = _mm512_permutexvar_ps(spread, load_some(t->scales + at, left));
            __m512i z = _mm512_setzero_si512();
            if (zeros) {
                __mmask16 in = (__mmask16)((1u << (left < count ? left : count)) - 1);
                z = _mm512_permutexvar_epi32(spread, _mm512_maskz_loadu_epi32(in, t->zeros + at));
            }
#pragma GCC unroll 4
            for (int m = 0; m < rows; m++) {
                const hone__nbits_x *x = t->x + m;
                __m512i acc = _mm512_loadu_si512(x->starts + c * LANES);
                if (zeros) acc = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_mullo_epi32(acc, z));
                acc = chunk_dot(acc, w, x->q + c * (bits == 8 ? 64 : 128), bits);
                __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(x->lane_scales + c * LANES), ws);
                sum[m][r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), scale, sum[m][r]);
            }
        }
    }
    store_sums(sum, rows, t->out);
}

/* Blocks of whole chunks. */
INLINE void large_blocks(const hone__nbits_tile *t, int bits, int rows)
{
    size_t per_block = (t->block_bytes + CHUNK - 1) / CHUNK;
    source s;
    __m512 sum[ROWS][W];
    set_source(t, &s);
    clear_sums(sum, rows);
    for (size_t b = 0, from = 0; b < t->blocks; b++, from += per_block) {
        size_t end = s.chunks - from < per_block ? s.chunks : from + per_block;
        __m512i acc[ROWS][W];
#pragma GCC unroll 4
        for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
            for (int r = 0; r < W; r++) {
                uint32_t start = (uint32_t)t->x[m].block_starts[b];
                if (t->zeros) start *= 0 - (uint32_t)t->zeros[(size_t)r * t->block_rs + b];
                acc[m][r] = _mm512_zextsi128_si512(_mm_cvtsi32_si128((int32_t)start));
            }
        for (size_t c = from; c < end; c++)
#pragma GCC unroll 4
            for (int r = 0; r < W; r++) {
                chunk w = load_chunk(t, &s, r, c, bits);
#pragma GCC unroll 4
                for (int m = 0; m < rows; m++)
                    acc[m][r] = chunk_dot(acc[m][r], w, t->x[m].q + c * (bits == 8 ? 64 : 128), bits);
            }
#pragma GCC unroll 4
        for (int r = 0; r < W; r++) {
            float ws = t->scales[(size_t)r * t->block_rs + b];
#pragma GCC unroll 4
            for (int m = 0; m < rows; m++) {
                __m512 scale = _mm512_set1_ps(t->x[m].scales[b] * ws);
                sum[m][r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[m][r]), scale, sum[m][r]);
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
FORMS(3)
FORMS(4)

void hone__nbits_tile_avx512vnni(const hone__nbits_tile *t)
{
    static void (*const forms[ROWS])(const hone__nbits_tile *) = {rows_1, rows_2, rows_3, rows_4};
    forms[t->rows - 1](t);
}
