/* test_media.c: clips of every bundled kind, standard input, features of held-out clips, damage, limits, refused
 * formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <unistd.h>

#include <cmocka.h>

#include "audio/frontend.h"
#include "tools/media/media.h"

#define ZOO TEST_SOURCE_DIR "/zoo/keywords/"
#define REFERENCE TEST_SOURCE_DIR "/tests/media/reference/"

static uint8_t *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s cannot be opened", path);
    uint8_t *data = malloc(1 << 20);
    *n = fread(data, 1, 1 << 20, f);
    fclose(f);
    return data;
}

static char scratch[64];

/* A file of these bytes; the next call replaces it. */
static const char *write_file(const void *data, size_t n)
{
    FILE *f = fopen(scratch, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
    return scratch;
}

static int make_scratch(void **state)
{
    (void)state;
    strcpy(scratch, "/tmp/hone-test-media-XXXXXX");
    int fd = mkstemp(scratch);
    return fd < 0 || close(fd);
}

static int remove_scratch(void **state)
{
    (void)state;
    return unlink(scratch);
}

static const uint8_t *take_name(const uint8_t *at, char *path, size_t size)
{
    uint32_t n;
    memcpy(&n, at, 4);
    snprintf(path, size, ZOO "%.*s", (int)n, (const char *)at + 4);
    return at + 4 + n;
}

static void decodes_as_libsndfile(void **state)
{
    (void)state;
    size_t size;
    uint8_t *data = read_file(REFERENCE "decoded.bin", &size);
    int clips = 0;
    for (const uint8_t *at = data; at < data + size; clips++) {
        char path[1024];
        uint32_t samples;
        float want[64], *got;
        size_t n;
        at = take_name(at, path, sizeof path);
        memcpy(&samples, at, 4);
        memcpy(want, at + 4, sizeof want);
        at += 4 + sizeof want;
        if (hone__media_read_all(path, 16000, NULL, &got, &n)) fail_msg("%s", hone_error_message());
        assert_int_equal(n, samples);
        for (size_t i = 0; i < 64; i++)
            if (!(fabsf(got[i * n / 64] - want[i]) < 1e-5f)) fail_msg("%s, sample %zu", path, i * n / 64);
        hone__media_free(got);
    }
    assert_int_equal(clips, 5);
    free(data);
}

static const char features_text[] =
    "sample_rate=16000\nclip_samples=16000\nframe_length=512\nhop_length=320\nfft_length=512\nframe_align=left\nmels="
    "40\n"
    "fmin=20\nfmax=7600\nlog=natural\nlog_floor=0\nlog_offset=1e-06\nchannel_axis=last\nmean=-5.8962\nstd=4.116\n";

static void features_of_held_out_clips(void **state)
{
    (void)state;
    hone__frontend_config config;
    hone__frontend *frontend;
    assert_int_equal(hone__frontend_parse(features_text, sizeof features_text - 1, &config), HONE_OK);
    assert_int_equal(hone__frontend_create(&config, &frontend), HONE_OK);
    assert_int_equal(hone__frontend_values(frontend), 49 * 40);
    size_t size, n;
    uint8_t *data = read_file(REFERENCE "keywords_features.bin", &size);
    int clips = 0;
    for (const uint8_t *at = data; at < data + size; clips++) {
        char path[1024];
        float want[49 * 40], got[49 * 40], *pcm;
        at = take_name(at, path, sizeof path) + 4;
        memcpy(want, at, sizeof want);
        at += sizeof want;
        if (hone__media_read_all(path, 16000, NULL, &pcm, &n)) fail_msg("%s", hone_error_message());
        assert_int_equal(hone__frontend_run(frontend, pcm, n, got), HONE_OK);
        for (int i = 0; i < 49 * 40; i++)
            if (!(fabsf(got[i] - want[i]) < 1e-5f))
                fail_msg("%s: value %d is %g, NumPy has %g", path, i, got[i], want[i]);
        hone__media_free(pcm);
    }
    assert_int_equal(clips, 3);
    free(data);
    hone__frontend_destroy(frontend);
}

/* Opus at 48 kHz in stereo goes through the mixing and the resampler. */
static void resamples_and_mixes(void **state)
{
    (void)state;
    hone__media *m;
    float block[1000];
    size_t got, all = 0;
    double energy = 0;
    assert_int_equal(hone__media_open(ZOO "clips/nine.opus", 16000, NULL, &m), HONE_OK);
    assert_int_equal(hone__media_channels(m), 2);
    assert_int_equal(hone__media_rate(m), 48000);
    assert_string_equal(hone__media_format(m), "ogg");
    do {
        assert_int_equal(hone__media_read(m, block, 1000, &got), HONE_OK);
        for (size_t i = 0; i < got; i++) energy += block[i] * block[i];
        all += got;
    } while (got);
    assert_int_equal(hone__media_read(m, block, 1000, &got), HONE_OK);
    assert_int_equal(got, 0);
    hone__media_close(m);
    assert_true(all >= 15990 && all <= 16010);
    assert_true(energy > 1);
}

/* A pipe gives the same samples as the file. */
static void reads_standard_input(void **state)
{
    (void)state;
    static const char *const names[] = {ZOO "clips/yes.wav", ZOO "clips/no.flac", ZOO "clips/seven.ogg",
                                        ZOO "clips/stop.mp3"};
    int kept = dup(STDIN_FILENO);
    for (int i = 0; i < 4; i++) {
        size_t size, n, piped;
        float *want, *got = NULL;
        int ends[2];
        uint8_t *data = read_file(names[i], &size);
        assert_true(size < 60000); /* fits into a pipe */
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], data, size), size);
        close(ends[1]);
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        hone_status s = hone__media_read_all("-", 16000, NULL, &got, &piped);
        dup2(kept, STDIN_FILENO);
        if (s) fail_msg("%s: %s", names[i], hone_error_message());
        assert_int_equal(hone__media_read_all(names[i], 16000, NULL, &want, &n), HONE_OK);
        assert_int_equal(n, piped);
        assert_memory_equal(want, got, n * sizeof *want);
        hone__media_free(want);
        hone__media_free(got);
        free(data);
    }
    close(kept);
}

