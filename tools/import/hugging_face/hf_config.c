/* hf_config.c: lookups in a JSON object that stick their failures. */
#include "hf_config.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/alloc.h"
#include "tools/import/keras/keras_json.h"

enum { FILE_MAX = 64 << 20, VALUES_MAX = 1 << 20 };

hone_status hone__hf_json(const char *path, json_t **out)
{
    uint8_t *text;
    size_t size;
    *out = NULL;
    HONE__TRY(hone__file_read(path, FILE_MAX, &text, &size));
    hone_status s = hone__json_parse_python((const char *)text, size, path, VALUES_MAX, out);
    hone__free(text);
    if (s != HONE_OK || json_is_object(*out)) return s;
    json_decref(*out);
    *out = NULL;
    return hone__fail(HONE_E_FORMAT, "%s: a JSON object is expected", path);
}

hone_status hone__hf_fail(hone__hf_config *c, hone_status status)
{
    hone__at(status, "%s", c->path);
    if (c->status == HONE_OK) c->status = status;
    return status;
}

/* The member where it is of a use: not absent, not null, nothing failed before. */
static const json_t *member(const hone__hf_config *c, const char *key)
{
    const json_t *v = json_object_get(c->root, key);
    return c->status == HONE_OK && v && !json_is_null(v) ? v : NULL;
}

static void wrong(hone__hf_config *c, const char *key, const char *expected)
{
    hone__hf_fail(c, hone__fail(HONE_E_FORMAT, "'%s' is not %s", key, expected));
}

int64_t hone__hf_int(hone__hf_config *c, const char *key, int64_t otherwise, int64_t low, int64_t high)
{
    const json_t *v = member(c, key);
    if (!v) return otherwise;
    double d = json_number_value(v);
    bool whole = json_is_integer(v) || (json_is_real(v) && d == floor(d) && fabs(d) < 9e15);
    int64_t i = json_is_integer(v) ? json_integer_value(v) : whole ? (int64_t)d : 0;
    if (!whole || i < low || i > high) {
        hone__hf_fail(c, hone__fail(HONE_E_FORMAT, "'%s' is not a whole number from %lld to %lld", key, (long long)low,
                                    (long long)high));
        return otherwise;
    }
    return i;
}

int64_t hone__hf_size(hone__hf_config *c, const char *key)
{
    if (c->status == HONE_OK && !member(c, key)) hone__hf_fail(c, hone__fail(HONE_E_FORMAT, "'%s' is missing", key));
    return hone__hf_int(c, key, 1, 1, 1 << 24);
}

double hone__hf_float(hone__hf_config *c, const char *key, double otherwise)
{
    const json_t *v = member(c, key);
    if (!v) return otherwise;
    if (json_is_number(v) && isfinite(json_number_value(v))) return json_number_value(v);
    wrong(c, key, "a number");
    return otherwise;
}

bool hone__hf_bool(hone__hf_config *c, const char *key, bool otherwise)
{
    const json_t *v = member(c, key);
    if (v && !json_is_boolean(v)) wrong(c, key, "true or false");
    return v && json_is_boolean(v) ? json_is_true(v) : otherwise;
}

const char *hone__hf_text(hone__hf_config *c, const char *key, const char *otherwise)
{
    const json_t *v = member(c, key);
    if (v && !json_is_string(v)) wrong(c, key, "a text");
    return v && json_is_string(v) ? json_string_value(v) : otherwise;
}

bool hone__hf_has(const hone__hf_config *c, const char *key) { return json_object_get(c->root, key) != NULL; }
