/* test_choose.c: the rules on scores, top-p, the generator and the beams against values worked out by hand, and a
 * search over every sequence. */
#include "kernel_test.h"

#include <math.h>
#include <string.h>

#include "kernels/choose/choose.h"

enum { VOCAB = 6 };

static void test_repeated(void **state)
{
    float x[VOCAB] = {2, -2, 3, 4, 5, 6};
    int32_t ids[] = {0, 1, 0, 1, 9, -1};
    uint8_t seen[VOCAB] = {0};
    (void)state;
    hone__choose_repeated(x, VOCAB, ids, 6, 2, seen);
    assert_true(x[0] == 1 && x[1] == -4 && x[2] == 3); /* once each */
    for (int i = 0; i < VOCAB; i++) assert_int_equal(seen[i], 0);
}

static void test_ngrams(void **state)
{
    int32_t ids[] = {1, 2, 3, 1, 2, 4, 1, 2};
    (void)state;
    for (size_t size = 0; size < 4; size++) {
        float x[VOCAB] = {0};
        hone__choose_new_ngrams(x, VOCAB, ids, 8, size);
        for (int i = 0; i < VOCAB; i++) {
            bool after_2 = i == 3 || i == 4, there = i >= 1 && i <= 4;
            assert_int_equal(x[i] == HONE__BANNED, size == 0 ? 0 : size == 1 ? there : after_2);
        }
    }
    float x[VOCAB] = {0};
    hone__choose_new_ngrams(x, VOCAB, ids, 1, 2); /* too short for a pair */
    assert_true(x[1] == 0 && x[2] == 0);
}

static void test_top_p(void **state)
{
    /* probabilities 0.1, 0.2, 0.3, 0.4, shuffled */
    const float p[] = {0.3F, 0.1F, 0.4F, 0.2F};
    uint32_t order[4];
    float x[4], work[4];
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        for (int i = 0; i < 4; i++) x[i] = logf(p[i]);
        hone__choose_top_p(x, 4, &(hone__top_p){0.65F, -99, 1, cut != 0}, order, work);
        assert_true(x[0] != -99 && x[1] == -99 && x[2] != -99);
        assert_int_equal(x[3] == -99, 1); /* 0.1 + 0.2 <= 0.35; 0.4 + 0.3 > 0.65 */
    }
    for (int i = 0; i < 4; i++) x[i] = logf(p[i]);
    hone__choose_top_p(x, 4, &(hone__top_p){0, -99, 2, false}, order, work);
    assert_true(x[0] != -99 && x[2] != -99 && x[1] == -99 && x[3] == -99); /* two stay */
}

static void test_drawn(void **state)
{
    float x[] = {0, -INFINITY, logf(3), HONE__BANNED};
    double work[4];
    uint32_t g = hone__choose_seed(0);
    (void)state;
    assert_int_equal(hone__choose_drawn(x, 4, 0, work), 0);
    assert_int_equal(hone__choose_drawn(x, 4, 0.2499, work), 0);
    assert_int_equal(hone__choose_drawn(x, 4, 0.2501, work), 2);
    assert_int_equal(hone__choose_drawn(x, 4, 0.9999999, work), 2);
    assert_int_equal(g, 1);
    for (int i = 0; i < 5000; i++) assert_in_range((uint64_t)(hone__choose_uniform(&g) * 1e6), 0, 999999);
    assert_int_equal(g, 1043618065); /* the 10,000th number, as the C++ standard gives it */
}

static void test_timestamps(void **state)
{
    enum { N = 20, BEGIN = 12 };
    const hone__timestamps t = {5, 6, 7, 8, 9, 10, BEGIN, 3};
    const struct {
        int32_t ids[5];
        size_t n;
        int allowed[2]; /* of the timestamps: from, to */
    } cases[] = {
        {{6}, 1, {12, 15}}, {{6, 13, 1}, 3, {14, 19}}, {{6, 13, 1, 15}, 4, {15, 19}}, {{6, 13, 1, 15, 15}, 5, {0, 0}}};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        float x[N];
        for (int i = 0; i < N; i++) x[i] = i < BEGIN ? -1 : -9; /* text is likelier than all timestamps */
        hone__choose_timestamps(x, N, cases[c].ids, cases[c].n, &t);
        for (int i = BEGIN; i < N; i++)
            assert_int_equal(x[i] != HONE__BANNED,
                             i >= cases[c].allowed[0] && i <= cases[c].allowed[1] && cases[c].allowed[1] > 0);
        assert_true(x[9] == HONE__BANNED && x[10] == HONE__BANNED);
        assert_int_equal(x[0] == HONE__BANNED, c == 2); /* half a pair: no text */
    }
    float x[N];
    for (int i = 0; i < N; i++) x[i] = i < BEGIN ? -2 : -3; /* each timestamp less likely, all together more */
    hone__choose_timestamps(x, N, (int32_t[]){6, 13, 1}, 3, &t);
    assert_true(x[0] == HONE__BANNED && x[14] == -3);
}

