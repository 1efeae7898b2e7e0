/* report.c: the plots, and report.html: one page, no script, readable in print. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "bench.h"

static char *label_of(const hone__bench_row *r)
{
    char text[256];
    int n = snprintf(text, sizeof text, "%s  %s  %s", r->engine, r->precision, r->model);
    if (n >= (int)sizeof text) n = sizeof text - 1;
    return hone__strndup(text, (size_t)n);
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

static int by_bar(const void *a, const void *b)
{
    const hone__bar *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

static hone_status make_bars(const hone__bench_results *r, bool memory, bars *out)
{
    out->count = 0;
    out->items = hone__calloc(r->count + 1, sizeof *out->items);
    if (!out->items) return hone__out_of_memory(r->count);
    for (size_t i = 0; i < r->count; i++) {
        const hone__bench_row *w = &r->rows[i];
        hone__bar b = {
            .label = label_of(w), .value = memory ? w->peak_rss_mb : w->warm_ms, .strong = !strcmp(w->engine, "hone")};
        b.low = memory ? b.value : w->min_ms;
        b.high = memory ? b.value : w->p90_ms;
        if (!b.label) return HONE_E_MEMORY;
        out->items[out->count++] = b;
    }
    qsort(out->items, out->count, sizeof *out->items, by_bar);
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

static void html_row(FILE *f, const hone__bench_row *r)
{
    fprintf(f, "<tr%s><th>", strcmp(r->engine, "hone") ? "" : " class=own");
    escaped(f, r->engine);
    fputs("</th><td class=t>", f);
    escaped(f, r->version);
    fputs("</td><td class=t>", f);
    escaped(f, r->precision);
    fputs("</td><td class=t>", f);
    escaped(f, r->model);
    fprintf(f, "</td><td>%d</td>", r->threads);
    cell(f, r->size_mb, "%.2f");
    cell(f, r->init_ms, "%.3g");
    cell(f, r->cold_ms, "%.3g");
    cell(f, r->warm_ms, "%.4g");
    cell(f, r->min_ms, "%.4g");
    cell(f, r->max_ms, "%.4g");
    cell(f, r->peak_rss_mb, "%.1f");
    cell(f, r->quality < 0 ? -1 : 100 * r->quality, "%.2f");
    fprintf(f, "<td>%zu</td><td class=t>", r->runs);
    escaped(f, r->note);
    fputs("</td></tr>\n", f);
}

static void html(FILE *f, const hone__bench_results *r, char *const svg[2])
{
    fputs("<!doctype html><html lang=en><meta charset=utf-8><title>hone bench</title><style>"
          "body{font:15px/1.45 sans-serif;margin:2em auto;max-width:70em;padding:0 1em}"
          "table{border-collapse:collapse;font-size:13px}td,th{padding:.25em .6em;border-bottom:1px solid "
          "#ccc;text-align:right}"
          "th,.t{text-align:left;font-weight:normal}thead th{font-weight:bold}.own{font-weight:bold;background:#eef3f8}"
          "svg{max-width:100%;height:auto;margin:1em 0}@media print{body{margin:0}}</style>\n<h1>hone "
          "bench</h1>\n<p>CPU: ",
          f);
    escaped(f, r->count ? r->rows[0].cpu : "");
    fputs(". Every row ran in fresh processes of its own, in turn with the others. Times in milliseconds: <i>init</i> "
          "from the"
          " start of loading until ready, <i>cold</i> the first run, <i>warm</i> the median of the later runs. Memory "
          "is the"
          " process's own high-water mark.</p>\n",
          f);
    for (int i = 0; i < 2; i++) {
        const char *body = strstr(svg[i], "<svg");
        if (body) fputs(body, f);
    }
    fputs("\n<table><thead><tr><th>engine<th>version<th>precision<th>model<th>threads<th>file "
          "MB<th>init<th>cold<th>warm<th>min"
          "<th>max<th>peak MB<th>accuracy %<th>runs<th>note</tr></thead>\n",
          f);
    for (size_t i = 0; i < r->count; i++) html_row(f, &r->rows[i]);
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

hone_status hone__bench_write(const hone__bench_results *r, const char *dir)
{
    static const char *const names[2] = {"latency_plot", "memory_plot"};
    char path[4200], note[200], *svg[2] = {NULL, NULL};
    hone_status s = hone__bench_folder(dir);
    if (s == HONE_OK) s = hone__bench_write_tables(r, dir);
    snprintf(path, sizeof path, "%s/plots", dir);
    if (s == HONE_OK) s = make_folder(path);
    snprintf(note, sizeof note, "%s, %d threads. Bar: median of warm runs; line: fastest to 90th percentile.",
             r->count ? r->rows[0].cpu : "", r->count ? r->rows[0].threads : 0);
    for (int i = 0; s == HONE_OK && i < 2; i++) {
        bars b = {0};
        size_t size;
        s = make_bars(r, i == 1, &b);
        hone__chart c = {i ? "Peak memory of the process" : "Time of one run", i ? "MB" : "milliseconds",
                         i ? "The process's own high-water mark." : note, b.items, b.count};
        snprintf(path, sizeof path, "%s/plots/%s.png", dir, names[i]);
        if (s == HONE_OK) s = hone__chart_png(&c, path);
        if (s == HONE_OK) s = hone__chart_svg(&c, &svg[i], &size);
        bars_free(&b);
    }
    if (s == HONE_OK) {
        hone__output o;
        snprintf(path, sizeof path, "%s/report.html", dir);
        s = hone__output_open(path, &o);
        if (s == HONE_OK) {
            html(o.file, r, svg);
            s = hone__output_commit(&o);
        }
    }
    free(svg[0]);
    free(svg[1]);
    return s;
}
