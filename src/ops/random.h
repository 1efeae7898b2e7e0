/* random.h: the numbers of random operators. */
#ifndef HONE_OPS_RANDOM_H
#define HONE_OPS_RANDOM_H

#include "infer.h"

typedef struct hone__random {
    uint64_t state;
} hone__random;

hone__random
hone__random_start(const hone__node *node);           /* from its attribute seed; another state each time without one */
double hone__random_uniform(hone__random *generator); /* in [0, 1) */

#endif
