/* cmd_run.c: any ONNX model on tensors from files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "tools/tensorfile/tensorfile.h"

enum { MAX_IO = 512 };

typedef struct feeds {
    hone__named_tensor *lists[MAX_IO];
    size_t counts[MAX_IO], lists_used;
} feeds;

static void feeds_free(feeds *f)
{
    for (size_t i = 0; i < f->lists_used; i++) hone__tensor_list_free(f->lists[i], f->counts[i]);
}

static int input_index(const hone_model *m, const char *name, size_t n)
{
    hone_value_info info;
    for (size_t i = 0; hone_model_input(m, i, &info) == HONE_OK; i++)
        if (strlen(info.name) == n && !strncmp(info.name, name, n)) return (int)i;
    return -1;
}

static void as_public(const hone__tensor *t, hone_tensor *out)
{
    *out = (hone_tensor){.dtype = t->dtype, .rank = t->rank, .data = (void *)(uintptr_t)t->data, .bytes = t->bytes};
    memcpy(out->dims, t->dims, sizeof out->dims);
}

static int unknown_input(const hone_model *m, const char *name)
{
    char known[512] = "";
    hone_value_info info;
    for (size_t i = 0; hone_model_input(m, i, &info) == HONE_OK; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s'%.80s'", i ? ", " : "", info.name);
    return usage_failure("the model has no input '%s'; it has %s", name, known);
}

/* NAME=FILE, or FILE.npz with one member per input. */
static int feed(const hone_model *m, const char *spec, feeds *f, hone_tensor *inputs, bool *given)
{
    const char *eq = strchr(spec, '='), *file = eq ? eq + 1 : spec;
    if (f->lists_used == MAX_IO) return usage_failure("more than %d inputs", MAX_IO);
    hone_status s = hone__tensorfile_read(file, &f->lists[f->lists_used], &f->counts[f->lists_used]);
    if (s != HONE_OK) return report_failure(s);
    hone__named_tensor *list = f->lists[f->lists_used];
    size_t count = f->counts[f->lists_used++];
    if (eq && count != 1) return usage_failure("%s holds %zu tensors; give it without a name", file, count);
    for (size_t i = 0; i < count; i++) {
        const char *name = eq ? spec : list[i].name;
        int k = input_index(m, name, eq ? (size_t)(eq - spec) : strlen(name));
        if (k < 0 && !eq && !*name && hone_model_input_count(m) == 1) k = 0;
        if (k < 0) {
            char text[128];
            snprintf(text, sizeof text, "%.*s", eq ? (int)(eq - spec) : (int)strlen(name), name);
            return unknown_input(m, text);
        }
        as_public(&list[i].tensor, &inputs[k]);
        given[k] = true;
    }
    return -1;
}

/* Characters outside [A-Za-z0-9._-] become '_'. */
static void file_name(const char *name, char *out, size_t size)
{
    size_t n = 0;
    for (; *name && n + 1 < size; name++) {
        bool plain = (*name >= 'A' && *name <= 'Z') || (*name >= 'a' && *name <= 'z') || (*name >= '0' && *name <= '9') ||
                     *name == '.' || *name == '_' || *name == '-';
        out[n++] = plain ? *name : '_';
    }
    out[n] = 0;
}

static int write_outputs(const hone_model *m, const char *dir, const hone_tensor *outputs)
{
    char path[4096], name[256];
    hone_value_info info;
    bool made = mkdir(dir, 0777) == 0;
    if (!made && errno != EEXIST) return usage_failure("%s: %s", dir, strerror(errno));
    for (size_t i = 0; hone_model_output(m, i, &info) == HONE_OK; i++) {
        file_name(info.name, name, sizeof name);
        if (snprintf(path, sizeof path, "%s/%s.npy", dir, name) >= (int)sizeof path) return usage_failure("%s: too long", dir);
        const hone_tensor *t = &outputs[i];
        hone_status s = hone__npy_write(path, t->dtype, t->rank, t->dims, t->data, t->bytes);
        if (s != HONE_OK) {
            if (made && !i) remove(dir);
            return report_failure(s);
        }
        if (common.quiet) continue;
        char shape[160];
        printf("%s  %s %s\n", path, hone_dtype_name(t->dtype), hone__shape_text(t->rank, t->dims, shape, sizeof shape));
    }
    return EXIT_DONE;
}

static int run_model(hone_model *m, const char *dir, const hone_tensor *inputs, uint64_t max_memory, bool plain)
{
    hone_session_options o = {.threads = (int)common.threads, .max_memory = max_memory, .plain = plain};
    hone_session *s;
    hone_tensor *outputs = calloc(hone_model_output_count(m) + 1, sizeof *outputs);
    if (!outputs) return usage_failure("out of memory");
    hone_status st = hone_session_create(m, &o, &s);
    if (st == HONE_OK) st = hone_session_run(s, inputs, hone_model_input_count(m), outputs, hone_model_output_count(m));
    int code = st == HONE_OK ? write_outputs(m, dir, outputs) : report_failure(st);
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
        {"input", 'i', OPTION_LIST, &ins, "NAME=FILE", "an input from .npy or .pb; FILE.npz gives several", 0, 0, NULL},
        {"output", 'o', OPTION_TEXT, &dir, "DIR", "where the outputs go, as <name>.npy", 0, 0, NULL},
        {"max-memory", 0, OPTION_SIZE, &max_memory, "SIZE", "limit for activations, such as 500M", 0, 0, NULL},
        {"plain", 0, OPTION_FLAG, &plain, NULL, "run the graph exactly as it is written", 0, 0, NULL},
        {0},
    };
    const verb_help help = {"run MODEL -i NAME=FILE ... -o DIR", "Runs a model once and writes every output as .npy.",
                            "  hone run model.onnx -i input=x.npy -o out/\n  hone run model.onnx -i inputs.npz -o out/\n"};
    int code = options_read(argc, argv, rows, &help, &rest);
    if (code >= 0) return code;
    if (rest.count != 1) return usage_failure("run needs one model (hone run --help)");
    if (!dir) return usage_failure("run needs -o DIR");
    hone_model *m;
    hone_status s = open_model(rest.items[0], &m);
    if (s != HONE_OK) return report_failure(s);
    size_t n = hone_model_input_count(m);
    feeds *f = calloc(1, sizeof *f);
    hone_tensor *inputs = calloc(n + 1, sizeof *inputs);
    bool *given = calloc(n + 1, sizeof *given);
    code = f && inputs && given ? -1 : usage_failure("out of memory");
    for (size_t i = 0; code < 0 && i < ins.count; i++) code = feed(m, ins.items[i], f, inputs, given);
    for (size_t i = 0; code < 0 && i < n; i++) {
        hone_value_info info;
        hone_model_input(m, i, &info);
        if (!given[i]) code = usage_failure("input '%s' is missing: -i %s=FILE", info.name, info.name);
    }
    if (code < 0) code = run_model(m, dir, inputs, max_memory, plain);
    if (f) feeds_free(f);
    free(f);
    free(inputs);
    free(given);
    hone_model_destroy(m);
    return code;
}
