/* op_ml_svm.c: support vector machines (ai.onnx.ml): SVMRegressor, SVMClassifier. Probabilities of several classes are
 * coupled as Wu, Lin and Weng do (2004, their second method), with libsvm's stopping rule. */
#include <math.h>

#include "ml.h"

typedef struct svm {
    enum { LINEAR, POLY, RBF, SIGMOID } kernel;
    double gamma, offset, degree;
    hone__reals vectors, coefficients, rho, prob_a, prob_b;
    const int64_t *per_class;
    size_t per_class_count, count, columns, pairs; /* count of vectors; 0: coefficients are the weights themselves */
    hone__labels labels;
    hone__post post;
} svm;

static hone_status read_kernel(const hone__node *n, svm *m)
{
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    const char *name = hone__node_string(n, "kernel_type", "LINEAR");
    hone__reals p = hone__node_reals(n, "kernel_params");
    if (p.count && p.count < 3) return hone__fail(HONE_E_SHAPE, "%zu kernel_params, expected 3", p.count);
    if (p.count) m->gamma = hone__real(&p, 0), m->offset = hone__real(&p, 1), m->degree = hone__real(&p, 2);
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, names[i])) {
            m->kernel = i;
            return HONE_OK;
        }
    return hone__fail(HONE_E_UNSUPPORTED, "kernel_type '%.40s'", name);
}

static hone_status read_svm(const hone__node *n, svm *m)
{
    *m = (svm){0};
    HONE__TRY(read_kernel(n, m));
    HONE__TRY(hone__post_read(n, &m->post));
    m->vectors = hone__node_reals(n, "support_vectors");
    m->coefficients = hone__node_reals(n, "coefficients");
    m->rho = hone__node_reals(n, "rho");
    if (!m->coefficients.count || !m->rho.count) return hone__fail(HONE_E_SHAPE, "coefficients or rho is missing");
    return HONE_OK;
}

static hone_status check_vectors(svm *m)
{
    if (m->vectors.count % m->count)
        return hone__fail(HONE_E_SHAPE, "%zu numbers in %zu support_vectors", m->vectors.count, m->count);
    m->columns = m->vectors.count / m->count;
    return HONE_OK;
}

static hone_status read_regressor(const hone__node *n, svm *m)
{
    int64_t count = hone__node_int(n, "n_supports", 0);
    HONE__TRY(read_svm(n, m));
    if (count < 0 || (uint64_t)count > m->coefficients.count)
        return hone__fail(HONE_E_SHAPE, "n_supports is %lld, with %zu coefficients", (long long)count,
                          m->coefficients.count);
    m->count = (size_t)count;
    m->columns = m->coefficients.count;
    if (m->count) return check_vectors(m);
    m->kernel = LINEAR;
    return HONE_OK;
}

static hone_status read_pairs(svm *m)
{
    size_t classes = m->labels.count;
    m->pairs = classes * (classes - 1) / 2;
    if (m->per_class_count != classes || classes < 2)
        return hone__fail(HONE_E_SHAPE, "vectors_per_class has %zu entries for %zu classes", m->per_class_count,
                          classes);
    if (m->coefficients.count / (classes - 1) < m->count || m->rho.count < m->pairs)
        return hone__fail(HONE_E_SHAPE, "%zu coefficients and %zu rho for %zu classes and %zu vectors",
                          m->coefficients.count, m->rho.count, classes, m->count);
    if (m->prob_a.count && (m->prob_a.count < m->pairs || m->prob_b.count < m->pairs))
        return hone__fail(HONE_E_SHAPE, "%zu prob_a and %zu prob_b for %zu pairs", m->prob_a.count, m->prob_b.count,
                          m->pairs);
    return check_vectors(m);
}

static hone_status read_classifier(const hone__node *n, svm *m)
{
    HONE__TRY(read_svm(n, m));
    HONE__TRY(hone__labels_read(n, "classlabels_ints", &m->labels));
    m->per_class = hone__node_ints(n, "vectors_per_class", &m->per_class_count);
    m->prob_a = hone__node_reals(n, "prob_a");
    m->prob_b = hone__node_reals(n, "prob_b");
    if (m->labels.count > 65535) return hone__fail(HONE_E_LIMIT, "%zu classes", m->labels.count);
    for (size_t i = 0; i < m->per_class_count; i++) {
        if (m->per_class[i] < 0 || (uint64_t)m->per_class[i] > m->vectors.count)
            return hone__fail(HONE_E_SHAPE, "vectors_per_class[%zu] is %lld", i, (long long)m->per_class[i]);
        m->count += (size_t)m->per_class[i];
        if (m->count > m->vectors.count) return hone__fail(HONE_E_SHAPE, "more than %zu vectors", m->vectors.count);
    }
    if (m->count) return read_pairs(m);
    m->kernel = LINEAR;
    m->columns = m->coefficients.count / m->labels.count;
    return HONE_OK;
}

