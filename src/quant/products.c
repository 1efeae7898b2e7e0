/* products.c: Gemm with constant weights as MatMul and Add, which the quantised forms replace. */
#include "weights.h"

static hone_status transposed(hone__graph *g, const hone__value *w, hone__value **out)
{
    const hone__tensor *t = w->constant;
    size_t rows = (size_t)t->dims[0], cols = (size_t)t->dims[1];
    float *to;
    *out = hone__new_f32(g, w->name, 2, (int64_t[]){t->dims[1], t->dims[0]}, &to);
    if (!*out) return HONE_E_MEMORY;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) to[c * rows + r] = ((const float *)t->data)[r * cols + c];
    return HONE_OK;
}

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
    if (t) HONE__TRY(transposed(g, w, &w));
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
