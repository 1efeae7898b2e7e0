/* layer_reshape.c: Flatten, Reshape, Permute, RepeatVector, cropping, padding and up-sampling. */
#include <string.h>

#include "keras.h"

hone_status hone__klayer_flatten(kctx *c, klayer *l, kcall *call)
{
    kt *t = call->in[0];
    bool first = hone__kcfg_first(c, l) && t->rank >= 3;
    int64_t count = 1, channels = t->rank > 1 ? t->dims[first ? 1 : t->rank - 1] : 1,
            dims[2] = {t->rank ? t->dims[0] : 1, -1};
    for (int i = 1; i < t->rank; i++) {
        if (t->dims[i] < 0)
            count = -1;
        else if (count >= 0 && t->dims[i] && __builtin_mul_overflow(count, t->dims[i], &count))
            return hone__k_shape_error(c, "shape %s is too large", hone__k_dims(c, t));
    }
    dims[1] = count;
    bool known = count > 0 && channels > 0;
    hone__value *x;
    int form = K_PLAIN;
    if (first || t->form[K_MOVED]) {
        if (known) form = channels == 1 || channels == count ? K_PLAIN : K_FLAT;
        x = first ? hone__kt_plain(c, t) : known ? t->form[K_MOVED] : hone__kt_plain(c, t);
        int64_t perm[HONE_MAX_RANK] = {0};
        for (int i = 1; i < t->rank; i++) perm[i] = i + 1 < t->rank ? i + 1 : 1;
        if (first && !known) x = hone__k_transpose(c, x, t->rank, perm);
    } else if (t->rank == 2)
        return hone__klayer_identity(c, l, call);
    else
        x = hone__kt_plain(c, t);
    x = hone__k_reshape(c, x, 2, (int64_t[]){t->rank > 0 ? 0 : 1, t->rank > 1 ? -1 : 1});
    kt *y = hone__kt_new(c, form, x, t->dtype, 2, dims);
    if (y && form == K_FLAT) y->channels = channels, y->spatial = count / channels;
    return hone__k_return(c, call, y);
}

hone_status hone__klayer_reshape(kctx *c, klayer *l, kcall *call)
{
    kt *t = call->in[0];
    const json_t *target = hone__kcfg(l, "target_shape");
    int n = (int)json_array_size(target), open = -1;
    int64_t dims[HONE_MAX_RANK] = {t->rank ? t->dims[0] : 1}, to[HONE_MAX_RANK] = {0}, have = 1, want = 1;
    if (n + 1 > 8) return hone__k_refuse(c, "a target of rank %d", n + 1);
    for (int i = 1; i < t->rank; i++) have = have < 0 || t->dims[i] < 0 ? -1 : have * t->dims[i];
    for (int i = 0; i < n; i++) {
        const json_t *v = json_array_get(target, (size_t)i);
        double d = json_is_null(v) ? -1 : hone__kjson_num(v, -2);
        if (d == -1 && open < 0)
            open = i + 1;
        else if (!(d >= 1 && d <= K_MAX_DIM) || __builtin_mul_overflow(want, (int64_t)d, &want))
            return hone__k_shape_error(c, "target_shape must hold positive numbers and at most one -1");
        dims[i + 1] = to[i + 1] = d < 1 ? -1 : (int64_t)d;
    }
    if (have >= 0 && (open < 0 ? have != want : have % want != 0))
        return hone__k_shape_error(c, "an input of shape %s does not reshape to %lld elements", hone__k_dims(c, t),
                                   (long long)want);
    if (open > 0 && have >= 0) dims[open] = to[open] = have / want;
    hone__value *x = hone__k_reshape(c, hone__kt_plain(c, t), n + 1, to);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, n + 1, dims));
}

hone_status hone__klayer_permute(kctx *c, klayer *l, kcall *call)
{
    kt *t = call->in[0];
    const json_t *order = hone__kcfg(l, "dims");
    int64_t perm[HONE_MAX_RANK] = {0}, dims[HONE_MAX_RANK] = {t->rank ? t->dims[0] : 1};
    unsigned seen = 1;
    int form = t->form[K_PLAIN] || !t->form[K_MOVED] ? K_PLAIN : K_MOVED;
    if ((int)json_array_size(order) != t->rank - 1)
        return hone__k_shape_error(c, "dims for rank %d, the input has shape %s", (int)json_array_size(order) + 1,
                                   hone__k_dims(c, t));
    for (int i = 1; i < t->rank; i++) {
        double d = hone__kjson_num(json_array_get(order, (size_t)i - 1), 0);
        if (!(d >= 1 && d < t->rank) || (seen >> (int)d & 1))
            return hone__k_shape_error(c, "dims must be a permutation of 1 to %d", t->rank - 1);
        seen |= 1u << (int)d;
        perm[i] = hone__kt_axis(t, form, (int)d);
        dims[i] = t->dims[(int)d];
    }
    hone__value *x = hone__k_transpose(c, hone__kt_get(c, t, form), t->rank, perm);
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, t->rank, dims));
}

