/* op_ms_moe.c: com.microsoft's MoE and QMoE: every row goes through the k experts that its router likes best, each a
 * network of two layers or of two side by side and one; QMoE's weights are in 2, 4 or 8 bits. */
#include <math.h>
#include <string.h>

#include "kernels/gemm/gemm.h"
#include "widen.h"

enum { X = 0, ROUTER, FIRST = 0, SECOND, THIRD };

/* Where the two have what among their inputs; -1: not at all. Lists are of the layers. */
typedef struct places {
    int inputs, weights[3], scales[3], bias[3], zeros[3], mixing;
} places;

static const places plain = {8, {2, 4, 6}, {-1, -1, -1}, {3, 5, 7}, {-1, -1, -1}, -1},
                    packed = {15, {2, 5, 8}, {3, 6, 9}, {4, 7, 10}, {11, 12, 13}, 14};

static const hone__tensor *input(const hone__tensor *const *in, int count, int i)
{
    return i >= 0 && i < count ? in[i] : NULL;
}

typedef enum activation { RELU, GELU, SILU, IDENTITY, SWIGLU } activation;

/* y = x . w^T + bias of one expert: w [n, k] */
typedef struct layer {
    int64_t n, k, bits, block; /* bits: 32 where weights are floats; block: of k that share a scale */
} layer;

typedef struct sizes {
    int64_t rows, hidden, experts, inter, picks;
    int fusion; /* 0: a gate of its own in the third layer, if at all; 1: gates between values; 2: gates, then values */
    bool gated;
    activation act;
    float alpha, beta, limit;
    layer layers[3];
} sizes;

static hone_status read_activation(const hone__node *n, sizes *s)
{
    static const char *const names[] = {"relu", "gelu", "silu", "identity", "swiglu"};
    const char *name = hone__node_string(n, "activation_type", "relu");
    int64_t fusion = hone__node_int(n, "swiglu_fusion", 0);
    int i = 0;
    while (i <= SWIGLU && strcmp(name, names[i])) i++;
    if (i > SWIGLU) return hone__fail(HONE_E_UNSUPPORTED, "activation_type '%.20s'", name);
    if (fusion < 0 || fusion > 2) return hone__fail(HONE_E_UNSUPPORTED, "swiglu_fusion %lld", (long long)fusion);
    if (hone__node_int(n, "use_sparse_mixer", 0)) return hone__fail(HONE_E_UNSUPPORTED, "use_sparse_mixer");
    s->act = (activation)i;
    s->fusion = s->act == SWIGLU ? (int)fusion : 0;
    s->alpha = hone__node_float(n, "activation_alpha", 1);
    s->beta = hone__node_float(n, "activation_beta", 0);
    s->limit = hone__node_float(n, "swiglu_limit", INFINITY);
    s->picks = hone__node_int(n, "k", 1);
    return HONE_OK;
}

static hone_status read_bits(const hone__infer *x, const places *at, sizes *s)
{
    static const char *const names[] = {"fc1_expert_weight_bits", "fc2_expert_weight_bits", "fc3_expert_weight_bits"};
    const char *kind = hone__node_string(x->node, "quant_type", "int");
    int64_t block = hone__node_int(x->node, "block_size", 0), bits = hone__node_int(x->node, "expert_weight_bits", 4);
    for (int l = 0; l < 3; l++) s->layers[l].bits = 32;
    if (at->scales[0] < 0) return HONE_OK;
    if (strcmp(kind, "int")) return hone__fail(HONE_E_UNSUPPORTED, "quant_type '%.20s'", kind);
    if (hone__node_int(x->node, "weights_prepacked", -1) == 1)
        return hone__fail(HONE_E_UNSUPPORTED, "weights_prepacked");
    if (block && (block < 16 || block > INT32_MAX || block & (block - 1)))
        return hone__fail(HONE_E_UNSUPPORTED, "block_size %lld", (long long)block);
    for (int l = 0; l < 3; l++) {
        layer *y = &s->layers[l];
        y->bits = hone__node_int(x->node, names[l], bits);
        y->block = block;
        if (y->bits != 2 && y->bits != 4 && y->bits != 8)
            return hone__fail(HONE_E_UNSUPPORTED, "experts of %lld bits", (long long)y->bits);
        if (hone__has_input(x, at->weights[l]) && !hone__has_input(x, at->scales[l]))
            return hone__fail(HONE_E_SHAPE, "input %d is missing", at->scales[l]);
    }
    return HONE_OK;
}

