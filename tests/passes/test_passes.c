/* test_passes.c: where a pass must not fire: normalisation in training, infinite factors, values read twice, constants
 * whose computation fails. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "graph/builder.h"
#include "passes/passes.h"

static size_t count_of(const hone__model *m, const char *op)
{
    size_t n = 0;
    for (const hone__node *k = m->graph->first; k; k = k->next) n += hone__node_is(k, op);
    return n;
}

static const float numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};
static const int64_t two = 2, wide[] = {2, 1, 2, 2}, input[] = {1, 1, 4, 4};

static hone__value *conv(hone__builder *b)
{
    hone__value *x = hone__emit_input(b, "x", HONE_F32, 4, input);
    return hone__emit(b, "Conv", "conv", HONE__INS(x, hone__emit_f32(b, "w", numbers, 4, wide)), HONE__NO_ATTRS);
}

static hone__value *norm(hone__builder *b, hone__value *x, int64_t training)
{
    hone__value *v = hone__emit_f32(b, "v", numbers, 1, &two);
    return hone__emit(b, "BatchNormalization", "bn", HONE__INS(x, v, v, v, v),
                      HONE__ATTRS(hone__a_int("training_mode", training)));
}

static void finish(hone__builder *b, hone__model *m, hone__value *y)
{
    hone__emit_output(b, "y", y);
    assert_int_equal(b->status, HONE_OK);
    assert_int_equal(hone__passes_portable(m), HONE_OK);
    assert_int_equal(hone__graph_verify(m->graph), HONE_OK);
}

static void test_batch_norm(void **state)
{
    (void)state;
    for (int64_t training = 0; training < 2; training++) {
        hone__model *m;
        assert_int_equal(hone__model_new(&m), HONE_OK);
        hone__builder b = {.graph = m->graph};
        finish(&b, m, norm(&b, conv(&b), training));
        assert_int_equal(count_of(m, "BatchNormalization"), training);
        hone__model_destroy(m);
    }
}

static void test_read_twice(void **state)
{
    (void)state;
    hone__model *m;
    assert_int_equal(hone__model_new(&m), HONE_OK);
    hone__builder b = {.graph = m->graph};
    hone__value *c = conv(&b);
    finish(&b, m, hone__emit(&b, "Sub", "", HONE__INS(norm(&b, c, 0), c), HONE__NO_ATTRS));
    assert_int_equal(count_of(m, "BatchNormalization"), 1);
    hone__model_destroy(m);
}

static void test_factors(void **state)
{
    (void)state;
    const float factors[] = {2, INFINITY, NAN};
    for (int i = 0; i < 3; i++) {
        hone__model *m;
        assert_int_equal(hone__model_new(&m), HONE_OK);
        hone__builder b = {.graph = m->graph};
        finish(&b, m,
               hone__emit(&b, "Mul", "", HONE__INS(conv(&b), hone__emit_scalar(&b, factors[i])), HONE__NO_ATTRS));
        assert_int_equal(count_of(m, "Mul"), i > 0);
        hone__model_destroy(m);
    }
}

/* An index outside of a constant: told when it is run, not when the model is made small. */
static void test_failing_constant(void **state)
{
    (void)state;
    hone__model *m;
    assert_int_equal(hone__model_new(&m), HONE_OK);
    hone__builder b = {.graph = m->graph};
    hone__value *g =
        hone__emit(&b, "Gather", "", HONE__INS(hone__emit_f32(&b, "k", numbers, 1, &two), hone__emit_scalar_i64(&b, 5)),
                   HONE__NO_ATTRS);
    hone__value *x = hone__emit_input(&b, "x", HONE_F32, 4, input);
    finish(&b, m, hone__emit(&b, "Add", "", HONE__INS(x, g), HONE__NO_ATTRS));
    assert_int_equal(count_of(m, "Gather"), 1);
    hone__model_destroy(m);
}

/* w is bfloat16 behind a Cast; no float32 copy of it may be left after the passes. */
static void test_half_weights(void **state)
{
    const int64_t square[] = {64, 64}, row[] = {1, 64}; /* small ones are folded */
    (void)state;
    for (int way = 0; way < 4; way++) { /* MatMul; over Transpose; Gemm with transB; Gather */
        hone__model *m;
        hone__tensor half;
        assert_int_equal(hone__model_new(&m), HONE_OK);
        assert_int_equal(hone__tensor_new(HONE_BF16, 2, square, &half), HONE_OK);
        memset((void *)(uintptr_t)half.data, 0, half.bytes);
        hone__builder b = {.graph = m->graph};
        hone__value *w = hone__emit(&b, "Cast", "", HONE__INS(hone__emit_tensor(&b, "w", &half)),
                                    HONE__ATTRS(hone__a_int("to", HONE_F32)));
        hone__value *x = hone__emit_input(&b, "x", way == 3 ? HONE_I64 : HONE_F32, 2, row), *y;
        if (way == 1) w = hone__emit(&b, "Transpose", "", HONE__INS(w), HONE__NO_ATTRS);
        if (way == 3)
            y = hone__emit(&b, "Gather", "", HONE__INS(w, x), HONE__NO_ATTRS);
        else if (way == 2)
            y = hone__emit(&b, "Gemm", "", HONE__INS(x, w), HONE__ATTRS(hone__a_int("transB", 1)));
        else
            y = hone__emit(&b, "MatMul", "", HONE__INS(x, w), HONE__NO_ATTRS);
        hone__emit_output(&b, "y", y);
        assert_int_equal(b.status, HONE_OK);
        assert_int_equal(hone__passes_machine(m), HONE_OK);
        assert_int_equal(hone__graph_verify(m->graph), HONE_OK);
        const hone__node *n = m->graph->first;
        assert_int_equal(count_of(m, "Cast"), way == 3);
        assert_string_equal(n->op, way == 3 ? "Gather" : "Linear");
        assert_int_equal(n->inputs[way != 3]->constant->dtype, HONE_BF16);
        if (way < 3) assert_int_equal(hone__node_int(n, "trans_b", 0), way > 0);
        hone__model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_batch_norm), cmocka_unit_test(test_read_twice),
                                       cmocka_unit_test(test_factors), cmocka_unit_test(test_failing_constant),
                                       cmocka_unit_test(test_half_weights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
