/* session.h: a model made ready to run on this machine. */
#ifndef HONE_EXEC_SESSION_H
#define HONE_EXEC_SESSION_H

#include <stdatomic.h>

#include "graph/graph.h"
#include "ops/work.h"

typedef struct hone__session hone__session;

typedef struct hone__session_options {
    int threads;       /* 0: HONE_THREADS, else the physical cores */
    size_t max_memory; /* bytes for activations and scratch; 0: no limit */
    bool plain;        /* no machine passes: the graph exactly as it is */
    bool profile;      /* keep times per node */
    /* After each node, when not NULL: seconds since the session was made, and how long it took with its subgraphs. */
    void (*on_node)(void *ctx, const hone__node *node, int depth, double start, double seconds);
    void *on_node_ctx;
    atomic_bool *cancel; /* set from another thread or a signal handler: the run ends with HONE_E_CANCELLED */
} hone__session_options;

/* Copies the graph; the model may be destroyed afterwards. */
hone_status hone__session_create(const hone__model *model, const hone__session_options *options, hone__session **out);
void hone__session_destroy(hone__session *session);

/* inputs[i] belongs to graph input i; their data is read in place and must stay until the run ends. outputs[i] points
 * into the session until its next run. Types and ranks are checked; new shapes cost a new plan. */
hone_status hone__session_run(hone__session *session, const hone__tensor *const *inputs, size_t input_count,
                              const hone__tensor **outputs, size_t output_count);

/* The memory of activations, and that of weights which lie in files, goes back to the system until the next run; what the
 * last run gave is lost. */
void hone__session_idle(hone__session *session);

hone__graph *hone__session_graph(hone__session *session); /* as lowered */

typedef struct hone__step_time {
    const hone__node *node; /* NULL: never run, its value was known */
    int depth;              /* 0: the model's own graph; 1: a subgraph of it; ... */
    unsigned long long calls;
    double seconds;  /* without those of nodes in its subgraphs */
    hone__work work; /* of the last call */
} hone__step_time;
/* With options.profile: entry `index` of all graphs, outer before inner; false behind the last. */
bool hone__session_time(const hone__session *session, size_t index, hone__step_time *out);
int hone__session_threads(const hone__session *session);
size_t hone__session_memory(const hone__session *session); /* bytes of slab, scratch and dynamic buffers */

#endif
