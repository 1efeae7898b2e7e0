/* pass_dynamic_conv.c: DynamicQuantizeLinear -> ConvInteger -> Cast -> Mul by the product of scales becomes one
 * hone:DynamicConv with the same integers inside. */
#include "match.h"
#include "passes.h"

/* Mul(x_scale, w_scale): the constant one */
static hone__value *weight_scale(const hone__node *mul, const hone__value *x_scale)
{
    if (!mul || !hone__node_is(mul, "Mul") || (mul->inputs[0] != x_scale && mul->inputs[1] != x_scale)) return NULL;
    hone__value *w = hone__other_input(mul, x_scale);
    return w->constant && w->constant->dtype == HONE_F32 ? w : NULL;
}

static hone_status fuse(hone__node *conv, int *changed)
{
    hone__value *xq = conv->inputs[0];
    hone__node *q = xq ? xq->producer : NULL;
    const hone__tensor *w = hone__constant_input(conv, 1);
    if (!q || !hone__node_is(q, "DynamicQuantizeLinear") || !w || q->output_count < 3 || !q->outputs[2] ||
        hone__input(conv, 2) != q->outputs[2])
        return HONE_OK;
    if (hone__input(conv, 3) || (w->dtype != HONE_I8 && w->dtype != HONE_U8)) return HONE_OK;
    hone__node *cast = hone__only_reader(conv->outputs[0], "Cast");
    hone__node *mul = cast ? hone__only_reader(cast->outputs[0], "Mul") : NULL;
    if (!mul || hone__node_int(cast, "to", 0) != HONE_F32) return HONE_OK;
    hone__value *scales = hone__other_input(mul, cast->outputs[0]);
    hone__value *ws = weight_scale(scales->producer, q->outputs[1]);
    if (!ws || !hone__per_channel(ws->constant, conv->outputs[0]->shape.rank, w->dims[0])) return HONE_OK;
    hone__node *n = hone__node_new(conv->graph, mul, "hone", "DynamicConv", conv->name,
                                   (hone__value *[]){q->inputs[0], conv->inputs[1], ws}, 3, 1);
    if (!n) return HONE_E_MEMORY;
    for (int i = 0; i < conv->attr_count; i++) HONE__TRY(hone__node_set_attr(n, &conv->attrs[i]));
    HONE__TRY(hone__value_replace_uses(mul->outputs[0], n->outputs[0]));
    ++*changed;
    return HONE_OK; /* what is left over is swept */
}

hone_status hone__pass_dynamic_conv(hone__graph *g, int *changed)
{
    for (hone__node *n = g->first; n; n = n->next)
        if (hone__node_is(n, "ConvInteger")) HONE__TRY(fuse(n, changed));
    return HONE_OK;
}
