/* test_bodies.c: every pass works inside the branches of If and the bodies of Loop and Scan, on nodes that also read
 * values and constants of the graph around: the graphs before and after it are those in golden/, and compute the same.
 * HONE_UPDATE=1 writes golden/ again. */
#include "run_model.h"

#include <stdlib.h>

#include "graph/builder.h"
#include "graph_text.h"
#include "ops/eval.h"
#include "passes/passes.h"

enum { ROWS = 4, COLUMNS = 25, RUNS = 2, MOST = 4096 };

#define ONE(op, ...) hone__emit(b, op, "", HONE__INS(__VA_ARGS__), HONE__NO_ATTRS)
#define WITH(op, attr, ...) hone__emit(b, op, "", HONE__INS(__VA_ARGS__), HONE__ATTRS(attr))
#define DIMS(...) \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }

/* What a pattern is made of: x, of the body; outer, shaped like x, and weights, of the graph around. */
typedef struct parts {
    hone__value *x, *outer, *weights[2];
} parts;

static hone__value *numbers(hone__builder *b, hone_dtype dtype, int rank, const int64_t *dims)
{
    hone__tensor t;
    if (b->status != HONE_OK) return NULL;
    assert_int_equal(hone__tensor_new(dtype, rank, dims, &t), HONE_OK);
    for (size_t i = 0; i < t.count; i++) {
        double v = (double)((i * i * 7 + i * 13) % 64) - 24;
        hone__element_set_f64(dtype, hone__tensor_write(&t), i, hone__dtype_is_float(dtype) ? v / 64 : v);
    }
    return hone__emit_tensor(b, "", &t);
}

static hone__value *scalar(hone__builder *b, hone_dtype dtype, double v)
{
    hone__tensor t;
    if (b->status != HONE_OK) return NULL;
    assert_int_equal(hone__tensor_new(dtype, 0, NULL, &t), HONE_OK);
    hone__element_set_f64(dtype, hone__tensor_write(&t), 0, v);
    return hone__emit_tensor(b, "", &t);
}

/* ---- what each pass finds ---- */

static hone__value *for_fold(hone__builder *b, const parts *p)
{
    hone__value *c = ONE("Mul", p->weights[0], ONE("Neg", numbers(b, HONE_F32, DIMS(COLUMNS))));
    return ONE("Add", ONE("Identity", p->x), ONE("Sum", c, p->outer));
}

