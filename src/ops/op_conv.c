/* op_conv.c: Conv, its fused form of domain hone (bias, residual, activation), ConvTranspose. float32,
 * other floats through it. */
#include <string.h>

#include "conv_shape.h"
#include "epilogue_attrs.h"
#include "widen.h"

/* Inputs: x, w, bias?, residual? (fused form only) */
hone_status hone__conv_infer(hone__infer *x, hone__window *w, bool *known)
{
    const hone__shape *s = &x->in[0].shape, *k = &x->in[1].shape;
    int64_t group = hone__node_int(x->node, "group", 1), kernel[HONE__WINDOW_MAX];
    *known = false;
    if (s->rank < 0 || k->rank < 0) return HONE_OK;
    if (s->rank < 3 || s->rank > 5) return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 3 to 5", s->rank);
    HONE__TRY(hone__infer_rank(x, 1, s->rank));
    if (group < 1) return hone__fail(HONE_E_SHAPE, "group is %lld", (long long)group);
    if (k->dims[0] >= 0 && k->dims[0] % group)
        return hone__fail(HONE_E_SHAPE, "%lld output channels in %lld groups", (long long)k->dims[0], (long long)group);
    if (s->dims[1] >= 0 && k->dims[1] >= 0 && s->dims[1] != k->dims[1] * group)
        return hone__fail(HONE_E_SHAPE, "input has %lld channels, the weights expect %lld", (long long)s->dims[1],
                          (long long)(k->dims[1] * group));
    for (int i = 2; i < k->rank; i++) {
        if (k->dims[i] < 0) return HONE_OK;
        if (k->dims[i] == 0) return hone__fail(HONE_E_SHAPE, "the kernel has size 0 on axis %d", i);
        kernel[i - 2] = k->dims[i];
    }
    size_t count;
    const int64_t *declared = hone__node_ints(x->node, "kernel_shape", &count);
    for (size_t i = 0; declared && i < count; i++)
        if (count != (size_t)s->rank - 2 || declared[i] != kernel[i])
            return hone__fail(HONE_E_SHAPE, "kernel_shape does not fit the weights");
    HONE__TRY(hone__window_read(x->node, s, kernel, w));
    hone__shape *o = &x->out[0].shape;
    *o = *s;
    o->dims[1] = k->dims[0];
    for (int i = 0; i < w->rank; i++) o->dims[i + 2] = w->out[i];
    *known = true;
    return HONE_OK;
}

static hone_status infer_conv(hone__infer *x)
{
    hone__window w;
    bool known;
    HONE__TRY(hone__infer_arity(x, 2, 4));
    for (int i = 1; i < x->input_count; i++) HONE__TRY(hone__infer_equal_types(x, 0, i));
    HONE__TRY(hone__infer_float(x, 0));
    x->out[0].dtype = x->in[0].dtype;
    HONE__TRY(hone__conv_infer(x, &w, &known));
    const hone__shape *b = &x->in[2 < x->input_count ? 2 : 0].shape, *k = &x->in[1].shape;
    if (hone__has_input(x, 2) && k->rank > 0 && b->rank >= 0 &&
        (b->rank != 1 || !hone__dims_agree(b->dims[0], k->dims[0])))
        return hone__fail(HONE_E_SHAPE, "the bias does not have one value per output channel");
    return hone__infer_like_output(x, 3);
}

hone_status hone__conv_shape_make(const hone__node *n, const hone__tensor *x, const hone__tensor *w,
                                  hone__conv_shape *cs)
{
    hone__shape s = {.rank = x->rank};
    hone__window win;
    memcpy(s.dims, x->dims, sizeof s.dims);
    HONE__TRY(hone__window_read(n, &s, w->dims + 2, &win));
    *cs = (hone__conv_shape){.batch = (size_t)x->dims[0],
                             .groups = (size_t)hone__node_int(n, "group", 1),
                             .in_c = (size_t)x->dims[1],
                             .out_c = (size_t)w->dims[0],
                             .rank = win.rank};
    hone__window_copy(&win, x->dims + 2, cs->kernel, cs->stride, cs->dilation, cs->pad, cs->in, cs->out);
    return HONE_OK;
}

typedef struct state {
    hone__conv_shape shape;
    hone__epilogue ep;
} state;

static hone_status prepare_conv(hone__prepare *p)
{
    state *s = hone__arena_zalloc(p->arena, sizeof *s);
    if (!s) return hone__out_of_memory(sizeof *s);
    HONE__TRY(hone__conv_shape_make(p->node, p->in[0], p->in[1], &s->shape));
    s->ep = hone__epilogue_read(p->node);
    p->state = s;
    p->scratch = p->out[0]->count ? hone__conv_f32_scratch(&s->shape, p->threads) : 0;
    return HONE_OK;
}

