/* test_work.c: operations and bytes that hone profile counts, against counting by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ops/work.h"

static hone__tensor shaped(int rank, const int64_t *dims)
{
    hone__tensor t = {.dtype = HONE_F32, .rank = rank, .count = 1};
    for (int i = 0; i < rank; i++) t.count *= t.dims[i] = dims[i];
    t.bytes = (size_t)t.count * 4;
    return t;
}
#define SHAPED(...) shaped(sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__})

static hone__work work(const char *op, int inputs, const hone__tensor *in, const hone__tensor *out)
{
    hone__node n = {.op = op, .domain = "", .input_count = inputs, .output_count = 1};
    const hone__tensor *ins[4] = {0};
    hone__tensor copy = *out, *outs[1] = {&copy};
    for (int i = 0; i < inputs; i++) ins[i] = &in[i];
    return hone__node_work(&n, ins, outs);
}

static void products_and_convolutions(void **state)
{
    (void)state;
    hone__tensor mul[2] = {SHAPED(2, 3, 5), SHAPED(5, 7)}, mul_out = SHAPED(2, 3, 7);
    hone__work w = work("MatMul", 2, mul, &mul_out);
    assert_true(w.operations == 2.0 * 6 * 5 * 7 && !w.integer && w.in_bytes == 4 * (30 + 35) && w.out_bytes == 4 * 42);
    hone__tensor conv[2] = {SHAPED(1, 4, 10, 10), SHAPED(8, 2, 3, 3)}, conv_out = SHAPED(1, 8, 8, 8);
    assert_true(work("Conv", 2, conv, &conv_out).operations == 2.0 * 8 * 64 * 2 * 9);
    hone__tensor up[2] = {SHAPED(1, 4, 5, 5), SHAPED(4, 6, 2, 2)}, up_out = SHAPED(1, 6, 10, 10);
    assert_true(work("ConvTranspose", 2, up, &up_out).operations == 2.0 * 100 * 24);
    hone__tensor cell[3] = {SHAPED(9, 2, 3), SHAPED(1, 16, 3), SHAPED(1, 16, 4)}, cell_out = SHAPED(9, 1, 2, 4);
    assert_true(work("LSTM", 3, cell, &cell_out).operations == 2.0 * 18 * (16 * 3 + 16 * 4));
    assert_true(work("ConvInteger", 2, conv, &conv_out).integer);
}

static void a_table_is_read_where_it_is_taken(void **state)
{
    (void)state;
    hone__tensor take[2] = {SHAPED(1000, 8), SHAPED(3)}, taken = SHAPED(3, 8), sum[2] = {SHAPED(4), SHAPED(4)};
    hone__work w = work("Gather", 2, take, &taken);
    assert_true(w.in_bytes == taken.bytes + take[1].bytes && w.operations == 0);
    w = work("Add", 2, sum, &sum[0]);
    assert_true(w.operations == 0 && w.in_bytes == 32 && w.out_bytes == 16 && !*w.kernel);
    assert_true(work("MatMul", 1, sum, &sum[0]).operations == 0); /* a node that lacks an input is not counted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_and_convolutions),
                                       cmocka_unit_test(a_table_is_read_where_it_is_taken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
