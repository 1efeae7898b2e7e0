/* tokenizer_files.h: between the readers of this folder. */
#ifndef HONE_IMPORT_TOKENIZER_FILES_H
#define HONE_IMPORT_TOKENIZER_FILES_H

#include "tokenizer_build.h"

/* An added token as tokenizer.json and tokenizer_config.json describe it. */
hone_status hone__token_added_object(token_build *b, const json_t *object, int64_t id);
/* "left right" */
hone_status hone__token_merge_line(token_build *b, const char *text, size_t size, size_t index);
/* vocab.json and merges.txt of a folder, with what stands beside them. */
hone_status hone__tokenizer_import_folder(const char *folder, char **out);

#endif
