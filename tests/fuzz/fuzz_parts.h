/* fuzz_parts.h: one input as several files (parts between lines of "%%"), and files and folders that readers can open.
 */
#ifndef HONE_TESTS_FUZZ_PARTS_H
#define HONE_TESTS_FUZZ_PARTS_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hone/status.h"

typedef struct fuzz_part {
    const uint8_t *data;
    size_t size;
} fuzz_part;

static inline void demand(int truth)
{
    if (!truth) abort();
}

/* A failure says why. */
static inline void demand_message(hone_status status) { demand(status == HONE_OK || *hone_error_message()); }

/* A failure says why; a seed has none (replay.c says in HONE_FUZZ_SEED which file is read as it is) but is meant to be
 * refused where its name begins so. */
static inline void fuzz_verdict(hone_status status)
{
    const char *seed = getenv("HONE_FUZZ_SEED");
    demand_message(status);
    if (!seed || (status != HONE_OK) == !strncmp(seed, "refused", 7)) return;
    fprintf(stderr, "%s: %s\n", seed, status == HONE_OK ? "is read" : hone_error_message());
    abort();
}

/* The first count - 1 parts; the last one is all the rest, whatever is in it. Parts that are not there are empty. */
static inline void fuzz_split(const uint8_t *data, size_t size, fuzz_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *line = i + 1 < count && size ? memmem(data, size, "\n%%\n", 4) : NULL;
        size_t n = line ? (size_t)(line - data) : size;
        parts[i] = (fuzz_part){data, n};
        data += n + (line ? 4 : 0);
        size -= n + (line ? 4 : 0);
    }
}

/* A block of exactly these bytes, so that a sanitizer sees every byte too far; free it. */
static inline char *fuzz_exact(fuzz_part part)
{
    char *copy = malloc(part.size ? part.size : 1);
    demand(copy != NULL);
    if (part.size) memcpy(copy, part.data, part.size);
    return copy;
}

static inline void fuzz_write(int fd, const uint8_t *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);
        demand(n > 0);
        data += n;
        size -= (size_t)n;
    }
}

/* The path of a file in memory with these bytes; the next call makes the next one of it. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[64];
    static int fd = -1;
    if (fd >= 0) close(fd);
    fd = memfd_create("fuzz", MFD_CLOEXEC);
    demand(fd >= 0);
    fuzz_write(fd, data, size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

enum { FUZZ_FILES = 16 };
typedef struct fuzz_folder {
    char path[64];
    const char *names[FUZZ_FILES];
    size_t count;
} fuzz_folder;

static inline void fuzz_folder_put(fuzz_folder *f, const char *name, fuzz_part part)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    demand(fd >= 0 && f->count < FUZZ_FILES);
    fuzz_write(fd, part.data, part.size);
    close(fd);
    f->names[f->count++] = name;
}

/* An empty folder, in memory where the system has a place for that. */
static inline void fuzz_folder_open(fuzz_folder *f)
{
    *f = (fuzz_folder){.path = "/dev/shm/hone-fuzz-XXXXXX"};
    if (mkdtemp(f->path)) return;
    strcpy(f->path, "/tmp/hone-fuzz-XXXXXX");
    demand(mkdtemp(f->path) != NULL);
}

static inline void fuzz_folder_close(fuzz_folder *f)
{
    char path[256];
    for (size_t i = 0; i < f->count; i++) {
        snprintf(path, sizeof path, "%s/%s", f->path, f->names[i]);
        unlink(path);
    }
    rmdir(f->path);
}

#endif
