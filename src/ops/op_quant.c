/* op_quant.c: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, as ONNX defines them: per tensor, per axis, and
 * in blocks. */
#include <math.h>
#include <string.h>

#include "float8.h"
#include "infer.h"
#include "kernels/quantize/quantize.h"

/* Which scale belongs to element i. */
typedef struct layout {
    size_t count;         /* of scales */
    size_t axis, inner;   /* axis size, elements behind it */
    size_t block, blocks; /* elements of the axis per scale; scales along the axis */
} layout;

static hone_status make_layout(const hone__node *n, const hone__tensor *x, const hone__tensor *s, layout *l)
{
    int64_t block = hone__node_int(n, "block_size", 0);
    int axis;
    *l = (layout){.count = s->count, .axis = 1, .inner = 1, .block = 1, .blocks = 1};
    if (s->count == 1 && !block) return HONE_OK;
    HONE__TRY(hone__axis(hone__node_int(n, "axis", 1), x->rank, &axis));
    l->axis = (size_t)x->dims[axis];
    for (int i = axis + 1; i < x->rank; i++) l->inner *= (size_t)x->dims[i];
    if (!block) {
        if (s->rank != 1 || s->dims[0] != x->dims[axis])
            return hone__fail(HONE_E_SHAPE, "%zu scales for axis %d of size %lld", s->count, axis,
                              (long long)x->dims[axis]);
        l->blocks = l->axis;
        return HONE_OK;
    }
    bool fits = s->rank == x->rank && block > 0;
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == axis ? s->dims[i] == (x->dims[i] + block - 1) / block : s->dims[i] == x->dims[i];
    if (!fits)
        return hone__fail(HONE_E_SHAPE, "the scales do not fit blocks of %lld on axis %d", (long long)block, axis);
    l->block = (size_t)block;
    l->blocks = (size_t)s->dims[axis];
    l->count = 0; /* blocked: position depends on the other axes, too */
    return HONE_OK;
}

static size_t scale_at(const layout *l, size_t i)
{
    if (l->count == 1) return 0;
    size_t a = i / l->inner % l->axis;
    if (l->count) return a;
    return (i / l->inner / l->axis * l->blocks + a / l->block) * l->inner + i % l->inner;
}

/* Bytes and float32 with whole runs per scale, or a row of scales along the last axis: the usual cases. */
static bool is_plain(const layout *l, hone_dtype bytes, hone_dtype numbers, const hone__tensor *s)
{
    return (bytes == HONE_U8 || bytes == HONE_I8) && numbers == HONE_F32 && s->dtype == HONE_F32 && l->count;
}

static int32_t zero_at(const hone__tensor *z, size_t k) { return z ? (int32_t)hone__tensor_i64(z, k) : 0; }

static void quantize_run(hone_dtype to, const float *x, size_t n, float scale, int32_t zero, void *y, size_t at,
                         hone__pool *pool)
{
    if (to == HONE_U8)
        hone__quantize_u8(x + at, n, scale, zero, (uint8_t *)y + at, pool);
    else
        hone__quantize_s8(x + at, n, scale, zero, (int8_t *)y + at, pool);
}

static void dequantize_run(const hone__tensor *x, size_t at, size_t n, float scale, int32_t zero, float *y,
                           hone__pool *pool)
{
    if (x->dtype == HONE_U8)
        hone__dequantize_u8((const uint8_t *)x->data + at, n, scale, zero, y + at, pool);
    else
        hone__dequantize_s8((const int8_t *)x->data + at, n, scale, zero, y + at, pool);
}

static hone_status infer_quantize(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 3));
    int64_t to = hone__node_int(x->node, "output_dtype", 0);
    hone_dtype d = hone__has_input(x, 2) ? x->in[2].dtype : to > 0 && to < HONE_DTYPE_COUNT ? (hone_dtype)to : HONE_U8;
    x->out[0] = (hone__type){d, x->in[0].shape};
    return HONE_OK;
}

