/* ops_build.c: shapes as values, values made of shapes, and operations that join or choose whole values. */
#include <math.h>
#include <string.h>

#include "keras_ops.h"

static kt *first_input(kctx *c, klayer *l, kcall *call)
{
    return hone__kop_tensor(c, l, call, 0, "x|input|tensor|array|x1|a", true);
}

static const int64_t *keep_ints(kctx *c, const int64_t *v, int n)
{
    int64_t *copy = hone__k_alloc(c, (size_t)(n + 1) * sizeof *copy);
    if (copy && n) memcpy(copy, v, (size_t)n * sizeof *v);
    return copy;
}

/* tf.shape: int32 (or int64) [rank] */
hone_status hone__kop_shape(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    int64_t dims[1];
    if (!t) return c->b.status;
    dims[0] = t->rank;
    hone_dtype dtype = hone__kdtype(hone__kop_arg(l, call, -1, "out_type"), HONE_I32);
    hone__value *x = hone__k1(c, "Shape", hone__kt_plain(c, t));
    kt *y = hone__kt_cast(c, hone__kt_new(c, K_PLAIN, x, HONE_I64, 1, dims), dtype);
    if (y) y->ints = keep_ints(c, t->dims, t->rank);
    return hone__k_return(c, call, y);
}

/* One element of a shape: a number, or a value of one element; its int64 value [1], NULL where it is none. */
static hone__value *shape_element(kctx *c, kt *t, kshape *out)
{
    int i = out->rank++;
    if (!t) return NULL;
    if (t->number) {
        double d = hone__kjson_num(t->number, NAN);
        if (!(d >= -1 && d <= K_MAX_DIM) || d != floor(d)) return NULL;
        out->dims[i] = (int64_t)d;
        return hone__k_int(c, out->dims[i]);
    }
    if (t->rank > 1 || (t->rank == 1 && t->dims[0] != 1)) return NULL;
    out->dims[i] = t->ints ? t->ints[0] : -1;
    out->computed[i] = true, out->open += out->dims[i] < 0;
    hone__value *one = hone__kt_plain(c, hone__kt_cast(c, t, HONE_I64));
    return t->rank ? one : hone__k_unsqueeze(c, one, 0);
}

/* A whole shape as one value. */
static bool shape_value(kctx *c, kt *t, kshape *out)
{
    if (t->rank != 1 || t->dims[0] < 0 || t->dims[0] > HONE_MAX_RANK) return false;
    out->rank = (int)t->dims[0];
    out->value = hone__kt_plain(c, hone__kt_cast(c, t, HONE_I64));
    for (int i = 0; i < out->rank; i++) {
        out->dims[i] = t->ints ? t->ints[i] : -1;
        out->computed[i] = true, out->open += out->dims[i] < 0;
    }
    return true;
}

bool hone__kop_shape_arg(kctx *c, const klayer *l, kcall *call, int index, const char *names, kshape *out)
{
    const json_t *v = hone__kop_arg(l, call, index, names),
                 *array = json_object_get(json_object_get(v, "config"), "value");
    hone__value *parts[HONE_MAX_RANK];
    memset(out, 0, sizeof *out);
    if (json_is_array(array)) v = array;
    kt *t = v ? hone__kcall_ref(c, call, v) : NULL;
    bool inputs = !v && !call->args && index == 0; /* Keras 2 wrote a list of sizes as the inputs */
    if (inputs && call->in_count == 1 && call->in[0]->rank == 1) t = call->in[0], inputs = false;
    bool ok = (v || t || inputs) && c->b.status == HONE_OK, list = json_is_array(v) && !t;
    if (t && t->rank == 1)
        ok = ok && shape_value(c, t, out);
    else {
        size_t n = inputs ? (size_t)call->in_count : list ? json_array_size(v) : 1;
        ok = ok && n <= HONE_MAX_RANK;
        for (size_t i = 0; i < n && ok; i++) {
            const json_t *one = list ? json_array_get(v, i) : v;
            json_t *open = json_is_null(one) ? json_integer(-1) : NULL; /* None is what is left */
            if (open && c->made) json_array_append_new(c->made, open);
            parts[i] = shape_element(c, inputs ? call->in[i] : hone__kcall_tensor(c, call, open ? open : one), out);
            ok = parts[i] != NULL;
        }
        out->value = !ok || !out->open ? NULL : n == 1 ? parts[0] : hone__k_concat(c, parts, (int)n, 0);
    }
    if (!ok) hone__k_refuse(c, "argument '%s' is not a shape", names);
    if (ok && !out->open) out->value = hone__k_ints(c, out->dims, (size_t)out->rank);
    return c->b.status == HONE_OK;
}

