/* test_gemm.c: matrix products of every tier against sums in double and int64. */
#include "kernel_test.h"

#include "kernels/convert/convert.h"
#include "kernels/gemm/gemm.h"
#include "kernels/tile/tile.h"

/* Strides of an m x n matrix stored in one of three ways; elements needed. */
static size_t layout(int kind, size_t rows, size_t cols, size_t *rs, size_t *cs)
{
    *rs = kind == 0 ? cols : kind == 1 ? 1 : cols * 2 + 1;
    *cs = kind == 0 ? 1 : kind == 1 ? rows : 2;
    return rows && cols ? (rows - 1) * *rs + (cols - 1) * *cs + 1 : 0;
}

static void sizes(size_t *m, size_t *n, size_t *k)
{
    static const size_t tops[5] = {1, 4, 8, 70, 200};
    *m = pick(1, tops[pick(0, 4)]);
    *n = pick(1, pick(0, 3) ? 150 : 600);
    *k = pick(0, pick(0, 9) ? 100 : 2500);
}

static float act_of(hone__act act, float v)
{
    if (act == HONE__ACT_RELU) return v < 0 ? 0 : v;
    if (act == HONE__ACT_LEAKY) return v < 0 ? v * 0.5f : v;
    return v;
}

static void f32_case(int i)
{
    hone__gemm_f32_args g = {.alpha = pick(0, 2) ? 1 : 0.75f, .bias_per_row = (int)pick(0, 1)};
    sizes(&g.m, &g.n, &g.k);
    size_t na = layout((int)pick(0, 2) * (int)pick(0, 1), g.m, g.k, &g.a_rs, &g.a_cs);
    size_t nb = layout(i % 3, g.k, g.n, &g.b_rs, &g.b_cs);
    g.c_rs = g.n + pick(0, 3);
    size_t nc = (g.m - 1) * g.c_rs + g.n;
    guarded a = guarded_new(na * 4), b = guarded_new(nb * 4), c = guarded_new(nc * 4), c2 = guarded_new(nc * 4);
    guarded bias = guarded_new((g.bias_per_row ? g.m : g.n) * 4), r = guarded_new(nc * 4);
    fill_f32(a.data, na, -1, 1);
    fill_f32(b.data, nb, -1, 1);
    fill_f32(bias.data, g.bias_per_row ? g.m : g.n, -1, 1);
    fill_f32(r.data, nc, -1, 1);
    g.a = a.data, g.b = b.data;
    g.ep.act = i % 4 == 0 ? HONE__ACT_RELU : i % 4 == 1 ? HONE__ACT_LEAKY : HONE__ACT_NONE, g.ep.a = 0.5f;
    if (pick(0, 1)) g.ep.bias = bias.data;
    int residual = (int)pick(0, 3); /* 1: apart, 2: the output itself */
    size_t size = hone__gemm_f32_scratch(&g, 2);
    void *scratch = scratch_new(size);
    for (int threads = 1; threads <= 2; threads++) {
        g.c = threads == 1 ? c.data : c2.data;
        memcpy(g.c, r.data, nc * 4);
        if (residual == 1 || residual == 2) g.ep.residual = residual == 1 ? r.data : g.c;
        hone__gemm_f32(&g, scratch, threads == 1 ? NULL : two_threads);
    }
    scratch_free(scratch, size);
    assert_memory_equal(c.data, c2.data, nc * 4);
    for (size_t x = 0; x < g.m; x++)
        for (size_t y = 0; y < g.n; y++) {
            double sum = 0, magnitude = 2;
            for (size_t k = 0; k < g.k; k++) {
                double p = (double)g.a[x * g.a_rs + k * g.a_cs] * g.b[k * g.b_rs + y * g.b_cs];
                sum += p, magnitude += fabs(p);
            }
            sum *= g.alpha;
            if (g.ep.bias) sum += g.ep.bias[g.bias_per_row ? x : y];
            if (g.ep.residual) sum += ((float *)r.data)[x * g.c_rs + y];
            double got = g.c[x * g.c_rs + y], want = act_of(g.ep.act, (float)sum);
            if (!(fabs(got - want) <= ((double)g.k + 8) * 0x1p-24 * magnitude))
                fail_msg("(%zu, %zu) of %zu %zu %zu: %.9g, expected %.9g", x, y, g.m, g.n, g.k, got, want);
        }
    guarded_free(&a), guarded_free(&b), guarded_free(&c), guarded_free(&c2), guarded_free(&bias), guarded_free(&r);
}

