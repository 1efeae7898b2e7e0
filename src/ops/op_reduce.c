/* op_reduce.c: the Reduce family, ArgMax and ArgMin. float32 over neighbouring axes runs on the kernel; everything else
 * goes element by element through double or int64. */
#include <math.h>
#include <string.h>

#include "infer.h"
#include "kernels/norm/norm.h"

/* Which axes are reduced: input 1, else all, or none with noop_with_empty_axes. *known false when the input's value is
 * not. */
static hone_status reduced(const hone__infer *x, bool *set, bool *known)
{
    int rank = x->in[0].shape.rank, count;
    int64_t axes[HONE_MAX_RANK];
    HONE__TRY(hone__infer_ints(x, 1, axes, HONE_MAX_RANK, &count));
    *known = count >= 0 || !hone__has_input(x, 1);
    bool all = (!hone__has_input(x, 1) || count == 0) && !hone__node_int(x->node, "noop_with_empty_axes", 0);
    for (int i = 0; i < rank; i++) set[i] = all;
    for (int i = 0; i < count; i++) {
        int a;
        HONE__TRY(hone__axis(axes[i], rank, &a));
        set[a] = true;
    }
    return HONE_OK;
}

static hone_status infer_reduce(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 2));
    const hone__shape *s = &x->in[0].shape;
    bool set[HONE_MAX_RANK], known, keep = hone__node_int(x->node, "keepdims", 1) != 0;
    x->out[0].dtype = x->in[0].dtype;
    if (s->rank < 0) return HONE_OK;
    HONE__TRY(reduced(x, set, &known));
    if (!known) {
        if (!keep) return HONE_OK;
        x->out[0].shape.rank = s->rank;
        for (int i = 0; i < s->rank; i++) x->out[0].shape.dims[i] = -1;
        return HONE_OK;
    }
    hone__shape o = {0};
    for (int i = 0; i < s->rank; i++)
        if (!set[i])
            o.dims[o.rank++] = s->dims[i];
        else if (keep)
            o.dims[o.rank++] = 1;
    x->out[0].shape = o;
    return HONE_OK;
}

/* A view of x as merged axes, alternately kept and reduced. */
typedef struct fold {
    int rank;
    size_t dims[HONE_MAX_RANK], stride[HONE_MAX_RANK];
    bool set[HONE_MAX_RANK];
} fold;

static fold make_fold(const hone__tensor *x, const bool *set)
{
    fold f = {0};
    for (int i = 0; i < x->rank; i++) {
        if (x->dims[i] == 1) continue;
        if (f.rank && f.set[f.rank - 1] == set[i])
            f.dims[f.rank - 1] *= (size_t)x->dims[i];
        else {
            f.dims[f.rank] = (size_t)x->dims[i];
            f.set[f.rank++] = set[i];
        }
    }
    size_t stride = 1;
    for (int i = f.rank - 1; i >= 0; i--) {
        f.stride[i] = stride;
        stride *= f.dims[i];
    }
    return f;
}

typedef struct acc {
    double f, peak;
    int64_t i;
    size_t n;
} acc;

static void take(hone__reduce kind, acc *a, double f, int64_t i, bool whole, bool u)
{
    bool first = !a->n++;
    switch (kind) {
    case HONE__REDUCE_SUM:
    case HONE__REDUCE_MEAN:
    case HONE__REDUCE_LOGSUM: a->f += f, a->i = (int64_t)((uint64_t)a->i + (uint64_t)i); break;
    case HONE__REDUCE_PROD:
        a->f = first ? f : a->f * f;
        a->i = first ? i : (int64_t)((uint64_t)a->i * (uint64_t)i);
        break;
    case HONE__REDUCE_SUMSQ:
    case HONE__REDUCE_L2: a->f += f * f, a->i = (int64_t)((uint64_t)a->i + (uint64_t)i * (uint64_t)i); break;
    case HONE__REDUCE_L1:
        a->f += fabs(f), a->i = (int64_t)((uint64_t)a->i + (i < 0 ? 0 - (uint64_t)i : (uint64_t)i));
        break;
    case HONE__REDUCE_MAX:
    case HONE__REDUCE_MIN: {
        bool max = kind == HONE__REDUCE_MAX;
        bool more = u ? (uint64_t)i > (uint64_t)a->i : i > a->i;
        if (whole ? first || (more == max && i != a->i) : first || f != f || (max ? f > a->f : f < a->f)) {
            if (whole || !(a->n > 1 && a->f != a->f)) a->f = f, a->i = i;
        }
        break;
    }
    default: /* log-sum-exp, by running peak */
        if (first || f > a->peak) {
            a->f = first ? 1 : a->f * exp(a->peak - f) + 1;
            a->peak = f;
        } else
            a->f += isinf(f) && f < 0 ? 0 : exp(f - a->peak);
        break;
    }
}

