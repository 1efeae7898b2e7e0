/* ml.h: what operators of domain ai.onnx.ml share: lists among attributes, class labels, keys and their places, and how
 * scores become what is put out. */
#ifndef HONE_OPS_ML_H
#define HONE_OPS_ML_H

#include "string_values.h"

/* Real numbers from a list of floats or from a tensor. */
typedef struct hone__reals {
    const float *floats;
    const hone__tensor *tensor;
    size_t count;
} hone__reals;

/* Attribute `name`, or the tensor `name`_as_tensor; count 0 where neither is there. */
hone__reals hone__node_reals(const hone__node *n, const char *name);
static inline double hone__real(const hone__reals *r, size_t i)
{
    return r->tensor ? hone__tensor_f64(r->tensor, i) : (double)r->floats[i];
}

typedef struct hone__labels {
    const hone__string *strings; /* NULL: integers */
    const int64_t *ints;
    size_t count;
} hone__labels;

/* classlabels_strings, or the attribute `ints`. HONE_E_SHAPE when there is none. */
hone_status hone__labels_read(const hone__node *n, const char *ints, hone__labels *out);
static inline hone_dtype hone__labels_type(const hone__labels *l) { return l->strings ? HONE_STRING : HONE_I64; }
/* Output 0's element i becomes label `k`. */
void hone__labels_put(const hone__labels *l, hone__run *r, size_t i, size_t k);

/* Keys of any type, sorted; of equal ones the last counts. */
typedef struct hone__key {
    int64_t major, minor;
    hone__string text;
    size_t place; /* in the list that the key comes from */
} hone__key;
typedef struct hone__keys {
    hone__key *list;
    size_t count;
} hone__keys;

hone_status hone__keys_new(hone__keys *k, hone__arena *arena,
                           size_t count); /* list[i].place is i: the caller fills it */
void hone__keys_sort(hone__keys *k);
bool hone__keys_find(const hone__keys *k, const hone__key *key, size_t *place);
/* Element i of data as key: every NaN is the same, and so are both zeros. */
hone__key hone__key_of(hone_dtype dtype, const void *data, size_t i);

/* What happens to the scores of one row. */
typedef enum hone__post {
    HONE__POST_NONE,
    HONE__POST_SOFTMAX,
    HONE__POST_LOGISTIC,
    HONE__POST_SOFTMAX_ZERO,
    HONE__POST_PROBIT
} hone__post;
hone_status hone__post_read(const hone__node *n, hone__post *out);
void hone__post_apply(hone__post post, double *scores, size_t n);
/* The one score s[0] for the second of two classes: s becomes both scores, [1 - s, s], or [-s, s] where scores of both
 * signs occur. */
void hone__post_lone(hone__post post, double s[2], bool signs);

/* Rows and columns of a table [N, F], or of one row [F]. HONE_E_SHAPE for other ranks. */
hone_status hone__ml_table(const hone__tensor *t, size_t *rows, size_t *columns);
/* Input 0 must be a table of numbers; its rows, -1 where unknown. */
hone_status hone__ml_infer_table(const hone__infer *x, int64_t *rows);

/* Input 0 has as many columns as the node's lists are for. */
hone_status hone__ml_infer_columns(const hone__infer *x, size_t columns);

#endif
