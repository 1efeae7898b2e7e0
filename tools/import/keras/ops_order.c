/* ops_order.c: operations that sort, choose, shift and cut along an axis. */
#include <math.h>
#include <string.h>

#include "keras_ops.h"

static kt *first_input(kctx *c, klayer *l, kcall *call)
{
    return hone__kop_tensor(c, l, call, 0, "x|a|input|values|params|array", true);
}

/* int64, rank 1, one element: how long axis `axis` of `t` is */
static hone__value *length_of(kctx *c, kt *t, int axis)
{
    if (t->dims[axis] >= 0) return hone__k_int(c, t->dims[axis]);
    return hone__k_shape_of(c, hone__kt_plain(c, t), axis, axis + 1);
}

/* The k largest or smallest, in order; ties by place. out[1]: their places, int64. */
static void top(kctx *c, kt *t, int axis, hone__value *k, int64_t count, bool largest, kt **out)
{
    hone__value *v[2] = {NULL, NULL};
    int64_t dims[HONE_MAX_RANK];
    memcpy(dims, t->dims, sizeof dims);
    dims[axis] = count;
    hone__emit_multi(&c->b, "TopK", "top", HONE__INS(hone__kt_plain(c, t), k),
                     HONE__ATTRS(hone__a_int("axis", axis), hone__a_int("largest", largest), hone__a_int("sorted", 1)),
                     v, 2);
    out[0] = hone__kt_new(c, K_PLAIN, v[0], t->dtype, t->rank, dims);
    out[1] = hone__kt_new(c, K_PLAIN, v[1], HONE_I64, t->rank, dims);
}

hone_status hone__kop_top_k(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call), *out[2];
    double k = hone__kop_num(l, call, 1, "k", 1);
    if (!t) return c->b.status;
    if (t->rank < 1 || !(k >= 1 && k <= K_MAX_DIM))
        return hone__k_refuse(c, "the first %g of shape %s", k, hone__k_dims(c, t));
    int axis = t->rank - 1;
    if (t->dims[axis] >= 0 && k > (double)t->dims[axis])
        return hone__k_shape_error(c, "the first %g of %lld", k, (long long)t->dims[axis]);
    top(c, t, axis, hone__k_int(c, (int64_t)k), (int64_t)k, true, out);
    call->out[0] = out[0], call->out[1] = hone__kt_cast(c, out[1], HONE_I32);
    call->out_count = 2;
    return c->b.status;
}

/* variant 0: sort, 1: argsort */
hone_status hone__kop_sort(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call), *out[2];
    const char *direction = json_string_value(hone__kop_arg(l, call, -1, "direction"));
    if (!t) return c->b.status;
    if (json_is_null(json_object_get(l->config, "axis"))) t = hone__k_reshaped(c, t, 1, (int64_t[]){-1});
    if (!t || t->rank < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "a scalar input");
    int axis = hone__kop_axis(c, l, call, 1, "axis", -1, t->rank);
    hone_dtype dtype = t->dtype;
    if (dtype == HONE_BOOL) t = hone__kt_cast(c, t, HONE_I32);
    bool descending = direction && strcmp(direction, "DESCENDING") == 0;
    if (!t) return c->b.status;
    top(c, t, axis, length_of(c, t, axis), t->dims[axis], descending, out);
    return hone__k_return(c, call, hone__kt_cast(c, out[l->kind->variant], l->kind->variant ? HONE_I32 : dtype));
}

/* ---- median and quantiles, interpolated between the two neighbours ---- */

static kt *quantile(kctx *c, kt *sorted, int axis, double q)
{
    double at = q * (double)(sorted->dims[axis] - 1), low = floor(at), high = ceil(at), part = at - low;
    kt *ends[2];
    int64_t dims[HONE_MAX_RANK];
    memcpy(dims, sorted->dims, sizeof dims);
    dims[axis] = 1;
    for (int i = 0; i < 2; i++) {
        int64_t from = (int64_t)(i ? high : low);
        ends[i] = hone__kt_new(c, K_PLAIN, hone__k_slice(c, hone__kt_plain(c, sorted), axis, from, from + 1, 1),
                               HONE_F32, sorted->rank, dims);
    }
    if (part == 0) return ends[0];
    return hone__k_binary(c, "Add", hone__k_binary_num(c, "Mul", ends[0], 1 - part),
                          hone__k_binary_num(c, "Mul", ends[1], part));
}

