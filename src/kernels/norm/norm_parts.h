/* norm_parts.h: the row operations under softmax, normalisation and reductions. */
#ifndef HONE_KERNELS_NORM_PARTS_H
#define HONE_KERNELS_NORM_PARTS_H

#include <stddef.h>

#include "base/cpu.h"
#include "kernels/norm/norm.h"

/* Sums run over blocks of HONE__SUM_BLOCK elements in fp32 lanes, blocks are added in double. */
enum { HONE__SUM_BLOCK = 1024 };

typedef struct hone__norm_table {
    float (*row_max)(const float *x, size_t n); /* NaN wins; -inf for n == 0 */
    float (*row_min)(const float *x, size_t n);
    double (*exp_sum)(const float *x, float top, float *y,
                      size_t n); /* y = exp(x - top) (NULL = not stored); its sum */
    double (*sum)(const float *x, size_t n);
    double (*sum_abs)(const float *x, size_t n);
    double (*sum_squares)(const float *x, float centre, size_t n); /* of x - centre */
    /* y = (x - mean) * inv * gamma + beta; gamma, beta may be NULL */
    void (*normalise)(const float *x, float mean, float inv, const float *gamma, const float *beta, float *y, size_t n);
    void (*fold)(hone__reduce kind, const float *x, float *acc, size_t n); /* acc[i] = acc[i] op x[i] */
} hone__norm_table;

const hone__norm_table *hone__norm_table_of(hone__tier tier);

#define HONE__NORM_TIER(tier)                                                                                 \
    float hone__row_max_##tier(const float *x, size_t n);                                                     \
    float hone__row_min_##tier(const float *x, size_t n);                                                     \
    double hone__exp_sum_##tier(const float *x, float top, float *y, size_t n);                               \
    double hone__row_sum_##tier(const float *x, size_t n);                                                    \
    double hone__row_sum_abs_##tier(const float *x, size_t n);                                                \
    double hone__row_sum_squares_##tier(const float *x, float centre, size_t n);                              \
    void hone__normalise_##tier(const float *x, float mean, float inv, const float *gamma, const float *beta, \
                                float *y, size_t n);                                                          \
    void hone__fold_##tier(hone__reduce kind, const float *x, float *acc, size_t n);
HONE__NORM_TIER(scalar)
HONE__NORM_TIER(avx2)
HONE__NORM_TIER(avx512vnni)
#undef HONE__NORM_TIER

#endif
