/* kernel_test.h: what the kernel tests share: one child process per instruction tier, arrays that end at a page nobody
 * may touch, random numbers with extremes among them. */
#ifndef KERNEL_TEST_H
#define KERNEL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/threads.h"

static uint64_t rng_state = 88172645463325252u;

static inline uint32_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (uint32_t)(rng_state >> 16);
}

static inline size_t pick(size_t low, size_t high) { return low + rng() % (high - low + 1); }

static inline float uniform(float low, float high) { return low + (high - low) * (float)(rng() >> 8) / 16777216.0f; }

/* An array whose last byte is the last of its page; the next page is closed. `shift` bytes of misalignment come from
 * the size itself. Freed with guarded_free. */
typedef struct guarded {
    void *map;
    size_t map_size;
    void *data;
} guarded;

static inline guarded guarded_new(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (size + page - 1) / page * page + page;
    guarded g;
    g.map_size = body + page;
    g.map = mmap(NULL, g.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect((char *)g.map + body, page, PROT_NONE), 0);
    g.data = (char *)g.map + body - size;
    return g;
}

static inline void guarded_free(guarded *g) { munmap(g->map, g->map_size); }

static inline void fill_f32(float *x, size_t n, float low, float high)
{
    for (size_t i = 0; i < n; i++) x[i] = uniform(low, high);
}

/* Bytes of which a quarter are the extremes 0x00, 0x7f, 0x80, 0xff. */
static inline void fill_bytes(uint8_t *x, size_t n)
{
    static const uint8_t extremes[4] = {0, 0x7f, 0x80, 0xff};
    for (size_t i = 0; i < n; i++) {
        uint32_t r = rng();
        x[i] = r % 4 == 0 ? extremes[r >> 8 & 3] : (uint8_t)(r >> 16);
    }
}

static hone__pool *two_threads;

static inline void *scratch_new(size_t n)
{
    void *p = NULL;
    assert_int_equal(posix_memalign(&p, 64, n + 64), 0);
    memset(p, 0xa5, n + 64); /* scratch holds anything; the last bytes must stay */
    return p;
}

static inline void scratch_free(void *p, size_t n)
{
    for (size_t i = 0; i < 64; i++) assert_int_equal(((uint8_t *)p)[n + i], 0xa5);
    free(p);
}

/* Runs the tests in one child per tier of this CPU (HONE_ISA set in it); returns the exit code. */
static inline int run_tiers(int (*tests)(void))
{
    static const hone__tier tiers[] = {HONE__SCALAR,     HONE__AVX2, HONE__AVXVNNI,      HONE__AVX512VNNI,
                                       HONE__AVX512BF16, HONE__NEON, HONE__NEON_DOTPROD, HONE__NEON_I8MM};
    int failed = 0;
    for (size_t i = 0; i < sizeof tiers / sizeof *tiers; i++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            setenv("HONE_ISA", hone__tier_name(tiers[i]), 1);
            if (hone__cpu_tier() != tiers[i]) _exit(0); /* this CPU lacks it */
            if (hone__pool_create(2, &two_threads) != HONE_OK) _exit(1);
            hone__pool_enter(two_threads);
            printf("tier %s\n", hone__tier_name(tiers[i]));
            int rc = tests();
            hone__pool_destroy(two_threads);
            fflush(NULL);
            _exit(rc ? 1 : 0);
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            printf("tier %s failed (status %d)\n", hone__tier_name(tiers[i]), status);
            failed = 1;
        }
    }
    return failed;
}

#endif
