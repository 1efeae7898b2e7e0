/* pool.h: max and average pooling over NCHW, 1 to 3 spatial axes. Global pooling is hone__reduce_f32. */
#ifndef HONE_KERNELS_POOL_H
#define HONE_KERNELS_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/threads.h"

/* x: [planes, in...], y: [planes, out...], planes = batch * channels. */
typedef struct hone__pool_shape {
    size_t planes;
    int rank; /* 1..3 */
    size_t in[3], out[3], kernel[3], stride[3], dilation[3];
    size_t pad[3];     /* before */
    size_t pad_end[3]; /* after: counts in an average with count_include_pad only */
} hone__pool_shape;

/* Padding never wins. A window without any input element gives -inf and index -1 (int8: the type's lowest).
 * NaN wins over everything. indices (NULL = not wanted): position inside the whole x, planes included; row-major, or
 * with `column_major` counted with the first spatial axis fastest inside the plane. The first of equals wins. */
void hone__max_pool_f32(const hone__pool_shape *s, const float *x, float *y, int64_t *indices, int column_major,
                        hone__pool *pool);
void hone__max_pool_u8(const hone__pool_shape *s, const uint8_t *x, uint8_t *y, hone__pool *pool);
void hone__max_pool_s8(const hone__pool_shape *s, const int8_t *x, int8_t *y, hone__pool *pool);

/* Mean over the elements of x in the window; with count_include_pad also over padding that lies in the padded extent
 * in + pad + pad_end. A window without any element gives 0. */
void hone__average_pool_f32(const hone__pool_shape *s, const float *x, float *y, int count_include_pad,
                            hone__pool *pool);

#endif
