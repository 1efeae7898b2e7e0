/* norm.c: softmax, normalisation and reductions over rows, or over columns in groups of lanes. */
#include "kernels/norm/norm.h"

#include <math.h>

#include "kernels/norm/norm_parts.h"
#include "kernels/vec/vec.h"

enum { LANES = 256 /* columns done together when the reduced axis is not the last */ };

static size_t grain(size_t cost) { return cost >= 8192 ? 1 : 8192 / (cost + 1) + 1; }

struct softmax {
    const hone__norm_table *t;
    const float *x;
    float *y;
    size_t axis, inner;
    int log_softmax;
};

static void softmax_rows(void *ctx, size_t begin, size_t end, int thread)
{
    struct softmax *s = ctx;
    size_t n = s->axis;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = s->x + r * n;
        float *y = s->y + r * n, top = s->t->row_max(x, n);
        double sum = s->t->exp_sum(x, top, s->log_softmax ? NULL : y, n);
        if (s->log_softmax) {
            float shift = (float)log(sum);
            for (size_t i = 0; i < n; i++) y[i] = (x[i] - top) - shift;
        } else {
            float inv = (float)(1 / sum);
            hone__vec_binary(HONE__MUL, y, 1, &inv, 0, y, n);
        }
    }
}

/* A group of up to LANES columns of one outer block. */
static void softmax_lanes(const struct softmax *s, const float *x, float *y, size_t n)
{
    float top[LANES], sum[LANES], line[LANES];
    for (size_t i = 0; i < n; i++) top[i] = -INFINITY, sum[i] = 0;
    for (size_t a = 0; a < s->axis; a++) s->t->fold(HONE__REDUCE_MAX, x + a * s->inner, top, n);
    for (size_t a = 0; a < s->axis; a++) {
        hone__vec_binary(HONE__SUB, x + a * s->inner, 1, top, 1, line, n);
        float *e = s->log_softmax ? line : y + a * s->inner;
        if (s->log_softmax)
            hone__vec_unary(HONE__EXP, line, line, n, 0, 0);
        else
            hone__vec_unary(HONE__EXP, line, e, n, 0, 0);
        s->t->fold(HONE__REDUCE_SUM, e, sum, n);
    }
    hone__vec_unary(s->log_softmax ? HONE__LOG : HONE__RECIPROCAL, sum, sum, n, 0, 0);
    for (size_t a = 0; a < s->axis; a++) {
        float *out = y + a * s->inner;
        if (s->log_softmax) {
            hone__vec_binary(HONE__SUB, x + a * s->inner, 1, top, 1, out, n);
            hone__vec_binary(HONE__SUB, out, 1, sum, 1, out, n);
        } else {
            hone__vec_binary(HONE__MUL, out, 1, sum, 1, out, n);
        }
    }
}

static size_t groups_of(size_t inner) { return (inner + LANES - 1) / LANES; }

static void softmax_columns(void *ctx, size_t begin, size_t end, int thread)
{
    struct softmax *s = ctx;
    size_t groups = groups_of(s->inner);
    (void)thread;
    for (size_t item = begin; item < end; item++) {
        size_t first = item % groups * LANES, n = s->inner - first < LANES ? s->inner - first : LANES;
        size_t base = item / groups * s->axis * s->inner + first;
        softmax_lanes(s, s->x + base, s->y + base, n);
    }
}

void hone__softmax_f32(const float *x, float *y, size_t outer, size_t axis, size_t inner, int log_softmax,
                       hone__pool *pool)
{
    struct softmax s = {hone__norm_table_of(hone__cpu_tier()), x, y, axis, inner, log_softmax};
    if (!axis || !inner) return;
    if (inner == 1)
        hone__pool_run(pool, outer, grain(axis * 2), softmax_rows, &s);
    else
        hone__pool_run(pool, outer * groups_of(inner), grain(axis * LANES), softmax_columns, &s);
}

struct layer {
    const hone__norm_table *t;
    const float *x;
    float *y;
    size_t cols;
    float eps;
    const float *gamma, *beta;
    float *mean_out, *inv_out;
    int centre;
};

static void layer_rows(void *ctx, size_t begin, size_t end, int thread)
{
    struct layer *s = ctx;
    size_t n = s->cols;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = s->x + r * n;
        float mean = s->centre ? (float)(s->t->sum(x, n) / (double)n) : 0;
        double variance = s->t->sum_squares(x, mean, n) / (double)n;
        float inv = 1 / sqrtf((float)variance + s->eps);
        s->t->normalise(x, mean, inv, s->gamma, s->beta, s->y + r * n, n);
        if (s->mean_out) s->mean_out[r] = mean;
        if (s->inv_out) s->inv_out[r] = inv;
    }
}

void hone__layer_norm_f32(const float *x, float *y, size_t rows, size_t cols, float eps, const float *gamma,
                          const float *beta, float *mean_out, float *inv_std_out, hone__pool *pool)
{
    struct layer s = {hone__norm_table_of(hone__cpu_tier()), x, y, cols, eps, gamma, beta, mean_out, inv_std_out, 1};
    hone__pool_run(pool, rows, grain(cols * 2), layer_rows, &s);
}

