/* stft.c: framing, windows and magnitudes over the real Fourier transform. */
#include "audio/stft.h"

#include <math.h>

#include "base/alloc.h"
#include "kernels/fft/fft.h"

struct hone__stft {
    hone__stft_config config;
    hone__fft *plan;
    double *window;   /* [span], zeros of the alignment included */
    double *frame;    /* [fft_length] */
    double *spectrum; /* [fft_length/2 + 1][2] */
    double *scratch;
};

static const double TAU = 6.283185307179586476925286766559;

/* Samples of the signal that one frame covers. */
static size_t span_of(const hone__stft_config *c)
{
    return (size_t)(c->align == HONE__ALIGN_LEFT ? c->frame_length : c->fft_length);
}

static double window_value(const hone__stft_config *c, int i)
{
    int period = c->periodic ? c->frame_length : c->frame_length - 1;
    double turn = period > 0 ? TAU * i / period : TAU / 2; /* a single sample weighs 1 */
    switch (c->window) {
    case HONE__WINDOW_HANN: return 0.5 - 0.5 * cos(turn);
    case HONE__WINDOW_HAMMING: return 0.54 - 0.46 * cos(turn);
    case HONE__WINDOW_BLACKMAN: return 0.42 - 0.5 * cos(turn) + 0.08 * cos(2 * turn);
    case HONE__WINDOW_ONES: break;
    }
    return 1;
}

static hone_status check(const hone__stft_config *c)
{
    if (c->fft_length < 1 || c->fft_length > HONE__FFT_MAX)
        return hone__fail(HONE_E_ARGUMENT, "fft_length is %d: expected 1 to %d", c->fft_length, HONE__FFT_MAX);
    if (c->frame_length < 1 || c->frame_length > c->fft_length)
        return hone__fail(HONE_E_ARGUMENT, "frame_length is %d: expected 1 to fft_length = %d", c->frame_length,
                          c->fft_length);
    if (c->hop_length < 1) return hone__fail(HONE_E_ARGUMENT, "hop_length is %d: expected at least 1", c->hop_length);
    if (!(c->power > 0 && c->power <= 16))
        return hone__fail(HONE_E_ARGUMENT, "power is %g: expected above 0", c->power);
    return HONE_OK;
}

hone_status hone__stft_create(const hone__stft_config *config, hone__stft **out)
{
    *out = NULL;
    HONE__TRY(check(config));
    hone__stft *s = hone__calloc(1, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    s->config = *config;
    hone_status status = hone__fft_create((size_t)config->fft_length, &s->plan);
    if (status != HONE_OK) {
        hone__stft_destroy(s);
        return status;
    }
    size_t n = (size_t)config->fft_length;
    s->window = hone__calloc(n, sizeof(double));
    s->frame = hone__calloc(n, sizeof(double));
    s->spectrum = hone__calloc(n + 2, sizeof(double));
    s->scratch = hone__calloc(hone__fft_scratch(s->plan), sizeof(double));
    if (!s->window || !s->frame || !s->spectrum || !s->scratch) {
        hone__stft_destroy(s);
        return hone__out_of_memory(n * sizeof(double));
    }
    int left = config->align == HONE__ALIGN_CENTER ? (config->fft_length - config->frame_length) / 2 : 0;
    for (int i = 0; i < config->frame_length; i++) s->window[left + i] = window_value(config, i);
    *out = s;
    return HONE_OK;
}

void hone__stft_destroy(hone__stft *s)
{
    if (!s) return;
    hone__fft_destroy(s->plan);
    hone__free(s->window);
    hone__free(s->frame);
    hone__free(s->spectrum);
    hone__free(s->scratch);
    hone__free(s);
}

static size_t pad_before(const hone__stft_config *c)
{
    return c->pad == HONE__PAD_NONE || c->pad == HONE__PAD_END ? 0 : (size_t)c->fft_length / 2;
}

size_t hone__stft_frames(const hone__stft_config *c, size_t n)
{
    size_t hop = (size_t)c->hop_length, pad = pad_before(c), span = span_of(c);
    if (!n) return 0;
    if (c->pad == HONE__PAD_END) return n / hop + (n % hop != 0);
    if (c->pad == HONE__PAD_REFLECT && n <= pad) return 0;
    return n + 2 * pad < span ? 0 : 1 + (n + 2 * pad - span) / hop;
}

/* Sample at a position that may lie outside [0, n). Mirrors turn at most once on each side: pad < n. */
static double sample_at(const hone__stft_config *c, const float *pcm, size_t n, ptrdiff_t at)
{
    if (at >= 0 && (size_t)at < n) return pcm[at];
    switch (c->pad) {
    case HONE__PAD_REFLECT: return pcm[at < 0 ? -at : 2 * (ptrdiff_t)(n - 1) - at];
    case HONE__PAD_EDGE: return pcm[at < 0 ? 0 : n - 1];
    case HONE__PAD_NONE:
    case HONE__PAD_ZERO:
    case HONE__PAD_END: break;
    }
    return 0;
}

static void take_frame(hone__stft *s, const float *pcm, size_t n, size_t t)
{
    const hone__stft_config *c = &s->config;
    size_t span = span_of(c);
    ptrdiff_t start = (ptrdiff_t)(t * (size_t)c->hop_length) - (ptrdiff_t)pad_before(c);
    if (start >= 0 && (size_t)start + span <= n) {
        for (size_t i = 0; i < span; i++) s->frame[i] = pcm[(size_t)start + i] * s->window[i];
        return;
    }
    for (size_t i = 0; i < span; i++) s->frame[i] = sample_at(c, pcm, n, start + (ptrdiff_t)i) * s->window[i];
}

void hone__stft_frame(hone__stft *s, const float *pcm, size_t n, size_t t, double *out)
{
    take_frame(s, pcm, n, t);
    hone__fft_real(s->plan, s->frame, s->spectrum, s->scratch);
    size_t bins = (size_t)s->config.fft_length / 2 + 1;
    for (size_t k = 0; k < bins; k++) {
        const double *x = s->spectrum + 2 * k;
        out[k] = x[0] * x[0] + x[1] * x[1];
    }
    double power = s->config.power;
    if (power == 2) return;
    for (size_t k = 0; k < bins; k++) out[k] = power == 1 ? sqrt(out[k]) : pow(out[k], power / 2);
}
