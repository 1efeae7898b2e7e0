/* op_shape.c: operators on shapes alone: the output is the input's bytes, or a few integers. */
#include <string.h>

#include "infer.h"
#include "random.h"

static hone_status run_nothing(hone__run *r)
{
    (void)r;
    return HONE_OK;
}

static hone_status infer_identity(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    hone__infer_same(x, 0, 0);
    return HONE_OK;
}
const hone__op hone__op_identity = {"",   "Identity",  infer_identity,
                                    NULL, run_nothing, HONE__OP_ALIAS | HONE__OP_STRINGS | HONE__OP_VALUES};

static hone_status infer_dropout(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 3));
    hone__infer_same(x, 0, 0);
    if (x->output_count > 1) x->out[1] = (hone__type){HONE_BOOL, x->in[0].shape};
    return HONE_OK;
}
static hone_status run_dropout(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    bool training = r->input_count > 2 && r->in[2] && hone__tensor_i64(r->in[2], 0);
    double ratio = !training ? 0 : r->input_count > 1 && r->in[1] ? hone__tensor_f64(r->in[1], 0) : 0.5;
    uint8_t *mask = r->output_count > 1 && r->out[1] ? hone__out_data(r, 1) : NULL;
    if (!(ratio >= 0 && ratio < 1)) return hone__fail(HONE_E_ARGUMENT, "ratio is %g", ratio);
    if (ratio == 0) {
        if (x->bytes && hone__out_data(r, 0) != x->data) memcpy(hone__out_data(r, 0), x->data, x->bytes);
        if (mask) memset(mask, 1, r->out[1]->bytes);
        return HONE_OK;
    }
    hone__random g = hone__random_start(r->node);
    for (size_t i = 0; i < x->count; i++) {
        bool keep = hone__random_uniform(&g) >= ratio;
        hone__element_set_f64(x->dtype, hone__out_data(r, 0), i, keep ? hone__tensor_f64(x, i) / (1 - ratio) : 0);
        if (mask) mask[i] = keep;
    }
    return HONE_OK;
}
const hone__op hone__op_dropout = {"", "Dropout", infer_dropout, NULL, run_dropout, HONE__OP_INPLACE};

/* [start, end) of the rank, as Shape clamps it */
static void shape_range(const hone__node *n, int rank, int *start, int *end)
{
    int64_t s = hone__node_int(n, "start", 0), e = hone__node_int(n, "end", rank);
    if (s < 0) s += rank;
    if (e < 0) e += rank;
    *start = (int)(s < 0 ? 0 : s > rank ? rank : s);
    *end = (int)(e < 0 ? 0 : e > rank ? rank : e);
    if (*end < *start) *end = *start;
}

static hone_status infer_shape(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    x->out[0].dtype = HONE_I64;
    x->out[0].shape = (hone__shape){.rank = 1, .dims = {-1}};
    if (!hone__known_rank(x, 0)) return HONE_OK;
    int start, end;
    shape_range(x->node, x->in[0].shape.rank, &start, &end);
    x->out[0].shape.dims[0] = end - start;
    return HONE_OK;
}
static hone_status run_shape(hone__run *r)
{
    int start, end;
    shape_range(r->node, r->in[0]->rank, &start, &end);
    memcpy(hone__out_data(r, 0), r->in[0]->dims + start, (size_t)(end - start) * sizeof(int64_t));
    return HONE_OK;
}
const hone__op hone__op_shape = {"", "Shape", infer_shape, NULL, run_shape, HONE__OP_STRINGS};

static hone_status infer_size(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    hone__infer_set(x, 0, HONE_I64, 0, NULL);
    return HONE_OK;
}
static hone_status run_size(hone__run *r)
{
    *(int64_t *)hone__out_data(r, 0) = (int64_t)r->in[0]->count;
    return HONE_OK;
}
const hone__op hone__op_size = {"", "Size", infer_size, NULL, run_size, HONE__OP_STRINGS};

