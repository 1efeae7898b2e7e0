/* quantize.c: fp32 <-> int8. */
#include "kernels/quantize/quantize.h"

#include <math.h>
#include <string.h>

void hone__minmax_f32(const float *x, size_t n, float *lo, float *hi, hone__pool *pool)
{
    float l = INFINITY, h = -INFINITY;
    (void)pool;
    for (size_t i = 0; i < n; i++) {
        if (x[i] < l) l = x[i];
        if (x[i] > h) h = x[i];
    }
    *lo = l > h ? 0 : l;
    *hi = l > h ? 0 : h;
}

static int32_t quantize(float v, int32_t zp, int32_t lo, int32_t hi)
{
    if (isnan(v)) return zp < lo ? lo : zp > hi ? hi : zp;
    v = rintf(v) + (float)zp;
    return v<(float)lo ? lo : v>(float) hi ? hi : (int32_t)v;
}

void hone__quantize_u8(const float *x, size_t n, float scale, int32_t zp, uint8_t *out, hone__pool *pool)
{
    (void)pool;
    for (size_t i = 0; i < n; i++) out[i] = (uint8_t)quantize(x[i] / scale, zp, 0, 255);
}

void hone__quantize_s8(const float *x, size_t n, float scale, int32_t zp, int8_t *out, hone__pool *pool)
{
    (void)pool;
    for (size_t i = 0; i < n; i++) out[i] = (int8_t)quantize(x[i] / scale, zp, -128, 127);
}

void hone__dequantize_u8(const uint8_t *x, size_t n, float scale, int32_t zp, float *y, hone__pool *pool)
{
    (void)pool;
    for (size_t i = 0; i < n; i++) y[i] = (float)(x[i] - zp) * scale;
}

void hone__dequantize_s8(const int8_t *x, size_t n, float scale, int32_t zp, float *y, hone__pool *pool)
{
    (void)pool;
    for (size_t i = 0; i < n; i++) y[i] = (float)(x[i] - zp) * scale;
}

void hone__dequantize_i32(const int32_t *x, size_t n, float scale, int32_t zp, float *y, hone__pool *pool)
{
    (void)pool;
    for (size_t i = 0; i < n; i++) y[i] = (float)((int64_t)x[i] - zp) * scale;
}

void hone__dynamic_params_u8(float lo, float hi, float *scale, int32_t *zp)
{
    if (lo > 0) lo = 0;
    if (hi < 0) hi = 0;
    *scale = 1;
    *zp = 0;
    if (lo == hi) return;
    *scale = (hi - lo) / 255.0f;
    float z = rintf(-lo / *scale);
    *zp = z < 0 ? 0 : z > 255 ? 255 : z == z ? (int32_t)z : 0;
}

static void quantize_block(const float *x, size_t n, int8_t *q, float *scale, int32_t *sum)
{
    float top = 0;
    int bad = 0;
    for (size_t i = 0; i < n; i++) {
        float v = fabsf(x[i]);
        if (!(v <= 3.4028235e38f)) bad = 1;
        if (v > top) top = v;
    }
    int32_t total = 0;
    float inv = 127.0f / top;
    *scale = bad ? NAN : top / 127.0f;
    if (bad || top == 0 || isinf(inv)) {
        if (!bad) *scale = 0;
        memset(q, 0, n);
    } else {
        for (size_t i = 0; i < n; i++) {
            int32_t v = (int32_t)rintf(x[i] * inv);
            v = v > 127 ? 127 : v < -127 ? -127 : v;
            q[i] = (int8_t)v;
            total += v;
        }
    }
    if (sum) *sum = total;
}

void hone__quantize_row_s8(const float *x, size_t k, size_t block, int8_t *q, float *scales, int32_t *sums)
{
    if (!block) block = k ? k : 1;
    for (size_t b = 0, at = 0; at < k; b++, at += block) {
        size_t n = k - at < block ? k - at : block;
        quantize_block(x + at, n, q + at, scales + b, sums ? sums + b : NULL);
        if (n < block) memset(q + at + n, 0, block - n);
    }
}
