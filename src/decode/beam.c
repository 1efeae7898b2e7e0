/* beam.c: see beam.h. */
#include "beam.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

#define OUT_OF_RACE (-1e9f)

typedef struct candidate {
    float score;
    size_t beam;
    int32_t id;
    bool ends;
} candidate;

typedef struct sequence {
    int32_t *ids; /* [prompt + most] */
    size_t length;
    float score;
    bool whole; /* kept ones: it has ended; others fill the list up */
} sequence;

struct hone__beam {
    hone__beam_options o;
    size_t vocab, prompt, made, keep;
    sequence *lists; /* of which these are parts, [beams] each */
    sequence *running, *kept, *next, *merged;
    candidate *best; /* [keep], the best first */
    int32_t *room;
    bool hopeful; /* a running one may still become better than what is kept */
};

static hone_status make_room(hone__beam *b, const int32_t *prompt)
{
    size_t beams = b->o.beams, width = b->prompt + b->o.most;
    b->lists = b->running = hone__calloc(4 * beams, sizeof *b->lists);
    b->best = hone__calloc(b->keep, sizeof *b->best);
    b->room = hone__calloc(4 * beams * width, sizeof *b->room);
    if (!b->lists || !b->best || !b->room) return hone__out_of_memory(4 * beams * width * sizeof *b->room);
    b->next = b->running + beams, b->kept = b->running + 2 * beams, b->merged = b->running + 3 * beams;
    for (size_t i = 0; i < 4 * beams; i++) {
        b->lists[i] = (sequence){.ids = b->room + i * width, .length = b->prompt, .score = OUT_OF_RACE};
        memcpy(b->lists[i].ids, prompt, b->prompt * sizeof *prompt);
    }
    b->running[0].score = 0; /* all rows are alike at first: only one of them counts */
    return HONE_OK;
}

hone_status hone__beam_create(const hone__beam_options *options, const int32_t *prompt, size_t length, size_t vocab,
                              hone__beam **out)
{
    *out = NULL;
    if (!options->beams || options->beams > 1024 || !options->most || !vocab)
        return hone__fail(HONE_E_ARGUMENT, "%zu beams of %zu tokens, expected 1 to 1024 of at least 1", options->beams,
                          options->most);
    hone__beam *b = hone__calloc(1, sizeof *b);
    if (!b) return hone__out_of_memory(sizeof *b);
    *b = (hone__beam){.o = *options, .vocab = vocab, .prompt = length, .hopeful = true};
    size_t ends = options->end_count > 1 ? options->end_count : 1;
    b->keep = (1 + ends) * options->beams; /* so many that enough remain when each beam's best ones end */
    if (b->keep > options->beams * vocab) b->keep = options->beams * vocab;
    hone_status s = make_room(b, prompt);
    if (s == HONE_OK)
        *out = b;
    else
        hone__beam_destroy(b);
    return s;
}

void hone__beam_destroy(hone__beam *b)
{
    if (!b) return;
    hone__free(b->lists);
    hone__free(b->best);
    hone__free(b->room);
    hone__free(b);
}

const int32_t *hone__beam_running(const hone__beam *b, size_t i, size_t *length)
{
    *length = b->running[i].length;
    return b->running[i].ids;
}

static bool is_end(const hone__beam_options *o, int32_t id)
{
    for (size_t i = 0; i < o->end_count; i++)
        if (o->ends[i] == id) return true;
    return false;
}

/* The `keep` best continuations, in order; how many there are. */
static size_t collect(hone__beam *b, const float *scores)
{
    size_t n = 0;
    for (size_t k = 0; k < b->o.beams; k++)
        for (size_t v = 0; v < b->vocab; v++) {
            float score = scores[k * b->vocab + v] + b->running[k].score;
            if (n == b->keep && !(score > b->best[n - 1].score)) continue;
            size_t at = n < b->keep ? n++ : n - 1;
            for (; at && score > b->best[at - 1].score; at--) b->best[at] = b->best[at - 1];
            b->best[at] = (candidate){.score = score, .beam = k, .id = (int32_t)v};
        }
    for (size_t i = 0; i < n; i++) b->best[i].ends = b->made + 1 >= b->o.most || is_end(&b->o, b->best[i].id);
    return n;
}

