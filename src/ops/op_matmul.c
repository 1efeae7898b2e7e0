/* op_matmul.c: MatMul (with broadcast batches), Gemm, and their fused form of domain hone: Linear (x, w, bias?,
 * residual?; attribute trans_b: w is [N, K]; w may be in half precision). */
#include <string.h>

#include "broadcast.h"
#include "epilogue_attrs.h"
#include "kernels/gemm/gemm.h"
#include "widen.h"

/* NumPy's matmul: rank-1 operands get an axis that is dropped again. */
hone_status hone__matmul_infer(const hone__shape *a, const hone__shape *b, hone__shape *out)
{
    *out = (hone__shape){.rank = -1};
    if (a->rank < 0 || b->rank < 0) return HONE_OK;
    if (!a->rank || !b->rank) return hone__fail(HONE_E_SHAPE, "operands must have rank 1 or more");
    int64_t ka = a->dims[a->rank - 1], kb = b->dims[b->rank == 1 ? 0 : b->rank - 2];
    if (!hone__dims_agree(ka, kb))
        return hone__fail(HONE_E_SHAPE, "inner sizes differ: %lld and %lld", (long long)ka, (long long)kb);
    hone__shape pa = {.rank = a->rank > 2 ? a->rank - 2 : 0}, pb = {.rank = b->rank > 2 ? b->rank - 2 : 0};
    memcpy(pa.dims, a->dims, (size_t)pa.rank * sizeof *a->dims);
    memcpy(pb.dims, b->dims, (size_t)pb.rank * sizeof *b->dims);
    hone__shape o;
    HONE__TRY(hone__broadcast(&pa, &pb, &o));
    if (a->rank > 1) o.dims[o.rank++] = a->dims[a->rank - 2];
    if (b->rank > 1) o.dims[o.rank++] = b->dims[b->rank - 1];
    *out = o;
    return HONE_OK;
}

static hone_status infer_matmul(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_equal_types(x, 0, 1));
    x->out[0].dtype = x->in[0].dtype;
    return hone__matmul_infer(&x->in[0].shape, &x->in[1].shape, &x->out[0].shape);
}

/* One matrix of a possibly batched product. */
typedef struct plan {
    size_t m, n, k;
    hone__bcast batch; /* over matrices: in[0] a, in[1] b */
    bool one;          /* a is [rows, k] against a single b */
} plan;

static void make_plan(const hone__tensor *a, const hone__tensor *b, plan *p)
{
    p->m = a->rank > 1 ? (size_t)a->dims[a->rank - 2] : 1;
    p->k = (size_t)a->dims[a->rank - 1];
    p->n = b->rank > 1 ? (size_t)b->dims[b->rank - 1] : 1;
    p->one = b->rank <= 2 || (b->count == p->k * p->n && b->count);
    if (!p->one)
        hone__bcast_matrices(&p->batch, a, b);
    else if (p->k)
        p->m = a->count / p->k;
}

static hone__gemm_f32_args gemm_args(const plan *p)
{
    return (hone__gemm_f32_args){
        .m = p->m, .n = p->n, .k = p->k, .a_rs = p->k, .a_cs = 1, .b_rs = p->n, .b_cs = 1, .c_rs = p->n, .alpha = 1};
}

