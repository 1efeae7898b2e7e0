/* test_torch_file.c: archives of torch.save: every layout of a tensor gives its numbers, whatever is no data is refused
 * by name, and every sort of damage is an error. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <unistd.h>
#include <cmocka.h>

#include "tools/import/hugging_face/checkpoint.h"
#include "torch_maker.h"

#define DATA TEST_SOURCE_DIR "/../shared/data/torch/"
#define STORED TEST_SOURCE_DIR "/tests/reference/hugging_face/gpt2_bin/pytorch_model.bin"

static hone__map map; /* over the bytes that are read; what is read refers to it */

static hone_status read_bytes(const void *data, size_t size, hone__checkpoint *c)
{
    map = (hone__map){data, size, 2};
    memset(c, 0, sizeof *c);
    c->file_bytes = size;
    hone_status s = hone__torch_read(&map, "x.bin", c);
    return s == HONE_OK ? hone__checkpoint_sort(c) : s;
}

/* NAME/data.pkl, NAME/byteorder and one storage. */
static bytes file_of(bytes pickle, const char *order, const char *key, const void *data, size_t size)
{
    archive a = {0};
    char name[64];
    snprintf(name, sizeof name, "m/data/%s", key);
    add_member(&a, "m/data.pkl", pickle.data, pickle.size);
    if (order) add_member(&a, "m/byteorder", order, strlen(order));
    add_member(&a, name, data, size);
    free(pickle.data);
    return finish(&a);
}

static void refuse_bytes(bytes file, const char *message)
{
    hone__checkpoint c;
    hone_status s = read_bytes(file.data, file.size, &c);
    if (s == HONE_OK) fail_msg("read, where '%s' was expected", message);
    if (!strstr(hone_error_message(), message)) fail_msg("'%s' instead of '%s'", hone_error_message(), message);
    hone__checkpoint_close(&c);
    free(file.data);
}

static const float six[] = {0, 1, 2, 3, 4, 5};

static void refuse_pickle(bytes pickle, const char *message)
{
    refuse_bytes(file_of(pickle, "little", "0", six, sizeof six), message);
}

static void refuse_view(torch_view v, const char *message) { refuse_pickle(pickle_of(&v), message); }

/* The tensor "w" of the file: its dense numbers. */
static void expect_numbers(bytes file, const float *want, size_t count)
{
    hone__checkpoint c;
    hone__tensor t;
    if (read_bytes(file.data, file.size, &c) != HONE_OK) fail_msg("%s", hone_error_message());
    const hone__stored *s = hone__checkpoint_find(&c, "w");
    assert_non_null(s);
    assert_int_equal(s->tensor.count, count);
    assert_int_equal(hone__checkpoint_dense(&c, s, &t), HONE_OK);
    for (size_t i = 0; i < count; i++)
        if (hone__element_f64(t.dtype, t.data, i) != want[i])
            fail_msg("number %zu is %g, expected %g", i, hone__element_f64(t.dtype, t.data, i), want[i]);
    hone__tensor_release(&t);
    hone__checkpoint_close(&c);
    free(file.data);
}

static const struct {
    torch_view view;
    float want[24];
    size_t count;
} layouts[] = {
    {{"FloatStorage", "0", 6, 0, 2, {2, 3}, {3, 1}}, {0, 1, 2, 3, 4, 5}, 6},
    {{"FloatStorage", "0", 6, 0, 2, {3, 2}, {1, 3}}, {0, 3, 1, 4, 2, 5}, 6},               /* turned */
    {{"FloatStorage", "0", 6, 3, 1, {3}, {1}}, {3, 4, 5}, 3},                              /* behind others */
    {{"FloatStorage", "0", 6, 1, 1, {3}, {2}}, {1, 3, 5}, 3},                              /* every other one */
    {{"FloatStorage", "0", 6, 2, 3, {2, 2, 2}, {0, 1, 1}}, {2, 3, 3, 4, 2, 3, 3, 4}, 8},   /* twice, overlapping */
    {{"FloatStorage", "0", 6, 4, 1, {5}, {0}}, {4, 4, 4, 4, 4}, 5},                        /* one number for all */
    {{"FloatStorage", "0", 6, 5, 0, {0}, {0}}, {5}, 1},                                    /* a scalar */
    {{"FloatStorage", "0", 6, 6, 2, {0, 7}, {100, 100}}, {0}, 0},                          /* nothing */
    {{"FloatStorage", "0", 6, 0, 4, {1, 2, 1, 3}, {77, 3, 99, 1}}, {0, 1, 2, 3, 4, 5}, 6}, /* strides nobody uses */
};

