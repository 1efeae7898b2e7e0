/* keras_json.h: JSON from outside, with limits, and lookups that never fail. */
#ifndef HONE_IMPORT_KERAS_JSON_H
#define HONE_IMPORT_KERAS_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"

/* Strict JSON (RFC 8259; any value at the top). HONE_E_LIMIT past `max_values` values or 256 levels. json_decref frees.
 */
hone_status hone__json_parse(const char *text, size_t size, const char *name, size_t max_values, json_t **out);

/* The same for what Python writes: a number that is not finite (NaN, Infinity, -Infinity) becomes a string of that
 * name. */
hone_status hone__json_parse_python(const char *text, size_t size, const char *name, size_t max_values, json_t **out);
bool hone__json_is_nonfinite(const json_t *v);

/* A member as text / as an object; NULL where it is absent or of another kind. */
const char *hone__json_text(const json_t *object, const char *key);

#endif
