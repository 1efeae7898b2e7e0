/* base64.h (text): bytes as printable text (RFC 4648, with padding). */
#ifndef HONE_TEXT_BASE64_H
#define HONE_TEXT_BASE64_H

#include <stddef.h>
#include <stdint.h>

size_t hone__base64_write(const uint8_t *data, size_t size, char *out); /* 4 * ((size + 2) / 3) characters */
/* Bytes written to `out` (which holds 3 * size / 4), or SIZE_MAX where `text` is not base64. */
size_t hone__base64_read(const char *text, size_t size, uint8_t *out);

#endif
