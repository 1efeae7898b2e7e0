/* tokenizer.c: encoding around the words: added tokens, normalisation, what stands around a text. */
#include "tokenizer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "text_steps.h"

enum { CACHE_FROM = 4096 }; /* bytes after which remembering words pays */

static hone_status scratch_get(const hone__tokenizer *t, hone__token_list *list, size_t size)
{
    if (!list->scratch) list->scratch = hone__calloc(1, sizeof *list->scratch);
    hone__token_scratch *s = list->scratch;
    if (!s) return hone__out_of_memory(sizeof *s);
    if (s->cache && s->owner != t->serial) memset(s->cache, 0, CACHE_WORDS * sizeof *s->cache);
    s->owner = t->serial;
    if (s->cache) return HONE_OK;
    s->seen = s->seen > CACHE_FROM ? s->seen : s->seen + (size < CACHE_FROM ? size : CACHE_FROM + 1);
    if (s->seen > CACHE_FROM) s->cache = hone__calloc(CACHE_WORDS, sizeof *s->cache); /* without it: only slower */
    return HONE_OK;
}

void hone__token_list_free(hone__token_list *list)
{
    hone__token_scratch *s = list->scratch;
    if (s) {
        hone__free(s->cache);
        for (size_t i = 0; i < 2; i++) hone__free(s->normalized[i].data);
        for (size_t i = 0; i < HONE__STEPS; i++) hone__free(s->prefixed[i].data);
        hone__free(s->nodes);
        hone__free(s->heap);
        hone__free(s);
    }
    hone__free(list->ids);
    *list = (hone__token_list){0};
}

/* The start of the character before text[at]; `at` is not 0. */
static size_t step_back(const char *text, size_t at)
{
    size_t from = at > 4 ? at - 4 : 0;
    for (size_t i = from; i < at; i++) {
        const char *p = text + i, *end = text + at;
        if (hone__utf8_take(&p, end) < HONE__UTF8_BAD && p == end) return i;
    }
    return at - 1;
}

static uint32_t code_at(const char *text, size_t from, size_t to)
{
    const char *p = text + from;
    return hone__utf8_take(&p, text + to);
}

static size_t spaces_before(const char *text, size_t least, size_t at)
{
    while (at > least) {
        size_t before = step_back(text, at);
        if (before < least || hone__unicode_class(code_at(text, before, at)) != HONE__CLASS_SPACE) break;
        at = before;
    }
    return at;
}

static size_t spaces_behind(const char *text, size_t at, size_t size)
{
    while (at < size) {
        const char *p = text + at;
        if (hone__unicode_class(hone__utf8_take(&p, text + size)) != HONE__CLASS_SPACE) break;
        at = (size_t)(p - text);
    }
    return at;
}

/* True where text[from, to) is a word of its own: neither neighbour belongs to a word. */
static bool stands_alone(const char *text, size_t from, size_t to, size_t size)
{
    if (from && hone__unicode_is_word(code_at(text, step_back(text, from), from))) return false;
    return to == size || !hone__unicode_is_word(code_at(text, to, size));
}

typedef hone_status gap_fn(const hone__tokenizer *t, const char *text, size_t size, hone__token_list *list);

/* Appends the added tokens of `set`; what lies between them goes to `gap`. */
static hone_status cut(const hone__tokenizer *t, const added_set *set, const char *text, size_t size, gap_fn *gap,
                       hone__token_list *list)
{
    size_t done = 0, from = 0, at;
    const added_token *k;
    while ((k = hone__added_find(t, set, text, size, from, &at))) {
        size_t stop = at + k->size;
        from = stop;
        if (k->flags & HONE__ADDED_WORD && !stands_alone(text, at, stop, size)) continue;
        if (k->flags & HONE__ADDED_LSTRIP && at > done) at = spaces_before(text, done, at);
        if (k->flags & HONE__ADDED_RSTRIP) stop = spaces_behind(text, stop > done ? stop : done, size);
        if (done < at) HONE__TRY(gap(t, text + done, at - done, list));
        HONE__TRY(append_id(list, k->id));
        done = stop;
    }
    return done < size ? gap(t, text + done, size - done, list) : HONE_OK;
}

static hone_status normalized_gap(const hone__tokenizer *t, const char *text, size_t size, hone__token_list *list)
{
    hone__token_scratch *s = list->scratch;
    bool first = text == s->first;
    HONE__TRY(hone__normalize(t, s->normalized, &text, &size));
    s->first = first ? text : NULL;
    return cut(t, &t->normalized, text, size, hone__bpe_text, list);
}

static hone_status append_all(hone__token_list *list, const uint32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) HONE__TRY(append_id(list, ids[i]));
    return HONE_OK;
}

hone_status hone__tokenizer_encode(const hone__tokenizer *t, const char *text, size_t size, bool add_special,
                                   hone__token_list *list)
{
    size_t start = list->count;
    HONE__TRY(scratch_get(t, list, size));
    list->scratch->first = text;
    hone_status status = append_all(list, t->before, add_special ? t->before_count : 0);
    if (status == HONE_OK) status = cut(t, &t->raw, text, size, normalized_gap, list);
    if (status == HONE_OK) status = append_all(list, t->behind, add_special ? t->behind_count : 0);
    if (status != HONE_OK) list->count = start;
    return status;
}

size_t hone__tokenizer_size(const hone__tokenizer *t) { return t->vocabulary; }

bool hone__tokenizer_is_special(const hone__tokenizer *t, uint32_t id)
{
    return id < t->vocabulary && t->kinds[id] & KIND_SPECIAL;
}

int64_t hone__tokenizer_id(const hone__tokenizer *t, const char *text)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < t->added_count; i++)
        if (t->added[i].size == size && memcmp(t->added[i].bytes, text, size) == 0) return t->added[i].id;
    return -1;
}
