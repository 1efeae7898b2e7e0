/* op_ms_search.c: com.microsoft's GreedySearch, Sampling, and BeamSearch over a decoder like GPT-2's: inputs input_ids,
 * position_ids, attention_mask, past_0 ... -> logits, present_0 ...; a state is [2, rows, heads, tokens, size]. */
#include <string.h>
#include <time.h>

#include "op_ms_beam.h"

enum { IDS = 0, POSITIONS, MASK, PAST }; /* the decoder's inputs */

/* Where the node has the prompt's attention mask. */
static int mask_input(const hone__search *s) { return s->kind == HONE__BEAM ? 9 : 6; }

/* The prompt, what of it is no padding, and each row's place of the next token. */
typedef struct prompt {
    int32_t *ids, *mask, *next, *places; /* [batch, length], [rows, max_length], [rows], [rows, length] */
} prompt;

static hone_status read_prompt(hone__search *s, prompt *p)
{
    const hone__run *r = s->r;
    const hone__tensor *ids = r->in[0], *given = mask_input(s) < r->input_count ? r->in[mask_input(s)] : NULL;
    size_t tokens = s->rows * s->max_length;
    if (!s->length || s->max_length <= s->length)
        return hone__fail(HONE_E_ARGUMENT, "max_length is %zu for a prompt of %zu tokens", s->max_length, s->length);
    if (given && (given->rank != 2 || given->dims[0] != ids->dims[0] || given->dims[1] != ids->dims[1]))
        return hone__fail(HONE_E_SHAPE, "attention_mask is not shaped like input_ids");
    p->ids = hone__calloc(3 * tokens + s->rows, sizeof *p->ids);
    if (!p->ids) return hone__out_of_memory(3 * tokens);
    p->mask = p->ids + tokens, p->places = p->mask + tokens, p->next = p->places + tokens;
    for (size_t i = 0; i < ids->count; i++) p->ids[i] = (int32_t)hone__tensor_i64(ids, i);
    for (size_t row = 0; row < s->rows; row++)
        for (size_t t = 0; t < s->length; t++) {
            size_t at = row / s->beams * s->length + t;
            bool padding = p->ids[at] == s->pad;
            p->mask[row * s->max_length + t] = given ? (int32_t)hone__tensor_i64(given, at) : !padding;
            p->places[row * s->length + t] = padding ? 0 : p->next[row];
            p->next[row] += !padding;
        }
    return HONE_OK;
}

static hone_status check_decoder(const hone__graph *g)
{
    if (g->output_count < 2 || g->input_count != g->output_count + 2)
        return hone__fail(HONE_E_UNSUPPORTED,
                          "a decoder with %zu inputs and %zu outputs: expected input_ids, "
                          "position_ids, attention_mask and the states -> logits and the states",
                          g->input_count, g->output_count);
    return HONE_OK;
}

static hone_status feed_prompt(hone__search *s, const prompt *p, const int32_t *ids)
{
    HONE__TRY(hone__search_feed_ints(s, s->first, IDS, s->length, ids, s->max_length));
    HONE__TRY(hone__search_feed_ints(s, s->first, POSITIONS, s->length, p->places, s->length));
    HONE__TRY(hone__search_feed_ints(s, s->first, MASK, s->length, p->mask, s->max_length));
    for (size_t i = PAST; i < s->feed_count; i++) HONE__TRY(hone__search_feed_empty(s, s->first, i, 1, 3));
    return HONE_OK;
}

/* The token at length - 1 of every row, whose states are those of rows `from`. */
static hone_status feed_token(hone__search *s, prompt *p, const int32_t *newest, const int32_t *from, size_t length)
{
    for (size_t r = 0; r < s->rows; r++) p->mask[r * s->max_length + length - 1] = 1;
    HONE__TRY(hone__search_feed_ints(s, s->decoder, IDS, 1, newest, 1));
    HONE__TRY(hone__search_feed_ints(s, s->decoder, POSITIONS, 1, p->next, 1));
    HONE__TRY(hone__search_feed_ints(s, s->decoder, MASK, length, p->mask, s->max_length));
    for (size_t r = 0; r < s->rows; r++) p->next[r]++;
    for (size_t i = 0; i < s->past_count; i++) HONE__TRY(hone__search_feed_rows(s, PAST + i, s->out[1 + i], 1, from));
    return HONE_OK;
}

