/* keras_json.c: jansson behind a scan that bounds depth and the number of values before anything is allocated. */
#include "keras_json.h"

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
    const char *what = json_error_code(&error) == json_error_invalid_utf8 ? "not UTF-8: " : "";
    return hone__fail(HONE_E_FORMAT, "%s: JSON: %s%s (byte %d)", name, what, error.text, error.position);
}

static const char *const nonfinite[] = {"NaN", "Infinity", "-Infinity"};

/* The token of a non-finite number at text[i], or NULL. */
static const char *nonfinite_at(const char *text, size_t size, size_t i)
{
    for (size_t k = 0; k < 3; k++) {
        size_t n = strlen(nonfinite[k]);
        if (n <= size - i && memcmp(text + i, nonfinite[k], n) == 0) return nonfinite[k];
    }
    return NULL;
}

/* Copies to `out` (NULL: only measures) with quotes around non-finite numbers; the size of the copy. */
static size_t quote_nonfinite(const char *text, size_t size, char *out)
{
    bool quoted = false;
    size_t to = 0;
    for (size_t i = 0; i < size; i++) {
        const char *token = quoted ? NULL : nonfinite_at(text, size, i);
        size_t n = token ? strlen(token) : quoted && text[i] == '\\' && i + 1 < size ? 2 : 1;
        if (!token && n == 1 && text[i] == '"') quoted = !quoted;
        if (token && out) out[to] = out[to + n + 1] = '"';
        if (out) memcpy(out + to + (token != NULL), text + i, n);
        to += n + (token ? 2 : 0);
        i += n - 1;
    }
    return to;
}

hone_status hone__json_parse_python(const char *text, size_t size, const char *name, size_t max_values, json_t **out)
{
    size_t wide = quote_nonfinite(text, size, NULL);
    if (wide == size) return hone__json_parse(text, size, name, max_values, out);
    char *copy = hone__malloc(wide);
    *out = NULL;
    if (!copy) return hone__out_of_memory(wide);
    quote_nonfinite(text, size, copy);
    hone_status status = hone__json_parse(copy, wide, name, max_values, out);
    hone__free(copy);
    return status;
}

bool hone__json_is_nonfinite(const json_t *v)
{
    const char *s = json_string_value(v);
    for (size_t k = 0; s && k < 3; k++)
        if (strcmp(s, nonfinite[k]) == 0) return true;
    return false;
}

const char *hone__json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}
