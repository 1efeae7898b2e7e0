/* fuzz_op.c: bytes choose one operator with inputs of any type, shape and content and attributes of any kind: shape
 * inference, symbolic and concrete, planning, running. What a file may hold is drawn; nodes of domain hone are not. */
#include "fuzz_draw.h"

static hone_status build(source *s, hone__model *m)
{
    hone__builder b = {.graph = m->graph};
    hone__value *ins[8];
    const hone__op *op = next_op(s);
    int inputs = (int)(next(s) % 8), outputs = 1 + (int)(next(s) % 4);
    if (!strcmp(op->domain, "hone") || op->flags & HONE__OP_SUBGRAPH)
        return hone__fail(HONE_E_UNSUPPORTED, "not drawn");
    for (int i = 0; i < inputs; i++) HONE__TRY(next_input(s, &b, &ins[i]));
    hone__node *n = hone__node_new(m->graph, NULL, op->domain, op->name, "", ins, inputs, outputs);
    if (!n) return HONE_E_MEMORY;
    for (unsigned i = next(s) % 12; i > 0; i--) HONE__TRY(next_attr(s, n));
    hone__node_trim_inputs(n);
    for (int i = 0; i < outputs; i++) HONE__TRY(hone__graph_add_output(m->graph, n->outputs[i]));
    return HONE_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return draw_and_run(data, size, build); }
