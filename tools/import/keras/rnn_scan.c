/* rnn_scan.c: recurrent layers as a Scan, for masks, unusual activations, wrapped and stacked cells. */
#include <string.h>

#include "keras_rnn.h"

static hone__value *make_node(kctx *c, hone__value **in, int n, int out_count, hone__graph **body, hone__node **node)
{
    char name[256];
    const char *scope = hone__arena_printf(&c->arena, "%sscan", c->b.scope ? c->b.scope : "");
    strncpy(name, scope ? scope : "scan", sizeof name - 1);
    name[sizeof name - 1] = 0;
    *node = hone__node_new(c->b.graph, NULL, "", "Scan", name, in, n, out_count);
    if (!*node || hone__graph_new(c->b.graph->model, *node, body) != HONE_OK) {
        hone__builder_fail(&c->b, hone__out_of_memory(sizeof **node));
        return NULL;
    }
    return (*node)->outputs[0];
}

static hone__value *body_input(kctx *c, const char *name, hone_dtype dtype)
{
    const char *full = hone__arena_printf(&c->arena, "%s%s", c->b.scope ? c->b.scope : "", name);
    hone__value *v = full ? hone__value_new(c->b.graph, full) : NULL;
    if (!v || hone__graph_add_input(c->b.graph, v) != HONE_OK) {
        hone__builder_fail(&c->b, hone__out_of_memory(sizeof *v));
        return NULL;
    }
    v->dtype = dtype;
    v->shape.rank = -1;
    return v;
}

/* A body's outputs must be values of its own, each once. */
static void body_output(kctx *c, hone__value *v, hone_dtype dtype)
{
    if (c->b.status != HONE_OK) return;
    v = hone__k1(c, "Identity", v);
    if (v) v->dtype = dtype, v->shape.rank = -1;
    if (!v || hone__graph_add_output(c->b.graph, v) != HONE_OK)
        hone__builder_fail(&c->b, hone__out_of_memory(sizeof *v));
}

/* mask: [batch] bool -> chooses rows of `fresh` or `old`, which have `rank` axes. */
static hone__value *choose(kctx *c, hone__value *mask, hone__value *fresh, hone__value *old, int rank)
{
    int64_t axes[HONE_MAX_RANK];
    for (int i = 1; i < rank; i++) axes[i - 1] = i;
    hone__value *m = hone__k2(c, "Unsqueeze", mask, hone__k_ints(c, axes, (size_t)rank - 1));
    return hone__emit(&c->b, "Where", "masked", HONE__INS(m, fresh, old), HONE__NO_ATTRS);
}

/* Batch-first -> time-first, reversed when read backwards. */
static hone__value *time_first(kctx *c, hone__value *x, int rank, bool backwards)
{
    int64_t perm[HONE_MAX_RANK] = {1, 0};
    for (int i = 2; i < rank; i++) perm[i] = i;
    x = hone__k_transpose(c, x, rank, perm);
    return backwards ? hone__k_slice(c, x, 0, INT64_MAX, INT64_MIN, -1) : x;
}

