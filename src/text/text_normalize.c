/* text_normalize.c: the steps that change text before it is cut, and what such steps may do to its length. */
#include <string.h>

#include "base/alloc.h"
#include "text_steps.h"

const char *hone__step_find(const hone__step_text *what, const char *text, const char *end)
{
    while (end - text >= what->size) {
        text = memchr(text, what->bytes[0], (size_t)(end - text) - what->size + 1);
        if (!text) return NULL;
        if (!memcmp(text, what->bytes, what->size)) return text;
        text++;
    }
    return NULL;
}

hone_status hone__step_replace(const hone__step_text *from, const char *to, size_t to_size, const char *text,
                               size_t size, hone__text *out)
{
    const char *end = text + size, *at;
    for (; (at = hone__step_find(from, text, end)); text = at + from->size) {
        HONE__TRY(hone__text_append(out, text, (size_t)(at - text)));
        HONE__TRY(hone__text_append(out, to, to_size));
    }
    return hone__text_append(out, text, (size_t)(end - text));
}

/* What a byte becomes at the most. */
static size_t growth(const hone__bpe_step *step)
{
    size_t from = step->texts[0].size, to = step->texts[1].size;
    switch (step->kind) {
    case HONE__STEP_NFC: return 3;
    case HONE__STEP_PREFIX: return 2;
    case HONE__STEP_PREPEND:
    case HONE__STEP_METASPACE: return 1 + from;
    case HONE__STEP_REPLACE: return to > from ? (to + from - 1) / from : 1;
    default: return 1;
    }
}

bool hone__steps_are_bounded(const hone__step_list *list)
{
    size_t whole = 1;
    for (size_t i = 0; i < list->count && whole <= HONE__STEP_GROWTH; i++) whole *= growth(&list->items[i]);
    return whole <= HONE__STEP_GROWTH;
}

static hone_status normalize_by(const hone__bpe_step *step, const char *text, size_t size, hone__text *out)
{
    const hone__step_text *a = &step->texts[0], *b = &step->texts[1];
    if (step->kind == HONE__STEP_NFC) return hone__nfc_append(out, text, size);
    if (step->kind == HONE__STEP_REPLACE) return hone__step_replace(a, b->bytes, b->size, text, size, out);
    HONE__TRY(hone__text_append(out, a->bytes, size ? a->size : 0));
    return hone__text_append(out, text, size);
}

hone_status hone__normalize(const hone__tokenizer *t, hone__text work[2], const char **text, size_t *size)
{
    static const hone__bpe_step nfc = {.kind = HONE__STEP_NFC};
    bool first = t->flags & HONE__BPE_NFC;
    for (size_t i = 0; i < first + t->normalize.count; i++) {
        const hone__bpe_step *step = first && !i ? &nfc : &t->normalize.items[i - first];
        if (step->kind == HONE__STEP_NFC && hone__nfc_is_plain(*text, *size)) continue;
        hone__text *out = *text == work[0].data ? &work[1] : &work[0];
        out->size = 0;
        HONE__TRY(normalize_by(step, *text, *size, out));
        *text = out->data;
        *size = out->size;
    }
    return HONE_OK;
}
