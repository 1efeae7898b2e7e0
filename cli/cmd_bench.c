/* cmd_bench.c: models and peers side by side, each in its own fresh process. `--child` is this command measuring one
 * model in the process that was started for it: it prints the line of JSON that peers print, too. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "bench_plan.h"

enum { ROUNDS = 3 };

/* Quality on a labelled set or a text, asked of `hone eval` itself; below 0 where it cannot be measured. */
static double quality_of(const char *self, const char *model, const char *metric, const char *dataset)
{
    const char *argv[] = {self, "eval", model, dataset, "--metric", metric, "--json", NULL};
    double value = -1;
    char *text;
    int status;
    if (hone__bench_spawn(argv, !common.verbose, &text, &status) != HONE_OK) return -1;
    const char *at = strstr(text, "\"value\": ");
    if (at && WIFEXITED(status) && !WEXITSTATUS(status)) value = atof(at + 9);
    hone__free(text);
    return value;
}

static void cell(double v, int width, const char *format)
{
    char text[32] = "";
    if (v >= 0) snprintf(text, sizeof text, format, v);
    printf("  %*s", width, text);
}

static void print_rows(const hone__bench_results *r)
{
    printf("%-18s %-12s %-26s %8s  %8s  %8s  %9s  %9s  %9s  %8s  %8s\n", "engine", "precision", "model", "file MB",
           "init ms", "cold ms", "warm ms", "min ms", "max ms", "peak MB", "accuracy");
    for (size_t i = 0; i < r->count; i++) {
        const hone__bench_row *w = &r->rows[i];
        printf("%-18.18s %-12.12s %-26.26s", w->engine, w->precision, w->model);
        cell(w->size_mb, 7, "%.2f");
        cell(w->init_ms, 8, "%.2f");
        cell(w->cold_ms, 8, "%.2f");
        cell(w->warm_ms, 9, "%.4f");
        cell(w->min_ms, 9, "%.4f");
        cell(w->max_ms, 9, "%.4f");
        cell(w->peak_rss_mb, 8, "%.1f");
        cell(w->quality < 0 ? -1 : 100 * w->quality, 8, "%.2f %%");
        printf("\n");
    }
}

/* The same for texts, where a token's time is what counts. */
static void print_text_rows(const hone__bench_results *r)
{
    printf("%-26s %-18s %-12s %8s  %8s  %8s  %8s  %8s  %8s  %8s  %10s\n", "model", "engine", "precision", "file MB",
           "init ms", "cold ms", "warm ms", "ms/token", "tokens/s", "peak MB", "perplexity");
    for (size_t i = 0; i < r->count; i++) {
        const hone__bench_row *w = &r->rows[i];
        printf("%-26.26s %-18.18s %-12.12s", w->model, w->engine, w->precision);
        cell(w->size_mb, 7, "%.2f");
        cell(w->init_ms, 8, "%.1f");
        cell(w->cold_ms, 8, "%.1f");
        cell(w->warm_ms, 8, "%.1f");
        cell(w->ms_per_token, 8, "%.3f");
        cell(w->tokens_per_s, 8, "%.1f");
        cell(w->peak_rss_mb, 8, "%.1f");
        cell(w->quality, 10, "%.3f");
        printf(w->runs ? "\n" : "  %s\n", w->note);
    }
}

static void on_progress(void *ctx, size_t done, size_t total)
{
    (void)ctx;
    progress("measuring", done, total);
}

/* Quality of our own rows; a model without labels has none. */
static void add_quality(const bench_plan *p, const char *dataset, hone__bench_results *r)
{
    const char *metric = p->job->task == BENCH_GENERATE ? "perplexity" : "accuracy";
    for (size_t i = 0; dataset && i < r->count; i++) {
        hone__bench_row *w = &r->rows[i];
        if (strcmp(w->engine, "hone")) continue;
        progress("evaluating", i + 1, r->count);
        w->quality = quality_of(p->self, w->from->model, metric, dataset);
        hone__free(w->quality_metric);
        w->quality_metric = hone__strndup(metric, w->quality < 0 ? 0 : strlen(metric));
    }
}

static void print_file(const char *dir, const char *name)
{
    char path[PATH_MAX], line[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) fputs(line, stdout);
    if (f) fclose(f);
}

static int run_all(bench_plan *p, const char *dir, const char *dataset)
{
    hone__bench_results r;
    char *failures = NULL;
    hone_status s = hone__bench_run(p->list, p->count, ROUNDS, on_progress, NULL, &r, &failures);
    if (s == HONE_OK) add_quality(p, dataset, &r);
    if (failures) fprintf(stderr, "%s", failures);
    bool failed = failures != NULL;
    free(failures);
    if (s == HONE_OK && !r.count) s = hone__fail(HONE_E_IO, "nothing could be measured");
    if (s == HONE_OK) s = hone__bench_write(&r, dir);
    if (s == HONE_OK && common.json) print_file(dir, "results.json");
    if (s == HONE_OK && !common.json) {
        if (hone__bench_per_token(&r))
            print_text_rows(&r);
        else
            print_rows(&r);
        printf("written: %s/{results.csv,results.json,report.html,plots/}\n", dir);
    }
    hone__bench_free(&r);
    if (s != HONE_OK) return report_failure(s);
    return failed ? EXIT_FAILED : EXIT_DONE;
}

