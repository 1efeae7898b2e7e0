/* graph.c: making and editing nodes and values. Every edit keeps producers and uses in step. */
#include "graph.h"

#include <string.h>

static char *copy_name(hone__graph *g, const char *s)
{
    return hone__arena_strndup(&g->model->arena, s ? s : "", s ? strlen(s) : 0);
}

hone__value *hone__value_new(hone__graph *g, const char *name)
{
    hone__value *v = hone__arena_zalloc(&g->model->arena, sizeof *v);
    if (!v || !(v->name = copy_name(g, name))) {
        hone__out_of_memory(sizeof *v);
        return NULL;
    }
    v->graph = g;
    v->shape.rank = -1;
    v->input_index = -1;
    v->id = g->model->next_id++;
    v->next = g->values;
    if (v->next) v->next->prev = v;
    g->values = v;
    return v;
}

static void describe_constant(hone__value *v, hone__tensor *t)
{
    v->constant = t;
    v->dtype = t->dtype;
    v->shape.rank = t->rank;
    memcpy(v->shape.dims, t->dims, sizeof t->dims);
}

hone__value *hone__value_constant(hone__graph *g, const char *name, hone__tensor *tensor)
{
    hone__tensor *held;
    if (hone__model_hold(g->model, tensor, &held) != HONE_OK) return NULL;
    hone__value *v = hone__value_new(g, name);
    if (v) describe_constant(v, held);
    return v;
}

hone_status hone__value_set_constant(hone__value *v, hone__tensor *tensor)
{
    hone__tensor *held;
    HONE__TRY(hone__model_hold(v->graph->model, tensor, &held));
    if (v->producer) v->producer->outputs[v->output] = NULL;
    v->producer = NULL;
    describe_constant(v, held);
    return HONE_OK;
}

hone_status hone__graph_add_input(hone__graph *g, hone__value *v)
{
    HONE__TRY(hone__grow(&g->inputs, &g->input_capacity, g->input_count, sizeof *g->inputs));
    v->input_index = (int)g->input_count;
    g->inputs[g->input_count++] = v;
    return HONE_OK;
}

hone_status hone__graph_add_output(hone__graph *g, hone__value *v)
{
    HONE__TRY(hone__grow(&g->outputs, &g->output_capacity, g->output_count, sizeof *g->outputs));
    v->output_count++;
    g->outputs[g->output_count++] = v;
    return HONE_OK;
}

void hone__graph_set_output(hone__graph *g, size_t index, hone__value *v)
{
    g->outputs[index]->output_count--;
    g->outputs[index] = v;
    v->output_count++;
}

void hone__graph_drop_output(hone__graph *g, size_t index)
{
    g->outputs[index]->output_count--;
    g->output_count--;
    for (size_t i = index; i < g->output_count; i++) g->outputs[i] = g->outputs[i + 1];
}

void hone__graph_drop_input(hone__graph *g, size_t index)
{
    g->inputs[index]->input_index = -1;
    g->input_count--;
    for (size_t i = index; i < g->input_count; i++) {
        g->inputs[i] = g->inputs[i + 1];
        g->inputs[i]->input_index = (int)i;
    }
}

static hone_status add_use(hone__value *v, hone__node *n, int input)
{
    HONE__TRY(hone__grow(&v->uses, &v->use_capacity, v->use_count, sizeof *v->uses));
    v->uses[v->use_count++] = (hone__use){n, input};
    return HONE_OK;
}

static void drop_use(hone__value *v, const hone__node *n, int input)
{
    for (size_t i = v->use_count; i-- > 0;)
        if (v->uses[i].node == n && v->uses[i].input == input) {
            v->uses[i] = v->uses[--v->use_count];
            return;
        }
}

static void link_before(hone__graph *g, hone__node *n, hone__node *before)
{
    n->next = before;
    n->prev = before ? before->prev : g->last;
    if (n->prev)
        n->prev->next = n;
    else
        g->first = n;
    if (before)
        before->prev = n;
    else
        g->last = n;
}