/* The axes become one, at the end. */
static kt *joined_axes(kctx *c, kt *t, const int64_t *axes, int n)
{
    int64_t perm[HONE_MAX_RANK], dims[HONE_MAX_RANK], to[HONE_MAX_RANK], size = 1;
    int k = 0;
    bool gone[HONE_MAX_RANK] = {false};
    for (int i = 0; i < n; i++) gone[axes[i]] = true;
    for (int i = 0; i < t->rank; i++)
        if (!gone[i]) dims[k] = t->dims[i], perm[k++] = i;
    for (int i = 0; i < n; i++) perm[k + i] = axes[i];
    for (int i = 0; i < n; i++)
        if (size > 0 && (t->dims[axes[i]] < 1 || __builtin_mul_overflow(size, t->dims[axes[i]], &size))) size = -1;
    if (size < 1) {
        hone__k_refuse(c, "an order over axes of shape %s that are not all known", hone__k_dims(c, t));
        return NULL;
    }
    dims[k] = size;
    for (int i = 0; i <= k; i++) to[i] = i == k ? size : 0; /* 0: as it is, for the axes before keep their places */
    hone__value *x = hone__k_transpose(c, hone__kt_plain(c, t), t->rank, perm);
    return hone__kt_new(c, K_PLAIN, n == 1 ? x : hone__k_reshape(c, x, k + 1, to), t->dtype, k + 1, dims);
}

/* variant 1: median */
hone_status hone__kop_quantile(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, first_input(c, l, call), HONE_F32), *out[2];
    int64_t axes[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    if (!t) return c->b.status;
    int n = hone__kop_axes(c, l, call, -1, "axis", t->rank, axes), rank = 0;
    const char *method = json_string_value(hone__kop_arg(l, call, -1, "method"));
    const json_t *given = l->kind->variant ? NULL : hone__kop_arg(l, call, 1, "q");
    double q = l->kind->variant ? 0.5 : json_is_number(given) ? json_number_value(given) : NAN;
    if (n == 0 || !(q >= 0 && q <= 1)) return hone__k_refuse(c, "a quantile that is not a number from 0 to 1");
    if (method && strcmp(method, "linear") != 0) /* Keras 3.15 saves the method but runs such a model as linear */
        return hone__k_refuse(c, "quantiles by method '%s': only linear", method);
    kt *row = joined_axes(c, t, axes, n);
    if (!row) return c->b.status;
    int axis = row->rank - 1;
    bool keep = hone__kop_bool(l, call, -1, "keepdims", false);
    top(c, row, axis, length_of(c, row, axis), row->dims[axis], false, out);
    if (c->b.status != HONE_OK) return c->b.status;
    hone__value *x = hone__k_squeeze(c, hone__kt_plain(c, quantile(c, out[0], axis, q)), axis);
    if (keep) x = hone__k2(c, "Unsqueeze", x, hone__k_ints(c, axes, (size_t)n));
    for (int i = 0, k = 0; i < t->rank; i++) {
        bool gone = k < n && axes[k] == i;
        k += gone;
        if (!gone || keep) dims[rank++] = gone ? 1 : t->dims[i];
    }
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, HONE_F32, rank, dims));
}

/* ---- shifting ---- */

