/* family.h: what the families of language models share: a decoder's inputs, masks, attention, layers and outputs, made
 * of a checkpoint's tensors. Failures stick in the builder; a family checks nothing until hone__lm_finish. */
#ifndef HONE_IMPORT_FAMILY_H
#define HONE_IMPORT_FAMILY_H

#include "graph/builder.h"
#include "hone/model.h"
#include "tools/import/hugging_face/checkpoint.h"
#include "tools/import/hugging_face/hf_config.h"

enum { HONE__LM_LAYERS = 1024 };

typedef struct hone__lm_mask {
    int64_t window;
    hone__value *seen; /* bool [B, 1, S, T] */
} hone__lm_mask;

typedef struct hone__lm {
    hone__builder b;
    hone__hf_config config;
    hone__checkpoint *weights;
    const char *model_type, *prefix; /* prefix: of the tensors' names, such as "transformer." or "" */
    bool no_cache;                   /* of hone__import_options, as is the next */
    hone_precision precision;
    int64_t layers, heads, kv_heads, head, width, vocab, context;
    double epsilon;                      /* of the normalisations */
    hone__value *ids, *mask, *positions; /* inputs: [B, S], [B, T], [B, S] */
    hone__value **past, **present;       /* key, value per layer; past: NULL entries without a cache */
    int64_t *windows;                    /* per layer: tokens that it sees, 0 all */
    hone__value *keys, *rows, *real;     /* what masks are made of */
    hone__lm_mask *masks;
    size_t mask_count;
    size_t inner, kept_bytes; /* statistics: weights taken */
} hone__lm;

/* y = HONE__LM("Mul", a, b): a node without attributes. */
#define HONE__LM(op, ...) hone__emit(&lm->b, op, op, HONE__INS(__VA_ARGS__), HONE__NO_ATTRS)

/* Sticks the failure of a family that found a configuration it cannot build: message stands already. */
void hone__lm_fail(hone__lm *lm, hone_status status);

/* Inputs, once layers, heads, kv_heads, head, width, vocab and context are known. False: a failure sticks. */
bool hone__lm_begin(hone__lm *lm);
/* Names nodes of a layer "<layer>/..."; below 0: none. */
void hone__lm_scope(hone__lm *lm, int64_t layer);

/* The tensor <prefix><name> as float32 of this shape; names are built like printf's. */
hone__value *hone__lm_weight(hone__lm *lm, int rank, const int64_t *dims, const char *name, ...) HONE__PRINTF(4, 5);
hone__value *hone__lm_vector(hone__lm *lm, int64_t n, const char *name, ...) HONE__PRINTF(3, 4);
bool hone__lm_has(const hone__lm *lm, const char *name); /* with its prefix */

/* x W^T + b of torch's Linear, W [out, in] as <name>.weight; and x W + b of GPT-2's Conv1D, W [in, out]. */
hone__value *hone__lm_linear(hone__lm *lm, hone__value *x, int64_t in, int64_t out, bool bias, const char *name);
hone__value *hone__lm_conv1d(hone__lm *lm, hone__value *x, int64_t in, int64_t out, const char *name);
hone__value *hone__lm_layer_norm(hone__lm *lm, hone__value *x, const char *name);
/* Rows of the embedding [vocab, width] for the input's tokens; *table is all of it. */
hone__value *hone__lm_embed(hone__lm *lm, const char *name, hone__value **table);
/* Scores over `table`, or over lm_head.weight of its own where it is NULL. */
hone__value *hone__lm_head(hone__lm *lm, hone__value *x, hone__value *table);
/* width / heads; one that does not divide evenly sticks in the configuration. */
int64_t hone__lm_even_heads(hone__lm *lm);
/* By transformers' name; an unknown one is a failure. */
hone__value *hone__lm_activation(hone__lm *lm, hone__value *x, const char *name);

typedef struct hone__lm_attention {
    double scale, softcap; /* softcap 0: none */
    int64_t window;        /* 0: all */
} hone__lm_attention;

/* q: [B, S, heads * head], k, v: [B, S, kv_heads * head] -> [B, S, heads * head]. */
hone__value *hone__lm_attend(hone__lm *lm, int64_t layer, hone__value *q, hone__value *k, hone__value *v,
                             const hone__lm_attention *options);

/* Outputs and metadata. */
hone_status hone__lm_finish(hone__lm *lm, hone__value *logits);

#define HONE_FAMILY(model_type, builder) void hone__family_##builder(hone__lm *lm);
#include "families.def"
#undef HONE_FAMILY

#endif
