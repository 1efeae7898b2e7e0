/* ops_fourier.c: Fourier transforms of keras.ops, where a complex value is two real ones, as ONNX's DFT, where it is a
 * last axis of two. */
#define _GNU_SOURCE /* M_PI */
#include <math.h>
#include <string.h>

#include "keras_ops.h"

/* Real parts, or real and imaginary ones, as [..., 1 or 2]. */
static hone__value *interleaved(kctx *c, kt *re, kt *im)
{
    hone__value *parts[2] = {hone__k_unsqueeze(c, hone__kt_f32(c, re), -1), NULL};
    if (!im) return parts[0];
    parts[1] = hone__k_unsqueeze(c, hone__kt_f32(c, im), -1);
    return hone__k_concat(c, parts, 2, -1);
}

static hone__value *transform(kctx *c, hone__value *x, int64_t length, int64_t axis, bool inverse, bool onesided)
{
    hone__value *n = length ? hone__k_scalar(c, (double)length, HONE_I64) : NULL;
    return hone__emit(&c->b, "DFT", "dft", HONE__INS(x, n, hone__k_scalar(c, (double)axis, HONE_I64)),
                      HONE__ATTRS(hone__a_int("inverse", inverse), hone__a_int("onesided", onesided)));
}

static hone__value *part_of(kctx *c, hone__value *x, int part)
{
    return hone__k_squeeze(c, hone__k_slice(c, x, -1, part, part + 1, 1), -1);
}

static bool two_parts(kctx *c, kcall *call, int rank)
{
    bool ok = call->in_count == 2 && call->in[0]->rank == call->in[1]->rank && call->in[0]->rank >= rank &&
              call->in[0]->rank < HONE_MAX_RANK;
    if (!ok) hone__k_shape_error(c, "its input is not a real and an imaginary part of rank %d and up", rank);
    return ok;
}

static hone_status return_parts(kctx *c, kcall *call, hone__value *y, int rank, const int64_t *dims)
{
    for (int i = 0; i < 2; i++) call->out[i] = hone__kt_new(c, K_PLAIN, part_of(c, y, i), HONE_F32, rank, dims);
    call->out_count = 2;
    return c->b.status;
}

/* variant: how many of the last axes; negative: the inverse. */
hone_status hone__kop_fft(kctx *c, klayer *l, kcall *call)
{
    int axes = l->kind->variant < 0 ? -l->kind->variant : l->kind->variant;
    if (!two_parts(c, call, axes)) return c->b.status;
    kt *t = call->in[0];
    hone__value *y = interleaved(c, t, call->in[1]);
    for (int i = 0; i < axes; i++) y = transform(c, y, 0, t->rank - 1 - i, l->kind->variant < 0, false);
    return return_parts(c, call, y, t->rank, t->dims);
}

hone_status hone__kop_rfft(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x", true);
    double length = hone__kop_num(l, call, 1, "fft_length", 0);
    int64_t dims[HONE_MAX_RANK];
    if (!t || t->rank < 1 || t->rank >= HONE_MAX_RANK || !(length >= 0 && length <= 1 << 24))
        return c->b.status ? c->b.status
                           : hone__k_refuse(c, "a transform of length %g over rank %d", length, t ? t->rank : 0);
    int last = t->rank - 1;
    int64_t n = length > 0 ? (int64_t)length : t->dims[last];
    memcpy(dims, t->dims, sizeof dims);
    dims[last] = n < 0 ? -1 : n / 2 + 1;
    hone__value *y = transform(c, interleaved(c, t, NULL), (int64_t)length, last, false, true);
    return return_parts(c, call, y, t->rank, dims);
}

/* [..., m, 2], of which the first n / 2 + 1 count (zeros where there are fewer), mirrored to all n. */
static hone__value *mirrored(kctx *c, hone__value *x, int axis, int64_t m, int64_t n)
{
    int64_t half = n / 2 + 1, pads[2 * HONE_MAX_RANK] = {0};
    if (m > half) x = hone__k_slice(c, x, axis, 0, half, 1);
    int rank = axis + 2;
    pads[rank + axis] = half - m;
    if (m < half) x = hone__k_pad(c, x, rank, pads, 0);
    if (n < 3) return x;
    static const float conjugate[2] = {1, -1};
    int64_t two = 2;
    hone__value *tail = hone__k_slice(c, x, axis, n - half, 0, -1);
    hone__value *all[2] = {x, hone__k2(c, "Mul", tail, hone__emit_f32(&c->b, "conjugate", conjugate, 1, &two))};
    return hone__k_concat(c, all, 2, axis);
}

