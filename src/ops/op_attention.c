/* op_attention.c: Attention (opset 23 to 25: heads in groups, masks, windows, key and value cache) and RotaryEmbedding.
 */
#include <math.h>
#include <string.h>

#include "attention.h"
#include "kernels/attention/attend.h"
#include "widen.h"

enum { Q = 0, K, V, MASK, PAST_K, PAST_V, LENGTHS };

/* Sizes, from shapes that may hold unknown dimensions. */
typedef struct sizes {
    bool packed; /* [batch, rows, heads * size] */
    int64_t batch, heads, kv_heads, queries, keys, past, size, v_size;
} sizes;

static int64_t split(int64_t d, int64_t parts) { return d < 0 || parts < 1 ? -1 : d / parts; }

static int64_t both(int64_t a, int64_t b) { return a < 0 ? b : a; }

static hone_status read_sizes(const hone__infer *x, sizes *s)
{
    const hone__shape *q = &x->in[Q].shape, *k = &x->in[K].shape, *v = &x->in[V].shape;
    *s = (sizes){.packed = q->rank == 3};
    if ((q->rank != 3 && q->rank != 4) || k->rank != q->rank || v->rank != q->rank)
        return hone__fail(HONE_E_SHAPE, "ranks %d, %d and %d of query, key and value", q->rank, k->rank, v->rank);
    s->batch = both(q->dims[0], k->dims[0]);
    if (s->packed) {
        s->heads = hone__node_int(x->node, "q_num_heads", 0);
        s->kv_heads = hone__node_int(x->node, "kv_num_heads", 0);
        if (s->heads < 1 || s->kv_heads < 1) return hone__fail(HONE_E_SHAPE, "q_num_heads or kv_num_heads is missing");
        if ((q->dims[2] >= 0 && q->dims[2] % s->heads) || (k->dims[2] >= 0 && k->dims[2] % s->kv_heads) ||
            (v->dims[2] >= 0 && v->dims[2] % s->kv_heads))
            return hone__fail(HONE_E_SHAPE, "the last axes do not fit %lld and %lld heads", (long long)s->heads,
                              (long long)s->kv_heads);
        s->size = both(split(q->dims[2], s->heads), split(k->dims[2], s->kv_heads));
        s->v_size = split(v->dims[2], s->kv_heads);
        s->queries = q->dims[1], s->keys = both(k->dims[1], v->dims[1]);
        if (!hone__dims_agree(split(q->dims[2], s->heads), split(k->dims[2], s->kv_heads)))
            return hone__fail(HONE_E_SHAPE, "heads of queries and keys differ in size");
    } else {
        s->heads = q->dims[1], s->kv_heads = both(k->dims[1], v->dims[1]);
        s->size = both(q->dims[3], k->dims[3]), s->v_size = v->dims[3];
        s->queries = q->dims[2], s->keys = both(k->dims[2], v->dims[2]);
        if (!hone__dims_agree(q->dims[3], k->dims[3]) || !hone__dims_agree(k->dims[1], v->dims[1]))
            return hone__fail(HONE_E_SHAPE, "heads of queries, keys and values do not fit");
    }
    int row = s->packed ? 1 : 2;
    if (!hone__dims_agree(q->dims[0], k->dims[0]) || !hone__dims_agree(k->dims[0], v->dims[0]) ||
        !hone__dims_agree(k->dims[row], v->dims[row]))
        return hone__fail(HONE_E_SHAPE, "batches or lengths of query, key and value do not fit");
    if (s->heads == 0 || s->kv_heads == 0 || (s->heads > 0 && s->kv_heads > 0 && s->heads % s->kv_heads))
        return hone__fail(HONE_E_SHAPE, "%lld heads in groups of %lld", (long long)s->heads, (long long)s->kv_heads);
    return HONE_OK;
}

