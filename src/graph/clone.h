/* clone.h: a deep copy of a model. */
#ifndef HONE_GRAPH_CLONE_H
#define HONE_GRAPH_CLONE_H

#include "graph.h"

/* Nodes, values and attributes are copied; the bytes of constants are shared. */
hone_status hone__model_clone(const hone__model *model, hone__model **out);

#endif
