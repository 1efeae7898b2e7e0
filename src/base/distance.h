/* distance.h: how alike two names are, for "did you mean". */
#ifndef HONE_BASE_DISTANCE_H
#define HONE_BASE_DISTANCE_H

#include <stddef.h>

/* Levenshtein distance; 48 where a name is longer than 48 bytes. */
size_t hone__edit_distance(const char *a, const char *b);

#endif
