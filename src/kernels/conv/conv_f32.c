/* conv_f32.c: fp32 convolution: strips of pixels times rows of weights. */
#include <math.h>
#include <string.h>

#include "kernels/conv/conv_bands.h"
#include "kernels/conv/conv_columns.h"
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
    hone__conv_bands bands;
    bool packed; /* strips are copied before rows of weights meet them */
    char *local; /* per thread: the band's or the strip's copy */
    size_t local_bytes;
};

/* plane: filled when p.depthwise */
static hone__conv_plan plan(const hone__conv_shape *s, hone__depthwise_shape *plane)
{
    const hone__tile_table *t = hone__tile();
    hone__conv_plan p = hone__conv_plan_make(s, t->f32_step, t->f32_nr, t->f32_mr);
    p.depthwise = hone__depthwise_fits(hone__depthwise_table_of(hone__cpu_tier()), &p, plane);
    return p;
}

/* Rows of a strip that lie a whole plane apart fall into few sets of the cache, and every tile would fetch them again.
 */
static bool packs_strips(const hone__conv_plan *p)
{
    enum { ENOUGH_ROWS = 16, FAR = 64 /* elements */ };
    return p->taps == 1 && p->row_chunk >= ENOUGH_ROWS && p->channel >= FAR && p->group_in > 1;
}

static size_t packed_bytes(const hone__conv_plan *p) { return align(p->group_in * p->strip * sizeof(float)); }

static size_t local_bytes(const hone__conv_plan *p, const hone__conv_bands *b)
{
    return align(p->group_in * b->channel * sizeof(float));
}

