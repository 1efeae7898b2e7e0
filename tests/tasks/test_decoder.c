/* test_decoder.c: a decoder over caches against the same graph run on whole sequences: prompts at once, in pieces and
 * token by token, padded batches, rewinding, beams that change places. */
#include "small_decoder.h"

#include "tasks/decoder_plain.h"

enum { N = 17, BATCH = 3 };

static int64_t token(size_t b, size_t i) { return (int64_t)((b * 31 + i * i * 7 + 3) % VOCAB); }

static hone__decoder *open_decoder(const hone__model *m, hone_dtype cache)
{
    hone__decoder *d;
    hone__decoder_options o = {.session = {.threads = 2}, .batch = BATCH, .capacity = N + 2, .cache = cache};
    if (hone__decoder_create(m, &o, &d) != HONE_OK) fail_msg("%s", hone_error_message());
    return d;
}

static void compare(const float *got, const float *want, float tolerance, const char *what)
{
    for (int i = 0; i < VOCAB; i++)
        if (!(fabsf(got[i] - want[i]) <= tolerance))
            fail_msg("%s: score %d is %g, expected %g", what, i, (double)got[i], (double)want[i]);
}

/* The decoder's keys and values then go through the graph. */
static void no_windows(hone__model *m)
{
    assert_int_equal(hone__model_set_metadata(m, HONE__KEY_WINDOWS, ""), HONE_OK);
}

static const char *const kinds[] = {"float32", "float16", "through the graph", "through it one by one"};

static void in_pieces(void **state)
{
    static const size_t ways[][6] = {{17}, {1, 1, 1, 1, 1, 12}, {6, 1, 6, 1, 3}, {16, 1}};
    (void)state;
    hone__model *m = small_decoder();
    for (int kind = 0; kind < 4; kind++) {
        if (kind == 2) no_windows(m);
        if (kind == 3) assert_int_equal(hone__model_set_metadata(m, HONE__KEY_STEP, "1"), HONE_OK);
        hone__decoder *d = open_decoder(m, kind == 1 ? HONE_F16 : HONE_F32);
        for (size_t way = 0; way < 4; way++)
            for (size_t batch = 1; batch <= BATCH; batch++) {
                static float want[BATCH * N * VOCAB];
                int64_t ids[BATCH * N], first[BATCH] = {0, 4, 1}, piece[BATCH * N];
                for (size_t i = 0; i < batch * N; i++) ids[i] = token(i / N, i % N);
                small_whole(m, ids, batch, N, first, want);
                assert_int_equal(hone__decoder_start(d, batch, first), HONE_OK);
                for (size_t at = 0, p = 0; at < N; at += ways[way][p++]) {
                    const float *scores;
                    size_t n = ways[way][p], vocab;
                    bool all = (way + p) % 2;
                    for (size_t i = 0; i < batch * n; i++) piece[i] = ids[i / n * N + at + i % n];
                    if (hone__decoder_run(d, piece, n, all, &scores, &vocab) != HONE_OK)
                        fail_msg("%s", hone_error_message());
                    assert_int_equal(vocab, VOCAB);
                    for (size_t b = 0; b < batch; b++)
                        for (size_t i = all ? 0 : n - 1; i < n; i++)
                            if ((int64_t)(at + i) >= first[b])
                                compare(scores + (b * (all ? n : 1) + (all ? i : 0)) * VOCAB,
                                        want + (b * N + at + i) * VOCAB, kind == 1 ? 5e-3f : 2e-5f, kinds[kind]);
                }
                assert_int_equal(hone__decoder_length(d), N);
            }
        hone__decoder_destroy(d);
    }
    hone__model_destroy(m);
}

static void steps(hone__decoder *d, size_t batch, const int64_t *ids, const float **scores)
{
    size_t vocab;
    (void)batch;
    if (hone__decoder_run(d, ids, 1, true, scores, &vocab) != HONE_OK) fail_msg("%s", hone_error_message());
}

