/* tokenizer_folder.c: vocab.json and merges.txt, the older form of a tokenizer, and the small files beside them. The
 * tokenizer's class tells what they leave out: how text is cut, and what stands around it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "text/tokenizer.h"
#include "tokenizer_build.h"
#include "tokenizer_files.h"
#include "tokenizer_import.h"
#include "tools/import/keras/keras_json.h"

enum { MAX_FILE = 64 << 20, MAX_VALUES = 8000000, MAX_PATH = 4096 };

typedef struct family {
    const char *class;
    hone__bpe_step step;
    unsigned flags;
    const char *specials; /* of its class, separated by blanks; the one that takes the spaces before it has a ~ */
    const char *before, *behind;
} family;

static const family families[] = {
    {"GPT2Tokenizer", {.kind = HONE__STEP_GPT2}, 0, "<|endoftext|>", "", ""},
    {"CodeGenTokenizer", {.kind = HONE__STEP_GPT2}, 0, "<|endoftext|>", "", ""},
    {"WhisperTokenizer",
     {.kind = HONE__STEP_GPT2},
     0,
     "<|endoftext|>",
     "<|startoftranscript|> <|notimestamps|>",
     "<|endoftext|>"},
    {"RobertaTokenizer", {.kind = HONE__STEP_GPT2}, 0, "<s> <pad> </s> <unk> ~<mask>", "<s>", "</s>"},
    {"BartTokenizer", {.kind = HONE__STEP_GPT2}, 0, "<s> <pad> </s> <unk> ~<mask>", "<s>", "</s>"},
    {"Qwen2Tokenizer", {.kind = HONE__STEP_CL100K, .argument = 1}, HONE__BPE_NFC, "<|endoftext|>", "", ""},
};

typedef struct folder {
    token_build b;
    const char *path;
    json_t *vocabulary, *config, *special, *added;
    const family *family;
} folder;

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static hone_status join_path(char *to, const char *in, const char *name)
{
    return snprintf(to, MAX_PATH, "%s/%s", in, name) < MAX_PATH
               ? HONE_OK
               : hone__fail(HONE_E_ARGUMENT, "%s: too long a path", in);
}

/* *out is NULL where an optional file is not there. */
static hone_status read_json(const char *in, const char *name, bool optional, json_t **out)
{
    char path[MAX_PATH];
    uint8_t *text;
    size_t size;
    HONE__TRY(join_path(path, in, name));
    if (optional && !exists(path)) return HONE_OK;
    HONE__TRY(hone__file_read(path, MAX_FILE, &text, &size));
    hone_status status = hone__json_parse((const char *)text, size, path, MAX_VALUES, out);
    hone__free(text);
    if (status == HONE_OK && !json_is_object(*out)) status = hone__fail(HONE_E_FORMAT, "%s: no object", path);
    return status;
}

hone_status hone__token_merge_line(token_build *b, const char *text, size_t size, size_t index)
{
    const char *space = memchr(text, ' ', size);
    if (!space || memchr(space + 1, ' ', size - (size_t)(space + 1 - text)) || memchr(text, 0, size))
        return hone__fail(HONE_E_FORMAT, "%s: merge %zu is no pair of tokens", b->name, index);
    char *left = hone__strndup(text, size);
    if (!left) return hone__out_of_memory(size);
    left[space - text] = 0;
    hone_status status = hone__token_build_merge(b, left, left + (space + 1 - text), index);
    hone__free(left);
    return status;
}

static hone_status read_merges(folder *f)
{
    char path[MAX_PATH];
    uint8_t *data;
    size_t size, index = 0;
    HONE__TRY(join_path(path, f->path, "merges.txt"));
    HONE__TRY(hone__file_read(path, MAX_FILE, &data, &size));
    const char *text = (const char *)data, *end = text + size, *stop;
    const char *name = f->b.name;
    hone_status status = HONE_OK;
    f->b.name = path;
    for (; text < end && status == HONE_OK; text = stop + 1) {
        stop = memchr(text, '\n', (size_t)(end - text));
        if (!stop) stop = end;
        size_t n = (size_t)(stop - text);
        if (n && text[n - 1] == '\r') n--;
        if (n && !(n >= 8 && memcmp(text, "#version", 8) == 0))
            status = hone__token_merge_line(&f->b, text, n, index++);
        if (stop == end) break;
    }
    f->b.name = name;
    hone__free(data);
    return status;
}

