/* bench.c: fresh processes in turn, and what their rows say together. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"

extern char **environ;
enum { OUTPUT_MAX = 16 << 20 };

static volatile sig_atomic_t running, interrupted; /* running: the child's process id, 0: none */

void hone__bench_interrupt(void)
{
    interrupted = 1;
    if (running) kill((pid_t)running, SIGTERM);
}

static hone_status start_child(const char *const *argv, bool quiet, int pipes[2], pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    if (pipe(pipes)) return hone__fail(HONE_E_IO, "cannot make a pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, pipes[0]);
    if (quiet) posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int e = posix_spawnp(pid, argv[0], &actions, NULL, (char **)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    if (!e) return HONE_OK;
    close(pipes[0]);
    return hone__fail(HONE_E_IO, "%s: cannot start: %s", argv[0], strerror(e));
}

static hone_status read_all(int from, char **out)
{
    size_t used = 0, capacity = 1 << 16;
    *out = hone__malloc(capacity);
    if (!*out) return hone__out_of_memory(capacity);
    for (;;) {
        if (used + 1 >= capacity) {
            char *grown = capacity < OUTPUT_MAX ? hone__realloc(*out, capacity * 2) : NULL;
            if (!grown) break;
            *out = grown;
            capacity *= 2;
        }
        ssize_t n = read(from, *out + used, capacity - used - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        used += (size_t)n;
    }
    (*out)[used] = 0;
    return HONE_OK;
}

hone_status hone__bench_spawn(const char *const *argv, bool quiet, char **out, int *status)
{
    int pipes[2];
    pid_t pid;
    *out = NULL;
    *status = 0;
    HONE__TRY(start_child(argv, quiet, pipes, &pid));
    running = pid;
    if (interrupted) kill(pid, SIGTERM);
    hone_status s = read_all(pipes[0], out);
    close(pipes[0]);
    while (waitpid(pid, status, 0) < 0 && errno == EINTR) {}
    running = 0;
    if (!interrupted && !(WIFSIGNALED(*status) && (WTERMSIG(*status) == SIGINT || WTERMSIG(*status) == SIGTERM)))
        return s;
    hone__free(*out);
    *out = NULL;
    return hone__fail(HONE_E_CANCELLED, "interrupted");
}

static const char *text_of(const json_t *o, const char *key, const char *otherwise)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : otherwise;
}

static double number_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : -1;
}

static bool same_row(const hone__bench_row *r, const char *model, const char *engine, const char *precision,
                     int threads)
{
    return !strcmp(r->model, model) && !strcmp(r->engine, engine) && !strcmp(r->precision, precision) &&
           r->threads == threads;
}

static char *copy(const char *s) { return hone__strndup(s, strlen(s)); }

static hone_status find_row(hone__bench_results *out, const hone__contender *c, const json_t *o, hone__bench_row **row)
{
    const char *engine = text_of(o, "engine", c->engine), *precision = text_of(o, "precision", "");
    int threads = (int)number_of(o, "threads");
    for (size_t i = 0; i < out->count; i++)
        if (same_row(&out->rows[i], c->label, engine, precision, threads)) {
            *row = &out->rows[i];
            return HONE_OK;
        }
    HONE__TRY(hone__grow(&out->rows, &out->capacity, out->count, sizeof *out->rows));
    hone__bench_row *r = *row = &out->rows[out->count++];
    *r = (hone__bench_row){.from = c,
                           .model = copy(c->label),
                           .engine = copy(engine),
                           .version = copy(text_of(o, "version", "")),
                           .precision = copy(precision),
                           .layout = copy(text_of(o, "layout", "")),
                           .cpu = copy(text_of(o, "cpu", "")),
                           .quality_metric = copy(text_of(o, "quality_metric", "")),
                           .note = copy(text_of(o, "note", "")),
                           .threads = threads,
                           .size_mb = number_of(o, "size_mb"),
                           .init_ms = -1,
                           .cold_ms = -1,
                           .warm_ms = -1,
                           .min_ms = -1,
                           .max_ms = -1,
                           .p90_ms = -1,
                           .tokens = number_of(o, "tokens"),
                           .ms_per_token = -1,
                           .tokens_per_s = -1,
                           .peak_rss_mb = -1,
                           .weights_mb = number_of(o, "weights_mb"),
                           .runtime_mb = number_of(o, "runtime_mb"),
                           .quality = number_of(o, "quality")};
    return r->model && r->engine && r->version && r->precision && r->layout && r->cpu && r->note ? HONE_OK
                                                                                                 : HONE_E_MEMORY;
}

static hone_status add_times(hone__bench_row *r, const json_t *times, double init, double cold, size_t rounds)
{
    if (!r->inits) r->inits = hone__calloc(2 * rounds + 2, sizeof *r->inits);
    if (!r->inits) return HONE_E_MEMORY;
    r->colds = r->inits + rounds + 1;
    if (r->rounds > rounds) return HONE_OK;
    r->inits[r->rounds] = init;
    r->colds[r->rounds++] = cold;
    for (size_t i = 0; i < json_array_size(times); i++) {
        HONE__TRY(hone__grow(&r->times, &r->time_capacity, r->runs, sizeof *r->times));
        r->times[r->runs++] = json_number_value(json_array_get(times, i));
    }
    return HONE_OK;
}

static hone_status take_row(hone__bench_results *out, const hone__contender *c, const json_t *o, size_t rounds)
{
    hone__bench_row *r;
    const json_t *times = json_object_get(o, "times_ms");
    double init = number_of(o, "init_ms"), cold = number_of(o, "cold_ms"), peak = number_of(o, "peak_rss_mb");
    if (!times && *text_of(o, "note", "")) return find_row(out, c, o, &r);
    if (!json_array_size(times) || init < 0 || cold < 0 || peak < 0)
        return hone__fail(HONE_E_FORMAT, "%s: a line without init_ms, cold_ms, times_ms or peak_rss_mb", c->engine);
    HONE__TRY(find_row(out, c, o, &r));
    if (peak > r->peak_rss_mb) r->peak_rss_mb = peak;
    return add_times(r, times, init, cold, rounds);
}

static void add_failure(char **failures, const char *text)
{
    char *joined = NULL;
    if (asprintf(&joined, "%s%s\n", *failures ? *failures : "", text) < 0) return;
    free(*failures);
    *failures = joined;
}

/* Its lines of JSON; other lines are chatter of the peer's libraries. */
static hone_status take_lines(hone__bench_results *out, const hone__contender *c, char *text, size_t rounds,
                              size_t *found)
{
    hone_status s = HONE_OK;
    while (s == HONE_OK && text && *text) {
        char *end = strchr(text, '\n');
        if (end) *end = 0;
        json_t *o = *text == '{' ? json_loads(text, 0, NULL) : NULL;
        if (o) s = take_row(out, c, o, rounds);
        *found += o != NULL;
        json_decref(o);
        text = end ? end + 1 : NULL;
    }
    return s;
}

static hone_status one_child(const hone__contender *c, size_t rounds, hone__bench_results *out, char **failures)
{
    char *text, line[512];
    int code;
    size_t found = 0;
    hone_status s = hone__bench_spawn(c->argv, c->quiet, &text, &code);
    if (s == HONE_OK) s = take_lines(out, c, text, rounds, &found);
    hone__free(text);
    /* a peer that cannot run this kind of file says nothing and ends well */
    if (s == HONE_E_CANCELLED || (s == HONE_OK && WIFEXITED(code) && !WEXITSTATUS(code) && (found || c->quiet)))
        return s;
    if (s == HONE_OK)
        snprintf(line, sizeof line, "%s on %s: failed (exit status %d)", c->engine, c->label,
                 WIFEXITED(code) ? WEXITSTATUS(code) : -1);
    else
        snprintf(line, sizeof line, "%s on %s: %s", c->engine, c->label, hone_error_message());
    add_failure(failures, line);
    return HONE_OK;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *v, size_t n, double q)
{
    qsort(v, n, sizeof *v, by_value);
    if (n % 2 == 0 && q == 0.5) return (v[n / 2 - 1] + v[n / 2]) / 2;
    size_t i = (size_t)((double)n * q);
    return v[i < n ? i : n - 1];
}

static void finish(hone__bench_row *r)
{
    r->init_ms = quantile(r->inits, r->rounds, 0.5);
    r->cold_ms = quantile(r->colds, r->rounds, 0.5);
    r->warm_ms = quantile(r->times, r->runs, 0.5);
    r->p90_ms = quantile(r->times, r->runs, 0.9);
    r->min_ms = r->times[0];
    r->max_ms = r->times[r->runs - 1];
    if (r->tokens > 0) {
        r->ms_per_token = r->warm_ms / r->tokens;
        r->tokens_per_s = 1000 / r->ms_per_token;
    }
}

static int by_speed(const void *a, const void *b)
{
    const hone__bench_row *x = a, *y = b;
    if (!x->runs != !y->runs) return !x->runs - !y->runs;
    return (x->warm_ms > y->warm_ms) - (x->warm_ms < y->warm_ms);
}

/* Models in their order, each with its fastest row first. */
static int by_model(const void *a, const void *b)
{
    const hone__bench_row *x = a, *y = b;
    size_t i = x->from->order, k = y->from->order;
    return i != k ? (i > k) - (i < k) : by_speed(a, b);
}

bool hone__bench_per_token(const hone__bench_results *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->rows[i].tokens > 0) return true;
    return false;
}

