/* op_control.c: If and Loop. */
#include <string.h>

#include "subgraph.h"

static hone_status infer_if(hone__infer *x)
{
    static const char *const names[2] = {"then_branch", "else_branch"};
    HONE__TRY(hone__infer_arity(x, 1, 1));
    for (int k = 0; k < 2; k++) {
        const hone__graph *g = hone__node_graph(x->node, names[k]);
        if (!g) return hone__fail(HONE_E_SHAPE, "attribute %s is missing", names[k]);
        if (g->output_count != (size_t)x->output_count)
            return hone__fail(HONE_E_SHAPE, "%s has %zu outputs, the node %d", names[k], g->output_count,
                              x->output_count);
        for (int i = 0; i < x->output_count; i++) {
            hone__type t = {g->outputs[i]->dtype, g->outputs[i]->shape, g->outputs[i]->wrap};
            if (k && (t.wrap ^ x->out[i].wrap) & HONE__OF_SEQUENCE)
                return hone__fail(HONE_E_SHAPE, "output %d is a sequence in one branch only", i);
            if (k)
                hone__type_merge(&x->out[i], &t);
            else
                x->out[i] = t;
        }
    }
    return HONE_OK;
}

static hone_status run_if(hone__run *r)
{
    if (r->in[0]->kind != HONE_KIND_TENSOR || r->in[0]->count != 1)
        return hone__fail(HONE_E_SHAPE, "the condition has %zu values", r->in[0]->count);
    hone__graph *g = hone__node_graph(r->node, hone__tensor_i64(r->in[0], 0) ? "then_branch" : "else_branch");
    size_t count = (size_t)r->output_count;
    const hone__tensor **out = hone__calloc(count + 1, sizeof *out);
    if (!out) return hone__out_of_memory(count);
    hone_status s = r->subgraph(r, g, NULL, 0, out, count);
    for (size_t i = 0; i < count && s == HONE_OK; i++) s = hone__run_output_copy(r, (int)i, out[i]);
    hone__free(out);
    return s;
}
const hone__op hone__op_if = {"", "If", infer_if, NULL, run_if, HONE__OP_SUBGRAPH};

/* Inputs: trip count?, condition?, states; body: iteration, condition, states -> condition, states, collected. */
static hone_status infer_loop(hone__infer *x)
{
    const hone__graph *g = hone__node_graph(x->node, "body");
    if (!g) return hone__fail(HONE_E_SHAPE, "attribute body is missing");
    int states = x->input_count > 2 ? x->input_count - 2 : 0;
    if (g->input_count != (size_t)states + 2 || g->output_count != (size_t)x->output_count + 1 ||
        x->output_count < states)
        return hone__fail(HONE_E_SHAPE, "the body has %zu inputs and %zu outputs for %d states and %d outputs",
                          g->input_count, g->output_count, states, x->output_count);
    for (int i = 0; i < states; i++)
        if (!hone__has_input(x, i + 2)) return hone__fail(HONE_E_SHAPE, "input %d is missing", i + 2);
    for (int i = 0; i < x->output_count; i++) {
        const hone__value *v = g->outputs[i + 1];
        x->out[i].dtype = v->dtype;
        if (i >= states && v->wrap) return hone__fail(HONE_E_SHAPE, "output %d collects what is not a tensor", i);
        x->out[i].wrap = i < states ? v->wrap : 0;
        if (i < states && (x->in[i + 2].wrap ^ v->wrap) & HONE__OF_SEQUENCE)
            return hone__fail(HONE_E_SHAPE, "state %d is a sequence before or after the body only", i);
        if (i < states) HONE__TRY(hone__state_infer(x, i, i + 2, g->inputs[i + 2], v));
        if (i < states || v->shape.rank < 0 || v->shape.rank >= HONE_MAX_RANK) continue;
        x->out[i].shape.rank = v->shape.rank + 1; /* names: a loop of no runs has 0 for them */
        for (int k = 0; k <= v->shape.rank; k++)
            x->out[i].shape.dims[k] = k && v->shape.dims[k - 1] >= 0 ? v->shape.dims[k - 1] : -1;
    }
    return HONE_OK;
}

typedef struct loop {
    hone__run *r;
    hone__graph *body;
    size_t states, outputs; /* outputs: of the node */
    int64_t most;           /* -1: no limit */
    int64_t iteration;
    uint8_t condition;
    hone__keep
        *keep; /* states (of odd iterations), collections, states (of even ones): a body may hand out its input */
    const hone__tensor **in, **out;
    hone__tensor iteration_t, condition_t;
} loop;

