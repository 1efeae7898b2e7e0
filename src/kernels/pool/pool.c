/* pool.c: pooling: rows of a window are merged into one line first, then the line is reduced along the width. */
#include "kernels/pool/pool.h"

#include <math.h>
#include <string.h>

#include "kernels/pool/pool_parts.h"
#include "kernels/tile/tile.h"
#include "kernels/vec/vec.h"

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
    uint8_t flip; /* int8: bytes are compared unsigned after this */
    const hone__pool_table *parts;
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

/* Every element looked at on its own: for indices, and for windows wider than a line. */
static void max_each_f32(void *ctx, size_t begin, size_t end, int thread)
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

enum { LINE = 2048 /* elements of the merged line */, SPILL = 16 };

/* A run of outputs of one output row: [first, first + count), reading line elements that stand for input columns
 * column + i, of which [inside, inside_end) exist. */
typedef struct piece {
    size_t first, count, length, inside, inside_end;
    size_t column; /* input column of line element `inside` */
} piece;

static size_t line_extent(const window *w) { return (w->kernel[2] - 1) * w->dilation[2] + 1; }

/* Whether windows fit a line. */
static int fits(const window *w) { return line_extent(w) + w->stride[2] <= LINE; }

static piece piece_at(const window *w, size_t first)
{
    size_t extent = line_extent(w), start = first * w->stride[2], pad = w->pad[2];
    piece p = {.first = first, .count = (LINE - extent) / w->stride[2] + 1};
    if (p.count > w->out[2] - first) p.count = w->out[2] - first;
    p.length = (p.count - 1) * w->stride[2] + extent;
    p.inside = start >= pad ? 0 : pad - start;
    if (p.inside > p.length) p.inside = p.length;
    size_t room = w->in[2] + pad > start ? w->in[2] + pad - start : 0;
    p.inside_end = room < p.length ? room : p.length;
    if (p.inside_end < p.inside) p.inside_end = p.inside;
    p.column = start + p.inside - pad;
    return p;
}

/* Calls body with `row` = offset in the plane of each input row of the window of output row `o` (depth and height). */
#define EACH_ROW(w, o, row, ...)                                                                                 \
    do {                                                                                                         \
        size_t f_[2], l_[2], a_[2];                                                                              \
        taps((w), 0, (o) / (w)->out[1], &f_[0], &l_[0], &a_[0]);                                                 \
        taps((w), 1, (o) % (w)->out[1], &f_[1], &l_[1], &a_[1]);                                                 \
        for (size_t d_ = f_[0]; d_ < l_[0]; d_++)                                                                \
            for (size_t h_ = f_[1]; h_ < l_[1]; h_++) {                                                          \
                size_t row =                                                                                     \
                    ((a_[0] + d_ * (w)->dilation[0]) * (w)->in[1] + a_[1] + h_ * (w)->dilation[1]) * (w)->in[2]; \
                __VA_ARGS__                                                                                      \
            }                                                                                                    \
    } while (0)

/* How often elements are merged in pairs: log2 of the kernel where windows just touch, else 0. */
static int pairings(const window *w)
{
    size_t k = w->kernel[2];
    if (k != w->stride[2] || (k > 1 && w->dilation[2] != 1) || (k & (k - 1))) return 0;
    int n = 0;
    while (k > 1) k /= 2, n++;
    return n;
}

/* to[i] = line[i * stride of the width] for i < n; up to SPILL elements behind may be overwritten. */
static void take(const window *w, const float *line, size_t n, float *to)
{
    size_t step = w->stride[2];
    if (step == 1)
        memcpy(to, line, n * sizeof *to);
    else if (step == 2)
        hone__tile()->copy_rows_f32(line, 0, 2, 1, n, 0, n, to);
    else
        for (size_t i = 0; i < n; i++) to[i] = line[i * step];
}

