/* passes.h: the two lists of rewrites. */
#ifndef HONE_PASSES_PASSES_H
#define HONE_PASSES_PASSES_H

#include "graph/graph.h"

/* Every pass: edits the model, says in *changed how many places. Types and shapes are inferred before each. */
#define HONE_PORTABLE(name, what) hone_status hone__pass_##name(hone__model *model, int *changed);
#define HONE_MACHINE(name, what) hone_status hone__pass_##name(hone__model *model, int *changed);
#include "passes.def"
#undef HONE_PORTABLE
#undef HONE_MACHINE

/* Runs the portable list until nothing changes (at most 4 rounds). */
hone_status hone__passes_portable(hone__model *model);
/* Runs the portable list, then the machine list once. */
hone_status hone__passes_machine(hone__model *model);

#endif
