/* transcript.c: holds segments; one row per format. */
#include "transcript.h"

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "text/unicode.h"
#include "write_transcript.h"

static const struct {
    const char *extension, *name;
    hone__transcript_writer *write;
} formats[HONE__TRANSCRIPT_FORMATS] = {
    [HONE__TRANSCRIPT_TXT] = {".txt", "txt", hone__write_txt},
    [HONE__TRANSCRIPT_VTT] = {".vtt", "vtt", hone__write_vtt},
    [HONE__TRANSCRIPT_SRT] = {".srt", "srt", hone__write_srt},
    [HONE__TRANSCRIPT_TSV] = {".tsv", "tsv", hone__write_tsv},
    [HONE__TRANSCRIPT_JSON] = {".json", "json", hone__write_json},
    [HONE__TRANSCRIPT_VERBOSE_JSON] = {".json", "verbose_json", hone__write_verbose_json},
    [HONE__TRANSCRIPT_TXT_CPP] = {".txt", "", hone__write_txt_cpp},
    [HONE__TRANSCRIPT_VTT_CPP] = {".vtt", "", hone__write_vtt_cpp},
    [HONE__TRANSCRIPT_SRT_CPP] = {".srt", "", hone__write_srt_cpp},
    [HONE__TRANSCRIPT_LRC_CPP] = {".lrc", "lrc", hone__write_lrc},
    [HONE__TRANSCRIPT_CSV_CPP] = {".csv", "csv", hone__write_csv},
    [HONE__TRANSCRIPT_JSON_CPP] = {".json", "", hone__write_json_cpp},
    [HONE__TRANSCRIPT_JSON_FULL_CPP] = {".json", "", hone__write_json_full},
};

hone_status hone__transcription_add(hone__transcription *t, const hone_segment *s)
{
    hone__text text = {0};
    int32_t *tokens = NULL;
    hone_status r = hone__text_append_valid(&text, s->text, strlen(s->text));
    if (r == HONE_OK) r = hone__text_append(&text, "", 1);
    if (r == HONE_OK) r = hone__grow(&t->segments, &t->room, t->count, sizeof *t->segments);
    if (r == HONE_OK && s->token_count && !(tokens = hone__malloc(s->token_count * sizeof *tokens)))
        r = hone__out_of_memory(s->token_count * sizeof *tokens);
    if (r != HONE_OK) {
        hone__free(text.data);
        return r;
    }
    hone_segment *to = &t->segments[t->count++];
    *to = *s;
    if (tokens) memcpy(tokens, s->tokens, s->token_count * sizeof *tokens);
    to->text = text.data;
    to->tokens = tokens;
    return HONE_OK;
}

void hone__transcription_clear(hone__transcription *t)
{
    for (size_t i = 0; i < t->count; i++) {
        hone__free((void *)t->segments[i].text);
        hone__free((void *)t->segments[i].tokens);
    }
    hone__free(t->segments);
    t->segments = NULL;
    t->count = t->room = 0;
}

const char *hone__transcript_extension(hone__transcript_format format) { return formats[format].extension; }

hone__transcript_format hone__transcript_format_named(const char *name)
{
    for (int i = 0; i < HONE__TRANSCRIPT_FORMATS; i++)
        if (*name && !strcmp(formats[i].name, name)) return (hone__transcript_format)i;
    return HONE__TRANSCRIPT_FORMATS;
}

void hone__transcription_write(const hone__transcription *t, hone__transcript_format format, FILE *to)
{
    formats[format].write(t, to);
}

hone_status hone__transcription_save(const hone__transcription *t, hone__transcript_format format, const char *path)
{
    hone__output o;
    HONE__TRY(hone__output_open(path, &o));
    formats[format].write(t, o.file);
    hone_status s = ferror(o.file) ? hone__fail(HONE_E_IO, "%s: cannot write", path) : hone__output_commit(&o);
    hone__output_abandon(&o);
    return s;
}
