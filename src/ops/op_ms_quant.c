/* op_ms_quant.c: com.microsoft's operators on quantised bytes that compute in float in between: QLinearAdd, Mul,
 * Sigmoid, LeakyRelu, Softmax, Concat, AveragePool, GlobalAveragePool; and GatherBlockQuantized. */
#include <math.h>
#include <string.h>

#include "broadcast.h"
#include "window.h"

typedef struct params {
    double scale;
    int64_t zero;
} params;

static hone_status read_params(const hone__run *r, int scale, int zero, params *p)
{
    const hone__tensor *s = scale < r->input_count ? r->in[scale] : NULL,
                       *z = zero < r->input_count ? r->in[zero] : NULL;
    if (!s || s->count != 1 || (z && z->count != 1))
        return hone__fail(HONE_E_UNSUPPORTED, "scale or zero point is not one value");
    *p = (params){hone__tensor_f64(s, 0), z ? hone__tensor_i64(z, 0) : 0};
    if (p->zero < -128 || p->zero > 255)
        return hone__fail(HONE_E_ARGUMENT, "a zero point of %lld for bytes", (long long)p->zero);
    return HONE_OK;
}
/* The number that each byte of t stands for. */
static void read_table(const hone__tensor *t, params p, double *table)
{
    for (int i = 0; i < 256; i++)
        table[i] = (double)((t->dtype == HONE_I8 ? (int64_t)(int8_t)(uint8_t)i : i) - p.zero) * p.scale;
}

/* The byte that stands for v; NaN is the lowest. */
static uint8_t code(hone_dtype dtype, double v, params p)
{
    double lo = dtype == HONE_I8 ? -128 : 0, q = nearbyint(v / p.scale) + (double)p.zero;
    q = q >= lo ? q : lo;
    return (uint8_t)(int)(q <= lo + 255 ? q : lo + 255);
}

static hone_status bytes(const hone__infer *x, int i)
{
    hone_dtype d = x->in[i].dtype;
    return !d || d == HONE_U8 || d == HONE_I8
               ? HONE_OK
               : hone__fail(HONE_E_SHAPE, "input %d is %s, expected int8 or uint8", i, hone_dtype_name(d));
}

/* a, scale, zero?, b, scale, zero?, y scale, zero? */
static hone_status infer_two(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 8));
    if (!hone__has_input(x, 3) || !hone__has_input(x, 6)) return hone__fail(HONE_E_SHAPE, "input 3 or 6 is missing");
    HONE__TRY(bytes(x, 0));
    HONE__TRY(hone__infer_equal_types(x, 0, 3));
    x->out[0].dtype = x->in[0].dtype;
    return hone__broadcast(&x->in[0].shape, &x->in[3].shape, &x->out[0].shape);
}
typedef struct two {
    const hone__run *r;
    params y;
    bool product;
    double a[256], b[256];
} two;

static void two_piece(void *ctx, size_t out, const size_t *at, const size_t *step, size_t n)
{
    const two *j = ctx;
    const uint8_t *a = (const uint8_t *)j->r->in[0]->data + at[0], *b = (const uint8_t *)j->r->in[3]->data + at[1];
    uint8_t *y = (uint8_t *)hone__out_data(j->r, 0) + out;
    hone_dtype dtype = j->r->out[0]->dtype;
    for (size_t i = 0; i < n; i++) {
        double u = j->a[a[i * step[0]]], v = j->b[b[i * step[1]]];
        y[i] = code(dtype, j->product ? u * v : u + v, j->y);
    }
}

static hone_status run_two(hone__run *r, bool product)
{
    two j = {.r = r, .product = product};
    params a, b;
    hone__bcast w;
    HONE__TRY(read_params(r, 1, 2, &a));
    HONE__TRY(read_params(r, 4, 5, &b));
    HONE__TRY(read_params(r, 6, 7, &j.y));
    read_table(r->in[0], a, j.a);
    read_table(r->in[3], b, j.b);
    hone__bcast_init(&w, r->out[0], (const hone__tensor *[]){r->in[0], r->in[3]}, 2);
    hone__bcast_run(&w, r->pool, two_piece, &j);
    return HONE_OK;
}
static hone_status run_qlinear_add(hone__run *r) { return run_two(r, false); }
static hone_status run_qlinear_mul(hone__run *r) { return run_two(r, true); }
const hone__op hone__op_ms_qlinear_add = {"com.microsoft", "QLinearAdd", infer_two, NULL, run_qlinear_add, 0};
const hone__op hone__op_ms_qlinear_mul = {"com.microsoft", "QLinearMul", infer_two, NULL, run_qlinear_mul, 0};

/* x, scale, zero?, y scale, zero? */
static hone_status infer_one(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 5));
    if (!hone__has_input(x, 3)) return hone__fail(HONE_E_SHAPE, "input 3 is missing");
    HONE__TRY(bytes(x, 0));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}
