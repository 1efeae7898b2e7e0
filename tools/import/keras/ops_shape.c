/* ops_shape.c: operations that rearrange values. */
#include <math.h>
#include <string.h>

#include "keras_ops.h"

static kt *first_input(kctx *c, klayer *l, kcall *call)
{
    return hone__kop_tensor(c, l, call, 0, "x|input|tensor|value|a|input_tensor|images", true);
}

kt *hone__k_reshaped(kctx *c, kt *t, int rank, const int64_t *dims)
{
    int64_t have = 1, want = 1, out[HONE_MAX_RANK] = {0};
    int open = -1;
    if (!t) return NULL;
    for (int i = 0; i < t->rank; i++)
        if (have >= 0 && (t->dims[i] < 0 || __builtin_mul_overflow(have, t->dims[i], &have))) have = -1;
    for (int i = 0; i < rank; i++) {
        out[i] = dims[i];
        if (dims[i] < 0)
            open = i;
        else if (__builtin_mul_overflow(want, dims[i], &want))
            want = 0;
    }
    if (want < 1 || (have >= 0 && (open < 0 ? have != want : have % want))) {
        hone__k_shape_error(c, "an input of shape %s does not fit", hone__k_dims(c, t));
        return NULL;
    }
    if (open >= 0) out[open] = have < 0 ? -1 : have / want;
    return hone__kt_new(c, K_PLAIN, hone__k_reshape(c, hone__kt_plain(c, t), rank, dims), t->dtype, rank, out);
}

/* variant 0: to a shape, 1: one axis, 2: the batch and one axis.
 * -1 in a target is what is left; one that only a run tells may stand beside it. */
hone_status hone__kop_reshape(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    kshape s = {.rank = l->kind->variant, .dims = {-1, -1}};
    if (!t) return c->b.status;
    if (l->kind->variant == 2 && (t->rank < 1 || !hone__kt_known(t, 1)))
        return hone__k_refuse(c, "an input of shape %s", hone__k_dims(c, t));
    if (!l->kind->variant && !hone__kop_shape_arg(c, l, call, 1, "newshape|shape", &s)) return c->b.status;
    int64_t dims[HONE_MAX_RANK], target[HONE_MAX_RANK], have = 1, want = 1;
    int open = -1, unknown = 0;
    for (int i = 0; i < t->rank; i++)
        if (have >= 0 && (t->dims[i] < 0 || __builtin_mul_overflow(have, t->dims[i], &have))) have = -1;
    for (int i = 0; i < s.rank; i++) {
        dims[i] = target[i] = s.dims[i];
        if (dims[i] < 0) open = open < 0 || s.computed[open] ? i : open, unknown++;
        if (dims[i] == 0 || (dims[i] > 0 && __builtin_mul_overflow(want, dims[i], &want)))
            return hone__k_shape_error(c, "a target dimension of %lld", (long long)dims[i]);
    }
    if (have >= 0 && unknown == 1) {
        if (have % want) return hone__k_shape_error(c, "an input of shape %s does not fit", hone__k_dims(c, t));
        dims[open] = have / want;
    } else if (have >= 0 && unknown == 0 && have != want)
        return hone__k_shape_error(c, "an input of shape %s does not fit", hone__k_dims(c, t));
    bool batch = t->rank > 0 && s.rank > 0 && t->dims[0] < 0 && dims[0] < 0;
    if (unknown == 2 && batch && s.open == 0)
        target[0] = 0; /* the batch is copied, the other one computed */
    else if (unknown == 1 && batch && have < 0) {
        int64_t rest = 1;
        for (int i = 1; i < t->rank; i++) rest = rest < 0 || t->dims[i] < 0 ? -1 : rest * t->dims[i];
        if (rest == want) target[0] = 0; /* keeps the batch's symbol */
    } else if (unknown > 1 && s.open < unknown - 1)
        return hone__k_refuse(c, "a shape with two unknown sizes");
    else if (unknown > 1) {
        hone__value *x = hone__k2(c, "Reshape", hone__kt_plain(c, t), s.value);
        return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, s.rank, dims));
    }
    hone__value *x = hone__k_reshape(c, hone__kt_plain(c, t), s.rank, target);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, s.rank, dims));
}

