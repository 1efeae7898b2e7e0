/* conv_depthwise_avx512vnni.c: depthwise planes, 16 pixels of a row at a time, width strides 1 and 2. */
#include "kernels/conv/conv_rows3_avx512.h"

enum { PIXELS = 16, TAPS = HONE__DEPTHWISE_MAX_WIDTH };

/* For each tap along the width: the column that pixel 0 of the chunk reads, and which of the 32 columns from there
 * exist (stride 1 uses the first 16). */
typedef struct columns {
    ptrdiff_t at[TAPS];
    uint32_t exist[TAPS];
    __mmask16 even[TAPS]; /* which of the pixels' columns exist at stride 2 */
} columns;

static uint32_t bits_between(ptrdiff_t first, ptrdiff_t last)
{
    if (first < 0) first = 0;
    if (last > 32) last = 32;
    if (first >= last) return 0;
    uint32_t high = last == 32 ? ~(uint32_t)0 : ((uint32_t)1 << last) - 1;
    return high & ~(((uint32_t)1 << first) - 1);
}

INLINE columns columns_of(const hone__depthwise_shape *s, size_t first)
{
    columns c;
    for (size_t k = 0; k < s->kernel[1]; k++) {
        c.at[k] = (ptrdiff_t)(first * s->stride[1] + k * s->dilation[1]) - (ptrdiff_t)s->pad[1];
        c.exist[k] = bits_between(-c.at[k], (ptrdiff_t)s->in[1] - c.at[k]);
        c.even[k] = 0;
        for (int i = 0; i < PIXELS; i++) c.even[k] |= (__mmask16)((c.exist[k] >> (2 * i) & 1) << i);
    }
    return c;
}

/* Taps [*first, *last) of the height that read rows of the input, the first of them row *row. */
INLINE void rows_of(const hone__depthwise_shape *s, size_t o, size_t *first, size_t *last, size_t *row)
{
    size_t start = o * s->stride[0], pad = s->pad[0], step = s->dilation[0];
    *first = start >= pad ? 0 : (pad - start + step - 1) / step;
    size_t room = s->in[0] + pad > start ? (s->in[0] + pad - start + step - 1) / step : 0;
    *last = room < s->kernel[0] ? room : s->kernel[0];
    *row = start + *first * step - pad;
}

INLINE __m512 load_f32(const float *row, ptrdiff_t at, uint32_t exist, int stride)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    __m512 a = _mm512_maskz_loadu_ps((__mmask16)exist, row + at);
    if (stride == 1) return a;
    return _mm512_permutex2var_ps(a, even, _mm512_maskz_loadu_ps((__mmask16)(exist >> 16), row + at + 16));
}

INLINE void plane_f32(const hone__depthwise_shape *s, const float *x, const float *w, float bias, const float *residual,
                      __m512 lo, __m512 hi, float *y, int stride, size_t width)
{
    for (size_t first = 0; first < s->out[1]; first += PIXELS) {
        columns c = columns_of(s, first);
        size_t left = s->out[1] - first;
        __mmask16 out = left >= PIXELS ? 0xffff : (__mmask16)((1u << left) - 1);
        for (size_t o = 0; o < s->out[0]; o++) {
            size_t k0, k1, row;
            rows_of(s, o, &k0, &k1, &row);
            __m512 acc = _mm512_setzero_ps();
            for (size_t kh = k0; kh < k1; kh++, row += s->dilation[0])
#pragma GCC unroll 8
                for (size_t kw = 0; kw < width; kw++)
                    acc = _mm512_fmadd_ps(load_f32(x + row * s->in[1], c.at[kw], c.exist[kw], stride),
                                          _mm512_set1_ps(w[kh * width + kw]), acc);
            size_t at = o * s->out[1] + first;
            acc = _mm512_add_ps(acc, _mm512_set1_ps(bias));
            if (residual) acc = _mm512_add_ps(acc, _mm512_maskz_loadu_ps(out, residual + at));
            /* the second operand is the result when either is NaN */
            _mm512_mask_storeu_ps(y + at, out, _mm512_min_ps(hi, _mm512_max_ps(lo, acc)));
        }
    }
}

INLINE __mmask16 pixels_of(const hone__depthwise_shape *s, size_t v)
{
    size_t left = s->in[0] * s->in[1] - v * PIXELS;
    return left >= PIXELS ? 0xffff : (__mmask16)((1u << left) - 1);
}

