/* generate.c: the loop over tokens. Prompts of different lengths are padded in front, so that all end together. */
#include "generate.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "generate_beams.h"

/* Numbers with commas between them, up to `end`. */
static hone_status read_ends(const char *at, const char *end, hone__decoder_facts *out)
{
    for (char *after; at < end; at = after + 1) {
        long long v = strtoll(at, &after, 10);
        if (after == at || v < 0 || v > INT32_MAX || after > end || (after < end && *after != ','))
            return hone__fail(HONE_E_FORMAT, "metadata %s: eos is no list of tokens", HONE__KEY_DECODER);
        if (out->eos_count == HONE__ENDS)
            return hone__fail(HONE_E_LIMIT, "metadata %s: more than %d tokens end a text", HONE__KEY_DECODER,
                              HONE__ENDS);
        out->eos[out->eos_count++] = (int32_t)v;
    }
    return HONE_OK;
}

hone_status hone__decoder_facts_read(const hone__model *m, hone__decoder_facts *out)
{
    static const char *const names[] = {"context", "bos", "pad"};
    int64_t *const into[] = {&out->context, &out->bos, &out->pad};
    const char *text = hone__model_metadata(m, HONE__KEY_DECODER);
    *out = (hone__decoder_facts){.context = 0, .bos = -1, .pad = -1};
    for (const char *line = text ? text : ""; *line;) {
        size_t key = strcspn(line, "=\n"), end = strcspn(line, "\n");
        for (size_t i = 0; i < 3; i++)
            if (line[key] == '=' && key == strlen(names[i]) && !strncmp(line, names[i], key))
                *into[i] = strtoll(line + key + 1, NULL, 10);
        if (line[key] == '=' && key == 3 && !strncmp(line, "eos", 3))
            HONE__TRY(read_ends(line + key + 1, line + end, out));
        line += end + (line[end] != 0);
    }
    if (out->context < 0 || out->context > INT32_MAX)
        return hone__fail(HONE_E_FORMAT, "metadata %s: context is %lld", HONE__KEY_DECODER, (long long)out->context);
    return HONE_OK;
}

typedef struct sequence {
    int32_t *ids; /* prompt and what was made of it */
    size_t length, prompt;
    uint32_t stream;
    bool done;
} sequence;

typedef struct loop {
    hone__decoder *d;
    const hone__generate_options *o;
    hone__sampler *sampler;
    sequence *seq;
    size_t count, open, width, most; /* width: of the longest prompt; most: new tokens that there is room for */
    int64_t *next;                   /* [count, n] tokens on their way into the decoder */
    int32_t *room;
} loop;

static bool is_end(const hone__sampling *s, int32_t id)
{
    for (size_t i = 0; i < s->end_count; i++)
        if (s->ends[i] == id) return true;
    return false;
}

static hone_status open_loop(loop *l, const int32_t *const *prompts, const size_t *lengths)
{
    size_t capacity = hone__decoder_capacity(l->d), longest = 0;
    for (size_t i = 0; i < l->count; i++) longest = lengths[i] > longest ? lengths[i] : longest;
    l->width = longest;
    for (size_t i = 0; i < l->count; i++)
        if (!lengths[i]) return hone__fail(HONE_E_ARGUMENT, "prompt %zu is empty", i);
    if (longest > capacity)
        return hone__fail(HONE_E_LIMIT, "a prompt of %zu tokens, the model takes at most %zu", longest, capacity);
    l->most = l->o->tokens < capacity - longest + 1 ? l->o->tokens : capacity - longest + 1;
    size_t most = longest + l->most;
    l->seq = hone__calloc(l->count, sizeof *l->seq);
    l->room = hone__calloc(l->count * most, sizeof *l->room);
    l->next = hone__calloc(l->count * (longest > l->o->lookup + 1 ? longest : l->o->lookup + 1), sizeof *l->next);
    if (!l->seq || !l->room || !l->next) return hone__out_of_memory(l->count * most * sizeof *l->room);
    for (size_t i = 0; i < l->count; i++) {
        sequence *s = &l->seq[i];
        *s = (sequence){.ids = l->room + i * most, .length = lengths[i], .prompt = lengths[i]};
        memcpy(s->ids, prompts[i], lengths[i] * sizeof **prompts);
        for (size_t k = 0; k < longest; k++)
            l->next[i * longest + k] = k < longest - lengths[i] ? l->o->pad : s->ids[k - (longest - lengths[i])];
    }
    l->open = l->count;
    return HONE_OK;
}

static hone_status start(loop *l, const float **scores, size_t *vocab)
{
    int64_t *first = hone__calloc(l->count, sizeof *first);
    if (!first) return hone__out_of_memory(l->count * sizeof *first);
    for (size_t i = 0; i < l->count; i++) first[i] = (int64_t)(l->width - l->seq[i].length);
    hone_status s = hone__decoder_start(l->d, l->count, first);
    hone__free(first);
    if (s == HONE_OK) s = hone__decoder_run(l->d, l->next, l->width, false, scores, vocab);
    hone__sampling sampling = l->o->sampling;
    sampling.most = l->most;
    if (s == HONE_OK) s = hone__sampler_create(&sampling, *vocab, &l->sampler);
    for (size_t i = 0; s == HONE_OK && i < l->count; i++) l->seq[i].stream = hone__sampler_stream(l->sampler, i);
    return s;
}

