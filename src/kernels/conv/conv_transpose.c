/* conv_transpose.c: transposed convolution, gathered per output element. */
#include "kernels/conv/conv.h"

struct job {
    const hone__conv_shape *s;
    size_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
    size_t in_size, out_size, taps, group_in, group_out;
    const float *x, *w;
    const hone__epilogue *ep;
    float *y;
};

/* Input position that reaches output o through tap t, or SIZE_MAX. */
static size_t source(const struct job *c, size_t o, size_t t)
{
    size_t at = 0;
    size_t op[3] = {o / c->out[2] / c->out[1], o / c->out[2] % c->out[1], o % c->out[2]};
    size_t tp[3] = {t / c->kernel[2] / c->kernel[1], t / c->kernel[2] % c->kernel[1], t % c->kernel[2]};
    for (int d = 0; d < 3; d++) {
        size_t up = op[d] + c->pad[d], down = tp[d] * c->dilation[d];
        if (up < down || (up - down) % c->stride[d] || (up - down) / c->stride[d] >= c->in[d]) return SIZE_MAX;
        at = at * c->in[d] + (up - down) / c->stride[d];
    }
    return at;
}

static void planes(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        size_t n = p / j->s->out_c, oc = p % j->s->out_c, group = oc / j->group_out;
        float *y = j->y + p * j->out_size;
        for (size_t o = 0; o < j->out_size; o++) {
            float sum = 0;
            for (size_t t = 0; t < j->taps; t++) {
                size_t at = source(j, o, t);
                if (at == SIZE_MAX) continue;
                for (size_t ic = group * j->group_in; ic < (group + 1) * j->group_in; ic++)
                    sum += j->x[(n * j->s->in_c + ic) * j->in_size + at] *
                           j->w[(ic * j->group_out + oc % j->group_out) * j->taps + t];
            }
            y[o] = sum;
        }
        const hone__epilogue *ep = j->ep;
        if (ep)
            hone__epilogue_row(ep, ep->bias ? ep->bias + oc : NULL, ep->slope ? ep->slope + oc : NULL, 0,
                               ep->residual ? ep->residual + p * j->out_size : NULL, y, j->out_size);
    }
}

size_t hone__conv_transpose_f32_scratch(const hone__conv_shape *s, int threads)
{
    (void)s, (void)threads;
    return 0;
}

void hone__conv_transpose_f32(const hone__conv_shape *s, const float *x, const float *w, const hone__epilogue *ep,
                              float *y, void *scratch, hone__pool *pool)
{
    struct job j = {s, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0}, 0, 0, 0, 0, 0, x, w, ep, y};
    (void)scratch;
    for (int d = 0; d < s->rank; d++) {
        int to = d + 3 - s->rank;
        j.in[to] = s->in[d], j.out[to] = s->out[d], j.kernel[to] = s->kernel[d];
        j.stride[to] = s->stride[d], j.dilation[to] = s->dilation[d], j.pad[to] = s->pad[d];
    }
    j.in_size = j.in[0] * j.in[1] * j.in[2];
    j.out_size = j.out[0] * j.out[1] * j.out[2];
    j.taps = j.kernel[0] * j.kernel[1] * j.kernel[2];
    j.group_in = s->in_c / s->groups;
    j.group_out = s->out_c / s->groups;
    hone__pool_run_stoppable(pool, s->batch * s->out_c, 1, planes, &j);
}
