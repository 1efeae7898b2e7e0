/* attend_many.c: many queries, as tiles of rows over blocks of keys. Keys are laid out once per head for the register
 * tiles; a tile of rows keeps the scores of one block, which become weights in place, and its rows of the output are
 * sums over the blocks so far: they are scaled where a block raises a row's maximum, and divided by the sum of weights
 * at the end (online softmax: Milakov and Gimelshein 2018; over blocks: Dao et al. 2022). */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/attention/attend_parts.h"
#include "kernels/gemm/gemm_parts.h"
#include "kernels/tile/tile.h"
#include "kernels/vec/vec.h"

enum {
    ROWS = 48,          /* queries of a tile, a multiple of the rows of most register tiles */
    KEYS = 512,         /* of a block: they, their values and the tile's scores stay in the second cache */
    STRIDE = KEYS + 16, /* of a row of scores */
    PANEL = 64,         /* keys of a packing item, a multiple of every tier's lanes */
    LEAST_HEADS = 8     /* laid out at a time */
};

#define LOG2_E 1.44269504f /* weights are powers of two */

static size_t align(size_t n) { return (n + 63) & ~(size_t)63; }
static size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* A source is the keys and values of one head of one entry, read by `sharing` (entry, head) pairs. */
typedef struct job {
    const hone__attend_args *a;
    const hone__gemm_table *gemm;
    const hone__tile_table *tile;
    const hone__attend_table *parts;
    size_t group, share, sharing; /* heads, entries, pairs per source */
    size_t sources, at_once;      /* at_once: laid out together */
    size_t panels, tiles;         /* of a source, of a pair */
    float *keys, *values;         /* [at_once, panels * PANEL, size]; keys per strip of lanes: [size, lanes] */
    size_t source_floats, first;  /* of each of both; the source that stands first */
    char *own;
    size_t per_thread;
} job;

/* Of one thread. */
typedef struct state {
    float *q;       /* [ROWS, size], scaled */
    float *weights; /* [ROWS, KEYS] */
    float most[ROWS];
    double sum[ROWS];
} state;

static job plan(const hone__attend_args *a, int threads)
{
    job j = {.a = a, .gemm = hone__gemm_parts(), .tile = hone__tile()};
    j.parts = hone__attend_table_of(hone__cpu_tier());
    j.group = a->heads / a->kv_heads;
    j.share = larger(a->share, 1);
    j.sharing = j.share * j.group;
    j.sources = ceil_div(a->batch, j.share) * a->kv_heads;
    j.at_once = smaller(j.sources, larger((size_t)threads, LEAST_HEADS));
    j.panels = ceil_div(a->keys, PANEL);
    j.tiles = ceil_div(a->queries, ROWS);
    j.source_floats = align(j.panels * PANEL * a->size * sizeof(float)) / sizeof(float);
    j.per_thread = align(larger(ROWS * (STRIDE + a->size), PANEL * a->size) * sizeof(float));
    return j;
}

/* Rows one behind the other in fp32 need no copy. */
static bool in_place(const hone__attend_args *a) { return a->kind == HONE__KV_F32 && hone__kv_step(a) == a->size; }

static size_t shared_floats(const job *j) { return (in_place(j->a) ? 1 : 2) * j->at_once * j->source_floats; }

size_t hone__attend_many_scratch(const hone__attend_args *a, int threads)
{
    job j = plan(a, threads);
    return shared_floats(&j) * sizeof(float) + (size_t)threads * j.per_thread;
}

/* n rows in fp32 to to [n, size]. */
static void widen(const job *j, const void *rows, size_t n, float *to)
{
    const hone__attend_args *a = j->a;
    size_t step = hone__kv_step(a);
    if (a->kind == HONE__KV_I8) hone__kv_readable(a, rows, n, to);
    for (size_t i = 0; i < n; i++, to += a->size) {
        if (a->kind == HONE__KV_F16) j->gemm->widen_16((const uint16_t *)rows + i * step, 0, a->size, to);
        if (a->kind == HONE__KV_F32) memcpy(to, (const float *)rows + i * step, a->size * sizeof *to);
    }
}