static hone_status infer_regressor(hone__infer *x)
{
    svm m;
    int64_t rows;
    HONE__TRY(hone__ml_infer_table(x, &rows));
    HONE__TRY(read_regressor(x->node, &m));
    HONE__TRY(hone__ml_infer_columns(x, m.columns));
    hone__infer_set(x, 0, HONE_F32, 2, (int64_t[]){rows, 1});
    return HONE_OK;
}

/* Without probabilities one score per pair of classes, two for the one pair of two classes. */
static size_t score_columns(const svm *m)
{
    return !m->count || m->prob_a.count || m->labels.count == 2 ? m->labels.count : m->pairs;
}

static hone_status infer_classifier(hone__infer *x)
{
    svm m;
    int64_t rows;
    HONE__TRY(hone__ml_infer_table(x, &rows));
    HONE__TRY(read_classifier(x->node, &m));
    HONE__TRY(hone__ml_infer_columns(x, m.columns));
    hone__infer_set(x, 0, hone__labels_type(&m.labels), 1, &rows);
    if (x->output_count > 1) hone__infer_set(x, 1, HONE_F32, 2, (int64_t[]){rows, (int64_t)score_columns(&m)});
    return HONE_OK;
}

/* Kernel of row `row` with row `k` of `list`. */
static double kernel(const svm *m, const hone__tensor *x, size_t row, const hone__reals *list, size_t k)
{
    double sum = 0;
    for (size_t i = 0; i < m->columns; i++) {
        double a = hone__tensor_f64(x, row * m->columns + i), b = hone__real(list, k * m->columns + i);
        sum += m->kernel == RBF ? (a - b) * (a - b) : a * b;
    }
    switch (m->kernel) {
    case POLY: return pow(m->gamma * sum + m->offset, m->degree);
    case RBF: return exp(-m->gamma * sum);
    case SIGMOID: return tanh(m->gamma * sum + m->offset);
    default: return sum;
    }
}

static hone_status run_regressor(hone__run *r)
{
    svm m;
    size_t rows, columns;
    bool sign = hone__node_int(r->node, "one_class", 0) != 0;
    HONE__TRY(read_regressor(r->node, &m));
    HONE__TRY(hone__ml_table(r->in[0], &rows, &columns));
    for (size_t row = 0; row < rows; row++) {
        double sum = hone__real(&m.rho, 0);
        if (!m.count) sum += kernel(&m, r->in[0], row, &m.coefficients, 0);
        for (size_t k = 0; k < m.count; k++)
            sum += hone__real(&m.coefficients, k) * kernel(&m, r->in[0], row, &m.vectors, k);
        ((float *)hone__out_data(r, 0))[row] = (float)(!sign ? sum : sum > 0 ? 1 : -1);
    }
    return HONE_OK;
}
const hone__op hone__op_ml_svm_regressor = {"ai.onnx.ml", "SVMRegressor", infer_regressor, NULL, run_regressor, 0};

/* What a run of SVMClassifier works with, for one row. */
typedef struct room {
    double *kernels, *pairs, *scores, *r, *q, *qp;
    size_t *votes;
} room;

static hone_status prepare_classifier(hone__prepare *p)
{
    svm m;
    size_t classes, square, all;
    HONE__TRY(read_classifier(p->node, &m));
    classes = m.labels.count;
    square = m.prob_a.count ? 2 * classes * classes : 0;
    all = m.count + 2 * m.pairs + 4 * classes + square + 4;
    return hone__mul_size(all, sizeof(double), &p->scratch) ? HONE_OK : hone__out_of_memory(all);
}

static room room_in(const svm *m, double *scratch)
{
    size_t classes = m->labels.count;
    room o = {.kernels = scratch, .pairs = scratch + m->count};
    o.scores = o.pairs + m->pairs;
    o.qp = o.scores + m->pairs + classes + 2;
    o.votes = (size_t *)(void *)(o.qp + classes);
    o.r = o.qp + 2 * classes;
    o.q = o.r + (m->prob_a.count ? classes * classes : 0);
    return o;
}

/* The decision of every pair of classes i < j: the vectors of i with coefficients against j, and the other way round.
 */
static void decide_pairs(const svm *m, room *o)
{
    size_t classes = m->labels.count, pair = 0, begin_i = 0;
    for (size_t c = 0; c < classes; c++) o->votes[c] = 0;
    for (size_t i = 0; i + 1 < classes; begin_i += (size_t)m->per_class[i++]) {
        size_t begin_j = begin_i + (size_t)m->per_class[i];
        for (size_t j = i + 1; j < classes; begin_j += (size_t)m->per_class[j++], pair++) {
            double sum = hone__real(&m->rho, pair);
            for (size_t k = begin_i; k < begin_i + (size_t)m->per_class[i]; k++)
                sum += hone__real(&m->coefficients, m->count * (j - 1) + k) * o->kernels[k];
            for (size_t k = begin_j; k < begin_j + (size_t)m->per_class[j]; k++)
                sum += hone__real(&m->coefficients, m->count * i + k) * o->kernels[k];
            o->pairs[pair] = sum;
            o->votes[sum > 0 ? i : j]++;
        }
    }
}

