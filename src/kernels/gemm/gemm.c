/* gemm.c: fp32 products: one row or few (b read once, in pieces of its rows or as dot products; or in place), many rows
 * (strips of b packed once for all rows). */
#include "kernels/gemm/gemm.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/gemm/gemm_parts.h"
#include "kernels/tile/tile.h"

enum {
    MAX_PARTS = 8,              /* pieces of k for one row; sets the rounding, so it is fixed */
    PART_BYTES = 128 << 10,     /* of b in a piece, at least */
    MOST_STREAMED = 8,          /* rows of a that go over b's long rows together */
    STREAMED_BYTES = 256 << 10, /* of b, at least: smaller ones stay in the cache */
    STREAMED_DEPTH = 8,         /* rows of b for one row of a after the other */
    IN_PLACE_ROWS = 6,          /* up to here b's rows are read where they are */
    DOT_ROWS = 4,               /* up to here rows of [n, k] are read where they are */
    DEPTH = 1024,               /* k per packed strip */
    MIN_ITEMS = 8,
    MIN_WORK = 1 << 16
};

static size_t align(size_t n) { return (n + 63) & ~(size_t)63; }
static size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

struct job {
    const hone__gemm_f32_args *g;
    const hone__tile_table *tile;
    const hone__gemm_table *parts;
    enum { ROW, DOT, STRIPS } way;
    int pack_a, pack_b;
    int pairs; /* STRIPS of bfloat16 pairs: a and b are packed as such, each pair in the place of a float */
    size_t k;  /* floats or pairs */
    const float *a;
    size_t a_rs;
    size_t step, strip, strips, row_chunk, row_chunks; /* STRIPS */
    size_t pieces, piece;                              /* ROW: of k */
    size_t line;                                       /* ROW: floats per partial row */
    float *packed_a, *panels, *partial;
    size_t panel_floats;
};

static struct job plan(const hone__gemm_f32_args *g)
{
    struct job j = {.g = g, .tile = hone__tile(), .parts = hone__gemm_parts(), .a = g->a, .a_rs = g->a_rs, .k = g->k};
    size_t bytes = g->k * g->n * sizeof(float);
    bool streams = g->m <= MOST_STREAMED && g->n >= HONE__GEMM_LONG_ROW && bytes >= STREAMED_BYTES;
    if ((g->m == 1 || streams) && g->b_cs == 1) {
        j.way = ROW;
        j.pieces = smaller(MAX_PARTS, bytes / PART_BYTES);
        if (!j.pieces) j.pieces = 1;
        j.piece = ceil_div(ceil_div(g->k, j.pieces), 8) * 8;
        j.pieces = j.piece ? ceil_div(g->k, j.piece) : 0;
        j.line = align(g->n * sizeof(float)) / sizeof(float);
        return j;
    }
    j.pack_a = g->a_cs != 1 && g->k > 1;
    j.way = g->m <= DOT_ROWS && g->b_rs == 1 && g->b_cs != 1 ? DOT : STRIPS;
    j.pairs = j.way == STRIPS && g->m > 1 && g->b16 && g->b_bf16 && j.tile->bf16;
    if (j.pairs) j.pack_a = 1, j.k = ceil_div(g->k, 2);
    j.pack_b = g->b16 || !(g->b_cs == 1 && g->m <= IN_PLACE_ROWS);
    j.step = j.tile->f32_step;
    j.strips = ceil_div(g->n, j.tile->f32_nr);
    j.strip = ceil_div(ceil_div(g->n, j.step), j.strips ? j.strips : 1) * j.step;
    j.strips = j.strip ? ceil_div(g->n, j.strip) : 0;
    size_t mr = j.tile->f32_mr, chunks = j.strips >= MIN_ITEMS ? 1 : ceil_div(MIN_ITEMS, j.strips + !j.strips);
    chunks = smaller(chunks, ceil_div(g->m * j.strip * g->k, MIN_WORK));
    chunks = smaller(chunks, ceil_div(g->m, 4 * mr));
    if (!chunks) chunks = 1;
    j.row_chunk = ceil_div(ceil_div(g->m, chunks), mr) * mr;
    j.row_chunks = ceil_div(g->m, j.row_chunk ? j.row_chunk : 1);
    j.panel_floats = align(smaller(j.k, DEPTH) * j.strip * sizeof(float)) / sizeof(float);
    if (j.pack_a) j.a_rs = j.k;
    return j;
}

