/* test_pool.c: pooling of every tier against windows walked element by element. */
#include "kernel_test.h"

#include "kernels/pool/pool.h"

static hone__pool_shape random_shape(void)
{
    hone__pool_shape s = {.planes = pick(1, 5), .rank = (int)pick(1, 3)};
    size_t top = s.rank == 1 ? 150 : s.rank == 2 ? 70 : 9;
    int touching = (int)pick(0, 1);
    for (int i = 0; i < s.rank; i++) {
        s.in[i] = pick(1, top);
        s.kernel[i] = touching ? (size_t)1 << pick(0, 2) : pick(1, 4);
        s.stride[i] = touching ? s.kernel[i] : pick(1, 3);
        s.dilation[i] = touching ? 1 : pick(1, 2);
        s.pad[i] = pick(0, 1) ? 0 : pick(0, 3);
        s.pad_end[i] = pick(0, 2);
        size_t extent = (s.kernel[i] - 1) * s.dilation[i] + 1, room = s.in[i] + s.pad[i] + s.pad_end[i];
        s.out[i] = room >= extent ? (room - extent) / s.stride[i] + 1 + pick(0, 1) : 1;
    }
    return s;
}

/* Windows of 2 x 2 and 4 x 4 side by side, and windows that are the whole plane. */
static hone__pool_shape regular_shape(void)
{
    hone__pool_shape s = {.planes = pick(1, 5), .rank = 2};
    size_t k = (size_t)2 << pick(0, 1), all = pick(0, 2) == 0;
    for (int i = 0; i < s.rank; i++) {
        s.in[i] = pick(all ? 1 : k, all ? 12 : 280 / k);
        s.kernel[i] = all ? s.in[i] : k;
        s.stride[i] = k, s.dilation[i] = 1;
        s.out[i] = all ? 1 : s.in[i] / k;
    }
    return s;
}

static hone__pool_shape shape_of(int round) { return round % 5 > 1 ? random_shape() : regular_shape(); }

struct spot {
    long inside[200];
    int count, padded; /* elements of x; positions in the padded extent */
};

/* The window at flat output position o; positions inside the plane. */
static struct spot window(const hone__pool_shape *s, size_t o)
{
    struct spot r = {.count = 0};
    size_t at[3] = {0}, taps = 1;
    for (int d = s->rank - 1; d >= 0; d--) at[d] = o % s->out[d], o /= s->out[d], taps *= s->kernel[d];
    for (size_t t = 0; t < taps; t++) {
        size_t rest = t;
        long flat = 0;
        long p[3];
        int inside = 1, padded = 1;
        for (int d = s->rank - 1; d >= 0; d--) {
            p[d] = (long)(at[d] * s->stride[d] + rest % s->kernel[d] * s->dilation[d]) - (long)s->pad[d];
            rest /= s->kernel[d];
            if (p[d] < 0 || p[d] >= (long)s->in[d]) inside = 0;
            if (p[d] >= (long)(s->in[d] + s->pad_end[d])) padded = 0;
        }
        for (int d = 0; d < s->rank; d++) flat = flat * (long)s->in[d] + p[d];
        r.padded += padded;
        if (inside) r.inside[r.count++] = flat;
    }
    return r;
}

static size_t product(const size_t *v, int n)
{
    size_t p = 1;
    for (int i = 0; i < n; i++) p *= v[i];
    return p;
}

