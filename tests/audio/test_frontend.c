/* test_frontend.c: features against librosa, Keras, TensorFlow and openai-whisper's recipe, and hostile descriptions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <locale.h>

#include <cmocka.h>

#include "audio/frontend.h"
#include "base/alloc.h"
#include "audio_signal.h"

enum { SAMPLES = 4000, CASES = 12 };

static char *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *data = malloc(1 << 20);
    *n = fread(data, 1, 1 << 20, f);
    assert_true(*n > 0 && *n < 1 << 20);
    fclose(f);
    return data;
}

static const char *take(const char **at, uint32_t *n)
{
    memcpy(n, *at, 4);
    const char *s = *at + 4;
    *at = s + *n;
    return s;
}

static int allocations;
static void *counting(void *ctx, void *block, size_t old_size, size_t new_size)
{
    (void)ctx, (void)old_size;
    if (new_size) {
        allocations++;
        return realloc(block, new_size);
    }
    free(block);
    return NULL;
}

static void compare(const char *name, size_t name_length, hone__frontend *f, const float *want, uint32_t count)
{
    float pcm[SAMPLES], *got = malloc(count * sizeof *got);
    double worst = 0;
    make_signal(pcm, SAMPLES);
    assert_int_equal(hone__frontend_values(f), count);
    int before = allocations;
    assert_int_equal(hone__frontend_run(f, pcm, SAMPLES, got), HONE_OK);
    assert_int_equal(allocations, before);
    for (uint32_t i = 0; i < count; i++) {
        double off = fabs((double)got[i] - (double)want[i]);
        if (!(off <= worst)) worst = off;
    }
    free(got);
    if (!(worst <= 1e-4)) fail_msg("%.*s: differs by %g", (int)name_length, name, worst);
}

static void equals_other_implementations(void **state)
{
    (void)state;
    size_t size;
    uint32_t name_length, text_length, count;
    char *data = read_all(TEST_SOURCE_DIR "/tests/audio/reference/features.bin", &size);
    const char *at = data;
    int cases = 0;
    hone_allocator counter = {counting, NULL};
    for (; at < data + size; cases++) {
        const char *name = take(&at, &name_length), *text = take(&at, &text_length);
        memcpy(&count, at, 4);
        float *want = malloc(count * sizeof *want + 1);
        memcpy(want, at + 4, count * sizeof *want);
        at += 4 + count * sizeof *want;
        hone__frontend_config config, again;
        hone__frontend *f;
        hone_set_allocator(&counter);
        if (hone__frontend_parse(text, text_length, &config)) fail_msg("%s", hone_error_message());
        assert_int_equal(hone__frontend_create(&config, &f), HONE_OK);
        compare(name, name_length, f, want, count);
        hone__frontend_destroy(f);
        hone_set_allocator(NULL);
        char printed[8192];
        size_t needed;
        hone__frontend_print(&config, printed, sizeof printed, &needed);
        assert_int_equal(needed, strlen(printed) + 1);
        assert_int_equal(hone__frontend_parse(printed, needed - 1, &again), HONE_OK);
        char reprinted[8192];
        hone__frontend_print(&again, reprinted, sizeof reprinted, &needed);
        assert_string_equal(printed, reprinted);
        free(want);
    }
    assert_int_equal(cases, CASES);
    free(data);
}

static void nonsense_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"mels=0", "mels"},
        {"mels=1e9", "mels"},
        {"mels=nan", "mels"},
        {"mels=", "mels"},
        {"mels=40.5", "mels"},
        {"mels=0x10", "mels"},
        {"sample_rate=-1", "sample_rate"},
        {"sample_rate=99999999999999999999", "sample_rate"},
        {"hop_length=0", "hop_length"},
        {"fft_length=256", "frame_length"},
        {"fmin=9000", "fmin"},
        {"fmax=inf", "fmax"},
        {"fmax=8001", "fmax"},
        {"log_floor=0", "log_floor"},
        {"window=square", "window"},
        {"window=han", "window"},
        {"kind=mfcc\nn_mfcc=81", "n_mfcc"},
        {"mean=1,2", "mean"},
        {"std=0", "std"},
        {"std=1,", "std"},
        {"clip_samples=100", "clip_samples"},
        {"clip_samples=268435456\nhop_length=1\nmels=512", "frames"},
        {"mels=40\nmels=40", "line 2"},
        {"colour=red", "colour"},
        {"mels", "key=value"},
        {"=", "unknown key"},
        {"kind=spectrogram\nmean=1,2", "mean"},
        {"kind=spectrogram\nfft_length=1048576\nhop_length=1\nclip_samples=268435456\npad=zero", "frames"},
        {"pad=reflect\nclip_samples=200\nmels=4", "clip_samples"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone__frontend_config config;
        assert_int_equal(hone__frontend_parse(bad[i].text, strlen(bad[i].text), &config), HONE_E_FORMAT);
        if (!strstr(hone_error_message(), bad[i].says)) fail_msg("%s: %s", bad[i].text, hone_error_message());
    }
}

/* A program whose locale writes 0,5 reads and writes the same text. */
static void locale_does_not_matter(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "es_ES.UTF-8", "it_IT.UTF-8"};
    const char *found = NULL;
    for (int i = 0; i < 5 && !found; i++) found = setlocale(LC_NUMERIC, names[i]);
    if (!found) {
        print_message("skipped: no locale with a decimal comma is installed\n");
        skip();
    }
    hone__frontend_config config;
    char printed[8192];
    size_t needed;
    static const char text[] = "preemphasis=0.97\nmean=1.5";
    hone_status s = hone__frontend_parse(text, sizeof text - 1, &config);
    hone__frontend_print(&config, printed, sizeof printed, &needed);
    setlocale(LC_NUMERIC, "C");
    assert_int_equal(s, HONE_OK);
    assert_true(config.preemphasis == 0.97 && config.mean[0] == 1.5f);
    assert_non_null(strstr(printed, "preemphasis=0.97\n"));
}

