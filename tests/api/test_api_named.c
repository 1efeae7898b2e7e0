/* test_api_named.c: tensors by name, states and the log, on y = x + sum (tests/fuzz/make_value_seeds.py writes it). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hone/hone.h"

static char log_text[4096];
static void listen(void *ctx, hone_log_level level, const char *text)
{
    (void)ctx, (void)level;
    strncat(log_text, text, sizeof log_text - strlen(log_text) - 2);
    strcat(log_text, "\n");
}

static hone_session *open_session(void)
{
    hone_model *m;
    hone_session *s;
    hone_session_options o = {.threads = 1};
    assert_int_equal(hone_model_open(TEST_SOURCE_DIR "/tests/fuzz/corpus/onnx/running_sum.onnx", &m), HONE_OK);
    assert_int_equal(hone_session_create(m, &o, &s), HONE_OK);
    hone_model_destroy(m);
    return s;
}

static hone_named_tensor named(const char *name, float *v, int64_t n)
{
    return (hone_named_tensor){name,
                               {.dtype = HONE_F32, .rank = 1, .dims = {n}, .data = v, .bytes = (size_t)n * sizeof *v}};
}

static void any_order(void **state)
{
    float x[2] = {1, 2}, sum[2] = {10, 20};
    hone_named_tensor in[] = {named("sum", sum, 2), named("x", x, 2)}, out[] = {{.name = "next_sum"}, {.name = "y"}};
    (void)state;
    hone_session *s = open_session();
    assert_int_equal(hone_session_run_named(s, in, 2, out, 2), HONE_OK);
    for (int i = 0; i < 2; i++) assert_true(((float *)out[i].tensor.data)[1] == 22);
    hone_session_destroy(s);
}

static void mistakes_are_named(void **state)
{
    float x[2] = {1, 2};
    hone_named_tensor in[] = {named("x", x, 2), named("x", x, 2)}, wrong = named("z", x, 2), out = {.name = "q"};
    (void)state;
    hone_session *s = open_session();
    assert_int_equal(hone_session_run_named(s, in, 1, NULL, 0), HONE_E_ARGUMENT);
    assert_non_null(strstr(hone_error_message(), "'sum' is missing"));
    assert_int_equal(hone_session_run_named(s, in, 2, NULL, 0), HONE_E_ARGUMENT);
    assert_non_null(strstr(hone_error_message(), "twice"));
    assert_int_equal(hone_session_run_named(s, &wrong, 1, NULL, 0), HONE_E_ARGUMENT);
    assert_non_null(strstr(hone_error_message(), "no input 'z'; there are: x, sum"));
    assert_int_equal(hone_session_run_named(s, in, 1, &out, 1), HONE_E_ARGUMENT);
    assert_non_null(strstr(hone_error_message(), "no output 'q'"));
    assert_int_equal(hone_session_set_state(s, "sum", "nothing", &in[0].tensor), HONE_E_ARGUMENT);
    hone_session_destroy(s);
}

static void a_state_is_carried(void **state)
{
    float zero[3] = {0}, x[3] = {1, 2, 3}, other[3] = {100, 100, 100};
    hone_named_tensor in[] = {named("x", x, 3), named("sum", other, 3)}, out = {.name = "y"};
    (void)state;
    hone_session *s = open_session();
    for (int again = 0; again < 2; again++) {
        hone_named_tensor first = named("", zero, 3);
        assert_int_equal(hone_session_set_state(s, "sum", "next_sum", &first.tensor), HONE_OK);
        for (int i = 1; i <= 4; i++) {
            assert_int_equal(hone_session_run_named(s, in, 1, &out, 1), HONE_OK);
            assert_true(((float *)out.tensor.data)[2] == 3.0f * (float)i);
        }
    }
    assert_int_equal(hone_session_run_named(s, in, 2, &out, 1), HONE_OK); /* given all the same */
    assert_true(((float *)out.tensor.data)[0] == 101);
    assert_int_equal(hone_session_run_named(s, in, 1, &out, 1), HONE_OK);
    assert_true(((float *)out.tensor.data)[0] == 102);
    hone_session_destroy(s);
}

static void the_log_tells(void **state)
{
    (void)state;
    hone_set_log(listen, NULL);
    hone_session_destroy(open_session());
    hone_set_log(NULL, NULL);
    assert_non_null(strstr(log_text, "running_sum.onnx: IR 10"));
    assert_non_null(strstr(log_text, "session: 2 inputs, 2 outputs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_order), cmocka_unit_test(mistakes_are_named),
                                       cmocka_unit_test(a_state_is_carried), cmocka_unit_test(the_log_tells)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
