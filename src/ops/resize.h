/* resize.h: what Resize computes per axis before any pixel is touched: output sizes and interpolation tables. Private
 * to resize and op_resize. */
#ifndef HONE_OPS_RESIZE_H
#define HONE_OPS_RESIZE_H

#include "infer.h"

typedef enum hone__resize_coords {
    HONE__RESIZE_HALF_PIXEL = 0,
    HONE__RESIZE_HALF_PIXEL_SYMMETRIC,
    HONE__RESIZE_PYTORCH,
    HONE__RESIZE_ALIGN_CORNERS,
    HONE__RESIZE_ASYMMETRIC,
    HONE__RESIZE_CROP
} hone__resize_coords;

/* Sizes of every axis of the input; an axis that is not resized has scale 1. */
typedef struct hone__resize {
    int rank;
    hone__resize_coords coords;
    int64_t in[HONE_MAX_RANK], out[HONE_MAX_RANK];
    double scale[HONE_MAX_RANK], width[HONE_MAX_RANK]; /* width: of the output before it is made whole */
    double start[HONE_MAX_RANK], end[HONE_MAX_RANK];   /* region of interest, 0..1 */
    bool resized[HONE_MAX_RANK];
} hone__resize;

/* One axis: output i is the sum of weight[i * taps + k] * input[index[i * taps + k]]. */
typedef struct hone__resize_axis {
    bool identity;
    size_t taps;
    int32_t *index;
    float *weight;
    bool *outside; /* NULL, or where the extrapolation value stands */
} hone__resize_axis;

/* Reads attributes and values. *known is false when a value that the sizes need is not known yet. */
hone_status hone__resize_read(const hone__infer *x, hone__resize *r, bool *known);
hone_status hone__resize_table(const hone__node *n, const hone__resize *r, int axis, hone__arena *arena,
                               hone__resize_axis *out);

#endif
