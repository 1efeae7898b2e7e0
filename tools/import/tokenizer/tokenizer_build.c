/* tokenizer_build.c: a tokenizer's specification, entry by entry, each checked against those before. */
#include "tokenizer_build.h"

#include <string.h>

#include "base/utf8.h"
#include "text/tokenizer.h"

enum { HOLES = 60000 }; /* ids without a token that a vocabulary may have */

void hone__token_build_free(token_build *b)
{
    hone__free(b->spec.tokens);
    hone__free(b->spec.merges);
    hone__free(b->spec.added);
    hone__arena_free(&b->arena);
    json_decref(b->added);
}

/* GPT-2's alphabet: the printable characters of Latin-1 stand for themselves, the other 68 bytes for U+0100 and on. */
static int byte_of_character(uint32_t c)
{
    if ((c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xff && c != 0xad)) return (int)c;
    if (c < 0x100 || c >= 0x144) return -1;
    unsigned n = c - 0x100;
    return n < 0x21 ? (int)n : n < 0x43 ? (int)(n - 0x21 + 0x7f) : 0xad;
}

/* The bytes that a token in the alphabet stands for; returns their number, 0 where a character is not in it. */
static size_t bytes_of_token(const char *token, size_t size, char *out)
{
    const char *end = token + size;
    size_t n = 0;
    while (token < end) {
        int byte = byte_of_character(hone__utf8_take(&token, end));
        if (byte < 0) return 0;
        out[n++] = (char)byte;
    }
    return n;
}

static hone_status reserve_id(token_build *b, int64_t id, const char *text)
{
    if (id < 0 || (uint64_t)id > b->named + HOLES)
        return hone__fail(HONE_E_FORMAT, "%s: token '%.*s' has the id %lld, beyond a vocabulary of %zu tokens", b->name,
                          SHOWN, text, (long long)id, b->named);
    size_t old = b->spec.token_count, want = (size_t)id + 1;
    if (want <= old) return HONE_OK;
    HONE__TRY(hone__grow(&b->spec.tokens, &b->token_capacity, want, sizeof *b->spec.tokens));
    memset(b->spec.tokens + old, 0, (want - old) * sizeof *b->spec.tokens);
    b->spec.token_count = want;
    return HONE_OK;
}

hone_status hone__token_build_token(token_build *b, int64_t id, const char *bytes, size_t size, bool plain,
                                    const char *place)
{
    HONE__TRY(reserve_id(b, id, place));
    hone__spec_token *k = &b->spec.tokens[id];
    if (k->bytes)
        return hone__fail(HONE_E_FORMAT, "%s: token '%.*s' has the id %lld, which another token has, too", b->name,
                          SHOWN, place, (long long)id);
    if (size > HONE__TOKEN_BYTES)
        return hone__fail(HONE_E_LIMIT, "%s: token %lld has %zu bytes, at most %d are possible", b->name, (long long)id,
                          size, HONE__TOKEN_BYTES);
    if (size) *k = (hone__spec_token){bytes, size, plain};
    return HONE_OK;
}

hone_status hone__token_build_vocabulary(token_build *b, json_t *vocabulary)
{
    const char *token;
    json_t *id;
    if (!json_is_object(vocabulary)) return hone__fail(HONE_E_FORMAT, "%s: the vocabulary is no object", b->name);
    b->vocabulary = vocabulary;
    b->named += json_object_size(vocabulary);
    json_object_foreach(vocabulary, token, id)
    {
        size_t size = strlen(token);
        if (!json_is_integer(id))
            return hone__fail(HONE_E_FORMAT, "%s: the id of token '%.*s' is no whole number", b->name, SHOWN, token);
        char *bytes = hone__arena_alloc(&b->arena, size + 1);
        if (!bytes) return hone__out_of_memory(size);
        bool characters = b->spec.flags & HONE__BPE_CHARACTERS;
        size_t n = characters ? 0 : bytes_of_token(token, size, bytes);
        if (!n) memcpy(bytes, token, size);
        HONE__TRY(hone__token_build_token(b, json_integer_value(id), bytes, n ? n : size, characters || n > 0, token));
    }
    return HONE_OK;
}

static hone_status merge_token(const token_build *b, const char *token, size_t index, uint32_t *id)
{
    const json_t *v = json_object_get(b->vocabulary, token);
    if (!v)
        return hone__fail(HONE_E_FORMAT, "%s: merge %zu: token '%.*s' is not in the vocabulary", b->name, index, SHOWN,
                          token);
    *id = (uint32_t)json_integer_value(v);
    if (!*token) return hone__fail(HONE_E_FORMAT, "%s: merge %zu joins an empty token", b->name, index);
    return HONE_OK;
}

hone_status hone__token_build_merge_ids(token_build *b, uint32_t left, uint32_t right, uint32_t result)
{
    hone__tokenizer_spec *s = &b->spec;
    HONE__TRY(hone__grow(&s->merges, &b->merge_capacity, s->merge_count, sizeof *s->merges));
    s->merges[s->merge_count++] = (hone__spec_merge){left, right, result};
    return HONE_OK;
}

