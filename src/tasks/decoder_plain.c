/* decoder_plain.c: see decoder_plain.h. A sequence's keys and values are counted tensors that are never written to:
 * beams share them. */
#include "decoder_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"

enum { LAYERS_MAX = 4096 };

/* One input of keys and values, and the output that it comes back as. */
typedef struct cache {
    int input, output, axis; /* axis: of tokens */
    hone_dtype dtype;
    int rank;
    int64_t dims[HONE_MAX_RANK]; /* of no token, for one sequence */
} cache;

typedef struct sequence {
    hone__tensor *kept; /* [caches] */
    int64_t *ids;       /* without caches: the text so far */
    size_t count, room; /* count: of tokens that are no padding */
    int64_t first;
} sequence;

struct hone__plain {
    hone__session *session;
    const hone__graph *graph; /* of the model, which outlives this */
    int ids, mask, positions, branch, logits;
    cache *caches;
    size_t cache_count, most, batch, length;
    bool single;    /* over a past, one token at a time */
    sequence *seqs; /* [most] */
    hone__tensor *in;
    const hone__tensor **list, **out;
    int64_t *row; /* [room]: a row of the mask, of places, or of ids; grows */
    size_t room;
    float *scores; /* [batch, rows, vocab] */
    size_t scores_size, vocab;
};

static hone_status not_one(const char *what, const char *name)
{
    return hone__fail(HONE_E_UNSUPPORTED, "no language model to generate text with: %s '%s'", what, name);
}

static int named(hone__value *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(list[i]->name, name)) return (int)i;
    return -1;
}

static bool after(const char *name, const char *begin, const char **rest)
{
    size_t n = strlen(begin);
    *rest = name + n;
    return !strncmp(name, begin, n);
}

/* The output that keys and values of an input come back as; -1: none. */
static int present_of(const hone__graph *g, const char *rest, bool joined)
{
    static const char *const begins[] = {"present.", "present_key_values."};
    char name[256];
    for (int i = 0; i < 2; i++) {
        if ((size_t)snprintf(name, sizeof name, "%s%s", joined ? "present_" : begins[i], rest) >= sizeof name)
            return -1;
        int at = named(g->outputs, g->output_count, name);
        if (at >= 0) return at;
    }
    return -1;
}

/* Input i as keys and values; false: it is none. */
static bool read_cache(const hone__graph *g, int i, cache *c)
{
    const hone__value *v = g->inputs[i];
    const char *rest;
    bool joined = v->shape.rank == 5;
    if (!after(v->name, joined ? "past_" : "past_key_values.", &rest) || v->wrap) return false;
    int batch = joined ? 1 : 0;
    *c = (cache){i, present_of(g, rest, joined), joined ? 3 : 2, v->dtype, v->shape.rank, {0}};
    if (c->output < 0 || (c->rank != 4 && c->rank != 5) || !hone__dtype_size(v->dtype)) return false;
    const hone__shape *out = &g->outputs[c->output]->shape;
    for (int k = 0; k < c->rank; k++) {
        int64_t known = v->shape.dims[k] < 0 && out->rank == c->rank ? out->dims[k] : v->shape.dims[k];
        c->dims[k] = k == batch ? 1 : k == c->axis ? 0 : known;
        if (c->dims[k] < 0 || (c->dims[k] < 1 && k != c->axis)) return false; /* heads of unknown number or size */
    }
    return true;
}

static bool is_row(const hone__value *v)
{
    return v->shape.rank == 2 && !v->wrap && (v->dtype == HONE_I64 || v->dtype == HONE_I32);
}

static hone_status find_values(hone__plain *p)
{
    const hone__graph *g = p->graph;
    p->ids = named(g->inputs, g->input_count, "input_ids");
    p->mask = named(g->inputs, g->input_count, "attention_mask");
    p->positions = named(g->inputs, g->input_count, "position_ids");
    p->branch = named(g->inputs, g->input_count, "use_cache_branch");
    p->logits = named(g->outputs, g->output_count, "logits");
    if (p->ids < 0) return not_one("there is no input", "input_ids");
    if (p->logits < 0) return not_one("there is no output", "logits");
    for (int i = 0; i < (int)g->input_count; i++) {
        const hone__value *v = g->inputs[i];
        bool known = i == p->ids || i == p->mask || i == p->positions;
        if (known && !is_row(v)) return not_one("not of int64 [batch, tokens]: input", v->name);
        if (i == p->branch && (v->dtype != HONE_BOOL || v->shape.rank > 1))
            return not_one("not of bool: input", v->name);
        if (known || i == p->branch) continue;
        if (p->cache_count == LAYERS_MAX || !read_cache(g, i, &p->caches[p->cache_count]))
            return not_one("nothing to give as input", v->name);
        p->cache_count++;
    }
    return HONE_OK;
}