/* r[i, j]: the probability of i against j. */
static void pair_probabilities(const svm *m, room *o)
{
    size_t classes = m->labels.count, pair = 0;
    for (size_t i = 0; i < classes; i++)
        for (size_t j = i + 1; j < classes; j++, pair++) {
            double v = o->pairs[pair] * hone__real(&m->prob_a, pair) + hone__real(&m->prob_b, pair);
            double p = 1 / (1 + exp(v));
            p = p < 1e-7 ? 1e-7 : p > 1 - 1e-7 ? 1 - 1e-7 : p;
            o->r[i * classes + j] = p;
            o->r[j * classes + i] = 1 - p;
        }
}

/* One round over the classes; how far the probabilities `p` were from the optimum before it. */
static double couple_round(const double *q, double *qp, double *p, size_t n)
{
    double all = 0, error = 0;
    for (size_t i = 0; i < n; i++) {
        qp[i] = 0;
        for (size_t j = 0; j < n; j++) qp[i] += q[i * n + j] * p[j];
        all += p[i] * qp[i];
    }
    for (size_t i = 0; i < n; i++) error = fmax(error, fabs(qp[i] - all));
    if (error < 0.005 / (double)n) return error;
    for (size_t i = 0; i < n; i++) {
        double step = (all - qp[i]) / q[i * n + i];
        p[i] += step;
        all = (all + step * (step * q[i * n + i] + 2 * qp[i])) / (1 + step) / (1 + step);
        for (size_t j = 0; j < n; j++) {
            qp[j] = (qp[j] + step * q[i * n + j]) / (1 + step);
            p[j] /= 1 + step;
        }
    }
    return error;
}

static void couple(room *o, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        o->scores[i] = 1 / (double)n;
        o->q[i * n + i] = 0;
        for (size_t j = 0; j < n; j++) {
            if (j == i) continue;
            o->q[i * n + i] += o->r[j * n + i] * o->r[j * n + i];
            o->q[i * n + j] = -o->r[j * n + i] * o->r[i * n + j];
        }
    }
    for (int round = 0; round < 100; round++)
        if (couple_round(o->q, o->qp, o->scores, n) < 0.005 / (double)n) break;
}

/* The class of a row; its scores in o->scores. */
static size_t classify(const svm *m, const hone__tensor *x, size_t row, room *o)
{
    size_t classes = m->labels.count, best = 0;
    if (!m->count) {
        bool positive = true;
        for (size_t c = 0; c < classes; c++) {
            o->scores[c] = kernel(m, x, row, &m->coefficients, c) + hone__real(&m->rho, 0);
            if (o->scores[c] > o->scores[best]) best = c;
        }
        for (size_t i = 0; i < m->coefficients.count; i++) positive = positive && hone__real(&m->coefficients, i) >= 0;
        /* two classes: a score above this speaks for the second, whichever it is of */
        if (classes == 2 && (positive ? o->scores[best] >= 0.5 : o->scores[best] > 0)) best = 1;
        hone__post_apply(m->post, o->scores, classes > 1 || m->post == HONE__POST_PROBIT ? classes : 0);
        return best;
    }
    for (size_t k = 0; k < m->count; k++) o->kernels[k] = kernel(m, x, row, &m->vectors, k);
    decide_pairs(m, o);
    for (size_t c = 1; c < classes; c++)
        if (o->votes[c] > o->votes[best]) best = c;
    if (m->prob_a.count) {
        pair_probabilities(m, o);
        couple(o, classes);
        hone__post_apply(m->post, o->scores, classes);
    } else if (classes == 2) {
        o->scores[0] = o->pairs[0];
        hone__post_lone(m->post, o->scores, m->post == HONE__POST_NONE);
    } else {
        memcpy(o->scores, o->pairs, m->pairs * sizeof *o->scores);
        hone__post_apply(m->post, o->scores, m->pairs);
    }
    return best;
}

static hone_status run_classifier(hone__run *r)
{
    svm m;
    size_t rows, columns;
    HONE__TRY(read_classifier(r->node, &m));
    HONE__TRY(hone__ml_table(r->in[0], &rows, &columns));
    size_t width = score_columns(&m);
    room o = room_in(&m, r->scratch);
    for (size_t row = 0; row < rows; row++) {
        hone__labels_put(&m.labels, r, row, classify(&m, r->in[0], row, &o));
        if (r->output_count < 2 || !r->out[1]) continue;
        for (size_t t = 0; t < width; t++) ((float *)hone__out_data(r, 1))[row * width + t] = (float)o.scores[t];
    }
    return HONE_OK;
}
const hone__op hone__op_ml_svm_classifier = {"ai.onnx.ml",       "SVMClassifier", infer_classifier,
                                             prepare_classifier, run_classifier,  HONE__OP_STRINGS};
