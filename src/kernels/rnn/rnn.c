/* rnn.c: pointwise steps of LSTM and GRU. */
#include "kernels/rnn/rnn.h"

#include <string.h>

#include "kernels/vec/vec.h"

static void act(const hone__gate_act *g, float *x, size_t n)
{
    hone__epilogue ep = {.act = g->act, .a = g->a, .b = g->b};
    hone__act_apply(&ep, 0, x, n);
}

static void clip(float limit, float *x, size_t n)
{
    if (limit > 0) hone__vec_unary(HONE__CLIP, x, x, n, -limit, limit);
}

/* x += p * c */
static void add_product(float *x, const float *p, const float *c, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] += p[i] * c[i];
}

static void lstm_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const hone__lstm_cell *s = ctx;
    size_t n = s->hidden;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        float *i = s->gates + r * s->gates_rs, *o = i + n, *f = o + n, *g = f + n;
        const float *c0 = s->c_prev + r * n;
        float *c = s->c + r * n, *h = s->h + r * n;
        if (s->peephole) {
            add_product(i, s->peephole, c0, n);
            add_product(f, s->peephole + 2 * n, c0, n);
        }
        clip(s->clip, i, n);
        clip(s->clip, f, n);
        clip(s->clip, g, n);
        act(&s->f, i, n);
        act(&s->f, f, n);
        act(&s->g, g, n);
        for (size_t k = 0; k < n; k++) {
            float keep = s->input_forget ? 1 - i[k] : f[k];
            c[k] = keep * c0[k] + i[k] * g[k];
        }
        if (s->peephole) add_product(o, s->peephole + n, c, n);
        clip(s->clip, o, n);
        act(&s->f, o, n);
        memcpy(h, c, n * sizeof *h);
        act(&s->hh, h, n);
        for (size_t k = 0; k < n; k++) h[k] *= o[k];
    }
}

static size_t grain(size_t hidden) { return hidden >= 4096 ? 1 : 4096 / (hidden + 1) + 1; }

void hone__lstm_cell_f32(const hone__lstm_cell *c, hone__pool *pool)
{
    hone__pool_run(pool, c->batch, grain(c->hidden), lstm_rows, (void *)c);
}

/* x = act(x + y) for one gate */
static void gate(const hone__gru_cell *s, const hone__gate_act *g, float *x, const float *y, size_t n)
{
    for (size_t k = 0; k < n; k++) x[k] += y[k];
    clip(s->clip, x, n);
    act(g, x, n);
}

static void reset_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const hone__gru_cell *s = ctx;
    size_t n = s->hidden;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        float *z = s->xw + r * s->xw_rs, *reset = z + n;
        const float *hz = s->hr + r * s->hr_rs, *h0 = s->h_prev + r * n;
        gate(s, &s->f, z, hz, n);
        gate(s, &s->f, reset, hz + n, n);
        for (size_t k = 0; k < n; k++) s->rh[r * n + k] = reset[k] * h0[k];
    }
}

static void gru_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const hone__gru_cell *s = ctx;
    size_t n = s->hidden;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        float *z = s->xw + r * s->xw_rs, *reset = z + n, *c = reset + n, *h = s->h + r * n;
        const float *hr = s->hr + r * s->hr_rs, *h0 = s->h_prev + r * n;
        if (s->linear_before_reset) {
            gate(s, &s->f, z, hr, n);
            gate(s, &s->f, reset, hr + n, n);
            for (size_t k = 0; k < n; k++) c[k] += reset[k] * hr[2 * n + k];
        } else {
            for (size_t k = 0; k < n; k++) c[k] += hr[k];
        }
        clip(s->clip, c, n);
        act(&s->g, c, n);
        for (size_t k = 0; k < n; k++) h[k] = (1 - z[k]) * c[k] + z[k] * h0[k];
    }
}

void hone__gru_reset_f32(const hone__gru_cell *c, hone__pool *pool)
{
    hone__pool_run(pool, c->batch, grain(c->hidden), reset_rows, (void *)c);
}

void hone__gru_cell_f32(const hone__gru_cell *c, hone__pool *pool)
{
    hone__pool_run(pool, c->batch, grain(c->hidden), gru_rows, (void *)c);
}