static hone_status choose_family(folder *f)
{
    const char *class = hone__json_text(f->config, "tokenizer_class");
    size_t n = class ? strlen(class) : 0;
    f->family = &families[0];
    if (!class) return HONE_OK;
    if (n > 4 && !strcmp(class + n - 4, "Fast")) n -= 4;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        f->family = &families[i];
        if (strlen(f->family->class) == n && memcmp(f->family->class, class, n) == 0) return HONE_OK;
    }
    return hone__fail(
        HONE_E_UNSUPPORTED,
        "%s: tokenizer_config.json: tokenizer_class '%.*s' is not one that hone knows without a tokenizer.json",
        f->path, SHOWN, class);
}

static hone_status add_once(folder *f, const char *text, int64_t id, unsigned flags)
{
    if (hone__token_build_is_added(&f->b, text)) return HONE_OK;
    return hone__token_build_added(&f->b, id, text, strlen(text), flags);
}

/* A special token named by a text or an object with "content"; those that have no id are left out. */
static hone_status add_named(folder *f, const json_t *v)
{
    const json_t *content = json_is_object(v) ? json_object_get(v, "content") : v;
    const char *text = json_string_value(content);
    if (!text || !*text) return HONE_OK;
    int64_t id = hone__token_build_find(&f->b, text);
    if (id < 0) return HONE_OK;
    return add_once(f, text, id,
                    HONE__ADDED_SPECIAL | (json_is_true(json_object_get(v, "lstrip")) ? HONE__ADDED_LSTRIP : 0u) |
                        (json_is_true(json_object_get(v, "rstrip")) ? HONE__ADDED_RSTRIP : 0u));
}

static hone_status add_from_map(folder *f, const json_t *map)
{
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token"};
    const json_t *more = json_object_get(map, "additional_special_tokens");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) HONE__TRY(add_named(f, json_object_get(map, names[i])));
    for (size_t i = 0; i < json_array_size(more); i++) HONE__TRY(add_named(f, json_array_get(more, i)));
    return HONE_OK;
}

/* tokenizer_config.json names each added token by its id. */
static hone_status add_from_decoder(folder *f)
{
    json_t *decoder = json_object_get(f->config, "added_tokens_decoder"), *o;
    const char *key;
    f->b.named += json_object_size(decoder);
    json_object_foreach(decoder, key, o)
    {
        char *end;
        long long id = strtoll(key, &end, 10);
        if (!*key || *end)
            return hone__fail(HONE_E_FORMAT, "%s: tokenizer_config.json: added_tokens_decoder: '%.*s' is no id",
                              f->path, SHOWN, key);
        HONE__TRY(hone__token_added_object(&f->b, o, id));
    }
    return HONE_OK;
}

/* The tokens of `names`, separated by blanks, as special ones or around a text; what has no id is left out. */
static hone_status each_name(folder *f, const char *names, int around)
{
    while (*names) {
        char text[64];
        size_t n = strcspn(names, " ");
        bool strip = *names == '~';
        snprintf(text, sizeof text, "%.*s", (int)(n - strip), names + strip);
        int64_t id = hone__token_build_find(&f->b, text);
        if (id >= 0)
            HONE__TRY(around ? hone__token_build_around(&f->b, around == 2, id, text)
                             : add_once(f, text, id, HONE__ADDED_SPECIAL | (strip ? HONE__ADDED_LSTRIP : 0u)));
        names += n + (names[n] != 0);
    }
    return HONE_OK;
}

static hone_status add_tokens(folder *f)
{
    const char *text;
    json_t *id;
    f->b.named += json_object_size(f->added);
    HONE__TRY(add_from_decoder(f));
    json_object_foreach(f->added, text, id)
    {
        if (!json_is_integer(id))
            return hone__fail(HONE_E_FORMAT, "%s: added_tokens.json: the id of '%.*s' is no whole number", f->path,
                              SHOWN, text);
        unsigned special = !strncmp(text, "<|", 2) ? HONE__ADDED_SPECIAL : 0;
        HONE__TRY(add_once(f, text, json_integer_value(id), special));
    }
    HONE__TRY(add_from_map(f, f->special));
    HONE__TRY(add_from_map(f, f->config));
    return each_name(f, f->family->specials, 0);
}

