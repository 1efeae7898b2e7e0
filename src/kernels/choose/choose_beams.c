/* choose_beams.c: beam search over scores that somebody else computes. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "choose.h"

static size_t rows_of(const hone__beams *b) { return b->batch * b->beams; }

/* Takes count * size bytes, rounded, from *at; `memory` NULL only counts. */
static void *take(void *memory, size_t *at, size_t count, size_t size, bool *ok)
{
    size_t bytes, from = *at;
    *ok = *ok && hone__mul_size(count, size, &bytes) && bytes <= SIZE_MAX / 2 &&
          hone__add_size(from, (bytes + 15) / 16 * 16, at);
    return memory && *ok ? (uint8_t *)memory + from : NULL;
}

static bool place(hone__beams *b, void *memory, size_t *bytes)
{
    size_t rows = 0, tokens = 0;
    bool ok = hone__mul_size(b->batch, b->beams, &rows) && hone__mul_size(rows, b->max_length, &tokens);
    *bytes = 0;
    b->ids = take(memory, bytes, tokens, sizeof *b->ids, &ok);
    b->spare = take(memory, bytes, tokens, sizeof *b->spare, &ok);
    b->found = take(memory, bytes, tokens, sizeof *b->found, &ok);
    b->scores = take(memory, bytes, rows, sizeof *b->scores, &ok);
    b->next = take(memory, bytes, rows, sizeof *b->next, &ok);
    b->from = take(memory, bytes, rows, sizeof *b->from, &ok);
    b->kept = take(memory, bytes, rows, sizeof *b->kept, &ok);
    b->kept_count = take(memory, bytes, b->batch, sizeof *b->kept_count, &ok);
    b->done = take(memory, bytes, b->batch, sizeof *b->done, &ok);
    b->top = take(memory, bytes, 2 * b->beams, sizeof *b->top, &ok);
    b->top_at = take(memory, bytes, 2 * b->beams, sizeof *b->top_at, &ok);
    return ok;
}

bool hone__beams_bytes(const hone__beams *b, size_t *bytes)
{
    hone__beams copy = *b;
    return place(&copy, NULL, bytes);
}

void hone__beams_start(hone__beams *b, void *memory, const int32_t *ids, size_t length)
{
    size_t bytes;
    place(b, memory, &bytes);
    b->length = length;
    b->open = b->batch;
    for (size_t r = 0; r < rows_of(b); r++) {
        memcpy(b->ids + r * b->max_length, ids + r / b->beams * length, length * sizeof *ids);
        b->scores[r] = r % b->beams ? -1e9F : 0; /* equal beams would all grow the same token */
    }
}

/* Keeps a sequence that ended, if it is among the best `beams`. */
static void keep(hone__beams *b, size_t entry, const int32_t *ids, size_t length, float sum)
{
    hone__kept *kept = b->kept + entry * b->beams;
    size_t *count = &b->kept_count[entry], at = *count;
    float score = sum / powf((float)length, b->length_penalty);
    size_t spot = at;
    if (at == b->beams) {
        at--;
        if (score <= kept[at].score) return;
        spot = kept[at].place;
    } else
        ++*count;
    for (; at > 0 && score > kept[at - 1].score; at--) kept[at] = kept[at - 1];
    kept[at] = (hone__kept){score, length, spot};
    memcpy(b->found + (entry * b->beams + spot) * b->max_length, ids, length * sizeof *ids);
}

/* The 2 * beams greatest of one entry's scores, the first of equal ones first. */
static void find_top(hone__beams *b, const float *scores)
{
    size_t most = 2 * b->beams, count = 0;
    for (size_t i = 0; i < b->beams * b->vocab; i++) {
        if (count == most && !(scores[i] > b->top[count - 1])) continue;
        size_t at = count < most ? count++ : count - 1;
        for (; at > 0 && scores[i] > b->top[at - 1]; at--) {
            b->top[at] = b->top[at - 1];
            b->top_at[at] = b->top_at[at - 1];
        }
        b->top[at] = scores[i];
        b->top_at[at] = i;
    }
}

static bool can_improve(const hone__beams *b, size_t entry)
{
    float best = b->top[0] / powf((float)b->length, b->length_penalty);
    return b->kept[(entry + 1) * b->beams - 1].score < best;
}

static void step_entry(hone__beams *b, size_t entry, const float *scores)
{
    size_t first = entry * b->beams, taken = 0;
    find_top(b, scores);
    for (size_t j = 0; j < 2 * b->beams && taken < b->beams; j++) {
        size_t row = first + b->top_at[j] / b->vocab;
        int32_t token = (int32_t)(b->top_at[j] % b->vocab);
        if (token == b->eos) {
            if (j < b->beams) keep(b, entry, b->ids + row * b->max_length, b->length, b->top[j]);
            continue;
        }
        b->scores[first + taken] = b->top[j];
        b->next[first + taken] = token;
        b->from[first + taken++] = (int32_t)row;
    }
    if (b->kept_count[entry] < b->beams || (!b->early && can_improve(b, entry))) return;
    b->done[entry] = 1;
    b->open--;
}

void hone__beams_step(hone__beams *b, const float *scores)
{
    for (size_t e = 0; e < b->batch; e++) {
        if (!b->done[e]) {
            step_entry(b, e, scores + e * b->beams * b->vocab);
            continue;
        }
        for (size_t r = e * b->beams; r < (e + 1) * b->beams; r++) {
            b->scores[r] = 0;
            b->next[r] = b->pad;
            b->from[r] = 0;
        }
    }
    for (size_t r = 0; r < rows_of(b); r++) {
        int32_t *to = b->spare + r * b->max_length;
        memcpy(to, b->ids + (size_t)b->from[r] * b->max_length, b->length * sizeof *to);
        to[b->length] = b->next[r];
    }
    int32_t *t = b->ids;
    b->ids = b->spare, b->spare = t;
    b->length++;
}

void hone__beams_finish(hone__beams *b, size_t returned, int32_t *ids, float *scores)
{
    for (size_t i = 0; i < b->batch * returned * b->max_length; i++) ids[i] = b->pad;
    for (size_t e = 0; e < b->batch; e++) {
        for (size_t r = e * b->beams; !b->done[e] && r < (e + 1) * b->beams; r++)
            keep(b, e, b->ids + r * b->max_length, b->length, b->scores[r]);
        for (size_t i = 0; i < returned; i++) {
            const hone__kept *k = &b->kept[e * b->beams + i];
            memcpy(ids + (e * returned + i) * b->max_length, b->found + (e * b->beams + k->place) * b->max_length,
                   k->length * sizeof *ids);
            if (scores) scores[e * returned + i] = k->score;
        }
    }
}
