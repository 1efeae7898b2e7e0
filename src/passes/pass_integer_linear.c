/* pass_integer_linear.c: integer products and the scaling behind them become one hone:IntegerLinear with the same
 * integers inside: MatMulInteger -> Cast -> Mul by the product of scales (what dynamic quantisers write), and MatMul or
 * Gemm between DequantizeLinear of bytes and of a constant matrix (what static ones write). */
#include "match.h"
#include "passes.h"

enum { A, B, A_SCALE, B_SCALE, A_ZERO, B_ZERO, BIAS, INPUTS };

static bool is_single(const hone__value *v)
{
    int64_t count = 1;
    for (int i = 0; i < v->shape.rank; i++) count *= v->shape.dims[i] == 1 ? 1 : 0;
    return v->shape.rank >= 0 && count == 1;
}

/* One number, or one per column. */
static bool is_single_or(const hone__value *v, int64_t columns)
{
    return is_single(v) || (v->shape.rank == 1 && columns >= 0 && v->shape.dims[0] == columns);
}

static hone_status replace(hone__node *at, hone__value *y, hone__value **in, int count, int *changed)
{
    hone__node *n = hone__node_new(at->graph, at, "hone", "IntegerLinear", at->name, in, count, 1);
    if (!n) return HONE_E_MEMORY;
    ++*changed;
    return hone__value_replace_uses(y, n->outputs[0]);
}

static hone_status fuse_dynamic(hone__node *product, int *changed)
{
    const hone__shape *s = &product->outputs[0]->shape;
    hone__node *cast = hone__only_reader(product->outputs[0], "Cast");
    hone__node *mul = cast ? hone__only_reader(cast->outputs[0], "Mul") : NULL;
    if (!mul || hone__node_int(cast, "to", 0) != HONE_F32 || s->rank < 2) return HONE_OK;
    hone__node *scales = hone__other_input(mul, cast->outputs[0])->producer;
    if (!scales || !hone__node_is(scales, "Mul") || scales->graph != product->graph) return HONE_OK;
    int64_t columns = s->dims[s->rank - 1];
    hone__value *a_scale = scales->inputs[0], *b_scale = scales->inputs[1];
    if (!is_single(a_scale)) a_scale = scales->inputs[1], b_scale = scales->inputs[0];
    hone__value *a_zero = hone__input(product, 2), *b_zero = hone__input(product, 3);
    if (!is_single(a_scale) || !is_single_or(b_scale, columns) || a_scale->dtype != HONE_F32 ||
        b_scale->dtype != HONE_F32 || a_scale->shape.rank > s->rank || b_scale->shape.rank > s->rank)
        return HONE_OK;
    if (product->inputs[1]->shape.rank < 2 || (a_zero && !is_single(a_zero)) ||
        (b_zero && !is_single_or(b_zero, columns)))
        return HONE_OK;
    hone__value *in[INPUTS] = {product->inputs[0], product->inputs[1], a_scale, b_scale, a_zero, b_zero};
    return replace(mul, mul->outputs[0], in, b_zero ? B_ZERO + 1 : a_zero ? A_ZERO + 1 : B_SCALE + 1, changed);
}

/* DequantizeLinear of bytes with float32 scales. */
static hone__node *bytes_behind(const hone__value *v)
{
    hone__node *dq = v ? v->producer : NULL;
    if (!dq || !hone__node_is(dq, "DequantizeLinear") || hone__node_int(dq, "block_size", 0)) return NULL;
    hone_dtype d = dq->inputs[0]->dtype;
    return (d == HONE_U8 || d == HONE_I8) && dq->inputs[1]->dtype == HONE_F32 ? dq : NULL;
}

/* A constant matrix [K, N], or [N, K] to be turned, with one scale or one per column of the product. */
static hone__node *matrix_behind(const hone__value *v, bool turned)
{
    hone__node *dq = bytes_behind(v);
    const hone__tensor *w = dq ? hone__constant_input(dq, 0) : NULL;
    if (!w || w->rank != 2) return NULL;
    int64_t axis = hone__node_int(dq, "axis", 1), columns = w->dims[!turned];
    bool along = (axis < 0 ? axis + 2 : axis) == !turned;
    const hone__value *zero = hone__input(dq, 2);
    if (!is_single(dq->inputs[1]) && !(along && is_single_or(dq->inputs[1], columns))) return NULL;
    return !zero || is_single(zero) || (along && is_single_or(zero, columns)) ? dq : NULL;
}

/* [N, K] bytes as [K, N], tile by tile. */
static hone_status transposed(hone__value *w, hone__value **out)
{
    enum { TILE = 64 };
    int64_t n = w->constant->dims[0], k = w->constant->dims[1];
    hone__tensor t;
    HONE__TRY(hone__tensor_new(w->constant->dtype, 2, (int64_t[]){k, n}, &t));
    const uint8_t *from = w->constant->data;
    uint8_t *to = hone__tensor_write(&t);
    for (int64_t r0 = 0; r0 < n; r0 += TILE)
        for (int64_t c0 = 0; c0 < k; c0 += TILE)
            for (int64_t r = r0; r < n && r < r0 + TILE; r++)
                for (int64_t c = c0; c < k && c < c0 + TILE; c++) to[c * n + r] = from[r * k + c];
    hone__tensor_idle(w->constant);
    *out = hone__value_constant(w->graph, w->name, &t);
    return *out ? HONE_OK : HONE_E_MEMORY;
}

static hone_status fuse_static(hone__node *n, int *changed)
{
    bool gemm = hone__node_is(n, "Gemm"), turned = gemm && hone__node_int(n, "transB", 0);
    hone__node *x = bytes_behind(n->inputs[0]), *w = matrix_behind(n->inputs[1], turned);
    const hone__shape *s = &n->outputs[0]->shape;
    if (!x || !w || x->inputs[0]->constant || !is_single(x->inputs[1]) || s->rank < 2) return HONE_OK;
    if (hone__input(x, 2) && !is_single(x->inputs[2])) return HONE_OK;
    if (gemm && (hone__node_int(n, "transA", 0) || hone__node_float(n, "alpha", 1) != 1)) return HONE_OK;
    hone__value *bias = NULL;
    bool known = true;
    if (gemm && hone__input(n, 2)) {
        HONE__TRY(hone__float_constant(n, 2, &bias, &known));
        if (!known || hone__node_float(n, "beta", 1) != 1 || bias->constant->rank > 2 ||
            (int64_t)bias->constant->count != s->dims[s->rank - 1])
            return HONE_OK;
    }
    hone__value *in[INPUTS] = {x->inputs[0],      w->inputs[0],      x->inputs[1], w->inputs[1],
                               hone__input(x, 2), hone__input(w, 2), bias};
    if (turned) HONE__TRY(transposed(w->inputs[0], &in[B]));
    return replace(n, n->outputs[0], in, INPUTS, changed);
}

hone_status hone__pass_integer_linear(hone__graph *g, int *changed)
{
    for (hone__node *n = g->first; n; n = n->next)
        if (hone__node_is(n, "MatMulInteger"))
            HONE__TRY(fuse_dynamic(n, changed));
        else if (hone__node_is(n, "MatMul") || hone__node_is(n, "Gemm"))
            HONE__TRY(fuse_static(n, changed));
    return HONE_OK;
}