static void pack_items(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    const hone__attend_args *a = j->a;
    float *room = (float *)(void *)(j->own + (size_t)thread * j->per_thread);
    size_t lanes = j->tile->f32_nr;
    for (size_t i = begin; i < end; i++) {
        size_t step = hone__kv_step(a), place = i / j->panels, key = i % j->panels * PANEL,
               n = smaller(PANEL, a->keys - key);
        size_t source = j->first + place, b = source / a->kv_heads * j->share, kv_head = source % a->kv_heads;
        const void *k = hone__kv_rows(a, a->k, b, kv_head, key), *v = hone__kv_rows(a, a->v, b, kv_head, key);
        float *to = j->keys + place * j->source_floats + key * a->size;
        if (n < PANEL) memset(to, 0, PANEL * a->size * sizeof *to);
        if (a->kind != HONE__KV_F32) {
            widen(j, k, n, room);
            k = room, step = a->size;
        }
        for (size_t r = 0; r < n; r += lanes)
            j->gemm->transpose_32((const uint32_t *)k + r * step, step, smaller(lanes, n - r), a->size,
                                  (uint32_t *)(void *)(to + r * a->size), lanes);
        if (j->values) widen(j, v, n, j->values + place * j->source_floats + key * a->size);
    }
}

/* Rows of a [rows, k] times lanes of b, in register tiles. */
static void product(const job *j, hone__tile_f32_args t, size_t rows, size_t lanes)
{
    static const size_t no_tap = 0;
    const float *a = t.a;
    float *out = t.out;
    t.lanes = lanes, t.taps = 1, t.tap = &no_tap, t.alpha = 1;
    t.keep = lanes == 64 ? ~(uint64_t)0 : ((uint64_t)1 << lanes) - 1;
    size_t most = lanes <= j->tile->f32_step ? j->tile->f32_mr_thin : j->tile->f32_mr;
    for (size_t r = 0; r < rows; r += t.rows) {
        t.rows = smaller(most, rows - r);
        t.a = a + r * t.a_rs;
        t.out = out + r * t.out_rs;
        j->tile->f32(&t);
    }
}

/* Scores of keys [from, to), `from` at the start of a strip. */
static void score(const job *j, const state *s, const float *keys, size_t rows, size_t from, size_t to)
{
    size_t size = j->a->size, lanes = j->tile->f32_nr;
    for (size_t k = from; k < to; k += lanes)
        product(j,
                (hone__tile_f32_args){.channels = size,
                                      .a = s->q,
                                      .a_rs = size,
                                      .b = keys + k * size,
                                      .b_rs = lanes,
                                      .out = s->weights + (k - from),
                                      .out_rs = STRIDE},
                rows, smaller(lanes, to - k));
}

/* Row r's scores [0, n), of which [from, to) count, to weights; y so far becomes relative to the new maximum. */
static void weigh(const job *j, state *s, size_t r, size_t from, size_t to, size_t n, float *y)
{
    const hone__attend_args *a = j->a;
    float *row = s->weights + r * STRIDE, *seen = row + from;
    size_t count = to - from;
    memset(row, 0, from * sizeof *row);
    memset(row + to, 0, (n - to) * sizeof *row);
    if (!count) return;
    if (a->softcap > 0) hone__vec_unary(HONE__SCALED_TANH, seen, seen, count, a->softcap * LOG2_E, 1 / a->softcap);
    float before = s->most[r], sum = j->parts->weigh(seen, count, &s->most[r]);
    if (s->most[r] != before) {
        float less = exp2f(before - s->most[r]);
        s->sum[r] *= (double)less;
        if (y) hone__vec_unary(HONE__AFFINE, y, y, a->size, less, 0);
    }
    s->sum[r] += (double)sum;
}

