/* normalise.c: BasicTextNormalizer, and text as code points on the way through steps. */
#include "normalise.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "normalise_parts.h"

void hone__wide_put(hone__wide *w, uint32_t c)
{
    if (w->failed || hone__grow(&w->c, &w->room, w->n, sizeof *w->c) != HONE_OK)
        w->failed = true;
    else
        w->c[w->n++] = c;
}

void hone__wide_add(hone__wide *w, const uint32_t *c, size_t n)
{
    for (size_t i = 0; i < n; i++) hone__wide_put(w, c[i]);
}

void hone__wide_puts(hone__wide *w, const char *ascii)
{
    while (*ascii) hone__wide_put(w, (unsigned char)*ascii++);
}

size_t hone__wide_match(const hone__wide *w, size_t at, const char *ascii)
{
    size_t n = 0;
    for (; ascii[n]; n++)
        if (at + n >= w->n || w->c[at + n] != (unsigned char)ascii[n]) return 0;
    return n;
}

/* \w of Python: letters, numbers and _, no marks. */
static bool is_word(uint32_t c)
{
    unsigned k = hone__unicode_class(c);
    return c == '_' || k == HONE__CLASS_UPPER || k == HONE__CLASS_LOWER || k == HONE__CLASS_LETTER ||
           k == HONE__CLASS_NUMBER;
}

bool hone__wide_boundary(const hone__wide *w, size_t at)
{
    bool before = at && is_word(w->c[at - 1]), after = at < w->n && is_word(w->c[at]);
    return before != after;
}

size_t hone__wide_skip_spaces(const hone__wide *w, size_t at)
{
    while (at < w->n && hone__unicode_is_space(w->c[at])) at++;
    return at;
}

size_t hone__wide_skip_word(const hone__wide *w, size_t at)
{
    while (at < w->n && !hone__unicode_is_space(w->c[at])) at++;
    return at;
}

static void read_text(const char *text, size_t size, hone__wide *out)
{
    for (const char *p = text, *end = text + size; p < end;) {
        uint32_t c = hone__utf8_take(&p, end);
        hone__wide_put(out, c & HONE__UTF8_BAD ? 0xfffd : c);
    }
}

static hone_status write_text(const hone__wide *w, hone__text *out)
{
    char bytes[4];
    if (w->failed) return hone__out_of_memory(w->n * sizeof *w->c);
    for (size_t i = 0; i < w->n; i++) HONE__TRY(hone__text_append(out, bytes, hone__utf8_put(w->c[i], bytes)));
    return HONE_OK;
}

void hone__wide_steps(hone__wide *w, hone__wide_step *const *steps, size_t count)
{
    hone__wide to = {0};
    for (size_t i = 0; i < count && !w->failed; i++) {
        to.n = 0;
        steps[i](w, &to);
        const hone__wide swap = *w;
        *w = to;
        to = swap;
    }
    hone__free(to.c);
}

static hone_status run(const char *text, size_t size, hone__wide_step *const *steps, size_t count, hone__wide *result)
{
    *result = (hone__wide){0};
    read_text(text, size, result);
    hone__wide_steps(result, steps, count);
    return result->failed ? hone__out_of_memory(result->n * sizeof *result->c) : HONE_OK;
}

hone_status hone__wide_run(const char *text, size_t size, hone__wide_step *const *steps, size_t count, hone__text *out)
{
    hone__wide w;
    hone_status s = run(text, size, steps, count, &w);
    if (s == HONE_OK) s = write_text(&w, out);
    hone__free(w.c);
    return s;
}

void hone__wide_lower(const hone__wide *in, hone__wide *out)
{
    enum { I_WITH_DOT = 0x130, DOT = 0x307 }; /* the one letter that becomes two */
    for (size_t i = 0; i < in->n; i++) {
        hone__wide_put(out, in->c[i] == I_WITH_DOT ? 'i' : hone__lower(in->c[i]));
        if (in->c[i] == I_WITH_DOT) hone__wide_put(out, DOT);
    }
}

