/* fuzz_draw.h: bytes choose tensors, attributes, graph inputs and operators: any type, shape and content, whatever a
 * file may hold. */
#ifndef HONE_TESTS_FUZZ_DRAW_H
#define HONE_TESTS_FUZZ_DRAW_H

#include <string.h>

#include "fuzz_run.h"
#include "graph/builder.h"
#include "ops/eval.h"
#include "ops/op.h"

typedef struct source {
    const uint8_t *p, *end;
} source;

static unsigned next(source *s) { return s->p < s->end ? *s->p++ : 0; }

/* Sizes that matter: empty, one, few, many, unknown. */
static int64_t next_dim(source *s, bool known)
{
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 8, 0, 16, 33, 300, 1 << 20, INT64_C(1) << 40, -1, -2};
    unsigned v = next(s) % 64;
    int64_t d = sizes[v < 14 ? v : v % 6];
    return known && d < 0 ? 2 : d;
}

static hone_dtype next_type(source *s)
{
    unsigned v = next(s);
    return v % 3 == 0 ? HONE_F32 : v % 3 == 1 ? HONE_I64 : (hone_dtype)(1 + v / 3 % (HONE_DTYPE_COUNT - 1));
}

static double next_number(source *s)
{
    static const double odd[] = {0.5, -0.5, 1e30, -1e30, 1e-30, 255, 4294967296.0, -9.3e18};
    unsigned v = next(s);
    return v < 248 ? (double)(int)(v % 31) - 8 : odd[v - 248];
}

static int64_t next_int(source *s)
{
    double v = next_number(s);
    return hone__element_i64(HONE_F64, &v, 0);
}

static const hone__string words[] = {{"", 0},
                                     {"a", 1},
                                     {"linear", 6},
                                     {"nearest", 7},
                                     {"cubic", 5},
                                     {"constant", 8},
                                     {"reflect", 7},
                                     {"edge", 4},
                                     {"wrap", 4},
                                     {"add", 3},
                                     {"mul", 3},
                                     {"max", 3},
                                     {"min", 3},
                                     {"none", 4},
                                     {"forward", 7},
                                     {"reverse", 7},
                                     {"bidirectional", 13},
                                     {"SAME_UPPER", 10},
                                     {"VALID", 5},
                                     {"NOTSET", 6},
                                     {"MAX", 3},
                                     {"L1", 2},
                                     {"L2", 2},
                                     {"SOFTMAX", 7},
                                     {"LOGISTIC", 8},
                                     {"PROBIT", 6},
                                     {"AVERAGE", 7},
                                     {"SUM", 3},
                                     {"BRANCH_LEQ", 10},
                                     {"BRANCH_EQ", 9},
                                     {"LEAF", 4},
                                     {"ij,jk->ik", 9},
                                     {"i...->...", 9},
                                     {"half_pixel", 10},
                                     {"align_corners", 13},
                                     {"TF", 2},
                                     {"IDF", 3},
                                     {"TFIDF", 5},
                                     {"LINEAR", 6},
                                     {"POLY", 4},
                                     {"RBF", 3},
                                     {"Relu", 4},
                                     {"Tanh", 4},
                                     {"Sigmoid", 7},
                                     {"[a-z]+", 6},
                                     {"(a|b)*c", 7},
                                     {"DCR", 3},
                                     {"CRD", 3},
                                     {"tanh", 4},
                                     {"standard", 8},
                                     {"nesterov", 8},
                                     {"LOWER", 5},
                                     {"bilinear", 8}};
enum { WORDS = sizeof words / sizeof *words };

static hone__string next_word(source *s) { return words[next(s) % WORDS]; }

