/* sampler.c: see sampler.h. */
#include "sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "kernels/choose/choose.h"

/* One token that may still come. */
typedef struct candidate {
    double score; /* divided by the temperature; later a probability */
    double rank;  /* typical: how far its surprise is from the expected one */
    int32_t id;
} candidate;

struct hone__sampler {
    hone__sampling s;
    size_t vocab;
    uint8_t *seen;
    candidate *list; /* [vocab] */
};

static hone_status check_numbers(const hone__sampling *s)
{
    const struct {
        const char *name;
        float value, least, most;
    } rows[] = {{"temperature", s->temperature, 0, 1e6f},
                {"top-p", s->top_p, 0, 1},
                {"min-p", s->min_p, 0, 1},
                {"typical-p", s->typical_p, 0, 1},
                {"repetition penalty", s->repetition, 1e-6f, 1e6f},
                {"presence penalty", s->presence, -1e6f, 1e6f},
                {"frequency penalty", s->frequency, -1e6f, 1e6f}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!(rows[i].value >= rows[i].least && rows[i].value <= rows[i].most))
            return hone__fail(HONE_E_ARGUMENT, "%s is %g, expected %g to %g", rows[i].name, (double)rows[i].value,
                              (double)rows[i].least, (double)rows[i].most);
    return s->top_k >= 0 ? HONE_OK : hone__fail(HONE_E_ARGUMENT, "top-k is %d", (int)s->top_k);
}

static bool holds(hone__tokens list, int32_t id)
{
    for (size_t i = 0; i < list.count; i++)
        if (list.ids[i] == id) return true;
    return false;
}

static hone_status check_tokens(const char *name, hone__tokens list, size_t vocab)
{
    for (size_t i = 0; i < list.count; i++)
        if (list.ids[i] < 0 || (size_t)list.ids[i] >= vocab)
            return hone__fail(HONE_E_ARGUMENT, "%s: no token %u, the vocabulary has %zu", name, (unsigned)list.ids[i],
                              vocab);
    return HONE_OK;
}

/* first or last. */
static hone_status check_forced(const char *name, int32_t id, hone__tokens banned, size_t vocab)
{
    if (id == -1) return HONE_OK;
    HONE__TRY(check_tokens(name, (hone__tokens){&id, 1}, vocab));
    if (!holds(banned, id)) return HONE_OK;
    return hone__fail(HONE_E_ARGUMENT, "%s: token %d is among those of suppress-tokens", name, (int)id);
}

static hone_status check_lists(const hone__sampling *s, size_t vocab)
{
    HONE__TRY(check_tokens("suppress-tokens", s->banned, vocab));
    HONE__TRY(check_tokens("begin-suppress-tokens", s->begin_banned, vocab));
    for (size_t i = 0; i < s->bad_word_count; i++) {
        if (!s->bad_words[i].count) return hone__fail(HONE_E_ARGUMENT, "bad-words: number %zu has no tokens", i);
        HONE__TRY(check_tokens("bad-words", s->bad_words[i], vocab));
    }
    HONE__TRY(check_forced("forced-first", s->first, s->banned, vocab));
    return check_forced("forced-last", s->last, s->banned, vocab);
}

hone_status hone__sampler_create(const hone__sampling *sampling, size_t vocab, hone__sampler **out)
{
    *out = NULL;
    HONE__TRY(check_numbers(sampling));
    if (!vocab || vocab > INT32_MAX) return hone__fail(HONE_E_ARGUMENT, "a vocabulary of %zu", vocab);
    HONE__TRY(check_lists(sampling, vocab));
    hone__sampler *s = hone__calloc(1, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    *s = (hone__sampler){.s = *sampling, .vocab = vocab};
    s->seen = hone__calloc(vocab, 1);
    s->list = hone__calloc(vocab, sizeof *s->list);
    if (s->seen && s->list) {
        *out = s;
        return HONE_OK;
    }
    hone__sampler_destroy(s);
    return hone__out_of_memory(vocab * sizeof *s->list);
}

void hone__sampler_destroy(hone__sampler *s)
{
    if (!s) return;
    hone__free(s->seen);
    hone__free(s->list);
    hone__free(s);
}

uint32_t hone__sampler_stream(const hone__sampler *s, size_t index)
{
    uint32_t h = s->s.seed ^ (uint32_t)index * 0x9e3779b9u; /* mixed, so that near seeds are far apart */
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return hone__choose_seed(h ^ h >> 16);
}

static void ban(float *scores, size_t vocab, hone__tokens list)
{
    for (size_t i = 0; i < list.count; i++)
        if (list.ids[i] >= 0 && (size_t)list.ids[i] < vocab) scores[list.ids[i]] = -INFINITY;
}

/* The last tokens of the words whose others stand at the end of ids: [n]. */
static void ban_words(const hone__sampling *o, float *scores, size_t vocab, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < o->bad_word_count; i++) {
        hone__tokens w = o->bad_words[i];
        size_t before = w.count - 1;
        if (!before && holds((hone__tokens){o->ends, o->end_count}, *w.ids)) continue;
        if (before > n || (before && memcmp(ids + n - before, w.ids, before * sizeof *ids))) continue;
        ban(scores, vocab, (hone__tokens){w.ids + before, 1});
    }
}

static void force(float *scores, size_t vocab, int32_t id)
{
    for (size_t i = 0; i < vocab; i++) scores[i] = -INFINITY;
    scores[id] = 0;
}

