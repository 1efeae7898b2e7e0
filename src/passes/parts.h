/* parts.h: a model of encoder and decoder as one graph, and the parts of it that are saved and run. Names are those of
 * optimum's exports (exporters/onnx/model_configs.py). */
#ifndef HONE_PASSES_PARTS_H
#define HONE_PASSES_PARTS_H

#include "graph/graph.h"

/* The whole: input_features [B, mels, F] or input_ids of the encoder, decoder tokens input_ids [B, S],
 * past_key_values.{i}.decoder.key|value [B, heads, P, size] -> logits [B, S, vocabulary], last_hidden_state [B, T,
 * width], present.{i}.decoder.key|value [B, heads, P + S, size], present.{i}.encoder.key|value [B, heads, T, size]. */
#define HONE__PART_ENCODED "last_hidden_state"
#define HONE__PART_HIDDEN "encoder_hidden_states" /* the same, where it is an input */

typedef enum hone__part {
    HONE__PART_ENCODER, /* features -> last_hidden_state */
    HONE__PART_CROSS,   /* encoder_hidden_states -> present.{i}.encoder.* */
    HONE__PART_FIRST,   /* tokens, encoder_hidden_states -> logits, present.{i}.decoder.*, present.{i}.encoder.* */
    HONE__PART_PLAIN,   /* tokens, encoder_hidden_states -> logits */
    HONE__PART_NEXT     /* tokens, past_key_values.{i}.decoder.*, past_key_values.{i}.encoder.* -> logits,
                           present.{i}.decoder.* */
} hone__part;

typedef enum hone__part_tensor {
    HONE__PART_PAST_SELF,
    HONE__PART_PAST_CROSS,
    HONE__PART_PRESENT_SELF,
    HONE__PART_PRESENT_CROSS
} hone__part_tensor;

/* Name of tensor `i` of a kind: 2 * layer for keys, 2 * layer + 1 for values. */
void hone__part_name(char name[64], hone__part_tensor kind, size_t i);

/* A copy of the model that is only that part; weights are shared. From a FIRST, CROSS and PLAIN can be cut, too.
 * HONE_E_FORMAT where the model lacks what the part gives. */
hone_status hone__part_cut(const hone__model *model, hone__part part, hone__model **out);

/* Whether a model is a whole: it gives both what an encoder and what a decoder gives. */
bool hone__part_is_whole(const hone__model *model);

/* How a model is saved: which files, and what is in each. */
typedef enum hone__layout_kind {
    HONE__LAYOUT_WITH_PAST, /* encoder_model, decoder_model, decoder_with_past_model */
    HONE__LAYOUT_NO_CACHE,  /* encoder_model, decoder_model without keys and values */
    HONE__LAYOUT_SPLIT      /* <prefix>_encoder, _cache_initializer, _decoder, as RTranslator's files */
} hone__layout_kind;

enum { HONE__LAYOUT_FILES = 4 };
typedef struct hone__layout_file {
    char name[64];
    hone__model *model;
} hone__layout_file;

/* files: HONE__LAYOUT_FILES, of which *count are made; the caller destroys their models. The metadata of the whole goes
 * into the first, that of attention (kv_cache.h) into all. */
hone_status hone__layout_make(const hone__model *whole, hone__layout_kind kind, const char *prefix,
                              hone__layout_file *files, size_t *count);

#endif
