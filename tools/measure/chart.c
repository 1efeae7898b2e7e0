/* chart.c: horizontal bars with error bars, for print and screen. Cairo is loaded when the first chart is drawn, so
 * that no other run of the command pays for it. */
#include <cairo-svg.h>
#include <cairo.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "bench.h"

/* clang-format never comes to rest on this list. */
/* clang-format off */
#define FUNCTIONS(F) \
    F(image_surface_create) F(svg_surface_create_for_stream) F(create) F(destroy) F(surface_destroy) \
    F(surface_write_to_png_stream) F(set_source_rgb) F(rectangle) F(fill) F(paint) F(move_to) F(line_to) F(stroke) \
    F(set_line_width) F(set_font_size) F(select_font_face) F(show_text) F(text_extents) F(status) F(surface_finish) \
    F(surface_status) F(debug_reset_static_data)
/* clang-format on */

static struct {
#define F(name) __typeof__(&cairo_##name) name;
    FUNCTIONS(F)
#undef F
    void *library;
} cairo;

static hone_status load(void)
{
    if (cairo.library) return HONE_OK;
    void *lib = dlopen("libcairo.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!lib) return hone__fail(HONE_E_UNSUPPORTED, "plots need libcairo2, which is not installed");
#define F(name)                                         \
    *(void **)&cairo.name = dlsym(lib, "cairo_" #name); \
    if (!cairo.name) return hone__fail(HONE_E_UNSUPPORTED, "this libcairo2 has no cairo_" #name);
    FUNCTIONS(F)
#undef F
    cairo.library = lib;
    return HONE_OK;
}

void hone__chart_close(void)
{
    if (!cairo.library) return;
    cairo.debug_reset_static_data();
    void (*fini)(void);
    *(void **)&fini = dlsym(cairo.library, "FcFini"); /* of fontconfig, which cairo draws in */
    if (fini) fini();
}

enum { WIDTH = 960, ROW = 30, TOP = 64, BOTTOM = 64, RIGHT = 90, GAP = 12 };

/* Linear from 0, or, where the largest is over 30 times the smallest, decades. */
typedef struct scale {
    bool decades;
    double low, high, left, width;
} scale;

static double place(const scale *s, double v)
{
    double t =
        s->decades ? (log10(v > s->low ? v : s->low) - log10(s->low)) / (log10(s->high) - log10(s->low)) : v / s->high;
    return s->left + s->width * (t < 0 ? 0 : t > 1 ? 1 : t);
}

static scale make_scale(const hone__chart *c, double left)
{
    double low = INFINITY, high = 0;
    for (size_t i = 0; i < c->count; i++) {
        const hone__bar *b = &c->bars[i];
        if (b->value > 0 && b->value < low) low = b->value;
        if (b->low > 0 && b->low < low) low = b->low;
        if (b->value > high) high = b->value;
        if (b->high > high) high = b->high;
    }
    if (!(high > 0)) high = 1, low = 1;
    scale s = {.decades = high / low > 30,
               .low = pow(10, floor(log10(low))),
               .high = high,
               .left = left,
               .width = WIDTH - left - RIGHT};
    if (s.decades)
        s.high = pow(10, ceil(log10(high)));
    else {
        double step = pow(10, floor(log10(high)));
        s.high = ceil(high / step * 2) * step / 2;
    }
    return s;
}

static void text(cairo_t *k, double x, double y, double size, double align, const char *s)
{
    cairo_text_extents_t e;
    cairo.set_font_size(k, size);
    cairo.text_extents(k, s, &e);
    cairo.move_to(k, x - align * e.x_advance, y);
    cairo.show_text(k, s);
}

static double label_width(cairo_t *k, const hone__chart *c)
{
    double w = 0;
    cairo_text_extents_t e;
    cairo.set_font_size(k, 13);
    for (size_t i = 0; i < c->count; i++) {
        cairo.text_extents(k, c->bars[i].label, &e);
        if (e.x_advance > w) w = e.x_advance;
    }
    return w;
}

/* A heading above the bar takes a row of its own. */
static bool is_headed(const hone__chart *c, size_t i)
{
    return c->bars[i].group && (!i || strcmp(c->bars[i].group, c->bars[i - 1].group) != 0);
}

static size_t rows_of(const hone__chart *c)
{
    size_t rows = c->count;
    for (size_t i = 0; i < c->count; i++) rows += is_headed(c, i);
    return rows;
}

static void grid(cairo_t *k, const hone__chart *c, const scale *s)
{
    double bottom = TOP + ROW * (double)rows_of(c) + 6;
    char number[32];
    cairo.set_line_width(k, 1);
    for (int i = 0; i <= 5; i++) {
        double v = s->decades ? s->low * pow(10, i) : s->high * i / 5;
        if (v > s->high * 1.0001) break;
        double x = place(s, v);
        cairo.set_source_rgb(k, 0.85, 0.85, 0.85);
        cairo.move_to(k, x, TOP - 4);
        cairo.line_to(k, x, bottom);
        cairo.stroke(k);
        cairo.set_source_rgb(k, 0.25, 0.25, 0.25);
        snprintf(number, sizeof number, "%.4g", v);
        text(k, x, bottom + 16, 12, 0.5, number);
    }
    text(k, s->left + s->width, bottom + 34, 12, 1, c->unit);
    if (s->decades) text(k, s->left, bottom + 34, 12, 0, "each step is ten times the one before");
}

static void bar(cairo_t *k, const hone__bar *b, const scale *s, double y)
{
    double x = place(s, b->value), end = x;
    char number[32];
    cairo.set_source_rgb(k, 0, 0, 0);
    text(k, s->left - GAP, y + 19, 13, 1, b->label);
    if (b->strong)
        cairo.set_source_rgb(k, 0.10, 0.34, 0.55);
    else
        cairo.set_source_rgb(k, 0.66, 0.73, 0.80);
    cairo.rectangle(k, s->left, y + 5, x - s->left, ROW - 10);
    cairo.fill(k);
    if (b->high > b->low) {
        double a = place(s, b->low), z = place(s, b->high);
        if (z > end) end = z;
        cairo.set_source_rgb(k, 0, 0, 0);
        cairo.set_line_width(k, 1.4);
        cairo.move_to(k, a, y + ROW / 2.0);
        cairo.line_to(k, z, y + ROW / 2.0);
        cairo.move_to(k, a, y + 10);
        cairo.line_to(k, a, y + ROW - 10);
        cairo.move_to(k, z, y + 10);
        cairo.line_to(k, z, y + ROW - 10);
        cairo.stroke(k);
    }
    cairo.set_source_rgb(k, 0, 0, 0);
    snprintf(number, sizeof number, b->value < 100 ? "%.3g" : "%.0f", b->value);
    text(k, end + 6, y + 19, 13, 0, number);
}

static void draw(cairo_t *k, const hone__chart *c)
{
    size_t row = 0;
    cairo.set_source_rgb(k, 1, 1, 1);
    cairo.paint(k);
    cairo.select_font_face(k, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    double w = label_width(k, c);
    scale s = make_scale(c, 16 + (w < WIDTH / 2.0 ? w : WIDTH / 2.0) + GAP);
    cairo.set_source_rgb(k, 0, 0, 0);
    text(k, 16, 26, 18, 0, c->title);
    cairo.set_source_rgb(k, 0.3, 0.3, 0.3);
    text(k, 16, 46, 12, 0, c->footnote);
    grid(k, c, &s);
    for (size_t i = 0; i < c->count; i++) {
        cairo.set_source_rgb(k, 0, 0, 0);
        if (is_headed(c, i)) text(k, 16, TOP + ROW * (double)row++ + 21, 14, 0, c->bars[i].group);
        bar(k, &c->bars[i], &s, TOP + ROW * (double)row++);
    }
}

static int height_of(const hone__chart *c) { return TOP + ROW * (int)rows_of(c) + BOTTOM; }

typedef struct sink {
    char *data;
    size_t used, capacity;
} sink;

static cairo_status_t collect(void *ctx, const unsigned char *data, unsigned n)
{
    sink *s = ctx;
    if (s->used + n > s->capacity) {
        size_t want = 2 * (s->used + n);
        char *grown = realloc(s->data, want);
        if (!grown) return CAIRO_STATUS_NO_MEMORY;
        s->data = grown;
        s->capacity = want;
    }
    memcpy(s->data + s->used, data, n);
    s->used += n;
    return CAIRO_STATUS_SUCCESS;
}

static hone_status render(const hone__chart *c, bool svg, sink *out)
{
    HONE__TRY(load());
    cairo_surface_t *surface = svg ? cairo.svg_surface_create_for_stream(collect, out, WIDTH, height_of(c))
                                   : cairo.image_surface_create(CAIRO_FORMAT_RGB24, WIDTH, height_of(c));
    cairo_t *k = cairo.create(surface);
    draw(k, c);
    bool ok = cairo.status(k) == CAIRO_STATUS_SUCCESS;
    cairo.destroy(k);
    if (svg)
        cairo.surface_finish(surface);
    else if (ok)
        ok = cairo.surface_write_to_png_stream(surface, collect, out) == CAIRO_STATUS_SUCCESS;
    ok = ok && cairo.surface_status(surface) <= CAIRO_STATUS_SURFACE_FINISHED && out->used;
    cairo.surface_destroy(surface);
    return ok ? HONE_OK : hone__fail(HONE_E_MEMORY, "a plot could not be drawn");
}

hone_status hone__chart_svg(const hone__chart *c, char **svg, size_t *size)
{
    sink s = {0};
    hone_status st = render(c, true, &s);
    if (st == HONE_OK && collect(&s, (const unsigned char *)"", 1) != CAIRO_STATUS_SUCCESS) st = HONE_E_MEMORY;
    if (st != HONE_OK) {
        free(s.data);
        return st;
    }
    *svg = s.data;
    *size = s.used;
    return HONE_OK;
}

hone_status hone__chart_png(const hone__chart *c, const char *path)
{
    sink s = {0};
    hone__output o;
    hone_status st = render(c, false, &s);
    if (st == HONE_OK) st = hone__output_open(path, &o);
    if (st == HONE_OK) {
        st = hone__output_write(&o, s.data, s.used);
        if (st == HONE_OK)
            st = hone__output_commit(&o);
        else
            hone__output_abandon(&o);
    }
    free(s.data);
    return st;
}
