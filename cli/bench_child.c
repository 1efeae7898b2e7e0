/* bench_child.c: loads one model, runs it cold, warm and `repeat` times, and prints what it cost as a line of JSON. */
#include "bench_child.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "api/api.h"
#include "feeds.h"
#include "folder.h"

enum { WARM_UP_MS = 300 };

/* What is measured: ready to run, and what its line says. */
typedef struct subject {
    hone_model *model;
    hone_status (*run)(struct subject *s);
    int warm_ups; /* at the least */
    double size_mb, runtime_mb;
    const char *layout;
    size_t tokens; /* 0: this is no text */
    hone_session *session;
    const hone_tensor *in;
    hone_tensor *out;
    hone_generator *generator;
    const bench_job *job;
    size_t made;
} subject;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* A line of /proc/self/status such as "VmHWM:", which is in KiB. */
static double status_kb(const char *name)
{
    char line[128];
    long kb = 0;
    size_t n = strlen(name);
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, n) && sscanf(line + n, " %ld", &kb) == 1) break;
    if (f) fclose(f);
    return (double)kb;
}

/* Bytes per element type: the type that most weight bytes have names the precision. */
static void count_type(void *ctx, const char *name, const hone_tensor *t)
{
    size_t *bytes = ctx;
    (void)name;
    bytes[t->dtype] += t->bytes;
}

/* The linear layers' own word for their packed weights; 0: there are none. */
static int64_t packed_bits(const hone_model *m, bool *is_static)
{
    int64_t bits = 0;
    for (const hone__node *n = m->graph->graph->first; n; n = n->next) {
        const hone__attr *a = strcmp(n->op, "MatMulNBits") ? NULL : hone__node_attr(n, "bits");
        if (a && (!bits || a->i < bits)) bits = a->i;
        *is_static = *is_static || !strcmp(n->op, "QuantizeLinear");
    }
    return bits;
}

static const char *precision_of(const hone_model *m)
{
    size_t bytes[HONE_DTYPE_COUNT] = {0}, best = HONE_F32;
    bool is_static = false;
    int64_t bits = packed_bits(m, &is_static);
    hone_model_weights(m, count_type, bytes);
    for (size_t i = 1; i < HONE_DTYPE_COUNT; i++)
        if (bytes[i] > bytes[best]) best = i;
    switch (best) {
    case HONE_U8:
    case HONE_I8: return bits == 4 ? "int4" : is_static ? "int8 static" : "int8";
    case HONE_U4:
    case HONE_I4: return "int4";
    case HONE_F16: return "fp16";
    case HONE_BF16: return "bf16";
    default: return "fp32";
    }
}

static void print_line(const subject *s, double init, double cold, const double *ms)
{
    hone_model_facts facts;
    hone_model_facts_get(s->model, &facts);
    printf("{\"engine\": \"hone\", \"version\": \"%s\", \"precision\": \"%s\", \"layout\": \"%s\", \"threads\": %d, "
           "\"cpu\": ",
           hone_version(), precision_of(s->model), s->layout, common.threads ? (int)common.threads : hone_cpu_cores());
    print_json_string(hone_cpu_name());
    if (s->tokens) printf(", \"tokens\": %zu", s->tokens);
    printf(", \"size_mb\": %.6f, \"init_ms\": %.4f, \"cold_ms\": %.4f, \"weights_mb\": %.6f, \"runtime_mb\": %.6f, "
           "\"peak_rss_mb\": %.3f, \"note\": \"%s\", \"times_ms\": [",
           s->size_mb, init, cold, (double)facts.weight_bytes / 1e6, s->runtime_mb, status_kb("VmHWM:") / 1024,
           hone_cpu_tier());
    for (int64_t i = 0; i < s->job->repeat; i++) printf("%s%.5f", i ? ", " : "", ms[i]);
    printf("]}\n");
}

