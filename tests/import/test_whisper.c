/* test_whisper.c: stored Whisper models against transformers: max |a - b| <= 1e-4 max |b|. The parts as they are cut,
 * and over caches of every type, token by token, with sequences that share what they attend to; layouts share one file.
 */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "onnx/onnx.h"
#include "passes/parts.h"
#include "tasks/decoder.h"
#include "tasks/encoder.h"
#include "tools/import/hugging_face/checkpoint.h"
#include "tools/import/import.h"

#define FOLDER TEST_SOURCE_DIR "/tests/reference/whisper/"
static const char *const cases[] = {"plain", "distilled-relu", "half"};
enum { CASES = sizeof cases / sizeof *cases };

typedef struct reference {
    hone__checkpoint file;
    const hone__tensor *features, *hidden, *ids, *logits;
    hone__model *whole;
} reference;

static void must(hone_status s)
{
    if (s != HONE_OK) fail_msg("%s", hone_error_message());
}

static void open_case(const char *name, reference *r)
{
    static const char *const names[] = {"input_features", "last_hidden_state", "input_ids", "logits"};
    const hone__tensor **to[] = {&r->features, &r->hidden, &r->ids, &r->logits};
    char path[2048];
    hone__map *map;
    memset(r, 0, sizeof *r);
    snprintf(path, sizeof path, FOLDER "%s/case.safetensors", name);
    must(hone__map_open(path, &map));
    must(hone__safetensors_read(map, "case.safetensors", &r->file));
    hone__map_unref(map);
    must(hone__checkpoint_sort(&r->file));
    for (int i = 0; i < 4; i++) {
        const hone__stored *s = hone__checkpoint_find(&r->file, names[i]);
        assert_non_null(s);
        *to[i] = &s->tensor;
    }
    snprintf(path, sizeof path, FOLDER "%s", name);
    must(hone__import_open(path, NULL, &r->whole, NULL));
}

static void close_case(reference *r)
{
    hone__model_destroy(r->whole);
    hone__checkpoint_close(&r->file);
}

static void near(const float *a, const float *b, size_t n, double tolerance, const char *what)
{
    double most = 0, off = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)b[i]));
        double d = fabs((double)a[i] - b[i]);
        off = d > off || isnan(d) ? d : off;
    }
    if (!(off <= tolerance * most)) fail_msg("%s: %g of %g", what, off, most);
}

static void run_encoder(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        reference r;
        hone__model *m;
        hone__session *s;
        const hone__tensor *out;
        hone__session_options o = {.threads = 1};
        open_case(cases[c], &r);
        must(hone__part_cut(r.whole, HONE__PART_ENCODER, &m));
        assert_int_equal(m->graph->input_count, 1);
        must(hone__session_create(m, &o, &s));
        must(hone__session_run(s, &r.features, 1, &out, 1));
        assert_int_equal(out->count, r.hidden->count);
        near(out->data, r.hidden->data, out->count, 1e-4, cases[c]);
        hone__session_destroy(s);
        hone__model_destroy(m);
        close_case(&r);
    }
}

/* Row `token` of sequence `b`. */
static const float *stored_scores(const reference *r, int64_t b, int64_t token)
{
    return (const float *)r->logits->data + (b * r->logits->dims[1] + token) * r->logits->dims[2];
}

