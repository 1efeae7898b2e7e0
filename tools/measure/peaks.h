/* peaks.h: measures what this machine can do at most: multiply-add rates and read bandwidth. */
#ifndef HONE_MEASURE_PEAKS_H
#define HONE_MEASURE_PEAKS_H

#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "base/threads.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static volatile float sink_f32; /* results go here, so that no loop is dropped */
static volatile int sink_i32;

enum { STEPS = 20000, CHAINS = 16 };

/* Each runs STEPS * CHAINS instructions on independent accumulators and returns operations (a multiply-add is two). */
typedef double (*rate_fn)(void);

static double scalar_f32(void)
{
    float acc[8] = {0}, x = 0.999f, y = 1e-3f;
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 8
        for (int c = 0; c < 8; c++) acc[c] = acc[c] * x + y;
#pragma GCC unroll 8
    for (int c = 0; c < 8; c++) sink_f32 = acc[c];
    return 2.0 * STEPS * 8;
}

#if defined(__x86_64__)
#if defined(__clang__) /* takes no register wider than the file's own tier, and folds none of these */
#define KEEP_WIDE(x) (void)0
#else
#define KEEP_WIDE(x) __asm__("" : "+v"(x))
#endif
#define CHAIN_LOOP(type, zero, lanes, step)                                  \
    type acc[CHAINS];                                                        \
    _Pragma("GCC unroll 16") for (int c = 0; c < CHAINS; c++) acc[c] = zero; \
    for (int i = 0; i < STEPS; i++) {                                        \
        _Pragma("GCC unroll 16") for (int c = 0; c < CHAINS; c++)            \
        {                                                                    \
            step;                                                            \
            KEEP_WIDE(acc[c]);                                               \
        }                                                                    \
    }

#define AVX2 __attribute__((target("avx2,fma")))
#define AVXVNNI __attribute__((target("avx2,fma,avxvnni")))
#ifdef __clang__ /* ignores the whole attribute for a part that it does not know */
#define WIDE_VECTORS ""
#else
#define WIDE_VECTORS ",prefer-vector-width=512"
#endif
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni" WIDE_VECTORS)))
#define AVX512BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16" WIDE_VECTORS)))

AVX2 static double avx2_f32(void)
{
    /* 12 chains and two operands fit 16 registers; 16 chains would spill */
    __m256 acc[12], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-3f);
#pragma GCC unroll 12
    for (int c = 0; c < 12; c++) acc[c] = _mm256_setzero_ps();
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int c = 0; c < 12; c++) {
            acc[c] = _mm256_fmadd_ps(x, y, acc[c]);
            __asm__("" : "+x"(acc[c]));
        }
#pragma GCC unroll 16
    for (int c = 0; c < 12; c++) sink_f32 = _mm256_cvtss_f32(acc[c]);
    return 2.0 * STEPS * 12 * 8;
}

/* int8 without VNNI: widened to int16, VPMADDWD + VPADDD */
AVX2 static double avx2_i8(void)
{
    __m256i acc[12], x = _mm256_set1_epi16(3), y = _mm256_set1_epi16(5);
#pragma GCC unroll 12
    for (int c = 0; c < 12; c++) acc[c] = _mm256_setzero_si256();
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int c = 0; c < 12; c++) {
            __m256i p = _mm256_madd_epi16(x, y);
            __asm__("" : "+x"(p));
            acc[c] = _mm256_add_epi32(acc[c], p);
            __asm__("" : "+x"(acc[c]));
        }
#pragma GCC unroll 16
    for (int c = 0; c < 12; c++) sink_i32 = _mm256_extract_epi32(acc[c], 0);
    return 2.0 * STEPS * 12 * 16;
}

AVXVNNI static double avxvnni_i8(void)
{
    __m256i acc[12], x = _mm256_set1_epi8(3), y = _mm256_set1_epi8(5);
#pragma GCC unroll 12
    for (int c = 0; c < 12; c++) acc[c] = _mm256_setzero_si256();
    for (int i = 0; i < STEPS; i++)
#pragma GCC unroll 12
        for (int c = 0; c < 12; c++) {
            acc[c] = _mm256_dpbusd_avx_epi32(acc[c], x, y);
            __asm__("" : "+x"(acc[c]));
        }
#pragma GCC unroll 16
    for (int c = 0; c < 12; c++) sink_i32 = _mm256_extract_epi32(acc[c], 0);
    return 2.0 * STEPS * 12 * 32;
}