/* Reads a file that must fail, with a message that holds the file's name and `says`. */
static void refuse(const char *path, const char *says, hone_status code)
{
    float *mono;
    size_t n;
    hone_status s = hone__media_read_all(path, 16000, NULL, &mono, &n);
    if (s != code) fail_msg("%s: status %d (%s), expected %d", says, s, s ? hone_error_message() : "", code);
    assert_null(mono);
    if (!strstr(hone_error_message(), path) || !strstr(hone_error_message(), says))
        fail_msg("'%s' does not hold '%s' and the file's name", hone_error_message(), says);
}

static void refuses_what_is_no_sound(void **state)
{
    (void)state;
    static const char playlist[] =
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
    static const char concat[] = "ffconcat version 1.0\nfile /etc/passwd\n";
    static const char sdp[] = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n";
    refuse(TEST_SOURCE_DIR "/no such file.wav", "No such file", HONE_E_IO);
    refuse(TEST_SOURCE_DIR, "is a directory", HONE_E_IO);
    refuse(TEST_SOURCE_DIR "/CMakeLists.txt", "no sound file", HONE_E_FORMAT);
    refuse(write_file("", 0), "is empty", HONE_E_FORMAT);
    refuse(write_file(playlist, sizeof playlist - 1), "no sound file", HONE_E_FORMAT);
    refuse(write_file(concat, sizeof concat - 1), "no sound file", HONE_E_FORMAT);
    refuse(write_file(sdp, sizeof sdp - 1), "no sound file", HONE_E_FORMAT);
    refuse("http://127.0.0.1:1/x.wav", "No such file", HONE_E_IO);
    refuse("concat:" ZOO "clips/yes.wav", "No such file", HONE_E_IO);
}

