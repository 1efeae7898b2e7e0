/* match.c: which nodes are activations; constants for passes. */
#include "match.h"

#include <math.h>

#include "ops/eval.h"

hone__value *hone__new_f32(hone__graph *g, const char *name, int rank, const int64_t *dims, float **data)
{
    hone__tensor t;
    if (hone__tensor_new(HONE_F32, rank, dims, &t) != HONE_OK) return NULL;
    *data = hone__tensor_write(&t);
    return hone__value_constant(g, name, &t);
}

bool hone__act_of(const hone__node *n, hone__epilogue *e)
{
    static const struct {
        const char *op;
        hone__act act;
        const char *a, *b; /* attributes */
        float da, db;
    } rows[] = {
        {"Relu", HONE__ACT_RELU, NULL, NULL, 0, 0},
        {"LeakyRelu", HONE__ACT_LEAKY, "alpha", NULL, 0.01f, 0},
        {"Sigmoid", HONE__ACT_SIGMOID, NULL, NULL, 0, 0},
        {"Tanh", HONE__ACT_TANH, NULL, NULL, 0, 0},
        {"HardSigmoid", HONE__ACT_HARD_SIGMOID, "alpha", "beta", 0.2f, 0.5f},
        {"HardSwish", HONE__ACT_HARD_SWISH, NULL, NULL, 0, 0},
        {"Elu", HONE__ACT_ELU, "alpha", NULL, 1, 0},
        {"Selu", HONE__ACT_SELU, "alpha", "gamma", 1.67326319217681884765625f, 1.05070102214813232421875f},
        {"Softplus", HONE__ACT_SOFTPLUS, NULL, NULL, 0, 0},
        {"Softsign", HONE__ACT_SOFTSIGN, NULL, NULL, 0, 0},
        {"Mish", HONE__ACT_MISH, NULL, NULL, 0, 0},
        {"Exp", HONE__ACT_EXP, NULL, NULL, 0, 0},
    };
    *e = (hone__epilogue){0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (hone__node_is(n, rows[i].op)) {
            e->act = rows[i].act;
            e->a = rows[i].a ? hone__node_float(n, rows[i].a, rows[i].da) : 0;
            e->b = rows[i].b ? hone__node_float(n, rows[i].b, rows[i].db) : 0;
            return true;
        }
    if (hone__node_is(n, "Gelu")) {
        e->act = strcmp(hone__node_string(n, "approximate", "none"), "tanh") ? HONE__ACT_GELU : HONE__ACT_GELU_TANH;
        return true;
    }
    if (hone__node_is(n, "Swish") && hone__node_float(n, "alpha", 1) == 1) {
        e->act = HONE__ACT_SILU;
        return true;
    }
    if (!hone__node_is(n, "Clip")) return false;
    e->act = HONE__ACT_CLIP;
    e->a = -INFINITY;
    e->b = INFINITY;
    if (hone__input(n, 1) && !hone__scalar_constant(n->inputs[1], &e->a)) return false;
    return !hone__input(n, 2) || hone__scalar_constant(n->inputs[2], &e->b);
}

const hone__tensor *hone__half_weights(const hone__node *n)
{
    const hone__tensor *t = hone__node_is(n, "Cast") ? hone__constant_input(n, 0) : NULL;
    if (!t || (t->dtype != HONE_F16 && t->dtype != HONE_BF16) || hone__node_int(n, "to", 0) != HONE_F32) return NULL;
    return t;
}

hone_status hone__float_constant(const hone__node *n, int i, hone__value **out, bool *ok)
{
    hone__value *b = hone__input(n, i);
    *out = NULL;
    *ok = true;
    if (!b) return HONE_OK;
    if (b->constant) {
        *out = b;
        *ok = b->constant->dtype == HONE_F32;
        return HONE_OK;
    }
    const hone__node *dq = b->producer;
    const hone__tensor *in[3] = {NULL, NULL, NULL};
    *ok = dq && hone__node_is(dq, "DequantizeLinear") && dq->input_count <= 3;
    for (int k = 0; *ok && k < dq->input_count; k++) *ok = !dq->inputs[k] || (in[k] = dq->inputs[k]->constant);
    if (!*ok) return HONE_OK;
    hone__tensor t;
    HONE__TRY(hone__node_eval(dq, hone__op_find("", "DequantizeLinear"), in, &t, HONE__ELEMENT_LIMIT));
    *out = hone__value_constant(n->graph, "", &t);
    return *out ? HONE_OK : HONE_E_MEMORY;
}
