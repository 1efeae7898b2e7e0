/* deflate_size.h: how far a text packs, by which openai-whisper tells texts that go round in circles. */
#ifndef HONE_TEXT_DEFLATE_SIZE_H
#define HONE_TEXT_DEFLATE_SIZE_H

#include <stddef.h>

#include "base/status.h"

/* *packed: bytes of the zlib stream (RFC 1950) that zlib 1.x makes of the text at its default level, 6, from one call:
 * exactly len(zlib.compress(text)) in Python. Takes 0.6 MB while it runs; HONE_E_MEMORY where there is none. */
hone_status hone__deflate_size(const char *text, size_t size, size_t *packed);

#endif
