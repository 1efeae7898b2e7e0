/* api_generate.c: hone_tokenizer and hone_generator over text and tasks. */
#include <stdatomic.h>
#include <string.h>

#include "api.h"
#include "hone/generate.h"
#include "tasks/write_text.h"

struct hone_tokenizer {
    hone__tokenizer *text;
};

hone_status hone_tokenizer_create(const hone_model *model, hone_tokenizer **out)
{
    const char *blob = hone__model_metadata(model->graph, HONE__TOKENIZER_KEY);
    *out = NULL;
    if (!blob) return hone__fail(HONE_E_UNSUPPORTED, "the model has no tokenizer (metadata %s)", HONE__TOKENIZER_KEY);
    hone_tokenizer *t = hone__calloc(1, sizeof *t);
    if (!t) return hone__out_of_memory(sizeof *t);
    hone_status s = hone__tokenizer_create(blob, strlen(blob), &t->text);
    if (s == HONE_OK)
        *out = t;
    else
        hone__free(t);
    return s;
}

void hone_tokenizer_destroy(hone_tokenizer *t)
{
    if (!t) return;
    hone__tokenizer_destroy(t->text);
    hone__free(t);
}

hone_status hone_tokenizer_encode(const hone_tokenizer *t, const char *text, size_t size, int special, uint32_t **ids,
                                  size_t *count)
{
    hone__token_list list = {0};
    *ids = NULL;
    *count = 0;
    hone_status s = hone__tokenizer_encode(t->text, text, size, special != 0, &list);
    uint32_t *copy = s == HONE_OK ? hone__malloc((list.count + 1) * sizeof *copy) : NULL;
    if (s == HONE_OK && !copy) s = hone__out_of_memory(list.count * sizeof *copy);
    if (s == HONE_OK) {
        if (list.count) memcpy(copy, list.ids, list.count * sizeof *copy);
        *ids = copy;
        *count = list.count;
    }
    hone__token_list_free(&list);
    return s;
}

hone_status hone_tokenizer_decode(const hone_tokenizer *t, const uint32_t *ids, size_t count, int skip_special,
                                  char **text, size_t *size)
{
    hone__text out = {0};
    *text = NULL;
    *size = 0;
    hone_status s = hone__tokenizer_decode(t->text, ids, count, skip_special != 0, &out);
    if (s == HONE_OK) s = hone__text_append(&out, "", 1);
    if (s != HONE_OK) {
        hone__free(out.data);
        return s;
    }
    *text = out.data;
    *size = out.size - 1;
    return HONE_OK;
}

void hone_tokenizer_free(void *p) { hone__free(p); }

struct hone_generator {
    hone__decoder *decoder;
    hone_tokenizer *tokenizer; /* NULL: the model has none */
    hone__decoder_facts facts;
    atomic_bool cancel;
};

enum { CONTEXT = 2048 /* of models that do not say */ };

hone_status hone_generator_create(const hone_model *model, const hone_generator_options *options, hone_generator **out)
{
    hone_generator_options none = HONE_GENERATOR_OPTIONS_INIT;
    hone_generator *g = hone__calloc(1, sizeof *g);
    *out = NULL;
    if (!g) return hone__out_of_memory(sizeof *g);
    if (!options) options = &none;
    hone_status s = hone__decoder_facts_read(model->graph, &g->facts);
    size_t most = g->facts.context ? (size_t)g->facts.context : CONTEXT;
    if (s == HONE_OK && g->facts.context && options->context > most)
        s = hone__fail(HONE_E_LIMIT, "a context of %zu tokens, the model has %zu", options->context, most);
    hone__decoder_options o = {
        .session = {.threads = options->threads, .max_memory = options->max_memory, .cancel = &g->cancel},
        .batch = options->batch,
        .capacity = options->context ? options->context : most,
        .cache = options->cache ? options->cache : HONE_F16};
    if (s == HONE_OK) s = hone__decoder_create(model->graph, &o, &g->decoder);
    if (s == HONE_OK && hone__model_metadata(model->graph, HONE__TOKENIZER_KEY))
        s = hone_tokenizer_create(model, &g->tokenizer);
    if (s == HONE_OK)
        *out = g;
    else
        hone_generator_destroy(g);
    return s;
}

void hone_generator_destroy(hone_generator *g)
{
    if (!g) return;
    hone__decoder_destroy(g->decoder);
    hone_tokenizer_destroy(g->tokenizer);
    hone__free(g);
}

size_t hone_generator_context(const hone_generator *g) { return hone__decoder_capacity(g->decoder); }
void hone_generator_cancel(hone_generator *g) { atomic_store(&g->cancel, true); }

typedef struct call {
    hone_piece_fn fn;
    void *ctx;
} call;

static hone__go_on on_piece(void *ctx, size_t index, const char *text, size_t size, int32_t token, int last)
{
    const call *c = ctx;
    return c->fn && c->fn(c->ctx, index, text, size, token, last) ? HONE__END_ALL : HONE__GO_ON;
}

static hone__go_on on_token(void *ctx, size_t index, int32_t token, int last)
{
    return on_piece(ctx, index, "", 0, token, last);
}

static hone__tokens tokens_of(hone_tokens t)
{
    return (hone__tokens){(const int32_t *)(const void *)t.ids, t.count}; /* the same bits, checked by the sampler */
}

