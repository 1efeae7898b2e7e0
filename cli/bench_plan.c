/* bench_plan.c: the command lines of contenders. A Hugging Face folder is imported by `hone optimize` itself, in a
 * process of its own, once for each precision. */
#define _GNU_SOURCE
#include "bench_plan.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "folder.h"
#include "tools/import/import.h"

static const struct {
    const char *name, *script; /* script: what a peer's file name starts with */
    const char *peers;
} tasks[] = {
    [BENCH_RUN] = {"run", "peer", "keras,tflite,onnxruntime,openvino"},
    [BENCH_GENERATE] = {"generate", "generate",
                        "pytorch,pytorch-quantized,onnxruntime,onnxruntime-int8,ctranslate2,llama.cpp"},
};

const char *bench_peers(int task) { return tasks[task].peers; }

static int add(bench_plan *p, hone__contender c, const char *const *argv, size_t n)
{
    if (p->count == BENCH_CONTENDERS) return usage_failure("more than %d contenders", BENCH_CONTENDERS);
    const char **copy = calloc(n + 1, sizeof *copy);
    c.engine = strdup(c.engine);
    c.model = strdup(c.model);
    if (!copy || !c.engine || !c.model) return usage_failure("out of memory");
    for (size_t i = 0; i < n; i++) copy[i] = strdup(argv[i]);
    c.argv = copy;
    p->list[p->count++] = c;
    return -1;
}

/* Behind the script, or behind `hone bench --child MODEL`. */
static size_t add_job(const bench_plan *p, const char **argv, size_t n)
{
    argv[n++] = "--repeat", argv[n++] = p->repeat;
    argv[n++] = "--threads", argv[n++] = p->threads;
    if (p->job->task == BENCH_GENERATE) {
        argv[n++] = "--prompt", argv[n++] = p->job->prompt;
        argv[n++] = "--tokens", argv[n++] = p->tokens;
    }
    return n;
}

static int add_hone(bench_plan *p, const char *label, size_t order, const char *model)
{
    const char *argv[16] = {p->self, "bench", "--child", model, "--task", tasks[p->job->task].name};
    return add(p, (hone__contender){.engine = "hone", .label = label, .model = model, .order = order}, argv,
               add_job(p, argv, 6));
}

/* Makes p->work. */
static int make_work(bench_plan *p)
{
    const char *place = getenv("TMPDIR");
    if (*p->work) return -1;
    snprintf(p->work, sizeof p->work, "%.4000s/hone-bench-XXXXXX", place && *place ? place : "/tmp");
    if (mkdtemp(p->work)) return -1;
    int code = usage_failure("%s: %s", p->work, strerror(errno));
    *p->work = 0;
    return code;
}

/* `hone optimize SOURCE -o OUT`: its own messages say what is wrong. */
static int import(const bench_plan *p, const char *source, const char *precision, const char *out)
{
    const char *argv[] = {p->self, "optimize", source, "-o", out, "--precision", precision, "-q", NULL};
    char *text;
    int status;
    hone_status s = hone__bench_spawn(argv, false, &text, &status);
    hone__free(text);
    if (s != HONE_OK) return report_failure(s);
    if (!WIFEXITED(status)) return usage_failure("%s: the import ended with signal %d", source, WTERMSIG(status));
    return WEXITSTATUS(status) ? WEXITSTATUS(status) : -1;
}

static int add_imported(bench_plan *p, const char *label, size_t order, const char *source)
{
    char list[128], out[PATH_MAX];
    int code = make_work(p);
    snprintf(list, sizeof list, "%s", p->precisions);
    for (char *save, *name = strtok_r(list, ",", &save); code < 0 && name; name = strtok_r(NULL, ",", &save)) {
        if ((size_t)snprintf(out, sizeof out, "%s/%zu-%s", p->work, order, name) >= sizeof out)
            return usage_failure("%s: too long", p->work);
        if (!common.quiet) fprintf(stderr, "importing %s in %s\n", label, name);
        code = import(p, source, name, out);
        if (code < 0) code = add_hone(p, label, order, out);
    }
    return code;
}

static void find_peers(bench_plan *p)
{
    const char *given = getenv("HONE_PEERS_PYTHON");
    int folder = (int)(strrchr(p->self, '/') - p->self);
    if (p->peers_dir)
        snprintf(p->scripts, sizeof p->scripts, "%s", p->peers_dir);
    else
        snprintf(p->scripts, sizeof p->scripts, "%.*s/../bench/peers", folder, p->self);
    if (given && *given)
        snprintf(p->python, sizeof p->python, "%s", given);
    else
        snprintf(p->python, sizeof p->python, "%.*s/peers-venv/bin/python", folder, p->self);
    setenv("HONE", p->self, 1); /* peers that run what hone exports ask for it */
}

static bool is_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!strncmp(at, name, n) && (at[n] == ',' || !at[n])) return true;
    return false;
}

/* Each of `names` is one of `known`. */
static int check_names(const char *what, const char *names, const char *known)
{
    char list[512];
    if ((size_t)snprintf(list, sizeof list, "%s", names) >= sizeof list)
        return usage_failure("too many %ss; there are %s", what, known);
    for (char *save, *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save))
        if (!is_listed(known, name)) return usage_failure("unknown %s '%s'; there are %s", what, name, known);
    return -1;
}