static hone__value *roll_axis(kctx *c, kt *t, hone__value *x, int axis, int64_t by)
{
    int64_t size = t->dims[axis];
    if (size > 0) {
        by = (by % size + size) % size;
        if (by == 0) return x;
        hone__value *parts[2] = {hone__k_slice(c, x, axis, size - by, INT64_MAX, 1),
                                 hone__k_slice(c, x, axis, 0, size - by, 1)};
        return hone__k_concat(c, parts, 2, axis);
    }
    hone__value *n = hone__k_squeeze(c, length_of(c, t, axis), 0), *one = hone__k_scalar(c, 1, HONE_I64);
    hone__value *places =
        hone__emit(&c->b, "Range", "range", HONE__INS(hone__k_scalar(c, 0, HONE_I64), n, one), HONE__NO_ATTRS);
    places = hone__k2(c, "Mod", hone__k2(c, "Sub", places, hone__k_scalar(c, (double)by, HONE_I64)), n);
    return hone__emit(&c->b, "Gather", "roll", HONE__INS(x, places), HONE__ATTRS(hone__a_int("axis", axis)));
}

hone_status hone__kop_roll(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call), *flat = t;
    double by[HONE_MAX_RANK], at[HONE_MAX_RANK];
    const json_t *axes = hone__kop_arg(l, call, 2, "axis");
    int n = hone__kop_list(hone__kop_arg(l, call, 1, "shift"), by, HONE_MAX_RANK),
        m = axes ? hone__kop_list(axes, at, HONE_MAX_RANK) : 1;
    if (!t) return c->b.status;
    if (n < 1 || m < 1 || (n != m && n != 1 && m != 1)) return hone__k_refuse(c, "shifts that are not numbers");
    if (!axes) flat = hone__k_reshaped(c, t, 1, (int64_t[]){-1}), at[0] = 0;
    if (!flat) return c->b.status;
    hone__value *x = hone__kt_plain(c, flat);
    for (int i = 0; i < n || i < m; i++)
        x = roll_axis(c, flat, x, hone__kaxis(c, (int64_t)at[m == 1 ? 0 : i], flat->rank), (int64_t)by[n == 1 ? 0 : i]);
    if (!axes) x = hone__k2(c, "Reshape", x, hone__k1(c, "Shape", hone__kt_plain(c, t)));
    return hone__k_return(c, call, hone__kt_like(c, t, K_PLAIN, x));
}

hone_status hone__kop_diff(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    double n = hone__kop_num(l, call, 1, "n", 1);
    if (!t || t->rank < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "a scalar input");
    int axis = hone__kop_axis(c, l, call, 2, "axis", -1, t->rank);
    if (!(n >= 0 && n <= 64) || t->dtype == HONE_BOOL) return hone__k_refuse(c, "differences of order %g", n);
    hone__value *x = hone__kt_plain(c, t);
    int64_t dims[HONE_MAX_RANK];
    memcpy(dims, t->dims, sizeof dims);
    for (int i = 0; i < (int)n; i++) {
        if (dims[axis] == 1) return hone__k_refuse(c, "differences of one element");
        x = hone__k2(c, "Sub", hone__k_slice(c, x, axis, 1, INT64_MAX, 1), hone__k_slice(c, x, axis, 0, -1, 1));
        dims[axis] -= dims[axis] > 0;
    }
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, t->rank, dims));
}

static hone__value *triangle(kctx *c, hone__value *x, double k, bool upper)
{
    return hone__emit(&c->b, "Trilu", "triangle", HONE__INS(x, hone__k_scalar(c, k, HONE_I64)),
                      HONE__ATTRS(hone__a_int("upper", upper)));
}

/* variant 0: tril, 1: triu, 2: tf.linalg.band_part */
hone_status hone__kop_triangle(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    if (!t) return c->b.status;
    double k = hone__kop_num(l, call, 1, "k", 0), lower = hone__kop_num(l, call, -1, "num_lower", -1),
           upper = hone__kop_num(l, call, -1, "num_upper", -1);
    if (t->rank < 2 || !(fabs(k) <= K_MAX_DIM && fabs(lower) <= K_MAX_DIM && fabs(upper) <= K_MAX_DIM))
        return hone__k_refuse(c, "a triangle of shape %s", hone__k_dims(c, t));
    hone__value *x = hone__kt_plain(c, t);
    if (l->kind->variant < 2)
        x = triangle(c, x, k, l->kind->variant);
    else {
        if (lower >= 0) x = triangle(c, x, -lower, true);
        if (upper >= 0) x = triangle(c, x, upper, false);
        if (lower < 0 && upper < 0) x = hone__k1(c, "Identity", x);
    }
    return hone__k_return(c, call, hone__kt_like(c, t, K_PLAIN, x));
}

