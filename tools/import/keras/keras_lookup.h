/* keras_lookup.h: vocabularies of texts, shared by StringLookup and TextVectorization. */
#ifndef HONE_IMPORT_KERAS_LOOKUP_H
#define HONE_IMPORT_KERAS_LOOKUP_H

#include "keras.h"

enum { K_DROPPED = K_MAX_DIM }; /* an id beyond every class: it counts nowhere */

typedef struct kvocabulary {
    hone__string *words;
    size_t count;
    bool specials_found; /* the mask and the unknown stood in front */
} kvocabulary;

typedef struct klookup {
    const char *mode;
    bool whole, invert; /* output_mode "int"; places to texts */
    bool has_mask;
    hone__string mask, unknown_word;
    int64_t masks_first, unknown, first; /* places before the words: of the mask, of the unknown, both */
} klookup;

/* False: an error was left. */
bool hone__klookup_read(kctx *c, const klayer *l, klookup *k);
bool hone__kvocabulary_read(kctx *c, const klayer *l, const klookup *k, kvocabulary *v);
/* The lines of the layer's vocabulary.txt in the archive. */
bool hone__kvocabulary_lines(kctx *c, const klayer *l, kvocabulary *v);
/* x: texts to int64 ids (or back), the mask to `mask_value`. */
hone__value *hone__klookup_emit(kctx *c, const klookup *k, const kvocabulary *v, hone__value *x, int64_t mask_value);
/* Places below 0 (not known) become the place of their bucket among those of the unknown. */
hone__value *hone__klookup_spread(kctx *c, const klookup *k, hone__value *at, hone__value *bucket);
/* Texts to one of so many buckets. */
hone__value *hone__k_hash_bucket(kctx *c, hone__value *x, int64_t buckets);
kt *hone__klookup_finish(kctx *c, klayer *l, const klookup *k, const kvocabulary *v, kt *ids);

#endif
