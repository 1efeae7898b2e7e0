/* transcribe_clip.h: a sound file as what a transcriber reads. */
#ifndef HONE_CLI_TRANSCRIBE_CLIP_H
#define HONE_CLI_TRANSCRIBE_CLIP_H

#include "cli.h"
#include "hone/transcribe.h"

typedef struct clip {
    float *pcm; /* mono, 16 kHz */
    hone_sound sound;
    double seconds;
} clip;

/* path: a sound file, or - for standard input. `out` stays where it is until clip_close. */
hone_status clip_open(const char *path, clip *out);
void clip_close(clip *c);

/* Opens the model of a folder; where that holds weights of Hugging Face, says what to do with them first. */
hone_status open_transcriber(const char *path, const hone_transcriber_options *options, hone_transcriber **out);

#endif
