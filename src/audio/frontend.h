/* frontend.h: what stands between PCM and a model's input: raw samples, spectrogram, log-mel or MFCC,
 * described by text.
 * Order of work: scale, pre-emphasis, framing and window, |X|^power, mel, log and range, DCT, mean and std, layout. */
#ifndef HONE_AUDIO_FRONTEND_H
#define HONE_AUDIO_FRONTEND_H

#include <stddef.h>
#include <stdint.h>

#include "audio/mel.h"
#include "audio/stft.h"
#include "base/status.h"

enum { HONE__FRONTEND_BANDS_MAX = 512 };

typedef enum hone__feature_kind {
    HONE__FEATURE_RAW,
    HONE__FEATURE_LOG_MEL,
    HONE__FEATURE_MFCC,
    HONE__FEATURE_SPECTROGRAM /* every bin of the transform, no mel bands: fft_length/2 + 1 values a frame */
} hone__feature_kind;
typedef enum hone__log_kind { HONE__LOG_NONE, HONE__LOG_NATURAL, HONE__LOG_10, HONE__LOG_DB } hone__log_kind;
typedef enum hone__dct_norm {
    HONE__DCT_ORTHO, /* sqrt(2/N), the first coefficient by another sqrt(1/2): scipy, librosa, torchaudio */
    HONE__DCT_HTK    /* sqrt(2/N) for all: HTK, tf.signal.mfccs_from_log_mel_spectrograms */
} hone__dct_norm;
typedef enum hone__layout { HONE__LAYOUT_FRAMES_MELS, HONE__LAYOUT_MELS_FRAMES } hone__layout;
typedef enum hone__channel_axis { HONE__CHANNEL_NONE, HONE__CHANNEL_LAST, HONE__CHANNEL_FIRST } hone__channel_axis;

/* Field = key of the text. A missing key takes the value of hone__frontend_default. */
typedef struct hone__frontend_config {
    hone__feature_kind kind;
    int sample_rate;        /* Hz */
    int clip_samples;       /* the window that the model sees; shorter clips are followed by zeros */
    double sample_scale;    /* 1: full scale is 1; 32768: integers, as Kaldi */
    double preemphasis;     /* x[t] - preemphasis * x[t-1] over the clip; 0: none */
    hone__stft_config stft; /* keys frame_length hop_length fft_length window window_periodic frame_align pad power */
    int drop_last_frame;    /* 1: as openai-whisper */
    int mels;
    double fmin, fmax; /* Hz */
    hone__mel_scale mel_scale;
    hone__mel_norm mel_norm;
    hone__mel_triangle mel_triangle;
    hone__log_kind log;           /* none, natural, log10, db = 10 log10 */
    double log_floor, log_offset; /* log(max(v, log_floor) + log_offset) */
    double log_ref;   /* what 0 stands for; key log_ref is a number or `max`, kept as 0: the clip's largest */
    double log_range; /* what lies further below the clip's largest is lifted; in the units of `log`; 0: all stays */
    int n_mfcc;
    hone__dct_norm dct_norm;
    double lifter;             /* 0: none; else coefficient n is weighted by 1 + lifter/2 sin(pi (n+1) / lifter) */
    int mean_count, std_count; /* 1, or one per band (log_mel) or coefficient (mfcc) */
    float mean[HONE__FRONTEND_BANDS_MAX], std[HONE__FRONTEND_BANDS_MAX]; /* (v - mean) / std */
    hone__layout layout;
    hone__channel_axis channel_axis; /* where the shape has an axis of one channel */
} hone__frontend_config;

/* Log-mel of one second at 16 kHz: frames of 400 every 160, Hann, 80 HTK bands to 8 kHz, natural log over 1e-10. */
void hone__frontend_default(hone__frontend_config *config);

/* text: [n] bytes, lines `key=value`; blank lines and lines that begin with # are skipped. Every key at most once; an
 * unknown key, a value that makes no sense or values that contradict each other: HONE_E_FORMAT naming key and line. */
hone_status hone__frontend_parse(const char *text, size_t n, hone__frontend_config *out);

/* HONE_E_ARGUMENT naming the first field that makes no sense. */
hone_status hone__frontend_check(const hone__frontend_config *config);

/* Writes the text that parses to the same configuration, NUL included, as snprintf does: *needed counts what a complete
 * text takes, NUL included; at most `capacity` bytes are written. */
void hone__frontend_print(const hone__frontend_config *config, char *text, size_t capacity, size_t *needed);

/* Values of one frame: mels, n_mfcc or bins; 1 for raw. */
int hone__frontend_bands(const hone__frontend_config *config);

/* Shape of one clip without the batch axis. */
void hone__frontend_shape(const hone__frontend_config *config, int64_t dims[3], int *rank);

typedef struct hone__frontend hone__frontend; /* holds its scratch: one thread at a time */

hone_status hone__frontend_create(const hone__frontend_config *config, hone__frontend **out);
void hone__frontend_destroy(hone__frontend *frontend); /* NULL is fine */
const hone__frontend_config *hone__frontend_config_of(const hone__frontend *frontend);
size_t hone__frontend_values(const hone__frontend *frontend); /* floats of one clip's output */

/* pcm: [n] mono at sample_rate, 1 <= n <= clip_samples.  out: hone__frontend_values floats.  Allocates nothing.
 * A sample that is not finite, or so large that a feature is not, is HONE_E_FORMAT naming its index. */
hone_status hone__frontend_run(hone__frontend *frontend, const float *pcm, size_t n, float *out);

#endif
