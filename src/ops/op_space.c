/* op_space.c: operators that only rearrange or blank elements: DepthToSpace, SpaceToDepth, ReverseSequence, Trilu,
 * EyeLike, CenterCropPad, Col2Im. */
#include <string.h>

#include "infer.h"
#include "kernels/transpose/transpose.h"

static hone_status element_size(const hone__tensor *t, size_t *size)
{
    *size = hone__dtype_size(t->dtype);
    return *size ? HONE_OK : hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(t->dtype));
}

static hone_status block(const hone__infer *x, int64_t *b)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_rank(x, 0, 4));
    *b = hone__node_int(x->node, "blocksize", 0);
    return *b >= 1 && *b <= 1 << 20 ? HONE_OK : hone__fail(HONE_E_SHAPE, "blocksize is %lld", (long long)*b);
}

static hone_status infer_depth_to_space(hone__infer *x)
{
    int64_t b;
    HONE__TRY(block(x, &b));
    hone__infer_same(x, 0, 0);
    if (x->in[0].shape.rank < 0) return HONE_OK;
    int64_t *d = x->out[0].shape.dims;
    if (d[1] >= 0 && d[1] % (b * b))
        return hone__fail(HONE_E_SHAPE, "%lld channels in blocks of %lld", (long long)d[1], (long long)b);
    d[1] = d[1] < 0 ? -1 : d[1] / (b * b);
    HONE__TRY(hone__dim_mul(d[2], b, &d[2]));
    return hone__dim_mul(d[3], b, &d[3]);
}
static hone_status run_depth_to_space(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t size, b = (size_t)hone__node_int(r->node, "blocksize", 1), n = (size_t)x->dims[0],
                 c = (size_t)r->out[0]->dims[1], h = (size_t)x->dims[2], w = (size_t)x->dims[3];
    HONE__TRY(element_size(x, &size));
    if (!x->count) return HONE_OK;
    bool crd = !strcmp(hone__node_string(r->node, "mode", "DCR"), "CRD");
    if (crd)
        hone__transpose(hone__out_data(r, 0), x->data, size, 6, (size_t[]){n, c, b, b, h, w}, (int[]){0, 1, 4, 2, 5, 3},
                        r->pool);
    else
        hone__transpose(hone__out_data(r, 0), x->data, size, 6, (size_t[]){n, b, b, c, h, w}, (int[]){0, 3, 4, 1, 5, 2},
                        r->pool);
    return HONE_OK;
}
const hone__op hone__op_depth_to_space = {"",   "DepthToSpace",     infer_depth_to_space,
                                          NULL, run_depth_to_space, HONE__OP_STRINGS};

static hone_status infer_space_to_depth(hone__infer *x)
{
    int64_t b;
    HONE__TRY(block(x, &b));
    hone__infer_same(x, 0, 0);
    if (x->in[0].shape.rank < 0) return HONE_OK;
    int64_t *d = x->out[0].shape.dims;
    for (int i = 2; i < 4; i++) {
        if (d[i] >= 0 && d[i] % b)
            return hone__fail(HONE_E_SHAPE, "axis %d of size %lld in blocks of %lld", i, (long long)d[i], (long long)b);
        d[i] = d[i] < 0 ? -1 : d[i] / b;
    }
    return hone__dim_mul(d[1], b * b, &d[1]);
}
static hone_status run_space_to_depth(hone__run *r)
{
    const hone__tensor *x = r->in[0];
    size_t size, b = (size_t)hone__node_int(r->node, "blocksize", 1), n = (size_t)x->dims[0], c = (size_t)x->dims[1],
                 h = (size_t)x->dims[2] / b, w = (size_t)x->dims[3] / b;
    HONE__TRY(element_size(x, &size));
    bool crd = !strcmp(hone__node_string(r->node, "mode", "DCR"), "CRD");
    if (x->count)
        hone__transpose(hone__out_data(r, 0), x->data, size, 6, (size_t[]){n, c, h, b, w, b},
                        crd ? (int[]){0, 1, 3, 5, 2, 4} : (int[]){0, 3, 5, 1, 2, 4}, r->pool);
    return HONE_OK;
}
const hone__op hone__op_space_to_depth = {"",   "SpaceToDepth",     infer_space_to_depth,
                                          NULL, run_space_to_depth, HONE__OP_STRINGS};

