/* bench_child.h: one model measured in the process that was started for it. */
#ifndef HONE_CLI_BENCH_CHILD_H
#define HONE_CLI_BENCH_CHILD_H

#include "cli.h"

typedef enum bench_task { BENCH_RUN, BENCH_GENERATE } bench_task;

typedef struct bench_job {
    int task; /* bench_task */
    const char *prompt;
    int64_t tokens; /* new ones of each run, exactly */
    int64_t repeat; /* warm runs */
} bench_job;

/* Measures the model of `path` and prints the line of JSON that peers print, too; returns the exit code. Once per
 * process: memory is that of the whole process. */
int bench_child(const char *path, const bench_job *job);

#endif
