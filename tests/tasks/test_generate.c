/* test_generate.c: greedy text against the best token of whole sequences; batches of different lengths against each
 * alone; guesses from what stands before change nothing; seeds, ends, limits, cancelling. */
#include "small_decoder.h"

#include "tasks/generate.h"

enum { NEW = 24, ROOM = 64 };

typedef struct made {
    int32_t ids[4][ROOM];
    size_t n[4], ended, stop_after;
} made;

static hone__go_on collect(void *ctx, size_t index, int32_t token, int last)
{
    made *m = ctx;
    assert_true(m->n[index] < ROOM);
    m->ids[index][m->n[index]++] = token;
    m->ended += last;
    return !m->stop_after || m->n[index] < m->stop_after ? HONE__GO_ON : HONE__END_ALL;
}

static const int32_t prompt_a[] = {3, 14, 15, 9, 26}, prompt_b[] = {1}, prompt_c[] = {7, 7, 7, 7, 7, 7, 7, 7};
static const int32_t *const prompts[] = {prompt_a, prompt_b, prompt_c};
static const size_t lengths[] = {5, 1, 8};

static hone__decoder *open_decoder(size_t batch, size_t capacity)
{
    hone__decoder *d;
    hone__model *m = small_decoder();
    hone__decoder_options o = {.session = {.threads = 2}, .batch = batch, .capacity = capacity, .cache = HONE_F32};
    if (hone__decoder_create(m, &o, &d) != HONE_OK) fail_msg("%s", hone_error_message());
    hone__model_destroy(m);
    return d;
}

static void generate(hone__decoder *d, size_t from, size_t count, hone__generate_options o, made *out)
{
    size_t stop = out->stop_after;
    *out = (made){.stop_after = stop};
    o.on_token = collect;
    o.ctx = out;
    if (!o.tokens) o.tokens = NEW;
    hone_status s = hone__generate(d, prompts + from, lengths + from, count, &o);
    if (s != (stop ? HONE_E_CANCELLED : HONE_OK)) fail_msg("%s", hone_error_message());
}

static void same(const made *a, size_t i, const made *b, size_t j, const char *what)
{
    assert_int_equal(a->n[i], b->n[j]);
    for (size_t k = 0; k < a->n[i]; k++)
        if (a->ids[i][k] != b->ids[j][k])
            fail_msg("%s: token %zu is %d, expected %d", what, k, a->ids[i][k], b->ids[j][k]);
}

static void greedy(void **state)
{
    static float scores[ROOM * VOCAB];
    (void)state;
    hone__model *m = small_decoder();
    hone__decoder *d = open_decoder(3, ROOM);
    made together = {0}, alone = {0}, guessed = {0};
    generate(d, 0, 3, HONE__GENERATE_OPTIONS_INIT, &together);
    for (size_t i = 0; i < 3; i++) {
        int64_t ids[ROOM];
        generate(d, i, 1, HONE__GENERATE_OPTIONS_INIT, &alone);
        same(&together, i, &alone, 0, "in a batch");
        for (size_t k = 0; k < lengths[i]; k++) ids[k] = prompts[i][k];
        for (size_t k = 0; k < NEW; k++) {
            size_t n = lengths[i] + k, best = 0;
            small_whole(m, ids, 1, n, NULL, scores);
            for (size_t v = 1; v < VOCAB; v++)
                if (scores[(n - 1) * VOCAB + v] > scores[(n - 1) * VOCAB + best]) best = v;
            if (alone.ids[0][k] != (int32_t)best)
                fail_msg("prompt %zu: token %zu is %d, expected %zu", i, k, alone.ids[0][k], best);
            ids[n] = (int64_t)best;
        }
        for (size_t lookup = 1; lookup < 8; lookup++) {
            hone__generate_options o = HONE__GENERATE_OPTIONS_INIT;
            o.lookup = lookup;
            generate(d, i, 1, o, &guessed);
            same(&guessed, 0, &alone, 0, "with guesses");
        }
    }
    hone__decoder_destroy(d);
    hone__model_destroy(m);
}

