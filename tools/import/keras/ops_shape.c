/* ops_shape.c: operations that rearrange values. */
#include <math.h>
#include <string.h>

#include "keras_ops.h"

static int read_list(const json_t *v, double *out, int max)
{
    const json_t *config = json_object_get(v, "config");
    if (json_is_object(v) && config) v = json_object_get(config, "value");
    if (json_is_number(v)) {
        out[0] = json_number_value(v);
        return 1;
    }
    int n = (int)json_array_size(v);
    if (!json_is_array(v) || n > max) return -1;
    for (int i = 0; i < n; i++) {
        const json_t *one = json_array_get(v, (size_t)i);
        out[i] = json_is_null(one) ? -1 : hone__kjson_num(one, NAN);
        if (!(fabs(out[i]) <= K_MAX_DIM)) return -1;
    }
    return n;
}

static kt *first_input(kctx *c, klayer *l, kcall *call)
{
    return hone__kop_tensor(c, l, call, 0, "x|input|tensor|value|a|input_tensor|images", true);
}

hone_status hone__kop_reshape(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    double to[HONE_MAX_RANK] = {-1};
    int n = l->kind->variant ? 1 : read_list(hone__kop_arg(l, call, 1, "newshape|shape"), to, 8), open = -1;
    if (!t || n < 0) return c->b.status ? c->b.status : hone__k_refuse(c, "a shape that is not a list of numbers");
    int64_t dims[HONE_MAX_RANK], target[HONE_MAX_RANK], have = 1, want = 1;
    for (int i = 0; i < t->rank; i++)
        if (have >= 0 && (t->dims[i] < 0 || __builtin_mul_overflow(have, t->dims[i], &have))) have = -1;
    for (int i = 0; i < n; i++) {
        if (to[i] == -1 && open >= 0 && !(i > 0 && open == 0))
            return hone__k_refuse(c, "a shape with two unknown sizes");
        if (to[i] == -1) open = open < 0 ? i : open;
        if (to[i] == 0 || to[i] < -1 || (to[i] > 0 && __builtin_mul_overflow(want, (int64_t)to[i], &want)))
            return hone__k_shape_error(c, "a target dimension of %g", to[i]);
        dims[i] = target[i] = (int64_t)to[i];
    }
    if (have >= 0 && open >= 0) {
        if (have % want) return hone__k_shape_error(c, "an input of shape %s does not fit", hone__k_dims(c, t));
        dims[open] = have / want;
    } else if (have >= 0 && have != want)
        return hone__k_shape_error(c, "an input of shape %s does not fit", hone__k_dims(c, t));
    int unknown = 0;
    for (int i = 0; i < n; i++) unknown += target[i] < 0;
    if (unknown > 1) { /* the batch is copied, the other one computed: only where the first stays the first */
        if (t->rank < 1 || t->dims[0] >= 0) return hone__k_refuse(c, "a shape with two unknown sizes");
        target[0] = 0;
    } else if (n && open == 0 && have < 0 && t->rank > 0 && t->dims[0] < 0) {
        int64_t rest = 1;
        for (int i = 1; i < t->rank; i++) rest = rest < 0 || t->dims[i] < 0 ? -1 : rest * t->dims[i];
        if (rest == want) target[0] = 0; /* keeps the batch's symbol */
    }
    hone__value *x = hone__k_reshape(c, hone__kt_plain(c, t), n, target);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, n, dims));
}

hone_status hone__kop_expand_dims(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    double list[HONE_MAX_RANK];
    int n = read_list(hone__kop_arg(l, call, 1, "axis"), list, 8), k = 0;
    if (!t || n < 1 || t->rank + n > 8)
        return c->b.status ? c->b.status : hone__k_refuse(c, "an axis that is not a number");
    int rank = t->rank + n;
    bool fresh[HONE_MAX_RANK] = {false};
    int64_t dims[HONE_MAX_RANK], axes[HONE_MAX_RANK];
    for (int i = 0; i < n; i++) fresh[hone__kaxis(c, (int64_t)list[i], rank)] = true;
    n = 0;
    for (int i = 0; i < rank; i++) {
        if (fresh[i])
            axes[n++] = i, dims[i] = 1;
        else if (k < t->rank)
            dims[i] = t->dims[k++];
    }
    if (k != t->rank || n + k != rank) return hone__k_shape_error(c, "an axis twice");
    hone__value *x = hone__k2(c, "Unsqueeze", hone__kt_plain(c, t), hone__k_ints(c, axes, (size_t)n));
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, rank, dims));
}

