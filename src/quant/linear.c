/* linear.c: MatMul with a constant [K, N] matrix into com.microsoft MatMulNBits over [N, K] codes, or, in standard
 * operators, DequantizeLinear (one scale per row) -> Transpose -> MatMul over the same codes in two's complement. */
#include <math.h>
#include <stdio.h>

#include "kernels/convert/convert.h"
#include "weights.h"

/* So many short rows cost more to quantise than their products save without VNNI (docs/numbers.md). */
enum { MANY_ROWS = 64, SHORT_ROW = 256 };

typedef struct matrix {
    const hone__tensor *t; /* float32 or half precision: [k, n], or [n, k] where it is turned */
    bool turned;
    size_t k, n;
} matrix;

static matrix matrix_of(const hone__tensor *t, bool turned)
{
    return (matrix){t, turned, (size_t)t->dims[turned], (size_t)t->dims[!turned]};
}

static void column(const matrix *m, size_t j, float *out)
{
    size_t from = m->turned ? j * m->k : j, step = m->turned ? 1 : m->n;
    if (m->turned && m->t->dtype == HONE_F16)
        hone__f16_to_f32((const uint16_t *)m->t->data + from, out, m->k);
    else if (m->turned && m->t->dtype == HONE_BF16)
        hone__bf16_to_f32((const uint16_t *)m->t->data + from, out, m->k);
    else if (m->t->dtype == HONE_F16)
        for (size_t i = 0; i < m->k; i++)
            out[i] = hone__f16_to_f32_one(((const uint16_t *)m->t->data)[from + i * step]);
    else if (m->t->dtype == HONE_BF16)
        for (size_t i = 0; i < m->k; i++)
            out[i] = hone__bf16_to_f32_one(((const uint16_t *)m->t->data)[from + i * step]);
    else
        for (size_t i = 0; i < m->k; i++) out[i] = ((const float *)m->t->data)[from + i * step];
}

/* Codes 0..15 around 8: the scale that loses least, searched around max / 8 and max / 7 on both signs. */
static float row_u4(const float *x, size_t n, uint8_t *codes, double *error, double *norm)
{
    float top = 0, best_scale = 1;
    double best = INFINITY;
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(top)) top = x[i];
    for (size_t i = 0; i < n; i++) *norm += (double)x[i] * x[i];
    if (fabsf(top) < 1e-30f) { /* the scale itself would lose its digits */
        for (size_t i = 0; i < n; i++) codes[i] = 8, *error += (double)x[i] * x[i];
        return 1;
    }
    for (int step = -8; step <= 8; step++) {
        float scale = -top / (8.0f + 0.1f * (float)step); /* -8 codes the largest magnitude */
        double e = 0;
        for (size_t i = 0; i < n; i++) {
            float v = nearbyintf(x[i] / scale);
            v = v > 7 ? 7 : v < -8 ? -8 : v;
            double d = (double)x[i] - (double)v * scale;
            e += d * d;
        }
        if (e < best) best = e, best_scale = scale;
    }
    for (size_t i = 0; i < n; i++) {
        float v = nearbyintf(x[i] / best_scale);
        codes[i] = (uint8_t)((v > 7 ? 7 : v < -8 ? -8 : v) + 8);
    }
    *error += best;
    return best_scale;
}

/* One row of K weights into blocks: bytes and scales. */
static void pack_row(const float *x, size_t k, size_t block, int bits, uint8_t *out, float *scales, double *error,
                     double *norm)
{
    uint8_t codes[256];
    for (size_t b = 0; b * block < k; b++) {
        size_t n = k - b * block < block ? k - b * block : block;
        if (bits == 8) {
            scales[b] = hone__quant_row_s8(x + b * block, n, (int8_t *)codes, error, norm);
            for (size_t i = 0; i < block; i++) out[b * block + i] = i < n ? (uint8_t)(codes[i] + 128) : 128;
        } else {
            scales[b] = row_u4(x + b * block, n, codes, error, norm);
            for (size_t i = 0; i < block; i += 2) {
                unsigned lo = i < n ? codes[i] : 8, hi = i + 1 < n ? codes[i + 1] : 8;
                out[(b * block + i) / 2] = (uint8_t)(lo | hi << 4);
            }
        }
    }
}

static int bits_of(const hone__quant *q) { return q->options->precision == HONE_PRECISION_INT4 ? 4 : 8; }

enum { LEAST_BLOCK = 16 /* of MatMulNBits and GatherBlockQuantized */ };

/* The wanted block, or what holds k numbers. A tied table has one that divides k, if any does: the greatest. */
static size_t block_of(const hone__quant *q, size_t k, bool tied)
{
    size_t block = LEAST_BLOCK, wish = bits_of(q) == 4 && q->options->block > 32 ? 32 : (size_t)q->options->block;
    while (block < k && block < wish) block *= 2;
    while (tied && k % block && block > LEAST_BLOCK) block /= 2;
    return block;
}