static hone__generate_options options_of(const hone_generator *g, const hone_generate_options *o)
{
    hone__generate_options w = HONE__GENERATE_OPTIONS_INIT;
    w.tokens = o->tokens;
    w.force = o->force != 0;
    w.beams = o->beams;
    w.sequences = o->sequences ? o->sequences : 1;
    w.length_penalty = o->length_penalty;
    w.early = o->early_stopping == 1   ? HONE__EARLY_FULL
              : o->early_stopping == 2 ? HONE__EARLY_NEVER
                                       : HONE__EARLY_LIKELY;
    w.lookup = o->lookup;
    w.pad = g->facts.pad >= 0 && g->facts.pad <= INT32_MAX ? (int32_t)g->facts.pad : 0;
    w.sampling = (hone__sampling){.temperature = o->temperature,
                                  .top_k = o->top_k,
                                  .top_p = o->top_p,
                                  .min_p = o->min_p,
                                  .typical_p = o->typical_p,
                                  .repetition = o->repetition_penalty,
                                  .presence = o->presence_penalty,
                                  .frequency = o->frequency_penalty,
                                  .no_repeat = o->no_repeat_ngram,
                                  .seed = o->seed,
                                  .least = o->min_tokens,
                                  .ends = g->facts.eos,
                                  .end_count = g->facts.eos_count,
                                  .banned = tokens_of(o->suppress),
                                  .begin_banned = tokens_of(o->begin_suppress),
                                  .first = o->forced_first,
                                  .last = o->forced_last};
    return w;
}

/* Prompts with each as often as it has sequences. Freed by the caller. */
static hone_status repeat(const uint32_t *const *prompts, const size_t *lengths, size_t count, size_t times,
                          const int32_t ***ids, size_t **sizes)
{
    *ids = hone__calloc(count * times + 1, sizeof **ids);
    *sizes = hone__calloc(count * times + 1, sizeof **sizes);
    if (!*ids || !*sizes) return hone__out_of_memory(count * times * sizeof **ids);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < lengths[i]; k++)
            if (prompts[i][k] > INT32_MAX) return hone__fail(HONE_E_ARGUMENT, "prompt %zu has no token at %zu", i, k);
        for (size_t k = 0; k < times; k++) {
            (*ids)[i * times + k] = (const int32_t *)(const void *)prompts[i]; /* the same bits, all below 2^31 */
            (*sizes)[i * times + k] = lengths[i];
        }
    }
    return HONE_OK;
}

static hone_status check(const hone_generator *g, const hone_generate_options *o)
{
    if (o->sequences > 4096 || o->beams > 1024)
        return hone__fail(HONE_E_ARGUMENT, "%zu sequences of %zu beams, expected at most 4096 of 1024", o->sequences,
                          o->beams);
    if (o->early_stopping < 0 || o->early_stopping > 2)
        return hone__fail(HONE_E_ARGUMENT, "early_stopping is %d, expected 0, 1 or 2", o->early_stopping);
    if (o->bad_word_count && !g->tokenizer)
        return hone__fail(HONE_E_UNSUPPORTED, "bad-words: the model has no tokenizer (metadata %s)",
                          HONE__TOKENIZER_KEY);
    return HONE_OK;
}

hone_status hone_generator_run_ids(hone_generator *g, const uint32_t *const *prompts, const size_t *lengths,
                                   size_t count, const hone_generate_options *options, hone_piece_fn fn, void *ctx)
{
    call c = {fn, ctx};
    HONE__TRY(check(g, options));
    hone__write_options w = {.generate = options_of(g, options),
                             .stops = options->stops,
                             .stop_count = options->stop_count,
                             .bad_words = options->bad_words,
                             .bad_word_count = options->bad_word_count,
                             .on_piece = on_piece,
                             .ctx = &c};
    const int32_t **ids;
    size_t *sizes, times = options->beams > 1 ? 1 : w.generate.sequences;
    w.generate.on_token = on_token;
    w.generate.ctx = &c;
    hone__tokens *bad = hone__calloc(options->bad_id_count + 1, sizeof *bad);
    if (!bad) return hone__out_of_memory(options->bad_id_count * sizeof *bad);
    for (size_t i = 0; i < options->bad_id_count; i++) bad[i] = tokens_of(options->bad_ids[i]);
    w.generate.sampling.bad_words = bad;
    w.generate.sampling.bad_word_count = options->bad_id_count;
    hone_status s = repeat(prompts, lengths, count, times, &ids, &sizes);
    if (s == HONE_OK)
        s = g->tokenizer ? hone__write_text(g->decoder, g->tokenizer->text, ids, sizes, count * times, &w)
                         : hone__generate(g->decoder, ids, sizes, count * times, &w.generate);
    hone__free((void *)ids);
    hone__free(sizes);
    hone__free(bad);
    atomic_store(&g->cancel, false);
    return s;
}

hone_status hone_generator_run(hone_generator *g, const char *const *prompts, size_t count,
                               const hone_generate_options *options, hone_piece_fn fn, void *ctx)
{
    if (!g->tokenizer)
        return hone__fail(HONE_E_UNSUPPORTED, "the model has no tokenizer (metadata %s)", HONE__TOKENIZER_KEY);
    uint32_t **ids = hone__calloc(count + 1, sizeof *ids);
    size_t *lengths = hone__calloc(count + 1, sizeof *lengths);
    hone_status s = ids && lengths ? HONE_OK : hone__out_of_memory(count * sizeof *ids);
    for (size_t i = 0; s == HONE_OK && i < count; i++)
        s = hone_tokenizer_encode(g->tokenizer, prompts[i], strlen(prompts[i]), 1, &ids[i], &lengths[i]);
    for (size_t i = 0; s == HONE_OK && i < count; i++)
        if (!lengths[i]) s = hone__fail(HONE_E_ARGUMENT, "prompt %zu is empty", i);
    if (s == HONE_OK) s = hone_generator_run_ids(g, (const uint32_t *const *)ids, lengths, count, options, fn, ctx);
    for (size_t i = 0; ids && i < count; i++) hone__free(ids[i]);
    hone__free(ids);
    hone__free(lengths);
    return s;
}