static void wav_edges(void **state)
{
    (void)state;
    size_t size, n;
    float *mono;
    uint8_t *data = read_file(ZOO "clips/yes.wav", &size);
    refuse(write_file(data, size - 1000), "31000", HONE_E_FORMAT);
    refuse(write_file(data, 30), "header", HONE_E_FORMAT);
    data[40] = 2, data[41] = data[42] = data[43] = 0; /* one sample */
    assert_int_equal(hone__media_read_all(write_file(data, 46), 16000, NULL, &mono, &n), HONE_OK);
    assert_int_equal(n, 1);
    hone__media_free(mono);
    assert_int_equal(hone__media_read_all(write_file(data, 46), 44100, NULL, &mono, &n), HONE_OK);
    assert_int_equal(n, 3);
    hone__media_free(mono);
    data[40] = 0;
    refuse(write_file(data, 44), "no samples", HONE_E_FORMAT);
    free(data);
}

static void nan_is_named_with_its_second(void **state)
{
    (void)state;
    size_t size;
    uint8_t *data = read_file(ZOO "clips/yes.wav", &size);
    data[20] = 3, data[32] = 4, data[34] = 32; /* float, 8,000 samples */
    memset(data + 44, 0, size - 44);
    memset(data + 44 + 4 * 4000, 0xff, 4);
    refuse(write_file(data, size), "sample 4000 is not a finite number", HONE_E_FORMAT);
    free(data);
}

static void cut_and_damaged_files(void **state)
{
    (void)state;
    size_t size, n;
    uint8_t *data = read_file(ZOO "clips/no.flac", &size);
    refuse(write_file(data, size / 2), " s", HONE_E_FORMAT);
    free(data);
    static const char *const names[] = {ZOO "clips/no.flac", ZOO "clips/seven.ogg", ZOO "clips/stop.mp3",
                                        ZOO "clips/nine.opus"};
    for (int i = 0; i < 4; i++) { /* every 29th length and every 61st byte: an error or sound, never a crash */
        data = read_file(names[i], &size);
        for (size_t cut = 0; cut < size; cut += 29 * 16) {
            float *mono;
            if (hone__media_read_all(write_file(data, cut), 16000, NULL, &mono, &n) == HONE_OK) {
                assert_true(n > 0 && n < 40000);
                hone__media_free(mono);
            } else
                assert_non_null(strstr(hone_error_message(), scratch));
        }
        for (size_t at = 0; at < size; at += 61 * 8) {
            float *mono;
            data[at] ^= 0xff;
            if (hone__media_read_all(write_file(data, size), 16000, NULL, &mono, &n) == HONE_OK) hone__media_free(mono);
            data[at] ^= 0xff;
        }
        free(data);
    }
}

static void keeps_limits(void **state)
{
    (void)state;
    hone__media_limits limits = hone__media_default_limits();
    float *mono;
    size_t n;
    static const char *const names[] = {ZOO "clips/commands.flac", ZOO "clips/yes.wav"};
    for (int i = 0; i < 2; i++) {
        limits.max_seconds = 0.5;
        assert_int_equal(hone__media_read_all(names[i], 16000, &limits, &mono, &n), HONE_E_LIMIT);
        assert_non_null(strstr(hone_error_message(), "0.5 s"));
    }
    limits = (hone__media_limits){.max_channels = 1, .max_seconds = 100};
    assert_int_equal(hone__media_read_all(ZOO "clips/nine.opus", 16000, &limits, &mono, &n), HONE_E_LIMIT);
    assert_int_equal(hone__media_read_all(ZOO "clips/yes.wav", 0, NULL, &mono, &n), HONE_E_ARGUMENT);
    assert_int_equal(hone__media_read_all(ZOO "clips/yes.wav", -5, NULL, &mono, &n), HONE_E_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_as_libsndfile),
        cmocka_unit_test(features_of_held_out_clips),
        cmocka_unit_test(resamples_and_mixes),
        cmocka_unit_test(reads_standard_input),
        cmocka_unit_test(refuses_what_is_no_sound),
        cmocka_unit_test(wav_edges),
        cmocka_unit_test(nan_is_named_with_its_second),
        cmocka_unit_test(cut_and_damaged_files),
        cmocka_unit_test(keeps_limits),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
