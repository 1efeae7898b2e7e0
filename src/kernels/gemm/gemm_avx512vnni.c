/* gemm_avx512vnni.c: matrix-vector parts in AVX-512. */
#include <immintrin.h>
#include <string.h>

#include "kernels/gemm/gemm_parts.h"

#define INLINE static inline __attribute__((always_inline))

INLINE __mmask16 tail16(size_t n) { return (__mmask16)((1u << n) - 1); }

enum kind { F32, F16, BF16 };

/* 16 numbers of the given kind from element `at` on; those outside `in` are neither read nor other than zero. */
INLINE __m512 load(const void *b, size_t at, __mmask16 in, enum kind kind)
{
    if (kind == F32) return _mm512_maskz_loadu_ps(in, (const float *)b + at);
    __m256i half = _mm256_maskz_loadu_epi16(in, (const uint16_t *)b + at);
    if (kind == F16) return _mm512_cvtph_ps(half);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/* y[j..j + 16) += the sum over the rows of a times b, one after the other: the bits of any other grouping of rows. */
INLINE void axpy_step(const __m512 *w, const void *b, size_t at, size_t b_rs, __mmask16 in, float *y, int rows,
                      enum kind kind)
{
    __m512 v = _mm512_maskz_loadu_ps(in, y);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        size_t from = at + (size_t)r * b_rs, next = rows == 1 ? HONE__GEMM_AHEAD : 8 * b_rs * (kind == F32 ? 4 : 2);
        _mm_prefetch((const char *)b + from * (kind == F32 ? 4 : 2) + next, _MM_HINT_T0);
        v = _mm512_fmadd_ps(w[r], load(b, from, in, kind), v);
    }
    _mm512_mask_storeu_ps(y, in, v);
}

/* R rows of b at once; y stays in the first-level cache. */
INLINE void axpy_rows(const float *a, size_t a_cs, const void *b, size_t at, size_t b_rs, size_t n, float *y, int rows,
                      enum kind kind)
{
    __m512 w[8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) w[r] = _mm512_set1_ps(a[(size_t)r * a_cs]);
    size_t j = 0;
    for (; j + 16 <= n; j += 16) axpy_step(w, b, at + j, b_rs, 0xffff, y + j, rows, kind);
    if (j < n) axpy_step(w, b, at + j, b_rs, tail16(n - j), y + j, rows, kind);
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

void hone__axpy_f32_avx512vnni(const float *a, size_t a_cs, const float *b, size_t b_rs, size_t k, size_t n, int hot,
                               float *y)
{
    axpy(a, a_cs, b, b_rs, k, n, hot, y, F32);
}

void hone__axpy_16_avx512vnni(const float *a, size_t a_cs, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t n,
                              int hot, float *y)
{
    if (bf16)
        axpy(a, a_cs, b, b_rs, k, n, hot, y, BF16);
    else
        axpy(a, a_cs, b, b_rs, k, n, hot, y, F16);
}

/* Row after row, one linear stream: rows side by side come from memory more slowly. */
INLINE void dots(const float *a, const void *b, size_t b_rs, size_t k, size_t rows, float *out, enum kind kind)
{
    for (size_t r = 0; r < rows; r++) {
        size_t at = r * b_rs, i = 0;
        __m512 acc[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
        for (; i + 64 <= k; i += 64) {
            const char *ahead = (const char *)b + (at + i) * (kind == F32 ? 4 : 2) + HONE__GEMM_AHEAD;
#pragma GCC unroll 4
            for (size_t v = 0; v < 4; v++) {
                if (kind == F32 || v % 2 == 0) _mm_prefetch(ahead + v * (kind == F32 ? 64 : 32), _MM_HINT_T0);
                acc[v] =
                    _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16 * v), load(b, at + i + 16 * v, 0xffff, kind), acc[v]);
            }
        }
        for (; i < k; i += 16) {
            __mmask16 m = k - i >= 16 ? 0xffff : tail16(k - i);
            acc[0] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(m, a + i), load(b, at + i, m, kind), acc[0]);
        }
        out[r] = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(acc[0], acc[1]), _mm512_add_ps(acc[2], acc[3])));
    }
}

void hone__dot_f32_avx512vnni(const float *a, const float *b, size_t b_rs, size_t k, size_t rows, float *out)
{
    dots(a, b, b_rs, k, rows, out, F32);
}

