/* test_compose.c: groups of nodes that have an operator of their own: found in every spelling, with the same numbers;
 * left alone where something differs. */
#include "run_model.h"

#include "graph/builder.h"
#include "ops/eval.h"
#include "passes/passes.h"

enum { ROWS = 3, D = 40 };

#define ONE(op, ...) hone__emit(b, op, "", HONE__INS(__VA_ARGS__), HONE__NO_ATTRS)
#define NUMBER(v) hone__emit_scalar(b, v)

static hone__value *vector(hone__builder *b, const char *name, float from)
{
    float v[D];
    const int64_t d = D;
    for (int i = 0; i < D; i++) v[i] = from + 0.01f * (float)i;
    return hone__emit_f32(b, name, v, 1, &d);
}

static hone__value *mean(hone__builder *b, hone__value *x, int64_t axis)
{
    return hone__emit(b, "ReduceMean", "", HONE__INS(x, hone__emit_i64(b, "", &axis, 1)), HONE__NO_ATTRS);
}

/* way 1: the square is a product; 2: the difference is made twice, epsilon comes first */
static hone__value *norm(hone__builder *b, hone__value *x, int way, int64_t axis, bool biased)
{
    hone__value *m = mean(b, x, axis), *c = ONE("Sub", x, m), *c2 = way == 2 ? ONE("Sub", x, m) : c;
    hone__value *square = way == 1 ? ONE("Mul", c2, c2) : ONE("Pow", c2, NUMBER(2)), *var = mean(b, square, axis);
    hone__value *sum = way == 2 ? ONE("Add", NUMBER(1e-5f), var) : ONE("Add", var, NUMBER(1e-5f));
    hone__value *y = ONE("Mul", ONE("Div", c, ONE("Sqrt", sum)), vector(b, "scale", 0.8f));
    return biased ? ONE("Add", y, vector(b, "bias", -0.2f)) : y;
}

static hone__value *erf_gelu(hone__builder *b, hone__value *x, int way, float half)
{
    hone__value *a = way ? ONE("Mul", x, NUMBER(0.70710678f)) : ONE("Div", x, NUMBER(1.41421356f));
    a = ONE("Add", ONE("Erf", a), NUMBER(1));
    if (way == 0) return ONE("Mul", ONE("Mul", x, a), NUMBER(half));
    if (way == 1) return ONE("Mul", x, ONE("Mul", NUMBER(half), a));
    return ONE("Mul", ONE("Mul", x, NUMBER(half)), a);
}

static hone__value *tanh_gelu(hone__builder *b, hone__value *x, int way)
{
    hone__value *cube = way ? ONE("Mul", x, ONE("Mul", x, x)) : ONE("Pow", x, NUMBER(3));
    hone__value *a = ONE("Add", x, ONE("Mul", cube, NUMBER(0.044715f)));
    a = ONE("Add", NUMBER(1), ONE("Tanh", ONE("Mul", NUMBER(0.7978845608f), a)));
    return ONE("Mul", ONE("Mul", NUMBER(0.5f), x), a);
}

static hone__value *build(hone__builder *b, hone__value *x, int which)
{
    switch (which) {
    case 0: return norm(b, x, 0, -1, true);
    case 1: return norm(b, x, 1, 1, true);
    case 2: return norm(b, x, 2, -1, false);
    case 3: return erf_gelu(b, x, 0, 0.5f);
    case 4: return erf_gelu(b, x, 1, 0.5f);
    case 5: return erf_gelu(b, x, 2, 0.5f);
    case 6: return tanh_gelu(b, x, 0);
    case 7: return tanh_gelu(b, x, 1);
    case 8: return ONE("Mul", x, ONE("Sigmoid", x));
    case 9: return norm(b, x, 0, 0, true);                        /* another axis */
    case 10: return erf_gelu(b, x, 0, 0.6f);                      /* another factor */
    default: return ONE("Mul", ONE("Sigmoid", x), ONE("Neg", x)); /* another input */
    }
}

static const char *const wanted[] = {"LayerNormalization",
                                     "LayerNormalization",
                                     "LayerNormalization",
                                     "Gelu",
                                     "Gelu",
                                     "Gelu",
                                     "Gelu",
                                     "Gelu",
                                     "Swish",
                                     NULL,
                                     NULL,
                                     NULL};

static void each_spelling(void **state)
{
    (void)state;
    for (int which = 0; which < 12; which++) {
        float want[ROWS * D], got[ROWS * D];
        hone__model *m;
        int changed = 0;
        assert_int_equal(hone__model_new(&m), HONE_OK);
        hone__builder b = {.graph = m->graph};
        hone__value *x = hone__emit_input(&b, "x", HONE_F32, 2, (int64_t[]){ROWS, D});
        hone__emit_output(&b, "y", build(&b, x, which));
        assert_int_equal(b.status, HONE_OK);
        run_model(m, true, ROWS, D, want, ROWS * D);
        run_model(m, false, ROWS, D, got, ROWS * D);
        for (int i = 0; i < ROWS * D; i++)
            if (!(fabsf(got[i] - want[i]) <= 2e-6f * (1 + fabsf(want[i]))))
                fail_msg("%d: element %d is %g, expected %g", which, i, (double)got[i], (double)want[i]);
        assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
        assert_int_equal(hone__passes_run(m, "compose", hone__pass_compose, &changed), HONE_OK);
        if (changed != (wanted[which] != NULL)) fail_msg("%d: %d changes", which, changed);
        hone__graph_sweep(m->graph);
        assert_int_equal(hone__graph_verify(m->graph), HONE_OK);
        if (wanted[which]) {
            assert_string_equal(m->graph->first->op, wanted[which]);
            assert_null(m->graph->first->next);
        }
        hone__model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_spelling)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
