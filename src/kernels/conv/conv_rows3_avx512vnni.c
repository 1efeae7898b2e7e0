/* conv_rows3_avx512vnni.c: depthwise kernels of three rows, strides 1 and 2, each input row read once: it adds its
 * share to the up to three output rows that it is part of. Bytes: the taps of a pixel are one dword of VPDPBUSD. */
#include "kernels/conv/conv_rows3_avx512.h"

enum { PIXELS = 16 };

/* Bits of the positions [at, at + 64) that lie in [0, n). */
INLINE uint64_t inside(ptrdiff_t at, size_t n)
{
    ptrdiff_t first = at < 0 ? -at : 0, last = (ptrdiff_t)n - at;
    if (last > 64) last = 64;
    if (first >= last) return 0;
    return ~(uint64_t)0 >> (64 - (last - first)) << first;
}

/* Where a chunk of 16 output columns reads and writes. */
typedef struct chunk {
    ptrdiff_t at;  /* input column of the first tap of pixel 0 */
    uint64_t have; /* which of the 64 columns from there exist */
    __mmask16 out;
} chunk;

/* Moves the last chunk back where that makes it whole: some pixels are then computed twice. `once`: must not, as for a
 * residual that is the output itself. */
INLINE chunk chunk_of(const hone__depthwise_shape *s, size_t *start, int once)
{
    chunk c;
    if (!once && s->out[1] >= PIXELS && *start + PIXELS > s->out[1]) *start = s->out[1] - PIXELS;
    size_t first = *start, left = s->out[1] - first;
    c.at = (ptrdiff_t)(first * s->stride[1]) - (ptrdiff_t)s->pad[1];
    c.have = inside(c.at, s->in[1]);
    c.out = left >= PIXELS ? 0xffff : (__mmask16)((1u << left) - 1);
    return c;
}

/* ---- fp32, three taps in a row ---- */

typedef struct row_f32 {
    __m512 tap[3];
} row_f32;

INLINE row_f32 read_f32(const float *p, uint64_t have, int stride)
{
    row_f32 r;
    if (stride == 1) {
#pragma GCC unroll 3
        for (int k = 0; k < 3; k++) r.tap[k] = _mm512_maskz_loadu_ps((__mmask16)(have >> k), p + k);
    } else {
        const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
        __m512 a = _mm512_maskz_loadu_ps((__mmask16)have, p),
               b = _mm512_maskz_loadu_ps((__mmask16)(have >> 16), p + 16);
        __m512 c = _mm512_maskz_loadu_ps((__mmask16)(have >> 2), p + 2);
        __m512 d = _mm512_maskz_loadu_ps((__mmask16)(have >> 18), p + 18);
        r.tap[0] = _mm512_permutex2var_ps(a, even, b);
        r.tap[1] = _mm512_permutex2var_ps(a, odd, b);
        r.tap[2] = _mm512_permutex2var_ps(c, even, d);
    }
    return r;
}

/* A chain of its own, so that rows do not wait for each other. */
INLINE __m512 share(const row_f32 *r, const __m512 *w)
{
    __m512 v = _mm512_mul_ps(r->tap[0], w[0]);
    return _mm512_fmadd_ps(r->tap[2], w[2], _mm512_fmadd_ps(r->tap[1], w[1], v));
}

/* q counts padded rows: output row o is the sum over rows q = o * stride .. o * stride + 2. */
INLINE void rows_f32(const hone__depthwise_shape *s, const float *x, const float *weights, float bias,
                     const float *residual, __m512 lo, __m512 hi, float *y, int stride)
{
    __m512 w[9], start = _mm512_set1_ps(bias);
#pragma GCC unroll 9
    for (int i = 0; i < 9; i++) w[i] = _mm512_set1_ps(weights[i]);
    for (size_t first = 0; first < s->out[1]; first += PIXELS) {
        chunk c = chunk_of(s, &first, residual != NULL);
        size_t rows = (s->out[0] - 1) * (size_t)stride + 3, o = 0;
        __m512 done = start, next = start, fresh = start;
        for (size_t q = 0; q < rows; q++) {
            size_t row = q - s->pad[0]; /* wraps above the first */
            int starts = stride == 1 || q % 2 == 0, ends = q >= 2 && starts;
            if (starts) fresh = start;
            if (row < s->in[0]) {
                row_f32 r = read_f32(x + (ptrdiff_t)(row * s->in[1]) + c.at, c.have, stride);
                if (starts) {
                    done = _mm512_add_ps(done, share(&r, w + 6));
                    fresh = _mm512_add_ps(fresh, share(&r, w));
                }
                if (stride == 1 || !starts) next = _mm512_add_ps(next, share(&r, w + 3));
            }
            if (ends) {
                size_t at = o++ * s->out[1] + first;
                if (residual) done = _mm512_add_ps(done, _mm512_maskz_loadu_ps(c.out, residual + at));
                /* the second operand is the result when either is NaN */
                done = _mm512_min_ps(hi, _mm512_max_ps(lo, done));
                if (c.out == 0xffff)
                    _mm512_storeu_ps(y + at, done);
                else
                    _mm512_mask_storeu_ps(y + at, c.out, done);
            }
            if (stride == 1)
                done = next, next = fresh;
            else if (starts)
                next = fresh;
            else
                done = next;
        }
    }
}