static void store(uint8_t *to, hone_dtype dtype, size_t i, double v, bool big)
{
    size_t n = hone__dtype_size(dtype);
    uint8_t cell[8];
    hone__element_set_f64(dtype, cell, 0, v);
    for (size_t k = 0; k < n; k++) to[i * n + k] = cell[big ? n - 1 - k : k];
}

static void every_layout(void **state)
{
    static const struct {
        const char *storage;
        hone_dtype dtype;
    } types[] = {{"FloatStorage", HONE_F32},
                 {"HalfStorage", HONE_F16},
                 {"BFloat16Storage", HONE_BF16},
                 {"DoubleStorage", HONE_F64}};
    (void)state;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        for (size_t k = 0; k < 8; k++) {
            torch_view v = layouts[i].view;
            uint8_t data[64];
            hone_dtype dtype = types[k / 2].dtype;
            v.storage = types[k / 2].storage;
            for (size_t e = 0; e < 6; e++) store(data, dtype, e, (double)e, k % 2);
            bytes file = file_of(pickle_of(&v),
                                 k % 2   ? "big"
                                 : i % 2 ? "little"
                                         : NULL,
                                 "0", data, 6 * hone__dtype_size(dtype));
            expect_numbers(file, layouts[i].want, layouts[i].count);
        }
}

static void dense_tensors_are_not_copied(void **state)
{
    (void)state;
    bytes file = file_of(pickle_of(&layouts[2].view), "little", "0", six, sizeof six);
    hone__checkpoint c;
    assert_int_equal(read_bytes(file.data, file.size, &c), HONE_OK);
    const hone__stored *s = hone__checkpoint_find(&c, "w");
    hone__tensor t;
    assert_int_equal(hone__checkpoint_dense(&c, s, &t), HONE_OK);
    assert_true((const uint8_t *)t.data > file.data && (const uint8_t *)t.data < file.data + file.size);
    assert_int_equal(c.copied, 0);
    hone__tensor_release(&t);
    hone__checkpoint_close(&c);
    free(file.data);
}

/* Archives with 64-bit sizes, wrapped tensors, nested dictionaries, protocol 4. */
static void other_forms(void **state)
{
    (void)state;
    bytes p = pickle_of(&layouts[1].view);
    archive a = {.wide = 1};
    add_member(&a, "m/data.pkl", p.data, p.size);
    add_member(&a, "m/data/0", six, sizeof six);
    free(p.data);
    expect_numbers(finish(&a), layouts[1].want, 6);

    bytes q = {0};
    put(&q, "\x80\x04\x95\0\0\0\0\0\0\0\0}", 12);
    put_text(&q, "epoch"), put_int(&q, -7), put_code(&q, 's');
    put_text(&q, "state"), put(&q, "}\x94(", 3);
    put_text(&q, "w");
    put_text(&q, "torch._utils"), put(&q, "\x8c\x12_rebuild_parameter\x93(", 22);
    put_tensor(&q, &layouts[1].view);
    put(&q, "\x88}tR", 4);
    put_text(&q, "n"), put(&q, "N", 1), put_text(&q, "lr"), put(&q, "G\x3f\xf0\0\0\0\0\0\0", 9);
    put_text(&q, "list"), put(&q, "](K\1M\1\2J\1\2\3\4e", 13), put_text(&q, "0"), put(&q, "h\0", 2);
    put(&q, "us.", 3);
    expect_numbers(file_of(q, NULL, "0", six, sizeof six), layouts[1].want, 6);
}