/* ---- choosing ---- */

static kt *indices(kctx *c, kt *at) { return hone__kt_cast(c, at, at && at->dtype == HONE_I64 ? HONE_I64 : HONE_I32); }

/* Along `axis`, one row of `t` per row of `at`: the first `batch` axes are shared. */
static kt *gather_batches(kctx *c, kt *t, kt *at, int axis, int batch)
{
    int64_t dims[HONE_MAX_RANK];
    int rank = 0;
    if (axis != batch || at->rank < batch || t->rank <= batch || t->rank + at->rank - batch - 1 > 8) {
        hone__k_refuse(c, "a gather along axis %d of batches of %d axes", axis, batch);
        return NULL;
    }
    for (int i = 0; i < at->rank; i++) dims[rank++] = at->dims[i];
    for (int i = axis + 1; i < t->rank; i++) dims[rank++] = t->dims[i];
    hone__value *places = hone__k_unsqueeze(c, hone__kt_plain(c, hone__kt_cast(c, at, HONE_I64)), at->rank);
    hone__value *x = hone__emit(&c->b, "GatherND", "take", HONE__INS(hone__kt_plain(c, t), places),
                                HONE__ATTRS(hone__a_int("batch_dims", batch)));
    return hone__kt_new(c, K_PLAIN, x, t->dtype, rank, dims);
}

static kt *gather(kctx *c, kt *t, kt *at, int axis)
{
    int64_t dims[HONE_MAX_RANK];
    int rank = 0;
    if (t->rank + at->rank - 1 > 8) {
        hone__k_refuse(c, "a result of rank above 8");
        return NULL;
    }
    for (int i = 0; i < axis; i++) dims[rank++] = t->dims[i];
    for (int i = 0; i < at->rank; i++) dims[rank++] = at->dims[i];
    for (int i = axis + 1; i < t->rank; i++) dims[rank++] = t->dims[i];
    hone__value *x =
        hone__emit(&c->b, "Gather", "take", HONE__INS(hone__kt_plain(c, t), hone__kt_plain(c, indices(c, at))),
                   HONE__ATTRS(hone__a_int("axis", axis)));
    return hone__kt_new(c, K_PLAIN, x, t->dtype, rank, dims);
}

/* variant 0: take, tf.gather; 1: tf.nn.embedding_lookup */
hone_status hone__kop_take(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call), *at = hone__kop_tensor(c, l, call, 1, "indices|ids", true);
    const json_t *given = hone__kop_arg(l, call, 2, "axis");
    double batch = hone__kop_num(l, call, -1, "batch_dims", 0);
    if (!t || !at) return c->b.status;
    bool tf = c->keras_major < 3;
    if (!given && !tf) t = hone__k_reshaped(c, t, 1, (int64_t[]){-1}); /* keras.ops: of the flattened value */
    if (!t || t->rank < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "a scalar input");
    if (batch < 0 && batch >= -at->rank) batch += at->rank;
    if (!(batch >= 0 && batch < t->rank)) return hone__k_refuse(c, "%g batch axes", batch);
    int axis = hone__kjson_axis(c, given, (int)batch, t->rank);
    if (batch > 0) return hone__k_return(c, call, gather_batches(c, t, at, axis, (int)batch));
    return hone__k_return(c, call, gather(c, t, at, axis));
}

