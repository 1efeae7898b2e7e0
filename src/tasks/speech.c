/* speech.c: one window at a time. The prompt runs once; draws and beams then go on from its keys and values. */
#include "speech.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "decode/sampler.h"
#include "decode/speech_beam.h"
#include "tasks/generate.h"
#include "tasks/speech_notes.h"

struct hone__speech {
    hone__encoder *encoder;
    hone__decoder *decoder;
    hone__tokenizer *tokenizer;
    hone__speech_tokens tokens;
    size_t mels, frames, context, group;
    int64_t *prompt; /* [context] */
    int32_t *best;   /* [context] what the last call gave */
    int32_t *lines;  /* [group, context] draws */
    float *room;     /* [2 or group, vocab] */
    size_t room_count;
};

static hone_status read_notes(hone__speech *s, const hone__model *encoder)
{
    hone__decoder_facts facts;
    const hone__shape *in = &encoder->graph->inputs[0]->shape;
    const char *text = hone__model_metadata(encoder, HONE__TOKENIZER_KEY);
    if (!text) return hone__fail(HONE_E_UNSUPPORTED, "the model has no tokenizer");
    HONE__TRY(hone__tokenizer_create(text, strlen(text), &s->tokenizer));
    HONE__TRY(hone__speech_tokens_read(s->tokenizer, &s->tokens));
    HONE__TRY(hone__decoder_facts_read(encoder, &facts));
    if (in->rank != 3 || in->dims[1] < 1 || in->dims[1] > 4096)
        return hone__fail(HONE_E_UNSUPPORTED, "the encoder does not take [batch, mels, frames]");
    s->mels = (size_t)in->dims[1];
    s->frames = (size_t)hone__speech_note(encoder, "frames", in->dims[2] > 0 ? in->dims[2] : 3000);
    s->context = facts.context > 0 ? (size_t)facts.context : 448;
    if (s->context < 8 || s->context > 1 << 20 || s->frames < 2 || s->frames > 1 << 20)
        return hone__fail(HONE_E_FORMAT, "a context of %zu tokens, a window of %zu frames", s->context, s->frames);
    return HONE_OK;
}

static hone_status make(hone__speech *s, const hone__model *encoder, const hone__model *first, const hone__model *next,
                        const hone__speech_options *o)
{
    s->group = o->group ? o->group : 1;
    if (encoder->graph->input_count != 1) return hone__fail(HONE_E_UNSUPPORTED, "the encoder has other inputs");
    HONE__TRY(read_notes(s, encoder));
    hone__encoder_options e = {.session = o->session, .batch = 1, .rows = (s->frames + 1) / 2, .cache = o->cache};
    hone__decoder_options d = {.session = o->session, .batch = s->group, .capacity = s->context, .cache = o->cache};
    HONE__TRY(hone__encoder_create(encoder, first, &e, &s->encoder));
    HONE__TRY(hone__decoder_create(next, &d, &s->decoder));
    s->prompt = hone__calloc(s->context, sizeof *s->prompt);
    s->best = hone__calloc(s->context, sizeof *s->best);
    s->lines = hone__calloc(s->group * s->context, sizeof *s->lines);
    return s->prompt && s->best && s->lines ? HONE_OK : hone__out_of_memory(s->group * s->context);
}

