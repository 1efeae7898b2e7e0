/* match.h: small questions that passes ask about nodes and constants. */
#ifndef HONE_PASSES_MATCH_H
#define HONE_PASSES_MATCH_H

#include <string.h>

#include "graph/graph.h"
#include "kernels/epilogue.h"
#include "ops/op.h"

/* The only node that reads v, when v is no graph output and that node is `op` of ai.onnx; NULL otherwise. */
static inline hone__node *hone__only_reader(const hone__value *v, const char *op)
{
    if (!hone__value_single_use(v)) return NULL;
    hone__node *n = v->uses[0].node;
    return n->graph == v->graph && hone__node_is(n, op) ? n : NULL;
}

static inline bool hone__node_is_of(const hone__node *n, const char *domain, const char *op)
{
    return !strcmp(n->domain, domain) && !strcmp(n->op, op);
}

static inline hone__value *hone__input(const hone__node *n, int i) { return i < n->input_count ? n->inputs[i] : NULL; }

static inline const hone__tensor *hone__constant_input(const hone__node *n, int i)
{
    const hone__value *v = hone__input(n, i);
    return v ? v->constant : NULL;
}

/* The other input of a two-input node. */
static inline hone__value *hone__other_input(const hone__node *n, const hone__value *v)
{
    return n->inputs[0] == v ? n->inputs[1] : n->inputs[0];
}

/* One float32 constant: its value. */
static inline bool hone__scalar_constant(const hone__value *v, float *out)
{
    if (!v || !v->constant || v->constant->count != 1 || v->constant->dtype != HONE_F32) return false;
    memcpy(out, v->constant->data, sizeof *out);
    return true;
}

/* A float32 constant that holds one number per channel (axis 1 of a value of `rank`) or a single one. */
static inline bool hone__per_channel(const hone__tensor *t, int rank, int64_t channels)
{
    if (!t || t->dtype != HONE_F32) return false;
    if (t->count == 1) return t->rank <= rank;
    if ((int64_t)t->count != channels || t->rank > rank) return false;
    int axis = t->rank - (rank - 1); /* where the channel axis falls */
    return axis >= 0 && axis < t->rank && t->dims[axis] == channels;
}

/* True where n is an activation that an epilogue can do; *e says which. */
bool hone__act_of(const hone__node *n, hone__epilogue *e);

/* Where n is a Cast of constant float16 or bfloat16 numbers to float32: those; NULL otherwise. */
const hone__tensor *hone__half_weights(const hone__node *n);

/* A new float32 constant of the given shape; *data to fill. NULL: out of memory. */
hone__value *hone__new_f32(hone__graph *g, const char *name, int rank, const int64_t *dims, float **data);

/* Input i in float32, whether it is a constant or one behind a DequantizeLinear; NULL where there is none. *ok false:
 * neither. */
hone_status hone__float_constant(const hone__node *n, int i, hone__value **out, bool *ok);

#endif
