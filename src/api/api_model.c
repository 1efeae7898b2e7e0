/* api_model.c: hone_model over the graph. */
#include <string.h>

#include "api.h"
#include "base/log.h"
#include "onnx/onnx.h"
#include "ops/eval.h"
#include "passes/passes.h"
#include "quant/quant.h"

hone_status hone__api_wrap(hone__model *graph, hone_model **out)
{
    *out = NULL;
    hone_model *m = hone__calloc(1, sizeof *m);
    if (!m) {
        hone__model_destroy(graph);
        return hone__out_of_memory(sizeof *m);
    }
    m->graph = graph;
    *out = m;
    return HONE_OK;
}

hone_status hone_model_open(const char *path, hone_model **out)
{
    hone__model *graph;
    *out = NULL;
    HONE__TRY(hone__onnx_read(path, &graph));
    hone_status s = hone__graph_infer(graph->graph);
    if (s != HONE_OK) {
        hone__model_destroy(graph);
        return hone__at(s, "%s", path);
    }
    HONE__TRY(hone__api_wrap(graph, out));
    hone_model_facts f;
    hone_model_facts_get(*out, &f);
    hone__log(HONE_LOG_INFO, "%s: IR %lld, opset %lld, %zu nodes, %zu weights of %zu bytes", path,
              (long long)f.ir_version, (long long)f.opset, f.nodes, f.weights, f.weight_bytes);
    return HONE_OK;
}

void hone_model_destroy(hone_model *m)
{
    if (!m) return;
    hone__model_destroy(m->graph);
    hone__free(m);
}

hone_status hone_model_save(hone_model *m, const char *path) { return hone__onnx_write(m->graph, path, NULL); }

size_t hone_model_input_count(const hone_model *m) { return m->graph->graph->input_count; }
size_t hone_model_output_count(const hone_model *m) { return m->graph->graph->output_count; }

static void describe(const hone__value *v, hone_value_info *out)
{
    *out = (hone_value_info){.name = v->name, .dtype = v->dtype, .rank = v->shape.rank};
    out->sequence = (v->wrap & HONE__OF_SEQUENCE) != 0;
    out->optional = (v->wrap & HONE__OF_OPTIONAL) != 0;
    for (int i = 0; i < v->shape.rank; i++) {
        out->dims[i] = v->shape.dims[i] < 0 ? -1 : v->shape.dims[i];
        out->symbols[i] = v->shape.dims[i] < 0 ? hone__symbol_name(v->graph->model, v->shape.dims[i]) : "";
    }
}

hone_status hone_model_input(const hone_model *m, size_t i, hone_value_info *out)
{
    if (i >= hone_model_input_count(m))
        return hone__fail(HONE_E_ARGUMENT, "input %zu of %zu", i, hone_model_input_count(m));
    describe(m->graph->graph->inputs[i], out);
    return HONE_OK;
}

hone_status hone_model_output(const hone_model *m, size_t i, hone_value_info *out)
{
    if (i >= hone_model_output_count(m))
        return hone__fail(HONE_E_ARGUMENT, "output %zu of %zu", i, hone_model_output_count(m));
    describe(m->graph->graph->outputs[i], out);
    return HONE_OK;
}

const char *hone_model_metadata(const hone_model *m, const char *key) { return hone__model_metadata(m->graph, key); }

hone_status hone_model_set_metadata(hone_model *m, const char *key, const char *text)
{
    return hone__model_set_metadata(m->graph, key, text);
}

static const hone__value *oldest(const hone__graph *g)
{
    const hone__value *v = g->values;
    while (v && v->next) v = v->next;
    return v;
}

void hone_model_weights(const hone_model *m, hone_weight_fn fn, void *ctx)
{
    for (const hone__value *v = oldest(m->graph->graph); v; v = v->prev) {
        if (!v->constant || hone__value_unused(v)) continue;
        const hone__tensor *t = v->constant;
        hone_tensor view = {.dtype = t->dtype, .rank = t->rank, .data = (void *)(uintptr_t)t->data, .bytes = t->bytes};
        memcpy(view.dims, t->dims, sizeof view.dims);
        fn(ctx, v->name, &view);
    }
}

void hone_model_nodes(const hone_model *m, hone_node_fn fn, void *ctx)
{
    for (const hone__node *n = m->graph->graph->first; n; n = n->next) fn(ctx, n->name, n->domain, n->op);
}

static void count_weight(void *ctx, const char *name, const hone_tensor *t)
{
    hone_model_facts *f = ctx;
    (void)name;
    f->weights++;
    f->weight_bytes += t->bytes;
}

static void count_node(void *ctx, const char *name, const char *domain, const char *op)
{
    (void)name, (void)domain, (void)op;
    ((hone_model_facts *)ctx)->nodes++;
}

void hone_model_facts_get(const hone_model *m, hone_model_facts *out)
{
    *out = (hone_model_facts){
        .ir_version = m->graph->ir_version, .opset = hone__model_opset(m->graph, ""), .producer = m->graph->producer};
    hone_model_weights(m, count_weight, out);
    hone_model_nodes(m, count_node, out);
}

hone_status hone_model_optimize(hone_model *m, const hone_optimize_options *options, hone_change_fn fn, void *ctx)
{
    HONE__TRY(hone__graph_name_all(m->graph->graph)); /* so that values keep one name through every precision */
    HONE__TRY(hone__passes_portable(m->graph));
    HONE__TRY(hone__quant_weights(m->graph, options, fn, ctx));
    HONE__TRY(hone__passes_portable(m->graph));
    return hone__graph_name_all(m->graph->graph);
}
