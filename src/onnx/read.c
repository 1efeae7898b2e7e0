/* read.c: ModelProto and GraphProto to the graph, over the mapped file. Names are resolved through scopes; a node whose
 * operator is a function of the model is replaced by the function's body on the spot. */

#include <stdio.h>
#include <string.h>

#include "read.h"

/* Names of one graph (or of one function call): open addressing over spans. */
typedef struct scope {
    struct scope *parent;
    hone__graph *graph;
    struct name {
        hone__span key;
        hone__value *value;
    } *slots;
    size_t size, used;
    const hone__node *call; /* in a function body: whose attributes ref_attr_name means; NULL otherwise */
} scope;

static uint64_t hash(hone__span s)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const uint8_t *p = s.p; p < s.end; p++) h = (h ^ *p) * 0x100000001b3u;
    return h ^ h >> 29;
}

static struct name *slot_of(const scope *sc, hone__span key)
{
    size_t i = hash(key) & (sc->size - 1);
    for (;; i = (i + 1) & (sc->size - 1)) {
        struct name *n = &sc->slots[i];
        if (!n->key.p) return n;
        if (hone__span_size(n->key) == hone__span_size(key) && !memcmp(n->key.p, key.p, hone__span_size(key))) return n;
    }
}

static hone_status bind(scope *sc, hone__span key, hone__value *v)
{
    if (sc->used * 2 >= sc->size) {
        scope bigger = *sc;
        bigger.size = sc->size ? sc->size * 2 : 64;
        bigger.slots = hone__calloc(bigger.size, sizeof *bigger.slots);
        if (!bigger.slots) return hone__out_of_memory(bigger.size);
        for (size_t i = 0; i < sc->size; i++)
            if (sc->slots[i].key.p) *slot_of(&bigger, sc->slots[i].key) = sc->slots[i];
        hone__free(sc->slots);
        *sc = bigger;
    }
    struct name *n = slot_of(sc, key);
    if (!n->key.p) sc->used++;
    *n = (struct name){key, v};
    return HONE_OK;
}

/* What a formal input of a function is bound to where the call leaves it out. */
static hone__value absent;

static hone__value *find_here(const scope *sc, hone__span key) { return sc->size ? slot_of(sc, key)->value : NULL; }

static hone__value *find(const scope *sc, hone__span key)
{
    for (; sc; sc = sc->parent) {
        hone__value *v = find_here(sc, key);
        if (v) return v;
    }
    return NULL;
}

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

static hone_status read_graph(hone__reader *r, hone__span s, scope *parent, const hone__node *call, hone__graph *g);

static hone_status read_shape(hone__reader *r, hone__span s, hone__shape *shape)
{
    hone__field f, d;
    bool bad = false, bad_dim = false;
    hone__span whole = s;
    shape->rank = 0;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.number != 1 || f.type != 2) continue;
        if (shape->rank == HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank is over %d", HONE_MAX_RANK);
        int64_t dim = -1;
        hone__span dims = f.span;
        while (hone__wire_next(&dims, &d, &bad_dim)) {
            if (d.number == 1 && d.type == 0) dim = (int64_t)d.value < 0 ? -1 : (int64_t)d.value;
            if (d.number == 2 && d.type == 2) {
                const char *name;
                HONE__TRY(hone__read_text(r, d.span, &name));
                HONE__TRY(hone__symbol(r->model, name, &dim));
            }
        }
        if (bad_dim) return hone__read_bad(r, whole.p, "a dimension");
        shape->dims[shape->rank++] = dim;
    }
    return bad ? hone__read_bad(r, whole.p, "a shape") : HONE_OK;
}

static hone_status read_tensor_type(hone__reader *r, hone__span s, hone__type *out, const char *name)
{
    hone__field f;
    bool bad = false;
    hone__span whole = s;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.number == 1) {
            if (f.value < 1 || f.value >= HONE_DTYPE_COUNT)
                return hone__fail(HONE_E_FORMAT, "'%.200s' has element type %llu", name, (unsigned long long)f.value);
            out->dtype = (hone_dtype)f.value;
        }
        if (f.number == 2 && f.type == 2) HONE__TRY(read_shape(r, f.span, &out->shape));
    }
    return bad ? hone__read_bad(r, whole.p, "a type") : HONE_OK;
}

