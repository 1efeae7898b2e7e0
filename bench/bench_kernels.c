/* bench_kernels.c: the layers of three small networks, kernel by kernel: time, rate and the sum per network.
 * usage: bench_kernels [--threads N] [--repeat N] [FILTER] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/attention/attend.h"
#include "kernels/conv/conv.h"
#include "kernels/gemm/gemm.h"
#include "kernels/nbits/nbits.h"
#include "kernels/pool/pool.h"
#include "tools/measure/peaks.h"

typedef enum kind { CONV, POOL, DENSE, MEAN } kind;

typedef struct layer {
    kind kind;
    size_t in_c, out_c, h, w, kernel, stride, groups, pad; /* POOL: kernel = stride; DENSE: in_c -> out_c */
} layer;

typedef struct net {
    const char *name;
    int count;
    layer layers[40];
} net;

/* clang-format off */
static const net nets[] = {
    {"audio-cnn", 8, {
        {CONV, 1, 32, 128, 130, 3, 1, 1, 1}, {POOL, 32, 32, 128, 130, 2, 2, 1, 0},
        {CONV, 32, 64, 64, 65, 3, 1, 1, 1}, {POOL, 64, 64, 64, 65, 2, 2, 1, 0},
        {CONV, 64, 128, 32, 32, 3, 1, 1, 1}, {POOL, 128, 128, 32, 32, 4, 4, 1, 0},
        {DENSE, 8192, 500}, {DENSE, 500, 10}}},
    {"resnet-8", 10, {
        {CONV, 3, 16, 32, 32, 3, 1, 1, 1}, {CONV, 16, 16, 32, 32, 3, 1, 1, 1}, {CONV, 16, 16, 32, 32, 3, 1, 1, 1},
        {CONV, 16, 32, 32, 32, 3, 2, 1, 0}, {CONV, 32, 32, 16, 16, 3, 1, 1, 1}, {CONV, 16, 32, 32, 32, 1, 2, 1, 0},
        {CONV, 32, 64, 16, 16, 3, 2, 1, 0}, {CONV, 64, 64, 8, 8, 3, 1, 1, 1}, {CONV, 32, 64, 16, 16, 1, 2, 1, 0},
        {DENSE, 64, 10}}},
    {"mobilenet-0.25", 28, {
        {CONV, 3, 8, 96, 96, 3, 2, 1, 0},
        {CONV, 8, 8, 48, 48, 3, 1, 8, 1}, {CONV, 8, 16, 48, 48, 1, 1, 1, 0},
        {CONV, 16, 16, 48, 48, 3, 2, 16, 0}, {CONV, 16, 32, 24, 24, 1, 1, 1, 0},
        {CONV, 32, 32, 24, 24, 3, 1, 32, 1}, {CONV, 32, 32, 24, 24, 1, 1, 1, 0},
        {CONV, 32, 32, 24, 24, 3, 2, 32, 0}, {CONV, 32, 64, 12, 12, 1, 1, 1, 0},
        {CONV, 64, 64, 12, 12, 3, 1, 64, 1}, {CONV, 64, 64, 12, 12, 1, 1, 1, 0},
        {CONV, 64, 64, 12, 12, 3, 2, 64, 0}, {CONV, 64, 128, 6, 6, 1, 1, 1, 0},
        {CONV, 128, 128, 6, 6, 3, 1, 128, 1}, {CONV, 128, 128, 6, 6, 1, 1, 1, 0},
        {CONV, 128, 128, 6, 6, 3, 1, 128, 1}, {CONV, 128, 128, 6, 6, 1, 1, 1, 0},
        {CONV, 128, 128, 6, 6, 3, 1, 128, 1}, {CONV, 128, 128, 6, 6, 1, 1, 1, 0},
        {CONV, 128, 128, 6, 6, 3, 1, 128, 1}, {CONV, 128, 128, 6, 6, 1, 1, 1, 0},
        {CONV, 128, 128, 6, 6, 3, 1, 128, 1}, {CONV, 128, 128, 6, 6, 1, 1, 1, 0},
        {CONV, 128, 128, 6, 6, 3, 2, 128, 0}, {CONV, 128, 256, 3, 3, 1, 1, 1, 0},
        {CONV, 256, 256, 3, 3, 3, 1, 256, 1}, {CONV, 256, 256, 3, 3, 1, 1, 1, 0},
        {DENSE, 256, 2}}},
};
/* clang-format on */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct run {
    const layer *l;
    int int8;
    hone__conv_shape conv;
    hone__pool_shape pool_shape;
    float *x, *w, *y, *bias;
    void *scratch, *made;
    size_t scratch_bytes;
    hone__pool *pool;
};

