/* pass_widen.c: weights stored as float16 or bfloat16 behind a Cast become float32 once, when a session is made,
 * instead of at every run. The file stays small; the session holds the wide copy. */
#include "match.h"
#include "ops/eval.h"
#include "passes.h"

static hone_status widen(hone__node *cast, int *changed)
{
    const hone__tensor *in = hone__constant_input(cast, 0);
    hone__tensor out;
    if (!in || (in->dtype != HONE_F16 && in->dtype != HONE_BF16) || hone__node_int(cast, "to", 0) != HONE_F32)
        return HONE_OK;
    if (cast->outputs[0]->output_count) return HONE_OK;
    HONE__TRY(hone__node_eval(cast, hone__op_find("", "Cast"), &in, &out, HONE__ELEMENT_LIMIT));
    ++*changed;
    return hone__value_set_constant(cast->outputs[0], &out);
}

hone_status hone__pass_widen(hone__model *m, int *changed)
{
    for (hone__node *n = m->graph->first; n; n = n->next)
        if (hone__node_is(n, "Cast")) HONE__TRY(widen(n, changed));
    return HONE_OK;
}
