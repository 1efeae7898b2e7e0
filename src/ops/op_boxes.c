/* op_boxes.c: operators of object detection: NonMaxSuppression, RoiAlign, MaxRoiPool. */
#include <math.h>
#include <string.h>

#include "infer.h"

/* Inputs: boxes [batch, n, 4], scores [batch, classes, n], most per class?, overlap?, least score? */
typedef struct nms {
    const hone__tensor *boxes, *scores;
    int64_t most;
    double overlap, least;
    bool centers, limited; /* limited: a least score is given */
    size_t batch, classes, n;
} nms;

static hone_status nms_read(const hone__node *node, const hone__tensor *const *in, int count, nms *s)
{
    *s = (nms){.boxes = in[0], .scores = in[1], .centers = hone__node_int(node, "center_point_box", 0) != 0};
    for (int i = 2; i < count && i < 5; i++)
        if (in[i] && in[i]->count != 1)
            return hone__fail(HONE_E_SHAPE, "input %d has %zu values, expected one", i, in[i]->count);
    if (in[0]->rank != 3 || in[1]->rank != 3 || in[0]->dims[2] != 4 || in[0]->dims[0] != in[1]->dims[0] ||
        in[0]->dims[1] != in[1]->dims[2])
        return hone__fail(HONE_E_SHAPE, "boxes and scores do not fit");
    s->most = count > 2 && in[2] ? hone__tensor_i64(in[2], 0) : 0;
    s->overlap = count > 3 && in[3] ? hone__tensor_f64(in[3], 0) : 0;
    s->limited = count > 4 && in[4];
    if (s->limited) s->least = hone__tensor_f64(in[4], 0);
    s->batch = (size_t)in[0]->dims[0], s->n = (size_t)in[0]->dims[1], s->classes = (size_t)in[1]->dims[1];
    return HONE_OK;
}

/* Corners [low0, low1, high0, high1] of a box. */
static void corners(const nms *s, size_t b, size_t i, double *c)
{
    double v[4];
    for (size_t k = 0; k < 4; k++) v[k] = hone__tensor_f64(s->boxes, (b * s->n + i) * 4 + k);
    for (int k = 0; k < 2; k++) {
        double p = s->centers ? v[k] - v[k + 2] / 2 : v[k], q = s->centers ? v[k] + v[k + 2] / 2 : v[k + 2];
        c[k] = fmin(p, q);
        c[k + 2] = fmax(p, q);
    }
}

/* Intersection over union. */
static double iou(const double *a, const double *b)
{
    double w = fmin(a[2], b[2]) - fmax(a[0], b[0]), h = fmin(a[3], b[3]) - fmax(a[1], b[1]);
    double one = (a[2] - a[0]) * (a[3] - a[1]), two = (b[2] - b[0]) * (b[3] - b[1]);
    if (w <= 0 || h <= 0 || one <= 0 || two <= 0) return 0;
    return w * h / (one + two - w * h);
}

/* Merge sort of box numbers by falling score; the lower number of equals first. */
static void sort_scores(const nms *s, size_t base, size_t *index, size_t *work, size_t n)
{
    if (n < 2) return;
    size_t half = n / 2, a = 0, b = half, k = 0;
    sort_scores(s, base, index, work, half);
    sort_scores(s, base, index + half, work, n - half);
    while (a < half && b < n)
        work[k++] = hone__tensor_f64(s->scores, base + index[b]) > hone__tensor_f64(s->scores, base + index[a])
                        ? index[b++]
                        : index[a++];
    while (a < half) work[k++] = index[a++];
    while (b < n) work[k++] = index[b++];
    memcpy(index, work, n * sizeof *index);
}

/* Writes [batch, class, box] triples to `out` (NULL: only counts). `index`: room for 3 n numbers. */
static size_t nms_select(const nms *s, size_t *index, int64_t *out)
{
    size_t found = 0, *work = index + s->n, *kept = work + s->n;
    for (size_t b = 0; b < s->batch; b++)
        for (size_t c = 0; c < s->classes; c++) {
            size_t base = (b * s->classes + c) * s->n, count = 0, n = 0;
            for (size_t i = 0; i < s->n; i++)
                if (!s->limited || hone__tensor_f64(s->scores, base + i) > s->least) index[n++] = i;
            sort_scores(s, base, index, work, n);
            for (size_t i = 0; i < n && (int64_t)count < s->most; i++) {
                double mine[4], other[4];
                bool apart = true;
                corners(s, b, index[i], mine);
                for (size_t k = 0; k < count && apart; k++) {
                    corners(s, b, kept[k], other);
                    apart = iou(mine, other) <= s->overlap;
                }
                if (!apart) continue;
                kept[count++] = index[i];
                if (out) {
                    int64_t *t = out + 3 * found;
                    t[0] = (int64_t)b, t[1] = (int64_t)c, t[2] = (int64_t)index[i];
                }
                found++;
            }
        }
    return found;
}