/* The shape of an input that is there must be this one, as far as both are known. */
static hone_status expect(const hone__infer *x, int i, int rank, const int64_t *dims)
{
    if (i < 0 || !hone__has_input(x, i) || x->in[i].shape.rank < 0) return HONE_OK;
    HONE__TRY(hone__infer_rank(x, i, rank));
    for (int d = 0; d < rank; d++)
        if (!hone__dims_agree(x->in[i].shape.dims[d], dims[d]))
            return hone__fail(HONE_E_SHAPE, "input %d has size %lld along axis %d, expected %lld", i,
                              (long long)x->in[i].shape.dims[d], d, (long long)dims[d]);
    return HONE_OK;
}

static int64_t bytes_of(int64_t count, int64_t bits) { return count < 0 ? -1 : (count * bits + 7) / 8; }

static hone_status check_layer(const hone__infer *x, const places *at, const sizes *s, int l)
{
    const layer *y = &s->layers[l];
    int64_t blocks = y->block && y->k >= 0 ? y->k / y->block : -1;
    if (y->bits < 32 && y->k >= 0 && (y->k * y->bits % 8 || (y->block && y->k % y->block)))
        return hone__fail(HONE_E_SHAPE, "rows of %lld weights in %lld bits", (long long)y->k, (long long)y->bits);
    HONE__TRY(
        expect(x, at->weights[l], 3, (int64_t[]){s->experts, y->n, y->bits == 32 ? y->k : bytes_of(y->k, y->bits)}));
    HONE__TRY(expect(x, at->bias[l], 2, (int64_t[]){s->experts, y->n}));
    HONE__TRY(expect(x, at->scales[l], y->block ? 3 : 2, (int64_t[]){s->experts, y->n, blocks}));
    return expect(x, at->zeros[l], y->block ? 3 : 2,
                  (int64_t[]){s->experts, y->block ? y->n : bytes_of(y->n, y->bits), bytes_of(blocks, y->bits)});
}

static hone_status read_sizes(const hone__infer *x, const places *at, sizes *s)
{
    const hone__shape *t = &x->in[X].shape, *router = &x->in[ROUTER].shape, *w = &x->in[at->weights[SECOND]].shape;
    *s = (sizes){.rows = 1, .hidden = -1, .experts = -1, .inter = -1};
    HONE__TRY(read_activation(x->node, s));
    HONE__TRY(read_bits(x, at, s));
    HONE__TRY(hone__infer_rank(x, ROUTER, 2));
    HONE__TRY(hone__infer_rank(x, at->weights[SECOND], 3));
    if (t->rank >= 0 && t->rank != 2 && t->rank != 3) return hone__fail(HONE_E_SHAPE, "the input has rank %d", t->rank);
    for (int d = 0; d + 1 < t->rank; d++) HONE__TRY(hone__dim_mul(s->rows, t->dims[d], &s->rows));
    if (t->rank < 0) s->rows = -1;
    if (t->rank > 0) s->hidden = t->dims[t->rank - 1];
    if (router->rank == 2) s->experts = router->dims[1];
    if (router->rank == 2 && !hone__dims_agree(router->dims[0], s->rows))
        return hone__fail(HONE_E_SHAPE, "router_probs has %lld rows for %lld", (long long)router->dims[0],
                          (long long)s->rows);
    if (w->rank == 3 && w->dims[2] >= 0)
        s->inter = s->layers[SECOND].bits == 32 ? w->dims[2] : w->dims[2] * 8 / s->layers[SECOND].bits;
    if (s->picks < 1 || (s->experts >= 0 && s->picks > s->experts))
        return hone__fail(HONE_E_ARGUMENT, "k is %lld of %lld experts", (long long)s->picks, (long long)s->experts);
    s->gated = hone__has_input(x, at->weights[THIRD]);
    if (s->gated && s->fusion) return hone__fail(HONE_E_SHAPE, "a third layer beside a fused one");
    if (s->act == SWIGLU && !s->fusion && !s->gated) return hone__fail(HONE_E_SHAPE, "swiglu without a third layer");
    layer *y = s->layers;
    y[FIRST].n = s->fusion && s->inter >= 0 ? 2 * s->inter : s->inter, y[FIRST].k = s->hidden;
    y[SECOND].n = s->hidden, y[SECOND].k = s->inter;
    y[THIRD].n = s->inter, y[THIRD].k = s->hidden;
    for (int l = 0; l < 3; l++) HONE__TRY(check_layer(x, at, s, l));
    return expect(x, at->mixing, 2, (int64_t[]){s->rows, s->experts});
}

