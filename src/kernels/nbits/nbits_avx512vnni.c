/* nbits_avx512vnni.c: four rows of weights, read in place, times up to four rows of activations. Chunks of 64 bytes;
 * the integer sums of a lane are exact, lanes are scaled and added in fp32. */
#include <immintrin.h>

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

/* Bytes from what is read to what is fetched: the next tiles' rows. */
INLINE size_t fetch_ahead(const hone__nbits_tile *t)
{
    size_t ahead = W * t->bytes;
    while (ahead < 2048) ahead += W * t->bytes;
    return ahead;
}

/* One chunk of a row as unsigned values; 4-bit: the even ones and the odd ones. */
typedef struct chunk {
    __m512i v[2];
} chunk;

INLINE chunk load_chunk(const hone__nbits_tile *t, int r, size_t c, size_t ahead, int bits)
{
    size_t at = c * CHUNK, left = t->bytes - at;
    __mmask64 in = left >= CHUNK ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
    const uint8_t *from = t->w + (size_t)r * t->w_rs + at;
    __m512i w = _mm512_maskz_loadu_epi8(in, from);
    _mm_prefetch((const char *)from + ahead, _MM_HINT_T0);
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

/* Several blocks in a chunk: `count` (a power of two) of them, lanes / count lanes each. */
INLINE void small_blocks(const hone__nbits_tile *t, int bits, int rows, int zeros)
{
    size_t chunks = (t->bytes + CHUNK - 1) / CHUNK, count = CHUNK / t->block_bytes;
    __m512i spread = _mm512_srl_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                      _mm_cvtsi32_si128(__builtin_ctzll(LANES / count)));
    const size_t ahead = fetch_ahead(t);
    __m512 sum[ROWS][W];
    clear_sums(sum, rows);
    for (size_t c = 0; c < chunks; c++) {
        size_t first = c * count, left = t->blocks - first;
        __mmask16 in = (__mmask16)((1u << (left < count ? left : count)) - 1);
        chunk w[W];
        __m512 ws[W];
        __m512i z[W];
#pragma GCC unroll 4
        for (int r = 0; r < W; r++) {
            w[r] = load_chunk(t, r, c, ahead, bits);
            ws[r] =
                _mm512_permutexvar_ps(spread, _mm512_maskz_loadu_ps(in, t->scales + (size_t)r * t->block_rs + first));
            if (zeros)
                z[r] = _mm512_permutexvar_epi32(
                    spread, _mm512_maskz_loadu_epi32(in, t->zeros + (size_t)r * t->block_rs + first));
        }
#pragma GCC unroll 4
        for (int m = 0; m < rows; m++) {
            const hone__nbits_x *x = t->x + m;
            __m512i start = _mm512_loadu_si512(x->starts + c * LANES);
            __m512 xs = _mm512_loadu_ps(x->lane_scales + c * LANES);
            const int8_t *q = x->q + c * (bits == 8 ? 64 : 128);
#pragma GCC unroll 4
            for (int r = 0; r < W; r++) {
                __m512i acc = zeros ? _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_mullo_epi32(start, z[r])) : start;
                acc = chunk_dot(acc, w[r], q, bits);
                sum[m][r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), _mm512_mul_ps(xs, ws[r]), sum[m][r]);
            }
        }
    }
    store_sums(sum, rows, t->out);
}

/* Blocks of whole chunks. */
INLINE void large_blocks(const hone__nbits_tile *t, int bits, int rows)
{
    size_t chunks = (t->bytes + CHUNK - 1) / CHUNK, per_block = (t->block_bytes + CHUNK - 1) / CHUNK;
    const size_t ahead = fetch_ahead(t);
    __m512 sum[ROWS][W];
    clear_sums(sum, rows);
    for (size_t b = 0; b < t->blocks; b++) {
        size_t c = b * per_block, end = chunks - c < per_block ? chunks : c + per_block;
        __m512i acc[ROWS][W];
#pragma GCC unroll 4
        for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
            for (int r = 0; r < W; r++) {
                uint32_t start = (uint32_t)t->x[m].block_starts[b];
                if (t->zeros) start *= 0 - (uint32_t)t->zeros[(size_t)r * t->block_rs + b];
                acc[m][r] = _mm512_zextsi128_si512(_mm_cvtsi32_si128((int32_t)start));
            }
        for (; c < end; c++) {
            chunk w[W];
#pragma GCC unroll 4
            for (int r = 0; r < W; r++) w[r] = load_chunk(t, r, c, ahead, bits);
#pragma GCC unroll 4
            for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
                for (int r = 0; r < W; r++)
                    acc[m][r] = chunk_dot(acc[m][r], w[r], t->x[m].q + c * (bits == 8 ? 64 : 128), bits);
        }
#pragma GCC unroll 4
        for (int r = 0; r < W; r++) {
            float ws = t->scales[(size_t)r * t->block_rs + b];
#pragma GCC unroll 4
            for (int m = 0; m < rows; m++)
                sum[m][r] =
                    _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[m][r]), _mm512_set1_ps(t->x[m].scales[b] * ws), sum[m][r]);
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
