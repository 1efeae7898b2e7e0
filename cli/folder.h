/* folder.h: a model as a folder: model.onnx, its weights beside it, and the files that came with the source. */
#ifndef HONE_CLI_FOLDER_H
#define HONE_CLI_FOLDER_H

#include "cli.h"
#include "passes/parts.h"

/* Where -o of a language model means a folder: an existing one, or a name that does not end in ".onnx". */
bool folder_wanted(const char *out);

/* Makes OUT where it is not there, and a place for new files in it: before the work, so that it is not done in vain. */
hone_status folder_open(const char *out);

/* Writes model.onnx, or the files of `layout` for an encoder and decoder, with all weights in model.onnx_data, into the
 * folder that is open, and copies what Hugging Face keeps beside the
 * weights in `source`. After a failure all files that were there are as before, and none is new. */
hone_status folder_save(hone__model *model, hone__layout_kind layout, const char *source);

/* Removes what is not in place, and OUT where it is new and empty. Fine where nothing is open. */
void folder_close(void);
/* The same for a signal handler that ends the process: async-signal-safe. */
void folder_remove_pending(void);

/* The model file of a folder, or the path itself: [PATH_MAX]. HONE_E_IO where the folder has none, with `missing`,
 * which says what was looked for. */
hone_status folder_model(const char *path, const char *missing, char *file);

/* Bytes of a folder's model, and of the weights beside it. */
size_t folder_bytes(const char *folder);

#endif
