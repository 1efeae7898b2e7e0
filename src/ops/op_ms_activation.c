/* op_ms_activation.c: com.microsoft's Gelu, BiasGelu, FastGelu, QuickGelu; float32, other floats through it. */
#include <string.h>

#include "kernels/vec/vec.h"
#include "widen.h"

static hone_status infer_activation(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 2));
    HONE__TRY(hone__infer_float(x, 0));
    hone__infer_same(x, 0, 0);
    if (hone__has_input(x, 1)) {
        HONE__TRY(hone__infer_equal_types(x, 0, 1));
        HONE__TRY(hone__infer_rank(x, 1, 1));
        const hone__shape *s = &x->in[0].shape, *b = &x->in[1].shape;
        if (s->rank > 0 && b->rank == 1 && !hone__dims_agree(s->dims[s->rank - 1], b->dims[0]))
            return hone__fail(HONE_E_SHAPE, "the bias does not fit the last axis");
    }
    return HONE_OK;
}

typedef struct job {
    hone__unary op;
    const float *x, *bias;
    float *y;
    size_t cols;
} job;

static void rows(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        const float *x = j->x + i * j->cols;
        float *y = j->y + i * j->cols;
        if (j->bias) {
            hone__vec_binary(HONE__ADD, x, 1, j->bias, 1, y, j->cols);
            x = y;
        }
        hone__vec_unary(j->op, x, y, j->cols, 0, 0);
    }
}

static hone_status apply(hone__run *r, hone__unary op)
{
    const hone__tensor *x = r->in[0];
    size_t cols = x->rank ? (size_t)x->dims[x->rank - 1] : 1;
    if (!x->count) return HONE_OK;
    job j = {op, x->data, r->input_count > 1 && r->in[1] ? r->in[1]->data : NULL, hone__out_data(r, 0), cols};
    hone__pool_run(r->pool, x->count / cols, 8192 / cols + 1, rows, &j);
    return HONE_OK;
}
static hone_status run_gelu(hone__run *r) { return apply(r, HONE__GELU); }
static hone_status run_fast_gelu(hone__run *r) { return apply(r, HONE__GELU_TANH); }

/* x * sigmoid(alpha * x) */
static hone_status run_quick_gelu(hone__run *r)
{
    const float *x = r->in[0]->data;
    float alpha = hone__node_float(r->node, "alpha", 1.702f), *y = hone__out_data(r, 0), part[256];
    size_t n = r->in[0]->count;
    for (size_t i = 0; i < n; i += 256) {
        size_t m = n - i < 256 ? n - i : 256;
        for (size_t k = 0; k < m; k++) part[k] = alpha * x[i + k];
        hone__vec_unary(HONE__SIGMOID, part, part, m, 0, 0);
        for (size_t k = 0; k < m; k++) y[i + k] = x[i + k] * part[k];
    }
    return HONE_OK;
}
HONE__WIDENED(gelu, NULL, run_gelu)
HONE__WIDENED(fast_gelu, NULL, run_fast_gelu)
HONE__WIDENED(quick_gelu, NULL, run_quick_gelu)
const hone__op hone__op_ms_gelu = {"com.microsoft",   "Gelu",        infer_activation,
                                   wide_prepare_gelu, wide_run_gelu, HONE__OP_INPLACE};
const hone__op hone__op_ms_bias_gelu = {"com.microsoft",   "BiasGelu",    infer_activation,
                                        wide_prepare_gelu, wide_run_gelu, HONE__OP_INPLACE};
const hone__op hone__op_ms_fast_gelu = {"com.microsoft",        "FastGelu",         infer_activation,
                                        wide_prepare_fast_gelu, wide_run_fast_gelu, HONE__OP_INPLACE};
const hone__op hone__op_ms_quick_gelu = {"com.microsoft",         "QuickGelu",         infer_activation,
                                         wide_prepare_quick_gelu, wide_run_quick_gelu, HONE__OP_INPLACE};
