/* npy.c: NumPy's array file (numpy.lib.format): magic, version, header as a Python literal, data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "tensorfile.h"

static const struct {
    const char *code; /* kind and size */
    hone_dtype dtype;
} codes[] = {
    {"f4", HONE_F32}, {"f8", HONE_F64},  {"f2", HONE_F16}, {"i1", HONE_I8},    {"i2", HONE_I16},
    {"i4", HONE_I32}, {"i8", HONE_I64},  {"u1", HONE_U8},  {"u2", HONE_U16},   {"u4", HONE_U32},
    {"u8", HONE_U64}, {"b1", HONE_BOOL}, {"c8", HONE_C64}, {"c16", HONE_C128},
};
enum { CODES = sizeof codes / sizeof *codes, EMPTY_MAX = 1 << 20 };

typedef struct header {
    hone_dtype dtype;
    bool swap, fortran;
    size_t chars; /* of each HONE_STRING, in UTF-32 */
    int rank;
    int64_t dims[HONE_MAX_RANK];
} header;

/* The text behind 'key': in the header, or NULL. */
static const char *field(const char *text, const char *key)
{
    const char *p = strstr(text, key);
    if (!p) return NULL;
    p = strchr(p, ':');
    return p ? p + 1 + strspn(p + 1, " ") : NULL;
}

static hone_status parse_descr(const char *p, header *h, const char *name)
{
    char code[8] = "";
    if (!p || (*p != '\'' && *p != '"') || !p[1] || !p[2])
        return hone__fail(HONE_E_FORMAT, "%s: the header has no element type", name);
    char order = p[1];
    if (p[2] == 'U' && sscanf(p + 3, "%9zu", &h->chars) == 1)
        h->dtype = HONE_STRING; /* NumPy itself writes no width of 0, but reads it */
    else
        sscanf(p + 2, "%7[a-z0-9]", code);
    for (int i = 0; i < CODES; i++)
        if (!strcmp(codes[i].code, code)) h->dtype = codes[i].dtype;
    if (!h->dtype || !strchr("<>|=", order))
        return hone__fail(HONE_E_UNSUPPORTED, "%s: element type '%.*s'; numbers, bool and str (U) are read", name,
                          (int)strcspn(p + 1, "'\"") < 12 ? (int)strcspn(p + 1, "'\"") : 12, p + 1);
    h->swap = order == '>';
    return HONE_OK;
}

static hone_status parse_shape(const char *p, header *h, const char *name)
{
    if (!p || *p != '(') return hone__fail(HONE_E_FORMAT, "%s: the header has no shape", name);
    for (p++; *p != ')';) {
        char *end;
        long long v = strtoll(p, &end, 10);
        if (end == p || v < 0 || v > (1LL << 60)) return hone__fail(HONE_E_FORMAT, "%s: the shape is malformed", name);
        if (h->rank == HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "%s: rank over %d", name, HONE_MAX_RANK);
        h->dims[h->rank++] = v;
        p = end + strspn(end, " L");
        if (*p == ',')
            p += 1 + strspn(p + 1, " ");
        else if (*p != ')')
            return hone__fail(HONE_E_FORMAT, "%s: the shape is malformed", name);
    }
    return HONE_OK;
}

static void reverse_bytes(uint8_t *p, size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++, p += size)
        for (size_t k = 0; k < size / 2; k++) {
            uint8_t t = p[k];
            p[k] = p[size - 1 - k];
            p[size - 1 - k] = t;
        }
}

/* Column-major file order into row-major. */
static void from_fortran(const uint8_t *from, uint8_t *to, size_t size, const header *h, size_t count)
{
    int64_t at[HONE_MAX_RANK] = {0};
    for (size_t i = 0; i < count; i++, from += size) {
        size_t k = 0;
        for (int a = 0; a < h->rank; a++) k = k * (size_t)h->dims[a] + (size_t)at[a];
        memcpy(to + k * size, from, size);
        for (int a = 0; a < h->rank && ++at[a] == h->dims[a]; a++) at[a] = 0;
    }
}

static hone_status read_strings(const uint8_t *data, const header *h, size_t count, const char *name, hone__tensor *out)
{
    hone__string *list = hone__calloc(2 * count + 1, sizeof *list), *ordered = list + count;
    char *text = hone__malloc(4 * h->chars * count + 1);
    hone_status s = list && text ? HONE_OK : hone__out_of_memory(4 * h->chars * count);
    if (count && !h->chars) data = (const uint8_t *)"";
    if (s == HONE_OK) s = hone__npy_decode(data, count, h->chars, h->swap, text, list);
    if (s == HONE_OK && h->fortran && h->rank > 1)
        from_fortran((const uint8_t *)list, (uint8_t *)ordered, sizeof *list, h, count);
    else
        ordered = list;
    if (s == HONE_OK) s = hone__tensor_strings(h->rank, h->dims, ordered, out);
    hone__free(text);
    hone__free(list);
    return s == HONE_OK ? s : hone__at(s, "%s", name);
}

