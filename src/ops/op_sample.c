/* op_sample.c: GridSample (any number of axes), AffineGrid, DeformConv; in double over any floating-point type. */
#include <math.h>
#include <string.h>

#include "window.h"

enum { AXES = 3, TAPS = 4 };

typedef enum padding { ZEROS = 0, BORDER, REFLECTION } padding;

typedef struct sampler {
    char mode; /* n nearest, l linear, c cubic */
    padding pad;
    bool corners;
    int axes;
    int64_t size[AXES];
} sampler;

/* Reflects at both borders until inside. */
static double reflect(double x, double low, double high)
{
    double range = high - low;
    if (range <= 0) return low;
    double d = fmod(fabs(x - low), 2 * range);
    return d > range ? low + 2 * range - d : low + d;
}

static double low_border(const sampler *s) { return s->corners ? 0 : -0.5; }
static double high_border(const sampler *s, int a) { return (double)s->size[a] - (s->corners ? 1 : 0.5); }

/* -1: reads as 0 */
static int64_t place(const sampler *s, int a, int64_t i)
{
    int64_t last = s->size[a] - 1;
    if (i >= 0 && i <= last) return i;
    if (s->pad == ZEROS) return -1;
    if (s->pad == BORDER) return i < 0 ? 0 : last;
    int64_t k = (int64_t)reflect((double)i, low_border(s), high_border(s, a));
    return k < 0 ? 0 : k > last ? last : k;
}

static void cubic(double t, double *w)
{
    const double a = -0.75;
    double u = 1 - t;
    w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    w[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
    w[3] = ((a * (u + 1) - 5 * a) * (u + 1) + 8 * a) * (u + 1) - 4 * a;
}

/* Places and weights of one axis at coordinate x (in elements); returns how many. */
static int taps(const sampler *s, int a, double x, int64_t *at, double *w)
{
    if (!(fabs(x) < 1e15)) x = -1e15; /* NaN and far away: outside */
    if (s->mode == 'n') x = nearbyint(x);
    if (x < low_border(s) || x > high_border(s, a)) {
        double last = (double)s->size[a] - 1;
        if (s->pad == BORDER && s->mode != 'c')
            x = x < 0 ? 0 : x > last ? last : x;
        else if (s->pad == REFLECTION)
            x = reflect(x, low_border(s), high_border(s, a));
    }
    int64_t first = (int64_t)floor(x);
    double t = x - floor(x);
    int n = s->mode == 'n' ? 1 : s->mode == 'l' ? 2 : 4;
    if (n == 1)
        w[0] = 1;
    else if (n == 2)
        w[0] = 1 - t, w[1] = t;
    else
        cubic(t, w), first--;
    for (int k = 0; k < n; k++) at[k] = place(s, a, first + k);
    return n;
}

/* The value of one plane at coordinates x[axes]. */
static double sample(const sampler *s, const hone__tensor *t, size_t plane, const double *x)
{
    int64_t at[AXES][TAPS], k[AXES] = {0};
    double w[AXES][TAPS], sum = 0;
    int n = 1;
    for (int a = 0; a < s->axes; a++) n = taps(s, a, x[a], at[a], w[a]);
    for (;;) {
        size_t from = plane;
        double weight = 1;
        bool inside = true;
        for (int a = 0; a < s->axes; a++) {
            int64_t i = at[a][k[a]];
            inside = inside && i >= 0;
            weight *= w[a][k[a]];
            from = from * (size_t)s->size[a] + (size_t)(inside ? i : 0);
        }
        if (inside) sum += weight * hone__tensor_f64(t, from);
        int a = s->axes - 1;
        for (; a >= 0 && ++k[a] == n; a--) k[a] = 0;
        if (a < 0) return sum;
    }
}

static hone_status infer_grid_sample(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    const hone__shape *s = &x->in[0].shape, *g = &x->in[1].shape;
    x->out[0].dtype = x->in[0].dtype;
    if (s->rank < 0 || g->rank < 0) return HONE_OK;
    if (s->rank < 3 || s->rank > AXES + 2 || g->rank != s->rank ||
        !hone__dims_agree(g->dims[g->rank - 1], s->rank - 2) || !hone__dims_agree(g->dims[0], s->dims[0]))
        return hone__fail(HONE_E_SHAPE, "input of rank %d and grid of rank %d do not fit", s->rank, g->rank);
    x->out[0].shape = *s;
    for (int i = 2; i < s->rank; i++) x->out[0].shape.dims[i] = g->dims[i - 1];
    return HONE_OK;
}

static hone_status run_grid_sample(hone__run *r)
{
    const hone__tensor *x = r->in[0], *g = r->in[1], *y = r->out[0];
    const char *mode = hone__node_string(r->node, "mode", "linear"),
               *pad = hone__node_string(r->node, "padding_mode", "zeros");
    sampler s = {.mode = *mode, .corners = hone__node_int(r->node, "align_corners", 0) != 0, .axes = x->rank - 2};
    s.pad = !strcmp(pad, "border") ? BORDER : !strcmp(pad, "reflection") ? REFLECTION : ZEROS;
    if (!strcmp(mode, "bilinear")) s.mode = 'l';
    if (!strcmp(mode, "bicubic")) s.mode = 'c';
    if (s.mode != 'n' && s.mode != 'l' && s.mode != 'c') return hone__fail(HONE_E_UNSUPPORTED, "mode '%.40s'", mode);
    size_t planes = (size_t)x->dims[0] * (size_t)x->dims[1], points = planes ? y->count / planes : 0;
    for (int a = 0; a < s.axes; a++) s.size[a] = x->dims[a + 2];
    if (y->count && !x->count) return hone__fail(HONE_E_SHAPE, "the input is empty");
    for (size_t i = 0; i < y->count; i++) {
        size_t plane = i / points, row = plane / (size_t)x->dims[1] * points + i % points;
        double at[AXES];
        for (int a = 0; a < s.axes; a++) { /* the grid names the last axis first */
            double v = hone__tensor_f64(g, row * (size_t)s.axes + (size_t)(s.axes - 1 - a)), d = (double)s.size[a];
            at[a] = s.corners ? (v + 1) / 2 * (d - 1) : ((v + 1) * d - 1) / 2;
        }
        hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, sample(&s, x, plane, at));
    }
    return HONE_OK;
}
const hone__op hone__op_grid_sample = {"", "GridSample", infer_grid_sample, NULL, run_grid_sample, 0};

