/* fuzz_run.h: runs whatever model a fuzz target has made, under limits of memory and time. */
#ifndef HONE_TESTS_FUZZ_RUN_H
#define HONE_TESTS_FUZZ_RUN_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include "exec/session.h"
#include "tensor/list.h"

enum { FUZZ_INPUTS = 8, FUZZ_ELEMENTS = 4096, FUZZ_LIMIT = 1 << 20 };

/* A model may ask for a loop without end: every run is cancelled after a while. */
static atomic_bool fuzz_cancel;
static void fuzz_on_timer(int number)
{
    (void)number;
    fuzz_cancel = true;
}

static void fuzz_timer(long microseconds)
{
    fuzz_cancel = false;
    signal(SIGVTALRM, fuzz_on_timer);
    setitimer(ITIMER_VIRTUAL, &(struct itimerval){.it_value.tv_usec = microseconds}, NULL);
}

/* A size for one that has none; equal names, equal sizes. */
static int64_t fuzz_size(int64_t dim) { return dim >= 0 ? dim : dim == -1 ? 1 : 1 + (-dim - 1) % 3; }

/* Zeros, or short strings; false where the shape is too big or unknown sizes are too many. */
static bool fuzz_fill(const hone__value *v, hone__tensor *t)
{
    static char zeros[FUZZ_ELEMENTS * 16];
    static hone__string strings[FUZZ_ELEMENTS];
    static const hone__string words[] = {{"", 0}, {"a b", 3}, {"Ab", 2}, {"\xc3\xa9;x", 4}, {"7.5", 3}};
    *t = (hone__tensor){.dtype = v->dtype, .rank = v->shape.rank < 0 ? 1 : v->shape.rank, .data = zeros};
    for (int k = 0; k < t->rank; k++) t->dims[k] = v->shape.rank < 0 ? 1 : fuzz_size(v->shape.dims[k]);
    if (hone__shape_bytes(t->dtype, t->rank, t->dims, &t->count, &t->bytes) || t->bytes > sizeof zeros) return false;
    if (t->dtype != HONE_STRING) return true;
    for (size_t i = 0; i < t->count; i++) strings[i] = words[i % (sizeof words / sizeof *words)];
    t->data = strings;
    return true;
}

typedef struct fuzz_io {
    hone__tensor in[FUZZ_INPUTS], items[FUZZ_INPUTS][2];
    hone__list lists[FUZZ_INPUTS];
    const hone__tensor *list[FUZZ_INPUTS], *out[FUZZ_INPUTS];
} fuzz_io;

/* False where an input is not small. */
static bool fuzz_inputs(const hone__graph *g, fuzz_io *io)
{
    if (g->input_count > FUZZ_INPUTS || g->output_count > FUZZ_INPUTS) return false;
    for (size_t i = 0; i < g->input_count; i++) {
        const hone__value *v = g->inputs[i];
        hone__tensor *in = &io->in[i];
        if (!fuzz_fill(v, in)) return false;
        if (v->wrap & HONE__OF_OPTIONAL && v->id % 2) *in = (hone__tensor){.kind = HONE_KIND_NONE};
        if (v->wrap & HONE__OF_SEQUENCE && in->kind == HONE_KIND_TENSOR) {
            io->items[i][0] = io->items[i][1] = *in;
            io->lists[i] = (hone__list){.refs = 1, .borrowed = true, .items = io->items[i], .used = 2};
            *in = hone__list_value(&io->lists[i], v->dtype);
        }
        io->list[i] = in;
    }
    return true;
}

/* Aborts where what a run gave is not what inference had said. */
static void fuzz_demand_inferred(const hone__graph *g, const fuzz_io *io)
{
    enum { SYMBOLS = 64 };
    int64_t sizes[SYMBOLS];
    for (int i = 0; i < SYMBOLS; i++) sizes[i] = -1;
    for (size_t k = 0; k < g->input_count + g->output_count; k++) {
        bool output = k >= g->input_count;
        const hone__value *v = output ? g->outputs[k - g->input_count] : g->inputs[k];
        const hone__tensor *t = output ? io->out[k - g->input_count] : io->list[k];
        if (v->wrap || t->kind != HONE_KIND_TENSOR) continue;
        bool good = !v->dtype || v->dtype == t->dtype;
        if (v->shape.rank >= 0) good = good && v->shape.rank == t->rank;
        for (int i = 0; good && i < v->shape.rank; i++) {
            int64_t want = v->shape.dims[i], *size = want <= -2 && -want - 2 < SYMBOLS ? &sizes[-want - 2] : NULL;
            if (size && *size < 0) *size = t->dims[i];
            good = want == -1 || (want >= 0 ? want : size ? *size : t->dims[i]) == t->dims[i];
        }
        if (good) continue;
        char want[160], got[160];
        fprintf(stderr, "output %zu: %s %s was inferred, %s %s came out\n", k - g->input_count,
                hone_dtype_name(v->dtype), hone__shape_text(v->shape.rank, v->shape.dims, want, sizeof want),
                hone_dtype_name(t->dtype), hone__shape_text(t->rank, t->dims, got, sizeof got));
        abort();
    }
}

/* Inputs of zeros, where they are small; HONE_OK where they are not, and nothing ran. */
static hone_status fuzz_run_with(const hone__model *m, bool check)
{
    hone__session_options o = {.threads = 1, .max_memory = FUZZ_LIMIT, .cancel = &fuzz_cancel};
    hone__session *s;
    static fuzz_io io;
    const hone__graph *g = m->graph;
    if (!fuzz_inputs(g, &io)) return HONE_OK;
    HONE__TRY(hone__session_create(m, &o, &s));
    fuzz_timer(300000);
    hone_status status = hone__session_run(s, io.list, g->input_count, io.out, g->output_count);
    fuzz_timer(0);
    if (status == HONE_OK && check) fuzz_demand_inferred(g, &io);
    hone__session_destroy(s);
    return status;
}

static inline hone_status fuzz_run(const hone__model *m) { return fuzz_run_with(m, false); }
/* For graphs whose types and shapes are all inferred, none declared by a file. */
static inline hone_status fuzz_run_checked(const hone__model *m) { return fuzz_run_with(m, true); }

#endif
