/* attend.h: scaled dot-product attention over a cache of keys and values, in float32, float16 or int8. Few queries, up
 * to 16, hold their scores; of many, scores of a tile of queries by a block of keys are all that is ever held. */
#ifndef HONE_KERNELS_ATTEND_H
#define HONE_KERNELS_ATTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/threads.h"

/* y = softmax(softcap(scale * q . k)) . v per head, over the keys that a query sees; a query that sees none gives 0.
 * Head h reads the keys of head h / (heads / kv_heads). Tolerance against exact arithmetic: 2^-19 of the largest |v|
 * with float32 keys and values and |scores| <= 20; float16 and int8 ones are taken as they are. */
/* HONE__KV_I8: a row is `size` codes and behind them the float32 that they are multiples of. */
typedef enum hone__kv { HONE__KV_F32, HONE__KV_F16, HONE__KV_I8 } hone__kv;

/* Elements of a row. */
static inline size_t hone__kv_row(hone__kv kind, size_t size)
{
    return kind == HONE__KV_I8 ? size + sizeof(float) : size;
}

/* Writes a row of `size` numbers into a cache. */
void hone__kv_write(hone__kv kind, const float *x, size_t size, void *row);

typedef struct hone__attend_args {
    size_t batch, heads, kv_heads, queries, size;
    const float *q; /* (b, h, row) at b * q_b + h * q_h + row * q_r; `size` numbers each */
    size_t q_b, q_h, q_r;
    const void *k, *v; /* (b, h, key) at element b * kv_b + h * kv_h + key * kv_r */
    hone__kv kind;
    size_t kv_b, kv_h, kv_r; /* kv_r 0: hone__kv_row */
    size_t share;            /* so many entries of the batch, one behind the other, read the same keys; 0: 1 */
    size_t keys;             /* with those of the queries themselves, which are the last ones */
    const int64_t *first;    /* [batch]: keys before it are padding; NULL: none are */
    int causal;              /* a query sees keys up to its own */
    size_t window;           /* causal only: of these the last `window`; 0: all */
    float scale, softcap;    /* softcap: s -> softcap * tanh(s / softcap); 0: none */
    float *y;                /* (b, h, row) at b * y_b + h * y_h + row * y_r */
    size_t y_b, y_h, y_r;
} hone__attend_args;

/* Bytes that are enough for every number of keys up to a->keys. */
size_t hone__attend_scratch(const hone__attend_args *a, int threads);
void hone__attend(const hone__attend_args *a, void *scratch /* 64-byte aligned */, hone__pool *pool);

#endif
