/* resize.c: sizes, coordinates and weights of Resize (ONNX operator specification, opset 19). */
#include "resize.h"

#include <math.h>
#include <string.h>

static hone_status read_coords(const hone__node *n, hone__resize_coords *out)
{
    static const char *const names[] = {"half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel",
                                        "align_corners", "asymmetric",           "tf_crop_and_resize"};
    const char *name = hone__node_string(n, "coordinate_transformation_mode", "half_pixel");
    for (int i = 0; i < 6; i++)
        if (!strcmp(name, names[i])) {
            *out = (hone__resize_coords)i;
            return HONE_OK;
        }
    return hone__fail(HONE_E_UNSUPPORTED, "coordinate_transformation_mode '%.40s'", name);
}

/* The value of an optional list input: *count 0 where it is absent or empty, -1 where it is not known. */
static hone_status read_list(const hone__infer *x, int i, double *out, int *count)
{
    *count = 0;
    if (!hone__has_input(x, i)) return HONE_OK;
    *count = -1;
    const hone__tensor *t = x->value[i];
    if (!t) {
        if (x->in[i].shape.rank == 1 && x->in[i].shape.dims[0] == 0) *count = 0;
        return HONE_OK;
    }
    if (t->count > 2 * HONE_MAX_RANK) return hone__fail(HONE_E_SHAPE, "input %d has %zu values", i, t->count);
    for (size_t k = 0; k < t->count; k++) out[k] = hone__tensor_f64(t, k);
    *count = (int)t->count;
    return HONE_OK;
}

static hone_status set_sizes(const hone__node *n, hone__resize *r, const int *axes, int count, const double *sizes)
{
    const char *policy = hone__node_string(n, "keep_aspect_ratio_policy", "stretch");
    bool larger = !strcmp(policy, "not_smaller"), keep = larger || !strcmp(policy, "not_larger");
    double common = 0;
    for (int i = 0; i < count; i++) {
        int a = axes[i];
        if (sizes[i] < 0 || sizes[i] > INT32_MAX || sizes[i] != floor(sizes[i]))
            return hone__fail(HONE_E_SHAPE, "size %g for axis %d", sizes[i], a);
        if (!r->in[a] && sizes[i] > 0) return hone__fail(HONE_E_SHAPE, "axis %d is empty", a);
        r->out[a] = (int64_t)sizes[i];
        r->scale[a] = r->in[a] > 0 ? sizes[i] / (double)r->in[a] : 1;
        r->width[a] = sizes[i];
        if (!i || (larger ? r->scale[a] > common : r->scale[a] < common)) common = r->scale[a];
    }
    for (int i = 0; i < count && keep; i++) {
        int a = axes[i];
        r->scale[a] = common;
        r->width[a] = common * (double)r->in[a];
        r->out[a] = (int64_t)floor(r->width[a] + 0.5);
    }
    return HONE_OK;
}

static hone_status set_scales(hone__resize *r, const int *axes, int count, const double *scales)
{
    for (int i = 0; i < count; i++) {
        int a = axes[i];
        if (!(scales[i] > 0) || scales[i] > 1e6) return hone__fail(HONE_E_SHAPE, "scale %g for axis %d", scales[i], a);
        r->scale[a] = scales[i];
        /* a product of floats, as other runtimes round it: 6 elements by the float next to 7/6 are 7 */
        r->width[a] = (double)((float)scales[i] * (float)r->in[a]);
        double size = r->width[a];
        if (r->coords == HONE__RESIZE_CROP) size *= r->end[a] - r->start[a];
        if (!(size >= 0) || size > INT32_MAX) return hone__fail(HONE_E_SHAPE, "size %g for axis %d", size, a);
        r->out[a] = (int64_t)floor(size);
        if (r->coords == HONE__RESIZE_CROP) r->width[a] = (double)r->out[a];
    }
    return HONE_OK;
}

static hone_status read_axes(const hone__infer *x, int rank, int *axes, int *count)
{
    size_t n;
    const int64_t *list = hone__node_ints(x->node, "axes", &n);
    *count = list ? (int)n : rank;
    if (list && n > (size_t)rank) return hone__fail(HONE_E_SHAPE, "%zu axes for rank %d", n, rank);
    for (int i = 0; i < *count; i++) HONE__TRY(hone__axis(list ? list[i] : i, rank, &axes[i]));
    return HONE_OK;
}

