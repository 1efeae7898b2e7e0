/* op_ms_bnb4.c: com.microsoft's MatMulBnb4: y = x . w^T with weights that name one of 16 values, times a scale per
 * block of the flat matrix (bitsandbytes: FP4, and the NormalFloat of Dettmers et al. 2023). The first of two weights
 * is in the high nibble. */
#include <string.h>

#include "kernels/gemm/gemm.h"
#include "widen.h"

/* FP4: sign, two bits of exponent, one of fraction, over 12. */
static const float fp4[8] = {0, 0.0625F / 12, 8.0F / 12, 1, 4.0F / 12, 6.0F / 12, 2.0F / 12, 3.0F / 12};
/* NF4: quantiles of the normal distribution, over the greatest. */
static const float nf4[16] = {-1,
                              -0.696192801F,
                              -0.525073051F,
                              -0.394917488F,
                              -0.284441382F,
                              -0.18477343F,
                              -0.0910500363F,
                              0,
                              0.0795802996F,
                              0.160930201F,
                              0.246112302F,
                              0.337915242F,
                              0.440709829F,
                              0.562617004F,
                              0.722956836F,
                              1};

typedef struct sizes {
    int64_t n, k, block, kind;
    bool turned; /* y = x . w */
} sizes;

static hone_status read_sizes(const hone__node *n, sizes *s)
{
    *s = (sizes){hone__node_int(n, "N", 0), hone__node_int(n, "K", 0), hone__node_int(n, "block_size", 0),
                 hone__node_int(n, "quant_type", -1), !hone__node_int(n, "transB", 1)};
    if (s->n < 1 || s->k < 1 || s->n > INT32_MAX || s->k > INT32_MAX)
        return hone__fail(HONE_E_SHAPE, "N is %lld, K %lld", (long long)s->n, (long long)s->k);
    if (s->block < 2 || s->block > INT32_MAX || s->block & (s->block - 1))
        return hone__fail(HONE_E_SHAPE, "block_size is %lld", (long long)s->block);
    if (s->kind != 0 && s->kind != 1) return hone__fail(HONE_E_UNSUPPORTED, "quant_type %lld", (long long)s->kind);
    return HONE_OK;
}

static hone_status infer_bnb4(hone__infer *x)
{
    sizes s;
    const hone__shape *a = &x->in[0].shape;
    HONE__TRY(hone__infer_arity(x, 3, 3));
    HONE__TRY(hone__infer_float(x, 0));
    HONE__TRY(hone__infer_float(x, 2));
    HONE__TRY(read_sizes(x->node, &s));
    if (x->in[1].dtype && x->in[1].dtype != HONE_U8)
        return hone__fail(HONE_E_SHAPE, "input 1 is %s", hone_dtype_name(x->in[1].dtype));
    hone__infer_same(x, 0, 0);
    if (a->rank < 0) return HONE_OK;
    if (a->rank < 1 || !hone__dims_agree(a->dims[a->rank - 1], s.turned ? s.n : s.k))
        return hone__fail(HONE_E_SHAPE, "the input's last axis does not fit the weights");
    x->out[0].shape.dims[a->rank - 1] = s.turned ? s.k : s.n;
    return HONE_OK;
}

static hone__gemm_f32_args product(const sizes *s, const hone__tensor *x)
{
    size_t n = (size_t)(s->turned ? s->k : s->n), k = (size_t)(s->turned ? s->n : s->k), row = (size_t)s->k;
    return (hone__gemm_f32_args){.m = x->count / k,
                                 .n = n,
                                 .k = k,
                                 .a_rs = k,
                                 .a_cs = 1,
                                 .b_rs = s->turned ? row : 1,
                                 .b_cs = s->turned ? 1 : row,
                                 .c_rs = n,
                                 .alpha = 1};
}

static hone_status prepare_bnb4(hone__prepare *p)
{
    sizes s;
    HONE__TRY(read_sizes(p->node, &s));
    hone__gemm_f32_args g = product(&s, p->in[0]);
    size_t weights = (size_t)s.n * (size_t)s.k, blocks = (weights + (size_t)s.block - 1) / (size_t)s.block;
    if (p->in[1]->count != (weights + 1) / 2 || p->in[2]->count != blocks)
        return hone__fail(HONE_E_SHAPE, "%zu bytes and %zu scales for %zu weights in blocks of %lld", p->in[1]->count,
                          p->in[2]->count, weights, (long long)s.block);
    p->scratch = weights * sizeof(float) / 64 * 64 + 64 + hone__gemm_f32_scratch(&g, p->threads);
    return HONE_OK;
}

static hone_status run_bnb4(hone__run *r)
{
    sizes s;
    HONE__TRY(read_sizes(r->node, &s));
    hone__gemm_f32_args g = product(&s, r->in[0]);
    size_t weights = (size_t)s.n * (size_t)s.k;
    const uint8_t *bytes = r->in[1]->data;
    const float *scales = r->in[2]->data;
    float *w = r->scratch;
    if (!r->out[0]->count) return HONE_OK;
    for (size_t i = 0; i < weights; i++) {
        unsigned v = i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4;
        float value = s.kind ? nf4[v] : v < 8 ? fp4[v] : -fp4[v - 8];
        w[i] = value * scales[i / (size_t)s.block];
    }
    g.a = r->in[0]->data;
    g.b = w;
    g.c = hone__out_data(r, 0);
    hone__gemm_f32(&g, (uint8_t *)r->scratch + weights * sizeof(float) / 64 * 64 + 64, r->pool);
    return HONE_OK;
}
HONE__WIDENED_BUT(bnb4, prepare_bnb4, run_bnb4, 1U << 1)
const hone__op hone__op_ms_matmul_bnb4 = {"com.microsoft",   "MatMulBnb4",  infer_bnb4,
                                          wide_prepare_bnb4, wide_run_bnb4, 0};
