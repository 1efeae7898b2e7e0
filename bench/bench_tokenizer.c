/* bench_tokenizer.c: a tokenizer on a text, on one thread, words forgotten between rounds. Prints a line of JSON:
 * tokens, a sum over them by which two engines are compared, and the seconds of processor time of each round. usage:
 * bench_tokenizer TOKENIZER TEXT [rounds] [lines]     (lines: every line is a text of its own) */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/file.h"
#include "text/tokenizer.h"
#include "tools/import/tokenizer/tokenizer_import.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void check(hone_status s, const char *what)
{
    if (s == HONE_OK) return;
    fprintf(stderr, "%s: %s\n", what, hone_error_message());
    exit(1);
}

static void encode(const hone__tokenizer *t, const char *text, size_t size, bool lines, hone__token_list *list)
{
    const char *end = text + size, *stop;
    for (; text < end; text = stop + 1) {
        stop = lines ? memchr(text, '\n', (size_t)(end - text)) : end;
        if (!stop) stop = end;
        check(hone__tokenizer_encode(t, text, (size_t)(stop - text), false, list), "encode");
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    int rounds = argc > 3 ? atoi(argv[3]) : 5;
    bool lines = argc > 4;
    char *blob;
    uint8_t *text;
    size_t size;
    hone__tokenizer *t;
    check(hone__tokenizer_import(argv[1], &blob), argv[1]);
    check(hone__tokenizer_create(blob, strlen(blob), &t), argv[1]);
    check(hone__file_read(argv[2], (size_t)1 << 30, &text, &size), argv[2]);
    uint64_t sum = 0;
    size_t count = 0;
    printf("{\"seconds\": [");
    for (int i = 0; i < rounds; i++) {
        hone__token_list list = {0};
        double start = now();
        encode(t, (const char *)text, size, lines, &list);
        printf("%s%.6f", i ? ", " : "", now() - start);
        for (size_t k = 0; !i && k < list.count; k++) sum = (sum * 31 + list.ids[k]) & 0xffffffffffff;
        count = list.count;
        hone__token_list_free(&list);
    }
    printf("], \"tokens\": %zu, \"sum\": %llu}\n", count, (unsigned long long)sum);
    hone__tokenizer_destroy(t);
    hone__free(blob);
    hone__free(text);
    return 0;
}
