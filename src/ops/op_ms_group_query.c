/* op_ms_group_query.c: com.microsoft's GroupQueryAttention: every sequence has its own length, keys and values are
 * appended to a buffer that may be longer than what it holds, several heads share one of keys. The buffer may be in 8
 * or 4 bits, or hold a window of the newest keys only. SparseAttention is the same over blocks of keys per block of
 * queries. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "attention.h"
#include "kernels/norm/norm.h"
#include "widen.h"

enum {
    Q = 0,
    K,
    V,
    PAST_K,
    PAST_V,
    LENGTHS,
    TOTAL,
    COS,
    SIN,
    POSITIONS,
    BIAS,
    SINK,
    K_SCALE,
    V_SCALE,
    Q_NORM,
    K_NORM,
    /* SparseAttention's, behind those of GroupQueryAttention */
    BLOCK_ROWS,
    BLOCK_COLS,
    INPUTS
};

typedef struct sizes {
    bool packed; /* keys and values behind the query's heads */
    int64_t batch, rows, heads, groups, size, room;
    int bits;     /* of a quantised cache: 8 or 4; 0: floats */
    bool sliding; /* the cache holds a window */
} sizes;

static const hone__tensor *input(const hone__tensor *const *in, int count, int i) { return i < count ? in[i] : NULL; }

/* How the cache is kept. */
static hone_status read_cache(const hone__infer *x, sizes *s)
{
    static const char *const words[] = {"k_quant_type", "v_quant_type"};
    int64_t bits = hone__node_int(x->node, "kv_cache_bit_width", 8),
            window = hone__node_int(x->node, "local_window_size", -1);
    int quantised = 0;
    for (int i = 0; i < 2; i++) {
        const char *kind = hone__node_string(x->node, words[i], "NONE");
        if (!strcmp(kind, "NONE")) continue;
        if (strcmp(kind, "PER_TENSOR") && strcmp(kind, "PER_CHANNEL"))
            return hone__fail(HONE_E_UNSUPPORTED, "%s '%.20s'", words[i], kind);
        quantised++;
        if (!hone__has_input(x, K_SCALE + i)) return hone__fail(HONE_E_SHAPE, "input %d is missing", K_SCALE + i);
    }
    if (quantised == 1) return hone__fail(HONE_E_UNSUPPORTED, "only keys or only values quantised");
    if (quantised && bits != 8 && bits != 4)
        return hone__fail(HONE_E_UNSUPPORTED, "kv_cache_bit_width %lld", (long long)bits);
    s->bits = quantised ? (int)bits : 0;
    if (s->bits == 4 && s->size >= 0 && s->size % 2)
        return hone__fail(HONE_E_SHAPE, "heads of %lld values in 4 bits", (long long)s->size);
    hone_dtype stored = s->bits == 4 ? HONE_U8 : HONE_I8;
    for (int i = PAST_K; i <= PAST_V && hone__has_input(x, i); i++) {
        hone_dtype d = x->in[i].dtype;
        if (d && (s->bits ? d != stored : !hone__dtype_is_float(d)))
            return hone__fail(HONE_E_SHAPE, "input %d is %s", i, hone_dtype_name(d));
    }
    s->sliding = hone__node_int(x->node, "sliding_window_cache", 0) != 0;
    if (s->sliding && (window < 1 || !hone__has_input(x, PAST_K)))
        return hone__fail(HONE_E_SHAPE, "a sliding cache without local_window_size or past_key");
    return HONE_OK;
}