static const char *const names[] = {"K",
                                    "N",
                                    "accuracy_level",
                                    "act",
                                    "act_a",
                                    "act_b",
                                    "activation",
                                    "activation_alpha",
                                    "activation_beta",
                                    "activation_params",
                                    "activations",
                                    "aggregate_function",
                                    "align_corners",
                                    "allowzero",
                                    "alpha",
                                    "antialias",
                                    "approximate",
                                    "auto_pad",
                                    "axes",
                                    "axis",
                                    "base_values",
                                    "batch_axis",
                                    "batch_dims",
                                    "beta",
                                    "bias",
                                    "bits",
                                    "block_size",
                                    "blocksize",
                                    "case_change_action",
                                    "cats_int64s",
                                    "cats_strings",
                                    "causal",
                                    "ceil_mode",
                                    "center_point_box",
                                    "channels_last",
                                    "classes_strings",
                                    "classlabels_strings",
                                    "clip",
                                    "coefficients",
                                    "coordinate_transformation_mode",
                                    "count_include_pad",
                                    "cubic_coeff_a",
                                    "decay_factor",
                                    "default_float",
                                    "default_int64",
                                    "default_string",
                                    "default_tensor",
                                    "delimiter",
                                    "detect_negative",
                                    "detect_positive",
                                    "dilations",
                                    "direction",
                                    "do_rotary",
                                    "dtype",
                                    "end",
                                    "epsilon",
                                    "equation",
                                    "exclude_outside",
                                    "exclusive",
                                    "extrapolation_value",
                                    "fmod",
                                    "gamma",
                                    "gather_axis",
                                    "group",
                                    "hidden_size",
                                    "high",
                                    "ignore_index",
                                    "imputed_value_floats",
                                    "imputed_value_int64s",
                                    "input_forget",
                                    "inputdimensions",
                                    "intercepts",
                                    "interleaved",
                                    "inverse",
                                    "is_case_sensitive",
                                    "is_causal",
                                    "is_packed_batching",
                                    "k",
                                    "keep_aspect_ratio_policy",
                                    "keepdims",
                                    "kernel_params",
                                    "kernel_shape",
                                    "kernel_type",
                                    "kv_num_heads",
                                    "lambd",
                                    "largest",
                                    "layout",
                                    "leaf_targetids",
                                    "left_window_size",
                                    "linear_before_reset",
                                    "local_window_size",
                                    "low",
                                    "mask_filter_value",
                                    "max_gram_length",
                                    "max_skip_count",
                                    "maxsplit",
                                    "mean",
                                    "min_gram_length",
                                    "mode",
                                    "momentum",
                                    "n_supports",
                                    "n_targets",
                                    "nearest_mode",
                                    "new_axis",
                                    "ngram_counts",
                                    "ngram_indexes",
                                    "nodes_falseleafs",
                                    "nodes_falsenodeids",
                                    "nodes_featureids",
                                    "nodes_missing_value_tracks_true",
                                    "nodes_modes",
                                    "nodes_nodeids",
                                    "nodes_treeids",
                                    "nodes_trueleafs",
                                    "nodes_truenodeids",
                                    "nodes_values",
                                    "noop_with_empty_axes",
                                    "norm",
                                    "norm_coefficient",
                                    "norm_coefficient_post",
                                    "num_groups",
                                    "num_heads",
                                    "num_scan_inputs",
                                    "offset",
                                    "offset_group",
                                    "one_class",
                                    "onesided",
                                    "opset",
                                    "output_datatype",
                                    "output_dtype",
                                    "output_height",
                                    "output_padding",
                                    "output_shape",
                                    "output_width",
                                    "p",
                                    "padding_mode",
                                    "pads",
                                    "past_present_share_buffer",
                                    "pattern",
                                    "periodic",
                                    "perm",
                                    "pool_int64s",
                                    "pool_strings",
                                    "pooled_shape",
                                    "post_transform",
                                    "prob_a",
                                    "prob_b",
                                    "q_num_heads",
                                    "qk_matmul_output_mode",
                                    "qk_norm_epsilon",
                                    "qk_output",
                                    "qkv_hidden_sizes",
                                    "quantize_axis",
                                    "reduction",
                                    "replaced_value_float",
                                    "replaced_value_int64",
                                    "reverse",
                                    "rho",
                                    "right_window_size",
                                    "rotary_embedding_dim",
                                    "rotary_interleaved",
                                    "round_mode",
                                    "sample_size",
                                    "sampling_ratio",
                                    "saturate",
                                    "scale",
                                    "seed",
                                    "select_last_index",
                                    "shape",
                                    "size",
                                    "smooth_softmax",
                                    "softcap",
                                    "softmax_precision",
                                    "sorted",
                                    "spatial_scale",
                                    "start",
                                    "stopwords",
                                    "storage_order",
                                    "strides",
                                    "support_vectors",
                                    "targets",
                                    "threshold",
                                    "time_axis",
                                    "to",
                                    "training_mode",
                                    "transA",
                                    "transB",
                                    "trans_b",
                                    "tree_roots",
                                    "type",
                                    "unidirectional",
                                    "update_rule",
                                    "upper",
                                    "value",
                                    "vectors_per_class",
                                    "weights",
                                    "zeros",
                                    "nodes_splits",
                                    "nodes_hitrates",
                                    "leaf_weights",
                                    "membership_values",
                                    "values_tensor",
                                    "keys_tensor",
                                    "keys_strings",
                                    "values_strings",
                                    "keys_int64s",
                                    "values_int64s",
                                    "keys_floats",
                                    "values_floats",
                                    "class_ids",
                                    "class_nodeids",
                                    "class_treeids",
                                    "class_weights",
                                    "target_ids",
                                    "target_nodeids",
                                    "target_treeids",
                                    "target_weights",
                                    "classlabels_int64s",
                                    "classlabels_ints"};
enum { NAMES = sizeof names / sizeof *names, ITEMS = 8 };

