/* ops_reduce.c: reductions over axes, norms and statistics. */
#include <math.h>
#include <string.h>

#include "keras_ops.h"

kt *hone__k_reduced(kctx *c, kt *t, const char *op, const int64_t *axes, int n, bool keep)
{
    int64_t dims[HONE_MAX_RANK], physical[HONE_MAX_RANK];
    bool gone[HONE_MAX_RANK] = {false}, spatial = true;
    if (!t) return NULL;
    int rank = 0, form = K_PLAIN, last = t->rank - 1;
    for (int i = 0; i < n; i++) gone[axes[i]] = true;
    for (int i = 1; i < last; i++) spatial = spatial && gone[i];
    if (t->form[K_MOVED] && !gone[0] && (keep || (spatial && !gone[last]) || (gone[last] && !spatial))) form = K_MOVED;
    for (int i = 0; i < n; i++) physical[i] = hone__kt_axis(t, form, (int)axes[i]);
    for (int i = 0; i < t->rank; i++)
        if (!gone[i] || keep) dims[rank++] = gone[i] ? 1 : t->dims[i];
    hone__value *x = hone__k_reduce(c, op, hone__kt_get(c, t, form), physical, (size_t)n, keep);
    return hone__kt_new(c, keep ? form : K_PLAIN, x, t->dtype, rank, dims);
}

int hone__kop_axes(kctx *c, const klayer *l, const kcall *call, int index, const char *names, int rank, int64_t *axes)
{
    const json_t *given = hone__kop_arg(l, call, index, names);
    if (given) return hone__kaxes(c, given, rank, axes);
    for (int i = 0; i < rank; i++) axes[i] = i;
    return rank;
}

/* mean((x - mean)^2) */
static kt *variance(kctx *c, kt *t, const int64_t *axes, int n, bool keep)
{
    kt *d = hone__k_binary(c, "Sub", t, hone__k_reduced(c, t, "ReduceMean", axes, n, true));
    return d ? hone__k_reduced(c, hone__k_binary(c, "Mul", d, d), "ReduceMean", axes, n, keep) : NULL;
}

static kt *reduce_bool(kctx *c, kt *t, const char *op, const int64_t *axes, int n, bool keep)
{
    kt *whole = hone__kt_cast(c, hone__kt_cast(c, t, HONE_BOOL), HONE_I32);
    return hone__kt_cast(c, hone__k_reduced(c, whole, op, axes, n, keep), HONE_BOOL);
}

static kt *nonzero(kctx *c, kt *t, hone_dtype as)
{
    if (t->dtype != HONE_BOOL)
        t = hone__k_binary_num(c, "Equal", t, 0);
    else
        t = hone__k_unary(c, t, "Not");
    if (!t) return NULL;
    t->dtype = HONE_BOOL;
    return hone__kt_cast(c, hone__k_unary(c, t, "Not"), as);
}

enum { MEAN, SUM, MAX, MIN, PROD, LOGSUMEXP, VAR, STD, ANY, ALL, COUNT, PTP, ZERO_FRACTION };

hone_status hone__kop_reduce(kctx *c, klayer *l, kcall *call)
{
    static const char *const ops[] = {"ReduceMean", "ReduceSum",  "ReduceMax",
                                      "ReduceMin",  "ReduceProd", "ReduceLogSumExp"};
    kt *t = hone__kop_tensor(c, l, call, 0, "x|input_tensor|input|value", true), *y;
    int64_t axes[HONE_MAX_RANK];
    if (!t) return c->b.status;
    int v = l->kind->variant, n = hone__kop_axes(c, l, call, 1, "axis|axes|reduction_indices", t->rank, axes);
    bool keep = hone__kop_bool(l, call, 2, "keepdims|keep_dims", false);
    if (n == 0 && t->rank) return hone__k_refuse(c, "a reduction over no axes");
    if (t->dtype == HONE_BOOL && v < ANY) t = hone__kt_cast(c, t, HONE_I32);
    if (v == MEAN || (v >= LOGSUMEXP && v < ANY)) t = hone__kt_cast(c, t, HONE_F32);
    hone_dtype counted = hone__kop_dtype(c, l, call, c->keras_major >= 3 ? HONE_I32 : HONE_I64);
    switch (v) {
    case VAR: y = variance(c, t, axes, n, keep); break;
    case STD: y = hone__k_unary(c, variance(c, t, axes, n, keep), "Sqrt"); break;
    case ANY: y = reduce_bool(c, t, "ReduceMax", axes, n, keep); break;
    case ALL: y = reduce_bool(c, t, "ReduceMin", axes, n, keep); break;
    case COUNT: y = hone__k_reduced(c, nonzero(c, t, counted), "ReduceSum", axes, n, keep); break;
    case ZERO_FRACTION:
        y = hone__k_reduced(c, nonzero(c, t, HONE_F32), "ReduceMean", axes, n, keep);
        y = hone__k_binary(c, "Sub", hone__kt_scalar(c, 1, HONE_F32), y);
        break;
    case PTP:
        y = hone__k_binary(c, "Sub", hone__k_reduced(c, t, ops[MAX], axes, n, keep),
                           hone__k_reduced(c, t, ops[MIN], axes, n, keep));
        break;
    default: y = hone__k_reduced(c, t, ops[v], axes, n, keep);
    }
    return hone__k_return(c, call, y);
}

