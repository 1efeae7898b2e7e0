/* conv_bands.h: a convolution in bands of output rows. Each item of the loop copies what its band reads, padded and
 * split by stride residues as in conv_plan.h, into its thread's scratch and computes all lanes of the band from there:
 * one pass over the input, and a thread reads mostly what it wrote in the layer before. */
#ifndef HONE_KERNELS_CONV_BANDS_H
#define HONE_KERNELS_CONV_BANDS_H

#include "kernels/conv/conv_plan.h"

typedef struct hone__conv_bands {
    const hone__conv_plan *p;
    size_t rows, bands;           /* output rows of a band; bands per depth slice */
    size_t local_rows, plane;     /* of one image: rows + reach; local_rows * ext[2] */
    size_t channel;               /* positions of one channel: kernel[0] depths x images x plane, and a little behind */
    size_t row_chunk, row_chunks; /* output channels of a group per item */
    size_t items, grain;
} hone__conv_bands;

hone__conv_bands hone__conv_bands_make(const hone__conv_plan *p);
void hone__conv_bands_taps(const hone__conv_bands *b, size_t *tap); /* [taps] */

/* Bands pay where there are several rows; one long row goes through the strips of conv_plan.h. */
static inline bool hone__conv_bands_fit(const hone__conv_plan *p) { return p->out[1] > 1 && !p->direct; }

typedef struct hone__conv_band {
    size_t group, depth, first, rows; /* output rows [first, first + rows) */
    size_t first_row, channels;       /* output channels of the group */
    size_t lanes;                     /* (rows - 1) * ext[2] + out[2] */
} hone__conv_band;

hone__conv_band hone__conv_bands_item(const hone__conv_bands *b, size_t index);

/* x: the group's first channel of the image. to: [group_in, channel]. */
void hone__conv_bands_copy_f32(const hone__conv_bands *b, const hone__conv_band *band, const hone__tile_table *tile,
                               const float *x, float *to);

/* to: [ceil(group_in / 4), channel, 4]; rows: [group_in, ext[2]] of work space for strides above 1. fill: the padding
 * byte as stored in x. */
void hone__conv_bands_copy_i8(const hone__conv_bands *b, const hone__conv_band *band, const hone__tile_table *tile,
                              const uint8_t *x, uint8_t fill, uint8_t flip, uint8_t *rows, uint8_t *to);

/* Lanes [lane, lane + n) of a band, n <= 64: which are kept, and the element of the output plane of the first. */
static inline size_t hone__conv_bands_out(const hone__conv_plan *p, const hone__conv_band *band, size_t lane)
{
    size_t column = lane % p->ext[2];
    return (band->depth * p->out[1] + band->first + lane / p->ext[2]) * p->out[2] +
           (column < p->out[2] ? column : p->out[2]);
}

#endif
