/* vec_parts.h: the element-wise loops of each tier. */
#ifndef HONE_KERNELS_VEC_PARTS_H
#define HONE_KERNELS_VEC_PARTS_H

#include "kernels/vec/vec.h"

typedef struct hone__vec_table {
    void (*unary)(hone__unary op, const float *x, float *y, size_t n, float a, float b);
    void (*binary)(hone__binary op, const float *a, size_t a_step, const float *b, size_t b_step, float *y, size_t n);
    void (*scale_shift)(const float *x, float scale, float shift, float *y, size_t n);
} hone__vec_table;

const hone__vec_table *hone__vec_table_of(hone__tier tier);

#define HONE__VEC_TIER(tier)                                                                                    \
    void hone__vec_unary_##tier(hone__unary op, const float *x, float *y, size_t n, float a, float b);          \
    void hone__vec_binary_##tier(hone__binary op, const float *a, size_t a_step, const float *b, size_t b_step, \
                                 float *y, size_t n);                                                           \
    void hone__vec_scale_shift_##tier(const float *x, float scale, float shift, float *y, size_t n);
HONE__VEC_TIER(scalar)
HONE__VEC_TIER(avx2)
HONE__VEC_TIER(avx512vnni)
#undef HONE__VEC_TIER

#endif
