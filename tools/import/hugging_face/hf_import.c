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
    if (head && !ends_with(head, "LMHeadModel") && !ends_with(head, "ForCausalLM") && !ends_with(head, "Model"))
        return hone__fail(HONE_E_UNSUPPORTED, "%s: architecture '%.100s': only causal language models are read",
                          c->path, head);
    if (json_is_object(q)) {
        const char *method = json_string_value(json_object_get(q, "quant_method"));
        return hone__fail(HONE_E_UNSUPPORTED,
                          "%s: its weights are quantised ('%.100s'): take the folder with float weights", c->path,
                          method ? method : "?");
    }
    return HONE_OK;
}

static hone_status build(hone__lm *lm, const char *folder, const hone__import_options *options)
{
    hone__model *m = lm->b.graph->model;
    json_t *generation = NULL;
    char path[PATH_MAX];
    void (*family)(hone__lm *) = NULL;
    lm->no_cache = options && options->no_cache;
    lm->precision = options ? options->precision : HONE_PRECISION_FP32;
    if (options && options->scratch && hone__scratch_open(options->scratch, &lm->weights->scratch) != HONE_OK)
        hone__log(HONE_LOG_DEBUG, "weights are copied in memory: %s", hone_error_message());
    for (size_t i = 0; lm->model_type && i < sizeof families / sizeof *families; i++)
        if (!strcmp(families[i].model_type, lm->model_type)) family = families[i].build;
    if (!family) return unknown_type(&lm->config, lm->model_type);
    HONE__TRY(check_kind(&lm->config));
    m->ir_version = IR;
    HONE__TRY(hone__model_set_opset(m, "", OPSET));
    HONE__TRY(hone__checkpoint_open(folder, lm->weights));
    family(lm);
    HONE__TRY(lm->b.status);
    if (is_file(folder, "generation_config.json")) {
        snprintf(path, sizeof path, "%s/generation_config.json", folder);
        HONE__TRY(hone__hf_json(path, &generation));
    }
    hone__hf_facts facts = {lm->context, lm->vocab, lm->model_type, lm->config.root, generation};
    hone_status s = hone__hf_note_decoder(m, &facts);
    json_decref(generation);
    if (s == HONE_OK) s = hone__hf_note_tokenizer(m, folder);
    if (s == HONE_OK) s = hone__graph_infer(m->graph);
    if (s == HONE_OK) s = hone__graph_name_all(m->graph);
    return s == HONE_OK ? hone__graph_verify(m->graph) : s;
}

hone_status hone__import_hugging_face(const char *folder, const hone__import_options *options, hone__model **out,
                                      hone__import_report *report)
{
    char path[PATH_MAX];
    hone__checkpoint weights = {0};
    json_t *root;
    hone__model *m;
    *out = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/config.json", folder) >= sizeof path)
        return hone__fail(HONE_E_LIMIT, "the name of the folder is too long");
    HONE__TRY(hone__hf_json(path, &root));
    hone_status s = hone__model_new(&m);
    if (s == HONE_OK) {
        hone__lm lm = {.b = {.graph = m->graph}, .config = {.path = path, .root = root}, .weights = &weights};
        lm.model_type = hone__json_text(root, "model_type");
        s = build(&lm, folder, options);
        if (s == HONE_OK) *out = m;
        if (s == HONE_OK && report) {
            snprintf(report->format, sizeof report->format, "hugging-face");
            report->file_bytes = weights.file_bytes;
            report->kept_bytes = lm.kept_bytes;
            report->layers = (size_t)lm.layers;
        }
        if (s != HONE_OK) hone__model_destroy(m);
    }
    hone__checkpoint_close(&weights);
    json_decref(root);
    return s;
}
