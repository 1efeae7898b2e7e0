/* tokenizer_spec.h (text): what an import knows about a BPE tokenizer, and the text that keeps it.
 *
 * The text is HONE__TOKENIZER_MAGIC and base64 of: flags, vocabulary size, unknown id + 1, 256 x (id + 1 of the token
 * of the byte), the steps that cut, with HONE__BPE_LISTS those that normalise and those that decode, explicit tokens
 * (count, then id, length, bytes of each), merges (count, then left, right and what the id of the result is beyond the
 * last result's plus one, zigzag), added tokens (count, then id, flags, length, bytes), ids put before a text, ids put
 * behind it (count, ids each). Steps are a count, then kind, argument and texts (length, bytes) of each. Numbers are
 * LEB128. A token that is the result of a merge is written there only: its bytes are those of its halves. */
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
       HONE__BPE_NFC = 4,         /* before the steps that normalise */
       HONE__BPE_FUSE_UNKNOWN = 8,
       HONE__BPE_LISTS = 16,     /* it has steps that normalise, or that decode */
       HONE__BPE_CHARACTERS = 32 /* a word begins as the tokens of its characters; the tokens of bytes, whose texts are
                                    <0x00> to <0xFF>, are for characters that have none ("byte_fallback") */
};

enum {                       /* steps that cut text into words, one after the other */
       HONE__STEP_GPT2,      /* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
       HONE__STEP_CL100K,    /* (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|
                                \s*[\r\n]+|\s+(?!\S)|\s+ with n, the argument: 3 (GPT-4, Llama 3), 1 (Qwen 2) */
       HONE__STEP_DIGITS,    /* numbers apart from the rest; argument 1: every digit by itself */
       HONE__STEP_PREFIX,    /* a space before a piece that does not begin with one */
       HONE__STEP_METASPACE, /* text 0 instead of spaces and in front, by HONE__META_; decoding: the other way round */
       HONE__STEP_SPLIT,     /* at text 0; argument: one of HONE__SPLIT_, and HONE__SPLIT_INVERT */
       /* steps that normalise */
       HONE__STEP_NFC,
       HONE__STEP_PREPEND, /* text 0 */
       HONE__STEP_REPLACE, /* text 0 by text 1; decoding: in every token */
       /* steps that decode */
       HONE__STEP_BYTES, /* tokens <0x00> to <0xFF> are bytes; U+FFFD for each where a run of them is no UTF-8 */
       HONE__STEP_FUSE,  /* from here on all is one token */
       HONE__STEP_STRIP, /* of each token, text 0 at its beginning, as often as the argument says at the most */
       HONE__STEP_KINDS
};
enum {                        /* argument of HONE__STEP_METASPACE */
       HONE__META_NEVER = 0,  /* puts text 0 before no piece */
       HONE__META_FIRST = 1,  /* before the first piece of the text, if it does not begin so */
       HONE__META_ALWAYS = 2, /* before each such piece */
       HONE__META_SPLIT = 4,  /* and cuts before it */
};
enum {                       /* argument of HONE__STEP_SPLIT: matches of the text become */
       HONE__SPLIT_ISOLATED, /* words */
       HONE__SPLIT_REMOVED,  /* nothing */
       HONE__SPLIT_PREVIOUS, /* part of the word before */
       HONE__SPLIT_NEXT,     /* part of the word behind */
       HONE__SPLIT_TOGETHER, /* one word with matches beside them */
       HONE__SPLIT_BEHAVIORS,
       HONE__SPLIT_INVERT = 8 /* what lies between is a match */
};
enum { HONE__STEPS = 8, HONE__TOKEN_BYTES = 4096, HONE__AROUND = 64 }; /* limits */
enum {
    HONE__STEP_TEXT = 31,    /* bytes of a step's text */
    HONE__STEP_GROWTH = 4096 /* bytes that a list of steps may make of one */
};
typedef struct hone__step_text {
    uint8_t size;
    char bytes[HONE__STEP_TEXT];
} hone__step_text;
typedef struct hone__bpe_step {
    unsigned kind, argument;
    hone__step_text texts[2];
} hone__bpe_step;
typedef struct hone__step_list {
    hone__bpe_step items[HONE__STEPS];
    size_t count;
} hone__step_list;

/* How many texts a step of this kind has. */
static inline size_t hone__step_texts(unsigned kind)
{
    if (kind == HONE__STEP_REPLACE) return 2;
    return kind == HONE__STEP_METASPACE || kind == HONE__STEP_SPLIT || kind == HONE__STEP_PREPEND ||
           kind == HONE__STEP_STRIP;
}

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
    bool byte_fallback; /* with HONE__BPE_CHARACTERS: tokens <0x00> to <0xFF> stand for bytes */
    int64_t unknown;    /* id for bytes without a token; -1: they are dropped */
    hone__step_list cut, normalize, decode;
    hone__spec_token *tokens; /* [vocabulary size], by id */
    size_t token_count;
    hone__spec_merge *merges; /* the best first */
    size_t merge_count;
    hone__spec_added *added;
    size_t added_count;
    uint32_t before[HONE__AROUND], behind[HONE__AROUND];
    size_t before_count, behind_count;
} hone__tokenizer_spec;

/* The byte that stands in <0x00> to <0xFF>; -1: the text is none of them. */
int hone__byte_token(const char *text, size_t size);

/* The text of a tokenizer, NUL-terminated; hone__free it. */
hone_status hone__tokenizer_write(const hone__tokenizer_spec *spec, char **out);

#endif
