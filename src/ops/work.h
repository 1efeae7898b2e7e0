/* work.h: how much a node computes and moves, and the family of kernels that does it. */
#ifndef HONE_OPS_WORK_H
#define HONE_OPS_WORK_H

#include "graph/graph.h"

typedef struct hone__work {
    double operations; /* of one run; a multiply-add is two; 0: not counted (it moves bytes) */
    bool integer;      /* 8-bit products */
    size_t in_bytes, out_bytes;
    const char *kernel; /* static; "" where the operator's own loop does it */
} hone__work;

/* in[i], out[i]: the tensors of a run, NULL where absent. */
hone__work hone__node_work(const hone__node *node, const hone__tensor *const *in, hone__tensor *const *out);

#endif
