/* op_signal.c: STFT and DFT, through the real transform of kernels/fft: a complex signal is two real ones. */
#include <string.h>

#include "kernels/fft/fft.h"
#include "infer.h"

/* Work space of one transform of length n; freed by transform_close. */
typedef struct transform {
    size_t n;
    hone__fft *fft;
    double *re, *im, *a, *b, *scratch; /* re, im: the signal [n]; a: result [n][2]; b: half spectrum */
} transform;

static void transform_close(transform *t)
{
    hone__fft_destroy(t->fft);
    hone__free(t->re);
}

static hone_status transform_open(size_t n, transform *t)
{
    *t = (transform){.n = n};
    if (!n || n > HONE__FFT_MAX)
        return hone__fail(HONE_E_LIMIT, "transforms of length %zu; 1 to %d are possible", n, HONE__FFT_MAX);
    HONE__TRY(hone__fft_create(n, &t->fft));
    size_t half = 2 * (n / 2 + 1), doubles = 2 * n + 2 * n + half + hone__fft_scratch(t->fft);
    t->re = hone__calloc(doubles, sizeof *t->re);
    if (!t->re) {
        transform_close(t);
        return hone__out_of_memory(doubles * sizeof *t->re);
    }
    t->im = t->re + n;
    t->a = t->im + n;
    t->b = t->a + 2 * n;
    t->scratch = t->b + half;
    return HONE_OK;
}

/* a = the n values of the transform of re + i * im; real: im is zero and a[k] is made for k <= n / 2 only. */
static void transform_run(const transform *t, bool real)
{
    size_t n = t->n, half = n / 2 + 1;
    hone__fft_real(t->fft, t->re, t->b, t->scratch);
    memcpy(t->a, t->b, 2 * half * sizeof *t->a);
    if (real) return;
    for (size_t k = half; k < n; k++) {
        t->a[2 * k] = t->b[2 * (n - k)];
        t->a[2 * k + 1] = -t->b[2 * (n - k) + 1];
    }
    hone__fft_real(t->fft, t->im, t->b, t->scratch);
    for (size_t k = 0; k < n; k++) {
        size_t j = k < half ? k : n - k;
        double re = t->b[2 * j], im = k < half ? t->b[2 * j + 1] : -t->b[2 * j + 1];
        t->a[2 * k] -= im;
        t->a[2 * k + 1] += re;
    }
}

/* The missing half of a real signal's spectrum. */
static void mirror(const transform *t)
{
    for (size_t k = t->n / 2 + 1; k < t->n; k++) {
        t->a[2 * k] = t->a[2 * (t->n - k)];
        t->a[2 * k + 1] = -t->a[2 * (t->n - k) + 1];
    }
}

static hone_status scalar(const hone__infer *x, int i, int64_t otherwise, int64_t *out, bool *known)
{
    *out = otherwise;
    if (!hone__has_input(x, i)) return HONE_OK;
    if (!x->value[i]) {
        *known = false;
        return HONE_OK;
    }
    if (x->value[i]->count != 1)
        return hone__fail(HONE_E_SHAPE, "input %d has %zu values, expected one", i, x->value[i]->count);
    *out = hone__tensor_i64(x->value[i], 0);
    return HONE_OK;
}

/* Frame length and step; *length 0 when it is not known. */
static hone_status stft_sizes(const hone__infer *x, int64_t *step, int64_t *length, bool *known)
{
    *known = true;
    HONE__TRY(scalar(x, 1, 0, step, known));
    HONE__TRY(scalar(x, 3, 0, length, known));
    const hone__shape *w = &x->in[2 < x->input_count ? 2 : 0].shape;
    if (hone__has_input(x, 2)) {
        HONE__TRY(hone__infer_rank(x, 2, 1));
        if (w->rank == 1 && w->dims[0] >= 0) {
            if (hone__has_input(x, 3) && *known && *length != w->dims[0])
                return hone__fail(HONE_E_SHAPE, "frame_length %lld, the window has %lld values", (long long)*length,
                                  (long long)w->dims[0]);
            *length = w->dims[0];
        } else
            *known = false;
    }
    if (*known && (*step < 1 || *length < 1 || *length > HONE__FFT_MAX))
        return hone__fail(HONE_E_SHAPE, "frame_step %lld and frame_length %lld", (long long)*step, (long long)*length);
    return HONE_OK;
}

