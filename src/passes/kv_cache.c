/* kv_cache.c: Attention over past and new keys and values becomes hone:CachedAttention over caches. */
#include "kv_cache.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "match.h"
#include "ops/eval.h"
#include "parts.h"

enum { KEY = 1, VALUE = 2, PAST_KEY = 4, PAST_VALUE = 5 };

static hone_status not_ours(const char *what)
{
    return hone__fail(HONE_E_UNSUPPORTED, "not a decoder to keep keys and values for: %s", what);
}

static hone__value *new_input(hone__graph *g, const char *name, hone_dtype dtype, int rank, const int64_t *dims)
{
    hone__value *v = hone__value_new(g, name);
    if (!v || hone__graph_add_input(g, v) != HONE_OK) return NULL;
    v->dtype = dtype;
    v->shape.rank = rank;
    for (int i = 0; i < rank; i++) v->shape.dims[i] = dims[i];
    return v;
}

static int output_of(const hone__graph *g, const hone__value *v)
{
    for (size_t i = 0; i < g->output_count; i++)
        if (g->outputs[i] == v) return (int)i;
    return -1;
}

static bool is_past(const hone__value *v)
{
    return v && v->input_index >= 0 && v->use_count == 1 && v->shape.rank == 4;
}
static bool is_present(const hone__value *v) { return v && !v->use_count && v->output_count == 1; }

/* The next of the numbers in *list. */
static bool next_window(const char **list, int64_t *window)
{
    char *end;
    *window = strtoll(*list, &end, 10);
    bool read = end != *list && *window >= 0 && *window <= INT32_MAX;
    *list = end;
    return read;
}

static hone_status set_attrs(hone__node *to, const hone__node *from, int64_t window, int64_t size)
{
    HONE__TRY(hone__node_set_int(to, "q_num_heads", hone__node_int(from, "q_num_heads", 0)));
    HONE__TRY(hone__node_set_int(to, "kv_num_heads", hone__node_int(from, "kv_num_heads", 0)));
    HONE__TRY(hone__node_set_float(to, "scale", hone__node_float(from, "scale", 1 / sqrtf((float)size))));
    HONE__TRY(hone__node_set_float(to, "softcap", hone__node_float(from, "softcap", 0)));
    return hone__node_set_int(to, "window", window);
}

static hone_status keep(hone__node *n, size_t layer, const hone__kv_options *o, int64_t window, hone__value *first,
                        hone__value *before)
{
    hone__graph *g = n->graph;
    hone__value *caches[2];
    for (int i = 0; i < 2; i++) {
        const hone__shape *s = &n->inputs[PAST_KEY + i]->shape;
        char name[64];
        snprintf(name, sizeof name, "hone.cache.%zu.%s", layer, i ? "value" : "key");
        if (s->dims[1] < 1 || s->dims[3] < 1) return not_ours("heads of unknown size");
        int64_t width = s->dims[3] + (o->dtype == HONE_I8 ? (int64_t)sizeof(float) : 0);
        caches[i] = new_input(g, name, o->dtype, 4, (int64_t[]){s->dims[0], s->dims[1], o->capacity, width});
        if (!caches[i]) return HONE_E_MEMORY;
    }
    hone__value *in[] = {n->inputs[0], n->inputs[1], n->inputs[2], caches[0], caches[1], first, before};
    hone__node *kept = hone__node_new(g, n, "hone", "CachedAttention", n->name, in, 7, 1);
    if (!kept) return HONE_E_MEMORY;
    HONE__TRY(set_attrs(kept, n, window, n->inputs[PAST_KEY]->shape.dims[3]));
    kept->outputs[0]->dtype = n->outputs[0]->dtype;
    kept->outputs[0]->shape = n->outputs[0]->shape;
    for (int i = 0; i < 2; i++) hone__graph_drop_output(g, (size_t)output_of(g, n->outputs[1 + i]));
    HONE__TRY(hone__value_replace_uses(n->outputs[0], kept->outputs[0]));
    hone__node_remove(n);
    return HONE_OK;
}

