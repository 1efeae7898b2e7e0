/* op_integer.c: products on integers: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv; and the forms of domain
 * hone that the machine passes make of dynamic and static quantisation around a convolution. */
#include <math.h>
#include <string.h>

#include "broadcast.h"
#include "conv_shape.h"
#include "epilogue_attrs.h"
#include "kernels/gemm/gemm.h"
#include "kernels/quantize/quantize.h"

static bool is_byte(hone_dtype d) { return !d || d == HONE_U8 || d == HONE_I8; }

static hone_status bytes_only(const hone__infer *x, int a, int b)
{
    if (is_byte(x->in[a].dtype) && is_byte(x->in[b].dtype)) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "inputs %d and %d are %s and %s, expected int8 or uint8", a, b,
                      hone_dtype_name(x->in[a].dtype), hone_dtype_name(x->in[b].dtype));
}

/* Zero points as int32; a scalar, one per row of a, or one per column of b. NULL stays NULL. */
static const int32_t *zero_points(const hone__tensor *t, int32_t *room)
{
    if (!t) return NULL;
    for (size_t i = 0; i < t->count; i++) room[i] = (int32_t)hone__tensor_i64(t, i);
    return room;
}

static hone_status infer_matmul_integer(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 4));
    HONE__TRY(bytes_only(x, 0, 1));
    x->out[0].dtype = HONE_I32;
    return hone__matmul_infer(&x->in[0].shape, &x->in[1].shape, &x->out[0].shape);
}

typedef struct mm {
    hone__gemm_i8_args g;
    size_t az, bz; /* zero points' counts */
    size_t zero_bytes, acc_bytes;
    bool one;
    hone__bcast batch;
} mm;

static void mm_shape(const hone__tensor *a, const hone__tensor *b, mm *s)
{
    size_t k = (size_t)a->dims[a->rank - 1], n = b->rank > 1 ? (size_t)b->dims[b->rank - 1] : 1;
    size_t m = a->rank > 1 ? (size_t)a->dims[a->rank - 2] : 1;
    s->one = b->rank <= 2;
    if (!s->one)
        hone__bcast_matrices(&s->batch, a, b);
    else if (k)
        m = a->count / k;
    s->g = (hone__gemm_i8_args){.m = m,
                                .n = n,
                                .k = k,
                                .a_signed = a->dtype == HONE_I8,
                                .b_signed = b->dtype == HONE_I8,
                                .a_rs = k,
                                .a_cs = 1,
                                .b_rs = n,
                                .b_cs = 1,
                                .c_rs = n};
}

static hone_status check_count(const hone__tensor *t, size_t want, const char *what)
{
    if (!t || t->count == 1 || t->count == want) return HONE_OK;
    return hone__fail(HONE_E_UNSUPPORTED, "%zu %s, expected 1 or %zu", t->count, what, want);
}

