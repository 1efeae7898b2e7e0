/* alloc.h: the allocator that everything in libhone uses. */
#ifndef HONE_ALLOC_H
#define HONE_ALLOC_H

#include <stddef.h>

#include "hone/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* resize(ctx, NULL, 0, n) allocates, resize(ctx, p, old, n) resizes, resize(ctx, p, old, 0) frees and returns NULL.
 * Results are aligned for any C type. Must be safe to call from several threads. NULL for n > 0 means out of memory. */
typedef struct hone_allocator {
    void *(*resize)(void *ctx, void *block, size_t old_size, size_t new_size);
    void *ctx;
} hone_allocator;

/* Replaces the process-wide allocator; NULL restores malloc. Only while hone holds no memory. */
void hone_set_allocator(const hone_allocator *allocator);

#ifdef __cplusplus
}
#endif
#endif