/* SCRIPTS/<task>_<name>.py, where a name's '-' and '.' are '_'. */
static int add_peer(bench_plan *p, const char *name, const char *label, size_t order, const char *model)
{
    char script[PATH_MAX];
    int n = snprintf(script, sizeof script, "%s/%s_%s.py", p->scripts, tasks[p->job->task].script, name);
    for (char *c = n > 0 && n < PATH_MAX ? script + n - 3 - strlen(name) : NULL; c && c < script + n - 3; c++)
        if (*c == '-' || *c == '.') *c = '_';
    if (n >= PATH_MAX || access(script, R_OK)) {
        fprintf(stderr, "hone: peer '%s' is skipped: %s is not there\n", name, script);
        return -1;
    }
    const char *argv[16] = {p->python, script, model};
    return add(
        p, (hone__contender){.engine = name, .label = label, .model = model, .order = order, .quiet = !common.verbose},
        argv, add_job(p, argv, 3));
}

static int add_peers(bench_plan *p, const text_list *models, char *const *labels)
{
    char list[512];
    if (!p->peers) return -1;
    find_peers(p);
    snprintf(list, sizeof list, "%s", p->peers);
    bool there = !access(p->python, X_OK);
    int code = -1;
    for (char *save, *name = strtok_r(list, ",", &save); code < 0 && name; name = strtok_r(NULL, ",", &save)) {
        if (!there) {
            fprintf(stderr, "hone: peer '%s' is skipped: its environment is not there (make peers)\n", name);
            continue;
        }
        for (size_t i = 0; code < 0 && i < models->count; i++) code = add_peer(p, name, labels[i], i, models->items[i]);
    }
    return code;
}

/* The last part of a path; the path itself where two models would get one name. */
static void label_models(const text_list *models, char **labels)
{
    for (size_t i = 0; i < models->count; i++) {
        size_t n = strlen(models->items[i]);
        while (n > 1 && models->items[i][n - 1] == '/') n--;
        const char *end = models->items[i] + n, *start = end;
        while (start > models->items[i] && start[-1] != '/') start--;
        labels[i] = strndup(start, (size_t)(end - start));
    }
    for (size_t i = 0; i < models->count; i++)
        for (size_t k = 0; k < i; k++)
            if (labels[i] && labels[k] && !strcmp(labels[i], labels[k])) {
                free(labels[i]);
                labels[i] = strdup(models->items[i]);
            }
}

static int add_models(bench_plan *p, const text_list *models, char *const *labels)
{
    int code = -1;
    for (size_t i = 0; code < 0 && i < models->count; i++) {
        char file[PATH_MAX];
        struct stat st;
        const char *model = models->items[i];
        if (!labels[i]) return usage_failure("out of memory");
        if (stat(model, &st)) return usage_failure("%s: %s", model, strerror(errno));
        bool is_text = p->job->task == BENCH_GENERATE;
        if (is_text && hone__import_is_hugging_face(model) && folder_model(model, "", file) != HONE_OK)
            code = add_imported(p, labels[i], i, model);
        else
            code = add_hone(p, labels[i], i, model);
    }
    return code;
}

int bench_plan_make(bench_plan *p, const text_list *models)
{
    ssize_t n = readlink("/proc/self/exe", p->self, sizeof p->self - 1);
    if (n <= 0) return usage_failure("cannot find this executable: %s", strerror(errno));
    snprintf(p->repeat, sizeof p->repeat, "%lld", (long long)p->job->repeat);
    snprintf(p->tokens, sizeof p->tokens, "%lld", (long long)p->job->tokens);
    snprintf(p->threads, sizeof p->threads, "%d", common.threads ? (int)common.threads : hone_cpu_cores());
    int code = p->peers && !p->peers_dir ? check_names("peer", p->peers, bench_peers(p->job->task)) : -1;
    if (code < 0) code = check_names("precision", p->precisions, "fp32,fp16,bf16,int8,int4");
    if (code >= 0) return code;
    p->labels = calloc(models->count, sizeof *p->labels);
    if (!p->labels) return usage_failure("out of memory");
    p->models = models->count;
    label_models(models, p->labels);
    code = add_models(p, models, p->labels);
    return code < 0 ? add_peers(p, models, p->labels) : code;
}

static void remove_folder(const char *path)
{
    char inner[PATH_MAX];
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if ((size_t)snprintf(inner, sizeof inner, "%s/%s", path, e->d_name) >= sizeof inner) continue;
        if (unlink(inner)) remove_folder(inner);
    }
    if (d) closedir(d);
    rmdir(path);
}

void bench_plan_close(bench_plan *p)
{
    if (*p->work) remove_folder(p->work);
    *p->work = 0;
    for (size_t i = 0; i < p->count; i++) {
        hone__contender *c = &p->list[i];
        for (const char **a = c->argv; *a; a++) free((void *)(uintptr_t)*a);
        free((void *)c->argv);
        free((void *)(uintptr_t)c->engine);
        free((void *)(uintptr_t)c->model);
    }
    for (size_t i = 0; i < p->models; i++) free(p->labels[i]);
    free(p->labels);
    p->count = p->models = 0;
    p->labels = NULL;
}
