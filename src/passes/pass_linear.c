/* pass_linear.c: MatMul and Gemm with a constant matrix become hone:Linear, which reads half precision in place; over
 * DequantizeLinear (one scale per row of [N, K] int8 weights) and Transpose it becomes hone:DequantLinear, which reads
 * the int8 bytes in place. */
#include "match.h"
#include "passes.h"

static bool is_row_quantized(const hone__node *dq)
{
    if (!dq || !hone__node_is(dq, "DequantizeLinear") || hone__input(dq, 2)) return false;
    const hone__tensor *w = hone__constant_input(dq, 0), *s = hone__constant_input(dq, 1);
    int64_t axis = hone__node_int(dq, "axis", 1);
    return w && s && w->dtype == HONE_I8 && w->rank == 2 && s->dtype == HONE_F32 && s->rank == 1 &&
           s->dims[0] == w->dims[0] && (axis == 0 || axis == -2) && !hone__node_int(dq, "block_size", 0);
}

static bool swaps_two(const hone__node *t)
{
    size_t count;
    const int64_t *perm = hone__node_ints(t, "perm", &count);
    return !perm || (count == 2 && perm[0] == 1 && perm[1] == 0);
}

/* The stored matrix behind w, which may be cast from half precision, and transposed; NULL where it is none. */
static hone__value *stored(hone__value *w, bool *transposed)
{
    hone__node *t = w->producer;
    *transposed = t && hone__node_is(t, "Transpose") && swaps_two(t);
    if (*transposed) w = t->inputs[0];
    if (w->producer && hone__half_weights(w->producer)) w = w->producer->inputs[0];
    bool known = w->constant && w->constant->rank == 2;
    return known &&
                   (w->constant->dtype == HONE_F32 || w->constant->dtype == HONE_F16 || w->constant->dtype == HONE_BF16)
               ? w
               : NULL;
}

static bool is_half(hone_dtype d) { return d == HONE_F16 || d == HONE_BF16; }

static hone__value *cast(hone__node *before, hone__value *x, hone_dtype to)
{
    hone__node *n = hone__node_new(before->graph, before, "", "Cast", "", &x, 1, 1);
    return n && hone__node_set_int(n, "to", to) == HONE_OK ? n->outputs[0] : NULL;
}

static hone_status fuse(hone__node *mm, int *changed)
{
    hone__value *x = mm->inputs[0], *w = mm->inputs[1], *y;
    if (!x || !w || x->constant || x->shape.rank < 1 || (x->dtype != HONE_F32 && !is_half(x->dtype))) return HONE_OK;
    hone__node *n = NULL, *t = w->producer;
    bool transposed, half = is_half(x->dtype);
    hone__value *matrix = stored(w, &transposed);
    if (matrix && (!half || matrix->constant->dtype == x->dtype)) { /* half precision: sums are float32 all the same */
        if (half && !(x = cast(mm, x, HONE_F32))) return HONE_E_MEMORY;
        n = hone__node_new(mm->graph, mm, "hone", "Linear", mm->name, (hone__value *[]){x, matrix}, 2, 1);
        if (n && transposed) HONE__TRY(hone__node_set_int(n, "trans_b", 1));
    } else if (!half && t && hone__node_is(t, "Transpose") && swaps_two(t) &&
               is_row_quantized(t->inputs[0]->producer)) {
        hone__node *dq = t->inputs[0]->producer;
        n = hone__node_new(mm->graph, mm, "hone", "DequantLinear", mm->name,
                           (hone__value *[]){x, dq->inputs[0], dq->inputs[1]}, 3, 1);
    } else
        return HONE_OK;
    y = n ? n->outputs[0] : NULL;
    if (y && half) y = cast(mm, y, mm->outputs[0]->dtype);
    if (!y) return HONE_E_MEMORY;
    ++*changed;
    return hone__value_replace_uses(mm->outputs[0], y);
}

/* Gemm with a constant B, and nothing for C but a bias per column. */
static hone_status fuse_gemm(hone__node *n, int *changed)
{
    hone__value *x = n->inputs[0], *c = hone__input(n, 2);
    const hone__tensor *bias = c ? c->constant : NULL;
    bool transposed;
    hone__value *matrix = n->inputs[1] ? stored(n->inputs[1], &transposed) : NULL;
    if (!matrix || !x || x->dtype != HONE_F32 || x->shape.rank != 2 || hone__node_int(n, "transA", 0) ||
        hone__node_float(n, "alpha", 1) != 1 || (c && hone__node_float(n, "beta", 1) != 1))
        return HONE_OK;
    transposed ^= hone__node_int(n, "transB", 0) != 0;
    int64_t columns = matrix->constant->dims[!transposed];
    if (c && (!bias || bias->dtype != HONE_F32 || bias->rank > 2 || !bias->rank || (int64_t)bias->count != columns ||
              bias->dims[bias->rank - 1] != columns))
        return HONE_OK;
    hone__node *l =
        hone__node_new(n->graph, n, "hone", "Linear", n->name, (hone__value *[]){x, matrix, c}, c ? 3 : 2, 1);
    if (!l) return HONE_E_MEMORY;
    if (transposed) HONE__TRY(hone__node_set_int(l, "trans_b", 1));
    ++*changed;
    return hone__value_replace_uses(n->outputs[0], l->outputs[0]);
}

hone_status hone__pass_linear(hone__graph *g, int *changed)
{
    for (hone__node *n = g->first; n; n = n->next)
        if (hone__node_is(n, "MatMul"))
            HONE__TRY(fuse(n, changed));
        else if (hone__node_is(n, "Gemm"))
            HONE__TRY(fuse_gemm(n, changed));
    return HONE_OK;
}
