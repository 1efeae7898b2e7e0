/* test_attend.c: attention over a cache against plain loops in double precision, on every tier: groups of heads,
 * windows, padding, caps, float16 and int8 keys; few and many queries, any number of threads. */
#include "kernel_test.h"

#include "kernels/attention/attend.h"
#include "kernels/convert/convert.h"

typedef struct arrays {
    float *q, *y, *want;
    void *k, *v;
    int64_t *first;
} arrays;

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

static void reference(const hone__attend_args *a, float *y)
{
    double *s = calloc(a->keys + 1, sizeof *s);
    for (size_t b = 0; b < a->batch; b++)
        for (size_t h = 0; h < a->heads; h++)
            for (size_t r = 0; r < a->queries; r++) {
                size_t row = hone__kv_row(a->kind, a->size);
                size_t base = b * a->kv_b + h / (a->heads / a->kv_heads) * a->kv_h, at = a->keys - a->queries + r;
                double most = -INFINITY, sum = 0;
                for (size_t k = 0; k < a->keys; k++) {
                    bool seen = !(a->first && (int64_t)k < a->first[b]) &&
                                !(a->causal && (k > at || (a->window && k + a->window <= at)));
                    s[k] = 0;
                    for (size_t i = 0; i < a->size; i++)
                        s[k] += (double)a->q[b * a->q_b + h * a->q_h + r * a->q_r + i] *
                                element(a, a->k, base + k * row, i);
                    s[k] *= (double)a->scale;
                    if (a->softcap > 0) s[k] = (double)a->softcap * tanh(s[k] / (double)a->softcap);
                    if (!seen) s[k] = -INFINITY;
                    most = fmax(most, s[k]);
                }
                for (size_t k = 0; k < a->keys; k++) sum += s[k] > -INFINITY ? exp(s[k] - most) : 0;
                for (size_t i = 0; i < a->size; i++) {
                    double v = 0;
                    for (size_t k = 0; k < a->keys; k++)
                        if (s[k] > -INFINITY) v += exp(s[k] - most) / sum * element(a, a->v, base + k * row, i);
                    y[b * a->y_b + h * a->y_h + r * a->y_r + i] = (float)v;
                }
            }
    free(s);
}

static void check(hone__attend_args *a, size_t capacity, int threads)
{
    size_t width = a->heads * a->size, rows = a->batch * a->kv_heads * capacity;
    size_t row = hone__kv_row(a->kind, a->size) * (a->kind == HONE__KV_F32 ? 4 : a->kind == HONE__KV_F16 ? 2 : 1);
    guarded q = guarded_new(a->batch * a->queries * width * 4), y = guarded_new(a->batch * a->queries * width * 4);
    guarded k = guarded_new(rows * row), v = guarded_new(rows * row);
    float *want = calloc(a->batch * a->queries * width + 1, 4), *wide = malloc(a->size * 4 + 4);
    int64_t first[8];
    for (size_t b = 0; b < a->batch; b++) first[b] = (int64_t)pick(0, a->keys + 1);
    if (a->first) a->first = first;
    fill_f32(q.data, a->batch * a->queries * width, -1, 1);
    for (size_t i = 0; i < 2 * rows; i++) {
        fill_f32(wide, a->size, -1, 1);
        hone__kv_write(a->kind, wide, a->size, (char *)(i % 2 ? v.data : k.data) + i / 2 * row);
    }
    a->q = q.data, a->k = k.data, a->v = v.data, a->y = y.data;
    a->q_b = a->y_b = a->queries * width, a->q_h = a->y_h = a->size, a->q_r = a->y_r = width;
    a->kv_h = capacity * hone__kv_row(a->kind, a->size), a->kv_b = a->kv_heads * a->kv_h;
    hone__attend_args upto = *a;
    upto.keys = capacity;
    size_t scratch_bytes = hone__attend_scratch(&upto, threads);
    guarded scratch = guarded_new((scratch_bytes + 63) / 64 * 64);
    hone__pool *pool;
    assert_int_equal(hone__pool_create(threads, &pool), HONE_OK);
    hone__attend(a, scratch.data, pool);
    hone__pool_destroy(pool);
    reference(a, want);
    for (size_t r = 0; r < a->queries && a->causal && a->queries <= 16; r++) { /* alone: the same bits */
        hone__attend_args one = *a;
        one.queries = 1, one.keys = a->keys - a->queries + r + 1, one.q = a->q + r * a->q_r;
        one.y = calloc(a->batch * a->y_b + 1, 4);
        hone__attend(&one, scratch.data, NULL);
        for (size_t b = 0; b < a->batch; b++)
            assert_memory_equal(one.y + b * a->y_b, a->y + b * a->y_b + r * a->y_r, width * 4);
        free(one.y);
    }
    for (size_t i = 0; i < a->batch * a->queries * width; i++)
        if (!(fabsf(a->y[i] - want[i]) <= 2e-6f))
            fail_msg("batch %zu heads %zu/%zu queries %zu keys %zu of %zu size %zu kind %d: %zu is %g, expected %g",
                     a->batch, a->heads, a->kv_heads, a->queries, a->keys, capacity, a->size, (int)a->kind, i,
                     (double)a->y[i], (double)want[i]);
    guarded_free(&q), guarded_free(&y), guarded_free(&k), guarded_free(&v), guarded_free(&scratch);
    free(want), free(wide);
}

static void against_loops(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        size_t kv = pick(1, 3), queries = i % 4 ? pick(1, 20) : pick(1, 90),
               keys = queries + pick(0, i % 7 ? 70 : 1400);
        hone__attend_args a = {.batch = pick(1, 3),
                               .kv_heads = kv,
                               .heads = kv * pick(1, 4),
                               .queries = queries,
                               .size = pick(1, 80),
                               .kind = (hone__kv)(i % 3),
                               .keys = keys,
                               .causal = i % 5 != 0,
                               .window = i % 4 ? 0 : pick(1, 40),
                               .first = i % 3 == 1 ? (const int64_t *)&a : NULL,
                               .softcap = i % 6 ? 0 : 5,
                               .scale = uniform(0.05f, 0.4f)};
        check(&a, keys + pick(0, 30), i % 2 + 1);
    }
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(against_loops)};
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
