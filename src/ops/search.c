/* search.c: inputs, rules and feeds of the operators that search for sequences of tokens. */
#include "search.h"

#include <math.h>
#include <string.h>

#include "kernels/norm/norm.h"
#include "widen.h"

/* Where each kind has its inputs; 0: not at all, but for input_ids. */
typedef struct places {
    int inputs, max_length, min_length, beams, returned, length_penalty, repetition, mask, prefix, present, processor,
        temperature, outputs;
} places;

static const places all_places[] = {
    [HONE__GREEDY] = {7, 1, 2, 0, 0, 0, 3, 4, 5, 0, 0, 0, 1},
    [HONE__SAMPLING] = {9, 1, 2, 0, 0, 0, 3, 4, 5, 7, 0, 0, 2},
    [HONE__BEAM] = {12, 1, 2, 3, 4, 5, 6, 7, 8, 0, 11, 0, 3},
    [HONE__WHISPER] = {15, 1, 2, 3, 4, 5, 6, 7, 8, 0, 11, 14, 5},
};

hone_status hone__search_infer(hone__infer *x, hone__search_kind kind)
{
    const places *at = &all_places[kind];
    const hone__graph *g = hone__node_graph(x->node, "decoder");
    int most = 2 + (at->beams > 0);
    HONE__TRY(hone__infer_arity(x, 2, at->inputs));
    for (int i = 3; at->beams && i <= 4; i++)
        if (!hone__has_input(x, i)) return hone__fail(HONE_E_SHAPE, "input %d is missing", i);
    if (!g) return hone__fail(HONE_E_SHAPE, "attribute decoder is missing");
    if (x->output_count > at->outputs) return hone__fail(HONE_E_SHAPE, "has %d outputs", x->output_count);
    for (int i = 0; i < x->output_count; i++) {
        x->out[i].dtype = i ? HONE_F32 : HONE_I32;
        x->out[i].shape.rank = -1;
    }
    if (x->output_count) hone__infer_set(x, 0, HONE_I32, most, (int64_t[]){-1, -1, -1});
    return HONE_OK;
}

static const hone__tensor *input(const hone__run *r, int i)
{
    return i > 0 && i < r->input_count && r->in[i] && r->in[i]->kind == HONE_KIND_TENSOR ? r->in[i] : NULL;
}

static hone_status number(const hone__run *r, int i, double otherwise, double *out)
{
    const hone__tensor *t = input(r, i);
    *out = otherwise;
    if (!t) return HONE_OK;
    if (t->count != 1 || t->dtype == HONE_STRING)
        return hone__fail(HONE_E_SHAPE, "input %d has %zu values, expected one number", i, t->count);
    *out = hone__tensor_f64(t, 0);
    return HONE_OK;
}

static hone_status count_between(const hone__run *r, int i, const char *what, double low, double high, size_t otherwise,
                                 size_t *out)
{
    double v;
    HONE__TRY(number(r, i, (double)otherwise, &v));
    if (!(v >= low && v <= high)) return hone__fail(HONE_E_ARGUMENT, "%s is %g, expected %g to %g", what, v, low, high);
    *out = (size_t)v;
    return HONE_OK;
}

static int32_t token(const hone__node *n, const char *name)
{
    int64_t v = hone__node_int(n, name, -1);
    return v < 0 || v > INT32_MAX ? -1 : (int32_t)v;
}

static hone_status read_attributes(hone__search *s)
{
    const hone__node *n = s->r->node;
    int64_t ngram = hone__node_int(n, "no_repeat_ngram_size", 0);
    s->ngram = ngram > 0 && ngram < HONE__SEARCH_TOKENS ? (size_t)ngram : 0;
    s->eos = token(n, "eos_token_id");
    s->pad = token(n, "pad_token_id");
    s->start = token(n, "decoder_start_token_id");
    s->presence = hone__node_float(n, "presence_penalty", 0);
    s->timestamps = (hone__timestamps){s->eos,
                                       s->start,
                                       token(n, "translate_token_id"),
                                       token(n, "transcribe_token_id"),
                                       token(n, "start_of_lm_token_id"),
                                       token(n, "no_timestamps_token_id"),
                                       token(n, "beginning_timestamp_token_id"),
                                       50};
    if (s->eos < 0 || s->pad < 0) return hone__fail(HONE_E_ARGUMENT, "eos_token_id or pad_token_id is missing");
    return HONE_OK;
}

