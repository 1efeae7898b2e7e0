/* wer.h: how far a text is from what it should be: word and character error rates. */
#ifndef HONE_MEASURE_WER_H
#define HONE_MEASURE_WER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* The fewest edits that make the reference of the text; units: words, or characters, of the reference. */
typedef struct hone__errors {
    size_t substitutions, deletions, insertions, units;
} hone__errors;

/* Counts, on top of what *errors holds, after both texts are normalised: for English, or, where english is false, for
 * any language (normalise.h). characters: single ones count instead of words, with one space between words. Among ways
 * with as few edits the one with the most substitutions counts. Time and memory grow with the product and the sum of
 * the lengths. */
hone_status hone__errors_count(const char *reference, const char *text, bool english, bool characters,
                               hone__errors *errors);

/* Edits per unit; above 1 where there are more edits than units; 0 of nothing. */
double hone__errors_rate(const hone__errors *errors);

#endif
