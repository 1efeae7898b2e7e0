/* test_log_mel.c: Whisper's features in every tier, against openai-whisper's and against the transform's definition. */
#include "tests/kernels/kernel_test.h"

#include "audio/log_mel.h"
#include "audio_signal.h"
#include "kernels/fft/fft.h"
#include "kernels/fft/mel400.h"

enum { SAMPLES = 6100, FRAMES = 40, HOP = HONE__LOG_MEL_HOP };

static hone__log_mel *open_mel(size_t mels)
{
    hone__log_mel *m;
    assert_int_equal(hone__log_mel_create(mels, &m), HONE_OK);
    return m;
}

static void equals_whisper(void **state)
{
    (void)state;
    static float pcm[SAMPLES], got[128 * FRAMES], want[128 * FRAMES];
    make_signal(pcm, SAMPLES);
    FILE *f = fopen(TEST_SOURCE_DIR "/tests/audio/reference/log_mel.bin", "rb");
    assert_non_null(f);
    for (size_t mels = 80; mels <= 128; mels += 48) {
        hone__log_mel *m = open_mel(mels);
        assert_int_equal(fread(want, sizeof *want, mels * FRAMES, f), mels * FRAMES);
        hone__log_mel_limit(got, mels * FRAMES, hone__log_mel_run(m, pcm, 0, SAMPLES, 0, FRAMES, got, FRAMES));
        for (size_t i = 0; i < mels * FRAMES; i++)
            if (!(fabsf(got[i] - want[i]) < 1e-4f))
                fail_msg("band %zu of %zu, frame %zu: %g, expected %g", i / FRAMES, mels, i % FRAMES, (double)got[i],
                         (double)want[i]);
        hone__log_mel_destroy(m);
    }
    fclose(f);
}

/* Bands of one bin each show the spectrum. */
static void powers_are_right(void **state)
{
    (void)state;
    static hone__mel400 plan;
    static uint16_t first[HONE__MEL400_BINS], count[HONE__MEL400_BINS];
    static float ones[HONE__MEL400_BINS], out[HONE__MEL400_BINS * 19];
    for (uint16_t k = 0; k < HONE__MEL400_BINS; k++) first[k] = k, count[k] = 1, ones[k] = 1;
    for (size_t i = 0; i < HONE__MEL400_LENGTH; i++) plan.window[i] = uniform(-1, 1);
    plan.mels = HONE__MEL400_BINS, plan.first = first, plan.count = count, plan.weights = ones;
    hone__mel400_twiddles(&plan);
    guarded x = guarded_new((31 * HOP + HONE__MEL400_LENGTH) * sizeof(float));
    fill_f32(x.data, 31 * HOP + HONE__MEL400_LENGTH, -1, 1);
    float *scratch = scratch_new(HONE__MEL400_SCRATCH * sizeof(float));
    float largest = hone__mel400_run(&plan, x.data, 19, out, 19, scratch), seen = -10;
    scratch_free(scratch, HONE__MEL400_SCRATCH * sizeof(float));
    hone__fft *fft;
    assert_int_equal(hone__fft_create(HONE__MEL400_LENGTH, &fft), HONE_OK);
    double *rest = malloc(hone__fft_scratch(fft) * sizeof *rest), frame[HONE__MEL400_LENGTH], s[2 * HONE__MEL400_BINS];
    for (size_t t = 0; t < 19; t++) {
        double top = 0;
        for (size_t i = 0; i < HONE__MEL400_LENGTH; i++)
            frame[i] = (double)((float *)x.data)[t * HOP + i] * plan.window[i];
        hone__fft_real(fft, frame, s, rest);
        for (size_t k = 0; k < HONE__MEL400_BINS; k++)
            top = fmax(top, s[2 * k] * s[2 * k] + s[2 * k + 1] * s[2 * k + 1]);
        for (size_t k = 0; k < HONE__MEL400_BINS; k++) {
            double want = s[2 * k] * s[2 * k] + s[2 * k + 1] * s[2 * k + 1], got = pow(10, out[k * 19 + t]);
            if (!(fabs(got - want) < 1e-6 * top + 2e-6 * want))
                fail_msg("bin %zu of frame %zu: %g, expected %g", k, t, got, want);
            seen = fmaxf(seen, out[k * 19 + t]);
        }
    }
    assert_true(seen == largest);
    free(rest);
    hone__fft_destroy(fft);
    guarded_free(&x);
}