/* scratch: kernel | a's zero points | b's | accumulators (QLinearMatMul) */
static hone_status prepare_mm(hone__prepare *p, int a, int b, int az, int bz, bool accumulate)
{
    mm *s = hone__arena_zalloc(p->arena, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    mm_shape(p->in[a], p->in[b], s);
    const hone__tensor *za = az < p->input_count ? p->in[az] : NULL, *zb = bz < p->input_count ? p->in[bz] : NULL;
    HONE__TRY(check_count(za, s->g.m, "a zero points"));
    HONE__TRY(check_count(zb, s->g.n, "b zero points"));
    s->az = za ? za->count : 0;
    s->bz = zb ? zb->count : 0;
    s->g.a_zp_per_row = s->az > 1;
    s->g.b_zp_per_col = s->bz > 1;
    s->zero_bytes = ((s->az + s->bz) * sizeof(int32_t) + 63) / 64 * 64;
    s->acc_bytes = accumulate ? (s->g.m * s->g.n * sizeof(int32_t) + 63) / 64 * 64 : 0;
    /* the scratch query may look at which output is wanted */
    s->g.c_i32 = (int32_t *)(uintptr_t)64;
    p->scratch = p->out[0]->count ? hone__gemm_i8_scratch(&s->g, p->threads) + s->zero_bytes + s->acc_bytes : 0;
    p->state = s;
    return HONE_OK;
}

static hone_status prepare_matmul_integer(hone__prepare *p) { return prepare_mm(p, 0, 1, 2, 3, false); }

typedef struct mm_job {
    const mm *s;
    hone__run *r;
    const hone__tensor *a, *b;
    int32_t *out;
    const int32_t *za, *zb;
    void *scratch;
} mm_job;

static void mm_matrices(void *ctx, size_t out, const size_t *at, const size_t *step, size_t count)
{
    const mm_job *j = ctx;
    hone__gemm_i8_args g = j->s->g;
    g.a_zp = j->za;
    g.b_zp = j->zb;
    for (size_t i = 0; i < count; i++) {
        g.a = (const char *)j->a->data + (at[0] + i * step[0]) * g.m * g.k;
        g.b = (const char *)j->b->data + (at[1] + i * step[1]) * g.k * g.n;
        g.c_i32 = j->out + (out + i) * g.m * g.n;
        hone__gemm_i8(&g, j->scratch, j->r->pool);
    }
}

static void mm_all(const mm *s, mm_job *j)
{
    size_t zero[2] = {0, 0};
    if (s->one)
        mm_matrices(j, 0, zero, zero, 1);
    else
        hone__bcast_run(&s->batch, NULL, mm_matrices, j);
}

static hone_status run_matmul_integer(hone__run *r)
{
    const mm *s = r->state;
    if (!r->out[0]->count) return HONE_OK;
    int32_t *room = r->scratch;
    mm_job j = {s, r, r->in[0], r->in[1], hone__out_data(r, 0), NULL, NULL, (char *)r->scratch + s->zero_bytes};
    j.za = s->az ? zero_points(r->in[2], room) : NULL;
    j.zb = s->bz ? zero_points(r->in[3], room + s->az) : NULL;
    mm_all(s, &j);
    return HONE_OK;
}
const hone__op hone__op_matmul_integer = {
    "", "MatMulInteger", infer_matmul_integer, prepare_matmul_integer, run_matmul_integer, 0};

/* ConvInteger: x, w, x_zero_point?, w_zero_point? */
static hone_status infer_conv_integer(hone__infer *x)
{
    hone__window w;
    bool known;
    HONE__TRY(hone__infer_arity(x, 2, 4));
    HONE__TRY(bytes_only(x, 0, 1));
    x->out[0].dtype = HONE_I32;
    return hone__conv_infer(x, &w, &known);
}

typedef struct ci {
    hone__conv_shape shape;
    hone__epilogue ep;
    size_t kernel_scratch, w_zeros, quantized;
    void *made; /* from constant weights; NULL: made by every run */
} ci;

static size_t round64(size_t n) { return (n + 63) / 64 * 64; }

static hone_status make_weights(hone__prepare *p, int w, ci *s)
{
    size_t bytes = p->in[w]->data ? hone__conv_i8_made(&s->shape) : 0;
    if (!bytes) return HONE_OK;
    char *room = hone__arena_alloc(p->arena, bytes + 63);
    if (!room) return hone__out_of_memory(bytes);
    s->made = room + (64 - (uintptr_t)room % 64) % 64;
    hone__conv_i8_make(&s->shape, p->in[w]->data, p->in[w]->dtype == HONE_I8, s->made);
    return HONE_OK;
}

static hone_status prepare_ci(hone__prepare *p, int w, int wz, ci **out)
{
    ci *s = hone__arena_zalloc(p->arena, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    HONE__TRY(hone__conv_shape_make(p->node, p->in[0], p->in[w], &s->shape));
    const hone__tensor *z = wz < p->input_count ? p->in[wz] : NULL;
    HONE__TRY(check_count(z, s->shape.out_c, "weight zero points"));
    s->w_zeros = z ? z->count : 0;
    if (p->out[0]->count) HONE__TRY(make_weights(p, w, s));
    s->kernel_scratch = p->out[0]->count ? round64(hone__conv_i8_scratch(&s->shape, p->threads, s->made != NULL)) : 0;
    p->scratch = s->kernel_scratch + round64(s->w_zeros * sizeof(int32_t));
    p->state = *out = s;
    return HONE_OK;
}

static hone_status prepare_conv_integer(hone__prepare *p)
{
    ci *s;
    return prepare_ci(p, 1, 3, &s);
}

static hone__conv_i8_args ci_args(const ci *s, const hone__run *r, int w, int wz)
{
    int32_t *zeros = (int32_t *)((char *)r->scratch + s->kernel_scratch);
    return (hone__conv_i8_args){.w = r->in[w]->data,
                                .w_signed = r->in[w]->dtype == HONE_I8,
                                .made = s->made,
                                .w_zp = s->w_zeros ? zero_points(r->in[wz], zeros) : NULL,
                                .w_zp_count = (int)s->w_zeros};
}

static hone_status run_conv_integer(hone__run *r)
{
    const ci *s = r->state;
    if (!r->out[0]->count) return HONE_OK;
    hone__conv_i8_args a = ci_args(s, r, 1, 3);
    a.x = r->in[0]->data;
    a.x_signed = r->in[0]->dtype == HONE_I8;
    a.x_zp = r->input_count > 2 && r->in[2] ? (int32_t)hone__tensor_i64(r->in[2], 0) : 0;
    a.y_i32 = hone__out_data(r, 0);
    hone__conv_i8(&s->shape, &a, r->scratch, r->pool);
    return HONE_OK;
}
const hone__op hone__op_conv_integer = {"", "ConvInteger", infer_conv_integer, prepare_conv_integer, run_conv_integer,
                                        0};

/* hone:DynamicConv: x float, w int8, w_scale [1 or O], bias?, residual? = DynamicQuantizeLinear + ConvInteger + scale +
 * bias + activation, with the same integers in between. */
static hone_status infer_dynamic_conv(hone__infer *x)
{
    hone__window w;
    bool known;
    HONE__TRY(hone__infer_arity(x, 3, 5));
    x->out[0].dtype = HONE_F32;
    HONE__TRY(hone__conv_infer(x, &w, &known));
    return hone__infer_like_output(x, 4);
}

static hone_status prepare_dynamic_conv(hone__prepare *p)
{
    ci *s;
    HONE__TRY(prepare_ci(p, 1, INT32_MAX, &s));
    s->ep = hone__epilogue_read(p->node);
    s->quantized = round64(p->in[0]->count);
    p->scratch = s->kernel_scratch + s->quantized + round64(s->shape.out_c * sizeof(float));
    return HONE_OK;
}

static hone_status run_dynamic_conv(hone__run *r)
{
    const ci *s = r->state;
    const hone__tensor *x = r->in[0], *ws = r->in[2];
    float lo, hi, scale;
    hone__conv_i8_args a = ci_args(s, r, 1, 0);
    uint8_t *q = (uint8_t *)r->scratch + s->kernel_scratch;
    float *scales = (float *)(q + s->quantized);
    if (!r->out[0]->count) return HONE_OK;
    hone__minmax_f32(x->data, x->count, &lo, &hi, r->pool);
    hone__dynamic_params_u8(lo, hi, &scale, &a.x_zp);
    hone__quantize_u8(x->data, x->count, scale, a.x_zp, q, r->pool);
    for (size_t i = 0; i < ws->count; i++) scales[i] = scale * ((const float *)ws->data)[i];
    a.x = q;
    a.scale = scales;
    a.scale_count = ws->count;
    a.y_f32 = hone__out_data(r, 0);
    a.ep = s->ep;
    a.ep.bias = r->input_count > 3 && r->in[3] ? r->in[3]->data : NULL;
    a.ep.residual = r->input_count > 4 && r->in[4] ? r->in[4]->data : NULL;
    hone__conv_i8(&s->shape, &a, r->scratch, r->pool);
    return HONE_OK;
}
const hone__op hone__op_hone_dynamic_conv = {
    "hone", "DynamicConv", infer_dynamic_conv, prepare_dynamic_conv, run_dynamic_conv, 0};

/* QLinearConv: x, x_scale, x_zp, w, w_scale, w_zp, y_scale, y_zp, bias? (int32, in units of x_scale * w_scale).
 * hone:StaticConv is the same with bias as float, and an activation before the rounding. */
static hone_status infer_byte_conv(hone__infer *x)
{
    hone__window w;
    bool known;
    HONE__TRY(bytes_only(x, 0, 3));
    hone__type in[2] = {x->in[0], x->in[3]};
    hone__infer inner = *x;
    inner.in = in;
    HONE__TRY(hone__conv_infer(&inner, &w, &known));
    x->out[0].dtype = x->in[7].dtype ? x->in[7].dtype : x->in[0].dtype;
    return HONE_OK;
}

static hone_status infer_qlinear_conv(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 8, 9));
    return infer_byte_conv(x);
}

