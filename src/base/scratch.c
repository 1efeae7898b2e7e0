/* scratch.c: a nameless file, mapped piece by piece. */
#define _GNU_SOURCE /* O_TMPFILE */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alloc.h"
#include "checked.h"

/* For file systems without nameless files. */
static int named_and_removed(const char *folder)
{
    static const char name[] = "/.hone-XXXXXX";
    size_t n = strlen(folder);
    char *path = hone__malloc(n + sizeof name);
    if (!path) return -1;
    memcpy(path, folder, n);
    memcpy(path + n, name, sizeof name);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) unlink(path);
    hone__free(path);
    return fd;
}

hone_status hone__scratch_open(const char *folder, hone__scratch *out)
{
    *out = (hone__scratch){0};
#ifdef O_TMPFILE
    int fd = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
#else
    int fd = -1;
#endif
    if (fd < 0) fd = named_and_removed(folder);
    if (fd < 0)
        return hone__fail(HONE_E_IO, "%s: cannot make a file for what does not fit memory: %s", folder,
                          strerror(errno));
    *out = (hone__scratch){.open = true, .fd = fd};
    return HONE_OK;
}

void hone__scratch_close(hone__scratch *s)
{
    if (s->open) close(s->fd);
    *s = (hone__scratch){0};
}

hone_status hone__scratch_map(hone__scratch *s, size_t bytes, hone__map **out)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), end;
    *out = NULL;
    if (!hone__add_size(s->end, bytes, &end) || !hone__add_size(end, page - 1, &end) || end > INT64_MAX)
        return hone__fail(HONE_E_LIMIT, "a scratch file of over 2^63 bytes");
    hone__map *m = hone__calloc(1, sizeof *m);
    if (!m) return hone__out_of_memory(sizeof *m);
    int failed = posix_fallocate(s->fd, (off_t)s->end, (off_t)bytes);
    void *p = failed ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, (off_t)s->end);
    if (p == MAP_FAILED) {
        hone__free(m);
        return hone__fail(HONE_E_IO, "no room for %zu bytes beside the output: %s", bytes,
                          strerror(failed ? failed : errno));
    }
    *m = (hone__map){.data = p, .size = bytes, .refs = 1};
    s->end = end / page * page;
    *out = m;
    return HONE_OK;
}
