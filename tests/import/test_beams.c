/* test_beams.c: beam search over zoo/gpt2-nano against what transformers gave (tests/reference/gpt2_nano_beams.json):
 * their ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
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

static size_t number(const json_t *o, const char *key) { return (size_t)json_integer_value(json_object_get(o, key)); }

static size_t list_of(const json_t *list, int32_t *to, size_t room)
{
    size_t n = json_array_size(list);
    assert_true(n <= room);
    for (size_t i = 0; i < n; i++) to[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return n;
}

static void run_case(hone__decoder *d, size_t number_of, const json_t *c)
{
    const json_t *o = json_object_get(c, "options"), *early = json_object_get(o, "early_stopping");
    int32_t prompt[256], ends[4];
    const int32_t *prompts[] = {prompt};
    made m = {0};
    size_t length = list_of(json_object_get(c, "ids"), prompt, 256);
    hone__generate_options w = HONE__GENERATE_OPTIONS_INIT;
    w.sampling.end_count = list_of(json_object_get(o, "eos_token_id"), ends, 4);
    w.sampling.ends = ends;
    w.sampling.no_repeat = number(o, "no_repeat_ngram_size");
    w.tokens = number(o, "max_new_tokens");
    w.beams = number(o, "num_beams");
    w.sequences = number(o, "num_return_sequences");
    w.length_penalty = (float)json_number_value(json_object_get(o, "length_penalty"));
    w.early = json_is_string(early) ? HONE__EARLY_NEVER : json_is_true(early) ? HONE__EARLY_FULL : HONE__EARLY_LIKELY;
    w.on_token = collect;
    w.ctx = &m;
    if (hone__generate(d, prompts, &length, 1, &w) != HONE_OK) fail_msg("%s", hone_error_message());
    json_t *sequences = json_object_get(c, "sequences");
    for (size_t k = 0; k < json_array_size(sequences); k++) {
        int32_t want[ROOM];
        size_t n = list_of(json_object_get(json_array_get(sequences, k), "ids"), want, ROOM);
        if (m.n[k] != n || memcmp(m.ids[k], want, n * sizeof *want))
            fail_msg("case %zu, sequence %zu: %zu ids, expected %zu (or others)", number_of, k, m.n[k], n);
    }
}

static void as_transformers(void **state)
{
    (void)state;
    hone__import_report report = {0};
    hone__model *m;
    hone__decoder *d;
    json_t *root = json_load_file(TEST_SOURCE_DIR "/tests/reference/gpt2_nano_beams.json", 0, NULL);
    json_t *cases = json_object_get(root, "cases");
    assert_true(json_array_size(cases) > 100);
    hone__import_options import = {.precision = HONE_PRECISION_INT8};
    if (hone__import_open(TEST_SOURCE_DIR "/zoo/gpt2-nano", &import, &m, &report) != HONE_OK)
        fail_msg("%s", hone_error_message());
    hone__decoder_options o = {.session = {.threads = 2}, .batch = BEAMS, .capacity = 256, .cache = HONE_F32};
    if (hone__decoder_create(m, &o, &d) != HONE_OK) fail_msg("%s", hone_error_message());
#if defined(__SANITIZE_ADDRESS__)
    size_t step = 9; /* there every case takes ten times as long */
#else
    size_t step = 1;
#endif
    for (size_t i = 0; i < json_array_size(cases); i += step) run_case(d, i, json_array_get(cases, i));
    hone__decoder_destroy(d);
    hone__model_destroy(m);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_transformers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
