/* window.h: what convolutions and pools share: attributes of a sliding window, and its output size. */
#ifndef HONE_OPS_WINDOW_H
#define HONE_OPS_WINDOW_H

#include "infer.h"

enum { HONE__WINDOW_MAX = 3 };

typedef struct hone__window {
    int rank; /* spatial axes */
    int64_t kernel[HONE__WINDOW_MAX], stride[HONE__WINDOW_MAX], dilation[HONE__WINDOW_MAX];
    int64_t begin[HONE__WINDOW_MAX], end[HONE__WINDOW_MAX]; /* pads; -1: unknown until the input size is */
    int64_t out[HONE__WINDOW_MAX];
} hone__window;

/* Reads strides, dilations, pads, auto_pad, ceil_mode of a node over an input of `shape` [N, C, spatial...]; `kernel`
 * (spatial sizes) from the weights or the attribute. Output sizes are -1 where the input's are. */
hone_status hone__window_read(const hone__node *node, const hone__shape *shape, const int64_t *kernel, hone__window *w);
/* The attribute kernel_shape of a pool; HONE_E_SHAPE when absent or not of `rank`. */
hone_status hone__window_kernel(const hone__node *node, int rank, int64_t *kernel);
void hone__window_copy(const hone__window *w, const int64_t *in, size_t *kernel, size_t *stride, size_t *dilation,
                       size_t *pad, size_t *in_sizes, size_t *out_sizes);

#endif
