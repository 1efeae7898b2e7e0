/* bench_plan.h: who is measured: ours, a contender for each model and precision, and peers from bench/peers. */
#ifndef HONE_CLI_BENCH_PLAN_H
#define HONE_CLI_BENCH_PLAN_H

#include <limits.h>

#include "bench_child.h"
#include "tools/measure/bench.h"

enum { BENCH_CONTENDERS = 256 };

typedef struct bench_plan {
    const bench_job *job;
    const char *peers, *peers_dir; /* comma-separated; NULL: bench/peers beside the source tree */
    const char *precisions;        /* of what is imported, comma-separated */
    hone__contender list[BENCH_CONTENDERS];
    size_t count;
    char **labels; /* what rows call the models */
    size_t models;
    char self[PATH_MAX], python[PATH_MAX], scripts[PATH_MAX];
    char repeat[24], threads[24], tokens[24];
    char work[PATH_MAX]; /* a folder of what was imported, "": none */
} bench_plan;

/* Fills `list`; Hugging Face folders are imported into a temporary folder. Returns -1 to go on, or the exit code. */
int bench_plan_make(bench_plan *plan, const text_list *models);
/* Frees the contenders, which rows point at, and removes the temporary folder. */
void bench_plan_close(bench_plan *plan);

/* The peers that there are scripts for, comma-separated. */
const char *bench_peers(int task);

#endif