static void line_max_f32(const struct job *j, const piece *p, float *line, float *y)
{
    const window *w = &j->w;
    int pairs = pairings(w);
    if (pairs && w->stride[2] > 1) {
        for (int i = pairs; i > 0; i--) j->parts->pair_max_f32(line, i > 1 ? line : y, p->count << (i - 1));
        return;
    }
    float best[LINE + SPILL], other[LINE + SPILL];
    take(w, line, p->count, best);
    for (size_t k = 1; k < w->kernel[2]; k++) {
        const float *at = line + k * w->dilation[2];
        if (w->stride[2] > 1) take(w, at, p->count, other);
        j->parts->max_into_f32(w->stride[2] > 1 ? other : at, best, p->count);
    }
    memcpy(y, best, p->count * sizeof *y);
}

static void max_lines_f32(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const window *w = &j->w;
    float line[LINE];
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        const float *x = (const float *)j->x + p * w->in_size;
        float *y = (float *)j->y + p * w->out_size;
        for (size_t o = 0; o < w->out[0] * w->out[1]; o++)
            for (size_t first = 0; first < w->out[2];) {
                piece q = piece_at(w, first);
                size_t n = q.inside_end - q.inside, rows = 0;
                for (size_t i = 0; i < q.inside; i++) line[i] = -INFINITY;
                for (size_t i = q.inside_end; i < q.length; i++) line[i] = -INFINITY;
                EACH_ROW(w, o, row, {
                    const float *from = x + row + q.column;
                    if (rows++ == 0)
                        memcpy(line + q.inside, from, n * sizeof *line);
                    else
                        j->parts->max_into_f32(from, line + q.inside, n);
                });
                if (!rows)
                    for (size_t i = q.inside; i < q.inside_end; i++) line[i] = -INFINITY;
                line_max_f32(j, &q, line, y + o * w->out[2] + first);
                first += q.count;
            }
    }
}

static void line_max_u8(const struct job *j, const piece *p, uint8_t *line, uint8_t *y)
{
    const window *w = &j->w;
    int pairs = pairings(w);
    if (w->stride[2] == 1) {
        memcpy(y, line, p->count);
        for (size_t k = 1; k < w->kernel[2]; k++) j->parts->max_into_u8(line + k * w->dilation[2], 0, y, p->count);
    } else if (pairs) {
        for (int i = pairs; i > 0; i--) j->parts->pair_max_u8(line, i > 1 ? line : y, p->count << (i - 1));
    } else {
        for (size_t o = 0; o < p->count; o++) {
            const uint8_t *at = line + o * w->stride[2];
            uint8_t best = at[0];
            for (size_t k = 1; k < w->kernel[2]; k++)
                if (at[k * w->dilation[2]] > best) best = at[k * w->dilation[2]];
            y[o] = best;
        }
    }
    if (j->flip)
        for (size_t o = 0; o < p->count; o++) y[o] ^= j->flip;
}

static void max_lines_u8(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const window *w = &j->w;
    uint8_t line[LINE];
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        const uint8_t *x = (const uint8_t *)j->x + p * w->in_size;
        uint8_t *y = (uint8_t *)j->y + p * w->out_size;
        for (size_t o = 0; o < w->out[0] * w->out[1]; o++)
            for (size_t first = 0; first < w->out[2];) {
                piece q = piece_at(w, first);
                memset(line, 0, q.length);
                EACH_ROW(w, o, row, {
                    j->parts->max_into_u8(x + row + q.column, j->flip, line + q.inside, q.inside_end - q.inside);
                });
                line_max_u8(j, &q, line, y + o * w->out[2] + first);
                first += q.count;
            }
    }
}

static void max_each_u8(void *ctx, size_t begin, size_t end, int thread)
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
                if ((x[i] ^ j->flip) > best) best = x[i] ^ j->flip;
            });
            y[o] = best ^ j->flip;
        }
    }
}

/* k where windows are k x k elements side by side, all of them inside the input, else 0. */
static size_t square(const window *w)
{
    size_t k = w->kernel[2];
    if ((k != 2 && k != 4) || w->kernel[0] != 1 || w->stride[0] != 1 || w->pad[0] || w->out[0] != w->in[0]) return 0;
    for (int d = 1; d < 3; d++)
        if (w->kernel[d] != k || w->stride[d] != k || w->dilation[d] != 1 || w->pad[d] || w->out[d] > w->in[d] / k)
            return 0;
    return k;
}

