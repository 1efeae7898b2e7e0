/* nbits_wide.c: strips of weights, unpacked to bytes as the int8 tiles read them, times many rows of int8 activations,
 * block by block: a block's exact sums are scaled and added in fp32 in the order of nbits_parts.h's tiles. */
#include "kernels/nbits/nbits_wide.h"

#include <string.h>

#include "kernels/gemm/gemm_parts.h"
#include "kernels/nbits/nbits_parts.h"
#include "kernels/quantize/quantize.h"
#include "kernels/tile/tile.h"

enum { FEWEST_ROWS = 12, MIN_ITEMS = 8, MIN_WORK = 1 << 17, UNPACK = 16 /* lanes */ };

static size_t align(size_t n) { return (n + 63) & ~(size_t)63; }
static size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

typedef struct job {
    const hone__nbits_args *g;
    const hone__tile_table *tile;
    const hone__gemm_table *gemm;
    size_t block, blocks, blob, row; /* values per block, blocks per row, bytes per block, bytes per row */
    size_t depth;                    /* values of a row of q and of the panel: whole blocks, a multiple of four */
    size_t strip, strips, row_chunk, row_chunks;
    int8_t *q;       /* [m, depth] */
    float *scales;   /* [blocks, m] of q */
    int32_t *starts; /* [blocks, m]: minus zero point times the sum of a block of q; with zeros: that sum */
    char *own;       /* per thread: what `space` lays out */
    size_t own_bytes;
} job;

/* What a thread works in. */
typedef struct space {
    uint8_t *panel; /* [depth / 4, width, 4] */
    uint8_t *rows;  /* [UNPACK, depth]: a few lanes unpacked; or [blocks] of a row, being quantised */
    float *scales;  /* [blocks, width] */
    int32_t *zeros; /* [blocks, width]: minus the zero points */
    float *sums;    /* [rows of a tile, width] */
} space;

static bool has_zeros(const hone__nbits_args *g) { return g->zero_points && !(g->bits == 8 && g->w_signed); }

static size_t space_bytes(const job *j, space *s, char *base)
{
    size_t at = 0, scale_bytes = align(j->blocks * j->strip * sizeof(float));
    size_t row_bytes = UNPACK * j->depth, block_bytes = j->blocks * (sizeof(float) + sizeof(int32_t));
    const size_t bytes[] = {align(j->depth * j->strip), align(row_bytes > block_bytes ? row_bytes : block_bytes),
                            scale_bytes, has_zeros(j->g) ? scale_bytes : 0,
                            align(j->tile->i8_mr * j->strip * sizeof(float))};
    char *part[5];
    for (int i = 0; i < 5; i++) {
        part[i] = base ? base + at : NULL;
        at += bytes[i];
    }
    *s = (space){(void *)part[0], (void *)part[1], (void *)part[2], (void *)part[3], (void *)part[4]};
    return at;
}

static job plan(const hone__nbits_args *g)
{
    job j = {.g = g, .tile = hone__tile(), .gemm = hone__gemm_parts()};
    space s;
    j.block = g->block ? g->block : g->k ? g->k : 1;
    j.blocks = ceil_div(g->k, j.block);
    j.blob = ceil_div(j.block * (size_t)g->bits, 8);
    j.row = j.blocks * j.blob;
    j.depth = ceil_div(j.blocks * j.block, 4) * 4;
    j.strips = ceil_div(g->n, j.tile->i8_nr);
    j.strip = ceil_div(ceil_div(g->n, j.tile->i8_step), j.strips ? j.strips : 1) * j.tile->i8_step;
    j.strips = j.strip ? ceil_div(g->n, j.strip) : 0;
    size_t mr = j.tile->i8_mr, chunks = j.strips >= MIN_ITEMS ? 1 : ceil_div(MIN_ITEMS, j.strips + !j.strips);
    chunks = smaller(chunks, ceil_div(g->m, 8 * mr));
    j.row_chunk = ceil_div(ceil_div(g->m, chunks ? chunks : 1), mr) * mr;
    j.row_chunks = ceil_div(g->m, j.row_chunk ? j.row_chunk : 1);
    j.own_bytes = space_bytes(&j, &s, NULL);
    return j;
}

