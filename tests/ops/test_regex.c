/* test_regex.c: patterns in RE2's syntax against whole texts; what is malformed; patterns that make backtracking
 * matchers take exponential time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "ops/regex.h"

/* -1: malformed or refused */
static int match(const char *pattern, const char *text, size_t size)
{
    hone__arena arena = {0};
    hone__regex *re;
    int found = -1;
    if (hone__regex_compile((hone__string){pattern, strlen(pattern)}, &arena, &re) == HONE_OK) {
        void *scratch = malloc(hone__regex_scratch(re));
        found = hone__regex_matches(re, (hone__string){text, size}, scratch);
        free(scratch);
    }
    hone__arena_free(&arena);
    return found;
}

static void patterns_match_whole_texts(void **state)
{
    static const struct {
        const char *pattern, *text;
        int want;
    } rows[] = {
        {"", "", 1},
        {"", "a", 0},
        {"abc", "abc", 1},
        {"abc", "abcd", 0},
        {"a|bc|", "bc", 1},
        {"a|bc|", "", 1},
        {"a|bc", "abc", 0},
        {"(a|ab)(c|bcd)(d*)", "abcd", 1},
        {"a*", "aaaa", 1},
        {"a+?", "", 0},
        {"a??b", "b", 1},
        {"a{2,3}", "a", 0},
        {"a{2,3}", "aaa", 1},
        {"a{2,3}", "aaaa", 0},
        {"a{2}", "aa", 1},
        {"a{2,}b", "aaaaab", 1},
        {"a{0}b", "b", 1},
        {"(ab){2}c", "ababc", 1},
        {"a{,2}", "a{,2}", 1},
        {"a{x", "a{x", 1},
        {".", "\n", 0},
        {"(?s).", "\n", 1},
        {".", "\xc3\xa9", 1},
        {"..", "\xc3\xa9", 0},
        {".", "\xff", 0},
        {"[a-c\\d-]+", "b-7", 1},
        {"[^a-c]", "d", 1},
        {"[^a-c]", "a", 0},
        {"[]a]+", "]a", 1},
        {"[a\\]]+", "a]", 1},
        {"[\\w.]+@[\\w.]+\\.com", "a.b@c.com", 1},
        {"\\D\\S\\W", "a1-", 1},
        {"[[:alpha:][:digit:]]+", "a1B2", 1},
        {"[[:^alpha:]]", "1", 1},
        {"[\\D]+", "ab", 1},
        {"(?i)straSSe\\x{e9}", "STRasse\xc3\x89", 1},
        {"(?i:a)b", "AB", 0},
        {"(?i)[^a]", "A", 0},
        {"a(?i)b|c", "aB", 1},
        {"a(?i)b|c", "C", 1},
        {"(?P<name>a)(?<other>b)", "ab", 1},
        {"^a$", "a", 1},
        {"\\Aa\\z", "a", 1},
        {"(?m)^a$\n^b$", "a\nb", 1},
        {"^a$\n^b$", "a\nb", 0},
        {"a\\b.\\bb", "a b", 1},
        {"a\\Bb", "ab", 1},
        {"a\\bb", "ab", 0},
        {"\\Qa.b\\E+", "a.b+", 0},
        {"\\Qa.*\\E{2}", "a.**", 1},
        {"\\Q\\Ea", "a", 1},
        {"\\Qa.b\\Ec", "a.bc", 1},
        {"\\x41\\n\\t\\.\\101", "A\n\t.A", 1},
        {"(?:a|b)*c", "ababc", 1},
        {"a**", "a", -1},
        {"*a", "a", -1},
        {"(a", "a", -1},
        {"a)", "a", -1},
        {"[a", "a", -1},
        {"[b-a]", "a", -1},
        {"\\", "a", -1},
        {"\\1", "a", -1},
        {"\\pL", "a", -1},
        {"\\y", "a", -1},
        {"a{3,2}", "a", -1},
        {"a{1001}", "a", -1},
        {"(?x)a", "a", -1},
        {"(((a{1000}){1000}){1000})", "a", -1},
        {"((((){1000}){1000}){1000})", "a", -1},
        {"((?P<n>)", "a", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int got = match(rows[i].pattern, rows[i].text, strlen(rows[i].text));
        if (got != rows[i].want) fail_msg("'%s' on '%s': %d", rows[i].pattern, rows[i].text, got);
    }
}

static void no_pattern_takes_exponential_time(void **state)
{
    static char text[20001];
    static const char *const patterns[] = {"(a*)*b", "(a|aa)+b", "(a|a?)+b", "(.*)(.*)(.*)(.*)(.*)b",
                                           "a?a?a?a?a?a?a?a?a?a?a*b"};
    (void)state;
    memset(text, 'a', sizeof text - 1);
    clock_t start = clock();
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        assert_int_equal(match(patterns[i], text, 20000), 0);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5);
}

static void utf8_goes_there_and_back(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char text[4];
        if (!hone__utf8_valid(c)) continue;
        size_t n = hone__utf8_put(c, text);
        const char *p = text;
        if (hone__utf8_take(&p, text + n) != c || p != text + n) fail_msg("%x", (unsigned)c);
    }
    for (const char *const *s =
             (const char *const[]){"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", NULL};
         *s; s++) {
        const char *p = *s;
        assert_true(hone__utf8_take(&p, *s + strlen(*s)) & HONE__UTF8_BAD);
        assert_true(p == *s + 1);
    }
    /* A, E acute, ij ligature, sigma, final sigma, sharp s, dotless i, Cyrillic, Armenian, long s */
    static const uint32_t lower[][2] = {{'A', 'a'},     {0xc9, 0xe9},   {0x132, 0x133}, {0x3a3, 0x3c3},
                                        {0x410, 0x430}, {0x531, 0x561}, {0x1e9e, 0xdf}};
    static const uint32_t upper[][2] = {{'z', 'Z'},   {0xff, 0x178}, {0x3c2, 0x3a3},  {0xdf, 0xdf},
                                        {0x131, 'I'}, {0x17f, 'S'},  {0x10d0, 0x1c90}};
    for (size_t i = 0; i < sizeof lower / sizeof *lower; i++) assert_int_equal(hone__lower(lower[i][0]), lower[i][1]);
    for (size_t i = 0; i < sizeof upper / sizeof *upper; i++) assert_int_equal(hone__upper(upper[i][0]), upper[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_whole_texts),
        cmocka_unit_test(no_pattern_takes_exponential_time),
        cmocka_unit_test(utf8_goes_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
