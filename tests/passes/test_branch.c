/* test_branch.c: branches that are chosen where the model is read, values that they hand out as they are, outputs that
 * nobody reads, and states whose file declares what holds in the first run only. */
#include "run_model.h"

#include "graph/builder.h"
#include "ops/eval.h"
#include "passes/passes.h"

enum { ROWS = 2, COLUMNS = 3, COUNT = ROWS * COLUMNS };

#define ONE(b, op, ...) hone__emit(b, op, "", HONE__INS(__VA_ARGS__), HONE__NO_ATTRS)

static hone__value *known(hone__builder *b, bool v)
{
    hone__tensor t;
    assert_int_equal(hone__tensor_new(HONE_BOOL, 0, NULL, &t), HONE_OK);
    *(uint8_t *)hone__tensor_write(&t) = v;
    return hone__emit_tensor(b, "", &t);
}

static hone__builder inside(const hone__builder *b)
{
    hone__builder inner = {0};
    assert_int_equal(hone__graph_new(b->graph->model, NULL, &inner.graph), HONE_OK);
    return inner;
}

static void give(const hone__builder *b, hone__value *v)
{
    assert_int_equal(b->status, HONE_OK);
    assert_int_equal(hone__graph_add_output(b->graph, v), HONE_OK);
}

static hone__value *take(const hone__builder *b, hone_dtype dtype, int rank, const int64_t *dims)
{
    hone__value *v = hone__value_new(b->graph, "");
    assert_true(v && hone__graph_add_input(b->graph, v) == HONE_OK);
    v->dtype = dtype;
    v->shape.rank = rank;
    for (int i = 0; i < rank; i++) v->shape.dims[i] = dims[i];
    return v;
}

static hone__node *node(const hone__builder *b, const char *op, hone__value **ins, int in_count, int out_count,
                        const char *name, hone__graph *g, const char *other, hone__graph *h)
{
    hone__node *n = hone__node_new(b->graph, NULL, "", op, "", ins, in_count, out_count);
    assert_non_null(n);
    g->owner = n;
    assert_int_equal(hone__node_set_attr(n, &(hone__attr){.name = name, .kind = HONE__ATTR_GRAPH, .g = g}), HONE_OK);
    if (!h) return n;
    h->owner = n;
    assert_int_equal(hone__node_set_attr(n, &(hone__attr){.name = other, .kind = HONE__ATTR_GRAPH, .g = h}), HONE_OK);
    return n;
}

static hone__model *begin(hone__builder *b, hone__value **x)
{
    hone__model *m;
    assert_int_equal(hone__model_new(&m), HONE_OK);
    *b = (hone__builder){.graph = m->graph};
    *x = hone__emit_input(b, "x", HONE_F32, 2, (int64_t[]){ROWS, COLUMNS});
    return m;
}

static size_t count_of(const hone__model *m, const char *op)
{
    size_t n = 0;
    for (const hone__node *k = m->graph->first; k; k = k->next) n += hone__node_is(k, op);
    return n;
}

/* The same numbers as written, after the portable list, and after the machine's. */
static void check(hone__model *m)
{
    float want[COUNT * 8], got[COUNT * 8];
    size_t count = run_model_any(m, true, ROWS, COLUMNS, want, COUNT * 8);
    for (int round = 0; round < 3; round++) {
        run_model(m, round != 2, ROWS, COLUMNS, got, count);
        assert_memory_equal(got, want, count * sizeof *want);
        if (!round) assert_int_equal(hone__passes_portable(m), HONE_OK);
        assert_int_equal(hone__graph_verify(m->graph), HONE_OK);
    }
}

