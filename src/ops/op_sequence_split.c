/* op_sequence_split.c: SplitToSequence and ConcatFromSequence. */
#include <string.h>

#include "sequence.h"

static hone_status infer_split(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 2));
    HONE__TRY(hone__infer_tensor(x, 0));
    HONE__TRY(hone__infer_tensor(x, 1));
    x->out[0] = hone__sequence_type(x->in[0].dtype);
    return HONE_OK;
}

/* [outer, n, inner] with inner in bytes, seen along one axis */
typedef struct along {
    size_t outer, n, inner;
} along;

static hone_status see_along(const hone__tensor *t, int axis, along *out)
{
    size_t size = hone__dtype_size(t->dtype);
    if (!size) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(t->dtype));
    *out = (along){1, (size_t)t->dims[axis], size};
    for (int i = 0; i < axis; i++) out->outer *= (size_t)t->dims[i];
    for (int i = axis + 1; i < t->rank; i++) out->inner *= (size_t)t->dims[i];
    return HONE_OK;
}

/* Appends x[at : at + size] on the axis. */
static hone_status append_piece(hone__run *r, int axis, size_t at, size_t size, bool drop_axis)
{
    const hone__tensor *x = r->in[0];
    int64_t dims[HONE_MAX_RANK];
    int rank = x->rank;
    void *data;
    along a;
    HONE__TRY(see_along(x, axis, &a));
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = (int64_t)size;
    if (drop_axis) {
        memmove(dims + axis, dims + axis + 1, (size_t)(rank - 1 - axis) * sizeof *dims);
        rank--;
    }
    HONE__TRY(hone__run_append_new(r, 0, x->dtype, rank, dims, &data));
    size_t piece = size * a.inner;
    for (size_t o = 0; data && piece && o < a.outer; o++)
        memcpy((char *)data + o * piece, (const char *)x->data + (o * a.n + at) * a.inner, piece);
    return HONE_OK;
}

static hone_status run_split(hone__run *r)
{
    const hone__tensor *x = r->in[0], *sizes = r->input_count > 1 ? r->in[1] : NULL;
    int axis;
    size_t at = 0;
    HONE__TRY(hone__run_kind(r, 0, HONE_KIND_TENSOR));
    if (sizes) HONE__TRY(hone__run_kind(r, 1, HONE_KIND_TENSOR));
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", 0), x->rank, &axis));
    HONE__TRY(hone__run_output_sequence(r, 0, x->dtype));
    size_t n = (size_t)x->dims[axis];
    bool keep = sizes || hone__node_int(r->node, "keepdims", 1);
    if (sizes && sizes->rank > 1) return hone__fail(HONE_E_SHAPE, "the sizes have rank %d", sizes->rank);
    bool list = sizes && sizes->rank == 1;
    int64_t chunk = sizes && !list ? hone__tensor_i64(sizes, 0) : 1;
    if (chunk < 1) return hone__fail(HONE_E_SHAPE, "pieces of size %lld", (long long)chunk);
    for (size_t i = 0; list ? i < sizes->count : at < n; i++) {
        int64_t size = list ? hone__tensor_i64(sizes, i) : chunk;
        if (!list && (size_t)size > n - at) size = (int64_t)(n - at);
        if (size < 0 || (size_t)size > n - at)
            return hone__fail(HONE_E_SHAPE, "size %zu is %lld, %zu are left", i, (long long)size, n - at);
        HONE__TRY(append_piece(r, axis, at, (size_t)size, !keep));
        at += (size_t)size;
    }
    return at == n ? HONE_OK : hone__fail(HONE_E_SHAPE, "the sizes sum to %zu, the axis has %zu", at, n);
}
const hone__op hone__op_split_to_sequence = {"",   "SplitToSequence", infer_split,
                                             NULL, run_split,         HONE__OP_VALUES | HONE__OP_LATE};

static hone_status infer_concat(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_sequence(x, 0));
    const hone__attr *axis = hone__node_attr(x->node, "axis");
    if (!axis || axis->kind != HONE__ATTR_INT) return hone__fail(HONE_E_SHAPE, "attribute axis is missing");
    x->out[0].dtype = x->in[0].dtype;
    return HONE_OK;
}

/* The result's shape; with a new axis every element has the same shape and counts as one. */
static hone_status joined_shape(const hone__run *r, bool new_axis, int *rank, int64_t *dims, int *axis)
{
    const hone__tensor *items = hone__list_items(r->in[0]);
    size_t count = r->in[0]->count;
    if (!count) return hone__fail(HONE_E_SHAPE, "the sequence is empty");
    *rank = items[0].rank + new_axis;
    if (*rank > HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank over %d", HONE_MAX_RANK);
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", 0), *rank, axis));
    for (int a = 0; a < *rank; a++)
        if (a != *axis) dims[a] = items[0].dims[a - (new_axis && a > *axis)];
    dims[*axis] = new_axis ? (int64_t)count : 0;
    for (size_t i = 0; i < count; i++) {
        bool same = items[i].rank == items[0].rank;
        for (int a = 0; same && a < items[0].rank; a++)
            same = items[i].dims[a] == items[0].dims[a] || (!new_axis && a == *axis);
        if (!same) return hone__fail(HONE_E_SHAPE, "element %zu has another shape than the first", i);
        if (!new_axis && !hone__add_i64(dims[*axis], items[i].dims[*axis], &dims[*axis]))
            return hone__fail(HONE_E_LIMIT, "a dimension is over 2^63");
    }
    return HONE_OK;
}

static hone_status run_concat(hone__run *r)
{
    HONE__TRY(hone__run_kind(r, 0, HONE_KIND_SEQUENCE));
    bool new_axis = hone__node_int(r->node, "new_axis", 0) != 0;
    int rank = 0, axis = 0;
    int64_t dims[HONE_MAX_RANK] = {0};
    HONE__TRY(joined_shape(r, new_axis, &rank, dims, &axis));
    HONE__TRY(hone__run_output(r, 0, r->in[0]->dtype, rank, dims));
    const hone__tensor *items = hone__list_items(r->in[0]), *y = r->out[0];
    along a;
    HONE__TRY(see_along(y, axis, &a));
    size_t at = 0;
    for (size_t i = 0; y->bytes && i < r->in[0]->count; i++) {
        size_t part = new_axis ? a.inner : (size_t)items[i].dims[axis] * a.inner;
        for (size_t o = 0; part && o < a.outer; o++)
            memcpy((char *)hone__out_data(r, 0) + o * a.n * a.inner + at, (const char *)items[i].data + o * part, part);
        at += part;
    }
    return HONE_OK;
}
const hone__op hone__op_concat_from_sequence = {"",   "ConcatFromSequence", infer_concat,
                                                NULL, run_concat,           HONE__OP_VALUES | HONE__OP_LATE};
