/* op_ms_multi_head.c: com.microsoft's MultiHeadAttention, and DecoderMaskedMultiHeadAttention: one query per sequence,
 * keys and values in a buffer that beams may share. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "attention.h"
#include "widen.h"

enum { Q = 0, K, V, BIAS, MASK, SCORES_BIAS, PAST_K, PAST_V };

/* How queries, keys and values lie. */
typedef enum form {
    ROWS,       /* [batch, rows, heads * size] each */
    HEADS,      /* keys and values [batch, heads, rows, size] */
    PAIRS,      /* keys and values [batch, rows, heads, 2, size] */
    TRIPLES,    /* all three [batch, rows, heads, 3, size] */
    ONE_BEHIND, /* all three [batch, rows, 3 * heads * size] */
} form;

typedef struct sizes {
    form form;
    int64_t batch, heads, queries, keys, size, v_size, past;
} sizes;

static int64_t split(int64_t d, int64_t parts) { return d < 0 ? -1 : d / parts; }

static int64_t times(int64_t a, int64_t b)
{
    int64_t y;
    return a < 0 || b < 0 || !hone__mul_i64(a, b, &y) ? -1 : y;
}

static hone_status shapes_differ(void) { return hone__fail(HONE_E_SHAPE, "query, key and value do not fit"); }

/* The keys' and values' part of what read_sizes does. */
static hone_status read_keys(const hone__shape *k, const hone__shape *v, sizes *s)
{
    bool fits = v->rank == k->rank;
    if (k->rank == 3) {
        s->form = ROWS, s->keys = k->dims[1], s->v_size = split(v->dims[2], s->heads);
        fits = fits && hone__dims_agree(split(k->dims[2], s->heads), s->size) &&
               hone__dims_agree(v->dims[1], s->keys) && (v->dims[2] < 0 || v->dims[2] % s->heads == 0);
    } else if (k->rank == 4) {
        s->form = HEADS, s->keys = k->dims[2], s->v_size = v->dims[3];
        fits = fits && hone__dims_agree(k->dims[1], s->heads) && hone__dims_agree(v->dims[1], s->heads) &&
               hone__dims_agree(k->dims[3], s->size) && hone__dims_agree(v->dims[2], s->keys);
    } else {
        s->form = PAIRS, s->keys = k->dims[1];
        fits = k->rank == 5 && v->rank < 0 && hone__dims_agree(k->dims[2], s->heads) &&
               hone__dims_agree(k->dims[3], 2) && hone__dims_agree(k->dims[4], s->size);
    }
    fits = fits && hone__dims_agree(k->dims[0], s->batch) && (v->rank < 0 || hone__dims_agree(v->dims[0], s->batch));
    return fits ? HONE_OK : shapes_differ();
}

/* one: an absent key means ONE_BEHIND. Absent inputs have rank -1. */
static hone_status read_sizes(const hone__infer *x, bool one, sizes *s)
{
    const hone__shape *q = &x->in[Q].shape, none = {.rank = -1};
    *s = (sizes){.heads = hone__node_int(x->node, "num_heads", 0)};
    if (s->heads < 1 || s->heads > INT32_MAX) return hone__fail(HONE_E_SHAPE, "num_heads is missing");
    s->batch = q->dims[0], s->queries = q->dims[1];
    if (!hone__has_input(x, K)) {
        if (hone__has_input(x, V)) return hone__fail(HONE_E_SHAPE, "values without keys");
        if (q->rank != (one ? 3 : 5)) return hone__fail(HONE_E_SHAPE, "a query of rank %d without keys", q->rank);
        s->form = one ? ONE_BEHIND : TRIPLES;
        s->keys = s->queries;
        s->size = s->v_size = one ? split(q->dims[2], 3 * s->heads) : q->dims[4];
        if (one ? q->dims[2] >= 0 && q->dims[2] % (3 * s->heads)
                : !hone__dims_agree(q->dims[2], s->heads) || !hone__dims_agree(q->dims[3], 3))
            return shapes_differ();
        return HONE_OK;
    }
    if (q->rank != 3 || (q->dims[2] >= 0 && q->dims[2] % s->heads)) return shapes_differ();
    s->size = s->v_size = split(q->dims[2], s->heads);
    return read_keys(&x->in[K].shape, hone__has_input(x, V) ? &x->in[V].shape : &none, s);
}

