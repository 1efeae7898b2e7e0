/* keras_value.c: values of a Keras model with their memory layout, and small emitters. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "keras.h"

void *hone__k_alloc(kctx *c, size_t n)
{
    void *p = hone__arena_zalloc(&c->arena, n ? n : 1);
    if (!p) hone__builder_fail(&c->b, hone__out_of_memory(n));
    return p;
}

kt *hone__kt_new(kctx *c, int form, hone__value *v, hone_dtype dtype, int rank, const int64_t *dims)
{
    if (rank < 0 || rank > HONE_MAX_RANK) {
        hone__k_refuse(c, "a value of rank %d: at most %d is possible", rank, HONE_MAX_RANK);
        rank = 0;
    }
    kt *t = hone__k_alloc(c, sizeof *t);
    if (!t) return NULL;
    t->dtype = dtype;
    t->rank = rank;
    if (rank && dims) memcpy(t->dims, dims, (size_t)rank * sizeof *dims);
    t->form[form == K_MOVED && rank < 3 ? K_PLAIN : form] = v;
    return t;
}

kt *hone__kt_like(kctx *c, const kt *t, int form, hone__value *v)
{
    kt *n = t ? hone__kt_new(c, form, v, t->dtype, t->rank, t->dims) : NULL;
    if (n) n->mask = t->mask, n->spatial = t->spatial, n->channels = t->channels;
    return n;
}

bool hone__kt_known(const kt *t, int first)
{
    for (int i = first; i < t->rank; i++)
        if (t->dims[i] < 0) return false;
    return true;
}

/* Moving the channel is only a change of shape where it, or everything else, is one element wide. */
static bool is_reshape(const kt *t)
{
    int64_t spatial = 1;
    int unknown = 0;
    for (int i = 1; i < t->rank; i++) unknown += t->dims[i] < 0;
    for (int i = 1; i < t->rank - 1; i++) spatial = t->dims[i] == 1 && spatial == 1 ? 1 : 0;
    return unknown <= 1 && (t->dims[t->rank - 1] == 1 || spatial == 1);
}

bool hone__kt_only_moved(const kt *t) { return t->form[K_MOVED] && !t->form[K_PLAIN] && !is_reshape(t); }

