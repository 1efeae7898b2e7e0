/* gemm_i8.c: MatMulInteger and what follows it: one row reads b once in place, more rows pack strips of b.
 * With x' = x ^ 0x80 on the operand that needs it, one side is unsigned and the other signed; zero points become
 *   acc = sum a b' - b_zp' * sum a - a_zp * sum b' + k * a_zp * b_zp'   (modulo 2^32). */
#include <math.h>
#include <string.h>

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_parts.h"
#include "kernels/tile/tile.h"

enum { MAX_PARTS = 32, PART_BYTES = 256 << 10, MIN_ITEMS = 8, MIN_WORK = 1 << 17, COPY_ROWS = 64 };

static size_t align(size_t n) { return (n + 63) & ~(size_t)63; }
static size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

struct job {
    const hone__gemm_i8_args *g;
    const hone__tile_table *tile;
    const hone__gemm_table *parts;
    int row_way; /* m == 1 and b's rows contiguous */
    int pack_a;
    const uint8_t *a;
    size_t a_rs;
    uint8_t flip;    /* of b */
    int32_t b_shift; /* what the flip adds to b and its zero points */
    size_t step, strip, strips, row_chunk, row_chunks;
    size_t pieces, piece, line;
    uint8_t *packed_a, *ones;
    uint8_t
        *ordered_a; /* rows as order_weights leaves them, where that saves work per tile; NULL: a is read in place */
    size_t ordered_rs;
    int32_t *row_sum, *row_add, *row_mul, *lane_mul; /* [m], [m], [m], [n padded] */
    float *row_scale;                                /* [m]: per-tensor scales spread out */
    char *panels;
    size_t panel_bytes;
    int32_t *partial; /* [2, pieces, line]: products, sums of b's columns */
};

/* An array of zero points read at i, or the single one, or none. */
static uint32_t zero_at(const int32_t *zp, int many, size_t i) { return zp ? (uint32_t)zp[many ? i : 0] : 0; }

static struct job plan(const hone__gemm_i8_args *g)
{
    struct job j = {.g = g, .tile = hone__tile(), .parts = hone__gemm_parts(), .a = g->a, .a_rs = g->a_rs};
    int flip = (g->a_signed != 0) == (g->b_signed != 0);
    j.flip = flip ? 0x80 : 0;
    j.b_shift = !flip ? 0 : g->b_signed ? 128 : -128;
    j.pack_a = g->a_cs != 1 && g->k > 1;
    if (j.pack_a) j.a_rs = g->k;
    j.row_way = g->m == 1 && g->b_cs == 1;
    if (j.row_way) {
        j.pieces = smaller(MAX_PARTS, g->k * g->n / PART_BYTES);
        if (!j.pieces) j.pieces = 1;
        j.piece = ceil_div(ceil_div(g->k, j.pieces), 16) * 16;
        j.pieces = j.piece ? ceil_div(g->k, j.piece) : 0;
        j.line = align(g->n * 4) / 4;
        return j;
    }
    j.step = j.tile->i8_step;
    j.strips = ceil_div(g->n, j.tile->i8_nr);
    j.strip = ceil_div(ceil_div(g->n, j.step), j.strips ? j.strips : 1) * j.step;
    j.strips = j.strip ? ceil_div(g->n, j.strip) : 0;
    size_t mr = j.tile->i8_mr, chunks = j.strips >= MIN_ITEMS ? 1 : ceil_div(MIN_ITEMS, j.strips + !j.strips);
    chunks = smaller(chunks, ceil_div(g->m * j.strip * g->k, MIN_WORK));
    chunks = smaller(chunks, ceil_div(g->m, 4 * mr));
    if (!chunks) chunks = 1;
    j.row_chunk = ceil_div(ceil_div(g->m, chunks), mr) * mr;
    j.row_chunks = ceil_div(g->m, j.row_chunk ? j.row_chunk : 1);
    j.panel_bytes = align(ceil_div(g->k, 4) * j.strip * 4) + align(HONE__TILE_MAX_LANES * 4);
    if (j.tile->ordered_bytes > 1) j.ordered_rs = ceil_div(g->k, 4) * 4 * j.tile->ordered_bytes;
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
    const hone__gemm_i8_args *g = j->g;
    size_t at = 0;
    if (j->pack_a) {
        j->packed_a = place(base, &at, g->m * g->k);
        j->a = j->packed_a;
    }
    if (j->row_way) {
        j->partial = place(base, &at, j->pieces * j->line * 4 * 2);
        return at;
    }
    j->ordered_a = j->ordered_rs ? place(base, &at, g->m * j->ordered_rs) : NULL;
    j->row_sum = place(base, &at, g->m * 4);
    j->row_add = place(base, &at, g->m * 4);
    j->row_mul = place(base, &at, g->m * 4);
    j->row_scale = place(base, &at, g->m * 4);
    j->lane_mul = place(base, &at, j->strips * j->strip * 4);
    j->ones = place(base, &at, g->k);
    j->panels = place(base, &at, (size_t)threads * j->panel_bytes);
    return at;
}