static hone_status scalar(const hone__run *r, int i, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (i >= r->input_count || !r->in[i]) return HONE_OK;
    if (r->in[i]->kind != HONE_KIND_TENSOR || r->in[i]->count != 1)
        return hone__fail(HONE_E_SHAPE, "input %d has %zu values, expected one", i, r->in[i]->count);
    *out = hone__tensor_i64(r->in[i], 0);
    return HONE_OK;
}

/* A scalar for a body's input, in the rank that it declares. */
static hone__tensor scalar_tensor(const hone__graph *body, size_t input, hone_dtype dtype, const void *data,
                                  size_t bytes)
{
    hone__tensor t = {
        .dtype = dtype, .data = data, .bytes = bytes, .count = 1, .rank = body->inputs[input]->shape.rank == 1};
    t.dims[0] = 1;
    return t;
}

/* State i as iteration `n` finds it. */
static hone__keep *state(const loop *l, size_t i, int64_t n) { return &l->keep[n & 1 ? i : l->outputs + i]; }

static hone_status iterate(loop *l)
{
    l->iteration_t = scalar_tensor(l->body, 0, HONE_I64, &l->iteration, sizeof l->iteration);
    l->condition_t = scalar_tensor(l->body, 1, HONE_BOOL, &l->condition, sizeof l->condition);
    l->in[0] = &l->iteration_t;
    l->in[1] = &l->condition_t;
    for (size_t i = 0; i < l->states; i++)
        l->in[2 + i] = l->iteration ? &state(l, i, l->iteration)->t : l->r->in[2 + i];
    HONE__TRY(l->r->subgraph(l->r, l->body, l->in, l->states + 2, l->out, l->outputs + 1));
    if (l->out[0]->kind != HONE_KIND_TENSOR || l->out[0]->count != 1)
        return hone__fail(HONE_E_SHAPE, "the body's condition has %zu values", l->out[0]->count);
    l->condition = hone__tensor_i64(l->out[0], 0) != 0;
    for (size_t i = 0; i < l->outputs; i++) {
        if (i < l->states)
            HONE__TRY(hone__keep_copy(state(l, i, l->iteration + 1), l->out[i + 1]));
        else
            HONE__TRY(hone__keep_row(&l->keep[i], l->out[i + 1]));
    }
    l->iteration++;
    return HONE_OK;
}

static hone_status collect(loop *l, size_t i)
{
    hone__keep *k = &l->keep[i];
    hone__tensor t = k->t;
    const hone__value *v = l->body->outputs[i + 1];
    if (!k->rows) { /* no run told the row's shape: the body's declaration does, unknown sizes are 0 */
        t.dtype = v->dtype;
        t.rank = v->shape.rank < 0 ? 0 : v->shape.rank;
        for (int a = 0; a < t.rank; a++) t.dims[a] = v->shape.dims[a] < 0 ? 0 : v->shape.dims[a];
    }
    if (t.rank >= HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank over %d", HONE_MAX_RANK);
    memmove(t.dims + 1, t.dims, (size_t)t.rank * sizeof *t.dims);
    t.dims[0] = k->rows;
    t.rank++;
    HONE__TRY(hone__shape_bytes(t.dtype, t.rank, t.dims, &t.count, &t.bytes));
    return hone__run_output_copy(l->r, (int)i, &t);
}

static hone_status run_all(loop *l)
{
    while (l->condition && (l->most < 0 || l->iteration < l->most)) HONE__TRY(iterate(l));
    for (size_t i = 0; i < l->outputs; i++) {
        if (i >= l->states)
            HONE__TRY(collect(l, i));
        else
            HONE__TRY(
                hone__run_output_copy(l->r, (int)i, l->iteration ? &state(l, i, l->iteration)->t : l->r->in[2 + i]));
    }
    return HONE_OK;
}

static hone_status run_loop(hone__run *r)
{
    int64_t condition;
    loop l = {.r = r,
              .body = hone__node_graph(r->node, "body"),
              .states = r->input_count > 2 ? (size_t)r->input_count - 2 : 0,
              .outputs = (size_t)r->output_count};
    HONE__TRY(scalar(r, 0, -1, &l.most));
    HONE__TRY(scalar(r, 1, 1, &condition));
    bool limited = r->input_count > 0 && r->in[0];
    if (limited && l.most < 0) l.most = 0;
    l.condition = condition != 0;
    l.keep = hone__keep_new(l.outputs + l.states);
    l.in = hone__calloc(l.states + 2 + l.outputs + 1, sizeof *l.in);
    l.out = l.in ? l.in + l.states + 2 : NULL;
    hone_status s = l.keep && l.in ? run_all(&l) : hone__out_of_memory(l.outputs * sizeof *l.keep);
    hone__keep_free(l.keep, l.outputs + l.states);
    hone__free(l.in);
    return s;
}
const hone__op hone__op_loop = {"", "Loop", infer_loop, NULL, run_loop, HONE__OP_SUBGRAPH};
