/* op_ms_arrays.c: com.microsoft's Inverse, CDist, UnfoldTensor, CropAndResize and MaxpoolWithMask. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "widen.h"
#include "window.h"

/* Inverse: x [..., n, n]; in double precision. */
static hone_status infer_inverse(hone__infer *x)
{
    const hone__shape *s = &x->in[0].shape;
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_float(x, 0));
    hone__infer_same(x, 0, 0);
    if (s->rank >= 0 && (s->rank < 2 || !hone__dims_agree(s->dims[s->rank - 1], s->dims[s->rank - 2])))
        return hone__fail(HONE_E_SHAPE, "input 0 is not of square matrices");
    return HONE_OK;
}

static hone_status prepare_inverse(hone__prepare *p)
{
    size_t n = (size_t)p->in[0]->dims[p->in[0]->rank - 1];
    p->scratch = p->in[0]->count ? 2 * n * n * sizeof(double) : 0;
    return HONE_OK;
}

static void swap_rows(double *m, size_t n, size_t a, size_t b)
{
    for (size_t k = 0; a != b && k < n; k++) {
        double v = m[a * n + k];
        m[a * n + k] = m[b * n + k];
        m[b * n + k] = v;
    }
}

/* Gauss and Jordan with the largest pivot of each column; y begins as the identity. A singular matrix gives no numbers.
 */
static void invert(double *m, double *y, size_t n)
{
    for (size_t c = 0; c < n; c++) {
        size_t best = c;
        for (size_t i = c + 1; i < n; i++)
            if (fabs(m[i * n + c]) > fabs(m[best * n + c])) best = i;
        swap_rows(m, n, c, best);
        swap_rows(y, n, c, best);
        double inverse = 1 / m[c * n + c];
        for (size_t k = 0; k < n; k++) m[c * n + k] *= inverse, y[c * n + k] *= inverse;
        for (size_t i = 0; i < n; i++) {
            double factor = m[i * n + c];
            for (size_t k = 0; i != c && k < n; k++) {
                m[i * n + k] -= factor * m[c * n + k];
                y[i * n + k] -= factor * y[c * n + k];
            }
        }
    }
}

static hone_status run_inverse(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t n = (size_t)x->dims[x->rank - 1];
    if (!x->count) return HONE_OK;
    double *m = r->scratch, *y = m + n * n;
    for (size_t from = 0; from < x->count; from += n * n) {
        for (size_t i = 0; i < n * n; i++) {
            m[i] = hone__tensor_f64(x, from + i);
            y[i] = i / n == i % n;
        }
        invert(m, y, n);
        for (size_t i = 0; i < n * n; i++) hone__element_set_f64(x->dtype, hone__out_data(r, 0), from + i, y[i]);
    }
    return HONE_OK;
}
const hone__op hone__op_ms_inverse = {"com.microsoft", "Inverse", infer_inverse, prepare_inverse, run_inverse, 0};

/* CDist: distances between the rows of a [m, k] and b [n, k]. */
static hone_status infer_cdist(hone__infer *x)
{
    const char *metric = hone__node_string(x->node, "metric", "sqeuclidean");
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_float(x, 0));
    HONE__TRY(hone__infer_equal_types(x, 0, 1));
    if (strcmp(metric, "euclidean") && strcmp(metric, "sqeuclidean"))
        return hone__fail(HONE_E_UNSUPPORTED, "metric '%.40s'", metric);
    x->out[0].dtype = x->in[0].dtype;
    for (int i = 0; i < 2; i++) HONE__TRY(hone__infer_rank(x, i, 2));
    const hone__shape *a = &x->in[0].shape, *b = &x->in[1].shape;
    if (a->rank < 0 || b->rank < 0) return HONE_OK;
    if (!hone__dims_agree(a->dims[1], b->dims[1])) return hone__fail(HONE_E_SHAPE, "rows of different lengths");
    hone__infer_set(x, 0, x->in[0].dtype, 2, (int64_t[]){a->dims[0], b->dims[0]});
    return HONE_OK;
}

