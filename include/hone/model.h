/* model.h: opening, inspecting, saving and optimising models. */
#ifndef HONE_MODEL_H
#define HONE_MODEL_H

#include "hone/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_model hone_model;

/* Opens an .onnx file (IR 3 to 14). Weights stay in the file's mapping. Errors: HONE_E_IO,
 * HONE_E_FORMAT, HONE_E_UNSUPPORTED; the message names the file and the place. */
hone_status hone_model_open(const char *path, hone_model **out);
void hone_model_destroy(hone_model *model); /* NULL is fine */

/* Writes an .onnx file: under a temporary name, synced, renamed. `path` may be the file the model came from. */
hone_status hone_model_save(hone_model *model, const char *path);

/* What is known of an input or output. Symbolic dimensions are -1 in `dims` and named in `symbols` ("?" when
 * anonymous). Pointers live as long as the model. */
typedef struct hone_value_info {
    const char *name;
    hone_dtype dtype;
    int rank; /* -1: unknown */
    int64_t dims[HONE_MAX_RANK];
    const char *symbols[HONE_MAX_RANK];
    int sequence; /* 1: a sequence of such tensors */
    int optional; /* 1: that, or nothing */
} hone_value_info;

size_t hone_model_input_count(const hone_model *model);
size_t hone_model_output_count(const hone_model *model);
hone_status hone_model_input(const hone_model *model, size_t index, hone_value_info *out);
hone_status hone_model_output(const hone_model *model, size_t index, hone_value_info *out);

/* The value of a metadata_props key; NULL when there is none. */
const char *hone_model_metadata(const hone_model *model, const char *key);
hone_status hone_model_set_metadata(hone_model *model, const char *key, const char *text);

/* Visits every weight: name, type, shape, bytes. */
typedef void (*hone_weight_fn)(void *ctx, const char *name, const hone_tensor *tensor);
void hone_model_weights(const hone_model *model, hone_weight_fn fn, void *ctx);

/* Visits every node in execution order. */
typedef void (*hone_node_fn)(void *ctx, const char *name, const char *domain, const char *op);
void hone_model_nodes(const hone_model *model, hone_node_fn fn, void *ctx);

typedef struct hone_model_facts {
    int64_t ir_version, opset;
    const char *producer;
    size_t nodes, weights, weight_bytes;
} hone_model_facts;
void hone_model_facts_get(const hone_model *model, hone_model_facts *out);

typedef enum hone_precision {
    HONE_PRECISION_FP32,
    HONE_PRECISION_FP16,
    HONE_PRECISION_BF16,
    HONE_PRECISION_INT8,
    HONE_PRECISION_INT4
} hone_precision;

typedef enum hone_calibrate_method {
    HONE_CALIBRATE_MINMAX,    /* the whole range that was seen */
    HONE_CALIBRATE_ENTROPY,   /* the range whose 8-bit form diverges least from what was seen */
    HONE_CALIBRATE_PERCENTILE /* all but 0.01 % of what was seen */
} hone_calibrate_method;

/* Sample data for static int8. `sample` fills in[0 .. inputs) with sample `index` (data stay valid until the next call)
 * or sets *end; it is asked for the same samples more than once. */
typedef struct hone_calibration {
    hone_status (*sample)(void *ctx, size_t index, hone_tensor *in, int *end);
    void *ctx;
    hone_calibrate_method method;
} hone_calibration;

typedef struct hone_optimize_options {
    hone_precision precision;
    int block;                           /* weights per scale: 16 to 256, a power of two; 0: one scale per row */
    int opset_only;                      /* standard operators only */
    const hone_calibration *calibration; /* int8 only: convolutions become static int8; NULL: dynamic */
    /* Called after each node whose weights were considered; NULL: not. */
    void (*progress)(void *ctx, size_t done, size_t total);
    void *progress_ctx;
    /* A folder for a nameless file that large new weights lie in until the model is saved, instead of in memory; NULL:
     * in memory. One that cannot be written to counts as NULL. */
    const char *scratch;
} hone_optimize_options;
#define HONE_OPTIMIZE_OPTIONS_INIT {HONE_PRECISION_FP32, 128, 0, NULL, NULL, NULL, NULL}

/* What happened to one weight, for reports. */
typedef struct hone_weight_change {
    const char *name, *op; /* of the operator that reads it */
    const char *from, *to; /* element types */
    size_t bytes_before, bytes_after;
    double error;       /* sqrt(sum (w - w')^2 / sum w^2) */
    const char *reason; /* why it was left as it is; "" when it was changed */
} hone_weight_change;
typedef void (*hone_change_fn)(void *ctx, const hone_weight_change *change);

/* Rewrites the model in place: folding and fusing, then weights in the wanted precision. `fn` (may be NULL) hears of
 * every weight that was considered. */
hone_status hone_model_optimize(hone_model *model, const hone_optimize_options *options, hone_change_fn fn, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