static hone__graph *branch(hone__builder *outer, hone__value *x, const char *op)
{
    hone__builder inner = {.status = outer->status}, *b = &inner;
    assert_int_equal(hone__graph_new(outer->graph->model, NULL, &b->graph), HONE_OK);
    hone__value *made[] = {ONE(op, x), ONE("Abs", x)};
    assert_int_equal(b->status, HONE_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(hone__graph_add_output(b->graph, made[i]), HONE_OK);
    return b->graph;
}

static hone__node *choice(hone__builder *b, hone__value *condition, hone__value *a, hone__value *c)
{
    hone__graph *g[] = {branch(b, a, "Tanh"), branch(b, c, "Neg")};
    hone__node *n = hone__node_new(b->graph, NULL, "", "If", "", &condition, 1, 2);
    assert_non_null(n);
    for (int i = 0; i < 2; i++) {
        g[i]->owner = n;
        hone__attr attr = {.name = i ? "else_branch" : "then_branch", .kind = HONE__ATTR_GRAPH, .g = g[i]};
        assert_int_equal(hone__node_set_attr(n, &attr), HONE_OK);
    }
    return n;
}

static hone__value *for_branch(hone__builder *b, const parts *p)
{
    hone__value *known = choice(b, scalar(b, HONE_BOOL, 0), p->outer, p->x)->outputs[0];
    hone__value *above = ONE("Greater", WITH("ReduceMax", hone__a_int("keepdims", 0), p->x), scalar(b, HONE_F32, 0.5));
    return ONE("Add", known, choice(b, above, p->x, p->outer)->outputs[0]);
}

static const int64_t image[] = {1, 4, 5, 5};

static hone__value *as_image(hone__builder *b, hone__value *x)
{
    return ONE("Reshape", x, hone__emit_i64(b, "", image, 4));
}

static hone__value *for_pad(hone__builder *b, const parts *p)
{
    const int64_t pads[] = {0, 0, 1, 2, 0, 0, 2, 1};
    return ONE("Conv", ONE("Pad", as_image(b, p->x), hone__emit_i64(b, "", pads, 8)), p->weights[1]);
}

static hone__value *for_batch_norm(hone__builder *b, const parts *p)
{
    hone__value *v = hone__emit_f32(b, "", (float[]){1, 2, 3}, DIMS(3));
    return ONE("BatchNormalization", ONE("Conv", as_image(b, p->x), p->weights[1]), v, v, v, v);
}

static hone__value *for_compose(hone__builder *b, const parts *p)
{
    hone__value *half = ONE("Mul", p->outer, scalar(b, HONE_F32, 0.5));
    hone__value *erf = ONE("Erf", ONE("Div", p->outer, scalar(b, HONE_F32, 1.41421356)));
    hone__value *gelu = ONE("Mul", half, ONE("Add", erf, scalar(b, HONE_F32, 1)));
    return ONE("Add", gelu, ONE("Mul", p->x, ONE("Sigmoid", p->x)));
}

static hone__value *for_fold_shared(hone__builder *b, const parts *p)
{
    hone__value *table = numbers(b, HONE_F32, DIMS(COLUMNS, COLUMNS));
    hone__value *squares = ONE("Mul", table, table), *y = ONE("Add", p->x, ONE("ReduceMax", squares));
    return ONE("MatMul", y, table);
}

static hone__value *for_linear(hone__builder *b, const parts *p)
{
    hone__value *half = WITH("Cast", hone__a_int("to", HONE_F32), numbers(b, HONE_F16, DIMS(COLUMNS, 3)));
    return ONE("Concat", ONE("MatMul", p->x, half), ONE("Gemm", p->outer, numbers(b, HONE_F32, DIMS(COLUMNS, 2))));
}

static hone__value *concat_last(hone__builder *b, const parts *p)
{
    hone__value *y = for_linear(b, p);
    if (b->status == HONE_OK) hone__builder_fail(b, hone__node_set_int(y->producer, "axis", 1));
    return y;
}

static hone__value *for_narrow_gather(hone__builder *b, const parts *p)
{
    hone__value *row = WITH("Cast", hone__a_int("to", HONE_I64), ONE("Abs", p->x));
    hone__value *table = WITH("Cast", hone__a_int("to", HONE_F32), numbers(b, HONE_F16, DIMS(8, 6)));
    return ONE("Gather", table, ONE("Min", row, scalar(b, HONE_I64, 7)));
}

static hone__value *for_integer_linear(hone__builder *b, const parts *p)
{
    hone__value *q[3];
    hone__emit_multi(b, "DynamicQuantizeLinear", "", HONE__INS(p->x), HONE__NO_ATTRS, q, 3);
    hone__value *product = ONE("MatMulInteger", q[0], numbers(b, HONE_I8, DIMS(COLUMNS, 3)), q[2]);
    hone__value *scales = ONE("Mul", q[1], numbers(b, HONE_F32, DIMS(3)));
    return ONE("Mul", WITH("Cast", hone__a_int("to", HONE_F32), product), scales);
}

static hone__value *for_dynamic_conv(hone__builder *b, const parts *p)
{
    hone__value *q[3];
    hone__emit_multi(b, "DynamicQuantizeLinear", "", HONE__INS(as_image(b, p->outer)), HONE__NO_ATTRS, q, 3);
    hone__value *product = ONE("ConvInteger", q[0], numbers(b, HONE_I8, DIMS(3, 4, 2, 2)), q[2]);
    hone__value *scales = ONE("Mul", q[1], scalar(b, HONE_F32, 0.02));
    hone__value *y = ONE("Mul", WITH("Cast", hone__a_int("to", HONE_F32), product), scales);
    return ONE("Add", y, ONE("ReduceMax", p->x));
}

static hone__value *for_static_conv(hone__builder *b, const parts *p)
{
    hone__value *scale = scalar(b, HONE_F32, 0.03), *zero = scalar(b, HONE_U8, 120), *q = as_image(b, p->x);
    q = ONE("DequantizeLinear", ONE("QuantizeLinear", q, scale, zero), scale, zero);
    hone__value *w = WITH("DequantizeLinear", hone__a_int("axis", 0), numbers(b, HONE_I8, DIMS(3, 4, 2, 2)),
                          hone__emit_f32(b, "", (float[]){0.01f, 0.02f, 0.03f}, DIMS(3)));
    hone__value *y = ONE("Relu", ONE("Conv", q, w));
    return ONE("DequantizeLinear", ONE("QuantizeLinear", y, scale, zero), scale, zero);
}

static hone__value *for_widen(hone__builder *b, const parts *p)
{
    hone__value *half = WITH("Cast", hone__a_int("to", HONE_F32), numbers(b, HONE_F16, DIMS(COLUMNS)));
    return ONE("Mul", ONE("Add", p->x, half), p->outer);
}

static hone__value *for_epilogue(hone__builder *b, const parts *p)
{
    hone__value *y = ONE("Conv", as_image(b, p->x), numbers(b, HONE_F32, DIMS(4, 4, 1, 1)));
    return ONE("Relu", ONE("Add", as_image(b, p->outer), ONE("Add", y, numbers(b, HONE_F32, DIMS(4, 1, 1)))));
}

static const struct row {
    const char *name;
    hone__pass *pass;
    hone__value *(*build)(hone__builder *b, const parts *p);
    hone__value *(*outside)(hone__builder *b, hone__value *x); /* what `outer` is; NULL: Sigmoid */
} rows[] = {
#define HONE_PORTABLE(name, what) {#name, hone__pass_##name, for_##name, NULL},
#define HONE_MACHINE(name, what) HONE_PORTABLE(name, what)
#define for_linear concat_last
#include "passes/passes.def"
#undef for_linear
#undef HONE_PORTABLE
#undef HONE_MACHINE
};

/* ---- what they are put into ---- */

static hone__value *body_input(hone__builder *b, hone_dtype dtype, const char *name)
{
    hone__value *v = hone__value_new(b->graph, name);
    assert_true(v && hone__graph_add_input(b->graph, v) == HONE_OK);
    v->dtype = dtype;
    return v;
}

static hone__value *owner(hone__builder *b, const char *op, hone__value **ins, int in_count, hone__graph **g,
                          const char *const *names, int count, int output)
{
    hone__node *n =
        hone__node_new(b->graph, NULL, "", op, "", ins, in_count, (int)g[0]->output_count - !strcmp(op, "Loop"));
    assert_non_null(n);
    for (int i = 0; i < count; i++) {
        hone__attr attr = {.name = names[i], .kind = HONE__ATTR_GRAPH, .g = g[i]};
        g[i]->owner = n;
        assert_int_equal(hone__node_set_attr(n, &attr), HONE_OK);
    }
    if (!strcmp(op, "Scan")) assert_int_equal(hone__node_set_int(n, "num_scan_inputs", 1), HONE_OK);
    return n->outputs[output];
}

static hone__builder inside(const hone__builder *b)
{
    hone__builder inner = {.status = b->status};
    assert_int_equal(hone__graph_new(b->graph->model, NULL, &inner.graph), HONE_OK);
    return inner;
}

static void give(hone__builder *b, hone__value *v)
{
    assert_int_equal(b->status, HONE_OK);
    assert_int_equal(hone__graph_add_output(b->graph, v), HONE_OK);
}

/* The branches differ in what they start from, the pass finds its pattern in both. */
static hone__value *in_if(hone__builder *b, const struct row *r, const parts *p)
{
    static const char *const names[] = {"then_branch", "else_branch"};
    hone__value *top = WITH("ReduceMax", hone__a_int("keepdims", 0), p->x);
    hone__value *condition = ONE("Greater", top, scalar(b, HONE_F32, 0.5));
    hone__graph *g[2];
    for (int i = 0; i < 2; i++) {
        hone__builder inner = inside(b);
        parts q = *p;
        if (i) q.x = hone__emit(&inner, "Neg", "", HONE__INS(p->x), HONE__NO_ATTRS);
        give(&inner, r->build(&inner, &q));
        g[i] = inner.graph;
    }
    return owner(b, "If", &condition, 1, g, names, 2, 0);
}

static hone__value *in_loop(hone__builder *b, const struct row *r, const parts *p)
{
    static const char *const name = "body";
    hone__builder inner = inside(b);
    parts q = *p;
    body_input(&inner, HONE_I64, "run");
    hone__value *more = body_input(&inner, HONE_BOOL, "more");
    q.x = body_input(&inner, HONE_F32, "state");
    give(&inner, hone__emit(&inner, "Identity", "", HONE__INS(more), HONE__NO_ATTRS));
    give(&inner, hone__emit(&inner, "Tanh", "", HONE__INS(q.x), HONE__NO_ATTRS));
    give(&inner, r->build(&inner, &q));
    return owner(b, "Loop", (hone__value *[]){hone__emit_scalar_i64(b, RUNS), NULL, p->x}, 3, &inner.graph, &name, 1,
                 1);
}

static hone__value *in_scan(hone__builder *b, const struct row *r, const parts *p)
{
    static const char *const name = "body";
    const int64_t zero = 0;
    hone__value *axis = hone__emit_i64(b, "", &zero, 1);
    hone__value *all =
        WITH("Concat", hone__a_int("axis", 0), ONE("Unsqueeze", p->x, axis), ONE("Unsqueeze", ONE("Neg", p->x), axis));
    hone__builder inner = inside(b);
    parts q = *p;
    q.x = body_input(&inner, HONE_F32, "slice");
    give(&inner, r->build(&inner, &q));
    return owner(b, "Scan", &all, 1, &inner.graph, &name, 1, 0);
}

typedef hone__value *wrapper(hone__builder *b, const struct row *r, const parts *p);
static wrapper *const wrappers[] = {in_if, in_loop, in_scan};

/* ---- patterns that begin around and end inside ---- */

static hone__value *conv_outside(hone__builder *b, hone__value *x)
{
    return ONE("Conv", as_image(b, x), numbers(b, HONE_F32, DIMS(4, 4, 1, 1)));
}
static hone__value *product_outside(hone__builder *b, hone__value *x)
{
    return ONE("MatMul", x, numbers(b, HONE_F32, DIMS(COLUMNS, COLUMNS)));
}
static hone__value *sigmoid_outside(hone__builder *b, hone__value *x) { return ONE("Sigmoid", x); }
static hone__value *integers_outside(hone__builder *b, hone__value *x)
{
    hone__value *q[3];
    hone__emit_multi(b, "DynamicQuantizeLinear", "", HONE__INS(x), HONE__NO_ATTRS, q, 3);
    return ONE("MatMulInteger", q[0], numbers(b, HONE_I8, DIMS(COLUMNS, 3)), q[2]);
}
static hone__value *convolution_outside(hone__builder *b, hone__value *x)
{
    hone__value *q[3];
    hone__emit_multi(b, "DynamicQuantizeLinear", "", HONE__INS(as_image(b, x)), HONE__NO_ATTRS, q, 3);
    return ONE("ConvInteger", q[0], numbers(b, HONE_I8, DIMS(3, 4, 2, 2)), q[2]);
}
static hone__value *rounded_outside(hone__builder *b, hone__value *x)
{
    hone__value *scale = scalar(b, HONE_F32, 0.03), *zero = scalar(b, HONE_U8, 120);
    hone__value *q = ONE("DequantizeLinear", ONE("QuantizeLinear", as_image(b, x), scale, zero), scale, zero);
    hone__value *w = WITH("DequantizeLinear", hone__a_int("axis", 0), numbers(b, HONE_I8, DIMS(4, 4, 1, 1)),
                          hone__emit_f32(b, "", (float[]){0.01f, 0.02f, 0.03f, 0.01f}, DIMS(4)));
    return ONE("Conv", q, w);
}

static hone__value *norm_inside(hone__builder *b, const parts *p)
{
    hone__value *v = hone__emit_f32(b, "", (float[]){1, 2, 3, 4}, DIMS(4));
    return ONE("BatchNormalization", p->outer, v, v, v, v);
}
static hone__value *bias_inside(hone__builder *b, const parts *p)
{
    return ONE("Relu", ONE("Add", p->outer, numbers(b, HONE_F32, DIMS(4, 1, 1))));
}
static hone__value *residual_inside(hone__builder *b, const parts *p) { return ONE("Add", p->outer, p->x); }
static hone__value *tanh_inside(hone__builder *b, const parts *p) { return ONE("Tanh", p->outer); }
static hone__value *cast_inside(hone__builder *b, const parts *p)
{
    hone__value *y = WITH("Cast", hone__a_int("to", HONE_F32), p->outer);
    return ONE("Add", ONE("Mul", y, scalar(b, HONE_F32, 0.01)), ONE("ReduceMax", p->x));
}
/* The scale of x comes from where the convolution is. */
static hone__value *scaled_inside(hone__builder *b, const parts *p)
{
    hone__value *scale = p->outer->producer->inputs[2]->producer->outputs[1];
    hone__value *y = WITH("Cast", hone__a_int("to", HONE_F32), p->outer);
    return ONE("Mul", y, ONE("Mul", scale, scalar(b, HONE_F32, 0.02)));
}
static hone__value *same_inside(hone__builder *b, const parts *p) { return ONE("Identity", p->outer); }
static hone__value *product_inside(hone__builder *b, const parts *p) { return ONE("Mul", p->x, p->outer); }
static hone__value *rounding_inside(hone__builder *b, const parts *p)
{
    hone__value *scale = scalar(b, HONE_F32, 0.03), *zero = scalar(b, HONE_U8, 120);
    return ONE("DequantizeLinear", ONE("QuantizeLinear", ONE("Relu", p->outer), scale, zero), scale, zero);
}

static const struct row crossing[] = {
    {"batch norm", NULL, norm_inside, conv_outside},      {"bias", NULL, bias_inside, conv_outside},
    {"residual", NULL, residual_inside, product_outside}, {"activation", NULL, tanh_inside, product_outside},
    {"scaling", NULL, cast_inside, integers_outside},     {"SiLU", NULL, product_inside, sigmoid_outside},
    {"rounding", NULL, rounding_inside, rounded_outside}, {"same", NULL, same_inside, product_outside},
    {"scaled", NULL, scaled_inside, convolution_outside},
};

static hone__model *make(const struct row *r, wrapper *wrap)
{
    hone__model *m;
    assert_int_equal(hone__model_new(&m), HONE_OK);
    hone__builder outer = {.graph = m->graph}, *b = &outer;
    parts p = {.x = hone__emit_input(b, "x", HONE_F32, DIMS(ROWS, COLUMNS))};
    p.outer = r->outside ? r->outside(b, p.x) : ONE("Sigmoid", p.x);
    p.weights[0] = numbers(b, HONE_F32, DIMS(COLUMNS));
    p.weights[1] = numbers(b, HONE_F32, DIMS(3, 4, 2, 2));
    hone__emit_output(b, "y", wrap(b, r, &p));
    if (b->status != HONE_OK) fail_msg("%s: %s", r->name, hone_error_message());
    return m;
}

/* The graph as it is, and after `pass`, or after both lists where that is NULL. */
static void check(const struct row *r, wrapper *wrap, bool crosses)
{
    static float want[MOST], got[MOST];
    float most = 0;
    int changed = 0;
    hone__model *m = make(r, wrap);
    size_t count = run_model_any(m, true, ROWS, COLUMNS, want, MOST);
    hone_status s = crosses ? hone__passes_machine(m) : hone__passes_run(m, r->name, r->pass, &changed);
    if (s != HONE_OK) fail_msg("%s: %s", r->name, hone_error_message());
    if (!changed && !crosses) fail_msg("%s: nothing changed", r->name);
    assert_int_equal(hone__graph_verify(m->graph), HONE_OK);
    for (const hone__node *n = m->graph->first; n; n = n->next) /* what a body gives, it makes */
        for (int i = 0; i < n->attr_count; i++)
            for (size_t k = 0; n->attrs[i].kind == HONE__ATTR_GRAPH && k < n->attrs[i].g->output_count; k++)
                assert_ptr_equal(n->attrs[i].g->outputs[k]->graph, n->attrs[i].g);
    assert_int_equal(run_model_any(m, true, ROWS, COLUMNS, got, MOST), count);
    for (size_t k = 0; k < count; k++) most = fmaxf(most, fabsf(want[k]));
    for (size_t k = 0; k < count; k++)
        if (!(fabsf(got[k] - want[k]) <= 1e-5f * most))
            fail_msg("%s: element %zu is %g, expected %g", r->name, k, (double)got[k], (double)want[k]);
    hone__model_destroy(m);
}

static void every_pass_computes_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int w = 0; w < 3; w++) check(&rows[i], wrappers[w], false);
}

