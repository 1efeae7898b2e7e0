/* parts.c: see parts.h. */
#include "parts.h"

#include <stdio.h>
#include <string.h>

#include "graph/clone.h"
#include "kv_cache.h"
#include "ops/eval.h"

void hone__part_name(char name[64], hone__part_tensor kind, size_t i)
{
    static const char *const forms[] = {"past_key_values.%zu.decoder.%s", "past_key_values.%zu.encoder.%s",
                                        "present.%zu.decoder.%s", "present.%zu.encoder.%s"};
    snprintf(name, 64, forms[kind], i / 2, i % 2 ? "value" : "key");
}

static bool is_kind(const char *name, const char *start, const char *side)
{
    size_t n = strlen(start);
    if (strncmp(name, start, n)) return false;
    name += n + strspn(name + n, "0123456789");
    return *name == '.' && !strncmp(name + 1, side, strlen(side)) && name[1 + strlen(side)] == '.';
}

static bool is_present(const char *name, const char *side) { return is_kind(name, "present.", side); }

static bool gives(hone__part part, const char *name)
{
    switch (part) {
    case HONE__PART_ENCODER: return !strcmp(name, HONE__PART_ENCODED);
    case HONE__PART_CROSS: return is_present(name, "encoder");
    case HONE__PART_FIRST: return !strcmp(name, "logits") || is_present(name, "decoder") || is_present(name, "encoder");
    case HONE__PART_PLAIN: return !strcmp(name, "logits");
    default: return !strcmp(name, "logits") || is_present(name, "decoder");
    }
}

/* The name of the input that takes the place of output `name`; false: it stays what it is. */
static bool taken(hone__part part, const char *name, char input[64])
{
    if (!strcmp(name, HONE__PART_ENCODED) && part != HONE__PART_ENCODER) {
        snprintf(input, 64, HONE__PART_HIDDEN);
        return true;
    }
    if (part != HONE__PART_NEXT || !is_present(name, "encoder")) return false;
    snprintf(input, 64, "past_key_values.%s", name + strlen("present."));
    return true;
}

/* An output becomes an input of the same type that stands for it. */
static hone_status take(hone__graph *g, size_t output, const char *name)
{
    hone__value *from = g->outputs[output], *to = hone__value_new(g, name);
    if (!to || hone__graph_add_input(g, to) != HONE_OK) return HONE_E_MEMORY;
    to->dtype = from->dtype;
    to->shape = from->shape;
    hone__graph_drop_output(g, output);
    return hone__value_replace_uses(from, to);
}

/* Nodes that read the keys and values of a past go on without one. */
static hone_status forget(hone__value *past)
{
    while (past->use_count) {
        hone__use u = past->uses[past->use_count - 1];
        hone__node *n = u.node;
        if (hone__node_is(n, "Shape") && hone__node_int(n, "start", 0) == 2 && hone__node_int(n, "end", 0) == 3) {
            hone__tensor t;
            HONE__TRY(hone__tensor_new(HONE_I64, 1, (int64_t[]){1}, &t));
            *(int64_t *)hone__tensor_write(&t) = 0;
            hone__value *none = hone__value_constant(past->graph, "", &t);
            if (!none) return HONE_E_MEMORY;
            HONE__TRY(hone__value_replace_uses(n->outputs[0], none));
            hone__node_remove(n);
        } else if (hone__node_is(n, "Attention") && u.input >= 4) {
            HONE__TRY(hone__node_set_input(n, u.input, NULL));
            hone__node_trim_inputs(n);
        } else
            return hone__fail(HONE_E_UNSUPPORTED, "%s reads %s: it cannot go on without it", n->op, past->name);
    }
    return HONE_OK;
}

static hone_status cut(hone__graph *g, hone__part part)
{
    char name[64];
    size_t found = 0;
    for (size_t i = 0; i < g->output_count;) {
        if (gives(part, g->outputs[i]->name))
            found++, i++;
        else if (taken(part, g->outputs[i]->name, name))
            HONE__TRY(take(g, i, name));
        else
            hone__graph_drop_output(g, i);
    }
    if (!found) return hone__fail(HONE_E_FORMAT, "the model has no outputs of encoder and decoder");
    if (part != HONE__PART_NEXT)
        for (size_t i = 0; i < g->input_count; i++)
            if (is_kind(g->inputs[i]->name, "past_key_values.", "decoder")) HONE__TRY(forget(g->inputs[i]));
    hone__graph_sweep(g);
    for (size_t i = g->input_count; i-- > 0;)
        if (hone__value_unused(g->inputs[i])) hone__graph_drop_input(g, i);
    return HONE_OK;
}

hone_status hone__part_cut(const hone__model *model, hone__part part, hone__model **out)
{
    hone_status s = hone__model_clone(model, out);
    if (s == HONE_OK) s = cut((*out)->graph, part);
    if (s == HONE_OK) s = hone__graph_infer((*out)->graph);
    if (s == HONE_OK) return s;
    hone__model_destroy(*out);
    *out = NULL;
    return s;
}

static int output_named(const hone__graph *g, const char *name)
{
    for (size_t i = 0; i < g->output_count; i++)
        if (!strcmp(g->outputs[i]->name, name)) return (int)i;
    return -1;
}

bool hone__part_is_whole(const hone__model *m)
{
    return output_named(m->graph, HONE__PART_ENCODED) >= 0 && output_named(m->graph, "logits") >= 0;
}

/* %s: the prefix */
typedef struct layout_row {
    hone__part part;
    const char *form;
} layout_row;

static const layout_row layouts[][HONE__LAYOUT_FILES] = {
    [HONE__LAYOUT_WITH_PAST] = {{HONE__PART_ENCODER, "encoder_model.onnx"},
                                {HONE__PART_FIRST, "decoder_model.onnx"},
                                {HONE__PART_NEXT, "decoder_with_past_model.onnx"}},
    [HONE__LAYOUT_NO_CACHE] = {{HONE__PART_ENCODER, "encoder_model.onnx"}, {HONE__PART_PLAIN, "decoder_model.onnx"}},
    [HONE__LAYOUT_SPLIT] = {{HONE__PART_ENCODER, "%s_encoder.onnx"},
                            {HONE__PART_CROSS, "%s_cache_initializer.onnx"},
                            {HONE__PART_NEXT, "%s_decoder.onnx"}},
};

hone_status hone__layout_make(const hone__model *whole, hone__layout_kind kind, const char *prefix,
                              hone__layout_file *files, size_t *count)
{
    const layout_row *rows = layouts[kind];
    const char *windows = hone__model_metadata(whole, HONE__KEY_WINDOWS);
    hone_status s = HONE_OK;
    for (*count = 0; s == HONE_OK && *count < HONE__LAYOUT_FILES && rows[*count].form; ++*count) {
        hone__layout_file *f = &files[*count];
        const char *form = rows[*count].form;
        snprintf(f->name, sizeof f->name, "%s%s", *form == '%' ? prefix : "", *form == '%' ? form + 2 : form);
        f->model = NULL;
        s = hone__part_cut(whole, rows[*count].part, &f->model);
        if (s != HONE_OK) break;
        if (!*count) continue;
        hone__model_drop_metadata(f->model);
        if (windows) s = hone__model_set_metadata(f->model, HONE__KEY_WINDOWS, windows);
    }
    return s;
}
