/* test_models.c: real models of others (../shared/data/onnx) under every tier and with 1 and 2 threads: within 1e-4 of
 * the largest of what ONNX Runtime gives (tests/reference/models, written by tests/onnx/live_models.py), the same bits
 * for both numbers of threads. `test_models FOLDER` writes what hone gives there instead: one file of float32 per model
 * and number of threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hone/hone.h"

#define DATA TEST_SOURCE_DIR "/../shared/data/onnx/"
static const double TOLERANCE = 1e-4;

/* Everything a model gave that is compared, in order. */
typedef struct record {
    float *data;
    size_t used, room, last; /* values before the last tensor: a state, on a scale of its own */
} record;

static void keep(record *r, const hone_tensor *t)
{
    size_t n = t->bytes / sizeof(float);
    assert_int_equal(t->dtype, HONE_F32);
    if (r->used + n > r->room) {
        r->room = (r->used + n) * 2;
        r->data = realloc(r->data, r->room * sizeof(float));
        assert_non_null(r->data);
    }
    if (n) memcpy(r->data + r->used, t->data, t->bytes);
    r->last = r->used;
    r->used += n;
}

static void must(hone_status s)
{
    if (s != HONE_OK) fail_msg("%s", hone_error_message());
}

static hone_session *session_of(const char *file, int threads)
{
    char path[1024];
    hone_model *m;
    hone_session *s;
    hone_session_options o = HONE_SESSION_OPTIONS_INIT;
    o.threads = threads;
    snprintf(path, sizeof path, DATA "%s", file);
    must(hone_model_open(path, &m));
    must(hone_session_create(m, &o, &s));
    hone_model_destroy(m);
    return s;
}

/* Numbers that Python makes alike: 24 bits each. */
static uint32_t draw(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static hone_tensor tensor(hone_dtype dtype, void *data, size_t size, int rank, const int64_t *dims)
{
    hone_tensor t = {.dtype = dtype, .rank = rank, .data = data, .bytes = size};
    for (int i = 0; i < rank; i++) {
        t.dims[i] = dims[i];
        t.bytes *= (size_t)dims[i];
    }
    return t;
}

#define DIMS(...) \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) { __VA_ARGS__ }

/* Speech of a minute in frames of 512 samples behind 64 of the frame before. */
static void silero(int threads, record *r)
{
    enum { FRAME = 512, CONTEXT = 64, HEADER = 44 };
    static int16_t pcm[1 << 20];
    float x[CONTEXT + FRAME] = {0}, zeros[2 * 128] = {0};
    int64_t rate = 16000;
    FILE *f = fopen(DATA "silero-vad/test.wav", "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, HEADER, SEEK_SET), 0);
    size_t frames = fread(pcm, sizeof *pcm, 1 << 20, f) / FRAME;
    fclose(f);
    assert_true(frames > 1800);
    hone_session *s = session_of("silero-vad/silero_vad_16k_op15.onnx", threads);
    hone_tensor first = tensor(HONE_F32, zeros, sizeof(float), DIMS(2, 1, 128));
    must(hone_session_set_state(s, "state", "stateN", &first));
    hone_named_tensor in[] = {{"input", tensor(HONE_F32, x, sizeof *x, DIMS(1, CONTEXT + FRAME))},
                              {"sr", tensor(HONE_I64, &rate, sizeof rate, 0, NULL)}};
    hone_named_tensor out[] = {{.name = "output"}, {.name = "stateN"}};
    for (size_t k = 0; k < frames; k++) {
        memmove(x, x + FRAME, CONTEXT * sizeof *x);
        for (int i = 0; i < FRAME; i++) x[CONTEXT + i] = (float)pcm[k * FRAME + (size_t)i] / 32768;
        must(hone_session_run_named(s, in, 2, out, 2));
        keep(r, &out[0].tensor);
    }
    keep(r, &out[1].tensor);
    hone_session_destroy(s);
}

/* Two hundred spectra of noise; the last four masks and the last state. */
static void dtln(int threads, record *r)
{
    enum { FRAMES = 200, KEPT = 4 };
    float x[257], zeros[2 * 128 * 2] = {0};
    uint32_t seed = 1;
    hone_session *s = session_of("dtln/model_1.onnx", threads);
    hone_tensor first = tensor(HONE_F32, zeros, sizeof(float), DIMS(1, 2, 128, 2));
    must(hone_session_set_state(s, "input_3", "tf_op_layer_stack_2", &first));
    hone_named_tensor in = {"input_2", tensor(HONE_F32, x, sizeof *x, DIMS(1, 1, 257))};
    hone_named_tensor out[] = {{.name = "activation_2"}, {.name = "tf_op_layer_stack_2"}};
    for (int k = 0; k < FRAMES; k++) {
        for (int i = 0; i < 257; i++) x[i] = (float)draw(&seed) / (1 << 27);
        must(hone_session_run_named(s, &in, 1, out, 2));
        if (k >= FRAMES - KEPT) keep(r, &out[0].tensor);
    }
    keep(r, &out[1].tensor);
    hone_session_destroy(s);
}

static void mnist(int threads, record *r)
{
    float x[28 * 28];
    uint32_t seed = 2;
    hone_session *s = session_of("mnist/model.onnx", threads);
    hone_named_tensor in = {"Input3", tensor(HONE_F32, x, sizeof *x, DIMS(1, 1, 28, 28))},
                      out = {.name = "Plus214_Output_0"};
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 28 * 28; i++) x[i] = (float)(draw(&seed) & 255);
        must(hone_session_run_named(s, &in, 1, &out, 1));
        keep(r, &out.tensor);
    }
    hone_session_destroy(s);
}