hone_status hone__kop_irfft(kctx *c, klayer *l, kcall *call)
{
    double length = hone__kop_num(l, call, 1, "fft_length", 0);
    int64_t dims[HONE_MAX_RANK];
    if (!two_parts(c, call, 1)) return c->b.status;
    kt *t = call->in[0];
    int last = t->rank - 1;
    int64_t m = t->dims[last], n = length > 0 ? (int64_t)length : 2 * (m - 1);
    if (m < 1 || n < 1 || !(length >= 0 && length <= 1 << 24))
        return hone__k_refuse(c, "a transform back to %g values from shape %s", length, hone__k_dims(c, t));
    memcpy(dims, t->dims, sizeof dims);
    dims[last] = n;
    hone__value *all = mirrored(c, interleaved(c, t, call->in[1]), last, m, n);
    hone__value *y = part_of(c, transform(c, all, 0, last, true, false), 0);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, y, HONE_F32, t->rank, dims));
}

/* ---- frames of a signal ---- */

static void cosine_window(float *w, int64_t length, double a)
{
    double period = (double)(length - length % 2); /* as TensorFlow has it for odd lengths */
    for (int64_t i = 0; i < length; i++)
        w[i] = length == 1 ? 1 : (float)(a - (1 - a) * cos(2 * M_PI * (double)i / period));
}

static void given_window(kctx *c, float *w, int64_t length, const json_t *spec)
{
    const json_t *inner = json_object_get(json_object_get(spec, "config"), "value");
    if (inner) spec = inner;
    if (json_array_size(spec) != (size_t)length)
        hone__k_shape_error(c, "a window of %zu values, not %lld", json_array_size(spec), (long long)length);
    for (int64_t i = 0; i < length && c->b.status == HONE_OK; i++)
        w[i] = (float)hone__kjson_num(json_array_get(spec, (size_t)i), 0);
}

float *hone__k_signal_window(kctx *c, const json_t *spec, int64_t length, int64_t fft)
{
    const char *name = json_string_value(spec);
    float *w = hone__k_alloc(c, (size_t)fft * sizeof *w);
    if (!w) return NULL;
    float *middle = w + (fft - length) / 2;
    if (!spec)
        cosine_window(middle, length, 1); /* ones */
    else if (!name)
        given_window(c, middle, length, spec);
    else if (strcmp(name, "hann") == 0 || strcmp(name, "hamming") == 0)
        cosine_window(middle, length, name[2] == 'n' ? 0.5 : 0.54);
    else
        hone__k_refuse(c, "window '%s': only hann and hamming", name);
    return c->b.status == HONE_OK ? w : NULL;
}

hone__value *hone__k_stft(kctx *c, hone__value *x, const float *window, int64_t step, int64_t fft, bool center)
{
    int64_t half = center ? fft / 2 : 0, pads[4] = {0, half, 0, half};
    if (half)
        x = hone__emit(&c->b, "Pad", "center", HONE__INS(x, hone__k_ints(c, pads, 4)),
                       HONE__ATTRS(hone__a_string("mode", "reflect")));
    return hone__emit(&c->b, "STFT", "stft",
                      HONE__INS(hone__k_unsqueeze(c, x, 2), hone__k_scalar(c, (double)step, HONE_I64),
                                hone__emit_f32(&c->b, "window", window, 1, &fft),
                                hone__k_scalar(c, (double)fft, HONE_I64)),
                      HONE__ATTRS(hone__a_int("onesided", 1)));
}

typedef struct kframes {
    int64_t length, step, fft;
    bool center;
    const json_t *window; /* NULL: none */
} kframes;

static bool read_frames(kctx *c, const klayer *l, const kcall *call, int center_at, kframes *f)
{
    double length = hone__kop_num(l, call, 1, "sequence_length", 0),
           step = hone__kop_num(l, call, 2, "sequence_stride", 0), fft = hone__kop_num(l, call, 3, "fft_length", 0);
    if (!(length >= 1 && step >= 1 && step <= 1 << 24 && length <= fft && fft <= 1 << 20)) {
        hone__k_refuse(c, "frames of %g values, every %g, in transforms of %g", length, step, fft);
        return false;
    }
    f->length = (int64_t)length, f->step = (int64_t)step, f->fft = (int64_t)fft;
    f->center = hone__kop_bool(l, call, center_at, "center", true);
    f->window = hone__kop_arg(l, call, center_at - 1, "window");
    return true;
}

/* Axes before the last `inner` ones joined to one; `back` has them, with the last ones to be filled in by the caller.
 * False, and an error: more than one of them is not known. */
static bool leading(kctx *c, const kt *t, int inner, int64_t *back)
{
    int open = 0;
    for (int i = 0; i < t->rank - inner; i++) back[i] = t->dims[i], open += t->dims[i] < 0;
    if (open > 1) hone__k_refuse(c, "a signal of shape %s", hone__k_dims(c, t));
    return open <= 1;
}

