/* op_ms_attention.c: Attention and QAttention of com.microsoft: the projection of queries, keys and values (QAttention:
 * a product of bytes), rotary embedding, a mask of one of several forms, and a cache of keys and values in one tensor
 * that grows or that has room for all (ONNX Runtime's contrib operators). */
#include <math.h>
#include <string.h>

#include "attention.h"
#include "kernels/gemm/gemm.h"
#include "widen.h"

enum { X = 0, WEIGHTS, BIAS };

/* Where the two have what among their inputs; -1: not at all. */
typedef struct places {
    int mask, past, attention_bias, length;
    int x_scale, w_scale, x_zero, w_zero;
} places;

static const places plain = {3, 4, 5, 6, -1, -1, -1, -1}, quantised = {5, 8, -1, -1, 3, 4, 6, 7};

static const hone__tensor *input(const hone__tensor *const *in, int count, int i)
{
    return i >= 0 && i < count ? in[i] : NULL;
}

typedef struct sizes {
    int64_t batch, rows, in, hidden, v_hidden, heads, past; /* past: rows of that tensor */
    bool shared; /* it has room for the new rows; how many it holds is an input */
} sizes;

static bool given(const hone__infer *x, int i) { return hone__has_input(x, i); }

static hone_status read_sizes(const hone__infer *x, const places *at, sizes *s)
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
    s->shared = hone__node_int(x->node, "past_present_share_buffer", 0) != 0 && given(x, at->past);
    if (s->shared && (at->length < 0 || !given(x, at->length)))
        return hone__fail(HONE_E_SHAPE, "past_present_share_buffer without past_sequence_length");
    if (s->hidden != s->v_hidden && (given(x, at->past) || (x->output_count > 1 && x->node->outputs[1])))
        return hone__fail(HONE_E_UNSUPPORTED, "keys and values of different sizes in one cache");
    if (!given(x, at->past)) return HONE_OK;
    const hone__shape *p = &x->in[at->past].shape;
    HONE__TRY(hone__infer_rank(x, at->past, 5));
    s->past = p->rank == 5 ? p->dims[3] : -1;
    if (p->rank == 5 && (!hone__dims_agree(p->dims[0], 2) || !hone__dims_agree(p->dims[1], s->batch) ||
                         !hone__dims_agree(p->dims[2], s->heads) ||
                         (s->hidden >= 0 && !hone__dims_agree(p->dims[4], s->hidden / s->heads))))
        return hone__fail(HONE_E_SHAPE, "past does not fit");
    return HONE_OK;
}

static hone_status infer_sizes(hone__infer *x, const places *at, hone_dtype dtype)
{
    sizes s;
    for (int i = 0; i < x->output_count && i < 2; i++) x->out[i].dtype = dtype;
    if (x->in[X].shape.rank < 0 || x->in[WEIGHTS].shape.rank < 0) return HONE_OK;
    HONE__TRY(read_sizes(x, at, &s));
    hone__infer_set(x, 0, dtype, 3, (int64_t[]){s.batch, s.rows, s.v_hidden});
    int64_t total = s.shared                   ? s.past
                    : s.rows < 0 || s.past < 0 ? -1
                                               : s.rows + s.past,
            size = s.hidden < 0 ? -1 : s.hidden / s.heads;
    hone__infer_set(x, 1, dtype, 5, (int64_t[]){2, s.batch, s.heads, total, size});
    return HONE_OK;
}

static hone_status infer_attention(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 7));
    HONE__TRY(hone__infer_float(x, X));
    return infer_sizes(x, &plain, x->in[X].dtype);
}

static hone_status infer_qattention(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 5, 9));
    for (int i = X; i <= WEIGHTS; i++)
        if (x->in[i].dtype && x->in[i].dtype != HONE_U8 && x->in[i].dtype != HONE_I8)
            return hone__fail(HONE_E_SHAPE, "input %d is %s", i, hone_dtype_name(x->in[i].dtype));
    HONE__TRY(hone__infer_float(x, quantised.x_scale));
    return infer_sizes(x, &quantised, x->in[quantised.x_scale].dtype);
}

typedef struct plan {
    sizes s;
    hone__attention a;
    hone__gemm_f32_args g;
    hone__gemm_i8_args bytes;
    size_t half; /* pairs of values of a head that are turned; 0: none */
    size_t qkv_at, joined_at, mask_at, columns_at, angles_at, work_at;
} plan;

