/* nbits.h: y = x . W^T with W stored as com.microsoft MatMulNBits stores it, read in place.
 * Weight value = (stored - zero point) * scale of its (row, block). */
#ifndef HONE_KERNELS_NBITS_H
#define HONE_KERNELS_NBITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/threads.h"
#include "kernels/epilogue.h"

typedef struct hone__nbits {
    size_t m, n, k;
    int bits;         /* 4 (low nibble first) or 8; with fp32 activations 2, too */
    size_t block;     /* power of two >= 16; 0: one scale per row and w is [n, k * bits / 8 rounded up], no padding */
    int w_signed;     /* bits == 8 only: two's complement weights with zero point 0 */
    const uint8_t *w; /* [n, ceil(k / block), block * bits / 8]; bytes after column k may hold anything */
    const float *scales;        /* [n, ceil(k / block)] */
    const uint8_t *zero_points; /* [n, ceil(blocks * bits / 8)], low nibble first; NULL = 2^(bits-1) */
    /* For fp32 activations only: */
    const float *float_zeros; /* [n, ceil(k / block)], instead of zero_points; or NULL */
    const int32_t *groups;    /* [k]: the block whose scale and zero point a column has, in [0, blocks); or NULL */
    const float *x;
    size_t x_rs; /* x: [m, k], rows x_rs apart */
    float *y;
    size_t y_rs;
    hone__epilogue ep; /* bias[n], slope[n]; residual rows y_rs apart */
} hone__nbits_args;

/* Activations become int8 per (row, block), symmetric: scale = max|x| / 127, round half to even (a block of zeros:
 * scale 0; a NaN or Inf in a block makes that block's scale NaN). int32 dot per block, exact; y = sum over blocks of
 * acc * (x scale * w scale), added in fp32 in an order fixed per tier. A row's bits depend neither on m nor on the
 * threads. */
size_t hone__nbits_scratch(const hone__nbits_args *g, int threads);
void hone__nbits(const hone__nbits_args *g, void *scratch, hone__pool *pool);

/* The same with fp32 activations (accuracy_level 0): weights dequantised on the way. */
void hone__nbits_float(const hone__nbits_args *g, hone__pool *pool);

#endif
