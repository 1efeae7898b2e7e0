/* conv_columns.h: convolution with a handful of output pixels: each pixel's inputs copied into one column, every result
 * a dot product of a column and a row of weights, which are read once where they are. */
#ifndef HONE_KERNELS_CONV_COLUMNS_H
#define HONE_KERNELS_CONV_COLUMNS_H

#include "kernels/conv/conv_plan.h"

enum { HONE__COLUMNS_MAX = 4 /* pixels */ };

/* Lanes would stay mostly empty, and rows are long enough for vectors. */
static inline bool hone__conv_columns_fit(const hone__conv_plan *p)
{
    return !p->depthwise && p->out_size <= HONE__COLUMNS_MAX && p->k >= 32;
}

size_t hone__conv_columns_scratch(const hone__conv_plan *p); /* bytes */

/* x, y: all images. */
void hone__conv_columns(const hone__conv_plan *p, const float *x, const float *w, const hone__epilogue *ep, float *y,
                        void *scratch, hone__pool *pool);

size_t hone__conv_columns_i8_scratch(const hone__conv_plan *p); /* bytes */
void hone__conv_columns_i8(const hone__conv_plan *p, const hone__conv_i8_args *args, void *scratch, hone__pool *pool);

/* One row of finished values to 8 bits, as hone__conv_i8_args says. */
void hone__conv_quantize(const hone__conv_i8_args *q, const float *x, size_t n, uint8_t *out);

/* Taps [first, last) of a kernel row whose reads for output column `at` lie inside the input's row; tap t reads element
 * start + t * dilation of it. */
typedef struct hone__conv_span {
    size_t first, last, start; /* start may be below 0, modulo 2^64 */
} hone__conv_span;

static inline hone__conv_span hone__conv_span_of(const hone__conv_plan *p, size_t at)
{
    size_t right = at * p->stride[2], step = p->dilation[2], taps = p->kernel[2], end = p->in[2] + p->pad[2];
    hone__conv_span s = {.start = right - p->pad[2]};
    s.first = right < p->pad[2] ? (p->pad[2] - right + step - 1) / step : 0;
    s.last = right < end ? (end - right + step - 1) / step : 0;
    if (s.last > taps) s.last = taps;
    if (s.first > s.last) s.first = s.last;
    return s;
}

/* Element of a channel where the row starts that kernel row (z, y) of output row (at[0], at[1]) reads; SIZE_MAX: it is
 * padding. */
static inline size_t hone__conv_row_of(const hone__conv_plan *p, const size_t at[2], size_t z, size_t y)
{
    size_t depth = at[0] * p->stride[0] + z * p->dilation[0] - p->pad[0]; /* below 0 it is huge */
    size_t row = at[1] * p->stride[1] + y * p->dilation[1] - p->pad[1];
    return depth < p->in[0] && row < p->in[1] ? (depth * p->in[1] + row) * p->in[2] : SIZE_MAX;
}

#endif