/* Field 1 of a sequence's or optional's type: the type of what is inside. */
static hone_status inner_type(hone__reader *r, hone__span *s)
{
    hone__field f;
    bool bad = false;
    hone__span inner = {s->end, s->end}, rest = *s;
    while (hone__wire_next(&rest, &f, &bad))
        if (f.number == 1 && f.type == 2) inner = f.span;
    if (bad) return hone__read_bad(r, s->p, "a type");
    *s = inner;
    return HONE_OK;
}

/* TypeProto: tensor 1, sequence 4, map 5, denotation 6, sparse tensor 8, optional 9. An optional may hold a sequence, a
 * sequence holds tensors. */
static hone_status read_type(hone__reader *r, hone__span s, hone__type *out, const char *name)
{
    hone__field f;
    bool bad = false;
    hone__span whole = s;
    out->wrap = 0;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.type != 2 || f.number == 6) continue;
        if (f.number == 1) {
            HONE__TRY(read_tensor_type(r, f.span, out, name));
            continue;
        }
        unsigned wrap = f.number == 4 ? HONE__OF_SEQUENCE : f.number == 9 ? HONE__OF_OPTIONAL : 0;
        if (!wrap || out->wrap & HONE__OF_SEQUENCE || out->wrap & wrap)
            return hone__fail(HONE_E_UNSUPPORTED, "'%.200s' is a map, a sparse tensor or a sequence of sequences",
                              name);
        out->wrap |= wrap;
        HONE__TRY(inner_type(r, &f.span));
        s = f.span; /* goes on inside: a type has one field of these */
    }
    return bad ? hone__read_bad(r, whole.p, "a type") : HONE_OK;
}

/* ValueInfoProto of an input or output: finds or makes the value. */
static hone_status read_value(hone__reader *r, hone__span s, scope *sc, bool input, hone__value **out)
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
    hone__value *v = input ? find_here(sc, name) : find(sc, name);
    const char *text;
    if (v == &absent) v = NULL;
    HONE__TRY(hone__read_text(r, name, &text));
    if (!v) {
        if (!input) return hone__fail(HONE_E_FORMAT, "output '%.200s' is not made by any node", text);
        if (!(v = hone__value_new(sc->graph, text))) return HONE_E_MEMORY;
        HONE__TRY(bind(sc, name, v));
    } else if (input && !v->constant)
        return hone__fail(HONE_E_FORMAT, "two inputs are called '%.200s'", text);
    *out = v;
    hone__type declared = {.shape.rank = -1};
    if (type.p) HONE__TRY(read_type(r, type, &declared, text));
    if (v->constant) {
        if (declared.wrap) return hone__fail(HONE_E_FORMAT, "'%.200s' is a tensor and declared as none", text);
        return HONE_OK;
    }
    if (!v->dtype) v->dtype = declared.dtype, v->wrap = declared.wrap;
    if (v->shape.rank < 0) v->shape = declared.shape;
    return HONE_OK;
}

static hone_status read_list(hone__reader *r, const hone__field *f, hone__attr *a, size_t *room)
{
    size_t size = f->number == 7 ? sizeof(float) : f->number == 8 ? sizeof(int64_t) : sizeof(hone__string);
    hone__span s = f->span;
    bool packed = f->type == 2 && f->number != 9;
    if (a->count && !(f->number == 7 ? (void *)a->floats : f->number == 8 ? (void *)a->ints : (void *)a->strings))
        return hone__read_bad(r, s.p, "an attribute with lists of several kinds");
    do {
        uint64_t v = f->value;
        if (f->number == 9 && f->type != 2) return hone__read_bad(r, s.p, "a text of an attribute");
        if (packed) {
            if (s.p == s.end) break;
            if (f->number == 8 && !hone__wire_varint(&s, &v)) return hone__read_bad(r, s.p, "an attribute");
            if (f->number == 7) {
                uint32_t u;
                if (hone__span_size(s) < 4) return hone__read_bad(r, s.p, "an attribute");
                memcpy(&u, s.p, 4);
                s.p += 4;
                v = u;
            }
        }
        void **list = f->number == 7 ? (void **)&a->floats : f->number == 8 ? (void **)&a->ints : (void **)&a->strings;
        HONE__TRY(hone__grow(list, room, a->count, size));
        if (f->number == 7)
            memcpy(&a->floats[a->count], &(uint32_t){(uint32_t)v}, 4);
        else if (f->number == 8)
            a->ints[a->count] = (int64_t)v;
        else
            a->strings[a->count] = (hone__string){(const char *)f->span.p, hone__span_size(f->span)};
        a->count++;
    } while (packed && s.p < s.end);
    return HONE_OK;
}

