/* fuzz_json.c: any bytes as JSON, strict and as Python writes it. What is read has no more values than allowed, and
 * printed and read again it is the same. */
#include <stddef.h>
#include <stdint.h>

#include "fuzz_parts.h"
#include "tools/import/keras/keras_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 300 };

static size_t values_of(json_t *v)
{
    size_t n = 1, i;
    const char *key;
    json_t *member;
    if (json_is_object(v)) json_object_foreach(v, key, member) n += values_of(member);
    json_array_foreach(v, i, member) n += values_of(member);
    return n;
}

static void comes_back(const json_t *v)
{
    json_t *again;
    char *text = json_dumps(v, JSON_ENCODE_ANY);
    demand(text != NULL);
    demand(hone__json_parse(text, strlen(text), "again", 2 * MOST, &again) == HONE_OK);
    demand(json_equal(v, again));
    json_decref(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_exact((fuzz_part){data, size});
    json_t *strict, *python;
    hone_status status = hone__json_parse(text, size, "fuzz", MOST, &strict);
    demand((status == HONE_OK) == (strict != NULL));
    demand_message(status);
    hone_status wider = hone__json_parse_python(text, size, "fuzz", MOST, &python);
    demand((wider == HONE_OK) == (python != NULL));
    demand_message(wider);
    if (strict) demand(python && json_equal(strict, python));
    if (python) {
        demand(values_of(python) <= MOST);
        comes_back(python);
    }
    json_decref(strict);
    json_decref(python);
    free(text);
    return 0;
}
