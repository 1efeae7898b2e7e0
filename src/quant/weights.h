/* weights.h: what the parts of weight quantisation share. Private to quant. */
#ifndef HONE_QUANT_WEIGHTS_H
#define HONE_QUANT_WEIGHTS_H

#include "passes/match.h"
#include "quant.h"

/* What became of a weight, for the other nodes that read it. */
typedef struct hone__quant_made {
    const hone__value *from;
    hone__value *codes, *scales; /* half precision: codes is the Cast's output */
} hone__quant_made;

typedef struct hone__quant {
    hone__model *model;
    const hone_optimize_options *options;
    hone_change_fn fn;
    void *ctx;
    hone__quant_made *made;
    size_t made_count;
    hone__scratch scratch; /* for new weights */
} hone__quant;

const hone__quant_made *hone__quant_made_of(const hone__quant *q, const hone__value *from); /* NULL: nothing yet */
hone_status hone__quant_keep(hone__quant *q, const hone__value *from, hone__value *codes, hone__value *scales);

/* In front of which node, of the graph that a weight lies in, what is made of it goes: there all that read it see it.
 */
static inline hone__node *hone__quant_place(const hone__value *from, hone__node *reader)
{
    return reader->graph == from->graph ? reader : from->graph->first;
}

/* One weight as it is considered: filled by the part that changes it, then told. */
typedef struct hone__weight {
    const hone__node *node;
    const hone__value *source; /* the constant: the node's input, or what it is turned and widened from */
    bool turned;               /* MatMul: through a Transpose */
    bool tied;                 /* rows are gathered from it, too: hone__quant_can_tie */
    const char *name;          /* of the weight, before */
    hone_dtype from;
    const char *to;
    size_t before, after;
    double error;
    const char *reason; /* not NULL: it stays as it is */
    bool again;         /* it was made and told for another node */
} hone__weight;

void hone__quant_tell(const hone__quant *q, const hone__weight *w);

/* A Gemm whose weights are a float32 constant becomes a MatMul, through a Transpose with transB, and an Add; *matmul is
 * NULL where it stays: transposed or scaled products, another C than a bias per column. */
hone_status hone__quant_split_gemm(hone__node *gemm, hone__node **matmul);

/* Each rewrites one node whose weight (input 1, or `input`) is a float32 constant, or sets w->reason. */
hone_status hone__quant_linear(hone__quant *q, hone__node *matmul, hone__weight *w);
/* A table that rows are gathered from and products read turned: one set of codes for both. can_tie: a block of 16 or
 * more, up to the wanted one, divides its width. */
bool hone__quant_can_tie(const hone__quant *q, const hone__tensor *table);
hone_status hone__quant_tied_table(hone__quant *q, hone__node *gather, hone__weight *w);
hone_status hone__quant_convolution(hone__quant *q, hone__node *conv, hone__weight *w);
hone_status hone__quant_half(hone__quant *q, hone__node *node, int input, hone__weight *w);
hone_status hone__quant_recurrent(hone__quant *q, hone__node *node, int input, hone__weight *w);
hone_status hone__quant_table(hone__quant *q, hone__node *gather, hone__weight *w); /* input 0 */

/* Convolutions, additions and max pools in static int8, before the weights of the rest are considered. */
hone_status hone__quant_static(hone__quant *q, const hone_calibration *calibration);

/* A weight whose relative error (as in hone_weight_change) would pass this stays in float. */
static inline const char *hone__quant_too_coarse(double error, bool four_bits)
{
    if (four_bits) return error > 0.25 ? "its relative error in int4 would be over 0.25" : NULL;
    return error > 0.05 ? "its relative error in int8 would be over 0.05" : NULL;
}

/* Symmetric int8 of n numbers: codes in -127..127, scale = max |x| / 127 (1 for zeros). Adds to the squared error and
 * the squared norm. */
float hone__quant_row_s8(const float *x, size_t n, int8_t *codes, double *error, double *norm);

#endif
