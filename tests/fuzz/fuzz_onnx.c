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
#include "tensor/list.h"

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

/* Zeros, or short strings; false where the shape is too big or unknown sizes are too many. */
static bool fill_tensor(const hone__value *v, hone__tensor *t)
{
    static char zeros[ELEMENTS * 16];
    static hone__string strings[ELEMENTS];
    static const hone__string words[] = {{"", 0}, {"a b", 3}, {"Ab", 2}, {"\xc3\xa9;x", 4}, {"7.5", 3}};
    *t = (hone__tensor){.dtype = v->dtype, .rank = v->shape.rank < 0 ? 1 : v->shape.rank, .data = zeros};
    for (int k = 0; k < t->rank; k++) t->dims[k] = v->shape.rank < 0 || v->shape.dims[k] < 0 ? 1 : v->shape.dims[k];
    if (hone__shape_bytes(t->dtype, t->rank, t->dims, &t->count, &t->bytes) || t->bytes > sizeof zeros) return false;
    if (t->dtype != HONE_STRING) return true;
    for (size_t i = 0; i < t->count; i++) strings[i] = words[i % (sizeof words / sizeof *words)];
    t->data = strings;
    return true;
}

static void run(const hone__model *m)
{
    hone__session_options o = {.threads = 1, .max_memory = LIMIT, .cancel = &cancel};
    hone__session *s;
    hone__tensor in[INPUTS], items[INPUTS][2];
    hone__list lists[INPUTS];
    const hone__tensor *list[INPUTS], *out[INPUTS];
    const hone__graph *g = m->graph;
    if (g->input_count > INPUTS || g->output_count > INPUTS) return;
    for (size_t i = 0; i < g->input_count; i++) {
        const hone__value *v = g->inputs[i];
        if (!fill_tensor(v, &in[i])) return;
        if (v->wrap & HONE__OF_OPTIONAL && v->id % 2) in[i] = (hone__tensor){.kind = HONE_KIND_NONE};
        if (v->wrap & HONE__OF_SEQUENCE && in[i].kind == HONE_KIND_TENSOR) {
            items[i][0] = items[i][1] = in[i];
            lists[i] = (hone__list){.refs = 1, .borrowed = true, .items = items[i], .used = 2};
            in[i] = hone__list_value(&lists[i], v->dtype);
        }
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
