/* whisper.c: Whisper (transformers' WhisperForConditionalGeneration; distil-whisper is the same with fewer layers) as
 * one graph: features, encoder, keys and values of every cross attention, decoder. passes/parts.h takes it apart. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "family.h"
#include "passes/parts.h"
#include "tasks/speech_notes.h"

typedef struct whisper {
    int64_t mels, encoder_layers, encoder_heads, frames, encoder_inner, decoder_inner;
    const char *activation;
    hone__value *encoded;    /* [B, T, width] */
    hone__value *at, *seen;  /* positions of the new tokens [S]; which of all tokens each of them sees [S, P + S] */
    hone__value *cross[2];   /* of the layer at hand: [B, heads, T, head] */
    hone__value **cross_out; /* all of them */
} whisper;

/* "<side>.layers.<layer>.<part>" */
static const char *part(char out[96], const char *side, int64_t layer, const char *what)
{
    snprintf(out, 96, "%s.layers.%lld.%s", side, (long long)layer, what);
    return out;
}

static hone__value *linear(hone__lm *lm, hone__value *x, const char *side, int64_t layer, const char *what, int64_t in,
                           int64_t out)
{
    char name[96];
    size_t n = strlen(what);
    bool bias = n < 6 || strcmp(what + n - 6, "k_proj"); /* keys have none */
    return hone__lm_linear(lm, x, in, out, bias, part(name, side, layer, what));
}

static hone__value *norm(hone__lm *lm, hone__value *x, const char *side, int64_t layer, const char *what)
{
    char name[96];
    return hone__lm_layer_norm(lm, x, part(name, side, layer, what));
}

static hone__value *feed_forward(hone__lm *lm, const whisper *w, hone__value *x, const char *side, int64_t layer,
                                 int64_t inner)
{
    hone__value *y = norm(lm, x, side, layer, "final_layer_norm");
    y = hone__lm_activation(lm, linear(lm, y, side, layer, "fc1", lm->width, inner), w->activation);
    return HONE__LM("Add", x, linear(lm, y, side, layer, "fc2", inner, lm->width));
}

/* [B, S, heads * head] -> [B, heads, S, head] */
static hone__value *split_heads(hone__lm *lm, hone__value *x)
{
    const int64_t dims[] = {0, 0, lm->heads, lm->head}, perm[] = {0, 2, 1, 3};
    x = HONE__LM("Reshape", x, hone__emit_i64(&lm->b, "", dims, 4));
    return hone__emit(&lm->b, "Transpose", "Transpose", HONE__INS(x), HONE__ATTRS(hone__a_ints("perm", perm, 4)));
}

static hone__value *join_heads(hone__lm *lm, hone__value *x)
{
    const int64_t dims[] = {0, 0, lm->width}, perm[] = {0, 2, 1, 3};
    x = hone__emit(&lm->b, "Transpose", "Transpose", HONE__INS(x), HONE__ATTRS(hone__a_ints("perm", perm, 4)));
    return HONE__LM("Reshape", x, hone__emit_i64(&lm->b, "", dims, 3));
}

static double scale_of(int64_t width, int64_t heads) { return 1 / sqrt((double)(width / heads)); }

