/* h5.h: the names, shapes, places and attributes of an HDF5 file, read by a confined child process.
 * Contiguous little-endian data is not copied: an item points into the caller's bytes. */
#ifndef HONE_IMPORT_H5_H
#define HONE_IMPORT_H5_H

#include "tensor/tensor.h"

typedef struct hone__h5_item {
    const char *path; /* "group/dataset", no leading slash */
    hone_dtype dtype; /* HONE_UNDEFINED: neither a number nor a bool */
    int rank;
    int64_t dims[HONE_MAX_RANK];
    bool in_file;    /* data lies at `offset` of the file image; otherwise inside hone__h5_spill */
    uint64_t offset; /* in the file image or in the spill */
    uint64_t bytes;  /* of the elements; 0 where there is nothing to read */
    uint64_t stored; /* bytes that the data takes in the file */
} hone__h5_item;

typedef struct hone__h5_attr {
    const char *owner, *name; /* owner "" is the root group */
    hone_dtype dtype;         /* HONE_STRING, HONE_I64 or HONE_F64 */
    size_t count;
    const hone__string *strings; /* for HONE_STRING */
    double number;               /* first element, otherwise */
} hone__h5_attr;

typedef struct hone__h5 hone__h5;

/* `data` must outlive the result. `name` is for messages. HONE_E_FORMAT for anything that the child could not read. */
hone_status hone__h5_open(const uint8_t *data, size_t size, const char *name, hone__h5 **out);
void hone__h5_close(hone__h5 *h5); /* NULL is fine */

size_t hone__h5_count(const hone__h5 *h5);
const hone__h5_item *hone__h5_at(const hone__h5 *h5, size_t index);       /* sorted by path */
const hone__h5_item *hone__h5_find(const hone__h5 *h5, const char *path); /* NULL: no such dataset */
const hone__h5_attr *hone__h5_attr_find(const hone__h5 *h5, const char *owner, const char *name);
bool hone__h5_has_group(const hone__h5 *h5, const char *path); /* some dataset or attribute lies in or below it */

/* Data that was decompressed or converted: mapped, never written to. NULL when there is none. */
hone__map *hone__h5_spill(const hone__h5 *h5);

/* Inside the child. Walks the image and writes the catalogue to `catalogue` and converted data to `spill`. */
void hone__h5_child(const uint8_t *data, size_t size, int catalogue, int spill);
/* Gives up every right that reading bytes in memory does not need. */
void hone__h5_confine(int catalogue, int spill, int alive, uint64_t image_size);
/* Processor time that a child gets for an image of `size` bytes, in seconds. */
uint64_t hone__h5_seconds(uint64_t size);
/* The most bytes a child may produce from an image of `size` bytes. */
static inline uint64_t hone__h5_output_limit(uint64_t size)
{
    return (256u << 20) + (size > (UINT64_MAX >> 8) ? UINT64_MAX >> 1 : size * 100);
}

#endif
