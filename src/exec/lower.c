/* lower.c: a graph into steps and slots. Each value gets a slot, found through value->scratch while lowering. */
#include <stdlib.h>
#include <string.h>

#include "frame.h"

/* Slot numbers are kept in value->id-indexed order of this frame: value->scratch holds slot + 1. */
static void set_slot(hone__value *v, int slot) { v->scratch = (void *)(intptr_t)(slot + 1); }
static int get_slot(const hone__value *v) { return (int)(intptr_t)v->scratch - 1; }

typedef struct counts {
    size_t values, nodes, links, captures;
} counts;

static size_t inner_captures(const hone__graph *g);

static size_t node_captures(const hone__node *n)
{
    size_t count = 0;
    for (int i = 0; i < n->attr_count; i++)
        if (n->attrs[i].kind == HONE__ATTR_GRAPH) count += inner_captures(n->attrs[i].g);
    return count;
}

static size_t inner_captures(const hone__graph *g)
{
    size_t count = g->output_count;
    for (const hone__node *n = g->first; n; n = n->next) count += (size_t)n->input_count + node_captures(n);
    return count;
}

static counts measure(const hone__graph *g)
{
    counts c = {0};
    for (const hone__value *v = g->values; v; v = v->next) c.values++;
    for (const hone__node *n = g->first; n; n = n->next) {
        c.nodes++;
        c.links += (size_t)n->input_count + (size_t)n->output_count;
    }
    if (g->owner) c.captures = inner_captures(g);
    return c;
}

static int add_slot(hone__frame *f, hone__value *v, hone__slot_kind kind)
{
    int i = f->slot_count++;
    hone__slot *s = &f->slots[i];
    s->value = v;
    s->kind = kind;
    s->root = i;
    if (v->constant) {
        s->kind = HONE__SLOT_CONST;
        s->t = *v->constant;
    }
    return i;
}

/* The slot in this frame of a value of an enclosing graph: added on first sight. */
static int capture(hone__frame *f, hone__value *v)
{
    if (v->constant) {
        for (int i = 0; i < f->slot_count; i++)
            if (f->slots[i].value == v) return i;
        return add_slot(f, v, HONE__SLOT_CONST);
    }
    for (int i = 0; i < f->capture_count; i++)
        if (f->slots[f->captures[2 * i]].value == v) return f->captures[2 * i];
    int outer = v->graph == f->parent->graph ? get_slot(v) : capture(f->parent, v);
    int here = add_slot(f, v, HONE__SLOT_CAPTURE);
    f->captures[2 * f->capture_count] = here;
    f->captures[2 * f->capture_count++ + 1] = outer;
    return here;
}

static int find_slot(hone__frame *f, hone__value *v) { return v->graph == f->graph ? get_slot(v) : capture(f, v); }

static hone_status lower_node(hone__frame *f, hone__node *n)
{
    hone__step *st = &f->steps[f->step_count++];
    size_t ins = (size_t)n->input_count, outs = (size_t)n->output_count;
    st->node = n;
    st->op = n->kind ? n->kind : hone__op_find(n->domain, n->op);
    if (!st->op) return hone__node_at(hone__op_unknown(n), n);
    st->in = hone__arena_zalloc(&f->arena, (ins + outs) * sizeof(int) + 1);
    st->in_t = hone__arena_zalloc(&f->arena, (ins + outs) * sizeof(void *) + 1);
    if (!st->in || !st->in_t) return hone__out_of_memory(ins + outs);
    st->out = st->in + ins;
    st->out_t = (hone__tensor **)(st->in_t + ins);
    for (size_t i = 0; i < ins; i++) st->in[i] = n->inputs[i] ? find_slot(f, n->inputs[i]) : -1;
    for (size_t i = 0; i < outs; i++) st->out[i] = n->outputs[i] ? get_slot(n->outputs[i]) : -1;
    for (size_t i = 0; i < ins; i++) st->in_t[i] = st->in[i] < 0 ? NULL : &f->slots[st->in[i]].t;
    for (size_t i = 0; i < outs; i++) st->out_t[i] = st->out[i] < 0 ? NULL : &f->slots[st->out[i]].t;
    for (int i = 0; i < n->attr_count; i++) {
        if (n->attrs[i].kind != HONE__ATTR_GRAPH) continue;
        hone__frame *child;
        HONE__TRY(hone__frame_create(f->session, n->attrs[i].g, f, &child));
        child->next_child = f->children;
        f->children = child;
    }
    return HONE_OK;
}

static bool makes_something(const hone__node *n)
{
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i]) return true;
    return false;
}

static hone_status lower_graph(hone__frame *f)
{
    hone__graph *g = f->graph;
    counts c = measure(g);
    f->slots = hone__arena_zalloc(&f->arena, (c.values + c.captures + 1) * sizeof *f->slots);
    f->steps = hone__arena_zalloc(&f->arena, (c.nodes + 1) * sizeof *f->steps);
    f->captures = hone__arena_zalloc(&f->arena, (2 * c.captures + 1) * sizeof *f->captures);
    if (f->session->options.profile) {
        f->times = hone__arena_zalloc(&f->arena, (c.nodes + 1) * sizeof *f->times);
        if (!f->times) return hone__out_of_memory(c.nodes);
    }
    f->outputs = hone__arena_zalloc(&f->arena, (g->output_count + 1) * sizeof *f->outputs);
    if (!f->outputs || !f->slots || !f->steps || !f->captures) return hone__out_of_memory(c.values * sizeof *f->slots);
    for (hone__value *v = g->values; v; v = v->next)
        set_slot(v, add_slot(f, v, v->input_index >= 0 ? HONE__SLOT_INPUT : HONE__SLOT_PLANNED));
    for (hone__node *n = g->first; n; n = n->next)
        if (makes_something(n)) HONE__TRY(lower_node(f, n));
    for (size_t i = 0; i < g->output_count; i++) /* a branch may hand out an outer value as it is */
        f->outputs[i] = find_slot(f, g->outputs[i]);
    return HONE_OK;
}

hone_status hone__frame_create(hone__session *session, hone__graph *graph, hone__frame *parent, hone__frame **out)
{
    *out = NULL;
    hone__frame *f = hone__calloc(1, sizeof *f);
    if (!f) return hone__out_of_memory(sizeof *f);
    f->session = session;
    f->graph = graph;
    f->parent = parent;
    f->depth = parent ? parent->depth + 1 : 0;
    hone_status s = lower_graph(f);
    if (s != HONE_OK) {
        hone__frame_destroy(f);
        return s;
    }
    *out = f;
    return HONE_OK;
}

void hone__frame_destroy(hone__frame *f)
{
    if (!f) return;
    for (hone__frame *c = f->children, *next; c; c = next) {
        next = c->next_child;
        hone__frame_destroy(c);
    }
    for (int i = 0; i < f->slot_count; i++) {
        hone__slot_release(&f->slots[i]);
        hone__free(f->slots[i].own);
    }
    hone__aligned_free(f->slab);
    hone__arena_free(&f->plan_arena);
    hone__arena_free(&f->run_arena);
    hone__arena_free(&f->arena);
    hone__free(f);
}
