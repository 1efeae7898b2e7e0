/* torch_zip.c: the end record, the central directory and local headers (PKWARE's APPNOTE.TXT, 4.3). */
#include "torch_zip.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

enum { END_SIZE = 22, LOCATOR_SIZE = 20, END64_SIZE = 56, ENTRY_SIZE = 46, LOCAL_SIZE = 30, COMMENT_MAX = 65535 };
enum { ENCRYPTED = 1, SIZES_FOLLOW = 8, MASKED = 1 << 13 };

static uint64_t number(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static hone_status no_archive(const hone__torch_zip *z, const char *what)
{
    return hone__fail(HONE_E_FORMAT, "%s: not a readable zip archive: %s", z->file, what);
}

typedef struct directory {
    uint64_t offset, size, entries;
} directory;

/* The end record is the last thing but a comment; in front of it may lie one with 64-bit numbers. */
static hone_status find_directory(const hone__torch_zip *z, directory *d)
{
    const uint8_t *p = z->map->data;
    size_t size = z->map->size;
    for (size_t comment = 0; comment <= COMMENT_MAX && comment + END_SIZE <= size; comment++) {
        size_t at = size - END_SIZE - comment;
        if (number(p + at, 4) != 0x06054b50 || number(p + at + 20, 2) != comment) continue;
        *d = (directory){number(p + at + 16, 4), number(p + at + 12, 4), number(p + at + 10, 2)};
        if (at < LOCATOR_SIZE || number(p + at - LOCATOR_SIZE, 4) != 0x07064b50) return HONE_OK;
        uint64_t wide = number(p + at - LOCATOR_SIZE + 8, 8);
        if (!hone__range_ok(wide, END64_SIZE, at - LOCATOR_SIZE) || number(p + wide, 4) != 0x06064b50)
            return no_archive(z, "its 64-bit end record is not where it should be");
        *d = (directory){number(p + wide + 48, 8), number(p + wide + 40, 8), number(p + wide + 32, 8)};
        return HONE_OK;
    }
    return no_archive(z, "it has no end record");
}

/* Numbers that do not fit 32 bits stand in the extra field 1, in the order size, stored size, place. */
static bool widen(hone__torch_member *m, const uint8_t *extra, size_t size)
{
    uint64_t *const fields[] = {&m->size, &m->stored, &m->local};
    bool wide = false;
    for (int i = 0; i < 3; i++) wide |= *fields[i] == UINT32_MAX;
    while (wide && size >= 4) {
        size_t kind = number(extra, 2), n = number(extra + 2, 2);
        extra += 4, size -= 4;
        if (n > size) return false;
        size_t at = 0;
        for (int i = 0; kind == 1 && i < 3; i++) {
            if (*fields[i] != UINT32_MAX) continue;
            if (n - at < 8) return false;
            *fields[i] = number(extra + at, 8);
            at += 8;
        }
        if (kind == 1) return true;
        extra += n, size -= n;
    }
    return !wide;
}

static int compare(const char *a, size_t n, const char *b, size_t m)
{
    int c = memcmp(a, b, n < m ? n : m);
    return c ? c : n < m ? -1 : n > m;
}

static int by_name(const void *a, const void *b)
{
    const hone__torch_member *x = a, *y = b;
    return compare(x->name, x->name_size, y->name, y->name_size);
}

static hone_status read_entries(hone__torch_zip *z, const directory *d)
{
    const uint8_t *p = z->map->data + d->offset;
    size_t at = 0, size = (size_t)d->size;
    for (; z->count < d->entries; z->count++) {
        if (!hone__range_ok(at, ENTRY_SIZE, size) || number(p + at, 4) != 0x02014b50)
            return no_archive(z, "an entry of its directory is damaged");
        size_t name = number(p + at + 28, 2), extra = number(p + at + 30, 2), comment = number(p + at + 32, 2);
        hone__torch_member *m = &z->list[z->count];
        if (!hone__range_ok(at + ENTRY_SIZE, name + extra + comment, size))
            return no_archive(z, "an entry of its directory is damaged");
        *m = (hone__torch_member){.name = (const char *)p + at + ENTRY_SIZE, .name_size = name};
        m->flags = (unsigned)number(p + at + 8, 2), m->method = (unsigned)number(p + at + 10, 2);
        m->stored = number(p + at + 20, 4), m->size = number(p + at + 24, 4), m->local = number(p + at + 42, 4);
        if (!widen(m, p + at + ENTRY_SIZE + name, extra))
            return no_archive(z, "an entry of its directory has no sizes");
        at += ENTRY_SIZE + name + extra + comment;
    }
    return HONE_OK;
}

hone_status hone__torch_zip_open(const hone__map *map, const char *file, hone__torch_zip *z)
{
    directory d = {0};
    *z = (hone__torch_zip){.map = map, .file = file};
    HONE__TRY(find_directory(z, &d));
    if (!hone__range_ok(d.offset, d.size, map->size) || d.entries > d.size / ENTRY_SIZE)
        return no_archive(z, "its directory lies outside");
    z->directory = d.offset;
    if (!d.entries) return HONE_OK;
    z->list = hone__calloc((size_t)d.entries, sizeof *z->list);
    if (!z->list) return hone__out_of_memory(d.entries * sizeof *z->list);
    HONE__TRY(read_entries(z, &d));
    qsort(z->list, z->count, sizeof *z->list, by_name);
    for (size_t i = 1; i < z->count; i++)
        if (!by_name(&z->list[i - 1], &z->list[i]))
            return hone__fail(HONE_E_FORMAT, "%s: member '%.*s' is there twice", file, (int)z->list[i].name_size,
                              z->list[i].name);
    return HONE_OK;
}

void hone__torch_zip_close(hone__torch_zip *z)
{
    hone__free(z->list);
    *z = (hone__torch_zip){0};
}

/* The member's bytes begin behind its local header, whose name and extra field are of a length of their own. */
static hone_status locate(const hone__torch_zip *z, const hone__torch_member *m, size_t *offset)
{
    const uint8_t *p = z->map->data;
    bool sound = hone__range_ok(m->local, LOCAL_SIZE, z->directory) && number(p + m->local, 4) == 0x04034b50;
    size_t name = sound ? number(p + m->local + 26, 2) : 0, extra = sound ? number(p + m->local + 28, 2) : 0;
    uint64_t at = m->local + LOCAL_SIZE + name + extra;
    sound = sound && hone__range_ok(m->local + LOCAL_SIZE, name + extra, z->directory) && name == m->name_size &&
            !memcmp(p + m->local + LOCAL_SIZE, m->name, name) && number(p + m->local + 8, 2) == m->method;
    if (sound && !(m->flags & SIZES_FOLLOW)) {
        uint64_t local = number(p + m->local + 22, 4);
        sound = local == m->size || local == UINT32_MAX;
    }
    if (!sound)
        return hone__fail(HONE_E_FORMAT, "%s: member '%.*s' is not where the directory says", z->file,
                          (int)m->name_size, m->name);
    if (!hone__range_ok(at, m->size, z->directory))
        return hone__fail(HONE_E_FORMAT, "%s: member '%.*s' of %llu bytes lies outside the archive", z->file,
                          (int)m->name_size, m->name, (unsigned long long)m->size);
    *offset = (size_t)at;
    return HONE_OK;
}

static const hone__torch_member *member(const hone__torch_zip *z, const char *name)
{
    hone__torch_member key = {.name = name, .name_size = strlen(name)};
    return z->count ? bsearch(&key, z->list, z->count, sizeof key, by_name) : NULL;
}

bool hone__torch_zip_has(const hone__torch_zip *z, const char *name) { return member(z, name) != NULL; }

hone_status hone__torch_zip_find(const hone__torch_zip *z, const char *name, size_t *offset, size_t *size)
{
    const hone__torch_member *m = member(z, name);
    if (!m) return hone__fail(HONE_E_FORMAT, "%s: the archive has no '%s'", z->file, name);
    if (m->flags & (ENCRYPTED | MASKED))
        return hone__fail(HONE_E_UNSUPPORTED, "%s: member '%s' is encrypted", z->file, name);
    if (m->method || m->size != m->stored)
        return hone__fail(HONE_E_UNSUPPORTED,
                          "%s: member '%s' is compressed: torch.save stores members as they are (pack it with zip -0)",
                          z->file, name);
    *size = (size_t)m->size;
    return locate(z, m, offset);
}
