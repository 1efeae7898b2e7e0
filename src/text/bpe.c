/* bpe.c: one word to tokens by byte pair encoding: of all neighbours that a merge joins, those of the lowest rank are
 * joined first, of equal ones the leftmost, until none are left. Short words search their few pairs each time; long
 * ones keep a heap, so that time grows with n log n. Words seen before come from a cache. A word of characters may be
 * a whole text: it falls into parts wherever two characters meet that no merge ever joins. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer_parts.h"

enum { SHORT = 64 };

static inline uint32_t rank_of(const hone__tokenizer *t, uint32_t found)
{
    return t->flags & HONE__BPE_RANK_IS_ID && found != NO_TOKEN ? t->merges[found].result : found;
}

/* The tokens of single bytes; returns how many there are. */
static size_t byte_tokens(const hone__tokenizer *t, const char *word, size_t size, uint32_t *ids)
{
    size_t n = 0;
    bool fuse = t->flags & HONE__BPE_FUSE_UNKNOWN, fused = false;
    for (size_t i = 0; i < size; i++) {
        uint32_t id = t->bytes[(uint8_t)word[i]];
        bool unknown = id == NO_TOKEN;
        if (unknown) id = fuse && fused ? NO_TOKEN : t->unknown;
        if (id != NO_TOKEN) ids[n++] = id;
        fused = unknown;
    }
    return n;
}

/* Tokens of the bytes of a character that has none itself; 0 where a byte has none either. */
static size_t fallback_tokens(const hone__tokenizer *t, const char *character, size_t size, uint32_t *ids)
{
    for (size_t i = 0; i < size; i++) {
        ids[i] = t->bytes[(uint8_t)character[i]];
        if (ids[i] == NO_TOKEN) return 0;
    }
    return size;
}

/* The tokens of characters, at most as many as bytes. As in the tokenizers library, an unknown token is put out when
 * the next known character comes, which is behind the bytes of those that fall back. */
static size_t character_tokens(const hone__tokenizer *t, const char *word, size_t size, uint32_t *ids)
{
    const char *end = word + size, *next = word;
    size_t n = 0, bytes;
    bool fuse = t->flags & HONE__BPE_FUSE_UNKNOWN, waits = false;
    for (; word < end; word = next) {
        hone__utf8_take(&next, end);
        uint32_t id = hone__bpe_whole(t, word, (size_t)(next - word));
        if (id != NO_TOKEN) {
            if (waits) ids[n++] = t->unknown;
            waits = false;
            ids[n++] = id;
        } else if ((bytes = fallback_tokens(t, word, (size_t)(next - word), ids + n))) {
            n += bytes;
        } else if (t->unknown != NO_TOKEN) {
            if (waits && !fuse) ids[n++] = t->unknown;
            waits = true;
        }
    }
    if (waits) ids[n++] = t->unknown;
    return n;
}

static size_t first_tokens(const hone__tokenizer *t, const char *word, size_t size, uint32_t *ids)
{
    return t->flags & HONE__BPE_CHARACTERS ? character_tokens(t, word, size, ids) : byte_tokens(t, word, size, ids);
}

static hone_status short_word(const hone__tokenizer *t, const char *word, size_t size, hone__token_list *list)
{
    uint32_t ids[SHORT], found[SHORT], ranks[SHORT]; /* found, ranks: of the pair (i, i + 1) */
    size_t n = first_tokens(t, word, size, ids);
    for (size_t i = 0; i + 1 < n; i++) {
        found[i] = find_merge(t, ids[i], ids[i + 1]);
        ranks[i] = rank_of(t, found[i]);
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (ranks[i] < ranks[best]) best = i;
        if (ranks[best] == NO_TOKEN) break;
        ids[best] = t->merges[found[best]].result;
        n--;
        memmove(ids + best + 1, ids + best + 2, (n - best - 1) * sizeof *ids);
        if (best + 1 < n) {
            memmove(found + best + 1, found + best + 2, (n - best - 2) * sizeof *found);
            memmove(ranks + best + 1, ranks + best + 2, (n - best - 2) * sizeof *ranks);
            found[best] = find_merge(t, ids[best], ids[best + 1]);
            ranks[best] = rank_of(t, found[best]);
        }
        if (best) {
            found[best - 1] = find_merge(t, ids[best - 1], ids[best]);
            ranks[best - 1] = rank_of(t, found[best - 1]);
        }
    }
    for (size_t i = 0; i < n; i++) HONE__TRY(append_id(list, ids[i]));
    return HONE_OK;
}

struct bpe_node {
    uint32_t id, before, behind; /* neighbours, or NO_TOKEN */
    uint32_t found, rank;        /* of the merge with the one behind, or NO_TOKEN */
};
typedef struct bpe_node node;

