/* search.h: what GreedySearch, Sampling, BeamSearch and WhisperBeamSearch of com.microsoft share: their inputs, the
 * rules on scores, and what their decoder is fed from one token to the next. */
#ifndef HONE_OPS_SEARCH_H
#define HONE_OPS_SEARCH_H

#include "kernels/choose/choose.h"
#include "subgraph.h"

enum { HONE__SEARCH_TOKENS = 4096, HONE__SEARCH_BEAMS = 128 }; /* the most, as in ONNX Runtime */

typedef enum hone__search_kind { HONE__GREEDY = 0, HONE__SAMPLING, HONE__BEAM, HONE__WHISPER } hone__search_kind;

typedef struct hone__search {
    hone__run *r;
    hone__search_kind kind;
    hone__graph *decoder, *first; /* first: of a prompt, where another graph takes that */
    size_t batch, beams, rows;    /* rows: batch * beams */
    size_t length, max_length, min_length, returned, vocab, ngram;
    int32_t eos, pad, start;
    float length_penalty, repetition, temperature, presence;
    bool timestamped;
    hone__timestamps timestamps;
    int step;        /* 1: the first token */
    uint8_t *mask;   /* [vocab] or NULL */
    uint8_t *prefix; /* [batch, vocab] or NULL: for the first token */
    float *present;  /* [batch, vocab] or NULL: what costs `presence` */
    float *scores;   /* [rows, vocab] */
    uint8_t *seen;   /* [vocab] */
    void *memory;    /* of all these */
    /* the decoder's inputs; two of each state, since a graph may hand out its input */
    hone__keep *feeds;
    const hone__tensor **in, **out;
    size_t feed_count, first_past, past_count;
} hone__search;

/* Checks the node's inputs and reads them. `length`: tokens of the prompt. */
hone_status hone__search_start(hone__search *s, hone__run *r, hone__search_kind kind);
void hone__search_end(hone__search *s);

/* Room for scores and masks, once the vocabulary is known. */
hone_status hone__search_room(hone__search *s, size_t vocab);
/* The last position's scores of every row from logits [rows or batch, n, vocab], through the rules: as logarithms of
 * probabilities where `normal`. ids: [rows, stride], `length` of each. Counts the step. */
hone_status hone__search_scores(hone__search *s, const hone__tensor *logits, bool normal, const int32_t *ids,
                                size_t stride, size_t length);

/* Room for the decoder's inputs, of which the `past_count` from `first_past` on are its states. */
hone_status hone__search_feeds(hone__search *s, size_t first_past, size_t past_count);
/* Input i is [rows, cols] integers, of the type that the graph declares. data: rows `stride` apart. */
hone_status hone__search_feed_ints(hone__search *s, const hone__graph *g, size_t i, size_t cols, const int32_t *data,
                                   size_t stride);
/* Input i of the next step: rows from[0 .. rows) of t along an axis; from NULL: row / beams, of a tensor with one row
 * per entry. */
hone_status hone__search_feed_rows(hone__search *s, size_t i, const hone__tensor *t, int axis, const int32_t *from);
hone_status hone__search_feed_empty(hone__search *s, const hone__graph *g, size_t i, int axis, int empty);
/* Runs a graph on the feeds of the current step; the outputs are s->out. */
hone_status hone__search_run(hone__search *s, hone__graph *g);

/* Inference of all of them: inputs counted, the outputs' types; shapes are known when they run. */
hone_status hone__search_infer(hone__infer *x, hone__search_kind kind);

#endif
