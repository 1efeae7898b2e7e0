/* attention.c: one head's scores at a time: product, bias, softmax, product. */
#include "attention.h"

#include <math.h>
#include <string.h>

#include "kernels/gemm/gemm.h"
#include "kernels/norm/norm.h"
#include "kernels/vec/vec.h"

hone_status hone__attention_mask_make(const hone__attention *a, const hone__tensor *t, hone__attention_mask *m)
{
    const size_t want[4] = {a->batch, a->heads, a->queries, a->keys};
    size_t step = 1;
    *m = (hone__attention_mask){.t = t, .keys = a->keys};
    if (!t) return HONE_OK;
    if (t->dtype == HONE_STRING) return hone__fail(HONE_E_SHAPE, "a mask of strings");
    if (t->rank > 4) return hone__fail(HONE_E_SHAPE, "the mask has rank %d", t->rank);
    for (int i = t->rank - 1, k = 3; i >= 0; i--, k--) {
        size_t d = (size_t)t->dims[i];
        if (k == 3 && d < want[3] && d != 1)
            m->keys = d; /* a shorter mask allows none of the rest */
        else if (d != 1 && d != want[k])
            return hone__fail(HONE_E_SHAPE, "the mask has size %zu where the scores have %zu", d, want[k]);
        m->step[k] = d == 1 ? 0 : step;
        step *= d;
    }
    if (t->rank && t->dims[t->rank - 1] == 1 && want[3] > 1) m->keys = 1;
    return HONE_OK;
}

size_t hone__attention_mask_bytes(const hone__attention *a, const hone__tensor *m)
{
    size_t lengths = a->batch * a->keys;
    return (m->count > lengths ? m->count : lengths) / 64 * 64 + 64;
}

hone_status hone__attention_mask_ints(hone__attention *a, const hone__tensor *m, uint8_t *to, hone__tensor *t)
{
    size_t keys = a->keys;
    *t = (hone__tensor){.dtype = HONE_BOOL, .data = to};
    a->mask = (hone__attention_mask){.t = t, .keys = keys};
    bool ends = m->rank == 1 && (m->count == a->batch || m->count == 3 * a->batch + 2);
    if (ends || (m->rank == 1 && m->count == 2 * a->batch)) {
        for (size_t b = 0; b < a->batch; b++)
            for (size_t k = 0; k < keys; k++) {
                int64_t end = hone__tensor_i64(m, b), start = ends ? 0 : hone__tensor_i64(m, a->batch + b);
                to[b * keys + k] = (int64_t)k >= start && (int64_t)k < end;
            }
        a->mask.step[0] = keys;
        a->mask.step[3] = 1;
        return HONE_OK;
    }
    bool own = m->rank == 2 && (size_t)m->dims[0] == a->batch;
    if (m->rank == 2 && m->dims[1] == 1 && (m->dims[0] == 1 || own) && !(own && keys == 1)) {
        a->mask.t = NULL; /* the same for every key: changes nothing */
        return HONE_OK;
    }
    bool two = m->rank == 2 && (size_t)m->dims[0] == a->batch && (size_t)m->dims[1] == keys;
    bool three = m->rank == 3 && (size_t)m->dims[0] == a->batch && (size_t)m->dims[1] == a->queries &&
                 (size_t)m->dims[2] == keys;
    bool four = m->rank == 4 && (size_t)m->dims[0] == a->batch && m->dims[1] == 1 && (size_t)m->dims[2] >= keys &&
                m->dims[2] == m->dims[3];
    if (!two && !three && !four)
        return hone__fail(HONE_E_UNSUPPORTED, "a mask of rank %d and %zu values", m->rank, m->count);
    size_t row = (size_t)m->dims[m->rank - 1], shift = four ? (keys - a->queries) * row : 0;
    t->data = to + shift; /* the square mask's rows of the newest queries */
    for (size_t i = 0; i < m->count; i++) to[i] = hone__tensor_i64(m, i) > 0;
    a->mask.step[0] = two ? keys : three ? a->queries * keys : row * row;
    a->mask.step[2] = two ? 0 : row;
    a->mask.step[3] = 1;
    return HONE_OK;
}

