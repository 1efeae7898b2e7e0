/* frontend.c: raw, spectrogram, log-mel and MFCC features of one clip; nothing is allocated after create. */
#include "audio/frontend.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

struct hone__frontend {
    hone__frontend_config config;
    hone__stft *stft;
    hone__mel *mel;
    size_t frames, rows, bands, values; /* rows: values of a frame before the DCT */
    float *clip;                        /* [clip_samples], scaled, pre-emphasised, followed by zeros */
    double *spectrum;                   /* [bins] */
    double *mels;                       /* [frames][rows] */
    double *dct;                        /* [n_mfcc][mels], lifter included */
};

static const double PI = 3.14159265358979323846264338327950;

static void make_dct(hone__frontend *f)
{
    const hone__frontend_config *c = &f->config;
    for (int k = 0; k < c->n_mfcc; k++) {
        double weight = sqrt(2.0 / c->mels) * (k == 0 && c->dct_norm == HONE__DCT_ORTHO ? sqrt(0.5) : 1);
        if (c->lifter > 0) weight *= 1 + c->lifter / 2 * sin(PI * (k + 1) / c->lifter);
        for (int m = 0; m < c->mels; m++)
            f->dct[(size_t)k * (size_t)c->mels + (size_t)m] = weight * cos(PI * k * (2 * m + 1) / (2.0 * c->mels));
    }
}

static hone_status create_spectral(hone__frontend *f)
{
    const hone__frontend_config *c = &f->config;
    hone__mel_config mel = {c->sample_rate, c->stft.fft_length, c->mels,     c->fmin,
                            c->fmax,        c->mel_scale,       c->mel_norm, c->mel_triangle};
    HONE__TRY(hone__stft_create(&c->stft, &f->stft));
    if (c->kind != HONE__FEATURE_SPECTROGRAM) HONE__TRY(hone__mel_create(&mel, &f->mel));
    size_t values, bins = (size_t)c->stft.fft_length / 2 + 1;
    if (!hone__mul_size(f->frames, f->rows * sizeof(double), &values)) return hone__out_of_memory(~0ull);
    f->spectrum = hone__malloc(bins * sizeof(double));
    f->mels = hone__malloc(values);
    if (!f->spectrum || !f->mels) return hone__out_of_memory(values);
    if (c->kind == HONE__FEATURE_MFCC) {
        size_t bytes = (size_t)c->n_mfcc * (size_t)c->mels * sizeof(double);
        f->dct = hone__malloc(bytes);
        if (!f->dct) return hone__out_of_memory(bytes);
        make_dct(f);
    }
    return HONE_OK;
}

hone_status hone__frontend_create(const hone__frontend_config *config, hone__frontend **out)
{
    *out = NULL;
    HONE__TRY(hone__frontend_check(config));
    hone__frontend *f = hone__calloc(1, sizeof *f);
    if (!f) return hone__out_of_memory(sizeof *f);
    f->config = *config;
    size_t samples = (size_t)config->clip_samples;
    hone_status s = HONE_OK;
    if (config->kind == HONE__FEATURE_RAW)
        f->values = samples;
    else {
        f->frames = hone__stft_frames(&config->stft, samples) - (size_t)config->drop_last_frame;
        f->bands = (size_t)hone__frontend_bands(config);
        f->rows = config->kind == HONE__FEATURE_SPECTROGRAM ? f->bands : (size_t)config->mels;
        f->values = f->frames * f->bands;
        s = create_spectral(f);
    }
    if (s == HONE_OK) f->clip = hone__malloc(samples * sizeof(float));
    if (s == HONE_OK && !f->clip) s = hone__out_of_memory(samples * sizeof(float));
    if (s != HONE_OK) {
        hone__frontend_destroy(f);
        return s;
    }
    *out = f;
    return HONE_OK;
}

void hone__frontend_destroy(hone__frontend *f)
{
    if (!f) return;
    hone__stft_destroy(f->stft);
    hone__mel_destroy(f->mel);
    hone__free(f->clip);
    hone__free(f->spectrum);
    hone__free(f->mels);
    hone__free(f->dct);
    hone__free(f);
}