/* The next token's logarithm of probability depends on the last token only. */
static float chain(int from, int to) { return -0.1F - (float)((from * 7 + to * 11 + from * to) % 13) / 7; }

static void score_rows(const hone__beams *b, float *scores)
{
    for (size_t r = 0; r < b->batch * b->beams; r++)
        for (int k = 0; k < VOCAB; k++)
            scores[r * VOCAB + (size_t)k] = b->scores[r] + chain(b->ids[r * b->max_length + b->length - 1], k);
}

/* The best sum over every sequence of `left` more tokens without 0, which ends one. */
static float best_of_all(int last, int left)
{
    float best = -INFINITY;
    if (!left) return 0;
    for (int k = 1; k < VOCAB; k++) best = fmaxf(best, chain(last, k) + best_of_all(k, left - 1));
    return best;
}

static void test_beams(void **state)
{
    enum { MOST = 5, BATCH = 3, BEAMS = 128 };
    static float scores[BATCH * BEAMS * VOCAB];
    hone__beams b = {.batch = BATCH, .beams = BEAMS, .vocab = VOCAB, .max_length = MOST, .eos = -1, .pad = 0};
    int32_t start[BATCH] = {1, 2, 5}, ids[BATCH * 2 * MOST];
    float sums[BATCH * 2];
    size_t bytes;
    (void)state;
    assert_true(hone__beams_bytes(&b, &bytes));
    void *memory = calloc(bytes, 1);
    hone__beams_start(&b, memory, start, 1);
    while (b.length < MOST) {
        score_rows(&b, scores);
        for (size_t r = 0; r < BATCH * BEAMS; r++) scores[r * VOCAB] = HONE__BANNED;
        hone__beams_step(&b, scores);
    }
    hone__beams_finish(&b, 2, ids, sums);
    for (int e = 0; e < BATCH; e++) {
        float sum = 0;
        assert_int_equal(ids[e * 2 * MOST], start[e]);
        for (int i = 1; i < MOST; i++) sum += chain(ids[e * 2 * MOST + i - 1], ids[e * 2 * MOST + i]);
        assert_true(fabsf(sum - sums[2 * e]) < 1e-5F && sums[2 * e] >= sums[2 * e + 1]);
        assert_true(fabsf(sum - best_of_all(start[e], MOST - 1)) < 1e-5F); /* wide enough to see all */
    }
    free(memory);
    b.batch = SIZE_MAX / 4;
    assert_false(hone__beams_bytes(&b, &bytes));
}

static void test_ends(void **state)
{
    hone__beams b = {
        .batch = 1, .beams = 2, .vocab = 3, .max_length = 4, .eos = 2, .pad = 0, .length_penalty = 1, .early = true};
    int32_t ids[8];
    float sums[2];
    size_t bytes;
    (void)state;
    assert_true(hone__beams_bytes(&b, &bytes));
    void *memory = calloc(bytes, 1);
    hone__beams_start(&b, memory, (int32_t[]){1}, 1);
    hone__beams_step(&b, (float[]){-3, -2, -1, -1e9F, -1e9F, -1e9F}); /* the end is best; beams 1 and 0 go on */
    assert_true(b.open == 1 && b.next[0] == 1 && b.next[1] == 0);
    hone__beams_step(&b, (float[]){-9, -9, -4, -5, -9, -9});
    assert_int_equal(b.open, 0); /* two ends: done early */
    hone__beams_finish(&b, 2, ids, sums);
    assert_memory_equal(ids, ((int32_t[]){1, 0, 0, 0, 1, 1, 0, 0}), sizeof ids);
    assert_true(sums[0] == -1 && sums[1] == -2); /* -1 / 1, -4 / 2 */
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated), cmocka_unit_test(test_ngrams),     cmocka_unit_test(test_top_p),
        cmocka_unit_test(test_drawn),    cmocka_unit_test(test_timestamps), cmocka_unit_test(test_beams),
        cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