/* Two texts of one length, the second one's last third masked. */
static void bert(int threads, record *r)
{
    static const int64_t lengths[] = {1, 7, 32};
    int64_t ids[64], mask[64];
    uint32_t seed = 3;
    hone_session *s = session_of("tiny-bert/model.onnx", threads);
    for (int k = 0; k < 3; k++) {
        int64_t n = lengths[k];
        for (int64_t i = 0; i < 2 * n; i++) {
            ids[i] = draw(&seed) % 1000;
            mask[i] = i < n || i - n < n - n / 3;
        }
        hone_named_tensor in[] = {{"input_ids", tensor(HONE_I64, ids, sizeof *ids, DIMS(2, n))},
                                  {"attention_mask", tensor(HONE_I64, mask, sizeof *mask, DIMS(2, n))}},
                          out = {.name = "logits"};
        must(hone_session_run_named(s, in, 2, &out, 1));
        keep(r, &out.tensor);
    }
    hone_session_destroy(s);
}

static int32_t largest(const float *v, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (v[i] > v[best]) best = i;
    return best;
}

/* Two texts, six tokens each, the likeliest every time: which they are is known; the last logits are kept. */
static void gpt2(int threads, record *r)
{
    enum { LAYERS = 5, STEPS = 6, PROMPT = 4, WORDS = 1000 };
    static const int32_t last[2][STEPS] = {{204, 204, 204, 204, 204, 204}, {731, 114, 114, 114, 114, 114}};
    int32_t ids[2 * PROMPT] = {0, 0, 0, 52, 0, 0, 195, 731}, positions[2 * PROMPT], mask[2 * (PROMPT + STEPS)];
    float unused = 0;
    char past[LAYERS][24], present[LAYERS][24];
    hone_session *s = session_of("tiny-random-gpt2/past.onnx", threads);
    hone_tensor none = tensor(HONE_F32, &unused, sizeof unused, DIMS(2, 2, 4, 0, 8));
    for (int i = 0; i < LAYERS; i++) {
        snprintf(past[i], sizeof past[i], "past_%d", i);
        snprintf(present[i], sizeof present[i], "present_%d", i);
        must(hone_session_set_state(s, past[i], present[i], &none));
    }
    for (int i = 0; i < 2 * (PROMPT + STEPS); i++) mask[i] = 1;
    for (int k = 0, n = PROMPT; k < STEPS; k++, n = 1) {
        int64_t all = k ? PROMPT + k : PROMPT;
        for (int i = 0; i < 2 * n; i++) positions[i] = (int32_t)all - n + i % n;
        hone_named_tensor in[] = {{"input_ids", tensor(HONE_I32, ids, sizeof *ids, DIMS(2, n))},
                                  {"position_ids", tensor(HONE_I32, positions, sizeof *ids, DIMS(2, n))},
                                  {"attention_mask", tensor(HONE_I32, mask, sizeof *ids, DIMS(2, all))}},
                          out = {.name = "logits"};
        must(hone_session_run_named(s, in, 3, &out, 1));
        const float *logits = out.tensor.data;
        for (int b = 0; b < 2; b++) {
            ids[b] = largest(logits + ((size_t)b * (size_t)n + (size_t)n - 1) * WORDS, WORDS);
            assert_int_equal(ids[b], last[b][k]);
        }
        if (k == STEPS - 1) keep(r, &out.tensor);
    }
    hone_session_destroy(s);
}