static size_t rounded(size_t bytes) { return bytes / 64 * 64 + 64; }

static void plan_attention(plan *q, const hone__node *n, bool joined)
{
    const sizes *s = &q->s;
    size_t width = (size_t)(2 * s->hidden + s->v_hidden), rows = (size_t)s->rows, heads = (size_t)s->heads;
    hone__attention *a = &q->a;
    *a = (hone__attention){.batch = (size_t)s->batch,
                           .heads = heads,
                           .kv_heads = heads,
                           .queries = rows,
                           .keys = s->shared ? (size_t)s->past : rows + (size_t)s->past,
                           .size = (size_t)s->hidden / heads,
                           .v_size = (size_t)s->v_hidden / heads,
                           .left = -1,
                           .right = -1,
                           .offset = s->past,
                           .masked = hone__node_float(n, "mask_filter_value", -10000),
                           .causal = hone__node_int(n, "unidirectional", 0) != 0};
    a->scale = hone__node_float(n, "scale", 0);
    if (a->scale == 0) a->scale = (float)(1 / sqrt((double)a->size));
    a->q = (hone__heads){NULL, rows * width, a->size, width};
    a->k = joined ? hone__heads_of(NULL, false, heads, a->keys, a->size) : a->q;
    a->v = joined ? hone__heads_of(NULL, false, heads, a->keys, a->v_size)
                  : (hone__heads){NULL, rows * width, a->v_size, width};
    a->y_b = rows * (size_t)s->v_hidden, a->y_h = a->v_size, a->y_r = (size_t)s->v_hidden;
}

static hone_status plan_rotation(plan *q, const hone__node *n)
{
    int64_t size = (int64_t)q->a.size, dim = hone__node_int(n, "rotary_embedding_dim", 0);
    if (!hone__node_int(n, "do_rotary", 0)) return HONE_OK;
    if (!dim) dim = size;
    if (dim < 0 || dim > size || dim % 2)
        return hone__fail(HONE_E_SHAPE, "rotary_embedding_dim is %lld of %lld", (long long)dim, (long long)size);
    q->half = (size_t)dim / 2;
    return HONE_OK;
}

static void plan_product(plan *q, const hone__prepare *p, const places *at)
{
    size_t m = (size_t)(q->s.batch * q->s.rows), n = (size_t)(2 * q->s.hidden + q->s.v_hidden), k = (size_t)q->s.in;
    q->g = (hone__gemm_f32_args){
        .m = m, .n = n, .k = k, .a_rs = k, .a_cs = 1, .b_rs = n, .b_cs = 1, .c_rs = n, .alpha = 1};
    if (at->w_scale < 0) return;
    const hone__tensor *zero = input(p->in, p->input_count, at->w_zero);
    q->bytes = (hone__gemm_i8_args){.m = m,
                                    .n = n,
                                    .k = k,
                                    .a_signed = p->in[X]->dtype == HONE_I8,
                                    .b_signed = p->in[WEIGHTS]->dtype == HONE_I8,
                                    .a_rs = k,
                                    .a_cs = 1,
                                    .b_rs = n,
                                    .b_cs = 1,
                                    .c_rs = n,
                                    .b_zp_per_col = zero && zero->count > 1,
                                    .b_scale_per_col = p->in[at->w_scale]->count > 1};
    q->bytes.c_f32 = (float *)(uintptr_t)64; /* the scratch query may look at which output is wanted */
}

static hone_status prepare(hone__prepare *p, const places *at)
{
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    hone__type types[9];
    if (!q) return hone__out_of_memory(sizeof *q);
    hone__types_of(p->in, p->input_count, types);
    hone__infer x = {p->node, p->input_count, 0, types, NULL, NULL, 0};
    HONE__TRY(read_sizes(&x, at, &q->s));
    const hone__tensor *mask = input(p->in, p->input_count, at->mask);
    bool joined = q->s.past > 0 || (p->output_count > 1 && p->out[1]);
    plan_attention(q, p->node, joined);
    plan_product(q, p, at);
    HONE__TRY(plan_rotation(q, p->node));
    const hone__attention *a = &q->a;
    size_t keys = a->batch * a->heads * a->keys * (a->size + a->v_size), columns = at->w_scale < 0 ? 0 : q->g.n + 1;
    q->joined_at = rounded(q->g.m * q->g.n * sizeof(float));
    q->mask_at = q->joined_at + (joined ? rounded(keys * sizeof(float)) : 0);
    q->columns_at = q->mask_at + (mask ? hone__attention_mask_bytes(a, mask) : 0);
    q->angles_at = q->columns_at + rounded(columns * sizeof(float)) + rounded(columns * sizeof(int32_t));
    q->work_at = q->angles_at + rounded(2 * q->half * sizeof(float));
    size_t gemm = at->w_scale < 0 ? hone__gemm_f32_scratch(&q->g, p->threads)
                                  : hone__gemm_i8_scratch(&q->bytes, p->threads),
           work = hone__attention_scratch(a, p->threads);
    if (q->s.shared) HONE__TRY(hone__attention_scratch_upto(a, p->threads, &work));
    p->scratch = q->work_at + (gemm > work ? gemm : work);
    p->state = q;
    return HONE_OK;
}
static hone_status prepare_attention(hone__prepare *p) { return prepare(p, &plain); }
static hone_status prepare_qattention(hone__prepare *p) { return prepare(p, &quantised); }

