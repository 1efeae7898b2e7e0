/* dispatch.h: tables per tier. A family builds one table for each tier of this architecture, once: scalar first, then
 * each row HONE_VARIANT(tier, slot, value) of its variants_<arch>.def for that tier and all above it. */
#ifndef HONE_KERNELS_DISPATCH_H
#define HONE_KERNELS_DISPATCH_H

#include <pthread.h>

#include "base/cpu.h"

#define HONE__TIERS (HONE__AVX512BF16 + 1)

/* Where a tier's table stands: tiers of an architecture without variants use scalar. */
static inline int hone__tier_slot(hone__tier tier) { return (int)tier < HONE__TIERS ? (int)tier : HONE__SCALAR; }

#endif
