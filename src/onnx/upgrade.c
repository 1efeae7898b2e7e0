/* upgrade.c: old opsets lifted to the newest meaning, node by node, so that operators know one meaning only. Each row
 * says which operator changed, in which opset, and how (ONNX's changelog of operators). */
#include <string.h>

#include "graph/builder.h"
#include "read.h"

typedef hone_status (*lift)(hone__builder *b, hone__node *n);

/* Constants and nodes go before `n`: the builder appends, so they are moved there. */
static hone_status put_before(hone__node *n, hone__value *v)
{
    if (v && v->producer) hone__node_move(v->producer, n);
    return HONE_OK;
}

static hone_status ints_to_input(hone__builder *b, hone__node *n, const char *attr, int input)
{
    size_t count;
    const int64_t *v = hone__node_ints(n, attr, &count);
    if (!v) return HONE_OK;
    hone__value *c = hone__emit_i64(b, "", v, count);
    HONE__TRY(b->status);
    hone__node_drop_attr(n, attr);
    return hone__node_set_input(n, input, c);
}

static hone_status axes_to_1(hone__builder *b, hone__node *n) { return ints_to_input(b, n, "axes", 1); }
static hone_status split_to_1(hone__builder *b, hone__node *n) { return ints_to_input(b, n, "split", 1); }

static hone_status slice_to_inputs(hone__builder *b, hone__node *n)
{
    HONE__TRY(ints_to_input(b, n, "starts", 1));
    HONE__TRY(ints_to_input(b, n, "ends", 2));
    return ints_to_input(b, n, "axes", 3);
}

/* A scalar attribute as input, in the element type of input 0 (float where that is unknown). */
static hone_status float_to_input(hone__builder *b, hone__node *n, const char *attr, int input)
{
    const hone__attr *a = hone__node_attr(n, attr);
    if (!a) return HONE_OK;
    hone__value *c = hone__emit_scalar(b, a->f), *x = n->inputs[0];
    HONE__TRY(b->status);
    hone__node_drop_attr(n, attr);
    if (x && x->dtype && x->dtype != HONE_F32) {
        c = hone__emit(b, "Cast", "", HONE__INS(c), HONE__ATTRS(hone__a_int("to", x->dtype)));
        HONE__TRY(b->status);
        put_before(n, c);
    }
    return hone__node_set_input(n, input, c);
}

static hone_status clip_to_inputs(hone__builder *b, hone__node *n)
{
    HONE__TRY(float_to_input(b, n, "min", 1));
    return float_to_input(b, n, "max", 2);
}

static hone_status pad_to_inputs(hone__builder *b, hone__node *n)
{
    HONE__TRY(ints_to_input(b, n, "pads", 1));
    return float_to_input(b, n, "value", 2);
}

static hone_status topk_to_input(hone__builder *b, hone__node *n)
{
    int64_t k = hone__node_int(n, "k", 0);
    hone__value *c = hone__emit_i64(b, "", &k, 1);
    HONE__TRY(b->status);
    hone__node_drop_attr(n, "k");
    return hone__node_set_input(n, 1, c);
}

static hone_status dropout(hone__builder *b, hone__node *n)
{
    (void)b;
    hone__node_drop_attr(n, "ratio");
    return HONE_OK;
}

/* Softmax before opset 13 worked on the input flattened to 2-D at `axis` (default 1). */
static hone_status softmax(hone__builder *b, hone__node *n)
{
    int64_t axis = hone__node_int(n, "axis", 1);
    hone__value *x = n->inputs[0];
    if (axis == -1 || (x && x->shape.rank > 0 && axis == x->shape.rank - 1)) return hone__node_set_int(n, "axis", -1);
    hone__value *shape = hone__emit(b, "Shape", "", HONE__INS(x), HONE__NO_ATTRS);
    hone__value *flat = hone__emit(b, "Flatten", "", HONE__INS(x), HONE__ATTRS(hone__a_int("axis", axis)));
    hone__value *soft = hone__emit(b, n->op, n->name, HONE__INS(flat), HONE__ATTRS(hone__a_int("axis", -1)));
    hone__value *back = hone__emit(b, "Reshape", "", HONE__INS(soft, shape), HONE__NO_ATTRS);
    HONE__TRY(b->status);
    put_before(n, shape);
    put_before(n, flat);
    put_before(n, soft);
    put_before(n, back);
    HONE__TRY(hone__value_replace_uses(n->outputs[0], back));
    hone__node_remove(n);
    return HONE_OK;
}