/* A bias added behind: MatMulNBits takes it as its input 5. */
static hone__value *bias_behind(const hone__node *mm, size_t n, hone__node **add)
{
    *add = hone__only_reader(mm->outputs[0], "Add");
    if (!*add || (*add)->inputs[0] == (*add)->inputs[1]) return NULL;
    hone__value *b = hone__other_input(*add, mm->outputs[0]);
    return b->constant && b->constant->dtype == HONE_F32 && b->constant->rank == 1 && b->constant->count == n ? b
                                                                                                              : NULL;
}

/* Codes and scales of a weight as constants, unless they are too coarse. */
static hone_status keep(hone__quant *q, hone__tensor *codes, hone__tensor *scales, bool four_bits, hone__weight *w)
{
    char name[256];
    w->after = codes->bytes + scales->bytes;
    w->reason = hone__quant_too_coarse(w->error, four_bits);
    if (w->reason) {
        hone__tensor_release(codes);
        hone__tensor_release(scales);
        return HONE_OK;
    }
    snprintf(name, sizeof name, "%.200s_scales", w->name);
    hone__graph *g = w->source->graph;
    hone__value *cv = hone__value_constant(g, w->name, codes), *sv = hone__value_constant(g, name, scales);
    return cv && sv ? hone__quant_keep(q, w->source, cv, sv) : HONE_E_MEMORY;
}

static hone_status new_pair(hone__quant *q, hone__tensor *codes, hone_dtype dtype, int rank, const int64_t *dims,
                            hone__tensor *scales, int scales_rank)
{
    HONE__TRY(hone__tensor_scratch(&q->scratch, dtype, rank, dims, codes));
    hone_status s = hone__tensor_scratch(&q->scratch, HONE_F32, scales_rank, dims, scales);
    if (s != HONE_OK) hone__tensor_release(codes);
    return s;
}

static hone_status make_nbits(hone__quant *q, const matrix *m, size_t block, int bits, hone__weight *w)
{
    size_t blocks = (m->k + block - 1) / block, blob = block * (size_t)bits / 8;
    hone__tensor codes, scales;
    double error = 0, norm = 0;
    int64_t dims[] = {(int64_t)m->n, (int64_t)blocks, (int64_t)blob};
    float *row = hone__malloc(m->k * sizeof *row);
    if (!row) return hone__out_of_memory(m->k);
    hone_status s = new_pair(q, &codes, HONE_U8, 3, dims, &scales, 2);
    for (size_t j = 0; s == HONE_OK && j < m->n; j++) {
        column(m, j, row);
        pack_row(row, m->k, block, bits, (uint8_t *)hone__tensor_write(&codes) + j * blocks * blob,
                 (float *)hone__tensor_write(&scales) + j * blocks, &error, &norm);
    }
    hone__free(row);
    HONE__TRY(s);
    w->error = norm > 0 ? sqrt(error / norm) : 0;
    w->to = bits == 4 ? "int4" : "int8";
    hone__tensor_idle(m->t);
    hone__tensor_idle(&codes);
    hone__tensor_idle(&scales);
    return keep(q, &codes, &scales, bits == 4, w);
}

static hone_status to_nbits(hone__quant *q, hone__node *mm, const matrix *m, hone__weight *w)
{
    int bits = bits_of(q);
    size_t block = block_of(q, m->k, w->tied);
    if (!w->again) HONE__TRY(make_nbits(q, m, block, bits, w));
    if (w->reason) return HONE_OK;
    const hone__quant_made *made = hone__quant_made_of(q, w->source);
    hone__node *add;
    hone__value *bias = bias_behind(mm, m->n, &add);
    hone__node *n =
        hone__node_new(mm->graph, mm, "com.microsoft", "MatMulNBits", mm->name,
                       (hone__value *[]){mm->inputs[0], made->codes, made->scales, NULL, NULL, bias}, bias ? 6 : 3, 1);
    if (!n) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_int(n, "K", (int64_t)m->k));
    HONE__TRY(hone__node_set_int(n, "N", (int64_t)m->n));
    HONE__TRY(hone__node_set_int(n, "bits", bits));
    HONE__TRY(hone__node_set_int(n, "block_size", (int64_t)block));
    HONE__TRY(hone__node_set_int(n, "accuracy_level", 4));
    HONE__TRY(hone__model_set_opset(q->model, "com.microsoft", 1));
    hone__value *end = bias ? add->outputs[0] : mm->outputs[0];
    n->outputs[0]->dtype = HONE_F32;
    n->outputs[0]->shape = end->shape;
    return hone__value_replace_uses(end, n->outputs[0]);
}

