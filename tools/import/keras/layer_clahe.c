/* layer_clahe.c: ContrastLimitedAdaptiveHistogramEqualization: a histogram of each tile of an image, cut off, summed
 * up, and looked up between the tiles. */
#include <math.h>
#include <string.h>

#include "keras.h"

enum { LEVELS = 256, MOST_PIXELS = 1 << 22 };

/* One axis: its tiles, and for every pixel the two tiles between which it lies. */
typedef struct axis {
    int64_t size, grid, tile;
    int64_t *low, *high, *mirrored; /* [size], [size], [grid * tile] */
    float *share;                   /* [size], of the upper one */
} axis;

static int64_t within(float v, int64_t grid)
{
    int64_t i = (int64_t)v;
    i = i < 0 ? 0 : i > grid + 1 ? grid + 1 : i; /* the outermost tiles are repeated once */
    return i < 1 ? 0 : i > grid ? grid - 1 : i - 1;
}

static bool make_axis(kctx *c, axis *a)
{
    a->tile = (a->size + a->grid - 1) / a->grid;
    int64_t all = a->tile * a->grid;
    a->low = hone__k_alloc(c, (size_t)a->size * sizeof *a->low);
    a->high = hone__k_alloc(c, (size_t)a->size * sizeof *a->high);
    a->share = hone__k_alloc(c, (size_t)a->size * sizeof *a->share);
    a->mirrored = hone__k_alloc(c, (size_t)all * sizeof *a->mirrored);
    if (!a->low || !a->high || !a->share || !a->mirrored) return false;
    if (all > 2 * a->size)
        return hone__k_shape_error(c, "%lld tiles over %lld pixels", (long long)a->grid, (long long)a->size) == HONE_OK;
    for (int64_t i = 0; i < all; i++) a->mirrored[i] = i < a->size ? i : 2 * a->size - 1 - i;
    for (int64_t i = 0; i < a->size; i++) {
        float at = ((float)i - (float)a->tile / 2.0f) / (float)a->tile + 1.0f, first = floorf(at);
        a->low[i] = within(first, a->grid), a->high[i] = within(first + 1, a->grid), a->share[i] = at - first;
    }
    return true;
}

/* [batch, channels, height, width] -> whole levels of every tile, [batch, channels, tiles, pixels] */
static hone__value *tiles(kctx *c, hone__value *x, int64_t channels, const axis *a)
{
    int64_t split[6] = {-1, channels, a[0].grid, a[0].tile, a[1].grid, a[1].tile},
            joined[4] = {-1, channels, a[0].grid * a[1].grid, a[0].tile * a[1].tile};
    for (int i = 0; i < 2; i++)
        if (a[i].tile * a[i].grid > a[i].size)
            x = hone__emit(&c->b, "Gather", "mirrored",
                           HONE__INS(x, hone__k_ints(c, a[i].mirrored, (size_t)(a[i].tile * a[i].grid))),
                           HONE__ATTRS(hone__a_int("axis", 2 + i)));
    x = hone__k_transpose(c, hone__k_reshape(c, x, 6, split), 6, (int64_t[]){0, 1, 2, 4, 3, 5});
    return hone__k_reshape(c, x, 4, joined);
}

static hone__value *levels_of(kctx *c, hone__value *x)
{
    hone__value *zero = hone__k_scalar(c, 0, HONE_F32), *top = hone__k_scalar(c, LEVELS - 1, HONE_F32);
    return hone__k_cast(c, hone__emit(&c->b, "Clip", "clip", HONE__INS(x, zero, top), HONE__NO_ATTRS), HONE_I64);
}

/* levels: [batch, channels, tiles, pixels] -> how often each occurs, [batch, channels, tiles, LEVELS] */
static hone__value *histograms(kctx *c, hone__value *levels)
{
    hone__value *shape[2] = {hone__k_shape_of(c, levels, 0, 3), hone__k_int(c, LEVELS)};
    hone__value *none = hone__k2(c, "Expand", hone__k_scalar(c, 0, HONE_F32), hone__k_concat(c, shape, 2, 0)),
                *ones = hone__k2(c, "Expand", hone__k_scalar(c, 1, HONE_F32), hone__k_shape_of(c, levels, 0, 4));
    return hone__emit(&c->b, "ScatterElements", "histogram", HONE__INS(none, levels, ones),
                      HONE__ATTRS(hone__a_int("axis", 3), hone__a_string("reduction", "add")));
}

/* What is above the limit is spread over all levels. */
static hone__value *cut_off(kctx *c, hone__value *h, double limit)
{
    int64_t last = 3;
    hone__value *cut =
        hone__emit(&c->b, "Clip", "limit",
                   HONE__INS(h, hone__k_scalar(c, 0, HONE_F32), hone__k_scalar(c, limit, HONE_F32)), HONE__NO_ATTRS);
    hone__value *excess = hone__k_reduce(c, "ReduceSum", hone__k2(c, "Sub", h, cut), &last, 1, true);
    return hone__k2(c, "Add", cut, hone__k2(c, "Div", excess, hone__k_scalar(c, LEVELS, HONE_F32)));
}

