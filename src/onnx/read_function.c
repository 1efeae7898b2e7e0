/* read_function.c: functions of a model: found by name, and written out where a node calls one. */
#include <string.h>

#include "read_graph.h"

static bool same_span(hone__span a, hone__span b)
{
    size_t n = hone__span_size(a);
    return n == hone__span_size(b) && (!n || !memcmp(a.p, b.p, n));
}

static uint64_t function_hash(hone__span domain, hone__span name, hone__span overload)
{
    return hone__span_hash(domain) * 3 + hone__span_hash(name) * 5 + hone__span_hash(overload) * 7;
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
hone_status hone__index_functions(hone__reader *r)
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

hone__span hone__find_function(const hone__reader *r, const hone__node_proto *p)
{
    uint32_t at = r->function_count ? *function_slot(r, p->domain, p->op, p->overload) : 0;
    return at ? r->functions[at - 1].body : (hone__span){NULL, NULL};
}

enum { INLINE_BYTES = 4 << 20 };

/* FunctionProto: input 4, output 5, attribute 6, node 7, attribute_proto 11 */
static hone_status bind_formals(hone__reader *r, hone__span s, hone__scope *sc, const hone__node_proto *p)
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
            HONE__TRY(hone__scope_bind(sc, f.span, v ? v : &hone__scope_absent));
        }
        if (f.number == 5) {
            hone__value *v = out < p->out_count ? p->outs[out] : NULL;
            out++;
            hone__value *given = hone__scope_here(sc, f.span);
            if (v && given == &hone__scope_absent)
                return hone__fail(HONE_E_FORMAT, "a function hands on an input that its call leaves out");
            if (v && given) {
                if (!hone__node_new_with(sc->graph, NULL, "", "Identity", "", &given, 1, &v, 1)) return HONE_E_MEMORY;
            } else if (v)
                HONE__TRY(hone__scope_bind(sc, f.span, v));
        }
    }
    if (bad) return hone__read_bad(r, whole.p, "a function");
    if (p->in_count > in || p->out_count > out)
        return hone__fail(HONE_E_FORMAT, "a call gives %zu inputs and %zu outputs to a function of %zu and %zu",
                          p->in_count, p->out_count, in, out);
    return HONE_OK;
}

static hone_status inline_nodes(hone__reader *r, hone__span body, hone__scope *sc)
{
    hone__field f;
    bool bad = false;
    for (hone__span s = body; hone__wire_next(&s, &f, &bad);)
        if (f.number == 7 && f.type == 2) HONE__TRY(hone__declare_outputs(r, f.span, sc));
    for (hone__span s = body; hone__wire_next(&s, &f, &bad);)
        if (f.number == 7 && f.type == 2) HONE__TRY(hone__read_node(r, f.span, sc));
    return HONE_OK;
}

hone_status hone__inline_function(hone__reader *r, hone__span body, hone__node *call, const hone__node_proto *p)
{
    hone__scope sc = {.graph = call->graph, .call = call};
    /* calls of calls multiply: what they may add is bounded by the size of the file */
    r->inlined_bytes += hone__span_size(body);
    if (r->inlined_bytes > INLINE_BYTES + 16 * r->file->size)
        return hone__fail(HONE_E_LIMIT, "calls of functions add more than %zu bytes of nodes", r->inlined_bytes);
    if (r->depth >= HONE__DEPTH_MAX)
        return hone__fail(HONE_E_LIMIT, "functions are nested deeper than %d", HONE__DEPTH_MAX);
    r->depth++;
    hone_status st = hone__read_defaults(r, body, &sc, call);
    if (st == HONE_OK) st = bind_formals(r, body, &sc, p);
    if (st == HONE_OK) st = inline_nodes(r, body, &sc);
    r->depth--;
    hone__free(sc.slots);
    return st;
}
