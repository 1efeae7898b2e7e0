/* pass_widen.c: weights stored as float16 or bfloat16 behind a Cast. A table that is only gathered from stays as it is,
 * and the rows that were taken are widened. What else reads the Cast (products have taken theirs before: pass_linear.c)
 * gets a float32 copy, made once, when a session is made. */
#include "match.h"
#include "ops/eval.h"
#include "passes.h"

static hone_status widen(hone__node *cast, int *changed)
{
    const hone__tensor *in = hone__half_weights(cast);
    hone__tensor out;
    if (!in || cast->outputs[0]->output_count || !cast->outputs[0]->use_count) return HONE_OK;
    HONE__TRY(hone__node_eval(cast, hone__op_find("", "Cast"), &in, &out, HONE__ELEMENT_LIMIT));
    hone__tensor_idle(in);
    ++*changed;
    return hone__value_set_constant(cast->outputs[0], &out);
}

hone_status hone__pass_widen(hone__model *m, int *changed)
{
    for (hone__node *n = m->graph->first; n; n = n->next)
        if (hone__node_is(n, "Cast")) HONE__TRY(widen(n, changed));
    return HONE_OK;
}

static hone_status narrow(hone__node *gather, int *changed)
{
    hone__node *cast = gather->inputs[0] ? gather->inputs[0]->producer : NULL;
    if (!cast || !hone__half_weights(cast)) return HONE_OK;
    hone__graph *g = gather->graph;
    hone__node *take = hone__node_new(g, gather, "", "Gather", gather->name,
                                      (hone__value *[]){cast->inputs[0], gather->inputs[1]}, 2, 1);
    if (!take) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_int(take, "axis", hone__node_int(gather, "axis", 0)));
    hone__node *wide = hone__node_new(g, gather, "", "Cast", cast->name, take->outputs, 1, 1);
    if (!wide) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_int(wide, "to", HONE_F32));
    ++*changed;
    return hone__value_replace_uses(gather->outputs[0], wide->outputs[0]);
}

hone_status hone__pass_narrow_gather(hone__model *m, int *changed)
{
    for (hone__node *n = m->graph->first; n; n = n->next)
        if (hone__node_is(n, "Gather")) HONE__TRY(narrow(n, changed));
    return HONE_OK;
}
