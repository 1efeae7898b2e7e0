/* test_vad.c: spans of speech against silero-vad's, the own detector on sounds whose speech is known, stitching and
 * mapping back, and the Silero model where it is at hand. */
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

#include "audio/wav.h"
#include "base/alloc.h"
#include "base/file.h"
#include "onnx/onnx.h"
#include "tasks/vad.h"

#define MODEL TEST_SOURCE_DIR "/../shared/data/onnx/silero-vad/silero_vad_16k_op15.onnx"
#define SOUND TEST_SOURCE_DIR "/../shared/data/onnx/silero-vad/test.wav"

enum { RATE = HONE__VAD_RATE };

typedef struct memory {
    const float *pcm;
    size_t n;
} memory;

static size_t read_memory(void *ctx, size_t at, float *to, size_t n, hone_status *status)
{
    const memory *m = ctx;
    (void)status;
    if (at >= m->n) return 0;
    if (n > m->n - at) n = m->n - at;
    memcpy(to, m->pcm + at, n * sizeof *to);
    return n;
}

static hone__sound sound_of(memory *m) { return (hone__sound){read_memory, m, m->n}; }

static void make_scores(uint32_t seed, float *scores, size_t count)
{
    for (size_t i = 0; i < count;) {
        seed = seed * 1664525u + 1013904223u;
        for (uint32_t left = 1 + (seed >> 28); left && i < count; left--)
            scores[i++] = (float)((double)((seed >> 8 & 0xffff) % 100) / 100);
    }
}

static void equals_silero_rules(void **state)
{
    (void)state;
    FILE *f = fopen(TEST_SOURCE_DIR "/tests/audio/reference/vad_spans.txt", "r");
    assert_non_null(f);
    int cases = 0;
    unsigned seed;
    size_t count, samples, spans, found = 0;
    hone__vad_options o = HONE__VAD_OPTIONS_INIT;
    while (fscanf(f, "%u %zu %zu %lf %lf %lf %lf %lf %zu", &seed, &count, &samples, &o.threshold,
                  &o.min_speech_duration_ms, &o.min_silence_duration_ms, &o.max_speech_duration_s, &o.speech_pad_ms,
                  &spans) == 9) {
        float *scores = malloc((count + 1) * sizeof *scores);
        hone__vad_spans got = {0};
        make_scores(seed, scores, count);
        o.threshold -= 1e-7; /* scores of exactly the threshold are float32 here */
        assert_int_equal(hone__vad_spans_make(&o, scores, count, 512, samples, &got), HONE_OK);
        assert_int_equal(got.count, spans);
        for (size_t i = 0; i < spans; i++) {
            size_t start, end;
            assert_int_equal(fscanf(f, "%zu %zu", &start, &end), 2);
            if (got.items[i].start != start || got.items[i].end != end)
                fail_msg("case %u, span %zu: %zu to %zu, silero-vad says %zu to %zu", seed, i, got.items[i].start,
                         got.items[i].end, start, end);
        }
        found += spans;
        cases++;
        hone__vad_spans_free(&got);
        free(scores);
    }
    fclose(f);
    assert_int_equal(cases, 60);
    assert_true(found > 100);
}

static void refuses_options(void **state)
{
    (void)state;
    const float score = 1;
    for (int i = 0; i < 7; i++) {
        hone__vad_options o = HONE__VAD_OPTIONS_INIT;
        hone__vad_spans spans = {0};
        double *fields[] = {&o.threshold,     &o.threshold,       &o.min_speech_duration_ms, &o.min_silence_duration_ms,
                            &o.speech_pad_ms, &o.samples_overlap, &o.max_speech_duration_s};
        *fields[i] = i == 1 ? 1 : i == 2 ? NAN : -1;
        assert_int_equal(hone__vad_spans_make(&o, &score, 1, 512, 512, &spans), HONE_E_ARGUMENT);
        assert_null(spans.items);
    }
}

static double noise(void)
{
    static uint32_t seed = 1;
    double sum = 0;
    for (int i = 0; i < 4; i++) sum += (double)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 24) - 0.5;
    return sum;
}