static hone_status run_quantize(hone__run *r)
{
    const hone__tensor *x = r->in[0], *s = r->in[1], *z = r->input_count > 2 ? r->in[2] : NULL;
    hone__tensor *y = r->out[0];
    layout l;
    HONE__TRY(make_layout(r->node, x, s, &l));
    if (z && z->count != s->count)
        return hone__fail(HONE_E_SHAPE, "%zu zero points for %zu scales", z->count, s->count);
    if (is_plain(&l, y->dtype, x->dtype, s) && (l.count == 1 || l.inner > 1)) {
        size_t run = l.count == 1 ? x->count : l.inner;
        for (size_t at = 0; at < x->count; at += run) {
            size_t k = scale_at(&l, at);
            quantize_run(y->dtype, x->data, run, ((const float *)s->data)[k], zero_at(z, k), hone__out_data(r, 0), at,
                         r->pool);
        }
        return HONE_OK;
    }
    bool saturate = hone__node_int(r->node, "saturate", 1) != 0;
    for (size_t i = 0; i < x->count; i++) {
        size_t k = scale_at(&l, i);
        double v = (float)hone__tensor_f64(x, i) / (float)hone__tensor_f64(s, k);
        if (hone__is_float8(y->dtype))
            hone__store_float8(y->dtype, hone__out_data(r, 0), i, v, saturate);
        else if (hone__dtype_is_float(y->dtype))
            hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, v);
        else {
            double q = nearbyint(v) + (z ? (double)hone__tensor_i64(z, k) : 0);
            hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, q);
        }
    }
    return HONE_OK;
}
const hone__op hone__op_quantize_linear = {"", "QuantizeLinear", infer_quantize, NULL, run_quantize, 0};
const hone__op hone__op_ms_quantize_linear = {"com.microsoft", "QuantizeLinear", infer_quantize, NULL, run_quantize, 0};

static hone_status infer_dequantize(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 3));
    int64_t to = hone__node_int(x->node, "output_dtype", 0);
    x->out[0] = (hone__type){to > 0 && to < HONE_DTYPE_COUNT ? (hone_dtype)to : x->in[1].dtype, x->in[0].shape};
    return HONE_OK;
}

static hone_status run_dequantize(hone__run *r)
{
    const hone__tensor *x = r->in[0], *s = r->in[1], *z = r->input_count > 2 ? r->in[2] : NULL;
    hone__tensor *y = r->out[0];
    layout l;
    HONE__TRY(make_layout(r->node, x, s, &l));
    if (z && z->count != s->count)
        return hone__fail(HONE_E_SHAPE, "%zu zero points for %zu scales", z->count, s->count);
    if (is_plain(&l, x->dtype, y->dtype, s)) {
        const float *scales = s->data;
        float *to = hone__out_data(r, 0);
        if (l.count > 1 && l.inner == 1) { /* a row of scales */
            dequantize_run(x, 0, x->count, 1, 0, to, r->pool);
            for (size_t row = 0; l.axis && row < x->count / l.axis; row++, to += l.axis)
                for (size_t k = 0; k < l.axis; k++) to[k] = (to[k] - (float)zero_at(z, k)) * scales[k];
            return HONE_OK;
        }
        size_t run = l.count == 1 ? x->count : l.inner;
        for (size_t at = 0; at < x->count; at += run) {
            size_t k = scale_at(&l, at);
            dequantize_run(x, at, run, scales[k], zero_at(z, k), to, r->pool);
        }
        return HONE_OK;
    }
    for (size_t i = 0; i < x->count; i++) {
        size_t k = scale_at(&l, i);
        float scale = (float)hone__tensor_f64(s, k);
        double v = hone__tensor_f64(x, i); /* exact up to 32 bits */
        if (z && !hone__dtype_is_float(x->dtype)) v -= hone__tensor_f64(z, k);
        hone__element_set_f64(y->dtype, hone__out_data(r, 0), i, (float)v * scale);
    }
    return HONE_OK;
}
const hone__op hone__op_dequantize_linear = {"", "DequantizeLinear", infer_dequantize, NULL, run_dequantize, 0};
const hone__op hone__op_ms_dequantize_linear = {
    "com.microsoft", "DequantizeLinear", infer_dequantize, NULL, run_dequantize, 0};

static hone_status infer_dynamic(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    if (x->in[0].dtype && x->in[0].dtype != HONE_F32)
        return hone__fail(HONE_E_SHAPE, "input is %s, expected float32", hone_dtype_name(x->in[0].dtype));
    x->out[0] = (hone__type){HONE_U8, x->in[0].shape};
    hone__infer_set(x, 1, HONE_F32, 0, NULL);
    hone__infer_set(x, 2, HONE_U8, 0, NULL);
    return HONE_OK;
}

static hone_status run_dynamic(hone__run *r)
{
    float lo, hi, scale;
    int32_t zp;
    hone__minmax_f32(r->in[0]->data, r->in[0]->count, &lo, &hi, r->pool);
    hone__dynamic_params_u8(lo, hi, &scale, &zp);
    if (r->out[0]) hone__quantize_u8(r->in[0]->data, r->in[0]->count, scale, zp, hone__out_data(r, 0), r->pool);
    if (r->output_count > 1 && r->out[1]) *(float *)hone__out_data(r, 1) = scale;
    if (r->output_count > 2 && r->out[2]) *(uint8_t *)hone__out_data(r, 2) = (uint8_t)zp;
    return HONE_OK;
}
const hone__op hone__op_dynamic_quantize_linear = {"", "DynamicQuantizeLinear", infer_dynamic, NULL, run_dynamic, 0};