static hone_status read_sizes(const hone__infer *x, sizes *s)
{
    const hone__shape *q = &x->in[Q].shape;
    *s = (sizes){.heads = hone__node_int(x->node, "num_heads", 0),
                 .groups = hone__node_int(x->node, "kv_num_heads", 0),
                 .packed = !hone__has_input(x, K)};
    if (s->heads < 1 || s->groups < 1 || s->heads > INT32_MAX || s->heads % s->groups)
        return hone__fail(HONE_E_SHAPE, "%lld heads in groups of %lld", (long long)s->heads, (long long)s->groups);
    if (hone__has_input(x, V) == s->packed) return hone__fail(HONE_E_SHAPE, "key and value go together");
    if (hone__has_input(x, PAST_V) != hone__has_input(x, PAST_K))
        return hone__fail(HONE_E_SHAPE, "past_key and past_value go together");
    HONE__TRY(hone__infer_rank(x, Q, 3));
    int64_t parts = s->packed ? s->heads + 2 * s->groups : s->heads, width = q->dims[2];
    if (width >= 0 && width % parts)
        return hone__fail(HONE_E_SHAPE, "%lld values in %lld heads", (long long)width, (long long)parts);
    s->batch = q->dims[0], s->rows = q->dims[1], s->size = width < 0 ? -1 : width / parts;
    for (int i = K; i <= V && !s->packed; i++) {
        const hone__shape *k = &x->in[i].shape;
        if (k->rank < 0) continue;
        HONE__TRY(hone__infer_rank(x, i, 3));
        if (!hone__dims_agree(k->dims[0], s->batch) || !hone__dims_agree(k->dims[1], s->rows) ||
            (s->size >= 0 && !hone__dims_agree(k->dims[2], s->groups * s->size)))
            return hone__fail(HONE_E_SHAPE, "input %d does not fit the query", i);
    }
    HONE__TRY(read_cache(x, s));
    int64_t stored = s->bits == 4 && s->size > 0 ? s->size / 2 : s->size;
    for (int i = PAST_K; i <= PAST_V && hone__has_input(x, i); i++) {
        const hone__shape *k = &x->in[i].shape;
        s->room = -1;
        if (k->rank < 0) return HONE_OK;
        HONE__TRY(hone__infer_rank(x, i, 4));
        if (!hone__dims_agree(k->dims[0], s->batch) || !hone__dims_agree(k->dims[1], s->groups) ||
            !hone__dims_agree(k->dims[3], stored) ||
            !hone__dims_agree(k->dims[2], x->in[PAST_K].shape.rank == 4 ? x->in[PAST_K].shape.dims[2] : -1))
            return hone__fail(HONE_E_SHAPE, "input %d does not fit", i);
        s->room = k->dims[2];
    }
    return HONE_OK;
}

static hone_status infer_group(hone__infer *x)
{
    sizes s;
    int64_t total;
    int count;
    HONE__TRY(hone__infer_arity(x, 1, 16));
    HONE__TRY(hone__infer_float(x, Q));
    if (!hone__has_input(x, LENGTHS) || !hone__has_input(x, TOTAL))
        return hone__fail(HONE_E_SHAPE, "seqlens_k or total_sequence_length is missing");
    if (hone__node_int(x->node, "qk_output", 0) < 0 || hone__node_int(x->node, "qk_output", 0) > 2)
        return hone__fail(HONE_E_UNSUPPORTED, "qk_output %lld", (long long)hone__node_int(x->node, "qk_output", 0));
    for (int i = 0; i < x->output_count && i < 4; i += 3) x->out[i].dtype = x->in[Q].dtype;
    if (x->in[Q].shape.rank < 0) return HONE_OK;
    HONE__TRY(read_sizes(x, &s));
    HONE__TRY(hone__infer_ints(x, TOTAL, &total, 1, &count));
    if (count == 1 && (total < 0 || total > INT32_MAX))
        return hone__fail(HONE_E_ARGUMENT, "total_sequence_length is %lld", (long long)total);
    int64_t room = s.sliding ? s.room : count != 1 || s.room < 0 ? -1 : total > s.room ? total : s.room;
    if (s.sliding && s.room >= 0 && s.room < hone__node_int(x->node, "local_window_size", -1))
        return hone__fail(HONE_E_SHAPE, "a sliding cache of %lld rows is below local_window_size", (long long)s.room);
    hone_dtype d = x->in[Q].dtype, kept = !s.bits ? d : s.bits == 8 ? HONE_I8 : HONE_U8;
    hone__infer_set(x, 0, d, 3, (int64_t[]){s.batch, s.rows, s.size < 0 ? -1 : s.heads * s.size});
    int64_t stored = s.bits == 4 && s.size >= 0 ? s.size / 2 : s.size;
    for (int i = 1; i <= 2; i++) hone__infer_set(x, i, kept, 4, (int64_t[]){s.batch, s.groups, room, stored});
    hone__infer_set(x, 3, d, 4, (int64_t[]){s.batch, s.heads, s.rows, count == 1 ? total : -1});
    return HONE_OK;
}

