/* tokenizer_parts.h: a tokenizer from inside; only this room, and its fuzz target, includes it. */
#ifndef HONE_TEXT_TOKENIZER_PARTS_H
#define HONE_TEXT_TOKENIZER_PARTS_H

#include "base/alloc.h"
#include "tokenizer.h"
#include "tokenizer_spec.h"

enum { NO_TOKEN = UINT32_MAX };

typedef struct merge {
    uint32_t left, right, result;
} merge;

/* Added tokens that are looked for in one pass, sorted by their bytes. */
typedef struct added_set {
    uint32_t *items; /* indices into `added` */
    size_t count;
    bool starts[256]; /* bytes that a token begins with */
} added_set;

typedef struct added_token {
    const char *bytes;
    uint32_t size, id;
    unsigned flags;
} added_token;

typedef struct shown_token {
    uint32_t start, size; /* in `text` */
} shown_token;

struct hone__tokenizer {
    uint64_t serial; /* no other tokenizer of this process has it */
    unsigned flags;
    uint32_t unknown;    /* or NO_TOKEN */
    uint32_t bytes[256]; /* the token of each byte, or NO_TOKEN */
    hone__step_list cut, normalize, decode;
    size_t bytes_step;   /* of the steps that decode, HONE__STEP_BYTES; or their number */
    uint32_t vocabulary; /* ids are below */
    uint32_t *starts;    /* [vocabulary] into `text` */
    uint16_t *sizes;     /* [vocabulary]; 0: no token */
    uint8_t *kinds;      /* [vocabulary] */
    shown_token *shown;  /* [vocabulary]: what stands for a token where that is not its text; NULL: nowhere */
    hone__text text;     /* the bytes of all tokens */
    merge *merges;       /* the index is the rank */
    size_t merge_count;
    uint32_t *slots; /* open addressing by (left, right): 0, or a tag above and index + 1 below `slot_mask` */
    uint32_t index_mask;
    unsigned shift;  /* 64 - log2(slots) */
    uint32_t *words; /* open addressing by bytes: id + 1; with HONE__BPE_WHOLE_WORDS or HONE__BPE_CHARACTERS */
    unsigned word_shift;
    uint64_t *joins; /* [JOIN_BITS / 64]: bits of pairs of characters between which some merge joins; only with
                        HONE__BPE_CHARACTERS */
    added_token *added;
    size_t added_count;
    added_set raw, normalized; /* looked for before and after normalisation */
    uint32_t before[HONE__AROUND], behind[HONE__AROUND];
    size_t before_count, behind_count;
};
enum { KIND_SPECIAL = 1, KIND_PLAIN = 2 /* reached by encoding: not text of an added token only */, KIND_ADDED = 4 };

/* Where in `slots` the search for a merge begins, and the tag that its slot carries. */
static inline void merge_hash(const hone__tokenizer *t, uint32_t left, uint32_t right, size_t *at, uint32_t *tag)
{
    uint64_t hash = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
    hash *= 0xbf58476d1ce4e5b9u;
    *at = (size_t)(hash >> t->shift);
    *tag = (uint32_t)hash & ~t->index_mask;
}

/* Index of the merge of two tokens, or NO_TOKEN. */
static inline uint32_t find_merge(const hone__tokenizer *t, uint32_t left, uint32_t right)
{
    size_t mask = ((size_t)1 << (64 - t->shift)) - 1, at;
    uint32_t tag, slot;
    merge_hash(t, left, right, &at, &tag);
    for (; (slot = t->slots[at]); at = (at + 1) & mask) {
        if ((slot & ~t->index_mask) != tag) continue;
        const merge *m = &t->merges[(slot & t->index_mask) - 1];
        if (m->left == left && m->right == right) return (slot & t->index_mask) - 1;
    }
    return NO_TOKEN;
}

static inline uint64_t hash_bytes(const char *p, size_t size)
{
    uint64_t hash = size * 0x9e3779b97f4a7c15u, v;
    for (; size >= 8; p += 8, size -= 8) {
        __builtin_memcpy(&v, p, 8);
        hash = (hash ^ v) * 0xbf58476d1ce4e5b9u;
        hash ^= hash >> 31;
    }
    v = 0;
    __builtin_memcpy(&v, p, size);
    hash = (hash ^ v) * 0xbf58476d1ce4e5b9u;
    return hash ^ hash >> 29;
}

/* The bit in `joins` of the characters that two tokens are. */
enum { JOIN_BITS = 1 << 20 };
static inline size_t join_bit(uint32_t before, uint32_t behind)
{
    return (((uint64_t)before << 32 | behind) * 0x9e3779b97f4a7c15u) >> 44;
}

/* The token whose bytes are exactly these, or NO_TOKEN; only where `words` are. */
uint32_t hone__bpe_whole(const hone__tokenizer *t, const char *p, size_t size);

/* Words seen before, by their hash: the newest stays. */
enum { CACHE_BYTES = 24, CACHE_IDS = 8, CACHE_WORDS = 1 << 13 };
typedef struct cached_word {
    uint32_t ids[CACHE_IDS];
    char bytes[CACHE_BYTES];
    uint8_t size, count;
} cached_word;

/* What encoding keeps in a list between calls. */
typedef struct hone__token_scratch {
    uint64_t owner;     /* serial number of the tokenizer whose words are in `cache` */
    cached_word *cache; /* [CACHE_WORDS], once there has been some text */
    size_t seen;        /* bytes encoded without it */
    const char *first;  /* a piece that begins here is the first of the whole text */
    hone__text normalized[2], prefixed[HONE__STEPS];
    struct bpe_node *nodes; /* of a long word */
    size_t node_capacity;
    uint64_t *heap;
    size_t heap_capacity;
} hone__token_scratch;

/* Cuts text (without added tokens, normalised) into words by the tokenizer's steps, and appends their ids. */
hone_status hone__bpe_text(const hone__tokenizer *t, const char *text, size_t size, hone__token_list *list);
/* Appends the ids of one word. */
hone_status hone__bpe_word(const hone__tokenizer *t, const char *word, size_t size, hone__token_list *list);

/* The first and, there, longest added token of `set` that begins in text[from, size), and where; NULL: none. */
const added_token *hone__added_find(const hone__tokenizer *t, const added_set *set, const char *text, size_t size,
                                    size_t from, size_t *at);

static inline hone_status append_id(hone__token_list *list, uint32_t id)
{
    if (list->count == list->capacity) HONE__TRY(hone__grow(&list->ids, &list->capacity, list->count, sizeof id));
    list->ids[list->count++] = id;
    return HONE_OK;
}

#endif