static void max_squares_f32(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const window *w = &j->w;
    size_t in = w->in[1] * w->in[2], out = w->out[1] * w->out[2];
    (void)thread;
    for (size_t p = begin * w->in[0]; p < end * w->in[0]; p++)
        j->parts->square_max_f32((const float *)j->x + p * in, w->in[2], w->kernel[2], w->out[1], w->out[2],
                                 (float *)j->y + p * out);
}

static void max_squares_u8(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const window *w = &j->w;
    size_t in = w->in[1] * w->in[2], out = w->out[1] * w->out[2];
    (void)thread;
    for (size_t p = begin * w->in[0]; p < end * w->in[0]; p++)
        j->parts->square_max_u8((const uint8_t *)j->x + p * in, w->in[2], j->flip, w->kernel[2], w->out[1], w->out[2],
                                (uint8_t *)j->y + p * out);
}

/* How many positions of the window at o lie in the padded extent, along axis d. */
static size_t padded_taps(const window *w, int d, size_t o)
{
    size_t start = o * w->stride[d], extent = w->in[d] + w->pad[d] + w->pad_end[d];
    size_t room = extent > start ? (extent - start + w->dilation[d] - 1) / w->dilation[d] : 0;
    return room < w->kernel[d] ? room : w->kernel[d];
}

/* Elements of the windows at output position o of axis d that count. */
static size_t counted(const struct job *j, int d, size_t o)
{
    size_t first, last, at;
    if (j->include_pad) return padded_taps(&j->w, d, o);
    taps(&j->w, d, o, &first, &last, &at);
    return last - first;
}

/* The same for (depth and height) row o. */
static size_t counted_rows(const struct job *j, size_t o)
{
    return counted(j, 0, o / j->w.out[1]) * counted(j, 1, o % j->w.out[1]);
}

/* Output columns [*first, *last) whose windows lie inside the input along the width. */
static void full_columns(const window *w, size_t *first, size_t *last)
{
    size_t extent = line_extent(w), step = w->stride[2], pad = w->pad[2];
    *first = (pad + step - 1) / step;
    *last = w->in[2] + pad >= extent ? (w->in[2] + pad - extent) / step + 1 : 0;
    if (*last > w->out[2]) *last = w->out[2];
    if (*first > *last) *first = *last;
}

static void average_each(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const window *w = &j->w;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        const float *x = (const float *)j->x + p * w->in_size;
        float *y = (float *)j->y + p * w->out_size;
        for (size_t o = 0; o < w->out_size; o++) {
            double sum = 0;
            EACH_TAP(w, o, i, { sum += x[i]; });
            size_t count = counted_rows(j, o / w->out[2]) * counted(j, 2, o % w->out[2]);
            y[o] = count ? (float)(sum / (double)count) : 0;
        }
    }
}

/* Sums along the width of a line that is summed up over rows; `rows`: how many of those count. */
static void line_average(const struct job *j, const piece *p, const float *line, size_t rows, float *y)
{
    const window *w = &j->w;
    float sum[LINE + SPILL], other[LINE + SPILL];
    size_t full, end, first = p->first, last = first + p->count;
    take(w, line, p->count, sum);
    for (size_t k = 1; k < w->kernel[2]; k++) {
        const float *at = line + k * w->dilation[2];
        if (w->stride[2] > 1) take(w, at, p->count, other);
        j->parts->add_into_f32(w->stride[2] > 1 ? other : at, sum, p->count);
    }
    full_columns(w, &full, &end);
    if (full < first) full = first;
    if (end > last) end = last;
    if (full > end) full = end = last; /* no window is full: each is counted */
    float whole = (float)(rows * w->kernel[2]);
    if (rows) hone__vec_binary(HONE__DIV, sum + full - first, 1, &whole, 0, y + full - first, end - full);
    for (size_t c = first; c < last; c++) {
        if (rows && c == full && full < end) c = end;
        if (c >= last) break;
        size_t count = rows * counted(j, 2, c);
        y[c - first] = count ? sum[c - first] / (float)count : 0;
    }
}

