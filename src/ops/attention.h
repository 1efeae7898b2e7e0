/* attention.h: scaled dot-product attention in float32 over strided queries, keys and values: what Attention of ONNX
 * and of com.microsoft share. */
#ifndef HONE_OPS_ATTENTION_H
#define HONE_OPS_ATTENTION_H

#include "infer.h"

/* Element (batch, head, row, i) lies at data[batch * b + head * h + row * r + i]. */
typedef struct hone__heads {
    const float *data;
    size_t b, h, r;
} hone__heads;

/* A term of the scores' bias, broadcast over [batch, head, query, key]: steps are 0 where it is. A bool allows where it
 * is true; numbers are added. Keys from `keys` on are not allowed. */
typedef struct hone__attention_mask {
    const hone__tensor *t; /* NULL: none */
    size_t step[4];
    size_t keys;
} hone__attention_mask;

typedef struct hone__attention {
    size_t batch, heads, kv_heads, queries, keys, size, v_size; /* heads is a multiple of kv_heads */
    hone__heads q, k, v;
    float *y; /* strides of y */
    size_t y_b, y_h, y_r;
    float scale, softcap;
    bool causal;
    int64_t left, right;         /* -1: no window on that side */
    int64_t offset;              /* keys before the first query */
    const hone__tensor *lengths; /* valid keys per batch, or NULL; with `own_offset` the offset is length - queries */
    bool own_offset;
    double masked; /* bias of what masks and lengths exclude: -infinity, or a large negative number */
    hone__attention_mask mask, bias;
    float *scores_out; /* [batch, heads, queries, keys] or NULL */
    int scores_mode;   /* what goes there: 0 scaled products, 1 with softcap, 2 with bias, 3 probabilities */
} hone__attention;

/* Broadcast steps of a mask of rank <= 4; HONE_E_SHAPE when it does not fit. */
hone_status hone__attention_mask_make(const hone__attention *a, const hone__tensor *t, hone__attention_mask *out);
size_t hone__attention_scratch(const hone__attention *a, int threads);
void hone__attention_run(const hone__attention *a, void *scratch, hone__pool *pool);

#endif
