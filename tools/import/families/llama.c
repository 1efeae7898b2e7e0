/* llama.c: Llama and its kin (transformers' LlamaForCausalLM, Mistral, Qwen2, Qwen3, Gemma, Gemma2, Gemma3): RMS
 * normalisation, rotary positions, heads in groups, a gated MLP. The kin differ in the traits below. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rope.h"

typedef struct traits {
    const char *model_type;
    bool qkv_bias;          /* query, key and value always have one */
    bool attention_bias;    /* attention_bias of the configuration gives all four one; others have no such setting */
    bool mlp_bias;          /* likewise */
    bool qk_norm;           /* query and key of every head are normalised */
    bool one_plus;          /* normalisations scale by 1 + w, embeddings by sqrt(width) */
    bool post_norm;         /* attention and MLP are normalised behind, too */
    bool tied;              /* where tie_word_embeddings is absent */
    bool scalar;            /* query_pre_attn_scalar gives the scale */
    bool local_base;        /* sliding layers turn by rope_local_base_freq; sliding_window_pattern is read */
    int pattern;            /* without layer_types every pattern-th layer sees all; 0: other rules */
    int64_t window, head;   /* where sliding_window, head_dim are absent; head 0: width / heads */
    double softcap, capped; /* of attention, of scores, where absent */
} traits;

static const traits kin[] = {
    {.model_type = "llama", .attention_bias = true, .mlp_bias = true},
    {.model_type = "mistral", .window = 4096},
    {.model_type = "ministral", .window = 4096},
    {.model_type = "qwen2", .qkv_bias = true, .window = 4096},
    {.model_type = "qwen3", .attention_bias = true, .qk_norm = true, .window = 4096, .head = 128},
    {.model_type = "gemma", .attention_bias = true, .one_plus = true, .tied = true, .head = 256},
    {.model_type = "gemma2",
     .attention_bias = true,
     .one_plus = true,
     .post_norm = true,
     .tied = true,
     .scalar = true,
     .pattern = 2,
     .window = 4096,
     .head = 256,
     .softcap = 50,
     .capped = 30},
    {.model_type = "gemma3_text",
     .attention_bias = true,
     .qk_norm = true,
     .one_plus = true,
     .post_norm = true,
     .tied = true,
     .scalar = true,
     .local_base = true,
     .pattern = 6,
     .window = 4096,
     .head = 256},
};

typedef struct llama {
    hone__lm *lm;
    const traits *kin;
    int64_t inner, windows[HONE__LM_LAYERS];
    double scale, softcap, capped;
    const char *activation;
    bool bias, out_bias, mlp_bias;
    hone__rope rope[2]; /* of layers that see all, of sliding ones */
} llama;

/* 1 + w as a constant of its own: norms are small. */
static hone__value *plus_one(hone__lm *lm, const char *name, int64_t n)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", lm->prefix, name);
    if (!hone__lm_vector(lm, n, "%s", name)) return NULL;
    const hone__tensor *t = &hone__checkpoint_find(lm->weights, full)->tensor;
    hone__tensor sum;
    if (hone__builder_fail(&lm->b, hone__tensor_new(HONE_F32, 1, &n, &sum)) != HONE_OK) return NULL;
    float *y = hone__tensor_write(&sum);
    for (int64_t i = 0; i < n; i++) y[i] = 1 + (float)hone__element_f64(t->dtype, t->data, (size_t)i);
    return hone__emit_tensor(&lm->b, name, &sum);
}

/* Over the last axis, n numbers. */
static hone__value *norm(const llama *m, hone__value *x, int64_t n, const char *format, int64_t layer)
{
    char name[96], part[64];
    hone__lm *lm = m->lm;
    if (layer < 0)
        snprintf(part, sizeof part, "%s", format);
    else
        snprintf(part, sizeof part, "layers.%lld.%s", (long long)layer, format);
    snprintf(name, sizeof name, "%s.weight", part);
    hone__value *w = m->kin->one_plus ? plus_one(lm, name, n) : hone__lm_vector(lm, n, "%s", name);
    return hone__emit(&lm->b, "RMSNormalization", part, HONE__INS(x, w),
                      HONE__ATTRS(hone__a_int("axis", -1), hone__a_float("epsilon", lm->epsilon)));
}

static hone__value *linear(const llama *m, hone__value *x, int64_t in, int64_t out, bool bias, int64_t layer,
                           const char *part)
{
    char name[96];
    snprintf(name, sizeof name, "layers.%lld.%s", (long long)layer, part);
    return hone__lm_linear(m->lm, x, in, out, bias, name);
}

