/* vad.c: see vad.h. */
#include "tasks/vad.h"

#include <math.h>
#include <string.h>

#include "audio/log_mel.h"
#include "audio/vad_energy.h"
#include "base/alloc.h"

enum {
    WINDOW = 512, /* of a Silero model, in samples, and what it sees of the window before */
    CONTEXT = 64,
    STATE = 2 * 128,
    BLOCK = 3000 /* frames of the own detector read at once */
};

struct hone__vad {
    hone__session *session;    /* NULL: the own detector */
    size_t input, state, rate; /* which of its inputs they are */
    float *scores;
    size_t count, step;
};

/* ------------------------------------------------- Silero ------------------------------------------------- */

static hone_status find_input(const hone__graph *g, const char *name, hone_dtype dtype, size_t *index)
{
    for (*index = 0; *index < g->input_count; ++*index)
        if (!strcmp(g->inputs[*index]->name, name)) break;
    if (*index < g->input_count && g->inputs[*index]->dtype == dtype) return HONE_OK;
    return hone__fail(HONE_E_UNSUPPORTED,
                      "no Silero voice activity model: it lacks the %s input '%s' (expected: input, state, sr)",
                      hone_dtype_name(dtype), name);
}

static hone_status open_silero(hone__vad *v, const hone__model *m, const hone__session_options *options)
{
    const hone__graph *g = m->graph;
    HONE__TRY(find_input(g, "input", HONE_F32, &v->input));
    HONE__TRY(find_input(g, "state", HONE_F32, &v->state));
    HONE__TRY(find_input(g, "sr", HONE_I64, &v->rate));
    if (g->input_count != 3 || g->output_count != 2)
        return hone__fail(HONE_E_UNSUPPORTED,
                          "no Silero voice activity model: %zu inputs and %zu outputs, expected 3 and 2",
                          g->input_count, g->output_count);
    return hone__session_create(m, options, &v->session);
}

/* x: [CONTEXT + WINDOW].  state: [2, 1, 128], replaced. */
static hone_status silero_step(hone__vad *v, const float *x, float *state, float *score)
{
    static const int64_t x_dims[] = {1, CONTEXT + WINDOW}, state_dims[] = {2, 1, STATE / 2}, rate = HONE__VAD_RATE;
    hone__tensor in[3];
    const hone__tensor *list[3] = {in, in + 1, in + 2}, *out[2];
    hone__view(&in[v->input], HONE_F32, 2, x_dims, x);
    hone__view(&in[v->state], HONE_F32, 3, state_dims, state);
    hone__view(&in[v->rate], HONE_I64, 0, NULL, &rate);
    HONE__TRY(hone__session_run(v->session, list, 3, out, 2));
    if (out[0]->dtype != HONE_F32 || out[0]->count != 1 || out[1]->dtype != HONE_F32 || out[1]->count != STATE)
        return hone__fail(HONE_E_UNSUPPORTED, "no Silero voice activity model: its outputs are not a probability and "
                                              "the next state");
    *score = *(const float *)out[0]->data;
    memcpy(state, out[1]->data, STATE * sizeof *state);
    return HONE_OK;
}

/* [n] samples from `at` on, silence where there are none. */
static hone_status read_samples(const hone__sound *sound, size_t at, float *to, size_t n)
{
    hone_status s = HONE_OK;
    size_t got = sound->read(sound->ctx, at, to, n, &s);
    HONE__TRY(s);
    memset(to + got, 0, (n - got) * sizeof *to);
    return HONE_OK;
}

static hone_status silero_scores(hone__vad *v, const hone__sound *sound)
{
    float x[CONTEXT + WINDOW] = {0}, state[STATE] = {0};
    for (size_t i = 0; i < v->count; i++) {
        memmove(x, x + WINDOW, CONTEXT * sizeof *x);
        HONE__TRY(read_samples(sound, i * WINDOW, x + CONTEXT, WINDOW));
        for (size_t k = CONTEXT; k < CONTEXT + WINDOW; k++) x[k] = isfinite(x[k]) ? x[k] : 0;
        HONE__TRY(silero_step(v, x, state, v->scores + i));
    }
    return HONE_OK;
}

/* ------------------------------------------------- the own detector -------------------------------------------------
 */

