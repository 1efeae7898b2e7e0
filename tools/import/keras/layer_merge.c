/* layer_merge.c: layers that join several values, and broadcasting between layouts. */
#include <string.h>

#include "keras.h"

bool hone__k_broadcast(kctx *c, const kt *a, const kt *b, int *rank, int64_t *dims)
{
    *rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < *rank; i++) {
        int ia = i - (*rank - a->rank), ib = i - (*rank - b->rank);
        int64_t x = ia < 0 ? 1 : a->dims[ia], y = ib < 0 ? 1 : b->dims[ib];
        if (x != y && x > 1 && y > 1) {
            hone__k_shape_error(c, "inputs of shapes %s and %s do not fit each other", hone__k_dims(c, a),
                                hone__k_dims(c, b));
            return false;
        }
        dims[i] = x == 1 ? y : y == 1 ? x : x < 0 ? y : x;
    }
    return true;
}

static hone_dtype common_dtype(const kt *a, const kt *b)
{
    if (a->dtype == b->dtype) return a->dtype;
    if (a->number && !b->number && (b->dtype == HONE_F32 || a->dtype != HONE_F32) && b->dtype != HONE_BOOL)
        return b->dtype;
    if (b->number && !a->number && (a->dtype == HONE_F32 || b->dtype != HONE_F32) && a->dtype != HONE_BOOL)
        return a->dtype;
    if (a->dtype == HONE_F32 || b->dtype == HONE_F32) return HONE_F32;
    if (a->dtype == HONE_BOOL) return b->dtype;
    if (b->dtype == HONE_BOOL) return a->dtype;
    return hone__dtype_bits(a->dtype) >= 64 || hone__dtype_bits(b->dtype) >= 64 ? HONE_I64 : HONE_I32;
}

kt *hone__k_binary(kctx *c, const char *op, kt *a, kt *b)
{
    int rank, form = K_PLAIN;
    int64_t dims[HONE_MAX_RANK];
    if (!a || !b || c->b.status != HONE_OK || !hone__k_broadcast(c, a, b, &rank, dims)) return NULL;
    hone_dtype dtype = common_dtype(a, b);
    a = hone__kt_cast(c, a, dtype), b = hone__kt_cast(c, b, dtype);
    if (!a || !b) return NULL;
    const kt *like = a->rank ? a : b;
    if (a->rank == b->rank && a->rank >= 3 && (a->form[K_MOVED] || b->form[K_MOVED]))
        form = K_MOVED;
    else if (a->form[K_FLAT] && b->form[K_FLAT] && a->channels == b->channels && a->spatial == b->spatial)
        form = K_FLAT;
    else if (a->rank == 0 || b->rank == 0)
        form = hone__kt_best(like);
    hone__value *x = hone__kt_get(c, a, a->rank ? form : K_PLAIN), *y = hone__kt_get(c, b, b->rank ? form : K_PLAIN);
    kt *out = hone__kt_new(c, form, hone__k2(c, op, x, y), dtype, rank, dims);
    if (out) out->spatial = like->spatial, out->channels = like->channels;
    return out;
}

/* Keras's merge layers give a value of lower rank new axes after the batch. */
static kt *raise_rank(kctx *c, kt *t, int rank)
{
    int64_t dims[HONE_MAX_RANK], axes[HONE_MAX_RANK];
    int add = rank - t->rank;
    if (add <= 0 || t->rank == 0 || rank > HONE_MAX_RANK) return t;
    dims[0] = t->dims[0];
    for (int i = 1; i < rank; i++) dims[i] = i <= add ? 1 : t->dims[i - add];
    for (int i = 0; i < add; i++) axes[i] = i + 1;
    hone__value *x = hone__k2(c, "Unsqueeze", hone__kt_plain(c, t), hone__k_ints(c, axes, (size_t)add));
    return hone__kt_new(c, K_PLAIN, x, t->dtype, rank, dims);
}

static void merge_masks(kctx *c, kcall *call, kt *out)
{
    kt *mask = NULL;
    if (!out) return;
    for (int i = 0; i < call->in_count; i++) {
        kt *m = call->in[i]->mask;
        if (!m && c->keras_major >= 3) return;
        if (!m) continue;
        if (m->rank >= out->rank || (mask && mask->rank != m->rank)) return;
        mask = mask ? hone__k_binary(c, c->keras_major >= 3 ? "Or" : "And", mask, m) : m;
    }
    out->mask = mask;
}

