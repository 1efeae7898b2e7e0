/* onnx.h: .onnx files to and from the graph. */
#ifndef HONE_ONNX_ONNX_H
#define HONE_ONNX_ONNX_H

#include "graph/graph.h"

/* Reads a file (IR 3 to 14): weights stay in the mapping, functions are inlined, old opsets are lifted to the meaning
 * of HONE__OPSET. External data is opened only inside the model's folder. Errors name `path` and the place. */
hone_status hone__onnx_read(const char *path, hone__model **out);
/* The same from memory: `data` must outlive the model. `name` is for messages. External data is refused. */
hone_status hone__onnx_parse(const void *data, size_t size, const char *name, hone__model **out);

/* A file of one value (.pb, as ONNX's test data are): `wrap` (HONE__OF_*) says of which type. *holder owns *name;
 * destroy it after use. */
hone_status hone__onnx_read_value(hone__map *map, const char *path, unsigned wrap, hone__tensor *out, const char **name,
                                  hone__model **holder);

/* Writes `path` (temporary name, then rename). Initializers go inside the file, or, when `external` is not NULL, those
 * of at least 1 KB into that file beside it (64-byte aligned offsets). */
hone_status hone__onnx_write(hone__model *model, const char *path, const char *external);
/* Several files that are renamed together, all or none as far as renaming can fail; weights that are the same bytes in
 * several of them lie in `external` once. At most HONE__ONNX_FILES. */
enum { HONE__ONNX_FILES = 8 };
typedef struct hone__onnx_file {
    hone__model *model;
    const char *path;
} hone__onnx_file;
hone_status hone__onnx_write_files(const hone__onnx_file *files, size_t count, const char *external);
/* Weights of half precision that are only cast to float32 lose their casts: hone__onnx_write then writes them as
 * float32, piece by piece. The model is good for nothing else afterwards. */
hone_status hone__onnx_widen(hone__model *model);

#define HONE__OPSET 21        /* what imported graphs are written in */
#define HONE__OPSET_NEWEST 28 /* operators have the meaning of this one */

#endif