static hone_status check_cache(const hone__infer *x, int k, const sizes *s, int64_t *rows)
{
    if (hone__has_input(x, k) != hone__has_input(x, k + 1))
        return hone__fail(HONE_E_SHAPE, "past_key and past_value go together");
    *rows = 0;
    if (!hone__has_input(x, k)) return HONE_OK;
    const hone__shape *a = &x->in[k].shape, *b = &x->in[k + 1].shape;
    *rows = -1;
    if (a->rank < 0 || b->rank < 0) return HONE_OK;
    HONE__TRY(hone__infer_rank(x, k, 4));
    HONE__TRY(hone__infer_rank(x, k + 1, 4));
    *rows = a->dims[2];
    if (hone__dims_agree(a->dims[0], s->batch) && hone__dims_agree(b->dims[0], s->batch) &&
        hone__dims_agree(a->dims[1], s->heads) && hone__dims_agree(b->dims[1], s->heads) &&
        hone__dims_agree(a->dims[2], b->dims[2]) && hone__dims_agree(a->dims[3], s->size) &&
        hone__dims_agree(b->dims[3], s->v_size) && s->form != HEADS)
        return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "past_key or past_value does not fit");
}

static hone_status infer_multi_head(hone__infer *x)
{
    sizes s;
    HONE__TRY(hone__infer_arity(x, 1, 10));
    HONE__TRY(hone__infer_float(x, Q));
    for (int i = 0; i < x->output_count && i < 4; i++) x->out[i].dtype = x->in[Q].dtype;
    for (int i = 8; i < 10; i++)
        if (hone__has_input(x, i)) return hone__fail(HONE_E_UNSUPPORTED, "input %d: beams share no cache here", i);
    for (int i = Q; i <= V; i++)
        if ((i == Q || hone__has_input(x, i)) && x->in[i].shape.rank < 0) return HONE_OK;
    HONE__TRY(read_sizes(x, false, &s));
    HONE__TRY(check_cache(x, PAST_K, &s, &s.past));
    hone_dtype d = x->in[Q].dtype;
    int64_t total = s.past < 0 || s.keys < 0 ? -1 : s.past + s.keys;
    hone__infer_set(x, 0, d, 3, (int64_t[]){s.batch, s.queries, times(s.heads, s.v_size)});
    hone__infer_set(x, 1, d, 4, (int64_t[]){s.batch, s.heads, total, s.size});
    hone__infer_set(x, 2, d, 4, (int64_t[]){s.batch, s.heads, total, s.v_size});
    hone__infer_set(x, 3, d, 4, (int64_t[]){s.batch, s.heads, s.queries, total});
    return HONE_OK;
}

typedef struct plan {
    sizes s;
    hone__attention a;
    bool stage_q, stage_kv; /* copied before use: with their bias, or behind the cache */
    size_t q_at, k_at, v_at, mask_at, work_at;
} plan;

static const hone__tensor *input(const hone__tensor *const *in, int count, int i) { return i < count ? in[i] : NULL; }

static hone_status read_plan(const hone__prepare *p, bool one, int past, plan *q)
{
    hone__type types[16];
    if (p->input_count > 16) return hone__fail(HONE_E_SHAPE, "has %d inputs", p->input_count);
    hone__types_of(p->in, p->input_count, types);
    hone__infer x = {p->node, p->input_count, 0, types, NULL, NULL, 0};
    HONE__TRY(read_sizes(&x, one, &q->s));
    HONE__TRY(check_cache(&x, past, &q->s, &q->s.past));
    const sizes *s = &q->s;
    q->a = (hone__attention){.batch = (size_t)s->batch,
                             .heads = (size_t)s->heads,
                             .kv_heads = (size_t)s->heads,
                             .queries = (size_t)s->queries,
                             .keys = (size_t)(s->past + s->keys),
                             .size = (size_t)s->size,
                             .v_size = (size_t)s->v_size,
                             .left = -1,
                             .right = -1,
                             .offset = s->past,
                             .masked = hone__node_float(p->node, "mask_filter_value", -10000),
                             .beyond = -FLT_MAX,
                             .scores_mode = 2};
    q->a.scale = hone__node_float(p->node, "scale", 0);
    if (q->a.scale == 0) q->a.scale = (float)(1 / sqrt((double)s->size));
    hone__heads y = hone__heads_of(NULL, true, q->a.heads, q->a.queries, q->a.v_size);
    q->a.y_b = y.b, q->a.y_h = y.h, q->a.y_r = y.r;
    return HONE_OK;
}

