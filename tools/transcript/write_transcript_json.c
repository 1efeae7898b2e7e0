/* write_transcript_json.c: JSON as openai-whisper (Python's json.dump), OpenAI's API and whisper.cpp write it. */
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "languages.h"
#include "text/unicode.h"
#include "base/alloc.h"
#include "base/utf8.h"
#include "write_transcript.h"

/* Text in quotes. ascii: everything else as \u, in pairs above U+FFFF, as Python does. The text is UTF-8. */
static void put_text(FILE *to, const char *text, size_t size, bool ascii)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *end = text + size;
    putc('"', to);
    while (text < end) {
        const char *begin = text;
        uint32_t c = hone__utf8_take(&text, end);
        const char *known = c && c < 0x80 ? strchr(plain, (int)c) : NULL;
        if (known)
            fprintf(to, "\\%c", letter[known - plain]);
        else if (c < 0x20 || (ascii && c >= 0x7f && c < 0x10000))
            fprintf(to, "\\u%04x", c);
        else if (ascii && c >= 0x10000)
            fprintf(to, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
        else
            fwrite(begin, 1, (size_t)(text - begin), to);
    }
    putc('"', to);
}

/* The shortest text that reads back as x, in the form of Python's repr; null for what JSON lacks. */
static void put_number(FILE *to, double x)
{
    char text[64];
    int digits = 1;
    if (!isfinite(x)) {
        fputs("null", to);
        return;
    }
    do snprintf(text, sizeof text, "%.*e", digits - 1, x);
    while (digits++ < 17 && strtod(text, NULL) != x);
    int shown = digits - 2, power = atoi(strchr(text, 'e') + 1); /* shown: behind the point of the e form */
    if (power >= -4 && power < 16)
        fprintf(to, "%.*f", shown - power > 1 ? shown - power : 1, x);
    else
        fputs(text, to);
}

/* All texts in a row, as the tokens read. */
static hone_status whole_text(const hone__transcription *t, hone__text *out)
{
    for (size_t i = 0; i < t->count; i++)
        HONE__TRY(hone__text_append(out, t->segments[i].text, strlen(t->segments[i].text)));
    return HONE_OK;
}

static void put_whole_text(const hone__transcription *t, FILE *to, bool stripped)
{
    hone__text text = {0};
    size_t size = 0;
    const char *begin = "";
    if (whole_text(t, &text) == HONE_OK && hone__text_append(&text, "", 1) == HONE_OK) {
        begin = text.data;
        size = text.size - 1;
        if (stripped) begin = hone__stripped(begin, &size);
    }
    put_text(to, begin, size, true);
    hone__free(text.data);
}

static void put_member(FILE *to, const char *name, double value)
{
    fprintf(to, ", \"%s\": ", name);
    put_number(to, value);
}

static void put_segments(const hone__transcription *t, FILE *to)
{
    fputs("\"segments\": [", to);
    for (size_t i = 0; i < t->count; i++) {
        const hone_segment *s = &t->segments[i];
        fprintf(to, "%s{\"id\": %zu, \"seek\": %zu", i ? ", " : "", s->id, s->seek);
        put_member(to, "start", s->start);
        put_member(to, "end", s->end);
        fputs(", \"text\": ", to);
        put_text(to, s->text, strlen(s->text), true);
        fputs(", \"tokens\": [", to);
        for (size_t k = 0; k < s->token_count; k++) fprintf(to, "%s%d", k ? ", " : "", (int)s->tokens[k]);
        putc(']', to);
        put_member(to, "temperature", s->temperature);
        put_member(to, "avg_logprob", s->avg_logprob);
        put_member(to, "compression_ratio", s->compression_ratio);
        put_member(to, "no_speech_prob", s->no_speech_prob);
        putc('}', to);
    }
    putc(']', to);
}

void hone__write_json(const hone__transcription *t, FILE *to)
{
    fputs("{\"text\": ", to);
    put_whole_text(t, to, false);
    fputs(", ", to);
    put_segments(t, to);
    fprintf(to, ", \"language\": \"%s\"}", t->language);
}

void hone__write_verbose_json(const hone__transcription *t, FILE *to)
{
    fprintf(to, "{\"task\": \"%s\", \"language\": \"%s\", \"duration\": ", t->translate ? "translate" : "transcribe",
            hone__language_name(t->language));
    put_number(to, t->duration);
    fputs(", \"text\": ", to);
    put_whole_text(t, to, true);
    fputs(", ", to);
    put_segments(t, to);
    fputs("}\n", to);
}

/* whisper.cpp's: a member a line, tabs in front. */
static void put_line(FILE *to, int depth, const char *name, const char *text, bool last)
{
    size_t size = strlen(text), bad;
    fprintf(to, "%.*s\"%s\": ", depth, "\t\t\t\t\t\t", name);
    hone__text clean = {0};
    for (const char *p = text, *end = text + size; p < end;) { /* paths may hold any bytes */
        size_t n = hone__utf8_span(p, end, &bad);
        if (hone__text_append(&clean, n ? p : "\xef\xbf\xbd", n ? n : 3) != HONE_OK) break;
        p += n ? n : bad;
    }
    put_text(to, clean.data ? clean.data : "", clean.size, false);
    hone__free(clean.data);
    fputs(last ? "\n" : ",\n", to);
}

static void put_time_line(FILE *to, const char *name, double seconds, bool last)
{
    fprintf(to, "\t\t\t\t\"%s\": \"", name);
    hone__write_time(to, (double)hone__ms_cpp(seconds) / 1000, true, ',');
    fputs(last ? "\"\n" : "\",\n", to);
}

