/* replay.c: runs a fuzz target over the files of a folder, and over every file cut at sampled lengths and with sampled
 * bits flipped. Passes when nothing crashes; some targets also demand that a file as it is can be read (fuzz_verdict).
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Altered inputs of one file, a third of them cuts: all files of a corpus together get BUDGET of them. */
enum { BUDGET = 4000, LEAST = 9, MOST = 360 };

static size_t mutated(const uint8_t *data, size_t size, size_t each)
{
    size_t cuts = each / 3;
    size_t runs = 0;
    uint8_t *copy = malloc(size + 1);
    uint32_t seed = 12345;
    if (!copy) return 0;
    for (size_t i = 0; i < cuts && i < size; i++, runs++) {
        size_t n = size <= cuts ? i : (size_t)((double)size * (double)i / (double)cuts);
        uint8_t *exact = malloc(n + 1); /* of its own size, so that a sanitizer sees every byte too far */
        if (!exact) break;
        memcpy(exact, data, n);
        uint8_t *tight = n ? realloc(exact, n) : exact;
        LLVMFuzzerTestOneInput(tight ? tight : exact, n);
        free(tight ? tight : exact);
    }
    for (size_t i = 0; i < each - cuts && size; i++, runs++) {
        seed = seed * 1664525u + 1013904223u;
        size_t at = (size_t)(seed >> 8) % (i % 2 ? size : size < 512 ? size : 512);
        memcpy(copy, data, size);
        copy[at] ^= (uint8_t)(1u << (seed & 7));
        LLVMFuzzerTestOneInput(copy, size);
    }
    free(copy);
    return runs;
}

/* Calls fn for every regular file of a folder; returns how many there are, -1 without the folder. */
static long each_file(const char *folder, size_t (*fn)(const char *path, size_t each), size_t each, size_t *runs)
{
    long files = 0;
    DIR *dir = opendir(folder);
    if (!dir) return -1;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[4096];
        if (e->d_name[0] == '.') continue;
        files++;
        if (!fn) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        *runs += fn(path, each);
    }
    closedir(dir);
    return files;
}

static size_t one_file(const char *path, size_t each)
{
    size_t runs = 0;
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    uint8_t *data = malloc(1 << 22);
    size_t n = data ? fread(data, 1, 1 << 22, f) : 0;
    fclose(f);
    if (data) {
        const char *slash = strrchr(path, '/');
        setenv("HONE_FUZZ_SEED", slash ? slash + 1 : path, 1);
        LLVMFuzzerTestOneInput(data, n);
        unsetenv("HONE_FUZZ_SEED");
        runs = 1 + mutated(data, n, each);
    }
    free(data);
    return runs;
}

int main(int argc, char **argv)
{
    size_t runs = 0;
    const char *folder = argc > 1 ? argv[1] : "(none given)";
    long files = each_file(folder, NULL, 0, &runs);
    if (files <= 0) {
        fprintf(stderr, "no corpus in %s\n", folder);
        return 1;
    }
    size_t each = BUDGET / (size_t)files;
    each_file(folder, one_file, each < LEAST ? LEAST : each > MOST ? MOST : each, &runs);
    printf("%ld files, %zu inputs\n", files, runs);
    return runs ? 0 : 1;
}