enum { MERGE_ADD, MERGE_SUB, MERGE_MUL, MERGE_AVG, MERGE_MAX, MERGE_MIN };

static hone_status merge(kctx *c, kcall *call, int kind)
{
    static const char *const ops[] = {"Add", "Sub", "Mul", "Add", "Max", "Min"};
    int rank = 0;
    if (call->in_count < 1 || (kind == MERGE_SUB && call->in_count != 2))
        return hone__k_shape_error(c, "%d inputs", call->in_count);
    for (int i = 0; i < call->in_count; i++) rank = call->in[i]->rank > rank ? call->in[i]->rank : rank;
    kt *sum = raise_rank(c, call->in[0], rank);
    for (int i = 1; i < call->in_count; i++) sum = hone__k_binary(c, ops[kind], sum, raise_rank(c, call->in[i], rank));
    if (kind == MERGE_AVG && sum) {
        sum = hone__kt_cast(c, sum, HONE_F32);
        int form = hone__kt_best(sum);
        hone__value *part = hone__k_scalar(c, 1.0 / call->in_count, HONE_F32);
        sum = hone__kt_like(c, sum, form, hone__k2(c, "Mul", hone__kt_get(c, sum, form), part));
    }
    if (sum == call->in[0]) sum = hone__kt_like(c, sum, hone__kt_best(sum), hone__kt_get(c, sum, hone__kt_best(sum)));
    if (sum) sum->mask = NULL;
    merge_masks(c, call, sum);
    return hone__k_return(c, call, sum);
}

/* `t` where its mask says so, elsewhere `otherwise` or, without one, `value`. */
static kt *where_masked(kctx *c, kt *t, kt *mask, kt *otherwise, double value)
{
    if (!t || !mask || mask->rank != t->rank - 1) return t;
    hone__value *on = hone__k_unsqueeze(c, hone__kt_plain(c, mask), mask->rank), *x = hone__kt_plain(c, t),
                *other = otherwise ? hone__kt_plain(c, otherwise) : hone__k_scalar(c, value, t->dtype);
    return hone__kt_like(c, t, K_PLAIN, hone__emit(&c->b, "Where", "masked", HONE__INS(on, x, other), HONE__NO_ATTRS));
}

/* Keras 3's Maximum and Minimum: where one side is masked, the other one counts alone. */
static hone_status masked_extreme(kctx *c, kcall *call, const char *op)
{
    kt *y = call->in[0], *mask = y->mask;
    for (int i = 1; i < call->in_count && c->b.status == HONE_OK; i++) {
        kt *x = call->in[i], *m = x->mask;
        x = where_masked(c, x, m, y, 0);
        y = hone__k_binary(c, op, where_masked(c, y, mask, x, 0), x);
        mask = m && mask ? hone__k_binary(c, "Or", mask, m) : NULL;
    }
    if (c->b.status == HONE_OK) y->mask = mask;
    return hone__k_return(c, call, y);
}

hone_status hone__klayer_merge(kctx *c, klayer *l, kcall *call)
{
    int kind = l->kind->variant;
    bool masked = false;
    for (int i = 0; i < call->in_count; i++) {
        const kt *t = call->in[i];
        masked = masked || (t->mask && t->rank == call->in[0]->rank);
    }
    if (c->keras_major < 3 || !masked || call->in_count < 2) return merge(c, call, kind);
    if (kind == MERGE_MAX || kind == MERGE_MIN) return masked_extreme(c, call, kind == MERGE_MAX ? "Max" : "Min");
    for (int i = 0; kind == MERGE_MUL && i < call->in_count; i++) /* a masked step is no factor */
        if (!(call->in[i] = where_masked(c, call->in[i], call->in[i]->mask, NULL, 1))) return c->b.status;
    HONE__TRY(merge(c, call, kind));
    if (kind == MERGE_MUL) call->out[0] = where_masked(c, call->out[0], call->out[0]->mask, NULL, 0);
    return c->b.status;
}

