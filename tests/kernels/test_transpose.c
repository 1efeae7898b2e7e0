/* test_transpose.c: permutations against one element at a time. */
#include "kernel_test.h"

#include "kernels/transpose/transpose.h"

static void check(size_t size, int rank, const size_t *dims, const int *perm, size_t shift)
{
    size_t total = 1, strides[8];
    for (int d = rank - 1; d >= 0; d--) strides[d] = total, total *= dims[d];
    guarded src = guarded_new(total * size + shift), dst = guarded_new(total * size + shift);
    uint8_t *from = src.data, *to = dst.data; /* at the end of the page when shift is 0 */
    fill_bytes(from, total * size);
    hone__transpose(to, from, size, rank, dims, perm, two_threads);
    for (size_t i = 0; i < total; i++) {
        size_t rest = i, at = 0;
        for (int d = rank - 1; d >= 0; d--) at += rest % dims[perm[d]] * strides[perm[d]], rest /= dims[perm[d]];
        if (memcmp(to + i * size, from + at * size, size))
            fail_msg("rank %d, element size %zu: element %zu is wrong", rank, size, i);
    }
    guarded_free(&src), guarded_free(&dst);
}

static void random_permutations(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 4, 8, 16};
    for (int round = 0; round < 500; round++) {
        int rank = (int)pick(0, 6), perm[8];
        size_t dims[8], top = rank <= 2 ? 80 : rank == 3 ? 25 : 6;
        for (int d = 0; d < rank; d++) dims[d] = pick(1, top), perm[d] = d;
        for (int d = rank - 1; d > 0; d--) {
            int o = (int)pick(0, (size_t)d), swap = perm[d];
            perm[d] = perm[o], perm[o] = swap;
        }
        check(sizes[round % 5], rank, dims, perm, pick(0, 3));
    }
}

static void images(void **state)
{
    (void)state;
    const size_t dims[4] = {2, 33, 17, 40};
    const int to_last[4] = {0, 2, 3, 1}, to_first[4] = {0, 3, 1, 2};
    for (size_t size = 1; size <= 16; size *= 2) {
        check(size, 4, dims, to_last, 0);
        check(size, 4, dims, to_first, 0);
    }
    const size_t pixels[3] = {19, 7, 3};
    const int planes[3] = {2, 0, 1};
    for (size_t size = 1; size <= 16; size *= 2) check(size, 3, pixels, planes, 0);
    const size_t none[3] = {4, 0, 5};
    const int perm[3] = {2, 1, 0};
    hone__transpose(NULL, NULL, 4, 3, none, perm, NULL); /* nothing to do */
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(random_permutations),
        cmocka_unit_test(images),
    };
    return cmocka_run_group_tests(list, NULL, NULL);
}

int main(void) { return run_tiers(tests); }