static hone_status start(hone__search *s, prompt *p)
{
    hone__graph *first = hone__node_graph(s->r->node, "init_decoder");
    if (hone__node_int(s->r->node, "model_type", 0))
        return hone__fail(HONE_E_UNSUPPORTED, "model_type %lld",
                          (long long)hone__node_int(s->r->node, "model_type", 0));
    HONE__TRY(check_decoder(s->decoder));
    if (first) {
        HONE__TRY(check_decoder(first));
        if (first->input_count != s->decoder->input_count)
            return hone__fail(HONE_E_SHAPE, "init_decoder has %zu inputs", first->input_count);
        s->first = first;
    }
    HONE__TRY(read_prompt(s, p));
    return hone__search_feeds(s, PAST, s->decoder->input_count - PAST);
}

/* One token per step, the likeliest or a drawn one. */
typedef struct sampler {
    hone__top_p top;
    uint32_t state; /* of the generator */
    uint32_t *order;
    float *work;
    double *weights;
} sampler;

static hone_status make_sampler(const hone__search *s, sampler *p)
{
    const hone__node *n = s->r->node;
    const hone__tensor *seed = s->r->input_count > 8 ? s->r->in[8] : NULL;
    int64_t keep = hone__node_int(n, "min_tokens_to_keep", 0), value = 0;
    if (seed && seed->count != 1) return hone__fail(HONE_E_SHAPE, "the seed has %zu values", seed->count);
    if (seed) value = hone__tensor_i64(seed, 0);
    if (value < 0 || keep < 0)
        return hone__fail(HONE_E_ARGUMENT, "seed is %lld, min_tokens_to_keep %lld", (long long)value, (long long)keep);
    p->top = (hone__top_p){hone__node_float(n, "top_p", 0), hone__node_float(n, "filter_value", -1.0F / 0.0F),
                           (size_t)keep, hone__node_int(n, "custom", 0) != 0};
    p->state = hone__choose_seed((uint32_t)value);
    return HONE_OK;
}

static hone_status draw(const hone__search *s, sampler *p, int32_t *tokens)
{
    size_t n = s->vocab;
    if (!p->weights) {
        if (!(p->weights = hone__calloc(n, sizeof(double) + sizeof(float) + sizeof(uint32_t))))
            return hone__out_of_memory(n);
        p->work = (float *)(p->weights + n);
        p->order = (uint32_t *)(p->work + n);
    }
    for (size_t r = 0; r < s->rows; r++) hone__choose_top_p(s->scores + r * n, n, &p->top, p->order, p->work);
    for (size_t r = 0; r < s->rows; r++)
        tokens[r] = (int32_t)hone__choose_drawn(s->scores + r * n, n, hone__choose_uniform(&p->state), p->weights);
    return HONE_OK;
}

/* Chooses every row's token; false in *more when all rows have ended. */
static hone_status choose(const hone__search *s, sampler *p, int32_t *tokens, uint8_t *ended, bool *more)
{
    *more = false;
    for (size_t r = 0; !p && r < s->rows; r++)
        tokens[r] = (int32_t)hone__choose_best(s->scores + r * s->vocab, s->vocab);
    if (p) HONE__TRY(draw(s, p, tokens));
    for (size_t r = 0; r < s->rows; r++) {
        ended[r] |= tokens[r] == s->eos;
        if (ended[r]) tokens[r] = s->pad;
        *more |= !ended[r];
    }
    return HONE_OK;
}

