/* hf_import.c: a Hugging Face folder: config.json names the family, which builds its graph over the weights. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "ops/eval.h"
#include "tools/import/keras/keras_json.h"
#include "tools/import/families/family.h"
#include "tools/import/hugging_face/hf_import.h"
#include "tools/import/hugging_face/hf_notes.h"
#include "tools/import/import.h"

enum { OPSET = 23, IR = 11, LINE = 512 };

static const struct {
    const char *model_type;
    void (*build)(hone__lm *lm);
} families[] = {
#define HONE_FAMILY(model_type, builder) {#model_type, hone__family_##builder},
#include "tools/import/families/families.def"
#undef HONE_FAMILY
};

/* The function that builds a model_type; NULL: it is not known. */
static void (*find_family(const char *model_type))(hone__lm *lm)
{
    for (size_t i = 0; model_type && i < sizeof families / sizeof *families; i++)
        if (!strcmp(families[i].model_type, model_type)) return families[i].build;
    return NULL;
}

static bool is_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    return (size_t)snprintf(path, sizeof path, "%s/%s", folder, name) < sizeof path && !stat(path, &st) &&
           S_ISREG(st.st_mode);
}

bool hone__import_is_hugging_face(const char *path)
{
    return is_file(path, "config.json") &&
           (is_file(path, "model.safetensors") || is_file(path, "model.safetensors.index.json") ||
            is_file(path, "pytorch_model.bin") || is_file(path, "pytorch_model.bin.index.json"));
}

static hone_status unknown_type(const hone__hf_config *c, const char *type)
{
    char known[LINE] = "";
    size_t at = 0;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", families[i].model_type);
    if (!type) return hone__fail(HONE_E_FORMAT, "%s: no model_type (known are %s)", c->path, known);
    return hone__fail(HONE_E_UNSUPPORTED, "%s: model_type '%.100s' is not known (known are %s)", c->path, type, known);
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* Other heads than one that scores the next token, and weights that are quantised already, are not what is built. */
static hone_status check_kind(hone__hf_config *c)
{
    const char *head = json_string_value(json_array_get(json_object_get(c->root, "architectures"), 0));
    const json_t *q = json_object_get(c->root, "quantization_config");
    static const char *const read[] = {"LMHeadModel", "ForCausalLM", "ForConditionalGeneration", "Model"};
    bool known = !head;
    for (size_t i = 0; !known && i < sizeof read / sizeof *read; i++) known = ends_with(head, read[i]);
    if (!known)
        return hone__fail(HONE_E_UNSUPPORTED, "%s: architecture '%.100s': only models that make text are read", c->path,
                          head);
    if (json_is_object(q)) {
        const char *method = json_string_value(json_object_get(q, "quant_method"));
        return hone__fail(HONE_E_UNSUPPORTED,
                          "%s: its weights are quantised ('%.100s'): take the folder with float weights", c->path,
                          method ? method : "?");
    }
    return HONE_OK;
}

static hone_status build(hone__lm *lm, const hone__hf_source *source, const hone__import_options *options)
{
    hone__model *m = lm->b.graph->model;
    lm->no_cache = options && options->no_cache;
    lm->precision = options ? options->precision : HONE_PRECISION_FP32;
    if (options && options->scratch && hone__scratch_open(options->scratch, &lm->weights->scratch) != HONE_OK)
        hone__log(HONE_LOG_DEBUG, "weights are copied in memory: %s", hone_error_message());
    void (*family)(hone__lm *) = find_family(lm->model_type);
    if (!family) return unknown_type(&lm->config, lm->model_type);
    HONE__TRY(check_kind(&lm->config));
    m->ir_version = IR;
    HONE__TRY(hone__model_set_opset(m, "", OPSET));
    family(lm);
    HONE__TRY(lm->b.status);
    hone__hf_facts facts = {lm->context, lm->vocab, lm->model_type, lm->config.root, source->generation};
    HONE__TRY(hone__hf_note_decoder(m, &facts));
    if (source->tokenizer) HONE__TRY(hone__hf_note_tokenizer(m, source->tokenizer));
    HONE__TRY(hone__graph_infer(m->graph));
    HONE__TRY(hone__graph_name_all(m->graph));
    return hone__graph_verify(m->graph);
}

hone_status hone__hf_build(const hone__hf_source *source, hone__checkpoint *weights,
                           const hone__import_options *options, hone__model **out, hone__import_report *report)
{
    hone__model *m;
    *out = NULL;
    HONE__TRY(hone__model_new(&m));
    hone__lm lm = {.b = {.graph = m->graph},
                   .config = {.path = source->path, .root = source->root},
                   .weights = weights,
                   .model_type = hone__json_text(source->root, "model_type")};
    hone_status s = build(&lm, source, options);
    if (s != HONE_OK) {
        hone__model_destroy(m);
        return s;
    }
    *out = m;
    if (!report) return s;
    snprintf(report->format, sizeof report->format, "%s", source->format);
    report->file_bytes = weights->file_bytes;
    report->kept_bytes = lm.kept_bytes;
    report->layers = (size_t)lm.layers;
    return s;
}

hone_status hone__import_hugging_face(const char *folder, const hone__import_options *options, hone__model **out,
                                      hone__import_report *report)
{
    char path[PATH_MAX], generation[PATH_MAX];
    hone__checkpoint weights = {0};
    json_t *root, *settings = NULL;
    *out = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/config.json", folder) >= sizeof path ||
        (size_t)snprintf(generation, sizeof generation, "%s/generation_config.json", folder) >= sizeof generation)
        return hone__fail(HONE_E_LIMIT, "the name of the folder is too long");
    HONE__TRY(hone__hf_json(path, &root));
    hone_status s = HONE_OK;
    const char *type = hone__json_text(root, "model_type");
    if (!find_family(type)) s = unknown_type(&(hone__hf_config){.path = path, .root = root}, type);
    if (s == HONE_OK) s = hone__checkpoint_open(folder, &weights);
    if (s == HONE_OK && is_file(folder, "generation_config.json")) s = hone__hf_json(generation, &settings);
    const hone__hf_source source = {path, "hugging-face", root, settings, folder};
    if (s == HONE_OK) s = hone__hf_build(&source, &weights, options, out, report);
    hone__checkpoint_close(&weights);
    json_decref(settings);
    json_decref(root);
    return s;
}