/* Where queries (0), keys (1) or values (2) lie in the inputs, with their own rows only. */
static hone__heads heads_in(const sizes *s, const hone__tensor *const *in, int which)
{
    size_t heads = (size_t)s->heads, rows = (size_t)(which ? s->keys : s->queries), width = heads * (size_t)s->size,
           size = (size_t)(which == V ? s->v_size : s->size);
    if (s->form == TRIPLES || (s->form == PAIRS && which)) {
        size_t parts = s->form == TRIPLES ? 3 : 2, part = (size_t)which - (s->form == PAIRS);
        const float *data = in[s->form == TRIPLES ? Q : K]->data;
        return (hone__heads){data ? data + part * size : NULL, rows * parts * width, parts * size, parts * width};
    }
    if (s->form == ONE_BEHIND) {
        const float *data = in[Q]->data;
        return (hone__heads){data ? data + (size_t)which * width : NULL, rows * 3 * width, size, 3 * width};
    }
    return hone__heads_of(in[which]->data, which == Q || s->form == ROWS, heads, rows, size);
}

static size_t rounded(size_t bytes) { return bytes / 64 * 64 + 64; }

/* Scratch: staged queries, keys and values, the mask, what the products need. */
static void place(plan *q, const hone__tensor *mask, size_t work, size_t *scratch)
{
    const hone__attention *a = &q->a;
    size_t rows = a->batch * a->heads * a->keys * sizeof(float);
    q->k_at = q->q_at + (q->stage_q ? rounded(a->batch * a->heads * a->queries * a->size * sizeof(float)) : 0);
    q->v_at = q->k_at + (q->stage_kv ? rounded(rows * a->size) : 0);
    q->mask_at = q->v_at + (q->stage_kv ? rounded(rows * a->v_size) : 0);
    q->work_at = q->mask_at + (mask ? hone__attention_mask_bytes(a, mask) : 0);
    *scratch = q->work_at + work;
}

static hone_status prepare_multi_head(hone__prepare *p)
{
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    if (!q) return hone__out_of_memory(sizeof *q);
    HONE__TRY(read_plan(p, false, PAST_K, q));
    hone__attention *a = &q->a;
    a->causal = hone__node_int(p->node, "unidirectional", 0) != 0 && a->queries > 1;
    q->stage_q = input(p->in, p->input_count, BIAS) != NULL;
    q->stage_kv = (q->stage_q && q->s.form != HEADS) || q->s.past > 0;
    a->q = q->stage_q ? hone__heads_of(NULL, false, a->heads, a->queries, a->size) : heads_in(&q->s, p->in, Q);
    a->k = q->stage_kv ? hone__heads_of(NULL, false, a->heads, a->keys, a->size) : heads_in(&q->s, p->in, K);
    a->v = q->stage_kv ? hone__heads_of(NULL, false, a->heads, a->keys, a->v_size) : heads_in(&q->s, p->in, V);
    place(q, input(p->in, p->input_count, MASK), hone__attention_scratch(a, p->threads), &p->scratch);
    p->state = q;
    return HONE_OK;
}

static hone_status check_bias(const hone__tensor *bias, const sizes *s)
{
    size_t want = (size_t)(s->heads * (2 * s->size + s->v_size));
    if (bias && bias->count != want)
        return hone__fail(HONE_E_SHAPE, "the bias has %zu values, expected %zu", bias->count, want);
    return HONE_OK;
}