static hone__value *move(kctx *c, kt *t, hone__value *v, bool to_moved)
{
    int64_t perm[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    int last = t->rank - 1;
    for (int i = 0; i <= last; i++) {
        int from = to_moved ? (i == 0 ? 0 : i == 1 ? last : i - 1) : (i == 0 ? 0 : i == last ? 1 : i + 1);
        int keras = to_moved ? from : i;
        perm[i] = from;
        dims[i] = i == 0 ? 0 : t->dims[keras];
    }
    if (is_reshape(t)) return hone__k_reshape(c, v, t->rank, dims);
    return hone__k_transpose(c, v, t->rank, perm);
}

static hone__value *unflatten(kctx *c, kt *t, hone__value *v)
{
    v = hone__k_reshape(c, v, 3, (int64_t[]){0, t->channels, t->spatial});
    v = hone__k_transpose(c, v, 3, (int64_t[]){0, 2, 1});
    return hone__k_reshape(c, v, 2, (int64_t[]){0, t->channels * t->spatial});
}

hone__value *hone__kt_plain(kctx *c, kt *t)
{
    if (!t) return NULL;
    if (!t->form[K_PLAIN]) {
        if (t->form[K_MOVED])
            t->form[K_PLAIN] = move(c, t, t->form[K_MOVED], false);
        else if (t->form[K_FLAT])
            t->form[K_PLAIN] = unflatten(c, t, t->form[K_FLAT]);
        else if (t->number)
            t->form[K_PLAIN] = hone__k_scalar(c, hone__kjson_num(t->number, 0), t->dtype);
    }
    return t->form[K_PLAIN];
}

hone__value *hone__kt_moved(kctx *c, kt *t)
{
    if (!t || t->rank < 3) return hone__kt_plain(c, t);
    if (!t->form[K_MOVED]) {
        hone__value *plain = hone__kt_plain(c, t);
        t->form[K_MOVED] = move(c, t, plain, true);
    }
    return t->form[K_MOVED];
}

int hone__kt_best(const kt *t)
{
    return !t ? K_PLAIN : t->form[K_MOVED] ? K_MOVED : t->form[K_FLAT] ? K_FLAT : K_PLAIN;
}

hone__value *hone__kt_get(kctx *c, kt *t, int form)
{
    if (!t) return NULL;
    if (form == K_MOVED) return hone__kt_moved(c, t);
    if (form == K_FLAT && t->form[K_FLAT]) return t->form[K_FLAT];
    return hone__kt_plain(c, t);
}

kt *hone__kt_cast(kctx *c, kt *t, hone_dtype dtype)
{
    if (!t || t->dtype == dtype) return t;
    if (t->number) {
        kt *n = hone__kt_new(c, K_PLAIN, NULL, dtype, 0, NULL);
        if (n) n->number = t->number;
        return n;
    }
    int form = hone__kt_best(t);
    kt *n = hone__kt_like(c, t, form, hone__k_cast(c, hone__kt_get(c, t, form), dtype));
    if (n) n->dtype = dtype;
    return n;
}

hone__value *hone__kt_f32(kctx *c, kt *t) { return hone__kt_plain(c, hone__kt_cast(c, t, HONE_F32)); }

int hone__kt_axis(const kt *t, int form, int axis)
{
    if (form != K_MOVED || t->rank < 3 || axis == 0) return axis;
    return axis == t->rank - 1 ? 1 : axis + 1;
}

hone__value *hone__k1(kctx *c, const char *op, hone__value *x)
{
    return hone__emit(&c->b, op, op, HONE__INS(x), HONE__NO_ATTRS);
}

hone__value *hone__k2(kctx *c, const char *op, hone__value *x, hone__value *y)
{
    return hone__emit(&c->b, op, op, HONE__INS(x, y), HONE__NO_ATTRS);
}

hone__value *hone__k_transpose(kctx *c, hone__value *x, int rank, const int64_t *perm)
{
    bool same = true;
    for (int i = 0; i < rank; i++) same = same && perm[i] == i;
    if (same) return x;
    return hone__emit(&c->b, "Transpose", "transpose", HONE__INS(x),
                      HONE__ATTRS(hone__a_ints("perm", perm, (size_t)rank)));
}

hone__value *hone__k_ints(kctx *c, const int64_t *v, size_t n)
{
    int seen = 0; /* a bound keeps large models linear */
    for (kcached *k = c->constants; k && seen < 64; k = k->next, seen++) {
        const hone__tensor *t = k->value->constant;
        if (t && t->dtype == HONE_I64 && t->rank == 1 && t->count == n &&
            (n == 0 || memcmp(t->data, v, n * sizeof *v) == 0))
            return k->value;
    }
    kcached *k = hone__k_alloc(c, sizeof *k);
    hone__value *value = hone__emit_i64(&c->b, "", v, n);
    if (k && value) *k = (kcached){NULL, NULL, value, c->constants}, c->constants = k;
    return value;
}

hone__value *hone__k_int(kctx *c, int64_t v) { return hone__k_ints(c, &v, 1); }

hone__value *hone__k_scalar(kctx *c, double v, hone_dtype dtype)
{
    hone__tensor t;
    if (c->b.status != HONE_OK) return NULL;
    if (hone__builder_fail(&c->b, hone__tensor_new(dtype, 0, NULL, &t)) != HONE_OK) return NULL;
    hone__element_set_f64(dtype, hone__tensor_write(&t), 0, v);
    return hone__emit_tensor(&c->b, "", &t);
}

hone__value *hone__k_reshape(kctx *c, hone__value *x, int rank, const int64_t *dims)
{
    return hone__emit(&c->b, "Reshape", "reshape", HONE__INS(x, hone__k_ints(c, dims, (size_t)rank)), HONE__NO_ATTRS);
}

hone__value *hone__k_squeeze(kctx *c, hone__value *x, int64_t axis)
{
    return hone__k2(c, "Squeeze", x, hone__k_int(c, axis));
}

hone__value *hone__k_unsqueeze(kctx *c, hone__value *x, int64_t axis)
{
    return hone__k2(c, "Unsqueeze", x, hone__k_int(c, axis));
}

hone__value *hone__k_cast(kctx *c, hone__value *x, hone_dtype dtype)
{
    return hone__emit(&c->b, "Cast", "cast", HONE__INS(x), HONE__ATTRS(hone__a_int("to", dtype)));
}

hone__value *hone__k_reduce(kctx *c, const char *op, hone__value *x, const int64_t *axes, size_t n, bool keep)
{
    return hone__emit(&c->b, op, op, HONE__INS(x, hone__k_ints(c, axes, n)),
                      HONE__ATTRS(hone__a_int("keepdims", keep)));
}

hone__value *hone__k_slice(kctx *c, hone__value *x, int64_t axis, int64_t start, int64_t stop, int64_t step)
{
    return hone__emit(
        &c->b, "Slice", "slice",
        HONE__INS(x, hone__k_int(c, start), hone__k_int(c, stop), hone__k_int(c, axis), hone__k_int(c, step)),
        HONE__NO_ATTRS);
}

hone__value *hone__k_pad(kctx *c, hone__value *x, int rank, const int64_t *pads, double value)
{
    hone__value *amount = hone__k_ints(c, pads, (size_t)rank * 2);
    return hone__emit(&c->b, "Pad", "pad", HONE__INS(x, amount, value == 0 ? NULL : hone__k_scalar(c, value, HONE_F32)),
                      HONE__ATTRS(hone__a_string("mode", "constant")));
}

hone__value *hone__k_shape_of(kctx *c, hone__value *x, int64_t first, int64_t end)
{
    return hone__emit(&c->b, "Shape", "shape", HONE__INS(x),
                      HONE__ATTRS(hone__a_int("start", first), hone__a_int("end", end)));
}

hone__value *hone__k_concat(kctx *c, hone__value *const *in, int n, int64_t axis)
{
    return hone__emit(&c->b, "Concat", "concat", in, n, HONE__ATTRS(hone__a_int("axis", axis)));
}

hone__value *hone__k_one_hot(kctx *c, hone__value *ids, int rank, int axis, int64_t depth)
{
    int64_t *count = depth > 0 && depth <= 1 << 20 ? hone__k_alloc(c, (size_t)depth * sizeof *count) : NULL,
            dims[HONE_MAX_RANK];
    if (!count) {
        hone__k_refuse(c, "%lld classes: at most 1048576", (long long)depth);
        return NULL;
    }
    for (int64_t i = 0; i < depth; i++) count[i] = i;
    hone__value *classes = hone__k_ints(c, count, (size_t)depth);
    for (int i = axis; i <= rank; i++) dims[i - axis] = i == axis ? depth : 1;
    if (axis < rank) classes = hone__k_reshape(c, classes, rank - axis + 1, dims);
    return hone__k_cast(c, hone__k2(c, "Equal", hone__k_unsqueeze(c, ids, axis), classes), HONE_F32);
}

static hone_status stick(kctx *c, hone_status code, const char *format, va_list list)
{
    char text[512];
    vsnprintf(text, sizeof text, format, list);
    if (c->b.status != HONE_OK) return c->b.status;
    return hone__builder_fail(&c->b, hone__fail(code, "%s", text));
}

hone_status hone__k_refuse(kctx *c, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    hone_status status = stick(c, HONE_E_UNSUPPORTED, format, list);
    va_end(list);
    return status;
}

hone_status hone__k_shape_error(kctx *c, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    hone_status status = stick(c, HONE_E_SHAPE, format, list);
    va_end(list);
    return status;
}

const char *hone__k_dims(kctx *c, const kt *t)
{
    char text[256];
    size_t n = 0;
    for (int i = 0; i < t->rank && n < sizeof text - 32; i++)
        n += (size_t)(t->dims[i] < 0 ? snprintf(text + n, 32, i ? ", None" : "None")
                                     : snprintf(text + n, 32, i ? ", %lld" : "%lld", (long long)t->dims[i]));
    text[n] = 0;
    const char *s = hone__arena_printf(&c->arena, "(%s)", text);
    return s ? s : "?";
}
