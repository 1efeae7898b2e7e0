/* read_node.c: NodeProto. A node whose operator is a function of the model is replaced by the function's body on the
 * spot. */
#include <stdio.h>
#include <string.h>

#include "read_graph.h"

enum { INLINE_NODES = 1 << 15 }; /* that calls of functions may add, and more in larger files */

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

static hone_status resolve(hone__reader *r, hone__span name, hone__scope *sc, bool output, hone__value **out)
{
    *out = NULL;
    if (name.p == name.end) return HONE_OK; /* an absent optional one */
    *out = output ? hone__scope_here(sc, name) : hone__scope_find(sc, name);
    if (*out == &hone__scope_absent)
        *out = NULL;
    else if (!*out) {
        const char *text;
        HONE__TRY(hone__read_text(r, name, &text));
        return not_made(output, text);
    }
    return HONE_OK;
}

static hone_status scan_node(hone__reader *r, hone__span s, hone__scope *sc, hone__node_proto *p)
{
    hone__field f;
    bool bad = false;
    hone__span whole = s;
    while (hone__wire_next(&s, &f, &bad)) /* first what it is called in messages */
        if (f.type == 2) {
            if (f.number == 3) p->name = f.span;
            if (f.number == 4) p->op = f.span;
        }
    for (s = whole; hone__wire_next(&s, &f, &bad);) {
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

static hone_status make_node(hone__reader *r, hone__span s, hone__scope *sc, const hone__node_proto *p)
{
    const char *op, *domain = "", *name = "";
    hone__span body = hone__find_function(r, p);
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
        HONE__TRY(hone__read_attrs(r, s, sc, n));
        HONE__TRY(hone__inline_function(r, body, n, p));
        hone__node_remove(n);
        return HONE_OK;
    }
    n = hone__node_new_with(sc->graph, NULL, domain, op, name, p->ins, (int)p->in_count, p->outs, (int)p->out_count);
    if (!n) return HONE_E_MEMORY;
    hone_status st = hone__read_attrs(r, s, sc, n);
    if (st == HONE_OK && hone__node_is(n, "Constant")) st = constant_node(r, n);
    if (st != HONE_OK) return hone__at(st, "node '%.200s' (%.100s)", name, op);
    hone__node_trim_inputs(n);
    return HONE_OK;
}

hone_status hone__read_node(hone__reader *r, hone__span s, hone__scope *sc)
{
    hone__node_proto p = {0};
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
hone_status hone__declare_outputs(hone__reader *r, hone__span node, hone__scope *sc)
{
    hone__field f;
    bool bad = false;
    hone__span whole = node;
    while (hone__wire_next(&node, &f, &bad)) {
        if (f.number != 2 || f.type != 2 || f.span.p == f.span.end) continue;
        if (hone__scope_here(sc, f.span))
            continue; /* a formal output; making one twice is found when the node is read */
        const char *text;
        HONE__TRY(hone__read_text(r, f.span, &text));
        hone__value *v = hone__value_new(sc->graph, text);
        if (!v) return HONE_E_MEMORY;
        HONE__TRY(hone__scope_bind(sc, f.span, v));
    }
    return bad ? hone__read_bad(r, whole.p, "a node") : HONE_OK;
}