/* Weight zero points (input 5) may be absent: 0. */
static hone_status infer_static_conv(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 5, 9));
    return infer_byte_conv(x);
}

/* Scales, bias and zero points of a QLinearConv as the kernel takes them. */
typedef struct qparams {
    float *scales, *bias; /* room for one per channel */
    size_t scale_count;
    bool has_bias; /* int32, now in `bias` */
    int32_t x_zp, y_zp;
    float y_inv;
} qparams;

typedef struct ciq {
    ci conv; /* first: shared with ConvInteger */
    qparams q;
    bool known; /* everything was constant: q is filled */
} ciq;

static hone_status read_qparams(const hone__tensor *const *in, int count, size_t out_c, qparams *q)
{
    const hone__tensor *ws = in[4], *b = count > 8 ? in[8] : NULL;
    float xs = (float)hone__tensor_f64(in[1], 0);
    HONE__TRY(check_count(ws, out_c, "weight scales"));
    q->scale_count = ws->count;
    for (size_t i = 0; i < ws->count; i++) q->scales[i] = xs * (float)hone__tensor_f64(ws, i);
    q->has_bias = b && b->dtype == HONE_I32;
    for (size_t i = 0; q->has_bias && i < b->count; i++)
        q->bias[i] = (float)((double)((const int32_t *)b->data)[i] * q->scales[ws->count == 1 ? 0 : i]);
    q->x_zp = (int32_t)hone__tensor_i64(in[2], 0);
    q->y_zp = (int32_t)hone__tensor_i64(in[7], 0);
    q->y_inv = 1.0f / (float)hone__tensor_f64(in[6], 0);
    return HONE_OK;
}

