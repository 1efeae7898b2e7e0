/* test_attend.c: attention over a cache against plain loops in double precision, on every tier: groups of heads,
 * windows, padding, caps, float16 and int8 keys, entries that share keys, heads side by side; few and many queries, the
 * same bits for any number of threads. */
#include "kernel_test.h"

#include "kernels/attention/attend.h"
#include "kernels/convert/convert.h"

/* Number i of the row that starts at element `at`. */
static double element(const hone__attend_args *a, const void *p, size_t at, size_t i)
{
    if (a->kind == HONE__KV_F16) return (double)hone__f16_to_f32_one(((const uint16_t *)p)[at + i]);
    if (a->kind == HONE__KV_F32) return (double)((const float *)p)[at + i];
    const int8_t *row = (const int8_t *)p + at;
    float scale;
    memcpy(&scale, row + a->size, sizeof scale);
    return (double)row[i] * (double)scale;
}

/* The rows of one head in double, [keys, size]. */
static void widen(const hone__attend_args *a, const void *p, size_t base, double *to)
{
    size_t row = a->kv_r ? a->kv_r : hone__kv_row(a->kind, a->size);
    for (size_t k = 0; k < a->keys; k++)
        for (size_t i = 0; i < a->size; i++) to[k * a->size + i] = element(a, p, base + k * row, i);
}

static bool sees(const hone__attend_args *a, size_t b, size_t row, size_t key)
{
    size_t at = a->keys - a->queries + row;
    return !(a->first && (int64_t)key < a->first[b]) &&
           !(a->causal && (key > at || (a->window && key + a->window <= at)));
}

/* One query; s: room for a->keys numbers. */
static void reference_row(const hone__attend_args *a, size_t b, size_t row, const float *q, const double *k,
                          const double *v, double *s, float *y)
{
    double most = -INFINITY, sum = 0, *out = s + a->keys;
    for (size_t j = 0; j < a->keys; j++) {
        s[j] = -INFINITY;
        if (!sees(a, b, row, j)) continue;
        double dot = 0;
        for (size_t i = 0; i < a->size; i++) dot += (double)q[i] * k[j * a->size + i];
        s[j] = dot * (double)a->scale;
        if (a->softcap > 0) s[j] = (double)a->softcap * tanh(s[j] / (double)a->softcap);
        most = fmax(most, s[j]);
    }
    for (size_t i = 0; i < a->size; i++) out[i] = 0;
    for (size_t j = 0; j < a->keys; j++) {
        if (!(s[j] > -INFINITY)) continue;
        double weight = exp(s[j] - most);
        sum += weight;
        for (size_t i = 0; i < a->size; i++) out[i] += weight * v[j * a->size + i];
    }
    for (size_t i = 0; i < a->size; i++) y[i] = sum > 0 ? (float)(out[i] / sum) : 0;
}

static void reference(const hone__attend_args *a, float *y)
{
    size_t rows = a->keys * a->size, share = a->share ? a->share : 1;
    double *k = calloc(2 * rows + a->keys + a->size + 1, sizeof *k), *v = k + rows, *room = v + rows;
    for (size_t b = 0; b < a->batch; b++)
        for (size_t h = 0; h < a->heads; h++) {
            size_t base = b / share * a->kv_b + h / (a->heads / a->kv_heads) * a->kv_h;
            widen(a, a->k, base, k), widen(a, a->v, base, v);
            for (size_t r = 0; r < a->queries; r++)
                reference_row(a, b, r, a->q + b * a->q_b + h * a->q_h + r * a->q_r, k, v, room,
                              y + b * a->y_b + h * a->y_h + r * a->y_r);
        }
    free(k);
}

static void attend(const hone__attend_args *a, size_t capacity, hone__pool *pool)
{
    hone__attend_args upto = *a;
    upto.keys = capacity;
    guarded scratch = guarded_new((hone__attend_scratch(&upto, hone__pool_threads(pool)) + 63) / 64 * 64);
    hone__attend(a, scratch.data, pool);
    guarded_free(&scratch);
}