hone_status hone__kop_arg_extreme(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x|input", true);
    const json_t *given = hone__kop_arg(l, call, 1, "axis|dimension");
    if (!t || t->rank < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "a scalar input");
    bool keep = hone__kop_bool(l, call, 2, "keepdims", false);
    if (!given && c->keras_major >= 3) { /* over all elements; TensorFlow's default is the first axis */
        if (keep) return hone__k_refuse(c, "argmax over all axes that keeps them");
        t = hone__k_reshaped(c, t, 1, (int64_t[]){-1});
        if (!t) return c->b.status;
    }
    int axis = hone__kjson_axis(c, given, 0, t->rank), rank = 0;
    int64_t dims[HONE_MAX_RANK];
    for (int i = 0; i < t->rank; i++)
        if (i != axis || keep) dims[rank++] = i == axis ? 1 : t->dims[i];
    hone__value *y = hone__emit(&c->b, l->kind->variant ? "ArgMin" : "ArgMax", "arg", HONE__INS(hone__kt_plain(c, t)),
                                HONE__ATTRS(hone__a_int("axis", axis), hone__a_int("keepdims", keep)));
    hone_dtype otherwise = c->keras_major >= 3 ? HONE_I32 : HONE_I64,
               dtype = hone__kdtype(hone__kop_arg(l, call, -1, "output_type"), otherwise);
    return hone__k_return(c, call, hone__kt_cast(c, hone__kt_new(c, K_PLAIN, y, HONE_I64, rank, dims), dtype));
}

/* ---- norms ---- */

/* (sum |x|^p)^(1/p) over axes; p is infinite, 0 or another number */
static kt *vector_norm(kctx *c, kt *t, double p, const int64_t *axes, int n, bool keep)
{
    if (p == 1 || p == 2) return hone__k_reduced(c, t, p == 1 ? "ReduceL1" : "ReduceL2", axes, n, keep);
    if (p == 0) return hone__k_reduced(c, nonzero(c, t, HONE_F32), "ReduceSum", axes, n, keep);
    kt *a = hone__k_unary(c, t, "Abs");
    if (isinf(p)) return hone__k_reduced(c, a, p > 0 ? "ReduceMax" : "ReduceMin", axes, n, keep);
    a = hone__k_reduced(c, hone__k_binary_num(c, "Pow", a, p), "ReduceSum", axes, n, keep);
    return hone__k_binary_num(c, "Pow", a, 1 / p);
}

/* The largest (or smallest) sum of absolute values over rows (1, -1) or columns (inf, -inf) of matrices. */
static kt *matrix_norm(kctx *c, kt *t, double p, int64_t row, int64_t column, bool keep)
{
    int64_t sum = fabs(p) == 1 ? row : column, left = fabs(p) == 1 ? column : row;
    kt *y = hone__k_reduced(c, hone__k_unary(c, t, "Abs"), "ReduceSum", &sum, 1, keep);
    if (!keep && left > sum) left--;
    return hone__k_reduced(c, y, p > 0 ? "ReduceMax" : "ReduceMin", &left, 1, keep);
}

/* The order of a norm: a number, "euclidean" and "fro" for 2. NaN: none of these. */
static double order_of(const json_t *v, bool *frobenius)
{
    const char *s = json_string_value(v);
    *frobenius = !v || (s && (strcmp(s, "fro") == 0 || strcmp(s, "euclidean") == 0));
    if (*frobenius) return 2;
    if (s && strcmp(s, "inf") == 0) return INFINITY;
    return hone__kjson_num(v, NAN);
}

