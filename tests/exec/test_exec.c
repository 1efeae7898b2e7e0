/* test_exec.c: a small network through write, read, every precision and the session: nothing allocated after the first
 * run, the same bits for any number of threads, memory that runs out at every allocation. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "counting.h"
#include "exec/session.h"
#include "graph/builder.h"
#include "onnx/onnx.h"
#include "ops/eval.h"
#include "passes/passes.h"
#include "quant/quant.h"

static uint32_t seed;
static float random_float(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 8388608.0f - 1;
}

static hone__value *weights(hone__builder *b, const char *name, int rank, const int64_t *dims)
{
    size_t n = 1;
    for (int i = 0; i < rank; i++) n *= (size_t)dims[i];
    float *v = malloc(n * sizeof *v);
    for (size_t i = 0; i < n; i++) v[i] = random_float() * 0.3f;
    hone__value *out = hone__emit_f32(b, name, v, rank, dims);
    free(v);
    return out;
}

/* conv + batch norm + relu, conv + residual + relu, pool, flatten, two dense layers, softmax */
static hone_status build(hone__model **out)
{
    hone__model *m;
    HONE__TRY(hone__model_new(&m));
    hone__builder b = {.graph = m->graph};
    const int64_t pads[] = {1, 1, 1, 1}, two[] = {2, 2};
    int64_t batch;
    seed = 7;
    if (hone__symbol(m, "batch_size", &batch) != HONE_OK) {
        hone__model_destroy(m);
        return HONE_E_MEMORY;
    }
    hone__value *x = hone__emit_input(&b, "x", HONE_F32, 4, (int64_t[]){batch, 3, 12, 12});
    hone__value *c =
        hone__emit(&b, "Conv", "c1",
                   HONE__INS(x, weights(&b, "w1", 4, (int64_t[]){16, 3, 3, 3}), weights(&b, "b1", 1, (int64_t[]){16})),
                   HONE__ATTRS(hone__a_ints("pads", pads, 4)));
    float ones[16], positive[16];
    for (int i = 0; i < 16; i++) ones[i] = 1 + 0.1f * (float)i, positive[i] = 0.5f + (float)i;
    const int64_t n16 = 16;
    hone__value *bn =
        hone__emit(&b, "BatchNormalization", "bn",
                   HONE__INS(c, hone__emit_f32(&b, "g", ones, 1, &n16), hone__emit_f32(&b, "h", positive, 1, &n16),
                             hone__emit_f32(&b, "mu", positive, 1, &n16), hone__emit_f32(&b, "va", positive, 1, &n16)),
                   HONE__NO_ATTRS);
    hone__value *r = hone__emit(&b, "Relu", "r1", HONE__INS(bn), HONE__NO_ATTRS);
    hone__value *c2 = hone__emit(&b, "Conv", "c2", HONE__INS(r, weights(&b, "w2", 4, (int64_t[]){16, 16, 3, 3})),
                                 HONE__ATTRS(hone__a_ints("pads", pads, 4)));
    hone__value *sum = hone__emit(
        &b, "Relu", "r2", HONE__INS(hone__emit(&b, "Add", "add", HONE__INS(c2, r), HONE__NO_ATTRS)), HONE__NO_ATTRS);
    hone__value *p = hone__emit(&b, "MaxPool", "pool", HONE__INS(sum),
                                HONE__ATTRS(hone__a_ints("kernel_shape", two, 2), hone__a_ints("strides", two, 2)));
    hone__value *f = hone__emit(&b, "Flatten", "flat", HONE__INS(p), HONE__NO_ATTRS);
    hone__value *d =
        hone__emit(&b, "MatMul", "d1", HONE__INS(f, weights(&b, "k1", 2, (int64_t[]){576, 40})), HONE__NO_ATTRS);
    d = hone__emit(
        &b, "Tanh", "t",
        HONE__INS(hone__emit(&b, "Add", "a1", HONE__INS(d, weights(&b, "kb", 1, (int64_t[]){40})), HONE__NO_ATTRS)),
        HONE__NO_ATTRS);
    d = hone__emit(&b, "MatMul", "d2", HONE__INS(d, weights(&b, "k2", 2, (int64_t[]){40, 30})), HONE__NO_ATTRS);
    hone__emit_output(&b, "y", hone__emit(&b, "Softmax", "s", HONE__INS(d), HONE__NO_ATTRS));
    if (b.status != HONE_OK) {
        hone__model_destroy(m);
        return b.status;
    }
    *out = m;
    return HONE_OK;
}

