/* sequence.h: inputs of operators that take sequences. A sequence's type says nothing of its elements' shapes here:
 * what a file declares need not hold. */
#ifndef HONE_OPS_SEQUENCE_H
#define HONE_OPS_SEQUENCE_H

#include "infer.h"
#include "tensor/list.h"

static inline hone_status hone__infer_sequence(const hone__infer *x, int i)
{
    if (x->in[i].wrap == HONE__OF_SEQUENCE) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "input %d is not a sequence", i);
}

static inline hone_status hone__infer_tensor(const hone__infer *x, int i)
{
    if (!hone__has_input(x, i) || !x->in[i].wrap) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "input %d is not a tensor", i);
}

/* What infer could not see: the kind of this run's value. */
static inline hone_status hone__run_kind(const hone__run *r, int i, hone_kind kind)
{
    if (r->in[i]->kind == kind) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "input %d is not a %s", i, kind == HONE_KIND_SEQUENCE ? "sequence" : "tensor");
}

static inline hone__type hone__sequence_type(hone_dtype dtype)
{
    return (hone__type){.dtype = dtype, .shape.rank = -1, .wrap = HONE__OF_SEQUENCE};
}

#endif
