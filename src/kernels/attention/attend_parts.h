/* attend_parts.h: what the ways of attending share: where rows lie, which keys a query sees. */
#ifndef HONE_KERNELS_ATTEND_PARTS_H
#define HONE_KERNELS_ATTEND_PARTS_H

#include "base/cpu.h"
#include "kernels/attention/attend.h"

/* Row `key` of what entry b of the batch reads as head kv_head of base: a->k or a->v. */
const void *hone__kv_rows(const hone__attend_args *a, const void *base, size_t b, size_t kv_head, size_t key);

/* Elements from a row of keys or values to the next. */
static inline size_t hone__kv_step(const hone__attend_args *a)
{
    return a->kv_r ? a->kv_r : hone__kv_row(a->kind, a->size);
}

/* n rows that the products can read: int8 ones are widened into to [n, size]. */
const void *hone__kv_readable(const hone__attend_args *a, const void *rows, size_t n, float *to);

/* Keys [*from, *to) that query `row` of batch entry b sees. */
void hone__attend_sees(const hone__attend_args *a, size_t b, size_t row, size_t *from, size_t *to);

/* The same of any of `count` queries from `first` on; false: they see none. */
bool hone__attend_see(const hone__attend_args *a, size_t b, size_t first, size_t count, size_t *from, size_t *to);

/* Many queries: tiles of rows over blocks of keys. Sizes of scratch are in bytes. */
size_t hone__attend_many_scratch(const hone__attend_args *a, int threads);
void hone__attend_many(const hone__attend_args *a, void *scratch, hone__pool *pool);

typedef struct hone__attend_table {
    /* *most = max(*most, s), s = 2^(s - *most); the sum of s [n]. NaN, or infinity as the maximum, gives a sum of
     * NaN. */
    float (*weigh)(float *s, size_t n, float *most);
} hone__attend_table;

const hone__attend_table *hone__attend_table_of(hone__tier tier);

float hone__attend_weigh_scalar(float *s, size_t n, float *most);
float hone__attend_weigh_avx2(float *s, size_t n, float *most);
float hone__attend_weigh_avx512vnni(float *s, size_t n, float *most);

#endif
