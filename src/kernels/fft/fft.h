/* fft.h: the discrete Fourier transform of a real signal of any length, over a plan made in advance.
 * X[k] = sum over t of x[t] * exp(-2 pi i k t / n), not scaled, for k = 0 .. n/2. */
#ifndef HONE_KERNELS_FFT_H
#define HONE_KERNELS_FFT_H

#include <stddef.h>

#include "base/status.h"

enum { HONE__FFT_MAX = 1 << 20 }; /* longest signal */

/* A plan is never written after it was made: threads may share it, each with its own scratch. */
typedef struct hone__fft hone__fft;

/* n: 1 .. HONE__FFT_MAX */
hone_status hone__fft_create(size_t n, hone__fft **out);
void hone__fft_destroy(hone__fft *plan); /* NULL is fine */

/* How many doubles `scratch` below must hold. */
size_t hone__fft_scratch(const hone__fft *plan);

/* x: [n].  spectrum: [n/2 + 1][2], real and imaginary part.  No two of the three may overlap. */
void hone__fft_real(const hone__fft *plan, const double *x, double *spectrum, double *scratch);

#endif
