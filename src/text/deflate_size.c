/* deflate_size.c: see deflate_size.h. Nothing is written: matches are searched as zlib's "slow" strategy does, the
 * symbols of a block are counted, and the block costs what the best of its three forms (RFC 1951, 3.2) would take.
 * Where the choice is free (which match, which of several optimal codes, where a block ends) it is zlib's. */
#include "text/deflate_size.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

enum {
    WINDOW = 1 << 15,
    HASHES = 1 << 15,
    SHORTEST = 3,
    LONGEST = 258,
    LOOKAHEAD = LONGEST + SHORTEST + 1, /* bytes that a search may look at */
    FARTHEST = WINDOW - LOOKAHEAD,      /* distance of a match */
    FAR = 4096,                         /* the shortest matches are not worth more than this distance */
    /* level 6 */
    GOOD = 8,   /* a match of this length at the byte before: a quarter of the search */
    LAZY = 16,  /* of this length: none */
    NICE = 128, /* long enough to stop searching */
    CANDIDATES = 128,
    BLOCK_SYMBOLS = (1 << 14) - 1
};

enum { LITERALS = 286, DISTANCES = 30, LENGTHS = 19, END = 256, MOST = LITERALS };

/* An alphabet, how often each symbol came, and the bits of its code. */
typedef struct alphabet {
    int symbols, most_bits;
    int last; /* symbol with a code */
    uint32_t count[MOST];
    uint8_t bits[MOST];
} alphabet;

typedef struct deflate {
    const uint8_t *text;
    size_t size, at, ready, window; /* ready: bytes read so far; window: the place where what is kept begins */
    size_t block;                   /* where the block begins */
    size_t symbols;                 /* in the block */
    uint64_t extra, bits;           /* extra: bits behind the block's codes; bits: written */
    alphabet literals, distances;
    size_t heads[HASHES],
        before[WINDOW]; /* last place with a hash; the one before a place. Places up to `window`: none */
} deflate;

/* ------------------------------------------------- codes ------------------------------------------------- */

typedef struct tree {
    uint32_t weight[2 * MOST];
    uint8_t depth[2 * MOST], bits[2 * MOST];
    int parent[2 * MOST];
    int heap[2 * MOST], heap_count; /* from 1 */
    int order[2 * MOST], nodes;     /* as they were taken: lightest first */
} tree;

static bool lighter(const tree *t, int a, int b)
{
    return t->weight[a] < t->weight[b] || (t->weight[a] == t->weight[b] && t->depth[a] <= t->depth[b]);
}

static void sink(tree *t, int k)
{
    int node = t->heap[k];
    for (int child = 2 * k; child <= t->heap_count; child = 2 * k) {
        if (child < t->heap_count && lighter(t, t->heap[child + 1], t->heap[child])) child++;
        if (lighter(t, node, t->heap[child])) break;
        t->heap[k] = t->heap[child];
        k = child;
    }
    t->heap[k] = node;
}

static void add_leaf(tree *t, int symbol, uint32_t weight)
{
    t->heap[++t->heap_count] = symbol;
    t->weight[symbol] = weight;
    t->depth[symbol] = 0;
}

/* Huffman's tree; a code has two symbols at least. */
static void grow(tree *t, alphabet *a)
{
    t->heap_count = t->nodes = 0;
    a->last = -1;
    for (int i = 0; i < a->symbols; i++)
        if (a->count[i]) add_leaf(t, a->last = i, a->count[i]);
    while (t->heap_count < 2) add_leaf(t, a->last < 2 ? ++a->last : 0, 1);
    for (int k = t->heap_count / 2; k >= 1; k--) sink(t, k);
    for (int node = a->symbols; t->heap_count > 1; node++) {
        int first = t->heap[1], second;
        t->heap[1] = t->heap[t->heap_count--];
        sink(t, 1);
        second = t->heap[1];
        t->order[t->nodes++] = first;
        t->order[t->nodes++] = second;
        t->parent[first] = t->parent[second] = node;
        t->weight[node] = t->weight[first] + t->weight[second];
        t->depth[node] = (uint8_t)((t->depth[first] > t->depth[second] ? t->depth[first] : t->depth[second]) + 1);
        t->heap[1] = node;
        sink(t, 1);
    }
}

/* Codes that would be too long: places are made at the longest lengths that have codes, then the lengths are given out
 * anew, the longest to the lightest symbols. */
