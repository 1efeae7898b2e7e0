/* threads.c: the thread pool. One loop at a time, a generation counter to start it, dynamic pieces. The caller never
 * waits for a worker that has not begun: on a busy machine it does all pieces itself, closes the loop, and waits only
 * for workers inside. Workers spin while a run is open (hone__pool_enter) and sleep on a condition variable otherwise.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"

#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

enum { SPINS = 1 << 10 }; /* some 40 us, then give the core away once: the machine may be shared */

struct hone__pool {
    int threads;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    _Alignas(64) atomic_uint generation; /* a new value starts a loop */
    atomic_int open;                     /* > 0: workers spin */
    atomic_int stop;
    _Alignas(64) atomic_size_t next; /* first item not handed out */
    _Alignas(64) atomic_int inside;  /* workers that may be touching this loop */
    atomic_bool running;             /* a loop may be entered */
    size_t count, grain;
    hone__loop_fn fn;
    void *ctx;
    const atomic_bool *flag;    /* of the owner: loops that may stop do */
    const atomic_bool *stop_on; /* of the loop that runs: flag, or NULL */
    int started;
    struct worker {
        hone__pool *pool;
        int index;
        pthread_t id;
    } workers[];
};

static bool stopped(const atomic_bool *flag) { return flag && atomic_load_explicit(flag, memory_order_relaxed); }

static void work(hone__pool *p, int thread)
{
    while (!stopped(p->stop_on)) {
        size_t begin = atomic_fetch_add_explicit(&p->next, p->grain, memory_order_relaxed);
        if (begin >= p->count) return;
        size_t end = p->count - begin < p->grain ? p->count : begin + p->grain;
        p->fn(p->ctx, begin, end, thread);
    }
}

static void sleep_until(hone__pool *p, unsigned seen)
{
    pthread_mutex_lock(&p->lock);
    while (!atomic_load(&p->open) && !atomic_load(&p->stop) && atomic_load(&p->generation) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    hone__pool *p = w->pool;
    unsigned seen = 0;
    for (;;) {
        unsigned spins = 0;
        while (atomic_load_explicit(&p->generation, memory_order_acquire) == seen) {
            if (atomic_load_explicit(&p->stop, memory_order_relaxed)) return NULL;
            if (!atomic_load_explicit(&p->open, memory_order_relaxed))
                sleep_until(p, seen);
            else if (++spins % SPINS == 0)
                sched_yield();
            else
                PAUSE();
        }
        seen = atomic_load_explicit(&p->generation, memory_order_acquire);
        /* first step inside, then look: the caller closes first, then looks who is inside */
        atomic_fetch_add(&p->inside, 1);
        if (atomic_load(&p->running)) work(p, w->index);
        atomic_fetch_sub(&p->inside, 1);
    }
}

hone_status hone__pool_create(int threads, hone__pool **out)
{
    *out = NULL;
    if (threads < 1 || threads > 1024)
        return hone__fail(HONE_E_ARGUMENT, "number of threads is %d, expected 1 to 1024", threads);
    size_t bytes = sizeof(hone__pool) + (size_t)threads * sizeof(struct worker);
    hone__pool *p = hone__aligned_malloc(bytes);
    if (!p) return hone__out_of_memory(bytes);
    memset(p, 0, bytes);
    p->threads = threads;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    for (int i = 1; i < threads; i++) {
        struct worker *w = &p->workers[i];
        w->pool = p;
        w->index = i;
        if (pthread_create(&w->id, NULL, worker_main, w)) {
            hone__pool_destroy(p);
            return hone__fail(HONE_E_MEMORY, "cannot start thread %d of %d", i + 1, threads);
        }
        p->started = i;
    }
    *out = p;
    return HONE_OK;
}

void hone__pool_destroy(hone__pool *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stop, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 1; i <= p->started; i++) pthread_join(p->workers[i].id, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    hone__aligned_free(p);
}

int hone__pool_threads(const hone__pool *p) { return p ? p->threads : 1; }

static void wake_all(hone__pool *p)
{
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void hone__pool_enter(hone__pool *p)
{
    if (p && p->threads > 1 && atomic_fetch_add(&p->open, 1) == 0) wake_all(p);
}

void hone__pool_leave(hone__pool *p)
{
    if (p && p->threads > 1) atomic_fetch_sub(&p->open, 1);
}

static void run(hone__pool *p, size_t count, size_t grain, hone__loop_fn fn, void *ctx, const atomic_bool *flag)
{
    if (!count) return;
    if (!grain) grain = 1;
    if (!p || p->threads == 1 || count <= grain) {
        for (size_t i = 0; i < count && !stopped(flag); i += grain)
            fn(ctx, i, count - i < grain ? count : i + grain, 0);
        return;
    }
    p->stop_on = flag;
    p->count = count;
    p->grain = grain;
    p->fn = fn;
    p->ctx = ctx;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store(&p->running, true);
    atomic_fetch_add_explicit(&p->generation, 1, memory_order_release);
    if (!atomic_load_explicit(&p->open, memory_order_relaxed)) wake_all(p);
    work(p, 0);
    unsigned spins = 0;
    atomic_store(&p->running, false);
    while (atomic_load(&p->inside))
        if (++spins % SPINS == 0)
            sched_yield();
        else
            PAUSE();
}

void hone__pool_run(hone__pool *p, size_t count, size_t grain, hone__loop_fn fn, void *ctx)
{
    run(p, count, grain, fn, ctx, NULL);
}

void hone__pool_run_stoppable(hone__pool *p, size_t count, size_t grain, hone__loop_fn fn, void *ctx)
{
    run(p, count, grain, fn, ctx, p ? p->flag : NULL);
}

void hone__pool_stop_on(hone__pool *p, const atomic_bool *flag) { p->flag = flag; }

/* Counts distinct (package, core) pairs among the CPUs in our affinity mask; every CPU counts where sysfs is silent. */
int hone__cpu_cores(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int cores = 0;
    for (int c = 0; c < CPU_SETSIZE; c++) {
        if (!CPU_ISSET(c, &set)) continue;
        char path[96], text[16] = "";
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", c);
        FILE *f = fopen(path, "r");
        int first = c;
        if (f) {
            if (fgets(text, sizeof text, f)) sscanf(text, "%d", &first);
            fclose(f);
        }
        if (first == c || !CPU_ISSET(first, &set)) cores++;
    }
    return cores > 0 ? cores : 1;
#else
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
#endif
}

hone_status hone__thread_count(int wanted, int *threads)
{
    const char *text = getenv("HONE_THREADS");
    if (!wanted && text && *text) {
        char *end;
        long n = strtol(text, &end, 10);
        if (*end || n < 1 || n > 1024)
            return hone__fail(HONE_E_ARGUMENT, "HONE_THREADS is '%.40s', expected 1 to 1024", text);
        wanted = (int)n;
    }
    *threads = wanted ? wanted : hone__cpu_cores();
    return HONE_OK;
}