hone_status hone__resize_read(const hone__infer *x, hone__resize *r, bool *known)
{
    const hone__shape *s = &x->in[0].shape;
    double roi[2 * HONE_MAX_RANK] = {0}, scales[2 * HONE_MAX_RANK], sizes[2 * HONE_MAX_RANK];
    int axes[HONE_MAX_RANK], axis_count, rois = 0, scale_count, size_count;
    *known = false;
    *r = (hone__resize){.rank = s->rank};
    HONE__TRY(read_coords(x->node, &r->coords));
    HONE__TRY(read_axes(x, s->rank, axes, &axis_count));
    if ((*known = !s->rank)) return HONE_OK; /* nothing to resize, whatever the lists hold */
    if (r->coords == HONE__RESIZE_CROP) HONE__TRY(read_list(x, 1, roi, &rois)); /* otherwise it may hold anything */
    HONE__TRY(read_list(x, 2, scales, &scale_count));
    HONE__TRY(read_list(x, 3, sizes, &size_count));
    for (int a = 0; a < s->rank; a++) {
        if (s->dims[a] < 0) return HONE_OK;
        if (s->dims[a] > INT32_MAX) return hone__fail(HONE_E_LIMIT, "axis %d is over 2^31", a);
        r->in[a] = r->out[a] = s->dims[a];
        r->scale[a] = r->end[a] = 1;
        r->width[a] = (double)s->dims[a];
    }
    if (scale_count < 0 || size_count < 0 || rois < 0) return HONE_OK;
    if ((scale_count && size_count) || (!scale_count && !size_count))
        return hone__fail(HONE_E_SHAPE, "exactly one of scales and sizes must be given");
    if ((scale_count ? scale_count : size_count) != axis_count)
        return hone__fail(HONE_E_SHAPE, "%d %s for %d axes", scale_count ? scale_count : size_count,
                          scale_count ? "scales" : "sizes", axis_count);
    if (r->coords == HONE__RESIZE_CROP && rois != 2 * axis_count)
        return hone__fail(HONE_E_SHAPE, "%d values of roi for %d axes", rois, axis_count);
    for (int i = 0; i < axis_count; i++) {
        r->resized[axes[i]] = true;
        if (r->coords != HONE__RESIZE_CROP) continue;
        r->start[axes[i]] = roi[i];
        r->end[axes[i]] = roi[axis_count + i];
    }
    *known = true;
    return scale_count ? set_scales(r, axes, axis_count, scales) : set_sizes(x->node, r, axes, axis_count, sizes);
}

/* Where output `i` of an axis lies on the input's. */
static double coordinate(const hone__resize *r, int a, int64_t i)
{
    double x = (double)i, in = (double)r->in[a], scale = r->scale[a], width = r->width[a];
    switch (r->coords) {
    case HONE__RESIZE_ALIGN_CORNERS: return width == 1 ? 0 : x * (in - 1) / (width - 1);
    case HONE__RESIZE_ASYMMETRIC: return x / scale;
    case HONE__RESIZE_PYTORCH: return width == 1 ? -0.5 : (x + 0.5) / scale - 0.5;
    case HONE__RESIZE_HALF_PIXEL_SYMMETRIC: return in / 2 * (1 - (double)r->out[a] / width) + (x + 0.5) / scale - 0.5;
    case HONE__RESIZE_CROP: {
        double span = r->end[a] - r->start[a];
        return r->start[a] * (in - 1) + (width == 1 ? span * (in - 1) / 2 : x * span * (in - 1) / (width - 1));
    }
    default: return (x + 0.5) / scale - 0.5;
    }
}

static double linear_at(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }

