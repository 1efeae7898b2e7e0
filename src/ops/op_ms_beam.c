/* op_ms_beam.c: com.microsoft's BeamSearch and WhisperBeamSearch; here, those over an encoder and a decoder like T5's
 * or Whisper's. Encoder: ids and mask, or features, and the decoder's first ids -> logits, hidden states, states of the
 * decoder itself, states of the attention on the encoder; or only the last. Decoder: input_ids, the encoder's mask
 * (not Whisper's), hidden states (or not), all states -> logits, states of the decoder itself. A state is
 * [rows, heads, tokens, size]. */
#include "op_ms_beam.h"

#include <math.h>
#include <string.h>

enum { SEQUENCES = 0, SEQUENCES_SCORES, SCORES, CROSS_QK, NO_SPEECH };

static bool wanted(const hone__run *r, int i) { return i < r->output_count && r->out[i]; }

/* Output i with this shape, zeroed; *out NULL where nobody wants it. */
static hone_status make(hone__run *r, int i, hone_dtype dtype, int rank, const int64_t *dims, void **out)
{
    *out = NULL;
    if (!wanted(r, i)) return HONE_OK;
    HONE__TRY(hone__run_output(r, i, dtype, rank, dims));
    *out = hone__out_data(r, i);
    if (r->out[i]->bytes) memset(*out, 0, r->out[i]->bytes);
    return HONE_OK;
}

hone_status hone__beam_start(hone__search *s, hone__beams *b, const int32_t *ids, void **memory)
{
    size_t bytes;
    *b = (hone__beams){.batch = s->batch,
                       .beams = s->beams,
                       .max_length = s->max_length,
                       .eos = s->eos,
                       .pad = s->pad,
                       .length_penalty = s->length_penalty,
                       .early = hone__node_int(s->r->node, "early_stopping", 0) == 1};
    if (!hone__beams_bytes(b, &bytes)) return hone__fail(HONE_E_LIMIT, "beams are over 2^64 bytes");
    if (!(*memory = hone__calloc(bytes, 1))) return hone__out_of_memory(bytes);
    hone__beams_start(b, *memory, ids, s->length);
    return HONE_OK;
}

/* The probability of silence where the prompt ends, per entry. */
static hone_status tell_silence(const hone__search *s, const hone__tensor *logits)
{
    int64_t token = hone__node_int(s->r->node, "no_speech_token_id", -1), dims[] = {(int64_t)s->batch};
    size_t rows = (size_t)logits->dims[0], width = (size_t)logits->dims[2], tokens = (size_t)logits->dims[1];
    if (!wanted(s->r, NO_SPEECH)) return HONE_OK;
    if (token < 0 || (size_t)token >= s->vocab)
        return hone__fail(HONE_E_ARGUMENT, "no_speech_token_id is %lld", (long long)token);
    void *out;
    HONE__TRY(make(s->r, NO_SPEECH, HONE_F32, 1, dims, &out));
    float *y = out;
    for (size_t e = 0; e < s->batch; e++) {
        size_t at = ((e * (rows / s->batch) + 1) * tokens - 1) * width;
        double most = -INFINITY, sum = 0;
        for (size_t i = 0; i < s->vocab; i++) most = fmax(most, hone__tensor_f64(logits, at + i));
        for (size_t i = 0; i < s->vocab; i++) sum += exp(hone__tensor_f64(logits, at + i) - most);
        y[e] = (float)(exp(hone__tensor_f64(logits, at + (size_t)token) - most) / sum);
    }
    return HONE_OK;
}

hone_status hone__beam_step(hone__search *s, hone__beams *b, const hone__tensor *logits)
{
    size_t each, step = b->length - s->length;
    HONE__TRY(hone__search_scores(s, logits, true, b->ids, b->max_length, b->length));
    b->vocab = s->vocab;
    each = s->rows * s->vocab;
    if (!step) {
        HONE__TRY(tell_silence(s, logits));
        int64_t dims[] = {(int64_t)(s->max_length - s->length), (int64_t)s->batch, (int64_t)s->beams,
                          (int64_t)s->vocab};
        void *out;
        HONE__TRY(make(s->r, SCORES, HONE_F32, 4, dims, &out));
    }
    for (size_t i = 0; i < each; i++) s->scores[i] += b->scores[i / s->vocab];
    if (wanted(s->r, SCORES))
        memcpy((float *)hone__out_data(s->r, SCORES) + step * each, s->scores, each * sizeof *s->scores);
    hone__beams_step(b, s->scores);
    return HONE_OK;
}

