/* pass_compose.c: groups of nodes that exporters write where an operator of their own exists: layer normalisation, GELU
 * (with erf and with tanh) and SiLU become LayerNormalization, Gelu and Swish. Only float32. */
#include <math.h>

#include "match.h"
#include "passes.h"

/* The node of ai.onnx that makes v; NULL otherwise. */
static hone__node *made_by(const hone__value *v, const char *op)
{
    return v && v->producer && hone__node_is(v->producer, op) ? v->producer : NULL;
}

static bool is_about(const hone__value *v, float want)
{
    float x;
    return hone__scalar_constant(v, &x) && fabsf(x - want) <= 1e-4f * fabsf(want);
}

/* n = op(x, scalar about `want`), operands in either order for Add and Mul: x; NULL otherwise. */
static hone__value *with_scalar(const hone__node *n, float want)
{
    if (!n || n->input_count != 2) return NULL;
    if (is_about(n->inputs[1], want)) return n->inputs[0];
    bool commutes = hone__node_is(n, "Add") || hone__node_is(n, "Mul");
    return commutes && is_about(n->inputs[0], want) ? n->inputs[1] : NULL;
}

static hone_status replace(hone__value *y, hone__node *n, int *changed)
{
    if (!n) return HONE_E_MEMORY;
    ++*changed;
    return hone__value_replace_uses(y, n->outputs[0]);
}

/* ---- x * sigmoid(x) ---- */

static hone_status silu(hone__node *sigmoid, int *changed)
{
    hone__value *x = sigmoid->inputs[0];
    hone__node *mul = hone__only_reader(sigmoid->outputs[0], "Mul");
    if (!mul || x->dtype != HONE_F32 || hone__other_input(mul, sigmoid->outputs[0]) != x) return HONE_OK;
    return replace(mul->outputs[0], hone__node_new(mul->graph, mul, "", "Swish", mul->name, &x, 1, 1), changed);
}

/* ---- 0.5 * x * (1 + f(x)) ---- */

/* The input of erf(x / sqrt(2)), however it is divided. */
static hone__value *erf_argument(const hone__node *erf)
{
    hone__value *x = with_scalar(made_by(erf->inputs[0], "Div"), sqrtf(2));
    return x ? x : with_scalar(made_by(erf->inputs[0], "Mul"), sqrtf(0.5f));
}

static bool is_cube(const hone__value *v, const hone__value *x)
{
    const hone__node *pow = made_by(v, "Pow"), *mul = made_by(v, "Mul");
    if (pow) return pow->inputs[0] == x && is_about(pow->inputs[1], 3);
    if (!mul || (mul->inputs[0] != x && mul->inputs[1] != x)) return false;
    const hone__node *square = made_by(hone__other_input(mul, x), "Mul");
    const hone__node *power = made_by(hone__other_input(mul, x), "Pow");
    if (power) return power->inputs[0] == x && is_about(power->inputs[1], 2);
    return square && square->inputs[0] == x && square->inputs[1] == x;
}

/* The input of tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)). */
static hone__value *tanh_argument(const hone__node *tanh_node)
{
    const hone__node *add = made_by(with_scalar(made_by(tanh_node->inputs[0], "Mul"), 0.7978845608f), "Add");
    for (int i = 0; add && i < 2; i++) {
        const hone__value *cube = with_scalar(made_by(add->inputs[i], "Mul"), 0.044715f);
        if (cube && is_cube(cube, add->inputs[1 - i])) return add->inputs[1 - i];
    }
    return NULL;
}

/* From f(x): the end of the products with x and one half, in any order; NULL where they are others. */
static hone__value *gelu_end(hone__node *f, const hone__value *x)
{
    hone__node *one = hone__only_reader(f->outputs[0], "Add");
    if (!one || with_scalar(one, 1) != f->outputs[0]) return NULL;
    hone__value *at = one->outputs[0];
    bool by_x = false, by_half = false;
    while (!by_x || !by_half) {
        hone__node *mul = hone__only_reader(at, "Mul");
        if (!mul) return NULL;
        const hone__value *o = hone__other_input(mul, at);
        if (o == x && !by_x)
            by_x = true;
        else if (is_about(o, 0.5f) && !by_half)
            by_half = true;
        else if (with_scalar(made_by(o, "Mul"), 0.5f) == x && !by_x && !by_half)
            by_x = by_half = true;
        else
            return NULL;
        at = mul->outputs[0];
    }
    return at;
}

