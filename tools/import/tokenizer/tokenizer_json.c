/* tokenizer_json.c: tokenizer.json of the tokenizers library, as far as BPE goes: over bytes where its pre_tokenizer
 * has ByteLevel, otherwise over characters, as SentencePiece's models are published. What is not known is named, never
 * skipped; truncation and padding, which are about batches, are not part of a tokenizer here. */
#include <string.h>

#include "text/tokenizer.h"
#include "tokenizer_build.h"
#include "tokenizer_files.h"
#include "tokenizer_import.h"
#include "tools/import/keras/keras_json.h"

enum { MAX_VALUES = 8000000 };

static hone_status unknown(const token_build *b, const char *where, const char *what)
{
    return hone__fail(HONE_E_UNSUPPORTED, "%s: %s '%.*s' is not one that hone knows", b->name, where, 3 * SHOWN,
                      what ? what : "(none)");
}

static const char *type_of(const json_t *o) { return hone__json_text(o, "type"); }

static bool is(const char *a, const char *b) { return a && !strcmp(a, b); }

/* A member that is true, or absent where `otherwise` is. */
static bool flag(const json_t *o, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(o, key);
    return v ? json_is_true(v) : otherwise;
}

/* Calls fn for an object, or for each of a Sequence's members. null is nothing to do. */
typedef hone_status part_fn(token_build *b, const json_t *part);
static hone_status each_part(token_build *b, const json_t *part, const char *where, const char *members, part_fn *fn,
                             int depth)
{
    if (!part || json_is_null(part)) return HONE_OK;
    if (!json_is_object(part)) return hone__fail(HONE_E_FORMAT, "%s: %s is no object", b->name, where);
    if (!is(type_of(part), "Sequence")) return fn(b, part);
    const json_t *list = json_object_get(part, members);
    if (!json_is_array(list) || depth > 8)
        return hone__fail(HONE_E_FORMAT, "%s: %s: a Sequence without '%s', or nested too deep", b->name, where,
                          members);
    for (size_t i = 0; i < json_array_size(list); i++)
        HONE__TRY(each_part(b, json_array_get(list, i), where, members, fn, depth + 1));
    return HONE_OK;
}

/* A member that must be a text, as text `which` of the step that came last. */
static hone_status step_text(token_build *b, hone__step_list *list, unsigned which, const json_t *v, const char *where)
{
    if (!json_is_string(v) || (!which && !json_string_length(v)))
        return hone__fail(HONE_E_FORMAT, "%s: %s is no text, or empty", b->name, where);
    return hone__token_build_text(b, list, which, json_string_value(v), json_string_length(v), where);
}

/* The text that a pattern means: a String, or a Regex without operators; NULL: another one. */
static const json_t *literal(const json_t *pattern)
{
    const json_t *text = json_object_get(pattern, "String"), *regex = json_object_get(pattern, "Regex");
    const char *v = json_string_value(regex);
    return v && !strpbrk(v, "\\^$.|?*+()[]{}") ? regex : text;
}

static const char *shown_pattern(const json_t *pattern)
{
    const char *regex = hone__json_text(pattern, "Regex");
    return regex ? regex : hone__json_text(pattern, "String");
}

/* Replace, which a normalizer and a decoder may have. */
static hone_status replace(token_build *b, hone__step_list *list, const json_t *part, const char *where)
{
    const json_t *pattern = json_object_get(part, "pattern"), *from = literal(pattern);
    if (!from) return unknown(b, where, shown_pattern(pattern));
    HONE__TRY(hone__token_build_step(b, list, HONE__STEP_REPLACE, 0));
    HONE__TRY(step_text(b, list, 0, from, where));
    return step_text(b, list, 1, json_object_get(part, "content"), where);
}