size_t hone__gemm_i8_scratch(const hone__gemm_i8_args *g, int threads)
{
    struct job j = plan(g);
    return lay_out(&j, NULL, threads);
}

/* COPY_ROWS rows of a: made contiguous where needed, summed up, and their constants. */
static void rows_of_a(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__gemm_i8_args *g = j->g;
    (void)thread;
    size_t first = begin * COPY_ROWS, last = smaller(g->m, end * COPY_ROWS);
    if (j->pack_a)
        for (size_t r = first; r < last; r++)
            for (size_t i = 0; i < g->k; i++)
                j->packed_a[r * g->k + i] = ((const uint8_t *)g->a)[r * g->a_rs + i * g->a_cs];
    if (j->row_way) return;
    j->tile->sums_i8(j->a + first * j->a_rs, j->a_rs, last - first, g->k, g->a_signed, j->row_sum + first);
    for (size_t r = first; j->ordered_a && r < last; r++)
        j->tile->order_weights(j->a + r * j->a_rs, g->k, 1, g->a_signed, j->ordered_a + r * j->ordered_rs);
    for (size_t r = first; r < last; r++) {
        uint32_t az = zero_at(g->a_zp, g->a_zp_per_row, r);
        uint32_t bz = g->b_zp_per_col ? 0 : zero_at(g->b_zp, 0, 0) + (uint32_t)j->b_shift;
        j->row_add[r] = (int32_t)((uint32_t)g->k * az * bz - bz * (uint32_t)j->row_sum[r]);
        j->row_mul[r] = (int32_t)(0 - az);
        if (g->b_zp_per_col) /* row_mul * (lane_sum - k bz) + row_sum * -bz, see lane terms */
            j->row_add[r] = 0;
        j->row_scale[r] = g->a_scale ? g->a_scale[g->a_scale_per_row ? r : 0] : 1.0f;
    }
}

/* Lane sums of the strip in `panel`, less k times the columns' zero points where those differ. */
static void lane_sums(const struct job *j, hone__tile_i8_args t, size_t first, int32_t *sums)
{
    const hone__gemm_i8_args *g = j->g;
    memset(sums, 0, HONE__TILE_MAX_LANES * 4);
    t.rows = 1;
    t.a = j->ones;
    t.row_add = t.row_mul = t.row_sum = NULL;
    t.out_i32 = sums;
    t.out_f32 = NULL;
    j->tile->i8(&t);
    if (!g->b_zp_per_col) return;
    for (size_t i = 0; i < t.lanes; i++)
        sums[i] = (int32_t)((uint32_t)sums[i] - (uint32_t)g->k * ((uint32_t)g->b_zp[first + i] + (uint32_t)j->b_shift));
}

static void pack_strip(const struct job *j, size_t first, size_t lanes, size_t width, uint8_t *panel)
{
    const hone__gemm_i8_args *g = j->g;
    const uint8_t *b = (const uint8_t *)g->b + first * g->b_cs;
    static const size_t no_tap = 0;
    if (g->b_cs == 1) {
        hone__tile_pack_args p = {b, g->b_rs, &no_tap, g->k, 1, lanes, width, j->flip, panel, width * 4};
        j->tile->pack_i8(&p);
        return;
    }
    memset(panel, 0, ceil_div(g->k, 4) * width * 4);
    for (size_t l = 0; l < lanes; l++)
        for (size_t i = 0; i < g->k; i++)
            panel[(i / 4 * width + l) * 4 + i % 4] = b[i * g->b_rs + l * g->b_cs] ^ j->flip;
}

