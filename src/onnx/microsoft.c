/* microsoft.c: operators of com.microsoft that are a standard one under another name, or a few of them, are read as
 * those: one meaning, one kernel. */
#include <string.h>

#include "graph/builder.h"
#include "read.h"

typedef hone_status (*rewrite)(hone__builder *b, hone__node *n);

/* hone__emit of a node before `n`. */
static hone__value *before(hone__builder *b, hone__node *n, const char *op, hone__value *const *in, int ins,
                           const hone__attr *attrs, int attr_count)
{
    hone__value *v = hone__emit(b, op, "", in, ins, attrs, attr_count);
    if (v && v->producer) hone__node_move(v->producer, n);
    return v;
}

static hone__value *input(const hone__node *n, int i) { return i < n->input_count ? n->inputs[i] : NULL; }

static hone_status become(hone__builder *b, hone__node *n, hone__value *y)
{
    HONE__TRY(b->status);
    if (!y) return hone__fail(HONE_E_SHAPE, "an input is missing");
    for (int i = 1; i < n->output_count; i++)
        if (n->outputs[i] && !hone__value_unused(n->outputs[i]))
            return hone__fail(HONE_E_SHAPE, "has %d outputs", n->output_count);
    y->producer->name = n->name;
    HONE__TRY(hone__value_replace_uses(n->outputs[0], y));
    hone__node_remove(n);
    return HONE_OK;
}

static hone_status rename_to(hone__builder *b, hone__node *n, const char *op)
{
    char *name = hone__arena_strndup(&b->graph->model->arena, op, strlen(op));
    if (!name) return hone__out_of_memory(strlen(op));
    n->op = name;
    n->domain = "";
    return HONE_OK;
}

static hone_status same(hone__builder *b, hone__node *n) { return rename_to(b, n, n->op); }
static hone_status identity(hone__builder *b, hone__node *n) { return rename_to(b, n, "Identity"); }

/* Pads may lie in one row of a matrix. */
static hone_status pad(hone__builder *b, hone__node *n)
{
    hone__value *pads =
        before(b, n, "Reshape", HONE__INS(input(n, 1), hone__emit_i64(b, "", (int64_t[]){-1}, 1)), HONE__NO_ATTRS);
    hone__value *value = input(n, 2), *scalar = hone__emit_i64(b, "", NULL, 0);
    HONE__TRY(b->status);
    HONE__TRY(hone__node_set_input(n, 1, pads));
    if (value) {
        value = before(b, n, "Reshape", HONE__INS(value, scalar), HONE__NO_ATTRS);
        HONE__TRY(b->status);
        HONE__TRY(hone__node_set_input(n, 2, value));
    }
    return same(b, n);
}

/* A step of 1 where none is given. */
static hone_status range(hone__builder *b, hone__node *n)
{
    if (!input(n, 2)) {
        hone__value *one = before(b, n, "CastLike", HONE__INS(hone__emit_scalar(b, 1), input(n, 0)), HONE__NO_ATTRS);
        HONE__TRY(b->status);
        HONE__TRY(hone__node_set_input(n, 2, one));
    }
    return same(b, n);
}

static hone_status expand_dims(hone__builder *b, hone__node *n)
{
    hone__value *wide = before(b, n, "Cast", HONE__INS(input(n, 1)), HONE__ATTRS(hone__a_int("to", HONE_I64)));
    hone__value *axes =
        before(b, n, "Reshape", HONE__INS(wide, hone__emit_i64(b, "", (int64_t[]){1}, 1)), HONE__NO_ATTRS);
    HONE__TRY(b->status);
    HONE__TRY(hone__node_set_input(n, 1, axes));
    return rename_to(b, n, "Unsqueeze");
}

/* Indices are there as int64 only. */
static hone_status gather_nd(hone__builder *b, hone__node *n)
{
    hone__value *wide = before(b, n, "Cast", HONE__INS(input(n, 1)), HONE__ATTRS(hone__a_int("to", HONE_I64)));
    HONE__TRY(b->status);
    HONE__TRY(hone__node_set_input(n, 1, wide));
    return same(b, n);
}

/* Values in the order in which they come, without the places where they come first. */
static hone_status unique(hone__builder *b, hone__node *n)
{
    hone__value *out[4] = {NULL};
    if (n->output_count > 3) return hone__fail(HONE_E_SHAPE, "has %d outputs", n->output_count);
    hone__emit_multi(b, "Unique", n->name, n->inputs, n->input_count, HONE__ATTRS(hone__a_int("sorted", 0)), out, 4);
    HONE__TRY(b->status);
    if (!out[0]) return hone__fail(HONE_E_SHAPE, "an input is missing");
    hone__node_move(out[0]->producer, n);
    for (int i = 0; i < n->output_count; i++)
        if (n->outputs[i]) HONE__TRY(hone__value_replace_uses(n->outputs[i], out[i ? i + 1 : 0]));
    hone__node_remove(n);
    return HONE_OK;
}

