/* test_resample.c: tones keep their height and place, what would alias is 100 dB down, soxr agrees, any cut into
 * pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

#include "audio/resample.h"

static const double TAU = 6.283185307179586476925286766559;

/* Resamples in pieces of `step` samples in, `room` samples out. Returns how many came; *out is the caller's. */
static size_t resample(int from, int to, const float *in, size_t n, size_t step, size_t room, float **out)
{
    hone__resampler *r;
    size_t capacity = (size_t)((double)n * to / from) + 16, used, made, all = 0;
    assert_int_equal(hone__resampler_create(from, to, &r), HONE_OK);
    *out = malloc(capacity * sizeof **out);
    for (size_t at = 0; at < n; at += used, all += made) {
        size_t some = n - at < step ? n - at : step, space = capacity - all < room ? capacity - all : room;
        hone__resampler_push(r, in + at, some, &used, *out + all, space, &made);
        assert_true(used + made > 0);
    }
    do {
        hone__resampler_finish(r, *out + all, capacity - all < room ? capacity - all : room, &made);
        all += made;
    } while (made);
    hone__resampler_destroy(r);
    return all;
}

/* dB of (output - want) against a full tone, over the middle half; want: the tone itself, or nothing. */
static double tone_error(int from, int to, double hz, int expect_tone)
{
    size_t n = (size_t)from / 4, m, count = 0;
    float *in = calloc(n, sizeof *in), *out;
    for (size_t i = 0; i < n; i++) in[i] = (float)sin(TAU * hz * (double)i / from);
    m = resample(from, to, in, n, 1000, 777, &out);
    assert_int_equal(m, (n * (size_t)to + (size_t)from - 1) / (size_t)from);
    double sum = 0;
    for (size_t i = m / 4; i < 3 * m / 4; i++, count++) {
        double want = expect_tone ? sin(TAU * hz * (double)i / to) : 0;
        sum += (out[i] - want) * (out[i] - want);
    }
    free(in);
    free(out);
    return 10 * log10(2 * sum / (double)count);
}

static void keeps_and_removes(void **state)
{
    (void)state;
    static const int rates[][2] = {{44100, 16000}, {48000, 16000}, {8000, 16000},  {22050, 16000}, {16000, 44100},
                                   {44101, 16000}, {11025, 16000}, {16000, 15999}, {96000, 16000}, {400000, 16000}};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        int from = rates[i][0], to = rates[i][1];
        double nyquist = (from < to ? from : to) / 2.0;
        static const double kept[] = {0.05, 0.5, 0.9}, removed[] = {1.0, 1.1, 1.3};
        for (int k = 0; k < 3; k++) {
            double e = tone_error(from, to, kept[k] * nyquist, 1);
            if (!(e < -100)) fail_msg("%d -> %d: a tone of %g Hz is off by %.1f dB", from, to, kept[k] * nyquist, e);
            double hz = removed[k] * nyquist + 3;
            if (from <= to || hz >= from / 2.0) continue;
            e = tone_error(from, to, hz, 0);
            if (!(e < -100)) fail_msg("%d -> %d: a tone of %g Hz leaks %.1f dB", from, to, hz, e);
        }
    }
}

static void pieces_do_not_matter(void **state)
{
    (void)state;
    enum { N = 12000 };
    float *in = calloc(N, sizeof *in), *whole, *pieces;
    for (size_t i = 0; i < N; i++) in[i] = (float)(i * 7919 % 1000) / 500 - 1;
    size_t a = resample(44100, 16000, in, N, N, N, &whole), b = resample(44100, 16000, in, N, 1, 3, &pieces);
    assert_int_equal(a, b);
    assert_memory_equal(whole, pieces, a * sizeof *whole);
    free(whole);
    free(pieces);
    assert_int_equal(resample(44100, 16000, in, 1, 1, 10, &whole), 1);
    free(whole);
    assert_int_equal(resample(16000, 48000, in, 1, 1, 10, &whole), 3);
    assert_true(fabsf(whole[0] - in[0]) < 0.2);
    free(whole);
    free(in);
}

/* soxr's own distance from these sines is 8.2e-5; keeps_and_removes measures ours, below 1e-5 */
static void equals_soxr(void **state)
{
    (void)state;
    enum { IN = 8820, OUT = 3200, EDGE = 200 }; /* at the edges the length of the filters shows */
    static const double hz[] = {110, 997, 3001, 6700};
    float *in = calloc(IN, sizeof *in), *out, want[OUT];
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < IN; i++) in[i] += (float)(0.2 * sin(TAU * hz[k] * i / 44100 + hz[k]));
    FILE *f = fopen(TEST_SOURCE_DIR "/tests/audio/reference/resampled.bin", "rb");
    assert_non_null(f);
    assert_int_equal(fread(want, sizeof *want, OUT, f), OUT);
    fclose(f);
    assert_int_equal(resample(44100, 16000, in, IN, IN, OUT, &out), OUT);
    for (int i = EDGE; i < OUT - EDGE; i++)
        if (!(fabsf(out[i] - want[i]) < 1.2e-4f)) fail_msg("sample %d: %g, soxr has %g", i, out[i], want[i]);
    free(out);
    free(in);
}

static void refuses_rates(void **state)
{
    (void)state;
    hone__resampler *r;
    assert_int_equal(hone__resampler_create(0, 16000, &r), HONE_E_FORMAT);
    assert_int_equal(hone__resampler_create(-1, 16000, &r), HONE_E_FORMAT);
    assert_int_equal(hone__resampler_create(16000, 0, &r), HONE_E_ARGUMENT);
    assert_int_equal(hone__resampler_create(HONE__RATE_MAX + 1, 16000, &r), HONE_E_FORMAT);
    assert_int_equal(hone__resampler_create(1, 768000, &r), HONE_E_UNSUPPORTED);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_and_removes),
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(equals_soxr),
        cmocka_unit_test(refuses_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
