/* keras_model.c: makes models of their configuration: layers, their weights, inputs and outputs. */
#include "keras_model.h"

#include <stdio.h>
#include <string.h>

static bool is_model_class(const char *name)
{
    static const char *const names[] = {"Functional", "Model", "Sequential", "Container", "Network"};
    for (size_t i = 0; name && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static bool is_op_entry(const json_t *entry, const char *class_name)
{
    const char *module = hone__json_text(entry, "module");
    if (strcmp(class_name, "TFOpLambda") == 0 || strcmp(class_name, "SlicingOpLambda") == 0 ||
        strcmp(class_name, "TensorFlowOpLayer") == 0)
        return true;
    if (module) return strncmp(module, "keras.src.ops", 13) == 0 || strncmp(module, "keras.ops", 9) == 0;
    const json_t *node = json_array_get(json_object_get(entry, "inbound_nodes"), 0);
    if (is_model_class(class_name)) return false;
    bool op = hone__kop_kind_find(class_name), layer = hone__klayer_kind_find(class_name);
    if (op != layer) return op;
    /* Without a module (.h5), under a name of both or of neither: only Keras 3 has operations, and its layers say
     * whether they are trainable. */
    return json_object_get(node, "args") && !json_object_get(json_object_get(entry, "config"), "trainable");
}

klayer *hone__klayer_new(kctx *c, const json_t *entry, const char *what)
{
    const char *class_name = hone__json_text(entry, "class_name");
    const json_t *config = json_object_get(entry, "config");
    klayer *l = hone__k_alloc(c, sizeof *l);
    if (!l) return NULL;
    if (!class_name || !(json_is_object(config) || json_is_array(config))) {
        hone__builder_fail(&c->b, hone__fail(HONE_E_FORMAT, "%s has no class_name and config", what));
        return NULL;
    }
    l->class_name = class_name;
    l->entry = entry, l->config = config;
    l->name = hone__json_text(entry, "name");
    if (json_is_object(config) && hone__json_text(config, "name")) {
        if (!l->name) l->name = hone__json_text(config, "name");
    }
    if (!l->name) l->name = class_name;
    l->is_op = is_op_entry(entry, class_name);
    l->kind = l->is_op ? hone__kop_kind_find(class_name) : hone__klayer_kind_find(class_name);
    if (l->kind && (l->kind->flags & K_KERAS_ONLY)) { /* a name that others use, too */
        const char *module = hone__json_text(entry, "module");
        if (!module || (strncmp(module, "keras.", 6) != 0 && strncmp(module, "tf_keras.", 9) != 0)) l->kind = NULL;
    }
    return l;
}

/* A nested model's calls are numbered from 1 by versions that count the one of its making. */
typedef struct offset_scan {
    kmodel *m;
    int64_t *max;
} offset_scan;

static void note_node(void *ctx, const kref *ref)
{
    offset_scan *s = ctx;
    if (ref->node > s->max[ref->layer]) s->max[ref->layer] = ref->node;
}

static size_t inbound_count(const klayer *l)
{
    size_t n = json_array_size(json_object_get(l->entry, "inbound_nodes"));
    return n ? n : 1;
}

static void number_nodes(kctx *c, kmodel *m, const json_t *config)
{
    m->first_node = hone__k_alloc(c, (m->count + 1) * sizeof *m->first_node);
    m->node_offset = hone__k_alloc(c, (m->count + 1) * sizeof *m->node_offset);
    offset_scan s = {m, hone__k_alloc(c, (m->count + 1) * sizeof *s.max)};
    if (!m->first_node || !m->node_offset || !s.max) return;
    for (size_t i = 0; i < m->count; i++)
        m->first_node[i] = m->node_count, m->node_count += inbound_count(m->layers[i]);
    m->nodes = hone__k_alloc(c, m->node_count * sizeof *m->nodes);
    if (!m->nodes) return;
    for (size_t i = 0; i < m->count; i++) {
        const json_t *inbound = json_object_get(m->layers[i]->entry, "inbound_nodes");
        for (size_t k = 0; k < inbound_count(m->layers[i]); k++)
            m->nodes[m->first_node[i] + k] = (knode){.layer = i, .inbound = json_array_get(inbound, k)};
        hone__kref_walk(m, inbound, note_node, &s);
    }
    if (c->keras_major < 3) hone__kref_walk(m, json_object_get(config, "output_layers"), note_node, &s);
    for (size_t i = 0; i < m->count; i++)
        m->node_offset[i] = m->layers[i]->model && s.max[i] >= (int64_t)inbound_count(m->layers[i]);
}

typedef struct ref_list {
    kctx *c;
    kref *refs;
    int count, capacity;
} ref_list;

static void add_ref(void *ctx, const kref *ref)
{
    ref_list *list = ctx;
    if (list->count == list->capacity) {
        int capacity = list->capacity ? list->capacity * 2 : 8;
        kref *refs = hone__k_alloc(list->c, (size_t)capacity * sizeof *refs);
        if (!refs) return;
        if (list->count) memcpy(refs, list->refs, (size_t)list->count * sizeof *refs);
        list->refs = refs, list->capacity = capacity;
    }
    list->refs[list->count++] = *ref;
}

static void read_ends(kctx *c, kmodel *m, const json_t *config)
{
    ref_list in = {.c = c}, out = {.c = c};
    hone__kref_walk(m, json_object_get(config, "input_layers"), add_ref, &in);
    hone__kref_walk(m, json_object_get(config, "output_layers"), add_ref, &out);
    m->inputs = in.refs, m->input_count = in.count;
    m->outputs = out.refs, m->output_count = out.count;
    for (int i = 0; i < out.count && c->keras_major >= 3;
         i++) { /* here alone Keras 3 counts a nested model's own making */
        const klayer *l = m->layers[out.refs[i].layer];
        if (!l->model || l->model->sequential) continue;
        out.refs[i].node += m->node_offset[out.refs[i].layer] - 1;
        if (out.refs[i].node < 0) out.refs[i].node = (int64_t)inbound_count(l) - 1;
    }
    if (out.count == 0 || out.count > K_MAX_OUT || in.count > 1024)
        hone__builder_fail(
            &c->b, hone__fail(HONE_E_FORMAT, "model '%s' has %d inputs and %d outputs", m->name, in.count, out.count));
}

static bool add_layers(kctx *c, kmodel *m, const json_t *list, const ksource *source)
{
    size_t n = json_array_size(list);
    json_t *used_names = json_object();
    if (c->made) json_array_append_new(c->made, used_names);
    m->layers = hone__k_alloc(c, (n + 1) * sizeof *m->layers);
    if (!m->layers) return false;
    for (size_t i = 0; i < n && c->b.status == HONE_OK; i++) {
        char what[64];
        snprintf(what, sizeof what, "layer %zu of the model", i);
        klayer *l = hone__klayer_new(c, json_array_get(list, i), what);
        if (!l) return false;
        if (json_object_get(m->index, l->name)) {
            hone__builder_fail(&c->b, hone__fail(HONE_E_FORMAT, "two layers are named '%s'", l->name));
            return false;
        }
        json_object_set_new(m->index, l->name, json_integer((json_int_t)i));
        bool counts = !l->is_op || c->keras_major < 3;
        bool skipped = c->keras_major >= 3 && m->sequential && strcmp(l->class_name, "InputLayer") == 0;
        if (counts && !skipped) l->source = hone__kw_source(c, source, l->class_name, l->name, used_names);
        if (is_model_class(l->class_name)) l->model = hone__kmodel_new(c, l->name, l->entry, &l->source);
        m->layers[m->count++] = l;
        c->report->layers++;
    }
    return c->b.status == HONE_OK;
}

kmodel *hone__kmodel_new(kctx *c, const char *name, const json_t *entry, const ksource *source)
{
    const char *class_name = hone__json_text(entry, "class_name");
    const json_t *config = json_object_get(entry, "config"), *list = config;
    kmodel *m = hone__k_alloc(c, sizeof *m);
    if (!m) return NULL;
    if (++c->depth > 32) {
        hone__builder_fail(&c->b, hone__fail(HONE_E_LIMIT, "models are nested deeper than 32"));
        return NULL;
    }
    m->name = name;
    m->sequential = class_name && strcmp(class_name, "Sequential") == 0;
    if (json_is_object(config)) list = json_object_get(config, "layers");
    m->index = json_object();
    if (c->made) json_array_append_new(c->made, m->index);
    if (!json_is_array(list) || json_array_size(list) == 0) {
        hone__builder_fail(&c->b, hone__fail(HONE_E_FORMAT, "model '%s' has no layers", name));
        return NULL;
    }
    if (!add_layers(c, m, list, source)) return NULL;
    if (!m->sequential) {
        number_nodes(c, m, config);
        if (c->b.status == HONE_OK) read_ends(c, m, config);
    }
    c->depth--;
    return c->b.status == HONE_OK ? m : NULL;
}

/* ---- the outermost model's inputs ---- */

static bool is_input(const klayer *l) { return strcmp(l->class_name, "InputLayer") == 0; }

int hone__kmodel_inputs(const kmodel *m) { return m->sequential ? 1 : m->input_count; }

const char *hone__kmodel_input_name(const kmodel *m, int i)
{
    return m->sequential ? m->layers[0]->name : m->layers[m->inputs[i].layer]->name;
}

const char *hone__kmodel_output_name(const kmodel *m, int i)
{
    return m->sequential ? m->layers[m->count - 1]->name : m->layers[m->outputs[i].layer]->name;
}

static const json_t *first_shape(const klayer *l)
{
    const json_t *v = hone__kcfg(l, "batch_shape");
    if (!v) v = json_object_get(json_object_get(l->entry, "build_config"), "input_shape");
    return v;
}

/* The shape that a Sequential model starts from. */
static const json_t *sequential_shape(kctx *c, const kmodel *m, const json_t *config)
{
    const klayer *l = m->layers[0];
    const json_t *v = first_shape(l);
    if (!v && l->model && l->model->sequential) return sequential_shape(c, l->model, l->config);
    if (!v && l->model && l->model->input_count == 1) v = first_shape(l->model->layers[l->model->inputs[0].layer]);
    if (!v && json_is_object(config)) v = json_object_get(config, "build_input_shape");
    if (!v) v = json_object_get(json_object_get(c->config, "build_config"), "input_shape");
    return v;
}

static kt *make_input(kctx *c, const char *name, const json_t *shape, hone_dtype dtype)
{
    int64_t dims[HONE_MAX_RANK], symbols[HONE_MAX_RANK];
    int rank = (int)json_array_size(shape);
    if (!json_is_array(shape) || json_array_size(shape) > 8) {
        hone__k_refuse(c, "input '%s' has no shape of at most 8 dimensions: build the model before saving it", name);
        return NULL;
    }
    for (int i = 0; i < rank; i++) {
        const json_t *v = json_array_get(shape, (size_t)i);
        dims[i] = symbols[i] = json_is_integer(v) ? json_integer_value(v) : -1;
        if (dims[i] < -1 || dims[i] > K_MAX_DIM || (dims[i] == 0 && json_is_integer(v))) {
            hone__k_shape_error(c, "input '%s' has a dimension of %lld", name, (long long)dims[i]);
            return NULL;
        }
        char symbol[300];
        snprintf(symbol, sizeof symbol, "%.200s_dim_%d", name, i);
        if (i == 0 && dims[0] < 0 && c->batch) dims[0] = symbols[0] = c->batch;
        if (dims[i] < 0 && hone__builder_fail(&c->b, hone__symbol(c->b.graph->model, i ? symbol : "batch_size",
                                                                  &symbols[i])) != HONE_OK)
            return NULL;
    }
    return hone__kt_new(c, K_PLAIN, hone__emit_input(&c->b, name, dtype, rank, symbols), dtype, rank, dims);
}

static kt *make_layer_input(kctx *c, const klayer *l)
{
    if (hone__kcfg_bool(l, "sparse", false) || hone__kcfg_bool(l, "ragged", false)) {
        hone__k_refuse(c, "input '%s' is sparse or ragged: only dense inputs are supported", l->name);
        return NULL;
    }
    hone_dtype dtype = hone__kdtype(hone__kcfg(l, "dtype"), HONE_F32);
    return make_input(c, l->name, hone__kcfg(l, "batch_shape"), dtype);
}

bool hone__kmodel_make_inputs(kctx *c, kmodel *m, kt **in)
{
    const klayer *first = m->layers[0];
    if (m->sequential && !is_input(first)) {
        const char *name = hone__arena_printf(&c->arena, "%s_input", first->name);
        hone_dtype dtype = strcmp(first->class_name, "Embedding") == 0 ? HONE_I32 : HONE_F32;
        if (c->keras_major < 3) dtype = hone__kdtype(hone__kcfg(first, "input_dtype"), HONE_F32);
        in[0] = make_input(c, name ? name : "input", sequential_shape(c, m, first->model ? NULL : m->layers[0]->config),
                           dtype);
        return in[0] && c->b.status == HONE_OK;
    }
    if (m->sequential) return (in[0] = make_layer_input(c, first)) && c->b.status == HONE_OK;
    for (int i = 0; i < m->input_count; i++) {
        const klayer *l = m->layers[m->inputs[i].layer];
        if (!is_input(l)) {
            hone__k_refuse(c, "input %d of the model is layer '%s' of class %s", i, l->name, l->class_name);
            return false;
        }
        if (!(in[i] = make_layer_input(c, l))) return false;
    }
    return c->b.status == HONE_OK;
}

/* ---- calling ---- */

static hone_status call_sequential(kctx *c, kmodel *m, kt **in, int in_count, kt **out, int *out_count)
{
    if (in_count < 1) return hone__k_shape_error(c, "a Sequential model needs an input");
    kcall call = {.in = in, .in_count = in_count};
    for (size_t i = 0; i < m->count; i++) {
        if (is_input(m->layers[i])) continue;
        HONE__TRY(hone__klayer_call(c, m->layers[i], &call));
        kt **next = hone__k_alloc(c, (size_t)call.out_count * sizeof *next);
        if (!next) return c->b.status;
        memcpy(next, call.out, (size_t)call.out_count * sizeof *next);
        call = (kcall){.in = next, .in_count = call.out_count};
    }
    *out_count = call.in_count > K_MAX_OUT ? K_MAX_OUT : call.in_count;
    memcpy(out, call.in, (size_t)*out_count * sizeof *out);
    return HONE_OK;
}

hone_status hone__kmodel_call(kctx *c, kmodel *m, kt **in, int in_count, kt **out, int *out_count)
{
    if (m->sequential) return call_sequential(c, m, in, in_count, out, out_count);
    if (in_count != m->input_count)
        return hone__k_shape_error(c, "the model takes %d inputs, %d are given", m->input_count, in_count);
    for (size_t i = 0; i < m->node_count; i++) m->nodes[i].state = 0;
    for (int i = 0; i < in_count; i++) {
        knode *n = hone__kmodel_node(m, &m->inputs[i]);
        if (!n || !(n->out = hone__k_alloc(c, sizeof *n->out)))
            return hone__builder_fail(&c->b, hone__fail(HONE_E_FORMAT, "input %d refers to no layer", i));
        n->out[0] = in[i], n->out_count = 1, n->state = 2;
    }
    HONE__TRY(hone__kmodel_run(c, m));
    for (int i = 0; i < m->output_count; i++) {
        knode *n = hone__kmodel_node(m, &m->outputs[i]);
        if (!n || m->outputs[i].tensor < 0 || m->outputs[i].tensor >= n->out_count)
            return hone__builder_fail(&c->b, hone__fail(HONE_E_FORMAT, "output %d refers to no value", i));
        out[i] = n->out[m->outputs[i].tensor];
    }
    *out_count = m->output_count;
    return c->b.status;
}
