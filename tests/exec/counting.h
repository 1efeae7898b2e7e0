/* counting.h: an allocator that counts its calls, lets one of them fail, and knows how many bytes are held. */
#ifndef HONE_TESTS_COUNTING_H
#define HONE_TESTS_COUNTING_H

#include <stdlib.h>

#include "hone/alloc.h"

static size_t calls, fail_at, live;

static void *counting(void *ctx, void *block, size_t old_size, size_t new_size)
{
    (void)ctx;
    if (!new_size) {
        live -= old_size;
        free(block);
        return NULL;
    }
    if (++calls == fail_at) return NULL;
    void *p = realloc(block, new_size);
    if (p) live += new_size - old_size;
    return p;
}

static const hone_allocator counter = {counting, NULL};

#endif