static hone_status infer_reverse_sequence(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    HONE__TRY(hone__infer_rank(x, 1, 1));
    hone__infer_same(x, 0, 0);
    int64_t b = hone__node_int(x->node, "batch_axis", 1), t = hone__node_int(x->node, "time_axis", 0);
    if (!((b == 0 && t == 1) || (b == 1 && t == 0)))
        return hone__fail(HONE_E_SHAPE, "batch_axis %lld and time_axis %lld", (long long)b, (long long)t);
    if (x->in[0].shape.rank >= 0 && x->in[0].shape.rank < 2)
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected at least 2", x->in[0].shape.rank);
    return HONE_OK;
}
static hone_status run_reverse_sequence(hone__run *r)
{
    const hone__tensor *x = r->in[0], *lengths = r->in[1];
    size_t size, time_axis = (size_t)hone__node_int(r->node, "time_axis", 0);
    size_t times = (size_t)x->dims[time_axis], batch = (size_t)x->dims[1 - time_axis];
    HONE__TRY(element_size(x, &size));
    if (lengths->count != batch)
        return hone__fail(HONE_E_SHAPE, "%zu lengths for a batch of %zu", lengths->count, batch);
    for (int i = 2; i < x->rank; i++) size *= (size_t)x->dims[i];
    for (size_t b = 0; b < batch; b++) {
        int64_t n = hone__tensor_i64(lengths, b);
        if (n < 0 || n > (int64_t)times)
            return hone__fail(HONE_E_ARGUMENT, "length %lld of %zu steps", (long long)n, times);
        for (size_t t = 0; t < times; t++) {
            size_t from = t < (size_t)n ? (size_t)n - 1 - t : t;
            size_t p = time_axis ? b * times + t : t * batch + b, q = time_axis ? b * times + from : from * batch + b;
            memcpy((char *)hone__out_data(r, 0) + p * size, (const char *)x->data + q * size, size);
        }
    }
    return HONE_OK;
}
const hone__op hone__op_reverse_sequence = {"",   "ReverseSequence",    infer_reverse_sequence,
                                            NULL, run_reverse_sequence, HONE__OP_STRINGS};

static hone_status infer_trilu(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 2));
    hone__infer_same(x, 0, 0);
    if (x->in[0].shape.rank >= 0 && x->in[0].shape.rank < 2)
        return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected at least 2", x->in[0].shape.rank);
    return HONE_OK;
}
static hone_status run_trilu(hone__run *r)
{
    const hone__tensor *x = r->in[0], *k = r->input_count > 1 ? r->in[1] : NULL;
    size_t size;
    if (k && k->count != 1) return hone__fail(HONE_E_SHAPE, "k has %zu values", k->count);
    int64_t rows = x->dims[x->rank - 2], cols = x->dims[x->rank - 1], shift = k ? hone__tensor_i64(k, 0) : 0;
    bool upper = hone__node_int(r->node, "upper", 1) != 0;
    HONE__TRY(element_size(x, &size));
    if (shift > cols) shift = cols;
    if (shift < -rows) shift = -rows;
    char *y = hone__out_data(r, 0);
    for (size_t i = 0; cols && i < x->count / (size_t)cols; i++, y += (size_t)cols * size) {
        int64_t row = (int64_t)(i % (size_t)rows),
                cut = row + shift + (upper ? 0 : 1); /* first kept, or first blank, column */
        cut = cut < 0 ? 0 : cut > cols ? cols : cut;
        memcpy(y, (const char *)x->data + i * (size_t)cols * size, (size_t)cols * size);
        if (upper)
            memset(y, 0, (size_t)cut * size);
        else
            memset(y + (size_t)cut * size, 0, (size_t)(cols - cut) * size);
    }
    return HONE_OK;
}
const hone__op hone__op_trilu = {"", "Trilu", infer_trilu, NULL, run_trilu, 0};

