/* op_ms_matmul.c: com.microsoft's products: FusedMatMul, DynamicQuantizeMatMul, MatMulIntegerToFloat, QGemm. */
#include <math.h>
#include <string.h>

#include "broadcast.h"
#include "epilogue_attrs.h"
#include "kernels/gemm/gemm.h"
#include "kernels/quantize/quantize.h"
#include "widen.h"

static size_t round64(size_t n) { return n / 64 * 64 + 64; }

/* FusedMatMul: alpha * a' * b'; transA and transB swap the last two axes. transBatchA and transBatchB first move axis 0
 * to the place before the last: [rows, batch.., cols] is read as [batch.., rows, cols]. */
static void turned(const hone__shape *s, bool t, bool batch, hone__shape *out)
{
    *out = *s;
    if (s->rank < 2) return;
    if (batch)
        for (int i = 0; i < s->rank - 1; i++) out->dims[i] = s->dims[i == s->rank - 2 ? 0 : i + 1];
    if (!t) return;
    int64_t rows = out->dims[s->rank - 2];
    out->dims[s->rank - 2] = out->dims[s->rank - 1];
    out->dims[s->rank - 1] = rows;
}
static bool attribute(const hone__node *n, const char *name) { return hone__node_int(n, name, 0) != 0; }
static hone_status infer_fused(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_float(x, 0));
    HONE__TRY(hone__infer_equal_types(x, 0, 1));
    hone__shape a, b;
    x->out[0].dtype = x->in[0].dtype;
    turned(&x->in[0].shape, attribute(x->node, "transA"), attribute(x->node, "transBatchA"), &a);
    turned(&x->in[1].shape, attribute(x->node, "transB"), attribute(x->node, "transBatchB"), &b);
    return hone__matmul_infer(&a, &b, &x->out[0].shape);
}

/* One side: its matrices as they are multiplied, and where the next of the batch begins. */
typedef struct side {
    size_t rows, cols, row_step, col_step, matrix_step;
    hone__tensor batch; /* the leading axes */
} side;

static side side_of(const hone__tensor *t, bool left, bool turn, bool batch)
{
    side s = {.rows = 1, .cols = 1, .col_step = 1, .batch = {.count = 1}};
    int rank = t->rank;
    size_t count = 1;
    if (rank == 1) { /* a row on the left, a column on the right */
        size_t n = (size_t)t->dims[0];
        s.rows = left ? 1 : n, s.cols = left ? n : 1;
        s.row_step = left ? n : 1;
        return s;
    }
    s.cols = (size_t)t->dims[rank - 1];
    s.rows = (size_t)t->dims[batch ? 0 : rank - 2];
    s.batch.rank = rank - 2;
    for (int i = 0; i < rank - 2; i++) {
        s.batch.dims[i] = t->dims[batch ? i + 1 : i];
        count *= (size_t)s.batch.dims[i];
    }
    s.row_step = batch ? s.cols * count : s.cols;
    s.matrix_step = batch ? s.cols : s.rows * s.cols;
    if (turn) {
        side u = s;
        s.rows = u.cols, s.cols = u.rows, s.row_step = 1, s.col_step = u.row_step;
    }
    return s;
}

typedef struct fused {
    hone__gemm_f32_args g;
    size_t a_step, b_step;
    hone__bcast batch;
} fused;

