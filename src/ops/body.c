/* body.c: what is known of a body's inputs. A state has, before the first run, the type of the node's input, and before
 * each other one that of the body's output. So inference starts with the first, and where the body gives another shape,
 * goes on with what both have in common, until nothing changes: then it holds in every run, by induction. */
#include "body.h"

#include <string.h>

#include "eval.h"
#include "subgraph.h"

enum { ROUNDS = 3 };

/* Where a body's states are among its inputs and outputs. */
typedef struct states {
    size_t first_in, first_out, count;
} states;

static states states_of(const hone__node *n, const hone__graph *g)
{
    states s = {0};
    size_t ins = (size_t)n->input_count;
    if (hone__node_is(n, "Loop")) {
        s = (states){2, 1, ins > 2 ? ins - 2 : 0};
    } else if (hone__node_is(n, "Scan")) {
        int64_t scanned = hone__node_int(n, "num_scan_inputs", 0);
        s.count = scanned < 0 || scanned > n->input_count ? 0 : ins - (size_t)scanned;
    }
    if (g->input_count < s.first_in + s.count || g->output_count < s.first_out + s.count) s.count = 0; /* told later */
    return s;
}

static const hone__shape unknown = {.rank = -1};

static hone__shape scalar_of(const hone__value *v)
{
    hone__shape s = {.rank = v->shape.rank == 1}; /* the operator follows what is declared */
    s.dims[0] = 1;
    return s;
}

/* A slice of a scanned input. */
static hone__shape slice_of(const hone__node *n, size_t scanned, const hone__shape *whole)
{
    size_t count;
    const int64_t *axes = hone__node_ints(n, "scan_input_axes", &count);
    int64_t axis = axes && scanned < count ? axes[scanned] : 0;
    hone__shape s = *whole;
    if (axis < 0) axis += s.rank;
    if (s.rank < 1 || axis < 0 || axis >= s.rank) return unknown;
    s.rank--;
    memmove(s.dims + axis, s.dims + axis + 1, (size_t)(s.rank - axis) * sizeof *s.dims);
    return s;
}

static void set_input(hone__value *v, hone_dtype dtype, hone__shape shape)
{
    if (v->wrap || v->constant) return;
    if (dtype) v->dtype = dtype;
    v->shape = shape;
}

/* Inputs that are no states. */
static void set_others(const hone__node *n, const hone__type *in, hone__graph *g, const states *st)
{
    bool loop = hone__node_is(n, "Loop"), scan = hone__node_is(n, "Scan"), map = hone__node_is(n, "SequenceMap");
    if (loop && g->input_count > 1) {
        set_input(g->inputs[0], HONE_I64, scalar_of(g->inputs[0]));
        set_input(g->inputs[1], HONE_BOOL, scalar_of(g->inputs[1]));
    }
    if (!scan && !map) return;
    for (size_t i = st->count; i < g->input_count && i < (size_t)n->input_count; i++) {
        hone__shape shape = scan ? slice_of(n, i - st->count, &in[i].shape) : in[i].shape;
        set_input(g->inputs[i], in[i].dtype, in[i].wrap && scan ? unknown : shape);
    }
}

/* What inference found before, under other assumptions; what files declare of outputs is kept in `declared`. */
static void forget(hone__graph *g)
{
    for (hone__value *v = g->values; v; v = v->next)
        if (v->input_index < 0 && !v->constant && !v->wrap) v->shape.rank = -1;
}

static void declare(hone__graph *g, const hone__shape *declared)
{
    for (size_t i = 0; i < g->output_count; i++) {
        hone__value *v = g->outputs[i];
        if (v->shape.rank >= 0 || v->graph != g || v->wrap) continue;
        v->shape = declared[i];
        for (int k = 0; k < v->shape.rank; k++)
            if (v->shape.dims[k] < 0) v->shape.dims[k] = -1; /* names mean other sizes out there */
    }
}

/* A state's shape becomes what it and `b` have in common; true where that is less. */
static bool weaken(hone__value *state, const hone__shape *b)
{
    hone__type both = {.shape = state->shape}, other = {.shape = *b};
    if (state->wrap || state->constant) return false;
    hone__type_merge(&both, &other);
    bool less = both.shape.rank != state->shape.rank;
    for (int i = 0; !less && i < both.shape.rank; i++) less = both.shape.dims[i] != state->shape.dims[i];
    state->shape = both.shape;
    return less;
}

/* False where there was nothing to give up. */
static bool give_up(hone__graph *g, const states *st)
{
    bool less = false;
    for (size_t i = 0; i < st->count; i++) less |= weaken(g->inputs[st->first_in + i], &unknown);
    return less;
}

static hone_status settle(hone__graph *g, const states *st)
{
    bool changed = true;
    for (int round = 0; changed; round++) {
        forget(g);
        hone_status s = hone__graph_infer(g);
        changed = false;
        for (size_t i = 0; s == HONE_OK && i < st->count; i++) {
            const hone__value *after = g->outputs[st->first_out + i];
            changed |= weaken(g->inputs[st->first_in + i], after->wrap ? &unknown : &after->shape);
        }
        /* what the first run does not survive, a loop of no runs does */
        if (s != HONE_OK && (s == HONE_E_MEMORY || !(changed = give_up(g, st)))) return s;
        if (s == HONE_OK && changed && round >= ROUNDS) give_up(g, st);
    }
    return HONE_OK;
}

/* What states are before the first run. A body inside another one is seen once for each assumption about that, and only
 * ever weakens its own: all of it together takes time in proportion to its size. */
static void begin(const hone__type *in, hone__graph *g, const states *st)
{
    for (size_t i = st->first_in; i < st->first_in + st->count; i++) {
        hone__shape was = g->inputs[i]->shape;
        set_input(g->inputs[i], in[i].dtype, in[i].wrap ? unknown : in[i].shape);
        if (g->settled) weaken(g->inputs[i], &was);
    }
    g->settled = true;
}

hone_status hone__body_infer(const hone__node *n, const hone__type *in, hone__graph *g)
{
    states st = states_of(n, g);
    hone__shape few[8], *declared = few;
    if (g->output_count > sizeof few / sizeof *few && !(declared = hone__calloc(g->output_count, sizeof *declared)))
        return hone__out_of_memory(g->output_count * sizeof *declared);
    for (size_t i = 0; i < g->output_count; i++) declared[i] = g->outputs[i]->shape;
    set_others(n, in, g, &st);
    begin(in, g, &st);
    hone_status s = settle(g, &st);
    if (s == HONE_OK) declare(g, declared);
    if (declared != few) hone__free(declared);
    return s;
}