size_t hone__conv_f32_scratch(const hone__conv_shape *s, int threads)
{
    hone__depthwise_shape plane;
    hone__conv_plan p = plan(s, &plane);
    if (p.depthwise) return 0;
    if (hone__conv_columns_fit(&p)) return hone__conv_columns_scratch(&p);
    size_t taps = align(p.taps * sizeof(size_t));
    if (hone__conv_bands_fit(&p)) {
        hone__conv_bands b = hone__conv_bands_make(&p);
        return taps + (size_t)threads * local_bytes(&p, &b);
    }
    size_t copy = p.direct ? 0 : align(p.in_c * p.channel * sizeof(float));
    return taps + copy + (packs_strips(&p) ? (size_t)threads * packed_bytes(&p) : 0);
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

/* Lanes that lie side by side in `b`, times rows of one group. */
struct strip {
    size_t group, first_row, rows;
    const float *b; /* tap 0 of lane 0 in the group's first channel */
    size_t b_rs, lanes, out, kept;
    uint64_t keep;
};

static void run_strip(const struct job *j, const struct strip *s)
{
    const hone__conv_plan *p = &j->p;
    const hone__epilogue *ep = &j->ep;
    if (!s->keep) return;
    hone__tile_f32_args t = {.lanes = s->lanes,
                             .channels = p->group_in,
                             .taps = p->taps,
                             .a_rs = p->k,
                             .b = s->b,
                             .b_rs = s->b_rs,
                             .tap = j->tap,
                             .out_rs = p->out_size,
                             .keep = s->keep,
                             .alpha = 1};
    set_clip(ep, &t);
    size_t mr = s->lanes <= j->tile->f32_step ? j->tile->f32_mr_thin : j->tile->f32_mr;
    for (size_t r = 0; r < s->rows; r += t.rows) {
        size_t oc = s->group * p->group_out + s->first_row + r, at = oc * p->out_size + s->out;
        t.rows = hone__tile_rows(s->rows, r, mr);
        t.a = j->w + oc * p->k;
        t.out = j->y + at;
        t.row_bias = ep->bias ? ep->bias + oc : NULL;
        t.residual = ep->residual ? ep->residual + at : NULL;
        j->tile->f32(&t);
        if (ep->act == HONE__ACT_NONE || t.clip) continue;
        for (size_t i = 0; i < t.rows; i++)
            hone__act_apply(ep, ep->slope ? ep->slope[oc + i] : 0, t.out + i * t.out_rs, s->kept);
    }
}

static void items(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__conv_plan *p = &j->p;
    float *local = j->packed ? (float *)(void *)(j->local + (size_t)thread * j->local_bytes) : NULL;
    for (size_t i = begin; i < end; i++) {
        hone__conv_item it = hone__conv_plan_item(p, i);
        struct strip s = {it.group,   it.first_row, it.rows, j->source + it.group * p->group_in * p->channel + it.from,
                          p->channel, it.lanes,     it.out,  it.kept,
                          it.keep};
        if (j->packed) {
            for (size_t c = 0; c < p->group_in; c++)
                memcpy(local + c * p->strip, s.b + c * p->channel, it.lanes * sizeof *local);
            s.b = local;
            s.b_rs = p->strip;
        }
        run_strip(j, &s);
    }
}

static void band_items(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__conv_plan *p = &j->p;
    const hone__conv_bands *b = &j->bands;
    float *local = (float *)(void *)(j->local + (size_t)thread * j->local_bytes);
    for (size_t i = begin; i < end; i++) {
        hone__conv_band it = hone__conv_bands_item(b, i);
        hone__conv_bands_copy_f32(b, &it, j->tile, j->x + it.group * p->group_in * p->in_size, local);
        size_t strip = hone__strip_lanes(it.lanes, p->step, j->tile->f32_nr);
        for (size_t lane = 0; lane < it.lanes; lane += strip) {
            struct strip s = {it.group,
                              it.first_row,
                              it.channels,
                              local + lane,
                              b->channel,
                              it.lanes - lane < strip ? it.lanes - lane : strip,
                              hone__conv_bands_out(p, &it, lane)};
            s.keep = hone__conv_kept_lanes(p, lane, s.lanes);
            s.kept = (size_t)__builtin_popcountll(s.keep);
            run_strip(j, &s);
        }
    }
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

void hone__conv_f32(const hone__conv_shape *s, const float *x, const float *w, const hone__epilogue *ep, float *y,
                    void *scratch, hone__pool *pool)
{
    struct job j = {.tile = hone__tile(), .w = w, .y = y, .tap = scratch};
    j.p = plan(s, &j.plane);
    if (ep) j.ep = *ep;
    if (hone__conv_columns_fit(&j.p)) {
        hone__conv_columns(&j.p, x, w, &j.ep, y, scratch, pool);
        return;
    }
    /* depthwise planes need no scratch, and get none */
    if (scratch) j.copy = (float *)((char *)scratch + align(j.p.taps * sizeof(size_t)));
    j.planes = hone__depthwise_table_of(hone__cpu_tier());
    bool banded = !j.p.depthwise && hone__conv_bands_fit(&j.p);
    if (banded) {
        j.bands = hone__conv_bands_make(&j.p);
        j.local = (char *)j.copy;
        j.local_bytes = local_bytes(&j.p, &j.bands);
        hone__conv_bands_taps(&j.bands, j.tap);
    } else if (!j.p.depthwise) {
        hone__conv_plan_taps(&j.p, j.tap);
    }
    if (!banded && !j.p.depthwise && (j.packed = packs_strips(&j.p))) {
        j.local = (char *)j.copy + (j.p.direct ? 0 : align(j.p.in_c * j.p.channel * sizeof(float)));
        j.local_bytes = packed_bytes(&j.p);
    }
    size_t per_item = j.p.channel >= 8192 ? 1 : 8192 / j.p.channel + 1;
    for (size_t n = 0; n < j.p.batch; n++) {
        j.x = x + n * j.p.in_c * j.p.in_size;
        j.y = y + n * j.p.out_c * j.p.out_size;
        if (ep && ep->residual) j.ep.residual = ep->residual + n * j.p.out_c * j.p.out_size;
        if (j.p.depthwise) {
            hone__pool_run_stoppable(pool, j.p.out_c, hone__depthwise_grain(&j.p), depthwise_planes, &j);
            continue;
        }
        if (banded) {
            hone__pool_run_stoppable(pool, j.bands.items, j.bands.grain, band_items, &j);
            continue;
        }
        j.source = j.p.direct ? j.x : j.copy;
        if (!j.p.direct) hone__pool_run(pool, j.p.in_c, per_item, copy_channels, &j);
        hone__pool_run_stoppable(pool, j.p.items, j.p.grain, items, &j);
    }
}
