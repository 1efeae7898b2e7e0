/* npy_text.c: NumPy's strings of fixed width, UTF-32 with zeros behind the end, from and to UTF-8. */
#include <string.h>

#include "tensorfile.h"

enum { LAST = 0x10ffff, SURROGATES = 0xd800, SURROGATES_END = 0xe000 };

static bool valid(uint32_t c) { return c <= LAST && (c < SURROGATES || c >= SURROGATES_END); }

static size_t put_utf8(uint32_t c, char *to)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) to[i] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)((0xf00 >> n & 0xf0) | c);
    return n;
}

/* One code point of [p, end); false where the bytes are not UTF-8. */
static bool take_utf8(const uint8_t **p, const uint8_t *end, uint32_t *c)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t b = *(*p)++;
    size_t n = b < 0x80 ? 1 : b >> 5 == 6 ? 2 : b >> 4 == 14 ? 3 : b >> 3 == 30 ? 4 : 0;
    *c = n < 2 ? b : b & (0x7fu >> n);
    if (!n || (size_t)(end - *p) < n - 1) return false;
    for (size_t i = 1; i < n; i++, (*p)++) {
        if (**p >> 6 != 2) return false;
        *c = *c << 6 | (**p & 0x3f);
    }
    return *c >= least[n] && valid(*c);
}

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
            if (!valid(c)) return hone__fail(HONE_E_FORMAT, "string %zu has no character %x", i, (unsigned)c);
            text += put_utf8(c, text);
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
        const uint8_t *p = (const uint8_t *)list[i].data, *end = p + list[i].size;
        for (uint8_t *to = wide + 4 * widest * i; p < end; to += 4) {
            uint32_t c;
            if (!take_utf8(&p, end, &c)) {
                hone__free(wide);
                return hone__fail(HONE_E_UNSUPPORTED, "string %zu is not UTF-8", i);
            }
            memcpy(to, &c, 4);
        }
    }
    *out = wide;
    return HONE_OK;
}
