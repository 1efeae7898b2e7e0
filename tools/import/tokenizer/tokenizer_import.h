/* tokenizer_import.h: published BPE tokenizers, over bytes and over characters, turned into the text of
 * src/text/tokenizer.h. */
#ifndef HONE_IMPORT_TOKENIZER_H
#define HONE_IMPORT_TOKENIZER_H

#include <stdbool.h>

#include "base/status.h"

/* `path`: a folder (tokenizer.json, else vocab.json + merges.txt with tokenizer_config.json, special_tokens_map.json
 * and added_tokens.json where they are), a tokenizer.json, or gpt2.tiktoken / multilingual.tiktoken, which get
 * Whisper's special tokens. *out is freed by hone__free. Errors name the file, the entry, and what hone does not know.
 */
hone_status hone__tokenizer_import(const char *path, char **out);

/* True where the folder or file is one that hone__tokenizer_import looks into. */
bool hone__tokenizer_is_importable(const char *path);

/* A tokenizer.json that lies in memory; `name` stands in messages. */
hone_status hone__tokenizer_import_json(const char *text, size_t size, const char *name, char **out);

/* A .tiktoken file that lies in memory, with the special tokens of Whisper. vocabulary: how many tokens the model has,
 * which says for how many languages (large-v3 has one more); 0: as the first models had them, 99. */
hone_status hone__tokenizer_import_tiktoken(const char *text, size_t size, const char *name, size_t vocabulary,
                                            char **out);

#endif
