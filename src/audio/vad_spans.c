/* vad_spans.c: see vad_spans.h. */
#include "audio/vad_spans.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

enum { PER_MS = HONE__VAD_RATE / 1000, PAUSE = 98 * PER_MS, GAP = 100 * PER_MS };

/* A sound as it is walked through. */
typedef struct walk {
    const hone__vad_options *o;
    double pad, longest; /* samples */
    bool speaking, quiet;
    size_t start, quiet_since;
    hone__vad_spans pauses; /* of the speech so far, where it may be cut */
    hone__vad_spans *out;
} walk;

static hone_status append(hone__vad_spans *s, size_t start, size_t end)
{
    HONE__TRY(hone__grow(&s->items, &s->room, s->count, sizeof *s->items));
    s->items[s->count++] = (hone__vad_span){start, end};
    return HONE_OK;
}

static void stop(walk *w)
{
    w->speaking = w->quiet = false;
    w->pauses.count = 0;
}

/* Speech that is too long ends in its longest pause and goes on behind it, or, where there was none, ends here. */
static hone_status cut(walk *w, size_t at)
{
    const hone__vad_span *p = w->pauses.items;
    size_t best = 0;
    if (!w->pauses.count) {
        HONE__TRY(append(w->out, w->start, at));
        stop(w);
        return HONE_OK;
    }
    for (size_t i = 1; i < w->pauses.count; i++)
        if (p[i].end - p[i].start > p[best].end - p[best].start) best = i;
    HONE__TRY(append(w->out, w->start, p[best].start));
    w->start = p[best].end;
    w->quiet = false;
    w->pauses.count = 0;
    return HONE_OK;
}

static hone_status walk_on(walk *w, double score, size_t at)
{
    const hone__vad_options *o = w->o;
    double lower = o->threshold - 0.15 > 0.01 ? o->threshold - 0.15 : 0.01;
    bool loud = score >= o->threshold;
    if (loud && w->quiet) {
        if (at - w->quiet_since > PAUSE) HONE__TRY(append(&w->pauses, w->quiet_since, at));
        w->quiet = false;
    }
    if (loud && !w->speaking) {
        w->speaking = true;
        w->start = at;
        return HONE_OK;
    }
    if (w->speaking && (double)(at - w->start) > w->longest) HONE__TRY(cut(w, at));
    if (!w->speaking || !(score < lower)) return HONE_OK;
    if (!w->quiet) w->quiet_since = at;
    w->quiet = true;
    if ((double)(at - w->quiet_since) < o->min_silence_duration_ms * PER_MS) return HONE_OK;
    if ((double)w->quiet_since - (double)w->start > o->min_speech_duration_ms * PER_MS)
        HONE__TRY(append(w->out, w->start, w->quiet_since));
    stop(w);
    return HONE_OK;
}

static void pad(const walk *w, size_t samples)
{
    hone__vad_span *s = w->out->items;
    size_t count = w->out->count, most = w->pad < (double)samples ? (size_t)w->pad : samples;
    if (count) s[0].start -= most < s[0].start ? most : s[0].start;
    for (size_t i = 0; i + 1 < count; i++) {
        size_t silence = s[i + 1].start - s[i].end, by = (double)silence < 2 * w->pad ? silence / 2 : most;
        s[i].end += by;
        s[i + 1].start -= by;
    }
    if (count) s[count - 1].end = samples - s[count - 1].end < most ? samples : s[count - 1].end + most;
}

static hone_status check(const hone__vad_options *o)
{
    if (!(o->threshold > 0 && o->threshold < 1))
        return hone__fail(HONE_E_ARGUMENT, "the speech threshold is %g: expected between 0 and 1", o->threshold);
    if (!(o->min_speech_duration_ms >= 0 && o->min_silence_duration_ms >= 0 && o->speech_pad_ms >= 0 &&
          o->max_speech_duration_s > 0 && o->samples_overlap >= 0))
        return hone__fail(HONE_E_ARGUMENT, "durations of speech, silence, padding and overlap cannot be negative");
    return HONE_OK;
}

static hone_status walk_through(walk *w, const float *scores, size_t count, size_t step, size_t samples)
{
    for (size_t i = 0; i < count && i * step < samples; i++) HONE__TRY(walk_on(w, (double)scores[i], i * step));
    if (w->speaking && (double)(samples - w->start) > w->o->min_speech_duration_ms * PER_MS)
        HONE__TRY(append(w->out, w->start, samples));
    pad(w, samples);
    return HONE_OK;
}

hone_status hone__vad_spans_make(const hone__vad_options *o, const float *scores, size_t count, size_t step,
                                 size_t samples, hone__vad_spans *out)
{
    HONE__TRY(check(o));
    walk w = {.o = o, .pad = o->speech_pad_ms * PER_MS, .out = out};
    w.longest = o->max_speech_duration_s * HONE__VAD_RATE - (double)step - 2 * w.pad;
    hone_status s = walk_through(&w, scores, count, step, samples);
    hone__vad_spans_free(&w.pauses);
    return s;
}

void hone__vad_spans_free(hone__vad_spans *spans)
{
    hone__free(spans->items);
    *spans = (hone__vad_spans){0};
}

hone_status hone__vad_stitch(const hone__vad_options *o, const hone__vad_spans *spans, hone__vad_pieces *out)
{
    HONE__TRY(check(o));
    size_t bytes = spans->count * sizeof *out->items;
    if (!bytes) return HONE_OK;
    out->items = hone__malloc(bytes);
    if (!out->items) return hone__out_of_memory(bytes);
    for (size_t i = 0; i < spans->count; i++) {
        hone__vad_span s = spans->items[i];
        if (i + 1 < spans->count) {
            size_t room = spans->items[i + 1].start - s.end;
            double overlap = o->samples_overlap * HONE__VAD_RATE;
            s.end += overlap < (double)room ? (size_t)overlap : room;
        }
        if (i) out->samples += GAP;
        out->items[out->count++] = (hone__vad_piece){s.start, s.end, out->samples};
        out->samples += s.end - s.start;
    }
    return HONE_OK;
}

void hone__vad_pieces_free(hone__vad_pieces *pieces)
{
    hone__free(pieces->items);
    *pieces = (hone__vad_pieces){0};
}

size_t hone__vad_map(const hone__vad_pieces *pieces, size_t at)
{
    const hone__vad_piece *p = pieces->items;
    size_t low = 0, high = pieces->count; /* the last piece that begins at or before `at` */
    if (!high) return 0;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (p[middle].at <= at)
            low = middle;
        else
            high = middle;
    }
    p += low;
    size_t length = p->end - p->start, behind = at - p->at;
    if (behind < length) return p->start + behind;
    if (low + 1 == pieces->count) return p->end;
    return p->end + (size_t)((double)(p[1].start - p->end) * (double)(behind - length) / GAP);
}
