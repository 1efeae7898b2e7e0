/* op_scan.c: Scan (opset 9 and newer): a body over slices of some inputs, with states; its other outputs are put
 * together again. */
#include <string.h>

#include "subgraph.h"

/* Axis and direction lists, one entry per scanned input or output. */
static int64_t entry(const hone__node *n, const char *name, size_t i)
{
    size_t count;
    const int64_t *v = hone__node_ints(n, name, &count);
    return v && i < count ? v[i] : 0;
}

static hone_status sizes(const hone__node *n, const hone__graph *g, size_t *scanned, size_t *states)
{
    int64_t m = hone__node_int(n, "num_scan_inputs", 0);
    if (!g) return hone__fail(HONE_E_SHAPE, "attribute body is missing");
    if (m < 1 || m > n->input_count) return hone__fail(HONE_E_SHAPE, "num_scan_inputs is %lld", (long long)m);
    *scanned = (size_t)m;
    *states = (size_t)n->input_count - *scanned;
    if (g->input_count != (size_t)n->input_count || g->output_count != (size_t)n->output_count ||
        g->output_count < *states)
        return hone__fail(HONE_E_SHAPE, "the body has %zu inputs and %zu outputs, the node %d and %d", g->input_count,
                          g->output_count, n->input_count, n->output_count);
    for (int i = 0; i < n->input_count; i++)
        if (!n->inputs[i]) return hone__fail(HONE_E_SHAPE, "input %d is missing", i);
    return HONE_OK;
}

/* The shape of slices put together: as many as there are of the first scanned input. */
static void collected(hone__infer *x, size_t out, size_t states, const hone__shape *slice)
{
    const hone__shape *scanned = &x->in[states].shape;
    hone__shape *s = &x->out[out].shape;
    int from, to;
    s->rank = slice->rank + 1;
    for (int k = 0; k < s->rank; k++) s->dims[k] = -1;
    if (hone__axis(entry(x->node, "scan_output_axes", out - states), s->rank, &to) != HONE_OK) return; /* a run tells */
    for (int k = 0; k < slice->rank; k++) /* names: a Scan of no steps has 0 for them */
        if (slice->dims[k] >= 0) s->dims[k + (k >= to)] = slice->dims[k];
    if (scanned->rank > 0 && hone__axis(entry(x->node, "scan_input_axes", 0), scanned->rank, &from) == HONE_OK)
        s->dims[to] = scanned->dims[from];
}

static hone_status infer_scan(hone__infer *x)
{
    const hone__graph *g = hone__node_graph(x->node, "body");
    size_t scanned, states;
    HONE__TRY(sizes(x->node, g, &scanned, &states));
    for (int i = 0; i < x->input_count; i++)
        if (x->in[i].wrap) return hone__fail(HONE_E_SHAPE, "input %d is not a tensor", i);
    for (size_t i = 0; i < (size_t)x->output_count; i++) {
        const hone__value *v = g->outputs[i];
        if (v->wrap) return hone__fail(HONE_E_SHAPE, "output %zu is not a tensor", i);
        x->out[i].dtype = v->dtype;
        if (i < states) HONE__TRY(hone__state_infer(x, (int)i, (int)i, g->inputs[i], v));
        if (i >= states && v->shape.rank >= 0 && v->shape.rank < HONE_MAX_RANK) collected(x, i, states, &v->shape);
    }
    return HONE_OK;
}

typedef struct scan {
    hone__run *r;
    hone__graph *body;
    size_t states, scanned;
    int64_t steps;
    hone__keep *keep; /* states of odd steps, collections, states of even steps, slices */
    const hone__tensor **in, **out;
} scan;

static hone_status measure(scan *s)
{
    s->steps = -1;
    for (size_t i = 0; i < s->scanned; i++) {
        const hone__tensor *t = s->r->in[s->states + i];
        int axis;
        if (!t->rank || !hone__dtype_size(t->dtype))
            return hone__fail(HONE_E_UNSUPPORTED, "input %zu: type %s, rank %d", s->states + i,
                              hone_dtype_name(t->dtype), t->rank);
        HONE__TRY(hone__axis(entry(s->r->node, "scan_input_axes", i), t->rank, &axis));
        if (s->steps >= 0 && t->dims[axis] != s->steps)
            return hone__fail(HONE_E_SHAPE, "input %zu has %lld slices, the first %lld", s->states + i,
                              (long long)t->dims[axis], (long long)s->steps);
        s->steps = t->dims[axis];
    }
    return HONE_OK;
}

/* [outer, n, inner] <-> one slice [outer, inner], inner in bytes */
static void copy_slice(char *whole, char *slice, size_t outer, size_t n, size_t inner, size_t at, bool read)
{
    for (size_t o = 0; o < outer; o++) {
        char *w = whole + (o * n + at) * inner, *p = slice + o * inner;
        memcpy(read ? p : w, read ? w : p, inner);
    }
}

