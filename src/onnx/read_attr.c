/* read_attr.c: AttributeProto, as it stands in nodes and as the default of a function. */
#include <string.h>

#include "read_graph.h"

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
    if (!strncmp(p->a.name, HONE__PRIVATE, strlen(HONE__PRIVATE))) /* trusted by operators */
        return hone__fail(HONE_E_UNSUPPORTED, "attribute '%.100s', which no file may hold", p->a.name);
    if (!p->a.kind) p->a.kind = (hone__attr_kind)guess; /* IR 1 and 2 had no type field */
    if (guess && (int)p->a.kind != guess && !p->ref.p) return hone__read_bad(r, whole.p, "an attribute's type");
    return HONE_OK;
}

/* Finishes an attribute on its node: tensors and graphs are read, references resolved. */
static hone_status finish_attr(hone__reader *r, attr_proto *p, hone__scope *sc, hone__node *n)
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
        HONE__TRY(hone__read_type(r, p->type, &type, p->a.name));
        p->a.type = &type;
    }
    if (p->a.kind == HONE__ATTR_GRAPH) {
        if (r->depth >= HONE__DEPTH_MAX)
            return hone__fail(HONE_E_LIMIT, "subgraphs are nested deeper than %d", HONE__DEPTH_MAX);
        HONE__TRY(hone__graph_new(r->model, n, &p->a.g));
        r->depth++;
        hone_status s = hone__read_graph(r, p->graph, sc, sc->call, p->a.g);
        r->depth--;
        HONE__TRY(s);
    }
    return hone__node_set_attr(n, &p->a);
}

static hone_status read_attr(hone__reader *r, hone__span s, hone__scope *sc, hone__node *n)
{
    attr_proto p = {0};
    hone_status st = scan_attr(r, s, &p);
    if (st == HONE_OK) st = finish_attr(r, &p, sc, n);
    attr_free(&p);
    return st;
}

hone_status hone__read_attrs(hone__reader *r, hone__span s, hone__scope *sc, hone__node *n)
{
    hone__field f;
    bool bad = false;
    while (hone__wire_next(&s, &f, &bad))
        if (f.number == 5 && f.type == 2) HONE__TRY(read_attr(r, f.span, sc, n));
    return HONE_OK;
}

hone_status hone__read_defaults(hone__reader *r, hone__span s, hone__scope *sc, hone__node *call)
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
