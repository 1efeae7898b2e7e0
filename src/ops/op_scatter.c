/* op_scatter.c: ScatterElements, ScatterND, TensorScatter, OneHot. */
#include <math.h>
#include <string.h>

#include "infer.h"

typedef enum reduction { REPLACE = 0, ADD, MUL, MIN, MAX } reduction;

static hone_status read_reduction(const hone__node *n, reduction *out)
{
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    const char *name = hone__node_string(n, "reduction", "none");
    for (int i = 0; i < 5; i++)
        if (!strcmp(name, names[i])) {
            *out = (reduction)i;
            return HONE_OK;
        }
    return hone__fail(HONE_E_UNSUPPORTED, "reduction '%.40s'", name);
}

static void put(reduction how, hone_dtype d, void *y, size_t at, const void *u, size_t from, size_t size)
{
    if (how == REPLACE) {
        memcpy((char *)y + at * size, (const char *)u + from * size, size);
        return;
    }
    if (hone__dtype_is_int(d) || d == HONE_BOOL) {
        uint64_t a = (uint64_t)hone__element_i64(d, y, at), b = (uint64_t)hone__element_i64(d, u, from);
        bool less = d == HONE_U64 ? a < b : (int64_t)a < (int64_t)b;
        uint64_t v = how == ADD ? a + b : how == MUL ? a * b : (how == MIN) == less ? a : b;
        hone__element_set_i64(d, y, at, (int64_t)v);
        return;
    }
    double a = hone__element_f64(d, y, at), b = hone__element_f64(d, u, from);
    bool bad = isnan(a) || isnan(b);
    double v = how == ADD ? a + b : how == MUL ? a * b : bad ? NAN : how == MIN ? fmin(a, b) : fmax(a, b);
    hone__element_set_f64(d, y, at, v);
}

static hone_status start(hone__run *r, size_t *size)
{
    const hone__tensor *x = r->in[0];
    *size = hone__dtype_size(x->dtype);
    reduction how;
    HONE__TRY(read_reduction(r->node, &how));
    if (!*size || (x->dtype == HONE_STRING && how != REPLACE))
        return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->dtype));
    if (x->bytes && hone__out_data(r, 0) != x->data) memcpy(hone__out_data(r, 0), x->data, x->bytes);
    return HONE_OK;
}

static hone_status wrap(int64_t i, int64_t size, size_t *out)
{
    if (i < -size || i >= size)
        return hone__fail(HONE_E_ARGUMENT, "index %lld is outside an axis of size %lld", (long long)i, (long long)size);
    *out = (size_t)(i < 0 ? i + size : i);
    return HONE_OK;
}

static hone_status infer_scatter(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 3));
    HONE__TRY(hone__infer_equal_types(x, 0, 2));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}

static hone_status run_scatter_elements(hone__run *r)
{
    const hone__tensor *x = r->in[0], *t = r->in[1], *u = r->in[2];
    size_t size;
    int axis;
    reduction how;
    HONE__TRY(read_reduction(r->node, &how));
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", 0), x->rank, &axis));
    bool fits = t->rank == x->rank && u->rank == x->rank;
    for (int a = 0; fits && a < x->rank; a++)
        fits = t->dims[a] == u->dims[a] && (a == axis || t->dims[a] <= x->dims[a]);
    if (!fits) return hone__fail(HONE_E_SHAPE, "data, indices and updates do not fit");
    for (size_t k = 0, i; k < t->count; k++) HONE__TRY(wrap(hone__tensor_i64(t, k), x->dims[axis], &i));
    HONE__TRY(start(r, &size));
    int64_t at[HONE_MAX_RANK] = {0};
    for (size_t k = 0; k < t->count; k++) {
        size_t to = 0, i = 0;
        HONE__TRY(wrap(hone__tensor_i64(t, k), x->dims[axis], &i));
        for (int a = 0; a < x->rank; a++) to = to * (size_t)x->dims[a] + (a == axis ? i : (size_t)at[a]);
        put(how, x->dtype, hone__out_data(r, 0), to, u->data, k, size);
        for (int a = t->rank - 1; a >= 0 && ++at[a] == t->dims[a]; a--) at[a] = 0;
    }
    return HONE_OK;
}
const hone__op hone__op_scatter_elements = {"",   "ScatterElements",    infer_scatter,
                                            NULL, run_scatter_elements, HONE__OP_INPLACE | HONE__OP_STRINGS};

static hone_status run_scatter_nd(hone__run *r)
{
    const hone__tensor *x = r->in[0], *t = r->in[1], *u = r->in[2];
    size_t size, inner = 1;
    reduction how;
    HONE__TRY(read_reduction(r->node, &how));
    if (t->rank < 1 || t->dims[t->rank - 1] > x->rank)
        return hone__fail(HONE_E_SHAPE, "indices do not fit rank %d", x->rank);
    int depth = (int)t->dims[t->rank - 1];
    bool fits = u->rank == t->rank - 1 + x->rank - depth;
    for (int a = 0; fits && a < u->rank; a++)
        fits = u->dims[a] == (a < t->rank - 1 ? t->dims[a] : x->dims[a - (t->rank - 1) + depth]);
    if (!fits) return hone__fail(HONE_E_SHAPE, "updates do not fit data and indices");
    for (int a = depth; a < x->rank; a++) inner *= (size_t)x->dims[a];
    HONE__TRY(start(r, &size));
    size_t rows = inner ? u->count / inner : 0;
    for (size_t k = 0; k < rows; k++) {
        size_t to = 0, i = 0;
        for (int a = 0; a < depth; a++) {
            HONE__TRY(wrap(hone__tensor_i64(t, k * (size_t)depth + (size_t)a), x->dims[a], &i));
            to = to * (size_t)x->dims[a] + i;
        }
        if (how == REPLACE)
            memcpy((char *)hone__out_data(r, 0) + to * inner * size, (const char *)u->data + k * inner * size,
                   inner * size);
        else
            for (size_t j = 0; j < inner; j++)
                put(how, x->dtype, hone__out_data(r, 0), to * inner + j, u->data, k * inner + j, size);
    }
    return HONE_OK;
}
const hone__op hone__op_scatter_nd = {"",   "ScatterND",    infer_scatter,
                                      NULL, run_scatter_nd, HONE__OP_INPLACE | HONE__OP_STRINGS};