/* Queries, keys or values with their bias (not keys and values that are split into heads: those have it), behind their
 * cache. */
static void stage(const plan *q, const hone__run *r, int which, int bias, const hone__tensor *past, float *to)
{
    const hone__tensor *b = input(r->in, r->input_count, bias);
    size_t width = (size_t)(q->s.heads * q->s.size);
    hone__joined j = {.now = heads_in(&q->s, r->in, which),
                      .batch = q->a.batch,
                      .heads = q->a.heads,
                      .rows = (size_t)(which ? q->s.keys : q->s.queries),
                      .size = which == V ? q->a.v_size : q->a.size,
                      .bias = b && (which == Q || q->s.form != HEADS) ? (const float *)b->data + (size_t)which * width
                                                                      : NULL};
    if (past) {
        j.before = (size_t)q->s.past;
        j.past = hone__heads_of(past->data, false, j.heads, j.before, j.size);
    }
    hone__heads_join(&j, to);
}

static float *output(const hone__run *r, int i)
{
    return i < r->output_count && r->out[i] ? hone__out_data(r, i) : NULL;
}

/* What is left once queries, keys and values are in place. */
static hone_status attend(hone__run *r, const plan *q, hone__attention *a, int mask, int bias)
{
    const hone__tensor *m = input(r->in, r->input_count, mask), *b = input(r->in, r->input_count, bias);
    uint8_t *scratch = r->scratch;
    hone__tensor allowed;
    if (m) HONE__TRY(hone__attention_mask_ints(a, m, scratch + q->mask_at, &allowed));
    if (b) HONE__TRY(hone__attention_mask_make(a, b, &a->bias));
    a->y = hone__out_data(r, 0);
    a->scores_out = output(r, 3);
    if (r->out[0]->count) hone__attention_run(a, scratch + q->work_at, r->pool);
    return HONE_OK;
}

static hone_status run_multi_head(hone__run *r)
{
    const plan *q = r->state;
    hone__attention a = q->a;
    uint8_t *scratch = r->scratch;
    float *present_k = output(r, 1), *present_v = output(r, 2);
    HONE__TRY(check_bias(input(r->in, r->input_count, BIAS), &q->s));
    if (q->stage_q) stage(q, r, Q, BIAS, NULL, (float *)(scratch + q->q_at));
    if (present_k || q->stage_kv)
        stage(q, r, K, BIAS, input(r->in, r->input_count, PAST_K),
              present_k ? present_k : (float *)(scratch + q->k_at));
    if (present_v || q->stage_kv)
        stage(q, r, V, BIAS, input(r->in, r->input_count, PAST_V),
              present_v ? present_v : (float *)(scratch + q->v_at));
    a.q.data = q->stage_q ? (float *)(scratch + q->q_at) : heads_in(&q->s, r->in, Q).data;
    a.k.data = !q->stage_kv ? heads_in(&q->s, r->in, K).data : present_k ? present_k : (float *)(scratch + q->k_at);
    a.v.data = !q->stage_kv ? heads_in(&q->s, r->in, V).data : present_v ? present_v : (float *)(scratch + q->v_at);
    return attend(r, q, &a, MASK, SCORES_BIAS);
}
HONE__WIDENED_BUT(multi_head, prepare_multi_head, run_multi_head, 1U << MASK)
const hone__op hone__op_ms_multi_head_attention = {"com.microsoft",         "MultiHeadAttention", infer_multi_head,
                                                   wide_prepare_multi_head, wide_run_multi_head,  0};

/* DecoderMaskedMultiHeadAttention: other places for the inputs behind the first three. */
enum { D_MASK = 3, D_SCORES_BIAS, D_PAST_K, D_PAST_V, D_LENGTH, D_BEAMS, D_SOURCES, D_BIAS };