/* Cold, until the CPU's clock has risen (as the peers' scripts do), then `repeat` times. */
static hone_status measure(subject *s, double init)
{
    double *ms = calloc((size_t)s->job->repeat, sizeof *ms), start = now_ms();
    if (!ms) return hone__out_of_memory((size_t)s->job->repeat * sizeof *ms);
    hone_status st = s->run(s);
    double cold = now_ms() - start;
    start = now_ms();
    for (int i = 0; st == HONE_OK && (i < s->warm_ups || now_ms() - start < WARM_UP_MS); i++) st = s->run(s);
    for (int64_t i = 0; st == HONE_OK && i < s->job->repeat; i++) {
        start = now_ms();
        st = s->run(s);
        ms[i] = now_ms() - start;
    }
    /* weights lie in the file's mapping and are not anonymous */
    s->runtime_mb = s->session ? (double)hone_session_memory(s->session) / 1e6 : status_kb("RssAnon:") * 1024 / 1e6;
    if (st == HONE_OK) print_line(s, init, cold, ms);
    free(ms);
    return st;
}

static hone_status run_tensors(subject *s)
{
    return hone_session_run(s->session, s->in, hone_model_input_count(s->model), s->out,
                            hone_model_output_count(s->model));
}

static int measure_tensors(subject *s, double opened)
{
    feeds *f;
    hone_session_options o = {.threads = (int)common.threads};
    int code = feeds_open(s->model, &(text_list){0}, true, &f);
    if (code >= 0) return code;
    double start = now_ms();
    s->run = run_tensors;
    s->warm_ups = 3;
    s->in = feeds_inputs(f);
    s->out = calloc(hone_model_output_count(s->model) + 1, sizeof *s->out);
    hone_status st =
        s->out ? hone_session_create(s->model, &o, &s->session) : hone__fail(HONE_E_MEMORY, "out of memory");
    if (st == HONE_OK) st = measure(s, opened + now_ms() - start);
    hone_session_destroy(s->session);
    free(s->out);
    feeds_close(f);
    return st == HONE_OK ? EXIT_DONE : report_failure(st);
}

static int on_piece(void *ctx, size_t index, const char *text, size_t size, int token, int last)
{
    subject *s = ctx;
    (void)index, (void)text, (void)size, (void)token, (void)last;
    s->made++;
    return 0;
}

static hone_status run_text(subject *s)
{
    hone_generate_options o = HONE_GENERATE_OPTIONS_INIT;
    o.tokens = s->tokens;
    o.force = 1;
    s->made = 0;
    HONE__TRY(hone_generator_run(s->generator, &s->job->prompt, 1, &o, on_piece, s));
    if (s->made == s->tokens) return HONE_OK;
    return hone__fail(HONE_E_LIMIT, "the context of %zu tokens ends after %zu of %zu new ones",
                      hone_generator_context(s->generator), s->made, s->tokens);
}

static int measure_text(subject *s, const char *path, double opened)
{
    hone_generator_options o = HONE_GENERATOR_OPTIONS_INIT;
    double start = now_ms();
    o.threads = (int)common.threads;
    s->run = run_text;
    s->warm_ups = 1;
    s->tokens = (size_t)s->job->tokens;
    s->layout = "with-past";
    hone_status st = hone_generator_create(s->model, &o, &s->generator);
    if (st == HONE_OK) st = measure(s, opened + now_ms() - start);
    hone_generator_destroy(s->generator);
    return st == HONE_OK ? EXIT_DONE : report_failure(hone__at(st, "%s", path));
}

/* Of a model's folder, or of its file and the weights beside it. */
static double file_mb(const char *path)
{
    char data[PATH_MAX];
    struct stat st;
    if (stat(path, &st)) return 0;
    if (S_ISDIR(st.st_mode)) return (double)folder_bytes(path) / 1e6;
    double sum = (double)st.st_size;
    if ((size_t)snprintf(data, sizeof data, "%s_data", path) < sizeof data && !stat(data, &st))
        sum += (double)st.st_size;
    return sum / 1e6;
}

int bench_child(const char *path, const bench_job *job)
{
    char file[PATH_MAX];
    subject s = {.layout = "", .job = job, .size_mb = file_mb(path)};
    double start = now_ms();
    hone_status st = HONE_OK;
    if (job->task == BENCH_GENERATE)
        st = folder_model(path, "no model.onnx is in it", file);
    else
        snprintf(file, sizeof file, "%s", path);
    if (st == HONE_OK) st = open_model(file, &s.model);
    if (st != HONE_OK) return report_failure(st);
    double opened = now_ms() - start;
    int code = job->task == BENCH_GENERATE ? measure_text(&s, path, opened) : measure_tensors(&s, opened);
    hone_model_destroy(s.model);
    return code;
}
