/* layer_attention.c: Attention, AdditiveAttention, MultiHeadAttention and GroupQueryAttention. */
#include <math.h>
#include <string.h>

#include "keras.h"

static const json_t *flag(const kcall *call, const char *name) { return json_object_get(call->kwargs, name); }

/* 0, 1, ... n - 1 as an int64 row or column of a matrix. */
static hone__value *counting(kctx *c, hone__value *x, int64_t axis, bool column)
{
    hone__value *n = hone__k_squeeze(c, hone__k_shape_of(c, x, axis, axis + 1), 0);
    hone__value *range =
        hone__emit(&c->b, "Range", "range",
                   HONE__INS(hone__k_scalar(c, 0, HONE_I64), n, hone__k_scalar(c, 1, HONE_I64)), HONE__NO_ATTRS);
    return hone__k_unsqueeze(c, range, column ? 1 : 0);
}

static hone__value *both(kctx *c, hone__value *a, hone__value *b) { return !a ? b : !b ? a : hone__k2(c, "And", a, b); }

/* [time of q, time of v] bool: no look ahead, and no further than a window. */
static hone__value *band(kctx *c, kt *q, kt *v, bool causal, int64_t window)
{
    hone__value *i = counting(c, hone__kt_plain(c, q), 1, true), *j = counting(c, hone__kt_plain(c, v), 1, false),
                *mask = NULL;
    if (causal) mask = hone__k2(c, "GreaterOrEqual", i, j);
    if (window > 0)
        mask = both(c, mask,
                    hone__k2(c, "Less", hone__k1(c, "Abs", hone__k2(c, "Sub", i, j)),
                             hone__k_scalar(c, (double)window, HONE_I64)));
    return mask;
}

static hone__value *bool_of(kctx *c, kt *mask)
{
    return mask ? hone__kt_plain(c, hone__kt_cast(c, mask, HONE_BOOL)) : NULL;
}

/* ---- Attention and AdditiveAttention ---- */

static hone__value *take_scalar(kctx *c, klayer *l, int index, const char *name)
{
    kweight w;
    return hone__kw_take(c, l, "", index, name, 0, NULL, &w) ? hone__kw_emit(c, l, &w) : NULL;
}

static hone__value *pairwise(kctx *c, hone__value *q, hone__value *k)
{
    return hone__k2(c, "Add", hone__k_unsqueeze(c, q, 2), hone__k_unsqueeze(c, k, 1));
}

static hone__value *additive_scores(kctx *c, klayer *l, kt *q, kt *k)
{
    kweight w;
    int64_t dim = q->dims[2], axes[1] = {3};
    hone__value *x = hone__k1(c, "Tanh", pairwise(c, hone__kt_f32(c, q), hone__kt_f32(c, k)));
    if (hone__kcfg_bool(l, "use_scale", true)) {
        if (!hone__kw_take(c, l, "", 0, "scale", 1, &dim, &w)) return NULL;
        x = hone__k2(c, "Mul", x, hone__kw_emit(c, l, &w));
    }
    return hone__k_reduce(c, "ReduceSum", x, axes, 1, false);
}

static hone__value *dot_scores(kctx *c, klayer *l, kt *q, kt *k)
{
    const char *mode = hone__kcfg_text(l, "score_mode", "dot");
    bool scaled = hone__kcfg_bool(l, "use_scale", false), concat = strcmp(mode, "concat") == 0;
    int64_t axes[1] = {3};
    hone__value *scale = scaled ? take_scalar(c, l, 0, "scale") : NULL, *a = hone__kt_f32(c, q),
                *b = hone__kt_f32(c, k);
    if (!concat && strcmp(mode, "dot") != 0) {
        hone__k_refuse(c, "score_mode '%s'", mode);
        return NULL;
    }
    if (concat) {
        hone__value *weight = take_scalar(c, l, scaled, "concat_score_weight"), *x = pairwise(c, a, b);
        if (scale) x = hone__k2(c, "Mul", x, scale);
        return hone__k2(c, "Mul", weight, hone__k_reduce(c, "ReduceSum", hone__k1(c, "Tanh", x), axes, 1, false));
    }
    hone__value *x = hone__k2(c, "MatMul", a, hone__k_transpose(c, b, 3, (int64_t[]){0, 2, 1}));
    return scale ? hone__k2(c, "Mul", x, scale) : x;
}

static kt *list_mask(kctx *c, kcall *call, int i)
{
    const json_t *list = flag(call, "mask");
    if (list && !json_is_null(list)) {
        const json_t *one = json_is_array(list) && !hone__kcall_ref(c, call, list) ? json_array_get(list, (size_t)i)
                            : i == 0                                               ? list
                                                                                   : NULL;
        return one && !json_is_null(one) ? hone__kcall_ref(c, call, one) : NULL;
    }
    return i < call->in_count ? call->in[i]->mask : NULL;
}

