/* limits.c: multiply-add rates and read bandwidth of this machine, for hone profile. */
#include "limits.h"

#include <string.h>

#include "base/alloc.h"
#include "peaks.h"

static void measure_reads(hone__limits *l, const char *data, hone__pool *pool)
{
    static const size_t sets[HONE__READ_SETS] = {16 << 10, 256 << 10, 2 << 20, 16 << 20, 64 << 20};
    for (int i = 0; i < HONE__READ_SETS; i++) {
        l->read[i].bytes = (double)sets[i];
        l->read[i].rate = measure_read(data, sets[i], pool);
    }
}

hone_status hone__limits_measure(int threads, hone__limits *out)
{
    const size_t largest = (size_t)64 << 20;
    hone__pool *pool;
    memset(out, 0, sizeof *out);
    HONE__TRY(hone__thread_count(threads, &out->threads));
    if (out->threads > 64) out->threads = 64; /* as many as measure_rate counts */
    HONE__TRY(hone__pool_create(out->threads, &pool));
    char *data = hone__aligned_malloc(largest);
    if (data) {
        memset(data, 1, largest);
        hone__pool_enter(pool);
        out->f32 = peak_of("f32", hone__cpu_tier(), pool);
        out->i8 = peak_of("int8", hone__cpu_tier(), pool);
        if (out->i8 == 0) out->i8 = out->f32; /* plain C multiplies both alike */
        measure_reads(out, data, pool);
        hone__pool_leave(pool);
        hone__aligned_free(data);
    }
    hone__pool_destroy(pool);
    return data ? HONE_OK : hone__out_of_memory(largest);
}

double hone__limits_seconds(const hone__limits *l, double operations, int integer, double bytes)
{
    int i = 0;
    while (i + 1 < HONE__READ_SETS && l->read[i].bytes < bytes) i++;
    double compute = operations > 0 ? operations / (integer ? l->i8 : l->f32) : 0,
           move = bytes > 0 ? bytes / l->read[i].rate : 0;
    return compute > move ? compute : move;
}
