/* folder.h: a model as a folder: model.onnx, its weights beside it, and the files that came with the source. */
#ifndef HONE_CLI_FOLDER_H
#define HONE_CLI_FOLDER_H

#include "cli.h"
#include "graph/graph.h"

/* Where -o of a language model means a folder: an existing one, or a name that does not end in ".onnx". */
bool folder_wanted(const char *out);

/* Writes OUT/model.onnx and OUT/model.onnx_data, and copies what Hugging Face keeps beside the weights in `source`.
 * Makes OUT where it is not there; after a failure nothing new is left. */
hone_status folder_save(hone__model *model, const char *out, const char *source);

/* The model file of a folder, or the path itself: [PATH_MAX]. HONE_E_IO where the folder has none, with `missing`,
 * which says what was looked for. */
hone_status folder_model(const char *path, const char *missing, char *file);

/* Bytes of a folder's model, and of the weights beside it. */
size_t folder_bytes(const char *folder);

#endif
