/* nbits.c: block-quantised weights times activations quantised on the way. Every number of rows runs the same row
 * product, so a row's bits do not depend on its neighbours. */
#include "kernels/nbits/nbits.h"

#include <string.h>

#include "kernels/nbits/nbits_parts.h"
#include "kernels/quantize/quantize.h"

enum { WEIGHT_ROWS = 16 /* rows of w per item */, MIN_WORK = 1 << 17 };

static size_t align(size_t n) { return (n + 63) & ~(size_t)63; }

struct job {
    const hone__nbits_args *g;
    const hone__nbits_table *t;
    size_t block, blocks, blob, row; /* values per block, blocks per row, bytes per block, bytes per row */
    size_t chunks, values, padded;   /* per row of x: chunks, values in one, values of q in natural order */
    size_t zero_bytes;               /* of a row of zero points */
    hone__nbits_x *x;                /* [m] */
    int8_t *natural;                 /* per thread: padded */
    int32_t *zeros;                  /* per thread: blocks */
    char *rows;                      /* [m]: q, sums, scales */
    size_t row_bytes, sums_at, scales_at, block_sums_at;
};

static struct job plan(const hone__nbits_args *g)
{
    struct job j = {.g = g, .t = hone__nbits_table_of(hone__cpu_tier())};
    size_t bits = (size_t)g->bits;
    j.block = g->block ? g->block : g->k ? g->k : 1;
    j.blocks = (g->k + j.block - 1) / j.block;
    j.blob = (j.block * bits + 7) / 8;
    j.row = j.blocks * j.blob;
    j.values = j.t->chunk * 8 / bits;
    j.chunks = (j.row + j.t->chunk - 1) / j.t->chunk;
    j.padded = j.chunks * j.values;
    j.zero_bytes = (j.blocks * bits + 7) / 8;
    j.sums_at = align(j.padded);
    j.scales_at = j.sums_at + align(j.chunks * j.t->chunk);
    j.block_sums_at = j.scales_at + align(j.blocks * sizeof(float));
    j.row_bytes = j.block_sums_at + align(j.blocks * sizeof(int32_t));
    return j;
}

static void *place(char *base, size_t *at, size_t n)
{
    char *here = base ? base + *at : NULL;
    *at += align(n);
    return here;
}

static size_t lay_out(struct job *j, char *base, int threads)
{
    size_t at = 0;
    j->x = place(base, &at, j->g->m * sizeof *j->x);
    j->natural = place(base, &at, (size_t)threads * align(j->padded + j->block));
    j->zeros = place(base, &at, (size_t)threads * align(j->blocks * sizeof(int32_t)));
    j->rows = place(base, &at, j->g->m * j->row_bytes);
    return at;
}

size_t hone__nbits_scratch(const hone__nbits_args *g, int threads)
{
    struct job j = plan(g);
    return lay_out(&j, NULL, threads);
}

/* Whether blocks have zero points of their own. Two's complement weights become unsigned with zero point 128. */
static int uses_zeros(const hone__nbits_args *g) { return g->zero_points && !(g->bits == 8 && g->w_signed); }

static void quantize_rows(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    int8_t *natural = j->natural + (size_t)thread * align(j->padded + j->block);
    for (size_t i = begin; i < end; i++) {
        char *row = j->rows + i * j->row_bytes;
        float *scales = (float *)(void *)(row + j->scales_at);
        int32_t *block_sums = (int32_t *)(void *)(row + j->block_sums_at);
        size_t used = j->blocks * j->block;
        hone__quantize_row_s8(j->g->x + i * j->g->x_rs, j->g->k, j->block, natural, scales, block_sums);
        if (used < j->padded) memset(natural + used, 0, j->padded - used);
        int32_t *sums = (int32_t *)(void *)(row + j->sums_at);
        j->t->arrange(natural, j->chunks, j->g->bits, (int8_t *)row, sums);
        for (size_t b = 0; !uses_zeros(j->g) && b < j->blocks; b++)
            block_sums[b] = (int32_t)((uint32_t)block_sums[b] << (j->g->bits - 1));
        j->x[i] = (hone__nbits_x){(int8_t *)row, sums, block_sums, scales};
    }
}

static void read_zeros(const struct job *j, size_t n, int32_t *zeros)
{
    const uint8_t *z = j->g->zero_points + n * j->zero_bytes;
    for (size_t b = 0; b < j->blocks; b++) zeros[b] = j->g->bits == 8 ? z[b] : b & 1 ? z[b / 2] >> 4 : z[b / 2] & 15;
}

static void finish(const hone__nbits_args *g, size_t i, size_t n, size_t count, float *v)
{
    const float *residual = g->ep.residual ? g->ep.residual + i * g->y_rs + n : NULL;
    hone__epilogue_row(&g->ep, g->ep.bias ? g->ep.bias + n : NULL, g->ep.slope ? g->ep.slope + n : NULL, 1, residual, v,
                       count);
    memcpy(g->y + i * g->y_rs + n, v, count * sizeof *v);
}