/* The new level of each level of each tile. */
static hone__value *curves(kctx *c, hone__value *h, double pixels)
{
    int64_t last = 3;
    hone__value *top = hone__k_scalar(c, LEVELS - 1, HONE_F32), *zero = hone__k_scalar(c, 0, HONE_F32);
    hone__value *sum = hone__k2(c, "CumSum", h, hone__k_scalar(c, 3, HONE_I64));
    hone__value *least = hone__k_reduce(c, "ReduceMin", sum, &last, 1, true);
    hone__value *span = hone__k2(c, "Sub", hone__k_scalar(c, pixels, HONE_F32), least);
    span =
        hone__emit(&c->b, "Where", "span",
                   HONE__INS(hone__k2(c, "Equal", span, zero), hone__k_scalar(c, 1, HONE_F32), span), HONE__NO_ATTRS);
    hone__value *y = hone__k2(c, "Div", hone__k2(c, "Mul", hone__k2(c, "Sub", sum, least), top), span);
    return hone__emit(&c->b, "Clip", "curve", HONE__INS(y, zero, top), HONE__NO_ATTRS);
}

/* The levels of all pixels through the curves of one of the four tiles around each. flat: [rows, tiles * LEVELS],
 * pixels: [rows, height * width] */
static hone__value *through(kctx *c, hone__value *flat, hone__value *pixels, const axis *a, const int64_t *y,
                            const int64_t *x)
{
    int64_t n = a[0].size * a[1].size, *start = hone__k_alloc(c, (size_t)n * sizeof *start);
    for (int64_t i = 0; start && i < n; i++) start[i] = (y[i / a[1].size] * a[1].grid + x[i % a[1].size]) * LEVELS;
    if (!start) return NULL;
    hone__value *at = hone__k2(c, "Add", pixels, hone__k_ints(c, start, (size_t)n));
    return hone__emit(&c->b, "GatherElements", "level", HONE__INS(flat, at), HONE__ATTRS(hone__a_int("axis", 1)));
}

/* (1 - share) p + share q, where share is along axis `i` of the image. */
static hone__value *between(kctx *c, const axis *a, int i, hone__value *p, hone__value *q)
{
    int64_t n = a[0].size * a[1].size;
    float *s = hone__k_alloc(c, (size_t)n * sizeof *s), *rest = hone__k_alloc(c, (size_t)n * sizeof *rest);
    if (!s || !rest) return NULL;
    for (int64_t k = 0; k < n; k++) {
        s[k] = a[i].share[i ? k % a[1].size : k / a[1].size];
        rest[k] = 1.0f - s[k];
    }
    return hone__k2(c, "Add", hone__k2(c, "Mul", p, hone__emit_f32(&c->b, "rest", rest, 1, &n)),
                    hone__k2(c, "Mul", q, hone__emit_f32(&c->b, "share", s, 1, &n)));
}

hone_status hone__klayer_clahe(kctx *c, klayer *l, kcall *call)
{
    kview v;
    axis a[2] = {0};
    int64_t grid[2];
    const json_t *range = hone__kcfg(l, "value_range");
    double from = range ? hone__kjson_num(json_array_get(range, 0), 0) : 0,
           to = range ? hone__kjson_num(json_array_get(range, 1), 255) : 255,
           limit = hone__kcfg_num(c, l, "clip_limit", 4);
    hone__kcfg_ints(c, l, "tile_grid_size", 2, 8, 1, 1 << 12, grid);
    if (!hone__kview_of(c, l, call->in[0], 2, &v)) return c->b.status;
    if (!(from < to)) return hone__k_refuse(c, "a value range from %g to %g", from, to);
    if (v.size[0] < 1 || v.size[1] < 1 || v.channels < 1) return hone__k_refuse(c, "an image of unknown size");
    if (v.size[0] > MOST_PIXELS / v.size[1]) return hone__k_refuse(c, "an image of over %d pixels", MOST_PIXELS);
    for (int i = 0; i < 2; i++) {
        a[i].size = v.size[i], a[i].grid = grid[i];
        if (!make_axis(c, &a[i])) return c->b.status;
    }
    int64_t pixels = a[0].tile * a[1].tile, image = v.size[0] * v.size[1];
    hone__value *x = hone__k_ranged(c, v.x, from, to, 0, 255), *levels = levels_of(c, x);
    hone__value *h = histograms(c, tiles(c, levels, v.channels, a));
    if (limit > 0) h = cut_off(c, h, limit * (double)pixels / LEVELS);
    hone__value *flat =
        hone__k_reshape(c, curves(c, h, (double)pixels), 2, (int64_t[]){-1, a[0].grid * a[1].grid * LEVELS});
    levels = hone__k_reshape(c, levels, 2, (int64_t[]){-1, image});
    hone__value *rows[2];
    for (int i = 0; i < 2; i++) {
        const int64_t *y = i ? a[0].high : a[0].low;
        rows[i] = between(c, a, 1, through(c, flat, levels, a, y, a[1].low), through(c, flat, levels, a, y, a[1].high));
    }
    x = hone__k_reshape(c, between(c, a, 0, rows[0], rows[1]), 4, (int64_t[]){-1, v.channels, v.size[0], v.size[1]});
    return hone__k_return(c, call, hone__kview_back(c, &v, hone__k_ranged(c, x, 0, 255, from, to), v.channels, v.size));
}