/* How a pair of encoder and decoder is built. */
typedef struct pair {
    hone__graph *encoder;
    bool whisper, whole, hidden, old; /* whole: input_ids are all tokens; old: the encoder makes the first logits */
    size_t layers, past;              /* past: the decoder's first state */
} pair;

static hone_status read_pair(const hone__search *s, pair *p)
{
    const hone__graph *g = s->decoder;
    *p = (pair){.encoder = hone__node_graph(s->r->node, "encoder"), .whisper = s->kind == HONE__WHISPER};
    if (!p->encoder) return hone__fail(HONE_E_SHAPE, "attribute encoder is missing");
    size_t lead = p->whisper ? 1 : 2, ins = p->encoder->input_count, outs = p->encoder->output_count;
    p->layers = g->output_count > 1 ? (g->output_count - 1) / 2 : 0;
    p->hidden = g->input_count == lead + 1 + 4 * p->layers;
    p->past = lead + p->hidden;
    if (!p->layers || g->output_count != 1 + 2 * p->layers || g->input_count != p->past + 4 * p->layers)
        return hone__fail(HONE_E_UNSUPPORTED, "a decoder with %zu inputs and %zu outputs", g->input_count,
                          g->output_count);
    p->old = outs == 2 + 4 * p->layers && ins == lead + 1;
    if (!p->old && (p->whisper || p->hidden || ins != 2 || outs != 2 * p->layers))
        return hone__fail(HONE_E_UNSUPPORTED, "an encoder with %zu inputs and %zu outputs for a decoder of %zu layers",
                          ins, outs, p->layers);
    const hone__shape *ids = &g->inputs[0]->shape;
    p->whole = ids->rank != 2 || ids->dims[1] != 1;
    return HONE_OK;
}

/* The decoder's first tokens, [batch, s->length]. */
static hone_status first_ids(hone__search *s, const pair *p, int32_t **out)
{
    const hone__tensor *given = p->whisper && s->r->input_count > 10 ? s->r->in[10] : NULL;
    s->length = given && given->rank == 2 ? (size_t)given->dims[1] : 1;
    if (given && (given->rank != 2 || (size_t)given->dims[0] != s->batch || !s->length))
        return hone__fail(HONE_E_SHAPE, "decoder_input_ids is not [%zu, tokens]", s->batch);
    if (!given && s->start < 0) return hone__fail(HONE_E_ARGUMENT, "decoder_start_token_id is missing");
    if (s->max_length <= s->length)
        return hone__fail(HONE_E_ARGUMENT, "max_length is %zu for a prompt of %zu tokens", s->max_length, s->length);
    if (!(*out = hone__calloc(s->batch * s->length, sizeof **out))) return hone__out_of_memory(s->length);
    for (size_t i = 0; i < s->batch * s->length; i++)
        (*out)[i] = given ? (int32_t)hone__tensor_i64(given, i) : s->start;
    return HONE_OK;
}

static hone__tensor ints(const hone__graph *g, size_t input, size_t rows, size_t cols, int32_t *narrow, int64_t *wide)
{
    bool is_wide = g->inputs[input]->dtype == HONE_I64;
    hone__tensor t = {.dtype = is_wide ? HONE_I64 : HONE_I32,
                      .rank = 2,
                      .dims = {(int64_t)rows, (int64_t)cols},
                      .count = rows * cols,
                      .data = is_wide ? (void *)wide : narrow};
    t.bytes = t.count * hone__dtype_size(t.dtype);
    for (size_t i = 0; is_wide && i < t.count; i++) wide[i] = narrow[i];
    return t;
}

