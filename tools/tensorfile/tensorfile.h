/* tensorfile.h: tensors in files. */
#ifndef HONE_TOOLS_TENSORFILE_H
#define HONE_TOOLS_TENSORFILE_H

#include "tensor/tensor.h"

typedef struct hone__named_tensor {
    char *name; /* "" for .npy; freed by hone__free */
    hone__tensor tensor;
} hone__named_tensor;

/* Reads .npy, .npz or .pb, by content. *out is freed by hone__tensor_list_free. */
hone_status hone__tensorfile_read(const char *path, hone__named_tensor **out, size_t *count);
void hone__tensor_list_free(hone__named_tensor *list, size_t count);

/* A .npy in memory; `name` is for messages. */
hone_status hone__npy_parse(const uint8_t *data, size_t size, const char *name, hone__tensor *out);

/* Writes a .npy (format 1.0), under a temporary name, then renamed. Types that NumPy lacks are refused. */
hone_status hone__npy_write(const char *path, hone_dtype dtype, int rank, const int64_t *dims, const void *data,
                            size_t bytes);

#endif
