/* trees.c: decision trees out of a node's attributes. What they say is a stranger's: every index is checked, and a tree
 * must end. */
#include "trees.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool in_set(const hone__forest *f, const hone__branch *b, double v)
{
    uint32_t low = b->set_begin, high = b->set_end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (f->members[middle] < v)
            low = middle + 1;
        else
            high = middle;
    }
    return low < b->set_end && f->members[low] == v;
}

static bool holds(const hone__forest *f, const hone__branch *b, double v)
{
    switch (b->mode) {
    case HONE__BRANCH_LEQ: return v <= b->split;
    case HONE__BRANCH_LT: return v < b->split;
    case HONE__BRANCH_GTE: return v >= b->split;
    case HONE__BRANCH_GT: return v > b->split;
    case HONE__BRANCH_EQ: return v == b->split;
    case HONE__BRANCH_NEQ: return v != b->split;
    default: return in_set(f, b, v);
    }
}

size_t hone__forest_leaf(const hone__forest *f, size_t tree, const double *row)
{
    int32_t at = f->roots[tree];
    while (at >= 0) {
        const hone__branch *b = &f->branches[at];
        double v = row[b->feature];
        at = b->next[holds(f, b, v) || (b->missing && isnan(v))];
    }
    return (size_t)~at;
}

static void *take(hone__arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!hone__mul_size(count + 1, size, &bytes)) return NULL;
    return hone__arena_zalloc(arena, bytes);
}

/* No walk may come back to a branch it was at. Two walks may share one. Depth first: `state` is 0 before, 1 on the way,
 * 2 after. */
static hone_status check_ends(const hone__forest *f, hone__arena *arena)
{
    uint8_t *state = take(arena, f->branch_count, 1), *turn = take(arena, f->branch_count, 1);
    int32_t *stack = take(arena, f->branch_count, sizeof *stack);
    if (!state || !turn || !stack) return hone__out_of_memory(f->branch_count);
    for (size_t t = 0; t < f->trees; t++) {
        size_t depth = 0;
        if (f->roots[t] < 0 || state[f->roots[t]]) continue;
        stack[depth++] = f->roots[t];
        state[f->roots[t]] = 1;
        while (depth) {
            int32_t at = stack[depth - 1];
            if (turn[at] == 2) {
                state[at] = 2;
                depth--;
                continue;
            }
            int32_t next = f->branches[at].next[turn[at]++];
            if (next < 0 || state[next] == 2) continue;
            if (state[next]) return hone__fail(HONE_E_SHAPE, "tree %zu goes round in a circle", t);
            state[next] = 1;
            stack[depth++] = next;
        }
    }
    return HONE_OK;
}

static hone_status set_feature(hone__forest *f, hone__branch *b, int64_t feature)
{
    if (feature < 0 || feature > INT32_MAX)
        return hone__fail(HONE_E_SHAPE, "a node tests feature %lld", (long long)feature);
    b->feature = (uint32_t)feature;
    if (f->features <= (size_t)feature) f->features = (size_t)feature + 1;
    return HONE_OK;
}

static hone_status set_weight(hone__forest *f, size_t i, int64_t target, size_t targets, double weight)
{
    if (target < 0 || (size_t)target >= targets)
        return hone__fail(HONE_E_SHAPE, "a weight is of target %lld of %zu", (long long)target, targets);
    f->weights[i].target = (uint32_t)target;
    f->weights[i].weight = weight;
    if (weight < 0) f->negative = true;
    return HONE_OK;
}

/* The lists of the older operators: nodes by (tree, id), in which leaves and branches are mixed. */
typedef struct listed {
    const int64_t *trees, *ids, *features, *yes, *no, *missing;
    size_t count, missing_count;
    const hone__attr *modes;
    hone__reals values;
    const int64_t *weight_trees, *weight_ids, *targets;
    size_t weight_count;
    hone__reals weights;
    hone__keys keys;
    int32_t *place; /* per listed node: its branch, or ~leaf */
} listed;

static const int64_t *ints_of(const hone__node *n, const char *prefix, const char *name, size_t *count)
{
    char text[64];
    snprintf(text, sizeof text, "%s_%s", prefix, name);
    return hone__node_ints(n, text, count);
}

