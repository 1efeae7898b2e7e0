/* conv.c: plain convolutions. */
#include "kernels/conv/conv.h"

#include <math.h>

/* A convolution with exactly three spatial axes. */
typedef struct conv {
    size_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
    size_t in_size, out_size, taps, group_in, group_out;
} conv;

static conv conv_of(const hone__conv_shape *s)
{
    conv c = {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, 0, 0, 0, 0, 0};
    for (int d = 0; d < s->rank; d++) {
        int to = d + 3 - s->rank;
        c.in[to] = s->in[d], c.out[to] = s->out[d], c.kernel[to] = s->kernel[d];
        c.stride[to] = s->stride[d], c.dilation[to] = s->dilation[d], c.pad[to] = s->pad[d];
    }
    c.in_size = c.in[0] * c.in[1] * c.in[2];
    c.out_size = c.out[0] * c.out[1] * c.out[2];
    c.taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
    c.group_in = s->in_c / s->groups;
    c.group_out = s->out_c / s->groups;
    return c;
}

/* Input position that output o reads with tap t (flat indices), or SIZE_MAX for padding. */
static size_t source(const conv *c, size_t o, size_t t)
{
    size_t at = 0;
    size_t op[3] = {o / c->out[2] / c->out[1], o / c->out[2] % c->out[1], o % c->out[2]};
    size_t tp[3] = {t / c->kernel[2] / c->kernel[1], t / c->kernel[2] % c->kernel[1], t % c->kernel[2]};
    for (int d = 0; d < 3; d++) {
        size_t i = op[d] * c->stride[d] + tp[d] * c->dilation[d] - c->pad[d];
        if (i >= c->in[d]) return SIZE_MAX;
        at = at * c->in[d] + i;
    }
    return at;
}

struct job {
    const hone__conv_shape *s;
    conv c;
    const float *x, *w;
    const hone__epilogue *ep;
    float *y;
    const hone__conv_i8_args *q;
};

static void finish(const struct job *j, size_t plane, size_t channel, size_t o, float *v)
{
    const hone__epilogue *ep = j->ep;
    if (!ep) return;
    hone__epilogue_row(ep, ep->bias ? ep->bias + channel : NULL, ep->slope ? ep->slope + channel : NULL, 0,
                       ep->residual ? ep->residual + plane * j->c.out_size + o : NULL, v, 1);
}

static void f32_planes(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const conv *c = &j->c;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        size_t n = p / j->s->out_c, oc = p % j->s->out_c, first = oc / c->group_out * c->group_in;
        for (size_t o = 0; o < c->out_size; o++) {
            float sum = 0;
            for (size_t ic = 0; ic < c->group_in; ic++)
                for (size_t t = 0; t < c->taps; t++) {
                    size_t at = source(c, o, t);
                    if (at == SIZE_MAX) continue;
                    sum += j->x[(n * j->s->in_c + first + ic) * c->in_size + at] *
                           j->w[(oc * c->group_in + ic) * c->taps + t];
                }
            finish(j, p, oc, o, &sum);
            j->y[p * c->out_size + o] = sum;
        }
    }
}

size_t hone__conv_f32_scratch(const hone__conv_shape *s, int threads)
{
    (void)s, (void)threads;
    return 0;
}

void hone__conv_f32(const hone__conv_shape *s, const float *x, const float *w, const hone__epilogue *ep, float *y,
                    void *scratch, hone__pool *pool)
{
    struct job j = {s, conv_of(s), x, w, ep, y, NULL};
    (void)scratch;
    hone__pool_run(pool, s->batch * s->out_c, 1, f32_planes, &j);
}

static int32_t at_i8(const void *p, int is_signed, size_t i)
{
    return is_signed ? ((const int8_t *)p)[i] : ((const uint8_t *)p)[i];
}

static void store_q(const hone__conv_i8_args *q, size_t i, float v)
{
    float lo = q->y_signed ? -128 : 0, hi = q->y_signed ? 127 : 255, zp = (float)q->y_zp;
    v = isnan(v) ? zp : rintf(v * q->y_scale_inv) + zp;
    int r = (int)(v < lo ? lo : v > hi ? hi : v);
    ((uint8_t *)q->y_q)[i] = (uint8_t)r;
}

static void i8_planes(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    const conv *c = &j->c;
    const hone__conv_i8_args *q = j->q;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        size_t n = p / j->s->out_c, oc = p % j->s->out_c, first = oc / c->group_out * c->group_in;
        int32_t wz = q->w_zp ? q->w_zp[q->w_zp_count > 1 ? oc : 0] : 0;
        for (size_t o = 0; o < c->out_size; o++) {
            uint32_t sum = 0;
            for (size_t ic = 0; ic < c->group_in; ic++)
                for (size_t t = 0; t < c->taps; t++) {
                    size_t at = source(c, o, t);
                    if (at == SIZE_MAX) continue;
                    int32_t xv = at_i8(q->x, q->x_signed, (n * j->s->in_c + first + ic) * c->in_size + at) - q->x_zp;
                    int32_t wv = at_i8(q->w, q->w_signed, (oc * c->group_in + ic) * c->taps + t) - wz;
                    sum += (uint32_t)xv * (uint32_t)wv;
                }
            if (q->y_i32) {
                q->y_i32[p * c->out_size + o] = (int32_t)sum;
                continue;
            }
            float v = (float)(int32_t)sum;
            if (q->scale) v *= q->scale[q->scale_count > 1 ? oc : 0];
            finish(j, p, oc, o, &v);
            if (q->y_f32)
                q->y_f32[p * c->out_size + o] = v;
            else
                store_q(q, p * c->out_size + o, v);
        }
    }
}

size_t hone__conv_i8_scratch(const hone__conv_shape *s, int threads)
{
    (void)s, (void)threads;
    return 0;
}

void hone__conv_i8(const hone__conv_shape *s, const hone__conv_i8_args *args, void *scratch, hone__pool *pool)
{
    struct job j = {s, conv_of(s), NULL, NULL, &args->ep, NULL, args};
    (void)scratch;
    hone__pool_run(pool, s->batch * s->out_c, 1, i8_planes, &j);
}
