/* op_ml_category.c: what maps values to others by tables (ai.onnx.ml): LabelEncoder, CategoryMapper, OneHotEncoder. */
#include <math.h>

#include "ml.h"

/* A list of keys or values: an attribute of one of four kinds. */
typedef struct list {
    hone_dtype dtype;
    const void *data;
    size_t count;
} list;

static list list_of(const hone__attr *a)
{
    if (!a) return (list){0};
    switch (a->kind) {
    case HONE__ATTR_STRINGS: return (list){HONE_STRING, a->strings, a->count};
    case HONE__ATTR_INTS: return (list){HONE_I64, a->ints, a->count};
    case HONE__ATTR_FLOATS: return (list){HONE_F32, a->floats, a->count};
    case HONE__ATTR_TENSOR: return (list){a->t->dtype, a->t->data, a->t->count};
    default: return (list){0};
    }
}

/* The first of <prefix>_strings, _int64s, _floats, _tensor that is there. */
static list find_list(const hone__node *n, const char *const names[4])
{
    list l = {0};
    for (int i = 0; i < 4 && !l.count; i++) l = list_of(hone__node_attr(n, names[i]));
    return l;
}

typedef struct table {
    list keys, values;
    bool to_place;   /* a key gives its place in the list of keys */
    bool from_place; /* a key is a place in the list of values */
} table;

/* LabelEncoder of version 1 had one list: strings to their places, or places to strings. */
static hone_status read_encoder(const hone__node *n, hone_dtype in, table *t)
{
    static const char *const keys[] = {"keys_strings", "keys_int64s", "keys_floats", "keys_tensor"};
    static const char *const values[] = {"values_strings", "values_int64s", "values_floats", "values_tensor"};
    list classes = list_of(hone__node_attr(n, "classes_strings"));
    *t = (table){.keys = find_list(n, keys), .values = find_list(n, values)};
    if (!t->keys.count && !t->values.count && classes.dtype == HONE_STRING && classes.count) {
        t->to_place = in == HONE_STRING;
        t->from_place = !t->to_place;
        *(t->to_place ? &t->keys : &t->values) = classes;
        (t->to_place ? &t->values : &t->keys)->dtype = HONE_I64;
        return HONE_OK;
    }
    if (!t->keys.count || t->keys.count != t->values.count)
        return hone__fail(HONE_E_SHAPE, "%zu keys for %zu values", t->keys.count, t->values.count);
    return HONE_OK;
}

static hone_status read_mapper(const hone__node *n, hone_dtype in, table *t)
{
    list strings = list_of(hone__node_attr(n, "cats_strings")), ints = list_of(hone__node_attr(n, "cats_int64s"));
    if (strings.dtype != HONE_STRING || ints.dtype != HONE_I64 || strings.count != ints.count)
        return hone__fail(HONE_E_SHAPE, "%zu cats_strings for %zu cats_int64s", strings.count, ints.count);
    *t = (table){.keys = in == HONE_STRING ? strings : ints, .values = in == HONE_STRING ? ints : strings};
    return HONE_OK;
}

static hone_status read_table(const hone__node *n, hone_dtype in, table *t)
{
    return !strcmp(n->op, "CategoryMapper") ? read_mapper(n, in, t) : read_encoder(n, in, t);
}

static hone_status infer_map(hone__infer *x)
{
    table t;
    hone_dtype d = x->in[0].dtype;
    const hone__attr *other = hone__node_attr(x->node, "default_tensor");
    HONE__TRY(hone__infer_arity(x, 1, 1));
    x->out[0].shape = x->in[0].shape;
    if (!d) return HONE_OK;
    HONE__TRY(read_table(x->node, d, &t));
    if (d != t.keys.dtype)
        return hone__fail(HONE_E_SHAPE, "input 0 is %s, the keys are %s", hone_dtype_name(d),
                          hone_dtype_name(t.keys.dtype));
    if (!hone__dtype_size(t.values.dtype) || !hone__dtype_size(d))
        return hone__fail(HONE_E_UNSUPPORTED, "values of type %s", hone_dtype_name(t.values.dtype));
    if (other && (other->kind != HONE__ATTR_TENSOR || other->t->dtype != t.values.dtype || other->t->count != 1))
        return hone__fail(HONE_E_SHAPE, "default_tensor is not one value of type %s", hone_dtype_name(t.values.dtype));
    x->out[0].dtype = t.values.dtype;
    return HONE_OK;
}

/* The keys of a list, sorted, as the plan's state. */
static hone_status prepare_keys(hone__prepare *p, const list *l, size_t count)
{
    hone__keys *k = hone__arena_zalloc(p->arena, sizeof *k);
    if (!k) return hone__out_of_memory(sizeof *k);
    HONE__TRY(hone__keys_new(k, p->arena, count));
    for (size_t i = 0; i < count; i++) {
        k->list[i] = hone__key_of(l->dtype, l->data, i);
        k->list[i].place = i;
    }
    hone__keys_sort(k);
    p->state = k;
    return HONE_OK;
}

