/* generate_beams.c: see generate_beams.h. */
#include "generate_beams.h"

#include "base/alloc.h"
#include "kernels/norm/norm.h"

typedef struct search {
    hone__decoder *d;
    const hone__generate_options *o;
    hone__beam *beam;
    hone__sampler *sampler;
    int64_t *ids;  /* of the prompt, or one per beam */
    int32_t *from; /* [beams] */
    float *logs;   /* [beams, vocab] */
    size_t prompt, vocab;
} search;

/* rows: of scores, one for all beams or one each. */
static hone_status step(search *s, const float *scores, size_t rows, bool *more)
{
    size_t beams = s->o->beams;
    for (size_t i = 0; i < beams; i++) {
        size_t n;
        const int32_t *ids = hone__beam_running(s->beam, i, &n);
        float *log = s->logs + i * s->vocab;
        hone__softmax_f32(scores + (rows > 1 ? i : 0) * s->vocab, log, 1, s->vocab, 1, 1, NULL);
        hone__sampler_rules(s->sampler, log, ids, n, s->prompt);
    }
    *more = hone__beam_grow(s->beam, s->logs, s->from);
    if (!*more) return HONE_OK;
    for (size_t i = 0; i < beams; i++) {
        size_t n;
        const int32_t *ids = hone__beam_running(s->beam, i, &n);
        s->ids[i] = ids[n - 1];
    }
    return hone__decoder_reorder(s->d, s->from);
}

static hone_status grow(search *s)
{
    const float *scores;
    size_t beams = s->o->beams, rows = 1;
    bool more;
    HONE__TRY(hone__decoder_start(s->d, 1, NULL));
    HONE__TRY(hone__decoder_run(s->d, s->ids, s->prompt, false, &scores, &s->vocab));
    s->logs = hone__malloc(beams * s->vocab * sizeof *s->logs);
    if (!s->logs) return hone__out_of_memory(beams * s->vocab * sizeof *s->logs);
    size_t room = hone__decoder_capacity(s->d) - s->prompt + 1;
    hone__sampling sampling = s->o->sampling;
    sampling.most = s->o->tokens < room ? s->o->tokens : room;
    HONE__TRY(hone__sampler_create(&sampling, s->vocab, &s->sampler));
    hone__beam_options b = {.beams = beams,
                            .most = sampling.most,
                            .length_penalty = s->o->length_penalty,
                            .early = s->o->early,
                            .ends = s->o->sampling.ends,
                            .end_count = s->o->force ? 0 : s->o->sampling.end_count};
    int32_t *prompt = hone__malloc(s->prompt * sizeof *prompt);
    if (!prompt) return hone__out_of_memory(s->prompt * sizeof *prompt);
    for (size_t i = 0; i < s->prompt; i++) prompt[i] = (int32_t)s->ids[i];
    hone_status status = hone__beam_create(&b, prompt, s->prompt, s->vocab, &s->beam);
    hone__free(prompt);
    if (status == HONE_OK) status = hone__decoder_spread(s->d, beams);
    for (;; rows = beams) {
        if (status == HONE_OK) status = step(s, scores, rows, &more);
        if (status != HONE_OK || !more) return status;
        status = hone__decoder_run(s->d, s->ids, 1, true, &scores, &s->vocab);
    }
}

static hone_status give(const search *s, size_t index)
{
    for (size_t k = 0; k < s->o->sequences; k++) {
        size_t n = 0;
        const int32_t *ids = hone__beam_kept(s->beam, k, &n);
        for (size_t i = 0; ids && i < n; i++) {
            hone__go_on answer = !s->o->on_token
                                     ? HONE__GO_ON
                                     : s->o->on_token(s->o->ctx, index * s->o->sequences + k, ids[i], i + 1 == n);
            if (answer == HONE__END_ALL) return hone__fail(HONE_E_CANCELLED, "cancelled");
            if (answer == HONE__END_SEQUENCE) break;
        }
    }
    return HONE_OK;
}

static hone_status search_one(search *s, const int32_t *prompt, size_t index)
{
    size_t most = s->prompt > s->o->beams ? s->prompt : s->o->beams;
    if (!s->prompt) return hone__fail(HONE_E_ARGUMENT, "prompt %zu is empty", index);
    if (s->prompt > hone__decoder_capacity(s->d))
        return hone__fail(HONE_E_LIMIT, "a prompt of %zu tokens, the model takes at most %zu", s->prompt,
                          hone__decoder_capacity(s->d));
    s->ids = hone__calloc(most, sizeof *s->ids);
    s->from = hone__calloc(s->o->beams, sizeof *s->from);
    if (!s->ids || !s->from) return hone__out_of_memory(most * sizeof *s->ids);
    for (size_t i = 0; i < s->prompt; i++) s->ids[i] = prompt[i];
    HONE__TRY(grow(s));
    return give(s, index);
}

hone_status hone__generate_beams(hone__decoder *d, const int32_t *const *prompts, const size_t *lengths, size_t count,
                                 const hone__generate_options *o)
{
    if (o->sampling.temperature > 0)
        return hone__fail(HONE_E_UNSUPPORTED, "beams that are drawn: beams and a temperature do not go together");
    if (!o->sequences || o->sequences > o->beams)
        return hone__fail(HONE_E_ARGUMENT, "%zu sequences of %zu beams", o->sequences, o->beams);
    for (size_t i = 0; i < count; i++) {
        search s = {.d = d, .o = o, .prompt = lengths[i]};
        hone_status status = search_one(&s, prompts[i], i);
        hone__beam_destroy(s.beam);
        hone__sampler_destroy(s.sampler);
        hone__free(s.ids);
        hone__free(s.from);
        hone__free(s.logs);
        HONE__TRY(status);
    }
    return HONE_OK;
}
