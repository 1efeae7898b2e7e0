/* eval_speech.h: word and character error rates of a Whisper model. */
#ifndef HONE_CLI_EVAL_SPEECH_H
#define HONE_CLI_EVAL_SPEECH_H

#include "cli.h"

typedef struct speech_settings {
    const char *language; /* code or English name; NULL: found per clip */
    int64_t beams, audio_ctx, force;
    bool no_fallback;
    int cache; /* index into cache_types */
} speech_settings;

/* Prints the rate of the model in the folder `model` on the clips of `corpus` (eval_corpus.h); returns the exit code.
 */
int eval_speech(const char *model, const char *corpus, bool characters, const speech_settings *settings);

#endif