/* Product of known dimensions; symbols remain in *unknown (how many), *last (the last of them). */
static hone_status product(const hone__shape *s, int64_t *known, int *unknown, int64_t *last)
{
    *known = 1;
    *unknown = 0;
    for (int i = 0; i < s->rank; i++) {
        if (s->dims[i] < 0) {
            ++*unknown;
            *last = s->dims[i];
        } else
            HONE__TRY(hone__dim_mul(*known, s->dims[i], known));
    }
    return HONE_OK;
}

static hone_status reshape_known(const hone__infer *x, hone__shape *out, bool keep_zero)
{
    const hone__shape *in = &x->in[0].shape;
    int wild = -1;
    for (int i = 0; i < out->rank; i++) {
        if (out->dims[i] == 0 && !keep_zero) {
            if (in->rank >= 0 && i >= in->rank)
                return hone__fail(HONE_E_SHAPE, "dimension %d of the new shape is 0, but the input has rank %d", i,
                                  in->rank);
            out->dims[i] = in->rank < 0 ? -1 : in->dims[i];
        } else if (out->dims[i] == -1) {
            if (wild >= 0) return hone__fail(HONE_E_SHAPE, "the new shape has -1 twice");
            wild = i;
        } else if (out->dims[i] < 0) {
            return hone__fail(HONE_E_SHAPE, "dimension %d of the new shape is %lld", i, (long long)out->dims[i]);
        }
    }
    if (in->rank < 0) return HONE_OK;
    int64_t have, want, last_in = -1, last_out = -1;
    int unknown_in, unknown_out;
    hone__shape rest = *out;
    if (wild >= 0) rest.dims[wild] = 1;
    HONE__TRY(product(in, &have, &unknown_in, &last_in));
    HONE__TRY(product(&rest, &want, &unknown_out, &last_out));
    bool same_symbol = unknown_in == 1 && unknown_out == 1 && last_in == last_out;
    if (unknown_in && !same_symbol) { /* [batch, 3, 4] to [-1, 12]: the batch */
        if (wild >= 0 && unknown_in == 1 && !unknown_out && have == want) out->dims[wild] = last_in;
        return HONE_OK;
    }
    if (unknown_out && !same_symbol) return HONE_OK;
    char a[160], b[160];
    bool fits = wild < 0 ? have == want : want ? have % want == 0 : have == 0;
    if (!fits)
        return hone__fail(HONE_E_SHAPE, "cannot reshape %s to %s", hone__shape_text(in->rank, in->dims, a, sizeof a),
                          hone__shape_text(out->rank, out->dims, b, sizeof b));
    if (wild >= 0) out->dims[wild] = want ? have / want : 0;
    return HONE_OK;
}

static hone_status infer_reshape(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    x->out[0].dtype = x->in[0].dtype;
    int64_t dims[HONE_MAX_RANK];
    int count;
    HONE__TRY(hone__infer_ints(x, 1, dims, HONE_MAX_RANK, &count));
    if (count < 0) {
        const hone__shape *s = &x->in[1].shape;
        if (s->rank == 1 && s->dims[0] >= 0 && s->dims[0] <= HONE_MAX_RANK) {
            x->out[0].shape.rank = (int)s->dims[0];
            for (int i = 0; i < x->out[0].shape.rank; i++) x->out[0].shape.dims[i] = -1;
        }
        return HONE_OK;
    }
    hone__shape out = {.rank = count};
    memcpy(out.dims, dims, (size_t)count * sizeof *dims);
    HONE__TRY(reshape_known(x, &out, hone__node_int(x->node, "allowzero", 0) != 0));
    x->out[0].shape = out;
    return HONE_OK;
}
const hone__op hone__op_reshape = {"", "Reshape", infer_reshape, NULL, run_nothing, HONE__OP_ALIAS | HONE__OP_STRINGS};

