/* gemm_avx2.c: matrix-vector parts and the 32-bit transpose in AVX2. */
#include <immintrin.h>
#include <string.h>

#include "kernels/gemm/gemm_parts.h"

#define INLINE static inline __attribute__((always_inline))

INLINE __m256i tail8(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

enum kind { F32, F16, BF16 };

INLINE __m256 widen(__m128i v, enum kind kind)
{
    if (kind == F16) return _mm256_cvtph_ps(v);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
}

/* Eight elements from `at` on. */
INLINE __m256 load(const void *p, size_t at, enum kind kind)
{
    if (kind == F32) return _mm256_loadu_ps((const float *)p + at);
    return widen(_mm_loadu_si128((const __m128i *)(const void *)((const uint16_t *)p + at)), kind);
}

/* n < 8 of them, zeros behind. */
INLINE __m256 load_tail(const void *p, size_t at, size_t n, enum kind kind)
{
    uint16_t part[8] = {0};
    if (kind == F32) return _mm256_maskload_ps((const float *)p + at, tail8(n));
    memcpy(part, (const uint16_t *)p + at, n * sizeof *part);
    return widen(_mm_loadu_si128((const __m128i *)(const void *)part), kind);
}

INLINE void axpy_rows(const float *a, size_t a_cs, const void *b, size_t at, size_t b_rs, size_t n, float *y, int rows,
                      enum kind kind)
{
    __m256 w[8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) w[r] = _mm256_set1_ps(a[(size_t)r * a_cs]);
    size_t j = 0;
    for (; j + 8 <= n; j += 8) {
        __m256 v = _mm256_loadu_ps(y + j);
        if (rows == 1) _mm_prefetch((const char *)b + (at + j) * (kind == F32 ? 4 : 2) + HONE__GEMM_AHEAD, _MM_HINT_T0);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) v = _mm256_fmadd_ps(w[r], load(b, at + (size_t)r * b_rs + j, kind), v);
        _mm256_storeu_ps(y + j, v);
    }
    if (j < n) {
        __m256i m = tail8(n - j);
        __m256 v = _mm256_maskload_ps(y + j, m);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
            v = _mm256_fmadd_ps(w[r], load_tail(b, at + (size_t)r * b_rs + j, n - j, kind), v);
        _mm256_maskstore_ps(y + j, m, v);
    }
}

/* Long rows one after the other, one linear stream from memory. */
INLINE void axpy(const float *a, size_t a_cs, const void *b, size_t b_rs, size_t k, size_t n, int hot, float *y,
                 enum kind kind)
{
    size_t i = 0;
    for (; (hot || n < HONE__GEMM_LONG_ROW) && i + 8 <= k; i += 8)
        axpy_rows(a + i * a_cs, a_cs, b, i * b_rs, b_rs, n, y, 8, kind);
    for (; i < k; i++) axpy_rows(a + i * a_cs, a_cs, b, i * b_rs, b_rs, n, y, 1, kind);
}

void hone__axpy_f32_avx2(const float *a, size_t a_cs, const float *b, size_t b_rs, size_t k, size_t n, int hot,
                         float *y)
{
    axpy(a, a_cs, b, b_rs, k, n, hot, y, F32);
}

void hone__axpy_16_avx2(const float *a, size_t a_cs, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t n,
                        int hot, float *y)
{
    if (bf16)
        axpy(a, a_cs, b, b_rs, k, n, hot, y, BF16);
    else
        axpy(a, a_cs, b, b_rs, k, n, hot, y, F16);
}

INLINE float sum8(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

INLINE void dot(const float *a, const void *b, size_t b_rs, size_t k, size_t rows, float *out, enum kind kind)
{
    for (size_t r = 0; r < rows; r++) {
        size_t at = r * b_rs, i = 0;
        __m256 acc[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
        for (; i + 32 <= k; i += 32) {
            const char *ahead = (const char *)b + (at + i) * (kind == F32 ? 4 : 2) + HONE__GEMM_AHEAD;
            _mm_prefetch(ahead, _MM_HINT_T0);
            if (kind == F32) _mm_prefetch(ahead + 64, _MM_HINT_T0);
#pragma GCC unroll 4
            for (size_t v = 0; v < 4; v++)
                acc[v] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8 * v), load(b, at + i + 8 * v, kind), acc[v]);
        }
        for (; i + 8 <= k; i += 8) acc[0] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), load(b, at + i, kind), acc[0]);
        if (i < k)
            acc[0] =
                _mm256_fmadd_ps(_mm256_maskload_ps(a + i, tail8(k - i)), load_tail(b, at + i, k - i, kind), acc[0]);
        out[r] = sum8(_mm256_add_ps(_mm256_add_ps(acc[0], acc[1]), _mm256_add_ps(acc[2], acc[3])));
    }
}

