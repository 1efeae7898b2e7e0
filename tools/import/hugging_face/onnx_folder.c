/* onnx_folder.c: language models that are ONNX already, in folders as optimum, transformers.js and onnxruntime-genai
 * write them: which file it is, and what the files beside it say. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "hf_config.h"
#include "hf_notes.h"
#include "tools/import/import.h"
#include "tools/import/keras/keras_json.h"

/* In the order in which they are preferred; the folder "onnx" is that of transformers.js. */
#define SINGLE "decoder_with_past_model.onnx" /* takes one token at a time */
static const char *const files[] = {"model.onnx",         "decoder_model_merged.onnx", SINGLE,
                                    "decoder_model.onnx", "onnx/model.onnx",           "onnx/decoder_model_merged.onnx",
                                    "onnx/" SINGLE,       "onnx/decoder_model.onnx"};

static bool join(const char *folder, const char *name, char *path)
{
    struct stat st;
    size_t n = strlen(folder);
    const char *slash = n && folder[n - 1] == '/' ? "" : "/";
    return (size_t)snprintf(path, PATH_MAX, "%s%s%s", folder, slash, name) < PATH_MAX && !stat(path, &st) &&
           S_ISREG(st.st_mode);
}

/* model.decoder of genai_config.json; NULL: another kind of model. */
static json_t *decoder_of(const json_t *genai) { return json_object_get(json_object_get(genai, "model"), "decoder"); }

static hone_status genai_file(const char *folder, const char *path, char *file)
{
    json_t *genai;
    char name[NAME_MAX + 1];
    HONE__TRY(hone__hf_json(path, &genai));
    const char *said = hone__json_text(decoder_of(genai), "filename");
    bool plain =
        said && *said && !strchr(said, '/') && !strchr(said, '\\') && said[0] != '.' && strlen(said) < sizeof name;
    snprintf(name, sizeof name, "%s", plain ? said : "");
    hone_status s = HONE_OK;
    if (!said)
        s = hone__fail(HONE_E_UNSUPPORTED, "%s: no model.decoder.filename: only models of one decoder are read", path);
    else if (!plain)
        s = hone__fail(HONE_E_FORMAT, "%s: '%.200s' is not the name of a file in this folder", path, said);
    else if (!join(folder, name, file))
        s = hone__fail(HONE_E_IO, "%s: '%s' is not there", path, name);
    json_decref(genai);
    return s;
}

hone_status hone__import_folder_file(const char *folder, char *file)
{
    char path[PATH_MAX];
    *file = 0;
    if (join(folder, "genai_config.json", path)) return genai_file(folder, path, file);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (join(folder, files[i], file)) return HONE_OK;
    *file = 0;
    return HONE_OK;
}

static hone__value *input_named(const hone__graph *g, const char *name)
{
    for (size_t i = 0; i < g->input_count; i++)
        if (!strcmp(g->inputs[i]->name, name)) return g->inputs[i];
    return NULL;
}

static hone__value *output_named(const hone__graph *g, const char *name)
{
    for (size_t i = 0; i < g->output_count; i++)
        if (!strcmp(g->outputs[i]->name, name)) return g->outputs[i];
    return NULL;
}

/* "past_key_values.%d.key" and a number; false where it is no such pattern. */
static bool fill(const char *pattern, int layer, char *out, size_t size)
{
    const char *mark = strstr(pattern, "%d");
    if (!mark) return false;
    return (size_t)snprintf(out, size, "%.*s%d%s", (int)(mark - pattern), pattern, layer, mark + 2) < size;
}

/* The name that hone knows for the value that the file calls otherwise. */
static hone_status call(hone__graph *g, hone__value *v, const char *name)
{
    if (!v || !strcmp(v->name, name)) return HONE_OK;
    if (input_named(g, name) || output_named(g, name))
        return hone__fail(HONE_E_FORMAT, "'%s' is a name of two inputs or outputs", name);
    const char *copy = hone__arena_strndup(&g->model->arena, name, strlen(name));
    if (!copy) return hone__out_of_memory(strlen(name));
    v->name = copy;
    return HONE_OK;
}

/* Names that genai_config.json gives to inputs and outputs, and those that hone knows. */
static const struct {
    const char *key, *ours;
    bool output;
} names[] = {{"input_ids", "input_ids", false},
             {"attention_mask", "attention_mask", false},
             {"position_ids", "position_ids", false},
             {"logits", "logits", true},
             {"past_key_names", "past_key_values.%d.key", false},
             {"past_value_names", "past_key_values.%d.value", false},
             {"past_names", "past_%d", false},
             {"present_key_names", "present.%d.key", true},
             {"present_value_names", "present.%d.value", true},
             {"present_names", "present_%d", true}};