/* A computed size that is the unknown batch, say, stays unknown to the importer: -1. */
static kt *expanded(kctx *c, hone__value *x, hone_dtype dtype, const kshape *s)
{
    for (int i = 0; i < s->rank; i++)
        if (s->dims[i] < 0 && !s->computed[i]) {
            hone__k_refuse(c, "a shape that leaves sizes open");
            return NULL;
        }
    return hone__kt_new(c, K_PLAIN, hone__k2(c, "Expand", x, s->value), dtype, s->rank, s->dims);
}

/* variant 0: zeros, 1: ones, 2: fill */
hone_status hone__kop_filled(kctx *c, klayer *l, kcall *call)
{
    kshape s;
    int v = l->kind->variant;
    kt *value = v == 2 ? hone__kop_tensor(c, l, call, 1, "value|fill_value", true) : NULL;
    if (v == 2 && !value) return c->b.status;
    hone_dtype dtype = hone__kop_dtype(c, l, call, value ? value->dtype : HONE_F32);
    if (!hone__kop_shape_arg(c, l, call, 0, "shape|dims", &s)) return c->b.status;
    hone__value *x = value ? hone__kt_plain(c, hone__kt_cast(c, value, dtype)) : hone__k_scalar(c, v, dtype);
    return hone__k_return(c, call, expanded(c, x, dtype, &s));
}

hone_status hone__kop_full_like(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call), *value = hone__kop_tensor(c, l, call, 1, "fill_value", true);
    if (!t || !value) return c->b.status;
    hone_dtype dtype = hone__kop_dtype(c, l, call, t->dtype);
    if (value->rank > t->rank) return hone__k_refuse(c, "a value of shape %s", hone__k_dims(c, value));
    hone__value *x = hone__k2(c, "Expand", hone__kt_plain(c, hone__kt_cast(c, value, dtype)),
                              hone__k1(c, "Shape", hone__kt_plain(c, t)));
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, dtype, t->rank, t->dims));
}

hone_status hone__kop_broadcast_to(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call), y;
    kshape s;
    int64_t dims[HONE_MAX_RANK];
    int rank;
    if (!t || !hone__kop_shape_arg(c, l, call, 1, "shape", &s)) return c->b.status;
    y = (kt){.rank = s.rank};
    memcpy(y.dims, s.dims, sizeof y.dims);
    if (!hone__k_broadcast(c, t, &y, &rank, dims)) return c->b.status;
    if (rank != s.rank) return hone__k_shape_error(c, "an input of shape %s does not fit", hone__k_dims(c, t));
    for (int i = 0; i < rank; i++)
        if (s.dims[i] > 0 && dims[i] > s.dims[i])
            return hone__k_shape_error(c, "an input of shape %s does not fit", hone__k_dims(c, t));
    return hone__k_return(c, call, expanded(c, hone__kt_plain(c, t), t->dtype, &s));
}

/* x[begin : begin + size]; a size of -1 is all the rest. */
hone_status hone__kop_slice(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    double from[HONE_MAX_RANK], size[HONE_MAX_RANK];
    int64_t starts[HONE_MAX_RANK], stops[HONE_MAX_RANK], axes[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    if (!t) return c->b.status;
    int n = hone__kop_list(hone__kop_arg(l, call, 1, "start_indices|begin"), from, HONE_MAX_RANK),
        m = hone__kop_list(hone__kop_arg(l, call, 2, "shape|size"), size, HONE_MAX_RANK);
    if (n != t->rank || m != t->rank || n < 1) return hone__k_refuse(c, "limits that are not numbers");
    for (int i = 0; i < n; i++) {
        int64_t old = t->dims[i], first = (int64_t)from[i], count = (int64_t)size[i];
        if (first < 0 || count < -1 || count == 0 || (old >= 0 && first + (count < 0 ? 1 : count) > old))
            return hone__k_shape_error(c, "a slice that does not fit shape %s", hone__k_dims(c, t));
        starts[i] = first, stops[i] = count < 0 ? INT64_MAX : first + count, axes[i] = i;
        dims[i] = count >= 0 ? count : old < 0 ? -1 : old - first;
    }
    size_t k = (size_t)n;
    hone__value *x = hone__emit(&c->b, "Slice", "slice",
                                HONE__INS(hone__kt_plain(c, t), hone__k_ints(c, starts, k), hone__k_ints(c, stops, k),
                                          hone__k_ints(c, axes, k)),
                                HONE__NO_ATTRS);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, t->rank, dims));
}

/* ---- joining ---- */

enum { APPEND, HSTACK, VSTACK, DSTACK };