static void *buffer(size_t bytes)
{
    unsigned char *p = hone__aligned_malloc(bytes + 64);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    for (size_t i = 0; i < bytes; i++) p[i] = (unsigned char)(i % 61); /* small positive floats, small integers */
    return p;
}

static hone__gemm_f32_args dense_f32(const struct run *r)
{
    hone__gemm_f32_args g = {.m = 1,
                             .n = r->l->out_c,
                             .k = r->l->in_c,
                             .a = r->x,
                             .a_rs = r->l->in_c,
                             .a_cs = 1,
                             .b = r->w,
                             .b_rs = r->l->out_c,
                             .b_cs = 1,
                             .c = r->y,
                             .c_rs = r->l->out_c,
                             .alpha = 1,
                             .ep = {.bias = r->bias}};
    return g;
}

static hone__gemm_i8_args dense_i8(const struct run *r)
{
    hone__gemm_i8_args g = {.m = 1,
                            .n = r->l->out_c,
                            .k = r->l->in_c,
                            .a = r->x,
                            .a_rs = r->l->in_c,
                            .a_cs = 1,
                            .b = r->w,
                            .b_signed = 1,
                            .b_rs = r->l->out_c,
                            .b_cs = 1,
                            .c_f32 = r->y,
                            .c_rs = r->l->out_c,
                            .b_scale = r->bias,
                            .ep = {.bias = r->bias}};
    return g;
}

static void once(struct run *r)
{
    hone__epilogue ep = {.bias = r->bias, .act = HONE__ACT_RELU};
    if (r->l->kind == DENSE && r->int8) {
        hone__gemm_i8_args g = dense_i8(r);
        hone__gemm_i8(&g, r->scratch, r->pool);
    } else if (r->l->kind == DENSE) {
        hone__gemm_f32_args g = dense_f32(r);
        hone__gemm_f32(&g, r->scratch, r->pool);
    } else if (r->l->kind == POOL && r->int8) {
        hone__max_pool_u8(&r->pool_shape, (uint8_t *)r->x, (uint8_t *)r->y, r->pool);
    } else if (r->l->kind == POOL) {
        hone__max_pool_f32(&r->pool_shape, r->x, r->y, NULL, 0, r->pool);
    } else if (r->int8) {
        hone__conv_i8_args q = {.x = r->x,
                                .x_zp = 3,
                                .w = r->w,
                                .w_signed = 1,
                                .made = r->made,
                                .y_q = r->y,
                                .y_zp = 5,
                                .y_scale_inv = 0.01f,
                                .scale = r->bias,
                                .scale_count = r->l->out_c,
                                .ep = ep};
        hone__conv_i8(&r->conv, &q, r->scratch, r->pool);
    } else {
        hone__conv_f32(&r->conv, r->x, r->w, &ep, r->y, r->scratch, r->pool);
    }
}

/* Output side: "same" padding; with stride 2 the padding is at the end. */
static size_t out_side(size_t in, size_t stride) { return (in + stride - 1) / stride; }

