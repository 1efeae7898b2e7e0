/* layer_hash.c: Hashing, HashedCrossing, and what a lookup does with what it does not know: TensorFlow's hashes of
 * texts, as operators of domain ai.onnx.contrib or hone.text. */
#include <string.h>

#include "keras_lookup.h"

hone__value *hone__k_hash_bucket(kctx *c, hone__value *x, int64_t buckets)
{
    return hone__emit(&c->b, "ai.onnx.contrib:StringToHashBucketFast", "hash", HONE__INS(x, hone__k_int(c, buckets)),
                      HONE__NO_ATTRS);
}

static hone__value *hash_strong(kctx *c, hone__value *x, const int64_t *key, int64_t buckets)
{
    return hone__emit(&c->b, "hone.text:StringToHashBucketStrong", "hash", HONE__INS(x),
                      HONE__ATTRS(hone__a_ints("key", key, 2), hone__a_int("num_buckets", buckets)));
}

/* One number twice, or two; false: none is given, or an error was left. */
static bool salt_of(kctx *c, const klayer *l, int64_t key[2])
{
    const json_t *salt = hone__kcfg(l, "salt");
    const json_t *words[2] = {json_is_array(salt) ? json_array_get(salt, 0) : salt,
                              json_is_array(salt) ? json_array_get(salt, 1) : salt};
    if (!salt) return false;
    for (int i = 0; i < 2; i++) {
        if (!json_is_integer(words[i]))
            return hone__k_refuse(c, "a salt that is neither a number nor two of them") == HONE_OK;
        key[i] = json_integer_value(words[i]);
    }
    return true;
}

/* bool, where x is what the settings mask; NULL: nowhere. */
static hone__value *masked(kctx *c, const kt *t, hone__value *x, const json_t *mask)
{
    if (json_is_string(mask) != (t->dtype == HONE_STRING)) {
        hone__k_refuse(c, "a mask_value of another type than the input");
        return NULL;
    }
    if (t->dtype != HONE_STRING) {
        hone__value *number = hone__k_scalar(c, hone__kjson_num(mask, 0), t->dtype);
        return hone__k2(c, "Equal", x, number);
    }
    /* ONNX compares texts from opset 19 on; LabelEncoder does in every one */
    hone__string word = {json_string_value(mask), json_string_length(mask)};
    klookup k = {.has_mask = true, .mask = word};
    kvocabulary none = {0};
    hone__value *at = hone__klookup_emit(c, &k, &none, x, 1);
    return hone__k2(c, "Equal", at, hone__k_scalar(c, 1, HONE_I64));
}

static hone__value *where(kctx *c, hone__value *on, hone__value *x, hone__value *y)
{
    return hone__emit(&c->b, "Where", "hashed", HONE__INS(on, x, y), HONE__NO_ATTRS);
}

/* Buckets of the elements of t as the output mode wants them. */
static kt *numbered(kctx *c, const klayer *l, hone__value *buckets, const kt *t, int64_t bins)
{
    const char *mode = hone__kcfg_text(l, "output_mode", "int");
    kt *y = hone__kt_new(c, K_PLAIN, buckets, HONE_I64, t->rank, t->dims);
    if (strcmp(mode, "int") != 0) return hone__k_encoded(c, y, mode, bins);
    return hone__kdtype(hone__kcfg(l, "dtype"), HONE_I64) == HONE_I32 ? hone__kt_cast(c, y, HONE_I32) : y;
}

hone_status hone__klayer_hashing(kctx *c, klayer *l, kcall *call)
{
    kt *t = call->in[0];
    int64_t bins = hone__kcfg_int(c, l, "num_bins", 0, 1, 1 << 30), key[2];
    const json_t *mask = bins > 1 ? hone__kcfg(l, "mask_value") : NULL;
    if (hone__kcfg_bool(l, "sparse", false)) return hone__k_refuse(c, "a sparse output");
    hone__value *given = hone__kt_plain(c, t), *x = given, *zero = hone__k_scalar(c, 0, HONE_I64);
    if (t->dtype != HONE_STRING) x = hone__k_cast(c, hone__k_cast(c, x, HONE_I64), HONE_STRING);
    hone__value *y = salt_of(c, l, key) ? hash_strong(c, x, key, bins - (mask != NULL))
                                        : hone__k_hash_bucket(c, x, bins - (mask != NULL));
    if (mask) y = where(c, masked(c, t, given, mask), zero, hone__k2(c, "Add", y, hone__k_scalar(c, 1, HONE_I64)));
    return hone__k_return(c, call, numbered(c, l, y, t, bins));
}

hone_status hone__klayer_hashed_crossing(kctx *c, klayer *l, kcall *call)
{
    hone__value *in[K_MAX_OUT];
    int64_t bins = hone__kcfg_int(c, l, "num_bins", 0, 1, 1 << 30);
    const kt *first = call->in[0];
    if (hone__kcfg_bool(l, "sparse", false)) return hone__k_refuse(c, "a sparse output");
    if (call->in_count < 2 || call->in_count > K_MAX_OUT)
        return hone__k_shape_error(c, "%d inputs, expected 2 to %d", call->in_count, K_MAX_OUT);
    for (int i = 0; i < call->in_count; i++) {
        kt *t = call->in[i];
        if (t->rank != first->rank || t->rank > 2 || (t->rank == 2 && t->dims[1] != 1))
            return hone__k_shape_error(c, "an input of shape %s, expected (batch,) or (batch, 1)", hone__k_dims(c, t));
        in[i] = hone__kt_plain(c, t->dtype == HONE_STRING ? t : hone__kt_cast(c, t, HONE_I64));
    }
    hone__value *y = hone__emit(&c->b, "hone.text:CrossHashed", "crossed", in, call->in_count,
                                HONE__ATTRS(hone__a_int("num_buckets", bins)));
    return hone__k_return(c, call, numbered(c, l, y, first, bins));
}