static hone_status run_conv(hone__run *r)
{
    const state *s = r->state;
    hone__epilogue ep = s->ep;
    if (!r->out[0]->count) return HONE_OK;
    ep.bias = r->input_count > 2 && r->in[2] ? r->in[2]->data : NULL;
    ep.residual = r->input_count > 3 && r->in[3] ? r->in[3]->data : NULL;
    hone__conv_f32(&s->shape, r->in[0]->data, r->in[1]->data, &ep, hone__out_data(r, 0), r->scratch, r->pool);
    return HONE_OK;
}
HONE__WIDENED(conv, prepare_conv, run_conv)
const hone__op hone__op_conv = {"", "Conv", infer_conv, wide_prepare_conv, wide_run_conv, 0};
const hone__op hone__op_hone_conv = {"hone", "Conv", infer_conv, wide_prepare_conv, wide_run_conv, 0};

/* FusedConv of com.microsoft: inputs x, w, bias?, residual?; an activation by name. */
static hone_status read_activation(const hone__node *n, hone__epilogue *ep)
{
    static const struct {
        const char *name;
        hone__act act;
        float a, b;
    } known[] = {{"", HONE__ACT_NONE, 0, 0},
                 {"Relu", HONE__ACT_RELU, 0, 0},
                 {"Tanh", HONE__ACT_TANH, 0, 0},
                 {"Sigmoid", HONE__ACT_SIGMOID, 0, 0},
                 {"LeakyRelu", HONE__ACT_LEAKY, 0.01f, 0},
                 {"Clip", HONE__ACT_CLIP, -3.4028234663852886e38f, 3.4028234663852886e38f},
                 {"HardSigmoid", HONE__ACT_HARD_SIGMOID, 0.2f, 0.5f}};
    const char *name = hone__node_string(n, "activation", "");
    const hone__attr *params = hone__node_attr(n, "activation_params");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name)) continue;
        *ep = (hone__epilogue){.act = known[i].act, .a = known[i].a, .b = known[i].b};
        if (params && params->kind == HONE__ATTR_FLOATS && params->count > 0) ep->a = params->floats[0];
        if (params && params->kind == HONE__ATTR_FLOATS && params->count > 1) ep->b = params->floats[1];
        return HONE_OK;
    }
    return hone__fail(HONE_E_UNSUPPORTED, "activation '%.40s'", name);
}
static hone_status prepare_fused_conv(hone__prepare *p)
{
    HONE__TRY(prepare_conv(p));
    return read_activation(p->node, &((state *)p->state)->ep);
}
HONE__WIDENED(fused_conv, prepare_fused_conv, run_conv)
const hone__op hone__op_ms_fused_conv = {"com.microsoft",         "FusedConv",         infer_conv,
                                         wide_prepare_fused_conv, wide_run_fused_conv, 0};

/* ConvTranspose: output sizes from output_shape, or stride * (in - 1) + output_padding + reach - pads. */
typedef struct transpose_window {
    int rank;
    int64_t kernel[3], stride[3], dilation[3], begin[3], out[3];
} transpose_window;

static int64_t list_at(const int64_t *list, size_t count, int i, int64_t otherwise)
{
    return list && (size_t)i < count ? list[i] : otherwise;
}

static hone_status transpose_axis(const hone__node *n, transpose_window *w, int i, int64_t in)
{
    size_t cp, cq, co;
    const int64_t *pads = hone__node_ints(n, "pads", &cp), *extra = hone__node_ints(n, "output_padding", &cq),
                  *sizes = hone__node_ints(n, "output_shape", &co);
    const char *auto_pad = hone__node_string(n, "auto_pad", "NOTSET");
    int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1, more = list_at(extra, cq, i, 0);
    if (more < 0 || more > INT32_MAX)
        return hone__fail(HONE_E_SHAPE, "output_padding of axis %d is %lld", i + 2, (long long)more);
    int64_t full = (in - 1) * w->stride[i] + reach + more;
    int64_t begin = list_at(pads, cp, i, 0), end = list_at(pads, cp, w->rank + i, 0);
    bool same = !strncmp(auto_pad, "SAME", 4);
    if (begin < 0 || begin > INT32_MAX || end < 0 || end > INT32_MAX || full > INT32_MAX)
        return hone__fail(HONE_E_SHAPE, "axis %d does not fit", i + 2);
    if (sizes || same) {
        int64_t want = sizes ? list_at(sizes, co, (int)co - w->rank + i, -1) : in * w->stride[i];
        if (want < 1 || want > INT32_MAX) return hone__fail(HONE_E_SHAPE, "output size %lld", (long long)want);
        int64_t total = full > want ? full - want : 0;
        begin = !strcmp(auto_pad, "SAME_UPPER") ? total / 2 : total - total / 2;
        w->begin[i] = begin;
        w->out[i] = want;
        return HONE_OK;
    }
    w->begin[i] = begin;
    w->out[i] = full - begin - end;
    return w->out[i] < 0 ? hone__fail(HONE_E_SHAPE, "output size %lld", (long long)w->out[i]) : HONE_OK;
}

