/* fuzz_run.h: runs whatever model a fuzz target has made, under limits of memory and time. */
#ifndef HONE_TESTS_FUZZ_RUN_H
#define HONE_TESTS_FUZZ_RUN_H

#include <signal.h>
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

/* Zeros, or short strings; false where the shape is too big or unknown sizes are too many. */
static bool fuzz_fill(const hone__value *v, hone__tensor *t)
{
    static char zeros[FUZZ_ELEMENTS * 16];
    static hone__string strings[FUZZ_ELEMENTS];
    static const hone__string words[] = {{"", 0}, {"a b", 3}, {"Ab", 2}, {"\xc3\xa9;x", 4}, {"7.5", 3}};
    *t = (hone__tensor){.dtype = v->dtype, .rank = v->shape.rank < 0 ? 1 : v->shape.rank, .data = zeros};
    for (int k = 0; k < t->rank; k++) t->dims[k] = v->shape.rank < 0 || v->shape.dims[k] < 0 ? 1 : v->shape.dims[k];
    if (hone__shape_bytes(t->dtype, t->rank, t->dims, &t->count, &t->bytes) || t->bytes > sizeof zeros) return false;
    if (t->dtype != HONE_STRING) return true;
    for (size_t i = 0; i < t->count; i++) strings[i] = words[i % (sizeof words / sizeof *words)];
    t->data = strings;
    return true;
}

/* Inputs of zeros, where they are small; HONE_OK where they are not, and nothing ran. */
static hone_status fuzz_run(const hone__model *m)
{
    hone__session_options o = {.threads = 1, .max_memory = FUZZ_LIMIT, .cancel = &fuzz_cancel};
    hone__session *s;
    hone__tensor in[FUZZ_INPUTS], items[FUZZ_INPUTS][2];
    hone__list lists[FUZZ_INPUTS];
    const hone__tensor *list[FUZZ_INPUTS], *out[FUZZ_INPUTS];
    const hone__graph *g = m->graph;
    if (g->input_count > FUZZ_INPUTS || g->output_count > FUZZ_INPUTS) return HONE_OK;
    for (size_t i = 0; i < g->input_count; i++) {
        const hone__value *v = g->inputs[i];
        if (!fuzz_fill(v, &in[i])) return HONE_OK;
        if (v->wrap & HONE__OF_OPTIONAL && v->id % 2) in[i] = (hone__tensor){.kind = HONE_KIND_NONE};
        if (v->wrap & HONE__OF_SEQUENCE && in[i].kind == HONE_KIND_TENSOR) {
            items[i][0] = items[i][1] = in[i];
            lists[i] = (hone__list){.refs = 1, .borrowed = true, .items = items[i], .used = 2};
            in[i] = hone__list_value(&lists[i], v->dtype);
        }
        list[i] = &in[i];
    }
    HONE__TRY(hone__session_create(m, &o, &s));
    fuzz_timer(300000);
    hone_status status = hone__session_run(s, list, g->input_count, out, g->output_count);
    fuzz_timer(0);
    hone__session_destroy(s);
    return status;
}

#endif
