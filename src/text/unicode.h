/* unicode.h (text): classes of code points and canonical composition. */
#ifndef HONE_TEXT_UNICODE_H
#define HONE_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    HONE__CLASS_OTHER,
    HONE__CLASS_SPACE,  /* White_Space */
    HONE__CLASS_UPPER,  /* Lu, Lt */
    HONE__CLASS_LOWER,  /* Ll */
    HONE__CLASS_LETTER, /* Lm, Lo */
    HONE__CLASS_MARK,   /* M */
    HONE__CLASS_NUMBER, /* N */
    HONE__CLASSES = 7,  /* mask */
    HONE__NFC_CARE = 8  /* NFC may change it, or join it to what stands before */
};
enum { HONE__UNICODE_LIMIT = 0x32400 };

typedef struct hone__code_range {
    uint32_t first, last;
} hone__code_range;
typedef struct hone__code_class {
    uint32_t first, last;
    uint8_t value;
} hone__code_class;

extern const uint8_t hone__unicode_index[HONE__UNICODE_LIMIT / 256];
extern const uint64_t hone__unicode_blocks[][16];
extern const uint8_t hone__ascii_classes[128];
extern const hone__code_range hone__unicode_word[];
extern const size_t hone__unicode_word_count;
extern const hone__code_class hone__nfc_classes[];
extern const size_t hone__nfc_class_count;
extern const uint32_t hone__nfc_parts[][3], hone__nfc_wholes[][3];
extern const size_t hone__nfc_part_count, hone__nfc_whole_count;

/* Class and HONE__NFC_CARE of a code point, or of HONE__UTF8_BAD | byte. */
static inline unsigned hone__unicode_flags(uint32_t c)
{
    if (c >= HONE__UNICODE_LIMIT) return c >= 0xe0100 && c <= 0xe01ef ? HONE__CLASS_MARK : HONE__CLASS_OTHER;
    return hone__unicode_blocks[hone__unicode_index[c >> 8]][c >> 4 & 15] >> (c & 15) * 4 & 15;
}
static inline unsigned hone__unicode_class(uint32_t c) { return hone__unicode_flags(c) & HONE__CLASSES; }

/* As Python's str.isspace has it. */
static inline bool hone__unicode_is_space(uint32_t c)
{
    return hone__unicode_class(c) == HONE__CLASS_SPACE || (c >= 0x1c && c <= 0x1f);
}

bool hone__unicode_is_word(uint32_t c); /* \w of regular expressions */

/* A growing array of bytes; zero-initialise, free `data` with hone__free. */
typedef struct hone__text {
    char *data;
    size_t size, capacity;
} hone__text;
hone_status hone__text_append(hone__text *text, const void *data, size_t size);

/* Appends what is valid UTF-8 as it stands, and U+FFFD for each longest beginning of a character that does not go on,
 * as Unicode 3.9 (D93b) and Python's errors="replace" have it. */
hone_status hone__text_append_valid(hone__text *text, const char *data, size_t size);

/* Without the spaces at both ends: where it begins; *size goes down. */
const char *hone__text_strip(const char *text, size_t *size);

/* True where [text, text + size) is NFC already, as far as a look at single characters tells. */
bool hone__nfc_is_plain(const char *text, size_t size);
/* Appends the canonical composition (NFC) of UTF-8 text; bytes that are no UTF-8 stay. Linear in size. */
hone_status hone__nfc_append(hone__text *out, const char *text, size_t size);

#endif