typedef struct attr_proto {
    hone__attr a;
    hone__span ref, tensor, graph, type;
    size_t room;
} attr_proto;

static void attr_free(attr_proto *p)
{
    hone__free(p->a.ints);
    hone__free(p->a.floats);
    hone__free(p->a.strings);
}

static hone_status scan_attr(hone__reader *r, hone__span s, attr_proto *p)
{
    hone__field f;
    bool bad = false;
    hone__span whole = s;
    int guess = 0;
    p->a.name = "";
    while (hone__wire_next(&s, &f, &bad)) {
        if ((f.number == 1 || f.number == 21) && f.type == 2) {
            if (f.number == 21)
                p->ref = f.span;
            else
                HONE__TRY(hone__read_text(r, f.span, &p->a.name));
        } else if (f.number == 2 && f.type == 5)
            memcpy(&p->a.f, &f.value, 4), guess = HONE__ATTR_FLOAT;
        else if (f.number == 3 && f.type == 0)
            p->a.i = (int64_t)f.value, guess = HONE__ATTR_INT;
        else if (f.number == 4 && f.type == 2)
            p->a.s = (hone__string){(const char *)f.span.p, hone__span_size(f.span)}, guess = HONE__ATTR_STRING;
        else if (f.number == 5 && f.type == 2)
            p->tensor = f.span, guess = HONE__ATTR_TENSOR;
        else if (f.number == 6 && f.type == 2)
            p->graph = f.span, guess = HONE__ATTR_GRAPH;
        else if (f.number == 14 && f.type == 2)
            p->type = f.span, guess = HONE__ATTR_TYPE;
        else if (f.number >= 7 && f.number <= 9) {
            HONE__TRY(read_list(r, &f, &p->a, &p->room));
            guess = HONE__ATTR_FLOATS + (int)f.number - 7;
        } else if (f.number >= 10 && f.number <= 23 && f.number != 13 && f.number != 20 && f.number != 21)
            return hone__fail(HONE_E_UNSUPPORTED, "attribute '%.100s' is a list of tensors, graphs or types, or sparse",
                              p->a.name);
        else if (f.number == 20 && f.type == 0)
            p->a.kind = (hone__attr_kind)(f.value > 14 ? 0 : f.value);
    }
    if (bad || !*p->a.name) return hone__read_bad(r, whole.p, "an attribute");
    if (!p->a.kind) p->a.kind = (hone__attr_kind)guess; /* IR 1 and 2 had no type field */
    if (guess && (int)p->a.kind != guess && !p->ref.p) return hone__read_bad(r, whole.p, "an attribute's type");
    return HONE_OK;
}

/* Finishes an attribute on its node: tensors and graphs are read, references resolved. */
static hone_status finish_attr(hone__reader *r, attr_proto *p, scope *sc, hone__node *n)
{
    if (p->ref.p) {
        const char *name;
        HONE__TRY(hone__read_text(r, p->ref, &name));
        const hone__attr *from = sc->call ? hone__node_attr(sc->call, name) : NULL;
        if (!sc->call) return hone__fail(HONE_E_FORMAT, "attribute '%.100s' refers to one of a function", p->a.name);
        if (!from) return HONE_OK; /* not given: the operator's own default holds */
        hone__attr copy = *from;
        copy.name = p->a.name;
        return hone__node_set_attr(n, &copy);
    }
    if (p->a.kind == HONE__ATTR_TENSOR) {
        hone__tensor t;
        HONE__TRY(hone__read_tensor(r, p->tensor, &t, NULL));
        HONE__TRY(hone__model_hold(r->model, &t, &p->a.t));
    }
    hone__type type = {.shape.rank = -1};
    if (p->a.kind == HONE__ATTR_TYPE) {
        HONE__TRY(read_type(r, p->type, &type, p->a.name));
        p->a.type = &type;
    }
    if (p->a.kind == HONE__ATTR_GRAPH) {
        if (r->depth >= HONE__DEPTH_MAX)
            return hone__fail(HONE_E_LIMIT, "subgraphs are nested deeper than %d", HONE__DEPTH_MAX);
        HONE__TRY(hone__graph_new(r->model, n, &p->a.g));
        r->depth++;
        hone_status s = read_graph(r, p->graph, sc, sc->call, p->a.g);
        r->depth--;
        HONE__TRY(s);
    }
    return hone__node_set_attr(n, &p->a);
}

