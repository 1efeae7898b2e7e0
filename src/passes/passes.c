/* passes.c: runs the lists of passes.def. */
#include "passes.h"

#include "base/log.h"
#include "ops/eval.h"

enum { ROUNDS = 4 };

static hone_status apply(hone__model *m, const char *name, hone_status (*pass)(hone__model *, int *), int *changed)
{
    int before = *changed;
    HONE__TRY(hone__graph_infer(m->graph));
    HONE__TRY(pass(m, changed));
    if (*changed > before) hone__log(HONE_LOG_DEBUG, "pass %s: %d changes", name, *changed - before);
    hone__graph_sweep(m->graph);
    return HONE_OK;
}

hone_status hone__passes_portable(hone__model *m)
{
    for (int round = 0; round < ROUNDS; round++) {
        int changed = 0;
#define HONE_PORTABLE(name, what) HONE__TRY(apply(m, #name, hone__pass_##name, &changed));
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
#define HONE_MACHINE(name, what) HONE__TRY(apply(m, #name, hone__pass_##name, &changed));
#include "passes.def"
#undef HONE_PORTABLE
#undef HONE_MACHINE
    return hone__graph_infer(m->graph);
}
