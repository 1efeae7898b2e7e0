/* transcribe.h: sound of any length to text, as openai-whisper's transcribe.py does it: windows of 30 s, each from
 * where the last one's text ends, with what was said before as the prompt, and colder to hotter draws where a text
 * looks wrong. */
#ifndef HONE_TASKS_TRANSCRIBE_H
#define HONE_TASKS_TRANSCRIBE_H

#include <math.h>

#include "audio/vad_spans.h"
#include "tasks/speech.h"

/* Where samples come from: mono, 16 kHz. read: [n] samples from `at` on into `to`; how many there were, fewer only at
 * the end. It is read several times from its beginning; meanwhile places asked for lie at most a window back, of speech
 * alone where there is a vad. A failure is told by *status. */
typedef struct hone__sound {
    size_t (*read)(void *ctx, size_t at, float *to, size_t n, hone_status *status);
    void *ctx;
    size_t samples; /* in all */
} hone__sound;

typedef struct hone__segment {
    size_t id, seek;   /* seek: frame (10 ms) that its window began at */
    double start, end; /* s */
    const char *text;  /* NUL-terminated; with its leading space */
    const int32_t *ids;
    size_t count;
    double temperature, mean, compression, no_speech; /* of its window */
} hone__segment;

typedef struct hone__transcribe_options {
    int64_t language; /* index; -1: found from the first window */
    bool translate, timestamps, condition, carry_prompt;
    const char *prompt;      /* of the first window; NULL: none */
    double temperatures[16]; /* in the order in which they are tried */
    size_t temperature_count;
    double most_compression, least_mean, most_no_speech; /* NAN: not looked at */
    double least_entropy; /* of the last 32 tokens of a text of more, as whisper.cpp does it; NAN */
    size_t most_prompt;   /* tokens of what was said before */
    size_t best_of, beams;
    float patience, length_penalty;
    const int32_t *suppressed; /* NULL: the tokens' own */
    size_t suppressed_count;
    bool suppress_blank;
    const double *clips; /* [clip_count] starts and ends in s; odd: the last goes to the end */
    size_t clip_count;
    size_t audio_frames;      /* of the encoder's window; 0: all. A window of less sound than that is cut to it */
    size_t force;             /* tokens per window, whatever they are; 0: off */
    struct hone__vad *vad;    /* finds the speech, which alone is transcribed, stitched together; times told, and clips,
                               * are those of the whole sound. NULL: all of it is transcribed */
    hone__vad_options speech; /* for vad */
    uint32_t seed;
    /* Every segment, in order; true: enough. */
    bool (*on_segment)(void *ctx, const hone__segment *segment);
    void (*on_progress)(void *ctx, double seconds);
    void *ctx;
} hone__transcribe_options;
#define HONE__TRANSCRIBE_OPTIONS_INIT                                       \
    ((hone__transcribe_options){.language = -1,                             \
                                .timestamps = true,                         \
                                .condition = true,                          \
                                .temperatures = {0, 0.2, 0.4, 0.6, 0.8, 1}, \
                                .temperature_count = 6,                     \
                                .most_compression = 2.4,                    \
                                .least_entropy = NAN,                       \
                                .most_prompt = SIZE_MAX,                    \
                                .least_mean = -1,                           \
                                .most_no_speech = 0.6,                      \
                                .best_of = 1,                               \
                                .beams = 1,                                 \
                                .patience = 1,                              \
                                .length_penalty = -1,                       \
                                .suppress_blank = true,                     \
                                .speech = HONE__VAD_OPTIONS_INIT})

typedef struct hone__transcript {
    size_t language;
    float language_probability; /* 1 where it was given */
    size_t segments, windows;
} hone__transcript;

/* HONE_E_CANCELLED where on_segment said so; *out is about what was told until then. */
hone_status hone__transcribe(hone__speech *speech, const hone__sound *sound, const hone__transcribe_options *options,
                             hone__transcript *out);

/* Only the language of the first window: those fields of *out. */
hone_status hone__transcribe_language(hone__speech *speech, const hone__sound *sound, hone__transcript *out);

/* Features of the first window, with silence behind the sound's end: out: [mels, frames of a window]. */
hone_status hone__transcribe_features(hone__speech *speech, const hone__sound *sound, float *out);

#endif