static hone_status read_inputs(hone__search *s)
{
    const places *at = &all_places[s->kind];
    const hone__run *r = s->r;
    double length_penalty, repetition, temperature, processor;
    HONE__TRY(count_between(r, at->max_length, "max_length", 1, HONE__SEARCH_TOKENS, 0, &s->max_length));
    HONE__TRY(count_between(r, at->min_length, "min_length", INT32_MIN, INT32_MAX, 0, &s->min_length));
    HONE__TRY(count_between(r, at->beams, "num_beams", 1, HONE__SEARCH_BEAMS, 1, &s->beams));
    HONE__TRY(count_between(r, at->returned, "num_return_sequences", 1, (double)s->beams, 1, &s->returned));
    HONE__TRY(number(r, at->length_penalty, 1, &length_penalty));
    HONE__TRY(number(r, at->repetition, 1, &repetition));
    HONE__TRY(number(r, at->temperature, hone__node_float(r->node, "temperature", 1), &temperature));
    HONE__TRY(number(r, at->processor, 0, &processor));
    if (!(repetition > 0)) return hone__fail(HONE_E_ARGUMENT, "repetition_penalty is %g", repetition);
    s->length_penalty = (float)length_penalty;
    s->repetition = (float)repetition;
    s->temperature = (float)temperature;
    s->timestamped = s->kind == HONE__WHISPER && processor == 1;
    return HONE_OK;
}

hone_status hone__search_start(hone__search *s, hone__run *r, hone__search_kind kind)
{
    const hone__tensor *ids = r->in[0];
    *s = (hone__search){.r = r, .kind = kind, .decoder = hone__node_graph(r->node, "decoder")};
    s->first = s->decoder;
    if (ids->rank != (kind == HONE__WHISPER ? 3 : 2))
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected %d", ids->rank, kind == HONE__WHISPER ? 3 : 2);
    if (kind != HONE__WHISPER && !hone__dtype_is_int(ids->dtype))
        return hone__fail(HONE_E_SHAPE, "input 0 is %s", hone_dtype_name(ids->dtype));
    if (ids->dims[0] < 1 || ids->dims[0] > INT32_MAX / HONE__SEARCH_BEAMS)
        return hone__fail(HONE_E_SHAPE, "input 0 has %lld entries", (long long)ids->dims[0]);
    s->batch = (size_t)ids->dims[0];
    s->length = (size_t)ids->dims[1];
    HONE__TRY(read_attributes(s));
    HONE__TRY(read_inputs(s));
    s->rows = s->batch * s->beams;
    return HONE_OK;
}

void hone__search_end(hone__search *s)
{
    hone__keep_free(s->feeds, 2 * s->feed_count);
    hone__free(s->in);
    hone__free(s->memory);
}

static hone_status check_mask(const hone__tensor *t, int rank, const hone__search *s, const char *what)
{
    size_t want = rank == 1 ? s->vocab : s->batch * s->vocab;
    if (!t || (t->rank == rank && t->count == want && t->dtype != HONE_STRING)) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "%s has %zu values, expected %zu", what, t->count, want);
}

hone_status hone__search_room(hone__search *s, size_t vocab)
{
    const places *at = &all_places[s->kind];
    const hone__tensor *mask = input(s->r, at->mask), *prefix = input(s->r, at->prefix),
                       *present = input(s->r, at->present);
    size_t scores, entries, bytes;
    if (vocab < 2 || vocab > INT32_MAX) return hone__fail(HONE_E_SHAPE, "a vocabulary of %zu tokens", vocab);
    s->vocab = vocab;
    if (!hone__mul_size(s->rows, vocab * sizeof(float), &scores) ||
        !hone__mul_size(s->batch, vocab * (sizeof(float) + 1), &entries) || !hone__add_size(scores, entries, &bytes) ||
        !hone__add_size(bytes, 2 * vocab, &bytes))
        return hone__fail(HONE_E_LIMIT, "scores are over 2^64 bytes");
    HONE__TRY(check_mask(mask, 1, s, "vocab_mask"));
    HONE__TRY(check_mask(prefix, 2, s, "prefix_vocab_mask"));
    HONE__TRY(check_mask(present, 2, s, "presence_mask"));
    if (!(s->memory = hone__calloc(bytes, 1))) return hone__out_of_memory(bytes);
    s->scores = s->memory;
    float *marks = s->scores + s->rows * vocab;
    uint8_t *flags = (uint8_t *)(marks + s->batch * vocab);
    s->seen = flags + s->batch * vocab + vocab;
    if (present) s->present = marks;
    if (prefix) s->prefix = flags;
    if (mask) s->mask = flags + s->batch * vocab;
    for (size_t i = 0; present && i < present->count; i++) s->present[i] = (float)hone__tensor_f64(present, i);
    for (size_t i = 0; prefix && i < prefix->count; i++) s->prefix[i] = hone__tensor_i64(prefix, i) != 0;
    for (size_t i = 0; mask && i < mask->count; i++) s->mask[i] = hone__tensor_i64(mask, i) != 0;
    return HONE_OK;
}

