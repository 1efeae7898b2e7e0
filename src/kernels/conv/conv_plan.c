/* conv_plan.c: geometry of the strips, and the copy with padding. */
#include "kernels/conv/conv_plan.h"

#include <string.h>

static size_t gcd(size_t a, size_t b)
{
    while (b) {
        size_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Tap j of axis d reads image hone__conv_image_of(j) at distance (j * dilation) / stride. All residues that are
 * multiples of gcd(dilation, stride) have an image; or, where there are fewer taps than those, each tap has its own. */
static bool own_image(const hone__conv_plan *p, int d)
{
    return p->kernel[d] < p->stride[d] / gcd(p->dilation[d], p->stride[d]);
}

size_t hone__conv_image_of(const hone__conv_plan *p, int d, size_t j)
{
    if (own_image(p, d)) return j;
    return j * p->dilation[d] % p->stride[d] / gcd(p->dilation[d], p->stride[d]);
}

size_t hone__conv_residue_of(const hone__conv_plan *p, int d, size_t image)
{
    if (own_image(p, d)) return image * p->dilation[d] % p->stride[d];
    return image * gcd(p->dilation[d], p->stride[d]);
}

static void set_axes(hone__conv_plan *p, const hone__conv_shape *s)
{
    for (int d = 0; d < 3; d++) {
        p->in[d] = p->out[d] = p->kernel[d] = p->stride[d] = p->dilation[d] = 1;
        p->pad[d] = 0;
    }
    bool point = true;
    for (int d = 0; d < s->rank; d++) {
        int to = d + 3 - s->rank;
        p->in[to] = s->in[d], p->out[to] = s->out[d], p->kernel[to] = s->kernel[d];
        p->stride[to] = s->stride[d], p->pad[to] = s->pad[d];
        p->dilation[to] = s->kernel[d] > 1 ? s->dilation[d] : 1;
        point = point && s->kernel[d] == 1 && s->stride[d] == 1 && s->pad[d] == 0 && s->in[d] == s->out[d];
    }
    if (point) { /* one long row */
        p->in[2] = p->out[2] = p->in[0] * p->in[1] * p->in[2];
        p->in[0] = p->in[1] = p->out[0] = p->out[1] = 1;
    }
}

static void set_images(hone__conv_plan *p)
{
    p->direct = true;
    for (int d = 0; d < 3; d++) {
        size_t reach = (p->kernel[d] - 1) * p->dilation[d] / p->stride[d];
        p->ext[d] = p->out[d] + reach;
        p->phases[d] = own_image(p, d) ? p->kernel[d] : p->stride[d] / gcd(p->dilation[d], p->stride[d]);
        p->direct = p->direct && p->pad[d] == 0 && p->stride[d] == 1 && p->in[d] == p->ext[d];
    }
    p->plane = p->ext[1] * p->ext[2];
    p->channel = p->phases[0] * p->ext[0] * p->phases[1] * p->phases[2] * p->plane;
}

static size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

enum { MIN_ITEMS = 8, MIN_WORK = 1 << 18 /* multiply-adds in a piece, about */ };

hone__conv_plan hone__conv_plan_make(const hone__conv_shape *s, size_t step, size_t nr, size_t mr)
{
    hone__conv_plan p = {.batch = s->batch, .groups = s->groups, .in_c = s->in_c, .out_c = s->out_c};
    p.group_in = s->in_c / s->groups;
    p.group_out = s->out_c / s->groups;
    set_axes(&p, s);
    p.in_size = p.in[0] * p.in[1] * p.in[2];
    p.out_size = p.out[0] * p.out[1] * p.out[2];
    p.taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
    p.k = p.group_in * p.taps;
    set_images(&p);
    p.lanes = (p.out[1] - 1) * p.ext[2] + p.out[2];
    p.step = step;
    p.strips = ceil_div(p.lanes, nr);
    p.strip = ceil_div(ceil_div(p.lanes, step), p.strips) * step;
    p.strips = ceil_div(p.lanes, p.strip);
    size_t base = p.groups * p.out[0] * p.strips, work = p.strip * p.k * p.group_out;
    p.row_chunks = base >= MIN_ITEMS ? 1 : ceil_div(MIN_ITEMS, base);
    if (!work) work = 1; /* without input channels */
    if (p.row_chunks > ceil_div(work, MIN_WORK)) p.row_chunks = ceil_div(work, MIN_WORK);
    if (p.row_chunks > ceil_div(p.group_out, mr)) p.row_chunks = ceil_div(p.group_out, mr);
    p.row_chunk = ceil_div(p.group_out, p.row_chunks);
    p.row_chunks = ceil_div(p.group_out, p.row_chunk);
    p.items = base * p.row_chunks;
    work = p.strip * p.k * p.row_chunk;
    p.grain = work >= MIN_WORK ? 1 : ceil_div(MIN_WORK, work + 1);
    return p;
}

void hone__conv_plan_taps(const hone__conv_plan *p, size_t *tap)
{
    for (size_t kd = 0; kd < p->kernel[0]; kd++)
        for (size_t kh = 0; kh < p->kernel[1]; kh++)
            for (size_t kw = 0; kw < p->kernel[2]; kw++) {
                size_t slice = hone__conv_image_of(p, 0, kd) * p->ext[0] + kd * p->dilation[0] / p->stride[0];
                size_t image = (slice * p->phases[1] + hone__conv_image_of(p, 1, kh)) * p->phases[2] +
                               hone__conv_image_of(p, 2, kw);
                *tap++ = image * p->plane + kh * p->dilation[1] / p->stride[1] * p->ext[2] +
                         kw * p->dilation[2] / p->stride[2];
            }
}

/* Where positions r * stride + shift - pad of an axis lie inside the input: r in [*first, *last). */
void hone__conv_inside(const hone__conv_plan *p, int d, size_t shift, size_t *first, size_t *last)
{
    size_t s = p->stride[d], pad = p->pad[d];
    *first = shift >= pad ? 0 : ceil_div(pad - shift, s);
    *last = p->in[d] + pad > shift ? ceil_div(p->in[d] + pad - shift, s) : 0;
    if (*last > p->ext[d]) *last = p->ext[d];
    if (*first > *last) *first = *last;
}

static void fill_f32(float *to, float v, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = v;
}

/* One row of an image: n elements, [first, last) of them from x at element `at`, `step` apart. */
static void copy_row(const void *x, size_t size, const void *fill, void *to, size_t n, size_t first, size_t last,
                     size_t at, size_t step)
{
    if (size == 1) {
        uint8_t *t = to;
        const uint8_t *f = (const uint8_t *)x + at;
        memset(t, *(const uint8_t *)fill, first);
        if (step == 1)
            memcpy(t + first, f, last - first);
        else
            for (size_t i = first; i < last; i++) t[i] = f[(i - first) * step];
        memset(t + last, *(const uint8_t *)fill, n - last);
    } else {
        float *t = to, v;
        const float *f = (const float *)x + at;
        memcpy(&v, fill, 4);
        fill_f32(t, v, first);
        if (step == 1)
            memcpy(t + first, f, (last - first) * 4);
        else
            for (size_t i = first; i < last; i++) t[i] = f[(i - first) * step];
        fill_f32(t + last, v, n - last);
    }
}

struct copy {
    const hone__conv_plan *p;
    const char *x; /* this channel */
    char *to;
    size_t size;
    const void *fill;
};

/* One image: input depth z (or outside), residues of height and width. */
static void copy_image(const struct copy *c, bool in_depth, size_t z, size_t ih, size_t iw, char *to)
{
    const hone__conv_plan *p = c->p;
    size_t shift_h = hone__conv_residue_of(p, 1, ih), shift_w = hone__conv_residue_of(p, 2, iw), top, bottom, left,
           right;
    hone__conv_inside(p, 1, shift_h, &top, &bottom);
    hone__conv_inside(p, 2, shift_w, &left, &right);
    for (size_t r = 0; r < p->ext[1]; r++) {
        bool in_row = in_depth && r >= top && r < bottom;
        size_t y = in_row ? r * p->stride[1] + shift_h - p->pad[1] : 0;
        size_t first = in_row ? left : 0, last = in_row ? right : 0;
        size_t column = first < last ? first * p->stride[2] + shift_w - p->pad[2] : 0;
        copy_row(c->x, c->size, c->fill, to + r * p->ext[2] * c->size, p->ext[2], first, last,
                 (z * p->in[1] + y) * p->in[2] + column, p->stride[2]);
    }
}

void hone__conv_plan_copy(const hone__conv_plan *p, const void *x, size_t size, const void *fill, void *to,
                          size_t begin, size_t end)
{
    for (size_t ch = begin; ch < end; ch++) {
        struct copy c = {p, (const char *)x + ch * p->in_size * size, (char *)to + ch * p->channel * size, size, fill};
        char *image = c.to;
        for (size_t id = 0; id < p->phases[0]; id++)
            for (size_t d = 0; d < p->ext[0]; d++) {
                size_t shift = hone__conv_residue_of(p, 0, id), front, back;
                hone__conv_inside(p, 0, shift, &front, &back);
                bool in_depth = d >= front && d < back;
                size_t z = in_depth ? d * p->stride[0] + shift - p->pad[0] : 0;
                for (size_t i = 0; i < p->phases[1] * p->phases[2]; i++, image += p->plane * size)
                    copy_image(&c, in_depth, z, i / p->phases[2], i % p->phases[2], image);
            }
    }
}

/* Bits of the lanes [from, from + lanes) whose column is below the output's width. */
uint64_t hone__conv_kept_lanes(const hone__conv_plan *p, size_t from, size_t lanes)
{
    uint64_t all = lanes == 64 ? ~(uint64_t)0 : ((uint64_t)1 << lanes) - 1;
    size_t width = p->ext[2], kept = p->out[2], at = from % width;
    if (kept == width) return all;
    uint64_t keep = 0;
    for (size_t i = 0; i < lanes;) {
        size_t run = at < kept ? kept - at : 0, n = lanes - i;
        if (run > n) run = n;
        if (run) keep |= (run == 64 ? ~(uint64_t)0 : ((uint64_t)1 << run) - 1) << i;
        i += width - at;
        at = 0;
    }
    return keep;
}

hone__conv_item hone__conv_plan_item(const hone__conv_plan *p, size_t index)
{
    hone__conv_item it;
    size_t chunk = index % p->row_chunks, rest = index / p->row_chunks;
    size_t strip = rest % p->strips;
    rest /= p->strips;
    it.depth = rest % p->out[0];
    it.group = rest / p->out[0];
    it.first_row = chunk * p->row_chunk;
    it.rows = p->group_out - it.first_row < p->row_chunk ? p->group_out - it.first_row : p->row_chunk;
    size_t lane = strip * p->strip, column = lane % p->ext[2];
    it.lanes = p->lanes - lane < p->strip ? p->lanes - lane : p->strip;
    it.from = it.depth * p->phases[1] * p->phases[2] * p->plane + lane;
    it.out =
        it.depth * p->out[1] * p->out[2] + lane / p->ext[2] * p->out[2] + (column < p->out[2] ? column : p->out[2]);
    it.keep = hone__conv_kept_lanes(p, lane, it.lanes);
    it.kept = (size_t)__builtin_popcountll(it.keep);
    return it;
}
