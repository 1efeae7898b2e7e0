/* test_hugging_face.c: every stored language model is imported, run, and compared with transformers' own scores of a
 * padded batch: max |a - b| <= 1e-4 max |b|. With past and without, in one run and in two; then the saved folder. */
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
#include "passes/kv_cache.h"
#include "tools/import/hugging_face/checkpoint.h"
#include "tools/import/import.h"

#define FOLDER TEST_SOURCE_DIR "/tests/reference/hugging_face"
static const double TOLERANCE = 1e-4;

enum { MAX_INPUTS = 64, MAX_CASES = 64 };

typedef struct reference {
    hone__checkpoint file;
    const hone__tensor *ids, *mask, *positions, *logits;
} reference;

static void read_reference(const char *folder, reference *r)
{
    char path[2048];
    hone__map *map;
    memset(r, 0, sizeof *r);
    snprintf(path, sizeof path, "%s/case.safetensors", folder);
    assert_int_equal(hone__map_open(path, &map), HONE_OK);
    if (hone__safetensors_read(map, "case.safetensors", &r->file) != HONE_OK) fail_msg("%s", hone_error_message());
    hone__map_unref(map);
    assert_int_equal(hone__checkpoint_sort(&r->file), HONE_OK);
    const char *names[] = {"input_ids", "attention_mask", "position_ids", "logits"};
    const hone__tensor **to[] = {&r->ids, &r->mask, &r->positions, &r->logits};
    for (int i = 0; i < 4; i++) {
        const hone__stored *s = hone__checkpoint_find(&r->file, names[i]);
        assert_non_null(s);
        *to[i] = &s->tensor;
    }
}

/* Columns [from, to) of an int64 [B, S]. */
static void columns(const hone__tensor *t, int64_t from, int64_t to, hone__tensor *out)
{
    assert_int_equal(hone__tensor_new(HONE_I64, 2, (int64_t[]){t->dims[0], to - from}, out), HONE_OK);
    int64_t *y = hone__tensor_write(out);
    for (int64_t b = 0; b < t->dims[0]; b++)
        for (int64_t i = from; i < to; i++) *y++ = ((const int64_t *)t->data)[b * t->dims[1] + i];
}

/* Scores of tokens [from, to) against the stored ones; padding does not count. */
static void compare(const reference *r, const hone__tensor *scores, int64_t from, const char *name)
{
    int64_t length = r->logits->dims[1], vocab = r->logits->dims[2], rows = scores->dims[1];
    const float *want = r->logits->data, *got = scores->data;
    const int64_t *mask = r->mask->data;
    double top = 0, worst = 0;
    assert_int_equal(scores->dims[0], r->logits->dims[0]);
    assert_int_equal(scores->dims[2], vocab);
    for (int64_t b = 0; b < scores->dims[0]; b++)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t v = 0; mask[b * length + from + i] && v < vocab; v++) {
                double w = want[(b * length + from + i) * vocab + v], g = got[(b * rows + i) * vocab + v];
                top = fmax(top, fabs(w));
                if (!(fabs(w - g) <= worst)) worst = fabs(w - g); /* NaN counts */
            }
    if (!(worst <= TOLERANCE * top)) fail_msg("%s: error %g of %g", name, worst, top);
}

static void run(hone__session *s, const hone__tensor *in, size_t inputs, const hone__tensor **out, size_t outputs)
{
    const hone__tensor *list[MAX_INPUTS];
    for (size_t i = 0; i < inputs; i++) list[i] = &in[i];
    if (hone__session_run(s, list, inputs, out, outputs) != HONE_OK) fail_msg("%s", hone_error_message());
}

