/* op_ms_attention.c: Attention of com.microsoft: the projection of queries, keys and values, a mask of one of several
 * forms, and a cache of keys and values in one tensor (ONNX Runtime's contrib operators). */
#include <math.h>
#include <string.h>

#include "attention.h"
#include "kernels/gemm/gemm.h"
#include "widen.h"

enum { X = 0, WEIGHTS, BIAS, MASK, PAST, ATTENTION_BIAS };

typedef struct sizes {
    int64_t batch, rows, in, hidden, v_hidden, heads, past;
} sizes;

static bool given(const hone__infer *x, int i) { return hone__has_input(x, i); }

static hone_status read_sizes(const hone__infer *x, sizes *s)
{
    const hone__shape *t = &x->in[X].shape, *w = &x->in[WEIGHTS].shape;
    size_t count;
    const int64_t *list = hone__node_ints(x->node, "qkv_hidden_sizes", &count);
    *s = (sizes){.heads = hone__node_int(x->node, "num_heads", 0), .hidden = -1, .v_hidden = -1};
    HONE__TRY(hone__infer_rank(x, X, 3));
    HONE__TRY(hone__infer_rank(x, WEIGHTS, 2));
    s->batch = t->dims[0], s->rows = t->dims[1], s->in = t->dims[2];
    if (list &&
        (count != 3 || list[0] != list[1] || list[0] < 1 || list[2] < 1 || list[0] > INT32_MAX || list[2] > INT32_MAX))
        return hone__fail(HONE_E_SHAPE, "qkv_hidden_sizes makes no sense");
    if (list)
        s->hidden = list[0], s->v_hidden = list[2];
    else if (w->dims[1] >= 0)
        s->hidden = s->v_hidden = w->dims[1] / 3;
    if (w->dims[1] >= 0 && 2 * s->hidden + s->v_hidden != w->dims[1])
        return hone__fail(HONE_E_SHAPE, "the weights have %lld columns", (long long)w->dims[1]);
    if (!hone__dims_agree(s->in, w->dims[0])) return hone__fail(HONE_E_SHAPE, "input and weights do not fit");
    if (s->heads < 1 || (s->hidden >= 0 && (s->hidden % s->heads || s->v_hidden % s->heads)))
        return hone__fail(HONE_E_SHAPE, "%lld values in %lld heads", (long long)s->hidden, (long long)s->heads);
    if (!given(x, PAST)) return HONE_OK;
    const hone__shape *p = &x->in[PAST].shape;
    HONE__TRY(hone__infer_rank(x, PAST, 5));
    if (hone__node_int(x->node, "past_present_share_buffer", 0))
        return hone__fail(HONE_E_UNSUPPORTED, "past_present_share_buffer");
    s->past = p->rank == 5 ? p->dims[3] : -1;
    if (p->rank == 5 && (s->hidden != s->v_hidden || !hone__dims_agree(p->dims[0], 2) ||
                         !hone__dims_agree(p->dims[1], s->batch) || !hone__dims_agree(p->dims[2], s->heads) ||
                         (s->hidden >= 0 && !hone__dims_agree(p->dims[4], s->hidden / s->heads))))
        return hone__fail(HONE_E_SHAPE, "past does not fit");
    return HONE_OK;
}

static hone_status infer_attention(hone__infer *x)
{
    sizes s;
    HONE__TRY(hone__infer_arity(x, 2, 7));
    HONE__TRY(hone__infer_float(x, X));
    if (hone__node_int(x->node, "do_rotary", 0)) return hone__fail(HONE_E_UNSUPPORTED, "do_rotary");
    for (int i = 0; i < x->output_count && i < 2; i++) x->out[i].dtype = x->in[X].dtype;
    if (x->in[X].shape.rank < 0 || x->in[WEIGHTS].shape.rank < 0) return HONE_OK;
    HONE__TRY(read_sizes(x, &s));
    hone__infer_set(x, 0, x->in[X].dtype, 3, (int64_t[]){s.batch, s.rows, s.v_hidden});
    int64_t total = s.rows < 0 || s.past < 0 ? -1 : s.rows + s.past, size = s.hidden < 0 ? -1 : s.hidden / s.heads;
    hone__infer_set(x, 1, x->in[X].dtype, 5, (int64_t[]){2, s.batch, s.heads, total, size});
    return HONE_OK;
}

typedef struct plan {
    sizes s;
    hone__attention a;
    hone__gemm_f32_args g;
    size_t qkv_at, joined_at, mask_at, work_at;
} plan;

