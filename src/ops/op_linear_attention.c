/* op_linear_attention.c: operators of models with a running state instead of a key and value cache: LinearAttention,
 * CausalConvWithState; and SwiGLU. float32, other floats through it. */
#include <math.h>
#include <string.h>

#include "kernels/vec/vec.h"
#include "widen.h"

enum { QUERY = 0, KEY, VALUE, STATE, DECAY, BETA };

static hone_status infer_linear_attention(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 6));
    HONE__TRY(hone__infer_float(x, 0));
    int64_t heads = hone__node_int(x->node, "q_num_heads", 0), groups = hone__node_int(x->node, "kv_num_heads", 0),
            width = -1;
    const hone__shape *q = &x->in[QUERY].shape, *k = &x->in[KEY].shape, *v = &x->in[VALUE].shape;
    const char *rule = hone__node_string(x->node, "update_rule", "gated_delta");
    bool gated = strstr(rule, "gated") != NULL, delta = strstr(rule, "delta") != NULL;
    if (heads < 1 || groups < 1 || heads % groups)
        return hone__fail(HONE_E_SHAPE, "%lld heads in groups of %lld", (long long)heads, (long long)groups);
    if (gated != hone__has_input(x, DECAY) || delta != hone__has_input(x, BETA))
        return hone__fail(HONE_E_SHAPE, "decay or beta does not fit update_rule '%.20s'", rule);
    for (int i = QUERY; i <= VALUE; i++) HONE__TRY(hone__infer_rank(x, i, 3));
    x->out[0].dtype = x->in[QUERY].dtype;
    if (x->output_count > 1) x->out[1].dtype = hone__has_input(x, STATE) ? x->in[STATE].dtype : x->in[QUERY].dtype;
    if (q->rank < 0 || k->rank < 0 || v->rank < 0) return HONE_OK;
    if ((q->dims[2] >= 0 && q->dims[2] % heads) || (k->dims[2] >= 0 && k->dims[2] % groups) ||
        (v->dims[2] >= 0 && v->dims[2] % groups))
        return hone__fail(HONE_E_SHAPE, "the last axes do not fit the heads");
    int64_t size = k->dims[2] < 0 ? -1 : k->dims[2] / groups, v_size = v->dims[2] < 0 ? -1 : v->dims[2] / groups;
    for (int i = 0; i < 2; i++)
        if (!hone__dims_agree(q->dims[i], k->dims[i]) || !hone__dims_agree(q->dims[i], v->dims[i]))
            return hone__fail(HONE_E_SHAPE, "query, key and value do not fit on axis %d", i);
    if (size >= 0 && q->dims[2] >= 0 && q->dims[2] / heads != size)
        return hone__fail(HONE_E_SHAPE, "heads of queries and keys differ in size");
    HONE__TRY(hone__dim_mul(heads, v_size, &width));
    hone__infer_set(x, 0, x->out[0].dtype, 3, (int64_t[]){q->dims[0], q->dims[1], width});
    if (x->output_count > 1) hone__infer_set(x, 1, x->out[1].dtype, 4, (int64_t[]){q->dims[0], groups, size, v_size});
    return HONE_OK;
}

static hone_status prepare_linear_attention(hone__prepare *p)
{
    size_t groups = (size_t)hone__node_int(p->node, "kv_num_heads", 1), size = (size_t)p->in[KEY]->dims[2] / groups,
           v_size = (size_t)p->in[VALUE]->dims[2] / groups;
    p->scratch = (size * v_size + v_size) * sizeof(float);
    return HONE_OK;
}

/* One step of one group: state [size, v_size] updated with key k and value v. */
static void update(float *state, float *held, const float *k, const float *v, const float *decay, size_t decays,
                   const float *beta, size_t size, size_t v_size)
{
    for (size_t i = 0; decay && i < size; i++) {
        float f = expf(decay[decays > 1 ? i : 0]);
        for (size_t j = 0; j < v_size; j++) state[i * v_size + j] *= f;
    }
    memcpy(held, v, v_size * sizeof *held);
    if (beta) { /* only what the state does not tell yet */
        for (size_t i = 0; i < size; i++)
            for (size_t j = 0; j < v_size; j++) held[j] -= state[i * v_size + j] * k[i];
        for (size_t j = 0; j < v_size; j++) held[j] *= *beta;
    }
    for (size_t i = 0; i < size; i++)
        for (size_t j = 0; j < v_size; j++) state[i * v_size + j] += k[i] * held[j];
}

