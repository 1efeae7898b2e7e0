/* write_text.h: prompts in, text out, through the model's tokenizer. */
#ifndef HONE_TASKS_WRITE_TEXT_H
#define HONE_TASKS_WRITE_TEXT_H

#include "tasks/generate.h"
#include "text/tokenizer.h"

/* A piece of sequence `index`: whole UTF-8 characters (perhaps none), never part of a stop string, with the token that
 * it came with. */
typedef hone__go_on (*hone__piece_fn)(void *ctx, size_t index, const char *text, size_t size, int32_t token, int last);

typedef struct hone__write_options {
    hone__generate_options generate; /* on_token is set here */
    const char *const *stops;        /* strings that end a sequence, and are not part of it */
    size_t stop_count;
    /* Texts that do not come, beside sampling.bad_words: the tokens of each by itself and behind a space; of one that
     * begins with a space as it stands. */
    const char *const *bad_words;
    size_t bad_word_count;
    bool special; /* special tokens are written out, too */
    hone__piece_fn on_piece;
    void *ctx;
} hone__write_options;

/* prompts[i]: the ids of a text. HONE_E_ARGUMENT for an empty bad word. */
hone_status hone__write_text(hone__decoder *decoder, const hone__tokenizer *tokenizer, const int32_t *const *prompts,
                             const size_t *lengths, size_t count, const hone__write_options *options);

#endif
