/* test_safetensors.c: files of that format: every rule of its headers, and damage anywhere in them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tools/import/hugging_face/checkpoint.h"

#define STORED TEST_SOURCE_DIR "/tests/reference/hugging_face/llama_linear/model.safetensors"

static hone__map map; /* over the bytes that are read; what is read refers to it */

static hone_status read_bytes(const uint8_t *data, size_t size, hone__checkpoint *c)
{
    map = (hone__map){data, size, 2};
    memset(c, 0, sizeof *c);
    hone_status s = hone__safetensors_read(&map, "x.safetensors", c);
    return s == HONE_OK ? hone__checkpoint_sort(c) : s;
}

/* A header that says it has `length` bytes (0: as many as it has), and zeros behind it. */
static uint8_t *file_of(const char *header, uint64_t length, size_t zeros, size_t *size)
{
    size_t n = strlen(header);
    *size = 8 + n + zeros;
    uint8_t *file = calloc(*size, 1);
    assert_non_null(file);
    if (!length) length = n;
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)(length >> (8 * i));
    memcpy(file + 8, header, n);
    return file;
}

static void refuse(const char *header, uint64_t length, size_t zeros, const char *message)
{
    hone__checkpoint c;
    size_t size;
    uint8_t *file = file_of(header, length, zeros, &size);
    if (read_bytes(file, size, &c) == HONE_OK) fail_msg("read: %s", header);
    if (!strstr(hone_error_message(), message) || !strstr(hone_error_message(), "x.safetensors"))
        fail_msg("%s: '%s' instead of '%s'", header, hone_error_message(), message);
    hone__checkpoint_close(&c);
    free(file);
}

#define T(name, dtype, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" from "," to "]}"

