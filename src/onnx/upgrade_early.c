/* upgrade_early.c: what changed up to opset 7: broadcasting said by attributes, shapes and types as attributes. Lifts a
 * node to the meaning of opset 7; upgrade.c goes on from there. */
#include <string.h>

#include "graph/builder.h"
#include "read.h"

static bool is_one_of(const char *op, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(op, *list)) return true;
    return false;
}

/* Input 1 with `count` axes of size 1 behind its own. */
static hone_status add_axes(hone__builder *b, hone__node *n, int rank, int count)
{
    int64_t axes[HONE_MAX_RANK];
    if (count < 0 || rank + count > HONE_MAX_RANK)
        return hone__fail(HONE_E_SHAPE, "attributes broadcast and axis do not fit");
    if (!count) return HONE_OK;
    for (int i = 0; i < count; i++) axes[i] = rank + i;
    hone__value *v = hone__emit(b, "Unsqueeze", "", HONE__INS(n->inputs[1], hone__emit_i64(b, "", axes, (size_t)count)),
                                HONE__NO_ATTRS);
    HONE__TRY(b->status);
    hone__node_move(v->producer, n);
    return hone__node_set_input(n, 1, v);
}

/* broadcast = 1 with an axis: B's axes stand at A's from `axis` on. */
static hone_status binary(hone__builder *b, hone__node *n)
{
    const hone__attr *axis = hone__node_attr(n, "axis");
    bool wanted = hone__node_int(n, "broadcast", 0) != 0 && axis;
    int64_t at = axis ? axis->i : 0;
    hone__node_drop_attr(n, "broadcast");
    hone__node_drop_attr(n, "axis");
    if (!wanted || n->input_count != 2 || !n->inputs[0] || !n->inputs[1]) return HONE_OK;
    int ra = n->inputs[0]->shape.rank, rb = n->inputs[1]->shape.rank;
    if (ra < 0 || rb < 0) return hone__fail(HONE_E_UNSUPPORTED, "broadcasting at an axis of inputs of unknown rank");
    if (at < -ra || at > ra) return hone__fail(HONE_E_SHAPE, "attribute axis is %lld", (long long)at);
    if (at < 0) at += ra;
    return add_axes(b, n, rb, ra - (int)at - rb);
}

/* A slope per channel stood at axis 1. */
static hone_status prelu(hone__builder *b, hone__node *n)
{
    if (n->input_count != 2 || !n->inputs[0] || !n->inputs[1]) return HONE_OK;
    int ra = n->inputs[0]->shape.rank;
    const hone__shape *s = &n->inputs[1]->shape;
    if (s->rank != 1 || s->dims[0] == 1) return HONE_OK;
    if (ra < 0) return hone__fail(HONE_E_UNSUPPORTED, "slopes per channel of an input of unknown rank");
    return ra < 2 ? HONE_OK : add_axes(b, n, 1, ra - 2);
}

static hone_status reshape(hone__builder *b, hone__node *n)
{
    size_t count;
    const int64_t *v = hone__node_ints(n, "shape", &count);
    if (!v) return HONE_OK;
    hone__value *c = hone__emit_i64(b, "", v, count);
    HONE__TRY(b->status);
    hone__node_drop_attr(n, "shape");
    return hone__node_set_input(n, 1, c);
}

/* Types were names: "FLOAT". */
static hone_status cast(hone__node *n)
{
    static const char *const names[] = {"",       "FLOAT",  "UINT8",     "INT8",      "UINT16",  "INT16",
                                        "INT32",  "INT64",  "STRING",    "BOOL",      "FLOAT16", "DOUBLE",
                                        "UINT32", "UINT64", "COMPLEX64", "COMPLEX128"};
    const char *to = hone__node_string(n, "to", "");
    for (int64_t i = 1; i < 16; i++)
        if (!strcmp(to, names[i])) return hone__node_set_int(n, "to", i);
    return hone__fail(HONE_E_SHAPE, "attribute 'to' is '%.40s'", to);
}

static hone_status pad(hone__node *n)
{
    size_t count;
    const int64_t *v = hone__node_ints(n, "paddings", &count);
    if (!v) return HONE_OK;
    HONE__TRY(hone__node_set_ints(n, "pads", v, count));
    hone__node_drop_attr(n, "paddings");
    return HONE_OK;
}

hone_status hone__onnx_upgrade_early(hone__builder *b, hone__node *n, int64_t version)
{
    static const char *const binaries[] = {"Add", "Sub", "Mul",   "Div",     "Pow",  "And",
                                           "Or",  "Xor", "Equal", "Greater", "Less", NULL};
    hone__node_drop_attr(n, "consumed_inputs");
    if (is_one_of(n->op, binaries)) return binary(b, n);
    if (!strcmp(n->op, "Gemm"))
        hone__node_drop_attr(n, "broadcast");
    else if (!strcmp(n->op, "BatchNormalization") || !strcmp(n->op, "Dropout"))
        hone__node_drop_attr(n, "is_test");
    else if (!strcmp(n->op, "PRelu"))
        return prelu(b, n);
    else if (!strcmp(n->op, "Reshape") && version < 5)
        return reshape(b, n);
    else if (!strcmp(n->op, "Cast") && version < 6)
        return cast(n);
    else if (!strcmp(n->op, "Pad") && version < 2)
        return pad(n);
    else if (!strcmp(n->op, "Concat") && version < 4)
        return hone__node_set_int(n, "axis", hone__node_int(n, "axis", 1));
    else if (!strcmp(n->op, "Tile") && version < 6)
        return hone__fail(HONE_E_UNSUPPORTED, "Tile of opset %lld", (long long)version);
    return HONE_OK;
}
