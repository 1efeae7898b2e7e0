/* op_tfidf.c: TfIdfVectorizer: counts of n-grams (with up to max_skip_count items between neighbours), weighted. The
 * pool is a tree of items, found through one hash table of (node, item). */
#include "string_values.h"

typedef struct item { /* of the pool or the input */
    hone__string s;
    int64_t i;
} item;

typedef struct edge {
    uint32_t from, to; /* nodes; to 0: an empty place */
    item key;
} edge;

typedef struct pool {
    edge *edges; /* open addressing */
    size_t size;
    int64_t *gram; /* per node: which n-gram ends here, -1 */
    uint32_t nodes;
    bool strings;
} pool;

typedef struct settings {
    int64_t least, most, skip;
    const int64_t *counts, *index;
    size_t count_count, index_count, items, weight_count;
    const hone__attr *pool;
    const float *weights;
    int64_t columns;
    char mode; /* T: TF, I: IDF, B: both */
} settings;

static hone_status read_mode(const hone__node *n, char *mode)
{
    const char *name = hone__node_string(n, "mode", "");
    *mode = !strcmp(name, "TF") ? 'T' : !strcmp(name, "IDF") ? 'I' : !strcmp(name, "TFIDF") ? 'B' : 0;
    return *mode ? HONE_OK : hone__fail(HONE_E_UNSUPPORTED, "mode '%.40s'", name);
}

static hone_status read_settings(const hone__node *n, settings *s)
{
    const hone__attr *strings = hone__node_attr(n, "pool_strings"), *w = hone__node_attr(n, "weights");
    *s = (settings){.least = hone__node_int(n, "min_gram_length", 1),
                    .most = hone__node_int(n, "max_gram_length", 1),
                    .skip = hone__node_int(n, "max_skip_count", 0)};
    s->counts = hone__node_ints(n, "ngram_counts", &s->count_count);
    s->index = hone__node_ints(n, "ngram_indexes", &s->index_count);
    s->pool =
        strings && strings->kind == HONE__ATTR_STRINGS && strings->count ? strings : hone__node_attr(n, "pool_int64s");
    HONE__TRY(read_mode(n, &s->mode));
    if (!s->pool || (s->pool->kind != HONE__ATTR_STRINGS && s->pool->kind != HONE__ATTR_INTS))
        return hone__fail(HONE_E_SHAPE, "neither pool_strings nor pool_int64s");
    s->items = s->pool->count;
    if (s->least < 1 || s->most < s->least || s->skip < 0)
        return hone__fail(HONE_E_SHAPE, "grams of %lld to %lld with %lld skipped", (long long)s->least,
                          (long long)s->most, (long long)s->skip);
    for (size_t i = 0; i < s->count_count; i++)
        if (s->counts[i] < (i ? s->counts[i - 1] : 0) || (size_t)s->counts[i] > s->items)
            return hone__fail(HONE_E_SHAPE, "ngram_counts[%zu] is %lld", i, (long long)s->counts[i]);
    for (size_t i = 0; i < s->index_count; i++) {
        if (s->index[i] < 0 || s->index[i] >= INT32_MAX)
            return hone__fail(HONE_E_SHAPE, "ngram_indexes[%zu] is %lld", i, (long long)s->index[i]);
        if (s->index[i] >= s->columns) s->columns = s->index[i] + 1;
    }
    if (!s->count_count || !s->index_count) return hone__fail(HONE_E_SHAPE, "ngram_counts or ngram_indexes is missing");
    if (w && w->kind == HONE__ATTR_FLOATS && w->count) {
        s->weights = w->floats;
        s->weight_count = w->count;
        if ((int64_t)w->count != s->columns)
            return hone__fail(HONE_E_SHAPE, "%zu weights for %lld columns", w->count, (long long)s->columns);
    }
    return HONE_OK;
}

static hone_status infer_tfidf(hone__infer *x)
{
    settings s;
    hone_dtype d = x->in[0].dtype;
    const hone__shape *in = &x->in[0].shape;
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(read_settings(x->node, &s));
    if (d && (d == HONE_STRING) != (s.pool->kind == HONE__ATTR_STRINGS))
        return hone__fail(HONE_E_SHAPE, "input 0 is %s, the pool is not", hone_dtype_name(d));
    if (d && d != HONE_STRING && d != HONE_I32 && d != HONE_I64)
        return hone__fail(HONE_E_SHAPE, "input 0 is %s", hone_dtype_name(d));
    x->out[0].dtype = HONE_F32;
    if (in->rank > 2) return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected at most 2", in->rank);
    if (in->rank == 2)
        hone__infer_set(x, 0, HONE_F32, 2, (int64_t[]){in->dims[0], s.columns});
    else if (in->rank >= 0)
        hone__infer_set(x, 0, HONE_F32, 1, &s.columns);
    return HONE_OK;
}

