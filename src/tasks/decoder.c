/* decoder.c: one session for prompts, which computes the scores of the last token alone, one for steps; both over the
 * same weights and caches. */
#include "decoder.h"

#include <string.h>

#include "base/checked.h"
#include "base/log.h"
#include "decoder_plain.h"
#include "graph/clone.h"
#include "passes/kv_cache.h"

typedef struct side {
    hone__session *session;
    hone__kv_graph kv;
    hone__tensor *in;
    const hone__tensor **list;
} side;

enum { LAST, ALL, SIDES };

struct hone__decoder {
    size_t most, capacity, batch, length, cache_count;
    side sides[SIDES];
    hone__tensor *caches; /* [2 * layers], most sequences */
    int64_t *first;       /* [most] */
    int64_t *positions;   /* grows */
    size_t positions_size;
    char *spare; /* rows on their way to another sequence */
    size_t spare_size;
    int64_t before, vocab; /* vocab: of the first run; 0: there was none */
    hone__session_options options;
    hone__model *model;
    hone_dtype cache;
    const hone__tensor *encoded; /* [2 * layers] of a decoder with an encoder, or NULL */
    hone__plain *plain;          /* of a graph that keeps nothing itself; the rest is idle then */
};

/* The caches, of the shapes that the graph's inputs have. */
static hone_status make_caches(hone__decoder *d, const hone__kv_graph *kv, const hone__graph *g)
{
    size_t total = 0, limit = d->options.max_memory;
    d->caches = hone__calloc(2 * kv->layers, sizeof *d->caches);
    if (!d->caches) return hone__out_of_memory(2 * kv->layers * sizeof *d->caches);
    for (; d->cache_count < 2 * kv->layers; d->cache_count++) {
        const hone__shape *shape = &g->inputs[(size_t)kv->caches + d->cache_count]->shape;
        const int64_t dims[] = {(int64_t)d->most, shape->dims[1], (int64_t)d->capacity, shape->dims[3]};
        size_t count, bytes;
        HONE__TRY(hone__shape_bytes(d->cache, 4, dims, &count, &bytes));
        if (limit && (total > limit || bytes > limit - total))
            return hone__fail(HONE_E_LIMIT,
                              "keys and values of %zu sequences of %zu tokens pass the limit of %zu bytes", d->most,
                              d->capacity, limit);
        HONE__TRY(hone__tensor_new(d->cache, 4, dims, &d->caches[d->cache_count]));
        total += bytes;
    }
    return HONE_OK;
}

static hone_status make_side(hone__decoder *d, int which)
{
    side *s = &d->sides[which];
    hone__model *m;
    hone__free(s->in);
    hone__free(s->list);
    *s = (side){0};
    hone__kv_options o = {.dtype = d->cache, .capacity = (int64_t)d->capacity, .last_only = which == LAST};
    HONE__TRY(hone__model_clone(d->model, &m));
    hone_status st = hone__kv_cache_apply(m, &o, &s->kv);
    size_t inputs = m->graph->input_count;
    if (st == HONE_OK && !d->caches) st = make_caches(d, &s->kv, m->graph);
    if (st == HONE_OK) {
        s->in = hone__calloc(inputs, sizeof *s->in);
        s->list = hone__calloc(inputs, sizeof *s->list);
        if (!s->in || !s->list) st = hone__out_of_memory(inputs * sizeof *s->in);
    }
    for (size_t i = 0; st == HONE_OK && i < inputs; i++) s->list[i] = &s->in[i];
    if (st == HONE_OK) st = hone__session_create(m, &d->options, &s->session);
    hone__model_destroy(m);
    return st;
}

/* A model whose keys and values hone cannot keep in its own way. */
static hone_status make_plain(hone__decoder *d, const hone__decoder_options *o)
{
    hone__log(HONE_LOG_DEBUG, "keys and values go through the graph: %s", hone_error_message());
    HONE__TRY(hone__plain_create(d->model, o, &d->plain));
    if (o->cache == HONE_I8)
        return hone__fail(HONE_E_UNSUPPORTED, "keys and values of this model are its own: they cannot be int8");
    return HONE_OK;
}

