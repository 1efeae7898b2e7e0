/* nbits_wide.h: the product of nbits.h for many rows of activations: strips of weights are unpacked once and multiplied
 * by the register tiles of kernels/tile. Every output has the bits that nbits_parts.h's tiles give it. */
#ifndef HONE_KERNELS_NBITS_WIDE_H
#define HONE_KERNELS_NBITS_WIDE_H

#include <stdbool.h>

#include "kernels/nbits/nbits.h"

/* Whether there are rows enough for it to pay, and blocks large enough. */
bool hone__nbits_is_wide(const hone__nbits_args *g);
size_t hone__nbits_wide_scratch(const hone__nbits_args *g, int threads);
void hone__nbits_wide(const hone__nbits_args *g, void *scratch, hone__pool *pool);

#endif