static kt *ones_mask(kctx *c, kt *t)
{
    int64_t last = t->rank - 1;
    hone__value *shape = hone__k_shape_of(c, hone__kt_plain(c, t), 0, last);
    hone__value *one = hone__k_scalar(c, 1, HONE_BOOL);
    return hone__kt_new(c, K_PLAIN, hone__k2(c, "Expand", one, shape), HONE_BOOL, t->rank - 1, t->dims);
}

static void concat_masks(kctx *c, kcall *call, int axis, kt *out)
{
    bool any = false, every = true;
    for (int i = 0; i < call->in_count; i++) {
        any = any || call->in[i]->mask;
        every = every && call->in[i]->mask;
    }
    if (!any || !out || out->rank < 2 || axis == 0) return;
    if (axis == out->rank - 1) {
        kt *mask = NULL;
        if (!every && c->keras_major >= 3) { /* an unmasked part makes every step count */
            out->mask = ones_mask(c, out);
            return;
        }
        for (int i = 0; i < call->in_count; i++) {
            kt *m = call->in[i]->mask;
            if (m) mask = mask ? hone__k_binary(c, c->keras_major >= 3 ? "Or" : "And", mask, m) : m;
        }
        out->mask = mask;
        return;
    }
    hone__value **parts = hone__k_alloc(c, (size_t)call->in_count * sizeof *parts);
    if (!parts) return;
    for (int i = 0; i < call->in_count; i++) {
        kt *m = call->in[i]->mask ? call->in[i]->mask : ones_mask(c, call->in[i]);
        if (!m || m->rank != out->rank - 1) {
            hone__k_refuse(c, "masks of different ranks");
            return;
        }
        parts[i] = hone__kt_plain(c, m);
    }
    out->mask =
        hone__kt_new(c, K_PLAIN, hone__k_concat(c, parts, call->in_count, axis), HONE_BOOL, out->rank - 1, out->dims);
}

static hone_status concat(kctx *c, kcall *call, int64_t given)
{
    if (call->in_count < 1) return hone__k_shape_error(c, "no input");
    kt *first = call->in[0];
    int rank = first->rank, axis = hone__kaxis(c, given, rank), form = K_PLAIN;
    int64_t dims[HONE_MAX_RANK];
    hone_dtype dtype = first->dtype;
    hone__value **in = hone__k_alloc(c, (size_t)call->in_count * sizeof *in);
    if (!in) return c->b.status;
    memcpy(dims, first->dims, sizeof dims);
    for (int i = 0; i < call->in_count; i++) {
        const kt *t = call->in[i];
        if (t->rank != rank || rank == 0)
            return hone__k_shape_error(c, "inputs of shapes %s and %s do not fit each other", hone__k_dims(c, first),
                                       hone__k_dims(c, t));
        if (t->dtype != dtype) dtype = HONE_F32;
        if (t->form[K_MOVED]) form = K_MOVED;
        for (int d = 0; i && d < rank; d++) {
            if (d == axis)
                dims[d] = dims[d] < 0 || t->dims[d] < 0 ? -1 : dims[d] + t->dims[d];
            else if (dims[d] < 0)
                dims[d] = t->dims[d];
            else if (t->dims[d] >= 0 && t->dims[d] != dims[d])
                return hone__k_shape_error(c, "inputs of shapes %s and %s do not fit each other",
                                           hone__k_dims(c, first), hone__k_dims(c, t));
        }
    }
    for (int i = 0; i < call->in_count; i++) in[i] = hone__kt_get(c, hone__kt_cast(c, call->in[i], dtype), form);
    kt *out = hone__kt_new(c, form, NULL, dtype, rank, dims);
    if (!out) return c->b.status;
    out->form[rank < 3 ? K_PLAIN : form] =
        call->in_count == 1 ? in[0] : hone__k_concat(c, in, call->in_count, hone__kt_axis(out, form, axis));
    concat_masks(c, call, axis, out);
    return hone__k_return(c, call, out);
}

kt *hone__k_joined(kctx *c, kt **in, int n, int axis)
{
    kcall call = {.in = in, .in_count = n};
    return concat(c, &call, axis) == HONE_OK ? call.out[0] : NULL;
}

hone_status hone__klayer_concatenate(kctx *c, klayer *l, kcall *call)
{
    return concat(c, call, hone__kcfg_int(c, l, "axis", -1, -16, 16));
}