static hone_status normalizer(token_build *b, const json_t *part)
{
    const char *type = type_of(part);
    hone__step_list *list = &b->spec.normalize;
    if (is(type, "Replace")) return replace(b, list, part, "normalizer: Replace's pattern");
    if (is(type, "Prepend")) {
        HONE__TRY(hone__token_build_step(b, list, HONE__STEP_PREPEND, 0));
        return step_text(b, list, 0, json_object_get(part, "prepend"), "normalizer: Prepend's text");
    }
    if (!is(type, "NFC")) return unknown(b, "normalizer", type);
    if (list->count) return hone__token_build_step(b, list, HONE__STEP_NFC, 0);
    b->spec.flags |= HONE__BPE_NFC;
    return HONE_OK;
}

#define CL100K(numbers)                                                                                     \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" numbers "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" \
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
static const struct {
    const char *pattern;
    hone__bpe_step step;
} patterns[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", {.kind = HONE__STEP_GPT2}},
    {CL100K("\\p{N}{1,3}"), {.kind = HONE__STEP_CL100K, .argument = 3}},
    {CL100K("\\p{N}"), {.kind = HONE__STEP_CL100K, .argument = 1}},
};

static hone_status split_literal(token_build *b, const json_t *part, const json_t *text, bool invert)
{
    static const char *const behaviors[HONE__SPLIT_BEHAVIORS] = {"Isolated", "Removed", "MergedWithPrevious",
                                                                 "MergedWithNext", "Contiguous"};
    const char *behavior = hone__json_text(part, "behavior");
    unsigned i = 0;
    while (i < HONE__SPLIT_BEHAVIORS && !is(behavior, behaviors[i])) i++;
    if (i == HONE__SPLIT_BEHAVIORS) return unknown(b, "pre_tokenizer: Split's behavior", behavior);
    HONE__TRY(hone__token_build_step(b, &b->spec.cut, HONE__STEP_SPLIT, i | (invert ? HONE__SPLIT_INVERT : 0u)));
    return step_text(b, &b->spec.cut, 0, text, "pre_tokenizer: Split's pattern");
}

static hone_status split(token_build *b, const json_t *part)
{
    const char *behavior = hone__json_text(part, "behavior");
    const json_t *pattern = json_object_get(part, "pattern"), *text = literal(pattern);
    const char *regex = hone__json_text(pattern, "Regex");
    bool invert = flag(part, "invert", false);
    if (text) return split_literal(b, part, text, invert);
    if (!is(behavior, invert ? "Removed" : "Isolated")) /* all patterns here match every character */
        return unknown(b, invert ? "pre_tokenizer: Split, inverted, with behavior" : "pre_tokenizer: Split's behavior",
                       behavior);
    for (size_t i = 0; regex && i < sizeof patterns / sizeof *patterns; i++)
        if (!strcmp(regex, patterns[i].pattern))
            return hone__token_build_step(b, &b->spec.cut, patterns[i].step.kind, patterns[i].step.argument);
    return unknown(b, "pre_tokenizer: Split's pattern", regex);
}

/* Metaspace, which a pre_tokenizer and a decoder may have; older files say add_prefix_space for its scheme. */
static hone_status metaspace(token_build *b, hone__step_list *list, const json_t *part, const char *where)
{
    static const char *const schemes[] = {"never", "first", "always"};
    const char *scheme = hone__json_text(part, "prepend_scheme");
    if (!scheme) scheme = flag(part, "add_prefix_space", true) ? "always" : "never";
    unsigned i = 0;
    while (i < 3 && !is(scheme, schemes[i])) i++;
    if (i == 3) return unknown(b, where, scheme);
    if (flag(part, "split", true)) i |= HONE__META_SPLIT;
    HONE__TRY(hone__token_build_step(b, list, HONE__STEP_METASPACE, i));
    return step_text(b, list, 0, json_object_get(part, "replacement"), where);
}

/* "first" asks whether a piece lies where the text begins, which is not known once something was put there. */
static hone_status check_first(const token_build *b)
{
    bool moved = false;
    for (size_t i = 0; i < b->spec.normalize.count; i++) {
        const hone__bpe_step *step = &b->spec.normalize.items[i];
        moved |= step->kind == HONE__STEP_PREPEND || (step->kind == HONE__STEP_REPLACE && !step->texts[1].size);
    }
    for (size_t i = 0; i < b->spec.cut.count; i++) {
        const hone__bpe_step *step = &b->spec.cut.items[i];
        bool meta = step->kind == HONE__STEP_METASPACE;
        if (meta && moved && step->argument & HONE__META_FIRST)
            return hone__fail(HONE_E_UNSUPPORTED,
                              "%s: pre_tokenizer: Metaspace with prepend_scheme first behind a step that puts text "
                              "before it or removes some",
                              b->name);
        moved |= meta || step->kind == HONE__STEP_PREFIX;
    }
    return HONE_OK;
}

