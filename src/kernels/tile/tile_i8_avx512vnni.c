/* tile_i8_avx512vnni.c: int8 tiles of up to 6 rows x 64 lanes, or 12 x 16: VPDPBUSD over groups of four k. */
#include <string.h>

#include "kernels/tile/tile_store_avx512.h"
#include "kernels/tile/tile_tiers.h"

enum { MAX_ROWS = 12 };

INLINE __m512i word(const uint8_t *p)
{
    int32_t w;
    memcpy(&w, p, 4);
    return _mm512_set1_epi32(w);
}

/* The last n < 4 bytes of a row of k, zeros above: read as the end of the row's last four bytes where it has four. */
INLINE __m512i last_word(const uint8_t *row, size_t k, size_t n)
{
    uint32_t w = 0;
    if (k >= 4) {
        memcpy(&w, row + k - 4, 4);
        w >>= 8 * (4 - n);
    } else {
        for (size_t i = 0; i < n; i++) w |= (uint32_t)row[i] << (8 * i);
    }
    return _mm512_set1_epi32((int32_t)w);
}

INLINE __m512i dot(__m512i acc, __m512i w, __m512i x, int a_unsigned)
{
    return a_unsigned ? _mm512_dpbusd_epi32(acc, w, x) : _mm512_dpbusd_epi32(acc, x, w);
}

INLINE void store_rows(const hone__tile_i8_args *t, enum output kind, int rows, int vectors, const __m512i *acc)
{
    sink k = sink_of(t);
    for (int r = 0; r < rows; r++) {
        size_t at = (size_t)r * t->out_rs;
        __m512i add = _mm512_set1_epi32(t->row_add ? t->row_add[r] : 0);
        __m512 scale = _mm512_set1_ps(t->row_scale ? t->row_scale[r] : 1.0f);
        __m512 bias = _mm512_set1_ps(t->row_bias ? t->row_bias[r] : -0.0f);
        for (int v = 0; v < vectors; v++) {
            __mmask16 in = (__mmask16)(t->keep >> (16 * v));
            unsigned count = (unsigned)__builtin_popcount(in);
            store(t, &k, kind, 1, _mm512_add_epi32(acc[r * vectors + v], add), (size_t)r, (size_t)v * 16, at, in,
                  (__mmask16)((1u << count) - 1), scale, bias);
            at += count;
        }
    }
}

/* The same without lane terms. Lanes that are dropped are closed up, so what a whole vector writes behind its kept
 * lanes belongs to the next vector of the row, which comes after; only near the row's end a mask is needed. */
INLINE void store_plain(const hone__tile_i8_args *t, enum output kind, int rows, int vectors, const __m512i *acc)
{
    const sink k = sink_of(t);
    __mmask16 in[4], out[4];
    __m512i closed[4];
    size_t offset[4], total = (size_t)__builtin_popcountll(t->keep), at = 0;
    for (int v = 0; v < vectors; v++) {
        in[v] = (__mmask16)(t->keep >> (16 * v));
        size_t count = (size_t)__builtin_popcount(in[v]);
        out[v] = at + 16 <= total ? 0xffff : (__mmask16)((1u << count) - 1);
        closed[v] = closing(in[v]);
        offset[v] = at;
        at += count;
    }
    for (int r = 0; r < rows; r++) {
        const __m512i add = _mm512_set1_epi32(t->row_add ? t->row_add[r] : 0);
        const __m512 scale = _mm512_set1_ps(t->row_scale ? t->row_scale[r] : 1.0f);
        const __m512 bias = _mm512_set1_ps(t->row_bias ? t->row_bias[r] : -0.0f);
        size_t row = (size_t)r * t->out_rs;
        for (int v = 0; v < vectors; v++) {
            __m512i sum = _mm512_add_epi32(acc[r * vectors + v], add);
            if (in[v] != 0xffff) sum = _mm512_permutexvar_epi32(closed[v], sum);
            store(t, &k, kind, 0, sum, 0, 0, row + offset[v], 0xffff, out[v], scale, bias);
        }
    }
}

/* hone__tile_adds: scaled sums are added to what is there. */
INLINE void store_added(const hone__tile_i8_args *t, int rows, int vectors, const __m512i *acc)
{
    __m512 lane[4];
    __mmask16 in[4];
    for (int v = 0; v < vectors; v++) {
        in[v] = (__mmask16)(t->keep >> (16 * v));
        lane[v] = _mm512_maskz_loadu_ps(in[v], t->lane_scale + 16 * v);
    }
    for (int r = 0; r < rows; r++) {
        const __m512i add = _mm512_set1_epi32(t->row_add ? t->row_add[r] : 0);
        const __m512 scale = _mm512_set1_ps(t->row_scale[r]);
        float *out = t->out_f32 + (size_t)r * t->out_rs;
        for (int v = 0; v < vectors; v++) {
            __m512 x = _mm512_cvtepi32_ps(_mm512_add_epi32(acc[r * vectors + v], add));
            x = _mm512_mul_ps(_mm512_mul_ps(x, scale), lane[v]);
            x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(in[v], out + 16 * v));
            _mm512_mask_storeu_ps(out + 16 * v, in[v], x);
        }
    }
}

