/* op_cumulate.c: CumSum and CumProd, Hardmax, Shrink, Det. */
#include <math.h>
#include <string.h>

#include "infer.h"

static hone_status infer_cumulate(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}

static hone_status cumulate(hone__run *r, bool product)
{
    const hone__tensor *x = r->in[0];
    hone_dtype d = x->dtype;
    bool exclusive = hone__node_int(r->node, "exclusive", 0) != 0, reverse = hone__node_int(r->node, "reverse", 0) != 0;
    int axis;
    if (r->in[1]->count != 1) return hone__fail(HONE_E_SHAPE, "axis has %zu values", r->in[1]->count);
    HONE__TRY(hone__axis(hone__tensor_i64(r->in[1], 0), x->rank, &axis));
    size_t n = (size_t)x->dims[axis], inner = 1;
    for (int i = axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    for (size_t row = 0; x->count && row < x->count / n; row++) {
        size_t base = row / inner * n * inner + row % inner;
        double f = product;
        uint64_t whole = product;
        for (size_t k = 0; k < n; k++) {
            size_t at = base + (reverse ? n - 1 - k : k) * inner;
            double f1 = f;
            uint64_t w1 = whole;
            if (hone__dtype_is_int(d)) {
                uint64_t v = (uint64_t)hone__tensor_i64(x, at);
                whole = product ? whole * v : whole + v;
                hone__element_set_i64(d, hone__out_data(r, 0), at, (int64_t)(exclusive ? w1 : whole));
                continue;
            }
            f = product ? f * hone__tensor_f64(x, at) : f + hone__tensor_f64(x, at);
            hone__element_set_f64(d, hone__out_data(r, 0), at, exclusive ? f1 : f);
        }
    }
    return HONE_OK;
}
static hone_status run_cum_sum(hone__run *r) { return cumulate(r, false); }
static hone_status run_cum_prod(hone__run *r) { return cumulate(r, true); }
const hone__op hone__op_cum_sum = {"", "CumSum", infer_cumulate, NULL, run_cum_sum, HONE__OP_INPLACE};
const hone__op hone__op_cum_prod = {"", "CumProd", infer_cumulate, NULL, run_cum_prod, HONE__OP_INPLACE};

static hone_status infer_same(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}

/* 1 at the first largest value of the axis, 0 elsewhere. */
static hone_status run_hardmax(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    int axis;
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", -1), x->rank, &axis));
    size_t n = (size_t)x->dims[axis], inner = 1;
    for (int i = axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    for (size_t row = 0; x->count && row < x->count / n; row++) {
        size_t base = row / inner * n * inner + row % inner, best = 0;
        for (size_t k = 1; k < n; k++)
            if (hone__tensor_f64(x, base + k * inner) > hone__tensor_f64(x, base + best * inner)) best = k;
        for (size_t k = 0; k < n; k++)
            hone__element_set_f64(x->dtype, hone__out_data(r, 0), base + k * inner, k == best);
    }
    return HONE_OK;
}
const hone__op hone__op_hardmax = {"", "Hardmax", infer_same, NULL, run_hardmax, 0};

static hone_status run_shrink(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    double bias = hone__node_float(r->node, "bias", 0), lambd = hone__node_float(r->node, "lambd", 0.5f);
    for (size_t i = 0; i < x->count; i++) {
        double v = hone__tensor_f64(x, i), y = v < -lambd ? v + bias : v > lambd ? v - bias : 0;
        hone__element_set_f64(x->dtype, hone__out_data(r, 0), i, y);
    }
    return HONE_OK;
}
const hone__op hone__op_shrink = {"", "Shrink", infer_same, NULL, run_shrink, HONE__OP_INPLACE};

static hone_status infer_det(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_float(x, 0));
    const hone__shape *s = &x->in[0].shape;
    hone__infer_same(x, 0, 0);
    if (s->rank < 0) return HONE_OK;
    if (s->rank < 2 || !hone__dims_agree(s->dims[s->rank - 1], s->dims[s->rank - 2]))
        return hone__fail(HONE_E_SHAPE, "input 0 is not made of square matrices");
    x->out[0].shape.rank -= 2;
    return HONE_OK;
}
static hone_status prepare_det(hone__prepare *p)
{
    size_t n = (size_t)p->in[0]->dims[p->in[0]->rank - 1];
    p->scratch = n * n * sizeof(double);
    return HONE_OK;
}

/* By elimination with the largest pivot of each column. */
static double determinant(double *m, size_t n)
{
    double det = 1;
    for (size_t c = 0; c < n; c++) {
        size_t pivot = c;
        for (size_t i = c + 1; i < n; i++)
            if (fabs(m[i * n + c]) > fabs(m[pivot * n + c])) pivot = i;
        if (m[pivot * n + c] == 0) return 0;
        if (pivot != c) {
            det = -det;
            for (size_t k = c; k < n; k++) {
                double t = m[c * n + k];
                m[c * n + k] = m[pivot * n + k];
                m[pivot * n + k] = t;
            }
        }
        det *= m[c * n + c];
        for (size_t i = c + 1; i < n; i++) {
            double f = m[i * n + c] / m[c * n + c];
            for (size_t k = c; k < n; k++) m[i * n + k] -= f * m[c * n + k];
        }
    }
    return det;
}
static hone_status run_det(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t n = (size_t)x->dims[x->rank - 1];
    double *m = r->scratch;
    for (size_t i = 0; i < r->out[0]->count; i++) {
        for (size_t k = 0; k < n * n; k++) m[k] = hone__tensor_f64(x, i * n * n + k);
        hone__element_set_f64(x->dtype, hone__out_data(r, 0), i, determinant(m, n));
    }
    return HONE_OK;
}
const hone__op hone__op_det = {"", "Det", infer_det, prepare_det, run_det, 0};