void hone__sampler_rules(hone__sampler *s, float *scores, const int32_t *ids, size_t n, size_t prompt)
{
    const hone__sampling *o = &s->s;
    if (o->repetition != 1) hone__choose_repeated(scores, s->vocab, ids, n, o->repetition, s->seen);
    for (size_t i = prompt; i < n && (o->presence != 0 || o->frequency != 0); i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= s->vocab) continue;
        scores[ids[i]] -= o->frequency + (s->seen[ids[i]] ? 0 : o->presence);
        s->seen[ids[i]] = 1;
    }
    for (size_t i = prompt; i < n; i++)
        if (ids[i] >= 0 && (size_t)ids[i] < s->vocab) s->seen[ids[i]] = 0;
    hone__choose_new_ngrams(scores, s->vocab, ids, n, o->no_repeat);
    ban_words(o, scores, s->vocab, ids, n);
    size_t made = n - prompt;
    if (made < o->least) ban(scores, s->vocab, (hone__tokens){o->ends, o->end_count});
    if (o->first >= 0 && !made) force(scores, s->vocab, o->first);
    if (o->last >= 0 && made + 1 == o->most) force(scores, s->vocab, o->last);
    ban(scores, s->vocab, o->banned);
    if (made == (o->first >= 0 ? 1 : 0)) ban(scores, s->vocab, o->begin_banned);
}

static int best_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static int nearest_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return best_first(a, b);
}

/* A heap of the best so far, the worst of them on top. */
static void sink(candidate *heap, size_t n, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && best_first(&heap[child], &heap[child + 1]) < 0) child++;
        if (best_first(&heap[at], &heap[child]) >= 0) return;
        candidate t = heap[at];
        heap[at] = heap[child], heap[child] = t;
    }
}

/* Tokens with a score, at most the top_k best; how many. */
static size_t collect(hone__sampler *s, const float *scores)
{
    size_t n = 0, most = s->s.top_k && (size_t)s->s.top_k < s->vocab ? (size_t)s->s.top_k : s->vocab;
    for (size_t i = 0; i < s->vocab; i++) {
        if (!(scores[i] > -INFINITY)) continue;
        candidate c = {.score = (double)scores[i] / (double)s->s.temperature, .id = (int32_t)i};
        if (n < most) {
            s->list[n++] = c;
            for (size_t k = n / 2; n == most && most < s->vocab && k-- > 0;) sink(s->list, n, k);
        } else if (best_first(&c, &s->list[0]) < 0) {
            s->list[0] = c;
            sink(s->list, n, 0);
        }
    }
    return n;
}

/* Scores to probabilities that add up to 1. */
static void normalise(candidate *list, size_t n, bool exponentials)
{
    double peak = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) peak = fmax(peak, list[i].score);
    for (size_t i = 0; i < n; i++) {
        if (exponentials) list[i].score = list[i].score < peak ? exp(list[i].score - peak) : 1; /* be it infinite */
        sum += list[i].score;
    }
    for (size_t i = 0; i < n; i++) list[i].score /= sum;
}

/* The first ones in the order of the list whose probabilities reach p, at least one. */
static size_t reaching(const candidate *list, size_t n, double p)
{
    double sum = 0;
    size_t i = 0;
    while (i < n && (!i || sum < p)) sum += list[i++].score;
    return i;
}

static size_t keep_top_p(candidate *list, size_t n, double p)
{
    size_t kept = 0;
    double least = (1 - p) * (1 - 1e-9) / (double)n; /* below the mean, be it rounded: at least one token stays */
    for (size_t i = 0; i < n; i++)                   /* the least likely go unsorted: together they are below 1 - p */
        if (list[i].score >= least) list[kept++] = list[i];
    qsort(list, kept, sizeof *list, best_first);
    return reaching(list, kept, p);
}

static size_t keep_near(candidate *list, size_t n, double share)
{
    double best = 0;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) best = fmax(best, list[i].score);
    for (size_t i = 0; i < n; i++)
        if (list[i].score >= best * share) list[kept++] = list[i];
    return kept;
}

/* Tokens whose surprise is nearest to the expected one. */
static size_t keep_typical(candidate *list, size_t n, double p)
{
    double entropy = 0;
    for (size_t i = 0; i < n; i++)
        if (list[i].score > 0) entropy -= list[i].score * log(list[i].score);
    for (size_t i = 0; i < n; i++) list[i].rank = fabs(-log(list[i].score) - entropy);
    qsort(list, n, sizeof *list, nearest_first);
    return reaching(list, n, p);
}

int32_t hone__sampler_next(hone__sampler *s, float *scores, const int32_t *ids, size_t n, size_t prompt,
                           uint32_t *stream)
{
    const hone__sampling *o = &s->s;
    hone__sampler_rules(s, scores, ids, n, prompt);
    if (o->temperature <= 0) return (int32_t)hone__choose_best(scores, s->vocab);
    candidate *list = s->list;
    size_t count = collect(s, scores);
    if (!count) return (int32_t)hone__choose_best(scores, s->vocab);
    normalise(list, count, true);
    if (o->top_p < 1) normalise(list, count = keep_top_p(list, count, (double)o->top_p), false);
    if (o->min_p > 0) normalise(list, count = keep_near(list, count, (double)o->min_p), false);
    if (o->typical_p < 1) normalise(list, count = keep_typical(list, count, (double)o->typical_p), false);
    double at = hone__choose_uniform(stream), sum = 0;
    for (size_t i = 0; i + 1 < count; i++)
        if ((sum += list[i].score) > at) return list[i].id;
    return list[count - 1].id;
}
