/* op_nbits.c: com.microsoft MatMulNBits, and hone:DequantLinear, what the machine passes make of DequantizeLinear +
 * Transpose + MatMul over [N, K] weights: the same integers with one scale per row. */
#include <string.h>

#include "epilogue_attrs.h"
#include "kernels/nbits/nbits.h"
#include "widen.h"

enum { A = 0, B, SCALES, ZEROS, GROUPS, BIAS };

typedef struct dims {
    int64_t n, k, bits, block, blocks;
} dims;

static hone_status read_dims(const hone__node *n, dims *d)
{
    *d = (dims){.n = hone__node_int(n, "N", 0),
                .k = hone__node_int(n, "K", 0),
                .bits = hone__node_int(n, "bits", 4),
                .block = hone__node_int(n, "block_size", 32)};
    if (d->bits != 2 && d->bits != 4 && d->bits != 8)
        return hone__fail(HONE_E_UNSUPPORTED, "bits is %lld, expected 2, 4 or 8", (long long)d->bits);
    if (d->n < 1 || d->k < 1 || d->n > INT32_MAX || d->k > INT32_MAX)
        return hone__fail(HONE_E_SHAPE, "N is %lld and K is %lld", (long long)d->n, (long long)d->k);
    if (d->block < 16 || d->block > 1 << 20 || (d->block & (d->block - 1)))
        return hone__fail(HONE_E_SHAPE, "block_size is %lld, expected a power of two of at least 16",
                          (long long)d->block);
    d->blocks = (d->k + d->block - 1) / d->block;
    return HONE_OK;
}

static hone_status check_count(const hone__infer *x, int i, int64_t want, const char *what)
{
    int64_t have = 1;
    const hone__shape *s = &x->in[i].shape;
    if (!hone__has_input(x, i) || s->rank < 0) return HONE_OK;
    for (int k = 0; k < s->rank; k++) HONE__TRY(hone__dim_mul(have, s->dims[k], &have));
    if (have == want || have < 0) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "%s hold %lld values, expected %lld", what, (long long)have, (long long)want);
}

/* A, B, scales, zero_points?, g_idx?, bias? */
static hone_status infer_nbits(hone__infer *x)
{
    dims d;
    HONE__TRY(hone__infer_arity(x, 3, 6));
    HONE__TRY(read_dims(x->node, &d));
    x->out[0] = x->in[0];
    hone__shape *s = &x->out[0].shape;
    for (int i = 0; i < x->input_count; i++)
        if ((i == A || i == SCALES || i == BIAS) && hone__has_input(x, i)) HONE__TRY(hone__infer_float(x, i));
    HONE__TRY(check_count(x, 1, d.n * d.blocks * (d.block * d.bits / 8), "weights"));
    HONE__TRY(check_count(x, 2, d.n * d.blocks, "scales"));
    if (hone__has_input(x, 3) && x->in[3].dtype == HONE_U8)
        HONE__TRY(check_count(x, ZEROS, d.n * ((d.blocks * d.bits + 7) / 8), "zero points"));
    else if (hone__has_input(x, ZEROS)) {
        HONE__TRY(hone__infer_float(x, ZEROS));
        HONE__TRY(check_count(x, ZEROS, d.n * d.blocks, "zero points"));
    }
    if (hone__has_input(x, GROUPS)) {
        if (x->in[GROUPS].dtype && x->in[GROUPS].dtype != HONE_I32)
            return hone__fail(HONE_E_SHAPE, "g_idx is %s, expected int32", hone_dtype_name(x->in[GROUPS].dtype));
        HONE__TRY(check_count(x, GROUPS, d.k, "groups"));
    }
    HONE__TRY(check_count(x, 5, d.n, "bias"));
    if (x->in[1].dtype && x->in[1].dtype != HONE_U8) return hone__fail(HONE_E_SHAPE, "weights are not uint8");
    if (s->rank < 0) return HONE_OK;
    if (!s->rank || !hone__dims_agree(s->dims[s->rank - 1], d.k))
        return hone__fail(HONE_E_SHAPE, "the last axis of the input is not K = %lld", (long long)d.k);
    s->dims[s->rank - 1] = d.n;
    return HONE_OK;
}

typedef struct state {
    hone__nbits_args g;
    bool exact; /* fp32 activations */
} state;