/* variant 1: additive */
hone_status hone__klayer_attention(kctx *c, klayer *l, kcall *call)
{
    if (call->in_count < 2 || call->in_count > 3)
        return hone__k_shape_error(c, "%d inputs, expected query, value and perhaps key", call->in_count);
    kt *q = call->in[0], *v = call->in[1], *k = call->in_count > 2 ? call->in[2] : v;
    for (int i = 0; i < call->in_count; i++)
        if (call->in[i]->rank != 3)
            return hone__k_refuse(c, "an input of shape %s: only 3 dimensions", hone__k_dims(c, call->in[i]));
    if (q->dims[2] >= 0 && k->dims[2] >= 0 && q->dims[2] != k->dims[2])
        return hone__k_shape_error(c, "query and key of shapes %s and %s", hone__k_dims(c, q), hone__k_dims(c, k));
    bool causal = hone__kcfg_bool(l, "causal", false) || json_is_true(flag(call, "use_causal_mask"));
    hone__value *scores = l->kind->variant ? additive_scores(c, l, q, k) : dot_scores(c, l, q, k), *mask = NULL;
    kt *q_mask = list_mask(c, call, 0), *v_mask = list_mask(c, call, 1);
    if (v_mask) mask = v_mask->rank == 2 ? hone__k_unsqueeze(c, bool_of(c, v_mask), 1) : bool_of(c, v_mask);
    if (causal) mask = both(c, mask, band(c, q, v, true, 0));
    if (mask) {
        hone__value *less = hone__k2(c, "Sub", scores, hone__k_scalar(c, 1e9, HONE_F32));
        scores = hone__emit(&c->b, "Where", "masked", HONE__INS(mask, scores, less), HONE__NO_ATTRS);
    }
    scores = hone__emit(&c->b, "Softmax", "softmax", HONE__INS(scores), HONE__ATTRS(hone__a_int("axis", -1)));
    hone__value *y = hone__k2(c, "MatMul", scores, hone__kt_f32(c, v));
    if (q_mask) y = hone__k2(c, "Mul", y, hone__k_cast(c, hone__k_unsqueeze(c, bool_of(c, q_mask), 2), HONE_F32));
    int64_t dims[3] = {q->dims[0], q->dims[1], v->dims[2]}, score_dims[3] = {q->dims[0], q->dims[1], v->dims[1]};
    call->out[0] = hone__kt_new(c, K_PLAIN, y, HONE_F32, 3, dims);
    call->out_count = 1;
    if (call->out[0]) call->out[0]->mask = q_mask;
    if (json_is_true(flag(call, "return_attention_scores")))
        call->out[call->out_count++] = hone__kt_new(c, K_PLAIN, scores, HONE_F32, 3, score_dims);
    return c->b.status;
}

/* ---- with heads ---- */

typedef struct heads {
    int64_t q, kv, key_dim, value_dim; /* heads of the query, of key and value; sizes */
    bool bias;
} heads;

/* Keras names a part after its public or its private attribute, as the version has it. */
static const char *part(kctx *c, const klayer *l, const char *public_name)
{
    if (c->weights_root || hone__kw_exists(c, l, public_name, 0)) return public_name;
    const char *s = hone__arena_printf(&c->arena, "_%s", public_name);
    return s ? s : public_name;
}

/* x [batch, time, in] -> [batch, heads, time, size], or [batch, heads, size, time] when `turned`. */
static hone__value *project(kctx *c, klayer *l, const char *name, kt *x, int64_t n, int64_t size, bool bias,
                            bool turned)
{
    kweight w, b;
    int64_t dims[3] = {x->dims[2], n, size};
    const char *sub = part(c, l, name);
    if (!hone__kw_take(c, l, sub, 0, "kernel", 3, dims, &w)) return NULL;
    hone__value *y =
        hone__k2(c, "MatMul", hone__kt_f32(c, x), hone__kw_shaped(c, l, &w, 2, (int64_t[]){dims[0], n * size}));
    if (bias) {
        if (!hone__kw_take(c, l, sub, 1, "bias", 2, dims + 1, &b)) return NULL;
        y = hone__k2(c, "Add", y, hone__kw_shaped(c, l, &b, 1, (int64_t[]){n * size}));
    }
    y = hone__k_reshape(c, y, 4, (int64_t[]){0, 0, n, size});
    return hone__k_transpose(c, y, 4, turned ? (int64_t[]){0, 2, 3, 1} : (int64_t[]){0, 2, 1, 3});
}

