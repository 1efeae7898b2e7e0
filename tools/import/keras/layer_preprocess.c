/* layer_preprocess.c: Rescaling, Normalization, Discretization and CategoryEncoding. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keras_lookup.h"

/* A number, or nested lists of numbers, flattened; count or -1. */
static int64_t read_numbers(const json_t *v, float *out, int64_t max, int64_t n)
{
    const json_t *inner = json_object_get(json_object_get(v, "config"), "value");
    if (inner) v = inner;
    if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v) && n >= 0; i++) n = read_numbers(json_array_get(v, i), out, max, n);
        return n;
    }
    if (!json_is_number(v) || n >= max) return -1;
    if (out) out[n] = (float)json_number_value(v);
    return n + 1;
}

float *hone__k_numbers(kctx *c, const klayer *l, const char *key, int64_t *count)
{
    const json_t *v = hone__kcfg(l, key);
    *count = v ? read_numbers(v, NULL, 1 << 22, 0) : 0;
    if (*count < 1) {
        if (*count < 0) hone__k_shape_error(c, "setting '%s' must hold numbers", key);
        return NULL;
    }
    float *out = hone__k_alloc(c, (size_t)*count * sizeof *out);
    if (out) read_numbers(v, out, *count, 0);
    return out;
}

/* One value, or one per channel (the last axis), as a constant for the given form. */
static hone__value *per_channel(kctx *c, const kt *t, int form, const float *v, int64_t n)
{
    int64_t dims[HONE_MAX_RANK];
    if (n == 1) return hone__k_scalar(c, v[0], HONE_F32);
    if (n != t->dims[t->rank - 1]) {
        hone__k_shape_error(c, "%lld values for shape %s", (long long)n, hone__k_dims(c, t));
        return NULL;
    }
    int rank = form == K_MOVED ? t->rank - 1 : 1;
    for (int i = 0; i < rank; i++) dims[i] = i ? 1 : n;
    return hone__emit_f32(&c->b, "", v, rank, dims);
}

hone_status hone__klayer_rescaling(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    int64_t n, m;
    float *scale = hone__k_numbers(c, l, "scale", &n), *offset = hone__k_numbers(c, l, "offset", &m);
    if (!t || c->b.status != HONE_OK) return c->b.status;
    int form = t->form[K_MOVED] ? K_MOVED : K_PLAIN;
    hone__value *x = hone__kt_get(c, t, form);
    if (scale) x = hone__k2(c, "Mul", x, per_channel(c, t, form, scale, n));
    if (offset && !(m == 1 && offset[0] == 0)) x = hone__k2(c, "Add", x, per_channel(c, t, form, offset, m));
    return hone__k_return(c, call, hone__kt_like(c, t, form, x));
}

/* Mean or variance spread over the kept axes, 1 elsewhere; from the settings or from the file. */
static float *statistic(kctx *c, klayer *l, const char *key, int index, int64_t want, int kept,
                        const int64_t *kept_dims)
{
    int64_t n;
    float *v = hone__k_numbers(c, l, key, &n);
    if (!v && c->b.status == HONE_OK) {
        kweight w;
        if (!hone__kw_take(c, l, "", index, key, kept, kept_dims, &w)) return NULL;
        return hone__kw_floats(c, &w);
    }
    if (v && n == 1 && want > 1) {
        float *all = hone__k_alloc(c, (size_t)want * sizeof *all);
        for (int64_t i = 0; all && i < want; i++) all[i] = v[0];
        return all;
    }
    if (v && n != want)
        hone__k_shape_error(c, "%lld values of '%s' for %lld features", (long long)n, key, (long long)want);
    return v;
}

