/* write_subtitles.c: lines of text with times. The forms of openai-whisper's utils.py and of whisper.cpp's cli.cpp. */
#include <math.h>
#include <string.h>

#include "text/unicode.h"
#include "write_transcript.h"

const char *hone__stripped(const char *text, size_t *size)
{
    *size = strlen(text);
    return hone__text_strip(text, size);
}

bool hone__is_blank(const char *text)
{
    size_t size;
    hone__stripped(text, &size);
    return !size;
}

void hone__write_time(FILE *to, double seconds, bool hours, char marker)
{
    long long ms = (long long)rint(seconds * 1000);
    if (hours || ms >= 3600000) fprintf(to, "%02lld:", ms / 3600000);
    fprintf(to, "%02lld:%02lld%c%03lld", ms / 60000 % 60, ms / 1000 % 60, marker, ms % 1000);
}

long long hone__ms_cpp(double seconds) { return llround(seconds * 100) * 10; }

/* One byte per byte, with `from` turned into `into` on the way: what would break the format. */
static void write_replaced(FILE *to, const char *text, size_t size, const char *from, const char *into)
{
    size_t n = strlen(from);
    for (size_t i = 0; i < size;) {
        bool hit = size - i >= n && !memcmp(text + i, from, n);
        if (hit)
            fputs(into, to);
        else
            putc(text[i], to);
        i += hit ? n : 1;
    }
}

typedef struct cue_form {
    bool hours, stripped, blank; /* blank: segments without text are written, too */
    char marker;
} cue_form;

static void write_cue(FILE *to, const hone_segment *s, const cue_form *form)
{
    size_t size = strlen(s->text);
    const char *text = form->stripped ? hone__stripped(s->text, &size) : s->text;
    hone__write_time(to, s->start, form->hours, form->marker);
    fputs(" --> ", to);
    hone__write_time(to, s->end, form->hours, form->marker);
    putc('\n', to);
    write_replaced(to, text, size, "-->", "->");
    fputs("\n\n", to);
}

static void write_cues(const hone__transcription *t, FILE *to, const cue_form *form, bool numbered)
{
    size_t number = t->first_number;
    for (size_t i = 0; i < t->count; i++) {
        if (!form->blank && hone__is_blank(t->segments[i].text)) continue;
        if (numbered) fprintf(to, "%zu\n", ++number);
        write_cue(to, &t->segments[i], form);
    }
}

void hone__write_vtt(const hone__transcription *t, FILE *to)
{
    fputs("WEBVTT\n\n", to);
    write_cues(t, to, &(cue_form){.stripped = true, .blank = true, .marker = '.'}, false);
}

void hone__write_srt(const hone__transcription *t, FILE *to)
{
    write_cues(t, to, &(cue_form){.hours = true, .stripped = true, .blank = true, .marker = ','}, true);
}

void hone__write_vtt_cpp(const hone__transcription *t, FILE *to)
{
    fputs("WEBVTT\n\n", to);
    write_cues(t, to, &(cue_form){.hours = true, .marker = '.'}, false);
}

void hone__write_srt_cpp(const hone__transcription *t, FILE *to)
{
    write_cues(t, to, &(cue_form){.hours = true, .marker = ','}, true);
}

void hone__write_txt(const hone__transcription *t, FILE *to)
{
    for (size_t i = 0; i < t->count; i++) {
        size_t size;
        const char *text = hone__stripped(t->segments[i].text, &size);
        fwrite(text, 1, size, to);
        putc('\n', to);
    }
}

void hone__write_txt_cpp(const hone__transcription *t, FILE *to)
{
    for (size_t i = 0; i < t->count; i++) {
        const char *text = t->segments[i].text;
        if (!hone__is_blank(text)) fprintf(to, "%s\n", text + strspn(text, " \t"));
    }
}

void hone__write_tsv(const hone__transcription *t, FILE *to)
{
    fputs("start\tend\ttext\n", to);
    for (size_t i = 0; i < t->count; i++) {
        const hone_segment *s = &t->segments[i];
        size_t size;
        const char *text = hone__stripped(s->text, &size);
        fprintf(to, "%.0f\t%.0f\t", rint(1000 * s->start), rint(1000 * s->end));
        write_replaced(to, text, size, "\t", " ");
        putc('\n', to);
    }
}

void hone__write_lrc(const hone__transcription *t, FILE *to)
{
    fputs("[by:hone]\n", to);
    for (size_t i = 0; i < t->count; i++) {
        const hone_segment *s = &t->segments[i];
        long long ms = hone__ms_cpp(s->start);
        if (hone__is_blank(s->text)) continue;
        fprintf(to, "[%02lld:%02lld.%02lld]%s\n", ms / 60000, ms / 1000 % 60, ms / 10 % 100, s->text);
    }
}

void hone__write_csv(const hone__transcription *t, FILE *to)
{
    fputs("start,end,text\n", to);
    for (size_t i = 0; i < t->count; i++) {
        const hone_segment *s = &t->segments[i];
        if (hone__is_blank(s->text)) continue;
        fprintf(to, "%lld,%lld,\"", hone__ms_cpp(s->start), hone__ms_cpp(s->end));
        write_replaced(to, s->text, strlen(s->text), "\"", "\"\"");
        fputs("\"\n", to);
    }
}