/* Query or key: [B, S, heads * head] with every head normalised. */
static hone__value *head_norm(const llama *m, hone__value *x, int64_t heads, int64_t layer, const char *part)
{
    hone__lm *lm = m->lm;
    int64_t apart[] = {0, 0, heads, lm->head}, flat[] = {0, 0, heads * lm->head};
    x = HONE__LM("Reshape", x, hone__emit_i64(&lm->b, "", apart, 4));
    x = norm(m, x, lm->head, part, layer);
    return HONE__LM("Reshape", x, hone__emit_i64(&lm->b, "", flat, 3));
}

static hone__value *attention(const llama *m, hone__value *x, int64_t layer)
{
    hone__lm *lm = m->lm;
    int64_t window = m->windows[layer], kv = lm->kv_heads * lm->head;
    const hone__rope *rope = &m->rope[window && m->kin->local_base];
    hone__value *q = linear(m, x, lm->width, lm->heads * lm->head, m->bias, layer, "self_attn.q_proj");
    hone__value *k = linear(m, x, lm->width, kv, m->bias, layer, "self_attn.k_proj");
    hone__value *v = linear(m, x, lm->width, kv, m->bias, layer, "self_attn.v_proj");
    if (m->kin->qk_norm) {
        q = head_norm(m, q, lm->heads, layer, "self_attn.q_norm");
        k = head_norm(m, k, lm->kv_heads, layer, "self_attn.k_norm");
    }
    q = hone__rope_turn(lm, q, lm->heads, rope);
    k = hone__rope_turn(lm, k, lm->kv_heads, rope);
    x = hone__lm_attend(lm, layer, q, k, v, &(hone__lm_attention){m->scale, m->softcap, window});
    return linear(m, x, lm->heads * lm->head, lm->width, m->out_bias, layer, "self_attn.o_proj");
}

static hone__value *mlp(const llama *m, hone__value *x, int64_t layer)
{
    hone__lm *lm = m->lm;
    hone__value *gate = linear(m, x, lm->width, m->inner, m->mlp_bias, layer, "mlp.gate_proj");
    hone__value *up = linear(m, x, lm->width, m->inner, m->mlp_bias, layer, "mlp.up_proj");
    x = HONE__LM("Mul", hone__lm_activation(lm, gate, m->activation), up);
    return linear(m, x, m->inner, lm->width, m->mlp_bias, layer, "mlp.down_proj");
}

static hone__value *block(const llama *m, hone__value *x, int64_t i)
{
    hone__lm *lm = m->lm;
    bool post = m->kin->post_norm;
    hone__lm_scope(lm, i);
    hone__value *y = attention(m, norm(m, x, lm->width, "input_layernorm", i), i);
    if (post) y = norm(m, y, lm->width, "post_attention_layernorm", i);
    x = HONE__LM("Add", x, y);
    y = mlp(m, norm(m, x, lm->width, post ? "pre_feedforward_layernorm" : "post_attention_layernorm", i), i);
    if (post) y = norm(m, y, lm->width, "post_feedforward_layernorm", i);
    return HONE__LM("Add", x, y);
}

/* The window of every layer: by layer_types, else by the kin's own rule. */
static void read_windows(llama *m)
{
    hone__lm *lm = m->lm;
    hone__hf_config *c = &lm->config;
    const json_t *types = json_object_get(c->root, "layer_types");
    bool qwen = !strncmp(m->kin->model_type, "qwen", 4);
    int64_t window =
        hone__hf_int(c, "sliding_window", hone__hf_has(c, "sliding_window") ? 0 : m->kin->window, 0, 1 << 30);
    int64_t from = hone__hf_int(c, "max_window_layers", 28, 0, 1 << 20);
    int64_t pattern = m->kin->pattern;
    if (m->kin->local_base) pattern = hone__hf_int(c, "sliding_window_pattern", pattern, 1, 1 << 20);
    bool use = hone__hf_bool(c, "use_sliding_window", false), listed = json_is_array(types) && m->kin->window;
    if (!m->kin->window || (qwen && !use)) window = 0;
    if (listed && (int64_t)json_array_size(types) != lm->layers)
        hone__hf_fail(c, hone__fail(HONE_E_FORMAT, "'layer_types' has %zu entries for %lld layers",
                                    json_array_size(types), (long long)lm->layers));
    for (int64_t i = 0; i < lm->layers && i < HONE__LM_LAYERS; i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        bool sliding = listed ? type && !strcmp(type, "sliding_attention")
                       : qwen ? i >= from
                              : !pattern || (i + 1) % pattern != 0;
        if (listed && !sliding && (!type || strcmp(type, "full_attention")))
            hone__hf_fail(c, hone__fail(HONE_E_UNSUPPORTED,
                                        "layer_types has '%.60s' (full_attention and "
                                        "sliding_attention are known)",
                                        type ? type : "?"));
        m->windows[i] = sliding ? window : 0;
    }
}

