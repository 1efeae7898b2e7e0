/* tokenizer_build.h: what the readers of tokenizer files share: a specification that grows. */
#ifndef HONE_IMPORT_TOKENIZER_BUILD_H
#define HONE_IMPORT_TOKENIZER_BUILD_H

#include <jansson.h>

#include "base/alloc.h"
#include "text/tokenizer_spec.h"

enum { SHOWN = 60 }; /* bytes of a file's text that a message quotes */

typedef struct token_build {
    const char *name; /* of the file, in messages */
    hone__arena arena;
    hone__tokenizer_spec spec;
    size_t token_capacity, merge_capacity, added_capacity;
    json_t *vocabulary; /* token -> id; borrowed */
    json_t *added;      /* the same of added tokens, as far as they are C strings */
    size_t named;       /* tokens with an id */
    bool byte_level, cut_to_bytes, around;
} token_build;

void hone__token_build_free(token_build *b);
/* The text of the tokenizer, once it has been read back successfully. */
hone_status hone__token_build_write(token_build *b, char **out);

/* Takes over an object of token -> id, whose tokens are in the alphabet of byte-level BPE, or with the spec's
 * HONE__BPE_CHARACTERS texts. */
hone_status hone__token_build_vocabulary(token_build *b, json_t *vocabulary);
/* Gives `id` these bytes, which live as long as the build. `place` stands in messages. */
hone_status hone__token_build_token(token_build *b, int64_t id, const char *bytes, size_t size, bool plain,
                                    const char *place);
/* A merge of two tokens of the vocabulary; number `index` in its list. */
hone_status hone__token_build_merge(token_build *b, const char *left, const char *right, size_t index);
hone_status hone__token_build_merge_ids(token_build *b, uint32_t left, uint32_t right, uint32_t result);
hone_status hone__token_build_added(token_build *b, int64_t id, const char *text, size_t size, unsigned flags);
/* A step at the end of one of the spec's lists, and a text of the step that came last. `where` stands in messages. */
hone_status hone__token_build_step(token_build *b, hone__step_list *list, unsigned kind, unsigned argument);
hone_status hone__token_build_text(token_build *b, hone__step_list *list, unsigned which, const char *text, size_t size,
                                   const char *where);
bool hone__token_build_is_added(const token_build *b, const char *text);
/* The id of a token of the vocabulary or an added one; -1: none. */
int64_t hone__token_build_find(const token_build *b, const char *text);
hone_status hone__token_build_around(token_build *b, bool behind, int64_t id, const char *text);

#endif
