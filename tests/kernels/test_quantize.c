/* test_quantize.c: every tier of quantize and convert gives the bits of the definition. */
#include "kernel_test.h"

#include "kernels/convert/convert.h"
#include "kernels/quantize/quantize.h"

static int32_t defined(float x, float scale, int32_t zp, int32_t lo, int32_t hi)
{
    double v = (double)(x / scale); /* the division in fp32, as ONNX has it */
    if (isnan(v)) return zp;
    v = rint(v) + zp;
    return v < lo ? lo : v > hi ? hi : (int32_t)v;
}

static void to_bytes(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        size_t n = round < 66 ? (size_t)round : pick(0, round % 50 ? 300 : 100000);
        guarded x = guarded_new(n * 4), y = guarded_new(n);
        float *xs = x.data, scale = uniform(0.001f, 0.2f);
        fill_f32(xs, n, -20, 20);
        for (size_t i = 0; i + 9 < n; i += 10) xs[i] = scale * ((float)pick(0, 600) - 300 + 0.5f); /* ties */
        if (n > 5) xs[1] = NAN, xs[2] = INFINITY, xs[3] = -INFINITY, xs[4] = 1e-42f, xs[5] = 3e38f;
        int is_signed = round % 2;
        int32_t zp = (int32_t)pick(0, 255) - (is_signed ? 128 : 0), lo = is_signed ? -128 : 0;
        if (is_signed)
            hone__quantize_s8(xs, n, scale, zp, y.data, two_threads);
        else
            hone__quantize_u8(xs, n, scale, zp, y.data, two_threads);
        guarded f = guarded_new(n * 4);
        if (is_signed)
            hone__dequantize_s8(y.data, n, scale, zp, f.data, two_threads);
        else
            hone__dequantize_u8(y.data, n, scale, zp, f.data, two_threads);
        for (size_t i = 0; i < n; i++) {
            int32_t got = is_signed ? ((int8_t *)y.data)[i] : ((uint8_t *)y.data)[i];
            assert_int_equal(got, defined(xs[i], scale, zp, lo, lo + 255));
            assert_true(((float *)f.data)[i] == (float)(got - zp) * scale);
        }
        guarded_free(&x), guarded_free(&y), guarded_free(&f);
    }
    int32_t big = INT32_MIN;
    float y;
    hone__dequantize_i32(&big, 1, 2, 5, &y, NULL);
    assert_true(y == -4294967306.0f);
}

static void minmax(void **state)
{
    (void)state;
    for (int round = 0; round < 150; round++) {
        size_t n = round < 66 ? (size_t)round : pick(0, round % 10 ? 300 : 3000000);
        guarded x = guarded_new(n * 4);
        float *xs = x.data, lo, hi, least = INFINITY, most = -INFINITY;
        fill_f32(xs, n, round % 3 ? -5 : 1, 5);
        for (size_t i = 0; i < n; i += 17) xs[i] = NAN;
        for (size_t i = 0; i < n; i++) {
            if (xs[i] < least) least = xs[i];
            if (xs[i] > most) most = xs[i];
        }
        hone__minmax_f32(xs, n, &lo, &hi, two_threads);
        assert_true(least > most ? lo == 0 && hi == 0 : lo == least && hi == most);
        guarded_free(&x);
    }
    float scale;
    int32_t zp;
    hone__dynamic_params_u8(-1, 2, &scale, &zp);
    assert_true(scale == 3.0f / 255 && zp == 85);
    hone__dynamic_params_u8(1, 2, &scale, &zp);
    assert_true(scale == 2.0f / 255 && zp == 0);
    hone__dynamic_params_u8(0, 0, &scale, &zp);
    assert_true(scale == 1 && zp == 0);
}

static void sums(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        size_t n = round < 66 ? (size_t)round : pick(0, round % 50 ? 1500 : 100000);
        guarded x[2] = {guarded_new(n), guarded_new(n)}, y = guarded_new(n);
        hone__add_bytes_args a = {.x = {x[0].data, x[1].data}, .y = y.data, .lo = -INFINITY, .hi = INFINITY};
        for (int i = 0; i < 3; i++) {
            a.is_signed[i] = (int)pick(0, 1);
            a.zp[i] = (int32_t)pick(0, 255) - (a.is_signed[i] ? 128 : 0);
            a.scale[i] = uniform(0.001f, 0.2f);
        }
        if (pick(0, 1)) a.lo = 0;
        if (pick(0, 2) == 0) a.hi = 6;
        if (round % 11 == 0) a.scale[pick(0, 2)] = round % 2 ? NAN : INFINITY;
        fill_bytes(x[0].data, n), fill_bytes(x[1].data, n);
        hone__add_bytes(&a, n, two_threads);
        for (size_t i = 0; i < n; i++) {
            float v[2];
            for (int k = 0; k < 2; k++)
                v[k] = (float)((a.is_signed[k] ? (int8_t)a.x[k][i] : a.x[k][i]) - a.zp[k]) * a.scale[k];
            float sum = v[0] + v[1];
            sum = sum < a.lo ? a.lo : sum;
            sum = sum > a.hi ? a.hi : sum;
            int32_t got = a.is_signed[2] ? (int8_t)a.y[i] : a.y[i], lo = a.is_signed[2] ? -128 : 0;
            assert_int_equal(got, defined(sum, a.scale[2], a.zp[2], lo, lo + 255));
        }
        guarded_free(&x[0]), guarded_free(&x[1]), guarded_free(&y);
    }
}