static size_t rounded(size_t bytes) { return bytes / 64 * 64 + 64; }

static hone_status prepare_attention(hone__prepare *p)
{
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    hone__type types[8] = {{0}};
    if (!q) return hone__out_of_memory(sizeof *q);
    for (int i = 0; i < p->input_count; i++) {
        if (!p->in[i]) continue;
        types[i].dtype = p->in[i]->dtype;
        types[i].shape.rank = p->in[i]->rank;
        memcpy(types[i].shape.dims, p->in[i]->dims, sizeof p->in[i]->dims);
    }
    hone__infer x = {p->node, p->input_count, 0, types, NULL, NULL, 0};
    HONE__TRY(read_sizes(&x, &q->s));
    const sizes *s = &q->s;
    size_t width = (size_t)(2 * s->hidden + s->v_hidden), batch = (size_t)s->batch, rows = (size_t)s->rows,
           heads = (size_t)s->heads;
    hone__attention *a = &q->a;
    *a = (hone__attention){.batch = batch,
                           .heads = heads,
                           .kv_heads = heads,
                           .queries = rows,
                           .keys = rows + (size_t)s->past,
                           .size = (size_t)s->hidden / heads,
                           .v_size = (size_t)s->v_hidden / heads,
                           .left = -1,
                           .right = -1,
                           .offset = s->past,
                           .masked = hone__node_float(p->node, "mask_filter_value", -10000),
                           .causal = hone__node_int(p->node, "unidirectional", 0) != 0};
    a->scale = hone__node_float(p->node, "scale", 0);
    if (a->scale == 0) a->scale = (float)(1 / sqrt((double)a->size));
    a->q = (hone__heads){NULL, rows * width, a->size, width};
    bool joined = s->past > 0 || (p->output_count > 1 && p->out[1]);
    if (joined) {
        a->k = (hone__heads){NULL, heads * a->keys * a->size, a->keys * a->size, a->size};
        a->v = (hone__heads){NULL, heads * a->keys * a->v_size, a->keys * a->v_size, a->v_size};
    } else {
        a->k = a->q;
        a->v = (hone__heads){NULL, rows * width, a->v_size, width};
    }
    a->y_b = rows * (size_t)s->v_hidden, a->y_h = a->v_size, a->y_r = (size_t)s->v_hidden;
    q->g = (hone__gemm_f32_args){.m = batch * rows,
                                 .n = width,
                                 .k = (size_t)s->in,
                                 .a_rs = (size_t)s->in,
                                 .a_cs = 1,
                                 .b_rs = width,
                                 .b_cs = 1,
                                 .c_rs = width,
                                 .alpha = 1};
    q->joined_at = rounded(batch * rows * width * sizeof(float));
    q->mask_at = q->joined_at + (joined ? rounded(batch * heads * a->keys * (a->size + a->v_size) * sizeof(float)) : 0);
    q->work_at =
        q->mask_at + (p->input_count > MASK && p->in[MASK]
                          ? rounded(p->in[MASK]->count > batch * a->keys ? p->in[MASK]->count : batch * a->keys)
                          : 0);
    size_t gemm = hone__gemm_f32_scratch(&q->g, p->threads), work = hone__attention_scratch(a, p->threads);
    p->scratch = q->work_at + (gemm > work ? gemm : work);
    p->state = q;
    return HONE_OK;
}

/* past's part `which` (0 keys, 1 values) and the new rows, as [batch, heads, past + rows, size]. */
static void join(const plan *q, const hone__tensor *past, int which, const float *qkv, float *to)
{
    const hone__attention *a = &q->a;
    size_t before = (size_t)q->s.past, size = a->size, width = q->g.n, rows = a->queries;
    for (size_t b = 0; b < a->batch; b++)
        for (size_t h = 0; h < a->heads; h++) {
            if (before)
                memcpy(to, (const float *)past->data + (((size_t)which * a->batch + b) * a->heads + h) * before * size,
                       before * size * sizeof *to);
            to += before * size;
            for (size_t i = 0; i < rows; i++, to += size)
                memcpy(to, qkv + (b * rows + i) * width + (size_t)(1 + which) * (size_t)q->s.hidden + h * size,
                       size * sizeof *to);
        }
}

