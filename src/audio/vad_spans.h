/* vad_spans.h: from how likely speech is, moment by moment, to spans of speech; those stitched together, and times
 * mapped back. Everything is in samples of 16 kHz; parameters have whisper.cpp's names. */
#ifndef HONE_AUDIO_VAD_SPANS_H
#define HONE_AUDIO_VAD_SPANS_H

#include <math.h>
#include <stddef.h>

#include "base/status.h"

enum { HONE__VAD_RATE = 16000 };

typedef struct hone__vad_options {
    double threshold;               /* a moment is speech from this probability on, up to one 0.15 below it */
    double min_speech_duration_ms;  /* shorter speech is none */
    double min_silence_duration_ms; /* shorter silence is part of the speech around it */
    double max_speech_duration_s;   /* longer speech is cut, where it can be in its longest pause of over 98 ms */
    double speech_pad_ms;           /* put around speech; half of a silence at most */
    double samples_overlap;         /* s of what follows speech that go with it when spans are stitched */
} hone__vad_options;
#define HONE__VAD_OPTIONS_INIT ((hone__vad_options){0.5, 250, 100, INFINITY, 30, 0.1})

typedef struct hone__vad_span {
    size_t start, end; /* [start, end) */
} hone__vad_span;

typedef struct hone__vad_spans {
    hone__vad_span *items; /* in order, apart or touching */
    size_t count, room;
} hone__vad_spans;

/* scores: [count] probabilities of speech, one every `step` samples, of a sound of `samples`. The rules are those of
 * get_speech_timestamps (silero-vad 6.2.3). HONE_E_ARGUMENT for options out of range. *out must be zeroed; free it. */
hone_status hone__vad_spans_make(const hone__vad_options *options, const float *scores, size_t count, size_t step,
                                 size_t samples, hone__vad_spans *out);
void hone__vad_spans_free(hone__vad_spans *spans);

/* Samples [start, end) of a sound stand at `at` of the stitched one, with 0.1 s of silence before the next. */
typedef struct hone__vad_piece {
    size_t start, end, at;
} hone__vad_piece;

typedef struct hone__vad_pieces {
    hone__vad_piece *items;
    size_t count, samples; /* samples: of the stitched sound */
} hone__vad_pieces;

/* Every span but the last goes on for samples_overlap, at most to where the next begins. *out must be zeroed. */
hone_status hone__vad_stitch(const hone__vad_options *options, const hone__vad_spans *spans, hone__vad_pieces *out);
void hone__vad_pieces_free(hone__vad_pieces *pieces);

/* Where a place of the stitched sound lies in the sound: straight through pieces, evenly through what was left out
 * between two. Never falls as `at` rises. 0 where there are no pieces. */
size_t hone__vad_map(const hone__vad_pieces *pieces, size_t at);

#endif