static hone__gemm_f32_args score_product(const hone__attention *a)
{
    return (hone__gemm_f32_args){.m = a->queries,
                                 .n = a->keys,
                                 .k = a->size,
                                 .a_rs = a->q.r,
                                 .a_cs = 1,
                                 .b_rs = 1,
                                 .b_cs = a->k.r,
                                 .c_rs = a->keys,
                                 .alpha = a->scale};
}

static hone__gemm_f32_args value_product(const hone__attention *a)
{
    return (hone__gemm_f32_args){.m = a->queries,
                                 .n = a->v_size,
                                 .k = a->keys,
                                 .a_rs = a->keys,
                                 .a_cs = 1,
                                 .b_rs = a->v.r,
                                 .b_cs = 1,
                                 .c_rs = a->y_r,
                                 .alpha = 1};
}

static size_t scores_bytes(const hone__attention *a) { return (a->queries * a->keys * sizeof(float) + 63) / 64 * 64; }

size_t hone__attention_scratch(const hone__attention *a, int threads)
{
    hone__gemm_f32_args p = score_product(a), v = value_product(a);
    size_t x = hone__gemm_f32_scratch(&p, threads), y = hone__gemm_f32_scratch(&v, threads);
    return scores_bytes(a) + (x > y ? x : y);
}

hone_status hone__attention_scratch_upto(const hone__attention *a, int threads, size_t *bytes)
{
    hone__attention shorter = *a;
    if (a->keys > HONE__ATTENTION_KEYS)
        return hone__fail(HONE_E_LIMIT, "%zu keys, expected at most %d", a->keys, HONE__ATTENTION_KEYS);
    *bytes = hone__attention_scratch(a, threads);
    while (shorter.keys-- > 1) {
        size_t need = hone__attention_scratch(&shorter, threads);
        if (need > *bytes) *bytes = need;
    }
    return HONE_OK;
}

hone__heads hone__heads_of(const float *data, bool packed, size_t heads, size_t rows, size_t size)
{
    return packed ? (hone__heads){data, rows * heads * size, size, heads * size}
                  : (hone__heads){data, heads * rows * size, rows * size, size};
}

static float *copy_rows(const hone__heads *from, size_t b, size_t h, size_t rows, size_t size, const float *bias,
                        float *to)
{
    for (size_t i = 0; i < rows; i++, to += size) {
        const float *x = from->data + b * from->b + h * from->h + i * from->r;
        memcpy(to, x, size * sizeof *to);
        for (size_t k = 0; bias && k < size; k++) to[k] += bias[h * size + k];
    }
    return to;
}

void hone__heads_join(const hone__joined *j, float *to)
{
    for (size_t b = 0; b < j->batch; b++)
        for (size_t h = 0; h < j->heads; h++) {
            to = copy_rows(&j->past, b, h, j->before, j->size, NULL, to);
            to = copy_rows(&j->now, b, h, j->rows, j->size, j->bias, to);
        }
}

void hone__rotate(const float *x, const float *cosine, const float *sine, float *y, size_t size, size_t half,
                  bool interleaved)
{
    for (size_t i = 0; i < half; i++) {
        size_t p = interleaved ? 2 * i : i, q = interleaved ? 2 * i + 1 : half + i;
        float a = x[p], b = x[q];
        y[p] = cosine[i] * a - sine[i] * b;
        y[q] = sine[i] * a + cosine[i] * b;
    }
    memmove(y + 2 * half, x + 2 * half, (size - 2 * half) * sizeof *y);
}

typedef struct job {
    const hone__attention *a;
    size_t b, h;
    float *scores, *out; /* of this head; out NULL when not wanted */
} job;

