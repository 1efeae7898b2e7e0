/* test_wav.c: every coding and container variant, built here byte by byte; every truncation; every flipped header bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

#include "audio/wav.h"

typedef struct bytes {
    uint8_t data[4096];
    size_t n;
} bytes;

static void put(bytes *b, const void *data, size_t n)
{
    memcpy(b->data + b->n, data, n);
    b->n += n;
}

static void put_number(bytes *b, uint64_t v, int size)
{
    for (int i = 0; i < size; i++) b->data[b->n++] = (uint8_t)(v >> 8 * i);
}

static void put_chunk(bytes *b, const char *id, uint32_t size)
{
    put(b, id, 4);
    put_number(b, size, 4);
}

static void put_format(bytes *b, int code, int channels, int rate, int bits, int extensible)
{
    put_chunk(b, "fmt ", extensible ? 40 : 16);
    put_number(b, (uint64_t)(extensible ? 0xfffe : code), 2);
    put_number(b, (uint64_t)channels, 2);
    put_number(b, (uint64_t)rate, 4);
    put_number(b, (uint64_t)(rate * channels * bits / 8), 4);
    put_number(b, (uint64_t)(channels * bits / 8), 2);
    put_number(b, (uint64_t)bits, 2);
    if (!extensible) return;
    put_number(b, 22, 2);
    put_number(b, (uint64_t)bits, 2);
    put_number(b, 0, 4);
    put_number(b, (uint64_t)code, 2);
    put(b, "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71", 14);
}

static void begin(bytes *b, const char *id)
{
    b->n = 0;
    put_chunk(b, id, 1000);
    put(b, "WAVE", 4);
}

/* Two channels, 16 bits, three frames */
static void make_plain(bytes *b)
{
    begin(b, "RIFF");
    put_format(b, 1, 2, 16000, 16, 0);
    put_chunk(b, "data", 12);
    static const int16_t samples[] = {32767, 1, -32768, -32768, 0, 100};
    for (int i = 0; i < 6; i++) put_number(b, (uint16_t)samples[i], 2);
}

/* Through a copy of exactly that size, so that the sanitizer sees a byte too far. */
static hone_status open_exactly(const uint8_t *data, size_t n, hone__wav *w, float *mono, size_t capacity)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, data, n);
    hone_status s = hone__wav_open(copy, n, w);
    if (s == HONE_OK && w->frames <= capacity)
        s = hone__wav_convert(w, copy + w->data_offset, (size_t)w->frames, 0, mono);
    free(copy);
    return s;
}