/* Each query alone gives the bits of a->y. */
static void check_alone(const hone__attend_args *a, size_t capacity)
{
    for (size_t r = 0; r < a->queries; r++) {
        hone__attend_args one = *a;
        one.queries = 1, one.keys = a->keys - a->queries + r + 1, one.q = a->q + r * a->q_r;
        one.y = calloc(a->batch * a->y_b + 1, 4);
        attend(&one, capacity, NULL);
        for (size_t b = 0; b < a->batch; b++)
            assert_memory_equal(one.y + b * a->y_b, a->y + b * a->y_b + r * a->y_r, a->heads * a->size * 4);
        free(one.y);
    }
}

static void check_close(const hone__attend_args *a, const float *want, float bound)
{
    for (size_t i = 0; i < a->batch * a->y_b; i++)
        if (!(fabsf(a->y[i] - want[i]) <= bound))
            fail_msg("batch %zu by %zu heads %zu/%zu queries %zu keys %zu size %zu step %zu kind %d: %zu is %g, "
                     "expected %g",
                     a->batch, a->share, a->heads, a->kv_heads, a->queries, a->keys, a->size, a->kv_r, (int)a->kind, i,
                     (double)a->y[i], (double)want[i]);
}

/* Both results, and the same bits on two threads. */
static void run_both(hone__attend_args *a, size_t capacity, float bound)
{
    size_t n = a->batch * a->y_b;
    float *want = calloc(n + 1, 4);
    guarded y = guarded_new(n * 4), again = guarded_new(n * 4);
    a->y = again.data;
    attend(a, capacity, two_threads);
    a->y = y.data;
    attend(a, capacity, NULL);
    assert_memory_equal(again.data, y.data, n * 4);
    reference(a, want);
    check_close(a, want, bound);
    if (a->causal && a->queries <= 16) check_alone(a, capacity);
    guarded_free(&y), guarded_free(&again);
    free(want);
}

/* side_by_side: the caches' rows hold all heads. */
static void check(hone__attend_args *a, size_t capacity, bool side_by_side)
{
    size_t width = a->heads * a->size, entries = a->share ? (a->batch + a->share - 1) / a->share : a->batch;
    size_t row = hone__kv_row(a->kind, a->size), rows = entries * a->kv_heads * capacity;
    size_t bytes = row * (a->kind == HONE__KV_F32 ? 4 : a->kind == HONE__KV_F16 ? 2 : 1);
    guarded q = guarded_new(a->batch * a->queries * width * 4);
    guarded k = guarded_new(rows * bytes), v = guarded_new(rows * bytes);
    float *wide = malloc(a->size * 4 + 4);
    int64_t first[8];
    for (size_t b = 0; b < a->batch; b++) first[b] = (int64_t)pick(0, a->keys + 1);
    if (a->first) a->first = first;
    fill_f32(q.data, a->batch * a->queries * width, -1, 1);
    for (size_t i = 0; i < 2 * rows; i++) {
        fill_f32(wide, a->size, -1, 1);
        hone__kv_write(a->kind, wide, a->size, (char *)(i % 2 ? v.data : k.data) + i / 2 * bytes);
    }
    a->q = q.data, a->k = k.data, a->v = v.data;
    a->q_b = a->y_b = a->queries * width, a->q_h = a->y_h = a->size, a->q_r = a->y_r = width;
    a->kv_h = side_by_side ? row : capacity * row, a->kv_b = a->kv_heads * capacity * row;
    a->kv_r = side_by_side ? a->kv_heads * row : 0;
    run_both(a, capacity, 2e-6f);
    guarded_free(&q), guarded_free(&k), guarded_free(&v);
    free(wide);
}