static hone_status read_lists(const hone__node *n, const char *prefix, listed *l)
{
    size_t count[5], weights[3];
    char text[64];
    l->trees = hone__node_ints(n, "nodes_treeids", &l->count);
    l->ids = hone__node_ints(n, "nodes_nodeids", &count[0]);
    l->features = hone__node_ints(n, "nodes_featureids", &count[1]);
    l->yes = hone__node_ints(n, "nodes_truenodeids", &count[2]);
    l->no = hone__node_ints(n, "nodes_falsenodeids", &count[3]);
    l->missing = hone__node_ints(n, "nodes_missing_value_tracks_true", &l->missing_count);
    l->modes = hone__node_attr(n, "nodes_modes");
    l->values = hone__node_reals(n, "nodes_values");
    count[4] = l->modes && l->modes->kind == HONE__ATTR_STRINGS ? l->modes->count : 0;
    for (int i = 0; i < 5; i++)
        if (count[i] != l->count) return hone__fail(HONE_E_SHAPE, "the lists of nodes differ in length");
    if (l->values.count != l->count) return hone__fail(HONE_E_SHAPE, "the lists of nodes differ in length");
    if (!l->count || l->count > INT32_MAX) return hone__fail(HONE_E_SHAPE, "%zu nodes", l->count);
    l->weight_trees = ints_of(n, prefix, "treeids", &l->weight_count);
    l->weight_ids = ints_of(n, prefix, "nodeids", &weights[0]);
    l->targets = ints_of(n, prefix, "ids", &weights[1]);
    snprintf(text, sizeof text, "%s_weights", prefix);
    l->weights = hone__node_reals(n, text);
    weights[2] = l->weights.count;
    for (int i = 0; i < 3; i++)
        if (weights[i] != l->weight_count) return hone__fail(HONE_E_SHAPE, "the lists of weights differ in length");
    return l->weight_count < INT32_MAX ? HONE_OK : hone__fail(HONE_E_LIMIT, "%zu weights", l->weight_count);
}

static hone_status mode_of(hone__string s, uint8_t *mode)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",    "BRANCH_GT",
                                        "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF"};
    for (uint8_t i = 0; i < 8; i++)
        if (i != HONE__BRANCH_MEMBER && hone__string_same(s, (hone__string){names[i], strlen(names[i])})) {
            *mode = i;
            return HONE_OK;
        }
    return hone__fail(HONE_E_UNSUPPORTED, "nodes_modes '%.*s'", (int)(s.size > 40 ? 40 : s.size), s.data ? s.data : "");
}

/* Numbers branches and leaves, finds every node's place by its name and the first node of every tree. */
static hone_status place_nodes(listed *l, hone__arena *arena, hone__forest *f)
{
    HONE__TRY(hone__keys_new(&l->keys, arena, l->count));
    l->place = take(arena, l->count, sizeof *l->place);
    f->branches = take(arena, l->count, sizeof *f->branches);
    f->roots = take(arena, l->count, sizeof *f->roots);
    if (!l->place || !f->branches || !f->roots) return hone__out_of_memory(l->count * sizeof *f->branches);
    for (size_t i = 0; i < l->count; i++) {
        uint8_t mode = HONE__BRANCH_LEAF;
        HONE__TRY(mode_of(l->modes->strings[i], &mode));
        l->keys.list[i].major = l->trees[i];
        l->keys.list[i].minor = l->ids[i];
        l->place[i] = mode == HONE__BRANCH_LEAF ? ~(int32_t)f->leaves++ : (int32_t)f->branch_count;
        if (mode != HONE__BRANCH_LEAF) f->branches[f->branch_count++].mode = mode;
    }
    hone__keys_sort(&l->keys);
    /* sorted by (tree, id, place): the first listed node of each tree is its root, in the order of trees */
    for (size_t i = 0; i < l->count;) {
        size_t first = l->keys.list[i].place;
        int64_t tree = l->keys.list[i].major;
        for (; i < l->count && l->keys.list[i].major == tree; i++)
            if (l->keys.list[i].place < first) first = l->keys.list[i].place;
        f->roots[f->trees++] = l->place[first];
    }
    return HONE_OK;
}

static hone_status link_nodes(const listed *l, hone__forest *f)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->place[i] < 0) continue;
        hone__branch *b = &f->branches[l->place[i]];
        b->split = hone__real(&l->values, i);
        b->missing = i < l->missing_count && l->missing[i] == 1;
        HONE__TRY(set_feature(f, b, l->features[i]));
        for (int side = 0; side < 2; side++) {
            hone__key key = {.major = l->trees[i], .minor = side ? l->yes[i] : l->no[i]};
            size_t at;
            if (!hone__keys_find(&l->keys, &key, &at))
                return hone__fail(HONE_E_SHAPE, "node %lld of tree %lld leads to node %lld, which is not there",
                                  (long long)l->ids[i], (long long)key.major, (long long)key.minor);
            b->next[side] = l->place[at];
        }
    }
    return HONE_OK;
}

