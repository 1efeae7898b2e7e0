/* conv_rows3_avx512.h: depthwise kernels of three rows. Only for *_avx512vnni.c files. */
#ifndef HONE_KERNELS_CONV_ROWS3_AVX512_H
#define HONE_KERNELS_CONV_ROWS3_AVX512_H

#include "kernels/conv/conv_depthwise.h"
#include "kernels/tile/tile_store_avx512.h"

/* As the slots of hone__depthwise_table; 0 where the shape or the weights do not fit, and nothing is done. */
int hone__depthwise_rows3_f32(const hone__depthwise_shape *s, const float *x, const float *w, float bias,
                              const float *residual, __m512 lo, __m512 hi, float *y);

int hone__depthwise_rows3_i8(const hone__depthwise_shape *s, const void *x, int x_signed, int32_t x_zp, const void *w,
                             int w_signed, int32_t w_zp, const hone__tile_i8_args *t);

#endif
