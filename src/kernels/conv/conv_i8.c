/* conv_i8.c: int8 convolution: packed strips of pixels times rows of weights, exact int32 inside. */
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
    hone__conv_i8_args q;
    const uint8_t *x, *w, *source;
    uint8_t fill, flip;
    int32_t x_zp; /* of the packed bytes */
    size_t y;     /* element of the output where this image starts */
    size_t *tap;
    uint8_t *copy;
    int32_t *row_add, *row_mul; /* [out_c] */
    uint8_t *ones;              /* [k] */
    uint8_t *ordered_ones;      /* by_image: [row_ordered] */
    char *panels;               /* per thread */
    size_t panel_bytes;         /* of one thread: panel, lane sums, fp32 rows */
    const hone__depthwise_table *planes;
    hone__depthwise_shape plane;
    bool banded, by_image; /* by_image: ordered weights, and the tiles that take them */
    hone__conv_bands bands;
    size_t k_ordered;   /* k with channels rounded up to four */
    size_t row_ordered; /* bytes of a row of ordered weights */
    uint8_t *ordered;   /* weights as [out_c, group_in / 4, taps, 4]; in strips all of k counts as channels */
    size_t rows_bytes;  /* banded: of the work space for strides */
};

/* plane: filled when p.depthwise */
static hone__conv_plan plan(const hone__conv_shape *s, hone__depthwise_shape *plane)
{
    const hone__tile_table *t = hone__tile();
    hone__conv_plan p = hone__conv_plan_make(s, t->i8_step, t->i8_nr, t->i8_mr);
    p.depthwise = hone__depthwise_fits(hone__depthwise_table_of(hone__cpu_tier()), &p, plane);
    return p;
}

enum { MAX_ROWS = 16 };

/* Fewer than three channels would mostly multiply the zeros that fill up a group of four. Strips take ordered weights
 * where that makes a tile cheaper, and there are enough tiles to make up for it. */
static void choose_tiles(struct job *j)
{
    enum { ENOUGH_LANES = 32 };
    size_t bytes = hone__tile()->ordered_bytes;
    j->banded = hone__conv_bands_fit(&j->p) && j->p.group_in >= 3;
    j->by_image = j->banded || (bytes > 1 && j->p.lanes * j->p.batch >= ENOUGH_LANES);
    if (j->banded) j->bands = hone__conv_bands_make(&j->p);
    j->k_ordered = j->banded ? (j->p.group_in + 3) / 4 * j->p.taps * 4 : (j->p.k + 3) / 4 * 4;
    j->row_ordered = j->k_ordered * bytes;
}

static size_t panel_size(const hone__conv_plan *p) { return align((p->k + 3) / 4 * p->strip * 4); }

/* The next n bytes of scratch; with base NULL only counts. */
static void *place(char *base, size_t *at, size_t n)
{
    char *here = base ? base + *at : NULL;
    *at += align(n);
    return here;
}

static size_t lay_out(struct job *j, char *base, int threads, bool has_made)
{
    const hone__conv_plan *p = &j->p;
    size_t at = 0;
    if (p->depthwise) { /* only rows for late activations, a plane per thread */
        j->panel_bytes = align(p->out_size * sizeof(float));
        j->panels = place(base, &at, (size_t)threads * j->panel_bytes);
        return at;
    }
    choose_tiles(j);
    j->tap = place(base, &at, p->taps * sizeof(size_t));
    j->row_add = place(base, &at, p->out_c * sizeof(int32_t));
    j->row_mul = place(base, &at, p->out_c * sizeof(int32_t));
    j->ones = place(base, &at, p->k);
    if (j->by_image) {
        if (!has_made) j->ordered = place(base, &at, p->out_c * j->row_ordered);
        j->ordered_ones = place(base, &at, j->row_ordered);
    }
    size_t lanes_bytes = align(HONE__TILE_MAX_LANES * 4) + MAX_ROWS * HONE__TILE_MAX_LANES * sizeof(float);
    if (j->banded) {
        j->rows_bytes = align(p->stride[2] > 1 ? p->group_in * p->ext[2] : 0);
        j->panel_bytes = align((p->group_in + 3) / 4 * j->bands.channel * 4) + j->rows_bytes + lanes_bytes;
    } else {
        j->copy = place(base, &at, p->direct ? 0 : p->in_c * p->channel);
        j->panel_bytes = panel_size(p) + lanes_bytes;
    }
    j->panels = place(base, &at, (size_t)threads * j->panel_bytes);
    return at;
}