static hone__value *encoder_layer(hone__lm *lm, const whisper *w, hone__value *x, int64_t layer)
{
    static const char *const names[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
    hone__value *y = norm(lm, x, "encoder", layer, "self_attn_layer_norm"), *qkv[3];
    for (int i = 0; i < 3; i++) qkv[i] = linear(lm, y, "encoder", layer, names[i], lm->width, lm->width);
    y = hone__emit(&lm->b, "Attention", "Attention", HONE__INS(qkv[0], qkv[1], qkv[2]),
                   HONE__ATTRS(hone__a_int("q_num_heads", w->encoder_heads),
                               hone__a_int("kv_num_heads", w->encoder_heads),
                               hone__a_float("scale", scale_of(lm->width, w->encoder_heads))));
    x = HONE__LM("Add", x, linear(lm, y, "encoder", layer, "self_attn.out_proj", lm->width, lm->width));
    return feed_forward(lm, w, x, "encoder", layer, w->encoder_inner);
}

static hone__value *convolution(hone__lm *lm, hone__value *x, const char *name, int64_t in, int64_t stride)
{
    const int64_t pads[] = {1, 1};
    hone__value *k = hone__lm_weight(lm, 3, (int64_t[]){lm->width, in, 3}, "encoder.%s.weight", name);
    hone__value *b = hone__lm_vector(lm, lm->width, "encoder.%s.bias", name);
    x = hone__emit(&lm->b, "Conv", name, HONE__INS(x, k, b),
                   HONE__ATTRS(hone__a_ints("pads", pads, 2), hone__a_ints("strides", &stride, 1)));
    return hone__emit(&lm->b, "Gelu", "Gelu", HONE__INS(x), HONE__NO_ATTRS);
}

/* How many x has along `axis`, as int64 [1]. */
static hone__value *length(hone__lm *lm, hone__value *x, int64_t axis)
{
    return hone__emit(&lm->b, "Shape", "Shape", HONE__INS(x),
                      HONE__ATTRS(hone__a_int("start", axis), hone__a_int("end", axis + 1)));
}

/* [B, mels, F] -> [B, F / 2, width]; fewer frames than the model's window see the first positions. */
static hone__value *encoder(hone__lm *lm, const whisper *w, hone__value *x)
{
    const int64_t perm[] = {0, 2, 1}, zero = 0;
    lm->b.scope = "encoder/";
    x = convolution(lm, convolution(lm, x, "conv1", w->mels, 1), "conv2", lm->width, 2);
    x = hone__emit(&lm->b, "Transpose", "Transpose", HONE__INS(x), HONE__ATTRS(hone__a_ints("perm", perm, 3)));
    hone__value *places = hone__lm_weight(lm, 2, (int64_t[]){w->frames, lm->width}, "encoder.embed_positions.weight");
    hone__value *start = hone__emit_i64(&lm->b, "", &zero, 1);
    x = HONE__LM("Add", x, HONE__LM("Slice", places, start, length(lm, x, 1), start));
    for (int64_t i = 0; i < w->encoder_layers && lm->b.status == HONE_OK; i++) {
        lm->b.scope = hone__arena_printf(&lm->b.graph->model->arena, "encoder/layer.%lld/", (long long)i);
        x = encoder_layer(lm, w, x, i);
    }
    lm->b.scope = "encoder/";
    return hone__lm_layer_norm(lm, x, "encoder.layer_norm");
}

/* Where the new tokens stand behind those of the past, and which each of them sees. */
static void positions(hone__lm *lm, whisper *w)
{
    const int64_t last = -1, first = 0;
    lm->b.scope = "decoder/";
    hone__value *before = HONE__LM("Squeeze", length(lm, lm->past[0], 2));
    hone__value *all = HONE__LM("Add", before, HONE__LM("Squeeze", length(lm, lm->ids, 1)));
    hone__value *one = hone__emit_scalar_i64(&lm->b, 1), *zero = hone__emit_scalar_i64(&lm->b, first);
    w->at = HONE__LM("Range", before, all, one);
    hone__value *rows = HONE__LM("Unsqueeze", w->at, hone__emit_i64(&lm->b, "", &last, 1));
    w->seen = HONE__LM("LessOrEqual", HONE__LM("Range", zero, all, one), rows);
}

static hone__value *self_attention(hone__lm *lm, const whisper *w, hone__value *x, int64_t layer)
{
    static const char *const names[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
    hone__value *qkv[3], *out[3] = {NULL}, **past = lm->past + 2 * layer;
    for (int i = 0; i < 3; i++) qkv[i] = linear(lm, x, "decoder", layer, names[i], lm->width, lm->width);
    hone__emit_multi(&lm->b, "Attention", "Attention", HONE__INS(qkv[0], qkv[1], qkv[2], w->seen, past[0], past[1]),
                     HONE__ATTRS(hone__a_int("q_num_heads", lm->heads), hone__a_int("kv_num_heads", lm->heads),
                                 hone__a_float("scale", scale_of(lm->width, lm->heads))),
                     out, 3);
    lm->present[2 * layer] = out[1];
    lm->present[2 * layer + 1] = out[2];
    return linear(lm, out[0], "decoder", layer, "self_attn.out_proj", lm->width, lm->width);
}

static hone__value *cross_attention(hone__lm *lm, whisper *w, hone__value *x, int64_t layer)
{
    static const char *const names[] = {"encoder_attn.k_proj", "encoder_attn.v_proj"};
    hone__value **cross = w->cross_out + 2 * layer;
    for (int i = 0; i < 2; i++)
        cross[i] = split_heads(lm, linear(lm, w->encoded, "decoder", layer, names[i], lm->width, lm->width));
    x = split_heads(lm, linear(lm, x, "decoder", layer, "encoder_attn.q_proj", lm->width, lm->width));
    x = hone__emit(&lm->b, "Attention", "cross_attention", HONE__INS(x, cross[0], cross[1]),
                   HONE__ATTRS(hone__a_float("scale", scale_of(lm->width, lm->heads))));
    return linear(lm, join_heads(lm, x), "decoder", layer, "encoder_attn.out_proj", lm->width, lm->width);
}

static hone__value *decoder_layer(hone__lm *lm, whisper *w, hone__value *x, int64_t i)
{
    lm->b.scope = hone__arena_printf(&lm->b.graph->model->arena, "decoder/layer.%lld/", (long long)i);
    x = HONE__LM("Add", x, self_attention(lm, w, norm(lm, x, "decoder", i, "self_attn_layer_norm"), i));
    x = HONE__LM("Add", x, cross_attention(lm, w, norm(lm, x, "decoder", i, "encoder_attn_layer_norm"), i));
    return feed_forward(lm, w, x, "decoder", i, w->decoder_inner);
}

static hone__value *decoder(hone__lm *lm, whisper *w)
{
    hone__value *table;
    positions(lm, w);
    hone__value *x = hone__lm_embed(lm, "decoder.embed_tokens.weight", &table);
    hone__value *places = hone__lm_weight(lm, 2, (int64_t[]){lm->context, lm->width}, "decoder.embed_positions.weight");
    x = HONE__LM("Add", x, HONE__LM("Gather", places, w->at));
    for (int64_t i = 0; i < lm->layers && lm->b.status == HONE_OK; i++) x = decoder_layer(lm, w, x, i);
    lm->b.scope = NULL;
    x = hone__lm_layer_norm(lm, x, "decoder.layer_norm");
    return hone__lm_head(lm, x, table);
}

static void read_config(hone__lm *lm, whisper *w)
{
    hone__hf_config *c = &lm->config;
    lm->prefix = hone__checkpoint_find(lm->weights, "encoder.conv1.weight") ? "" : "model.";
    lm->width = hone__hf_size(c, "d_model");
    lm->vocab = hone__hf_size(c, "vocab_size");
    lm->layers = hone__hf_size(c, "decoder_layers");
    lm->heads = lm->kv_heads = hone__hf_size(c, "decoder_attention_heads");
    lm->head = hone__lm_even_heads(lm);
    lm->context = hone__hf_int(c, "max_target_positions", 448, 1, 1 << 24);
    lm->epsilon = 1e-5;
    w->mels = hone__hf_int(c, "num_mel_bins", 80, 1, HONE__LM_LAYERS);
    w->frames = hone__hf_int(c, "max_source_positions", 1500, 1, 1 << 24);
    w->encoder_layers = hone__hf_size(c, "encoder_layers");
    w->encoder_heads = hone__hf_size(c, "encoder_attention_heads");
    w->encoder_inner = hone__hf_size(c, "encoder_ffn_dim");
    w->decoder_inner = hone__hf_size(c, "decoder_ffn_dim");
    w->activation = hone__hf_text(c, "activation_function", "gelu");
    if (hone__hf_bool(c, "scale_embedding", false))
        hone__hf_fail(c, hone__fail(HONE_E_UNSUPPORTED, "scale_embedding in a model of type whisper"));
    if (c->status == HONE_OK && (lm->width % w->encoder_heads || lm->layers > HONE__LM_LAYERS))
        hone__hf_fail(c, hone__fail(HONE_E_FORMAT, "a width of %lld in %lld heads, %lld layers", (long long)lm->width,
                                    (long long)w->encoder_heads, (long long)lm->layers));
}

static hone__value *past_input(hone__lm *lm, int64_t i)
{
    int64_t dims[4] = {0, lm->heads, 0, lm->head};
    char name[64];
    hone__model *m = lm->b.graph->model;
    hone__builder_fail(&lm->b, hone__symbol(m, "batch_size", &dims[0]));
    hone__builder_fail(&lm->b, hone__symbol(m, "past_decoder_sequence_length", &dims[2]));
    hone__part_name(name, HONE__PART_PAST_SELF, (size_t)i);
    return hone__emit_input(&lm->b, name, HONE_F32, 4, dims);
}

/* The inputs; *features is [B, mels, F]. */
static bool begin(hone__lm *lm, whisper *w, hone__value **features)
{
    hone__model *m = lm->b.graph->model;
    size_t layers = (size_t)lm->layers;
    int64_t sound[3] = {0, w->mels, 0}, text[2];
    if (lm->config.status != HONE_OK) hone__lm_fail(lm, lm->config.status);
    if (lm->b.status != HONE_OK) return false;
    lm->past = hone__arena_zalloc(&m->arena, 2 * layers * sizeof *lm->past);
    lm->present = hone__arena_zalloc(&m->arena, 2 * layers * sizeof *lm->present);
    lm->windows = hone__arena_zalloc(&m->arena, layers * sizeof *lm->windows);
    w->cross_out = hone__arena_zalloc(&m->arena, 2 * layers * sizeof *w->cross_out);
    if (!lm->past || !lm->present || !lm->windows || !w->cross_out) {
        hone__lm_fail(lm, hone__out_of_memory(layers));
        return false;
    }
    hone__builder_fail(&lm->b, hone__symbol(m, "batch_size", &sound[0]));
    hone__builder_fail(&lm->b, hone__symbol(m, "encoder_sequence_length", &sound[2]));
    hone__builder_fail(&lm->b, hone__symbol(m, "decoder_sequence_length", &text[1]));
    text[0] = sound[0];
    *features = hone__emit_input(&lm->b, "input_features", HONE_F32, 3, sound);
    lm->ids = hone__emit_input(&lm->b, "input_ids", HONE_I64, 2, text);
    for (int64_t i = 0; i < 2 * lm->layers; i++) lm->past[i] = past_input(lm, i);
    return lm->b.status == HONE_OK;
}

void hone__family_whisper(hone__lm *lm)
{
    whisper w = {0};
    hone__value *features;
    char name[64];
    read_config(lm, &w);
    if (!begin(lm, &w, &features)) return;
    w.encoded = encoder(lm, &w, features);
    hone__value *logits = decoder(lm, &w);
    lm->b.scope = NULL;
    hone__emit_output(&lm->b, HONE__PART_ENCODED, w.encoded);
    for (size_t i = 0; i < 2 * (size_t)lm->layers; i++) {
        hone__part_name(name, HONE__PART_PRESENT_SELF, i);
        hone__emit_output(&lm->b, name, lm->present[i]);
        hone__part_name(name, HONE__PART_PRESENT_CROSS, i);
        hone__emit_output(&lm->b, name, w.cross_out[i]);
    }
    snprintf(name, sizeof name, "frames=%lld\n", (long long)(2 * w.frames));
    hone__builder_fail(&lm->b, hone__model_set_metadata(lm->b.graph->model, HONE__KEY_SPEECH, name));
    hone__lm_finish(lm, logits);
}
