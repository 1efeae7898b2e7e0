/* op_resize.c: Resize: nearest, linear, cubic, with and without antialiasing, one axis after the other. */
#include <math.h>
#include <string.h>

#include "resize.h"
#include "widen.h"

static hone_status infer_resize(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 4));
    x->out[0].dtype = x->in[0].dtype;
    if (x->in[0].shape.rank < 0) return HONE_OK;
    hone__resize r;
    bool known;
    HONE__TRY(hone__resize_read(x, &r, &known));
    x->out[0].shape.rank = r.rank;
    for (int a = 0; a < r.rank; a++) x->out[0].shape.dims[a] = known ? r.out[a] : -1;
    return HONE_OK;
}

typedef struct plan {
    hone__resize r;
    hone__resize_axis axis[HONE_MAX_RANK];
    int order[HONE_MAX_RANK], passes; /* axes that change, shrinking ones first */
    size_t temporary;                 /* floats of one intermediate result */
    bool nearest;
} plan;

static void choose_order(plan *p)
{
    int64_t dims[HONE_MAX_RANK];
    memcpy(dims, p->r.in, sizeof dims);
    for (int shrink = 1; shrink >= 0; shrink--)
        for (int a = p->r.rank - 1; a >= 0; a--)
            if (!p->axis[a].identity && (p->r.out[a] < p->r.in[a]) == shrink) p->order[p->passes++] = a;
    for (int k = 0; k < p->passes; k++) {
        size_t count = 1;
        dims[p->order[k]] = p->r.out[p->order[k]];
        for (int a = 0; a < p->r.rank; a++) count *= (size_t)dims[a];
        if (count > p->temporary) p->temporary = count;
    }
}

static hone_status prepare_resize(hone__prepare *p)
{
    plan *q = hone__arena_zalloc(p->arena, sizeof *q);
    if (!q) return hone__out_of_memory(sizeof *q);
    hone__type types[4] = {{0}};
    bool known;
    types[0].dtype = p->in[0]->dtype;
    types[0].shape.rank = p->in[0]->rank;
    memcpy(types[0].shape.dims, p->in[0]->dims, sizeof types[0].shape.dims);
    hone__infer x = {p->node, p->input_count, 0, types, p->in, NULL, 0};
    HONE__TRY(hone__resize_read(&x, &q->r, &known));
    if (!known) return hone__fail(HONE_E_INTERNAL, "the sizes are not known");
    p->state = q;
    q->nearest = !strcmp(hone__node_string(p->node, "mode", "nearest"), "nearest");
    if (!p->out[0]->count) return HONE_OK;
    for (int a = 0; a < q->r.rank; a++) HONE__TRY(hone__resize_table(p->node, &q->r, a, p->arena, &q->axis[a]));
    choose_order(q);
    if (!q->nearest) p->scratch = (2 * q->temporary + p->in[0]->count + p->out[0]->count) * sizeof(float);
    return HONE_OK;
}

typedef struct pass {
    const hone__resize_axis *t;
    const float *x;
    float *y;
    size_t in, out, inner; /* x: [outer, in, inner], y: [outer, out, inner] */
} pass;

/* Items are rows of y: [inner] each; with inner 1, a dot product. */
static void pass_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const pass *p = ctx;
    size_t taps = p->t->taps;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t o = i / p->out, at = i % p->out;
        const int32_t *index = p->t->index + at * taps;
        const float *w = p->t->weight + at * taps, *x = p->x + o * p->in * p->inner;
        float *y = p->y + i * p->inner;
        if (p->inner == 1) {
            float sum = 0;
            for (size_t k = 0; k < taps; k++) sum += w[k] * x[index[k]];
            y[0] = sum;
            continue;
        }
        for (size_t k = 0; k < taps; k++) {
            const float *row = x + (size_t)index[k] * p->inner;
            if (k == 0)
                for (size_t j = 0; j < p->inner; j++) y[j] = w[0] * row[j];
            else
                for (size_t j = 0; j < p->inner; j++) y[j] += w[k] * row[j];
        }
    }
}

