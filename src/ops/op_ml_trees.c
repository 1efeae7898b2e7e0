/* op_ml_trees.c: ensembles of decision trees (ai.onnx.ml): TreeEnsemble, TreeEnsembleRegressor, TreeEnsembleClassifier.
 * Where the text of the standard leaves open how scores become outputs (one score for two classes, base values), this
 * does what ONNX Runtime does. */
#include <math.h>

#include "trees.h"

typedef enum aggregate { AVERAGE, SUM, MIN, MAX } aggregate; /* numbers are those of TreeEnsemble */

typedef struct ensemble {
    hone__forest forest;
    aggregate how;
    hone__post post;
    hone__reals base;
    size_t targets;
    hone__labels labels; /* of a classifier */
    bool classify;
} ensemble;

enum { BLOCK = 16 }; /* rows that go through one tree before the next tree */

static hone_status read_aggregate(const hone__node *n, aggregate *how)
{
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    const char *name = hone__node_string(n, "aggregate_function", "");
    int64_t number = *name ? -1 : hone__node_int(n, "aggregate_function", SUM);
    for (int i = 0; i < 4; i++)
        if (*name ? !strcmp(name, names[i]) : number == i) {
            *how = (aggregate)i;
            return HONE_OK;
        }
    return hone__fail(HONE_E_UNSUPPORTED, "aggregate_function '%.40s' (%lld)", name, (long long)number);
}

static hone_status infer_scores(hone__infer *x, hone_dtype dtype)
{
    int64_t rows, targets = hone__node_int(x->node, "n_targets", 1);
    HONE__TRY(hone__ml_infer_table(x, &rows));
    if (targets < 1 || targets > INT32_MAX) return hone__fail(HONE_E_SHAPE, "n_targets is %lld", (long long)targets);
    hone__infer_set(x, 0, dtype, 2, (int64_t[]){rows, targets});
    return HONE_OK;
}

static hone_status infer_regressor(hone__infer *x) { return infer_scores(x, HONE_F32); }

static hone_status infer_ensemble(hone__infer *x)
{
    if (x->in[0].dtype && !hone__dtype_is_float(x->in[0].dtype))
        return hone__fail(HONE_E_SHAPE, "input 0 is %s, expected floats", hone_dtype_name(x->in[0].dtype));
    return infer_scores(x, x->in[0].dtype);
}

static hone_status infer_classifier(hone__infer *x)
{
    int64_t rows;
    hone__labels labels;
    HONE__TRY(hone__labels_read(x->node, "classlabels_int64s", &labels));
    HONE__TRY(hone__ml_infer_table(x, &rows));
    hone__infer_set(x, 0, hone__labels_type(&labels), 1, &rows);
    if (x->output_count > 1) hone__infer_set(x, 1, HONE_F32, 2, (int64_t[]){rows, (int64_t)labels.count});
    return HONE_OK;
}

/* A base value is per target, or one for the first score. */
static hone_status check_base(const ensemble *e)
{
    size_t count = e->base.count, most = e->targets;
    if (!count || count == 1 || count == most) return HONE_OK;
    return hone__fail(HONE_E_SHAPE, "%zu base_values for %zu targets", count, most);
}

static hone_status scratch_for(hone__prepare *p, const ensemble *e, size_t columns)
{
    size_t row, each;
    if (columns < e->forest.features)
        return hone__fail(HONE_E_SHAPE, "input 0 has %zu columns, the trees test %zu", columns, e->forest.features);
    if (!hone__mul_size(e->targets + 1, sizeof(double) + 1, &row) || !hone__mul_size(columns, sizeof(double), &each) ||
        !hone__add_size(row, each, &row) || !hone__mul_size(row + 64, (size_t)BLOCK * (size_t)p->threads, &p->scratch))
        return hone__out_of_memory(columns);
    p->state = (void *)(uintptr_t)e;
    return HONE_OK;
}

static hone_status prepare_trees(hone__prepare *p)
{
    size_t rows, columns;
    const hone__node *n = p->node;
    ensemble *e = hone__arena_zalloc(p->arena, sizeof *e);
    if (!e) return hone__out_of_memory(sizeof *e);
    HONE__TRY(hone__ml_table(p->in[0], &rows, &columns));
    HONE__TRY(hone__post_read(n, &e->post));
    e->how = SUM;
    e->base = hone__node_reals(n, "base_values");
    e->classify = !strcmp(n->op, "TreeEnsembleClassifier");
    if (e->classify) {
        HONE__TRY(hone__labels_read(n, "classlabels_int64s", &e->labels));
        e->targets = e->labels.count;
    } else {
        HONE__TRY(read_aggregate(n, &e->how));
        e->targets = (size_t)hone__node_int(n, "n_targets", 1);
    }
    HONE__TRY(check_base(e));
    if (!strcmp(n->op, "TreeEnsemble"))
        HONE__TRY(hone__forest_indexed(n, e->targets, p->arena, &e->forest));
    else
        HONE__TRY(hone__forest_listed(n, e->classify ? "class" : "target", e->targets, p->arena, &e->forest));
    return scratch_for(p, e, columns);
}

/* One row's scores: `has` tells which targets some leaf spoke of. */
typedef struct scores {
    double *s;
    bool *has;
} scores;

