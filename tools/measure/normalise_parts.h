/* normalise_parts.h: text as code points, and what the steps of normalisation share. */
#ifndef HONE_MEASURE_NORMALISE_PARTS_H
#define HONE_MEASURE_NORMALISE_PARTS_H

#include "normalise.h"

/* Grows at the end; zero-initialise, free `c` with hone__free. Once memory has run out nothing is added any more. */
typedef struct hone__wide {
    uint32_t *c;
    size_t n, room;
    bool failed;
} hone__wide;

void hone__wide_put(hone__wide *w, uint32_t c);
void hone__wide_add(hone__wide *w, const uint32_t *c, size_t n);
void hone__wide_puts(hone__wide *w, const char *ascii);
/* Length of `ascii` where it stands at `at`, else 0. */
size_t hone__wide_match(const hone__wide *w, size_t at, const char *ascii);
/* \b of regular expressions in front of `at`. */
bool hone__wide_boundary(const hone__wide *w, size_t at);
/* Where the spaces from `at` on end, and where the other characters do. */
size_t hone__wide_skip_spaces(const hone__wide *w, size_t at);
size_t hone__wide_skip_word(const hone__wide *w, size_t at);

static inline bool hone__wide_digit(const hone__wide *w, size_t at)
{
    return at < w->n && w->c[at] >= '0' && w->c[at] <= '9';
}

/* A step reads one text and appends to another. */
typedef void hone__wide_step(const hone__wide *in, hone__wide *out);
hone__wide_step hone__wide_lower, hone__wide_one_space, hone__wide_decompose; /* the last: NFKD, marks not in order */
hone__wide_step hone__wide_drop_brackets, hone__wide_drop_parentheses;        /* with what is in them */
hone__wide_step hone__wide_numbers, hone__wide_spelling;
/* 0: a letter, a number or a space; 'M': category Mn; 'S': another mark, a symbol or punctuation. */
int hone__wide_kind(uint32_t c);
/* What the steps make of w, one after the other, in its place. */
void hone__wide_steps(hone__wide *w, hone__wide_step *const *steps, size_t count);
/* UTF-8 through steps. */
hone_status hone__wide_run(const char *text, size_t size, hone__wide_step *const *steps, size_t count, hone__text *out);

typedef struct hone__symbol_range {
    uint32_t first, last;
    uint8_t mark; /* Mn */
} hone__symbol_range;
typedef struct hone__decomposition {
    uint32_t c;
    uint16_t begin, count;
} hone__decomposition;
extern const hone__symbol_range hone__symbol_ranges[];
extern const hone__decomposition hone__decompositions[];
extern const uint32_t hone__decomposed[];
extern const char *const hone__spellings[][2];
extern const size_t hone__symbol_range_count, hone__decomposition_count, hone__spelling_count;

#endif
