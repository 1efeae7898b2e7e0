/* nfc.c: canonical composition (Unicode Standard Annex 15), linear in the text, and classes found by searching. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/utf8.h"
#include "unicode.h"

enum { S = 0xac00, L = 0x1100, V = 0x1161, T = 0x11a7, LS = 19, VS = 21, TS = 28, NS = VS * TS }; /* Hangul syllables */

typedef struct mark {
    uint32_t c;
    uint8_t order; /* canonical combining class */
} mark;

typedef struct marks { /* one starter and what may join it */
    mark *items, *sorted;
    size_t count, capacity, sorted_capacity;
} marks;

bool hone__unicode_is_word(uint32_t c)
{
    unsigned class = hone__unicode_class(c);
    if (class >= HONE__CLASS_UPPER && class <= HONE__CLASS_MARK) return true;
    size_t low = 0, high = hone__unicode_word_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (hone__unicode_word[mid].last < c)
            low = mid + 1;
        else
            high = mid;
    }
    return low < hone__unicode_word_count && hone__unicode_word[low].first <= c;
}

static uint8_t order_of(uint32_t c)
{
    size_t low = 0, high = hone__nfc_class_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (hone__nfc_classes[mid].last < c)
            low = mid + 1;
        else
            high = mid;
    }
    return low < hone__nfc_class_count && hone__nfc_classes[low].first <= c ? hone__nfc_classes[low].value : 0;
}