static void rules(void **state)
{
    static const struct {
        const char *header;
        size_t zeros;
        const char *message;
    } cases[] = {
        {"{" T("a", "F32", "2", "0", "8") "," T("b", "F32", "2", "4", "12") "}", 12, "tensors 'a' and 'b' overlap"},
        {"{" T("a", "F32", "2", "0", "8") "," T("b", "F32", "2", "0", "8") "}", 8, "overlap"},
        {"{" T("a", "F32", "2", "0", "8") "," T("a", "F32", "1", "8", "12") "}", 12, "tensor 'a' is there twice"},
        {"{" T("a", "F32", "2", "0", "8") "," T("b", "F32", "1", "12", "16") "}", 16,
         "4 bytes in front of tensor 'b' belong to none"},
        {"{" T("a", "F32", "1", "4", "8") "}", 8, "4 bytes in front of tensor 'a' belong to none"},
        {"{" T("a", "F32", "2", "0", "8") "}", 12, "the tensors end at 8 of 12 bytes"},
        {"{" T("a", "F32", "2", "0", "8") "}", 4, "lies at 0 to 8 of 4 bytes"},
        {"{" T("a", "F32", "2", "8", "0") "}", 8, "lies at 8 to 0 of 8 bytes"},
        {"{" T("a", "F32", "2", "18446744073709551608", "0") "}", 8, "too big integer"},
        {"{" T("a", "F32", "2", "9223372036854775800", "9223372036854775807") "}", 8, "of 8 bytes"},
        {"{" T("a", "F32", "2", "-8", "0") "}", 8, "no pair of data_offsets"},
        {"{" T("a", "F32", "2", "0", "4") "}", 4, "has 4 bytes, its dtype and shape need 8"},
        {"{" T("a", "F16", "2", "0", "8") "}", 8, "has 8 bytes, its dtype and shape need 4"},
        {"{" T("a", "F31", "2", "0", "8") "}", 8, "tensor 'a' has dtype 'F31', which is not known"},
        {"{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "tensor 'a' has no dtype"},
        {"{" T("a", "F32", "-2", "0", "8") "}", 8, "tensor 'a' has no shape"},
        {"{" T("a", "F32", "2.0", "0", "8") "}", 8, "tensor 'a' has no shape"},
        {"{" T("a", "F32", "1,1,1,1,1,1,1,1,1,1,1", "0", "4") "}", 4, "no shape of at most 10 sizes"},
        {"{" T("a", "F32", "4294967296,4294967296", "0", "8") "}", 8, "more than 2^60"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "no shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "no pair of data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":1}}", 8, "no pair of data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "no pair of data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "duplicate"},
        {"{\"a\":[0,8]}", 8, "an object is expected"},
        {"{a:{}}", 0, "a name in quotes is expected"},
        {"{\"a\"{}}", 0, "a colon is expected"},
        {"{\"a\":{}", 0, "no dtype"},
        {"{" T("a", "F32", "2", "0", "8") "", 8, "a closing brace is expected"},
        {"{" T("a", "F32", "2", "0", "8") "} x", 8, "something follows the closing brace"},
        {" {" T("a", "F32", "2", "0", "8") "}", 8, "does not begin with a brace"},
        {"[]", 0, "does not begin with a brace"},
        {"{\"\xff\":{}}", 0, "header"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(cases[i].header, 0, cases[i].zeros, cases[i].message);
}

static void lengths(void **state)
{
    hone__checkpoint c;
    (void)state;
    refuse("{}", 100000001, 0, "a safetensors header of 100000001 bytes (at most 100000000)");
    refuse("{}", UINT64_MAX, 0, "at most 100000000");
    refuse("{}", 3, 0, "a safetensors header of 3 bytes in a file of 10");
    assert_int_equal(read_bytes((const uint8_t *)"\2\0\0\0\0\0\0", 7, &c), HONE_E_FORMAT);
    hone__checkpoint_close(&c);
    assert_int_equal(read_bytes((const uint8_t *)"\0\0\0\0\0\0\0\0", 8, &c), HONE_E_FORMAT);
    hone__checkpoint_close(&c);
}

static void accept(const char *header, size_t zeros, size_t count)
{
    hone__checkpoint c;
    size_t size;
    uint8_t *file = file_of(header, 0, zeros, &size);
    if (read_bytes(file, size, &c) != HONE_OK) fail_msg("%s", hone_error_message());
    assert_int_equal(c.count, count);
    for (size_t i = 0; i < count; i++) { /* in place, whether aligned or not */
        hone__tensor t;
        assert_int_equal(hone__checkpoint_dense(&c, &c.list[i], &t), HONE_OK);
        assert_true((const uint8_t *)t.data >= file + 8 && (const uint8_t *)t.data + t.bytes <= file + size);
        hone__tensor_release(&t);
    }
    hone__checkpoint_close(&c);
    free(file);
}

static void what_is_allowed(void **state)
{
    (void)state;
    accept("{}", 0, 0);
    accept("{}   ", 0, 0);
    accept("{\"__metadata__\":{\"format\":\"pt\",\"a\":\"}\\\"{\"}}", 0, 0);
    accept("{" T("b", "F32", "2", "8", "16") "," T("a", "F32", "2", "0", "8") "}", 16, 2); /* any order */
    accept("{" T("a", "U8", "3", "0", "3") "," T("b", "F32", "", "3", "7") "}", 7, 2);     /* misaligned */
    accept("{" T("a", "F32", "0,5", "0", "0") "," T("b", "F32", "1", "0", "4") "}", 4, 2); /* of no bytes */
    accept("{" T("a", "F32", "1", "0", "4") "," T("b", "F32", "0", "4", "4") "}", 4, 2);
    accept("{" T("a", "F8_E4M3", "2", "0", "2") "," T("b", "BOOL", "1", "2", "3") "}", 3, 2);
}

/* Cut anywhere it is an error; with any bit of its header flipped, an error or other tensors. */
static void damage(void **state)
{
    hone__map *stored;
    hone__checkpoint c;
    size_t step = getenv("HONE_TEST_ALL") ? 1 : 7;
    (void)state;
    assert_int_equal(hone__map_open(STORED, &stored), HONE_OK);
    size_t header = 8 + (stored->data[0] | (size_t)stored->data[1] << 8);
    uint8_t *copy = malloc(stored->size);
    assert_non_null(copy);
    for (size_t n = 0; n < stored->size; n += step) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, stored->data, n);
        assert_int_not_equal(read_bytes(cut, n, &c), HONE_OK);
        hone__checkpoint_close(&c);
        free(cut);
    }
    for (size_t bit = 0; bit < 8 * header; bit += step) {
        memcpy(copy, stored->data, stored->size);
        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        if (read_bytes(copy, stored->size, &c) != HONE_OK) assert_non_null(strstr(hone_error_message(), "x.safe"));
        hone__checkpoint_close(&c);
    }
    free(copy);
    hone__map_unref(stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(lengths),
        cmocka_unit_test(what_is_allowed),
        cmocka_unit_test(damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