/* What rounding a to bfloat16 may add. */
static void check_rounded(const hone__gemm_f32_args *g, const float *b, const float *exact, const float *got)
{
    for (size_t x = 0; x < g->m; x++)
        for (size_t y = 0; y < g->n; y++) {
            double magnitude = 0, off = fabs((double)got[x * g->n + y] - exact[x * g->n + y]);
            for (size_t k = 0; k < g->k; k++)
                magnitude += fabs((double)g->a[x * g->a_rs + k * g->a_cs] * b[k * g->b_rs + y * g->b_cs]);
            if (!(off <= magnitude * (0x1p-8 + (double)g->k * 0x1p-23)))
                fail_msg("(%zu, %zu) of %zu %zu %zu is off by %g", x, y, g->m, g->n, g->k, off);
        }
}

/* Half precision gives the bits of the same numbers in fp32, or where pairs of bfloat16 are multiplied, nearly so. */
static void half_case(int i)
{
    hone__gemm_f32_args g = {.alpha = 1, .b_bf16 = i & 1};
    sizes(&g.m, &g.n, &g.k);
    size_t na = layout(i % 4 == 3, g.m, g.k, &g.a_rs, &g.a_cs), nb = layout(i % 3, g.k, g.n, &g.b_rs, &g.b_cs);
    size_t nc = g.m * (g.c_rs = g.n);
    guarded a = guarded_new(na * 4), b = guarded_new(nb * 4), half = guarded_new(nb * 2), c[3];
    fill_f32(a.data, na, -1, 1);
    fill_f32(b.data, nb, -1, 1);
    if (g.b_bf16) {
        hone__f32_to_bf16(b.data, half.data, nb);
        hone__bf16_to_f32(half.data, b.data, nb);
    } else {
        hone__f32_to_f16(b.data, half.data, nb);
        hone__f16_to_f32(half.data, b.data, nb);
    }
    g.a = a.data;
    for (int pass = 0; pass < 3; pass++) { /* fp32; half on one thread; half on two */
        c[pass] = guarded_new(nc * 4);
        g.b = pass ? NULL : b.data;
        g.b16 = pass ? half.data : NULL;
        g.c = c[pass].data;
        size_t size = hone__gemm_f32_scratch(&g, 2);
        void *scratch = scratch_new(size);
        hone__gemm_f32(&g, scratch, pass == 2 ? two_threads : NULL);
        scratch_free(scratch, size);
    }
    assert_memory_equal(c[1].data, c[2].data, nc * 4);
    if (hone__tile()->bf16 && g.b_bf16 && g.m > 1)
        check_rounded(&g, b.data, c[0].data, c[1].data);
    else
        assert_memory_equal(c[0].data, c[1].data, nc * 4);
    guarded_free(&a), guarded_free(&b), guarded_free(&half);
    for (int pass = 0; pass < 3; pass++) guarded_free(&c[pass]);
}

static void half_random(void **state)
{
    (void)state;
    for (int i = 0; i < 120; i++) half_case(i);
}

static void f32_random(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++) f32_case(i);
}

static int64_t byte_at(const void *p, int is_signed, size_t i)
{
    return is_signed ? ((const int8_t *)p)[i] : ((const uint8_t *)p)[i];
}

static void check_i8(const hone__gemm_i8_args *g)
{
    for (size_t x = 0; x < g->m; x++)
        for (size_t y = 0; y < g->n; y++) {
            int64_t az = g->a_zp ? g->a_zp[g->a_zp_per_row ? x : 0] : 0, sum = 0;
            int64_t bz = g->b_zp ? g->b_zp[g->b_zp_per_col ? y : 0] : 0;
            for (size_t k = 0; k < g->k; k++)
                sum += (byte_at(g->a, g->a_signed, x * g->a_rs + k * g->a_cs) - az) *
                       (byte_at(g->b, g->b_signed, k * g->b_rs + y * g->b_cs) - bz);
            size_t at = x * g->c_rs + y;
            if (g->c_i32) {
                if (g->c_i32[at] != sum)
                    fail_msg("(%zu, %zu) of %zu %zu %zu: %d, expected %lld", x, y, g->m, g->n, g->k, g->c_i32[at],
                             (long long)sum);
                continue;
            }
            float v = (float)sum;
            if (g->a_scale) v *= g->a_scale[g->a_scale_per_row ? x : 0];
            if (g->b_scale) v *= g->b_scale[g->b_scale_per_col ? y : 0];
            if (g->ep.bias) v += g->ep.bias[g->bias_per_row ? x : y];
            if (g->ep.residual) v += g->ep.residual[at];
            v = act_of(g->ep.act, v);
            if (g->c_f32[at] != v) fail_msg("(%zu, %zu): %.9g, expected %.9g", x, y, g->c_f32[at], v);
        }
}