void hone__rms_norm_f32(const float *x, float *y, size_t rows, size_t cols, float eps, const float *gamma,
                        float *inv_std_out, hone__pool *pool)
{
    struct layer s = {hone__norm_table_of(hone__cpu_tier()), x, y, cols, eps, gamma, NULL, NULL, inv_std_out, 0};
    hone__pool_run(pool, rows, grain(cols * 2), layer_rows, &s);
}

struct reduce {
    const hone__norm_table *t;
    hone__reduce kind;
    const float *x;
    float *y;
    size_t axis, inner;
};

/* What follows the sum of n terms. */
static float finish(hone__reduce kind, double v, size_t n)
{
    switch (kind) {
    case HONE__REDUCE_MEAN: return (float)(v / (double)n);
    case HONE__REDUCE_L2: return (float)sqrt(v);
    case HONE__REDUCE_LOGSUM: return (float)log(v);
    default: return (float)v;
    }
}

static float reduce_row(const struct reduce *s, const float *x)
{
    const hone__norm_table *t = s->t;
    size_t n = s->axis;
    double product = 1;
    float top;
    switch (s->kind) {
    case HONE__REDUCE_MAX: return t->row_max(x, n);
    case HONE__REDUCE_MIN: return t->row_min(x, n);
    case HONE__REDUCE_PROD:
        for (size_t i = 0; i < n; i++) product *= x[i];
        return (float)product;
    case HONE__REDUCE_SUMSQ:
    case HONE__REDUCE_L2: return finish(s->kind, t->sum_squares(x, 0, n), n);
    case HONE__REDUCE_L1: return (float)t->sum_abs(x, n);
    case HONE__REDUCE_LOGSUMEXP:
        top = t->row_max(x, n);
        return isinf(top) || isnan(top) ? top : top + (float)log(t->exp_sum(x, top, NULL, n));
    default: return finish(s->kind, t->sum(x, n), n);
    }
}

static void reduce_rows(void *ctx, size_t begin, size_t end, int thread)
{
    struct reduce *s = ctx;
    (void)thread;
    for (size_t r = begin; r < end; r++) s->y[r] = reduce_row(s, s->x + r * s->axis);
}

enum { DEPTH = 64 /* rows added in fp32 before they go to double */ };

static void log_sum_exp_lanes(const struct reduce *s, const float *x, float *y, size_t n)
{
    float top[LANES], line[LANES];
    double sum[LANES] = {0};
    for (size_t i = 0; i < n; i++) top[i] = -INFINITY;
    for (size_t a = 0; a < s->axis; a++) s->t->fold(HONE__REDUCE_MAX, x + a * s->inner, top, n);
    for (size_t a = 0; a < s->axis; a++) {
        hone__vec_binary(HONE__SUB, x + a * s->inner, 1, top, 1, line, n);
        hone__vec_unary(HONE__EXP, line, line, n, 0, 0);
        for (size_t i = 0; i < n; i++) sum[i] += line[i];
    }
    for (size_t i = 0; i < n; i++) y[i] = isinf(top[i]) || isnan(top[i]) ? top[i] : top[i] + (float)log(sum[i]);
}

static void reduce_lanes(const struct reduce *s, const float *x, float *y, size_t n)
{
    hone__reduce kind = s->kind;
    int extreme = kind == HONE__REDUCE_MAX || kind == HONE__REDUCE_MIN, product = kind == HONE__REDUCE_PROD;
    float start = kind == HONE__REDUCE_MAX ? -INFINITY : kind == HONE__REDUCE_MIN ? INFINITY : (float)product;
    float acc[LANES];
    double total[LANES];
    for (size_t i = 0; i < n; i++) total[i] = product, acc[i] = start;
    for (size_t a = 0; a < s->axis; a++) {
        s->t->fold(kind, x + a * s->inner, acc, n);
        if (extreme || (!product && a % DEPTH < DEPTH - 1 && a + 1 < s->axis)) continue;
        for (size_t i = 0; i < n; i++) {
            total[i] = product ? total[i] * acc[i] : total[i] + acc[i];
            acc[i] = start;
        }
    }
    for (size_t i = 0; i < n; i++) y[i] = extreme ? acc[i] : finish(kind, total[i], s->axis);
}

static void reduce_columns(void *ctx, size_t begin, size_t end, int thread)
{
    struct reduce *s = ctx;
    size_t groups = groups_of(s->inner);
    (void)thread;
    for (size_t item = begin; item < end; item++) {
        size_t first = item % groups * LANES, n = s->inner - first < LANES ? s->inner - first : LANES;
        const float *x = s->x + item / groups * s->axis * s->inner + first;
        float *y = s->y + item / groups * s->inner + first;
        if (s->kind == HONE__REDUCE_LOGSUMEXP)
            log_sum_exp_lanes(s, x, y, n);
        else
            reduce_lanes(s, x, y, n);
    }
}

void hone__reduce_f32(hone__reduce kind, const float *x, float *y, size_t outer, size_t axis, size_t inner,
                      hone__pool *pool)
{
    struct reduce s = {hone__norm_table_of(hone__cpu_tier()), kind, x, y, axis, inner};
    if (!inner) return;
    if (inner == 1)
        hone__pool_run(pool, outer, grain(axis), reduce_rows, &s);
    else
        hone__pool_run(pool, outer * groups_of(inner), grain(axis * (inner < LANES ? inner : LANES)), reduce_columns,
                       &s);
}