static hone_status read_past(const hone__infer *x, sizes *s)
{
    if (hone__has_input(x, PAST_K) != hone__has_input(x, PAST_V))
        return hone__fail(HONE_E_SHAPE, "past_key and past_value go together");
    if (!hone__has_input(x, PAST_K)) return HONE_OK;
    const hone__shape *k = &x->in[PAST_K].shape, *v = &x->in[PAST_V].shape;
    s->past = -1;
    if (k->rank < 0 || v->rank < 0) return HONE_OK;
    HONE__TRY(hone__infer_rank(x, PAST_K, 4));
    HONE__TRY(hone__infer_rank(x, PAST_V, 4));
    if (hone__has_input(x, LENGTHS))
        return hone__fail(HONE_E_SHAPE, "nonpad_kv_seqlen and past_key exclude each other");
    const int64_t want[4] = {s->batch, s->kv_heads, k->dims[2], s->size},
                  want_v[4] = {s->batch, s->kv_heads, k->dims[2], s->v_size};
    for (int i = 0; i < 4; i++)
        if (!hone__dims_agree(k->dims[i], want[i]) || !hone__dims_agree(v->dims[i], want_v[i]))
            return hone__fail(HONE_E_SHAPE, "past_key or past_value does not fit on axis %d", i);
    s->past = k->dims[2];
    return HONE_OK;
}

static hone_status infer_attention(hone__infer *x)
{
    sizes s;
    HONE__TRY(hone__infer_arity(x, 3, 7));
    HONE__TRY(hone__infer_float(x, Q));
    static const int typed[4] = {Q, K, V, V};
    for (int i = 0; i < x->output_count && i < 4; i++)
        x->out[i].dtype = i == 3 ? x->in[Q].dtype : x->in[typed[i]].dtype;
    for (int i = Q; i <= V; i++)
        if (x->in[i].shape.rank < 0) return HONE_OK;
    HONE__TRY(read_sizes(x, &s));
    HONE__TRY(read_past(x, &s));
    if (hone__has_input(x, LENGTHS) && x->in[LENGTHS].shape.rank >= 0 &&
        (x->in[LENGTHS].shape.rank != 1 || !hone__dims_agree(x->in[LENGTHS].shape.dims[0], s.batch)))
        return hone__fail(HONE_E_SHAPE, "nonpad_kv_seqlen does not have one value per sample");
    int64_t total = s.past < 0 || s.keys < 0 ? -1 : s.past + s.keys, width;
    HONE__TRY(hone__dim_mul(s.heads, s.v_size, &width));
    if (s.packed)
        hone__infer_set(x, 0, x->out[0].dtype, 3, (int64_t[]){s.batch, s.queries, width});
    else
        hone__infer_set(x, 0, x->out[0].dtype, 4, (int64_t[]){s.batch, s.heads, s.queries, s.v_size});
    hone__infer_set(x, 1, x->in[K].dtype, 4, (int64_t[]){s.batch, s.kv_heads, total, s.size});
    hone__infer_set(x, 2, x->in[V].dtype, 4, (int64_t[]){s.batch, s.kv_heads, total, s.v_size});
    hone__infer_set(x, 3, x->in[Q].dtype, 4, (int64_t[]){s.batch, s.heads, s.queries, total});
    return HONE_OK;
}

typedef struct plan {
    hone__attention a;
    sizes s;
    bool gather; /* keys and values are put together before use */
    bool tiled;  /* by hone__attend, which holds no matrix of scores */
    hone__attend_args t;
    size_t k_at, v_at, work_at; /* in scratch */
} plan;

/* Neither masks nor lengths nor windows, and nobody wants the scores. */
static bool can_tile(const hone__prepare *p, const hone__attention *a, const sizes *s)
{
    for (int i = MASK; i < p->input_count; i++)
        if (p->in[i] && i != PAST_K && i != PAST_V) return false;
    return a->size == a->v_size && a->keys && a->left < 0 && a->right < 0 && (!a->causal || s->keys == s->queries) &&
           (p->output_count < 4 || !p->out[3]);
}

static void plan_tiles(plan *q)
{
    const hone__attention *a = &q->a;
    q->t = (hone__attend_args){.batch = a->batch,
                               .heads = a->heads,
                               .kv_heads = a->kv_heads,
                               .queries = a->queries,
                               .size = a->size,
                               .q_b = a->q.b,
                               .q_h = a->q.h,
                               .q_r = a->q.r,
                               .kind = HONE__KV_F32,
                               .kv_b = a->k.b,
                               .kv_h = a->k.h,
                               .kv_r = a->k.r,
                               .keys = a->keys,
                               .causal = a->causal,
                               .scale = a->scale,
                               .softcap = a->softcap,
                               .y_b = a->y_b,
                               .y_h = a->y_h,
                               .y_r = a->y_r};
}

