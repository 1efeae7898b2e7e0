/* transcribe_settings.h: what the options of transcribe say, in the words of openai-whisper and of whisper.cpp. */
#ifndef HONE_CLI_TRANSCRIBE_SETTINGS_H
#define HONE_CLI_TRANSCRIBE_SETTINGS_H

#include "cli.h"
#include "tools/transcript/transcript.h"

typedef struct transcribe_settings {
    const char *model;
    text_list clips;
    const char *language; /* code; NULL: found out */
    bool detect_only, print_text, print_tokens, print_special, print_progress;
    hone_transcribe_options run; /* but for the callbacks */
    double *clip_times;          /* what run.clip_timestamps points to; free() it, and the next */
    int32_t *suppressed;
    hone_transcriber_options open;
    bool formats[HONE__TRANSCRIPT_FORMATS];
    const char *folder; /* -o; NULL: none */
    text_list bases;    /* -of */
    size_t first_number;
    const char *features; /* --dump-features */
} transcribe_settings;

/* Returns -1 to go on, or the exit code, like options_read. */
int transcribe_read_options(int argc, char **argv, transcribe_settings *out);
void transcribe_free_options(transcribe_settings *s);

#endif
