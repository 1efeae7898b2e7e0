/* keras_ops.h: arguments of an operation, wherever the version of Keras wrote them. */
#ifndef HONE_IMPORT_KERAS_OPS_H
#define HONE_IMPORT_KERAS_OPS_H

#include "keras.h"

/* Keyword, constructor setting or positional argument; `names` are alternatives separated by '|'. NULL: absent, null.
 */
const json_t *hone__kop_arg(const klayer *l, const kcall *call, int index, const char *names);
/* The same as a tensor; index 0 falls back to the first input. NULL sticks an error when `needed`. */
kt *hone__kop_tensor(kctx *c, const klayer *l, kcall *call, int index, const char *names, bool needed);
double hone__kop_num(const klayer *l, const kcall *call, int index, const char *names, double otherwise);
int hone__kop_axis(kctx *c, const klayer *l, const kcall *call, int index, const char *names, int otherwise, int rank);
bool hone__kop_bool(const klayer *l, const kcall *call, int index, const char *names, bool otherwise);
/* A number, a list of them or such an array; how many, -1 where it is something else. null counts as -1. */
int hone__kop_list(const json_t *v, double *out, int max);
/* An argument that is a list of tensors (constants among them); without one, all inputs. -1: something else. */
int hone__kop_tensors(kctx *c, const klayer *l, kcall *call, int index, const char *names, kt **out, int max);
/* A shape in an argument: numbers, and elements of shapes that only a run tells (then `value` holds it, else it is
 * made of `dims`). */
typedef struct kshape {
    int rank;
    int64_t dims[HONE_MAX_RANK]; /* -1: as the file says, or not known */
    bool computed[HONE_MAX_RANK];
    int open;           /* how many are computed and not known */
    hone__value *value; /* int64 [rank] */
} kshape;

/* False, and an error: no shape. */
bool hone__kop_shape_arg(kctx *c, const klayer *l, kcall *call, int index, const char *names, kshape *out);
/* The dtype that was asked for: TensorFlow's functions have it among their arguments only. */
hone_dtype hone__kop_dtype(const kctx *c, const klayer *l, const kcall *call, hone_dtype otherwise);
/* A reduction over axes (sorted) in the form that suits. */
kt *hone__k_reduced(kctx *c, kt *t, const char *op, const int64_t *axes, int n, bool keep);
/* The axes of an argument, or all; how many. */
int hone__kop_axes(kctx *c, const klayer *l, const kcall *call, int index, const char *names, int rank, int64_t *axes);
kt *hone__k_swapped(kctx *c, kt *t, int a, int b);                   /* two axes exchanged */
kt *hone__k_reshaped(kctx *c, kt *t, int rank, const int64_t *dims); /* dims: at most one -1 */
kt *hone__k_where(kctx *c, kt *on, kt *x, kt *y);
static inline kt *hone__k_binary_num(kctx *c, const char *op, kt *x, double v)
{
    return x ? hone__k_binary(c, op, x, hone__kt_scalar(c, v, x->dtype)) : NULL;
}

#endif
