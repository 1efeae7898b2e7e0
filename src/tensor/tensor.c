/* tensor.c: blobs, shapes, tensors. */
#include "tensor.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "list.h"

hone_status hone__blob_new(size_t size, hone__blob **out)
{
    *out = NULL;
    hone__blob *b = hone__calloc(1, sizeof *b);
    if (!b) return hone__out_of_memory(sizeof *b);
    b->refs = 1;
    b->size = size;
    b->data = hone__aligned_calloc(size ? size : 1);
    if (!b->data) {
        hone__free(b);
        return hone__out_of_memory(size);
    }
    *out = b;
    return HONE_OK;
}

hone_status hone__blob_map(hone__map *map, size_t offset, size_t size, hone__blob **out)
{
    *out = NULL;
    if (!hone__range_ok(offset, size, map->size))
        return hone__fail(HONE_E_FORMAT, "bytes %zu to %zu lie outside the file (%zu bytes)", offset, offset + size,
                          map->size);
    hone__blob *b = hone__calloc(1, sizeof *b);
    if (!b) return hone__out_of_memory(sizeof *b);
    b->refs = 1;
    b->map = hone__map_ref(map);
    b->data = (uint8_t *)(uintptr_t)map->data + offset;
    b->size = size;
    *out = b;
    return HONE_OK;
}

hone_status hone__blob_borrow(const void *data, size_t size, hone__blob **out)
{
    hone__blob *b = *out = hone__calloc(1, sizeof *b);
    if (!b) return hone__out_of_memory(sizeof *b);
    *b = (hone__blob){.refs = 1, .borrowed = true, .data = (uint8_t *)(uintptr_t)data, .size = size};
    return HONE_OK;
}

hone__blob *hone__blob_ref(hone__blob *b)
{
    __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
    return b;
}

void hone__blob_idle(const hone__blob *b, size_t offset, size_t bytes)
{
    if (b->map) hone__map_idle(b->map, b->data + offset, bytes);
}

void hone__blob_unref(hone__blob *b)
{
    if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL)) return;
    if (b->map)
        hone__map_unref(b->map);
    else if (!b->borrowed)
        hone__aligned_free(b->data);
    if (b->account) *b->account -= hone__blob_cost(b->size);
    hone__free(b);
}

hone_status hone__shape_count(int rank, const int64_t *dims, size_t *count)
{
    size_t n = 1;
    bool zero = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return hone__fail(HONE_E_SHAPE, "dimension %d is %lld", i, (long long)dims[i]);
        if (dims[i] == 0)
            zero = true;
        else if (!hone__mul_size(n, (size_t)dims[i], &n) || n > (size_t)1 << 60)
            return hone__fail(HONE_E_LIMIT, "a shape has more than 2^60 elements");
    }
    *count = zero ? 0 : n;
    return HONE_OK;
}

hone_status hone__shape_bytes(hone_dtype dtype, int rank, const int64_t *dims, size_t *count, size_t *bytes)
{
    size_t bits = (size_t)hone__dtype_bits(dtype);
    if (!bits) return hone__fail(HONE_E_FORMAT, "element type %d is not known", (int)dtype);
    if (rank < 0 || rank > HONE_MAX_RANK)
        return hone__fail(HONE_E_UNSUPPORTED, "rank %d is over the limit of %d", rank, HONE_MAX_RANK);
    HONE__TRY(hone__shape_count(rank, dims, count));
    size_t total;
    if (!hone__mul_size(*count, bits, &total) || !hone__add_size(total, 7, &total))
        return hone__fail(HONE_E_LIMIT, "a tensor has more than 2^60 bytes");
    *bytes = total / 8;
    return HONE_OK;
}

static hone_status describe(hone_dtype dtype, int rank, const int64_t *dims, hone__tensor *out)
{
    *out = (hone__tensor){.dtype = dtype, .rank = rank};
    HONE__TRY(hone__shape_bytes(dtype, rank, dims, &out->count, &out->bytes));
    if (rank) memcpy(out->dims, dims, (size_t)rank * sizeof *dims);
    return HONE_OK;
}

hone_status hone__tensor_new(hone_dtype dtype, int rank, const int64_t *dims, hone__tensor *out)
{
    HONE__TRY(describe(dtype, rank, dims, out));
    HONE__TRY(hone__blob_new(out->bytes, &out->blob));
    out->data = out->blob->data;
    return HONE_OK;
}

hone_status hone__tensor_scratch(hone__scratch *scratch, hone_dtype dtype, int rank, const int64_t *dims,
                                 hone__tensor *out)
{
    enum { LARGE = 1 << 18 };
    hone__map *map;
    HONE__TRY(describe(dtype, rank, dims, out));
    if (!scratch || !scratch->open || out->bytes < LARGE) return hone__tensor_new(dtype, rank, dims, out);
    HONE__TRY(hone__scratch_map(scratch, out->bytes, &map));
    hone_status s = hone__blob_map(map, 0, out->bytes, &out->blob);
    hone__map_unref(map);
    HONE__TRY(s);
    out->blob->writable = true;
    out->data = out->blob->data;
    return HONE_OK;
}

hone_status hone__tensor_view(hone__blob *blob, size_t offset, hone_dtype dtype, int rank, const int64_t *dims,
                              hone__tensor *out)
{
    HONE__TRY(describe(dtype, rank, dims, out));
    if (!hone__range_ok(offset, out->bytes, blob->size))
        return hone__fail(HONE_E_FORMAT, "%zu bytes at %zu lie outside the %zu bytes that are there", out->bytes,
                          offset, blob->size);
    out->data = blob->data + offset;
    out->blob = hone__blob_ref(blob);
    return HONE_OK;
}

void *hone__tensor_write(hone__tensor *t)
{
    const hone__blob *b = t->blob;
    return b && !b->borrowed && (!b->map || b->writable) ? (void *)(uintptr_t)t->data : NULL;
}

hone_status hone__tensor_strings(int rank, const int64_t *dims, const hone__string *list, hone__tensor *out)
{
    HONE__TRY(describe(HONE_STRING, rank, dims, out));
    size_t total = out->bytes;
    for (size_t i = 0; i < out->count; i++)
        if (!hone__add_size(total, list[i].size, &total)) return hone__fail(HONE_E_LIMIT, "strings of over 2^60 bytes");
    HONE__TRY(hone__blob_new(total, &out->blob));
    out->data = out->blob->data;
    hone__string *to = (hone__string *)out->blob->data;
    char *text = (char *)out->blob->data + out->bytes;
    for (size_t i = 0; i < out->count; i++) {
        if (list[i].size) memcpy(text, list[i].data, list[i].size);
        to[i] = (hone__string){text, list[i].size};
        text += list[i].size;
    }
    return HONE_OK;
}

void hone__tensor_idle(const hone__tensor *t)
{
    if (t->blob) hone__blob_idle(t->blob, (size_t)((const uint8_t *)t->data - t->blob->data), t->bytes);
}

void hone__tensor_release(hone__tensor *t)
{
    if (t->kind == HONE_KIND_SEQUENCE) hone__list_unref((hone__list *)(uintptr_t)t->data);
    hone__blob_unref(t->blob);
    *t = (hone__tensor){0};
}

char *hone__shape_text(int rank, const int64_t *dims, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++) {
        const char *comma = i ? ", " : "";
        if (dims[i] < 0)
            used += (size_t)snprintf(text + used, size - used, "%s?", comma);
        else
            used += (size_t)snprintf(text + used, size - used, "%s%lld", comma, (long long)dims[i]);
    }
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}
