/* vad.h: where in a sound somebody speaks, by hone's own detector or by a Silero model, and the sound of those places
 * alone. */
#ifndef HONE_TASKS_VAD_H
#define HONE_TASKS_VAD_H

#include "audio/vad_spans.h"
#include "exec/session.h"
#include "tasks/transcribe.h"

typedef struct hone__vad hone__vad;

/* silero: a model of silero-vad 5 or 6 for 16 kHz (inputs input [1, 64 + 512], state [2, 1, 128], sr); it may be
 * destroyed afterwards. NULL: the own detector; options then do not count. */
hone_status hone__vad_create(const hone__model *silero, const hone__session_options *options, hone__vad **out);
void hone__vad_destroy(hone__vad *vad); /* NULL is fine */

/* Reads the sound once, from its beginning to its end. *out must be zeroed. */
hone_status hone__vad_find(hone__vad *vad, const hone__sound *sound, const hone__vad_options *options,
                           hone__vad_spans *out);

/* Probabilities of speech of the last sound, [*count], one every *step samples; until the next. */
const float *hone__vad_scores(const hone__vad *vad, size_t *count, size_t *step);

/* A sound made of pieces of another, which must be able to read any place. */
typedef struct hone__vad_stitched {
    const hone__sound *sound;
    const hone__vad_pieces *pieces;
} hone__vad_stitched;
hone__sound hone__vad_stitched_sound(hone__vad_stitched *stitched); /* as long as *stitched is there */

#endif