static void apply_rules(const hone__search *s, size_t row, const int32_t *ids, size_t length)
{
    float *x = s->scores + row * s->vocab;
    size_t entry = row / s->beams * s->vocab;
    if (s->repetition != 1) hone__choose_repeated(x, s->vocab, ids, length, s->repetition, s->seen);
    hone__choose_new_ngrams(x, s->vocab, ids, length, s->ngram);
    if (s->mask) hone__choose_masked(x, s->vocab, s->mask);
    if (s->prefix && s->step == 1) hone__choose_masked(x, s->vocab, s->prefix + entry);
    if (length < s->min_length && (size_t)s->eos < s->vocab) x[s->eos] = HONE__BANNED;
    for (size_t i = 0; s->temperature > 0 && s->temperature != 1 && i < s->vocab; i++) x[i] /= s->temperature;
    for (size_t i = 0; s->present && i < s->vocab; i++) x[i] -= s->present[entry + i] * s->presence;
    if (s->timestamped) hone__choose_timestamps(x, s->vocab, ids, length, &s->timestamps);
}

hone_status hone__search_scores(hone__search *s, const hone__tensor *logits, bool normal, const int32_t *ids,
                                size_t stride, size_t length)
{
    bool fits = logits->kind == HONE_KIND_TENSOR && logits->rank == 3 && hone__dtype_is_float(logits->dtype) &&
                logits->dims[1] > 0 && hone__dtype_size(logits->dtype);
    size_t rows = fits ? (size_t)logits->dims[0] : 0;
    if (!fits || (rows != s->rows && rows != s->batch))
        return hone__fail(HONE_E_SHAPE, "the logits are not [%zu, tokens, vocabulary]", s->rows);
    int64_t asked = hone__node_int(s->r->node, "vocab_size", -1);
    size_t tokens = (size_t)logits->dims[1], width = (size_t)logits->dims[2];
    if (!s->scores) HONE__TRY(hone__search_room(s, asked > 0 ? (size_t)asked : width));
    if (width < s->vocab) return hone__fail(HONE_E_SHAPE, "logits of %zu tokens for %zu", width, s->vocab);
    s->step++;
    for (size_t r = 0; r < s->rows; r++) {
        size_t from = rows == s->rows ? r : r / s->beams, at = ((from + 1) * tokens - 1) * width;
        float *x = s->scores + r * s->vocab;
        hone__to_f32(logits->dtype, (const uint8_t *)logits->data + at * hone__dtype_size(logits->dtype), s->vocab, x);
        if (normal) hone__softmax_f32(x, x, 1, s->vocab, 1, 1, NULL);
    }
    for (size_t r = 0; r < s->rows; r++) apply_rules(s, r, ids + r * stride, length);
    return HONE_OK;
}

hone_status hone__search_feeds(hone__search *s, size_t first_past, size_t past_count)
{
    size_t ins = s->decoder->input_count, outs = s->decoder->output_count;
    s->feeds = hone__keep_new(2 * ins);
    s->in = hone__calloc(ins + outs + 1, sizeof *s->in);
    if (!s->feeds || !s->in) return hone__out_of_memory(ins * sizeof *s->feeds);
    s->out = s->in + ins;
    s->feed_count = ins;
    s->first_past = first_past;
    s->past_count = past_count;
    for (size_t i = 0; i < ins; i++) s->in[i] = &s->feeds[2 * i].t;
    return HONE_OK;
}

