/* api_transcribe.c: hone_transcriber over tasks: opens the files of a layout. */
#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "api.h"
#include "base/alloc.h"
#include "hone/transcribe.h"
#include "onnx/onnx.h"
#include "tasks/transcribe.h"
#include "tasks/vad.h"

struct hone_transcriber {
    hone__speech *speech;
    hone__vad *vad;
    atomic_bool cancel;
};

static hone_status open_part(const char *folder, const char *name, hone__model **out)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return hone__fail(HONE_E_LIMIT, "%.100s: the name is too long", folder);
    return hone__onnx_read(path, out);
}

static size_t read_silence(void *ctx, size_t at, float *to, size_t n, hone_status *status)
{
    (void)ctx, (void)at, (void)status;
    memset(to, 0, n * sizeof *to);
    return n;
}

/* A moment of silence tells whether the model's shapes are right. */
static hone_status try_detector(hone__vad *vad)
{
    const hone__sound moment = {.read = read_silence, .samples = 1};
    const hone__vad_options options = HONE__VAD_OPTIONS_INIT;
    hone__vad_spans spans = {0};
    hone_status s = hone__vad_find(vad, &moment, &options, &spans);
    hone__vad_spans_free(&spans);
    return s;
}

static hone_status open_detector(hone_transcriber *t, const hone_transcriber_options *o)
{
    if (!o->vad_model) return hone__vad_create(NULL, NULL, &t->vad);
    /* steps depend on each other and are too small for several threads */
    const hone__session_options options = {.threads = 1, .max_memory = o->max_memory, .cancel = &t->cancel};
    hone__model *silero;
    HONE__TRY(hone__onnx_read(o->vad_model, &silero));
    hone_status s = hone__vad_create(silero, &options, &t->vad);
    hone__model_destroy(silero);
    if (s == HONE_OK) s = try_detector(t->vad);
    return s == HONE_OK ? s : hone__at(s, "%s", o->vad_model);
}

hone_status hone_transcriber_open(const char *path, const hone_transcriber_options *o, hone_transcriber **out)
{
    static const char *const names[] = {"encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx"};
    hone__model *parts[3] = {NULL};
    hone_transcriber *t = *out = hone__calloc(1, sizeof *t);
    if (!t) return hone__out_of_memory(sizeof *t);
    hone_status s = open_detector(t, o);
    for (int i = 0; s == HONE_OK && i < 3; i++) s = open_part(path, names[i], &parts[i]);
    hone__speech_options options = {
        .session = {.threads = o->threads, .max_memory = o->max_memory, .cancel = &t->cancel},
        .group = o->group > 0 ? (size_t)o->group : 1,
        .cache = o->cache};
    if (s == HONE_OK) {
        s = hone__speech_create(parts[0], parts[1], parts[2], &options, &t->speech);
        if (s != HONE_OK) s = hone__at(s, "%s", path);
    }
    for (int i = 0; i < 3; i++) hone__model_destroy(parts[i]);
    if (s == HONE_OK) return s;
    hone_transcriber_destroy(t);
    *out = NULL;
    return s;
}

void hone_transcriber_destroy(hone_transcriber *t)
{
    if (!t) return;
    hone__speech_destroy(t->speech);
    hone__vad_destroy(t->vad);
    hone__free(t);
}

void hone_transcriber_cancel(hone_transcriber *t) { atomic_store(&t->cancel, true); }
size_t hone_transcriber_mels(const hone_transcriber *t) { return hone__speech_mels(t->speech); }
size_t hone_transcriber_frames(const hone_transcriber *t) { return hone__speech_frames(t->speech); }
int hone_transcriber_multilingual(const hone_transcriber *t) { return hone__speech_tokens_of(t->speech)->multilingual; }

size_t hone_transcriber_token(const hone_transcriber *t, int32_t token, char *out, size_t size)
{
    const hone__tokenizer *tokenizer = hone__speech_tokenizer(t->speech);
    int32_t zero = hone__speech_tokens_of(t->speech)->first_timestamp;
    const uint32_t id = (uint32_t)token;
    hone__text text = {0};
    if (token >= zero && !hone__tokenizer_is_special(tokenizer, id)) /* older folders do not list the timestamps */
        return (size_t)snprintf(out, size, "<|%.2f|>", (token - zero) * 0.02);
    if (token >= 0 && hone__tokenizer_decode(tokenizer, &id, 1, false, &text) != HONE_OK) text.size = 0;
    if (size && text.size) memcpy(out, text.data, text.size < size ? text.size : size);
    hone__free(text.data);
    return text.size;
}