/* Upsample (7, 9) and Resize 10: inputs x, scales; nearest rounds down, coordinates are asymmetric. */
static hone_status upsample(hone__builder *b, hone__node *n)
{
    const hone__attr *a = hone__node_attr(n, "scales");
    hone__value *scales = n->input_count > 1 ? n->inputs[1] : NULL;
    if (a && a->kind == HONE__ATTR_FLOATS) scales = hone__emit_f32(b, "", a->floats, 1, &(int64_t){(int64_t)a->count});
    const char *mode = hone__node_string(n, "mode", "nearest");
    if (!strcmp(mode, "bilinear") || !strcmp(mode, "trilinear")) mode = "linear";
    hone__value *y = hone__emit(b, "Resize", n->name, HONE__INS(n->inputs[0], NULL, scales),
                                HONE__ATTRS(hone__a_string("mode", mode),
                                            hone__a_string("coordinate_transformation_mode", "asymmetric"),
                                            hone__a_string("nearest_mode", "floor")));
    HONE__TRY(b->status);
    put_before(n, y);
    HONE__TRY(hone__value_replace_uses(n->outputs[0], y));
    hone__node_remove(n);
    return HONE_OK;
}

static hone_status dft_axis(hone__builder *b, hone__node *n)
{
    int64_t axis = hone__node_int(n, "axis", 1);
    hone__value *c = hone__emit_scalar_i64(b, axis);
    HONE__TRY(b->status);
    hone__node_drop_attr(n, "axis");
    return hone__node_set_input(n, 2, c);
}

/* Renames Scatter (9, 10), which became ScatterElements. */
static hone_status scatter(hone__builder *b, hone__node *n)
{
    const char *name = hone__arena_strndup(&b->graph->model->arena, "ScatterElements", 15);
    if (!name) return hone__out_of_memory(15);
    n->op = name;
    return HONE_OK;
}

static hone_status batch_norm(hone__builder *b, hone__node *n)
{
    (void)b;
    if (!hone__node_int(n, "spatial", 1)) return hone__fail(HONE_E_UNSUPPORTED, "BatchNormalization with spatial = 0");
    hone__node_drop_attr(n, "spatial");
    for (int i = 1; i < n->output_count; i++)
        if (n->outputs[i] && !hone__value_unused(n->outputs[i]))
            return hone__fail(HONE_E_UNSUPPORTED, "BatchNormalization's training outputs");
    n->output_count = 1;
    return HONE_OK;
}

/* GroupNormalization 18 scaled per group; since 21 per channel: unknown channel counts are left to the run. */
static hone_status group_norm(hone__builder *b, hone__node *n)
{
    hone__value *x = n->inputs[0];
    int64_t groups = hone__node_int(n, "num_groups", 1), c = x && x->shape.rank > 1 ? x->shape.dims[1] : -1;
    if (c < 0 || groups < 1 || c % groups)
        return hone__fail(HONE_E_UNSUPPORTED, "GroupNormalization of opset 18 with unknown channels");
    for (int i = 1; i < 3 && i < n->input_count; i++) {
        hone__value *col = hone__emit(
            b, "Reshape", "", HONE__INS(n->inputs[i], hone__emit_i64(b, "", (int64_t[]){-1, 1}, 2)), HONE__NO_ATTRS);
        hone__value *wide = hone__emit(
            b, "Expand", "", HONE__INS(col, hone__emit_i64(b, "", (int64_t[]){groups, c / groups}, 2)), HONE__NO_ATTRS);
        hone__value *flat =
            hone__emit(b, "Reshape", "", HONE__INS(wide, hone__emit_i64(b, "", (int64_t[]){-1}, 1)), HONE__NO_ATTRS);
        HONE__TRY(b->status);
        put_before(n, col);
        put_before(n, wide);
        put_before(n, flat);
        HONE__TRY(hone__node_set_input(n, i, flat));
    }
    return HONE_OK;
}