/* A voice without words: harmonics of 120 Hz through three formants that wander, four syllables a second. */
static void speak(float *to, size_t n, double level)
{
    enum { HARMONICS = 30 };
    const double tau = 6.283185307179586;
    double gains[HARMONICS] = {0};
    for (size_t i = 0; i < n; i++) {
        double s = (double)i / RATE, y = 0, wander = sin(tau * 1.3 * s);
        const double formants[3] = {550 + 200 * wander, 1500 - 400 * wander, 2600 + 100 * wander};
        for (int h = 1; h < HARMONICS; h++) {
            if (i % 64 == 0) gains[h] = 0;
            for (int k = 0; k < 3 && i % 64 == 0; k++)
                gains[h] += exp(-pow((120 * h - formants[k]) / 130, 2)) / (k + 1);
            y += gains[h] * sin(tau * 120 * h * s);
        }
        to[i] += (float)(level * y * (0.6 + 0.4 * sin(tau * 4 * s)));
    }
}

/* Speech at 1 to 3, 4 to 6.5 and 9 to 10 s of 12, over a noise. */
static const size_t known[3][2] = {{1 * RATE, 3 * RATE}, {4 * RATE, 13 * RATE / 2}, {9 * RATE, 10 * RATE}};

static void hears_speech(double hiss, double level)
{
    enum { N = 12 * RATE, MOST = RATE / 8 /* off */ };
    float *pcm = calloc(N, sizeof *pcm);
    for (size_t i = 0; i < N; i++) pcm[i] = (float)(hiss * noise());
    for (int i = 0; i < 3; i++) speak(pcm + known[i][0], known[i][1] - known[i][0], level);
    memory m = {pcm, N};
    hone__sound sound = sound_of(&m);
    hone__vad_options o = HONE__VAD_OPTIONS_INIT;
    hone__vad_spans spans = {0};
    hone__vad *v;
    assert_int_equal(hone__vad_create(NULL, NULL, &v), HONE_OK);
    assert_int_equal(hone__vad_find(v, &sound, &o, &spans), HONE_OK);
    if (spans.count != 3) fail_msg("%zu spans in a noise of %g", spans.count, hiss);
    for (int i = 0; i < 3; i++)
        for (int end = 0; end < 2; end++) {
            size_t got = end ? spans.items[i].end : spans.items[i].start, want = known[i][end];
            if (got > want + MOST || got + MOST < want)
                fail_msg("span %d, noise %g: %zu, expected %zu", i, hiss, got, want);
        }
    hone__vad_spans_free(&spans);
    hone__vad_destroy(v);
    free(pcm);
}

static void own_detector_hears_speech(void **state)
{
    (void)state;
    hears_speech(0, 0.1);
    hears_speech(0.0003, 0.01);
    hears_speech(0.01, 0.1);
    hears_speech(0.03, 0.2);
}

static void own_detector_ignores_noise(void **state)
{
    (void)state;
    enum { N = 8 * RATE + 33 };
    float *pcm = malloc(N * sizeof *pcm);
    hone__vad *v;
    assert_int_equal(hone__vad_create(NULL, NULL, &v), HONE_OK);
    for (int kind = 0; kind < 4; kind++) {
        double low = 0;
        for (size_t i = 0; i < N; i++) {
            low = 0.95 * low + noise();
            pcm[i] = kind == 0 ? 0 : kind == 1 ? (float)noise() * 0.05f : kind == 2 ? (float)low * 0.05f : NAN;
        }
        for (size_t n = 0; n <= N; n += n ? N - 1 : 1) {
            memory m = {pcm, n};
            hone__sound sound = sound_of(&m);
            hone__vad_options o = HONE__VAD_OPTIONS_INIT;
            hone__vad_spans spans = {0};
            assert_int_equal(hone__vad_find(v, &sound, &o, &spans), HONE_OK);
            if (spans.count) fail_msg("%zu spans in noise %d", spans.count, kind);
        }
    }
    hone__vad_destroy(v);
    free(pcm);
}