/* x of Transpose(Reshape(x)), from [B, S, heads * size] to [B, heads, S, size]; NULL: it is not that. */
static hone__value *before_split(const hone__value *v)
{
    static const int64_t turned[] = {0, 2, 1, 3};
    size_t count;
    const hone__node *t = v->producer, *r = t && hone__node_is(t, "Transpose") ? t->inputs[0]->producer : NULL;
    const int64_t *perm = r ? hone__node_ints(t, "perm", &count) : NULL;
    if (!perm || count != 4 || memcmp(perm, turned, sizeof turned) || !hone__node_is(r, "Reshape")) return NULL;
    return r->inputs[0]->shape.rank == 3 ? r->inputs[0] : NULL;
}

/* The value that Reshape(Transpose(v)) gives, from [B, heads, S, size] to [B, S, heads * size]; NULL likewise. */
static hone__value *after_join(const hone__value *v)
{
    static const int64_t turned[] = {0, 2, 1, 3};
    size_t count;
    if (!hone__value_single_use(v)) return NULL;
    const hone__node *t = v->uses[0].node;
    const int64_t *perm = hone__node_is(t, "Transpose") ? hone__node_ints(t, "perm", &count) : NULL;
    if (!perm || count != 4 || memcmp(perm, turned, sizeof turned) || !hone__value_single_use(t->outputs[0]))
        return NULL;
    const hone__node *r = t->outputs[0]->uses[0].node;
    return hone__node_is(r, "Reshape") && r->outputs[0]->shape.rank == 3 ? r->outputs[0] : NULL;
}

static bool is_cross(const hone__node *n)
{
    for (int i = KEY; i <= VALUE; i++) {
        const hone__value *v = hone__input(n, i);
        if (!v || v->input_index < 0 || v->use_count != 1 || v->shape.rank != 4) return false;
    }
    return hone__node_is(n, "Attention") && n->input_count == 3 && n->output_count == 1;
}

/* Attention over keys and values that are inputs, of what was encoded. */
static hone_status keep_cross(hone__node *n, hone_dtype dtype, hone__value *seen)
{
    hone__value *q = before_split(n->inputs[0]), *y = after_join(n->outputs[0]);
    if (!q || !y) return not_ours("attention to the encoder between other nodes");
    int64_t heads = n->inputs[KEY]->shape.dims[1], size = n->inputs[KEY]->shape.dims[3];
    if (heads < 1 || size < 1) return not_ours("heads of unknown size");
    hone__value *in[] = {q, NULL, NULL, n->inputs[KEY], n->inputs[VALUE], NULL, seen};
    hone__node *kept = hone__node_new(n->graph, n, "hone", "CachedAttention", n->name, in, 7, 1);
    if (!kept) return HONE_E_MEMORY;
    HONE__TRY(set_attrs(kept, n, 0, size));
    HONE__TRY(hone__node_set_int(kept, "q_num_heads", heads));
    HONE__TRY(hone__node_set_int(kept, "kv_num_heads", heads));
    kept->outputs[0]->dtype = y->dtype;
    kept->outputs[0]->shape = y->shape;
    for (int i = KEY; i <= VALUE; i++) {
        hone__value *v = n->inputs[i];
        v->dtype = dtype;
        v->shape.dims[0] = -1; /* sequences may share it */
        v->shape.dims[3] += dtype == HONE_I8 ? (int64_t)sizeof(float) : 0;
    }
    return hone__value_replace_uses(y, kept->outputs[0]);
}

/* Whether the node tells how long a past is: int64 [1]. */
static bool is_past_length(const hone__node *n)
{
    return hone__node_is(n, "Shape") && hone__node_int(n, "start", 0) == 2 && hone__node_int(n, "end", 0) == 3 &&
           n->inputs[0]->input_index >= 0 && n->inputs[0]->shape.rank == 4;
}

