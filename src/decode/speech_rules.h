/* speech_rules.h: which token may come next in a transcript, as openai-whisper's decoding.py defines it: SuppressBlank,
 * SuppressTokens and ApplyTimestampRules, in this order. */
#ifndef HONE_DECODE_SPEECH_RULES_H
#define HONE_DECODE_SPEECH_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hone__speech_rules {
    size_t vocab;
    int32_t end;               /* <|endoftext|>: below it is text */
    int32_t first_timestamp;   /* <|0.00|>: from it on are timestamps */
    int32_t no_timestamps;     /* <|notimestamps|>; -1: the model has none */
    const int32_t *suppressed; /* never come; borrowed, as is the next */
    size_t suppressed_count;
    const int32_t *blank; /* do not come first: what a lone space is; the end does not, either */
    size_t blank_count;
    bool keep_end;        /* but the end may come first */
    bool timestamps;      /* pairs of timestamps around the pieces of text */
    int32_t most_initial; /* timestamps: the first is at most <|0.00|> + this; -1: any */
} hone__speech_rules;

/* scores: [vocab], changed: what may not come is minus infinity. made: [n] tokens behind the prompt. */
void hone__speech_rules_apply(const hone__speech_rules *rules, float *scores, const int32_t *made, size_t n);

/* scores become logarithms of probabilities. */
void hone__log_softmax(float *scores, size_t n);

#endif
