/* torch_maker.h: archives as torch.save writes them, byte by byte, so that tests can make wrong ones, too. */
#ifndef HONE_TESTS_TORCH_MAKER_H
#define HONE_TESTS_TORCH_MAKER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bytes {
    uint8_t *data;
    size_t size, room;
} bytes;

static inline void put(bytes *b, const void *data, size_t n)
{
    if (b->size + n > b->room) {
        b->room = 2 * (b->size + n) + 64;
        uint8_t *grown = realloc(b->data, b->room);
        if (!grown) abort();
        b->data = grown;
    }
    if (n) memcpy(b->data + b->size, data, n);
    b->size += n;
}

static inline void put_number(bytes *b, uint64_t v, int n)
{
    for (int i = 0; i < n; i++) put(b, &(uint8_t){(uint8_t)(v >> (8 * i))}, 1);
}

static inline void put_code(bytes *b, uint8_t code) { put(b, &code, 1); }

/* Pickles */

static inline void put_text(bytes *b, const char *text)
{
    put_code(b, 'X');
    put_number(b, strlen(text), 4);
    put(b, text, strlen(text));
}

static inline void put_int(bytes *b, int64_t v)
{
    put_code(b, 0x8a);
    put_code(b, 8);
    put_number(b, (uint64_t)v, 8);
}

static inline void put_class(bytes *b, const char *module, const char *name)
{
    put_code(b, 'c');
    put(b, module, strlen(module));
    put(b, "\n", 1);
    put(b, name, strlen(name));
    put(b, "\n", 1);
}

static inline void put_ints(bytes *b, int rank, const int64_t *v)
{
    put_code(b, '(');
    for (int i = 0; i < rank; i++) put_int(b, v[i]);
    put_code(b, 't');
}

typedef struct torch_view {
    const char *storage, *key; /* "FloatStorage", "0" */
    int64_t elements, offset;
    int rank;
    int64_t dims[12], strides[12];
} torch_view;

static inline void put_storage(bytes *b, const torch_view *v)
{
    put_code(b, '(');
    put_text(b, "storage");
    put_class(b, "torch", v->storage);
    put_text(b, v->key);
    put_text(b, "cpu");
    put_int(b, v->elements);
    put(b, "tQ", 2);
}

static inline void put_tensor(bytes *b, const torch_view *v)
{
    put_class(b, "torch._utils", "_rebuild_tensor_v2");
    put_code(b, '(');
    put_storage(b, v);
    put_int(b, v->offset);
    put_ints(b, v->rank, v->dims);
    put_ints(b, v->rank, v->strides);
    put_code(b, 0x89);
    put_class(b, "collections", "OrderedDict");
    put(b, ")RtR", 4);
}

/* {"w": the tensor} */
static inline bytes pickle_of(const torch_view *v)
{
    bytes b = {0};
    put(&b, "\x80\x02}", 3);
    put_text(&b, "w");
    put_tensor(&b, v);
    put(&b, "s.", 2);
    return b;
}

/* Zip archives of stored members */

typedef struct archive {
    bytes file, directory;
    unsigned entries, method;
    int wide; /* sizes and places in 64 bits */
} archive;

static inline void put_header(bytes *b, const archive *a, const char *name, size_t size, int central, size_t local)
{
    int wide = central && a->wide;
    put_number(b, central ? 0x02014b50 : 0x04034b50, 4);
    if (central) put_number(b, 45, 2);
    put_number(b, 45, 2), put_number(b, 0x800, 2), put_number(b, a->method, 2);
    put_number(b, 0, 4), put_number(b, 0, 4); /* time, checksum */
    for (int i = 0; i < 2; i++) put_number(b, wide ? UINT32_MAX : size, 4);
    put_number(b, strlen(name), 2), put_number(b, wide ? 32 : 0, 2);
    if (central) {
        put_number(b, 0, 2), put_number(b, 0, 2), put_number(b, 0, 2), put_number(b, 0, 4);
        put_number(b, wide ? UINT32_MAX : local, 4);
    }
    put(b, name, strlen(name));
    if (!wide) return;
    put_number(b, 9, 2), put_number(b, 0, 2); /* another field in front */
    put_number(b, 1, 2), put_number(b, 24, 2);
    put_number(b, size, 8), put_number(b, size, 8), put_number(b, local, 8);
}

static inline void add_member(archive *a, const char *name, const void *data, size_t size)
{
    size_t local = a->file.size;
    put_header(&a->directory, a, name, size, 1, local);
    put_header(&a->file, a, name, size, 0, 0);
    put(&a->file, data, size);
    a->entries++;
}

/* The whole file; the archive is gone then. */
static inline bytes finish(archive *a)
{
    size_t at = a->file.size, n = a->directory.size;
    put(&a->file, a->directory.data, n);
    if (a->wide) {
        size_t end = a->file.size;
        put_number(&a->file, 0x06064b50, 4), put_number(&a->file, 44, 8), put_number(&a->file, 0x2d002d, 4);
        put_number(&a->file, 0, 8), put_number(&a->file, a->entries, 8), put_number(&a->file, a->entries, 8);
        put_number(&a->file, n, 8), put_number(&a->file, at, 8);
        put_number(&a->file, 0x07064b50, 4), put_number(&a->file, 0, 4), put_number(&a->file, end, 8);
        put_number(&a->file, 1, 4);
    }
    put_number(&a->file, 0x06054b50, 4), put_number(&a->file, 0, 4);
    for (int i = 0; i < 2; i++) put_number(&a->file, a->wide ? 0xffff : a->entries, 2);
    put_number(&a->file, a->wide ? UINT32_MAX : n, 4), put_number(&a->file, a->wide ? UINT32_MAX : at, 4);
    put_number(&a->file, 0, 2);
    free(a->directory.data);
    bytes whole = a->file;
    uint8_t *tight = realloc(whole.data, whole.size); /* so that a sanitizer sees every byte too far */
    if (tight) whole.data = tight;
    *a = (archive){0};
    return whole;
}

#endif
