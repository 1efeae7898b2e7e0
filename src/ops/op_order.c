/* op_order.c: operators that rank or select values: TopK, Unique, NonZero, Compress. */
#include <math.h>
#include <string.h>

#include "infer.h"

/* A value with its place; floats are compared by f, integers by i. NaN counts as the largest. */
typedef struct entry {
    double f;
    int64_t i;
    size_t at;
} entry;

typedef struct order {
    bool whole, is_unsigned, largest;
} order;

static entry read_entry(const hone__tensor *t, size_t at, bool whole, size_t place)
{
    return (entry){whole ? 0 : hone__tensor_f64(t, at), whole ? hone__tensor_i64(t, at) : 0, place};
}

/* < 0: a comes first; places decide between equals. */
static int compare(const order *o, const entry *a, const entry *b)
{
    int c;
    if (o->whole && o->is_unsigned)
        c = ((uint64_t)a->i > (uint64_t)b->i) - ((uint64_t)a->i < (uint64_t)b->i);
    else if (o->whole)
        c = (a->i > b->i) - (a->i < b->i);
    else if (isnan(a->f) || isnan(b->f))
        c = (isnan(a->f) != 0) - (isnan(b->f) != 0);
    else
        c = (a->f > b->f) - (a->f < b->f);
    if (c) return o->largest ? -c : c;
    return (a->at > b->at) - (a->at < b->at);
}

/* Heap whose root comes first. */
static void sift(const order *o, entry *e, size_t at, size_t n)
{
    entry v = e[at];
    for (;;) {
        size_t k = 2 * at + 1;
        if (k >= n) break;
        if (k + 1 < n && compare(o, &e[k + 1], &e[k]) < 0) k++;
        if (compare(o, &v, &e[k]) <= 0) break;
        e[at] = e[k];
        at = k;
    }
    e[at] = v;
}

static void heap_make(const order *o, entry *e, size_t n)
{
    for (size_t i = n / 2; i-- > 0;) sift(o, e, i, n);
}

/* Takes the first one off the heap of *n. */
static entry heap_pop(const order *o, entry *e, size_t *n)
{
    entry top = e[0];
    e[0] = e[--*n];
    if (*n) sift(o, e, 0, *n);
    return top;
}

static hone_status infer_top_k(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    const hone__shape *s = &x->in[0].shape;
    x->out[0] = x->in[0];
    if (x->output_count > 1) x->out[1] = (hone__type){HONE_I64, *s};
    if (s->rank < 0) return HONE_OK;
    int axis;
    HONE__TRY(hone__axis(hone__node_int(x->node, "axis", -1), s->rank, &axis));
    int64_t k = -1;
    if (x->value[1]) {
        if (x->value[1]->count != 1) return hone__fail(HONE_E_SHAPE, "K has %zu values", x->value[1]->count);
        k = hone__tensor_i64(x->value[1], 0);
        if (k < 0 || (s->dims[axis] >= 0 && k > s->dims[axis]))
            return hone__fail(HONE_E_SHAPE, "K is %lld on an axis of size %lld", (long long)k,
                              (long long)s->dims[axis]);
    }
    for (int i = 0; i < x->output_count && i < 2; i++) x->out[i].shape.dims[axis] = k;
    return HONE_OK;
}

static hone_status prepare_top_k(hone__prepare *p)
{
    int axis;
    HONE__TRY(hone__axis(hone__node_int(p->node, "axis", -1), p->in[0]->rank, &axis));
    p->scratch = (size_t)p->in[0]->dims[axis] * sizeof(entry);
    return HONE_OK;
}

static hone_status run_top_k(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->out[0] ? r->out[0] : r->out[1];
    order o = {hone__dtype_is_int(x->dtype), x->dtype == HONE_U64, hone__node_int(r->node, "largest", 1) != 0};
    int axis;
    entry *heap = r->scratch;
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", -1), x->rank, &axis));
    size_t n = (size_t)x->dims[axis], k = (size_t)y->dims[axis], inner = 1, size = hone__dtype_size(x->dtype);
    if (!size || x->dtype == HONE_STRING) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->dtype));
    for (int i = axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    char *values = r->out[0] ? hone__out_data(r, 0) : NULL;
    int64_t *indices = r->output_count > 1 && r->out[1] ? hone__out_data(r, 1) : NULL;
    for (size_t row = 0; y->count && row < x->count / n; row++) {
        size_t from = row / inner * n * inner + row % inner, to = row / inner * k * inner + row % inner, left = n;
        for (size_t i = 0; i < n; i++) heap[i] = read_entry(x, from + i * inner, o.whole, i);
        heap_make(&o, heap, n);
        for (size_t i = 0; i < k; i++) {
            entry e = heap_pop(&o, heap, &left);
            if (values)
                memcpy(values + (to + i * inner) * size, (const char *)x->data + (from + e.at * inner) * size, size);
            if (indices) indices[to + i * inner] = (int64_t)e.at;
        }
    }
    return HONE_OK;
}
const hone__op hone__op_top_k = {"", "TopK", infer_top_k, prepare_top_k, run_top_k, 0};

