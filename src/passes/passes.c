/* passes.c: runs the lists of passes.def. */
#include "passes.h"

#include "base/log.h"
#include "ops/eval.h"

enum { ROUNDS = 4 };

static hone_status each_graph(hone__graph *g, hone__pass *pass, int *changed)
{
    HONE__TRY(pass(g, changed));
    for (hone__node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->attr_count; i++)
            if (n->attrs[i].kind == HONE__ATTR_GRAPH) HONE__TRY(each_graph(n->attrs[i].g, pass, changed));
    return HONE_OK;
}

hone_status hone__passes_run(hone__model *m, const char *name, hone__pass *pass, int *changed)
{
    int before = *changed;
    HONE__TRY(hone__graph_infer(m->graph));
    HONE__TRY(each_graph(m->graph, pass, changed));
    if (*changed > before) hone__log(HONE_LOG_DEBUG, "pass %s: %d changes", name, *changed - before);
    hone__graph_sweep(m->graph);
    return HONE_OK;
}

hone_status hone__passes_portable(hone__model *m)
{
    for (int round = 0; round < ROUNDS; round++) {
        int changed = 0;
#define HONE_PORTABLE(name, what) HONE__TRY(hone__passes_run(m, #name, hone__pass_##name, &changed));
#define HONE_MACHINE(name, what)
#include "passes.def"
#undef HONE_PORTABLE
#undef HONE_MACHINE
        if (!changed) break;
    }
    return hone__graph_infer(m->graph);
}

hone_status hone__passes_machine(hone__model *m)
{
    HONE__TRY(hone__passes_portable(m));
    int changed = 0;
    (void)changed;
#define HONE_PORTABLE(name, what)
#define HONE_MACHINE(name, what) HONE__TRY(hone__passes_run(m, #name, hone__pass_##name, &changed));
#include "passes.def"
#undef HONE_PORTABLE
#undef HONE_MACHINE
    return hone__graph_infer(m->graph);
}