static hone_status infer_stft(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 4));
    HONE__TRY(hone__infer_float(x, 0));
    const hone__shape *s = &x->in[0].shape;
    int64_t step, length, frames = -1, bins = -1;
    bool known, onesided = hone__node_int(x->node, "onesided", 1) != 0;
    x->out[0].dtype = x->in[0].dtype;
    if (s->rank < 0) return HONE_OK;
    if (s->rank != 2 && s->rank != 3) return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 2 or 3", s->rank);
    if (s->rank == 3 && s->dims[2] >= 0 && s->dims[2] != 1 && s->dims[2] != 2)
        return hone__fail(HONE_E_SHAPE, "the last axis has size %lld, expected 1 or 2", (long long)s->dims[2]);
    if (s->rank == 3 && s->dims[2] == 2 && onesided) return hone__fail(HONE_E_SHAPE, "onesided with a complex signal");
    HONE__TRY(stft_sizes(x, &step, &length, &known));
    if (known) {
        bins = onesided ? length / 2 + 1 : length;
        if (s->dims[1] >= 0 && s->dims[1] < length)
            return hone__fail(HONE_E_SHAPE, "a signal of %lld is shorter than a frame of %lld", (long long)s->dims[1],
                              (long long)length);
        if (s->dims[1] >= 0) frames = (s->dims[1] - length) / step + 1;
    }
    hone__infer_set(x, 0, x->in[0].dtype, 4, (int64_t[]){s->dims[0], frames, bins, 2});
    return HONE_OK;
}

static hone_status run_stft(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->out[0], *w = r->input_count > 2 ? r->in[2] : NULL;
    size_t parts = x->rank == 3 ? (size_t)x->dims[2] : 1, signal = (size_t)x->dims[1], frames = (size_t)y->dims[1],
           bins = (size_t)y->dims[2], step = (size_t)hone__tensor_i64(r->in[1], 0);
    size_t n = w ? w->count : (size_t)hone__tensor_i64(r->in[3], 0);
    transform t;
    if (!y->count) return HONE_OK;
    HONE__TRY(transform_open(n, &t));
    for (size_t i = 0; i < (size_t)y->dims[0] * frames; i++) {
        size_t from = (i / frames * signal + i % frames * step) * parts;
        for (size_t k = 0; k < n; k++) {
            double scale = w ? hone__tensor_f64(w, k) : 1;
            t.re[k] = scale * hone__tensor_f64(x, from + k * parts);
            t.im[k] = parts == 2 ? scale * hone__tensor_f64(x, from + k * parts + 1) : 0;
        }
        transform_run(&t, parts == 1);
        if (parts == 1 && bins > n / 2 + 1) mirror(&t);
        for (size_t k = 0; k < 2 * bins; k++)
            hone__element_set_f64(y->dtype, hone__out_data(r, 0), i * 2 * bins + k, t.a[k]);
    }
    transform_close(&t);
    return HONE_OK;
}
const hone__op hone__op_stft = {"", "STFT", infer_stft, NULL, run_stft, 0};

/* Inputs: x [..., 1 or 2], length?, axis?. Onesided: half a spectrum; with inverse: from half a spectrum to a real
 * signal. */
static hone_status dft_sizes(const hone__infer *x, int *axis, int64_t *length, bool *known)
{
    const hone__shape *s = &x->in[0].shape;
    int64_t a;
    *known = true;
    HONE__TRY(scalar(x, 2, -2, &a, known));
    if (!*known) return HONE_OK;
    HONE__TRY(hone__axis(a, s->rank, axis));
    if (*axis == s->rank - 1) return hone__fail(HONE_E_SHAPE, "axis %d holds real and imaginary parts", *axis);
    bool half = hone__node_int(x->node, "inverse", 0) && hone__node_int(x->node, "onesided", 0);
    int64_t d = s->dims[*axis];
    HONE__TRY(scalar(x, 1, half && d > 0 ? 2 * (d - 1) : d, length, known));
    if (*known && hone__has_input(x, 1) && *length < 1)
        return hone__fail(HONE_E_SHAPE, "dft_length is %lld", (long long)*length);
    if (*length > HONE__FFT_MAX)
        return hone__fail(HONE_E_LIMIT, "dft_length %lld is over %d", (long long)*length, HONE__FFT_MAX);
    return HONE_OK;
}