hone_status hone__kop_gather_nd(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call), *at = hone__kt_cast(c, hone__kop_tensor(c, l, call, 1, "indices", true), HONE_I64);
    double batch = hone__kop_num(l, call, -1, "batch_dims", 0);
    int64_t dims[HONE_MAX_RANK];
    int rank = 0;
    if (!t || !at) return c->b.status;
    int64_t depth = at->rank ? at->dims[at->rank - 1] : -1;
    if (!(batch >= 0 && batch < at->rank) || depth < 1 || depth + (int)batch > t->rank ||
        at->rank - 1 + t->rank - (int)batch - depth > 8)
        return hone__k_refuse(c, "indices of shape %s into shape %s", hone__k_dims(c, at), hone__k_dims(c, t));
    for (int i = 0; i < at->rank - 1; i++) dims[rank++] = at->dims[i];
    for (int i = (int)batch + (int)depth; i < t->rank; i++) dims[rank++] = t->dims[i];
    hone__value *x = hone__emit(&c->b, "GatherND", "take", HONE__INS(hone__kt_plain(c, t), hone__kt_plain(c, at)),
                                HONE__ATTRS(hone__a_int("batch_dims", (int64_t)batch)));
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, rank, dims));
}

/* `t` broadcast to the shape of `like` but for one axis. */
static kt *spread_beside(kctx *c, kt *t, kt *like, int axis)
{
    bool same = true;
    int64_t dims[HONE_MAX_RANK];
    for (int i = 0; i < t->rank; i++) {
        same = same && (i == axis || t->dims[i] == like->dims[i] || like->dims[i] == 1);
        dims[i] = i == axis || like->dims[i] == 1 ? t->dims[i] : like->dims[i];
    }
    if (same) return t;
    hone__value *shape = hone__k1(c, "Shape", hone__kt_plain(c, like)), *one = hone__k_int(c, 1),
                *parts[3] = {hone__k_slice(c, shape, 0, 0, axis, 1), one,
                             hone__k_slice(c, shape, 0, axis + 1, INT64_MAX, 1)};
    hone__value *x = hone__k2(c, "Expand", hone__kt_plain(c, t), hone__k_concat(c, parts, 3, 0));
    return hone__kt_new(c, K_PLAIN, x, t->dtype, t->rank, dims);
}

hone_status hone__kop_take_along(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call), *at = indices(c, hone__kop_tensor(c, l, call, 1, "indices", true));
    const json_t *given = hone__kop_arg(l, call, -1, "axis");
    if (!t || !at) return c->b.status;
    if (!given) t = hone__k_reshaped(c, t, 1, (int64_t[]){-1});
    if (!t || t->rank != at->rank || t->rank < 1)
        return c->b.status ? c->b.status : hone__k_refuse(c, "indices of another rank");
    int axis = hone__kjson_axis(c, given, 0, t->rank);
    t = spread_beside(c, t, at, axis);
    if (t) at = spread_beside(c, at, t, axis);
    if (!t || !at) return c->b.status;
    hone__value *x = hone__emit(&c->b, "GatherElements", "take", HONE__INS(hone__kt_plain(c, t), hone__kt_plain(c, at)),
                                HONE__ATTRS(hone__a_int("axis", axis)));
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, at->rank, at->dims));
}

/* How many bins (ascending numbers) are not above each element. */
hone_status hone__kop_digitize(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, first_input(c, l, call), HONE_F32),
       *bins = hone__kt_cast(c, hone__kop_tensor(c, l, call, 1, "bins", true), HONE_F32);
    if (!t || !bins) return c->b.status;
    if (bins->rank != 1 || t->rank >= 8) return hone__k_refuse(c, "bins of shape %s", hone__k_dims(c, bins));
    hone__value *above =
        hone__k2(c, "GreaterOrEqual", hone__k_unsqueeze(c, hone__kt_plain(c, t), t->rank), hone__kt_plain(c, bins));
    int64_t axes[1] = {t->rank};
    hone__value *n = hone__k_reduce(c, "ReduceSum", hone__k_cast(c, above, HONE_I32), axes, 1, false);
    kt *y = hone__kt_like(c, t, K_PLAIN, n);
    if (y) y->dtype = HONE_I32, y->mask = NULL;
    return hone__k_return(c, call, y);
}
