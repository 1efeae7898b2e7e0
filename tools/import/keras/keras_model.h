/* keras_model.h: a Sequential or functional model and the nodes of one evaluation of it. */
#ifndef HONE_IMPORT_KERAS_MODEL_H
#define HONE_IMPORT_KERAS_MODEL_H

#include "keras.h"

typedef struct kref {
    size_t layer;
    int64_t node, tensor;
} kref;

typedef struct knode {
    size_t layer;
    const json_t *inbound; /* NULL: an input */
    kt **out;
    int out_count;
    int state; /* 0 new, 1 waits for its inputs, 2 done */
} knode;

struct kmodel {
    const char *name;
    bool sequential;
    klayer **layers;
    size_t count;
    json_t *index;      /* layer name -> position */
    size_t *first_node; /* per layer: its first entry in `nodes` */
    int *node_offset;   /* per layer: 1 where node numbers in references count from 1 (nested models) */
    knode *nodes;
    size_t node_count;
    kref *inputs, *outputs;
    int input_count, output_count;
};

/* Reads one reference: ["layer", node, tensor, ...] or a serialised tensor of Keras 3. */
bool hone__kref_parse(const kmodel *m, const json_t *v, kref *out);
/* Calls fn for every reference inside `v`, in order. */
typedef void (*kref_fn)(void *ctx, const kref *ref);
void hone__kref_walk(const kmodel *m, const json_t *v, kref_fn fn, void *ctx);
knode *hone__kmodel_node(const kmodel *m, const kref *ref); /* NULL: no such node */
hone_status hone__kmodel_run(kctx *c, kmodel *m); /* functional: inputs are set; computes every output's node */

#endif
