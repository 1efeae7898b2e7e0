/* report.c: the plots, and report.html: one page, no script, readable in print. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "bench.h"

/* Texts are grouped by model: there its name stands above. */
static char *label_of(const hone__bench_row *r, bool grouped)
{
    char text[256];
    int n = snprintf(text, sizeof text, grouped ? "%s  %s" : "%s  %s  %s", r->engine, r->precision, r->model);
    if (n >= (int)sizeof text) n = sizeof text - 1;
    return hone__strndup(text, (size_t)n);
}

static const char *cpu_of(const hone__bench_results *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (*r->rows[i].cpu) return r->rows[i].cpu;
    return "";
}

static double tokens_of(const hone__bench_results *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->rows[i].tokens > 0) return r->rows[i].tokens;
    return 0;
}

typedef struct bars {
    hone__bar *items;
    size_t count;
} bars;

static void bars_free(bars *b)
{
    for (size_t i = 0; i < b->count; i++) hone__free((void *)(uintptr_t)b->items[i].label);
    hone__free(b->items);
}

static int by_value(const void *a, const void *b)
{
    const hone__bar *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

static hone__bar bar_of(const hone__bench_row *w, bool memory, bool tokens)
{
    double per = tokens ? w->tokens : 1;
    hone__bar b = {.group = tokens ? w->model : NULL,
                   .label = label_of(w, tokens),
                   .value = memory ? w->peak_rss_mb : w->warm_ms / per,
                   .strong = !strcmp(w->engine, "hone")};
    b.low = memory ? b.value : w->min_ms / per;
    b.high = memory ? b.value : w->p90_ms / per;
    return b;
}

/* Rows of a model follow each other where they are grouped: each group is sorted by itself. */
static hone_status make_bars(const hone__bench_results *r, bool memory, bars *out)
{
    bool tokens = hone__bench_per_token(r);
    size_t start = 0;
    out->count = 0;
    out->items = hone__calloc(r->count + 1, sizeof *out->items);
    if (!out->items) return hone__out_of_memory(r->count);
    for (size_t i = 0; i < r->count; i++) {
        if (!r->rows[i].runs) continue;
        hone__bar *b = &out->items[out->count];
        *b = bar_of(&r->rows[i], memory, tokens);
        if (!b->label) return HONE_E_MEMORY;
        if (tokens && strcmp(b->group, out->items[start].group)) {
            qsort(out->items + start, out->count - start, sizeof *out->items, by_value);
            start = out->count;
        }
        out->count++;
    }
    qsort(out->items + start, out->count - start, sizeof *out->items, by_value);
    return HONE_OK;
}

static void escaped(FILE *f, const char *s)
{
    for (; *s; s++) switch (*s) {
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '&': fputs("&amp;", f); break;
        case '"': fputs("&quot;", f); break;
        default: fputc(*s, f);
        }
}

static void cell(FILE *f, double v, const char *format)
{
    fputs("<td>", f);
    if (v >= 0) fprintf(f, format, v);
    fputs("</td>", f);
}

static void text_cell(FILE *f, const char *text)
{
    fputs("<td class=t>", f);
    escaped(f, text);
    fputs("</td>", f);
}

static void html_row(FILE *f, const hone__bench_row *r, bool tokens)
{
    bool share = !strcmp(r->quality_metric, "accuracy");
    fprintf(f, "<tr%s><th>", strcmp(r->engine, "hone") ? "" : " class=own");
    escaped(f, r->engine);
    fputs("</th>", f);
    text_cell(f, r->version);
    text_cell(f, r->precision);
    text_cell(f, r->model);
    cell(f, r->threads, "%.0f");
    cell(f, r->size_mb, "%.2f");
    cell(f, r->init_ms, "%.3g");
    cell(f, r->cold_ms, tokens ? "%.0f" : "%.3g");
    cell(f, r->warm_ms, "%.4g");
    cell(f, r->min_ms, "%.4g");
    cell(f, r->max_ms, "%.4g");
    if (tokens) cell(f, r->ms_per_token, "%.4g");
    if (tokens) cell(f, r->tokens_per_s, "%.4g");
    cell(f, r->peak_rss_mb, "%.1f");
    cell(f, r->quality < 0 ? -1 : r->quality * (share ? 100 : 1), share ? "%.2f %%" : "%.2f");
    cell(f, (double)r->runs, "%.0f");
    text_cell(f, r->note);
    fputs("</tr>\n", f);
}

static const char *quality_name(const hone__bench_results *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (*r->rows[i].quality_metric) return r->rows[i].quality_metric;
    return "quality";
}

/* Cairo names what it draws letters with glyph...: in one page every document needs names of its own. */
static void rename_glyphs(char *svg, const char name[6])
{
    for (char *at = svg; (at = strstr(at, "glyph")); at++)
        if (at[-1] == '"' || at[-1] == '#') memcpy(at, name, 5);
}

static void html(FILE *f, const hone__bench_results *r, char *const svg[2])
{
    bool tokens = hone__bench_per_token(r);
    fputs("<!doctype html><html lang=en><meta charset=utf-8><title>hone bench</title><style>"
          "body{font:15px/1.45 sans-serif;margin:2em auto;max-width:70em;padding:0 1em}"
          "table{border-collapse:collapse;font-size:13px}td,th{padding:.25em .6em;border-bottom:1px solid "
          "#ccc;text-align:right}"
          "th,.t{text-align:left;font-weight:normal}thead th{font-weight:bold}.own{font-weight:bold;background:#eef3f8}"
          "svg{max-width:100%;height:auto;margin:1em 0}@media print{body{margin:0}}</style>\n<h1>hone "
          "bench</h1>\n<p>CPU: ",
          f);
    escaped(f, cpu_of(r));
    fputs(". Every row ran in fresh processes of its own, in turn with the others. Times in milliseconds: <i>init</i> "
          "from the"
          " start of loading until ready, <i>cold</i> the first run, <i>warm</i> the median of the later runs. Memory "
          "is the"
          " process's own high-water mark.",
          f);
    if (tokens)
        fprintf(f, " A run is the prompt and %.0f new tokens; a token's time is a run's, divided by them.",
                tokens_of(r));
    fputs("</p>\n", f);
    for (int i = 0; i < 2; i++) {
        char *body = strstr(svg[i], "<svg");
        if (!body) continue;
        rename_glyphs(body, i ? "chart" : "glyph");
        fputs(body, f);
    }
    fputs("\n<table><thead><tr><th>engine<th>version<th>precision<th>model<th>threads<th>file "
          "MB<th>init<th>cold<th>warm<th>min<th>max",
          f);
    fprintf(f, "%s<th>peak MB<th>%s<th>runs<th>note</tr></thead>\n", tokens ? "<th>ms/token<th>tokens/s" : "",
            quality_name(r));
    for (size_t i = 0; i < r->count; i++) html_row(f, &r->rows[i], tokens);
    fputs("</table></html>\n", f);
}

static hone_status make_folder(const char *path)
{
    struct stat st;
    if (!mkdir(path, 0777) || (errno == EEXIST && !stat(path, &st) && S_ISDIR(st.st_mode))) return HONE_OK;
    return hone__fail(HONE_E_IO, "%s: %s", path, strerror(errno == EEXIST ? ENOTDIR : errno));
}

hone_status hone__bench_folder(const char *dir)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s", dir) >= (int)sizeof path - 64)
        return hone__fail(HONE_E_ARGUMENT, "%s: too long", dir);
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        HONE__TRY(make_folder(path));
        *p = '/';
    }
    return make_folder(path);
}