/* -infinity, or what the mask adds */
static double mask_term(const hone__attention *a, const hone__attention_mask *m, size_t b, size_t h, size_t i, size_t k)
{
    if (!m->t) return 0;
    if (k >= m->keys) return a->masked;
    size_t at = b * m->step[0] + h * m->step[1] + i * m->step[2] + k * m->step[3];
    if (m->t->dtype == HONE_F32) return ((const float *)m->t->data)[at];
    if (m->t->dtype == HONE_BOOL) return ((const uint8_t *)m->t->data)[at] ? 0 : a->masked;
    return hone__tensor_f64(m->t, at);
}

/* Adds the bias to one row; false when nothing in it is allowed. */
static bool add_bias(const job *j, size_t i, float *row)
{
    const hone__attention *a = j->a;
    int64_t length = a->lengths ? hone__tensor_i64(a->lengths, j->b) : (int64_t)a->keys;
    int64_t at = (int64_t)i + (a->own_offset ? length - (int64_t)a->queries : a->offset);
    bool any = false;
    for (size_t k = 0; k < a->keys; k++) {
        int64_t key = (int64_t)k;
        double bias = mask_term(a, &a->bias, j->b, j->h, i, k), mask = mask_term(a, &a->mask, j->b, j->h, i, k);
        if (key >= length) mask += a->masked;
        if ((a->causal && key > at) || (a->left >= 0 && key < at - a->left) || (a->right >= 0 && key > at + a->right))
            mask = a->beyond < 0 ? a->beyond : -INFINITY;
        if (mask + bias > -INFINITY || mask != mask || bias != bias) any = true;
        row[k] = row[k] + (float)bias + (float)mask; /* the order matters where the mask is large but finite */
    }
    return any;
}

static void softmax_beside(float *x, size_t n, float beside)
{
    float most = beside;
    for (size_t i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
    double sum = exp((double)beside - most);
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - most);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++) x[i] = (float)(x[i] / sum);
}

static void rows(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    const hone__attention *a = j->a;
    size_t bytes = a->keys * sizeof(float);
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        float *row = j->scores + i * a->keys, *out = j->out ? j->out + i * a->keys : NULL;
        if (out && a->scores_mode == 0) memcpy(out, row, bytes);
        if (a->softcap > 0) hone__vec_unary(HONE__SCALED_TANH, row, row, a->keys, a->softcap, 1 / a->softcap);
        if (out && a->scores_mode == 1) memcpy(out, row, bytes);
        bool any = add_bias(j, i, row);
        if (out && a->scores_mode == 2) memcpy(out, row, bytes);
        if (any && a->sink)
            softmax_beside(row, a->keys, a->sink[j->h]);
        else if (any)
            hone__softmax_f32(row, row, 1, a->keys, 1, 0, NULL);
        else
            memset(row, 0, bytes);
        if (out && a->scores_mode == 3) memcpy(out, row, bytes);
    }
}

void hone__attention_run(const hone__attention *a, void *scratch, hone__pool *pool)
{
    float *scores = scratch;
    void *gemm = (uint8_t *)scratch + scores_bytes(a);
    size_t group = a->heads / a->kv_heads;
    for (size_t b = 0; b < a->batch; b++)
        for (size_t h = 0; h < a->heads; h++) {
            hone__gemm_f32_args p = score_product(a), v = value_product(a);
            p.a = a->q.data + b * a->q.b + h * a->q.h;
            p.b = a->k.data + b * a->k.b + h / group * a->k.h;
            p.c = scores;
            job j = {a, b, h, scores, a->scores_out ? a->scores_out + (b * a->heads + h) * a->queries * a->keys : NULL};
            if (a->keys) {
                hone__gemm_f32(&p, gemm, pool);
                hone__pool_run(pool, a->queries, 2048 / (a->keys + 1) + 1, rows, &j);
            }
            v.a = scores;
            v.b = a->v.data + b * a->v.b + h / group * a->v.h;
            v.c = a->y + b * a->y_b + h * a->y_h;
            hone__gemm_f32(&v, gemm, pool);
        }
}
