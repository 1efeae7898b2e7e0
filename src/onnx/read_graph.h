/* read_graph.h: what the parts of the reader share that build graphs. Private to onnx. */
#ifndef HONE_ONNX_READ_GRAPH_H
#define HONE_ONNX_READ_GRAPH_H

#include "read.h"

/* Names of one graph (or of one function call): open addressing over spans. */
typedef struct hone__scope {
    struct hone__scope *parent;
    hone__graph *graph;
    struct hone__scope_slot {
        hone__span key;
        hone__value *value;
    } *slots;
    size_t size, used;
    const hone__node *call; /* in a function body: whose attributes ref_attr_name means; NULL otherwise */
} hone__scope;

/* What a formal input of a function is bound to where the call leaves it out. */
extern hone__value hone__scope_absent;

uint64_t hone__span_hash(hone__span s);
hone_status hone__scope_bind(hone__scope *sc, hone__span key, hone__value *v);
hone__value *hone__scope_here(const hone__scope *sc, hone__span key); /* NULL: not bound in this scope */
hone__value *hone__scope_find(const hone__scope *sc, hone__span key); /* nor in those around it */

typedef struct hone__node_proto {
    hone__span op, domain, name, overload;
    hone__value **ins, **outs;
    size_t in_count, out_count, in_room, out_room;
} hone__node_proto;

/* `name` is for messages. */
hone_status hone__read_type(hone__reader *r, hone__span s, hone__type *out, const char *name);
/* A TypeProto of a map, or of a sequence or optional of them. */
bool hone__type_is_map(hone__span s);
/* The attributes of the NodeProto `s` become those of `n`; of the FunctionProto `s` those that its call does not give.
 */
hone_status hone__read_attrs(hone__reader *r, hone__span s, hone__scope *sc, hone__node *n);
hone_status hone__read_defaults(hone__reader *r, hone__span s, hone__scope *sc, hone__node *call);
hone_status hone__read_graph(hone__reader *r, hone__span s, hone__scope *parent, const hone__node *call,
                             hone__graph *g);

/* Every output name of a node list gets a value first, so that the order in the file does not matter to names. */
hone_status hone__declare_outputs(hone__reader *r, hone__span node, hone__scope *sc);
hone_status hone__read_node(hone__reader *r, hone__span s, hone__scope *sc);

/* Reads the heads of all FunctionProtos, so that a node finds its function at once. The first of a name counts. */
hone_status hone__index_functions(hone__reader *r);
/* The FunctionProto that a node calls; p NULL when its operator is none. */
hone__span hone__find_function(const hone__reader *r, const hone__node_proto *p);
hone_status hone__inline_function(hone__reader *r, hone__span body, hone__node *call, const hone__node_proto *p);

#endif
