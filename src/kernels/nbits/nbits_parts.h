/* nbits_parts.h: a few rows of weights times a few rows of quantised activations.
 * Weights are taken in chunks of `chunk` bytes, whose 32-bit lanes each hold the sum of a few consecutive values:
 * lane i of an 8-bit chunk values 4 i .. 4 i + 3, of a 4-bit chunk values 8 i .. 8 i + 7. */
#ifndef HONE_KERNELS_NBITS_PARTS_H
#define HONE_KERNELS_NBITS_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* Activations of one row as the tier's kernel wants them. */
typedef struct hone__nbits_x {
    const int8_t *q; /* [chunks, values of a chunk]; 4-bit: first the even values of the chunk, then the odd */
    /* What takes the zero points of the weights out of the sums: minus zero point times the sum of q, where that point
     * is the same everywhere; else just the sum of q. */
    const int32_t *starts;       /* [chunks, lanes] */
    const int32_t *block_starts; /* [blocks] */
    const float *scales;         /* [blocks] */
    const float *lane_scales;    /* [chunks, lanes]: its block's, 0 behind the last; for blocks of less than a chunk */
} hone__nbits_x;

enum { HONE__NBITS_ROWS = 4, HONE__NBITS_WEIGHT_ROWS = 4 };

typedef struct hone__nbits_tile {
    int bits;
    size_t bytes;       /* of a row of weights */
    size_t block_bytes; /* of a block; the whole row: >= bytes */
    size_t blocks;
    const uint8_t *w; /* HONE__NBITS_WEIGHT_ROWS rows, w_rs bytes apart; 0: one row, all outputs are its */
    size_t w_rs;
    uint8_t flip;         /* 0x80: w is two's complement (8 bits) */
    const float *scales;  /* [weight rows, blocks], rows block_rs apart */
    const int32_t *zeros; /* likewise; NULL: in x's starts */
    size_t block_rs;
    const hone__nbits_x *x;
    size_t rows; /* of x: 1..the table's */
    float *out;  /* [rows, HONE__NBITS_WEIGHT_ROWS] */
} hone__nbits_tile;

typedef struct hone__nbits_table {
    size_t chunk; /* bytes of weights */
    size_t rows;  /* of x at a time, at most HONE__NBITS_ROWS */
    /* q: [chunks * values] in natural order, zero padded -> x's q, and the sums of q per lane */
    void (*arrange)(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums);
    void (*tile)(const hone__nbits_tile *t);
} hone__nbits_table;

/* Bytes from what is read to what is fetched, in a later tile, whose scales are fetched here. */
static inline size_t hone__nbits_ahead(const hone__nbits_tile *t)
{
    size_t tile = HONE__NBITS_WEIGHT_ROWS * t->bytes, ahead = tile;
    size_t scales = HONE__NBITS_WEIGHT_ROWS * t->blocks * sizeof(float), scales_ahead = scales;
    for (; ahead < 8192; ahead += tile) scales_ahead += scales;
    for (size_t i = 0; i < scales; i += 64) __builtin_prefetch((const char *)t->scales + scales_ahead + i);
    return ahead;
}

const hone__nbits_table *hone__nbits_table_of(hone__tier tier);

void hone__nbits_arrange_scalar(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums);
void hone__nbits_tile_scalar(const hone__nbits_tile *t);
void hone__nbits_arrange_avx2(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums);
void hone__nbits_tile_avx2(const hone__nbits_tile *t);
void hone__nbits_tile_avxvnni(const hone__nbits_tile *t);
void hone__nbits_arrange_avx512vnni(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums);
void hone__nbits_tile_avx512vnni(const hone__nbits_tile *t);

#endif
