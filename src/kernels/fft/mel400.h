/* mel400.h: log-mel spectra of frames of 400 samples, one every 160 (25 and 10 ms at 16 kHz), in fp32, frames side by
 * side in vector lanes. 400 = 16 x 25: real transforms of 16 (samples 25 apart), then complex ones of 25 = 5 x 5. The
 * error of a power is below 1e-6 of the frame's largest; tests/audio/test_log_mel.c measures it. */
#ifndef HONE_KERNELS_MEL400_H
#define HONE_KERNELS_MEL400_H

#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

enum {
    HONE__MEL400_LENGTH = 400,
    HONE__MEL400_HOP = 160,
    HONE__MEL400_BINS = 201,
    HONE__MEL400_GROUP = 16, /* frames are taken in whole groups of so many */
    HONE__MEL400_SCRATCH = (2 * HONE__MEL400_HOP + 25 * 18 + HONE__MEL400_BINS) * HONE__MEL400_GROUP
};

/* Filled by the caller, but for twiddles. */
typedef struct hone__mel400 {
    float window[HONE__MEL400_LENGTH];
    float twiddles[9][25][3]; /* [k][b]: real, imaginary and less imaginary part of exp(-2 pi i k b / 400) */
    size_t mels;
    const uint16_t *first, *count; /* [mels] bins of a band */
    const float *weights;          /* of all bands, one after the other */
} hone__mel400;

void hone__mel400_twiddles(hone__mel400 *plan);

/* x: [(groups * 16 - 1) * 160 + 400] samples, frame t's at 160 t; groups = count / 16, rounded up. Samples that are not
 * finite, or beyond 1e15, count as 0. out: band m of frame t at out[m * stride + t], log10 of the power, of
 * at least 1e-10. Returns the largest, -10 for none. scratch: [HONE__MEL400_SCRATCH], 64-byte aligned. */
float hone__mel400_run(const hone__mel400 *plan, const float *x, size_t count, float *out, size_t stride,
                       float *scratch);

/* values[i] = (max(values[i], least) + 4) / 4 */
void hone__mel400_limit(float *values, size_t count, float least);

/* One tier's: the same contracts. */
typedef float hone__mel400_f(const hone__mel400 *plan, const float *x, size_t count, float *out, size_t stride,
                             float *scratch);
typedef struct hone__mel400_table {
    hone__mel400_f *run;
    void (*limit)(float *values, size_t count, float least);
} hone__mel400_table;
const hone__mel400_table *hone__mel400_table_of(hone__tier tier);
hone__mel400_f hone__mel400_run_scalar, hone__mel400_run_avx2, hone__mel400_run_avx512vnni;
void hone__mel400_limit_scalar(float *values, size_t count, float least);
void hone__mel400_limit_avx2(float *values, size_t count, float least);
void hone__mel400_limit_avx512vnni(float *values, size_t count, float least);

#endif