static hone_status infer_flatten(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    x->out[0].dtype = x->in[0].dtype;
    const hone__shape *s = &x->in[0].shape;
    hone__shape out = {.rank = 2, .dims = {1, 1}};
    if (s->rank < 0) {
        out.dims[0] = out.dims[1] = -1;
        x->out[0].shape = out;
        return HONE_OK;
    }
    int64_t axis = hone__node_int(x->node, "axis", 1);
    if (axis < -(int64_t)s->rank || axis > s->rank)
        return hone__fail(HONE_E_SHAPE, "axis %lld is outside rank %d", (long long)axis, s->rank);
    if (axis < 0) axis += s->rank;
    for (int i = 0; i < s->rank; i++) {
        int64_t *d = &out.dims[i >= axis];
        if (*d == 1)
            *d = s->dims[i]; /* a lone symbol stays itself */
        else if (s->dims[i] != 1)
            HONE__TRY(hone__dim_mul(*d, s->dims[i], d));
    }
    x->out[0].shape = out;
    return HONE_OK;
}
const hone__op hone__op_flatten = {"", "Flatten", infer_flatten, NULL, run_nothing, HONE__OP_ALIAS | HONE__OP_STRINGS};

/* Which axes (of `rank`) a list names. */
static hone_status axis_set(const int64_t *axes, int count, int rank, bool *set)
{
    memset(set, 0, (size_t)HONE_MAX_RANK * sizeof *set);
    for (int i = 0; i < count; i++) {
        int a;
        HONE__TRY(hone__axis(axes[i], rank, &a));
        if (set[a]) return hone__fail(HONE_E_SHAPE, "axis %d is named twice", a);
        set[a] = true;
    }
    return HONE_OK;
}

static hone_status infer_squeeze(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 2));
    x->out[0].dtype = x->in[0].dtype;
    const hone__shape *s = &x->in[0].shape;
    int64_t axes[HONE_MAX_RANK];
    int count;
    bool set[HONE_MAX_RANK];
    HONE__TRY(hone__infer_ints(x, 1, axes, HONE_MAX_RANK, &count));
    if (s->rank < 0 || (hone__has_input(x, 1) && count < 0)) return HONE_OK;
    bool all = !hone__has_input(x, 1);
    HONE__TRY(axis_set(axes, all ? 0 : count, s->rank, set));
    hone__shape out = {0};
    for (int i = 0; i < s->rank; i++) {
        if (all && s->dims[i] < 0) return HONE_OK; /* may or may not be 1 */
        if (all ? s->dims[i] == 1 : set[i]) {
            if (s->dims[i] > 1 || s->dims[i] == 0)
                return hone__fail(HONE_E_SHAPE, "axis %d has size %lld, only 1 can be squeezed", i,
                                  (long long)s->dims[i]);
            continue;
        }
        out.dims[out.rank++] = s->dims[i];
    }
    x->out[0].shape = out;
    return HONE_OK;
}
const hone__op hone__op_squeeze = {"", "Squeeze", infer_squeeze, NULL, run_nothing, HONE__OP_ALIAS | HONE__OP_STRINGS};

static hone_status infer_unsqueeze(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    x->out[0].dtype = x->in[0].dtype;
    const hone__shape *s = &x->in[0].shape;
    int64_t axes[HONE_MAX_RANK];
    int count;
    bool set[HONE_MAX_RANK];
    HONE__TRY(hone__infer_ints(x, 1, axes, HONE_MAX_RANK, &count));
    if (s->rank < 0 || count < 0) return HONE_OK;
    hone__shape out = {.rank = s->rank + count};
    if (out.rank > HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "rank %d is over %d", out.rank, HONE_MAX_RANK);
    HONE__TRY(axis_set(axes, count, out.rank, set));
    for (int i = 0, k = 0; i < out.rank; i++) out.dims[i] = set[i] ? 1 : s->dims[k++];
    x->out[0].shape = out;
    return HONE_OK;
}
const hone__op hone__op_unsqueeze = {"",   "Unsqueeze", infer_unsqueeze,
                                     NULL, run_nothing, HONE__OP_ALIAS | HONE__OP_STRINGS};