static kt *normalized(kctx *c, kt *t, int axis)
{
    int64_t axes[1] = {axis};
    hone__value *x = hone__kt_plain(c, t), *norm = hone__k_reduce(c, "ReduceL2", x, axes, 1, true);
    double epsilon = c->keras_major >= 3 ? 1e-12 : 1e-6; /* tf.nn.l2_normalize bounds the square */
    norm = hone__k2(c, "Max", norm, hone__k_scalar(c, epsilon, HONE_F32));
    return hone__kt_like(c, t, K_PLAIN, hone__k2(c, "Div", x, norm));
}

/* batch_dot: contracts axis a of x with axis b of y, batch by batch. x: [n, ..., k, ...], ranks 2 and 3. */
static hone_status dot(kctx *c, kcall *call, const json_t *axes, bool normalize)
{
    if (call->in_count != 2) return hone__k_shape_error(c, "%d inputs", call->in_count);
    kt *t[2] = {hone__kt_cast(c, call->in[0], HONE_F32), hone__kt_cast(c, call->in[1], HONE_F32)};
    hone__value *v[2];
    int a[2];
    int64_t dims[3] = {t[0]->dims[0], 1, 1};
    for (int i = 0; i < 2; i++) {
        const json_t *one = json_is_array(axes) && json_array_size(axes) == 2 ? json_array_get(axes, (size_t)i) : axes;
        a[i] = hone__kjson_axis(c, one, 1, t[i]->rank);
        if (t[i]->rank < 2 || t[i]->rank > 3 || a[i] == 0)
            return hone__k_refuse(c, "Dot over axis %d of shape %s", a[i], hone__k_dims(c, t[i]));
        if (normalize) t[i] = normalized(c, t[i], a[i]);
        v[i] = hone__kt_plain(c, t[i]);
    }
    int64_t k0 = t[0]->dims[a[0]], k1 = t[1]->dims[a[1]];
    if (k0 >= 0 && k1 >= 0 && k0 != k1)
        return hone__k_shape_error(c, "inputs of shapes %s and %s do not fit each other", hone__k_dims(c, t[0]),
                                   hone__k_dims(c, t[1]));
    bool row = t[0]->rank == 2, column = t[1]->rank == 2;
    if (row)
        v[0] = hone__k_unsqueeze(c, v[0], 1);
    else if (a[0] == 1)
        v[0] = hone__k_transpose(c, v[0], 3, (int64_t[]){0, 2, 1});
    if (column)
        v[1] = hone__k_unsqueeze(c, v[1], 2);
    else if (a[1] == 2)
        v[1] = hone__k_transpose(c, v[1], 3, (int64_t[]){0, 2, 1});
    hone__value *y = hone__k2(c, "MatMul", v[0], v[1]);
    int64_t m = row ? 1 : t[0]->dims[3 - a[0]], n = column ? 1 : t[1]->dims[3 - a[1]];
    int rank = 3;
    dims[1] = m, dims[2] = n;
    if (column)
        y = hone__k_squeeze(c, y, 2), rank = 2; /* [n, m] (and [n, 1] for two vectors) */
    else if (row)
        y = hone__k_squeeze(c, y, 1), dims[1] = n, rank = 2;
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, y, HONE_F32, rank, dims));
}

hone_status hone__klayer_dot(kctx *c, klayer *l, kcall *call)
{
    return dot(c, call, hone__kcfg(l, "axes"), hone__kcfg_bool(l, "normalize", false));
}

/* Keras 1: one layer for all. */
hone_status hone__klayer_old_merge(kctx *c, klayer *l, kcall *call)
{
    const char *mode = hone__kcfg_text(l, "mode", "sum");
    static const char *const names[] = {"sum", "sub", "mul", "ave", "max", "min"};
    for (int i = 0; i < 6; i++)
        if (strcmp(mode, names[i]) == 0) return merge(c, call, i);
    if (strcmp(mode, "concat") == 0) return concat(c, call, hone__kcfg_int(c, l, "concat_axis", -1, -16, 16));
    if (strcmp(mode, "dot") == 0 || strcmp(mode, "cos") == 0)
        return dot(c, call, hone__kcfg(l, "dot_axes"), mode[0] == 'c');
    return hone__k_refuse(c, "merge mode '%s'", mode);
}
