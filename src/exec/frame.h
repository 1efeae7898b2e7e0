/* frame.h: a lowered graph: steps over slots. One per graph and per subgraph. Private to exec. */
#ifndef HONE_EXEC_FRAME_H
#define HONE_EXEC_FRAME_H

#include "ops/eval.h"
#include "session.h"

typedef enum hone__slot_kind {
    HONE__SLOT_CONST,   /* weights, in place */
    HONE__SLOT_INPUT,   /* given by the caller at each run */
    HONE__SLOT_CAPTURE, /* a value of an enclosing frame */
    HONE__SLOT_PLANNED, /* in the slab */
    HONE__SLOT_KNOWN,   /* computed while planning */
    HONE__SLOT_DYNAMIC  /* shape known only during the run: its own growing buffer */
} hone__slot_kind;

typedef struct hone__slot {
    hone__tensor t; /* shape and data of the current run */
    const hone__value *value;
    hone__slot_kind kind;
    int root;        /* slot whose bytes this one uses; itself */
    int first, last; /* steps between which the bytes live (of roots) */
    size_t offset;   /* in the slab */
    void *own;       /* dynamic buffer */
    size_t own_bytes;
} hone__slot;

typedef struct hone__step {
    hone__node *node;
    const hone__op *op;
    int *in, *out; /* slots; -1 absent */
    const hone__tensor **in_t;
    hone__tensor **out_t;
    void *state;
    bool skip;    /* its outputs are known */
    bool dynamic; /* shapes are inferred during the run */
} hone__step;

typedef struct hone__frame {
    hone__session *session;
    hone__graph *graph;
    struct hone__frame *parent, *next_child, *children;
    hone__arena arena; /* steps and slots */
    hone__step *steps;
    hone__slot *slots;
    int step_count, slot_count, depth;
    int *captures; /* pairs: slot here, slot of the parent */
    int capture_count;
    hone__arena plan_arena; /* states; emptied by a new plan */
    hone__arena run_arena;  /* states of dynamic steps; rewound by each run */
    bool planned;
    uint8_t *slab;
    size_t slab_bytes, slab_room;
    hone__step_time *times;
    int *outputs; /* slots of the graph's outputs */
} hone__frame;

/* A sequence or known value that the slot holds; slots without one are left as they are. */
void hone__slot_release(hone__slot *slot);
/* hone__run's `text` in a session. */
hone_status hone__session_text(hone__run *r, size_t size, char **out);
/* Own bytes for slot->t, which says how many. */
hone_status hone__slot_grow(hone__frame *frame, hone__slot *slot);

hone_status hone__frame_create(hone__session *session, hone__graph *graph, hone__frame *parent, hone__frame **out);
void hone__frame_destroy(hone__frame *frame);
/* Plans for the shapes that the input and capture slots have now. */
hone_status hone__frame_plan(hone__frame *frame);
/* Shapes, buffers and state of a dynamic step, from the values of this run. */
hone_status hone__frame_step_dynamic(hone__frame *frame, hone__step *step);
hone_status hone__frame_run(hone__frame *frame, const hone__tensor *const *inputs, size_t input_count,
                            const hone__tensor **outputs, size_t output_count);
hone_status hone__frame_subgraph(hone__run *r, hone__graph *graph, const hone__tensor *const *in, size_t in_count,
                                 const hone__tensor **out, size_t out_count);
/* At least `bytes` of scratch in the session, shared by all frames' leaf steps. */
hone_status hone__session_scratch(hone__session *session, size_t bytes);
/* Memory of a buffer that grows from `old` to `want` bytes: all of a session's together stay below options.max_memory.
 */
hone_status hone__session_take(hone__session *session, size_t old, size_t want, const char *what);

struct hone__session {
    hone__model *model;
    hone__session_options options;
    hone__pool *pool;
    int threads;
    hone__frame *frame;
    void *scratch;
    size_t scratch_bytes, memory; /* memory: of all buffers */
    hone__arena text;             /* strings made by this run */
    double born, inner;           /* profiling: when it was made; seconds of nodes inside the node that runs */
};

#endif
