/* layer_local.c: LocallyConnected1D and 2D: a kernel of its own for every output position, as one batch of products of
 * gathered patches. The three ways in which Keras 2 stores the kernels become one: [positions, patch, filters]. */
#include <string.h>

#include "keras.h"

typedef struct klocal {
    kview v;
    kwindow w;
    int64_t filters, positions, patch, begin[2];
    int64_t *index; /* [positions, patch]: elements of the flattened input; -1 outside */
} klocal;

/* Element (y, x, channel) of the flattened input. */
static int64_t element(const kview *v, int64_t y, int64_t x, int64_t channel)
{
    int64_t width = v->nd == 2 ? v->size[1] : 1, height = v->size[0];
    return v->first ? (channel * height + y) * width + x : (y * width + x) * v->channels + channel;
}

/* A patch is in the order of its window in the input: channels last, or first. */
static void fill_patch(const klocal *p, int64_t position, int64_t *row)
{
    const kview *v = &p->v;
    int64_t wide = v->nd == 2 ? p->w.kernel[1] : 1, across = v->nd == 2 ? p->w.out[1] : 1,
            width = v->nd == 2 ? v->size[1] : 1;
    int64_t y0 = position / across * p->w.stride[0] - p->begin[0],
            x0 = v->nd == 2 ? position % across * p->w.stride[1] - p->begin[1] : 0;
    for (int64_t i = 0; i < p->patch; i++) {
        int64_t window = p->w.kernel[0] * wide, channel = v->first ? i / window : i % v->channels,
                at = v->first ? i % window : i / v->channels, y = y0 + at / wide, x = x0 + at % wide;
        bool inside = y >= 0 && y < v->size[0] && x >= 0 && x < width;
        row[i] = inside ? element(v, y, x, channel) : -1;
    }
}

static bool read_local(kctx *c, const klayer *l, const kt *t, klocal *p)
{
    kview *v = &p->v;
    int nd = l->kind->variant;
    memset(p, 0, sizeof *p);
    if (t->rank != nd + 2 || !hone__kt_known(t, 1))
        return hone__k_shape_error(c, "input of shape %s", hone__k_dims(c, t)) == HONE_OK;
    v->first = hone__kcfg_first(c, l), v->nd = nd, v->batch = t->dims[0];
    v->channels = t->dims[v->first ? 1 : nd + 1];
    for (int i = 0; i < nd; i++) v->size[i] = t->dims[i + (v->first ? 2 : 1)];
    if (!hone__kwindow_read(c, l, v, &p->w)) return false;
    bool same = strcmp(hone__kcfg_text(l, "padding", "valid"), "same") == 0;
    p->filters = hone__kcfg_int(c, l, "filters", 0, 1, 1 << 20);
    p->positions = 1, p->patch = v->channels;
    for (int i = 0; i < nd; i++) {
        p->begin[i] = same ? p->w.kernel[i] / 2 : 0;
        if (p->w.out[i] < 1 || p->positions > (1 << 24) / p->w.out[i] || p->patch > (1 << 24) / p->w.kernel[i])
            return hone__k_refuse(c, "a kernel of its own for so many positions") == HONE_OK;
        p->positions *= p->w.out[i], p->patch *= p->w.kernel[i];
    }
    if (p->patch < 1 || p->positions > (1 << 22) / p->patch || p->filters > (1 << 28) / (p->positions * p->patch))
        return hone__k_refuse(c, "a kernel of its own for so many positions") == HONE_OK;
    p->index = hone__k_alloc(c, (size_t)(p->positions * p->patch) * sizeof *p->index);
    for (int64_t i = 0; p->index && i < p->positions; i++) fill_patch(p, i, p->index + i * p->patch);
    return p->index && c->b.status == HONE_OK;
}

/* implementation 2: the whole matrix from inputs to outputs, of which the windows' elements count. */
static void from_dense(const klocal *p, const float *from, float *to)
{
    for (int64_t i = 0; i < p->positions; i++)
        for (int64_t k = 0; k < p->patch; k++) {
            int64_t at = p->index[i * p->patch + k];
            for (int64_t f = 0; at >= 0 && f < p->filters; f++) {
                int64_t out = p->v.first ? f * p->positions + i : i * p->filters + f;
                to[(i * p->patch + k) * p->filters + f] = from[at * p->positions * p->filters + out];
            }
        }
}

/* implementation 3: the elements that count, sorted by output, then by input. */
static void from_sparse(const klocal *p, const float *from, float *to)
{
    for (int64_t out = 0; out < p->positions * p->filters; out++) {
        int64_t i = p->v.first ? out % p->positions : out / p->filters,
                f = p->v.first ? out / p->positions : out % p->filters;
        for (int64_t k = 0; k < p->patch; k++)
            if (p->index[i * p->patch + k] >= 0) to[(i * p->patch + k) * p->filters + f] = *from++;
    }
}

