/* test_base.c: status text, arenas, checked sizes, atomic output, the thread pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/threads.h"

static void messages_carry_the_place_and_no_control_characters(void **state)
{
    (void)state;
    assert_int_equal(hone__fail(HONE_E_FORMAT, "bad \x1b[31m%s", "name\n"), HONE_E_FORMAT);
    assert_string_equal(hone_error_message(), "bad ?[31mname?");
    assert_int_equal(hone__at(HONE_E_FORMAT, "file '%s'", "x"), HONE_E_FORMAT);
    assert_string_equal(hone_error_message(), "file 'x': bad ?[31mname?");
    char longest[4000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    hone__fail(HONE_E_IO, "%s", longest);
    hone__at(HONE_E_IO, "%s", longest);
    assert_true(strlen(hone_error_message()) < 1024);
}

static void sizes_that_wrap_are_refused(void **state)
{
    size_t out;
    (void)state;
    assert_false(hone__mul_size(SIZE_MAX / 2, 3, &out));
    assert_false(hone__add_size(SIZE_MAX, 1, &out));
    assert_false(hone__range_ok(UINT64_MAX, 1, 10));
    assert_false(hone__range_ok(5, UINT64_MAX, 10));
    assert_true(hone__range_ok(10, 0, 10));
    assert_null(hone__calloc(SIZE_MAX / 4, 8));
    assert_null(hone__malloc(SIZE_MAX));
}

static void arenas_grow_and_rewind(void **state)
{
    hone__arena a = {0};
    (void)state;
    for (int i = 0; i < 2000; i++) {
        char *p = hone__arena_alloc(&a, (size_t)i);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, i, (size_t)i);
    }
    assert_string_equal(hone__arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    hone__arena_rewind(&a);
    assert_non_null(hone__arena_zalloc(&a, 100));
    hone__arena_free(&a);
}

static void an_output_is_old_or_new(void **state)
{
    char dir[] = "/tmp/hone-base-XXXXXX", path[64], text[8] = "";
    hone__output o;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/file", dir);
    assert_int_equal(hone__output_open(path, &o), HONE_OK);
    assert_int_equal(hone__output_write(&o, "one", 3), HONE_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(hone__output_commit(&o), HONE_OK);
    assert_int_equal(hone__output_open(path, &o), HONE_OK);
    assert_int_equal(hone__output_write(&o, "two", 3), HONE_OK);
    hone__output_abandon(&o);
    FILE *f = fopen(path, "r");
    assert_int_equal(fread(text, 1, 7, f), 3);
    fclose(f);
    assert_string_equal(text, "one");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0); /* fails if a temporary file was left */
    assert_int_equal(hone__output_open("/tmp", &o), HONE_E_IO);
    assert_int_equal(hone__output_open("/nowhere/at/all", &o), HONE_E_IO);
}

typedef struct sums {
    uint64_t parts[64];
    size_t items[100000];
} sums;

static void add(void *ctx, size_t begin, size_t end, int thread)
{
    sums *s = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) s->items[i] += i;
}

static void loops_do_every_item_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        hone__pool *p;
        sums *s = calloc(1, sizeof *s);
        assert_int_equal(hone__pool_create(threads, &p), HONE_OK);
        for (int round = 0; round < 300; round++) {
            if (round % 3 == 0) hone__pool_enter(p);
            hone__pool_run(p, round * 37 % 1000, 1 + round % 7, add, s);
            if (round % 3 == 0) hone__pool_leave(p);
        }
        size_t counts[1000] = {0};
        for (int round = 0; round < 300; round++)
            for (int i = 0; i < round * 37 % 1000; i++) counts[i]++;
        for (size_t i = 0; i < 1000; i++) assert_int_equal(s->items[i], i * counts[i]);
        hone__pool_destroy(p);
        free(s);
    }
    hone__pool *p;
    assert_int_equal(hone__pool_create(0, &p), HONE_E_ARGUMENT);
    assert_int_equal(hone__pool_create(-5, &p), HONE_E_ARGUMENT);
}

static atomic_bool stop_here;
static atomic_size_t done_items;

static void stop_at_seven(void *ctx, size_t begin, size_t end, int thread)
{
    (void)ctx, (void)thread;
    atomic_fetch_add(&done_items, end - begin);
    if (begin <= 7 && end > 7) atomic_store(&stop_here, true);
}

static void a_loop_that_may_stop_does(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        hone__pool *p;
        assert_int_equal(hone__pool_create(threads, &p), HONE_OK);
        hone__pool_stop_on(p, &stop_here);
        atomic_store(&stop_here, false);
        atomic_store(&done_items, 0);
        hone__pool_run_stoppable(p, SIZE_MAX / 4, 1, stop_at_seven, NULL); /* would never end */
        assert_true(atomic_load(&done_items) >= 8);
        hone__pool_run_stoppable(p, 100, 1, stop_at_seven, NULL);
        size_t before = atomic_load(&done_items);
        hone__pool_run(p, 100, 3, stop_at_seven, NULL); /* others are whole all the same */
        assert_int_equal(atomic_load(&done_items), before + 100);
        hone__pool_destroy(p);
    }
}

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + 1e-6 * (double)u.ru_utime.tv_usec;
}

static void an_idle_pool_uses_no_cpu(void **state)
{
    hone__pool *p;
    (void)state;
    assert_int_equal(hone__pool_create(2, &p), HONE_OK);
    hone__pool_enter(p);
    hone__pool_leave(p);
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    double before = cpu_seconds();
    nanosleep(&(struct timespec){0, 300000000}, NULL);
    assert_true(cpu_seconds() - before < 0.05);
    hone__pool_destroy(p);
}

static void files_map_or_say_why_not(void **state)
{
    hone__map *m;
    (void)state;
    assert_int_equal(hone__map_open("/tmp", &m), HONE_E_IO);
    assert_int_equal(hone__map_open("/dev/null", &m), HONE_E_IO);
    assert_int_equal(hone__map_open("/tmp/there-is-no-such-file", &m), HONE_E_IO);
    assert_non_null(strstr(hone_error_message(), "/tmp/there-is-no-such-file"));
    assert_int_equal(hone__map_open(TEST_SOURCE_DIR "/Makefile", &m), HONE_OK);
    assert_true(m->size > 10);
    hone__map_unref(m);
    assert_true(hone__cpu_cores() >= 1);
    assert_non_null(hone__tier_name(hone__cpu_tier()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_carry_the_place_and_no_control_characters),
        cmocka_unit_test(sizes_that_wrap_are_refused),
        cmocka_unit_test(arenas_grow_and_rewind),
        cmocka_unit_test(an_output_is_old_or_new),
        cmocka_unit_test(loops_do_every_item_once),
        cmocka_unit_test(a_loop_that_may_stop_does),
        cmocka_unit_test(an_idle_pool_uses_no_cpu),
        cmocka_unit_test(files_map_or_say_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
