/* op_fill.c: operators that make values from nothing: Constant, ConstantOfShape, Range. */
#include <math.h>
#include <string.h>

#include "infer.h"

/* Constant nodes become constants when a file is read; this row serves those inside subgraph bodies made by hand. */
static hone_status infer_constant(hone__infer *x)
{
    const hone__attr *a = hone__node_attr(x->node, "value");
    if (!a || a->kind != HONE__ATTR_TENSOR) return hone__fail(HONE_E_UNSUPPORTED, "attribute 'value' is missing");
    hone__infer_set(x, 0, a->t->dtype, a->t->rank, a->t->dims);
    return HONE_OK;
}
static hone_status run_constant(hone__run *r)
{
    const hone__tensor *t = hone__node_attr(r->node, "value")->t;
    if (t->bytes) memcpy(hone__out_data(r, 0), t->data, t->bytes);
    return HONE_OK;
}
const hone__op hone__op_constant = {"", "Constant", infer_constant, NULL, run_constant, HONE__OP_STRINGS};

static hone_status infer_constant_of_shape(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    const hone__attr *a = hone__node_attr(x->node, "value");
    x->out[0].dtype = a && a->kind == HONE__ATTR_TENSOR ? a->t->dtype : HONE_F32;
    int64_t dims[HONE_MAX_RANK];
    int count;
    HONE__TRY(hone__infer_ints(x, 0, dims, HONE_MAX_RANK, &count));
    for (int i = 0; i < count; i++)
        if (dims[i] < 0) return hone__fail(HONE_E_SHAPE, "dimension %d is %lld", i, (long long)dims[i]);
    if (count >= 0) hone__infer_set(x, 0, x->out[0].dtype, count, dims);
    return HONE_OK;
}
static hone_status run_constant_of_shape(hone__run *r)
{
    const hone__attr *a = hone__node_attr(r->node, "value");
    const hone__tensor *y = r->out[0];
    char *p = hone__out_data(r, 0);
    size_t size = hone__dtype_size(y->dtype);
    if (!size) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(y->dtype));
    if (!a || a->kind != HONE__ATTR_TENSOR || a->t->count != 1)
        memset(p, 0, y->bytes);
    else
        for (size_t i = 0; i < y->count; i++) memcpy(p + i * size, a->t->data, size);
    return HONE_OK;
}
const hone__op hone__op_constant_of_shape = {"",   "ConstantOfShape",     infer_constant_of_shape,
                                             NULL, run_constant_of_shape, HONE__OP_STRINGS};

static hone_status range_count(const hone__tensor *const *v, int64_t *count)
{
    if (v[0]->count != 1 || v[1]->count != 1 || v[2]->count != 1)
        return hone__fail(HONE_E_SHAPE, "inputs must be scalars");
    if (hone__dtype_is_float(v[0]->dtype)) {
        double n = ceil((hone__tensor_f64(v[1], 0) - hone__tensor_f64(v[0], 0)) / hone__tensor_f64(v[2], 0));
        if (n != n || n > 1e15) return hone__fail(HONE_E_LIMIT, "the range has no finite length");
        *count = n > 0 ? (int64_t)n : 0;
        return HONE_OK;
    }
    int64_t a = hone__tensor_i64(v[0], 0), b = hone__tensor_i64(v[1], 0), d = hone__tensor_i64(v[2], 0), span;
    if (!d) return hone__fail(HONE_E_SHAPE, "delta is 0");
    if (!hone__sub_i64(b, a, &span) || d == INT64_MIN) return hone__fail(HONE_E_LIMIT, "the range is over 2^63 long");
    *count = (d > 0) == (span > 0) && span ? (d > 0 ? (span - 1) / d + 1 : (-(span + 1)) / -d + 1) : 0;
    return HONE_OK;
}
static hone_status infer_range(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 3));
    int64_t n = -1;
    if (x->value[0] && x->value[1] && x->value[2]) HONE__TRY(range_count(x->value, &n));
    hone__infer_set(x, 0, x->in[0].dtype, 1, &n);
    return HONE_OK;
}
static hone_status run_range(hone__run *r)
{
    hone__tensor *y = r->out[0];
    bool floats = hone__dtype_is_float(y->dtype);
    double f = hone__tensor_f64(r->in[0], 0), df = hone__tensor_f64(r->in[2], 0);
    int64_t v = hone__tensor_i64(r->in[0], 0), d = hone__tensor_i64(r->in[2], 0);
    for (size_t i = 0; i < y->count; i++) {
        if (floats)
            hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, f + (double)i * df);
        else
            hone__element_set_i64(y->dtype, hone__out_data(r, 0), i, (int64_t)((uint64_t)v + i * (uint64_t)d));
    }
    return HONE_OK;
}
const hone__op hone__op_range = {"", "Range", infer_range, NULL, run_range, 0};
