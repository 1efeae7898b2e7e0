/* ops_index.c: x[...] with numbers, slices, new axes and an ellipsis. */
#include <string.h>

#include "keras_ops.h"

typedef struct cut {
    int64_t start, stop, step;
} cut;

/* A limit of a slice: a number, an element of a shape that is known, or none. False: something else. */
static bool read_limit(kctx *c, kcall *call, const json_t *v, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (!v || json_is_null(v)) return true;
    kt *t = json_is_integer(v) ? NULL : hone__kcall_ref(c, call, v);
    if (!json_is_integer(v) && (!t || !t->ints || t->rank > 0 || t->ints[0] < 0)) return false;
    *out = t ? t->ints[0] : json_integer_value(v);
    return true;
}

/* start:stop:step of an axis of `size` (-1 unknown); *left becomes what remains. */
static bool read_slice(kctx *c, kcall *call, const json_t *v, int64_t size, cut *out, int64_t *left)
{
    const json_t *config = json_object_get(v, "config");
    if (!config) config = v;
    const json_t *a = json_object_get(config, "start"), *b = json_object_get(config, "stop"),
                 *s = json_object_get(config, "step");
    int64_t step = 1;
    bool known = read_limit(c, call, s, 1, &step) && read_limit(c, call, a, step > 0 ? 0 : INT64_MAX, &out->start) &&
                 read_limit(c, call, b, step > 0 ? INT64_MAX : INT64_MIN, &out->stop);
    if (!known || step == 0 || step > K_MAX_DIM || step < -K_MAX_DIM) {
        hone__k_refuse(c, "a slice whose limits are not constants");
        return false;
    }
    out->step = step;
    bool whole = step == 1 && out->start == 0 && out->stop == INT64_MAX;
    *left = whole ? size : -1;
    if (size < 0 || whole) return true;
    int64_t from = out->start, to = out->stop;
    if (from < 0) from = from < -size ? 0 : from + size;
    if (to < 0 && to != INT64_MIN) to = to < -size ? 0 : to + size;
    if (step > 0) {
        from = from > size ? size : from, to = to > size ? size : to;
        *left = to > from ? (to - from + step - 1) / step : 0;
    } else {
        from = from > size - 1 ? size - 1 : from, to = to == INT64_MIN ? -1 : to > size - 1 ? size - 1 : to;
        *left = from > to ? (from - to - step - 1) / -step : 0;
    }
    if (*left == 0) hone__k_shape_error(c, "a slice without elements");
    return *left > 0;
}

/* The elements of a shape that an index along its only axis leaves. */
static const int64_t *cut_ints(kctx *c, const kt *t, int n, const int64_t *start, const int64_t *stop,
                               const int64_t *step)
{
    int64_t size = t->dims[0], from = n ? start[0] : 0, by = n ? step[0] : 1, *out;
    if (size < 1 || by < 1 || !(out = hone__k_alloc(c, (size_t)size * sizeof *out))) return NULL;
    if (from < 0) from = from < -size ? 0 : from + size;
    int64_t to = !n || stop[0] > size ? size : stop[0] < 0 ? stop[0] + size : stop[0];
    int k = 0;
    for (int64_t i = from; i < to; i += by) out[k++] = t->ints[i];
    return out;
}

static bool is_ellipsis(const json_t *v)
{
    const char *name = hone__json_text(v, "class_name");
    return name && strcmp(name, "__ellipsis__") == 0;
}

hone_status hone__kop_get_item(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x|tensor", true);
    const json_t *key = call->args ? json_array_get(call->args, 1) : json_object_get(call->kwargs, "slice_spec");
    if (!t || !key) return c->b.status ? c->b.status : hone__k_refuse(c, "no index");
    if (json_is_object(key) && json_is_array(json_object_get(json_object_get(key, "config"), "value")))
        return hone__k_refuse(c, "an index that is an array");
    size_t count = json_is_array(key) ? json_array_size(key) : 1;
    int64_t starts[HONE_MAX_RANK], stops[HONE_MAX_RANK], steps[HONE_MAX_RANK], axes[HONE_MAX_RANK], drop[HONE_MAX_RANK],
        add[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    int n = 0, drops = 0, adds = 0, axis = 0, rank = 0, named = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *v = json_is_array(key) ? json_array_get(key, i) : key;
        named += !json_is_null(v) && !is_ellipsis(v);
    }
    if (named > t->rank || count > 16)
        return hone__k_shape_error(c, "an index of %d axes into shape %s", named, hone__k_dims(c, t));
    int form = t->form[K_MOVED] ? K_MOVED : K_PLAIN;
    for (size_t i = 0; i <= count && c->b.status == HONE_OK; i++) {
        const json_t *v = i == count ? NULL : json_is_array(key) ? json_array_get(key, i) : key;
        if (rank >= 8) return hone__k_refuse(c, "a result of rank above 8");
        if (i == count || is_ellipsis(v)) {
            int rest = i == count ? t->rank - axis : t->rank - named - axis;
            for (size_t k = 0; i != count && k < i; k++) { /* axes named before the ellipsis are already behind */
                const json_t *u = json_array_get(key, k);
                rest += !json_is_null(u) && !is_ellipsis(u);
            }
            for (int k = 0; k < rest && axis < t->rank && rank < 8; k++) dims[rank++] = t->dims[axis++];
        } else if (json_is_null(v)) {
            add[adds++] = rank;
            dims[rank++] = 1;
        } else if (axis >= t->rank)
            return hone__k_shape_error(c, "too many indices");
        else if (json_is_integer(v)) {
            int64_t k = json_integer_value(v), size = t->dims[axis];
            if (size >= 0 && (k < -size || k >= size))
                return hone__k_shape_error(c, "index %lld of an axis of %lld", (long long)k, (long long)size);
            starts[n] = k, stops[n] = k == -1 ? INT64_MAX : k + 1, steps[n] = 1, axes[n++] = axis;
            drop[drops++] = axis++;
        } else if (json_is_object(v) && !hone__kcall_ref(c, call, v)) {
            cut s;
            int64_t left;
            if (!read_slice(c, call, v, t->dims[axis], &s, &left)) return c->b.status;
            if (s.start != 0 || s.stop != INT64_MAX || s.step != 1)
                starts[n] = s.start, stops[n] = s.stop, steps[n] = s.step, axes[n++] = axis;
            axis++;
            dims[rank++] = left;
        } else
            return hone__k_refuse(c, "an index that is a tensor");
    }
    if (drops || adds) form = K_PLAIN;
    for (int i = 0; i < n; i++) axes[i] = hone__kt_axis(t, form, (int)axes[i]);
    hone__value *x = hone__kt_get(c, t, form);
    size_t m = (size_t)n;
    if (n)
        x = hone__emit(&c->b, "Slice", "slice",
                       HONE__INS(x, hone__k_ints(c, starts, m), hone__k_ints(c, stops, m), hone__k_ints(c, axes, m),
                                 hone__k_ints(c, steps, m)),
                       HONE__NO_ATTRS);
    if (drops) x = hone__k2(c, "Squeeze", x, hone__k_ints(c, drop, (size_t)drops));
    if (adds) x = hone__k2(c, "Unsqueeze", x, hone__k_ints(c, add, (size_t)adds));
    kt *y = hone__kt_new(c, form, x, t->dtype, rank, dims);
    if (y && t->ints && t->rank == 1 && !adds) y->ints = cut_ints(c, t, n, starts, stops, steps);
    return hone__k_return(c, call, y);
}
