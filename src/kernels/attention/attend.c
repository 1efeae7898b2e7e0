/* attend.c: few queries (decoding) read the keys where they are, all heads of a group together; many are
 * attend_many.c's. */
#include "kernels/attention/attend.h"

#include <string.h>

#include "kernels/attention/attend_parts.h"
#include "kernels/convert/convert.h"
#include "kernels/gemm/gemm_parts.h"
#include "kernels/norm/norm.h"
#include "kernels/quantize/quantize.h"
#include "kernels/vec/vec.h"

enum {
    FEW = 16,       /* queries whose keys are read in place; each gets the bits that it gets alone */
    DOT_KEYS = 4,   /* per dot product call */
    VALUE_KEYS = 64 /* whose values are added for one row after the other */
};

static size_t align(size_t n) { return (n + 63) & ~(size_t)63; }
static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

typedef struct job {
    const hone__attend_args *a;
    const hone__gemm_table *parts;
    size_t group; /* heads that share keys */
    size_t step;  /* from row to row of what the products read */
    char *scratch;
    size_t per_thread;
} job;

const void *hone__kv_rows(const hone__attend_args *a, const void *base, size_t b, size_t kv_head, size_t key)
{
    size_t entry = a->share > 1 ? b / a->share : b;
    size_t at = entry * a->kv_b + kv_head * a->kv_h + key * hone__kv_step(a);
    if (a->kind == HONE__KV_I8) return (const int8_t *)base + at;
    return a->kind == HONE__KV_F16 ? (const void *)((const uint16_t *)base + at)
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

const void *hone__kv_readable(const hone__attend_args *a, const void *rows, size_t n, float *to)
{
    size_t size = a->size, row = hone__kv_step(a);
    if (a->kind != HONE__KV_I8) return rows;
    for (size_t i = 0; i < n; i++) {
        const char *from = (const char *)rows + i * row;
        float scale;
        memcpy(&scale, from + size, sizeof scale);
        hone__dequantize_s8((const int8_t *)from, size, scale, 0, to + i * size, NULL);
    }
    return to;
}

static size_t scores_floats(const job *j)
{
    return align(j->group * j->a->queries * j->a->keys * sizeof(float)) / sizeof(float);
}

static job plan(const hone__attend_args *a)
{
    job j = {.a = a, .parts = hone__gemm_parts(), .group = a->heads / a->kv_heads};
    j.step = a->kind == HONE__KV_I8 ? a->size : hone__kv_step(a);
    size_t rows = a->kind == HONE__KV_I8 ? VALUE_KEYS * a->size : 0; /* being widened */
    j.per_thread = scores_floats(&j) * sizeof(float) + align(rows * sizeof(float));
    return j;
}

static bool nothing(const hone__attend_args *a)
{
    return !a->batch || !a->heads || !a->kv_heads || !a->queries || !a->size;
}

size_t hone__attend_scratch(const hone__attend_args *a, int threads)
{
    if (nothing(a)) return 0;
    return a->queries > FEW ? hone__attend_many_scratch(a, threads) : (size_t)threads * plan(a).per_thread;
}

void hone__attend_sees(const hone__attend_args *a, size_t b, size_t row, size_t *from, size_t *to)
{
    size_t first = a->first && a->first[b] > 0 ? (size_t)a->first[b] : 0, end = a->keys;
    if (a->causal) {
        end = a->keys - a->queries + row + 1;
        if (a->window && end > a->window) first = larger(first, end - a->window);
    }
    *from = smaller(first, end);
    *to = end;
}

bool hone__attend_see(const hone__attend_args *a, size_t b, size_t first, size_t count, size_t *from, size_t *to)
{
    size_t lo, hi;
    *from = a->keys, *to = 0;
    for (size_t r = first; r < first + count; r++) {
        hone__attend_sees(a, b, r, &lo, &hi);
        if (lo == hi) continue;
        *from = smaller(*from, lo);
        *to = larger(*to, hi);
    }
    return *from < *to;
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
        j->parts->axpy_16(weights, 1, v, 0, j->step, keys, size, 1, y);
    else
        j->parts->axpy_f32(weights, 1, v, j->step, keys, size, 1, y);
}

/* Of the heads that share keys. */
static void few_queries(const job *j, size_t b, size_t kv_head, float *scores)
{
    const hone__attend_args *a = j->a;
    size_t count = a->queries, rows = j->group * count, lo, hi, from, to;
    float *widened = scores + scores_floats(j);
    hone__attend_see(a, b, 0, count, &lo, &hi);
    for (size_t key = lo; key < hi; key += DOT_KEYS) {
        size_t n = smaller(DOT_KEYS, hi - key);
        const void *k = hone__kv_readable(a, hone__kv_rows(a, a->k, b, kv_head, key), n, widened);
        for (size_t r = 0; r < rows; r++) {
            size_t head = kv_head * j->group + r / count;
            const float *q = a->q + b * a->q_b + head * a->q_h + (r % count) * a->q_r;
            float *out = scores + r * a->keys + (key - lo);
            if (a->kind == HONE__KV_F16)
                j->parts->dot_16(q, k, 0, j->step, a->size, n, out);
            else
                j->parts->dot_f32(q, k, j->step, a->size, n, out);
            for (size_t i = 0; i < n; i++) out[i] *= a->scale;
        }
    }
    for (size_t r = 0; r < rows; r++) {
        size_t head = kv_head * j->group + r / count, query = r % count;
        hone__attend_sees(a, b, query, &from, &to);
        memset(a->y + b * a->y_b + head * a->y_h + query * a->y_r, 0, a->size * sizeof(float));
        if (lo < hi) weigh(a, scores + r * a->keys, lo, hi, larger(from, lo), larger(to, lo));
    }
    for (size_t key = lo; key < hi; key += VALUE_KEYS) {
        size_t n = smaller(VALUE_KEYS, hi - key);
        const void *v = hone__kv_readable(a, hone__kv_rows(a, a->v, b, kv_head, key), n, widened);
        for (size_t r = 0; r < rows; r++) {
            size_t head = kv_head * j->group + r / count;
            add_values(j, scores + r * a->keys + (key - lo), v, n,
                       a->y + b * a->y_b + head * a->y_h + (r % count) * a->y_r);
        }
    }
}

static void items(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    for (size_t i = begin; i < end; i++)
        few_queries(j, i / j->a->kv_heads, i % j->a->kv_heads,
                    (float *)(void *)(j->scratch + (size_t)thread * j->per_thread));
}

void hone__attend(const hone__attend_args *a, void *scratch, hone__pool *pool)
{
    if (nothing(a)) return;
    if (a->queries > FEW) {
        hone__attend_many(a, scratch, pool);
        return;
    }
    job j = plan(a);
    j.scratch = scratch;
    size_t work = a->queries * a->keys * a->size * j.group + 1;
    hone__pool_run_stoppable(pool, a->batch * a->kv_heads, (1 << 14) / work + 1, items, &j);
}