static hone_status matmul_integer_16(hone__builder *b, hone__node *n)
{
    hone_dtype to = n->inputs[0] && n->inputs[0]->dtype == HONE_U16 ? HONE_U32 : HONE_I32;
    hone__value *x = before(b, n, "Cast", HONE__INS(input(n, 0)), HONE__ATTRS(hone__a_int("to", to))),
                *y = before(b, n, "Cast", HONE__INS(input(n, 1)), HONE__ATTRS(hone__a_int("to", to)));
    return become(b, n, before(b, n, "MatMul", HONE__INS(x, y), HONE__NO_ATTRS));
}

/* condition, x, its scale and zero point, y likewise, scale and zero point of the result */
static hone_status qlinear_where(hone__builder *b, hone__node *n)
{
    if (n->input_count != 9) return hone__fail(HONE_E_SHAPE, "has %d inputs, expected 9", n->input_count);
    hone__value *x = before(b, n, "DequantizeLinear", n->inputs + 1, 3, HONE__NO_ATTRS),
                *y = before(b, n, "DequantizeLinear", n->inputs + 4, 3, HONE__NO_ATTRS),
                *z = before(b, n, "Where", HONE__INS(n->inputs[0], x, y), HONE__NO_ATTRS);
    return become(b, n, before(b, n, "QuantizeLinear", HONE__INS(z, n->inputs[7], n->inputs[8]), HONE__NO_ATTRS));
}

/* What activation_alpha and its like are without a value. */
static const struct {
    const char *name, *second;
    int params;
    float alpha, beta;
} activations[] = {
    {"Relu", "", 0, 0, 0},
    {"Tanh", "", 0, 0, 0},
    {"Sigmoid", "", 0, 0, 0},
    {"Softplus", "", 0, 0, 0},
    {"Softsign", "", 0, 0, 0},
    {"LeakyRelu", "", 1, 0.01f, 0},
    {"Elu", "", 1, 1, 0},
    {"ThresholdedRelu", "", 1, 1, 0},
    {"Selu", "gamma", 2, 1.67326319f, 1.05070102f},
    {"HardSigmoid", "beta", 2, 0.2f, 0.5f},
};

static hone__value *activate(hone__builder *b, hone__node *n, const char *act, hone__value *x)
{
    float alpha = hone__node_float(n, "activation_alpha", 1), beta = hone__node_float(n, "activation_beta", 1);
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        if (strcmp(activations[i].name, act)) continue;
        const char *second = activations[i].second, *key = *second == 'g' ? "activation_gamma" : "activation_beta";
        hone__attr attrs[] = {hone__a_float("alpha", hone__node_float(n, "activation_alpha", activations[i].alpha)),
                              hone__a_float(second, hone__node_float(n, key, activations[i].beta))};
        return before(b, n, act, HONE__INS(x), attrs, activations[i].params);
    }
    if (strcmp(act, "ScaledTanh") && strcmp(act, "ParametricSoftplus")) {
        hone__builder_fail(b, hone__fail(HONE_E_UNSUPPORTED, "activation '%.40s'", act));
        return NULL;
    }
    hone__value *inner = before(b, n, "Mul", HONE__INS(x, hone__emit_scalar(b, beta)), HONE__NO_ATTRS),
                *bent = before(b, n, *act == 'S' ? "Tanh" : "Softplus", HONE__INS(inner), HONE__NO_ATTRS);
    return before(b, n, "Mul", HONE__INS(bent, hone__emit_scalar(b, alpha)), HONE__NO_ATTRS);
}

static hone_status fused_gemm(hone__builder *b, hone__node *n)
{
    const char *act = hone__node_string(n, "activation", "");
    hone__value *y = before(b, n, "Gemm", n->inputs, n->input_count,
                            HONE__ATTRS(hone__a_int("transA", hone__node_int(n, "transA", 0)),
                                        hone__a_int("transB", hone__node_int(n, "transB", 0)),
                                        hone__a_float("alpha", hone__node_float(n, "alpha", 1)),
                                        hone__a_float("beta", hone__node_float(n, "beta", 1))));
    return become(b, n, *act ? activate(b, n, act, y) : y);
}

/* Moves the channels from behind the other axes to the second place, or back. */
static hone__value *move_channels(hone__builder *b, hone__node *n, hone__value *x, int64_t rank, bool back)
{
    int64_t order[HONE_MAX_RANK] = {0};
    for (int64_t i = 1; i < rank; i++) order[i] = back ? (i == rank - 1 ? 1 : i + 1) : (i == 1 ? rank - 1 : i - 1);
    return before(b, n, "Transpose", HONE__INS(x), HONE__ATTRS(hone__a_ints("perm", order, (size_t)rank)));
}

