/* op_move.c: operators that only move elements: Transpose, Concat, Split, Slice, Expand, Tile, Pad, DepthToSpace,
 * SpaceToDepth. Any type of whole bytes. */
#include <string.h>

#include "broadcast.h"
#include "infer.h"
#include "kernels/transpose/transpose.h"

static hone_status whole_bytes(const hone__tensor *t, size_t *size)
{
    *size = hone__dtype_size(t->dtype);
    return *size ? HONE_OK : hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(t->dtype));
}

static hone_status permutation(const hone__node *n, int rank, int *perm)
{
    size_t count;
    const int64_t *p = hone__node_ints(n, "perm", &count);
    bool seen[HONE_MAX_RANK] = {false};
    for (int i = 0; i < rank; i++) perm[i] = rank - 1 - i;
    if (!p) return HONE_OK;
    if (count != (size_t)rank) return hone__fail(HONE_E_SHAPE, "perm has %zu entries for rank %d", count, rank);
    for (int i = 0; i < rank; i++) {
        if (p[i] < 0 || p[i] >= rank || seen[p[i]])
            return hone__fail(HONE_E_SHAPE, "perm is not a permutation of %d axes", rank);
        seen[p[i]] = true;
        perm[i] = (int)p[i];
    }
    return HONE_OK;
}

static hone_status infer_transpose(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    x->out[0].dtype = x->in[0].dtype;
    const hone__shape *s = &x->in[0].shape;
    int perm[HONE_MAX_RANK];
    if (s->rank < 0) return HONE_OK;
    HONE__TRY(permutation(x->node, s->rank, perm));
    x->out[0].shape.rank = s->rank;
    for (int i = 0; i < s->rank; i++) x->out[0].shape.dims[i] = s->dims[perm[i]];
    return HONE_OK;
}
static hone_status run_transpose(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t size, dims[HONE_MAX_RANK];
    int perm[HONE_MAX_RANK];
    HONE__TRY(whole_bytes(x, &size));
    HONE__TRY(permutation(r->node, x->rank, perm));
    for (int i = 0; i < x->rank; i++) dims[i] = (size_t)x->dims[i];
    hone__transpose(hone__out_data(r, 0), x->data, size, x->rank, dims, perm, r->pool);
    return HONE_OK;
}
const hone__op hone__op_transpose = {"", "Transpose", infer_transpose, NULL, run_transpose, HONE__OP_STRINGS};

static hone_status infer_concat(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1 << 20));
    x->out[0].dtype = x->in[0].dtype;
    hone__shape out = x->in[0].shape;
    for (int k = 1; k < x->input_count; k++) HONE__TRY(hone__infer_equal_types(x, 0, k));
    for (int k = 0; k < x->input_count; k++)
        if (!hone__known_rank(x, k)) return HONE_OK;
    int axis;
    HONE__TRY(hone__axis(hone__node_int(x->node, "axis", 0), out.rank, &axis));
    for (int k = 1; k < x->input_count; k++) {
        const hone__shape *s = &x->in[k].shape;
        HONE__TRY(hone__infer_rank(x, k, out.rank));
        for (int i = 0; i < out.rank; i++) {
            if (i == axis) {
                if (out.dims[i] < 0 || s->dims[i] < 0)
                    out.dims[i] = -1;
                else if (!hone__add_i64(out.dims[i], s->dims[i], &out.dims[i]))
                    return hone__fail(HONE_E_LIMIT, "a dimension is over 2^63");
            } else if (!hone__dims_agree(out.dims[i], s->dims[i])) {
                return hone__fail(HONE_E_SHAPE, "input %d has size %lld on axis %d, input 0 has %lld", k,
                                  (long long)s->dims[i], i, (long long)out.dims[i]);
            } else if (out.dims[i] < 0)
                out.dims[i] = s->dims[i];
        }
    }
    x->out[0].shape = out;
    return HONE_OK;
}
static hone_status run_concat(hone__run *r)
{
    const hone__tensor *y = r->out[0];
    size_t size, outer = 1, at = 0, row;
    int axis;
    HONE__TRY(whole_bytes(y, &size));
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", 0), y->rank, &axis));
    for (int i = 0; i < axis; i++) outer *= (size_t)y->dims[i];
    if (!y->bytes) return HONE_OK;
    row = y->bytes / outer;
    for (int k = 0; k < r->input_count; k++) {
        size_t part = r->in[k]->bytes / outer;
        for (size_t o = 0; o < outer && part; o++)
            memcpy((char *)hone__out_data(r, 0) + o * row + at, (const char *)r->in[k]->data + o * part, part);
        at += part;
    }
    return HONE_OK;
}
const hone__op hone__op_concat = {"", "Concat", infer_concat, NULL, run_concat, HONE__OP_STRINGS};

