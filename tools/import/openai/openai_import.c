/* openai_import.c: openai-whisper's .pt files (whisper/model.py, class Whisper): tensors get transformers' names, and
 * what a config.json would say is read off their shapes. Every published model has heads of 64. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "text/tokenizer.h"
#include "tools/import/hugging_face/checkpoint.h"
#include "tools/import/hugging_face/hf_import.h"
#include "tools/import/import.h"
#include "tools/import/tokenizer/tokenizer_import.h"

enum { HEAD = 64, NAME = 256 };

/* Parts of names, the longer ones first. */
static const char *const renamed[][2] = {
    {"encoder.positional_embedding", "encoder.embed_positions.weight"},
    {"decoder.positional_embedding", "decoder.embed_positions.weight"},
    {"decoder.token_embedding.", "decoder.embed_tokens."},
    {"encoder.ln_post.", "encoder.layer_norm."},
    {"decoder.ln.", "decoder.layer_norm."},
    {".blocks.", ".layers."},
    {".cross_attn_ln.", ".encoder_attn_layer_norm."},
    {".attn_ln.", ".self_attn_layer_norm."},
    {".mlp_ln.", ".final_layer_norm."},
    {".cross_attn.", ".encoder_attn."},
    {".attn.", ".self_attn."},
    {".query.", ".q_proj."},
    {".key.", ".k_proj."},
    {".value.", ".v_proj."},
    {".out.", ".out_proj."},
    {".mlp.0.", ".fc1."},
    {".mlp.2.", ".fc2."},
};

/* transformers' name of a tensor, [NAME]; false: too long. */
static bool rename_tensor(const char *name, char *out)
{
    if ((size_t)snprintf(out, NAME, "%s", name) >= NAME) return false;
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
        char *at = strstr(out, renamed[i][0]), rest[NAME];
        if (!at) continue;
        snprintf(rest, sizeof rest, "%s", at + strlen(renamed[i][0]));
        size_t room = NAME - (size_t)(at - out);
        if ((size_t)snprintf(at, room, "%s%s", renamed[i][1], rest) >= room) return false;
    }
    return true;
}

static hone_status rename_all(hone__checkpoint *c, const char *path)
{
    char name[NAME];
    for (size_t i = 0; i < c->count; i++) {
        if (!rename_tensor(c->list[i].name, name))
            return hone__fail(HONE_E_FORMAT, "%s: the name of tensor %zu is too long", path, i);
        c->list[i].name = hone__arena_strndup(&c->arena, name, strlen(name));
        if (!c->list[i].name) return hone__out_of_memory(strlen(name));
    }
    return hone__checkpoint_sort(c);
}

/* Dimension `axis` of a tensor of this rank; 0, with a message, where there is none. */
static int64_t dim(const hone__checkpoint *c, const char *path, const char *name, int rank, int axis)
{
    const hone__stored *s = hone__checkpoint_find(c, name);
    if (s && s->tensor.rank == rank) return s->tensor.dims[axis];
    hone__fail(HONE_E_FORMAT, "%s: tensor '%s' of rank %d is missing: no Whisper model", path, name, rank);
    return 0;
}

static int64_t layers(const hone__checkpoint *c, const char *side)
{
    char name[NAME];
    int64_t n = 0;
    do snprintf(name, sizeof name, "%s.layers.%lld.fc1.weight", side, (long long)n);
    while (hone__checkpoint_find(c, name) && ++n);
    return n;
}