hone_status hone__klayer_normalization(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    int64_t axes[HONE_MAX_RANK], dims[HONE_MAX_RANK], kept[HONE_MAX_RANK], want = 1;
    if (!t || t->rank < 1) return hone__k_shape_error(c, "a scalar input");
    const json_t *given = hone__kcfg(l, "axis");
    int n = given && !(json_is_array(given) && !json_array_size(given)) ? hone__kaxes(c, given, t->rank, axes) : 0;
    for (int i = 0; i < t->rank; i++) dims[i] = 1;
    for (int i = 0; i < n; i++) {
        dims[axes[i]] = kept[i] = t->dims[axes[i]];
        if (kept[i] < 1 || axes[i] == 0 || kept[i] > (1 << 24) / want)
            return hone__k_shape_error(c, "axis %d of shape %s", (int)axes[i], hone__k_dims(c, t));
        want *= kept[i];
    }
    float *mean = statistic(c, l, "mean", 0, want, n, kept), *spread = statistic(c, l, "variance", 1, want, n, kept);
    if (c->b.status != HONE_OK || !mean || !spread) return c->b.status;
    for (int64_t i = 0; i < want; i++) spread[i] = fmaxf(sqrtf(spread[i]), 1e-7f);
    int rank = n ? t->rank - (int)axes[0] : 0;
    hone__value *m = hone__emit_f32(&c->b, "mean", mean, rank, dims + t->rank - rank),
                *s = hone__emit_f32(&c->b, "spread", spread, rank, dims + t->rank - rank);
    hone__value *x = hone__kt_plain(c, t);
    if (hone__kcfg_bool(l, "invert", false))
        x = hone__k2(c, "Add", m, hone__k2(c, "Mul", x, s));
    else
        x = hone__k2(c, "Div", hone__k2(c, "Sub", x, m), s);
    return hone__k_return(c, call, hone__kt_like(c, t, K_PLAIN, x));
}

/* one_hot replaces a last axis of 1 (or adds one); multi_hot and count reduce over the last axis. */
kt *hone__k_encoded(kctx *c, kt *ids, const char *mode, int64_t depth)
{
    bool one = strcmp(mode, "one_hot") == 0, multi = strcmp(mode, "multi_hot") == 0;
    int64_t dims[HONE_MAX_RANK], axes[1];
    if (!one && !multi && strcmp(mode, "count") != 0) {
        hone__k_refuse(c, "output_mode '%s'", mode);
        return NULL;
    }
    hone__value *x = hone__kt_plain(c, hone__kt_cast(c, ids, HONE_I64));
    int rank = ids->rank;
    memcpy(dims, ids->dims, sizeof dims);
    if (one && rank > 0 && dims[rank - 1] == 1) x = hone__k_squeeze(c, x, --rank);
    if (rank >= HONE_MAX_RANK || (!one && rank < 1)) {
        hone__k_shape_error(c, "output_mode '%s' of an input of rank %d", mode, rank);
        return NULL;
    }
    x = hone__k_one_hot(c, x, rank, rank, depth);
    dims[rank++] = depth;
    if (!one) {
        axes[0] = rank - 2;
        x = hone__k_reduce(c, multi ? "ReduceMax" : "ReduceSum", x, axes, 1, false);
        dims[rank - 2] = depth, rank--;
    }
    return hone__kt_new(c, K_PLAIN, x, HONE_F32, rank, dims);
}

hone_status hone__klayer_category(kctx *c, klayer *l, kcall *call)
{
    int64_t depth = hone__kcfg_int(c, l, "num_tokens", 0, 1, 1 << 24);
    if (hone__kcfg_bool(l, "sparse", false)) return hone__k_refuse(c, "a sparse output");
    if (json_object_get(call->kwargs, "count_weights") && !json_is_null(json_object_get(call->kwargs, "count_weights")))
        return hone__k_refuse(c, "count_weights");
    return hone__k_return(c, call,
                          hone__k_encoded(c, call->in[0], hone__kcfg_text(l, "output_mode", "multi_hot"), depth));
}

