/* ml.c: shared pieces of the operators of domain ai.onnx.ml. */
#include "ml.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

hone__reals hone__node_reals(const hone__node *n, const char *name)
{
    char tensor[64];
    const hone__attr *a = hone__node_attr(n, name);
    if (a && a->kind == HONE__ATTR_FLOATS && a->count) return (hone__reals){.floats = a->floats, .count = a->count};
    snprintf(tensor, sizeof tensor, "%s_as_tensor", name);
    a = hone__node_attr(n, tensor);
    if (!a || a->kind != HONE__ATTR_TENSOR || !hone__dtype_is_float(a->t->dtype)) return (hone__reals){0};
    return (hone__reals){.tensor = a->t, .count = a->t->count};
}

hone_status hone__labels_read(const hone__node *n, const char *ints, hone__labels *out)
{
    const hone__attr *s = hone__node_attr(n, "classlabels_strings");
    *out = (hone__labels){0};
    if (s && s->kind == HONE__ATTR_STRINGS && s->count) {
        out->strings = s->strings;
        out->count = s->count;
        return HONE_OK;
    }
    out->ints = hone__node_ints(n, ints, &out->count);
    return out->count ? HONE_OK : hone__fail(HONE_E_SHAPE, "neither classlabels_strings nor %s", ints);
}

void hone__labels_put(const hone__labels *l, hone__run *r, size_t i, size_t k)
{
    if (!r->out[0]) return;
    if (l->strings)
        ((hone__string *)hone__out_data(r, 0))[i] = l->strings[k];
    else
        ((int64_t *)hone__out_data(r, 0))[i] = l->ints[k];
}

static int compare_text(hone__string a, hone__string b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.size > b.size) - (a.size < b.size);
}

static int compare_keys(const hone__key *a, const hone__key *b)
{
    if (a->major != b->major) return a->major < b->major ? -1 : 1;
    if (a->minor != b->minor) return a->minor < b->minor ? -1 : 1;
    return compare_text(a->text, b->text);
}

static int compare_places(const void *p, const void *q)
{
    const hone__key *a = p, *b = q;
    int c = compare_keys(a, b);
    return c ? c : (a->place > b->place) - (a->place < b->place);
}

hone_status hone__keys_new(hone__keys *k, hone__arena *arena, size_t count)
{
    size_t bytes;
    if (!hone__mul_size(count + 1, sizeof *k->list, &bytes)) return hone__out_of_memory(count);
    k->list = hone__arena_zalloc(arena, bytes);
    k->count = count;
    if (!k->list) return hone__out_of_memory(bytes);
    for (size_t i = 0; i < count; i++) k->list[i].place = i;
    return HONE_OK;
}

void hone__keys_sort(hone__keys *k)
{
    size_t i = 1;
    while (i < k->count && compare_places(&k->list[i - 1], &k->list[i]) < 0) i++;
    if (i < k->count) qsort(k->list, k->count, sizeof *k->list, compare_places); /* most lists are sorted already */
}

bool hone__keys_find(const hone__keys *k, const hone__key *key, size_t *place)
{
    size_t low = 0, high = k->count; /* list[low - 1] <= key < list[high] */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_keys(&k->list[middle], key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low || compare_keys(&k->list[low - 1], key)) return false;
    *place = k->list[low - 1].place;
    return true;
}

hone__key hone__key_of(hone_dtype dtype, const void *data, size_t i)
{
    if (dtype == HONE_STRING) return (hone__key){.text = ((const hone__string *)data)[i]};
    if (!hone__dtype_is_float(dtype)) return (hone__key){.major = hone__element_i64(dtype, data, i)};
    double v = hone__element_f64(dtype, data, i);
    hone__key k = {0};
    if (isnan(v))
        k.minor = 1;
    else if (v != 0)
        memcpy(&k.major, &v, sizeof v);
    return k;
}