static void back_and_across(const hone__model *m, const hone__model *whole)
{
    static float want[2 * 4 * VOCAB];
    const float *scores;
    hone__decoder *d = open_decoder(m, HONE_F32);
    /* 1 2 | 3 4, then both go on from the second, and the step is taken back once */
    assert_int_equal(hone__decoder_start(d, 2, NULL), HONE_OK);
    steps(d, 2, (int64_t[]){1, 3}, &scores);
    steps(d, 2, (int64_t[]){2, 4}, &scores);
    assert_int_equal(hone__decoder_reorder(d, (int32_t[]){1, 1}), HONE_OK);
    steps(d, 2, (int64_t[]){9, 9}, &scores);
    hone__decoder_rewind(d, 2);
    steps(d, 2, (int64_t[]){5, 6}, &scores);
    small_whole(whole, (int64_t[]){3, 4, 5, 3, 4, 6}, 2, 3, NULL, want);
    compare(scores, want + 2 * VOCAB, 2e-5f, "first");
    compare(scores + VOCAB, want + 5 * VOCAB, 2e-5f, "second");
    assert_int_equal(hone__decoder_reorder(d, (int32_t[]){1, 0}), HONE_OK);
    steps(d, 2, (int64_t[]){8, 8}, &scores);
    small_whole(whole, (int64_t[]){3, 4, 6, 8, 3, 4, 5, 8}, 2, 4, NULL, want);
    compare(scores, want + 3 * VOCAB, 2e-5f, "swapped");
    hone__decoder_destroy(d);
}

/* Inputs and outputs of tokens alone. */
static void no_past(hone__model *m)
{
    hone__graph *g = m->graph;
    while (g->output_count > 1) hone__graph_drop_output(g, 1);
    for (hone__node *n = g->first; n; n = n->next) {
        if (!hone__node_is(n, "Attention")) continue;
        for (int i = 4; i < 6; i++) assert_int_equal(hone__node_set_input(n, i, NULL), HONE_OK);
        hone__node_trim_inputs(n);
    }
    while (g->input_count > 3) hone__graph_drop_input(g, 3);
}

/* In hone's own caches, through the graph, and without any. */
static void moves(void **state)
{
    (void)state;
    hone__model *m = small_decoder(), *whole = small_decoder();
    back_and_across(m, whole);
    no_windows(m);
    back_and_across(m, whole);
    no_past(m);
    back_and_across(m, whole);
    hone__model_destroy(m);
    hone__model_destroy(whole);
}

static void refuses(void **state)
{
    (void)state;
    hone__model *m = small_decoder();
    hone__decoder *d = open_decoder(m, HONE_F32);
    int64_t ids[N + 3] = {0};
    const float *scores;
    size_t vocab;
    assert_int_equal(hone__decoder_start(d, BATCH + 1, NULL), HONE_E_ARGUMENT);
    assert_int_equal(hone__decoder_start(d, 1, NULL), HONE_OK);
    assert_int_equal(hone__decoder_run(d, ids, N + 3, false, &scores, &vocab), HONE_E_LIMIT);
    assert_int_equal(hone__decoder_run(d, (int64_t[]){VOCAB}, 1, false, &scores, &vocab), HONE_E_ARGUMENT);
    assert_int_equal(hone__decoder_length(d), 0);
    assert_int_equal(hone__decoder_run(d, ids, N, false, &scores, &vocab), HONE_OK);
    hone__decoder_destroy(d);
    hone__decoder_options o = {.session = {.max_memory = 1000}, .batch = 1, .capacity = 1000, .cache = HONE_F16};
    assert_int_equal(hone__decoder_create(m, &o, &d), HONE_E_LIMIT);
    assert_null(d);
    hone__model_destroy(m);
}

