/* test_keras_cases.c: every stored Keras model is imported, run, and compared with Keras's own outputs:
 * max |a - b| <= 1e-5 max |b| over each output. Then an ONNX file is written, read back and run to the same values. */
#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "exec/session.h"
#include "onnx/onnx.h"
#include "tools/import/import.h"

#define FOLDER TEST_SOURCE_DIR "/tests/reference/keras"
static const double TOLERANCE = 1e-5;

enum { MAX_TENSORS = 32, MAX_CASES = 256 };

typedef struct reference {
    uint8_t *bytes;
    hone__tensor in[MAX_TENSORS], out[MAX_TENSORS];
    char in_name[MAX_TENSORS][256];
    size_t in_count, out_count;
} reference;

/* Texts, each after a byte with its length. */
static const uint8_t *read_texts(const uint8_t *p, const uint8_t *end, const hone__tensor *like, hone__tensor *out)
{
    enum { MAX_TEXTS = 256 };
    hone__string list[MAX_TEXTS];
    size_t count = 1;
    for (int i = 0; i < like->rank; i++) count *= (size_t)like->dims[i];
    assert_true(count <= MAX_TEXTS);
    for (size_t i = 0; i < count; i++) {
        assert_true(p < end && *p < end - p);
        list[i] = (hone__string){(const char *)p + 1, *p};
        p += 1 + *p;
    }
    assert_int_equal(hone__tensor_strings(like->rank, like->dims, list, out), HONE_OK);
    return p;
}

static void read_reference(const char *path, reference *r)
{
    size_t size;
    memset(r, 0, sizeof *r);
    assert_int_equal(hone__file_read(path, 1 << 24, &r->bytes, &size), HONE_OK);
    const uint8_t *p = r->bytes, *end = p + size;
    while (p < end) {
        int kind = *p++, length = *p++;
        hone__tensor t = {0};
        if (kind == 0) memcpy(r->in_name[r->in_count], p, (size_t)length);
        p += length;
        t.dtype = (hone_dtype)*p++;
        t.rank = *p++;
        memcpy(t.dims, p, (size_t)t.rank * 8);
        p += t.rank * 8;
        hone__tensor owned;
        if (t.dtype == HONE_STRING)
            p = read_texts(p, end, &t, &owned);
        else {
            assert_int_equal(hone__tensor_new(t.dtype, t.rank, t.dims, &owned), HONE_OK);
            assert_true(owned.bytes <= (size_t)(end - p));
            memcpy(hone__tensor_write(&owned), p, owned.bytes);
            p += owned.bytes;
        }
        if (kind == 0)
            r->in[r->in_count++] = owned;
        else
            r->out[r->out_count++] = owned;
        assert_true(r->in_count < MAX_TENSORS && r->out_count < MAX_TENSORS);
    }
}

static void free_reference(reference *r)
{
    for (size_t i = 0; i < r->in_count; i++) hone__tensor_release(&r->in[i]);
    for (size_t i = 0; i < r->out_count; i++) hone__tensor_release(&r->out[i]);
    hone__free(r->bytes);
}

/* max |a - b| / max |b|; infinite where shapes, types or texts differ */
static double error_of(const hone__tensor *a, const hone__tensor *b)
{
    double worst = 0, scale = 1e-30;
    bool same = a->dtype == b->dtype && a->rank == b->rank && a->count == b->count;
    for (int i = 0; same && i < a->rank; i++) same = a->dims[i] == b->dims[i];
    if (!same) return INFINITY;
    for (size_t i = 0; i < a->count; i++) {
        if (a->dtype == HONE_STRING) {
            hone__string x = ((const hone__string *)a->data)[i], y = ((const hone__string *)b->data)[i];
            if (x.size != y.size || memcmp(x.data, y.data, x.size) != 0) return INFINITY;
            continue;
        }
        double x = hone__element_f64(a->dtype, a->data, i), y = hone__element_f64(b->dtype, b->data, i),
               d = fabs(x - y);
        if (!(d <= worst)) worst = d; /* NaN stays */
        if (fabs(y) > scale) scale = fabs(y);
    }
    return worst / scale;
}

/* The largest error of all outputs; negative when the model could not be run. */
static double run_model(const hone__model *m, reference *r)
{
    hone__session *s;
    hone__session_options options = {.threads = 1};
    const hone__tensor *in[MAX_TENSORS], *out[MAX_TENSORS];
    double worst = 0;
    if (m->graph->input_count != r->in_count || m->graph->output_count != r->out_count) return INFINITY;
    for (size_t i = 0; i < r->in_count; i++) in[i] = &r->in[i];
    if (hone__session_create(m, &options, &s) != HONE_OK) return -1;
    if (hone__session_run(s, in, r->in_count, out, r->out_count) != HONE_OK) worst = -1;
    for (size_t i = 0; i < r->out_count && worst >= 0; i++) {
        double e = error_of(out[i], &r->out[i]);
        if (!(e <= worst)) worst = e;
    }
    hone__session_destroy(s);
    return worst;
}

