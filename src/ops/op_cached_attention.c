/* op_cached_attention.c: what kv_cache.c makes of Attention with keys and values that stay between runs. Never in a
 * file. hone:CachedAttention extends caches of a fixed capacity in place, or, without k and v, sees all that they hold;
 * hone:StoreHeads fills such a cache with keys or values. */
#include <string.h>

#include "infer.h"
#include "kernels/attention/attend.h"

/* q [B, S, heads * size]; k, v [B, S, kv_heads * size], or both absent; caches [B, kv_heads, capacity, size] in float32
 * or float16, or [..., size + 4] in int8; without k and v, B may be a multiple of their batch: neighbours share.
 * first [B], may be absent: rows before it are padding; before: rows that the caches hold already */
enum { Q = 0, K, V, CACHE_K, CACHE_V, FIRST, BEFORE, INPUTS };

static hone_status infer_cached(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, INPUTS));
    for (int i = CACHE_K; i < INPUTS; i++)
        if (i != FIRST && !hone__has_input(x, i)) return hone__fail(HONE_E_SHAPE, "input %d is missing", i);
    hone__infer_same(x, 0, Q);
    if (hone__has_input(x, K) != hone__has_input(x, V)) return hone__fail(HONE_E_SHAPE, "keys and values go together");
    for (int i = Q; i <= V; i++) {
        if (!hone__has_input(x, i)) continue;
        HONE__TRY(hone__infer_rank(x, i, 3));
        if (x->in[i].dtype && x->in[i].dtype != HONE_F32)
            return hone__fail(HONE_E_SHAPE, "input %d is %s, expected float32", i, hone_dtype_name(x->in[i].dtype));
    }
    for (int i = CACHE_K; i <= CACHE_V; i++) {
        HONE__TRY(hone__infer_rank(x, i, 4));
        hone_dtype d = x->in[i].dtype;
        if (x->value[i] || (d && d != HONE_F32 && d != HONE_F16 && d != HONE_I8))
            return hone__fail(HONE_E_SHAPE, "input %d is no cache of float32, float16 or int8", i);
    }
    return HONE_OK;
}

static hone_status prepare_cached(hone__prepare *p)
{
    hone__attend_args *a = hone__arena_zalloc(p->arena, sizeof *a);
    const hone__tensor *q = p->in[Q], *cache = p->in[CACHE_K];
    int64_t heads = hone__node_int(p->node, "q_num_heads", 0), kv_heads = hone__node_int(p->node, "kv_num_heads", 0);
    int64_t window = hone__node_int(p->node, "window", 0);
    if (!a) return hone__out_of_memory(sizeof *a);
    if (heads < 1 || kv_heads < 1 || heads % kv_heads || q->dims[2] % heads || window < 0)
        return hone__fail(HONE_E_SHAPE, "%lld heads in groups of %lld, %lld wide", (long long)heads,
                          (long long)kv_heads, (long long)q->dims[2]);
    int64_t size = q->dims[2] / heads;
    hone__kv kind = cache->dtype == HONE_I8 ? HONE__KV_I8 : cache->dtype == HONE_F16 ? HONE__KV_F16 : HONE__KV_F32;
    int64_t width = (int64_t)hone__kv_row(kind, (size_t)size);
    bool grows = p->in[K] != NULL;
    int64_t share = !grows && cache->dims[0] > 0 && q->dims[0] % cache->dims[0] == 0 ? q->dims[0] / cache->dims[0] : 1;
    const int64_t want[4] = {q->dims[0] / share, kv_heads, cache->dims[2], width};
    for (int i = grows ? K : CACHE_K; i <= CACHE_V; i++) {
        const hone__tensor *t = p->in[i];
        bool fits = i <= V ? t->dims[0] == q->dims[0] && t->dims[1] == q->dims[1] && t->dims[2] == kv_heads * size
                           : t->dtype == cache->dtype && !memcmp(t->dims, want, sizeof want);
        if (!fits) return hone__fail(HONE_E_SHAPE, "input %d does not fit the queries", i);
    }
    if (p->in[BEFORE]->dtype != HONE_I64 || p->in[BEFORE]->count != 1 ||
        (p->in[FIRST] && (p->in[FIRST]->dtype != HONE_I64 || (int64_t)p->in[FIRST]->count != q->dims[0])))
        return hone__fail(HONE_E_SHAPE, "inputs %d and %d are not a number per entry and one", FIRST, BEFORE);
    size_t row = (size_t)q->dims[2];
    *a = (hone__attend_args){.batch = (size_t)q->dims[0],
                             .heads = (size_t)heads,
                             .kv_heads = (size_t)kv_heads,
                             .queries = (size_t)q->dims[1],
                             .size = (size_t)size,
                             .q_b = (size_t)q->dims[1] * row,
                             .q_h = (size_t)size,
                             .q_r = row,
                             .kind = kind,
                             .kv_h = (size_t)(cache->dims[2] * width),
                             .kv_b = (size_t)(kv_heads * cache->dims[2] * width),
                             .keys = (size_t)cache->dims[2],
                             .share = (size_t)share,
                             .causal = grows,
                             .window = (size_t)window,
                             .scale = hone__node_float(p->node, "scale", 1),
                             .softcap = hone__node_float(p->node, "softcap", 0)};
    a->y_b = a->q_b, a->y_h = a->q_h, a->y_r = a->q_r;
    p->scratch = hone__attend_scratch(a, p->threads);
    p->state = a;
    return HONE_OK;
}