hone_status hone__klayer_discretization(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    int64_t n, axes[1];
    float *bins = hone__k_numbers(c, l, "bin_boundaries", &n);
    const char *mode = hone__kcfg_text(l, "output_mode", "int");
    if (!t || !bins) return c->b.status ? c->b.status : hone__k_refuse(c, "no bin boundaries in its settings");
    if (hone__kcfg_bool(l, "sparse", false) || t->rank >= 8) return hone__k_refuse(c, "a sparse output");
    axes[0] = t->rank;
    hone__value *x = hone__k_unsqueeze(c, hone__kt_plain(c, t), t->rank);
    hone__value *above = hone__k2(c, "GreaterOrEqual", x, hone__emit_f32(&c->b, "bins", bins, 1, &n));
    hone__value *count = hone__k_reduce(c, "ReduceSum", hone__k_cast(c, above, HONE_I64), axes, 1, false);
    kt *y = hone__kt_new(c, K_PLAIN, count, HONE_I64, t->rank, t->dims);
    y = strcmp(mode, "int") != 0 ? hone__k_encoded(c, y, mode, n + 1)
                                 : hone__kt_cast(c, y, c->keras_major >= 3 ? HONE_I32 : HONE_I64);
    return hone__k_return(c, call, y);
}

/* The vocabulary that adapt() found, from the archive; what is masked and unknown stands in front. */
static kt *adapted_numbers(kctx *c, const klayer *l, int64_t first)
{
    kvocabulary v = {0};
    if (c->b.status != HONE_OK || !hone__kvocabulary_lines(c, l, &v)) return NULL;
    if ((int64_t)v.count <= first) {
        hone__k_shape_error(c, "its vocabulary is empty");
        return NULL;
    }
    int64_t n = (int64_t)v.count - first, *numbers = hone__k_alloc(c, (size_t)n * sizeof *numbers);
    for (int64_t i = 0; numbers && i < n; i++) {
        char text[32], *end;
        hone__string s = v.words[first + i];
        snprintf(text, sizeof text, "%.*s", (int)(s.size < 31 ? s.size : 31), s.data);
        numbers[i] = strtoll(text, &end, 10);
        if (end == text || *end || s.size > 30) {
            hone__k_shape_error(c, "entry %lld of its vocabulary is no number", (long long)i);
            return NULL;
        }
    }
    return numbers ? hone__kt_new(c, K_PLAIN, hone__k_ints(c, numbers, (size_t)n), HONE_I64, 1, &n) : NULL;
}

/* The numbers of a list in the settings, without the mask and the unknown that may stand in front. */
static kt *given_numbers(kctx *c, const klayer *l, const klookup *k, const json_t *list)
{
    int64_t front[2] = {(int64_t)hone__kjson_num(hone__kcfg(l, "mask_token"), 0),
                        (int64_t)hone__kjson_num(hone__kcfg(l, "oov_token"), -1)};
    size_t special = (size_t)k->first;
    bool found = json_is_array(list) && special && json_array_size(list) >= special;
    for (size_t i = 0; found && i < special; i++) {
        const json_t *one = json_array_get(list, i);
        found = json_is_integer(one) && json_integer_value(one) == front[i > 0 || !k->masks_first];
    }
    if (!found) return hone__kt_cast(c, hone__kt_constant(c, list), HONE_I64);
    json_t *rest = json_array();
    for (size_t i = special; rest && i < json_array_size(list); i++) json_array_append(rest, json_array_get(list, i));
    if (!rest || json_array_append_new(c->made, rest)) {
        hone__builder_fail(&c->b, hone__out_of_memory(json_array_size(list)));
        return NULL;
    }
    return hone__kt_cast(c, hone__kt_constant(c, rest), HONE_I64);
}

