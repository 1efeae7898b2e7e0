/* cmd_test.c: folders in ONNX's own test layout: model.onnx and test_data_set_<n>/input_<i>.pb, output_<i>.pb. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "tensor/list.h"
#include "tools/tensorfile/tensorfile.h"

enum { MAX_IO = 128 };

typedef struct tolerance {
    double rtol, atol;
} tolerance;

/* NULL: fine; else why not. */
static const char *differs(const hone_tensor *got, const hone__tensor *want, tolerance tol, char *text, size_t size)
{
    if (got->dtype != want->dtype) {
        snprintf(text, size, "type %s, expected %s", hone_dtype_name(got->dtype), hone_dtype_name(want->dtype));
        return text;
    }
    bool same = got->rank == want->rank;
    for (int i = 0; same && i < want->rank; i++) same = got->dims[i] == want->dims[i];
    if (!same) {
        char a[128], b[128];
        snprintf(text, size, "shape %s, expected %s", hone__shape_text(got->rank, got->dims, a, sizeof a),
                 hone__shape_text(want->rank, want->dims, b, sizeof b));
        return text;
    }
    for (size_t i = 0; i < want->count; i++) {
        if (want->dtype == HONE_STRING) {
            hone__string x = ((hone__string *)got->data)[i], y = ((const hone__string *)want->data)[i];
            if (x.size == y.size && (!x.size || !memcmp(x.data, y.data, x.size))) continue;
            snprintf(text, size, "string %zu differs", i);
            return text;
        }
        double x = hone__element_f64(got->dtype, got->data, i), y = hone__element_f64(want->dtype, want->data, i);
        if (x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= tol.atol + tol.rtol * fabs(y)) continue;
        snprintf(text, size, "element %zu is %.9g, expected %.9g", i, x, y);
        return text;
    }
    return NULL;
}

static const char *differs_value(const hone_value *got, const hone__tensor *want, tolerance tol, char *text,
                                 size_t size)
{
    static const char *const kinds[] = {"a tensor", "a sequence", "nothing"};
    char why[200];
    if (got->kind != want->kind) {
        snprintf(text, size, "%s, expected %s", kinds[got->kind], kinds[want->kind]);
        return text;
    }
    if (want->kind == HONE_KIND_TENSOR) return differs(&got->tensor, want, tol, text, size);
    if (got->count != want->count) {
        snprintf(text, size, "%zu elements, expected %zu", got->count, want->count);
        return text;
    }
    for (size_t i = 0; i < want->count; i++) {
        if (!differs(&got->items[i], &hone__list_items(want)[i], tol, why, sizeof why)) continue;
        snprintf(text, size, "element %zu: %s", i, why);
        return text;
    }
    return NULL;
}

typedef struct data_set {
    hone__named_tensor *files[2][MAX_IO];
    hone_tensor *items[MAX_IO]; /* of inputs that are sequences */
    size_t counts[2];
} data_set;

/* HONE__OF_* of the model's input or output i, which its file does not say. */
static unsigned type_of(const hone_model *m, int output, size_t i)
{
    hone_value_info v = {0};
    if ((output ? hone_model_output : hone_model_input)(m, i, &v) != HONE_OK) return 0;
    return (v.sequence ? HONE__OF_SEQUENCE : 0u) | (v.optional ? HONE__OF_OPTIONAL : 0u);
}

static hone_status load(const char *dir, const hone_model *m, data_set *d)
{
    static const char *const kinds[2] = {"input", "output"};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < MAX_IO; i++) {
            char path[8192];
            size_t count;
            if (snprintf(path, sizeof path, "%s/%s_%zu.pb", dir, kinds[k], i) >= (int)sizeof path) break;
            FILE *f = fopen(path, "rb");
            if (!f) break;
            fclose(f);
            hone_status s = hone__tensorfile_read(path, type_of(m, k, i), &d->files[k][i], &count);
            if (s != HONE_OK) return s;
            d->counts[k]++;
        }
    return HONE_OK;
}

static void unload(data_set *d)
{
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < d->counts[k]; i++) hone__tensor_list_free(d->files[k][i], 1);
    for (size_t i = 0; i < MAX_IO; i++) free(d->items[i]);
}

static void as_public(const hone__tensor *t, hone_tensor *out)
{
    *out = (hone_tensor){.dtype = t->dtype, .rank = t->rank, .data = (void *)(uintptr_t)t->data, .bytes = t->bytes};
    memcpy(out->dims, t->dims, sizeof out->dims);
}

