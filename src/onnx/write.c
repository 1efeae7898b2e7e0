/* write.c: streams a model as protobuf. Each message is written twice by the same code: once into a counter, which
 * gives the length that protobuf wants first, and once into the file. Weights lie at aligned offsets, so that a reader
 * can use them from the mapping: an empty doc_string of the right length stands before raw_data. Its length shifts what
 * follows, so the file is walked without writing until the offsets stay. Field numbers are those of onnx.proto. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "onnx.h"

enum { EXTERNAL_MIN = 1024, EXTERNAL_ALIGN = 64, BIG = 1 << 16, WALKS = 8, PIECE = 1 << 14 };

typedef struct sink {
    hone__graph *graph; /* whose symbols shapes name */
    hone__output *file; /* NULL: only count */
    bool walk;          /* go through everything without writing: `count` is then a place in the file */
    size_t count;
    size_t tensor; /* initializers so far */
    uint8_t *pads; /* per initializer: bytes before raw_data, 0 or 2 and more */
    bool moved;    /* a walk found a pad that must change */
    hone_status status;
    hone__output *external; /* where big tensors go, or NULL */
    const char *location;
    size_t *offsets; /* per value, by its id: place in the external file + 1 */
    struct shared *shared;
} sink;

/* A tensor that lies in the external file already. */
typedef struct placed {
    const void *data;
    size_t bytes, at; /* at: place + 1; 0: an empty slot */
} placed;

/* What several files that are written together have in common. */
typedef struct shared {
    size_t end;     /* of the external file so far */
    placed *slots;  /* by hash of data; `size` of them, a power of two */
    size_t size;    /* 0: no external file */
    float *wide[2]; /* every number of float16 and of bfloat16; NULL until one is widened */
} shared;

typedef void (*body_fn)(sink *s, const void *what);

static void put_bytes(sink *s, const void *data, size_t n)
{
    s->count += n;
    if (s->file && s->status == HONE_OK) s->status = hone__output_write(s->file, data, n);
}

