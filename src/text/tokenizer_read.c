/* tokenizer_read.c: the text of tokenizer_spec.h to tables. All of it is hostile until checked here: afterwards every
 * id is below the vocabulary's size, every merge joins tokens that exist, and sizes are bounded by the text's own. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base64.h"
#include "base/utf8.h"
#include "text_steps.h"

enum { HOLES = 1 << 16, PROBES = 4096, SPREAD = 32 };

typedef struct cursor {
    const uint8_t *at, *end;
    size_t size;
} cursor;

static hone_status take(cursor *c, uint64_t limit, const char *what, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
        if (c->at == c->end) return hone__fail(HONE_E_FORMAT, "tokenizer: it ends inside %s", what);
        uint8_t byte = *c->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80) continue;
        if (v >= limit)
            return hone__fail(HONE_E_FORMAT, "tokenizer: %s is %llu, expected less than %llu", what,
                              (unsigned long long)v, (unsigned long long)limit);
        *out = v;
        return HONE_OK;
    }
    return hone__fail(HONE_E_FORMAT, "tokenizer: %s is no number", what);
}

/* A count of things that take at least `least` bytes each. */
static hone_status take_count(cursor *c, size_t least, const char *what, size_t *out)
{
    uint64_t v;
    HONE__TRY(take(c, (uint64_t)(c->end - c->at) / least + 1, what, &v));
    *out = (size_t)v;
    return HONE_OK;
}

static hone_status take_id(cursor *c, const hone__tokenizer *t, const char *what, uint32_t *out)
{
    uint64_t v = 0;
    HONE__TRY(take(c, t->vocabulary, what, &v));
    *out = (uint32_t)v;
    return HONE_OK;
}

static hone_status define(hone__tokenizer *t, const cursor *c, uint32_t id, const void *bytes, size_t size,
                          uint8_t kind)
{
    if (!size || size > HONE__TOKEN_BYTES)
        return hone__fail(HONE_E_LIMIT, "tokenizer: token %u has %zu bytes, expected 1 to %d", id, size,
                          HONE__TOKEN_BYTES);
    if (t->text.size + size > SPREAD * c->size + HOLES)
        return hone__fail(HONE_E_LIMIT, "tokenizer: its tokens are longer than a vocabulary of its size can be");
    t->starts[id] = (uint32_t)t->text.size;
    t->sizes[id] = (uint16_t)size;
    t->kinds[id] |= kind;
    return hone__text_append(&t->text, bytes, size);
}

static hone_status take_text(cursor *c, size_t least, hone__step_text *text)
{
    uint64_t v;
    HONE__TRY(take(c, HONE__STEP_TEXT + 1, "the size of a step's text", &v));
    if (v < least) return hone__fail(HONE_E_FORMAT, "tokenizer: a step's text is empty");
    if (v > (uint64_t)(c->end - c->at)) return hone__fail(HONE_E_FORMAT, "tokenizer: it ends inside a step's text");
    text->size = (uint8_t)v;
    memcpy(text->bytes, c->at, (size_t)v);
    c->at += v;
    return HONE_OK;
}

/* A list of steps; kinds: bits of those that may stand in it. */
static hone_status read_steps(cursor *c, unsigned kinds, hone__step_list *list)
{
    uint64_t v;
    HONE__TRY(take(c, HONE__STEPS + 1, "the number of steps", &v));
    list->count = (size_t)v;
    for (size_t i = 0; i < list->count; i++) {
        hone__bpe_step *step = &list->items[i];
        HONE__TRY(take(c, HONE__STEP_KINDS, "a step", &v));
        step->kind = (unsigned)v;
        HONE__TRY(take(c, 1000, "a step's argument", &v));
        step->argument = (unsigned)v;
        if (!(kinds >> step->kind & 1))
            return hone__fail(HONE_E_FORMAT, "tokenizer: step %zu is of kind %u, which cannot stand there", i,
                              step->kind);
        if (step->kind == HONE__STEP_CL100K && !v) return hone__fail(HONE_E_FORMAT, "tokenizer: numbers of 0 digits");
        for (size_t k = 0; k < hone__step_texts(step->kind); k++) HONE__TRY(take_text(c, k ? 0 : 1, &step->texts[k]));
    }
    if (!hone__steps_are_bounded(list)) return hone__fail(HONE_E_LIMIT, "tokenizer: its steps lengthen text too much");
    return HONE_OK;
}

