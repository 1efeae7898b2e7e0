/* h5_catalogue.c: what the confined child has written, every word of it checked: the child may be in the hands of the
 * file that it reads. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "h5.h"
#include "h5_records.h"

enum { MESSAGE = 500 }; /* bytes of the child's message that are shown */

struct hone__h5 {
    hone__map *catalogue, *spill;
    hone__arena arena;
    hone__h5_item *items;
    size_t item_count, item_capacity;
    hone__h5_attr *attrs;
    size_t attr_count, attr_capacity;
};

typedef struct cursor {
    const uint8_t *p, *end;
    bool ok;
} cursor;

static uint64_t take_u64(cursor *c)
{
    uint64_t v = 0;
    if ((size_t)(c->end - c->p) < sizeof v) {
        c->ok = false;
        return 0;
    }
    memcpy(&v, c->p, sizeof v);
    c->p += sizeof v;
    return v;
}

static hone__string take_text(cursor *c)
{
    uint64_t n = take_u64(c);
    hone__string s = {(const char *)c->p, (size_t)n};
    if (!c->ok || n > (uint64_t)(c->end - c->p)) {
        c->ok = false;
        return (hone__string){"", 0};
    }
    c->p += n;
    return s;
}

static const char *take_name(hone__h5 *h, cursor *c)
{
    hone__string s = take_text(c);
    const char *copy = hone__arena_strndup(&h->arena, s.data, s.size);
    if (!copy) c->ok = false;
    return copy ? copy : "";
}

static hone_status take_dataset(hone__h5 *h, cursor *c, size_t image_size)
{
    HONE__TRY(hone__grow(&h->items, &h->item_capacity, h->item_count, sizeof *h->items));
    hone__h5_item it = {.path = take_name(h, c)};
    it.dtype = (hone_dtype)take_u64(c);
    it.rank = (int)take_u64(c);
    bool known = it.dtype < HONE_DTYPE_COUNT && it.dtype != HONE_STRING; /* strings would be addresses */
    if (!c->ok || it.rank < 0 || it.rank > HONE_MAX_RANK || !known) return HONE_E_FORMAT;
    for (int i = 0; i < it.rank; i++) it.dims[i] = (int64_t)take_u64(c);
    it.in_file = take_u64(c) != 0;
    it.offset = take_u64(c);
    it.bytes = take_u64(c);
    it.stored = take_u64(c);
    if (!c->ok) return HONE_E_FORMAT;
    if (it.bytes) {
        size_t count, bytes;
        if (hone__shape_bytes(it.dtype, it.rank, it.dims, &count, &bytes) != HONE_OK || bytes != it.bytes) it.bytes = 0;
        size_t room = it.in_file ? image_size : h->spill->size;
        if (!hone__range_ok(it.offset, it.bytes, room)) it.bytes = 0;
    }
    h->items[h->item_count++] = it;
    return HONE_OK;
}

static hone_status take_attribute(hone__h5 *h, cursor *c)
{
    HONE__TRY(hone__grow(&h->attrs, &h->attr_capacity, h->attr_count, sizeof *h->attrs));
    hone__h5_attr a = {.owner = take_name(h, c), .name = take_name(h, c)};
    a.dtype = (hone_dtype)take_u64(c);
    a.count = (size_t)take_u64(c);
    if (!c->ok) return HONE_E_FORMAT;
    if (a.dtype == HONE_STRING) {
        if (a.count > (size_t)(c->end - c->p) / sizeof(uint64_t)) return HONE_E_FORMAT;
        hone__string *list = hone__arena_alloc(&h->arena, a.count * sizeof *list + 1);
        if (!list) return hone__out_of_memory(a.count * sizeof *list);
        for (size_t i = 0; i < a.count && c->ok; i++) list[i] = take_text(c);
        a.strings = list;
    } else {
        uint64_t bits = take_u64(c);
        memcpy(&a.number, &bits, sizeof bits);
    }
    if (!c->ok) return HONE_E_FORMAT;
    h->attrs[h->attr_count++] = a;
    return HONE_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const hone__h5_item *)a)->path, ((const hone__h5_item *)b)->path);
}

