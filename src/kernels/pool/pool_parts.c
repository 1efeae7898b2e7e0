/* pool_parts.c: the line operations in plain C, and the choice of the tier's. */
#include "kernels/pool/pool_parts.h"

#include <math.h>

#include "kernels/dispatch.h"

static float larger(float a, float b) { return a > b || isnan(a) ? a : b; }

void hone__max_into_f32_scalar(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = larger(y[i], x[i]);
}

void hone__pair_max_f32_scalar(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = larger(x[2 * i], x[2 * i + 1]);
}

void hone__add_into_f32_scalar(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

void hone__max_into_u8_scalar(const uint8_t *x, uint8_t flip, uint8_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = (x[i] ^ flip) > y[i] ? x[i] ^ flip : y[i];
}

void hone__pair_max_u8_scalar(const uint8_t *x, uint8_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = x[2 * i] > x[2 * i + 1] ? x[2 * i] : x[2 * i + 1];
}

double hone__sum_f32_scalar(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

static const hone__pool_table scalar = {
    .max_into_f32 = hone__max_into_f32_scalar,
    .pair_max_f32 = hone__pair_max_f32_scalar,
    .add_into_f32 = hone__add_into_f32_scalar,
    .max_into_u8 = hone__max_into_u8_scalar,
    .pair_max_u8 = hone__pair_max_u8_scalar,
    .sum_f32 = hone__sum_f32_scalar,
};

static hone__pool_table tables[HONE__TIERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (int tier = 0; tier < HONE__TIERS; tier++) {
        hone__pool_table *t = &tables[tier];
        *t = scalar;
#if defined(__x86_64__)
#define HONE_VARIANT(from, slot, value) \
    if (tier >= (from)) t->slot = (value);
#include "kernels/pool/variants_x86.def"
#undef HONE_VARIANT
#endif
    }
}

const hone__pool_table *hone__pool_table_of(hone__tier tier)
{
    pthread_once(&once, build);
    return &tables[hone__tier_slot(tier)];
}

const hone__pool_table *hone__pool_parts(void) { return hone__pool_table_of(hone__cpu_tier()); }