static void codings(void **state)
{
    (void)state;
    static const struct {
        int code, bits;
        uint8_t raw[8];
        double value;
    } known[] = {
        {1, 8, {0}, -1},
        {1, 8, {192}, 0.5},
        {1, 16, {0, 0x80}, -1},
        {1, 16, {0, 0x40}, 0.5},
        {1, 24, {0, 0, 0x80}, -1},
        {1, 24, {1, 0, 0}, 1.0 / 8388608},
        {1, 24, {0xff, 0xff, 0xff}, -1.0 / 8388608},
        {1, 32, {0, 0, 0, 0xc0}, -0.5},
        {3, 32, {0, 0, 0x40, 0x3f}, 0.75},
        {3, 64, {0, 0, 0, 0, 0, 0, 0xe8, 0xbf}, -0.75},
        {6, 8, {0xd5}, 8.0 / 32768},
        {6, 8, {0x55}, -8.0 / 32768},
        {6, 8, {0xaa}, 32256.0 / 32768},
        {6, 8, {0x2a}, -32256.0 / 32768},
        {7, 8, {0xff}, 0},
        {7, 8, {0x80}, 32124.0 / 32768},
        {7, 8, {0x00}, -32124.0 / 32768},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        for (int extensible = 0; extensible < 2; extensible++) {
            bytes b;
            hone__wav w;
            float mono[4];
            begin(&b, "RIFF");
            put_format(&b, known[i].code, 1, 8000, known[i].bits, extensible);
            put_chunk(&b, "data", (uint32_t)known[i].bits / 8);
            put(&b, known[i].raw, (size_t)known[i].bits / 8);
            assert_int_equal(open_exactly(b.data, b.n, &w, mono, 4), HONE_OK);
            assert_int_equal(w.frames, 1);
            assert_int_equal(w.rate, 8000);
            if (mono[0] != (float)known[i].value) fail_msg("case %zu: %g, expected %g", i, mono[0], known[i].value);
        }
}

static void mixes_down(void **state)
{
    (void)state;
    bytes b;
    hone__wav w;
    float mono[4];
    make_plain(&b);
    assert_int_equal(open_exactly(b.data, b.n, &w, mono, 4), HONE_OK);
    assert_int_equal(w.frames, 3);
    assert_true(mono[0] == 0.5f && mono[1] == -1 && mono[2] == 50.0f / 32768);
}

static void odd_chunks_and_rf64(void **state)
{
    (void)state;
    bytes b;
    hone__wav w;
    float mono[4];
    begin(&b, "RF64");
    put_chunk(&b, "ds64", 28);
    put_number(&b, 1000, 8);
    put_number(&b, 2, 8);
    put_number(&b, 1, 8);
    put_number(&b, 0, 4);
    put_chunk(&b, "junk", 3);
    put(&b, "abc", 4); /* padded to an even size */
    put_format(&b, 1, 1, 16000, 16, 0);
    put_chunk(&b, "data", 0xffffffff);
    put_number(&b, 0x4000, 2);
    put_chunk(&b, "LIST", 4);
    put_number(&b, 0, 4);
    assert_int_equal(open_exactly(b.data, b.n, &w, mono, 4), HONE_OK);
    assert_int_equal(w.frames, 1);
    assert_true(mono[0] == 0.5f);
}

static void streaming_sizes(void **state)
{
    (void)state;
    hone__wav w;
    float mono[4];
    for (int zero = 0; zero < 2; zero++) {
        bytes b;
        make_plain(&b);
        memset(b.data + 4, zero ? 0 : 0xff, 4);
        memset(b.data + 40, zero ? 0 : 0xff, 4);
        assert_int_equal(open_exactly(b.data, b.n, &w, mono, 4), HONE_OK);
        assert_true(w.streaming);
        assert_int_equal(w.frames, 3);
        assert_int_equal(open_exactly(b.data, b.n - 1, &w, mono, 4), HONE_E_FORMAT);
    }
    bytes b; /* an empty clip followed by a comment is empty, not streaming */
    make_plain(&b);
    memset(b.data + 40, 0, 4);
    b.n = 44;
    put_chunk(&b, "LIST", 4);
    put_number(&b, 0, 4);
    assert_int_equal(open_exactly(b.data, b.n, &w, mono, 4), HONE_OK);
    assert_int_equal(w.frames, 0);
}

static void every_truncation(void **state)
{
    (void)state;
    bytes b;
    hone__wav w;
    float mono[4];
    make_plain(&b);
    for (size_t n = 0; n < b.n; n++)
        if (open_exactly(b.data, n, &w, mono, 4) != HONE_E_FORMAT) fail_msg("cut to %zu bytes: accepted", n);
}

static void every_bit(void **state)
{
    (void)state;
    hone__wav w;
    float *mono = malloc(4096 * sizeof *mono);
    for (size_t bit = 0; bit < 44 * 8; bit++) {
        bytes b;
        make_plain(&b);
        b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (open_exactly(b.data, b.n, &w, mono, 4096) == HONE_OK) {
            assert_true(w.channels >= 1 && w.channels <= HONE__WAV_CHANNELS_MAX && w.rate >= 1);
            assert_true(w.data_offset + w.frames * w.frame_bytes <= b.n);
        }
    }
    free(mono);
}

static void sizes_do_not_wrap(void **state)
{
    (void)state;
    static const size_t fields[] = {4, 16, 20, 22, 24, 28, 32, 34, 40};
    static const uint32_t values[] = {0,           1,           2,           7,           8,           15,
                                      17,          255,         256,         257,         65535,       65536,
                                      0x7ffffffe,  0x7fffffff,  0x80000000u, 0x80000001u, 999999,      0xfffffff0u,
                                      0xfffffff7u, 0xfffffff8u, 0xfffffffcu, 0xfffffffdu, 0xfffffffeu, 0xffffffffu};
    float *mono = malloc(4096 * sizeof *mono);
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            bytes b;
            hone__wav w;
            make_plain(&b);
            for (int i = 0; i < 4; i++) b.data[fields[f] + (size_t)i] = (uint8_t)(values[v] >> 8 * i);
            if (open_exactly(b.data, b.n, &w, mono, 4096) == HONE_OK)
                assert_true(w.data_offset + w.frames * w.frame_bytes <= b.n);
        }
    free(mono);
}

static void names_the_sample(void **state)
{
    (void)state;
    bytes b;
    hone__wav w;
    float mono[8];
    begin(&b, "RIFF");
    put_format(&b, 3, 1, 16000, 32, 0);
    put_chunk(&b, "data", 20);
    put_number(&b, 0, 8);
    put_number(&b, 0x7fc00000, 4); /* NaN, sample 2 */
    put_number(&b, 0, 8);
    assert_int_equal(open_exactly(b.data, b.n, &w, mono, 8), HONE_E_FORMAT);
    assert_non_null(strstr(hone_error_message(), "sample 2 "));
    assert_int_equal(hone__wav_convert(&w, b.data + w.data_offset, 5, 1000, mono), HONE_E_FORMAT);
    assert_non_null(strstr(hone_error_message(), "sample 1002 "));
}

static void header_in_pieces(void **state)
{
    (void)state;
    bytes b;
    hone__wav whole, pieces;
    make_plain(&b);
    assert_int_equal(hone__wav_open(b.data, b.n, &whole), HONE_OK);
    size_t have = 0, need = 12;
    for (int turns = 0; need; turns++) {
        assert_true(need > have && turns < 20);
        have = need;
        assert_int_equal(hone__wav_header(b.data, have, UINT64_MAX, &pieces, &need), HONE_OK);
    }
    assert_int_equal(pieces.frames, whole.frames);
    assert_int_equal(pieces.data_offset, whole.data_offset);
    assert_int_equal(have, 44);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codings),           cmocka_unit_test(mixes_down),       cmocka_unit_test(odd_chunks_and_rf64),
        cmocka_unit_test(streaming_sizes),   cmocka_unit_test(every_truncation), cmocka_unit_test(every_bit),
        cmocka_unit_test(sizes_do_not_wrap), cmocka_unit_test(names_the_sample), cmocka_unit_test(header_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
