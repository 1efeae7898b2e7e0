/* test_conv.c: convolutions of every tier against sums in double and int64, on random shapes in guarded arrays. */
#include "kernel_test.h"

#include "kernels/conv/conv.h"

typedef struct dims {
    size_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3], in_size, out_size, taps;
} dims;

static dims dims_of(const hone__conv_shape *s)
{
    dims d = {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, 0, 0, 0};
    for (int i = 0; i < s->rank; i++) {
        int to = i + 3 - s->rank;
        d.in[to] = s->in[i], d.out[to] = s->out[i], d.kernel[to] = s->kernel[i];
        d.stride[to] = s->stride[i], d.dilation[to] = s->dilation[i], d.pad[to] = s->pad[i];
    }
    d.in_size = d.in[0] * d.in[1] * d.in[2];
    d.out_size = d.out[0] * d.out[1] * d.out[2];
    d.taps = d.kernel[0] * d.kernel[1] * d.kernel[2];
    return d;
}

/* Flat input position that output o reads through tap t; -1 = padding. */
static long source(const dims *d, size_t o, size_t t)
{
    size_t op[3] = {o / d->out[2] / d->out[1], o / d->out[2] % d->out[1], o % d->out[2]};
    size_t tp[3] = {t / d->kernel[2] / d->kernel[1], t / d->kernel[2] % d->kernel[1], t % d->kernel[2]};
    long at = 0;
    for (int i = 0; i < 3; i++) {
        long p = (long)(op[i] * d->stride[i] + tp[i] * d->dilation[i]) - (long)d->pad[i];
        if (p < 0 || p >= (long)d->in[i]) return -1;
        at = at * (long)d->in[i] + p;
    }
    return at;
}

static hone__conv_shape random_shape(void)
{
    hone__conv_shape s = {.batch = pick(1, 2), .rank = (int)pick(1, 3)};
    size_t kind = pick(0, 4), top = s.rank == 3 ? 5 : s.rank == 2 ? 14 : 90;
    s.groups = kind == 0 ? pick(1, 9) : kind == 1 ? pick(1, 3) : 1;
    s.in_c = kind == 0 ? s.groups : s.groups * pick(1, 7);
    s.out_c = s.groups * (kind == 0 ? pick(1, 2) : pick(1, 20));
    int rows3 = kind == 0 && s.rank == 2 && pick(0, 1); /* the usual depthwise kernel */
    size_t step = pick(1, 2);
    if (rows3) top = 50;
    for (int i = 0; i < s.rank; i++) {
        s.in[i] = pick(1, pick(0, 1) ? 8 : top);
        s.kernel[i] = kind == 2 ? 1 : pick(1, s.rank == 1 ? 11 : 4);
        s.stride[i] = kind == 2 && pick(0, 1) ? 1 : pick(1, 3);
        s.dilation[i] = pick(1, 2);
        s.pad[i] = pick(0, 1) ? 0 : pick(0, 3);
        if (rows3) s.kernel[i] = i == 0 ? 3 : pick(0, 1) ? 3 : s.kernel[i], s.stride[i] = step, s.dilation[i] = 1;
        size_t extent = (s.kernel[i] - 1) * s.dilation[i] + 1, room = s.in[i] + s.pad[i] + pick(0, 2);
        if (rows3 && step == 1 && pick(0, 1)) s.pad[i] = s.kernel[i] / 2, room = s.in[i] + extent - 1;
        s.out[i] = room >= extent ? (room - extent) / s.stride[i] + 1 : 1;
    }
    return s;
}

/* Sum of products and of their magnitudes. */
static double conv_at(const hone__conv_shape *s, const dims *d, const float *x, const float *w, size_t plane, size_t o,
                      double *size)
{
    size_t n = plane / s->out_c, oc = plane % s->out_c, gi = s->in_c / s->groups, go = s->out_c / s->groups;
    double sum = 0;
    *size = 0;
    for (size_t c = 0; c < gi; c++)
        for (size_t t = 0; t < d->taps; t++) {
            long at = source(d, o, t);
            if (at < 0) continue;
            double v =
                (double)x[(n * s->in_c + oc / go * gi + c) * d->in_size + (size_t)at] * w[(oc * gi + c) * d->taps + t];
            sum += v;
            *size += fabs(v);
        }
    return sum;
}

