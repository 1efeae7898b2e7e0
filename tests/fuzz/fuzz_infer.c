/* fuzz_infer.c: bytes draw a few operators of any kind behind one another, over inputs with named and unnamed sizes.
 * What shape inference says of the whole graph must hold when it runs: types, ranks, sizes, equal names for equal
 * sizes. */
#include <stdio.h>

#include "fuzz_draw.h"

enum { NODES = 5, VALUES = 32, OUTPUTS = 3 };

typedef struct pool {
    hone__value *values[VALUES];
    int count;
} pool;

static hone_status next_operand(source *s, hone__builder *b, pool *p, hone__value **v)
{
    unsigned from = next(s);
    if (from % 4 && p->count) {
        *v = p->values[from / 4 % (unsigned)p->count];
        return HONE_OK;
    }
    HONE__TRY(next_input(s, b, v));
    if (*v && p->count < VALUES) p->values[p->count++] = *v;
    return HONE_OK;
}

static hone_status next_node(source *s, hone__builder *b, pool *p)
{
    hone__value *ins[6];
    const hone__op *op = next_op(s);
    unsigned shape = next(s), attrs = next(s) % 6;
    int inputs = (int)(shape % 6), outputs = 1 + (int)(shape / 6 % OUTPUTS);
    if (!strcmp(op->domain, "hone") || op->flags & HONE__OP_SUBGRAPH)
        return hone__fail(HONE_E_UNSUPPORTED, "not drawn");
    for (int i = 0; i < inputs; i++) HONE__TRY(next_operand(s, b, p, &ins[i]));
    hone__node *n = hone__node_new(b->graph, NULL, op->domain, op->name, "", ins, inputs, outputs);
    if (!n) return HONE_E_MEMORY;
    for (; attrs > 0; attrs--) HONE__TRY(next_attr(s, n));
    hone__node_trim_inputs(n);
    for (int i = 0; i < outputs && p->count < VALUES; i++) p->values[p->count++] = n->outputs[i];
    return HONE_OK;
}

/* Everything that nodes made is an output, as far as a run gives them back. */
static hone_status build(source *s, hone__model *m)
{
    hone__builder b = {.graph = m->graph};
    pool p = {.count = 0};
    for (int i = 1 + (int)(next(s) % NODES); i > 0; i--) HONE__TRY(next_node(s, &b, &p));
    for (int i = p.count - 1; i >= 0 && m->graph->output_count < FUZZ_INPUTS; i--)
        if (p.values[i]->producer) HONE__TRY(hone__graph_add_output(m->graph, p.values[i]));
    return HONE_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return draw_and_run(data, size, build); }
