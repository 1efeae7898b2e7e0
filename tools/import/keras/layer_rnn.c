/* layer_rnn.c: SimpleRNN, GRU, LSTM, RNN around cells, Bidirectional and TimeDistributed. */
#include <stdlib.h>
#include <string.h>

#include "keras_model.h"
#include "keras_rnn.h"

typedef struct gather {
    kctx *c;
    kcall *call;
    kt **list;
    int n;
} gather;

static void add_state(void *ctx, const kref *ref)
{
    gather *g = ctx;
    knode *n = hone__kmodel_node(g->call->model, ref);
    if (n && n->state == 2 && ref->tensor >= 0 && ref->tensor < n->out_count && g->n < 2 * MAX_CELLS)
        g->list[g->n++] = n->out[ref->tensor];
}

/* States among the keyword arguments or behind the first input. */
static void read_states(kctx *c, kcall *call, const char *keyword, krun *run)
{
    const json_t *given = json_object_get(call->kwargs, keyword);
    gather g = {c, call, hone__k_alloc(c, 2 * MAX_CELLS * sizeof(kt *)), 0};
    if (!g.list) return;
    if (given && call->model) hone__kref_walk(call->model, given, add_state, &g);
    for (int i = 1; g.n == 0 && i < call->in_count && i <= 2 * MAX_CELLS; i++) g.list[i - 1] = call->in[i];
    if (g.n == 0 && call->in_count > 1) g.n = call->in_count - 1;
    if (g.n) run->initial = g.list, run->initial_count = g.n;
    if (given && !json_is_null(given) && !g.n) hone__k_refuse(c, "initial states that are not outputs of layers");
}

void hone__krun_read(kctx *c, const klayer *l, kcall *call, krun *run)
{
    memset(run, 0, sizeof *run);
    run->backwards = hone__kcfg_bool(l, "go_backwards", false);
    run->sequences = hone__kcfg_bool(l, "return_sequences", false);
    run->state = hone__kcfg_bool(l, "return_state", false);
    run->zero_masked = hone__kcfg_bool(l, "zero_output_for_mask", false);
    run->unroll = hone__kcfg_bool(l, "unroll", false);
    run->mask = hone__kcall_mask(c, call, "mask", 0);
    read_states(c, call, "initial_state", run);
}

/* The cells in a list of settings, stacked in `owner`. */
static int load_stack(kctx *c, klayer *owner, const json_t *list, int64_t in, kcell *cells)
{
    size_t n = json_array_size(list);
    if (n < 1 || n > MAX_CELLS || hone__kcfg_bool(owner, "reverse_state_order", false)) {
        hone__k_refuse(c, "%zu stacked cells: 1 to %d are possible, states in the order of cells", n, MAX_CELLS);
        return 0;
    }
    json_t *names = json_object();
    if (c->made) json_array_append_new(c->made, names);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        const char *class_name = hone__json_text(one, "class_name");
        klayer *inner = hone__klayer_child_of(c, owner, one, "a stacked cell", "");
        if (!inner || !class_name) return 0;
        if (!c->weights_root) { /* cells/lstm_cell, cells/lstm_cell_1, ... */
            ksource at = owner->source;
            inner->source = hone__kw_source(c, &at, class_name, inner->name, names);
            const char *tail = strrchr(inner->source.prefix, '/');
            inner->source.prefix = hone__arena_printf(&c->arena, "%s/cells%s", owner->source.prefix, tail ? tail : "");
            if (!inner->source.prefix) return 0;
        }
        if (!hone__kcell_load(c, inner, "", inner, in, &cells[i])) return 0;
        in = cells[i].units;
    }
    return (int)n;
}

