/* vec_avx2.c: element-wise functions in AVX2. */
#include "kernels/vec/simd_avx2.h"
#include "kernels/vec/vec_math.h"
#define NAME(f) f##_avx2
#include "kernels/vec/vec_loops.h"