hone_status hone__kop_squeeze(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    const json_t *given = hone__kop_arg(l, call, 1, "axis");
    int64_t axes[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    int n = 0, rank = 0;
    if (!t) return c->b.status;
    if (given && (!json_is_array(given) || json_array_size(given)))
        n = hone__kaxes(c, given, t->rank, axes);
    else
        for (int i = 0; i < t->rank; i++)
            if (t->dims[i] == 1) axes[n++] = i;
    for (int i = 0, k = 0; i < t->rank; i++) {
        if (k < n && axes[k] == i) {
            if (t->dims[i] > 1) return hone__k_shape_error(c, "axis %d of shape %s is not 1", i, hone__k_dims(c, t));
            k++;
        } else
            dims[rank++] = t->dims[i];
    }
    hone__value *x =
        n ? hone__k2(c, "Squeeze", hone__kt_plain(c, t), hone__k_ints(c, axes, (size_t)n)) : hone__kt_plain(c, t);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, rank, dims));
}

/* variant 0: transpose, 1: two axes swapped, 2: axes moved */
hone_status hone__kop_transpose(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    double list[HONE_MAX_RANK], other[HONE_MAX_RANK];
    int64_t perm[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    if (!t) return c->b.status;
    int rank = t->rank, order[HONE_MAX_RANK];
    unsigned seen = 0;
    const json_t *axes = hone__kop_arg(l, call, 1, "axes|perm");
    for (int i = 0; i < rank; i++) order[i] = l->kind->variant ? i : rank - 1 - i;
    if (l->kind->variant == 0 && axes) {
        if (read_list(axes, list, 8) != rank) return hone__k_shape_error(c, "axes for another rank than %d", rank);
        for (int i = 0; i < rank; i++) order[i] = hone__kaxis(c, (int64_t)list[i], rank);
    } else if (l->kind->variant == 1) {
        int a = hone__kaxis(c, (int64_t)hone__kop_num(l, call, 1, "axis1", 0), rank),
            b = hone__kaxis(c, (int64_t)hone__kop_num(l, call, 2, "axis2", 0), rank);
        order[a] = b, order[b] = a;
    } else if (l->kind->variant == 2) {
        int n = read_list(hone__kop_arg(l, call, 1, "source"), list, 8),
            m = read_list(hone__kop_arg(l, call, 2, "destination"), other, 8), k = 0;
        bool from[HONE_MAX_RANK] = {false}, to[HONE_MAX_RANK] = {false};
        if (n < 1 || n != m) return hone__k_refuse(c, "axes that are not lists of numbers");
        for (int i = 0; i < n; i++) {
            int s = hone__kaxis(c, (int64_t)list[i], rank), d = hone__kaxis(c, (int64_t)other[i], rank);
            from[s] = to[d] = true, order[d] = s;
        }
        for (int i = 0; i < rank; i++) {
            if (to[i]) continue;
            while (k < rank && from[k]) k++;
            order[i] = k < rank ? k++ : 0;
        }
    }
    int form = t->form[K_PLAIN] || !t->form[K_MOVED] ? K_PLAIN : K_MOVED;
    for (int i = 0; i < rank; i++) {
        if (seen >> order[i] & 1) return hone__k_shape_error(c, "an axis twice");
        seen |= 1u << order[i];
        perm[i] = hone__kt_axis(t, form, order[i]), dims[i] = t->dims[order[i]];
    }
    hone__value *x = hone__k_transpose(c, hone__kt_get(c, t, form), rank, perm);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, rank, dims));
}

