/* nbits_vex.h: one row of weights times up to four rows of activations in 256-bit registers, chunks of 32 bytes. The
 * including file defines NAME(f) and dot(acc, w unsigned, q signed, bits), exact for 8-bit and for 4-bit values. */
#include "kernels/nbits/nbits_parts.h"

enum { CHUNK = 32, LANES = 8, AHEAD = 2048 /* bytes of prefetch */, ROWS = HONE__NBITS_ROWS };

INLINE __m256i load256(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

INLINE __m256i first_bits(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : (int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE __m256i load_chunk(const hone__nbits_row *r, size_t c, __m256i flip)
{
    size_t at = c * CHUNK, left = r->bytes - at;
    _mm_prefetch((const char *)r->w + at + AHEAD, _MM_HINT_T0);
    if (left >= CHUNK) return _mm256_xor_si256(load256(r->w + at), flip);
    uint8_t bytes[CHUNK] = {0};
    memcpy(bytes, r->w + at, left);
    return _mm256_xor_si256(load256(bytes), flip);
}

INLINE __m256i chunk_dot(__m256i acc, __m256i w, const hone__nbits_x *x, size_t c, int bits)
{
    if (bits == 8) return dot(acc, w, load256(x->q + c * 32), 8);
    const __m256i low = _mm256_set1_epi8(15);
    acc = dot(acc, _mm256_and_si256(w, low), load256(x->q + c * 64), 4);
    return dot(acc, _mm256_and_si256(_mm256_srli_epi16(w, 4), low), load256(x->q + c * 64 + 32), 4);
}

INLINE __m256i lane_sums(const hone__nbits_x *x, size_t c) { return load256(x->sums + c * LANES); }

INLINE float sum8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* Several blocks in a chunk: `count` (a power of two) of them, LANES / count lanes each. */
INLINE void small_blocks(const hone__nbits_row *r, int bits, int rows)
{
    size_t chunks = (r->bytes + CHUNK - 1) / CHUNK, count = CHUNK / r->block_bytes;
    const __m256i flip = _mm256_set1_epi8((char)r->flip);
    __m256i spread =
        _mm256_srl_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm_cvtsi32_si128(__builtin_ctzll(LANES / count)));
    __m256 sum[ROWS];
    for (int m = 0; m < rows; m++) sum[m] = _mm256_setzero_ps();
    for (size_t c = 0; c < chunks; c++) {
        size_t first = c * count, left = r->blocks - first;
        __m256i in = first_bits(left < count ? left : count), w = load_chunk(r, c, flip);
        __m256i zero = _mm256_set1_epi32(r->zero);
        if (r->zeros) zero = _mm256_permutevar8x32_epi32(_mm256_maskload_epi32(r->zeros + first, in), spread);
        __m256 ws = _mm256_maskload_ps(r->scales + first, in);
        for (int m = 0; m < rows; m++) {
            __m256i acc = chunk_dot(_mm256_setzero_si256(), w, r->x + m, c, bits);
            acc = _mm256_sub_epi32(acc, _mm256_mullo_epi32(zero, lane_sums(r->x + m, c)));
            __m256 s = _mm256_mul_ps(_mm256_maskload_ps(r->x[m].scales + first, in), ws);
            s = _mm256_permutevar8x32_ps(s, spread);
            sum[m] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc), s, sum[m]);
        }
    }
    for (int m = 0; m < rows; m++) r->out[m] = sum8(sum[m]);
}

/* Blocks of whole chunks. */
INLINE void large_blocks(const hone__nbits_row *r, int bits, int rows)
{
    size_t chunks = (r->bytes + CHUNK - 1) / CHUNK, per_block = (r->block_bytes + CHUNK - 1) / CHUNK;
    const __m256i flip = _mm256_set1_epi8((char)r->flip);
    __m256 sum[ROWS];
    for (int m = 0; m < rows; m++) sum[m] = _mm256_setzero_ps();
    for (size_t b = 0; b < r->blocks; b++) {
        size_t c = b * per_block, end = chunks - c < per_block ? chunks : c + per_block;
        const __m256i zero = _mm256_set1_epi32(r->zeros ? r->zeros[b] : r->zero);
        __m256i acc[ROWS], off[ROWS];
        for (int m = 0; m < rows; m++) acc[m] = off[m] = _mm256_setzero_si256();
        for (; c < end; c++) {
            __m256i w = load_chunk(r, c, flip);
            for (int m = 0; m < rows; m++) {
                acc[m] = chunk_dot(acc[m], w, r->x + m, c, bits);
                off[m] = _mm256_add_epi32(off[m], lane_sums(r->x + m, c));
            }
        }
        for (int m = 0; m < rows; m++) {
            __m256i total = _mm256_sub_epi32(acc[m], _mm256_mullo_epi32(zero, off[m]));
            __m256 s = _mm256_set1_ps(r->x[m].scales[b] * r->scales[b]);
            sum[m] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(total), s, sum[m]);
        }
    }
    for (int m = 0; m < rows; m++) r->out[m] = sum8(sum[m]);
}

#define FORMS(R)                                             \
    static void rows_##R(const hone__nbits_row *r)           \
    {                                                        \
        int small = r->block_bytes < CHUNK && r->blocks > 1; \
        if (small && r->bits == 4)                           \
            small_blocks(r, 4, R);                           \
        else if (small)                                      \
            small_blocks(r, 8, R);                           \
        else if (r->bits == 4)                               \
            large_blocks(r, 4, R);                           \
        else                                                 \
            large_blocks(r, 8, R);                           \
    }
FORMS(1)
FORMS(2)
FORMS(3)
FORMS(4)

void NAME(hone__nbits_row)(const hone__nbits_row *r)
{
    static void (*const forms[ROWS])(const hone__nbits_row *) = {rows_1, rows_2, rows_3, rows_4};
    forms[r->rows - 1](r);
}
