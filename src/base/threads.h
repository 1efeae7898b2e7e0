/* threads.h: a pool that runs one loop at a time over all its threads. */
#ifndef HONE_BASE_THREADS_H
#define HONE_BASE_THREADS_H

#include <stdatomic.h>
#include <stddef.h>

#include "status.h"

typedef struct hone__pool hone__pool;

/* Body of a parallel loop: does the items [begin, end). `thread` < hone__pool_threads: which scratch to use. */
typedef void (*hone__loop_fn)(void *ctx, size_t begin, size_t end, int thread);

/* threads >= 1 includes the caller; a pool of 1 starts none. */
hone_status hone__pool_create(int threads, hone__pool **out);
void hone__pool_destroy(hone__pool *pool);      /* NULL is fine */
int hone__pool_threads(const hone__pool *pool); /* 1 for NULL */

/* Between enter and leave the workers spin, so that a loop starts in well under a microsecond; outside they sleep and
 * use no CPU. Calls nest. A loop outside any enter works too, and wakes the workers itself. */
void hone__pool_enter(hone__pool *pool);
void hone__pool_leave(hone__pool *pool);

/* Runs fn over [0, count) in pieces of `grain` items, handed out dynamically; returns when all are done. Which thread
 * does a piece is not defined, which items form a piece is: results must not depend on the thread. A NULL pool, one
 * thread or one piece runs in the caller. Not reentrant: fn must not start a loop on the same pool. */
void hone__pool_run(hone__pool *pool, size_t count, size_t grain, hone__loop_fn fn, void *ctx);

/* The same for loops that take long and whose results are numbers alone, never places: once the pool's flag is set,
 * pieces that have not begun are left out, and what they would have written is anything. */
void hone__pool_run_stoppable(hone__pool *pool, size_t count, size_t grain, hone__loop_fn fn, void *ctx);
void hone__pool_stop_on(hone__pool *pool, const atomic_bool *flag); /* NULL: nothing stops */

/* Threads of a pool: `wanted`, or 0 for HONE_THREADS, or without it the physical cores. HONE_E_ARGUMENT where
 * HONE_THREADS makes no sense. */
hone_status hone__thread_count(int wanted, int *threads);

/* Physical cores this process may use, at least 1. */
int hone__cpu_cores(void);

#endif
