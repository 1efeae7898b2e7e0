/* op_local.c: normalisations and pools in double over any floating-point type: LRN, LpNormalization, LpPool,
 * GlobalLpPool, MeanVarianceNormalization, MaxUnpool. */
#include <math.h>
#include <string.h>

#include "kernels/vec/vec.h"
#include "window.h"

enum { LRN_CHUNK = 1024 };

static hone_status infer_float_same(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_float(x, 0));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}

static void store(const hone__run *r, size_t i, double v)
{
    hone__element_set_f64(r->out[0]->dtype, hone__out_data(r, 0), i, v);
}

typedef struct lrn {
    const hone__tensor *x;
    hone_dtype out;
    void *y;
    int64_t size;
    size_t channels, inner;
    double alpha, beta, bias;
} lrn;

/* Channels [*first, *last) around the one of a plane. */
static void neighbours(const lrn *l, size_t channel, size_t *first, size_t *last)
{
    size_t before = (size_t)(l->size - 1) / 2, after = (size_t)l->size / 2;
    *first = channel < before ? 0 : channel - before;
    *last = after >= l->channels - channel ? l->channels : channel + after + 1;
}

static void lrn_any(const lrn *l, size_t plane)
{
    size_t channel = plane % l->channels, first, last;
    neighbours(l, channel, &first, &last);
    for (size_t i = plane * l->inner; i < (plane + 1) * l->inner; i++) {
        double sum = 0;
        for (size_t k = first; k < last; k++) {
            double v = hone__tensor_f64(l->x, i + k * l->inner - channel * l->inner);
            sum += v * v;
        }
        double scale = pow(l->bias + l->alpha / (double)l->size * sum, l->beta);
        hone__element_set_f64(l->out, l->y, i, hone__tensor_f64(l->x, i) / scale);
    }
}

/* s to the power beta, where s is a sum of squares and a bias. */
static void raise(float *s, size_t n, double beta)
{
    float root[LRN_CHUNK];
    if (beta == 0.75) { /* as all published networks have it */
        hone__vec_unary(HONE__SQRT, s, s, n, 0, 0);
        hone__vec_unary(HONE__SQRT, s, root, n, 0, 0);
        hone__vec_binary(HONE__MUL, s, 1, root, 1, s, n);
    } else if (beta == 0.5) {
        hone__vec_unary(HONE__SQRT, s, s, n, 0, 0);
    } else if (beta != 1) {
        for (size_t i = 0; i < n; i++) s[i] = powf(s[i], (float)beta);
    }
}

static void lrn_f32(const lrn *l, size_t plane)
{
    size_t channel = plane % l->channels, first, last;
    const float *x = (const float *)l->x->data + plane * l->inner;
    neighbours(l, channel, &first, &last);
    for (size_t at = 0; at < l->inner; at += LRN_CHUNK) {
        float sum[LRN_CHUNK] = {0}, square[LRN_CHUNK];
        size_t n = l->inner - at < LRN_CHUNK ? l->inner - at : LRN_CHUNK;
        for (size_t k = first; k < last; k++) {
            const float *v = x + at + k * l->inner - channel * l->inner;
            hone__vec_binary(HONE__MUL, v, 1, v, 1, square, n);
            hone__vec_binary(HONE__ADD, sum, 1, square, 1, sum, n);
        }
        hone__vec_scale_shift(sum, (float)(l->alpha / (double)l->size), (float)l->bias, sum, n);
        raise(sum, n, l->beta);
        hone__vec_binary(HONE__DIV, x + at, 1, sum, 1, (float *)l->y + plane * l->inner + at, n);
    }
}

static void lrn_planes(void *ctx, size_t begin, size_t end, int thread)
{
    const lrn *l = ctx;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        if (l->x->dtype == HONE_F32)
            lrn_f32(l, p);
        else
            lrn_any(l, p);
    }
}

