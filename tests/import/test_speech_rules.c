/* test_speech_rules.c: filters and beam search of transcripts against openai-whisper's own on the same scores
 * (tests/reference/speech_rules.json, written by make_speech_rules.py). */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "decode/speech_beam.h"
#include "decode/speech_rules.h"

enum { MOST = 64 };

static json_t *root;

static int64_t integer(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }
static double real(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

static size_t list(const json_t *o, const char *key, int32_t *out)
{
    const json_t *a = json_object_get(o, key);
    size_t n = json_array_size(a);
    assert_true(n <= MOST);
    for (size_t i = 0; i < n; i++) out[i] = (int32_t)json_integer_value(json_array_get(a, i));
    return n;
}

static void filters(void **state)
{
    (void)state;
    size_t at;
    json_t *c;
    assert_true(json_array_size(json_object_get(root, "filters")) >= 50);
    json_array_foreach(json_object_get(root, "filters"), at, c)
    {
        int32_t made[MOST], suppressed[MOST], blank[MOST], left[MOST];
        float scores[MOST];
        size_t vocab = (size_t)integer(root, "vocab"), n = list(c, "made", made), kept = list(c, "left", left),
               next = 0;
        bool guard = json_is_true(json_object_get(c, "blank"));
        hone__speech_rules r = {.vocab = vocab,
                                .end = (int32_t)integer(root, "end"),
                                .first_timestamp = (int32_t)integer(root, "first_timestamp"),
                                .no_timestamps = (int32_t)integer(root, "no_timestamps"),
                                .suppressed = suppressed,
                                .suppressed_count = list(c, "suppressed", suppressed),
                                .blank = blank,
                                .blank_count = list(root, "blank", blank),
                                .timestamps = json_is_true(json_object_get(c, "timestamps")),
                                .most_initial = (int32_t)integer(c, "most")};
        if (!guard) r.blank_count = 0, r.keep_end = true;
        for (size_t i = 0; i < vocab; i++)
            scores[i] = (float)json_number_value(json_array_get(json_object_get(c, "scores"), i));
        hone__speech_rules_apply(&r, scores, made, n);
        for (size_t i = 0; i < vocab; i++) {
            bool wanted = next < kept && left[next] == (int32_t)i;
            next += wanted;
            if (isfinite(scores[i]) != wanted) fail_msg("case %zu: token %zu is %s", at, i, wanted ? "banned" : "left");
        }
    }
}

static void beams(void **state)
{
    (void)state;
    size_t at;
    json_t *c;
    enum { VOCAB = 7, END = 6 };
    assert_true(json_array_size(json_object_get(root, "beams")) >= 20);
    json_array_foreach(json_object_get(root, "beams"), at, c)
    {
        size_t count = (size_t)integer(c, "beams"), most = (size_t)integer(c, "most"), step = 0, length, wanted;
        int32_t from[8], best[MOST];
        float scores[8 * VOCAB];
        double sum;
        hone__speech_beam *b;
        const json_t *table = json_object_get(c, "table");
        assert_int_equal(hone__speech_beam_create(count, (float)real(c, "patience"), most, END, VOCAB, &b), HONE_OK);
        do {
            for (size_t i = 0; i < count; i++) {
                const int32_t *ids = hone__speech_beam_running(b, i, &length);
                size_t last = length ? (size_t)ids[length - 1] : 0;
                for (size_t v = 0; v < VOCAB; v++)
                    scores[i * VOCAB + v] =
                        (float)json_number_value(json_array_get(table, (step * VOCAB + last) * VOCAB + v));
                hone__log_softmax(scores + i * VOCAB, VOCAB);
            }
            step++;
        } while (hone__speech_beam_grow(b, scores, from));
        const int32_t *ids = hone__speech_beam_best(b, (float)real(c, "penalty"), &length, &sum);
        wanted = list(c, "best", best);
        if (length != wanted || memcmp(ids, best, length * sizeof *ids))
            fail_msg("case %zu: %zu tokens, first %d, expected %zu", at, length, length ? ids[0] : -1, wanted);
        assert_true(fabs(sum - real(c, "sum")) < 1e-3);
        hone__speech_beam_destroy(b);
    }
}

int main(void)
{
    root = json_load_file(TEST_SOURCE_DIR "/tests/reference/speech_rules.json", 0, NULL);
    if (!root) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(filters), cmocka_unit_test(beams)};
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(root);
    return code;
}