static void drawn(void **state)
{
    (void)state;
    hone__decoder *d = open_decoder(3, ROOM);
    made a = {0}, b = {0}, c = {0};
    hone__generate_options o = HONE__GENERATE_OPTIONS_INIT;
    o.sampling.temperature = 1.5f, o.sampling.seed = 11;
    generate(d, 0, 3, o, &a);
    generate(d, 0, 3, o, &b);
    for (size_t i = 0; i < 3; i++) same(&a, i, &b, i, "the same seed");
    generate(d, 0, 1, o, &c);
    same(&a, 0, &c, 0, "alone");
    o.sampling.seed = 12;
    generate(d, 0, 1, o, &b);
    assert_memory_not_equal(a.ids[0], b.ids[0], NEW * sizeof(int32_t));
    o.sampling.top_k = 1; /* nothing is left to draw from but the best */
    hone__generate_options best = HONE__GENERATE_OPTIONS_INIT;
    generate(d, 0, 1, o, &a);
    generate(d, 0, 1, best, &b);
    same(&a, 0, &b, 0, "top-k of 1");
    o.sampling.top_k = 0, o.sampling.top_p = 1e-6f;
    generate(d, 0, 1, o, &a);
    same(&a, 0, &b, 0, "top-p of almost 0");
    o.sampling.top_p = 1, o.sampling.min_p = 1;
    generate(d, 0, 1, o, &a);
    same(&a, 0, &b, 0, "min-p of 1");
    hone__decoder_destroy(d);
}

static void ends(void **state)
{
    (void)state;
    hone__decoder *d = open_decoder(3, ROOM);
    made all = {0}, some = {0};
    hone__generate_options o = HONE__GENERATE_OPTIONS_INIT;
    generate(d, 0, 3, o, &all);
    assert_int_equal(all.ended, 3);
    int32_t end = all.ids[0][4];
    size_t at = 0;
    while (all.ids[0][at] != end) at++;
    o.sampling.ends = &end, o.sampling.end_count = 1;
    generate(d, 0, 3, o, &some);
    assert_int_equal(some.n[0], at + 1);
    assert_int_equal(some.ended, 3);
    o.force = true;
    generate(d, 0, 3, o, &some);
    for (size_t i = 0; i < 3; i++) same(&some, i, &all, i, "forced");
    o.force = false, o.sampling.least = NEW; /* the end is banned */
    generate(d, 0, 1, o, &some);
    assert_int_equal(some.n[0], NEW);
    for (size_t k = 0; k < NEW; k++) assert_int_not_equal(some.ids[0][k], end);
    some.stop_after = 3;
    generate(d, 0, 1, o, &some);
    assert_int_equal(some.n[0], 3);
    hone__decoder_destroy(d);
    d = open_decoder(1, 10); /* five of the prompt, five more, and what follows them */
    some.stop_after = 0;
    for (size_t lookup = 0; lookup < 4; lookup++) {
        o = HONE__GENERATE_OPTIONS_INIT;
        o.lookup = lookup;
        generate(d, 0, 1, o, &some);
        assert_int_equal(some.n[0], 6);
        assert_memory_equal(some.ids[0], all.ids[0], 6 * sizeof(int32_t));
    }
    o.tokens = 1;
    assert_int_equal(hone__generate(d, prompts + 2, (size_t[]){11}, 1, &o), HONE_E_LIMIT);
    assert_int_equal(hone__generate(d, prompts + 2, (size_t[]){0}, 1, &o), HONE_E_ARGUMENT);
    o.sampling.top_p = NAN;
    assert_int_equal(hone__generate(d, prompts, lengths, 1, &o), HONE_E_ARGUMENT);
    hone__decoder_destroy(d);
}

/* All the tokens that end a text are known, or there are said to be too many. */
static void facts(void **state)
{
    const struct {
        const char *text;
        hone_status status;
        size_t ends;
        int32_t last;
    } rows[] = {{"context=64\neos=7\nbos=1\n", HONE_OK, 1, 7},
                {"eos=1,2,3,4,5,6,7,8,9,10,11,12", HONE_OK, 12, 12},
                {"pad=-1\nvocab=9\n", HONE_OK, 0, 0},
                {"eos=1,x\n", HONE_E_FORMAT, 0, 0},
                {"eos=1;2\n", HONE_E_FORMAT, 0, 0},
                {"eos=1,-2\n", HONE_E_FORMAT, 0, 0},
                {"eos=4294967296\n", HONE_E_FORMAT, 0, 0},
                {"eos=1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8", HONE_E_LIMIT, 0, 0}};
    hone__model *m = small_decoder();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hone__decoder_facts f;
        assert_int_equal(hone__model_set_metadata(m, HONE__KEY_DECODER, rows[i].text), HONE_OK);
        assert_int_equal(hone__decoder_facts_read(m, &f), rows[i].status);
        if (rows[i].status != HONE_OK) continue;
        assert_int_equal(f.eos_count, rows[i].ends);
        if (f.eos_count) assert_int_equal(f.eos[f.eos_count - 1], rows[i].last);
    }
    hone__model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(greedy), cmocka_unit_test(drawn), cmocka_unit_test(ends),
                                       cmocka_unit_test(facts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
