/* op_sequence.c: SequenceEmpty, SequenceConstruct, SequenceInsert, SequenceErase, SequenceAt, SequenceLength. Inserting
 * at the end shares everything with the sequence before. */
#include "sequence.h"

enum { FLAGS = HONE__OP_VALUES | HONE__OP_LATE };

static hone_status infer_empty(hone__infer *x)
{
    int64_t d = hone__node_int(x->node, "dtype", HONE_F32);
    HONE__TRY(hone__infer_arity(x, 0, 0));
    if (d < 1 || d >= HONE_DTYPE_COUNT) return hone__fail(HONE_E_SHAPE, "attribute dtype is %lld", (long long)d);
    x->out[0] = hone__sequence_type((hone_dtype)d);
    return HONE_OK;
}

static hone_status run_empty(hone__run *r)
{
    return hone__run_output_sequence(r, 0, (hone_dtype)hone__node_int(r->node, "dtype", HONE_F32));
}
const hone__op hone__op_sequence_empty = {"", "SequenceEmpty", infer_empty, NULL, run_empty, FLAGS};

static hone_status infer_construct(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1 << 20));
    for (int i = 0; i < x->input_count; i++) {
        if (!hone__has_input(x, i)) return hone__fail(HONE_E_SHAPE, "input %d is missing", i);
        HONE__TRY(hone__infer_tensor(x, i));
        HONE__TRY(hone__infer_equal_types(x, 0, i));
    }
    x->out[0] = hone__sequence_type(x->in[0].dtype);
    return HONE_OK;
}

static hone_status run_construct(hone__run *r)
{
    HONE__TRY(hone__run_output_sequence(r, 0, r->in[0]->dtype));
    for (int i = 0; i < r->input_count; i++) HONE__TRY(hone__run_append(r, 0, r->in[i]));
    return HONE_OK;
}
const hone__op hone__op_sequence_construct = {"", "SequenceConstruct", infer_construct, NULL, run_construct, FLAGS};

static hone_status infer_insert(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 3));
    HONE__TRY(hone__infer_sequence(x, 0));
    HONE__TRY(hone__infer_tensor(x, 1));
    HONE__TRY(hone__infer_tensor(x, 2));
    HONE__TRY(hone__infer_equal_types(x, 0, 1));
    x->out[0] = hone__sequence_type(x->in[0].dtype ? x->in[0].dtype : x->in[1].dtype);
    return HONE_OK;
}

/* Input i as a place in [-count, limit), counted from the end when negative; `otherwise` when it is not given. */
static hone_status place(const hone__run *r, int i, int64_t count, int64_t limit, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (i < r->input_count && r->in[i]) {
        HONE__TRY(hone__run_kind(r, i, HONE_KIND_TENSOR));
        if (r->in[i]->count != 1) return hone__fail(HONE_E_SHAPE, "the position has %zu values", r->in[i]->count);
        *out = hone__tensor_i64(r->in[i], 0);
    }
    if (*out < -count || *out >= limit)
        return hone__fail(HONE_E_ARGUMENT, "position %lld is outside a sequence of %lld", (long long)*out,
                          (long long)count);
    if (*out < 0) *out += count;
    return HONE_OK;
}

static hone_status append_range(hone__run *r, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) HONE__TRY(hone__run_append(r, 0, &hone__list_items(r->in[0])[i]));
    return HONE_OK;
}

static hone_status run_insert(hone__run *r)
{
    HONE__TRY(hone__run_kind(r, 0, HONE_KIND_SEQUENCE));
    int64_t count = (int64_t)r->in[0]->count, at;
    HONE__TRY(place(r, 2, count, count + 1, count, &at));
    if (r->in[1]->kind != HONE_KIND_TENSOR || (count && r->in[1]->dtype != r->in[0]->dtype))
        return hone__fail(HONE_E_SHAPE, "what is inserted is not like the elements");
    if (at == count) {
        HONE__TRY(hone__run_output_copy(r, 0, r->in[0]));
        return hone__run_append(r, 0, r->in[1]);
    }
    HONE__TRY(hone__run_output_sequence(r, 0, r->in[0]->dtype));
    HONE__TRY(append_range(r, 0, (size_t)at));
    HONE__TRY(hone__run_append(r, 0, r->in[1]));
    return append_range(r, (size_t)at, (size_t)count);
}
const hone__op hone__op_sequence_insert = {"", "SequenceInsert", infer_insert, NULL, run_insert, FLAGS};

static hone_status infer_erase(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 2));
    HONE__TRY(hone__infer_sequence(x, 0));
    HONE__TRY(hone__infer_tensor(x, 1));
    x->out[0] = hone__sequence_type(x->in[0].dtype);
    return HONE_OK;
}

static hone_status run_erase(hone__run *r)
{
    HONE__TRY(hone__run_kind(r, 0, HONE_KIND_SEQUENCE));
    int64_t count = (int64_t)r->in[0]->count, at;
    HONE__TRY(place(r, 1, count, count, count - 1, &at));
    if (at == count - 1) { /* the same list, seen without its last */
        HONE__TRY(hone__run_output_copy(r, 0, r->in[0]));
        r->out[0]->count--;
        return HONE_OK;
    }
    HONE__TRY(hone__run_output_sequence(r, 0, r->in[0]->dtype));
    HONE__TRY(append_range(r, 0, (size_t)at));
    return append_range(r, (size_t)at + 1, (size_t)count);
}
const hone__op hone__op_sequence_erase = {"", "SequenceErase", infer_erase, NULL, run_erase, FLAGS};

static hone_status infer_at(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_sequence(x, 0));
    HONE__TRY(hone__infer_tensor(x, 1));
    x->out[0].dtype = x->in[0].dtype;
    return HONE_OK;
}

static hone_status run_at(hone__run *r)
{
    HONE__TRY(hone__run_kind(r, 0, HONE_KIND_SEQUENCE));
    int64_t count = (int64_t)r->in[0]->count, at;
    HONE__TRY(place(r, 1, count, count, 0, &at));
    return hone__run_output_copy(r, 0, &hone__list_items(r->in[0])[at]);
}
const hone__op hone__op_sequence_at = {"", "SequenceAt", infer_at, NULL, run_at, FLAGS};

static hone_status infer_length(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_sequence(x, 0));
    hone__infer_set(x, 0, HONE_I64, 0, NULL);
    return HONE_OK;
}

static hone_status run_length(hone__run *r)
{
    HONE__TRY(hone__run_kind(r, 0, HONE_KIND_SEQUENCE));
    *(int64_t *)hone__out_data(r, 0) = (int64_t)r->in[0]->count;
    return HONE_OK;
}
const hone__op hone__op_sequence_length = {"", "SequenceLength", infer_length, NULL, run_length, HONE__OP_VALUES};