/* The Range that begins at the number in `length`: positions. NULL: there is none. */
static hone__node *range_from(const hone__value *length)
{
    for (size_t i = 0; i < length->use_count; i++) {
        const hone__node *scalar = length->uses[i].node;
        if (!hone__node_is(scalar, "Squeeze")) continue;
        for (size_t k = 0; k < scalar->outputs[0]->use_count; k++) {
            hone__use u = scalar->outputs[0]->uses[k];
            if (hone__node_is(u.node, "Range") && u.input == 0) return u.node;
        }
    }
    return NULL;
}

/* Positions that are counted from the length of the past become an input; that length becomes `before`. */
static hone_status give_positions(hone__graph *g, const hone__value *ids, hone__value *before)
{
    for (hone__node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (!is_past_length(n)) continue;
        hone__node *range = range_from(n->outputs[0]);
        if (range) {
            hone__value *places = new_input(g, "position_ids", HONE_I64, 2, ids->shape.dims);
            if (!places) return HONE_E_MEMORY;
            HONE__TRY(hone__value_replace_uses(range->outputs[0], places));
        }
        HONE__TRY(hone__value_replace_uses(n->outputs[0], before));
        hone__node_remove(n);
    }
    return HONE_OK;
}

/* x in front of the product that ends in the scores, cut to its last row. */
static hone_status cut_rows(hone__graph *g)
{
    static const char *const passed[] = {"Add", "Mul", "Div", "Tanh", "Cast", "Identity"};
    hone__node *n = g->outputs[0]->producer;
    for (size_t i = 0; n && i < sizeof passed / sizeof *passed;) {
        i++;
        if (!hone__node_is(n, passed[i - 1])) continue;
        n = n->inputs[0]->producer;
        i = 0;
    }
    bool product = n && (hone__node_is(n, "MatMul") || hone__node_is_of(n, "com.microsoft", "MatMulNBits"));
    if (!product || n->inputs[0]->shape.rank != 3) return not_ours("the scores are no product");
    const int64_t at[] = {-1, INT64_MAX, 1};
    hone__value *in[4] = {n->inputs[0]};
    for (int i = 0; i < 3; i++) {
        hone__tensor t;
        HONE__TRY(hone__tensor_new(HONE_I64, 1, (int64_t[]){1}, &t));
        *(int64_t *)hone__tensor_write(&t) = at[i];
        if (!(in[1 + i] = hone__value_constant(g, "", &t))) return HONE_E_MEMORY;
    }
    hone__node *slice = hone__node_new(g, n, "", "Slice", "", in, 4, 1);
    return slice ? hone__node_set_input(n, 0, slice->outputs[0]) : HONE_E_MEMORY;
}

static int input_named(const hone__graph *g, const char *name)
{
    for (size_t i = 0; i < g->input_count; i++)
        if (!strcmp(g->inputs[i]->name, name)) return (int)i;
    return -1;
}

/* Where the inputs lie now. A model may use less than all: then some are gone, and it is none of those meant here. */
static hone_status find_inputs(const hone__graph *g, hone__kv_graph *out)
{
    char last[64], name[64];
    snprintf(last, sizeof last, "hone.cache.%zu.value", out->layers - 1);
    out->ids = input_named(g, "input_ids");
    out->positions = input_named(g, "position_ids");
    out->first = input_named(g, "hone.first");
    out->before = input_named(g, "hone.before");
    out->caches = input_named(g, "hone.cache.0.key");
    out->seen = input_named(g, "hone.seen");
    hone__part_name(name, HONE__PART_PAST_CROSS, 0);
    out->cross = input_named(g, name);
    hone__part_name(name, HONE__PART_PAST_CROSS, 2 * out->layers - 1);
    size_t crossed = out->cross >= 0 ? 2 * out->layers + 1 : 0;
    if (g->input_count != 2 * out->layers + 3 + (out->positions >= 0) + crossed || out->ids < 0 || out->first < 0 ||
        out->before < 0 || out->caches < 0 || input_named(g, last) != out->caches + 2 * (int)out->layers - 1 ||
        (out->cross < 0) != (out->seen < 0) ||
        (out->cross >= 0 && input_named(g, name) != out->cross + 2 * (int)out->layers - 1))
        return not_ours("other inputs");
    return HONE_OK;
}