static void set_up(struct run *r, int threads)
{
    const layer *l = r->l;
    size_t oh = l->kind == POOL ? l->h / l->stride : out_side(l->h, l->stride ? l->stride : 1);
    size_t ow = l->kind == POOL ? l->w / l->stride : out_side(l->w, l->stride ? l->stride : 1);
    r->conv = (hone__conv_shape){1,
                                 l->groups,
                                 l->in_c,
                                 l->out_c,
                                 2,
                                 {l->h, l->w},
                                 {oh, ow},
                                 {l->kernel, l->kernel},
                                 {l->stride, l->stride},
                                 {1, 1},
                                 {l->pad, l->pad}};
    r->pool_shape = (hone__pool_shape){
        l->in_c, 2, {l->h, l->w}, {oh, ow}, {l->kernel, l->kernel}, {l->stride, l->stride}, {1, 1}, {0, 0}, {0, 0}};
    int dense = l->kind == DENSE;
    r->x = buffer((dense ? l->in_c : l->in_c * l->h * l->w) * 4);
    r->w = buffer((dense ? l->in_c * l->out_c : l->out_c * l->in_c * l->kernel * l->kernel) * 4);
    r->y = buffer((dense ? l->out_c : l->out_c * oh * ow) * 4);
    r->bias = buffer(l->out_c * 4);
    size_t made = r->int8 && !dense && l->kind != POOL ? hone__conv_i8_made(&r->conv) : 0;
    if (made) hone__conv_i8_make(&r->conv, r->w, 1, r->made = buffer(made));
    hone__gemm_f32_args gf = dense_f32(r);
    hone__gemm_i8_args gi = dense_i8(r);
    r->scratch_bytes = l->kind == POOL    ? 0
                       : dense && r->int8 ? hone__gemm_i8_scratch(&gi, threads)
                       : dense            ? hone__gemm_f32_scratch(&gf, threads)
                       : r->int8          ? hone__conv_i8_scratch(&r->conv, threads, r->made != NULL)
                                          : hone__conv_f32_scratch(&r->conv, threads);
    r->scratch = buffer(r->scratch_bytes);
}

static double work(const layer *l)
{
    if (l->kind == DENSE) return 2.0 * (double)(l->in_c * l->out_c);
    size_t oh = out_side(l->h, l->stride), ow = out_side(l->w, l->stride);
    if (l->kind == POOL) return (double)(l->in_c * l->h * l->w);
    return 2.0 * (double)(oh * ow * l->out_c * l->in_c / l->groups * l->kernel * l->kernel);
}

/* The layers run one after the other as in the network, so that each finds the caches as it would there. */
static void run_net(const net *n, int int8, hone__pool *pool, int repeat, double peak)
{
    struct run runs[40];
    double *times = buffer(sizeof(double) * (size_t)repeat * 41);
    memset(runs, 0, sizeof runs);
    for (int i = 0; i < n->count; i++) {
        runs[i].l = &n->layers[i], runs[i].int8 = int8, runs[i].pool = pool;
        set_up(&runs[i], hone__pool_threads(pool));
    }
    for (int k = -3; k < repeat; k++) {
        double start = now(), last = start;
        for (int i = 0; i < n->count; i++) {
            once(&runs[i]);
            double t = now();
            if (k >= 0) times[i * repeat + k] = t - last;
            last = t;
        }
        if (k >= 0) times[n->count * repeat + k] = last - start;
    }
    printf("%s, %s, %d thread%s\n", n->name, int8 ? "int8" : "fp32", hone__pool_threads(pool),
           hone__pool_threads(pool) > 1 ? "s" : "");
    for (int i = 0; i <= n->count; i++) {
        qsort(times + i * repeat, (size_t)repeat, sizeof(double), by_value);
        double median = times[i * repeat + repeat / 2], least = times[i * repeat];
        if (i == n->count) {
            printf("  %-34s median %9.1f us  min %9.1f us\n", "whole network", median * 1e6, least * 1e6);
            break;
        }
        const layer *l = &n->layers[i];
        char what[64];
        if (l->kind == DENSE)
            snprintf(what, sizeof what, "dense %zu -> %zu", l->in_c, l->out_c);
        else if (l->kind == POOL)
            snprintf(what, sizeof what, "max pool %zu, %zux%zux%zu", l->kernel, l->in_c, l->h, l->w);
        else
            snprintf(what, sizeof what, "%s %zu/%zu %zu -> %zu, %zux%zu", l->groups > 1 ? "depthwise" : "conv",
                     l->kernel, l->stride, l->in_c, l->out_c, l->h, l->w);
        printf("  %-34s median %9.1f us  min %9.1f us  %8.1f G%s/s", what, median * 1e6, least * 1e6,
               work(l) / least * 1e-9,
               l->kind == POOL ? "elements"
               : int8          ? "OP"
                               : "FLOP");
        if (l->kind == CONV)
            printf("  %5.1f %% of peak\n", work(l) / least / peak * 100);
        else if (l->kind == DENSE)
            printf("  %5.1f GB/s\n", work(l) / 2 * (int8 ? 1 : 4) / least * 1e-9);
        else
            printf("\n");
    }
    for (int i = 0; i < n->count; i++) {
        hone__aligned_free(runs[i].x), hone__aligned_free(runs[i].w), hone__aligned_free(runs[i].y);
        hone__aligned_free(runs[i].bias), hone__aligned_free(runs[i].scratch), hone__aligned_free(runs[i].made);
    }
    hone__aligned_free(times);
}

