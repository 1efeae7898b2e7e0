/* choose_rules.c: rules over one row of scores, top-p, and a draw. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "choose.h"

static bool within(int32_t id, size_t vocab) { return id >= 0 && (size_t)id < vocab; }

void hone__choose_repeated(float *scores, size_t vocab, const int32_t *ids, size_t n, float penalty, uint8_t *seen)
{
    for (size_t i = 0; i < n; i++) {
        if (!within(ids[i], vocab) || seen[ids[i]]) continue;
        float *s = &scores[ids[i]];
        *s = *s < 0 ? *s * penalty : *s / penalty;
        seen[ids[i]] = 1;
    }
    for (size_t i = 0; i < n; i++)
        if (within(ids[i], vocab)) seen[ids[i]] = 0;
}

void hone__choose_new_ngrams(float *scores, size_t vocab, const int32_t *ids, size_t n, size_t size)
{
    if (!size || size > n) return;
    const int32_t *last = ids + n - (size - 1);
    for (size_t i = 0; i + size <= n; i++)
        if (!memcmp(ids + i, last, (size - 1) * sizeof *ids) && within(ids[i + size - 1], vocab))
            scores[ids[i + size - 1]] = HONE__BANNED;
}

void hone__choose_masked(float *scores, size_t vocab, const uint8_t *mask)
{
    for (size_t i = 0; i < vocab; i++)
        if (!mask[i]) scores[i] = HONE__BANNED;
}

static void ban(float *scores, size_t vocab, int64_t from, int64_t to)
{
    for (int64_t i = from < 0 ? 0 : from; i < to && (size_t)i < vocab; i++) scores[i] = HONE__BANNED;
}

static void ban_one(float *scores, size_t vocab, int32_t id) { ban(scores, id < 0 ? 0 : vocab, id, (int64_t)id + 1); }

/* Bans all text where the timestamps together are more likely than its most likely token. */
static void prefer_timestamps(float *scores, size_t vocab, int64_t begin)
{
    float most = HONE__BANNED, text = HONE__BANNED, sum = 0;
    for (size_t i = (size_t)begin; i < vocab; i++) most = scores[i] > most ? scores[i] : most;
    for (size_t i = (size_t)begin; i < vocab; i++)
        if (scores[i] > HONE__BANNED) sum += expf(scores[i] - most);
    for (size_t i = 0; i < (size_t)begin; i++) text = scores[i] > text ? scores[i] : text;
    if (sum > 0 && logf(sum) + most > text) ban(scores, vocab, 0, begin);
}

void hone__choose_timestamps(float *scores, size_t vocab, const int32_t *ids, size_t n, const hone__timestamps *t)
{
    int64_t begin = t->begin, newest = -1, end = (int64_t)vocab;
    size_t first = 0; /* tokens up to the first timestamp, or all */
    if (begin < 0 || begin >= end) return;
    while (first < n && ids[first] < begin) first++;
    first += first < n;
    for (size_t i = 0; i < n; i++) newest = ids[i] >= begin ? ids[i] : newest;
    ban_one(scores, vocab, t->none);
    ban_one(scores, vocab, t->start_of_lm);
    if (n > first) {
        ban_one(scores, vocab, t->start);
        ban_one(scores, vocab, t->translate);
        ban_one(scores, vocab, t->transcribe);
    }
    bool last = n && ids[n - 1] >= begin, before = n <= first || (n > 1 && ids[n - 2] >= begin);
    if (last && before)
        ban(scores, vocab, begin, end);
    else if (last)
        ban(scores, vocab, 0, t->end_of_text);
    if (newest >= 0) ban(scores, vocab, begin, last && !before ? newest : newest + 1);
    if (n == first) ban(scores, vocab, begin + t->max_first + 1, end);
    prefer_timestamps(scores, vocab, begin);
}

size_t hone__choose_best(const float *scores, size_t vocab)
{
    size_t best = 0;
    for (size_t i = 1; i < vocab; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

/* Sorts order[0 .. n) by rising scores; equal ones by place. A heap: no worst case, no memory. */
static bool below(const float *scores, uint32_t a, uint32_t b)
{
    return scores[a] < scores[b] || (scores[a] == scores[b] && a < b);
}

static void sink(const float *scores, uint32_t *order, size_t at, size_t n)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && below(scores, order[child], order[child + 1])) child++;
        if (!below(scores, order[at], order[child])) return;
        uint32_t t = order[at];
        order[at] = order[child], order[child] = t;
    }
}

static void sort_rising(const float *scores, uint32_t *order, size_t n)
{
    for (size_t i = n / 2; i-- > 0;) sink(scores, order, i, n);
    for (size_t end = n; end-- > 1;) {
        uint32_t t = order[0];
        order[0] = order[end], order[end] = t;
        sink(scores, order, 0, end);
    }
}

void hone__choose_top_p(float *scores, size_t vocab, const hone__top_p *t, uint32_t *order, float *work)
{
    double total = 0;
    if (!vocab) return;
    for (size_t i = 0; i < vocab; i++) order[i] = (uint32_t)i;
    sort_rising(scores, order, vocab);
    float peak = scores[order[vocab - 1]];
    for (size_t i = 0; i < vocab; i++) {
        uint32_t id = order[t->cut ? vocab - 1 - i : i];
        work[i] = expf(scores[id] - peak);
        total += work[i];
    }
    size_t end = t->cut ? vocab - 1 : t->keep < vocab ? vocab - t->keep : 0;
    float sum = 0;
    for (size_t i = 0; i < end || !i; i++) {
        sum += (float)(work[i] / total);
        work[i] = sum;
        if (t->cut && i + 1 < vocab && sum > t->p) scores[order[vocab - 2 - i]] = t->otherwise;
        if (!t->cut && sum <= 1 - t->p) scores[order[i]] = t->otherwise;
    }
}

size_t hone__choose_drawn(const float *scores, size_t vocab, double u, double *work)
{
    double peak = -INFINITY, sum = 0;
    for (size_t i = 0; i < vocab; i++)
        if (isfinite(scores[i]) && scores[i] > peak) peak = scores[i];
    for (size_t i = 0; i < vocab; i++) {
        if (isfinite(scores[i])) sum += exp(scores[i] - peak);
        work[i] = sum;
    }
    double at = u * sum;
    size_t i = 0;
    while (i + 1 < vocab && work[i] <= at) i++;
    return i;
}

uint32_t hone__choose_seed(uint32_t seed)
{
    uint32_t state = seed % 2147483647;
    return state ? state : 1;
}

double hone__choose_uniform(uint32_t *state)
{
    const double range = 2147483646;
    double sum = 0, scale = 1;
    for (int i = 0; i < 2; i++) {
        *state = (uint32_t)((uint64_t)*state * 16807 % 2147483647);
        sum += (*state - 1) * scale;
        scale *= range;
    }
    double u = sum / scale;
    return u < 1 ? u : 1 - DBL_EPSILON / 2;
}
