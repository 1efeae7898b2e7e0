/* write_widen.c: weights of half precision that are float32 in the file that is written, and never in memory. */
#include "onnx.h"

static bool widens(const hone__use *u)
{
    const hone__node *n = u->node;
    return hone__node_is(n, "Cast") && hone__node_int(n, "to", 0) == HONE_F32 && !n->outputs[0]->output_count;
}

static bool is_half_weight(const hone__value *v)
{
    bool half = v->constant && (v->constant->dtype == HONE_F16 || v->constant->dtype == HONE_BF16);
    if (!half || v->output_count || !v->use_count) return false;
    for (size_t i = 0; i < v->use_count; i++)
        if (!widens(&v->uses[i])) return false;
    return true;
}

static hone__node *a_cast(const hone__value *v)
{
    for (size_t i = 0; i < v->use_count; i++)
        if (widens(&v->uses[i])) return v->uses[i].node;
    return NULL;
}

hone_status hone__onnx_widen(hone__model *m)
{
    for (hone__value *v = m->graph->values; v; v = v->next) {
        if (!is_half_weight(v)) continue;
        for (hone__node *cast; (cast = a_cast(v));) {
            HONE__TRY(hone__node_set_input(cast, 0, NULL));
            HONE__TRY(hone__value_replace_uses(cast->outputs[0], v));
            hone__node_remove(cast);
        }
        v->dtype = HONE_F32;
    }
    return HONE_OK;
}
