/* transcribe.c: see transcribe.h. Times are frames of 10 ms until they are told. */
#include "transcribe.h"

#include <math.h>
#include <string.h>

#include "audio/log_mel.h"
#include "base/alloc.h"
#include "tasks/vad.h"
#include "text/deflate_size.h"

enum {
    FRAME = HONE__LOG_MEL_HOP,
    PER_SECOND = HONE__LOG_MEL_RATE / HONE__LOG_MEL_HOP,
    STEP = 2 /* frames a timestamp */
};

typedef struct job {
    hone__speech *speech;
    const hone__sound *sound;
    const hone__vad_pieces *pieces; /* what sound is made of; NULL: it is the whole one */
    const hone__transcribe_options *o;
    hone__log_mel *mel;
    float *pcm, *features;
    size_t pcm_count, content; /* content: frames of the sound */
    float largest;             /* of all features */
    int32_t *said;             /* tokens so far */
    size_t said_count, said_room, initial,
        reset; /* initial: of them the given prompt; reset: those before do not count */
    int32_t *prompt;
    size_t prompt_room;
    hone__text bytes, text;
    hone__transcript *out;
    size_t next_id;
} job;

/* Features of frames [from, from + count), not yet limited. */
static hone_status frames(job *j, size_t from, size_t count, float *to, size_t stride, float *largest)
{
    size_t begin = from * FRAME > HONE__LOG_MEL_REACH ? from * FRAME - HONE__LOG_MEL_REACH : 0;
    size_t end = (from + count) * FRAME + HONE__LOG_MEL_REACH, n = end - begin;
    hone_status s = HONE_OK;
    if (n > j->pcm_count) {
        float *pcm = hone__realloc(j->pcm, n * sizeof *pcm);
        if (!pcm) return hone__out_of_memory(n * sizeof *pcm);
        j->pcm = pcm;
        j->pcm_count = n;
    }
    size_t got = j->sound->read(j->sound->ctx, begin, j->pcm, n, &s);
    HONE__TRY(s);
    *largest = hone__log_mel_run(j->mel, j->pcm, begin, got, from, count, to, stride);
    return HONE_OK;
}

/* The largest value of the whole sound and of the silence behind it, piece by piece. */
static hone_status find_largest(job *j)
{
    size_t whole = hone__speech_frames(j->speech);
    j->largest = -10;                  /* log10(1e-10): silence */
    const size_t end = j->content + 2; /* those behind the sound's end that still see it */
    for (size_t at = 0; at < end; at += whole) {
        float here;
        size_t n = end - at < whole ? end - at : whole;
        HONE__TRY(frames(j, at, n, j->features, whole, &here));
        j->largest = here > j->largest ? here : j->largest;
    }
    return HONE_OK;
}

/* Features of frames [seek, seek + count), zeros behind them: j->features, [mels, wide]. */
static hone_status window_features(job *j, size_t seek, size_t count, size_t wide)
{
    float here;
    HONE__TRY(frames(j, seek, count, j->features, wide, &here));
    for (size_t m = 0; m < hone__speech_mels(j->speech); m++) {
        float *row = j->features + m * wide;
        hone__log_mel_limit(row, count, j->largest);
        memset(row + count, 0, (wide - count) * sizeof *row);
    }
    return HONE_OK;
}

/* Encodes frames [seek, seek + count), and silence up to the window's length or, of a short sound, to --audio-ctx. */
static hone_status encode(job *j, size_t seek, size_t count)
{
    size_t whole = hone__speech_frames(j->speech);
    size_t wide = j->o->audio_frames && j->o->audio_frames < whole ? j->o->audio_frames : whole;
    wide += wide % 2;
    if (wide > whole) wide = whole;
    if (count > wide) count = wide;
    /* real frames of what follows the window count as silence, as in pad_or_trim */
    HONE__TRY(window_features(j, seek, count, wide));
    return hone__speech_encode(j->speech, j->features, wide);
}

static hone_status append_said(job *j, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        HONE__TRY(hone__grow(&j->said, &j->said_room, j->said_count, sizeof *j->said));
        j->said[j->said_count++] = ids[i];
    }
    return HONE_OK;
}

static hone_status initial_prompt(job *j)
{
    hone__token_list list = {0};
    const char *text = j->o->prompt;
    size_t n = text ? strlen(text) : 0;
    while (n && strchr(" \t\r\n", *text)) text++, n--;
    while (n && strchr(" \t\r\n", text[n - 1])) n--;
    if (!n) return HONE_OK;
    hone__text spaced = {0};
    hone_status s = hone__text_append(&spaced, " ", 1);
    if (s == HONE_OK) s = hone__text_append(&spaced, text, n);
    if (s == HONE_OK)
        s = hone__tokenizer_encode(hone__speech_tokenizer(j->speech), spaced.data, spaced.size, false, &list);
    if (s == HONE_OK) s = append_said(j, (const int32_t *)list.ids, list.count);
    j->initial = j->said_count;
    hone__token_list_free(&list);
    hone__free(spaced.data);
    return s;
}