static int late_act(const hone__epilogue *ep)
{
    return ep->act != HONE__ACT_NONE && ep->act != HONE__ACT_RELU && ep->act != HONE__ACT_CLIP;
}

static void run_rows(const struct job *j, hone__tile_i8_args *t, size_t first, size_t from, size_t to)
{
    static const size_t no_tap = 0;
    const hone__gemm_i8_args *g = j->g;
    const uint8_t *a = j->ordered_a ? j->ordered_a : j->a;
    size_t mr = t->lanes <= j->step ? j->tile->i8_mr_thin : j->tile->i8_mr;
    float lane_scale[HONE__TILE_MAX_LANES];
    if (g->b_scale && !g->b_scale_per_col)
        for (size_t i = 0; i < t->lanes; i++) lane_scale[i] = g->b_scale[0];
    if (g->b_scale) t->lane_scale = g->b_scale_per_col ? g->b_scale + first : lane_scale;
    t->clip = g->ep.act == HONE__ACT_RELU || g->ep.act == HONE__ACT_CLIP;
    t->lo = g->ep.act == HONE__ACT_CLIP ? g->ep.a : 0;
    t->hi = g->ep.act == HONE__ACT_CLIP ? g->ep.b : INFINITY;
    t->lane_bias = g->ep.bias && !g->bias_per_row ? g->ep.bias + first : NULL;
    t->a_rs = j->ordered_a ? j->ordered_rs : j->a_rs;
    t->channels = ceil_div(g->k, 4);
    t->taps = 1;
    t->tap = &no_tap;
    t->b_rs = t->width;
    for (size_t r = from; r < to; r += t->rows) {
        size_t at = r * g->c_rs + first;
        t->rows = smaller(mr, to - r);
        t->a = a + r * t->a_rs;
        t->row_add = j->row_add + r;
        t->row_mul = g->a_zp ? j->row_mul + r : NULL;
        t->row_sum = g->b_zp_per_col ? j->row_sum + r : NULL;
        t->row_scale = g->a_scale ? j->row_scale + r : NULL;
        t->row_bias = g->ep.bias && g->bias_per_row ? g->ep.bias + r : NULL;
        t->residual = g->c_f32 && g->ep.residual ? g->ep.residual + at : NULL;
        t->out_i32 = g->c_i32 ? g->c_i32 + at : NULL;
        t->out_f32 = g->c_i32 ? NULL : g->c_f32 + at;
        (j->ordered_a ? j->tile->i8_image : j->tile->i8)(t);
        for (size_t i = r; t->out_f32 && late_act(&g->ep) && i < r + t->rows; i++) {
            const float *slope = g->ep.slope ? g->ep.slope + (g->bias_per_row ? i : first) : NULL;
            hone__epilogue_row(&g->ep, NULL, slope, !g->bias_per_row, NULL, g->c_f32 + i * g->c_rs + first, t->lanes);
        }
    }
}

static void strip_items(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__gemm_i8_args *g = j->g;
    uint8_t *panel = (uint8_t *)(j->panels + (size_t)thread * j->panel_bytes);
    int32_t *sums = (int32_t *)(void *)(panel + j->panel_bytes - align(HONE__TILE_MAX_LANES * 4));
    for (size_t item = begin; item < end; item++) {
        size_t from = item % j->row_chunks * j->row_chunk, to = smaller(g->m, from + j->row_chunk);
        size_t first = item / j->row_chunks * j->strip, lanes = smaller(j->strip, g->n - first);
        size_t width = ceil_div(lanes, j->step) * j->step;
        hone__tile_i8_args t = {.lanes = lanes,
                                .k = g->k,
                                .a_rs = j->a_rs,
                                .a_unsigned = !g->a_signed,
                                .panel = panel,
                                .width = width,
                                .lane_sum = sums,
                                .out_rs = g->c_rs,
                                .lane_mul = j->lane_mul + first};
        t.keep = lanes == 64 ? ~(uint64_t)0 : ((uint64_t)1 << lanes) - 1;
        pack_strip(j, first, lanes, width, panel);
        if (g->a_zp) lane_sums(j, t, first, sums);
        run_rows(j, &t, first, from, to);
    }
}