/* past's part `which` (0 keys, 1 values) and the new rows behind its first `held`: [batch, heads, a->keys, size]. */
static void join(const plan *q, const hone__tensor *past, size_t which, size_t held, const float *qkv, float *to)
{
    const hone__attention *a = &q->a;
    size_t before = (size_t)q->s.past, half = a->batch * a->heads * before * a->size;
    const float *old = before ? (const float *)past->data + which * half : NULL;
    hone__joined j = {
        .now = a->q, .batch = a->batch, .heads = a->heads, .before = before, .rows = a->queries, .size = a->size};
    j.now.data = qkv + (1 + which) * (size_t)q->s.hidden;
    if (before) j.past = hone__heads_of(old, false, a->heads, before, a->size);
    if (!q->s.shared) {
        hone__heads_join(&j, to);
        return;
    }
    memcpy(to, old, half * sizeof *to);
    for (size_t i = 0; i < a->batch * a->heads * a->queries; i++) {
        size_t row = i % a->queries, head = i / a->queries % a->heads, b = i / a->queries / a->heads;
        memcpy(to + ((b * a->heads + head) * before + held + row) * a->size,
               j.now.data + b * j.now.b + head * j.now.h + row * j.now.r, a->size * sizeof *to);
    }
}

/* Turns queries and keys of rows that follow `held` others: halves of a head are pairs, angles are those of RoFormer
 * (Su et al. 2021). */
static void turn(const plan *q, size_t held, float *qkv, float *angles)
{
    size_t hidden = (size_t)q->s.hidden, width = q->a.q.r, size = q->a.size;
    float *sine = angles + q->half;
    for (size_t i = 0; i < q->a.batch * q->a.queries; i++) {
        for (size_t k = 0; k < q->half; k++) {
            double at = (double)(held + i % q->a.queries) / pow(10000, (double)k / (double)q->half);
            angles[k] = (float)cos(at), sine[k] = (float)sin(at);
        }
        for (size_t h = 0; h < 2 * q->a.heads; h++) {
            float *x = qkv + i * width + h / q->a.heads * hidden + h % q->a.heads * size;
            hone__rotate(x, angles, sine, x, size, q->half, false);
        }
    }
}

/* Rows that the cache holds. */
static hone_status held_rows(const hone__run *r, const plan *q, const places *at, size_t *held)
{
    *held = (size_t)q->s.past;
    if (!q->s.shared) return HONE_OK;
    const hone__tensor *t = r->in[at->length];
    int64_t n = t->count == 1 ? hone__tensor_i64(t, 0) : -1;
    if (n < 0 || n > q->s.past - q->s.rows)
        return hone__fail(HONE_E_ARGUMENT, "past_sequence_length is %lld of %lld", (long long)n, (long long)q->s.past);
    *held = (size_t)n;
    return HONE_OK;
}

