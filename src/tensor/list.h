/* list.h: the elements of a sequence. A value sees the first `count` items of a counted list: whoever holds a list's
 * newest value appends in place, so that building a sequence element by element copies nothing. */
#ifndef HONE_TENSOR_LIST_H
#define HONE_TENSOR_LIST_H

#include "tensor.h"

typedef struct hone__list {
    int refs;
    bool borrowed; /* the caller's: only read, and gone after the run */
    hone__tensor *items;
    size_t used, room;
    size_t *account; /* as in hone__blob */
} hone__list;

static inline size_t hone__blob_cost(size_t size) { return size + sizeof(hone__blob); }

hone_status hone__list_new(size_t *account, hone__list **out); /* empty */
hone__list *hone__list_ref(hone__list *list);
void hone__list_unref(hone__list *list); /* NULL is fine */
/* Bytes that one more item would add, room for later ones included; 0: it fits. */
size_t hone__list_growth(const hone__list *list);
/* Takes over the reference in `item`, also on failure. */
hone_status hone__list_push(hone__list *list, hone__tensor *item);

static inline const hone__list *hone__list_of(const hone__tensor *sequence) { return sequence->data; }
static inline const hone__tensor *hone__list_items(const hone__tensor *sequence)
{
    return sequence->count ? hone__list_of(sequence)->items : NULL;
}

/* The value that sees all items; takes over the reference. */
static inline hone__tensor hone__list_value(hone__list *list, hone_dtype dtype)
{
    return (hone__tensor){.kind = HONE_KIND_SEQUENCE, .dtype = dtype, .data = list, .count = list->used};
}

#endif