static edge *find_edge(const pool *p, uint32_t from, item key)
{
    uint64_t h = p->strings ? hone__string_hash(key.s) : (uint64_t)key.i * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)((h ^ h >> 32) + from * 0x9e3779b1u) & (p->size - 1);
    for (;; at = (at + 1) & (p->size - 1)) {
        edge *e = &p->edges[at];
        if (!e->to) return e;
        if (e->from == from && (p->strings ? hone__string_same(e->key.s, key.s) : e->key.i == key.i)) return e;
    }
}

static item pool_item(const settings *s, size_t i)
{
    return s->pool->kind == HONE__ATTR_STRINGS ? (item){.s = s->pool->strings[i]} : (item){.i = s->pool->ints[i]};
}

/* Grams of `size` items from pool[begin, end), numbered from `gram` on. */
static void fill_grams(pool *p, const settings *s, size_t begin, size_t end, size_t size, int64_t gram)
{
    for (; begin + size <= end; begin += size, gram++) {
        uint32_t node = 0;
        for (size_t k = 0; k < size; k++) {
            item key = pool_item(s, begin + k);
            edge *e = find_edge(p, node, key);
            if (!e->to) {
                *e = (edge){node, ++p->nodes, key};
                p->gram[p->nodes] = -1;
            }
            node = e->to;
        }
        p->gram[node] = gram;
    }
}

static hone_status prepare_tfidf(hone__prepare *prep)
{
    settings s;
    HONE__TRY(read_settings(prep->node, &s));
    pool *p = hone__arena_zalloc(prep->arena, sizeof *p);
    if (!p) return hone__out_of_memory(sizeof *p);
    for (p->size = 16; p->size < 2 * (s.items + 1);) p->size *= 2;
    p->edges = hone__arena_zalloc(prep->arena, p->size * sizeof *p->edges);
    p->gram = hone__arena_zalloc(prep->arena, (s.items + 1) * sizeof *p->gram);
    if (!p->edges || !p->gram) return hone__out_of_memory(p->size * sizeof *p->edges);
    p->strings = s.pool->kind == HONE__ATTR_STRINGS;
    p->gram[0] = -1;
    int64_t gram = 0;
    for (size_t i = 0; i < s.count_count; i++) {
        size_t begin = (size_t)s.counts[i], end = i + 1 < s.count_count ? (size_t)s.counts[i + 1] : s.items;
        size_t size = i + 1;
        if ((int64_t)size >= s.least && (int64_t)size <= s.most) fill_grams(p, &s, begin, end, size, gram);
        gram += (int64_t)((end - begin) / size);
    }
    if ((size_t)gram > s.index_count)
        return hone__fail(HONE_E_SHAPE, "%zu ngram_indexes for %lld grams", s.index_count, (long long)gram);
    prep->state = p;
    return HONE_OK;
}

static item input_item(const hone__run *r, size_t i)
{
    const hone__tensor *x = r->in[0];
    return x->dtype == HONE_STRING ? (item){.s = hone__strings_in(r, 0)[i]} : (item){.i = hone__tensor_i64(x, i)};
}

/* Counts the grams of one row that begin at `start`, their items `distance` apart. */
static void count_from(const hone__run *r, const settings *s, size_t start, size_t end, size_t distance, int64_t least,
                       float *counts)
{
    const pool *p = r->state;
    uint32_t node = 0;
    int64_t size = 1;
    for (size_t at = start; at < end && size <= s->most; at += distance, size++) {
        const edge *e = find_edge(p, node, input_item(r, at));
        if (!e->to) return;
        node = e->to;
        if (size >= least && p->gram[node] >= 0) counts[s->index[p->gram[node]]]++;
    }
}

static void count_row(const hone__run *r, const settings *s, size_t begin, size_t n, float *counts)
{
    int64_t least = s->least, furthest = s->skip < (int64_t)n ? s->skip : (int64_t)n;
    for (int64_t distance = 1; distance <= furthest + 1; distance++) {
        for (size_t i = 0; i < n; i++) {
            if (least > 1 && (int64_t)(n - 1 - i) / distance < least - 1) break;
            count_from(r, s, begin + i, begin + n, (size_t)distance, least, counts);
        }
        if (least == 1 && ++least > s->most) return; /* single items lie at any distance: once is enough */
    }
}

static hone_status run_tfidf(hone__run *r)
{
    settings s;
    const hone__tensor *x = r->in[0];
    HONE__TRY(read_settings(r->node, &s));
    size_t rows = x->rank == 2 ? (size_t)x->dims[0] : 1, n = rows ? x->count / rows : 0;
    float *y = hone__out_data(r, 0);
    if (r->out[0]->bytes) memset(y, 0, r->out[0]->bytes);
    for (size_t row = 0; row < rows; row++, y += s.columns) {
        count_row(r, &s, row * n, n, y);
        for (int64_t i = 0; i < s.columns; i++) {
            float w = s.weights ? s.weights[i] : 1;
            y[i] = s.mode == 'T' ? y[i] : s.mode == 'B' ? y[i] * w : y[i] > 0 ? w : 0;
        }
    }
    return HONE_OK;
}
const hone__op hone__op_tfidf_vectorizer = {"",        "TfIdfVectorizer", infer_tfidf, prepare_tfidf,
                                            run_tfidf, HONE__OP_STRINGS};
