/* quantize.c: fp32 <-> int8. */
#include "kernels/quantize/quantize.h"

#include <math.h>
#include <string.h>

#include "kernels/quantize/quantize_parts.h"

enum { PIECE = 32768 /* elements of a parallel piece */, MAX_PIECES = 64 };

struct job {
    const hone__quantize_table *t;
    const void *x;
    void *y;
    size_t n, piece;
    float scale;
    int32_t zp, lo, hi;
    int is_signed;
    float least[MAX_PIECES], most[MAX_PIECES];
};

static struct job job_of(const void *x, void *y, size_t n, float scale, int32_t zp)
{
    struct job j = {.t = hone__quantize_table_of(hone__cpu_tier()), .x = x, .y = y, .n = n, .scale = scale, .zp = zp};
    return j;
}

static void minmax_pieces(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    (void)thread;
    for (size_t p = begin; p < end; p++) {
        size_t from = p * j->piece, n = j->n - from < j->piece ? j->n - from : j->piece;
        j->least[p] = INFINITY;
        j->most[p] = -INFINITY;
        j->t->minmax((const float *)j->x + from, n, &j->least[p], &j->most[p]);
    }
}

void hone__minmax_f32(const float *x, size_t n, float *lo, float *hi, hone__pool *pool)
{
    struct job j = job_of(x, NULL, n, 1, 0);
    j.piece = n / MAX_PIECES + 1 > PIECE ? n / MAX_PIECES + 1 : PIECE;
    size_t pieces = (n + j.piece - 1) / j.piece;
    hone__pool_run(pool, pieces, 1, minmax_pieces, &j);
    float l = INFINITY, h = -INFINITY;
    for (size_t p = 0; p < pieces; p++) {
        l = j.least[p] < l ? j.least[p] : l;
        h = j.most[p] > h ? j.most[p] : h;
    }
    *lo = l > h ? 0 : l;
    *hi = l > h ? 0 : h;
}

static void to_bytes(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    (void)thread;
    j->t->to_bytes((const float *)j->x + begin, end - begin, j->scale, j->zp, j->lo, j->hi, (uint8_t *)j->y + begin);
}

static int32_t limited(int32_t v, int32_t lo, int32_t hi) { return v < lo ? lo : v > hi ? hi : v; }

void hone__quantize_u8(const float *x, size_t n, float scale, int32_t zp, uint8_t *out, hone__pool *pool)
{
    struct job j = job_of(x, out, n, scale, limited(zp, 0, 255));
    j.hi = 255;
    hone__pool_run(pool, n, PIECE, to_bytes, &j);
}

void hone__quantize_s8(const float *x, size_t n, float scale, int32_t zp, int8_t *out, hone__pool *pool)
{
    struct job j = job_of(x, out, n, scale, limited(zp, -128, 127));
    j.lo = -128;
    j.hi = 127;
    hone__pool_run(pool, n, PIECE, to_bytes, &j);
}

struct add_job {
    const hone__quantize_table *t;
    const hone__add_bytes_args *args;
};

static void add_piece(void *ctx, size_t begin, size_t end, int thread)
{
    struct add_job *j = ctx;
    (void)thread;
    j->t->add_bytes(j->args, begin, end - begin);
}

void hone__add_bytes(const hone__add_bytes_args *args, size_t n, hone__pool *pool)
{
    struct add_job j = {hone__quantize_table_of(hone__cpu_tier()), args};
    hone__pool_run(pool, n, PIECE, add_piece, &j);
}

static void from_bytes(void *ctx, size_t begin, size_t end, int thread)
{
    struct job *j = ctx;
    (void)thread;
    j->t->from_bytes((const uint8_t *)j->x + begin, j->is_signed, end - begin, j->scale, j->zp, (float *)j->y + begin);
}

void hone__dequantize_u8(const uint8_t *x, size_t n, float scale, int32_t zp, float *y, hone__pool *pool)
{
    struct job j = job_of(x, y, n, scale, zp);
    hone__pool_run(pool, n, PIECE, from_bytes, &j);
}

void hone__dequantize_s8(const int8_t *x, size_t n, float scale, int32_t zp, float *y, hone__pool *pool)
{
    struct job j = job_of(x, y, n, scale, zp);
    j.is_signed = 1;
    hone__pool_run(pool, n, PIECE, from_bytes, &j);
}

void hone__dequantize_i32(const int32_t *x, size_t n, float scale, int32_t zp, float *y, hone__pool *pool)
{
    (void)pool;
    for (size_t i = 0; i < n; i++) y[i] = (float)((int64_t)x[i] - zp) * scale;
}

void hone__dynamic_params_u8(float lo, float hi, float *scale, int32_t *zp)
{
    if (lo > 0) lo = 0;
    if (hi < 0) hi = 0;
    *scale = 1;
    *zp = 0;
    if (lo == hi) return;
    *scale = (hi - lo) / 255.0f;
    float z = rintf(-lo / *scale);
    *zp = z < 0 ? 0 : z > 255 ? 255 : z == z ? (int32_t)z : 0;
}

static void quantize_block(const hone__quantize_table *t, const float *x, size_t n, int8_t *q, float *scale,
                           int32_t *sum)
{
    int finite = 1;
    float top = t->magnitude(x, n, &finite), inv = 127.0f / top;
    int32_t total = 0;
    *scale = finite ? top / 127.0f : NAN;
    if (!finite || top == 0 || isinf(inv)) {
        if (finite) *scale = 0; /* too small to have a reciprocal: zeros */
        memset(q, 0, n);
    } else {
        total = t->scaled(x, n, inv, q);
    }
    if (sum) *sum = total;
}

void hone__quantize_row_s8(const float *x, size_t k, size_t block, int8_t *q, float *scales, int32_t *sums)
{
    const hone__quantize_table *t = hone__quantize_table_of(hone__cpu_tier());
    if (!block) block = k ? k : 1;
    for (size_t b = 0, at = 0; at < k; b++, at += block) {
        size_t n = k - at < block ? k - at : block;
        quantize_block(t, x + at, n, q + at, scales + b, sums ? sums + b : NULL);
        if (n < block) memset(q + at + n, 0, block - n);
    }
}
