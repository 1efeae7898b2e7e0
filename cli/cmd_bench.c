/* cmd_bench.c: models and peers side by side, each in its own fresh process. `--child` is this command measuring one
 * model in the process that was started for it: it prints the line of JSON that peers print, too. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "feeds.h"
#include "base/alloc.h"
#include "tools/measure/bench.h"

#define PEERS "keras,tflite,onnxruntime,openvino"
enum { ROUNDS = 3, CONTENDERS = 256, WARM_UP_MS = 300 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double peak_mb(void)
{
    char line[128];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %ld", &kb) == 1) break;
    if (f) fclose(f);
    return (double)kb / 1024;
}

/* Bytes per element type: the type that most weight bytes have names the precision. */
static void count_type(void *ctx, const char *name, const hone_tensor *t)
{
    size_t *bytes = ctx;
    (void)name;
    bytes[t->dtype] += t->bytes;
}

static void count_op(void *ctx, const char *name, const char *domain, const char *op)
{
    (void)name, (void)domain;
    if (!strcmp(op, "QuantizeLinear")) *(int *)ctx = 1;
}

static const char *precision_of(const hone_model *m)
{
    size_t bytes[HONE_DTYPE_COUNT] = {0}, best = HONE_F32;
    int is_static = 0;
    hone_model_weights(m, count_type, bytes);
    hone_model_nodes(m, count_op, &is_static);
    for (size_t i = 1; i < HONE_DTYPE_COUNT; i++)
        if (bytes[i] > bytes[best]) best = i;
    switch (best) {
    case HONE_U8:
    case HONE_I8: return is_static ? "int8 static" : "int8";
    case HONE_F16: return "fp16";
    case HONE_BF16: return "bf16";
    default: return "fp32";
    }
}

static size_t file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) ? 0 : (size_t)st.st_size;
}

