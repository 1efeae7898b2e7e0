/* scratch.h: bytes that are too many for memory, in a file without a name: its pages are the system's to write out. */
#ifndef HONE_BASE_SCRATCH_H
#define HONE_BASE_SCRATCH_H

#include <stdbool.h>

#include "file.h"

/* Zero-initialised: none. */
typedef struct hone__scratch {
    bool open;
    int fd;
    size_t end;
} hone__scratch;

/* A file in `folder` that is gone with the process, at the latest. HONE_E_IO where none can be made there. */
hone_status hone__scratch_open(const char *folder, hone__scratch *out);
void hone__scratch_close(hone__scratch *scratch); /* what is mapped stays */
/* `bytes` (at least 1) of zeros to write to. HONE_E_IO where the disk is full: space is taken before it is written. */
hone_status hone__scratch_map(hone__scratch *scratch, size_t bytes, hone__map **out);

#endif
