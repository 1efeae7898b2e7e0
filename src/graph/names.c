/* names.c: unique names for values and nodes, and the structural check of a graph. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "graph.h"

/* A set of strings with open addressing. */
typedef struct set {
    const char **slots;
    size_t size, used;
} set;

static uint64_t hash(const char *s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h;
}

static bool put(const char **slots, size_t size, const char *s)
{
    size_t i = hash(s) & (size - 1);
    for (; slots[i]; i = (i + 1) & (size - 1))
        if (!strcmp(slots[i], s)) return false;
    slots[i] = s;
    return true;
}

/* *added is false when the name was there already. */
static hone_status set_add(set *st, const char *s, bool *added)
{
    if (st->used * 2 >= st->size) {
        size_t size = st->size ? st->size * 2 : 256;
        const char **slots = hone__calloc(size, sizeof *slots);
        if (!slots) return hone__out_of_memory(size);
        for (size_t i = 0; i < st->size; i++)
            if (st->slots[i]) put(slots, size, st->slots[i]);
        hone__free(st->slots);
        st->slots = slots;
        st->size = size;
    }
    *added = put(st->slots, st->size, s);
    st->used += *added;
    return HONE_OK;
}

static hone_status unique(hone__arena *arena, set *st, const char *wish, const char **out)
{
    bool added = false;
    if (*wish) HONE__TRY(set_add(st, wish, &added));
    *out = wish;
    for (unsigned long long k = *wish ? 1 : st->used; !added; k++) {
        char *s = *wish ? hone__arena_printf(arena, "%s_%llu", wish, k) : hone__arena_printf(arena, "v%llu", k);
        if (!s) return hone__out_of_memory(strlen(wish));
        HONE__TRY(set_add(st, s, &added));
        *out = s;
    }
    return HONE_OK;
}

static hone_status keep_borders(hone__graph *g, set *st)
{
    bool added;
    for (size_t i = 0; i < g->input_count; i++) {
        HONE__TRY(set_add(st, g->inputs[i]->name, &added));
        if (!added) return hone__fail(HONE_E_FORMAT, "two inputs are called '%s'", g->inputs[i]->name);
    }
    for (size_t i = 0; i < g->output_count; i++) {
        if (g->outputs[i]->input_index >= 0 && g->outputs[i]->graph == g) continue;
        if (g->outputs[i]->graph == g && *g->outputs[i]->name) HONE__TRY(set_add(st, g->outputs[i]->name, &added));
    }
    return HONE_OK;
}

static hone_status name_values(hone__graph *g, set *st, set *nodes)
{
    hone__arena *arena = &g->model->arena;
    if (g->owner) { /* inputs and outputs of a subgraph are known by position: they may be renamed */
        for (size_t i = 0; i < g->input_count; i++)
            HONE__TRY(unique(arena, st, g->inputs[i]->name, &g->inputs[i]->name));
    }
    /* oldest first, so that names follow the order of construction */
    hone__value *v = g->values;
    while (v && v->next) v = v->next;
    for (; v; v = v->prev) {
        if (v->input_index >= 0 || v->producer || (v->output_count && !g->owner)) continue;
        HONE__TRY(unique(arena, st, v->name, &v->name));
    }
    for (hone__node *n = g->first; n; n = n->next) {
        HONE__TRY(unique(arena, nodes, *n->name ? n->name : n->op, &n->name));
        for (int i = 0; i < n->output_count; i++) {
            hone__value *o = n->outputs[i];
            if (!o || (o->output_count && !g->owner && *o->name)) continue;
            const char *wish = *o->name ? o->name
                               : i      ? hone__arena_printf(arena, "%s_out%d", n->name, i)
                                        : hone__arena_printf(arena, "%s_out", n->name);
            if (!wish) return hone__out_of_memory(strlen(n->name));
            HONE__TRY(unique(arena, st, wish, &o->name));
        }
        for (int i = 0; i < n->attr_count; i++)
            if (n->attrs[i].kind == HONE__ATTR_GRAPH) HONE__TRY(name_values(n->attrs[i].g, st, nodes));
    }
    return HONE_OK;
}

hone_status hone__graph_name_all(hone__graph *g)
{
    set values = {0}, nodes = {0};
    hone_status s = keep_borders(g, &values);
    if (s == HONE_OK) s = name_values(g, &values, &nodes);
    hone__free(values.slots);
    hone__free(nodes.slots);
    return s;
}

/* Looks only into short lists, so that checking stays linear for a constant that every node reads. */
static bool has_use(const hone__value *v, const hone__node *n, int input)
{
    if (v->use_count > 64) return true;
    for (size_t i = 0; i < v->use_count; i++)
        if (v->uses[i].node == n && v->uses[i].input == input) return true;
    return false;
}

/* A value may be read here when it is constant, an input, or made by an earlier node of this or an enclosing graph. */
static bool visible(const hone__value *v, const hone__node *reader)
{
    const hone__graph *g = reader->graph;
    while (g && g != v->graph) {
        reader = g->owner;
        g = reader ? reader->graph : NULL;
    }
    if (!g) return false;
    return v->constant || v->input_index >= 0 || (v->producer && v->producer->scratch == v->producer);
}

static hone_status verify_node(hone__node *n)
{
    for (int i = 0; i < n->input_count; i++) {
        hone__value *v = n->inputs[i];
        if (!v) continue;
        if (!has_use(v, n, i)) return hone__fail(HONE_E_INTERNAL, "node '%s': input %d has no use entry", n->name, i);
        if (!visible(v, n))
            return hone__fail(HONE_E_FORMAT, "node '%s' (%s): input %d '%s' is not made by any earlier node", n->name,
                              n->op, i, v->name);
    }
    for (int i = 0; i < n->attr_count; i++)
        if (n->attrs[i].kind == HONE__ATTR_GRAPH) HONE__TRY(hone__graph_verify(n->attrs[i].g));
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i] && (n->outputs[i]->producer != n || n->outputs[i]->output != i))
            return hone__fail(HONE_E_INTERNAL, "node '%s': output %d has another producer", n->name, i);
    n->scratch = n; /* done: later nodes may read its outputs */
    return HONE_OK;
}

hone_status hone__graph_verify(const hone__graph *g)
{
    for (hone__node *n = g->first; n; n = n->next) n->scratch = NULL;
    for (hone__node *n = g->first; n; n = n->next) HONE__TRY(verify_node(n));
    for (size_t i = 0; i < g->output_count; i++) {
        const hone__value *v = g->outputs[i];
        if (!v->constant && !v->producer && v->input_index < 0 && v->graph == g)
            return hone__fail(HONE_E_FORMAT, "output '%s' is not made by any node", v->name);
    }
    return HONE_OK;
}