/* Accuracy on a labelled set, asked of `hone eval` itself; below 0 where it cannot be measured. */
static double accuracy_of(const char *self, const char *model, const char *dataset)
{
    char line[8192] = "";
    double value = -1;
    int pipes[2];
    if (!dataset || pipe(pipes)) return -1;
    pid_t pid = fork();
    if (!pid) {
        dup2(pipes[1], STDOUT_FILENO);
        close(pipes[0]);
        if (!freopen("/dev/null", "w", stderr)) _exit(127);
        execl(self, self, "eval", model, dataset, "--json", (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    FILE *f = pid > 0 ? fdopen(pipes[0], "r") : NULL;
    if (f && fgets(line, sizeof line, f)) {
        const char *at = strstr(line, "\"value\": ");
        if (at) value = atof(at + 9);
    }
    if (f)
        fclose(f);
    else
        close(pipes[0]);
    if (pid > 0) waitpid(pid, NULL, 0);
    return value;
}

static hone_status measure(const char *path, hone_model *m, const hone_tensor *in, double start, int64_t repeat)
{
    hone_session_options o = {.threads = (int)common.threads};
    hone_session *s;
    size_t ins = hone_model_input_count(m), outs = hone_model_output_count(m);
    hone_model_facts facts;
    hone_tensor *out = calloc(outs + 1, sizeof *out);
    double *ms = calloc((size_t)repeat, sizeof *ms);
    if (!out || !ms) return hone__fail(HONE_E_MEMORY, "out of memory");
    hone_status st = hone_session_create(m, &o, &s);
    double ready = now_ms(), cold = 0;
    if (st == HONE_OK) {
        double t = now_ms();
        st = hone_session_run(s, in, ins, out, outs);
        cold = now_ms() - t;
    }
    /* the CPU's clock rises: the same warm-up as the peers' scripts have */
    double warm = now_ms();
    for (int i = 0; st == HONE_OK && (i < 3 || now_ms() - warm < WARM_UP_MS); i++)
        st = hone_session_run(s, in, ins, out, outs);
    for (int64_t i = 0; st == HONE_OK && i < repeat; i++) {
        double t = now_ms();
        st = hone_session_run(s, in, ins, out, outs);
        ms[i] = now_ms() - t;
    }
    if (st == HONE_OK) {
        hone_model_facts_get(m, &facts);
        printf("{\"engine\": \"hone\", \"version\": \"%s\", \"model\": ", hone_version());
        print_json_string(path);
        printf(", \"precision\": \"%s\", \"threads\": %d, \"cpu\": ", precision_of(m),
               common.threads ? (int)common.threads : hone_cpu_cores());
        print_json_string(hone_cpu_name());
        printf(", \"size_mb\": %.6f, \"init_ms\": %.4f, \"cold_ms\": %.4f, \"weights_mb\": %.6f, \"runtime_mb\": %.6f, "
               "\"peak_rss_mb\": %.3f, \"note\": \"%s\", \"times_ms\": [",
               (double)file_size(path) / 1e6, ready - start, cold, (double)facts.weight_bytes / 1e6,
               (double)hone_session_memory(s) / 1e6, peak_mb(), hone_cpu_tier());
        for (int64_t i = 0; i < repeat; i++) printf("%s%.5f", i ? ", " : "", ms[i]);
        printf("]}\n");
    }
    hone_session_destroy(s);
    free(out);
    free(ms);
    return st;
}

static int run_child(const char *path, int64_t repeat)
{
    hone_model *m;
    double start = now_ms();
    hone_status s = open_model(path, &m);
    if (s != HONE_OK) return report_failure(s);
    double opened = now_ms() - start;
    feeds *f;
    int code = feeds_open(m, &(text_list){0}, true, &f);
    if (code < 0) {
        s = measure(path, m, feeds_inputs(f), now_ms() - opened, repeat);
        code = s == HONE_OK ? EXIT_DONE : report_failure(s);
        feeds_close(f);
    }
    hone_model_destroy(m);
    return code;
}

typedef struct plan {
    hone__contender list[CONTENDERS];
    size_t count;
    char self[PATH_MAX], repeat[24], threads[24];
    const char *python, *peers_dir;
    bool own_dir; /* --peers-dir was given */
} plan;

static int add(plan *p, const char *engine, const char *model, const char *const *argv, size_t n)
{
    if (p->count == CONTENDERS) return usage_failure("more than %d contenders", CONTENDERS);
    const char **copy = calloc(n + 1, sizeof *copy);
    if (!copy) return usage_failure("out of memory");
    for (size_t i = 0; i < n; i++) copy[i] = strdup(argv[i]);
    p->list[p->count++] = (hone__contender){engine, model, copy, strcmp(engine, "hone") && !common.verbose};
    return -1;
}

static int add_hone(plan *p, const char *model)
{
    const char *argv[] = {p->self, "bench", "--child", model, "--repeat", p->repeat, "--threads", p->threads};
    return add(p, "hone", model, argv, 8);
}

/* bench/peers/peer_<name>.py beside the source tree this command was built from, or --peers-dir. */
static int add_peer(plan *p, const char *name, const char *model)
{
    char script[PATH_MAX];
    if (snprintf(script, sizeof script, "%s/peer_%s.py", p->peers_dir, name) >= (int)sizeof script ||
        access(script, R_OK)) {
        fprintf(stderr, "hone: peer '%s' is skipped: %s is not there\n", name, script);
        return -1;
    }
    const char *argv[] = {p->python, script, model, "--repeat", p->repeat, "--threads", p->threads};
    return add(p, strdup(name), model, argv, 7);
}

static void find_peers(plan *p)
{
    static char dir[PATH_MAX], python[PATH_MAX];
    const char *given = getenv("HONE_PEERS_PYTHON");
    p->own_dir = p->peers_dir != NULL;
    if (!p->own_dir) {
        snprintf(dir, sizeof dir, "%.*s/../bench/peers", (int)(strrchr(p->self, '/') - p->self), p->self);
        p->peers_dir = dir;
    }
    snprintf(python, sizeof python, "%.*s/peers-venv/bin/python", (int)(strrchr(p->self, '/') - p->self), p->self);
    p->python = given && *given ? given : python;
}

/* The peers that this tree has a script for; --peers-dir may hold others. */
static bool known_peer(const plan *p, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = PEERS; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!strncmp(at, name, n) && (at[n] == ',' || !at[n])) return true;
    return p->own_dir;
}

static int add_peers(plan *p, const char *names, const text_list *models)
{
    char list[512];
    if (!names) return -1;
    find_peers(p);
    snprintf(list, sizeof list, "%s", names);
    bool there = !access(p->python, X_OK);
    for (char *save, *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        if (!known_peer(p, name)) return usage_failure("unknown peer '%s'; there are " PEERS, name);
        if (!there) {
            fprintf(stderr, "hone: peer '%s' is skipped: its environment is not there (make peers)\n", name);
            continue;
        }
        for (size_t i = 0; i < models->count; i++) {
            int code = add_peer(p, name, models->items[i]);
            if (code >= 0) return code;
        }
    }
    return -1;
}

static void cell(double v, int width, const char *format)
{
    char text[32] = "";
    if (v >= 0) snprintf(text, sizeof text, format, v);
    printf("  %*s", width, text);
}

static void print_table(const hone__bench_results *r)
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

static void on_progress(void *ctx, size_t done, size_t total)
{
    (void)ctx;
    progress("measuring", done, total);
}

/* Quality of our own rows; a model without labels has none. */
static void add_quality(const plan *p, const char *dataset, hone__bench_results *r)
{
    for (size_t i = 0; dataset && i < p->count; i++) {
        if (strcmp(p->list[i].engine, "hone")) continue;
        const char *slash = strrchr(p->list[i].model, '/'), *name = slash ? slash + 1 : p->list[i].model;
        double value = accuracy_of(p->self, p->list[i].model, dataset);
        for (size_t k = 0; value >= 0 && k < r->count; k++) {
            hone__bench_row *w = &r->rows[k];
            if (strcmp(w->engine, "hone") || strcmp(w->model, name)) continue;
            w->quality = value;
            hone__free(w->quality_metric);
            w->quality_metric = hone__strndup("accuracy", 8);
        }
    }
}

static int run_all(plan *p, const char *dir, const char *dataset)
{
    hone__bench_results r;
    char *failures = NULL;
    hone_status s = hone__bench_folder(dir); /* better now than after an hour */
    if (s != HONE_OK) return report_failure(s);
    s = hone__bench_run(p->list, p->count, ROUNDS, on_progress, NULL, &r, &failures);
    add_quality(p, dataset, &r);
    if (failures) fprintf(stderr, "%s", failures);
    bool failed = failures != NULL;
    free(failures);
    if (s == HONE_OK && !r.count) s = hone__fail(HONE_E_IO, "nothing could be measured");
    if (s == HONE_OK) s = hone__bench_write(&r, dir);
    if (s == HONE_OK && !common.json) {
        print_table(&r);
        printf("written: %s/{results.csv,results.json,report.html,plots/}\n", dir);
    }
    hone__bench_free(&r);
    if (s != HONE_OK) {
        rmdir(dir); /* where nothing is in it */
        return report_failure(s);
    }
    if (common.json) {
        char path[PATH_MAX], line[4096];
        snprintf(path, sizeof path, "%s/results.json", dir);
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof line, f)) fputs(line, stdout);
        if (f) fclose(f);
    }
    return failed ? EXIT_FAILED : EXIT_DONE;
}