static bool take_input(const hone_model *m, data_set *d, size_t i, hone_value *in)
{
    const hone__tensor *t = &d->files[0][i]->tensor;
    hone_value_info v = {0};
    *in = (hone_value){.kind = t->kind};
    as_public(t, &in->tensor);
    if (t->kind != HONE_KIND_SEQUENCE) return true;
    if (!t->count && hone_model_input(m, i, &v) == HONE_OK) in->tensor.dtype = v.dtype;
    if (!(d->items[i] = calloc(t->count + 1, sizeof *d->items[i]))) return false;
    for (size_t k = 0; k < t->count; k++) as_public(&hone__list_items(t)[k], &d->items[i][k]);
    in->items = d->items[i];
    in->count = t->count;
    return true;
}

/* Runs one data set; returns NULL or why it failed. */
static const char *run_set(const hone_model *m, hone_session *s, data_set *d, tolerance tol, char *text, size_t size)
{
    hone_value in[MAX_IO], out[MAX_IO];
    size_t outputs = hone_model_output_count(m);
    for (size_t i = 0; i < d->counts[0]; i++)
        if (!take_input(m, d, i, &in[i])) return "out of memory";
    if (outputs > MAX_IO) return "too many outputs";
    if (hone_session_run_values(s, in, d->counts[0], out, outputs) != HONE_OK) return hone_error_message();
    for (size_t i = 0; i < d->counts[1] && i < outputs; i++) {
        char why[256];
        if (!differs_value(&out[i], &d->files[1][i]->tensor, tol, why, sizeof why)) continue;
        snprintf(text, size, "output %zu: %s", i, why);
        return text;
    }
    return NULL;
}

/* A file `tolerance` in the folder holds "rtol atol" of a case that is not as exact as the others. */
static void read_tolerance(const char *dir, tolerance *tol)
{
    char path[8192];
    tolerance t;
    if (snprintf(path, sizeof path, "%s/tolerance", dir) >= (int)sizeof path) return;
    FILE *f = fopen(path, "r");
    if (!f) return;
    if (fscanf(f, "%lf %lf", &t.rtol, &t.atol) == 2 && t.rtol >= 0 && t.atol >= 0) *tol = t;
    fclose(f);
}

/* NULL: passed. */
static const char *run_case(const char *dir, tolerance tol, char *text, size_t size)
{
    char path[8192];
    hone_model *m = NULL;
    hone_session *s = NULL;
    const char *why = NULL;
    int sets = 0;
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    read_tolerance(dir, &tol);
    hone_session_options o = {.threads = (int)common.threads};
    if (hone_model_open(path, &m) != HONE_OK || hone_session_create(m, &o, &s) != HONE_OK) why = hone_error_message();
    for (; !why; sets++) {
        data_set d = {0};
        snprintf(path, sizeof path, "%s/test_data_set_%d", dir, sets);
        DIR *there = opendir(path);
        if (!there) break;
        closedir(there);
        if (load(path, m, &d) != HONE_OK)
            why = hone_error_message();
        else
            why = run_set(m, s, &d, tol, text, size);
        unload(&d);
    }
    if (!why && !sets) why = "has no test_data_set_0";
    hone_session_destroy(s);
    hone_model_destroy(m);
    return why;
}

int cmd_test(int argc, char **argv)
{
    text_list rest = {0};
    tolerance tol = {1e-3, 1e-7};
    const option_row rows[] = {
        {"rtol", 0, OPTION_FLOAT, &tol.rtol, "X", "relative tolerance (default 1e-3)", 0, 1, NULL},
        {"atol", 0, OPTION_FLOAT, &tol.atol, "X", "absolute tolerance (default 1e-7)", 0, 1e9, NULL},
        {0},
    };
    const verb_help help = {
        "test DIR...",
        "Runs folders that hold model.onnx and test_data_set_*/ as ONNX's own tests do. Prints a line per\n"
        "failure, then `N passed, N failed`.",
        "  hone test cases/*\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (!rest.count) return usage_failure("test needs at least one folder (hone test --help)");
    size_t failed = 0;
    for (size_t i = 0; i < rest.count; i++) {
        char text[512];
        const char *why = run_case(rest.items[i], tol, text, sizeof text);
        progress("testing", i + 1, rest.count);
        if (!why) continue;
        failed++;
        print_clean(rest.items[i]);
        printf(": %s\n", why);
    }
    printf("%zu passed, %zu failed\n", rest.count - failed, failed);
    return failed ? EXIT_FAILED : EXIT_DONE;
}
