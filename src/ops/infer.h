/* infer.h: small pieces that shape inference of many operators shares. */
#ifndef HONE_OPS_INFER_H
#define HONE_OPS_INFER_H

#include "base/checked.h"
#include "op.h"

static inline bool hone__has_input(const hone__infer *x, int i)
{
    return i < x->input_count && x->node->inputs[i] != NULL;
}
static inline bool hone__known_rank(const hone__infer *x, int i) { return x->in[i].shape.rank >= 0; }

/* HONE_E_SHAPE when fewer than `least` or more than `most` inputs are given, or a required one (the first `least`) is
 * absent. */
hone_status hone__infer_arity(const hone__infer *x, int least, int most);
/* Output i has the type and shape of input j. */
void hone__infer_same(hone__infer *x, int out, int in);
void hone__infer_set(hone__infer *x, int out, hone_dtype dtype, int rank, const int64_t *dims);
hone_status hone__infer_rank(const hone__infer *x, int input, int rank); /* known rank must be `rank` */
/* Inputs must have equal element types (where known). */
hone_status hone__infer_equal_types(const hone__infer *x, int a, int b);
/* An input that is absent or of output 0's shape: what a fused node adds to its result is read without broadcasting. */
hone_status hone__infer_like_output(const hone__infer *x, int input);
hone_status hone__infer_float(const hone__infer *x, int input);
/* NumPy broadcasting of two shapes into `out` (which may be one of them). */
hone_status hone__broadcast(const hone__shape *a, const hone__shape *b, hone__shape *out);
/* NumPy's matmul of two shapes; out->rank -1 where a rank is unknown. */
hone_status hone__matmul_infer(const hone__shape *a, const hone__shape *b, hone__shape *out);
/* Axis in [-rank, rank) to [0, rank). */
hone_status hone__axis(int64_t axis, int rank, int *out);
/* Input `i` as int64 list when its value is known: *v points to `buffer` (at most `room` elements), *count -1 when the
 * value is unknown. */
hone_status hone__infer_ints(const hone__infer *x, int i, int64_t *buffer, int room, int *count);
/* Same size, or one of them unknown (< 0). */
static inline bool hone__dims_agree(int64_t a, int64_t b) { return a < 0 || b < 0 || a == b; }
/* a * b and a + b of dimensions; -1 where one is unknown; HONE_E_LIMIT on wrap. */
hone_status hone__dim_mul(int64_t a, int64_t b, int64_t *out);
/* Reads a constant integer list of a run-time input. */
static inline int64_t hone__tensor_i64(const hone__tensor *t, size_t i)
{
    return hone__element_i64(t->dtype, t->data, i);
}
static inline double hone__tensor_f64(const hone__tensor *t, size_t i)
{
    return hone__element_f64(t->dtype, t->data, i);
}
/* Types and shapes of what prepare sees, for the functions of infer; rank -1 where an input is absent. */
void hone__types_of(const hone__tensor *const *in, int count, hone__type *types);
static inline void *hone__out_data(const hone__run *r, int i) { return (void *)(uintptr_t)r->out[i]->data; }

#endif
