/* speech_beam.c: see speech_beam.h. */
#include "speech_beam.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

typedef struct line {
    int32_t *ids; /* [most + 1] */
    size_t length;
    double sum;
} line;

typedef struct candidate {
    size_t from;
    int32_t token;
    double sum;
} candidate;

struct hone__speech_beam {
    size_t beams, most, vocab, ended_most;
    int32_t end;
    line *lines, *spare, *ended; /* [beams], [beams], [ended_most] */
    size_t ended_count;
    candidate *list; /* [beams * (beams + 1)] */
    int32_t *room;
    bool begun;
};

hone_status hone__speech_beam_create(size_t beams, float patience, size_t most, int32_t end, size_t vocab,
                                     hone__speech_beam **out)
{
    *out = NULL;
    double ended = rint((double)beams * patience);
    if (!beams || beams > 1024 || !most || most > 1 << 20 || !(ended >= 1 && ended <= 1 << 16) || vocab < 1)
        return hone__fail(HONE_E_ARGUMENT, "%zu beams with patience %g over %zu tokens", beams, (double)patience, most);
    hone__speech_beam *b = *out = hone__calloc(1, sizeof *b);
    if (!b) return hone__out_of_memory(sizeof *b);
    b->beams = beams;
    b->most = most;
    b->vocab = vocab;
    b->end = end;
    b->ended_most = (size_t)ended < beams ? beams : (size_t)ended;
    size_t lines = 2 * beams + b->ended_most;
    b->lines = hone__calloc(lines, sizeof *b->lines);
    b->list = hone__calloc(beams * (beams + 1), sizeof *b->list);
    b->room = hone__calloc(lines * (most + 1), sizeof *b->room);
    if (!b->lines || !b->list || !b->room) {
        hone__speech_beam_destroy(b);
        *out = NULL;
        return hone__out_of_memory(lines * (most + 1) * sizeof *b->room);
    }
    for (size_t i = 0; i < lines; i++) b->lines[i].ids = b->room + i * (most + 1);
    b->spare = b->lines + beams;
    b->ended = b->spare + beams;
    b->ended_most = (size_t)ended;
    return HONE_OK;
}

void hone__speech_beam_destroy(hone__speech_beam *b)
{
    if (!b) return;
    line *first = b->lines;
    if (b->spare && b->spare < first) first = b->spare;
    hone__free(first);
    hone__free(b->list);
    hone__free(b->room);
    hone__free(b);
}

const int32_t *hone__speech_beam_running(const hone__speech_beam *b, size_t i, size_t *length)
{
    *length = b->lines[i].length;
    return b->lines[i].ids;
}

/* Puts a candidate where its sum belongs among the best `most` of those so far; of equal ones the earlier stays first.
 */
static size_t insert(candidate *list, size_t count, size_t most, candidate c)
{
    size_t at = count;
    if (count == most && !(c.sum > list[count - 1].sum)) return count;
    if (count < most)
        count++;
    else
        at--;
    for (; at > 0 && c.sum > list[at - 1].sum; at--) list[at] = list[at - 1];
    list[at] = c;
    return count;
}

/* The best beams + 1 continuations of every line that differs from those before it. */
static size_t candidates(hone__speech_beam *b, const float *scores)
{
    size_t total = 0, each = b->beams + 1 < b->vocab ? b->beams + 1 : b->vocab;
    for (size_t i = 0; i < (b->begun ? b->beams : 1); i++) { /* before the first token all lines are one */
        candidate *own = b->list + total;
        size_t count = 0;
        for (size_t v = 0; v < b->vocab; v++)
            count = insert(own, count, each, (candidate){i, (int32_t)v, b->lines[i].sum + scores[i * b->vocab + v]});
        total += count;
    }
    for (size_t i = 1; i < total; i++) { /* few, and sorted in runs */
        candidate c = b->list[i];
        size_t at = i;
        for (; at > 0 && c.sum > b->list[at - 1].sum; at--) b->list[at] = b->list[at - 1];
        b->list[at] = c;
    }
    return total;
}

static void extend(line *to, const line *from, const candidate *c)
{
    memcpy(to->ids, from->ids, from->length * sizeof *to->ids);
    to->length = from->length;
    to->ids[to->length++] = c->token;
    to->sum = c->sum;
}

bool hone__speech_beam_grow(hone__speech_beam *b, const float *scores, int32_t *from)
{
    size_t total = candidates(b, scores), kept = 0;
    for (size_t i = 0; i < total && kept < b->beams; i++) {
        const candidate *c = &b->list[i];
        if (c->token == b->end) {
            if (b->ended_count < b->ended_most) extend(&b->ended[b->ended_count++], &b->lines[c->from], c);
            continue;
        }
        from[kept] = (int32_t)c->from;
        extend(&b->spare[kept++], &b->lines[c->from], c);
    }
    for (; kept && kept < b->beams; kept++) { /* a vocabulary smaller than the beams */
        from[kept] = from[kept - 1];
        const line *last = &b->spare[kept - 1];
        memcpy(b->spare[kept].ids, last->ids, last->length * sizeof *last->ids);
        b->spare[kept].length = last->length;
        b->spare[kept].sum = -INFINITY;
    }
    line *swap = b->lines;
    b->lines = b->spare;
    b->spare = swap;
    b->begun = true;
    return kept && b->ended_count < b->ended_most && b->lines[0].length < b->most;
}

double hone__speech_rank(double sum, size_t length, float length_penalty)
{
    double by = length_penalty < 0 ? (double)length : pow((5 + (double)length) / 6, length_penalty);
    return by > 0 ? sum / by : sum < 0 ? -INFINITY : sum;
}

/* Fewer ended than there are beams: the likeliest running ones count, too. */
static void end_running(hone__speech_beam *b)
{
    for (size_t done = 0; b->ended_count < b->beams && done < b->beams; done++) {
        size_t best = b->beams;
        for (size_t i = 0; i < b->beams; i++)
            if (b->lines[i].length && (best == b->beams || b->lines[i].sum > b->lines[best].sum)) best = i;
        if (best == b->beams) return;
        line *to = &b->ended[b->ended_count++];
        memcpy(to->ids, b->lines[best].ids, b->lines[best].length * sizeof *to->ids);
        to->length = b->lines[best].length;
        to->ids[to->length++] = b->end;
        to->sum = b->lines[best].sum;
        b->lines[best].length = 0; /* taken */
    }
}

const int32_t *hone__speech_beam_best(hone__speech_beam *b, float length_penalty, size_t *length, double *sum)
{
    const line *best = NULL;
    double rank = 0;
    end_running(b);
    for (size_t i = 0; i < b->ended_count; i++) {
        double own = hone__speech_rank(b->ended[i].sum, b->ended[i].length - 1, length_penalty);
        if (!best || own > rank) best = &b->ended[i], rank = own;
    }
    *length = best ? best->length - 1 : 0;
    *sum = best ? best->sum : 0;
    return best ? best->ids : NULL;
}
