/* npy_text.c: NumPy's strings of fixed width, UTF-32 with zeros behind the end, from and to UTF-8. */
#include <string.h>

#include "base/utf8.h"
#include "tensorfile.h"

hone_status hone__npy_decode(const uint8_t *data, size_t count, size_t chars, bool swap, char *text, hone__string *out)
{
    for (size_t i = 0; i < count; i++) {
        size_t used = chars;
        const uint8_t *from = data + 4 * chars * i;
        while (used && !memcmp(from + 4 * (used - 1), "\0\0\0", 4)) used--;
        out[i] = (hone__string){text, 0};
        for (size_t k = 0; k < used; k++) {
            uint32_t c;
            memcpy(&c, from + 4 * k, 4);
            if (swap) c = c >> 24 | (c >> 8 & 0xff00) | (c << 8 & 0xff0000) | c << 24;
            if (!hone__utf8_valid(c))
                return hone__fail(HONE_E_FORMAT, "string %zu has no character %x", i, (unsigned)c);
            text += hone__utf8_put(c, text);
        }
        out[i].size = (size_t)(text - out[i].data);
    }
    return HONE_OK;
}

hone_status hone__npy_encode(const hone__string *list, size_t count, size_t *chars, uint8_t **out)
{
    size_t widest = 1, bytes;
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t n = 0;
        for (size_t k = 0; k < list[i].size; k++) n += ((uint8_t)list[i].data[k] >> 6) != 2;
        if (n > widest) widest = n;
    }
    *chars = widest;
    if (__builtin_mul_overflow(count, 4 * widest, &bytes)) return hone__out_of_memory(~0ull);
    uint8_t *wide = hone__calloc(bytes + 1, 1);
    if (!wide) return hone__out_of_memory(bytes);
    for (size_t i = 0; i < count; i++) {
        const char *p = list[i].data, *end = p + list[i].size;
        for (uint8_t *to = wide + 4 * widest * i; p < end; to += 4) {
            uint32_t c = hone__utf8_take(&p, end);
            if (c & HONE__UTF8_BAD) {
                hone__free(wide);
                return hone__fail(HONE_E_UNSUPPORTED, "string %zu is not UTF-8", i);
            }
            memcpy(to, &c, 4);
        }
    }
    *out = wide;
    return HONE_OK;
}
