/* conv_columns.h: fp32 convolution with a handful of output pixels: each pixel's inputs copied into one column, every
 * result a dot product of a column and a row of weights, which are read once where they are. */
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

#endif
