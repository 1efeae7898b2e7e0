/* random_body.h: If, Loop and Scan whose branches and bodies are random graphs that read values of those around them.
 */
#ifndef HONE_TESTS_RANDOM_BODY_H
#define HONE_TESTS_RANDOM_BODY_H

#include "random_nodes.h"

enum { BODY_DEPTH = 2 };

static hone_status draw_node(draw *d);

/* Where a body was begun. */
typedef struct body_start {
    hone__graph *outer;
    int count;
} body_start;

static body_start body_begin(draw *d)
{
    body_start s = {d->b.graph, d->count};
    hone__graph *g;
    hone_status status = hone__graph_new(s.outer->model, NULL, &g);
    if (status == HONE_OK)
        d->b.graph = g;
    else
        hone__builder_fail(&d->b, status);
    d->depth++;
    return s;
}

static hone__graph *body_end(draw *d, const body_start *s)
{
    hone__graph *g = d->b.graph;
    d->b.graph = s->outer;
    d->count = s->count;
    d->depth--;
    return g;
}

static hone__value *body_input(draw *d, hone_dtype dtype, const hone__shape *shape)
{
    if (d->b.status != HONE_OK) return NULL;
    hone__value *v = hone__value_new(d->b.graph, "");
    if (!v || hone__graph_add_input(d->b.graph, v) != HONE_OK) {
        hone__builder_fail(&d->b, HONE_E_MEMORY);
        return NULL;
    }
    v->dtype = dtype;
    v->shape = *shape;
    if (dtype == HONE_F32) d->pool[d->count++] = v;
    return v;
}

static void body_output(draw *d, hone__value *v)
{
    if (d->b.status == HONE_OK && hone__graph_add_output(d->b.graph, v) != HONE_OK)
        hone__builder_fail(&d->b, HONE_E_MEMORY);
}

static hone__value *made_here(const draw *d, int i, const body_start *s)
{
    hone__value *v = i >= s->count ? d->pool[i] : NULL;
    return v && v->producer && v->graph == d->b.graph && !v->output_count ? v : NULL;
}

/* x and the means of all that nobody reads yet. */
static hone__value *body_sum(draw *d, const body_start *s, hone__value *x)
{
    for (int i = s->count, end = d->count; i < end && d->b.status == HONE_OK; i++) {
        if (!made_here(d, i, s) || d->pool[i]->use_count || d->pool[i] == x) continue;
        hone__value *mean =
            hone__emit(&d->b, "ReduceMean", "", HONE__INS(d->pool[i]), HONE__ATTRS(hone__a_int("keepdims", 0)));
        x = hone__emit(&d->b, "Add", "", HONE__INS(x, mean), HONE__NO_ATTRS);
    }
    return x;
}

/* An output that is shaped like x: the newest that fits, or one more node. */
static void body_output_like(draw *d, const body_start *s, hone__value *x)
{
    static const char *const names[] = {"Tanh", "Identity", "Sigmoid", "Neg"};
    hone__value *v = NULL;
    for (int i = d->count - 1; !v && i >= s->count; i--)
        if (made_here(d, i, s) && same_shape(d->pool[i], x)) v = d->pool[i];
    if (!v) v = hone__emit(&d->b, names[draw_int(d, 0, 3)], "", HONE__INS(x), HONE__NO_ATTRS);
    if (draw_int(d, 0, 3)) v = body_sum(d, s, v);
    body_output(d, v);
    if (d->b.status == HONE_OK) hone__builder_fail(&d->b, hone__graph_infer(d->b.graph));
}

static void body_nodes(draw *d)
{
    for (int n = draw_int(d, 1, 3); n > 0 && d->b.status == HONE_OK && d->count < 56; n--)
        hone__builder_fail(&d->b, draw_node(d));
}

/* A node with the given bodies; NULL after a failure. */
static hone__node *body_node(draw *d, const char *op, hone__value *const *ins, int in_count, int out_count,
                             hone__graph *const *bodies, const char *const *names, int body_count)
{
    if (d->b.status != HONE_OK) return NULL;
    hone__node *n = hone__node_new(d->b.graph, NULL, "", op, "", ins, in_count, out_count);
    for (int i = 0; n && i < body_count; i++) {
        bodies[i]->owner = n;
        hone__builder_fail(
            &d->b, hone__node_set_attr(n, &(hone__attr){.name = names[i], .kind = HONE__ATTR_GRAPH, .g = bodies[i]}));
    }
    if (!n) hone__builder_fail(&d->b, HONE_E_MEMORY);
    return n;
}

static hone__value *draw_bool(draw *d, bool v)
{
    hone__tensor t;
    if (d->b.status != HONE_OK || hone__builder_fail(&d->b, hone__tensor_new(HONE_BOOL, 0, NULL, &t)) != HONE_OK)
        return NULL;
    *(uint8_t *)hone__tensor_write(&t) = v;
    return hone__emit_tensor(&d->b, "", &t);
}

/* Known, or found in an input of the model: no rounding decides it. */
static hone__value *draw_condition(draw *d)
{
    if (draw_int(d, 0, 2) == 0) return draw_bool(d, draw_maybe(d));
    float limit = (float)draw_int(d, 0, 1) * 2 - 0.5f;
    hone__value *top =
        hone__emit(&d->b, "ReduceMax", "", HONE__INS(d->pool[0]), HONE__ATTRS(hone__a_int("keepdims", 0)));
    return hone__emit(&d->b, "Greater", "", HONE__INS(top, hone__emit_scalar(&d->b, limit)), HONE__NO_ATTRS);
}