/* Places to numbers: what is outside every place is what the settings say of the unknown. */
static hone__value *numbers_at(kctx *c, const klayer *l, const klookup *k, kt *words, hone__value *x)
{
    int64_t other = (int64_t)hone__kjson_num(hone__kcfg(l, "oov_token"), -1), before[2], n = words->dims[0];
    hone__value *parts[4] = {hone__k_int(c, other)};
    int count = 1;
    if (k->has_mask) before[0] = (int64_t)hone__kjson_num(hone__kcfg(l, "mask_token"), 0);
    if (k->masks_first) parts[count++] = hone__k_ints(c, before, 1);
    if (k->unknown) {
        hone__value *many = hone__k_int(c, k->unknown);
        parts[count++] = hone__emit(&c->b, "Expand", "unknown", HONE__INS(parts[0], many), HONE__NO_ATTRS);
    }
    hone__value *known[2] = {hone__k_concat(c, parts, count, 0), hone__kt_plain(c, words)}, *all[2];
    all[0] = hone__k_concat(c, known, 2, 0), all[1] = parts[0];
    hone__value *low = hone__k_scalar(c, -1, HONE_I64), *high = hone__k_scalar(c, (double)(k->first + n), HONE_I64);
    hone__value *at = hone__k2(c, "Min", hone__k2(c, "Max", x, low), high);
    at = hone__k2(c, "Add", at, hone__k_scalar(c, 1, HONE_I64));
    return hone__k2(c, "Gather", hone__k_concat(c, all, 2, 0), at);
}

/* [numbers] -> their places; below 0 where they have none. */
static hone__value *places_of(kctx *c, const klookup *k, kt *words, hone__value *x, int rank)
{
    int64_t n = words->dims[0], axes[1] = {rank}, *place = hone__k_alloc(c, (size_t)n * sizeof *place);
    if (!place) return NULL;
    for (int64_t i = 0; i < n; i++) place[i] = i + k->first + 1; /* one more, for 0 to mean none */
    hone__value *hit = hone__k2(c, "Equal", hone__k_unsqueeze(c, x, rank), hone__kt_plain(c, words));
    hone__value *at = hone__k2(c, "Mul", hone__k_cast(c, hit, HONE_I64), hone__k_ints(c, place, (size_t)n));
    at = hone__k_reduce(c, "ReduceMax", at, axes, 1, false);
    at = hone__k2(c, "Sub", at, hone__k_scalar(c, 1, HONE_I64));
    if (k->unknown == 0) return at;
    hone__value *buckets = hone__k_scalar(c, (double)k->unknown, HONE_I64);
    return hone__klookup_spread(c, k, at,
                                k->unknown == 1 ? hone__k_scalar(c, 0, HONE_I64) : hone__k2(c, "Mod", x, buckets));
}

/* Whole numbers to their places in a vocabulary: [mask] [those of the unknown] vocabulary; or back. */
hone_status hone__klayer_integer_lookup(kctx *c, klayer *l, kcall *call)
{
    klookup k;
    kvocabulary v = {0};
    kt *t = hone__kt_cast(c, call->in[0], HONE_I64);
    const json_t *given = hone__kcfg(l, "vocabulary"), *mask = hone__kcfg(l, "mask_token");
    if (!t || !hone__klookup_read(c, l, &k)) return c->b.status;
    kt *words = given ? given_numbers(c, l, &k, given) : adapted_numbers(c, l, k.first);
    if (!words || words->rank != 1)
        return c->b.status ? c->b.status : hone__k_refuse(c, "no vocabulary in its settings");
    if (t->rank >= 8) return hone__k_shape_error(c, "an input of rank %d", t->rank);
    v.count = (size_t)words->dims[0];
    hone__value *x = hone__kt_plain(c, t),
                *at = k.invert ? numbers_at(c, l, &k, words, x) : places_of(c, &k, words, x, t->rank);
    if (mask && !k.invert) {
        hone__value *masked = hone__k2(c, "Equal", x, hone__k_scalar(c, hone__kjson_num(mask, 0), HONE_I64)),
                    *to = hone__k_scalar(c, k.whole ? 0 : K_DROPPED, HONE_I64);
        at = hone__emit(&c->b, "Where", "masked", HONE__INS(masked, to, at), HONE__NO_ATTRS);
    }
    kt *y = hone__kt_new(c, K_PLAIN, at, HONE_I64, t->rank, t->dims);
    return hone__k_return(c, call, hone__klookup_finish(c, l, &k, &v, y));
}
