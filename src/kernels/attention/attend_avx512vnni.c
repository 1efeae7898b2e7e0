/* attend_avx512vnni.c: scores to weights in AVX-512. */
#include "kernels/vec/simd_avx512.h"
#include "kernels/vec/vec_math.h"
#define NAME(f) f##_avx512vnni
#include "kernels/attention/attend_loops.h"
