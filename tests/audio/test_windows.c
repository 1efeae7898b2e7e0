/* test_windows.c: windows of every length and hop over short signals, pushed in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audio/windows.h"

/* Checks the windows that are ready; *next is the start that is expected. Returns the end of the last one. */
static uint64_t check_ready(hone__windows *w, int end, size_t length, size_t hop, size_t n, uint64_t *next,
                            uint64_t covered)
{
    const float *samples;
    size_t count;
    uint64_t start;
    while (hone__windows_next(w, end, &samples, &count, &start)) {
        assert_int_equal(start, *next);
        assert_true(count == length || (end && start + count == n));
        for (size_t i = 0; i < count; i++) assert_true(samples[i] == (float)(start + i));
        assert_true(start + count > covered);
        covered = start + count;
        *next += hop;
    }
    return covered;
}

static void slide(size_t length, size_t hop, size_t n, size_t step)
{
    float signal[64];
    hone__windows *w;
    uint64_t next = 0, covered = 0;
    for (size_t i = 0; i < n; i++) signal[i] = (float)i;
    assert_int_equal(hone__windows_create(length, hop, &w), HONE_OK);
    for (size_t at = 0; at < n;) {
        size_t some = n - at < step ? n - at : step;
        at += hone__windows_push(w, signal + at, some);
        covered = check_ready(w, 0, length, hop, n, &next, covered);
    }
    covered = check_ready(w, 1, length, hop, n, &next, covered);
    /* every sample was seen, or lies in a gap between windows */
    if (hop <= length)
        assert_int_equal(covered, n);
    else
        assert_true(covered == n || n - covered <= hop - length);
    hone__windows_destroy(w);
}

static void covers_all(void **state)
{
    (void)state;
    for (size_t length = 1; length <= 6; length++)
        for (size_t hop = 1; hop <= 8; hop++)
            for (size_t n = 0; n <= 20; n++)
                for (size_t step = 1; step <= 21; step += 4) slide(length, hop, n, step);
}

static void refuses_sizes(void **state)
{
    (void)state;
    hone__windows *w;
    assert_int_equal(hone__windows_create(0, 1, &w), HONE_E_ARGUMENT);
    assert_int_equal(hone__windows_create(1, 0, &w), HONE_E_ARGUMENT);
    assert_int_equal(hone__windows_create(SIZE_MAX, 1, &w), HONE_E_ARGUMENT);
    assert_null(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(covers_all), cmocka_unit_test(refuses_sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
