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
    double beyond; /* likewise of what causality and windows exclude; 0: -infinity */
    hone__attention_mask mask, bias;
    const float *sink; /* [heads]: a score without a value that every softmax of a head includes; or NULL */
    float *scores_out; /* [batch, heads, queries, keys] or NULL */
    int scores_mode;   /* what goes there: 0 scaled products, 1 with softcap, 2 with bias, 3 probabilities */
} hone__attention;

/* Broadcast steps of a mask of rank <= 4; HONE_E_SHAPE when it does not fit. */
hone_status hone__attention_mask_make(const hone__attention *a, const hone__tensor *t, hone__attention_mask *out);
/* com.microsoft's masks of integers: lengths [B] (what follows them counts lengths again), ends and starts [2 B], or 1
 * where a key is allowed: [B, T], [B, S, T], [B, 1, M, M]. `to` and `t` hold it as booleans; room for them: _bytes. */
size_t hone__attention_mask_bytes(const hone__attention *a, const hone__tensor *m);
hone_status hone__attention_mask_ints(hone__attention *a, const hone__tensor *m, uint8_t *to, hone__tensor *t);
size_t hone__attention_scratch(const hone__attention *a, int threads);
/* For a run with at most a->keys keys; HONE_E_LIMIT for more than HONE__ATTENTION_KEYS, every number of them is tried.
 */
enum { HONE__ATTENTION_KEYS = 1 << 22 };
hone_status hone__attention_scratch_upto(const hone__attention *a, int threads, size_t *bytes);
void hone__attention_run(const hone__attention *a, void *scratch, hone__pool *pool);

/* [batch, heads, rows, size], or packed: [batch, rows, heads * size] */
hone__heads hone__heads_of(const float *data, bool packed, size_t heads, size_t rows, size_t size);
/* `before` rows of past and `rows` of now, plus the bias, per head: [batch, heads, before + rows, size]. */
typedef struct hone__joined {
    hone__heads past, now;
    size_t batch, heads, before, rows, size;
    const float *bias; /* [heads, size] or NULL */
} hone__joined;
void hone__heads_join(const hone__joined *j, float *to);
/* Turns the first 2 * half values of one head by angles with these cosines and sines; the rest is copied. */
void hone__rotate(const float *x, const float *cosine, const float *sine, float *y, size_t size, size_t half,
                  bool interleaved);

#endif
