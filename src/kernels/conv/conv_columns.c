/* conv_columns.c: see conv_columns.h. */
#include "kernels/conv/conv_columns.h"

#include "kernels/gemm/gemm_parts.h"

enum { ROWS = 4 /* of weights per dot product call */, ENOUGH = 1 << 15 /* multiply-adds in a piece */ };

typedef struct job {
    const hone__conv_plan *p;
    const hone__gemm_table *parts;
    const float *x, *w;
    const hone__epilogue *ep;
    float *y, *columns; /* [groups, pixels, k] */
    size_t blocks;      /* of ROWS output channels in a group */
} job;

size_t hone__conv_columns_scratch(const hone__conv_plan *p) { return p->groups * p->out_size * p->k * sizeof(float); }

/* The inputs of output pixel `at` in one channel, zeros outside. */
static void take(const hone__conv_plan *p, const float *x, const size_t *at, float *to)
{
    hone__conv_span s = hone__conv_span_of(p, at[2]);
    for (size_t z = 0; z < p->kernel[0]; z++)
        for (size_t y = 0; y < p->kernel[1]; y++, to += p->kernel[2]) {
            size_t row = hone__conv_row_of(p, at, z, y), first = row == SIZE_MAX ? p->kernel[2] : s.first, t = 0;
            for (; t < first; t++) to[t] = 0;
            for (; t < s.last; t++) to[t] = x[row + s.start + t * p->dilation[2]];
            for (; t < p->kernel[2]; t++) to[t] = 0;
        }
}

/* Items: input channels of all groups. */
static void fill(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    const hone__conv_plan *p = j->p;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t group = i / p->group_in, channel = i % p->group_in, at[3], pixel = 0;
        for (at[0] = 0; at[0] < p->out[0]; at[0]++)
            for (at[1] = 0; at[1] < p->out[1]; at[1]++)
                for (at[2] = 0; at[2] < p->out[2]; at[2]++, pixel++)
                    take(p, j->x + i * p->in_size, at,
                         j->columns + (group * p->out_size + pixel) * p->k + channel * p->taps);
    }
}

/* Items: blocks of output channels of all groups. */
static void rows(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    const hone__conv_plan *p = j->p;
    const hone__epilogue *ep = j->ep;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t group = i / j->blocks, first = i % j->blocks * ROWS, oc = group * p->group_out + first;
        size_t n = p->group_out - first < ROWS ? p->group_out - first : ROWS;
        const float *columns = j->columns + group * p->out_size * p->k;
        for (size_t pixel = 0; pixel < p->out_size; pixel++) {
            float v[ROWS];
            j->parts->dot_f32(columns + pixel * p->k, j->w + oc * p->k, p->k, p->k, n, v);
            for (size_t r = 0; r < n; r++) {
                size_t to = (oc + r) * p->out_size + pixel;
                if (ep->bias) v[r] += ep->bias[oc + r];
                if (ep->residual) v[r] += ep->residual[to]; /* which may be y itself */
                j->y[to] = v[r];
            }
        }
        for (size_t r = 0; r < n; r++)
            hone__act_apply(ep, ep->slope ? ep->slope[oc + r] : 0, j->y + (oc + r) * p->out_size, p->out_size);
    }
}

void hone__conv_columns(const hone__conv_plan *p, const float *x, const float *w, const hone__epilogue *ep, float *y,
                        void *scratch, hone__pool *pool)
{
    hone__epilogue e = *ep;
    job j = {.p = p, .parts = hone__gemm_parts(), .w = w, .ep = &e, .columns = scratch};
    j.blocks = (p->group_out + ROWS - 1) / ROWS;
    size_t copies = ENOUGH / (p->out_size * p->taps) + 1, grain = ENOUGH / (p->out_size * p->k * ROWS) + 1;
    for (size_t n = 0; n < p->batch; n++) {
        j.x = x + n * p->in_c * p->in_size;
        j.y = y + n * p->out_c * p->out_size;
        if (ep->residual) e.residual = ep->residual + n * p->out_c * p->out_size;
        hone__pool_run(pool, p->in_c, copies, fill, &j);
        hone__pool_run(pool, p->groups * j.blocks, grain, rows, &j);
    }
}
