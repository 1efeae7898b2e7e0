/* transcribe.h: speech to text with a Whisper model. */
#ifndef HONE_TRANSCRIBE_H
#define HONE_TRANSCRIBE_H

#include "hone/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_transcriber hone_transcriber;

typedef struct hone_transcriber_options {
    int threads;           /* 0: HONE_THREADS, else the physical cores */
    size_t max_memory;     /* bytes for activations and caches; 0: no limit */
    int group;             /* most beams, or draws, side by side; at least 1 */
    hone_dtype cache;      /* of keys and values: HONE_F16, HONE_F32 or HONE_I8 */
    const char *vad_model; /* what finds speech where a run asks for it: an ONNX file of silero-vad 5 or 6 for 16 kHz;
                            * NULL: a detector of hone's own */
} hone_transcriber_options;
#define HONE_TRANSCRIBER_OPTIONS_INIT {0, 0, 5, HONE_F16, NULL}

/* path: a folder that hone optimize made of a Whisper model. Errors name the file and the place. */
hone_status hone_transcriber_open(const char *path, const hone_transcriber_options *options, hone_transcriber **out);
void hone_transcriber_destroy(hone_transcriber *transcriber); /* NULL is fine */

/* Where samples come from: mono float, 16 kHz. read: up to n samples from `at` on into `to`; how many there were, fewer
 * only at the end; negative: it failed (the run ends with HONE_E_IO). It is read several times from its beginning;
 * meanwhile places lie at most a window (30 s) back, of speech alone where a run finds that first. */
typedef struct hone_sound {
    long long (*read)(void *ctx, size_t at, float *to, size_t n);
    void *ctx;
    size_t samples; /* in all */
} hone_sound;

/* A piece of text and when it was said. Pointers live until the callback returns. */
typedef struct hone_segment {
    size_t id, seek;   /* seek: where its window began, in frames of 10 ms */
    double start, end; /* seconds */
    const char *text;
    const int32_t *tokens;
    size_t token_count;
    double temperature, avg_logprob, compression_ratio, no_speech_prob;
} hone_segment;

/* Numbers that are NAN are not looked at; what the fields mean and their defaults are openai-whisper's. */
typedef struct hone_transcribe_options {
    const char *language; /* code, such as "en"; NULL: found from the first window */
    int translate, timestamps, condition_on_previous_text, carry_initial_prompt, suppress_blank;
    const char *initial_prompt; /* NULL: none */
    double temperature, temperature_increment;
    double compression_ratio_threshold, logprob_threshold, no_speech_threshold;
    double
        entropy_threshold; /* whisper.cpp's: a text of over 32 tokens is drawn again where the last 32 have less; NAN */
    int max_context;       /* most tokens of what was said before that a window is told; negative: what fits */
    const int32_t *suppress_tokens; /* never come; -1 among them: what is no speech; NULL: that alone. Such as start a
                                     * transcript never come */
    size_t suppress_count;
    int best_of, beam_size;
    double patience, length_penalty; /* length_penalty NAN: by the mean */
    const double *clip_timestamps;   /* seconds: start, end, start, ... */
    size_t clip_count;
    int audio_ctx;    /* positions of the encoder (20 ms) for a window; 0: all */
    int force_tokens; /* tokens per window, whatever they are; for measuring */
    unsigned seed;
    /* Not 0: speech is found first and alone is transcribed, stitched together; times told, and clip_timestamps, are
     * those of the whole sound. Without any speech there are no segments. hone_transcriber_detect hears the whole
     * sound. The numbers are whisper.cpp's; out of range: HONE_E_ARGUMENT. */
    int vad;
    double vad_threshold;               /* probability of speech from which on there is some, in (0, 1); 0.5 */
    double vad_min_speech_duration_ms;  /* shorter speech is none; 250 */
    double vad_min_silence_duration_ms; /* shorter silence is part of the speech around it; 100 */
    double vad_max_speech_duration_s;   /* longer speech is cut, in a pause where there is one; INFINITY */
    double vad_speech_pad_ms;           /* of the sound around speech that belongs to it; 30 */
    double vad_samples_overlap;         /* s of what follows speech that go with it; 0.1 */
    int (*on_segment)(void *ctx, const hone_segment *segment); /* every one, in order; not 0: enough */
    void (*on_progress)(void *ctx, double seconds);
    void *ctx;
} hone_transcribe_options;
void hone_transcribe_defaults(hone_transcribe_options *options);

typedef struct hone_transcript {
    char language[8];
    double language_probability; /* 1 where it was given */
    size_t segments, windows;
} hone_transcript;

/* HONE_E_CANCELLED where on_segment, or hone_transcriber_cancel, said so: *out is about what was told until then. */
hone_status hone_transcriber_run(hone_transcriber *transcriber, const hone_sound *sound,
                                 const hone_transcribe_options *options, hone_transcript *out);

/* Only the language of the first window, and its probability: those fields of *out. */
hone_status hone_transcriber_detect(hone_transcriber *transcriber, const hone_sound *sound, hone_transcript *out);

/* Ends what runs, or the next run, with HONE_E_CANCELLED. From any thread or signal handler. */
void hone_transcriber_cancel(hone_transcriber *transcriber);

/* Features of the first window, silence behind the sound's end: out: [mels, frames] float32. */
hone_status hone_transcriber_features(hone_transcriber *transcriber, const hone_sound *sound, float *out);
size_t hone_transcriber_mels(const hone_transcriber *transcriber);
size_t hone_transcriber_frames(const hone_transcriber *transcriber); /* of a window: 3000 */

int hone_transcriber_multilingual(const hone_transcriber *transcriber);
/* The bytes of a token, special ones such as <|0.00|>, too: returns how many there are, and puts those that fit into
 * out[size]. */
size_t hone_transcriber_token(const hone_transcriber *transcriber, int32_t token, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
