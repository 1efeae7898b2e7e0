/* tokenizer_write.c: the text that keeps a tokenizer in a model's metadata. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base64.h"
#include "tokenizer_spec.h"
#include "unicode.h"

static hone_status put(hone__text *out, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;
    for (; v > 0x7f; v >>= 7) bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    return hone__text_append(out, bytes, n);
}

static hone_status put_bytes(hone__text *out, uint64_t size_and_flag, const char *bytes, size_t size)
{
    HONE__TRY(put(out, size_and_flag));
    return hone__text_append(out, bytes, size);
}

int hone__byte_token(const char *text, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    const char *high = memchr(digits, text[3], 16), *low = memchr(digits, text[4], 16);
    return high && low ? (int)(high - digits) * 16 + (int)(low - digits) : -1;
}

/* The byte that a token stands for; -1: none. */
static int byte_of(const hone__tokenizer_spec *s, const hone__spec_token *token)
{
    if (!token->plain) return -1;
    if (!(s->flags & HONE__BPE_CHARACTERS)) return token->size == 1 ? (uint8_t)token->bytes[0] : -1;
    return s->byte_fallback ? hone__byte_token(token->bytes, token->size) : -1;
}

static hone_status put_steps(const hone__step_list *list, hone__text *out)
{
    HONE__TRY(put(out, list->count));
    for (size_t i = 0; i < list->count; i++) {
        const hone__bpe_step *step = &list->items[i];
        HONE__TRY(put(out, step->kind));
        HONE__TRY(put(out, step->argument));
        for (size_t k = 0; k < hone__step_texts(step->kind); k++)
            HONE__TRY(put_bytes(out, step->texts[k].size, step->texts[k].bytes, step->texts[k].size));
    }
    return HONE_OK;
}

static hone_status put_header(const hone__tokenizer_spec *s, hone__text *out)
{
    uint64_t of_byte[256] = {0};
    bool lists = s->normalize.count || s->decode.count;
    for (size_t id = 0; id < s->token_count; id++) {
        int byte = byte_of(s, &s->tokens[id]);
        if (byte >= 0) of_byte[byte] = id + 1;
    }
    HONE__TRY(put(out, s->flags | (lists ? HONE__BPE_LISTS : 0)));
    HONE__TRY(put(out, s->token_count));
    HONE__TRY(put(out, (uint64_t)(s->unknown + 1)));
    for (size_t i = 0; i < 256; i++) HONE__TRY(put(out, of_byte[i]));
    HONE__TRY(put_steps(&s->cut, out));
    if (!lists) return HONE_OK;
    HONE__TRY(put_steps(&s->normalize, out));
    return put_steps(&s->decode, out);
}

/* Marks the tokens whose bytes no earlier byte or merge gives. */
static size_t mark_explicit(const hone__tokenizer_spec *s, uint8_t *known)
{
    enum { KNOWN = 1, EXPLICIT = 2 };
    size_t count = 0;
    bool characters = s->flags & HONE__BPE_CHARACTERS;
    for (size_t id = 0; id < s->token_count; id++) known[id] = !characters && byte_of(s, &s->tokens[id]) >= 0;
    for (size_t i = 0; i < s->merge_count; i++) {
        const hone__spec_merge *m = &s->merges[i];
        if (!known[m->left]) known[m->left] = EXPLICIT;
        if (!known[m->right]) known[m->right] = EXPLICIT;
        if (!known[m->result]) known[m->result] = KNOWN;
    }
    for (size_t id = 0; id < s->token_count; id++) {
        if (s->tokens[id].bytes && !known[id]) known[id] = EXPLICIT;
        count += known[id] == EXPLICIT;
    }
    return count;
}

static hone_status put_tokens(const hone__tokenizer_spec *s, hone__text *out)
{
    if (!s->token_count) return put(out, 0);
    uint8_t *known = hone__malloc(s->token_count);
    if (!known) return hone__out_of_memory(s->token_count);
    hone_status status = put(out, mark_explicit(s, known));
    for (size_t id = 0; id < s->token_count && status == HONE_OK; id++) {
        const hone__spec_token *k = &s->tokens[id];
        if (known[id] != 2) continue;
        status = put(out, id);
        if (status == HONE_OK) status = put_bytes(out, (uint64_t)k->size << 1 | !k->plain, k->bytes, k->size);
    }
    hone__free(known);
    return status;
}

static hone_status put_merges(const hone__tokenizer_spec *s, hone__text *out)
{
    int64_t expected = 0;
    HONE__TRY(put(out, s->merge_count));
    for (size_t i = 0; i < s->merge_count; i++) {
        int64_t off = (int64_t)s->merges[i].result - expected;
        HONE__TRY(put(out, s->merges[i].left));
        HONE__TRY(put(out, s->merges[i].right));
        HONE__TRY(put(out, off < 0 ? (uint64_t)-off * 2 - 1 : (uint64_t)off * 2));
        expected = (int64_t)s->merges[i].result + 1;
    }
    return HONE_OK;
}

static hone_status put_rest(const hone__tokenizer_spec *s, hone__text *out)
{
    HONE__TRY(put(out, s->added_count));
    for (size_t i = 0; i < s->added_count; i++) {
        HONE__TRY(put(out, s->added[i].id));
        HONE__TRY(put(out, s->added[i].flags));
        HONE__TRY(put_bytes(out, s->added[i].size, s->added[i].text, s->added[i].size));
    }
    HONE__TRY(put(out, s->before_count));
    for (size_t i = 0; i < s->before_count; i++) HONE__TRY(put(out, s->before[i]));
    HONE__TRY(put(out, s->behind_count));
    for (size_t i = 0; i < s->behind_count; i++) HONE__TRY(put(out, s->behind[i]));
    return HONE_OK;
}

hone_status hone__tokenizer_write(const hone__tokenizer_spec *spec, char **out)
{
    hone__text binary = {0};
    size_t magic = strlen(HONE__TOKENIZER_MAGIC), size = 0;
    *out = NULL;
    hone_status status = put_header(spec, &binary);
    if (status == HONE_OK) status = put_tokens(spec, &binary);
    if (status == HONE_OK) status = put_merges(spec, &binary);
    if (status == HONE_OK) status = put_rest(spec, &binary);
    if (status == HONE_OK && !hone__mul_size(binary.size / 3 + 2, 4, &size)) status = hone__out_of_memory(~0ull);
    if (status == HONE_OK) {
        *out = hone__malloc(magic + size);
        if (!*out) status = hone__out_of_memory(magic + size);
    }
    if (*out) {
        memcpy(*out, HONE__TOKENIZER_MAGIC, magic);
        (*out)[magic + hone__base64_write((const uint8_t *)binary.data, binary.size, *out + magic)] = 0;
    }
    hone__free(binary.data);
    return status;
}
