/* op.h: what an operator is. A node's descriptor is found once (hone__op_find); then, for each set of input shapes,
 * `infer` tells the outputs' types and shapes, `prepare` computes what does not depend on values, and `run` computes.
 */
#ifndef HONE_OPS_OP_H
#define HONE_OPS_OP_H

#include "base/threads.h"
#include "graph/graph.h"

/* Inference sees symbolic shapes (a model as loaded) or concrete ones (a run), and the values that are already known:
 * constants always, every input when it is called at run time for an operator whose output shape depends on values.
 * It fills `out`; what it cannot know it leaves (dtype undefined, rank -1, or a dimension of -1). */
typedef struct hone__infer {
    const hone__node *node;
    int input_count, output_count;
    const hone__type *in;             /* absent optional inputs: dtype undefined */
    const hone__tensor *const *value; /* NULL where unknown */
    hone__type *out;
    size_t limit; /* elements that any output may have */
} hone__infer;

/* Called with concrete shapes; `in[i]` and `out[i]` have no data unless constant. NULL where absent. */
typedef struct hone__prepare {
    const hone__node *node;
    int input_count, output_count;
    const hone__tensor *const *in;
    const hone__tensor *const *out;
    int threads;
    hone__arena *arena; /* lives as long as the plan */
    void *state;        /* result: handed to run */
    size_t scratch;     /* result: bytes that run needs, shared by all nodes, 64-byte aligned */
} hone__prepare;

typedef struct hone__run hone__run;
struct hone__run {
    const hone__node *node;
    int input_count, output_count;
    const hone__tensor *const *in; /* NULL where absent */
    hone__tensor *const *out;      /* shapes and data set; NULL where absent */
    void *state, *scratch;
    hone__pool *pool;
    /* Runs a subgraph (If, Loop, Scan): inputs given by position, outputs borrowed until its next run. */
    hone_status (*subgraph)(hone__run *r, hone__graph *graph, const hone__tensor *const *in, size_t in_count,
                            const hone__tensor **out, size_t out_count);
    /* Bytes for new strings; those of a session live until its next run. */
    hone_status (*text)(hone__run *r, size_t size, char **out);
    void *exec; /* the frame that runs this step, or what evaluates it */
};

/* For run() of operators that are HONE__OP_LATE: gives output `index` its type and shape, and room for its data. */
hone_status hone__run_output(hone__run *r, int index, hone_dtype dtype, int rank, const int64_t *dims);
/* Likewise: output `index` becomes any value. A tensor is copied; a sequence shares its elements. */
hone_status hone__run_output_copy(hone__run *r, int index, const hone__tensor *from);
/* Likewise: an empty optional. */
hone_status hone__run_output_none(hone__run *r, int index, hone_dtype dtype);
/* Likewise: an empty sequence; then a copy of a tensor behind the last element of an output that is a sequence. An
 * element of another sequence of the session is shared. */
hone_status hone__run_output_sequence(hone__run *r, int index, hone_dtype dtype);
hone_status hone__run_append(hone__run *r, int index, const hone__tensor *item);
/* Likewise, with zeroed bytes that the caller fills; NULL where nobody wants the output. */
hone_status hone__run_append_new(hone__run *r, int index, hone_dtype dtype, int rank, const int64_t *dims, void **data);

enum {
    HONE__OP_ALIAS = 1,     /* output 0 is input 0's bytes with another shape: nothing to run */
    HONE__OP_INPLACE = 2,   /* output 0 may be written over input 0 when both have the same size */
    HONE__OP_RANDOM = 4,    /* not to be folded or merged */
    HONE__OP_SUBGRAPH = 8,  /* has graph attributes */
    HONE__OP_INPLACE1 = 16, /* likewise over input 1 */
    HONE__OP_STRINGS = 32,  /* takes or makes tensors of strings */
    HONE__OP_VALUES = 64,   /* takes or makes sequences or optionals */
    HONE__OP_LATE = 128,    /* makes its outputs while it runs: infer() may leave their shapes open */
    /* what only a session can run */
    HONE__OP_SESSION = HONE__OP_SUBGRAPH | HONE__OP_LATE | HONE__OP_RANDOM
};

typedef struct hone__op {
    const char *domain, *name;
    hone_status (*infer)(hone__infer *x);
    hone_status (*prepare)(hone__prepare *p); /* NULL: nothing to do */
    hone_status (*run)(hone__run *r);
    unsigned flags;
} hone__op;

/* Every descriptor is `const hone__op hone__op_<row>`; ops.def lists the rows. */
#define HONE_OP(row) extern const hone__op hone__op_##row;
#include "ops.def"
#undef HONE_OP

/* NULL when the operator is not known. */
const hone__op *hone__op_find(const char *domain, const char *name);
size_t hone__op_count(void);
const hone__op *hone__op_at(size_t i);

/* HONE_E_UNSUPPORTED naming the operator, and the nearest known name. */
hone_status hone__op_unknown(const hone__node *node);

#endif
