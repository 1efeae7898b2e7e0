/* convert.c: half-precision formats <-> fp32, bit by bit. */
#include "kernels/convert/convert.h"

#include <string.h>

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static uint32_t to_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

float hone__f16_to_f32_one(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3ff;
    if (exponent == 31) return from_bits(sign | 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0));
    if (exponent) return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    float v = (float)mantissa * 5.9604644775390625e-8f; /* 2^-24 */
    return sign ? -v : v;
}

uint16_t hone__f32_to_f16_one(float f)
{
    uint32_t u = to_bits(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); /* rounds to 2^16 or more */
    if (a < 0x38800000u) {                                  /* a subnormal: the sum rounds at 2^-24 */
        float v = from_bits(a) + 0.5f;
        return (uint16_t)(sign | (to_bits(v) - 0x3f000000u));
    }
    uint32_t r = a + 0xfff + (a >> 13 & 1);
    return (uint16_t)(sign | (r - 0x38000000u) >> 13);
}

float hone__bf16_to_f32_one(uint16_t h) { return from_bits((uint32_t)h << 16); }

uint16_t hone__f32_to_bf16_one(float f)
{
    uint32_t u = to_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

void hone__f16_to_f32(const uint16_t *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = hone__f16_to_f32_one(x[i]);
}

void hone__f32_to_f16(const float *x, uint16_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = hone__f32_to_f16_one(x[i]);
}

void hone__bf16_to_f32(const uint16_t *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = hone__bf16_to_f32_one(x[i]);
}

void hone__f32_to_bf16(const float *x, uint16_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = hone__f32_to_bf16_one(x[i]);
}
