/* pickle.h: the data in a Python pickle (protocols 2 to 5), as values. Nothing is executed: a class is a name, and a
 * call of one is kept as a call. Of classes only those that the caller knows are accepted. */
#ifndef HONE_IMPORT_PICKLE_H
#define HONE_IMPORT_PICKLE_H

#include <stdbool.h>

#include "base/alloc.h"

typedef enum hone__pickle_kind {
    HONE__PICKLE_NONE,
    HONE__PICKLE_BOOL,  /* i */
    HONE__PICKLE_INT,   /* i */
    HONE__PICKLE_OTHER, /* a number with a fraction, an integer of over 64 bits, bytes: only its being there is known */
    HONE__PICKLE_TEXT,
    HONE__PICKLE_TUPLE, /* items: values alone */
    HONE__PICKLE_LIST,  /* likewise */
    HONE__PICKLE_DICT,
    HONE__PICKLE_CLASS,     /* text: "module.name", with a 0 behind it */
    HONE__PICKLE_CALL,      /* of a class: what it would give is not known here */
    HONE__PICKLE_PERSISTENT /* first: its id */
} hone__pickle_kind;

typedef struct hone__pickle_item hone__pickle_item;
typedef struct hone__pickle_value hone__pickle_value;

struct hone__pickle_value {
    hone__pickle_kind kind;
    uint32_t count; /* of items; of bytes of a text */
    union {
        int64_t i;
        const char *text; /* UTF-8 as the pickle has it, without a 0 at its end */
        hone__pickle_item *items;
        const hone__pickle_value *callee;
        const hone__pickle_value *id;
    };
    union {
        hone__pickle_item *last;
        const hone__pickle_value *args; /* a tuple */
    };
};

struct hone__pickle_item {
    const hone__pickle_value *key, *value; /* key: of dictionaries */
    hone__pickle_item *next;
};

/* Whether a class may be named in the pickle: "torch.FloatStorage". */
typedef bool (*hone__pickle_known_fn)(const char *name);

/* Values live in `arena`, and their texts in `data`. HONE_E_UNSUPPORTED names an opcode or a class that is none of the
 * known ones; HONE_E_LIMIT: over a million steps. `file` is for messages. A dictionary that holds itself is possible:
 * whoever walks values sets a limit. */
hone_status hone__pickle_read(const uint8_t *data, size_t size, const char *file, hone__pickle_known_fn known,
                              hone__arena *arena, const hone__pickle_value **out);

static inline bool hone__pickle_is(const hone__pickle_value *v, hone__pickle_kind kind) { return v && v->kind == kind; }
/* Item i of a tuple; NULL where there is none. */
const hone__pickle_value *hone__pickle_at(const hone__pickle_value *tuple, size_t i);

#endif
