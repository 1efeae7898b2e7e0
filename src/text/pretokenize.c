/* pretokenize.c: cuts text into the words that byte pair encoding works on: the regular expressions of published
 * tokenizers, matched by hand over the classes of code points. Every byte is looked at a bounded number of times. */
#include <string.h>

#include "base/utf8.h"
#include "text_steps.h"

enum {
    LETTERS = 1 << HONE__CLASS_UPPER | 1 << HONE__CLASS_LOWER | 1 << HONE__CLASS_LETTER,
    NUMBERS = 1 << HONE__CLASS_NUMBER,
    SPACES = 1 << HONE__CLASS_SPACE,
    OTHERS = 1 << HONE__CLASS_OTHER | 1 << HONE__CLASS_MARK
};

/* The class of the character at *p, as a bit; *p moves behind it. */
static inline unsigned take(const char **p, const char *end)
{
    uint8_t c = (uint8_t)**p;
    if (c < 0x80) {
        ++*p;
        return 1u << hone__ascii_classes[c];
    }
    return 1u << hone__unicode_class(hone__utf8_take(p, end));
}

/* The end of the run of characters of these classes. */
static inline const char *run(const char *p, const char *end, unsigned classes)
{
    while (p < end) {
        const char *next = p;
        if (!(take(&next, end) & classes)) break;
        p = next;
    }
    return p;
}

/* 's 't 'm 'd 're 've 'll at p; NULL: none. `fold`: in capitals, too, and s as U+017F, as case folding has it. */
static const char *contraction(const char *p, const char *end, bool fold)
{
    size_t left = (size_t)(end - p);
    if (left < 2) return NULL;
    char a = p[1], b = left > 2 ? p[2] : 0;
    if (fold && (uint8_t)a == 0xc5 && (uint8_t)b == 0xbf) return p + 3;
    if (fold && a >= 'A' && a <= 'Z') a = (char)(a + 32);
    if (fold && b >= 'A' && b <= 'Z') b = (char)(b + 32);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return p + 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return p + 3;
    return NULL;
}

