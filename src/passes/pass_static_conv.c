/* pass_static_conv.c: QDQ around convolutions, additions and max pools becomes nodes on integers: hone:StaticConv,
 * hone:StaticAdd, MaxPool on uint8. The float values in between are never made. */
#include "match.h"
#include "ops/epilogue_attrs.h"
#include "ops/eval.h"
#include "passes.h"

/* DequantizeLinear with one scale and zero point for the whole tensor of bytes. */
static const hone__node *whole_tensor(const hone__value *v)
{
    const hone__node *dq = v ? v->producer : NULL;
    if (!dq || !hone__node_is(dq, "DequantizeLinear") || !hone__input(dq, 2)) return NULL;
    const hone__tensor *s = hone__constant_input(dq, 1), *z = hone__constant_input(dq, 2);
    bool bytes = dq->inputs[0]->dtype == HONE_U8 || dq->inputs[0]->dtype == HONE_I8;
    return s && z && s->count == 1 && z->count == 1 && s->dtype == HONE_F32 && bytes ? dq : NULL;
}

static const hone__node *weight_rows(const hone__value *v)
{
    const hone__node *dq = v ? v->producer : NULL;
    if (!dq || !hone__node_is(dq, "DequantizeLinear")) return NULL;
    const hone__tensor *w = hone__constant_input(dq, 0), *s = hone__constant_input(dq, 1),
                       *z = hone__constant_input(dq, 2);
    if (!w || !s || w->dtype != HONE_I8 || s->dtype != HONE_F32 || hone__node_int(dq, "block_size", 0)) return NULL;
    if (hone__input(dq, 2) && !z) return NULL;
    for (size_t i = 0; z && i < z->count; i++)
        if (hone__element_i64(z->dtype, z->data, i)) return NULL;
    return s->count == 1 || (s->rank == 1 && s->dims[0] == w->dims[0] && hone__node_int(dq, "axis", 1) == 0) ? dq
                                                                                                             : NULL;
}

/* The QuantizeLinear that alone reads v, perhaps behind an activation. */
static hone__node *quantized_by(const hone__value *v, hone__epilogue *ep)
{
    *ep = (hone__epilogue){0};
    if (!hone__value_single_use(v) || v->uses[0].node->graph != v->graph) return NULL;
    hone__node *n = v->uses[0].node;
    if (hone__act_of(n, ep)) {
        v = n->outputs[0];
        if (!hone__value_single_use(v) || v->uses[0].node->graph != v->graph) return NULL;
        n = v->uses[0].node;
    }
    const hone__tensor *s = hone__constant_input(n, 1), *z = hone__constant_input(n, 2);
    return hone__node_is(n, "QuantizeLinear") && s && z && s->count == 1 && z->count == 1 && s->dtype == HONE_F32 &&
                   (z->dtype == HONE_U8 || z->dtype == HONE_I8)
               ? n
               : NULL;
}

static hone_status set_act(hone__node *n, const hone__epilogue *ep)
{
    HONE__TRY(hone__node_set_int(n, HONE__EPILOGUE_ACT, ep->act));
    HONE__TRY(hone__node_set_float(n, HONE__EPILOGUE_A, ep->a));
    return hone__node_set_float(n, HONE__EPILOGUE_B, ep->b);
}

static hone_status fuse_conv(hone__node *conv, int *changed)
{
    const hone__node *x = whole_tensor(conv->inputs[0]), *w = weight_rows(conv->inputs[1]);
    hone__epilogue ep;
    hone__node *q = x && w ? quantized_by(conv->outputs[0], &ep) : NULL;
    hone__value *bias;
    bool ok;
    if (!q) return HONE_OK;
    HONE__TRY(hone__float_constant(conv, 2, &bias, &ok));
    if (!ok) return HONE_OK;
    hone__value *ins[9] = {x->inputs[0], x->inputs[1], x->inputs[2], w->inputs[0], w->inputs[1],
                           NULL,         q->inputs[1], q->inputs[2], bias};
    hone__node *n = hone__node_new(conv->graph, q, "hone", "StaticConv", conv->name, ins, bias ? 9 : 8, 1);
    if (!n) return HONE_E_MEMORY;
    for (int i = 0; i < conv->attr_count; i++) HONE__TRY(hone__node_set_attr(n, &conv->attrs[i]));
    HONE__TRY(set_act(n, &ep));
    n->outputs[0]->dtype = q->inputs[2]->constant->dtype;
    n->outputs[0]->shape = q->outputs[0]->shape;
    ++*changed;
    return hone__value_replace_uses(q->outputs[0], n->outputs[0]);
}

static hone_status fuse_add(hone__node *add, int *changed)
{
    const hone__node *a = whole_tensor(add->inputs[0]), *b = whole_tensor(add->inputs[1]);
    hone__epilogue ep;
    hone__node *q = a && b ? quantized_by(add->outputs[0], &ep) : NULL;
    if (!q) return HONE_OK;
    const hone__shape *sa = &add->inputs[0]->shape, *sb = &add->inputs[1]->shape;
    if (sa->rank < 0 || sa->rank != sb->rank) return HONE_OK;
    for (int i = 0; i < sa->rank; i++)
        if (sa->dims[i] != sb->dims[i] || sa->dims[i] == -1) return HONE_OK;
    hone__value *ins[8] = {a->inputs[0], a->inputs[1], a->inputs[2], b->inputs[0],
                           b->inputs[1], b->inputs[2], q->inputs[1], q->inputs[2]};
    hone__node *n = hone__node_new(add->graph, q, "hone", "StaticAdd", add->name, ins, 8, 1);
    if (!n) return HONE_E_MEMORY;
    HONE__TRY(set_act(n, &ep));
    n->outputs[0]->dtype = q->inputs[2]->constant->dtype;
    n->outputs[0]->shape = q->outputs[0]->shape;
    ++*changed;
    return hone__value_replace_uses(q->outputs[0], n->outputs[0]);
}

static bool same_constant(const hone__value *a, const hone__value *b)
{
    const hone__tensor *x = a->constant, *y = b->constant;
    return x && y && x->dtype == y->dtype && x->bytes == y->bytes && !memcmp(x->data, y->data, x->bytes);
}

/* The largest of the codes is the code of the largest, where scale and zero point stay. */
static hone_status fuse_pool(hone__node *pool, int *changed)
{
    const hone__node *x = whole_tensor(pool->inputs[0]);
    hone__epilogue ep;
    hone__node *q = x && pool->output_count == 1 ? quantized_by(pool->outputs[0], &ep) : NULL;
    if (!q || ep.act != HONE__ACT_NONE || !same_constant(x->inputs[1], q->inputs[1]) ||
        !same_constant(x->inputs[2], q->inputs[2]))
        return HONE_OK;
    hone__value *y = pool->outputs[0];
    HONE__TRY(hone__node_set_input(pool, 0, x->inputs[0]));
    HONE__TRY(hone__value_replace_uses(q->outputs[0], y));
    y->dtype = x->inputs[0]->dtype;
    hone__node_remove(q);
    ++*changed;
    return HONE_OK;
}

hone_status hone__pass_static_conv(hone__graph *g, int *changed)
{
    for (hone__node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (hone__node_is(n, "Conv"))
            HONE__TRY(fuse_conv(n, changed));
        else if (hone__node_is(n, "Add"))
            HONE__TRY(fuse_add(n, changed));
        else if (hone__node_is(n, "MaxPool")) {
            HONE__TRY(fuse_pool(n, changed));
            next = n->next;
        }
    }
    return HONE_OK;
}
