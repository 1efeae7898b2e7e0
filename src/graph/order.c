/* order.c: puts the nodes of a graph into an order in which each runs after what it reads. Files may list them in any.
 */
#include "graph.h"

static intptr_t mark(const hone__node *n) { return (intptr_t)n->scratch; }
static void set_mark(hone__node *n, intptr_t v) { n->scratch = (void *)v; }

/* The node of g in which a reader lies, itself or inside its subgraphs; NULL: outside of g. */
static hone__node *reader_in(const hone__graph *g, hone__node *n)
{
    while (n && n->graph != g) n = n->graph->owner;
    return n;
}

/* Calls fn for each node of n's graph that reads one of n's outputs, once per use. */
static void each_reader(const hone__node *n, void (*fn)(void *ctx, hone__node *reader), void *ctx)
{
    for (int i = 0; i < n->output_count; i++) {
        const hone__value *v = n->outputs[i];
        for (size_t k = 0; v && k < v->use_count; k++) {
            hone__node *reader = reader_in(n->graph, v->uses[k].node);
            if (reader) fn(ctx, reader);
        }
    }
}

typedef struct walk {
    hone__node **ready;
    size_t count;
    intptr_t position;
    bool sorted;
} walk;

static void look(void *ctx, hone__node *reader)
{
    walk *w = ctx;
    if (mark(reader) <= w->position) w->sorted = false;
}

static void wait_for_one(void *ctx, hone__node *reader)
{
    (void)ctx;
    set_mark(reader, mark(reader) + 1);
}

static void release_one(void *ctx, hone__node *reader)
{
    walk *w = ctx;
    set_mark(reader, mark(reader) - 1);
    if (!mark(reader)) w->ready[w->count++] = reader;
}

static bool is_sorted(hone__graph *g, size_t *count)
{
    walk w = {.sorted = true};
    *count = 0;
    for (hone__node *n = g->first; n; n = n->next) set_mark(n, (intptr_t)++*count);
    for (hone__node *n = g->first; n && w.sorted; n = n->next) {
        w.position = mark(n);
        each_reader(n, look, &w);
    }
    return w.sorted;
}

hone_status hone__graph_sort(hone__graph *g)
{
    size_t count, done = 0;
    if (is_sorted(g, &count)) return HONE_OK;
    walk w = {.ready = hone__calloc(count, sizeof *w.ready)};
    if (!w.ready) return hone__out_of_memory(count);
    for (hone__node *n = g->first; n; n = n->next) set_mark(n, 0);
    for (hone__node *n = g->first; n; n = n->next) each_reader(n, wait_for_one, NULL);
    for (hone__node *n = g->last; n; n = n->prev)
        if (!mark(n)) w.ready[w.count++] = n;
    while (w.count) { /* the newest first: short lives of values */
        hone__node *n = w.ready[--w.count];
        hone__node_move(n, NULL);
        done++;
        each_reader(n, release_one, &w);
    }
    hone__free(w.ready);
    return done == count ? HONE_OK : hone__fail(HONE_E_FORMAT, "nodes read each other's results in a circle");
}