static void what_is_made_outside_stays_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof crossing / sizeof *crossing; i++)
        for (int w = 0; w < 3; w++) check(&crossing[i], wrappers[w], true);
}

static void print(FILE *f, const char *title, hone__model *m)
{
    assert_int_equal(hone__graph_name_all(m->graph), HONE_OK);
    fprintf(f, "%s ", title);
    text_graph(f, m->graph, 0);
}

static void every_pass_writes_what_it_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[512], *text, want[1 << 14] = "";
        size_t size;
        int changed = 0;
        hone__model *m = make(&rows[i], in_loop);
        FILE *f = open_memstream(&text, &size);
        assert_non_null(f);
        print(f, "before", m);
        assert_int_equal(hone__passes_run(m, rows[i].name, rows[i].pass, &changed), HONE_OK);
        print(f, "after", m);
        fclose(f);
        hone__model_destroy(m);
        snprintf(path, sizeof path, "%s/tests/passes/golden/%s.txt", TEST_SOURCE_DIR, rows[i].name);
        FILE *golden = fopen(path, getenv("HONE_UPDATE") ? "w+" : "r");
        if (!golden) fail_msg("%s is missing", path);
        if (getenv("HONE_UPDATE")) fwrite(text, 1, size, golden);
        rewind(golden);
        want[fread(want, 1, sizeof want - 1, golden)] = 0;
        fclose(golden);
        if (strcmp(text, want)) fail_msg("%s: expected\n%s\ngot\n%s", rows[i].name, want, text);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_pass_computes_the_same),
                                       cmocka_unit_test(what_is_made_outside_stays_there),
                                       cmocka_unit_test(every_pass_writes_what_it_should)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