static hone_status prepare_nbits(hone__prepare *p)
{
    dims d;
    state *s = hone__arena_zalloc(p->arena, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    HONE__TRY(read_dims(p->node, &d));
    const hone__tensor *zeros = p->input_count > ZEROS ? p->in[ZEROS] : NULL,
                       *groups = p->input_count > GROUPS ? p->in[GROUPS] : NULL;
    bool four = hone__node_int(p->node, "accuracy_level", 0) == 4;
    s->g = (hone__nbits_args){.m = p->in[0]->count / (size_t)d.k,
                              .n = (size_t)d.n,
                              .k = (size_t)d.k,
                              .bits = (int)d.bits,
                              .block = (size_t)d.block,
                              .x_rs = (size_t)d.k,
                              .y_rs = (size_t)d.n,
                              .ep = hone__epilogue_read(p->node)};
    s->exact = !four || d.bits == 2 || groups || (zeros && zeros->dtype != HONE_U8);
    if (p->out[0]->count && !s->exact) p->scratch = hone__nbits_scratch(&s->g, p->threads);
    p->state = s;
    return HONE_OK;
}

static hone_status run_nbits(hone__run *r)
{
    const state *s = r->state;
    const hone__tensor *zeros = r->input_count > ZEROS ? r->in[ZEROS] : NULL,
                       *groups = r->input_count > GROUPS ? r->in[GROUPS] : NULL;
    hone__nbits_args g = s->g;
    if (!r->out[0]->count) return HONE_OK;
    int64_t blocks = (int64_t)((g.k + g.block - 1) / g.block);
    g.w = r->in[B]->data;
    g.scales = r->in[SCALES]->data;
    if (zeros && zeros->dtype == HONE_U8)
        g.zero_points = zeros->data;
    else if (zeros)
        g.float_zeros = zeros->data;
    for (size_t i = 0; groups && i < groups->count; i++)
        if (hone__tensor_i64(groups, i) < 0 || hone__tensor_i64(groups, i) >= blocks)
            return hone__fail(HONE_E_ARGUMENT, "g_idx names block %lld of %lld", (long long)hone__tensor_i64(groups, i),
                              (long long)blocks);
    g.groups = groups ? groups->data : NULL;
    g.x = r->in[A]->data;
    g.y = hone__out_data(r, 0);
    g.ep.bias = r->input_count > BIAS && r->in[BIAS] ? r->in[BIAS]->data : NULL;
    if (s->exact)
        hone__nbits_float(&g, r->pool);
    else
        hone__nbits(&g, r->scratch, r->pool);
    return HONE_OK;
}
HONE__WIDENED_BUT(nbits, prepare_nbits, run_nbits, 1U << B | 1U << ZEROS | 1U << GROUPS)
const hone__op hone__op_matmul_nbits = {"com.microsoft",    "MatMulNBits",  infer_nbits,
                                        wide_prepare_nbits, wide_run_nbits, 0};

/* hone:DequantLinear: x [..., K], w int8 [N, K], scales [N], bias?, residual? */
static hone_status infer_dequant_linear(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 5));
    x->out[0] = x->in[0];
    if (x->in[0].shape.rank > 0 && x->in[1].shape.rank == 2) {
        int last = x->in[0].shape.rank - 1;
        if (!hone__dims_agree(x->in[0].shape.dims[last], x->in[1].shape.dims[1]))
            return hone__fail(HONE_E_SHAPE, "rows of %lld times a matrix of %lld rows",
                              (long long)x->in[0].shape.dims[last], (long long)x->in[1].shape.dims[1]);
        x->out[0].shape.dims[last] = x->in[1].shape.dims[0];
    }
    return hone__infer_like_output(x, 4);
}

static hone_status prepare_dequant_linear(hone__prepare *p)
{
    const hone__tensor *w = p->in[1];
    state *s = hone__arena_zalloc(p->arena, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    size_t n = (size_t)w->dims[0], k = (size_t)w->dims[1];
    s->g = (hone__nbits_args){.m = k ? p->in[0]->count / k : 0,
                              .n = n,
                              .k = k,
                              .bits = 8,
                              .w_signed = w->dtype == HONE_I8,
                              .x_rs = k,
                              .y_rs = n,
                              .ep = hone__epilogue_read(p->node)};
    p->scratch = p->out[0]->count ? hone__nbits_scratch(&s->g, p->threads) : 0;
    p->state = s;
    return HONE_OK;
}

static hone_status run_dequant_linear(hone__run *r)
{
    hone__nbits_args g = ((const state *)r->state)->g;
    if (!r->out[0]->count) return HONE_OK;
    g.w = r->in[1]->data;
    g.scales = r->in[2]->data;
    g.x = r->in[0]->data;
    g.y = hone__out_data(r, 0);
    g.ep.bias = r->input_count > 3 && r->in[3] ? r->in[3]->data : NULL;
    g.ep.residual = r->input_count > 4 && r->in[4] ? r->in[4]->data : NULL;
    hone__nbits(&g, r->scratch, r->pool);
    return HONE_OK;
}
const hone__op hone__op_hone_dequant_linear = {
    "hone", "DequantLinear", infer_dequant_linear, prepare_dequant_linear, run_dequant_linear, 0};