void hone_transcribe_defaults(hone_transcribe_options *o)
{
    const hone__vad_options v = HONE__VAD_OPTIONS_INIT;
    *o = (hone_transcribe_options){.timestamps = 1,
                                   .condition_on_previous_text = 1,
                                   .suppress_blank = 1,
                                   .temperature_increment = 0.2,
                                   .compression_ratio_threshold = 2.4,
                                   .entropy_threshold = NAN,
                                   .max_context = -1,
                                   .logprob_threshold = -1,
                                   .no_speech_threshold = 0.6,
                                   .best_of = 5,
                                   .beam_size = 1,
                                   .patience = 1,
                                   .length_penalty = NAN,
                                   .vad_threshold = v.threshold,
                                   .vad_min_speech_duration_ms = v.min_speech_duration_ms,
                                   .vad_min_silence_duration_ms = v.min_silence_duration_ms,
                                   .vad_max_speech_duration_s = v.max_speech_duration_s,
                                   .vad_speech_pad_ms = v.speech_pad_ms,
                                   .vad_samples_overlap = v.samples_overlap};
}

typedef struct bridge {
    const hone_sound *sound;
    const hone_transcribe_options *o;
} bridge;

static size_t read_sound(void *ctx, size_t at, float *to, size_t n, hone_status *status)
{
    const bridge *b = ctx;
    long long got = b->sound->read(b->sound->ctx, at, to, n);
    if (got < 0 || (unsigned long long)got > n) {
        *status = hone__fail(HONE_E_IO, "the sound cannot be read at sample %zu", at);
        return 0;
    }
    return (size_t)got;
}

static bool on_segment(void *ctx, const hone__segment *s)
{
    const bridge *b = ctx;
    const hone_segment out = {s->id,    s->seek,        s->start, s->end,         s->text,     s->ids,
                              s->count, s->temperature, s->mean,  s->compression, s->no_speech};
    return b->o->on_segment && b->o->on_segment(b->o->ctx, &out);
}

static void on_progress(void *ctx, double seconds)
{
    const bridge *b = ctx;
    if (b->o->on_progress) b->o->on_progress(b->o->ctx, seconds);
}

static hone_status find_language(const hone__speech_tokens *t, const char *code, int64_t *out)
{
    *out = -1;
    if (!code) return HONE_OK;
    for (size_t i = 0; i < t->language_count; i++)
        if (!strcmp(t->languages[i].code, code)) *out = (int64_t)i;
    if (*out >= 0 || !t->multilingual) return HONE_OK;
    return hone__fail(HONE_E_ARGUMENT, "the model does not know language '%.20s'", code);
}

/* openai-whisper's meaning of the list: -1 stands for what is no speech; tokens that steer never come. */
static hone_status suppressed(const hone__speech_tokens *t, const hone_transcribe_options *given, int32_t **out,
                              size_t *count)
{
    const int32_t steering[] = {t->transcribe, t->translate, t->start, t->start_of_prev, t->start_of_lm, t->no_speech};
    size_t steers = sizeof steering / sizeof *steering, n = 0;
    *out = NULL;
    if (!given->suppress_tokens) return HONE_OK;
    int32_t *list = *out = hone__calloc(given->suppress_count + steers + t->suppressed_count, sizeof *list);
    if (!list) return hone__out_of_memory(given->suppress_count * sizeof *list);
    bool own = false;
    for (size_t i = 0; i < given->suppress_count; i++) {
        own |= given->suppress_tokens[i] == -1;
        if (given->suppress_tokens[i] >= 0) list[n++] = given->suppress_tokens[i];
    }
    for (size_t i = 0; i < steers; i++)
        if (steering[i] >= 0) list[n++] = steering[i];
    if (own && t->suppressed_count) memcpy(list + n, t->suppressed, t->suppressed_count * sizeof *list);
    *count = n + (own ? t->suppressed_count : 0);
    return HONE_OK;
}