int cmd_bench(int argc, char **argv)
{
    text_list rest = {0};
    static plan p;
    const char *peers = NULL, *dir = "bench-out", *child = NULL, *dataset = NULL;
    int64_t repeat = 30;
    const option_row rows[] = {
        {"output", 'o', OPTION_TEXT, &dir, "DIR", "where results go (default bench-out)", 0, 0, NULL},
        {"peers", 0, OPTION_TEXT, &peers, "LIST", PEERS ": measured beside", 0, 0, NULL},
        {"peers-dir", 0, OPTION_TEXT, &p.peers_dir, "DIR", "where peer_<name>.py are", 0, 0, NULL},
        {"dataset", 0, OPTION_TEXT, &dataset, "DIR", "also measure accuracy on <label>/<clip> files", 0, 0, NULL},
        {"repeat", 0, OPTION_INT, &repeat, "N", "warm runs per process; 3 processes each (default 30)", 1, 1000000,
         NULL},
        {"child", 0, OPTION_TEXT, &child, "MODEL", "measure one model in this process, print JSON", 0, 0, NULL},
        {0},
    };
    const verb_help help = {
        "bench MODEL... [--peers LIST] [-o DIR]",
        "Measures each model and peer in fresh processes of its own, in turn, and writes results.csv, results.json,\n"
        "plots and report.html.",
        "  hone bench model.h5 model_fp32.onnx model_int8.onnx\n"
        "  hone bench model.h5 model_fp32.onnx --peers keras,tflite,onnxruntime,openvino -o out/\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (child) return run_child(child, repeat);
    if (!rest.count) return usage_failure("bench needs at least one model (hone bench --help)");
    ssize_t n = readlink("/proc/self/exe", p.self, sizeof p.self - 1);
    if (n <= 0) return usage_failure("cannot find this executable: %s", strerror(errno));
    snprintf(p.repeat, sizeof p.repeat, "%lld", (long long)repeat);
    snprintf(p.threads, sizeof p.threads, "%d", common.threads ? (int)common.threads : hone_cpu_cores());
    for (size_t i = 0; i < rest.count; i++) {
        struct stat st;
        if (stat(rest.items[i], &st)) return usage_failure("%s: %s", rest.items[i], strerror(errno));
        if ((code = add_hone(&p, rest.items[i])) >= 0) return code;
    }
    if ((code = add_peers(&p, peers, &rest)) >= 0) return code;
    return run_all(&p, dir, dataset);
}
