/* fuzz_onnx_mutate.h: changes of ONNX files that keep them protobuf: fields are dropped, doubled, swapped, moved, their
 * numbers and texts replaced; the lengths of all messages around follow. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

enum { MUTATE_FIELDS = 4096, MUTATE_DEPTH = 12 };

typedef struct mutate_field {
    size_t at, end, body; /* key, behind the last byte, first byte of a span's content */
    uint32_t number;
    int type, parent; /* -1: the file itself */
    uint64_t value;
} mutate_field;

typedef struct mutate_tree {
    mutate_field fields[MUTATE_FIELDS];
    int count;
} mutate_tree;

static int mutate_varint(const uint8_t *p, size_t end, size_t *at, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t b = p[(*at)++];
        *v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return 1;
    }
    return 0;
}

/* All fields of [at, end), or none when the bytes are no message. */
static int mutate_scan(mutate_tree *t, const uint8_t *p, size_t at, size_t end, int parent, int depth)
{
    int first = t->count;
    while (at < end && t->count < MUTATE_FIELDS) {
        mutate_field f = {.at = at, .parent = parent};
        uint64_t key, n = 0;
        if (!mutate_varint(p, end, &at, &key) || !(key >> 3) || key >> 3 > 64) goto none;
        f.number = (uint32_t)(key >> 3);
        f.type = (int)(key & 7);
        f.body = at;
        if (f.type == 0) {
            if (!mutate_varint(p, end, &at, &f.value)) goto none;
        } else if (f.type == 1 || f.type == 5)
            n = f.type == 1 ? 8 : 4;
        else if (f.type == 2) {
            if (!mutate_varint(p, end, &at, &n)) goto none;
            f.body = at;
        } else
            goto none;
        if (n > end - at) goto none;
        at += n;
        f.end = at;
        int own = t->count;
        t->fields[t->count++] = f;
        if (f.type == 2 && n && depth < MUTATE_DEPTH) mutate_scan(t, p, f.body, f.end, own, depth + 1);
    }
    return 1;
none:
    t->count = first;
    return 0;
}

static size_t mutate_put(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v > 0x7f; v >>= 7) out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

/* Replaces [at, end) inside the content of field `around` by `n` bytes; every length around is written anew. */
static size_t mutate_splice(const mutate_tree *t, int around, uint8_t *data, size_t size, size_t max, size_t at,
                            size_t end, const uint8_t *by, size_t n)
{
    uint8_t *now = malloc(max + 64), *next = malloc(max + 64);
    if (n > max || size - (end - at) + n > max) goto keep;
    memcpy(now, data, at);
    memcpy(now + at, by, n);
    memcpy(now + at + n, data + end, size - end);
    size_t length = size - (end - at) + n, grown = length;
    for (int f = around; f >= 0; f = t->fields[f].parent) { /* inside out: places in front do not move */
        const mutate_field *m = &t->fields[f];
        uint8_t head[24];
        size_t h = mutate_put(head, (uint64_t)m->number << 3 | 2);
        /* what the content has gained so far, heads inside included, is the growth of the whole */
        h += mutate_put(head + h, m->end - m->body + (grown - size));
        if (grown - (m->body - m->at) + h > max) goto keep;
        memcpy(next, now, m->at);
        memcpy(next + m->at, head, h);
        memcpy(next + m->at + h, now + m->body, grown - m->body);
        grown = grown - (m->body - m->at) + h;
        uint8_t *other = now;
        now = next;
        next = other;
    }
    memcpy(data, now, grown);
    size = grown;
keep:
    free(now);
    free(next);
    return size;
}

static uint64_t mutate_number(unsigned r, uint64_t old)
{
    static const uint64_t edges[] = {
        0,           1,          2,          3,          4,         7,          8,        13,         16,
        21,          127,        255,        256,        65535,     65536,      1u << 20, 0x7fffffff, 0x80000000u,
        0xffffffffu, 1ull << 32, 1ull << 40, 1ull << 61, INT64_MAX, 1ull << 63, ~0ull,    ~1ull};
    return r % 4 == 0 ? old + 1 : r % 4 == 1 ? old - 1 : edges[r / 4 % (sizeof edges / sizeof *edges)];
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    static mutate_tree t;
    unsigned r = seed * 2654435761u;
    t.count = 0;
    mutate_scan(&t, data, 0, size, -1, 0);
    if (r % 16 == 0 || !t.count) return LLVMFuzzerMutate(data, size, max);
    r /= 16;
    const mutate_field *f = &t.fields[r % (unsigned)t.count], *g = &t.fields[(r / 7919 + seed) % (unsigned)t.count];
    uint8_t *text = malloc(max + 64);
    size_t n = 0;
    switch ((seed >> 3) % 8) {
    case 0: size = mutate_splice(&t, f->parent, data, size, max, f->at, f->end, text, 0); break;
    case 1: size = mutate_splice(&t, f->parent, data, size, max, f->end, f->end, data + f->at, f->end - f->at); break;
    case 2: /* another field of the same kind in its place */
        for (int i = 0; i < t.count && (g->number != f->number || g->type != f->type || g == f); i++)
            g = &t.fields[(r + (unsigned)i) % (unsigned)t.count];
        memcpy(text, data + g->at, g->end - g->at);
        size = mutate_splice(&t, f->parent, data, size, max, f->at, f->end, text, g->end - g->at);
        break;
    case 3: /* any field of the file behind it */
        memcpy(text, data + g->at, g->end - g->at);
        size = mutate_splice(&t, f->parent, data, size, max, f->end, f->end, text, g->end - g->at);
        break;
    case 4: /* an empty text or message: an absent input or output */
        if (f->type != 2) break;
        n = mutate_put(text, (uint64_t)f->number << 3 | 2);
        text[n++] = 0;
        size = mutate_splice(&t, f->parent, data, size, max, f->at, f->end, text, n);
        break;
    default:
        for (int i = 0; i < 8 && f->type == 2 && f->end - f->body > 16; i++)
            f = &t.fields[(r >> i) % (unsigned)t.count];
        if (f->type == 0) {
            n = mutate_put(text, (uint64_t)f->number << 3);
            n += mutate_put(text + n, mutate_number(r, f->value));
            size = mutate_splice(&t, f->parent, data, size, max, f->at, f->end, text, n);
        } else if (f->type == 2 && f->end > f->body) {
            n = f->end - f->body;
            memcpy(text, data + f->body, n);
            n = LLVMFuzzerMutate(text, n, n + 8 < max ? n + 8 : max);
            int own = (int)(f - t.fields);
            size = mutate_splice(&t, own, data, size, max, f->body, f->end, text, n);
        } else
            for (size_t i = f->body; i < f->end; i++) data[i] = (uint8_t)(r >> i % 24);
    }
    free(text);
    return size;
}