/* Sequence i goes on with `id`. */
static hone_status take(loop *l, size_t i, int32_t id)
{
    sequence *s = &l->seq[i];
    s->ids[s->length++] = id;
    bool full = l->width + (s->length - s->prompt) > hone__decoder_capacity(l->d); /* no room to go on from it */
    bool ends = (!l->o->force && is_end(&l->o->sampling, id)) || s->length - s->prompt >= l->o->tokens;
    s->done = ends || full;
    hone__go_on answer = l->o->on_token ? l->o->on_token(l->o->ctx, i, id, ends ? 1 : full ? 2 : 0) : HONE__GO_ON;
    s->done |= answer == HONE__END_SEQUENCE;
    l->open -= s->done;
    return answer == HONE__END_ALL ? hone__fail(HONE_E_CANCELLED, "cancelled") : HONE_OK;
}

/* scores: a copy, changed by the sampler. */
static hone_status choose(loop *l, size_t i, float *scores)
{
    sequence *s = &l->seq[i];
    return take(l, i, hone__sampler_next(l->sampler, scores, s->ids, s->length, s->prompt, &s->stream));
}

static hone_status one_by_one(loop *l, const float *scores, size_t vocab)
{
    while (l->open) {
        for (size_t i = 0; i < l->count; i++) {
            if (!l->seq[i].done) HONE__TRY(choose(l, i, (float *)(uintptr_t)scores + i * vocab)); /* its own rows */
            l->next[i] = l->seq[i].ids[l->seq[i].length - 1];
        }
        if (l->open) HONE__TRY(hone__decoder_run(l->d, l->next, 1, true, &scores, &vocab));
    }
    return HONE_OK;
}

/* Where the last tokens stand once more, what followed there: how many tokens of it lie at *from. */
static size_t look_up(const sequence *s, size_t most, const int32_t **from)
{
    for (size_t run = 3; run >= 1; run--)
        for (size_t at = s->length; at-- > run;) {
            if (memcmp(s->ids + at - run, s->ids + s->length - run, run * sizeof *s->ids)) continue;
            *from = s->ids + at;
            return most < s->length - at ? most : s->length - at;
        }
    return 0;
}

/* As many as attention takes together and still gives each token the bits that it gets alone. */
enum { MOST_GUESSES = 15 };

/* One sequence, the best token always: guesses run together with the newest token, and count as far as they are what
 * would have come. */
static hone_status guessing(loop *l, const float *scores, size_t vocab)
{
    sequence *s = &l->seq[0];
    const int32_t *from = NULL;
    HONE__TRY(choose(l, 0, (float *)(uintptr_t)scores));
    while (l->open) {
        size_t before = hone__decoder_length(l->d), left = hone__decoder_capacity(l->d) - before - 1;
        size_t wanted = l->o->tokens - (s->length - s->prompt), row = 0;
        size_t most = l->o->lookup < left ? l->o->lookup : left;
        size_t guessed = look_up(s, most < wanted ? most : wanted, &from);
        l->next[0] = s->ids[s->length - 1];
        for (size_t i = 0; i < guessed; i++) l->next[1 + i] = from[i];
        HONE__TRY(hone__decoder_run(l->d, l->next, guessed + 1, true, &scores, &vocab));
        do HONE__TRY(choose(l, 0, (float *)(uintptr_t)scores + row * vocab));
        while (row++ < guessed && l->open && l->next[row] == s->ids[s->length - 1]);
        hone__decoder_rewind(l->d, before + row);
    }
    return HONE_OK;
}

hone_status hone__generate(hone__decoder *d, const int32_t *const *prompts, const size_t *lengths, size_t count,
                           const hone__generate_options *o)
{
    loop l = {.d = d, .o = o, .count = count};
    const float *scores;
    size_t vocab;
    if (o->lookup > MOST_GUESSES)
        return hone__fail(HONE_E_ARGUMENT, "%zu guesses at a time, at most %d", o->lookup, MOST_GUESSES);
    if (!o->tokens || !count) return HONE_OK;
    if (o->beams > 1) return hone__generate_beams(d, prompts, lengths, count, o);
    hone_status s = open_loop(&l, prompts, lengths);
    if (s == HONE_OK) s = start(&l, &scores, &vocab);
    if (s == HONE_OK)
        s = o->lookup && count == 1 && o->sampling.temperature <= 0 ? guessing(&l, scores, vocab)
                                                                    : one_by_one(&l, scores, vocab);
    hone__sampler_destroy(l.sampler);
    hone__free(l.seq);
    hone__free(l.room);
    hone__free(l.next);
    return s;
}