static hone_status take_slice(scan *s, size_t i, int64_t step)
{
    const hone__tensor *t = s->r->in[s->states + i];
    hone__keep *k = &s->keep[(size_t)s->r->output_count + s->states + i];
    int axis;
    size_t outer = 1, inner = hone__dtype_size(t->dtype);
    HONE__TRY(hone__axis(entry(s->r->node, "scan_input_axes", i), t->rank, &axis));
    for (int a = 0; a < axis; a++) outer *= (size_t)t->dims[a];
    for (int a = axis + 1; a < t->rank; a++) inner *= (size_t)t->dims[a];
    if (!k->own) {
        if (!(k->own = hone__malloc(outer * inner + 1))) return hone__out_of_memory(outer * inner);
        k->room = outer * inner + 1;
    }
    const void *data = k->own;
    k->t = *t;
    k->t.blob = NULL;
    k->t.data = data;
    k->t.rank = t->rank - 1;
    memmove(k->t.dims + axis, k->t.dims + axis + 1, (size_t)(t->rank - 1 - axis) * sizeof *t->dims);
    k->t.bytes = outer * inner;
    k->t.count = k->t.bytes / hone__dtype_size(t->dtype);
    if (entry(s->r->node, "scan_input_directions", i)) step = s->steps - 1 - step;
    copy_slice((char *)(uintptr_t)t->data, (char *)(uintptr_t)data, outer, (size_t)s->steps, inner, (size_t)step, true);
    s->in[s->states + i] = &k->t;
    return HONE_OK;
}

static hone__keep *state(const scan *s, size_t i, int64_t step)
{
    return &s->keep[step & 1 ? i : (size_t)s->r->output_count + i];
}

static hone_status take_step(scan *s, int64_t step)
{
    size_t outputs = (size_t)s->r->output_count;
    for (size_t i = 0; i < s->states; i++) s->in[i] = step ? &state(s, i, step)->t : s->r->in[i];
    for (size_t i = 0; i < s->scanned; i++) HONE__TRY(take_slice(s, i, step));
    HONE__TRY(s->r->subgraph(s->r, s->body, s->in, s->states + s->scanned, s->out, outputs));
    for (size_t i = 0; i < outputs; i++) {
        if (i < s->states)
            HONE__TRY(hone__keep_copy(state(s, i, step + 1), s->out[i]));
        else
            HONE__TRY(hone__keep_row(&s->keep[i], s->out[i]));
    }
    return HONE_OK;
}

static hone_status collect(scan *s, size_t i)
{
    const hone__keep *k = &s->keep[i];
    const hone__value *v = s->body->outputs[i];
    hone__tensor t = k->t;
    int axis;
    if (!k->rows) {
        t.dtype = v->dtype;
        t.rank = v->shape.rank < 0 ? 0 : v->shape.rank;
        for (int a = 0; a < t.rank; a++) t.dims[a] = v->shape.dims[a] < 0 ? 0 : v->shape.dims[a];
    }
    if (t.rank >= HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank over %d", HONE_MAX_RANK);
    HONE__TRY(hone__axis(entry(s->r->node, "scan_output_axes", i - s->states), t.rank + 1, &axis));
    memmove(t.dims + axis + 1, t.dims + axis, (size_t)(t.rank - axis) * sizeof *t.dims);
    t.dims[axis] = k->rows;
    t.rank++;
    HONE__TRY(hone__run_output(s->r, (int)i, t.dtype, t.rank, t.dims));
    if (!s->r->out[i] || !s->r->out[i]->bytes) return HONE_OK;
    size_t outer = 1, inner = hone__dtype_size(t.dtype);
    if (!inner) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(t.dtype));
    for (int a = 0; a < axis; a++) outer *= (size_t)t.dims[a];
    for (int a = axis + 1; a < t.rank; a++) inner *= (size_t)t.dims[a];
    bool back = entry(s->r->node, "scan_output_directions", i - s->states) != 0;
    for (int64_t row = 0; row < k->rows; row++)
        copy_slice(hone__out_data(s->r, (int)i), (char *)(uintptr_t)k->t.data + (size_t)row * k->t.bytes, outer,
                   (size_t)k->rows, inner, (size_t)(back ? k->rows - 1 - row : row), false);
    return HONE_OK;
}

static hone_status run_all(scan *s)
{
    HONE__TRY(measure(s));
    for (int64_t step = 0; step < s->steps; step++) HONE__TRY(take_step(s, step));
    for (size_t i = 0; i < (size_t)s->r->output_count; i++) {
        if (i >= s->states)
            HONE__TRY(collect(s, i));
        else
            HONE__TRY(hone__run_output_copy(s->r, (int)i, s->steps ? &state(s, i, s->steps)->t : s->r->in[i]));
    }
    return HONE_OK;
}

static hone_status run_scan(hone__run *r)
{
    scan s = {.r = r, .body = hone__node_graph(r->node, "body")};
    HONE__TRY(sizes(r->node, s.body, &s.scanned, &s.states));
    size_t ins = (size_t)r->input_count, outs = (size_t)r->output_count, keeps = outs + s.states + s.scanned;
    s.keep = hone__keep_new(keeps);
    s.in = hone__calloc(ins + outs, sizeof *s.in);
    s.out = s.in ? s.in + ins : NULL;
    hone_status status = s.keep && s.in ? run_all(&s) : hone__out_of_memory(keeps * sizeof *s.keep);
    hone__keep_free(s.keep, keeps);
    hone__free(s.in);
    return status;
}
const hone__op hone__op_scan = {"", "Scan", infer_scan, NULL, run_scan, HONE__OP_SUBGRAPH};