/* variant 1: stack, along a new axis */
hone_status hone__kop_concatenate(kctx *c, klayer *l, kcall *call)
{
    int64_t axis = (int64_t)hone__kop_num(l, call, l->kind->variant ? -1 : 1, "axis", 0), axes[1];
    if (call->in_count < 1) return hone__k_refuse(c, "no tensors to join");
    if (l->kind->variant) {
        int rank = call->in[0]->rank;
        axis = axes[0] = hone__kaxis(c, axis, rank + 1);
        for (int i = 0; i < call->in_count; i++) {
            kt *t = call->in[i];
            if (t->rank != rank || rank >= 8) return hone__k_shape_error(c, "inputs of different ranks");
            int64_t dims[HONE_MAX_RANK];
            for (int d = 0; d <= t->rank; d++) dims[d] = d == axis ? 1 : t->dims[d > axis ? d - 1 : d];
            hone__value *x = hone__k2(c, "Unsqueeze", hone__kt_plain(c, t), hone__k_ints(c, axes, 1));
            call->in[i] = hone__kt_new(c, K_PLAIN, x, t->dtype, t->rank + 1, dims);
            if (!call->in[i]) return c->b.status;
        }
    }
    json_t *config = json_pack("{s:I}", "axis", (json_int_t)axis);
    if (c->made) json_array_append_new(c->made, config);
    klayer like = *l;
    like.config = config;
    return hone__klayer_concatenate(c, &like, call);
}

/* variant 1: every element of an axis by itself */
hone_status hone__kop_split(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    double list[K_MAX_OUT];
    if (!t) return c->b.status;
    int axis = hone__kaxis(c, (int64_t)hone__kop_num(l, call, 2, "axis", 0), t->rank), n;
    int64_t size = t->dims[axis], at[K_MAX_OUT + 1] = {0};
    const json_t *parts = hone__kop_arg(l, call, 1, "indices_or_sections|num_or_size_splits");
    bool sizes = hone__kop_arg(l, call, -1, "num_or_size_splits") != NULL;
    if (size < 1) return hone__k_refuse(c, "axis %d of shape %s is not known", axis, hone__k_dims(c, t));
    if (l->kind->variant || !json_is_array(parts)) {
        double count = l->kind->variant ? (double)size : hone__kjson_num(parts, 0);
        if (!(count >= 1 && count <= K_MAX_OUT) || size % (int64_t)count)
            return hone__k_shape_error(c, "an axis of %lld in %g parts", (long long)size, count);
        n = (int)count;
        for (int i = 0; i <= n; i++) at[i] = size / n * i;
    } else {
        n = read_list(parts, list, K_MAX_OUT - 1);
        if (n < 1) return hone__k_refuse(c, "parts that are not numbers");
        for (int i = 0; i < n; i++) at[i + 1] = (int64_t)list[i] + (sizes ? at[i] : 0);
        if (!sizes) at[++n] = size;
        for (int i = 0; i < n; i++)
            if (at[i + 1] <= at[i] || at[i + 1] > size)
                return hone__k_shape_error(c, "parts that do not fit an axis of %lld", (long long)size);
    }
    int form = t->form[K_MOVED] && !l->kind->variant ? K_MOVED : K_PLAIN;
    hone__value *x = hone__kt_get(c, t, form);
    for (int i = 0; i < n; i++) {
        hone__value *y = hone__k_slice(c, x, hone__kt_axis(t, form, axis), at[i], at[i + 1], 1);
        int64_t dims[HONE_MAX_RANK];
        int rank = 0;
        for (int d = 0; d < t->rank; d++)
            if (d != axis || !l->kind->variant) dims[rank++] = d == axis ? at[i + 1] - at[i] : t->dims[d];
        if (l->kind->variant) y = hone__k_squeeze(c, y, axis);
        call->out[i] = hone__kt_new(c, form, y, t->dtype, rank, dims);
    }
    call->out_count = n;
    return c->b.status;
}