static hone_status nms_go(const nms *s, int64_t *out, size_t *found)
{
    size_t *index = hone__calloc(3 * s->n + 1, sizeof *index);
    if (!index) return hone__out_of_memory(3 * s->n * sizeof *index);
    *found = nms_select(s, index, out);
    hone__free(index);
    return HONE_OK;
}

static hone_status infer_nms(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 5));
    int64_t dims[2] = {-1, 3};
    bool known = true;
    for (int i = 0; i < x->input_count; i++)
        if (hone__has_input(x, i) && !x->value[i]) known = false;
    if (known) {
        nms s;
        size_t found;
        HONE__TRY(nms_read(x->node, x->value, x->input_count, &s));
        HONE__TRY(nms_go(&s, NULL, &found));
        dims[0] = (int64_t)found;
    }
    hone__infer_set(x, 0, HONE_I64, 2, dims);
    return HONE_OK;
}
static hone_status run_nms(hone__run *r)
{
    nms s;
    size_t found;
    HONE__TRY(nms_read(r->node, r->in, r->input_count, &s));
    return nms_go(&s, hone__out_data(r, 0), &found);
}
const hone__op hone__op_non_max_suppression = {"", "NonMaxSuppression", infer_nms, NULL, run_nms, 0};

/* RoiAlign: x [N, C, H, W], boxes [n, 4], batch of each box [n]. */
static hone_status infer_roi_align(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 3));
    HONE__TRY(hone__infer_float(x, 0));
    HONE__TRY(hone__infer_rank(x, 0, 4));
    HONE__TRY(hone__infer_rank(x, 1, 2));
    HONE__TRY(hone__infer_rank(x, 2, 1));
    int64_t h = hone__node_int(x->node, "output_height", 1), w = hone__node_int(x->node, "output_width", 1);
    if (h < 1 || w < 1) return hone__fail(HONE_E_SHAPE, "output of %lld x %lld", (long long)h, (long long)w);
    if (x->in[1].shape.rank == 2 && !hone__dims_agree(x->in[1].shape.dims[1], 4))
        return hone__fail(HONE_E_SHAPE, "boxes do not have 4 values");
    x->out[0].dtype = x->in[0].dtype;
    int64_t n = x->in[2].shape.rank == 1 ? x->in[2].shape.dims[0] : -1;
    if (!hone__dims_agree(n, x->in[1].shape.rank == 2 ? x->in[1].shape.dims[0] : -1))
        return hone__fail(HONE_E_SHAPE, "boxes and their batches do not fit");
    if (x->in[0].shape.rank == 4)
        hone__infer_set(x, 0, x->in[0].dtype, 4, (int64_t[]){n, x->in[0].shape.dims[1], h, w});
    return HONE_OK;
}

/* Bilinear at (y, x) of a plane, as a mean's term or, for maxima, the largest weighted corner. */
static double bilinear(const hone__tensor *t, size_t plane, double y, double x, bool max)
{
    int64_t h = t->dims[2], w = t->dims[3];
    if (!(y >= -1 && y <= (double)h && x >= -1 && x <= (double)w)) return 0;
    y = fmax(y, 0), x = fmax(x, 0);
    int64_t y0 = (int64_t)y, x0 = (int64_t)x, y1 = y0 + 1, x1 = x0 + 1;
    if (y0 >= h - 1) y0 = y1 = h - 1, y = (double)y0;
    if (x0 >= w - 1) x0 = x1 = w - 1, x = (double)x0;
    double ly = y - (double)y0, lx = x - (double)x0,
           weight[4] = {(1 - ly) * (1 - lx), (1 - ly) * lx, ly * (1 - lx), ly * lx}, result = 0;
    const int64_t at[4] = {y0 * w + x0, y0 * w + x1, y1 * w + x0, y1 * w + x1};
    for (int k = 0; k < 4; k++) {
        double v = weight[k] * hone__tensor_f64(t, plane * (size_t)(h * w) + (size_t)at[k]);
        result = !max ? result + v : k ? fmax(result, v) : v;
    }
    return result;
}
static hone_status run_roi_align(hone__run *r)
{
    const hone__tensor *x = r->in[0], *boxes = r->in[1], *y = r->out[0];
    double scale = hone__node_float(r->node, "spatial_scale", 1);
    bool half =
        strcmp(hone__node_string(r->node, "coordinate_transformation_mode", "half_pixel"), "output_half_pixel") != 0;
    bool max = !strcmp(hone__node_string(r->node, "mode", "avg"), "max");
    int64_t ratio = hone__node_int(r->node, "sampling_ratio", 0), ph = y->dims[2], pw = y->dims[3];
    for (size_t i = 0; i < y->count; i++) {
        size_t n = i / (size_t)(y->dims[1] * ph * pw), c = i / (size_t)(ph * pw) % (size_t)y->dims[1];
        double v[4], result = 0;
        int64_t b = hone__tensor_i64(r->in[2], n);
        if (b < 0 || b >= x->dims[0])
            return hone__fail(HONE_E_ARGUMENT, "batch %lld of %lld", (long long)b, (long long)x->dims[0]);
        for (size_t k = 0; k < 4; k++) v[k] = hone__tensor_f64(boxes, 4 * n + k) * scale - (half ? 0.5 : 0);
        double width = v[2] - v[0], height = v[3] - v[1];
        if (!half) width = fmax(width, 1), height = fmax(height, 1);
        double bh = height / (double)ph, bw = width / (double)pw;
        double ny = ratio > 0 ? (double)ratio : ceil(bh), nx = ratio > 0 ? (double)ratio : ceil(bw);
        if (!(ny * nx < 1e6)) return hone__fail(HONE_E_LIMIT, "box %zu needs too many samples", n);
        double y0 = v[1] + (double)(i / (size_t)pw % (size_t)ph) * bh, x0 = v[0] + (double)(i % (size_t)pw) * bw;
        bool first = true;
        for (double iy = 0; iy < ny; iy++)
            for (double ix = 0; ix < nx; ix++) {
                double p = bilinear(x, (size_t)b * (size_t)x->dims[1] + c, y0 + (iy + 0.5) * bh / ny,
                                    x0 + (ix + 0.5) * bw / nx, max);
                result = !max ? result + p : first ? p : fmax(result, p);
                first = false;
            }
        if (!max) result /= fmax(ny * nx, 1);
        hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, result);
    }
    return HONE_OK;
}
const hone__op hone__op_roi_align = {"", "RoiAlign", infer_roi_align, NULL, run_roi_align, 0};