hone_status hone__kop_expand_dims(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    double list[HONE_MAX_RANK];
    int n = hone__kop_list(hone__kop_arg(l, call, 1, "axis"), list, 8), k = 0;
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
        if (hone__kop_list(axes, list, 8) != rank) return hone__k_shape_error(c, "axes for another rank than %d", rank);
        for (int i = 0; i < rank; i++) order[i] = hone__kaxis(c, (int64_t)list[i], rank);
    } else if (l->kind->variant == 1) {
        int a = hone__kop_axis(c, l, call, 1, "axis1", 0, rank), b = hone__kop_axis(c, l, call, 2, "axis2", 0, rank);
        order[a] = b, order[b] = a;
    } else if (l->kind->variant == 2) {
        int n = hone__kop_list(hone__kop_arg(l, call, 1, "source"), list, 8),
            m = hone__kop_list(hone__kop_arg(l, call, 2, "destination"), other, 8), k = 0;
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
    enum { MOST = 256 };
    kt **in = hone__k_alloc(c, MOST * sizeof *in);
    int n = in ? hone__kop_tensors(c, l, call, 0, "values|tensors|arrays|xs", in, MOST) : -1;
    bool stack = l->kind->variant, followed = true;
    if (n < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "no tensors to join, or more than %d", MOST);
    int rank = in[0]->rank, axis = hone__kop_axis(c, l, call, stack ? -1 : 1, "axis", 0, rank + stack);
    int64_t ints[MOST];
    for (int i = 0; i < n; i++) {
        kt *t = in[i];
        if (t->rank != rank || rank >= 8) return hone__k_shape_error(c, "inputs of different ranks");
        followed = followed && rank == 0 && (t->ints || t->number);
        if (followed) ints[i] = t->ints ? t->ints[0] : (int64_t)hone__kjson_num(t->number, -1);
        if (!stack) continue;
        int64_t dims[HONE_MAX_RANK];
        for (int d = 0; d <= rank; d++) dims[d] = d == axis ? 1 : t->dims[d > axis ? d - 1 : d];
        in[i] = hone__kt_new(c, K_PLAIN, hone__k_unsqueeze(c, hone__kt_plain(c, t), axis), t->dtype, rank + 1, dims);
        if (!in[i]) return c->b.status;
    }
    kt *y = hone__k_joined(c, in, n, axis);
    int64_t *kept = y && stack && followed ? hone__k_alloc(c, (size_t)n * sizeof *kept) : NULL;
    if (kept) memcpy(kept, ints, (size_t)n * sizeof *kept), y->ints = kept;
    return hone__k_return(c, call, y);
}

/* variant 1: every element of an axis by itself */
hone_status hone__kop_split(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    double list[K_MAX_OUT];
    if (!t) return c->b.status;
    int axis = hone__kop_axis(c, l, call, 2, "axis", 0, t->rank), n;
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
        n = hone__kop_list(parts, list, K_MAX_OUT - 1);
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
        if (call->out[i] && t->ints && t->rank == 1) call->out[i]->ints = t->ints + at[i];
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

/* Each element of an axis as often as its number says. */
static kt *repeat_each(kctx *c, kt *t, int axis, const double *times, int n)
{
    int64_t *at = hone__k_alloc(c, K_FAKE_MAX * sizeof *at), dims[HONE_MAX_RANK];
    size_t count = 0;
    if (!at) return NULL;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < (int)times[i] && count < K_FAKE_MAX; k++) at[count++] = i;
    if (n != t->dims[axis] || count == 0 || count == K_FAKE_MAX) {
        hone__k_refuse(c, "%d repetitions along axis %d of shape %s", n, axis, hone__k_dims(c, t));
        return NULL;
    }
    memcpy(dims, t->dims, sizeof dims);
    dims[axis] = (int64_t)count;
    hone__value *x = hone__emit(&c->b, "Gather", "repeat", HONE__INS(hone__kt_plain(c, t), hone__k_ints(c, at, count)),
                                HONE__ATTRS(hone__a_int("axis", axis)));
    return hone__kt_new(c, K_PLAIN, x, t->dtype, t->rank, dims);
}

