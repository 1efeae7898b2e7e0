/* layer_conv_lstm.c: ConvLSTM in one to three dimensions: convolutions in the body of a Scan. */
#include <string.h>

#include "keras_rnn.h"

typedef struct conv_cell {
    klayer *l;
    int nd;
    int64_t filters, kernel[3], stride[3], dilation[3], pads[6], same[6], ones[3], out[3];
    hone__value *wx, *wh, *bias;
} conv_cell;

static hone__value *conv(kctx *c, const conv_cell *e, hone__value *x, hone__value *w, hone__value *b, bool input)
{
    size_t n = (size_t)e->nd;
    return hone__emit(&c->b, "Conv", "conv", HONE__INS(x, w, b),
                      HONE__ATTRS(hone__a_ints("kernel_shape", e->kernel, n),
                                  hone__a_ints("strides", input ? e->stride : e->ones, n),
                                  hone__a_ints("dilations", input ? e->dilation : e->ones, n),
                                  hone__a_ints("pads", input ? e->pads : e->same, n * 2)));
}

static hone__value *activate(kctx *c, const conv_cell *e, const char *key, hone__value *v)
{
    int64_t dims[5] = {-1};
    for (int i = 0; i < e->nd; i++) dims[i + 1] = e->out[i];
    dims[e->nd + 1] = e->filters;
    kt *t = hone__kt_new(c, K_MOVED, v, HONE_F32, e->nd + 2, dims);
    return hone__kt_moved(c, hone__k_activation(c, e->l, hone__kcfg(e->l, key), t));
}

static hone__value *step(kctx *c, void *ctx, hone__value *x, hone__value *const *s, hone__value **next)
{
    const conv_cell *e = ctx;
    hone__value *g[4],
        *z = hone__k2(c, "Add", conv(c, e, x, e->wx, e->bias, true), conv(c, e, s[0], e->wh, NULL, false));
    hone__emit_multi(&c->b, "Split", "gates", HONE__INS(z),
                     HONE__ATTRS(hone__a_int("axis", 1), hone__a_int("num_outputs", 4)), g, 4);
    hone__value *in = activate(c, e, "recurrent_activation", g[0]),
                *forget = activate(c, e, "recurrent_activation", g[1]);
    next[1] = hone__k2(c, "Add", hone__k2(c, "Mul", forget, s[1]),
                       hone__k2(c, "Mul", in, activate(c, e, "activation", g[2])));
    return next[0] =
               hone__k2(c, "Mul", activate(c, e, "recurrent_activation", g[3]), activate(c, e, "activation", next[1]));
}

/* Keras [spatial..., in, 4 filters] -> [4 filters, in, spatial...] */
static hone__value *kernel(kctx *c, klayer *l, const conv_cell *e, int index, const char *name, int64_t in)
{
    kweight w;
    int64_t dims[5], to[5], perm[5];
    int nd = e->nd;
    for (int i = 0; i < nd; i++) dims[i] = to[i + 2] = e->kernel[i], perm[i + 2] = i;
    dims[nd] = to[1] = in, dims[nd + 1] = to[0] = e->filters * 4, perm[0] = nd + 1, perm[1] = nd;
    if (!hone__kw_take(c, l, "cell", index, name, nd + 2, dims, &w)) return NULL;
    return hone__kw_permuted(c, l, &w, name, nd + 2, dims, perm, nd + 2, to);
}

