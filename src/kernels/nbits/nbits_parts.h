/* nbits_parts.h: one row of weights times rows of quantised activations.
 * Weights are taken in chunks of `chunk` bytes, whose 32-bit lanes each hold the sum of a few consecutive values:
 * lane i of an 8-bit chunk values 4 i .. 4 i + 3, of a 4-bit chunk values 8 i .. 8 i + 7. */
#ifndef HONE_KERNELS_NBITS_PARTS_H
#define HONE_KERNELS_NBITS_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* Activations of one row as the tier's kernel wants them. */
typedef struct hone__nbits_x {
    const int8_t *q;     /* [chunks, values of a chunk]; 4-bit: first the even values of the chunk, then the odd */
    const int32_t *sums; /* [chunks, lanes]: sum of q per lane */
    const int32_t *block_sums; /* [blocks]: sum of q, times the zero point when that is the same everywhere */
    const float *scales;       /* [blocks] */
} hone__nbits_x;

enum { HONE__NBITS_ROWS = 4 };

typedef struct hone__nbits_row {
    int bits;
    size_t bytes;       /* of a row of weights that may be read */
    size_t block_bytes; /* of a block; the whole row: >= bytes */
    size_t blocks;
    const uint8_t *w;
    uint8_t flip;         /* 0x80: w is two's complement */
    const float *scales;  /* [blocks] of this row */
    int zero;             /* the zero point of every block (after the flip), unless zeros */
    const int32_t *zeros; /* [blocks] or NULL */
    const hone__nbits_x *x;
    size_t rows; /* 1..HONE__NBITS_ROWS */
    float *out;  /* [rows] */
} hone__nbits_row;

typedef struct hone__nbits_table {
    size_t chunk; /* bytes of weights */
    /* q: [chunks * values] in natural order, zero padded -> x's q and sums */
    void (*arrange)(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums);
    void (*row)(const hone__nbits_row *r);
} hone__nbits_table;

const hone__nbits_table *hone__nbits_table_of(hone__tier tier);

void hone__nbits_arrange_scalar(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums);
void hone__nbits_row_scalar(const hone__nbits_row *r);
void hone__nbits_arrange_avx2(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums);
void hone__nbits_row_avx2(const hone__nbits_row *r);
void hone__nbits_row_avxvnni(const hone__nbits_row *r);
void hone__nbits_arrange_avx512vnni(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums);
void hone__nbits_row_avx512vnni(const hone__nbits_row *r);

#endif