bool hone__krun_scan(kctx *c, kstep_fn step, void *ctx, kt *x, hone__value *const *states, int n, int out_rank,
                     hone__value *zero_output, const krun *run, hone__value **y, hone__value **final)
{
    hone__value *in[2 * MAX_CELLS + 4], *inside[2 * MAX_CELLS + 4], *next[2 * MAX_CELLS];
    hone__graph *outer = c->b.graph, *body;
    hone__node *node;
    kcached *constants = c->constants;
    int count = 0, scans = run->mask ? 2 : 1;
    /* Keras's unrolled loop holds the steps, then clears them by the mask as it is, even when it reads backwards. */
    bool late = run->mask && run->zero_masked && run->unroll && run->backwards && run->sequences;
    for (int i = 0; i < n; i++) in[count++] = states[i];
    if (run->mask) in[count++] = zero_output; /* the output of the step before */
    int carried = count;
    in[count++] = time_first(c, hone__kt_f32(c, x), x->rank, run->backwards);
    if (run->mask)
        in[count++] = time_first(c, hone__kt_plain(c, hone__kt_cast(c, run->mask, HONE_BOOL)), 2, run->backwards);
    if (c->b.status != HONE_OK || !make_node(c, in, count, carried + 1, &body, &node)) return false;
    c->b.graph = body, c->constants = NULL;
    for (int i = 0; i < count; i++)
        inside[i] = body_input(c,
                               i < carried    ? "state"
                               : i == carried ? "x"
                                              : "on",
                               i == carried + 1 ? HONE_BOOL : HONE_F32);
    hone__value *out = c->b.status == HONE_OK ? step(c, ctx, inside[carried], inside, next) : NULL;
    if (run->mask && c->b.status == HONE_OK) {
        hone__value *on = inside[carried + 1];
        hone__value *zero = hone__k_scalar(c, 0, HONE_F32);
        out = choose(c, on, out, run->zero_masked && !late ? zero : inside[n], out_rank);
        for (int i = 0; i < n; i++) next[i] = choose(c, on, next[i], inside[i], out_rank);
    }
    for (int i = 0; i < n && c->b.status == HONE_OK; i++) body_output(c, next[i], HONE_F32);
    if (run->mask) body_output(c, out, HONE_F32);
    body_output(c, out, HONE_F32);
    c->b.graph = outer, c->constants = constants;
    hone__attr attrs[2] = {{.name = "body", .kind = HONE__ATTR_GRAPH, .g = body},
                           hone__a_int("num_scan_inputs", scans)};
    for (int i = 0; i < 2 && c->b.status == HONE_OK; i++)
        hone__builder_fail(&c->b, hone__node_set_attr(node, &attrs[i]));
    if (c->b.status != HONE_OK) return false;
    for (int i = 0; i < n; i++) final[i] = node->outputs[i];
    hone__value *all = node->outputs[carried]; /* [time, batch, ...] */
    if (late) {
        hone__value *on = time_first(c, hone__kt_plain(c, hone__kt_cast(c, run->mask, HONE_BOOL)), 2, false);
        int64_t axes[HONE_MAX_RANK];
        for (int i = 2; i <= out_rank; i++) axes[i - 2] = i;
        on = hone__k2(c, "Unsqueeze", on, hone__k_ints(c, axes, (size_t)out_rank - 1));
        all = hone__emit(&c->b, "Where", "masked", HONE__INS(on, all, hone__k_scalar(c, 0, HONE_F32)), HONE__NO_ATTRS);
    }
    if (run->sequences && run->backwards && run->aligned) all = hone__k_slice(c, all, 0, INT64_MAX, INT64_MIN, -1);
    if (run->sequences)
        *y = time_first(c, all, out_rank + 1, false);
    else
        *y = hone__k_squeeze(c, hone__k_slice(c, all, 0, -1, INT64_MAX, 1), 0);
    return c->b.status == HONE_OK;
}

hone__value *hone__kscan_fold(kctx *c, const char *op, hone__value *start, hone__value *x, hone_dtype dtype)
{
    hone__value *in[2] = {start, x};
    hone__graph *outer = c->b.graph, *body;
    hone__node *node;
    if (c->b.status != HONE_OK || !make_node(c, in, 2, 1, &body, &node)) return NULL;
    c->b.graph = body;
    hone__value *state = body_input(c, "state", dtype), *one = body_input(c, "x", dtype);
    if (c->b.status == HONE_OK) body_output(c, hone__k2(c, op, state, one), dtype);
    c->b.graph = outer;
    hone__attr attrs[2] = {{.name = "body", .kind = HONE__ATTR_GRAPH, .g = body}, hone__a_int("num_scan_inputs", 1)};
    for (int i = 0; i < 2 && c->b.status == HONE_OK; i++)
        hone__builder_fail(&c->b, hone__node_set_attr(node, &attrs[i]));
    return c->b.status == HONE_OK ? node->outputs[0] : NULL;
}

/* ---- cells ---- */

static kt *wrap(kctx *c, hone__value *v, int64_t units)
{
    return hone__kt_new(c, K_PLAIN, v, HONE_F32, 2, (int64_t[]){-1, units});
}

static hone__value *activate(kctx *c, kcell *cell, bool gate, hone__value *v)
{
    const json_t *spec = gate ? hone__kcfg(cell->l, "recurrent_activation") : hone__kcfg(cell->l, "activation");
    kt *t = wrap(c, v, cell->units);
    bool absent = !gate && !json_object_get(cell->l->config, "activation");
    if (gate && !spec)
        t = hone__k_named_activation(c, c->keras_major >= 3 ? "sigmoid" : "hard_sigmoid", NULL, t);
    else if (absent)
        t = hone__k_named_activation(c, "tanh", NULL, t);
    else
        t = hone__k_activation(c, cell->l, spec, t);
    return hone__kt_plain(c, t);
}