static hone__value *draw_if(draw *d)
{
    static const char *const names[] = {"then_branch", "else_branch"};
    if (d->depth >= BODY_DEPTH) return NULL;
    hone__value *x = draw_value(d), *other = draw_value(d), *condition = draw_condition(d);
    hone__graph *branches[2];
    int outputs = draw_int(d, 1, 2); /* nobody reads the second */
    for (int i = 0; i < 2; i++) {
        body_start s = body_begin(d);
        body_nodes(d);
        body_output_like(d, &s, x);
        if (outputs == 2) body_output_like(d, &s, other);
        branches[i] = body_end(d, &s);
    }
    hone__node *n = body_node(d, "If", &condition, 1, outputs, branches, names, 2);
    return n ? n->outputs[draw_int(d, 0, outputs - 1)] : NULL;
}

/* The mean of collected values, so that the batch is in front again. */
static hone__value *mean_of_runs(draw *d, hone__value *all)
{
    const int64_t axis = 0;
    return hone__emit(&d->b, "ReduceMean", "", HONE__INS(all, hone__emit_i64(&d->b, "", &axis, 1)),
                      HONE__ATTRS(hone__a_int("keepdims", 0)));
}

static void loop_condition(draw *d, hone__value *run, hone__value *condition)
{
    hone__value *v = draw_maybe(d)
                         ? hone__emit(&d->b, "Identity", "", HONE__INS(condition), HONE__NO_ATTRS)
                         : hone__emit(&d->b, "Less", "",
                                      HONE__INS(run, hone__emit_scalar_i64(&d->b, draw_int(d, 0, 2))), HONE__NO_ATTRS);
    body_output(d, v);
}

static hone__value *draw_loop(draw *d)
{
    static const char *const name = "body";
    static const hone__shape scalar = {0};
    if (d->depth >= BODY_DEPTH) return NULL;
    int runs = draw_int(d, 0, 3), states = draw_int(d, 1, 2);
    bool collects = runs && draw_maybe(d);
    hone__value *x[2] = {draw_value(d), draw_value(d)};
    hone__value *ins[4] = {hone__emit_scalar_i64(&d->b, runs), draw_maybe(d) ? draw_bool(d, true) : NULL, x[0], x[1]};
    body_start s = body_begin(d);
    hone__value *run = body_input(d, HONE_I64, &scalar), *condition = body_input(d, HONE_BOOL, &scalar);
    for (int i = 0; i < states; i++) body_input(d, HONE_F32, &x[i]->shape);
    body_nodes(d);
    if (d->b.status != HONE_OK) return NULL;
    loop_condition(d, run, condition);
    for (int i = 0; i < states; i++) body_output_like(d, &s, x[i]);
    if (collects) body_output_like(d, &s, draw_value(d));
    hone__graph *g = body_end(d, &s);
    hone__node *n = body_node(d, "Loop", ins, 2 + states, states + collects, &g, &name, 1);
    if (!n) return NULL;
    int output = draw_int(d, 0, states + collects - 1);
    return output == states ? mean_of_runs(d, n->outputs[output]) : n->outputs[output];
}

static hone__value *draw_scan(draw *d)
{
    static const char *const name = "body";
    hone__value *x = draw_rank(d, 2, 4);
    if (d->depth >= BODY_DEPTH || !x) return NULL;
    int64_t axis = draw_int(d, 1, x->shape.rank - 1), back[] = {draw_int(d, 0, 1), draw_int(d, 0, 1)}, one = 1;
    if (dim_of(x, (int)axis) < 1 || dim_of(x, (int)axis) > 8) return NULL;
    int states = draw_int(d, 0, 1);
    hone__value *ins[] = {draw_value(d), x};
    hone__shape slice = x->shape;
    slice.rank--;
    for (int i = (int)axis; i < slice.rank; i++) slice.dims[i] = slice.dims[i + 1];
    body_start s = body_begin(d);
    if (states) body_input(d, HONE_F32, &ins[0]->shape);
    hone__value *row = body_input(d, HONE_F32, &slice);
    body_nodes(d);
    if (d->b.status != HONE_OK) return NULL;
    if (states) body_output_like(d, &s, ins[0]);
    body_output_like(d, &s, row);
    hone__graph *g = body_end(d, &s);
    hone__node *n = body_node(d, "Scan", ins + 1 - states, 1 + states, 1 + states, &g, &name, 1);
    if (!n) return NULL;
    hone__builder_fail(&d->b, hone__node_set_int(n, "num_scan_inputs", 1));
    hone__builder_fail(&d->b, hone__node_set_ints(n, "scan_input_axes", &axis, 1));
    hone__builder_fail(&d->b, hone__node_set_ints(n, "scan_input_directions", &back[0], 1));
    hone__builder_fail(&d->b, hone__node_set_ints(n, "scan_output_axes", &one, 1));
    hone__builder_fail(&d->b, hone__node_set_ints(n, "scan_output_directions", &back[1], 1));
    return n->outputs[draw_int(d, 0, states)];
}

#endif