/* The same of whole vectors, straight from the registers. */
INLINE void store_added_whole(const hone__tile_i8_args *t, int rows, int vectors, const __m512i *acc)
{
    __m512 lane[4];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) lane[v] = _mm512_loadu_ps(t->lane_scale + 16 * v);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        const __m512i add = _mm512_set1_epi32(t->row_add ? t->row_add[r] : 0);
        const __m512 scale = _mm512_set1_ps(t->row_scale[r]);
        float *out = t->out_f32 + (size_t)r * t->out_rs;
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            __m512 x = _mm512_cvtepi32_ps(_mm512_add_epi32(acc[r * vectors + v], add));
            x = _mm512_mul_ps(_mm512_mul_ps(x, scale), lane[v]);
            _mm512_storeu_ps(out + 16 * v, _mm512_add_ps(x, _mm512_loadu_ps(out + 16 * v)));
        }
    }
}

static __attribute__((noinline)) void store_all(const hone__tile_i8_args *t, int rows, int vectors, const __m512i *acc)
{
    if (hone__tile_adds(t)) {
        store_added(t, rows, vectors, acc);
        return;
    }
    int lane_terms = t->row_mul || t->row_sum || t->lane_scale || t->lane_bias || t->residual;
    if (t->out_q && !lane_terms)
        store_plain(t, OUT_Q, rows, vectors, acc);
    else if (t->out_f32 && !lane_terms)
        store_plain(t, OUT_F32, rows, vectors, acc);
    else if (t->out_i32)
        store_rows(t, OUT_I32, rows, vectors, acc);
    else if (t->out_f32)
        store_rows(t, OUT_F32, rows, vectors, acc);
    else
        store_rows(t, OUT_Q, rows, vectors, acc);
}

/* R rows x V vectors; U: a is the unsigned operand. */
#define TILE(R, V, U)                                                                                            \
    static void tile_##R##x##V##_##U(const hone__tile_i8_args *t)                                                \
    {                                                                                                            \
        __m512i acc[R][V];                                                                                       \
        _Pragma("GCC unroll 12") for (int r = 0; r < R; r++) _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) \
            acc[r][v] = _mm512_setzero_si512();                                                                  \
        const uint8_t *a[R], *b = t->panel;                                                                      \
        _Pragma("GCC unroll 12") for (int r = 0; r < R; r++) a[r] = t->a + (size_t)r * t->a_rs;                  \
        size_t step = t->width * 4, whole = t->k & ~(size_t)3, k = 0;                                            \
        for (; k < whole; k += 4, b += step) {                                                                   \
            __m512i x[V];                                                                                        \
            _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) x[v] = _mm512_loadu_si512(b + 64 * v);           \
            _Pragma("GCC unroll 12") for (int r = 0; r < R; r++)                                                 \
            {                                                                                                    \
                __m512i w = word(a[r] + k);                                                                      \
                _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) acc[r][v] = dot(acc[r][v], w, x[v], U);      \
            }                                                                                                    \
        }                                                                                                        \
        if (k < t->k) {                                                                                          \
            __m512i x[V];                                                                                        \
            _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) x[v] = _mm512_loadu_si512(b + 64 * v);           \
            _Pragma("GCC unroll 12") for (int r = 0; r < R; r++)                                                 \
            {                                                                                                    \
                __m512i w = last_word(a[r], t->k, t->k - k);                                                     \
                _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) acc[r][v] = dot(acc[r][v], w, x[v], U);      \
            }                                                                                                    \
        }                                                                                                        \
        if (t->keep == ~(uint64_t)0 >> (64 - 16 * V) && hone__tile_adds(t)) {                                    \
            store_added_whole(t, R, V, &acc[0][0]);                                                              \
            return;                                                                                              \
        }                                                                                                        \
        __m512i copy[R * V]; /* so that acc itself never needs an address */                                     \
        _Pragma("GCC unroll 12") for (int r = 0; r < R; r++) _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) \
            copy[r * V + v] = acc[r][v];                                                                         \
        store_all(t, R, V, copy);                                                                                \
    }

