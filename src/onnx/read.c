/* read.c: ModelProto and GraphProto to the graph, over the mapped file. Names are resolved through scopes. */
#include <string.h>

#include "read_graph.h"

hone_status hone__read_bad(const hone__reader *r, const uint8_t *at, const char *what)
{
    return hone__fail(HONE_E_FORMAT, "byte %zu: %s is malformed", at ? (size_t)(at - r->start) : 0, what);
}

hone_status hone__read_text(hone__reader *r, hone__span s, const char **out)
{
    if (memchr(s.p ? (const void *)s.p : "", 0, hone__span_size(s)))
        return hone__read_bad(r, s.p, "a name with a NUL byte");
    *out = hone__arena_strndup(&r->model->arena, (const char *)s.p, hone__span_size(s));
    return *out ? HONE_OK : hone__out_of_memory(hone__span_size(s));
}

/* ValueInfoProto of an input or output: finds or makes the value. */
static hone_status read_value(hone__reader *r, hone__span s, hone__scope *sc, bool input, hone__value **out)
{
    hone__field f;
    bool bad = false;
    hone__span name = {NULL, NULL}, type = {NULL, NULL}, whole = s;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.number == 1 && f.type == 2) name = f.span;
        if (f.number == 2 && f.type == 2) type = f.span;
    }
    if (bad) return hone__read_bad(r, whole.p, "an input or output");
    if (!name.p) return hone__read_bad(r, whole.p, "an input or output without a name");
    hone__value *v = input ? hone__scope_here(sc, name) : hone__scope_find(sc, name);
    const char *text;
    if (v == &hone__scope_absent) v = NULL;
    HONE__TRY(hone__read_text(r, name, &text));
    if (!v) {
        if (!input) return hone__fail(HONE_E_FORMAT, "output '%.200s' is not made by any node", text);
        if (!(v = hone__value_new(sc->graph, text))) return HONE_E_MEMORY;
        HONE__TRY(hone__scope_bind(sc, name, v));
    } else if (input && !v->constant)
        return hone__fail(HONE_E_FORMAT, "two inputs are called '%.200s'", text);
    *out = v;
    hone__type declared = {.shape.rank = -1};
    /* maps that ZipMap makes are lifted to tensors */
    if (type.p && (input || !hone__type_is_map(type))) HONE__TRY(hone__read_type(r, type, &declared, text));
    if (v->constant) {
        if (declared.wrap) return hone__fail(HONE_E_FORMAT, "'%.200s' is a tensor and declared as none", text);
        return HONE_OK;
    }
    if (!v->dtype) v->dtype = declared.dtype, v->wrap = declared.wrap;
    if (v->shape.rank < 0) v->shape = declared.shape;
    return HONE_OK;
}

static hone_status read_initializer(hone__reader *r, hone__span s, hone__scope *sc)
{
    hone__tensor t;
    const char *name;
    HONE__TRY(hone__read_tensor(r, s, &t, &name));
    hone__span key = {(const uint8_t *)name, (const uint8_t *)name + strlen(name)};
    if (hone__scope_here(sc, key)) {
        hone__tensor_release(&t);
        return hone__fail(HONE_E_FORMAT, "two initializers are called '%.200s'", name);
    }
    hone__value *v = hone__value_constant(sc->graph, name, &t);
    return v ? hone__scope_bind(sc, key, v) : HONE_E_MEMORY;
}

/* GraphProto: node 1, name 2, initializer 5, input 11, output 12, sparse_initializer 15 */
static hone_status read_parts(hone__reader *r, hone__span g, hone__scope *sc)
{
    hone__field f;
    bool bad = false;
    for (hone__span s = g; hone__wire_next(&s, &f, &bad);) {
        if (f.number == 5 && f.type == 2) HONE__TRY(read_initializer(r, f.span, sc));
        if (f.number == 15) return hone__fail(HONE_E_UNSUPPORTED, "sparse initializers");
        if (f.number == 2 && f.type == 2) HONE__TRY(hone__read_text(r, f.span, &sc->graph->name));
    }
    if (bad) return hone__read_bad(r, g.p, "the graph");
    for (hone__span s = g; hone__wire_next(&s, &f, &bad);) {
        hone__value *v;
        if (f.number != 11 || f.type != 2) continue;
        HONE__TRY(read_value(r, f.span, sc, true, &v));
        /* IR 3 lists initializers among the inputs, too: defaults that nobody overrides here */
        if (!v->constant) HONE__TRY(hone__graph_add_input(sc->graph, v));
    }
    for (hone__span s = g; hone__wire_next(&s, &f, &bad);)
        if (f.number == 1 && f.type == 2) HONE__TRY(hone__declare_outputs(r, f.span, sc));
    for (hone__span s = g; hone__wire_next(&s, &f, &bad);)
        if (f.number == 1 && f.type == 2) HONE__TRY(hone__read_node(r, f.span, sc));
    HONE__TRY(hone__graph_sort(sc->graph));
    for (hone__span s = g; hone__wire_next(&s, &f, &bad);) {
        hone__value *v;
        if (f.number != 12 || f.type != 2) continue;
        HONE__TRY(read_value(r, f.span, sc, false, &v));
        HONE__TRY(hone__graph_add_output(sc->graph, v));
    }
    return HONE_OK;
}

hone_status hone__read_graph(hone__reader *r, hone__span s, hone__scope *parent, const hone__node *call, hone__graph *g)
{
    hone__scope sc = {.parent = parent, .graph = g, .call = call};
    hone_status st = read_parts(r, s, &sc);
    hone__free(sc.slots);
    return st;
}

