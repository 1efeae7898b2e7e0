/* log_mel.h: Whisper's features (openai-whisper's audio.py): 16 kHz, windows of 400 samples every 160, Hann, 80 or 128
 * mel bands of librosa's Slaney scale, log10 over 1e-10, at most 8 below the largest of the whole sound, (x + 4) / 4.
 */
#ifndef HONE_AUDIO_LOG_MEL_H
#define HONE_AUDIO_LOG_MEL_H

#include <stddef.h>

#include "base/status.h"

enum { HONE__LOG_MEL_RATE = 16000, HONE__LOG_MEL_HOP = 160, HONE__LOG_MEL_REACH = 200 };

typedef struct hone__log_mel hone__log_mel; /* holds its scratch: one thread at a time */

hone_status hone__log_mel_create(size_t mels, hone__log_mel **out);
void hone__log_mel_destroy(hone__log_mel *mel); /* NULL is fine */

/* Frames [first, first + count) of a sound, of which pcm holds samples [at, at + n): all that lie within
 * HONE__LOG_MEL_REACH of the frames' middles (160 t) where the sound has them; beyond its end it is silent, in front of
 * its beginning mirrored. out: band m of frame t at out[m * stride + t - first], log10 of the power, not yet limited.
 * Returns the largest. Samples that are not finite, or beyond 1e15, count as 0. */
float hone__log_mel_run(hone__log_mel *mel, const float *pcm, size_t at, size_t n, size_t first, size_t count,
                        float *out, size_t stride);

/* count values become features, given the largest of the whole sound. */
void hone__log_mel_limit(float *values, size_t count, float largest);

#endif