static void what_is_no_data(void **state)
{
    static const struct {
        const char *code, *message;
        size_t size;
    } cases[] = {
        {"\x80\x02"
         "cos\nsystem\nX\2\0\0\0lsR.",
         "'os.system' (byte 2)", 0},
        {"\x80\x02"
         "cbuiltins\neval\n.",
         "'builtins.eval'", 0},
        {"\x80\x02"
         "ctorch\nload\n.",
         "'torch.load'", 0},
        {"\x80\x04\x8c\2os\x8c\6system\x93.", "'os.system'", 0},
        {"\x80\x02"
         "ccollections\nOrderedDict\n)\x81.",
         "opcode 0x81 (NEWOBJ) at byte 28", 0},
        {"\x80\x02(ios\nsystem\n.", "opcode 0x69 (INST)", 0},
        {"\x80\x02(o.", "opcode 0x6f (OBJ)", 0},
        {"I1\n.", "opcode 0x49 (INT)", 0},
        {"Pid\n.", "opcode 0x50 (PERSID)", 0},
        {"\x80\x02\x82\1.", "opcode 0x82 (EXT1)", 0},
        {"\x80\x04\x8f.", "opcode 0x8f (EMPTY_SET)", 0},
        {"\x80\x02\xff.", "opcode 0xff (unknown)", 0},
        {"\x80\x06}.", "protocol over 5", 0},
        {"\x80\x02}", "ends inside an opcode", 0},
        {"\x80\x02.", "stack is empty", 0},
        {"\x80\x02(.", "stack is empty", 0},
        {"\x80\x02)t.", "no mark", 0},
        {"\x80\x02}u.", "no mark", 0},
        {"\x80\x02)\x86.", "stack is empty", 0},
        {"\x80\x02](K\1u.", "nothing that items could go into", 0},
        {"\x80\x02](K\1K\2u.", "items of what is no dictionary", 0},
        {"\x80\x02}(K\1e.", "items of what is no list", 0},
        {"\x80\x02}((K\1u.", "nothing that items could go into", 0},
        {"\x80\x02})R.", "a call of what is no class", 0},
        {"\x80\x02)}b.", "attributes of what is no dictionary", 0},
        {"\x80\x02h\7.", "not remembered", 0},
        {"\x80\x02}r\xff\xff\xff\xff.", "remembered values", 0},
        {"\x80\x02X\xff\xff\xff\xffw.", "ends inside an opcode", 0},
        {"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffw.", "ends inside an opcode", 12},
        {"\x80\x02"
         "ctorch",
         "name of a class does not end", 0},
        {"\x80\x04K\1K\2\x93.", "name of a class is no text", 0},
        {"\x80\x02].", "no dictionary of tensors", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes p = {0};
        put(&p, cases[i].code, cases[i].size ? cases[i].size : strlen(cases[i].code));
        refuse_pickle(p, cases[i].message);
    }
    bytes endless = {0};
    for (int i = 0; i < (1 << 20) + 1; i++) put_code(&endless, '}');
    refuse_pickle(endless, "over 1048576 steps");
}

static void views_that_do_not_fit(void **state)
{
    (void)state;
    refuse_view((torch_view){"FloatStorage", "0", 7, 0, 1, {6}, {1}}, "has 24 bytes, 7 elements of float32 are wanted");
    refuse_view((torch_view){"HalfStorage", "0", 6, 0, 1, {6}, {1}}, "has 24 bytes, 6 elements of float16 are wanted");
    refuse_view((torch_view){"FloatStorage", "0", INT64_MAX, 0, 1, {6}, {1}}, "are wanted");
    refuse_view((torch_view){"FloatStorage", "0", -1, 0, 1, {6}, {1}}, "tensor 'w': it has no storage");
    refuse_view((torch_view){"FloatStorage", "1", 6, 0, 1, {6}, {1}}, "the archive has no 'm/data/1'");
    refuse_view((torch_view){"FloatStorage", "../data.pkl", 6, 0, 1, {6}, {1}}, "the archive has no");
    refuse_view((torch_view){"FloatStorage", "0", 6, 0, 1, {7}, {1}}, "reaches beyond its storage");
    refuse_view((torch_view){"FloatStorage", "0", 6, 1, 1, {6}, {1}}, "reaches beyond its storage");
    refuse_view((torch_view){"FloatStorage", "0", 6, 7, 1, {0}, {1}}, "reaches beyond its storage");
    refuse_view((torch_view){"FloatStorage", "0", 6, 0, 2, {2, 2}, {5, 1}}, "reaches beyond its storage");
    refuse_view((torch_view){"FloatStorage", "0", 6, INT64_MAX, 1, {1}, {1}}, "reaches beyond its storage");
    refuse_view((torch_view){"FloatStorage", "0", 6, 0, 2, {3, 3}, {INT64_MAX, 1}}, "reaches beyond its storage");
    refuse_view((torch_view){"FloatStorage", "0", 6, 5, 1, {6}, {-1}}, "no offset, shape and strides");
    refuse_view((torch_view){"FloatStorage", "0", 6, -1, 1, {6}, {1}}, "no offset, shape and strides");
    refuse_view((torch_view){"FloatStorage", "0", 6, 0, 1, {-6}, {1}}, "no offset, shape and strides");
    refuse_view((torch_view){"FloatStorage", "0", 6, 0, 11, {1, 1}, {1, 1}}, "no offset, shape and strides");
    refuse_view((torch_view){"FloatStorage", "0", 6, 0, 2, {1LL << 62, 1LL << 62}, {0, 0}}, "more than 2^60 elements");
    refuse_view((torch_view){"QInt8Storage", "0", 24, 0, 1, {24}, {1}}, "'torch.QInt8Storage'");
}

/* Stride 0 makes a tensor of any size from one number: the copy must be earned by the file. */
static void copies_are_limited(void **state)
{
    (void)state;
    torch_view v = {"FloatStorage", "0", 6, 0, 2, {1 << 20, 1 << 20}, {0, 0}};
    bytes file = file_of(pickle_of(&v), NULL, "0", six, sizeof six);
    hone__checkpoint c;
    hone__tensor t;
    assert_int_equal(read_bytes(file.data, file.size, &c), HONE_OK);
    assert_int_equal(hone__checkpoint_dense(&c, hone__checkpoint_find(&c, "w"), &t), HONE_E_LIMIT);
    assert_non_null(strstr(hone_error_message(), "tensor 'w': copies of more than"));
    hone__checkpoint_close(&c);
    free(file.data);
}

static bytes archive_of(const char *const *names, size_t count, unsigned method)
{
    archive a = {.method = method};
    bytes p = pickle_of(&layouts[0].view);
    for (size_t i = 0; i < count; i++)
        if (strstr(names[i], "pkl"))
            add_member(&a, names[i], p.data, p.size);
        else
            add_member(&a, names[i], six, sizeof six);
    free(p.data);
    return finish(&a);
}

static void archives(void **state)
{
    static const char *const twice[] = {"m/data.pkl", "m/data/0", "m/data/0"}, *const none[] = {"m/data/0"};
    static const char old[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    bytes b = {0};
    (void)state;
    refuse_bytes(archive_of(twice, 3, 0), "member 'm/data/0' is there twice");
    refuse_bytes(archive_of(none, 1, 0), "without data.pkl");
    refuse_bytes(archive_of(twice, 2, 8), "member 'm/data.pkl' is compressed");
    refuse_bytes(file_of(pickle_of(&layouts[0].view), "middle", "0", six, sizeof six), "byteorder 'middle'");
    put(&b, old, sizeof old - 1);
    refuse_bytes(b, "written by PyTorch before 1.6");
    b = (bytes){0};
    put(&b, "hello", 5);
    refuse_bytes(b, "not a file of torch.save");
    b = (bytes){0};
    put(&b, "PK\3\4", 4);
    refuse_bytes(b, "no end record");
}

static void members_elsewhere(void **state)
{
    static const char *const names[] = {"m/data.pkl", "m/data/0"};
    bytes whole = archive_of(names, 2, 0);
    size_t end = whole.size - 22, directory = whole.data[end + 16] | (size_t)whole.data[end + 17] << 8;
    size_t second = directory + 46 + strlen(names[0]);
    static const struct {
        size_t at; /* of the second entry, or, from 1000 on, of the end record */
        uint8_t value;
        const char *message;
    } cases[] = {{42, 1, "is not where the directory says"},
                 {24, 200, "is compressed"},
                 {0, 0, "an entry of its directory"},
                 {28, 255, "an entry of its directory"},
                 {8, 1, "is encrypted"},
                 {1018, 1, "its directory lies outside"},
                 {1010, 1, "has no 'm/data/0'"},
                 {1012, 255, "its directory lies outside"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes copy = {0};
        put(&copy, whole.data, whole.size);
        copy.data[cases[i].at < 1000 ? second + cases[i].at : end + cases[i].at - 1000] = cases[i].value;
        refuse_bytes(copy, cases[i].message);
    }
    free(whole.data);
}

/* Cut anywhere it is an error; with any bit of it flipped, an error or other numbers. HONE_TEST_ALL=1: everywhere. */
static void damage(void **state)
{
    size_t step = getenv("HONE_TEST_ALL") ? 1 : 23;
    hone__map *stored;
    hone__checkpoint c;
    (void)state;
    assert_int_equal(hone__map_open(STORED, &stored), HONE_OK);
    uint8_t *copy = malloc(stored->size);
    assert_non_null(copy);
    for (size_t n = 0; n < stored->size; n += step) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, stored->data, n);
        assert_int_not_equal(read_bytes(cut, n, &c), HONE_OK);
        hone__checkpoint_close(&c);
        free(cut);
    }
    for (size_t i = 0; i < stored->size; i += step) {
        memcpy(copy, stored->data, stored->size);
        copy[i] ^= (uint8_t)(1u << (i % 8));
        if (read_bytes(copy, stored->size, &c) == HONE_OK)
            for (size_t k = 0; k < c.count; k++) {
                hone__tensor t;
                if (hone__checkpoint_dense(&c, &c.list[k], &t) == HONE_OK) hone__tensor_release(&t);
            }
        else
            assert_true(strlen(hone_error_message()) > 0);
        hone__checkpoint_close(&c);
    }
    free(copy);
    hone__map_unref(stored);
}

/* What others wrote: ../shared/data/torch. */
static void real_files(void **state)
{
    static const struct {
        const char *file, *tensor;
        hone_dtype dtype;
        int rank;
        int64_t dims[3], first, last;
    } files[] = {{"test.pt", "test", HONE_I64, 2, {2, 4}, 1, 8},
                 {"test_with_key.pt", "test", HONE_I64, 2, {2, 4}, 1, 8},
                 {"boolean.pt", "bool", HONE_BOOL, 2, {2, 2}, 1, 1},
                 {"fortran_tensor_3d.pth", "tensor_fortran", HONE_I64, 3, {2, 3, 4}, 1, 24}};
    (void)state;
    if (access(DATA, F_OK)) {
        print_message("skipped: %s is not there\n", DATA);
        skip();
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        hone__map *file;
        hone__checkpoint c = {0};
        hone__tensor t;
        char path[1024];
        snprintf(path, sizeof path, DATA "%s", files[i].file);
        assert_int_equal(hone__map_open(path, &file), HONE_OK);
        c.file_bytes = file->size;
        if (hone__torch_read(file, path, &c) != HONE_OK) fail_msg("%s", hone_error_message());
        assert_int_equal(c.count, 1);
        assert_string_equal(c.list[0].name, files[i].tensor);
        assert_int_equal(hone__checkpoint_dense(&c, &c.list[0], &t), HONE_OK);
        assert_int_equal(t.dtype, files[i].dtype);
        assert_int_equal(t.rank, files[i].rank);
        assert_memory_equal(t.dims, files[i].dims, (size_t)t.rank * sizeof *t.dims);
        assert_int_equal(hone__element_i64(t.dtype, t.data, 0), files[i].first);
        assert_int_equal(hone__element_i64(t.dtype, t.data, t.count - 1), files[i].last);
        for (size_t k = 0; t.dtype == HONE_I64 && k < t.count; k++)
            assert_int_equal(hone__element_i64(t.dtype, t.data, k), k + 1);
        hone__tensor_release(&t);
        hone__checkpoint_close(&c);
        hone__map_unref(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout),
        cmocka_unit_test(dense_tensors_are_not_copied),
        cmocka_unit_test(other_forms),
        cmocka_unit_test(what_is_no_data),
        cmocka_unit_test(views_that_do_not_fit),
        cmocka_unit_test(copies_are_limited),
        cmocka_unit_test(archives),
        cmocka_unit_test(members_elsewhere),
        cmocka_unit_test(damage),
        cmocka_unit_test(real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