static void clips_are_checked(void **state)
{
    (void)state;
    hone__frontend_config config;
    hone__frontend *f;
    hone__frontend_default(&config);
    config.clip_samples = 4000;
    config.channel_axis = HONE__CHANNEL_LAST;
    assert_int_equal(hone__frontend_create(&config, &f), HONE_OK);
    int64_t dims[3];
    int rank;
    hone__frontend_shape(&config, dims, &rank);
    assert_int_equal(rank, 3);
    assert_int_equal(dims[0] * dims[1] * dims[2], hone__frontend_values(f));
    assert_int_equal(dims[1], 80);
    float *out = malloc(hone__frontend_values(f) * sizeof *out), *pcm = calloc(4001, sizeof *pcm);
    assert_int_equal(hone__frontend_run(f, pcm, 0, out), HONE_E_FORMAT);
    assert_int_equal(hone__frontend_run(f, pcm, 4001, out), HONE_E_ARGUMENT);
    pcm[0] = 1;
    assert_int_equal(hone__frontend_run(f, pcm, 1, out), HONE_OK);
    for (size_t i = 0; i < hone__frontend_values(f); i++) assert_true(isfinite(out[i]));
    pcm[123] = NAN;
    assert_int_equal(hone__frontend_run(f, pcm, 4000, out), HONE_E_FORMAT);
    assert_non_null(strstr(hone_error_message(), "sample 123"));
    pcm[123] = -INFINITY;
    assert_int_equal(hone__frontend_run(f, pcm, 4000, out), HONE_E_FORMAT);
    hone__frontend_destroy(f);
    config.log = HONE__LOG_NONE;
    assert_int_equal(hone__frontend_create(&config, &f), HONE_OK);
    for (size_t i = 0; i < 4000; i++) pcm[i] = i % 2 ? 3e38f : -3e38f;
    assert_int_equal(hone__frontend_run(f, pcm, 4000, out), HONE_E_FORMAT);
    assert_non_null(strstr(hone_error_message(), "too large"));
    free(pcm);
    free(out);
    hone__frontend_destroy(f);
}

/* Every allocation of create fails once. */
static int until_failure;
static void *failing(void *ctx, void *block, size_t old_size, size_t new_size)
{
    if (new_size && until_failure-- <= 0) return NULL;
    return counting(ctx, block, old_size, new_size);
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    hone__frontend_config config;
    hone__frontend *f;
    hone__frontend_default(&config);
    config.kind = HONE__FEATURE_MFCC;
    config.stft.fft_length = 514; /* 257 is prime: Bluestein, too */
    hone_allocator allocator = {failing, NULL};
    for (int n = 0; n < 100; n++) {
        until_failure = n;
        hone_set_allocator(&allocator);
        hone_status s = hone__frontend_create(&config, &f);
        if (s == HONE_OK) hone__frontend_destroy(f);
        hone_set_allocator(NULL);
        if (s == HONE_OK) {
            assert_true(n > 5);
            return;
        }
        assert_int_equal(s, HONE_E_MEMORY);
        assert_null(f);
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_other_implementations), cmocka_unit_test(nonsense_is_named),
        cmocka_unit_test(locale_does_not_matter),       cmocka_unit_test(clips_are_checked),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
