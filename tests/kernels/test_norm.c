/* test_norm.c: softmax, normalisation and reductions of every tier against double. */
#include "kernel_test.h"

#include "kernels/norm/norm.h"

static void near(double got, double want, double relative, double absolute)
{
    if (isnan(want) ? isnan(got) : got == want) return;
    if (!(fabs(got - want) <= relative * fabs(want) + absolute)) fail_msg("%.9g, expected %.9g", got, want);
}

static void softmax(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        size_t outer = pick(1, 5), axis = pick(1, pick(0, 9) ? 70 : 3000),
               inner = pick(0, 1) ? 1 : pick(1, pick(0, 9) ? 40 : 600);
        size_t n = outer * axis * inner;
        int logs = round % 2;
        guarded x = guarded_new(n * 4), y = guarded_new(n * 4), y2 = guarded_new(n * 4);
        fill_f32(x.data, n, -20, 20);
        if (round % 7 == 0) ((float *)x.data)[pick(0, n - 1)] = -INFINITY;
        hone__softmax_f32(x.data, y.data, outer, axis, inner, logs, NULL);
        memcpy(y2.data, x.data, n * 4);
        hone__softmax_f32(y2.data, y2.data, outer, axis, inner, logs, two_threads);
        assert_memory_equal(y.data, y2.data, n * 4);
        for (size_t line = 0; line < outer * inner; line++) {
            const float *xs = (float *)x.data + line / inner * axis * inner + line % inner;
            const float *ys = (float *)y.data + line / inner * axis * inner + line % inner;
            double top = -INFINITY, sum = 0;
            for (size_t i = 0; i < axis; i++) top = fmax(top, xs[i * inner]);
            for (size_t i = 0; i < axis; i++) sum += exp(xs[i * inner] - top);
            for (size_t i = 0; i < axis; i++) {
                double v = xs[i * inner] - top;
                if (isnan(v)) continue;
                /* x - top is rounded in fp32: 2^-24 of up to 40 */
                near(ys[i * inner], logs ? v - log(sum) : exp(v) / sum, 5e-6, 1e-6 * logs + 1e-40);
            }
        }
        guarded_free(&x), guarded_free(&y), guarded_free(&y2);
    }
}

static void softmax_extremes(void **state)
{
    (void)state;
    float x[3] = {1e38f, -1e38f, 1e38f}, y[3];
    hone__softmax_f32(x, y, 1, 3, 1, 0, NULL);
    assert_true(y[0] == 0.5f && y[1] == 0 && y[2] == 0.5f);
    x[1] = NAN;
    hone__softmax_f32(x, y, 1, 3, 1, 0, NULL);
    assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]));
    hone__softmax_f32(x, y, 1, 1, 3, 0, NULL);
    assert_true(y[0] == 1 && isnan(y[1]) && y[2] == 1);
}

static void layers(void **state)
{
    (void)state;
    for (int round = 0; round < 150; round++) {
        size_t rows = pick(1, 9), cols = pick(1, pick(0, 5) ? 70 : 3000), n = rows * cols;
        guarded x = guarded_new(n * 4), y = guarded_new(n * 4), y2 = guarded_new(n * 4), g = guarded_new(cols * 4),
                b = guarded_new(cols * 4);
        float shift = round % 3 == 0 ? 1000 : 0, mean_out[9], inv_out[9];
        fill_f32(x.data, n, shift - 2, shift + 2);
        fill_f32(g.data, cols, 0.5f, 2);
        fill_f32(b.data, cols, -1, 1);
        int rms = round % 2, has = (int)pick(0, 1);
        for (int threads = 1; threads <= 2; threads++) {
            float *out = threads == 1 ? y.data : y2.data;
            hone__pool *pool = threads == 1 ? NULL : two_threads;
            if (rms)
                hone__rms_norm_f32(x.data, out, rows, cols, 1e-5f, has ? g.data : NULL, inv_out, pool);
            else
                hone__layer_norm_f32(x.data, out, rows, cols, 1e-5f, has ? g.data : NULL, has ? b.data : NULL, mean_out,
                                     inv_out, pool);
        }
        assert_memory_equal(y.data, y2.data, n * 4);
        for (size_t r = 0; r < rows; r++) {
            const float *xs = (float *)x.data + r * cols;
            double mean = 0, squares = 0;
            for (size_t i = 0; i < cols && !rms; i++) mean += xs[i] / (double)cols;
            for (size_t i = 0; i < cols; i++) squares += (xs[i] - mean) * (xs[i] - mean) / (double)cols;
            double inv = 1 / sqrt(squares + 1e-5);
            near(inv_out[r], inv, 1e-4, 1e-6);
            if (!rms) near(mean_out[r], mean, 1e-6, 1e-6);
            for (size_t i = 0; i < cols; i++) {
                double v = (xs[i] - mean) * inv;
                if (has) v = v * ((float *)g.data)[i] + (rms ? 0 : ((float *)b.data)[i]);
                /* a mean of 1000 has a last place of 6e-5 */
                near(((float *)y.data)[r * cols + i], v, 1e-5, (shift ? 4e-4 : 4e-6) * (1 + inv));
            }
        }
        guarded_free(&x), guarded_free(&y), guarded_free(&y2), guarded_free(&g), guarded_free(&b);
    }
}