static hone_status prepare(hone_precision precision, int block, hone__model **out)
{
    hone_optimize_options o = HONE_OPTIMIZE_OPTIONS_INIT;
    o.precision = precision;
    o.block = block;
    HONE__TRY(build(out));
    hone_status s = hone__graph_infer((*out)->graph);
    if (s == HONE_OK) s = hone__passes_portable(*out);
    if (s == HONE_OK) s = hone__quant_weights(*out, &o, NULL, NULL);
    if (s != HONE_OK) {
        hone__model_destroy(*out);
        *out = NULL;
    }
    return s;
}

static hone_status run(const hone__model *m, hone__session_options o, int64_t batch, float *out)
{
    hone__session *s;
    hone__tensor in = {.dtype = HONE_F32, .rank = 4, .dims = {batch, 3, 12, 12}};
    const hone__tensor *list = &in, *y;
    float *x = malloc((size_t)batch * 432 * sizeof *x);
    seed = 99;
    for (int64_t i = 0; i < batch * 432; i++) x[i] = random_float();
    in.count = (size_t)batch * 432;
    in.bytes = in.count * sizeof *x;
    in.data = x;
    hone_status st = hone__session_create(m, &o, &s);
    if (st == HONE_OK) st = hone__session_run(s, &list, 1, &y, 1);
    if (st == HONE_OK) memcpy(out, y->data, y->bytes);
    hone__session_destroy(s);
    free(x);
    return st;
}

static void every_precision_agrees(void **state)
{
    float want[3 * 30], got[3 * 30];
    hone__model *m;
    (void)state;
    assert_int_equal(build(&m), HONE_OK);
    assert_int_equal(run(m, (hone__session_options){.plain = true, .threads = 1}, 3, want), HONE_OK);
    hone__model_destroy(m);
    static const struct {
        hone_precision p;
        int block;
        float tolerance;
    } rows[] = {{HONE_PRECISION_FP32, 128, 1e-5f}, {HONE_PRECISION_FP16, 128, 2e-3f}, {HONE_PRECISION_BF16, 128, 2e-2f},
                {HONE_PRECISION_INT8, 128, 3e-2f}, {HONE_PRECISION_INT8, 0, 3e-2f},   {HONE_PRECISION_INT4, 32, 0.2f}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        assert_int_equal(prepare(rows[k].p, rows[k].block, &m), HONE_OK);
        for (int plain = 0; plain < 2; plain++) {
            assert_int_equal(run(m, (hone__session_options){.plain = plain, .threads = 2}, 3, got), HONE_OK);
            float top = 0;
            for (int i = 0; i < 90; i++) top = fabsf(got[i] - want[i]) > top ? fabsf(got[i] - want[i]) : top;
            if (top > rows[k].tolerance)
                fail_msg("precision %d block %d plain %d: error %g", (int)rows[k].p, rows[k].block, plain, (double)top);
        }
        hone__model_destroy(m);
    }
}

static void threads_and_batches_do_not_change_bits(void **state)
{
    float one[30], two[30], batch[90], again[90];
    hone__model *m;
    (void)state;
    for (int p = HONE_PRECISION_FP32; p <= HONE_PRECISION_INT4; p++) {
        assert_int_equal(prepare((hone_precision)p, 128, &m), HONE_OK);
        assert_int_equal(run(m, (hone__session_options){.threads = 1}, 1, one), HONE_OK);
        assert_int_equal(run(m, (hone__session_options){.threads = 2}, 1, two), HONE_OK);
        assert_memory_equal(one, two, sizeof one);
        assert_int_equal(run(m, (hone__session_options){.threads = 1}, 3, batch), HONE_OK);
        assert_int_equal(run(m, (hone__session_options){.threads = 3}, 3, again), HONE_OK);
        assert_memory_equal(batch, again, sizeof batch);
        hone__model_destroy(m);
    }
}