static kt *with_rank(kctx *c, kt *t, int kind)
{
    int64_t dims[3] = {1, 1, 1};
    if (!t) return NULL;
    if (kind == HSTACK && t->rank == 0) return hone__k_reshaped(c, t, 1, dims);
    if (kind == VSTACK && t->rank < 2) {
        dims[1] = t->rank ? -1 : 1;
        return hone__k_reshaped(c, t, 2, dims);
    }
    if (kind != DSTACK || t->rank > 2) return t;
    int64_t wide[3] = {t->rank < 2 ? 1 : t->dims[0], t->rank < 1 ? 1 : t->dims[t->rank - 1], 1};
    hone__value *x = hone__kt_plain(c, t);
    if (t->rank < 2) x = hone__k_unsqueeze(c, x, 0);
    if (t->rank < 1) x = hone__k_unsqueeze(c, x, 0);
    return hone__kt_new(c, K_PLAIN, hone__k_unsqueeze(c, x, 2), t->dtype, 3, wide);
}

hone_status hone__kop_append(kctx *c, klayer *l, kcall *call)
{
    enum { MOST = 64 };
    kt *in[MOST];
    int kind = l->kind->variant, n = 2;
    if (kind == APPEND) {
        in[0] = hone__kop_tensor(c, l, call, 0, "x1", true), in[1] = hone__kop_tensor(c, l, call, 1, "x2", true);
        bool flat = !hone__kop_arg(l, call, 2, "axis");
        for (int i = 0; i < 2 && flat; i++) in[i] = hone__k_reshaped(c, in[i], 1, (int64_t[]){-1});
    } else
        n = hone__kop_tensors(c, l, call, 0, "xs|tup", in, MOST);
    if (c->b.status != HONE_OK || n < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "no tensors to join");
    for (int i = 0; i < n; i++)
        if (!(in[i] = with_rank(c, in[i], kind))) return c->b.status;
    int rank = in[0]->rank, axis = kind == APPEND   ? hone__kop_axis(c, l, call, 2, "axis", 0, rank)
                                   : kind == DSTACK ? 2
                                   : kind == VSTACK ? 0
                                                    : (rank > 1);
    return hone__k_return(c, call, hone__k_joined(c, in, n, axis));
}

/* The first choice whose condition holds. */
hone_status hone__kop_select(kctx *c, klayer *l, kcall *call)
{
    enum { MOST = 64 };
    kt *on[MOST], *x[MOST];
    const json_t *otherwise = hone__kop_arg(l, call, 2, "default");
    int n = hone__kop_tensors(c, l, call, 0, "condlist", on, MOST),
        m = hone__kop_tensors(c, l, call, 1, "choicelist", x, MOST);
    if (c->b.status != HONE_OK || n < 1 || n != m)
        return c->b.status ? c->b.status : hone__k_refuse(c, "%d conditions and %d choices", n, m);
    kt *y = otherwise ? hone__kcall_tensor(c, call, otherwise) : hone__kt_scalar(c, 0, x[0]->dtype);
    for (int i = n; i-- > 0 && c->b.status == HONE_OK;) y = hone__k_where(c, on[i], x[i], y);
    return y             ? hone__k_return(c, call, y)
           : c->b.status ? c->b.status
                         : hone__k_refuse(c, "a default that is no tensor");
}

/* Adds all inputs. */
hone_status hone__kop_add_n(kctx *c, klayer *l, kcall *call)
{
    kt *in[64], *y;
    int n = hone__kop_tensors(c, l, call, 0, "inputs", in, 64);
    if (n < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "no tensors to add");
    y = n == 1 ? hone__kt_like(c, in[0], K_PLAIN, hone__k1(c, "Identity", hone__kt_plain(c, in[0]))) : in[0];
    for (int i = 1; i < n; i++) y = hone__k_binary(c, "Add", y, in[i]);
    return hone__k_return(c, call, y);
}

/* relu(x) and relu(-x), side by side */
hone_status hone__kop_crelu(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "features", true), *in[2];
    if (!t || t->rank < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "a scalar input");
    in[0] = hone__k_unary(c, t, "Relu"), in[1] = hone__k_unary(c, hone__k_unary(c, t, "Neg"), "Relu");
    if (!in[0] || !in[1]) return c->b.status;
    return hone__k_return(c, call, hone__k_joined(c, in, 2, hone__kop_axis(c, l, call, -1, "axis", -1, t->rank)));
}

/* ---- turning ---- */