static double reduced(hone__reduce kind, const float *x, size_t n, size_t step)
{
    double sum = kind == HONE__REDUCE_PROD, top = -INFINITY, least = INFINITY;
    for (size_t i = 0; i < n; i++) {
        double v = x[i * step];
        top = isnan(v) || isnan(top) ? NAN : fmax(top, v), least = isnan(v) || isnan(least) ? NAN : fmin(least, v);
        if (kind == HONE__REDUCE_PROD)
            sum *= v;
        else if (kind == HONE__REDUCE_SUMSQ || kind == HONE__REDUCE_L2)
            sum += v * v;
        else if (kind == HONE__REDUCE_L1)
            sum += fabs(v);
        else if (kind == HONE__REDUCE_LOGSUMEXP)
            sum += exp(v);
        else
            sum += v;
    }
    switch (kind) {
    case HONE__REDUCE_MEAN: return sum / (double)n;
    case HONE__REDUCE_MAX: return top;
    case HONE__REDUCE_MIN: return least;
    case HONE__REDUCE_L2: return sqrt(sum);
    case HONE__REDUCE_LOGSUM:
    case HONE__REDUCE_LOGSUMEXP: return log(sum);
    default: return sum;
    }
}

static void reductions(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        hone__reduce kind = (hone__reduce)(round % HONE__REDUCE_COUNT);
        size_t outer = pick(1, 4), axis = pick(1, pick(0, 5) ? 70 : 2500),
               inner = pick(0, 1) ? 1 : pick(1, pick(0, 9) ? 40 : 600);
        if (kind == HONE__REDUCE_PROD && axis > 300) axis = 300;
        size_t n = outer * axis * inner;
        guarded x = guarded_new(n * 4), y = guarded_new(outer * inner * 4), y2 = guarded_new(outer * inner * 4);
        int positive = kind == HONE__REDUCE_LOGSUM || kind == HONE__REDUCE_PROD;
        fill_f32(x.data, n, positive ? 0.5f : -3, positive ? 1.5f : 3);
        if (round % 4 == 0 && (kind == HONE__REDUCE_MAX || kind == HONE__REDUCE_MIN))
            ((float *)x.data)[pick(0, n - 1)] = NAN;
        hone__reduce_f32(kind, x.data, y.data, outer, axis, inner, NULL);
        hone__reduce_f32(kind, x.data, y2.data, outer, axis, inner, two_threads);
        assert_memory_equal(y.data, y2.data, outer * inner * 4);
        for (size_t i = 0; i < outer * inner; i++) {
            const float *line = (float *)x.data + i / inner * axis * inner + i % inner;
            near(((float *)y.data)[i], reduced(kind, line, axis, inner), 2e-5, kind == HONE__REDUCE_MEAN ? 3e-6 : 1e-4);
        }
        guarded_free(&x), guarded_free(&y), guarded_free(&y2);
    }
}

/* The error does not grow with the length: ten million times 0.1. */
static void long_sum(void **state)
{
    (void)state;
    enum { N = 10000000 };
    float *x = malloc(N * sizeof *x), y;
    assert_non_null(x);
    for (size_t i = 0; i < N; i++) x[i] = 0.1f;
    hone__reduce_f32(HONE__REDUCE_SUM, x, &y, 1, N, 1, NULL);
    near(y, (double)0.1f * N, 1e-6, 0);
    float z[2];
    hone__reduce_f32(HONE__REDUCE_SUM, x, z, 1, N / 2, 2, NULL);
    near(z[0], (double)0.1f * N / 2, 1e-6, 0);
    free(x);
}

static void empty(void **state)
{
    (void)state;
    float y[HONE__REDUCE_COUNT];
    for (int k = 0; k < HONE__REDUCE_COUNT; k++) hone__reduce_f32((hone__reduce)k, NULL, y + k, 1, 0, 1, NULL);
    assert_true(y[HONE__REDUCE_SUM] == 0 && isnan(y[HONE__REDUCE_MEAN]) && y[HONE__REDUCE_PROD] == 1);
    assert_true(y[HONE__REDUCE_MAX] == -INFINITY && y[HONE__REDUCE_MIN] == INFINITY &&
                y[HONE__REDUCE_LOGSUMEXP] == -INFINITY);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(softmax),    cmocka_unit_test(softmax_extremes), cmocka_unit_test(layers),
        cmocka_unit_test(reductions), cmocka_unit_test(long_sum),         cmocka_unit_test(empty),
    };
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
