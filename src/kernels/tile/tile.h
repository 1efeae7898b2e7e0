/* tile.h: the register tiles under gemm and conv. A tile is a few rows of A (read in place, k contiguous) times a strip
 * of lanes of B. Conv: rows are output channels, lanes are pixels; gemm: rows are rows of a, lanes columns of b. */
#ifndef HONE_KERNELS_TILE_H
#define HONE_KERNELS_TILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* What both tiles store and where: kept lanes of a row lie side by side from the row's start.
 * keep: bit i set = lane i is stored (lanes >= the tile's lane count have bit 0). */

/* v[r, i] = alpha * sum_{c, t} a[r * a_rs + c * taps + t] * b[c * b_rs + tap[t] + i]
 *           (+ out when accumulate) + row_bias[r] + lane_bias[i] + residual, then clipped to [lo, hi] when clip. */
typedef struct hone__tile_f32_args {
    size_t rows, lanes; /* 1..mr(lanes), 1..nr */
    size_t channels, taps;
    const float *a;
    size_t a_rs;
    const float *b;
    size_t b_rs;
    const size_t *tap; /* [taps] */
    float *out;        /* the first kept lane of row 0 */
    size_t out_rs;
    uint64_t keep;
    float alpha;
    int accumulate;
    const float *row_bias;  /* NULL = none */
    const float *lane_bias; /* NULL = none; indexed by lane, all lanes kept */
    const float *residual;  /* like out; NULL = none */
    int clip;
    float lo, hi;
} hone__tile_f32_args;

/* acc[r, i] = sum_k a[r, k] * panel[k / 4, i, k % 4] + row_add[r] + row_mul[r] * lane_sum[i] + row_sum[r] *
 * lane_mul[i], modulo 2^32. One operand is unsigned, the other signed. a is never read beyond k bytes per row. */
typedef struct hone__tile_i8_args {
    size_t rows, lanes;
    size_t k;
    const uint8_t *a;
    size_t a_rs;
    int a_unsigned;       /* then the panel is signed */
    const uint8_t *panel; /* [ceil(k / 4), width, 4], zero where k or the lane is beyond the end */
    size_t width;         /* lanes rounded up to hone__tile.step */
    /* i8_image only: a and a_rs as order_weights leaves them; k = channels * taps * 4; group (c, t) of four lies at
     * panel + 4 * (c * b_rs + tap[t] + lane), readable for `width` lanes */
    size_t channels, taps, b_rs;
    const size_t *tap;
    const int32_t *row_add;  /* NULL = 0 */
    const int32_t *row_mul;  /* NULL = 0 */
    const int32_t *lane_sum; /* [width] */
    const int32_t *row_sum;  /* NULL = 0 */
    const int32_t *lane_mul; /* [width] */
    uint64_t keep;
    size_t out_rs;
    /* one of the three; each points at the first kept lane of row 0 */
    int32_t *out_i32;
    float *out_f32;
    uint8_t *out_q;
    const float *row_scale;  /* v = acc * row_scale[r] * lane_scale[i]; NULL = 1 */
    const float *lane_scale; /* by lane; with this or lane_bias all lanes are kept */
    const float *row_bias;
    const float *lane_bias;
    const float *residual; /* out_f32 only */
    int clip;
    float lo, hi;
    float q_inv;      /* out_q = round(v * q_inv) clipped to [q_lo, q_hi] + q_zp; NaN gives q_zp */
    float q_lo, q_hi; /* type's range minus q_zp */
    int32_t q_zp;
} hone__tile_i8_args;

/* Packs rows of bytes: panel[g * panel_rs + 4 i + j] = src[rows_at(4 g + j) + i] ^ flip for i < lanes, 0 beyond lanes
 * and k, where k = channels * taps and rows_at(c * taps + t) = c * src_rs + tap[t]. Reads nothing beyond `lanes` of a
 * row. */
typedef struct hone__tile_pack_args {
    const uint8_t *src;
    size_t src_rs;
    const size_t *tap;
    size_t channels, taps;
    size_t lanes, width;
    uint8_t flip; /* 0 or 0x80 */
    uint8_t *panel;
    size_t panel_rs; /* bytes between groups; width * 4 when they are packed tight */
} hone__tile_pack_args;

typedef struct hone__tile_table {
    size_t f32_step, f32_nr;    /* lanes per vector, most lanes of a tile (<= 64) */
    size_t f32_mr, f32_mr_thin; /* most rows of a tile; with lanes <= f32_step */
    void (*f32)(const hone__tile_f32_args *t);
    /* The same on pairs of bfloat16 numbers, each pair in the place of a float: a and b hold pairs along k, `channels`
     * counts pairs. NULL: not on this tier; then the next two are NULL, too. */
    void (*bf16)(const hone__tile_f32_args *t);
    void (*narrow_bf16)(const float *x, size_t n, uint16_t *to);
    void (*pair_rows)(const uint16_t *even, const uint16_t *odd, size_t n, uint32_t *to); /* odd: NULL = zeros */
    size_t i8_step, i8_nr;
    size_t i8_mr, i8_mr_thin;
    void (*i8)(const hone__tile_i8_args *t);
    void (*i8_image)(const hone__tile_i8_args *t);
    void (*pack_i8)(const hone__tile_pack_args *p);
    /* The same from every second byte: src[rows_at(...) + 2 i], at most 32 lanes. NULL: not on this tier. */
    void (*pack_second_i8)(const hone__tile_pack_args *p);
    /* to[r * to_rs + i] = from[r * from_rs + 2 i] for i < n; nothing beyond a row's 2 (n - 1) is read */
    void (*second_u8)(const uint8_t *from, size_t from_rs, size_t rows, size_t n, uint8_t *to, size_t to_rs);
    /* rows of `width`: left zeros, from[r * from_rs + i * step] for i < n, zeros; step 1 or 2. Up to 15 elements behind
     * the last row may be overwritten. */
    void (*copy_rows_f32)(const float *from, size_t from_rs, size_t step, size_t rows, size_t n, size_t left,
                          size_t width, float *to);
    /* to[c / 4, t, c % 4] = w[c, t], zero for c >= channels: what i8_image takes as a. A tier may keep each weight in
     * more than a byte, and order the four as it likes. */
    size_t ordered_bytes;
    void (*order_weights)(const uint8_t *w, size_t channels, size_t taps, int is_signed, uint8_t *to);
    /* sums[r] = sum of k bytes of row r */
    void (*sums_i8)(const uint8_t *a, size_t a_rs, size_t rows, size_t k, int is_signed, int32_t *sums);
} hone__tile_table;

/* The table of a tier (clipped to what is compiled in); the CPU must have it. */
const hone__tile_table *hone__tile_table_of(hone__tier tier);
const hone__tile_table *hone__tile(void); /* of this CPU */

#define HONE__TILE_MAX_LANES 64

#endif
