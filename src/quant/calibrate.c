/* calibrate.c: runs the float model on samples, once for the extremes and once more for histograms. */
#include "calibrate.h"

#include <math.h>
#include <string.h>

#include "exec/session.h"
#include "graph/clone.h"

enum { BINS = 2048, INPUTS = 64 };

typedef struct watch {
    hone__session *session;
    size_t own_outputs, count; /* of the model; values watched behind them */
    const hone__tensor **outputs;
    hone__range *ranges;
    unsigned long long *histograms; /* [count, BINS]; NULL in the first round */
} watch;

/* A copy of the model that also hands out the values. A clone numbers its values anew, in the same order: they are
 * found by position. */
static hone_status add_outputs(hone__model *copy, const hone__model *model, hone__value *const *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hone__value *a = model->graph->values, *b = copy->graph->values;
        while (a && a != values[i]) a = a->next, b = b ? b->next : NULL;
        if (!a || !b) return hone__fail(HONE_E_INTERNAL, "a value was lost while copying");
        HONE__TRY(hone__graph_add_output(copy->graph, b));
    }
    return HONE_OK;
}

static hone_status note(watch *w, size_t i, size_t sample)
{
    const hone__tensor *t = w->outputs[w->own_outputs + i];
    hone__range *r = &w->ranges[i];
    if (t->dtype != HONE_F32) return hone__fail(HONE_E_INTERNAL, "a watched value is not float32");
    const float *x = t->data;
    for (size_t k = 0; k < t->count; k++) {
        if (!isfinite(x[k])) return hone__fail(HONE_E_ARGUMENT, "sample %zu makes a value that is not finite", sample);
        if (!w->histograms) {
            if (x[k] < r->low) r->low = x[k];
            if (x[k] > r->high) r->high = x[k];
            continue;
        }
        double at = r->high > r->low ? ((double)x[k] - r->low) / (r->high - r->low) * BINS : 0;
        w->histograms[i * BINS + (at >= BINS ? BINS - 1 : at > 0 ? (size_t)at : 0)]++;
    }
    return HONE_OK;
}

static hone_status one_sample(watch *w, const hone_tensor *in, size_t count, size_t sample)
{
    hone__tensor own[INPUTS];
    const hone__tensor *list[INPUTS];
    for (size_t i = 0; i < count; i++) {
        own[i] = (hone__tensor){.dtype = in[i].dtype, .rank = in[i].rank, .data = in[i].data};
        memcpy(own[i].dims, in[i].dims, sizeof own[i].dims);
        HONE__TRY(hone__shape_bytes(own[i].dtype, own[i].rank, own[i].dims, &own[i].count, &own[i].bytes));
        if (own[i].bytes > in[i].bytes)
            return hone__fail(HONE_E_ARGUMENT, "sample %zu is shorter than its shape", sample);
        list[i] = &own[i];
    }
    HONE__TRY(hone__session_run(w->session, list, count, w->outputs, w->own_outputs + w->count));
    for (size_t i = 0; i < w->count; i++) HONE__TRY(note(w, i, sample));
    return HONE_OK;
}

static hone_status all_samples(watch *w, const hone_calibration *c, size_t inputs)
{
    hone_tensor in[INPUTS];
    size_t sample = 0;
    for (;; sample++) {
        int end = 0;
        memset(in, 0, sizeof in);
        HONE__TRY(c->sample(c->ctx, sample, in, &end));
        if (end) break;
        hone_status s = one_sample(w, in, inputs, sample);
        if (s != HONE_OK) return hone__at(s, "calibration sample %zu", sample);
    }
    return sample ? HONE_OK : hone__fail(HONE_E_ARGUMENT, "there is no calibration sample");
}

static hone_status collect(watch *w, const hone_calibration *c, size_t inputs)
{
    for (size_t i = 0; i < w->count; i++) w->ranges[i] = (hone__range){INFINITY, -INFINITY};
    HONE__TRY(all_samples(w, c, inputs));
    if (c->method == HONE_CALIBRATE_MINMAX) return HONE_OK;
    w->histograms = hone__calloc(w->count * BINS + 1, sizeof *w->histograms);
    if (!w->histograms) return hone__out_of_memory(w->count * BINS);
    HONE__TRY(all_samples(w, c, inputs));
    for (size_t i = 0; i < w->count; i++) {
        const unsigned long long *h = w->histograms + i * BINS;
        if (!(w->ranges[i].high > w->ranges[i].low)) continue;
        w->ranges[i] = c->method == HONE_CALIBRATE_ENTROPY ? hone__range_entropy(h, BINS, w->ranges[i])
                                                           : hone__range_percentile(h, BINS, w->ranges[i], 0.9999);
    }
    return HONE_OK;
}

hone_status hone__calibrate(const hone__model *model, const hone_calibration *c, hone__value *const *values,
                            size_t count, hone__range *ranges)
{
    hone__model *copy;
    size_t inputs = model->graph->input_count;
    watch w = {.own_outputs = model->graph->output_count, .count = count, .ranges = ranges};
    if (inputs > INPUTS) return hone__fail(HONE_E_UNSUPPORTED, "calibration of a model with %zu inputs", inputs);
    HONE__TRY(hone__model_clone(model, &copy));
    w.outputs = hone__calloc(w.own_outputs + count + 1, sizeof *w.outputs);
    hone_status s = w.outputs ? add_outputs(copy, model, values, count) : hone__out_of_memory(count);
    hone__session_options o = {.plain = true};
    if (s == HONE_OK) s = hone__session_create(copy, &o, &w.session);
    if (s == HONE_OK) s = collect(&w, c, inputs);
    hone__session_destroy(w.session);
    hone__free(w.histograms);
    hone__free(w.outputs);
    hone__model_destroy(copy);
    return s;
}
