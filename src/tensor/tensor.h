/* tensor.h: dense tensors over counted bytes. */
#ifndef HONE_TENSOR_TENSOR_H
#define HONE_TENSOR_TENSOR_H

#include <stdbool.h>

#include "hone/tensor.h"
#include "base/alloc.h"
#include "base/scratch.h"
#include "base/status.h"

/* Counted bytes: owned, or a part of a mapping. Several tensors may share one. */
typedef struct hone__blob {
    int refs;
    hone__map *map; /* NULL when owned or borrowed */
    bool borrowed;  /* the bytes belong to the caller and outlive the blob */
    bool writable;  /* mapped, and not from a file that others read */
    uint8_t *data;
    size_t size;
    size_t *account; /* what the blob costs was added here and is taken off again; NULL: nobody counts */
} hone__blob;

hone_status hone__blob_new(size_t size, hone__blob **out);                                /* zeroed, 64-byte aligned */
hone_status hone__blob_map(hone__map *map, size_t offset, size_t size, hone__blob **out); /* takes a reference on map */
hone_status hone__blob_borrow(const void *data, size_t size, hone__blob **out);
hone__blob *hone__blob_ref(hone__blob *blob);
void hone__blob_unref(hone__blob *blob);                                   /* NULL is fine */
void hone__blob_idle(const hone__blob *blob, size_t offset, size_t bytes); /* hone__map_idle where it is a file's */

typedef hone_string hone__string;

/* A value: nearly always a dense tensor. `data` lies inside `blob` (strings: an array of hone__string inside it, their
 * bytes behind). Of a sequence, dtype is that of its elements, `data` a hone__list (list.h) of which the first `count`
 * items belong to this value, rank and bytes are 0. Of an empty optional only dtype counts. */
typedef struct hone__tensor {
    hone_dtype dtype;
    int rank;
    int64_t dims[HONE_MAX_RANK];
    const void *data;
    size_t bytes, count;
    hone__blob *blob;
    hone_kind kind;
} hone__tensor;

int hone__dtype_bits(hone_dtype dtype); /* of one element; 0 for undefined; strings: of hone__string */
static inline size_t hone__dtype_size(hone_dtype d) { return (size_t)hone__dtype_bits(d) / 8; } /* 0 below 8 bits */
bool hone__dtype_is_float(hone_dtype dtype); /* includes the 16-, 8- and 4-bit ones */
bool hone__dtype_is_int(hone_dtype dtype);   /* signed or unsigned, any width; not bool */
bool hone__dtype_is_signed(hone_dtype dtype);

/* Elements and bytes of a shape; HONE_E_LIMIT when a product passes 2^62, HONE_E_SHAPE for a negative dimension. */
hone_status hone__shape_count(int rank, const int64_t *dims, size_t *count);
hone_status hone__shape_bytes(hone_dtype dtype, int rank, const int64_t *dims, size_t *count, size_t *bytes);

/* A new zeroed tensor that owns its bytes. Write through hone__tensor_write. */
hone_status hone__tensor_new(hone_dtype dtype, int rank, const int64_t *dims, hone__tensor *out);
/* The same, in the scratch file where it is a large one; NULL or none: in memory. */
hone_status hone__tensor_scratch(hone__scratch *scratch, hone_dtype dtype, int rank, const int64_t *dims,
                                 hone__tensor *out);
/* A tensor of strings that owns a copy of their bytes. */
hone_status hone__tensor_strings(int rank, const int64_t *dims, const hone__string *list, hone__tensor *out);
/* A tensor over `bytes` at `offset` of a blob (takes a reference). The range must lie inside the blob and be as long as
 * the shape says. */
hone_status hone__tensor_view(hone__blob *blob, size_t offset, hone_dtype dtype, int rank, const int64_t *dims,
                              hone__tensor *out);
void *hone__tensor_write(hone__tensor *tensor);     /* only for tensors from the two above that nobody else holds */
void hone__tensor_release(hone__tensor *tensor);    /* any value */
void hone__tensor_idle(const hone__tensor *tensor); /* hone__blob_idle of its bytes */

/* Element i as a double or int64, whatever the numeric type (floats truncate to int64 and saturate). */
double hone__element_f64(hone_dtype dtype, const void *data, size_t i);
int64_t hone__element_i64(hone_dtype dtype, const void *data, size_t i);
/* Stores v with the type's own rounding (round to nearest even for floats, saturation for integers below 64 bits). */
void hone__element_set_f64(hone_dtype dtype, void *data, size_t i, double v);
void hone__element_set_i64(hone_dtype dtype, void *data, size_t i, int64_t v);

/* "[2, 3]" into text; returns text. Negative dimensions print as '?'. */
char *hone__shape_text(int rank, const int64_t *dims, char *text, size_t size);

/* A tensor over bytes that somebody else keeps. */
static inline void hone__view(hone__tensor *t, hone_dtype dtype, int rank, const int64_t *dims, const void *data)
{
    *t = (hone__tensor){.dtype = dtype, .rank = rank, .data = data, .count = 1};
    for (int i = 0; i < rank; i++) {
        t->dims[i] = dims[i];
        t->count *= (size_t)dims[i];
    }
    t->bytes = t->count * hone__dtype_size(dtype);
}

#endif
