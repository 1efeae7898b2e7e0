/* mel.h: triangular filters on a mel scale, parameterised as librosa, openai-whisper, torchaudio, TensorFlow and Keras.
 */
#ifndef HONE_AUDIO_MEL_H
#define HONE_AUDIO_MEL_H

#include <stddef.h>

#include "base/status.h"

typedef enum hone__mel_scale {
    HONE__MEL_HTK,   /* 2595 log10(1 + f/700) */
    HONE__MEL_SLANEY /* linear below 1 kHz, logarithmic above: the Auditory Toolbox */
} hone__mel_scale;

typedef enum hone__mel_norm {
    HONE__MEL_NORM_NONE,  /* peak 1 */
    HONE__MEL_NORM_SLANEY /* area 1: each filter divided by half its width in Hz */
} hone__mel_norm;

typedef enum hone__mel_triangle {
    HONE__MEL_TRIANGLE_HZ, /* sides straight over Hz: librosa, torchaudio, openai-whisper */
    HONE__MEL_TRIANGLE_MEL /* sides straight over mel: TensorFlow, Keras */
} hone__mel_triangle;

typedef struct hone__mel_config {
    int sample_rate, fft_length, mels;
    double fmin, fmax; /* Hz */
    hone__mel_scale scale;
    hone__mel_norm norm;
    hone__mel_triangle triangle;
} hone__mel_config;

typedef struct hone__mel hone__mel; /* never written after it was made */

hone_status hone__mel_create(const hone__mel_config *config, hone__mel **out);
void hone__mel_destroy(hone__mel *mel); /* NULL is fine */

/* spectrum: [fft_length/2 + 1].  out: [mels].  Allocates nothing. */
void hone__mel_apply(const hone__mel *mel, const double *spectrum, double *out);

/* The weights of band i; they stand for bins *first .. *first + *count - 1. */
const double *hone__mel_band(const hone__mel *mel, int i, int *first, int *count);

#endif
