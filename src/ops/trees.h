/* trees.h: decision trees (domain ai.onnx.ml): checked once when a plan is made, then walked row by row. */
#ifndef HONE_OPS_TREES_H
#define HONE_OPS_TREES_H

#include "ml.h"

typedef enum hone__branch_mode { /* numbers are those of TreeEnsemble's nodes_modes */
                                 HONE__BRANCH_LEQ,
                                 HONE__BRANCH_LT,
                                 HONE__BRANCH_GTE,
                                 HONE__BRANCH_GT,
                                 HONE__BRANCH_EQ,
                                 HONE__BRANCH_NEQ,
                                 HONE__BRANCH_MEMBER,
                                 HONE__BRANCH_LEAF
} hone__branch_mode;

typedef struct hone__branch {
    double split;                /* of MEMBER: nothing */
    uint32_t set_begin, set_end; /* of MEMBER: sorted values in members */
    uint32_t feature;
    int32_t next[2]; /* where the test fails, where it holds: a branch, or ~leaf */
    uint8_t mode;
    bool missing; /* NaN counts as holding */
} hone__branch;

typedef struct hone__forest {
    hone__branch *branches;
    size_t branch_count;
    int32_t *roots; /* a branch, or ~leaf */
    size_t trees;
    uint32_t *leaf_begin; /* [leaves + 1]: where a leaf's weights begin */
    size_t leaves;
    struct hone__leaf_weight {
        uint32_t target;
        double weight;
    } *weights;
    size_t weight_count;
    double *members;
    size_t features; /* largest feature + 1 */
    bool one_target; /* all weights are of one target */
    bool negative;   /* some weight is below 0 */
} hone__forest;

/* The forest of a TreeEnsembleClassifier or TreeEnsembleRegressor, whose weights' attributes begin with `prefix`
 * ("class" or "target"), or of a TreeEnsemble. Weights are of targets below `targets`. */
hone_status hone__forest_listed(const hone__node *n, const char *prefix, size_t targets, hone__arena *arena,
                                hone__forest *f);
hone_status hone__forest_indexed(const hone__node *n, size_t targets, hone__arena *arena, hone__forest *f);

/* The leaf of a tree where a row of values ends. */
size_t hone__forest_leaf(const hone__forest *f, size_t tree, const double *row);

#endif
