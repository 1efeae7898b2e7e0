/* infer.c: shared pieces of shape inference. */
#include "infer.h"

#include <string.h>

hone_status hone__infer_arity(const hone__infer *x, int least, int most)
{
    if (x->input_count < least || x->input_count > most)
        return hone__fail(HONE_E_SHAPE, "has %d inputs, expected %d%s%d", x->input_count, least,
                          most == least ? " = " : " to ", most);
    for (int i = 0; i < least; i++)
        if (!x->node->inputs[i]) return hone__fail(HONE_E_SHAPE, "input %d is missing", i);
    return HONE_OK;
}

void hone__infer_same(hone__infer *x, int out, int in)
{
    if (out < x->output_count) x->out[out] = x->in[in];
}

void hone__infer_set(hone__infer *x, int out, hone_dtype dtype, int rank, const int64_t *dims)
{
    if (out >= x->output_count) return;
    x->out[out].dtype = dtype;
    x->out[out].shape.rank = rank;
    for (int i = 0; i < rank; i++) x->out[out].shape.dims[i] = dims[i];
}

hone_status hone__infer_rank(const hone__infer *x, int input, int rank)
{
    int r = x->in[input].shape.rank;
    if (r >= 0 && r != rank) return hone__fail(HONE_E_SHAPE, "input %d has rank %d, expected %d", input, r, rank);
    return HONE_OK;
}

hone_status hone__infer_equal_types(const hone__infer *x, int a, int b)
{
    hone_dtype p = x->in[a].dtype, q = x->in[b].dtype;
    if (p && q && p != q)
        return hone__fail(HONE_E_SHAPE, "inputs %d and %d have types %s and %s, expected equal ones", a, b,
                          hone_dtype_name(p), hone_dtype_name(q));
    return HONE_OK;
}

hone_status hone__infer_like_output(const hone__infer *x, int input)
{
    const hone__shape *y = &x->out[0].shape, *s = &x->in[input < x->input_count ? input : 0].shape;
    if (!hone__has_input(x, input) || s->rank < 0 || y->rank < 0) return HONE_OK;
    bool same = s->rank == y->rank;
    for (int i = 0; same && i < s->rank; i++) same = hone__dims_agree(s->dims[i], y->dims[i]);
    return same ? HONE_OK : hone__fail(HONE_E_SHAPE, "what is added has another shape: equally named sizes differ");
}

hone_status hone__infer_float(const hone__infer *x, int input)
{
    hone_dtype d = x->in[input].dtype;
    if (d && !hone__dtype_is_float(d))
        return hone__fail(HONE_E_SHAPE, "input %d is %s, expected a floating-point type", input, hone_dtype_name(d));
    return HONE_OK;
}

hone_status hone__broadcast(const hone__shape *a, const hone__shape *b, hone__shape *out)
{
    if (a->rank < 0 || b->rank < 0) {
        *out = (hone__shape){.rank = -1};
        return HONE_OK;
    }
    hone__shape r = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 0; i < r.rank; i++) {
        int pa = i - (r.rank - a->rank), pb = i - (r.rank - b->rank);
        int64_t da = pa < 0 ? 1 : a->dims[pa], db = pb < 0 ? 1 : b->dims[pb];
        if (da == 1)
            r.dims[i] = db;
        else if (db == 1 || da == db)
            r.dims[i] = da;
        else if (da < 0 && db < 0)
            r.dims[i] = -1;
        else if (da < 0)
            r.dims[i] = db;
        else if (db < 0)
            r.dims[i] = da;
        else {
            char ta[128], tb[128];
            return hone__fail(HONE_E_SHAPE, "shapes %s and %s do not broadcast",
                              hone__shape_text(a->rank, a->dims, ta, sizeof ta),
                              hone__shape_text(b->rank, b->dims, tb, sizeof tb));
        }
    }
    *out = r;
    return HONE_OK;
}

hone_status hone__axis(int64_t axis, int rank, int *out)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return hone__fail(HONE_E_SHAPE, "axis %lld is outside rank %d", (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return HONE_OK;
}

hone_status hone__infer_ints(const hone__infer *x, int i, int64_t *buffer, int room, int *count)
{
    *count = -1;
    if (!hone__has_input(x, i) || !x->value[i]) return HONE_OK;
    const hone__tensor *t = x->value[i];
    if (t->rank > 1 || t->count > (size_t)room)
        return hone__fail(HONE_E_SHAPE, "input %d holds %zu integers in rank %d, expected a list of at most %d", i,
                          t->count, t->rank, room);
    for (size_t k = 0; k < t->count; k++) buffer[k] = hone__tensor_i64(t, k);
    *count = (int)t->count;
    return HONE_OK;
}

hone_status hone__dim_mul(int64_t a, int64_t b, int64_t *out)
{
    if (a < 0 || b < 0) {
        *out = a == 0 || b == 0 ? 0 : a == 1 ? b : b == 1 ? a : -1;
        return HONE_OK;
    }
    if (!hone__mul_i64(a, b, out)) return hone__fail(HONE_E_LIMIT, "a dimension is over 2^63");
    return HONE_OK;
}

void hone__types_of(const hone__tensor *const *in, int count, hone__type *types)
{
    for (int i = 0; i < count; i++) {
        types[i] = (hone__type){.shape.rank = -1};
        if (!in[i]) continue;
        types[i].dtype = in[i]->dtype;
        types[i].shape.rank = in[i]->rank;
        memcpy(types[i].shape.dims, in[i]->dims, sizeof in[i]->dims);
    }
}
