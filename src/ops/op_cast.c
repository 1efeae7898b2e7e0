/* op_cast.c: Cast and CastLike, Clip, Where. */
#include <math.h>
#include <string.h>

#include "broadcast.h"
#include "float8.h"
#include "infer.h"
#include "kernels/convert/convert.h"
#include "kernels/vec/vec.h"
#include "string_values.h"

enum { PIECE = 1 << 13 };

static hone_status infer_cast(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    int64_t to = hone__node_int(x->node, "to", 0);
    if (to < 1 || to >= HONE_DTYPE_COUNT) return hone__fail(HONE_E_SHAPE, "attribute 'to' is %lld", (long long)to);
    x->out[0] = (hone__type){(hone_dtype)to, x->in[0].shape};
    return HONE_OK;
}

static hone_status infer_cast_like(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    x->out[0] = (hone__type){x->in[1].dtype, x->in[0].shape};
    return HONE_OK;
}

typedef struct job {
    const hone__tensor *in;
    hone__tensor *out;
    bool saturate;
    char round; /* of float8e8m0: u, d, n */
} job;

/* Integers keep their low bits; floats to integers truncate toward zero. */
static void to_int(const job *j, size_t i)
{
    hone_dtype from = j->in->dtype, to = j->out->dtype;
    void *y = (void *)(uintptr_t)j->out->data;
    int64_t v;
    if (hone__dtype_is_float(from)) {
        double x = hone__tensor_f64(j->in, i);
        if (to == HONE_U64 && x >= 9223372036854775808.0 && x < 18446744073709551616.0)
            v = (int64_t)(uint64_t)x;
        else
            v = x != x                       ? 0
                : x >= 9223372036854775808.0 ? INT64_MAX
                : x < -9223372036854775808.0 ? INT64_MIN
                                             : (int64_t)x;
    } else
        v = hone__tensor_i64(j->in, i);
    switch (hone__dtype_bits(to)) {
    case 8: ((uint8_t *)y)[i] = (uint8_t)v; break;
    case 16: ((uint16_t *)y)[i] = (uint16_t)v; break;
    case 32: ((uint32_t *)y)[i] = (uint32_t)v; break;
    case 64: ((uint64_t *)y)[i] = (uint64_t)v; break;
    case 4:
        v = (int64_t)((uint64_t)v & 15);
        hone__element_set_i64(to, y, i, to == HONE_I4 ? (v ^ 8) - 8 : v);
        break;
    default:
        v = (int64_t)((uint64_t)v & 3);
        hone__element_set_i64(to, y, i, to == HONE_I2 ? (v ^ 2) - 2 : v);
        break;
    }
}

static void cast_piece(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    hone_dtype from = j->in->dtype, to = j->out->dtype;
    void *y = (void *)(uintptr_t)j->out->data;
    const void *x = j->in->data;
    size_t n = end - begin;
    (void)thread;
    if (from == HONE_F32 && to == HONE_F16)
        hone__f32_to_f16((const float *)x + begin, (uint16_t *)y + begin, n);
    else if (from == HONE_F16 && to == HONE_F32)
        hone__f16_to_f32((const uint16_t *)x + begin, (float *)y + begin, n);
    else if (from == HONE_F32 && to == HONE_BF16)
        hone__f32_to_bf16((const float *)x + begin, (uint16_t *)y + begin, n);
    else if (from == HONE_BF16 && to == HONE_F32)
        hone__bf16_to_f32((const uint16_t *)x + begin, (float *)y + begin, n);
    else if (from == HONE_I32 && to == HONE_F32)
        for (size_t i = begin; i < end; i++) ((float *)y)[i] = (float)((const int32_t *)x)[i];
    else if (hone__is_float8(to))
        for (size_t i = begin; i < end; i++) hone__store_float8(to, y, i, hone__element_f64(from, x, i), j->saturate);
    else if (to == HONE_F8E8M0)
        for (size_t i = begin; i < end; i++)
            hone__store_e8m0(y, i, hone__element_f64(from, x, i), j->round, j->saturate);
    else if (hone__dtype_is_int(to))
        for (size_t i = begin; i < end; i++) to_int(j, i);
    else if (to == HONE_BOOL)
        for (size_t i = begin; i < end; i++) ((uint8_t *)y)[i] = hone__element_f64(from, x, i) != 0;
    else
        for (size_t i = begin; i < end; i++) hone__element_set_f64(to, y, i, hone__element_f64(from, x, i));
}

static hone_status cast_strings(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->out[0];
    if (x->dtype != HONE_STRING && (hone__dtype_bits(x->dtype) > 64 || x->dtype == HONE_C64))
        return hone__fail(HONE_E_UNSUPPORTED, "casting %s to strings", hone_dtype_name(x->dtype));
    if (x->dtype == HONE_STRING) {
        if (hone__dtype_bits(y->dtype) > 64 || y->dtype == HONE_C64)
            return hone__fail(HONE_E_UNSUPPORTED, "casting strings to %s", hone_dtype_name(y->dtype));
        for (size_t i = 0; i < x->count; i++)
            HONE__TRY(hone__text_number(hone__strings_in(r, 0)[i], y->dtype, hone__out_data(r, 0), i));
        return HONE_OK;
    }
    for (size_t i = 0; i < x->count; i++) {
        char text[32], *own;
        size_t n = hone__number_text(x->dtype, x->data, i, text);
        HONE__TRY(r->text(r, n, &own));
        memcpy(own, text, n);
        ((hone__string *)hone__out_data(r, 0))[i] = (hone__string){own, n};
    }
    return HONE_OK;
}