static void rows(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        size_t k = round < 66 ? (size_t)round : pick(1, 500), block = pick(0, 2) ? (size_t)16 << pick(0, 4) : 0;
        size_t size = block ? block : k ? k : 1, blocks = (k + size - 1) / size;
        guarded x = guarded_new(k * 4), q = guarded_new(blocks * size), s = guarded_new(blocks * 4),
                sums = guarded_new(blocks * 4);
        float *xs = x.data;
        fill_f32(xs, k, -3, 3);
        if (round % 5 == 0 && k > 20) memset(xs, 0, 64);
        if (round % 7 == 0 && k > 40) xs[k - 1] = round % 2 ? NAN : INFINITY;
        hone__quantize_row_s8(xs, k, block, q.data, s.data, sums.data);
        for (size_t b = 0; b < blocks; b++) {
            float top = 0;
            int finite = 1;
            int32_t sum = 0;
            for (size_t i = b * size; i < k && i < (b + 1) * size; i++) {
                if (!isfinite(xs[i])) finite = 0;
                if (fabsf(xs[i]) > top) top = fabsf(xs[i]);
            }
            float scale = ((float *)s.data)[b];
            if (!finite)
                assert_true(isnan(scale));
            else
                assert_true(scale == top / 127.0f);
            for (size_t i = b * size; i < (b + 1) * size; i++) {
                int8_t got = ((int8_t *)q.data)[i];
                int32_t want = i < k && finite && top > 0 ? (int32_t)rintf(xs[i] * (127.0f / top)) : 0;
                assert_int_equal(got, want);
                sum += got;
            }
            assert_int_equal(((int32_t *)sums.data)[b], sum);
        }
        guarded_free(&x), guarded_free(&q), guarded_free(&s), guarded_free(&sums);
    }
}

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

/* Every half, there and back; every rounding between two halves. */
static void halves(void **state)
{
    (void)state;
    static uint16_t all[65536], back[65536];
    static float wide[65536];
    for (size_t i = 0; i < 65536; i++) all[i] = (uint16_t)i;
    hone__f16_to_f32(all, wide, 65536);
    hone__f32_to_f16(wide, back, 65536);
    for (size_t i = 0; i < 65536; i++) {
        int e = (int)(i >> 10 & 31), m = (int)(i & 1023);
        if (e == 31 && m) {
            assert_true(isnan(wide[i]) && (back[i] & 0x7c00) == 0x7c00 && (back[i] & 0x3ff));
            continue;
        }
        double want = e == 31 ? INFINITY : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
        assert_true(wide[i] == (float)(i >> 15 ? -want : want) && back[i] == i);
    }
    for (size_t i = 0; i + 1 < 0x7c00; i++) { /* halfway goes to even, a little less or more to the nearer */
        float middle = (float)(((double)wide[i] + wide[i + 1]) / 2),
              trio[3] = {nextafterf(middle, 0), middle, nextafterf(middle, INFINITY)};
        uint16_t got[3];
        hone__f32_to_f16(trio, got, 3);
        assert_int_equal(got[0], i);
        assert_int_equal(got[1], i % 2 ? i + 1 : i);
        assert_int_equal(got[2], i + 1);
    }
    float big[3] = {65519.9f, 65520, 1e30f};
    uint16_t got[3];
    hone__f32_to_f16(big, got, 3);
    assert_true(got[0] == 0x7bff && got[1] == 0x7c00 && got[2] == 0x7c00);
}

static void bfloats(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        size_t n = pick(0, 100);
        guarded x = guarded_new(n * 4), h = guarded_new(n * 2), y = guarded_new(n * 4);
        for (size_t i = 0; i < n; i++) {
            uint32_t u = i % 5 == 0 ? (rng() & 0xffff0000u) | 0x8000u : rng();
            memcpy((float *)x.data + i, &u, 4);
        }
        hone__f32_to_bf16(x.data, h.data, n);
        hone__bf16_to_f32(h.data, y.data, n);
        for (size_t i = 0; i < n; i++) {
            uint32_t u = bits_of(((float *)x.data)[i]), low = u & 0xffff, up = u >> 16;
            uint32_t want = up + (low > 0x8000 || (low == 0x8000 && up & 1));
            if (isnan(((float *)x.data)[i]))
                assert_true(isnan(((float *)y.data)[i]));
            else
                assert_int_equal(bits_of(((float *)y.data)[i]), want << 16);
        }
        guarded_free(&x), guarded_free(&h), guarded_free(&y);
    }
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(to_bytes), cmocka_unit_test(minmax), cmocka_unit_test(sums),
        cmocka_unit_test(rows),     cmocka_unit_test(halves), cmocka_unit_test(bfloats),
    };
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