static void shorten(const tree *t, alphabet *a, int *with, int overflow)
{
    for (; overflow > 0; overflow -= 2) {
        int bits = a->most_bits - 1;
        while (!with[bits]) bits--;
        with[bits]--;
        with[bits + 1] += 2;
        with[a->most_bits]--;
    }
    for (int bits = a->most_bits, i = 0; bits; bits--)
        for (int left = with[bits]; left; i++)
            if (t->order[i] < a->symbols) a->bits[t->order[i]] = (uint8_t)bits, left--;
}

/* Lengths of the code (RFC 1951, 3.2.2), and what all symbols take together in bits. */
static uint64_t make_code(alphabet *a)
{
    tree t;
    int with[16] = {0}, overflow = 0;
    uint64_t cost = 0;
    grow(&t, a);
    memset(a->bits, 0, sizeof a->bits);
    t.bits[t.heap[1]] = 0;
    for (int i = t.nodes; i-- > 0;) {
        int node = t.order[i], bits = t.bits[t.parent[node]] + 1;
        if (bits > a->most_bits) bits = a->most_bits, overflow++;
        t.bits[node] = (uint8_t)bits;
        if (node >= a->symbols) continue;
        a->bits[node] = (uint8_t)bits;
        with[bits]++;
    }
    if (overflow) shorten(&t, a, with, overflow);
    for (int i = 0; i < a->symbols; i++) cost += (uint64_t)a->count[i] * a->bits[i];
    return cost;
}

/* ------------------------------------------------- blocks ------------------------------------------------- */

/* The code of length v (from SHORTEST) or distance v (from 1), both less their least: `fine` codes for every power of
 * two. */
static int code_of(size_t v, int fine, int *extra)
{
    int shift = 0;
    while (v >> shift >= 2u * (unsigned)fine) shift++;
    *extra = shift;
    return (int)(v >> shift) + shift * fine;
}

static int length_code(size_t length, int *extra)
{
    if (length < LONGEST) return END + 1 + code_of(length - SHORTEST, 4, extra);
    *extra = 0;
    return LITERALS - 1;
}

static int fixed_bits(int literal) { return literal < 144 ? 8 : literal < 256 ? 9 : literal < 280 ? 7 : 8; }

/* Counts the symbols that code lengths are written in (3.2.7): 0 to 15, repeat 3 to 6 times, 3 to 10, 11 to 138 zeros.
 */
static void count_lengths(const alphabet *a, alphabet *lengths)
{
    int before = -1;
    for (int i = 0; i <= a->last;) {
        int bits = a->bits[i], run = 1;
        int most = !bits ? 138 : bits == before ? 6 : 7, least = !bits || bits == before ? 3 : 4;
        while (run < most && i + run <= a->last && a->bits[i + run] == bits) run++;
        if (run < least) {
            lengths->count[bits] += (uint32_t)run;
        } else if (bits) {
            lengths->count[bits] += bits != before;
            lengths->count[16]++;
        } else {
            lengths->count[run <= 10 ? 17 : 18]++;
        }
        before = bits;
        i += run;
    }
}

