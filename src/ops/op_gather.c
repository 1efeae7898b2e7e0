/* op_gather.c: Gather, GatherElements, GatherND. Indices are checked against the axis before anything is read. */
#include <string.h>

#include "infer.h"

static hone_status infer_gather(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    x->out[0].dtype = x->in[0].dtype;
    const hone__shape *s = &x->in[0].shape, *t = &x->in[1].shape;
    if (s->rank < 0 || t->rank < 0) return HONE_OK;
    int axis;
    HONE__TRY(hone__axis(hone__node_int(x->node, "axis", 0), s->rank, &axis));
    hone__shape out = {0};
    if (s->rank - 1 + t->rank > HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank over %d", HONE_MAX_RANK);
    for (int i = 0; i < axis; i++) out.dims[out.rank++] = s->dims[i];
    for (int i = 0; i < t->rank; i++) out.dims[out.rank++] = t->dims[i];
    for (int i = axis + 1; i < s->rank; i++) out.dims[out.rank++] = s->dims[i];
    x->out[0].shape = out;
    return HONE_OK;
}

static hone_status wrap_index(int64_t i, int64_t size, size_t *out)
{
    if (i < -size || i >= size)
        return hone__fail(HONE_E_ARGUMENT, "index %lld is outside an axis of size %lld", (long long)i, (long long)size);
    *out = (size_t)(i < 0 ? i + size : i);
    return HONE_OK;
}

static hone_status run_gather(hone__run *r)
{
    const hone__tensor *x = r->in[0], *t = r->in[1];
    size_t size = hone__dtype_size(x->dtype), outer = 1, inner = size, from = 0;
    int axis;
    if (!size) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->dtype));
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", 0), x->rank, &axis));
    for (int i = 0; i < axis; i++) outer *= (size_t)x->dims[i];
    for (int i = axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    char *y = hone__out_data(r, 0);
    for (size_t k = 0; k < t->count; k++) HONE__TRY(wrap_index(hone__tensor_i64(t, k), x->dims[axis], &from));
    if (!r->out[0]->count) return HONE_OK;
    for (size_t o = 0; o < outer; o++) {
        const char *base = (const char *)x->data + o * (size_t)x->dims[axis] * inner;
        for (size_t k = 0; k < t->count; k++, y += inner) {
            HONE__TRY(wrap_index(hone__tensor_i64(t, k), x->dims[axis], &from));
            memcpy(y, base + from * inner, inner);
        }
    }
    return HONE_OK;
}
const hone__op hone__op_gather = {"", "Gather", infer_gather, NULL, run_gather, HONE__OP_STRINGS};

static hone_status infer_gather_elements(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    x->out[0] = (hone__type){x->in[0].dtype, x->in[1].shape};
    if (hone__known_rank(x, 0) && hone__known_rank(x, 1)) HONE__TRY(hone__infer_rank(x, 1, x->in[0].shape.rank));
    return HONE_OK;
}
static hone_status run_gather_elements(hone__run *r)
{
    const hone__tensor *x = r->in[0], *t = r->in[1];
    size_t size = hone__dtype_size(x->dtype);
    int axis;
    if (!size) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->dtype));
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", 0), x->rank, &axis));
    for (int a = 0; a < x->rank; a++)
        if (a != axis && t->dims[a] > x->dims[a]) return hone__fail(HONE_E_SHAPE, "indices are longer on axis %d", a);
    int64_t at[HONE_MAX_RANK] = {0};
    char *y = hone__out_data(r, 0);
    for (size_t k = 0; k < t->count; k++, y += size) {
        size_t from = 0, i = 0;
        HONE__TRY(wrap_index(hone__tensor_i64(t, k), x->dims[axis], &i));
        for (int a = 0; a < x->rank; a++) from = from * (size_t)x->dims[a] + (a == axis ? i : (size_t)at[a]);
        memcpy(y, (const char *)x->data + from * size, size);
        for (int a = t->rank - 1; a >= 0 && ++at[a] == t->dims[a]; a--) at[a] = 0;
    }
    return HONE_OK;
}
const hone__op hone__op_gather_elements = {"",   "GatherElements",    infer_gather_elements,
                                           NULL, run_gather_elements, HONE__OP_STRINGS};

static hone_status infer_gather_nd(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    x->out[0].dtype = x->in[0].dtype;
    const hone__shape *s = &x->in[0].shape, *t = &x->in[1].shape;
    int64_t batch = hone__node_int(x->node, "batch_dims", 0);
    if (s->rank < 0 || t->rank < 1 || t->dims[t->rank - 1] < 0) return HONE_OK;
    int64_t depth = t->dims[t->rank - 1];
    if (batch < 0 || batch >= t->rank || depth < 1 || depth > s->rank - batch)
        return hone__fail(HONE_E_SHAPE, "indices of depth %lld with batch_dims %lld into rank %d", (long long)depth,
                          (long long)batch, s->rank);
    hone__shape out = {0};
    for (int i = 0; i < t->rank - 1; i++) out.dims[out.rank++] = t->dims[i];
    for (int64_t i = batch + depth; i < s->rank; i++) {
        if (out.rank == HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank over %d", HONE_MAX_RANK);
        out.dims[out.rank++] = s->dims[i];
    }
    x->out[0].shape = out;
    return HONE_OK;
}
static hone_status run_gather_nd(hone__run *r)
{
    const hone__tensor *x = r->in[0], *t = r->in[1];
    size_t size = hone__dtype_size(x->dtype), inner = size, batches = 1;
    int batch = (int)hone__node_int(r->node, "batch_dims", 0), depth = (int)t->dims[t->rank - 1];
    if (!size) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->dtype));
    for (int i = batch + depth; i < x->rank; i++) inner *= (size_t)x->dims[i];
    for (int i = 0; i < batch; i++) {
        if (x->dims[i] != t->dims[i]) return hone__fail(HONE_E_SHAPE, "batch axis %d differs", i);
        batches *= (size_t)t->dims[i];
    }
    size_t rows = depth ? t->count / (size_t)depth : 0, per = batches ? rows / batches : 0;
    char *y = hone__out_data(r, 0);
    for (size_t k = 0; k < rows; k++) {
        size_t from = per ? k / per : 0, i = 0;
        for (int a = 0; a < depth; a++) {
            HONE__TRY(wrap_index(hone__tensor_i64(t, k * (size_t)depth + (size_t)a), x->dims[batch + a], &i));
            from = from * (size_t)x->dims[batch + a] + i;
        }
        if (!inner) continue; /* of an empty slice only the indices are checked */
        memcpy(y, (const char *)x->data + from * inner, inner);
        y += inner;
    }
    return HONE_OK;
}
const hone__op hone__op_gather_nd = {"", "GatherND", infer_gather_nd, NULL, run_gather_nd, HONE__OP_STRINGS};
