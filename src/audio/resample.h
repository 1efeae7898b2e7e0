/* resample.h: changes the sample rate by any rational ratio, streaming, with a windowed-sinc low-pass.
 * Flat to 0.90 of the lower Nyquist frequency, at least 100 dB down from that frequency on, linear phase, no delay:
 * output m stands at the time m / out_rate. Before and after the signal there is silence. */
#ifndef HONE_AUDIO_RESAMPLE_H
#define HONE_AUDIO_RESAMPLE_H

#include <stddef.h>

#include "base/status.h"

enum { HONE__RATE_MAX = 768000 };

typedef struct hone__resampler hone__resampler;

/* Rates in Hz, 1 .. HONE__RATE_MAX, at most 256 times apart. */
hone_status hone__resampler_create(int in_rate, int out_rate, hone__resampler **out);
void hone__resampler_destroy(hone__resampler *r); /* NULL is fine */

/* Takes up to n samples and gives up to `capacity`; *used and *made say how many. Call until everything was taken; each
 * call takes or makes something unless n or capacity is 0. Allocates nothing. */
void hone__resampler_push(hone__resampler *r, const float *in, size_t n, size_t *used, float *out, size_t capacity,
                          size_t *made);

/* After the last push: the rest, until *made is 0. In all ceil(samples in * out_rate / in_rate) samples come out. */
void hone__resampler_finish(hone__resampler *r, float *out, size_t capacity, size_t *made);

#endif