size_t hone__conv_i8_scratch(const hone__conv_shape *s, int threads, int has_made)
{
    struct job j = {0};
    j.p = plan(s, &j.plane);
    if (hone__conv_columns_fit(&j.p)) return hone__conv_columns_i8_scratch(&j.p);
    return lay_out(&j, NULL, threads, has_made);
}

/* Items: channels of x to copy, then blocks of weight rows to sum up. */
enum { SUM_ROWS = 16 };

/* From sums of weights to what is added to sums of products. */
static void set_row_terms(struct job *j, const int32_t *sums, size_t begin, size_t end)
{
    for (size_t r = begin; r < end; r++) {
        uint32_t wz = j->q.w_zp ? (uint32_t)j->q.w_zp[j->q.w_zp_count > 1 ? r : 0] : 0, xz = (uint32_t)j->x_zp;
        j->row_add[r] = (int32_t)((uint32_t)j->p.k * xz * wz - xz * (uint32_t)sums[r]);
        j->row_mul[r] = (int32_t)(0 - wz);
    }
}

static void sum_rows(struct job *j, size_t begin, size_t end)
{
    const hone__conv_plan *p = &j->p;
    if (end > p->out_c) end = p->out_c;
    j->tile->sums_i8(j->w + begin * p->k, p->k, end - begin, p->k, j->q.w_signed, j->row_add + begin);
    set_row_terms(j, j->row_add, begin, end);
}

static void order_row(const struct job *j, const uint8_t *w, uint8_t *to)
{
    bool banded = j->banded;
    j->tile->order_weights(w, banded ? j->p.group_in : j->p.k, banded ? j->p.taps : 1, j->q.w_signed, to);
}

static void order_rows(const struct job *j, size_t begin, size_t end)
{
    const hone__conv_plan *p = &j->p;
    if (end > p->out_c) end = p->out_c;
    for (size_t r = begin; r < end; r++) order_row(j, j->w + r * p->k, j->ordered + r * j->row_ordered);
}

/* Made once: the sums, then the ordered rows. */
static uint8_t *ordered_part(const hone__conv_plan *p, const void *made)
{
    return (uint8_t *)(uintptr_t)made + align(p->out_c * sizeof(int32_t));
}

size_t hone__conv_i8_made(const hone__conv_shape *s)
{
    struct job j = {0};
    j.p = plan(s, &j.plane);
    if (j.p.depthwise || hone__conv_columns_fit(&j.p)) return 0;
    choose_tiles(&j);
    return align(j.p.out_c * sizeof(int32_t)) + (j.by_image ? align(j.p.out_c * j.row_ordered) : 0);
}

void hone__conv_i8_make(const hone__conv_shape *s, const void *w, int w_signed, void *to)
{
    struct job j = {.tile = hone__tile(), .w = w, .q = {.w_signed = w_signed}};
    j.p = plan(s, &j.plane);
    choose_tiles(&j);
    j.ordered = ordered_part(&j.p, to);
    j.tile->sums_i8(j.w, j.p.k, j.p.out_c, j.p.k, w_signed, to);
    if (j.by_image) order_rows(&j, 0, j.p.out_c);
}

static void prepare(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    size_t copies = j->p.direct || j->banded ? 0 : j->p.in_c;
    (void)thread;
    if (begin < copies) hone__conv_plan_copy(&j->p, j->x, 1, &j->fill, j->copy, begin, end < copies ? end : copies);
    for (size_t i = begin < copies ? copies : begin; i < end; i++) {
        size_t row = (i - copies) * SUM_ROWS;
        if (j->row_add) sum_rows(j, row, row + SUM_ROWS);
        if (j->by_image) order_rows(j, row, row + SUM_ROWS);
    }
}