static hone_status run_lrn(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    lrn l = {.x = x,
             .out = r->out[0]->dtype,
             .y = hone__out_data(r, 0),
             .size = hone__node_int(r->node, "size", 0),
             .inner = 1,
             .alpha = hone__node_float(r->node, "alpha", 1e-4f),
             .beta = hone__node_float(r->node, "beta", 0.75f),
             .bias = hone__node_float(r->node, "bias", 1)};
    if (x->rank < 2 || l.size < 1) return hone__fail(HONE_E_SHAPE, "rank %d, size %lld", x->rank, (long long)l.size);
    if (!x->count) return HONE_OK;
    l.channels = (size_t)x->dims[1];
    for (int i = 2; i < x->rank; i++) l.inner *= (size_t)x->dims[i];
    hone__pool_run(r->pool, x->count / l.inner, 4096 / l.inner + 1, lrn_planes, &l);
    return HONE_OK;
}
const hone__op hone__op_lrn = {"", "LRN", infer_float_same, NULL, run_lrn, 0};

static hone_status run_lp_normalization(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    int64_t p = hone__node_int(r->node, "p", 2);
    int axis;
    size_t inner = 1;
    if (p != 1 && p != 2) return hone__fail(HONE_E_UNSUPPORTED, "p is %lld", (long long)p);
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", -1), x->rank, &axis));
    size_t n = (size_t)x->dims[axis];
    for (int i = axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    for (size_t row = 0; x->count && row < x->count / n; row++) {
        size_t base = row / inner * n * inner + row % inner;
        double norm = 0;
        for (size_t k = 0; k < n; k++) {
            double v = hone__tensor_f64(x, base + k * inner);
            norm += p == 1 ? fabs(v) : v * v;
        }
        if (p == 2) norm = sqrt(norm);
        for (size_t k = 0; k < n; k++)
            store(r, base + k * inner, norm == 0 ? 0 : hone__tensor_f64(x, base + k * inner) / norm);
    }
    return HONE_OK;
}
const hone__op hone__op_lp_normalization = {"", "LpNormalization", infer_float_same, NULL, run_lp_normalization, 0};

/* Over the axes given (default 0, 2, 3): (x - mean) / (deviation + 1e-9). */
static hone_status run_mvn(hone__run *r)
{
    static const int64_t usual[3] = {0, 2, 3};
    const hone__tensor *x = r->in[0];
    size_t count, kept = 1, at[HONE_MAX_RANK] = {0}, step[HONE_MAX_RANK] = {0};
    const int64_t *axes = hone__node_ints(r->node, "axes", &count);
    bool set[HONE_MAX_RANK] = {false};
    if (!x->count) return HONE_OK; /* what is kept may be any number */
    if (!axes) axes = usual, count = 3;
    for (size_t i = 0; i < count; i++) {
        int a;
        HONE__TRY(hone__axis(axes[i], x->rank, &a));
        set[a] = true;
    }
    for (int a = x->rank - 1; a >= 0; a--)
        if (!set[a]) step[a] = kept, kept *= (size_t)x->dims[a];
    double *sum = hone__calloc(2 * kept + 1, sizeof *sum), n = kept ? (double)x->count / (double)kept : 0;
    if (!sum) return hone__out_of_memory(2 * kept * sizeof *sum);
    for (int pass = 0; pass < 3; pass++) /* mean, variance, result */
        for (size_t i = 0; i < x->count; i++) {
            size_t g = 0;
            for (int a = 0; a < x->rank; a++) g += at[a] * step[a];
            double v = hone__tensor_f64(x, i), d = v - sum[2 * g] / n;
            if (pass == 0)
                sum[2 * g] += v;
            else if (pass == 1)
                sum[2 * g + 1] += d * d;
            else
                store(r, i, d / (sqrt(sum[2 * g + 1] / n) + 1e-9));
            for (int a = x->rank - 1; a >= 0 && ++at[a] == (size_t)x->dims[a]; a--) at[a] = 0;
        }
    hone__free(sum);
    return HONE_OK;
}
const hone__op hone__op_mean_variance_normalization = {"", "MeanVarianceNormalization", infer_float_same, NULL, run_mvn,
                                                       0};

static hone_status lp_window(const hone__node *n, const hone__shape *s, hone__window *w)
{
    int64_t kernel[HONE__WINDOW_MAX];
    if (s->rank < 3 || s->rank > 5) return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 3 to 5", s->rank);
    if (hone__node_int(n, "p", 2) < 1)
        return hone__fail(HONE_E_SHAPE, "p is %lld", (long long)hone__node_int(n, "p", 2));
    HONE__TRY(hone__window_kernel(n, s->rank - 2, kernel));
    return hone__window_read(n, s, kernel, w);
}
static hone_status infer_lp_pool(hone__infer *x)
{
    hone__window w;
    HONE__TRY(infer_float_same(x));
    if (x->in[0].shape.rank < 0) return HONE_OK;
    HONE__TRY(lp_window(x->node, &x->in[0].shape, &w));
    for (int i = 0; i < w.rank; i++) x->out[0].shape.dims[i + 2] = w.out[i];
    return HONE_OK;
}

/* The p-norm of one window; places outside the input count as 0, and are never visited: a window may be huge. */
static double window_norm(const hone__tensor *x, size_t plane, const hone__window *w, const int64_t *at, double p)
{
    int64_t first[HONE__WINDOW_MAX], last[HONE__WINDOW_MAX], k[HONE__WINDOW_MAX], start[HONE__WINDOW_MAX];
    double sum = 0;
    for (int a = 0; a < w->rank; a++) {
        int64_t d = w->dilation[a], size = x->dims[a + 2];
        start[a] = at[a] * w->stride[a] - w->begin[a];
        k[a] = first[a] = start[a] < 0 ? (-start[a] + d - 1) / d : 0;
        last[a] = start[a] < size ? (size - 1 - start[a]) / d : -1;
        if (last[a] >= w->kernel[a]) last[a] = w->kernel[a] - 1;
        if (first[a] > last[a]) return 0;
    }
    for (int a = 0; a >= 0;) {
        size_t from = plane;
        for (a = 0; a < w->rank; a++) from = from * (size_t)x->dims[a + 2] + (size_t)(start[a] + k[a] * w->dilation[a]);
        sum += pow(fabs(hone__tensor_f64(x, from)), p);
        for (a = w->rank - 1; a >= 0 && ++k[a] > last[a]; a--) k[a] = first[a];
    }
    return pow(sum, 1 / p);
}
static hone_status run_lp_pool(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->out[0];
    hone__shape s = {.rank = x->rank};
    hone__window w;
    memcpy(s.dims, x->dims, sizeof s.dims);
    HONE__TRY(lp_window(r->node, &s, &w));
    int64_t at[HONE__WINDOW_MAX] = {0};
    size_t size = 1;
    for (int a = 0; a < w.rank; a++) size *= (size_t)w.out[a];
    for (size_t i = 0; i < y->count; i++) {
        store(r, i, window_norm(x, i / size, &w, at, (double)hone__node_int(r->node, "p", 2)));
        for (int a = w.rank - 1; a >= 0 && ++at[a] == w.out[a]; a--) at[a] = 0;
    }
    return HONE_OK;
}
const hone__op hone__op_lp_pool = {"", "LpPool", infer_lp_pool, NULL, run_lp_pool, 0};

static hone_status infer_global_lp(hone__infer *x)
{
    HONE__TRY(infer_float_same(x));
    for (int i = 2; i < x->out[0].shape.rank; i++) x->out[0].shape.dims[i] = 1;
    return HONE_OK;
}
static hone_status run_global_lp(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    double p = (double)hone__node_int(r->node, "p", 2);
    size_t planes = r->out[0]->count, size = planes ? x->count / planes : 0;
    for (size_t i = 0; i < planes; i++) {
        double sum = 0;
        for (size_t k = 0; k < size; k++) sum += pow(fabs(hone__tensor_f64(x, i * size + k)), p);
        store(r, i, pow(sum, 1 / p));
    }
    return HONE_OK;
}
const hone__op hone__op_global_lp_pool = {"", "GlobalLpPool", infer_global_lp, NULL, run_global_lp, 0};

/* Sizes before pooling as the attributes say; an output_shape input may make the result larger. */
static hone_status unpooled(const hone__node *n, const hone__shape *s, hone__shape *out)
{
    size_t count, strides_n, pads_n;
    const int64_t *kernel = hone__node_ints(n, "kernel_shape", &count),
                  *strides = hone__node_ints(n, "strides", &strides_n), *pads = hone__node_ints(n, "pads", &pads_n);
    *out = *s;
    if (!kernel || (int)count != s->rank - 2 || (strides && strides_n != count) || (pads && pads_n != 2 * count))
        return hone__fail(HONE_E_SHAPE, "kernel_shape, strides and pads do not fit rank %d", s->rank);
    for (size_t i = 0; i < count; i++) {
        int64_t d = s->dims[i + 2], stride = strides ? strides[i] : 1;
        if (d < 0) continue;
        if (kernel[i] < 0 || kernel[i] > INT32_MAX || stride < 0 || stride > INT32_MAX || d > INT32_MAX)
            return hone__fail(HONE_E_SHAPE, "kernel or stride of axis %zu", i + 2);
        d = (d - 1) * stride + kernel[i] - (pads ? pads[i] + pads[count + i] : 0);
        if (d < 0) return hone__fail(HONE_E_SHAPE, "size %lld of axis %zu", (long long)d, i + 2);
        out->dims[i + 2] = d;
    }
    return HONE_OK;
}
static hone_status infer_max_unpool(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 3));
    HONE__TRY(hone__infer_float(x, 0));
    int64_t dims[HONE_MAX_RANK];
    int count;
    x->out[0].dtype = x->in[0].dtype;
    if (x->in[0].shape.rank < 0) return HONE_OK;
    HONE__TRY(unpooled(x->node, &x->in[0].shape, &x->out[0].shape));
    if (!hone__has_input(x, 2)) return HONE_OK;
    HONE__TRY(hone__infer_ints(x, 2, dims, HONE_MAX_RANK, &count));
    if (count >= 0 && count != x->in[0].shape.rank)
        return hone__fail(HONE_E_SHAPE, "output_shape has %d values", count);
    for (int i = 0; i < x->out[0].shape.rank; i++) {
        if (count >= 0 && dims[i] < x->out[0].shape.dims[i])
            return hone__fail(HONE_E_SHAPE, "output_shape is too small on axis %d", i);
        x->out[0].shape.dims[i] = count < 0 ? -1 : dims[i];
    }
    return HONE_OK;
}
static hone_status run_max_unpool(hone__run *r)
{
    const hone__tensor *x = r->in[0], *t = r->in[1], *y = r->out[0];
    hone__shape s = {.rank = x->rank}, inner;
    memcpy(s.dims, x->dims, sizeof s.dims);
    HONE__TRY(unpooled(r->node, &s, &inner));
    if (t->count != x->count) return hone__fail(HONE_E_SHAPE, "%zu indices for %zu values", t->count, x->count);
    size_t total = 1;
    for (int a = 0; a < x->rank; a++) total *= (size_t)inner.dims[a];
    if (y->bytes) memset(hone__out_data(r, 0), 0, y->bytes);
    for (size_t i = 0; i < x->count; i++) {
        int64_t k = hone__tensor_i64(t, i);
        if (k < 0 || (size_t)k >= total) return hone__fail(HONE_E_ARGUMENT, "index %lld of %zu", (long long)k, total);
        size_t to = 0, step = 1;
        for (int a = x->rank - 1; a >= 0; a--) { /* the index counts in the unpooled shape, the output may be larger */
            to += (size_t)(k % inner.dims[a]) * step;
            k /= inner.dims[a];
            step *= (size_t)y->dims[a];
        }
        store(r, to, hone__tensor_f64(x, i));
    }
    return HONE_OK;
}
const hone__op hone__op_max_unpool = {"", "MaxUnpool", infer_max_unpool, NULL, run_max_unpool, 0};