hone_status hone__kop_norm(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, hone__kop_tensor(c, l, call, 0, "x|tensor", true), HONE_F32);
    int64_t axes[HONE_MAX_RANK];
    bool frobenius, keep = hone__kop_bool(l, call, 3, "keepdims|keep_dims", false);
    if (!t) return c->b.status;
    double p = order_of(hone__kop_arg(l, call, 1, "ord"), &frobenius), list[HONE_MAX_RANK];
    const json_t *given = hone__kop_arg(l, call, 2, "axis");
    int n = hone__kop_axes(c, l, call, 2, "axis", t->rank, axes);
    if (isnan(p) || n == 0) return hone__k_refuse(c, "a norm of this order");
    bool flat = !given && c->keras_major < 3; /* tf.norm takes all elements as one vector */
    if (n == 1 || frobenius || flat) return hone__k_return(c, call, vector_norm(c, t, p, axes, n, keep));
    if (n != 2 || (fabs(p) != 1 && !isinf(p))) return hone__k_refuse(c, "the norm of order %g over %d axes", p, n);
    if (hone__kop_list(given, list, 2) == 2) /* rows first, whatever their place */
        for (int i = 0; i < 2; i++) axes[i] = hone__kaxis(c, (int64_t)list[i], t->rank);
    return hone__k_return(c, call, matrix_norm(c, t, p, axes[0], axes[1], keep));
}

/* x / max(norm, epsilon) */
hone_status hone__kop_normalize(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, hone__kop_tensor(c, l, call, 0, "x", true), HONE_F32);
    int64_t axes[HONE_MAX_RANK];
    const json_t *given = hone__kop_arg(l, call, 1, "axis");
    if (!t || t->rank < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "a scalar input");
    bool all = !given && json_object_get(l->config, "axis"); /* "axis": null */
    axes[0] = t->rank - 1;
    int n = given || all ? hone__kop_axes(c, l, call, 1, "axis", t->rank, axes) : 1;
    double order = hone__kop_num(l, call, 2, "order", 2), epsilon = hone__kop_num(l, call, 3, "epsilon", 1e-7);
    if (!(order >= 1) || (order != 2 && n != 1))
        return hone__k_refuse(c, "the norm of order %g over %d axes", order, n);
    kt *norm = hone__k_binary_num(c, "Max", vector_norm(c, t, order, axes, n, true), epsilon);
    return hone__k_return(c, call, hone__k_binary(c, "Div", t, norm));
}

/* tf.math.l2_normalize: x / sqrt(max(sum of squares, epsilon)) */
hone_status hone__kop_l2_normalize(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, hone__kop_tensor(c, l, call, 0, "x", true), HONE_F32);
    int64_t axes[HONE_MAX_RANK];
    if (!t) return c->b.status;
    int n = hone__kop_axes(c, l, call, 1, "axis|dim", t->rank, axes);
    double epsilon = hone__kop_num(l, call, 2, "epsilon", 1e-12);
    if (!(epsilon >= 0)) return hone__k_refuse(c, "an epsilon of %g", epsilon);
    kt *norm = hone__k_binary_num(c, "Max", vector_norm(c, t, 2, axes, n, true), sqrt(epsilon));
    return hone__k_return(c, call, hone__k_binary(c, "Div", t, norm));
}

/* ---- statistics ---- */

/* Mean and variance. */
hone_status hone__kop_moments(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, hone__kop_tensor(c, l, call, 0, "x", true), HONE_F32);
    int64_t axes[HONE_MAX_RANK];
    if (!t) return c->b.status;
    int n = hone__kop_axes(c, l, call, 1, "axes", t->rank, axes);
    bool keep = hone__kop_bool(l, call, 2, "keepdims", false);
    if (n == 0) return hone__k_refuse(c, "moments over no axes");
    call->out[0] = hone__k_reduced(c, t, "ReduceMean", axes, n, keep);
    call->out[1] = variance(c, t, axes, n, keep);
    call->out_count = 2;
    return c->b.status;
}

/* sum(x * w) / sum(w); w has x's shape, or is a vector along the axis */
hone_status hone__kop_average(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, hone__kop_tensor(c, l, call, 0, "x", true), HONE_F32);
    const json_t *weights = hone__kop_arg(l, call, 2, "weights"), *given = hone__kop_arg(l, call, 1, "axis");
    int64_t axes[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    if (!t) return c->b.status;
    int n = hone__kop_axes(c, l, call, 1, "axis", t->rank, axes);
    if (!weights) return hone__k_return(c, call, hone__k_reduced(c, t, "ReduceMean", axes, n, false));
    kt *w = hone__kt_cast(c, hone__kcall_tensor(c, call, weights), HONE_F32);
    if (!w) return c->b.status ? c->b.status : hone__k_refuse(c, "weights that are not a tensor");
    if (w->rank != t->rank) {
        if (w->rank != 1 || n != 1 || !given)
            return hone__k_refuse(c, "weights of shape %s for %s", hone__k_dims(c, w), hone__k_dims(c, t));
        int rank = t->rank - (int)axes[0];
        for (int i = 0; i < rank; i++) dims[i] = i ? 1 : w->dims[0];
        w = hone__k_reshaped(c, w, rank, dims);
    }
    kt *sum = hone__k_reduced(c, hone__k_binary(c, "Mul", t, w), "ReduceSum", axes, n, false);
    for (int i = 0; i < n && w && w->rank != t->rank; i++) axes[i] = 0;
    kt *total = hone__k_reduced(c, w, "ReduceSum", axes, n, false);
    if (total && w->rank != t->rank) total = hone__k_reshaped(c, total, 0, NULL);
    return hone__k_return(c, call, hone__k_binary(c, "Div", sum, total));
}