/* What the next window is told: all since the reset, or the given prompt and the newest of the rest. */
static hone_status make_prompt(job *j, const int32_t **ids, size_t *count)
{
    size_t most = hone__speech_context(j->speech) / 2 - 1;
    if (most > j->o->most_prompt) most = j->o->most_prompt;
    *count = j->said_count - j->reset;
    if (*count > most) *count = most;
    *ids = j->said + j->said_count - *count;
    if (!j->o->carry_prompt || !j->initial || !most) return HONE_OK;
    size_t from = j->reset > j->initial ? j->reset : j->initial;
    size_t given = j->initial < most ? j->initial : most, room = most - given, rest = j->said_count - from;
    if (rest > room) from += rest - room, rest = room;
    if (j->prompt_room < most) {
        int32_t *p = hone__realloc(j->prompt, most * sizeof *p);
        if (!p) return hone__out_of_memory(most * sizeof *p);
        j->prompt = p;
        j->prompt_room = most;
    }
    memcpy(j->prompt, j->said, given * sizeof *j->prompt);
    memcpy(j->prompt + given, j->said + from, rest * sizeof *j->prompt);
    *ids = j->prompt;
    *count = given + rest;
    return HONE_OK;
}

/* Text of the ids below `limit`. NUL-terminated. */
static hone_status decode_text(job *j, const int32_t *ids, size_t n, int32_t limit)
{
    j->bytes.size = j->text.size = 0;
    for (size_t i = 0; i < n; i++)
        if (ids[i] < limit)
            HONE__TRY(hone__tokenizer_decode(hone__speech_tokenizer(j->speech), (const uint32_t *)&ids[i], 1, false,
                                             &j->bytes));
    if (j->bytes.size) HONE__TRY(hone__text_append_valid(&j->text, j->bytes.data, j->bytes.size));
    return hone__text_append(&j->text, "", 1);
}

static bool is_blank(const job *j)
{
    size_t size = j->text.size - 1;
    hone__text_strip(j->text.data, &size);
    return !size;
}

typedef struct window {
    hone__speech_reply reply;
    double temperature, compression;
} window;

/* How well the text packs, with the texts of tokens that steer: its bytes over those that zlib makes of it, both ends
 * stripped of spaces. */
static hone_status pack_ratio(job *j, const int32_t *ids, size_t n, double *ratio)
{
    HONE__TRY(decode_text(j, ids, n, hone__speech_tokens_of(j->speech)->first_timestamp));
    size_t size = j->text.size - 1, packed;
    const char *text = hone__text_strip(j->text.data, &size);
    HONE__TRY(hone__deflate_size(text, size, &packed));
    *ratio = (double)size / (double)packed;
    return HONE_OK;
}

/* Of the last 32 tokens: how evenly they are spread over the vocabulary, in nats; infinite of a text that has no more.
 */
static double entropy(const int32_t *ids, size_t n)
{
    enum { LAST = 32 };
    double sum = 0;
    if (n <= LAST) return INFINITY;
    for (size_t i = n - LAST; i < n; i++) {
        size_t same = 0;
        for (size_t k = n - LAST; k < n; k++) same += ids[k] == ids[i];
        sum -= log((double)same / LAST) / LAST;
    }
    return sum;
}

/* Temperature after temperature until a text looks right. */
static hone_status decode(job *j, window *w)
{
    const hone__transcribe_options *o = j->o;
    hone__speech_request q = HONE__SPEECH_REQUEST_INIT;
    HONE__TRY(make_prompt(j, &q.prompt, &q.prompt_count));
    q.language = j->out->language;
    q.translate = o->translate;
    q.timestamps = o->timestamps;
    q.beams = o->beams;
    q.patience = o->patience;
    q.length_penalty = o->length_penalty;
    q.suppressed = o->suppressed;
    q.suppressed_count = o->suppressed_count;
    q.suppress_blank = o->suppress_blank;
    q.most = o->force;
    q.force = o->force != 0;
    for (size_t i = 0; i < o->temperature_count; i++) {
        q.temperature = (float)(w->temperature = o->temperatures[i]);
        q.best_of = q.temperature > 0 ? o->best_of : 1;
        q.seed = o->seed + (uint32_t)(j->out->windows * 16 + i);
        HONE__TRY(hone__speech_decode(j->speech, &q, &w->reply));
        HONE__TRY(pack_ratio(j, w->reply.ids, w->reply.count, &w->compression));
        bool again = w->compression > o->most_compression || w->reply.mean < o->least_mean ||
                     entropy(w->reply.ids, w->reply.count) < o->least_entropy;
        if (w->reply.no_speech > o->most_no_speech && w->reply.mean < o->least_mean) again = false; /* silence */
        if (!again || q.force) break;
    }
    return HONE_OK;
}