/* Sets the pointers into scratch; bytes needed. */
static size_t lay_out(struct job *j, char *base, int threads)
{
    const hone__gemm_f32_args *g = j->g;
    size_t at = 0;
    if (j->way == ROW) {
        j->partial = (float *)base;
        return j->pieces * g->m * j->line * sizeof(float);
    }
    j->packed_a = (float *)base;
    if (j->pack_a) at += align(g->m * j->k * sizeof(float));
    j->panels = base ? (float *)(base + at) : NULL;
    if (j->way == STRIPS && j->pack_b) at += (size_t)threads * j->panel_floats * sizeof(float);
    if (j->pack_a) j->a = j->packed_a;
    return at;
}

size_t hone__gemm_f32_scratch(const hone__gemm_f32_args *g, int threads)
{
    struct job j = plan(g);
    return lay_out(&j, NULL, threads);
}

/* 64 rows of a per item, copied so that k is contiguous. */
enum { COPY_ROWS = 64 };

/* One row of a as bfloat16 pairs. */
static void copy_pairs(const struct job *j, size_t row)
{
    const hone__gemm_f32_args *g = j->g;
    const float *from = g->a + row * g->a_rs;
    uint16_t *to = (uint16_t *)(void *)(j->packed_a + row * j->k);
    if (g->a_cs == 1)
        j->tile->narrow_bf16(from, g->k, to);
    else
        for (size_t i = 0; i < g->k; i++) j->tile->narrow_bf16(from + i * g->a_cs, 1, to + i);
    if (g->k % 2) to[g->k] = 0;
}

static void copy_a(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__gemm_f32_args *g = j->g;
    (void)thread;
    for (size_t item = begin; item < end; item++) {
        size_t from = item * COPY_ROWS, rows = smaller(COPY_ROWS, g->m - from);
        for (size_t r = 0; j->pairs && r < rows; r++) copy_pairs(j, from + r);
        if (j->pairs) continue;
        float *to = j->packed_a + from * g->k;
        if (g->a_rs == 1) {
            j->parts->transpose_32((const uint32_t *)(const void *)(g->a + from), g->a_cs, g->k, rows,
                                   (uint32_t *)(void *)to, g->k);
            continue;
        }
        for (size_t r = 0; r < rows; r++)
            for (size_t i = 0; i < g->k; i++) to[r * g->k + i] = g->a[(from + r) * g->a_rs + i * g->a_cs];
    }
}

/* pack_strip from half precision. */
static void pack_strip_16(const struct job *j, size_t k0, size_t depth, size_t first, size_t lanes, float *to)
{
    enum { BLOCK = 64 };
    const hone__gemm_f32_args *g = j->g;
    const uint16_t *b = g->b16 + k0 * g->b_rs + first * g->b_cs;
    float wide[HONE__TILE_MAX_LANES * BLOCK];
    if (g->b_cs == 1) {
        for (size_t i = 0; i < depth; i++) j->parts->widen_16(b + i * g->b_rs, g->b_bf16, lanes, to + i * j->strip);
        return;
    }
    for (size_t at = 0; at < depth; at += BLOCK) {
        size_t n = smaller(BLOCK, depth - at);
        for (size_t l = 0; l < lanes; l++) {
            const uint16_t *from = b + at * g->b_rs + l * g->b_cs;
            if (g->b_rs == 1)
                j->parts->widen_16(from, g->b_bf16, n, wide + l * BLOCK);
            else
                for (size_t i = 0; i < n; i++)
                    j->parts->widen_16(from + i * g->b_rs, g->b_bf16, 1, wide + l * BLOCK + i);
        }
        j->parts->transpose_32((const uint32_t *)(const void *)wide, BLOCK, lanes, n,
                               (uint32_t *)(void *)(to + at * j->strip), j->strip);
    }
}

