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
        double bias = mask_term(a, &a->mask, j->b, j->h, i, k) + mask_term(a, &a->bias, j->b, j->h, i, k);
        if (key >= length) bias += a->masked;
        if ((a->causal && key > at) || (a->left >= 0 && key < at - a->left) || (a->right >= 0 && key > at + a->right))
            bias = -INFINITY;
        if (bias > -INFINITY || bias != bias) any = true;
        row[k] += (float)bias;
    }
    return any;
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
        if (any)
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
