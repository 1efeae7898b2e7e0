/* op_bits.c: BitCast; Col2Im. */
#include <string.h>

#include "infer.h"

static hone_status infer_bit_cast(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    int64_t to = hone__node_int(x->node, "to", 0);
    hone_dtype from = x->in[0].dtype;
    if (to < 1 || to >= HONE_DTYPE_COUNT || to == HONE_STRING || from == HONE_STRING)
        return hone__fail(HONE_E_SHAPE, "attribute 'to' is %lld", (long long)to);
    if (from && hone__dtype_bits(from) != hone__dtype_bits((hone_dtype)to))
        return hone__fail(HONE_E_SHAPE, "%s and %s differ in size", hone_dtype_name(from),
                          hone_dtype_name((hone_dtype)to));
    x->out[0] = (hone__type){(hone_dtype)to, x->in[0].shape};
    return HONE_OK;
}
const hone__op hone__op_bit_cast = {"", "BitCast", infer_bit_cast, NULL, NULL, HONE__OP_ALIAS};

enum { AXES = HONE_MAX_RANK - 2 };

/* Col2Im: columns [N, C * block, L] summed back into images [N, C, image...]. */
typedef struct geometry {
    int axes;
    int64_t image[AXES], block[AXES], stride[AXES], dilation[AXES], pad[AXES], places[AXES], block_count, place_count;
} geometry;

static hone_status list_of(const hone__node *n, const char *name, int want, int64_t least, int64_t otherwise,
                           int64_t *out)
{
    size_t count;
    const int64_t *v = hone__node_ints(n, name, &count);
    if (v && count != (size_t)want)
        return hone__fail(HONE_E_SHAPE, "%s has %zu entries, expected %d", name, count, want);
    for (int i = 0; i < want; i++) {
        out[i] = v ? v[i] : otherwise;
        if (out[i] < least || out[i] > INT32_MAX)
            return hone__fail(HONE_E_SHAPE, "%s[%d] is %lld", name, i, (long long)out[i]);
    }
    return HONE_OK;
}

static hone_status read_geometry(const hone__infer *x, geometry *g, bool *known)
{
    int count, blocks;
    int64_t pads[2 * AXES];
    HONE__TRY(hone__infer_ints(x, 1, g->image, AXES, &count));
    HONE__TRY(hone__infer_ints(x, 2, g->block, AXES, &blocks));
    *known = count >= 0 && blocks >= 0;
    if (!*known) return HONE_OK;
    if (count != blocks || !count) return hone__fail(HONE_E_SHAPE, "image of %d axes, block of %d", count, blocks);
    g->axes = count;
    g->block_count = g->place_count = 1;
    HONE__TRY(list_of(x->node, "strides", count, 1, 1, g->stride));
    HONE__TRY(list_of(x->node, "dilations", count, 1, 1, g->dilation));
    HONE__TRY(list_of(x->node, "pads", 2 * count, 0, 0, pads));
    for (int a = 0; a < count; a++) {
        if (g->image[a] < 1 || g->image[a] > INT32_MAX || g->block[a] < 1 || g->block[a] > INT32_MAX)
            return hone__fail(HONE_E_SHAPE, "axis %d of image or block", a);
        int64_t room = g->image[a] + pads[a] + pads[count + a] - (g->dilation[a] * (g->block[a] - 1) + 1);
        if (room < 0) return hone__fail(HONE_E_SHAPE, "the block does not fit axis %d", a);
        g->pad[a] = pads[a];
        g->places[a] = room / g->stride[a] + 1;
        HONE__TRY(hone__dim_mul(g->block_count, g->block[a], &g->block_count));
        HONE__TRY(hone__dim_mul(g->place_count, g->places[a], &g->place_count));
    }
    return HONE_OK;
}

static hone_status infer_col2im(hone__infer *x)
{
    geometry g;
    bool known;
    HONE__TRY(hone__infer_arity(x, 3, 3));
    HONE__TRY(hone__infer_rank(x, 0, 3));
    x->out[0].dtype = x->in[0].dtype;
    HONE__TRY(read_geometry(x, &g, &known));
    const hone__shape *s = &x->in[0].shape;
    if (!known || s->rank < 0) return HONE_OK;
    if ((s->dims[1] >= 0 && s->dims[1] % g.block_count) || !hone__dims_agree(s->dims[2], g.place_count))
        return hone__fail(HONE_E_SHAPE, "columns of shape [?, %lld, %lld] for blocks of %lld at %lld places",
                          (long long)s->dims[1], (long long)s->dims[2], (long long)g.block_count,
                          (long long)g.place_count);
    hone__shape o = {.rank = 2 + g.axes, .dims = {s->dims[0], s->dims[1] < 0 ? -1 : s->dims[1] / g.block_count}};
    memcpy(o.dims + 2, g.image, (size_t)g.axes * sizeof *g.image);
    x->out[0].shape = o;
    return HONE_OK;
}

static hone_status run_col2im(hone__run *r)
{
    const hone__tensor *x = r->in[0], *y = r->out[0];
    hone__type types[3] = {{0}};
    hone__infer ix = {r->node, r->input_count, 0, types, r->in, NULL, 0};
    geometry g;
    bool known;
    HONE__TRY(read_geometry(&ix, &g, &known));
    size_t image = 1, per = (size_t)(g.block_count * g.place_count);
    for (int a = 0; a < g.axes; a++) image *= (size_t)g.image[a];
    if (y->bytes) memset(hone__out_data(r, 0), 0, y->bytes);
    for (size_t i = 0; i < x->count; i++) {
        int64_t k = (int64_t)(i % per) / g.place_count, p = (int64_t)(i % per) % g.place_count, step = 1, to = 0;
        bool inside = true;
        for (int a = g.axes - 1; a >= 0; a--) {
            int64_t at = p % g.places[a] * g.stride[a] - g.pad[a] + k % g.block[a] * g.dilation[a];
            p /= g.places[a];
            k /= g.block[a];
            inside = inside && at >= 0 && at < g.image[a];
            to += at * step;
            step *= g.image[a];
        }
        if (!inside) continue;
        size_t q = i / per * image + (size_t)to;
        hone__element_set_f64(y->dtype, hone__out_data(r, 0), q, hone__tensor_f64(y, q) + hone__tensor_f64(x, i));
    }
    return HONE_OK;
}
const hone__op hone__op_col2im = {"", "Col2Im", infer_col2im, NULL, run_col2im, 0};