/* The same as pairs: k0 and depth count those. */
static void pack_strip_pairs(const struct job *j, size_t k0, size_t depth, size_t first, size_t lanes, float *to)
{
    const hone__gemm_f32_args *g = j->g;
    const uint16_t *b = g->b16 + first * g->b_cs;
    uint32_t *out = (uint32_t *)(void *)to;
    size_t whole = smaller(g->k / 2, k0 + depth) - k0; /* pairs of which both numbers exist */
    for (size_t i = 0; i < depth; i++, out += j->strip) {
        const uint16_t *even = b + 2 * (k0 + i) * g->b_rs, *odd = i < whole ? even + g->b_rs : NULL;
        if (g->b_cs == 1)
            j->tile->pair_rows(even, odd, lanes, out);
        else if (g->b_rs != 1 || i >= whole)
            for (size_t l = 0; l < lanes; l++)
                j->tile->pair_rows(even + l * g->b_cs, odd ? odd + l * g->b_cs : NULL, 1, out + l);
    }
    if (g->b_rs != 1 || g->b_cs == 1) return;
    for (size_t l = 0; l < lanes; l++) /* pairs lie side by side in their lane's row, at any even address */
        for (size_t i = 0; i < whole; i++) memcpy(to + i * j->strip + l, b + l * g->b_cs + 2 * (k0 + i), sizeof *to);
}

/* to[i][strip] = b[k0 + i][first + lane] */
static void pack_strip(const struct job *j, size_t k0, size_t depth, size_t first, size_t lanes, float *to)
{
    const hone__gemm_f32_args *g = j->g;
    const float *b = g->b + k0 * g->b_rs + first * g->b_cs;
    size_t width = j->strip;
    if (g->b_rs == 1 && g->b_cs != 1) {
        j->parts->transpose_32((const uint32_t *)(const void *)b, g->b_cs, lanes, depth, (uint32_t *)(void *)to, width);
    } else {
        for (size_t i = 0; i < depth; i++) {
            const float *row = b + i * g->b_rs;
            if (g->b_cs == 1)
                memcpy(to + i * width, row, lanes * sizeof(float));
            else
                for (size_t l = 0; l < lanes; l++) to[i * width + l] = row[l * g->b_cs];
        }
    }
}

static void set_clip(const hone__epilogue *ep, hone__tile_f32_args *t)
{
    t->clip = ep->act == HONE__ACT_RELU || ep->act == HONE__ACT_CLIP;
    t->lo = ep->act == HONE__ACT_CLIP ? ep->a : 0;
    t->hi = ep->act == HONE__ACT_CLIP ? ep->b : INFINITY;
}

/* Whether the activation is left for after the tile. */
static int late_act(const hone__epilogue *ep)
{
    return ep->act != HONE__ACT_NONE && ep->act != HONE__ACT_RELU && ep->act != HONE__ACT_CLIP;
}

static void activate(const hone__gemm_f32_args *g, size_t row, size_t rows, size_t first, size_t lanes)
{
    hone__epilogue act = g->ep;
    for (size_t r = row; r < row + rows; r++) {
        const float *slope = !g->ep.slope ? NULL : g->ep.slope + (g->bias_per_row ? r : first);
        hone__epilogue_row(&act, NULL, slope, !g->bias_per_row, NULL, g->c + r * g->c_rs + first, lanes);
    }
}

struct strip {
    size_t k0, depth, first, lanes;
    const float *b;
    size_t b_rs;
    int begins, ends; /* the first, the last piece of k */
};

