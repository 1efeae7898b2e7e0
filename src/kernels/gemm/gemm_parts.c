/* gemm_parts.c: the parts in plain C, and the choice of the tier's. */
#include "kernels/gemm/gemm_parts.h"

#include <string.h>

#include "kernels/convert/convert.h"
#include "kernels/dispatch.h"

void hone__axpy_f32_scalar(const float *a, size_t a_cs, const float *b, size_t b_rs, size_t k, size_t n, int hot,
                           float *y)
{
    (void)hot;
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < n; j++) y[j] += a[i * a_cs] * b[i * b_rs + j];
}

void hone__dot_f32_scalar(const float *a, const float *b, size_t b_rs, size_t k, size_t rows, float *out)
{
    for (size_t r = 0; r < rows; r++) {
        float sum = 0;
        for (size_t i = 0; i < k; i++) sum += a[i] * b[r * b_rs + i];
        out[r] = sum;
    }
}

void hone__widen_16_scalar(const uint16_t *x, int bf16, size_t n, float *y)
{
    if (bf16)
        hone__bf16_to_f32(x, y, n);
    else
        hone__f16_to_f32(x, y, n);
}

static float widen(uint16_t v, int bf16) { return bf16 ? hone__bf16_to_f32_one(v) : hone__f16_to_f32_one(v); }

void hone__axpy_16_scalar(const float *a, size_t a_cs, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t n,
                          int hot, float *y)
{
    (void)hot;
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < n; j++) y[j] += a[i * a_cs] * widen(b[i * b_rs + j], bf16);
}

void hone__dot_16_scalar(const float *a, const uint16_t *b, int bf16, size_t b_rs, size_t k, size_t rows, float *out)
{
    for (size_t r = 0; r < rows; r++) {
        float sum = 0;
        for (size_t i = 0; i < k; i++) sum += a[i] * widen(b[r * b_rs + i], bf16);
        out[r] = sum;
    }
}

void hone__transpose_32_scalar(const uint32_t *src, size_t src_rs, size_t rows, size_t cols, uint32_t *dst,
                               size_t dst_rs)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) memcpy(dst + c * dst_rs + r, src + r * src_rs + c, 4); /* any alignment */
}

void hone__axpy_i8_scalar(const uint8_t *a, int a_unsigned, const uint8_t *b, size_t b_rs, uint8_t flip, size_t k,
                          size_t n, int32_t *y, int32_t *sums)
{
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < n; j++) {
            uint8_t v = b[i * b_rs + j] ^ flip;
            int32_t p = a_unsigned ? a[i] * (int8_t)v : (int8_t)a[i] * v;
            y[j] = (int32_t)((uint32_t)y[j] + (uint32_t)p);
            if (sums) sums[j] = (int32_t)((uint32_t)sums[j] + (uint32_t)(a_unsigned ? (int8_t)v : v));
        }
}

void hone__dot_i8_scalar(const int16_t *a, size_t a_rs, size_t columns, const uint8_t *b, int b_signed, size_t k,
                         int32_t *out)
{
    for (size_t c = 0; c < columns; c++) {
        uint32_t sum = 0;
        for (size_t i = 0; i < k; i++) sum += (uint32_t)(a[c * a_rs + i] * (b_signed ? (int8_t)b[i] : b[i]));
        out[c] = (int32_t)sum;
    }
}

static const hone__gemm_table scalar = {
    .axpy_f32 = hone__axpy_f32_scalar,
    .dot_f32 = hone__dot_f32_scalar,
    .axpy_16 = hone__axpy_16_scalar,
    .dot_16 = hone__dot_16_scalar,
    .widen_16 = hone__widen_16_scalar,
    .transpose_32 = hone__transpose_32_scalar,
    .axpy_i8 = hone__axpy_i8_scalar,
    .dot_i8 = hone__dot_i8_scalar,
};

static hone__gemm_table tables[HONE__TIERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (int tier = 0; tier < HONE__TIERS; tier++) {
        hone__gemm_table *t = &tables[tier];
        *t = scalar;
#if defined(__x86_64__)
#define HONE_VARIANT(from, slot, value) \
    if (tier >= (from)) t->slot = (value);
#include "kernels/gemm/variants_x86.def"
#undef HONE_VARIANT
#endif
    }
}

const hone__gemm_table *hone__gemm_table_of(hone__tier tier)
{
    pthread_once(&once, build);
    return &tables[hone__tier_slot(tier)];
}

const hone__gemm_table *hone__gemm_parts(void) { return hone__gemm_table_of(hone__cpu_tier()); }