/* Every element of an axis so often. */
static kt *repeat_all(kctx *c, kt *t, int axis, int64_t times)
{
    int64_t repeats[HONE_MAX_RANK], dims[HONE_MAX_RANK], factor[HONE_MAX_RANK], to[HONE_MAX_RANK];
    int unknown = 0;
    if (times < 1 || t->rank >= 8 || (t->dims[axis] > 0 && times > K_MAX_DIM / t->dims[axis])) {
        hone__k_refuse(c, "%lld repetitions of shape %s", (long long)times, hone__k_dims(c, t));
        return NULL;
    }
    for (int i = 0; i <= t->rank; i++) repeats[i] = i == axis + 1 ? times : 1;
    for (int i = 0; i < t->rank; i++) {
        factor[i] = i == axis ? times : 1;
        dims[i] = t->dims[i] < 0 ? -1 : t->dims[i] * factor[i];
        to[i] = i < axis ? 0 : dims[i]; /* 0: as it is */
        unknown += i >= axis && dims[i] < 0;
    }
    hone__value *x = hone__kt_plain(c, t), *y = hone__k2(c, "Tile", hone__k_unsqueeze(c, x, axis + 1),
                                                         hone__k_ints(c, repeats, (size_t)t->rank + 1));
    if (unknown < 2)
        y = hone__k_reshape(c, y, t->rank, to);
    else {
        hone__value *shape = hone__k2(c, "Mul", hone__k1(c, "Shape", x), hone__k_ints(c, factor, (size_t)t->rank));
        y = hone__k2(c, "Reshape", y, shape);
    }
    return hone__kt_new(c, K_PLAIN, y, t->dtype, t->rank, dims);
}

hone_status hone__kop_repeat(kctx *c, klayer *l, kcall *call)
{
    enum { MOST = 4096 };
    kt *t = first_input(c, l, call);
    double *list = hone__k_alloc(c, MOST * sizeof *list);
    const json_t *given = hone__kop_arg(l, call, 2, "axis");
    int n = list ? hone__kop_list(hone__kop_arg(l, call, 1, "repeats"), list, MOST) : -1;
    if (!t || n < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "repeats that are not numbers");
    if (!given) t = hone__k_reshaped(c, t, 1, (int64_t[]){-1}); /* of the flattened value */
    if (!t || t->rank < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "a scalar input");
    int axis = hone__kjson_axis(c, given, 0, t->rank);
    return hone__k_return(c, call,
                          n == 1 ? repeat_all(c, t, axis, (int64_t)list[0]) : repeat_each(c, t, axis, list, n));
}

hone_status hone__kop_tile(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    double list[HONE_MAX_RANK];
    int64_t repeats[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    int n = hone__kop_list(hone__kop_arg(l, call, 1, "repeats|multiples"), list, 8);
    if (!t || n < 1) return c->b.status ? c->b.status : hone__k_refuse(c, "repeats that are not numbers");
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
    int64_t axes[HONE_MAX_RANK];
    if (!t) return c->b.status;
    int n = hone__kop_axes(c, l, call, 1, "axis", t->rank, axes);
    hone__value *x = hone__kt_plain(c, t);
    for (int i = 0; i < n; i++) x = hone__k_slice(c, x, axes[i], INT64_MAX, INT64_MIN, -1);
    return hone__k_return(c, call, hone__kt_like(c, t, K_PLAIN, x));
}

hone_status hone__kop_fill_like(kctx *c, klayer *l, kcall *call)
{
    kt *t = first_input(c, l, call);
    if (!t) return c->b.status;
    hone_dtype dtype = hone__kop_dtype(c, l, call, t->dtype);
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
    int axis = hone__kop_axis(c, l, call, 2, "axis", -1, t->rank + 1);
    int64_t dims[HONE_MAX_RANK];
    for (int i = 0; i <= t->rank; i++) dims[i] = i == axis ? (int64_t)n : t->dims[i > axis ? i - 1 : i];
    hone__value *x = hone__k_one_hot(c, hone__kt_plain(c, hone__kt_cast(c, t, HONE_I64)), t->rank, axis, (int64_t)n);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, HONE_F32, t->rank + 1, dims));
}