/* AffineGrid: theta [N, axes, axes + 1], size [N, C, spatial...]. */
static hone_status infer_affine_grid(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_float(x, 0));
    HONE__TRY(hone__infer_rank(x, 0, 3));
    int64_t size[HONE_MAX_RANK];
    int count;
    HONE__TRY(hone__infer_ints(x, 1, size, HONE_MAX_RANK, &count));
    x->out[0].dtype = x->in[0].dtype;
    if (count < 0) return HONE_OK;
    const hone__shape *t = &x->in[0].shape;
    if ((count != 4 && count != 5) ||
        (t->rank == 3 && (!hone__dims_agree(t->dims[1], count - 2) || !hone__dims_agree(t->dims[2], count - 1) ||
                          !hone__dims_agree(t->dims[0], size[0]))))
        return hone__fail(HONE_E_SHAPE, "theta and a size of %d values do not fit", count);
    hone__shape o = {.rank = count};
    for (int i = 0; i < count; i++) {
        o.dims[i] = i == 0 ? size[0] : i == count - 1 ? count - 2 : size[i + 1];
        if (o.dims[i] < 0) return hone__fail(HONE_E_SHAPE, "size %lld", (long long)o.dims[i]);
    }
    x->out[0].shape = o;
    return HONE_OK;
}
static hone_status run_affine_grid(hone__run *r)
{
    const hone__tensor *t = r->in[0];
    hone__tensor *y = r->out[0];
    int axes = y->rank - 2;
    bool corners = hone__node_int(r->node, "align_corners", 0) != 0;
    int64_t at[AXES] = {0};
    size_t per = 1;
    for (int a = 0; a < axes; a++) per *= (size_t)y->dims[a + 1];
    for (size_t i = 0; i < (size_t)y->dims[0] * per; i++) {
        for (int k = 0; k < axes; k++) {
            size_t row = (i / per * (size_t)axes + (size_t)k) * (size_t)(axes + 1);
            double sum = hone__tensor_f64(t, row + (size_t)axes);
            for (int a = 0; a < axes; a++) { /* column 0 belongs to the last axis */
                double d = (double)y->dims[axes - a], p = (double)at[axes - 1 - a];
                sum += hone__tensor_f64(t, row + (size_t)a) *
                       (corners ? (d > 1 ? 2 * p / (d - 1) - 1 : -1) : (2 * p + 1) / d - 1);
            }
            hone__element_set_f64(y->dtype, hone__out_data(r, 0), i * (size_t)axes + (size_t)k, sum);
        }
        for (int a = axes - 1; a >= 0 && ++at[a] == y->dims[a + 1]; a--) at[a] = 0;
    }
    return HONE_OK;
}
const hone__op hone__op_affine_grid = {"", "AffineGrid", infer_affine_grid, NULL, run_affine_grid, 0};

/* DeformConv over two axes: x, w, offsets [N, groups * kh * kw * 2, oh, ow], bias?, mask [N, groups * kh * kw, oh, ow]?
 */
