/* transpose.c: permutation of axes. */
#include "kernels/transpose/transpose.h"

#include <string.h>

struct job {
    char *dst;
    const char *src;
    size_t size;
    int rank;
    size_t dims[HONE__TRANSPOSE_MAX_RANK];    /* of dst */
    size_t strides[HONE__TRANSPOSE_MAX_RANK]; /* in src, in bytes, of dst's axes */
};

static void copy(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t rest = i, from = 0;
        for (int d = j->rank - 1; d >= 0; d--) {
            from += rest % j->dims[d] * j->strides[d];
            rest /= j->dims[d];
        }
        memcpy(j->dst + i * j->size, j->src + from, j->size);
    }
}

void hone__transpose(void *dst, const void *src, size_t elem_size, int rank, const size_t *dims, const int *perm,
                     hone__pool *pool)
{
    struct job j = {dst, src, elem_size, rank, {0}, {0}};
    size_t strides[HONE__TRANSPOSE_MAX_RANK], total = 1;
    for (int d = rank - 1; d >= 0; d--) {
        strides[d] = total * elem_size;
        total *= dims[d];
    }
    for (int d = 0; d < rank; d++) {
        j.dims[d] = dims[perm[d]];
        j.strides[d] = strides[perm[d]];
    }
    hone__pool_run(pool, total, 4096, copy, &j);
}
