/* replay.c: runs a fuzz target over the files of a folder, and over every file cut at sampled lengths and with sampled
 * bits flipped. Passes when nothing crashes. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CUTS = 120, FLIPS = 240 };

static size_t mutated(const uint8_t *data, size_t size)
{
    size_t runs = 0;
    uint8_t *copy = malloc(size + 1);
    uint32_t seed = 12345;
    if (!copy) return 0;
    for (size_t i = 0; i < CUTS && i < size; i++, runs++) {
        size_t n = size <= CUTS ? i : (size_t)((double)size * (double)i / CUTS);
        uint8_t *exact = malloc(n + 1); /* of its own size, so that a sanitizer sees every byte too far */
        if (!exact) break;
        memcpy(exact, data, n);
        uint8_t *tight = n ? realloc(exact, n) : exact;
        LLVMFuzzerTestOneInput(tight ? tight : exact, n);
        free(tight ? tight : exact);
    }
    for (size_t i = 0; i < FLIPS && size; i++, runs++) {
        seed = seed * 1664525u + 1013904223u;
        size_t at = (size_t)(seed >> 8) % (i % 2 ? size : size < 512 ? size : 512);
        memcpy(copy, data, size);
        copy[at] ^= (uint8_t)(1u << (seed & 7));
        LLVMFuzzerTestOneInput(copy, size);
    }
    free(copy);
    return runs;
}

int main(int argc, char **argv)
{
    size_t files = 0, runs = 0;
    DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "no corpus in %s\n", argc > 1 ? argv[1] : "(none given)");
        return 1;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        char path[4096];
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        FILE *f = fopen(path, "rb");
        if (!f) continue;
        uint8_t *data = malloc(1 << 22);
        size_t n = data ? fread(data, 1, 1 << 22, f) : 0;
        fclose(f);
        LLVMFuzzerTestOneInput(data, n);
        runs += 1 + mutated(data, n);
        files++;
        free(data);
    }
    closedir(dir);
    printf("%zu files, %zu inputs\n", files, runs);
    return files ? 0 : 1;
}
