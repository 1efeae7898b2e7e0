/* pass_fold.c: computes nodes on constants, drops nodes that do nothing at inference, and calls a Sum of two Add. */
#include <string.h>

#include "ops/eval.h"
#include "passes.h"

/* A fold may not make the file bigger by more than this over what it replaces. */
enum { GROWTH = 1 << 10, MAX_OUT = 16 };

static bool no_op(const hone__node *n)
{
    const hone__value *in = n->input_count ? n->inputs[0] : NULL;
    if (!in || !n->output_count || !n->outputs[0]) return false;
    for (int i = 1; i < n->output_count; i++)
        if (n->outputs[i] && !hone__value_unused(n->outputs[i])) return false;
    if (hone__node_is(n, "Identity")) return true;
    if (hone__node_is(n, "Dropout"))
        return n->input_count < 3 || !n->inputs[2] ||
               (n->inputs[2]->constant && !hone__element_i64(HONE_BOOL, n->inputs[2]->constant->data, 0));
    if (hone__node_is(n, "Cast")) return in->dtype && in->dtype == (hone_dtype)hone__node_int(n, "to", 0);
    if (hone__node_is(n, "Transpose")) {
        size_t count;
        const int64_t *perm = hone__node_ints(n, "perm", &count);
        for (size_t i = 0; i < count; i++)
            if (perm[i] != (int64_t)i) return false;
        return perm != NULL;
    }
    return false;
}

/* Names of graph inputs and outputs must both stay: such a no-op is kept. */
static bool removable(const hone__node *n)
{
    const hone__value *in = n->inputs[0], *out = n->outputs[0];
    if (!out->output_count) return true;
    return in->graph == out->graph && in->input_index < 0 && !in->constant && !in->output_count;
}

/* A matrix that products read where it lies, row for column: turning it would only copy it. */
static bool is_read_turned(const hone__node *n)
{
    const hone__value *y = n->outputs[0];
    bool products = hone__node_is(n, "Transpose") && n->inputs[0] && n->inputs[0]->constant &&
                    n->inputs[0]->constant->rank == 2 && y->use_count && !y->output_count;
    for (size_t i = 0; products && i < y->use_count; i++)
        products = hone__node_is(y->uses[i].node, "MatMul") && y->uses[i].input == 1;
    return products;
}

static bool foldable(const hone__node *n, const hone__op *op)
{
    if (op->flags & HONE__OP_SESSION || n->output_count > MAX_OUT || n->input_count > 64) return false;
    /* what was made small on purpose stays small */
    if (hone__node_is(n, "DequantizeLinear") || hone__node_is(n, "QuantizeLinear")) return false;
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && !n->inputs[i]->constant) return false;
    return n->output_count > 0 && n->outputs[0] && !is_read_turned(n);
}

/* Whether input i makes room for the result; one that is read twice counts once. In a file it does so only where nobody
 * but this node reads it. */
static bool is_replaced(const hone__node *n, int i, bool in_file)
{
    const hone__value *v = n->inputs[i];
    for (int k = 0; k < i; k++)
        if (n->inputs[k] == v) return false;
    for (size_t k = 0; k < v->use_count; k++)
        if (in_file && v->uses[k].node != n) return false;
    return !in_file || !v->output_count;
}

/* The same bytes in another shape stay where they are. */
static hone_status evaluate(const hone__node *n, const hone__op *op, const hone__tensor *const *in, hone__tensor *out)
{
    if (!(op->flags & HONE__OP_ALIAS) || !in[0]->blob || in[0]->dtype == HONE_STRING || n->output_count != 1)
        return hone__node_eval(n, op, in, out, HONE__ELEMENT_LIMIT);
    const hone__shape *s = &n->outputs[0]->shape;
    size_t offset = (size_t)((const uint8_t *)in[0]->data - in[0]->blob->data);
    return hone__tensor_view(in[0]->blob, offset, in[0]->dtype, s->rank, s->dims, out);
}

static hone_status fold(hone__node *n, const hone__op *op, bool in_file, int *changed)
{
    const hone__tensor *in[64];
    hone__tensor out[MAX_OUT];
    size_t in_bytes = 0;
    for (int i = 0; i < n->input_count; i++) {
        in[i] = n->inputs[i] ? n->inputs[i]->constant : NULL;
        if (in[i] && is_replaced(n, i, in_file)) in_bytes += in[i]->bytes;
    }
    for (int i = 0; i < n->output_count; i++) {
        const hone__value *v = n->outputs[i];
        size_t count, bytes;
        if (!v) continue;
        if (v->wrap || v->shape.rank < 0 || v->output_count) return HONE_OK;
        for (int k = 0; k < v->shape.rank; k++)
            if (v->shape.dims[k] < 0) return HONE_OK;
        HONE__TRY(hone__shape_bytes(v->dtype, v->shape.rank, v->shape.dims, &count, &bytes));
        if (bytes > in_bytes + GROWTH) return HONE_OK;
    }
    hone_status s = evaluate(n, op, in, out);
    if (s == HONE_E_MEMORY) return hone__node_at(s, n);
    if (s != HONE_OK) return HONE_OK; /* it is told when, and if, the node is run */
    for (int i = 0; i < n->output_count; i++) {
        hone__value *v = n->outputs[i];
        if (v && s == HONE_OK)
            s = hone__value_set_constant(v, &out[i]);
        else
            hone__tensor_release(&out[i]);
    }
    ++*changed;
    hone__node_remove(n);
    return s;
}

static hone_status visit(hone__graph *g, bool in_file, int *changed)
{
    for (hone__node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (hone__node_is(n, "Sum") && n->input_count == 2 && n->inputs[0] && n->inputs[1]) n->op = "Add";
        const hone__op *op = hone__op_find(n->domain, n->op);
        if (op && foldable(n, op))
            HONE__TRY(fold(n, op, in_file, changed));
        else if (no_op(n) && removable(n)) {
            HONE__TRY(hone__value_replace_uses(n->outputs[0], n->inputs[0]));
            hone__node_remove(n);
            ++*changed;
        }
    }
    return HONE_OK;
}

hone_status hone__pass_fold(hone__graph *g, int *changed) { return visit(g, true, changed); }

hone_status hone__pass_fold_shared(hone__graph *g, int *changed) { return visit(g, false, changed); }
