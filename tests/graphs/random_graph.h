/* random_graph.h: models drawn from a seed or from a fuzzer's bytes: valid float graphs of operators that passes
 * rewrite and their neighbours, with branches and loops. Every value keeps its batch in axis 0. */
#ifndef HONE_TESTS_RANDOM_GRAPH_H
#define HONE_TESTS_RANDOM_GRAPH_H

#include "random_body.h"

static hone__value *(*const draws[])(draw *) = {
    draw_unary,   draw_unary,   draw_unary, draw_binary,    draw_binary,     draw_scaled,
    draw_scaled,  draw_conv,    draw_conv,  draw_conv,      draw_batch_norm, draw_pool,
    draw_product, draw_product, draw_norm,  draw_transpose, draw_reshape,    draw_concat,
    draw_slice,   draw_split,   draw_pad,   draw_reduce,    draw_attention,  draw_transposed_conv,
    draw_if,      draw_loop,    draw_scan};

/* Elements of a row of a value; 0: too many, or unknown. */
static int64_t row_elements(const hone__value *v)
{
    int64_t n = 1;
    if (v->shape.rank < 1) return 0;
    for (int i = 1; i < v->shape.rank; i++) {
        if (v->shape.dims[i] < 1 || v->shape.dims[i] > 4096) return 0;
        n *= v->shape.dims[i];
        if (n > 4096) return 0;
    }
    return n;
}

static hone_status draw_node(draw *d)
{
    hone__value *v = draws[draw_int(d, 0, (int)(sizeof draws / sizeof *draws) - 1)](d);
    HONE__TRY(d->b.status);
    if (!v) return HONE_OK;
    HONE__TRY(hone__graph_infer(d->b.graph));
    if (row_elements(v) && d->count < 64) d->pool[d->count++] = v;
    return HONE_OK;
}

static hone_status draw_all(draw *d, hone__model *m, int nodes)
{
    static const int64_t shapes[][4] = {{-1, 3, 8, 8}, {-1, 4, 5, 7}, {-1, 6, 10, 1}, {-1, 12, 1, 1}};
    int inputs = draw_int(d, 1, 2), first;
    int64_t batch;
    HONE__TRY(hone__symbol(m, "batch", &batch));
    for (int i = 0; i < inputs; i++) {
        static const char *const names[] = {"x", "z"};
        int64_t dims[4];
        memcpy(dims, shapes[draw_int(d, 0, 3)], sizeof dims);
        dims[0] = batch;
        int rank = dims[2] > 1 ? 4 : 2;
        if (dims[2] > 1 && dims[3] == 1) rank = 3;
        d->pool[d->count++] = hone__emit_input(&d->b, names[i], HONE_F32, rank, dims);
    }
    HONE__TRY(d->b.status);
    first = d->count;
    for (int i = 0; i < nodes; i++) HONE__TRY(draw_node(d));
    if (d->count == first) HONE__TRY(draw_node(d));
    /* what nobody reads is an output; with it sometimes a value from the middle */
    int middle = draw_int(d, 0, d->count - 1), outputs = 0;
    for (int i = 0; i < d->count; i++) {
        char name[16];
        if (!d->pool[i]->producer || (d->pool[i]->use_count && i != middle)) continue;
        snprintf(name, sizeof name, "y%d", outputs++);
        hone__emit_output(&d->b, name, d->pool[i]);
    }
    if (!outputs) hone__emit_output(&d->b, "y0", hone__emit(&d->b, "Relu", "", HONE__INS(d->pool[0]), HONE__NO_ATTRS));
    HONE__TRY(d->b.status);
    return hone__graph_infer(m->graph);
}

/* A model of about `nodes` draws. */
static hone_status random_graph(draw *d, int nodes, hone__model **out)
{
    hone__model *m;
    HONE__TRY(hone__model_new(&m));
    d->b = (hone__builder){.graph = m->graph};
    d->count = d->depth = 0;
    hone_status s = draw_all(d, m, nodes);
    if (s != HONE_OK) {
        hone__model_destroy(m);
        return s;
    }
    *out = m;
    return HONE_OK;
}

#endif