typedef struct listener {
    hone__log_mel *mel;
    hone__vad_energy energy;
    float *pcm, *bands;
} listener;

static hone_status listen(listener *l, hone__vad *v, const hone__sound *sound)
{
    const size_t reach = HONE__LOG_MEL_REACH, most = BLOCK * HONE__LOG_MEL_HOP + 2 * reach;
    HONE__TRY(hone__log_mel_create(HONE__VAD_BANDS, &l->mel));
    l->pcm = hone__malloc(most * sizeof *l->pcm);
    l->bands = hone__malloc((size_t)HONE__VAD_BANDS * BLOCK * sizeof *l->bands);
    if (!l->pcm || !l->bands) return hone__out_of_memory(most * sizeof *l->pcm);
    for (size_t t = 0; t < v->count; t += BLOCK) {
        size_t n = v->count - t < BLOCK ? v->count - t : BLOCK, at = t ? t * HONE__LOG_MEL_HOP - reach : 0;
        size_t samples = (t + n) * HONE__LOG_MEL_HOP + reach - at;
        HONE__TRY(read_samples(sound, at, l->pcm, samples));
        hone__log_mel_run(l->mel, l->pcm, at, samples, t, n, l->bands, BLOCK);
        hone__vad_energy_run(&l->energy, l->bands, BLOCK, n, v->scores + t);
    }
    hone__vad_energy_scores(v->scores, v->count);
    return HONE_OK;
}

static hone_status energy_scores(hone__vad *v, const hone__sound *sound)
{
    listener l = {0};
    hone_status s = listen(&l, v, sound);
    hone__log_mel_destroy(l.mel);
    hone__free(l.pcm);
    hone__free(l.bands);
    return s;
}

/* ------------------------------------------------- both ------------------------------------------------- */

hone_status hone__vad_create(const hone__model *silero, const hone__session_options *options, hone__vad **out)
{
    *out = NULL;
    hone__vad *v = hone__calloc(1, sizeof *v);
    if (!v) return hone__out_of_memory(sizeof *v);
    v->step = silero ? WINDOW : HONE__LOG_MEL_HOP;
    hone_status s = silero ? open_silero(v, silero, options) : HONE_OK;
    if (s != HONE_OK) {
        hone__vad_destroy(v);
        return s;
    }
    *out = v;
    return HONE_OK;
}

void hone__vad_destroy(hone__vad *v)
{
    if (!v) return;
    hone__session_destroy(v->session);
    hone__free(v->scores);
    hone__free(v);
}

hone_status hone__vad_find(hone__vad *v, const hone__sound *sound, const hone__vad_options *o, hone__vad_spans *out)
{
    hone__free(v->scores);
    v->count = sound->samples / v->step + (sound->samples % v->step != 0);
    v->scores = hone__malloc(v->count * sizeof *v->scores);
    if (v->count && !v->scores) {
        unsigned long long bytes = v->count * sizeof *v->scores;
        v->count = 0;
        return hone__out_of_memory(bytes);
    }
    HONE__TRY(v->session ? silero_scores(v, sound) : energy_scores(v, sound));
    return hone__vad_spans_make(o, v->scores, v->count, v->step, sound->samples, out);
}

const float *hone__vad_scores(const hone__vad *v, size_t *count, size_t *step)
{
    *count = v->count;
    *step = v->step;
    return v->scores;
}

static size_t read_stitched(void *ctx, size_t at, float *to, size_t n, hone_status *status)
{
    const hone__vad_stitched *s = ctx;
    const hone__vad_pieces *all = s->pieces;
    if (at >= all->samples) return 0;
    if (n > all->samples - at) n = all->samples - at;
    memset(to, 0, n * sizeof *to);
    for (size_t i = 0; i < all->count && *status == HONE_OK; i++) {
        const hone__vad_piece *p = all->items + i;
        size_t begin = p->at > at ? p->at : at, end = p->at + (p->end - p->start);
        if (end > at + n) end = at + n;
        if (begin < end)
            s->sound->read(s->sound->ctx, p->start + (begin - p->at), to + (begin - at), end - begin, status);
    }
    return n;
}

hone__sound hone__vad_stitched_sound(hone__vad_stitched *s)
{
    return (hone__sound){.read = read_stitched, .ctx = s, .samples = s->pieces->samples};
}
