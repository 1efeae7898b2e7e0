/* test_deflate_size.c: packed sizes against zlib's own, of texts made as make_deflate_reference.py makes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "text/deflate_size.h"

enum { NOISE, WORDS, LETTERS, ROUND, SKEWED, FAR_BACK, UTF8, COPIES };

static uint32_t seed;
static uint32_t draw(void) { return (seed = seed * 1664525u + 1013904223u) >> 16; }

static size_t put_char(uint8_t *to, uint32_t c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6) to[i] = 0x80 | (c & 63);
    to[0] = (uint8_t)(lead[n] | c);
    return n;
}

static uint8_t skewed(void)
{
    uint64_t at = (uint64_t)draw() << 16, left = (uint64_t)1 << 32;
    uint32_t byte = 0;
    at |= draw();
    while (byte < 40 && at < (left = left * 3 / 5)) byte++;
    return (uint8_t)(byte * 37);
}

/* More text behind text[0 .. n): how much. Room for a unit of any kind. */
static size_t more(int kind, uint8_t *text, size_t n, size_t unit)
{
    static const uint32_t scripts[4][2] = {{0x430, 32}, {0x4e00, 512}, {0x1f600, 64}, {0x61, 26}};
    uint32_t v;
    size_t count, start;
    switch (kind) {
    case NOISE: text[n] = (uint8_t)draw(); return 1;
    case WORDS:
        v = draw() % 197;
        for (uint32_t j = 0; j < 1 + v % 9; j++) text[n + j] = (uint8_t)(97 + (v * (j + 3) + j * j) % 26);
        text[n + 1 + v % 9] = ' ';
        return 2 + v % 9;
    case LETTERS: text[n] = (uint8_t)(97 + draw() % 2); return 1;
    case SKEWED: text[n] = skewed(); return 1;
    case UTF8: v = draw(); return put_char(text + n, scripts[v >> 8 & 3][0] + v % scripts[v >> 8 & 3][1]);
    case COPIES:
        count = 1 + draw() % 200;
        if (draw() % 2 || !n) {
            for (size_t j = 0; j < count; j++) text[n + j] = (uint8_t)draw();
        } else {
            start = ((size_t)draw() << 8) % n;
            for (size_t j = 0; j < count; j++) text[n + j] = text[start + j];
        }
        return count;
    default: text[n] = text[n - unit]; return 1;
    }
}

static void make(int kind, uint8_t *text, size_t size)
{
    size_t n = 0, unit = 0;
    if (kind == ROUND)
        for (unit = 1 + draw() % 99; n < unit; n++) text[n] = (uint8_t)(32 + draw() % 90);
    if (kind == FAR_BACK)
        for (unit = 32500 + draw() % 12; n < unit; n++) text[n] = (uint8_t)draw();
    while (n < size) n += more(kind, text, n, unit);
}

static void equals_zlib(void **state)
{
    (void)state;
    FILE *f = fopen(TEST_SOURCE_DIR "/tests/text/deflate_sizes.txt", "r");
    assert_non_null(f);
    int kind, lines = 0;
    size_t size, want, got;
    unsigned first;
    for (; fscanf(f, "%d %zu %u %zu", &kind, &size, &first, &want) == 4; lines++) {
        uint8_t *text = malloc(size + 40000), *exact = malloc(size + !size);
        seed = first;
        make(kind, text, size);
        memcpy(exact, text, size);
        assert_int_equal(hone__deflate_size((char *)exact, size, &got), HONE_OK);
        if (got != want) fail_msg("kind %d, %zu bytes: %zu, zlib makes %zu", kind, size, got, want);
        free(text);
        free(exact);
    }
    fclose(f);
    assert_true(lines > 100);
}

static void known_texts(void **state)
{
    static const struct {
        const char *text;
        size_t want;
    } cases[] = {{"", 8},
                 {" Thank you.", 19},
                 {"And so my fellow Americans, ask not what your country can do for you, ask what you can do for your "
                  "country.",
                  79},
                 {"Спасибо. Спасибо. Спасибо. Спасибо.", 29}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t got;
        assert_int_equal(hone__deflate_size(cases[i].text, strlen(cases[i].text), &got), HONE_OK);
        assert_int_equal(got, cases[i].want);
    }
}

static void *nothing(void *ctx, void *block, size_t old_size, size_t new_size)
{
    (void)ctx, (void)block, (void)old_size, (void)new_size;
    return NULL;
}

static void out_of_memory(void **state)
{
    size_t got = 7;
    (void)state;
    hone_set_allocator(&(hone_allocator){.resize = nothing});
    hone_status s = hone__deflate_size("text", 4, &got);
    hone_set_allocator(NULL);
    assert_int_equal(s, HONE_E_MEMORY);
    assert_int_equal(got, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_zlib), cmocka_unit_test(known_texts),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