/* The cells of an RNN layer, or of a cell that is a layer of its own, from its settings. */
static int load_cells(kctx *c, klayer *l, int64_t in, kcell *cells)
{
    const char *s = l->class_name;
    size_t n = strlen(s);
    klayer *cell = l;
    if (strcmp(s, "RNN") == 0) {
        const json_t *entry = hone__kcfg(l, "cell");
        if (json_is_array(entry)) return load_stack(c, l, entry, in, cells); /* a list is stacked */
        if (!(cell = hone__klayer_child(c, l, "cell", "cell"))) return 0;
    } else if (n < 4 || strcmp(s + n - 4, "Cell") != 0)
        if (strcmp(s, "StackedRNNCells") != 0) return hone__kcell_load(c, l, "cell", l, in, &cells[0]) ? 1 : 0;
    if (strcmp(cell->class_name, "StackedRNNCells") == 0)
        return load_stack(c, cell, json_object_get(cell->config, "cells"), in, cells);
    return hone__kcell_load(c, cell, "", cell, in, &cells[0]) ? 1 : 0;
}

/* One step: a cell called by the model itself on a value and its states. */
hone_status hone__klayer_cell(kctx *c, klayer *l, kcall *call)
{
    kcell cells[MAX_CELLS];
    krun run = {0};
    kt *x = call->in[0];
    read_states(c, call, "states", &run);
    if (x->rank != 2) return hone__k_shape_error(c, "input of shape %s, expected 2 dimensions", hone__k_dims(c, x));
    int n = load_cells(c, l, x->dims[1], cells);
    if (n == 0 || c->b.status != HONE_OK) return c->b.status;
    return hone__krun_step(c, cells, n, x, &run, call);
}

static kt *flipped(kctx *c, kt *t, int axis)
{
    return hone__kt_like(c, t, K_PLAIN, hone__k_slice(c, hone__kt_plain(c, t), axis, INT64_MAX, INT64_MIN, -1));
}

