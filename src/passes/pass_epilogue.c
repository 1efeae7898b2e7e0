/* pass_epilogue.c: bias, residual addition and activation behind a product go into the product's node of domain hone
 * (hone:Conv, Linear, DequantLinear, IntegerLinear, DynamicConv) or into MatMulNBits: the result is stored once,
 * finished. */
#include "match.h"
#include "ops/epilogue_attrs.h"
#include "passes.h"

/* Which products take what, and at which input. */
typedef struct product {
    const char *domain, *op;
    int bias, residual; /* input index; -1 no */
    bool channels_first;
} product;

static const product products[] = {
    {"", "Conv", 2, 3, true},
    {"hone", "Conv", 2, 3, true},
    {"hone", "DynamicConv", 3, 4, true},
    {"hone", "Linear", 2, 3, false},
    {"hone", "DequantLinear", 3, 4, false},
    {"hone", "IntegerLinear", 6, 7, false},
    {"com.microsoft", "MatMulNBits", 5, -1, false},
};

static const product *find_product(const hone__node *n)
{
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (hone__node_is_of(n, products[i].domain, products[i].op)) return &products[i];
    return NULL;
}

static bool same_known_shape(const hone__value *a, const hone__value *b)
{
    if (a->shape.rank < 0 || a->shape.rank != b->shape.rank || a->dtype != b->dtype) return false;
    for (int i = 0; i < a->shape.rank; i++)
        if (a->shape.dims[i] != b->shape.dims[i] || a->shape.dims[i] == -1) return false;
    return true;
}

/* ai.onnx Conv becomes hone:Conv before it takes what ai.onnx's has no room for. */
static hone_status own(hone__node *n)
{
    if (!*n->domain) {
        n->domain = "hone";
        n->kind = NULL;
    }
    return HONE_OK;
}

static bool bias_fits(const product *p, const hone__value *y, const hone__tensor *t, int64_t channels)
{
    if (!t || t->dtype != HONE_F32 || (int64_t)t->count != channels) return false;
    if (p->channels_first) return hone__per_channel(t, y->shape.rank, channels) && (t->count > 1 || channels == 1);
    return t->rank >= 1 && t->dims[t->rank - 1] == channels && t->rank <= y->shape.rank;
}

static int64_t channels_of(const product *p, const hone__value *y)
{
    if (y->shape.rank < 2) return y->shape.rank == 1 ? y->shape.dims[0] : -1;
    return y->shape.dims[p->channels_first ? 1 : y->shape.rank - 1];
}

/* One number per channel as products want it: in rank 1. */
static hone__value *as_bias(hone__graph *g, hone__value *v)
{
    if (v->constant->rank == 1) return v;
    hone__tensor t = *v->constant;
    t.rank = 1;
    t.dims[0] = (int64_t)t.count;
    hone__blob_ref(t.blob);
    return hone__value_constant(g, v->name, &t);
}

/* y is read by one Add: a constant per channel is a bias, a value of y's shape a residual that exists already. */
static hone_status take_add(hone__node *n, const product *p, hone__node *add, bool *done)
{
    hone__value *y = n->outputs[0];
    if (add->inputs[0] == add->inputs[1]) return HONE_OK;
    hone__value *other = hone__other_input(add, y);
    bool acted = hone__node_int(n, HONE__EPILOGUE_ACT, HONE__ACT_NONE) != HONE__ACT_NONE;
    bool has_residual = p->residual >= 0 && hone__input(n, p->residual);
    int at = -1;
    if (acted) return HONE_OK;
    if (!hone__input(n, p->bias) && !has_residual && bias_fits(p, y, other->constant, channels_of(p, y)))
        at = p->bias;
    else if (p->residual >= 0 && !has_residual && !other->constant && same_known_shape(y, other))
        at = p->residual;
    if (at < 0) return HONE_OK;
    /* the residual must be made before the product runs: the product moves down to the Add */
    hone__node_move(n, add);
    if (at == p->residual) HONE__TRY(own(n));
    if (at == p->bias && !(other = as_bias(n->graph, other))) return HONE_E_MEMORY;
    HONE__TRY(hone__node_set_input(n, at, other));
    HONE__TRY(hone__value_replace_uses(add->outputs[0], y));
    hone__node_remove(add);
    *done = true;
    return HONE_OK;
}

static hone_status take_act(hone__node *n, hone__node *next, bool *done)
{
    hone__epilogue e;
    if (hone__node_int(n, HONE__EPILOGUE_ACT, HONE__ACT_NONE) != HONE__ACT_NONE || !hone__act_of(next, &e))
        return HONE_OK;
    HONE__TRY(own(n));
    HONE__TRY(hone__node_set_int(n, HONE__EPILOGUE_ACT, e.act));
    HONE__TRY(hone__node_set_float(n, HONE__EPILOGUE_A, e.a));
    HONE__TRY(hone__node_set_float(n, HONE__EPILOGUE_B, e.b));
    HONE__TRY(hone__value_replace_uses(next->outputs[0], n->outputs[0]));
    hone__node_remove(next);
    *done = true;
    return HONE_OK;
}

static hone_status extend(hone__node *n, const product *p, int *changed)
{
    hone__value *y = n->outputs[0];
    if (y->dtype != HONE_F32) return HONE_OK;
    for (bool done = true; done;) {
        done = false;
        if (!hone__value_single_use(y) || y->uses[0].node->graph != y->graph) return HONE_OK;
        hone__node *next = y->uses[0].node;
        if (hone__node_is(next, "Add"))
            HONE__TRY(take_add(n, p, next, &done));
        else if (next->inputs[0] == y)
            HONE__TRY(take_act(n, next, &done));
        *changed += done;
    }
    return HONE_OK;
}

hone_status hone__pass_epilogue(hone__graph *g, int *changed)
{
    /* from the end: what a product takes over lies behind it, and is never looked at again */
    for (hone__node *n = g->last, *before; n; n = before) {
        before = n->prev;
        const product *p = find_product(n);
        if (p && n->output_count == 1) HONE__TRY(extend(n, p, changed));
    }
    return HONE_OK;
}