INLINE void flat_f32(const hone__depthwise_shape *s, const float *x, const float *w, float bias, const float *residual,
                     __m512 lo, __m512 hi, float *y, size_t taps)
{
    for (size_t v = 0; v < s->flat; v++) {
        __m512 even = _mm512_set1_ps(bias), odd = _mm512_setzero_ps(); /* two short chains */
        __mmask16 out = pixels_of(s, v);
#pragma GCC unroll 9
        for (size_t t = 0; t < taps; t++) {
            __m512 f = _mm512_maskz_loadu_ps(s->exist[t][v], x + (ptrdiff_t)(v * PIXELS) + s->reach[t]);
            if (t % 2)
                odd = _mm512_fmadd_ps(f, _mm512_set1_ps(w[t]), odd);
            else
                even = _mm512_fmadd_ps(f, _mm512_set1_ps(w[t]), even);
        }
        __m512 acc = _mm512_add_ps(even, odd);
        if (residual) acc = _mm512_add_ps(acc, _mm512_maskz_loadu_ps(out, residual + v * PIXELS));
        /* the second operand is the result when either is NaN */
        _mm512_mask_storeu_ps(y + v * PIXELS, out, _mm512_min_ps(hi, _mm512_max_ps(lo, acc)));
    }
}

void hone__depthwise_f32_avx512vnni(const hone__depthwise_shape *s, const float *x, const float *w, float bias,
                                    const float *residual, int clip, float lo, float hi, float *y)
{
    __m512 low = _mm512_set1_ps(clip ? lo : -__builtin_inff()), high = _mm512_set1_ps(clip ? hi : __builtin_inff());
    size_t width = s->kernel[1];
    if (hone__depthwise_rows3_f32(s, x, w, bias, residual, low, high, y)) return;
    if (s->flat && width * s->kernel[0] == 9)
        flat_f32(s, x, w, bias, residual, low, high, y, 9);
    else if (s->flat)
        flat_f32(s, x, w, bias, residual, low, high, y, s->kernel[0] * width);
    else if (s->stride[1] == 1 && width == 3)
        plane_f32(s, x, w, bias, residual, low, high, y, 1, 3);
    else if (s->stride[1] == 1)
        plane_f32(s, x, w, bias, residual, low, high, y, 1, width);
    else if (width == 3)
        plane_f32(s, x, w, bias, residual, low, high, y, 2, 3);
    else
        plane_f32(s, x, w, bias, residual, low, high, y, 2, width);
}

/* 16 bytes as int32 less the zero point; 0 where there is no column. */
INLINE __m512i load_i8(const uint8_t *row, ptrdiff_t at, uint32_t exist, __mmask16 even, int stride, int x_signed,
                       __m512i zp)
{
    __m512i v;
    if (stride == 1) {
        __m128i b = _mm_maskz_loadu_epi8((__mmask16)exist, row + at);
        v = x_signed ? _mm512_cvtepi8_epi32(b) : _mm512_cvtepu8_epi32(b);
    } else {
        __m256i b = _mm256_maskz_loadu_epi8(exist, row + at);
        b = x_signed ? _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8) : _mm256_and_si256(b, _mm256_set1_epi16(0xff));
        v = x_signed ? _mm512_cvtepi16_epi32(b) : _mm512_cvtepu16_epi32(b);
    }
    return _mm512_maskz_sub_epi32(stride == 1 ? (__mmask16)exist : even, v, zp);
}

INLINE void plane_i8(const hone__depthwise_shape *s, const uint8_t *x, int x_signed, int32_t x_zp, const int32_t *w,
                     const hone__tile_i8_args *t, enum output kind, int stride, size_t width)
{
    const sink k = sink_of(t);
    const __m512i zp = _mm512_set1_epi32(x_zp);
    const __m512 scale = _mm512_set1_ps(t->row_scale ? t->row_scale[0] : 1.0f);
    const __m512 bias = _mm512_set1_ps(t->row_bias ? t->row_bias[0] : -0.0f);
    for (size_t first = 0; first < s->out[1]; first += PIXELS) {
        columns c = columns_of(s, first);
        size_t left = s->out[1] - first;
        __mmask16 out = left >= PIXELS ? 0xffff : (__mmask16)((1u << left) - 1);
        for (size_t o = 0; o < s->out[0]; o++) {
            size_t k0, k1, row;
            rows_of(s, o, &k0, &k1, &row);
            __m512i acc = _mm512_setzero_si512();
            for (size_t kh = k0; kh < k1; kh++, row += s->dilation[0])
#pragma GCC unroll 8
                for (size_t kw = 0; kw < width; kw++)
                    acc = _mm512_dpwssd_epi32(
                        acc, load_i8(x + row * s->in[1], c.at[kw], c.exist[kw], c.even[kw], stride, x_signed, zp),
                        _mm512_set1_epi32(w[kh * width + kw]));
            store(t, &k, kind, t->residual != NULL, acc, 0, 0, o * s->out[1] + first, 0xffff, out, scale, bias);
        }
    }
}