/* MaxRoiPool: x [N, C, H, W], boxes [n, 5] = batch, x1, y1, x2, y2. */
static hone_status infer_max_roi(hone__infer *x)
{
    size_t count;
    const int64_t *size = hone__node_ints(x->node, "pooled_shape", &count);
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_float(x, 0));
    HONE__TRY(hone__infer_rank(x, 0, 4));
    HONE__TRY(hone__infer_rank(x, 1, 2));
    if (!size || count != 2 || size[0] < 1 || size[1] < 1)
        return hone__fail(HONE_E_SHAPE, "pooled_shape is not two sizes");
    if (x->in[1].shape.rank == 2 && !hone__dims_agree(x->in[1].shape.dims[1], 5))
        return hone__fail(HONE_E_SHAPE, "boxes do not have 5 values");
    x->out[0].dtype = x->in[0].dtype;
    if (x->in[0].shape.rank == 4)
        hone__infer_set(x, 0, x->in[0].dtype, 4,
                        (int64_t[]){x->in[1].shape.rank == 2 ? x->in[1].shape.dims[0] : -1, x->in[0].shape.dims[1],
                                    size[0], size[1]});
    return HONE_OK;
}
static int64_t within(double v, int64_t size) { return !(v > 0) ? 0 : v > (double)size ? size : (int64_t)v; }

static hone_status run_max_roi(hone__run *r)
{
    const hone__tensor *x = r->in[0], *boxes = r->in[1], *y = r->out[0];
    double scale = hone__node_float(r->node, "spatial_scale", 1);
    int64_t ph = y->dims[2], pw = y->dims[3], h = x->dims[2], w = x->dims[3];
    for (size_t i = 0; i < y->count; i++) {
        size_t n = i / (size_t)(y->dims[1] * ph * pw), c = i / (size_t)(ph * pw) % (size_t)y->dims[1];
        double v[5];
        for (size_t k = 0; k < 5; k++)
            v[k] = k ? round(hone__tensor_f64(boxes, 5 * n + k) * scale) : hone__tensor_f64(boxes, 5 * n);
        if (!(v[0] >= 0 && v[0] < (double)x->dims[0]))
            return hone__fail(HONE_E_ARGUMENT, "batch %g of %lld", v[0], (long long)x->dims[0]);
        double bh = fmax(v[4] - v[2] + 1, 1) / (double)ph, bw = fmax(v[3] - v[1] + 1, 1) / (double)pw;
        double py = (double)(i / (size_t)pw % (size_t)ph), px = (double)(i % (size_t)pw);
        int64_t y0 = within(floor(py * bh) + v[2], h), y1 = within(ceil((py + 1) * bh) + v[2], h);
        int64_t x0 = within(floor(px * bw) + v[1], w), x1 = within(ceil((px + 1) * bw) + v[1], w);
        double best = y0 < y1 && x0 < x1 ? -INFINITY : 0;
        for (int64_t a = y0; a < y1; a++)
            for (int64_t b = x0; b < x1; b++)
                best = fmax(best, hone__tensor_f64(
                                      x, (((size_t)v[0] * (size_t)x->dims[1] + c) * (size_t)h + (size_t)a) * (size_t)w +
                                             (size_t)b));
        hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, best);
    }
    return HONE_OK;
}
const hone__op hone__op_max_roi_pool = {"", "MaxRoiPool", infer_max_roi, NULL, run_max_roi, 0};
