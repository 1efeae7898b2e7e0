/* pass_widen.c: weights stored as float16, bfloat16 or bytes behind a Cast or a DequantizeLinear. A table that is only
 * gathered from stays as it is, and the rows that were taken are widened. What else reads the node (products have taken
 * theirs before: pass_linear.c, pass_integer_linear.c, pass_static_conv.c) gets a float32 copy, made once, when a
 * session is made. */
#include "match.h"
#include "ops/eval.h"
#include "passes.h"

/* A Cast of half precision or a DequantizeLinear, of constants only; in[0] is what is stored. */
static bool widens(const hone__node *n, const hone__tensor **in)
{
    if (hone__node_is(n, "Cast")) return (in[0] = hone__half_weights(n)) != NULL;
    if (!hone__node_is(n, "DequantizeLinear") || n->input_count > 3) return false;
    for (int i = 0; i < n->input_count; i++) {
        in[i] = hone__constant_input(n, i);
        if (n->inputs[i] && !in[i]) return false;
    }
    return in[0] && in[1];
}

static hone_status widen(hone__node *n, int *changed)
{
    const hone__tensor *in[3] = {NULL, NULL, NULL};
    hone__tensor out;
    if (!widens(n, in) || !n->outputs[0]->use_count || n->outputs[0]->output_count) return HONE_OK;
    HONE__TRY(hone__node_eval(n, hone__op_find("", n->op), in, &out, HONE__ELEMENT_LIMIT));
    hone__tensor_idle(in[0]);
    ++*changed;
    return hone__value_set_constant(n->outputs[0], &out);
}

hone_status hone__pass_widen(hone__graph *g, int *changed)
{
    for (hone__node *n = g->first; n; n = n->next) HONE__TRY(widen(n, changed));
    return HONE_OK;
}

static hone_status narrow(hone__node *gather, int *changed)
{
    const hone__tensor *in[3] = {NULL, NULL, NULL};
    hone__node *wide = gather->inputs[0] ? gather->inputs[0]->producer : NULL;
    if (!wide || !widens(wide, in) || (in[1] && in[1]->count != 1) || hone__node_int(wide, "block_size", 0))
        return HONE_OK;
    hone__graph *g = gather->graph;
    hone__node *take = hone__node_new(g, gather, "", "Gather", gather->name,
                                      (hone__value *[]){wide->inputs[0], gather->inputs[1]}, 2, 1);
    if (!take) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_int(take, "axis", hone__node_int(gather, "axis", 0)));
    hone__value *from[3] = {take->outputs[0], hone__input(wide, 1), hone__input(wide, 2)};
    hone__node *after = hone__node_new(g, gather, "", wide->op, wide->name, from, wide->input_count, 1);
    if (!after) return HONE_E_MEMORY;
    for (int i = 0; i < wide->attr_count; i++) HONE__TRY(hone__node_set_attr(after, &wide->attrs[i]));
    ++*changed;
    return hone__value_replace_uses(gather->outputs[0], after->outputs[0]);
}

hone_status hone__pass_narrow_gather(hone__graph *g, int *changed)
{
    for (hone__node *n = g->first; n; n = n->next)
        if (hone__node_is(n, "Gather")) HONE__TRY(narrow(n, changed));
    return HONE_OK;
}
