/* kv_cache.h: a decoder that takes and gives keys and values becomes one that keeps them: for generating text. */
#ifndef HONE_PASSES_KV_CACHE_H
#define HONE_PASSES_KV_CACHE_H

#include "graph/graph.h"

/* Metadata of a decoder: its attentions are causal, and see the last so many tokens: one number per layer, 0 all.
 * Whoever writes it vouches that the graph's masks say just that, and what `attention_mask` leaves out. */
#define HONE__KEY_WINDOWS "hone.attention.windows"

typedef struct hone__kv_options {
    hone_dtype dtype; /* of the caches: HONE_F32, HONE_F16 or HONE_I8 */
    int64_t capacity; /* tokens */
    bool last_only;   /* scores of the last token alone */
} hone__kv_options;

/* Inputs of the graph that it becomes, by position; -1: absent. Its only output is the scores [B, S or 1, vocabulary].
 * Caches: [B, heads, capacity, size], or size + 4 in int8 (a row's scale is behind it), keys and values of layer 0, 1,
 * ... from input `caches` on; first: int64 [B], rows before it are padding; before: int64 [1], rows that the caches
 * hold already. A run writes the rows of its own tokens into the caches. Of a decoder with an encoder, from `cross` on:
 * keys and values of what was encoded (parts.h), in the same type and layout, of a batch that divides B; seen: int64
 * [1], rows of them that count. */
typedef struct hone__kv_graph {
    int ids, positions, caches, first, before, cross, seen;
    size_t layers;
} hone__kv_graph;

/* Rewrites the model in place. HONE_E_UNSUPPORTED, and what is in the way, where it is no such decoder; the model is
 * only good for destroying then. */
hone_status hone__kv_cache_apply(hone__model *model, const hone__kv_options *options, hone__kv_graph *out);

/* The part HONE__PART_CROSS of parts.h in place: input `hidden` is [B, T, width], inputs from `caches` on are such keys
 * and values, which a run fills; outputs: int64 [1] each, T. Errors likewise. */
typedef struct hone__kv_store {
    int hidden, caches;
    size_t layers;
} hone__kv_store;
hone_status hone__kv_store_apply(hone__model *model, hone_dtype dtype, hone__kv_store *out);

#endif
