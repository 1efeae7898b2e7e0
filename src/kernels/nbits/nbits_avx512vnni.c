/* nbits_avx512vnni.c: one row of weights, read once in one linear stream, times up to four rows of activations.
 * Chunks of 64 bytes; the integer sums of a lane are exact, lanes are scaled and added in fp32. */
#include <immintrin.h>

#include "kernels/nbits/nbits_parts.h"

#define INLINE static inline __attribute__((always_inline))
enum { CHUNK = 64, LANES = 16, AHEAD = 2048 /* bytes of prefetch */, ROWS = HONE__NBITS_ROWS };

void hone__nbits_arrange_avx512vnni(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums)
{
    (void)sums; /* the sums of whole blocks are enough here */
    for (size_t c = 0; c < chunks; c++) {
        __m512i a = _mm512_loadu_si512(q), b;
        q += 64;
        if (bits == 8) {
            _mm512_storeu_si512(to, a);
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
        to += 128;
    }
}

/* acc + one chunk of weights (masked at the row's end) times x's chunk c. */
INLINE __m512i chunk_dot(__m512i acc, __m512i w, const hone__nbits_x *x, size_t c, int bits)
{
    if (bits == 8) return _mm512_dpbusd_epi32(acc, w, _mm512_loadu_si512(x->q + c * 64));
    const __m512i low = _mm512_set1_epi8(15);
    acc = _mm512_dpbusd_epi32(acc, _mm512_and_si512(w, low), _mm512_loadu_si512(x->q + c * 128));
    w = _mm512_and_si512(_mm512_srli_epi16(w, 4), low);
    return _mm512_dpbusd_epi32(acc, w, _mm512_loadu_si512(x->q + c * 128 + 64));
}

INLINE __m512i load_chunk(const hone__nbits_row *r, size_t c, __m512i flip)
{
    size_t at = c * CHUNK, left = r->bytes - at;
    _mm_prefetch((const char *)r->w + at + AHEAD, _MM_HINT_T0);
    if (left >= CHUNK) return _mm512_xor_si512(_mm512_loadu_si512(r->w + at), flip);
    return _mm512_xor_si512(_mm512_maskz_loadu_epi8(((__mmask64)1 << left) - 1, r->w + at), flip);
}

/* Several blocks in a chunk: `count` (a power of two) of them, lanes / count lanes each. */
INLINE void small_blocks(const hone__nbits_row *r, int bits, int rows, int zeros)
{
    size_t chunks = (r->bytes + CHUNK - 1) / CHUNK, count = CHUNK / r->block_bytes;
    const __m512i flip = _mm512_set1_epi8((char)r->flip);
    int lanes_log = __builtin_ctzll(LANES / count);
    __m512i spread = _mm512_srl_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                      _mm_cvtsi32_si128(lanes_log));
    __mmask16 heads = (__mmask16)(count == 8 ? 0x5555 : count == 4 ? 0x1111 : 0x0101);
    __m512 sum[ROWS][2];
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++) sum[m][0] = sum[m][1] = _mm512_setzero_ps();
    for (size_t c = 0; c < chunks; c++) {
        size_t first = c * count, left = r->blocks - first;
        __mmask16 in = (__mmask16)((1u << (left < count ? left : count)) - 1);
        __m512i w = load_chunk(r, c, flip);
        __m512 ws = _mm512_maskz_loadu_ps(in, r->scales + first);
        __m512i z = zeros ? _mm512_maskz_loadu_epi32(in, r->zeros + first) : _mm512_setzero_si512();
#pragma GCC unroll 4
        for (int m = 0; m < rows; m++) {
            __m512i acc = chunk_dot(_mm512_setzero_si512(), w, r->x + m, c, bits);
            __m512i off = _mm512_maskz_loadu_epi32(in, r->x[m].block_sums + first);
            if (zeros) off = _mm512_mullo_epi32(off, z);
            acc = _mm512_sub_epi32(acc, _mm512_maskz_expand_epi32(heads, off)); /* in a block's first lane */
            __m512 s = _mm512_mul_ps(_mm512_maskz_loadu_ps(in, r->x[m].scales + first), ws);
            s = _mm512_permutexvar_ps(spread, s);
            sum[m][0] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), s, sum[m][0]);
        }
    }
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++) r->out[m] = _mm512_reduce_add_ps(_mm512_add_ps(sum[m][0], sum[m][1]));
}

/* Blocks of whole chunks. */
INLINE void large_blocks(const hone__nbits_row *r, int bits, int rows)
{
    size_t chunks = (r->bytes + CHUNK - 1) / CHUNK, per_block = (r->block_bytes + CHUNK - 1) / CHUNK;
    const __m512i flip = _mm512_set1_epi8((char)r->flip);
    __m512 sum[ROWS];
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++) sum[m] = _mm512_setzero_ps();
    for (size_t b = 0; b < r->blocks; b++) {
        size_t c = b * per_block, end = chunks - c < per_block ? chunks : c + per_block;
        __m512i acc[ROWS][2];
#pragma GCC unroll 4
        for (int m = 0; m < rows; m++) acc[m][0] = acc[m][1] = _mm512_setzero_si512();
        for (; c + 2 <= end; c += 2) {
            __m512i w = load_chunk(r, c, flip), v = load_chunk(r, c + 1, flip);
#pragma GCC unroll 4
            for (int m = 0; m < rows; m++) {
                acc[m][0] = chunk_dot(acc[m][0], w, r->x + m, c, bits);
                acc[m][1] = chunk_dot(acc[m][1], v, r->x + m, c + 1, bits);
            }
        }
        if (c < end) {
            __m512i w = load_chunk(r, c, flip);
#pragma GCC unroll 4
            for (int m = 0; m < rows; m++) { acc[m][0] = chunk_dot(acc[m][0], w, r->x + m, c, bits); }
        }
#pragma GCC unroll 4
        for (int m = 0; m < rows; m++) {
            uint32_t off = (uint32_t)r->x[m].block_sums[b] * (uint32_t)(r->zeros ? r->zeros[b] : 1);
            __m512i total = _mm512_add_epi32(acc[m][0], acc[m][1]);
            total = _mm512_sub_epi32(total, _mm512_zextsi128_si512(_mm_cvtsi32_si128((int32_t)off)));
            __m512 s = _mm512_set1_ps(r->x[m].scales[b] * r->scales[b]);
            sum[m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), s, sum[m]);
        }
    }
#pragma GCC unroll 4
    for (int m = 0; m < rows; m++) r->out[m] = _mm512_reduce_add_ps(sum[m]);
}

#define FORMS(R)                                             \
    static void rows_##R(const hone__nbits_row *r)           \
    {                                                        \
        int small = r->block_bytes < CHUNK && r->blocks > 1; \
        if (small && r->bits == 4 && !r->zeros)              \
            small_blocks(r, 4, R, 0);                        \
        else if (small && r->bits == 4)                      \
            small_blocks(r, 4, R, 1);                        \
        else if (small && !r->zeros)                         \
            small_blocks(r, 8, R, 0);                        \
        else if (small)                                      \
            small_blocks(r, 8, R, 1);                        \
        else if (r->bits == 4)                               \
            large_blocks(r, 4, R);                           \
        else                                                 \
            large_blocks(r, 8, R);                           \
    }
FORMS(1)
FORMS(2)
FORMS(3)
FORMS(4)

void hone__nbits_row_avx512vnni(const hone__nbits_row *r)
{
    static void (*const forms[ROWS])(const hone__nbits_row *) = {rows_1, rows_2, rows_3, rows_4};
    forms[r->rows - 1](r);
}