hone_status hone__decoder_create(const hone__model *model, const hone__decoder_options *o, hone__decoder **out)
{
    hone__decoder *d = *out = hone__calloc(1, sizeof *d);
    if (!d) return hone__out_of_memory(sizeof *d);
    d->most = o->batch ? o->batch : 1;
    d->capacity = o->capacity;
    d->options = o->session;
    d->cache = o->cache;
    d->first = hone__calloc(d->most, sizeof *d->first);
    hone_status s = d->first ? hone__model_clone(model, &d->model) : hone__out_of_memory(d->most * sizeof *d->first);
    if (s == HONE_OK && (d->capacity < 1 || d->capacity > INT32_MAX || d->most > INT32_MAX))
        s = hone__fail(HONE_E_ARGUMENT, "%zu sequences of %zu tokens", d->most, d->capacity);
    if (s == HONE_OK) s = make_side(d, LAST);
    if (s == HONE_E_UNSUPPORTED) s = make_plain(d, o);
    if (s == HONE_OK) s = hone__decoder_start(d, d->most, NULL);
    if (s == HONE_OK) return s;
    hone__decoder_destroy(d);
    *out = NULL;
    return s;
}

void hone__decoder_destroy(hone__decoder *d)
{
    if (!d) return;
    for (int i = 0; i < SIDES; i++) {
        hone__session_destroy(d->sides[i].session);
        hone__free(d->sides[i].in);
        hone__free(d->sides[i].list);
    }
    for (size_t i = 0; d->caches && i < d->cache_count; i++) hone__tensor_release(&d->caches[i]);
    hone__free(d->caches);
    hone__free(d->first);
    hone__free(d->positions);
    hone__free(d->spare);
    hone__plain_destroy(d->plain);
    hone__model_destroy(d->model);
    hone__free(d);
}

size_t hone__decoder_capacity(const hone__decoder *d) { return d->capacity; }
size_t hone__decoder_length(const hone__decoder *d) { return d->length; }

hone_status hone__decoder_attend(hone__decoder *d, const hone__tensor *caches, size_t count)
{
    size_t wanted = d->sides[LAST].kv.cross >= 0 ? d->cache_count : 0;
    if (count != wanted) return hone__fail(HONE_E_ARGUMENT, "%zu keys and values for a decoder of %zu", count, wanted);
    d->encoded = caches;
    return HONE_OK;
}

hone_status hone__decoder_start(hone__decoder *d, size_t batch, const int64_t *first)
{
    if (!batch || batch > d->most)
        return hone__fail(HONE_E_ARGUMENT, "%zu sequences, expected 1 to %zu", batch, d->most);
    d->batch = batch;
    d->length = 0;
    for (size_t b = 0; b < batch; b++) d->first[b] = first ? first[b] : 0;
    if (d->plain) hone__plain_start(d->plain, batch, first);
    return HONE_OK;
}

/* Padding counts as position 0. */
static hone_status set_positions(hone__decoder *d, size_t n)
{
    if (d->batch * n > d->positions_size) {
        int64_t *p = hone__realloc(d->positions, d->batch * n * sizeof *p);
        if (!p) return hone__out_of_memory(d->batch * n * sizeof *p);
        d->positions = p;
        d->positions_size = d->batch * n;
    }
    for (size_t b = 0; b < d->batch; b++)
        for (size_t i = 0; i < n; i++) {
            int64_t at = (int64_t)(d->length + i) - d->first[b];
            d->positions[b * n + i] = at > 0 ? at : 0;
        }
    return HONE_OK;
}

