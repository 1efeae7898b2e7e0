/* tile_tiers.h: the tiles of each tier. */
#ifndef HONE_KERNELS_TILE_TIERS_H
#define HONE_KERNELS_TILE_TIERS_H

#include <stdbool.h>

#include "kernels/tile/tile.h"

/* Whether a tile only adds its sums, scaled by row and lane, to what is there, and keeps all lanes. */
static inline bool hone__tile_adds(const hone__tile_i8_args *t)
{
    return t->out_f32 && t->residual == t->out_f32 && t->row_scale && t->lane_scale && !t->clip && !t->row_mul &&
           !t->row_sum && !t->row_bias && !t->lane_bias && !(t->keep & (t->keep + 1)) && !t->out_q && !t->out_i32;
}

/* What a tile does with row r's sums, [lanes]. */
void hone__tile_f32_finish(const hone__tile_f32_args *t, size_t r, const float *acc);
void hone__tile_i8_finish(const hone__tile_i8_args *t, size_t r, const uint32_t *acc);

void hone__tile_f32_scalar(const hone__tile_f32_args *t);
void hone__tile_i8_scalar(const hone__tile_i8_args *t);
void hone__tile_pack_i8_scalar(const hone__tile_pack_args *p);
void hone__tile_i8_image_scalar(const hone__tile_i8_args *t);
void hone__tile_second_u8_scalar(const uint8_t *from, size_t from_rs, size_t rows, size_t n, uint8_t *to, size_t to_rs);
void hone__tile_copy_rows_f32_scalar(const float *from, size_t from_rs, size_t step, size_t rows, size_t n, size_t left,
                                     size_t width, float *to);
void hone__tile_order_weights_scalar(const uint8_t *w, size_t channels, size_t taps, int is_signed, uint8_t *to);
void hone__tile_sums_i8_scalar(const uint8_t *a, size_t a_rs, size_t rows, size_t k, int is_signed, int32_t *sums);

void hone__tile_f32_avx2(const hone__tile_f32_args *t);
void hone__tile_copy_rows_f32_avx2(const float *from, size_t from_rs, size_t step, size_t rows, size_t n, size_t left,
                                   size_t width, float *to);
void hone__tile_i8_avx2(const hone__tile_i8_args *t);
void hone__tile_i8_image_avx2(const hone__tile_i8_args *t);
void hone__tile_pack_i8_avx2(const hone__tile_pack_args *p);
void hone__tile_order_weights_avx2(const uint8_t *w, size_t channels, size_t taps, int is_signed, uint8_t *to);
void hone__tile_second_u8_avx2(const uint8_t *from, size_t from_rs, size_t rows, size_t n, uint8_t *to, size_t to_rs);
void hone__tile_sums_i8_avx2(const uint8_t *a, size_t a_rs, size_t rows, size_t k, int is_signed, int32_t *sums);

void hone__tile_i8_avxvnni(const hone__tile_i8_args *t);
void hone__tile_order_weights_avxvnni(const uint8_t *w, size_t channels, size_t taps, int is_signed, uint8_t *to);
void hone__tile_i8_image_avxvnni(const hone__tile_i8_args *t);

void hone__tile_f32_avx512vnni(const hone__tile_f32_args *t);
void hone__tile_i8_avx512vnni(const hone__tile_i8_args *t);
void hone__tile_pack_i8_avx512vnni(const hone__tile_pack_args *p);
void hone__tile_pack_second_i8_avx512vnni(const hone__tile_pack_args *p);
void hone__tile_i8_image_avx512vnni(const hone__tile_i8_args *t);
void hone__tile_second_u8_avx512vnni(const uint8_t *from, size_t from_rs, size_t rows, size_t n, uint8_t *to,
                                     size_t to_rs);
void hone__tile_copy_rows_f32_avx512vnni(const float *from, size_t from_rs, size_t step, size_t rows, size_t n,
                                         size_t left, size_t width, float *to);
void hone__tile_order_weights_avx512vnni(const uint8_t *w, size_t channels, size_t taps, int is_signed, uint8_t *to);
void hone__tile_sums_i8_avx512vnni(const uint8_t *a, size_t a_rs, size_t rows, size_t k, int is_signed, int32_t *sums);

void hone__tile_bf16_avx512bf16(const hone__tile_f32_args *t);
void hone__tile_narrow_bf16_avx512bf16(const float *x, size_t n, uint16_t *to);
void hone__tile_pair_rows_avx512bf16(const uint16_t *even, const uint16_t *odd, size_t n, uint32_t *to);

#endif
