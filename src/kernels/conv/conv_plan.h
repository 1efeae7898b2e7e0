/* conv_plan.h: how a convolution becomes tiles. The input is copied once into scratch with its padding, split into one
 * image per residue of the stride, so that every tap of every output pixel is a constant distance from it: output pixel
 * (y, x) is lane y * width + x, tap t reads lane + tap[t]. Lanes with x >= out width are computed and dropped. Where
 * nothing is padded and strides are 1 the input serves as it is. */
#ifndef HONE_KERNELS_CONV_PLAN_H
#define HONE_KERNELS_CONV_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/conv/conv.h"
#include "kernels/tile/tile.h"

/* Axes are always depth, height, width. */
typedef struct hone__conv_plan {
    size_t batch, groups, in_c, out_c, group_in, group_out;
    size_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
    size_t in_size, out_size, taps, k; /* k = group_in * taps */
    size_t phases[3], ext[3];          /* images per axis and their extents */
    size_t plane;                      /* ext[1] * ext[2] */
    size_t channel;                    /* elements of one channel in scratch */
    bool direct;                       /* x itself is used */
    bool depthwise;                    /* planes go through conv_depthwise, without strips */
    size_t lanes;                      /* per depth slice: (out[1] - 1) * ext[2] + out[2] */
    size_t step, strips, strip;        /* lanes are cut into strips of `strip`, a multiple of step */
    size_t row_chunks, row_chunk;      /* output channels of a group per item */
    size_t items, grain;
} hone__conv_plan;

/* step, nr: lanes per vector and per tile; mr: rows per tile */
hone__conv_plan hone__conv_plan_make(const hone__conv_shape *s, size_t step, size_t nr, size_t mr);

void hone__conv_plan_taps(const hone__conv_plan *p, size_t *tap); /* [taps] */

/* Copies channels [begin, end) of one image (x: [in_c, in...], elements of `size` 1 or 4 bytes) to
 * to: [in_c, channel]; padding elements get `fill`'s bytes. */
void hone__conv_plan_copy(const hone__conv_plan *p, const void *x, size_t size, const void *fill, void *to,
                          size_t begin, size_t end);

/* One item of the loop: which group, depth slice, strip and rows. */
typedef struct hone__conv_item {
    size_t group, depth, first_row, rows; /* rows of the group */
    size_t from;                          /* element in a channel where lane 0 of the strip reads tap 0 */
    size_t lanes;
    size_t out;    /* element of an output channel where the strip's first kept lane goes */
    size_t kept;   /* how many are kept */
    uint64_t keep; /* which */
} hone__conv_item;

hone__conv_item hone__conv_plan_item(const hone__conv_plan *p, size_t index);

/* Axis d: tap j reads image `image_of` at distance j * dilation / stride; image i holds the positions r * stride + its
 * residue - pad, of which r in [*first, *last) lie inside the input. */
size_t hone__conv_image_of(const hone__conv_plan *p, int d, size_t j);
size_t hone__conv_residue_of(const hone__conv_plan *p, int d, size_t image);
void hone__conv_inside(const hone__conv_plan *p, int d, size_t residue, size_t *first, size_t *last);

/* Bits of the lanes [from, from + lanes), lanes <= 64, whose column is below the output's width. */
uint64_t hone__conv_kept_lanes(const hone__conv_plan *p, size_t from, size_t lanes);

/* Lanes per strip, a multiple of step, so that strips of at most nr are as even as possible. */
static inline size_t hone__strip_lanes(size_t lanes, size_t step, size_t nr)
{
    size_t strips = (lanes + nr - 1) / nr, vectors = (lanes + step - 1) / step;
    return (vectors + strips - 1) / strips * step;
}

/* Rows of the tile starting at row `at` of `rows` when tiles hold at most mr: as even as possible. */
static inline size_t hone__tile_rows(size_t rows, size_t at, size_t mr)
{
    size_t tiles = (rows + mr - 1) / mr, base = rows / tiles, extra = rows % tiles;
    return at < extra * (base + 1) ? base + 1 : base;
}

#endif