static void unlink_node(hone__node *n)
{
    hone__graph *g = n->graph;
    if (n->prev)
        n->prev->next = n->next;
    else
        g->first = n->next;
    if (n->next)
        n->next->prev = n->prev;
    else
        g->last = n->prev;
}

hone__node *hone__node_new_with(hone__graph *g, hone__node *before, const char *domain, const char *op,
                                const char *name, hone__value *const *inputs, int input_count,
                                hone__value *const *outputs, int output_count)
{
    hone__arena *arena = &g->model->arena;
    hone__node *n = hone__arena_zalloc(arena, sizeof *n);
    if (!n || !(n->op = copy_name(g, op)) || !(n->domain = copy_name(g, domain)) || !(n->name = copy_name(g, name)) ||
        !(n->inputs = hone__arena_zalloc(arena, (size_t)input_count * sizeof *n->inputs + 1)) ||
        !(n->outputs = hone__arena_zalloc(arena, (size_t)output_count * sizeof *n->outputs + 1))) {
        hone__out_of_memory(sizeof *n);
        return NULL;
    }
    n->overload = "";
    n->graph = g;
    n->id = g->model->next_id++;
    n->input_count = input_count;
    n->output_count = output_count;
    for (int i = 0; i < input_count; i++) {
        if (inputs[i] && add_use(inputs[i], n, i) != HONE_OK) {
            while (i-- > 0)
                if (inputs[i]) drop_use(inputs[i], n, i);
            return NULL;
        }
        n->inputs[i] = inputs[i];
    }
    for (int i = 0; i < output_count; i++) {
        n->outputs[i] = outputs[i];
        if (!outputs[i]) continue;
        outputs[i]->producer = n;
        outputs[i]->output = i;
    }
    link_before(g, n, before);
    return n;
}

enum { MAX_FRESH = 64 };

hone__node *hone__node_new(hone__graph *g, hone__node *before, const char *domain, const char *op, const char *name,
                           hone__value *const *inputs, int input_count, int output_count)
{
    hone__value *fresh[MAX_FRESH];
    if (output_count > MAX_FRESH) {
        hone__fail(HONE_E_LIMIT, "%s: more than %d outputs", op, MAX_FRESH);
        return NULL;
    }
    for (int i = 0; i < output_count; i++)
        if (!(fresh[i] = hone__value_new(g, ""))) return NULL;
    return hone__node_new_with(g, before, domain, op, name, inputs, input_count, fresh, output_count);
}

hone_status hone__node_set_input(hone__node *n, int index, hone__value *v)
{
    if (index >= n->input_count) {
        size_t bytes = ((size_t)index + 1) * sizeof *n->inputs;
        hone__value **grown = hone__arena_zalloc(&n->graph->model->arena, bytes);
        if (!grown) return hone__out_of_memory(bytes);
        memcpy(grown, n->inputs, (size_t)n->input_count * sizeof *grown);
        n->inputs = grown;
        n->input_count = index + 1;
    }
    if (n->inputs[index] == v) return HONE_OK;
    if (v) HONE__TRY(add_use(v, n, index));
    if (n->inputs[index]) drop_use(n->inputs[index], n, index);
    n->inputs[index] = v;
    return HONE_OK;
}

void hone__node_trim_inputs(hone__node *n)
{
    while (n->input_count && !n->inputs[n->input_count - 1]) n->input_count--;
}

static void remove_subgraphs(hone__node *n)
{
    for (int i = 0; i < n->attr_count; i++) {
        hone__graph *g = n->attrs[i].kind == HONE__ATTR_GRAPH ? n->attrs[i].g : NULL;
        if (!g) continue;
        for (size_t k = 0; k < g->output_count; k++) g->outputs[k]->output_count--;
        g->output_count = 0;
        while (g->last) hone__node_remove(g->last);
    }
}

