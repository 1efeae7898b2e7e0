/* utf8.h: code points of UTF-8, which is hostile until decoded. */
#ifndef HONE_BASE_UTF8_H
#define HONE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HONE__UTF8_BAD = 0x40000000 }; /* with the byte in the low bits */

/* The next code point of [*p, end), which is not empty; HONE__UTF8_BAD | byte where the bytes are not UTF-8. */
uint32_t hone__utf8_take(const char **p, const char *end);
/* Bytes of the character at p, which is before end; 0 where there is none, with *bad: how many belong to what was
 * begun, 1 at least (Unicode 3.9, D93b). */
size_t hone__utf8_span(const char *p, const char *end, size_t *bad);
size_t hone__utf8_put(uint32_t c, char *to); /* 1 to 4 bytes; the byte itself of what was bad */
bool hone__utf8_valid(uint32_t c);           /* a code point, no surrogate */
uint32_t hone__lower(uint32_t c);
uint32_t hone__upper(uint32_t c);

#endif