static hone_status find_byte_level(token_build *b, const json_t *part)
{
    b->byte_level |= is(type_of(part), "ByteLevel");
    return HONE_OK;
}

static hone_status pre_tokenizer(token_build *b, const json_t *part)
{
    const char *type = type_of(part);
    hone__step_list *list = &b->spec.cut;
    if (b->cut_to_bytes)
        return hone__fail(HONE_E_UNSUPPORTED, "%s: pre_tokenizer: '%.*s' behind ByteLevel", b->name, SHOWN,
                          type ? type : "(none)");
    if (is(type, "Split")) return split(b, part);
    if (is(type, "Digits"))
        return hone__token_build_step(b, list, HONE__STEP_DIGITS, flag(part, "individual_digits", false));
    if (is(type, "Metaspace")) return metaspace(b, list, part, "pre_tokenizer: Metaspace's scheme or replacement");
    if (!is(type, "ByteLevel")) return unknown(b, "pre_tokenizer", type);
    b->cut_to_bytes = true;
    if (flag(part, "add_prefix_space", true)) HONE__TRY(hone__token_build_step(b, list, HONE__STEP_PREFIX, 0));
    return flag(part, "use_regex", true) ? hone__token_build_step(b, list, HONE__STEP_GPT2, 0) : HONE_OK;
}

/* Strip, at the beginning of what there is. */
static hone_status strip(token_build *b, const json_t *part)
{
    const json_t *start = json_object_get(part, "start"), *stop = json_object_get(part, "stop");
    json_int_t n = json_integer_value(start);
    if (!json_is_integer(start) || n < 0 || n >= 1000 || !json_is_integer(stop) || json_integer_value(stop))
        return hone__fail(HONE_E_UNSUPPORTED, "%s: decoder: Strip's start and stop, expected 0 to 999 and 0", b->name);
    HONE__TRY(hone__token_build_step(b, &b->spec.decode, HONE__STEP_STRIP, (unsigned)n));
    return step_text(b, &b->spec.decode, 0, json_object_get(part, "content"), "decoder: Strip's content");
}

static bool has_step(const hone__step_list *list, unsigned kind)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == kind) return true;
    return false;
}

static hone_status decoder(token_build *b, const json_t *part)
{
    const char *type = type_of(part);
    hone__step_list *list = &b->spec.decode;
    if (b->byte_level) return is(type, "ByteLevel") ? HONE_OK : unknown(b, "decoder", type);
    bool fused = has_step(list, HONE__STEP_FUSE), bytes = is(type, "ByteFallback");
    if ((fused && is(type, "Replace")) || (bytes && (fused || has_step(list, HONE__STEP_BYTES))))
        return hone__fail(HONE_E_UNSUPPORTED, "%s: decoder: '%s' behind Fuse, or twice", b->name, type);
    if (is(type, "Replace")) return replace(b, list, part, "decoder: Replace's pattern");
    if (is(type, "Metaspace")) return metaspace(b, list, part, "decoder: Metaspace's scheme or replacement");
    if (is(type, "Strip")) return strip(b, part);
    if (bytes) return hone__token_build_step(b, list, HONE__STEP_BYTES, 0);
    if (!is(type, "Fuse")) return unknown(b, "decoder", type);
    return fused ? HONE_OK : hone__token_build_step(b, list, HONE__STEP_FUSE, 0);
}

