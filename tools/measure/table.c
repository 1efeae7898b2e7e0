/* table.c: results.csv and results.json, whose columns and order scripts depend on. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "bench.h"

typedef enum kind { TEXT, NUMBER, COUNT } kind;

static const struct {
    const char *name;
    kind k;
    size_t at;
} columns[] = {
#define T(f) {#f, TEXT, offsetof(hone__bench_row, f)}
#define N(f) {#f, NUMBER, offsetof(hone__bench_row, f)}
    T(model),      T(engine),     T(version),        T(precision),    T(layout),          {"threads", COUNT, 0},
    T(cpu),        N(size_mb),    N(init_ms),        N(cold_ms),      N(warm_ms),         N(min_ms),
    N(max_ms),     N(p90_ms),     N(tokens),         N(ms_per_token), N(tokens_per_s),    N(peak_rss_mb),
    N(weights_mb), N(runtime_mb), T(quality_metric), N(quality),      {"runs", COUNT, 1}, T(note),
#undef T
#undef N
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static const char *text_at(const hone__bench_row *r, size_t at)
{
    const char *s;
    memcpy(&s, (const char *)r + at, sizeof s);
    return s ? s : "";
}

static double number_at(const hone__bench_row *r, size_t at)
{
    double v;
    memcpy(&v, (const char *)r + at, sizeof v);
    return v;
}

static long count_at(const hone__bench_row *r, size_t which) { return which ? (long)r->runs : r->threads; }

/* RFC 4180: quoted where a comma, quote or line break is inside. */
static void csv_text(FILE *f, const char *s)
{
    if (!strpbrk(s, ",\"\r\n")) {
        fputs(s, f);
        return;
    }
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"') fputc('"', f);
        fputc(*s, f);
    }
    fputc('"', f);
}

static void csv_row(FILE *f, const hone__bench_row *r)
{
    for (int c = 0; c < COLUMNS; c++) {
        if (c) fputc(',', f);
        if (columns[c].k == TEXT)
            csv_text(f, text_at(r, columns[c].at));
        else if (columns[c].k == COUNT)
            fprintf(f, "%ld", count_at(r, columns[c].at));
        else if (number_at(r, columns[c].at) >= 0)
            fprintf(f, "%.6g", number_at(r, columns[c].at));
    }
    fputc('\n', f);
}

static hone_status write_csv(const hone__bench_results *results, const char *path)
{
    hone__output o;
    HONE__TRY(hone__output_open(path, &o));
    for (int c = 0; c < COLUMNS; c++) fprintf(o.file, "%s%s", c ? "," : "", columns[c].name);
    fputc('\n', o.file);
    for (size_t i = 0; i < results->count; i++) csv_row(o.file, &results->rows[i]);
    return hone__output_commit(&o);
}

static json_t *json_row(const hone__bench_row *r)
{
    json_t *o = json_object();
    for (int c = 0; o && c < COLUMNS; c++) {
        json_t *v;
        if (columns[c].k == TEXT)
            v = json_string(text_at(r, columns[c].at));
        else if (columns[c].k == COUNT)
            v = json_integer(count_at(r, columns[c].at));
        else
            v = number_at(r, columns[c].at) >= 0 ? json_real(number_at(r, columns[c].at)) : json_null();
        json_object_set_new(o, columns[c].name, v ? v : json_null());
    }
    return o;
}

static hone_status write_json(const hone__bench_results *results, const char *path)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < results->count; i++) json_array_append_new(list, json_row(&results->rows[i]));
    char *text = list ? json_dumps(list, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(list);
    if (!text) return hone__fail(HONE_E_MEMORY, "%s: out of memory", path);
    hone__output o;
    hone_status s = hone__output_open(path, &o);
    if (s == HONE_OK) {
        fputs(text, o.file);
        fputc('\n', o.file);
        s = hone__output_commit(&o);
    }
    free(text);
    return s;
}

hone_status hone__bench_write_tables(const hone__bench_results *results, const char *dir)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/results.csv", dir) >= (int)sizeof path)
        return hone__fail(HONE_E_ARGUMENT, "%s: too long", dir);
    HONE__TRY(write_csv(results, path));
    snprintf(path, sizeof path, "%s/results.json", dir);
    return write_json(results, path);
}