typedef struct plan {
    sizes s;
    hone__attention a; /* of one sequence; keys: the buffer's rows */
    size_t half;       /* pairs of values that are turned; 0: none */
    bool interleaved;
    bool staged;   /* keys and values lie in floats beside the cache */
    int64_t block; /* of SparseAttention's layout; 0: every key */
    size_t q_at, k_at, v_at, scores_at, sink_at, mask_at, work_at;
} plan;

static size_t floats(size_t count) { return count * sizeof(float) / 64 * 64 + 64; }

static void plan_attention(plan *q, const hone__node *n, size_t room)
{
    const sizes *s = &q->s;
    size_t size = (size_t)s->size, heads = (size_t)s->heads, groups = (size_t)s->groups;
    int64_t window = hone__node_int(n, "local_window_size", -1);
    q->a = (hone__attention){.batch = 1,
                             .heads = heads,
                             .kv_heads = groups,
                             .queries = (size_t)s->rows,
                             .keys = room,
                             .size = size,
                             .v_size = size,
                             .left = window > 0 ? window - 1 : -1,
                             .right = -1,
                             .causal = hone__node_int(n, "causal", 1) != 0,
                             .masked = -INFINITY,
                             .softcap = hone__node_float(n, "softcap", 0),
                             .scores_mode = hone__node_int(n, "qk_output", 0) == 1 ? 2 : 3};
    q->a.scale = hone__node_float(n, "scale", 0);
    if (q->a.scale == 0) q->a.scale = (float)(1 / sqrt((double)size));
    q->a.q = hone__heads_of(NULL, true, heads, q->a.queries, size);
    q->a.k = q->a.v = hone__heads_of(NULL, false, groups, room, size);
    q->a.y_b = q->a.q.b, q->a.y_h = q->a.q.h, q->a.y_r = q->a.q.r;
}

static hone_status prepare_group(hone__prepare *p)
{
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    hone__type types[INPUTS];
    if (!q) return hone__out_of_memory(sizeof *q);
    hone__types_of(p->in, p->input_count, types);
    hone__infer x = {p->node, p->input_count, 0, types, NULL, NULL, 0};
    HONE__TRY(read_sizes(&x, &q->s));
    const hone__tensor *cosine = input(p->in, p->input_count, COS), *sine = input(p->in, p->input_count, SIN);
    const sizes *s = &q->s;
    size_t room = p->output_count > 1 && p->out[1]   ? (size_t)p->out[1]->dims[2]
                  : p->output_count > 2 && p->out[2] ? (size_t)p->out[2]->dims[2]
                                                     : 0;
    if (!room && p->out[0]->count)
        return hone__fail(HONE_E_UNSUPPORTED, "neither present_key nor present_value is wanted");
    q->staged = s->bits || s->sliding;
    if (s->sliding) room += (size_t)s->rows;
    plan_attention(q, p->node, room);
    if (hone__node_int(p->node, "do_rotary", 0)) {
        if (!cosine || !sine || cosine->rank != 2 || sine->rank != 2 || sine->dims[1] != cosine->dims[1] ||
            sine->dims[0] != cosine->dims[0] || 2 * cosine->dims[1] > s->size)
            return hone__fail(HONE_E_SHAPE, "cos_cache or sin_cache does not fit");
        q->half = (size_t)cosine->dims[1];
        q->interleaved = hone__node_int(p->node, "rotary_interleaved", 0) != 0;
    }
    const hone__attention *a = &q->a;
    size_t rows = (size_t)s->groups * room * a->size;
    q->k_at = floats(a->heads * a->queries * a->size);
    q->v_at = q->k_at + floats(rows);
    q->scores_at = q->v_at + floats(rows);
    q->sink_at = q->scores_at + (p->output_count > 3 && p->out[3] ? floats(a->heads * a->queries * room) : 0);
    q->mask_at = q->sink_at + floats(a->heads);
    if (input(p->in, p->input_count, BLOCK_ROWS)) q->block = hone__node_int(p->node, "sparse_block_size", 0);
    q->work_at = q->mask_at + (q->block ? (a->heads * a->queries * room) / 64 * 64 + 64 : 0);
    HONE__TRY(hone__attention_scratch_upto(a, p->threads, &p->scratch));
    p->scratch += q->work_at;
    p->state = q;
    return HONE_OK;
}