/* A branch that hands out the model's input, one that hands out a constant, one value twice: all are outputs. */
static void a_known_branch_gives_the_outputs(void **state)
{
    (void)state;
    for (int taken = 0; taken < 2; taken++) {
        hone__builder b, branches[2];
        hone__value *x, *c;
        hone__model *m = begin(&b, &x);
        c = known(&b, taken);
        for (int i = 0; i < 2; i++) {
            branches[i] = inside(&b);
            hone__value *y = ONE(&branches[i], i ? "Neg" : "Exp", x);
            give(&branches[i], i ? x : hone__emit_scalar(&branches[i], 7));
            give(&branches[i], y);
            give(&branches[i], y);
        }
        hone__node *n = node(&b, "If", &c, 1, 3, "then_branch", branches[1].graph, "else_branch", branches[0].graph);
        for (int i = 0; i < 3; i++) {
            static const char *const names[] = {"a", "b", "c"};
            hone__emit_output(&b, names[i], n->outputs[i]);
        }
        assert_int_equal(hone__passes_portable(m), HONE_OK);
        assert_int_equal(hone__graph_verify(m->graph), HONE_OK);
        assert_int_equal(count_of(m, "If"), 0);
        assert_int_equal(count_of(m, taken ? "Neg" : "Exp"), 1);
        assert_int_equal(count_of(m, "Identity"), 2);
        for (int i = 0; i < 3; i++) {
            assert_string_equal(m->graph->outputs[i]->name, i == 0 ? "a" : i == 1 ? "b" : "c");
            assert_ptr_equal(m->graph->outputs[i]->graph, m->graph);
        }
        hone__model_destroy(m);
    }
}

/* What a branch hands out is made around it, by a node that goes. */
static void an_outer_value_is_handed_out(void **state)
{
    (void)state;
    hone__builder b;
    hone__value *x;
    hone__model *m = begin(&b, &x);
    hone__value *same = ONE(&b, "Identity", ONE(&b, "Neg", x));
    hone__value *top = hone__emit(&b, "ReduceMax", "", HONE__INS(x), HONE__ATTRS(hone__a_int("keepdims", 0)));
    hone__value *c = ONE(&b, "Greater", top, hone__emit_scalar(&b, 0));
    hone__builder branches[2] = {inside(&b), inside(&b)};
    give(&branches[0], same);
    give(&branches[1], ONE(&branches[1], "Exp", same));
    hone__node *n = node(&b, "If", &c, 1, 1, "then_branch", branches[0].graph, "else_branch", branches[1].graph);
    hone__emit_output(&b, "y", n->outputs[0]);
    check(m);
    assert_int_equal(count_of(m, "Identity"), 0);
    assert_int_equal(count_of(m, "If"), 1);
    hone__model_destroy(m);
}

/* Of three outputs the middle one is read, the lists of axes and directions follow. */
static void unread_outputs_go(void **state)
{
    (void)state;
    hone__builder b;
    hone__value *x;
    hone__model *m = begin(&b, &x);
    hone__builder body = inside(&b);
    hone__value *row = take(&body, HONE_F32, 1, (int64_t[]){COLUMNS});
    give(&body, ONE(&body, "Exp", row));
    give(&body, ONE(&body, "Neg", row));
    give(&body, ONE(&body, "Abs", row));
    hone__node *n = node(&b, "Scan", &x, 1, 3, "body", body.graph, NULL, NULL);
    assert_int_equal(hone__node_set_int(n, "num_scan_inputs", 1), HONE_OK);
    assert_int_equal(hone__node_set_ints(n, "scan_output_axes", (int64_t[]){0, 1, 0}, 3), HONE_OK);
    assert_int_equal(hone__node_set_ints(n, "scan_output_directions", (int64_t[]){0, 1}, 2), HONE_OK);
    hone__emit_output(&b, "y", n->outputs[1]);
    check(m);
    n = m->graph->first;
    assert_int_equal(n->output_count, 1);
    assert_int_equal(hone__node_ints(n, "scan_output_axes", &(size_t){0})[0], 1);
    assert_int_equal(hone__node_ints(n, "scan_output_directions", &(size_t){0})[0], 1);
    assert_int_equal(body.graph->output_count, 1);
    assert_null(body.graph->first->next);
    hone__model_destroy(m);
}