static hone_status check_memory(const hone__plain *p, const hone__decoder_options *o)
{
    size_t total = 0, limit = o->session.max_memory, count, bytes;
    for (size_t i = 0; limit && i < p->cache_count; i++) {
        cache c = p->caches[i];
        c.dims[c.axis] = (int64_t)o->capacity;
        HONE__TRY(hone__shape_bytes(c.dtype, c.rank, c.dims, &count, &bytes));
        if (!hone__mul_size(bytes, p->most, &bytes) || !hone__add_size(total, bytes, &total) || total > limit)
            return hone__fail(HONE_E_LIMIT,
                              "keys and values of %zu sequences of %zu tokens pass the limit of %zu bytes", p->most,
                              o->capacity, limit);
    }
    return HONE_OK;
}

static hone_status make(hone__plain *p, const hone__model *model, const hone__decoder_options *o)
{
    const char *step = hone__model_metadata(model, HONE__KEY_STEP);
    p->graph = model->graph;
    size_t inputs = p->graph->input_count;
    p->caches = hone__calloc(inputs + 1, sizeof *p->caches);
    p->in = hone__calloc(inputs + 1, sizeof *p->in);
    p->list = hone__calloc(inputs + 1, sizeof *p->list);
    p->out = hone__calloc(p->graph->output_count + 1, sizeof *p->out);
    p->seqs = hone__calloc(p->most, sizeof *p->seqs);
    if (!p->caches || !p->in || !p->list || !p->out || !p->seqs) return hone__out_of_memory(inputs * sizeof *p->in);
    for (size_t i = 0; i < inputs; i++) p->list[i] = &p->in[i];
    HONE__TRY(find_values(p));
    HONE__TRY(check_memory(p, o));
    HONE__TRY(hone__session_create(model, &o->session, &p->session));
    p->single = p->branch >= 0 || (step && !strcmp(step, "1"));
    for (size_t b = 0; p->cache_count && b < p->most; b++) {
        p->seqs[b].kept = hone__calloc(p->cache_count, sizeof *p->seqs[b].kept);
        if (!p->seqs[b].kept) return hone__out_of_memory(p->cache_count * sizeof(hone__tensor));
    }
    return HONE_OK;
}

hone_status hone__plain_create(const hone__model *model, const hone__decoder_options *o, hone__plain **out)
{
    hone__plain *p = *out = hone__calloc(1, sizeof *p);
    if (!p) return hone__out_of_memory(sizeof *p);
    p->most = o->batch ? o->batch : 1;
    hone_status s = make(p, model, o);
    if (s == HONE_OK) return s;
    hone__plain_destroy(p);
    *out = NULL;
    return s;
}

static void forget(const hone__plain *p, sequence *s)
{
    for (size_t i = 0; s->kept && i < p->cache_count; i++) hone__tensor_release(&s->kept[i]);
    s->count = 0;
}

void hone__plain_destroy(hone__plain *p)
{
    if (!p) return;
    for (size_t b = 0; p->seqs && b < p->most; b++) {
        forget(p, &p->seqs[b]);
        hone__free(p->seqs[b].kept);
        hone__free(p->seqs[b].ids);
    }
    hone__session_destroy(p->session);
    hone__free(p->seqs);
    hone__free(p->caches);
    hone__free(p->in);
    hone__free((void *)p->list);
    hone__free((void *)p->out);
    hone__free(p->row);
    hone__free(p->scores);
    hone__free(p);
}