/* One sequence of a run. */
typedef struct job {
    const plan *q;
    const hone__run *r;
    size_t b, past, total; /* keys before the new ones, keys with them: of the sequence so far */
    size_t gone;           /* how many of them left a sliding cache before */
    size_t room;
} job;

/* The new rows of queries (0), keys or values of sequence b. */
static hone__heads fresh(const job *j, int which)
{
    const sizes *s = &j->q->s;
    size_t size = (size_t)s->size, heads = (size_t)s->heads, groups = (size_t)s->groups, rows = (size_t)s->rows;
    size_t width = s->packed ? (heads + 2 * groups) * size : (which ? groups : heads) * size;
    const float *data = j->r->in[s->packed ? Q : which]->data;
    if (s->packed && which) data += (heads + (which == V ? groups : 0)) * size;
    return (hone__heads){data + j->b * rows * width, 0, size, width};
}

static hone_status position_of(const job *j, size_t row, size_t *at)
{
    const hone__tensor *given = input(j->r->in, j->r->input_count, POSITIONS);
    int64_t rows = j->q->s.rows,
            k = given ? hone__tensor_i64(given, j->b * (size_t)rows + row) : (int64_t)(j->past + row);
    if (k < 0 || k >= j->r->in[COS]->dims[0])
        return hone__fail(HONE_E_ARGUMENT, "position %lld of %lld", (long long)k, (long long)j->r->in[COS]->dims[0]);
    *at = (size_t)k;
    return HONE_OK;
}

/* Rows of queries or keys, normalised and turned, to `to` with these strides. */
static hone_status turn(const job *j, int which, float *to, size_t head_step, size_t row_step)
{
    const plan *q = j->q;
    const hone__tensor *norm = which == V ? NULL : input(j->r->in, j->r->input_count, which == Q ? Q_NORM : K_NORM);
    size_t size = q->a.size, heads = which ? q->a.kv_heads : q->a.heads, at = 0;
    float eps = hone__node_float(j->r->node, "qk_norm_epsilon", 1e-6f);
    hone__heads from = fresh(j, which);
    if (norm && norm->count != size)
        return hone__fail(HONE_E_SHAPE, "a norm of %zu weights for heads of %zu", norm->count, size);
    for (size_t i = 0; i < (size_t)q->s.rows; i++) {
        if (q->half && which != V) HONE__TRY(position_of(j, i, &at));
        for (size_t h = 0; h < heads; h++) {
            float *y = to + h * head_step + i * row_step;
            memcpy(y, from.data + h * from.h + i * from.r, size * sizeof *y);
            if (norm) hone__rms_norm_f32(y, y, 1, size, eps, norm->data, NULL, NULL);
            if (!q->half || which == V) continue;
            const float *c = j->r->in[COS]->data, *s = j->r->in[SIN]->data;
            hone__rotate(y, c + at * q->half, s + at * q->half, y, size, q->half, q->interleaved);
        }
    }
    return HONE_OK;
}

/* The scale of value k of a group's keys or values. */
static float scale_of(const job *j, int which, size_t group, size_t k)
{
    const hone__tensor *t = j->r->in[which == K ? K_SCALE : V_SCALE];
    return ((const float *)t->data)[t->count == 1 ? 0 : group * j->q->a.size + k];
}

/* A row from 8 or 4 bits, and into them. */
static void unpack_row(const job *j, int which, size_t group, const uint8_t *from, float *to)
{
    for (size_t k = 0; k < j->q->a.size; k++) {
        int v = j->q->s.bits == 8 ? (int8_t)from[k] : (int)(from[k / 2] >> 4 * (k % 2) & 15) - 8;
        to[k] = (float)v * scale_of(j, which, group, k);
    }
}

static void pack_row(const job *j, int which, size_t group, const float *from, uint8_t *to)
{
    float top = j->q->s.bits == 8 ? 127 : 7;
    for (size_t k = 0; k < j->q->a.size; k++) {
        float v = rintf(from[k] / scale_of(j, which, group, k));
        int i = (int)(v > top ? top : v >= -top - 1 ? v : -top - 1); /* NaN: the least */
        if (j->q->s.bits == 8)
            to[k] = (uint8_t)i;
        else
            to[k / 2] = (uint8_t)(k % 2 ? to[k / 2] | (i + 8) << 4 : i + 8);
    }
}

