/* wire.h: bounded protobuf reading. A span never reaches outside the bytes it was cut from. */
#ifndef HONE_ONNX_WIRE_H
#define HONE_ONNX_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

typedef struct hone__span {
    const uint8_t *p, *end;
} hone__span;

typedef struct hone__field {
    uint32_t number;
    int type;        /* 0 varint, 1 eight bytes, 2 span, 5 four bytes */
    uint64_t value;  /* types 0, 1, 5 */
    hone__span span; /* type 2 */
} hone__field;

static inline size_t hone__span_size(hone__span s) { return (size_t)(s.end - s.p); }
static inline bool hone__span_is(hone__span s, const char *text)
{
    return hone__span_size(s) == strlen(text) && !memcmp(s.p, text, strlen(text));
}

/* false: not a varint within the span */
static inline bool hone__wire_varint(hone__span *s, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; shift < 70 && s->p < s->end; shift += 7) {
        uint8_t b = *s->p++;
        if (shift < 63)
            *v |= (uint64_t)(b & 0x7f) << shift;
        else if (shift == 63)
            *v |= (uint64_t)(b & 1) << 63;
        if (!(b & 0x80)) return true;
    }
    return false;
}

/* Next field; false at the end of the span, or on bytes that are no field (then *bad is set). Groups are refused. */
static inline bool hone__wire_next(hone__span *s, hone__field *f, bool *bad)
{
    uint64_t key, n;
    if (s->p == s->end || *bad) return false;
    *bad = true;
    if (!hone__wire_varint(s, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX / 8) return false;
    f->number = (uint32_t)(key >> 3);
    f->type = (int)(key & 7);
    f->value = 0;
    f->span = (hone__span){NULL, NULL};
    switch (f->type) {
    case 0:
        if (!hone__wire_varint(s, &f->value)) return false;
        break;
    case 1:
        if (hone__span_size(*s) < 8) return false;
        memcpy(&f->value, s->p, 8);
        s->p += 8;
        break;
    case 5: {
        uint32_t v;
        if (hone__span_size(*s) < 4) return false;
        memcpy(&v, s->p, 4);
        f->value = v;
        s->p += 4;
        break;
    }
    case 2:
        if (!hone__wire_varint(s, &n) || n > hone__span_size(*s)) return false;
        f->span = (hone__span){s->p, s->p + n};
        s->p += n;
        break;
    default: return false;
    }
    *bad = false;
    return true;
}

#endif