static int by_owner(const void *a, const void *b)
{
    const hone__h5_attr *x = a, *y = b;
    int order = strcmp(x->owner, y->owner);
    return order ? order : strcmp(x->name, y->name);
}

static hone_status take_all(hone__h5 *h, const char *name, size_t image_size)
{
    cursor c = {NULL, NULL, true};
    if (h->catalogue->data) c.p = h->catalogue->data, c.end = c.p + h->catalogue->size;
    for (;;) {
        uint64_t kind = take_u64(&c);
        hone_status status = HONE_OK;
        if (c.ok && kind == H5_RECORD_END) break;
        if (c.ok && kind == H5_RECORD_ERROR) {
            hone__string text = take_text(&c);
            int shown = text.size < MESSAGE ? (int)text.size : MESSAGE;
            return hone__fail(HONE_E_FORMAT, "%s: HDF5: %.*s", name, shown, text.data);
        }
        if (c.ok && kind == H5_RECORD_DATASET)
            status = take_dataset(h, &c, image_size);
        else if (c.ok && kind == H5_RECORD_ATTRIBUTE)
            status = take_attribute(h, &c);
        else
            c.ok = false;
        if (status == HONE_E_MEMORY) return status;
        if (!c.ok || status != HONE_OK)
            return hone__fail(HONE_E_FORMAT,
                              "%s: the HDF5 library crashed or gave up on this file: it is damaged or hostile", name);
    }
    if (h->item_count) qsort(h->items, h->item_count, sizeof *h->items, by_path);
    if (h->attr_count) qsort(h->attrs, h->attr_count, sizeof *h->attrs, by_owner);
    return HONE_OK;
}

hone_status hone__h5_take(hone__map *catalogue, hone__map *spill, const char *name, size_t image_size, hone__h5 **out)
{
    *out = NULL;
    hone__h5 *h = hone__calloc(1, sizeof *h);
    if (!h) return hone__out_of_memory(sizeof *h);
    h->catalogue = hone__map_ref(catalogue);
    h->spill = hone__map_ref(spill);
    hone_status status = take_all(h, name, image_size);
    if (status == HONE_OK)
        *out = h;
    else
        hone__h5_close(h);
    return status;
}

void hone__h5_close(hone__h5 *h)
{
    if (!h) return;
    hone__map_unref(h->catalogue);
    hone__map_unref(h->spill);
    hone__free(h->items);
    hone__free(h->attrs);
    hone__arena_free(&h->arena);
    hone__free(h);
}

size_t hone__h5_count(const hone__h5 *h) { return h->item_count; }
const hone__h5_item *hone__h5_at(const hone__h5 *h, size_t index) { return &h->items[index]; }
hone__map *hone__h5_spill(const hone__h5 *h) { return h->spill; }

const hone__h5_item *hone__h5_find(const hone__h5 *h, const char *path)
{
    hone__h5_item key = {.path = path};
    return h->item_count ? bsearch(&key, h->items, h->item_count, sizeof key, by_path) : NULL;
}

const hone__h5_attr *hone__h5_attr_find(const hone__h5 *h, const char *owner, const char *name)
{
    hone__h5_attr key = {.owner = owner, .name = name};
    return h->attr_count ? bsearch(&key, h->attrs, h->attr_count, sizeof key, by_owner) : NULL;
}

static bool below(const char *path, const char *group, size_t n)
{
    return strncmp(path, group, n) == 0 && (path[n] == '/' || path[n] == 0);
}

bool hone__h5_has_group(const hone__h5 *h, const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < h->item_count; i++)
        if (below(h->items[i].path, path, n)) return true;
    for (size_t i = 0; i < h->attr_count; i++)
        if (below(h->attrs[i].owner, path, n)) return true;
    return false;
}
