/* builder.h: making graphs by hand. The first failure sticks: later calls do nothing and return NULL, so an importer
 * checks once, at the end, b->status (with the thread's message). */
#ifndef HONE_GRAPH_BUILDER_H
#define HONE_GRAPH_BUILDER_H

#include "graph.h"

typedef struct hone__builder {
    hone__graph *graph;
    hone_status status;
    const char *scope; /* prefix of node names, such as "conv_1/"; NULL none. Borrowed. */
} hone__builder;

/* Attribute initialisers for HONE__ATTRS(...). Arrays are borrowed until the node is made. */
static inline hone__attr hone__a_int(const char *name, int64_t v)
{
    return (hone__attr){.name = name, .kind = HONE__ATTR_INT, .i = v};
}
static inline hone__attr hone__a_float(const char *name, double v)
{
    return (hone__attr){.name = name, .kind = HONE__ATTR_FLOAT, .f = (float)v};
}
hone__attr hone__a_string(const char *name, const char *v);
static inline hone__attr hone__a_ints(const char *name, const int64_t *v, size_t count)
{
    return (hone__attr){.name = name, .kind = HONE__ATTR_INTS, .ints = (int64_t *)(uintptr_t)v, .count = count};
}

#define HONE__INS(...) \
    (hone__value *[]){__VA_ARGS__}, (int)(sizeof((hone__value *[]){__VA_ARGS__}) / sizeof(hone__value *))
#define HONE__ATTRS(...) (hone__attr[]){__VA_ARGS__}, (int)(sizeof((hone__attr[]){__VA_ARGS__}) / sizeof(hone__attr))
#define HONE__NO_ATTRS NULL, 0

/* y = hone__emit(b, "Conv", "conv", HONE__INS(x, w, bias), HONE__ATTRS(hone__a_int("group", 1)));
 * `op` may carry a domain: "com.microsoft:MatMulNBits". Absent optional inputs are NULL. A NULL first input after a
 * failure is fine: nothing happens. */
hone__value *hone__emit(hone__builder *b, const char *op, const char *name, hone__value *const *inputs, int input_count,
                        const hone__attr *attrs, int attr_count);
/* Several outputs: out[0 .. count) */
void hone__emit_multi(hone__builder *b, const char *op, const char *name, hone__value *const *inputs, int input_count,
                      const hone__attr *attrs, int attr_count, hone__value **out, int out_count);

hone__value *hone__emit_input(hone__builder *b, const char *name, hone_dtype dtype, int rank, const int64_t *dims);
void hone__emit_output(hone__builder *b, const char *name, hone__value *value); /* inserts Identity where names clash */

/* Constants. `hone__emit_tensor` takes over the reference. */
hone__value *hone__emit_tensor(hone__builder *b, const char *name, hone__tensor *tensor);
hone__value *hone__emit_f32(hone__builder *b, const char *name, const float *v, int rank, const int64_t *dims);
hone__value *hone__emit_i64(hone__builder *b, const char *name, const int64_t *v, size_t count); /* rank 1 */
hone__value *hone__emit_scalar(hone__builder *b, float v);
hone__value *hone__emit_scalar_i64(hone__builder *b, int64_t v);

/* Sticks a failure that the caller found; returns it. */
hone_status hone__builder_fail(hone__builder *b, hone_status status);

#endif
