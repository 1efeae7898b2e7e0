/* vad_energy.h: voice activity without a model: how far the bands of a log-mel spectrum stand above a running noise
 * floor, and how uneven they then are. Steady noise is even above its floor; speech has formants. */
#ifndef HONE_AUDIO_VAD_ENERGY_H
#define HONE_AUDIO_VAD_ENERGY_H

#include <stdbool.h>
#include <stddef.h>

enum { HONE__VAD_BANDS = 24 };

/* Zeroed to start. */
typedef struct hone__vad_energy {
    float floor[HONE__VAD_BANDS], peak; /* log10 of power */
    bool started;
} hone__vad_energy;

/* bands: [HONE__VAD_BANDS][stride], of which [count] frames of 10 ms, as hone__log_mel_run leaves them. The first
 * frames (10 s of the first call at most) tell where the floor begins. evidence: [count], above 0 for speech. */
void hone__vad_energy_run(hone__vad_energy *vad, const float *bands, size_t stride, size_t count, float *evidence);

/* In place: the evidence of a whole sound, over 70 ms around each frame, as a probability. */
void hone__vad_energy_scores(float *evidence, size_t count);

#endif
