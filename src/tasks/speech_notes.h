/* speech_notes.h: what a Whisper model says about itself in its metadata. */
#ifndef HONE_TASKS_SPEECH_NOTES_H
#define HONE_TASKS_SPEECH_NOTES_H

#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

/* Lines of key=value. frames: of a whole window. alignment_heads: "layer.head layer.head ...", those whose attention
 * follows the sound. */
#define HONE__KEY_SPEECH "hone.speech"

/* The number behind `key`; `otherwise` where there is none. */
static inline int64_t hone__speech_note(const hone__model *m, const char *key, int64_t otherwise)
{
    const char *line = hone__model_metadata(m, HONE__KEY_SPEECH);
    size_t n = strlen(key);
    for (; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (!strncmp(line, key, n) && line[n] == '=') return strtoll(line + n + 1, NULL, 10);
    return otherwise;
}

#endif