/* The object of a config.json. */
static hone_status configure(const hone__checkpoint *c, const char *path, json_t **out)
{
    int64_t width = dim(c, path, "encoder.conv1.weight", 3, 0), mels = dim(c, path, "encoder.conv1.weight", 3, 1),
            frames = width ? dim(c, path, "encoder.embed_positions.weight", 2, 0) : 0,
            vocab = frames ? dim(c, path, "decoder.embed_tokens.weight", 2, 0) : 0,
            context = vocab ? dim(c, path, "decoder.embed_positions.weight", 2, 0) : 0,
            inner = context ? dim(c, path, "encoder.layers.0.fc1.weight", 2, 0) : 0,
            decoder_inner = inner ? dim(c, path, "decoder.layers.0.fc1.weight", 2, 0) : 0;
    if (!decoder_inner) return HONE_E_FORMAT;
    if (width % HEAD)
        return hone__fail(HONE_E_FORMAT, "%s: a width of %lld is no number of heads of %d", path, (long long)width,
                          HEAD);
    *out = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "model_type", "whisper", "d_model",
                     (json_int_t)width, "num_mel_bins", (json_int_t)mels, "max_source_positions", (json_int_t)frames,
                     "vocab_size", (json_int_t)vocab, "max_target_positions", (json_int_t)context, "encoder_ffn_dim",
                     (json_int_t)inner, "decoder_ffn_dim", (json_int_t)decoder_inner, "encoder_layers",
                     (json_int_t)layers(c, "encoder"), "decoder_layers", (json_int_t)layers(c, "decoder"),
                     "encoder_attention_heads", (json_int_t)(width / HEAD), "decoder_attention_heads",
                     (json_int_t)(width / HEAD));
    return *out ? HONE_OK : hone__out_of_memory(1);
}

/* The tokenizer in the same folder: openai's table for so many tokens, else tokenizer.json. "": none. */
static void find_tokenizer(const char *path, bool multilingual, char *out)
{
    const char *slash = strrchr(path, '/');
    const char *const names[] = {multilingual ? "multilingual.tiktoken" : "gpt2.tiktoken", "tokenizer.json"};
    int folder = slash ? (int)(slash - path) + 1 : 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((size_t)snprintf(out, PATH_MAX, "%.*s%s", folder, path, names[i]) < PATH_MAX && !access(out, R_OK)) return;
    *out = 0;
}

/* openai's table with as many special tokens as the model has. */
static hone_status note_table(hone__model *m, const char *path, int64_t vocabulary)
{
    enum { MOST = 64 << 20 };
    uint8_t *data;
    size_t size;
    char *text = NULL;
    HONE__TRY(hone__file_read(path, MOST, &data, &size));
    hone_status s = hone__tokenizer_import_tiktoken((const char *)data, size, path, (size_t)vocabulary, &text);
    hone__free(data);
    if (s == HONE_OK) s = hone__model_set_metadata(m, HONE__TOKENIZER_KEY, text);
    hone__free(text);
    return s;
}

static bool is_table(const char *path)
{
    size_t n = strlen(path);
    return n > 9 && !strcmp(path + n - 9, ".tiktoken");
}

bool hone__import_is_openai(const char *path)
{
    size_t n = strlen(path);
    struct stat st;
    return n > 3 && !strcmp(path + n - 3, ".pt") && !stat(path, &st) && S_ISREG(st.st_mode);
}

hone_status hone__import_openai(const char *path, const hone__import_options *options, hone__model **out,
                                hone__import_report *report)
{
    enum { MULTILINGUAL = 51865 };
    hone__checkpoint weights = {0};
    char tokenizer[PATH_MAX];
    json_t *root = NULL;
    hone__map *map;
    *out = NULL;
    HONE__TRY(hone__map_open(path, &map));
    weights.file_bytes = map->size;
    hone_status s = hone__torch_read(map, path, &weights);
    hone__map_unref(map);
    if (s == HONE_OK) s = rename_all(&weights, path);
    if (s == HONE_OK) s = configure(&weights, path, &root);
    if (s == HONE_OK) {
        int64_t vocabulary = json_integer_value(json_object_get(root, "vocab_size"));
        find_tokenizer(path, vocabulary >= MULTILINGUAL, tokenizer);
        const hone__hf_source source = {.path = path,
                                        .format = "openai",
                                        .root = root,
                                        .tokenizer = *tokenizer && !is_table(tokenizer) ? tokenizer : NULL};
        s = hone__hf_build(&source, &weights, options, out, report);
        if (s == HONE_OK && is_table(tokenizer)) s = note_table(*out, tokenizer, vocabulary);
        if (s != HONE_OK) {
            hone__model_destroy(*out);
            *out = NULL;
        }
    }
    hone__checkpoint_close(&weights);
    json_decref(root);
    return s;
}