/* Keys' cubic convolution kernel with parameter a. */
static double cubic_at(double x, double a)
{
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static int64_t nearest(double x, const char *mode)
{
    double down = floor(x), ratio = x - down;
    if (ratio == 0) return (int64_t)down;
    if (!strcmp(mode, "floor")) return (int64_t)down;
    if (!strcmp(mode, "ceil")) return (int64_t)down + 1;
    bool up = !strcmp(mode, "round_prefer_ceil") ? ratio >= 0.5 : ratio > 0.5;
    return (int64_t)down + up;
}

typedef struct filter {
    char mode; /* n, l, c */
    bool exclude_outside;
    double a, squeeze; /* squeeze: how far the kernel is widened, 1 without antialiasing */
    int64_t first;     /* of the taps, from the floor of the coordinate */
} filter;

static void weigh(const filter *f, double x, int64_t in, size_t taps, int32_t *index, float *weight)
{
    double down = floor(x), ratio = x - down, sum = 0;
    for (size_t k = 0; k < taps; k++) {
        int64_t offset = f->first + (int64_t)k, i = (int64_t)down + offset;
        double at = ((double)offset - ratio) * f->squeeze, w = f->mode == 'l' ? linear_at(at) : cubic_at(at, f->a);
        if (f->exclude_outside && (i < 0 || i >= in)) w = 0;
        index[k] = (int32_t)(i < 0 ? 0 : i >= in ? in - 1 : i);
        weight[k] = (float)w;
        sum += w;
    }
    bool scale = (f->exclude_outside || f->squeeze != 1) && sum != 0;
    for (size_t k = 0; k < taps && scale; k++) weight[k] = (float)(weight[k] / sum);
}

static filter make_filter(const hone__node *n, const hone__resize *r, int axis, size_t *taps)
{
    filter f = {.mode = *hone__node_string(n, "mode", "nearest"),
                .squeeze = 1,
                .a = hone__node_float(n, "cubic_coeff_a", -0.75f),
                .exclude_outside = hone__node_int(n, "exclude_outside", 0) != 0};
    if (hone__node_int(n, "antialias", 0) && r->scale[axis] < 1) f.squeeze = r->scale[axis];
    double reach = f.mode == 'c' ? 2 : 1;
    f.first = (int64_t)floor(-reach / f.squeeze) + 1;
    *taps = f.mode == 'n' ? 1 : (size_t)(2 - 2 * f.first);
    return f;
}

hone_status hone__resize_table(const hone__node *n, const hone__resize *r, int axis, hone__arena *arena,
                               hone__resize_axis *t)
{
    const char *mode = hone__node_string(n, "mode", "nearest"),
               *near = hone__node_string(n, "nearest_mode", "round_prefer_floor");
    *t = (hone__resize_axis){.identity = true, .taps = 1};
    if (strcmp(mode, "nearest") && strcmp(mode, "linear") && strcmp(mode, "cubic"))
        return hone__fail(HONE_E_UNSUPPORTED, "mode '%.40s'", mode);
    if (!r->resized[axis]) return HONE_OK;
    filter f = make_filter(n, r, axis, &t->taps);
    size_t out = (size_t)r->out[axis], entries;
    if (!hone__mul_size(out, t->taps, &entries) || entries > (size_t)1 << 31)
        return hone__fail(HONE_E_LIMIT, "axis %d needs %zu taps for %zu outputs", axis, t->taps, out);
    t->index = hone__arena_alloc(arena, entries * sizeof *t->index + 1);
    t->weight = hone__arena_alloc(arena, entries * sizeof *t->weight + 1);
    t->outside = r->coords == HONE__RESIZE_CROP ? hone__arena_zalloc(arena, out + 1) : NULL;
    if (!t->index || !t->weight || (r->coords == HONE__RESIZE_CROP && !t->outside))
        return hone__out_of_memory(8 * entries);
    t->identity = r->out[axis] == r->in[axis];
    for (size_t i = 0; i < out; i++) {
        double x = coordinate(r, axis, (int64_t)i);
        if (!(fabs(x) < 1e15)) return hone__fail(HONE_E_SHAPE, "axis %d has no coordinates", axis);
        if (t->outside) t->outside[i] = x < 0 || x > (double)r->in[axis] - 1;
        if (x != (double)i || f.squeeze != 1 || (t->outside && t->outside[i])) t->identity = false;
        if (f.mode != 'n') {
            weigh(&f, x, r->in[axis], t->taps, t->index + i * t->taps, t->weight + i * t->taps);
            continue;
        }
        int64_t k = nearest(x, near);
        t->index[i] = (int32_t)(k < 0 ? 0 : k >= r->in[axis] ? r->in[axis] - 1 : k);
        t->weight[i] = 1;
    }
    return HONE_OK;
}