static void i8_case(int i)
{
    hone__gemm_i8_args g = {.a_signed = (int)pick(0, 1), .b_signed = (int)pick(0, 1), .bias_per_row = (int)pick(0, 1)};
    sizes(&g.m, &g.n, &g.k);
    size_t na = layout((int)pick(0, 2) * (int)pick(0, 1), g.m, g.k, &g.a_rs, &g.a_cs);
    size_t nb = layout(i % 3, g.k, g.n, &g.b_rs, &g.b_cs), top = g.m > g.n ? g.m : g.n;
    g.c_rs = g.n + pick(0, 3);
    size_t nc = (g.m - 1) * g.c_rs + g.n;
    guarded a = guarded_new(na), b = guarded_new(nb), c = guarded_new(nc * 4), c2 = guarded_new(nc * 4);
    guarded f = guarded_new(top * 4), r = guarded_new(nc * 4), z = guarded_new(g.n * 4), za = guarded_new(g.m * 4);
    fill_bytes(a.data, na);
    fill_bytes(b.data, nb);
    fill_f32(f.data, top, 0.001f, 0.1f);
    fill_f32(r.data, nc, -1, 1);
    for (size_t y = 0; y < g.n; y++) ((int32_t *)z.data)[y] = (int32_t)pick(0, 255) - (g.b_signed ? 128 : 0);
    for (size_t x = 0; x < g.m; x++) ((int32_t *)za.data)[x] = (int32_t)pick(0, 255) - (g.a_signed ? 128 : 0);
    g.a = a.data, g.b = b.data;
    if (pick(0, 1)) g.a_zp = za.data, g.a_zp_per_row = (int)pick(0, 1);
    if (pick(0, 1)) g.b_zp = z.data, g.b_zp_per_col = (int)pick(0, 1);
    if (pick(0, 1)) g.a_scale = f.data, g.a_scale_per_row = (int)pick(0, 1);
    if (pick(0, 1)) g.b_scale = f.data, g.b_scale_per_col = (int)pick(0, 1);
    if (pick(0, 1)) g.ep.bias = f.data;
    if (pick(0, 1)) g.ep.residual = r.data;
    g.ep.act = i % 4 == 0 ? HONE__ACT_RELU : i % 4 == 1 ? HONE__ACT_LEAKY : HONE__ACT_NONE, g.ep.a = 0.5f;
    size_t size = hone__gemm_i8_scratch(&g, 2);
    void *scratch = scratch_new(size);
    for (int threads = 1; threads <= 2; threads++) {
        void *out = threads == 1 ? c.data : c2.data;
        g.c_i32 = i % 2 ? out : NULL, g.c_f32 = i % 2 ? NULL : out;
        hone__gemm_i8(&g, scratch, threads == 1 ? NULL : two_threads);
        check_i8(&g);
    }
    scratch_free(scratch, size);
    guarded_free(&a), guarded_free(&b), guarded_free(&c), guarded_free(&c2), guarded_free(&f), guarded_free(&r);
    guarded_free(&z), guarded_free(&za);
}

static void i8_random(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++) i8_case(i);
}

/* The largest sums that wrap: 2^31 and beyond must wrap, not saturate. */
static void i8_wraps(void **state)
{
    (void)state;
    enum { K = 70000 };
    static uint8_t a[K], b[K];
    memset(a, 255, K);
    memset(b, 255, K);
    int32_t c = 0;
    hone__gemm_i8_args g = {
        .m = 1, .n = 1, .k = K, .a = a, .a_rs = K, .a_cs = 1, .b = b, .b_rs = 1, .b_cs = 1, .c_i32 = &c, .c_rs = 1};
    void *scratch = scratch_new(hone__gemm_i8_scratch(&g, 1));
    hone__gemm_i8(&g, scratch, NULL);
    assert_int_equal(c, (int32_t)(uint32_t)(255ull * 255 * K));
    free(scratch);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(f32_random),
        cmocka_unit_test(half_random),
        cmocka_unit_test(i8_random),
        cmocka_unit_test(i8_wraps),
    };
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
