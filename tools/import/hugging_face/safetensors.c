/* safetensors.c: eight bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, then the bytes of
 * the tensors without a gap. The header is cut into its members, which jansson reads one by one: a header costs no more
 * memory than its longest member. (https://huggingface.co/docs/safetensors, "Format".) */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "checkpoint.h"

enum { HEADER_MAX = 100000000, MEMBER_MAX = 4096, METADATA_MAX = 16 << 20 };

typedef struct reader {
    const char *file, *text; /* text: the header */
    size_t size, at;
    hone__blob *blob;
    size_t data, data_size; /* where the tensors' bytes lie in the blob */
    hone__checkpoint *out;
} reader;

typedef struct range {
    uint64_t begin, end;
    const char *name;
} range;

static const struct {
    const char *name;
    hone_dtype dtype;
} dtypes[] = {{"F32", HONE_F32},       {"F16", HONE_F16}, {"BF16", HONE_BF16},        {"F64", HONE_F64},
              {"I64", HONE_I64},       {"I32", HONE_I32}, {"I16", HONE_I16},          {"I8", HONE_I8},
              {"U64", HONE_U64},       {"U32", HONE_U32}, {"U16", HONE_U16},          {"U8", HONE_U8},
              {"BOOL", HONE_BOOL},     {"C64", HONE_C64}, {"F8_E4M3", HONE_F8E4M3FN}, {"F8_E5M2", HONE_F8E5M2},
              {"F8_E8M0", HONE_F8E8M0}};

static hone_status damaged(const reader *r, const char *what)
{
    return hone__fail(HONE_E_FORMAT, "%s: safetensors header: %s (byte %zu)", r->file, what, r->at + 8);
}

static void skip_space(reader *r)
{
    while (r->at < r->size && strchr(" \t\r\n", r->text[r->at]) && r->text[r->at]) r->at++;
}

static bool take(reader *r, char ch)
{
    skip_space(r);
    if (r->at >= r->size || r->text[r->at] != ch) return false;
    r->at++;
    return true;
}

/* Goes past a string or an object; false where it does not end. */
static bool pass(reader *r)
{
    bool quoted = false;
    int depth = 0;
    do {
        char ch = r->text[r->at++];
        if (quoted && ch == '\\')
            r->at++;
        else if (ch == '"')
            quoted = !quoted;
        else if (!quoted && (ch == '{' || ch == '['))
            depth++;
        else if (!quoted && (ch == '}' || ch == ']'))
            depth--;
    } while ((quoted || depth > 0) && r->at < r->size);
    return !quoted && !depth && r->at <= r->size;
}

/* The JSON text [begin, r->at) as a value. */
static hone_status parse(reader *r, size_t begin, size_t limit, json_t **out)
{
    json_error_t e;
    *out = NULL;
    if (r->at - begin > limit) return damaged(r, "a member is longer than any tensor's description");
    *out = json_loadb(r->text + begin, r->at - begin, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &e);
    if (*out) return HONE_OK;
    if (json_error_code(&e) == json_error_out_of_memory) return hone__out_of_memory(r->at - begin);
    return damaged(r, e.text);
}

/* A list of at most `most` whole numbers from 0 up; false: something else. */
static bool read_sizes(const json_t *list, size_t most, int64_t *out, size_t *count)
{
    *count = json_array_size(list);
    if (!json_is_array(list) || *count > most) return false;
    for (size_t i = 0; i < *count; i++) {
        const json_t *v = json_array_get(list, i);
        out[i] = json_integer_value(v);
        if (!json_is_integer(v) || out[i] < 0) return false;
    }
    return true;
}

static hone_status describe(const reader *r, const char *name, const json_t *o, range *place)
{
    int64_t dims[HONE_MAX_RANK], offsets[2];
    size_t rank, two, count, bytes;
    const char *type = json_string_value(json_object_get(o, "dtype"));
    hone_dtype dtype = HONE_UNDEFINED;
    hone__tensor t;
    for (size_t i = 0; type && i < sizeof dtypes / sizeof *dtypes; i++)
        if (!strcmp(dtypes[i].name, type)) dtype = dtypes[i].dtype;
    if (!type) return hone__fail(HONE_E_FORMAT, "%s: tensor '%s' has no dtype", r->file, name);
    if (!dtype)
        return hone__fail(HONE_E_UNSUPPORTED, "%s: tensor '%s' has dtype '%s', which is not known", r->file, name,
                          type);
    if (!read_sizes(json_object_get(o, "shape"), HONE_MAX_RANK, dims, &rank))
        return hone__fail(HONE_E_FORMAT, "%s: tensor '%s' has no shape of at most %d sizes", r->file, name,
                          HONE_MAX_RANK);
    if (!read_sizes(json_object_get(o, "data_offsets"), 2, offsets, &two) || two != 2 || json_object_size(o) != 3)
        return hone__fail(HONE_E_FORMAT, "%s: tensor '%s' has no pair of data_offsets", r->file, name);
    hone_status s = hone__shape_bytes(dtype, (int)rank, dims, &count, &bytes);
    if (s != HONE_OK) return hone__at(s, "%s: tensor '%s'", r->file, name);
    if (offsets[1] < offsets[0] || (uint64_t)offsets[1] > r->data_size)
        return hone__fail(HONE_E_FORMAT, "%s: tensor '%s' lies at %lld to %lld of %zu bytes", r->file, name,
                          (long long)offsets[0], (long long)offsets[1], r->data_size);
    if ((uint64_t)(offsets[1] - offsets[0]) != bytes)
        return hone__fail(HONE_E_FORMAT, "%s: tensor '%s' has %lld bytes, its dtype and shape need %zu", r->file, name,
                          (long long)(offsets[1] - offsets[0]), bytes);
    *place = (range){(uint64_t)offsets[0], (uint64_t)offsets[1], NULL};
    HONE__TRY(hone__tensor_view(r->blob, r->data + (size_t)offsets[0], dtype, (int)rank, dims, &t));
    HONE__TRY(hone__checkpoint_add(r->out, name, r->file, &t));
    place->name = r->out->list[r->out->count - 1].name;
    return HONE_OK;
}