static const struct {
    const char *name;
    void (*run)(int threads, record *r);
} models[] = {{"silero", silero}, {"dtln", dtln}, {"mnist", mnist}, {"bert", bert}, {"gpt2", gpt2}};
enum { MODELS = sizeof models / sizeof *models };

static const char *folder;

static void write_record(const char *name, int threads, const record *r)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s-%d.f32", folder, name, threads);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(r->data, sizeof(float), r->used, f), r->used);
    assert_int_equal(fclose(f), 0);
}

static void compare_range(const char *name, const float *got, const float *want, size_t n)
{
    double most = 0, error = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(isfinite(got[i]));
        most = fmax(most, fabs((double)want[i]));
        error = fmax(error, fabs((double)got[i] - (double)want[i]));
    }
    if (error > TOLERANCE * most) fail_msg("%s: off by %g of %g", name, error, most);
}

static void compare_stored(const char *name, const record *r)
{
    char path[1024];
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/tests/reference/models/%s.f32", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    float *want = malloc((r->used + 1) * sizeof(float));
    assert_int_equal(fread(want, sizeof(float), r->used + 1, f), r->used);
    fclose(f);
    compare_range(name, r->data, want, r->last);
    compare_range(name, r->data + r->last, want + r->last, r->used - r->last);
    free(want);
}

static void one_model(void **state)
{
    size_t k = (size_t)(uintptr_t)*state;
    record r[2] = {{0}, {0}};
    for (int threads = 1; threads <= 2; threads++) {
        models[k].run(threads, &r[threads - 1]);
        if (folder) write_record(models[k].name, threads, &r[threads - 1]);
    }
    assert_int_equal(r[0].used, r[1].used);
    if (memcmp(r[0].data, r[1].data, r[0].used * sizeof(float)))
        fail_msg("%s: two threads give other bits than one", models[k].name);
    if (!folder) compare_stored(models[k].name, &r[0]);
    free(r[0].data);
    free(r[1].data);
}

static int run_here(void)
{
    struct CMUnitTest tests[MODELS];
    for (size_t i = 0; i < MODELS; i++)
        tests[i] = (struct CMUnitTest){models[i].name, one_model, NULL, NULL, (void *)(uintptr_t)i};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The tier is chosen once per process. */
static int run_tier(const char *tier)
{
    int code = 1;
    fprintf(stderr, "%s:\n", tier ? tier : "best");
    pid_t child = fork();
    if (!child) {
        if (tier)
            setenv("HONE_ISA", tier, 1);
        else
            unsetenv("HONE_ISA");
        exit(run_here());
    }
    return child > 0 && waitpid(child, &code, 0) == child && WIFEXITED(code) ? WEXITSTATUS(code) : 1;
}

int main(int argc, char **argv)
{
    if (access(DATA "silero-vad", R_OK)) {
        printf("skipped: no " DATA "\n");
        return 77;
    }
    if (argc > 1) {
        folder = argv[1];
        return run_here();
    }
    int failed = run_tier(NULL);
#if !defined(__SANITIZE_ADDRESS__) /* there it takes a minute */
    failed |= run_tier("scalar");
#if defined(__x86_64__)
    failed |= run_tier("avx2");
#endif
#endif
    return failed;
}