/* What a step behind HONE__STEP_FUSE must not be, since it would work on the whole text. */
static hone_status check_decode(hone__tokenizer *t)
{
    const hone__step_list *list = &t->decode;
    bool fused = false;
    t->bytes_step = list->count;
    for (size_t i = 0; i < list->count; i++) {
        unsigned kind = list->items[i].kind;
        if ((fused && (kind == HONE__STEP_REPLACE || kind == HONE__STEP_BYTES)) ||
            (kind == HONE__STEP_BYTES && t->bytes_step < list->count))
            return hone__fail(HONE_E_FORMAT, "tokenizer: decoding step %zu cannot stand where it does", i);
        if (kind == HONE__STEP_BYTES) t->bytes_step = i;
        fused |= kind == HONE__STEP_FUSE;
    }
    return HONE_OK;
}

static hone_status read_lists(hone__tokenizer *t, cursor *c)
{
    enum {
        CUT = 1 << HONE__STEP_GPT2 | 1 << HONE__STEP_CL100K | 1 << HONE__STEP_DIGITS | 1 << HONE__STEP_PREFIX |
              1 << HONE__STEP_METASPACE | 1 << HONE__STEP_SPLIT,
        NORMALIZE = 1 << HONE__STEP_NFC | 1 << HONE__STEP_PREPEND | 1 << HONE__STEP_REPLACE,
        DECODE = 1 << HONE__STEP_REPLACE | 1 << HONE__STEP_METASPACE | 1 << HONE__STEP_BYTES | 1 << HONE__STEP_FUSE |
                 1 << HONE__STEP_STRIP
    };
    HONE__TRY(read_steps(c, CUT, &t->cut));
    if (!(t->flags & HONE__BPE_LISTS)) return check_decode(t);
    HONE__TRY(read_steps(c, NORMALIZE, &t->normalize));
    HONE__TRY(read_steps(c, t->flags & HONE__BPE_CHARACTERS ? DECODE : 0, &t->decode));
    return check_decode(t);
}

static hone_status read_header(hone__tokenizer *t, cursor *c)
{
    uint64_t v;
    HONE__TRY(take(c, 64, "its flags", &v));
    t->flags = (unsigned)v;
    HONE__TRY(take(c, c->size + HOLES, "the vocabulary's size", &v));
    if (!v) return hone__fail(HONE_E_FORMAT, "tokenizer: an empty vocabulary");
    t->vocabulary = (uint32_t)v;
    t->starts = hone__calloc(t->vocabulary, sizeof *t->starts);
    t->sizes = hone__calloc(t->vocabulary, sizeof *t->sizes);
    t->kinds = hone__calloc(t->vocabulary, sizeof *t->kinds);
    if (!t->starts || !t->sizes || !t->kinds) return hone__out_of_memory(7ull * t->vocabulary);
    HONE__TRY(take(c, (uint64_t)t->vocabulary + 1, "the unknown token", &v));
    t->unknown = v ? (uint32_t)v - 1 : NO_TOKEN;
    for (unsigned i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        HONE__TRY(take(c, (uint64_t)t->vocabulary + 1, "the token of a byte", &v));
        t->bytes[i] = v ? (uint32_t)v - 1 : NO_TOKEN;
        if (!v || t->flags & HONE__BPE_CHARACTERS) continue;
        if (t->sizes[v - 1]) return hone__fail(HONE_E_FORMAT, "tokenizer: token %u stands for two bytes", t->bytes[i]);
        HONE__TRY(define(t, c, t->bytes[i], &byte, 1, KIND_PLAIN));
    }
    return read_lists(t, c);
}

static hone_status read_tokens(hone__tokenizer *t, cursor *c)
{
    size_t count;
    HONE__TRY(take_count(c, 2, "the number of tokens", &count));
    for (size_t i = 0; i < count; i++) {
        uint32_t id;
        uint64_t size;
        HONE__TRY(take_id(c, t, "the id of a token", &id));
        HONE__TRY(take(c, ((uint64_t)(c->end - c->at) + 1) * 2, "the size of a token", &size));
        if (size >> 1 > (size_t)(c->end - c->at)) return hone__fail(HONE_E_FORMAT, "tokenizer: it ends inside a token");
        if (t->sizes[id]) return hone__fail(HONE_E_FORMAT, "tokenizer: two tokens have the id %u", id);
        HONE__TRY(define(t, c, id, c->at, (size_t)size >> 1, size & 1 ? 0 : KIND_PLAIN));
        c->at += size >> 1;
    }
    return HONE_OK;
}

