/* layer_spectrogram.c: STFTSpectrogram (its trained kernels as a convolution) and MelSpectrogram (ONNX's STFT). */
#define _GNU_SOURCE /* M_PI */
#include <math.h>
#include <string.h>

#include "audio/frontend.h"
#include "keras.h"
#include "tasks/classify.h"

static const float EPSILON = 1e-7f;

/* [frame, 1, bins] of one or both parts -> [parts * bins, 1, frame] */
static hone__value *stft_kernel(kctx *c, klayer *l, int64_t frame, int64_t bins, bool real, bool imag)
{
    kweight w;
    int64_t dims[3] = {frame, 1, bins}, perm[3] = {2, 1, 0}, to[3] = {bins, 1, frame};
    hone__value *part[2];
    int n = 0;
    if (real && hone__kw_take(c, l, "", n, "real_kernel", 3, dims, &w))
        part[n++] = hone__kw_permuted(c, l, &w, "real", 3, dims, perm, 3, to);
    if (imag && hone__kw_take(c, l, "", n, "imag_kernel", 3, dims, &w))
        part[n++] = hone__kw_permuted(c, l, &w, "imag", 3, dims, perm, 3, to);
    if (c->b.status != HONE_OK || n == 0) return NULL;
    return n == 1 ? part[0] : hone__k_concat(c, part, 2, 0);
}

/* atan2(y, x) from Atan: ONNX has no such operator. */
static hone__value *atan2_of(kctx *c, hone__value *y, hone__value *x)
{
    hone__value *zero = hone__k_scalar(c, 0, HONE_F32), *pi = hone__k_scalar(c, M_PI, HONE_F32),
                *minus = hone__k_scalar(c, -M_PI, HONE_F32);
    hone__value *still = hone__k2(c, "Equal", x, zero), *one = hone__k_scalar(c, 1, HONE_F32);
    hone__value *safe = hone__emit(&c->b, "Where", "safe", HONE__INS(still, one, x), HONE__NO_ATTRS);
    hone__value *turn =
        hone__emit(&c->b, "Where", "turn", HONE__INS(hone__k2(c, "Less", y, zero), minus, pi), HONE__NO_ATTRS);
    hone__value *angle = hone__k1(c, "Atan", hone__k2(c, "Div", y, safe));
    hone__value *add =
        hone__emit(&c->b, "Where", "left", HONE__INS(hone__k2(c, "Less", x, zero), turn, zero), HONE__NO_ATTRS);
    hone__value *upright = hone__k2(c, "Mul", hone__k1(c, "Sign", y), hone__k_scalar(c, M_PI / 2, HONE_F32));
    return hone__emit(&c->b, "Where", "atan2", HONE__INS(still, upright, hone__k2(c, "Add", angle, add)),
                      HONE__NO_ATTRS);
}

/* parts: [rows, parts * bins, time] -> one value of [rows, bins (or 2 bins), time] */
static hone__value *stft_mode(kctx *c, const char *mode, hone__value *x, int64_t bins)
{
    hone__value *p[2], *floor_of = hone__k_scalar(c, EPSILON, HONE_F32);
    if (strcmp(mode, "real") == 0 || strcmp(mode, "imag") == 0 || strcmp(mode, "stft") == 0) return x;
    p[0] = hone__k_slice(c, x, 1, 0, bins, 1), p[1] = hone__k_slice(c, x, 1, bins, 2 * bins, 1);
    if (strcmp(mode, "angle") == 0) return atan2_of(c, p[1], p[0]);
    hone__value *power = hone__k2(c, "Add", hone__k2(c, "Mul", p[0], p[0]), hone__k2(c, "Mul", p[1], p[1]));
    if (strcmp(mode, "psd") == 0) { /* inner bins count twice */
        float *twice = hone__k_alloc(c, (size_t)bins * sizeof *twice);
        if (!twice) return NULL;
        for (int64_t i = 0; i < bins; i++) twice[i] = i == 0 || i == bins - 1 ? 1 : 2;
        return hone__k2(c, "Mul", power, hone__emit_f32(&c->b, "sides", twice, 2, (int64_t[]){bins, 1}));
    }
    hone__value *size = hone__k1(c, "Sqrt", hone__k2(c, "Max", power, floor_of));
    if (strcmp(mode, "magnitude") == 0) return size;
    if (strcmp(mode, "log") == 0) return hone__k1(c, "Log", hone__k2(c, "Max", size, floor_of));
    hone__k_refuse(c, "mode '%s'", mode);
    return NULL;
}

