/* pool.c: pooling windows. */
#include "kernels/pool/pool.h"

#include <math.h>

/* A pooling shape with exactly three spatial axes. */
typedef struct window {
    const hone__pool_shape *s;
    size_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3];
    size_t in_size, out_size;
} window;

static window window_of(const hone__pool_shape *s)
{
    window w = {s, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}, 0, 0};
    for (int d = 0; d < s->rank; d++) {
        int to = d + 3 - s->rank;
        w.in[to] = s->in[d], w.out[to] = s->out[d], w.kernel[to] = s->kernel[d];
        w.stride[to] = s->stride[d], w.dilation[to] = s->dilation[d];
        w.pad[to] = s->pad[d], w.pad_end[to] = s->pad_end[d];
    }
    w.in_size = w.in[0] * w.in[1] * w.in[2];
    w.out_size = w.out[0] * w.out[1] * w.out[2];
    return w;
}

/* Taps [*first, *last) of axis d that lie inside the input for output position o; the tap t reads *at + t * dilation
 * (a wrapped size_t when negative, which is never read). */
static void taps(const window *w, int d, size_t o, size_t *first, size_t *last, size_t *at)
{
    size_t start = o * w->stride[d], step = w->dilation[d], n = w->kernel[d];
    *at = start - w->pad[d];
    *first = start >= w->pad[d] ? 0 : (w->pad[d] - start + step - 1) / step;
    size_t room = w->in[d] + w->pad[d] > start ? w->in[d] + w->pad[d] - start : 0;
    size_t end = (room + step - 1) / step;
    *last = end < n ? end : n;
    if (*first > *last) *first = *last;
}

struct job {
    window w;
    const void *x;
    void *y;
    int64_t *indices;
    int column_major, include_pad;
};

/* Visits every element of the window of output position o. */
#define EACH_TAP(w, o, i, ...)                                                                                        \
    do {                                                                                                              \
        size_t f_[3], l_[3], a_[3];                                                                                   \
        taps((w), 0, (o) / (w)->out[2] / (w)->out[1], &f_[0], &l_[0], &a_[0]);                                        \
        taps((w), 1, (o) / (w)->out[2] % (w)->out[1], &f_[1], &l_[1], &a_[1]);                                        \
        taps((w), 2, (o) % (w)->out[2], &f_[2], &l_[2], &a_[2]);                                                      \
        for (size_t d_ = f_[0]; d_ < l_[0]; d_++)                                                                     \
            for (size_t h_ = f_[1]; h_ < l_[1]; h_++)                                                                 \
                for (size_t w_ = f_[2]; w_ < l_[2]; w_++) {                                                           \
                    size_t i =                                                                                        \
                        ((a_[0] + d_ * (w)->dilation[0]) * (w)->in[1] + a_[1] + h_ * (w)->dilation[1]) * (w)->in[2] + \
                        a_[2] + w_ * (w)->dilation[2];                                                                \
                    __VA_ARGS__                                                                                       \
                }                                                                                                     \
    } while (0)

static int64_t index_of(const struct job *j, size_t plane, size_t i)
{
    const window *w = &j->w;
    if (j->column_major) {
        size_t c = i % w->in[2], r = i / w->in[2] % w->in[1], d = i / w->in[2] / w->in[1];
        /* the first spatial axis of the caller's rank runs fastest */
        i = w->s->rank == 1 ? c : w->s->rank == 2 ? c * w->in[1] + r : (c * w->in[1] + r) * w->in[0] + d;
    }
    return (int64_t)(plane * w->in_size + i);
}

static void max_f32(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const window *w = &j->w;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        const float *x = (const float *)j->x + p * w->in_size;
        float *y = (float *)j->y + p * w->out_size;
        for (size_t o = 0; o < w->out_size; o++) {
            float best = -INFINITY;
            size_t at = SIZE_MAX;
            EACH_TAP(w, o, i, {
                if (at == SIZE_MAX || x[i] > best || (isnan(x[i]) && !isnan(best))) best = x[i], at = i;
            });
            y[o] = best;
            if (j->indices) j->indices[p * w->out_size + o] = at == SIZE_MAX ? -1 : index_of(j, p, at);
        }
    }
}

static void max_u8(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const window *w = &j->w;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        const uint8_t *x = (const uint8_t *)j->x + p * w->in_size;
        uint8_t *y = (uint8_t *)j->y + p * w->out_size;
        for (size_t o = 0; o < w->out_size; o++) {
            uint8_t best = 0;
            EACH_TAP(w, o, i, {
                if (x[i] > best) best = x[i];
            });
            y[o] = best;
        }
    }
}

static void max_s8(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const window *w = &j->w;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        const int8_t *x = (const int8_t *)j->x + p * w->in_size;
        int8_t *y = (int8_t *)j->y + p * w->out_size;
        for (size_t o = 0; o < w->out_size; o++) {
            int8_t best = -128;
            EACH_TAP(w, o, i, {
                if (x[i] > best) best = x[i];
            });
            y[o] = best;
        }
    }
}

/* How many positions of the window at o lie in the padded extent, along axis d. */
static size_t padded_taps(const window *w, int d, size_t o)
{
    size_t start = o * w->stride[d], extent = w->in[d] + w->pad[d] + w->pad_end[d];
    size_t room = extent > start ? (extent - start + w->dilation[d] - 1) / w->dilation[d] : 0;
    return room < w->kernel[d] ? room : w->kernel[d];
}

static void average_f32(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const window *w = &j->w;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        const float *x = (const float *)j->x + p * w->in_size;
        float *y = (float *)j->y + p * w->out_size;
        for (size_t o = 0; o < w->out_size; o++) {
            float sum = 0;
            size_t count = 0;
            EACH_TAP(w, o, i, { sum += x[i], count++; });
            if (j->include_pad)
                count = padded_taps(w, 0, o / w->out[2] / w->out[1]) * padded_taps(w, 1, o / w->out[2] % w->out[1]) *
                        padded_taps(w, 2, o % w->out[2]);
            y[o] = count ? sum / (float)count : 0;
        }
    }
}

static size_t grain(const window *w)
{
    size_t cost = w->out_size * w->kernel[0] * w->kernel[1] * w->kernel[2];
    return cost >= 8192 ? 1 : 8192 / (cost + 1) + 1;
}

void hone__max_pool_f32(const hone__pool_shape *s, const float *x, float *y, int64_t *indices, int column_major,
                        hone__pool *pool)
{
    struct job j = {window_of(s), x, y, indices, column_major, 0};
    hone__pool_run(pool, s->planes, grain(&j.w), max_f32, &j);
}

void hone__max_pool_u8(const hone__pool_shape *s, const uint8_t *x, uint8_t *y, hone__pool *pool)
{
    struct job j = {window_of(s), x, y, NULL, 0, 0};
    hone__pool_run(pool, s->planes, grain(&j.w), max_u8, &j);
}

void hone__max_pool_s8(const hone__pool_shape *s, const int8_t *x, int8_t *y, hone__pool *pool)
{
    struct job j = {window_of(s), x, y, NULL, 0, 0};
    hone__pool_run(pool, s->planes, grain(&j.w), max_s8, &j);
}

void hone__average_pool_f32(const hone__pool_shape *s, const float *x, float *y, int count_include_pad,
                            hone__pool *pool)
{
    struct job j = {window_of(s), x, y, NULL, 0, count_include_pad};
    hone__pool_run(pool, s->planes, grain(&j.w), average_f32, &j);
}
