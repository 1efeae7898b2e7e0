/* attend.c: few queries (decoding) read the keys where they are, all heads of a group together; many are cut into
 * tiles of rows, each two products of matrices. */
#include "kernels/attention/attend.h"

#include <math.h>
#include <string.h>

#include "kernels/convert/convert.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_parts.h"
#include "kernels/norm/norm.h"
#include "kernels/quantize/quantize.h"
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
    size_t at = b * j->a->kv_b + kv_head * j->a->kv_h + key * hone__kv_row(j->a->kind, j->a->size);
    if (j->a->kind == HONE__KV_I8) return (const int8_t *)base + at;
    return j->a->kind == HONE__KV_F16 ? (const void *)((const uint16_t *)base + at)
                                      : (const void *)((const float *)base + at);
}

void hone__kv_write(hone__kv kind, const float *x, size_t size, void *row)
{
    if (kind == HONE__KV_F32) memcpy(row, x, size * sizeof *x);
    if (kind == HONE__KV_F16) hone__f32_to_f16(x, row, size);
    if (kind != HONE__KV_I8) return;
    float scale;
    hone__quantize_row_s8(x, size, 0, row, &scale, NULL);
    memcpy((char *)row + size, &scale, sizeof scale);
}

/* n rows that the products can read: int8 ones are widened into `to`. */
static const void *readable(const job *j, const void *rows, size_t n, float *to)
{
    size_t size = j->a->size, row = hone__kv_row(HONE__KV_I8, size);
    if (j->a->kind != HONE__KV_I8) return rows;
    for (size_t i = 0; i < n; i++) {
        const char *from = (const char *)rows + i * row;
        float scale;
        memcpy(&scale, from + size, sizeof scale);
        hone__dequantize_s8((const int8_t *)from, size, scale, 0, to + i * size, NULL);
    }
    return to;
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

/* Few queries, or keys that are widened on the way: those of all heads that share keys go together. */
static bool in_place(const hone__attend_args *a) { return a->queries <= FEW || a->kind == HONE__KV_I8; }

/* Of the products that many queries take. Strips of b are at most MAX lanes wide and as wide as that where there are as
 * many keys. */
static size_t products_scratch(const hone__attend_args *a)
{
    static const uint16_t half;
    size_t most = 0;
    if (in_place(a)) return 0;
    for (size_t keys = 1; keys <= 64 && keys <= a->keys; keys++)
        for (size_t rows = 1; rows <= MOST_ROWS; rows += rows < FEW + 1 ? 1 : MOST_ROWS - FEW - 1) {
            hone__gemm_f32_args s = score_product(a, rows, keys), v = value_product(a, rows, keys * (a->keys / keys));
            if (a->kind == HONE__KV_F16) s.b16 = v.b16 = &half;
            most = larger(most, larger(hone__gemm_f32_scratch(&s, 1), hone__gemm_f32_scratch(&v, 1)));
        }
    return align(most);
}

static job plan(const hone__attend_args *a)
{
    job j = {.a = a, .parts = hone__gemm_parts(), .group = a->kv_heads ? a->heads / a->kv_heads : 0};
    j.tile = in_place(a) ? smaller(a->queries, FEW) : tile_rows(a->keys);
    j.tiles = j.tile ? (a->queries + j.tile - 1) / j.tile : 0;
    j.items = a->batch * (in_place(a) ? a->kv_heads : a->heads) * j.tiles;
    return j;
}

static size_t scores_most(const job *j)
{
    size_t keys = j->a->keys;
    if (in_place(j->a)) return j->group * j->tile * keys;
    return larger(smaller(SCORES, MOST_ROWS * keys), LEAST_ROWS * keys);
}

/* Of one thread: scores, rows being widened, what the products need. */
static size_t gemm_at(const job *j)
{
    size_t rows = j->a->kind == HONE__KV_I8 ? VALUE_KEYS * j->a->size : 0;
    return align(scores_most(j) * sizeof(float)) + align(rows * sizeof(float));
}

size_t hone__attend_scratch(const hone__attend_args *a, int threads)
{
    job j = plan(a);
    return (size_t)threads * (gemm_at(&j) + products_scratch(a));
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
    if (j->a->kind == HONE__KV_F16)
        j->parts->axpy_16(weights, 1, v, 0, size, keys, size, 1, y);
    else
        j->parts->axpy_f32(weights, 1, v, size, keys, size, 1, y);
}

/* `count` queries from `first` on, of the heads that share keys. */
static void few_queries(const job *j, size_t b, size_t kv_head, size_t first, size_t count, float *scores)
{
    const hone__attend_args *a = j->a;
    size_t rows = j->group * count, lo = a->keys, hi = 0, from, to;
    float *widened = scores + align(scores_most(j) * sizeof(float)) / sizeof(float);
    for (size_t r = 0; r < count; r++) {
        visible(a, b, first + r, &from, &to);
        if (from == to) continue;
        lo = smaller(lo, from);
        hi = larger(hi, to);
    }
    for (size_t key = lo; key < hi; key += DOT_KEYS) {
        size_t n = smaller(DOT_KEYS, hi - key);
        const void *k = readable(j, rows_of(j, a->k, b, kv_head, key), n, widened);
        for (size_t r = 0; r < rows; r++) {
            size_t head = kv_head * j->group + r / count;
            const float *q = a->q + b * a->q_b + head * a->q_h + (first + r % count) * a->q_r;
            float *out = scores + r * a->keys + (key - lo);
            if (a->kind == HONE__KV_F16)
                j->parts->dot_16(q, k, 0, a->size, a->size, n, out);
            else
                j->parts->dot_f32(q, k, a->size, a->size, n, out);
            for (size_t i = 0; i < n; i++) out[i] *= a->scale;
        }
    }
    for (size_t r = 0; r < rows; r++) {
        size_t head = kv_head * j->group + r / count, query = first + r % count;
        visible(a, b, query, &from, &to);
        memset(a->y + b * a->y_b + head * a->y_h + query * a->y_r, 0, a->size * sizeof(float));
        if (lo < hi) weigh(a, scores + r * a->keys, lo, hi, larger(from, lo), larger(to, lo));
    }
    for (size_t key = lo; key < hi; key += VALUE_KEYS) {
        size_t n = smaller(VALUE_KEYS, hi - key);
        const void *v = readable(j, rows_of(j, a->v, b, kv_head, key), n, widened);
        for (size_t r = 0; r < rows; r++) {
            size_t head = kv_head * j->group + r / count;
            add_values(j, scores + r * a->keys + (key - lo), v, n,
                       a->y + b * a->y_b + head * a->y_h + (first + r % count) * a->y_r);
        }
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
    if (a->kind == HONE__KV_F16)
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
        size_t first = i % j->tiles * j->tile, count = smaller(j->tile, a->queries - first);
        if (in_place(a))
            few_queries(j, b, head, first, count, (float *)(void *)own);
        else
            many_queries(j, b, head, first, count, (float *)(void *)own, own + j->gemm_at);
    }
}

void hone__attend(const hone__attend_args *a, void *scratch, hone__pool *pool)
{
    job j = plan(a);
    if (!j.items || !a->size) return;
    j.scratch = scratch;
    j.gemm_at = gemm_at(&j);
    j.per_thread = j.gemm_at + products_scratch(a);
    size_t work = j.tile * a->keys * a->size * (in_place(a) ? j.group : 1) + 1;
    hone__pool_run_stoppable(pool, j.items, (1 << 14) / work + 1, items, &j);
}