static void split(kctx *c, hone__value *v, int n, hone__value **out)
{
    hone__emit_multi(&c->b, "Split", "gates", HONE__INS(v),
                     HONE__ATTRS(hone__a_int("axis", 1), hone__a_int("num_outputs", n)), out, n);
}

static hone__value *step_lstm(kctx *c, kcell *e, hone__value *x, hone__value *const *s, hone__value **next)
{
    hone__value *g[4], *z = hone__k2(c, "Add", hone__k2(c, "MatMul", x, e->vk), hone__k2(c, "MatMul", s[0], e->vr));
    split(c, hone__k2(c, "Add", z, e->vb[0]), 4, g);
    hone__value *in = activate(c, e, true, g[0]), *forget = activate(c, e, true, g[1]),
                *fresh = activate(c, e, false, g[2]), *out = activate(c, e, true, g[3]);
    next[1] = hone__k2(c, "Add", hone__k2(c, "Mul", forget, s[1]), hone__k2(c, "Mul", in, fresh));
    return next[0] = hone__k2(c, "Mul", out, activate(c, e, false, next[1]));
}

static hone__value *step_gru(kctx *c, kcell *e, hone__value *x, hone__value *const *s, hone__value **next)
{
    hone__value *mx[3], *mh[3], *fresh;
    split(c, hone__k2(c, "Add", hone__k2(c, "MatMul", x, e->vk), e->vb[0]), 3, mx);
    if (e->reset_after)
        split(c, hone__k2(c, "Add", hone__k2(c, "MatMul", s[0], e->vr), e->vb[1]), 3, mh);
    else
        split(c, hone__k2(c, "MatMul", s[0], e->vr_zr), 2, mh);
    hone__value *z = activate(c, e, true, hone__k2(c, "Add", mx[0], mh[0])),
                *r = activate(c, e, true, hone__k2(c, "Add", mx[1], mh[1]));
    if (e->reset_after)
        fresh = hone__k2(c, "Mul", r, mh[2]);
    else
        fresh = hone__k2(c, "MatMul", hone__k2(c, "Mul", r, s[0]), e->vr_h);
    fresh = activate(c, e, false, hone__k2(c, "Add", mx[2], fresh));
    hone__value *rest = hone__k2(c, "Sub", hone__k_scalar(c, 1, HONE_F32), z);
    return next[0] = hone__k2(c, "Add", hone__k2(c, "Mul", z, s[0]), hone__k2(c, "Mul", rest, fresh));
}

static hone__value *step_simple(kctx *c, kcell *e, hone__value *x, hone__value *const *s, hone__value **next)
{
    hone__value *z = hone__k2(c, "Add", hone__k2(c, "MatMul", x, e->vk), hone__k2(c, "MatMul", s[0], e->vr));
    return next[0] = activate(c, e, false, hone__k2(c, "Add", z, e->vb[0]));
}

/* A weight of the loop, once for all calls of the cell. */
static hone__value *weight(kctx *c, kcell *e, const char *name, const float *v, int rank, const int64_t *dims)
{
    hone__value *known = hone__kw_cached(e->l, e->l, name);
    if (known || c->b.status != HONE_OK) return known;
    hone__kw_remember(c, e->l, e->l, name, known = hone__emit_f32(&c->b, name, v, rank, dims));
    return known;
}

static void emit_cell(kctx *c, kcell *e)
{
    int64_t wide = e->units * e->gates, dims[2] = {e->in, wide}, u = e->units;
    e->vk = weight(c, e, "kernel", e->k, 2, dims);
    dims[0] = u;
    e->vr = weight(c, e, "recurrent_kernel", e->r, 2, dims);
    e->vb[0] = weight(c, e, "bias", e->b, 1, &wide);
    e->vb[1] = weight(c, e, "recurrent_bias", e->b + wide, 1, &wide);
    if (e->type != CELL_GRU || e->reset_after) return;
    float *zr = hone__k_alloc(c, (size_t)(u * u) * 2 * sizeof *zr), *h = hone__k_alloc(c, (size_t)(u * u) * sizeof *h);
    if (!zr || !h) return;
    for (int64_t i = 0; i < u; i++) {
        memcpy(zr + i * 2 * u, e->r + i * wide, (size_t)u * 2 * sizeof *zr);
        memcpy(h + i * u, e->r + i * wide + 2 * u, (size_t)u * sizeof *h);
    }
    e->vr_zr = weight(c, e, "recurrent_kernel_zr", zr, 2, (int64_t[]){u, 2 * u});
    e->vr_h = weight(c, e, "recurrent_kernel_h", h, 2, (int64_t[]){u, u});
}