hone_status hone__token_build_merge(token_build *b, const char *left, const char *right, size_t index)
{
    char joined[4 * HONE__TOKEN_BYTES + 1]; /* in the alphabet a byte takes one or two */
    size_t a = strlen(left), c = strlen(right);
    uint32_t l, r, whole;
    HONE__TRY(merge_token(b, left, index, &l));
    HONE__TRY(merge_token(b, right, index, &r));
    if (a + c >= sizeof joined)
        return hone__fail(HONE_E_LIMIT, "%s: merge %zu gives a token of %zu bytes", b->name, index, a + c);
    memcpy(joined, left, a);
    memcpy(joined + a, right, c + 1);
    HONE__TRY(merge_token(b, joined, index, &whole));
    if (!b->spec.tokens[l].plain || !b->spec.tokens[r].plain) return HONE_OK; /* no bytes lead there */
    return hone__token_build_merge_ids(b, l, r, whole);
}

hone_status hone__token_build_added(token_build *b, int64_t id, const char *text, size_t size, unsigned flags)
{
    hone__tokenizer_spec *s = &b->spec;
    if (!size || size > HONE__TOKEN_BYTES)
        return hone__fail(HONE_E_LIMIT, "%s: added token %lld has %zu bytes, expected 1 to %d", b->name, (long long)id,
                          size, HONE__TOKEN_BYTES);
    b->named++;
    HONE__TRY(reserve_id(b, id, text));
    const json_t *known = b->vocabulary ? json_object_get(b->vocabulary, text) : NULL;
    if (known ? json_integer_value(known) != id : s->tokens[id].bytes != NULL)
        return hone__fail(HONE_E_FORMAT, "%s: added token '%.*s' has the id %lld, the vocabulary says otherwise",
                          b->name, SHOWN, text, (long long)id);
    HONE__TRY(hone__grow(&s->added, &b->added_capacity, s->added_count, sizeof *s->added));
    char *copy = hone__arena_strndup(&b->arena, text, size);
    if (!copy) return hone__out_of_memory(size);
    s->added[s->added_count++] = (hone__spec_added){(uint32_t)id, flags, copy, size};
    if (memchr(text, 0, size) || hone__token_build_is_added(b, text)) return HONE_OK;
    if (!b->added) b->added = json_object();
    return json_object_set_new(b->added, text, json_integer(id)) ? hone__out_of_memory(size) : HONE_OK;
}

hone_status hone__token_build_step(token_build *b, hone__step_list *list, unsigned kind, unsigned argument)
{
    if (list->count == HONE__STEPS)
        return hone__fail(HONE_E_LIMIT, "%s: %s has more than %d steps", b->name,
                          list == &b->spec.cut         ? "pre_tokenizer"
                          : list == &b->spec.normalize ? "normalizer"
                                                       : "decoder",
                          HONE__STEPS);
    list->items[list->count++] = (hone__bpe_step){.kind = kind, .argument = argument};
    return HONE_OK;
}

hone_status hone__token_build_text(token_build *b, hone__step_list *list, unsigned which, const char *text, size_t size,
                                   const char *where)
{
    hone__step_text *to = &list->items[list->count - 1].texts[which];
    if (size > HONE__STEP_TEXT)
        return hone__fail(HONE_E_LIMIT, "%s: %s: '%.*s' has %zu bytes, at most %d are possible", b->name, where, SHOWN,
                          text, size, HONE__STEP_TEXT);
    to->size = (uint8_t)size;
    memcpy(to->bytes, text, size);
    return HONE_OK;
}

bool hone__token_build_is_added(const token_build *b, const char *text)
{
    return json_object_get(b->added, text) != NULL;
}

int64_t hone__token_build_find(const token_build *b, const char *text)
{
    const json_t *id = json_object_get(b->added, text);
    if (!id) id = json_object_get(b->vocabulary, text);
    return id ? json_integer_value(id) : -1;
}

hone_status hone__token_build_around(token_build *b, bool behind, int64_t id, const char *text)
{
    hone__tokenizer_spec *s = &b->spec;
    size_t *count = behind ? &s->behind_count : &s->before_count;
    if (id < 0 || (uint64_t)id >= s->token_count)
        return hone__fail(HONE_E_FORMAT, "%s: post_processor: token '%.*s' has the id %lld, which no token has",
                          b->name, SHOWN, text, (long long)id);
    if (*count == HONE__AROUND)
        return hone__fail(HONE_E_LIMIT, "%s: post_processor puts more than %d tokens around a text", b->name,
                          HONE__AROUND);
    (behind ? s->behind : s->before)[(*count)++] = (uint32_t)id;
    return HONE_OK;
}

hone_status hone__token_build_write(token_build *b, char **out)
{
    hone__tokenizer *check;
    if (!b->spec.token_count) return hone__fail(HONE_E_FORMAT, "%s: an empty vocabulary", b->name);
    HONE__TRY(hone__tokenizer_write(&b->spec, out));
    hone_status status = hone__tokenizer_create(*out, strlen(*out), &check);
    hone__tokenizer_destroy(check);
    if (status == HONE_OK) return HONE_OK;
    hone__free(*out);
    *out = NULL;
    return hone__at(status, "%s", b->name);
}