static hone_status prepare_attention(hone__prepare *p)
{
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    hone__type types[7];
    if (!q) return hone__out_of_memory(sizeof *q);
    hone__types_of(p->in, p->input_count, types);
    hone__infer x = {p->node, p->input_count, 0, types, NULL, NULL, 0};
    HONE__TRY(read_sizes(&x, &q->s));
    HONE__TRY(read_past(&x, &q->s));
    sizes *s = &q->s;
    hone__attention *a = &q->a;
    *a = (hone__attention){.batch = (size_t)s->batch,
                           .heads = (size_t)s->heads,
                           .kv_heads = (size_t)s->kv_heads,
                           .queries = (size_t)s->queries,
                           .keys = (size_t)(s->keys + s->past),
                           .size = (size_t)s->size,
                           .v_size = (size_t)s->v_size,
                           .masked = -INFINITY,
                           .offset = s->past};
    a->scale = hone__node_float(p->node, "scale", s->size ? (float)(1 / sqrt((double)s->size)) : 1);
    a->softcap = hone__node_float(p->node, "softcap", 0);
    a->causal = hone__node_int(p->node, "is_causal", 0) != 0;
    a->left = hone__node_int(p->node, "left_window_size", -1);
    a->right = hone__node_int(p->node, "right_window_size", -1);
    a->scores_mode = (int)hone__node_int(p->node, "qk_matmul_output_mode", 0);
    if (a->left < -1 || a->right < -1 || a->left > INT32_MAX || a->right > INT32_MAX)
        return hone__fail(HONE_E_SHAPE, "a window of negative or huge size");
    if (p->input_count > MASK && p->in[MASK]) HONE__TRY(hone__attention_mask_make(a, p->in[MASK], &a->mask));
    q->tiled = can_tile(p, a, s);
    q->gather = s->past > 0 || (p->output_count > 1 && p->out[1]) || (p->output_count > 2 && p->out[2]);
    bool packed = s->packed && !q->gather;
    a->q = hone__heads_of(NULL, s->packed, a->heads, a->queries, a->size);
    a->k = hone__heads_of(NULL, packed, a->kv_heads, a->keys, a->size);
    a->v = hone__heads_of(NULL, packed, a->kv_heads, a->keys, a->v_size);
    hone__heads y = hone__heads_of(NULL, s->packed, a->heads, a->queries, a->v_size);
    a->y_b = y.b, a->y_h = y.h, a->y_r = y.r;
    size_t rows = a->batch * a->kv_heads * a->keys;
    q->v_at = q->gather ? rows * a->size * sizeof(float) / 64 * 64 + 64 : 0;
    q->work_at = q->v_at + (q->gather ? rows * a->v_size * sizeof(float) / 64 * 64 + 64 : 0);
    if (q->tiled) plan_tiles(q);
    p->scratch =
        q->work_at + (q->tiled ? hone__attend_scratch(&q->t, p->threads) : hone__attention_scratch(a, p->threads));
    p->state = q;
    return HONE_OK;
}

/* past and new rows of one of keys and values, as [batch, heads, past + rows, size]. */
static void join(const sizes *s, const hone__tensor *past, const hone__tensor *now, size_t size, float *to)
{
    size_t heads = (size_t)s->kv_heads, rows = (size_t)s->keys, before = (size_t)s->past;
    hone__joined j = {.past = hone__heads_of(past ? past->data : NULL, false, heads, before, size),
                      .now = hone__heads_of(now->data, s->packed, heads, rows, size),
                      .batch = (size_t)s->batch,
                      .heads = heads,
                      .before = before,
                      .rows = rows,
                      .size = size};
    hone__heads_join(&j, to);
}

