/* test_out_of_memory.c: memory runs out at every single allocation while a model is read, inferred, planned and run: an
 * error that says so, nothing lost, and afterwards all works. The models are the fuzzers' seeds and random graphs;
 * HONE_MODELS names another folder of .onnx files. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "counting.h"
#include "onnx/onnx.h"
#include "ops/eval.h"
#include "passes/passes.h"
#include "tests/fuzz/fuzz_run.h"
#include "tests/graphs/random_graph.h"

typedef struct job {
    const uint8_t *data; /* a file; NULL: a random graph */
    size_t size;
    uint64_t seed;
} job;

static hone_status make(const job *j, hone__model **m)
{
    draw d = {.state = j->seed};
    if (!j->data) return random_graph(&d, 12, m);
    HONE__TRY(hone__onnx_parse(j->data, j->size, "seed", m));
    hone_status s = hone__graph_infer((*m)->graph);
    if (s != HONE_OK) hone__model_destroy(*m);
    return s;
}

static hone_status whole(const job *j)
{
    hone__model *m;
    HONE__TRY(make(j, &m));
    hone_status s = fuzz_run(m);
    if (s == HONE_OK) s = hone__passes_portable(m);
    hone__model_destroy(m);
    return s;
}

/* How many allocations there are; 0 for what does not run even with memory. */
static size_t starve(const job *j, const char *name)
{
    fail_at = calls = 0;
    hone_status want = whole(j);
    if (want != HONE_OK) return 0;
    size_t total = calls;
    assert_int_equal(live, 0);
    for (size_t n = 1; n <= total; n++) {
        calls = 0;
        fail_at = n;
        hone_status s = whole(j);
        if (s != HONE_E_MEMORY)
            fail_msg("%s: allocation %zu of %zu failed: status %d (%s)", name, n, total, (int)s, hone_error_message());
        if (live) fail_msg("%s: allocation %zu of %zu failed: %zu bytes were lost", name, n, total, live);
    }
    fail_at = 0;
    assert_int_equal(whole(j), HONE_OK);
    return total;
}

static void every_allocation_of_files(void **state)
{
    static uint8_t data[1 << 16];
    const char *given = getenv("HONE_MODELS"), *folder = given ? given : TEST_SOURCE_DIR "/tests/fuzz/corpus/onnx";
    DIR *dir = opendir(folder);
    size_t ran = 0;
    (void)state;
    assert_non_null(dir);
    hone_set_allocator(&counter);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (!f) continue;
        job j = {.data = data, .size = fread(data, 1, sizeof data, f)};
        fclose(f);
        ran += starve(&j, e->d_name) > 0;
    }
    closedir(dir);
    hone_set_allocator(NULL);
    assert_true(ran > 20);
}

static void every_allocation_of_random_graphs(void **state)
{
    (void)state;
    hone_set_allocator(&counter);
    for (uint64_t seed = 1; seed <= 100; seed++) {
        char name[32];
        snprintf(name, sizeof name, "graph %d", (int)seed);
        assert_true(starve(&(job){.seed = seed * 77777}, name) > 20);
    }
    hone_set_allocator(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_of_files),
                                       cmocka_unit_test(every_allocation_of_random_graphs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
