/* keras_zip.h: members of a zip archive over a mapping. */
#ifndef HONE_IMPORT_KERAS_ZIP_H
#define HONE_IMPORT_KERAS_ZIP_H

#include <stdbool.h>

#include "base/file.h"
#include "base/alloc.h"

typedef struct hone__zip_member {
    const uint8_t *data;
    size_t size;
    hone__map *map; /* where `data` lies: the archive's own mapping, or a memory file; freed by hone__zip_release */
} hone__zip_member;

/* HONE_E_ARGUMENT: no such member. A member that declares over 100 times its stored size above 256 MiB is refused, as
 * is one of more than `limit` bytes. */
hone_status hone__zip_read(hone__map *map, const char *path, const char *member, size_t limit, hone__zip_member *out);
void hone__zip_release(hone__zip_member *member);

#endif
