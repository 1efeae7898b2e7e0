/* checkpoint.h: the weights of a Hugging Face folder by name, each where it lies in its mapped file. */
#ifndef HONE_IMPORT_CHECKPOINT_H
#define HONE_IMPORT_CHECKPOINT_H

#include "graph/graph.h"

typedef struct hone__stored {
    const char *name, *file; /* file: of the folder, for messages */
    hone__tensor tensor;     /* as it lies: with strides or swapped, its bytes are no row-major numbers */
    int64_t *strides;        /* per dimension, in elements; NULL: row by row */
    bool swapped;            /* the highest byte of a number comes first */
    hone__value *value;      /* what the graph has made of it; NULL until it is taken */
} hone__stored;

typedef struct hone__checkpoint {
    hone__arena arena;
    hone__stored *list; /* sorted by name once open */
    size_t count, capacity;
    uint64_t file_bytes;
    hone__scratch scratch; /* for copies; none: in memory */
    uint64_t copied;       /* bytes of tensors that did not lie as they are used */
} hone__checkpoint;

/* model.safetensors, else the shards of model.safetensors.index.json, else pytorch_model.bin, else the shards of
 * pytorch_model.bin.index.json. Zero-initialise; closing is right after a failure, too. */
hone_status hone__checkpoint_open(const char *folder, hone__checkpoint *out);
void hone__checkpoint_close(hone__checkpoint *checkpoint);
hone__stored *hone__checkpoint_find(const hone__checkpoint *checkpoint, const char *name); /* NULL: not there */

/* The tensor as row-major numbers of this machine: the mapped bytes themselves where they are that, else a copy. What
 * is copied in all may be as large as the files; HONE_E_LIMIT beyond. The caller releases it. */
hone_status hone__checkpoint_dense(hone__checkpoint *checkpoint, const hone__stored *stored, hone__tensor *out);

/* For readers of a format: takes over the tensor, also on failure. Names may come twice until they are sorted. */
hone_status hone__checkpoint_add(hone__checkpoint *checkpoint, const char *name, const char *file,
                                 hone__tensor *tensor);
/* HONE_E_FORMAT naming a tensor that is there twice. */
hone_status hone__checkpoint_sort(hone__checkpoint *checkpoint);

/* One file of a format. `file` is its name in messages, and kept by the entries: it lives as long as the checkpoint. */
hone_status hone__safetensors_read(hone__map *map, const char *file, hone__checkpoint *out);
hone_status hone__torch_read(hone__map *map, const char *file, hone__checkpoint *out);

#endif