/* Rows of `now` behind the first `before` of each head. */
static void append(const hone__attend_args *a, const hone__tensor *now, const hone__tensor *cache, size_t before)
{
    const float *from = now->data;
    size_t width = hone__kv_row(a->kind, a->size), bytes = hone__dtype_size(cache->dtype);
    for (size_t b = 0; b < a->batch; b++)
        for (size_t row = 0; row < a->queries; row++)
            for (size_t h = 0; h < a->kv_heads; h++, from += a->size) {
                size_t at = b * a->kv_b + h * a->kv_h + (before + row) * width;
                hone__kv_write(a->kind, from, a->size, (char *)(uintptr_t)cache->data + at * bytes);
            }
}

static hone_status run_cached(hone__run *r)
{
    hone__attend_args a = *(const hone__attend_args *)r->state;
    int64_t before = hone__tensor_i64(r->in[BEFORE], 0);
    size_t fresh = r->in[K] ? a.queries : 0;
    if (before < 0 || before > (int64_t)a.keys || fresh > a.keys - (size_t)before)
        return hone__fail(HONE_E_LIMIT, "%zu tokens behind %lld in a cache of %zu", fresh, (long long)before, a.keys);
    if (!r->out[0]->count) return HONE_OK;
    if (fresh) {
        append(&a, r->in[K], r->in[CACHE_K], (size_t)before);
        append(&a, r->in[V], r->in[CACHE_V], (size_t)before);
    }
    a.q = r->in[Q]->data;
    a.k = r->in[CACHE_K]->data;
    a.v = r->in[CACHE_V]->data;
    a.first = r->in[FIRST] ? r->in[FIRST]->data : NULL;
    a.keys = (size_t)before + fresh;
    a.y = hone__out_data(r, 0);
    hone__attend(&a, r->scratch, r->pool);
    return HONE_OK;
}
const hone__op hone__op_hone_cached_attention = {"hone",         "CachedAttention", infer_cached,
                                                 prepare_cached, run_cached,        0};

/* x [B, T, heads * size], cache [B, heads, capacity, ...] -> int64 [1]: T */
static hone_status infer_store(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_rank(x, 0, 3));
    HONE__TRY(hone__infer_rank(x, 1, 4));
    hone__infer_set(x, 0, HONE_I64, 1, (int64_t[]){1});
    return HONE_OK;
}

static hone_status prepare_store(hone__prepare *p)
{
    hone__attend_args *a = hone__arena_zalloc(p->arena, sizeof *a);
    const hone__tensor *x = p->in[0], *cache = p->in[1];
    int64_t heads = cache->dims[1];
    if (!a) return hone__out_of_memory(sizeof *a);
    if (heads < 1 || x->dims[2] % heads || x->dims[0] != cache->dims[0] || x->dims[1] > cache->dims[2])
        return hone__fail(HONE_E_SHAPE, "%lld rows of %lld numbers for a cache of %lld heads and %lld rows",
                          (long long)x->dims[1], (long long)x->dims[2], (long long)heads, (long long)cache->dims[2]);
    a->kind = cache->dtype == HONE_I8 ? HONE__KV_I8 : cache->dtype == HONE_F16 ? HONE__KV_F16 : HONE__KV_F32;
    a->size = (size_t)(x->dims[2] / heads);
    size_t width = hone__kv_row(a->kind, a->size);
    if (x->dtype != HONE_F32 || (int64_t)width != cache->dims[3])
        return hone__fail(HONE_E_SHAPE, "heads of %zu numbers for rows of %lld", a->size, (long long)cache->dims[3]);
    a->batch = (size_t)x->dims[0];
    a->kv_heads = (size_t)heads;
    a->queries = (size_t)x->dims[1];
    a->kv_h = (size_t)cache->dims[2] * width;
    a->kv_b = a->kv_heads * a->kv_h;
    p->state = a;
    return HONE_OK;
}

static hone_status run_store(hone__run *r)
{
    const hone__attend_args *a = r->state;
    append(a, r->in[0], r->in[1], 0);
    *(int64_t *)hone__out_data(r, 0) = (int64_t)a->queries;
    return HONE_OK;
}
const hone__op hone__op_hone_store_heads = {"hone", "StoreHeads", infer_store, prepare_store, run_store, 0};
