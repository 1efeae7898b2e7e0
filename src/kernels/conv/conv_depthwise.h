/* conv_depthwise.h: one input plane to one output plane with one 2-D kernel, without scratch. */
#ifndef HONE_KERNELS_CONV_DEPTHWISE_H
#define HONE_KERNELS_CONV_DEPTHWISE_H

#include "kernels/tile/tile.h"

enum {
    HONE__DEPTHWISE_MAX_WIDTH = 8, /* taps along the width */
    HONE__DEPTHWISE_MAX_TAPS = 128,
    HONE__DEPTHWISE_FLAT = 64, /* vectors of 16 pixels in a plane that is taken as one line */
    HONE__DEPTHWISE_FLAT_TAPS = 25,
    HONE__DEPTHWISE_NARROW = 4 /* the same where rows3 holds, too */
};

/* A copy of some rows: local rows of one image per residue of the width stride side by side, each `width` elements, a
 * multiple of 16. */
typedef struct hone__depthwise_band {
    size_t width, pitch;                        /* of an image; of a row */
    size_t outs_f32, outs_i8;                   /* output rows that a full copy serves */
    size_t reach[HONE__DEPTHWISE_MAX_TAPS + 1]; /* where tap t of output pixel 0 lies */
} hone__depthwise_band;

/* Axes: height, width. The rest is filled by the tier's `prepare`. */
typedef struct hone__depthwise_shape {
    size_t in[2], out[2], kernel[2], stride[2], dilation[2], pad[2];
    /* Strides 1 and equal extents: through tap t, pixel i of the plane reads pixel i + reach[t]; exist[t][v]: for which
     * lanes of vector v that is inside. 0 vectors: not used. */
    size_t flat;
    int rows3; /* three rows of at most four taps, strides both 1 or both 2 */
    /* Flat with rows3: where vector v's bytes start for row k of the kernel is 16 v + reach[k * kernel width]; which of
     * the 64 from there lie in the plane; which taps of its pixels, four bits each, exist. */
    uint64_t reads[3][HONE__DEPTHWISE_NARROW], quads[3][HONE__DEPTHWISE_NARROW];
    ptrdiff_t reach[HONE__DEPTHWISE_FLAT_TAPS];
    uint16_t exist[HONE__DEPTHWISE_FLAT_TAPS][HONE__DEPTHWISE_FLAT];
    hone__depthwise_band band; /* tiers that copy */
} hone__depthwise_shape;

typedef struct hone__depthwise_table {
    size_t max_stride; /* along the width; 0: this tier has no such kernels */
    /* What is worth computing once for all planes; false where the shape does not suit this tier. */
    int (*prepare)(hone__depthwise_shape *s);
    /* y = conv(x, w) + bias + residual, clipped when clip */
    void (*f32)(const hone__depthwise_shape *s, const float *x, const float *w, float bias, const float *residual,
                int clip, float lo, float hi, float *y);
    /* sums of (x - x_zp) * (w - w_zp), finished by row 0 of t (no lane terms); t's outputs point at the plane */
    void (*i8)(const hone__depthwise_shape *s, const void *x, int x_signed, int32_t x_zp, const void *w, int w_signed,
               int32_t w_zp, const hone__tile_i8_args *t);
} hone__depthwise_table;

const hone__depthwise_table *hone__depthwise_table_of(hone__tier tier);

/* Whether the tier's kernels take this convolution: one input channel per group, two axes that matter, few taps. Then
 * *out is prepared. */
struct hone__conv_plan;
int hone__depthwise_fits(const hone__depthwise_table *t, const struct hone__conv_plan *p, hone__depthwise_shape *out);

/* Planes per piece of the loop: even pieces that are worth a thread. */
size_t hone__depthwise_grain(const struct hone__conv_plan *p);

int hone__depthwise_prepare_avx2(hone__depthwise_shape *s);
void hone__depthwise_f32_avx2(const hone__depthwise_shape *s, const float *x, const float *w, float bias,
                              const float *residual, int clip, float lo, float hi, float *y);
void hone__depthwise_i8_avx2(const hone__depthwise_shape *s, const void *x, int x_signed, int32_t x_zp, const void *w,
                             int w_signed, int32_t w_zp, const hone__tile_i8_args *t);
int hone__depthwise_prepare_flat(hone__depthwise_shape *s); /* for tiers that mask */
void hone__depthwise_f32_avx512vnni(const hone__depthwise_shape *s, const float *x, const float *w, float bias,
                                    const float *residual, int clip, float lo, float hi, float *y);
void hone__depthwise_i8_avx512vnni(const hone__depthwise_shape *s, const void *x, int x_signed, int32_t x_zp,
                                   const void *w, int w_signed, int32_t w_zp, const hone__tile_i8_args *t);

#endif