static void sift_down(uint64_t *heap, size_t count, size_t at)
{
    uint64_t moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= moved) break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static void push(uint64_t *heap, size_t *count, uint64_t key)
{
    size_t at = (*count)++;
    for (; at && heap[(at - 1) / 2] > key; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = key;
}

static void look_behind(const hone__tokenizer *t, node *nodes, uint32_t i)
{
    nodes[i].found = nodes[i].behind == NO_TOKEN ? NO_TOKEN : find_merge(t, nodes[i].id, nodes[nodes[i].behind].id);
    nodes[i].rank = rank_of(t, nodes[i].found);
}

static inline uint64_t key_of(const node *nodes, uint32_t i) { return (uint64_t)nodes[i].rank << 32 | i; }

/* Joins nodes until no merge is left. heap: room for 3 * n keys, of which `count` are in it. */
static void join_nodes(const hone__tokenizer *t, node *nodes, uint64_t *heap, size_t count)
{
    while (count) {
        uint64_t key = heap[0];
        uint32_t i = (uint32_t)key;
        heap[0] = heap[--count];
        if (count) sift_down(heap, count, 0);
        if (nodes[i].rank != key >> 32) continue; /* one of the two has been joined since */
        uint32_t gone = nodes[i].behind, before = nodes[i].before;
        nodes[i].id = t->merges[nodes[i].found].result;
        nodes[i].behind = nodes[gone].behind;
        nodes[gone].rank = NO_TOKEN;
        if (nodes[i].behind != NO_TOKEN) nodes[nodes[i].behind].before = i;
        look_behind(t, nodes, i);
        if (nodes[i].rank != NO_TOKEN) push(heap, &count, key_of(nodes, i));
        if (before == NO_TOKEN) continue;
        look_behind(t, nodes, before);
        if (nodes[before].rank != NO_TOKEN) push(heap, &count, key_of(nodes, before));
    }
}

static hone_status long_word(const hone__tokenizer *t, const char *word, size_t size, hone__token_list *list)
{
    hone__token_scratch *s = list->scratch;
    if (size > UINT32_MAX / 4) return hone__fail(HONE_E_LIMIT, "a word of %zu bytes is too long to tokenize", size);
    HONE__TRY(hone__grow(&s->nodes, &s->node_capacity, size, sizeof *s->nodes));
    HONE__TRY(hone__grow(&s->heap, &s->heap_capacity, 3 * size, sizeof *s->heap));
    size_t start = list->count, count = 0;
    HONE__TRY(hone__grow(&list->ids, &list->capacity, start + size, sizeof *list->ids));
    uint32_t n = (uint32_t)first_tokens(t, word, size, list->ids + start);
    if (!n) return HONE_OK;
    for (uint32_t i = 0; i < n; i++)
        s->nodes[i] =
            (node){.id = list->ids[start + i], .before = i ? i - 1 : NO_TOKEN, .behind = i + 1 < n ? i + 1 : NO_TOKEN};
    for (uint32_t i = 0; i < n; i++) {
        look_behind(t, s->nodes, i);
        if (s->nodes[i].rank != NO_TOKEN) s->heap[count++] = key_of(s->nodes, i);
    }
    for (size_t i = count / 2; i-- > 0;) sift_down(s->heap, count, i);
    join_nodes(t, s->nodes, s->heap, count);
    for (uint32_t i = 0; i != NO_TOKEN; i = s->nodes[i].behind) list->ids[list->count++] = s->nodes[i].id;
    return HONE_OK;
}

static hone_status any_word(const hone__tokenizer *t, const char *word, size_t size, hone__token_list *list)
{
    if (t->flags & HONE__BPE_WHOLE_WORDS) {
        uint32_t id = hone__bpe_whole(t, word, size);
        if (id != NO_TOKEN) return append_id(list, id);
    }
    return size <= SHORT ? short_word(t, word, size, list) : long_word(t, word, size, list);
}

static hone_status remembered_word(const hone__tokenizer *t, const char *word, size_t size, hone__token_list *list)
{
    cached_word *cache = list->scratch->cache;
    if (!cache || size > CACHE_BYTES) return any_word(t, word, size, list);
    cached_word *w = &cache[hash_bytes(word, size) >> 20 & (CACHE_WORDS - 1)];
    if (w->size != size || memcmp(w->bytes, word, size) != 0) {
        size_t start = list->count;
        HONE__TRY(any_word(t, word, size, list));
        if (list->count - start > CACHE_IDS) return HONE_OK;
        memcpy(w->bytes, word, size);
        w->size = (uint8_t)size;
        w->count = (uint8_t)(list->count - start);
        if (w->count) memcpy(w->ids, list->ids + start, w->count * sizeof *w->ids);
        return HONE_OK;
    }
    if (list->capacity - list->count < CACHE_IDS)
        HONE__TRY(hone__grow(&list->ids, &list->capacity, list->count + CACHE_IDS, sizeof *list->ids));
    memcpy(list->ids + list->count, w->ids, sizeof w->ids);
    list->count += w->count;
    return HONE_OK;
}

/* Cuts where both characters have tokens, which no merge joins, nor any that they become part of. */
static hone_status word_of_characters(const hone__tokenizer *t, const char *word, size_t size, hone__token_list *list)
{
    const char *end = word + size, *start = word, *next = word;
    uint32_t before = NO_TOKEN;
    for (; word < end; word = next) {
        hone__utf8_take(&next, end);
        uint32_t id = hone__bpe_whole(t, word, (size_t)(next - word));
        if (before != NO_TOKEN && id != NO_TOKEN) {
            size_t bit = join_bit(before, id);
            if (!(t->joins[bit / 64] >> bit % 64 & 1)) {
                HONE__TRY(remembered_word(t, start, (size_t)(word - start), list));
                start = word;
            }
        }
        before = id;
    }
    return remembered_word(t, start, (size_t)(end - start), list);
}

hone_status hone__bpe_word(const hone__tokenizer *t, const char *word, size_t size, hone__token_list *list)
{
    if (t->flags & HONE__BPE_CHARACTERS) {
        if (t->flags & HONE__BPE_WHOLE_WORDS) return remembered_word(t, word, size, list);
        return word_of_characters(t, word, size, list);
    }
    if (size == 1 && t->bytes[(uint8_t)*word] != NO_TOKEN) return append_id(list, t->bytes[(uint8_t)*word]);
    return remembered_word(t, word, size, list);
}
