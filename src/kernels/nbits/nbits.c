/* nbits.c: block-quantised weights times activations. */
#include "kernels/nbits/nbits.h"

#include <string.h>

#include "kernels/quantize/quantize.h"

typedef struct layout {
    size_t block, blocks, blob, row; /* values per block, blocks per row, bytes per block, bytes per row */
    size_t padded;                   /* blocks * block */
} layout;

static layout layout_of(const hone__nbits_args *g)
{
    layout l;
    l.block = g->block ? g->block : g->k ? g->k : 1;
    l.blocks = (g->k + l.block - 1) / l.block;
    l.blob = (l.block * (size_t)g->bits + 7) / 8;
    l.row = l.blocks * l.blob;
    l.padded = l.blocks * l.block;
    return l;
}

static int weight(const hone__nbits_args *g, const uint8_t *blob, size_t i)
{
    if (g->bits == 4) return i & 1 ? blob[i / 2] >> 4 : blob[i / 2] & 15;
    return g->w_signed ? (int8_t)blob[i] : blob[i];
}

static int zero_point(const hone__nbits_args *g, const layout *l, size_t row, size_t b)
{
    if (g->bits == 8 && g->w_signed) return 0;
    if (!g->zero_points) return 1 << (g->bits - 1);
    const uint8_t *z = g->zero_points + row * ((l->blocks * (size_t)g->bits + 7) / 8);
    return g->bits == 8 ? z[b] : b & 1 ? z[b / 2] >> 4 : z[b / 2] & 15;
}

static size_t align(size_t n) { return (n + 63) & ~(size_t)63; }

/* scratch: q [m, padded] int8, scales [m, blocks] */
size_t hone__nbits_scratch(const hone__nbits_args *g, int threads)
{
    layout l = layout_of(g);
    (void)threads;
    return align(g->m * l.padded) + align(g->m * l.blocks * sizeof(float));
}

size_t hone__nbits_float_scratch(const hone__nbits_args *g, int threads)
{
    (void)g, (void)threads;
    return 0;
}

struct job {
    const hone__nbits_args *g;
    layout l;
    int8_t *q;
    float *scales;
};

static void quantize_rows(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        hone__quantize_row_s8(j->g->x + i * j->g->x_rs, j->g->k, j->l.block, j->q + i * j->l.padded,
                              j->scales + i * j->l.blocks, NULL);
}

static void finish(const hone__nbits_args *g, size_t i, size_t n, float v)
{
    hone__epilogue_row(&g->ep, g->ep.bias ? g->ep.bias + n : NULL, g->ep.slope ? g->ep.slope + n : NULL, 0,
                       g->ep.residual ? g->ep.residual + i * g->y_rs + n : NULL, &v, 1);
    g->y[i * g->y_rs + n] = v;
}

static float dot_row(const struct job *j, size_t i, size_t n)
{
    const hone__nbits_args *g = j->g;
    float sum = 0;
    for (size_t b = 0; b < j->l.blocks; b++) {
        const uint8_t *w = g->w + n * j->l.row + b * j->l.blob;
        const int8_t *q = j->q + i * j->l.padded + b * j->l.block;
        int zp = zero_point(g, &j->l, n, b);
        size_t count = g->k - b * j->l.block < j->l.block ? g->k - b * j->l.block : j->l.block;
        int32_t acc = 0;
        for (size_t k = 0; k < count; k++) acc += (weight(g, w, k) - zp) * q[k];
        sum += (float)acc * (j->scales[i * j->l.blocks + b] * g->scales[n * j->l.blocks + b]);
    }
    return sum;
}

static void int_rows(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    (void)thread;
    for (size_t n = begin; n < end; n++)
        for (size_t i = 0; i < j->g->m; i++) finish(j->g, i, n, dot_row(j, i, n));
}

void hone__nbits(const hone__nbits_args *g, void *scratch, hone__pool *pool)
{
    struct job j = {g, layout_of(g), NULL, NULL};
    j.q = scratch;
    j.scales = (float *)((char *)scratch + align(g->m * j.l.padded));
    hone__pool_run(pool, g->m, 1, quantize_rows, &j);
    hone__pool_run(pool, g->n, 16, int_rows, &j);
}

static void float_rows(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__nbits_args *g = j->g;
    (void)thread;
    for (size_t n = begin; n < end; n++)
        for (size_t i = 0; i < g->m; i++) {
            float sum = 0;
            for (size_t k = 0; k < g->k; k++) {
                size_t b = k / j->l.block;
                float w = (float)(weight(g, g->w + n * j->l.row + b * j->l.blob, k % j->l.block) -
                                  zero_point(g, &j->l, n, b));
                sum += g->x[i * g->x_rs + k] * (w * g->scales[n * j->l.blocks + b]);
            }
            finish(g, i, n, sum);
        }
}

void hone__nbits_float(const hone__nbits_args *g, void *scratch, hone__pool *pool)
{
    struct job j = {g, layout_of(g), NULL, NULL};
    (void)scratch;
    hone__pool_run(pool, g->n, 16, float_rows, &j);
}
