/* op_optional.c: Optional, OptionalHasElement, OptionalGetElement. An optional that holds something is that thing. */
#include "sequence.h"

static hone_status infer_optional(hone__infer *x)
{
    const hone__attr *a = hone__node_attr(x->node, "type");
    HONE__TRY(hone__infer_arity(x, 0, 1));
    if (hone__has_input(x, 0))
        x->out[0] = x->in[0];
    else if (a && a->kind == HONE__ATTR_TYPE)
        x->out[0] = *a->type;
    else
        return hone__fail(HONE_E_SHAPE, "neither an input nor attribute type");
    if (x->out[0].wrap & HONE__OF_OPTIONAL) return hone__fail(HONE_E_SHAPE, "an optional inside an optional");
    x->out[0].wrap |= HONE__OF_OPTIONAL;
    return HONE_OK;
}

static hone_status run_optional(hone__run *r)
{
    if (r->input_count && r->in[0]) return hone__run_output_copy(r, 0, r->in[0]);
    return hone__run_output_none(r, 0, hone__node_attr(r->node, "type")->type->dtype);
}
const hone__op hone__op_optional = {"",   "Optional",   infer_optional,
                                    NULL, run_optional, HONE__OP_VALUES | HONE__OP_LATE};

static hone_status infer_has(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 0, 1));
    hone__infer_set(x, 0, HONE_BOOL, 0, NULL);
    return HONE_OK;
}

static hone_status run_has(hone__run *r)
{
    *(uint8_t *)hone__out_data(r, 0) = r->input_count && r->in[0] && r->in[0]->kind != HONE_KIND_NONE;
    return HONE_OK;
}
const hone__op hone__op_optional_has_element = {"", "OptionalHasElement", infer_has, NULL, run_has, HONE__OP_VALUES};

static hone_status infer_get(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 1, 1));
    x->out[0] = x->in[0];
    if (x->in[0].wrap) x->out[0].shape.rank = -1; /* what is declared need not hold */
    x->out[0].wrap &= ~(unsigned)HONE__OF_OPTIONAL;
    return HONE_OK;
}

static hone_status run_get(hone__run *r)
{
    if (r->in[0]->kind == HONE_KIND_NONE) return hone__fail(HONE_E_ARGUMENT, "the optional is empty");
    return hone__run_output_copy(r, 0, r->in[0]);
}
const hone__op hone__op_optional_get_element = {"",      "OptionalGetElement",           infer_get, NULL,
                                                run_get, HONE__OP_VALUES | HONE__OP_LATE};