static hone_status run_linear_attention(hone__run *r)
{
    const hone__tensor *q = r->in[QUERY], *k = r->in[KEY], *v = r->in[VALUE];
    const hone__tensor *past = r->input_count > STATE ? r->in[STATE] : NULL,
                       *decay = r->input_count > DECAY ? r->in[DECAY] : NULL,
                       *beta = r->input_count > BETA ? r->in[BETA] : NULL;
    size_t heads = (size_t)hone__node_int(r->node, "q_num_heads", 1),
           groups = (size_t)hone__node_int(r->node, "kv_num_heads", 1);
    size_t batch = (size_t)q->dims[0], steps = (size_t)q->dims[1], size = (size_t)k->dims[2] / groups,
           v_size = (size_t)v->dims[2] / groups;
    float scale = hone__node_float(r->node, "scale", 0), *state = r->scratch, *held = state + size * v_size;
    if (scale == 0) scale = (float)(1 / sqrt((double)size));
    size_t decays = decay && decay->rank == 3 ? (size_t)decay->dims[2] / groups : 0,
           betas = beta && beta->rank == 3 ? (size_t)beta->dims[2] : 0;
    bool fits = (!decay || (decay->count == batch * steps * groups * decays && (decays == 1 || decays == size))) &&
                (!beta || (beta->count == batch * steps * betas && (betas == 1 || betas == groups))) &&
                (!past || past->count == batch * groups * size * v_size);
    if (!fits) return hone__fail(HONE_E_SHAPE, "past_state, decay or beta does not fit");
    for (size_t b = 0; b < batch; b++)
        for (size_t g = 0; g < groups; g++) {
            if (past)
                memcpy(state, (const float *)past->data + (b * groups + g) * size * v_size,
                       size * v_size * sizeof *state);
            else
                memset(state, 0, size * v_size * sizeof *state);
            for (size_t t = 0; t < steps; t++) {
                size_t row = b * steps + t;
                update(state, held, (const float *)k->data + (row * groups + g) * size,
                       (const float *)v->data + (row * groups + g) * v_size,
                       decay ? (const float *)decay->data + (row * groups + g) * decays : NULL, decays,
                       beta ? (const float *)beta->data + row * betas + (betas > 1 ? g : 0) : NULL, size, v_size);
                for (size_t h = g * (heads / groups); h < (g + 1) * (heads / groups); h++) {
                    const float *from = (const float *)q->data + (row * heads + h) * size;
                    float *to = (float *)hone__out_data(r, 0) + (row * heads + h) * v_size;
                    for (size_t j = 0; j < v_size; j++) {
                        float sum = 0;
                        for (size_t i = 0; i < size; i++) sum += from[i] * state[i * v_size + j];
                        to[j] = scale * sum;
                    }
                }
            }
            if (r->output_count > 1 && r->out[1])
                memcpy((float *)hone__out_data(r, 1) + (b * groups + g) * size * v_size, state,
                       size * v_size * sizeof *state);
        }
    return HONE_OK;
}
HONE__WIDENED(linear_attention, prepare_linear_attention, run_linear_attention)
const hone__op hone__op_linear_attention = {
    "", "LinearAttention", infer_linear_attention, wide_prepare_linear_attention, wide_run_linear_attention, 0};