/* 1 where the encoder's ids are no padding on the left. */
static hone_status read_mask(const hone__search *s, const hone__tensor *ids, int32_t *mask)
{
    const hone__tensor *given = s->r->input_count > 9 ? s->r->in[9] : NULL;
    if (given && (given->rank != 2 || given->dims[0] != ids->dims[0] || given->dims[1] != ids->dims[1]))
        return hone__fail(HONE_E_SHAPE, "attention_mask is not shaped like input_ids");
    size_t length = (size_t)ids->dims[1];
    for (size_t b = 0; b < s->batch; b++) {
        bool text = false;
        for (size_t t = b * length; t < (b + 1) * length; t++) {
            text = text || hone__tensor_i64(ids, t) != s->pad;
            mask[t] = given ? (int32_t)hone__tensor_i64(given, t) : text;
        }
    }
    return HONE_OK;
}

/* Runs the encoder and hands the decoder its constant inputs and its states. out: the encoder's outputs. */
static hone_status encode(hone__search *s, const pair *p, int32_t *ids, int32_t *narrow, int64_t *wide,
                          const hone__tensor **out)
{
    const hone__tensor *x = s->r->in[0], *in[3];
    hone__tensor first = {0}, mask = {0}, words = *x;
    size_t length = p->whisper ? 0 : (size_t)x->dims[1], n = s->batch * length, count = 0;
    in[count++] = &words;
    if (!p->whisper) {
        for (size_t i = 0; i < n; i++) narrow[n + i] = (int32_t)hone__tensor_i64(x, i);
        HONE__TRY(read_mask(s, x, narrow));
        words = ints(p->encoder, 0, s->batch, length, narrow + n, wide + n);
        mask = ints(p->encoder, 1, s->batch, length, narrow, wide);
        in[count++] = &mask;
    }
    if (p->old) {
        first = ints(p->encoder, count, s->batch, s->length, ids, wide + 2 * n);
        in[count++] = &first;
    }
    HONE__TRY(s->r->subgraph(s->r, p->encoder, in, count, out, p->encoder->output_count));
    if (!p->whisper) {
        mask = ints(s->decoder, 1, s->batch, length, narrow, wide);
        HONE__TRY(hone__search_feed_rows(s, 1, &mask, 0, NULL));
    }
    if (p->hidden) HONE__TRY(hone__search_feed_rows(s, p->past - 1, out[1], 0, NULL));
    size_t own = 2 * p->layers, from = p->old ? 2 + own : 0;
    for (size_t i = 0; i < own; i++) {
        if (p->old)
            HONE__TRY(hone__search_feed_rows(s, p->past + i, out[2 + i], 0, NULL));
        else
            HONE__TRY(hone__search_feed_empty(s, s->decoder, p->past + i, 0, 2));
        HONE__TRY(hone__search_feed_rows(s, p->past + own + i, out[from + i], 0, NULL));
    }
    return HONE_OK;
}

static hone_status feed_newest(hone__search *s, const pair *p, const hone__beams *b)
{
    size_t cols = p->whole ? b->length : 1;
    return hone__search_feed_ints(s, s->decoder, 0, cols, p->whole ? b->ids : b->next, p->whole ? b->max_length : 1);
}

static hone_status decode(hone__search *s, const pair *p, hone__beams *b)
{
    while (b->length < s->max_length && b->open) {
        HONE__TRY(hone__search_run(s, s->decoder));
        HONE__TRY(hone__beam_step(s, b, s->out[0]));
        if (b->length == s->max_length || !b->open) break;
        HONE__TRY(feed_newest(s, p, b));
        for (size_t i = 0; i < 2 * p->layers; i++)
            HONE__TRY(hone__search_feed_rows(s, p->past + i, s->out[1 + i], 0, b->from));
    }
    return HONE_OK;
}

