/* test_npz.c: what the arrays of one .npz may take together, stored, deflated and as strings; archives that claim more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/tensorfile/tensorfile.h"

#define SEEDS TEST_SOURCE_DIR "/tests/fuzz/corpus/npz/"

static hone_status read_within(const char *name, uint64_t most, size_t *count)
{
    hone__map *map;
    hone__named_tensor *list;
    char path[1024];
    snprintf(path, sizeof path, "%s%s", SEEDS, name);
    assert_int_equal(hone__map_open(path, &map), HONE_OK);
    hone_status status = hone__npz_read(map, name, most, &list, count);
    hone__tensor_list_free(list, *count);
    hone__map_unref(map);
    return status;
}

/* The most that does not suffice, and one more that does. */
static void check_edge(const char *name, uint64_t enough, const char *member, size_t members)
{
    size_t count;
    assert_int_equal(read_within(name, enough - 1, &count), HONE_E_LIMIT);
    assert_int_equal(count, 0);
    assert_non_null(strstr(hone_error_message(), name));
    assert_non_null(strstr(hone_error_message(), member));
    if (read_within(name, enough, &count) != HONE_OK) fail_msg("%s", hone_error_message());
    assert_int_equal(count, members);
}

static void all_members_together(void **state)
{
    (void)state;
    check_edge("stored", 104 + 88 + 104 + 88, "t.npy", 4); /* headers of 80 bytes, and 24, 8, 24 and 8 of data */
    check_edge("zeros", 80 + 20000, "z.npy", 1);
    check_edge("empty_strings", 200 * sizeof(hone__string), "e.npy", 1);
}

static uint8_t *put(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) *to++ = i < 8 ? (uint8_t)(value >> 8 * i) : 0;
    return to;
}

/* A directory of `count` members m00, m01, ... that claim to be deflated from `size` bytes each; none has any. */
static size_t write_claims(uint8_t *file, int count, uint32_t packed, uint32_t size)
{
    uint8_t *p = file;
    char name[16];
    p = put(p, 0x04034b50, 4);
    p = put(p, 0, 26);
    size_t directory = (size_t)(p - file);
    for (int i = 0; i < count; i++) {
        p = put(p, 0x02014b50, 4);
        p = put(put(put(p, 20, 2), 20, 2), 0, 2); /* versions, flags */
        p = put(put(put(p, 8, 2), 0, 4), 0, 4);   /* deflate; time and date; checksum */
        p = put(put(p, packed, 4), size, 4);
        p = put(put(put(p, 3, 2), 0, 4), 0, 4); /* length of the name; none of anything else */
        p = put(put(p, 0, 4), 0, 4);            /* attributes, place */
        snprintf(name, sizeof name, "m%02d", i);
        memcpy(p, name, 3);
        p += 3;
    }
    size_t length = (size_t)(p - file) - directory;
    p = put(put(p, 0x06054b50, 4), 0, 4);
    p = put(put(p, (uint64_t)count, 2), (uint64_t)count, 2);
    p = put(put(put(p, length, 4), directory, 4), 0, 2);
    return (size_t)(p - file);
}

static hone_status read_claims(int count, uint32_t packed, uint32_t size)
{
    uint8_t file[4096];
    hone__map map = {file, write_claims(file, count, packed, size), 2};
    hone__named_tensor *list;
    size_t got;
    hone_status status = hone__npz_read(&map, "claims.npz", HONE__NPZ_MOST, &list, &got);
    assert_true(status != HONE_OK && !list && !got);
    return status;
}

static void claims(void **state)
{
    (void)state;
    assert_int_equal(read_claims(1, 300000, 1 << 28), HONE_E_FORMAT); /* may be, but is not there */
    assert_int_equal(read_claims(17, 300000, 1 << 28), HONE_E_LIMIT);
    assert_non_null(strstr(hone_error_message(), "claims.npz: m16: "));
    assert_non_null(strstr(hone_error_message(), "4294967296"));
    assert_int_equal(read_claims(1, 10, 100000), HONE_E_LIMIT); /* more than deflate makes of 10 bytes */
    assert_non_null(strstr(hone_error_message(), "claims.npz: m00: "));
    assert_int_equal(read_claims(1, 1 << 20, 1 << 29), HONE_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_members_together), cmocka_unit_test(claims)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