/* Tokens [0, cut) over an empty past, and the rest over what that run gave. */
static void check_past(const hone__model *m, const reference *r, int64_t cut, const char *name)
{
    hone__session *s;
    hone__tensor in[MAX_INPUTS], kept[MAX_INPUTS];
    const hone__tensor *out[MAX_INPUTS];
    size_t inputs = m->graph->input_count, outputs = m->graph->output_count, caches = outputs - 1;
    int64_t length = r->ids->dims[1];
    assert_true(inputs == outputs + 2 && inputs <= MAX_INPUTS);
    assert_int_equal(hone__session_create(m, NULL, &s), HONE_OK);
    for (int part = 0; part < 2; part++) {
        int64_t from = part ? cut : 0, to = part ? length : cut;
        if (from == to) continue;
        columns(r->ids, from, to, &in[0]), columns(r->mask, 0, to, &in[1]), columns(r->positions, from, to, &in[2]);
        for (size_t i = 0; i < caches && !part; i++) {
            const hone__value *v = m->graph->inputs[3 + i];
            int64_t dims[] = {r->ids->dims[0], v->shape.dims[1], 0, v->shape.dims[3]};
            assert_int_equal(hone__tensor_new(HONE_F32, 4, dims, &kept[i]), HONE_OK);
        }
        memcpy(in + 3, kept, caches * sizeof *in);
        run(s, in, inputs, out, outputs);
        compare(r, out[0], from, name);
        for (size_t i = 0; i < caches; i++) {
            hone__tensor copy;
            assert_int_equal(hone__tensor_new(HONE_F32, 4, out[1 + i]->dims, &copy), HONE_OK);
            memcpy(hone__tensor_write(&copy), out[1 + i]->data, copy.bytes);
            hone__tensor_release(&kept[i]);
            kept[i] = copy;
        }
        for (int i = 0; i < 3; i++) hone__tensor_release(&in[i]);
    }
    for (size_t i = 0; i < caches; i++) hone__tensor_release(&kept[i]);
    hone__session_destroy(s);
}

static void check_whole(const hone__model *m, const reference *r, const char *name)
{
    hone__session *s;
    const hone__tensor in[] = {*r->ids, *r->mask, *r->positions}, *out[1];
    assert_int_equal(m->graph->input_count, 3);
    assert_int_equal(m->graph->output_count, 1);
    assert_int_equal(hone__session_create(m, NULL, &s), HONE_OK);
    run(s, in, 3, out, 1);
    compare(r, out[0], 0, name);
    hone__session_destroy(s);
}

/* Saved with weights beside it, widened as they are written, and read again. */
static void check_saved(hone__model *m, const reference *r, const char *name)
{
    char folder[] = "/tmp/hone-hf-XXXXXX", path[64], data[64];
    hone__model *again;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    snprintf(data, sizeof data, "%s/model.onnx_data", folder);
    assert_int_equal(hone__onnx_widen(m), HONE_OK);
    assert_int_equal(hone__onnx_write(m, path, data), HONE_OK);
    if (hone__onnx_read(path, &again) != HONE_OK) fail_msg("%s", hone_error_message());
    for (const hone__value *v = again->graph->values; v; v = v->next)
        if (v->constant) assert_true(v->constant->dtype != HONE_F16 && v->constant->dtype != HONE_BF16);
    assert_non_null(hone__model_metadata(again, HONE__KEY_WINDOWS));
    assert_non_null(hone__model_metadata(again, "hone.decoder"));
    check_past(again, r, 5, name);
    hone__model_destroy(again);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(data), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void one_case(void **state)
{
    char folder[1024];
    const char *name = *state;
    reference r;
    hone__model *m;
    snprintf(folder, sizeof folder, FOLDER "/%s", name);
    read_reference(folder, &r);
    hone__import_report report;
    if (hone__import_open(folder, NULL, &m, &report) != HONE_OK) fail_msg("%s", hone_error_message());
    assert_string_equal(report.format, "hugging-face");
    check_past(m, &r, r.ids->dims[1], name);
    check_past(m, &r, r.ids->dims[1] - 1, name);
    check_saved(m, &r, name);
    hone__model_destroy(m);
    hone__import_options plain = {.no_cache = true, .precision = HONE_PRECISION_INT8};
    if (hone__import_open(folder, &plain, &m, NULL) != HONE_OK) fail_msg("%s", hone_error_message());
    check_whole(m, &r, name);
    hone__model_destroy(m);
    hone__checkpoint_close(&r.file);
}

int main(void)
{
    static char names[MAX_CASES][64];
    struct CMUnitTest tests[MAX_CASES];
    size_t count = 0;
    DIR *d = opendir(FOLDER);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.' || strchr(e->d_name, '.') || count == MAX_CASES) continue;
        snprintf(names[count], sizeof names[count], "%.60s", e->d_name);
        tests[count] = (struct CMUnitTest){names[count], one_case, NULL, NULL, names[count]};
        count++;
    }
    if (d) closedir(d);
    if (!count) return 1;
    return _cmocka_run_group_tests("hugging_face", tests, count, NULL, NULL);
}
