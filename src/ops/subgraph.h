/* subgraph.h: values that outlive one run of a loop's body: states carried on, and rows collected from each run. */
#ifndef HONE_OPS_SUBGRAPH_H
#define HONE_OPS_SUBGRAPH_H

#include "infer.h"

/* A value of its own: a tensor in growing bytes, or a reference to a sequence. Zero-initialise. */
typedef struct hone__keep {
    hone__tensor t;
    void *own;
    size_t room;
    int64_t rows; /* of a collection */
} hone__keep;

hone_status hone__keep_copy(hone__keep *k, const hone__tensor *from);
/* Appends `row`; every row must have the first one's type and shape, which k->t keeps (bytes: of one row). */
hone_status hone__keep_row(hone__keep *k, const hone__tensor *row);
void hone__keep_free(hone__keep *k, size_t count); /* the array, too */
hone__keep *hone__keep_new(size_t count);          /* NULL: out of memory */

/* The graph attribute, or NULL. */
hone__graph *hone__node_graph(const hone__node *n, const char *name);
/* Output `out` of a node is the last of a state's values, input `in` the first; in the body it is `before` and `after`.
 */
hone_status hone__state_infer(hone__infer *x, int out, int in, const hone__value *before, const hone__value *after);
/* What both may be: equal dimensions stay, others become unknown. */
void hone__type_merge(hone__type *a, const hone__type *b);

#endif