/* The result of a merge must be its halves, one behind the other. */
static hone_status define_result(hone__tokenizer *t, const cursor *c, size_t i)
{
    const merge *m = &t->merges[i];
    char bytes[2 * HONE__TOKEN_BYTES];
    size_t a = t->sizes[m->left], b = t->sizes[m->right];
    if (!a || !b)
        return hone__fail(HONE_E_FORMAT, "tokenizer: merge %zu joins token %u, which is not there", i,
                          a ? m->right : m->left);
    memcpy(bytes, t->text.data + t->starts[m->left], a);
    memcpy(bytes + a, t->text.data + t->starts[m->right], b);
    if (!t->sizes[m->result]) return define(t, c, m->result, bytes, a + b, KIND_PLAIN);
    if (t->sizes[m->result] != a + b || memcmp(t->text.data + t->starts[m->result], bytes, a + b) != 0)
        return hone__fail(HONE_E_FORMAT, "tokenizer: merge %zu does not give token %u", i, m->result);
    return HONE_OK;
}

static hone_status insert_merge(hone__tokenizer *t, size_t i)
{
    size_t mask = ((size_t)1 << (64 - t->shift)) - 1, at;
    uint32_t tag;
    merge_hash(t, t->merges[i].left, t->merges[i].right, &at, &tag);
    for (size_t probes = 0; t->slots[at]; at = (at + 1) & mask) {
        const merge *other = &t->merges[(t->slots[at] & t->index_mask) - 1];
        if (other->left == t->merges[i].left && other->right == t->merges[i].right) break; /* the later one counts */
        if (++probes == PROBES) return hone__fail(HONE_E_FORMAT, "tokenizer: its merges collide");
    }
    t->slots[at] = tag | (uint32_t)(i + 1);
    return HONE_OK;
}

static hone_status read_merges(hone__tokenizer *t, cursor *c)
{
    int64_t expected = 0;
    HONE__TRY(take_count(c, 3, "the number of merges", &t->merge_count));
    if (t->merge_count >> 30) return hone__fail(HONE_E_LIMIT, "tokenizer: %zu merges", t->merge_count);
    unsigned bits = 4;
    while ((size_t)1 << bits < 2 * t->merge_count) bits++;
    t->shift = 64 - bits;
    t->index_mask = (uint32_t)(((uint64_t)1 << bits) - 1);
    t->merges = hone__malloc((t->merge_count + 1) * sizeof *t->merges);
    t->slots = hone__calloc((size_t)1 << bits, sizeof *t->slots);
    if (!t->merges || !t->slots) return hone__out_of_memory(20ull * t->merge_count);
    for (size_t i = 0; i < t->merge_count; i++) {
        uint64_t off;
        HONE__TRY(take_id(c, t, "half of a merge", &t->merges[i].left));
        HONE__TRY(take_id(c, t, "half of a merge", &t->merges[i].right));
        HONE__TRY(take(c, (uint64_t)1 << 34, "the result of a merge", &off));
        expected += off & 1 ? -(int64_t)(off / 2 + 1) : (int64_t)(off / 2);
        if (expected < 0 || expected >= t->vocabulary)
            return hone__fail(HONE_E_FORMAT, "tokenizer: merge %zu gives token %lld of %u", i, (long long)expected,
                              t->vocabulary);
        t->merges[i].result = (uint32_t)expected++;
        HONE__TRY(define_result(t, c, i));
        HONE__TRY(insert_merge(t, i));
    }
    return HONE_OK;
}

uint32_t hone__bpe_whole(const hone__tokenizer *t, const char *p, size_t size)
{
    size_t mask = ((size_t)1 << (64 - t->word_shift)) - 1, at = (size_t)(hash_bytes(p, size) >> t->word_shift);
    for (; t->words[at]; at = (at + 1) & mask) {
        uint32_t id = t->words[at] - 1;
        if (t->sizes[id] == size && memcmp(t->text.data + t->starts[id], p, size) == 0) return id;
    }
    return NO_TOKEN;
}

/* Every token that encoding may lead to, by its bytes. */
static hone_status index_words(hone__tokenizer *t)
{
    unsigned bits = 4;
    while ((size_t)1 << bits < 2 * (size_t)t->vocabulary) bits++;
    t->word_shift = 64 - bits;
    t->words = hone__calloc((size_t)1 << bits, sizeof *t->words);
    if (!t->words) return hone__out_of_memory(4ull << bits);
    size_t mask = ((size_t)1 << bits) - 1;
    for (uint32_t id = 0; id < t->vocabulary; id++) {
        if (!t->sizes[id] || !(t->kinds[id] & KIND_PLAIN)) continue;
        size_t at = (size_t)(hash_bytes(t->text.data + t->starts[id], t->sizes[id]) >> t->word_shift);
        for (size_t probes = 0; t->words[at]; at = (at + 1) & mask)
            if (++probes == PROBES) return hone__fail(HONE_E_FORMAT, "tokenizer: its tokens collide");
        t->words[at] = id + 1;
    }
    return HONE_OK;
}

