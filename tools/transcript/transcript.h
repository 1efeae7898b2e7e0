/* transcript.h: what was said, as files of the kinds that openai-whisper, whisper.cpp and OpenAI's API write. */
#ifndef HONE_TRANSCRIPT_TRANSCRIPT_H
#define HONE_TRANSCRIPT_TRANSCRIPT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"
#include "hone/transcribe.h"

/* Those that end in _CPP are whisper.cpp's forms: text with the space that it begins with, times always with hours, and
 * no segments without text. */
typedef enum hone__transcript_format {
    HONE__TRANSCRIPT_TXT,
    HONE__TRANSCRIPT_VTT,
    HONE__TRANSCRIPT_SRT,
    HONE__TRANSCRIPT_TSV, /* milliseconds */
    HONE__TRANSCRIPT_JSON,
    HONE__TRANSCRIPT_VERBOSE_JSON, /* of OpenAI's API */
    HONE__TRANSCRIPT_TXT_CPP,
    HONE__TRANSCRIPT_VTT_CPP,
    HONE__TRANSCRIPT_SRT_CPP,
    HONE__TRANSCRIPT_LRC_CPP,
    HONE__TRANSCRIPT_CSV_CPP, /* milliseconds */
    HONE__TRANSCRIPT_JSON_CPP,
    HONE__TRANSCRIPT_JSON_FULL_CPP, /* with tokens */
    HONE__TRANSCRIPT_FORMATS
} hone__transcript_format;

/* Sizes from a Whisper model's config.json, and what it does not say as 0. */
typedef struct hone__whisper_sizes {
    long long vocab, mels;
    struct {
        long long context, width, heads, layers;
    } audio, text;
} hone__whisper_sizes;

/* A transcript. Zero-initialise, set what is known, add segments, free. Pointers but `segments` are borrowed. */
typedef struct hone__transcription {
    hone_segment *segments; /* with texts and tokens of their own */
    size_t count, room;
    const char *language;  /* code */
    const char *asked_for; /* language as asked for: a code or "auto" */
    const char *model;     /* path */
    const char *system;    /* what it ran on */
    double duration;       /* s */
    bool translate, multilingual;
    size_t first_number; /* of the subtitles of _SRT and _SRT_CPP, from 0 */
    hone__whisper_sizes sizes;
    /* The bytes of a token: how many there are, and as many of them as fit into to[size]. */
    size_t (*token_text)(void *ctx, int32_t id, char *to, size_t size);
    void *ctx;
} hone__transcription;

/* Copies a segment; bytes of its text that are no UTF-8 become U+FFFD, one for as much of a character as there was
 * (as in Python's errors="replace"). */
hone_status hone__transcription_add(hone__transcription *t, const hone_segment *segment);
void hone__transcription_clear(hone__transcription *t); /* no segments; the rest stays */

/* Whether a text is nothing but spaces; whisper.cpp's forms leave such segments out. */
bool hone__is_blank(const char *text);

/* ".srt" and the like. */
const char *hone__transcript_extension(hone__transcript_format format);
/* The format of a name: txt, vtt, srt, tsv, json, verbose_json, lrc, csv; _FORMATS: there is none. */
hone__transcript_format hone__transcript_format_named(const char *name);

/* To a stream; whether that got there is told by ferror. */
void hone__transcription_write(const hone__transcription *t, hone__transcript_format format, FILE *to);
/* To a file, under a temporary name, then renamed. */
hone_status hone__transcription_save(const hone__transcription *t, hone__transcript_format format, const char *path);

/* From FOLDER/config.json; all 0 where there is none, or it is not one of Whisper. */
void hone__whisper_sizes_read(const char *folder, hone__whisper_sizes *out);

#endif