/* variant: the axis, from the end where it is negative; tf.image flips axes of [.., height, width, channels] */
hone_status hone__kop_flip_axis(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x|m|image", true);
    int axis = l->kind->variant;
    if (!t) return c->b.status;
    axis = hone__kaxis(c, axis, t->rank);
    hone__value *x = hone__k_slice(c, hone__kt_plain(c, t), axis, INT64_MAX, INT64_MIN, -1);
    return hone__k_return(c, call, hone__kt_like(c, t, K_PLAIN, x));
}

hone_status hone__kop_rot90(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "array|image", true);
    double list[2] = {0, 1}, k = hone__kop_num(l, call, 1, "k", 1);
    const json_t *given = hone__kop_arg(l, call, 2, "axes");
    if (!t) return c->b.status;
    if (!(fabs(k) <= 1e6) || (given && hone__kop_list(given, list, 2) != 2))
        return hone__k_refuse(c, "axes that are not two numbers");
    if (c->keras_major < 3) list[0] = -3, list[1] = -2; /* tf.image.rot90 */
    int a = hone__kaxis(c, (int64_t)list[0], t->rank), b = hone__kaxis(c, (int64_t)list[1], t->rank),
        turns = (((int)k % 4) + 4) % 4;
    if (a == b) return hone__k_shape_error(c, "an axis twice");
    for (int i = 0; i < turns && t; i++) {
        hone__value *x = hone__k_slice(c, hone__kt_plain(c, t), b, INT64_MAX, INT64_MIN, -1);
        t = hone__k_swapped(c, hone__kt_like(c, t, K_PLAIN, x), a, b);
    }
    return hone__k_return(c, call, turns || !t ? t : hone__kt_like(c, t, K_PLAIN, hone__kt_plain(c, t)));
}

/* ---- the rest ---- */

/* The largest one-hot along the second axis (the only one of a vector): what tf.one_hot's maximum says. */
hone_status hone__kop_multi_hot(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x|inputs", true);
    double n = hone__kop_num(l, call, 1, "num_classes|num_tokens", 0);
    if (!t) return c->b.status;
    if (!(n >= 1 && n <= K_MAX_DIM) || t->rank >= 8 || t->rank < 1) return hone__k_refuse(c, "%g classes", n);
    int axis = hone__kop_axis(c, l, call, 2, "axis", -1, t->rank + 1);
    int64_t dims[HONE_MAX_RANK], over[1] = {t->rank > 1};
    for (int i = 0; i <= t->rank; i++) dims[i] = i == axis ? (int64_t)n : t->dims[i > axis ? i - 1 : i];
    hone__value *x = hone__k_one_hot(c, hone__kt_plain(c, hone__kt_cast(c, t, HONE_I64)), t->rank, axis, (int64_t)n);
    kt *hot = hone__kt_new(c, K_PLAIN, x, HONE_F32, t->rank + 1, dims);
    return hone__k_return(c, call, hone__k_reduced(c, hot, "ReduceMax", over, 1, false));
}

/* Clipped to the range of the type, then cast. */
hone_status hone__kop_saturate_cast(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    hone_dtype dtype = hone__kdtype(hone__kop_arg(l, call, 1, "dtype"), HONE_UNDEFINED);
    if (!t) return c->b.status;
    bool is_unsigned = dtype == HONE_U8 || dtype == HONE_U16 || dtype == HONE_U32;
    double bits = dtype == HONE_U8 || dtype == HONE_I8     ? 8
                  : dtype == HONE_U16 || dtype == HONE_I16 ? 16
                  : dtype == HONE_U32 || dtype == HONE_I32 ? 32
                                                           : 0;
    if (dtype == HONE_F32 || (t->dtype == dtype && bits > 0))
        return hone__k_return(
            c, call,
            hone__kt_like(c, hone__kt_cast(c, t, dtype), K_PLAIN, hone__kt_plain(c, hone__kt_cast(c, t, dtype))));
    if (bits == 0 || t->dtype != HONE_F32) return hone__k_refuse(c, "a saturating cast between these types");
    double top = is_unsigned ? ldexp(1, (int)bits) - 1 : ldexp(1, (int)bits - 1) - 1, low = is_unsigned ? 0 : -top - 1;
    if (bits == 32) top = is_unsigned ? 4294967040.0 : 2147483520.0; /* the largest that float32 holds */
    hone__value *x =
        hone__emit(&c->b, "Clip", "clip",
                   HONE__INS(hone__kt_plain(c, t), hone__k_scalar(c, low, HONE_F32), hone__k_scalar(c, top, HONE_F32)),
                   HONE__NO_ATTRS);
    return hone__k_return(c, call, hone__kt_cast(c, hone__kt_like(c, t, K_PLAIN, x), dtype));
}
