/* alloc.c: sized blocks over hone_allocator, aligned blocks, arenas, growing arrays. */
#define _DEFAULT_SOURCE /* madvise */
#include "alloc.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "checked.h"

static void *libc_resize(void *ctx, void *block, size_t old_size, size_t new_size)
{
    (void)ctx;
    (void)old_size;
    if (new_size) return realloc(block, new_size);
    free(block);
    return NULL;
}

static hone_allocator current = {libc_resize, NULL};

void hone_set_allocator(const hone_allocator *allocator)
{
    if (allocator)
        current = *allocator;
    else
        current = (hone_allocator){libc_resize, NULL};
}

/* A header of 16 bytes keeps the size, so that the allocator always learns it, and keeps the alignment. */
typedef union header {
    size_t size;
    max_align_t align;
    char pad[16];
} header;

/* Fresh zeros cost nothing where libc gets them from the system: pages that nobody touches take no memory. */
static header *new_block(size_t total, bool zeros)
{
    header *h;
    if (zeros && current.resize == libc_resize)
        h = calloc(1, total);
    else if ((h = current.resize(current.ctx, NULL, 0, total)) && zeros)
        memset(h, 0, total);
    if (h) h->size = total;
    return h;
}

static void *new_payload(size_t n, bool zeros)
{
    size_t total;
    if (!n || !hone__add_size(n, sizeof(header), &total)) return NULL;
    header *h = new_block(total, zeros);
    return h ? h + 1 : NULL;
}

void *hone__malloc(size_t n) { return new_payload(n, false); }

void *hone__calloc(size_t count, size_t size)
{
    size_t n;
    return hone__mul_size(count, size, &n) ? new_payload(n, true) : NULL;
}

void *hone__realloc(void *block, size_t n)
{
    size_t total;
    if (!block) return hone__malloc(n);
    if (!n || !hone__add_size(n, sizeof(header), &total)) return NULL;
    header *h = (header *)block - 1;
    h = current.resize(current.ctx, h, h->size, total);
    if (!h) return NULL;
    h->size = total;
    return h + 1;
}

void hone__free(void *block)
{
    if (!block) return;
    header *h = (header *)block - 1;
    current.resize(current.ctx, h, h->size, 0);
}

char *hone__strndup(const char *s, size_t n)
{
    char *p = hone__malloc(n + 1);
    if (!p) return NULL;
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

enum { ALIGN = 64 };

static void *aligned(size_t n, bool zeros)
{
    size_t total;
    if (!n || !hone__add_size(n, ALIGN + sizeof(void *), &total)) return NULL;
    char *raw = new_payload(total, zeros);
    if (!raw) return NULL;
    char *p = (char *)(((uintptr_t)raw + sizeof(void *) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
    memcpy(p - sizeof(void *), &raw, sizeof raw);
    return p;
}

void *hone__aligned_malloc(size_t n) { return aligned(n, false); }

void *hone__aligned_calloc(size_t n) { return aligned(n, true); }

void hone__aligned_idle(void *block, size_t n)
{
#if defined(__linux__)
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)block + page - 1) & ~(page - 1),
                    end = ((uintptr_t)block + n) & ~(page - 1);
    if (block && begin < end && current.resize == libc_resize)
        madvise((void *)begin, end - begin, MADV_DONTNEED); /* of private memory: zeros from here on */
#else
    (void)block, (void)n;
#endif
}

void hone__aligned_free(void *block)
{
    if (!block) return;
    void *raw;
    memcpy(&raw, (char *)block - sizeof raw, sizeof raw);
    hone__free(raw);
}

typedef struct hone__chunk {
    struct hone__chunk *next;
    size_t pad; /* keeps what follows aligned to 16 */
} chunk;

void *hone__arena_alloc(hone__arena *a, size_t n)
{
    size_t rounded;
    if (!hone__add_size(n, 15, &rounded)) return NULL;
    rounded &= ~(size_t)15;
    if (!a->chunks || a->size - a->used < rounded) {
        /* chunks grow with the arena, so that a small graph stays small and a big one takes few calls */
        size_t body = a->total < 4096 ? 4096 : a->total < (1u << 20) ? a->total : (1u << 20);
        if (rounded > body) body = rounded;
        size_t bytes;
        if (!hone__add_size(body, sizeof(chunk), &bytes)) return NULL;
        chunk *c = hone__malloc(bytes);
        if (!c) return NULL;
        c->next = a->chunks;
        a->chunks = c;
        a->used = 0;
        a->size = body;
        a->total += bytes;
    }
    void *p = (char *)(a->chunks + 1) + a->used;
    a->used += rounded;
    return p;
}

void *hone__arena_zalloc(hone__arena *a, size_t n)
{
    void *p = hone__arena_alloc(a, n);
    if (p) memset(p, 0, n);
    return p;
}

char *hone__arena_strndup(hone__arena *a, const char *s, size_t n)
{
    size_t bytes;
    if (!hone__add_size(n, 1, &bytes)) return NULL;
    char *p = hone__arena_alloc(a, bytes);
    if (!p) return NULL;
    if (n) memcpy(p, s, n);
    p[n] = 0;
    return p;
}

char *hone__arena_printf(hone__arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = n < 0 ? NULL : hone__arena_alloc(a, (size_t)n + 1);
    if (p) vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    return p;
}

void hone__arena_free(hone__arena *a)
{
    for (chunk *c = a->chunks; c;) {
        chunk *next = c->next;
        hone__free(c);
        c = next;
    }
    *a = (hone__arena){0};
}

void hone__arena_rewind(hone__arena *a)
{
    chunk *keep = a->chunks;
    if (!keep) return;
    for (chunk *c = keep->next, *next; c; c = next) {
        next = c->next;
        hone__free(c);
    }
    keep->next = NULL;
    a->used = 0;
    a->total = a->size + sizeof(chunk);
}

hone_status hone__grow(void *array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) return HONE_OK;
    size_t want = *capacity ? *capacity : 8, bytes;
    while (want <= count)
        if (!hone__mul_size(want, 2, &want)) return hone__out_of_memory(~0ull);
    if (!hone__mul_size(want, size, &bytes)) return hone__out_of_memory(~0ull);
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = hone__realloc(old, bytes);
    if (!grown) return hone__out_of_memory(bytes);
    memcpy(array, &grown, sizeof grown);
    *capacity = want;
    return HONE_OK;
}