static void put_part(FILE *to, const char *name, long long context, long long width, long long heads, long long layers)
{
    fprintf(to,
            "\t\t\"%s\": {\n\t\t\t\"ctx\": %lld,\n\t\t\t\"state\": %lld,\n\t\t\t\"head\": %lld,\n\t\t\t\"layer\": "
            "%lld\n\t\t},\n",
            name, context, width, heads, layers);
}

static const char *size_name(long long layers)
{
    return layers == 4    ? "tiny"
           : layers == 6  ? "base"
           : layers == 12 ? "small"
           : layers == 24 ? "medium"
           : layers == 32 ? "large"
                          : "unknown";
}

static void put_head(const hone__transcription *t, FILE *to)
{
    const hone__whisper_sizes *s = &t->sizes;
    fputs("{\n", to);
    put_line(to, 1, "systeminfo", t->system ? t->system : "", false);
    fputs("\t\"model\": {\n", to);
    put_line(to, 2, "type", size_name(s->audio.layers), false);
    fprintf(to, "\t\t\"multilingual\": %s,\n\t\t\"vocab\": %lld,\n", t->multilingual ? "true" : "false", s->vocab);
    put_part(to, "audio", s->audio.context, s->audio.width, s->audio.heads, s->audio.layers);
    put_part(to, "text", s->text.context, s->text.width, s->text.heads, s->text.layers);
    fprintf(to, "\t\t\"mels\": %lld\n\t},\n\t\"params\": {\n", s->mels);
    put_line(to, 2, "model", t->model ? t->model : "", false);
    put_line(to, 2, "language", t->asked_for ? t->asked_for : "auto", false);
    fprintf(to, "\t\t\"translate\": %s\n\t},\n\t\"result\": {\n", t->translate ? "true" : "false");
    put_line(to, 2, "language", t->language, true);
    fputs("\t},\n\t\"transcription\": [\n", to);
}

/* The text of tokens from *at on, of more than one where a character needs them. */
static void put_token(const hone__transcription *t, const hone_segment *s, size_t *at, FILE *to)
{
    char text[512];
    size_t size = 0, bad = 0, id = *at;
    bool open = true;
    while (*at < s->token_count && open) {
        size_t n = t->token_text ? t->token_text(t->ctx, s->tokens[*at], text + size, sizeof text - 1 - size) : 0;
        size += n < sizeof text - 1 - size ? n : sizeof text - 1 - size;
        ++*at;
        open = false; /* ends inside a character */
        for (size_t i = 0; i < size;) {
            size_t step = hone__utf8_span(text + i, text + size, &bad);
            open = !step && i + bad == size && size < sizeof text - 8 && (unsigned char)text[i] >= 0xc2;
            i += step ? step : bad;
        }
    }
    text[size] = 0;
    fputs("\t\t\t\t{\n", to);
    put_line(to, 5, "text", text, false);
    fprintf(to, "\t\t\t\t\t\"id\": %d,\n\t\t\t\t\t\"t_dtw\": -1\n\t\t\t\t}%s\n", (int)s->tokens[id],
            *at < s->token_count ? "," : "");
}

static void put_segment(const hone__transcription *t, const hone_segment *s, bool full, FILE *to)
{
    fputs("\t\t{\n\t\t\t\"timestamps\": {\n", to);
    put_time_line(to, "from", s->start, false);
    put_time_line(to, "to", s->end, true);
    fprintf(to, "\t\t\t},\n\t\t\t\"offsets\": {\n\t\t\t\t\"from\": %lld,\n\t\t\t\t\"to\": %lld\n\t\t\t},\n",
            hone__ms_cpp(s->start), hone__ms_cpp(s->end));
    put_line(to, 3, "text", s->text, !full);
    if (full) {
        fputs("\t\t\t\"tokens\": [\n", to);
        for (size_t i = 0; i < s->token_count;) put_token(t, s, &i, to);
        fputs("\t\t\t]\n", to);
    }
}

static void put_cpp(const hone__transcription *t, bool full, FILE *to)
{
    size_t written = 0;
    put_head(t, to);
    for (size_t i = 0; i < t->count; i++) {
        if (hone__is_blank(t->segments[i].text)) continue;
        if (written++) fputs("\t\t},\n", to);
        put_segment(t, &t->segments[i], full, to);
    }
    if (written) fputs("\t\t}\n", to);
    fputs("\t]\n}\n", to);
}

void hone__write_json_cpp(const hone__transcription *t, FILE *to) { put_cpp(t, false, to); }
void hone__write_json_full(const hone__transcription *t, FILE *to) { put_cpp(t, true, to); }

static long long whole_number(const json_t *config, const char *name)
{
    return json_integer_value(json_object_get(config, name));
}

void hone__whisper_sizes_read(const char *folder, hone__whisper_sizes *out)
{
    char path[PATH_MAX];
    *out = (hone__whisper_sizes){0};
    if ((size_t)snprintf(path, sizeof path, "%s/config.json", folder) >= sizeof path) return;
    json_t *c = json_load_file(path, 0, NULL);
    if (!c) return;
    *out = (hone__whisper_sizes){
        .vocab = whole_number(c, "vocab_size"),
        .mels = whole_number(c, "num_mel_bins"),
        .audio = {whole_number(c, "max_source_positions"), whole_number(c, "d_model"),
                  whole_number(c, "encoder_attention_heads"), whole_number(c, "encoder_layers")},
        .text = {whole_number(c, "max_target_positions"), whole_number(c, "d_model"),
                 whole_number(c, "decoder_attention_heads"), whole_number(c, "decoder_layers")},
    };
    json_decref(c);
}
