/* session.h: running a model. */
#ifndef HONE_SESSION_H
#define HONE_SESSION_H

#include "hone/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_session hone_session;

typedef struct hone_node_event {
    const char *name, *op, *domain;
    int depth;      /* 0: the model's own graph; 1: a subgraph of it; ... */
    double start;   /* seconds since the session was made */
    double seconds; /* with its subgraphs */
} hone_node_event;

typedef struct hone_session_options {
    int threads;       /* 0: HONE_THREADS, else the physical cores */
    size_t max_memory; /* bytes for activations and scratch; 0: no limit */
    int plain;         /* 1: the graph exactly as it is, without rewrites for this machine */
    int profile;       /* 1: keep times per node */
    /* Called after each node of each run, on the thread that runs, when not NULL. The event's texts live as long as the
     * session. It must not call the session. */
    void (*on_node)(void *ctx, const hone_node_event *event);
    void *on_node_ctx;
} hone_session_options;
#define HONE_SESSION_OPTIONS_INIT {0, 0, 0, 0, 0, 0}

/* The model may be destroyed afterwards; its weights stay shared. A session is for one thread at a time; several may
 * run one model side by side. */
hone_status hone_session_create(const hone_model *model, const hone_session_options *options, hone_session **out);
void hone_session_destroy(hone_session *session); /* NULL is fine */

/* inputs[i] is the model's input i; data is read in place; the bytes of its strings must stay until the next run, as
 * outputs may point at them. outputs[i] is filled with a view into the session that holds until its next run;
 * HONE_E_ARGUMENT where one is not a tensor (hone_session_run_values gives it). Nothing is allocated after the first
 * run at a shape. */
hone_status hone_session_run(hone_session *session, const hone_tensor *inputs, size_t input_count, hone_tensor *outputs,
                             size_t output_count);

/* The same for models with sequences or optionals (hone_value_info says which). An input sequence of no elements says
 * its element type in tensor.dtype. outputs[i].items belongs to the session and holds until its next run, as strings
 * do. A sequence costs memory in each run, which counts against max_memory. */
hone_status hone_session_run_values(hone_session *session, const hone_value *inputs, size_t input_count,
                                    hone_value *outputs, size_t output_count);

typedef struct hone_named_tensor {
    const char *name;
    hone_tensor tensor;
} hone_named_tensor;

/* The same by name: inputs in any order, all that the model has but states; outputs those that are wanted, their names
 * filled in by the caller. HONE_E_ARGUMENT names what is missing, given twice or unknown. */
hone_status hone_session_run_named(hone_session *session, const hone_named_tensor *inputs, size_t input_count,
                                   hone_named_tensor *outputs, size_t output_count);

/* Makes `input` a state: in hone_session_run_named it is what `output` was in the run before, and `first` in the next
 * run, of which the session keeps a copy. Calling it again starts again. One that is given all the same is taken. */
hone_status hone_session_set_state(hone_session *session, const char *input, const char *output,
                                   const hone_tensor *first);

/* Makes the current or next run end with HONE_E_CANCELLED, within a long matrix product, convolution or attention,
 * too; from any thread or signal handler. */
void hone_session_cancel(hone_session *session);

/* Bytes of activations and scratch held now. */
size_t hone_session_memory(const hone_session *session);

typedef struct hone_node_time {
    const char *name, *op, *domain;
    unsigned long long calls;   /* 0: its value was known without running it */
    double seconds;             /* of all calls, without nodes in its subgraphs */
    size_t in_bytes, out_bytes; /* of the last call; 0 where the output is the input's own bytes */
    double operations;          /* of the last call; a multiply-add is two; 0: not counted */
    int integer;                /* 1: operations on 8-bit integers */
    int depth;                  /* of subgraphs, as in hone_node_event */
    const char *kernel;         /* the family of kernels that computes it, "" where it is the operator's own loop */
} hone_node_time;
/* With options.profile: entry i, the model's own nodes first; HONE_E_ARGUMENT behind the last. */
hone_status hone_session_time(const hone_session *session, size_t i, hone_node_time *out);

/* The CPU's name and the instruction tier in use. Static. */
const char *hone_cpu_name(void);
const char *hone_cpu_tier(void);
int hone_cpu_cores(void);
const char *hone_version(void);

#ifdef __cplusplus
}
#endif
#endif
