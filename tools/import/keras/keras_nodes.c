/* keras_nodes.c: references between layers, the order of calls, and one call of a layer. */
#include <string.h>

#include "keras_model.h"

static bool parse_history(const kmodel *m, const json_t *v, kref *out)
{
    const char *name = json_string_value(json_array_get(v, 0));
    const json_t *node = json_array_get(v, 1), *tensor = json_array_get(v, 2);
    if (!name || !json_is_integer(node) || !json_is_integer(tensor)) return false;
    const json_t *at = json_object_get(m->index, name);
    if (!at) return false;
    *out = (kref){(size_t)json_integer_value(at), json_integer_value(node), json_integer_value(tensor)};
    return true;
}

bool hone__kref_parse(const kmodel *m, const json_t *v, kref *out)
{
    if (!m) return false;
    if (json_is_array(v)) return json_array_size(v) >= 3 && json_array_size(v) <= 4 && parse_history(m, v, out);
    if (!json_is_object(v)) return false;
    const char *name = hone__json_text(v, "class_name");
    if (!name || strcmp(name, "__keras_tensor__") != 0) return false;
    return parse_history(m, json_object_get(json_object_get(v, "config"), "keras_history"), out);
}

void hone__kref_walk(const kmodel *m, const json_t *v, kref_fn fn, void *ctx)
{
    kref ref;
    if (hone__kref_parse(m, v, &ref)) {
        fn(ctx, &ref);
        if (json_is_array(v) && json_array_size(v) == 4) hone__kref_walk(m, json_array_get(v, 3), fn, ctx);
        return;
    }
    if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++) hone__kref_walk(m, json_array_get(v, i), fn, ctx);
    } else if (json_is_object(v)) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)v, key, value) hone__kref_walk(m, value, fn, ctx);
    }
}

knode *hone__kmodel_node(const kmodel *m, const kref *ref)
{
    int64_t index = ref->node - m->node_offset[ref->layer];
    size_t end = ref->layer + 1 < m->count ? m->first_node[ref->layer + 1] : m->node_count;
    size_t first = m->first_node[ref->layer];
    return index >= 0 && (uint64_t)index < end - first ? &m->nodes[first + (size_t)index] : NULL;
}

/* ---- arguments ---- */

kt *hone__kcall_ref(kctx *c, kcall *call, const json_t *v)
{
    kref ref;
    if (!hone__kref_parse(call->model, v, &ref)) return NULL;
    knode *n = hone__kmodel_node(call->model, &ref);
    if (!n || n->state != 2 || ref.tensor < 0 || ref.tensor >= n->out_count) {
        hone__builder_fail(
            &c->b, hone__fail(HONE_E_FORMAT, "an argument refers to output %lld of call %lld of layer '%s'",
                              (long long)ref.tensor, (long long)ref.node, call->model->layers[ref.layer]->name));
        return NULL;
    }
    return n->out[ref.tensor];
}

kt *hone__kcall_tensor(kctx *c, kcall *call, const json_t *v)
{
    kt *t = hone__kcall_ref(c, call, v);
    if (t || c->b.status != HONE_OK) return t;
    if ((t = hone__kt_constant(c, v)) || c->b.status != HONE_OK) return t;
    if (json_is_object(v)) { /* a NumPy scalar */
        const json_t *config = json_object_get(v, "config"), *value = json_object_get(config, "value");
        if (value) v = value;
    }
    if (json_is_number(v) || json_is_boolean(v) || hone__json_is_nonfinite(v)) {
        bool real = json_is_real(v) || json_is_string(v);
        hone_dtype dtype = real ? HONE_F32 : json_is_boolean(v) ? HONE_BOOL : HONE_I32;
        if ((t = hone__kt_new(c, K_PLAIN, NULL, dtype, 0, NULL))) t->number = v;
        return t;
    }
    return NULL;
}

const json_t *hone__kcall_arg(const kcall *call, int index, const char *name)
{
    const json_t *v = name ? json_object_get(call->kwargs, name) : NULL;
    if (!v && index >= 0 && call->args) v = json_array_get(call->args, (size_t)index);
    return json_is_null(v) ? NULL : v;
}