static hone_status make_rows(hone__quant *q, const matrix *m, hone__weight *w)
{
    hone__tensor codes, scales;
    double error = 0, norm = 0;
    float *row = hone__malloc(m->k * sizeof *row);
    if (!row) return hone__out_of_memory(m->k);
    hone_status s = new_pair(q, &codes, HONE_I8, 2, (int64_t[]){(int64_t)m->n, (int64_t)m->k}, &scales, 1);
    for (size_t j = 0; s == HONE_OK && j < m->n; j++) {
        column(m, j, row);
        ((float *)hone__tensor_write(&scales))[j] =
            hone__quant_row_s8(row, m->k, (int8_t *)hone__tensor_write(&codes) + j * m->k, &error, &norm);
    }
    hone__free(row);
    HONE__TRY(s);
    w->error = norm > 0 ? sqrt(error / norm) : 0;
    w->to = "int8";
    hone__tensor_idle(m->t);
    hone__tensor_idle(&codes);
    hone__tensor_idle(&scales);
    return keep(q, &codes, &scales, false, w);
}

static hone_status to_rows(hone__quant *q, hone__node *mm, const matrix *m, hone__weight *w)
{
    if (!w->again) HONE__TRY(make_rows(q, m, w));
    if (w->reason) return HONE_OK;
    const hone__quant_made *made = hone__quant_made_of(q, w->source);
    hone__node *dq =
        hone__node_new(mm->graph, mm, "", "DequantizeLinear", "", (hone__value *[]){made->codes, made->scales}, 2, 1);
    hone__node *t = dq ? hone__node_new(mm->graph, mm, "", "Transpose", "", dq->outputs, 1, 1) : NULL;
    if (!t) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_int(dq, "axis", 0));
    HONE__TRY(hone__node_set_ints(t, "perm", (int64_t[]){1, 0}, 2));
    return hone__node_set_input(mm, 1, t->outputs[0]);
}

/* Rows of one sample that meet the weights together; 1 where the shape does not say. */
static int64_t rows_per_sample(const hone__value *x)
{
    int64_t rows = 1;
    for (int i = 1; i + 1 < x->shape.rank; i++)
        if (x->shape.dims[i] > 0 && rows < MANY_ROWS) rows *= x->shape.dims[i];
    return rows;
}

hone_status hone__quant_linear(hone__quant *q, hone__node *mm, hone__weight *w)
{
    const hone__tensor *t = w->source->constant;
    if (t->rank != 2) {
        w->reason = "a batch of matrices";
        return HONE_OK;
    }
    if (q->options->precision == HONE_PRECISION_INT8 && rows_per_sample(mm->inputs[0]) >= MANY_ROWS &&
        t->dims[w->turned] < SHORT_ROW) {
        w->reason = "meets 64 rows or more of fewer than 256 numbers: float is faster";
        return HONE_OK;
    }
    w->again = hone__quant_made_of(q, w->source) != NULL;
    matrix m = matrix_of(t, w->turned);
    if (q->options->opset_only || !q->options->block) return to_rows(q, mm, &m, w);
    return to_nbits(q, mm, &m, w);
}

bool hone__quant_can_tie(const hone__quant *q, const hone__tensor *table)
{
    return !q->options->opset_only && q->options->block && table->rank == 2 && table->dims[1] > 0 &&
           (size_t)table->dims[1] % block_of(q, (size_t)table->dims[1], true) == 0;
}

/* The codes as rows of bytes, and rows of them as numbers. */
static hone__node *gather_rows(hone__graph *g, const hone__quant_made *made, hone__node *gather)
{
    const hone__tensor *codes = made->codes->constant;
    hone__tensor t;
    if (hone__tensor_new(HONE_I64, 1, (int64_t[]){2}, &t) != HONE_OK) return NULL;
    int64_t *dims = hone__tensor_write(&t);
    dims[0] = codes->dims[0], dims[1] = codes->dims[1] * codes->dims[2];
    hone__value *shape = hone__value_constant(g, "", &t);
    hone__node *flat =
        shape ? hone__node_new(g, gather, "", "Reshape", "", (hone__value *[]){made->codes, shape}, 2, 1) : NULL;
    return flat ? hone__node_new(g, gather, "com.microsoft", "GatherBlockQuantized", gather->name,
                                 (hone__value *[]){flat->outputs[0], gather->inputs[1], made->scales}, 3, 1)
                : NULL;
}

hone_status hone__quant_tied_table(hone__quant *q, hone__node *gather, hone__weight *w)
{
    matrix m = matrix_of(w->source->constant, true);
    int bits = bits_of(q);
    size_t block = block_of(q, m.k, true);
    w->again = hone__quant_made_of(q, w->source) != NULL;
    if (!w->again) HONE__TRY(make_nbits(q, &m, block, bits, w));
    if (w->reason) return HONE_OK;
    hone__node *n = gather_rows(gather->graph, hone__quant_made_of(q, w->source), gather);
    if (!n) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_int(n, "bits", bits));
    HONE__TRY(hone__node_set_int(n, "block_size", (int64_t)block));
    HONE__TRY(hone__node_set_int(n, "gather_axis", 0));
    HONE__TRY(hone__node_set_int(n, "quantize_axis", 1));
    HONE__TRY(hone__model_set_opset(q->model, "com.microsoft", 1));
    n->outputs[0]->dtype = HONE_F32;
    n->outputs[0]->shape = gather->outputs[0]->shape;
    return hone__value_replace_uses(gather->outputs[0], n->outputs[0]);
}