/* Every head of key and value serves `times` query heads. */
static hone__value *repeat_heads(kctx *c, hone__value *x, int64_t n, int64_t times)
{
    if (times == 1) return x;
    hone__value *wide =
        hone__k2(c, "Expand", hone__k_unsqueeze(c, x, 2), hone__k_ints(c, (int64_t[]){1, 1, times, 1, 1}, 5));
    hone__value *parts[3] = {hone__k_shape_of(c, x, 0, 1), hone__k_int(c, n * times), hone__k_shape_of(c, x, 2, 4)};
    return hone__k2(c, "Reshape", wide, hone__k_concat(c, parts, 3, 0));
}

static kt *named_mask(kctx *c, kcall *call, const char *name, kt *of)
{
    const json_t *v = flag(call, name);
    if (v && !json_is_null(v)) return hone__kcall_ref(c, call, v);
    return of ? of->mask : NULL;
}

/* [batch, 1, time, time] or broadcastable; NULL: everything is seen. */
static hone__value *head_mask(kctx *c, klayer *l, kcall *call, kt *q, kt *v, kt *k)
{
    kt *qm = named_mask(c, call, "query_mask", q), *vm = named_mask(c, call, "value_mask", v),
       *km = named_mask(c, call, "key_mask", k == v ? NULL : k);
    const json_t *given = flag(call, "attention_mask");
    kt *am = given && !json_is_null(given) ? hone__kcall_ref(c, call, given) : NULL;
    hone__value *mask = NULL;
    if (qm) mask = hone__k_unsqueeze(c, bool_of(c, qm), 2);
    if (vm) mask = both(c, mask, hone__k_unsqueeze(c, bool_of(c, vm), 1));
    if (km) mask = both(c, mask, hone__k_unsqueeze(c, bool_of(c, km), 1));
    bool causal = json_is_true(flag(call, "use_causal_mask"));
    int64_t window = hone__kcfg_int(c, l, "sliding_window", 0, 0, K_MAX_DIM);
    if (causal || window) mask = both(c, mask, band(c, q, v, causal, window));
    bool four = am && am->rank == 4;
    if (am && am->rank == 3)
        mask = both(c, mask, bool_of(c, am));
    else if (am && am->rank == 2)
        mask = both(c, mask, hone__k_unsqueeze(c, bool_of(c, am), 0));
    else if (am && !four)
        hone__k_refuse(c, "an attention mask of rank %d", am->rank);
    if (mask) {
        bool flat = !qm && !vm && !km && !am; /* [time, time] broadcasts as it is */
        if (!flat) mask = hone__k_unsqueeze(c, mask, 1);
    }
    return four ? both(c, mask, bool_of(c, am)) : mask;
}

static kt *output_dense(kctx *c, klayer *l, hone__value *x, const heads *h, const kt *q)
{
    kweight w, b;
    const json_t *shape = hone__kcfg(l, "output_shape");
    int64_t dims[3] = {0, 0, q->dims[2]}, flat[2];
    if (shape) dims[2] = (int64_t)hone__kjson_num(shape, -1);
    const char *sub = part(c, l, "output_dense");
    if (json_is_array(shape) && json_array_size(shape) != 1) {
        hone__k_refuse(c, "an output_shape of several dimensions");
        return NULL;
    }
    if (!hone__kw_take(c, l, sub, 0, "kernel", 3, (int64_t[]){h->q, h->value_dim, dims[2]}, &w)) return NULL;
    flat[0] = w.dims[0] * w.dims[1], flat[1] = w.dims[2];
    hone__value *y = hone__k2(c, "MatMul", x, hone__kw_shaped(c, l, &w, 2, flat));
    if (h->bias) {
        if (!hone__kw_take(c, l, sub, 1, "bias", 1, flat + 1, &b)) return NULL;
        y = hone__k2(c, "Add", y, hone__kw_emit(c, l, &b));
    }
    return hone__kt_new(c, K_PLAIN, y, HONE_F32, 3, (int64_t[]){q->dims[0], q->dims[1], flat[1]});
}

static kt *argument(kctx *c, klayer *l, kcall *call, int index, const char *name)
{
    const json_t *v = flag(call, name);
    (void)l;
    if (v && !json_is_null(v)) return hone__kcall_ref(c, call, v);
    return index < call->in_count ? call->in[index] : NULL;
}

