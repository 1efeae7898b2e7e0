/* conv_f32.c: fp32 convolution: strips of pixels times rows of weights. */
#include <math.h>
#include <string.h>

#include "kernels/conv/conv_depthwise.h"
#include "kernels/conv/conv_plan.h"

static size_t align(size_t n) { return (n + 63) & ~(size_t)63; }

struct job {
    const hone__tile_table *tile;
    hone__conv_plan p;
    const float *x, *w; /* x: this image; as copied unless direct */
    const float *source;
    hone__epilogue ep;
    float *y;
    size_t *tap;
    float *copy;
    const hone__depthwise_table *planes;
    hone__depthwise_shape plane;
};

static hone__conv_plan plan(const hone__conv_shape *s)
{
    const hone__tile_table *t = hone__tile();
    hone__depthwise_shape plane;
    hone__conv_plan p = hone__conv_plan_make(s, t->f32_step, t->f32_nr, t->f32_mr);
    p.depthwise = hone__depthwise_fits(hone__depthwise_table_of(hone__cpu_tier()), &p, &plane);
    return p;
}

size_t hone__conv_f32_scratch(const hone__conv_shape *s, int threads)
{
    hone__conv_plan p = plan(s);
    (void)threads;
    if (p.depthwise) return 0;
    return align(p.taps * sizeof(size_t)) + (p.direct ? 0 : align(p.in_c * p.channel * sizeof(float)));
}

static void copy_channels(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    float zero = 0;
    (void)thread;
    hone__conv_plan_copy(&j->p, j->x, sizeof(float), &zero, j->copy, begin, end);
}

/* RELU and CLIP happen in the tile, everything else on the stored rows. */
static void set_clip(const hone__epilogue *ep, hone__tile_f32_args *t)
{
    t->clip = ep->act == HONE__ACT_RELU || ep->act == HONE__ACT_CLIP;
    t->lo = ep->act == HONE__ACT_CLIP ? ep->a : 0;
    t->hi = ep->act == HONE__ACT_CLIP ? ep->b : INFINITY;
}

static void item(const struct job *j, size_t index)
{
    const hone__conv_plan *p = &j->p;
    const hone__epilogue *ep = &j->ep;
    hone__conv_item it = hone__conv_plan_item(p, index);
    if (!it.keep) return;
    hone__tile_f32_args t = {.lanes = it.lanes,
                             .channels = p->group_in,
                             .taps = p->taps,
                             .a_rs = p->k,
                             .b_rs = p->channel,
                             .tap = j->tap,
                             .out_rs = p->out_size,
                             .keep = it.keep,
                             .alpha = 1};
    set_clip(ep, &t);
    t.b = j->source + it.group * p->group_in * p->channel + it.from;
    size_t mr = it.lanes <= j->tile->f32_step ? j->tile->f32_mr_thin : j->tile->f32_mr;
    for (size_t r = 0; r < it.rows; r += t.rows) {
        size_t oc = it.group * p->group_out + it.first_row + r, at = oc * p->out_size + it.out;
        t.rows = hone__tile_rows(it.rows, r, mr);
        t.a = j->w + oc * p->k;
        t.out = j->y + at;
        t.row_bias = ep->bias ? ep->bias + oc : NULL;
        t.residual = ep->residual ? ep->residual + at : NULL;
        j->tile->f32(&t);
        if (ep->act == HONE__ACT_NONE || t.clip) continue;
        for (size_t i = 0; i < t.rows; i++)
            hone__act_apply(ep, ep->slope ? ep->slope[oc + i] : 0, t.out + i * t.out_rs, it.kept);
    }
}

static void items(void *ctx, size_t begin, size_t end, int thread)
{
    (void)thread;
    for (size_t i = begin; i < end; i++) item(ctx, i);
}

/* Output channels [begin, end) of one image, plane by plane. */
static void depthwise_planes(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__conv_plan *p = &j->p;
    const hone__epilogue *ep = &j->ep;
    hone__tile_f32_args t = {0};
    (void)thread;
    set_clip(ep, &t);
    for (size_t oc = begin; oc < end; oc++) {
        float *y = j->y + oc * p->out_size;
        j->planes->f32(&j->plane, j->x + oc / p->group_out * p->in_size, j->w + oc * p->taps,
                       ep->bias ? ep->bias[oc] : -0.0f, ep->residual ? ep->residual + oc * p->out_size : NULL, t.clip,
                       t.lo, t.hi, y);
        if (ep->act != HONE__ACT_NONE && !t.clip) hone__act_apply(ep, ep->slope ? ep->slope[oc] : 0, y, p->out_size);
    }
}

/* Planes per piece of the loop. */
static size_t planes_grain(const hone__conv_plan *p) { return 32768 / (p->out_size * p->taps + 1) + 1; }

void hone__conv_f32(const hone__conv_shape *s, const float *x, const float *w, const hone__epilogue *ep, float *y,
                    void *scratch, hone__pool *pool)
{
    struct job j = {.tile = hone__tile(), .p = plan(s), .w = w, .y = y, .tap = scratch};
    if (ep) j.ep = *ep;
    j.copy = (float *)((char *)scratch + align(j.p.taps * sizeof(size_t)));
    j.planes = hone__depthwise_table_of(hone__cpu_tier());
    if (j.p.depthwise)
        hone__depthwise_fits(j.planes, &j.p, &j.plane);
    else
        hone__conv_plan_taps(&j.p, j.tap);
    size_t per_item = j.p.channel >= 8192 ? 1 : 8192 / j.p.channel + 1;
    for (size_t n = 0; n < j.p.batch; n++) {
        j.x = x + n * j.p.in_c * j.p.in_size;
        j.y = y + n * j.p.out_c * j.p.out_size;
        if (ep && ep->residual) j.ep.residual = ep->residual + n * j.p.out_c * j.p.out_size;
        if (j.p.depthwise) {
            hone__pool_run(pool, j.p.out_c, planes_grain(&j.p), depthwise_planes, &j);
            continue;
        }
        j.source = j.p.direct ? j.x : j.copy;
        if (!j.p.direct) hone__pool_run(pool, j.p.in_c, per_item, copy_channels, &j);
        hone__pool_run(pool, j.p.items, j.p.grain, items, &j);
    }
}
