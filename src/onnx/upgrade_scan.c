/* upgrade_scan.c: Scan of opset 8 went over every row of a batch on its own. Lifted: a Scan over the batch whose body
 * is the Scan over the sequence. */
#include "read.h"

enum { PORTS = 256 }; /* inputs or outputs that such a node may have */

/* The body of the outer Scan: one row of every input goes through the inner one. */
static hone_status wrap_body(hone__node *n, const hone__attr *body, const hone__attr *inner_attrs, int attr_count,
                             hone__graph **out)
{
    hone__graph *g;
    hone__value *ins[PORTS];
    HONE__TRY(hone__graph_new(n->graph->model, n, &g));
    for (int i = 1; i < n->input_count; i++) {
        if (!(ins[i - 1] = hone__value_new(g, ""))) return HONE_E_MEMORY;
        ins[i - 1]->dtype = body->g->inputs[i - 1]->dtype;
        HONE__TRY(hone__graph_add_input(g, ins[i - 1]));
    }
    hone__node *inner = hone__node_new(g, NULL, "", "Scan", n->name, ins, n->input_count - 1, n->output_count);
    if (!inner) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_attr(inner, body));
    body->g->owner = inner;
    for (int i = 0; i < attr_count; i++) HONE__TRY(hone__node_set_attr(inner, &inner_attrs[i]));
    for (int i = 0; i < n->output_count; i++) {
        inner->outputs[i]->dtype = body->g->outputs[i]->dtype;
        HONE__TRY(hone__graph_add_output(g, inner->outputs[i]));
    }
    *out = g;
    return HONE_OK;
}

hone_status hone__onnx_upgrade_scan(struct hone__builder *b, hone__node *n)
{
    (void)b;
    const hone__attr *body = hone__node_attr(n, "body");
    size_t directions;
    const int64_t *d = hone__node_ints(n, "directions", &directions);
    int64_t scanned = hone__node_int(n, "num_scan_inputs", 0);
    if (!body || body->kind != HONE__ATTR_GRAPH || n->input_count < 2 || n->input_count > PORTS ||
        n->output_count > PORTS || body->g->input_count != (size_t)n->input_count - 1 ||
        body->g->output_count != (size_t)n->output_count)
        return hone__fail(HONE_E_SHAPE, "attribute body is missing or does not fit the node");
    if (n->inputs[0]) return hone__fail(HONE_E_UNSUPPORTED, "sequence_lens of opset 8");
    for (int i = 1; i < n->input_count; i++)
        if (!n->inputs[i]) return hone__fail(HONE_E_SHAPE, "input %d is missing", i);
    hone__attr copy = *body, attrs[] = {{.name = "num_scan_inputs", .kind = HONE__ATTR_INT, .i = scanned},
                                        {.name = "scan_input_directions",
                                         .kind = HONE__ATTR_INTS,
                                         .ints = (int64_t *)(uintptr_t)d,
                                         .count = directions}};
    hone__graph *outer;
    HONE__TRY(wrap_body(n, &copy, attrs, d ? 2 : 1, &outer));
    hone__node_drop_attr(n, "directions");
    HONE__TRY(hone__node_set_attr(n, &(hone__attr){.name = "body", .kind = HONE__ATTR_GRAPH, .g = outer}));
    HONE__TRY(hone__node_set_int(n, "num_scan_inputs", n->input_count - 1));
    for (int i = 1; i < n->input_count; i++) HONE__TRY(hone__node_set_input(n, i - 1, n->inputs[i]));
    HONE__TRY(hone__node_set_input(n, n->input_count - 1, NULL));
    hone__node_trim_inputs(n);
    return HONE_OK;
}