/* What follows the projection; scratch begins with it. */
static hone_status attend(hone__run *r, const places *at)
{
    const plan *q = r->state;
    hone__attention a = q->a;
    uint8_t *scratch = r->scratch;
    float *qkv = (float *)scratch, *joined = (float *)(scratch + q->joined_at);
    const hone__tensor *mask = input(r->in, r->input_count, at->mask), *past = input(r->in, r->input_count, at->past),
                       *bias = input(r->in, r->input_count, at->attention_bias);
    hone__tensor allowed;
    bool present = r->output_count > 1 && r->out[1];
    size_t held;
    HONE__TRY(held_rows(r, q, at, &held));
    if (q->half) turn(q, held, qkv, (float *)(scratch + q->angles_at));
    a.q.data = qkv;
    if (q->s.past > 0 || present) {
        float *k = present ? hone__out_data(r, 1) : joined, *v = k + a.batch * a.heads * a.keys * a.size;
        join(q, past, 0, held, qkv, k);
        join(q, past, 1, held, qkv, v);
        a.k.data = k;
        a.v.data = v;
    } else {
        a.k.data = qkv + q->s.hidden;
        a.v.data = qkv + 2 * q->s.hidden;
    }
    if (q->s.shared) {
        a.keys = held + a.queries;
        a.offset = (int64_t)held;
    }
    if (mask) HONE__TRY(hone__attention_mask_ints(&a, mask, scratch + q->mask_at, &allowed));
    if (bias) HONE__TRY(hone__attention_mask_make(&a, bias, &a.bias));
    a.y = hone__out_data(r, 0);
    hone__attention_run(&a, scratch + q->work_at, r->pool);
    return HONE_OK;
}

static hone_status check_count(const hone__tensor *t, size_t one, size_t many, const char *what)
{
    if (!t || t->count == one || t->count == many) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "the %s has %zu values, expected %zu", what, t->count, many);
}

static hone_status run_attention(hone__run *r)
{
    const plan *q = r->state;
    hone__gemm_f32_args g = q->g;
    const hone__tensor *bias = input(r->in, r->input_count, BIAS);
    if (!r->out[0]->count) return HONE_OK;
    HONE__TRY(check_count(bias, g.n, g.n, "bias"));
    g.a = r->in[X]->data;
    g.b = r->in[WEIGHTS]->data;
    g.c = r->scratch;
    if (bias) g.ep.bias = bias->data;
    hone__gemm_f32(&g, (uint8_t *)r->scratch + q->work_at, r->pool);
    return attend(r, &plain);
}

static hone_status run_qattention(hone__run *r)
{
    const plan *q = r->state;
    hone__gemm_i8_args g = q->bytes;
    const hone__tensor *bias = r->in[BIAS], *xs = r->in[quantised.x_scale], *ws = r->in[quantised.w_scale],
                       *xz = input(r->in, r->input_count, quantised.x_zero),
                       *wz = input(r->in, r->input_count, quantised.w_zero);
    uint8_t *scratch = r->scratch;
    float *scales = (float *)(scratch + q->columns_at);
    int32_t *zeros = (int32_t *)(scratch + q->columns_at + rounded((g.n + 1) * sizeof *scales)),
            zero = xz && xz->count ? (int32_t)hone__tensor_i64(xz, 0) : 0;
    if (!r->out[0]->count) return HONE_OK;
    HONE__TRY(check_count(bias, g.n, g.n, "bias"));
    HONE__TRY(check_count(xs, 1, 1, "input's scale"));
    HONE__TRY(check_count(xz, 1, 1, "input's zero point"));
    HONE__TRY(check_count(ws, 1, g.n, "weights' scale"));
    HONE__TRY(check_count(wz, 1, g.n, "weights' zero point"));
    for (size_t i = 0; i < ws->count; i++) scales[i] = (float)(hone__tensor_f64(ws, i) * hone__tensor_f64(xs, 0));
    for (size_t i = 0; wz && i < wz->count; i++) zeros[i] = (int32_t)hone__tensor_i64(wz, i);
    g.a = r->in[X]->data;
    g.b = r->in[WEIGHTS]->data;
    g.c_f32 = r->scratch;
    g.a_zp = &zero;
    g.b_zp = wz ? zeros : NULL;
    g.b_scale = scales;
    g.ep.bias = bias->data;
    hone__gemm_i8(&g, scratch + q->work_at, r->pool);
    return attend(r, &quantised);
}

HONE__WIDENED_BUT(ms_attention, prepare_attention, run_attention, 1U << 3 | 1U << 6)
const hone__op hone__op_ms_attention = {"com.microsoft",           "Attention",           infer_attention,
                                        wide_prepare_ms_attention, wide_run_ms_attention, 0};
HONE__WIDENED_BUT(ms_qattention, prepare_qattention, run_qattention,
                  1U << X | 1U << WEIGHTS | 1U << 5 | 1U << 6 | 1U << 7)
const hone__op hone__op_ms_qattention = {
    "com.microsoft", "QAttention", infer_qattention, wide_prepare_ms_qattention, wide_run_ms_qattention, 0};