/* The place behind a pair of brackets that opens at `at`, of one of `close` for one of `open`; 0: there is none. */
static size_t bracketed(const hone__wide *in, size_t at, const char *open, const char *close, size_t least)
{
    if (in->c[at] > 0x7f || !in->c[at] || !strchr(open, (int)in->c[at])) return 0;
    for (size_t i = at + 1; i < in->n; i++)
        if (in->c[i] && in->c[i] < 0x80 && strchr(close, (int)in->c[i])) return i - at - 1 >= least ? i + 1 : 0;
    return 0;
}

/* Each opening looks for its end once: where the last one found none, the next will not either. */
static void drop(const hone__wide *in, hone__wide *out, const char *open, const char *close, size_t least)
{
    size_t last = 0; /* of the closing ones */
    for (size_t i = 0; i < in->n; i++)
        if (in->c[i] && in->c[i] < 0x80 && strchr(close, (int)in->c[i])) last = i;
    for (size_t i = 0; i < in->n;) {
        size_t end = i < last ? bracketed(in, i, open, close, least) : 0;
        if (!end) hone__wide_put(out, in->c[i]);
        i = end ? end : i + 1;
    }
}

void hone__wide_drop_brackets(const hone__wide *in, hone__wide *out) { drop(in, out, "<[", ">]", 0); }
void hone__wide_drop_parentheses(const hone__wide *in, hone__wide *out) { drop(in, out, "(", ")", 1); }

void hone__wide_one_space(const hone__wide *in, hone__wide *out)
{
    for (size_t i = 0; i < in->n;) {
        size_t end = hone__wide_skip_spaces(in, i);
        hone__wide_put(out, end > i ? ' ' : in->c[i]);
        i = end > i ? end : i + 1;
    }
}

static void decompose(uint32_t c, hone__wide *out)
{
    enum { FIRST = 0xac00, LAST = 0xd7a3, L = 0x1100, V = 0x1161, T = 0x11a7, VT = 588, TS = 28 };
    size_t low = 0, high = hone__decomposition_count;
    if (c >= FIRST && c <= LAST) { /* Hangul */
        hone__wide_put(out, L + (c - FIRST) / VT);
        hone__wide_put(out, V + (c - FIRST) % VT / TS);
        if ((c - FIRST) % TS) hone__wide_put(out, T + (c - FIRST) % TS);
        return;
    }
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (hone__decompositions[middle].c < c)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < hone__decomposition_count && hone__decompositions[low].c == c)
        hone__wide_add(out, hone__decomposed + hone__decompositions[low].begin, hone__decompositions[low].count);
    else
        hone__wide_put(out, c);
}

void hone__wide_decompose(const hone__wide *in, hone__wide *out)
{
    for (size_t i = 0; i < in->n; i++) decompose(in->c[i], out);
}

int hone__wide_kind(uint32_t c)
{
    size_t low = 0, high = hone__symbol_range_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (hone__symbol_ranges[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == hone__symbol_range_count || hone__symbol_ranges[low].first > c) return 0;
    return hone__symbol_ranges[low].mark ? 'M' : 'S';
}

static void compose(const hone__wide *in, hone__wide *out)
{
    hone__text text = {0}, whole = {0};
    hone_status s = write_text(in, &text);
    if (s == HONE_OK && text.size) s = hone__nfc_append(&whole, text.data, text.size);
    if (s == HONE_OK) read_text(whole.data, whole.size, out);
    out->failed |= s != HONE_OK;
    hone__free(text.data);
    hone__free(whole.data);
}

static void drop_symbols(const hone__wide *in, hone__wide *out)
{
    for (size_t i = 0; i < in->n; i++) hone__wide_put(out, hone__wide_kind(in->c[i]) ? ' ' : in->c[i]);
}

hone_status hone__normalise_basic(const char *text, size_t size, hone__text *out)
{
    static hone__wide_step *const steps[] = {
        hone__wide_lower, hone__wide_drop_brackets, hone__wide_drop_parentheses, hone__wide_decompose, compose,
        drop_symbols,     hone__wide_lower,         hone__wide_one_space};
    return hone__wide_run(text, size, steps, sizeof steps / sizeof *steps, out);
}
