/* bench_roofline.c: what this machine can do at most: multiply-add rates per type and tier, read bandwidth by working
 * set, the cost of an empty parallel loop. usage: bench_roofline [--json] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "tools/measure/peaks.h"

static void nothing(void *ctx, size_t begin, size_t end, int thread)
{
    (void)ctx, (void)begin, (void)end, (void)thread;
}

/* Median of an empty loop with one piece per thread, in seconds. */
static double measure_barrier(hone__pool *pool)
{
    enum { N = 2001 };
    static double times[N];
    for (int i = 0; i < N; i++) {
        double t = now();
        hone__pool_run(pool, (size_t)hone__pool_threads(pool), 1, nothing, NULL);
        times[i] = now() - t;
    }
    for (int i = 1; i < N; i++) /* insertion sort: few are out of place */
        for (int k = i; k > 0 && times[k] < times[k - 1]; k--) {
            double swap = times[k];
            times[k] = times[k - 1];
            times[k - 1] = swap;
        }
    return times[N / 2];
}

static void print_row(int json, const char *what, const char *detail, int threads, double value, const char *unit)
{
    static int rows;
    if (json)
        printf("%s\n  {\"what\": \"%s\", \"detail\": \"%s\", \"threads\": %d, \"value\": %.4g, \"unit\": \"%s\"}",
               rows++ ? "," : "", what, detail, threads, value, unit);
    else
        printf("%-14s %-12s %7d %12.2f %s\n", what, detail, threads, value, unit);
}

int main(int argc, char **argv)
{
    int json = argc > 1 && !strcmp(argv[1], "--json");
    if (argc > 1 && !json) {
        fprintf(stderr, "usage: bench_roofline [--json]\n");
        return 2;
    }
    size_t largest = (size_t)256 << 20;
    char *data = hone__aligned_malloc(largest);
    if (!data) return 1;
    memset(data, 1, largest);
    hone__tier tier = hone__cpu_tier();
    int cores = hone__cpu_cores();
    if (json)
        printf("{\"cpu\": \"%s\", \"tier\": \"%s\", \"rows\": [", hone__cpu_name(), hone__tier_name(tier));
    else
        printf("%s, tier %s\n%-14s %-12s %7s %12s\n", hone__cpu_name(), hone__tier_name(tier), "what", "detail",
               "threads", "value");
    for (int threads = 1; threads <= (cores < 64 ? cores : 64); threads *= 2) {
        hone__pool *pool;
        if (hone__pool_create(threads, &pool) != HONE_OK) return 1;
        hone__pool_enter(pool);
        for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
            const struct rate *r = &rates[i];
            if (r->needs > tier || !hone__cpu_has(r->needs)) continue;
            print_row(json, r->type, r->tier, threads, measure_rate(r, pool) * 1e-9,
                      r->type[0] == 'i' ? "GOP/s" : "GFLOP/s");
        }
        for (size_t set = 16 << 10; set <= largest; set *= 4) {
            char text[32];
            if (set >= 1 << 20)
                snprintf(text, sizeof text, "%zu MB", set >> 20);
            else
                snprintf(text, sizeof text, "%zu KB", set >> 10);
            print_row(json, "read", text, threads, measure_read(data, set, pool) * 1e-9, "GB/s");
        }
        print_row(json, "empty loop", "", threads, measure_barrier(pool) * 1e6, "us");
        hone__pool_leave(pool);
        hone__pool_destroy(pool);
    }
    if (json) printf("\n]}\n");
    hone__aligned_free(data);
    return 0;
}
