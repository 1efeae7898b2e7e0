/* string_values.h: small pieces that operators on strings share. */
#ifndef HONE_OPS_STRING_VALUES_H
#define HONE_OPS_STRING_VALUES_H

#include <string.h>

#include "infer.h"

static inline const hone__string *hone__strings_in(const hone__run *r, int i) { return r->in[i]->data; }
static inline bool hone__string_same(hone__string a, hone__string b)
{
    return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}
static inline uint64_t hone__string_hash(hone__string s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.size; i++) h = (h ^ (uint8_t)s.data[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}
/* Input i must have strings (where its type is known). */
static inline hone_status hone__infer_strings(const hone__infer *x, int i)
{
    hone_dtype d = x->in[i].dtype;
    if (!d || d == HONE_STRING) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "input %d is %s, expected strings", i, hone_dtype_name(d));
}

/* A number as text and back: floats with the fewest digits that give them again. The text has no NUL at its end. */
size_t hone__number_text(hone_dtype dtype, const void *data, size_t i, char text[32]);
hone_status hone__text_number(hone__string s, hone_dtype dtype, void *data, size_t i);

#endif