static void set_output(const struct job *j, hone__tile_i8_args *t, float *rows)
{
    const hone__conv_i8_args *q = &j->q;
    hone__act act = q->ep.act;
    t->clip = act == HONE__ACT_RELU || act == HONE__ACT_CLIP;
    t->lo = act == HONE__ACT_CLIP ? q->ep.a : 0;
    t->hi = act == HONE__ACT_CLIP ? q->ep.b : INFINITY;
    t->q_inv = q->y_scale_inv;
    t->q_zp = q->y_zp;
    t->q_lo = (float)((q->y_signed ? -128 : 0) - q->y_zp);
    t->q_hi = (float)((q->y_signed ? 127 : 255) - q->y_zp);
    if (q->y_q && act != HONE__ACT_NONE && !t->clip) { /* the activation runs on fp32 rows */
        t->out_f32 = rows;
        t->out_rs = HONE__TILE_MAX_LANES;
    }
}

void hone__conv_quantize(const hone__conv_i8_args *q, const float *x, size_t n, uint8_t *out)
{
    float lo = (float)((q->y_signed ? -128 : 0) - q->y_zp), hi = lo + 255;
    for (size_t i = 0; i < n; i++) {
        float v = x[i] * q->y_scale_inv;
        v = isnan(v) ? 0 : v < lo ? lo : v > hi ? hi : v;
        out[i] = (uint8_t)((int32_t)rintf(v) + q->y_zp);
    }
}

/* Where the lanes of a tile go: one group's channels from first_row on, element `out` of their planes. */
struct target {
    size_t group, first_row, rows, out, kept;
};

static void run_rows(const struct job *j, const struct target *to, hone__tile_i8_args *t, float *rows)
{
    const hone__conv_plan *p = &j->p;
    const hone__conv_i8_args *q = &j->q;
    size_t mr = t->lanes <= j->tile->i8_step ? j->tile->i8_mr_thin : j->tile->i8_mr;
    bool via_rows = t->out_f32 == rows;
    float scale[MAX_ROWS];
    for (size_t r = 0; r < to->rows; r += t->rows) {
        size_t oc = to->group * p->group_out + to->first_row + r, at = j->y + oc * p->out_size + to->out;
        t->rows = hone__tile_rows(to->rows, r, mr);
        t->a = j->by_image ? j->ordered + oc * j->row_ordered : j->w + oc * p->k;
        t->row_add = j->row_add ? j->row_add + oc : NULL;
        t->row_mul = q->w_zp ? j->row_mul + oc : NULL;
        if (q->scale && q->scale_count > 1)
            t->row_scale = q->scale + oc;
        else if (q->scale) {
            for (size_t i = 0; i < t->rows; i++) scale[i] = q->scale[0];
            t->row_scale = scale;
        }
        t->row_bias = q->ep.bias ? q->ep.bias + oc : NULL;
        if (q->y_i32)
            t->out_i32 = q->y_i32 + at;
        else if (q->y_f32)
            t->out_f32 = q->y_f32 + at;
        else if (!via_rows)
            t->out_q = (uint8_t *)q->y_q + at;
        t->residual = q->y_f32 && q->ep.residual ? q->ep.residual + at : NULL;
        if (j->by_image)
            j->tile->i8_image(t);
        else
            j->tile->i8(t);
        if (q->y_i32 || q->ep.act == HONE__ACT_NONE || t->clip) continue;
        for (size_t i = 0; i < t->rows; i++) {
            float *row = t->out_f32 + i * t->out_rs;
            hone__act_apply(&q->ep, q->ep.slope ? q->ep.slope[oc + i] : 0, row, to->kept);
            if (via_rows) hone__conv_quantize(q, row, to->kept, (uint8_t *)q->y_q + at + i * p->out_size);
        }
    }
}

/* A row of ones gives the lanes' sums. */
static void lane_sums(const struct job *j, hone__tile_i8_args ones, int32_t *sums)
{
    ones.rows = 1;
    ones.a = j->by_image ? j->ordered_ones : j->ones;
    ones.out_i32 = sums;
    ones.keep = ones.lanes == 64 ? ~(uint64_t)0 : ((uint64_t)1 << ones.lanes) - 1;
    memset(sums, 0, HONE__TILE_MAX_LANES * 4);
    if (j->by_image)
        j->tile->i8_image(&ones);
    else
        j->tile->i8(&ones);
}