static hone_status prepare_matmul(hone__prepare *p)
{
    plan *s = hone__arena_zalloc(p->arena, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    make_plan(p->in[0], p->in[1], s);
    hone__gemm_f32_args g = gemm_args(s);
    p->scratch = p->in[0]->dtype == HONE_F32 && p->out[0]->count ? hone__gemm_f32_scratch(&g, p->threads) : 0;
    p->state = s;
    return HONE_OK;
}

typedef struct job {
    hone__gemm_f32_args g;
    const hone__tensor *a, *b, *y;
    void *scratch;
    hone__pool *pool;
} job;

/* Any other type: plain loops through double or int64. */
static void generic(const job *j, size_t a0, size_t b0, size_t y0)
{
    const hone__gemm_f32_args *g = &j->g;
    hone_dtype d = j->y->dtype;
    void *y = (void *)(uintptr_t)j->y->data;
    for (size_t m = 0; m < g->m; m++)
        for (size_t n = 0; n < g->n; n++) {
            double sum = 0;
            uint64_t whole = 0;
            for (size_t k = 0; k < g->k; k++) {
                size_t ia = a0 + m * g->k + k, ib = b0 + k * g->n + n;
                if (hone__dtype_is_int(d))
                    whole += (uint64_t)hone__tensor_i64(j->a, ia) * (uint64_t)hone__tensor_i64(j->b, ib);
                else
                    sum += hone__tensor_f64(j->a, ia) * hone__tensor_f64(j->b, ib);
            }
            size_t at = y0 + m * g->n + n;
            if (!hone__dtype_is_int(d))
                hone__element_set_f64(d, y, at, sum);
            else if (hone__dtype_bits(d) == 32)
                ((uint32_t *)y)[at] = (uint32_t)whole;
            else
                hone__element_set_i64(d, y, at, (int64_t)whole);
        }
}

static void matrices(void *ctx, size_t out, const size_t *at, const size_t *step, size_t count)
{
    job *j = ctx;
    size_t sa = j->g.m * j->g.k, sb = j->g.k * j->g.n, sc = j->g.m * j->g.n;
    for (size_t i = 0; i < count; i++) {
        size_t a = (at[0] + i * step[0]) * sa, b = (at[1] + i * step[1]) * sb, c = (out + i) * sc;
        if (j->y->dtype != HONE_F32) {
            generic(j, a, b, c);
            continue;
        }
        j->g.a = (const float *)j->a->data + a;
        j->g.b = (const float *)j->b->data + b;
        j->g.c = (float *)(uintptr_t)j->y->data + c;
        hone__gemm_f32(&j->g, j->scratch, j->pool);
    }
}

static hone_status run_matmul(hone__run *r)
{
    const plan *p = r->state;
    job j = {gemm_args(p), r->in[0], r->in[1], r->out[0], r->scratch, r->pool};
    size_t zero[2] = {0, 0};
    if (!r->out[0]->count) return HONE_OK;
    if (p->one)
        matrices(&j, 0, zero, zero, 1);
    else
        hone__bcast_run(&p->batch, NULL, matrices, &j); /* each product is parallel inside */
    return HONE_OK;
}

static bool is_half(hone_dtype d) { return d == HONE_F16 || d == HONE_BF16; }

/* Half precision is widened: its sums are float32. double and integers have loops of their own. */
static hone_status prepare_matmul_any(hone__prepare *p)
{
    return is_half(p->in[0]->dtype) ? hone__widen_prepare(p, prepare_matmul, 0) : prepare_matmul(p);
}

static hone_status run_matmul_any(hone__run *r)
{
    return is_half(r->in[0]->dtype) ? hone__widen_run(r, run_matmul) : run_matmul(r);
}
const hone__op hone__op_matmul = {"", "MatMul", infer_matmul, prepare_matmul_any, run_matmul_any, 0};

/* Gemm: alpha * A' * B' + beta * C */
static hone_status infer_gemm(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 3));
    for (int i = 1; i < x->input_count; i++) HONE__TRY(hone__infer_equal_types(x, 0, i));
    HONE__TRY(hone__infer_rank(x, 0, 2));
    HONE__TRY(hone__infer_rank(x, 1, 2));
    x->out[0].dtype = x->in[0].dtype;
    const hone__shape *a = &x->in[0].shape, *b = &x->in[1].shape;
    if (a->rank < 0 || b->rank < 0) return HONE_OK;
    int ta = hone__node_int(x->node, "transA", 0) != 0, tb = hone__node_int(x->node, "transB", 0) != 0;
    if (!hone__dims_agree(a->dims[!ta], b->dims[tb]))
        return hone__fail(HONE_E_SHAPE, "inner sizes differ: %lld and %lld", (long long)a->dims[!ta],
                          (long long)b->dims[tb]);
    hone__shape o = {.rank = 2, .dims = {a->dims[ta], b->dims[!tb]}}, with = o;
    if (hone__has_input(x, 2) && x->in[2].shape.rank >= 0) {
        HONE__TRY(hone__broadcast(&o, &x->in[2].shape, &with));
        for (int i = 0; i < 2; i++)
            if (with.rank != 2 || !hone__dims_agree(with.dims[i], o.dims[i]))
                return hone__fail(HONE_E_SHAPE, "C does not broadcast to the product");
    }
    x->out[0].shape = o;
    return HONE_OK;
}