static void stitches_and_maps_back(void **state)
{
    (void)state;
    enum { N = 90000, GAP = 1600 };
    hone__vad_span items[] = {{1000, 5000}, {5800, 9000}, {40000, 60000}};
    hone__vad_spans spans = {items, 3, 3};
    hone__vad_options o = HONE__VAD_OPTIONS_INIT;
    hone__vad_pieces p = {0}, none = {0};
    assert_int_equal(hone__vad_stitch(&o, &spans, &p), HONE_OK);
    /* 0.1 s more of the first would reach into the second */
    static const size_t want[3][3] = {{1000, 5800, 0}, {5800, 10600, 6400}, {40000, 60000, 12800}};
    assert_int_equal(p.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(p.items[i].start, want[i][0]);
        assert_int_equal(p.items[i].end, want[i][1]);
        assert_int_equal(p.items[i].at, want[i][2]);
    }
    assert_int_equal(p.samples, 32800);
    static const size_t places[][2] = {{0, 1000},      {4799, 5799},   {4800, 5800},   {6400, 5800},   {11199, 10599},
                                       {12000, 25300}, {12800, 40000}, {32799, 59999}, {32800, 60000}, {99999, 60000}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        assert_int_equal(hone__vad_map(&p, places[i][0]), places[i][1]);
    for (size_t at = 1; at < 33000; at++) assert_true(hone__vad_map(&p, at) >= hone__vad_map(&p, at - 1));

    float *pcm = malloc(N * sizeof *pcm), *got = malloc(p.samples * sizeof *got);
    for (size_t i = 0; i < N; i++) pcm[i] = (float)i;
    memory m = {pcm, N};
    hone__sound inner = sound_of(&m);
    hone__vad_stitched stitched = {&inner, &p};
    hone__sound sound = hone__vad_stitched_sound(&stitched);
    hone_status s = HONE_OK;
    assert_int_equal(sound.samples, p.samples);
    for (size_t at = 0, n = 1; at < p.samples; at += n, n = n * 3 % 4001 + 1) {
        size_t left = p.samples - at;
        assert_int_equal(sound.read(sound.ctx, at, got + at, n, &s), n < left ? n : left);
        assert_int_equal(s, HONE_OK);
    }
    assert_int_equal(sound.read(sound.ctx, p.samples, got, 1, &s), 0);
    for (size_t i = 0; i < p.samples; i++) {
        size_t k = i < 6400 ? 0 : i < 12800 ? 1 : 2, behind = i - p.items[k].at;
        assert_true(got[i] == (behind < p.items[k].end - p.items[k].start ? pcm[p.items[k].start + behind] : 0));
    }
    free(pcm);
    free(got);
    hone__vad_pieces_free(&p);
    spans.count = 0;
    assert_int_equal(hone__vad_stitch(&o, &spans, &none), HONE_OK);
    assert_int_equal(none.samples, 0);
    assert_int_equal(hone__vad_map(&none, 5), 0);
}

static int budget; /* allocations until there is no memory */
static void *limited(void *ctx, void *block, size_t old_size, size_t new_size)
{
    (void)ctx, (void)old_size;
    if (new_size) return budget-- > 0 ? realloc(block, new_size) : NULL;
    free(block);
    return NULL;
}

static void out_of_memory(void **state)
{
    (void)state;
    enum { N = 2 * RATE };
    float *pcm = calloc(N, sizeof *pcm);
    speak(pcm + N / 2, N / 4, 0.1);
    memory m = {pcm, N};
    hone__sound sound = sound_of(&m);
    hone__vad_options o = HONE__VAD_OPTIONS_INIT;
    int failed = 0;
    hone_set_allocator(&(hone_allocator){.resize = limited});
    for (hone_status s = HONE_E_MEMORY; s != HONE_OK; failed++) {
        hone__vad *v;
        hone__vad_spans spans = {0};
        hone__vad_pieces pieces = {0};
        budget = failed;
        s = hone__vad_create(NULL, NULL, &v);
        if (s == HONE_OK) s = hone__vad_find(v, &sound, &o, &spans);
        if (s == HONE_OK) s = hone__vad_stitch(&o, &spans, &pieces);
        if (s != HONE_OK && s != HONE_E_MEMORY) fail_msg("%s", hone_error_message());
        assert_true(s != HONE_OK || pieces.count == 1);
        hone__vad_pieces_free(&pieces);
        hone__vad_spans_free(&spans);
        hone__vad_destroy(v);
    }
    hone_set_allocator(NULL);
    assert_true(failed > 8);
    free(pcm);
}

/* Frames over one half, their number and the mean of all, as ONNX Runtime has them; the spans as silero-vad. */
static void silero_model(void **state)
{
    (void)state;
    if (access(MODEL, R_OK) || access(SOUND, R_OK)) {
        print_message("skipped: %s is not there\n", MODEL);
        skip();
    }
    uint8_t *file;
    size_t size, count, step, over = 0;
    hone__wav wav;
    hone__model *model;
    hone__vad *v;
    assert_int_equal(hone__file_read(SOUND, 1 << 26, &file, &size), HONE_OK);
    assert_int_equal(hone__wav_open(file, size, &wav), HONE_OK);
    float *pcm = malloc(wav.frames * sizeof *pcm);
    assert_int_equal(hone__wav_convert(&wav, file + wav.data_offset, wav.frames, 0, pcm), HONE_OK);
    if (hone__onnx_read(MODEL, &model) != HONE_OK) fail_msg("%s", hone_error_message());
    hone__session_options options = {.threads = 1};
    if (hone__vad_create(model, &options, &v) != HONE_OK) fail_msg("%s", hone_error_message());
    hone__model_destroy(model);
    memory m = {pcm, wav.frames};
    hone__sound sound = sound_of(&m);
    hone__vad_options o = HONE__VAD_OPTIONS_INIT;
    hone__vad_spans spans = {0}, own = {0};
    assert_int_equal(hone__vad_find(v, &sound, &o, &spans), HONE_OK);
    const float *scores = hone__vad_scores(v, &count, &step);
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)scores[i], over += scores[i] > 0.5f;
    assert_int_equal(step, 512);
    assert_int_equal(count, 1875);
    assert_int_equal(over, 1452);
    assert_true(fabs(sum / 1875 - 0.778331) < 1e-5);
    assert_int_equal(spans.count, 19);
    hone__vad_destroy(v);

    /* the own detector says the same of nine moments in ten */
    assert_int_equal(hone__vad_create(NULL, NULL, &v), HONE_OK);
    assert_int_equal(hone__vad_find(v, &sound, &o, &own), HONE_OK);
    size_t same = 0, a = 0, b = 0;
    for (size_t i = 0; i < wav.frames; i++) {
        while (a < spans.count && spans.items[a].end <= i) a++;
        while (b < own.count && own.items[b].end <= i) b++;
        same += (a < spans.count && spans.items[a].start <= i) == (b < own.count && own.items[b].start <= i);
    }
    if (same * 10 < wav.frames * 9) fail_msg("%zu of %zu samples alike", same, (size_t)wav.frames);
    print_message("own detector and Silero agree on %.1f %%\n", 100.0 * (double)same / (double)wav.frames);
    hone__vad_spans_free(&spans);
    hone__vad_spans_free(&own);
    hone__vad_destroy(v);
    free(pcm);
    hone__free(file);
}

static void refuses_other_models(void **state)
{
    (void)state;
    hone__model *model;
    hone__vad *v;
    assert_int_equal(hone__model_new(&model), HONE_OK);
    assert_int_equal(hone__vad_create(model, NULL, &v), HONE_E_UNSUPPORTED);
    assert_null(v);
    assert_non_null(strstr(hone_error_message(), "Silero"));
    hone__model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_silero_rules),
                                       cmocka_unit_test(refuses_options),
                                       cmocka_unit_test(own_detector_hears_speech),
                                       cmocka_unit_test(own_detector_ignores_noise),
                                       cmocka_unit_test(stitches_and_maps_back),
                                       cmocka_unit_test(out_of_memory),
                                       cmocka_unit_test(silero_model),
                                       cmocka_unit_test(refuses_other_models)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
