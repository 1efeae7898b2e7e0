/* fuzz_onnx.c: bytes as an .onnx file: read, infer, optimise, and, where inputs are small, run under a memory limit. */
#ifdef HONE_LIBFUZZER /* the replay needs no mutations */
#include "fuzz_onnx_mutate.h"
#endif

#include "fuzz_run.h"
#include "onnx/onnx.h"
#include "ops/eval.h"
#include "passes/passes.h"
#include "quant/quant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone__model *m;
    hone_optimize_options o = HONE_OPTIMIZE_OPTIONS_INIT;
    if (hone__onnx_parse(data, size, "fuzz", &m) != HONE_OK) return 0;
    if (hone__graph_infer(m->graph) == HONE_OK) {
        (void)fuzz_run(m);
        o.precision = size % 2 ? HONE_PRECISION_INT8 : HONE_PRECISION_INT4;
        if (hone__passes_portable(m) == HONE_OK) hone__quant_weights(m, &o, NULL, NULL);
    }
    hone__model_destroy(m);
    return 0;
}
