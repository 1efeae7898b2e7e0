/* read_tensor.c: TensorProto to a tensor: raw bytes stay where they are, typed lists are decoded. */
#include <string.h>

#include "base/checked.h"
#include "read.h"

typedef struct proto {
    int rank;
    int64_t dims[HONE_MAX_RANK];
    uint64_t dtype;
    hone__span raw;
    bool has_raw;
    hone__span name;
    const char *location;
    uint64_t offset, length;
    bool external, has_length;
} proto;

static hone_status read_dims(hone__reader *r, const hone__field *f, proto *t)
{
    hone__span s = f->span;
    do {
        uint64_t v = f->value;
        if (f->type == 2) {
            if (s.p == s.end) return HONE_OK;
            if (!hone__wire_varint(&s, &v)) return hone__read_bad(r, s.p, "a dimension");
        }
        if (t->rank == HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "a tensor of rank over %d", HONE_MAX_RANK);
        if ((int64_t)v < 0) return hone__fail(HONE_E_FORMAT, "a tensor has dimension %lld", (long long)v);
        t->dims[t->rank++] = (int64_t)v;
    } while (f->type == 2 && s.p < s.end);
    return HONE_OK;
}

static hone_status read_number(hone__reader *r, const char *text, uint64_t *out)
{
    *out = 0;
    if (!*text) return hone__fail(HONE_E_FORMAT, "%s: an external offset is empty", r->name);
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*text - '0'), out))
            return hone__fail(HONE_E_FORMAT, "%s: an external offset or length is no number", r->name);
    }
    return HONE_OK;
}

static hone_status read_external_entry(hone__reader *r, hone__span s, proto *t)
{
    hone__field f;
    bool bad = false;
    const char *key = "", *value = "";
    hone__span whole = s;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.type != 2) continue;
        if (f.number == 1) HONE__TRY(hone__read_text(r, f.span, &key));
        if (f.number == 2) HONE__TRY(hone__read_text(r, f.span, &value));
    }
    if (bad) return hone__read_bad(r, whole.p, "an external-data entry");
    if (!strcmp(key, "location")) t->location = value;
    if (!strcmp(key, "offset")) return read_number(r, value, &t->offset);
    if (!strcmp(key, "length")) {
        t->has_length = true;
        return read_number(r, value, &t->length);
    }
    return HONE_OK;
}

static hone_status scan(hone__reader *r, hone__span s, proto *t)
{
    hone__field f;
    bool bad = false;
    hone__span whole = s;
    while (hone__wire_next(&s, &f, &bad)) {
        switch (f.number) {
        case 1: HONE__TRY(read_dims(r, &f, t)); break;
        case 2: t->dtype = f.value; break;
        case 3: return hone__fail(HONE_E_UNSUPPORTED, "%s: a tensor in segments", r->name);
        case 8:
            if (f.type == 2) t->name = f.span;
            break;
        case 9:
            if (f.type != 2) return hone__read_bad(r, s.p, "raw_data");
            t->raw = f.span;
            t->has_raw = true;
            break;
        case 13:
            if (f.type == 2) HONE__TRY(read_external_entry(r, f.span, t));
            break;
        case 14: t->external = f.value == 1; break;
        default: break;
        }
    }
    return bad ? hone__read_bad(r, whole.p, "a tensor") : HONE_OK;
}

/* Which typed field holds a type's elements: 4 float, 5 int32, 6 string, 7 int64, 10 double, 11 uint64. */
static uint32_t typed_field(hone_dtype d)
{
    switch (d) {
    case HONE_F32:
    case HONE_C64: return 4;
    case HONE_STRING: return 6;
    case HONE_I64: return 7;
    case HONE_F64:
    case HONE_C128: return 10;
    case HONE_U32:
    case HONE_U64: return 11;
    default: return 5;
    }
}

typedef struct cursor {
    hone__tensor *t;
    size_t at, count; /* in stored elements: complex numbers take two, packed types several per byte */
} cursor;