AVX512 static double avx512_f32(void)
{
    __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(1e-3f);
    CHAIN_LOOP(__m512, _mm512_setzero_ps(), 16, acc[c] = _mm512_fmadd_ps(x, y, acc[c]))
#pragma GCC unroll 16
    for (int c = 0; c < CHAINS; c++) sink_f32 = _mm512_cvtss_f32(acc[c]);
    return 2.0 * STEPS * CHAINS * 16;
}

AVX512 static double avx512_i8(void)
{
    __m512i x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
    CHAIN_LOOP(__m512i, _mm512_setzero_si512(), 64, acc[c] = _mm512_dpbusd_epi32(acc[c], x, y))
#pragma GCC unroll 16
    for (int c = 0; c < CHAINS; c++) sink_i32 = _mm512_cvtsi512_si32(acc[c]);
    return 2.0 * STEPS * CHAINS * 64;
}

AVX512BF16 static double avx512_bf16(void)
{
    __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f)), y = x;
    CHAIN_LOOP(__m512, _mm512_setzero_ps(), 32, acc[c] = _mm512_dpbf16_ps(acc[c], x, y))
#pragma GCC unroll 16
    for (int c = 0; c < CHAINS; c++) sink_f32 = _mm512_cvtss_f32(acc[c]);
    return 2.0 * STEPS * CHAINS * 32;
}
#endif

static const struct rate {
    const char *type, *tier;
    hone__tier needs;
    rate_fn fn;
} rates[] = {
    {"f32", "scalar", HONE__SCALAR, scalar_f32},
#if defined(__x86_64__)
    {"f32", "avx2", HONE__AVX2, avx2_f32},
    {"f32", "avx512", HONE__AVX512VNNI, avx512_f32},
    {"bf16", "avx512bf16", HONE__AVX512BF16, avx512_bf16},
    {"int8", "avx2", HONE__AVX2, avx2_i8},
    {"int8", "avx512vnni", HONE__AVX512VNNI, avx512_i8},
    {"int8", "avxvnni", HONE__AVXVNNI, avxvnni_i8},
#endif
};

struct rate_job {
    rate_fn fn;
    double operations[64];
};

static void run_rate(void *ctx, size_t begin, size_t end, int thread)
{
    struct rate_job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) j->operations[i] = j->fn();
}

/* Best of several: the machine's peak, not its average. */
static double measure_rate(const struct rate *r, hone__pool *pool)
{
    struct rate_job j = {.fn = r->fn};
    double best = 0;
    size_t threads = (size_t)hone__pool_threads(pool);
    for (int k = 0; k < 20; k++) {
        double t = now(), total = 0;
        hone__pool_run(pool, threads, 1, run_rate, &j);
        t = now() - t;
        for (size_t i = 0; i < threads; i++) total += j.operations[i];
        if (total / t > best) best = total / t;
    }
    return best;
}

struct read_job {
    const char *data;
    size_t bytes; /* per thread */
    int rounds;
};

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t read_all(const char *p, size_t n)
{
    __m256i s[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t i = 0; i + 128 <= n; i += 128)
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; v++)
            s[v] = _mm256_or_si256(s[v], _mm256_load_si256((const __m256i *)(p + i + 32 * v)));
    s[0] = _mm256_or_si256(_mm256_or_si256(s[0], s[1]), _mm256_or_si256(s[2], s[3]));
    return (uint64_t)_mm256_extract_epi64(s[0], 0);
}
#else
static uint64_t read_all(const char *p, size_t n)
{
    uint64_t s = 0, v;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        memcpy(&v, p + i, 8);
        s |= v;
    }
    return s;
}
#endif

static void run_read(void *ctx, size_t begin, size_t end, int thread)
{
    struct read_job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++)
        for (int k = 0; k < j->rounds; k++) sink_i32 = (int)read_all(j->data + i * j->bytes, j->bytes);
}

static double measure_read(const char *data, size_t set, hone__pool *pool)
{
    size_t threads = (size_t)hone__pool_threads(pool);
    struct read_job j = {data, set / threads / 128 * 128, (int)((64u << 20) / set) + 1};
    double best = 0;
    for (int k = 0; k < 7; k++) {
        double t = now();
        hone__pool_run(pool, threads, 1, run_read, &j);
        t = now() - t;
        double rate = (double)j.bytes * (double)threads * j.rounds / t;
        if (rate > best) best = rate;
    }
    return best;
}

/* The best rate of a type ("f32", "int8") that `tier` has, in operations a second. */
static inline double peak_of(const char *type, hone__tier tier, hone__pool *pool)
{
    double best = 0;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        if (rates[i].needs > tier || !hone__cpu_has(rates[i].needs) || strcmp(rates[i].type, type)) continue;
        double rate = measure_rate(&rates[i], pool);
        if (rate > best) best = rate;
    }
    return best;
}

#endif
