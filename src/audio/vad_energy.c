/* vad_energy.c: see vad_energy.h. Weights are fitted to silero-vad's decisions about clean and noisy speech. */
#include "audio/vad_energy.h"

#include <math.h>
#include <string.h>

enum { BANDS = HONE__VAD_BANDS, FIRST = 1000, AROUND = 3 };

static const float QUIETEST = -7;  /* of a band: about -80 dB of full scale */
static const float DEPTH = 4;      /* the floor lies at most so far below the loudest frame of late */
static const float FORGET = 3e-4f; /* of that, per frame */
static const float RISE = 7e-4f;   /* of the floor, per frame: 0.7 dB/s */
static const float FALL = 0.05f;   /* share of what a band is below its floor */

static float loudness(const float *bands, size_t stride)
{
    float sum = 0;
    for (size_t b = 0; b < BANDS; b++) sum += powf(10, fmaxf(bands[b * stride], QUIETEST));
    return log10f(sum / BANDS);
}

/* The value that a tenth of row[0 .. n) is below, by halving the interval. */
static float tenth(const float *row, size_t n)
{
    float low = QUIETEST, high = 35;
    for (int i = 0; i < 16; i++) {
        float middle = (low + high) / 2;
        size_t below = 0;
        for (size_t t = 0; t < n; t++) below += row[t] <= middle;
        if (below > n / 10)
            high = middle;
        else
            low = middle;
    }
    return low;
}

static void start(hone__vad_energy *v, const float *bands, size_t stride, size_t count)
{
    size_t n = count < FIRST ? count : FIRST;
    v->started = true;
    v->peak = QUIETEST;
    for (size_t b = 0; b < BANDS; b++) v->floor[b] = tenth(bands + b * stride, n);
    for (size_t t = 0; t < n; t++) v->peak = fmaxf(v->peak, loudness(bands + t, stride));
}

/* One frame; the floor then follows it. */
static float step(hone__vad_energy *v, const float *bands, size_t stride)
{
    float above = 0, mean = 0, power = 0;
    v->peak = fmaxf(loudness(bands, stride), v->peak - FORGET);
    for (size_t b = 0; b < BANDS; b++) {
        float x = fmaxf(bands[b * stride], QUIETEST), d = x - fmaxf(v->floor[b], v->peak - DEPTH);
        above += fminf(fmaxf(d, 0), 3);
        mean += d;
        power += powf(10, fminf(d, 6));
        d = x - v->floor[b];
        v->floor[b] += d < 0 ? FALL * d : fminf(RISE, d);
    }
    /* of arithmetic over geometric mean: 0 for a flat spectrum */
    float uneven = log10f(power / BANDS) - mean / BANDS;
    return 5.6f * above / BANDS + 2 * uneven - 3.5f;
}

void hone__vad_energy_run(hone__vad_energy *v, const float *bands, size_t stride, size_t count, float *evidence)
{
    if (!v->started && count) start(v, bands, stride, count);
    for (size_t t = 0; t < count; t++) evidence[t] = step(v, bands + t, stride);
}

void hone__vad_energy_scores(float *evidence, size_t count)
{
    float before[AROUND]; /* what was there in front of frame t */
    for (int i = 0; i < AROUND; i++) before[i] = count ? evidence[0] : 0;
    for (size_t t = 0; t < count; t++) {
        float sum = evidence[t];
        for (size_t i = 0; i < AROUND; i++) {
            size_t next = t + 1 + i < count ? t + 1 + i : count - 1;
            sum += before[i] + evidence[next];
        }
        memmove(before, before + 1, (AROUND - 1) * sizeof *before);
        before[AROUND - 1] = evidence[t];
        evidence[t] = 1 / (1 + expf(-sum / (2 * AROUND + 1)));
    }
}