static hone_status infer_non_zero(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    int64_t dims[2] = {x->in[0].shape.rank, -1};
    x->out[0].dtype = HONE_I64;
    if (dims[0] < 0) return HONE_OK;
    if (x->value[0]) {
        dims[1] = 0;
        for (size_t i = 0; i < x->value[0]->count; i++) dims[1] += hone__tensor_f64(x->value[0], i) != 0;
    }
    hone__infer_set(x, 0, HONE_I64, 2, dims);
    return HONE_OK;
}
static hone_status run_non_zero(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    int64_t at[HONE_MAX_RANK] = {0}, *y = hone__out_data(r, 0);
    size_t n = (size_t)r->out[0]->dims[1], found = 0;
    for (size_t i = 0; i < x->count; i++) {
        if (hone__tensor_f64(x, i) != 0) {
            for (int a = 0; a < x->rank; a++) y[(size_t)a * n + found] = at[a];
            found++;
        }
        for (int a = x->rank - 1; a >= 0 && ++at[a] == x->dims[a]; a--) at[a] = 0;
    }
    return HONE_OK;
}
const hone__op hone__op_non_zero = {"", "NonZero", infer_non_zero, NULL, run_non_zero, 0};

/* Compress: the slices of an axis (or elements of the flat input) whose condition is true. */
static hone_status infer_compress(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_rank(x, 1, 1));
    const hone__shape *s = &x->in[0].shape;
    int64_t kept = -1;
    int axis = 0;
    x->out[0].dtype = x->in[0].dtype;
    if (s->rank < 0) return HONE_OK;
    bool flat = !hone__node_attr(x->node, "axis");
    if (!flat) HONE__TRY(hone__axis(hone__node_int(x->node, "axis", 0), s->rank, &axis));
    if (x->value[1]) {
        int64_t most = 1;
        for (int i = flat ? 0 : axis; i < (flat ? s->rank : axis + 1); i++)
            HONE__TRY(hone__dim_mul(most, s->dims[i], &most));
        kept = 0;
        for (size_t i = 0; i < x->value[1]->count && (most < 0 || (int64_t)i < most); i++)
            kept += hone__tensor_i64(x->value[1], i) != 0;
        if (most < 0) kept = -1;
    }
    if (flat)
        hone__infer_set(x, 0, x->in[0].dtype, 1, &kept);
    else {
        x->out[0].shape = *s;
        x->out[0].shape.dims[axis] = kept;
    }
    return HONE_OK;
}
static hone_status run_compress(hone__run *r)
{
    const hone__tensor *x = r->in[0], *c = r->in[1];
    size_t outer = 1, n = x->count, inner = hone__dtype_size(x->dtype);
    if (!inner) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->dtype));
    if (hone__node_attr(r->node, "axis")) {
        int axis;
        HONE__TRY(hone__axis(hone__node_int(r->node, "axis", 0), x->rank, &axis));
        n = (size_t)x->dims[axis];
        for (int i = 0; i < axis; i++) outer *= (size_t)x->dims[i];
        for (int i = axis + 1; i < x->rank; i++) inner *= (size_t)x->dims[i];
    }
    char *y = hone__out_data(r, 0);
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < n && i < c->count; i++) {
            if (!hone__tensor_i64(c, i)) continue;
            memcpy(y, (const char *)x->data + (o * n + i) * inner, inner);
            y += inner;
        }
    return HONE_OK;
}
const hone__op hone__op_compress = {"", "Compress", infer_compress, NULL, run_compress, HONE__OP_STRINGS};

/* Unique: outputs values, first places, places of each input in the values, counts. */
typedef struct slices {
    const hone__tensor *x;
    size_t outer, n, inner; /* slice i of n: [outer][inner] elements */
    bool whole, is_unsigned;
} slices;

static hone_status slices_of(const hone__node *n, const hone__tensor *x, slices *s)
{
    *s = (slices){x, 1, x->count, 1, hone__dtype_is_int(x->dtype) || x->dtype == HONE_BOOL, x->dtype == HONE_U64};
    if (x->dtype == HONE_STRING || !hone__dtype_size(x->dtype))
        return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->dtype));
    if (!hone__node_attr(n, "axis")) return HONE_OK;
    int axis;
    HONE__TRY(hone__axis(hone__node_int(n, "axis", 0), x->rank, &axis));
    s->n = (size_t)x->dims[axis];
    for (int i = 0; i < axis; i++) s->outer *= (size_t)x->dims[i];
    for (int i = axis + 1; i < x->rank; i++) s->inner *= (size_t)x->dims[i];
    return HONE_OK;
}

static int compare_slices(const slices *s, size_t a, size_t b)
{
    order o = {s->whole, s->is_unsigned, false};
    for (size_t k = 0; k < s->outer; k++)
        for (size_t j = 0; j < s->inner; j++) {
            entry p = read_entry(s->x, (k * s->n + a) * s->inner + j, s->whole, 0);
            entry q = read_entry(s->x, (k * s->n + b) * s->inner + j, s->whole, 0);
            int c = compare(&o, &p, &q);
            if (c) return c;
        }
    return 0;
}