/* Weights in the order of leaves; those of one leaf in the order of the file. Weights of branches count for nothing. */
static hone_status place_weights(const listed *l, size_t targets, hone__arena *arena, hone__forest *f)
{
    int32_t *leaf = take(arena, l->weight_count, sizeof *leaf);
    f->leaf_begin = take(arena, f->leaves + 1, sizeof *f->leaf_begin);
    f->weights = take(arena, l->weight_count, sizeof *f->weights);
    if (!leaf || !f->leaf_begin || !f->weights) return hone__out_of_memory(l->weight_count * sizeof *f->weights);
    f->one_target = l->weight_count > 0;
    for (size_t i = 0; i < l->weight_count; i++) {
        hone__key key = {.major = l->weight_trees[i], .minor = l->weight_ids[i]};
        size_t at;
        if (!hone__keys_find(&l->keys, &key, &at))
            return hone__fail(HONE_E_SHAPE, "weight %zu is of node %lld of tree %lld, which is not there", i,
                              (long long)key.minor, (long long)key.major);
        leaf[i] = l->place[at];
        if (leaf[i] < 0) f->leaf_begin[~leaf[i] + 1]++;
        if (l->targets[i] != l->targets[0]) f->one_target = false;
    }
    for (size_t i = 0; i < f->leaves; i++) f->leaf_begin[i + 1] += f->leaf_begin[i];
    f->weight_count = f->leaf_begin[f->leaves];
    for (size_t i = l->weight_count; i-- > 0;) { /* from behind: each leaf's range fills towards its beginning */
        if (leaf[i] >= 0) continue;
        HONE__TRY(set_weight(f, --f->leaf_begin[~leaf[i] + 1], l->targets[i], targets, hone__real(&l->weights, i)));
    }
    /* leaf_begin[k + 1] is now where leaf k begins */
    memmove(f->leaf_begin, f->leaf_begin + 1, f->leaves * sizeof *f->leaf_begin);
    f->leaf_begin[f->leaves] = (uint32_t)f->weight_count;
    return HONE_OK;
}

hone_status hone__forest_listed(const hone__node *n, const char *prefix, size_t targets, hone__arena *arena,
                                hone__forest *f)
{
    listed l = {0};
    *f = (hone__forest){0};
    HONE__TRY(read_lists(n, prefix, &l));
    HONE__TRY(place_nodes(&l, arena, f));
    HONE__TRY(link_nodes(&l, f));
    HONE__TRY(place_weights(&l, targets, arena, f));
    return check_ends(f, arena);
}

/* The lists of TreeEnsemble: branches and leaves apart, by index. */
typedef struct indexed {
    const int64_t *roots, *features, *yes, *no, *yes_leaf, *no_leaf, *missing, *targets;
    size_t roots_count, count, missing_count, leaves;
    const hone__tensor *modes, *splits, *weights, *members;
} indexed;

static const hone__tensor *tensor_of(const hone__node *n, const char *name)
{
    const hone__attr *a = hone__node_attr(n, name);
    return a && a->kind == HONE__ATTR_TENSOR && hone__dtype_size(a->t->dtype) && a->t->dtype != HONE_STRING ? a->t
                                                                                                            : NULL;
}

