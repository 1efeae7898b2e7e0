/* keras_json.c: jansson behind a scan that bounds depth and the number of values before anything is allocated. */
#include "keras_json.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"

enum { MAX_DEPTH = 256 };

/* Counts separators outside strings: an upper bound of the values. */
static hone_status scan(const char *text, size_t size, const char *name, size_t max_values)
{
    size_t depth = 0, values = 1;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char ch = text[i];
        if (ch == 0) return hone__fail(HONE_E_FORMAT, "%s: JSON: a NUL byte (byte %zu)", name, i);
        if (quoted) {
            if (ch == '\\')
                i++;
            else if (ch == '"')
                quoted = false;
            continue;
        }
        if (ch == '"')
            quoted = true;
        else if (ch == '[' || ch == '{') {
            values++;
            if (++depth > MAX_DEPTH) return hone__fail(HONE_E_LIMIT, "%s: JSON is nested deeper than 256 levels", name);
        } else if ((ch == ']' || ch == '}') && depth)
            depth--;
        else if (ch == ',' || ch == ':')
            values++;
        if (values > max_values) return hone__fail(HONE_E_LIMIT, "%s: JSON has more than %zu values", name, max_values);
    }
    return HONE_OK;
}

/* A copy in which the escape \u0000, which jansson refuses in keys, is the replacement character. */
static char *without_nul(const char *text, size_t size)
{
    char *copy = hone__strndup(text, size);
    for (size_t i = 0; copy && i + 6 <= size; i++) {
        if (copy[i] != '\\') continue;
        if (memcmp(copy + i + 1, "u0000", 5) == 0) memcpy(copy + i + 1, "ufffd", 5);
        i++; /* the escaped character is not an escape itself */
    }
    return copy;
}

hone_status hone__json_parse(const char *text, size_t size, const char *name, size_t max_values, json_t **out)
{
    json_error_t error;
    *out = NULL;
    HONE__TRY(scan(text, size, name, max_values));
    *out = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!*out && json_error_code(&error) == json_error_null_byte_in_key) {
        char *copy = without_nul(text, size);
        if (!copy) return hone__out_of_memory(size);
        *out = json_loadb(copy, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        hone__free(copy);
    }
    if (*out) return HONE_OK;
    if (json_error_code(&error) == json_error_out_of_memory) return hone__out_of_memory(size);
    return hone__fail(HONE_E_FORMAT, "%s: JSON: %s (byte %d)", name, error.text, error.position);
}

const char *hone__json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}
