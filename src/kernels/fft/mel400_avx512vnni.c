/* mel400_avx512vnni.c: sixteen frames side by side. */
#include "kernels/vec/simd_avx512.h"
#include "kernels/vec/vec_math.h"
enum { STEP = 160 };
INLINE vf rows(const float *p) /* 0, 4, 8, 12 */
{
    vf v = _mm512_castps128_ps512(_mm_loadu_ps(p));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 4 * STEP), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(p + 8 * STEP), 2);
    return _mm512_insertf32x4(v, _mm_loadu_ps(p + 12 * STEP), 3);
}
INLINE void spread(const float *p, vf *v)
{
    vf a = rows(p), b = rows(p + STEP), c = rows(p + 2 * STEP), d = rows(p + 3 * STEP);
    __m512d ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b)), cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
    __m512d ef = _mm512_castps_pd(_mm512_unpackhi_ps(a, b)), gh = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
    v[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
    v[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
    v[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ef, gh));
    v[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ef, gh));
}
#define NAME(f) f##_avx512vnni
#include "kernels/fft/mel400_loops.h"
