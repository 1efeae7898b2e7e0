/* test_beams.c: beam search over zoo/gpt2-nano against what transformers gave (tests/reference/gpt2_nano_beams.json),
 * and rules for tokens with and without beams (gpt2_nano_rules.json): their ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sampling_case.h"
#include "tasks/generate.h"
#include "tools/import/import.h"

enum { BEAMS = 8, ROOM = 64 };

typedef struct made {
    int32_t ids[BEAMS][ROOM];
    size_t n[BEAMS];
} made;

static hone__go_on collect(void *ctx, size_t index, int32_t token, int last)
{
    made *m = ctx;
    (void)last;
    assert_true(index < BEAMS && m->n[index] < ROOM);
    m->ids[index][m->n[index]++] = token;
    return HONE__GO_ON;
}

static void run_case(hone__decoder *d, const char *file, size_t at, const json_t *c)
{
    const json_t *o = json_object_get(c, "options"), *early = json_object_get(o, "early_stopping");
    int32_t prompt[256];
    case_lists lists;
    const int32_t *prompts[] = {prompt};
    made m = {0};
    size_t length = list_of(json_object_get(c, "ids"), prompt, 256);
    hone__generate_options w = HONE__GENERATE_OPTIONS_INIT;
    w.sampling = rules_of(o, &lists);
    w.tokens = (size_t)number(o, "max_new_tokens", 0);
    w.beams = (size_t)number(o, "num_beams", 1);
    w.sequences = (size_t)number(o, "num_return_sequences", 1);
    w.length_penalty = number(o, "length_penalty", 1);
    w.early = json_is_string(early) ? HONE__EARLY_NEVER : json_is_true(early) ? HONE__EARLY_FULL : HONE__EARLY_LIKELY;
    w.on_token = collect;
    w.ctx = &m;
    if (hone__generate(d, prompts, &length, 1, &w) != HONE_OK) fail_msg("%s", hone_error_message());
    json_t *sequences = json_object_get(c, "sequences");
    for (size_t k = 0; k < json_array_size(sequences); k++) {
        int32_t want[ROOM];
        size_t n = list_of(json_object_get(json_array_get(sequences, k), "ids"), want, ROOM);
        if (m.n[k] != n || memcmp(m.ids[k], want, n * sizeof *want))
            fail_msg("%s, case %zu, sequence %zu: %zu ids, expected %zu (or others)", file, at, k, m.n[k], n);
    }
}

static void run_file(hone__decoder *d, const char *file, size_t least)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/reference/%s", TEST_SOURCE_DIR, file);
    json_t *root = json_load_file(path, 0, NULL), *cases = json_object_get(root, "cases");
    assert_true(json_array_size(cases) >= least);
#if defined(__SANITIZE_ADDRESS__)
    size_t step = 9; /* there every case takes ten times as long */
#else
    size_t step = 1;
#endif
    for (size_t i = 0; i < json_array_size(cases); i += step) run_case(d, file, i, json_array_get(cases, i));
    json_decref(root);
}

static void as_transformers(void **state)
{
    (void)state;
    hone__import_report report = {0};
    hone__model *m;
    hone__decoder *d;
    hone__import_options import = {.precision = HONE_PRECISION_INT8};
    if (hone__import_open(TEST_SOURCE_DIR "/zoo/gpt2-nano", &import, &m, &report) != HONE_OK)
        fail_msg("%s", hone_error_message());
    hone__decoder_options o = {.session = {.threads = 2}, .batch = BEAMS, .capacity = 256, .cache = HONE_F32};
    if (hone__decoder_create(m, &o, &d) != HONE_OK) fail_msg("%s", hone_error_message());
    run_file(d, "gpt2_nano_beams.json", 100);
    run_file(d, "gpt2_nano_rules.json", 40);
    hone__decoder_destroy(d);
    hone__model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_transformers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