int hone__depthwise_rows3_f32(const hone__depthwise_shape *s, const float *x, const float *w, float bias,
                              const float *residual, __m512 lo, __m512 hi, float *y)
{
    if (!s->rows3 || s->flat || s->kernel[1] != 3) return 0;
    if (s->stride[0] == 1)
        rows_f32(s, x, w, bias, residual, lo, hi, y, 1);
    else
        rows_f32(s, x, w, bias, residual, lo, hi, y, 2);
    return 1;
}

/* ---- bytes, up to four taps in a row ---- */

/* Dword i of the result: the four bytes from i * stride on. Dwords are brought into the 128-bit lane that needs them,
 * then bytes move inside the lanes. */
INLINE __m512i quads(__m512i v, int stride)
{
    if (stride == 1) {
        const __m512i near = _mm512_setr_epi32(0, 1, 0, 0, 1, 2, 0, 0, 2, 3, 0, 0, 3, 4, 0, 0);
        const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6));
        return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(near, v), bytes);
    }
    const __m512i near = _mm512_setr_epi32(0, 1, 2, 0, 2, 3, 4, 0, 4, 5, 6, 0, 6, 7, 8, 0);
    const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9));
    return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(near, v), bytes);
}

/* Weights as dwords of signed bytes, and what all sums start from. */
typedef struct bytes {
    __m512i w[3], start, zero; /* start: less what the zero point adds; zero: that as an unsigned byte */
    uint8_t flip;
} bytes;

INLINE void rows_i8(const hone__depthwise_shape *s, const uint8_t *x, const bytes *b, const hone__tile_i8_args *t,
                    enum output kind, int stride)
{
    const sink k = sink_of(t);
    const __m512 scale = _mm512_set1_ps(t->row_scale ? t->row_scale[0] : 1.0f);
    const __m512 bias = _mm512_set1_ps(t->row_bias ? t->row_bias[0] : -0.0f);
    const __m512i flip = _mm512_set1_epi8((char)b->flip);
    for (size_t first = 0; first < s->out[1]; first += PIXELS) {
        chunk c = chunk_of(s, &first, t->residual != NULL);
        size_t rows = (s->out[0] - 1) * (size_t)stride + 3, o = 0;
        uint64_t have = c.have & (stride == 1 ? 0xfffffu : 0xfffffffffu); /* as many as quads uses */
        __m512i done = b->start, next = b->start, fresh = b->start;
        for (size_t q = 0; q < rows; q++) {
            size_t row = q - s->pad[0];
            int starts = stride == 1 || q % 2 == 0, ends = q >= 2 && starts;
            __m512i r = b->zero;
            if (row < s->in[0]) {
                r = _mm512_maskz_loadu_epi8(have, x + (ptrdiff_t)(row * s->in[1]) + c.at);
                r = quads(_mm512_mask_mov_epi8(b->zero, have, _mm512_xor_si512(r, flip)), stride);
            }
            if (starts) {
                done = _mm512_dpbusd_epi32(done, r, b->w[2]);
                fresh = _mm512_dpbusd_epi32(b->start, r, b->w[0]);
            }
            if (stride == 1 || !starts) next = _mm512_dpbusd_epi32(next, r, b->w[1]);
            if (ends)
                store(t, &k, kind, t->residual != NULL, done, 0, 0, o++ * s->out[1] + first, 0xffff, c.out, scale,
                      bias);
            if (stride == 1)
                done = next, next = fresh;
            else if (starts)
                next = fresh;
            else
                done = next;
        }
    }
}

