/* list.c: counted lists of tensors. */
#include "list.h"

enum { FIRST = 4 };

hone_status hone__list_new(size_t *account, hone__list **out)
{
    hone__list *l = *out = hone__calloc(1, sizeof *l);
    if (!l) return hone__out_of_memory(sizeof *l);
    l->refs = 1;
    l->account = account;
    return HONE_OK;
}

hone__list *hone__list_ref(hone__list *l)
{
    __atomic_fetch_add(&l->refs, 1, __ATOMIC_RELAXED);
    return l;
}

void hone__list_unref(hone__list *l)
{
    if (!l || __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL)) return;
    for (size_t i = 0; i < l->used; i++) hone__tensor_release(&l->items[i]);
    if (l->account) *l->account -= l->room * sizeof *l->items;
    hone__free(l->items);
    hone__free(l);
}

static size_t wanted(const hone__list *l) { return l->used < l->room ? l->room : l->room ? 2 * l->room : FIRST; }

size_t hone__list_growth(const hone__list *l) { return (wanted(l) - l->room) * sizeof *l->items; }

hone_status hone__list_push(hone__list *l, hone__tensor *item)
{
    size_t room = wanted(l);
    if (room != l->room) {
        hone__tensor *items = hone__realloc(l->items, room * sizeof *items);
        if (!items) {
            hone__tensor_release(item);
            return hone__out_of_memory(room * sizeof *items);
        }
        if (l->account) *l->account += (room - l->room) * sizeof *items;
        l->items = items;
        l->room = room;
    }
    l->items[l->used++] = *item;
    return HONE_OK;
}
