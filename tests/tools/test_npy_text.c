/* test_npy_text.c: NumPy's strings of fixed width, written and read back; big-endian ones, column-major ones, hostile
 * ones. */
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

static void strings_are_written_and_read_back(void **state)
{
    const hone__string in[6] = {{"", 0},
                                {"a", 1},
                                {"h\xc3\xa9llo", 6},
                                {"\xe6\x97\xa5-\xf0\x9f\x98\x80", 8},
                                {"x y", 3},
                                {"\xf4\x8f\xbf\xbf", 4}};
    const int64_t dims[2] = {2, 3};
    char path[64];
    hone__named_tensor *list;
    size_t count;
    (void)state;
    snprintf(path, sizeof path, "/tmp/hone_npy_text_%d.npy", (int)getpid());
    assert_int_equal(hone__npy_write(path, HONE_STRING, 2, dims, in, sizeof in), HONE_OK);
    assert_int_equal(hone__tensorfile_read(path, 0, &list, &count), HONE_OK);
    const hone__tensor *t = &list[0].tensor;
    assert_true(count == 1 && t->dtype == HONE_STRING && t->rank == 2 && t->dims[0] == 2 && t->dims[1] == 3);
    for (size_t i = 0; i < 6; i++) {
        hone__string got = ((const hone__string *)t->data)[i];
        assert_int_equal(got.size, in[i].size);
        assert_memory_equal(got.data, in[i].data, in[i].size);
    }
    hone__tensor_list_free(list, count);
    remove(path);
    const hone__string bad = {"a\xff", 2};
    assert_int_equal(hone__npy_write(path, HONE_STRING, 0, NULL, &bad, sizeof bad), HONE_E_UNSUPPORTED);
    assert_int_equal(access(path, F_OK), -1);
}

/* A .npy with this header and data. */
static hone_status parse(const char *header, const void *data, size_t size, hone__tensor *out)
{
    uint8_t file[512] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)strlen(header), 0};
    memcpy(file + 10, header, strlen(header));
    memcpy(file + 10 + strlen(header), data, size);
    return hone__npy_parse(file, 10 + strlen(header) + size, "test", UINT64_MAX, out);
}

static void other_orders_and_hostile_ones(void **state)
{
    static const uint8_t big[16] = {0, 0, 0, 'a', 0, 0, 0, 'b', 0, 0, 0, 'c', 0, 0, 0, 'd'};
    const uint32_t surrogate[4] = {'a', 0xd800, 'b', 'c'};
    hone__tensor t;
    (void)state;
    assert_int_equal(parse("{'descr': '>U1', 'fortran_order': True, 'shape': (2, 2), }\n", big, 16, &t), HONE_OK);
    const hone__string *s = t.data;
    assert_true(s[0].data[0] == 'a' && s[1].data[0] == 'c' && s[2].data[0] == 'b' && s[3].data[0] == 'd');
    hone__tensor_release(&t);
    assert_int_equal(parse("{'descr': '<U0', 'fortran_order': False, 'shape': (3,), }\n", big, 0, &t), HONE_OK);
    assert_true(t.count == 3 && ((const hone__string *)t.data)[2].size == 0);
    hone__tensor_release(&t);
    assert_int_equal(parse("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }\n", surrogate, 16, &t),
                     HONE_E_FORMAT);
    assert_int_equal(parse("{'descr': '<U5', 'fortran_order': False, 'shape': (1,), }\n", big, 16, &t), HONE_E_FORMAT);
    assert_int_equal(parse("{'descr': '<U999999999', 'fortran_order': False, 'shape': (9223372036854775807,), }\n", big,
                           16, &t) == HONE_OK,
                     0);
    assert_int_equal(
        parse("{'descr': '<U0', 'fortran_order': False, 'shape': (1099511627776,), }\n", big, 16, &t) == HONE_OK, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_written_and_read_back),
        cmocka_unit_test(other_orders_and_hostile_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
