/* nbits_parts.c: the tile in plain C (chunks of 16 bytes, 4 lanes), and the choice of the tier's. */
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

/* Bytes [from, to) of a row of weights. */
static int32_t block_dot(const hone__nbits_tile *t, const uint8_t *w, const hone__nbits_x *x, size_t from, size_t to)
{
    int32_t acc = 0;
    for (size_t i = from; i < to; i++) {
        const int8_t *q = x->q + i / CHUNK * CHUNK * (size_t)(8 / t->bits) + i % CHUNK;
        if (t->bits == 8)
            acc += (w[i] ^ t->flip) * q[0];
        else
            acc += (w[i] & 15) * q[0] + (w[i] >> 4) * q[CHUNK];
    }
    return acc;
}

static float row_dot(const hone__nbits_tile *t, size_t r, const hone__nbits_x *x)
{
    float sum = 0;
    for (size_t b = 0; b < t->blocks; b++) {
        size_t from = b * t->block_bytes, to = t->bytes - from < t->block_bytes ? t->bytes : from + t->block_bytes;
        uint32_t start = (uint32_t)x->block_starts[b];
        if (t->zeros) start *= 0 - (uint32_t)t->zeros[r * t->block_rs + b];
        int32_t acc = (int32_t)(start + (uint32_t)block_dot(t, t->w + r * t->w_rs, x, from, to));
        sum += (float)acc * x->scales[b] * t->scales[r * t->block_rs + b];
    }
    return sum;
}

void hone__nbits_tile_scalar(const hone__nbits_tile *t)
{
    for (size_t m = 0; m < t->rows; m++)
        for (size_t r = 0; r < HONE__NBITS_WEIGHT_ROWS; r++) {
            float *out = t->out + m * HONE__NBITS_WEIGHT_ROWS + r;
            *out = r && !t->w_rs ? out[-1] : row_dot(t, r, t->x + m);
        }
}

static const hone__nbits_table scalar = {
    .chunk = CHUNK,
    .arrange = hone__nbits_arrange_scalar,
    .rows = HONE__NBITS_ROWS,
    .tile = hone__nbits_tile_scalar,
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