/* ---- normalisation with given parameters ---- */

/* A parameter along `axes`, with 1 for the other axes; NULL where there is none. */
static kt *along(kctx *c, const klayer *l, kcall *call, int index, const char *name, const kt *t, const int64_t *axes,
                 int n)
{
    kt *w = hone__kt_cast(c, hone__kop_tensor(c, l, call, index, name, false), HONE_F32);
    int64_t dims[HONE_MAX_RANK];
    bool last = n == 1 && axes[0] == t->rank - 1;
    if (!w || w->rank == t->rank || last || w->rank == 0) return w;
    for (int i = 0, k = 0; i < t->rank; i++) dims[i] = k < n && axes[k] == i ? t->dims[axes[k++]] : 1;
    return hone__k_reshaped(c, w, t->rank, dims);
}

static kt *scaled(kctx *c, kt *t, kt *scale, kt *shift)
{
    if (scale) t = hone__k_binary(c, "Mul", t, scale);
    return shift ? hone__k_binary(c, "Add", t, shift) : t;
}

static kt *divided_by_root(kctx *c, kt *t, kt *square, double epsilon)
{
    return hone__k_binary(c, "Div", t, hone__k_unary(c, hone__k_binary_num(c, "Add", square, epsilon), "Sqrt"));
}

/* variant 0: layer_normalization, 1: rms_normalization */
hone_status hone__kop_layer_norm(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, hone__kop_tensor(c, l, call, 0, "x", true), HONE_F32), *y;
    int64_t axes[HONE_MAX_RANK];
    bool rms = l->kind->variant, odd = !rms && hone__kop_bool(l, call, -1, "rms_scaling", false);
    if (!t || t->rank < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "a scalar input");
    const json_t *given = hone__kop_arg(l, call, -1, "axis");
    axes[0] = t->rank - 1;
    int n = given ? hone__kaxes(c, given, t->rank, axes) : 1;
    double epsilon = hone__kop_num(l, call, -1, "epsilon", 1e-7);
    kt *scale = along(c, l, call, 1, rms ? "scale" : "gamma", t, axes, n),
       *shift = rms || odd ? NULL : along(c, l, call, 2, "beta", t, axes, n);
    if (rms)
        y = divided_by_root(c, t, hone__k_reduced(c, hone__k_binary(c, "Mul", t, t), "ReduceMean", axes, n, true),
                            epsilon);
    else {
        kt *centred = hone__k_binary(c, "Sub", t, hone__k_reduced(c, t, "ReduceMean", axes, n, true));
        kt *spread = centred
                         ? hone__k_reduced(c, hone__k_binary(c, "Mul", centred, centred), "ReduceMean", axes, n, true)
                         : NULL;
        y = divided_by_root(c, odd ? t : centred, spread, epsilon);
    }
    return hone__k_return(c, call, scaled(c, y, scale, shift));
}

hone_status hone__kop_batch_norm(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, hone__kop_tensor(c, l, call, 0, "x", true), HONE_F32);
    int64_t axes[1];
    if (!t || t->rank < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "a scalar input");
    axes[0] = hone__kop_axis(c, l, call, -1, "axis", -1, t->rank);
    kt *mean = along(c, l, call, 1, "mean", t, axes, 1), *spread = along(c, l, call, 2, "variance", t, axes, 1);
    if (!mean || !spread) return c->b.status ? c->b.status : hone__k_refuse(c, "a mean or variance that is not given");
    kt *shift = along(c, l, call, 3, "offset", t, axes, 1), *scale = along(c, l, call, 4, "scale", t, axes, 1);
    double epsilon = hone__kop_num(l, call, -1, "epsilon", 1e-3);
    kt *y = divided_by_root(c, hone__k_binary(c, "Sub", t, mean), spread, epsilon);
    return hone__k_return(c, call, scaled(c, y, scale, shift));
}
