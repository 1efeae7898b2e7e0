/* test_sampler.c: rules and filters against what transformers gives for the same scores (tests/reference/sampler.json,
 * made by make_sampler.py): the scores that are left, and, over many draws, the probabilities. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "sampling_case.h"

enum { VOCAB = 53, IDS = 16, DRAWS = 8000 };

/* As in make_sampler.py. */
static void make_scores(uint32_t x, double spread, float *scores)
{
    for (int i = 0; i < VOCAB; i++) {
        int total = 0;
        for (int k = 0; k < 4; k++) {
            x = 1664525u * x + 1013904223u;
            total += (int)(x >> 24);
        }
        scores[i] = (float)((total - 510) / 128.0 * spread);
    }
}

static hone__sampling options_of(const json_t *o, bool drawn, size_t prompt, case_lists *lists)
{
    hone__sampling s = rules_of(o, lists);
    s.temperature = number(o, "temperature", drawn);
    s.top_k = (int32_t)number(o, "top_k", 0);
    s.top_p = number(o, "top_p", 1), s.min_p = number(o, "min_p", 0), s.typical_p = number(o, "typical_p", 1);
    s.most = json_object_get(o, "max_length") ? (size_t)number(o, "max_length", 0) - prompt : 0;
    return s;
}

static void check_scores(size_t at, const json_t *want, const float *got)
{
    for (size_t i = 0; i < VOCAB; i++) {
        const json_t *w = json_array_get(want, i);
        double v = json_number_value(w);
        if (json_is_null(w) ? got[i] > -1e30f : !(fabs((double)got[i] - v) <= 1e-5 * fmax(1, fabs(v))))
            fail_msg("case %zu, token %zu: %g, expected %g", at, i, (double)got[i], json_is_null(w) ? -INFINITY : v);
    }
}

/* Shares of the draws: within five standard deviations; what has no probability never comes. */
static void check_draws(size_t at, const json_t *want, hone__sampler *s, const float *scores, const int32_t *ids,
                        size_t n, size_t prompt)
{
    int counts[VOCAB] = {0};
    uint32_t stream = hone__sampler_stream(s, at);
    for (int d = 0; d < DRAWS; d++) {
        float copy[VOCAB];
        memcpy(copy, scores, sizeof copy);
        int32_t id = hone__sampler_next(s, copy, ids, n, prompt, &stream);
        assert_in_range(id, 0, VOCAB - 1);
        counts[id]++;
    }
    for (size_t i = 0; i < VOCAB; i++) {
        double p = json_number_value(json_array_get(want, i)), share = counts[i] / (double)DRAWS;
        if (p <= 0 ? counts[i] > 0 : !(fabs(share - p) <= 5 * sqrt(p * (1 - p) / DRAWS) + 2.0 / DRAWS))
            fail_msg("case %zu: token %zu has a share of %g, expected %g", at, i, share, p);
    }
}

static void as_transformers(void **state)
{
    (void)state;
    json_t *root = json_load_file(TEST_SOURCE_DIR "/tests/reference/sampler.json", 0, NULL), *c;
    size_t at;
    assert_int_equal(json_integer_value(json_object_get(root, "vocab")), VOCAB);
    assert_true(json_array_size(json_object_get(root, "cases")) > 110);
    json_array_foreach(json_object_get(root, "cases"), at, c)
    {
        const json_t *shares = json_object_get(c, "probabilities");
        int32_t ids[IDS];
        case_lists lists;
        float scores[VOCAB];
        size_t n = list_of(json_object_get(c, "ids"), ids, IDS), prompt = (size_t)number(c, "prompt", 0);
        hone__sampling o = options_of(json_object_get(c, "settings"), shares != NULL, prompt, &lists);
        hone__sampler *s;
        if (hone__sampler_create(&o, VOCAB, &s) != HONE_OK) fail_msg("case %zu: %s", at, hone_error_message());
        make_scores((uint32_t)number(c, "seed", 0), (double)number(c, "spread", 1), scores);
        if (shares)
            check_draws(at, shares, s, scores, ids, n, prompt);
        else {
            hone__sampler_rules(s, scores, ids, n, prompt);
            check_scores(at, json_object_get(c, "scores"), scores);
        }
        hone__sampler_destroy(s);
    }
    json_decref(root);
}