static void item(const struct job *j, size_t index, char *panel)
{
    static const size_t no_tap = 0;
    const hone__conv_plan *p = &j->p;
    hone__conv_item it = hone__conv_plan_item(p, index);
    if (!it.keep) return;
    int32_t *sums = (int32_t *)(void *)(panel + panel_size(p));
    float *rows = (float *)(void *)(panel + panel_size(p) + align(HONE__TILE_MAX_LANES * 4));
    size_t width = (it.lanes + p->step - 1) / p->step * p->step;
    hone__tile_pack_args pack = {.src = j->source + it.group * p->group_in * p->channel + it.from,
                                 .src_rs = p->channel,
                                 .tap = j->tap,
                                 .channels = p->group_in,
                                 .taps = p->taps,
                                 .lanes = it.lanes,
                                 .width = width,
                                 .flip = j->flip,
                                 .panel = (uint8_t *)panel,
                                 .panel_rs = width * 4};
    j->tile->pack_i8(&pack);
    hone__tile_i8_args t = {.lanes = it.lanes,
                            .k = j->by_image ? j->k_ordered : p->k,
                            .a_rs = j->by_image ? j->row_ordered : p->k,
                            .a_unsigned = !j->q.w_signed,
                            .panel = (uint8_t *)panel,
                            .width = width,
                            .channels = j->k_ordered / 4,
                            .taps = 1,
                            .b_rs = width,
                            .tap = &no_tap,
                            .lane_sum = sums,
                            .keep = it.keep,
                            .out_rs = p->out_size};
    if (j->q.w_zp) lane_sums(j, t, sums);
    set_output(j, &t, rows);
    struct target to = {it.group, it.first_row, it.rows, it.out, it.kept};
    run_rows(j, &to, &t, rows);
}

static void band_item(const struct job *j, size_t index, char *local)
{
    const hone__conv_plan *p = &j->p;
    const hone__conv_bands *b = &j->bands;
    hone__conv_band it = hone__conv_bands_item(b, index);
    size_t groups = (p->group_in + 3) / 4;
    char *work = local + align(groups * b->channel * 4), *lanes = work + j->rows_bytes;
    int32_t *sums = (int32_t *)(void *)lanes;
    float *rows = (float *)(void *)(lanes + align(HONE__TILE_MAX_LANES * 4));
    hone__conv_bands_copy_i8(b, &it, j->tile, j->x + it.group * p->group_in * p->in_size, j->fill, j->flip,
                             (uint8_t *)work, (uint8_t *)local);
    size_t strip = hone__strip_lanes(it.lanes, p->step, j->tile->i8_nr);
    for (size_t lane = 0; lane < it.lanes; lane += strip) {
        hone__tile_i8_args t = {.lanes = it.lanes - lane < strip ? it.lanes - lane : strip,
                                .k = j->k_ordered,
                                .a_rs = j->row_ordered,
                                .a_unsigned = !j->q.w_signed,
                                .panel = (uint8_t *)local + lane * 4,
                                .channels = groups,
                                .taps = p->taps,
                                .b_rs = b->channel,
                                .tap = j->tap,
                                .lane_sum = sums,
                                .out_rs = p->out_size};
        t.width = (t.lanes + p->step - 1) / p->step * p->step;
        t.keep = hone__conv_kept_lanes(p, lane, t.lanes);
        if (!t.keep) continue;
        if (j->q.w_zp) lane_sums(j, t, sums);
        set_output(j, &t, rows);
        struct target to = {it.group, it.first_row, it.channels, hone__conv_bands_out(p, &it, lane),
                            (size_t)__builtin_popcountll(t.keep)};
        run_rows(j, &to, &t, rows);
    }
}

static void items(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    char *own = j->panels + (size_t)thread * j->panel_bytes;
    for (size_t i = begin; i < end; i++) {
        if (j->banded)
            band_item(j, i, own);
        else
            item(j, i, own);
    }
}