/* The same over an image of groups of four. */
#define IMAGE(R, V, U)                                                                                           \
    static void image_##R##x##V##_##U(const hone__tile_i8_args *t)                                               \
    {                                                                                                            \
        __m512i acc[R][V];                                                                                       \
        _Pragma("GCC unroll 12") for (int r = 0; r < R; r++) _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) \
            acc[r][v] = _mm512_setzero_si512();                                                                  \
        const uint8_t *a[R], *base = t->panel;                                                                   \
        _Pragma("GCC unroll 12") for (int r = 0; r < R; r++) a[r] = t->a + (size_t)r * t->a_rs;                  \
        size_t k = 0;                                                                                            \
        for (size_t c = 0; c < t->channels; c++, base += t->b_rs * 4)                                            \
            for (size_t tap = 0; tap < t->taps; tap++, k += 4) {                                                 \
                const uint8_t *b = base + t->tap[tap] * 4;                                                       \
                __m512i x[V];                                                                                    \
                _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) x[v] = _mm512_loadu_si512(b + 64 * v);       \
                _Pragma("GCC unroll 12") for (int r = 0; r < R; r++)                                             \
                {                                                                                                \
                    __m512i w = word(a[r] + k);                                                                  \
                    _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) acc[r][v] = dot(acc[r][v], w, x[v], U);  \
                }                                                                                                \
            }                                                                                                    \
        __m512i copy[R * V];                                                                                     \
        _Pragma("GCC unroll 12") for (int r = 0; r < R; r++) _Pragma("GCC unroll 4") for (int v = 0; v < V; v++) \
            copy[r * V + v] = acc[r][v];                                                                         \
        store_all(t, R, V, copy);                                                                                \
    }

#define BOTH(R, V) TILE(R, V, 0) TILE(R, V, 1) IMAGE(R, V, 0) IMAGE(R, V, 1)
#define TILES(R) BOTH(R, 1) BOTH(R, 2) BOTH(R, 3) BOTH(R, 4)
#define THIN(R) BOTH(R, 1)
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
THIN(7)
THIN(8)
THIN(9)
THIN(10)
THIN(11)
THIN(12)