/* How many of `total` keys a sliding cache of `room` rows keeps: evicted a stretch at a time. */
static size_t kept_of(const job *j, size_t total)
{
    size_t room = (size_t)j->q->s.room, window = (size_t)hone__node_int(j->r->node, "local_window_size", 1);
    size_t stretch = room - window + 1;
    if (!j->q->s.sliding || total <= room) return total;
    return total - stretch * ((total - room + stretch - 1) / stretch);
}

static size_t row_bytes(const plan *q)
{
    return q->s.bits == 8 ? q->a.size : q->s.bits == 4 ? q->a.size / 2 : q->a.size * sizeof(float);
}

/* Keys or values of one sequence: what the past holds, the new rows, zeros. */
static hone_status append(const job *j, int which, float *to)
{
    const hone__tensor *past = input(j->r->in, j->r->input_count, which == K ? PAST_K : PAST_V);
    size_t size = j->q->a.size, groups = j->q->a.kv_heads, before = (size_t)j->q->s.room, bytes = row_bytes(j->q);
    size_t held = j->past - j->gone, end = held + (size_t)j->q->s.rows;
    for (size_t g = 0; g < groups; g++) {
        float *rows = to + g * j->room * size;
        const uint8_t *from = past ? (const uint8_t *)past->data + (j->b * groups + g) * before * bytes : NULL;
        if (held && !j->q->s.bits) memcpy(rows, from, held * bytes);
        for (size_t i = 0; j->q->s.bits && i < held; i++) unpack_row(j, which, g, from + i * bytes, rows + i * size);
        if (j->q->block) /* a buffer that past and present share keeps what is behind */
            memcpy(rows + end * size, from + end * bytes, (j->room - end) * bytes);
        else
            memset(rows + end * size, 0, (j->room - end) * size * sizeof *to);
    }
    return turn(j, which, to + held * size, j->room * size, size);
}

/* What of the keys or values beside the cache goes into it. New rows in bits are read back: that is what later steps
 * will see. */
static void settle(const job *j, int which, float *rows, uint8_t *present)
{
    const hone__tensor *past = input(j->r->in, j->r->input_count, which == K ? PAST_K : PAST_V);
    const plan *q = j->q;
    size_t size = q->a.size, bytes = row_bytes(q), held = j->past - j->gone, end = held + (size_t)q->s.rows;
    size_t valid = q->s.sliding ? j->total - j->gone : end; /* without the padding of a prompt */
    size_t kept = q->s.sliding ? kept_of(j, j->total) : end, drop = valid - kept;
    size_t cache = present ? (size_t)j->r->out[which]->dims[2] : 0;
    uint8_t one[4096];
    for (size_t g = 0; g < q->a.kv_heads; g++, present += present ? cache * bytes : 0) {
        if (present) memset(present + kept * bytes, 0, (cache - kept) * bytes);
        for (size_t i = 0; i < end; i++) {
            float *row = rows + (g * j->room + i) * size;
            uint8_t *to = present && i >= drop && i < valid ? present + (i - drop) * bytes : one;
            const uint8_t *old = i < held ? (const uint8_t *)past->data : NULL;
            if (old && to != one)
                memcpy(to, old + ((j->b * q->a.kv_heads + g) * (size_t)q->s.room + i) * bytes, bytes);
            else if (!old && q->s.bits) {
                pack_row(j, which, g, row, to);
                unpack_row(j, which, g, to, row);
            } else if (to != one)
                memcpy(to, row, bytes);
        }
    }
}

