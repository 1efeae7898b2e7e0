/* mel400_avx2.c: eight frames side by side. */
#include "kernels/vec/simd_avx2.h"
#include "kernels/vec/vec_math.h"
enum { STEP = 160 };
INLINE vf rows(const float *p) /* 0 and 4 */
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + 4 * STEP), 1);
}
INLINE void spread(const float *p, vf *v)
{
    vf a = rows(p), b = rows(p + STEP), c = rows(p + 2 * STEP), d = rows(p + 3 * STEP);
    __m256d ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b)), cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
    __m256d ef = _mm256_castps_pd(_mm256_unpackhi_ps(a, b)), gh = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
    v[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd));
    v[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd));
    v[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(ef, gh));
    v[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(ef, gh));
}
#define NAME(f) f##_avx2
#include "kernels/fft/mel400_loops.h"