const hone__frontend_config *hone__frontend_config_of(const hone__frontend *f) { return &f->config; }
size_t hone__frontend_values(const hone__frontend *f) { return f->values; }

static hone_status take_clip(hone__frontend *f, const float *pcm, size_t n)
{
    const hone__frontend_config *c = &f->config;
    if (!n) return hone__fail(HONE_E_FORMAT, "the clip is empty");
    if (n > (size_t)c->clip_samples)
        return hone__fail(HONE_E_ARGUMENT, "the clip has %zu samples: expected at most %d", n, c->clip_samples);
    double before = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(pcm[i])) return hone__fail(HONE_E_FORMAT, "sample %zu is not a finite number", i);
        double v = pcm[i] * c->sample_scale;
        f->clip[i] = (float)(v - c->preemphasis * before);
        if (!isfinite(f->clip[i])) return hone__fail(HONE_E_FORMAT, "sample %zu is too large: %g", i, pcm[i]);
        before = v;
    }
    memset(f->clip + n, 0, ((size_t)c->clip_samples - n) * sizeof(float));
    return HONE_OK;
}

static double log_unit(hone__log_kind kind)
{
    return kind == HONE__LOG_NATURAL ? 1 : (kind == HONE__LOG_DB ? 10 : 1) / log(10);
}

/* values: [n] of a whole clip, in place */
static void take_log(const hone__frontend_config *c, double *values, size_t n)
{
    if (c->log == HONE__LOG_NONE) return;
    double unit = log_unit(c->log), largest = -HUGE_VAL;
    for (size_t i = 0; i < n; i++) {
        values[i] = unit * log(fmax(values[i], c->log_floor) + c->log_offset);
        largest = fmax(largest, values[i]);
    }
    double shift = c->log_ref > 0 ? unit * log(fmax(c->log_ref, c->log_floor)) : largest;
    double lowest = c->log_range > 0 ? largest - c->log_range : -HUGE_VAL;
    for (size_t i = 0; i < n; i++) values[i] = fmax(values[i], lowest) - shift;
}

/* One frame's features, [bands], written to their places in out. Loud beyond reason: what a float cannot hold. */
static hone_status put_frame(const hone__frontend *f, size_t t, const double *mels, float *out)
{
    const hone__frontend_config *c = &f->config;
    int columns = c->layout == HONE__LAYOUT_MELS_FRAMES;
    for (size_t b = 0; b < f->bands; b++) {
        double v = f->dct ? 0 : mels[b];
        for (size_t m = 0; f->dct && m < (size_t)c->mels; m++) v += f->dct[b * (size_t)c->mels + m] * mels[m];
        double mean = c->mean[c->mean_count > 1 ? b : 0], std = c->std[c->std_count > 1 ? b : 0];
        v = (v - mean) / std;
        if (!(fabs(v) <= FLT_MAX))
            return hone__fail(HONE_E_FORMAT, "band %zu of frame %zu is %g, beyond a float: the samples are too large",
                              b, t, v);
        out[columns ? b * f->frames + t : t * f->bands + b] = (float)v;
    }
    return HONE_OK;
}

hone_status hone__frontend_run(hone__frontend *f, const float *pcm, size_t n, float *out)
{
    const hone__frontend_config *c = &f->config;
    size_t samples = (size_t)c->clip_samples, rows = f->rows;
    HONE__TRY(take_clip(f, pcm, n));
    if (c->kind == HONE__FEATURE_RAW) {
        for (size_t i = 0; i < samples; i++) out[i] = (float)(((double)f->clip[i] - c->mean[0]) / c->std[0]);
        return HONE_OK;
    }
    for (size_t t = 0; t < f->frames; t++) {
        double *row = f->mels + t * rows;
        hone__stft_frame(f->stft, f->clip, samples, t, f->mel ? f->spectrum : row);
        if (f->mel) hone__mel_apply(f->mel, f->spectrum, row);
    }
    take_log(c, f->mels, f->frames * rows);
    for (size_t t = 0; t < f->frames; t++) HONE__TRY(put_frame(f, t, f->mels + t * rows, out));
    return HONE_OK;
}
