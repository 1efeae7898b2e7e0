/* log_mel.c: see log_mel.h. */
#include "log_mel.h"

#include <math.h>
#include <string.h>

#include "audio/mel.h"
#include "base/alloc.h"
#include "kernels/fft/mel400.h"

enum {
    LENGTH = HONE__MEL400_LENGTH,
    GROUP = HONE__MEL400_GROUP,
    SPAN = (GROUP - 1) * HONE__LOG_MEL_HOP + LENGTH /* samples of a group of frames */
};

struct hone__log_mel {
    hone__mel400 plan;
    uint16_t *places; /* [2 * mels]: first bins, counts */
    float *weights, *scratch, samples[SPAN];
};

static void fill_window(float *window)
{
    const double step = 6.283185307179586476925286766559 / LENGTH;
    for (int i = 0; i < LENGTH; i++) window[i] = (float)(0.5 - 0.5 * cos(step * i));
}

/* The bands' bins and weights as the kernel wants them. */
static hone_status fill_bands(hone__log_mel *m, const hone__mel *bank)
{
    size_t mels = m->plan.mels, total = 0;
    for (size_t i = 0; i < mels; i++) {
        int first, count;
        hone__mel_band(bank, (int)i, &first, &count);
        m->places[i] = (uint16_t)first;
        m->places[mels + i] = (uint16_t)count;
        total += (size_t)count;
    }
    m->weights = hone__malloc((total + 1) * sizeof *m->weights);
    if (!m->weights) return hone__out_of_memory((total + 1) * sizeof *m->weights);
    total = 0;
    for (size_t i = 0; i < mels; i++) {
        int first, count;
        const double *w = hone__mel_band(bank, (int)i, &first, &count);
        for (int k = 0; k < count; k++) m->weights[total++] = (float)w[k];
    }
    m->plan.first = m->places;
    m->plan.count = m->places + mels;
    m->plan.weights = m->weights;
    return HONE_OK;
}

static hone_status set_up(hone__log_mel *m, size_t mels)
{
    const hone__mel_config config = {.sample_rate = HONE__LOG_MEL_RATE,
                                     .fft_length = LENGTH,
                                     .mels = (int)mels,
                                     .fmin = 0,
                                     .fmax = HONE__LOG_MEL_RATE / 2.0,
                                     .scale = HONE__MEL_SLANEY,
                                     .norm = HONE__MEL_NORM_SLANEY,
                                     .triangle = HONE__MEL_TRIANGLE_HZ};
    hone__mel *bank;
    m->plan.mels = mels;
    fill_window(m->plan.window);
    hone__mel400_twiddles(&m->plan);
    m->places = hone__calloc(2 * mels, sizeof *m->places);
    if (!m->places) return hone__out_of_memory(2 * mels * sizeof *m->places);
    m->scratch = hone__aligned_malloc(HONE__MEL400_SCRATCH * sizeof *m->scratch);
    if (!m->scratch) return hone__out_of_memory(HONE__MEL400_SCRATCH * sizeof *m->scratch);
    HONE__TRY(hone__mel_create(&config, &bank));
    hone_status s = fill_bands(m, bank);
    hone__mel_destroy(bank);
    return s;
}

hone_status hone__log_mel_create(size_t mels, hone__log_mel **out)
{
    *out = NULL;
    if (!mels || mels > 512) return hone__fail(HONE_E_ARGUMENT, "%zu mel bands", mels);
    hone__log_mel *m = hone__calloc(1, sizeof *m);
    if (!m) return hone__out_of_memory(sizeof *m);
    hone_status s = set_up(m, mels);
    if (s != HONE_OK) {
        hone__log_mel_destroy(m);
        return s;
    }
    *out = m;
    return HONE_OK;
}

void hone__log_mel_destroy(hone__log_mel *m)
{
    if (!m) return;
    hone__free(m->places);
    hone__free(m->weights);
    hone__aligned_free(m->scratch);
    hone__free(m);
}

/* The samples of the group of frames from t on. */
static void take(const float *pcm, size_t at, size_t n, size_t t, float *to)
{
    for (size_t i = 0; i < SPAN; i++) {
        size_t place = t * HONE__LOG_MEL_HOP + i;
        place = place < HONE__LOG_MEL_REACH ? HONE__LOG_MEL_REACH - place : place - HONE__LOG_MEL_REACH;
        to[i] = place >= at && place - at < n ? pcm[place - at] : 0;
    }
}

/* How many frames from t on, in whole groups, see nothing but pcm. */
static size_t inside(size_t at, size_t n, size_t t, size_t count)
{
    if (t * HONE__LOG_MEL_HOP < at + HONE__LOG_MEL_REACH) return 0;
    size_t begin = t * HONE__LOG_MEL_HOP - HONE__LOG_MEL_REACH - at;
    if (begin > n || n - begin < LENGTH) return 0;
    size_t frames = (n - begin - LENGTH) / HONE__LOG_MEL_HOP + 1;
    return (frames < count ? frames : count) / GROUP * GROUP;
}

float hone__log_mel_run(hone__log_mel *m, const float *pcm, size_t at, size_t n, size_t first, size_t count, float *out,
                        size_t stride)
{
    float largest = -INFINITY;
    for (size_t t = 0, step; t < count; t += step) {
        const float *x = m->samples;
        step = inside(at, n, first + t, count - t);
        if (step) {
            x = pcm + ((first + t) * HONE__LOG_MEL_HOP - HONE__LOG_MEL_REACH - at);
        } else {
            step = count - t < GROUP ? count - t : GROUP;
            take(pcm, at, n, first + t, m->samples);
        }
        float here = hone__mel400_run(&m->plan, x, step, out + t, stride, m->scratch);
        largest = here > largest ? here : largest;
    }
    return largest;
}

void hone__log_mel_limit(float *values, size_t count, float largest) { hone__mel400_limit(values, count, largest - 8); }