/* Output channels [begin, end) of one image, plane by plane. */
static void depthwise_planes(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const hone__conv_plan *p = &j->p;
    const hone__conv_i8_args *q = &j->q;
    float *rows = (float *)(void *)(j->panels + (size_t)thread * j->panel_bytes);
    hone__tile_i8_args t = {.rows = 1};
    set_output(j, &t, rows);
    bool via_rows = t.out_f32 == rows;
    for (size_t oc = begin; oc < end; oc++) {
        size_t at = j->y + oc * p->out_size;
        t.row_scale = q->scale ? q->scale + (q->scale_count > 1 ? oc : 0) : NULL;
        t.row_bias = q->ep.bias ? q->ep.bias + oc : NULL;
        if (q->y_i32)
            t.out_i32 = q->y_i32 + at;
        else if (q->y_f32)
            t.out_f32 = q->y_f32 + at;
        else if (!via_rows)
            t.out_q = (uint8_t *)q->y_q + at;
        t.residual = q->y_f32 && q->ep.residual ? q->ep.residual + at : NULL;
        j->planes->i8(&j->plane, j->x + oc / p->group_out * p->in_size, q->x_signed, q->x_zp, j->w + oc * p->taps,
                      q->w_signed, q->w_zp ? q->w_zp[q->w_zp_count > 1 ? oc : 0] : 0, &t);
        if (q->y_i32 || q->ep.act == HONE__ACT_NONE || t.clip) continue;
        hone__act_apply(&q->ep, q->ep.slope ? q->ep.slope[oc] : 0, t.out_f32, p->out_size);
        if (via_rows) hone__conv_quantize(q, rows, p->out_size, (uint8_t *)q->y_q + at);
    }
}

void hone__conv_i8(const hone__conv_shape *s, const hone__conv_i8_args *args, void *scratch, hone__pool *pool)
{
    struct job j = {.tile = hone__tile(), .q = *args, .w = args->w, .fill = (uint8_t)args->x_zp};
    j.p = plan(s, &j.plane);
    if (hone__conv_columns_fit(&j.p)) {
        hone__conv_columns_i8(&j.p, args, scratch, pool);
        return;
    }
    lay_out(&j, scratch, hone__pool_threads(pool), args->made != NULL);
    j.planes = hone__depthwise_table_of(hone__cpu_tier());
    if (j.banded)
        hone__conv_bands_taps(&j.bands, j.tap);
    else if (!j.p.depthwise)
        hone__conv_plan_taps(&j.p, j.tap);
    /* The packed bytes must have the other signedness than the weights. */
    bool flip = (args->x_signed != 0) == (args->w_signed != 0);
    j.flip = flip ? 0x80 : 0;
    j.x_zp = args->x_zp + (!flip ? 0 : args->x_signed ? 128 : -128);
    bool sums = j.x_zp != 0 || args->w_zp;
    if (args->w_zp && !j.p.depthwise) {
        memset(j.ones, 1, j.p.k);
        if (j.by_image) order_row(&j, j.ones, j.ordered_ones);
    }
    bool made = args->made && !j.p.depthwise;
    if (made && j.by_image) j.ordered = ordered_part(&j.p, args->made);
    if (made && sums) set_row_terms(&j, args->made, 0, j.p.out_c);
    if (!sums) j.row_add = NULL;
    size_t copies = j.p.direct || j.banded ? 0 : j.p.in_c;
    size_t blocks = !made && (sums || j.by_image) ? (j.p.out_c + SUM_ROWS - 1) / SUM_ROWS : 0;
    size_t per_item = j.p.channel >= 16384 ? 1 : 16384 / j.p.channel + 1;
    if (!copies) per_item = 65536 / (SUM_ROWS * j.p.k + 1) + 1; /* only weights to read: far cheaper than a loop */
    for (size_t n = 0; n < j.p.batch; n++) {
        j.x = (const uint8_t *)args->x + n * j.p.in_c * j.p.in_size;
        j.y = n * j.p.out_c * j.p.out_size;
        if (j.p.depthwise) {
            hone__pool_run_stoppable(pool, j.p.out_c, hone__depthwise_grain(&j.p), depthwise_planes, &j);
            continue;
        }
        j.source = j.p.direct ? j.x : j.copy;
        if (n > 0) blocks = 0; /* row sums serve every image */
        if (copies + blocks) hone__pool_run(pool, copies + blocks, per_item, prepare, &j);
        hone__pool_run_stoppable(pool, j.banded ? j.bands.items : j.p.items, j.banded ? j.bands.grain : j.p.grain,
                                 items, &j);
    }
}