/* The extrapolation value where any axis lies outside. */
static void fill_outside(const plan *p, float value, float *y, size_t count)
{
    if (p->r.coords != HONE__RESIZE_CROP) return;
    size_t at[HONE_MAX_RANK] = {0};
    for (size_t i = 0; i < count; i++) {
        for (int a = 0; a < p->r.rank; a++)
            if (p->axis[a].outside && p->axis[a].outside[at[a]]) y[i] = value;
        for (int a = p->r.rank - 1; a >= 0 && ++at[a] == (size_t)p->r.out[a]; a--) at[a] = 0;
    }
}

static void interpolate(const hone__run *r, const plan *p, const float *x, float *y, float *scratch)
{
    int64_t dims[HONE_MAX_RANK];
    size_t count = r->out[0]->count;
    memcpy(dims, p->r.in, sizeof dims);
    for (int k = 0; k < p->passes; k++) {
        int a = p->order[k];
        size_t outer = 1, inner = 1;
        for (int i = 0; i < a; i++) outer *= (size_t)dims[i];
        for (int i = a + 1; i < p->r.rank; i++) inner *= (size_t)dims[i];
        float *to = k == p->passes - 1 ? y : scratch + (size_t)(k & 1) * p->temporary;
        pass job = {&p->axis[a], x, to, (size_t)p->r.in[a], (size_t)p->r.out[a], inner};
        hone__pool_run(r->pool, outer * job.out, 4096 / (inner * job.t->taps + 1) + 1, pass_rows, &job);
        dims[a] = p->r.out[a];
        x = to;
    }
    if (!p->passes) memcpy(y, x, count * sizeof *y);
    fill_outside(p, hone__node_float(r->node, "extrapolation_value", 0), y, count);
}

/* Any type of whole bytes. */
static hone_status copy_nearest(const hone__run *r, const plan *p)
{
    const hone__tensor *x = r->in[0], *y = r->out[0];
    size_t size = hone__dtype_size(x->dtype), at[HONE_MAX_RANK] = {0};
    int last = p->r.rank - 1;
    char *to = hone__out_data(r, 0);
    char value[16];
    if (!size || x->dtype == HONE_STRING) return hone__fail(HONE_E_UNSUPPORTED, "type %s", hone_dtype_name(x->dtype));
    hone__element_set_f64(x->dtype, value, 0, hone__node_float(r->node, "extrapolation_value", 0));
    for (size_t done = 0; done < y->count;) {
        size_t from = 0, row = last >= 0 ? (size_t)p->r.out[last] : 1;
        bool outside = false;
        for (int a = 0; a < last; a++) {
            from = from * (size_t)p->r.in[a] + (p->axis[a].index ? (size_t)p->axis[a].index[at[a]] : at[a]);
            if (p->axis[a].outside && p->axis[a].outside[at[a]]) outside = true;
        }
        if (last >= 0) from *= (size_t)p->r.in[last];
        for (size_t i = 0; i < row; i++, to += size) {
            const hone__resize_axis *t = &p->axis[last < 0 ? 0 : last];
            size_t k = last >= 0 && t->index ? (size_t)t->index[i] : i;
            memcpy(to, outside || (t->outside && t->outside[i]) ? value : (const char *)x->data + (from + k) * size,
                   size);
        }
        done += row;
        for (int a = last - 1; a >= 0 && ++at[a] == (size_t)p->r.out[a]; a--) at[a] = 0;
    }
    return HONE_OK;
}

static hone_status run_resize(hone__run *r)
{
    const plan *p = r->state;
    const hone__tensor *x = r->in[0], *y = r->out[0];
    if (!y->count) return HONE_OK;
    if (p->nearest) return copy_nearest(r, p);
    if (x->dtype == HONE_F32) {
        interpolate(r, p, x->data, hone__out_data(r, 0), r->scratch);
        return HONE_OK;
    }
    float *from = (float *)r->scratch + 2 * p->temporary, *to = from + x->count;
    hone__to_f32(x->dtype, x->data, x->count, from);
    interpolate(r, p, from, to, r->scratch);
    if (hone__dtype_is_int(x->dtype)) /* integers drop what is behind the point */
        for (size_t i = 0; i < y->count; i++) to[i] = truncf(to[i]);
    hone__from_f32(y->dtype, to, y->count, hone__out_data(r, 0));
    return HONE_OK;
}
const hone__op hone__op_resize = {"", "Resize", infer_resize, prepare_resize, run_resize, 0};
