/* bench.h: contenders, each in its own fresh process, in turn. */
#ifndef HONE_MEASURE_BENCH_H
#define HONE_MEASURE_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "hone/status.h"

typedef struct hone__contender {
    const char *engine; /* "hone", or a peer's name */
    const char *label;  /* what its rows call the model */
    const char *model;  /* file or folder */
    size_t order;       /* the model's place among the models */
    const char **argv;  /* NULL-terminated: prints JSON lines, one per row */
    bool quiet;         /* a peer: its chatter on stderr is dropped, and it may have nothing to say of a file */
} hone__contender;

/* One row of results.csv. Numbers below 0: not known, an empty cell. Texts are freed with the results. No runs: what
 * could not be measured, and why (`note`). */
typedef struct hone__bench_row {
    const hone__contender *from; /* whose child spoke of it first */
    char *model, *engine, *version, *precision, *layout, *cpu, *quality_metric, *note;
    int threads;
    double size_mb, init_ms, cold_ms, warm_ms, min_ms, max_ms, p90_ms, tokens, ms_per_token, tokens_per_s, peak_rss_mb,
        weights_mb, runtime_mb, quality;
    size_t runs;
    double *times; /* every warm run, ms */
    double *inits, *colds;
    size_t rounds, time_capacity;
} hone__bench_row;

typedef struct hone__bench_results {
    hone__bench_row *rows;
    size_t count, capacity;
} hone__bench_results;

typedef void (*hone__bench_progress)(void *ctx, size_t done, size_t total);

/* Runs every contender once per round, in turn. A child that fails is told in *failures (lines, freed by the caller)
 * is not started again, and does not end the others; HONE_E_CANCELLED when a signal ended a child. A line with a note
 * and no times says what its engine cannot measure. */
hone_status hone__bench_run(const hone__contender *list, size_t count, size_t rounds, hone__bench_progress fn,
                            void *ctx, hone__bench_results *out, char **failures);
/* Runs a program to its end: what it printed (freed with hone__free; at most 16 MiB) and its wait status.
 * HONE_E_CANCELLED where a signal ended it. */
hone_status hone__bench_spawn(const char *const *argv, bool quiet, char **out, int *status);
/* Ends the child that runs now, and hone__bench_run with it: async-signal-safe. */
void hone__bench_interrupt(void);
void hone__bench_free(hone__bench_results *results);
/* Whether rows are of text, token by token. */
bool hone__bench_per_token(const hone__bench_results *results);

/* Makes every missing folder of the path. */
hone_status hone__bench_folder(const char *dir);
/* results.csv, results.json, plots/latency_plot.png, plots/memory_plot.png, report.html below `dir`, made if absent. */
hone_status hone__bench_write(const hone__bench_results *results, const char *dir);
/* results.csv and .json only; parts of the above. */
hone_status hone__bench_write_tables(const hone__bench_results *results, const char *dir);

typedef struct hone__bar {
    const char *group; /* a heading stands above the first of each; NULL: none */
    const char *label;
    double value, low, high; /* low..high is the error bar; equal: none */
    bool strong;             /* ours: drawn darker */
} hone__bar;

typedef struct hone__chart {
    const char *title, *unit, *footnote;
    const hone__bar *bars;
    size_t count;
} hone__chart;

/* Bars from top to bottom, best first, as given. `svg`: a document in memory (freed by the caller); `png`: a file. */
hone_status hone__chart_png(const hone__chart *chart, const char *path);
hone_status hone__chart_svg(const hone__chart *chart, char **svg, size_t *size);
/* Frees what the libraries that draw keep for the next chart. */
void hone__chart_close(void);

#endif
