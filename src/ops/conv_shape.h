/* conv_shape.h: what op_conv.c lends to the integer convolutions. */
#ifndef HONE_OPS_CONV_SHAPE_H
#define HONE_OPS_CONV_SHAPE_H

#include "kernels/conv/conv.h"
#include "window.h"

/* Output shape of a convolution over inputs 0 (x) and 1 (w); *known false where the ranks or the kernel are not. */
hone_status hone__conv_infer(hone__infer *x, hone__window *w, bool *known);
hone_status hone__conv_shape_make(const hone__node *node, const hone__tensor *x, const hone__tensor *w,
                                  hone__conv_shape *shape);

#endif