/* [time, batch, ...] <-> [batch, time, ...] */
static kt *major_swapped(kctx *c, kt *t)
{
    int64_t perm[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    if (!t || t->rank < 2) return t;
    for (int i = 0; i < t->rank; i++) perm[i] = i < 2 ? 1 - i : i, dims[i] = t->dims[perm[i]];
    return hone__kt_new(c, K_PLAIN, hone__k_transpose(c, hone__kt_plain(c, t), t->rank, perm), t->dtype, t->rank, dims);
}

static hone_status run_batch_major(kctx *c, klayer *l, kcall *call, kt *x, const krun *run)
{
    kcell cells[MAX_CELLS];
    int n = load_cells(c, l, x->dims[2], cells);
    if (n == 0 || c->b.status != HONE_OK) return c->b.status;
    int states = 0;
    for (int i = 0; i < n; i++) states += cells[i].states;
    if (run->initial && run->initial_count != states)
        return hone__k_shape_error(c, "%d initial states, expected %d", run->initial_count, states);
    for (int i = 0; run->initial && i < states; i++)
        if (run->initial[i]->rank != 2)
            return hone__k_shape_error(c, "an initial state of shape %s", hone__k_dims(c, run->initial[i]));
    if (n == 1 && hone__krun_native(c, &cells[0], x, run, call)) return c->b.status;
    hone__krun_cells(c, cells, n, x, run, call);
    return c->b.status;
}

static hone_status run_layer(kctx *c, klayer *l, kcall *call, const krun *run)
{
    kt *x = call->in[0];
    krun inner = *run;
    if (x->rank != 3) return hone__k_shape_error(c, "input of shape %s, expected 3 dimensions", hone__k_dims(c, x));
    bool time_major = hone__kcfg_bool(l, "time_major", false);
    if (time_major) x = major_swapped(c, x), inner.mask = major_swapped(c, run->mask);
    if (!x) return c->b.status;
    HONE__TRY(run_batch_major(c, l, call, x, &inner));
    if (time_major && run->sequences) call->out[0] = major_swapped(c, call->out[0]);
    if (call->out[0] && run->sequences && run->mask) call->out[0]->mask = run->mask;
    return c->b.status;
}

hone_status hone__klayer_rnn(kctx *c, klayer *l, kcall *call)
{
    krun run;
    hone__krun_read(c, l, call, &run);
    return c->b.status == HONE_OK ? run_layer(c, l, call, &run) : c->b.status;
}

/* ---- Bidirectional ---- */

static kt *join(kctx *c, const char *mode, kt *a, kt *b)
{
    if (!a || !b || !mode) return NULL;
    if (strcmp(mode, "concat") == 0) {
        int64_t dims[HONE_MAX_RANK];
        memcpy(dims, a->dims, sizeof dims);
        dims[a->rank - 1] += b->dims[b->rank - 1];
        hone__value *in[2] = {hone__kt_plain(c, a), hone__kt_plain(c, b)};
        return hone__kt_new(c, K_PLAIN, hone__k_concat(c, in, 2, a->rank - 1), HONE_F32, a->rank, dims);
    }
    if (strcmp(mode, "sum") == 0) return hone__k_binary(c, "Add", a, b);
    if (strcmp(mode, "mul") == 0) return hone__k_binary(c, "Mul", a, b);
    if (strcmp(mode, "ave") == 0) {
        kt *y = hone__k_binary(c, "Add", a, b);
        return hone__kt_like(c, y, K_PLAIN, hone__k2(c, "Mul", hone__kt_plain(c, y), hone__k_scalar(c, 0.5, HONE_F32)));
    }
    hone__k_refuse(c, "merge_mode '%s'", mode);
    return NULL;
}

/* tf.keras gives 0 for masked steps of a sequence, whatever the layer says; Keras 2.0 to 2.3 and Keras 3 do not. */
static bool zeroes_masked(const kctx *c)
{
    const char *version = c->report->keras_version;
    if (c->keras_major != 2) return false;
    return strstr(version, "-tf") || version[0] != '2' || strtol(version + 1 + (version[1] == '.'), NULL, 10) >= 4;
}

hone_status hone__klayer_bidirectional(kctx *c, klayer *l, kcall *call)
{
    const json_t *mode = json_object_get(l->config, "merge_mode");
    klayer *forward = hone__klayer_child(c, l, "layer", "forward_layer"), *backward = NULL;
    if (!forward) return c->b.status;
    if (hone__kcfg(l, "backward_layer"))
        backward = hone__klayer_child(c, l, "backward_layer", "backward_layer");
    else { /* the same settings with weights of its own */
        backward = hone__klayer_child_of(c, l, json_object_get(l->config, "layer"), "layer", "forward_layer");
        klayer *copy = hone__k_alloc(c, sizeof *copy);
        if (!copy || !backward) return c->b.status;
        *copy = *backward;
        copy->source = hone__kw_sub(c, l, "backward_layer");
        copy->cache = NULL, copy->children = NULL, copy->child_count = 0;
        backward = copy;
    }
    if (!backward) return c->b.status;
    if (!forward->kind || forward->kind->fn != hone__klayer_rnn)
        return hone__k_refuse(c, "Bidirectional around a layer of class %s", forward->class_name);
    krun run;
    hone__krun_read(c, forward, call, &run);
    kcall one = {.model = call->model, .in = call->in, .in_count = 1}, two = one;
    if (run.sequences && zeroes_masked(c)) run.zero_masked = true;
    krun fwd = run, bwd = run;
    bwd.backwards = !run.backwards;
    fwd.aligned = false, bwd.aligned = true;
    if (run.initial) {
        if (run.initial_count % 2) return hone__k_shape_error(c, "%d initial states", run.initial_count);
        fwd.initial_count = bwd.initial_count = run.initial_count / 2;
        bwd.initial = run.initial + run.initial_count / 2;
    }
    HONE__TRY(run_layer(c, forward, &one, &fwd));
    const char *outer = c->b.scope;
    c->b.scope = hone__arena_printf(&c->arena, "%sbackward/", outer ? outer : "");
    hone_status status = run_layer(c, backward, &two, &bwd);
    c->b.scope = outer;
    HONE__TRY(status);
    if (run.backwards && run.sequences) /* the second one reads forwards then, and is turned around as ever */
        two.out[0] = flipped(c, two.out[0], hone__kcfg_bool(forward, "time_major", false) ? 0 : 1);
    int n = 0;
    if (json_is_null(mode))
        call->out[n++] = one.out[0], call->out[n++] = two.out[0];
    else
        call->out[n++] = join(c, json_is_string(mode) ? json_string_value(mode) : "concat", one.out[0], two.out[0]);
    for (int i = 1; i < one.out_count; i++) call->out[n++] = one.out[i];
    for (int i = 1; i < two.out_count; i++) call->out[n++] = two.out[i];
    call->out_count = n;
    if (run.mask && run.sequences && call->out[0]) call->out[0]->mask = run.mask;
    return c->b.status;
}

/* ---- TimeDistributed: batch and time become one axis around the layer ---- */

/* `head`, then the axes from `first` on of `v`, whose dims are given where they are known. */
static hone__value *joined_shape(kctx *c, hone__value *head, hone__value *v, int first, int rank, const int64_t *dims)
{
    bool known = true;
    for (int i = first; i < rank; i++) known = known && dims[i] >= 0;
    if (first >= rank) return head;
    hone__value *parts[2] = {head, known ? hone__k_ints(c, dims + first, (size_t)(rank - first))
                                         : hone__k_shape_of(c, v, first, rank)};
    return hone__k_concat(c, parts, 2, 0);
}

hone_status hone__klayer_time_distributed(kctx *c, klayer *l, kcall *call)
{
    kt *t = call->in[0];
    klayer *inner = hone__klayer_child(c, l, "layer", "layer");
    int64_t dims[HONE_MAX_RANK] = {-1};
    if (!inner) return c->b.status;
    if (t->rank < 3)
        return hone__k_shape_error(c, "input of shape %s, expected at least 3 dimensions", hone__k_dims(c, t));
    bool dense = strcmp(inner->class_name, "Dense") == 0 || strcmp(inner->class_name, "Activation") == 0 ||
                 (inner->kind && inner->kind->flags & K_IDENTITY);
    if (dense) { /* acts on the last axis anyway */
        kt *y = hone__klayer_apply(c, inner, t);
        if (y && !y->mask) y->mask = t->mask;
        return hone__k_return(c, call, y);
    }
    for (int i = 2; i < t->rank; i++) dims[i - 1] = t->dims[i];
    hone__value *x = hone__kt_plain(c, t), *ends;
    hone__value *joined = joined_shape(c, hone__k_int(c, -1), x, 2, t->rank, t->dims);
    kt *flat = hone__kt_new(c, K_PLAIN, hone__k2(c, "Reshape", x, joined), t->dtype, t->rank - 1, dims);
    kt *y = hone__klayer_apply(c, inner, flat);
    if (!y) return c->b.status;
    if (y->rank >= 8) return hone__k_refuse(c, "an inner result of shape %s", hone__k_dims(c, y));
    int64_t out[HONE_MAX_RANK] = {t->dims[0], t->dims[1]};
    for (int i = 1; i < y->rank; i++) out[i + 1] = y->dims[i];
    hone__value *v = hone__kt_plain(c, y);
    if (t->dims[1] >= 0 && hone__kt_known(y, 1))
        ends = hone__k_ints(c, (int64_t[]){-1, t->dims[1]}, 2);
    else
        ends = hone__k_shape_of(c, x, 0, 2);
    v = hone__k2(c, "Reshape", v, joined_shape(c, ends, v, 1, y->rank, y->dims));
    kt *result = hone__kt_new(c, K_PLAIN, v, y->dtype, y->rank + 1, out);
    if (result) result->mask = t->mask;
    return hone__k_return(c, call, result);
}
