/* quantize_parts.c: the loops in plain C, and the choice of the tier's. */
#include "kernels/quantize/quantize_parts.h"

#include <math.h>

#include "kernels/dispatch.h"

void hone__minmax_scalar(const float *x, size_t n, float *lo, float *hi)
{
    for (size_t i = 0; i < n; i++) {
        if (x[i] < *lo) *lo = x[i];
        if (x[i] > *hi) *hi = x[i];
    }
}

void hone__to_bytes_scalar(const float *x, size_t n, float scale, int32_t zp, int32_t lo, int32_t hi, uint8_t *out)
{
    float least = (float)(lo - zp), most = (float)(hi - zp);
    for (size_t i = 0; i < n; i++) {
        float v = x[i] / scale;
        v = isnan(v) ? 0 : v < least ? least : v > most ? most : v;
        out[i] = (uint8_t)((int32_t)rintf(v) + zp);
    }
}

void hone__from_bytes_scalar(const uint8_t *x, int is_signed, size_t n, float scale, int32_t zp, float *y)
{
    for (size_t i = 0; i < n; i++) y[i] = (float)((is_signed ? (int8_t)x[i] : x[i]) - zp) * scale;
}

float hone__magnitude_scalar(const float *x, size_t n, int *finite)
{
    float top = 0;
    for (size_t i = 0; i < n; i++) {
        float v = fabsf(x[i]);
        if (!(v <= 3.4028235e38f)) *finite = 0;
        if (v > top) top = v;
    }
    return top;
}

int32_t hone__scaled_scalar(const float *x, size_t n, float inv, int8_t *q)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t v = (int32_t)rintf(x[i] * inv);
        v = v > 127 ? 127 : v < -127 ? -127 : v;
        q[i] = (int8_t)v;
        sum += v;
    }
    return sum;
}

void hone__add_bytes_scalar(const hone__add_bytes_args *a, size_t from, size_t n)
{
    int32_t lo = a->is_signed[2] ? -128 : 0;
    for (size_t i = from; i < from + n; i++) {
        float v = 0;
        for (int k = 0; k < 2; k++) {
            int32_t x = a->is_signed[k] ? (int8_t)a->x[k][i] : a->x[k][i];
            float f = (float)(x - a->zp[k]) * a->scale[k];
            v = k ? v + f : f;
        }
        v = v < a->lo ? a->lo : v;
        v = v > a->hi ? a->hi : v;
        hone__to_bytes_scalar(&v, 1, a->scale[2], a->zp[2], lo, lo + 255, a->y + i);
    }
}

static const hone__quantize_table scalar = {
    .minmax = hone__minmax_scalar,
    .to_bytes = hone__to_bytes_scalar,
    .from_bytes = hone__from_bytes_scalar,
    .magnitude = hone__magnitude_scalar,
    .scaled = hone__scaled_scalar,
    .add_bytes = hone__add_bytes_scalar,
};

static hone__quantize_table tables[HONE__TIERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (int tier = 0; tier < HONE__TIERS; tier++) {
        hone__quantize_table *t = &tables[tier];
        *t = scalar;
#if defined(__x86_64__)
#define HONE_VARIANT(from, slot, value) \
    if (tier >= (from)) t->slot = (value);
#include "kernels/quantize/variants_x86.def"
#undef HONE_VARIANT
#endif
    }
}

const hone__quantize_table *hone__quantize_table_of(hone__tier tier)
{
    pthread_once(&once, build);
    return &tables[hone__tier_slot(tier)];
}