static hone_status deform_window(const hone__node *n, const hone__shape *s, const hone__shape *k, hone__window *w)
{
    int64_t group = hone__node_int(n, "group", 1), offsets = hone__node_int(n, "offset_group", 1);
    if (s->rank != 4 || k->rank != 4)
        return hone__fail(HONE_E_UNSUPPORTED, "ranks %d and %d, expected 4", s->rank, k->rank);
    if (group < 1 || offsets < 1 || s->dims[1] != k->dims[1] * group || k->dims[0] % group || s->dims[1] % offsets ||
        k->dims[2] < 1 || k->dims[3] < 1)
        return hone__fail(HONE_E_SHAPE, "input, weights and groups do not fit");
    return hone__window_read(n, s, k->dims + 2, w);
}
static hone_status infer_deform_conv(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 5));
    HONE__TRY(hone__infer_float(x, 0));
    x->out[0].dtype = x->in[0].dtype;
    for (int i = 0; i < 3; i++) {
        if (x->in[i].shape.rank < 0) return HONE_OK;
        for (int k = 0; k < x->in[i].shape.rank; k++)
            if (x->in[i].shape.dims[k] < 0) return HONE_OK;
    }
    hone__window w;
    const hone__shape *s = &x->in[0].shape, *k = &x->in[1].shape, *o = &x->in[2].shape;
    HONE__TRY(deform_window(x->node, s, k, &w));
    int64_t points = k->dims[2] * k->dims[3] * hone__node_int(x->node, "offset_group", 1);
    if (o->rank != 4 || o->dims[0] != s->dims[0] || o->dims[1] != 2 * points || o->dims[2] != w.out[0] ||
        o->dims[3] != w.out[1])
        return hone__fail(HONE_E_SHAPE, "the offsets do not fit");
    hone__infer_set(x, 0, x->in[0].dtype, 4, (int64_t[]){s->dims[0], k->dims[0], w.out[0], w.out[1]});
    return HONE_OK;
}
static hone_status run_deform_conv(hone__run *r)
{
    const hone__tensor *x = r->in[0], *k = r->in[1], *o = r->in[2], *y = r->out[0];
    const hone__tensor *bias = r->input_count > 3 ? r->in[3] : NULL, *mask = r->input_count > 4 ? r->in[4] : NULL;
    hone__shape s = {.rank = x->rank}, ks = {.rank = k->rank};
    hone__window w;
    memcpy(s.dims, x->dims, sizeof s.dims);
    memcpy(ks.dims, k->dims, sizeof ks.dims);
    HONE__TRY(deform_window(r->node, &s, &ks, &w));
    sampler sm = {.mode = 'l', .pad = ZEROS, .corners = true, .axes = 2, .size = {x->dims[2], x->dims[3]}};
    size_t in_c = (size_t)k->dims[1], out_c = (size_t)k->dims[0], channels = (size_t)x->dims[1],
           points = (size_t)(k->dims[2] * k->dims[3]);
    size_t per_group = out_c / (size_t)hone__node_int(r->node, "group", 1),
           sets = (size_t)hone__node_int(r->node, "offset_group", 1);
    size_t per_set = channels / sets, size = (size_t)(y->dims[2] * y->dims[3]);
    if ((bias && bias->count != out_c) || (mask && mask->count * 2 != o->count))
        return hone__fail(HONE_E_SHAPE, "bias or mask does not fit");
    for (size_t i = 0; i < y->count; i++) {
        size_t place_at = i % size, c = i / size % out_c, n = i / size / out_c;
        double sum = bias ? hone__tensor_f64(bias, c) : 0;
        for (size_t j = 0; j < in_c * points; j++) {
            size_t q = j % points, from = c / per_group * in_c + j / points,
                   set = (n * sets + from / per_set) * points + q;
            double at[2] = {(double)((int64_t)(place_at / (size_t)y->dims[3]) * w.stride[0] - w.begin[0] +
                                     (int64_t)q / k->dims[3] * w.dilation[0]),
                            (double)((int64_t)(place_at % (size_t)y->dims[3]) * w.stride[1] - w.begin[1] +
                                     (int64_t)q % k->dims[3] * w.dilation[1])};
            at[0] += hone__tensor_f64(o, 2 * set * size + place_at);
            at[1] += hone__tensor_f64(o, (2 * set + 1) * size + place_at);
            double v = hone__tensor_f64(k, c * in_c * points + j) * sample(&sm, x, n * channels + from, at);
            sum += mask ? v * hone__tensor_f64(mask, set * size + place_at) : v;
        }
        hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, sum);
    }
    return HONE_OK;
}
const hone__op hone__op_deform_conv = {"", "DeformConv", infer_deform_conv, NULL, run_deform_conv, 0};
