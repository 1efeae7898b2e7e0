/* pool_parts.h: the line operations under pooling. */
#ifndef HONE_KERNELS_POOL_PARTS_H
#define HONE_KERNELS_POOL_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

typedef struct hone__pool_table {
    void (*max_into_f32)(const float *x, float *y, size_t n); /* y = max(y, x); NaN wins */
    void (*pair_max_f32)(const float *x, float *y, size_t n); /* y[i] = max(x[2 i], x[2 i + 1]); y may be x */
    void (*add_into_f32)(const float *x, float *y, size_t n); /* y += x */
    void (*max_into_u8)(const uint8_t *x, uint8_t flip, uint8_t *y, size_t n); /* y = max(y, x ^ flip) */
    void (*pair_max_u8)(const uint8_t *x, uint8_t *y, size_t n);
    /* Windows of k x k elements side by side, k = 2 or 4: y: [rows, cols], x: rows x_rs apart. NULL: not on this tier.
     */
    void (*square_max_f32)(const float *x, size_t x_rs, size_t k, size_t rows, size_t cols, float *y);
    void (*square_max_u8)(const uint8_t *x, size_t x_rs, uint8_t flip, size_t k, size_t rows, size_t cols, uint8_t *y);
    double (*sum_f32)(const float *x, size_t n);
} hone__pool_table;

const hone__pool_table *hone__pool_table_of(hone__tier tier);
const hone__pool_table *hone__pool_parts(void);

void hone__max_into_f32_scalar(const float *x, float *y, size_t n);
void hone__pair_max_f32_scalar(const float *x, float *y, size_t n);
void hone__add_into_f32_scalar(const float *x, float *y, size_t n);
void hone__max_into_u8_scalar(const uint8_t *x, uint8_t flip, uint8_t *y, size_t n);
void hone__pair_max_u8_scalar(const uint8_t *x, uint8_t *y, size_t n);
double hone__sum_f32_scalar(const float *x, size_t n);

void hone__max_into_f32_avx2(const float *x, float *y, size_t n);
void hone__pair_max_f32_avx2(const float *x, float *y, size_t n);
void hone__add_into_f32_avx2(const float *x, float *y, size_t n);
void hone__max_into_u8_avx2(const uint8_t *x, uint8_t flip, uint8_t *y, size_t n);
void hone__pair_max_u8_avx2(const uint8_t *x, uint8_t *y, size_t n);

void hone__max_into_f32_avx512vnni(const float *x, float *y, size_t n);
void hone__pair_max_f32_avx512vnni(const float *x, float *y, size_t n);
void hone__add_into_f32_avx512vnni(const float *x, float *y, size_t n);
void hone__max_into_u8_avx512vnni(const uint8_t *x, uint8_t flip, uint8_t *y, size_t n);
void hone__pair_max_u8_avx512vnni(const uint8_t *x, uint8_t *y, size_t n);
void hone__square_max_f32_avx512vnni(const float *x, size_t x_rs, size_t k, size_t rows, size_t cols, float *y);
void hone__square_max_u8_avx512vnni(const uint8_t *x, size_t x_rs, uint8_t flip, size_t k, size_t rows, size_t cols,
                                    uint8_t *y);
double hone__sum_f32_avx512vnni(const float *x, size_t n);

#endif
