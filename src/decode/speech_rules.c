/* speech_rules.c: see speech_rules.h. */
#include "speech_rules.h"

#include <math.h>

static void ban(float *scores, size_t vocab, int64_t from, int64_t to)
{
    for (int64_t i = from > 0 ? from : 0; i < to && i < (int64_t)vocab; i++) scores[i] = -INFINITY;
}

static void ban_list(float *scores, size_t vocab, const int32_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++) ban(scores, vocab, list[i], (int64_t)list[i] + 1);
}

static float largest(const float *x, size_t from, size_t to)
{
    float most = -INFINITY;
    for (size_t i = from; i < to; i++) most = x[i] > most ? x[i] : most;
    return most;
}

/* log of the sum of e^x. */
static double log_sum(const float *x, size_t from, size_t to)
{
    double most = largest(x, from, to), sum = 0;
    if (!isfinite(most)) return most;
    for (size_t i = from; i < to; i++) sum += exp(x[i] - most);
    return most + log(sum);
}

void hone__log_softmax(float *scores, size_t n)
{
    double whole = log_sum(scores, 0, n);
    for (size_t i = 0; i < n; i++) scores[i] = (float)(scores[i] - whole);
}

/* Timestamps come in pairs, but for one in front of the end, and never go back. */
static void pairs(const hone__speech_rules *r, float *scores, const int32_t *made, size_t n)
{
    bool last = n >= 1 && made[n - 1] >= r->first_timestamp, before = n < 2 || made[n - 2] >= r->first_timestamp;
    if (last && before) ban(scores, r->vocab, r->first_timestamp, (int64_t)r->vocab);
    if (last && !before) ban(scores, r->vocab, 0, r->end);
    for (size_t i = n; i-- > 0;)
        if (made[i] >= r->first_timestamp) {
            ban(scores, r->vocab, r->first_timestamp, (int64_t)made[i] + (last && !before ? 0 : 1));
            return;
        }
}

void hone__speech_rules_apply(const hone__speech_rules *r, float *scores, const int32_t *made, size_t n)
{
    size_t first = r->first_timestamp < 0                  ? 0
                   : (size_t)r->first_timestamp > r->vocab ? r->vocab
                                                           : (size_t)r->first_timestamp;
    if (!n) {
        ban_list(scores, r->vocab, r->blank, r->blank_count);
        if (!r->keep_end) ban(scores, r->vocab, r->end, (int64_t)r->end + 1);
    }
    ban_list(scores, r->vocab, r->suppressed, r->suppressed_count);
    if (!r->timestamps) return;
    ban(scores, r->vocab, r->no_timestamps, r->no_timestamps < 0 ? 0 : (int64_t)r->no_timestamps + 1);
    pairs(r, scores, made, n);
    if (!n) {
        ban(scores, r->vocab, 0, r->first_timestamp);
        if (r->most_initial >= 0)
            ban(scores, r->vocab, (int64_t)r->first_timestamp + r->most_initial + 1, (int64_t)r->vocab);
    }
    /* all timestamps together are likelier than any text: one of them */
    if (log_sum(scores, first, r->vocab) > largest(scores, 0, first)) ban(scores, r->vocab, 0, r->first_timestamp);
}
