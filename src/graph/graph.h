/* graph.h: the intermediate representation, an ONNX graph in memory. */
#ifndef HONE_GRAPH_GRAPH_H
#define HONE_GRAPH_GRAPH_H

#include "tensor/tensor.h"

typedef struct hone__model hone__model;
typedef struct hone__graph hone__graph;
typedef struct hone__node hone__node;
typedef struct hone__value hone__value;

/* rank -1: unknown. dims >= 0 are known, negative ones are symbols: -1 is "unknown, unlike any other", -2 and below
 * index model->symbols (hone__symbol_name), so that equal symbols mean equal sizes. */
typedef struct hone__shape {
    int rank;
    int64_t dims[HONE_MAX_RANK];
} hone__shape;

/* What a type says beyond elements and shape; both together: an optional sequence. 0: a tensor. */
enum { HONE__OF_SEQUENCE = 1, HONE__OF_OPTIONAL = 2 };

typedef struct hone__type {
    hone_dtype dtype;  /* of the elements */
    hone__shape shape; /* of a tensor, or of every element of a sequence */
    unsigned wrap;     /* HONE__OF_* */
} hone__type;

typedef struct hone__use {
    hone__node *node;
    int input;
} hone__use;

struct hone__value {
    const char *name; /* "" until needed; unique in its graph once written */
    hone_dtype dtype; /* HONE_UNDEFINED: not inferred yet */
    hone__shape shape;
    unsigned wrap;          /* HONE__OF_*: dtype and shape are those of the elements, then */
    hone__tensor *constant; /* initializer or folded value; NULL otherwise */
    hone__graph *graph;
    hone__node *producer; /* NULL for inputs and constants */
    int output;           /* which output of its producer */
    hone__use *uses;      /* nodes of this graph and of subgraphs that read it */
    size_t use_count, use_capacity;
    int input_index;  /* position among graph inputs, -1 */
    int output_count; /* how many graph outputs it is */
    int id;           /* unique in the model */
    hone__value *next, *prev;
    void *scratch; /* for one pass at a time */
};

/* Attributes whose names start so are made by passes, in memory only: operators trust them, readers refuse them. */
#define HONE__PRIVATE "hone."

/* Numbers are those of onnx.AttributeProto.AttributeType. */
typedef enum hone__attr_kind {
    HONE__ATTR_FLOAT = 1,
    HONE__ATTR_INT = 2,
    HONE__ATTR_STRING = 3,
    HONE__ATTR_TENSOR = 4,
    HONE__ATTR_GRAPH = 5,
    HONE__ATTR_FLOATS = 6,
    HONE__ATTR_INTS = 7,
    HONE__ATTR_STRINGS = 8,
    HONE__ATTR_TENSORS = 9,
    HONE__ATTR_GRAPHS = 10,
    HONE__ATTR_TYPE = 13,
    HONE__ATTR_REF = 100 /* inside a function body: `s` names the function's attribute */
} hone__attr_kind;

typedef struct hone__attr {
    const char *name;
    hone__attr_kind kind;
    hone__attr_kind ref_kind; /* declared kind of a HONE__ATTR_REF */
    int64_t i;
    float f;
    hone__string s;
    hone__tensor *t;
    hone__graph *g;
    hone__type *type;
    size_t count; /* of the lists below */
    int64_t *ints;
    float *floats;
    hone__string *strings;
} hone__attr;

struct hone__node {
    const char *op, *domain /* "" is ai.onnx */, *name, *overload;
    hone__graph *graph;
    hone__value **inputs, **outputs; /* NULL: an absent optional one */
    int input_count, output_count;
    hone__attr *attrs;
    int attr_count;
    hone__node *next, *prev; /* in execution order */
    int id;
    const void *kind; /* the operator's descriptor, set by ops; NULL for unknown */
    void *scratch;
};

struct hone__graph {
    hone__model *model;
    hone__node *owner; /* the If / Loop / Scan node this is an attribute of */
    const char *name;
    hone__node *first, *last;
    hone__value *values; /* every value of this graph, newest first */
    hone__value **inputs, **outputs;
    size_t input_count, output_count, input_capacity, output_capacity;
    bool settled; /* of a body, while shapes are inferred: its states have been looked at (ops/body.c) */
};

typedef struct hone__entry {
    const char *key, *text;
} hone__entry;

typedef struct hone__opset {
    const char *domain;
    int64_t version;
} hone__opset;

/* Finds entries of a list by their text: open addressing over list positions. */
typedef struct hone__index {
    uint32_t *slots; /* position + 1; 0: empty */
    size_t size;
} hone__index;

struct hone__model {
    hone__arena arena;
    hone__graph *graph;
    int64_t ir_version;
    hone__opset *opsets;
    size_t opset_count, opset_capacity;
    hone__entry *metadata;
    size_t metadata_count, metadata_capacity;
    hone__index metadata_index, symbol_index, opset_index;
    const char *producer, *producer_version, *doc;
    const char **symbols; /* hone__symbol_* */
    size_t symbol_count, symbol_capacity;
    hone__tensor **tensors; /* every constant, released with the model */
    size_t tensor_count, tensor_capacity;
    void **owned; /* arrays from hone__malloc that go with the model */
    size_t owned_count, owned_capacity;
    int next_id;
};