static hone_status run_one(hone__run *r, bool leaky)
{
    params p, q;
    double alpha = hone__node_float(r->node, "alpha", 0.01f);
    HONE__TRY(read_params(r, 1, 2, &p));
    HONE__TRY(read_params(r, 3, 4, &q));
    double value[256];
    uint8_t answer[256];
    read_table(r->in[0], p, value);
    for (int i = 0; i < 256; i++) {
        double v = value[i];
        answer[i] = code(r->out[0]->dtype, leaky ? (v < 0 ? alpha * v : v) : 1 / (1 + exp(-v)), q);
    }
    const uint8_t *x = r->in[0]->data;
    uint8_t *y = hone__out_data(r, 0);
    for (size_t i = 0; i < r->in[0]->count; i++) y[i] = answer[x[i]];
    return HONE_OK;
}
static hone_status run_qlinear_sigmoid(hone__run *r) { return run_one(r, false); }
static hone_status run_qlinear_leaky(hone__run *r) { return run_one(r, true); }
const hone__op hone__op_ms_qlinear_sigmoid = {"com.microsoft",     "QLinearSigmoid", infer_one, NULL,
                                              run_qlinear_sigmoid, HONE__OP_INPLACE};
const hone__op hone__op_ms_qlinear_leaky_relu = {"com.microsoft",   "QLinearLeakyRelu", infer_one, NULL,
                                                 run_qlinear_leaky, HONE__OP_INPLACE};