/* Presence and frequency count what was generated, not the prompt (OpenAI's definition). */
static void penalties(void **state)
{
    (void)state;
    const int32_t ids[] = {5, 7, 7, 2, 7};
    hone__sampling o = HONE__SAMPLING_INIT;
    hone__sampler *s;
    o.presence = 0.5f, o.frequency = 0.25f;
    assert_int_equal(hone__sampler_create(&o, VOCAB, &s), HONE_OK);
    for (int round = 0; round < 2; round++) { /* nothing is left over from before */
        float scores[VOCAB] = {0};
        hone__sampler_rules(s, scores, ids, 5, 2);
        for (int i = 0; i < VOCAB; i++) assert_float_equal(scores[i], i == 7 ? -1 : i == 2 ? -0.75 : 0, 1e-6);
    }
    hone__sampler_destroy(s);
}

/* Whatever the scores are, a token of the vocabulary comes; the first one, which is banned, only where all are. */
static void always_a_token(void **state)
{
    (void)state;
    const float values[] = {0, -3e38f, 3e38f, -INFINITY, INFINITY, NAN, 1e-42f};
    const float shares[] = {0, 1e-7f, 0.5f, 1};
    const float temperatures[] = {1e-38f, 1, 1e6f};
    for (size_t vocab = 2; vocab < 120; vocab++)
        for (size_t k = 0; k < 4 * 3 * 7; k++) {
            float scores[120];
            hone__sampling o = HONE__SAMPLING_INIT;
            hone__sampler *s;
            o.temperature = temperatures[k % 3];
            o.top_p = shares[k / 3 % 4];
            o.typical_p = shares[(k + vocab) % 4], o.min_p = shares[(k / 2 + vocab) % 4];
            for (size_t i = 0; i < vocab; i++) scores[i] = i ? values[k % 7] : -INFINITY;
            assert_int_equal(hone__sampler_create(&o, vocab, &s), HONE_OK);
            uint32_t stream = hone__sampler_stream(s, k);
            int32_t id = hone__sampler_next(s, scores, NULL, 0, 0, &stream);
            if (id < (values[k % 7] > -INFINITY) || (size_t)id >= vocab)
                fail_msg("%zu scores of %g: token %d (top-p %g)", vocab, (double)values[k % 7], id, (double)o.top_p);
            hone__sampler_destroy(s);
        }
}

/* What the vocabulary lacks, and rules that leave nothing, are told with the name of the option. */
static void wrong_tokens(void **state)
{
    (void)state;
    static const int32_t past[] = {3, VOCAB}, below[] = {-1}, five[] = {5};
    static const hone__tokens none = {five, 0}, outside = {past, 2};
    static const struct {
        const char *name;
        hone__sampling s;
    } rows[] = {{"suppress-tokens", {.banned = {past, 2}, .first = -1, .last = -1}},
                {"suppress-tokens", {.banned = {below, 1}, .first = -1, .last = -1}},
                {"begin-suppress-tokens", {.begin_banned = {past, 2}, .first = -1, .last = -1}},
                {"bad-words", {.bad_words = &outside, .bad_word_count = 1, .first = -1, .last = -1}},
                {"bad-words", {.bad_words = &none, .bad_word_count = 1, .first = -1, .last = -1}},
                {"forced-first", {.first = VOCAB, .last = -1}},
                {"forced-first", {.first = 5, .last = -1, .banned = {five, 1}}},
                {"forced-last", {.first = -1, .last = -2}},
                {"forced-last", {.first = -1, .last = 5, .banned = {five, 1}}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hone__sampling o = rows[i].s;
        hone__sampler *s;
        o.top_p = o.typical_p = o.repetition = 1;
        assert_int_equal(hone__sampler_create(&o, VOCAB, &s), HONE_E_ARGUMENT);
        assert_null(s);
        if (strncmp(hone_error_message(), rows[i].name, strlen(rows[i].name)))
            fail_msg("row %zu: %s, expected something about %s", i, hone_error_message(), rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_transformers), cmocka_unit_test(penalties),
                                       cmocka_unit_test(always_a_token), cmocka_unit_test(wrong_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