hone_status hone__klayer_repeat_vector(kctx *c, klayer *l, kcall *call)
{
    kt *t = call->in[0];
    int64_t n = hone__kcfg_int(c, l, "n", 1, 1, K_MAX_DIM), dims[3] = {t->dims[0], n, t->dims[1]};
    if (t->rank != 2) return hone__k_shape_error(c, "input of shape %s, expected 2 dimensions", hone__k_dims(c, t));
    hone__value *x =
        hone__k2(c, "Expand", hone__k_unsqueeze(c, hone__kt_plain(c, t), 1), hone__k_ints(c, (int64_t[]){1, n, 1}, 3));
    return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, x, t->dtype, 3, dims));
}

/* One number, one per axis, or a pair per axis -> begin and end per axis. */
static void read_pairs(kctx *c, const klayer *l, const char *key, int nd, int64_t *begin, int64_t *end)
{
    const json_t *v = hone__kcfg(l, key);
    double otherwise = strcmp(key, "padding") == 0 ? 1 : 0;
    for (int i = 0; i < nd; i++) {
        const json_t *one = json_is_array(v) && (nd > 1 || json_array_size(v) == 1) ? json_array_get(v, (size_t)i) : v;
        bool pair = json_is_array(one);
        double a = hone__kjson_num(pair ? json_array_get(one, 0) : one, v ? -1 : otherwise);
        double b = hone__kjson_num(pair ? json_array_get(one, 1) : one, v ? -1 : otherwise);
        bool ok = a >= 0 && b >= 0 && a <= K_MAX_DIM && b <= K_MAX_DIM && (!pair || json_array_size(one) == 2);
        if (!ok) hone__k_shape_error(c, "setting '%s' must hold numbers of at least 0", key);
        begin[i] = ok ? (int64_t)a : 0, end[i] = ok ? (int64_t)b : 0;
    }
}

/* variant: dimensions, + 4 to crop */
hone_status hone__klayer_pad_crop(kctx *c, klayer *l, kcall *call)
{
    kt *t = call->in[0];
    int nd = l->kind->variant & 3, crop = l->kind->variant & 4, first = hone__kcfg_first(c, l) ? 2 : 1;
    int64_t begin[3], end[3], dims[HONE_MAX_RANK], pads[10] = {0}, starts[3], ends[3], axes[3];
    if (t->rank != nd + 2)
        return hone__k_shape_error(c, "input of shape %s, expected %d dimensions", hone__k_dims(c, t), nd + 2);
    read_pairs(c, l, crop ? "cropping" : "padding", nd, begin, end);
    int form = hone__kt_best(t) == K_MOVED ? K_MOVED : K_PLAIN;
    if (form == K_PLAIN && nd > 1 && first == 1 && t->dtype == HONE_F32) form = K_MOVED;
    memcpy(dims, t->dims, sizeof dims);
    for (int i = 0; i < nd; i++) {
        int axis = first + i, at = hone__kt_axis(t, form, axis);
        pads[at] = begin[i], pads[at + nd + 2] = end[i];
        starts[i] = begin[i], ends[i] = end[i] ? -end[i] : INT64_MAX, axes[i] = at;
        if (dims[axis] < 0) continue;
        dims[axis] += (crop ? -1 : 1) * (begin[i] + end[i]);
        if (dims[axis] < 1 || dims[axis] > K_MAX_DIM)
            return hone__k_shape_error(c, "an output axis of %lld", (long long)dims[axis]);
    }
    hone__value *x = hone__kt_get(c, t, form);
    size_t n = (size_t)nd;
    if (crop)
        x = hone__emit(&c->b, "Slice", "crop",
                       HONE__INS(x, hone__k_ints(c, starts, n), hone__k_ints(c, ends, n), hone__k_ints(c, axes, n)),
                       HONE__NO_ATTRS);
    else if (t->dtype == HONE_F32)
        x = hone__k_pad(c, x, nd + 2, pads, 0);
    else
        x = hone__emit(&c->b, "Pad", "pad", HONE__INS(x, hone__k_ints(c, pads, n * 2 + 4)),
                       HONE__ATTRS(hone__a_string("mode", "constant")));
    return hone__k_return(c, call, hone__kt_new(c, form, x, t->dtype, nd + 2, dims));
}
