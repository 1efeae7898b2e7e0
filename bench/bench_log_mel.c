/* bench_log_mel.c: Whisper's features of 30 s of sound on one thread. Prints a line of JSON: the fastest and the median
 * milliseconds of a run, of which the limit is a part. usage: bench_log_mel [mels] [runs] [SAMPLES OUT]
 * SAMPLES: a file of float32, taken instead of noise, 16 kHz; OUT: where its features go, float32 [mels][frames]. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "audio/log_mel.h"
#include "base/alloc.h"
#include "base/file.h"

enum { WINDOW = 30 * HONE__LOG_MEL_RATE };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void check(hone_status s, const char *what)
{
    if (s == HONE_OK) return;
    fprintf(stderr, "%s: %s\n", what, hone_error_message());
    exit(1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static float *noise(void)
{
    float *x = malloc(WINDOW * sizeof *x);
    unsigned seed = 1;
    for (size_t i = 0; x && i < WINDOW; i++)
        x[i] = (float)((seed = seed * 1664525u + 1013904223u) >> 16) / 65536 - 0.5f;
    return x;
}

int main(int argc, char **argv)
{
    size_t mels = argc > 1 ? (size_t)atoi(argv[1]) : 80, size = 0, n = WINDOW;
    int runs = argc > 2 ? atoi(argv[2]) : 50;
    if (runs < 1 || argc == 4) return 2;
    hone__log_mel *m;
    uint8_t *file = NULL;
    check(hone__log_mel_create(mels, &m), "log_mel");
    if (argc > 4) check(hone__file_read(argv[3], (size_t)1 << 30, &file, &size), argv[3]);
    if (file) n = size / sizeof(float);
    float *pcm = file ? (float *)(void *)file : noise();
    size_t frames = n / HONE__LOG_MEL_HOP;
    float *out = malloc(mels * frames * sizeof *out + 1);
    double *ms = malloc((size_t)runs * sizeof *ms);
    if (!pcm || !out || !ms) return 1;
    for (int i = 0; i < runs; i++) {
        double start = now();
        float largest = hone__log_mel_run(m, pcm, 0, n, 0, frames, out, frames);
        hone__log_mel_limit(out, mels * frames, largest);
        ms[i] = now() - start;
    }
    qsort(ms, (size_t)runs, sizeof *ms, by_size);
    printf("{\"mels\": %zu, \"seconds\": %g, \"fastest_ms\": %.4f, \"median_ms\": %.4f}\n", mels,
           (double)n / HONE__LOG_MEL_RATE, ms[0], ms[runs / 2]);
    FILE *f = argc > 4 ? fopen(argv[4], "wb") : NULL;
    if (f) fwrite(out, sizeof *out, mels * frames, f);
    if (argc > 4 && (!f || fclose(f))) return 1;
    hone__log_mel_destroy(m);
    free(out);
    free(ms);
    if (file)
        hone__free(file);
    else
        free(pcm);
    return 0;
}