/* What the charts say of themselves; note: of the first one. */
static hone__chart chart_of(const hone__bench_results *r, bool memory, const bars *b, char *note, size_t size)
{
    bool tokens = hone__bench_per_token(r);
    int threads = r->count ? r->rows[0].threads : 0;
    if (tokens)
        snprintf(note, size,
                 "%s, %d threads. Prompt and %.0f new tokens, divided by them. Bar: median; line: fastest to 90th "
                 "percentile.",
                 cpu_of(r), threads, tokens_of(r));
    else
        snprintf(note, size, "%s, %d threads. Bar: median of warm runs; line: fastest to 90th percentile.", cpu_of(r),
                 threads);
    if (memory)
        return (hone__chart){"Peak memory of the process", "MB", "The process's own high-water mark.", b->items,
                             b->count};
    return (hone__chart){tokens ? "Time of a new token" : "Time of one run", "milliseconds", note, b->items, b->count};
}

static hone_status write_charts(const hone__bench_results *r, const char *dir, char *svg[2])
{
    static const char *const names[2] = {"latency_plot", "memory_plot"};
    char path[4200], note[256];
    hone_status s = HONE_OK;
    for (int i = 0; s == HONE_OK && i < 2; i++) {
        bars b = {0};
        size_t size;
        s = make_bars(r, i == 1, &b);
        hone__chart c = chart_of(r, i == 1, &b, note, sizeof note);
        snprintf(path, sizeof path, "%s/plots/%s.png", dir, names[i]);
        if (s == HONE_OK) s = hone__chart_png(&c, path);
        if (s == HONE_OK) s = hone__chart_svg(&c, &svg[i], &size);
        bars_free(&b);
    }
    hone__chart_close();
    return s;
}

hone_status hone__bench_write(const hone__bench_results *r, const char *dir)
{
    char path[4200], *svg[2] = {NULL, NULL};
    hone__output o;
    hone_status s = hone__bench_folder(dir);
    if (s == HONE_OK) s = hone__bench_write_tables(r, dir);
    snprintf(path, sizeof path, "%s/plots", dir);
    if (s == HONE_OK) s = make_folder(path);
    if (s == HONE_OK) s = write_charts(r, dir, svg);
    snprintf(path, sizeof path, "%s/report.html", dir);
    if (s == HONE_OK) s = hone__output_open(path, &o);
    if (s == HONE_OK) {
        html(o.file, r, svg);
        s = hone__output_commit(&o);
    }
    free(svg[0]);
    free(svg[1]);
    return s;
}
