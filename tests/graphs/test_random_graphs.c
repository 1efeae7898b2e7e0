/* test_random_graphs.c: random graphs run as they are and after every pass, by one thread and by two, written and read
 * back: the same outputs. HONE_TEST_ALL draws more of them; HONE_SEED=n draws one; HONE_GRAPHS=FOLDER keeps what the
 * portable passes make, and the outputs of the graphs as they were, for live_graphs.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "passes/passes.h"
#include "run_graph.h"

static void compare(uint64_t seed, const char *what, const hone__model *m, hone__session_options o, const answers *want,
                    bool exact)
{
    answers got;
    hone_status s = run_graph(m, o, &got);
    if (s != HONE_OK) fail_msg("seed %llu, %s: %s", (unsigned long long)seed, what, hone_error_message());
    const char *why = answers_differ(want, &got, exact);
    if (why) fail_msg("seed %llu, %s: %s", (unsigned long long)seed, what, why);
    answers_free(&got);
}

static void keep(hone__model *m, const answers *want, uint64_t seed)
{
    char path[4096];
    const char *folder = getenv("HONE_GRAPHS");
    if (!folder) return;
    snprintf(path, sizeof path, "%s/%llu.onnx", folder, (unsigned long long)seed);
    if (hone__onnx_write(m, path, NULL) != HONE_OK) fail_msg("%s", hone_error_message());
    for (size_t i = 0; i < want->count; i++) {
        snprintf(path, sizeof path, "%s/%llu.%zu.f32", folder, (unsigned long long)seed, i);
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        fwrite(want->t[i].data, 1, want->t[i].bytes, f);
        assert_int_equal(fclose(f), 0);
    }
}

static void one_seed(uint64_t seed)
{
    draw d = {.state = seed * 2654435761u + 99};
    hone__model *m = NULL, *back = NULL;
    answers want, machine;
    draw_next(&d);
    if (random_graph(&d, 4 + (int)(seed % 17), &m) != HONE_OK)
        fail_msg("seed %llu: %s", (unsigned long long)seed, hone_error_message());
    if (run_graph(m, (hone__session_options){.plain = true, .threads = 1}, &want) != HONE_OK)
        fail_msg("seed %llu: %s", (unsigned long long)seed, hone_error_message());
    compare(seed, "machine passes", m, (hone__session_options){.threads = 1}, &want, false);
    assert_int_equal(run_graph(m, (hone__session_options){.threads = 1}, &machine), HONE_OK);
    compare(seed, "two threads", m, (hone__session_options){.threads = 2}, &machine, true);
    if (hone__passes_portable(m) != HONE_OK) fail_msg("seed %llu: %s", (unsigned long long)seed, hone_error_message());
    keep(m, &want, seed);
    compare(seed, "portable passes", m, (hone__session_options){.plain = true, .threads = 1}, &want, false);
    compare(seed, "both lists of passes", m, (hone__session_options){.threads = 1}, &want, false);
    if (through_a_file(m, &back) != HONE_OK) fail_msg("seed %llu: %s", (unsigned long long)seed, hone_error_message());
    compare(seed, "read back", back, (hone__session_options){.threads = 1}, &want, false);
    hone__model_destroy(back);
    hone__model_destroy(m);
    answers_free(&want);
    answers_free(&machine);
}

static void optimised_graphs_compute_the_same(void **state)
{
    const char *one = getenv("HONE_SEED");
    uint64_t seeds = getenv("HONE_TEST_ALL") ? 5000 : 400;
    (void)state;
    if (one) {
        one_seed(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 0; seed < seeds; seed++) one_seed(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(optimised_graphs_compute_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
