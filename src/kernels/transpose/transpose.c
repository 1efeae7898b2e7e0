/* transpose.c: permutation of axes. Axes that stay neighbours are merged; then either whole runs are copied, or the
 * axis that is contiguous in the source and the one that is contiguous in the result are exchanged in blocks. */
#include "kernels/transpose/transpose.h"

#include <stdint.h>
#include <string.h>

#include "kernels/gemm/gemm_parts.h"

enum { MAX = HONE__TRANSPOSE_MAX_RANK, BLOCK = 32 /* elements along the source's contiguous axis per item */ };

/* Strides in elements, axes in the order of the result. */
struct axis {
    size_t count, src, dst;
};

struct job {
    char *dst;
    const char *src;
    size_t size; /* of an element */
    struct axis outer[MAX];
    int outers;
    struct axis last; /* contiguous in the result */
    struct axis line; /* contiguous in the source */
    size_t blocks;    /* of `line` per outer position */
};

/* The result's axes with neighbours merged; how many remain (0: a single element). */
static int merge(int rank, const size_t *dims, const int *perm, struct axis *axes)
{
    size_t src[MAX], stride = 1;
    int n = 0;
    for (int d = rank - 1; d >= 0; d--) {
        src[d] = stride;
        stride *= dims[d];
    }
    for (int d = 0; d < rank; d++) {
        struct axis a = {dims[perm[d]], src[perm[d]], 0};
        if (a.count == 1) continue;
        if (n && axes[n - 1].src == a.src * a.count) {
            axes[n - 1].count *= a.count;
            axes[n - 1].src = a.src;
        } else {
            axes[n++] = a;
        }
    }
    stride = 1;
    for (int d = n - 1; d >= 0; d--) {
        axes[d].dst = stride;
        stride *= axes[d].count;
    }
    return n;
}

/* Element offsets of outer position i. */
static void offsets(const struct job *j, size_t i, size_t *src, size_t *dst)
{
    *src = *dst = 0;
    for (int d = j->outers - 1; d >= 0; d--) {
        size_t at = i % j->outer[d].count;
        *src += at * j->outer[d].src;
        *dst += at * j->outer[d].dst;
        i /= j->outer[d].count;
    }
}

static void copy_runs(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t src, dst;
        offsets(j, i, &src, &dst);
        memcpy(j->dst + dst * j->size, j->src + src * j->size, j->last.count * j->size);
    }
}

typedef struct wide {
    uint64_t half[2];
} wide;

/* to[c * to_rs + r] = from[r * from_rs + c] */
#define EXCHANGE(name, type)                                                                             \
    static void name(const void *from, size_t from_rs, size_t rows, size_t cols, void *to, size_t to_rs) \
    {                                                                                                    \
        const type *f = from;                                                                            \
        type *t = to;                                                                                    \
        for (size_t r0 = 0; r0 < rows; r0 += 16)                                                         \
            for (size_t c = 0; c < cols; c++)                                                            \
                for (size_t r = r0; r < rows && r < r0 + 16; r++)                                        \
                    memcpy(t + c * to_rs + r, f + r * from_rs + c, sizeof(type));                        \
    }
EXCHANGE(exchange_1, uint8_t)
EXCHANGE(exchange_2, uint16_t)
EXCHANGE(exchange_8, uint64_t)
EXCHANGE(exchange_16, wide)

static void exchange(size_t size, const void *from, size_t from_rs, size_t rows, size_t cols, void *to, size_t to_rs)
{
    int aligned = ((uintptr_t)from | (uintptr_t)to) % 4 == 0;
    if (size == 1)
        exchange_1(from, from_rs, rows, cols, to, to_rs);
    else if (size == 2)
        exchange_2(from, from_rs, rows, cols, to, to_rs);
    else if (size == 4 && aligned)
        hone__gemm_parts()->transpose_32(from, from_rs, rows, cols, to, to_rs);
    else if (size == 4)
        hone__transpose_32_scalar(from, from_rs, rows, cols, to, to_rs);
    else if (size == 8)
        exchange_8(from, from_rs, rows, cols, to, to_rs);
    else
        exchange_16(from, from_rs, rows, cols, to, to_rs);
}

static void exchange_items(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    (void)thread;
    for (size_t item = begin; item < end; item++) {
        size_t src, dst, first = item % j->blocks * BLOCK;
        size_t cols = j->line.count - first < BLOCK ? j->line.count - first : BLOCK;
        offsets(j, item / j->blocks, &src, &dst);
        exchange(j->size, j->src + (src + first) * j->size, j->last.src, j->last.count, cols,
                 j->dst + (dst + first * j->line.dst) * j->size, j->line.dst);
    }
}

void hone__transpose(void *dst, const void *src, size_t elem_size, int rank, const size_t *dims, const int *perm,
                     hone__pool *pool)
{
    struct job j = {.dst = dst, .src = src, .size = elem_size};
    struct axis axes[MAX];
    size_t items = 1;
    for (int d = 0; d < rank; d++)
        if (dims[d] == 0) return;
    int n = merge(rank, dims, perm, axes), line = -1;
    if (n == 0) {
        memcpy(dst, src, elem_size);
        return;
    }
    j.last = axes[n - 1];
    if (j.last.src != 1)
        for (int d = 0; d < n - 1; d++)
            if (axes[d].src == 1) line = d;
    for (int d = 0; d < n - 1; d++) {
        if (d == line) continue;
        j.outer[j.outers++] = axes[d];
        items *= axes[d].count;
    }
    if (line < 0) {
        hone__pool_run(pool, items, 16384 / (j.last.count * elem_size) + 1, copy_runs, &j);
        return;
    }
    j.line = axes[line];
    j.blocks = (j.line.count + BLOCK - 1) / BLOCK;
    size_t bytes = j.last.count * (j.line.count < BLOCK ? j.line.count : BLOCK) * elem_size;
    hone__pool_run(pool, items * j.blocks, 16384 / bytes + 1, exchange_items, &j);
}