hone_status hone__klayer_stft(kctx *c, klayer *l, kcall *call)
{
    kview v;
    const char *mode = hone__kcfg_text(l, "mode", "log"), *padding = hone__kcfg_text(l, "padding", "valid");
    int64_t frame = hone__kcfg_int(c, l, "frame_length", 256, 1, 1 << 20), pads[2], frames;
    int64_t hop = hone__kcfg_int(c, l, "frame_step", frame / 2 ? frame / 2 : 1, 1, 1 << 20),
            fft = hone__kcfg_int(c, l, "fft_length", frame, 1, 1 << 20);
    bool automatic = false, wide = hone__kcfg_bool(l, "expand_dims", false);
    if (!hone__kview_of(c, l, call->in[0], 1, &v)) return c->b.status;
    hone__k_window(c, padding, v.size[0], frame, hop, &pads[0], &pads[1], &frames, &automatic);
    int64_t bins = fft / 2 + 1, channels = v.channels;
    if (channels < 1) return hone__k_shape_error(c, "the number of channels is not known");
    hone__value *kernel = stft_kernel(c, l, frame, bins, strcmp(mode, "imag") != 0, strcmp(mode, "real") != 0);
    hone__value *x = channels == 1 ? v.x : NULL;
    if (!x && v.size[0] > 0) x = hone__k_reshape(c, v.x, 3, (int64_t[]){-1, 1, v.size[0]});
    if (!x) return hone__k_refuse(c, "several channels of unknown length");
    hone__attr pad = automatic ? hone__a_string("auto_pad", "SAME_UPPER") : hone__a_ints("pads", pads, 2);
    x = hone__emit(&c->b, "Conv", "stft", HONE__INS(x, kernel),
                   HONE__ATTRS(hone__a_ints("kernel_shape", &frame, 1), hone__a_ints("strides", &hop, 1), pad));
    x = stft_mode(c, mode, x, bins);
    if (strcmp(mode, "stft") == 0) bins *= 2;
    int64_t dims[4] = {v.batch};
    kt *y;
    if (!wide) { /* [batch, time, channels * bins], or with time last */
        if (channels > 1) x = hone__k_reshape(c, x, 3, (int64_t[]){-1, channels * bins, frames});
        dims[1] = v.first ? channels * bins : frames, dims[2] = v.first ? frames : channels * bins;
        y = hone__kt_new(c, v.first ? K_PLAIN : K_MOVED, x, HONE_F32, 3, dims);
    } else { /* [batch, time, bins, channels], or with channels first */
        x = channels > 1 ? hone__k_reshape(c, x, 4, (int64_t[]){-1, channels, bins, frames})
                         : hone__k_unsqueeze(c, x, 1);
        x = hone__k_transpose(c, x, 4, (int64_t[]){0, 1, 3, 2}); /* [batch, channels, time, bins] */
        dims[1] = v.first ? channels : frames, dims[2] = v.first ? frames : bins, dims[3] = v.first ? bins : channels;
        y = hone__kt_new(c, v.first ? K_PLAIN : K_MOVED, x, HONE_F32, 4, dims);
    }
    return hone__k_return(c, call, y);
}

/* ---- MelSpectrogram ---- */

static float hertz_to_mel(float f) { return 1127.0f * logf(1.0f + f / 700.0f); }

/* [bins, mels]: triangles on the mel scale, as the layer computes them in float32. */
static hone__value *mel_matrix(kctx *c, const klayer *l, int64_t bins, int64_t mels)
{
    double rate = hone__kcfg_num(c, l, "sampling_rate", 16000), low = hone__kcfg_num(c, l, "min_freq", 20),
           high = hone__kcfg_num(c, l, "max_freq", 0);
    if (high == 0) high = floor(rate / 2);
    float *m = hone__k_alloc(c, (size_t)(bins * mels) * sizeof *m), a = hertz_to_mel((float)low),
          b = hertz_to_mel((float)high);
    if (!m || c->b.status != HONE_OK) return NULL;
    float step = (b - a) / (float)(mels + 1), nyquist = (float)(rate / 2);
    for (int64_t i = 1; i < bins; i++) {
        float mel = hertz_to_mel((float)((double)nyquist / (double)(bins - 1) * (double)i));
        for (int64_t k = 0; k < mels; k++) {
            float lower = a + step * (float)k, center = a + step * (float)(k + 1),
                  upper = k + 2 == mels + 1 ? b : a + step * (float)(k + 2);
            float up = (mel - lower) / (center - lower), down = (upper - mel) / (upper - center),
                  v = up < down ? up : down;
            m[i * mels + k] = v > 0 ? v : 0;
        }
    }
    return hone__emit_f32(&c->b, "mel", m, 2, (int64_t[]){bins, mels});
}

