/* test_nbits.c: block-quantised products of every tier against the definition in int64 and double. */
#include "kernel_test.h"

#include "kernels/nbits/nbits.h"
#include "kernels/quantize/quantize.h"

typedef struct problem {
    hone__nbits_args g;
    size_t block, blocks, blob, zero_bytes;
    guarded w, scales, zeros, x, y, bias;
} problem;

static problem make(size_t m, size_t n, size_t k, int bits, size_t block)
{
    problem p = {.g = {.m = m, .n = n, .k = k, .bits = bits, .block = block}};
    p.block = block ? block : k;
    p.blocks = (k + p.block - 1) / p.block;
    p.blob = (p.block * (size_t)bits + 7) / 8;
    p.zero_bytes = (p.blocks * (size_t)bits + 7) / 8;
    p.g.x_rs = k + pick(0, 3), p.g.y_rs = n + pick(0, 3);
    p.w = guarded_new(n * p.blocks * p.blob);
    p.scales = guarded_new(n * p.blocks * 4);
    p.zeros = guarded_new(n * p.zero_bytes);
    p.x = guarded_new(((m - 1) * p.g.x_rs + k) * 4);
    p.y = guarded_new(((m - 1) * p.g.y_rs + n) * 4);
    p.bias = guarded_new(n * 4);
    fill_bytes(p.w.data, n * p.blocks * p.blob);
    fill_bytes(p.zeros.data, n * p.zero_bytes);
    fill_f32(p.scales.data, n * p.blocks, -0.01f, 0.02f);
    fill_f32(p.x.data, (m - 1) * p.g.x_rs + k, -2, 2);
    fill_f32(p.bias.data, n, -1, 1);
    p.g.w = p.w.data, p.g.scales = p.scales.data, p.g.x = p.x.data, p.g.y = p.y.data;
    return p;
}

static void destroy(problem *p)
{
    guarded_free(&p->w), guarded_free(&p->scales), guarded_free(&p->zeros), guarded_free(&p->x), guarded_free(&p->y);
    guarded_free(&p->bias);
}

static int weight(const problem *p, size_t n, size_t k)
{
    const uint8_t *blob = p->g.w + (n * p->blocks + k / p->block) * p->blob;
    size_t i = k % p->block, b = k / p->block;
    const uint8_t *z = p->g.zero_points ? p->g.zero_points + n * p->zero_bytes : NULL;
    if (p->g.bits == 8 && p->g.w_signed) return (int8_t)blob[i];
    if (p->g.bits == 8) return blob[i] - (z ? z[b] : 128);
    return (blob[i / 2] >> (i % 2 * 4) & 15) - (z ? z[b / 2] >> (b % 2 * 4) & 15 : 8);
}

/* The value by definition, and the sum of magnitudes for the tolerance; quantised: the int8 row of x, NULL = fp32. */
static double defined(const problem *p, size_t m, size_t n, const int8_t *q, const float *qs, double *size)
{
    double sum = 0;
    *size = 1;
    for (size_t b = 0; b < p->blocks; b++) {
        int64_t acc = 0;
        double real = 0, s = p->g.scales[n * p->blocks + b];
        for (size_t k = b * p->block; k < p->g.k && k < (b + 1) * p->block; k++) {
            if (q)
                acc += (int64_t)weight(p, n, k) * q[k];
            else
                real += (double)weight(p, n, k) * p->g.x[m * p->g.x_rs + k];
            *size += fabs(weight(p, n, k) * s * 2);
        }
        sum += q ? (double)acc * qs[b] * s : real * s;
    }
    return sum;
}

static void check(const problem *p, int quantised)
{
    int8_t *q = calloc(p->blocks * p->block + 64, 1);
    float *qs = calloc(p->blocks, 4);
    for (size_t m = 0; m < p->g.m; m++) {
        hone__quantize_row_s8(p->g.x + m * p->g.x_rs, p->g.k, p->block, q, qs, NULL);
        for (size_t n = 0; n < p->g.n; n++) {
            double size, want = defined(p, m, n, quantised ? q : NULL, qs, &size);
            if (p->g.ep.bias) want += p->g.ep.bias[n];
            if (p->g.ep.act == HONE__ACT_RELU) want = want < 0 ? 0 : want;
            double got = p->g.y[m * p->g.y_rs + n];
            if (!(fabs(got - want) <= 4e-6 * size))
                fail_msg("(%zu, %zu) of %zu %zu %zu, %d bits, block %zu: %g, expected %g", m, n, p->g.m, p->g.n, p->g.k,
                         p->g.bits, p->g.block, got, want);
        }
    }
    free(q), free(qs);
}

static void random_shapes(void **state)
{
    (void)state;
    for (int round = 0; round < 240; round++) {
        static const size_t blocks[] = {0, 16, 32, 64, 128, 256, 512};
        size_t k = round < 66 ? (size_t)round + 1 : pick(1, pick(0, 5) ? 300 : 1500);
        problem p = make(pick(0, 1) ? pick(1, pick(0, 1) ? 9 : 60) : 1, pick(1, pick(0, 3) ? 40 : 150), k, round % 2 ? 4 : 8, blocks[pick(0, 6)]);
        if (round % 3 == 0) p.g.zero_points = p.zeros.data;
        if (p.g.bits == 8 && pick(0, 2) == 0) p.g.w_signed = 1;
        if (pick(0, 1)) p.g.ep.bias = p.bias.data, p.g.ep.act = HONE__ACT_RELU;
        size_t size = hone__nbits_scratch(&p.g, 2), ny = (p.g.m - 1) * p.g.y_rs + p.g.n;
        void *scratch = scratch_new(size);
        float *first = malloc(ny * 4), *all = p.g.y;
        memset(all, 0, ny * 4);
        hone__nbits(&p.g, scratch, NULL);
        check(&p, 1);
        memcpy(first, all, ny * 4);
        hone__nbits(&p.g, scratch, two_threads);
        assert_memory_equal(first, all, ny * 4);
        for (size_t m = 0; m < p.g.m; m++) { /* a row alone gives the bits that it gives in company */
            hone__nbits_args one = p.g;
            float *y = malloc(p.g.n * 4);
            one.m = 1, one.x += m * one.x_rs, one.y = y;
            hone__nbits(&one, scratch, NULL);
            assert_memory_equal(y, first + m * p.g.y_rs, p.g.n * 4);
            free(y);
        }
        scratch_free(scratch, size);
        free(first);
        hone__nbits_float(&p.g, two_threads);
        check(&p, 0);
        destroy(&p);
    }
}

/* A NaN reaches every output of its row and no other row. */
static void nan_row(void **state)
{
    (void)state;
    problem p = make(3, 20, 96, 4, 32);
    ((float *)p.x.data)[p.g.x_rs + 5] = NAN;
    size_t size = hone__nbits_scratch(&p.g, 1);
    void *scratch = scratch_new(size);
    hone__nbits(&p.g, scratch, NULL);
    for (size_t n = 0; n < 20; n++)
        assert_true(isfinite(p.g.y[n]) && isnan(p.g.y[p.g.y_rs + n]) && isfinite(p.g.y[2 * p.g.y_rs + n]));
    scratch_free(scratch, size);
    destroy(&p);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(random_shapes),
        cmocka_unit_test(nan_row),
    };
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