void hone__dot_16_avx512vnni(const float *a, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t rows,
                             float *out)
{
    if (bf16)
        dots(a, b, b_rs, k, rows, out, BF16);
    else
        dots(a, b, b_rs, k, rows, out, F16);
}

INLINE __m512i dot(__m512i acc, __m512i w, __m512i x, int a_unsigned)
{
    return a_unsigned ? _mm512_dpbusd_epi32(acc, w, x) : _mm512_dpbusd_epi32(acc, x, w);
}

/* Four rows of 64 bytes become four vectors of dwords; VPERMD first, so that results come in lane order. */
INLINE void interleave(const __m512i *row, __m512i *out)
{
    __m512i lo01 = _mm512_unpacklo_epi8(row[0], row[1]), hi01 = _mm512_unpackhi_epi8(row[0], row[1]);
    __m512i lo23 = _mm512_unpacklo_epi8(row[2], row[3]), hi23 = _mm512_unpackhi_epi8(row[2], row[3]);
    out[0] = _mm512_unpacklo_epi16(lo01, lo23);
    out[1] = _mm512_unpackhi_epi16(lo01, lo23);
    out[2] = _mm512_unpacklo_epi16(hi01, hi23);
    out[3] = _mm512_unpackhi_epi16(hi01, hi23);
}

INLINE __m512i word(const uint8_t *a, size_t count)
{
    uint8_t bytes[4] = {0};
    for (size_t i = 0; i < count; i++) bytes[i] = a[i];
    int32_t w;
    memcpy(&w, bytes, 4);
    return _mm512_set1_epi32(w);
}

/* k <= 16 rows of at most 64 columns. */
INLINE void block_i8(const __m512i *w, const uint8_t *b, size_t b_rs, __m512i flip, size_t k, size_t n, int32_t *y,
                     int32_t *sums, int a_unsigned)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i ones = _mm512_set1_epi8(1);
    __mmask64 in = n >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << n) - 1;
    __m512i acc[4], sum[4];
    __mmask16 part[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
        part[v] = (__mmask16)(in >> (16 * v));
        acc[v] = _mm512_maskz_loadu_epi32(part[v], y + 16 * v);
        sum[v] = sums ? _mm512_maskz_loadu_epi32(part[v], sums + 16 * v) : _mm512_setzero_si512();
    }
    for (size_t g = 0; g * 4 < k; g++) {
        __m512i row[4], x[4];
#pragma GCC unroll 4
        for (size_t r = 0; r < 4; r++) {
            const uint8_t *p = b + (g * 4 + r) * b_rs;
            if (g * 4 + r < k) {
                _mm_prefetch((const char *)p + 16 * b_rs, _MM_HINT_T0);
                row[r] = _mm512_maskz_mov_epi8(in, _mm512_xor_si512(_mm512_maskz_loadu_epi8(in, p), flip));
                row[r] = _mm512_permutexvar_epi32(order, row[r]);
            } else {
                row[r] = _mm512_setzero_si512();
            }
        }
        interleave(row, x);
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) acc[v] = dot(acc[v], w[g], x[v], a_unsigned);
        if (!sums) continue;
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) sum[v] = dot(sum[v], ones, x[v], a_unsigned);
    }
#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
        _mm512_mask_storeu_epi32(y + 16 * v, part[v], acc[v]);
        if (sums) _mm512_mask_storeu_epi32(sums + 16 * v, part[v], sum[v]);
    }
}

void hone__axpy_i8_avx512vnni(const uint8_t *a, int a_unsigned, const uint8_t *b, size_t b_rs, uint8_t flip, size_t k,
                              size_t n, int32_t *y, int32_t *sums)
{
    const __m512i flips = _mm512_set1_epi8((char)flip);
    for (size_t i = 0; i < k; i += 16) {
        size_t rows = k - i < 16 ? k - i : 16;
        __m512i w[4];
        for (size_t g = 0; g < 4; g++) {
            size_t at = g * 4;
            w[g] = at >= rows ? _mm512_setzero_si512() : word(a + i + at, rows - at < 4 ? rows - at : 4);
        }
        const uint8_t *base = b + i * b_rs;
        for (size_t j = 0; j < n; j += 64) {
            size_t cols = n - j < 64 ? n - j : 64;
            int32_t *s = sums ? sums + j : NULL;
            if (rows == 16 && a_unsigned && s)
                block_i8(w, base + j, b_rs, flips, 16, cols, y + j, s, 1);
            else if (rows == 16 && a_unsigned)
                block_i8(w, base + j, b_rs, flips, 16, cols, y + j, NULL, 1);
            else if (a_unsigned)
                block_i8(w, base + j, b_rs, flips, rows, cols, y + j, s, 1);
            else
                block_i8(w, base + j, b_rs, flips, rows, cols, y + j, s, 0);
        }
    }
}