static hone_status split_sizes(hone__infer *x, int64_t size, int64_t *sizes)
{
    int n = x->output_count, count;
    int64_t list[64];
    if (n > 64) return hone__fail(HONE_E_UNSUPPORTED, "%d outputs, the limit is 64", n);
    HONE__TRY(hone__infer_ints(x, 1, list, 64, &count));
    if (hone__has_input(x, 1)) {
        if (count >= 0 && count != n) return hone__fail(HONE_E_SHAPE, "%d sizes for %d outputs", count, n);
        int64_t sum = 0;
        for (int i = 0; i < n; i++) {
            sizes[i] = count < 0 ? -1 : list[i];
            if (count >= 0 && (list[i] < 0 || !hone__add_i64(sum, list[i], &sum)))
                return hone__fail(HONE_E_SHAPE, "size %d is %lld", i, (long long)list[i]);
        }
        if (count >= 0 && size >= 0 && sum != size)
            return hone__fail(HONE_E_SHAPE, "sizes sum to %lld, the axis has %lld", (long long)sum, (long long)size);
        return HONE_OK;
    }
    int64_t chunk = size < 0 ? -1 : (size + n - 1) / n;
    for (int i = 0; i < n; i++) {
        int64_t left = size - chunk * i;
        sizes[i] = size < 0 ? -1 : left < 0 ? 0 : left < chunk ? left : chunk;
    }
    return HONE_OK;
}
static hone_status infer_split(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 2));
    const hone__shape *s = &x->in[0].shape;
    for (int i = 0; i < x->output_count; i++) x->out[i].dtype = x->in[0].dtype;
    if (s->rank < 0) return HONE_OK;
    int axis;
    int64_t sizes[64];
    HONE__TRY(hone__axis(hone__node_int(x->node, "axis", 0), s->rank, &axis));
    HONE__TRY(split_sizes(x, s->dims[axis], sizes));
    for (int i = 0; i < x->output_count; i++) {
        x->out[i].shape = *s;
        x->out[i].shape.dims[axis] = sizes[i];
    }
    return HONE_OK;
}
static hone_status run_split(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t size, outer = 1, at = 0;
    int axis;
    HONE__TRY(whole_bytes(x, &size));
    HONE__TRY(hone__axis(hone__node_int(r->node, "axis", 0), x->rank, &axis));
    for (int i = 0; i < axis; i++) outer *= (size_t)x->dims[i];
    if (!x->bytes) return HONE_OK;
    size_t row = x->bytes / outer, inner = row / (size_t)x->dims[axis];
    (void)size;
    for (int k = 0; k < r->output_count; k++) {
        if (!r->out[k]) return hone__fail(HONE_E_UNSUPPORTED, "output %d is absent", k);
        size_t part = inner * (size_t)r->out[k]->dims[axis];
        for (size_t o = 0; o < outer && part; o++)
            memcpy((char *)hone__out_data(r, k) + o * part, (const char *)x->data + o * row + at, part);
        at += part;
    }
    return HONE_OK;
}
const hone__op hone__op_split = {"", "Split", infer_split, NULL, run_split, HONE__OP_STRINGS};

/* Per axis of the input: first element, step, how many. */
typedef struct cut {
    int64_t start[HONE_MAX_RANK], step[HONE_MAX_RANK], count[HONE_MAX_RANK];
} cut;

static hone_status slice_axis(int64_t size, int64_t start, int64_t end, int64_t step, cut *c, int a)
{
    if (!step || step == INT64_MIN) return hone__fail(HONE_E_SHAPE, "step on axis %d is %lld", a, (long long)step);
    if (start < 0) start = start < -size ? -1 : start + size;
    if (end < 0) end = end < -size ? -1 : end + size;
    if (step > 0) {
        start = start < 0 ? 0 : start > size ? size : start;
        end = end < 0 ? 0 : end > size ? size : end;
        c->count[a] = end > start ? (end - start - 1) / step + 1 : 0;
    } else {
        start = start < 0 ? 0 : start >= size ? size - 1 : start;
        end = end < -1 ? -1 : end >= size ? size - 1 : end;
        c->count[a] = start > end && size ? (start - end - 1) / -step + 1 : 0;
    }
    c->start[a] = start;
    c->step[a] = step;
    return HONE_OK;
}

