/* conv_depthwise_avx2.c: depthwise planes, 8 pixels of a row at a time. A band of rows is copied to the stack first,
 * with its padding, and one image of the columns per residue of the stride, so that every tap reads pixels side by
 * side. */
#include "kernels/conv/conv_depthwise.h"
#include "kernels/tile/tile_store_avx2.h"

enum { BAND = 16384 /* bytes of the copy */, SPILL = 16 /* elements that vectors read behind the last row */ };

static size_t rows_of(const hone__depthwise_shape *s, size_t outs)
{
    return (outs - 1) * s->stride[0] + (s->kernel[0] - 1) * s->dilation[0] + 1;
}

/* Output rows that a copy of elements of `size` bytes serves. */
static size_t outs_of(const hone__depthwise_shape *s, size_t size)
{
    size_t rows = (BAND / size - SPILL) / s->band.pitch, least = rows_of(s, 1);
    return rows < least ? 0 : (rows - least) / s->stride[0] + 1;
}

int hone__depthwise_prepare_avx2(hone__depthwise_shape *s)
{
    hone__depthwise_band *b = &s->band;
    size_t *reach = b->reach;
    b->width = (s->out[1] + (s->kernel[1] - 1) * s->dilation[1] / s->stride[1] + 15) & ~(size_t)15;
    b->pitch = s->stride[1] * b->width;
    b->outs_f32 = outs_of(s, sizeof(float));
    b->outs_i8 = outs_of(s, 1);
    for (size_t kh = 0; kh < s->kernel[0]; kh++)
        for (size_t kw = 0; kw < s->kernel[1]; kw++) {
            size_t column = kw * s->dilation[1];
            *reach++ = kh * s->dilation[0] * b->pitch + column % s->stride[1] * b->width + column / s->stride[1];
        }
    *reach = 0; /* of a tap with weight 0 that makes a pair of the last one */
    return b->outs_f32 > 0;
}

/* Which of the eight columns from `at` on lie in [0, n). */
INLINE __m256i inside(ptrdiff_t at, size_t n)
{
    __m256i column = _mm256_add_epi32(_mm256_set1_epi32((int)at), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_setzero_si256(), column),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), column));
}

INLINE __m256 closed(__m256 pairs) { return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(pairs), 0xd8)); }

/* Columns that do not exist load as zeros. */
INLINE void copy_row_f32(const hone__depthwise_shape *s, const hone__depthwise_band *b, const float *row, float *to)
{
    ptrdiff_t pad = (ptrdiff_t)s->pad[1];
    for (size_t i = 0; i < b->width; i += 8) {
        ptrdiff_t at = (ptrdiff_t)(i * s->stride[1]) - pad;
        __m256 a = _mm256_maskload_ps(row + at, inside(at, s->in[1]));
        if (s->stride[1] == 1) {
            _mm256_storeu_ps(to + i, a);
            continue;
        }
        __m256 c = _mm256_maskload_ps(row + at + 8, inside(at + 8, s->in[1]));
        _mm256_storeu_ps(to + i, closed(_mm256_shuffle_ps(a, c, 0x88)));
        _mm256_storeu_ps(to + b->width + i, closed(_mm256_shuffle_ps(a, c, 0xdd)));
    }
}

/* Local row r is row first + r - pad of the input. */
static void copy_band_f32(const hone__depthwise_shape *s, const hone__depthwise_band *b, const float *x, size_t first,
                          size_t rows, float *to)
{
    for (size_t r = 0; r < rows; r++, to += b->pitch) {
        size_t y = first + r - s->pad[0];
        if (y < s->in[0])
            copy_row_f32(s, b, x + y * s->in[1], to);
        else
            memset(to, 0, b->pitch * sizeof *to);
    }
}

typedef struct finish_f32 {
    const float *w, *residual; /* residual: of the plane, NULL = none */
    __m256 bias, lo, hi;
    float *y, *end; /* the plane and its end */
} finish_f32;