/* 10 log10, no lower than top_db below the largest of the whole batch */
static hone__value *decibels(kctx *c, const klayer *l, hone__value *x)
{
    double least = hone__kcfg_num(c, l, "min_power", 1e-10), ref = fabs(hone__kcfg_num(c, l, "ref_power", 1)),
           top = hone__kcfg_num(c, l, "top_db", 80);
    x = hone__k1(c, "Log", hone__k2(c, "Max", x, hone__k_scalar(c, least, HONE_F32)));
    x = hone__k2(c, "Mul", x, hone__k_scalar(c, 10 / log(10), HONE_F32));
    double shift = 10 * log10(ref > least ? ref : least);
    if (shift != 0) x = hone__k2(c, "Sub", x, hone__k_scalar(c, shift, HONE_F32));
    hone__value *peak = hone__emit(&c->b, "ReduceMax", "peak", HONE__INS(x), HONE__ATTRS(hone__a_int("keepdims", 0)));
    return hone__k2(c, "Max", x, hone__k2(c, "Sub", peak, hone__k_scalar(c, top, HONE_F32)));
}

/* A model that takes waves says at which rate: its clips need no description beside it. */
static void note_waves(kctx *c, const klayer *l, const kt *t)
{
    hone__frontend_config f;
    char text[2048];
    size_t needed;
    int64_t rate = hone__kcfg_int(c, l, "sampling_rate", 16000, 1, 768000);
    const hone__value *v = t->form[K_PLAIN];
    if (!v || v->input_index < 0 || t->dims[1] < 1 || t->dims[1] > 1 << 28 || c->b.status != HONE_OK) return;
    hone__frontend_default(&f);
    f.kind = HONE__FEATURE_RAW;
    f.sample_rate = (int)rate;
    f.clip_samples = (int)t->dims[1];
    f.channel_axis = HONE__CHANNEL_NONE;
    if (hone__frontend_check(&f) != HONE_OK) return;
    hone__frontend_print(&f, text, sizeof text, &needed);
    if (needed > sizeof text) return;
    hone__builder_fail(&c->b, hone__model_set_metadata(c->b.graph->model, HONE__KEY_FEATURES, text));
}

hone_status hone__klayer_mel(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    int64_t fft = hone__kcfg_int(c, l, "fft_length", 2048, 2, 1 << 20),
            hop = hone__kcfg_int(c, l, "sequence_stride", 512, 1, 1 << 20);
    int64_t length = hone__kcfg_int(c, l, "sequence_length", fft, 1, fft),
            mels = hone__kcfg_int(c, l, "num_mel_bins", 128, 1, 1 << 12);
    if (!t || t->rank != 2)
        return hone__k_refuse(c, "an input of shape %s: only batches of waves", t ? hone__k_dims(c, t) : "?");
    if (c->b.status != HONE_OK) return c->b.status;
    note_waves(c, l, t);
    int64_t size = t->dims[1], half = fft / 2, bins = fft / 2 + 1;
    if (size >= 0 && size <= half)
        return hone__k_shape_error(c, "%lld samples for frames of %lld", (long long)size, (long long)fft);
    int64_t frames = size < 0 ? -1 : (size + 2 * half - fft) / hop + 1, axes[1] = {3};
    double power = hone__kcfg_num(c, l, "mag_exp", 2);
    float *window = hone__k_signal_window(c, hone__kcfg(l, "window"), length, fft);
    if (!window) return c->b.status;
    hone__value *x = hone__k_stft(c, hone__kt_plain(c, t), window, hop, fft, true);
    x = hone__k_reduce(c, "ReduceSum", hone__k2(c, "Mul", x, x), axes, 1, false);
    if (power != 2) x = hone__k1(c, "Sqrt", x);
    if (power != 2 && power != 1) x = hone__k2(c, "Pow", x, hone__k_scalar(c, power, HONE_F32));
    x = hone__k2(c, "MatMul", x, mel_matrix(c, l, bins, mels));
    if (hone__kcfg_bool(l, "power_to_db", true)) x = decibels(c, l, x);
    x = hone__k_transpose(c, x, 3, (int64_t[]){0, 2, 1});
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, HONE_F32, 3, (int64_t[]){t->dims[0], mels, frames}));
}
