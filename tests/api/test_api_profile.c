/* test_api_profile.c: times and events of nodes through the public API, on a model with a Loop
 * (tests/fuzz/make_value_seeds.py writes it). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hone/hone.h"

typedef struct seen {
    int outer, inner;
    double loop, bodies, last;
    bool ordered;
} seen;

static void note(void *ctx, const hone_node_event *e)
{
    seen *s = ctx;
    double end = e->start + e->seconds;
    s->ordered &= e->start >= 0 && e->seconds >= 0 && end >= s->last && e->depth <= 1;
    s->last = end;
    if (e->depth) {
        s->inner++;
        s->bodies += e->seconds;
    } else {
        s->outer++;
    }
    if (!strcmp(e->op, "Loop")) s->loop = e->seconds;
}

static void run_loop(const hone_session_options *o, int64_t n, hone_session **out)
{
    char path[512];
    hone_model *m;
    hone_value results[3];
    float x = 7;
    hone_value in[2] = {{.kind = HONE_KIND_TENSOR, .tensor = {.dtype = HONE_I64, .data = &n, .bytes = sizeof n}},
                        {.kind = HONE_KIND_TENSOR,
                         .tensor = {.dtype = HONE_F32, .rank = 1, .dims = {1}, .data = &x, .bytes = sizeof x}}};
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/onnx/seq_loop.onnx", TEST_SOURCE_DIR);
    assert_int_equal(hone_model_open(path, &m), HONE_OK);
    assert_int_equal(hone_session_create(m, o, out), HONE_OK);
    hone_model_destroy(m);
    assert_int_equal(hone_session_run_values(*out, in, 2, results, 3), HONE_OK);
}

static void events_come_from_every_graph(void **state)
{
    seen few = {.ordered = true}, many = {.ordered = true};
    hone_session *s;
    (void)state;
    run_loop(&(hone_session_options){.threads = 1, .on_node = note, .on_node_ctx = &few}, 2, &s);
    hone_session_destroy(s);
    run_loop(&(hone_session_options){.threads = 1, .on_node = note, .on_node_ctx = &many}, 6, &s);
    hone_session_destroy(s);
    assert_true(few.inner > 0 && many.inner == 3 * few.inner && few.outer == many.outer);
    assert_true(few.ordered && many.ordered && many.loop >= many.bodies);
}

static void times_count_each_node_once(void **state)
{
    hone_session *s;
    hone_node_time t;
    unsigned long long inside = 0;
    size_t i = 0, loops = 0;
    double total = 0;
    seen all = {.ordered = true};
    (void)state;
    run_loop(&(hone_session_options){.threads = 1, .profile = 1, .on_node = note, .on_node_ctx = &all}, 5, &s);
    for (; hone_session_time(s, i, &t) == HONE_OK; i++) {
        total += t.seconds;
        if (t.depth) inside += t.calls;
        if (t.calls && !strcmp(t.op, "Loop")) loops++;
        assert_true(!t.calls || (*t.op && t.seconds >= 0));
    }
    assert_int_equal(loops, 1);
    assert_int_equal(inside, all.inner);
    assert_true(total > 0 && total <= all.last); /* a node's time leaves out what ran inside it */
    assert_int_equal(hone_session_time(s, i, &t), HONE_E_ARGUMENT);
    hone_session_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(events_come_from_every_graph),
                                       cmocka_unit_test(times_count_each_node_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