static double finish(hone__reduce kind, const acc *a)
{
    switch (kind) {
    case HONE__REDUCE_MEAN: return a->f / (double)a->n;
    case HONE__REDUCE_L2: return sqrt(a->f);
    case HONE__REDUCE_LOGSUM: return log(a->f);
    case HONE__REDUCE_LOGSUMEXP: return a->n ? a->peak + log(a->f) : -INFINITY;
    case HONE__REDUCE_PROD: return a->n ? a->f : 1;
    case HONE__REDUCE_MAX: return a->n ? a->f : -INFINITY;
    case HONE__REDUCE_MIN: return a->n ? a->f : INFINITY;
    default: return a->f;
    }
}

static void store(hone__reduce kind, hone_dtype d, void *y, size_t at, const acc *a)
{
    if (!hone__dtype_is_int(d) && d != HONE_BOOL) {
        hone__element_set_f64(d, y, at, finish(kind, a));
        return;
    }
    int64_t v = a->i;
    if (kind == HONE__REDUCE_MEAN)
        v = a->n ? a->i / (int64_t)a->n : 0;
    else if (kind == HONE__REDUCE_PROD && !a->n)
        v = 1;
    else if (kind == HONE__REDUCE_L2 || kind >= HONE__REDUCE_LOGSUM) {
        double real = finish(kind, a); /* the logarithm of an empty sum has no end */
        v = hone__element_i64(HONE_F64, &real, 0);
    } else if ((kind == HONE__REDUCE_MAX || kind == HONE__REDUCE_MIN) && !a->n)
        v = d == HONE_BOOL ? kind == HONE__REDUCE_MIN : kind == HONE__REDUCE_MAX ? INT64_MIN : INT64_MAX;
    if (hone__dtype_bits(d) == 32)
        ((uint32_t *)y)[at] = (uint32_t)v;
    else
        hone__element_set_i64(d, y, at, v);
}

static void generic(hone__reduce kind, const hone__tensor *x, hone__tensor *y, const fold *f)
{
    size_t kept[HONE_MAX_RANK] = {0};
    bool whole = hone__dtype_is_int(x->dtype) || x->dtype == HONE_BOOL, u = x->dtype == HONE_U64;
    for (size_t at = 0; at < y->count; at++) {
        size_t in[HONE_MAX_RANK] = {0}, base = 0;
        acc a = {0};
        for (int k = 0; k < f->rank; k++)
            if (!f->set[k]) base += kept[k] * f->stride[k];
        for (bool more = x->count > 0; more;) {
            size_t p = base;
            for (int k = 0; k < f->rank; k++)
                if (f->set[k]) p += in[k] * f->stride[k];
            take(kind, &a, whole ? (double)hone__tensor_i64(x, p) : hone__tensor_f64(x, p),
                 whole ? hone__tensor_i64(x, p) : 0, whole, u);
            more = false;
            for (int k = f->rank - 1; k >= 0 && !more; k--) {
                if (!f->set[k]) continue;
                if (++in[k] < f->dims[k])
                    more = true;
                else
                    in[k] = 0;
            }
        }
        store(kind, y->dtype, (void *)(uintptr_t)y->data, at, &a);
        for (int k = f->rank - 1; k >= 0; k--) {
            if (f->set[k]) continue;
            if (++kept[k] < f->dims[k]) break;
            kept[k] = 0;
        }
    }
}