typedef void (*tile_fn)(const hone__tile_i8_args *);
#define ROW(F, R, U) {F##_##R##x1_##U, F##_##R##x2_##U, F##_##R##x3_##U, F##_##R##x4_##U}
#define TABLE(F, U)                                                                                  \
    {                                                                                                \
        ROW(F, 1, U),  ROW(F, 2, U),  ROW(F, 3, U),  ROW(F, 4, U),   ROW(F, 5, U),   ROW(F, 6, U),   \
        {F##_7x1_##U}, {F##_8x1_##U}, {F##_9x1_##U}, {F##_10x1_##U}, {F##_11x1_##U}, {F##_12x1_##U}, \
    }
static const tile_fn tiles[2][MAX_ROWS][4] = {TABLE(tile, 0), TABLE(tile, 1)};
static const tile_fn images[2][MAX_ROWS][4] = {TABLE(image, 0), TABLE(image, 1)};

void hone__tile_i8_avx512vnni(const hone__tile_i8_args *t)
{
    tiles[t->a_unsigned != 0][t->rows - 1][(t->lanes + 15) / 16 - 1](t);
}

void hone__tile_i8_image_avx512vnni(const hone__tile_i8_args *t)
{
    images[t->a_unsigned != 0][t->rows - 1][(t->lanes + 15) / 16 - 1](t);
}

void hone__tile_second_u8_avx512vnni(const uint8_t *from, size_t from_rs, size_t rows, size_t n, uint8_t *to,
                                     size_t to_rs)
{
    for (size_t i = 0; i < n; i += 32) {
        size_t left = n - i < 32 ? n - i : 32;
        __mmask64 in = ~(__mmask64)0 >> (65 - 2 * left);
        __mmask32 out = (__mmask32)(~(uint32_t)0 >> (32 - left));
        for (size_t r = 0; r < rows; r++) {
            __m256i v = _mm512_cvtepi16_epi8(_mm512_maskz_loadu_epi8(in, from + r * from_rs + 2 * i));
            _mm256_mask_storeu_epi8(to + r * to_rs + i, out, v);
        }
    }
}

/* Four channels of up to 16 taps are a 4 x 16 byte transpose. */
void hone__tile_order_weights_avx512vnni(const uint8_t *w, size_t channels, size_t taps, int is_signed, uint8_t *to)
{
    (void)is_signed;
    for (size_t c = 0; c < channels; c += 4)
        for (size_t t = 0; t < taps; t += 16) {
            size_t n = taps - t < 16 ? taps - t : 16;
            __mmask16 in = (__mmask16)(0xffffu >> (16 - n));
            __m128i row[4];
#pragma GCC unroll 4
            for (size_t j = 0; j < 4; j++)
                row[j] = c + j < channels ? _mm_maskz_loadu_epi8(in, w + (c + j) * taps + t) : _mm_setzero_si128();
            __m128i lo01 = _mm_unpacklo_epi8(row[0], row[1]), lo23 = _mm_unpacklo_epi8(row[2], row[3]);
            __m128i hi01 = _mm_unpackhi_epi8(row[0], row[1]), hi23 = _mm_unpackhi_epi8(row[2], row[3]);
            __m512i v = _mm512_castsi128_si512(_mm_unpacklo_epi16(lo01, lo23));
            v = _mm512_inserti32x4(v, _mm_unpackhi_epi16(lo01, lo23), 1);
            v = _mm512_inserti32x4(v, _mm_unpacklo_epi16(hi01, hi23), 2);
            v = _mm512_inserti32x4(v, _mm_unpackhi_epi16(hi01, hi23), 3);
            _mm512_mask_storeu_epi32(to + (c / 4 * taps + t) * 4, in, v);
        }
}

/* Four rows of bytes become dwords of four bytes, lane after lane: VPERMD puts dword 4 j + l of a row at 4 l + j, so
 * that the unpacks, which work inside 128-bit lanes, give 16 successive lanes in each result. */
INLINE void interleave(const __m512i *row, size_t vectors, uint8_t *to)
{
    __m512i lo01 = _mm512_unpacklo_epi8(row[0], row[1]), hi01 = _mm512_unpackhi_epi8(row[0], row[1]);
    __m512i lo23 = _mm512_unpacklo_epi8(row[2], row[3]), hi23 = _mm512_unpackhi_epi8(row[2], row[3]);
    _mm512_storeu_si512(to, _mm512_unpacklo_epi16(lo01, lo23));
    if (vectors > 1) _mm512_storeu_si512(to + 64, _mm512_unpackhi_epi16(lo01, lo23));
    if (vectors > 2) _mm512_storeu_si512(to + 128, _mm512_unpacklo_epi16(hi01, hi23));
    if (vectors > 3) _mm512_storeu_si512(to + 192, _mm512_unpackhi_epi16(hi01, hi23));
}

INLINE void pack(const hone__tile_pack_args *p, int step)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i flip = _mm512_set1_epi8((char)p->flip);
    __mmask64 lanes = p->lanes >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << p->lanes) - 1;
    size_t bytes = p->lanes * 2 - 1;
    __mmask64 both = bytes >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << bytes) - 1; /* step 2: at most 32 lanes */
    size_t k = p->channels * p->taps, vectors = p->width / 16, tap = 0;
    const uint8_t *base = p->src;
    uint8_t *to = p->panel;
    for (size_t at = 0; at < k; at += 4, to += p->panel_rs) {
        __m512i row[4];
        size_t count = k - at < 4 ? k - at : 4;
#pragma GCC unroll 4
        for (size_t j = 0; j < 4; j++) {
            if (j >= count) {
                row[j] = _mm512_setzero_si512();
                continue;
            }
            row[j] = _mm512_maskz_loadu_epi8(step == 1 ? lanes : both, base + p->tap[tap]);
            if (step == 2) row[j] = _mm512_zextsi256_si512(_mm512_cvtepi16_epi8(row[j]));
            row[j] = _mm512_permutexvar_epi32(order, _mm512_maskz_mov_epi8(lanes, _mm512_xor_si512(row[j], flip)));
            if (++tap == p->taps) tap = 0, base += p->src_rs;
        }
        interleave(row, vectors, to);
    }
}

void hone__tile_pack_i8_avx512vnni(const hone__tile_pack_args *p) { pack(p, 1); }
void hone__tile_pack_second_i8_avx512vnni(const hone__tile_pack_args *p) { pack(p, 2); }

void hone__tile_sums_i8_avx512vnni(const uint8_t *a, size_t a_rs, size_t rows, size_t k, int is_signed, int32_t *sums)
{
    const __m512i ones = _mm512_set1_epi8(1);
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *row = a + r * a_rs;
        __m512i acc = _mm512_setzero_si512();
        for (size_t i = 0; i < k; i += 64) {
            __mmask64 in = k - i >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (k - i)) - 1;
            __m512i v = _mm512_maskz_loadu_epi8(in, row + i);
            acc = is_signed ? _mm512_dpbusd_epi32(acc, ones, v) : _mm512_dpbusd_epi32(acc, v, ones);
        }
        sums[r] = _mm512_reduce_add_epi32(acc);
    }
}