static hone_status read_attr(hone__reader *r, hone__span s, scope *sc, hone__node *n)
{
    attr_proto p = {0};
    hone_status st = scan_attr(r, s, &p);
    if (st == HONE_OK) st = finish_attr(r, &p, sc, n);
    attr_free(&p);
    return st;
}

typedef struct node_proto {
    hone__span op, domain, name, overload;
    hone__value **ins, **outs;
    size_t in_count, out_count, in_room, out_room;
} node_proto;

static bool domain_is(hone__span s, const char *domain)
{
    if (!s.p || hone__span_is(s, "ai.onnx")) return !*domain;
    return hone__span_is(s, domain);
}

static hone_status not_made(bool output, const char *text)
{
    return hone__fail(HONE_E_FORMAT, "%s '%.200s' is not made by any node, input or initializer",
                      output ? "output" : "input", text);
}

static hone_status resolve(hone__reader *r, hone__span name, scope *sc, bool output, hone__value **out)
{
    *out = NULL;
    if (name.p == name.end) return HONE_OK; /* an absent optional one */
    *out = output ? find_here(sc, name) : find(sc, name);
    if (*out == &absent)
        *out = NULL;
    else if (!*out) {
        const char *text;
        HONE__TRY(hone__read_text(r, name, &text));
        return not_made(output, text);
    }
    return HONE_OK;
}

static hone_status scan_node(hone__reader *r, hone__span s, scope *sc, node_proto *p)
{
    hone__field f;
    bool bad = false;
    hone__span whole = s;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.type != 2) continue;
        hone__value *v = NULL;
        switch (f.number) {
        case 1:
            HONE__TRY(resolve(r, f.span, sc, false, &v));
            HONE__TRY(hone__grow(&p->ins, &p->in_room, p->in_count, sizeof v));
            p->ins[p->in_count++] = v;
            break;
        case 2:
            HONE__TRY(resolve(r, f.span, sc, true, &v));
            /* scratch: the node that has claimed it */
            if (v && (v->producer || v->constant || v->input_index >= 0 || v->scratch == p))
                return hone__fail(HONE_E_FORMAT, "output '%.200s' is made twice", v->name);
            if (v) v->scratch = p;
            HONE__TRY(hone__grow(&p->outs, &p->out_room, p->out_count, sizeof v));
            p->outs[p->out_count++] = v;
            break;
        case 3: p->name = f.span; break;
        case 4: p->op = f.span; break;
        case 7: p->domain = f.span; break;
        case 8: p->overload = f.span; break;
        default: break;
        }
    }
    for (size_t i = 0; i < p->out_count; i++)
        if (p->outs[i]) p->outs[i]->scratch = NULL;
    if (bad) return hone__read_bad(r, whole.p, "a node");
    return p->op.p && p->op.p < p->op.end ? HONE_OK : hone__read_bad(r, whole.p, "a node without an operator");
}

static hone_status each_attr(hone__reader *r, hone__span s, scope *sc, hone__node *n)
{
    hone__field f;
    bool bad = false;
    while (hone__wire_next(&s, &f, &bad))
        if (f.number == 5 && f.type == 2) HONE__TRY(read_attr(r, f.span, sc, n));
    return HONE_OK;
}