/* The word `first` + 3 i of three successive vectors, for i < 16. */
INLINE __m512i every_third(const __m512i *v, int first)
{
    const __m512i steps = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45);
    __m512i at = _mm512_add_epi32(steps, _mm512_set1_epi32(first));
    __mmask16 behind = _mm512_cmpge_epi32_mask(at, _mm512_set1_epi32(32));
    __m512i w = _mm512_permutex2var_epi32(v[0], at, v[1]);
    return _mm512_mask_permutexvar_epi32(w, behind, at, v[2]);
}

/* Pixels of three words that lie side by side are taken apart in registers. */
void hone__transpose_32_avx512vnni(const uint32_t *src, size_t src_rs, size_t rows, size_t cols, uint32_t *dst,
                                   size_t dst_rs)
{
    size_t whole = cols == 3 && src_rs == 3 ? rows & ~(size_t)15 : 0;
    for (size_t r = 0; r < whole; r += 16) {
        const uint32_t *p = src + 3 * r;
        const __m512i v[3] = {_mm512_loadu_si512(p), _mm512_loadu_si512(p + 16), _mm512_loadu_si512(p + 32)};
        _mm512_storeu_si512(dst + r, every_third(v, 0));
        _mm512_storeu_si512(dst + dst_rs + r, every_third(v, 1));
        _mm512_storeu_si512(dst + 2 * dst_rs + r, every_third(v, 2));
    }
    if (whole < rows) hone__transpose_32_avx2(src + whole * src_rs, src_rs, rows - whole, cols, dst + whole, dst_rs);
}

INLINE __m512i widen_i8(const uint8_t *b, int b_signed)
{
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)b);
    return b_signed ? _mm512_cvtepi8_epi16(v) : _mm512_cvtepu8_epi16(v);
}

INLINE void dot_columns(const int16_t *a, size_t a_rs, int columns, const uint8_t *b, int b_signed, size_t k,
                        int32_t *out)
{
    enum { VECTORS = 2 };
    __m512i acc[4][VECTORS];
    uint8_t tail[32 * VECTORS] = {0};
#pragma GCC unroll 4
    for (int c = 0; c < columns; c++) acc[c][0] = acc[c][1] = _mm512_setzero_si512();
    for (size_t i = 0; i < k; i += 32 * VECTORS) {
        const uint8_t *at = b + i;
        if (k - i < sizeof tail) at = memcpy(tail, at, k - i);
#pragma GCC unroll 2
        for (int v = 0; v < VECTORS; v++) {
            __m512i w = widen_i8(at + 32 * v, b_signed);
#pragma GCC unroll 4
            for (int c = 0; c < columns; c++)
                acc[c][v] = _mm512_dpwssd_epi32(acc[c][v], _mm512_loadu_si512(a + (size_t)c * a_rs + i + 32 * v), w);
        }
    }
#pragma GCC unroll 4
    for (int c = 0; c < columns; c++) out[c] = _mm512_reduce_add_epi32(_mm512_add_epi32(acc[c][0], acc[c][1]));
}

void hone__dot_i8_avx512vnni(const int16_t *a, size_t a_rs, size_t columns, const uint8_t *b, int b_signed, size_t k,
                             int32_t *out)
{
    for (; columns >= 4; columns -= 4, a += 4 * a_rs, out += 4)
        b_signed ? dot_columns(a, a_rs, 4, b, 1, k, out) : dot_columns(a, a_rs, 4, b, 0, k, out);
    for (; columns >= 2; columns -= 2, a += 2 * a_rs, out += 2)
        b_signed ? dot_columns(a, a_rs, 2, b, 1, k, out) : dot_columns(a, a_rs, 2, b, 0, k, out);
    if (columns) b_signed ? dot_columns(a, a_rs, 1, b, 1, k, out) : dot_columns(a, a_rs, 1, b, 0, k, out);
}