/* A long sound in windows, of which each has the samples that it needs and no more. */
static void pieces_equal_the_whole(void **state)
{
    (void)state;
    enum { LONG = 90, MELS = 80, N = LONG * HOP + 77 };
    static float whole[MELS * LONG], part[MELS * LONG];
    float *pcm = malloc(N * sizeof *pcm);
    make_signal(pcm, N);
    hone__log_mel *m = open_mel(MELS);
    float largest = hone__log_mel_run(m, pcm, 0, N, 0, LONG, whole, LONG);
    for (int round = 0; round < 60; round++) {
        float top = -INFINITY;
        for (size_t at = 0, n; at < LONG; at += n) {
            n = pick(1, LONG - at < 50 ? LONG - at : 50);
            size_t begin = at * HOP > HONE__LOG_MEL_REACH ? at * HOP - HONE__LOG_MEL_REACH : 0,
                   end = (at + n - 1) * HOP + HONE__LOG_MEL_REACH;
            if (end > N) end = N;
            guarded x = guarded_new((end - begin) * sizeof *pcm);
            memcpy(x.data, pcm + begin, (end - begin) * sizeof *pcm);
            float here = hone__log_mel_run(m, x.data, begin, end - begin, at, n, part + at, LONG);
            top = fmaxf(top, here);
            guarded_free(&x);
        }
        assert_memory_equal(part, whole, sizeof whole);
        assert_true(top == largest);
    }
    hone__log_mel_destroy(m);
    free(pcm);
}

static void what_is_no_sample(void **state)
{
    (void)state;
    enum { MELS = 80, N = 3000, COUNT = N / HOP };
    static const float odd[] = {NAN, INFINITY, -INFINITY, -NAN, 1e30f, -3e38f};
    static float x[N], y[N], a[MELS * COUNT], b[MELS * COUNT];
    make_signal(x, N);
    memcpy(y, x, sizeof x);
    for (size_t i = 0; i < N; i += 1 + i % 37) x[i] = 0, y[i] = odd[i % 6];
    hone__log_mel *m = open_mel(MELS);
    float largest = hone__log_mel_run(m, x, 0, N, 0, COUNT, a, COUNT);
    assert_true(hone__log_mel_run(m, y, 0, N, 0, COUNT, b, COUNT) == largest);
    assert_memory_equal(a, b, sizeof a);
    for (size_t i = 0; i < N; i++) y[i] = 0.99e15f * (i % 2 ? -1 : 1);
    assert_true(isfinite(hone__log_mel_run(m, y, 0, N, 0, COUNT, b, COUNT)));
    for (size_t i = 0; i < MELS * COUNT; i++) assert_true(isfinite(b[i]));
    assert_true(hone__log_mel_run(m, NULL, 0, 0, 5, 3, b, COUNT) == log10f(1e-10f)); /* silence */
    hone__log_mel_destroy(m);
}

static void refuses(void **state)
{
    (void)state;
    hone__log_mel *m;
    assert_int_equal(hone__log_mel_create(0, &m), HONE_E_ARGUMENT);
    assert_int_equal(hone__log_mel_create(513, &m), HONE_E_ARGUMENT);
    assert_null(m);
    m = open_mel(512);
    hone__log_mel_destroy(m);
    hone__log_mel_destroy(NULL);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {cmocka_unit_test(equals_whisper), cmocka_unit_test(powers_are_right),
                                      cmocka_unit_test(pieces_equal_the_whole), cmocka_unit_test(what_is_no_sample),
                                      cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