/* One "name": {...}; *place stays without a name for __metadata__. */
static hone_status member(reader *r, range *place)
{
    json_t *key, *value;
    skip_space(r);
    size_t begin = r->at;
    place->name = NULL;
    if (begin >= r->size || r->text[begin] != '"' || !pass(r)) return damaged(r, "a name in quotes is expected");
    HONE__TRY(parse(r, begin, MEMBER_MAX, &key));
    const char *name = json_string_value(key);
    hone_status s = name ? HONE_OK : damaged(r, "a name in quotes is expected");
    bool metadata = name && !strcmp(name, "__metadata__");
    if (s == HONE_OK && !take(r, ':')) s = damaged(r, "a colon is expected");
    skip_space(r);
    begin = r->at;
    if (s == HONE_OK && (begin >= r->size || r->text[begin] != '{' || !pass(r)))
        s = damaged(r, "an object is expected");
    if (s == HONE_OK && !metadata && (s = parse(r, begin, MEMBER_MAX, &value)) == HONE_OK) {
        s = describe(r, name, value, place);
        json_decref(value);
    } else if (s == HONE_OK && r->at - begin > METADATA_MAX)
        s = damaged(r, "too much metadata");
    json_decref(key);
    return s;
}

static int by_place(const void *a, const void *b)
{
    const range *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The tensors fill the data: none overlaps another, nothing lies between them. */
static hone_status check_places(const reader *r, range *places, size_t count)
{
    uint64_t at = 0;
    if (count) qsort(places, count, sizeof *places, by_place);
    for (size_t i = 0; i < count; at = places[i++].end) {
        if (places[i].begin < at && !strcmp(places[i - 1].name, places[i].name))
            return hone__fail(HONE_E_FORMAT, "%s: tensor '%s' is there twice", r->file, places[i].name);
        if (places[i].begin < at)
            return hone__fail(HONE_E_FORMAT, "%s: tensors '%s' and '%s' overlap", r->file, places[i - 1].name,
                              places[i].name);
        if (places[i].begin > at)
            return hone__fail(HONE_E_FORMAT, "%s: %llu bytes in front of tensor '%s' belong to none", r->file,
                              (unsigned long long)(places[i].begin - at), places[i].name);
    }
    if (at != r->data_size)
        return hone__fail(HONE_E_FORMAT, "%s: the tensors end at %llu of %zu bytes", r->file, (unsigned long long)at,
                          r->data_size);
    return HONE_OK;
}

static hone_status read_header(reader *r)
{
    range *places = NULL;
    size_t count = 0, capacity = 0;
    hone_status s = take(r, '{') && r->text[0] == '{' ? HONE_OK : damaged(r, "it does not begin with a brace");
    bool more = s == HONE_OK && !take(r, '}');
    while (more) {
        s = hone__grow(&places, &capacity, count, sizeof *places);
        if (s == HONE_OK) s = member(r, &places[count]);
        if (s == HONE_OK && places[count].name) count++;
        more = s == HONE_OK && take(r, ',');
        if (s == HONE_OK && !more && !take(r, '}')) s = damaged(r, "a closing brace is expected");
    }
    skip_space(r);
    if (s == HONE_OK && r->at != r->size) s = damaged(r, "something follows the closing brace");
    if (s == HONE_OK) s = check_places(r, places, count);
    hone__free(places);
    return s;
}

hone_status hone__safetensors_read(hone__map *map, const char *file, hone__checkpoint *out)
{
    uint64_t length = 0;
    if (map->size < 8) return hone__fail(HONE_E_FORMAT, "%s: %zu bytes are no safetensors file", file, map->size);
    for (int i = 0; i < 8; i++) length |= (uint64_t)map->data[i] << (8 * i);
    if (length > HEADER_MAX)
        return hone__fail(HONE_E_LIMIT, "%s: a safetensors header of %llu bytes (at most %d)", file,
                          (unsigned long long)length, HEADER_MAX);
    if (!hone__range_ok(8, length, map->size) || !length)
        return hone__fail(HONE_E_FORMAT, "%s: a safetensors header of %llu bytes in a file of %zu", file,
                          (unsigned long long)length, map->size);
    reader r = {.file = file, .text = (const char *)map->data + 8, .size = (size_t)length, .out = out};
    r.data = 8 + (size_t)length;
    r.data_size = map->size - r.data;
    HONE__TRY(hone__blob_map(map, 0, map->size, &r.blob));
    hone_status s = read_header(&r);
    hone__blob_unref(r.blob);
    return s;
}