INLINE void row_f32(const hone__depthwise_shape *s, const hone__depthwise_band *b, const finish_f32 *f,
                    const float *copy, size_t at, size_t taps)
{
    for (size_t i = 0; i < s->out[1]; i += 8) {
        __m256 even = f->bias, odd = _mm256_setzero_ps(); /* two short chains */
#pragma GCC unroll 9
        for (size_t t = 0; t < taps; t++) {
            __m256 v = _mm256_loadu_ps(copy + b->reach[t] + i), w = _mm256_set1_ps(f->w[t]);
            if (t % 2)
                odd = _mm256_fmadd_ps(v, w, odd);
            else
                even = _mm256_fmadd_ps(v, w, even);
        }
        size_t n = s->out[1] - i < 8 ? s->out[1] - i : 8;
        __m256 x = _mm256_add_ps(even, odd);
        if (f->residual) x = _mm256_add_ps(x, _mm256_maskload_ps(f->residual + at + i, first_bits(n)));
        x = _mm256_min_ps(f->hi, _mm256_max_ps(f->lo, x)); /* the second operand is the result when either is NaN */
        float *to = f->y + at + i; /* what lies behind a row is written later, unless it is to be added */
        store_first_f32(to, x, !f->residual && f->end - to >= 8 ? 8 : n);
    }
}

void hone__depthwise_f32_avx2(const hone__depthwise_shape *s, const float *x, const float *w, float bias,
                              const float *residual, int clip, float lo, float hi, float *y)
{
    float inf = __builtin_inff(), copy[BAND / sizeof(float)];
    size_t taps = s->kernel[0] * s->kernel[1];
    const hone__depthwise_band *b = &s->band;
    finish_f32 f = {w,
                    residual,
                    _mm256_set1_ps(bias),
                    _mm256_set1_ps(clip ? lo : -inf),
                    _mm256_set1_ps(clip ? hi : inf),
                    y,
                    y + s->out[0] * s->out[1]};
    for (size_t first = 0; first < s->out[0]; first += b->outs_f32) {
        size_t outs = s->out[0] - first < b->outs_f32 ? s->out[0] - first : b->outs_f32;
        copy_band_f32(s, b, x, first * s->stride[0], rows_of(s, outs), copy);
        for (size_t o = 0; o < outs; o++) {
            const float *from = copy + o * s->stride[0] * b->pitch;
            if (taps == 9)
                row_f32(s, b, &f, from, (first + o) * s->out[1], 9);
            else
                row_f32(s, b, &f, from, (first + o) * s->out[1], taps);
        }
    }
}

/* Columns of one row that residue `phase` of the stride takes, between bytes `zero` where there are none. What a vector
 * writes behind the local row is written later, or is the spill. */
INLINE void copy_row_i8(const hone__depthwise_shape *s, const hone__depthwise_band *b, const uint8_t *row, __m128i flip,
                        __m128i zero, size_t phase, uint8_t *to)
{
    const __m128i each = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    size_t step = s->stride[1], pad = s->pad[1];
    size_t first = phase >= pad ? 0 : (pad - phase + step - 1) / step;
    size_t last = s->in[1] + pad > phase ? (s->in[1] + pad - phase + step - 1) / step : 0, i;
    if (last > b->width) last = b->width;
    for (i = 0; i < first && i < b->width; i += 16) _mm_storeu_si128((__m128i *)(void *)(to + i), zero);
    const uint8_t *from = row + (ptrdiff_t)(first * step + phase) - (ptrdiff_t)pad;
    for (i = first; i < last; i += 16, from += 16 * step) {
        size_t n = last - i < 16 ? last - i : 16;
        __m128i v = _mm_xor_si128(step == 1 ? load_first(from, n) : load_second(from, last - i), flip);
        v = _mm_blendv_epi8(zero, v, _mm_cmpgt_epi8(_mm_set1_epi8((char)n), each));
        _mm_storeu_si128((__m128i *)(void *)(to + i), v);
    }
    for (; i < b->width; i += 16) _mm_storeu_si128((__m128i *)(void *)(to + i), zero);
}

/* zero: the byte that stands for 0 */
static void copy_band_i8(const hone__depthwise_shape *s, const hone__depthwise_band *b, const uint8_t *x, size_t first,
                         size_t rows, __m128i flip, __m128i zero, uint8_t *to)
{
    for (size_t r = 0; r < rows; r++) {
        size_t y = first + r - s->pad[0];
        for (size_t phase = 0; phase < s->stride[1]; phase++, to += b->width)
            if (y >= s->in[0])
                for (size_t i = 0; i < b->width; i += 16) _mm_storeu_si128((__m128i *)(void *)(to + i), zero);
            else if (s->stride[1] == 1)
                copy_row_i8(s, b, x + y * s->in[1], flip, zero, 0, to);
            else
                copy_row_i8(s, b, x + y * s->in[1], flip, zero, phase, to);
    }
}

typedef struct finish_i8 {
    const hone__tile_i8_args *t;
    sink k;
    __m256i w[(HONE__DEPTHWISE_MAX_TAPS + 1) / 2]; /* int16 pairs of neighbouring taps */
    __m256i start;                                 /* less what the zero points add */
    __m256 scale, bias;
    size_t end; /* elements of the plane */
} finish_i8;