static bool constant_params(const hone__node *n)
{
    for (int i = 1; i < n->input_count; i++)
        if (n->inputs[i] && !n->inputs[i]->constant) return false;
    return true;
}

static hone_status prepare_qlinear_conv(hone__prepare *p)
{
    ci *s;
    HONE__TRY(prepare_ci(p, 3, 5, &s));
    s->ep = hone__epilogue_read(p->node);
    size_t room = round64(s->shape.out_c * sizeof(float));
    ciq *q = hone__arena_zalloc(p->arena, sizeof *q);
    if (!q) return hone__out_of_memory(sizeof *q);
    q->conv = *s;
    p->state = q;
    q->known = constant_params(p->node);
    if (!q->known) {
        p->scratch += 2 * room;
        return HONE_OK;
    }
    q->q.scales = hone__arena_alloc(p->arena, 2 * room);
    if (!q->q.scales) return hone__out_of_memory(2 * room);
    q->q.bias = (float *)((char *)q->q.scales + room);
    return read_qparams(p->in, p->input_count, s->shape.out_c, &q->q);
}

static hone_status run_qlinear_conv(hone__run *r)
{
    const ciq *state = r->state;
    const ci *s = &state->conv;
    qparams q = state->q;
    if (!r->out[0]->count) return HONE_OK;
    hone__conv_i8_args a = ci_args(s, r, 3, 5);
    if (!state->known) {
        q.scales = (float *)((char *)r->scratch + s->kernel_scratch + round64(s->w_zeros * sizeof(int32_t)));
        q.bias = (float *)((char *)q.scales + round64(s->shape.out_c * sizeof(float)));
        HONE__TRY(read_qparams(r->in, r->input_count, s->shape.out_c, &q));
    }
    a.x = r->in[0]->data;
    a.x_signed = r->in[0]->dtype == HONE_I8;
    a.x_zp = q.x_zp;
    a.scale = q.scales;
    a.scale_count = q.scale_count;
    a.ep = s->ep;
    if (q.has_bias)
        a.ep.bias = q.bias;
    else if (r->input_count > 8 && r->in[8])
        a.ep.bias = r->in[8]->data;
    a.y_q = hone__out_data(r, 0);
    a.y_signed = r->out[0]->dtype == HONE_I8;
    a.y_zp = q.y_zp;
    a.y_scale_inv = q.y_inv;
    hone__conv_i8(&s->shape, &a, r->scratch, r->pool);
    return HONE_OK;
}
const hone__op hone__op_qlinear_conv = {"", "QLinearConv", infer_qlinear_conv, prepare_qlinear_conv, run_qlinear_conv,
                                        0};
