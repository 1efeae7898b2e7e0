/* compare.c: copies both graphs, makes shared values outputs, runs, measures. */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exec/session.h"
#include "graph/clone.h"
#include "ops/eval.h"

typedef struct side {
    hone__model *copy;
    hone__session *session;
    hone__tensor *in;
    const hone__tensor **in_list, **out;
    size_t outputs; /* of the model itself; shared values follow */
} side;

static int by_name(const void *a, const void *b)
{
    return strcmp((*(hone__value *const *)a)->name, (*(hone__value *const *)b)->name);
}

/* Values made by nodes, float32, that are no output, by name. */
static hone_status list_values(hone__graph *g, hone__value ***out, size_t *count)
{
    size_t n = 0;
    for (hone__value *v = g->values; v; v = v->next) n++;
    *count = 0;
    *out = hone__calloc(n + 1, sizeof **out);
    if (!*out) return hone__out_of_memory(n);
    for (hone__value *v = g->values; v; v = v->next)
        if (v->producer && v->dtype == HONE_F32 && !v->output_count && *v->name) (*out)[(*count)++] = v;
    qsort(*out, *count, sizeof **out, by_name);
    return HONE_OK;
}

static hone_status share(hone__graph *a, hone__graph *b, size_t *shared)
{
    hone__value **x = NULL, **y = NULL;
    size_t nx, ny;
    hone_status s = list_values(a, &x, &nx);
    if (s == HONE_OK) s = list_values(b, &y, &ny);
    *shared = 0;
    for (size_t i = 0, j = 0; s == HONE_OK && i < nx && j < ny;) {
        int order = strcmp(x[i]->name, y[j]->name);
        if (!order) {
            s = hone__graph_add_output(a, x[i]);
            if (s == HONE_OK) s = hone__graph_add_output(b, y[j]);
            ++*shared;
        }
        i += order <= 0;
        j += order >= 0;
    }
    hone__free(x);
    hone__free(y);
    return s;
}

static hone_status prepare(const hone__model *m, side *s)
{
    HONE__TRY(hone__model_clone(m, &s->copy));
    s->outputs = m->graph->output_count;
    return hone__graph_infer(s->copy->graph);
}

static size_t input_for(const hone__graph *from, const hone__graph *to, size_t i)
{
    for (size_t k = 0; k < from->input_count; k++)
        if (!strcmp(from->inputs[k]->name, to->inputs[i]->name)) return k;
    return i;
}

static hone_status start(side *s, const hone__graph *first, const hone_tensor *inputs, int threads)
{
    const hone__graph *g = s->copy->graph;
    hone__session_options o = {.plain = true, .threads = threads};
    if (g->input_count != first->input_count)
        return hone__fail(HONE_E_ARGUMENT, "the models have %zu and %zu inputs", first->input_count, g->input_count);
    s->in = hone__calloc(g->input_count + 1, sizeof *s->in);
    s->in_list = hone__calloc(g->input_count + 1, sizeof *s->in_list);
    s->out = hone__calloc(g->output_count + 1, sizeof *s->out);
    if (!s->in || !s->in_list || !s->out) return hone__out_of_memory(g->output_count);
    for (size_t i = 0; i < g->input_count; i++) {
        const hone_tensor *t = &inputs[input_for(first, g, i)];
        s->in[i] = (hone__tensor){.dtype = t->dtype, .rank = t->rank, .data = t->data};
        memcpy(s->in[i].dims, t->dims, sizeof t->dims);
        HONE__TRY(hone__shape_bytes(t->dtype, t->rank, t->dims, &s->in[i].count, &s->in[i].bytes));
        s->in_list[i] = &s->in[i];
    }
    HONE__TRY(hone__session_create(s->copy, &o, &s->session));
    return hone__session_run(s->session, s->in_list, g->input_count, s->out, g->output_count);
}

static void finish(side *s)
{
    hone__session_destroy(s->session);
    hone__model_destroy(s->copy);
    hone__free(s->in);
    hone__free(s->in_list);
    hone__free(s->out);
}

static bool measure(const hone__tensor *a, const hone__tensor *b, hone__difference *d)
{
    double aa = 0, bb = 0, ab = 0, ee = 0;
    if (a->count != b->count || !a->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        double x = hone__element_f64(a->dtype, a->data, i), y = hone__element_f64(b->dtype, b->data, i), e = x - y;
        aa += x * x;
        bb += y * y;
        ab += x * y;
        ee += e * e;
        if (fabs(e) > d->max_error || isnan(e)) d->max_error = fabs(e);
        if (fabs(x) > d->max_value) d->max_value = fabs(x);
    }
    d->count = a->count;
    d->sqnr_db = ee > 0 ? 10 * log10(aa / ee) : isnan(ee) ? NAN : INFINITY;
    d->cosine = aa > 0 && bb > 0 ? ab / sqrt(aa) / sqrt(bb) : ee > 0 ? 0 : 1;
    return true;
}

static double rank_of(const hone__difference *d) { return isnan(d->sqnr_db) ? -INFINITY : d->sqnr_db; }

static int worst_first(const void *a, const void *b)
{
    double x = rank_of(a), y = rank_of(b);
    return (x > y) - (x < y);
}

static hone_status collect(const hone__model *a, const side *x, const side *y, size_t shared, hone__difference **out,
                           size_t *count)
{
    size_t pairs = x->outputs < y->outputs ? x->outputs : y->outputs;
    *count = 0;
    *out = hone__calloc(pairs + shared + 1, sizeof **out);
    if (!*out) return hone__out_of_memory(pairs + shared);
    for (size_t i = 0; i < pairs + shared; i++) {
        const hone__tensor *s = x->out[i < pairs ? i : x->outputs + i - pairs];
        const hone__tensor *t = y->out[i < pairs ? i : y->outputs + i - pairs];
        hone__difference d = {.output = i < pairs};
        const char *name =
            i < pairs ? a->graph->outputs[i]->name : x->copy->graph->outputs[x->outputs + i - pairs]->name;
        if (!measure(s, t, &d)) continue;
        for (const hone__value *v = a->graph->values; v; v = v->next)
            if (!strcmp(v->name, name)) d.name = v->name;
        if (d.name) (*out)[(*count)++] = d;
    }
    qsort(*out, *count, sizeof **out, worst_first);
    return HONE_OK;
}

hone_status hone__compare(const hone__model *a, const hone__model *b, const hone_tensor *inputs, int threads,
                          hone__difference **out, size_t *count)
{
    side x = {0}, y = {0};
    size_t shared = 0;
    *out = NULL;
    *count = 0;
    hone_status s = prepare(a, &x);
    if (s == HONE_OK) s = prepare(b, &y);
    if (s == HONE_OK) s = share(x.copy->graph, y.copy->graph, &shared);
    if (s == HONE_OK) {
        s = start(&x, a->graph, inputs, threads);
        if (s != HONE_OK) s = hone__at(s, "first model");
    }
    if (s == HONE_OK) {
        s = start(&y, a->graph, inputs, threads);
        if (s != HONE_OK) s = hone__at(s, "second model");
    }
    if (s == HONE_OK) s = collect(a, &x, &y, shared, out, count);
    finish(&x);
    finish(&y);
    return s;
}