/* s = [x] in the first run and [x, x], [x, x, x, x] then; the file says that it stays. Adding m, shaped like x at
 * first, is no residual. */
static void a_growing_state_is_not_what_it_was(void **state)
{
    (void)state;
    hone__builder b;
    hone__value *x;
    hone__model *m = begin(&b, &x);
    const int64_t first[] = {1, COLUMNS}, at[] = {0, 1, 0};
    hone__value *start = ONE(&b, "Slice", x, hone__emit_i64(&b, "", at, 1), hone__emit_i64(&b, "", at + 1, 1),
                             hone__emit_i64(&b, "", at + 2, 1));
    hone__value *ins[] = {hone__emit_scalar_i64(&b, 2), NULL, start};
    hone__builder body = inside(&b);
    take(&body, HONE_I64, 0, NULL);
    hone__value *more = take(&body, HONE_BOOL, 0, NULL), *s = take(&body, HONE_F32, 2, first);
    float w[COLUMNS * COLUMNS] = {1, 2, 0, 4, -1, 3, 1, 0, 2};
    hone__value *product = ONE(&body, "MatMul", s, hone__emit_f32(&body, "", w, 2, (int64_t[]){COLUMNS, COLUMNS}));
    hone__value *sum = ONE(&body, "Add", product, start);
    give(&body, ONE(&body, "Identity", more));
    give(&body, hone__emit(&body, "Concat", "", HONE__INS(s, sum), HONE__ATTRS(hone__a_int("axis", 0))));
    hone__node *n = node(&b, "Loop", ins, 3, 1, "body", body.graph, NULL, NULL);
    hone__emit_output(&b, "y", n->outputs[0]);
    check(m);
    assert_int_equal(s->shape.rank, 2);
    assert_int_equal(s->shape.dims[0], -1);
    assert_int_equal(s->shape.dims[1], COLUMNS);
    assert_int_equal(n->outputs[0]->shape.dims[1], COLUMNS);
    hone__model_destroy(m);
}

/* A loop around each loop; the innermost doubles its state, or has no meaning. */
static hone__value *nested(const hone__builder *b, hone__value *x, int depth, bool wrong)
{
    static const int64_t dims[] = {ROWS, COLUMNS};
    if (!depth)
        return hone__emit((hone__builder *)(uintptr_t)b, wrong ? "Nothing" : "Concat", "", HONE__INS(x, x),
                          HONE__ATTRS(hone__a_int("axis", 0)));
    hone__builder body = inside(b), outer = *b;
    take(&body, HONE_I64, 0, NULL);
    hone__value *more = take(&body, HONE_BOOL, 0, NULL), *s = take(&body, HONE_F32, 2, dims);
    give(&body, ONE(&body, "Identity", more));
    give(&body, nested(&body, s, depth - 1, wrong));
    hone__value *ins[] = {hone__emit_scalar_i64(&outer, 1), NULL, x};
    return node(b, "Loop", ins, 3, 1, "body", body.graph, NULL, NULL)->outputs[0];
}

/* Each body is looked at a few times, not a few times for each time of those around it. */
static void deep_nests_take_no_time(void **state)
{
    (void)state;
    for (int wrong = 0; wrong < 2; wrong++) {
        hone__builder b;
        hone__value *x;
        hone__model *m = begin(&b, &x);
        hone__value *y = nested(&b, x, 30, wrong);
        hone__emit_output(&b, "y", y);
        assert_int_equal(hone__graph_infer(m->graph), wrong ? HONE_E_UNSUPPORTED : HONE_OK);
        if (!wrong) {
            assert_int_equal(y->shape.dims[0], -1);
            assert_int_equal(y->shape.dims[1], COLUMNS);
            check(m);
        }
        hone__model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_known_branch_gives_the_outputs),
                                       cmocka_unit_test(an_outer_value_is_handed_out),
                                       cmocka_unit_test(unread_outputs_go), cmocka_unit_test(deep_nests_take_no_time),
                                       cmocka_unit_test(a_growing_state_is_not_what_it_was)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