/* Bits of the codes of a dynamic block. */
static uint64_t codes_cost(const deflate *d)
{
    static const uint8_t order[LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    alphabet lengths = {.symbols = LENGTHS, .most_bits = 7};
    count_lengths(&d->literals, &lengths);
    count_lengths(&d->distances, &lengths);
    uint64_t cost = make_code(&lengths) + 2 * lengths.count[16] + 3 * lengths.count[17] + 7 * lengths.count[18];
    int written = LENGTHS;
    while (written > 4 && !lengths.bits[order[written - 1]]) written--;
    return cost + 5 + 5 + 4 + 3 * (uint64_t)written;
}

static void begin_block(deflate *d)
{
    d->literals = (alphabet){.symbols = LITERALS, .most_bits = 15};
    d->distances = (alphabet){.symbols = DISTANCES, .most_bits = 15};
    d->literals.count[END] = 1;
    d->block = d->at;
    d->symbols = d->extra = 0;
}

static void end_block(deflate *d)
{
    uint64_t fixed = d->extra, coded = d->extra, stored = d->at - d->block;
    for (int i = 0; i < LITERALS; i++) fixed += (uint64_t)d->literals.count[i] * (unsigned)fixed_bits(i);
    for (int i = 0; i < DISTANCES; i++) fixed += (uint64_t)d->distances.count[i] * 5;
    coded += make_code(&d->literals);
    coded += make_code(&d->distances);
    coded += codes_cost(d);
    /* whole bytes are compared */
    bool is_fixed = (fixed + 3 + 7) / 8 <= (coded + 3 + 7) / 8;
    if (is_fixed) coded = fixed;
    d->bits += 3;
    if (stored + 4 <= (coded + 3 + 7) / 8 && d->block >= d->window)
        d->bits = (d->bits + 7) / 8 * 8 + 8 * (4 + stored);
    else
        d->bits += coded;
    begin_block(d);
}

static void count_literal(deflate *d, uint8_t byte)
{
    d->literals.count[byte]++;
    d->symbols++;
}

static void count_match(deflate *d, size_t length, size_t distance)
{
    int extra;
    d->literals.count[length_code(length, &extra)]++;
    d->extra += (unsigned)extra;
    d->distances.count[code_of(distance - 1, 2, &extra)]++;
    d->extra += (unsigned)extra;
    d->symbols++;
}

/* ------------------------------------------------- matches ------------------------------------------------- */

/* Two windows of text are held: when too little lies ahead, the older one may go and the room be filled. */
static void read_on(deflate *d)
{
    if (d->ready - d->at >= LOOKAHEAD) return;
    if (d->at - d->window >= WINDOW + FARTHEST) d->window += WINDOW;
    d->ready = d->size - d->window < 2 * WINDOW ? d->size : d->window + 2 * WINDOW;
}

/* Enters a place with SHORTEST bytes into its chain; the newest place before with the same hash. */
static size_t enter(deflate *d, size_t at)
{
    const uint8_t *p = d->text + at;
    size_t hash = ((size_t)p[0] << 10 ^ (size_t)p[1] << 5 ^ p[2]) % HASHES, head = d->heads[hash];
    d->before[at % WINDOW] = head;
    d->heads[hash] = at;
    return head;
}

/* Length of the first longest match of at[0 ..] down the chain from `match` that beats `length`, else `length`. */
static size_t longest(const deflate *d, size_t match, size_t length, size_t *from)
{
    const uint8_t *text = d->text, *at = text + d->at;
    size_t ahead = d->ready - d->at, most = ahead < LONGEST ? ahead : LONGEST, nice = NICE < ahead ? NICE : ahead;
    size_t limit = d->at - d->window > FARTHEST ? d->at - FARTHEST : d->window;
    int left = length >= GOOD ? CANDIDATES / 4 : CANDIDATES;
    do {
        size_t n = 0;
        if (length < most && text[match + length] != at[length]) continue;
        while (n < most && text[match + n] == at[n]) n++;
        if (n <= length) continue;
        *from = match;
        length = n;
        if (n >= nice) break;
    } while ((match = d->before[match % WINDOW]) > limit && --left);
    return length < ahead ? length : ahead;
}

/* A match waits for the next byte's, and goes when that is longer. */
static void search(deflate *d)
{
    size_t length = SHORTEST - 1, from = 0;
    bool waiting = false; /* the byte before is not yet counted */
    for (read_on(d); d->at < d->size; read_on(d)) {
        size_t last_length = length, last_from = from, head = d->window;
        if (d->ready - d->at >= SHORTEST) head = enter(d, d->at);
        length = SHORTEST - 1;
        if (head > d->window && last_length < LAZY && d->at - head <= FARTHEST) {
            length = longest(d, head, last_length, &from);
            if (length == SHORTEST && d->at - from > FAR) length = SHORTEST - 1;
        }
        if (last_length >= SHORTEST && length <= last_length) {
            size_t end = d->at - 1 + last_length;
            count_match(d, last_length, d->at - 1 - last_from);
            while (++d->at < end)
                if (d->ready - d->at >= SHORTEST) enter(d, d->at);
            waiting = false;
            length = SHORTEST - 1;
            if (d->symbols == BLOCK_SYMBOLS) end_block(d);
            continue;
        }
        if (waiting) count_literal(d, d->text[d->at - 1]);
        if (waiting && d->symbols == BLOCK_SYMBOLS) end_block(d);
        waiting = true;
        d->at++;
    }
    if (waiting) count_literal(d, d->text[d->at - 1]);
    end_block(d);
}

hone_status hone__deflate_size(const char *text, size_t size, size_t *packed)
{
    enum { HEADER = 2, ADLER = 4 };
    deflate *d = hone__calloc(1, sizeof *d);
    if (!d) return hone__out_of_memory(sizeof *d);
    d->text = (const uint8_t *)text;
    d->size = size;
    begin_block(d);
    search(d);
    *packed = HEADER + (size_t)((d->bits + 7) / 8) + ADLER;
    hone__free(d);
    return HONE_OK;
}
