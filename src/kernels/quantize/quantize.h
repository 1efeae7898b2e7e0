/* quantize.h: fp32 <-> int8 exactly as ONNX defines it. */
#ifndef HONE_KERNELS_QUANTIZE_H
#define HONE_KERNELS_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

#include "base/threads.h"

/* Smallest and largest of n values, NaN ignored. Nothing but NaN (or n == 0): lo = hi = 0. */
void hone__minmax_f32(const float *x, size_t n, float *lo, float *hi, hone__pool *pool);

/* out = saturate(round_half_even(x / scale) + zp): a true division. NaN gives saturate(zp). */
void hone__quantize_u8(const float *x, size_t n, float scale, int32_t zp, uint8_t *out, hone__pool *pool);
void hone__quantize_s8(const float *x, size_t n, float scale, int32_t zp, int8_t *out, hone__pool *pool);

/* y = (float)(x - zp) * scale */
void hone__dequantize_u8(const uint8_t *x, size_t n, float scale, int32_t zp, float *y, hone__pool *pool);
void hone__dequantize_s8(const int8_t *x, size_t n, float scale, int32_t zp, float *y, hone__pool *pool);
void hone__dequantize_i32(const int32_t *x, size_t n, float scale, int32_t zp, float *y, hone__pool *pool);

/* y = saturate(round_half_even(v / scale[2]) + zp[2]) with v = clip((x[0] - zp[0]) * scale[0] + (x[1] - zp[1]) *
 * scale[1]) to [lo, hi] (infinities: not at all), every step in fp32. n bytes each; NaN gives zp[2]. */
typedef struct hone__add_bytes_args {
    const uint8_t *x[2];
    uint8_t *y;
    int is_signed[3];
    float scale[3];
    int32_t zp[3]; /* in the range of their type */
    float lo, hi;
} hone__add_bytes_args;

void hone__add_bytes(const hone__add_bytes_args *args, size_t n, hone__pool *pool);

/* DynamicQuantizeLinear's scale and zero point from minmax: lo = min(lo, 0), hi = max(hi, 0), scale = (hi - lo) / 255,
 * zp = saturate(round_half_even(-lo / scale)); scale is 1 and zp 0 where hi == lo. */
void hone__dynamic_params_u8(float lo, float hi, float *scale, int32_t *zp);

/* One row of k values in blocks of `block` (0 = one block): q[i] = clamp(round_half_even(x / scale), -127, 127) with
 * scale = max|x| / 127 per block, computed as x * (127 / max|x|); scale 0 and zeros for a block of zeros; a block with
 * NaN or Inf gets scale NaN. q has room for k rounded up to `block` (padding is zero); scales [blocks]; sums [blocks] =
 * sum of q, NULL = not wanted. */
void hone__quantize_row_s8(const float *x, size_t k, size_t block, int8_t *q, float *scales, int32_t *sums);

#endif
