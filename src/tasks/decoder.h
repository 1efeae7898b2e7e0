/* decoder.h: tokens in, scores of what comes next out, over caches of keys and values that stay between runs. */
#ifndef HONE_TASKS_DECODER_H
#define HONE_TASKS_DECODER_H

#include "exec/session.h"

typedef struct hone__decoder hone__decoder;

typedef struct hone__decoder_options {
    hone__session_options session;
    size_t batch;     /* most sequences side by side */
    size_t capacity;  /* most tokens of a sequence */
    hone_dtype cache; /* HONE_F32, HONE_F16 or HONE_I8 */
} hone__decoder_options;

/* Models of passes/kv_cache.h, and, slower, any of decoder_plain.h (`cache` is the model's own then, and cannot be
 * HONE_I8); HONE_E_UNSUPPORTED for others; HONE_E_LIMIT where the caches would pass
 * session.max_memory. The model may be destroyed afterwards. */
hone_status hone__decoder_create(const hone__model *model, const hone__decoder_options *options, hone__decoder **out);
void hone__decoder_destroy(hone__decoder *decoder); /* NULL is fine */
size_t hone__decoder_capacity(const hone__decoder *decoder);
size_t hone__decoder_length(const hone__decoder *decoder); /* tokens in the caches, padding included */

/* What a decoder with an encoder attends to: keys and values of layer 0, 1, ... (tasks/encoder.h), of the type of its
 * own caches, for a batch that divides that of the sequences: neighbours share. Read until others are set.
 * HONE_E_ARGUMENT for another number of them than the model has. */
hone_status hone__decoder_attend(hone__decoder *decoder, const hone__tensor *caches, size_t count);

/* Empties the caches for `batch` sequences; the first first[b] tokens of sequence b are padding (NULL: none). */
hone_status hone__decoder_start(hone__decoder *decoder, size_t batch, const int64_t *first);
/* ids: [batch, n], the next n tokens of every sequence. scores: [batch, rows, vocab], rows n with `all`, else 1, that
 * of the last token; valid until the next run. HONE_E_LIMIT over the capacity. */
hone_status hone__decoder_run(hone__decoder *decoder, const int64_t *ids, size_t n, bool all, const float **scores,
                              size_t *vocab);
/* One sequence becomes `batch` of them, all alike. */
hone_status hone__decoder_spread(hone__decoder *decoder, size_t batch);
/* Forgets the tokens from `length` on. */
void hone__decoder_rewind(hone__decoder *decoder, size_t length);
/* Sequence b goes on from what sequence from[b] has. */
hone_status hone__decoder_reorder(hone__decoder *decoder, const int32_t *from);

#endif
