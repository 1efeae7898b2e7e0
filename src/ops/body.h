/* body.h: types and shapes inside the graphs that operators run: branches, bodies of loops. */
#ifndef HONE_OPS_BODY_H
#define HONE_OPS_BODY_H

#include "op.h"

/* Infers the graph `g`, an attribute of node n whose inputs are of types `in`. Inputs of a body of Loop, Scan and
 * SequenceMap get what holds in every run of it, whatever its file declares; those of other operators stay as declared.
 */
hone_status hone__body_infer(const hone__node *n, const hone__type *in, hone__graph *g);

#endif