/* Inputs: x [batch, channels, length], w [channels, 1, k], bias?, past [batch, channels, k - 1]? */
static hone_status infer_causal_conv(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 4));
    HONE__TRY(hone__infer_float(x, 0));
    HONE__TRY(hone__infer_rank(x, 0, 3));
    HONE__TRY(hone__infer_rank(x, 1, 3));
    const hone__shape *s = &x->in[0].shape, *w = &x->in[1].shape;
    hone__infer_same(x, 0, 0);
    if (x->output_count > 1) x->out[1].dtype = hone__has_input(x, 3) ? x->in[3].dtype : x->in[0].dtype;
    if (s->rank < 0 || w->rank < 0) return HONE_OK;
    if (!hone__dims_agree(s->dims[1], w->dims[0]) || !hone__dims_agree(w->dims[1], 1) || w->dims[2] == 0)
        return hone__fail(HONE_E_SHAPE, "input and weights do not fit");
    if (x->output_count > 1)
        hone__infer_set(x, 1, x->out[1].dtype, 3,
                        (int64_t[]){s->dims[0], s->dims[1], w->dims[2] < 0 ? -1 : w->dims[2] - 1});
    return HONE_OK;
}
static hone_status run_causal_conv(hone__run *r)
{
    const hone__tensor *x = r->in[0], *w = r->in[1], *b = r->input_count > 2 ? r->in[2] : NULL,
                       *past = r->input_count > 3 ? r->in[3] : NULL;
    size_t channels = (size_t)x->dims[1], length = (size_t)x->dims[2], k = (size_t)w->dims[2],
           rows = (size_t)x->dims[0] * channels;
    const char *act = hone__node_string(r->node, "activation", "none");
    bool silu = !strcmp(act, "silu") || !strcmp(act, "swish");
    if (!silu && strcmp(act, "none")) return hone__fail(HONE_E_UNSUPPORTED, "activation '%.40s'", act);
    if ((b && b->count != channels) || (past && past->count != rows * (k - 1)))
        return hone__fail(HONE_E_SHAPE, "bias or past_state does not fit");
    float *y = hone__out_data(r, 0), *kept = r->output_count > 1 && r->out[1] ? hone__out_data(r, 1) : NULL;
    for (size_t row = 0; row < rows; row++) {
        const float *in = (const float *)x->data + row * length,
                    *before = past ? (const float *)past->data + row * (k - 1) : NULL,
                    *weights = (const float *)w->data + row % channels * k;
        /* position p of the joined sequence: first k - 1 of the past, then the input */
        for (size_t t = 0; t < length; t++) {
            double sum = b ? ((const float *)b->data)[row % channels] : 0;
            for (size_t i = 0; i < k; i++) {
                size_t p = t + i;
                sum += (double)weights[i] * (p >= k - 1 ? in[p - (k - 1)] : before ? before[p] : 0);
            }
            y[row * length + t] = (float)sum;
        }
        for (size_t i = 0; kept && i + 1 < k; i++) {
            size_t p = length + i;
            kept[row * (k - 1) + i] = p >= k - 1 ? in[p - (k - 1)] : before ? before[p] : 0;
        }
    }
    if (silu) hone__vec_unary(HONE__SILU, y, y, rows * length, 0, 0);
    return HONE_OK;
}
HONE__WIDENED(causal_conv, NULL, run_causal_conv)
const hone__op hone__op_causal_conv_with_state = {
    "", "CausalConvWithState", infer_causal_conv, wide_prepare_causal_conv, wide_run_causal_conv, 0};

/* com.microsoft's forms of both: what the standard ones lack must not be asked for. */
static hone_status check_asked(const hone__infer *x)
{
    const struct {
        const char *name;
        int64_t only;
    } asked[] = {{"state_window", 0}, {"channels_last", 0}, {"dilation", 1}, {"ndim", 1}};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        if (hone__node_int(x->node, asked[i].name, asked[i].only) != asked[i].only)
            return hone__fail(HONE_E_UNSUPPORTED, "%s %lld", asked[i].name,
                              (long long)hone__node_int(x->node, asked[i].name, asked[i].only));
    return HONE_OK;
}

static hone_status infer_ms_linear_attention(hone__infer *x)
{
    HONE__TRY(check_asked(x));
    return infer_linear_attention(x);
}

static hone_status infer_ms_causal_conv(hone__infer *x)
{
    HONE__TRY(check_asked(x));
    return infer_causal_conv(x);
}
const hone__op hone__op_ms_linear_attention = {"com.microsoft",           "LinearAttention",
                                               infer_ms_linear_attention, wide_prepare_linear_attention,
                                               wide_run_linear_attention, 0};
const hone__op hone__op_ms_causal_conv_with_state = {
    "com.microsoft", "CausalConvWithState", infer_ms_causal_conv, wide_prepare_causal_conv, wide_run_causal_conv, 0};

/* a * sigmoid(alpha * a) * b */
static hone_status infer_swiglu(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_float(x, 0));
    HONE__TRY(hone__infer_equal_types(x, 0, 1));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}
static hone_status run_swiglu(hone__run *r)
{
    const float *a = r->in[0]->data, *b = r->in[1]->data;
    float *y = hone__out_data(r, 0), alpha = hone__node_float(r->node, "alpha", 1);
    if (r->in[1]->count != r->in[0]->count) return hone__fail(HONE_E_SHAPE, "the inputs differ in shape");
    for (size_t i = 0; i < r->in[0]->count; i++) y[i] = a[i] / (1 + expf(-alpha * a[i])) * b[i];
    return HONE_OK;
}
HONE__WIDENED(swiglu, NULL, run_swiglu)
const hone__op hone__op_swiglu = {"", "SwiGLU", infer_swiglu, wide_prepare_swiglu, wide_run_swiglu, 0};
