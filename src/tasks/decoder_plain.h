/* decoder_plain.h: language models as other tools write them (optimum, onnxruntime-genai, hone's own without a cache):
 * the graph stays as it is, and the keys and values that a run gives go into the next one. Each sequence runs alone, so
 * that no model needs to know of padding. What decoder.h promises, decoder_plain.c does, under the same names. */
#ifndef HONE_TASKS_DECODER_PLAIN_H
#define HONE_TASKS_DECODER_PLAIN_H

#include "tasks/decoder.h"

typedef struct hone__plain hone__plain;

/* Inputs: input_ids [1, tokens]; where they are there: attention_mask [1, past + tokens], position_ids [1, tokens],
 * use_cache_branch, and per layer past_key_values.N.key and .value [1, heads, past, size] or past_N [2, 1, heads, past,
 * size]. Outputs: logits, and present.N.* (present_N) for every past. Without a past the whole text runs again for each
 * token. HONE_E_UNSUPPORTED names an input of another kind. The model must outlive what is made. */
hone_status hone__plain_create(const hone__model *model, const hone__decoder_options *options, hone__plain **out);
void hone__plain_destroy(hone__plain *plain); /* NULL is fine */
void hone__plain_start(hone__plain *plain, size_t batch, const int64_t *first);
hone_status hone__plain_run(hone__plain *plain, const int64_t *ids, size_t n, bool all, const float **scores,
                            size_t *vocab);
hone_status hone__plain_spread(hone__plain *plain, size_t batch);
void hone__plain_rewind(hone__plain *plain, size_t length);
hone_status hone__plain_reorder(hone__plain *plain, const int32_t *from);

/* Metadata: "1" where a run over a past takes one token at a time. */
#define HONE__KEY_STEP "hone.decoder.step"

#endif