void hone__plain_start(hone__plain *p, size_t batch, const int64_t *first)
{
    p->batch = batch;
    p->length = 0;
    for (size_t b = 0; b < p->most; b++) forget(p, &p->seqs[b]);
    for (size_t b = 0; b < batch; b++) p->seqs[b].first = first ? first[b] : 0;
}

/* Rows of tokens [0, count) of keys and values that hold more. */
static hone_status trim(const cache *c, hone__tensor *t, size_t count)
{
    hone__tensor less;
    int64_t dims[HONE_MAX_RANK];
    if (!t->blob || (size_t)t->dims[c->axis] == count) return HONE_OK;
    memcpy(dims, c->dims, sizeof dims);
    dims[c->axis] = (int64_t)count;
    HONE__TRY(hone__tensor_new(c->dtype, c->rank, dims, &less));
    size_t row = hone__dtype_size(c->dtype) * (size_t)dims[c->rank - 1], from = row * (size_t)t->dims[c->axis];
    size_t heads = less.bytes && count ? less.bytes / (row * count) : 0;
    char *to = hone__tensor_write(&less);
    for (size_t h = 0; h < heads; h++) memcpy(to + h * row * count, (const char *)t->data + h * from, row * count);
    hone__tensor_release(t);
    *t = less;
    return HONE_OK;
}

/* Room for n numbers; they lie in p->row. */
static hone_status make_room(hone__plain *p, size_t n)
{
    if (n <= p->room) return HONE_OK;
    int64_t *row = hone__realloc(p->row, 2 * n * sizeof *row);
    if (!row) return hone__out_of_memory(2 * n * sizeof *row);
    p->row = row;
    p->room = 2 * n;
    return HONE_OK;
}

/* Input i, [1, n], of the numbers in v, as the model's type. */
static hone_status give_row(hone__plain *p, int i, const int64_t *v, size_t n)
{
    hone__tensor *t = &p->in[i];
    HONE__TRY(hone__tensor_new(p->graph->inputs[i]->dtype, 2, (int64_t[]){1, (int64_t)n}, t));
    for (size_t k = 0; k < n; k++) hone__element_set_i64(t->dtype, hone__tensor_write(t), k, v[k]);
    return HONE_OK;
}

/* n tokens behind `before` of them that the caches hold. */
static hone_status give_inputs(hone__plain *p, const sequence *s, const int64_t *ids, size_t n, size_t before)
{
    HONE__TRY(give_row(p, p->ids, ids, n));
    HONE__TRY(make_room(p, before + n));
    for (size_t i = 0; i < before + n; i++) p->row[i] = 1;
    if (p->mask >= 0) HONE__TRY(give_row(p, p->mask, p->row, before + n));
    for (size_t i = 0; i < n; i++) p->row[i] = (int64_t)(before + i);
    if (p->positions >= 0) HONE__TRY(give_row(p, p->positions, p->row, n));
    if (p->branch >= 0) {
        int rank = p->graph->inputs[p->branch]->shape.rank;
        HONE__TRY(hone__tensor_new(HONE_BOOL, rank < 0 ? 1 : rank, (int64_t[]){1}, &p->in[p->branch]));
        *(uint8_t *)hone__tensor_write(&p->in[p->branch]) = before > 0;
    }
    for (size_t i = 0; i < p->cache_count; i++) {
        const cache *c = &p->caches[i];
        if (s->kept[i].blob) {
            p->in[c->input] = s->kept[i];
            hone__blob_ref(s->kept[i].blob);
        } else
            HONE__TRY(hone__tensor_new(c->dtype, c->rank, c->dims, &p->in[c->input]));
    }
    return HONE_OK;
}

/* What came out as keys and values, kept. */
static hone_status keep(hone__plain *p, sequence *s, size_t count)
{
    for (size_t i = 0; i < p->cache_count; i++) {
        const cache *c = &p->caches[i];
        const hone__tensor *t = p->out[c->output];
        bool right = t->kind == HONE_KIND_TENSOR && t->dtype == c->dtype && t->rank == c->rank;
        for (int k = 0; right && k < c->rank; k++) right = t->dims[k] == (k == c->axis ? (int64_t)count : c->dims[k]);
        if (!right)
            return hone__fail(HONE_E_UNSUPPORTED, "'%s' does not hold the %zu tokens so far",
                              p->graph->outputs[c->output]->name, count);
        hone__tensor copy;
        HONE__TRY(hone__tensor_new(t->dtype, t->rank, t->dims, &copy));
        memcpy(hone__tensor_write(&copy), t->data, t->bytes);
        hone__tensor_release(&s->kept[i]);
        s->kept[i] = copy;
    }
    s->count = count;
    return HONE_OK;
}