/* \s+(?!\S)|\s+ : a run of spaces without its last one, which belongs to what follows. */
static const char *spaces(const char *p, const char *end)
{
    const char *last = p, *at = p;
    while (at < end) {
        const char *next = at;
        if (!(take(&next, end) & SPACES)) return last > p ? last : at;
        last = at;
        at = next;
    }
    return end;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static const char *gpt2_word(const char *text, const char *end)
{
    const char *p = text;
    if (*p == '\'') {
        const char *after = contraction(p, end, false);
        if (after) return after;
    }
    if (*p == ' ' && p + 1 < end) p++;
    unsigned class = take(&p, end);
    if (class & LETTERS) return run(p, end, LETTERS);
    if (class & NUMBERS) return run(p, end, NUMBERS);
    if (class & OTHERS) return run(p, end, OTHERS);
    return spaces(text, end);
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ */
static const char *lines_or_spaces(const char *p, const char *end)
{
    const char *stop = run(p, end, SPACES);
    for (const char *q = stop; q > p; q--)
        if (q[-1] == '\n' || q[-1] == '\r') return q;
    return spaces(p, end);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
 * \s+(?!\S)|\s+ */
static const char *cl100k_word(const char *text, const char *end, unsigned digits)
{
    const char *p = text, *next;
    if (*p == '\'') {
        const char *after = contraction(p, end, true);
        if (after) return after;
    }
    unsigned class = take(&p, end), behind = 0;
    if (class & LETTERS) return run(p, end, LETTERS);
    if (class & NUMBERS) {
        for (unsigned n = 1; n < digits && p < end; n++, p = next) {
            next = p;
            if (!(take(&next, end) & NUMBERS)) break;
        }
        return p;
    }
    next = p;
    if (p < end) behind = take(&next, end);
    if (behind & LETTERS && *text != '\r' && *text != '\n') return run(next, end, LETTERS);
    if (class & OTHERS || (*text == ' ' && behind & OTHERS)) {
        p = run(p, end, OTHERS);
        while (p < end && (*p == '\r' || *p == '\n')) p++;
        return p;
    }
    return lines_or_spaces(text, end);
}

static const char *digits_word(const char *text, const char *end, bool individual)
{
    const char *p = text;
    bool number = take(&p, end) & NUMBERS;
    return number && individual ? p : run(p, end, number ? NUMBERS : ~(unsigned)NUMBERS);
}

/* The next part of [text, end), which is not empty: a match of the step's text, or what stands before the next. */
static const char *split_part(const hone__bpe_step *step, const char *text, const char *end, bool *match)
{
    const hone__step_text *what = &step->texts[0];
    const char *at = hone__step_find(what, text, end);
    bool found = at == text;
    *match = found != !!(step->argument & HONE__SPLIT_INVERT);
    return found ? at + what->size : at ? at : end;
}

/* Where the word ends that begins at text; *skip: it is none. */
static const char *split_word(const hone__bpe_step *step, const char *text, const char *end, bool *skip)
{
    bool match, next_match = false;
    unsigned behavior = step->argument & ~(unsigned)HONE__SPLIT_INVERT;
    const char *stop = split_part(step, text, end, &match);
    *skip = match && behavior == HONE__SPLIT_REMOVED;
    if (behavior == HONE__SPLIT_ISOLATED || behavior == HONE__SPLIT_REMOVED) return stop;
    while (stop < end) {
        const char *next = split_part(step, stop, end, &next_match);
        bool joined = behavior == HONE__SPLIT_TOGETHER   ? match == next_match
                      : behavior == HONE__SPLIT_PREVIOUS ? !match && next_match
                                                         : match && !next_match;
        if (!joined) break;
        stop = next;
        if (behavior != HONE__SPLIT_TOGETHER) break;
    }
    return stop;
}

static const char *step_word(const hone__bpe_step *step, const char *text, const char *end)
{
    switch (step->kind) {
    case HONE__STEP_GPT2: return gpt2_word(text, end);
    case HONE__STEP_CL100K: return cl100k_word(text, end, step->argument);
    case HONE__STEP_DIGITS: return digits_word(text, end, step->argument);
    default: return end;
    }
}

static hone_status from_step(const hone__tokenizer *t, size_t step, const char *text, size_t size, bool first,
                             hone__token_list *list);

static hone_status split(const hone__tokenizer *t, size_t at, const hone__bpe_step *step, const char *text, size_t size,
                         bool first, hone__token_list *list)
{
    bool skip;
    for (const char *end = text + size, *next; text < end; text = next, first = false) {
        next = split_word(step, text, end, &skip);
        if (!skip) HONE__TRY(from_step(t, at + 1, text, (size_t)(next - text), first, list));
    }
    return HONE_OK;
}

/* Spaces become the step's text, which may stand in front, too, and then cut before it. */
static hone_status metaspace(const hone__tokenizer *t, size_t at, const char *text, size_t size, bool first,
                             hone__token_list *list)
{
    static const hone__step_text space = {1, " "};
    const hone__bpe_step *step = &t->cut.items[at];
    const hone__step_text *meta = &step->texts[0];
    hone__text *with = &list->scratch->prefixed[at];
    bool begins = size >= meta->size && !memcmp(text, meta->bytes, meta->size);
    unsigned scheme = step->argument & ~(unsigned)HONE__META_SPLIT;
    with->size = 0;
    if (*text != ' ' && !begins && (scheme == HONE__META_ALWAYS || (scheme == HONE__META_FIRST && first)))
        HONE__TRY(hone__text_append(with, meta->bytes, meta->size));
    HONE__TRY(hone__step_replace(&space, meta->bytes, meta->size, text, size, with));
    if (!(step->argument & HONE__META_SPLIT)) return from_step(t, at + 1, with->data, with->size, first, list);
    const hone__bpe_step next = {.kind = HONE__STEP_SPLIT, .argument = HONE__SPLIT_NEXT, .texts = {*meta}};
    return split(t, at, &next, with->data, with->size, first, list);
}

static hone_status prefix(const hone__tokenizer *t, size_t at, const char *text, size_t size, bool first,
                          hone__token_list *list)
{
    hone__text *with = &list->scratch->prefixed[at];
    if (*text == ' ') return from_step(t, at + 1, text, size, first, list);
    with->size = 0;
    HONE__TRY(hone__text_append(with, " ", 1));
    HONE__TRY(hone__text_append(with, text, size));
    return from_step(t, at + 1, with->data, with->size, first, list);
}

/* `first`: this piece begins where the whole text does. */
static hone_status from_step(const hone__tokenizer *t, size_t at, const char *text, size_t size, bool first,
                             hone__token_list *list)
{
    const hone__bpe_step *step = &t->cut.items[at];
    if (at == t->cut.count) return hone__bpe_word(t, text, size, list);
    if (step->kind == HONE__STEP_PREFIX) return prefix(t, at, text, size, first, list);
    if (step->kind == HONE__STEP_METASPACE) return metaspace(t, at, text, size, first, list);
    if (step->kind == HONE__STEP_SPLIT) return split(t, at, step, text, size, first, list);
    for (const char *end = text + size, *next; text < end; text = next, first = false) {
        next = step_word(step, text, end);
        HONE__TRY(from_step(t, at + 1, text, (size_t)(next - text), first, list));
    }
    return HONE_OK;
}

hone_status hone__bpe_text(const hone__tokenizer *t, const char *text, size_t size, hone__token_list *list)
{
    return size ? from_step(t, 0, text, size, text == list->scratch->first, list) : HONE_OK;
}
