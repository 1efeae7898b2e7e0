/* products.c: Gemm with constant weights as Transpose, MatMul and Add, which the quantised forms replace. */
#include "weights.h"

/* C as a bias per column: a float32 constant of rank 1 with n numbers. */
static bool is_bias(const hone__value *c, int64_t n)
{
    const hone__tensor *t = c->constant;
    return t && t->dtype == HONE_F32 && t->rank == 1 && t->dims[0] == n;
}

hone_status hone__quant_split_gemm(hone__node *gemm, hone__node **matmul)
{
    hone__value *w = gemm->inputs[1], *c = hone__input(gemm, 2);
    bool t = hone__node_int(gemm, "transB", 0) != 0;
    *matmul = NULL;
    if (hone__node_int(gemm, "transA", 0) || hone__node_float(gemm, "alpha", 1) != 1 ||
        (c && (hone__node_float(gemm, "beta", 1) != 1 || !is_bias(c, w->constant->dims[!t]))))
        return HONE_OK;
    hone__graph *g = gemm->graph;
    if (t) {
        hone__node *turn = hone__node_new(g, gemm, "", "Transpose", "", &w, 1, 1);
        if (!turn) return HONE_E_MEMORY;
        HONE__TRY(hone__node_set_ints(turn, "perm", (int64_t[]){1, 0}, 2));
        w = turn->outputs[0];
        w->dtype = HONE_F32;
        w->shape = (hone__shape){2, {gemm->inputs[1]->shape.dims[1], gemm->inputs[1]->shape.dims[0]}};
    }
    hone__node *mm = hone__node_new(g, gemm, "", "MatMul", gemm->name, (hone__value *[]){gemm->inputs[0], w}, 2, 1);
    hone__node *add =
        mm && c ? hone__node_new(g, gemm, "", "Add", "", (hone__value *[]){mm->outputs[0], c}, 2, 1) : NULL;
    if (!mm || (c && !add)) return HONE_E_MEMORY;
    mm->outputs[0]->dtype = HONE_F32;
    mm->outputs[0]->shape = gemm->outputs[0]->shape;
    if (add) add->outputs[0]->dtype = HONE_F32, add->outputs[0]->shape = gemm->outputs[0]->shape;
    *matmul = mm;
    return hone__value_replace_uses(gemm->outputs[0], add ? add->outputs[0] : mm->outputs[0]);
}