static hone_status make_scores(hone__plain *p, size_t rows)
{
    size_t size;
    if (!hone__mul_size(rows, p->vocab, &size) || !hone__mul_size(size, sizeof *p->scores, &size))
        return hone__fail(HONE_E_LIMIT, "scores of %zu tokens for %zu", p->vocab, rows);
    if (size <= p->scores_size) return HONE_OK;
    float *grown = hone__realloc(p->scores, size);
    if (!grown) return hone__out_of_memory(size);
    p->scores = grown;
    p->scores_size = size;
    return HONE_OK;
}

/* The last `rows` rows of the scores, as float32. */
static hone_status take_scores(hone__plain *p, size_t rows, size_t at)
{
    const hone__tensor *t = p->out[p->logits];
    if (t->kind != HONE_KIND_TENSOR || t->rank != 3 || t->dims[0] != 1 || t->dims[2] < 1 ||
        !hone__dtype_is_float(t->dtype) || hone__dtype_size(t->dtype) < 2)
        return hone__fail(HONE_E_UNSUPPORTED, "the scores are not of float [batch, tokens, vocabulary]");
    size_t given = (size_t)t->dims[1], vocab = (size_t)t->dims[2];
    if (given < rows) return hone__fail(HONE_E_UNSUPPORTED, "the model gives scores of %zu of %zu tokens", given, rows);
    if (p->vocab && p->vocab != vocab)
        return hone__fail(HONE_E_UNSUPPORTED, "scores of %zu tokens behind those of %zu", vocab, p->vocab);
    p->vocab = vocab;
    HONE__TRY(make_scores(p, at + rows));
    float *to = p->scores + at * vocab;
    for (size_t i = 0; i < rows * vocab; i++)
        to[i] = (float)hone__element_f64(t->dtype, t->data, (given - rows) * vocab + i);
    return HONE_OK;
}

/* One run of n tokens; scores of the last `rows` of them go to row `at`. */
static hone_status run_once(hone__plain *p, sequence *s, const int64_t *ids, size_t n, size_t rows, size_t at)
{
    size_t inputs = p->graph->input_count, before = p->cache_count ? s->count : 0;
    hone_status status = give_inputs(p, s, ids, n, before);
    if (status == HONE_OK) status = hone__session_run(p->session, p->list, inputs, p->out, p->graph->output_count);
    if (status == HONE_OK && p->cache_count) status = keep(p, s, before + n);
    if (status == HONE_OK && rows) status = take_scores(p, rows, at);
    for (size_t i = 0; i < inputs; i++) hone__tensor_release(&p->in[i]);
    return status;
}

/* The text so far, and n tokens more, run as a whole. */
static hone_status run_again(hone__plain *p, sequence *s, const int64_t *ids, size_t n, size_t rows, size_t at)
{
    if (s->count + n > s->room) {
        int64_t *grown = hone__realloc(s->ids, 2 * (s->count + n) * sizeof *grown);
        if (!grown) return hone__out_of_memory(2 * (s->count + n) * sizeof *grown);
        s->ids = grown;
        s->room = 2 * (s->count + n);
    }
    memcpy(s->ids + s->count, ids, n * sizeof *ids);
    HONE__TRY(run_once(p, s, s->ids, s->count + n, rows, at));
    s->count += n;
    return HONE_OK;
}

static hone_status run_sequence(hone__plain *p, sequence *s, const int64_t *ids, size_t n, size_t rows, size_t at)
{
    for (size_t i = 0; i < p->cache_count; i++) HONE__TRY(trim(&p->caches[i], &s->kept[i], s->count));
    if (!p->cache_count) return run_again(p, s, ids, n, rows, at);
    if (!p->single || (p->branch >= 0 && !s->count)) return run_once(p, s, ids, n, rows, at);
    for (size_t i = 0; i < n; i++) {
        size_t wanted = i + rows >= n;
        HONE__TRY(run_once(p, s, ids + i, 1, wanted, at + (wanted ? i + rows - n : 0)));
    }
    return HONE_OK;
}

