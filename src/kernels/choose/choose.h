/* choose.h: from scores of the next token to a token: rules that change one row of scores, top-p with a draw, and a
 * search over beams. Plain functions over arrays: operators and decoding share them. */
#ifndef HONE_KERNELS_CHOOSE_H
#define HONE_KERNELS_CHOOSE_H

#include <float.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The score of a token that may not come. */
#define HONE__BANNED (-FLT_MAX)

/* scores: [vocab]; ids: [n], what stands before. Ids outside of the vocabulary are passed over. */

/* Tokens that were there become less likely (Keskar et al. 2019). seen: [vocab], zeros before and after. */
void hone__choose_repeated(float *scores, size_t vocab, const int32_t *ids, size_t n, float penalty, uint8_t *seen);
/* Bans what would repeat a run of `size` tokens; 0: nothing. */
void hone__choose_new_ngrams(float *scores, size_t vocab, const int32_t *ids, size_t n, size_t size);
/* Bans what the mask [vocab] has as 0. */
void hone__choose_masked(float *scores, size_t vocab, const uint8_t *mask);

/* Whisper's timestamps: in pairs but the first, not decreasing, the first at most max_first after `begin`; and one of
 * them where all together are more likely than any text (openai-whisper's ApplyTimestampRules). scores: logarithms of
 * probabilities. Tokens that the model lacks are -1. */
typedef struct hone__timestamps {
    int32_t end_of_text, start, translate, transcribe, start_of_lm, none, begin;
    int32_t max_first;
} hone__timestamps;
void hone__choose_timestamps(float *scores, size_t vocab, const int32_t *ids, size_t n, const hone__timestamps *t);

/* The greatest; the first of equal ones. */
size_t hone__choose_best(const float *scores, size_t vocab);

/* Top-p: all but the most likely tokens whose probabilities together reach p get `otherwise`; at least `keep` stay.
 * cut: not the least likely whose sum stays within 1 - p, but those behind the first ones whose sum is over p.
 * order: [vocab], work: [vocab], `work` is left with the sums. */
typedef struct hone__top_p {
    float p, otherwise;
    size_t keep;
    bool cut;
} hone__top_p;
void hone__choose_top_p(float *scores, size_t vocab, const hone__top_p *t, uint32_t *order, float *work);

/* A token with the probability of its score under softmax: the first whose cumulated weight is over u, 0 <= u < 1, of
 * the whole. work: [vocab]. */
size_t hone__choose_drawn(const float *scores, size_t vocab, double u, double *work);

/* The generator that C++ calls minstd_rand0 (Park and Miller 1988), and its numbers in [0, 1) of 53 bits. */
uint32_t hone__choose_seed(uint32_t seed);
double hone__choose_uniform(uint32_t *state);

/* Beam search: `beams` sequences of each of `batch` entries grow together; one that ends in eos is kept with its score
 * divided by length^length_penalty, the best `beams` of them. */
typedef struct hone__kept {
    float score;
    size_t length, place; /* of its tokens among the found */
} hone__kept;

typedef struct hone__beams {
    /* set by the caller */
    size_t batch, beams, vocab, max_length;
    int32_t eos, pad;
    float length_penalty;
    bool early; /* an entry is done with its first `beams` ends, whatever may still come */
    /* made by hone__beams_start */
    size_t length; /* of every sequence so far */
    size_t open;   /* entries that are not done */
    int32_t *ids;  /* [batch * beams, max_length] */
    float *scores; /* [batch * beams] */
    int32_t *next; /* [batch * beams]: the newest token; */
    int32_t *from; /* and whose continuation it is, 0 .. batch * beams */
    int32_t *spare, *found;
    hone__kept *kept;
    size_t *kept_count;
    uint8_t *done;
    float *top;
    size_t *top_at;
} hone__beams;

/* Bytes of memory for all that; false when they are over 2^64. */
bool hone__beams_bytes(const hone__beams *b, size_t *bytes);
/* ids: [batch, length]. memory: zeroed, as aligned as malloc's. */
void hone__beams_start(hone__beams *b, void *memory, const int32_t *ids, size_t length);
/* scores: [batch * beams, vocab], those of the sequences included; vocab >= 2. */
void hone__beams_step(hone__beams *b, const float *scores);
/* ids: [batch, returned, max_length], padded. scores: [batch, returned] or NULL. returned <= beams. */
void hone__beams_finish(hone__beams *b, size_t returned, int32_t *ids, float *scores);

#endif
