/* feeds.c: tensors from files, matched to a model's inputs. */
#include "feeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/tensorfile/tensorfile.h"

enum { MAX_FILES = 512 };

struct feeds {
    hone__named_tensor *lists[MAX_FILES];
    size_t counts[MAX_FILES], lists_used, count;
    hone_tensor *inputs;
    bool *given, *made; /* from a file; random */
};

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
static int feed(const hone_model *m, const char *spec, feeds *f)
{
    const char *eq = strchr(spec, '='), *file = eq ? eq + 1 : spec;
    if (f->lists_used == MAX_FILES) return usage_failure("more than %d inputs", MAX_FILES);
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
        as_public(&list[i].tensor, &f->inputs[k]);
        f->given[k] = true;
    }
    return -1;
}

/* Seeded numbers in [-1, 1), zeros for integers. */
static hone_status random_input(const hone_value_info *v, hone_tensor *in)
{
    unsigned seed = 1;
    size_t count = 1, size = (size_t)hone__dtype_bits(v->dtype) / 8;
    if (v->rank < 0 || !size || v->dtype == HONE_STRING)
        return hone__fail(HONE_E_UNSUPPORTED, "input '%s' has no rank or type that random numbers fit", v->name);
    *in = (hone_tensor){.dtype = v->dtype, .rank = v->rank};
    for (int k = 0; k < v->rank; k++) in->dims[k] = v->dims[k] < 0 ? 1 : v->dims[k];
    HONE__TRY(hone__shape_bytes(v->dtype, v->rank, in->dims, &count, &in->bytes));
    in->data = calloc(count + 1, size);
    if (!in->data) return hone__fail(HONE_E_MEMORY, "out of memory");
    for (size_t k = 0; k < count; k++) {
        seed = seed * 1664525u + 1013904223u;
        if (hone__dtype_is_float(v->dtype))
            hone__element_set_f64(v->dtype, in->data, k, (double)(seed >> 8) / 8388608.0 - 1);
    }
    return HONE_OK;
}

static int fill(const hone_model *m, const text_list *specs, bool random, feeds *f)
{
    int code = -1;
    for (size_t i = 0; code < 0 && i < specs->count; i++) code = feed(m, specs->items[i], f);
    for (size_t i = 0; code < 0 && i < f->count; i++) {
        hone_value_info v;
        hone_model_input(m, i, &v);
        if (f->given[i]) continue;
        if (!random) return usage_failure("input '%s' is missing: -i %s=FILE", v.name, v.name);
        hone_status s = random_input(&v, &f->inputs[i]);
        if (s != HONE_OK) return report_failure(s);
        f->made[i] = true;
    }
    return code;
}

int feeds_open(const hone_model *m, const text_list *specs, bool random, feeds **out)
{
    feeds *f = *out = calloc(1, sizeof *f);
    if (!f) return usage_failure("out of memory");
    f->count = hone_model_input_count(m);
    f->inputs = calloc(f->count + 1, sizeof *f->inputs);
    f->given = calloc(f->count + 1, sizeof *f->given);
    f->made = calloc(f->count + 1, sizeof *f->made);
    int code = f->inputs && f->given && f->made ? fill(m, specs, random, f) : usage_failure("out of memory");
    if (code < 0) return code;
    feeds_close(f);
    *out = NULL;
    return code;
}

const hone_tensor *feeds_inputs(const feeds *f) { return f->inputs; }

void feeds_close(feeds *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->lists_used; i++) hone__tensor_list_free(f->lists[i], f->counts[i]);
    for (size_t i = 0; f->made && i < f->count; i++)
        if (f->made[i]) free(f->inputs[i].data);
    free(f->inputs);
    free(f->given);
    free(f->made);
    free(f);
}