/* The whole plane as one line, 16 pixels at a time. */
INLINE void line_i8(const hone__depthwise_shape *s, const uint8_t *x, const bytes *b, const hone__tile_i8_args *t,
                    enum output kind)
{
    const sink k = sink_of(t);
    const __m512 scale = _mm512_set1_ps(t->row_scale ? t->row_scale[0] : 1.0f);
    const __m512 bias = _mm512_set1_ps(t->row_bias ? t->row_bias[0] : -0.0f);
    const __m512i flip = _mm512_set1_epi8((char)b->flip);
    size_t pixels = s->in[0] * s->in[1];
    for (size_t v = 0; v < s->flat; v++) {
        __m512i acc = b->start;
#pragma GCC unroll 3
        for (size_t r = 0; r < 3; r++) {
            const uint8_t *from = x + (ptrdiff_t)(v * PIXELS) + s->reach[r * s->kernel[1]];
            __m512i in = quads(_mm512_xor_si512(_mm512_maskz_loadu_epi8(s->reads[r][v], from), flip), 1);
            acc = _mm512_dpbusd_epi32(acc, _mm512_mask_mov_epi8(b->zero, s->quads[r][v], in), b->w[r]);
        }
        size_t left = pixels - v * PIXELS;
        __mmask16 out = left >= PIXELS ? 0xffff : (__mmask16)((1u << left) - 1);
        store(t, &k, kind, t->residual != NULL, acc, 0, 0, v * PIXELS, 0xffff, out, scale, bias);
    }
}

INLINE void rows_kind(const hone__depthwise_shape *s, const uint8_t *x, const bytes *b, const hone__tile_i8_args *t,
                      enum output kind)
{
    if (s->flat)
        line_i8(s, x, b, t, kind);
    else if (s->stride[0] == 1)
        rows_i8(s, x, b, t, kind, 1);
    else
        rows_i8(s, x, b, t, kind, 2);
}

/* The three rows of the kernel as dwords; 0 where a weight less its zero point is no signed byte. */
INLINE int read_weights(const void *w, size_t width, int w_signed, int32_t w_zp, __m512i *to)
{
    int8_t narrow[12] = {0};
    for (size_t i = 0; (!w_signed || w_zp) && i < 3 * width; i++) {
        int32_t v = (w_signed ? ((const int8_t *)w)[i] : ((const uint8_t *)w)[i]) - w_zp;
        if (v < -128 || v > 127) return 0;
        narrow[i] = (int8_t)v;
    }
    if (!w_signed || w_zp) w = narrow;
    __m128i all = _mm_maskz_loadu_epi8((__mmask16)((1u << (3 * width)) - 1), w);
    __m128i at = _mm_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
    __m128i rows = _mm_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    __mmask16 in = _mm_cmplt_epu8_mask(at, _mm_set1_epi8((char)width));
    for (size_t i = 0; i < width; i++) at = _mm_add_epi8(at, rows);
    __m512i words = _mm512_castsi128_si512(_mm_maskz_shuffle_epi8(in, all, at));
    for (int r = 0; r < 3; r++) to[r] = _mm512_permutexvar_epi32(_mm512_set1_epi32(r), words);
    return 1;
}

int hone__depthwise_rows3_i8(const hone__depthwise_shape *s, const void *x, int x_signed, int32_t x_zp, const void *w,
                             int w_signed, int32_t w_zp, const hone__tile_i8_args *t)
{
    bytes b = {.flip = x_signed ? 0x80 : 0};
    if (!s->rows3 || !read_weights(w, s->kernel[1], w_signed, w_zp, b.w)) return 0;
    b.zero = _mm512_set1_epi8((char)(x_zp + (x_signed ? 128 : 0)));
    b.start = _mm512_setzero_si512();
    for (int r = 0; r < 3; r++) b.start = _mm512_dpbusd_epi32(b.start, b.zero, b.w[r]);
    b.start = _mm512_sub_epi32(_mm512_setzero_si512(), b.start);
    if (t->out_q)
        rows_kind(s, x, &b, t, OUT_Q);
    else if (t->out_f32)
        rows_kind(s, x, &b, t, OUT_F32);
    else
        rows_kind(s, x, &b, t, OUT_I32);
    return 1;
}