static void files_read_back_the_same(void **state)
{
    float want[30], got[30];
    hone__model *m, *back;
    char path[] = "/tmp/hone-exec-XXXXXX";
    (void)state;
    int fd = mkstemp(path);
    close(fd);
    for (int p = HONE_PRECISION_FP32; p <= HONE_PRECISION_INT4; p++) {
        assert_int_equal(prepare((hone_precision)p, p == HONE_PRECISION_INT8 ? 0 : 128, &m), HONE_OK);
        assert_int_equal(run(m, (hone__session_options){0}, 1, want), HONE_OK);
        assert_int_equal(hone__onnx_write(m, path, NULL), HONE_OK);
        hone__model_destroy(m);
        assert_int_equal(hone__onnx_read(path, &back), HONE_OK);
        assert_int_equal(hone__graph_infer(back->graph), HONE_OK);
        assert_int_equal(back->graph->outputs[0]->shape.rank, 2);
        assert_int_equal(run(back, (hone__session_options){0}, 1, got), HONE_OK);
        assert_memory_equal(want, got, sizeof want);
        hone__model_destroy(back);
    }
    unlink(path);
}

static void nothing_is_allocated_after_the_first_run(void **state)
{
    hone__model *m;
    hone__session *s;
    float x[2 * 432] = {0};
    (void)state;
    fail_at = 0;
    hone_set_allocator(&counter);
    for (int p = HONE_PRECISION_FP32; p <= HONE_PRECISION_INT4; p++) {
        assert_int_equal(prepare((hone_precision)p, 128, &m), HONE_OK);
        hone__session_options o = {.threads = 2};
        assert_int_equal(hone__session_create(m, &o, &s), HONE_OK);
        hone__model_destroy(m);
        for (int64_t batch = 1; batch <= 2; batch++) {
            hone__tensor in = {
                .dtype = HONE_F32, .rank = 4, .dims = {batch, 3, 12, 12}, .data = x, .count = (size_t)batch * 432};
            const hone__tensor *list = &in, *y;
            in.bytes = in.count * sizeof *x;
            assert_int_equal(hone__session_run(s, &list, 1, &y, 1), HONE_OK);
            size_t before = calls;
            for (int i = 0; i < 5; i++) assert_int_equal(hone__session_run(s, &list, 1, &y, 1), HONE_OK);
            assert_int_equal(calls, before);
        }
        hone__session_destroy(s);
        assert_int_equal(live, 0);
    }
    hone_set_allocator(NULL);
}

static hone_status whole_job(float *out)
{
    hone__model *m;
    HONE__TRY(prepare(HONE_PRECISION_INT8, 128, &m));
    hone_status s = run(m, (hone__session_options){.threads = 1}, 1, out);
    hone__model_destroy(m);
    return s;
}

static void memory_that_runs_out_is_an_error(void **state)
{
    float want[30], got[30];
    (void)state;
    assert_int_equal(whole_job(want), HONE_OK);
    hone_set_allocator(&counter);
    size_t total, step = getenv("HONE_TEST_ALL") ? 1 : 7;
    calls = fail_at = live = 0;
    assert_int_equal(whole_job(got), HONE_OK);
    total = calls;
    assert_true(total > 50);
    for (size_t n = 1; n <= total; n += step) {
        calls = 0;
        fail_at = n;
        hone_status s = whole_job(got);
        if (s != HONE_E_MEMORY)
            fail_msg("allocation %zu of %zu failed: status %d (%s)", n, total, (int)s, hone_error_message());
        if (live) fail_msg("allocation %zu failed: %zu bytes were lost", n, live);
    }
    fail_at = calls = 0;
    assert_int_equal(whole_job(got), HONE_OK);
    assert_memory_equal(want, got, sizeof want);
    hone_set_allocator(NULL);
}

static void wrong_inputs_are_named(void **state)
{
    hone__model *m;
    hone__session *s;
    float x[432] = {0};
    (void)state;
    assert_int_equal(build(&m), HONE_OK);
    assert_int_equal(hone__session_create(m, NULL, &s), HONE_OK);
    hone__tensor in = {
        .dtype = HONE_F32, .rank = 4, .dims = {1, 3, 12, 13}, .data = x, .bytes = sizeof x, .count = 432};
    const hone__tensor *list = &in, *y;
    assert_int_equal(hone__session_run(s, &list, 1, &y, 1), HONE_E_SHAPE);
    assert_non_null(strstr(hone_error_message(), "'x'"));
    in.dims[3] = 12;
    in.dtype = HONE_I32;
    assert_int_equal(hone__session_run(s, &list, 1, &y, 1), HONE_E_SHAPE);
    assert_non_null(strstr(hone_error_message(), "int32"));
    assert_int_equal(hone__session_run(s, &list, 0, &y, 1), HONE_E_ARGUMENT);
    hone__session_destroy(s);
    hone__session_options o = {.max_memory = 1000};
    assert_int_equal(hone__session_create(m, &o, &s), HONE_OK);
    in.dtype = HONE_F32;
    assert_int_equal(hone__session_run(s, &list, 1, &y, 1), HONE_E_LIMIT);
    hone__session_destroy(s);
    hone__model_destroy(m);
}

