/* gemm_parts.h: the pieces of gemm that tiers speed up, besides the tiles. */
#ifndef HONE_KERNELS_GEMM_PARTS_H
#define HONE_KERNELS_GEMM_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* Weights that are read once come from memory: bytes from what is read to what is fetched. */
enum { HONE__GEMM_AHEAD = 12288, HONE__GEMM_LONG_ROW = 512 /* elements */ };

typedef struct hone__gemm_table {
    /* y[j] += sum_i a[i * a_cs] * b[i * b_rs + j] for j < n, in the order of i. hot: b is in a cache, not in memory. */
    void (*axpy_f32)(const float *a, size_t a_cs, const float *b, size_t b_rs, size_t k, size_t n, int hot, float *y);
    /* out[r] = sum_i a[i] * b[r * b_rs + i] for r < rows <= 4 */
    void (*dot_f32)(const float *a, const float *b, size_t b_rs, size_t k, size_t rows, float *out);
    /* The same from float16 or bfloat16. */
    void (*axpy_16)(const float *a, size_t a_cs, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t n, int hot,
                    float *y);
    void (*dot_16)(const float *a, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t rows, float *out);
    void (*widen_16)(const uint16_t *x, int bf16, size_t n, float *y);
    /* dst[c * dst_rs + r] = src[r * src_rs + c] for 32-bit elements */
    void (*transpose_32)(const uint32_t *src, size_t src_rs, size_t rows, size_t cols, uint32_t *dst, size_t dst_rs);
    /* y[j] += sum_i a[i] * b'[i, j], sums[j] += sum_i b'[i, j] (NULL = not wanted) with b' = b[i * b_rs + j] ^ flip; a
     * is unsigned and b' signed, or the other way round */
    void (*axpy_i8)(const uint8_t *a, int a_unsigned, const uint8_t *b, size_t b_rs, uint8_t flip, size_t k, size_t n,
                    int32_t *y, int32_t *sums);
    /* out[c] = sum_i a[c * a_rs + i] * b[i], modulo 2^32, for c < columns <= 4; every column of a is zero from k up to
     * the next multiple of HONE__DOT_STEP */
    void (*dot_i8)(const int16_t *a, size_t a_rs, size_t columns, const uint8_t *b, int b_signed, size_t k,
                   int32_t *out);
} hone__gemm_table;

enum { HONE__DOT_STEP = 64 };

const hone__gemm_table *hone__gemm_table_of(hone__tier tier);
const hone__gemm_table *hone__gemm_parts(void);

void hone__axpy_f32_scalar(const float *a, size_t a_cs, const float *b, size_t b_rs, size_t k, size_t n, int hot,
                           float *y);
void hone__dot_f32_scalar(const float *a, const float *b, size_t b_rs, size_t k, size_t rows, float *out);
void hone__axpy_16_scalar(const float *a, size_t a_cs, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t n,
                          int hot, float *y);
void hone__dot_16_scalar(const float *a, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t rows, float *out);
void hone__widen_16_scalar(const uint16_t *x, int bf16, size_t n, float *y);
void hone__transpose_32_scalar(const uint32_t *src, size_t src_rs, size_t rows, size_t cols, uint32_t *dst,
                               size_t dst_rs);
void hone__axpy_i8_scalar(const uint8_t *a, int a_unsigned, const uint8_t *b, size_t b_rs, uint8_t flip, size_t k,
                          size_t n, int32_t *y, int32_t *sums);

void hone__dot_i8_scalar(const int16_t *a, size_t a_rs, size_t columns, const uint8_t *b, int b_signed, size_t k,
                         int32_t *out);

void hone__axpy_f32_avx2(const float *a, size_t a_cs, const float *b, size_t b_rs, size_t k, size_t n, int hot,
                         float *y);
void hone__dot_f32_avx2(const float *a, const float *b, size_t b_rs, size_t k, size_t rows, float *out);
void hone__axpy_16_avx2(const float *a, size_t a_cs, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t n,
                        int hot, float *y);
void hone__dot_16_avx2(const float *a, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t rows, float *out);
void hone__widen_16_avx2(const uint16_t *x, int bf16, size_t n, float *y);
void hone__transpose_32_avx2(const uint32_t *src, size_t src_rs, size_t rows, size_t cols, uint32_t *dst,
                             size_t dst_rs);
void hone__transpose_32_avx512vnni(const uint32_t *src, size_t src_rs, size_t rows, size_t cols, uint32_t *dst,
                                   size_t dst_rs);
void hone__axpy_i8_avx2(const uint8_t *a, int a_unsigned, const uint8_t *b, size_t b_rs, uint8_t flip, size_t k,
                        size_t n, int32_t *y, int32_t *sums);

void hone__dot_i8_avx2(const int16_t *a, size_t a_rs, size_t columns, const uint8_t *b, int b_signed, size_t k,
                       int32_t *out);

void hone__axpy_f32_avx512vnni(const float *a, size_t a_cs, const float *b, size_t b_rs, size_t k, size_t n, int hot,
                               float *y);
void hone__dot_f32_avx512vnni(const float *a, const float *b, size_t b_rs, size_t k, size_t rows, float *out);
void hone__axpy_16_avx512vnni(const float *a, size_t a_cs, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t n,
                              int hot, float *y);
void hone__dot_16_avx512vnni(const float *a, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t rows,
                             float *out);
void hone__axpy_i8_avx512vnni(const uint8_t *a, int a_unsigned, const uint8_t *b, size_t b_rs, uint8_t flip, size_t k,
                              size_t n, int32_t *y, int32_t *sums);
void hone__dot_i8_avx512vnni(const int16_t *a, size_t a_rs, size_t columns, const uint8_t *b, int b_signed, size_t k,
                             int32_t *out);

#endif