static hone_status run_attention(hone__run *r)
{
    const plan *q = r->state;
    hone__attention a = q->a;
    uint8_t *scratch = r->scratch;
    if (r->input_count > MASK) a.mask.t = r->in[MASK];
    if (r->input_count > LENGTHS && r->in[LENGTHS]) {
        a.lengths = r->in[LENGTHS];
        a.own_offset = true;
        for (size_t i = 0; i < a.lengths->count; i++)
            if (hone__tensor_i64(a.lengths, i) < 0 || hone__tensor_i64(a.lengths, i) > (int64_t)a.keys)
                return hone__fail(HONE_E_ARGUMENT, "nonpad_kv_seqlen[%zu] is %lld of %zu keys", i,
                                  (long long)hone__tensor_i64(a.lengths, i), a.keys);
    }
    a.q.data = r->in[Q]->data, a.k.data = r->in[K]->data, a.v.data = r->in[V]->data;
    if (q->gather) {
        float *k = r->output_count > 1 && r->out[1] ? hone__out_data(r, 1) : (float *)(scratch + q->k_at);
        float *v = r->output_count > 2 && r->out[2] ? hone__out_data(r, 2) : (float *)(scratch + q->v_at);
        join(&q->s, q->s.past ? r->in[PAST_K] : NULL, r->in[K], a.size, k);
        join(&q->s, q->s.past ? r->in[PAST_V] : NULL, r->in[V], a.v_size, v);
        a.k.data = k, a.v.data = v;
    }
    a.y = hone__out_data(r, 0);
    if (q->tiled) {
        hone__attend_args t = q->t;
        t.q = a.q.data, t.k = a.k.data, t.v = a.v.data, t.y = a.y;
        if (r->out[0]->count) hone__attend(&t, scratch + q->work_at, r->pool);
        return HONE_OK;
    }
    a.scores_out = r->output_count > 3 && r->out[3] ? hone__out_data(r, 3) : NULL;
    if (r->out[0]->count || a.scores_out) hone__attention_run(&a, scratch + q->work_at, r->pool);
    return HONE_OK;
}
HONE__WIDENED_BUT(attention, prepare_attention, run_attention, 1U << MASK | 1U << LENGTHS)
const hone__op hone__op_attention = {"", "Attention", infer_attention, wide_prepare_attention, wide_run_attention, 0};

/* RotaryEmbedding: x [batch, heads, rows, size] or [batch, rows, heads * size], cos and sin [rows of the cache, half]
 * with positions [batch, rows], or [batch, rows, half] without. */
static hone_status infer_rotary(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 4));
    HONE__TRY(hone__infer_float(x, 0));
    hone__infer_same(x, 0, 0);
    int rank = x->in[0].shape.rank;
    if (rank >= 0 && rank != 3 && rank != 4)
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 3 or 4", rank);
    if (rank == 3 && hone__node_int(x->node, "num_heads", 0) < 1)
        return hone__fail(HONE_E_SHAPE, "num_heads is missing");
    return HONE_OK;
}

static hone_status run_rotary(hone__run *r)
{
    const hone__tensor *x = r->in[0], *c = r->in[1], *s = r->in[2], *at = r->input_count > 3 ? r->in[3] : NULL;
    bool packed = x->rank == 3, interleaved = hone__node_int(r->node, "interleaved", 0) != 0;
    int64_t declared = hone__node_int(r->node, "rotary_embedding_dim", 0);
    size_t batch = (size_t)x->dims[0],
           heads = packed ? (size_t)hone__node_int(r->node, "num_heads", 1) : (size_t)x->dims[1];
    size_t rows = (size_t)x->dims[packed ? 1 : 2], size = packed ? (size_t)x->dims[2] / heads : (size_t)x->dims[3];
    size_t turned = declared > 0 ? (size_t)declared : size, half = turned / 2;
    if ((packed && (size_t)x->dims[2] % heads) || turned > size || turned % 2)
        return hone__fail(HONE_E_SHAPE, "%zu of %zu values turned", turned, size);
    bool fits =
        c->rank == (at ? 2 : 3) && s->rank == c->rank && s->count == c->count && (size_t)c->dims[c->rank - 1] == half;
    if (fits && !at) fits = (size_t)c->dims[0] == batch && (size_t)c->dims[1] == rows;
    if (fits && at) fits = at->count == batch * rows;
    if (!fits) return hone__fail(HONE_E_SHAPE, "cos and sin caches do not fit");
    for (size_t i = 0; i < batch * heads * rows; i++) {
        size_t b = i / (heads * rows), row = packed ? i / heads % rows : i % rows;
        int64_t k = at ? hone__tensor_i64(at, b * rows + row) : (int64_t)(b * rows + row);
        if (at && (k < 0 || k >= c->dims[0]))
            return hone__fail(HONE_E_ARGUMENT, "position %lld of %lld", (long long)k, (long long)c->dims[0]);
        const float *from = (const float *)x->data + i * size;
        float *to = (float *)hone__out_data(r, 0) + i * size;
        hone__rotate(from, (const float *)c->data + (size_t)k * half, (const float *)s->data + (size_t)k * half, to,
                     size, half, interleaved);
    }
    return HONE_OK;
}
HONE__WIDENED_BUT(rotary, NULL, run_rotary, 1U << 3)
const hone__op hone__op_rotary_embedding = {
    "", "RotaryEmbedding", infer_rotary, wide_prepare_rotary, wide_run_rotary, HONE__OP_INPLACE};

