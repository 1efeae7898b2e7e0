/* sampler.h: chooses the next token as the LogitsProcessor and LogitsWarper classes of transformers do, in their
 * order: penalties, runs and words that may not come, the least length, forced tokens, bans, then temperature, top-k,
 * top-p, min-p, typical, then a draw or the best. */
#ifndef HONE_DECODE_SAMPLER_H
#define HONE_DECODE_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct hone__tokens {
    const int32_t *ids;
    size_t count;
} hone__tokens;

typedef struct hone__sampling {
    float temperature; /* 0: the best token, always */
    int32_t top_k;     /* 0: all */
    float top_p;       /* 1: all; of the most likely, those whose probabilities together reach it */
    float min_p;       /* 0: all; at least this share of the best token's probability */
    float typical_p;   /* 1: all (Meister et al. 2022) */
    float repetition;  /* 1: none; scores of tokens that were there are divided (Keskar et al. 2019) */
    float presence;    /* 0: none; subtracted once from tokens that were generated */
    float frequency;   /* 0: none; likewise for each time */
    size_t no_repeat;  /* 0: none; runs of so many tokens come once */
    size_t least;      /* new tokens before one of `ends` may come */
    const int32_t *ends;
    size_t end_count;
    hone__tokens banned;           /* never come */
    hone__tokens begin_banned;     /* do not come first: where `first` is forced, right behind it */
    const hone__tokens *bad_words; /* runs that do not come, the prompt's end counted in; one of `ends` alone does */
    size_t bad_word_count;
    int32_t first, last; /* the only ones that come as the first new token and as number `most`; -1: any */
    size_t most;         /* new tokens; 0: not known */
    uint32_t seed;
} hone__sampling;
#define HONE__SAMPLING_INIT ((hone__sampling){.top_p = 1, .typical_p = 1, .repetition = 1, .first = -1, .last = -1})

typedef struct hone__sampler hone__sampler;

/* `sampling` is copied, its lists are borrowed. HONE_E_ARGUMENT names a number that makes no sense, and a list
 * with a token that the vocabulary lacks. */
hone_status hone__sampler_create(const hone__sampling *sampling, size_t vocab, hone__sampler **out);
void hone__sampler_destroy(hone__sampler *sampler); /* NULL is fine */
/* ids: [n], all tokens so far, of which the first `prompt` were given. scores: [vocab], changed. One generator per
 * `stream`, so that what one sequence draws does not depend on the others. */
int32_t hone__sampler_next(hone__sampler *sampler, float *scores, const int32_t *ids, size_t n, size_t prompt,
                           uint32_t *stream);
/* All up to the bans, without a choice. */
void hone__sampler_rules(hone__sampler *sampler, float *scores, const int32_t *ids, size_t n, size_t prompt);
/* The generator of sequence `index`. */
uint32_t hone__sampler_stream(const hone__sampler *sampler, size_t index);

#endif