static bool store(cursor *c, uint64_t v)
{
    hone_dtype d = c->t->dtype;
    void *data = hone__tensor_write(c->t);
    if (c->at >= c->count) return false;
    switch (d) {
    case HONE_F32:
    case HONE_C64: ((uint32_t *)data)[c->at] = (uint32_t)v; break;
    case HONE_F64:
    case HONE_C128:
    case HONE_I64:
    case HONE_U64: ((uint64_t *)data)[c->at] = v; break;
    case HONE_I32:
    case HONE_U32: ((uint32_t *)data)[c->at] = (uint32_t)v; break;
    case HONE_I16:
    case HONE_U16:
    case HONE_F16:
    case HONE_BF16: ((uint16_t *)data)[c->at] = (uint16_t)v; break;
    default: ((uint8_t *)data)[c->at] = (uint8_t)v; break; /* 8 bits, or a byte of packed ones */
    }
    c->at++;
    return true;
}

static hone_status store_packed(hone__reader *r, cursor *c, const hone__field *f)
{
    hone__span s = f->span;
    size_t fixed = f->number == 4 ? 4 : f->number == 10 ? 8 : 0;
    while (s.p < s.end) {
        uint64_t v = 0;
        if (fixed) {
            if (hone__span_size(s) < fixed) return hone__read_bad(r, s.p, "tensor data");
            memcpy(&v, s.p, fixed);
            s.p += fixed;
        } else if (!hone__wire_varint(&s, &v))
            return hone__read_bad(r, s.p, "tensor data");
        if (!store(c, v)) return hone__read_bad(r, s.p, "more tensor data than the shape has");
    }
    return HONE_OK;
}

static hone_status read_typed(hone__reader *r, hone__span s, hone__tensor *t)
{
    hone__field f;
    bool bad = false;
    size_t complex_factor = t->dtype == HONE_C64 || t->dtype == HONE_C128 ? 2 : 1;
    cursor c = {t, 0, hone__dtype_bits(t->dtype) < 8 ? t->bytes : t->count * complex_factor};
    hone__span whole = s;
    while (hone__wire_next(&s, &f, &bad)) {
        if (f.number != typed_field(t->dtype)) continue;
        if (f.type == 2)
            HONE__TRY(store_packed(r, &c, &f));
        else if (!store(&c, f.value))
            return hone__read_bad(r, s.p, "more tensor data than the shape has");
    }
    if (c.at != c.count) return hone__read_bad(r, whole.p, "less tensor data than the shape has");
    return HONE_OK;
}

/* A typed list takes at least one byte per element: a shape larger than its bytes is a lie, told before allocating. */
static hone_status check_typed_size(hone__reader *r, hone__span s, hone_dtype d, int rank, const int64_t *dims)
{
    size_t count, bytes, least;
    HONE__TRY(hone__shape_bytes(d, rank, dims, &count, &bytes));
    least = d == HONE_STRING ? count : hone__dtype_bits(d) < 8 ? bytes : count;
    if (least > hone__span_size(s)) return hone__read_bad(r, s.p, "less tensor data than the shape has");
    return HONE_OK;
}

