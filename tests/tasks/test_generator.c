/* test_generator.c: the public generator's rules for tokens, over ids: each keeps what it says, by beams and without;
 * what makes no sense is an error that names the option. */
#include "small_decoder.h"

#include "api/api.h"
#include "hone/generate.h"
#include "tasks/generate.h"

enum { NEW = 12, CONTEXT = 32 };

static const uint32_t prompt[] = {3, 14, 15, 9, 26};

typedef struct made {
    uint32_t ids[CONTEXT];
    size_t n;
} made;

static int collect(void *ctx, size_t index, const char *text, size_t size, int token, int last)
{
    made *m = ctx;
    (void)text, (void)last;
    assert_true(!index && !size && m->n < CONTEXT);
    m->ids[m->n++] = (uint32_t)token;
    return 0;
}

static hone_generator *open_generator(const char *facts)
{
    hone_generator *g;
    hone_model m = {.graph = small_decoder()};
    hone_generator_options o = HONE_GENERATOR_OPTIONS_INIT;
    o.threads = 1, o.batch = 3, o.context = CONTEXT, o.cache = HONE_F32;
    assert_int_equal(hone__model_set_metadata(m.graph, HONE__KEY_DECODER, facts), HONE_OK);
    if (hone_generator_create(&m, &o, &g) != HONE_OK) fail_msg("%s", hone_error_message());
    hone__model_destroy(m.graph);
    return g;
}

static hone_status generate(hone_generator *g, const hone_generate_options *o, made *out)
{
    const uint32_t *prompts[] = {prompt};
    const size_t length = sizeof prompt / sizeof *prompt;
    *out = (made){0};
    return hone_generator_run_ids(g, prompts, &length, 1, o, collect, out);
}

static size_t times(const made *m, const uint32_t *run, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i + n <= m->n; i++) found += !memcmp(m->ids + i, run, n * sizeof *run);
    return found;
}

static void rules(void **state)
{
    (void)state;
    hone_generator *g = open_generator("context=32\n");
    for (size_t beams = 0; beams < 4; beams += 3)
        for (size_t lookup = 0; lookup < (beams ? 1 : 5); lookup += 4) {
            hone_generate_options o = HONE_GENERATE_OPTIONS_INIT;
            made free, kept;
            o.tokens = NEW, o.beams = beams, o.lookup = lookup;
            assert_int_equal(generate(g, &o, &free), HONE_OK);
            assert_int_equal(free.n, NEW);
            const uint32_t pair[] = {free.ids[0], free.ids[1]}, late[] = {free.ids[4], free.ids[9]};
            const hone_tokens words[] = {{pair, 2}, {late, 1}};
            o.bad_ids = words, o.bad_id_count = 2;
            assert_int_equal(generate(g, &o, &kept), HONE_OK);
            assert_true(kept.n == NEW && !times(&kept, pair, 2) && !times(&kept, late, 1));
            o.bad_id_count = 0, o.suppress = (hone_tokens){late, 2};
            assert_int_equal(generate(g, &o, &kept), HONE_OK);
            assert_true(kept.n == NEW && !times(&kept, late, 1) && !times(&kept, late + 1, 1));
            o.suppress.count = 0, o.begin_suppress = (hone_tokens){pair, 1};
            assert_int_equal(generate(g, &o, &kept), HONE_OK);
            assert_int_not_equal(kept.ids[0], pair[0]);
            o.forced_first = (int)pair[0], o.forced_last = 49;
            assert_int_equal(generate(g, &o, &kept), HONE_OK);
            assert_true(kept.ids[0] == pair[0] && kept.ids[1] != pair[0] && kept.ids[NEW - 1] == 49);
            o.tokens = 1000; /* the context ends it: 5 of the prompt, 27 more, and what follows them */
            assert_int_equal(generate(g, &o, &kept), HONE_OK);
            assert_true(kept.n == 28 && kept.ids[27] == 49);
        }
    hone_generator_destroy(g);
}

static void least(void **state)
{
    (void)state;
    char facts[64];
    made free, kept;
    hone_generate_options o = HONE_GENERATE_OPTIONS_INIT;
    hone_generator *g = open_generator("context=32\n");
    o.tokens = NEW;
    assert_int_equal(generate(g, &o, &free), HONE_OK);
    hone_generator_destroy(g);
    snprintf(facts, sizeof facts, "context=32\neos=%u\n", free.ids[2]);
    g = open_generator(facts);
    assert_int_equal(generate(g, &o, &kept), HONE_OK);
    assert_true(kept.n <= 3);
    o.min_tokens = 8;
    assert_int_equal(generate(g, &o, &kept), HONE_OK);
    assert_true(kept.n > 8);
    kept.n = 8;
    assert_int_equal(times(&kept, &free.ids[2], 1), 0);
    hone_generator_destroy(g);
}

static void wrong(void **state)
{
    static const uint32_t past[] = {VOCAB}, huge[] = {4000000000u};
    static const char *const texts[] = {"word"};
    static const hone_tokens none = {past, 0}, outside = {huge, 1};
    hone_generator *g = open_generator("context=32\n");
    (void)state;
    for (int row = 0; row < 9; row++) {
        static const char *const names[] = {
            "early_stopping", "early_stopping", "suppress-tokens", "begin-suppress-tokens", "bad-words", "bad-words",
            "bad-words",      "forced-first",   "forced-last"};
        hone_generate_options o = HONE_GENERATE_OPTIONS_INIT;
        made m;
        switch (row) {
        case 0: o.early_stopping = 3; break;
        case 1: o.early_stopping = -1, o.beams = 2; break;
        case 2: o.suppress = (hone_tokens){huge, 1}; break;
        case 3: o.begin_suppress = (hone_tokens){past, 1}; break;
        case 4: o.bad_ids = &none, o.bad_id_count = 1; break;
        case 5: o.bad_ids = &outside, o.bad_id_count = 1, o.beams = 2; break;
        case 6: o.bad_words = texts, o.bad_word_count = 1; break; /* without a tokenizer */
        case 7: o.forced_first = VOCAB; break;
        default: o.forced_last = -7;
        }
        assert_int_equal(generate(g, &o, &m), row == 6 ? HONE_E_UNSUPPORTED : HONE_E_ARGUMENT);
        if (strncmp(hone_error_message(), names[row], strlen(names[row])))
            fail_msg("row %d: %s, expected something about %s", row, hone_error_message(), names[row]);
    }
    hone_generator_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rules), cmocka_unit_test(least), cmocka_unit_test(wrong)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