hone_status hone__bench_run(const hone__contender *list, size_t count, size_t rounds, hone__bench_progress fn,
                            void *ctx, hone__bench_results *out, char **failures)
{
    *out = (hone__bench_results){0};
    *failures = NULL;
    bool *failed = hone__calloc(count + 1, sizeof *failed);
    hone_status s = failed ? HONE_OK : hone__out_of_memory(count);
    for (size_t round = 0; s == HONE_OK && round < rounds; round++)
        for (size_t i = 0; s == HONE_OK && i < count; i++) {
            const char *before = *failures;
            if (!failed[i]) s = one_child(&list[i], rounds, out, failures);
            failed[i] = failed[i] || *failures != before;
            if (fn) fn(ctx, round * count + i + 1, rounds * count);
        }
    hone__free(failed);
    for (size_t i = 0; i < out->count; i++)
        if (out->rows[i].runs) finish(&out->rows[i]);
    if (out->count) qsort(out->rows, out->count, sizeof *out->rows, hone__bench_per_token(out) ? by_model : by_speed);
    return s;
}

void hone__bench_free(hone__bench_results *r)
{
    for (size_t i = 0; i < r->count; i++) {
        hone__bench_row *w = &r->rows[i];
        char *texts[] = {w->model, w->engine, w->version, w->precision, w->layout, w->cpu, w->quality_metric, w->note};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) hone__free(texts[k]);
        hone__free(w->times);
        hone__free(w->inits);
    }
    hone__free(r->rows);
    *r = (hone__bench_results){0};
}