static void f32_case(int act)
{
    hone__conv_shape s = random_shape();
    dims d = dims_of(&s);
    size_t k = s.in_c / s.groups * d.taps, ny = s.batch * s.out_c * d.out_size, nx = s.batch * s.in_c * d.in_size;
    guarded x = guarded_new(nx * 4), w = guarded_new(s.out_c * k * 4), y = guarded_new(ny * 4),
            b = guarded_new(s.out_c * 4);
    guarded r = guarded_new(ny * 4), y2 = guarded_new(ny * 4);
    fill_f32(x.data, nx, -1, 1);
    fill_f32(w.data, s.out_c * k, -1, 1);
    fill_f32(b.data, s.out_c, -1, 1);
    fill_f32(r.data, ny, -1, 1);
    hone__epilogue ep = {.act = (hone__act)act, .a = act == HONE__ACT_LEAKY ? 0.25f : -0.5f, .b = 1};
    if (pick(0, 1)) ep.bias = b.data;
    if (pick(0, 3) == 0) ep.residual = r.data;
    size_t size = hone__conv_f32_scratch(&s, 2);
    void *scratch = scratch_new(size);
    hone__conv_f32(&s, x.data, w.data, &ep, y.data, scratch, NULL);
    hone__epilogue in_place = ep;
    if (ep.residual) memcpy(y2.data, r.data, ny * 4), in_place.residual = y2.data;
    hone__conv_f32(&s, x.data, w.data, &in_place, y2.data, scratch, two_threads);
    scratch_free(scratch, size);
    assert_memory_equal(y.data, y2.data, ny * 4);
    for (size_t i = 0; i < ny; i++) {
        double magnitude, v = conv_at(&s, &d, x.data, w.data, i / d.out_size, i % d.out_size, &magnitude);
        size_t oc = i / d.out_size % s.out_c;
        if (ep.bias) v += ep.bias[oc];
        if (ep.residual) v += ep.residual[i];
        double limit = ((double)k + 8) * 0x1p-24 * (magnitude + 2);
        if (act == HONE__ACT_RELU) v = v < 0 ? 0 : v;
        if (act == HONE__ACT_CLIP) v = v < -0.5 ? -0.5 : v > 1 ? 1 : v;
        if (act == HONE__ACT_LEAKY) v = v < 0 ? v * 0.25 : v;
        if (!(fabs(((float *)y.data)[i] - v) <= limit))
            fail_msg("element %zu: %.9g, expected %.9g, k %zu rank %d", i, ((float *)y.data)[i], v, k, s.rank);
    }
    guarded_free(&x), guarded_free(&w), guarded_free(&y), guarded_free(&b), guarded_free(&r), guarded_free(&y2);
}

static void f32_random(void **state)
{
    static const int acts[4] = {HONE__ACT_NONE, HONE__ACT_RELU, HONE__ACT_CLIP, HONE__ACT_LEAKY};
    (void)state;
    for (int i = 0; i < 400; i++) f32_case(acts[i % 4]);
}

static void f32_nan_stays(void **state)
{
    (void)state;
    hone__conv_shape s = {1, 1, 1, 1, 2, {5, 40}, {5, 40}, {1, 1}, {1, 1}, {1, 1}, {0, 0}};
    float x[200], y[200], w = 1;
    fill_f32(x, 200, -1, 1);
    x[7] = NAN, x[70] = INFINITY, x[199] = -INFINITY;
    hone__epilogue ep = {.act = HONE__ACT_RELU};
    void *scratch = scratch_new(hone__conv_f32_scratch(&s, 1));
    hone__conv_f32(&s, x, &w, &ep, y, scratch, NULL);
    assert_true(isnan(y[7]) && y[70] == INFINITY && y[199] == 0);
    ep = (hone__epilogue){.act = HONE__ACT_CLIP, .a = -1, .b = 6};
    hone__conv_f32(&s, x, &w, &ep, y, scratch, NULL);
    assert_true(isnan(y[7]) && y[70] == 6 && y[199] == -1);
    free(scratch);
}

static int64_t byte_at(const void *p, int is_signed, size_t i)
{
    return is_signed ? ((const int8_t *)p)[i] : ((const uint8_t *)p)[i];
}

static int64_t conv_i8_at(const hone__conv_shape *s, const dims *d, const hone__conv_i8_args *q, size_t plane, size_t o)
{
    size_t n = plane / s->out_c, oc = plane % s->out_c, gi = s->in_c / s->groups, go = s->out_c / s->groups;
    int64_t sum = 0, wz = q->w_zp ? q->w_zp[q->w_zp_count > 1 ? oc : 0] : 0;
    for (size_t c = 0; c < gi; c++)
        for (size_t t = 0; t < d->taps; t++) {
            long at = source(d, o, t);
            if (at < 0) continue;
            sum += (byte_at(q->x, q->x_signed, (n * s->in_c + oc / go * gi + c) * d->in_size + (size_t)at) - q->x_zp) *
                   (byte_at(q->w, q->w_signed, (oc * gi + c) * d->taps + t) - wz);
        }
    return sum;
}