/* One entry of a template: the text itself, or the ids of a special token. */
static hone_status template_entry(token_build *b, const json_t *part, const json_t *entry, bool *behind)
{
    const json_t *special = json_object_get(entry, "SpecialToken"), *text = json_object_get(entry, "Sequence");
    const char *name = hone__json_text(special, "id");
    if (text && !*behind && is(hone__json_text(text, "id"), "A")) {
        *behind = true;
        return HONE_OK;
    }
    const json_t *known = name ? json_object_get(json_object_get(part, "special_tokens"), name) : NULL;
    const json_t *ids = json_object_get(known, "ids");
    if (!json_is_array(ids)) return unknown(b, "post_processor: TemplateProcessing's token", name);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        HONE__TRY(hone__token_build_around(b, *behind, json_is_integer(id) ? json_integer_value(id) : -1, name));
    }
    return HONE_OK;
}

/* "sep" and "cls" of RobertaProcessing and BertProcessing: [text, id]. */
static hone_status pair_entry(token_build *b, const json_t *part, const char *key, bool behind)
{
    const json_t *pair = json_object_get(part, key), *id = json_array_get(pair, 1);
    const char *name = json_string_value(json_array_get(pair, 0));
    return hone__token_build_around(b, behind, json_is_integer(id) ? json_integer_value(id) : -1, name ? name : key);
}

static hone_status post_processor(token_build *b, const json_t *part)
{
    const char *type = type_of(part);
    bool template = is(type, "TemplateProcessing"), pair = is(type, "RobertaProcessing") || is(type, "BertProcessing");
    if (is(type, "ByteLevel")) return HONE_OK; /* about offsets */
    if (!template && !pair) return unknown(b, "post_processor", type);
    if (b->around) return hone__fail(HONE_E_UNSUPPORTED, "%s: post_processor: two templates", b->name);
    b->around = true;
    if (pair) {
        HONE__TRY(pair_entry(b, part, "cls", false));
        return pair_entry(b, part, "sep", true);
    }
    const json_t *single = json_object_get(part, "single");
    bool behind = false;
    for (size_t i = 0; i < json_array_size(single); i++)
        HONE__TRY(template_entry(b, part, json_array_get(single, i), &behind));
    return behind ? HONE_OK : hone__fail(HONE_E_FORMAT, "%s: post_processor: a template without text", b->name);
}

hone_status hone__token_added_object(token_build *b, const json_t *o, int64_t id)
{
    static const struct {
        const char *key;
        unsigned flag;
    } keys[] = {{"special", HONE__ADDED_SPECIAL},
                {"lstrip", HONE__ADDED_LSTRIP},
                {"rstrip", HONE__ADDED_RSTRIP},
                {"single_word", HONE__ADDED_WORD},
                {"normalized", HONE__ADDED_NORMALIZED}};
    const json_t *content = json_object_get(o, "content");
    unsigned flags = 0;
    if (!json_is_string(content))
        return hone__fail(HONE_E_FORMAT, "%s: added token %lld without text", b->name, (long long)id);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (flag(o, keys[i].key, false)) flags |= keys[i].flag;
    return hone__token_build_added(b, id, json_string_value(content), json_string_length(content), flags);
}

static hone_status added_tokens(token_build *b, const json_t *list)
{
    if (list && !json_is_null(list) && !json_is_array(list))
        return hone__fail(HONE_E_FORMAT, "%s: added_tokens is no list", b->name);
    b->named += json_array_size(list);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i), *id = json_object_get(o, "id");
        if (!json_is_integer(id)) return hone__fail(HONE_E_FORMAT, "%s: added_tokens[%zu] has no id", b->name, i);
        HONE__TRY(hone__token_added_object(b, o, json_integer_value(id)));
    }
    b->named -= json_array_size(list); /* each counted itself */
    return HONE_OK;
}

/* "left right", or ["left", "right"] */
static hone_status one_merge(token_build *b, const json_t *m, size_t index)
{
    const char *text = json_string_value(m), *left = json_string_value(json_array_get(m, 0)),
               *right = json_string_value(json_array_get(m, 1));
    if (left && right && json_array_size(m) == 2) return hone__token_build_merge(b, left, right, index);
    if (!text) return hone__fail(HONE_E_FORMAT, "%s: merge %zu is no pair of tokens", b->name, index);
    return hone__token_merge_line(b, text, strlen(text), index);
}