static hone_status run_cdist(hone__run *r)
{
    const hone__tensor *a = r->in[0], *b = r->in[1];
    size_t k = (size_t)a->dims[1], n = (size_t)b->dims[0];
    bool root = !strcmp(hone__node_string(r->node, "metric", "sqeuclidean"), "euclidean");
    for (size_t i = 0; i < r->out[0]->count; i++) {
        double sum = 0;
        for (size_t c = 0; c < k; c++) {
            double d = hone__tensor_f64(a, i / n * k + c) - hone__tensor_f64(b, i % n * k + c);
            sum += d * d;
        }
        hone__element_set_f64(a->dtype, hone__out_data(r, 0), i, root ? sqrt(sum) : sum);
    }
    return HONE_OK;
}
const hone__op hone__op_ms_cdist = {"com.microsoft", "CDist", infer_cdist, NULL, run_cdist, 0};

/* UnfoldTensor: windows of `size` along `dim`, `step` apart; what a window holds becomes the last axis. */
typedef struct unfold {
    int axis;
    int64_t size, step;
} unfold;

static hone_status read_unfold(const hone__node *n, const hone__shape *s, unfold *u)
{
    *u = (unfold){.size = hone__node_int(n, "size", 0), .step = hone__node_int(n, "step", 1)};
    HONE__TRY(hone__axis(hone__node_int(n, "dim", -1), s->rank, &u->axis));
    if (u->size < 1 || u->step < 1 || (s->dims[u->axis] >= 0 && u->size > s->dims[u->axis]))
        return hone__fail(HONE_E_SHAPE, "windows of %lld, %lld apart, along %lld", (long long)u->size,
                          (long long)u->step, (long long)s->dims[u->axis]);
    return HONE_OK;
}

static hone_status infer_unfold(hone__infer *x)
{
    const hone__shape *s = &x->in[0].shape;
    unfold u;
    HONE__TRY(hone__infer_arity(x, 1, 1));
    x->out[0].dtype = x->in[0].dtype;
    if (s->rank < 0) return HONE_OK;
    if (s->rank >= HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank %d", s->rank);
    HONE__TRY(read_unfold(x->node, s, &u));
    hone__shape *y = &x->out[0].shape;
    *y = *s;
    if (s->dims[u.axis] >= 0) y->dims[u.axis] = (s->dims[u.axis] - u.size) / u.step + 1;
    y->dims[y->rank++] = u.size;
    return HONE_OK;
}

static hone_status run_unfold(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->out[0];
    size_t bytes = hone__dtype_size(x->dtype), inner = 1;
    hone__shape s = {.rank = x->rank};
    unfold u;
    memcpy(s.dims, x->dims, sizeof s.dims);
    HONE__TRY(read_unfold(r->node, &s, &u));
    if (!bytes) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->dtype));
    for (int i = u.axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    size_t along = (size_t)x->dims[u.axis], windows = (size_t)y->dims[u.axis], size = (size_t)u.size;
    uint8_t *to = hone__out_data(r, 0);
    for (size_t i = 0; i < y->count; i++) {
        size_t k = i % size, in = i / size % inner, w = i / size / inner % windows, outer = i / size / inner / windows;
        size_t from = (outer * along + w * (size_t)u.step + k) * inner + in;
        memcpy(to + i * bytes, (const uint8_t *)x->data + from * bytes, bytes);
    }
    return HONE_OK;
}
const hone__op hone__op_ms_unfold_tensor = {"com.microsoft", "UnfoldTensor", infer_unfold, NULL, run_unfold, 0};

