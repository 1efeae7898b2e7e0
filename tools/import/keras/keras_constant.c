/* keras_constant.c: arrays that a configuration holds itself: lists of numbers, NumPy arrays and tensors as Keras
 * writes them ({"class_name": "__numpy__", "config": {"value": [...], "dtype": "float32"}}). */
#include <string.h>

#include "keras.h"

typedef struct array {
    int rank;
    int64_t dims[HONE_MAX_RANK];
    size_t count;
    bool real, whole; /* holds a fraction; holds something else than booleans */
} array;

/* The shape of a nested list, as its first elements have it. False: no list of numbers, or an empty one. */
static bool measure(const json_t *v, array *a)
{
    memset(a, 0, sizeof *a);
    a->count = 1;
    for (; json_is_array(v); v = json_array_get(v, 0)) {
        size_t n = json_array_size(v);
        if (n == 0 || a->rank == HONE_MAX_RANK || __builtin_mul_overflow(a->count, n, &a->count)) return false;
        a->dims[a->rank++] = (int64_t)n;
    }
    return a->rank > 0 && a->count <= K_MAX_DIM;
}

/* Every list as long as the first of its depth, every element a number. */
static bool check(const json_t *v, array *a, int depth)
{
    if (depth == a->rank) {
        a->real = a->real || json_is_real(v) || json_is_string(v);
        a->whole = a->whole || !json_is_boolean(v);
        return json_is_number(v) || json_is_boolean(v) || hone__json_is_nonfinite(v);
    }
    if (!json_is_array(v) || (int64_t)json_array_size(v) != a->dims[depth]) return false;
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!check(json_array_get(v, i), a, depth + 1)) return false;
    return true;
}

static size_t fill(const json_t *v, hone_dtype dtype, void *out, size_t at)
{
    if (!json_is_array(v)) {
        hone__element_set_f64(dtype, out, at, hone__kjson_num(v, 0));
        return at + 1;
    }
    for (size_t i = 0; i < json_array_size(v); i++) at = fill(json_array_get(v, i), dtype, out, at);
    return at;
}

kt *hone__kt_constant(kctx *c, const json_t *v)
{
    const json_t *config = json_is_object(v) ? json_object_get(v, "config") : NULL;
    hone_dtype dtype = hone__kdtype(json_object_get(config, "dtype"), HONE_UNDEFINED);
    array a;
    hone__tensor t;
    if (config) v = json_object_get(config, "value");
    if (c->b.status != HONE_OK || !json_is_array(v) || !measure(v, &a) || !check(v, &a, 0)) return NULL;
    if (dtype == HONE_STRING) return NULL;
    if (dtype == HONE_UNDEFINED) dtype = a.real ? HONE_F32 : a.whole ? HONE_I32 : HONE_BOOL;
    if (hone__builder_fail(&c->b, hone__tensor_new(dtype, a.rank, a.dims, &t)) != HONE_OK) return NULL;
    fill(v, dtype, hone__tensor_write(&t), 0);
    return hone__kt_new(c, K_PLAIN, hone__emit_tensor(&c->b, "constant", &t), dtype, a.rank, a.dims);
}

kt *hone__kt_scalar(kctx *c, double v, hone_dtype dtype)
{
    return hone__kt_new(c, K_PLAIN, hone__k_scalar(c, v, dtype), dtype, 0, NULL);
}