static hone_status infer_dft(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 3));
    HONE__TRY(hone__infer_float(x, 0));
    const hone__shape *s = &x->in[0].shape;
    bool inverse = hone__node_int(x->node, "inverse", 0) != 0, onesided = hone__node_int(x->node, "onesided", 0) != 0,
         known;
    x->out[0].dtype = x->in[0].dtype;
    if (s->rank < 0) return HONE_OK;
    if (s->rank < 2) return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected at least 2", s->rank);
    int64_t parts = s->dims[s->rank - 1], length;
    if (parts >= 0 && parts != 1 && parts != 2)
        return hone__fail(HONE_E_SHAPE, "the last axis has size %lld, expected 1 or 2", (long long)parts);
    int axis;
    HONE__TRY(dft_sizes(x, &axis, &length, &known));
    x->out[0].shape.rank = s->rank;
    for (int i = 0; i < s->rank; i++) x->out[0].shape.dims[i] = known ? s->dims[i] : -1;
    x->out[0].shape.dims[s->rank - 1] = inverse && onesided ? 1 : 2;
    if (known) x->out[0].shape.dims[axis] = length < 0 ? -1 : onesided && !inverse ? length / 2 + 1 : length;
    return HONE_OK;
}

/* Half a spectrum to all of it: what a real signal's must be. */
static void complete(const transform *t, size_t given)
{
    for (size_t k = t->n / 2 + 1; k < t->n; k++) {
        bool there = t->n - k < given;
        t->re[k] = there ? t->re[t->n - k] : 0;
        t->im[k] = there ? -t->im[t->n - k] : 0;
    }
}

static hone_status run_dft(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->out[0];
    hone__type type = {x->dtype, {.rank = x->rank}};
    hone__type types[3] = {{0}};
    bool known, inverse = hone__node_int(r->node, "inverse", 0) != 0, half = inverse && y->dims[y->rank - 1] == 1;
    int axis;
    int64_t length;
    memcpy(type.shape.dims, x->dims, sizeof x->dims);
    types[0] = type;
    hone__infer ix = {r->node, r->input_count, 0, types, r->in, NULL, 0};
    HONE__TRY(dft_sizes(&ix, &axis, &length, &known));
    size_t in = (size_t)x->dims[axis], out = (size_t)y->dims[axis], n = (size_t)length, outer = 1, inner = 1;
    size_t parts = (size_t)x->dims[x->rank - 1], out_parts = (size_t)y->dims[y->rank - 1], take = in < n ? in : n;
    for (int i = 0; i < axis; i++) outer *= (size_t)x->dims[i];
    for (int i = axis + 1; i < x->rank - 1; i++) inner *= (size_t)x->dims[i];
    if (!y->count) return HONE_OK;
    transform t;
    HONE__TRY(transform_open(n, &t));
    for (size_t row = 0; row < outer * inner; row++) {
        size_t o = row / inner, j = row % inner;
        memset(t.re, 0, 2 * n * sizeof *t.re);
        for (size_t k = 0; k < take; k++) {
            size_t at = ((o * in + k) * inner + j) * parts;
            t.re[k] = hone__tensor_f64(x, at);
            if (parts == 2) t.im[k] = hone__tensor_f64(x, at + 1);
        }
        if (half) complete(&t, take);
        for (size_t k = 0; inverse && k < n; k++)
            t.im[k] = -t.im[k]; /* inverse: conjugate, transform, conjugate, / n */
        transform_run(&t, false);
        for (size_t k = 0; k < out; k++)
            for (size_t p = 0; p < out_parts; p++) {
                double v = t.a[2 * k + p];
                if (inverse) v = (p ? -v : v) / (double)n;
                hone__element_set_f64(y->dtype, hone__out_data(r, 0), ((o * out + k) * inner + j) * out_parts + p, v);
            }
    }
    transform_close(&t);
    return HONE_OK;
}
const hone__op hone__op_dft = {"", "DFT", infer_dft, NULL, run_dft, 0};