static hone__gemm_f32_args gemm_node_args(const hone__node *n, const hone__tensor *a, const hone__tensor *b)
{
    bool ta = hone__node_int(n, "transA", 0) != 0, tb = hone__node_int(n, "transB", 0) != 0;
    size_t a0 = (size_t)a->dims[0], a1 = (size_t)a->dims[1], b0 = (size_t)b->dims[0], b1 = (size_t)b->dims[1];
    return (hone__gemm_f32_args){.m = ta ? a1 : a0,
                                 .k = ta ? a0 : a1,
                                 .n = tb ? b0 : b1,
                                 .a_rs = ta ? 1 : a1,
                                 .a_cs = ta ? a1 : 1,
                                 .b_rs = tb ? 1 : b1,
                                 .b_cs = tb ? b1 : 1,
                                 .c_rs = tb ? b0 : b1,
                                 .alpha = hone__node_float(n, "alpha", 1)};
}

static hone_status prepare_gemm(hone__prepare *p)
{
    hone__gemm_f32_args g = gemm_node_args(p->node, p->in[0], p->in[1]);
    p->scratch = p->in[0]->dtype == HONE_F32 && p->out[0]->count ? hone__gemm_f32_scratch(&g, p->threads) : 0;
    return HONE_OK;
}

static void gemm_generic(hone__run *r, const hone__gemm_f32_args *g)
{
    hone_dtype d = r->out[0]->dtype;
    for (size_t m = 0; m < g->m; m++)
        for (size_t n = 0; n < g->n; n++) {
            double sum = 0;
            for (size_t k = 0; k < g->k; k++)
                sum += hone__tensor_f64(r->in[0], m * g->a_rs + k * g->a_cs) *
                       hone__tensor_f64(r->in[1], k * g->b_rs + n * g->b_cs);
            hone__element_set_f64(d, hone__out_data(r, 0), m * g->n + n, sum * g->alpha);
        }
}

typedef struct add_job {
    const hone__tensor *c, *y;
    float beta;
} add_job;

static void add_c(void *ctx, size_t out, const size_t *at, const size_t *step, size_t n)
{
    const add_job *j = ctx;
    hone_dtype d = j->y->dtype;
    void *y = (void *)(uintptr_t)j->y->data;
    for (size_t i = 0; i < n; i++) {
        if (d == HONE_F32)
            ((float *)y)[out + i] += j->beta * ((const float *)j->c->data)[at[0] + i * step[0]];
        else
            hone__element_set_f64(d, y, out + i,
                                  hone__element_f64(d, y, out + i) +
                                      j->beta * hone__tensor_f64(j->c, at[0] + i * step[0]));
    }
}

static hone_status run_gemm(hone__run *r)
{
    hone__gemm_f32_args g = gemm_node_args(r->node, r->in[0], r->in[1]);
    const hone__tensor *c = r->input_count > 2 ? r->in[2] : NULL;
    float beta = hone__node_float(r->node, "beta", 1);
    if (!r->out[0]->count) return HONE_OK;
    bool row_bias = c && beta == 1 && c->count == g.n && (c->rank == 1 || (c->rank == 2 && c->dims[0] == 1));
    if (r->out[0]->dtype == HONE_F32) {
        g.a = r->in[0]->data;
        g.b = r->in[1]->data;
        g.c = hone__out_data(r, 0);
        if (row_bias) g.ep.bias = c->data;
        hone__gemm_f32(&g, r->scratch, r->pool);
        if (row_bias) return HONE_OK;
    } else
        gemm_generic(r, &g);
    if (!c || beta == 0) return HONE_OK;
    add_job j = {c, r->out[0], beta};
    hone__bcast w;
    hone__bcast_init(&w, r->out[0], &c, 1);
    hone__bcast_run(&w, r->pool, add_c, &j);
    return HONE_OK;
}

