/* mel.c: mel filters, kept sparse: each band as its first bin and the weights from there. */
#include "audio/mel.h"

#include <math.h>

#include "base/alloc.h"

typedef struct band {
    int first, count;
    size_t weights; /* index of the first weight */
} band;

struct hone__mel {
    int mels;
    band *bands;
    double *weights;
};

/* Slaney's scale: 200/3 Hz per mel up to 1 kHz (mel 15), then 27 mels for a factor of 6.4. */
static const double SLANEY_STEP = 200.0 / 3, SLANEY_BREAK = 1000, SLANEY_BREAK_MEL = 15;

static double slaney_log_step(void) { return log(6.4) / 27; }

static double mel_of(hone__mel_scale scale, double hz)
{
    if (scale == HONE__MEL_HTK) return 2595 * log10(1 + hz / 700);
    return hz < SLANEY_BREAK ? hz / SLANEY_STEP : SLANEY_BREAK_MEL + log(hz / SLANEY_BREAK) / slaney_log_step();
}

static double hz_of(hone__mel_scale scale, double mel)
{
    if (scale == HONE__MEL_HTK) return 700 * (pow(10, mel / 2595) - 1);
    return mel < SLANEY_BREAK_MEL ? mel * SLANEY_STEP
                                  : SLANEY_BREAK * exp(slaney_log_step() * (mel - SLANEY_BREAK_MEL));
}

static hone_status check(const hone__mel_config *c)
{
    if (c->sample_rate < 1) return hone__fail(HONE_E_ARGUMENT, "sample_rate is %d: expected above 0", c->sample_rate);
    if (c->fft_length < 1) return hone__fail(HONE_E_ARGUMENT, "fft_length is %d: expected above 0", c->fft_length);
    if (c->mels < 1 || c->mels > 4096) return hone__fail(HONE_E_ARGUMENT, "mels is %d: expected 1 to 4096", c->mels);
    if (!(c->fmin >= 0 && c->fmin < c->fmax && c->fmax <= 1e6))
        return hone__fail(HONE_E_ARGUMENT, "fmin is %g and fmax %g Hz: expected 0 <= fmin < fmax", c->fmin, c->fmax);
    return HONE_OK;
}

/* Edge i = 0 .. mels + 1, equally spaced in mel; in Hz, or in mel for mel-straight sides. */
static double edge(const hone__mel_config *c, int i)
{
    double low = mel_of(c->scale, c->fmin), high = mel_of(c->scale, c->fmax);
    double mel = low + (high - low) * i / (c->mels + 1);
    return c->triangle == HONE__MEL_TRIANGLE_MEL ? mel : hz_of(c->scale, mel);
}

static double height(const hone__mel_config *c, int bin, const double *e)
{
    double hz = (double)bin * c->sample_rate / c->fft_length;
    double at = c->triangle == HONE__MEL_TRIANGLE_MEL ? mel_of(c->scale, hz) : hz;
    double rise = (at - e[0]) / (e[1] - e[0]), fall = (e[2] - at) / (e[2] - e[1]);
    return fmax(0, fmin(rise, fall));
}

/* Writes the weights of one band, where `weights` is not NULL; the band's first bin and count in any case. */
static void fill_band(const hone__mel_config *c, int i, band *b, double *weights)
{
    double e[3] = {edge(c, i), edge(c, i + 1), edge(c, i + 2)};
    double low = c->triangle == HONE__MEL_TRIANGLE_MEL ? hz_of(c->scale, e[0]) : e[0];
    double high = c->triangle == HONE__MEL_TRIANGLE_MEL ? hz_of(c->scale, e[2]) : e[2];
    double scale = c->norm == HONE__MEL_NORM_SLANEY ? 2 / (high - low) : 1,
           bins_per_hz = (double)c->fft_length / c->sample_rate;
    double last = fmin(floor(c->fft_length / 2.0), ceil(high * bins_per_hz) + 1);
    b->first = b->count = 0;
    for (int bin = (int)fmin(last, fmax(0, floor(low * bins_per_hz) - 1)); bin <= (int)last; bin++) {
        double h = height(c, bin, e);
        if (h <= 0) continue;
        if (!b->count) b->first = bin;
        if (weights) weights[bin - b->first] = h * scale;
        b->count = bin - b->first + 1;
    }
}

hone_status hone__mel_create(const hone__mel_config *config, hone__mel **out)
{
    *out = NULL;
    HONE__TRY(check(config));
    hone__mel *m = hone__calloc(1, sizeof *m);
    if (!m) return hone__out_of_memory(sizeof *m);
    m->mels = config->mels;
    m->bands = hone__calloc((size_t)config->mels, sizeof *m->bands);
    size_t total = 0;
    for (int i = 0; m->bands && i < m->mels; i++) {
        fill_band(config, i, m->bands + i, NULL);
        m->bands[i].weights = total;
        total += (size_t)m->bands[i].count;
    }
    m->weights = m->bands ? hone__calloc(total + 1, sizeof(double)) : NULL;
    if (!m->weights) {
        hone__mel_destroy(m);
        return hone__out_of_memory(total * sizeof(double));
    }
    for (int i = 0; i < m->mels; i++) fill_band(config, i, m->bands + i, m->weights + m->bands[i].weights);
    *out = m;
    return HONE_OK;
}

void hone__mel_destroy(hone__mel *m)
{
    if (!m) return;
    hone__free(m->bands);
    hone__free(m->weights);
    hone__free(m);
}

void hone__mel_apply(const hone__mel *m, const double *spectrum, double *out)
{
    for (int i = 0; i < m->mels; i++) {
        const band *b = m->bands + i;
        const double *w = m->weights + b->weights, *x = spectrum + b->first;
        double sum = 0;
        for (int k = 0; k < b->count; k++) sum += w[k] * x[k];
        out[i] = sum;
    }
}

const double *hone__mel_band(const hone__mel *m, int i, int *first, int *count)
{
    *first = m->bands[i].first;
    *count = m->bands[i].count;
    return m->weights + m->bands[i].weights;
}
