/* file.c: POSIX mapping and atomic output. */
#define _GNU_SOURCE
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"

hone_status hone__map_fd(int fd, const char *name, hone__map **out)
{
    struct stat st;
    *out = NULL;
    if (fstat(fd, &st)) return hone__fail(HONE_E_IO, "%s: %s", name, strerror(errno));
    if (S_ISDIR(st.st_mode)) return hone__fail(HONE_E_IO, "%s: is a directory", name);
    if (!S_ISREG(st.st_mode)) return hone__fail(HONE_E_IO, "%s: is not a regular file", name);
    hone__map *m = hone__calloc(1, sizeof *m);
    if (!m) return hone__out_of_memory(sizeof *m);
    m->refs = 1;
    m->size = (size_t)st.st_size;
    if (m->size) {
        void *p = mmap(NULL, m->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            hone__free(m);
            return hone__fail(errno == ENOMEM ? HONE_E_MEMORY : HONE_E_IO, "%s: cannot map: %s", name, strerror(errno));
        }
        m->data = p;
    }
    *out = m;
    return HONE_OK;
}

hone_status hone__map_open(const char *path, hone__map **out)
{
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return hone__fail(HONE_E_IO, "%s: %s", path, strerror(errno));
    hone_status s = hone__map_fd(fd, path, out);
    close(fd);
    return s;
}

bool hone__is_lfs_pointer(const void *data, size_t size)
{
    static const char pointer[] = "version https://git-lfs";
    return size >= sizeof pointer && !memcmp(data, pointer, sizeof pointer - 1);
}

hone__map *hone__map_ref(hone__map *m)
{
    __atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED);
    return m;
}

void hone__map_idle(const hone__map *m, const void *data, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)data + bytes) / page * page, first = (uintptr_t)m->data;
    if (begin < end && begin >= first && end <= first + m->size) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void hone__map_unref(hone__map *m)
{
    if (!m || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL)) return;
    if (m->data) munmap((void *)(uintptr_t)m->data, m->size);
    hone__free(m);
}

hone_status hone__file_read(const char *path, size_t limit, uint8_t **out, size_t *size)
{
    *out = NULL;
    *size = 0;
    int standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return hone__fail(HONE_E_IO, "%s: %s", path, strerror(errno));
    const char *name = standard ? "standard input" : path;
    uint8_t *buffer = NULL;
    size_t capacity = 0, used = 0;
    hone_status s = HONE_OK;
    for (;;) {
        if (used == capacity) {
            size_t want = capacity ? capacity * 2 : 1u << 16;
            uint8_t *grown = hone__realloc(buffer, want);
            if (!grown) {
                s = hone__out_of_memory(want);
                break;
            }
            buffer = grown;
            capacity = want;
        }
        ssize_t n = read(fd, buffer + used, capacity - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) s = hone__fail(HONE_E_IO, "%s: %s", name, strerror(errno));
        if (n <= 0) break;
        used += (size_t)n;
        if (used > limit) {
            s = hone__fail(HONE_E_LIMIT, "%s: is larger than %zu bytes", name, limit);
            break;
        }
    }
    if (!standard) close(fd);
    if (s != HONE_OK) {
        hone__free(buffer);
        return s;
    }
    *out = buffer;
    *size = used;
    return HONE_OK;
}

/* Temporary files now open; more than these are not known to a signal handler. */
enum { PENDING = 16 };
static char *volatile pending[PENDING];