static hone_status prepare_gemm_any(hone__prepare *p)
{
    return is_half(p->in[0]->dtype) ? hone__widen_prepare(p, prepare_gemm, 0) : prepare_gemm(p);
}

static hone_status run_gemm_any(hone__run *r)
{
    return is_half(r->in[0]->dtype) ? hone__widen_run(r, run_gemm) : run_gemm(r);
}
const hone__op hone__op_gemm = {"", "Gemm", infer_gemm, prepare_gemm_any, run_gemm_any, 0};

/* hone:Linear. x: [..., K] float32, w: [K, N] or [N, K] float32, float16 or bfloat16 */
static hone_status infer_linear(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 4));
    x->out[0] = x->in[0];
    int tb = hone__node_int(x->node, "trans_b", 0) != 0;
    if (x->in[0].shape.rank > 0 && x->in[1].shape.rank == 2) {
        int last = x->in[0].shape.rank - 1;
        if (!hone__dims_agree(x->in[0].shape.dims[last], x->in[1].shape.dims[tb]))
            return hone__fail(HONE_E_SHAPE, "rows of %lld times a matrix of %lld rows",
                              (long long)x->in[0].shape.dims[last], (long long)x->in[1].shape.dims[tb]);
        x->out[0].shape.dims[last] = x->in[1].shape.dims[!tb];
    }
    return hone__infer_like_output(x, 3);
}

static hone_status prepare_linear(hone__prepare *p)
{
    const hone__tensor *x = p->in[0], *w = p->in[1];
    hone__gemm_f32_args *g = hone__arena_zalloc(p->arena, sizeof *g);
    if (!g) return hone__out_of_memory(sizeof *g);
    bool tb = hone__node_int(p->node, "trans_b", 0) != 0;
    size_t k = (size_t)w->dims[tb], n = (size_t)w->dims[!tb];
    *g = (hone__gemm_f32_args){.m = k ? x->count / k : 0,
                               .k = k,
                               .n = n,
                               .a_rs = k,
                               .a_cs = 1,
                               .b_rs = tb ? 1 : n,
                               .b_cs = tb ? k : 1,
                               .b16 = w->dtype == HONE_F32 ? NULL : w->data,
                               .b_bf16 = w->dtype == HONE_BF16,
                               .c_rs = n,
                               .alpha = 1,
                               .ep = hone__epilogue_read(p->node)};
    p->state = g;
    p->scratch = p->out[0]->count ? hone__gemm_f32_scratch(g, p->threads) : 0;
    return HONE_OK;
}

static hone_status run_linear(hone__run *r)
{
    hone__gemm_f32_args g = *(const hone__gemm_f32_args *)r->state;
    if (!r->out[0]->count) return HONE_OK;
    g.a = r->in[0]->data;
    if (r->in[1]->dtype == HONE_F32)
        g.b = r->in[1]->data;
    else
        g.b16 = r->in[1]->data;
    g.c = hone__out_data(r, 0);
    g.ep.bias = r->input_count > 2 && r->in[2] ? r->in[2]->data : NULL;
    g.ep.residual = r->input_count > 3 && r->in[3] ? r->in[3]->data : NULL;
    hone__gemm_f32(&g, r->scratch, r->pool);
    return HONE_OK;
}
const hone__op hone__op_hone_linear = {"hone", "Linear", infer_linear, prepare_linear, run_linear, 0};