/* ZipMap makes a list of maps from class labels to scores, which are columns: it is lifted to these columns, in the
 * order of its labels. */
static hone_status zip_map(hone__builder *b, hone__node *n)
{
    hone__value *y = hone__emit(b, "Identity", n->name, HONE__INS(n->inputs[0]), HONE__NO_ATTRS);
    HONE__TRY(b->status);
    put_before(n, y);
    HONE__TRY(hone__value_replace_uses(n->outputs[0], y));
    hone__node_remove(n);
    return HONE_OK;
}

/* A node written for an opset below `before` needs `how`. */
static const struct {
    const char *op;
    int64_t before;
    lift how;
} rows[] = {
    {"Scan", 9, hone__onnx_upgrade_scan},
    {"Squeeze", 13, axes_to_1},
    {"Unsqueeze", 13, axes_to_1},
    {"ReduceSum", 13, axes_to_1},
    {"ReduceMean", 18, axes_to_1},
    {"ReduceMax", 18, axes_to_1},
    {"ReduceMin", 18, axes_to_1},
    {"ReduceProd", 18, axes_to_1},
    {"ReduceSumSquare", 18, axes_to_1},
    {"ReduceL1", 18, axes_to_1},
    {"ReduceL2", 18, axes_to_1},
    {"ReduceLogSum", 18, axes_to_1},
    {"ReduceLogSumExp", 18, axes_to_1},
    {"Split", 13, split_to_1},
    {"Slice", 10, slice_to_inputs},
    {"Clip", 11, clip_to_inputs},
    {"Pad", 11, pad_to_inputs},
    {"TopK", 10, topk_to_input},
    {"Dropout", 12, dropout},
    {"Softmax", 13, softmax},
    {"LogSoftmax", 13, softmax},
    {"Hardmax", 13, softmax},
    {"Upsample", 10, upsample},
    {"Resize", 11, upsample},
    {"DFT", 20, dft_axis},
    {"Scatter", 11, scatter},
    {"BatchNormalization", 14, batch_norm},
    {"GroupNormalization", 21, group_norm},
};
enum { ROWS = sizeof rows / sizeof *rows };

static hone_status lift_node(hone__builder *b, hone__node *n, int64_t version)
{
    /* one that reads or makes nothing is judged by its operator */
    if (!n->input_count || !n->output_count || !n->outputs[0]) return HONE_OK;
    if (!strcmp(n->domain, "com.microsoft")) {
        hone_status s = hone__onnx_microsoft(b, n);
        return s == HONE_OK ? s : hone__at(s, "node '%.200s' (%s)", n->name, n->op);
    }
    if (!strcmp(n->domain, "ai.onnx.ml") && !strcmp(n->op, "ZipMap") && n->inputs[0]) return zip_map(b, n);
    if (*n->domain) return HONE_OK;
    if (version < 7) {
        hone_status s = hone__onnx_upgrade_early(b, n, version);
        if (s != HONE_OK) return hone__at(s, "node '%.200s' (%s)", n->name, n->op);
    }
    for (int i = 0; i < ROWS; i++)
        if (version < rows[i].before && !strcmp(n->op, rows[i].op)) {
            hone_status s = rows[i].how(b, n);
            return s == HONE_OK ? s : hone__at(s, "node '%.200s' (%s)", n->name, n->op);
        }
    return HONE_OK;
}

hone_status hone__onnx_upgrade(hone__graph *g, int64_t version)
{
    hone__builder b = {.graph = g};
    for (hone__node *n = g->first, *next; n; n = next) {
        next = n->next;
        for (int i = 0; i < n->attr_count; i++)
            if (n->attrs[i].kind == HONE__ATTR_GRAPH) HONE__TRY(hone__onnx_upgrade(n->attrs[i].g, version));
        hone__node *last = g->last;
        HONE__TRY(lift_node(&b, n, version));
        if (next == NULL && g->last != last) break; /* what was added behind the last node is new already */
    }
    return HONE_OK;
}