static void *set_soon(void *flag)
{
    nanosleep(&(struct timespec){0, 3000000}, NULL);
    atomic_store((atomic_bool *)flag, true);
    return NULL;
}

/* A product of 2 * 2000^3 operations is told to stop inside; what it leaves is no result. */
static void a_long_node_can_be_cancelled(void **state)
{
    enum { N = 2000 };
    static float x[N * N];
    hone__model *m;
    hone__session *s;
    (void)state;
    assert_int_equal(hone__model_new(&m), HONE_OK);
    hone__builder b = {.graph = m->graph};
    hone__value *xv = hone__emit_input(&b, "x", HONE_F32, 2, (int64_t[]){N, N});
    hone__emit_output(&b, "y", hone__emit(&b, "MatMul", "m", HONE__INS(xv, xv), HONE__NO_ATTRS));
    assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
    hone__tensor t = {.dtype = HONE_F32, .rank = 2, .dims = {N, N}, .count = N * N, .bytes = sizeof x, .data = x};
    const hone__tensor *in = &t, *out;
    for (int threads = 1; threads <= 2; threads++) {
        atomic_bool cancel = false;
        pthread_t other;
        hone__session_options o = {.threads = threads, .cancel = &cancel};
        assert_int_equal(hone__session_create(m, &o, &s), HONE_OK);
        assert_int_equal(pthread_create(&other, NULL, set_soon, &cancel), 0);
        assert_int_equal(hone__session_run(s, &in, 1, &out, 1), HONE_E_CANCELLED);
        pthread_join(other, NULL);
        hone__session_destroy(s);
    }
    hone__model_destroy(m);
}

/* Weights that are an input may change from run to run: nothing made from them is kept. */
static void weights_may_be_an_input(void **state)
{
    enum { C = 16, SIZE = 20, X = C * SIZE * SIZE, W = C * C * 9, Y = C * (SIZE - 2) * (SIZE - 2) };
    static uint8_t x[X];
    static int8_t w[W];
    hone__model *m;
    hone__session *s;
    hone__session_options o = {.threads = 1};
    (void)state;
    assert_int_equal(hone__model_new(&m), HONE_OK);
    hone__builder b = {.graph = m->graph};
    hone__value *xv = hone__emit_input(&b, "x", HONE_U8, 4, (int64_t[]){1, C, SIZE, SIZE});
    hone__value *wv = hone__emit_input(&b, "w", HONE_I8, 4, (int64_t[]){C, C, 3, 3});
    hone__emit_output(&b, "y", hone__emit(&b, "ConvInteger", "c", HONE__INS(xv, wv), HONE__NO_ATTRS));
    assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
    assert_int_equal(hone__session_create(m, &o, &s), HONE_OK);
    for (int i = 0; i < X; i++) x[i] = 1;
    for (int run = 1; run < 4; run++) {
        for (int i = 0; i < W; i++) w[i] = (int8_t)run;
        hone__tensor tx = {.dtype = HONE_U8, .rank = 4, .dims = {1, C, SIZE, SIZE}, .count = X, .bytes = X, .data = x},
                     tw = {.dtype = HONE_I8, .rank = 4, .dims = {C, C, 3, 3}, .count = W, .bytes = W, .data = w};
        const hone__tensor *in[] = {&tx, &tw}, *out;
        assert_int_equal(hone__session_run(s, in, 2, &out, 1), HONE_OK);
        assert_int_equal(out->count, Y);
        for (int i = 0; i < Y; i++) assert_int_equal(((const int32_t *)out->data)[i], C * 9 * run);
    }
    hone__session_destroy(s);
    hone__model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_precision_agrees),           cmocka_unit_test(threads_and_batches_do_not_change_bits),
        cmocka_unit_test(files_read_back_the_same),         cmocka_unit_test(nothing_is_allocated_after_the_first_run),
        cmocka_unit_test(memory_that_runs_out_is_an_error), cmocka_unit_test(wrong_inputs_are_named),
        cmocka_unit_test(weights_may_be_an_input),          cmocka_unit_test(a_long_node_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
