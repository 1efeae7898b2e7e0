/* norm.h: softmax, layer normalisation and reductions in fp32. Sums are blocked, so that the error does not grow with
 * the length. Results do not depend on the number of threads. */
#ifndef HONE_KERNELS_NORM_H
#define HONE_KERNELS_NORM_H

#include <stddef.h>

#include "base/threads.h"

/* x, y: [outer, axis, inner]; over axis. In place is fine. */
void hone__softmax_f32(const float *x, float *y, size_t outer, size_t axis, size_t inner, int log_softmax,
                       hone__pool *pool);

/* y = (x - mean) / sqrt(variance + eps) * gamma + beta per row of cols; gamma, beta [cols], NULL = 1, 0.
 * mean_out, inv_std_out: [rows] or NULL. In place is fine. */
void hone__layer_norm_f32(const float *x, float *y, size_t rows, size_t cols, float eps, const float *gamma,
                          const float *beta, float *mean_out, float *inv_std_out, hone__pool *pool);

/* y = x / sqrt(mean(x^2) + eps) * gamma */
void hone__rms_norm_f32(const float *x, float *y, size_t rows, size_t cols, float eps, const float *gamma,
                        float *inv_std_out, hone__pool *pool);

typedef enum hone__reduce {
    HONE__REDUCE_SUM = 0,
    HONE__REDUCE_MEAN,
    HONE__REDUCE_MAX, /* NaN wins */
    HONE__REDUCE_MIN,
    HONE__REDUCE_PROD,
    HONE__REDUCE_SUMSQ,
    HONE__REDUCE_L1,
    HONE__REDUCE_L2,
    HONE__REDUCE_LOGSUM,
    HONE__REDUCE_LOGSUMEXP,
    HONE__REDUCE_COUNT
} hone__reduce;

/* x: [outer, axis, inner] -> y: [outer, inner]. axis 0: sums 0, mean NaN, product 1, max -inf, min inf, logs -inf. */
void hone__reduce_f32(hone__reduce kind, const float *x, float *y, size_t outer, size_t axis, size_t inner,
                      hone__pool *pool);

#endif