hone_status hone__npy_parse(const uint8_t *data, size_t size, const char *name, uint64_t most, hone__tensor *out)
{
    *out = (hone__tensor){0};
    if (size < 10 || memcmp(data, "\x93NUMPY", 6)) return hone__fail(HONE_E_FORMAT, "%s: is not a .npy file", name);
    size_t start = data[6] == 1 ? 10 : 12, length = data[8] | (size_t)data[9] << 8;
    if (data[6] > 1 && size >= 12) length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (data[6] < 1 || data[6] > 3 || start > size || length > size - start || length > 1 << 16)
        return hone__fail(HONE_E_FORMAT, "%s: byte 6: the .npy header is malformed", name);
    char *text = hone__strndup((const char *)data + start, length);
    if (!text) return hone__out_of_memory(length);
    header h = {0};
    const char *order = field(text, "'fortran_order'");
    hone_status s = parse_descr(field(text, "'descr'"), &h, name);
    if (s == HONE_OK) s = parse_shape(field(text, "'shape'"), &h, name);
    h.fortran = order && !strncmp(order, "True", 4);
    hone__free(text);
    HONE__TRY(s);
    size_t count, bytes, at = start + length;
    s = hone__shape_bytes(h.dtype, h.rank, h.dims, &count, &bytes);
    if (s == HONE_OK && h.dtype == HONE_STRING && !hone__mul_size(count, 4 * h.chars, &bytes))
        s = hone__fail(HONE_E_LIMIT, "strings of over 2^64 bytes");
    if (s != HONE_OK) return hone__at(s, "%s", name);
    if (h.dtype == HONE_STRING && !h.chars && count > EMPTY_MAX)
        return hone__fail(HONE_E_LIMIT, "%s: %zu empty strings", name, count);
    if (size - at < bytes)
        return hone__fail(HONE_E_FORMAT, "%s: is cut off: %zu bytes of data, the shape needs %zu", name, size - at,
                          bytes);
    size_t strings = h.dtype == HONE_STRING ? count * sizeof(hone__string) : 0; /* they stand beside their bytes */
    if (bytes > most || strings > most - bytes)
        return hone__fail(HONE_E_LIMIT, "%s: the array takes %zu bytes, at most %llu more are allowed", name,
                          bytes + strings, (unsigned long long)most);
    if (h.dtype == HONE_STRING) return read_strings(data + at, &h, count, name, out);
    HONE__TRY(hone__tensor_new(h.dtype, h.rank, h.dims, out));
    uint8_t *to = hone__tensor_write(out);
    size_t each = hone__dtype_size(h.dtype);
    if (h.fortran && h.rank > 1)
        from_fortran(data + at, to, each, &h, count);
    else if (bytes)
        memcpy(to, data + at, bytes);
    if (h.swap) {
        bool complex_type = h.dtype == HONE_C64 || h.dtype == HONE_C128;
        reverse_bytes(to, complex_type ? each / 2 : each, complex_type ? 2 * count : count);
    }
    return HONE_OK;
}

hone_status hone__npy_write(const char *path, hone_dtype dtype, int rank, const int64_t *dims, const void *data,
                            size_t bytes)
{
    const char *code = NULL;
    char text[512], width[24];
    uint8_t *wide = NULL;
    if (dtype == HONE_STRING) {
        size_t chars;
        hone_status st = hone__npy_encode(data, bytes / sizeof(hone__string), &chars, &wide);
        if (st != HONE_OK) return hone__at(st, "%s", path);
        snprintf(width, sizeof width, "U%zu", chars);
        code = width;
        data = wide;
        bytes = bytes / sizeof(hone__string) * chars * 4;
    }
    for (int i = 0; i < CODES; i++)
        if (codes[i].dtype == dtype) code = codes[i].code;
    if (!code) return hone__fail(HONE_E_UNSUPPORTED, "%s: NumPy has no %s", path, hone_dtype_name(dtype));
    bool single = dtype == HONE_BOOL || dtype == HONE_U8 || dtype == HONE_I8;
    int n =
        snprintf(text, sizeof text, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", single ? '|' : '<', code);
    for (int i = 0; i < rank; i++) n += snprintf(text + n, sizeof text - (size_t)n, "%lld, ", (long long)dims[i]);
    if (rank > 1)
        n -= 2;
    else if (rank == 1)
        n -= 1;
    n += snprintf(text + n, sizeof text - (size_t)n, "), }");
    while ((10 + n + 1) % 64) text[n++] = ' ';
    text[n++] = '\n';
    uint8_t magic[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)n, (uint8_t)(n >> 8)};
    hone__output o = {0};
    hone_status s = hone__output_open(path, &o);
    if (s == HONE_OK) s = hone__output_write(&o, magic, sizeof magic);
    if (s == HONE_OK) s = hone__output_write(&o, text, (size_t)n);
    if (s == HONE_OK) s = hone__output_write(&o, data, bytes);
    hone__free(wide);
    if (s == HONE_OK) return hone__output_commit(&o);
    hone__output_abandon(&o);
    return s;
}
