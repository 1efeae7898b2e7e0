/* broadcast.h: walks up to three broadcast inputs beside one dense output. */
#ifndef HONE_OPS_BROADCAST_H
#define HONE_OPS_BROADCAST_H

#include "op.h"

enum { HONE__BCAST_MAX = 3 };

/* Axes merged as far as possible; the last one has step 0 or 1 for every input. */
typedef struct hone__bcast {
    int rank, inputs;
    size_t dims[HONE_MAX_RANK], step[HONE__BCAST_MAX][HONE_MAX_RANK];
    size_t outer; /* how many inner runs */
} hone__bcast;

/* One inner run: n results from `out` on; at[i] and step[i] are in elements. */
typedef void (*hone__bcast_fn)(void *ctx, size_t out, const size_t *at, const size_t *step, size_t n);

void hone__bcast_init(hone__bcast *b, const hone__tensor *out, const hone__tensor *const *in, int inputs);
/* Over the matrices of a batched product: what stands before the last two axes of a and b. */
void hone__bcast_matrices(hone__bcast *w, const hone__tensor *a, const hone__tensor *b);
void hone__bcast_run(const hone__bcast *b, hone__pool *pool, hone__bcast_fn fn, void *ctx);

#endif
