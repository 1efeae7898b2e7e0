/* feeds.c: tensors from files, matched to a model's inputs. */
#include "feeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/list.h"
#include "tools/tensorfile/tensorfile.h"

enum { MAX_FILES = 512 };

struct feeds {
    hone__named_tensor *lists[MAX_FILES];
    size_t counts[MAX_FILES], lists_used, count;
    hone_tensor *inputs;
    hone_value *values;
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

static int given_twice(const char *name) { return usage_failure("input '%.80s' is given twice", name); }

static int give(feeds *f, int k, const hone__tensor *t)
{
    as_public(t, &f->inputs[k]);
    f->values[k].tensor = f->inputs[k];
    f->given[k] = true;
    return -1;
}

static int out_of_memory(void) { return usage_failure("out of memory"); }

/* The tensors of a file as the elements of an input that is a sequence. */
static int give_items(feeds *f, int k, const hone__tensor *const *items, size_t count, hone_dtype dtype)
{
    hone_tensor *list = calloc(count + 1, sizeof *list);
    if (!list) return out_of_memory();
    for (size_t i = 0; i < count; i++) as_public(items[i], &list[i]);
    free((void *)(uintptr_t)f->values[k].items);
    f->values[k] = (hone_value){.kind = HONE_KIND_SEQUENCE, .tensor.dtype = dtype, .items = list, .count = count};
    f->given[k] = true;
    return -1;
}

/* An input that is not a plain tensor, from all that its file holds. */
static int give_value(feeds *f, int k, const hone_value_info *v, const hone__named_tensor *list, size_t count)
{
    const hone__tensor *t = count ? &list[0].tensor : NULL;
    if (count == 1 && t->kind == HONE_KIND_NONE) {
        f->values[k].kind = HONE_KIND_NONE;
        f->given[k] = true;
        return -1;
    }
    if (!v->sequence && count == 1 && t->kind == HONE_KIND_TENSOR) return give(f, k, t);
    if (!v->sequence) return usage_failure("input '%s' takes one tensor", v->name);
    bool whole = count == 1 && t->kind == HONE_KIND_SEQUENCE;
    size_t n = whole ? t->count : count;
    const hone__tensor **items = calloc(n + 1, sizeof *items);
    if (!items) return out_of_memory();
    for (size_t i = 0; i < n; i++) items[i] = whole ? &hone__list_items(t)[i] : &list[i].tensor;
    int code = give_items(f, k, items, n, v->dtype);
    free(items);
    return code;
}

/* NAME=FILE, or FILE.npz with one member per input. */
static int feed(const hone_model *m, const char *spec, feeds *f)
{
    const char *eq = strchr(spec, '='), *file = eq ? eq + 1 : spec;
    if (f->lists_used == MAX_FILES) return usage_failure("more than %d inputs", MAX_FILES);
    if (!*file) return usage_failure("-i '%s' names no file: -i NAME=FILE", spec);
    hone_value_info v = {0};
    int named = eq ? input_index(m, spec, (size_t)(eq - spec)) : -1;
    if (named >= 0) hone_model_input(m, (size_t)named, &v);
    unsigned wrap = (v.sequence ? HONE__OF_SEQUENCE : 0u) | (v.optional ? HONE__OF_OPTIONAL : 0u);
    hone_status s = hone__tensorfile_read(file, wrap, &f->lists[f->lists_used], &f->counts[f->lists_used]);
    if (s != HONE_OK) return report_failure(s);
    hone__named_tensor *list = f->lists[f->lists_used];
    size_t count = f->counts[f->lists_used++];
    if (named >= 0 && f->given[named]) return given_twice(v.name);
    if (wrap) return give_value(f, named, &v, list, count);
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
        if (f->given[k]) return given_twice(name);
        give(f, k, &list[i].tensor);
    }
    return -1;
}

/* Seeded numbers in [-1, 1), zeros for integers. */
static hone_status random_input(const hone_value_info *v, hone_tensor *in)
{
    unsigned seed = 1;
    size_t count = 1, size = (size_t)hone__dtype_bits(v->dtype) / 8;
    if (v->sequence || v->rank < 0 || !size || v->dtype == HONE_STRING)
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

static int missing(const hone_value_info *v)
{
    char shape[160] = "";
    if (v->rank >= 0) hone__shape_text(v->rank, v->dims, shape, sizeof shape);
    return usage_failure("input '%s' is missing: -i %s=FILE, %s%s %s", v->name, v->name,
                         v->sequence ? "a sequence of " : "", hone_dtype_name(v->dtype), shape);
}

static int fill(const hone_model *m, const text_list *specs, bool random, feeds *f)
{
    int code = -1;
    for (size_t i = 0; code < 0 && i < specs->count; i++) code = feed(m, specs->items[i], f);
    for (size_t i = 0; code < 0 && i < f->count; i++) {
        hone_value_info v;
        hone_model_input(m, i, &v);
        if (f->given[i]) continue;
        if (v.optional) {
            f->values[i] = (hone_value){.kind = HONE_KIND_NONE, .tensor.dtype = v.dtype};
            continue;
        }
        if (!random) return missing(&v);
        hone_status s = random_input(&v, &f->inputs[i]);
        if (s != HONE_OK) return report_failure(s);
        f->made[i] = true;
        f->values[i].tensor = f->inputs[i];
    }
    return code;
}

int feeds_open(const hone_model *m, const text_list *specs, bool random, feeds **out)
{
    feeds *f = *out = calloc(1, sizeof *f);
    if (!f) return usage_failure("out of memory");
    f->count = hone_model_input_count(m);
    f->inputs = calloc(f->count + 1, sizeof *f->inputs);
    f->values = calloc(f->count + 1, sizeof *f->values);
    f->given = calloc(f->count + 1, sizeof *f->given);
    f->made = calloc(f->count + 1, sizeof *f->made);
    int code =
        f->inputs && f->values && f->given && f->made ? fill(m, specs, random, f) : usage_failure("out of memory");
    if (code < 0) return code;
    feeds_close(f);
    *out = NULL;
    return code;
}

const hone_tensor *feeds_inputs(const feeds *f) { return f->inputs; }
const hone_value *feeds_values(const feeds *f) { return f->values; }

void feeds_close(feeds *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->lists_used; i++) hone__tensor_list_free(f->lists[i], f->counts[i]);
    for (size_t i = 0; f->made && i < f->count; i++)
        if (f->made[i]) free(f->inputs[i].data);
    for (size_t i = 0; f->values && i < f->count; i++) free((void *)(uintptr_t)f->values[i].items);
    free(f->values);
    free(f->inputs);
    free(f->given);
    free(f->made);
    free(f);
}
