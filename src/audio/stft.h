/* stft.h: power spectra of short, windowed pieces of a signal, framed as librosa, torch, TensorFlow and Keras do. */
#ifndef HONE_AUDIO_STFT_H
#define HONE_AUDIO_STFT_H

#include <stddef.h>

#include "base/status.h"

typedef enum hone__window {
    HONE__WINDOW_HANN,
    HONE__WINDOW_HAMMING,
    HONE__WINDOW_BLACKMAN,
    HONE__WINDOW_ONES
} hone__window;

/* Where a window shorter than the transform lies in it, and how long a frame of the signal therefore is.
 * CENTER: zeros on both sides, frames of fft_length (librosa, torch, Keras).
 * LEFT: zeros after it, frames of frame_length (tf.signal). */
typedef enum hone__align { HONE__ALIGN_CENTER, HONE__ALIGN_LEFT } hone__align;

/* What the signal is continued with: nothing (only whole frames), or fft_length/2 samples on both sides that mirror it
 * (without the edge sample), are zero, or repeat the edge; or zeros after it until ceil(n / hop) frames are there. */
typedef enum hone__pad { HONE__PAD_NONE, HONE__PAD_REFLECT, HONE__PAD_ZERO, HONE__PAD_EDGE, HONE__PAD_END } hone__pad;

typedef struct hone__stft_config {
    int frame_length, hop_length, fft_length; /* samples; 1 <= frame_length <= fft_length */
    hone__window window;
    int periodic; /* 1: period frame_length; 0: symmetric, period frame_length - 1, as TensorFlow always has it for odd
                     lengths */
    hone__align align;
    hone__pad pad;
    double power; /* exponent of the magnitude: 1, 2 or any other > 0 */
} hone__stft_config;

typedef struct hone__stft hone__stft; /* holds its scratch: one thread at a time */

hone_status hone__stft_create(const hone__stft_config *config, hone__stft **out);
void hone__stft_destroy(hone__stft *stft); /* NULL is fine */

/* Frames of a signal of n samples; 0 where it is too short for one (or for mirroring). */
size_t hone__stft_frames(const hone__stft_config *config, size_t n);

/* pcm: [n].  out: [fft_length/2 + 1], |X|^power of frame t < hone__stft_frames(n). Allocates nothing. */
void hone__stft_frame(hone__stft *stft, const float *pcm, size_t n, size_t t, double *out);

#endif