kt *hone__kcall_mask(kctx *c, kcall *call, const char *keyword, int in)
{
    const json_t *v = json_object_get(call->kwargs, keyword);
    if (v && !json_is_null(v)) {
        if (json_is_array(v) && !hone__kcall_ref(c, call, v)) v = json_array_get(v, (size_t)in);
        kt *mask = v ? hone__kcall_ref(c, call, v) : NULL;
        if (mask) return mask;
    }
    return in < call->in_count ? call->in[in]->mask : NULL;
}

typedef struct gather {
    kctx *c;
    kcall *call;
    int capacity;
} gather;

static void add_input(gather *g, kt *t)
{
    if (g->call->in_count == g->capacity) {
        g->capacity = g->capacity ? g->capacity * 2 : 4;
        kt **in = hone__k_alloc(g->c, (size_t)g->capacity * sizeof *in);
        if (!in) return;
        if (g->call->in_count) memcpy(in, g->call->in, (size_t)g->call->in_count * sizeof *in);
        g->call->in = in;
    }
    g->call->in[g->call->in_count++] = t;
}

static void gather_tensor(void *ctx, const kref *ref)
{
    gather *g = ctx;
    knode *n = hone__kmodel_node(g->call->model, ref);
    if (!n || n->state != 2 || ref->tensor < 0 || ref->tensor >= n->out_count) {
        hone__builder_fail(&g->c->b, hone__fail(HONE_E_FORMAT,
                                                "it takes output %lld of call %lld of layer '%s', which does not exist",
                                                (long long)ref->tensor, (long long)ref->node,
                                                g->call->model->layers[ref->layer]->name));
        return;
    }
    add_input(g, n->out[ref->tensor]);
}

/* Keras 1 and 2: a list of [layer, node, tensor, kwargs], or one of them alone. */
static void old_arguments(gather *g, const json_t *inbound)
{
    kref ref;
    if (hone__kref_parse(g->call->model, inbound, &ref)) {
        gather_tensor(g, &ref);
        const json_t *kwargs = json_array_get(inbound, 3);
        if (json_object_size(kwargs) && !g->call->kwargs) g->call->kwargs = kwargs;
        return;
    }
    const char *name = json_string_value(json_array_get(inbound, 0));
    if (name && strcmp(name, "_CONSTANT_VALUE") == 0) {
        kt *t = hone__kcall_tensor(g->c, g->call, json_array_get(inbound, 2));
        if (t) add_input(g, t);
        const json_t *kwargs = json_array_get(inbound, 3);
        if (json_object_size(kwargs) && !g->call->kwargs) g->call->kwargs = kwargs;
        return;
    }
    for (size_t i = 0; i < json_array_size(inbound); i++) old_arguments(g, json_array_get(inbound, i));
    if (json_is_object(inbound)) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)inbound, key, value) old_arguments(g, value);
    }
}

static hone_status run_node(kctx *c, kmodel *m, knode *n)
{
    kcall call = {.model = m};
    gather g = {c, &call, 0};
    if (json_is_object(n->inbound) && json_object_get(n->inbound, "args")) {
        call.args = json_object_get(n->inbound, "args");
        call.kwargs = json_object_get(n->inbound, "kwargs");
        hone__kref_walk(m, call.args, gather_tensor, &g);
        static const char *const first[] = {"inputs", "query", "sequences", "sequence", "x", "images"};
        for (size_t i = 0; call.in_count == 0 && i < sizeof first / sizeof first[0]; i++)
            hone__kref_walk(m, json_object_get(call.kwargs, first[i]), gather_tensor, &g);
    } else
        old_arguments(&g, n->inbound);
    if (c->b.status != HONE_OK) return hone__at(c->b.status, "layer '%s'", m->layers[n->layer]->name);
    HONE__TRY(hone__klayer_call(c, m->layers[n->layer], &call));
    n->out = hone__k_alloc(c, (size_t)call.out_count * sizeof *n->out);
    if (!n->out) return c->b.status;
    memcpy(n->out, call.out, (size_t)call.out_count * sizeof *n->out);
    n->out_count = call.out_count;
    n->state = 2;
    return HONE_OK;
}

