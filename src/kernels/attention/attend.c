/* attend.c: few queries (decoding) read the keys where they are, all heads of a group together; many are cut into
 * tiles of rows, each two products of matrices. */
#include "kernels/attention/attend.h"

#include <math.h>
#include <string.h>

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_parts.h"
#include "kernels/norm/norm.h"
#include "kernels/vec/vec.h"

enum {
    FEW = 16,         /* queries whose keys are read in place; each gets the bits that it gets alone */
    MOST_ROWS = 64,   /* queries of a tile */
    LEAST_ROWS = 8,   /* however many keys there are */
    SCORES = 1 << 16, /* that a tile may hold, where it has more than LEAST_ROWS */
    DOT_KEYS = 4,     /* per dot product call */
    VALUE_KEYS = 64   /* whose values are added for one row after the other */
};

static size_t align(size_t n) { return (n + 63) & ~(size_t)63; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

typedef struct job {
    const hone__attend_args *a;
    const hone__gemm_table *parts;
    size_t group;              /* heads that share keys */
    size_t tile, tiles, items; /* queries of an item, items per head */
    char *scratch;
    size_t per_thread, gemm_at;
} job;

static size_t tile_rows(size_t keys)
{
    size_t rows = keys ? SCORES / keys : MOST_ROWS;
    return smaller(larger(rows, LEAST_ROWS), MOST_ROWS);
}

static const void *rows_of(const job *j, const void *base, size_t b, size_t kv_head, size_t key)
{
    size_t at = b * j->a->kv_b + kv_head * j->a->kv_h + key * j->a->size;
    return j->a->half ? (const void *)((const uint16_t *)base + at) : (const void *)((const float *)base + at);
}

static hone__gemm_f32_args score_product(const hone__attend_args *a, size_t rows, size_t keys)
{
    return (hone__gemm_f32_args){.m = rows,
                                 .n = keys,
                                 .k = a->size,
                                 .a_rs = a->q_r,
                                 .a_cs = 1,
                                 .b_rs = 1,
                                 .b_cs = a->size,
                                 .c_rs = keys,
                                 .alpha = a->scale};
}

static hone__gemm_f32_args value_product(const hone__attend_args *a, size_t rows, size_t keys)
{
    return (hone__gemm_f32_args){.m = rows,
                                 .n = a->size,
                                 .k = keys,
                                 .a_rs = keys,
                                 .a_cs = 1,
                                 .b_rs = a->size,
                                 .b_cs = 1,
                                 .c_rs = a->y_r,
                                 .alpha = 1};
}

/* Strips of b are at most MAX lanes wide and as wide as that where there are as many keys. */
static size_t products_scratch(const hone__attend_args *a)
{
    static const uint16_t half;
    size_t most = 0;
    for (size_t keys = 1; keys <= 64 && keys <= a->keys; keys++)
        for (size_t rows = 1; rows <= MOST_ROWS; rows += rows < FEW + 1 ? 1 : MOST_ROWS - FEW - 1) {
            hone__gemm_f32_args s = score_product(a, rows, keys), v = value_product(a, rows, keys * (a->keys / keys));
            if (a->half) s.b16 = v.b16 = &half;
            most = larger(most, larger(hone__gemm_f32_scratch(&s, 1), hone__gemm_f32_scratch(&v, 1)));
        }
    return align(most);
}

static job plan(const hone__attend_args *a)
{
    job j = {.a = a, .parts = hone__gemm_parts(), .group = a->kv_heads ? a->heads / a->kv_heads : 0};
    bool few = a->queries <= FEW;
    j.tile = few ? a->queries : tile_rows(a->keys);
    j.tiles = few ? 1 : (a->queries + j.tile - 1) / j.tile;
    j.items = a->batch * (few ? a->kv_heads : a->heads) * j.tiles;
    return j;
}

static size_t scores_most(const job *j)
{
    size_t keys = j->a->keys;
    if (j->a->queries <= FEW) return j->group * j->a->queries * keys;
    return larger(smaller(SCORES, MOST_ROWS * keys), LEAST_ROWS * keys);
}

size_t hone__attend_scratch(const hone__attend_args *a, int threads)
{
    job j = plan(a);
    return (size_t)threads * (align(scores_most(&j) * sizeof(float)) + products_scratch(a));
}

/* Keys [*from, *to) that query `row` of batch entry b sees. */
static void visible(const hone__attend_args *a, size_t b, size_t row, size_t *from, size_t *to)
{
    size_t first = a->first && a->first[b] > 0 ? (size_t)a->first[b] : 0, end = a->keys;
    if (a->causal) {
        end = a->keys - a->queries + row + 1;
        if (a->window && end > a->window) first = larger(first, end - a->window);
    }
    *from = smaller(first, end);
    *to = end;
}

/* Scores of keys [lo, hi) to weights; zeros where the query does not look. */
static void weigh(const hone__attend_args *a, float *scores, size_t lo, size_t hi, size_t from, size_t to)
{
    float *seen = scores + (from - lo);
    size_t n = to - from;
    if (n && a->softcap > 0) hone__vec_unary(HONE__SCALED_TANH, seen, seen, n, a->softcap, 1 / a->softcap);
    if (n) hone__softmax_f32(seen, seen, 1, n, 1, 0, NULL);
    memset(scores, 0, (from - lo) * sizeof *scores);
    memset(seen + n, 0, (hi - to) * sizeof *scores);
}

static void add_values(const job *j, const float *weights, const void *v, size_t keys, float *y)
{
    size_t size = j->a->size;
    if (j->a->half)
        j->parts->axpy_16(weights, 1, v, 0, size, keys, size, y);
    else
        j->parts->axpy_f32(weights, 1, v, size, keys, size, y);
}

/* All queries of the heads that share keys. */
static void few_queries(const job *j, size_t b, size_t kv_head, float *scores)
{
    const hone__attend_args *a = j->a;
    size_t rows = j->group * a->queries, lo = a->keys, hi = 0, from, to;
    for (size_t r = 0; r < a->queries; r++) {
        visible(a, b, r, &from, &to);
        if (from == to) continue;
        lo = smaller(lo, from);
        hi = larger(hi, to);
    }
    for (size_t key = lo; key < hi; key += DOT_KEYS) {
        const void *k = rows_of(j, a->k, b, kv_head, key);
        size_t n = smaller(DOT_KEYS, hi - key);
        for (size_t r = 0; r < rows; r++) {
            size_t head = kv_head * j->group + r / a->queries;
            const float *q = a->q + b * a->q_b + head * a->q_h + r % a->queries * a->q_r;
            float *out = scores + r * a->keys + (key - lo);
            if (a->half)
                j->parts->dot_16(q, k, 0, a->size, a->size, n, out);
            else
                j->parts->dot_f32(q, k, a->size, a->size, n, out);
            for (size_t i = 0; i < n; i++) out[i] *= a->scale;
        }
    }
    for (size_t r = 0; r < rows; r++) {
        size_t head = kv_head * j->group + r / a->queries;
        visible(a, b, r % a->queries, &from, &to);
        memset(a->y + b * a->y_b + head * a->y_h + r % a->queries * a->y_r, 0, a->size * sizeof(float));
        if (lo < hi) weigh(a, scores + r * a->keys, lo, hi, larger(from, lo), larger(to, lo));
    }
    for (size_t key = lo; key < hi; key += VALUE_KEYS)
        for (size_t r = 0; r < rows; r++) {
            size_t head = kv_head * j->group + r / a->queries;
            add_values(j, scores + r * a->keys + (key - lo), rows_of(j, a->v, b, kv_head, key),
                       smaller(VALUE_KEYS, hi - key), a->y + b * a->y_b + head * a->y_h + r % a->queries * a->y_r);
        }
}

/* Queries [first, first + rows) of one head. */
static void many_queries(const job *j, size_t b, size_t head, size_t first, size_t rows, float *scores, void *gemm)
{
    const hone__attend_args *a = j->a;
    size_t lo = a->keys, hi = 0, from, to;
    for (size_t r = first; r < first + rows; r++) {
        visible(a, b, r, &from, &to);
        if (from == to) continue;
        lo = smaller(lo, from);
        hi = larger(hi, to);
    }
    float *y = a->y + b * a->y_b + head * a->y_h + first * a->y_r;
    if (lo >= hi) {
        for (size_t r = 0; r < rows; r++) memset(y + r * a->y_r, 0, a->size * sizeof(float));
        return;
    }
    hone__gemm_f32_args s = score_product(a, rows, hi - lo), v = value_product(a, rows, hi - lo);
    const void *k = rows_of(j, a->k, b, head / j->group, lo), *values = rows_of(j, a->v, b, head / j->group, lo);
    s.a = a->q + b * a->q_b + head * a->q_h + first * a->q_r;
    s.c = scores;
    v.a = scores;
    v.c = y;
    if (a->half)
        s.b16 = k, v.b16 = values;
    else
        s.b = k, v.b = values;
    hone__gemm_f32(&s, gemm, NULL);
    for (size_t r = 0; r < rows; r++) {
        visible(a, b, first + r, &from, &to);
        if (from == to) from = to = lo;
        weigh(a, scores + r * (hi - lo), lo, hi, from, to);
    }
    hone__gemm_f32(&v, gemm, NULL);
}

static void items(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    const hone__attend_args *a = j->a;
    char *own = j->scratch + (size_t)thread * j->per_thread;
    for (size_t i = begin; i < end; i++) {
        size_t head = i / j->tiles % (j->items / j->tiles / a->batch),
               b = i / j->tiles / (j->items / j->tiles / a->batch);
        size_t first = i % j->tiles * j->tile;
        if (a->queries <= FEW)
            few_queries(j, b, head, (float *)(void *)own);
        else
            many_queries(j, b, head, first, smaller(j->tile, a->queries - first), (float *)(void *)own,
                         own + j->gemm_at);
    }
}

void hone__attend(const hone__attend_args *a, void *scratch, hone__pool *pool)
{
    job j = plan(a);
    if (!j.items || !a->size) return;
    j.scratch = scratch;
    j.gemm_at = align(scores_most(&j) * sizeof(float));
    j.per_thread = j.gemm_at + products_scratch(a);
    size_t work = j.tile * a->keys * a->size * (a->queries <= FEW ? j.group : 1) + 1;
    hone__pool_run_stoppable(pool, j.items, (1 << 14) / work + 1, items, &j);
}