static hone_status check_inputs(const hone__run *r, const plan *q, int64_t total)
{
    const hone__tensor *lengths = r->in[LENGTHS], *positions = input(r->in, r->input_count, POSITIONS),
                       *sink = input(r->in, r->input_count, SINK);
    int64_t rows = q->s.rows;
    if (lengths->count != (size_t)q->s.batch)
        return hone__fail(HONE_E_SHAPE, "seqlens_k has %zu values for %lld sequences", lengths->count,
                          (long long)q->s.batch);
    if (positions && q->half && positions->count != (size_t)(q->s.batch * rows))
        return hone__fail(HONE_E_SHAPE, "position_ids has %zu values", positions->count);
    if (sink && sink->count != q->a.heads) return hone__fail(HONE_E_SHAPE, "head_sink has %zu values", sink->count);
    if (total < rows) return hone__fail(HONE_E_ARGUMENT, "total_sequence_length is %lld", (long long)total);
    for (int i = K_SCALE; i <= V_SCALE && q->s.bits; i++)
        if (r->in[i]->dtype != HONE_F32 || (r->in[i]->count != 1 && r->in[i]->count != q->a.kv_heads * q->a.size))
            return hone__fail(HONE_E_SHAPE, "input %d has %zu values", i, r->in[i]->count);
    if (q->s.bits && q->a.size > 4096) return hone__fail(HONE_E_UNSUPPORTED, "heads of %zu values in bits", q->a.size);
    for (size_t b = 0; b < lengths->count; b++) {
        int64_t n = hone__tensor_i64(lengths, b) + 1;
        if (n < 1 || n > total || (total > rows && (n < rows || (n - rows > q->s.room && !q->s.sliding))))
            return hone__fail(HONE_E_ARGUMENT, "seqlens_k[%zu] is %lld, total_sequence_length %lld", b,
                              (long long)n - 1, (long long)total);
    }
    return HONE_OK;
}

/* Scores or probabilities as an output: 0 where a query does not look. */
static void take_scores(const job *j, const hone__attention *a, const float *scores, float *to, size_t total)
{
    for (size_t i = 0; i < a->heads * a->queries; i++, to += total) {
        size_t at = j->past - j->gone + i % a->queries;
        memset(to, 0, total * sizeof *to);
        for (size_t k = 0; k < a->keys; k++)
            if ((!a->causal || k <= at) && (a->left < 0 || k + (size_t)a->left >= at))
                to[j->gone + k] = scores[i * a->keys + k];
    }
}

/* This sequence's part of present_key (1) or present_value (2); NULL where nobody wants it. */
static uint8_t *cache_of(const job *j, int which)
{
    if (which >= j->r->output_count || !j->r->out[which]) return NULL;
    return (uint8_t *)hone__out_data(j->r, which) + j->b * (j->r->out[which]->bytes / (size_t)j->q->s.batch);
}

/* allow: [heads, queries, keys], of which head h has layout h % layouts: rows of blocks of queries name blocks of keys.
 */
static hone_status allow_blocks(const job *j, const hone__attention *a, uint8_t *allow)
{
    const hone__tensor *rows = j->r->in[BLOCK_ROWS], *cols = j->r->in[BLOCK_COLS];
    size_t block = (size_t)j->q->block, layouts = (size_t)rows->dims[0], starts = (size_t)rows->dims[1],
           blocks = (size_t)cols->dims[1];
    memset(allow, 0, a->heads * a->queries * a->keys);
    for (size_t i = 0; i < a->heads * a->queries; i++, allow += a->keys) {
        size_t layout = i / a->queries % layouts, at = (j->past + i % a->queries) / block;
        if (at + 1 >= starts) return hone__fail(HONE_E_ARGUMENT, "block_row_indices ends before block %zu", at);
        int64_t from = hone__tensor_i64(rows, layout * starts + at),
                to = hone__tensor_i64(rows, layout * starts + at + 1);
        if (from < 0 || to > (int64_t)blocks)
            return hone__fail(HONE_E_ARGUMENT, "blocks %lld to %lld of %zu", (long long)from, (long long)to, blocks);
        for (int64_t b = from; b < to; b++) {
            int64_t first = hone__tensor_i64(cols, layout * blocks + (size_t)b);
            if (first < 0 || (size_t)first >= starts)
                return hone__fail(HONE_E_ARGUMENT, "a block of keys is %lld of %zu", (long long)first, starts - 1);
            for (size_t k = (size_t)first * block; k < ((size_t)first + 1) * block && k < a->keys; k++) allow[k] = 1;
        }
    }
    return HONE_OK;
}

