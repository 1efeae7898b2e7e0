/* test_api_values.c: sequences, optionals and strings through the public API, on the models that
 * tests/fuzz/make_value_seeds.py writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hone/hone.h"

static hone_session *open_session(const char *name, size_t max_memory)
{
    char path[512];
    hone_model *m;
    hone_session *s;
    hone_session_options o = {.threads = 1, .max_memory = max_memory};
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/onnx/%s.onnx", TEST_SOURCE_DIR, name);
    assert_int_equal(hone_model_open(path, &m), HONE_OK);
    assert_int_equal(hone_session_create(m, &o, &s), HONE_OK);
    hone_model_destroy(m); /* the session needs it no longer */
    return s;
}

static hone_tensor floats(float *v, int64_t n)
{
    return (hone_tensor){.dtype = HONE_F32, .rank = 1, .dims = {n}, .data = v, .bytes = (size_t)n * sizeof *v};
}

static hone_value value(hone_tensor t) { return (hone_value){.kind = HONE_KIND_TENSOR, .tensor = t}; }

/* Everything that the allocator hands out, to see that work is linear. */
static size_t handed_out;
static void *count_resize(void *ctx, void *block, size_t old, size_t want)
{
    (void)ctx;
    if (want > old) handed_out += want - old;
    if (want) return realloc(block, want);
    free(block);
    return NULL;
}

static hone_status run_loop(hone_session *s, int64_t n, hone_value *out)
{
    float x = 7;
    hone_value in[2] = {value((hone_tensor){.dtype = HONE_I64, .data = &n, .bytes = sizeof n}), value(floats(&x, 1))};
    return hone_session_run_values(s, in, 2, out, 3);
}

static void a_loop_builds_a_sequence(void **state)
{
    hone_value out[3];
    (void)state;
    hone_session *s = open_session("seq_loop", 0);
    for (int64_t n = 5; n >= 1; n -= 2) {
        assert_int_equal(run_loop(s, n, out), HONE_OK);
        assert_int_equal(out[0].kind, HONE_KIND_SEQUENCE);
        assert_int_equal(out[0].count, n);
        assert_int_equal(*(int64_t *)out[1].tensor.data, n);
        for (int64_t i = 0; i < n; i++) {
            const float *pair = out[0].items[i].data, *row = (const float *)out[2].tensor.data + 2 * i;
            assert_true(out[0].items[i].rank == 1 && out[0].items[i].dims[0] == 2);
            assert_true(pair[0] == (float)i && pair[1] == 7 && row[0] == (float)i && row[1] == 7);
        }
    }
    hone_tensor in[2], t[3];
    float x = 7;
    int64_t n = 2;
    in[0] = (hone_tensor){.dtype = HONE_I64, .data = &n, .bytes = sizeof n};
    in[1] = floats(&x, 1);
    assert_int_equal(hone_session_run(s, in, 2, t, 3), HONE_E_ARGUMENT); /* output 0 is no tensor */
    hone_session_destroy(s);
}

static void appending_costs_the_same_each_time(void **state)
{
    const hone_allocator counting = {count_resize, NULL};
    size_t cost[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        hone_value out[3];
        hone_set_allocator(&counting);
        hone_session *s = open_session("seq_loop", 0);
        handed_out = 0;
        assert_int_equal(run_loop(s, k ? 4000 : 1000, out), HONE_OK);
        cost[k] = handed_out;
        hone_session_destroy(s);
        hone_set_allocator(NULL);
    }
    assert_true(cost[1] < 6 * cost[0]); /* copying would make it 16 times */
}

static void a_sequence_counts_as_memory(void **state)
{
    hone_value out[3];
    (void)state;
    hone_session *s = open_session("seq_loop", 100000);
    assert_int_equal(run_loop(s, 20, out), HONE_OK);
    assert_int_equal(run_loop(s, 1000000, out), HONE_E_LIMIT);
    assert_true(hone_session_memory(s) <= 100000);
    assert_int_equal(run_loop(s, 20, out), HONE_OK); /* usable afterwards */
    assert_int_equal(out[0].count, 20);
    hone_session_destroy(s);
}