static void note_pending(char *path)
{
    for (int i = 0; i < PENDING; i++) {
        char *none = NULL;
        if (__atomic_compare_exchange_n(&pending[i], &none, path, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return;
    }
}

static void forget_pending(const char *path)
{
    for (int i = 0; path && i < PENDING; i++) {
        char *same = (char *)(uintptr_t)path;
        if (__atomic_compare_exchange_n(&pending[i], &same, NULL, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return;
    }
}

void hone__output_remove_pending(void)
{
    for (int i = 0; i < PENDING; i++) {
        const char *path = pending[i];
        if (path) unlink(path);
    }
}

/* A device or a pipe is written to, not replaced. */
static hone_status open_special(const char *path, hone__output *o)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    o->path = hone__strndup(path, strlen(path));
    o->file = fd >= 0 && o->path ? fdopen(fd, "wb") : NULL;
    if (o->file) return HONE_OK;
    hone_status s =
        fd < 0 ? hone__fail(HONE_E_IO, "%s: cannot open: %s", path, strerror(errno)) : hone__out_of_memory(1);
    if (fd >= 0) close(fd);
    hone__output_abandon(o);
    return s;
}

hone_status hone__output_open(const char *path, hone__output *o)
{
    *o = (hone__output){0};
    struct stat st;
    if (!stat(path, &st)) {
        if (S_ISDIR(st.st_mode)) return hone__fail(HONE_E_IO, "%s: is a directory", path);
        if (!S_ISREG(st.st_mode)) return open_special(path, o);
    }
    size_t n = strlen(path);
    o->path = hone__strndup(path, n);
    o->temporary = hone__malloc(n + sizeof ".tmp-XXXXXX");
    if (!o->path || !o->temporary) {
        hone__output_abandon(o);
        return hone__out_of_memory(n);
    }
    memcpy(o->temporary, path, n);
    memcpy(o->temporary + n, ".tmp-XXXXXX", sizeof ".tmp-XXXXXX");
    note_pending(o->temporary); /* before the file is there: mkostemp makes its name in place, and then the file */
    int fd = mkostemp(o->temporary, O_CLOEXEC);
    if (fd < 0) {
        hone_status s = hone__fail(HONE_E_IO, "%s: cannot create: %s", path, strerror(errno));
        forget_pending(o->temporary);
        hone__free(o->temporary);
        o->temporary = NULL;
        hone__output_abandon(o);
        return s;
    }
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(fd, 0666 & ~mask)) { /* the default mode of mkostemp stays: only narrower */
    }
    o->file = fdopen(fd, "wb");
    if (!o->file) {
        close(fd);
        hone__output_abandon(o);
        return hone__fail(HONE_E_MEMORY, "%s: cannot open a stream", path);
    }
    return HONE_OK;
}

hone_status hone__output_write(hone__output *o, const void *data, size_t n)
{
    if (n && fwrite(data, 1, n, o->file) != n)
        return hone__fail(HONE_E_IO, "%s: cannot write: %s", o->path, strerror(errno));
    return HONE_OK;
}

static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? hone__strndup(path, slash == path ? 1 : (size_t)(slash - path)) : hone__strndup(".", 1);
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    hone__free(folder);
}

hone_status hone__output_sync(hone__output *o)
{
    if (fflush(o->file) || (fsync(fileno(o->file)) && errno != EINVAL && errno != EROFS))
        return hone__fail(HONE_E_IO, "%s: cannot write: %s", o->path, strerror(errno));
    return HONE_OK;
}

hone_status hone__output_commit(hone__output *o)
{
    hone_status s = hone__output_sync(o);
    if (fclose(o->file) && s == HONE_OK) s = hone__fail(HONE_E_IO, "%s: cannot write: %s", o->path, strerror(errno));
    o->file = NULL;
    if (s == HONE_OK && o->temporary && rename(o->temporary, o->path))
        s = hone__fail(HONE_E_IO, "%s: cannot rename into place: %s", o->path, strerror(errno));
    if (s == HONE_OK && o->temporary) {
        sync_folder(o->path);
        forget_pending(o->temporary);
        hone__free(o->temporary);
        o->temporary = NULL;
    }
    hone__output_abandon(o);
    return s;
}

void hone__output_abandon(hone__output *o)
{
    if (o->file) fclose(o->file);
    if (o->temporary) unlink(o->temporary);
    forget_pending(o->temporary);
    hone__free(o->temporary);
    hone__free(o->path);
    *o = (hone__output){0};
}