INLINE void row_i8(const hone__depthwise_shape *s, const hone__depthwise_band *b, const finish_i8 *f, enum output kind,
                   const uint8_t *copy, size_t at, size_t pairs)
{
    const hone__tile_i8_args *t = f->t;
    for (size_t i = 0; i < s->out[1]; i += 8) {
        __m256i acc = f->start;
#pragma GCC unroll 5
        for (size_t p = 0; p < pairs; p++) {
            __m128i a = _mm_loadl_epi64((const __m128i *)(const void *)(copy + b->reach[2 * p] + i));
            __m128i c = _mm_loadl_epi64((const __m128i *)(const void *)(copy + b->reach[2 * p + 1] + i));
            __m256i v = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, c));
            acc = _mm256_add_epi32(acc, _mm256_madd_epi16(v, f->w[p]));
        }
        size_t n = s->out[1] - i < 8 ? s->out[1] - i : 8, to = at + i, write = f->end - to >= 8 ? 8 : n;
        if (kind == OUT_I32) {
            store_first_f32((float *)(void *)(t->out_i32 + to), _mm256_castsi256_ps(acc), write);
            continue;
        }
        __m256 x = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(acc), f->scale), f->bias);
        store_scaled(t, &f->k, kind, t->residual != NULL, x, to, n, write);
    }
}

INLINE void plane_i8(const hone__depthwise_shape *s, const hone__depthwise_band *b, const finish_i8 *f,
                     const uint8_t *x, uint8_t flip, uint8_t zero, enum output kind, uint8_t *copy)
{
    size_t pairs = (s->kernel[0] * s->kernel[1] + 1) / 2;
    for (size_t first = 0; first < s->out[0]; first += b->outs_i8) {
        size_t outs = s->out[0] - first < b->outs_i8 ? s->out[0] - first : b->outs_i8;
        copy_band_i8(s, b, x, first * s->stride[0], rows_of(s, outs), _mm_set1_epi8((char)flip),
                     _mm_set1_epi8((char)zero), copy);
        for (size_t o = 0; o < outs; o++) {
            const uint8_t *from = copy + o * s->stride[0] * b->pitch;
            if (pairs == 5)
                row_i8(s, b, f, kind, from, (first + o) * s->out[1], 5);
            else
                row_i8(s, b, f, kind, from, (first + o) * s->out[1], pairs);
        }
    }
}

/* Weights less their zero point have nine bits, so that products of pairs are exact in VPMADDWD. */
static void set_weights(finish_i8 *f, const void *w, int w_signed, int32_t w_zp, size_t taps, int32_t zero)
{
    int32_t sum = 0, pair = 0;
    for (size_t i = 0; i < taps; i++) {
        int32_t v = (w_signed ? ((const int8_t *)w)[i] : ((const uint8_t *)w)[i]) - w_zp;
        sum += v;
        pair = i % 2 ? (int32_t)((uint32_t)pair | (uint32_t)v << 16) : v & 0xffff;
        f->w[i / 2] = _mm256_set1_epi32(pair);
    }
    f->start = _mm256_set1_epi32(-zero * sum);
}

void hone__depthwise_i8_avx2(const hone__depthwise_shape *s, const void *x, int x_signed, int32_t x_zp, const void *w,
                             int w_signed, int32_t w_zp, const hone__tile_i8_args *t)
{
    uint8_t copy[BAND], flip = x_signed ? 0x80 : 0;
    size_t taps = s->kernel[0] * s->kernel[1];
    int32_t zero = x_zp + (x_signed ? 128 : 0);
    const hone__depthwise_band *b = &s->band;
    finish_i8 f; /* not initialized whole: it is large */
    f.t = t;
    set_sink(t, &f.k);
    f.scale = _mm256_set1_ps(t->row_scale ? t->row_scale[0] : 1.0f);
    f.bias = _mm256_set1_ps(t->row_bias ? t->row_bias[0] : -0.0f);
    f.end = s->out[0] * s->out[1];
    set_weights(&f, w, w_signed, w_zp, taps, zero);
    if (t->out_q)
        plane_i8(s, b, &f, x, flip, (uint8_t)zero, OUT_Q, copy);
    else if (t->out_f32)
        plane_i8(s, b, &f, x, flip, (uint8_t)zero, OUT_F32, copy);
    else
        plane_i8(s, b, &f, x, flip, (uint8_t)zero, OUT_I32, copy);
}