static hone_status prepare_map(hone__prepare *p)
{
    table t;
    HONE__TRY(read_table(p->node, p->in[0]->dtype, &t));
    return prepare_keys(p, &t.keys, t.from_place ? 0 : t.keys.count);
}

/* What stands for keys that are not in the table. */
static void put_default(const hone__node *n, const table *t, void *out, size_t i)
{
    const hone__attr *a = hone__node_attr(n, "default_tensor");
    if (a)
        memcpy((char *)out + i * hone__dtype_size(a->t->dtype), a->t->data, hone__dtype_size(a->t->dtype));
    else if (t->values.dtype == HONE_STRING) {
        a = hone__node_attr(n, "default_string");
        ((hone__string *)out)[i] = a && a->kind == HONE__ATTR_STRING ? a->s : (hone__string){"_Unused", 7};
    } else if (hone__dtype_is_float(t->values.dtype))
        hone__element_set_f64(t->values.dtype, out, i, (double)hone__node_float(n, "default_float", -0.0f));
    else
        hone__element_set_i64(t->values.dtype, out, i, hone__node_int(n, "default_int64", -1));
}

static hone_status run_map(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    const hone__keys *k = r->state;
    table t;
    HONE__TRY(read_table(r->node, x->dtype, &t));
    size_t size = hone__dtype_size(t.values.dtype), at = 0;
    char *y = hone__out_data(r, 0);
    for (size_t i = 0; i < x->count; i++) {
        hone__key key = hone__key_of(x->dtype, x->data, i);
        bool found =
            t.from_place ? key.major >= 0 && (uint64_t)key.major < t.values.count : hone__keys_find(k, &key, &at);
        if (t.from_place) at = (size_t)key.major;
        if (!found)
            put_default(r->node, &t, y, i);
        else if (t.to_place)
            ((int64_t *)(void *)y)[i] = (int64_t)at;
        else
            memcpy(y + i * size, (const char *)t.values.data + at * size, size);
    }
    return HONE_OK;
}
const hone__op hone__op_ml_label_encoder = {"ai.onnx.ml", "LabelEncoder", infer_map,
                                            prepare_map,  run_map,        HONE__OP_STRINGS};
const hone__op hone__op_ml_category_mapper = {"ai.onnx.ml", "CategoryMapper", infer_map,
                                              prepare_map,  run_map,          HONE__OP_STRINGS};

static list categories(const hone__node *n)
{
    list l = list_of(hone__node_attr(n, "cats_int64s"));
    return l.count ? l : list_of(hone__node_attr(n, "cats_strings"));
}

static hone_status infer_one_hot(hone__infer *x)
{
    hone_dtype d = x->in[0].dtype;
    list cats = categories(x->node);
    HONE__TRY(hone__infer_arity(x, 1, 1));
    if (!cats.count) return hone__fail(HONE_E_SHAPE, "neither cats_int64s nor cats_strings");
    if (d && (d == HONE_STRING) != (cats.dtype == HONE_STRING))
        return hone__fail(HONE_E_SHAPE, "input 0 is %s, the categories are %s", hone_dtype_name(d),
                          hone_dtype_name(cats.dtype));
    x->out[0].dtype = HONE_F32;
    x->out[0].shape = x->in[0].shape;
    if (x->in[0].shape.rank == HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank over %d", HONE_MAX_RANK);
    if (x->in[0].shape.rank >= 0) x->out[0].shape.dims[x->out[0].shape.rank++] = (int64_t)cats.count;
    return HONE_OK;
}

static hone_status prepare_one_hot(hone__prepare *p)
{
    list cats = categories(p->node);
    return prepare_keys(p, &cats, cats.count);
}

static hone_status run_one_hot(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    const hone__keys *k = r->state;
    bool zeros = hone__node_int(r->node, "zeros", 1) != 0;
    float *y = hone__out_data(r, 0);
    if (r->out[0]->bytes) memset(y, 0, r->out[0]->bytes);
    for (size_t i = 0; i < x->count; i++) {
        size_t at;
        bool number = hone__dtype_is_float(x->dtype) && !isnan(hone__tensor_f64(x, i));
        hone__key key = hone__key_of(x->dtype, x->data, i);
        if (number) key = (hone__key){.major = hone__tensor_i64(x, i)}; /* categories are integers: cut off */
        if (hone__keys_find(k, &key, &at))
            y[i * k->count + at] = 1;
        else if (!zeros)
            return hone__fail(HONE_E_ARGUMENT, "element %zu of input 0 is of no category", i);
    }
    return HONE_OK;
}
const hone__op hone__op_ml_one_hot_encoder = {"ai.onnx.ml",    "OneHotEncoder", infer_one_hot,
                                              prepare_one_hot, run_one_hot,     HONE__OP_STRINGS};