/* Softmax over `axis`; before opset 13 over everything from it on. */
static hone_status run_qlinear_softmax(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    params p, q;
    int axis;
    size_t n, inner = 1;
    HONE__TRY(read_params(r, 1, 2, &p));
    HONE__TRY(read_params(r, 3, 4, &q));
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", -1), x->rank, &axis));
    n = (size_t)x->dims[axis];
    for (int i = axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    if (hone__node_int(r->node, "opset", 13) < 13) n *= inner, inner = 1;
    const uint8_t *from = x->data;
    uint8_t *to = hone__out_data(r, 0);
    double value[256];
    read_table(x, p, value);
    for (size_t row = 0; x->count && row < x->count / n; row++) {
        size_t base = row / inner * n * inner + row % inner;
        double peak = -INFINITY, sum = 0, e[256];
        for (size_t k = 0; k < n; k++) peak = fmax(peak, value[from[base + k * inner]]);
        for (int i = 0; i < 256; i++) e[i] = exp(value[i] - peak);
        for (size_t k = 0; k < n; k++) sum += e[from[base + k * inner]];
        for (size_t k = 0; k < n; k++)
            to[base + k * inner] = code(r->out[0]->dtype, e[from[base + k * inner]] / sum, q);
    }
    return HONE_OK;
}
const hone__op hone__op_ms_qlinear_softmax = {
    "com.microsoft", "QLinearSoftmax", infer_one, NULL, run_qlinear_softmax, 0};

/* y scale, y zero, then x, scale, zero for each part */
static hone_status infer_concat(hone__infer *x)
{
    int axis;
    if (x->input_count < 5 || (x->input_count - 2) % 3)
        return hone__fail(HONE_E_SHAPE, "has %d inputs", x->input_count);
    HONE__TRY(hone__infer_arity(x, 3, x->input_count));
    x->out[0] = x->in[2];
    for (int i = 2; i < x->input_count; i += 3) {
        const hone__shape *s = &x->in[i].shape;
        HONE__TRY(bytes(x, i));
        if (s->rank < 0 || x->out[0].shape.rank < 0) {
            x->out[0].shape.rank = -1;
            continue;
        }
        HONE__TRY(hone__infer_rank(x, i, x->out[0].shape.rank));
        HONE__TRY(hone__axis(hone__node_int(x->node, "axis", 0), s->rank, &axis));
        for (int k = 0; k < s->rank; k++)
            if (k != axis && !hone__dims_agree(s->dims[k], x->out[0].shape.dims[k]))
                return hone__fail(HONE_E_SHAPE, "input %d does not fit on axis %d", i, k);
        int64_t *d = &x->out[0].shape.dims[axis];
        if (i > 2) *d = *d < 0 || s->dims[axis] < 0 ? -1 : *d + s->dims[axis];
    }
    return HONE_OK;
}
static hone_status run_concat(hone__run *r)
{
    const hone__tensor *y = r->out[0];
    params p, q;
    int axis;
    size_t inner = 1, before = 0;
    HONE__TRY(read_params(r, 0, 1, &q));
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", 0), y->rank, &axis));
    for (int i = axis + 1; i < y->rank; i++) inner *= (size_t)y->dims[i];
    for (int k = 2; k < r->input_count; k += 3) {
        const hone__tensor *x = r->in[k];
        size_t n = (size_t)x->dims[axis] * inner, whole = (size_t)y->dims[axis] * inner;
        HONE__TRY(read_params(r, k + 1, k + 2, &p));
        double value[256];
        uint8_t answer[256];
        read_table(x, p, value);
        for (int i = 0; i < 256; i++) answer[i] = code(y->dtype, value[i], q);
        const uint8_t *from = x->data;
        uint8_t *to = (uint8_t *)hone__out_data(r, 0) + before;
        for (size_t row = 0; n && row < x->count / n; row++, from += n, to += whole)
            for (size_t i = 0; i < n; i++) to[i] = answer[from[i]];
        before += n;
    }
    return HONE_OK;
}
const hone__op hone__op_ms_qlinear_concat = {"com.microsoft", "QLinearConcat", infer_concat, NULL, run_concat, 0};

/* Pools: x, scale, zero, y scale, zero; channels_last: [N, spatial..., C]. */
static hone__shape first_channels(const int64_t *dims, int rank, bool last)
{
    hone__shape s = {.rank = rank};
    for (int i = 0; i < rank; i++) s.dims[i] = !last || i == 0 ? dims[i] : i == 1 ? dims[rank - 1] : dims[i - 1];
    return s;
}
static hone_status pool_window(const hone__node *n, const hone__shape *s, bool global, hone__window *w)
{
    int64_t kernel[HONE__WINDOW_MAX];
    if (s->rank < 3 || s->rank > HONE__WINDOW_MAX + 2)
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 3 to 5", s->rank);
    if (!global) {
        HONE__TRY(hone__window_kernel(n, s->rank - 2, kernel));
        return hone__window_read(n, s, kernel, w);
    }
    *w = (hone__window){.rank = s->rank - 2};
    for (int i = 0; i < w->rank; i++) w->kernel[i] = s->dims[i + 2], w->stride[i] = w->dilation[i] = w->out[i] = 1;
    return HONE_OK;
}
static hone_status infer_pool(hone__infer *x, bool global)
{
    bool last = hone__node_int(x->node, "channels_last", 0) != 0;
    hone__window w;
    HONE__TRY(infer_one(x));
    if (x->in[0].shape.rank < 0) return HONE_OK;
    hone__shape s = first_channels(x->in[0].shape.dims, x->in[0].shape.rank, last);
    HONE__TRY(pool_window(x->node, &s, global, &w));
    for (int i = 0; i < w.rank; i++) x->out[0].shape.dims[last ? i + 1 : i + 2] = w.out[i];
    return HONE_OK;
}
static hone_status run_pool(hone__run *r, bool global)
{
    const hone__tensor *x = r->in[0], *y = r->out[0];
    bool last = hone__node_int(r->node, "channels_last", 0) != 0,
         padded = hone__node_int(r->node, "count_include_pad", 0) != 0;
    hone__shape s = first_channels(x->dims, x->rank, last);
    hone__window w;
    params p, q;
    HONE__TRY(pool_window(r->node, &s, global, &w));
    HONE__TRY(read_params(r, 1, 2, &p));
    HONE__TRY(read_params(r, 3, 4, &q));
    size_t size = 1, window = 1, channels = (size_t)s.dims[1];
    for (int a = 0; a < w.rank; a++) size *= (size_t)w.out[a], window *= (size_t)w.kernel[a];
    const uint8_t *from = x->data;
    double value[256];
    read_table(x, p, value);
    for (size_t i = 0; i < y->count; i++) {
        size_t n = i / (size * channels), c = last ? i % channels : i / size % channels,
               place = last ? i / channels % size : i % size, count = 0;
        double sum = 0;
        for (size_t k = 0; k < window; k++) {
            size_t at = 0, o = place, j = k, step = 1;
            bool inside = true;
            for (int a = w.rank - 1; a >= 0; a--) {
                int64_t v = (int64_t)(o % (size_t)w.out[a]) * w.stride[a] - w.begin[a] +
                            (int64_t)(j % (size_t)w.kernel[a]) * w.dilation[a];
                o /= (size_t)w.out[a];
                j /= (size_t)w.kernel[a];
                inside = inside && v >= 0 && v < s.dims[a + 2];
                at += (inside ? (size_t)v : 0) * step;
                step *= (size_t)s.dims[a + 2];
            }
            if (inside) sum += value[from[last ? (n * step + at) * channels + c : (n * channels + c) * step + at]];
            count += inside || padded; /* also what ceil_mode adds behind the padding, as ONNX Runtime counts */
        }
        ((uint8_t *)hone__out_data(r, 0))[i] = code(y->dtype, count ? sum / (double)count : 0, q);
    }
    return HONE_OK;
}
static hone_status infer_average(hone__infer *x) { return infer_pool(x, false); }
static hone_status infer_global(hone__infer *x) { return infer_pool(x, true); }
static hone_status run_average(hone__run *r) { return run_pool(r, false); }
static hone_status run_global(hone__run *r) { return run_pool(r, true); }
const hone__op hone__op_ms_qlinear_average_pool = {
    "com.microsoft", "QLinearAveragePool", infer_average, NULL, run_average, 0};
const hone__op hone__op_ms_qlinear_global_average_pool = {
    "com.microsoft", "QLinearGlobalAveragePool", infer_global, NULL, run_global, 0};