/* TensorScatter: rows of `update` written into a cache from a place of each sample's own on. */
static hone_status infer_tensor_scatter(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 3));
    HONE__TRY(hone__infer_equal_types(x, 0, 1));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}
static hone_status run_tensor_scatter(hone__run *r)
{
    const hone__tensor *x = r->in[0], *u = r->in[1], *w = r->input_count > 2 ? r->in[2] : NULL;
    int axis;
    size_t size, inner, outer = 1;
    bool circular = !strcmp(hone__node_string(r->node, "mode", "linear"), "circular");
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", -2), x->rank, &axis));
    bool fits = u->rank == x->rank && axis > 0 && (!w || w->count == (size_t)x->dims[0]);
    for (int a = 0; fits && a < x->rank; a++) fits = a == axis ? u->dims[a] <= x->dims[a] : u->dims[a] == x->dims[a];
    if (!fits) return hone__fail(HONE_E_SHAPE, "cache, update and indices do not fit");
    HONE__TRY(start(r, &size));
    inner = size;
    for (int a = axis + 1; a < x->rank; a++) inner *= (size_t)x->dims[a];
    for (int a = 0; a < axis; a++) outer *= (size_t)x->dims[a];
    int64_t room = x->dims[axis], rows = u->dims[axis];
    for (size_t o = 0; o < outer; o++) {
        int64_t first = w ? hone__tensor_i64(w, o / (outer / (size_t)x->dims[0])) : 0;
        if (first < 0 || (circular ? first >= room : first > room - rows))
            return hone__fail(HONE_E_ARGUMENT, "writing %lld rows at %lld of %lld", (long long)rows, (long long)first,
                              (long long)room);
        for (int64_t k = 0; k < rows; k++) {
            int64_t to = (first + k) % room;
            memcpy((char *)hone__out_data(r, 0) + (o * (size_t)room + (size_t)to) * inner,
                   (const char *)u->data + (o * (size_t)rows + (size_t)k) * inner, inner);
        }
    }
    return HONE_OK;
}
const hone__op hone__op_tensor_scatter = {"",   "TensorScatter",    infer_tensor_scatter,
                                          NULL, run_tensor_scatter, HONE__OP_INPLACE};

/* OneHot: indices, depth, values [off, on]; the new axis may stand anywhere. */
static hone_status infer_one_hot(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 3));
    const hone__shape *s = &x->in[0].shape;
    int axis;
    int64_t depth = -1;
    x->out[0].dtype = x->in[2].dtype;
    if (x->value[1]) {
        if (x->value[1]->count != 1) return hone__fail(HONE_E_SHAPE, "depth has %zu values", x->value[1]->count);
        depth = hone__tensor_i64(x->value[1], 0);
        if (depth < 1) return hone__fail(HONE_E_SHAPE, "depth is %lld", (long long)depth);
    }
    if (s->rank < 0) return HONE_OK;
    if (s->rank >= HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank over %d", HONE_MAX_RANK);
    HONE__TRY(hone__axis(hone__node_int(x->node, "axis", -1), s->rank + 1, &axis));
    hone__shape o = {.rank = s->rank + 1};
    for (int i = 0; i < o.rank; i++) o.dims[i] = i < axis ? s->dims[i] : i == axis ? depth : s->dims[i - 1];
    x->out[0].shape = o;
    return HONE_OK;
}
static hone_status run_one_hot(hone__run *r)
{
    const hone__tensor *t = r->in[0], *v = r->in[2], *y = r->out[0];
    size_t size = hone__dtype_size(v->dtype), inner = 1;
    int axis;
    if (v->count != 2) return hone__fail(HONE_E_SHAPE, "values has %zu entries, expected 2", v->count);
    if (!size) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(v->dtype));
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", -1), y->rank, &axis));
    for (int i = axis + 1; i < y->rank; i++) inner *= (size_t)y->dims[i];
    int64_t depth = y->dims[axis];
    char *to = hone__out_data(r, 0);
    for (size_t k = 0; k < y->count; k++) memcpy(to + k * size, v->data, size);
    for (size_t k = 0; k < t->count; k++) {
        int64_t i = hone__tensor_i64(t, k);
        if (i < -depth || i >= depth) continue; /* outside: all off */
        if (i < 0) i += depth;
        memcpy(to + ((k / inner * (size_t)depth + (size_t)i) * inner + k % inner) * size, (const char *)v->data + size,
               size);
    }
    return HONE_OK;
}
const hone__op hone__op_one_hot = {"", "OneHot", infer_one_hot, NULL, run_one_hot, HONE__OP_STRINGS};