/* Blocks that share a chunk are summed side by side by nbits_parts.h's tiles, which are as fast with many rows. */
bool hone__nbits_is_wide(const hone__nbits_args *g)
{
    size_t block = g->block ? g->block : g->k;
    return g->m >= FEWEST_ROWS && g->bits != 2 &&
           (block >= g->k || block * (size_t)g->bits / 8 >= hone__nbits_table_of(hone__cpu_tier())->chunk);
}

static size_t lay_out(job *j, char *base, int threads)
{
    size_t m = j->g->m, per_block = align(j->blocks * m * sizeof(float)), at = align(m * j->depth);
    j->q = (int8_t *)base;
    j->scales = base ? (float *)(void *)(base + at) : NULL;
    j->starts = base ? (int32_t *)(void *)(base + at + per_block) : NULL;
    at += 2 * per_block;
    j->own = base ? base + at : NULL;
    return at + (size_t)threads * j->own_bytes;
}

size_t hone__nbits_wide_scratch(const hone__nbits_args *g, int threads)
{
    job j = plan(g);
    return lay_out(&j, NULL, threads);
}

static space space_of(const job *j, int thread)
{
    space s;
    space_bytes(j, &s, j->own + (size_t)thread * j->own_bytes);
    return s;
}

static void quantize_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    const hone__nbits_args *g = j->g;
    space own = space_of(j, thread);
    float *scales = (float *)(void *)own.rows;
    int32_t *sums = (int32_t *)(void *)(scales + j->blocks);
    for (size_t i = begin; i < end; i++) {
        size_t used = j->blocks * j->block;
        int8_t *q = j->q + i * j->depth;
        hone__quantize_row_s8(g->x + i * g->x_rs, g->k, j->block, q, scales, sums);
        memset(q + used, 0, j->depth - used);
        for (size_t b = 0; b < j->blocks; b++) {
            j->scales[b * g->m + i] = scales[b];
            uint32_t sum = (uint32_t)sums[b];
            j->starts[b * g->m + i] = (int32_t)(has_zeros(g) ? sum : 0 - (sum << (g->bits - 1)));
        }
    }
}

/* One row of weights as unsigned bytes. */
static void unpack_row(const job *j, size_t n, uint8_t *to)
{
    const uint8_t *w = j->g->w + n * j->row;
    if (j->g->bits == 8) {
        memcpy(to, w, j->row);
        if (!j->g->w_signed) return;
        size_t i = 0;
        for (uint64_t v; i + 8 <= j->row; i += 8) {
            memcpy(&v, to + i, 8);
            v ^= 0x8080808080808080;
            memcpy(to + i, &v, 8);
        }
        for (; i < j->row; i++) to[i] ^= 0x80;
    } else {
        size_t pairs = smaller(j->row, j->depth / 2), i = 0;
        for (; i + 4 <= pairs; i += 4) { /* eight values at a time, on little-endian machines */
            const uint64_t low = 0x000f000f000f000f;
            uint32_t four;
            memcpy(&four, w + i, 4);
            uint64_t v = (four | (uint64_t)four << 16) & 0x0000ffff0000ffff;
            v = (v | v << 8) & 0x00ff00ff00ff00ff;
            v = (v & low) | (v >> 4 & low) << 8;
            memcpy(to + 2 * i, &v, 8);
        }
        for (; i < pairs; i++) {
            to[2 * i] = w[i] & 15;
            to[2 * i + 1] = w[i] >> 4;
        }
    }
}

/* Lanes [first, first + lanes) of a strip that is `width` wide: weights, scales and zero points. Lanes beyond hold what
 * came last: they are never stored. */