static hone_status transpose_read(const hone__node *n, const int64_t *in, const int64_t *kernel, int rank,
                                  transpose_window *w)
{
    size_t cs, cd;
    const int64_t *strides = hone__node_ints(n, "strides", &cs), *dilations = hone__node_ints(n, "dilations", &cd);
    w->rank = rank;
    for (int i = 0; i < rank; i++) {
        w->kernel[i] = kernel[i];
        w->stride[i] = list_at(strides, cs, i, 1);
        w->dilation[i] = list_at(dilations, cd, i, 1);
        if (kernel[i] < 1 || kernel[i] > INT32_MAX || w->stride[i] < 1 || w->stride[i] > 1 << 20 ||
            w->dilation[i] < 1 || w->dilation[i] > 1 << 20 || in[i] > INT32_MAX)
            return hone__fail(HONE_E_SHAPE, "stride, dilation or kernel of axis %d makes no sense", i + 2);
        w->out[i] = -1;
        if (in[i] >= 0) HONE__TRY(transpose_axis(n, w, i, in[i]));
    }
    return HONE_OK;
}

static hone_status infer_conv_transpose(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 3));
    HONE__TRY(hone__infer_float(x, 0));
    const hone__shape *s = &x->in[0].shape, *k = &x->in[1].shape;
    int64_t group = hone__node_int(x->node, "group", 1);
    x->out[0].dtype = x->in[0].dtype;
    if (s->rank < 0 || k->rank < 0) return HONE_OK;
    if (s->rank < 3 || s->rank > 5) return hone__fail(HONE_E_SHAPE, "input 0 has rank %d, expected 3 to 5", s->rank);
    HONE__TRY(hone__infer_rank(x, 1, s->rank));
    if (group < 1 || (s->dims[1] >= 0 && s->dims[1] % group) || !hone__dims_agree(s->dims[1], k->dims[0]))
        return hone__fail(HONE_E_SHAPE, "channels of input, weights and group do not fit");
    for (int i = 2; i < k->rank; i++)
        if (k->dims[i] < 0) return HONE_OK;
    transpose_window w;
    HONE__TRY(transpose_read(x->node, s->dims + 2, k->dims + 2, s->rank - 2, &w));
    x->out[0].shape = *s;
    HONE__TRY(hone__dim_mul(k->dims[1], group, &x->out[0].shape.dims[1]));
    for (int i = 0; i < w.rank; i++) x->out[0].shape.dims[i + 2] = w.out[i];
    return HONE_OK;
}

static hone_status prepare_conv_transpose(hone__prepare *p)
{
    const hone__tensor *x = p->in[0], *k = p->in[1];
    state *s = hone__arena_zalloc(p->arena, sizeof *s);
    transpose_window w;
    if (!s) return hone__out_of_memory(sizeof *s);
    HONE__TRY(transpose_read(p->node, x->dims + 2, k->dims + 2, x->rank - 2, &w));
    hone__conv_shape *c = &s->shape;
    *c = (hone__conv_shape){.batch = (size_t)x->dims[0],
                            .groups = (size_t)hone__node_int(p->node, "group", 1),
                            .in_c = (size_t)x->dims[1],
                            .out_c = (size_t)p->out[0]->dims[1],
                            .rank = w.rank};
    for (int i = 0; i < w.rank; i++) {
        c->kernel[i] = (size_t)w.kernel[i];
        c->stride[i] = (size_t)w.stride[i];
        c->dilation[i] = (size_t)w.dilation[i];
        c->pad[i] = (size_t)w.begin[i];
        c->in[i] = (size_t)x->dims[i + 2];
        c->out[i] = (size_t)w.out[i];
    }
    p->state = s;
    p->scratch = p->out[0]->count ? hone__conv_transpose_f32_scratch(c, p->threads) : 0;
    return HONE_OK;
}

static hone_status run_conv_transpose(hone__run *r)
{
    const state *s = r->state;
    hone__epilogue ep = {.bias = r->input_count > 2 && r->in[2] ? r->in[2]->data : NULL};
    if (r->out[0]->count)
        hone__conv_transpose_f32(&s->shape, r->in[0]->data, r->in[1]->data, &ep, hone__out_data(r, 0), r->scratch,
                                 r->pool);
    return HONE_OK;
}
HONE__WIDENED(conv_transpose, prepare_conv_transpose, run_conv_transpose)
const hone__op hone__op_conv_transpose = {
    "", "ConvTranspose", infer_conv_transpose, wide_prepare_conv_transpose, wide_run_conv_transpose, 0};