/* What no model here has. */
static hone_status check_model(const token_build *b, const json_t *model)
{
    static const char *const texts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const char *type = type_of(model);
    if (!json_is_object(model)) return hone__fail(HONE_E_FORMAT, "%s: it has no model", b->name);
    if (type && strcmp(type, "BPE") != 0) return unknown(b, "model", type);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *v = hone__json_text(model, texts[i]);
        if (v && *v)
            return hone__fail(HONE_E_UNSUPPORTED, "%s: model.%s is '%.*s', expected none", b->name, texts[i], SHOWN, v);
    }
    if (json_number_value(json_object_get(model, "dropout")) != 0)
        return hone__fail(HONE_E_UNSUPPORTED, "%s: model.dropout is set: ids would be left to chance", b->name);
    return HONE_OK;
}

static hone_status read_model(token_build *b, const json_t *model)
{
    HONE__TRY(check_model(b, model));
    b->spec.byte_fallback = flag(model, "byte_fallback", false);
    if (b->byte_level && b->spec.byte_fallback)
        return hone__fail(HONE_E_UNSUPPORTED, "%s: model.byte_fallback is set beside a ByteLevel pre_tokenizer",
                          b->name);
    const json_t *merges = json_object_get(model, "merges");
    const char *unk = hone__json_text(model, "unk_token");
    HONE__TRY(hone__token_build_vocabulary(b, json_object_get(model, "vocab")));
    if (!json_is_array(merges)) return hone__fail(HONE_E_FORMAT, "%s: model.merges is no list", b->name);
    for (size_t i = 0; i < json_array_size(merges); i++) HONE__TRY(one_merge(b, json_array_get(merges, i), i));
    if (flag(model, "ignore_merges", false)) b->spec.flags |= HONE__BPE_WHOLE_WORDS;
    if (flag(model, "fuse_unk", false)) b->spec.flags |= HONE__BPE_FUSE_UNKNOWN;
    b->spec.unknown = unk ? hone__token_build_find(b, unk) : -1;
    if (unk && b->spec.unknown < 0 && !b->byte_level)
        return hone__fail(HONE_E_FORMAT, "%s: model.unk_token '%.*s' is not in model.vocab", b->name, SHOWN, unk);
    return HONE_OK;
}

static hone_status read_root(token_build *b, const json_t *root)
{
    const json_t *cut = json_object_get(root, "pre_tokenizer");
    HONE__TRY(each_part(b, cut, "pre_tokenizer", "pretokenizers", find_byte_level, 0));
    if (!b->byte_level) b->spec.flags |= HONE__BPE_CHARACTERS;
    HONE__TRY(read_model(b, json_object_get(root, "model")));
    HONE__TRY(added_tokens(b, json_object_get(root, "added_tokens")));
    HONE__TRY(each_part(b, json_object_get(root, "normalizer"), "normalizer", "normalizers", normalizer, 0));
    HONE__TRY(each_part(b, cut, "pre_tokenizer", "pretokenizers", pre_tokenizer, 0));
    HONE__TRY(check_first(b));
    HONE__TRY(each_part(b, json_object_get(root, "post_processor"), "post_processor", "processors", post_processor, 0));
    HONE__TRY(each_part(b, json_object_get(root, "decoder"), "decoder", "decoders", decoder, 0));
    if (!b->byte_level && !b->spec.decode.count)
        return hone__fail(HONE_E_UNSUPPORTED, "%s: decoder: none, so tokens would be joined by blanks", b->name);
    return HONE_OK;
}

hone_status hone__tokenizer_import_json(const char *text, size_t size, const char *name, char **out)
{
    token_build b = {.name = name};
    json_t *root;
    *out = NULL;
    HONE__TRY(hone__json_parse(text, size, name, MAX_VALUES, &root));
    hone_status status =
        json_is_object(root) ? read_root(&b, root) : hone__fail(HONE_E_FORMAT, "%s: no object, so no tokenizer", name);
    if (status == HONE_OK) status = hone__token_build_write(&b, out);
    hone__token_build_free(&b);
    json_decref(root);
    return status;
}