/* Works for inference (values may be unknown: *known false) and for the run. */
static hone_status slice_cut(const hone__infer *x, cut *c, bool *known)
{
    const hone__shape *s = &x->in[0].shape;
    int64_t list[4][HONE_MAX_RANK];
    int count[4];
    *known = true;
    for (int i = 0; i < 4; i++) {
        HONE__TRY(hone__infer_ints(x, i + 1, list[i], HONE_MAX_RANK, &count[i]));
        if (hone__has_input(x, i + 1) && count[i] < 0) *known = false;
    }
    for (int a = 0; a < s->rank; a++) c->start[a] = 0, c->step[a] = 1, c->count[a] = s->dims[a];
    if (!*known) {
        if (count[2] < 0 && hone__has_input(x, 3)) {
            for (int a = 0; a < s->rank; a++) c->count[a] = -1;
        } else {
            int n = count[2] >= 0 ? count[2] : s->rank;
            for (int i = 0; i < n; i++) {
                int a;
                HONE__TRY(hone__axis(count[2] >= 0 ? list[2][i] : i, s->rank, &a));
                c->count[a] = -1;
            }
        }
        return HONE_OK;
    }
    if (count[1] != count[0] || (count[2] >= 0 && count[2] != count[0]) || (count[3] >= 0 && count[3] != count[0]))
        return hone__fail(HONE_E_SHAPE, "starts, ends, axes and steps differ in length");
    for (int i = 0; i < count[0]; i++) {
        int a;
        HONE__TRY(hone__axis(count[2] >= 0 ? list[2][i] : i, s->rank, &a));
        if (s->dims[a] < 0) { /* a symbol: only the whole axis is known to stay what it is */
            bool whole = list[0][i] == 0 && list[1][i] >= INT32_MAX && (count[3] < 0 || list[3][i] == 1);
            if (!whole) c->count[a] = -1;
            continue;
        }
        HONE__TRY(slice_axis(s->dims[a], list[0][i], list[1][i], count[3] >= 0 ? list[3][i] : 1, c, a));
    }
    return HONE_OK;
}

static hone_status infer_slice(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 3, 5));
    x->out[0].dtype = x->in[0].dtype;
    if (!hone__known_rank(x, 0)) return HONE_OK;
    cut c;
    bool known;
    HONE__TRY(slice_cut(x, &c, &known));
    x->out[0].shape.rank = x->in[0].shape.rank;
    memcpy(x->out[0].shape.dims, c.count, sizeof c.count);
    return HONE_OK;
}

/* Copies a strided box: element (i0, i1, ...) of y from x at sum(start + i * step). */
static void copy_box(const hone__tensor *x, const cut *c, char *y, size_t size)
{
    int rank = x->rank;
    ptrdiff_t stride[HONE_MAX_RANK], s = (ptrdiff_t)size;
    size_t total = 1;
    for (int a = rank - 1; a >= 0; a--) {
        stride[a] = s;
        s *= (ptrdiff_t)x->dims[a];
        total *= (size_t)c->count[a];
    }
    if (!total) return;
    int inner = rank; /* trailing axes taken whole are one block */
    size_t block = size;
    while (inner > 0 && c->step[inner - 1] == 1) {
        block *= (size_t)c->count[inner - 1];
        inner--;
        if (c->count[inner] != x->dims[inner]) break;
    }
    int64_t at[HONE_MAX_RANK] = {0};
    const char *base = x->data;
    for (int a = 0; a < rank; a++) base += c->start[a] * stride[a];
    for (;;) {
        const char *p = base;
        for (int a = 0; a < inner; a++) p += at[a] * c->step[a] * stride[a];
        memcpy(y, p, block);
        y += block;
        int a = inner - 1;
        for (; a >= 0 && ++at[a] == c->count[a]; a--) at[a] = 0;
        if (a < 0) return;
    }
}

static hone_status run_slice(hone__run *r)
{
    size_t size;
    HONE__TRY(whole_bytes(r->in[0], &size));
    hone__type types[5];
    for (int i = 0; i < r->input_count; i++) {
        types[i] = (hone__type){.shape.rank = -1};
        if (!r->in[i]) continue;
        types[i] = (hone__type){r->in[i]->dtype, {.rank = r->in[i]->rank}};
        memcpy(types[i].shape.dims, r->in[i]->dims, sizeof r->in[i]->dims);
    }
    hone__infer x = {r->node, r->input_count, 0, types, r->in, NULL, HONE_MAX_RANK};
    cut c;
    bool known;
    HONE__TRY(slice_cut(&x, &c, &known));
    copy_box(r->in[0], &c, hone__out_data(r, 0), size);
    return HONE_OK;
}
const hone__op hone__op_slice = {"", "Slice", infer_slice, NULL, run_slice, HONE__OP_STRINGS};