typedef struct stack {
    kctx *c;
    kmodel *m;
    knode **nodes;
    size_t count, capacity;
    const knode *cycle;
    bool missing;
} stack;

static void push(void *ctx, const kref *ref)
{
    stack *s = ctx;
    knode *n = hone__kmodel_node(s->m, ref);
    if (!n) {
        s->missing = true;
        return;
    }
    if (n->state == 2) return;
    if (n->state == 1) {
        s->cycle = n;
        return;
    }
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 64;
        knode **nodes = hone__k_alloc(s->c, capacity * sizeof *nodes);
        if (!nodes) return;
        if (s->count) memcpy(nodes, s->nodes, s->count * sizeof *nodes);
        s->nodes = nodes, s->capacity = capacity;
    }
    s->nodes[s->count++] = n;
}

/* Depth first over an explicit stack: a node is seen, then its inputs, then it runs. */
hone_status hone__kmodel_run(kctx *c, kmodel *m)
{
    stack s = {.c = c, .m = m};
    for (int i = m->output_count; i-- > 0;) push(&s, &m->outputs[i]);
    while (s.count && c->b.status == HONE_OK) {
        knode *n = s.nodes[s.count - 1];
        const char *name = m->layers[n->layer]->name;
        if (n->state == 2)
            s.count--;
        else if (n->state == 1) {
            s.count--;
            HONE__TRY(hone__builder_fail(&c->b, run_node(c, m, n)));
        } else {
            n->state = 1;
            if (!n->inbound) {
                return hone__builder_fail(&c->b,
                                          hone__fail(HONE_E_FORMAT, "layer '%s' (%s) is needed but has no inputs", name,
                                                     m->layers[n->layer]->class_name));
            }
            size_t before = s.count;
            hone__kref_walk(m, n->inbound, push, &s);
            for (size_t a = before, z = s.count; a + 1 < z; a++, z--) { /* first input first */
                knode *swap = s.nodes[a];
                s.nodes[a] = s.nodes[z - 1], s.nodes[z - 1] = swap;
            }
        }
        if (s.missing)
            return hone__builder_fail(
                &c->b, hone__fail(HONE_E_FORMAT, "layer '%s' takes the output of a call that does not exist", name));
        if (s.cycle)
            return hone__builder_fail(&c->b,
                                      hone__fail(HONE_E_FORMAT, "layer '%s' depends on itself: the model has a cycle",
                                                 m->layers[s.cycle->layer]->name));
    }
    return c->b.status;
}

/* ---- calling one layer ---- */

static hone_status refuse_class(const klayer *l)
{
    const char *s = l->class_name;
    if (strcmp(s, "Lambda") == 0)
        return hone__fail(HONE_E_UNSUPPORTED,
                          "a Lambda layer holds Python code, and code from a file is never executed: "
                          "replace it by a layer or by keras.ops functions and save the model again");
    if (l->is_op)
        return hone__fail(HONE_E_UNSUPPORTED, "operation '%s' is not supported: replace it by one of Keras's layers",
                          s);
    static const char *const known[] = {
        "TFSMLayer", "TorchModuleWrapper", "JaxLayer",    "FlaxLayer", "FeatureSpace", "DenseFeatures",
        "CuDNNLSTM", "CuDNNGRU",           "CuDNNLSTMV1", "Highway",   "MaxoutDense"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(s, known[i]) == 0)
            return hone__fail(HONE_E_UNSUPPORTED,
                              "layers of class %s are not supported: do this step before the model, or "
                              "replace it, and save the model again",
                              s);
    return hone__fail(HONE_E_UNSUPPORTED,
                      "class '%s' is not one of Keras's layers, and code from a file is never executed: "
                      "rebuild it from Keras's layers, or export the model to ONNX and use that",
                      s);
}