/* A Constant node: its output becomes a constant. */
static hone_status constant_node(hone__reader *r, hone__node *n)
{
    hone__value *v = n->output_count ? n->outputs[0] : NULL;
    if (!v || n->attr_count != 1) return hone__fail(HONE_E_FORMAT, "a Constant needs one output and one attribute");
    const hone__attr *a = &n->attrs[0];
    hone__tensor t = {0};
    int64_t dims[1] = {(int64_t)a->count};
    switch (a->kind) {
    case HONE__ATTR_TENSOR:
        t = *a->t;
        hone__blob_ref(t.blob);
        break;
    case HONE__ATTR_FLOAT:
        HONE__TRY(hone__tensor_new(HONE_F32, 0, NULL, &t));
        memcpy(hone__tensor_write(&t), &a->f, 4);
        break;
    case HONE__ATTR_INT:
        HONE__TRY(hone__tensor_new(HONE_I64, 0, NULL, &t));
        memcpy(hone__tensor_write(&t), &a->i, 8);
        break;
    case HONE__ATTR_FLOATS:
    case HONE__ATTR_INTS:
        HONE__TRY(hone__tensor_new(a->kind == HONE__ATTR_INTS ? HONE_I64 : HONE_F32, 1, dims, &t));
        if (t.bytes)
            memcpy(hone__tensor_write(&t), a->kind == HONE__ATTR_INTS ? (void *)a->ints : (void *)a->floats, t.bytes);
        break;
    case HONE__ATTR_STRING:
    case HONE__ATTR_STRINGS: {
        hone__string one = a->s;
        bool list = a->kind == HONE__ATTR_STRINGS;
        HONE__TRY(hone__tensor_strings(list, dims, list ? a->strings : &one, &t));
        break;
    }
    default: return hone__fail(HONE_E_UNSUPPORTED, "attribute '%.100s' of a Constant", a->name);
    }
    (void)r;
    hone__node_remove(n);
    return hone__value_set_constant(v, &t);
}

static hone_status inline_function(hone__reader *r, hone__span body, hone__node *call, const node_proto *p);

static bool same_span(hone__span a, hone__span b)
{
    size_t n = hone__span_size(a);
    return n == hone__span_size(b) && (!n || !memcmp(a.p, b.p, n));
}

static uint64_t function_hash(hone__span domain, hone__span name, hone__span overload)
{
    return hash(domain) * 3 + hash(name) * 5 + hash(overload) * 7;
}

/* The slot of a function in r->table, or the empty one where it belongs. */
static uint32_t *function_slot(const hone__reader *r, hone__span domain, hone__span name, hone__span overload)
{
    size_t i = function_hash(domain, name, overload) & (r->table_size - 1);
    for (; r->table[i]; i = (i + 1) & (r->table_size - 1)) {
        const hone__function *f = &r->functions[r->table[i] - 1];
        if (same_span(f->name, name) && same_span(f->domain, domain) && same_span(f->overload, overload)) break;
    }
    return &r->table[i];
}

/* Reads the heads of all FunctionProtos, so that a node finds its function at once. The first of a name counts. */
static hone_status index_functions(hone__reader *r)
{
    for (r->table_size = 16; r->table_size < 2 * r->function_count;) r->table_size *= 2;
    if (!(r->table = hone__calloc(r->table_size, sizeof *r->table))) return hone__out_of_memory(r->table_size);
    for (size_t i = 0; i < r->function_count; i++) {
        hone__function *fn = &r->functions[i];
        hone__field f;
        bool bad = false;
        for (hone__span s = fn->body; hone__wire_next(&s, &f, &bad);) {
            if (f.type != 2) continue;
            if (f.number == 1) fn->name = f.span;
            if (f.number == 10) fn->domain = f.span;
            if (f.number == 13) fn->overload = f.span;
        }
        if (bad) return hone__read_bad(r, fn->body.p, "a function");
        uint32_t *slot = function_slot(r, fn->domain, fn->name, fn->overload);
        if (!*slot) *slot = (uint32_t)i + 1;
    }
    return HONE_OK;
}

static hone__span find_function(const hone__reader *r, const node_proto *p)
{
    uint32_t at = r->function_count ? *function_slot(r, p->domain, p->op, p->overload) : 0;
    return at ? r->functions[at - 1].body : (hone__span){NULL, NULL};
}

enum { INLINE_BYTES = 4 << 20, INLINE_NODES = 1 << 15 };