/* The frame of the whole sound that a place in the transcribed one, in s, stands for. */
static size_t whole_frame(const job *j, double seconds)
{
    size_t at = seconds > 0 ? (size_t)(seconds * HONE__LOG_MEL_RATE + 0.5) : 0;
    if (j->pieces) at = hone__vad_map(j->pieces, at);
    return (at + FRAME / 2) / FRAME;
}

/* Likewise in s; whisper.cpp and faster-whisper, too, round to 10 ms what they map. */
static double whole_time(const job *j, double seconds)
{
    return j->pieces ? (double)whole_frame(j, seconds) / PER_SECOND : seconds;
}

static hone_status tell(job *j, const window *w, size_t seek, double start, double end, const int32_t *ids, size_t n)
{
    HONE__TRY(decode_text(j, ids, n, hone__speech_tokens_of(j->speech)->end));
    bool empty = start == end || is_blank(j);
    hone__segment s = {.id = j->next_id++,
                       .seek = whole_frame(j, (double)seek / PER_SECOND),
                       .start = whole_time(j, start),
                       .end = whole_time(j, end),
                       .text = empty ? "" : j->text.data,
                       .ids = ids,
                       .count = empty ? 0 : n,
                       .temperature = w->temperature,
                       .mean = w->reply.mean,
                       .compression = w->compression,
                       .no_speech = w->reply.no_speech};
    j->out->segments++;
    HONE__TRY(append_said(j, s.ids, s.count));
    if (j->o->on_segment && j->o->on_segment(j->o->ctx, &s)) return hone__fail(HONE_E_CANCELLED, "cancelled");
    return HONE_OK;
}

static bool is_time(const job *j, int32_t id) { return id >= hone__speech_tokens_of(j->speech)->first_timestamp; }

/* Pieces between two timestamps that stand side by side; *seek goes to where the last one ends. */
static hone_status split(job *j, const window *w, size_t *seek, size_t count)
{
    const int32_t *ids = w->reply.ids;
    const int32_t zero = hone__speech_tokens_of(j->speech)->first_timestamp;
    size_t n = w->reply.count, from = 0, at = *seek;
    const double unit = (double)STEP / PER_SECOND, offset = (double)at / PER_SECOND;
    bool single = n >= 2 && !is_time(j, ids[n - 2]) && is_time(j, ids[n - 1]);
    for (size_t i = 1; i <= n; i++) {
        bool cut = i < n ? is_time(j, ids[i - 1]) && is_time(j, ids[i]) : single && from;
        if (!cut) continue;
        HONE__TRY(tell(j, w, at, offset + (ids[from] - zero) * unit, offset + (ids[i - 1] - zero) * unit, ids + from,
                       i - from));
        from = i;
    }
    if (from && !single) {
        *seek += (size_t)(ids[from - 1] - zero) * STEP;
        return HONE_OK;
    }
    *seek += count;
    if (from) return HONE_OK;
    double length = (double)count / PER_SECOND;
    for (size_t i = n; i-- > 0;)
        if (is_time(j, ids[i])) {
            if (ids[i] != zero) length = (ids[i] - zero) * unit;
            break;
        }
    return tell(j, w, at, offset, offset + length, ids, n);
}

static hone_status one_window(job *j, size_t *seek, size_t end)
{
    const hone__transcribe_options *o = j->o;
    size_t count = hone__speech_frames(j->speech), before = *seek;
    window w = {0};
    if (count > j->content - *seek) count = j->content - *seek;
    if (count > end - *seek) count = end - *seek;
    HONE__TRY(encode(j, *seek, count));
    HONE__TRY(decode(j, &w));
    j->out->windows++;
    bool skip = w.reply.no_speech > o->most_no_speech && !(w.reply.mean > o->least_mean);
    if (skip)
        *seek += count;
    else
        HONE__TRY(split(j, &w, seek, count));
    if (*seek == before) *seek += count; /* a text that ends where it began: go on all the same */
    if (!skip && (!o->condition || w.temperature > 0.5)) j->reset = j->said_count;
    if (o->on_progress) o->on_progress(o->ctx, whole_time(j, (double)*seek / PER_SECOND));
    return HONE_OK;
}

static hone_status find_language(job *j)
{
    float p[HONE__SPEECH_LANGUAGES];
    j->out->language = j->o->language > 0 ? (size_t)j->o->language : 0;
    j->out->language_probability = 1;
    if (j->o->language >= 0 || !hone__speech_tokens_of(j->speech)->multilingual) return HONE_OK;
    HONE__TRY(encode(j, 0, hone__speech_frames(j->speech)));
    HONE__TRY(hone__speech_language(j->speech, p, &j->out->language));
    j->out->language_probability = p[j->out->language];
    return HONE_OK;
}