enum { NAMES = sizeof names / sizeof *names, LAYERS = 4096 };

static json_t *values_of(const json_t *decoder, size_t i)
{
    return json_object_get(decoder, names[i].output ? "outputs" : "inputs");
}

static hone_status rename_values(hone__graph *g, const json_t *decoder)
{
    for (size_t i = 0; i < NAMES; i++) {
        const char *theirs = hone__json_text(values_of(decoder, i), names[i].key);
        bool many = strstr(names[i].ours, "%d") != NULL;
        char from[256], to[64];
        if (!theirs || !strcmp(theirs, names[i].ours)) continue;
        for (int layer = 0; layer < (many ? LAYERS : 1); layer++) {
            if (many && !fill(theirs, layer, from, sizeof from)) break;
            if (many) fill(names[i].ours, layer, to, sizeof to);
            const char *name = many ? from : theirs;
            hone__value *v = names[i].output ? output_named(g, name) : input_named(g, name);
            if (!v) break;
            HONE__TRY(call(g, v, many ? to : names[i].ours));
        }
    }
    return HONE_OK;
}

hone_status hone__import_genai_config(const char *path, char **out)
{
    json_t *genai;
    *out = NULL;
    HONE__TRY(hone__hf_json(path, &genai));
    json_t *decoder = decoder_of(genai);
    if (json_is_object(decoder)) json_object_set_new(decoder, "filename", json_string("model.onnx"));
    for (size_t i = 0; i < NAMES; i++)
        if (hone__json_text(values_of(decoder, i), names[i].key))
            json_object_set_new(values_of(decoder, i), names[i].key, json_string(names[i].ours));
    char *text = json_dumps(genai, JSON_INDENT(4));
    json_decref(genai);
    *out = text ? hone__strndup(text, strlen(text)) : NULL;
    free(text);
    return *out ? HONE_OK : hone__out_of_memory(1);
}

static int64_t number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    int64_t i = json_is_integer(v) ? json_integer_value(v) : 0;
    return i > 0 && i <= INT32_MAX ? i : 0;
}

/* The longest text, under the names that the families give it. */
static int64_t context_of(const json_t *config)
{
    static const char *const keys[] = {"context_length", "max_position_embeddings", "n_positions",
                                       "n_ctx",          "max_sequence_length",     "seq_length"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (number(config, keys[i])) return number(config, keys[i]);
    return 0;
}

static hone_status read_json(const char *folder, const char *name, json_t **out)
{
    char path[PATH_MAX];
    *out = NULL;
    return join(folder, name, path) ? hone__hf_json(path, out) : HONE_OK;
}

static hone_status note(hone__model *m, const char *folder, const json_t *genai, const json_t *config,
                        const json_t *generation)
{
    const json_t *said = genai ? json_object_get(genai, "model") : config;
    hone__hf_facts f = {context_of(said), number(said, "vocab_size"), NULL, said, generation};
    f.model_type = hone__json_text(said, genai ? "type" : "model_type");
    if (!f.context) f.context = context_of(config);
    HONE__TRY(hone__hf_note_decoder(m, &f));
    return hone__hf_note_tokenizer(m, folder);
}

/* Takes tokens and, or else its configuration says so, goes on from what was. */
static bool is_decoder(const hone__graph *g, const json_t *config)
{
    const char *head = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    if (!input_named(g, "input_ids") || !output_named(g, "logits")) return false;
    for (size_t i = 0; i < g->input_count; i++)
        if (!strncmp(g->inputs[i]->name, "past_", 5)) return true;
    return head && (strstr(head, "LMHeadModel") || strstr(head, "ForCausalLM"));
}

hone_status hone__import_folder_notes(hone__model *m, const char *folder, const char *file)
{
    json_t *genai, *config = NULL, *generation = NULL;
    if (hone__model_metadata(m, "hone.decoder")) return HONE_OK; /* hone wrote it */
    HONE__TRY(read_json(folder, "genai_config.json", &genai));
    hone_status s = read_json(folder, "config.json", &config);
    if (s == HONE_OK) s = read_json(folder, "generation_config.json", &generation);
    if (s == HONE_OK && genai) s = rename_values(m->graph, decoder_of(genai));
    if (s == HONE_OK && is_decoder(m->graph, config)) {
        s = note(m, folder, genai, config, generation);
        const char *name = strrchr(file, '/');
        if (s == HONE_OK && name && !strcmp(name + 1, SINGLE))
            s = hone__model_set_metadata(m, "hone.decoder.step", "1");
    }
    json_decref(genai);
    json_decref(config);
    json_decref(generation);
    return s;
}
