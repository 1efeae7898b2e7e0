/* attend_avx2.c: scores to weights in AVX2. */
#include "kernels/vec/simd_avx2.h"
#include "kernels/vec/vec_math.h"
#define NAME(f) f##_avx2
#include "kernels/attention/attend_loops.h"