static hone_status run_sequence(const job *j, hone__attention a, int64_t total)
{
    const plan *q = j->q;
    const hone__run *r = j->r;
    uint8_t *scratch = r->scratch;
    float *query = (float *)(scratch + q->q_at), *scores = (float *)(scratch + q->scores_at);
    uint8_t *keys = cache_of(j, 1), *values = cache_of(j, 2);
    float *k = keys && !q->staged ? (float *)(void *)keys : (float *)(scratch + q->k_at);
    float *v = values && !q->staged ? (float *)(void *)values : (float *)(scratch + q->v_at);
    float *qk = r->output_count > 3 && r->out[3] ? hone__out_data(r, 3) : NULL;
    HONE__TRY(turn(j, Q, query, a.size, a.q.r));
    HONE__TRY(append(j, K, k));
    HONE__TRY(append(j, V, v));
    if (q->staged) {
        settle(j, K, k, keys);
        settle(j, V, v, values);
    }
    a.q.data = query, a.k.data = k, a.v.data = v;
    a.keys = j->total - j->gone;
    a.offset = (int64_t)(j->past - j->gone);
    a.y = (float *)hone__out_data(r, 0) + j->b * a.y_b;
    a.scores_out = qk ? scores : NULL;
    hone__tensor bias;
    if (a.bias.t) { /* this sequence's part */
        bias = *a.bias.t;
        bias.data = (const float *)bias.data + j->b * a.bias.step[0] + j->gone * a.bias.step[3];
        a.bias.t = &bias;
        a.bias.keys -= j->gone < a.bias.keys ? j->gone : a.bias.keys;
    }
    hone__tensor allowed = {.dtype = HONE_BOOL, .data = scratch + q->mask_at};
    if (q->block) {
        HONE__TRY(allow_blocks(j, &a, scratch + q->mask_at));
        a.mask = (hone__attention_mask){&allowed, {0, a.queries * a.keys, a.keys, 1}, a.keys};
    }
    hone__attention_run(&a, scratch + q->work_at, r->pool);
    if (qk) take_scores(j, &a, scores, qk + j->b * a.heads * a.queries * (size_t)total, (size_t)total);
    return HONE_OK;
}

static hone_status run_group(hone__run *r)
{
    const plan *q = r->state;
    hone__attention a = q->a;
    const hone__tensor *bias = input(r->in, r->input_count, BIAS), *sink = input(r->in, r->input_count, SINK);
    int64_t total = hone__tensor_i64(r->in[TOTAL], 0), rows = q->s.rows;
    if (!r->out[0]->count) return HONE_OK;
    HONE__TRY(check_inputs(r, q, total));
    if (bias) {
        hone__attention all = a;
        all.batch = (size_t)q->s.batch, all.keys = (size_t)total;
        HONE__TRY(hone__attention_mask_make(&all, bias, &a.bias));
    }
    float *zeros = (float *)((uint8_t *)r->scratch + q->sink_at);
    memset(zeros, 0, a.heads * sizeof *zeros);
    a.sink = sink ? sink->data : hone__node_int(r->node, "smooth_softmax", 0) ? zeros : NULL;
    job j = {.q = q, .r = r, .room = q->a.keys};
    for (; j.b < (size_t)q->s.batch; j.b++) {
        j.total = (size_t)hone__tensor_i64(r->in[LENGTHS], j.b) + 1;
        j.past = total == rows ? 0 : j.total - (size_t)rows;
        j.gone = j.past - kept_of(&j, j.past);
        HONE__TRY(run_sequence(&j, a, total));
    }
    return HONE_OK;
}
HONE__WIDENED_BUT(group, prepare_group, run_group,
                  1U << LENGTHS | 1U << TOTAL | 1U << POSITIONS | 1U << PAST_K | 1U << PAST_V)
const hone__op hone__op_ms_group_query_attention = {"com.microsoft",    "GroupQueryAttention", infer_group,
                                                    wide_prepare_group, wide_run_group,        0};

/* SparseAttention's inputs behind the first five: block_row_indices, block_col_indices, total_sequence_length,
 * key_total_sequence_lengths, cos_cache, sin_cache. */
enum { S_ROWS = 5, S_COLS, S_TOTAL, S_LENGTHS, S_COS, S_SIN };

static hone_status check_layout(const hone__infer *x, const sizes *s)
{
    const hone__shape *rows = &x->in[S_ROWS].shape, *cols = &x->in[S_COLS].shape;
    int64_t block = hone__node_int(x->node, "sparse_block_size", 0);
    if (block < 1 || block > INT32_MAX) return hone__fail(HONE_E_SHAPE, "sparse_block_size is %lld", (long long)block);
    HONE__TRY(hone__infer_rank(x, S_ROWS, 2));
    HONE__TRY(hone__infer_rank(x, S_COLS, 2));
    if (rows->rank != 2 || cols->rank != 2) return HONE_OK;
    if (!hone__dims_agree(rows->dims[0], cols->dims[0]) ||
        (rows->dims[0] >= 0 && (rows->dims[0] < 1 || s->heads % rows->dims[0])))
        return hone__fail(HONE_E_SHAPE, "%lld layouts for %lld heads", (long long)rows->dims[0], (long long)s->heads);
    return HONE_OK;
}