static hone_status infer_eye_like(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    HONE__TRY(hone__infer_rank(x, 0, 2));
    int64_t to = hone__node_int(x->node, "dtype", 0);
    x->out[0] = (hone__type){to > 0 && to < HONE_DTYPE_COUNT && to != HONE_STRING ? (hone_dtype)to : x->in[0].dtype,
                             x->in[0].shape};
    return HONE_OK;
}
static hone_status run_eye_like(hone__run *r)
{
    hone__tensor *y = r->out[0];
    int64_t k = hone__node_int(r->node, "k", 0);
    if (y->bytes) memset(hone__out_data(r, 0), 0, y->bytes);
    for (int64_t i = 0; i < y->dims[0]; i++) {
        int64_t c;
        if (!hone__add_i64(i, k, &c) || c < 0 || c >= y->dims[1]) continue;
        if (y->dtype == HONE_BOOL)
            ((uint8_t *)hone__out_data(r, 0))[i * y->dims[1] + c] = 1;
        else
            hone__element_set_f64(y->dtype, hone__out_data(r, 0), (size_t)(i * y->dims[1] + c), 1);
    }
    return HONE_OK;
}
const hone__op hone__op_eye_like = {"", "EyeLike", infer_eye_like, NULL, run_eye_like, 0};

static hone_status infer_center(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 2));
    int64_t sizes[HONE_MAX_RANK];
    int count;
    size_t axis_count;
    const int64_t *axes = hone__node_ints(x->node, "axes", &axis_count);
    hone__infer_same(x, 0, 0);
    if (x->in[0].shape.rank < 0) return HONE_OK;
    HONE__TRY(hone__infer_ints(x, 1, sizes, HONE_MAX_RANK, &count));
    int n = axes ? (int)axis_count : x->in[0].shape.rank;
    if (n > HONE_MAX_RANK || (count >= 0 && count != n))
        return hone__fail(HONE_E_SHAPE, "%d sizes for %d axes", count, n);
    for (int i = 0; i < n; i++) {
        int a;
        HONE__TRY(hone__axis(axes ? axes[i] : i, x->in[0].shape.rank, &a));
        if (count >= 0 && sizes[i] < 0) return hone__fail(HONE_E_SHAPE, "size %lld of axis %d", (long long)sizes[i], a);
        x->out[0].shape.dims[a] = count < 0 ? -1 : sizes[i];
    }
    return HONE_OK;
}
static hone_status run_center(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->out[0];
    int64_t at[HONE_MAX_RANK] = {0}, shift[HONE_MAX_RANK] = {0};
    size_t size;
    HONE__TRY(element_size(x, &size));
    for (int a = 0; a < x->rank; a++) { /* where the output's first element lies in the input */
        int64_t d = x->dims[a] - y->dims[a];
        shift[a] = d >= 0 ? d / 2 : -(-d / 2);
    }
    char *to = hone__out_data(r, 0);
    for (size_t i = 0; i < y->count; i++, to += size) {
        size_t from = 0;
        bool inside = true;
        for (int a = 0; a < x->rank; a++) {
            int64_t k = at[a] + shift[a];
            inside = inside && k >= 0 && k < x->dims[a];
            from = from * (size_t)x->dims[a] + (size_t)(inside ? k : 0);
        }
        if (inside)
            memcpy(to, (const char *)x->data + from * size, size);
        else
            memset(to, 0, size);
        for (int a = x->rank - 1; a >= 0 && ++at[a] == y->dims[a]; a--) at[a] = 0;
    }
    return HONE_OK;
}
const hone__op hone__op_center_crop_pad = {"", "CenterCropPad", infer_center, NULL, run_center, HONE__OP_STRINGS};
