/* op_flex_attention.c: FlexAttention of ai.onnx.preview: attention whose scores and probabilities pass through
 * subgraphs. In double between the steps; scores and probabilities have the type that softmax_precision says. */
#include <math.h>
#include <string.h>

#include "subgraph.h"

enum { Q = 0, K, V };

static hone_status infer_flex(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 3));
    HONE__TRY(hone__infer_float(x, Q));
    const hone__shape *q = &x->in[Q].shape, *k = &x->in[K].shape, *v = &x->in[V].shape;
    for (int i = Q; i <= V; i++) HONE__TRY(hone__infer_rank(x, i, 4));
    x->out[0].dtype = x->in[Q].dtype;
    if (q->rank < 0 || k->rank < 0 || v->rank < 0) return HONE_OK;
    bool fits = hone__dims_agree(q->dims[0], k->dims[0]) && hone__dims_agree(k->dims[0], v->dims[0]) &&
                hone__dims_agree(q->dims[3], k->dims[3]) && hone__dims_agree(k->dims[1], v->dims[1]) &&
                hone__dims_agree(k->dims[2], v->dims[2]);
    if (q->dims[1] >= 0 && k->dims[1] >= 0 && (!k->dims[1] || q->dims[1] % k->dims[1])) fits = false;
    if (!fits) return hone__fail(HONE_E_SHAPE, "query, key and value do not fit");
    hone__infer_set(x, 0, x->in[Q].dtype, 4, (int64_t[]){q->dims[0], q->dims[1], q->dims[2], v->dims[3]});
    return HONE_OK;
}

/* Scores, then probabilities: [batch, heads, queries, keys] */
static void products(const hone__run *r, hone__tensor *s)
{
    const hone__tensor *q = r->in[Q], *k = r->in[K];
    size_t heads = (size_t)s->dims[1], rows = (size_t)s->dims[2], keys = (size_t)s->dims[3], size = (size_t)q->dims[3];
    size_t groups = (size_t)k->dims[1];
    double scale = hone__node_float(r->node, "scale", (float)(1 / sqrt((double)size)));
    for (size_t i = 0; i < s->count; i++) {
        size_t key = i % keys, row = i / keys, b = row / rows / heads, h = row / rows % heads;
        size_t from = (b * groups + h / (heads / groups)) * keys + key;
        double sum = 0;
        for (size_t c = 0; c < size; c++)
            sum += hone__tensor_f64(q, row * size + c) * hone__tensor_f64(k, from * size + c);
        hone__element_set_f64(s->dtype, (void *)(uintptr_t)s->data, i, sum * scale);
    }
}

static void softmax(hone__tensor *s)
{
    size_t keys = (size_t)s->dims[3];
    void *data = (void *)(uintptr_t)s->data;
    for (size_t row = 0; s->count && row < s->count / keys; row++) {
        double peak = -INFINITY, sum = 0;
        for (size_t i = row * keys; i < (row + 1) * keys; i++) {
            double v = hone__tensor_f64(s, i);
            if (v > peak || v != v) peak = v;
        }
        for (size_t i = row * keys; i < (row + 1) * keys; i++) sum += exp(hone__tensor_f64(s, i) - peak);
        for (size_t i = row * keys; i < (row + 1) * keys; i++)
            hone__element_set_f64(s->dtype, data, i, exp(hone__tensor_f64(s, i) - peak) / sum);
    }
}

/* Passes s through a subgraph, if there is one. */
static hone_status modify(hone__run *r, const char *name, hone__keep *s)
{
    hone__graph *g = hone__node_graph(r->node, name);
    const hone__tensor *in[1] = {&s->t}, *out[1];
    if (!g) return HONE_OK;
    if (g->input_count != 1 || g->output_count != 1)
        return hone__fail(HONE_E_SHAPE, "%s does not have one input and one output", name);
    HONE__TRY(r->subgraph(r, g, in, 1, out, 1));
    bool same = out[0]->dtype == s->t.dtype && out[0]->rank == s->t.rank;
    for (int i = 0; same && i < s->t.rank; i++) same = out[0]->dims[i] == s->t.dims[i];
    if (!same) return hone__fail(HONE_E_SHAPE, "%s changes type or shape", name);
    if (out[0]->data != s->t.data && s->t.bytes) memcpy((void *)(uintptr_t)s->t.data, out[0]->data, s->t.bytes);
    return HONE_OK;
}

static void values(const hone__run *r, const hone__tensor *s)
{
    const hone__tensor *v = r->in[V], *y = r->out[0];
    size_t heads = (size_t)s->dims[1], rows = (size_t)s->dims[2], keys = (size_t)s->dims[3], size = (size_t)v->dims[3];
    size_t groups = (size_t)v->dims[1];
    for (size_t i = 0; i < y->count; i++) {
        size_t c = i % size, row = i / size, b = row / rows / heads, h = row / rows % heads;
        size_t from = (b * groups + h / (heads / groups)) * keys;
        double sum = 0;
        for (size_t key = 0; key < keys; key++)
            sum += hone__tensor_f64(s, row * keys + key) * hone__tensor_f64(v, (from + key) * size + c);
        hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, sum);
    }
}

static hone_status run_flex(hone__run *r)
{
    const hone__tensor *q = r->in[Q], *k = r->in[K];
    int64_t type = hone__node_int(r->node, "softmax_precision", q->dtype == HONE_F64 ? HONE_F64 : HONE_F32);
    if (type != HONE_F32 && type != HONE_F64 && type != HONE_F16 && type != HONE_BF16)
        return hone__fail(HONE_E_UNSUPPORTED, "softmax_precision %lld", (long long)type);
    hone__keep s = {
        .t = {.dtype = (hone_dtype)type, .rank = 4, .dims = {q->dims[0], q->dims[1], q->dims[2], k->dims[2]}}};
    HONE__TRY(hone__shape_bytes(s.t.dtype, 4, s.t.dims, &s.t.count, &s.t.bytes));
    void *data = hone__malloc(s.t.bytes + 1);
    if (!data) return hone__out_of_memory(s.t.bytes);
    s.t.data = data;
    products(r, &s.t);
    hone_status status = modify(r, "score_mod", &s);
    if (status == HONE_OK) {
        softmax(&s.t);
        status = modify(r, "prob_mod", &s);
    }
    if (status == HONE_OK) values(r, &s.t);
    hone__free(data);
    return status;
}
const hone__op hone__op_preview_flex_attention = {"ai.onnx.preview", "FlexAttention",  infer_flex, NULL,
                                                  run_flex,          HONE__OP_SUBGRAPH};
