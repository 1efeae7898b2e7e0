/* transpose.h: any permutation of any dense array. */
#ifndef HONE_KERNELS_TRANSPOSE_H
#define HONE_KERNELS_TRANSPOSE_H

#include <stddef.h>

#include "base/threads.h"

#define HONE__TRANSPOSE_MAX_RANK 16

/* dst = src with axes permuted: dst's axis i is src's axis perm[i]. dims: src's, rank <= 16. elem_size 1, 2, 4, 8 or 16
 * bytes. dst must not overlap src. */
void hone__transpose(void *dst, const void *src, size_t elem_size, int rank, const size_t *dims, const int *perm,
                     hone__pool *pool);

#endif
