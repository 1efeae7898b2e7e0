/* gpt2.c: GPT-2 and DistilGPT-2 (transformers' GPT2LMHeadModel): learned positions, normalisation in front of attention
 * and MLP, query, key and value in one product; weights of products are Conv1D's [in, out]; the head is the embedding.
 */
#include <math.h>
#include <stdio.h>

#include "family.h"

static hone__value *attention(hone__lm *lm, hone__value *x, int64_t layer, bool scaled, bool by_layer)
{
    char name[64];
    hone__value *qkv[3];
    double scale = scaled ? 1 / sqrt((double)lm->head) : 1;
    snprintf(name, sizeof name, "h.%lld.attn.c_attn", (long long)layer);
    x = hone__lm_conv1d(lm, x, lm->width, 3 * lm->width, name);
    hone__emit_multi(&lm->b, "Split", "Split", HONE__INS(x),
                     HONE__ATTRS(hone__a_int("axis", -1), hone__a_int("num_outputs", 3)), qkv, 3);
    if (by_layer) scale /= (double)(layer + 1);
    x = hone__lm_attend(lm, layer, qkv[0], qkv[1], qkv[2], &(hone__lm_attention){.scale = scale});
    snprintf(name, sizeof name, "h.%lld.attn.c_proj", (long long)layer);
    return hone__lm_conv1d(lm, x, lm->width, lm->width, name);
}

static hone__value *block(hone__lm *lm, hone__value *x, int64_t i, int64_t inner, const char *activation, bool scaled,
                          bool by_layer)
{
    char name[4][64];
    static const char *const parts[] = {"ln_1", "ln_2", "mlp.c_fc", "mlp.c_proj"};
    for (int k = 0; k < 4; k++) snprintf(name[k], sizeof name[k], "h.%lld.%s", (long long)i, parts[k]);
    hone__lm_scope(lm, i);
    x = HONE__LM("Add", x, attention(lm, hone__lm_layer_norm(lm, x, name[0]), i, scaled, by_layer));
    hone__value *y = hone__lm_conv1d(lm, hone__lm_layer_norm(lm, x, name[1]), lm->width, inner, name[2]);
    y = hone__lm_conv1d(lm, hone__lm_activation(lm, y, activation), inner, lm->width, name[3]);
    return HONE__LM("Add", x, y);
}

void hone__family_gpt2(hone__lm *lm)
{
    hone__hf_config *c = &lm->config;
    lm->prefix = hone__checkpoint_find(lm->weights, "wte.weight") ? "" : "transformer.";
    lm->layers = hone__hf_size(c, "n_layer");
    lm->heads = lm->kv_heads = hone__hf_size(c, "n_head");
    lm->width = hone__hf_size(c, "n_embd");
    lm->vocab = hone__hf_size(c, "vocab_size");
    lm->context = hone__hf_int(c, "n_positions", 1024, 1, 1 << 24);
    lm->epsilon = hone__hf_float(c, "layer_norm_epsilon", 1e-5);
    lm->head = hone__lm_even_heads(lm);
    int64_t inner = hone__hf_int(c, "n_inner", 4 * lm->width, 1, 1 << 26);
    const char *activation = hone__hf_text(c, "activation_function", "gelu_new");
    bool scaled = hone__hf_bool(c, "scale_attn_weights", true);
    bool by_layer = hone__hf_bool(c, "scale_attn_by_inverse_layer_idx", false);
    bool tied = hone__hf_bool(c, "tie_word_embeddings", true);
    hone__hf_bool(c, "reorder_and_upcast_attn", false); /* another order of the same sums */
    if (hone__hf_bool(c, "add_cross_attention", false))
        hone__hf_fail(c, hone__fail(HONE_E_UNSUPPORTED, "cross attention in a model of type gpt2"));
    if (!hone__lm_begin(lm)) return;
    hone__value *table, *x = hone__lm_embed(lm, "wte.weight", &table);
    hone__value *places = hone__lm_weight(lm, 2, (int64_t[]){lm->context, lm->width}, "wpe.weight");
    x = HONE__LM("Add", x, HONE__LM("Gather", places, lm->positions));
    for (int64_t i = 0; i < lm->layers && lm->b.status == HONE_OK; i++)
        x = block(lm, x, i, inner, activation, scaled, by_layer);
    hone__lm_scope(lm, -1);
    hone__lm_finish(lm, hone__lm_head(lm, hone__lm_layer_norm(lm, x, "ln_f"), tied ? table : NULL));
}
