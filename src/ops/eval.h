/* eval.h: inference over a whole graph, and one node computed on known inputs. */
#ifndef HONE_OPS_EVAL_H
#define HONE_OPS_EVAL_H

#include "op.h"

enum { HONE__ELEMENT_LIMIT_LOG2 = 40 };
#define HONE__ELEMENT_LIMIT ((size_t)1 << HONE__ELEMENT_LIMIT_LOG2)

/* Finds descriptors, then types and shapes of every value of the graph and its subgraphs, in order. An error names the
 * node and its operator. Values that only a run can know stay unknown. */
hone_status hone__graph_infer(hone__graph *graph);

/* infer() of one node with its checks (arity of outputs, limits); the error names the node. */
hone_status hone__node_infer(const hone__op *op, hone__infer *x);

/* Computes a node whose inputs are all known: outputs are new tensors (absent ones stay empty) of at most `limit`
 * elements each. HONE_E_LIMIT beyond. Not for operators of HONE__OP_SESSION. */
hone_status hone__node_eval(const hone__node *node, const hone__op *op, const hone__tensor *const *in,
                            hone__tensor *out, size_t limit);

/* Puts "node 'name' (Op): " before the message. */
hone_status hone__node_at(hone_status status, const hone__node *node);

#endif
