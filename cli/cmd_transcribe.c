/* cmd_transcribe.c: speech to text. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "tools/tensorfile/tensorfile.h"
#include "transcribe_clip.h"
#include "transcribe_output.h"

typedef struct job {
    const transcribe_settings *s;
    hone_transcriber *t;
    hone__transcription text;
    const char *path;  /* of the clip */
    double begin, end; /* s: what is transcribed of it */
    int told;          /* per cent */
    bool line_open;    /* text without times: no newline yet */
    hone_status failed;
} job;

static hone_transcriber *running;
static volatile sig_atomic_t asked; /* Ctrl-C: what was finished is written, then the process ends by the signal */
static void (*before)(int);

static void on_signal(int number)
{
    asked = number;
    if (running) hone_transcriber_cancel(running);
    signal(number, before); /* once more: at once */
}

static size_t token_text(void *ctx, int32_t id, char *to, size_t size)
{
    const job *j = ctx;
    return hone_transcriber_token(j->t, id, to, size);
}

static void print_time(double seconds)
{
    long long ms = (long long)(seconds * 1000 + 0.5);
    printf("%02lld:%02lld:%02lld.%03lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

static void print_special(const job *j, const hone_segment *s)
{
    char text[512];
    for (size_t i = 0; i < s->token_count; i++) {
        size_t n = hone_transcriber_token(j->t, s->tokens[i], text, sizeof text);
        fwrite(text, 1, n < sizeof text ? n : sizeof text, stdout);
    }
}

static void print_segment(job *j, const hone_segment *s)
{
    bool times = j->s->run.timestamps;
    if (j->s->print_tokens) {
        for (size_t i = 0; i < s->token_count; i++) printf("%s%d", i ? " " : "", (int)s->tokens[i]);
        printf("\n");
        return;
    }
    if (hone__is_blank(s->text) && !(j->s->print_special && s->token_count)) return;
    if (times) {
        printf("[");
        print_time(s->start);
        printf(" --> ");
        print_time(s->end);
        printf("]  ");
    }
    if (j->s->print_special)
        print_special(j, s);
    else
        fputs(times || j->line_open ? s->text : s->text + (*s->text == ' '), stdout);
    if (times) printf("\n");
    j->line_open = !times;
}

static int on_segment(void *ctx, const hone_segment *segment)
{
    job *j = ctx;
    j->failed = hone__transcription_add(&j->text, segment);
    if (j->failed != HONE_OK) return 1;
    if (!j->s->print_text) return 0;
    print_segment(j, &j->text.segments[j->text.count - 1]);
    return !flush_output() && !output_wanted(j->s); /* nobody reads any more */
}

static void on_progress(void *ctx, double seconds)
{
    enum { STEP = 5 };
    job *j = ctx;
    double part = j->end > j->begin ? (seconds - j->begin) / (j->end - j->begin) : 1;
    int done = part >= 1 ? 100 : part <= 0 ? 0 : (int)(100 * part);
    if (!j->s->print_progress) {
        if (!j->s->print_text || !isatty(STDOUT_FILENO)) progress(j->path, (size_t)done, 100);
        return;
    }
    if (done < j->told + STEP) return;
    j->told = done / STEP * STEP;
    fprintf(stderr, "progress = %3d%%\n", j->told);
}

static hone_status dump_features(const job *j, const hone_sound *sound)
{
    const int64_t dims[] = {(int64_t)hone_transcriber_mels(j->t), (int64_t)hone_transcriber_frames(j->t)};
    size_t bytes = (size_t)(dims[0] * dims[1]) * sizeof(float);
    float *values = hone__malloc(bytes);
    if (!values) return hone__out_of_memory(bytes);
    hone_status s = hone_transcriber_features(j->t, sound, values);
    if (s == HONE_OK) s = hone__npy_write(j->s->features, HONE_F32, 2, dims, values, bytes);
    hone__free(values);
    return s;
}

static hone_status detect(const job *j, const hone_sound *sound)
{
    hone_transcript out;
    HONE__TRY(hone_transcriber_detect(j->t, sound, &out));
    if (common.json) {
        printf("{\"path\": ");
        print_json_string(j->path);
        printf(", \"language\": \"%s\", \"probability\": %.6f}\n", out.language, out.language_probability);
    } else {
        if (j->s->clips.count > 1) {
            print_clean(j->path);
            printf(": ");
        }
        printf("%s %.6f\n", out.language, out.language_probability);
    }
    return HONE_OK;
}

/* The end of what is transcribed, for --print-progress. */
static void set_range(job *j, double seconds)
{
    const hone_transcribe_options *r = &j->s->run;
    j->begin = r->clip_count ? r->clip_timestamps[0] : 0;
    j->end = r->clip_count && r->clip_count % 2 == 0 ? r->clip_timestamps[r->clip_count - 1] : seconds;
    if (j->end > seconds) j->end = seconds;
    j->told = 0;
}

static hone_status transcribe(job *j, size_t index, const clip *c)
{
    hone_transcribe_options run = j->s->run;
    hone_transcript out;
    set_range(j, c->seconds);
    run.on_segment = on_segment;
    run.on_progress = on_progress;
    run.ctx = j;
    hone_status s = hone_transcriber_run(j->t, &c->sound, &run, &out);
    if (j->line_open) printf("\n");
    j->line_open = false;
    if (j->failed != HONE_OK) return j->failed;
    if (s != HONE_OK && !(asked && j->text.count)) return s;
    j->text.language = out.language;
    j->text.duration = c->seconds;
    hone_status written = output_write(j->s, index, &j->text);
    if (common.json) {
        hone__transcription_write(&j->text, HONE__TRANSCRIPT_JSON, stdout);
        printf("\n");
    }
    if (!flush_output() && !output_wanted(j->s)) return HONE_E_CANCELLED;
    return written == HONE_OK ? s : written;
}

static hone_status one_clip(job *j, size_t index)
{
    clip c;
    j->path = j->s->clips.items[index];
    HONE__TRY(clip_open(j->path, &c));
    hone_status s = j->s->features ? dump_features(j, &c.sound) : HONE_OK;
    if (s == HONE_OK) s = j->s->detect_only ? detect(j, &c.sound) : transcribe(j, index, &c);
    bool named = !strncmp(hone_error_message(), j->path, strlen(j->path));
    if (s != HONE_OK && s != HONE_E_CANCELLED && !named) s = hone__at(s, "%s", j->path);
    hone__transcription_clear(&j->text);
    clip_close(&c);
    return s;
}

/* A clip that fails does not stop the others. */
static int all_clips(job *j)
{
    int code = EXIT_DONE;
    size_t count = j->s->clips.count;
    for (size_t i = 0; i < count && !asked; i++) {
        hone_status s = one_clip(j, i);
        if (s == HONE_E_CANCELLED) return EXIT_FAILED; /* Ctrl-C, or whoever read standard output has gone */
        if (s == HONE_OK) continue;
        code = report_failure(s);
        if (count > 1) code = EXIT_FAILED;
    }
    return code;
}

static int run(const transcribe_settings *s)
{
    job j = {.s = s};
    hone_status status = output_prepare(s);
    if (status == HONE_OK) status = open_transcriber(s->model, &s->open, &j.t);
    if (status != HONE_OK) {
        output_finish(s);
        return report_failure(status);
    }
    char system[128];
    snprintf(system, sizeof system, "hone %s, %s", hone_version(), hone_cpu_tier());
    j.text = (hone__transcription){.asked_for = s->language,
                                   .model = s->model,
                                   .system = system,
                                   .translate = s->run.translate,
                                   .multilingual = hone_transcriber_multilingual(j.t),
                                   .first_number = s->first_number,
                                   .token_text = token_text,
                                   .ctx = &j};
    hone__whisper_sizes_read(s->model, &j.text.sizes);
    running = j.t;
    before = signal(SIGINT, on_signal);
    int code = all_clips(&j);
    signal(SIGINT, before);
    running = NULL;
    hone_transcriber_destroy(j.t);
    output_finish(s);
    return code;
}

int cmd_transcribe(int argc, char **argv)
{
    transcribe_settings s;
    int code = transcribe_read_options(argc, argv, &s);
    if (code < 0) code = run(&s);
    transcribe_free_options(&s);
    if (asked) {
        (void)flush_output();
        signal(asked, SIG_DFL);
        raise(asked);
    }
    return code;
}