static bool read_cell(kctx *c, klayer *l, const kt *t, bool first, conv_cell *e)
{
    int nd = e->nd;
    bool automatic = false;
    const char *padding = hone__kcfg_text(l, "padding", "valid");
    e->filters = hone__kcfg_int(c, l, "filters", 0, 1, 1 << 24);
    hone__kcfg_ints(c, l, "kernel_size", nd, 1, 1, 1 << 16, e->kernel);
    hone__kcfg_ints(c, l, "strides", nd, 1, 1, 1 << 16, e->stride);
    hone__kcfg_ints(c, l, "dilation_rate", nd, 1, 1, 1 << 16, e->dilation);
    for (int i = 0; i < nd && c->b.status == HONE_OK; i++) {
        hone__k_window(c, padding, t->dims[i + (first ? 3 : 2)], (e->kernel[i] - 1) * e->dilation[i] + 1, e->stride[i],
                       &e->pads[i], &e->pads[i + nd], &e->out[i], &automatic);
        e->ones[i] = 1, e->same[i] = (e->kernel[i] - 1) / 2, e->same[i + nd] = e->kernel[i] / 2;
        if (e->out[i] < 0) hone__k_refuse(c, "spatial dimensions that are not known");
    }
    int64_t in = t->dims[first ? 2 : nd + 2], wide = e->filters * 4;
    if (in < 1) hone__k_shape_error(c, "the number of channels is not known");
    e->wx = kernel(c, l, e, 0, "kernel", in);
    e->wh = kernel(c, l, e, 1, "recurrent_kernel", e->filters);
    kweight b;
    if (hone__kcfg_bool(l, "use_bias", true) && hone__kw_take(c, l, "cell", 2, "bias", 1, &wide, &b))
        e->bias = hone__kw_emit(c, l, &b);
    return c->b.status == HONE_OK;
}

hone_status hone__klayer_conv_lstm(kctx *c, klayer *l, kcall *call)
{
    kt *t = hone__kt_cast(c, call->in[0], HONE_F32);
    conv_cell e = {.l = l, .nd = l->kind->variant};
    krun run;
    int nd = e.nd;
    bool first = hone__kcfg_first(c, l);
    hone__krun_read(c, l, call, &run);
    if (!t || t->rank != nd + 3)
        return hone__k_shape_error(c, "input of shape %s, expected %d dimensions", t ? hone__k_dims(c, t) : "?",
                                   nd + 3);
    if (run.initial) return hone__k_refuse(c, "given initial states");
    if (!read_cell(c, l, t, first, &e)) return c->b.status;
    int64_t perm[6] = {0, 1, nd + 2}, back[6] = {0, 1}, state[5] = {0, e.filters}, seq[6] = {t->dims[0], t->dims[1]},
            last[5] = {t->dims[0]};
    hone__value *x = hone__kt_plain(c, t);
    for (int i = 0; i < nd; i++) perm[i + 3] = i + 2, back[i + 2] = i + 3, state[i + 2] = e.out[i];
    back[nd + 2] = 2;
    kt *turned = hone__kt_new(c, K_PLAIN, first ? x : hone__k_transpose(c, x, nd + 3, perm), HONE_F32, nd + 3, t->dims);
    hone__value *parts[2] = {hone__k_shape_of(c, x, 0, 1), hone__k_ints(c, state + 1, (size_t)nd + 1)};
    hone__value *zero = hone__k2(c, "Expand", hone__k_scalar(c, 0, HONE_F32), hone__k_concat(c, parts, 2, 0)),
                *states[2] = {zero, zero}, *y, *final[2];
    if (!turned || !hone__krun_scan(c, step, &e, turned, states, 2, nd + 2, run.mask ? zero : NULL, &run, &y, final))
        return c->b.status;
    for (int i = 0; i < nd; i++) seq[i + (first ? 3 : 2)] = last[i + (first ? 2 : 1)] = e.out[i];
    seq[first ? 2 : nd + 2] = last[first ? 1 : nd + 1] = e.filters;
    int form = first ? K_PLAIN : K_MOVED;
    if (run.sequences)
        call->out[0] =
            hone__kt_new(c, K_PLAIN, first ? y : hone__k_transpose(c, y, nd + 3, back), HONE_F32, nd + 3, seq);
    else
        call->out[0] = hone__kt_new(c, form, y, HONE_F32, nd + 2, last);
    call->out_count = 1;
    for (int i = 0; run.state && i < 2; i++)
        call->out[call->out_count++] = hone__kt_new(c, form, final[i], HONE_F32, nd + 2, last);
    if (run.mask && run.sequences && call->out[0]) call->out[0]->mask = run.mask;
    return c->b.status;
}