static void keep_mask(klayer *l, kcall *call)
{
    const kt *in = call->in_count == 1 ? call->in[0] : NULL;
    if (!in || call->out_count != 1 || !in->mask || !call->out[0] || call->out[0]->mask) return;
    if (l->kind && (l->kind->flags & K_MASK)) call->out[0]->mask = in->mask;
}

/* Operations pass no masks on. */
static hone_status unmask(kctx *c, kcall *call)
{
    for (int i = 0; i < call->out_count; i++) {
        if (!call->out[i] || !call->out[i]->mask) continue;
        kt *t = hone__k_alloc(c, sizeof *t);
        if (!t) return c->b.status;
        *t = *call->out[i];
        t->mask = NULL;
        call->out[i] = t;
    }
    return c->b.status;
}

static hone_status call_kind(kctx *c, klayer *l, kcall *call)
{
    if (l->model) {
        call->out_count = 0;
        return hone__kmodel_call(c, l->model, call->in, call->in_count, call->out, &call->out_count);
    }
    if (!l->kind) return refuse_class(l);
    if (call->in_count == 0 && !l->is_op) return hone__fail(HONE_E_FORMAT, "it has no input");
    const char *policy = hone__json_text(json_object_get(l->config, "dtype"), "class_name");
    if (policy && strstr(policy, "Quantized"))
        return hone__fail(HONE_E_UNSUPPORTED,
                          "it is quantised by Keras (%s): import the model as it was before quantize()", policy);
    hone_status status = l->kind->fn(c, l, call);
    return status == HONE_OK && l->is_op ? unmask(c, call) : status;
}

hone_status hone__klayer_call(kctx *c, klayer *l, kcall *call)
{
    if (c->b.status != HONE_OK) return c->b.status;
    if (++c->depth > 64) return hone__builder_fail(&c->b, hone__fail(HONE_E_LIMIT, "layers are nested too deep"));
    const char *outer = c->b.scope;
    c->b.scope = hone__arena_printf(&c->arena, "%s%s/", outer ? outer : "", l->name);
    if (l->source.owned) *l->source.cursor = 0;
    if (l->kind && (l->kind->flags & K_IDENTITY)) c->report->identities++;
    hone_status status = call_kind(c, l, call);
    if (status == HONE_OK) status = c->b.status;
    if (status == HONE_OK && (call->out_count < 1 || !call->out[0]))
        status = hone__fail(HONE_E_INTERNAL, "no output was made");
    if (status == HONE_OK)
        keep_mask(l, call);
    else
        status = hone__at(status, "layer '%s' (%s)", l->name, l->class_name);
    c->b.scope = outer;
    c->depth--;
    return hone__builder_fail(&c->b, status);
}

kt *hone__klayer_apply(kctx *c, klayer *l, kt *in)
{
    if (!l || !in) return NULL;
    kcall call = {.in = &in, .in_count = 1};
    return hone__klayer_call(c, l, &call) == HONE_OK ? call.out[0] : NULL;
}

klayer *hone__klayer_child_of(kctx *c, klayer *l, const json_t *entry, const char *tag, const char *sub)
{
    for (size_t i = 0; i < l->child_count; i++)
        if (l->children[i]->entry == entry) return l->children[i];
    klayer *child = hone__klayer_new(c, entry, tag);
    if (!child) return NULL;
    child->source = hone__kw_sub(c, l, sub);
    if (json_is_array(json_object_get(child->config, "layers")))
        child->model = hone__kmodel_new(c, child->name, entry, &child->source);
    klayer **list = hone__k_alloc(c, (l->child_count + 1) * sizeof *list);
    if (!list || c->b.status != HONE_OK) return NULL;
    if (l->child_count) memcpy(list, l->children, l->child_count * sizeof *list);
    list[l->child_count++] = child;
    l->children = list;
    return child;
}

klayer *hone__klayer_child(kctx *c, klayer *l, const char *key, const char *sub)
{
    const json_t *entry = hone__kcfg(l, key);
    if (!entry) {
        hone__builder_fail(&c->b, hone__fail(HONE_E_FORMAT, "setting '%s' is missing", key));
        return NULL;
    }
    return hone__klayer_child_of(c, l, entry, key, sub);
}
