/* text_valid.c: any bytes as valid UTF-8; text without the spaces around it. */
#include "base/utf8.h"
#include "unicode.h"

hone_status hone__text_append_valid(hone__text *text, const char *data, size_t size)
{
    const char *kept = data, *end = data + size; /* kept: valid, and not yet appended */
    for (const char *p = data; p < end;) {
        size_t bad, n = hone__utf8_span(p, end, &bad);
        if (!n) {
            HONE__TRY(hone__text_append(text, kept, (size_t)(p - kept)));
            HONE__TRY(hone__text_append(text, "\xef\xbf\xbd", 3));
            kept = p + bad;
        }
        p += n ? n : bad;
    }
    return hone__text_append(text, kept, (size_t)(end - kept));
}

const char *hone__text_strip(const char *text, size_t *size)
{
    const char *end = text + *size, *first = NULL, *last = text;
    for (const char *p = text; p < end;) {
        const char *at = p;
        if (hone__unicode_is_space(hone__utf8_take(&p, end))) continue;
        if (!first) first = at;
        last = p;
    }
    *size = first ? (size_t)(last - first) : 0;
    return first ? first : text;
}