/* The row of `table` that starts with a (and b, where `keys` is 2). */
static const uint32_t *find_row(const uint32_t (*table)[3], size_t count, int keys, uint32_t a, uint32_t b)
{
    uint64_t want = keys == 2 ? (uint64_t)a << 32 | b : a;
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        uint64_t is = keys == 2 ? (uint64_t)table[mid][0] << 32 | table[mid][1] : table[mid][0];
        if (is == want) return table[mid];
        if (is < want)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static uint32_t join(uint32_t a, uint32_t b)
{
    if (a - L < LS && b - V < VS) return S + ((a - L) * VS + (b - V)) * TS;
    if (a - S < LS * NS && (a - S) % TS == 0 && b - T - 1 < TS - 1) return a + (b - T);
    const uint32_t *row = find_row(hone__nfc_wholes, hone__nfc_whole_count, 2, a, b);
    return row ? row[2] : 0;
}

static hone_status push(marks *m, uint32_t c)
{
    HONE__TRY(hone__grow(&m->items, &m->capacity, m->count, sizeof *m->items));
    m->items[m->count++] = (mark){c, order_of(c)};
    return HONE_OK;
}

static hone_status push_parts(marks *m, uint32_t c)
{
    if (c - S < LS * NS) {
        HONE__TRY(push(m, L + (c - S) / NS));
        HONE__TRY(push(m, V + (c - S) % NS / TS));
        return (c - S) % TS ? push(m, T + (c - S) % TS) : HONE_OK;
    }
    uint32_t seconds[8]; /* decompositions are at most 4 deep */
    size_t depth = 0;
    const uint32_t *row;
    while (depth < 8 && (row = find_row(hone__nfc_parts, hone__nfc_part_count, 1, c, 0))) {
        c = row[1];
        if (row[2]) seconds[depth++] = row[2];
    }
    HONE__TRY(push(m, c));
    while (depth) HONE__TRY(push(m, seconds[--depth]));
    return HONE_OK;
}

/* Sorts each run of marks by order, keeping equal ones as they are: counting, so long runs cost no more per mark. */
static hone_status sort_marks(marks *m)
{
    for (size_t i = 0, end; i < m->count; i = end) {
        bool sorted = true;
        end = i + 1;
        if (!m->items[i].order) continue;
        for (; end < m->count && m->items[end].order; end++)
            if (m->items[end].order < m->items[end - 1].order) sorted = false;
        if (sorted) continue;
        size_t starts[257] = {0};
        HONE__TRY(hone__grow(&m->sorted, &m->sorted_capacity, end - i, sizeof *m->sorted));
        for (size_t k = i; k < end; k++) starts[m->items[k].order + 1]++;
        for (size_t k = 1; k < 257; k++) starts[k] += starts[k - 1];
        for (size_t k = i; k < end; k++) m->sorted[starts[m->items[k].order]++] = m->items[k];
        memcpy(m->items + i, m->sorted, (end - i) * sizeof *m->items);
    }
    return HONE_OK;
}

/* Joins what can be joined, writes the rest, empties m. */
static hone_status flush(marks *m, hone__text *out)
{
    HONE__TRY(sort_marks(m));
    size_t kept = 0, starter = SIZE_MAX;
    for (size_t i = 0; i < m->count; i++) {
        mark now = m->items[i];
        uint8_t before = kept && starter != SIZE_MAX && kept - 1 > starter ? m->items[kept - 1].order : 0;
        bool adjacent = starter != SIZE_MAX && kept - 1 == starter;
        if (starter != SIZE_MAX && (adjacent || (before && before < now.order))) {
            uint32_t whole = join(m->items[starter].c, now.c);
            if (whole) {
                m->items[starter].c = whole;
                continue;
            }
        }
        if (!now.order) starter = kept;
        m->items[kept++] = now;
    }
    HONE__TRY(hone__grow(&out->data, &out->capacity, out->size + 4 * kept, sizeof *out->data));
    for (size_t i = 0; i < kept; i++) out->size += hone__utf8_put(m->items[i].c, out->data + out->size);
    m->count = 0;
    return HONE_OK;
}

static bool needs_care(const char *at, const char *end)
{
    return (uint8_t)*at >= 0xcc && hone__unicode_flags(hone__utf8_take(&at, end)) & HONE__NFC_CARE; /* U+0300 and on */
}

/* The first character in [text, end) that needs care, or end. */
static const char *find_care(const char *text, const char *end)
{
    while (text < end) {
        const char *at = text;
        if ((uint8_t)*text < 0xcc) { /* below U+0300 nothing joins */
            text++;
            continue;
        }
        if (hone__unicode_flags(hone__utf8_take(&text, end)) & HONE__NFC_CARE) return at;
    }
    return end;
}

bool hone__nfc_is_plain(const char *text, size_t size) { return find_care(text, text + size) == text + size; }

/* The start of the character before `at`, not before `least`. */
static const char *character_before(const char *least, const char *at)
{
    const char *from = at - 1, *p;
    while (from > least && at - from < 4 && ((uint8_t)*from & 0xc0) == 0x80) from--;
    p = from;
    return hone__utf8_take(&p, at) < HONE__UTF8_BAD && p == at ? from : at - 1;
}

/* A character and those behind it that need care, composed; *text moves behind them. */
static hone_status compose(marks *m, const char **text, const char *end, hone__text *out)
{
    do {
        HONE__TRY(push_parts(m, hone__utf8_take(text, end)));
    } while (*text < end && needs_care(*text, end));
    return flush(m, out);
}

hone_status hone__nfc_append(hone__text *out, const char *text, size_t size)
{
    marks m = {0};
    hone_status status = HONE_OK;
    const char *end = text + size, *care;
    while ((care = find_care(text, end)) < end && status == HONE_OK) {
        const char *from = care > text ? character_before(text, care) : care;
        status = hone__text_append(out, text, (size_t)(from - text));
        text = from;
        if (status == HONE_OK) status = compose(&m, &text, end, out);
    }
    if (status == HONE_OK) status = hone__text_append(out, text, (size_t)(end - text));
    hone__free(m.items);
    hone__free(m.sorted);
    return status;
}

hone_status hone__text_append(hone__text *text, const void *data, size_t size)
{
    size_t whole;
    if (!hone__add_size(text->size, size, &whole)) return hone__out_of_memory(~0ull);
    HONE__TRY(hone__grow(&text->data, &text->capacity, whole, sizeof *text->data));
    if (size) memcpy(text->data + text->size, data, size);
    text->size += size;
    return HONE_OK;
}
