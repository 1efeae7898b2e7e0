/* torch_zip.h: where the members of a zip archive lie in its mapping, for archives whose members are stored as they
 * are, as torch.save writes them: of any size (zip64), nothing copied, nothing inflated. */
#ifndef HONE_IMPORT_TORCH_ZIP_H
#define HONE_IMPORT_TORCH_ZIP_H

#include <stdbool.h>

#include "base/file.h"

typedef struct hone__torch_member {
    const char *name; /* in the mapping, without a 0 at its end */
    size_t name_size;
    uint64_t local, size, stored; /* local: of its header; stored: what it takes in the archive */
    unsigned method, flags;
} hone__torch_member;

typedef struct hone__torch_zip {
    const hone__map *map;     /* borrowed */
    const char *file;         /* for messages; borrowed */
    hone__torch_member *list; /* sorted by name */
    size_t count;
    uint64_t directory; /* where members end */
} hone__torch_zip;

/* HONE_E_FORMAT where there is no sound directory, or a name is there twice. Closing is right after a failure, too. */
hone_status hone__torch_zip_open(const hone__map *map, const char *file, hone__torch_zip *out);
void hone__torch_zip_close(hone__torch_zip *zip);

bool hone__torch_zip_has(const hone__torch_zip *zip, const char *name);
/* HONE_E_FORMAT: no such member, or one whose two headers disagree; HONE_E_UNSUPPORTED: compressed or encrypted. */
hone_status hone__torch_zip_find(const hone__torch_zip *zip, const char *name, size_t *offset, size_t *size);

#endif
