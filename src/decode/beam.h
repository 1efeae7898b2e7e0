/* beam.h: beam search as the class GenerationMixin of transformers (since 4.50) does it: several sequences of one
 * prompt grow together, the likeliest continuations of all of them go on, those that end are kept by their score, which
 * is the sum of logarithms of probabilities divided by length^length_penalty. */
#ifndef HONE_DECODE_BEAM_H
#define HONE_DECODE_BEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* When the search ends, besides at `most` tokens: when no running sequence is likely to become better than what is
 * kept, judged at its present length (LIKELY); as soon as `beams` are kept (FULL); when none can (NEVER: judged at
 * `most` tokens where longer ones score higher). */
typedef enum hone__early { HONE__EARLY_LIKELY, HONE__EARLY_FULL, HONE__EARLY_NEVER } hone__early;

typedef struct hone__beam_options {
    size_t beams, most; /* most: new tokens */
    float length_penalty;
    hone__early early;
    const int32_t *ends; /* borrowed */
    size_t end_count;
} hone__beam_options;

typedef struct hone__beam hone__beam;

/* prompt: [length], copied. HONE_E_ARGUMENT where beams or most are 0. */
hone_status hone__beam_create(const hone__beam_options *options, const int32_t *prompt, size_t length, size_t vocab,
                              hone__beam **out);
void hone__beam_destroy(hone__beam *beam); /* NULL is fine */

/* Running sequence i < beams: [*length] ids, the prompt included. */
const int32_t *hone__beam_running(const hone__beam *beam, size_t i, size_t *length);

/* scores: [beams, vocab] logarithms of probabilities after the rules, row i for running sequence i (before the first
 * step all rows are one). Sequence i goes on from what sequence from[i] had, with its last id; false: the search has
 * ended. */
bool hone__beam_grow(hone__beam *beam, const float *scores, int32_t *from);

/* The kept sequences, the best first: [*length] new ids. NULL where fewer were kept. */
const int32_t *hone__beam_kept(const hone__beam *beam, size_t i, size_t *length);

#endif