/* The mask as booleans: lengths [B] or ends and starts [2 B], or [B, T], [B, S, T], [B, 1, M, M]. */
static hone_status make_mask(const hone__tensor *m, hone__attention *a, uint8_t *to, hone__tensor *t)
{
    size_t keys = a->keys;
    *t = (hone__tensor){.dtype = HONE_BOOL, .data = to};
    a->mask = (hone__attention_mask){.t = t, .keys = keys};
    if (m->rank == 1 && (m->count == a->batch || m->count == 2 * a->batch)) {
        for (size_t b = 0; b < a->batch; b++)
            for (size_t k = 0; k < keys; k++) {
                int64_t end = hone__tensor_i64(m, b),
                        start = m->count > a->batch ? hone__tensor_i64(m, a->batch + b) : 0;
                to[b * keys + k] = (int64_t)k >= start && (int64_t)k < end;
            }
        a->mask.step[0] = keys;
        a->mask.step[3] = 1;
        return HONE_OK;
    }
    bool two = m->rank == 2 && (size_t)m->dims[0] == a->batch && (size_t)m->dims[1] == keys;
    bool three = m->rank == 3 && (size_t)m->dims[0] == a->batch && (size_t)m->dims[1] == a->queries &&
                 (size_t)m->dims[2] == keys;
    bool four = m->rank == 4 && (size_t)m->dims[0] == a->batch && m->dims[1] == 1 && (size_t)m->dims[2] >= keys &&
                m->dims[2] == m->dims[3];
    if (!two && !three && !four)
        return hone__fail(HONE_E_UNSUPPORTED, "a mask of rank %d and %zu values", m->rank, m->count);
    size_t row = (size_t)m->dims[m->rank - 1], shift = four ? (keys - a->queries) * row : 0;
    t->data = to + shift; /* the square mask's rows of the newest queries */
    for (size_t i = 0; i < m->count; i++) to[i] = hone__tensor_i64(m, i) > 0;
    a->mask.step[0] = two ? keys : three ? a->queries * keys : row * row;
    a->mask.step[2] = two ? 0 : row;
    a->mask.step[3] = 1;
    return HONE_OK;
}

static hone_status run_attention(hone__run *r)
{
    const plan *q = r->state;
    hone__attention a = q->a;
    uint8_t *scratch = r->scratch;
    float *qkv = (float *)scratch, *joined = (float *)(scratch + q->joined_at);
    hone__gemm_f32_args g = q->g;
    hone__tensor mask;
    if (!r->out[0]->count) return HONE_OK;
    g.a = r->in[X]->data;
    g.b = r->in[WEIGHTS]->data;
    g.c = qkv;
    if (r->input_count > BIAS && r->in[BIAS]) {
        if (r->in[BIAS]->count != g.n)
            return hone__fail(HONE_E_SHAPE, "the bias has %zu values, expected %zu", r->in[BIAS]->count, g.n);
        g.ep.bias = r->in[BIAS]->data;
    }
    hone__gemm_f32(&g, scratch + q->work_at, r->pool);
    a.q.data = qkv;
    bool present = r->output_count > 1 && r->out[1];
    if (q->s.past > 0 || present) {
        size_t half = a.batch * a.heads * a.keys * a.size;
        float *k = present ? hone__out_data(r, 1) : joined;
        join(q, r->input_count > PAST ? r->in[PAST] : NULL, 0, qkv, k);
        if (a.size == a.v_size)
            join(q, r->input_count > PAST ? r->in[PAST] : NULL, 1, qkv, k + half);
        else
            return hone__fail(HONE_E_UNSUPPORTED, "a cache with keys and values of different sizes");
        a.k.data = k;
        a.v.data = k + half;
    } else {
        a.k.data = qkv + q->s.hidden;
        a.v.data = qkv + 2 * q->s.hidden;
    }
    if (r->input_count > MASK && r->in[MASK]) HONE__TRY(make_mask(r->in[MASK], &a, scratch + q->mask_at, &mask));
    if (r->input_count > ATTENTION_BIAS && r->in[ATTENTION_BIAS])
        HONE__TRY(hone__attention_mask_make(&a, r->in[ATTENTION_BIAS], &a.bias));
    a.y = hone__out_data(r, 0);
    hone__attention_run(&a, scratch + q->work_at, r->pool);
    return HONE_OK;
}
HONE__WIDENED_BUT(ms_attention, prepare_attention, run_attention, 1U << MASK)
const hone__op hone__op_ms_attention = {"com.microsoft",           "Attention",           infer_attention,
                                        wide_prepare_ms_attention, wide_run_ms_attention, 0};
