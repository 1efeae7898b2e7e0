/* rope.h: rotary positions as transformers' configurations describe them. */
#ifndef HONE_IMPORT_ROPE_H
#define HONE_IMPORT_ROPE_H

#include "family.h"

typedef struct hone__rope {
    hone__value *cos, *sin; /* [B, S, head / 2] */
} hone__rope;

/* Of layers of `kind` ("full_attention", "sliding_attention"; NULL: all alike), with this base where the configuration
 * gives none. rope_parameters (transformers 5) or rope_theta and rope_scaling; types default, linear, dynamic, llama3,
 * yarn. Scaling that reaches further than max_position_embeddings lengthens the model's context. */
hone__rope hone__rope_make(hone__lm *lm, const char *kind, double base);
/* Turns [B, S, heads * head]. */
hone__value *hone__rope_turn(hone__lm *lm, hone__value *x, int64_t heads, const hone__rope *rope);

#endif