static void sequences_go_in_and_part(void **state)
{
    float a[2] = {1, 2}, b[3] = {3, 4, 5}, x[1] = {6}, y[2] = {7, 8};
    hone_tensor items[2] = {floats(a, 2), floats(b, 3)};
    hone_value in[3] = {{.kind = HONE_KIND_SEQUENCE, .tensor.dtype = HONE_F32, .items = items, .count = 2},
                        value(floats(x, 1)),
                        value(floats(y, 2))};
    hone_value out[3];
    (void)state;
    hone_session *s = open_session("seq_edit", 0);
    for (int turn = 0; turn < 3; turn++) {
        in[0].count = turn == 1 ? 0 : 2; /* an empty one, too */
        assert_int_equal(hone_session_run_values(s, in, 3, out, 3), HONE_OK);
        assert_int_equal(out[0].count, in[0].count + 2); /* x, ..., x */
        assert_true(((float *)out[0].items[0].data)[0] == 6 && ((float *)out[0].items[in[0].count + 1].data)[0] == 6);
        assert_int_equal(out[1].count, in[0].count + 1); /* ..., y */
        assert_true(((float *)out[1].items[in[0].count].data)[1] == 8);
        if (in[0].count) assert_true(((float *)out[1].items[1].data)[2] == 5);
        assert_true(out[2].tensor.dims[0] == 2 && ((float *)out[2].tensor.data)[0] == 7);
    }
    items[1].dtype = HONE_I32;
    assert_int_equal(hone_session_run_values(s, in, 3, out, 3), HONE_E_SHAPE);
    in[0] = value(floats(a, 2));
    assert_int_equal(hone_session_run_values(s, in, 3, out, 3), HONE_E_SHAPE);
    assert_non_null(strstr(hone_error_message(), "sequence"));
    hone_session_destroy(s);
}

static void optionals_are_there_or_not(void **state)
{
    float a[2] = {1, 2};
    hone_value out[4];
    (void)state;
    hone_session *s = open_session("optional", 0);
    for (int turn = 0; turn < 4; turn++) {
        bool given = turn % 2;
        hone_value in = given ? value(floats(a, 2)) : (hone_value){.kind = HONE_KIND_NONE};
        assert_int_equal(hone_session_run_values(s, &in, 1, out, 4), HONE_OK);
        assert_int_equal(*(uint8_t *)out[0].tensor.data, given);
        assert_int_equal(out[1].kind, given ? HONE_KIND_SEQUENCE : HONE_KIND_NONE);
        assert_int_equal(out[2].kind, given ? HONE_KIND_TENSOR : HONE_KIND_NONE);
        assert_int_equal(*(uint8_t *)out[3].tensor.data, given);
        if (given) assert_true(out[1].count == 2 && ((float *)out[1].items[1].data)[1] == 2);
    }
    hone_session_destroy(s);
}

static bool is(hone_string s, const char *want) { return s.size == strlen(want) && !memcmp(s.data, want, s.size); }

static void strings_outlive_the_run(void **state)
{
    hone_string a[2] = {{"x", 1}, {"", 0}};
    (void)state;
    hone_session *s = open_session("string_loop", 1 << 20);
    for (int64_t n = 3; n >= 0; n -= 3) {
        hone_value in[2] = {
            value((hone_tensor){.dtype = HONE_I64, .data = &n, .bytes = sizeof n}),
            value((hone_tensor){.dtype = HONE_STRING, .rank = 1, .dims = {2}, .data = a, .bytes = sizeof a})};
        hone_value out[3];
        assert_int_equal(hone_session_run_values(s, in, 2, out, 3), HONE_OK);
        assert_true(is(((hone_string *)out[0].tensor.data)[0], n ? "xxxx" : "x"));
        assert_true(is(((hone_string *)out[0].tensor.data)[1], ""));
        assert_int_equal(out[1].count, n);
        if (n) assert_true(is(((hone_string *)out[1].items[1].data)[0], "xxx"));
        assert_true(out[2].tensor.rank == 2 && out[2].tensor.dims[0] == n);
        if (n) assert_true(is(((hone_string *)out[2].tensor.data)[2], "xxx"));
    }
    int64_t many = 100000;
    hone_value in[2] = {
        value((hone_tensor){.dtype = HONE_I64, .data = &many, .bytes = sizeof many}),
        value((hone_tensor){.dtype = HONE_STRING, .rank = 1, .dims = {2}, .data = a, .bytes = sizeof a})};
    hone_value out[3];
    assert_int_equal(hone_session_run_values(s, in, 2, out, 3), HONE_E_LIMIT); /* strings count, too */
    hone_session_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_builds_a_sequence),    cmocka_unit_test(appending_costs_the_same_each_time),
        cmocka_unit_test(a_sequence_counts_as_memory), cmocka_unit_test(sequences_go_in_and_part),
        cmocka_unit_test(optionals_are_there_or_not),  cmocka_unit_test(strings_outlive_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