static hone_status infer_experts(hone__infer *x, const places *at)
{
    sizes s;
    HONE__TRY(hone__infer_arity(x, 2, x->input_count));
    for (int l = FIRST; l <= SECOND; l++)
        if (!hone__has_input(x, at->weights[l])) return hone__fail(HONE_E_SHAPE, "input %d is missing", at->weights[l]);
    for (int i = at->inputs; i < x->input_count; i++)
        if (hone__has_input(x, i)) return hone__fail(HONE_E_UNSUPPORTED, "input %d", i);
    HONE__TRY(hone__infer_float(x, X));
    HONE__TRY(hone__infer_float(x, ROUTER));
    for (int l = 0; l < 3; l++) {
        hone_dtype w = hone__has_input(x, at->weights[l]) ? x->in[at->weights[l]].dtype : HONE_UNDEFINED;
        if (w && (at->scales[0] < 0 ? !hone__dtype_is_float(w) : w != HONE_U8))
            return hone__fail(HONE_E_SHAPE, "input %d is %s", at->weights[l], hone_dtype_name(w));
    }
    HONE__TRY(read_sizes(x, at, &s));
    hone__infer_same(x, 0, X);
    return HONE_OK;
}

typedef struct plan {
    sizes s;
    const places *at;
    /* scratch: who goes where; rows of one expert at each stage; weights as floats; what products need */
    size_t weight_at, first_at, third_at, y_at, dense_at, work_at;
} plan;

static hone__gemm_f32_args product(const layer *y, size_t rows)
{
    size_t n = (size_t)y->n, k = (size_t)y->k;
    return (hone__gemm_f32_args){
        .m = rows, .n = n, .k = k, .a_rs = k, .a_cs = 1, .b_rs = 1, .b_cs = k, .c_rs = n, .alpha = 1};
}

static bool add_floats(size_t *at, int64_t a, int64_t b)
{
    size_t count, bytes;
    return hone__mul_size((size_t)a, (size_t)b, &count) && hone__mul_size(count, sizeof(float), &bytes) &&
           bytes < SIZE_MAX / 64 && hone__add_size(*at, bytes / 64 * 64 + 64, at);
}

static hone_status prepare(hone__prepare *p, const places *at)
{
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    hone__type types[32];
    if (!q) return hone__out_of_memory(sizeof *q);
    if (p->input_count > 32) return hone__fail(HONE_E_SHAPE, "has %d inputs", p->input_count);
    hone__types_of(p->in, p->input_count, types);
    hone__infer x = {p->node, p->input_count, 0, types, NULL, NULL, 0};
    HONE__TRY(read_sizes(&x, at, &q->s));
    const sizes *s = &q->s;
    size_t end = 0, most = 0;
    int64_t widest = s->layers[FIRST].n * s->hidden > s->hidden * s->inter ? s->layers[FIRST].n : s->inter;
    q->at = at;
    if (s->rows > 1 << 22) return hone__fail(HONE_E_LIMIT, "%lld rows", (long long)s->rows);
    bool ok = add_floats(&end, s->rows, s->experts); /* the weight of every expert for every row, 0: none */
    q->weight_at = end, ok = ok && add_floats(&end, s->rows, s->hidden);
    q->first_at = end, ok = ok && add_floats(&end, s->rows, s->layers[FIRST].n);
    q->third_at = end, ok = ok && add_floats(&end, s->gated ? s->rows : 0, s->inter);
    q->y_at = end, ok = ok && add_floats(&end, s->rows, s->hidden);
    q->dense_at = end, ok = ok && add_floats(&end, at->scales[0] < 0 ? 0 : widest, s->hidden);
    if (!ok) return hone__fail(HONE_E_LIMIT, "scratch is over 2^58 bytes");
    q->work_at = end;
    for (int64_t m = 1; m <= s->rows; m++)
        for (int l = 0; l < 3; l++) {
            hone__gemm_f32_args g = product(&s->layers[l], (size_t)m);
            size_t need = hone__gemm_f32_scratch(&g, p->threads);
            if (need > most) most = need;
        }
    p->scratch = end + most;
    p->state = q;
    return HONE_OK;
}