hone_status hone__post_read(const hone__node *n, hone__post *out)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    const char *name = hone__node_string(n, "post_transform", "NONE");
    int64_t number = hone__node_int(n, "post_transform", -1); /* TreeEnsemble numbers them */
    for (int i = 0; i < 5; i++)
        if (number < 0 ? !strcmp(name, names[i]) : number == i) {
            *out = (hone__post)i;
            return HONE_OK;
        }
    return hone__fail(HONE_E_UNSUPPORTED, "post_transform '%.40s' (%lld)", name, (long long)number);
}

/* The approximation by elementary functions (Winitzki's, a = 0.147) that defines PROBIT in other runtimes, too. */
static double probit(double p)
{
    double x = 2 * p - 1, log1 = log((1 - x) * (1 + x));
    double v = 2 / (3.14159265358979324 * 0.147) + 0.5 * log1;
    double r = sqrt(sqrt(v * v - log1 / 0.147) - v);
    return 1.4142135623730951 * (x < 0 ? -r : r);
}

/* `skip`: scores of 0 stay 0, as if they were not there. */
static void softmax(double *s, size_t n, bool skip)
{
    double peak = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (s[i] > peak) peak = s[i];
    for (size_t i = 0; i < n; i++) {
        s[i] = skip && fabs(s[i]) <= 1e-7 ? s[i] * exp(-peak) : exp(s[i] - peak);
        sum += s[i];
    }
    for (size_t i = 0; i < n; i++) s[i] = sum != 0 ? s[i] / sum : 0.5;
}

void hone__post_apply(hone__post post, double *s, size_t n)
{
    if (post == HONE__POST_SOFTMAX || post == HONE__POST_SOFTMAX_ZERO) softmax(s, n, post == HONE__POST_SOFTMAX_ZERO);
    if (post == HONE__POST_LOGISTIC)
        for (size_t i = 0; i < n; i++) s[i] = s[i] < 0 ? exp(s[i]) / (1 + exp(s[i])) : 1 / (1 + exp(-s[i]));
    if (post == HONE__POST_PROBIT)
        for (size_t i = 0; i < n; i++) s[i] = probit(s[i]);
}

void hone__post_lone(hone__post post, double s[2], bool signs)
{
    s[1] = s[0];
    s[0] = signs || post == HONE__POST_LOGISTIC ? -s[1] : 1 - s[1];
    if (post == HONE__POST_LOGISTIC) hone__post_apply(post, s, 2);
    if (post != HONE__POST_PROBIT) return;
    hone__post_apply(post, s + 1, 1); /* ONNX Runtime makes this one number only; of a probability the rest is 1 - p */
    s[0] = -s[1];
}

hone_status hone__ml_table(const hone__tensor *t, size_t *rows, size_t *columns)
{
    if (t->rank < 1 || t->rank > 2) return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 1 or 2", t->rank);
    *rows = t->rank == 2 ? (size_t)t->dims[0] : 1;
    *columns = (size_t)t->dims[t->rank - 1];
    return HONE_OK;
}

hone_status hone__ml_infer_table(const hone__infer *x, int64_t *rows)
{
    const hone__type *t = &x->in[0];
    HONE__TRY(hone__infer_arity(x, 1, 1));
    if (t->dtype == HONE_STRING || t->dtype == HONE_BOOL)
        return hone__fail(HONE_E_SHAPE, "input 0 is %s, expected numbers", hone_dtype_name(t->dtype));
    if (t->shape.rank == 0 || t->shape.rank > 2)
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 1 or 2", t->shape.rank);
    *rows = t->shape.rank == 2 ? t->shape.dims[0] : t->shape.rank == 1 ? 1 : -1;
    return HONE_OK;
}

hone_status hone__ml_infer_columns(const hone__infer *x, size_t columns)
{
    const hone__shape *s = &x->in[0].shape;
    int64_t given = s->rank > 0 ? s->dims[s->rank - 1] : -1;
    if (given < 0 || (size_t)given == columns) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "input 0 has %lld columns, the node's lists are for %zu", (long long)given,
                      columns);
}