static void against_loops(void **state)
{
    (void)state;
    for (int i = 0; i < 252; i++) {
        size_t kv = pick(1, 2), queries = i % 4 ? pick(1, 20) : pick(1, 90),
               keys = queries + pick(0, i % 7 ? 70 : 1400);
        hone__attend_args a = {.batch = pick(1, 2),
                               .kv_heads = kv,
                               .heads = kv * pick(1, 3),
                               .queries = queries,
                               .size = pick(1, 80),
                               .kind = (hone__kv)(i % 3),
                               .keys = keys,
                               .causal = i % 5 != 0,
                               .window = i % 8 ? 0 : pick(1, 40),
                               .first = i % 3 == 1 ? (const int64_t *)&a : NULL,
                               .softcap = i % 6 ? 0 : 5,
                               .share = pick(0, 2),
                               .scale = uniform(0.05f, 0.4f)};
        check(&a, keys + pick(0, 30), i % 5 == 2);
    }
}

/* Scores of -20 to 20 that rise or fall from key to key, so that maxima change in every block or in none. */
static void steep_scores(void **state)
{
    (void)state;
    enum { QUERIES = 50, KEYS = 1300, SIZE = 24 };
    static float q[QUERIES * SIZE], k[KEYS * SIZE], v[KEYS * SIZE];
    hone__attend_args a = {.batch = 1,
                           .heads = 1,
                           .kv_heads = 1,
                           .queries = QUERIES,
                           .size = SIZE,
                           .q = q,
                           .q_r = SIZE,
                           .k = k,
                           .v = v,
                           .kind = HONE__KV_F32,
                           .keys = KEYS,
                           .scale = 0.25f,
                           .y_b = QUERIES * SIZE,
                           .y_r = SIZE};
    fill_f32(v, KEYS * SIZE, 0.5f, 1);
    for (size_t r = 0; r < QUERIES; r++) q[r * SIZE] = r % 3 ? uniform(-80, 80) : r % 2 ? 80.0f : -80.0f;
    for (size_t j = 0; j < KEYS; j++) k[j * SIZE] = (float)j * (2.0f / KEYS) - 1;
    run_both(&a, KEYS, 1 / 524288.0f);
}

/* A number that is none among the values that a query sees, or an infinite score, makes its result none, and nobody
 * else's. */
static void not_numbers(void **state)
{
    (void)state;
    enum { QUERIES = 60, SIZE = 20 };
    static float q[QUERIES * SIZE], k[QUERIES * SIZE], v[QUERIES * SIZE], y[QUERIES * SIZE];
    hone__attend_args a = {.batch = 1,
                           .heads = 1,
                           .kv_heads = 1,
                           .queries = QUERIES,
                           .size = SIZE,
                           .q = q,
                           .q_r = SIZE,
                           .k = k,
                           .v = v,
                           .kind = HONE__KV_F32,
                           .keys = QUERIES,
                           .causal = 1,
                           .scale = 1,
                           .y = y,
                           .y_r = SIZE};
    fill_f32(v, QUERIES * SIZE, -1, 1);
    for (size_t i = 0; i < QUERIES * SIZE; i++) q[i] = k[i] = 1;
    for (int which = 0; which < 3; which++) {
        float *bad = which == 0 ? &v[55 * SIZE] : which == 1 ? &k[55 * SIZE] : &q[55 * SIZE], kept = *bad;
        *bad = which == 1 ? INFINITY : NAN;
        attend(&a, QUERIES, two_threads);
        *bad = kept;
        for (size_t r = 0; r < 48; r++) assert_true(isfinite(y[r * SIZE]));
        assert_true(isnan(y[55 * SIZE]));
        for (size_t r = 56; r < QUERIES; r++) assert_true(which == 2 ? isfinite(y[r * SIZE]) : isnan(y[r * SIZE]));
    }
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(against_loops), cmocka_unit_test(steep_scores),
                                      cmocka_unit_test(not_numbers)};
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
