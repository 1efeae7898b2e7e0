/* op_training.c: one step of an optimiser (ai.onnx.preview.training): Adagrad, Adam, Momentum. Inputs: the rate R, how
 * many steps there were before T, then n of each: values X, gradients G, and the state of the optimiser. */
#include <math.h>
#include <string.h>

#include "infer.h"

enum { STATE = 2 }; /* lists behind X and G */

/* Lists of inputs: X, G and one or two of state. */
static int lists_of(const hone__node *n) { return !strcmp(n->op, "Adam") ? 4 : 3; }

static hone_status infer_step(hone__infer *x)
{
    int lists = lists_of(x->node), n = (x->input_count - 2) / lists;
    if (n < 1 || x->input_count != 2 + lists * n)
        return hone__fail(HONE_E_SHAPE, "%d inputs, expected 2 and a multiple of %d", x->input_count, lists);
    HONE__TRY(hone__infer_arity(x, x->input_count, x->input_count));
    if (x->output_count != (lists - 1) * n)
        return hone__fail(HONE_E_SHAPE, "%d outputs, expected %d", x->output_count, (lists - 1) * n);
    for (int i = 0; i < 2; i++)
        if (x->in[i].shape.rank > 0) return hone__fail(HONE_E_SHAPE, "input %d is not a scalar", i);
    for (int i = 2; i < x->input_count; i++) {
        const hone__type *first = &x->in[2 + (i - 2) % n], *t = &x->in[i];
        hone_dtype d = t->dtype;
        if (d && d != HONE_F32 && d != HONE_F64)
            return hone__fail(HONE_E_SHAPE, "input %d is %s", i, hone_dtype_name(d));
        if (d != first->dtype || (first->shape.rank >= 0 && t->shape.rank >= 0 && t->shape.rank != first->shape.rank))
            return hone__fail(HONE_E_SHAPE, "input %d has another type or rank than what it goes with", i);
        for (int k = 0; k < t->shape.rank && first->shape.rank >= 0; k++)
            if (!hone__dims_agree(t->shape.dims[k], first->shape.dims[k]))
                return hone__fail(HONE_E_SHAPE, "input %d has another shape than what it goes with", i);
    }
    for (int i = 0; i < x->output_count; i++) x->out[i] = x->in[2 + i % n];
    return HONE_OK;
}

typedef struct step {
    double rate, decay, epsilon, norm, norm_post, alpha, beta;
    int64_t time;
    bool nesterov;
    char kind; /* g Adagrad, a Adam, m Momentum */
} step;

static hone_status read_step(const hone__run *r, step *s)
{
    const hone__node *n = r->node;
    *s = (step){.rate = hone__tensor_f64(r->in[0], 0), .time = hone__tensor_i64(r->in[1], 0)};
    const char *mode = hone__node_string(n, "mode", "");
    s->kind = n->op[0] == 'M' ? 'm' : n->op[2] == 'a' && n->op[3] == 'g' ? 'g' : 'a';
    s->decay = hone__node_float(n, "decay_factor", 0);
    s->epsilon = hone__node_float(n, "epsilon", s->kind == 'm' ? 0 : 1e-6f);
    s->norm = hone__node_float(n, "norm_coefficient", 0);
    s->norm_post = hone__node_float(n, "norm_coefficient_post", 0);
    s->alpha = hone__node_float(n, "alpha", 0.9f);
    s->beta = hone__node_float(n, "beta", 0.999f);
    s->nesterov = !strcmp(mode, "nesterov");
    if (s->kind == 'm' && !s->nesterov && strcmp(mode, "standard"))
        return hone__fail(HONE_E_UNSUPPORTED, "mode '%.40s'", mode);
    if (s->kind == 'g') s->rate /= 1 + (double)s->time * s->decay;
    if (s->kind == 'a' && s->time > 0)
        s->rate *= sqrt(1 - pow(s->beta, (double)s->time)) / (1 - pow(s->alpha, (double)s->time));
    return HONE_OK;
}

/* One element: x becomes its new value, state[0 .. 1] theirs. */
static double take_step(const step *s, double x, double g, double state[STATE])
{
    g += s->norm * x;
    if (s->kind == 'g') {
        state[0] += g * g;
        return x - s->rate * g / (sqrt(state[0]) + s->epsilon);
    }
    if (s->kind == 'm') {
        state[0] = s->alpha * state[0] + (s->time > 0 ? s->beta : 1) * g;
        return x - s->rate * (s->nesterov ? g + s->alpha * state[0] : state[0]);
    }
    state[0] = s->alpha * state[0] + (1 - s->alpha) * g;
    state[1] = s->beta * state[1] + (1 - s->beta) * g * g;
    x -= s->rate * state[0] / (sqrt(state[1]) + s->epsilon);
    return (1 - s->norm_post) * x;
}

static hone_status run_step(hone__run *r)
{
    step s;
    int lists = lists_of(r->node), n = (r->input_count - 2) / lists;
    HONE__TRY(read_step(r, &s));
    for (int i = 0; i < n; i++) {
        const hone__tensor *const *in = r->in + 2 + i;
        for (size_t k = 0; k < in[0]->count; k++) {
            double state[STATE] = {0};
            for (int l = 2; l < lists; l++) state[l - 2] = hone__tensor_f64(in[l * n], k);
            double x = take_step(&s, hone__tensor_f64(in[0], k), hone__tensor_f64(in[n], k), state);
            for (int l = 0; l < lists - 1; l++)
                if (r->out[l * n + i])
                    hone__element_set_f64(in[0]->dtype, hone__out_data(r, l * n + i), k, l ? state[l - 1] : x);
        }
    }
    return HONE_OK;
}
const hone__op hone__op_training_adagrad = {"ai.onnx.preview.training", "Adagrad", infer_step, NULL, run_step, 0};
const hone__op hone__op_training_adam = {"ai.onnx.preview.training", "Adam", infer_step, NULL, run_step, 0};
const hone__op hone__op_training_momentum = {"ai.onnx.preview.training", "Momentum", infer_step, NULL, run_step, 0};
