/* tile.c: the reference tiles, and the choice of the tier's. */
#include "kernels/tile/tile.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "kernels/dispatch.h"
#include "kernels/tile/tile_tiers.h"

enum { STEP = 4, NR = 16, MR = 4 };

void hone__tile_f32_finish(const hone__tile_f32_args *t, size_t r, const float *acc)
{
    size_t at = r * t->out_rs;
    for (size_t i = 0; i < t->lanes; i++) {
        if (!(t->keep >> i & 1)) continue;
        float v = t->alpha * acc[i];
        if (t->accumulate) v += t->out[at];
        if (t->row_bias) v += t->row_bias[r];
        if (t->lane_bias) v += t->lane_bias[i];
        if (t->residual) v += t->residual[at];
        if (t->clip) {
            if (v < t->lo) v = t->lo;
            if (v > t->hi) v = t->hi;
        }
        t->out[at++] = v;
    }
}

void hone__tile_f32_scalar(const hone__tile_f32_args *t)
{
    float acc[MR][NR] = {{0}};
    for (size_t c = 0; c < t->channels; c++)
        for (size_t tap = 0; tap < t->taps; tap++) {
            const float *b = t->b + c * t->b_rs + t->tap[tap];
            for (size_t r = 0; r < t->rows; r++) {
                float a = t->a[r * t->a_rs + c * t->taps + tap];
                for (size_t i = 0; i < t->lanes; i++) acc[r][i] += a * b[i];
            }
        }
    for (size_t r = 0; r < t->rows; r++) hone__tile_f32_finish(t, r, acc[r]);
}

void hone__tile_i8_finish(const hone__tile_i8_args *t, size_t r, const uint32_t *acc)
{
    size_t at = r * t->out_rs;
    for (size_t i = 0; i < t->lanes; i++) {
        if (!(t->keep >> i & 1)) continue;
        uint32_t sum = acc[i];
        if (t->row_add) sum += (uint32_t)t->row_add[r];
        if (t->row_mul) sum += (uint32_t)t->row_mul[r] * (uint32_t)t->lane_sum[i];
        if (t->row_sum) sum += (uint32_t)t->row_sum[r] * (uint32_t)t->lane_mul[i];
        if (t->out_i32) {
            t->out_i32[at++] = (int32_t)sum;
            continue;
        }
        float v = (float)(int32_t)sum;
        if (t->row_scale) v *= t->row_scale[r];
        if (t->lane_scale) v *= t->lane_scale[i];
        if (t->row_bias) v += t->row_bias[r];
        if (t->lane_bias) v += t->lane_bias[i];
        if (t->residual) v += t->residual[at];
        if (t->clip) {
            if (v < t->lo) v = t->lo;
            if (v > t->hi) v = t->hi;
        }
        if (t->out_f32) {
            t->out_f32[at++] = v;
            continue;
        }
        v *= t->q_inv;
        v = isnan(v) ? 0 : v < t->q_lo ? t->q_lo : v > t->q_hi ? t->q_hi : v;
        t->out_q[at++] = (uint8_t)((int32_t)rintf(v) + t->q_zp);
    }
}

void hone__tile_i8_scalar(const hone__tile_i8_args *t)
{
    uint32_t acc[MR][NR] = {{0}};
    for (size_t k = 0; k < t->k; k++) {
        const uint8_t *b = t->panel + k / 4 * t->width * 4 + k % 4;
        for (size_t r = 0; r < t->rows; r++) {
            uint8_t a = t->a[r * t->a_rs + k];
            if (t->a_unsigned)
                for (size_t i = 0; i < t->lanes; i++) acc[r][i] += (uint32_t)((int32_t)a * (int8_t)b[i * 4]);
            else
                for (size_t i = 0; i < t->lanes; i++) acc[r][i] += (uint32_t)((int32_t)(int8_t)a * b[i * 4]);
        }
    }
    for (size_t r = 0; r < t->rows; r++) hone__tile_i8_finish(t, r, acc[r]);
}