/* A small tensor of the operator's choice; bytes of strings are static. */
static hone_status next_tensor(source *s, hone__tensor *t)
{
    hone_dtype d = next_type(s);
    hone__string texts[64];
    int rank = (int)(next(s) % 4);
    int64_t dims[4];
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        dims[i] = (int64_t)(next(s) % 5);
        count *= (size_t)dims[i];
    }
    if (count > 64) return hone__fail(HONE_E_LIMIT, "too large");
    if (d == HONE_STRING) {
        for (size_t i = 0; i < count; i++) texts[i] = next_word(s);
        return hone__tensor_strings(rank, dims, texts, t);
    }
    HONE__TRY(hone__tensor_new(d, rank, dims, t));
    for (size_t i = 0; i < count && d != HONE_C64 && d != HONE_C128; i++)
        if (hone__dtype_is_float(d))
            hone__element_set_f64(d, hone__tensor_write(t), i, next_number(s));
        else if (d != HONE_BOOL)
            hone__element_set_i64(d, hone__tensor_write(t), i, next_int(s));
    return HONE_OK;
}

static hone_status next_attr(source *s, hone__node *n)
{
    int64_t ints[ITEMS];
    float floats[ITEMS];
    hone__string texts[ITEMS];
    hone__tensor t;
    hone__attr a = {.name = names[next(s) % NAMES], .count = next(s) % ITEMS};
    switch (next(s) % 7) {
    case 0:
        a.kind = HONE__ATTR_INT;
        a.i = next_int(s);
        break;
    case 1:
        a.kind = HONE__ATTR_FLOAT;
        a.f = (float)next_number(s);
        break;
    case 2:
        a.kind = HONE__ATTR_STRING;
        a.s = next_word(s);
        break;
    case 3:
        a.kind = HONE__ATTR_FLOATS;
        a.floats = floats;
        for (size_t i = 0; i < a.count; i++) floats[i] = (float)next_number(s);
        break;
    case 4:
        a.kind = HONE__ATTR_STRINGS;
        a.strings = texts;
        for (size_t i = 0; i < a.count; i++) texts[i] = next_word(s);
        break;
    case 5:
        a.kind = HONE__ATTR_TENSOR;
        HONE__TRY(next_tensor(s, &t));
        HONE__TRY(hone__model_hold(n->graph->model, &t, &a.t));
        break;
    default:
        a.kind = HONE__ATTR_INTS;
        a.ints = ints;
        for (size_t i = 0; i < a.count; i++) ints[i] = next_int(s);
    }
    return hone__node_set_attr(n, &a);
}

static hone_status next_input(source *s, hone__builder *b, hone__value **v)
{
    hone__tensor t;
    int64_t dims[HONE_MAX_RANK];
    unsigned kind = next(s) % 8;
    *v = NULL;
    if (kind == 0) return HONE_OK; /* absent */
    if (kind < 4) {
        HONE__TRY(next_tensor(s, &t));
        *v = hone__emit_tensor(b, "", &t);
        return b->status;
    }
    hone_dtype d = next_type(s);
    int rank = (int)(next(s) % 6);
    for (int i = 0; i < rank; i++) dims[i] = next_dim(s, false);
    for (int i = 0; i < rank; i++)
        if (dims[i] == -2) HONE__TRY(hone__symbol(b->graph->model, i % 2 ? "m" : "n", &dims[i]));
    *v = hone__emit_input(b, "", d, rank, dims);
    if (*v && kind == 7) (*v)->shape.rank = -1;
    if (*v && kind == 6 && next(s) % 8 == 0) (*v)->wrap = next(s) % 4;
    return b->status;
}

static unsigned add_hash(unsigned h, const char *text)
{
    for (; *text; text++) h = (h ^ (uint8_t)*text) * 16777619u;
    return h;
}

/* Chosen by its name: seeds mean the same when operators are added. Two bytes lead to the next larger hash. */
static const hone__op *next_op(source *s)
{
    const hone__op *best = NULL;
    unsigned key = next(s), least = 0;
    key |= next(s) << 8;
    for (size_t i = 0; i < hone__op_count(); i++) {
        const hone__op *op = hone__op_at(i);
        unsigned h = add_hash(add_hash(2166136261u, op->domain), op->name);
        unsigned away = ((h ^ h >> 16) - key) & 0xffff;
        if (best && away >= least) continue;
        best = op;
        least = away;
    }
    return best;
}

/* A graph drawn by `build`: inferred, then run and compared with what was inferred. */
static int draw_and_run(const uint8_t *data, size_t size, hone_status (*build)(source *s, hone__model *m))
{
    hone__model *m;
    source s = {data, data + size};
    if (hone__model_new(&m) != HONE_OK) return 0;
    if (build(&s, m) == HONE_OK && hone__graph_infer(m->graph) == HONE_OK) (void)fuzz_run_checked(m);
    hone__model_destroy(m);
    return 0;
}

#endif