/* What the file holds; how: Keras's number of the implementation. */
static int stored_dims(const klocal *p, int64_t how, int64_t dims[6])
{
    int nd = p->v.nd, rank = 0;
    if (how == 1) {
        dims[0] = p->positions, dims[1] = p->patch, dims[2] = p->filters;
        return 3;
    }
    if (how == 3) {
        dims[0] = 0;
        for (int64_t i = 0; i < p->positions * p->patch; i++) dims[0] += p->index[i] >= 0;
        dims[0] *= p->filters;
        return 1;
    }
    if (p->v.first) dims[rank++] = p->v.channels;
    for (int i = 0; i < nd; i++) dims[rank++] = p->v.size[i];
    dims[rank++] = p->v.first ? p->filters : p->v.channels;
    for (int i = 0; i < nd; i++) dims[rank++] = p->w.out[i];
    if (!p->v.first) dims[rank++] = p->filters;
    return rank;
}

/* [positions, patch, filters] */
static hone__value *take_kernels(kctx *c, klayer *l, const klocal *p)
{
    int64_t dims[3] = {p->positions, p->patch, p->filters}, stored[6],
            how = hone__kcfg_int(c, l, "implementation", 1, 1, 3);
    kweight w;
    int rank = stored_dims(p, how, stored);
    if (!hone__kw_take(c, l, "", 0, "kernel", rank, stored, &w)) return NULL;
    if (how == 1) return hone__kw_emit(c, l, &w);
    hone__value *made = hone__kw_cached(l, w.item, "kernels");
    if (made) return made;
    if (p->filters > (1 << 26) / (p->positions * p->patch)) { /* the copy made here */
        hone__k_refuse(c, "implementation %d with so many weights", (int)how);
        return NULL;
    }
    const float *from = hone__kw_floats(c, &w);
    float *to = hone__k_alloc(c, (size_t)(p->positions * p->patch * p->filters) * sizeof *to);
    if (!from || !to) return NULL;
    if (how == 2)
        from_dense(p, from, to);
    else
        from_sparse(p, from, to);
    made = hone__emit_f32(&c->b, "kernels", to, 3, dims);
    hone__kw_remember(c, l, w.item, "kernels", made);
    return made;
}

hone_status hone__klayer_local(kctx *c, klayer *l, kcall *call)
{
    klocal p;
    kweight w;
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    if (!t || !read_local(c, l, t, &p)) return c->b.status;
    int nd = p.v.nd;
    int64_t whole = p.v.channels, dims[4] = {t->dims[0]}, bias_dims[3], shape[2] = {p.positions, p.patch};
    for (int i = 0; i < nd; i++) whole *= p.v.size[i], bias_dims[i] = p.w.out[i];
    bias_dims[nd] = p.filters;
    hone__value *kernels = take_kernels(c, l, &p), *bias = NULL;
    for (int64_t i = 0; i < p.positions * p.patch; i++) p.index[i] += p.index[i] < 0; /* there the kernel is zero */
    if (hone__kcfg_bool(l, "use_bias", true) && hone__kw_take(c, l, "", 1, "bias", nd + 1, bias_dims, &w))
        bias = p.v.first ? hone__kw_shaped(c, l, &w, 2, (int64_t[]){p.filters, p.positions}) /* as Keras views it */
                         : hone__kw_shaped(c, l, &w, 2, (int64_t[]){p.positions, p.filters});
    if (c->b.status != HONE_OK) return c->b.status;
    hone__value *x = hone__k_reshape(c, hone__kt_plain(c, t), 2, (int64_t[]){-1, whole});
    hone__value *index = hone__k_reshape(c, hone__k_ints(c, p.index, (size_t)(p.positions * p.patch)), 2, shape);
    x = hone__emit(&c->b, "Gather", "patches", HONE__INS(x, index), HONE__ATTRS(hone__a_int("axis", 1)));
    x = hone__k_transpose(c, x, 3, (int64_t[]){1, 0, 2}); /* [positions, batch, patch] */
    x = hone__k_transpose(c, hone__k2(c, "MatMul", x, kernels), 3, (int64_t[]){1, 0, 2});
    if (p.v.first) x = hone__k_transpose(c, x, 3, (int64_t[]){0, 2, 1});
    if (bias) x = hone__k2(c, "Add", x, bias);
    for (int i = 0; i < nd; i++) dims[i + (p.v.first ? 2 : 1)] = p.w.out[i];
    dims[p.v.first ? 1 : nd + 1] = p.filters;
    int64_t to[4] = {-1, dims[1], dims[2], dims[3]};
    kt *y = hone__kt_new(c, K_PLAIN, hone__k_reshape(c, x, nd + 2, to), HONE_F32, nd + 2, dims);
    return hone__k_return(c, call, hone__k_activation(c, l, hone__kcfg(l, "activation"), y));
}
