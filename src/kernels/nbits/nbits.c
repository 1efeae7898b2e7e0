/* nbits.c: block-quantised weights times activations quantised on the way. Tiles sum every row in the same order, so a
 * row's bits do not depend on its neighbours. */
#include "kernels/nbits/nbits.h"

#include <string.h>

#include "kernels/nbits/nbits_parts.h"
#include "kernels/nbits/nbits_wide.h"
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
    int32_t *zeros;                  /* per thread: [HONE__NBITS_WEIGHT_ROWS, blocks] */
    char *rows;                      /* [m]: q, and behind it what hone__nbits_x points at */
    size_t row_bytes, starts_at, scales_at, block_starts_at, lane_scales_at;
    size_t zeros_bytes; /* of one thread */
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
    j.starts_at = align(j.padded);
    j.scales_at = j.starts_at + align(j.chunks * j.t->chunk);
    j.block_starts_at = j.scales_at + align(j.blocks * sizeof(float));
    j.lane_scales_at = j.block_starts_at + align(j.blocks * sizeof(int32_t));
    j.row_bytes = j.lane_scales_at + (j.blob < j.t->chunk ? align(j.chunks * j.t->chunk) : 0);
    j.zeros_bytes = align(HONE__NBITS_WEIGHT_ROWS * j.blocks * sizeof(int32_t));
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
    j->zeros = place(base, &at, (size_t)threads * j->zeros_bytes);
    j->rows = place(base, &at, j->g->m * j->row_bytes);
    return at;
}

size_t hone__nbits_scratch(const hone__nbits_args *g, int threads)
{
    if (hone__nbits_is_wide(g)) return hone__nbits_wide_scratch(g, threads);
    struct job j = plan(g);
    return lay_out(&j, NULL, threads);
}

/* Whether blocks have zero points of their own. Two's complement weights become unsigned with zero point 128. */
static int uses_zeros(const hone__nbits_args *g) { return g->zero_points && !(g->bits == 8 && g->w_signed); }

/* Sums become what takes a zero point that is the same everywhere out of the products. */
static void take_out_zero(int32_t *sums, size_t n, int bits)
{
    for (size_t i = 0; i < n; i++) sums[i] = (int32_t)(0 - ((uint32_t)sums[i] << (bits - 1)));
}

/* Each block's scale in all of its lanes. */
static void spread_scales(const struct job *j, const float *scales, float *to)
{
    size_t lanes = j->blob / sizeof(float), all = j->chunks * j->t->chunk / sizeof(float);
    for (size_t b = 0; b < j->blocks; b++)
        for (size_t i = 0; i < lanes; i++) to[b * lanes + i] = scales[b];
    for (size_t i = j->blocks * lanes; i < all; i++) to[i] = 0;
}

static void quantize_rows(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    int8_t *natural = j->natural + (size_t)thread * align(j->padded + j->block);
    for (size_t i = begin; i < end; i++) {
        char *row = j->rows + i * j->row_bytes;
        float *scales = (float *)(void *)(row + j->scales_at), *lanes = (float *)(void *)(row + j->lane_scales_at);
        int32_t *block_starts = (int32_t *)(void *)(row + j->block_starts_at);
        int32_t *starts = (int32_t *)(void *)(row + j->starts_at);
        size_t used = j->blocks * j->block;
        hone__quantize_row_s8(j->g->x + i * j->g->x_rs, j->g->k, j->block, natural, scales, block_starts);
        if (used < j->padded) memset(natural + used, 0, j->padded - used);
        j->t->arrange(natural, j->chunks, j->g->bits, (int8_t *)row, starts);
        if (!uses_zeros(j->g)) {
            take_out_zero(block_starts, j->blocks, j->g->bits);
            take_out_zero(starts, j->chunks * j->t->chunk / sizeof(int32_t), j->g->bits);
        }
        if (j->blob < j->t->chunk) spread_scales(j, scales, lanes);
        j->x[i] = (hone__nbits_x){(int8_t *)row, starts, block_starts, scales, lanes};
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
    enum { AT_ONCE = HONE__NBITS_WEIGHT_ROWS };
    const hone__nbits_args *g = j->g;
    hone__nbits_tile t = {.bits = g->bits,
                          .bytes = j->row,
                          .block_bytes = j->blob,
                          .blocks = j->blocks,
                          .flip = g->bits == 8 && g->w_signed ? 0x80 : 0};
    if (uses_zeros(g)) t.zeros = zeros;
    for (size_t i = 0; i < g->m; i += t.rows) {
        float all[HONE__NBITS_ROWS][WEIGHT_ROWS], out[HONE__NBITS_ROWS * AT_ONCE];
        t.rows = g->m - i < j->t->rows ? g->m - i : j->t->rows;
        t.x = j->x + i;
        t.out = out;
        for (size_t k = 0, rows; k < count; k += rows) {
            rows = count - k < AT_ONCE ? 1 : AT_ONCE;
            t.w = g->w + (n + k) * j->row;
            t.w_rs = rows > 1 ? j->row : 0;
            t.scales = g->scales + (n + k) * j->blocks;
            t.block_rs = rows > 1 ? j->blocks : 0;
            for (size_t r = 0; t.zeros && r < rows; r++) read_zeros(j, n + k + r, zeros + r * j->blocks);
            j->t->tile(&t);
            for (size_t m = 0; m < t.rows; m++) memcpy(&all[m][k], &out[m * AT_ONCE], rows * sizeof(float));
        }
        for (size_t m = 0; m < t.rows; m++) finish(g, i + m, n, count, all[m]);
    }
}

static void weight_items(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    int32_t *zeros = (int32_t *)(void *)((char *)j->zeros + (size_t)thread * j->zeros_bytes);
    for (size_t item = begin; item < end; item++) {
        size_t n = item * WEIGHT_ROWS, left = j->g->n - n;
        weight_rows(j, n, left < WEIGHT_ROWS ? left : WEIGHT_ROWS, zeros);
    }
}

/* Items at a time: enough work for a loop to pay, and a long run of weights where there are runs enough, because what a
 * thread fetches ahead should be its own. */
static size_t pieces_of(const struct job *j, size_t items)
{
    enum { RUN = 1 << 16 /* bytes */, LEAST_RUNS = 8 };
    size_t work = WEIGHT_ROWS * j->g->m * j->g->k, least = work >= MIN_WORK ? 1 : MIN_WORK / (work + 1) + 1;
    size_t run = RUN / (WEIGHT_ROWS * j->row + 1) + 1;
    if (run > items / LEAST_RUNS) run = items / LEAST_RUNS;
    return run > least ? run : least;
}

void hone__nbits(const hone__nbits_args *g, void *scratch, hone__pool *pool)
{
    if (!g->m || !g->n) return;
    if (hone__nbits_is_wide(g)) {
        hone__nbits_wide(g, scratch, pool);
        return;
    }
    struct job j = plan(g);
    lay_out(&j, scratch, hone__pool_threads(pool));
    hone__pool_run(pool, g->m, 4096 / (g->k + 1) + 1, quantize_rows, &j);
    size_t items = (g->n + WEIGHT_ROWS - 1) / WEIGHT_ROWS;
    hone__pool_run_stoppable(pool, items, pieces_of(&j, items), weight_items, &j);
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
