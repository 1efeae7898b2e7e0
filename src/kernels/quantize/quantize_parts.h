/* quantize_parts.h: the loops of quantize that tiers speed up. Every tier gives the same bits. */
#ifndef HONE_KERNELS_QUANTIZE_PARTS_H
#define HONE_KERNELS_QUANTIZE_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "kernels/quantize/quantize.h"

typedef struct hone__quantize_table {
    void (*minmax)(const float *x, size_t n, float *lo, float *hi); /* widens [*lo, *hi]; NaN is ignored */
    /* out = clamp(round(x / scale), lo - zp, hi - zp) + zp as a byte; NaN gives zp, which lies in [lo, hi] */
    void (*to_bytes)(const float *x, size_t n, float scale, int32_t zp, int32_t lo, int32_t hi, uint8_t *out);
    void (*from_bytes)(const uint8_t *x, int is_signed, size_t n, float scale, int32_t zp, float *y);
    /* largest |x|; *finite = 0 where a NaN or Inf is among them */
    float (*magnitude)(const float *x, size_t n, int *finite);
    /* q = clamp(round(x * inv), -127, 127); the sum of q */
    int32_t (*scaled)(const float *x, size_t n, float inv, int8_t *q);
    void (*add_bytes)(const hone__add_bytes_args *a, size_t from, size_t n); /* elements [from, from + n) */
} hone__quantize_table;

const hone__quantize_table *hone__quantize_table_of(hone__tier tier);

#define HONE__QUANTIZE_TIER(tier)                                                                               \
    void hone__minmax_##tier(const float *x, size_t n, float *lo, float *hi);                                   \
    void hone__to_bytes_##tier(const float *x, size_t n, float scale, int32_t zp, int32_t lo, int32_t hi,       \
                               uint8_t *out);                                                                   \
    void hone__from_bytes_##tier(const uint8_t *x, int is_signed, size_t n, float scale, int32_t zp, float *y); \
    float hone__magnitude_##tier(const float *x, size_t n, int *finite);                                        \
    int32_t hone__scaled_##tier(const float *x, size_t n, float inv, int8_t *q);                                \
    void hone__add_bytes_##tier(const hone__add_bytes_args *a, size_t from, size_t n);
HONE__QUANTIZE_TIER(scalar)
HONE__QUANTIZE_TIER(avx2)
HONE__QUANTIZE_TIER(avx512vnni)
#undef HONE__QUANTIZE_TIER

#endif