static hone_status gelu(hone__node *f, bool by_tanh, int *changed)
{
    hone__value *x = by_tanh ? tanh_argument(f) : erf_argument(f), *y = x ? gelu_end(f, x) : NULL;
    if (!y || x->dtype != HONE_F32) return HONE_OK;
    hone__node *n = hone__node_new(y->graph, y->producer, "", "Gelu", y->producer->name, &x, 1, 1);
    if (n && by_tanh) HONE__TRY(hone__node_set_string(n, "approximate", "tanh"));
    return replace(y, n, changed);
}

/* ---- (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias ---- */

static bool means_last_axis(const hone__node *mean)
{
    const hone__tensor *axes = mean ? hone__constant_input(mean, 1) : NULL;
    if (!axes || axes->count != 1 || !hone__node_int(mean, "keepdims", 1)) return false;
    int64_t axis = hone__element_i64(axes->dtype, axes->data, 0);
    return axis == -1 || (mean->inputs[0]->shape.rank > 0 && axis == mean->inputs[0]->shape.rank - 1);
}

/* v = x - mean(x) over the last axis: x; NULL otherwise. */
static hone__value *centred(const hone__value *v)
{
    const hone__node *sub = made_by(v, "Sub"), *mean = sub ? made_by(sub->inputs[1], "ReduceMean") : NULL;
    return means_last_axis(mean) && mean->inputs[0] == sub->inputs[0] ? sub->inputs[0] : NULL;
}

/* v = mean((x - mean(x))^2) */
static bool is_variance(const hone__value *v, const hone__value *x)
{
    const hone__node *mean = made_by(v, "ReduceMean"), *square;
    if (!means_last_axis(mean)) return false;
    if ((square = made_by(mean->inputs[0], "Pow")) && is_about(square->inputs[1], 2))
        return centred(square->inputs[0]) == x;
    square = made_by(mean->inputs[0], "Mul");
    return square && square->inputs[0] == square->inputs[1] && centred(square->inputs[0]) == x;
}

/* The constant of d numbers that `n` (Add or Mul) applies to v along the last axis. */
static hone__value *per_column(const hone__node *n, const hone__value *v, int64_t d)
{
    hone__value *o = n ? hone__other_input(n, v) : NULL;
    const hone__tensor *t = o ? o->constant : NULL;
    return t && t->dtype == HONE_F32 && t->rank == 1 && t->dims[0] == d ? o : NULL;
}

static hone_status layer_norm(hone__node *div, int *changed)
{
    hone__value *x = centred(div->inputs[0]);
    const hone__node *root = made_by(div->inputs[1], "Sqrt"), *sum = root ? made_by(root->inputs[0], "Add") : NULL;
    float epsilon;
    if (!x || !sum || x->dtype != HONE_F32 || x->shape.rank < 1) return HONE_OK;
    int e = hone__scalar_constant(sum->inputs[1], &epsilon)   ? 1
            : hone__scalar_constant(sum->inputs[0], &epsilon) ? 0
                                                              : -1;
    if (e < 0 || !is_variance(sum->inputs[1 - e], x)) return HONE_OK;
    int64_t d = x->shape.dims[x->shape.rank - 1];
    hone__node *mul = hone__only_reader(div->outputs[0], "Mul");
    hone__value *scale = per_column(mul, div->outputs[0], d);
    hone__node *add = scale ? hone__only_reader(mul->outputs[0], "Add") : NULL;
    hone__value *bias = add ? per_column(add, mul->outputs[0], d) : NULL;
    if (!scale) return HONE_OK;
    hone__node *last = bias ? add : mul;
    hone__node *n = hone__node_new(last->graph, last, "", "LayerNormalization", last->name,
                                   (hone__value *[]){x, scale, bias}, bias ? 3 : 2, 1);
    if (n) HONE__TRY(hone__node_set_float(n, "epsilon", epsilon));
    return replace(last->outputs[0], n, changed);
}

hone_status hone__pass_compose(hone__graph *g, int *changed)
{
    for (hone__node *n = g->first; n; n = n->next)
        if (hone__node_is(n, "Div"))
            HONE__TRY(layer_norm(n, changed));
        else if (hone__node_is(n, "Erf"))
            HONE__TRY(gelu(n, false, changed));
        else if (hone__node_is(n, "Tanh"))
            HONE__TRY(gelu(n, true, changed));
        else if (hone__node_is(n, "Sigmoid"))
            HONE__TRY(silu(n, changed));
    return HONE_OK;
}
