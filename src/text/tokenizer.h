/* tokenizer.h (text): text to token ids and back, as the model's own tokenizer does it.
 *
 * A tokenizer is made from one text, which an import writes (tokenizer_spec.h) and which an ONNX file carries in its
 * metadata under HONE__TOKENIZER_KEY. It never changes afterwards: threads may share it, each with its own lists. */
#ifndef HONE_TEXT_TOKENIZER_H
#define HONE_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "unicode.h"

#define HONE__TOKENIZER_KEY "hone.tokenizer"

typedef struct hone__tokenizer hone__tokenizer;

/* Reads such a text of `size` bytes (nothing of it is kept). Errors say what is wrong with it and where. */
hone_status hone__tokenizer_create(const void *blob, size_t size, hone__tokenizer **out);
void hone__tokenizer_destroy(hone__tokenizer *t); /* NULL is fine */

/* Ids that grow at the end, and what encoding remembers from call to call (words seen before). Zero-initialise; set
 * `count` to 0 to start again. One thread at a time. */
typedef struct hone__token_list {
    uint32_t *ids;
    size_t count, capacity;
    struct hone__token_scratch *scratch;
} hone__token_list;
void hone__token_list_free(hone__token_list *list);

/* Appends the ids of `size` bytes of text, in time linear in size (n log n inside one word). Bytes that are no UTF-8
 * are encoded by themselves, so that decoding gives back what was encoded (where the tokenizer does not normalise and
 * has a token for every byte). add_special: with what the model expects around a text, such as a token for its
 * beginning. The texts of special tokens inside `text` become those tokens, as in the tokenizers library. On failure
 * the list is as before. */
hone_status hone__tokenizer_encode(const hone__tokenizer *t, const char *text, size_t size, bool add_special,
                                   hone__token_list *list);

/* Appends the bytes of `count` ids. Ids that no token has (padding of an embedding table) have no bytes.
 * skip_special: without special tokens. */
hone_status hone__tokenizer_decode(const hone__tokenizer *t, const uint32_t *ids, size_t count, bool skip_special,
                                   hone__text *out);

/* Decoding token by token: what has been put out never ends inside a UTF-8 character, and all of it together is what
 * hone__tokenizer_decode gives. Zero-initialise. */
typedef struct hone__text_stream {
    const hone__tokenizer *tokenizer;
    hone__text held; /* bytes that wait for more of their character, or of their kind */
    size_t done[8];  /* by the steps that decode */
} hone__text_stream;
hone_status hone__text_stream_put(hone__text_stream *stream, const hone__tokenizer *t, uint32_t id, bool skip_special,
                                  hone__text *out);
hone_status hone__text_stream_end(hone__text_stream *stream, hone__text *out); /* appends what is held, and frees */
void hone__text_stream_free(hone__text_stream *stream); /* of a stream that is given up; it is empty again */

size_t hone__tokenizer_size(const hone__tokenizer *t); /* ids are below it */
/* The bytes of a token, before steps that decode; NULL where no token has this id. Not terminated. */
const char *hone__tokenizer_bytes(const hone__tokenizer *t, uint32_t id, size_t *size);
bool hone__tokenizer_is_special(const hone__tokenizer *t, uint32_t id);
/* The id of an added or special token by its text, such as "<|endoftext|>"; -1: there is none. */
int64_t hone__tokenizer_id(const hone__tokenizer *t, const char *text);

#endif