static hone_status attend(kctx *c, klayer *l, kcall *call, const heads *h)
{
    kt *q = argument(c, l, call, 0, "query"), *v = argument(c, l, call, 1, "value"),
       *k = argument(c, l, call, 2, "key");
    if (!k) k = v;
    if (!q || !v) return hone__k_shape_error(c, "query and value are needed");
    if (q->rank != 3 || v->rank != 3 || k->rank != 3) return hone__k_refuse(c, "inputs that are not of 3 dimensions");
    if (hone__kcfg(l, "attention_axes") && hone__kjson_num(hone__kcfg(l, "attention_axes"), 1) != 1)
        return hone__k_refuse(c, "attention over several axes");
    if (q->dims[2] < 1 || v->dims[2] < 1 || k->dims[2] < 1)
        return hone__k_shape_error(c, "inputs whose number of features is not known");
    bool gate = hone__kcfg_bool(l, "use_gate", false);
    hone__value *qh = project(c, l, "query_dense", q, h->q, h->key_dim, h->bias, false), *g = NULL;
    hone__value *kh = project(c, l, "key_dense", k, h->kv, h->key_dim, h->bias, true);
    if (gate) g = project(c, l, "gate_dense", q, h->q, h->value_dim, h->bias, false);
    hone__value *vh = project(c, l, "value_dense", v, h->kv, h->value_dim, h->bias, false);
    qh = hone__k2(c, "Mul", qh, hone__k_scalar(c, 1 / sqrt((double)h->key_dim), HONE_F32));
    hone__value *scores = hone__k2(c, "MatMul", qh, repeat_heads(c, kh, h->kv, h->q / h->kv)),
                *mask = head_mask(c, l, call, q, v, k);
    if (mask && c->keras_major < 3) { /* adds where Keras 3 replaces: differs where nothing is seen */
        hone__value *off =
            hone__k2(c, "Mul", hone__k2(c, "Sub", hone__k_scalar(c, 1, HONE_F32), hone__k_cast(c, mask, HONE_F32)),
                     hone__k_scalar(c, -1e9, HONE_F32));
        scores = hone__k2(c, "Add", scores, off);
    } else if (mask)
        scores = hone__emit(&c->b, "Where", "masked", HONE__INS(mask, scores, hone__k_scalar(c, -1e9, HONE_F32)),
                            HONE__NO_ATTRS);
    scores = hone__emit(&c->b, "Softmax", "softmax", HONE__INS(scores), HONE__ATTRS(hone__a_int("axis", -1)));
    hone__value *y = hone__k2(c, "MatMul", scores, repeat_heads(c, vh, h->kv, h->q / h->kv));
    if (g) y = hone__k2(c, "Mul", y, hone__k1(c, "Sigmoid", g));
    int64_t width = h->q * h->value_dim;
    y = hone__k_reshape(c, hone__k_transpose(c, y, 4, (int64_t[]){0, 2, 1, 3}), 3, (int64_t[]){0, 0, width});
    call->out[0] = output_dense(c, l, y, h, q);
    call->out_count = 1;
    if (call->out[0]) call->out[0]->mask = named_mask(c, call, "query_mask", q);
    int64_t dims[4] = {q->dims[0], h->q, q->dims[1], v->dims[1]};
    if (json_is_true(flag(call, "return_attention_scores")))
        call->out[call->out_count++] = hone__kt_new(c, K_PLAIN, scores, HONE_F32, 4, dims);
    return c->b.status;
}

hone_status hone__klayer_multi_head(kctx *c, klayer *l, kcall *call)
{
    heads h = {.q = hone__kcfg_int(c, l, "num_heads", 1, 1, 65536),
               .key_dim = hone__kcfg_int(c, l, "key_dim", 1, 1, 1 << 20),
               .bias = hone__kcfg_bool(l, "use_bias", true)};
    h.kv = h.q;
    h.value_dim = hone__kcfg_int(c, l, "value_dim", h.key_dim, 1, 1 << 20);
    return c->b.status == HONE_OK ? attend(c, l, call, &h) : c->b.status;
}

hone_status hone__klayer_group_query(kctx *c, klayer *l, kcall *call)
{
    heads h = {.q = hone__kcfg_int(c, l, "num_query_heads", 1, 1, 65536),
               .kv = hone__kcfg_int(c, l, "num_key_value_heads", 1, 1, 65536),
               .key_dim = hone__kcfg_int(c, l, "head_dim", 1, 1, 1 << 20),
               .bias = hone__kcfg_bool(l, "use_bias", true)};
    h.value_dim = h.key_dim;
    if (c->b.status == HONE_OK && h.q % h.kv)
        return hone__k_shape_error(c, "%lld query heads over %lld", (long long)h.q, (long long)h.kv);
    return c->b.status == HONE_OK ? attend(c, l, call, &h) : c->b.status;
}
