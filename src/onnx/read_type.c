/* read_type.c: TypeProto: element types, shapes, what sequences and optionals hold. */
#include "read_graph.h"

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
hone_status hone__read_type(hone__reader *r, hone__span s, hone__type *out, const char *name)
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

bool hone__type_is_map(hone__span s)
{
    hone__field f;
    bool bad = false;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.type != 2 || f.number == 6) continue;
        if (f.number == 5) return true;
        if (f.number != 4 && f.number != 9) return false;
        hone__span inner = f.span;
        s = (hone__span){NULL, NULL};
        while (hone__wire_next(&inner, &f, &bad))
            if (f.number == 1 && f.type == 2) s = f.span; /* goes on inside */
    }
    return false;
}
