/* perplexity.c: windows over a text through a decoder, a piece at a time, so that the scores of a whole window (tokens
 * times vocabulary) never lie in memory together. */
#include "perplexity.h"

#include <math.h>

#include "api/api.h"
#include "base/alloc.h"
#include "tasks/generate.h"

enum { PIECE = 64 /* tokens */, CONTEXT = 2048 /* of models that do not say */ };

typedef struct measuring {
    hone__decoder *d;
    const uint32_t *ids;
    size_t count;
    const hone__perplexity_options *o;
    hone__perplexity *out;
} measuring;

/* -ln softmax(scores)[token]; summed in pieces of double precision. */
static hone_status loss(const float *scores, size_t vocab, uint32_t token, double *nll)
{
    float most = scores[0];
    double sum = 0;
    for (size_t i = 1; i < vocab; i++) most = scores[i] > most ? scores[i] : most;
    for (size_t i = 0; i < vocab; i++) sum += (double)expf(scores[i] - most);
    *nll = log(sum) + (double)most - (double)scores[token];
    if (isfinite(*nll)) return HONE_OK;
    return hone__fail(HONE_E_FORMAT, "the scores are not finite");
}

/* Tokens [from, to) into the decoder; with `all`, each one's score is that of the token behind it. */
static hone_status feed(measuring *m, size_t from, size_t to, bool all)
{
    int64_t piece[PIECE];
    for (size_t n; from < to; from += n) {
        const float *scores;
        size_t vocab;
        n = to - from < PIECE ? to - from : PIECE;
        for (size_t i = 0; i < n; i++) piece[i] = m->ids[from + i];
        HONE__TRY(hone__decoder_run(m->d, piece, n, all, &scores, &vocab));
        for (size_t i = 0; all && i < n; i++) {
            double nll = 0;
            uint32_t next = m->ids[from + i + 1];
            if (next >= vocab)
                return hone__fail(HONE_E_ARGUMENT, "token %zu is %u, the model has scores for %zu", from + i + 1, next,
                                  vocab);
            hone_status s = loss(scores + i * vocab, vocab, next, &nll);
            if (s != HONE_OK) return hone__at(s, "token %zu", from + i + 1);
            m->out->nll += nll;
            m->out->scored++;
        }
        if (m->o->progress) m->o->progress(m->o->ctx, from + n, m->count);
    }
    return HONE_OK;
}

static hone_status windows(measuring *m)
{
    size_t held = 0, start = 0; /* held: tokens that windows so far have held */
    while (held < m->count) {
        size_t end = m->count - start < m->out->context ? m->count : start + m->out->context;
        size_t first = held > start ? held : start + 1; /* to be scored */
        HONE__TRY(hone__decoder_start(m->d, 1, NULL));
        if (first < end) {
            HONE__TRY(feed(m, start, first - 1, false));
            HONE__TRY(feed(m, first - 1, end - 1, true));
        }
        m->out->windows++;
        held = end;
        start += m->out->stride;
    }
    if (m->o->progress) m->o->progress(m->o->ctx, m->count, m->count);
    return HONE_OK;
}

static hone_status read_options(const hone__decoder_facts *facts, const hone__perplexity_options *o,
                                hone__perplexity *out)
{
    size_t most = facts->context ? (size_t)facts->context : o->context ? o->context : CONTEXT;
    out->context = o->context ? o->context : most;
    out->stride = o->stride ? o->stride : out->context;
    if (out->context > most)
        return hone__fail(HONE_E_ARGUMENT, "windows of %zu tokens, the model takes at most %zu", out->context, most);
    if (out->context < 2) return hone__fail(HONE_E_ARGUMENT, "a window of one token has nothing to score");
    if (out->stride <= out->context) return HONE_OK;
    return hone__fail(HONE_E_ARGUMENT, "a stride of %zu tokens leaves out what lies between windows of %zu",
                      out->stride, out->context);
}

hone_status hone__perplexity_measure(const hone_model *model, const uint32_t *ids, size_t count,
                                     const hone__perplexity_options *o, hone__perplexity *out)
{
    measuring m = {.ids = ids, .count = count, .o = o, .out = out};
    hone__decoder_facts facts;
    *out = (hone__perplexity){.tokens = count};
    HONE__TRY(hone__decoder_facts_read(model->graph, &facts));
    HONE__TRY(read_options(&facts, o, out));
    if (count < 2)
        return hone__fail(HONE_E_ARGUMENT, "a text of %zu token%s, expected two or more", count, count ? "" : "s");
    size_t capacity = count < out->context ? count : out->context;
    hone__decoder_options d = {
        .session = {.threads = o->threads}, .batch = 1, .capacity = capacity, .cache = o->cache ? o->cache : HONE_F16};
    HONE__TRY(hone__decoder_create(model->graph, &d, &m.d));
    hone_status s = windows(&m);
    hone__decoder_destroy(m.d);
    return s;
}
