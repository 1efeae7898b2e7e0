/* text_valid.c: any bytes as valid UTF-8. */
#include "unicode.h"

/* How many more bytes the character that begins with `lead` has, and what the first of them may be; 0: none begins so.
 */
static size_t tail_of(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    *high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) return 1;
    if (lead >= 0xe0 && lead <= 0xef) return 2;
    return lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
}

/* Bytes of the character at p, or of what there is of it; *whole: it is one. */
static size_t take(const unsigned char *p, size_t n, bool *whole)
{
    unsigned char low, high;
    size_t tail = tail_of(*p, &low, &high), got = 0;
    *whole = *p < 0x80;
    while (got < tail && 1 + got < n && p[1 + got] >= low && p[1 + got] <= high) {
        got++;
        low = 0x80, high = 0xbf;
    }
    if (tail) *whole = got == tail;
    return 1 + got;
}

hone_status hone__text_append_valid(hone__text *text, const char *data, size_t size)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t kept = 0; /* bytes in front of `at` that are valid and not yet appended begin here */
    for (size_t at = 0; at < size;) {
        bool whole;
        size_t n = take(p + at, size - at, &whole);
        if (!whole) {
            HONE__TRY(hone__text_append(text, data + kept, at - kept));
            HONE__TRY(hone__text_append(text, "\xef\xbf\xbd", 3));
            kept = at + n;
        }
        at += n;
    }
    return hone__text_append(text, data + kept, size - kept);
}