typedef struct stack {
    kcell *cells;
    int n;
} stack;

static hone__value *step_stack(kctx *c, void *ctx, hone__value *x, hone__value *const *states, hone__value **next)
{
    stack *s = ctx;
    for (int i = 0; i < s->n; i++) {
        kcell *e = &s->cells[i];
        x = e->type == CELL_LSTM  ? step_lstm(c, e, x, states, next)
            : e->type == CELL_GRU ? step_gru(c, e, x, states, next)
                                  : step_simple(c, e, x, states, next);
        states += e->states, next += e->states;
    }
    return x;
}

static hone__value *zeros(kctx *c, kt *x, int64_t units)
{
    hone__value *parts[2] = {hone__k_shape_of(c, hone__kt_plain(c, x), 0, 1), hone__k_int(c, units)};
    return hone__k2(c, "Expand", hone__k_scalar(c, 0, HONE_F32), hone__k_concat(c, parts, 2, 0));
}

bool hone__krun_cells(kctx *c, kcell *cells, int n, kt *x, const krun *run, kcall *call)
{
    hone__value *states[2 * MAX_CELLS], *final[2 * MAX_CELLS], *y;
    int64_t sizes[2 * MAX_CELLS], units = cells[n - 1].units;
    int count = 0;
    if (x->rank != 3)
        return hone__k_shape_error(c, "input of shape %s, expected 3 dimensions", hone__k_dims(c, x)) == HONE_OK;
    for (int i = 0; i < n; i++) {
        emit_cell(c, &cells[i]);
        for (int k = 0; k < cells[i].states; k++) sizes[count++] = cells[i].units;
    }
    if (run->initial && run->initial_count != count)
        return hone__k_shape_error(c, "%d initial states for %d", run->initial_count, count) == HONE_OK;
    for (int i = 0; i < count; i++) states[i] = run->initial ? hone__kt_f32(c, run->initial[i]) : zeros(c, x, sizes[i]);
    stack s = {cells, n};
    if (!hone__krun_scan(c, step_stack, &s, x, states, count, 2, run->mask ? zeros(c, x, units) : NULL, run, &y, final))
        return false;
    int64_t seq[3] = {x->dims[0], x->dims[1], units}, last[2] = {x->dims[0], units};
    call->out[0] =
        run->sequences ? hone__kt_new(c, K_PLAIN, y, HONE_F32, 3, seq) : hone__kt_new(c, K_PLAIN, y, HONE_F32, 2, last);
    call->out_count = 1;
    for (int i = 0; run->state && i < count; i++)
        call->out[call->out_count++] =
            hone__kt_new(c, K_PLAIN, final[i], HONE_F32, 2, (int64_t[]){x->dims[0], sizes[i]});
    return c->b.status == HONE_OK;
}

hone_status hone__krun_step(kctx *c, kcell *cells, int n, kt *x, const krun *run, kcall *call)
{
    hone__value *states[2 * MAX_CELLS], *next[2 * MAX_CELLS];
    int64_t sizes[2 * MAX_CELLS];
    int count = 0;
    for (int i = 0; i < n; i++) {
        emit_cell(c, &cells[i]);
        for (int k = 0; k < cells[i].states; k++) sizes[count++] = cells[i].units;
    }
    if (run->initial_count != count) return hone__k_shape_error(c, "%d states, expected %d", run->initial_count, count);
    for (int i = 0; i < count; i++) {
        const kt *s = run->initial[i];
        if (s->rank != 2 || (s->dims[1] >= 0 && s->dims[1] != sizes[i]))
            return hone__k_shape_error(c, "a state of shape %s for %lld units", hone__k_dims(c, s),
                                       (long long)sizes[i]);
        states[i] = hone__kt_f32(c, run->initial[i]);
    }
    stack s = {cells, n};
    hone__value *y = step_stack(c, &s, hone__kt_f32(c, x), states, next);
    call->out[call->out_count++] =
        hone__kt_new(c, K_PLAIN, y, HONE_F32, 2, (int64_t[]){x->dims[0], cells[n - 1].units});
    for (int i = 0; i < count; i++)
        call->out[call->out_count++] =
            hone__kt_new(c, K_PLAIN, next[i], HONE_F32, 2, (int64_t[]){x->dims[0], sizes[i]});
    return c->b.status;
}
