/* speech_beam.h: beam search as openai-whisper's decoding.py does it (BeamSearchDecoder, MaximumLikelihoodRanker): it
 * ends when `beams * patience` sequences have ended, and ranks at the end. */
#ifndef HONE_DECODE_SPEECH_BEAM_H
#define HONE_DECODE_SPEECH_BEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct hone__speech_beam hone__speech_beam;

/* most: new tokens of a sequence. patience: 1 as published (Kasai et al. 2022). HONE_E_ARGUMENT where numbers make no
 * sense. */
hone_status hone__speech_beam_create(size_t beams, float patience, size_t most, int32_t end, size_t vocab,
                                     hone__speech_beam **out);
void hone__speech_beam_destroy(hone__speech_beam *beam); /* NULL is fine */

/* Running sequence i < beams: [*length] new tokens. */
const int32_t *hone__speech_beam_running(const hone__speech_beam *beam, size_t i, size_t *length);
/* scores: [beams, vocab] logarithms of probabilities after the rules; row i for running sequence i. Sequence i goes on
 * from what sequence from[i] had. False: enough sequences have ended. */
bool hone__speech_beam_grow(hone__speech_beam *beam, const float *scores, int32_t *from);
/* The likeliest sequence, without its end: *sum is its sum of logarithms, of the end, too. length_penalty < 0: by the
 * mean; else by ((5 + length) / 6)^length_penalty. Call once, when no more grows. */
const int32_t *hone__speech_beam_best(hone__speech_beam *beam, float length_penalty, size_t *length, double *sum);

/* What sequences are ranked by. */
double hone__speech_rank(double sum, size_t length, float length_penalty);

#endif