static hone_status walk(hone__search *s, prompt *p, sampler *sample, int32_t *tokens, uint8_t *ended)
{
    int64_t dims[] = {(int64_t)s->batch, (int64_t)s->max_length};
    bool more = true;
    HONE__TRY(hone__run_output(s->r, 0, HONE_I32, 2, dims));
    if (!s->r->out[0]) return HONE_OK;
    int32_t *ids = hone__out_data(s->r, 0), *from = tokens + s->rows;
    memset(ids, 0, s->rows * s->max_length * sizeof *ids);
    for (size_t r = 0; r < s->rows; r++) {
        memcpy(ids + r * s->max_length, p->ids + r * s->length, s->length * sizeof *ids);
        from[r] = (int32_t)r;
    }
    HONE__TRY(feed_prompt(s, p, ids));
    for (size_t length = s->length; more && length < s->max_length; length++) {
        if (length > s->length) HONE__TRY(feed_token(s, p, tokens, from, length));
        HONE__TRY(hone__search_run(s, length > s->length ? s->decoder : s->first));
        HONE__TRY(hone__search_scores(s, s->out[0], false, ids, s->max_length, length));
        if (sample && s->step == 1 && s->r->output_count > 1 && s->r->out[1])
            return hone__fail(HONE_E_UNSUPPORTED, "output filtered_logits");
        HONE__TRY(choose(s, sample, tokens, ended, &more));
        for (size_t r = 0; r < s->rows; r++) ids[r * s->max_length + length] = tokens[r];
    }
    return HONE_OK;
}

static hone_status run_one_each(hone__run *r, hone__search_kind kind)
{
    hone__search s;
    prompt p = {0};
    sampler sample = {0};
    int32_t *tokens = NULL;
    hone_status status = hone__search_start(&s, r, kind);
    if (status == HONE_OK) status = start(&s, &p);
    if (status == HONE_OK && kind == HONE__SAMPLING) status = make_sampler(&s, &sample);
    if (status == HONE_OK && !(tokens = hone__calloc(s.rows, 2 * sizeof *tokens + 1)))
        status = hone__out_of_memory(s.rows);
    if (status == HONE_OK)
        status = walk(&s, &p, kind == HONE__SAMPLING ? &sample : NULL, tokens, (uint8_t *)(tokens + 2 * s.rows));
    hone__free(tokens);
    hone__free(sample.weights);
    hone__free(p.ids);
    hone__search_end(&s);
    return status;
}

static hone_status infer_greedy(hone__infer *x) { return hone__search_infer(x, HONE__GREEDY); }
static hone_status infer_sampling(hone__infer *x) { return hone__search_infer(x, HONE__SAMPLING); }
static hone_status run_greedy(hone__run *r) { return run_one_each(r, HONE__GREEDY); }
static hone_status run_sampling(hone__run *r) { return run_one_each(r, HONE__SAMPLING); }

const hone__op hone__op_ms_greedy_search = {
    "com.microsoft", "GreedySearch", infer_greedy, NULL, run_greedy, HONE__OP_SUBGRAPH | HONE__OP_LATE};
const hone__op hone__op_ms_sampling = {
    "com.microsoft", "Sampling", infer_sampling, NULL, run_sampling, HONE__OP_SUBGRAPH | HONE__OP_LATE};

hone_status hone__beam_decoder_only(hone__search *s, hone__beams *b, void **memory)
{
    prompt p = {0};
    hone_status status = start(s, &p);
    if (status == HONE_OK) status = hone__beam_start(s, b, p.ids, memory);
    if (status == HONE_OK) status = feed_prompt(s, &p, b->ids);
    while (status == HONE_OK && b->length < s->max_length) {
        bool first = b->length == s->length;
        if (!first) status = feed_token(s, &p, b->next, b->from, b->length);
        if (status == HONE_OK) status = hone__search_run(s, first ? s->first : s->decoder);
        if (status == HONE_OK) status = hone__beam_step(s, b, s->out[0]);
        if (!b->open) break;
    }
    hone__free(p.ids);
    return status;
}