/* The value that the fp32 part must give, in float as the contract states it. */
static float finished(const hone__conv_i8_args *q, const hone__conv_shape *s, size_t out_size, size_t i, int64_t acc)
{
    size_t oc = i / out_size % s->out_c;
    float v = (float)acc;
    if (q->scale) v *= q->scale[q->scale_count > 1 ? oc : 0];
    if (q->ep.bias) v += q->ep.bias[oc];
    if (q->ep.residual && q->y_f32) v += q->ep.residual[i];
    if (q->ep.act == HONE__ACT_RELU) v = v < 0 ? 0 : v;
    if (q->ep.act == HONE__ACT_LEAKY) v = v < 0 ? v * q->ep.a : v;
    return v;
}

static void check_i8(const hone__conv_shape *s, const dims *d, const hone__conv_i8_args *q, size_t ny)
{
    for (size_t i = 0; i < ny; i++) {
        int64_t acc = conv_i8_at(s, d, q, i / d->out_size, i % d->out_size);
        if (q->y_i32) {
            if (q->y_i32[i] != acc) fail_msg("element %zu: %d, expected %lld", i, q->y_i32[i], (long long)acc);
            continue;
        }
        float v = finished(q, s, d->out_size, i, acc);
        if (q->y_f32) {
            if (q->y_f32[i] != v) fail_msg("element %zu: %.9g, expected %.9g", i, q->y_f32[i], v);
            continue;
        }
        float r = rintf(v * q->y_scale_inv) + (float)q->y_zp, lo = q->y_signed ? -128 : 0, hi = q->y_signed ? 127 : 255;
        int64_t want = (int64_t)(r < lo ? lo : r > hi ? hi : r);
        if (byte_at(q->y_q, q->y_signed, i) != want)
            fail_msg("element %zu: %lld, expected %lld", i, (long long)byte_at(q->y_q, q->y_signed, i),
                     (long long)want);
    }
}

static void i8_case(int kind)
{
    hone__conv_shape s = random_shape();
    dims d = dims_of(&s);
    size_t k = s.in_c / s.groups * d.taps, ny = s.batch * s.out_c * d.out_size, nx = s.batch * s.in_c * d.in_size;
    size_t bytes = ny * (kind == 2 ? 1 : 4);
    guarded x = guarded_new(nx), w = guarded_new(s.out_c * k), y = guarded_new(bytes), y2 = guarded_new(bytes);
    guarded f = guarded_new(s.out_c * 12), r = guarded_new(ny * 4);
    fill_bytes(x.data, nx);
    fill_bytes(w.data, s.out_c * k);
    fill_f32(f.data, s.out_c * 2, 0.001f, 0.01f);
    fill_f32(r.data, ny, -1, 1);
    int32_t *wz = (int32_t *)f.data + s.out_c * 2;
    hone__conv_i8_args q = {.x = x.data, .x_signed = (int)pick(0, 1), .w = w.data, .w_signed = (int)pick(0, 1)};
    for (size_t i = 0; i < s.out_c; i++) wz[i] = (int32_t)pick(0, 255) - (q.w_signed ? 128 : 0);
    q.x_zp = (int32_t)pick(0, 255) - (q.x_signed ? 128 : 0);
    if (pick(0, 1)) q.w_zp = wz, q.w_zp_count = pick(0, 1) ? (int)s.out_c : 1;
    if (kind != 0 && pick(0, 3)) q.scale = f.data, q.scale_count = pick(0, 1) ? s.out_c : 1;
    if (kind != 0 && pick(0, 1)) q.ep.bias = (float *)f.data + s.out_c;
    if (kind == 1 && pick(0, 1)) q.ep.residual = r.data;
    if (kind != 0)
        q.ep.act = pick(0, 1) ? HONE__ACT_RELU : pick(0, 1) ? HONE__ACT_LEAKY : HONE__ACT_NONE, q.ep.a = 0.5f;
    q.y_signed = (int)pick(0, 1), q.y_zp = (int32_t)pick(0, 255) - (q.y_signed ? 128 : 0),
    q.y_scale_inv = uniform(0.01f, 2);
    size_t made_size = pick(0, 1) ? hone__conv_i8_made(&s) : 0, size = hone__conv_i8_scratch(&s, 2, made_size > 0);
    void *scratch = scratch_new(size), *made = made_size ? scratch_new(made_size) : NULL;
    if (made) hone__conv_i8_make(&s, q.w, q.w_signed, made);
    q.made = made;
    for (int threads = 1; threads <= 2; threads++) {
        void *out = threads == 1 ? y.data : y2.data;
        q.y_i32 = kind == 0 ? out : NULL, q.y_f32 = kind == 1 ? out : NULL, q.y_q = kind == 2 ? out : NULL;
        hone__conv_i8(&s, &q, scratch, threads == 1 ? NULL : two_threads);
        check_i8(&s, &d, &q, ny);
    }
    scratch_free(scratch, size);
    if (made) scratch_free(made, made_size);
    assert_memory_equal(y.data, y2.data, bytes);
    guarded_free(&x), guarded_free(&w), guarded_free(&y), guarded_free(&y2), guarded_free(&f), guarded_free(&r);
}

