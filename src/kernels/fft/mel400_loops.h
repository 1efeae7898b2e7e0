/* mel400_loops.h: mel400.h in the words of simd_<tier>.h and vec_math.h, W frames at a time. Before it, the including
 * file defines NAME(f) as the tier's name of f and the word spread(p, v): lane t of v[i] is p[160 t + i], i < 4. */
#include "kernels/fft/mel400.h"

enum {
    HOP = HONE__MEL400_HOP,
    BINS = HONE__MEL400_BINS,
    PITCH = (W + 2 + W - 1) / W * W /* W + 2 frames that a sample is in reach of, in whole vectors */
};

typedef struct vc {
    vf re, im;
} vc;

INLINE vc plus(vc a, vc b) { return (vc){add(a.re, b.re), add(a.im, b.im)}; }
INLINE vc minus(vc a, vc b) { return (vc){sub(a.re, b.re), sub(a.im, b.im)}; }
/* less: -im */
INLINE vc turned(vc a, float re, float im, float less)
{
    return (vc){fmadd(a.re, set1(re), mul(a.im, set1(less))), fmadd(a.re, set1(im), mul(a.im, set1(re)))};
}

/* x[k] for k = 0 .. n/2 of a real signal of n from those of its even and odd places: e[k] + w^k o[k], and mirrored. */
INLINE void join(const vc *e, const vc *o, int n, vc *x)
{
    static const float turns[4][2] = {
        {1, 0}, {0.92387953f, -0.38268343f}, {0.70710678f, -0.70710678f}, {0.38268343f, -0.92387953f}};
    x[0] = (vc){add(e[0].re, o[0].re), set1(0)};
    x[n / 2] = (vc){sub(e[0].re, o[0].re), set1(0)};
    x[n / 4] = (vc){e[n / 4].re, sub(set1(0), o[n / 4].re)};
#pragma GCC unroll 4
    for (int k = 1; k < n / 4; k++) {
        vc t = turned(o[k], turns[k * 16 / n][0], turns[k * 16 / n][1], -turns[k * 16 / n][1]), far = minus(e[k], t);
        x[k] = plus(e[k], t);
        x[n / 2 - k] = (vc){far.re, sub(set1(0), far.im)};
    }
}

INLINE void real4(vf a, vf b, vf c, vf d, vc *x)
{
    vc e[2] = {{add(a, c), set1(0)}, {sub(a, c), set1(0)}}, o[2] = {{add(b, d), set1(0)}, {sub(b, d), set1(0)}};
    join(e, o, 4, x);
}

INLINE void real8(const vf *v, vc *x) /* of every other place */
{
    vc e[3], o[3];
    real4(v[0], v[4], v[8], v[12], e);
    real4(v[2], v[6], v[10], v[14], o);
    join(e, o, 8, x);
}

INLINE void real16(const vf *v, vc *x)
{
    vc e[5], o[5];
    real8(v, e);
    real8(v + 1, o);
    join(e, o, 16, x);
}

INLINE void complex5(const vc *v, vc *x)
{
    const vf c1 = set1(0.30901699f), c2 = set1(-0.80901699f), s1 = set1(0.95105652f), s2 = set1(0.58778525f);
    vc p = plus(v[1], v[4]), q = plus(v[2], v[3]), r = minus(v[1], v[4]), s = minus(v[2], v[3]);
    vc a = {fmadd(c1, p.re, fmadd(c2, q.re, v[0].re)), fmadd(c1, p.im, fmadd(c2, q.im, v[0].im))};
    vc b = {fmadd(c2, p.re, fmadd(c1, q.re, v[0].re)), fmadd(c2, p.im, fmadd(c1, q.im, v[0].im))};
    vc c = {fmadd(s1, r.re, mul(s2, s.re)), fmadd(s1, r.im, mul(s2, s.im))};
    vc d = {sub(mul(s2, r.re), mul(s1, s.re)), sub(mul(s2, r.im), mul(s1, s.im))};
    x[0] = plus(v[0], plus(p, q));
    x[1] = (vc){add(a.re, c.im), sub(a.im, c.re)};
    x[4] = (vc){sub(a.re, c.im), add(a.im, c.re)};
    x[2] = (vc){add(b.re, d.im), sub(b.im, d.re)};
    x[3] = (vc){sub(b.re, d.im), add(b.im, d.re)};
}

/* 0 for what is no sample */
INLINE vf number(vf v) { return choose(lt(magnitude(v), set1(1e15f)), v, set1(0)); }

/* phases: [160][PITCH]; sample i of frame t is phases[i % 160][t + i / 160]. x: of W frames */
static void spread_phases(const float *x, float *phases)
{
    enum { LAST = HONE__MEL400_LENGTH - HOP /* samples that only frames before see */ };
    float last[LAST];
    for (size_t i = 0; i < LAST; i += W) store_n(last + i, number(load_n(x + W * HOP + i, W)), W);
    for (size_t r = 0; r < HOP; r += 4) {
        vf v[4];
        spread(x + r, v);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++) store_n(phases + (r + i) * PITCH, number(v[i]), W);
    }
    for (size_t i = 0; i < LAST; i++) phases[i % HOP * PITCH + W + i / HOP] = last[i];
}

