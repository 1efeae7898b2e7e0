/* mel400.c: mel400.h one frame at a time in plain C, and the choice of the tier's. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/dispatch.h"

/* The words of simd_<tier>.h and vec_math.h for one lane. */
#define INLINE static inline
enum { W = 1 };
typedef float vf;
typedef int vm;
INLINE vf load_n(const float *p, size_t n) { return n ? *p : 0; }
INLINE void store_n(float *p, vf v, size_t n)
{
    if (n) *p = v;
}
INLINE vf keep_first(vf v, size_t n, vf other) { return n ? v : other; }
INLINE vf set1(float x) { return x; }
INLINE vf add(vf a, vf b) { return a + b; }
INLINE vf sub(vf a, vf b) { return a - b; }
INLINE vf mul(vf a, vf b) { return a * b; }
INLINE vf fmadd(vf a, vf b, vf c) { return a * b + c; }
INLINE vf max2(vf a, vf b) { return a > b ? a : b; }
INLINE vm lt(vf a, vf b) { return a < b; }
INLINE vf magnitude(vf a) { return fabsf(a); }
INLINE vf choose(vm m, vf yes, vf no) { return m ? yes : no; }
INLINE uint32_t bits_of(vf x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}
INLINE vf exponent(vf x) { return (vf)((int)(bits_of(x) >> 23) - 127); }
INLINE vf mantissa(vf x)
{
    uint32_t u = (bits_of(x) & 0x7fffff) | 0x3f800000;
    memcpy(&x, &u, sizeof x);
    return x;
}
INLINE float max_lanes(vf v) { return v; }
INLINE void spread(const float *p, vf *v)
{
    for (int i = 0; i < 4; i++) v[i] = p[i];
}
#define NAME(f) f##_scalar
#include "kernels/fft/mel400_loops.h"

void hone__mel400_twiddles(hone__mel400 *plan)
{
    const double step = -6.283185307179586476925286766559 / HONE__MEL400_LENGTH;
    for (int k = 0; k < 9; k++)
        for (int b = 0; b < 25; b++) {
            float *w = plan->twiddles[k][b];
            w[0] = (float)cos(step * k * b);
            w[1] = (float)sin(step * k * b);
            w[2] = -w[1];
        }
}

static hone__mel400_table tables[HONE__TIERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (int tier = 0; tier < HONE__TIERS; tier++) {
        hone__mel400_table *t = &tables[tier];
        t->run = hone__mel400_run_scalar;
        t->limit = hone__mel400_limit_scalar;
#if defined(__x86_64__)
#define HONE_VARIANT(from, slot, value) \
    if (tier >= (from)) t->slot = (value);
#include "kernels/fft/variants_x86.def"
#undef HONE_VARIANT
#endif
    }
}

const hone__mel400_table *hone__mel400_table_of(hone__tier tier)
{
    pthread_once(&once, build);
    return &tables[hone__tier_slot(tier)];
}

float hone__mel400_run(const hone__mel400 *plan, const float *x, size_t count, float *out, size_t stride,
                       float *scratch)
{
    return hone__mel400_table_of(hone__cpu_tier())->run(plan, x, count, out, stride, scratch);
}

void hone__mel400_limit(float *values, size_t count, float least)
{
    hone__mel400_table_of(hone__cpu_tier())->limit(values, count, least);
}