static hone_status apply(hone__run *r, hone__reduce kind)
{
    const hone__tensor *x = r->in[0];
    hone__type types[2] = {{x->dtype, {.rank = x->rank}}};
    bool set[HONE_MAX_RANK], known;
    hone__infer ix = {r->node, r->input_count, 0, types, r->in, NULL, HONE_MAX_RANK};
    HONE__TRY(reduced(&ix, set, &known));
    fold f = make_fold(x, set);
    bool simple = x->dtype == HONE_F32 && x->count && (f.rank <= 1 || (f.rank == 2) || (f.rank == 3 && f.set[1]));
    if (!simple) {
        generic(kind, x, r->out[0], &f);
        return HONE_OK;
    }
    size_t outer = 1, axis = 1, inner = 1;
    for (int k = 0, seen = 0; k < f.rank; k++) {
        if (f.set[k])
            axis = f.dims[k], seen = 1;
        else if (seen)
            inner = f.dims[k];
        else
            outer = f.dims[k];
    }
    hone__reduce_f32(kind, x->data, hone__out_data(r, 0), outer, axis, inner, r->pool);
    return HONE_OK;
}

#define REDUCE(row, name_, kind_)                                          \
    static hone_status run_##row(hone__run *r) { return apply(r, kind_); } \
    const hone__op hone__op_##row = {"", name_, infer_reduce, NULL, run_##row, 0};

REDUCE(reduce_sum, "ReduceSum", HONE__REDUCE_SUM)
REDUCE(reduce_mean, "ReduceMean", HONE__REDUCE_MEAN)
REDUCE(reduce_max, "ReduceMax", HONE__REDUCE_MAX)
REDUCE(reduce_min, "ReduceMin", HONE__REDUCE_MIN)
REDUCE(reduce_prod, "ReduceProd", HONE__REDUCE_PROD)
REDUCE(reduce_sum_square, "ReduceSumSquare", HONE__REDUCE_SUMSQ)
REDUCE(reduce_l1, "ReduceL1", HONE__REDUCE_L1)
REDUCE(reduce_l2, "ReduceL2", HONE__REDUCE_L2)
REDUCE(reduce_log_sum, "ReduceLogSum", HONE__REDUCE_LOGSUM)
REDUCE(reduce_log_sum_exp, "ReduceLogSumExp", HONE__REDUCE_LOGSUMEXP)

static hone_status infer_arg(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    x->out[0].dtype = HONE_I64;
    const hone__shape *s = &x->in[0].shape;
    if (s->rank < 0) return HONE_OK;
    int axis;
    HONE__TRY(hone__axis(hone__node_int(x->node, "axis", 0), s->rank, &axis));
    hone__shape o = {0};
    for (int i = 0; i < s->rank; i++)
        if (i != axis)
            o.dims[o.rank++] = s->dims[i];
        else if (hone__node_int(x->node, "keepdims", 1))
            o.dims[o.rank++] = 1;
    x->out[0].shape = o;
    return HONE_OK;
}

static hone_status arg(hone__run *r, bool max)
{
    const hone__tensor *x = r->in[0];
    int axis;
    bool last = hone__node_int(r->node, "select_last_index", 0) != 0;
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", 0), x->rank, &axis));
    size_t n = (size_t)x->dims[axis], inner = 1;
    if (!n && r->out[0]->count) return hone__fail(HONE_E_SHAPE, "axis %d is empty", axis);
    for (int i = axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    int64_t *y = hone__out_data(r, 0);
    for (size_t k = 0; k < r->out[0]->count; k++) {
        size_t base = k / inner * n * inner + k % inner, best = 0;
        double top = hone__tensor_f64(x, base);
        for (size_t i = 1; i < n; i++) {
            double v = hone__tensor_f64(x, base + i * inner);
            if ((max ? v > top : v < top) || (last && v == top)) top = v, best = i;
        }
        y[k] = (int64_t)best;
    }
    return HONE_OK;
}
static hone_status run_arg_max(hone__run *r) { return arg(r, true); }
static hone_status run_arg_min(hone__run *r) { return arg(r, false); }
const hone__op hone__op_arg_max = {"", "ArgMax", infer_arg, NULL, run_arg_max, 0};
const hone__op hone__op_arg_min = {"", "ArgMin", infer_arg, NULL, run_arg_min, 0};