/* CropAndResize: x [N, C, H, W], boxes [n, 4] = y1, x1, y2, x2 in parts of the image, their images [n], sizes [2]. */
static hone_status infer_crop(hone__infer *x)
{
    const char *mode = hone__node_string(x->node, "mode", "bilinear");
    int64_t size[2];
    int count;
    HONE__TRY(hone__infer_arity(x, 4, 4));
    HONE__TRY(hone__infer_float(x, 0));
    static const int ranks[] = {4, 2, 1, 1};
    for (int i = 0; i < 4; i++) HONE__TRY(hone__infer_rank(x, i, ranks[i]));
    if (strcmp(mode, "bilinear") && strcmp(mode, "nearest"))
        return hone__fail(HONE_E_UNSUPPORTED, "mode '%.40s'", mode);
    x->out[0].dtype = x->in[0].dtype;
    HONE__TRY(hone__infer_ints(x, 3, size, 2, &count));
    if (count >= 0 && (count != 2 || size[0] < 1 || size[1] < 1))
        return hone__fail(HONE_E_SHAPE, "crop_size is not two sizes");
    const hone__shape *s = &x->in[0].shape, *boxes = &x->in[1].shape;
    if (s->rank < 0 || boxes->rank < 0) return HONE_OK;
    if (!hone__dims_agree(boxes->dims[1], 4) ||
        (x->in[2].shape.rank == 1 && !hone__dims_agree(x->in[2].shape.dims[0], boxes->dims[0])))
        return hone__fail(HONE_E_SHAPE, "boxes or their images do not fit");
    hone__infer_set(x, 0, x->in[0].dtype, 4,
                    (int64_t[]){boxes->dims[0], s->dims[1], count < 0 ? -1 : size[0], count < 0 ? -1 : size[1]});
    return HONE_OK;
}

/* Where sample `i` of `count` lies between the ends of a box along an axis of `size`. */
static double sample_at(const float *box, int axis, int64_t i, int64_t count, int64_t size)
{
    double first = box[axis], last = box[axis + 2], most = (double)(size - 1);
    if (count < 2) return 0.5 * (first + last) * most;
    return first * most + (double)i * ((last - first) * most / (double)(count - 1));
}

static float crop_sample(const float *plane, int64_t h, int64_t w, double y, double x, bool nearest, float outside)
{
    if (!(y >= 0 && y <= (double)(h - 1) && x >= 0 && x <= (double)(w - 1))) return outside;
    if (nearest) return plane[(int64_t)round(y) * w + (int64_t)round(x)];
    int64_t y0 = (int64_t)floor(y), y1 = (int64_t)ceil(y), x0 = (int64_t)floor(x), x1 = (int64_t)ceil(x);
    double dx = x - (double)x0, dy = y - (double)y0;
    double top = plane[y0 * w + x0] + (plane[y0 * w + x1] - plane[y0 * w + x0]) * dx,
           low = plane[y1 * w + x0] + (plane[y1 * w + x1] - plane[y1 * w + x0]) * dx;
    return (float)(top + (low - top) * dy);
}

static hone_status run_crop(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->out[0];
    int64_t c = x->dims[1], h = x->dims[2], w = x->dims[3], ph = y->dims[2], pw = y->dims[3];
    bool nearest = !strcmp(hone__node_string(r->node, "mode", "bilinear"), "nearest");
    float outside = hone__node_float(r->node, "extrapolation_value", 0), *to = hone__out_data(r, 0);
    for (int64_t n = 0; n < y->dims[0]; n++) {
        const float *box = (const float *)r->in[1]->data + 4 * n;
        int64_t image = hone__tensor_i64(r->in[2], (size_t)n);
        if (image < 0 || image >= x->dims[0])
            return hone__fail(HONE_E_ARGUMENT, "image %lld of %lld", (long long)image, (long long)x->dims[0]);
        for (int64_t i = 0; i < c * ph * pw; i++) {
            const float *plane = (const float *)x->data + (image * c + i / (ph * pw)) * h * w;
            *to++ = crop_sample(plane, h, w, sample_at(box, 0, i / pw % ph, ph, h), sample_at(box, 1, i % pw, pw, w),
                                nearest, outside);
        }
    }
    return HONE_OK;
}
HONE__WIDENED_BUT(crop, NULL, run_crop, 1U << 2 | 1U << 3)
const hone__op hone__op_ms_crop_and_resize = {"com.microsoft",   "CropAndResize", infer_crop,
                                              wide_prepare_crop, wide_run_crop,   0};