/* y = x . W^T for `m` rows, W [n, k] in blocks: bytes of weights and scales read a second. */
static void run_linear(size_t m, size_t n, size_t k, int bits, size_t block, hone__pool *pool, int repeat, double read)
{
    size_t blocks = (k + block - 1) / block, bytes = n * blocks * (block * (size_t)bits / 8 + 4);
    uint8_t *w = buffer(n * blocks * block * (size_t)bits / 8);
    float *scales = buffer(n * blocks * 4), *x = buffer(m * k * 4), *y = buffer(m * n * 4);
    double *times = buffer((size_t)repeat * sizeof *times);
    for (size_t i = 0; i < m * k; i++) x[i] = (float)(i % 17) - 8;
    for (size_t i = 0; i < n * blocks; i++) scales[i] = 0.01f;
    hone__nbits_args g = {.m = m,
                          .n = n,
                          .k = k,
                          .bits = bits,
                          .block = block,
                          .w = w,
                          .scales = scales,
                          .x = x,
                          .x_rs = k,
                          .y = y,
                          .y_rs = n};
    void *scratch = buffer(hone__nbits_scratch(&g, hone__pool_threads(pool)));
    for (int i = 0; i < repeat; i++) {
        double t = now();
        hone__nbits(&g, scratch, pool);
        times[i] = now() - t;
    }
    qsort(times, (size_t)repeat, sizeof *times, by_value);
    double least = times[0];
    printf("  %d bits, block %3zu, %zu x %zu x %zu   median %9.1f us  min %9.1f us  %6.1f GB/s  %5.1f %% of reading\n",
           bits, block, m, n, k, times[repeat / 2] * 1e6, least * 1e6, (double)bytes / least * 1e-9,
           (double)bytes / least / read * 100);
    hone__aligned_free(w), hone__aligned_free(scales), hone__aligned_free(x), hone__aligned_free(y);
    hone__aligned_free(times), hone__aligned_free(scratch);
}

static void run_linears(hone__pool *pool, int repeat)
{
    size_t set = (size_t)64 << 20;
    char *data = buffer(set);
    double read = measure_read(data, set, pool);
    hone__aligned_free(data);
    printf("linear, reading 64 MB: %.1f GB/s\n", read * 1e-9);
    for (size_t m = 1; m <= 8; m *= 2) {
        run_linear(m, 8192, 8192, 8, 128, pool, repeat, read);
        run_linear(m, 8192, 8192, 4, 32, pool, repeat, read);
    }
}