INLINE void flat_i8(const hone__depthwise_shape *s, const uint8_t *x, int x_signed, int32_t x_zp, const int32_t *w,
                    const hone__tile_i8_args *t, enum output kind, size_t taps)
{
    const sink k = sink_of(t);
    const __m512i zp = _mm512_set1_epi32(x_zp);
    const __m512 scale = _mm512_set1_ps(t->row_scale ? t->row_scale[0] : 1.0f);
    const __m512 bias = _mm512_set1_ps(t->row_bias ? t->row_bias[0] : -0.0f);
    for (size_t v = 0; v < s->flat; v++) {
        __m512i even = _mm512_setzero_si512(), odd = even; /* two short chains */
#pragma GCC unroll 9
        for (size_t i = 0; i < taps; i++) {
            __mmask16 in = s->exist[i][v];
            __m128i b = _mm_maskz_loadu_epi8(in, x + (ptrdiff_t)(v * PIXELS) + s->reach[i]);
            __m512i f = _mm512_maskz_sub_epi32(in, x_signed ? _mm512_cvtepi8_epi32(b) : _mm512_cvtepu8_epi32(b), zp);
            if (i % 2)
                odd = _mm512_dpwssd_epi32(odd, f, _mm512_set1_epi32(w[i]));
            else
                even = _mm512_dpwssd_epi32(even, f, _mm512_set1_epi32(w[i]));
        }
        store(t, &k, kind, t->residual != NULL, _mm512_add_epi32(even, odd), 0, 0, v * PIXELS, 0xffff, pixels_of(s, v),
              scale, bias);
    }
}

INLINE void flat_kind(const hone__depthwise_shape *s, const uint8_t *x, int x_signed, int32_t x_zp, const int32_t *w,
                      const hone__tile_i8_args *t, size_t taps)
{
    if (t->out_q)
        flat_i8(s, x, x_signed, x_zp, w, t, OUT_Q, taps);
    else if (t->out_f32)
        flat_i8(s, x, x_signed, x_zp, w, t, OUT_F32, taps);
    else
        flat_i8(s, x, x_signed, x_zp, w, t, OUT_I32, taps);
}

INLINE void plane_kind(const hone__depthwise_shape *s, const uint8_t *x, int x_signed, int32_t x_zp, const int32_t *w,
                       const hone__tile_i8_args *t, int stride, size_t width)
{
    if (t->out_q)
        plane_i8(s, x, x_signed, x_zp, w, t, OUT_Q, stride, width);
    else if (t->out_f32)
        plane_i8(s, x, x_signed, x_zp, w, t, OUT_F32, stride, width);
    else
        plane_i8(s, x, x_signed, x_zp, w, t, OUT_I32, stride, width);
}

void hone__depthwise_i8_avx512vnni(const hone__depthwise_shape *s, const void *x, int x_signed, int32_t x_zp,
                                   const void *w, int w_signed, int32_t w_zp, const hone__tile_i8_args *t)
{
    int32_t wide[HONE__DEPTHWISE_MAX_TAPS];
    size_t width = s->kernel[1], taps = s->kernel[0] * width;
    if (hone__depthwise_rows3_i8(s, x, x_signed, x_zp, w, w_signed, w_zp, t)) return;
    /* VPDPWSSD multiplies pairs of int16: the weight stands in the low one, zero in the high one */
    for (size_t i = 0; i < taps; i++)
        wide[i] = ((w_signed ? ((const int8_t *)w)[i] : ((const uint8_t *)w)[i]) - w_zp) & 0xffff;
    if (s->flat && taps == 9 && !x_signed)
        flat_kind(s, x, 0, x_zp, wide, t, 9);
    else if (s->flat && taps == 9)
        flat_kind(s, x, 1, x_zp, wide, t, 9);
    else if (s->flat)
        flat_kind(s, x, x_signed, x_zp, wide, t, taps);
    else if (width == 3 && s->stride[1] == 1 && !x_signed)
        plane_kind(s, x, 0, x_zp, wide, t, 1, 3);
    else if (width == 3 && s->stride[1] == 1)
        plane_kind(s, x, 1, x_zp, wide, t, 1, 3);
    else if (width == 3 && !x_signed)
        plane_kind(s, x, 0, x_zp, wide, t, 2, 3);
    else
        plane_kind(s, x, x_signed, x_zp, wide, t, s->stride[1] == 1 ? 1 : 2, width);
}