hone_status hone__kop_stft(kctx *c, klayer *l, kcall *call)
{
    kframes f;
    kt *t = hone__kop_tensor(c, l, call, 0, "x", true);
    int64_t dims[HONE_MAX_RANK];
    if (!t || !read_frames(c, l, call, 5, &f)) return c->b.status;
    if (t->rank < 1 || t->rank + 1 >= HONE_MAX_RANK || !leading(c, t, 1, dims))
        return c->b.status ? c->b.status : hone__k_shape_error(c, "a signal of rank %d", t->rank);
    int last = t->rank - 1;
    int64_t n = t->dims[last], half = f.center ? f.fft / 2 : 0;
    if (n >= 0 && (n <= half || n + 2 * half < f.fft))
        return hone__k_shape_error(c, "%lld values for frames of %lld", (long long)n, (long long)f.fft);
    if (n < 0 && t->rank != 2) return hone__k_refuse(c, "a signal of shape %s", hone__k_dims(c, t));
    float *window = hone__k_signal_window(c, f.window, f.length, f.fft);
    hone__value *x = hone__kt_f32(c, t);
    if (!window) return c->b.status;
    if (t->rank != 2) x = hone__k_reshape(c, x, 2, (int64_t[]){-1, n});
    x = hone__k_stft(c, x, window, f.step, f.fft, f.center);
    dims[last] = n < 0 ? -1 : (n + 2 * half - f.fft) / f.step + 1, dims[last + 1] = f.fft / 2 + 1;
    if (t->rank != 2) {
        dims[last + 2] = 2;
        x = hone__k_reshape(c, x, t->rank + 2, dims);
    }
    return return_parts(c, call, x, t->rank + 1, dims);
}

/* The window that undoes `window` over frames that overlap. */
static void invert_window(float *window, const kframes *f)
{
    for (int64_t i = 0; i < f->step && i < f->fft; i++) {
        double sum = 0;
        for (int64_t k = i; k < f->fft; k += f->step) sum += (double)window[k] * window[k];
        for (int64_t k = i; k < f->fft; k += f->step) window[k] = (float)(window[k] / sum);
    }
}

/* [rows, frames, fft] -> [rows, (frames - 1) step + fft, or some more]: frames added where they overlap. Each is cut
 * into pieces of one step; the pieces number k of all frames lie k steps behind those number 0. */
static hone__value *overlapped(kctx *c, hone__value *x, const kframes *f)
{
    int64_t pieces = (f->fft + f->step - 1) / f->step, more[6] = {0};
    more[5] = pieces * f->step - f->fft;
    if (more[5]) x = hone__k_pad(c, x, 3, more, 0);
    hone__value *sum = NULL;
    for (int64_t k = 0; k < pieces; k++) {
        int64_t pads[6] = {0, k, 0, 0, pieces - 1 - k, 0};
        hone__value *part = hone__k_slice(c, x, 2, k * f->step, (k + 1) * f->step, 1);
        if (pieces > 1) part = hone__k_pad(c, part, 3, pads, 0);
        sum = sum ? hone__k2(c, "Add", sum, part) : part;
    }
    return hone__emit(&c->b, "Flatten", "joined", HONE__INS(sum), HONE__ATTRS(hone__a_int("axis", 1)));
}

hone_status hone__kop_istft(kctx *c, klayer *l, kcall *call)
{
    kframes f;
    int64_t dims[HONE_MAX_RANK];
    if (!two_parts(c, call, 2) || !read_frames(c, l, call, 6, &f)) return c->b.status;
    kt *t = call->in[0];
    double wanted = hone__kop_num(l, call, 4, "length", -1);
    int last = t->rank - 2;
    int64_t bins = t->dims[last + 1], frames = t->dims[last], pieces = (f.fft + f.step - 1) / f.step;
    if (bins < 1 || pieces > 4096 || !leading(c, t, 2, dims) || (frames < 0 && t->rank != 3))
        return c->b.status ? c->b.status : hone__k_refuse(c, "frames of shape %s", hone__k_dims(c, t));
    float *window = hone__k_signal_window(c, f.window, f.length, f.fft);
    if (!window) return c->b.status;
    hone__value *x = interleaved(c, t, call->in[1]);
    if (t->rank != 3) x = hone__k_reshape(c, x, 4, (int64_t[]){-1, frames, bins, 2});
    x = part_of(c, transform(c, mirrored(c, x, 2, bins, f.fft), 0, 2, true, false), 0);
    if (f.window) {
        invert_window(window, &f);
        x = hone__k2(c, "Mul", x, hone__emit_f32(&c->b, "window", window, 1, &f.fft));
    }
    x = overlapped(c, x, &f);
    int64_t all = frames < 0 ? -1 : (frames - 1) * f.step + f.fft, more = pieces * f.step - f.fft,
            start = f.center ? f.fft / 2 : 0;
    if (more) x = hone__k_slice(c, x, 1, 0, -more, 1);
    int64_t end = wanted >= 0 ? start + (int64_t)wanted : f.center && start ? -start : INT64_MAX;
    if (start || end != INT64_MAX) x = hone__k_slice(c, x, 1, start, end, 1);
    int64_t stop = all < 0 ? -1 : end < 0 ? all + end : end < all ? end : all;
    dims[last] = all < 0 ? -1 : stop > start ? stop - start : 0;
    if (t->rank != 3) x = hone__k_reshape(c, x, t->rank - 1, dims);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, HONE_F32, t->rank - 1, dims));
}