static hone_status read_strings(hone__reader *r, hone__span s, const proto *p, hone__tensor *out)
{
    size_t count, bytes, at = 0, text = 0;
    HONE__TRY(hone__shape_count(p->rank, p->dims, &count));
    bytes = count * sizeof(hone__string);
    hone__blob *blob;
    text = bytes;
    if (!hone__add_size(bytes, hone__span_size(s), &bytes)) return hone__fail(HONE_E_LIMIT, "too many strings");
    HONE__TRY(hone__blob_new(bytes, &blob));
    hone__string *list = (hone__string *)blob->data;
    hone__field f;
    bool bad = false;
    hone_status st = HONE_OK;
    hone__span rest = s;
    while (st == HONE_OK && hone__wire_next(&rest, &f, &bad)) {
        if (f.number != 6 || f.type != 2) continue;
        if (at == count)
            st = hone__read_bad(r, rest.p, "more strings than the shape has");
        else {
            size_t n = hone__span_size(f.span);
            memcpy(blob->data + text, f.span.p, n);
            list[at++] = (hone__string){(const char *)blob->data + text, n};
            text += n;
        }
    }
    if (st == HONE_OK && at != count) st = hone__read_bad(r, s.p, "fewer strings than the shape has");
    if (st == HONE_OK) {
        *out = (hone__tensor){.dtype = HONE_STRING,
                              .rank = p->rank,
                              .data = list,
                              .count = count,
                              .bytes = count * sizeof *list,
                              .blob = hone__blob_ref(blob)};
        memcpy(out->dims, p->dims, sizeof p->dims);
    }
    hone__blob_unref(blob);
    return st;
}

/* In place where the bytes lie as their type demands; files of other tools, which do not care, are copied. */
static hone_status view_aligned(hone__blob *blob, size_t offset, hone_dtype d, const proto *p, hone__tensor *out)
{
    size_t size = hone__dtype_size(d);
    if (size < 2 || (uintptr_t)(blob->data + offset) % (size > 8 ? 8 : size) == 0)
        return hone__tensor_view(blob, offset, d, p->rank, p->dims, out);
    HONE__TRY(hone__tensor_new(d, p->rank, p->dims, out));
    if (out->bytes) memcpy(hone__tensor_write(out), blob->data + offset, out->bytes);
    hone__blob_idle(blob, offset, out->bytes);
    return HONE_OK;
}

static hone_status read_raw(hone__reader *r, const proto *p, hone_dtype d, hone__tensor *out)
{
    size_t count, bytes;
    HONE__TRY(hone__shape_bytes(d, p->rank, p->dims, &count, &bytes));
    if (p->external) {
        if (!p->location) return hone__fail(HONE_E_FORMAT, "%s: external data without a location", r->name);
        if (p->has_length && p->length != bytes)
            return hone__fail(HONE_E_FORMAT, "%s: external data of %llu bytes for a shape of %zu", r->name,
                              (unsigned long long)p->length, bytes);
        hone__blob *blob;
        HONE__TRY(hone__read_external(r, p->location, p->offset, bytes, &blob));
        return view_aligned(blob, (size_t)p->offset, d, p, out);
    }
    if (hone__span_size(p->raw) != bytes)
        return hone__fail(HONE_E_FORMAT, "raw_data has %zu bytes, the shape needs %zu", hone__span_size(p->raw), bytes);
    return view_aligned(r->file, (size_t)(p->raw.p - r->start), d, p, out);
}

hone_status hone__read_tensor(hone__reader *r, hone__span s, hone__tensor *out, const char **name)
{
    proto p = {0};
    *out = (hone__tensor){0};
    HONE__TRY(scan(r, s, &p));
    const char *text = "";
    if (p.name.p) HONE__TRY(hone__read_text(r, p.name, &text));
    if (name) *name = text;
    if (p.dtype < 1 || p.dtype >= HONE_DTYPE_COUNT)
        return hone__fail(HONE_E_FORMAT, "tensor '%.100s' has element type %llu", text, (unsigned long long)p.dtype);
    hone_dtype d = (hone_dtype)p.dtype;
    hone_status st;
    if (p.external || (p.has_raw && d != HONE_STRING))
        st = read_raw(r, &p, d, out);
    else {
        st = check_typed_size(r, s, d, p.rank, p.dims);
        if (st == HONE_OK && d == HONE_STRING)
            st = read_strings(r, s, &p, out);
        else if (st == HONE_OK) {
            st = hone__tensor_new(d, p.rank, p.dims, out);
            if (st == HONE_OK) st = read_typed(r, s, out);
        }
    }
    if (st != HONE_OK) {
        hone__tensor_release(out);
        return hone__at(st, "tensor '%.100s'", text);
    }
    return HONE_OK;
}