/* `rows` queries over as many keys in `heads` heads of 64, as in an encoder. */
static void run_attend(size_t heads, size_t rows, hone__pool *pool, int repeat, double peak)
{
    enum { SIZE = 64 };
    size_t width = heads * SIZE, n = rows * width;
    float *q = buffer(n * 4), *k = buffer(n * 4), *v = buffer(n * 4), *y = buffer(n * 4);
    double *times = buffer((size_t)repeat * sizeof *times), least;
    for (size_t i = 0; i < n; i++) {
        q[i] = (float)(i * 31 % 101) * 0.02f - 1;
        k[i] = (float)(i * 37 % 103) * 0.02f - 1;
        v[i] = (float)(i * 41 % 107) * 0.02f - 1;
    }
    hone__attend_args a = {.batch = 1,
                           .heads = heads,
                           .kv_heads = heads,
                           .queries = rows,
                           .size = SIZE,
                           .q = q,
                           .q_h = SIZE,
                           .q_r = width,
                           .k = k,
                           .v = v,
                           .kind = HONE__KV_F32,
                           .kv_h = rows * SIZE,
                           .keys = rows,
                           .scale = 0.125f,
                           .y = y,
                           .y_h = SIZE,
                           .y_r = width};
    void *scratch = buffer(hone__attend_scratch(&a, hone__pool_threads(pool)));
    for (int i = 0; i < repeat; i++) {
        double t = now();
        hone__attend(&a, scratch, pool);
        times[i] = now() - t;
    }
    qsort(times, (size_t)repeat, sizeof *times, by_value);
    least = times[0];
    double rate = 4.0 * (double)(rows * n) / least;
    printf("  %2zu heads, %zu rows   median %9.1f us  min %9.1f us  %6.1f GFLOP/s  %5.1f %% of peak\n", heads, rows,
           times[repeat / 2] * 1e6, least * 1e6, rate * 1e-9, rate / peak * 100);
    hone__aligned_free(q), hone__aligned_free(k), hone__aligned_free(v), hone__aligned_free(y);
    hone__aligned_free(times), hone__aligned_free(scratch);
}

static void run_attends(hone__pool *pool, int repeat, double peak)
{
    printf("attention, fp32\n");
    run_attend(6, 1500, pool, repeat, peak);
    run_attend(12, 1500, pool, repeat, peak);
    run_attend(8, 128, pool, repeat, peak);
}

int main(int argc, char **argv)
{
    int threads = hone__cpu_cores(), repeat = 100;
    const char *filter = "";
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--threads") && i + 1 < argc)
            threads = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--repeat") && i + 1 < argc)
            repeat = atoi(argv[++i]);
        else
            filter = argv[i];
    }
    hone__pool *pool;
    if (repeat < 1 || hone__pool_create(threads, &pool) != HONE_OK) {
        fprintf(stderr, "usage: bench_kernels [--threads N] [--repeat N] [FILTER]\n");
        return 2;
    }
    printf("%s, tier %s\n", hone__cpu_name(), hone__tier_name(hone__cpu_tier()));
    hone__pool_enter(pool);
    double peaks[2] = {peak_of("f32", hone__cpu_tier(), pool), peak_of("int8", hone__cpu_tier(), pool)};
    printf("peak %.1f GFLOP/s, %.1f GOP/s\n", peaks[0] * 1e-9, peaks[1] * 1e-9);
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        for (int int8 = 0; int8 <= 1; int8++)
            if (strstr(nets[i].name, filter)) run_net(&nets[i], int8, pool, repeat, peaks[int8]);
    if (strstr("linear", filter)) run_linears(pool, repeat / 5 + 1);
    if (strstr("attention", filter)) run_attends(pool, repeat / 5 + 1, peaks[0]);
    hone__pool_leave(pool);
    hone__pool_destroy(pool);
    return 0;
}