static hone_status run_cast(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    if (x->dtype == r->out[0]->dtype) {
        if (x->bytes) memcpy(hone__out_data(r, 0), x->data, x->bytes);
        return HONE_OK;
    }
    if (x->dtype == HONE_STRING || r->out[0]->dtype == HONE_STRING) return cast_strings(r);
    job j = {x, r->out[0], hone__node_int(r->node, "saturate", 1) != 0,
             *hone__node_string(r->node, "round_mode", "up")};
    bool packed = hone__dtype_bits(r->out[0]->dtype) < 8; /* neighbours share a byte: one thread */
    hone__pool_run(packed ? NULL : r->pool, x->count, PIECE, cast_piece, &j);
    return HONE_OK;
}
const hone__op hone__op_cast = {"", "Cast", infer_cast, NULL, run_cast, HONE__OP_STRINGS};
const hone__op hone__op_cast_like = {"", "CastLike", infer_cast_like, NULL, run_cast, HONE__OP_STRINGS};

static hone_status infer_clip(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 3));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}

typedef struct clip_job {
    const hone__tensor *in;
    void *y;
    double lo, hi;
    int64_t ilo, ihi;
} clip_job;

static void clip_piece(void *ctx, size_t begin, size_t end, int thread)
{
    const clip_job *j = ctx;
    hone_dtype d = j->in->dtype;
    (void)thread;
    if (d == HONE_F32) {
        hone__vec_unary(HONE__CLIP, (const float *)j->in->data + begin, (float *)j->y + begin, end - begin,
                        (float)j->lo, (float)j->hi);
        return;
    }
    for (size_t i = begin; i < end; i++) {
        if (hone__dtype_is_int(d)) {
            int64_t v = hone__tensor_i64(j->in, i);
            v = v < j->ilo ? j->ilo : v;
            hone__element_set_i64(d, j->y, i, v > j->ihi ? j->ihi : v);
        } else {
            double v = hone__tensor_f64(j->in, i);
            v = v < j->lo ? j->lo : v;
            hone__element_set_f64(d, j->y, i, v > j->hi ? j->hi : v);
        }
    }
}

static hone_status run_clip(hone__run *r)
{
    const hone__tensor *lo = r->input_count > 1 ? r->in[1] : NULL, *hi = r->input_count > 2 ? r->in[2] : NULL;
    if ((lo && lo->count != 1) || (hi && hi->count != 1))
        return hone__fail(HONE_E_SHAPE, "min and max must be scalars");
    clip_job j = {r->in[0],
                  hone__out_data(r, 0),
                  lo ? hone__tensor_f64(lo, 0) : -INFINITY,
                  hi ? hone__tensor_f64(hi, 0) : INFINITY,
                  lo ? hone__tensor_i64(lo, 0) : INT64_MIN,
                  hi ? hone__tensor_i64(hi, 0) : INT64_MAX};
    hone__pool_run(r->pool, r->in[0]->count, PIECE, clip_piece, &j);
    return HONE_OK;
}
const hone__op hone__op_clip = {"", "Clip", infer_clip, NULL, run_clip, HONE__OP_INPLACE};

static hone_status infer_where(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 3));
    HONE__TRY(hone__infer_equal_types(x, 1, 2));
    if (x->in[0].dtype && x->in[0].dtype != HONE_BOOL)
        return hone__fail(HONE_E_SHAPE, "the condition is %s, expected bool", hone_dtype_name(x->in[0].dtype));
    x->out[0].dtype = x->in[1].dtype ? x->in[1].dtype : x->in[2].dtype;
    HONE__TRY(hone__broadcast(&x->in[0].shape, &x->in[1].shape, &x->out[0].shape));
    return hone__broadcast(&x->out[0].shape, &x->in[2].shape, &x->out[0].shape);
}

typedef struct where_job {
    const uint8_t *c;
    const char *a, *b;
    char *y;
    size_t size;
} where_job;

/* size: a constant where it is called, so that copies are moves */
static inline void where_sized(const where_job *j, size_t out, const size_t *at, const size_t *step, size_t n,
                               size_t size)
{
    const uint8_t *c = j->c + at[0];
    const char *a = j->a + at[1] * size, *b = j->b + at[2] * size;
    char *y = j->y + out * size;
    for (size_t i = 0; i < n; i++, c += step[0], a += step[1] * size, b += step[2] * size, y += size)
        memcpy(y, *c ? a : b, size);
}

static void where_piece(void *ctx, size_t out, const size_t *at, const size_t *step, size_t n)
{
    const where_job *j = ctx;
    switch (j->size) {
    case 1: where_sized(j, out, at, step, n, 1); break;
    case 4: where_sized(j, out, at, step, n, 4); break;
    case 8: where_sized(j, out, at, step, n, 8); break;
    default: where_sized(j, out, at, step, n, j->size);
    }
}

static hone_status run_where(hone__run *r)
{
    where_job j = {r->in[0]->data, r->in[1]->data, r->in[2]->data, hone__out_data(r, 0),
                   hone__dtype_size(r->out[0]->dtype)};
    if (!j.size) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(r->out[0]->dtype));
    hone__bcast w;
    hone__bcast_init(&w, r->out[0], r->in, 3);
    hone__bcast_run(&w, r->pool, where_piece, &j);
    return HONE_OK;
}
const hone__op hone__op_where = {"", "Where", infer_where, NULL, run_where, HONE__OP_STRINGS};
