/* test_keras_hostile.c: damaged and hostile Keras files and configurations: an error that names the place, no crash, no
 * child process left, and never the run of anything that a file holds. HONE_TEST_ALL=1 tries every byte. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tools/import/hdf5/h5_records.h"
#include "tools/import/import.h"
#include "tools/import/keras/keras_json.h"

#define SHARED TEST_SOURCE_DIR "/../shared/data"
#define STORED TEST_SOURCE_DIR "/tests/reference/keras"

/* Processor time of this process and of its children that have ended: what a busy machine adds is no fault of ours. */
static double seconds(void)
{
    double sum = 0;
    for (int who = 0; who < 2; who++) {
        struct rusage u;
        getrusage(who ? RUSAGE_CHILDREN : RUSAGE_SELF, &u);
        sum += (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6;
        sum += (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6;
    }
    return sum;
}

static void no_children(void)
{
    int code;
    assert_int_equal(waitpid(-1, &code, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* A sanitizer makes each fork slow: fewer places then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SPARSER = 8 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { SPARSER = 8 };
#else
enum { SPARSER = 1 };
#endif
#else
enum { SPARSER = 1 };
#endif

/* Calls fn for each regular file of a folder of ../shared/data; skips where there is none. */
static void each_file(const char *folder, void (*fn)(const char *path, const char *name))
{
    DIR *d = opendir(folder);
    char path[1024];
    if (!d) {
        print_message("skipped: %s is not there\n", folder);
        skip();
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        fn(path, e->d_name);
    }
    closedir(d);
}

static void one_cve(const char *path, const char *name)
{
    hone__map *map;
    hone__h5 *h5;
    hone__model *model;
    double start = seconds();
    (void)name;
    assert_int_equal(hone__map_open(path, &map), HONE_OK);
    if (hone__h5_open(map->data, map->size, path, &h5) == HONE_OK) hone__h5_close(h5);
    hone__map_unref(map);
    assert_true(seconds() - start < 5 * SPARSER);
    assert_int_not_equal(hone__import_keras(path, NULL, &model, NULL), HONE_OK); /* none of them is a model */
    assert_non_null(strstr(hone_error_message(), path));
}

static void hdf5_files(void **state)
{
    (void)state;
    each_file(SHARED "/hostile/hdf5", one_cve);
    no_children();
}

/* What a child writes that the file has taken over, or that is merely long, in words of 64 bits. */
static void catalogues(void **state)
{
    const uint64_t strings[] = {H5_RECORD_DATASET, 0, HONE_STRING, 1, 1, 0, 0, 16, 16, H5_RECORD_END};
    const uint64_t numbers[] = {H5_RECORD_ATTRIBUTE, 0, 0, HONE_I64, 100000, 7, H5_RECORD_END};
    const uint64_t texts[] = {H5_RECORD_ATTRIBUTE, 0, 0, HONE_STRING, 3, 0, 0, H5_RECORD_END};
    static const uint8_t spilled[64];
    hone__map spill = {spilled, sizeof spilled, 2}, all[] = {{(const uint8_t *)strings, sizeof strings, 2},
                                                             {(const uint8_t *)numbers, sizeof numbers, 2},
                                                             {(const uint8_t *)texts, sizeof texts, 2}};
    hone__h5 *h5;
    (void)state;
    assert_int_equal(hone__h5_take(&all[0], &spill, "strings", 0, &h5), HONE_E_FORMAT); /* they hold addresses */
    assert_int_equal(hone__h5_take(&all[1], &spill, "numbers", 0, &h5), HONE_OK);       /* only the first is written */
    assert_true(hone__h5_attr_find(h5, "", "")->count == 100000);
    hone__h5_close(h5);
    assert_int_equal(hone__h5_take(&all[2], &spill, "texts", 0, &h5), HONE_E_FORMAT);
}

static void one_json(const char *path, const char *name)
{
    uint8_t *text;
    size_t size;
    json_t *json;
    assert_int_equal(hone__file_read(path, 1 << 24, &text, &size), HONE_OK);
    hone_status status = hone__json_parse((const char *)text, size, name, 100000, &json);
    if (status == HONE_OK) json_decref(json);
    if (name[0] == 'y' && status != HONE_OK) fail_msg("%s", hone_error_message());
    if (name[0] == 'n' && status == HONE_OK) fail_msg("%s is accepted", name);
    hone__free(text);
}

static void json_files(void **state)
{
    (void)state;
    each_file(SHARED "/hostile/json", one_json);
}

/* Imports bytes as a file. Any result will do but a crash; the message names the file. */
static hone_status import_bytes(const uint8_t *data, size_t size)
{
    char path[64];
    hone__model *m = NULL;
    int fd = memfd_create("model", 0);
    assert_true(fd >= 0);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, data + done, size - done);
        assert_true(n > 0);
        done += (size_t)n;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    hone_status status = hone__import_keras(path, NULL, &m, NULL);
    assert_true((status == HONE_OK) == (m != NULL));
    if (status != HONE_OK && status != HONE_E_MEMORY) assert_non_null(strstr(hone_error_message(), path));
    hone__model_destroy(m);
    close(fd);
    return status;
}

static const char *const samples[] = {STORED "/k2_dense.h5", STORED "/k3_act_gelu.keras", STORED "/k3_act_selu.keras"};

static void truncated(void **state)
{
    (void)state;
    bool all = getenv("HONE_TEST_ALL") != NULL;
    for (size_t k = 0; k < sizeof samples / sizeof samples[0]; k++) {
        uint8_t *data;
        size_t size;
        assert_int_equal(hone__file_read(samples[k], 1 << 24, &data, &size), HONE_OK);
        assert_int_equal(import_bytes(data, size), HONE_OK);
        size_t step = all ? 1 : strstr(samples[k], ".keras") ? 7 : 61 * SPARSER;
        for (size_t n = 0; n<size; n += n + 64 / SPARSER> size || n < 64 / SPARSER ? 1 : step)
            assert_int_not_equal(import_bytes(data, n), HONE_OK);
        hone__free(data);
    }
    no_children();
}

static void flipped(void **state)
{
    (void)state;
    bool all = getenv("HONE_TEST_ALL") != NULL;
    for (size_t k = 0; k < sizeof samples / sizeof samples[0]; k++) {
        uint8_t *data;
        size_t size, failed = 0, tried = 0;
        assert_int_equal(hone__file_read(samples[k], 1 << 24, &data, &size), HONE_OK);
        for (size_t bit = 0; bit < size * 8; bit += all ? 1 : 199 * SPARSER, tried++) {
            data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            failed += import_bytes(data, size) != HONE_OK;
            data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_true(failed > 0 && failed < tried); /* some bits matter, some do not */
        hone__free(data);
    }
    no_children();
}

/* A functional model of two layers around the JSON of the second. */
#define INPUT                                                                                                         \
    "{\"class_name\":\"InputLayer\",\"name\":\"in\",\"config\":{\"name\":\"in\",\"batch_input_shape\":[null,8,8,3]}," \
    "\"inbound_nodes\":[]}"
#define MODEL(layer)                                                                    \
    "{\"class_name\":\"Model\",\"config\":{\"name\":\"m\",\"layers\":[" INPUT "," layer \
    "],\"input_layers\":[[\"in\",0,0]],\"output_layers\":[[\"b\",0,0]]}}"
#define LAYER(class, config, inbound) \
    MODEL("{\"class_name\":\"" class "\",\"name\":\"b\",\"config\":" config ",\"inbound_nodes\":" inbound "}")
#define FROM_IN "[[[\"in\",0,0,{}]]]"
#define ARGS_IN                                                                                       \
    "[{\"args\":[{\"class_name\":\"__keras_tensor__\",\"config\":{\"keras_history\":[\"in\",0,0]}}]," \
    "\"kwargs\":{}}]"

static void bad_configurations(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *says[3];
    } cases[] = {
        {LAYER("Lambda", "{\"name\":\"b\",\"function\":[\"4wEAAAA=\",null,null]}", FROM_IN),
         {"'b'", "Lambda", "never executed"}},
        {LAYER("package>Mine", "{\"name\":\"b\"}", FROM_IN), {"'b'", "package>Mine", "never executed"}},
        {LAYER("Conv2D", "{\"filters\":4,\"kernel_size\":[9,9]}", FROM_IN), {"'b'", "Conv2D", "does not fit"}},
        {LAYER("Conv2D", "{\"filters\":4,\"kernel_size\":[3,3],\"strides\":[0,1]}", FROM_IN),
         {"'b'", "strides", "from 1"}},
        {LAYER("Conv2D", "{\"filters\":2147483648,\"kernel_size\":[3,3]}", FROM_IN),
         {"'b'", "filters", "whole number"}},
        {LAYER("Conv2D", "{\"filters\":9223372036854775807,\"kernel_size\":[3,3]}", FROM_IN),
         {"'b'", "filters", "whole number"}},
        {LAYER("Conv2D", "{\"filters\":4,\"groups\":2,\"kernel_size\":3}", FROM_IN), {"'b'", "Conv2D", "groups"}},
        {LAYER("Conv1D", "{\"filters\":4,\"kernel_size\":3}", FROM_IN),
         {"'b'", "(None, 8, 8, 3)", "expected 3 dimensions"}},
        {LAYER("Reshape", "{\"target_shape\":[7,7]}", FROM_IN), {"'b'", "Reshape", "(None, 8, 8, 3)"}},
        {LAYER("Dense", "{\"units\":3,\"activation\":\"mine\"}", FROM_IN), {"'b'", "mine", "never executed"}},
        {LAYER("Dense", "{\"units\":3,\"activation\":{\"class_name\":\"__lambda__\",\"config\":{\"value\":\"e30=\"}}}",
               FROM_IN),
         {"'b'", "Dense", "never executed"}},
        {LAYER("UpSampling2D", "{\"size\":[4096,4096]}", "[[[\"b\",0,0,{}]]]"), {"'b'", "itself", "cycle"}},
        {LAYER("Flatten", "{}", "[[[\"in\",7,0,{}]]]"), {"'b'", "does not exist", ""}},
        {LAYER("Flatten", "{}", "[[[\"in\",0,9,{}]]]"), {"'b'", "output 9", "'in'"}},
        {LAYER("Flatten", "{}", "[]"), {"'b'", "Flatten", "no inputs"}},
        {LAYER("Permute", "{\"dims\":[1,1,2]}", FROM_IN), {"'b'", "permutation", ""}},
        {LAYER("Concatenate", "{\"axis\":9}", FROM_IN), {"'b'", "axis 9", "rank 4"}},
        {LAYER("FeatureSpace", "{}", FROM_IN), {"'b'", "FeatureSpace", "before the model"}},
        {LAYER("Hashing", "{\"num_bins\":0}", FROM_IN), {"'b'", "num_bins", "from 1"}},
        {LAYER("Hashing", "{\"num_bins\":3,\"salt\":[1,\"x\"]}", FROM_IN), {"'b'", "Hashing", "a salt"}},
        {LAYER("LocallyConnected2D", "{\"filters\":4,\"kernel_size\":[9,1]}", FROM_IN),
         {"'b'", "LocallyConnected2D", "does not fit"}},
        {LAYER("LocallyConnected2D", "{\"filters\":1000000,\"kernel_size\":8,\"implementation\":3}", FROM_IN),
         {"'b'", "LocallyConnected2D", ""}},
        {LAYER("Histogram", "{\"name\":\"b\"}", ARGS_IN), {"'b'", "operation 'Histogram'", "not supported"}},
        {LAYER("Mine", "{\"name\":\"b\",\"trainable\":true}", ARGS_IN), {"'b'", "class 'Mine'", "never executed"}},
        {"{\"class_name\":\"Mine\",\"config\":{}}", {"Mine", "never executed", ""}},
        {"{\"class_name\":\"Sequential\",\"config\":[]}", {"no layers", "", ""}},
        {"[]", {"class_name", "", ""}},
        {"{", {"JSON", "", ""}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone__model *m = NULL;
        hone_status status = hone__keras_from_config(cases[i].json, strlen(cases[i].json), 2, &m);
        if (status == HONE_OK) fail_msg("case %zu is accepted", i);
        assert_null(m);
        for (int k = 0; k < 3; k++)
            if (!strstr(hone_error_message(), cases[i].says[k]))
                fail_msg("case %zu says: %s (not: %s)", i, hone_error_message(), cases[i].says[k]);
    }
}

/* The seeds of the fuzzer, each cut at many places. */
static void fuzz_seeds(void **state)
{
    (void)state;
    DIR *d = opendir(TEST_SOURCE_DIR "/tests/fuzz/corpus/keras");
    size_t files = 0, good = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[1024];
        uint8_t *text;
        size_t size;
        hone__model *m;
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, TEST_SOURCE_DIR "/tests/fuzz/corpus/keras/%s", e->d_name);
        assert_int_equal(hone__file_read(path, 1 << 20, &text, &size), HONE_OK);
        for (size_t i = 1; i <= size; i += i + 97 > size && i < size ? size - i : 97) {
            if (hone__keras_from_config((const char *)text + 1, i - 1, text[0] - '0', &m) == HONE_OK) good += i == size;
            hone__model_destroy(m);
        }
        hone__free(text);
        files++;
    }
    closedir(d);
    assert_true(files >= 50 && good >= files * 9 / 10);
}

/* An allocator that fails from its n-th call on. */
static size_t calls_left;

static void *failing(void *ctx, void *block, size_t old_size, size_t new_size)
{
    (void)ctx, (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    if (calls_left == 0) return NULL;
    calls_left--;
    return realloc(block, new_size);
}

/* Every allocation fails once in its turn: an error, no crash, and (under ASan) no leak. */
static void out_of_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"k3_bilstm_concat", "k3_residual_nested_shared", "k3_mha_embed", "k2_tf_item",
                                        "k3_stacked_cells"};
    const hone_allocator allocator = {failing, NULL};
    size_t step = getenv("HONE_TEST_ALL") ? 1 : 7;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512], text[65536];
        snprintf(path, sizeof path, TEST_SOURCE_DIR "/tests/fuzz/corpus/keras/%s", names[i]);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t size = fread(text, 1, sizeof text, f);
        fclose(f);
        hone_set_allocator(&allocator);
        hone_status status = HONE_E_MEMORY;
        for (size_t n = 0; status != HONE_OK && n < 100000; n += step) {
            hone__model *m;
            calls_left = n;
            status = hone__keras_from_config(text + 1, size - 1, text[0] - '0', &m);
            calls_left = SIZE_MAX;
            if (status != HONE_OK && status != HONE_E_MEMORY)
                fail_msg("%s, allocation %zu: %s", names[i], n, hone_error_message());
            hone__model_destroy(m);
        }
        hone_set_allocator(NULL);
        assert_int_equal(status, HONE_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bad_configurations),
                                       cmocka_unit_test(fuzz_seeds),
                                       cmocka_unit_test(json_files),
                                       cmocka_unit_test(hdf5_files),
                                       cmocka_unit_test(catalogues),
                                       cmocka_unit_test(truncated),
                                       cmocka_unit_test(flipped),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