/* Merge sort of slice numbers: stable, so that the first of equals stays first. `work` has room for n more. */
static void sort_slices(const slices *s, size_t *index, size_t *work, size_t n)
{
    if (n < 2) return;
    size_t half = n / 2, a = 0, b = half, k = 0;
    sort_slices(s, index, work, half);
    sort_slices(s, index + half, work, n - half);
    while (a < half && b < n) work[k++] = compare_slices(s, index[a], index[b]) <= 0 ? index[a++] : index[b++];
    while (a < half) work[k++] = index[a++];
    while (b < n) work[k++] = index[b++];
    memcpy(index, work, n * sizeof *index);
}

/* The groups of equal slices: first[g], inverse[i], count[g]; returns how many. sorted: groups in rising order, else in
 * the order of their first slices. The five arrays have n entries each. */
typedef struct groups {
    size_t *index, *work, *first, *inverse, *count, found;
} groups;

static hone_status find_groups(const slices *s, bool sorted, groups *g)
{
    size_t n = s->n;
    g->index = hone__calloc(n ? n : 1, 5 * sizeof *g->index);
    if (!g->index) return hone__out_of_memory(5 * n * sizeof *g->index);
    g->work = g->index + n;
    g->first = g->work + n;
    g->inverse = g->first + n;
    g->count = g->inverse + n;
    g->found = 0;
    for (size_t i = 0; i < n; i++) g->index[i] = i;
    sort_slices(s, g->index, g->work, n);
    for (size_t i = 0; i < n; i++) {
        if (!i || compare_slices(s, g->index[i - 1], g->index[i])) {
            g->first[g->found] = g->index[i];
            g->count[g->found++] = 0;
        }
        g->inverse[g->index[i]] = g->found - 1;
        g->count[g->found - 1]++;
    }
    if (sorted) return HONE_OK;
    /* renumber by first appearance: index[] takes the new number of each group, work[] the counts */
    size_t next = 0;
    memset(g->index, 0xff, n * sizeof *g->index);
    for (size_t i = 0; i < n; i++) {
        size_t old = g->inverse[i];
        if (g->index[old] == SIZE_MAX) {
            g->index[old] = next;
            g->work[next] = g->count[old];
            next++;
        }
        g->inverse[i] = g->index[old];
    }
    memcpy(g->count, g->work, g->found * sizeof *g->count);
    for (size_t i = n; i-- > 0;) g->first[g->inverse[i]] = i;
    return HONE_OK;
}

static hone_status infer_unique(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    int64_t found = -1, n = -1;
    const hone__shape *s = &x->in[0].shape;
    x->out[0].dtype = x->in[0].dtype;
    for (int i = 1; i < x->output_count; i++) x->out[i].dtype = HONE_I64;
    if (s->rank < 0) return HONE_OK;
    if (x->value[0]) {
        slices sl;
        groups g;
        HONE__TRY(slices_of(x->node, x->value[0], &sl));
        HONE__TRY(find_groups(&sl, true, &g));
        hone__free(g.index);
        found = (int64_t)g.found;
        n = (int64_t)sl.n;
    }
    if (hone__node_attr(x->node, "axis")) {
        int axis;
        HONE__TRY(hone__axis(hone__node_int(x->node, "axis", 0), s->rank, &axis));
        x->out[0].shape = *s;
        x->out[0].shape.dims[axis] = found;
    } else
        hone__infer_set(x, 0, x->in[0].dtype, 1, &found);
    hone__infer_set(x, 1, HONE_I64, 1, &found);
    hone__infer_set(x, 2, HONE_I64, 1, &n);
    hone__infer_set(x, 3, HONE_I64, 1, &found);
    return HONE_OK;
}

static hone_status run_unique(hone__run *r)
{
    slices s;
    groups g;
    HONE__TRY(slices_of(r->node, r->in[0], &s));
    HONE__TRY(find_groups(&s, hone__node_int(r->node, "sorted", 1) != 0, &g));
    size_t bytes = s.inner * hone__dtype_size(s.x->dtype);
    char *y = r->out[0] ? hone__out_data(r, 0) : NULL;
    for (size_t o = 0; y && o < s.outer; o++)
        for (size_t i = 0; i < g.found; i++, y += bytes)
            memcpy(y, (const char *)s.x->data + (o * s.n + g.first[i]) * bytes, bytes);
    const size_t *lists[3] = {g.first, g.inverse, g.count};
    for (int k = 0; k < 3; k++) {
        if (k + 1 >= r->output_count || !r->out[k + 1]) continue;
        int64_t *to = hone__out_data(r, k + 1);
        for (size_t i = 0; i < r->out[k + 1]->count; i++) to[i] = (int64_t)lists[k][i];
    }
    hone__free(g.index);
    return HONE_OK;
}
const hone__op hone__op_unique = {"", "Unique", infer_unique, NULL, run_unique, 0};