static void set(sequence *to, const sequence *from, const candidate *c, float score)
{
    memcpy(to->ids, from->ids, from->length * sizeof *to->ids);
    to->ids[from->length] = c->id;
    to->length = from->length + 1;
    to->score = score;
}

static void swap_lists(sequence **a, sequence **b)
{
    sequence *t = *a;
    *a = *b, *b = t;
}

/* Those that do not end go on; where they are too few, those that end fill up, out of the race. */
static void go_on(hone__beam *b, size_t n, int32_t *from)
{
    size_t count = 0;
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < n && count < b->o.beams; i++) {
            const candidate *c = &b->best[i];
            if (c->ends != (round == 1)) continue;
            from[count] = (int32_t)c->beam;
            set(&b->next[count++], &b->running[c->beam], c, c->ends ? c->score + OUT_OF_RACE : c->score);
        }
    while (count < b->o.beams) from[count++] = 0;
}

/* Of the first `beams` continuations those that end, if anything may still be kept, merged with what was kept. */
static void keep_ended(hone__beam *b, size_t n)
{
    float divisor = powf((float)(b->made + 1), b->o.length_penalty);
    bool full = b->o.early == HONE__EARLY_FULL, open = b->hopeful;
    for (size_t i = 0; i < b->o.beams; i++) full &= b->kept[i].whole;
    size_t old = 0, fresh = 0, first = n < b->o.beams ? n : b->o.beams;
    for (size_t i = 0; i < b->o.beams; i++) {
        while (fresh < first && !b->best[fresh].ends) fresh++;
        bool can = open && !full && fresh < first;
        float score = can ? b->best[fresh].score / divisor : 0;
        if (can && score > b->kept[old].score) {
            const candidate *c = &b->best[fresh++];
            set(&b->merged[i], &b->running[c->beam], c, score);
            b->merged[i].whole = true;
            continue;
        }
        const sequence *k = &b->kept[old++];
        memcpy(b->merged[i].ids, k->ids, k->length * sizeof *k->ids);
        b->merged[i].length = k->length, b->merged[i].score = k->score, b->merged[i].whole = k->whole;
    }
    swap_lists(&b->kept, &b->merged);
}

static bool may_improve(const hone__beam *b)
{
    bool longest = b->o.early == HONE__EARLY_NEVER && b->o.length_penalty > 0;
    float best = b->running[0].score / powf((float)(longest ? b->o.most : b->made), b->o.length_penalty);
    for (size_t i = 0; i < b->o.beams; i++)
        if (best > (b->kept[i].whole ? b->kept[b->o.beams - 1].score : OUT_OF_RACE)) return true;
    return false;
}

bool hone__beam_grow(hone__beam *b, const float *scores, int32_t *from)
{
    size_t n = collect(b, scores);
    go_on(b, n, from);
    keep_ended(b, n);
    bool some_go_on = false, full = b->o.early == HONE__EARLY_FULL;
    for (size_t i = 0; i < n; i++) some_go_on |= !b->best[i].ends;
    swap_lists(&b->running, &b->next);
    b->made++;
    b->hopeful = b->hopeful && may_improve(b);
    for (size_t i = 0; i < b->o.beams; i++) full &= b->kept[i].whole;
    return b->hopeful && !full && some_go_on;
}

const int32_t *hone__beam_kept(const hone__beam *b, size_t i, size_t *length)
{
    const sequence *s = &b->kept[i];
    if (i >= b->o.beams || !s->whole) return NULL;
    *length = s->length - b->prompt;
    return s->ids + b->prompt;
}
