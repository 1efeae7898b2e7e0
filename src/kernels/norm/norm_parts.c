/* norm_parts.c: the row operations in plain C, and the choice of the tier's. */
#include "kernels/norm/norm_parts.h"

#include <math.h>

#include "kernels/dispatch.h"

float hone__row_max_scalar(const float *x, size_t n)
{
    float best = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i])) return x[i];
        if (x[i] > best) best = x[i];
    }
    return best;
}

float hone__row_min_scalar(const float *x, size_t n)
{
    float best = INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i])) return x[i];
        if (x[i] < best) best = x[i];
    }
    return best;
}

double hone__exp_sum_scalar(const float *x, float top, float *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        float v = expf(x[i] - top);
        if (y) y[i] = v;
        sum += v;
    }
    return sum;
}

double hone__row_sum_scalar(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

double hone__row_sum_abs_scalar(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += fabsf(x[i]);
    return sum;
}

double hone__row_sum_squares_scalar(const float *x, float centre, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double v = x[i] - centre;
        sum += v * v;
    }
    return sum;
}

void hone__normalise_scalar(const float *x, float mean, float inv, const float *gamma, const float *beta, float *y,
                            size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v = (x[i] - mean) * inv;
        if (gamma) v *= gamma[i];
        y[i] = beta ? v + beta[i] : v;
    }
}

static float fold_one(hone__reduce kind, float a, float v)
{
    switch (kind) {
    case HONE__REDUCE_MAX: return isnan(a) || a > v ? a : v;
    case HONE__REDUCE_MIN: return isnan(a) || a < v ? a : v;
    case HONE__REDUCE_PROD: return a * v;
    case HONE__REDUCE_SUMSQ:
    case HONE__REDUCE_L2: return a + v * v;
    case HONE__REDUCE_L1: return a + fabsf(v);
    default: return a + v;
    }
}

void hone__fold_scalar(hone__reduce kind, const float *x, float *acc, size_t n)
{
    for (size_t i = 0; i < n; i++) acc[i] = fold_one(kind, acc[i], x[i]);
}

static const hone__norm_table scalar = {
    .row_max = hone__row_max_scalar,
    .row_min = hone__row_min_scalar,
    .exp_sum = hone__exp_sum_scalar,
    .sum = hone__row_sum_scalar,
    .sum_abs = hone__row_sum_abs_scalar,
    .sum_squares = hone__row_sum_squares_scalar,
    .normalise = hone__normalise_scalar,
    .fold = hone__fold_scalar,
};

static hone__norm_table tables[HONE__TIERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (int tier = 0; tier < HONE__TIERS; tier++) {
        hone__norm_table *t = &tables[tier];
        *t = scalar;
#if defined(__x86_64__)
#define HONE_VARIANT(from, slot, value) \
    if (tier >= (from)) t->slot = (value);
#include "kernels/norm/variants_x86.def"
#undef HONE_VARIANT
#endif
    }
}

const hone__norm_table *hone__norm_table_of(hone__tier tier)
{
    pthread_once(&once, build);
    return &tables[hone__tier_slot(tier)];
}