/* What cannot go through the graph. */
static void refuses_inputs(void **state)
{
    static const struct {
        const char *input, *output, *says;
    } cases[] = {{"ids", NULL, "there is no input 'input_ids'"},
                 {NULL, "scores", "there is no output 'logits'"},
                 {"mask", NULL, "nothing to give as input 'mask'"},
                 {"past_key_values.7.key", NULL, "nothing to give as input 'past_key_values.7.key'"},
                 {NULL, "presents", "nothing to give as input 'past_key_values.0.key'"}};
    static const int at[] = {0, 0, 1, 3, 1}; /* which input, or output */
    hone__decoder *d;
    hone__decoder_options o = {.batch = 2, .capacity = 4, .cache = HONE_F32};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone__model *m = small_decoder();
        no_windows(m);
        if (cases[i].input) m->graph->inputs[at[i]]->name = cases[i].input;
        if (cases[i].output) m->graph->outputs[at[i]]->name = cases[i].output;
        assert_int_equal(hone__decoder_create(m, &o, &d), HONE_E_UNSUPPORTED);
        if (!strstr(hone_error_message(), cases[i].says)) fail_msg("'%s'", hone_error_message());
        assert_null(d);
        hone__model_destroy(m);
    }
    hone__model *m = small_decoder();
    no_windows(m);
    o.cache = HONE_I8;
    assert_int_equal(hone__decoder_create(m, &o, &d), HONE_E_UNSUPPORTED);
    o.cache = HONE_F32, o.session.max_memory = 1000;
    assert_int_equal(hone__decoder_create(m, &o, &d), HONE_E_LIMIT);
    m->graph->inputs[0]->dtype = HONE_F32;
    o.session.max_memory = 0;
    assert_int_equal(hone__decoder_create(m, &o, &d), HONE_E_UNSUPPORTED);
    hone__model_destroy(m);
}

static hone__node *first_of(const hone__model *m, const char *op)
{
    hone__node *n = m->graph->first;
    while (n && !hone__node_is(n, op)) n = n->next;
    assert_non_null(n);
    return n;
}

/* Models that are like a decoder but use less than all of it run as they are; one that scores fewer sequences than it
 * is given is refused. */
static void misshapen(void **state)
{
    (void)state;
    hone__decoder *d;
    const float *scores;
    size_t vocab;
    hone__decoder_options o = {.batch = 2, .capacity = 4, .cache = HONE_F32};
    hone__model *m = small_decoder();
    hone__node *n = first_of(m, "Attention");
    assert_int_equal(hone__value_replace_uses(n->outputs[0], n->inputs[0]), HONE_OK); /* nobody asks the first layer */
    assert_int_equal(hone__decoder_create(m, &o, &d), HONE_OK);
    hone__decoder_destroy(d);
    hone__model_destroy(m);
    m = small_decoder();
    n = first_of(m, "Gather");
    assert_int_equal(hone__node_set_input(n, 1, m->graph->inputs[2]), HONE_OK);
    assert_int_equal(hone__decoder_create(m, &o, &d), HONE_OK); /* nor for the tokens */
    hone__decoder_destroy(d);
    hone__model_destroy(m);
    m = small_decoder();
    n = m->graph->outputs[0]->producer;
    hone__builder b = {.graph = m->graph};
    hone__value *x[] = {n->inputs[0], hone__emit_i64(&b, "", (int64_t[]){0}, 1)};
    hone__node *top = hone__node_new(m->graph, n, "", "ReduceMax", "", x, 2, 1);
    assert_non_null(top);
    assert_int_equal(hone__node_set_input(n, 0, top->outputs[0]), HONE_OK);
    assert_int_equal(hone__graph_infer(m->graph), HONE_OK);
    assert_int_equal(hone__decoder_create(m, &o, &d), HONE_OK);
    assert_int_equal(hone__decoder_run(d, (int64_t[]){1, 2}, 1, false, &scores, &vocab), HONE_E_UNSUPPORTED);
    hone__decoder_destroy(d);
    hone__model_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_pieces), cmocka_unit_test(moves), cmocka_unit_test(refuses),
                                       cmocka_unit_test(refuses_inputs), cmocka_unit_test(misshapen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
