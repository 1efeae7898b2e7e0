/* attend_parts.c: scores to weights in plain C, and the choice of the tier's. */
#include "kernels/attention/attend_parts.h"

#include <math.h>

#include "kernels/dispatch.h"

float hone__attend_weigh_scalar(float *s, size_t n, float *most)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        if (s[i] > *most) *most = s[i];
    for (size_t i = 0; i < n; i++) sum += s[i] = exp2f(s[i] - *most);
    return sum;
}

static hone__attend_table tables[HONE__TIERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (int tier = 0; tier < HONE__TIERS; tier++) {
        hone__attend_table *t = &tables[tier];
        t->weigh = hone__attend_weigh_scalar;
#if defined(__x86_64__)
#define HONE_VARIANT(from, slot, value) \
    if (tier >= (from)) t->slot = (value);
#include "kernels/attention/variants_x86.def"
#undef HONE_VARIANT
#endif
    }
}

const hone__attend_table *hone__attend_table_of(hone__tier tier)
{
    pthread_once(&once, build);
    return &tables[hone__tier_slot(tier)];
}