void hone__tile_i8_image_scalar(const hone__tile_i8_args *t)
{
    uint32_t acc[MR][NR] = {{0}};
    for (size_t c = 0, k = 0; c < t->channels; c++)
        for (size_t tap = 0; tap < t->taps; tap++)
            for (size_t j = 0; j < 4; j++, k++) {
                const uint8_t *b = t->panel + 4 * (c * t->b_rs + t->tap[tap]) + j;
                for (size_t r = 0; r < t->rows; r++) {
                    uint8_t a = t->a[r * t->a_rs + k];
                    for (size_t i = 0; i < t->lanes; i++)
                        acc[r][i] +=
                            (uint32_t)(t->a_unsigned ? (int32_t)a * (int8_t)b[i * 4] : (int32_t)(int8_t)a * b[i * 4]);
                }
            }
    for (size_t r = 0; r < t->rows; r++) hone__tile_i8_finish(t, r, acc[r]);
}

void hone__tile_second_u8_scalar(const uint8_t *from, size_t from_rs, size_t rows, size_t n, uint8_t *to, size_t to_rs)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++) to[r * to_rs + i] = from[r * from_rs + 2 * i];
}

void hone__tile_copy_rows_f32_scalar(const float *from, size_t from_rs, size_t step, size_t rows, size_t n, size_t left,
                                     size_t width, float *to)
{
    for (size_t r = 0; r < rows; r++, from += from_rs, to += width) {
        memset(to, 0, left * sizeof *to);
        if (step == 1)
            memcpy(to + left, from, n * sizeof *to);
        else
            for (size_t i = 0; i < n; i++) to[left + i] = from[i * step];
        memset(to + left + n, 0, (width - left - n) * sizeof *to);
    }
}

void hone__tile_order_weights_scalar(const uint8_t *w, size_t channels, size_t taps, int is_signed, uint8_t *to)
{
    (void)is_signed;
    memset(to, 0, (channels + 3) / 4 * taps * 4);
    for (size_t c = 0; c < channels; c++)
        for (size_t t = 0; t < taps; t++) to[(c / 4 * taps + t) * 4 + c % 4] = w[c * taps + t];
}

void hone__tile_pack_i8_scalar(const hone__tile_pack_args *p)
{
    size_t k = p->channels * p->taps, at = 0;
    for (size_t g = 0; g < (k + 3) / 4; g++) memset(p->panel + g * p->panel_rs, 0, p->width * 4);
    for (size_t c = 0; c < p->channels; c++)
        for (size_t t = 0; t < p->taps; t++, at++) {
            const uint8_t *row = p->src + c * p->src_rs + p->tap[t];
            uint8_t *to = p->panel + at / 4 * p->panel_rs + at % 4;
            for (size_t i = 0; i < p->lanes; i++) to[i * 4] = row[i] ^ p->flip;
        }
}

void hone__tile_sums_i8_scalar(const uint8_t *a, size_t a_rs, size_t rows, size_t k, int is_signed, int32_t *sums)
{
    for (size_t r = 0; r < rows; r++) {
        uint32_t sum = 0;
        for (size_t i = 0; i < k; i++) sum += is_signed ? (uint32_t)(int8_t)a[r * a_rs + i] : a[r * a_rs + i];
        sums[r] = (int32_t)sum;
    }
}

static const hone__tile_table scalar = {
    .f32_step = STEP,
    .f32_nr = NR,
    .f32_mr = MR,
    .f32_mr_thin = MR,
    .f32 = hone__tile_f32_scalar,
    .i8_step = STEP,
    .i8_nr = NR,
    .i8_mr = MR,
    .i8_mr_thin = MR,
    .i8 = hone__tile_i8_scalar,
    .i8_image = hone__tile_i8_image_scalar,
    .second_u8 = hone__tile_second_u8_scalar,
    .copy_rows_f32 = hone__tile_copy_rows_f32_scalar,
    .ordered_bytes = 1,
    .order_weights = hone__tile_order_weights_scalar,
    .pack_i8 = hone__tile_pack_i8_scalar,
    .sums_i8 = hone__tile_sums_i8_scalar,
};

static hone__tile_table tables[HONE__TIERS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    for (int tier = 0; tier < HONE__TIERS; tier++) {
        hone__tile_table *t = &tables[tier];
        *t = scalar;
#if defined(__x86_64__)
#define HONE_VARIANT(from, slot, value) \
    if (tier >= (from)) t->slot = (value);
#include "kernels/tile/variants_x86.def"
#undef HONE_VARIANT
#endif
    }
}

const hone__tile_table *hone__tile_table_of(hone__tier tier)
{
    pthread_once(&once, build);
    return &tables[hone__tier_slot(tier)];
}

const hone__tile_table *hone__tile(void) { return hone__tile_table_of(hone__cpu_tier()); }
