/* read_scope.c: the names of a graph, or of the body of a function: open addressing over spans of the file. */
#include <string.h>

#include "read_graph.h"

hone__value hone__scope_absent;

uint64_t hone__span_hash(hone__span s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const uint8_t *p = s.p; p < s.end; p++) h = (h ^ *p) * 0x100000001b3u;
    return h ^ h >> 29;
}

static struct hone__scope_slot *slot_of(const hone__scope *sc, hone__span key)
{
    size_t i = hone__span_hash(key) & (sc->size - 1);
    for (;; i = (i + 1) & (sc->size - 1)) {
        struct hone__scope_slot *n = &sc->slots[i];
        if (!n->key.p) return n;
        if (hone__span_size(n->key) == hone__span_size(key) && !memcmp(n->key.p, key.p, hone__span_size(key))) return n;
    }
}

hone_status hone__scope_bind(hone__scope *sc, hone__span key, hone__value *v)
{
    if (sc->used * 2 >= sc->size) {
        hone__scope bigger = *sc;
        bigger.size = sc->size ? sc->size * 2 : 64;
        bigger.slots = hone__calloc(bigger.size, sizeof *bigger.slots);
        if (!bigger.slots) return hone__out_of_memory(bigger.size);
        for (size_t i = 0; i < sc->size; i++)
            if (sc->slots[i].key.p) *slot_of(&bigger, sc->slots[i].key) = sc->slots[i];
        hone__free(sc->slots);
        *sc = bigger;
    }
    struct hone__scope_slot *n = slot_of(sc, key);
    if (!n->key.p) sc->used++;
    *n = (struct hone__scope_slot){key, v};
    return HONE_OK;
}

hone__value *hone__scope_here(const hone__scope *sc, hone__span key)
{
    return sc->size ? slot_of(sc, key)->value : NULL;
}

hone__value *hone__scope_find(const hone__scope *sc, hone__span key)
{
    for (; sc; sc = sc->parent) {
        hone__value *v = hone__scope_here(sc, key);
        if (v) return v;
    }
    return NULL;
}
