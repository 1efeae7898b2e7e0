/* read.h: what the parts of the reader share. Private to onnx. */
#ifndef HONE_ONNX_READ_H
#define HONE_ONNX_READ_H

#include "graph/graph.h"
#include "onnx.h"
#include "wire.h"

enum { HONE__DEPTH_MAX = 32, HONE__NODES_MAX = 1 << 20 };

typedef struct hone__function {
    hone__span body, domain, name, overload; /* body: the whole FunctionProto */
} hone__function;

typedef struct hone__reader {
    hone__model *model;
    hone__blob *file;     /* the whole file's bytes */
    const uint8_t *start; /* of them */
    const char *path;     /* for external data; NULL: refused */
    const char *name;     /* for messages */
    hone__function *functions;
    size_t function_count, function_capacity;
    uint32_t *table; /* of functions by name: position + 1 */
    size_t table_size;
    size_t inlined_bytes, inlined_nodes; /* of function bodies, again for every call */
    struct hone__side {                  /* external files opened so far */
        const char *location;
        hone__blob *blob;
    } *sides;
    size_t side_count, side_capacity;
    size_t nodes; /* made so far: inlining functions must end */
    int depth;
} hone__reader;

/* HONE_E_FORMAT with the byte offset of `at`. */
hone_status hone__read_bad(const hone__reader *r, const uint8_t *at, const char *what);
/* Copies text into the model; refuses a NUL byte inside. */
hone_status hone__read_text(hone__reader *r, hone__span s, const char **out);
/* TensorProto. *name may be NULL when not wanted. */
hone_status hone__read_tensor(hone__reader *r, hone__span s, hone__tensor *out, const char **name);
/* Bytes [offset, offset + length) of a file in the model's folder. */
hone_status hone__read_external(hone__reader *r, const char *location, uint64_t offset, uint64_t length,
                                hone__blob **blob);
/* Lifts every node of the graph from opset `version` of ai.onnx to the newest meaning. */
hone_status hone__onnx_upgrade(hone__graph *graph, int64_t version);
/* One node of an opset below 7 to opset 7. */
struct hone__builder;
hone_status hone__onnx_upgrade_early(struct hone__builder *b, hone__node *n, int64_t version);
/* Reads a node of com.microsoft as standard ones where that is all it is. */
hone_status hone__onnx_microsoft(struct hone__builder *b, hone__node *n);
hone_status hone__onnx_upgrade_scan(struct hone__builder *b, hone__node *n);

#endif