static hone_status infer_sparse(hone__infer *x)
{
    sizes s;
    HONE__TRY(hone__infer_arity(x, 1, 11));
    HONE__TRY(hone__infer_float(x, Q));
    for (int i = PAST_K; i <= S_LENGTHS; i++)
        if (!hone__has_input(x, i)) return hone__fail(HONE_E_SHAPE, "input %d is missing", i);
    for (int i = S_ROWS; i <= S_LENGTHS; i++)
        if (x->in[i].dtype && !hone__dtype_is_int(x->in[i].dtype))
            return hone__fail(HONE_E_SHAPE, "input %d is %s", i, hone_dtype_name(x->in[i].dtype));
    for (int i = 0; i < x->output_count && i < 3; i++) x->out[i].dtype = x->in[Q].dtype;
    if (x->in[Q].shape.rank < 0) return HONE_OK;
    HONE__TRY(read_sizes(x, &s));
    HONE__TRY(check_layout(x, &s));
    if (s.bits || s.sliding) return hone__fail(HONE_E_UNSUPPORTED, "a cache in bits or that slides");
    hone__infer_set(x, 0, x->in[Q].dtype, 3, (int64_t[]){s.batch, s.rows, s.size < 0 ? -1 : s.heads * s.size});
    for (int i = 1; i <= 2; i++)
        hone__infer_set(x, i, x->in[Q].dtype, 4, (int64_t[]){s.batch, s.groups, s.room, s.size});
    return HONE_OK;
}

/* The inputs where GroupQueryAttention has them. */
static void as_group(const hone__tensor *const *in, int count, const hone__tensor **to)
{
    memset(to, 0, INPUTS * sizeof *to);
    memcpy(to, in, 5 * sizeof *to);
    to[LENGTHS] = in[S_LENGTHS], to[TOTAL] = in[S_TOTAL];
    to[COS] = input(in, count, S_COS), to[SIN] = input(in, count, S_SIN);
    to[BLOCK_ROWS] = in[S_ROWS], to[BLOCK_COLS] = in[S_COLS];
}

static hone_status prepare_sparse(hone__prepare *p)
{
    const hone__tensor *in[INPUTS];
    hone__prepare q = *p;
    as_group(p->in, p->input_count, in);
    q.in = in;
    q.input_count = INPUTS;
    HONE__TRY(prepare_group(&q));
    p->state = q.state;
    p->scratch = q.scratch;
    return HONE_OK;
}

static hone_status run_sparse(hone__run *r)
{
    const hone__tensor *in[INPUTS], *given = r->in[S_LENGTHS];
    const plan *q = r->state;
    hone__run group = *r;
    hone__tensor lengths = *given;
    as_group(r->in, r->input_count, in);
    if (!in[TOTAL]->count || hone__tensor_i64(in[TOTAL], 0) > q->s.room)
        return hone__fail(HONE_E_ARGUMENT, "total_sequence_length is over the cache's %lld rows", (long long)q->s.room);
    int32_t *less = hone__calloc(given->count + 1, sizeof *less); /* one less: what GroupQueryAttention is told */
    if (!less) return hone__out_of_memory(given->count);
    for (size_t i = 0; i < given->count; i++) {
        int64_t n = hone__tensor_i64(given, i);
        less[i] = n < 0 || n > INT32_MAX ? -2 : (int32_t)n - 1;
    }
    lengths.dtype = HONE_I32;
    lengths.data = less;
    in[LENGTHS] = &lengths;
    group.in = in;
    group.input_count = INPUTS;
    hone_status status = run_group(&group);
    hone__free(less);
    return status;
}
HONE__WIDENED_BUT(sparse, prepare_sparse, run_sparse, 1U << S_ROWS | 1U << S_COLS | 1U << S_TOTAL | 1U << S_LENGTHS)
const hone__op hone__op_ms_sparse_attention = {"com.microsoft",     "SparseAttention", infer_sparse,
                                               wide_prepare_sparse, wide_run_sparse,   0};