const hone__op hone__op_hone_static_conv = {
    "hone", "StaticConv", infer_static_conv, prepare_qlinear_conv, run_qlinear_conv, 0};

/* QLinearMatMul: a, a_scale, a_zp, b, b_scale, b_zp, y_scale, y_zp */
static hone_status infer_qlinear_matmul(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 8, 8));
    HONE__TRY(bytes_only(x, 0, 3));
    HONE__TRY(bytes_only(x, 7, 7));
    x->out[0].dtype = x->in[7].dtype;
    return hone__matmul_infer(&x->in[0].shape, &x->in[3].shape, &x->out[0].shape);
}

static hone_status prepare_qlinear_matmul(hone__prepare *p)
{
    HONE__TRY(prepare_mm(p, 0, 3, 2, 5, false));
    mm *s = p->state;
    HONE__TRY(check_count(p->in[1], s->g.m, "a scales"));
    HONE__TRY(check_count(p->in[4], s->g.n, "b scales"));
    HONE__TRY(check_count(p->in[6], 1, "result scales"));
    HONE__TRY(check_count(p->in[7], 1, "result zero points"));
    s->acc_bytes = round64(p->out[0]->count * sizeof(int32_t));
    p->scratch += s->acc_bytes;
    return HONE_OK;
}

/* y = saturate(round(acc * (a's scale * b's / y's)) + y's zero point) */
static void requantize(const mm *s, hone__run *r, const int32_t *acc)
{
    const hone__tensor *as = r->in[1], *bs = r->in[4];
    float scale = (float)hone__tensor_f64(r->in[6], 0), a = 0, b = (float)hone__tensor_f64(bs, 0);
    bool is_signed = r->out[0]->dtype == HONE_I8;
    float zero = (float)hone__tensor_i64(r->in[7], 0), lo = is_signed ? -128 : 0, hi = lo + 255;
    uint8_t *y = hone__out_data(r, 0);
    for (size_t row = 0; row < r->out[0]->count / s->g.n; row++, y += s->g.n, acc += s->g.n) {
        a = (float)hone__tensor_f64(as, as->count > 1 ? row % s->g.m : 0);
        for (size_t i = 0; i < s->g.n; i++) {
            if (bs->count > 1) b = (float)hone__tensor_f64(bs, i);
            float v = nearbyintf((float)acc[i] * (a * b / scale)) + zero;
            v = v >= lo ? v : lo;
            y[i] = (uint8_t)(int)(v <= hi ? v : hi);
        }
    }
}