void hone__dot_f32_avx2(const float *a, const float *b, size_t b_rs, size_t k, size_t rows, float *out)
{
    dot(a, b, b_rs, k, rows, out, F32);
}

void hone__dot_16_avx2(const float *a, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t rows, float *out)
{
    if (bf16)
        dot(a, b, b_rs, k, rows, out, BF16);
    else
        dot(a, b, b_rs, k, rows, out, F16);
}

void hone__widen_16_avx2(const uint16_t *x, int bf16, size_t n, float *y)
{
    size_t i = 0;
    if (bf16)
        for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, load(x, i, BF16));
    else
        for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, load(x, i, F16));
    hone__widen_16_scalar(x + i, bf16, n - i, y + i);
}

static void transpose_8x8(const uint32_t *src, size_t src_rs, uint32_t *dst, size_t dst_rs)
{
    __m256 r[8], t[8];
    for (size_t i = 0; i < 8; i++) r[i] = _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)(src + i * src_rs)));
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int h = 0; h < 2; h++) {
        r[4 * h] = _mm256_shuffle_ps(t[4 * h], t[4 * h + 2], 0x44);
        r[4 * h + 1] = _mm256_shuffle_ps(t[4 * h], t[4 * h + 2], 0xee);
        r[4 * h + 2] = _mm256_shuffle_ps(t[4 * h + 1], t[4 * h + 3], 0x44);
        r[4 * h + 3] = _mm256_shuffle_ps(t[4 * h + 1], t[4 * h + 3], 0xee);
    }
    for (size_t i = 0; i < 4; i++) {
        __m256 low = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20), high = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
        _mm256_storeu_si256((__m256i *)(dst + i * dst_rs), _mm256_castps_si256(low));
        _mm256_storeu_si256((__m256i *)(dst + (i + 4) * dst_rs), _mm256_castps_si256(high));
    }
}

void hone__transpose_32_avx2(const uint32_t *src, size_t src_rs, size_t rows, size_t cols, uint32_t *dst, size_t dst_rs)
{
    size_t r8 = rows & ~(size_t)7, c8 = cols & ~(size_t)7;
    for (size_t c = 0; c < c8; c += 8)
        for (size_t r = 0; r < r8; r += 8) transpose_8x8(src + r * src_rs + c, src_rs, dst + c * dst_rs + r, dst_rs);
    hone__transpose_32_scalar(src + c8, src_rs, r8, cols - c8, dst + c8 * dst_rs, dst_rs);
    hone__transpose_32_scalar(src + r8 * src_rs, src_rs, rows - r8, cols, dst + r8, dst_rs);
}

enum { I8_ROWS = 16, I8_COLS = 32 }; /* of a block whose sums stay in registers */

/* Sums that unpacking left in the order of columns 0-3 16-19, 4-7 20-23, 8-11 24-27, 12-15 28-31. */
INLINE void add_columns(const __m256i *v, int32_t *y)
{
    __m256i *to = (__m256i *)(void *)y;
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        __m256i low = _mm256_permute2x128_si256(v[2 * i], v[2 * i + 1], 0x20);
        __m256i high = _mm256_permute2x128_si256(v[2 * i], v[2 * i + 1], 0x31);
        _mm256_storeu_si256(to + i, _mm256_add_epi32(_mm256_loadu_si256(to + i), low));
        _mm256_storeu_si256(to + 2 + i, _mm256_add_epi32(_mm256_loadu_si256(to + 2 + i), high));
    }
}

/* I8_COLS columns of 2 * pairs rows, made unsigned by `flips`; w: two rows' factors as int16 in a dword; `off` is what
 * the flip added to a column's sum of products, off_sum to its plain sum. */
INLINE void block_i8(const int32_t *w, size_t pairs, const uint8_t *b, size_t b_rs, __m256i flips, int32_t off,
                     int32_t off_sum, int32_t *y, int32_t *sums)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i acc[4], plain[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) acc[v] = _mm256_set1_epi32(-off), plain[v] = zero;
    for (size_t i = 0; i < pairs; i++, b += 2 * b_rs) {
        __m256i r0 = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)b), flips);
        __m256i r1 = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)(b + b_rs)), flips);
        __m256i low = _mm256_unpacklo_epi8(r0, r1), high = _mm256_unpackhi_epi8(r0, r1);
        __m256i pair[4] = {_mm256_unpacklo_epi8(low, zero), _mm256_unpackhi_epi8(low, zero),
                           _mm256_unpacklo_epi8(high, zero), _mm256_unpackhi_epi8(high, zero)};
        __m256i factor = _mm256_set1_epi32(w[i]);
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            acc[v] = _mm256_add_epi32(acc[v], _mm256_madd_epi16(pair[v], factor));
            if (sums) plain[v] = _mm256_add_epi16(plain[v], pair[v]); /* I8_ROWS / 2 bytes stay below 2^15 */
        }
    }
    add_columns(acc, y);
    if (!sums) return;
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++)
        plain[v] = _mm256_sub_epi32(_mm256_madd_epi16(plain[v], _mm256_set1_epi16(1)), _mm256_set1_epi32(off_sum));
    add_columns(plain, sums);
}

