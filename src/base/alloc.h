/* alloc.h (base): sized allocation through the replaceable allocator, and arenas. */
#ifndef HONE_BASE_ALLOC_H
#define HONE_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "hone/alloc.h"
#include "status.h"

/* Each block remembers its size. NULL when out of memory or n == 0. */
void *hone__malloc(size_t n);
void *hone__calloc(size_t count, size_t size);
void *hone__realloc(void *block, size_t n); /* NULL leaves `block` as it was */
void hone__free(void *block);               /* NULL is fine */
char *hone__strndup(const char *s, size_t n);

/* 64-byte aligned (one cache line, one AVX-512 register). Freed by hone__aligned_free. */
void *hone__aligned_malloc(size_t n);
void *hone__aligned_calloc(size_t n);
void hone__aligned_free(void *block);
/* What n bytes of such a block hold is not needed any more: their pages go back to the system until they are written to,
 * where libc's allocator is in use. */
void hone__aligned_idle(void *block, size_t n);

/* A bump allocator: everything in it dies together. Zero-initialise to start. Not thread-safe. */
typedef struct hone__arena {
    struct hone__chunk *chunks;
    size_t used, size; /* of the first chunk */
    size_t total;      /* bytes taken from the allocator */
} hone__arena;

void *hone__arena_alloc(hone__arena *arena, size_t n);  /* uninitialised, aligned to 16; NULL when out of memory */
void *hone__arena_zalloc(hone__arena *arena, size_t n); /* zeroed */
char *hone__arena_strndup(hone__arena *arena, const char *s, size_t n);
char *hone__arena_printf(hone__arena *arena, const char *format, ...) HONE__PRINTF(2, 3);
void hone__arena_free(hone__arena *arena);
void hone__arena_rewind(hone__arena *arena); /* everything in it is dead; its newest chunk is kept for reuse */

/* Grows *array (elements of `size` bytes) so that it holds `count + 1`; capacity doubles. Frees nothing on failure. */
hone_status hone__grow(void *array, size_t *capacity, size_t count, size_t size);

#endif