static int bits_at(const uint8_t *p, size_t i, size_t bits)
{
    return p[i * bits / 8] >> (i * bits % 8) & ((1 << bits) - 1);
}

/* One expert's weights in bits as floats. */
static void unpack(const hone__run *r, const plan *q, int l, size_t expert, float *to)
{
    const layer *y = &q->s.layers[l];
    const hone__tensor *w = r->in[q->at->weights[l]], *scales = r->in[q->at->scales[l]],
                       *zeros = input(r->in, r->input_count, q->at->zeros[l]);
    size_t n = (size_t)y->n, k = (size_t)y->k, bits = (size_t)y->bits, blocks = y->block ? k / (size_t)y->block : 1;
    size_t block = y->block ? (size_t)y->block : k, row_bytes = k * bits / 8;
    const uint8_t *rows = (const uint8_t *)w->data + expert * n * row_bytes;
    const float *scale = (const float *)scales->data + expert * n * blocks;
    const uint8_t *zero = zeros ? (const uint8_t *)zeros->data + expert * (zeros->bytes / (size_t)q->s.experts) : NULL;
    size_t zero_bytes = (blocks * bits + 7) / 8;
    for (size_t i = 0; i < n; i++, rows += row_bytes)
        for (size_t c = 0; c < k; c++) {
            size_t b = c / block;
            int none = !zero      ? 1 << (bits - 1)
                       : y->block ? bits_at(zero + i * zero_bytes, b, bits)
                                  : bits_at(zero, i, bits);
            *to++ = (float)(bits_at(rows, c, bits) - none) * scale[i * blocks + b];
        }
}

static void run_layer(const hone__run *r, const plan *q, int l, size_t expert, const float *x, size_t rows, float *y)
{
    const layer *shape = &q->s.layers[l];
    hone__gemm_f32_args g = product(shape, rows);
    const hone__tensor *bias = input(r->in, r->input_count, q->at->bias[l]);
    uint8_t *scratch = r->scratch;
    g.a = x;
    g.c = y;
    if (shape->bits < 32) {
        unpack(r, q, l, expert, (float *)(scratch + q->dense_at));
        g.b = (const float *)(scratch + q->dense_at);
    } else
        g.b = (const float *)r->in[q->at->weights[l]]->data + expert * g.n * g.k;
    if (bias) g.ep.bias = (const float *)bias->data + expert * g.n;
    hone__gemm_f32(&g, scratch + q->work_at, r->pool);
}

static float bend(const sizes *s, float x)
{
    switch (s->act) {
    case RELU: return x > 0 ? x : 0;
    case GELU: return 0.5F * x * (1 + tanhf(0.7978845608F * (x + 0.044715F * x * x * x)));
    case SILU: return x / (1 + expf(-x));
    default: return x;
    }
}

static float swiglu(const sizes *s, float gate, float value)
{
    gate = fminf(gate, s->limit);
    value = fminf(fmaxf(value, -s->limit), s->limit);
    return gate / (1 + expf(-s->alpha * gate)) * (value + s->beta);
}

/* The first layer's rows, through the activation: in place, row i at x + i * inter. */
static void activate(const sizes *s, float *x, const float *third, size_t rows)
{
    size_t inter = (size_t)s->inter, wide = (size_t)s->layers[FIRST].n;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < inter; j++) {
            const float *row = x + i * wide;
            float *to = x + i * inter + j, other = third ? third[i * inter + j] : 1;
            if (s->fusion == 1)
                *to = swiglu(s, row[2 * j], row[2 * j + 1]);
            else if (s->fusion == 2)
                *to = swiglu(s, row[j], row[inter + j]);
            else if (s->act == SWIGLU)
                *to = swiglu(s, row[j], other);
            else
                *to = third ? bend(s, row[j]) * other : bend(s, row[j]);
        }
}