static hone_status read_folder(folder *f)
{
    HONE__TRY(read_json(f->path, "vocab.json", false, &f->vocabulary));
    HONE__TRY(read_json(f->path, "tokenizer_config.json", true, &f->config));
    HONE__TRY(read_json(f->path, "special_tokens_map.json", true, &f->special));
    HONE__TRY(read_json(f->path, "added_tokens.json", true, &f->added));
    HONE__TRY(choose_family(f));
    HONE__TRY(hone__token_build_vocabulary(&f->b, f->vocabulary));
    HONE__TRY(read_merges(f));
    HONE__TRY(add_tokens(f));
    if (json_is_true(json_object_get(f->config, "add_prefix_space")))
        HONE__TRY(hone__token_build_step(&f->b, &f->b.spec.cut, HONE__STEP_PREFIX, 0));
    HONE__TRY(hone__token_build_step(&f->b, &f->b.spec.cut, f->family->step.kind, f->family->step.argument));
    HONE__TRY(each_name(f, f->family->before, 1));
    HONE__TRY(each_name(f, f->family->behind, 2));
    const json_t *bos = json_object_get(f->config, "bos_token");
    const char *text = json_string_value(json_is_object(bos) ? json_object_get(bos, "content") : bos);
    if (json_is_true(json_object_get(f->config, "add_bos_token")) && text && !f->b.spec.before_count)
        HONE__TRY(hone__token_build_around(&f->b, false, hone__token_build_find(&f->b, text), text));
    f->b.spec.flags |= f->family->flags;
    return HONE_OK;
}

hone_status hone__tokenizer_import_folder(const char *path, char **out)
{
    folder f = {.b = {.name = path, .spec = {.unknown = -1}}, .path = path};
    hone_status status = read_folder(&f);
    if (status == HONE_OK) status = hone__token_build_write(&f.b, out);
    hone__token_build_free(&f.b);
    json_decref(f.vocabulary);
    json_decref(f.config);
    json_decref(f.special);
    json_decref(f.added);
    return status;
}

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && !strcmp(path + n - m, end);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static hone_status import_file(const char *path, char **out)
{
    uint8_t *text;
    size_t size;
    bool table = ends_with(path, ".tiktoken");
    const char *name = base_name(path);
    if (table && strcmp(name, "gpt2.tiktoken") != 0 && strcmp(name, "multilingual.tiktoken") != 0)
        return hone__fail(HONE_E_UNSUPPORTED,
                          "%s: a .tiktoken file does not say how text is cut; hone knows gpt2.tiktoken and "
                          "multilingual.tiktoken, others need their tokenizer.json",
                          path);
    HONE__TRY(hone__file_read(path, MAX_FILE, &text, &size));
    hone_status status = table ? hone__tokenizer_import_tiktoken((const char *)text, size, path, 0, out)
                               : hone__tokenizer_import_json((const char *)text, size, path, out);
    hone__free(text);
    return status;
}

bool hone__tokenizer_is_importable(const char *path)
{
    char inside[MAX_PATH];
    static const char *const names[] = {"tokenizer.json", "vocab.json"};
    if (ends_with(path, ".json") || ends_with(path, ".tiktoken")) return true;
    for (size_t i = 0; i < 2; i++)
        if (join_path(inside, path, names[i]) == HONE_OK && exists(inside)) return true;
    return false;
}

hone_status hone__tokenizer_import(const char *path, char **out)
{
    struct stat st;
    char inside[MAX_PATH];
    *out = NULL;
    if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
        const char *name = base_name(path);
        if (strcmp(name, "vocab.json") != 0 && strcmp(name, "merges.txt") != 0) return import_file(path, out);
        snprintf(inside, sizeof inside, "%.*s", (int)(name - path), path);
        return hone__tokenizer_import_folder(*inside ? inside : ".", out);
    }
    HONE__TRY(join_path(inside, path, "tokenizer.json"));
    if (exists(inside)) return import_file(inside, out);
    HONE__TRY(join_path(inside, path, "vocab.json"));
    if (exists(inside)) return hone__tokenizer_import_folder(path, out);
    return hone__fail(HONE_E_IO, "%s: neither tokenizer.json nor vocab.json is in it", path);
}
