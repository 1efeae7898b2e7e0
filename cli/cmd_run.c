/* cmd_run.c: any ONNX model on tensors from files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "feeds.h"
#include "tools/tensorfile/tensorfile.h"

/* Characters outside [A-Za-z0-9._-] become '_'. */
static void file_name(const char *name, char *out, size_t size)
{
    size_t n = 0;
    for (; *name && n + 1 < size; name++) {
        bool plain = (*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z') ||
                     (*name >= '0' && *name <= '9') || *name == '.' || *name == '_' || *name == '-';
        out[n++] = plain ? *name : '_';
    }
    out[n] = 0;
}

/* The files of this run: when one cannot be written, none stays. */
typedef struct written {
    const char *dir;
    char **paths;
    size_t count;
} written;

static hone_status remember(written *w, const char *path)
{
    char **more = realloc(w->paths, (w->count + 1) * sizeof *more);
    if (!more) return hone__fail(HONE_E_MEMORY, "out of memory");
    w->paths = more;
    w->paths[w->count] = strdup(path);
    return w->paths[w->count++] ? HONE_OK : hone__fail(HONE_E_MEMORY, "out of memory");
}

static void forget(written *w, bool undo)
{
    for (size_t i = 0; i < w->count; i++) {
        if (undo && w->paths[i]) remove(w->paths[i]);
        free(w->paths[i]);
    }
    free(w->paths);
}

/* DIR/<name>.npy, or DIR/<name>.<item>.npy for an element of a sequence. */
static hone_status write_one(written *w, const char *name, long item, const hone_tensor *t)
{
    char path[4096], number[24] = "", shape[160];
    if (item >= 0) snprintf(number, sizeof number, ".%ld", item);
    if (snprintf(path, sizeof path, "%s/%s%s.npy", w->dir, name, number) >= (int)sizeof path)
        return hone__fail(HONE_E_ARGUMENT, "%s: too long", w->dir);
    HONE__TRY(hone__npy_write(path, t->dtype, t->rank, t->dims, t->data, t->bytes));
    HONE__TRY(remember(w, path));
    if (!common.quiet)
        printf("%s  %s %s\n", path, hone_dtype_name(t->dtype), hone__shape_text(t->rank, t->dims, shape, sizeof shape));
    return HONE_OK;
}

static hone_status write_value(written *w, const char *name, const hone_value *v)
{
    if (v->kind == HONE_KIND_TENSOR) return write_one(w, name, -1, &v->tensor);
    for (size_t k = 0; k < v->count; k++) HONE__TRY(write_one(w, name, (long)k, &v->items[k]));
    if (v->count || common.quiet) return HONE_OK;
    printf("%s: %s\n", name, v->kind == HONE_KIND_NONE ? "nothing" : "an empty sequence");
    return HONE_OK;
}

static int write_outputs(const hone_model *m, const char *dir, const hone_value *outputs)
{
    char name[256];
    hone_value_info info;
    bool made = mkdir(dir, 0777) == 0;
    if (!made && errno != EEXIST) return usage_failure("%s: %s", dir, strerror(errno));
    written w = {.dir = dir};
    hone_status s = HONE_OK;
    size_t count = hone_model_output_count(m);
    for (size_t i = 0; s == HONE_OK && i < count; i++) {
        hone_model_output(m, i, &info);
        file_name(info.name, name, sizeof name);
        s = write_value(&w, name, &outputs[i]);
    }
    int code = s == HONE_OK ? EXIT_DONE : report_failure(s);
    forget(&w, s != HONE_OK);
    if (s != HONE_OK && made) remove(dir);
    return code;
}

static int run_model(const char *path, hone_model *m, const char *dir, const hone_value *inputs, uint64_t max_memory,
                     bool plain)
{
    hone_session_options o = {.threads = (int)common.threads, .max_memory = max_memory, .plain = plain};
    hone_session *s;
    size_t ins = hone_model_input_count(m), outs = hone_model_output_count(m);
    hone_value *outputs = calloc(outs + 1, sizeof *outputs);
    if (!outputs) return usage_failure("out of memory");
    hone_status st = hone_session_create(m, &o, &s);
    if (st == HONE_OK) st = hone_session_run_values(s, inputs, ins, outputs, outs);
    int code = st == HONE_OK ? write_outputs(m, dir, outputs) : report_failure(hone__at(st, "%s", path));
    hone_session_destroy(s);
    free(outputs);
    return code;
}

int cmd_run(int argc, char **argv)
{
    text_list rest = {0}, ins = {0};
    const char *dir = NULL;
    uint64_t max_memory = 0;
    bool plain = false;
    const option_row rows[] = {
        {"input", 'i', OPTION_LIST, &ins, "NAME=FILE",
         "an input from .npy or .pb; FILE.npz gives several, or a sequence's elements", 0, 0, NULL},
        {"output", 'o', OPTION_TEXT, &dir, "DIR",
         "where the outputs go, as <name>.npy, sequences as <name>.0.npy and on", 0, 0, NULL},
        {"max-memory", 0, OPTION_SIZE, &max_memory, "SIZE", "limit for activations, such as 500M", 0, 0, NULL},
        {"plain", 0, OPTION_FLAG, &plain, NULL, "run the graph exactly as it is written", 0, 0, NULL},
        {0},
    };
    const verb_help help = {
        "run MODEL -i NAME=FILE ... -o DIR", "Runs a model once and writes every output as .npy.",
        "  hone run model.onnx -i input=x.npy -o out/\n  hone run model.onnx -i inputs.npz -o out/\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count != 1) return usage_failure("run needs one model (hone run --help)");
    if (!dir) return usage_failure("run needs -o DIR");
    hone_model *m;
    hone_status s = open_model(rest.items[0], &m);
    if (s != HONE_OK) return report_failure(s);
    feeds *f = NULL;
    code = feeds_open(m, &ins, false, &f);
    if (code < 0) code = run_model(rest.items[0], m, dir, feeds_values(f), max_memory, plain);
    feeds_close(f);
    hone_model_destroy(m);
    return code;
}