static hone_status run_qlinear_matmul(hone__run *r)
{
    const mm *s = r->state;
    hone__tensor *y = r->out[0];
    if (!y->count) return HONE_OK;
    int32_t *acc = r->scratch, *room = (int32_t *)((char *)r->scratch + s->acc_bytes);
    mm_job j = {s, r, r->in[0], r->in[3], acc, NULL, NULL, (char *)room + s->zero_bytes};
    j.za = s->az ? zero_points(r->in[2], room) : NULL;
    j.zb = s->bz ? zero_points(r->in[5], room + s->az) : NULL;
    mm_all(s, &j);
    requantize(s, r, acc);
    return HONE_OK;
}
const hone__op hone__op_qlinear_matmul = {
    "", "QLinearMatMul", infer_qlinear_matmul, prepare_qlinear_matmul, run_qlinear_matmul, 0};

/* hone:StaticAdd: a, a_scale, a_zp, b, b_scale, b_zp, y_scale, y_zp: equal shapes; activation before the rounding. */
static hone_status infer_static_add(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 8, 8));
    x->out[0] = (hone__type){x->in[7].dtype, x->in[0].shape};
    return hone__infer_like_output(x, 3);
}

enum { ADD_BLOCK = 2048 };

typedef struct add_job {
    const hone__tensor *const *in;
    hone__tensor *y;
    float scale[3];
    int32_t zp[3];
    hone__epilogue ep;
} add_job;

static void widen(const hone__tensor *t, size_t at, size_t n, float scale, int32_t zp, float *out)
{
    if (t->dtype == HONE_U8)
        hone__dequantize_u8((const uint8_t *)t->data + at, n, scale, zp, out, NULL);
    else
        hone__dequantize_s8((const int8_t *)t->data + at, n, scale, zp, out, NULL);
}

static void add_piece(void *ctx, size_t begin, size_t end, int thread)
{
    const add_job *j = ctx;
    float a[ADD_BLOCK], b[ADD_BLOCK];
    void *y = (void *)(uintptr_t)j->y->data;
    (void)thread;
    for (size_t at = begin; at < end; at += ADD_BLOCK) {
        size_t n = end - at < ADD_BLOCK ? end - at : ADD_BLOCK;
        widen(j->in[0], at, n, j->scale[0], j->zp[0], a);
        widen(j->in[3], at, n, j->scale[1], j->zp[1], b);
        hone__epilogue_row(&j->ep, NULL, NULL, 0, b, a, n);
        if (j->y->dtype == HONE_U8)
            hone__quantize_u8(a, n, j->scale[2], j->zp[2], (uint8_t *)y + at, NULL);
        else
            hone__quantize_s8(a, n, j->scale[2], j->zp[2], (int8_t *)y + at, NULL);
    }
}

static hone_status run_static_add(hone__run *r)
{
    add_job j = {.in = r->in, .y = r->out[0], .ep = hone__epilogue_read(r->node)};
    for (int i = 0; i < 3; i++) {
        int at = i < 2 ? 3 * i + 1 : 6;
        j.scale[i] = (float)hone__tensor_f64(r->in[at], 0);
        j.zp[i] = (int32_t)hone__tensor_i64(r->in[at + 1], 0);
    }
    const hone__act act = j.ep.act;
    if (act == HONE__ACT_NONE || act == HONE__ACT_RELU || act == HONE__ACT_CLIP) {
        hone__add_bytes_args a = {.x = {r->in[0]->data, r->in[3]->data},
                                  .y = hone__out_data(r, 0),
                                  .lo = act == HONE__ACT_NONE   ? -INFINITY
                                        : act == HONE__ACT_CLIP ? j.ep.a
                                                                : 0,
                                  .hi = act == HONE__ACT_CLIP ? j.ep.b : INFINITY};
        for (int i = 0; i < 3; i++) {
            a.is_signed[i] = (i < 2 ? r->in[3 * i] : r->out[0])->dtype == HONE_I8;
            a.scale[i] = j.scale[i];
            a.zp[i] = j.zp[i];
        }
        hone__add_bytes(&a, r->out[0]->count, r->pool);
        return HONE_OK;
    }
    hone__pool_run(r->pool, r->out[0]->count, 2 * ADD_BLOCK, add_piece, &j);
    return HONE_OK;
}
const hone__op hone__op_hone_static_add = {"hone", "StaticAdd", infer_static_add, NULL, run_static_add, 0};
