/* passes.h: the two lists of rewrites. */
#ifndef HONE_PASSES_PASSES_H
#define HONE_PASSES_PASSES_H

#include "graph/graph.h"

/* A pass edits the nodes of one graph, and says in *changed how many places. What a subgraph reads may be made in the
 * graphs around it. */
typedef hone_status hone__pass(hone__graph *graph, int *changed);

#define HONE_PORTABLE(name, what) hone__pass hone__pass_##name;
#define HONE_MACHINE(name, what) hone__pass hone__pass_##name;
#include "passes.def"
#undef HONE_PORTABLE
#undef HONE_MACHINE

/* Runs one pass on the model's graph and on every subgraph, outer before inner, with types and shapes inferred before,
 * and sweeps what is left over. */
hone_status hone__passes_run(hone__model *model, const char *name, hone__pass *pass, int *changed);
/* Runs the portable list until nothing changes (at most 4 rounds). */
hone_status hone__passes_portable(hone__model *model);
/* Runs the portable list, then the machine list once. */
hone_status hone__passes_machine(hone__model *model);

#endif