static void max_f32(void **state)
{
    (void)state;
    for (int round = 0; round < 400; round++) {
        hone__pool_shape s = shape_of(round);
        size_t in = product(s.in, s.rank), out = product(s.out, s.rank), nx = s.planes * in, ny = s.planes * out;
        guarded x = guarded_new(nx * 4), y = guarded_new(ny * 4), y2 = guarded_new(ny * 4), at = guarded_new(ny * 8);
        fill_f32(x.data, nx, -1, 1);
        float *xs = x.data, *ys = y.data;
        if (round % 3 == 0) xs[pick(0, nx - 1)] = NAN, xs[pick(0, nx - 1)] = INFINITY, xs[pick(0, nx - 1)] = -INFINITY;
        hone__max_pool_f32(&s, xs, ys, NULL, 0, NULL);
        hone__max_pool_f32(&s, xs, y2.data, round % 2 ? at.data : NULL, 0, two_threads);
        for (size_t i = 0; i < ny; i++) {
            struct spot w = window(&s, i % out);
            float best = -INFINITY;
            int64_t where = -1;
            for (int k = 0; k < w.count; k++) {
                float v = xs[i / out * in + (size_t)w.inside[k]];
                if (where < 0 || v > best || (isnan(v) && !isnan(best)))
                    best = v, where = (int64_t)(i / out * in) + w.inside[k];
            }
            if (isnan(best) ? !isnan(ys[i]) : ys[i] != best) fail_msg("%zu: %g, expected %g", i, ys[i], best);
            float second = ((float *)y2.data)[i];
            if (isnan(best) ? !isnan(second) : second != best) fail_msg("%zu: %g, expected %g", i, second, best);
            if (round % 2) assert_int_equal(((int64_t *)at.data)[i], where);
        }
        guarded_free(&x), guarded_free(&y), guarded_free(&y2), guarded_free(&at);
    }
}

static void max_i8(void **state)
{
    (void)state;
    for (int round = 0; round < 400; round++) {
        hone__pool_shape s = shape_of(round);
        size_t in = product(s.in, s.rank), out = product(s.out, s.rank), nx = s.planes * in, ny = s.planes * out;
        guarded x = guarded_new(nx), y = guarded_new(ny);
        fill_bytes(x.data, nx);
        int is_signed = round % 2;
        if (is_signed)
            hone__max_pool_s8(&s, x.data, y.data, two_threads);
        else
            hone__max_pool_u8(&s, x.data, y.data, two_threads);
        for (size_t i = 0; i < ny; i++) {
            struct spot w = window(&s, i % out);
            int best = is_signed ? -128 : 0;
            for (int k = 0; k < w.count; k++) {
                size_t p = i / out * in + (size_t)w.inside[k];
                int v = is_signed ? ((int8_t *)x.data)[p] : ((uint8_t *)x.data)[p];
                if (v > best) best = v;
            }
            assert_int_equal(is_signed ? ((int8_t *)y.data)[i] : ((uint8_t *)y.data)[i], best);
        }
        guarded_free(&x), guarded_free(&y);
    }
}

static void average(void **state)
{
    (void)state;
    for (int round = 0; round < 400; round++) {
        hone__pool_shape s = shape_of(round);
        size_t in = product(s.in, s.rank), out = product(s.out, s.rank), nx = s.planes * in, ny = s.planes * out;
        guarded x = guarded_new(nx * 4), y = guarded_new(ny * 4), y2 = guarded_new(ny * 4);
        fill_f32(x.data, nx, -1, 1);
        hone__average_pool_f32(&s, x.data, y.data, round % 2, NULL);
        hone__average_pool_f32(&s, x.data, y2.data, round % 2, two_threads);
        assert_memory_equal(y.data, y2.data, ny * 4);
        for (size_t i = 0; i < ny; i++) {
            struct spot w = window(&s, i % out);
            double sum = 0;
            for (int k = 0; k < w.count; k++) sum += ((float *)x.data)[i / out * in + (size_t)w.inside[k]];
            int count = round % 2 ? w.padded : w.count;
            double want = count ? sum / count : 0;
            assert_true(fabs(((float *)y.data)[i] - want) <= 1e-6);
        }
        guarded_free(&x), guarded_free(&y), guarded_free(&y2);
    }
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(max_f32),
        cmocka_unit_test(max_i8),
        cmocka_unit_test(average),
    };
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