/* `count` <= WEIGHT_ROWS rows of w from n on, times every row of x. */
static void weight_rows(const struct job *j, size_t n, size_t count, int32_t *zeros)
{
    const hone__nbits_args *g = j->g;
    int is_signed = g->bits == 8 && g->w_signed;
    hone__nbits_row r = {.bits = g->bits,
                         .bytes = j->row,
                         .block_bytes = j->blob,
                         .blocks = j->blocks,
                         .flip = is_signed ? 0x80 : 0,
                         .zero = g->bits == 8 ? 128 : 8};
    if (uses_zeros(g)) r.zeros = zeros;
    for (size_t i = 0; i < g->m; i += r.rows) {
        float out[HONE__NBITS_ROWS][WEIGHT_ROWS], one[HONE__NBITS_ROWS];
        r.rows = g->m - i < HONE__NBITS_ROWS ? g->m - i : HONE__NBITS_ROWS;
        r.x = j->x + i;
        r.out = one;
        for (size_t k = 0; k < count; k++) {
            r.w = g->w + (n + k) * j->row;
            r.scales = g->scales + (n + k) * j->blocks;
            if (r.zeros) read_zeros(j, n + k, zeros);
            j->t->row(&r);
            for (size_t m = 0; m < r.rows; m++) out[m][k] = one[m];
        }
        for (size_t m = 0; m < r.rows; m++) finish(g, i + m, n, count, out[m]);
    }
}

static void weight_items(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    int32_t *zeros = (int32_t *)(void *)((char *)j->zeros + (size_t)thread * align(j->blocks * sizeof(int32_t)));
    for (size_t item = begin; item < end; item++) {
        size_t n = item * WEIGHT_ROWS, left = j->g->n - n;
        weight_rows(j, n, left < WEIGHT_ROWS ? left : WEIGHT_ROWS, zeros);
    }
}

void hone__nbits(const hone__nbits_args *g, void *scratch, hone__pool *pool)
{
    struct job j = plan(g);
    lay_out(&j, scratch, hone__pool_threads(pool));
    if (!g->m || !g->n) return;
    hone__pool_run(pool, g->m, 4096 / (g->k + 1) + 1, quantize_rows, &j);
    size_t work = WEIGHT_ROWS * g->m * g->k, items = (g->n + WEIGHT_ROWS - 1) / WEIGHT_ROWS;
    hone__pool_run_stoppable(pool, items, work >= MIN_WORK ? 1 : MIN_WORK / (work + 1) + 1, weight_items, &j);
}

/* fp32 activations: the reference for the integer path, one value after the other. */
static float weight(const hone__nbits_args *g, const uint8_t *blob, size_t i)
{
    if (g->bits == 4) return i & 1 ? blob[i / 2] >> 4 : blob[i / 2] & 15;
    if (g->bits == 2) return blob[i / 4] >> i % 4 * 2 & 3;
    return g->w_signed ? (int8_t)blob[i] : blob[i];
}

static float zero_point(const struct job *j, size_t n, size_t b)
{
    const hone__nbits_args *g = j->g;
    if (g->bits == 8 && g->w_signed) return 0;
    if (g->float_zeros) return g->float_zeros[n * j->blocks + b];
    if (!g->zero_points) return (float)(1 << (g->bits - 1));
    size_t bit = b * (size_t)g->bits;
    return (float)(g->zero_points[n * j->zero_bytes + bit / 8] >> bit % 8 & ((1 << g->bits) - 1));
}

static float float_dot(const struct job *j, size_t n, const float *x)
{
    const hone__nbits_args *g = j->g;
    float sum = 0;
    for (size_t b = 0; b < j->blocks; b++) {
        const uint8_t *blob = g->w + n * j->row + b * j->blob;
        size_t from = b * j->block, count = g->k - from < j->block ? g->k - from : j->block;
        float zero = zero_point(j, n, b), scale = g->scales[n * j->blocks + b], part = 0;
        for (size_t k = 0; k < count && !g->groups; k++) part += x[from + k] * (weight(g, blob, k) - zero);
        for (size_t k = 0; k < count && g->groups; k++) {
            size_t own = (size_t)g->groups[from + k];
            part += x[from + k] * (weight(g, blob, k) - zero_point(j, n, own)) * g->scales[n * j->blocks + own];
        }
        sum += g->groups ? part : part * scale;
    }
    return sum;
}

static void float_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const struct job *j = ctx;
    (void)thread;
    for (size_t n = begin; n < end; n++)
        for (size_t i = 0; i < j->g->m; i++) {
            float sum = float_dot(j, n, j->g->x + i * j->g->x_rs);
            finish(j->g, i, n, 1, &sum);
        }
}

void hone__nbits_float(const hone__nbits_args *g, hone__pool *pool)
{
    struct job j = plan(g);
    hone__pool_run_stoppable(pool, g->n, 16, float_rows, &j);
}