static void run_strip(const struct job *j, const struct strip *s, size_t from, size_t to)
{
    const hone__gemm_f32_args *g = j->g;
    static const size_t no_tap = 0;
    int in_c = g->ep.residual == g->c; /* the residual is the output: it must survive the first store */
    hone__tile_f32_args t = {.lanes = s->lanes,
                             .channels = s->depth,
                             .taps = 1,
                             .a_rs = j->a_rs,
                             .b = s->b,
                             .b_rs = s->b_rs,
                             .tap = &no_tap,
                             .out_rs = g->c_rs,
                             .alpha = g->alpha};
    t.keep = s->lanes == 64 ? ~(uint64_t)0 : ((uint64_t)1 << s->lanes) - 1;
    t.accumulate = !s->begins || in_c;
    size_t mr = s->lanes <= j->step ? j->tile->f32_mr_thin : j->tile->f32_mr;
    if (s->ends) {
        set_clip(&g->ep, &t);
        if (g->ep.bias && !g->bias_per_row) t.lane_bias = g->ep.bias + s->first;
    }
    for (size_t r = from; r < to; r += t.rows) {
        t.rows = smaller(mr, to - r);
        t.a = j->a + r * j->a_rs + s->k0;
        t.out = g->c + r * g->c_rs + s->first;
        t.row_bias = s->ends && g->ep.bias && g->bias_per_row ? g->ep.bias + r : NULL;
        t.residual = s->ends && g->ep.residual && !in_c ? g->ep.residual + r * g->c_rs + s->first : NULL;
        (j->pairs ? j->tile->bf16 : j->tile->f32)(&t);
        if (s->ends && late_act(&g->ep)) activate(g, r, t.rows, s->first, s->lanes);
    }
}

static void strip_items(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__gemm_f32_args *g = j->g;
    float *panel = j->panels ? j->panels + (size_t)thread * j->panel_floats : NULL;
    for (size_t item = begin; item < end; item++) {
        size_t chunk = item % j->row_chunks, from = chunk * j->row_chunk, to = smaller(g->m, from + j->row_chunk);
        struct strip s = {.first = item / j->row_chunks * j->strip};
        s.lanes = smaller(j->strip, g->n - s.first);
        for (size_t k0 = 0; k0 == 0 || k0 < j->k; k0 += DEPTH) {
            s.k0 = k0;
            s.depth = smaller(DEPTH, j->k - k0);
            s.begins = k0 == 0;
            s.ends = k0 + s.depth >= j->k;
            s.b = j->pack_b ? panel : g->b + k0 * g->b_rs + s.first;
            s.b_rs = j->pack_b ? j->strip : g->b_rs;
            if (j->pack_b)
                (j->pairs ? pack_strip_pairs
                 : g->b16 ? pack_strip_16
                          : pack_strip)(j, k0, s.depth, s.first, s.lanes, panel);
            run_strip(j, &s, from, to);
            if (s.ends) break;
        }
    }
}

enum { DOT_BLOCK = 4 };

static void dot_items(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__gemm_f32_args *g = j->g;
    (void)thread;
    for (size_t item = begin; item < end; item++) {
        size_t first = item * DOT_BLOCK, rows = smaller(DOT_BLOCK, g->n - first);
        for (size_t i = 0; i < g->m; i++) {
            float v[DOT_BLOCK], *c = g->c + i * g->c_rs + first;
            const float *residual = g->ep.residual ? g->ep.residual + i * g->c_rs + first : NULL;
            size_t channel = g->bias_per_row ? i : first;
            const float *a = j->a + i * j->a_rs;
            if (g->b16)
                j->parts->dot_16(a, g->b16 + first * g->b_cs, g->b_bf16, g->b_cs, g->k, rows, v);
            else
                j->parts->dot_f32(a, g->b + first * g->b_cs, g->b_cs, g->k, rows, v);
            for (size_t r = 0; r < rows; r++) v[r] *= g->alpha;
            hone__epilogue_row(&g->ep, g->ep.bias ? g->ep.bias + channel : NULL,
                               g->ep.slope ? g->ep.slope + channel : NULL, !g->bias_per_row, residual, v, rows);
            memcpy(c, v, rows * sizeof(float));
        }
    }
}

