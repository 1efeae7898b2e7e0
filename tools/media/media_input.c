/* media_input.c: reading with pread on files and with read on pipes; interrupted calls are repeated. */
#include "tools/media/media_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/alloc.h"

enum { FIRST_HEAD = 1 << 16 };

hone_status hone__media_input_open(const char *path, media_input *in)
{
    struct stat st;
    bool standard = !strcmp(path, "-");
    *in = (media_input){.fd = STDIN_FILENO, .size = UINT64_MAX};
    if (!standard) {
        in->fd = open(path, O_RDONLY | O_CLOEXEC);
        in->owned = in->fd >= 0;
    }
    if (in->fd < 0 || fstat(in->fd, &st)) {
        hone_status s = hone__fail(HONE_E_IO, "%s", strerror(errno));
        hone__media_input_close(in);
        return s;
    }
    if (S_ISDIR(st.st_mode)) {
        hone__media_input_close(in);
        return hone__fail(HONE_E_IO, "is a directory");
    }
    /* standard input may be a file that somebody has read from already: then it is read on from there */
    if (S_ISREG(st.st_mode) && (!standard || lseek(in->fd, 0, SEEK_CUR) == 0)) {
        in->seekable = true;
        in->size = (uint64_t)st.st_size;
    }
    return HONE_OK;
}

void hone__media_input_close(media_input *in)
{
    if (in->owned) close(in->fd);
    in->owned = false;
    hone__free(in->head);
    in->head = NULL;
    in->head_size = 0;
}

/* n bytes from the descriptor; `at` counts for files only */
static hone_status read_fully(media_input *in, uint8_t *out, size_t n, uint64_t at, size_t *got)
{
    *got = 0;
    while (*got < n) {
        ssize_t r =
            in->seekable ? pread(in->fd, out + *got, n - *got, (off_t)(at + *got)) : read(in->fd, out + *got, n - *got);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) {
            in->error = errno;
            return hone__fail(HONE_E_IO, "cannot read at byte %llu: %s", (unsigned long long)at + *got,
                              strerror(errno));
        }
        if (r == 0) return HONE_OK;
        *got += (size_t)r;
    }
    return HONE_OK;
}

hone_status hone__media_input_head(media_input *in, size_t want)
{
    while (in->head_size < want && !in->complete) { /* grows with what arrives, not with what a header claims */
        size_t next = in->head_size < FIRST_HEAD ? FIRST_HEAD : 2 * in->head_size, got;
        if (next > want) next = want;
        uint8_t *grown = hone__realloc(in->head, next);
        if (!grown) return hone__out_of_memory(next);
        in->head = grown;
        size_t room = next - in->head_size;
        HONE__TRY(read_fully(in, grown + in->head_size, room, in->head_size, &got));
        in->head_size += got;
        if (got < room) break;
    }
    return HONE_OK;
}

hone_status hone__media_input_complete(media_input *in, size_t limit)
{
    if (in->seekable) return HONE_OK;
    HONE__TRY(hone__media_input_head(in, limit));
    if (in->head_size >= limit) return HONE_OK;
    in->complete = in->seekable = true;
    in->size = in->head_size;
    return HONE_OK;
}

hone_status hone__media_input_read(media_input *in, void *out, size_t n, size_t *got)
{
    size_t kept = 0;
    *got = 0;
    if (in->position < in->head_size) {
        kept = in->head_size - (size_t)in->position;
        if (kept > n) kept = n;
        memcpy(out, in->head + in->position, kept);
    }
    if (kept < n && !in->complete) HONE__TRY(read_fully(in, (uint8_t *)out + kept, n - kept, in->position + kept, got));
    *got += kept;
    in->position += *got;
    return HONE_OK;
}

bool hone__media_input_seek(media_input *in, uint64_t position)
{
    if (!in->seekable && position != in->position) return false;
    in->position = position;
    return true;
}
