/* nbits_parts.c: the row product in plain C (chunks of 16 bytes, 4 lanes), and the choice of the tier's. */
#include "kernels/nbits/nbits_parts.h"

#include <string.h>

#include "kernels/dispatch.h"

enum { CHUNK = 16, LANES = 4 };

void hone__nbits_arrange_scalar(const int8_t *q, size_t chunks, int bits, int8_t *to, int32_t *sums)
{
    size_t values = CHUNK * 8 / (size_t)bits, per_lane = values / LANES;
    for (size_t c = 0; c < chunks; c++, q += values, to += values, sums += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            sums[l] = 0;
            for (size_t i = 0; i < per_lane; i++) sums[l] += q[l * per_lane + i];
        }
        for (size_t i = 0; i < values; i++) to[bits == 8 ? i : i / 2 + i % 2 * CHUNK] = q[i];
    }
}

/* Values of one block: bytes [from, to) of the row. */
static int32_t block_dot(const hone__nbits_row *r, const hone__nbits_x *x, size_t from, size_t to, int32_t zero)
{
    int32_t acc = 0;
    for (size_t i = from; i < to; i++) {
        const int8_t *q = x->q + i / CHUNK * CHUNK * (size_t)(8 / r->bits) + i % CHUNK;
        if (r->bits == 8)
            acc += ((int32_t)(r->w[i] ^ r->flip) - zero) * q[0];
        else
            acc += ((r->w[i] & 15) - zero) * q[0] + ((r->w[i] >> 4) - zero) * q[CHUNK];
    }
    return acc;
}

void hone__nbits_row_scalar(const hone__nbits_row *r)
{
    for (size_t m = 0; m < r->rows; m++) {
        float sum = 0;
        for (size_t b = 0; b < r->blocks; b++) {
            size_t from = b * r->block_bytes, to = r->bytes - from < r->block_bytes ? r->bytes : from + r->block_bytes;
            int32_t acc = block_dot(r, r->x + m, from, to, r->zeros ? r->zeros[b] : r->zero);
            sum += (float)acc * (r->x[m].scales[b] * r->scales[b]);
        }
        r->out[m] = sum;
    }
}

static const hone__nbits_table scalar = {
    .chunk = CHUNK,
    .arrange = hone__nbits_arrange_scalar,
    .row = hone__nbits_row_scalar,
};

static hone__nbits_table tables[HONE__TIERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (int tier = 0; tier < HONE__TIERS; tier++) {
        hone__nbits_table *t = &tables[tier];
        *t = scalar;
#if defined(__x86_64__)
#define HONE_VARIANT(from, slot, value) \
    if (tier >= (from)) t->slot = (value);
#include "kernels/nbits/variants_x86.def"
#undef HONE_VARIANT
#endif
    }
}

const hone__nbits_table *hone__nbits_table_of(hone__tier tier)
{
    pthread_once(&once, build);
    return &tables[hone__tier_slot(tier)];
}
