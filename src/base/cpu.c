/* cpu.c: CPU detection, once. */
#include "cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    hone__tier tier;
} tiers[] = {
    {"scalar", HONE__SCALAR},     {"avx2", HONE__AVX2},
    {"avxvnni", HONE__AVXVNNI},   {"avx512vnni", HONE__AVX512VNNI},
    {"avx512", HONE__AVX512VNNI}, {"avx512bf16", HONE__AVX512BF16},
    {"neon", HONE__NEON},         {"dotprod", HONE__NEON_DOTPROD},
    {"i8mm", HONE__NEON_I8MM},    {"simd128", HONE__WASM_SIMD128},
};
enum { TIERS = sizeof tiers / sizeof *tiers };

static hone__tier best, detected;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
static bool has_avxvnni(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
static hone__tier detect(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return HONE__SCALAR;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni"))
        return __builtin_cpu_supports("avx512bf16") ? HONE__AVX512BF16 : HONE__AVX512VNNI;
    return has_avxvnni() ? HONE__AVXVNNI : HONE__AVX2;
}
#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
static hone__tier detect(void)
{
    unsigned long a = getauxval(AT_HWCAP), b = getauxval(AT_HWCAP2);
    if (b >> 13 & 1) return HONE__NEON_I8MM;
    return a >> 20 & 1 ? HONE__NEON_DOTPROD : HONE__NEON;
}
#else
static hone__tier detect(void) { return HONE__NEON; }
#endif
#elif defined(__wasm_simd128__)
static hone__tier detect(void) { return HONE__WASM_SIMD128; }
#else
static hone__tier detect(void) { return HONE__SCALAR; }
#endif

static int find(const char *name)
{
    for (int i = 0; i < TIERS; i++)
        if (!strcmp(tiers[i].name, name)) return i;
    return -1;
}

#if !defined(__x86_64__) || !defined(__GNUC__)
static bool has_avxvnni(void) { return false; }
#endif

static void init(void)
{
    best = detected = detect();
    const char *cap = getenv("HONE_ISA");
    int i = cap && *cap ? find(cap) : -1;
    if (i >= 0 && tiers[i].tier < best) best = tiers[i].tier;
    if (best == HONE__AVXVNNI && !has_avxvnni()) best = HONE__AVX2;
}

bool hone__cpu_has(hone__tier tier)
{
    hone__cpu_tier();
    return tier <= detected && (tier != HONE__AVXVNNI || has_avxvnni());
}

hone__tier hone__cpu_tier(void)
{
    pthread_once(&once, init);
    return best;
}

hone_status hone__cpu_check(void)
{
    const char *cap = getenv("HONE_ISA");
    if (!cap || !*cap || find(cap) >= 0) return HONE_OK;
    return hone__fail(HONE_E_ARGUMENT,
                      "HONE_ISA is '%s'; known: scalar avx2 avxvnni avx512vnni avx512bf16 neon dotprod i8mm simd128",
                      cap);
}

const char *hone__tier_name(hone__tier tier)
{
    for (int i = 0; i < TIERS; i++)
        if (tiers[i].tier == tier) return tiers[i].name;
    return "scalar";
}

static char cpu_name[64] = "unknown CPU";
static pthread_once_t name_once = PTHREAD_ONCE_INIT;

static void read_name(void)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "model name", 10)) continue;
        const char *colon = strchr(line, ':');
        if (colon) snprintf(cpu_name, sizeof cpu_name, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (f) fclose(f);
}

const char *hone__cpu_name(void)
{
    pthread_once(&name_once, read_name);
    return cpu_name;
}