static hone_status prepare_fused(hone__prepare *p)
{
    const hone__node *n = p->node;
    fused *s = hone__arena_zalloc(p->arena, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    side a = side_of(p->in[0], true, attribute(n, "transA"), attribute(n, "transBatchA")),
         b = side_of(p->in[1], false, attribute(n, "transB"), attribute(n, "transBatchB"));
    s->g = (hone__gemm_f32_args){.m = a.rows,
                                 .k = a.cols,
                                 .n = b.cols,
                                 .a_rs = a.row_step,
                                 .a_cs = a.col_step,
                                 .b_rs = b.row_step,
                                 .b_cs = b.col_step,
                                 .c_rs = b.cols,
                                 .alpha = hone__node_float(n, "alpha", 1)};
    s->a_step = a.matrix_step, s->b_step = b.matrix_step;
    hone__tensor o = a.batch.rank >= b.batch.rank ? a.batch : b.batch;
    memcpy(o.dims, p->out[0]->dims, (size_t)o.rank * sizeof *o.dims); /* the output's leading axes are the batch */
    hone__bcast_init(&s->batch, &o, (const hone__tensor *[]){&a.batch, &b.batch}, 2);
    p->state = s;
    p->scratch = p->out[0]->count ? hone__gemm_f32_scratch(&s->g, p->threads) : 0;
    return HONE_OK;
}

static void fused_matrices(void *ctx, size_t out, const size_t *at, const size_t *step, size_t n)
{
    hone__run *r = ctx;
    const fused *s = r->state;
    hone__gemm_f32_args g = s->g;
    for (size_t i = 0; i < n; i++) {
        g.a = (const float *)r->in[0]->data + (at[0] + i * step[0]) * s->a_step;
        g.b = (const float *)r->in[1]->data + (at[1] + i * step[1]) * s->b_step;
        g.c = (float *)hone__out_data(r, 0) + (out + i) * g.m * g.n;
        hone__gemm_f32(&g, r->scratch, r->pool);
    }
}
static hone_status run_fused(hone__run *r)
{
    if (r->out[0]->count) hone__bcast_run(&((const fused *)r->state)->batch, NULL, fused_matrices, r);
    return HONE_OK;
}
HONE__WIDENED(fused, prepare_fused, run_fused)
const hone__op hone__op_ms_fused_matmul = {"com.microsoft",    "FusedMatMul",  infer_fused,
                                           wide_prepare_fused, wide_run_fused, 0};
const hone__op hone__op_ms_transpose_matmul = {"com.microsoft",    "TransposeMatMul", infer_fused,
                                               wide_prepare_fused, wide_run_fused,    0};

/* One int8 product a [..., K] x b [K, N] (or turned), with places of its scales and zero points among the inputs. */
typedef struct layout {
    int a, a_scale, a_zero, b, b_scale, b_zero, bias, residual;
    bool dynamic; /* a is float32, quantised here */
} layout;

static const layout dynamic_layout = {0, -1, -1, 1, 2, 3, 4, -1, true},
                    integer_layout = {0, 2, 4, 1, 3, 5, 6, -1, false}, linear_layout = {0, 2, 4, 1, 3, 5, 6, 7, false},
                    gemm_layout = {0, 1, 2, 3, 4, 5, 6, -1, false};

typedef struct product {
    hone__gemm_i8_args g; /* of one matrix */
    size_t matrices;      /* of b; more than one: batch pairs them with those of a */
    hone__bcast batch;
    size_t zeros_at, quantized_at, scales_at, acc_at, gemm_at;
} product;

static const hone__tensor *input(const hone__tensor *const *in, int count, int i)
{
    return i >= 0 && i < count ? in[i] : NULL;
}

/* One value, one per column, or one per column of each matrix. */
static hone_status one_or(const hone__tensor *t, size_t n, size_t matrices, int i)
{
    if (!t || t->count == 1 || t->count == n || t->count == n * matrices) return HONE_OK;
    return hone__fail(HONE_E_UNSUPPORTED, "input %d has %zu values, expected 1 or %zu", i, t->count, n);
}

static hone__tensor leading_axes(const hone__tensor *t)
{
    hone__tensor lead = {.rank = t->rank > 2 ? t->rank - 2 : 0, .count = 1};
    for (int i = 0; i < lead.rank; i++) {
        lead.dims[i] = t->dims[i];
        lead.count *= (size_t)lead.dims[i];
    }
    return lead;
}

/* Which matrices of a and b meet: one matrix b takes all rows of a at once. */
static void pair_matrices(product *s, const hone__tensor *a, const hone__tensor *b, const hone__tensor *y)
{
    hone__tensor x = leading_axes(a), w = leading_axes(b), out = x.rank >= w.rank ? x : w;
    s->matrices = w.count;
    memcpy(out.dims, y->dims, (size_t)out.rank * sizeof *out.dims);
    hone__bcast_init(&s->batch, &out, (const hone__tensor *[]){&x, &w}, 2);
}

static hone_status prepare_product(hone__prepare *p, const layout *l)
{
    product *s = hone__arena_zalloc(p->arena, sizeof *s);
    const hone__tensor *a = p->in[l->a], *b = p->in[l->b], *bs = p->in[l->b_scale],
                       *bz = input(p->in, p->input_count, l->b_zero);
    const hone__tensor *as = input(p->in, p->input_count, l->a_scale), *az = input(p->in, p->input_count, l->a_zero);
    bool gemm = l == &gemm_layout, ta = gemm && hone__node_int(p->node, "transA", 0),
         tb = gemm && hone__node_int(p->node, "transB", 0);
    if (!s) return hone__out_of_memory(sizeof *s);
    if (b->rank < 2 || a->rank < 1) return hone__fail(HONE_E_UNSUPPORTED, "input %d has rank %d", l->b, b->rank);
    const int64_t *bd = b->dims + b->rank - 2;
    size_t n = (size_t)bd[tb ? 0 : 1], k = (size_t)bd[tb ? 1 : 0], b1 = (size_t)bd[1];
    pair_matrices(s, a, b, p->out[0]);
    size_t m = k ? a->count / k : 0;
    if (s->matrices != 1) m = a->rank > 1 ? (size_t)a->dims[a->rank - 2] : 1;
    HONE__TRY(one_or(bs, n, s->matrices, l->b_scale));
    HONE__TRY(one_or(bz, n, s->matrices, l->b_zero));
    HONE__TRY(one_or(as, 1, 1, l->a_scale));
    HONE__TRY(one_or(az, 1, 1, l->a_zero));
    s->g = (hone__gemm_i8_args){.m = m,
                                .n = n,
                                .k = k,
                                .a_signed = a->dtype == HONE_I8,
                                .b_signed = b->dtype == HONE_I8,
                                .a_rs = ta ? 1 : k,
                                .a_cs = ta ? m : 1,
                                .b_rs = tb ? 1 : b1,
                                .b_cs = tb ? b1 : 1,
                                .c_rs = n,
                                .b_zp_per_col = bz && bz->count > 1,
                                .ep = hone__epilogue_read(p->node),
                                .b_scale_per_col = bs->count > 1};
    size_t columns = (n + 1) * (s->matrices + 1);
    s->quantized_at = round64(columns * sizeof(int32_t));
    s->scales_at = s->quantized_at + (l->dynamic ? round64(a->count) : 0);
    s->acc_at = s->scales_at + round64(columns * sizeof(float));
    s->gemm_at = s->acc_at + (gemm ? round64(p->out[0]->count * sizeof(int32_t)) : 0);
    s->g.c_f32 = gemm ? NULL : (float *)(uintptr_t)64; /* the scratch query may look at which output is wanted */
    s->g.c_i32 = gemm ? (int32_t *)(uintptr_t)64 : NULL;
    p->scratch = s->gemm_at + (p->out[0]->count ? hone__gemm_i8_scratch(&s->g, p->threads) : 0);
    p->state = s;
    return HONE_OK;
}

/* Everything but the output. */
static hone__gemm_i8_args product_args(hone__run *r, const layout *l, int32_t *az, float *as)
{
    const product *s = r->state;
    const hone__tensor *a = r->in[l->a], *bs = r->in[l->b_scale], *bz = input(r->in, r->input_count, l->b_zero),
                       *z = input(r->in, r->input_count, l->a_zero);
    uint8_t *scratch = r->scratch, *quantized = scratch + s->quantized_at;
    int32_t *zeros = (int32_t *)scratch;
    float *scales = (float *)(scratch + s->scales_at);
    hone__gemm_i8_args g = s->g;
    g.a = a->data;
    g.b = r->in[l->b]->data;
    if (l->dynamic) {
        float lo, hi;
        hone__minmax_f32(a->data, a->count, &lo, &hi, r->pool);
        hone__dynamic_params_u8(lo, hi, as, az);
        hone__quantize_u8(a->data, a->count, *as, *az, quantized, r->pool);
        g.a = quantized;
    } else {
        *as = (float)hone__tensor_f64(r->in[l->a_scale], 0);
        *az = z ? (int32_t)hone__tensor_i64(z, 0) : 0;
    }
    for (size_t i = 0; bz && i < bz->count; i++) zeros[i] = (int32_t)hone__tensor_i64(bz, i);
    for (size_t i = 0; i < bs->count; i++) scales[i] = (float)hone__tensor_f64(bs, i);
    g.a_zp = az;
    g.b_zp = bz ? zeros : NULL;
    g.a_scale = as;
    g.b_scale = scales;
    return g;
}

typedef struct pairs {
    const hone__run *r;
    const product *s;
    hone__gemm_i8_args g;
    size_t scale_step, zero_step; /* from one matrix of b to the next */
} pairs;

static void product_matrices(void *ctx, size_t out, const size_t *at, const size_t *step, size_t n)
{
    const pairs *j = ctx;
    for (size_t i = 0; i < n; i++) {
        hone__gemm_i8_args g = j->g;
        size_t which = at[1] + i * step[1];
        g.a = (const uint8_t *)g.a + (at[0] + i * step[0]) * g.m * g.k;
        g.b = (const uint8_t *)g.b + which * g.k * g.n;
        g.b_scale += which * j->scale_step;
        if (g.b_zp) g.b_zp += which * j->zero_step;
        if (g.ep.residual) g.ep.residual += (out + i) * g.m * g.n;
        g.c_f32 += (out + i) * g.m * g.n;
        hone__gemm_i8(&g, (uint8_t *)j->r->scratch + j->s->gemm_at, j->r->pool);
    }
}

static hone_status run_to_float(hone__run *r, const layout *l)
{
    const product *s = r->state;
    const hone__tensor *bias = input(r->in, r->input_count, l->bias), *bs = r->in[l->b_scale],
                       *bz = input(r->in, r->input_count, l->b_zero),
                       *residual = input(r->in, r->input_count, l->residual);
    int32_t az;
    float as;
    if (!r->out[0]->count) return HONE_OK;
    if (bias && bias->count != s->g.n)
        return hone__fail(HONE_E_SHAPE, "the bias has %zu values, expected %zu", bias->count, s->g.n);
    hone__gemm_i8_args g = product_args(r, l, &az, &as);
    g.c_i32 = NULL;
    g.c_f32 = hone__out_data(r, 0);
    g.ep.bias = bias ? bias->data : NULL;
    g.ep.residual = residual ? residual->data : NULL;
    pairs j = {r, s, g, bs->count > s->g.n ? s->g.n : 0, bz && bz->count > s->g.n ? s->g.n : 0};
    if (s->matrices > 1)
        hone__bcast_run(&s->batch, NULL, product_matrices, &j);
    else
        hone__gemm_i8(&g, (uint8_t *)r->scratch + s->gemm_at, r->pool);
    return HONE_OK;
}

static hone_status infer_to_float(hone__infer *x, const layout *l)
{
    HONE__TRY(hone__infer_arity(x, l->dynamic ? 3 : 4, (l->residual < 0 ? l->bias : l->residual) + 1));
    for (int i = 0; i < 2; i++) {
        hone_dtype d = x->in[i].dtype, want = l->dynamic && i == 0 ? HONE_F32 : HONE_U8;
        if (d && d != want && !(want == HONE_U8 && d == HONE_I8))
            return hone__fail(HONE_E_SHAPE, "input %d is %s", i, hone_dtype_name(d));
    }
    if (hone__has_input(x, l->bias) && x->in[l->bias].dtype && x->in[l->bias].dtype != HONE_F32)
        return hone__fail(HONE_E_UNSUPPORTED, "a bias of type %s", hone_dtype_name(x->in[l->bias].dtype));
    x->out[0].dtype = HONE_F32;
    HONE__TRY(hone__matmul_infer(&x->in[0].shape, &x->in[1].shape, &x->out[0].shape));
    return l->residual < 0 ? HONE_OK : hone__infer_like_output(x, l->residual);
}
static hone_status infer_dynamic(hone__infer *x) { return infer_to_float(x, &dynamic_layout); }
static hone_status prepare_dynamic(hone__prepare *p) { return prepare_product(p, &dynamic_layout); }
static hone_status run_dynamic(hone__run *r) { return run_to_float(r, &dynamic_layout); }
static hone_status infer_integer(hone__infer *x) { return infer_to_float(x, &integer_layout); }
static hone_status prepare_integer(hone__prepare *p) { return prepare_product(p, &integer_layout); }
static hone_status run_integer(hone__run *r) { return run_to_float(r, &integer_layout); }
const hone__op hone__op_ms_dynamic_quantize_matmul = {
    "com.microsoft", "DynamicQuantizeMatMul", infer_dynamic, prepare_dynamic, run_dynamic, 0};
const hone__op hone__op_ms_matmul_integer_to_float = {
    "com.microsoft", "MatMulIntegerToFloat", infer_integer, prepare_integer, run_integer, 0};

/* hone:IntegerLinear: MatMulIntegerToFloat with an activation and a residual */
static hone_status infer_linear(hone__infer *x) { return infer_to_float(x, &linear_layout); }
static hone_status prepare_linear(hone__prepare *p) { return prepare_product(p, &linear_layout); }
static hone_status run_linear(hone__run *r) { return run_to_float(r, &linear_layout); }
const hone__op hone__op_hone_integer_linear = {"hone", "IntegerLinear", infer_linear, prepare_linear, run_linear, 0};

/* QGemm: a, a_scale, a_zero, b, b_scale, b_zero, c (int32)?, y_scale?, y_zero?; without the last two the result is
 * float. */
static hone_status infer_qgemm(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 6, 9));
    HONE__TRY(hone__infer_rank(x, 0, 2));
    HONE__TRY(hone__infer_rank(x, 3, 2));
    for (int i = 0; i < 4; i += 3)
        if (x->in[i].dtype && x->in[i].dtype != HONE_U8 && x->in[i].dtype != HONE_I8)
            return hone__fail(HONE_E_SHAPE, "input %d is %s", i, hone_dtype_name(x->in[i].dtype));
    hone__shape a, b;
    turned(&x->in[0].shape, attribute(x->node, "transA"), false, &a);
    turned(&x->in[3].shape, attribute(x->node, "transB"), false, &b);
    x->out[0].dtype = hone__has_input(x, 8) ? x->in[8].dtype : HONE_F32;
    return hone__matmul_infer(&a, &b, &x->out[0].shape);
}
static hone_status prepare_qgemm(hone__prepare *p) { return prepare_product(p, &gemm_layout); }