static hone_status read_opset(hone__reader *r, hone__span s)
{
    hone__field f;
    bool bad = false;
    const char *domain = "";
    int64_t version = 0;
    hone__span whole = s;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.number == 1 && f.type == 2) HONE__TRY(hone__read_text(r, f.span, &domain));
        if (f.number == 2 && f.type == 0) version = (int64_t)f.value;
    }
    if (bad) return hone__read_bad(r, whole.p, "an opset import");
    return hone__model_set_opset(r->model, strcmp(domain, "ai.onnx") ? domain : "", version);
}

static hone_status read_metadata(hone__reader *r, hone__span s)
{
    hone__field f;
    bool bad = false;
    const char *key = "", *text = "";
    hone__span whole = s;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.number == 1 && f.type == 2) HONE__TRY(hone__read_text(r, f.span, &key));
        if (f.number == 2 && f.type == 2) HONE__TRY(hone__read_text(r, f.span, &text));
    }
    return bad ? hone__read_bad(r, whole.p, "a metadata entry") : hone__model_set_metadata(r->model, key, text);
}

static hone_status read_model(hone__reader *r, hone__span s)
{
    hone__field f;
    bool bad = false;
    hone__span graph = {NULL, NULL}, whole = s;
    hone__model *m = r->model;
    if (s.p == s.end) return hone__fail(HONE_E_FORMAT, "the file is empty");
    m->ir_version = 0;
    HONE__TRY(hone__model_set_opset(m, "", 0));
    while (hone__wire_next(&s, &f, &bad)) {
        switch (f.number) {
        case 1: m->ir_version = (int64_t)f.value; break;
        case 2:
            if (f.type == 2) HONE__TRY(hone__read_text(r, f.span, &m->producer));
            break;
        case 3:
            if (f.type == 2) HONE__TRY(hone__read_text(r, f.span, &m->producer_version));
            break;
        case 7:
            if (f.type == 2) graph = f.span;
            break;
        case 8:
            if (f.type == 2) HONE__TRY(read_opset(r, f.span));
            break;
        case 14:
            if (f.type == 2) HONE__TRY(read_metadata(r, f.span));
            break;
        case 25:
            if (f.type != 2) break;
            HONE__TRY(hone__grow(&r->functions, &r->function_capacity, r->function_count, sizeof *r->functions));
            r->functions[r->function_count++] = (hone__function){.body = f.span};
            break;
        default: break;
        }
    }
    if (bad || !graph.p)
        return hone__fail(HONE_E_FORMAT, "this is not an ONNX model, or it is cut off (byte %zu)",
                          (size_t)(s.p - whole.p));
    if (m->ir_version < 3 || m->ir_version > 14)
        return hone__fail(HONE_E_UNSUPPORTED, "IR version %lld; versions 3 to 14 are known", (long long)m->ir_version);
    int64_t opset = hone__model_opset(m, "");
    if (opset < 0) return hone__fail(HONE_E_FORMAT, "opset %lld", (long long)opset);
    if (opset > HONE__OPSET_NEWEST)
        return hone__fail(HONE_E_UNSUPPORTED, "opset %lld is from the future; %d is the newest known", (long long)opset,
                          HONE__OPSET_NEWEST);
    HONE__TRY(hone__index_functions(r));
    HONE__TRY(hone__read_graph(r, graph, NULL, NULL, m->graph));
    HONE__TRY(hone__graph_verify(m->graph));
    HONE__TRY(hone__onnx_upgrade(m->graph, opset ? opset : HONE__OPSET_NEWEST));
    if (opset < HONE__OPSET) HONE__TRY(hone__model_set_opset(m, "", HONE__OPSET));
    if (m->ir_version < 10) m->ir_version = 10;
    return HONE_OK;
}

static hone_status read_blob(hone__blob *file, const char *path, const char *name, hone__model **out)
{
    hone__reader r = {.file = file, .start = file->data, .path = path, .name = name};
    *out = NULL;
    if (hone__is_lfs_pointer(file->data, file->size))
        return hone__fail(HONE_E_FORMAT, "%s: a pointer of Git LFS, not the model (git lfs pull)", name);
    HONE__TRY(hone__model_new(&r.model));
    hone_status s = read_model(&r, (hone__span){file->data, file->data + file->size});
    hone__free(r.functions);
    hone__free(r.table);
    for (size_t i = 0; i < r.side_count; i++) hone__blob_unref(r.sides[i].blob);
    hone__free(r.sides);
    if (s == HONE_E_FORMAT && file->size && !r.model->ir_version) /* the first thing in a model */
        s = hone__fail(HONE_E_FORMAT, "this is not an ONNX model, or it is damaged");
    if (s != HONE_OK) {
        hone__model_destroy(r.model);
        return hone__at(s, "%s", name);
    }
    *out = r.model;
    return HONE_OK;
}

hone_status hone__onnx_read(const char *path, hone__model **out)
{
    hone__map *map;
    hone__blob *blob;
    *out = NULL;
    HONE__TRY(hone__map_open(path, &map));
    hone_status s = hone__blob_map(map, 0, map->size, &blob);
    hone__map_unref(map);
    HONE__TRY(s);
    s = read_blob(blob, path, path, out);
    hone__blob_unref(blob);
    return s;
}

hone_status hone__onnx_parse(const void *data, size_t size, const char *name, hone__model **out)
{
    hone__blob *blob;
    *out = NULL;
    HONE__TRY(hone__blob_borrow(data, size, &blob));
    hone_status s = read_blob(blob, NULL, name, out);
    hone__blob_unref(blob);
    return s;
}