/* The node itself as `op` of the standard domain, between two moves of the channels. */
static hone_status between_moves(hone__builder *b, hone__node *n, int64_t rank)
{
    hone__value *y;
    if (rank < 3 || rank > HONE_MAX_RANK)
        return hone__fail(HONE_E_UNSUPPORTED, "channels in the last place, and a rank that is not known");
    hone__value *x = move_channels(b, n, n->inputs[0], rank, false);
    HONE__TRY(b->status);
    y = before(b, n, n->op, n->inputs, n->input_count, n->attrs, n->attr_count);
    HONE__TRY(b->status);
    if (!y) return hone__fail(HONE_E_SHAPE, "an input is missing");
    HONE__TRY(hone__node_set_input(y->producer, 0, x));
    hone__node_drop_attr(y->producer, "channels_last");
    return become(b, n, move_channels(b, n, y, rank, true));
}

static int64_t spatial_rank(const hone__node *n)
{
    size_t count = 0;
    const hone__value *x = n->inputs[0];
    if (hone__node_ints(n, "kernel_shape", &count)) return (int64_t)count + 2;
    return x ? x->shape.rank : -1;
}

static hone_status nhwc_max_pool(hone__builder *b, hone__node *n)
{
    HONE__TRY(rename_to(b, n, "MaxPool"));
    return between_moves(b, n, spatial_rank(n));
}

static hone_status qlinear_conv(hone__builder *b, hone__node *n)
{
    HONE__TRY(same(b, n));
    if (hone__node_int(n, "channels_last", 0)) return between_moves(b, n, spatial_rank(n));
    hone__node_drop_attr(n, "channels_last");
    return HONE_OK;
}

/* Pads as an input only take away: a ConvTranspose without, and what is left between them. */
static hone_status conv_transpose(hone__builder *b, hone__node *n)
{
    hone__value *pads = input(n, 2), *ins[] = {input(n, 0), input(n, 1), input(n, 3)};
    int64_t space = spatial_rank(n) - 2, axes[HONE_MAX_RANK];
    if (space < 1 || space + 2 > HONE_MAX_RANK) return hone__fail(HONE_E_UNSUPPORTED, "a rank that is not known");
    if (strcmp(hone__node_string(n, "auto_pad", "NOTSET"), "NOTSET") || hone__node_attr(n, "output_shape"))
        return hone__fail(HONE_E_UNSUPPORTED, "auto_pad or output_shape");
    for (int64_t i = 0; i < space; i++) axes[i] = i + 2;
    hone__value *y = before(b, n, "ConvTranspose", ins, 3, n->attrs, n->attr_count);
    if (!pads) return become(b, n, y);
    hone__value *zero = hone__emit_i64(b, "", (int64_t[]){0}, 1), *half = hone__emit_i64(b, "", &space, 1),
                *all = hone__emit_i64(b, "", (int64_t[]){2 * space}, 1),
                *two = hone__emit_i64(b, "", (int64_t[]){2}, 1),
                *most = hone__emit_i64(b, "", (int64_t[]){2 + space}, 1);
    hone__value *first = before(b, n, "Slice", HONE__INS(pads, zero, half), HONE__NO_ATTRS),
                *last = before(b, n, "Slice", HONE__INS(pads, half, all), HONE__NO_ATTRS),
                *shape = before(b, n, "Shape", HONE__INS(y), HONE__NO_ATTRS),
                *sizes = before(b, n, "Slice", HONE__INS(shape, two, most), HONE__NO_ATTRS),
                *end = before(b, n, "Sub", HONE__INS(sizes, last), HONE__NO_ATTRS);
    hone__value *on = hone__emit_i64(b, "", axes, (size_t)space);
    return become(b, n, before(b, n, "Slice", HONE__INS(y, first, end, on), HONE__NO_ATTRS));
}

static const struct {
    const char *op;
    rewrite how;
} rows[] = {
    {"ConvTransposeWithDynamicPads", conv_transpose},
    {"ExpandDims", expand_dims},
    {"FusedGemm", fused_gemm},
    {"GatherND", gather_nd},
    {"GridSample", same},
    {"MatMulInteger16", matmul_integer_16},
    {"NhwcMaxPool", nhwc_max_pool},
    {"Pad", pad},
    {"QLinearConv", qlinear_conv},
    {"QLinearWhere", qlinear_where},
    {"Range", range},
    {"SampleOp", identity},
    {"Trilu", same},
    {"Unique", unique},
};

hone_status hone__onnx_microsoft(hone__builder *b, hone__node *n)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(n->op, rows[i].op)) return rows[i].how(b, n);
    return HONE_OK;
}
