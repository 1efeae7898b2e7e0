/* conv_columns_i8.c: int8 convolution with a handful of output pixels. Columns hold x - x_zp in 16 bits, so that
 * padding is zero and neither weights nor their sums are prepared. See conv_columns.h. */
#include <math.h>
#include <string.h>

#include "kernels/conv/conv_columns.h"
#include "kernels/gemm/gemm_parts.h"

enum { ROWS = 16 /* output channels per item */, ENOUGH = 1 << 16 /* multiply-adds in a piece */ };

typedef struct job {
    const hone__conv_plan *p;
    const hone__gemm_table *parts;
    const hone__conv_i8_args *q;
    const uint8_t *x;
    size_t y;             /* element of the output where this image starts */
    size_t pitch;         /* of a column */
    int16_t *columns;     /* [groups, pixels, pitch] */
    int32_t *column_sums; /* [groups, pixels] */
    size_t blocks;        /* of ROWS output channels in a group */
} job;

static size_t pitch(const hone__conv_plan *p) { return (p->k + HONE__DOT_STEP - 1) / HONE__DOT_STEP * HONE__DOT_STEP; }

size_t hone__conv_columns_i8_scratch(const hone__conv_plan *p)
{
    return p->groups * p->out_size * (pitch(p) * sizeof(int16_t) + sizeof(int32_t));
}

/* The inputs of output pixel `at` in one channel. */
static void take(const job *j, const uint8_t *x, const size_t *at, int16_t *to)
{
    const hone__conv_plan *p = j->p;
    int32_t zero = j->q->x_zp, flip = j->q->x_signed ? 0x80 : 0; /* a signed byte is its bits ^ 0x80, less 0x80 */
    hone__conv_span s = hone__conv_span_of(p, at[2]);
    for (size_t z = 0; z < p->kernel[0]; z++)
        for (size_t y = 0; y < p->kernel[1]; y++, to += p->kernel[2]) {
            size_t row = hone__conv_row_of(p, at, z, y), first = row == SIZE_MAX ? p->kernel[2] : s.first, t = 0;
            for (; t < first; t++) to[t] = 0;
            for (; t < s.last; t++) to[t] = (int16_t)((x[row + s.start + t * p->dilation[2]] ^ flip) - flip - zero);
            for (; t < p->kernel[2]; t++) to[t] = 0;
        }
}

/* Items: columns, the pixels of every group. */
static void fill(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    const hone__conv_plan *p = j->p;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t group = i / p->out_size, pixel = i % p->out_size, plane = p->out[1] * p->out[2];
        const size_t at[3] = {pixel / plane, pixel / p->out[2] % p->out[1], pixel % p->out[2]};
        const uint8_t *x = j->x + group * p->group_in * p->in_size;
        int16_t *column = j->columns + i * j->pitch;
        for (size_t c = 0; c < p->group_in; c++) take(j, x + c * p->in_size, at, column + c * p->taps);
        memset(column + p->k, 0, (j->pitch - p->k) * sizeof *column);
        int32_t sum = 0; /* at most 255 * k in size: with its zero point it counts modulo 2^32 */
        for (size_t k = 0; j->q->w_zp && k < p->k; k++) sum = (int32_t)((uint32_t)sum + (uint32_t)column[k]);
        j->column_sums[i] = sum;
    }
}

static void store(const job *j, size_t oc, const int32_t *acc)
{
    const hone__conv_i8_args *q = j->q;
    size_t n = j->p->out_size, at = j->y + oc * n;
    float v[HONE__COLUMNS_MAX], scale = q->scale ? q->scale[q->scale_count > 1 ? oc : 0] : 1;
    if (q->y_i32) {
        memcpy(q->y_i32 + at, acc, n * sizeof *acc);
        return;
    }
    for (size_t i = 0; i < n; i++) v[i] = (float)acc[i] * scale;
    const hone__epilogue *ep = &q->ep;
    hone__epilogue_row(ep, ep->bias ? ep->bias + oc : NULL, ep->slope ? ep->slope + oc : NULL, 0,
                       q->y_f32 && ep->residual ? ep->residual + at : NULL, v, n);
    if (q->y_f32)
        memcpy(q->y_f32 + at, v, n * sizeof *v);
    else
        hone__conv_quantize(q, v, n, (uint8_t *)q->y_q + at);
}

/* Items: blocks of output channels of all groups. */
static void rows(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    const hone__conv_plan *p = j->p;
    const hone__conv_i8_args *q = j->q;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        size_t group = i / j->blocks, first = i % j->blocks * ROWS, base = group * p->group_out;
        size_t last = p->group_out - first < ROWS ? p->group_out : first + ROWS;
        const int32_t *sums = j->column_sums + group * p->out_size;
        for (size_t oc = base + first; oc < base + last; oc++) {
            int32_t acc[HONE__COLUMNS_MAX];
            j->parts->dot_i8(j->columns + group * p->out_size * j->pitch, j->pitch, p->out_size,
                             (const uint8_t *)q->w + oc * p->k, q->w_signed, p->k, acc);
            uint32_t zero = q->w_zp ? (uint32_t)q->w_zp[q->w_zp_count > 1 ? oc : 0] : 0;
            for (size_t c = 0; zero && c < p->out_size; c++)
                acc[c] = (int32_t)((uint32_t)acc[c] - zero * (uint32_t)sums[c]);
            store(j, oc, acc);
        }
    }
}

void hone__conv_columns_i8(const hone__conv_plan *p, const hone__conv_i8_args *args, void *scratch, hone__pool *pool)
{
    size_t columns = p->groups * p->out_size;
    job j = {.p = p, .parts = hone__gemm_parts(), .q = args, .pitch = pitch(p), .columns = scratch};
    j.column_sums = (int32_t *)(void *)(j.columns + columns * j.pitch);
    j.blocks = (p->group_out + ROWS - 1) / ROWS;
    size_t copies = ENOUGH / (8 * p->k) + 1, grain = ENOUGH / (p->out_size * p->k * ROWS) + 1;
    for (size_t n = 0; n < p->batch; n++) {
        j.x = (const uint8_t *)args->x + n * p->in_c * p->in_size;
        j.y = n * p->out_c * p->out_size;
        hone__pool_run(pool, columns, copies, fill, &j);
        hone__pool_run(pool, p->groups * j.blocks, grain, rows, &j);
    }
}