static void add_leaf(const ensemble *e, size_t leaf, scores at)
{
    const hone__forest *f = &e->forest;
    for (uint32_t i = f->leaf_begin[leaf]; i < f->leaf_begin[leaf + 1]; i++) {
        uint32_t t = f->weights[i].target;
        double w = f->weights[i].weight;
        if (e->how == SUM || e->how == AVERAGE)
            at.s[t] += w;
        else if (!at.has[t] || (e->how == MIN ? w < at.s[t] : w > at.s[t]))
            at.s[t] = w;
        at.has[t] = true;
    }
}

static void finish_regression(const ensemble *e, scores at)
{
    for (size_t t = 0; t < e->targets; t++) {
        if (e->how == AVERAGE) at.s[t] /= (double)e->forest.trees;
        if (e->base.count == e->targets) at.s[t] += hone__real(&e->base, t);
    }
    if (e->targets > 1 || e->post == HONE__POST_PROBIT) hone__post_apply(e->post, at.s, e->targets);
}

/* Two classes with weights of one: its score decides, and the other class has the rest. */
static size_t finish_lone(const ensemble *e, double *s)
{
    double v = s[0];
    bool positive = e->forest.one_target ? v > (e->forest.negative ? 0 : 0.5) : v > 0;
    hone__post_lone(e->post, s, e->forest.negative || !e->forest.one_target);
    return positive;
}

static size_t finish_two(const ensemble *e, scores at)
{
    const hone__reals *base = &e->base;
    if (base->count == 1) at.s[0] += hone__real(base, 0);
    if (base->count == 2 && at.has[1]) {
        at.s[1] = hone__real(base, 1) + at.s[0];
        at.s[0] = -at.s[1];
    } else if (base->count == 2) {
        at.s[0] += hone__real(base, 0);
        at.s[1] += hone__real(base, 1);
    } else if (!at.has[1])
        return finish_lone(e, at.s);
    double weight = at.has[1] ? at.s[1] : at.has[0] ? at.s[0] : 0;
    bool positive = weight > (e->forest.one_target && !e->forest.negative ? 0.5 : 0);
    hone__post_apply(e->post, at.s, 2);
    return positive;
}

/* The class of a row; its scores are finished. */
static size_t finish_classes(const ensemble *e, scores at)
{
    size_t best = SIZE_MAX;
    if (e->targets == 2) return finish_two(e, at);
    for (size_t t = 0; t < e->targets; t++) {
        if (t < e->base.count) {
            at.s[t] += hone__real(&e->base, t);
            at.has[t] = true;
        }
        if (at.has[t] && (best == SIZE_MAX || at.s[t] > at.s[best])) best = t;
    }
    if (e->targets > 1 || e->post == HONE__POST_PROBIT) hone__post_apply(e->post, at.s, e->targets);
    return best == SIZE_MAX ? 0 : best;
}

static void put_row(hone__run *r, const ensemble *e, size_t row, scores at)
{
    int scores_at = e->classify;
    if (e->classify)
        hone__labels_put(&e->labels, r, row, finish_classes(e, at));
    else
        finish_regression(e, at);
    if (scores_at >= r->output_count || !r->out[scores_at]) return;
    for (size_t t = 0; t < e->targets; t++)
        hone__element_set_f64(r->out[scores_at]->dtype, hone__out_data(r, scores_at), row * e->targets + t, at.s[t]);
}

static void run_rows(void *ctx, size_t begin, size_t end, int thread)
{
    hone__run *r = ctx;
    const ensemble *e = r->state;
    const hone__tensor *x = r->in[0];
    size_t columns = (size_t)x->dims[x->rank - 1], targets = e->targets;
    double *values = (double *)r->scratch + (size_t)thread * BLOCK * (columns + targets);
    double *sums = values + BLOCK * columns;
    bool *has = (bool *)((double *)r->scratch + (size_t)hone__pool_threads(r->pool) * BLOCK * (columns + targets));
    has += (size_t)thread * BLOCK * targets;
    for (; begin < end; begin += BLOCK) {
        size_t rows = end - begin < BLOCK ? end - begin : BLOCK;
        for (size_t i = 0; i < rows * columns; i++) values[i] = hone__tensor_f64(x, begin * columns + i);
        memset(sums, 0, rows * targets * sizeof *sums);
        memset(has, 0, rows * targets);
        for (size_t t = 0; t < e->forest.trees; t++)
            for (size_t i = 0; i < rows; i++)
                add_leaf(e, hone__forest_leaf(&e->forest, t, values + i * columns),
                         (scores){sums + i * targets, has + i * targets});
        for (size_t i = 0; i < rows; i++) put_row(r, e, begin + i, (scores){sums + i * targets, has + i * targets});
    }
}

static hone_status run_trees(hone__run *r)
{
    size_t rows, columns;
    HONE__TRY(hone__ml_table(r->in[0], &rows, &columns));
    hone__pool_run(r->pool, rows, BLOCK, run_rows, r);
    return HONE_OK;
}
const hone__op hone__op_ml_tree_ensemble = {"ai.onnx.ml", "TreeEnsemble", infer_ensemble, prepare_trees, run_trees, 0};
const hone__op hone__op_ml_tree_ensemble_regressor = {
    "ai.onnx.ml", "TreeEnsembleRegressor", infer_regressor, prepare_trees, run_trees, 0};
const hone__op hone__op_ml_tree_ensemble_classifier = {
    "ai.onnx.ml", "TreeEnsembleClassifier", infer_classifier, prepare_trees, run_trees, HONE__OP_STRINGS};
