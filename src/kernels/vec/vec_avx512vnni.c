/* vec_avx512vnni.c: element-wise functions in AVX-512. */
#include "kernels/vec/simd_avx512.h"
#include "kernels/vec/vec_math.h"
#define NAME(f) f##_avx512vnni
#include "kernels/vec/vec_loops.h"