/* The encoder's states are one per entry: the first beams all come from theirs, whichever row they continue. */
static hone_status search_pair(hone__search *s, const pair *p, hone__beams *b, int32_t *ids, const hone__tensor **out,
                               void **memory)
{
    size_t length = p->whisper ? 0 : (size_t)s->r->in[0]->dims[1], n = 2 * s->batch * length + s->batch * s->length;
    HONE__TRY(hone__search_feeds(s, p->past, 2 * p->layers));
    HONE__TRY(hone__beam_start(s, b, ids, memory));
    int64_t *wide = hone__calloc(n + 1, sizeof *wide + sizeof(int32_t));
    if (!wide) return hone__out_of_memory(n * sizeof *wide);
    hone_status status = encode(s, p, ids, (int32_t *)(wide + n + 1), wide, out);
    hone__free(wide);
    HONE__TRY(status);
    if (p->old) {
        HONE__TRY(hone__beam_step(s, b, out[0]));
        HONE__TRY(feed_newest(s, p, b));
    } else
        HONE__TRY(hone__search_feed_ints(s, s->decoder, 0, b->length, b->ids, b->max_length));
    return decode(s, p, b);
}

static hone_status run_pair(hone__search *s, hone__beams *b, void **memory)
{
    pair p;
    int32_t *ids = NULL;
    HONE__TRY(read_pair(s, &p));
    HONE__TRY(first_ids(s, &p, &ids));
    const hone__tensor **out = hone__calloc(p.encoder->output_count + 1, sizeof *out);
    hone_status status = out ? search_pair(s, &p, b, ids, out, memory) : hone__out_of_memory(p.encoder->output_count);
    hone__free(out);
    hone__free(ids);
    return status;
}

static hone_status hand_out(hone__search *s, hone__beams *b)
{
    int64_t dims[] = {(int64_t)s->batch, (int64_t)s->returned, (int64_t)s->max_length};
    void *ids, *own = NULL, *scores;
    HONE__TRY(make(s->r, SEQUENCES, HONE_I32, 3, dims, &ids));
    HONE__TRY(make(s->r, SEQUENCES_SCORES, HONE_F32, 2, dims, &scores));
    if (!ids && !(ids = own = hone__calloc(s->batch * s->returned, s->max_length * sizeof(int32_t))))
        return hone__out_of_memory(s->max_length);
    hone__beams_finish(b, s->returned, ids, scores);
    hone__free(own);
    return HONE_OK;
}

static hone_status check_wanted(const hone__run *r)
{
    if (wanted(r, CROSS_QK)) return hone__fail(HONE_E_UNSUPPORTED, "output cross_qk");
    if (r->input_count > 13 && r->in[13] && r->in[13]->count)
        return hone__fail(HONE_E_UNSUPPORTED, "input extra_decoding_ids");
    return HONE_OK;
}

static hone_status run_beams(hone__run *r, hone__search_kind kind)
{
    hone__search s;
    hone__beams b;
    void *memory = NULL;
    hone_status status = hone__search_start(&s, r, kind);
    if (status == HONE_OK) status = check_wanted(r);
    bool two = kind == HONE__WHISPER || hone__node_int(r->node, "model_type", 0) == 1;
    if (status == HONE_OK) status = two ? run_pair(&s, &b, &memory) : hone__beam_decoder_only(&s, &b, &memory);
    if (status == HONE_OK) status = hand_out(&s, &b);
    hone__free(memory);
    hone__search_end(&s);
    return status;
}

static hone_status infer_beam(hone__infer *x) { return hone__search_infer(x, HONE__BEAM); }
static hone_status infer_whisper(hone__infer *x) { return hone__search_infer(x, HONE__WHISPER); }
static hone_status run_beam(hone__run *r) { return run_beams(r, HONE__BEAM); }
static hone_status run_whisper(hone__run *r) { return run_beams(r, HONE__WHISPER); }

const hone__op hone__op_ms_beam_search = {
    "com.microsoft", "BeamSearch", infer_beam, NULL, run_beam, HONE__OP_SUBGRAPH | HONE__OP_LATE};
const hone__op hone__op_ms_whisper_beam_search = {
    "com.microsoft", "WhisperBeamSearch", infer_whisper, NULL, run_whisper, HONE__OP_SUBGRAPH | HONE__OP_LATE};