/* Both inputs as they are; `beams` sequences of each, all alike. pieces: how the tokens are cut. */
static void decode(const char *name, hone_dtype cache, size_t beams, double tolerance)
{
    static const size_t pieces[] = {3, 1, 1, 4};
    reference r;
    hone__model *encoder, *first, *next;
    hone__encoder *e;
    hone__decoder *d;
    open_case(name, &r);
    must(hone__part_cut(r.whole, HONE__PART_ENCODER, &encoder));
    must(hone__part_cut(r.whole, HONE__PART_FIRST, &first));
    must(hone__part_cut(r.whole, HONE__PART_NEXT, &next));
    hone__encoder_options eo = {.session.threads = 1, .batch = 2, .rows = 12, .cache = cache};
    hone__decoder_options po = {.session.threads = 1, .batch = 2 * beams, .capacity = 16, .cache = cache};
    must(hone__encoder_create(encoder, first, &eo, &e));
    must(hone__decoder_create(next, &po, &d));
    size_t count, vocab;
    must(hone__encoder_run(e, r.features));
    const hone__tensor *caches = hone__encoder_caches(e, &count);
    assert_int_equal(hone__decoder_attend(d, caches, count - 1), HONE_E_ARGUMENT);
    must(hone__decoder_attend(d, caches, count));
    must(hone__decoder_start(d, 2 * beams, NULL));
    size_t at = 0;
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        int64_t ids[64];
        const float *scores;
        for (size_t b = 0; b < 2 * beams; b++)
            for (size_t i = 0; i < pieces[p]; i++)
                ids[b * pieces[p] + i] = ((const int64_t *)r.ids->data)[b / beams * 9 + at + i];
        must(hone__decoder_run(d, ids, pieces[p], p % 2 == 0, &scores, &vocab));
        at += pieces[p];
        size_t rows = p % 2 == 0 ? pieces[p] : 1;
        for (size_t b = 0; b < 2 * beams; b++)
            for (size_t i = 0; i < rows; i++)
                near(scores + (b * rows + i) * vocab, stored_scores(&r, (int64_t)(b / beams), (int64_t)(at - rows + i)),
                     vocab, tolerance, name);
    }
    hone__decoder_destroy(d);
    hone__encoder_destroy(e);
    hone__model_destroy(encoder);
    hone__model_destroy(first);
    hone__model_destroy(next);
    close_case(&r);
}

static void run_decoder(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++) {
        decode(cases[c], HONE_F32, 1, 1e-4);
        decode(cases[c], HONE_F32, 3, 1e-4);
        decode(cases[c], HONE_F16, 1, 3e-3);
        decode(cases[c], HONE_I8, 2, 4e-2);
    }
}

static off_t size_of(const char *folder, const char *name)
{
    char path[512];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return stat(path, &st) ? -1 : st.st_size;
}

/* Every weight is there once, whatever the number of files that read it. */
static void share_weights(void **state)
{
    (void)state;
    static const hone__layout_kind kinds[] = {HONE__LAYOUT_WITH_PAST, HONE__LAYOUT_NO_CACHE, HONE__LAYOUT_SPLIT};
    char folder[] = "/tmp/hone-test-XXXXXX", data[512], paths[HONE__LAYOUT_FILES][512];
    assert_non_null(mkdtemp(folder));
    snprintf(data, sizeof data, "%s/data", folder);
    reference r;
    open_case("plain", &r);
    size_t weights = 0;
    for (const hone__value *v = r.whole->graph->values; v; v = v->next)
        if (v->constant && v->constant->bytes >= 1024) weights += (v->constant->bytes + 63) / 64 * 64;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        hone__layout_file parts[HONE__LAYOUT_FILES];
        hone__onnx_file files[HONE__LAYOUT_FILES];
        size_t count;
        must(hone__layout_make(r.whole, kinds[k], "Whisper", parts, &count));
        for (size_t i = 0; i < count; i++) {
            snprintf(paths[i], sizeof paths[i], "%s/%s", folder, parts[i].name);
            files[i] = (hone__onnx_file){parts[i].model, paths[i]};
        }
        must(hone__onnx_write_files(files, count, data));
        off_t size = size_of(folder, "data");
        assert_true(size > 0 && (size_t)size <= weights);
        for (size_t i = 0; i < count; i++) {
            hone__model *m;
            must(hone__onnx_read(paths[i], &m));
            must(hone__graph_verify(m->graph));
            hone__model_destroy(m);
            hone__model_destroy(parts[i].model);
            unlink(paths[i]);
        }
        unlink(data);
    }
    close_case(&r);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(run_encoder), cmocka_unit_test(run_decoder),
                                       cmocka_unit_test(share_weights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
