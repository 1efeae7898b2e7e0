/* gpt_neo.c: GPT-Neo (transformers' GPTNeoForCausalLM): GPT-2's shape with Linear weights [out, in], scores of
 * attention that are not scaled, and layers that see only the last window_size tokens where attention_types says
 * "local". */
#include <stdio.h>
#include <string.h>

#include "family.h"

/* Windows of all layers from attention_types: [[["global", "local"], 12]], each list so many times. */
static bool read_windows(hone__lm *lm, int64_t window, int64_t *out)
{
    const json_t *types = json_object_get(lm->config.root, "attention_types"), *group, *kind;
    size_t g, k;
    int64_t layer = 0;
    if (!types || json_is_null(types)) { /* transformers' own: alternating, for 24 layers */
        for (; layer < lm->layers; layer++) out[layer] = layer % 2 ? window : 0;
        return lm->layers == 24;
    }
    json_array_foreach(types, g, group)
    {
        const json_t *names = json_array_get(group, 0);
        json_int_t times = json_integer_value(json_array_get(group, 1));
        if (!json_array_size(names)) return false;
        for (json_int_t t = 0; t < times; t++) json_array_foreach(names, k, kind)
            {
                const char *name = json_string_value(kind);
                bool local = name && !strcmp(name, "local");
                if (layer == lm->layers || (!local && (!name || strcmp(name, "global")))) return false;
                out[layer++] = local ? window : 0;
            }
    }
    return layer == lm->layers;
}

static hone__value *block(hone__lm *lm, hone__value *x, int64_t i, int64_t window, int64_t inner, const char *act)
{
    static const char *const parts[] = {"ln_1",
                                        "attn.attention.q_proj",
                                        "attn.attention.k_proj",
                                        "attn.attention.v_proj",
                                        "attn.attention.out_proj",
                                        "ln_2",
                                        "mlp.c_fc",
                                        "mlp.c_proj"};
    char name[8][64];
    hone__value *qkv[3];
    for (int k = 0; k < 8; k++) snprintf(name[k], sizeof name[k], "h.%lld.%s", (long long)i, parts[k]);
    hone__lm_scope(lm, i);
    hone__value *y = hone__lm_layer_norm(lm, x, name[0]);
    for (int k = 0; k < 3; k++) qkv[k] = hone__lm_linear(lm, y, lm->width, lm->width, false, name[1 + k]);
    y = hone__lm_attend(lm, i, qkv[0], qkv[1], qkv[2], &(hone__lm_attention){.scale = 1, .window = window});
    x = HONE__LM("Add", x, hone__lm_linear(lm, y, lm->width, lm->width, true, name[4]));
    y = hone__lm_linear(lm, hone__lm_layer_norm(lm, x, name[5]), lm->width, inner, true, name[6]);
    y = hone__lm_linear(lm, hone__lm_activation(lm, y, act), inner, lm->width, true, name[7]);
    return HONE__LM("Add", x, y);
}

void hone__family_gpt_neo(hone__lm *lm)
{
    hone__hf_config *c = &lm->config;
    int64_t windows[HONE__LM_LAYERS];
    lm->prefix = hone__checkpoint_find(lm->weights, "wte.weight") ? "" : "transformer.";
    lm->layers = hone__hf_size(c, "num_layers");
    lm->heads = lm->kv_heads = hone__hf_size(c, "num_heads");
    lm->width = hone__hf_size(c, "hidden_size");
    lm->vocab = hone__hf_size(c, "vocab_size");
    lm->context = hone__hf_int(c, "max_position_embeddings", 2048, 1, 1 << 24);
    lm->epsilon = hone__hf_float(c, "layer_norm_epsilon", 1e-5);
    lm->head = hone__lm_even_heads(lm);
    int64_t inner = hone__hf_int(c, "intermediate_size", 4 * lm->width, 1, 1 << 26);
    int64_t window = hone__hf_int(c, "window_size", 256, 1, 1 << 24);
    const char *activation = hone__hf_text(c, "activation_function", "gelu_new");
    bool tied = hone__hf_bool(c, "tie_word_embeddings", true);
    if (!hone__lm_begin(lm)) return;
    if (!read_windows(lm, window, windows)) {
        hone__lm_fail(lm,
                      hone__fail(HONE_E_FORMAT, "%s: 'attention_types' does not give %lld layers of global or local",
                                 c->path, (long long)lm->layers));
        return;
    }
    hone__value *table, *x = hone__lm_embed(lm, "wte.weight", &table);
    hone__value *places = hone__lm_weight(lm, 2, (int64_t[]){lm->context, lm->width}, "wpe.weight");
    x = HONE__LM("Add", x, HONE__LM("Gather", places, lm->positions));
    for (int64_t i = 0; i < lm->layers && lm->b.status == HONE_OK; i++)
        x = block(lm, x, i, windows[i], inner, activation);
    hone__lm_scope(lm, -1);
    hone__lm_finish(lm, hone__lm_head(lm, hone__lm_layer_norm(lm, x, "ln_f"), tied ? table : NULL));
}
