/* perplexity.h: how well a language model foresees a text. */
#ifndef HONE_MEASURE_PERPLEXITY_H
#define HONE_MEASURE_PERPLEXITY_H

#include <stdbool.h>

#include "hone/hone.h"

typedef struct hone__perplexity_options {
    int threads;
    size_t context;   /* tokens of a window; 0: as many as the model can, 2048 of one that does not say */
    size_t stride;    /* tokens from the start of a window to the next one's; 0: context */
    hone_dtype cache; /* of keys and values; 0: float16 */
    void (*progress)(void *ctx, size_t done, size_t total); /* tokens of the text; may be NULL */
    void *ctx;
} hone__perplexity_options;

typedef struct hone__perplexity {
    double nll; /* sum over the scored tokens of -ln p(token | the window's tokens before it) */
    size_t tokens, scored, windows, context, stride; /* context, stride: as used */
} hone__perplexity;

/* ids: a text of `count` tokens, at least two. Window i holds the tokens [i * stride, i * stride + context) of it, as
 * far as there are any; the last window is the first one that reaches the end. In each window those tokens are scored
 * that no window before has held, but never the text's first token nor, where windows do not overlap, a window's first
 * one: nothing stands before it. Every window starts with empty caches at position 0. Perplexity is exp(nll / scored).
 * Errors: HONE_E_UNSUPPORTED where the model is no decoder with a cache; HONE_E_ARGUMENT for a text that is too short,
 * a token that the model has no score for, a stride over the context; HONE_E_FORMAT where scores are not finite. */
hone_status hone__perplexity_measure(const hone_model *model, const uint32_t *ids, size_t count,
                                     const hone__perplexity_options *options, hone__perplexity *out);

#endif
