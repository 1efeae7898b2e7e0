/* api.h: the public handles' insides, for tools that build models themselves. */
#ifndef HONE_API_API_H
#define HONE_API_API_H

#include "graph/graph.h"
#include "hone/hone.h"

struct hone_model {
    hone__model *graph;
};

/* Takes over `graph`, also on failure. */
hone_status hone__api_wrap(hone__model *graph, hone_model **out);

#endif