/* Without a cache, keys and values are those of an encoder. */
static hone_status infer_decoder(hone__infer *x)
{
    sizes s;
    int64_t room, past;
    int count;
    HONE__TRY(hone__infer_arity(x, 1, 11));
    HONE__TRY(hone__infer_float(x, Q));
    for (int i = 0; i < x->output_count && i < 4; i++) x->out[i].dtype = x->in[Q].dtype;
    for (int i = Q; i <= V; i++)
        if ((i == Q || hone__has_input(x, i)) && x->in[i].shape.rank < 0) return HONE_OK;
    HONE__TRY(read_sizes(x, true, &s));
    HONE__TRY(check_cache(x, D_PAST_K, &s, &room));
    if (!hone__dims_agree(s.queries, 1) || !hone__dims_agree(s.size, s.v_size) || s.form == PAIRS)
        return hone__fail(HONE_E_UNSUPPORTED, "more than one query, or keys and values of different sizes");
    bool cached = hone__has_input(x, D_PAST_K);
    if (cached && (!hone__node_int(x->node, "past_present_share_buffer", 0) || !hone__has_input(x, D_LENGTH)))
        return hone__fail(HONE_E_UNSUPPORTED, "a cache without past_present_share_buffer and past_sequence_length");
    if (cached && !hone__dims_agree(s.keys, 1)) return hone__fail(HONE_E_SHAPE, "more than one new key");
    bool present = (x->output_count > 1 && x->node->outputs[1]) || (x->output_count > 2 && x->node->outputs[2]);
    if (!cached && (hone__has_input(x, D_SCORES_BIAS) || hone__has_input(x, D_SOURCES) || present))
        return hone__fail(HONE_E_UNSUPPORTED, "a bias of the scores, beams or a new cache without a cache");
    HONE__TRY(hone__infer_ints(x, D_LENGTH, &past, 1, &count));
    hone_dtype d = x->in[Q].dtype;
    hone__infer_set(x, 0, d, 3, (int64_t[]){s.batch, s.queries, times(s.heads, s.v_size)});
    for (int i = 1; i <= 2; i++)
        hone__infer_set(x, i, d, 4, (int64_t[]){s.batch, s.heads, cached ? room : s.keys, s.size});
    int64_t total = !cached ? s.keys : count == 1 && past >= 0 && past < INT32_MAX ? past + 1 : -1;
    hone__infer_set(x, 3, d, 4, (int64_t[]){s.batch, s.heads, 1, total});
    return HONE_OK;
}

static hone_status prepare_decoder(hone__prepare *p)
{
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    if (!q) return hone__out_of_memory(sizeof *q);
    HONE__TRY(read_plan(p, true, D_PAST_K, q));
    hone__attention *a = &q->a;
    bool cached = input(p->in, p->input_count, D_PAST_K) != NULL;
    if (cached) a->keys = (size_t)q->s.past; /* the whole buffer, at most */
    q->stage_q = input(p->in, p->input_count, D_BIAS) != NULL;
    q->stage_kv = cached;
    a->q = q->stage_q ? hone__heads_of(NULL, false, a->heads, 1, a->size) : heads_in(&q->s, p->in, Q);
    a->k = cached ? hone__heads_of(NULL, false, a->heads, a->keys, a->size) : heads_in(&q->s, p->in, K);
    a->v = cached ? a->k : heads_in(&q->s, p->in, V);
    size_t work;
    HONE__TRY(hone__attention_scratch_upto(a, p->threads, &work));
    place(q, input(p->in, p->input_count, D_MASK), work, &p->scratch);
    p->state = q;
    return HONE_OK;
}