/* How many of n tokens are padding. */
static size_t padding(const hone__plain *p, const sequence *s, size_t n)
{
    size_t first = s->first > 0 ? (size_t)s->first : 0, skip = first > p->length ? first - p->length : 0;
    return skip < n ? skip : n;
}

hone_status hone__plain_run(hone__plain *p, const int64_t *ids, size_t n, bool all, const float **scores, size_t *vocab)
{
    size_t rows = all ? n : 1;
    for (size_t b = 0; b < p->batch; b++) {
        size_t skip = padding(p, &p->seqs[b], n), real = n - skip, wanted = real < rows ? real : rows;
        if (real) HONE__TRY(run_sequence(p, &p->seqs[b], ids + b * n + skip, real, wanted, (b + 1) * rows - wanted));
    }
    if (!p->vocab) return hone__fail(HONE_E_ARGUMENT, "no sequence has a token yet");
    HONE__TRY(make_scores(p, p->batch * rows));
    for (size_t b = 0; b < p->batch; b++) {
        size_t real = n - padding(p, &p->seqs[b], n), none = real < rows ? rows - real : 0;
        memset(p->scores + b * rows * p->vocab, 0, none * p->vocab * sizeof *p->scores);
    }
    p->length += n;
    *scores = p->scores;
    *vocab = p->vocab;
    return HONE_OK;
}

void hone__plain_rewind(hone__plain *p, size_t length)
{
    if (length >= p->length) return;
    p->length = length;
    for (size_t b = 0; b < p->batch; b++) {
        sequence *s = &p->seqs[b];
        size_t first = s->first > 0 ? (size_t)s->first : 0, count = length > first ? length - first : 0;
        if (count < s->count) s->count = count; /* the next run cuts what is kept */
    }
}

/* `to`, which holds nothing, as `from`. */
static hone_status share(const hone__plain *p, const sequence *from, sequence *to)
{
    to->first = from->first;
    to->count = from->count;
    for (size_t i = 0; i < p->cache_count; i++) {
        to->kept[i] = from->kept[i];
        if (to->kept[i].blob) hone__blob_ref(to->kept[i].blob);
    }
    if (p->cache_count || !from->count) return HONE_OK;
    to->ids = hone__malloc(from->count * sizeof *to->ids);
    if (!to->ids) return hone__out_of_memory(from->count * sizeof *to->ids);
    memcpy(to->ids, from->ids, from->count * sizeof *to->ids);
    to->room = from->count;
    return HONE_OK;
}

/* Sequence b becomes one like from[b], for `batch` of them. */
static hone_status become(hone__plain *p, const int32_t *from, size_t batch)
{
    sequence *next = hone__calloc(batch, sizeof *next);
    hone_status s = next ? HONE_OK : hone__out_of_memory(batch * sizeof *next);
    for (size_t b = 0; s == HONE_OK && b < batch; b++) {
        if (p->cache_count) next[b].kept = hone__calloc(p->cache_count, sizeof *next[b].kept);
        s = p->cache_count && !next[b].kept ? hone__out_of_memory(p->cache_count * sizeof(hone__tensor))
                                            : share(p, &p->seqs[from[b]], &next[b]);
    }
    for (size_t b = 0; next && b < batch; b++) {
        sequence old = s == HONE_OK ? p->seqs[b] : next[b];
        if (s == HONE_OK) p->seqs[b] = next[b];
        forget(p, &old);
        hone__free(old.kept);
        hone__free(old.ids);
    }
    hone__free(next);
    if (s == HONE_OK) p->batch = batch;
    return s;
}

hone_status hone__plain_reorder(hone__plain *p, const int32_t *from) { return become(p, from, p->batch); }

hone_status hone__plain_spread(hone__plain *p, size_t batch)
{
    int32_t *from = hone__calloc(batch, sizeof *from);
    if (!from) return hone__out_of_memory(batch * sizeof *from);
    hone_status s = become(p, from, batch);
    hone__free(from);
    return s;
}
