/* conv.h: convolutions over NCHW activations with OIHW weights, 1 to 3 spatial axes, weights used as stored. */
#ifndef HONE_KERNELS_CONV_H
#define HONE_KERNELS_CONV_H

#include <stddef.h>
#include <stdint.h>

#include "base/threads.h"
#include "kernels/epilogue.h"

/* out[] is given by the caller and may be anything: what reads outside the input reads padding. groups divides in_c and
 * out_c. Strides and dilations >= 1; every extent >= 1 (batch may be 0). */
typedef struct hone__conv_shape {
    size_t batch, groups, in_c, out_c;
    int rank; /* 1..3 */
    size_t in[3], out[3], kernel[3], stride[3], dilation[3];
    size_t pad[3]; /* before the first element */
} hone__conv_shape;

/* x: [batch, in_c, in...], w: [out_c, in_c / groups, kernel...], y: [batch, out_c, out...]; a channel of ep is an
 * output channel. Tolerance as gemm_f32 with k = in_c / groups * kernel. */
size_t hone__conv_f32_scratch(const hone__conv_shape *s, int threads);
void hone__conv_f32(const hone__conv_shape *s, const float *x, const float *w, const hone__epilogue *ep, float *y,
                    void *scratch /* 64-byte aligned */, hone__pool *pool);

/* acc = sum (x - x_zp) * (w - w_zp), exact modulo 2^32 on every tier; padding counts as x_zp.
 * Zero points lie in the range of their type.
 * Exactly one output: y_i32 = acc; y_f32 = ep(acc * scale); y_q = saturate(round_half_even(ep(acc * scale) *
 * y_scale_inv) + y_zp), NaN gives y_zp. */
typedef struct hone__conv_i8_args {
    const void *x;
    int x_signed;
    int32_t x_zp;
    const void *w;
    int w_signed;
    const void *made;    /* by hone__conv_i8_make from w; NULL: every call does that work again */
    const int32_t *w_zp; /* NULL = 0 */
    int w_zp_count;      /* 1 or out_c */
    int32_t *y_i32;
    float *y_f32;
    void *y_q;
    int y_signed;
    int32_t y_zp;
    float y_scale_inv;
    const float *scale; /* NULL = 1 */
    size_t scale_count; /* 1 or out_c */
    hone__epilogue ep;  /* residual: y_f32 only */
} hone__conv_i8_args;

/* What depends on the weights alone: sums of rows, and the order in which tiles take them. Bytes (0: nothing to make),
 * and making it; `to` is 64-byte aligned. */
size_t hone__conv_i8_made(const hone__conv_shape *s);
void hone__conv_i8_make(const hone__conv_shape *s, const void *w, int w_signed, void *to);

size_t hone__conv_i8_scratch(const hone__conv_shape *s, int threads, int has_made);
void hone__conv_i8(const hone__conv_shape *s, const hone__conv_i8_args *args, void *scratch, hone__pool *pool);

/* Transposed: x: [batch, in_c, in...], w: [in_c, out_c / groups, kernel...], y: [batch, out_c, out...], where in_c, in
 * are those of x, the operator's own input:
 *   y[o] = ep(sum of x[i] * w[k] over all i, k with i * stride + k * dilation - pad == o).
 * Adding output padding is a larger out[]. */
size_t hone__conv_transpose_f32_scratch(const hone__conv_shape *s, int threads);
void hone__conv_transpose_f32(const hone__conv_shape *s, const float *x, const float *w, const hone__epilogue *ep,
                              float *y, void *scratch, hone__pool *pool);

#endif