static void set_temperatures(const hone_transcribe_options *given, hone__transcribe_options *o)
{
    enum { MOST = sizeof o->temperatures / sizeof *o->temperatures };
    size_t n = 0;
    o->temperatures[n++] = given->temperature;
    if (given->temperature_increment > 0)
        while (n < MOST && given->temperature + (double)n * given->temperature_increment < 1 + 1e-6) {
            o->temperatures[n] = given->temperature + (double)n * given->temperature_increment;
            n++;
        }
    o->temperature_count = n;
}

static void set_options(const hone_transcribe_options *given, hone__transcribe_options *o)
{
    o->translate = given->translate != 0;
    o->timestamps = given->timestamps != 0;
    o->condition = given->condition_on_previous_text != 0;
    o->carry_prompt = given->carry_initial_prompt != 0;
    o->prompt = given->initial_prompt;
    set_temperatures(given, o);
    o->most_compression = given->compression_ratio_threshold;
    o->least_mean = given->logprob_threshold;
    o->most_no_speech = given->no_speech_threshold;
    o->least_entropy = given->entropy_threshold;
    if (given->max_context >= 0) o->most_prompt = (size_t)given->max_context;
    o->best_of = given->best_of > 0 ? (size_t)given->best_of : 1;
    o->beams = given->beam_size > 0 ? (size_t)given->beam_size : 1;
    o->patience = (float)given->patience;
    o->length_penalty = isnan(given->length_penalty) ? -1 : (float)given->length_penalty;
    o->suppress_blank = given->suppress_blank != 0;
    o->clips = given->clip_timestamps;
    o->clip_count = given->clip_count;
    o->audio_frames = given->audio_ctx > 0 ? 2 * (size_t)given->audio_ctx : 0;
    o->force = given->force_tokens > 0 ? (size_t)given->force_tokens : 0;
    o->seed = given->seed;
    o->speech = (hone__vad_options){.threshold = given->vad_threshold,
                                    .min_speech_duration_ms = given->vad_min_speech_duration_ms,
                                    .min_silence_duration_ms = given->vad_min_silence_duration_ms,
                                    .max_speech_duration_s = given->vad_max_speech_duration_s,
                                    .speech_pad_ms = given->vad_speech_pad_ms,
                                    .samples_overlap = given->vad_samples_overlap};
}

static void set_transcript(const hone__speech_tokens *t, const hone__transcript *from, hone_transcript *to)
{
    *to = (hone_transcript){.language = "en", /* of a model that knows one language */
                            .language_probability = from->language_probability,
                            .segments = from->segments,
                            .windows = from->windows};
    if (t->multilingual) snprintf(to->language, sizeof to->language, "%s", t->languages[from->language].code);
}

hone_status hone_transcriber_run(hone_transcriber *t, const hone_sound *sound, const hone_transcribe_options *given,
                                 hone_transcript *out)
{
    const hone__speech_tokens *tokens = hone__speech_tokens_of(t->speech);
    hone__transcribe_options o = HONE__TRANSCRIBE_OPTIONS_INIT;
    hone__transcript result = {0};
    int32_t *list;
    bridge b = {sound, given};
    const hone__sound in = {read_sound, &b, sound->samples};
    *out = (hone_transcript){.language = ""};
    HONE__TRY(find_language(tokens, given->language, &o.language));
    HONE__TRY(suppressed(tokens, given, &list, &o.suppressed_count));
    set_options(given, &o);
    o.suppressed = list;
    o.vad = given->vad ? t->vad : NULL;
    o.on_segment = on_segment;
    o.on_progress = on_progress;
    o.ctx = &b;
    hone_status s = hone__transcribe(t->speech, &in, &o, &result);
    hone__free(list);
    set_transcript(tokens, &result, out);
    atomic_store(&t->cancel, false);
    return s;
}

hone_status hone_transcriber_detect(hone_transcriber *t, const hone_sound *sound, hone_transcript *out)
{
    bridge b = {sound, NULL};
    const hone__sound in = {read_sound, &b, sound->samples};
    hone__transcript result = {0};
    *out = (hone_transcript){.language = ""};
    hone_status s = hone__transcribe_language(t->speech, &in, &result);
    if (s == HONE_OK) set_transcript(hone__speech_tokens_of(t->speech), &result, out);
    atomic_store(&t->cancel, false);
    return s;
}

hone_status hone_transcriber_features(hone_transcriber *t, const hone_sound *sound, float *out)
{
    bridge b = {sound, NULL};
    const hone__sound in = {read_sound, &b, sound->samples};
    return hone__transcribe_features(t->speech, &in, out);
}