static void row_pieces(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__gemm_i8_args *g = j->g;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        size_t from = p * j->piece, depth = smaller(j->piece, g->k - from);
        int32_t *y = j->partial + p * j->line, *sums = g->a_zp ? y + j->pieces * j->line : NULL;
        memset(y, 0, g->n * 4);
        if (sums) memset(sums, 0, g->n * 4);
        j->parts->axpy_i8(j->a + from, !g->a_signed, (const uint8_t *)g->b + from * g->b_rs, g->b_rs, j->flip, depth,
                          g->n, y, sums);
    }
}

enum { COLUMNS = 256 };

static void row_finish(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__gemm_i8_args *g = j->g;
    (void)thread;
    uint32_t az = zero_at(g->a_zp, 0, 0);
    int32_t row_sum;
    j->tile->sums_i8(j->a, g->k, 1, g->k, g->a_signed, &row_sum);
    for (size_t item = begin; item < end; item++) {
        size_t first = item * COLUMNS, n = smaller(COLUMNS, g->n - first);
        uint32_t acc[COLUMNS] = {0}, sum[COLUMNS] = {0};
        float v[COLUMNS];
        for (size_t p = 0; p < j->pieces; p++) {
            const int32_t *y = j->partial + p * j->line + first, *more = y + j->pieces * j->line;
            for (size_t i = 0; i < n; i++) acc[i] += (uint32_t)y[i];
            for (size_t i = 0; g->a_zp && i < n; i++) sum[i] += (uint32_t)more[i];
        }
        for (size_t i = 0; i < n; i++) {
            uint32_t bz = zero_at(g->b_zp, g->b_zp_per_col, first + i) + (uint32_t)j->b_shift;
            acc[i] += (uint32_t)g->k * az * bz - bz * (uint32_t)row_sum - az * sum[i];
            if (g->c_i32) g->c_i32[first + i] = (int32_t)acc[i];
            v[i] = (float)(int32_t)acc[i];
            if (g->a_scale) v[i] *= g->a_scale[0];
            if (g->b_scale) v[i] *= g->b_scale[g->b_scale_per_col ? first + i : 0];
        }
        if (g->c_i32) continue;
        size_t channel = g->bias_per_row ? 0 : first;
        hone__epilogue_row(&g->ep, g->ep.bias ? g->ep.bias + channel : NULL, g->ep.slope ? g->ep.slope + channel : NULL,
                           !g->bias_per_row, g->ep.residual ? g->ep.residual + first : NULL, v, n);
        memcpy(g->c_f32 + first, v, n * sizeof(float));
    }
}

void hone__gemm_i8(const hone__gemm_i8_args *g, void *scratch, hone__pool *pool)
{
    if (!g->m || !g->n) return;
    struct job j = plan(g);
    lay_out(&j, scratch, hone__pool_threads(pool));
    if (j.pack_a || !j.row_way) {
        size_t rows = COPY_ROWS * (g->k + 1);
        hone__pool_run(pool, ceil_div(g->m, COPY_ROWS), rows >= MIN_WORK ? 1 : MIN_WORK / rows, rows_of_a, &j);
    }
    if (g->a_zp && !j.row_way) memset(j.ones, 1, g->k);
    if (j.row_way) {
        hone__pool_run_stoppable(pool, j.pieces, 1, row_pieces, &j);
        hone__pool_run(pool, ceil_div(g->n, COLUMNS), 8, row_finish, &j);
        return;
    }
    if (g->b_zp_per_col)
        for (size_t i = 0; i < g->n; i++)
            j.lane_mul[i] = (int32_t)(0 - ((uint32_t)zero_at(g->b_zp, 1, i) + (uint32_t)j.b_shift));
    size_t work = j.row_chunk * j.strip * g->k;
    hone__pool_run_stoppable(pool, j.strips * j.row_chunks, work >= MIN_WORK ? 1 : MIN_WORK / (work + 1) + 1,
                             strip_items, &j);
}