/* The first signal that asked us to end: what was imported is removed first. */
static volatile sig_atomic_t asked;

static void on_signal(int number)
{
    asked = number;
    hone__bench_interrupt();
}

static int run_plan(bench_plan *p, const text_list *models, const char *dir, const char *dataset)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    hone_status s = hone__bench_folder(dir); /* better now than after an hour */
    if (s != HONE_OK) return report_failure(s);
    for (int i = 0; i < 3; i++) signal(numbers[i], on_signal);
    int code = bench_plan_make(p, models);
    if (code < 0) code = run_all(p, dir, dataset);
    bench_plan_close(p);
    if (code) rmdir(dir); /* where nothing is in it */
    for (int i = 0; i < 3; i++) signal(numbers[i], SIG_DFL);
    if (asked) raise(asked);
    return code;
}

int cmd_bench(int argc, char **argv)
{
    text_list rest = {0};
    bench_job job = {.tokens = 50};
    static bench_plan p = {.precisions = "fp32,bf16,int8,int4"};
    const char *dir = "bench-out", *child = NULL, *dataset = NULL;
    char peers[400];
    snprintf(peers, sizeof peers, "measured beside: %s; of texts: %s", bench_peers(BENCH_RUN),
             bench_peers(BENCH_GENERATE));
    const option_row rows[] = {
        {"task", 0, OPTION_CHOICE, &job.task, NULL, "what is measured: a run on random inputs (default), or text", 0, 0,
         "run|generate"},
        {"prompt", 'p', OPTION_TEXT, &job.prompt, "TEXT", "generate: what the text goes on from", 0, 0, NULL},
        {"tokens", 'n', OPTION_INT, &job.tokens, "N", "generate: new tokens, exactly (default 50)", 1, 1000000, NULL},
        {"force-tokens", 0, OPTION_INT, &job.tokens, "N", "the same", 1, 1000000, NULL},
        {"precisions", 0, OPTION_TEXT, &p.precisions, "LIST",
         "generate: a Hugging Face folder is imported in each (default fp32,bf16,int8,int4)", 0, 0, NULL},
        {"output", 'o', OPTION_TEXT, &dir, "DIR", "where results go (default bench-out)", 0, 0, NULL},
        {"peers", 0, OPTION_TEXT, &p.peers, "LIST", peers, 0, 0, NULL},
        {"peers-dir", 0, OPTION_TEXT, &p.peers_dir, "DIR", "where peer_<name>.py and generate_<name>.py are", 0, 0,
         NULL},
        {"dataset", 0, OPTION_TEXT, &dataset, "DATA",
         "also measure accuracy on <label>/<clip> files; generate: perplexity on a text", 0, 0, NULL},
        {"repeat", 0, OPTION_INT, &job.repeat, "N", "warm runs per process; 3 processes each (default 30; generate: 5)",
         1, 1000000, NULL},
        {"child", 0, OPTION_TEXT, &child, "MODEL", "measure one model in this process, print JSON", 0, 0, NULL},
        {0},
    };
    const verb_help help = {
        "bench MODEL... [--peers LIST] [--task generate --prompt TEXT] [-o DIR]",
        "Measures each model and peer in fresh processes of its own, in turn, and writes results.csv, results.json,\n"
        "plots and report.html. For --task generate MODEL is a Hugging Face folder, which is imported into a "
        "temporary\n"
        "folder in each precision, or a folder that hone optimize made; a run is the prompt and exactly N new tokens.",
        "  hone bench model.h5 model_fp32.onnx model_int8.onnx\n"
        "  hone bench model.h5 model_fp32.onnx --peers keras,tflite,onnxruntime,openvino -o out/\n"
        "  hone bench ./distilgpt2 ./gpt2 --task generate --prompt \"Explain 5G technology.\" -n 50 --peers pytorch\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (!job.repeat) job.repeat = job.task == BENCH_GENERATE ? 5 : 30;
    if (job.task == BENCH_GENERATE && !job.prompt) return usage_failure("--task generate needs --prompt");
    hone_status s = job.prompt ? check_utf8(job.prompt, strlen(job.prompt)) : HONE_OK;
    if (s != HONE_OK) return report_failure(hone__at(s, "--prompt"));
    if (child) return bench_child(child, &job);
    if (!rest.count) return usage_failure("bench needs at least one model (hone bench --help)");
    p.job = &job;
    return run_plan(&p, &rest, dir, dataset);
}
