/* eval_speech.c: transcribes each clip of a corpus and counts errors after both texts are normalised. */
#include "eval_speech.h"

#include <string.h>

#include "base/alloc.h"
#include "eval_corpus.h"
#include "text/unicode.h"
#include "tools/measure/wer.h"
#include "tools/transcript/languages.h"
#include "transcribe_clip.h"

typedef struct evaluation {
    hone_transcriber *t;
    hone_transcribe_options run;
    hone__text text; /* of the clip at hand */
    hone_status failed;
    hone__errors errors;
    double seconds;
    bool characters;
} evaluation;

static int on_segment(void *ctx, const hone_segment *s)
{
    evaluation *e = ctx;
    e->failed = hone__text_append(&e->text, s->text, strlen(s->text));
    return e->failed != HONE_OK;
}

/* With --verbose: what was expected, what came, and how far apart they are, on standard error. */
static void tell(const corpus_row *row, const char *text, const hone__errors *e)
{
    if (!common.verbose) return;
    fprintf(stderr, "%s: %zu substituted, %zu deleted, %zu inserted of %zu\n  expected: ", row->path, e->substitutions,
            e->deletions, e->insertions, e->units);
    write_json_string(stderr, row->text);
    fputs("\n  heard:    ", stderr);
    write_json_string(stderr, text);
    fputs("\n", stderr);
}

static hone_status one_clip(evaluation *e, const corpus_row *row)
{
    clip c;
    hone_transcript out;
    hone__errors here = {0};
    HONE__TRY(clip_open(row->path, &c));
    e->text.size = 0;
    hone_status s = hone_transcriber_run(e->t, &c.sound, &e->run, &out);
    if (s != HONE_OK && e->failed == HONE_OK) s = hone__at(s, "%s", row->path);
    e->seconds += c.seconds;
    clip_close(&c);
    if (s == HONE_OK) s = hone__text_append(&e->text, "", 1);
    if (s == HONE_OK)
        s = hone__errors_count(row->text, e->text.data, !strcmp(out.language, "en"), e->characters, &here);
    if (s != HONE_OK) return s;
    tell(row, e->text.data, &here);
    e->errors.substitutions += here.substitutions;
    e->errors.deletions += here.deletions;
    e->errors.insertions += here.insertions;
    e->errors.units += here.units;
    return HONE_OK;
}

static void print_result(const evaluation *e, size_t clips)
{
    const hone__errors *r = &e->errors;
    const char *metric = e->characters ? "cer" : "wer", *units = e->characters ? "characters" : "words";
    double rate = hone__errors_rate(r);
    if (common.json)
        printf("{\"metric\": \"%s\", \"value\": %.6f, \"substitutions\": %zu, \"deletions\": %zu, \"insertions\": %zu, "
               "\"%s\": %zu, \"clips\": %zu, \"seconds\": %.2f}\n",
               metric, rate, r->substitutions, r->deletions, r->insertions, units, r->units, clips, e->seconds);
    else
        printf("%s %.2f %% (%zu substitutions, %zu deletions, %zu insertions, %zu %s, %zu clips, %.1f s)\n",
               e->characters ? "CER" : "WER", 100 * rate, r->substitutions, r->deletions, r->insertions, r->units,
               units, clips, e->seconds);
}

static hone_status all_clips(evaluation *e, const char *model, const speech_settings *settings, const corpus *c)
{
    hone_transcriber_options o = HONE_TRANSCRIBER_OPTIONS_INIT;
    o.threads = (int)common.threads;
    o.cache = cache_types[settings->cache];
    o.group = settings->no_fallback || e->run.beam_size > e->run.best_of ? e->run.beam_size : e->run.best_of;
    HONE__TRY(open_transcriber(model, &o, &e->t));
    for (size_t i = 0; i < c->count; i++) {
        HONE__TRY(one_clip(e, &c->rows[i]));
        progress("clips", i + 1, c->count);
    }
    return HONE_OK;
}

int eval_speech(const char *model, const char *path, bool characters, const speech_settings *settings)
{
    evaluation e = {.characters = characters};
    corpus c;
    hone_transcribe_defaults(&e.run);
    if (settings->language && strcmp(settings->language, "auto")) {
        e.run.language = hone__language_code(settings->language);
        if (!e.run.language)
            return usage_failure("unknown language '%s', expected a code such as en, or an English name",
                                 settings->language);
    }
    e.run.beam_size = settings->beams ? (int)settings->beams : 1;
    e.run.audio_ctx = (int)settings->audio_ctx;
    e.run.force_tokens = (int)settings->force;
    if (settings->no_fallback) e.run.temperature_increment = 0;
    e.run.on_segment = on_segment;
    e.run.ctx = &e;
    hone_status s = corpus_read(path, &c);
    if (s == HONE_OK) s = all_clips(&e, model, settings, &c);
    if (e.failed != HONE_OK) s = e.failed;
    if (s == HONE_OK) print_result(&e, c.count);
    hone_transcriber_destroy(e.t);
    hone__free(e.text.data);
    corpus_free(&c);
    return s == HONE_OK ? EXIT_DONE : report_failure(s);
}