static hone_status make_node(hone__reader *r, hone__span s, scope *sc, const node_proto *p)
{
    const char *op, *domain = "", *name = "";
    hone__span body = find_function(r, p);
    HONE__TRY(hone__read_text(r, p->op, &op));
    if (p->domain.p && !domain_is(p->domain, "")) HONE__TRY(hone__read_text(r, p->domain, &domain));
    if (!strcmp(domain, "hone")) /* made by passes in memory only, trusted by operators */
        return hone__fail(HONE_E_UNSUPPORTED, "operator '%.100s' of domain hone, which no file may hold", op);
    if (p->name.p) HONE__TRY(hone__read_text(r, p->name, &name));
    if (sc->call && ++r->inlined_nodes > INLINE_NODES + r->file->size / 32)
        return hone__fail(HONE_E_LIMIT, "calls of functions add more than %zu nodes", r->inlined_nodes - 1);
    if (++r->nodes > HONE__NODES_MAX) return hone__fail(HONE_E_LIMIT, "more than %d nodes", HONE__NODES_MAX);
    hone__node *n;
    if (body.p) { /* a node without outputs carries the attributes while the body is read */
        n = hone__node_new(sc->graph, NULL, domain, op, name, NULL, 0, 0);
        if (!n) return HONE_E_MEMORY;
        HONE__TRY(each_attr(r, s, sc, n));
        HONE__TRY(inline_function(r, body, n, p));
        hone__node_remove(n);
        return HONE_OK;
    }
    n = hone__node_new_with(sc->graph, NULL, domain, op, name, p->ins, (int)p->in_count, p->outs, (int)p->out_count);
    if (!n) return HONE_E_MEMORY;
    hone_status st = each_attr(r, s, sc, n);
    if (st == HONE_OK && hone__node_is(n, "Constant")) st = constant_node(r, n);
    if (st != HONE_OK) return hone__at(st, "node '%.200s' (%.100s)", name, op);
    hone__node_trim_inputs(n);
    return HONE_OK;
}

static hone_status read_node(hone__reader *r, hone__span s, scope *sc)
{
    node_proto p = {0};
    hone_status st = scan_node(r, s, sc, &p);
    if (st == HONE_OK)
        st = make_node(r, s, sc, &p);
    else if (p.op.p) {
        const char *op;
        char text[200];
        snprintf(text, sizeof text, "%.*s", (int)(hone__span_size(p.name) > 100 ? 100 : hone__span_size(p.name)),
                 p.name.p ? (const char *)p.name.p : "");
        if (hone__read_text(r, p.op, &op) == HONE_OK) st = hone__at(st, "node '%s' (%.100s)", text, op);
    }
    hone__free(p.ins);
    hone__free(p.outs);
    return st;
}

/* Every output name of a node list gets a value first, so that the order in the file does not matter to names. */
static hone_status declare_outputs(hone__reader *r, hone__span node, scope *sc)
{
    hone__field f;
    bool bad = false;
    hone__span whole = node;
    while (hone__wire_next(&node, &f, &bad)) {
        if (f.number != 2 || f.type != 2 || f.span.p == f.span.end) continue;
        if (find_here(sc, f.span)) continue; /* a formal output; making one twice is found when the node is read */
        const char *text;
        HONE__TRY(hone__read_text(r, f.span, &text));
        hone__value *v = hone__value_new(sc->graph, text);
        if (!v) return HONE_E_MEMORY;
        HONE__TRY(bind(sc, f.span, v));
    }
    return bad ? hone__read_bad(r, whole.p, "a node") : HONE_OK;
}

/* FunctionProto: input 4, output 5, attribute 6, node 7, attribute_proto 11 */
static hone_status bind_formals(hone__reader *r, hone__span s, scope *sc, const node_proto *p)
{
    hone__field f;
    bool bad = false;
    size_t in = 0, out = 0;
    hone__span whole = s;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.type != 2) continue;
        if (f.number == 4) {
            hone__value *v = in < p->in_count ? p->ins[in] : NULL;
            in++;
            HONE__TRY(bind(sc, f.span, v ? v : &absent));
        }
        if (f.number == 5) {
            hone__value *v = out < p->out_count ? p->outs[out] : NULL;
            out++;
            hone__value *given = find_here(sc, f.span);
            if (v && given == &absent)
                return hone__fail(HONE_E_FORMAT, "a function hands on an input that its call leaves out");
            if (v && given) {
                if (!hone__node_new_with(sc->graph, NULL, "", "Identity", "", &given, 1, &v, 1)) return HONE_E_MEMORY;
            } else if (v)
                HONE__TRY(bind(sc, f.span, v));
        }
    }
    if (bad) return hone__read_bad(r, whole.p, "a function");
    if (p->in_count > in || p->out_count > out)
        return hone__fail(HONE_E_FORMAT, "a call gives %zu inputs and %zu outputs to a function of %zu and %zu",
                          p->in_count, p->out_count, in, out);
    return HONE_OK;
}

