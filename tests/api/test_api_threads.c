/* test_api_threads.c: four sessions on four threads over one mapped model, each made, run and destroyed by its own
 * thread while the others run: the bits of a session alone. Also runs under ThreadSanitizer (make test-all). */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hone/hone.h"

enum { THREADS = 4, ROUNDS = 3, RUNS = 3 };

typedef struct task {
    const hone_model *model;
    int threads, index;
    float *want; /* the sole output of the input that `index` gives, for comparison; filled by the first run */
    size_t bytes;
    const char *error;
} task;

static size_t shape_input(const hone_model *m, hone_tensor *t)
{
    hone_value_info info;
    size_t n = 1;
    hone_model_input(m, 0, &info);
    *t = (hone_tensor){.dtype = info.dtype, .rank = info.rank};
    for (int i = 0; i < info.rank; i++) n *= (size_t)(t->dims[i] = info.dims[i] < 0 ? 1 : info.dims[i]);
    t->bytes = n * sizeof(float);
    return n;
}

/* One session: `want` is what it gives when that is NULL, and what it must give otherwise. */
static const char *one_session(task *k)
{
    hone_session *s;
    hone_session_options o = HONE_SESSION_OPTIONS_INIT;
    hone_tensor in, out;
    const char *error = NULL;
    size_t n = shape_input(k->model, &in);
    float *x = malloc(in.bytes);
    in.data = x;
    o.threads = k->threads;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((i * 2654435761u + (size_t)k->index * 40503u) >> 8 & 255) / 255.0f - 0.5f;
    if (hone_session_create(k->model, &o, &s) != HONE_OK) error = "no session";
    for (int run = 0; !error && run < RUNS; run++) {
        if (hone_session_run(s, &in, 1, &out, 1) != HONE_OK)
            error = "no run";
        else if (!k->want) {
            k->want = malloc(out.bytes);
            k->bytes = out.bytes;
            memcpy(k->want, out.data, out.bytes);
        } else if (out.bytes != k->bytes || memcmp(out.data, k->want, out.bytes))
            error = "other bits than alone";
    }
    if (error == NULL || strcmp(error, "no session")) hone_session_destroy(s);
    free(x);
    return error;
}

static void *work(void *ctx)
{
    task *k = ctx;
    for (int round = 0; !k->error && round < ROUNDS; round++) k->error = one_session(k);
    return NULL;
}

static void side_by_side(const char *name, int threads)
{
    char path[512];
    hone_model *m;
    task tasks[THREADS];
    pthread_t ids[THREADS];
    snprintf(path, sizeof path, "%s/%s", TEST_SOURCE_DIR, name);
    if (hone_model_open(path, &m) != HONE_OK) fail_msg("%s", hone_error_message());
    for (int i = 0; i < THREADS; i++) {
        tasks[i] = (task){.model = m, .threads = threads, .index = i};
        const char *error = one_session(&tasks[i]); /* alone */
        if (error) fail_msg("%s: %s: %s", name, error, hone_error_message());
    }
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&ids[i], NULL, work, &tasks[i]), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(ids[i], NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        if (tasks[i].error) fail_msg("%s, thread %d: %s", name, i, tasks[i].error);
        free(tasks[i].want);
    }
    hone_model_destroy(m);
}

static void sessions_run_side_by_side(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        side_by_side("tests/fuzz/corpus/onnx/conv.onnx", threads);
        side_by_side("tests/fuzz/corpus/onnx/ml_treeensembleregressor.onnx", threads);
        side_by_side("tests/fuzz/corpus/onnx/shape.onnx", threads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sessions_run_side_by_side)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
