/* norm.c: softmax, normalisation, reductions. */
#include "kernels/norm/norm.h"

#include <math.h>

struct softmax {
    const float *x;
    float *y;
    size_t axis, inner;
    int log_softmax;
};

static void softmax_lines(void *ctx, size_t begin, size_t end, int thread)
{
    struct softmax *s = ctx;
    (void)thread;
    for (size_t line = begin; line < end; line++) {
        size_t base = line / s->inner * s->axis * s->inner + line % s->inner;
        const float *x = s->x + base;
        float *y = s->y + base;
        float top = -INFINITY;
        double sum = 0;
        for (size_t i = 0; i < s->axis; i++)
            if (!(x[i * s->inner] <= top)) top = x[i * s->inner];
        for (size_t i = 0; i < s->axis; i++) sum += expf(x[i * s->inner] - top);
        float log_sum = logf((float)sum), inv = 1 / (float)sum;
        for (size_t i = 0; i < s->axis; i++) {
            float v = x[i * s->inner] - top;
            y[i * s->inner] = s->log_softmax ? v - log_sum : expf(v) * inv;
        }
    }
}

static size_t grain(size_t cost) { return cost >= 4096 ? 1 : 4096 / (cost + 1) + 1; }

void hone__softmax_f32(const float *x, float *y, size_t outer, size_t axis, size_t inner, int log_softmax,
                       hone__pool *pool)
{
    struct softmax s = {x, y, axis, inner, log_softmax};
    hone__pool_run(pool, outer * inner, grain(axis * 4), softmax_lines, &s);
}

struct layer {
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
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        const float *x = s->x + r * s->cols;
        float *y = s->y + r * s->cols;
        double sum = 0, squares = 0;
        if (s->centre)
            for (size_t i = 0; i < s->cols; i++) sum += x[i];
        float mean = (float)(sum / (double)s->cols);
        for (size_t i = 0; i < s->cols; i++) squares += (double)(x[i] - mean) * (double)(x[i] - mean);
        float inv = 1 / sqrtf((float)(squares / (double)s->cols) + s->eps);
        for (size_t i = 0; i < s->cols; i++) {
            float v = (x[i] - mean) * inv;
            if (s->gamma) v *= s->gamma[i];
            y[i] = s->beta ? v + s->beta[i] : v;
        }
        if (s->mean_out) s->mean_out[r] = mean;
        if (s->inv_out) s->inv_out[r] = inv;
    }
}

void hone__layer_norm_f32(const float *x, float *y, size_t rows, size_t cols, float eps, const float *gamma,
                          const float *beta, float *mean_out, float *inv_std_out, hone__pool *pool)
{
    struct layer s = {x, y, cols, eps, gamma, beta, mean_out, inv_std_out, 1};
    hone__pool_run(pool, rows, grain(cols * 2), layer_rows, &s);
}

void hone__rms_norm_f32(const float *x, float *y, size_t rows, size_t cols, float eps, const float *gamma,
                        float *inv_std_out, hone__pool *pool)
{
    struct layer s = {x, y, cols, eps, gamma, NULL, NULL, inv_std_out, 0};
    hone__pool_run(pool, rows, grain(cols * 2), layer_rows, &s);
}

struct reduce {
    hone__reduce kind;
    const float *x;
    float *y;
    size_t axis, inner;
};

static float log_sum_exp(const float *x, size_t n, size_t step)
{
    float top = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if (!(x[i * step] <= top)) top = x[i * step];
    if (isinf(top) || isnan(top)) return top;
    for (size_t i = 0; i < n; i++) sum += expf(x[i * step] - top);
    return top + logf((float)sum);
}

static float extreme(hone__reduce kind, const float *x, size_t n, size_t step)
{
    float best = kind == HONE__REDUCE_MAX ? -INFINITY : INFINITY;
    for (size_t i = 0; i < n; i++) {
        float v = x[i * step];
        if (isnan(v)) return v;
        if (kind == HONE__REDUCE_MAX ? v > best : v < best) best = v;
    }
    return best;
}

static float reduce_line(hone__reduce kind, const float *x, size_t n, size_t step)
{
    if (kind == HONE__REDUCE_MAX || kind == HONE__REDUCE_MIN) return extreme(kind, x, n, step);
    if (kind == HONE__REDUCE_LOGSUMEXP) return log_sum_exp(x, n, step);
    double sum = kind == HONE__REDUCE_PROD;
    for (size_t i = 0; i < n; i++) {
        double v = x[i * step];
        if (kind == HONE__REDUCE_PROD)
            sum *= v;
        else if (kind == HONE__REDUCE_SUMSQ || kind == HONE__REDUCE_L2)
            sum += v * v;
        else if (kind == HONE__REDUCE_L1)
            sum += fabs(v);
        else
            sum += v;
    }
    if (kind == HONE__REDUCE_MEAN) return (float)(sum / (double)n);
    if (kind == HONE__REDUCE_L2) return (float)sqrt(sum);
    if (kind == HONE__REDUCE_LOGSUM) return (float)log(sum);
    return (float)sum;
}

static void reduce_lines(void *ctx, size_t begin, size_t end, int thread)
{
    struct reduce *s = ctx;
    (void)thread;
    for (size_t line = begin; line < end; line++)
        s->y[line] =
            reduce_line(s->kind, s->x + line / s->inner * s->axis * s->inner + line % s->inner, s->axis, s->inner);
}

void hone__reduce_f32(hone__reduce kind, const float *x, float *y, size_t outer, size_t axis, size_t inner,
                      hone__pool *pool)
{
    struct reduce s = {kind, x, y, axis, inner};
    hone__pool_run(pool, outer * inner, grain(axis), reduce_lines, &s);
}