hone_status hone__kv_cache_apply(hone__model *m, const hone__kv_options *o, hone__kv_graph *out)
{
    hone__graph *g = m->graph;
    const char *windows = hone__model_metadata(m, HONE__KEY_WINDOWS);
    int64_t window, batch = -1;
    *out = (hone__kv_graph){0};
    if (!windows) return not_ours("no metadata " HONE__KEY_WINDOWS);
    HONE__TRY(hone__graph_infer(g));
    int ids = input_named(g, "input_ids");
    if (ids < 0 || g->inputs[ids]->shape.rank != 2) return not_ours("no input_ids [batch, tokens]");
    batch = g->inputs[ids]->shape.dims[0];
    hone__value *first = new_input(g, "hone.first", HONE_I64, 1, &batch),
                *before = new_input(g, "hone.before", HONE_I64, 1, (int64_t[]){1});
    hone__value *seen = new_input(g, "hone.seen", HONE_I64, 1, (int64_t[]){1});
    if (!first || !before || !seen) return HONE_E_MEMORY;
    HONE__TRY(give_positions(g, g->inputs[ids], before));
    for (hone__node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (is_cross(n)) HONE__TRY(keep_cross(n, o->dtype, seen));
        if (!hone__node_is(n, "Attention") || !is_past(hone__input(n, PAST_KEY)) ||
            !is_past(hone__input(n, PAST_VALUE)))
            continue;
        if (n->output_count < 3 || !is_present(n->outputs[1]) || !is_present(n->outputs[2]))
            return not_ours("keys and values are no outputs");
        if (!next_window(&windows, &window)) return not_ours("metadata " HONE__KEY_WINDOWS);
        HONE__TRY(keep(n, out->layers++, o, window, first, before));
    }
    if (!out->layers) return not_ours("no Attention with past keys and values");
    hone__graph_sweep(g);
    for (size_t i = g->input_count; i-- > 0;) /* masks and the past */
        if (hone__value_unused(g->inputs[i])) hone__graph_drop_input(g, i);
    if (g->output_count != 1) return not_ours("other outputs than scores");
    HONE__TRY(find_inputs(g, out));
    return o->last_only ? cut_rows(g) : HONE_OK;
}

hone_status hone__kv_store_apply(hone__model *m, hone_dtype dtype, hone__kv_store *out)
{
    hone__graph *g = m->graph;
    char name[64];
    *out = (hone__kv_store){.layers = g->output_count / 2};
    HONE__TRY(hone__graph_infer(g));
    for (size_t i = 0; i < 2 * out->layers; i++) {
        hone__part_name(name, HONE__PART_PRESENT_CROSS, i);
        hone__value *v = g->outputs[i], *x = strcmp(v->name, name) ? NULL : before_split(v);
        if (!x || v->shape.dims[1] < 1 || v->shape.dims[3] < 1) return not_ours("keys and values of the encoder");
        snprintf(name, sizeof name, "hone.cross.%zu", i);
        int64_t width = v->shape.dims[3] + (dtype == HONE_I8 ? (int64_t)sizeof(float) : 0);
        hone__value *in[] = {x,
                             new_input(g, name, dtype, 4, (int64_t[]){v->shape.dims[0], v->shape.dims[1], -1, width})};
        if (!in[1]) return HONE_E_MEMORY;
        /* right behind it, so that its bytes are free again */
        hone__node *n =
            hone__node_new(g, x->producer ? x->producer->next : g->first, "hone", "StoreHeads", "", in, 2, 1);
        if (!n) return HONE_E_MEMORY;
        hone__graph_set_output(g, i, n->outputs[0]);
    }
    hone__graph_sweep(g);
    out->hidden = input_named(g, HONE__PART_HIDDEN);
    out->caches = input_named(g, "hone.cross.0");
    if (!out->layers || out->hidden < 0 || g->input_count != 1 + 2 * out->layers) return not_ours("other inputs");
    return HONE_OK;
}
