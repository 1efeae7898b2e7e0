/* test_attend.c: attention over a cache against plain loops in double precision, on every tier: groups of heads,
 * windows, padding, caps, float16 keys; few and many queries, any number of threads. */
#include "kernel_test.h"

#include "kernels/attention/attend.h"
#include "kernels/convert/convert.h"

typedef struct arrays {
    float *q, *y, *want;
    void *k, *v;
    int64_t *first;
} arrays;

static double element(const hone__attend_args *a, const void *p, size_t at)
{
    return a->half ? (double)hone__f16_to_f32_one(((const uint16_t *)p)[at]) : (double)((const float *)p)[at];
}

static void reference(const hone__attend_args *a, float *y)
{
    double *s = calloc(a->keys + 1, sizeof *s);
    for (size_t b = 0; b < a->batch; b++)
        for (size_t h = 0; h < a->heads; h++)
            for (size_t r = 0; r < a->queries; r++) {
                size_t base = b * a->kv_b + h / (a->heads / a->kv_heads) * a->kv_h, at = a->keys - a->queries + r;
                double most = -INFINITY, sum = 0;
                for (size_t k = 0; k < a->keys; k++) {
                    bool seen = !(a->first && (int64_t)k < a->first[b]) &&
                                !(a->causal && (k > at || (a->window && k + a->window <= at)));
                    s[k] = 0;
                    for (size_t i = 0; i < a->size; i++)
                        s[k] += (double)a->q[b * a->q_b + h * a->q_h + r * a->q_r + i] *
                                element(a, a->k, base + k * a->size + i);
                    s[k] *= (double)a->scale;
                    if (a->softcap > 0) s[k] = (double)a->softcap * tanh(s[k] / (double)a->softcap);
                    if (!seen) s[k] = -INFINITY;
                    most = fmax(most, s[k]);
                }
                for (size_t k = 0; k < a->keys; k++) sum += s[k] > -INFINITY ? exp(s[k] - most) : 0;
                for (size_t i = 0; i < a->size; i++) {
                    double v = 0;
                    for (size_t k = 0; k < a->keys; k++)
                        if (s[k] > -INFINITY) v += exp(s[k] - most) / sum * element(a, a->v, base + k * a->size + i);
                    y[b * a->y_b + h * a->y_h + r * a->y_r + i] = (float)v;
                }
            }
    free(s);
}

static void check(hone__attend_args *a, size_t capacity, int threads)
{
    size_t width = a->heads * a->size, cells = a->batch * a->kv_heads * capacity * a->size;
    size_t bytes = a->half ? 2 : 4;
    guarded q = guarded_new(a->batch * a->queries * width * 4), y = guarded_new(a->batch * a->queries * width * 4);
    guarded k = guarded_new(cells * bytes), v = guarded_new(cells * bytes);
    float *want = calloc(a->batch * a->queries * width + 1, 4), *wide = malloc(cells * 4 + 4);
    int64_t first[8];
    for (size_t b = 0; b < a->batch; b++) first[b] = (int64_t)pick(0, a->keys + 1);
    if (a->first) a->first = first;
    fill_f32(q.data, a->batch * a->queries * width, -1, 1);
    for (int i = 0; i < 2; i++) {
        fill_f32(wide, cells, -1, 1);
        if (a->half)
            hone__f32_to_f16(wide, i ? v.data : k.data, cells);
        else
            memcpy(i ? v.data : k.data, wide, cells * 4);
    }
    a->q = q.data, a->k = k.data, a->v = v.data, a->y = y.data;
    a->q_b = a->y_b = a->queries * width, a->q_h = a->y_h = a->size, a->q_r = a->y_r = width;
    a->kv_h = capacity * a->size, a->kv_b = a->kv_heads * a->kv_h;
    hone__attend_args upto = *a;
    upto.keys = capacity;
    size_t scratch_bytes = hone__attend_scratch(&upto, threads);
    guarded scratch = guarded_new((scratch_bytes + 63) / 64 * 64);
    hone__pool *pool;
    assert_int_equal(hone__pool_create(threads, &pool), HONE_OK);
    hone__attend(a, scratch.data, pool);
    hone__pool_destroy(pool);
    reference(a, want);
    for (size_t i = 0; i < a->batch * a->queries * width; i++)
        if (!(fabsf(a->y[i] - want[i]) <= 2e-6f))
            fail_msg("batch %zu heads %zu/%zu queries %zu keys %zu of %zu size %zu half %d: %zu is %g, expected %g",
                     a->batch, a->heads, a->kv_heads, a->queries, a->keys, capacity, a->size, a->half, i,
                     (double)a->y[i], (double)want[i]);
    guarded_free(&q), guarded_free(&y), guarded_free(&k), guarded_free(&v), guarded_free(&scratch);
    free(want), free(wide);
}

static void against_loops(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        size_t kv = pick(1, 3), queries = i % 3 ? pick(1, 5) : pick(1, 90), keys = queries + pick(0, i % 7 ? 70 : 1400);
        hone__attend_args a = {.batch = pick(1, 3),
                               .kv_heads = kv,
                               .heads = kv * pick(1, 4),
                               .queries = queries,
                               .size = pick(1, 80),
                               .half = i % 2,
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