/* The feed of input i that the running step does not read. */
static hone__keep *other(hone__search *s, size_t i)
{
    return &s->feeds[2 * i + (s->in[i] == &s->feeds[2 * i].t ? 1 : 0)];
}

/* Room in a feed for a tensor of this type and shape. */
static hone_status shape_feed(hone__keep *k, hone_dtype dtype, int rank, const int64_t *dims)
{
    hone__tensor t = {.dtype = dtype, .rank = rank};
    memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
    HONE__TRY(hone__shape_bytes(dtype, rank, t.dims, &t.count, &t.bytes));
    if (!k->own || t.bytes > k->room) {
        size_t want = t.bytes + t.bytes / 2 + 64;
        void *data = hone__realloc(k->own, want);
        if (!data) return hone__out_of_memory(want);
        k->own = data;
        k->room = want;
    }
    t.data = k->own;
    k->t = t;
    return HONE_OK;
}

hone_status hone__search_feed_ints(hone__search *s, const hone__graph *g, size_t i, size_t cols, const int32_t *data,
                                   size_t stride)
{
    hone__keep *k = other(s, i);
    hone_dtype dtype = g->inputs[i]->dtype == HONE_I64 ? HONE_I64 : HONE_I32;
    HONE__TRY(shape_feed(k, dtype, 2, (int64_t[]){(int64_t)s->rows, (int64_t)cols}));
    for (size_t r = 0; r < s->rows; r++)
        for (size_t c = 0; c < cols; c++) hone__element_set_i64(dtype, k->own, r * cols + c, data[r * stride + c]);
    s->in[i] = &k->t;
    return HONE_OK;
}

hone_status hone__search_feed_rows(hone__search *s, size_t i, const hone__tensor *t, int axis, const int32_t *from)
{
    hone__keep *k = other(s, i);
    int64_t dims[HONE_MAX_RANK];
    size_t outer = 1, inner = hone__dtype_size(t->dtype), rows = from ? s->rows : s->batch;
    if (t->kind != HONE_KIND_TENSOR || !inner || t->dtype == HONE_STRING || t->rank <= axis ||
        (size_t)t->dims[axis] != rows)
        return hone__fail(HONE_E_SHAPE, "a state of the decoder has not %zu rows along axis %d", rows, axis);
    memcpy(dims, t->dims, sizeof dims);
    dims[axis] = (int64_t)s->rows;
    for (int d = 0; d < t->rank; d++) {
        if (d < axis) outer *= (size_t)t->dims[d];
        if (d > axis) inner *= (size_t)t->dims[d];
    }
    HONE__TRY(shape_feed(k, t->dtype, t->rank, dims));
    for (size_t o = 0; inner && o < outer; o++)
        for (size_t r = 0; r < s->rows; r++)
            memcpy((uint8_t *)k->own + (o * s->rows + r) * inner,
                   (const uint8_t *)t->data + (o * rows + (from ? (size_t)from[r] : r / s->beams)) * inner, inner);
    s->in[i] = &k->t;
    return HONE_OK;
}

hone_status hone__search_feed_empty(hone__search *s, const hone__graph *g, size_t i, int axis, int empty)
{
    const hone__value *v = g->inputs[i];
    int64_t dims[HONE_MAX_RANK];
    if (v->shape.rank <= empty || !v->dtype || v->wrap)
        return hone__fail(HONE_E_SHAPE, "the decoder's input %zu has no type, or a rank below %d", i, empty + 1);
    for (int d = 0; d < v->shape.rank; d++) {
        dims[d] = d == axis ? (int64_t)s->rows : d == empty ? 0 : v->shape.dims[d];
        if (dims[d] < 0) return hone__fail(HONE_E_SHAPE, "dimension %d of the decoder's input %zu is open", d, i);
    }
    hone__keep *k = other(s, i);
    HONE__TRY(shape_feed(k, v->dtype, v->shape.rank, dims));
    s->in[i] = &k->t;
    return HONE_OK;
}

hone_status hone__search_run(hone__search *s, hone__graph *g)
{
    return s->r->subgraph(s->r, g, s->in, g->input_count, s->out, g->output_count);
}