static hone_status read_indexed(const hone__node *n, indexed *x)
{
    size_t count[5];
    x->roots = hone__node_ints(n, "tree_roots", &x->roots_count);
    x->features = hone__node_ints(n, "nodes_featureids", &x->count);
    x->yes = hone__node_ints(n, "nodes_truenodeids", &count[0]);
    x->no = hone__node_ints(n, "nodes_falsenodeids", &count[1]);
    x->yes_leaf = hone__node_ints(n, "nodes_trueleafs", &count[2]);
    x->no_leaf = hone__node_ints(n, "nodes_falseleafs", &count[3]);
    x->missing = hone__node_ints(n, "nodes_missing_value_tracks_true", &x->missing_count);
    x->targets = hone__node_ints(n, "leaf_targetids", &x->leaves);
    x->modes = tensor_of(n, "nodes_modes");
    x->splits = tensor_of(n, "nodes_splits");
    x->weights = tensor_of(n, "leaf_weights");
    x->members = tensor_of(n, "membership_values");
    count[4] = x->modes ? x->modes->count : 0;
    for (int i = 0; i < 5; i++)
        if (count[i] != x->count) return hone__fail(HONE_E_SHAPE, "the lists of nodes differ in length");
    if (!x->splits || x->splits->count != x->count) return hone__fail(HONE_E_SHAPE, "nodes_splits has another length");
    if (!x->weights || x->weights->count != x->leaves)
        return hone__fail(HONE_E_SHAPE, "leaf_weights has another length than leaf_targetids");
    if (!x->roots_count || x->count > INT32_MAX || x->leaves > INT32_MAX || !x->leaves)
        return hone__fail(HONE_E_SHAPE, "%zu roots, %zu nodes, %zu leaves", x->roots_count, x->count, x->leaves);
    if (x->members && x->members->count > INT32_MAX) return hone__fail(HONE_E_LIMIT, "%zu members", x->members->count);
    return HONE_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The next set of members up to its NaN, sorted. */
static hone_status take_set(const indexed *x, hone__forest *f, hone__branch *b, size_t *next)
{
    size_t at = *next, end = x->members ? x->members->count : 0;
    if (at >= end) return hone__fail(HONE_E_SHAPE, "membership_values has no set for a node");
    b->set_begin = (uint32_t)at;
    for (; at < end && !isnan(hone__tensor_f64(x->members, at)); at++)
        f->members[at] = hone__tensor_f64(x->members, at);
    b->set_end = (uint32_t)at;
    qsort(f->members + b->set_begin, at - b->set_begin, sizeof *f->members, compare_doubles);
    *next = at + 1;
    return HONE_OK;
}

static hone_status point(const indexed *x, int64_t to, bool leaf, int32_t *next)
{
    if (to < 0 || (size_t)to >= (leaf ? x->leaves : x->count))
        return hone__fail(HONE_E_SHAPE, "a node leads to %s %lld", leaf ? "leaf" : "node", (long long)to);
    *next = leaf ? ~(int32_t)to : (int32_t)to;
    return HONE_OK;
}

static hone_status fill_branches(const indexed *x, hone__forest *f)
{
    size_t set = 0;
    for (size_t i = 0; i < x->count; i++) {
        hone__branch *b = &f->branches[i];
        int64_t mode = hone__tensor_i64(x->modes, i);
        if (mode < 0 || mode > HONE__BRANCH_MEMBER)
            return hone__fail(HONE_E_UNSUPPORTED, "nodes_modes %lld", (long long)mode);
        b->mode = (uint8_t)mode;
        b->split = hone__tensor_f64(x->splits, i);
        b->missing = i < x->missing_count && x->missing[i] == 1;
        HONE__TRY(set_feature(f, b, x->features[i]));
        if (mode == HONE__BRANCH_MEMBER) HONE__TRY(take_set(x, f, b, &set));
        HONE__TRY(point(x, x->no[i], x->no_leaf[i] != 0, &b->next[0]));
        HONE__TRY(point(x, x->yes[i], x->yes_leaf[i] != 0, &b->next[1]));
    }
    return HONE_OK;
}

hone_status hone__forest_indexed(const hone__node *n, size_t targets, hone__arena *arena, hone__forest *f)
{
    indexed x = {0};
    *f = (hone__forest){0};
    HONE__TRY(read_indexed(n, &x));
    f->branches = take(arena, x.count, sizeof *f->branches);
    f->roots = take(arena, x.roots_count, sizeof *f->roots);
    f->leaf_begin = take(arena, x.leaves + 1, sizeof *f->leaf_begin);
    f->weights = take(arena, x.leaves, sizeof *f->weights);
    f->members = take(arena, x.members ? x.members->count : 0, sizeof *f->members);
    if (!f->branches || !f->roots || !f->leaf_begin || !f->weights || !f->members)
        return hone__out_of_memory(x.count * sizeof *f->branches);
    f->branch_count = x.count;
    f->trees = x.roots_count;
    f->leaves = f->weight_count = x.leaves;
    HONE__TRY(fill_branches(&x, f));
    for (size_t t = 0; t < f->trees; t++) { /* a tree may be one leaf: both ways lead to it */
        HONE__TRY(point(&x, x.roots[t], false, &f->roots[t]));
        const hone__branch *b = &f->branches[f->roots[t]];
        if (b->next[0] < 0 && b->next[0] == b->next[1]) f->roots[t] = b->next[0];
    }
    for (size_t i = 0; i < x.leaves; i++) {
        f->leaf_begin[i + 1] = (uint32_t)i + 1;
        HONE__TRY(set_weight(f, i, x.targets[i], targets, hone__tensor_f64(x.weights, i)));
    }
    return check_ends(f, arena);
}
