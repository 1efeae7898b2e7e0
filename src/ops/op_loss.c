/* op_loss.c: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss, in double over any floating-point type. */
#include <math.h>
#include <string.h>

#include "infer.h"

/* x: [N, C, d...], targets: [N, d...], weights?: [C]. Outputs: loss, and (cross entropy only) logarithms of x's shape.
 */
static hone_status infer_loss(hone__infer *x)
{
    HONE__TRY(hone__infer_arity(x, 2, 3));
    HONE__TRY(hone__infer_float(x, 0));
    const hone__shape *s = &x->in[0].shape, *t = &x->in[1].shape;
    const char *how = hone__node_string(x->node, "reduction", "mean");
    bool none = !strcmp(how, "none");
    if (!none && strcmp(how, "mean") && strcmp(how, "sum"))
        return hone__fail(HONE_E_UNSUPPORTED, "reduction '%.40s'", how);
    x->out[0].dtype = x->in[0].dtype;
    if (x->output_count > 1) x->out[1] = x->in[0];
    if (none)
        x->out[0].shape = *t;
    else
        x->out[0].shape.rank = 0;
    if (s->rank < 0 || t->rank < 0) return HONE_OK;
    if (s->rank < 2 || t->rank != s->rank - 1)
        return hone__fail(HONE_E_SHAPE, "ranks %d and %d of scores and targets", s->rank, t->rank);
    for (int i = 0; i < t->rank; i++)
        if (!hone__dims_agree(t->dims[i], s->dims[i ? i + 1 : 0]))
            return hone__fail(HONE_E_SHAPE, "scores and targets do not fit on axis %d", i);
    if (hone__has_input(x, 2) && x->in[2].shape.rank >= 0 &&
        (x->in[2].shape.rank != 1 || !hone__dims_agree(x->in[2].shape.dims[0], s->dims[1])))
        return hone__fail(HONE_E_SHAPE, "the weights do not have one value per class");
    return HONE_OK;
}

/* Logarithm of the softmax over the classes: what to subtract from every score of place (n, d). */
static double log_sum(const hone__tensor *x, size_t base, size_t classes, size_t inner)
{
    double peak = -INFINITY, sum = 0;
    for (size_t c = 0; c < classes; c++) {
        double v = hone__tensor_f64(x, base + c * inner);
        if (v > peak || v != v) peak = v;
    }
    for (size_t c = 0; c < classes; c++) sum += exp(hone__tensor_f64(x, base + c * inner) - peak);
    return peak + log(sum);
}

static hone_status run_loss(hone__run *r, bool cross_entropy)
{
    const hone__tensor *x = r->in[0], *t = r->in[1], *w = r->input_count > 2 ? r->in[2] : NULL;
    const char *how = hone__node_string(r->node, "reduction", "mean");
    const hone__attr *ignore = hone__node_attr(r->node, "ignore_index");
    size_t classes = (size_t)x->dims[1], inner = 1;
    for (int i = 2; i < x->rank; i++) inner *= (size_t)x->dims[i];
    double total = 0, weights = 0;
    void *logs = r->output_count > 1 && r->out[1] ? hone__out_data(r, 1) : NULL;
    for (size_t i = 0; i < t->count; i++) {
        size_t base = i / inner * classes * inner + i % inner;
        int64_t k = hone__tensor_i64(t, i);
        double shift = cross_entropy ? log_sum(x, base, classes, inner) : 0, loss = 0, weight = 0;
        for (size_t c = 0; logs && c < classes; c++)
            hone__element_set_f64(x->dtype, logs, base + c * inner, hone__tensor_f64(x, base + c * inner) - shift);
        if (!ignore || k != ignore->i) {
            if (k < 0 || k >= (int64_t)classes)
                return hone__fail(HONE_E_ARGUMENT, "target %lld of %zu classes", (long long)k, classes);
            weight = w ? hone__tensor_f64(w, (size_t)k) : 1;
            loss = -weight * (hone__tensor_f64(x, base + (size_t)k * inner) - shift);
        }
        total += loss;
        weights += weight;
        if (*how == 'n' && r->out[0]) hone__element_set_f64(x->dtype, hone__out_data(r, 0), i, loss);
    }
    if (*how != 'n' && r->out[0])
        hone__element_set_f64(x->dtype, hone__out_data(r, 0), 0, *how == 'm' ? total / weights : total);
    return HONE_OK;
}
static hone_status run_nll(hone__run *r) { return run_loss(r, false); }
static hone_status run_cross_entropy(hone__run *r) { return run_loss(r, true); }
const hone__op hone__op_negative_log_likelihood_loss = {"", "NegativeLogLikelihoodLoss", infer_loss, NULL, run_nll, 0};
const hone__op hone__op_softmax_cross_entropy_loss = {"",   "SoftmaxCrossEntropyLoss", infer_loss,
                                                      NULL, run_cross_entropy,         0};