static void read_sizes(llama *m)
{
    hone__lm *lm = m->lm;
    hone__hf_config *c = &lm->config;
    lm->prefix = hone__checkpoint_find(lm->weights, "embed_tokens.weight") ? "" : "model.";
    lm->layers = hone__hf_size(c, "num_hidden_layers");
    lm->heads = hone__hf_size(c, "num_attention_heads");
    lm->kv_heads = hone__hf_int(c, "num_key_value_heads", lm->heads, 1, 1 << 24);
    lm->width = hone__hf_size(c, "hidden_size");
    lm->vocab = hone__hf_size(c, "vocab_size");
    lm->context = hone__hf_int(c, "max_position_embeddings", 2048, 1, 1 << 30);
    lm->epsilon = hone__hf_float(c, "rms_norm_eps", 1e-6);
    lm->head = hone__hf_int(c, "head_dim", hone__hf_has(c, "head_dim") ? 0 : m->kin->head, 1, 1 << 13);
    if (!lm->head) lm->head = hone__lm_even_heads(lm);
    m->inner = hone__hf_size(c, "intermediate_size");
}

static void read_settings(llama *m)
{
    hone__hf_config *c = &m->lm->config;
    bool bias = m->kin->attention_bias && hone__hf_bool(c, "attention_bias", false);
    m->bias = bias || m->kin->qkv_bias;
    m->out_bias = bias;
    m->mlp_bias = m->kin->mlp_bias && hone__hf_bool(c, "mlp_bias", false);
    m->activation = hone__hf_text(c, m->kin->post_norm ? "hidden_activation" : "hidden_act",
                                  m->kin->one_plus ? "gelu_pytorch_tanh" : "silu");
    if (m->kin->one_plus && !m->kin->post_norm && !strcmp(m->activation, "gelu"))
        m->activation = "gelu_pytorch_tanh"; /* what the first Gemma's files mean by it */
    m->softcap = m->capped = 0;
    if (m->kin->softcap > 0) { /* Gemma3 has the setting, but nothing reads it */
        bool none = hone__hf_has(c, "attn_logit_softcapping");
        m->softcap = hone__hf_float(c, "attn_logit_softcapping", none ? 0 : m->kin->softcap);
    }
    if (m->kin->scalar) {
        bool plain = hone__hf_has(c, "final_logit_softcapping");
        m->capped = hone__hf_float(c, "final_logit_softcapping", plain ? 0 : m->kin->capped);
    }
    double by = m->kin->scalar ? hone__hf_float(c, "query_pre_attn_scalar", 256) : (double)m->lm->head;
    if (c->status == HONE_OK && !(by > 0 && m->softcap >= 0 && m->capped >= 0))
        hone__hf_fail(c, hone__fail(HONE_E_FORMAT, "query_pre_attn_scalar or a soft cap is below 0"));
    if (hone__hf_bool(c, "use_bidirectional_attention", false))
        hone__hf_fail(c, hone__fail(HONE_E_UNSUPPORTED, "use_bidirectional_attention: only causal models are read"));
    m->scale = 1 / sqrt(by);
}

static void read_rope(llama *m)
{
    hone__hf_config *c = &m->lm->config;
    double base = hone__hf_float(c, "rope_theta", m->kin->local_base ? 1e6 : 10000);
    double local = hone__hf_float(c, "rope_local_base_freq", 10000);
    m->rope[0] = hone__rope_make(m->lm, m->kin->local_base ? "full_attention" : NULL, base);
    if (m->kin->local_base) m->rope[1] = hone__rope_make(m->lm, "sliding_attention", local);
}

/* tanh(x / cap) * cap */
static hone__value *cap(hone__lm *lm, hone__value *x, double by)
{
    hone__value *c = hone__emit_scalar(&lm->b, (float)by);
    return HONE__LM("Mul", HONE__LM("Tanh", HONE__LM("Div", x, c)), c);
}

void hone__family_llama(hone__lm *lm)
{
    llama m = {.lm = lm, .kin = kin};
    for (size_t i = 0; i < sizeof kin / sizeof *kin; i++)
        if (!strcmp(kin[i].model_type, lm->model_type)) m.kin = &kin[i];
    read_sizes(&m);
    read_settings(&m);
    read_windows(&m);
    bool tied = hone__hf_bool(&lm->config, "tie_word_embeddings", m.kin->tied);
    if (!hone__lm_begin(lm)) return;
    read_rope(&m);
    hone__value *table, *x = hone__lm_embed(lm, "embed_tokens.weight", &table);
    if (m.kin->one_plus) x = HONE__LM("Mul", x, hone__emit_scalar(&lm->b, (float)sqrt((double)lm->width)));
    for (int64_t i = 0; i < lm->layers && lm->b.status == HONE_OK; i++) x = block(&m, x, i);
    hone__lm_scope(lm, -1);
    x = hone__lm_head(lm, norm(&m, x, lm->width, "norm", -1), tied ? table : NULL);
    hone__lm_finish(lm, m.capped > 0 ? cap(lm, x, m.capped) : x);
}