static void i8_random(void **state)
{
    (void)state;
    for (int i = 0; i < 900; i++) i8_case(i % 3);
}

static void transpose_case(void)
{
    hone__conv_shape s = random_shape();
    for (int i = 0; i < s.rank; i++) { /* out from in */
        if (s.in[i] > 20) s.in[i] = 20;
        size_t full = (s.in[i] - 1) * s.stride[i] + (s.kernel[i] - 1) * s.dilation[i] + 1 + pick(0, s.stride[i] - 1);
        s.out[i] = full > 2 * s.pad[i] ? full - 2 * s.pad[i] : 1;
    }
    dims d = dims_of(&s);
    size_t gi = s.in_c / s.groups, go = s.out_c / s.groups, nx = s.batch * s.in_c * d.in_size;
    size_t ny = s.batch * s.out_c * d.out_size, nw = s.in_c * go * d.taps;
    guarded x = guarded_new(nx * 4), w = guarded_new(nw * 4), y = guarded_new(ny * 4), y2 = guarded_new(ny * 4);
    double *want = calloc(ny, 8);
    fill_f32(x.data, nx, -1, 1);
    fill_f32(w.data, nw, -1, 1);
    float bias[200];
    fill_f32(bias, s.out_c, -1, 1);
    hone__epilogue ep = {.bias = bias, .act = HONE__ACT_RELU};
    dims swapped = d; /* the forward convolution that reads `in` where this one writes `out` */
    memcpy(swapped.in, d.out, sizeof d.in);
    memcpy(swapped.out, d.in, sizeof d.in);
    for (size_t p = 0; p < s.batch * s.in_c; p++)
        for (size_t o = 0; o < d.in_size; o++)
            for (size_t t = 0; t < d.taps; t++) {
                long at = source(&swapped, o, t);
                size_t n = p / s.in_c, ic = p % s.in_c;
                for (size_t c = 0; at >= 0 && c < go; c++)
                    want[(n * s.out_c + ic / gi * go + c) * d.out_size + (size_t)at] +=
                        (double)((float *)x.data)[p * d.in_size + o] * ((float *)w.data)[(ic * go + c) * d.taps + t];
            }
    size_t size = hone__conv_transpose_f32_scratch(&s, 2);
    void *scratch = scratch_new(size);
    hone__conv_transpose_f32(&s, x.data, w.data, &ep, y.data, scratch, NULL);
    hone__conv_transpose_f32(&s, x.data, w.data, &ep, y2.data, scratch, two_threads);
    scratch_free(scratch, size);
    assert_memory_equal(y.data, y2.data, ny * 4);
    for (size_t i = 0; i < ny; i++) {
        double v = want[i] + bias[i / d.out_size % s.out_c];
        v = v < 0 ? 0 : v;
        assert_true(fabs(((float *)y.data)[i] - v) <=
                    ((double)(gi * d.taps) + 8) * 0x1p-24 * ((double)(gi * d.taps) + 2));
    }
    free(want);
    guarded_free(&x), guarded_free(&w), guarded_free(&y), guarded_free(&y2);
}

static void transpose_random(void **state)
{
    (void)state;
    for (int i = 0; i < 120; i++) transpose_case();
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(f32_random),
        cmocka_unit_test(f32_nan_stays),
        cmocka_unit_test(i8_random),
        cmocka_unit_test(transpose_random),
    };
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