/* MaxpoolWithMask: along the last axis a window ends where the mask is 0; the very first value always counts. */
static hone_status infer_masked_pool(hone__infer *x)
{
    const hone__shape *s = &x->in[0].shape, *m = &x->in[1].shape;
    int64_t kernel[HONE__WINDOW_MAX];
    hone__window w;
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_float(x, 0));
    x->out[0].dtype = x->in[0].dtype;
    if (s->rank < 0) return HONE_OK;
    if (s->rank < 3 || s->rank > 5) return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 3 to 5", s->rank);
    HONE__TRY(hone__infer_rank(x, 1, s->rank));
    for (int i = 2; m->rank == s->rank && i < s->rank; i++)
        if (!hone__dims_agree(m->dims[i], s->dims[i])) return hone__fail(HONE_E_SHAPE, "the mask does not fit");
    HONE__TRY(hone__window_kernel(x->node, s->rank - 2, kernel));
    HONE__TRY(hone__window_read(x->node, s, kernel, &w));
    for (int i = 0; i < w.rank; i++)
        if (w.dilation[i] != 1) return hone__fail(HONE_E_UNSUPPORTED, "dilations");
    x->out[0].shape = *s;
    for (int i = 0; i < w.rank; i++) x->out[0].shape.dims[i + 2] = w.out[i];
    return HONE_OK;
}

/* One window over a plane of sizes in[3], axes that are missing in front being 1. */
static float masked_window(const float *x, const int32_t *mask, const int64_t *in, const int64_t *from,
                           const int64_t *to)
{
    float most = -FLT_MAX;
    for (int64_t a = from[0]; a < to[0]; a++)
        for (int64_t b = from[1]; b < to[1]; b++)
            for (int64_t c = from[2]; c < to[2]; c++) {
                int64_t i = (a * in[1] + b) * in[2] + c;
                if (i > 0 && !mask[i]) break;
                if (x[i] > most) most = x[i];
            }
    return most;
}

static hone_status run_masked_pool(hone__run *r)
{
    const hone__tensor *x = r->in[0], *m = r->in[1], *y = r->out[0];
    int64_t kernel[HONE__WINDOW_MAX], in[3] = {1, 1, 1}, out[3] = {1, 1, 1};
    hone__shape s = {.rank = x->rank};
    hone__window w;
    memcpy(s.dims, x->dims, sizeof s.dims);
    HONE__TRY(hone__window_kernel(r->node, s.rank - 2, kernel));
    HONE__TRY(hone__window_read(r->node, &s, kernel, &w));
    if (m->dtype != HONE_I32) return hone__fail(HONE_E_SHAPE, "the mask is %s", hone_dtype_name(m->dtype));
    int skip = 3 - w.rank;
    for (int i = 0; i < w.rank; i++) in[skip + i] = x->dims[i + 2], out[skip + i] = y->dims[i + 2];
    int64_t plane = in[0] * in[1] * in[2], masks = m->dims[0] * m->dims[1], per = out[0] * out[1] * out[2];
    if (y->count && masks < 1) return hone__fail(HONE_E_SHAPE, "the mask is empty");
    for (int64_t i = 0; i < (int64_t)y->count; i++) {
        int64_t channel = i / per, at[3] = {i / out[2] / out[1] % out[0], i / out[2] % out[1], i % out[2]};
        int64_t from[3] = {0}, to[3] = {1, 1, 1};
        for (int k = 0; k < w.rank; k++) {
            int64_t first = at[skip + k] * w.stride[k] - w.begin[k], end = first + w.kernel[k];
            from[skip + k] = first < 0 ? 0 : first;
            to[skip + k] = end > in[skip + k] ? in[skip + k] : end;
        }
        ((float *)hone__out_data(r, 0))[i] = masked_window(
            (const float *)x->data + channel * plane, (const int32_t *)m->data + channel % masks * plane, in, from, to);
    }
    return HONE_OK;
}
HONE__WIDENED_BUT(masked_pool, NULL, run_masked_pool, 1U << 1)
const hone__op hone__op_ms_maxpool_with_mask = {"com.microsoft",          "MaxpoolWithMask",    infer_masked_pool,
                                                wide_prepare_masked_pool, wide_run_masked_pool, 0};