static hone_status infer_expand(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    x->out[0].dtype = x->in[0].dtype;
    hone__shape to = {0};
    int count;
    HONE__TRY(hone__infer_ints(x, 1, to.dims, HONE_MAX_RANK, &count));
    if (count < 0) return HONE_OK;
    to.rank = count;
    for (int i = 0; i < count; i++)
        if (to.dims[i] < 0) return hone__fail(HONE_E_SHAPE, "dimension %d is %lld", i, (long long)to.dims[i]);
    return hone__broadcast(&x->in[0].shape, &to, &x->out[0].shape);
}

typedef struct copy_job {
    const char *x;
    char *y;
    size_t size;
} copy_job;

static void copy_run(void *ctx, size_t out, const size_t *at, const size_t *step, size_t n)
{
    const copy_job *j = ctx;
    if (step[0] == 1)
        memcpy(j->y + out * j->size, j->x + at[0] * j->size, n * j->size);
    else
        for (size_t i = 0; i < n; i++) memcpy(j->y + (out + i) * j->size, j->x + at[0] * j->size, j->size);
}

static hone_status run_expand(hone__run *r)
{
    copy_job j = {r->in[0]->data, hone__out_data(r, 0), 0};
    HONE__TRY(whole_bytes(r->in[0], &j.size));
    hone__bcast w;
    hone__bcast_init(&w, r->out[0], r->in, 1);
    hone__bcast_run(&w, r->pool, copy_run, &j);
    return HONE_OK;
}
const hone__op hone__op_expand = {"", "Expand", infer_expand, NULL, run_expand, HONE__OP_STRINGS};

static hone_status infer_tile(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    x->out[0] = x->in[0];
    int64_t times[HONE_MAX_RANK];
    int count;
    HONE__TRY(hone__infer_ints(x, 1, times, HONE_MAX_RANK, &count));
    hone__shape *s = &x->out[0].shape;
    if (s->rank < 0) return HONE_OK;
    if (count >= 0 && count != s->rank) return hone__fail(HONE_E_SHAPE, "%d repeats for rank %d", count, s->rank);
    for (int i = 0; i < s->rank; i++) {
        if (count < 0)
            s->dims[i] = -1;
        else if (times[i] < 0)
            return hone__fail(HONE_E_SHAPE, "repeat %d is %lld", i, (long long)times[i]);
        else
            HONE__TRY(hone__dim_mul(s->dims[i], times[i], &s->dims[i]));
    }
    return HONE_OK;
}
static hone_status run_tile(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->out[0];
    size_t size;
    HONE__TRY(whole_bytes(x, &size));
    if (!y->count) return HONE_OK;
    int64_t at[HONE_MAX_RANK] = {0};
    char *to = hone__out_data(r, 0);
    size_t row = x->rank ? (size_t)x->dims[x->rank - 1] * size : size;
    int64_t repeat = x->rank ? y->dims[x->rank - 1] / x->dims[x->rank - 1] : 1;
    for (;;) {
        size_t from = 0;
        for (int a = 0; a < x->rank - 1; a++) from = from * (size_t)x->dims[a] + (size_t)(at[a] % x->dims[a]);
        for (int64_t k = 0; k < repeat; k++, to += row) memcpy(to, (const char *)x->data + from * row, row);
        int a = x->rank - 2;
        for (; a >= 0 && ++at[a] == y->dims[a]; a--) at[a] = 0;
        if (a < 0) return HONE_OK;
    }
}
const hone__op hone__op_tile = {"", "Tile", infer_tile, NULL, run_tile, HONE__OP_STRINGS};

/* pads[axis] and pads[rank + axis] for every axis, from inputs 1 and 3. */
static hone_status pad_list(const hone__infer *x, int rank, int64_t *pads, bool *known)
{
    int64_t list[2 * HONE_MAX_RANK], axes[HONE_MAX_RANK];
    int count, axis_count;
    HONE__TRY(hone__infer_ints(x, 1, list, 2 * HONE_MAX_RANK, &count));
    HONE__TRY(hone__infer_ints(x, 3, axes, HONE_MAX_RANK, &axis_count));
    *known = count >= 0 && (axis_count >= 0 || !hone__has_input(x, 3));
    memset(pads, 0, 2 * (size_t)HONE_MAX_RANK * sizeof *pads);
    if (!*known) return HONE_OK;
    int n = axis_count >= 0 ? axis_count : rank;
    if (count != 2 * n) return hone__fail(HONE_E_SHAPE, "%d pads for %d axes", count, n);
    for (int i = 0; i < n; i++) {
        int a;
        HONE__TRY(hone__axis(axis_count >= 0 ? axes[i] : i, rank, &a));
        pads[a] = list[i];
        pads[rank + a] = list[n + i];
    }
    return HONE_OK;
}

