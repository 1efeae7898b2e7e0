/* base64.c: bytes as printable text and back. */
#include "base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t hone__base64_write(const uint8_t *data, size_t size, char *out)
{
    size_t to = 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t v = (uint32_t)data[i] << 16;
        if (i + 1 < size) v |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < size) v |= data[i + 2];
        out[to++] = digits[v >> 18];
        out[to++] = digits[v >> 12 & 63];
        out[to++] = i + 1 < size ? digits[v >> 6 & 63] : '=';
        out[to++] = i + 2 < size ? digits[v & 63] : '=';
    }
    return to;
}

static void values_of_digits(uint8_t values[256])
{
    for (int i = 0; i < 256; i++) values[i] = 0xff;
    for (int i = 0; i < 64; i++) values[(uint8_t)digits[i]] = (uint8_t)i;
}

size_t hone__base64_read(const char *text, size_t size, uint8_t *out)
{
    uint8_t values[256];
    size_t to = 0, pad = 0;
    values_of_digits(values);
    while (pad < 2 && size && text[size - 1] == '=') size--, pad++;
    if ((size + pad) % 4) return SIZE_MAX;
    for (size_t i = 0; i < size; i += 4) {
        uint32_t v = 0, wrong = 0;
        size_t n = size - i < 4 ? size - i : 4;
        for (size_t k = 0; k < n; k++) {
            uint8_t d = values[(uint8_t)text[i + k]];
            wrong |= d;
            v |= (uint32_t)d << (18 - 6 * k);
        }
        if (wrong > 63) return SIZE_MAX;
        out[to++] = (uint8_t)(v >> 16);
        if (n > 2) out[to++] = (uint8_t)(v >> 8);
        if (n > 3) out[to++] = (uint8_t)v;
    }
    return to;
}