/* The token of the last or the first character of another one, or NO_TOKEN. */
static uint32_t character_of(const hone__tokenizer *t, uint32_t id, bool last)
{
    const char *text = t->text.data + t->starts[id], *end = text + t->sizes[id], *p = text, *next = text;
    do {
        p = next;
        hone__utf8_take(&next, end);
    } while (last && next < end);
    return hone__bpe_whole(t, p, (size_t)(next - p));
}

/* A bit for each pair of characters that a merge brings together. */
static hone_status index_joins(hone__tokenizer *t)
{
    t->joins = hone__calloc(JOIN_BITS / 64, sizeof *t->joins);
    if (!t->joins) return hone__out_of_memory(JOIN_BITS / 8);
    for (size_t i = 0; i < t->merge_count; i++) {
        uint32_t before = character_of(t, t->merges[i].left, true);
        uint32_t behind = character_of(t, t->merges[i].right, false);
        if (before == NO_TOKEN || behind == NO_TOKEN) continue;
        size_t bit = join_bit(before, behind);
        t->joins[bit / 64] |= 1ull << bit % 64;
    }
    return HONE_OK;
}

/* The text of an added token: that of the vocabulary, or what stands for it. */
static hone_status define_added(hone__tokenizer *t, const cursor *c, const added_token *a, const char *raw,
                                size_t raw_size)
{
    bool same = a->size == raw_size && !memcmp(a->bytes, raw, raw_size);
    uint8_t kind = a->flags & HONE__ADDED_SPECIAL && same ? KIND_SPECIAL : 0;
    if (t->kinds[a->id] & KIND_ADDED)
        return hone__fail(HONE_E_FORMAT, "tokenizer: two added tokens have the id %u", a->id);
    t->kinds[a->id] |= KIND_ADDED;
    if (t->sizes[a->id] == a->size && !memcmp(t->text.data + t->starts[a->id], a->bytes, a->size)) {
        t->kinds[a->id] |= kind;
        return HONE_OK;
    }
    uint32_t start = (uint32_t)t->text.size;
    if (!t->sizes[a->id]) return define(t, c, a->id, a->bytes, a->size, kind);
    if (!t->shown) t->shown = hone__calloc(t->vocabulary, sizeof *t->shown);
    if (!t->shown) return hone__out_of_memory(t->vocabulary * sizeof *t->shown);
    uint32_t known = t->starts[a->id];
    uint16_t size = t->sizes[a->id];
    HONE__TRY(define(t, c, a->id, a->bytes, a->size, kind));
    t->starts[a->id] = known;
    t->sizes[a->id] = size;
    t->shown[a->id] = (shown_token){start, a->size};
    return HONE_OK;
}

static hone_status read_added_token(hone__tokenizer *t, cursor *c, added_token *a)
{
    uint64_t v;
    HONE__TRY(take_id(c, t, "the id of an added token", &a->id));
    HONE__TRY(take(c, 32, "the flags of an added token", &v));
    a->flags = (unsigned)v;
    HONE__TRY(take(c, (uint64_t)(c->end - c->at) + 1, "the size of an added token", &v));
    if (v > (uint64_t)(c->end - c->at)) return hone__fail(HONE_E_FORMAT, "tokenizer: it ends inside an added token");
    const char *raw = (const char *)c->at, *bytes = raw;
    size_t size = (size_t)v;
    c->at += v;
    hone__text work[2] = {{0}};
    hone_status status = HONE_OK;
    if (a->flags & HONE__ADDED_NORMALIZED) status = hone__normalize(t, work, &bytes, &size);
    if (status == HONE_OK && (!size || size > HONE__TOKEN_BYTES))
        status = hone__fail(HONE_E_LIMIT, "tokenizer: added token %u has %zu bytes, expected 1 to %d", a->id, size,
                            HONE__TOKEN_BYTES);
    a->bytes = bytes;
    a->size = (uint32_t)size;
    if (status == HONE_OK) status = define_added(t, c, a, raw, (size_t)v);
    hone__free(work[0].data);
    hone__free(work[1].data);
    return status;
}

