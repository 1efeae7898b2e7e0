/* profile_print.h: what hone profile prints and writes. */
#ifndef HONE_CLI_PROFILE_PRINT_H
#define HONE_CLI_PROFILE_PRINT_H

#include "cli.h"
#include "base/file.h"
#include "tools/measure/limits.h"

/* nodes: those that ran, slowest first. */
void profile_print_text(const hone_node_time *nodes, size_t count, int64_t runs, const hone__limits *l);
void profile_print_json(const hone_node_time *nodes, size_t count, int64_t runs, const hone__limits *l);

/* A run's nodes as the Chrome trace event format has them ("Trace Event Format", complete events). */
typedef struct profile_trace {
    hone__output out;
    hone_status status; /* of writing */
    bool recording;     /* events before are dropped */
    bool any;
} profile_trace;

hone_status profile_trace_open(profile_trace *t, const char *path);
void profile_trace_event(void *trace, const hone_node_event *e); /* for hone_session_options.on_node */
hone_status profile_trace_close(profile_trace *t,
                                hone_status run); /* no file is left behind a failure; returns the first */

#endif
