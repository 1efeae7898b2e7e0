/* layer_core.c: Dense, EinsumDense, Embedding, layers that do nothing at inference, and Masking. */
#include <string.h>

#include "keras.h"

/* Dropout, noise, regularisation and random augmentation: the value passes. */
hone_status hone__klayer_identity(kctx *c, klayer *l, kcall *call)
{
    kt *t = call->in[0];
    (void)l;
    kt *y = hone__k_alloc(c, sizeof *y);
    if (y) *y = *t;
    return hone__k_return(c, call, y);
}

/* On a value whose channels lie second, the product with a kernel is a convolution with windows of one element. */
static kt *dense_moved(kctx *c, klayer *l, kt *t, const kweight *w, hone__value *bias)
{
    int64_t to[HONE_MAX_RANK] = {w->dims[1], w->dims[0]}, one[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    for (int i = 0; i < t->rank - 2; i++) one[i] = to[i + 2] = 1;
    hone__value *kernel = hone__kw_permuted(c, l, w, "window", 2, w->dims, (int64_t[]){1, 0}, t->rank, to);
    hone__value *y = hone__emit(&c->b, "Conv", "pointwise", HONE__INS(t->form[K_MOVED], kernel, bias),
                                HONE__ATTRS(hone__a_ints("kernel_shape", one, (size_t)t->rank - 2)));
    memcpy(dims, t->dims, sizeof dims);
    dims[t->rank - 1] = w->dims[1];
    return hone__kt_new(c, K_MOVED, y, HONE_F32, t->rank, dims);
}

hone_status hone__klayer_dense(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    kweight w, b;
    if (!t || t->rank < 2 || t->dims[t->rank - 1] < 1)
        return hone__k_shape_error(c, "an input of shape %s: the last of at least 2 dimensions must be known",
                                   t ? hone__k_dims(c, t) : "?");
    int64_t in = t->dims[t->rank - 1], units = hone__kcfg_int(c, l, "units", 0, 1, K_MAX_DIM);
    if (!hone__kw_take(c, l, "", 0, "kernel", 2, (int64_t[]){in, units}, &w)) return c->b.status;
    hone__value *x, *kernel, *bias = NULL;
    if (hone__kcfg_bool(l, "use_bias", true) && hone__kw_take(c, l, "", 1, "bias", 1, &units, &b))
        bias = hone__kw_emit(c, l, &b);
    if (t->rank <= 5 && hone__kt_only_moved(t)) {
        kt *out = dense_moved(c, l, t, &w, bias);
        return hone__k_return(c, call, hone__k_activation(c, l, hone__kcfg(l, "activation"), out));
    }
    if (t->form[K_FLAT]) { /* rows in the order in which the channels-first value was flattened */
        int64_t from[3] = {t->spatial, t->channels, units}, perm[3] = {1, 0, 2};
        x = t->form[K_FLAT];
        kernel = hone__kw_permuted(c, l, &w, "rows", 3, from, perm, 2, w.dims);
    } else {
        x = hone__kt_plain(c, t);
        kernel = hone__kw_emit(c, l, &w);
    }
    hone__value *y = hone__emit(&c->b, "MatMul", "matmul", HONE__INS(x, kernel), HONE__NO_ATTRS);
    if (bias) y = hone__emit(&c->b, "Add", "bias_add", HONE__INS(y, bias), HONE__NO_ATTRS);
    int64_t dims[HONE_MAX_RANK];
    memcpy(dims, t->dims, sizeof dims);
    dims[t->rank - 1] = units;
    kt *out = hone__kt_new(c, K_PLAIN, y, HONE_F32, t->rank, dims);
    return hone__k_return(c, call, hone__k_activation(c, l, hone__kcfg(l, "activation"), out));
}

/* out[...] of an equation "abc,cd->abd" whose dimensions are `t` and `w`. False where it is not of that kind. */
static bool einsum_dims(const char *eq, const kt *t, const kweight *w, int *rank, int64_t *dims)
{
    const char *comma = strchr(eq, ','), *arrow = comma ? strstr(comma, "->") : NULL;
    if (!arrow) return false;
    const char *parts[2] = {eq, comma + 1};
    size_t lengths[2] = {(size_t)(comma - eq), (size_t)(arrow - comma - 1)};
    if (lengths[0] != (size_t)t->rank || lengths[1] != (size_t)w->rank || strlen(arrow + 2) > HONE_MAX_RANK)
        return false;
    *rank = 0;
    for (const char *p = arrow + 2; *p; p++) {
        int64_t d = -2;
        for (size_t i = 0; i < lengths[0]; i++)
            if (parts[0][i] == *p) d = t->dims[i];
        for (size_t i = 0; i < lengths[1]; i++)
            if (parts[1][i] == *p && d < 0) d = w->dims[i];
        if (d == -2 || *p < 'A') return false;
        dims[(*rank)++] = d;
    }
    return true;
}

/* "...x,xy->...y" (also without the ellipsis' spelling in letters) made explicit for an input of this rank. */
static bool spell_out(const char *eq, int rank, char *out, size_t size)
{
    const char *dots = strstr(eq, "...");
    size_t n = 0;
    if (!dots) {
        if (strlen(eq) >= size) return false;
        memcpy(out, eq, strlen(eq) + 1);
    } else {
        int named = 0;
        for (const char *p = eq; *p && *p != ','; p++) named += *p != '.';
        if (named > rank || rank - named > 8) return false;
        for (const char *p = eq; *p && n + 12 < size;) {
            if (strncmp(p, "...", 3) == 0) {
                for (int i = 0; i < rank - named; i++) out[n++] = (char)('A' + i);
                p += 3;
            } else
                out[n++] = *p++;
        }
        out[n] = 0;
    }
    return true;
}

/* Where the input's last axes meet the kernel's first, in order ("abcd,cdef->abef"), the product is one MatMul. */
static hone__value *einsum_product(kctx *c, klayer *l, const char *eq, kt *t, const kweight *w)
{
    const char *kernel = strchr(eq, ',') + 1, *out = strstr(eq, "->") + 2;
    int joint = 0, batch, n = (int)strlen(out);
    int64_t rows = 1, columns = 1, dims[HONE_MAX_RANK] = {0};
    while (joint < w->rank && joint < t->rank && !strchr(out, kernel[joint])) rows *= w->dims[joint++];
    batch = t->rank - joint;
    for (int i = joint; i < w->rank; i++) columns *= w->dims[i];
    bool simple = joint > 0 && batch > 0 && strncmp(eq + batch, kernel, (size_t)joint) == 0 &&
                  strncmp(eq, out, (size_t)batch) == 0 && n == batch + w->rank - joint &&
                  strncmp(out + batch, kernel + joint, (size_t)(w->rank - joint)) == 0;
    for (int i = 0; i < joint && simple; i++) simple = t->dims[batch + i] == w->dims[i];
    hone__value *x = hone__kt_plain(c, t);
    if (!simple)
        return hone__emit(&c->b, "Einsum", "einsum", HONE__INS(x, hone__kw_emit(c, l, w)),
                          HONE__ATTRS(hone__a_string("equation", eq)));
    dims[batch] = rows;
    if (joint > 1) x = hone__k_reshape(c, x, batch + 1, dims);
    x = hone__k2(c, "MatMul", x, hone__kw_shaped(c, l, w, 2, (int64_t[]){rows, columns}));
    for (int i = joint; i < w->rank; i++) dims[batch + i - joint] = w->dims[i];
    return w->rank - joint == 1 ? x : hone__k_reshape(c, x, n, dims);
}

hone_status hone__klayer_einsum_dense(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    kweight w, b;
    char eq[128];
    const char *given = hone__kcfg_text(l, "equation", "");
    if (!t || !spell_out(given, t->rank, eq, sizeof eq)) return hone__k_refuse(c, "equation '%s'", given);
    const char *comma = strchr(eq, ','), *arrow = strstr(eq, "->");
    int w_rank = comma && arrow && arrow > comma ? (int)(arrow - comma - 1) : 0;
    int64_t any[HONE_MAX_RANK], dims[HONE_MAX_RANK];
    for (int i = 0; i < HONE_MAX_RANK; i++) any[i] = -1;
    if (w_rank < 1 || w_rank > 8) return hone__k_refuse(c, "equation '%s'", given);
    if (!hone__kw_take(c, l, "", 0, "kernel", w_rank, any, &w)) return c->b.status;
    int rank;
    if (!einsum_dims(eq, t, &w, &rank, dims))
        return hone__k_shape_error(c, "equation '%s' does not fit an input of shape %s", given, hone__k_dims(c, t));
    hone__value *y = einsum_product(c, l, eq, t, &w);
    const char *axes = hone__kcfg_text(l, "bias_axes", NULL);
    if (axes && *axes) {
        int n = 0; /* the bias starts at its first named axis, with 1 where an axis has none */
        for (const char *p = strstr(eq, "->") + 2; *p; p++)
            if (n || strchr(axes, *p)) n++;
        if (!hone__kw_take(c, l, "", 1, "bias", n, any, &b)) return c->b.status;
        y = hone__k2(c, "Add", y, hone__kw_emit(c, l, &b));
    }
    kt *out = hone__kt_new(c, K_PLAIN, y, HONE_F32, rank, dims);
    return hone__k_return(c, call, hone__k_activation(c, l, hone__kcfg(l, "activation"), out));
}

static kt *gather_rows(kctx *c, kt *ids, hone__value *table, int64_t width)
{
    int64_t dims[HONE_MAX_RANK];
    memcpy(dims, ids->dims, sizeof dims);
    if (ids->rank >= HONE_MAX_RANK) {
        hone__k_refuse(c, "indices of rank %d", ids->rank);
        return NULL;
    }
    dims[ids->rank] = width;
    hone_dtype as = ids->dtype == HONE_I64 ? HONE_I64 : HONE_I32;
    hone__value *index = hone__kt_plain(c, hone__kt_cast(c, ids, as));
    hone__value *y =
        hone__emit(&c->b, "Gather", "gather", HONE__INS(table, index), HONE__ATTRS(hone__a_int("axis", 0)));
    return hone__kt_new(c, K_PLAIN, y, HONE_F32, ids->rank + 1, dims);
}

hone_status hone__klayer_embedding(kctx *c, klayer *l, kcall *call)
{
    kt *ids = call->in[0];
    kweight w;
    int64_t rows = hone__kcfg_int(c, l, "input_dim", 1, 1, K_MAX_DIM),
            width = hone__kcfg_int(c, l, "output_dim", 1, 1, K_MAX_DIM);
    if (!hone__kw_take(c, l, "", 0, "embeddings", 2, (int64_t[]){rows, width}, &w)) return c->b.status;
    hone__value *table = hone__kw_emit(c, l, &w);
    const json_t *reverse = hone__kcall_arg(call, 1, "reverse");
    if (l->kind->variant && reverse && json_is_true(reverse)) { /* ReversibleEmbedding as an output layer */
        kt *x = hone__kt_cast(c, ids, HONE_F32);
        int64_t dims[HONE_MAX_RANK];
        hone__value *back;
        if (hone__kcfg_bool(l, "tie_weights", true))
            back = hone__k_transpose(c, table, 2, (int64_t[]){1, 0});
        else {
            kweight r;
            if (!hone__kw_take(c, l, "", 1, "reverse_embeddings", 2, (int64_t[]){width, rows}, &r)) return c->b.status;
            back = hone__kw_emit(c, l, &r);
        }
        if (x->rank < 2 || x->dims[x->rank - 1] != width)
            return hone__k_shape_error(c, "an input of shape %s", hone__k_dims(c, x));
        memcpy(dims, x->dims, sizeof dims);
        dims[x->rank - 1] = rows;
        hone__value *y = hone__k2(c, "MatMul", hone__kt_plain(c, x), back);
        double cap = hone__kcfg_num(c, l, "logit_soft_cap", 0);
        if (cap != 0) {
            hone__value *limit = hone__k_scalar(c, cap, HONE_F32);
            y = hone__k2(c, "Mul", hone__k1(c, "Tanh", hone__k2(c, "Div", y, limit)), limit);
        }
        return hone__k_return(c, call, hone__kt_new(c, K_PLAIN, y, HONE_F32, x->rank, dims));
    }
    kt *y = gather_rows(c, ids, table, width);
    if (y && hone__kcfg_bool(l, "mask_zero", false)) {
        hone_dtype as = ids->dtype == HONE_I64 ? HONE_I64 : HONE_I32;
        hone__value *index = hone__kt_plain(c, hone__kt_cast(c, ids, as));
        hone__value *zero = hone__k2(c, "Equal", index, hone__k_scalar(c, 0, as));
        y->mask = hone__kt_new(c, K_PLAIN, hone__k1(c, "Not", zero), HONE_BOOL, ids->rank, ids->dims);
    }
    return hone__k_return(c, call, y);
}

/* Steps whose features all equal mask_value are set to 0 and masked. */
hone_status hone__klayer_masking(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    if (!t || t->rank < 2) return hone__k_shape_error(c, "an input of rank below 2");
    hone__value *x = hone__kt_plain(c, t), *value = hone__k_scalar(c, hone__kcfg_num(c, l, "mask_value", 0), HONE_F32);
    int64_t last = t->rank - 1;
    hone__value *other = hone__k_cast(c, hone__k1(c, "Not", hone__k2(c, "Equal", x, value)), HONE_F32);
    hone__value *any = hone__k_reduce(c, "ReduceMax", other, &last, 1, true);
    kt *y = hone__kt_like(c, t, K_PLAIN, hone__k2(c, "Mul", x, any));
    if (!y) return c->b.status;
    hone__value *mask = hone__k_cast(c, hone__k_squeeze(c, any, last), HONE_BOOL);
    y->mask = hone__kt_new(c, K_PLAIN, mask, HONE_BOOL, t->rank - 1, t->dims);
    return hone__k_return(c, call, y);
}

/* The layers of a Pipeline, one after the other. */
hone_status hone__klayer_pipeline(kctx *c, klayer *l, kcall *call)
{
    const json_t *list = json_object_get(l->config, "layers");
    kt *t = call->in[0];
    json_t *names = json_object();
    if (c->made) json_array_append_new(c->made, names);
    if (!json_is_array(list)) return hone__k_shape_error(c, "it has no layers");
    for (size_t i = 0; i < json_array_size(list) && t; i++) {
        const json_t *entry = json_array_get(list, i);
        const char *class_name = hone__json_text(entry, "class_name");
        klayer *one = hone__klayer_child_of(c, l, entry, "a layer of the pipeline", "");
        if (!one || !class_name) return c->b.status;
        if (!c->weights_root) one->source = hone__kw_source(c, &l->source, class_name, one->name, names);
        t = hone__klayer_apply(c, one, t);
    }
    return hone__k_return(c, call, t);
}
