/* op_sequence_map.c: SequenceMap: a body over the elements of sequences; tensors are given whole to every run. */
#include "sequence.h"
#include "subgraph.h"

static hone_status infer_map(hone__infer *x)
{
    const hone__graph *g = hone__node_graph(x->node, "body");
    if (!g) return hone__fail(HONE_E_SHAPE, "attribute body is missing");
    HONE__TRY(hone__infer_arity(x, 1, 1 << 20));
    HONE__TRY(hone__infer_sequence(x, 0));
    if (g->input_count != (size_t)x->input_count || g->output_count != (size_t)x->output_count)
        return hone__fail(HONE_E_SHAPE, "the body has %zu inputs and %zu outputs, the node %d and %d", g->input_count,
                          g->output_count, x->input_count, x->output_count);
    for (int i = 0; i < x->input_count; i++) {
        if (!hone__has_input(x, i)) return hone__fail(HONE_E_SHAPE, "input %d is missing", i);
        if (x->in[i].wrap & HONE__OF_OPTIONAL) return hone__fail(HONE_E_SHAPE, "input %d is an optional", i);
    }
    for (int i = 0; i < x->output_count; i++) {
        if (g->outputs[i]->wrap) return hone__fail(HONE_E_SHAPE, "the body's output %d is not a tensor", i);
        x->out[i] = hone__sequence_type(g->outputs[i]->dtype);
    }
    return HONE_OK;
}

static hone_status take_element(hone__run *r, hone__graph *g, size_t k, const hone__tensor **in,
                                const hone__tensor **out)
{
    for (int i = 0; i < r->input_count; i++) {
        in[i] = r->in[i];
        if (in[i]->kind != HONE_KIND_SEQUENCE) continue;
        if (in[i]->count != r->in[0]->count)
            return hone__fail(HONE_E_SHAPE, "input %d has %zu elements, the first %zu", i, in[i]->count,
                              r->in[0]->count);
        in[i] = &hone__list_items(in[i])[k]; /* found again each time: a body may append to the list it came from */
    }
    HONE__TRY(r->subgraph(r, g, in, g->input_count, out, g->output_count));
    for (int i = 0; i < r->output_count; i++) {
        if (out[i]->kind != HONE_KIND_TENSOR) return hone__fail(HONE_E_SHAPE, "output %d is not a tensor", i);
        if (!r->out[i]) continue;
        if (k && out[i]->dtype != r->out[i]->dtype)
            return hone__fail(HONE_E_SHAPE, "output %d changes its type at element %zu", i, k);
        HONE__TRY(hone__run_append(r, i, out[i]));
        r->out[i]->dtype = out[i]->dtype;
    }
    return HONE_OK;
}

static hone_status run_map(hone__run *r)
{
    hone__graph *g = hone__node_graph(r->node, "body");
    HONE__TRY(hone__run_kind(r, 0, HONE_KIND_SEQUENCE));
    for (int i = 0; i < r->output_count; i++) HONE__TRY(hone__run_output_sequence(r, i, g->outputs[i]->dtype));
    const hone__tensor **in = hone__calloc(g->input_count + g->output_count + 1, sizeof *in);
    if (!in) return hone__out_of_memory(g->input_count);
    hone_status s = HONE_OK;
    for (size_t k = 0; s == HONE_OK && k < r->in[0]->count; k++) s = take_element(r, g, k, in, in + g->input_count);
    hone__free(in);
    return s;
}
const hone__op hone__op_sequence_map = {"", "SequenceMap", infer_map, NULL, run_map, HONE__OP_SUBGRAPH};