static hone_status function_defaults(hone__reader *r, hone__span s, scope *sc, hone__node *call)
{
    hone__field f;
    bool bad = false;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.number != 11 || f.type != 2) continue;
        attr_proto p = {0};
        hone_status st = scan_attr(r, f.span, &p);
        if (st == HONE_OK && !hone__node_attr(call, p.a.name)) st = finish_attr(r, &p, sc, call);
        attr_free(&p);
        HONE__TRY(st);
    }
    return HONE_OK;
}

static hone_status inline_nodes(hone__reader *r, hone__span body, scope *sc)
{
    hone__field f;
    bool bad = false;
    for (hone__span s = body; hone__wire_next(&s, &f, &bad);)
        if (f.number == 7 && f.type == 2) HONE__TRY(declare_outputs(r, f.span, sc));
    for (hone__span s = body; hone__wire_next(&s, &f, &bad);)
        if (f.number == 7 && f.type == 2) HONE__TRY(read_node(r, f.span, sc));
    return HONE_OK;
}

static hone_status inline_function(hone__reader *r, hone__span body, hone__node *call, const node_proto *p)
{
    scope sc = {.graph = call->graph, .call = call};
    /* calls of calls multiply: what they may add is bounded by the size of the file */
    r->inlined_bytes += hone__span_size(body);
    if (r->inlined_bytes > INLINE_BYTES + 16 * r->file->size)
        return hone__fail(HONE_E_LIMIT, "calls of functions add more than %zu bytes of nodes", r->inlined_bytes);
    if (r->depth >= HONE__DEPTH_MAX)
        return hone__fail(HONE_E_LIMIT, "functions are nested deeper than %d", HONE__DEPTH_MAX);
    r->depth++;
    hone_status st = function_defaults(r, body, &sc, call);
    if (st == HONE_OK) st = bind_formals(r, body, &sc, p);
    if (st == HONE_OK) st = inline_nodes(r, body, &sc);
    r->depth--;
    hone__free(sc.slots);
    return st;
}

static hone_status read_initializer(hone__reader *r, hone__span s, scope *sc)
{
    hone__tensor t;
    const char *name;
    HONE__TRY(hone__read_tensor(r, s, &t, &name));
    hone__span key = {(const uint8_t *)name, (const uint8_t *)name + strlen(name)};
    if (find_here(sc, key)) {
        hone__tensor_release(&t);
        return hone__fail(HONE_E_FORMAT, "two initializers are called '%.200s'", name);
    }
    hone__value *v = hone__value_constant(sc->graph, name, &t);
    return v ? bind(sc, key, v) : HONE_E_MEMORY;
}

/* GraphProto: node 1, name 2, initializer 5, input 11, output 12, sparse_initializer 15 */
static hone_status read_parts(hone__reader *r, hone__span g, scope *sc)
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
        if (f.number == 1 && f.type == 2) HONE__TRY(declare_outputs(r, f.span, sc));
    for (hone__span s = g; hone__wire_next(&s, &f, &bad);)
        if (f.number == 1 && f.type == 2) HONE__TRY(read_node(r, f.span, sc));
    HONE__TRY(hone__graph_sort(sc->graph));
    for (hone__span s = g; hone__wire_next(&s, &f, &bad);) {
        hone__value *v;
        if (f.number != 12 || f.type != 2) continue;
        HONE__TRY(read_value(r, f.span, sc, false, &v));
        HONE__TRY(hone__graph_add_output(sc->graph, v));
    }
    return HONE_OK;
}

static hone_status read_graph(hone__reader *r, hone__span s, scope *parent, const hone__node *call, hone__graph *g)
{
    scope sc = {.parent = parent, .graph = g, .call = call};
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
    HONE__TRY(index_functions(r));
    HONE__TRY(read_graph(r, graph, NULL, NULL, m->graph));
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
    HONE__TRY(hone__model_new(&r.model));
    hone_status s = read_model(&r, (hone__span){file->data, file->data + file->size});
    hone__free(r.functions);
    hone__free(r.table);
    for (size_t i = 0; i < r.side_count; i++) hone__blob_unref(r.sides[i].blob);
    hone__free(r.sides);
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