static int by_bytes(const void *x, const void *y)
{
    const added_token *a = x, *b = y;
    int order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

static hone_status fill_set(hone__tokenizer *t, added_set *set, bool normalized)
{
    set->items = hone__malloc((t->added_count + 1) * sizeof *set->items);
    if (!set->items) return hone__out_of_memory(t->added_count * sizeof *set->items);
    for (size_t i = 0; i < t->added_count; i++) {
        if (!(t->added[i].flags & HONE__ADDED_NORMALIZED) == normalized) continue;
        set->items[set->count++] = (uint32_t)i;
        set->starts[(uint8_t)t->added[i].bytes[0]] = true;
    }
    return HONE_OK;
}

static hone_status read_added(hone__tokenizer *t, cursor *c)
{
    HONE__TRY(take_count(c, 4, "the number of added tokens", &t->added_count));
    t->added = hone__calloc(t->added_count + 1, sizeof *t->added);
    if (!t->added) return hone__out_of_memory(t->added_count * sizeof *t->added);
    for (size_t i = 0; i < t->added_count; i++) HONE__TRY(read_added_token(t, c, &t->added[i]));
    for (size_t i = 0; i < t->added_count; i++) {
        size_t size;
        t->added[i].bytes = hone__tokenizer_bytes(t, t->added[i].id, &size);
    }
    qsort(t->added, t->added_count, sizeof *t->added, by_bytes);
    for (size_t i = 1; i < t->added_count; i++)
        if (by_bytes(&t->added[i - 1], &t->added[i]) == 0)
            return hone__fail(HONE_E_FORMAT, "tokenizer: the added tokens %u and %u have the same text",
                              t->added[i - 1].id, t->added[i].id);
    HONE__TRY(fill_set(t, &t->raw, false));
    return fill_set(t, &t->normalized, true);
}

static hone_status read_around(hone__tokenizer *t, cursor *c, uint32_t *ids, size_t *count)
{
    uint64_t v;
    HONE__TRY(take(c, HONE__AROUND + 1, "the number of tokens around a text", &v));
    *count = (size_t)v;
    for (size_t i = 0; i < *count; i++) HONE__TRY(take_id(c, t, "a token around a text", &ids[i]));
    return HONE_OK;
}

static hone_status read_all(hone__tokenizer *t, cursor *c)
{
    HONE__TRY(read_header(t, c));
    HONE__TRY(read_tokens(t, c));
    HONE__TRY(read_merges(t, c));
    if (t->flags & (HONE__BPE_WHOLE_WORDS | HONE__BPE_CHARACTERS)) HONE__TRY(index_words(t));
    if (t->flags & HONE__BPE_CHARACTERS) HONE__TRY(index_joins(t));
    HONE__TRY(read_added(t, c));
    HONE__TRY(read_around(t, c, t->before, &t->before_count));
    HONE__TRY(read_around(t, c, t->behind, &t->behind_count));
    if (c->at != c->end) return hone__fail(HONE_E_FORMAT, "tokenizer: %zu bytes too many", (size_t)(c->end - c->at));
    return HONE_OK;
}

static uint64_t next_serial(void)
{
    static atomic_uint_fast64_t serial;
    return atomic_fetch_add(&serial, 1) + 1;
}

hone_status hone__tokenizer_create(const void *blob, size_t size, hone__tokenizer **out)
{
    const char *text = blob;
    size_t magic = strlen(HONE__TOKENIZER_MAGIC);
    *out = NULL;
    if (size < magic || memcmp(text, HONE__TOKENIZER_MAGIC, magic) != 0)
        return hone__fail(HONE_E_FORMAT, "tokenizer: it does not begin with '%.*s'", (int)magic - 1,
                          HONE__TOKENIZER_MAGIC);
    uint8_t *binary = hone__malloc((size - magic) / 4 * 3 + 4);
    hone__tokenizer *t = hone__calloc(1, sizeof *t);
    hone_status status = binary && t ? HONE_OK : hone__out_of_memory(size);
    if (status == HONE_OK) {
        size_t n = hone__base64_read(text + magic, size - magic, binary);
        cursor c = {binary, binary + (n == SIZE_MAX ? 0 : n), n};
        status = n == SIZE_MAX ? hone__fail(HONE_E_FORMAT, "tokenizer: it is not base64") : read_all(t, &c);
    }
    hone__free(binary);
    if (t) t->serial = next_serial();
    if (status == HONE_OK)
        *out = t;
    else
        hone__tokenizer_destroy(t);
    return status;
}

void hone__tokenizer_destroy(hone__tokenizer *t)
{
    if (!t) return;
    hone__free(t->starts);
    hone__free(t->sizes);
    hone__free(t->kinds);
    hone__free(t->text.data);
    hone__free(t->merges);
    hone__free(t->slots);
    hone__free(t->words);
    hone__free(t->joins);
    hone__free(t->shown);
    hone__free(t->added);
    hone__free(t->raw.items);
    hone__free(t->normalized.items);
    hone__free(t);
}