/* Where a place of the whole sound stands in the transcribed one, in s: what was left out is where the next piece
 * begins. */
static double stitched_time(const hone__vad_pieces *all, double seconds)
{
    double at = seconds * HONE__LOG_MEL_RATE;
    for (const hone__vad_piece *p = all->items; p < all->items + all->count; p++)
        if (at < (double)p->end) return ((double)p->at + fmax(at - (double)p->start, 0)) / HONE__LOG_MEL_RATE;
    return (double)all->samples / HONE__LOG_MEL_RATE;
}

/* A place of the whole sound as a frame of the transcribed one. */
static size_t frame_of(const job *j, double seconds)
{
    double f = rint((j->pieces ? stitched_time(j->pieces, seconds) : seconds) * PER_SECOND);
    return f <= 0 ? 0 : f >= (double)j->content ? j->content : (size_t)f;
}

/* Features of any window can be made. */
static hone_status begin(job *j)
{
    size_t whole = hone__speech_frames(j->speech) * hone__speech_mels(j->speech);
    HONE__TRY(hone__log_mel_create(hone__speech_mels(j->speech), &j->mel));
    j->features = hone__malloc(whole * sizeof *j->features);
    if (!j->features) return hone__out_of_memory(whole * sizeof *j->features);
    j->content = j->sound->samples / FRAME;
    return find_largest(j);
}

static void end(job *j)
{
    hone__log_mel_destroy(j->mel);
    hone__free(j->pcm);
    hone__free(j->features);
    hone__free(j->said);
    hone__free(j->prompt);
    hone__free(j->text.data);
    hone__free(j->bytes.data);
}

static hone_status run(job *j)
{
    const hone__transcribe_options *o = j->o;
    HONE__TRY(begin(j));
    HONE__TRY(find_language(j));
    HONE__TRY(initial_prompt(j));
    for (size_t i = 0; i < (o->clip_count ? o->clip_count : 1); i += 2) {
        size_t seek = o->clip_count ? frame_of(j, o->clips[i]) : 0;
        size_t end_of_clip = i + 1 < o->clip_count ? frame_of(j, o->clips[i + 1]) : j->content;
        while (seek < end_of_clip) HONE__TRY(one_window(j, &seek, end_of_clip));
    }
    return HONE_OK;
}

/* Finds the speech and transcribes that. */
static hone_status run_on_speech(job *j)
{
    const hone__transcribe_options *o = j->o;
    const hone__sound *whole = j->sound;
    hone__vad_spans spans = {0};
    hone__vad_pieces pieces = {0};
    hone__vad_stitched stitched = {whole, &pieces};
    hone_status s = hone__vad_find(o->vad, whole, &o->speech, &spans);
    if (s == HONE_OK) s = hone__vad_stitch(&o->speech, &spans, &pieces);
    hone__vad_spans_free(&spans);
    const hone__sound sound = hone__vad_stitched_sound(&stitched);
    j->sound = &sound;
    j->pieces = &pieces;
    if (s == HONE_OK) s = run(j);
    j->sound = whole;
    j->pieces = NULL;
    hone__vad_pieces_free(&pieces);
    if (s == HONE_OK && o->on_progress) o->on_progress(o->ctx, (double)whole->samples / HONE__LOG_MEL_RATE);
    return s;
}

hone_status hone__transcribe(hone__speech *speech, const hone__sound *sound, const hone__transcribe_options *o,
                             hone__transcript *out)
{
    job j = {.speech = speech, .sound = sound, .o = o, .out = out};
    *out = (hone__transcript){0};
    hone_status s = o->vad ? run_on_speech(&j) : run(&j);
    end(&j);
    return s;
}

hone_status hone__transcribe_language(hone__speech *speech, const hone__sound *sound, hone__transcript *out)
{
    const hone__transcribe_options o = HONE__TRANSCRIBE_OPTIONS_INIT;
    job j = {.speech = speech, .sound = sound, .o = &o, .out = out};
    *out = (hone__transcript){0};
    hone_status s = begin(&j);
    if (s == HONE_OK) s = find_language(&j);
    end(&j);
    return s;
}

hone_status hone__transcribe_features(hone__speech *speech, const hone__sound *sound, float *out)
{
    job j = {.speech = speech, .sound = sound};
    size_t wide = hone__speech_frames(speech);
    hone_status s = begin(&j);
    if (s == HONE_OK) s = window_features(&j, 0, wide, wide);
    if (s == HONE_OK) memcpy(out, j.features, wide * hone__speech_mels(speech) * sizeof *out);
    end(&j);
    return s;
}