static hone_status run_qgemm(hone__run *r)
{
    const product *s = r->state;
    const hone__tensor *c = input(r->in, r->input_count, 6), *ys = input(r->in, r->input_count, 7),
                       *yz = input(r->in, r->input_count, 8);
    hone__tensor *y = r->out[0];
    int32_t az, *acc = (int32_t *)((uint8_t *)r->scratch + s->acc_at);
    float as, alpha = hone__node_float(r->node, "alpha", 1);
    size_t n = s->g.n;
    if (!y->count) return HONE_OK;
    if ((c && (!c->count || y->count % c->count || (c->count != y->count && c->count != n && c->count != 1))) ||
        (ys && ys->count != 1) || (yz && yz->count != 1))
        return hone__fail(HONE_E_UNSUPPORTED, "C, y_scale or y_zero_point do not fit");
    hone__gemm_i8_args g = product_args(r, &gemm_layout, &az, &as);
    const float *scales = g.b_scale;
    g.a_scale = g.b_scale = NULL;
    g.b_scale_per_col = 0;
    g.c_f32 = NULL;
    g.c_i32 = acc;
    hone__gemm_i8(&g, (uint8_t *)r->scratch + s->gemm_at, r->pool);
    for (size_t i = 0; i < y->count; i++) {
        float scale = alpha * as * scales[s->g.b_scale_per_col ? i % n : 0];
        int64_t sum = acc[i] + (c ? hone__tensor_i64(c, c->count == y->count ? i : i % c->count) : 0);
        double v = (double)sum * scale;
        if (ys) v = nearbyint(v / hone__tensor_f64(ys, 0)) + (yz ? (double)hone__tensor_i64(yz, 0) : 0);
        hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, v);
    }
    return HONE_OK;
}
const hone__op hone__op_ms_qgemm = {"com.microsoft", "QGemm", infer_qgemm, prepare_qgemm, run_qgemm, 0};