static void put_varint(sink *s, uint64_t v)
{
    uint8_t b[10];
    size_t n = 0;
    do b[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
    while (v >>= 7);
    put_bytes(s, b, n);
}

static void put_int(sink *s, int field, int64_t v)
{
    put_varint(s, (uint64_t)field << 3);
    put_varint(s, (uint64_t)v);
}

static void put_span(sink *s, int field, const void *data, size_t n)
{
    put_varint(s, (uint64_t)field << 3 | 2);
    put_varint(s, n);
    put_bytes(s, data, n);
}

static void put_text(sink *s, int field, const char *text) { put_span(s, field, text, strlen(text)); }

static void put_float(sink *s, int field, float v)
{
    put_varint(s, (uint64_t)field << 3 | 5);
    put_bytes(s, &v, 4);
}

static void put_message(sink *s, int field, body_fn body, const void *what)
{
    sink counter = *s;
    counter.file = NULL;
    counter.walk = false;
    counter.count = 0;
    body(&counter, what);
    put_varint(s, (uint64_t)field << 3 | 2);
    put_varint(s, counter.count);
    if (s->file || s->walk) {
        body(s, what);
        return;
    }
    s->count += counter.count;
    s->tensor = counter.tensor;
}

static void put_entry(sink *s, const void *what)
{
    const hone__entry *e = what;
    put_text(s, 1, e->key);
    put_text(s, 2, e->text);
}

static void put_opset(sink *s, const void *what)
{
    const hone__opset *o = what;
    put_text(s, 1, o->domain);
    put_int(s, 2, o->version);
}

typedef struct named_tensor {
    const char *name;
    const hone__tensor *t;
    size_t external; /* place + 1, 0: inside */
    uint8_t *pad;    /* NULL: not aligned */
    bool widen;      /* half precision, written as float32 */
} named_tensor;

static bool is_widened(const hone__value *v)
{
    hone_dtype d = v->constant->dtype;
    return v->dtype == HONE_F32 && (d == HONE_F16 || d == HONE_BF16);
}

static hone_dtype dtype_of(const named_tensor *nt) { return nt->widen ? HONE_F32 : nt->t->dtype; }
static size_t bytes_of(const named_tensor *nt) { return nt->t->bytes * (nt->widen ? 2 : 1); }

static hone_status make_wide(sink *s, hone_dtype d)
{
    float **table = &s->shared->wide[d == HONE_BF16];
    if (*table) return HONE_OK;
    *table = hone__malloc(65536 * sizeof **table);
    if (!*table) return hone__out_of_memory(65536 * sizeof **table);
    for (unsigned i = 0; i < 65536; i++) (*table)[i] = (float)hone__element_f64(d, &(uint16_t){(uint16_t)i}, 0);
    return HONE_OK;
}

/* The bytes of a tensor, and the pages that they came from given back. */
static hone_status write_data(sink *s, hone__output *file, const named_tensor *nt)
{
    const hone__tensor *t = nt->t;
    hone_status r = HONE_OK;
    if (!nt->widen)
        r = hone__output_write(file, t->data, t->bytes);
    else {
        float piece[PIECE / sizeof(float)];
        HONE__TRY(make_wide(s, t->dtype));
        const float *table = s->shared->wide[t->dtype == HONE_BF16];
        size_t room = sizeof piece / sizeof *piece;
        for (size_t i = 0, n; r == HONE_OK && i < t->count; i += n) {
            n = t->count - i < room ? t->count - i : room;
            for (size_t k = 0; k < n; k++) {
                uint16_t code;
                memcpy(&code, (const uint8_t *)t->data + 2 * (i + k), 2);
                piece[k] = table[code];
            }
            r = hone__output_write(file, piece, n * sizeof *piece);
        }
    }
    if (t->bytes >= BIG) hone__tensor_idle(t);
    return r;
}

static void put_data(sink *s, const named_tensor *nt)
{
    size_t n = bytes_of(nt);
    put_varint(s, 9u << 3 | 2);
    put_varint(s, n);
    s->count += n;
    if (s->file && s->status == HONE_OK) s->status = write_data(s, s->file, nt);
}

/* Spaces nobody reads. A walk finds how many; the file is then written with the same number. */
static void put_pad(sink *s, const named_tensor *nt)
{
    char spaces[2 * EXTERNAL_ALIGN];
    size_t align = bytes_of(nt) >= BIG ? EXTERNAL_ALIGN : hone__dtype_size(dtype_of(nt));
    if (!nt->pad || align < 2) return;
    if (s->walk) {
        size_t at = s->count + 2, want; /* behind tag and length of raw_data */
        for (size_t length = bytes_of(nt); length >>= 7;) at++;
        want = (align - at % align) % align;
        if (want == 1) want += align;
        s->moved |= *nt->pad != want;
        *nt->pad = (uint8_t)want;
    }
    if (!*nt->pad) return;
    memset(spaces, ' ', sizeof spaces);
    put_span(s, 12, spaces, *nt->pad - 2u);
}

static void put_external(sink *s, const named_tensor *nt)
{
    char text[24];
    hone__entry e = {"location", s->location};
    put_message(s, 13, put_entry, &e);
    size_t numbers[2] = {nt->external - 1, bytes_of(nt)};
    for (int i = 0; i < 2; i++) {
        char *p = text + sizeof text;
        size_t v = numbers[i];
        *--p = 0;
        do *--p = (char)('0' + v % 10);
        while (v /= 10);
        put_message(s, 13, put_entry, &(hone__entry){i ? "length" : "offset", p});
    }
    put_int(s, 14, 1);
}

static void put_tensor(sink *s, const void *what)
{
    const named_tensor *nt = what;
    const hone__tensor *t = nt->t;
    for (int i = 0; i < t->rank; i++) put_int(s, 1, t->dims[i]);
    put_int(s, 2, dtype_of(nt));
    if (*nt->name) put_text(s, 8, nt->name);
    if (t->dtype == HONE_STRING) {
        const hone__string *str = t->data;
        for (size_t i = 0; i < t->count; i++) put_span(s, 6, str[i].data, str[i].size);
    } else if (nt->external)
        put_external(s, nt);
    else {
        put_pad(s, nt);
        put_data(s, nt);
    }
}

typedef struct dim {
    const hone__model *model;
    int64_t v;
} dim;

static void put_dim(sink *s, const void *what)
{
    const dim *d = what;
    if (d->v >= 0)
        put_int(s, 1, d->v);
    else if (d->v < -1)
        put_text(s, 2, hone__symbol_name(d->model, d->v));
}

static void put_shape(sink *s, const void *what)
{
    const hone__value *v = what;
    for (int i = 0; i < v->shape.rank; i++) put_message(s, 1, put_dim, &(dim){v->graph->model, v->shape.dims[i]});
}

static void put_tensor_type(sink *s, const void *what)
{
    const hone__value *v = what;
    put_int(s, 1, v->dtype);
    if (v->shape.rank >= 0) put_message(s, 2, put_shape, v);
}

static void put_plain(sink *s, const void *what) { put_message(s, 1, put_tensor_type, what); }
static void put_element(sink *s, const void *what) { put_message(s, 1, put_plain, what); }
static void put_sequence(sink *s, const void *what) { put_message(s, 4, put_element, what); }
static void put_content(sink *s, const void *what)
{
    const hone__value *v = what;
    put_message(s, 1, v->wrap & HONE__OF_SEQUENCE ? put_sequence : put_plain, v);
}

static void put_type(sink *s, const void *what)
{
    const hone__value *v = what;
    if (v->wrap & HONE__OF_OPTIONAL)
        put_message(s, 9, put_content, v);
    else if (v->wrap & HONE__OF_SEQUENCE)
        put_sequence(s, v);
    else
        put_plain(s, v);
}

static void put_value(sink *s, const void *what)
{
    const hone__value *v = what;
    put_text(s, 1, v->name);
    if (v->dtype != HONE_UNDEFINED) put_message(s, 2, put_type, v);
}

static void put_graph(sink *s, const void *what);

static void put_attr(sink *s, const void *what)
{
    const hone__attr *a = what;
    put_text(s, 1, a->name);
    switch (a->kind) {
    case HONE__ATTR_FLOAT: put_float(s, 2, a->f); break;
    case HONE__ATTR_INT: put_int(s, 3, a->i); break;
    case HONE__ATTR_STRING: put_span(s, 4, a->s.data, a->s.size); break;
    case HONE__ATTR_TENSOR: put_message(s, 5, put_tensor, &(named_tensor){.name = "", .t = a->t}); break;
    case HONE__ATTR_GRAPH: put_message(s, 6, put_graph, a->g); break;
    case HONE__ATTR_TYPE: {
        hone__value v = {.dtype = a->type->dtype, .shape = a->type->shape, .wrap = a->type->wrap, .graph = s->graph};
        put_message(s, 14, put_type, &v);
        break;
    }
    case HONE__ATTR_FLOATS:
        for (size_t i = 0; i < a->count; i++) put_float(s, 7, a->floats[i]);
        break;
    case HONE__ATTR_INTS:
        for (size_t i = 0; i < a->count; i++) put_int(s, 8, a->ints[i]);
        break;
    case HONE__ATTR_STRINGS:
        for (size_t i = 0; i < a->count; i++) put_span(s, 9, a->strings[i].data, a->strings[i].size);
        break;
    default: break;
    }
    put_int(s, 20, a->kind);
}

static void put_node(sink *s, const void *what)
{
    const hone__node *n = what;
    int inputs = n->input_count, outputs = n->output_count;
    while (outputs && !n->outputs[outputs - 1]) outputs--;
    for (int i = 0; i < inputs; i++) put_text(s, 1, n->inputs[i] ? n->inputs[i]->name : "");
    for (int i = 0; i < outputs; i++) put_text(s, 2, n->outputs[i] ? n->outputs[i]->name : "");
    put_text(s, 3, n->name);
    put_text(s, 4, n->op);
    for (int i = 0; i < n->attr_count; i++) put_message(s, 5, put_attr, &n->attrs[i]);
    if (*n->domain) put_text(s, 7, n->domain);
}

static bool is_initializer(const hone__value *v) { return v->constant && (!hone__value_unused(v)); }

static named_tensor named(sink *s, const hone__value *v)
{
    return (named_tensor){v->name, v->constant, s->offsets ? s->offsets[v->id] : 0, NULL, is_widened(v)};
}

static void put_graph(sink *s, const void *what)
{
    const hone__graph *g = what;
    for (const hone__node *n = g->first; n; n = n->next) put_message(s, 1, put_node, n);
    put_text(s, 2, *g->name ? g->name : "graph");
    const hone__value *v = g->values;
    while (v && v->next) v = v->next;
    for (; v; v = v->prev)
        if (is_initializer(v)) {
            named_tensor nt = named(s, v);
            nt.pad = &s->pads[s->tensor++];
            put_message(s, 5, put_tensor, &nt);
        }
    for (size_t i = 0; i < g->input_count; i++) put_message(s, 11, put_value, g->inputs[i]);
    for (size_t i = 0; i < g->output_count; i++) put_message(s, 12, put_value, g->outputs[i]);
}

static void put_model(sink *s, const hone__model *m)
{
    put_int(s, 1, m->ir_version);
    put_text(s, 2, m->producer);
    if (*m->producer_version) put_text(s, 3, m->producer_version);
    if (*m->doc) put_text(s, 6, m->doc);
    put_message(s, 7, put_graph, m->graph);
    for (size_t i = 0; i < m->opset_count; i++) put_message(s, 8, put_opset, &m->opsets[i]);
    for (size_t i = 0; i < m->metadata_count; i++) put_message(s, 14, put_entry, &m->metadata[i]);
}

static hone_status put_externals(sink *s, const hone__graph *g);

/* The slot of these bytes: taken, or where they go. */
static placed *slot_of(const shared *h, const void *data, size_t bytes)
{
    size_t i = ((uintptr_t)data >> 4) * 0x9e3779b97f4a7c15u >> 20;
    for (i &= h->size - 1; h->slots[i].at; i = (i + 1) & (h->size - 1))
        if (h->slots[i].data == data && h->slots[i].bytes == bytes) break;
    return &h->slots[i];
}

/* What is written twice from the same bytes is there once. */
static hone_status put_external_data(sink *s, const hone__value *v)
{
    static const char zero[EXTERNAL_ALIGN];
    named_tensor nt = named(s, v);
    shared *h = s->shared;
    if (nt.t->dtype == HONE_STRING || bytes_of(&nt) < EXTERNAL_MIN) return HONE_OK;
    placed *slot = slot_of(h, nt.t->data, bytes_of(&nt));
    if (!slot->at) {
        size_t pad = (EXTERNAL_ALIGN - h->end % EXTERNAL_ALIGN) % EXTERNAL_ALIGN;
        HONE__TRY(hone__output_write(s->external, zero, pad));
        HONE__TRY(write_data(s, s->external, &nt));
        *slot = (placed){nt.t->data, bytes_of(&nt), h->end + pad + 1};
        h->end += pad + bytes_of(&nt);
    }
    s->offsets[v->id] = slot->at;
    return HONE_OK;
}

/* Big initializers one after the other, each at a multiple of 64. */
static hone_status put_externals(sink *s, const hone__graph *g)
{
    const hone__value *v = g->values;
    while (v && v->next) v = v->next;
    for (; v; v = v->prev)
        if (is_initializer(v)) HONE__TRY(put_external_data(s, v));
    for (const hone__node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->attr_count; i++)
            if (n->attrs[i].kind == HONE__ATTR_GRAPH) HONE__TRY(put_externals(s, n->attrs[i].g));
    return HONE_OK;
}

static hone_status write_all(sink *s, const hone__model *m)
{
    if (s->external) HONE__TRY(put_externals(s, m->graph));
    sink walk = *s;
    walk.file = NULL;
    walk.walk = true;
    for (int i = 0; i < WALKS; i++) {
        walk.count = walk.tensor = 0;
        walk.moved = false;
        put_model(&walk, m);
        if (!walk.moved) break;
    }
    put_model(s, m);
    return s->status;
}

/* One file under its temporary name; `side` where big tensors go, or NULL. */
static hone_status write_file(const hone__onnx_file *f, hone__output *file, hone__output *side, const char *location,
                              shared *h)
{
    hone__model *m = f->model;
    sink s = {.file = file, .graph = m->graph, .external = side, .location = location, .shared = h};
    s.pads = hone__calloc(m->tensor_count + (size_t)m->next_id + 1, 1);
    s.offsets = side ? hone__calloc((size_t)m->next_id + 1, sizeof *s.offsets) : NULL;
    hone_status r = s.pads && (s.offsets || !side) ? write_all(&s, m) : hone__out_of_memory(m->tensor_count);
    hone__free(s.offsets);
    hone__free(s.pads);
    return r;
}

static hone_status make_slots(shared *h, const hone__onnx_file *files, size_t count)
{
    size_t most = 1;
    for (size_t i = 0; i < count; i++) most += files[i].model->tensor_count + (size_t)files[i].model->next_id;
    for (h->size = 2; h->size < 2 * most;) h->size *= 2;
    h->slots = hone__calloc(h->size, sizeof *h->slots);
    return h->slots ? HONE_OK : hone__out_of_memory(h->size * sizeof *h->slots);
}

hone_status hone__onnx_write_files(const hone__onnx_file *files, size_t count, const char *external)
{
    hone__output out[HONE__ONNX_FILES] = {0}, side = {0};
    shared h = {0};
    hone_status r = count <= HONE__ONNX_FILES ? HONE_OK : hone__fail(HONE_E_LIMIT, "%zu files at a time", count);
    const char *slash = external ? strrchr(external, '/') : NULL, *location = slash ? slash + 1 : external;
    for (size_t i = 0; r == HONE_OK && i < count; i++) {
        hone__graph_sweep(files[i].model->graph);
        r = hone__graph_name_all(files[i].model->graph);
        if (r == HONE_OK) r = hone__output_open(files[i].path, &out[i]);
    }
    if (r == HONE_OK && external) r = make_slots(&h, files, count);
    if (r == HONE_OK && external) r = hone__output_open(external, &side);
    for (size_t i = 0; r == HONE_OK && i < count; i++)
        r = write_file(&files[i], &out[i], external ? &side : NULL, location, &h);
    for (size_t i = 0; r == HONE_OK && external && i < count; i++)
        r = hone__output_sync(&out[i]); /* before any rename */
    bool beside = false;
    if (r == HONE_OK && external) {
        r = hone__output_commit(&side);
        beside = r == HONE_OK;
    }
    for (size_t i = 0; r == HONE_OK && i < count; i++) r = hone__output_commit(&out[i]);
    if (r != HONE_OK && beside) remove(external);
    hone__output_abandon(&side);
    for (size_t i = 0; i < count && i < HONE__ONNX_FILES; i++) hone__output_abandon(&out[i]);
    for (int i = 0; i < 2; i++) hone__free(h.wide[i]);
    hone__free(h.slots);
    return r;
}

hone_status hone__onnx_write(hone__model *m, const char *path, const char *external)
{
    return hone__onnx_write_files(&(hone__onnx_file){m, path}, 1, external);
}
