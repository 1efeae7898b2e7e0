/* media_input.h: bytes of a file or a pipe, with the beginning kept so that its kind can be told first. */
#ifndef HONE_TOOLS_MEDIA_INPUT_H
#define HONE_TOOLS_MEDIA_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct media_input {
    int fd;
    bool owned;    /* the descriptor is closed with it */
    bool seekable; /* a regular file, or a pipe that is complete */
    bool complete; /* all of it is in `head` */
    uint64_t size; /* UINT64_MAX: not known */
    uint64_t position;
    uint8_t *head; /* the first head_size bytes */
    size_t head_size;
    int error; /* errno of a failed read, 0: none */
} media_input;

hone_status hone__media_input_open(const char *path, media_input *in); /* "-": standard input */
void hone__media_input_close(media_input *in);

/* Keeps at least the first `want` bytes, or all where the file is shorter. */
hone_status hone__media_input_head(media_input *in, size_t want);

/* Takes a pipe of at most `limit` bytes into memory as a whole, so that it can be read as a file is: containers with
 * their index at the end, exact lengths. A longer one stays a pipe, with `limit` bytes kept. A file is left as it is.
 */
hone_status hone__media_input_complete(media_input *in, size_t limit);

/* Up to n bytes at the position; fewer only at the end. A failed read is HONE_E_IO. */
hone_status hone__media_input_read(media_input *in, void *out, size_t n, size_t *got);

/* False where a pipe cannot go there. */
bool hone__media_input_seek(media_input *in, uint64_t position);

#endif
