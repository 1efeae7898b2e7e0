/* gemm.h: matrix products in fp32 and int8, every shape through one entry each.
 * Element (i, j) of a matrix with strides rs, cs lies at p[i * rs + j * cs]; rows of c are contiguous.
 * The result's bits depend on the arguments and the instruction tier only, not on the number of threads. */
#ifndef HONE_KERNELS_GEMM_H
#define HONE_KERNELS_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "base/threads.h"
#include "kernels/epilogue.h"

/* c[m, n] = ep(alpha * a[m, k] . b[k, n]). k == 0 gives ep(0). c must not overlap a or b.
 * Tolerance: |error| <= (k + 8) * 2^-24 * sum |a * b|. */
typedef struct hone__gemm_f32 {
    size_t m, n, k;
    const float *a;
    size_t a_rs, a_cs;
    const float *b;
    /* float16 or, with b_bf16, bfloat16 in place of b; NULL: b. The bits are those of b widened, except where the tier
     * multiplies pairs of bfloat16: then with m > 1 a is rounded to bfloat16, which adds up to 2^-8 * sum |a * b|. */
    const uint16_t *b16;
    int b_bf16;
    size_t b_rs, b_cs; /* row-major [k, n]: b_rs = n, b_cs = 1. [n, k] rows: b_rs = 1, b_cs = k */
    float *c;
    size_t c_rs;
    float alpha;
    int bias_per_row;  /* 0: ep.bias and ep.slope are [n]; 1: [m] */
    hone__epilogue ep; /* residual has rows of c_rs */
} hone__gemm_f32_args;

size_t hone__gemm_f32_scratch(const hone__gemm_f32_args *g, int threads); /* bytes, a function of shapes and strides */
void hone__gemm_f32(const hone__gemm_f32_args *g, void *scratch /* 64-byte aligned */, hone__pool *pool);

/* MatMulInteger: acc[m, n] = sum_k (a - a_zp) * (b - b_zp), exact modulo 2^32 on every tier.
 * Exactly one output: c_i32 = acc, or c_f32 = ep((float)acc * a_scale * b_scale). */
typedef struct hone__gemm_i8 {
    size_t m, n, k;
    const void *a; /* int8 or uint8 */
    int a_signed;
    size_t a_rs, a_cs;
    const void *b;
    int b_signed;
    size_t b_rs, b_cs;
    const int32_t *a_zp; /* [1] or [m]; NULL = 0 */
    int a_zp_per_row;
    const int32_t *b_zp; /* [1] or [n]; NULL = 0 */
    int b_zp_per_col;
    int32_t *c_i32;
    float *c_f32;
    size_t c_rs;
    const float *a_scale; /* [1] or [m]; NULL = 1 */
    int a_scale_per_row;
    const float *b_scale; /* [1] or [n]; NULL = 1 */
    int b_scale_per_col;
    int bias_per_row;
    hone__epilogue ep; /* c_f32 only */
} hone__gemm_i8_args;

size_t hone__gemm_i8_scratch(const hone__gemm_i8_args *g, int threads);
void hone__gemm_i8(const hone__gemm_i8_args *g, void *scratch, hone__pool *pool);

#endif
