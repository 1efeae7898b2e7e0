/* conv_depthwise.c: which tiers have depthwise kernels; elsewhere the strips of conv_f32 and conv_i8 do the work. */
#include "kernels/conv/conv_depthwise.h"

#include <string.h>

#include "kernels/conv/conv_plan.h"
#include "kernels/dispatch.h"

static hone__depthwise_table tables[HONE__TIERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (int tier = 0; tier < HONE__TIERS; tier++) {
        hone__depthwise_table *t = &tables[tier];
        *t = (hone__depthwise_table){0};
#if defined(__x86_64__)
#define HONE_VARIANT(from, slot, value) \
    if (tier >= (from)) t->slot = (value);
#include "kernels/conv/variants_x86.def"
#undef HONE_VARIANT
#endif
    }
}

const hone__depthwise_table *hone__depthwise_table_of(hone__tier tier)
{
    pthread_once(&once, build);
    return &tables[hone__tier_slot(tier)];
}

/* Bit i to bit 4 i. */
static uint64_t spread(uint64_t x)
{
    x = (x | x << 24) & 0x000000ff000000ffu;
    x = (x | x << 12) & 0x000f000f000f000fu;
    x = (x | x << 6) & 0x0303030303030303u;
    return (x | x << 3) & 0x1111111111111111u;
}

static void set_quads(hone__depthwise_shape *s, ptrdiff_t pixels)
{
    size_t width = s->kernel[1];
    for (size_t k = 0; k < 3; k++)
        for (size_t v = 0; v < s->flat; v++) {
            ptrdiff_t at = (ptrdiff_t)(v * 16) + s->reach[k * width], first = at < 0 ? -at : 0, last = pixels - at;
            if (last > 64) last = 64;
            s->reads[k][v] = first < last ? ~(uint64_t)0 >> (64 - (last - first)) << first : 0;
            s->quads[k][v] = 0;
            for (size_t t = 0; t < width; t++) s->quads[k][v] |= spread(s->exist[k * width + t][v]) << t;
        }
}

enum { NARROW = 8, FLAT_WIDTH = 24 };

/* Wide rows gain nothing from being one line: their vectors are full anyway. */
int hone__depthwise_prepare_flat(hone__depthwise_shape *s)
{
    uint16_t above[HONE__DEPTHWISE_MAX_WIDTH][HONE__DEPTHWISE_FLAT];
    uint16_t beside[HONE__DEPTHWISE_MAX_WIDTH][HONE__DEPTHWISE_FLAT];
    size_t width = s->in[1], height = s->in[0], pixels = width * height, vectors = (pixels + 15) / 16;
    size_t kh = s->kernel[0], kw = s->kernel[1];
    s->flat = 0;
    s->rows3 = kh == 3 && kw <= 4 && s->stride[0] == s->stride[1] && s->stride[0] <= 2 && s->dilation[0] == 1 &&
               (kw == 1 || s->dilation[1] == 1);
    if (s->stride[0] != 1 || s->stride[1] != 1 || s->out[0] != height || s->out[1] != width ||
        width > (s->rows3 ? NARROW : FLAT_WIDTH) ||
        vectors > (s->rows3 ? HONE__DEPTHWISE_NARROW : HONE__DEPTHWISE_FLAT) || kh > HONE__DEPTHWISE_MAX_WIDTH ||
        kh * kw > HONE__DEPTHWISE_FLAT_TAPS)
        return 1;
    for (size_t k = 0; k < kh; k++) memset(above[k], 0, vectors * sizeof **above);
    for (size_t k = 0; k < kw; k++) memset(beside[k], 0, vectors * sizeof **beside);
    s->flat = vectors;
    for (size_t i = 0, y = 0, x = 0; i < pixels; i++) {
        uint16_t bit = (uint16_t)(1u << i % 16);
        for (size_t k = 0; k < kh; k++)
            if (y + k * s->dilation[0] - s->pad[0] < height) above[k][i / 16] |= bit;
        for (size_t k = 0; k < kw; k++)
            if (x + k * s->dilation[1] - s->pad[1] < width) beside[k][i / 16] |= bit;
        if (++x == width) x = 0, y++;
    }
    for (size_t t = 0; t < kh * kw; t++) {
        ptrdiff_t down = (ptrdiff_t)(t / kw * s->dilation[0]) - (ptrdiff_t)s->pad[0];
        s->reach[t] = down * (ptrdiff_t)width + (ptrdiff_t)(t % kw * s->dilation[1]) - (ptrdiff_t)s->pad[1];
        for (size_t v = 0; v < vectors; v++) s->exist[t][v] = above[t / kw][v] & beside[t % kw][v];
    }
    if (s->rows3) set_quads(s, (ptrdiff_t)pixels);
    return 1;
}

int hone__depthwise_fits(const hone__depthwise_table *t, const hone__conv_plan *p, hone__depthwise_shape *out)
{
    for (int d = 0; d < 2; d++) {
        out->in[d] = p->in[d + 1], out->out[d] = p->out[d + 1], out->kernel[d] = p->kernel[d + 1];
        out->stride[d] = p->stride[d + 1], out->dilation[d] = p->dilation[d + 1], out->pad[d] = p->pad[d + 1];
    }
    return p->group_in == 1 && p->group_out <= 4 && p->stride[2] <= t->max_stride && p->in[0] == 1 && p->out[0] == 1 &&
           p->kernel[0] == 1 && p->pad[0] == 0 && p->kernel[2] <= HONE__DEPTHWISE_MAX_WIDTH &&
           p->taps <= HONE__DEPTHWISE_MAX_TAPS && t->prepare(out);
}

size_t hone__depthwise_grain(const hone__conv_plan *p)
{
    enum { ENOUGH = 65536 /* multiply-adds: a microsecond or two */ };
    size_t pieces = p->out_c * p->out_size * p->taps / ENOUGH;
    return pieces > 1 ? (p->out_c + pieces - 1) / pieces : p->out_c;
}