static void average_lines(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const window *w = &j->w;
    float line[LINE];
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        const float *x = (const float *)j->x + p * w->in_size;
        float *y = (float *)j->y + p * w->out_size;
        for (size_t o = 0; o < w->out[0] * w->out[1]; o++)
            for (size_t first = 0; first < w->out[2];) {
                piece q = piece_at(w, first);
                memset(line, 0, q.length * sizeof *line);
                EACH_ROW(w, o, row,
                         { j->parts->add_into_f32(x + row + q.column, line + q.inside, q.inside_end - q.inside); });
                line_average(j, &q, line, counted_rows(j, o), y + o * w->out[2] + first);
                first += q.count;
            }
    }
}

/* One window, and it is the whole plane. */
static int whole(const window *w)
{
    for (int d = 0; d < 3; d++)
        if (w->out[d] != 1 || w->kernel[d] != w->in[d] || w->pad[d] || (w->kernel[d] > 1 && w->dilation[d] != 1))
            return 0;
    return 1;
}

static void average_planes(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        const float *x = (const float *)j->x + p * j->w.in_size;
        ((float *)j->y)[p] = (float)(j->parts->sum_f32(x, j->w.in_size) / (double)j->w.in_size);
    }
}

/* Planes per piece of the loop: `enough` elements read and written. */
static size_t grain(const window *w, size_t enough)
{
    size_t cost = w->in_size + w->out_size;
    return cost >= enough ? 1 : enough / (cost + 1) + 1;
}

enum { SLOW = 16384, FAST = 65536, BYTES = 131072 /* elements that take a few microseconds */ };

static void max_pool_u8(struct job *j, size_t planes, hone__pool *pool)
{
    if (j->parts->square_max_u8 && square(&j->w))
        hone__pool_run(pool, planes, grain(&j->w, BYTES), max_squares_u8, j);
    else
        hone__pool_run(pool, planes, grain(&j->w, SLOW), fits(&j->w) ? max_lines_u8 : max_each_u8, j);
}

void hone__max_pool_f32(const hone__pool_shape *s, const float *x, float *y, int64_t *indices, int column_major,
                        hone__pool *pool)
{
    struct job j = {window_of(s), x, y, indices, column_major, 0, 0, hone__pool_parts()};
    if (!indices && j.parts->square_max_f32 && square(&j.w))
        hone__pool_run(pool, s->planes, grain(&j.w, FAST), max_squares_f32, &j);
    else
        hone__pool_run(pool, s->planes, grain(&j.w, SLOW), indices || !fits(&j.w) ? max_each_f32 : max_lines_f32, &j);
}

void hone__max_pool_u8(const hone__pool_shape *s, const uint8_t *x, uint8_t *y, hone__pool *pool)
{
    struct job j = {window_of(s), x, y, NULL, 0, 0, 0, hone__pool_parts()};
    max_pool_u8(&j, s->planes, pool);
}

void hone__max_pool_s8(const hone__pool_shape *s, const int8_t *x, int8_t *y, hone__pool *pool)
{
    struct job j = {window_of(s), x, y, NULL, 0, 0, 0x80, hone__pool_parts()};
    max_pool_u8(&j, s->planes, pool);
}

void hone__average_pool_f32(const hone__pool_shape *s, const float *x, float *y, int count_include_pad,
                            hone__pool *pool)
{
    struct job j = {window_of(s), x, y, NULL, 0, count_include_pad, 0, hone__pool_parts()};
    if (whole(&j.w)) {
        hone__pool_run(pool, s->planes, grain(&j.w, FAST), average_planes, &j);
        return;
    }
    /* many planes of few windows each: long lines gain nothing there */
    int lines = fits(&j.w) && j.w.kernel[0] * j.w.kernel[1] * j.w.kernel[2] <= 64;
    hone__pool_run(pool, s->planes, grain(&j.w, SLOW), lines ? average_lines : average_each, &j);
}