static void run_expert(const hone__run *r, const plan *q, size_t expert, const float *weights)
{
    const sizes *s = &q->s;
    uint8_t *scratch = r->scratch;
    size_t hidden = (size_t)s->hidden, rows = 0;
    float *x = (float *)(scratch + q->weight_at), *first = (float *)(scratch + q->first_at),
          *third = s->gated ? (float *)(scratch + q->third_at) : NULL, *y = (float *)(scratch + q->y_at),
          *out = hone__out_data(r, 0);
    for (size_t i = 0; i < (size_t)s->rows; i++)
        if (weights[i * (size_t)s->experts + expert] != 0)
            memcpy(x + rows++ * hidden, (const float *)r->in[X]->data + i * hidden, hidden * sizeof *x);
    if (!rows) return;
    run_layer(r, q, FIRST, expert, x, rows, first);
    if (third) run_layer(r, q, THIRD, expert, x, rows, third);
    activate(s, first, third, rows);
    run_layer(r, q, SECOND, expert, first, rows, y);
    for (size_t i = 0; i < (size_t)s->rows; i++) {
        float w = weights[i * (size_t)s->experts + expert];
        if (w == 0) continue;
        for (size_t k = 0; k < hidden; k++) out[i * hidden + k] += w * y[k];
        y += hidden;
    }
}

/* A row's weights: probabilities of the `picks` greatest scores, or what `mixing` says of those; the rest is 0. */
static void route(const sizes *s, const float *scores, const float *mixing, bool normal, float *to)
{
    size_t n = (size_t)s->experts;
    float most = -INFINITY, all = 0, sum = 0;
    for (size_t e = 0; e < n; e++) most = fmaxf(most, scores[e]);
    for (size_t e = 0; e < n; e++) all += expf(scores[e] - most);
    memset(to, 0, n * sizeof *to);
    for (int64_t k = 0; k < s->picks; k++) {
        size_t best = n;
        for (size_t e = 0; e < n; e++)
            if (to[e] == 0 && (best == n || scores[e] >= scores[best])) best = e;
        if (best == n) break;
        to[best] = 1;
    }
    for (size_t e = 0; e < n; e++) {
        if (to[e] != 0) to[e] = mixing ? fmaxf(mixing[e], 0) : expf(scores[e] - most) / all;
        sum += to[e];
    }
    for (size_t e = 0; normal && e < n; e++)
        if (sum != 0) to[e] /= sum;
}

static hone_status run(hone__run *r)
{
    const plan *q = r->state;
    const sizes *s = &q->s;
    const hone__tensor *mixing = input(r->in, r->input_count, q->at->mixing);
    size_t n = (size_t)s->experts;
    float *weights = r->scratch;
    bool own = q->at->scales[0] >= 0 && !mixing; /* QMoE's probabilities are always those among the picked */
    bool normal = own || hone__node_int(r->node, "normalize_routing_weights", 0) != 0;
    if (!r->out[0]->count) return HONE_OK;
    memset(hone__out_data(r, 0), 0, r->out[0]->bytes);
    for (size_t i = 0; i < (size_t)s->rows; i++)
        route(s, (const float *)r->in[ROUTER]->data + i * n, mixing ? (const float *)mixing->data + i * n : NULL,
              normal, weights + i * n);
    for (size_t e = 0; e < n; e++) run_expert(r, q, e, weights);
    return HONE_OK;
}

static hone_status infer_moe(hone__infer *x) { return infer_experts(x, &plain); }
static hone_status infer_qmoe(hone__infer *x) { return infer_experts(x, &packed); }
static hone_status prepare_moe(hone__prepare *p) { return prepare(p, &plain); }
static hone_status prepare_qmoe(hone__prepare *p) { return prepare(p, &packed); }

HONE__WIDENED(ms_moe, prepare_moe, run)
const hone__op hone__op_ms_moe = {"com.microsoft", "MoE", infer_moe, wide_prepare_ms_moe, wide_run_ms_moe, 0};
HONE__WIDENED_BUT(ms_qmoe, prepare_qmoe, run, 1U << 2 | 1U << 5 | 1U << 8 | 1U << 11 | 1U << 12 | 1U << 13)
const hone__op hone__op_ms_qmoe = {"com.microsoft", "QMoE", infer_qmoe, wide_prepare_ms_qmoe, wide_run_ms_qmoe, 0};