hone_status hone__speech_create(const hone__model *encoder, const hone__model *first, const hone__model *next,
                                const hone__speech_options *o, hone__speech **out)
{
    hone__speech *s = *out = hone__calloc(1, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    hone_status r = make(s, encoder, first, next, o);
    if (r == HONE_OK) return r;
    hone__speech_destroy(s);
    *out = NULL;
    return r;
}

void hone__speech_destroy(hone__speech *s)
{
    if (!s) return;
    hone__encoder_destroy(s->encoder);
    hone__decoder_destroy(s->decoder);
    hone__speech_tokens_free(&s->tokens);
    hone__tokenizer_destroy(s->tokenizer);
    hone__free(s->prompt);
    hone__free(s->best);
    hone__free(s->lines);
    hone__free(s->room);
    hone__free(s);
}

const hone__speech_tokens *hone__speech_tokens_of(const hone__speech *s) { return &s->tokens; }
const hone__tokenizer *hone__speech_tokenizer(const hone__speech *s) { return s->tokenizer; }
size_t hone__speech_mels(const hone__speech *s) { return s->mels; }
size_t hone__speech_frames(const hone__speech *s) { return s->frames; }
size_t hone__speech_context(const hone__speech *s) { return s->context; }

hone_status hone__speech_encode(hone__speech *s, const float *features, size_t frames)
{
    const int64_t dims[] = {1, (int64_t)s->mels, (int64_t)frames};
    hone__tensor in;
    size_t count;
    if (!frames || frames % 2 || frames > s->frames)
        return hone__fail(HONE_E_ARGUMENT, "%zu frames, expected an even number up to %zu", frames, s->frames);
    hone__view(&in, HONE_F32, 3, dims, features);
    HONE__TRY(hone__encoder_run(s->encoder, &in));
    const hone__tensor *caches = hone__encoder_caches(s->encoder, &count);
    return hone__decoder_attend(s->decoder, caches, count);
}

hone_status hone__speech_language(hone__speech *s, float *p, size_t *best)
{
    const float *scores;
    size_t vocab;
    double most = -INFINITY, sum = 0;
    *best = 0;
    if (!s->tokens.multilingual) return HONE_OK;
    const int64_t start = s->tokens.start;
    HONE__TRY(hone__decoder_start(s->decoder, 1, NULL));
    HONE__TRY(hone__decoder_run(s->decoder, &start, 1, false, &scores, &vocab));
    for (size_t i = 0; i < s->tokens.language_count; i++) {
        size_t id = (size_t)s->tokens.languages[i].id;
        p[i] = id < vocab ? scores[id] : -INFINITY;
        if (p[i] > most) most = p[i], *best = i;
    }
    for (size_t i = 0; i < s->tokens.language_count; i++) sum += exp(p[i] - most);
    for (size_t i = 0; i < s->tokens.language_count; i++) p[i] = (float)(exp(p[i] - most) / sum);
    return HONE_OK;
}

/* What was said before, the start and the tokens that steer: *length of them, *steer where the start is. */
static void make_prompt(hone__speech *s, const hone__speech_request *q, size_t *length, size_t *steer)
{
    const hone__speech_tokens *t = &s->tokens;
    size_t n = 0, kept = s->context / 2 - 1;
    if (q->prompt_count && t->start_of_prev >= 0) {
        size_t from = q->prompt_count > kept ? q->prompt_count - kept : 0;
        s->prompt[n++] = t->start_of_prev;
        for (size_t i = from; i < q->prompt_count; i++) s->prompt[n++] = q->prompt[i];
    }
    *steer = n;
    s->prompt[n++] = t->start;
    if (t->multilingual) {
        s->prompt[n++] = t->languages[q->language].id;
        if (t->transcribe >= 0 && t->translate >= 0) s->prompt[n++] = q->translate ? t->translate : t->transcribe;
    }
    if (!q->timestamps && t->no_timestamps >= 0) s->prompt[n++] = t->no_timestamps;
    *length = n;
}

static double probability(const float *scores, size_t vocab, int32_t id)
{
    double most = -INFINITY, sum = 0;
    if (id < 0 || (size_t)id >= vocab) return 0;
    for (size_t i = 0; i < vocab; i++) most = scores[i] > most ? scores[i] : most;
    for (size_t i = 0; i < vocab; i++) sum += exp(scores[i] - most);
    return exp(scores[id] - most) / sum;
}

typedef struct window {
    hone__speech *s;
    const hone__speech_request *q;
    hone__speech_rules rules;
    const float *scores; /* of the prompt's last token */
    size_t vocab, most;  /* most: new tokens */
} window;

/* The prompt into the decoder; the scores behind it. */
static hone_status begin(window *w, double *no_speech)
{
    hone__speech *s = w->s;
    size_t length, steer;
    make_prompt(s, w->q, &length, &steer);
    HONE__TRY(hone__decoder_start(s->decoder, 1, NULL));
    HONE__TRY(hone__decoder_run(s->decoder, s->prompt, steer + 1, false, &w->scores, &w->vocab));
    *no_speech = probability(w->scores, w->vocab, s->tokens.no_speech);
    if (length > steer + 1)
        HONE__TRY(
            hone__decoder_run(s->decoder, s->prompt + steer + 1, length - steer - 1, false, &w->scores, &w->vocab));
    size_t rows = s->group > 2 ? s->group : 2;
    size_t left = s->context - length + 1; /* the last token needs no room */
    if (w->most > left) w->most = left;
    const hone__speech_tokens *t = &s->tokens;
    w->rules = (hone__speech_rules){.vocab = w->vocab,
                                    .end = t->end,
                                    .first_timestamp = t->first_timestamp,
                                    .no_timestamps = t->no_timestamps,
                                    .suppressed = w->q->suppressed ? w->q->suppressed : t->suppressed,
                                    .suppressed_count = w->q->suppressed ? w->q->suppressed_count : t->suppressed_count,
                                    .blank = t->blank,
                                    .blank_count = w->q->suppress_blank ? t->blank_count : 0,
                                    .keep_end = !w->q->suppress_blank,
                                    .timestamps = w->q->timestamps,
                                    .most_initial = w->q->most_initial};
    if (s->room_count < rows * w->vocab) {
        float *room = hone__realloc(s->room, rows * w->vocab * sizeof *room);
        if (!room) return hone__out_of_memory(rows * w->vocab * sizeof *room);
        s->room = room;
        s->room_count = rows * w->vocab;
    }
    return (size_t)t->end < w->vocab
               ? HONE_OK
               : hone__fail(HONE_E_FORMAT, "scores of %zu tokens, the tokenizer has more", w->vocab);
}

/* One after the other: rules and logarithms of probabilities of a row, from `from` into `to`. */
static void ready(const window *w, const float *from, float *to, const int32_t *made, size_t n)
{
    memcpy(to, from, w->vocab * sizeof *to);
    if (w->q->force) /* any token, but never the same for want of another */
        to[w->rules.end] = -INFINITY;
    else
        hone__speech_rules_apply(&w->rules, to, made, n);
    hone__log_softmax(to, w->vocab);
}

typedef struct draw {
    size_t length;
    double sum;
    bool done;
} draw;

static int32_t likeliest(const float *p, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (p[i] > p[best]) best = i;
    return (int32_t)best;
}

/* The next token of one sequence. Draws are from a copy, which the sampler changes. */
static void choose(window *w, draw *d, size_t i, const float *scores, hone__sampler *sampler, uint32_t *stream)
{
    hone__speech *s = w->s;
    int32_t *line = s->lines + i * s->context, id;
    float *p = s->room, *copy = s->room + w->vocab;
    ready(w, scores, p, line, d->length);
    if (sampler) {
        memcpy(copy, p, w->vocab * sizeof *copy);
        id = hone__sampler_next(sampler, copy, line, d->length, d->length, stream);
    } else
        id = likeliest(p, w->vocab);
    d->sum += p[id];
    if (id == s->tokens.end) {
        d->done = true;
        return;
    }
    line[d->length++] = id;
    d->done = d->length >= w->most;
}

/* Draws side by side, or the best token always; the best of them by rank into s->best. */
static hone_status one_by_one(window *w, hone__speech_reply *out)
{
    hone__speech *s = w->s;
    size_t count = w->q->temperature > 0 && w->q->best_of > 1 ? w->q->best_of : 1, open = count, best = 0;
    hone__sampling sampling = HONE__SAMPLING_INIT;
    hone__sampler *sampler = NULL;
    draw *draws = hone__calloc(count, sizeof *draws);
    uint32_t *streams = hone__calloc(count, sizeof *streams);
    int64_t *next = hone__calloc(count, sizeof *next);
    hone_status r = draws && streams && next ? HONE_OK : hone__out_of_memory(count);
    sampling.temperature = w->q->temperature;
    sampling.seed = w->q->seed;
    if (r == HONE_OK && w->q->temperature > 0) r = hone__sampler_create(&sampling, w->vocab, &sampler);
    for (size_t i = 0; sampler && i < count; i++) streams[i] = hone__sampler_stream(sampler, i);
    const float *scores = w->scores;
    size_t step = 0, vocab;
    float *first = NULL;
    if (r == HONE_OK && count > 1) { /* the scores of the prompt go with the next run */
        first = hone__malloc(w->vocab * sizeof *first);
        r = first ? hone__decoder_spread(s->decoder, count) : hone__out_of_memory(w->vocab);
        if (first) memcpy(first, scores, w->vocab * sizeof *first);
    }
    for (; r == HONE_OK && open; step++) {
        for (size_t i = 0; r == HONE_OK && i < count; i++) {
            if (draws[i].done) continue;
            choose(w, &draws[i], i, step ? scores + i * w->vocab : first ? first : scores, sampler, &streams[i]);
            open -= draws[i].done;
        }
        for (size_t i = 0; i < count; i++)
            next[i] = draws[i].length ? s->lines[i * s->context + draws[i].length - 1] : s->tokens.end;
        if (r == HONE_OK && open) r = hone__decoder_run(s->decoder, next, 1, true, &scores, &vocab);
    }
    for (size_t i = 1; r == HONE_OK && i < count; i++)
        if (hone__speech_rank(draws[i].sum, draws[i].length, w->q->length_penalty) >
            hone__speech_rank(draws[best].sum, draws[best].length, w->q->length_penalty))
            best = i;
    if (r == HONE_OK) {
        out->count = draws[best].length;
        out->mean = draws[best].sum / (double)(draws[best].length + 1);
        memcpy(s->best, s->lines + best * s->context, out->count * sizeof *s->best);
    }
    hone__free(first);
    hone__sampler_destroy(sampler);
    hone__free(draws);
    hone__free(streams);
    hone__free(next);
    return r;
}

static hone_status beams(window *w, hone__speech_reply *out)
{
    hone__speech *s = w->s;
    hone__speech_beam *b;
    size_t n = w->q->beams, vocab, length;
    const float *scores = w->scores;
    HONE__TRY(hone__speech_beam_create(n, w->q->patience, w->most, s->tokens.end, w->vocab, &b));
    int32_t *from = hone__calloc(n, sizeof *from);
    int64_t *next = hone__calloc(n, sizeof *next);
    hone_status r = from && next ? HONE_OK : hone__out_of_memory(n);
    ready(w, scores, s->room, NULL, 0);
    if (r == HONE_OK) r = hone__decoder_spread(s->decoder, n);
    while (r == HONE_OK && hone__speech_beam_grow(b, s->room, from)) {
        for (size_t i = 0; i < n; i++) next[i] = hone__speech_beam_running(b, i, &length)[0 + length - 1];
        r = hone__decoder_reorder(s->decoder, from);
        if (r == HONE_OK) r = hone__decoder_run(s->decoder, next, 1, true, &scores, &vocab);
        for (size_t i = 0; r == HONE_OK && i < n; i++) {
            const int32_t *made = hone__speech_beam_running(b, i, &length);
            ready(w, scores + i * w->vocab, s->room + i * w->vocab, made, length);
        }
    }
    if (r == HONE_OK) {
        double sum;
        const int32_t *ids = hone__speech_beam_best(b, w->q->length_penalty, &out->count, &sum);
        out->mean = sum / (double)(out->count + 1);
        if (ids) memcpy(s->best, ids, out->count * sizeof *s->best);
    }
    hone__free(from);
    hone__free(next);
    hone__speech_beam_destroy(b);
    return r;
}

hone_status hone__speech_decode(hone__speech *s, const hone__speech_request *q, hone__speech_reply *out)
{
    bool search = q->temperature <= 0 && q->beams > 1;
    size_t side = search ? q->beams : q->temperature > 0 ? q->best_of : 1;
    window w = {.s = s, .q = q, .most = q->most ? q->most : s->context / 2};
    *out = (hone__speech_reply){.ids = s->best};
    if (side > s->group) return hone__fail(HONE_E_ARGUMENT, "%zu sequences, at most %zu", side, s->group);
    if (s->tokens.multilingual && q->language >= s->tokens.language_count)
        return hone__fail(HONE_E_ARGUMENT, "language %zu of %zu", q->language, s->tokens.language_count);
    HONE__TRY(begin(&w, &out->no_speech));
    return search ? beams(&w, out) : one_by_one(&w, out);
}
