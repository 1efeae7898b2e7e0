/* fuzz_onnx.c: bytes as an .onnx file: read, infer, optimise, and, where inputs are small, run under a memory limit. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#ifdef HONE_LIBFUZZER /* the replay needs no mutations */
#include "fuzz_onnx_mutate.h"
#endif

#include "exec/session.h"
#include "onnx/onnx.h"
#include "ops/eval.h"
#include "passes/passes.h"
#include "quant/quant.h"

enum { INPUTS = 8, ELEMENTS = 4096, LIMIT = 1 << 20 };

/* A model may ask for a loop without end: every run is cancelled after a while. */
static atomic_bool cancel;
static void on_timer(int number)
{
    (void)number;
    cancel = true;
}

static void set_timer(long microseconds)
{
    cancel = false;
    signal(SIGVTALRM, on_timer);
    setitimer(ITIMER_VIRTUAL, &(struct itimerval){.it_value.tv_usec = microseconds}, NULL);
}

static void run(const hone__model *m)
{
    static char zeros[ELEMENTS * 16];
    hone__session_options o = {.threads = 1, .max_memory = LIMIT, .cancel = &cancel};
    hone__session *s;
    hone__tensor in[INPUTS];
    const hone__tensor *list[INPUTS], *out[INPUTS];
    const hone__graph *g = m->graph;
    if (g->input_count > INPUTS || g->output_count > INPUTS) return;
    for (size_t i = 0; i < g->input_count; i++) {
        const hone__value *v = g->inputs[i];
        in[i] = (hone__tensor){.dtype = v->dtype, .rank = v->shape.rank < 0 ? 1 : v->shape.rank, .data = zeros};
        for (int k = 0; k < in[i].rank; k++)
            in[i].dims[k] = v->shape.rank < 0 || v->shape.dims[k] < 0 ? 1 : v->shape.dims[k];
        if (v->dtype == HONE_STRING ||
            hone__shape_bytes(in[i].dtype, in[i].rank, in[i].dims, &in[i].count, &in[i].bytes) ||
            in[i].bytes > sizeof zeros)
            return;
        list[i] = &in[i];
    }
    if (hone__session_create(m, &o, &s) != HONE_OK) return;
    set_timer(300000);
    hone__session_run(s, list, g->input_count, out, g->output_count);
    set_timer(0);
    hone__session_destroy(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone__model *m;
    hone_optimize_options o = HONE_OPTIMIZE_OPTIONS_INIT;
    if (hone__onnx_parse(data, size, "fuzz", &m) != HONE_OK) return 0;
    if (hone__graph_infer(m->graph) == HONE_OK) {
        run(m);
        o.precision = size % 2 ? HONE_PRECISION_INT8 : HONE_PRECISION_INT4;
        if (hone__passes_portable(m) == HONE_OK) hone__quant_weights(m, &o, NULL, NULL);
    }
    hone__model_destroy(m);
    return 0;
}