static bool check(const char *name)
{
    char path[512], ref[512], copy[64] = "/tmp/hone-keras-XXXXXX";
    hone__model *m, *again;
    reference r;
    snprintf(path, sizeof path, FOLDER "/%s", name);
    snprintf(ref, sizeof ref, FOLDER "/%.*s.ref", (int)(strrchr(name, '.') - name), name);
    if (hone__import_open(path, NULL, &m, NULL) != HONE_OK) {
        print_error("%s\n", hone_error_message());
        return false;
    }
    read_reference(ref, &r);
    double e = run_model(m, &r);
    if (e < 0)
        print_error("%s: %s\n", name, hone_error_message());
    else if (!(e <= TOLERANCE))
        print_error("%s: relative error %.3g\n", name, e);
    bool ok = e >= 0 && e <= TOLERANCE;
    int fd = mkstemp(copy);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(hone__onnx_write(m, copy, NULL), HONE_OK);
    hone__model_destroy(m);
    if (hone__onnx_read(copy, &again) != HONE_OK) {
        print_error("%s, written: %s\n", name, hone_error_message());
        ok = false;
    } else {
        double w = ok ? run_model(again, &r) : 0;
        if (!(w >= 0 && w <= TOLERANCE)) print_error("%s, written: relative error %.3g\n", name, w), ok = false;
        hone__model_destroy(again);
    }
    unlink(copy);
    free_reference(&r);
    return ok;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void stored_cases(void **state)
{
    (void)state;
    char *names[MAX_CASES];
    size_t n = 0, bad = 0;
    DIR *folder = opendir(FOLDER);
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder)) && n < MAX_CASES;) {
        const char *dot = strrchr(e->d_name, '.');
        if (dot && (strcmp(dot, ".h5") == 0 || strcmp(dot, ".keras") == 0)) names[n++] = strdup(e->d_name);
    }
    closedir(folder);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        bad += !check(names[i]);
        free(names[i]);
    }
    assert_true(n >= 90);
    assert_int_equal(bad, 0);
}

static void count_op(const hone__graph *g, const char *op, size_t *n)
{
    for (const hone__node *k = g->first; k; k = k->next) *n += strcmp(k->op, op) == 0;
}

/* Channels-last models run channels first inside, with one Transpose at the border, or none for one channel. */
static void no_leftover_transposes(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        size_t transposes;
    } cases[] = {{"k3_sequential_cnn.keras", 0},       {"k3_sequential_cnn.h5", 0},
                 {"k3_squeeze_excite.h5", 1},          {"k3_squeeze_excite.keras", 1},
                 {"k3_between_convolutions_1d.h5", 1}, {"k3_between_convolutions_1d.keras", 1},
                 {"k3_between_convolutions_2d.h5", 1}, {"k3_between_convolutions_2d.keras", 1},
                 {"k3_between_convolutions_3d.h5", 1}, {"k3_between_convolutions_3d.keras", 1}};
    int seen = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[512];
        hone__model *m;
        size_t n = 0;
        snprintf(path, sizeof path, FOLDER "/%s", cases[i].file);
        if (access(path, R_OK) != 0) continue;
        assert_int_equal(hone__import_open(path, NULL, &m, NULL), HONE_OK);
        count_op(m->graph, "Transpose", &n);
        if (strstr(cases[i].file, "squeeze"))
            assert_in_range(n, 1, 2); /* its flattened output is Keras's order */
        else
            assert_int_equal(n, cases[i].transposes);
        hone__model_destroy(m);
        seen++;
    }
    assert_int_equal(seen, 5);
}

/* Optimiser state is counted and left out. */
static void real_files(void **state)
{
    (void)state;
    static const char *const files[] = {"mlcommons-tiny/pretrainedResnet.h5", "mlcommons-tiny/vww_96.h5",
                                        "face-classification/fer2013_mini_XCEPTION.102-0.66.hdf5"};
    static const size_t optimizer[] = {625496, 1730584, 455612};
    for (size_t i = 0; i < 3; i++) {
        char path[512];
        hone__model *m;
        hone__import_report r;
        snprintf(path, sizeof path, TEST_SOURCE_DIR "/../shared/data/keras/%s", files[i]);
        if (access(path, R_OK) != 0) {
            print_message("skipped: %s is not there\n", path);
            skip();
        }
        assert_int_equal(hone__import_open(path, NULL, &m, &r), HONE_OK);
        assert_int_equal(r.optimizer_bytes, optimizer[i]);
        assert_true(r.kept_bytes > 0 && r.kept_bytes + r.optimizer_bytes < r.file_bytes);
        hone__model_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stored_cases), cmocka_unit_test(no_leftover_transposes),
                                       cmocka_unit_test(real_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
