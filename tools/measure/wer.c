/* wer.c: Levenshtein's distance, a row at a time, with the kinds of edits carried along. */
#include "wer.h"

#include <string.h>

#include "base/alloc.h"
#include "normalise.h"

/* A unit: bytes of a text. */
typedef struct unit {
    const char *text;
    size_t size;
} unit;

typedef struct units {
    unit *list;
    size_t count, room;
} units;

static hone_status add(units *u, const char *text, size_t size)
{
    HONE__TRY(hone__grow(&u->list, &u->room, u->count, sizeof *u->list));
    u->list[u->count++] = (unit){text, size};
    return HONE_OK;
}

/* Normalised text has single spaces, and perhaps one at either end. */
static hone_status split(const hone__text *text, bool characters, units *out)
{
    const char *p = text->data, *end = p + text->size;
    while (p < end && *p == ' ') p++;
    while (end > p && end[-1] == ' ') end--;
    while (p < end) {
        size_t n = 1;
        if (characters)
            while (p + n < end && ((unsigned char)p[n] & 0xc0) == 0x80) n++;
        else
            while (p + n < end && p[n] != ' ') n++;
        HONE__TRY(add(out, p, n));
        p += n;
        if (!characters && p < end) p++;
    }
    return HONE_OK;
}

static bool same(unit a, unit b) { return a.size == b.size && !memcmp(a.text, b.text, a.size); }

typedef struct cell {
    size_t substitutions, deletions, insertions;
} cell;

static size_t edits(const cell *c) { return c->substitutions + c->deletions + c->insertions; }

static cell cheapest(const cell *diagonal, const cell *above, const cell *left, bool equal)
{
    cell swap = *diagonal, drop = *above, insert = *left;
    swap.substitutions += !equal;
    drop.deletions++;
    insert.insertions++;
    cell best = edits(&drop) <= edits(&insert) ? drop : insert;
    return edits(&swap) <= edits(&best) ? swap : best;
}

static hone_status align(const units *reference, const units *text, hone__errors *errors)
{
    cell *row = hone__calloc(text->count + 1, sizeof *row);
    if (!row) return hone__out_of_memory((text->count + 1) * sizeof *row);
    for (size_t k = 0; k <= text->count; k++) row[k].insertions = k;
    for (size_t i = 0; i < reference->count; i++) {
        cell diagonal = row[0];
        row[0].deletions++;
        for (size_t k = 0; k < text->count; k++) {
            cell above = row[k + 1];
            row[k + 1] = cheapest(&diagonal, &above, &row[k], same(reference->list[i], text->list[k]));
            diagonal = above;
        }
    }
    errors->substitutions += row[text->count].substitutions;
    errors->deletions += row[text->count].deletions;
    errors->insertions += row[text->count].insertions;
    errors->units += reference->count;
    hone__free(row);
    return HONE_OK;
}

hone_status hone__errors_count(const char *reference, const char *text, bool english, bool characters,
                               hone__errors *errors)
{
    hone_status (*normalise)(const char *, size_t, hone__text *) =
        english ? hone__normalise_english : hone__normalise_basic;
    hone__text clean[2] = {{0}};
    units parts[2] = {{0}};
    hone_status s = normalise(reference, strlen(reference), &clean[0]);
    if (s == HONE_OK) s = normalise(text, strlen(text), &clean[1]);
    for (int i = 0; s == HONE_OK && i < 2; i++)
        if (clean[i].size) s = split(&clean[i], characters, &parts[i]);
    if (s == HONE_OK) s = align(&parts[0], &parts[1], errors);
    for (int i = 0; i < 2; i++) {
        hone__free(clean[i].data);
        hone__free(parts[i].list);
    }
    return s;
}

double hone__errors_rate(const hone__errors *e)
{
    size_t edits = e->substitutions + e->deletions + e->insertions;
    return e->units ? (double)edits / (double)e->units : edits ? 1 : 0;
}