/* rows: [9][25][2][W] */
static void transform16(const hone__mel400 *plan, const float *phases, float *rows)
{
    for (size_t b = 0; b < 25; b++) {
        vf v[16];
        vc x[9];
#pragma GCC unroll 16
        for (size_t a = 0; a < 16; a++) {
            size_t i = 25 * a + b;
            v[a] = mul(load_n(phases + i % HOP * PITCH + i / HOP, W), set1(plan->window[i]));
        }
        real16(v, x);
#pragma GCC unroll 9
        for (size_t k = 0; k < 9; k++) {
            store_n(rows + (k * 25 + b) * 2 * W, x[k].re, W);
            store_n(rows + (k * 25 + b) * 2 * W + W, x[k].im, W);
        }
    }
}

INLINE vc load_c(const float *p) { return (vc){load_n(p, W), load_n(p + W, W)}; }

/* Bins k + 16 j, those above 200 being mirrors of those below. */
static void transform25(const float (*twiddles)[3], const float *row, size_t k, float *power)
{
    static const float turns[5][5][2] = {/* exp(-2 pi i d e / 25) */
                                         {{1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}},
                                         {{1, 0},
                                          {0.96858316f, -0.24868989f},
                                          {0.87630668f, -0.48175367f},
                                          {0.72896863f, -0.68454711f},
                                          {0.53582679f, -0.84432793f}},
                                         {{1, 0},
                                          {0.87630668f, -0.48175367f},
                                          {0.53582679f, -0.84432793f},
                                          {0.06279052f, -0.99802673f},
                                          {-0.42577929f, -0.90482705f}},
                                         {{1, 0},
                                          {0.72896863f, -0.68454711f},
                                          {0.06279052f, -0.99802673f},
                                          {-0.63742399f, -0.77051324f},
                                          {-0.99211470f, -0.12533323f}},
                                         {{1, 0},
                                          {0.53582679f, -0.84432793f},
                                          {-0.42577929f, -0.90482705f},
                                          {-0.99211470f, -0.12533323f},
                                          {-0.63742399f, 0.77051324f}}};
    vc between[5][5]; /* [e][d] */
    for (size_t d = 0; d < 5; d++) {
        vc v[5], x[5];
#pragma GCC unroll 5
        for (size_t c = 0; c < 5; c++) {
            size_t b = 5 * c + d;
            v[c] = turned(load_c(row + b * 2 * W), twiddles[b][0], twiddles[b][1], twiddles[b][2]);
        }
        complex5(v, x);
        between[0][d] = x[0];
#pragma GCC unroll 4
        for (size_t e = 1; e < 5; e++) between[e][d] = turned(x[e], turns[d][e][0], turns[d][e][1], -turns[d][e][1]);
    }
    for (size_t e = 0; e < 5; e++) {
        vc x[5];
        complex5(between[e], x);
#pragma GCC unroll 5
        for (size_t f = 0; f < 5; f++) {
            size_t bin = k + 16 * (e + 5 * f);
            if (bin >= BINS) bin = HONE__MEL400_LENGTH - bin;
            store_n(power + bin * W, fmadd(x[f].re, x[f].re, mul(x[f].im, x[f].im)), W);
        }
    }
}

/* x > 0 and finite; off by 1e-7 at most, and by the result's rounding. What features need, at half the work of v_log.
 */
INLINE vf log10_of(vf x)
{
    vf f = sub(mantissa(x), set1(1.5f)), p = set1(4.553161165e-3f); /* minimax of log10(1.5 + f), |f| <= 0.5 */
    p = fmadd(p, f, set1(-7.562889234e-3f));
    p = fmadd(p, f, set1(1.123182827e-2f));
    p = fmadd(p, f, set1(-2.124959052e-2f));
    p = fmadd(p, f, set1(4.291041725e-2f));
    p = fmadd(p, f, set1(-9.651995152e-2f));
    p = fmadd(p, f, set1(2.895292589e-1f));
    p = fmadd(p, f, set1(1.760913387e-1f));
    return fmadd(exponent(x), set1(0.30103f), p);
}

static float bands(const hone__mel400 *plan, const float *power, size_t n, float *out, size_t stride)
{
    const float *w = plan->weights;
    vf largest = set1(-10);
    for (size_t m = 0; m < plan->mels; m++) {
        const float *p = power + plan->first[m] * (size_t)W;
        vf sum = set1(0);
        for (size_t k = plan->count[m]; k; k--, p += W) sum = fmadd(set1(*w++), load_n(p, W), sum);
        vf v = log10_of(max2(sum, set1(1e-10f)));
        store_n(out + m * stride, v, n);
        largest = max2(largest, keep_first(v, n, largest));
    }
    return max_lanes(largest);
}

float NAME(hone__mel400_run)(const hone__mel400 *plan, const float *x, size_t count, float *out, size_t stride,
                             float *scratch)
{
    float *power = scratch, *rows = power + BINS * W, *phases = rows + 9 * 25 * 2 * W, largest = -10;
    for (size_t t = 0; t < count; t += W) {
        spread_phases(x + t * HOP, phases);
        transform16(plan, phases, rows);
        for (size_t k = 0; k < 9; k++) transform25(plan->twiddles[k], rows + k * 25 * 2 * W, k, power);
        float here = bands(plan, power, count - t < W ? count - t : W, out + t, stride);
        largest = here > largest ? here : largest;
    }
    return largest;
}

void NAME(hone__mel400_limit)(float *values, size_t count, float least)
{
    for (size_t i = 0; i < count; i += W) {
        vf v = max2(load_n(values + i, count - i), set1(least));
        store_n(values + i, mul(add(v, set1(4)), set1(0.25f)), count - i);
    }
}
