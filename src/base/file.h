/* file.h: files mapped for reading, and outputs that appear whole or not at all. */
#ifndef HONE_BASE_FILE_H
#define HONE_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "status.h"

/* A read-only mapping, counted. A directory, a missing file or a device is an error naming `path`. */
typedef struct hone__map {
    const uint8_t *data; /* NULL for an empty file */
    size_t size;
    int refs;
} hone__map;

hone_status hone__map_open(const char *path, hone__map **out);
hone_status hone__map_fd(int fd, const char *name, hone__map **out); /* does not take the descriptor */
hone__map *hone__map_ref(hone__map *map);
void hone__map_unref(hone__map *map); /* NULL is fine */
/* Gives the pages that lie wholly inside [data, data + bytes) back to the system: they will hardly be read again. When
 * they are, they come from the file again. */
void hone__map_idle(const hone__map *map, const void *data, size_t bytes);

/* What stands in place of a file that Git LFS has not fetched. */
bool hone__is_lfs_pointer(const void *data, size_t size);

/* Reads a whole file or stream ("-" is standard input) of at most `limit` bytes; *out is freed by hone__free. */
hone_status hone__file_read(const char *path, size_t limit, uint8_t **out, size_t *size);

/* Writes to "<path>.tmp-XXXXXX" in the same folder; commit syncs, renames over `path` and syncs the folder.
 * Abandoning (or a failed commit) removes the temporary file, so `path` is old or new, never half. */
typedef struct hone__output {
    FILE *file;
    char *path, *temporary;
} hone__output;

hone_status hone__output_open(const char *path, hone__output *out);
hone_status hone__output_write(hone__output *out, const void *data, size_t n);
/* What was written is in the file under its temporary name, synced. Commit does so, too; before it, where several outputs
 * come into place together. */
hone_status hone__output_sync(hone__output *out);
hone_status hone__output_commit(hone__output *out);
void hone__output_abandon(hone__output *out); /* fine after commit, too */

/* Removes the temporary files of outputs that are open now. For a signal handler that ends the process:
 * async-signal-safe. */
void hone__output_remove_pending(void);

#endif
