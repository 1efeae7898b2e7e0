/* convert.h: half-precision formats <-> fp32. Down-conversion rounds to nearest even; NaN stays NaN (made quiet). */
#ifndef HONE_KERNELS_CONVERT_H
#define HONE_KERNELS_CONVERT_H

#include <stddef.h>
#include <stdint.h>

float hone__f16_to_f32_one(uint16_t h);
uint16_t hone__f32_to_f16_one(float f);
float hone__bf16_to_f32_one(uint16_t h);
uint16_t hone__f32_to_bf16_one(float f);

void hone__f16_to_f32(const uint16_t *x, float *y, size_t n);
void hone__f32_to_f16(const float *x, uint16_t *y, size_t n);
void hone__bf16_to_f32(const uint16_t *x, float *y, size_t n);
void hone__f32_to_bf16(const float *x, uint16_t *y, size_t n);

#endif
