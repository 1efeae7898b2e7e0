/* regex.h: regular expressions in RE2's syntax, matched from a place on in time proportional to pattern times text
 * (a set of states, no backtracking). Not known: Unicode classes (\p), \C. Case is folded by the simple mappings. */
#ifndef HONE_OPS_REGEX_H
#define HONE_OPS_REGEX_H

#include <stdbool.h>

#include "tensor/tensor.h"

typedef struct hone__regex hone__regex;

/* HONE_E_ARGUMENT with the place in the pattern where it is malformed, HONE_E_UNSUPPORTED, HONE_E_LIMIT. Lives in the
 * arena. */
hone_status hone__regex_compile(hone__string pattern, hone__arena *arena, hone__regex **out);
size_t hone__regex_scratch(const hone__regex *re); /* bytes that a match needs */
bool hone__regex_matches(const hone__regex *re, hone__string text, void *scratch);
/* Bytes of the longest match that begins at byte `from`; SIZE_MAX: none. scratch: zeroed before its first use. Adds to
 * *steps how many states it looked at. */
size_t hone__regex_longest(const hone__regex *re, hone__string text, size_t from, void *scratch, size_t *steps);

#endif
