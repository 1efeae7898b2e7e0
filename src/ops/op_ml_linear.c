/* op_ml_linear.c: LinearRegressor, LinearClassifier (ai.onnx.ml). Their scores are few: sums in double. */
#include "ml.h"

typedef struct linear {
    hone__reals weights, intercepts; /* weights: [targets, columns] */
    size_t targets, columns;
} linear;

static hone_status read_linear(const hone__node *n, linear *l)
{
    bool classify = !strcmp(n->op, "LinearClassifier");
    int64_t targets = hone__node_int(n, "targets", 1);
    l->weights = hone__node_reals(n, "coefficients");
    l->intercepts = hone__node_reals(n, "intercepts");
    if (!classify && (targets < 1 || targets > INT32_MAX))
        return hone__fail(HONE_E_SHAPE, "targets is %lld", (long long)targets);
    l->targets = (size_t)targets;
    if (classify) { /* as many scores as intercepts; without those as many as labels */
        hone__labels labels;
        HONE__TRY(hone__labels_read(n, "classlabels_ints", &labels));
        l->targets = l->intercepts.count ? l->intercepts.count : labels.count;
        if (l->targets > labels.count)
            return hone__fail(HONE_E_SHAPE, "%zu scores for %zu labels", l->targets, labels.count);
    } else if (l->intercepts.count != l->targets)
        l->intercepts.count = 0;
    if (!l->weights.count || l->weights.count % l->targets)
        return hone__fail(HONE_E_SHAPE, "%zu coefficients for %zu targets", l->weights.count, l->targets);
    l->columns = l->weights.count / l->targets;
    return HONE_OK;
}

static hone_status infer_regressor(hone__infer *x)
{
    int64_t rows;
    linear l;
    hone__post post;
    HONE__TRY(hone__ml_infer_table(x, &rows));
    HONE__TRY(read_linear(x->node, &l));
    HONE__TRY(hone__post_read(x->node, &post));
    HONE__TRY(hone__ml_infer_columns(x, l.columns));
    hone__infer_set(x, 0, HONE_F32, 2, (int64_t[]){rows, (int64_t)l.targets});
    return HONE_OK;
}

/* One score for two labels becomes two. */
static size_t score_columns(const linear *l, const hone__labels *labels)
{
    return l->targets == 1 && labels->count == 2 ? 2 : l->targets;
}

static hone_status infer_classifier(hone__infer *x)
{
    int64_t rows;
    linear l;
    hone__labels labels;
    hone__post post;
    HONE__TRY(hone__ml_infer_table(x, &rows));
    HONE__TRY(read_linear(x->node, &l));
    HONE__TRY(hone__labels_read(x->node, "classlabels_ints", &labels));
    HONE__TRY(hone__post_read(x->node, &post));
    HONE__TRY(hone__ml_infer_columns(x, l.columns));
    hone__infer_set(x, 0, hone__labels_type(&labels), 1, &rows);
    if (x->output_count > 1) hone__infer_set(x, 1, HONE_F32, 2, (int64_t[]){rows, (int64_t)score_columns(&l, &labels)});
    return HONE_OK;
}

static hone_status prepare_linear(hone__prepare *p)
{
    linear l;
    HONE__TRY(read_linear(p->node, &l));
    return hone__mul_size(l.targets + 2, sizeof(double), &p->scratch) ? HONE_OK : hone__out_of_memory(l.targets);
}

static void score_row(const linear *l, const hone__tensor *x, size_t row, double *s)
{
    for (size_t t = 0; t < l->targets; t++) {
        s[t] = l->intercepts.count ? hone__real(&l->intercepts, t) : 0;
        for (size_t k = 0; k < l->columns; k++)
            s[t] += hone__tensor_f64(x, row * l->columns + k) * hone__real(&l->weights, t * l->columns + k);
    }
}

static hone_status run_regressor(hone__run *r)
{
    linear l;
    hone__post post;
    size_t rows, columns;
    double *s = r->scratch;
    HONE__TRY(read_linear(r->node, &l));
    HONE__TRY(hone__post_read(r->node, &post));
    HONE__TRY(hone__ml_table(r->in[0], &rows, &columns));
    for (size_t row = 0; row < rows; row++) {
        score_row(&l, r->in[0], row, s);
        if (l.targets > 1 || post == HONE__POST_PROBIT)
            hone__post_apply(post, s, l.targets); /* as ONNX Runtime has it */
        for (size_t t = 0; t < l.targets; t++) ((float *)hone__out_data(r, 0))[row * l.targets + t] = (float)s[t];
    }
    return HONE_OK;
}
const hone__op hone__op_ml_linear_regressor = {"ai.onnx.ml",   "LinearRegressor", infer_regressor,
                                               prepare_linear, run_regressor,     0};

static hone_status run_classifier(hone__run *r)
{
    linear l;
    hone__labels labels;
    hone__post post;
    size_t rows, columns;
    double *s = r->scratch;
    HONE__TRY(read_linear(r->node, &l));
    HONE__TRY(hone__labels_read(r->node, "classlabels_ints", &labels));
    HONE__TRY(hone__post_read(r->node, &post));
    HONE__TRY(hone__ml_table(r->in[0], &rows, &columns));
    size_t width = score_columns(&l, &labels);
    for (size_t row = 0; row < rows; row++) {
        size_t best = 0;
        score_row(&l, r->in[0], row, s);
        for (size_t t = 1; t < l.targets; t++)
            if (s[t] > s[best]) best = t;
        if (width == 2 && l.targets == 1) best = s[0] > 0;
        hone__labels_put(&labels, r, row, best);
        if (width == 2 && l.targets == 1)
            hone__post_lone(post, s, false);
        else if (l.targets > 1 || post == HONE__POST_PROBIT)
            hone__post_apply(post, s, l.targets);
        if (r->output_count < 2 || !r->out[1]) continue;
        for (size_t t = 0; t < width; t++) ((float *)hone__out_data(r, 1))[row * width + t] = (float)s[t];
    }
    return HONE_OK;
}
const hone__op hone__op_ml_linear_classifier = {"ai.onnx.ml",   "LinearClassifier", infer_classifier,
                                                prepare_linear, run_classifier,     HONE__OP_STRINGS};