hone_status hone__kop_pad(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    const json_t *width = hone__kop_arg(l, call, 1, "pad_width|paddings");
    const char *mode = json_string_value(hone__kop_arg(l, call, 2, "mode"));
    double value = hone__kop_num(l, call, 3, "constant_values", 0);
    int64_t pads[2 * HONE_MAX_RANK], dims[HONE_MAX_RANK];
    if (!t) return c->b.status;
    if (!mode) mode = "constant";
    bool reflect = strcmp(mode, "reflect") == 0 || strcmp(mode, "REFLECT") == 0,
         constant = strcmp(mode, "constant") == 0 || strcmp(mode, "CONSTANT") == 0;
    if (!reflect && !constant) return hone__k_refuse(c, "padding mode '%s'", mode);
    int form = t->form[K_MOVED] ? K_MOVED : K_PLAIN;
    for (int i = 0; i < t->rank; i++) {
        const json_t *pair = json_array_size(width) == 1 && json_is_array(json_array_get(width, 0))
                                 ? json_array_get(width, 0)
                             : json_is_array(json_array_get(width, 0)) ? json_array_get(width, (size_t)i)
                                                                       : width;
        double a = hone__kjson_num(json_is_array(pair) ? json_array_get(pair, 0) : pair, -1),
               b = hone__kjson_num(json_is_array(pair) ? json_array_get(pair, 1) : pair, -1);
        if (!(a >= 0 && b >= 0 && a <= K_MAX_DIM && b <= K_MAX_DIM))
            return hone__k_refuse(c, "a padding that is not a list of numbers");
        int at = hone__kt_axis(t, form, i);
        pads[at] = (int64_t)a, pads[at + t->rank] = (int64_t)b;
        dims[i] = t->dims[i] < 0 ? -1 : t->dims[i] + (int64_t)(a + b);
        if (dims[i] > K_MAX_DIM) return hone__k_shape_error(c, "an output axis of %lld", (long long)dims[i]);
    }
    hone__value *amount = hone__k_ints(c, pads, (size_t)t->rank * 2),
                *fill = value == 0 ? NULL : hone__k_scalar(c, value, t->dtype);
    hone__value *x = hone__emit(&c->b, "Pad", "pad", HONE__INS(hone__kt_get(c, t, form), amount, fill),
                                HONE__ATTRS(hone__a_string("mode", reflect ? "reflect" : "constant")));
    return hone__k_return(c, call, hone__kt_new(c, form, x, t->dtype, t->rank, dims));
}

/* variant 1: every element repeated along one axis */
hone_status hone__kop_tile(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    double list[HONE_MAX_RANK];
    int64_t repeats[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    int n = read_list(hone__kop_arg(l, call, 1, "repeats|multiples"), list, 8);
    if (!t || n < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "repeats that are not numbers");
    if (l->kind->variant) {
        const json_t *given = hone__kop_arg(l, call, 2, "axis");
        if (n != 1 || !given || t->rank >= 8 || list[0] < 1)
            return hone__k_refuse(c, "a repetition that differs along the axis");
        int axis = hone__kaxis(c, (int64_t)hone__kjson_num(given, 0), t->rank);
        for (int i = 0; i <= t->rank; i++)
            repeats[i] = i == axis + 1 ? (int64_t)list[0] : 1, dims[i] = i > axis ? 0 : 0;
        hone__value *x = hone__k2(c, "Tile", hone__k_unsqueeze(c, hone__kt_plain(c, t), axis + 1),
                                  hone__k_ints(c, repeats, (size_t)t->rank + 1));
        if (axis == 0 || !hone__kt_known(t, 1))
            return hone__k_refuse(c, "a repetition along axis %d of shape %s", axis, hone__k_dims(c, t));
        memcpy(dims, t->dims, sizeof dims);
        dims[axis] *= (int64_t)list[0];
        int64_t to[HONE_MAX_RANK];
        memcpy(to, dims, sizeof to);
        to[0] = 0;
        return hone__k_return(c, call,
                              hone__kt_new(c, K_PLAIN, hone__k_reshape(c, x, t->rank, to), t->dtype, t->rank, dims));
    }
    if (n > t->rank) return hone__k_refuse(c, "more repeats than axes");
    for (int i = 0; i < t->rank; i++) {
        int k = i - (t->rank - n);
        repeats[i] = k < 0 ? 1 : (int64_t)list[k];
        if (repeats[i] < 1 || (t->dims[i] > 0 && repeats[i] > K_MAX_DIM / t->dims[i]))
            return hone__k_shape_error(c, "%lld repeats", (long long)repeats[i]);
        dims[i] = t->dims[i] < 0 ? -1 : t->dims[i] * repeats[i];
    }
    hone__value *x = hone__k2(c, "Tile", hone__kt_plain(c, t), hone__k_ints(c, repeats, (size_t)t->rank));
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, t->rank, dims));
}