void hone__axpy_i8_avx2(const uint8_t *a, int a_unsigned, const uint8_t *b, size_t b_rs, uint8_t flip, size_t k,
                        size_t n, int32_t *y, int32_t *sums)
{
    /* b' is made unsigned: what is signed gains 128, which comes off again */
    const __m256i flips = _mm256_set1_epi8((char)(a_unsigned ? flip ^ 0x80 : flip));
    size_t whole = n / I8_COLS * I8_COLS, even = k & ~(size_t)1;
    for (size_t i = 0; i < even; i += I8_ROWS) {
        size_t rows = even - i < I8_ROWS ? even - i : I8_ROWS;
        int32_t w[I8_ROWS / 2], total = 0;
        for (size_t r = 0; r < rows; r += 2) {
            const uint8_t *p = a + i + r;
            int32_t w0 = a_unsigned ? p[0] : (int8_t)p[0], w1 = a_unsigned ? p[1] : (int8_t)p[1];
            w[r / 2] = (int32_t)((uint32_t)(w0 & 0xffff) | (uint32_t)w1 << 16);
            total += w0 + w1;
        }
        int32_t off = a_unsigned ? 128 * total : 0, off_sum = a_unsigned ? 128 * (int32_t)rows : 0;
        for (size_t j = 0; j < whole; j += I8_COLS) {
            if (sums)
                block_i8(w, rows / 2, b + i * b_rs + j, b_rs, flips, off, off_sum, y + j, sums + j);
            else
                block_i8(w, rows / 2, b + i * b_rs + j, b_rs, flips, off, off_sum, y + j, NULL);
        }
    }
    hone__axpy_i8_scalar(a, a_unsigned, b + whole, b_rs, flip, even, n - whole, y + whole, sums ? sums + whole : NULL);
    hone__axpy_i8_scalar(a + even, a_unsigned, b + even * b_rs, b_rs, flip, k - even, n, y, sums);
}

INLINE int32_t sum8_i32(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

INLINE __m256i widen_i8(const uint8_t *b, int b_signed)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)b);
    return b_signed ? _mm256_cvtepi8_epi16(v) : _mm256_cvtepu8_epi16(v);
}

INLINE void dot_columns(const int16_t *a, size_t a_rs, int columns, const uint8_t *b, int b_signed, size_t k,
                        int32_t *out)
{
    enum { VECTORS = 2 };
    __m256i acc[4][VECTORS];
    uint8_t tail[16 * VECTORS] = {0};
#pragma GCC unroll 4
    for (int c = 0; c < columns; c++) acc[c][0] = acc[c][1] = _mm256_setzero_si256();
    for (size_t i = 0; i < k; i += 16 * VECTORS) {
        const uint8_t *at = b + i;
        if (k - i < sizeof tail) at = memcpy(tail, at, k - i);
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; v++) {
            __m256i w = widen_i8(at + 16 * v, b_signed);
#pragma GCC unroll 4
            for (int c = 0; c < columns; c++) {
                const int16_t *x = a + (size_t)c * a_rs + i + 16 * v;
                __m256i pair = _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(const void *)x), w);
                acc[c][v] = _mm256_add_epi32(acc[c][v], pair);
            }
        }
    }
#pragma GCC unroll 4
    for (int c = 0; c < columns; c++) out[c] = sum8_i32(_mm256_add_epi32(acc[c][0], acc[c][1]));
}

void hone__dot_i8_avx2(const int16_t *a, size_t a_rs, size_t columns, const uint8_t *b, int b_signed, size_t k,
                       int32_t *out)
{
    for (; columns >= 4; columns -= 4, a += 4 * a_rs, out += 4)
        b_signed ? dot_columns(a, a_rs, 4, b, 1, k, out) : dot_columns(a, a_rs, 4, b, 0, k, out);
    for (; columns >= 2; columns -= 2, a += 2 * a_rs, out += 2)
        b_signed ? dot_columns(a, a_rs, 2, b, 1, k, out) : dot_columns(a, a_rs, 2, b, 0, k, out);
    if (columns) b_signed ? dot_columns(a, a_rs, 1, b, 1, k, out) : dot_columns(a, a_rs, 1, b, 0, k, out);
}