static hone_status infer_pad(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 4));
    x->out[0].dtype = x->in[0].dtype;
    const hone__shape *s = &x->in[0].shape;
    int64_t pads[2 * HONE_MAX_RANK];
    bool known;
    if (s->rank < 0) return HONE_OK;
    HONE__TRY(pad_list(x, s->rank, pads, &known));
    x->out[0].shape.rank = s->rank;
    for (int a = 0; a < s->rank; a++) {
        int64_t d = s->dims[a];
        if (!known || (d < 0 && (pads[a] || pads[s->rank + a])))
            d = -1;
        else if (d >= 0 && (!hone__add_i64(d, pads[a], &d) || !hone__add_i64(d, pads[s->rank + a], &d) || d < 0))
            return hone__fail(HONE_E_SHAPE, "axis %d of size %lld with pads %lld and %lld", a, (long long)s->dims[a],
                              (long long)pads[a], (long long)pads[s->rank + a]);
        x->out[0].shape.dims[a] = d;
    }
    return HONE_OK;
}

/* Where output index i of an axis comes from; -1: padding. */
static int64_t pad_source(int64_t i, int64_t pad, int64_t size, char mode)
{
    i -= pad;
    if (i >= 0 && i < size) return i;
    if (mode == 'c') return -1;
    if (mode == 'e') return i < 0 ? 0 : size - 1;
    if (mode == 'w') return ((i % size) + size) % size;
    if (size == 1) return 0;
    int64_t period = 2 * (size - 1); /* reflect */
    i = ((i % period) + period) % period;
    return i < size ? i : period - i;
}

static hone_status run_pad(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->out[0];
    const char *mode = hone__node_string(r->node, "mode", "constant");
    int64_t pads[2 * HONE_MAX_RANK], at[HONE_MAX_RANK] = {0};
    size_t size;
    bool known;
    char zero[16] = {0};
    HONE__TRY(whole_bytes(x, &size));
    hone__type types[4] = {{0}};
    hone__infer ix = {r->node, r->input_count, 0, types, r->in, NULL, HONE_MAX_RANK};
    HONE__TRY(pad_list(&ix, x->rank, pads, &known));
    const char *fill = r->input_count > 2 && r->in[2] && r->in[2]->count ? r->in[2]->data : zero;
    if (!y->count) return HONE_OK;
    if (*mode != 'c')
        for (int a = 0; a < x->rank; a++)
            if (!x->dims[a]) return hone__fail(HONE_E_SHAPE, "mode %s on an empty axis %d", mode, a);
    char *to = hone__out_data(r, 0);
    if (!x->rank) {
        memcpy(to, x->data, size);
        return HONE_OK;
    }
    int last = x->rank - 1;
    for (;;) {
        int64_t from = 0;
        for (int a = 0; a < last && from >= 0; a++) {
            int64_t i = pad_source(at[a], pads[a], x->dims[a], *mode);
            from = i < 0 ? -1 : from * x->dims[a] + i;
        }
        for (int64_t i = 0; i < y->dims[last]; i++, to += size) {
            int64_t k = from < 0 ? -1 : pad_source(i, pads[last], x->dims[last], *mode);
            if (k >= 0 && i - pads[last] == k && k < x->dims[last]) { /* the middle in one go */
                int64_t n = x->dims[last] - k < y->dims[last] - i ? x->dims[last] - k : y->dims[last] - i;
                memcpy(to, (const char *)x->data + (size_t)(from * x->dims[last] + k) * size, (size_t)n * size);
                to += (size_t)(n - 1) * size;
                i += n - 1;
            } else
                memcpy(to, k < 0 ? fill : (const char *)x->data + (size_t)(from * x->dims[last] + k) * size, size);
        }
        int a = last - 1;
        for (; a >= 0 && ++at[a] == y->dims[a]; a--) at[a] = 0;
        if (a < 0) return HONE_OK;
    }
}
const hone__op hone__op_pad = {"", "Pad", infer_pad, NULL, run_pad, HONE__OP_STRINGS};