hone_status hone__kop_flip(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    const json_t *given = hone__kop_arg(l, call, 1, "axis");
    int64_t axes[HONE_MAX_RANK];
    if (!t) return c->b.status;
    int n = given ? hone__kaxes(c, given, t->rank, axes) : 0;
    if (!n) return hone__k_refuse(c, "a flip of all axes");
    hone__value *x = hone__kt_plain(c, t);
    for (int i = 0; i < n; i++) x = hone__k_slice(c, x, axes[i], INT64_MAX, INT64_MIN, -1);
    return hone__k_return(c, call, hone__kt_like(c, t, K_PLAIN, x));
}

hone_status hone__kop_take(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call), *at = hone__kop_tensor(c, l, call, 1, "indices", true);
    const json_t *given = hone__kop_arg(l, call, 2, "axis");
    if (!t || !at) return c->b.status;
    if (!given) return hone__k_refuse(c, "taking from the flattened value");
    int axis = hone__kaxis(c, (int64_t)hone__kjson_num(given, 0), t->rank), rank = 0;
    int64_t dims[HONE_MAX_RANK];
    if (t->rank + at->rank - 1 > 8) return hone__k_refuse(c, "a result of rank above 8");
    for (int i = 0; i < axis; i++) dims[rank++] = t->dims[i];
    for (int i = 0; i < at->rank; i++) dims[rank++] = at->dims[i];
    for (int i = axis + 1; i < t->rank; i++) dims[rank++] = t->dims[i];
    hone__value *index = hone__kt_plain(c, hone__kt_cast(c, at, at->dtype == HONE_I64 ? HONE_I64 : HONE_I32));
    hone__value *x = hone__emit(&c->b, "Gather", "take", HONE__INS(hone__kt_plain(c, t), index),
                                HONE__ATTRS(hone__a_int("axis", axis)));
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, rank, dims));
}

hone_status hone__kop_fill_like(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    if (!t) return c->b.status;
    hone_dtype dtype = hone__kdtype(hone__kop_arg(l, call, 1, "dtype"), t->dtype);
    int form = t->form[K_MOVED] ? K_MOVED : K_PLAIN;
    hone__value *x = hone__k2(c, "Expand", hone__k_scalar(c, l->kind->variant, dtype),
                              hone__k1(c, "Shape", hone__kt_get(c, t, form)));
    kt *y = hone__kt_like(c, t, form, x);
    if (y) y->dtype = dtype, y->mask = NULL;
    return hone__k_return(c, call, y);
}

hone_status hone__kop_one_hot(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "x|indices", true);
    double n = hone__kop_num(l, call, 1, "num_classes|depth", 0);
    if (!t) return c->b.status;
    if (!(n >= 1 && n <= K_MAX_DIM) || t->rank >= 8) return hone__k_refuse(c, "%g classes", n);
    int axis = hone__kaxis(c, (int64_t)hone__kop_num(l, call, 2, "axis", -1), t->rank + 1);
    int64_t dims[HONE_MAX_RANK];
    for (int i = 0; i <= t->rank; i++) dims[i] = i == axis ? (int64_t)n : t->dims[i > axis ? i - 1 : i];
    hone__value *x = hone__k_one_hot(c, hone__kt_plain(c, hone__kt_cast(c, t, HONE_I64)), t->rank, axis, (int64_t)n);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, HONE_F32, t->rank + 1, dims));
}

hone_status hone__kop_pool(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kop_tensor(c, l, call, 0, "inputs|input", true);
    double pool[3], stride[3];
    int64_t p[3], s[3];
    if (!t) return c->b.status;
    int nd = t->rank - 2, n = read_list(hone__kop_arg(l, call, 1, "pool_size"), pool, 3);
    const json_t *given = hone__kop_arg(l, call, 2, "strides");
    int m = given ? read_list(given, stride, 3) : 0;
    const char *padding = json_string_value(hone__kop_arg(l, call, 3, "padding"));
    if (nd < 1 || nd > 3 || (n != 1 && n != nd) || (m > 1 && m != nd) || m < 0)
        return hone__k_refuse(c, "a window of another rank");
    for (int i = 0; i < nd; i++) {
        p[i] = (int64_t)pool[n == 1 ? 0 : i];
        s[i] = m == 0 ? p[i] : (int64_t)stride[m == 1 ? 0 : i];
        if (p[i] < 1 || s[i] < 1) return hone__k_shape_error(c, "a window of 0");
    }
    return hone__k_return(c, call, hone__k_pool(c, l, t, nd, l->kind->variant, p, s, padding ? padding : "valid"));
}