void hone__node_remove(hone__node *n)
{
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i]) drop_use(n->inputs[i], n, i);
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i] && n->outputs[i]->producer == n) n->outputs[i]->producer = NULL;
    remove_subgraphs(n);
    unlink_node(n);
    n->input_count = n->output_count = 0;
}

void hone__node_move(hone__node *n, hone__node *before)
{
    if (n == before || n->next == before) return;
    unlink_node(n);
    link_before(n->graph, n, before);
}

void hone__node_drop_output(hone__node *n, int index)
{
    if (n->outputs[index]) n->outputs[index]->producer = NULL;
    n->output_count--;
    for (int i = index; i < n->output_count; i++)
        if ((n->outputs[i] = n->outputs[i + 1])) n->outputs[i]->output = i;
}

static void unlink_value(hone__value *v)
{
    if (v->prev)
        v->prev->next = v->next;
    else
        v->graph->values = v->next;
    if (v->next) v->next->prev = v->prev;
}

void hone__graph_splice(hone__graph *from, hone__node *before)
{
    hone__graph *g = before->graph;
    for (size_t i = 0; i < from->output_count; i++) from->outputs[i]->output_count--;
    from->output_count = 0;
    hone__value *v = from->values, *newer;
    while (v && v->next) v = v->next;
    for (; v; v = newer) { /* oldest first: the order in which they are named */
        newer = v->prev;
        if (v->input_index >= 0) continue;
        unlink_value(v);
        v->graph = g;
        v->prev = NULL;
        if ((v->next = g->values)) v->next->prev = v;
        g->values = v;
    }
    for (hone__node *n = from->first, *next; n; n = next) {
        next = n->next;
        unlink_node(n);
        n->graph = g;
        link_before(g, n, before);
    }
}

/* Outputs of g and of the subgraphs in it: a branch may hand out a value of the graph around it. */
static void replace_outputs(hone__graph *g, hone__value *from, hone__value *to)
{
    for (size_t i = 0; i < g->output_count; i++)
        if (g->outputs[i] == from) hone__graph_set_output(g, i, to);
    for (hone__node *n = g->first; n && from->output_count; n = n->next)
        for (int i = 0; i < n->attr_count; i++)
            if (n->attrs[i].kind == HONE__ATTR_GRAPH) replace_outputs(n->attrs[i].g, from, to);
}

hone_status hone__value_replace_uses(hone__value *from, hone__value *to)
{
    while (from->use_count) {
        hone__use u = from->uses[from->use_count - 1];
        HONE__TRY(hone__node_set_input(u.node, u.input, to));
    }
    if (!from->output_count) {
        if (!*to->name) to->name = from->name; /* what people see stays known under one name */
        return HONE_OK;
    }
    replace_outputs(from->graph, from, to);
    const char *name = to->name; /* the output keeps the name that callers know */
    if (to->input_index < 0) {
        to->name = from->name;
        from->name = name;
    }
    return HONE_OK;
}

bool hone__value_unused(const hone__value *v) { return !v->use_count && !v->output_count; }

static void drop_value(hone__value *v)
{
    unlink_value(v);
    hone__free(v->uses);
    v->uses = NULL;
    v->use_count = v->use_capacity = 0;
}

static bool dead(const hone__node *n)
{
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i] && !hone__value_unused(n->outputs[i])) return false;
    return true;
}

void hone__graph_sweep(hone__graph *g)
{
    for (hone__node *n = g->last, *prev; n; n = prev) {
        prev = n->prev;
        for (int i = 0; i < n->attr_count; i++)
            if (n->attrs[i].kind == HONE__ATTR_GRAPH) hone__graph_sweep(n->attrs[i].g);
        if (dead(n)) hone__node_remove(n);
    }
    for (hone__value *v = g->values, *next; v; v = next) {
        next = v->next;
        if (hone__value_unused(v) && v->input_index < 0 && !v->producer) drop_value(v);
    }
}
