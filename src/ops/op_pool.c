/* op_pool.c: MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool. */
#include <string.h>

#include "kernels/norm/norm.h"
#include "kernels/pool/pool.h"
#include "widen.h"
#include "window.h"

static hone_status infer_pool(hone__infer *x)
{
    int64_t kernel[HONE__WINDOW_MAX];
    hone__window w;
    HONE__TRY(hone__infer_arity(x, 1, 1));
    x->out[0].dtype = x->in[0].dtype;
    if (x->output_count > 1) x->out[1].dtype = HONE_I64;
    const hone__shape *s = &x->in[0].shape;
    if (s->rank < 0) return HONE_OK;
    if (s->rank < 3 || s->rank > 5) return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 3 to 5", s->rank);
    HONE__TRY(hone__window_kernel(x->node, s->rank - 2, kernel));
    HONE__TRY(hone__window_read(x->node, s, kernel, &w));
    x->out[0].shape = *s;
    for (int i = 0; i < w.rank; i++) x->out[0].shape.dims[i + 2] = w.out[i];
    if (x->output_count > 1) x->out[1].shape = x->out[0].shape;
    return HONE_OK;
}

static hone_status prepare_pool(hone__prepare *p)
{
    const hone__tensor *x = p->in[0];
    hone__shape s = {.rank = x->rank};
    hone__window w;
    int64_t kernel[HONE__WINDOW_MAX];
    hone__pool_shape *ps = hone__arena_zalloc(p->arena, sizeof *ps);
    if (!ps) return hone__out_of_memory(sizeof *ps);
    memcpy(s.dims, x->dims, sizeof s.dims);
    HONE__TRY(hone__window_kernel(p->node, s.rank - 2, kernel));
    HONE__TRY(hone__window_read(p->node, &s, kernel, &w));
    ps->planes = (size_t)x->dims[0] * (size_t)x->dims[1];
    ps->rank = w.rank;
    hone__window_copy(&w, x->dims + 2, ps->kernel, ps->stride, ps->dilation, ps->pad, ps->in, ps->out);
    for (int i = 0; i < w.rank; i++) ps->pad_end[i] = (size_t)w.end[i];
    p->state = ps;
    return HONE_OK;
}

static hone_status run_max_pool(hone__run *r)
{
    const hone__pool_shape *s = r->state;
    int64_t *indices = r->output_count > 1 && r->out[1] ? hone__out_data(r, 1) : NULL;
    if (!r->out[0]->count) return HONE_OK;
    switch (r->in[0]->dtype) {
    case HONE_F32:
        hone__max_pool_f32(s, r->in[0]->data, hone__out_data(r, 0), indices,
                           hone__node_int(r->node, "storage_order", 0) != 0, r->pool);
        return HONE_OK;
    case HONE_U8:
        if (indices) break;
        hone__max_pool_u8(s, r->in[0]->data, hone__out_data(r, 0), r->pool);
        return HONE_OK;
    case HONE_I8:
        if (indices) break;
        hone__max_pool_s8(s, r->in[0]->data, hone__out_data(r, 0), r->pool);
        return HONE_OK;
    default: break;
    }
    return hone__fail(HONE_E_UNSUPPORTED, "type %s%s", hone_dtype_name(r->in[0]->dtype),
                      indices ? " with indices" : "");
}
HONE__WIDENED_BUT(max_pool, prepare_pool, run_max_pool, 1U)
const hone__op hone__op_max_pool = {"", "MaxPool", infer_pool, wide_prepare_max_pool, wide_run_max_pool, 0};

static hone_status run_average_pool(hone__run *r)
{
    if (r->in[0]->dtype != HONE_F32) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(r->in[0]->dtype));
    if (r->out[0]->count)
        hone__average_pool_f32(r->state, r->in[0]->data, hone__out_data(r, 0),
                               hone__node_int(r->node, "count_include_pad", 0) != 0, r->pool);
    return HONE_OK;
}
HONE__WIDENED(average_pool, prepare_pool, run_average_pool)
const hone__op hone__op_average_pool = {"", "AveragePool", infer_pool, wide_prepare_average_pool, wide_run_average_pool,
                                        0};

static hone_status infer_global(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_float(x, 0));
    hone__infer_same(x, 0, 0);
    if (x->in[0].shape.rank >= 0 && x->in[0].shape.rank < 3)
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected at least 3", x->in[0].shape.rank);
    for (int i = 2; i < x->out[0].shape.rank; i++) x->out[0].shape.dims[i] = 1;
    return HONE_OK;
}

static hone_status global(hone__run *r, hone__reduce kind)
{
    const hone__tensor *x = r->in[0];
    size_t planes = r->out[0]->count;
    if (x->dtype != HONE_F32) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->dtype));
    if (planes) hone__reduce_f32(kind, x->data, hone__out_data(r, 0), planes, x->count / planes, 1, r->pool);
    return HONE_OK;
}
static hone_status run_global_average(hone__run *r) { return global(r, HONE__REDUCE_MEAN); }
static hone_status run_global_max(hone__run *r) { return global(r, HONE__REDUCE_MAX); }
HONE__WIDENED(global_average, NULL, run_global_average)
HONE__WIDENED(global_max, NULL, run_global_max)
const hone__op hone__op_global_average_pool = {
    "", "GlobalAveragePool", infer_global, wide_prepare_global_average, wide_run_global_average, 0};
const hone__op hone__op_global_max_pool = {
    "", "GlobalMaxPool", infer_global, wide_prepare_global_max, wide_run_global_max, 0};
