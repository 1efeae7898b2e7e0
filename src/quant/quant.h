/* quant.h: weights in fewer bits. */
#ifndef HONE_QUANT_QUANT_H
#define HONE_QUANT_QUANT_H

#include "graph/graph.h"
#include "hone/model.h"

/* Rewrites every weight of a linear layer or convolution in the wanted precision; `fn` hears of each. Shapes must have
 * been inferred. */
hone_status hone__quant_weights(hone__model *model, const hone_optimize_options *options, hone_change_fn fn, void *ctx);

#endif
