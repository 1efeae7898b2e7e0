/* pass_linear.c: MatMul with a constant matrix becomes hone:Linear; over DequantizeLinear (one scale per row of [N, K]
 * int8 weights) and Transpose it becomes hone:DequantLinear, which reads the int8 bytes in place. */
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

static hone_status fuse(hone__node *mm, int *changed)
{
    hone__value *x = mm->inputs[0], *w = mm->inputs[1];
    hone__node *n = NULL, *t = w->producer;
    if (!x || !w || x->constant || x->dtype != HONE_F32 || x->shape.rank < 1) return HONE_OK;
    if (w->constant && w->constant->rank == 2 && w->constant->dtype == HONE_F32) {
        n = hone__node_new(mm->graph, mm, "hone", "Linear", mm->name, (hone__value *[]){x, w}, 2, 1);
    } else if (t && hone__node_is(t, "Transpose") && swaps_two(t) && is_row_quantized(t->inputs[0]->producer)) {
        hone__node *dq = t->inputs[0]->producer;
        n = hone__node_new(mm->graph, mm, "hone", "DequantLinear", mm->name,
                           (hone__value *[]){x, dq->inputs[0], dq->inputs[1]}, 3, 1);
    } else
        return HONE_OK;
    if (!n) return HONE_E_MEMORY;
    ++*changed;
    return hone__value_replace_uses(mm->outputs[0], n->outputs[0]);
}

hone_status hone__pass_linear(hone__model *m, int *changed)
{
    for (hone__node *n = m->graph->first; n; n = n->next)
        if (hone__node_is(n, "MatMul")) HONE__TRY(fuse(n, changed));
    return HONE_OK;
}