/* The buffer with the new row, and what this step reads: the same, or for beams the rows that they come from. */
static const float *gather(const hone__run *r, const plan *q, int which, int64_t past, float *present, float *own)
{
    const hone__tensor *from = r->in[which == K ? D_PAST_K : D_PAST_V], *bias = input(r->in, r->input_count, D_BIAS),
                       *sources = input(r->in, r->input_count, D_SOURCES);
    size_t room = (size_t)q->s.past, size = q->a.size, heads = q->a.heads, beams = 1;
    float *buffer = present ? present : own;
    hone__heads now = heads_in(&q->s, r->in, which);
    if (from->bytes) memcpy(buffer, from->data, from->bytes);
    for (size_t i = 0; i < q->a.batch * heads; i++) {
        float *to = buffer + (i * room + (size_t)past) * size;
        memcpy(to, now.data + i / heads * now.b + i % heads * now.h, size * sizeof *to);
        for (size_t k = 0; bias && k < size; k++)
            to[k] += ((const float *)bias->data)[((size_t)which * heads + i % heads) * size + k];
    }
    if (!sources) return buffer;
    beams = (size_t)sources->dims[1];
    for (size_t i = 0; i < q->a.batch * heads; i++) {
        size_t row = i / heads, first = row / beams * beams, new = (i * room + (size_t)past) * size;
        for (size_t t = 0; t < (size_t)past; t++) {
            size_t source = (first + (size_t)hone__tensor_i64(sources, row * room + t)) * heads + i % heads;
            memcpy(own + (i * room + t) * size, (const float *)from->data + (source * room + t) * size,
                   size * sizeof *own);
        }
        if (own != buffer) memcpy(own + new, buffer + new, size * sizeof *own);
    }
    return own;
}

/* sources [batch / beams, beams, room] name a beam per cached key. */
static hone_status check_beams(const hone__run *r, const plan *q, int64_t past)
{
    const hone__tensor *beams = input(r->in, r->input_count, D_BEAMS), *s = input(r->in, r->input_count, D_SOURCES);
    int64_t width = beams && beams->count ? hone__tensor_i64(beams, 0) : 1;
    if (!s && width > 1) return hone__fail(HONE_E_SHAPE, "beams without cache_indirection");
    if (!s) return HONE_OK;
    if (s->rank != 3 || s->dims[1] < 1 || (beams && s->dims[1] != width) || s->dims[2] != q->s.past ||
        s->dims[0] * s->dims[1] != q->s.batch)
        return hone__fail(HONE_E_SHAPE, "cache_indirection does not fit");
    for (size_t i = 0; i < s->count; i++) {
        int64_t v = hone__tensor_i64(s, i);
        if ((int64_t)i % s->dims[2] < past && (v < 0 || v >= s->dims[1]))
            return hone__fail(HONE_E_ARGUMENT, "beam %lld of %lld", (long long)v, (long long)s->dims[1]);
    }
    return HONE_OK;
}

static hone_status run_decoder(hone__run *r)
{
    const plan *q = r->state;
    hone__attention a = q->a;
    uint8_t *scratch = r->scratch;
    const hone__tensor *length = input(r->in, r->input_count, D_LENGTH);
    int64_t past = length && length->count ? hone__tensor_i64(length, 0) : 0;
    HONE__TRY(check_bias(input(r->in, r->input_count, D_BIAS), &q->s));
    if (q->stage_kv) {
        if (past < 0 || past >= q->s.past)
            return hone__fail(HONE_E_ARGUMENT, "past_sequence_length is %lld of %lld", (long long)past,
                              (long long)q->s.past);
        HONE__TRY(check_beams(r, q, past));
        a.keys = (size_t)past + 1;
        a.k.data = gather(r, q, K, past, output(r, 1), (float *)(scratch + q->k_at));
        a.v.data = gather(r, q, V, past, output(r, 2), (float *)(scratch + q->v_at));
    } else {
        a.k.data = heads_in(&q->s, r->in, K).data;
        a.v.data = heads_in(&q->s, r->in, V).data;
    }
    a.offset = past;
    if (q->stage_q) stage(q, r, Q, D_BIAS, NULL, (float *)(scratch + q->q_at));
    a.q.data = q->stage_q ? (float *)(scratch + q->q_at) : heads_in(&q->s, r->in, Q).data;
    return attend(r, q, &a, D_MASK, D_SCORES_BIAS);
}
HONE__WIDENED_BUT(decoder, prepare_decoder, run_decoder,
                  1U << D_MASK | 1U << D_LENGTH | 1U << D_BEAMS | 1U << D_SOURCES)
const hone__op hone__op_ms_decoder_masked_multi_head_attention = {
    "com.microsoft", "DecoderMaskedMultiHeadAttention", infer_decoder, wide_prepare_decoder, wide_run_decoder, 0};
