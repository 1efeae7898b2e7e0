/* tokenizer_spec.h (text): what an import knows about a byte-level BPE tokenizer, and the text that keeps it.
 *
 * The text is HONE__TOKENIZER_MAGIC and base64 of: flags, vocabulary size, unknown id + 1, 256 x (id + 1 of the token
 * of the byte), steps (count, then kind and argument of each), explicit tokens (count, then id, length, bytes of each),
 * merges (count, then left, right and what the id of the result is beyond the last result's plus one, zigzag), added
 * tokens (count, then id, flags, length, bytes), ids put before a text, ids put behind it (count, ids each). Numbers
 * are LEB128. A token that is the result of a merge is written there only: its bytes are those of its halves. */
#ifndef HONE_TEXT_TOKENIZER_SPEC_H
#define HONE_TEXT_TOKENIZER_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define HONE__TOKENIZER_MAGIC "hone byte-level-bpe 1\n"

enum {                            /* flags of a tokenizer */
       HONE__BPE_WHOLE_WORDS = 1, /* a word that is a token is this token, whatever the merges say ("ignore_merges") */
       HONE__BPE_RANK_IS_ID = 2,  /* of several merges the one with the lowest result goes first (.tiktoken) */
       HONE__BPE_NFC = 4,
       HONE__BPE_FUSE_UNKNOWN = 8
};

enum {                    /* steps that cut text into words, one after the other */
       HONE__STEP_GPT2,   /* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
       HONE__STEP_CL100K, /* (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
                             \s+(?!\S)|\s+ with n, the argument: 3 (GPT-4, Llama 3), 1 (Qwen 2) */
       HONE__STEP_DIGITS, /* numbers apart from the rest; argument 1: every digit by itself */
       HONE__STEP_PREFIX, /* a space before a piece that does not begin with one */
       HONE__STEP_KINDS
};
typedef struct hone__bpe_step {
    unsigned kind, argument;
} hone__bpe_step;
enum { HONE__STEPS = 8, HONE__TOKEN_BYTES = 4096, HONE__AROUND = 64 }; /* limits */

typedef struct hone__spec_token {
    const char *bytes; /* NULL: no token has this id */
    size_t size;
    bool plain; /* these are the bytes; otherwise text that no encoding leads to */
} hone__spec_token;

typedef struct hone__spec_merge {
    uint32_t left, right, result;
} hone__spec_merge;

enum {
    HONE__ADDED_SPECIAL = 1,
    HONE__ADDED_LSTRIP = 2,
    HONE__ADDED_RSTRIP = 4,
    HONE__ADDED_WORD = 8,
    HONE__ADDED_NORMALIZED = 16
};
typedef struct hone__spec_added {
    uint32_t id;
    unsigned flags;
    const char *text;
    size_t size;
} hone__spec_added;

typedef struct hone__tokenizer_spec {
    unsigned flags;
    int64_t unknown; /* id for bytes without a token; -1: they are dropped */
    hone__bpe_step steps[HONE__STEPS];
    size_t step_count;
    hone__spec_token *tokens; /* [vocabulary size], by id */
    size_t token_count;
    hone__spec_merge *merges; /* the best first */
    size_t merge_count;
    hone__spec_added *added;
    size_t added_count;
    uint32_t before[HONE__AROUND], behind[HONE__AROUND];
    size_t before_count, behind_count;
} hone__tokenizer_spec;

/* The text of a tokenizer, NUL-terminated; hone__free it. */
hone_status hone__tokenizer_write(const hone__tokenizer_spec *spec, char **out);

#endif
