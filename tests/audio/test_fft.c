/* test_fft.c: the real transform against its definition, for lengths of every kind of factor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

#include "kernels/fft/fft.h"

static const double TAU = 6.283185307179586476925286766559;

/* Relative error of the whole spectrum, in the 2-norm; the definition is summed with exact angles. */
static double error_at(size_t n)
{
    hone__fft *plan;
    assert_int_equal(hone__fft_create(n, &plan), HONE_OK);
    size_t scratch_size = hone__fft_scratch(plan);
    double *x = malloc(n * sizeof *x), *s = malloc((n + 2) * sizeof *s),
           *scratch = malloc(scratch_size * sizeof *scratch);
    uint32_t seed = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (double)(seed >> 8) / (1 << 24) - 0.5;
    }
    hone__fft_real(plan, x, s, scratch);
    double off = 0, all = 0;
    for (size_t k = 0; k <= n / 2; k++) {
        double re = 0, im = 0;
        for (size_t t = 0; t < n; t++) {
            double a = TAU * (double)(k * t % n) / (double)n;
            re += x[t] * cos(a);
            im -= x[t] * sin(a);
        }
        off += (re - s[2 * k]) * (re - s[2 * k]) + (im - s[2 * k + 1]) * (im - s[2 * k + 1]);
        all += re * re + im * im;
    }
    free(x);
    free(s);
    free(scratch);
    hone__fft_destroy(plan);
    return sqrt(off / all);
}

static void equals_definition(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 130; n++)
        if (!(error_at(n) < 1e-13)) fail_msg("length %zu: %g", n, error_at(n));
    static const size_t lengths[] = {160, 200, 256, 320, 400, 441, 480, 512, 551, 640, 800, 961, 1009, 1018, 1024};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        if (!(error_at(lengths[i]) < 1e-13)) fail_msg("length %zu: %g", lengths[i], error_at(lengths[i]));
}

static void refuses_lengths(void **state)
{
    (void)state;
    hone__fft *plan;
    assert_int_equal(hone__fft_create(0, &plan), HONE_E_ARGUMENT);
    assert_int_equal(hone__fft_create(HONE__FFT_MAX + 1, &plan), HONE_E_ARGUMENT);
    assert_int_equal(hone__fft_create(SIZE_MAX, &plan), HONE_E_ARGUMENT);
    assert_null(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_definition), cmocka_unit_test(refuses_lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