/* Rows [from, from + depth) of b for every row of a: what the first one has read is at hand for the others. */
static void row_piece(const struct job *j, size_t from, size_t depth, float *y)
{
    const hone__gemm_f32_args *g = j->g;
    for (size_t i = 0; i < g->m; i++) {
        const float *a = g->a + i * g->a_rs + from * g->a_cs;
        if (g->b16)
            j->parts->axpy_16(a, g->a_cs, g->b16 + from * g->b_rs, g->b_bf16, g->b_rs, depth, g->n, i > 0,
                              y + i * j->line);
        else
            j->parts->axpy_f32(a, g->a_cs, g->b + from * g->b_rs, g->b_rs, depth, g->n, i > 0, y + i * j->line);
    }
}

static void row_pieces(void *ctx, size_t begin, size_t end, int thread)
{
    const struct job *j = ctx;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        size_t from = p * j->piece, to = smaller(from + j->piece, j->g->k);
        size_t step = j->g->m > 1 ? STREAMED_DEPTH : j->piece;
        float *y = j->partial + p * j->g->m * j->line;
        for (size_t i = 0; i < j->g->m; i++) memset(y + i * j->line, 0, j->g->n * sizeof(float));
        for (size_t k = from; k < to; k += step) row_piece(j, k, smaller(step, to - k), y);
    }
}

/* Columns of row i: the pieces added in ascending order, then the epilogue. */
static void row_sum(const struct job *j, size_t i)
{
    const hone__gemm_f32_args *g = j->g;
    const float *residual = g->ep.residual ? g->ep.residual + i * g->c_rs : NULL;
    float block[256];
    for (size_t at = 0; at < g->n; at += 256) {
        size_t count = smaller(256, g->n - at), channel = g->bias_per_row ? i : at;
        memset(block, 0, sizeof block);
        for (size_t p = 0; p < j->pieces; p++) {
            const float *from = j->partial + (p * g->m + i) * j->line + at;
            for (size_t c = 0; c < count; c++) block[c] += from[c];
        }
        for (size_t c = 0; c < count; c++) block[c] *= g->alpha;
        hone__epilogue_row(&g->ep, g->ep.bias ? g->ep.bias + channel : NULL, g->ep.slope ? g->ep.slope + channel : NULL,
                           !g->bias_per_row, residual ? residual + at : NULL, block, count);
        memcpy(g->c + i * g->c_rs + at, block, count * sizeof(float));
    }
}

void hone__gemm_f32(const hone__gemm_f32_args *g, void *scratch, hone__pool *pool)
{
    if (!g->m || !g->n) return;
    struct job j = plan(g);
    lay_out(&j, scratch, hone__pool_threads(pool));
    if (j.way == ROW) {
        hone__pool_run_stoppable(pool, j.pieces, 1, row_pieces, &j);
        for (size_t i = 0; i < g->m; i++) row_sum(&j, i);
        return;
    }
    if (j.pack_a) hone__pool_run(pool, ceil_div(g->m, COPY_ROWS), 1, copy_a, &j);
    if (j.way == DOT) {
        size_t work = g->m * g->k * DOT_BLOCK;
        hone__pool_run_stoppable(pool, ceil_div(g->n, DOT_BLOCK), MIN_WORK / (work + 1) + 1, dot_items, &j);
        return;
    }
    size_t work = j.row_chunk * j.strip * g->k;
    hone__pool_run_stoppable(pool, j.strips * j.row_chunks, work >= MIN_WORK ? 1 : MIN_WORK / (work + 1) + 1,
                             strip_items, &j);
}