/* com.microsoft's: x [batch, heads, rows, size] or [batch, rows, heads * size], positions [1] (the first one) or
 * [batch, rows], cos and sin [most, half]. */
static hone_status infer_ms_rotary(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 4, 4));
    HONE__TRY(hone__infer_float(x, 0));
    hone__infer_same(x, 0, 0);
    int rank = x->in[0].shape.rank;
    if (rank >= 0 && rank != 3 && rank != 4)
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 3 or 4", rank);
    if (hone__node_int(x->node, "is_packed_batching", 0)) return hone__fail(HONE_E_UNSUPPORTED, "is_packed_batching");
    if (hone__node_float(x->node, "scale", 1) != 1) return hone__fail(HONE_E_UNSUPPORTED, "scale");
    return HONE_OK;
}

static hone_status run_ms_rotary(hone__run *r)
{
    const hone__tensor *x = r->in[0], *at = r->in[1], *c = r->in[2], *s = r->in[3];
    bool packed = x->rank == 3, interleaved = hone__node_int(r->node, "interleaved", 0) != 0;
    int64_t turned = hone__node_int(r->node, "rotary_embedding_dim", 0),
            heads = hone__node_int(r->node, "num_heads", 0);
    size_t half = c->rank == 2 ? (size_t)c->dims[1] : 0, batch = (size_t)x->dims[0],
           rows = (size_t)x->dims[packed ? 1 : 2], width = (size_t)(packed ? x->dims[2] : x->dims[3]);
    size_t size = packed && heads > 0 ? width / (size_t)heads
                  : packed            ? 2 * half
                                      : width,
           count = packed ? width / (size ? size : 1) : (size_t)x->dims[1];
    if (!x->count) return HONE_OK;
    if (!half || s->rank != 2 || s->count != c->count || s->dims[1] != c->dims[1] || 2 * half > size ||
        (packed && width % size) || (turned > 0 && (size_t)turned != 2 * half))
        return hone__fail(HONE_E_SHAPE, "cos_cache or sin_cache does not fit %zu values", size);
    if (at->count != 1 && at->count != batch * rows)
        return hone__fail(HONE_E_SHAPE, "position_ids has %zu values", at->count);
    for (size_t i = 0; i < batch * count * rows; i++) {
        size_t b = i / (count * rows), row = packed ? i / count % rows : i % rows;
        int64_t first = hone__tensor_i64(at, at->count == 1 ? 0 : b * rows + row), most = c->dims[0],
                k = first < 0 || first >= most ? -1
                    : at->count == 1           ? first + (int64_t)row
                                               : first;
        if (k < 0 || k >= most)
            return hone__fail(HONE_E_ARGUMENT, "position %lld of %lld", (long long)k, (long long)most);
        float *to = (float *)hone__out_data(r, 0) + i * size;
        hone__rotate((const float *)x->data + i * size, (const float *)c->data + (size_t)k * half,
                     (const float *)s->data + (size_t)k * half, to, size, half, interleaved);
    }
    return HONE_OK;
}
HONE__WIDENED_BUT(ms_rotary, NULL, run_ms_rotary, 1U << 1)
const hone__op hone__op_ms_rotary_embedding = {"com.microsoft",        "RotaryEmbedding",  infer_ms_rotary,
                                               wide_prepare_ms_rotary, wide_run_ms_rotary, HONE__OP_INPLACE};
