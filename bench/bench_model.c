/* bench_model.c: one model on seeded random input in this process: load, first run, median of many, per node times.
 * usage: bench_model MODEL.onnx [runs] [threads] [profile] */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hone/hone.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, hone_error_message());
    exit(1);
}

static long peak_kb(void)
{
    char line[128];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %ld", &kb) == 1) break;
    if (f) fclose(f);
    return kb;
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    int runs = argc > 2 ? atoi(argv[2]) : 200, profile = argc > 4;
    hone_session_options o = {.threads = argc > 3 ? atoi(argv[3]) : 0, .profile = profile};
    double start = now();
    hone_model *m;
    hone_session *s;
    if (hone_model_open(argv[1], &m) || hone_session_create(m, &o, &s)) die(argv[1]);
    double ready = now();
    size_t ins = hone_model_input_count(m), outs = hone_model_output_count(m);
    hone_tensor *in = calloc(ins, sizeof *in), *out = calloc(outs, sizeof *out);
    unsigned seed = 1;
    for (size_t i = 0; i < ins; i++) {
        hone_value_info v;
        hone_model_input(m, i, &v);
        in[i] = (hone_tensor){.dtype = v.dtype, .rank = v.rank, .bytes = 4};
        for (int k = 0; k < v.rank; k++) in[i].bytes *= (size_t)(in[i].dims[k] = v.dims[k] < 0 ? 1 : v.dims[k]);
        in[i].bytes *= 2; /* room for int64 */
        in[i].data = calloc(1, in[i].bytes);
        for (size_t k = 0; v.dtype == HONE_F32 && k < in[i].bytes / 8; k++) {
            seed = seed * 1664525u + 1013904223u;
            ((float *)in[i].data)[k] = (float)(seed >> 8) / 8388608.0f - 1;
        }
    }
    double *ms = calloc((size_t)runs, sizeof *ms), first = now();
    if (hone_session_run(s, in, ins, out, outs)) die("run");
    first = now() - first;
    for (int i = 0; i < runs; i++) {
        double t = now();
        if (hone_session_run(s, in, ins, out, outs)) die("run");
        ms[i] = now() - t;
    }
    qsort(ms, (size_t)runs, sizeof *ms, by_value);
    printf("load %.3f first %.3f median %.4f min %.4f p90 %.4f ms, peak %.1f MB, activations %.2f MB\n", ready - start,
           first, ms[runs / 2], ms[0], ms[runs * 9 / 10], (double)peak_kb() / 1024,
           (double)hone_session_memory(s) / 1e6);
    hone_node_time t;
    for (size_t i = 0; profile && hone_session_time(s, i, &t) == HONE_OK; i++)
        if (t.calls) printf("%9.2f us  %-24s %s\n", t.seconds / (double)t.calls * 1e6, t.op, t.name);
    hone_session_destroy(s);
    hone_model_destroy(m);
    return 0;
}
