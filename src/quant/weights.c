/* weights.c: walks the graph and decides per weight. */
#include "quant.h"

hone_status hone__quant_weights(hone__model *model, const hone_optimize_options *options, hone_change_fn fn, void *ctx)
{
    (void)model, (void)fn, (void)ctx;
    if (options->precision == HONE_PRECISION_FP32) return HONE_OK;
    return hone__fail(HONE_E_UNSUPPORTED, "this precision");
}