static void unpack_strip(const job *j, size_t first, size_t lanes, size_t width, const space *own)
{
    const hone__nbits_args *g = j->g;
    size_t words = j->depth / 4, zero_bytes = ceil_div(j->blocks * (size_t)g->bits, 8);
    for (size_t l = 0; l < lanes; l += UNPACK) {
        size_t count = smaller(UNPACK, lanes - l);
        for (size_t i = 0; i < count; i++) unpack_row(j, first + l + i, own->rows + i * j->depth);
        j->gemm->transpose_32((const uint32_t *)(const void *)own->rows, words, count, words,
                              (uint32_t *)(void *)own->panel + l, width);
    }
    j->gemm->transpose_32((const uint32_t *)(const void *)(g->scales + first * j->blocks), j->blocks, lanes, j->blocks,
                          (uint32_t *)(void *)own->scales, width);
    for (size_t l = 0; has_zeros(g) && l < lanes; l++) {
        const uint8_t *z = g->zero_points + (first + l) * zero_bytes;
        for (size_t b = 0; b < j->blocks; b++)
            own->zeros[b * width + l] = -(g->bits == 8 ? z[b] : b & 1 ? z[b / 2] >> 4 : z[b / 2] & 15);
    }
}

static void finish(const job *j, size_t i, size_t n, size_t count, float *v)
{
    const hone__nbits_args *g = j->g;
    const float *residual = g->ep.residual ? g->ep.residual + i * g->y_rs + n : NULL;
    hone__epilogue_row(&g->ep, g->ep.bias ? g->ep.bias + n : NULL, g->ep.slope ? g->ep.slope + n : NULL, 1, residual, v,
                       count);
    memcpy(g->y + i * g->y_rs + n, v, count * sizeof *v);
}

/* Rows [from, to) of x times the unpacked strip. */
static void strip_rows(const job *j, size_t from, size_t to, size_t first, size_t lanes, size_t width, const space *own)
{
    const hone__nbits_args *g = j->g;
    size_t mr = lanes <= j->tile->i8_step ? j->tile->i8_mr_thin : j->tile->i8_mr;
    if (mr > j->tile->i8_mr) mr = j->tile->i8_mr;
    hone__tile_i8_args t = {.lanes = lanes,
                            .k = g->block ? j->block : j->depth,
                            .a_rs = j->depth,
                            .width = width,
                            .keep = lanes == 64 ? ~(uint64_t)0 : ((uint64_t)1 << lanes) - 1,
                            .out_rs = width};
    for (size_t r = from; r < to; r += t.rows) {
        t.rows = smaller(mr, to - r);
        memset(own->sums, 0, t.rows * width * sizeof(float));
        for (size_t b = 0; b < j->blocks; b++) {
            t.a = (const uint8_t *)j->q + r * j->depth + b * j->block;
            t.panel = own->panel + b * j->block * width;
            t.row_add = has_zeros(g) ? NULL : j->starts + b * g->m + r;
            t.row_sum = has_zeros(g) ? j->starts + b * g->m + r : NULL;
            t.lane_mul = own->zeros + (has_zeros(g) ? b * width : 0);
            t.row_scale = j->scales + b * g->m + r;
            t.lane_scale = own->scales + b * width;
            t.out_f32 = own->sums;
            t.residual = own->sums;
            j->tile->i8(&t);
        }
        for (size_t i = 0; i < t.rows; i++) finish(j, r + i, first, lanes, own->sums + i * width);
    }
}

static void strip_items(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    space own = space_of(j, thread);
    for (size_t item = begin; item < end; item++) {
        size_t from = item % j->row_chunks * j->row_chunk, to = smaller(j->g->m, from + j->row_chunk);
        size_t first = item / j->row_chunks * j->strip, lanes = smaller(j->strip, j->g->n - first);
        size_t width = ceil_div(lanes, j->tile->i8_step) * j->tile->i8_step;
        unpack_strip(j, first, lanes, width, &own);
        strip_rows(j, from, to, first, lanes, width, &own);
    }
}

void hone__nbits_wide(const hone__nbits_args *g, void *scratch, hone__pool *pool)
{
    job j = plan(g);
    lay_out(&j, scratch, hone__pool_threads(pool));
    hone__pool_run(pool, g->m, 4096 / (g->k + 1) + 1, quantize_rows, &j);
    size_t work = j.row_chunk * j.strip * g->k;
    hone__pool_run_stoppable(pool, j.strips * j.row_chunks, work >= MIN_WORK ? 1 : MIN_WORK / (work + 1) + 1,
                             strip_items, &j);
}