hone_status hone__model_new(hone__model **out); /* with an empty graph, IR 10, opset 21 */
void hone__model_destroy(hone__model *model);   /* NULL is fine */
hone_status hone__model_set_metadata(hone__model *model, const char *key, const char *text);
const char *hone__model_metadata(const hone__model *model, const char *key); /* NULL: none */
void hone__model_drop_metadata(hone__model *model);                          /* all of it */
hone_status hone__model_set_opset(hone__model *model, const char *domain, int64_t version);
int64_t hone__model_opset(const hone__model *model, const char *domain); /* 0: not imported */

/* Moves a tensor into the model, which releases it. Takes over the reference, also on failure. */
hone_status hone__model_hold(hone__model *model, hone__tensor *tensor, hone__tensor **out);

hone_status hone__symbol(hone__model *model, const char *name, int64_t *dim); /* finds or makes; "" gives -1 */
const char *hone__symbol_name(const hone__model *model, int64_t dim);         /* "?" for -1 */

hone_status hone__graph_new(hone__model *model, hone__node *owner, hone__graph **out);
/* All of these return NULL / HONE_E_MEMORY when out of memory; nothing is half done. `name` is copied. */
hone__value *hone__value_new(hone__graph *graph, const char *name);
/* A constant. Takes over the reference in `tensor`, also on failure. */
hone__value *hone__value_constant(hone__graph *graph, const char *name, hone__tensor *tensor);
hone_status hone__value_set_constant(hone__value *value,
                                     hone__tensor *tensor); /* takes over likewise; drops the producer */
hone_status hone__graph_add_input(hone__graph *graph, hone__value *value);
hone_status hone__graph_add_output(hone__graph *graph, hone__value *value);
void hone__graph_set_output(hone__graph *graph, size_t index, hone__value *value);
void hone__graph_drop_input(hone__graph *graph, size_t index); /* which nothing reads; those behind it move up */
void hone__graph_drop_output(hone__graph *graph, size_t index);

/* A node before `before` (NULL: at the end). inputs may hold NULL. Outputs are made fresh, unnamed. */
hone__node *hone__node_new(hone__graph *graph, hone__node *before, const char *domain, const char *op, const char *name,
                           hone__value *const *inputs, int input_count, int output_count);
/* As above with given outputs, which must have no producer yet; NULL entries stay absent. */
hone__node *hone__node_new_with(hone__graph *graph, hone__node *before, const char *domain, const char *op,
                                const char *name, hone__value *const *inputs, int input_count,
                                hone__value *const *outputs, int output_count);
hone_status hone__node_set_input(hone__node *node, int index, hone__value *value); /* grows; NULL clears */
void hone__node_trim_inputs(hone__node *node);                                     /* drops absent trailing ones */
void hone__node_remove(hone__node *node); /* its outputs must be unused; they become valueless constants */
void hone__node_move(hone__node *node, hone__node *before);
void hone__node_drop_output(hone__node *node, int index); /* which nobody reads; those behind it move up */
/* Nodes and values of a subgraph, which has no inputs that anybody reads, become part of before->graph, in front of
 * `before`; the subgraph has no outputs any more. */
void hone__graph_splice(hone__graph *subgraph, hone__node *before);
hone_status hone__value_replace_uses(hone__value *from, hone__value *to); /* graph outputs included (the name moves) */
bool hone__value_unused(const hone__value *value);
static inline bool hone__value_single_use(const hone__value *v) { return v->use_count == 1 && !v->output_count; }
static inline bool hone__node_is(const hone__node *n, const char *op)
{
    const char *a = n->op;
    if (n->domain[0]) return false;
    while (*a && *a == *op) a++, op++;
    return *a == *op;
}

/* Attributes. Setters replace. Getters return the default when absent; a wrong kind counts as absent (verify names it).
 */
const hone__attr *hone__node_attr(const hone__node *node, const char *name);
int64_t hone__node_int(const hone__node *node, const char *name, int64_t otherwise);
float hone__node_float(const hone__node *node, const char *name, float otherwise);
const char *hone__node_string(const hone__node *node, const char *name, const char *otherwise);
const int64_t *hone__node_ints(const hone__node *node, const char *name, size_t *count); /* NULL: absent */
hone_status hone__node_set_attr(hone__node *node, const hone__attr *attr); /* deep-copied into the arena */
hone_status hone__node_set_int(hone__node *node, const char *name, int64_t v);
hone_status hone__node_set_ints(hone__node *node, const char *name, const int64_t *v, size_t count);
hone_status hone__node_set_float(hone__node *node, const char *name, float v);
hone_status hone__node_set_string(hone__node *node, const char *name, const char *v);
void hone__node_drop_attr(hone__node *node, const char *name);

/* Moves nodes so that each stands behind those whose values it, or a subgraph of it, reads. HONE_E_FORMAT: a circle. */
hone_status hone__graph_sort(hone__graph *graph);
/* Removes nodes whose outputs nobody reads and constants without uses. */
void hone__graph_sweep(hone__graph *graph);
/* Gives every unnamed value and node a name, and makes names unique across the model. */
hone_status hone__graph_name_all(hone__graph *graph);
/* Structure: uses and producers agree, order is topological, outputs exist, names of inputs and outputs are unique. */
hone_status hone__graph_verify(const hone__graph *graph);

#endif