/* y += weights . values, of n keys from the block's `skip`th on. */
static void add_values(const job *j, const state *s, const float *values, size_t rows, size_t skip, size_t n,
                       bool begins, float *y)
{
    size_t size = j->a->size, most = j->tile->f32_nr;
    for (size_t i = 0; i < size; i += most)
        product(j,
                (hone__tile_f32_args){.channels = n,
                                      .a = s->weights + skip,
                                      .a_rs = STRIDE,
                                      .b = values + i,
                                      .b_rs = size,
                                      .out = y + i,
                                      .out_rs = j->a->y_r,
                                      .accumulate = !begins},
                rows, smaller(most, size - i));
}

/* Queries [first, first + rows) of head `head` of entry b over the keys that they see. */
static void tile(const job *j, state *s, size_t b, size_t head, size_t first, size_t rows, const float *keys,
                 const float *values)
{
    const hone__attend_args *a = j->a;
    size_t lo, hi, from, to, lanes = j->tile->f32_nr;
    const float *q = a->q + b * a->q_b + head * a->q_h + first * a->q_r;
    float *y = a->y + b * a->y_b + head * a->y_h + first * a->y_r;
    float scale = a->softcap > 0 ? a->scale : a->scale * LOG2_E;
    bool any = hone__attend_see(a, b, first, rows, &lo, &hi);
    for (size_t r = 0; r < rows; r++) {
        hone__vec_unary(HONE__AFFINE, q + r * a->q_r, s->q + r * a->size, a->size, scale, 0);
        s->most[r] = -FLT_MAX;
        s->sum[r] = 0;
        if (!any) memset(y + r * a->y_r, 0, a->size * sizeof *y);
    }
    if (!any) return;
    for (size_t at = lo / lanes * lanes; at < hi; at += KEYS) {
        size_t begin = larger(at, lo), end = smaller(at + KEYS, hi);
        score(j, s, keys, rows, at, end);
        for (size_t r = 0; r < rows; r++) {
            hone__attend_sees(a, b, first + r, &from, &to);
            from = smaller(larger(from, at), end), to = larger(smaller(to, end), from);
            weigh(j, s, r, from - at, to - at, end - at, at > lo ? y + r * a->y_r : NULL);
        }
        add_values(j, s, values + begin * a->size, rows, begin - at, end - begin, at <= lo, y);
    }
    for (size_t r = 0; r < rows; r++) {
        hone__attend_sees(a, b, first + r, &from, &to);
        if (from < to)
            hone__vec_unary(HONE__AFFINE, y + r * a->y_r, y + r * a->y_r, a->size, (float)(1 / s->sum[r]), 0);
    }
}

static void tile_items(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    const hone__attend_args *a = j->a;
    state s;
    s.weights = (float *)(void *)(j->own + (size_t)thread * j->per_thread);
    s.q = s.weights + (size_t)ROWS * STRIDE;
    for (size_t i = begin; i < end; i++) {
        size_t first = i % j->tiles * ROWS, pair = i / j->tiles % j->sharing, place = i / j->tiles / j->sharing;
        size_t source = j->first + place, kv_head = source % a->kv_heads;
        size_t b = source / a->kv_heads * j->share + pair / j->group;
        if (b >= a->batch) continue;
        const float *values = j->values ? j->values + place * j->source_floats : hone__kv_rows(a, a->v, b, kv_head, 0);
        tile(j, &s, b, kv_head * j->group + pair % j->group, first, smaller(ROWS, a->queries - first),
             j->keys + place * j->source_floats, values);
    }
}

void hone__attend_many(const hone__attend_args *a, void *scratch, hone__pool *pool)
{
    enum { WORK = 1 << 14 };
    job j = plan(a, hone__pool_threads(pool));
    j.keys = scratch;
    j.values = in_place(a) ? NULL : j.keys + j.at_once * j.source_floats;
    j.own = (char *)(j.keys + shared_floats(&j));
    for (j.first = 0; j.first < j.sources; j.first += j.at_once) {
        size_t sources = smaller(j.at_once, j.sources - j.first);
        hone__pool_run_stoppable(pool, sources * j.panels, WORK / (PANEL * a->size) + 1, pack_items, &j);
        hone__pool_run_stoppable(pool, sources * j.sharing * j.tiles, WORK / (ROWS * a->keys * a->size + 1) + 1,
                                 tile_items, &j);
    }
}