hone_status hone__decoder_run(hone__decoder *d, const int64_t *ids, size_t n, bool all, const float **scores,
                              size_t *vocab)
{
    side *s = &d->sides[all ? ALL : LAST];
    const int64_t batch = (int64_t)d->batch, rows[] = {batch, (int64_t)n}, one = 1;
    const hone__tensor *out;
    if (!n || n > d->capacity - d->length)
        return hone__fail(HONE_E_LIMIT, "%zu tokens behind %zu of at most %zu", n, d->length, d->capacity);
    if (d->plain) {
        HONE__TRY(hone__plain_run(d->plain, ids, n, all, scores, vocab));
        d->length += n;
        return HONE_OK;
    }
    if (!s->session) HONE__TRY(make_side(d, ALL));
    HONE__TRY(set_positions(d, n));
    d->before = (int64_t)d->length;
    hone__view(&s->in[s->kv.ids], HONE_I64, 2, rows, ids);
    if (s->kv.positions >= 0) hone__view(&s->in[s->kv.positions], HONE_I64, 2, rows, d->positions);
    hone__view(&s->in[s->kv.first], HONE_I64, 1, &batch, d->first);
    hone__view(&s->in[s->kv.before], HONE_I64, 1, &one, &d->before);
    for (size_t i = 0; i < d->cache_count; i++) {
        int64_t dims[4] = {batch, d->caches[i].dims[1], d->caches[i].dims[2], d->caches[i].dims[3]};
        hone__view(&s->in[(size_t)s->kv.caches + i], d->cache, 4, dims, d->caches[i].data);
    }
    size_t inputs = 2 * s->kv.layers + 3 + (s->kv.positions >= 0);
    if (s->kv.cross >= 0) {
        if (!d->encoded)
            return hone__fail(HONE_E_ARGUMENT,
                              "the decoder attends to what an encoder gives: a Whisper model is for hone transcribe");
        for (size_t i = 0; i < d->cache_count; i++) s->in[(size_t)s->kv.cross + i] = d->encoded[i];
        hone__view(&s->in[s->kv.seen], HONE_I64, 1, &one, &d->encoded[0].dims[2]);
        inputs += d->cache_count + 1;
    }
    HONE__TRY(hone__session_run(s->session, s->list, inputs, &out, 1));
    bool right = out->rank == 3 && out->dtype == HONE_F32 && out->dims[0] == batch;
    if (!right || out->dims[1] != (all ? (int64_t)n : 1) || out->dims[2] < 1)
        return hone__fail(HONE_E_UNSUPPORTED, "the scores are not float32 [batch, tokens, vocabulary]");
    if (d->vocab && out->dims[2] != d->vocab)
        return hone__fail(HONE_E_UNSUPPORTED, "scores of %lld tokens behind those of %lld", (long long)out->dims[2],
                          (long long)d->vocab);
    d->vocab = out->dims[2];
    d->length += n;
    *scores = out->data;
    *vocab = (size_t)out->dims[2];
    return HONE_OK;
}

void hone__decoder_rewind(hone__decoder *d, size_t length)
{
    if (length < d->length) d->length = length;
    if (d->plain) hone__plain_rewind(d->plain, length);
}

hone_status hone__decoder_spread(hone__decoder *d, size_t batch)
{
    if (d->batch != 1 || !batch || batch > d->most)
        return hone__fail(HONE_E_ARGUMENT, "%zu sequences from %zu, expected 1 to %zu from 1", batch, d->batch,
                          d->most);
    if (d->plain) HONE__TRY(hone__plain_spread(d->plain, batch));
    for (size_t i = 0; i < d->cache_count; i++) {
        hone__tensor *t = &d->caches[i];
        size_t size = hone__dtype_size(d->cache) * (size_t)t->dims[3], head = (size_t)t->dims[2] * size;
        char *first = hone__tensor_write(t), *to = first + (size_t)t->dims[1] * head;
        for (size_t b = 1; b < batch; b++)
            for (size_t h = 0; h < (size_t)t->dims[1]; h++, to += head) memcpy(to, first + h * head, d->length * size);
    }
    for (size_t b = 1; b < batch; b++) d->first[b] = d->first[0];
    d->batch = batch;
    return HONE_OK;
}

static bool is_moved(const int32_t *from, size_t batch)
{
    for (size_t b = 0; b < batch; b++)
        if ((size_t)from[b] != b) return true;
    return false;
}

hone_status hone__decoder_reorder(hone__decoder *d, const int32_t *from)
{
    if (!is_moved(from, d->batch) || !d->length) return HONE_OK;
    if (d->plain) return hone__plain_reorder(d->plain, from);
    for (size_t i = 0; i < d->cache_count; i++) {
        hone__tensor *t = &d->caches[i];
        size_t size = hone__dtype_size(d->cache) * (size_t)t->dims[3], used = d->length * size;
        size_t head = (size_t)t->dims[2] * size, whole = (size_t)t->dims[1] * head;
        if (d->spare_size < d->batch * used) {
            char *spare = hone__realloc(d->spare, d->most * head);
            if (!spare) return hone__out_of_memory(d->most * head);
            d->spare = spare;
            d->spare_size = d->most * head;
        }
        for (char *rows = hone__tensor_write(t), *end = rows + whole; rows < end; rows += head) {
            for (size_t b = 0; b < d->batch; b++) memcpy(d->spare + b * used, rows + (size_t)from[b] * whole, used);
            for (size_t b = 0; b < d->batch; b++) memcpy(rows + b * whole, d->spare + b * used, used);
        }
    }
    return HONE_OK;
}
