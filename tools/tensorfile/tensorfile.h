/* tensorfile.h: tensors in files. */
#ifndef HONE_TOOLS_TENSORFILE_H
#define HONE_TOOLS_TENSORFILE_H

#include "graph/graph.h"

typedef struct hone__named_tensor {
    char *name; /* "" for .npy; freed by hone__free */
    hone__tensor tensor;
} hone__named_tensor;

/* Reads .npy, .npz or .pb, by content. `wrap` (HONE__OF_*) says what type of value a .pb holds, which does not say it
 * itself. *out is freed by hone__tensor_list_free. */
hone_status hone__tensorfile_read(const char *path, unsigned wrap, hone__named_tensor **out, size_t *count);
void hone__tensor_list_free(hone__named_tensor *list, size_t count);

/* What hone__tensorfile_read lets the arrays of one .npz take together. */
#define HONE__NPZ_MOST ((uint64_t)4 << 30)

/* A .npz in memory. HONE_E_LIMIT, naming the member, where the arrays or the members they lie in would take more than
 * `most` bytes together: no more is allocated, but for one member at a time while it is read. */
hone_status hone__npz_read(const hone__map *map, const char *path, uint64_t most, hone__named_tensor **out,
                           size_t *count);

/* A .npy in memory; `name` is for messages. HONE_E_LIMIT where its tensor would take more than `most` bytes. */
hone_status hone__npy_parse(const uint8_t *data, size_t size, const char *name, uint64_t most, hone__tensor *out);

/* `count` strings of `chars` UTF-32 characters each as UTF-8: text has room for 4 * chars * count bytes. */
hone_status hone__npy_decode(const uint8_t *data, size_t count, size_t chars, bool swap, char *text, hone__string *out);
/* The other way: *out, freed by hone__free, has the widest one's width. HONE_E_UNSUPPORTED where one is not UTF-8. */
hone_status hone__npy_encode(const hone__string *list, size_t count, size_t *chars, uint8_t **out);

/* Writes a .npy (format 1.0), under a temporary name, then renamed. Types that NumPy lacks are refused. */
hone_status hone__npy_write(const char *path, hone_dtype dtype, int rank, const int64_t *dims, const void *data,
                            size_t bytes);

#endif
