/* clone.c: a deep copy of a model that shares the bytes of its constants. */
#include <string.h>

#include "clone.h"

typedef struct cloner {
    hone__model *to;
    hone__value **values; /* by id of the original */
} cloner;

static hone_status clone_graph(cloner *c, const hone__graph *from, hone__graph *to);

static hone_status clone_tensor(cloner *c, const hone__tensor *from, hone__tensor **out)
{
    hone__tensor copy = *from;
    hone__blob_ref(copy.blob);
    return hone__model_hold(c->to, &copy, out);
}

static hone__value *clone_value(cloner *c, hone__graph *g, const hone__value *from)
{
    if (!from) return NULL;
    if (c->values[from->id]) return c->values[from->id];
    hone__value *v = hone__value_new(g, from->name);
    if (!v) return NULL;
    v->dtype = from->dtype;
    v->shape = from->shape;
    v->wrap = from->wrap;
    if (from->constant && clone_tensor(c, from->constant, &v->constant) != HONE_OK) return NULL;
    return c->values[from->id] = v;
}

static hone_status clone_attrs(cloner *c, const hone__node *from, hone__node *to)
{
    for (int i = 0; i < from->attr_count; i++) {
        hone__attr a = from->attrs[i];
        if (a.kind == HONE__ATTR_TENSOR) HONE__TRY(clone_tensor(c, a.t, &a.t));
        if (a.kind == HONE__ATTR_GRAPH) {
            hone__graph *g;
            HONE__TRY(hone__graph_new(c->to, to, &g));
            HONE__TRY(clone_graph(c, a.g, g));
            a.g = g;
        }
        HONE__TRY(hone__node_set_attr(to, &a));
    }
    return HONE_OK;
}

enum { MANY = 64 };

static hone_status clone_node(cloner *c, const hone__node *n, hone__graph *to)
{
    hone__value *few[2 * MANY], **ins = few, **outs;
    size_t count = (size_t)n->input_count + (size_t)n->output_count;
    if (count > 2 * MANY && !(ins = hone__calloc(count, sizeof *ins))) return hone__out_of_memory(count);
    outs = ins + n->input_count;
    hone_status s = HONE_OK;
    for (int i = 0; i < n->input_count; i++) {
        ins[i] = clone_value(c, to, n->inputs[i]);
        if (n->inputs[i] && !ins[i]) s = HONE_E_MEMORY;
    }
    for (int i = 0; i < n->output_count; i++) {
        outs[i] = clone_value(c, to, n->outputs[i]);
        if (n->outputs[i] && !outs[i]) s = HONE_E_MEMORY;
    }
    if (s == HONE_OK) {
        hone__node *copy =
            hone__node_new_with(to, NULL, n->domain, n->op, n->name, ins, n->input_count, outs, n->output_count);
        s = copy ? clone_attrs(c, n, copy) : HONE_E_MEMORY;
    }
    if (ins != few) hone__free(ins);
    return s;
}

static hone_status clone_graph(cloner *c, const hone__graph *from, hone__graph *to)
{
    hone__arena *arena = &c->to->arena;
    if (!(to->name = hone__arena_strndup(arena, from->name, strlen(from->name)))) return hone__out_of_memory(1);
    /* values in their order of age, so that what is written later keeps its order */
    const hone__value *v = from->values;
    while (v && v->next) v = v->next;
    for (; v; v = v->prev)
        if (!clone_value(c, to, v)) return HONE_E_MEMORY;
    for (size_t i = 0; i < from->input_count; i++) {
        hone__value *in = clone_value(c, to, from->inputs[i]);
        if (!in) return HONE_E_MEMORY;
        HONE__TRY(hone__graph_add_input(to, in));
    }
    for (const hone__node *n = from->first; n; n = n->next) HONE__TRY(clone_node(c, n, to));
    for (size_t i = 0; i < from->output_count; i++) {
        hone__value *out = clone_value(c, to, from->outputs[i]);
        if (!out) return HONE_E_MEMORY;
        HONE__TRY(hone__graph_add_output(to, out));
    }
    return HONE_OK;
}

static hone_status clone_rest(cloner *c, const hone__model *from)
{
    hone__model *to = c->to;
    to->ir_version = from->ir_version;
    for (size_t i = 0; i < from->opset_count; i++)
        HONE__TRY(hone__model_set_opset(to, from->opsets[i].domain, from->opsets[i].version));
    for (size_t i = 0; i < from->metadata_count; i++)
        HONE__TRY(hone__model_set_metadata(to, from->metadata[i].key, from->metadata[i].text));
    for (size_t i = 0; i < from->symbol_count; i++) {
        int64_t dim;
        HONE__TRY(hone__symbol(to, from->symbols[i], &dim));
    }
    return clone_graph(c, from->graph, to->graph);
}

hone_status hone__model_clone(const hone__model *from, hone__model **out)
{
    *out = NULL;
    cloner c = {0};
    HONE__TRY(hone__model_new(&c.to));
    c.values = hone__calloc((size_t)from->next_id + 1, sizeof *c.values);
    hone_status s = c.values ? clone_rest(&c, from) : hone__out_of_memory((size_t)from->next_id);
    hone__free(c.values);
    if (s != HONE_OK) {
        hone__model_destroy(c.to);
        return s;
    }
    *out = c.to;
    return HONE_OK;
}
